//! The host's own stalls, as a hot thread sees them: how long nothing happened on it while it had nothing
//! to do.
//!
//! Around what sits on a hot core, fed with the time that the runner reads anyway; feeds the back office,
//! which shows them beside every latency, so that nobody reads the host's stalls as ours. A subtraction a
//! turn, nothing an event. Between two idle turns there is nothing but the stages' own looks at their
//! sockets and rings, so what is longer than [`GAP_NS_MIN`] and [`LOOK_NS_MAX`] a session was somebody else.

use ballast_engine::ring::{self, RecordConsumer, RecordProducer};
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::Nanos;

/// A gap below this may be the turn itself.
pub const GAP_NS_MIN: u64 = 20_000;
/// And this for each session, at whose socket it looks: a system call.
pub const LOOK_NS_MAX: u64 = 1_000;
/// Gaps that may wait for the back office; more of them than that a look are not told.
const RING: usize = 1 << 10;

/// A stage whose thread is watched.
pub struct Watchful<S> {
    stage: S,
    last: Nanos,
    was_idle: bool,
    gap_ns_min: u64,
    gaps: RecordProducer<u64>,
}

impl<S: Stage> Watchful<S> {
    /// `stage`, which looks after so many sessions, and where the gaps of its thread come out, in
    /// nanoseconds.
    pub fn new(stage: S, sessions: usize) -> (Watchful<S>, RecordConsumer<u64>) {
        let (gaps, out) = ring::records(RING);
        let sessions = u64::try_from(sessions).unwrap_or(u64::MAX);
        let gap_ns_min = GAP_NS_MIN.saturating_add(sessions.saturating_mul(LOOK_NS_MAX));
        (Watchful { stage, last: Nanos(0), was_idle: false, gap_ns_min, gaps }, out)
    }
}

impl<S: Stage> Stage for Watchful<S> {
    fn name(&self) -> &'static str {
        self.stage.name()
    }

    #[inline]
    fn turn(&mut self, now: Nanos) -> Turn {
        let gap = now.since(self.last);
        if self.was_idle && gap >= self.gap_ns_min {
            // A full ring holds a thousand gaps that nobody looked at yet: enough of a picture.
            let _ = self.gaps.push(gap);
        }
        let turn = self.stage.turn(now);
        self.was_idle = turn == Turn::Idle;
        self.last = now;
        turn
    }

    fn take_panicked(&mut self) -> Option<Box<dyn Stage + '_>> {
        self.stage.take_panicked()
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
        let (mut stage, mut gaps) = Watchful::new(Told(turns.into_iter()), 2);
        // Between the third and the fourth turn the stage worked for 90 µs.
        for at in [1_000, 2_000, 3_000, 93_000, 94_000, 150_000] {
            stage.turn(Nanos(at));
        }
        assert_eq!((gaps.pop(), gaps.pop()), (Some(56_000), None));
    }

    #[test]
    fn looking_after_many_sessions_takes_longer_and_is_not_the_hosts() {
        for (sessions, is_told) in [(2, true), (128, false)] {
            let turns = vec![Turn::Idle; 3];
            let (mut stage, mut gaps) = Watchful::new(Told(turns.into_iter()), sessions);
            for at in [1_000, 101_000, 201_000] {
                stage.turn(Nanos(at));
            }
            assert_eq!(gaps.pop().is_some(), is_told, "{sessions} sessions");
        }
    }
}
