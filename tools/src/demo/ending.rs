//! When a demo ends: the tape is over and the maker has consumed it, or a signal came.
//!
//! Fed by the venue's thread and by SIGINT and SIGTERM; asked by the back office, which then tells the
//! maker to cancel everything.

use crate::back_office::EndWhen;
use ballast_engine::units::Nanos;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What the venue says about its end.
#[derive(Clone, Debug, Default)]
pub struct VenueOver {
    is_over: Arc<AtomicBool>,
    lapses: Arc<AtomicU64>,
}

impl VenueOver {
    /// The tape is over and consumed, or it failed.
    pub fn set(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// Was it said?
    pub fn is_set(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// The venue went on without the maker once.
    pub fn count_lapse(&self) {
        self.lapses.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it did.
    pub fn lapses(&self) -> u64 {
        self.lapses.load(Ordering::Relaxed)
    }
}

/// Ends a demo.
#[derive(Clone)]
pub struct Ending {
    over: VenueOver,
    interrupted: Arc<AtomicBool>,
    has_ended: Arc<AtomicBool>,
}

impl Ending {
    /// Listens for SIGINT and SIGTERM from now on. A host that refuses the handlers still has the
    /// tape's end.
    pub fn new(over: VenueOver) -> Ending {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            let _ = signal_hook::flag::register(signal, interrupted.clone());
        }
        Ending { over, interrupted, has_ended: Arc::new(AtomicBool::new(false)) }
    }

    /// Did the back office hear that it is over?
    pub fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }
}

impl EndWhen for Ending {
    fn is_over(&mut self, _: Nanos) -> bool {
        let is_over = self.over.is_set() || self.interrupted.load(Ordering::Acquire);
        if is_over {
            self.has_ended.store(true, Ordering::Release);
        }
        is_over
    }
}
