//! What a stage says about time: raw counter values, sent to a recorder on another thread.
//!
//! A stage holds a [`Probe`] and marks each event that passes its boundary: one counter read and one
//! push, no arithmetic and no histogram. The recorder (in `tools` and `bench`, where the histograms
//! and their floating-point dependency live) drains the other end. Telemetry drops when its ring is
//! full, and counts what it dropped. Deliberately absent: histograms, percentiles, text.

use crate::clock::Counter;
use crate::ring::{self, RecordConsumer, RecordProducer};
use crate::units::Stamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A boundary that an event passes on its way, in the order of the way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[repr(u8)]
pub enum Mark {
    /// Its bytes were decoded and published to the market ring.
    Decoded,
    /// The maker took it from its ring.
    MakerIn,
    /// The maker had decided, and published its intents.
    MakerOut,
    /// Order entry took the intent from its ring.
    IntentIn,
    /// The order message's bytes were ready.
    Encoded,
    /// The socket had taken them: tick-to-order.
    Written,
    /// The venue's answer to an order was read; measured from the order's own socket write.
    Acknowledged,
}

impl Mark {
    /// All marks, in the order of the way.
    pub const ALL: [Mark; 7] = [
        Mark::Decoded,
        Mark::MakerIn,
        Mark::MakerOut,
        Mark::IntentIn,
        Mark::Encoded,
        Mark::Written,
        Mark::Acknowledged,
    ];

    /// The name in reports and file names.
    pub const fn name(self) -> &'static str {
        match self {
            Mark::Decoded => "decoded",
            Mark::MakerIn => "maker_in",
            Mark::MakerOut => "maker_out",
            Mark::IntentIn => "intent_in",
            Mark::Encoded => "encoded",
            Mark::Written => "written",
            Mark::Acknowledged => "acknowledged",
        }
    }
}

/// One event at one boundary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// The stamp of the arrival that caused it; it tells events apart.
    pub origin: Stamp,
    /// Counter steps from that arrival to the boundary.
    pub steps: u64,
    /// Which boundary.
    pub mark: Mark,
}

/// Where a stage marks what passes; one a stage, owned by it.
#[derive(Debug)]
pub struct Probe {
    counter: Counter,
    out: RecordProducer<Sample>,
    dropped: Arc<AtomicU64>,
}

/// The other end of a [`Probe`]: samples in the order of their marking, and how many are missing.
#[derive(Debug)]
pub struct Samples {
    out: RecordConsumer<Sample>,
    dropped: Arc<AtomicU64>,
}

impl Samples {
    /// The oldest sample, where there is one.
    #[inline]
    pub fn pop(&mut self) -> Option<Sample> {
        self.out.pop()
    }

    /// Whether the stage is gone and all that it marked was taken.
    pub fn is_disconnected(&mut self) -> bool {
        self.out.is_disconnected()
    }

    /// How many samples found the ring full, so far: whoever shows percentiles shows this beside them,
    /// or the worst minutes are missing unseen.
    pub fn dropped(&self) -> u64 {
        // Relaxed: nothing is read on the strength of it.
        self.dropped.load(Ordering::Relaxed)
    }
}

/// A probe and the samples that come out of it; `capacity` samples may wait for the recorder.
pub fn probe(counter: Counter, capacity: usize) -> (Probe, Samples) {
    let (into, out) = ring::records(capacity);
    let dropped = Arc::new(AtomicU64::new(0));
    (Probe { counter, out: into, dropped: dropped.clone() }, Samples { out, dropped })
}

impl Probe {
    /// Reads the counter and records how long after `origin` the event passed `mark`. An event that
    /// was never stamped (a backtest's) is not recorded.
    #[inline]
    pub fn mark(&mut self, mark: Mark, origin: Stamp) {
        if origin.0 != 0 {
            let now = self.counter.stamp();
            self.record(mark, origin, now);
        }
    }

    /// As [`Self::mark`], at a moment that was read already: one reading serves several intents.
    #[inline]
    pub fn record(&mut self, mark: Mark, origin: Stamp, now: Stamp) {
        let sample = Sample { origin, steps: now.0.saturating_sub(origin.0), mark };
        if self.out.push(sample).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counter that it reads, for arrivals.
    pub fn counter(&self) -> Counter {
        self.counter
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_drops_samples_and_counts_them() {
        let (mut probe, mut samples) = probe(Counter::monotonic(), 2);
        for n in 1..=3 {
            probe.record(Mark::Written, Stamp(10), Stamp(10 + n));
        }
        assert_eq!(samples.dropped(), 1);
        assert_eq!(samples.pop().map(|s| (s.origin, s.steps)), Some((Stamp(10), 1)));
    }

    #[test]
    fn an_event_without_a_stamp_is_not_measured() {
        let (mut probe, mut samples) = probe(Counter::monotonic(), 2);
        probe.mark(Mark::MakerIn, Stamp(0));
        assert_eq!(samples.pop(), None);
        let origin = probe.counter().stamp();
        probe.mark(Mark::MakerIn, origin);
        assert_eq!(samples.pop().map(|s| (s.origin, s.mark)), Some((origin, Mark::MakerIn)));
    }

    #[test]
    fn marks_stand_in_the_order_of_the_way() {
        assert!(Mark::ALL.is_sorted());
    }
}
