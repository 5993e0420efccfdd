//! A line over time in bounded memory: what a picture of a thousand pixels can show, and no more.
//!
//! Fed by `recorder`; feeds the charts. Off the hot path, floating point: pictures only, never money.
//! A bucket keeps first, lowest, highest and last value, so that no spike is smoothed away; when the
//! buckets run out, neighbours merge and each lasts twice as long. Absent: the values themselves.

use ballast_engine::units::Nanos;

/// Most buckets a series holds.
pub const BUCKETS_MAX: usize = 2048;
/// A bucket's length at the start.
const BUCKET_NS: u64 = 1_000_000;

/// What happened to a value during one bucket. `last` is `None` where the line is interrupted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bucket {
    index: u64,
    /// When its first value came.
    pub at: Nanos,
    /// Its first value.
    pub first: f64,
    /// Its lowest.
    pub low: f64,
    /// Its highest.
    pub high: f64,
    /// What it was at the end.
    pub last: Option<f64>,
}

impl Bucket {
    fn merge(&mut self, later: &Bucket) {
        self.low = self.low.min(later.low);
        self.high = self.high.max(later.high);
        self.last = later.last;
    }
}

/// A value over time.
#[derive(Clone, Debug)]
pub struct Series {
    origin: Option<Nanos>,
    bucket_ns: u64,
    buckets: Vec<Bucket>,
}

impl Default for Series {
    fn default() -> Self {
        Series { origin: None, bucket_ns: BUCKET_NS, buckets: Vec::new() }
    }
}

impl Series {
    /// Nothing yet.
    pub fn new() -> Series {
        Series::default()
    }

    /// The value is `value` from `at` on; `None` interrupts the line. A time before the last one counts
    /// as the last one; what is not finite interrupts.
    pub fn push(&mut self, at: Nanos, value: Option<f64>) {
        let value = value.filter(|value| value.is_finite());
        let origin = *self.origin.get_or_insert(at);
        if self.last() == value && !self.buckets.is_empty() {
            return;
        }
        let mut index = at.since(origin) / self.bucket_ns;
        if let Some(bucket) = self.buckets.last_mut()
            && index <= bucket.index
        {
            bucket.last = value;
            if let Some(value) = value {
                bucket.low = bucket.low.min(value);
                bucket.high = bucket.high.max(value);
            }
            return;
        }
        while self.buckets.len() >= BUCKETS_MAX {
            self.halve();
            index = at.since(origin) / self.bucket_ns;
        }
        let shown = value.or_else(|| self.buckets.last().and_then(|bucket| bucket.last));
        let Some(shown) = shown else { return };
        let bucket = Bucket { index, at, first: shown, low: shown, high: shown, last: value };
        match self.buckets.last_mut() {
            Some(before) if before.index >= index => before.merge(&bucket),
            _ => self.buckets.push(bucket),
        }
    }

    fn halve(&mut self) {
        self.bucket_ns = self.bucket_ns.saturating_mul(2);
        let mut merged: Vec<Bucket> = Vec::with_capacity(self.buckets.len());
        for bucket in &self.buckets {
            let bucket = Bucket { index: bucket.index / 2, ..*bucket };
            match merged.last_mut() {
                Some(before) if before.index == bucket.index => before.merge(&bucket),
                _ => merged.push(bucket),
            }
        }
        self.buckets = merged;
    }

    /// Its buckets, oldest first.
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// The value at the end.
    pub fn last(&self) -> Option<f64> {
        self.buckets.last().and_then(|bucket| bucket.last)
    }

    /// The value at the end, or where the line is interrupted the one before.
    pub fn last_known(&self) -> Option<f64> {
        let mut known = self.buckets.iter().rev();
        known.find_map(|bucket| bucket.last)
    }

    /// Lowest and highest value within a span.
    pub fn range_within(&self, span: (Nanos, Nanos)) -> Option<(f64, f64)> {
        let inside = self.buckets.iter().filter(|b| span.0 <= b.at && b.at <= span.1);
        inside.map(|bucket| (bucket.low, bucket.high)).reduce(widen)
    }

    /// The value that it started with.
    pub fn first(&self) -> Option<f64> {
        self.buckets.first().map(|bucket| bucket.first)
    }

    /// Lowest and highest value ever.
    pub fn range(&self) -> Option<(f64, f64)> {
        self.buckets.iter().map(|bucket| (bucket.low, bucket.high)).reduce(widen)
    }

    /// The greatest distance from zero.
    pub fn abs_max(&self) -> f64 {
        self.range().map_or(0.0, |(low, high)| low.abs().max(high.abs()))
    }
}

/// The range that holds both.
pub fn widen(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0.min(b.0), a.1.max(b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_survives_any_number_of_values() {
        let mut series = Series::new();
        for n in 0..1_000_000u64 {
            let value = if n == 345_678 { 99.0 } else { (n % 7) as f64 };
            series.push(Nanos(n * 500_000), Some(value));
        }
        assert!(series.buckets().len() <= BUCKETS_MAX);
        assert!(series.buckets().len() >= BUCKETS_MAX / 4);
        assert_eq!(series.range(), Some((0.0, 99.0)));
        assert_eq!(series.last(), Some(((1_000_000u64 - 1) % 7) as f64));
    }

    #[test]
    fn an_interruption_ends_the_line_and_keeps_its_range() {
        let mut series = Series::new();
        series.push(Nanos(0), Some(1.0));
        series.push(Nanos(10_000_000), None);
        assert_eq!(series.last(), None);
        assert_eq!(series.range(), Some((1.0, 1.0)));
        series.push(Nanos(20_000_000), Some(f64::NAN));
        assert_eq!(
            series.buckets().len(),
            2,
            "what is not finite interrupts, and it is so already"
        );
    }

    #[test]
    fn time_that_runs_backwards_counts_as_now() {
        let mut series = Series::new();
        series.push(Nanos(50_000_000), Some(1.0));
        series.push(Nanos(10_000_000), Some(2.0));
        assert_eq!(series.buckets().len(), 1);
        assert_eq!(series.last(), Some(2.0));
    }

    #[test]
    fn a_pause_of_years_costs_no_memory() {
        let mut series = Series::new();
        for n in 0..5_000u64 {
            series.push(Nanos(n * 86_400_000_000_000 * 30), Some(n as f64));
        }
        assert!(series.buckets().len() <= BUCKETS_MAX);
        assert_eq!(series.range(), Some((0.0, 4_999.0)));
    }
}
