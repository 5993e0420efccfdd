//! What a stage is: a value that does a bounded piece of work each time it gets a turn.
//!
//! Feed, maker, order entry and recorder are stages; the runners in [`crate::pipeline`] give them
//! their turns, on a core each, together on one, or in virtual time. Any thread, one at a time.
//! Deliberately absent: clocks (time is an argument) and waiting (an idle stage says so, and its
//! runner knows what to do about it).

use crate::units::Nanos;

/// What a turn came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Work was done; there may be more.
    Busy,
    /// There was nothing to do.
    Idle,
    /// This stage will never have anything to do again: it gets no more turns and is dropped, so that
    /// its rings tell their other ends.
    Done,
}

/// A part of the pipeline that runs on one thread.
///
/// A turn is bounded and never blocks: a runner can stop a stage only between two turns. A stage that
/// winds down (cancels its orders, logs out) does so over as many turns as it takes, then says
/// [`Turn::Done`].
pub trait Stage: Send {
    /// The thread's name and the one that errors and reports use; at most 15 bytes show in `top`.
    fn name(&self) -> &'static str;

    /// Does what there is to do, up to the stage's own bound. `now` never goes back.
    fn turn(&mut self, now: Nanos) -> Turn;

    /// After a panic in a turn: the part that panicked, taken out so that the rest can go on. `None` where
    /// the stage is one piece: it gets no more turns.
    fn take_panicked(&mut self) -> Option<Box<dyn Stage + '_>> {
        None
    }
}

impl<S: Stage + ?Sized> Stage for &mut S {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    #[inline]
    fn turn(&mut self, now: Nanos) -> Turn {
        (**self).turn(now)
    }

    fn take_panicked(&mut self) -> Option<Box<dyn Stage + '_>> {
        (**self).take_panicked()
    }
}

impl<S: Stage + ?Sized> Stage for Box<S> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    #[inline]
    fn turn(&mut self, now: Nanos) -> Turn {
        (**self).turn(now)
    }

    fn take_panicked(&mut self) -> Option<Box<dyn Stage + '_>> {
        (**self).take_panicked()
    }
}
