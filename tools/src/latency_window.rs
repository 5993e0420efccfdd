//! Latencies as they are shown: since the start, and of the last whole ten seconds alone.
//!
//! Fed by the back office with what the stages marked; feeds the standing and the report's recorder.
//! Percentiles since the start cannot show that the last minutes became slow: the windows do. Cold.

use crate::operator::standing::Latency;
use crate::report::recorder::latency_histogram;
use ballast_engine::units::Nanos;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// How long a window is.
pub const WINDOW_NS: u64 = 10_000_000_000;

/// One window at a time, a histogram a stretch of the way.
#[derive(Debug, Default)]
pub struct LatencyWindow {
    open: BTreeMap<&'static str, Histogram<u64>>,
    opened_at: Option<Nanos>,
}

impl LatencyWindow {
    /// One latency, in nanoseconds.
    pub fn record(&mut self, name: &'static str, nanos: u64) {
        self.open.entry(name).or_insert_with(latency_histogram).saturating_record(nanos);
    }

    /// The window's percentiles where it is over; the next one begins. A stretch in which nothing
    /// happened is left out.
    pub fn turn(&mut self, now: Nanos) -> Option<Vec<Latency>> {
        let opened_at = *self.opened_at.get_or_insert(now);
        if now.since(opened_at) < WINDOW_NS {
            return None;
        }
        self.opened_at = Some(now);
        let seen = self.open.iter().filter(|(_, histogram)| !histogram.is_empty());
        let told = seen.map(|(name, histogram)| Latency::of(name, histogram)).collect();
        self.open.values_mut().for_each(Histogram::reset);
        Some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_knows_its_own_ten_seconds_alone() {
        let mut window = LatencyWindow::default();
        assert_eq!(window.turn(Nanos(1)), None);
        (0..1_000).for_each(|_| window.record("written", 100));
        let first = window.turn(Nanos(1 + WINDOW_NS)).unwrap();
        assert_eq!((first.len(), first[0].count, first[0].nanos[0]), (1, 1_000, 100));
        window.record("written", 9_000);
        assert_eq!(window.turn(Nanos(2 + WINDOW_NS)), None, "not over yet");
        let second = window.turn(Nanos(1 + 2 * WINDOW_NS)).unwrap();
        assert!(second[0].nanos[0] >= 9_000, "the first thousand do not hide it: {second:?}");
        assert_eq!(window.turn(Nanos(1 + 3 * WINDOW_NS)), Some(Vec::new()));
    }
}
