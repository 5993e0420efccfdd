//! Latency by percentile, on the scale on which tails can be seen.
//!
//! Fed by a run's histograms; feeds `page`. To the right, each decade is ten times rarer; upwards, each
//! is ten times slower. Absent: means, which say nothing about tails.

use super::svg::{WIDTH, apart, escape, grouped};
use hdrhistogram::Histogram;
use std::fmt::Write;

const HEIGHT: f64 = 290.0;
const LEFT: f64 = 86.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 30.0;

/// Nanoseconds with the unit that reads best.
pub fn nanos_text(nanos: f64) -> String {
    match nanos {
        n if n >= 1e9 => format!("{} s", short(n / 1e9)),
        n if n >= 1e6 => format!("{} ms", short(n / 1e6)),
        n if n >= 1e3 => format!("{} µs", short(n / 1e3)),
        n => format!("{n:.0} ns"),
    }
}

fn short(value: f64) -> String {
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    grouped(value, digits).trim_end_matches(".00").to_string()
}

struct Axes {
    nines: f64,
    low: f64,
    high: f64,
}

impl Axes {
    fn x(&self, nines: f64) -> f64 {
        LEFT + nines.min(self.nines) / self.nines * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, nanos: f64) -> f64 {
        let part = (nanos.max(1.0).log10() - self.low) / (self.high - self.low);
        HEIGHT - BOTTOM - part.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }
}

/// How many nines a quantile has: 0.999 has three.
fn nines_of(quantile: f64) -> f64 {
    -(1.0 - quantile).max(1e-12).log10()
}

fn grid(axes: &Axes, out: &mut String) {
    let mut decade = axes.low;
    while decade <= axes.high + 1e-9 {
        let y = axes.y(10f64.powf(decade));
        let label = nanos_text(10f64.powf(decade));
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{}\"/>\
             <text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0
        );
        decade += 1.0;
    }
    let names = ["min", "p90", "p99", "p99.9", "p99.99", "p99.999", "p99.9999"];
    let bottom = HEIGHT - BOTTOM;
    for (nines, name) in names.iter().enumerate().take(axes.nines as usize + 1) {
        let x = axes.x(nines as f64);
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>",
            HEIGHT - 9.0
        );
    }
}

/// The picture of all histograms that hold anything.
pub fn picture(latencies: &[(&'static str, Histogram<u64>)]) -> String {
    let filled = || latencies.iter().filter(|(_, histogram)| !histogram.is_empty());
    let low = filled().map(|(_, h)| h.min()).min().unwrap_or(1).max(1) as f64;
    let high = filled().map(|(_, h)| h.max()).max().unwrap_or(10) as f64;
    let most = filled().map(|(_, h)| h.len()).max().unwrap_or(1) as f64;
    let axes = Axes {
        nines: most.log10().ceil().clamp(2.0, 6.0),
        low: low.log10().floor(),
        high: (high.max(low + 1.0)).log10().ceil(),
    };
    let mut out = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
    grid(&axes, &mut out);
    let ends: Vec<f64> = filled().map(|(_, h)| axes.y(h.max() as f64)).collect();
    for ((place, (name, histogram)), label_y) in filled().enumerate().zip(apart(&ends, 15.0)) {
        let mut path = String::new();
        let mut end = LEFT;
        for step in histogram.iter_quantiles(8) {
            let x = axes.x(nines_of(step.quantile_iterated_to()));
            let y = axes.y(step.value_iterated_to() as f64);
            let _ = write!(path, "{}{x:.1} {y:.1}", if path.is_empty() { "M" } else { "L" });
            end = x;
        }
        let class = ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"][place % 8];
        let _ = write!(
            out,
            "<path class=\"line {class}\" d=\"{path}\"/>\
             <text class=\"end {class}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            end.max(WIDTH - RIGHT) + 6.0,
            label_y + 4.0,
            escape(&name.replace('_', " "))
        );
    }
    out.push_str("</svg>");
    out
}

/// The percentiles as rows of a table.
pub fn rows(latencies: &[(&'static str, Histogram<u64>)]) -> String {
    let mut out = String::new();
    for (name, histogram) in latencies {
        let at = |quantile| nanos_text(histogram.value_at_quantile(quantile) as f64);
        let _ = write!(
            out,
            "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&name.replace('_', " ")),
            at(0.5),
            at(0.99),
            at(0.999),
            at(0.9999),
            nanos_text(histogram.max() as f64),
            grouped(histogram.len() as f64, 0)
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_the_unit_that_reads_best() {
        assert_eq!(nanos_text(640.0), "640 ns");
        assert_eq!(nanos_text(12_345.0), "12.3 µs");
        assert_eq!(nanos_text(1_000_000.0), "1 ms");
        assert_eq!(nanos_text(2_500_000_000.0), "2.50 s");
    }

    #[test]
    fn a_histogram_without_values_draws_no_line_and_does_not_fail() {
        let empty = Histogram::<u64>::new(3).unwrap();
        assert!(!picture(&[("written", empty)]).contains("class=\"line"));
    }
}
