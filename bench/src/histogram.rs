//! Latency histograms and what is said about several runs.
//!
//! Filled by every benchmark after the timed part or from its samples; feeds the text, JSON, `.hgrm`
//! and HTML reports. Values are held in picoseconds, because a stage below 100 ns is timed in batches
//! (the counter steps in 10 ns on some hosts) and its share is a fraction of a nanosecond.

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// 1,000 s: longer than any run.
const VALUE_MAX_PS: u64 = 1_000_000_000_000_000;

/// Every latency of one measurement.
#[derive(Clone)]
pub struct Latencies {
    all: Histogram<u64>,
    /// A value is the mean of a batch: its tail is not that of single events.
    is_of_batches: bool,
}

impl Default for Latencies {
    fn default() -> Latencies {
        Latencies::new()
    }
}

impl Latencies {
    /// None yet.
    pub fn new() -> Latencies {
        let mut all = Histogram::new_with_bounds(1, VALUE_MAX_PS, 3).expect("valid bounds");
        // Touched: a page that is first written while something is timed would be timed too.
        all.reset();
        Latencies { all, is_of_batches: false }
    }

    /// One event that took `ns`.
    pub fn record_ns(&mut self, ns: u64) {
        self.all.saturating_record(ns.saturating_mul(1_000));
    }

    /// One batch of `count` events that took `ns` together, as one value: the mean of the batch.
    pub fn record_batch(&mut self, ns: u64, count: u64) {
        self.is_of_batches |= count > 1;
        self.all.saturating_record(ns.saturating_mul(1_000) / count.max(1));
    }

    /// Takes in all values of another run.
    pub fn merge(&mut self, other: &Latencies) {
        self.all.add(&other.all).expect("same bounds");
        self.is_of_batches |= other.is_of_batches;
    }

    /// What one value is: with batches, percentiles are those of the batches' means.
    pub fn of(&self) -> &'static str {
        if self.is_of_batches { "batch means" } else { "single events" }
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.all.len()
    }

    /// The value below which `quantile` (0 to 1) of all values lie, in ns.
    pub fn at(&self, quantile: f64) -> f64 {
        self.all.value_at_quantile(quantile) as f64 / 1_000.0
    }

    /// The longest, in ns.
    pub fn max(&self) -> f64 {
        self.all.max() as f64 / 1_000.0
    }

    /// Percentiles to p99.99, max and count.
    pub fn to_json(&self) -> Value {
        json!({
            "of": self.of(),
            "count": self.count(),
            "min": self.all.min() as f64 / 1_000.0,
            "mean": (self.all.mean() / 100.0).round() / 10.0,
            "p50": self.at(0.5),
            "p90": self.at(0.9),
            "p99": self.at(0.99),
            "p999": self.at(0.999),
            "p9999": self.at(0.9999),
            "max": self.max(),
        })
    }

    /// One line for people.
    pub fn line(&self) -> String {
        format!(
            "p50 {:>8.1}  p90 {:>8.1}  p99 {:>9.1}  p99.9 {:>10.1}  p99.99 {:>10.1}  max {:>11.0}  n {}{}",
            self.at(0.5),
            self.at(0.9),
            self.at(0.99),
            self.at(0.999),
            self.at(0.9999),
            self.max(),
            self.count(),
            if self.is_of_batches { " batches" } else { "" }
        )
    }

    /// The percentile distribution in HdrHistogram's own text format, in ns, for its plotters.
    pub fn hgrm(&self) -> String {
        let mut text = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
        for point in self.points() {
            let tail = if point.percentile >= 1.0 {
                "inf".to_owned()
            } else {
                format!("{:.2}", 1.0 / (1.0 - point.percentile))
            };
            let _ = writeln!(
                text,
                "{:12.3} {:2.12} {:10} {:>14}",
                point.ns, point.percentile, point.count, tail
            );
        }
        let _ = writeln!(
            text,
            "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]",
            self.all.mean() / 1_000.0,
            self.all.stdev() / 1_000.0
        );
        let _ = writeln!(
            text,
            "#[Max     = {:12.3}, Total count    = {:12}]",
            self.max(),
            self.count()
        );
        text
    }

    /// The percentile distribution, five points for each halving of the distance to 100 %.
    pub fn points(&self) -> Vec<Point> {
        let mut count = 0;
        self.all
            .iter_quantiles(5)
            .map(|step| {
                count += step.count_since_last_iteration();
                Point {
                    ns: step.value_iterated_to() as f64 / 1_000.0,
                    percentile: step.quantile_iterated_to(),
                    count,
                }
            })
            .collect()
    }
}

/// One point of a percentile distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The value, in ns.
    pub ns: f64,
    /// Which part of all values is at most that, 0 to 1.
    pub percentile: f64,
    /// How many values that are.
    pub count: u64,
}

