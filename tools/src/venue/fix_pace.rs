//! Whether the venue's tape may go on, and what that is decided by.
//!
//! Asked by `fix_face.rs` before each thing that happens. The venue's thread. Deliberately absent: the
//! demo's own pace, which waits for its maker.

use ballast_engine::units::Nanos;

/// What the venue has told its clients and heard from them, for a [`Pace`] to compare with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Told {
    /// Time of the last market data that went to a subscriber.
    pub published_at: Nanos,
    /// Reports on orders.
    pub reports: u64,
    /// Order messages that were heard, refused ones included.
    pub heard: u64,
}

/// Whether the tape may go on: asked before each thing that happens.
pub trait Pace: Send {
    /// May what is due at `tape_time` happen now? `now` is the wall's time.
    fn may_release(&mut self, now: Nanos, tape_time: Nanos, told: &Told) -> bool;

    /// Have the clients consumed all that they were told, and is nothing of theirs on its way?
    fn is_quiet(&self, told: &Told) -> bool;
}

/// Nobody is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Unpaced;

impl Pace for Unpaced {
    fn may_release(&mut self, _: Nanos, _: Nanos, _: &Told) -> bool {
        true
    }

    fn is_quiet(&self, _: &Told) -> bool {
        true
    }
}
