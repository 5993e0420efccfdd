//! Latency histograms as `.hgrm` text, the format that HdrHistogram's own plotter reads.
//!
//! Fed by a run's histograms; feeds files beside the report. Values are in microseconds, as that
//! format's users expect; counts and percentiles are exact to the histogram's three digits.

use hdrhistogram::Histogram;
use std::fmt::Write;

/// Nanoseconds in the format's unit.
const UNIT_NS: f64 = 1_000.0;
/// Lines per halving of the distance to 100 %.
const TICKS_PER_HALF_DISTANCE: u32 = 5;

/// A histogram's percentile distribution.
pub fn text(histogram: &Histogram<u64>) -> String {
    let mut out = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
    for step in histogram.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        let value = step.value_iterated_to() as f64 / UNIT_NS;
        let quantile = step.quantile_iterated_to();
        let count = histogram.count_between(0, step.value_iterated_to());
        let _ = write!(out, "{value:12.3} {quantile:2.12} {count:10}");
        let _ = match quantile {
            q if q < 1.0 => writeln!(out, " {:14.2}", 1.0 / (1.0 - q)),
            _ => writeln!(out),
        };
    }
    let (mean, deviation) = (histogram.mean() / UNIT_NS, histogram.stdev() / UNIT_NS);
    let _ = writeln!(out, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]");
    let (max, count) = (histogram.max() as f64 / UNIT_NS, histogram.len());
    let _ = writeln!(out, "#[Max     = {max:12.3}, Total count    = {count:12}]");
    let _ = writeln!(out, "#[Buckets = {:12}, SubBuckets     = {:12}]", histogram.buckets(), 2048);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_climb_to_the_count_and_the_maximum() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        for n in 1..=10_000u64 {
            histogram.record(n * 100).unwrap();
        }
        let text = text(&histogram);
        let rows: Vec<Vec<f64>> = text
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().map(|word| word.parse().unwrap()).collect())
            .collect();
        assert!(rows.len() > 30);
        assert!(rows.windows(2).all(|pair| pair[0][0] <= pair[1][0] && pair[0][2] <= pair[1][2]));
        let last = rows.last().unwrap();
        assert_eq!((last[1], last[2]), (1.0, 10_000.0));
        assert!((last[0] - 1_000.0).abs() < 1.0, "the maximum in microseconds: {}", last[0]);
        assert!(text.contains("Total count    =        10000"));
    }
}