/// Runs below which there is no median to speak of: what is promised is promised of at least so many.
pub const RUNS_MIN: usize = 7;

/// How many of the sorted figures at each end lie outside the median's interval of 95 %: the median of what
/// the runs are drawn from is beyond the next one with 2.5 % at most. By the binomial distribution of how
/// many runs fall below it; beyond a thousand runs by the normal one, a rank further out.
fn ranks_left_out(runs: usize) -> usize {
    const EXACT_MAX: usize = 1_000;
    if runs > EXACT_MAX {
        return ((runs as f64 - 1.96 * (runs as f64).sqrt()) / 2.0) as usize - 1;
    }
    let (mut term, mut below) = (0.5f64.powi(runs as i32), 0.0);
    let is_within = |rank: &usize| {
        below += term;
        term *= (runs - rank) as f64 / (rank + 1) as f64;
        below <= 0.025
    };
    (0..runs).take_while(is_within).count().saturating_sub(1)
}

/// What several runs of one thing gave: the median, and where it lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OverRuns {
    /// The median over the runs.
    pub median: f64,
    /// Where the median lies with 95 % confidence (order statistics, no assumption of shape); `None` of
    /// fewer than [`RUNS_MIN`] runs, which cannot say.
    pub ci95: Option<[f64; 2]>,
    /// How many runs.
    pub runs: usize,
}

impl OverRuns {
    /// Of one figure a run; `None` of no runs.
    pub fn of(mut figures: Vec<f64>) -> Option<OverRuns> {
        figures.sort_by(f64::total_cmp);
        let runs = figures.len();
        let last = runs.checked_sub(1)?;
        let median = (figures[last / 2] + figures[runs / 2]) / 2.0;
        let margin = ranks_left_out(runs);
        let ci95 = (runs >= RUNS_MIN).then(|| [figures[margin], figures[last - margin]]);
        Some(OverRuns { median, ci95, runs })
    }

    /// As JSON, rounded to thousandths.
    pub fn to_json(self) -> Value {
        let round = |value: f64| (value * 1_000.0).round() / 1_000.0;
        json!({
            "median": round(self.median),
            "ci95": self.ci95.map(|ends| ends.map(round)),
            "runs": self.runs,
        })
    }

    /// The interval for people, with `digits` decimals.
    pub fn interval(self, digits: usize) -> String {
        match self.ci95 {
            Some([low, high]) => format!("{low:.digits$} – {high:.digits$}"),
            None => "too few runs".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_counts_once_with_its_mean() {
        let mut latencies = Latencies::new();
        latencies.record_batch(640, 64);
        latencies.record_ns(30);
        assert_eq!(latencies.count(), 2);
        assert!((latencies.at(0.5) - 10.0).abs() < 0.1);
        assert!((latencies.max() - 30.0).abs() < 0.1);
    }

    #[test]
    fn means_of_batches_are_called_that() {
        let (mut single, mut batch) = (Latencies::new(), Latencies::new());
        single.record_ns(10);
        batch.record_batch(640, 64);
        assert_eq!((single.of(), batch.of()), ("single events", "batch means"));
        single.merge(&batch);
        assert!(single.line().ends_with("n 2 batches"), "{}", single.line());
    }

    #[test]
    fn the_percentile_text_ends_at_the_maximum_with_every_value_counted() {
        let mut latencies = Latencies::new();
        (1..=1_000).for_each(|ns| latencies.record_ns(ns));
        let last = *latencies.points().last().unwrap();
        assert_eq!((last.percentile, last.count), (1.0, 1_000));
        assert!(latencies.hgrm().contains("Total count    =         1000]"));
    }

    #[test]
    fn the_median_over_runs_ignores_one_disturbed_run() {
        let over = OverRuns::of(vec![10.0, 11.0, 500.0, 9.0, 10.0, 12.0, 10.0]).unwrap();
        assert_eq!((over.median, over.ci95, over.runs), (10.0, Some([9.0, 500.0]), 7));
        assert_eq!(OverRuns::of(Vec::new()), None);
        let many = OverRuns::of((0..100).map(f64::from).collect()).unwrap();
        assert_eq!((many.median, many.ci95), (49.5, Some([39.0, 60.0])));
        // Of eight, one left out at each end would leave 93 %; of eleven, two.
        for (runs, out) in [(7, 0), (8, 0), (9, 1), (11, 1), (12, 2), (1_000, 468), (1_001, 468)] {
            assert_eq!(ranks_left_out(runs), out, "{runs} runs");
        }
        let few = OverRuns::of(vec![1.0, 2.0]).unwrap();
        assert_eq!((few.ci95, few.to_json()["ci95"].is_null()), (None, true), "two say nothing");
    }
}
