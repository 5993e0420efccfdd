//! The host's own stalls, as a hot thread sees them: how long nothing happened on it while it had nothing
//! to do.
//!
//! Around what sits on a hot core, fed with the time that the runner reads anyway; feeds the back office,
//! which shows them beside every latency, so that nobody reads the host's stalls as ours. A subtraction a
//! turn, nothing an event. Between two idle turns there is nothing but the stages' own looks at their
//! sockets and rings, so what is longer than [`GAP_NS_MIN`] was somebody else.

use ballast_engine::ring::{self, RecordConsumer, RecordProducer};
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::Nanos;

/// A gap below this may be the look itself: a system call for each socket.
pub const GAP_NS_MIN: u64 = 20_000;
/// Gaps that may wait for the back office; more of them than that a look are not told.
const RING: usize = 1 << 10;

/// A stage whose thread is watched.
pub struct Watchful<S> {
    stage: S,
    last: Nanos,
    was_idle: bool,
    gaps: RecordProducer<u64>,
}

impl<S: Stage> Watchful<S> {
    /// `stage`, and where the gaps of its thread come out, in nanoseconds.
    pub fn new(stage: S) -> (Watchful<S>, RecordConsumer<u64>) {
        let (gaps, out) = ring::records(RING);
        (Watchful { stage, last: Nanos(0), was_idle: false, gaps }, out)
    }
}

impl<S: Stage> Stage for Watchful<S> {
    fn name(&self) -> &'static str {
        self.stage.name()
    }

    #[inline]
    fn turn(&mut self, now: Nanos) -> Turn {
        let gap = now.since(self.last);
        if self.was_idle && gap >= GAP_NS_MIN {
            // A full ring holds a thousand gaps that nobody looked at yet: enough of a picture.
            let _ = self.gaps.push(gap);
        }
        let turn = self.stage.turn(now);
        self.was_idle = turn == Turn::Idle;
        self.last = now;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does what it is told, in order.
    struct Told(std::vec::IntoIter<Turn>);

    impl Stage for Told {
        fn name(&self) -> &'static str {
            "told"
        }
        fn turn(&mut self, _: Nanos) -> Turn {
            self.0.next().unwrap_or(Turn::Done)
        }
    }

    #[test]
    fn only_a_long_gap_between_idle_turns_is_the_hosts() {
        let turns = vec![Turn::Idle, Turn::Idle, Turn::Busy, Turn::Idle, Turn::Idle];
        let (mut stage, mut gaps) = Watchful::new(Told(turns.into_iter()));
        // Between the third and the fourth turn the stage worked for 90 µs.
        for at in [1_000, 2_000, 3_000, 93_000, 94_000, 150_000] {
            stage.turn(Nanos(at));
        }
        assert_eq!((gaps.pop(), gaps.pop()), (Some(56_000), None));
    }
}
