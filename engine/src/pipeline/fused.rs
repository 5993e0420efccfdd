//! Several stages as one.
//!
//! Fed with stages by whoever builds a pipeline, and with turns by the thread that it sits on, or by a
//! virtual run with its own time. Hot: a loop over its parts. Where one of them panics it is taken out
//! alone. Deliberately absent: catching the panic; the runner does, and a virtual run lets it pass.

use crate::stage::{Stage, Turn};
use crate::units::Nanos;
use thiserror::Error;

/// Several stages as one: they take their turns in order, on the thread that turns this one.
pub struct Fused<'a> {
    name: &'static str,
    /// `None` once done.
    stages: Vec<Option<Box<dyn Stage + 'a>>>,
    /// Which of them has its turn, or had the last one.
    at: usize,
}

/// The stages were still busy after this many turns at one moment: two of them keep each other so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error(
    "the stages were still busy after {turns} turns at {now:?}: they feed each other endlessly"
)]
pub struct NeverIdle {
    /// Turns given.
    pub turns: u32,
    /// The virtual time of all of them.
    pub now: Nanos,
}

impl<'a> Fused<'a> {
    /// A stage of this name that has no parts yet.
    pub fn new(name: &'static str) -> Fused<'a> {
        Fused { name, stages: Vec::new(), at: 0 }
    }

    /// Adds a stage that takes its turn after the ones already here.
    pub fn then(mut self, stage: impl Stage + 'a) -> Fused<'a> {
        self.stages.push(Some(Box::new(stage)));
        self
    }

    /// Gives turns at the same virtual time until no stage has anything to do at it, so that the
    /// caller may move time on. [`Turn::Idle`], or [`Turn::Done`] when every stage is.
    pub fn settle(&mut self, now: Nanos, turns_max: u32) -> Result<Turn, NeverIdle> {
        for _ in 0..turns_max {
            match self.turn(now) {
                Turn::Busy => {}
                settled @ (Turn::Idle | Turn::Done) => return Ok(settled),
            }
        }
        Err(NeverIdle { turns: turns_max, now })
    }
}

impl Stage for Fused<'_> {
    fn name(&self) -> &'static str {
        self.name
    }

    /// Busy if any stage was, done when all are.
    #[inline]
    fn turn(&mut self, now: Nanos) -> Turn {
        let mut whole = Turn::Done;
        for (at, place) in self.stages.iter_mut().enumerate() {
            let Some(stage) = place else { continue };
            self.at = at;
            match (stage.turn(now), whole) {
                (Turn::Busy, _) => whole = Turn::Busy,
                (Turn::Idle, Turn::Done) => whole = Turn::Idle,
                (Turn::Idle, Turn::Busy | Turn::Idle) => {}
                (Turn::Done, _) => *place = None,
            }
        }
        whole
    }

    fn take_panicked(&mut self) -> Option<Box<dyn Stage + '_>> {
        let part = self.stages.get_mut(self.at)?.take()?;
        Some(part)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn stages_that_never_settle_are_an_error_not_a_hang() {
        struct Restless;
        impl Stage for Restless {
            fn name(&self) -> &'static str {
                "restless"
            }
            fn turn(&mut self, _now: Nanos) -> Turn {
                Turn::Busy
            }
        }
        let mut fused = Fused::new("virtual").then(Restless);
        assert_eq!(fused.settle(Nanos(5), 7), Err(NeverIdle { turns: 7, now: Nanos(5) }));
    }
}
