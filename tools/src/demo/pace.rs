//! Keeps the simulated venue from running ahead of the maker.
//!
//! Fed by the maker's [`Progress`] and by what the venue has [`Told`]; asked by the venue before each
//! thing that happens. On the venue's thread.
//!
//! The maker has consumed the market up to `c`. Whatever it sends from now on carries a time of at
//! least `c` and arrives an order latency later, so all up to `c + latency` may happen. Beyond that the
//! venue waits until the maker has consumed everything that it was told and the venue has heard
//! everything that the maker sent: then nothing is on its way that could still change the past.

use super::ending::VenueOver;
use crate::venue::fix_face::{Pace, Told};
use ballast_engine::maker::stage::Progress;
use ballast_engine::units::Nanos;
use std::sync::Arc;

/// A message that the maker's side dropped (an answer to a question that it no longer asks) would be
/// waited for in vain: after so long without any progress the tape goes on.
const PATIENCE_NS: u64 = 200_000_000;

/// The venue waits for the maker.
pub struct Lockstep {
    progress: Arc<Progress>,
    latency_ns: u64,
    over: VenueOver,
    /// Since when nothing moved, and what stood then.
    waiting: Option<(Nanos, Told, Nanos)>,
}

impl Lockstep {
    /// A pace over the maker's progress. Counts the times that its patience ended in `over`.
    pub fn new(progress: Arc<Progress>, latency_ns: u64, over: VenueOver) -> Lockstep {
        Lockstep { progress, latency_ns, over, waiting: None }
    }
}

impl Pace for Lockstep {
    fn is_quiet(&self, told: &Told) -> bool {
        // Consumed first, intents last: an intent is counted before the input that caused it.
        self.progress.consumed() >= told.published_at
            && self.progress.reports() >= told.reports
            && told.heard >= self.progress.intents()
    }

    fn may_release(&mut self, now: Nanos, tape_time: Nanos, told: &Told) -> bool {
        let consumed = self.progress.consumed();
        if tape_time <= consumed.plus(self.latency_ns) || self.is_quiet(told) {
            self.waiting = None;
            return true;
        }
        match self.waiting {
            Some((since, then, at)) if then == *told && at == consumed => {
                if now.since(since) < PATIENCE_NS {
                    return false;
                }
                self.over.count_lapse();
                self.waiting = None;
                true
            }
            Some(_) | None => {
                self.waiting = Some((now, *told, consumed));
                false
            }
        }
    }
}
