//! The report page: one self-contained HTML file with a percentile plot, the series of maxima and the
//! host's own hiccups beside them. No script, no outside file.

use crate::breakdown;
use crate::curve;
use crate::document::{Document, Measurement};
use crate::histogram::{Latencies, Point};
use serde_json::Value;
use std::fmt::Write as _;

/// Of a picture.
pub const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 380.0;
/// Room for labels on its left.
pub const LEFT: f64 = 80.0;
const BOTTOM: f64 = 40.0;
/// Distinguishable also in grey and by most who see colours differently (Okabe and Ito).
pub const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999"];

/// What the host's own stalls are called in a plot.
const HICCUPS: &str = "the host's own hiccups (≥ 500 ns)";

/// The page for `document`, whose JSON is `json`.
pub fn render(document: &Document, json: &Value) -> String {
    let mut body = String::new();
    let _ = write!(
        body,
        "<h1>ballast-bench</h1><p>{} · {} · commit {} · {} build</p>",
        escape(json["command"].as_str().unwrap_or_default()),
        escape(json["date"].as_str().unwrap_or_default()),
        escape(json["commit"].as_str().unwrap_or("unknown")),
        escape(json["build"]["profile"].as_str().unwrap_or("unknown")),
    );
    let reasons = document.unfit_because();
    if reasons.is_empty() {
        body.push_str("<p class=ok>The host was fit to measure on.</p>");
    } else {
        let _ = write!(
            body,
            "<p class=warn>The host was not fit for absolute figures: {}.</p>",
            escape(&reasons.join("; "))
        );
    }
    body.push_str(&tables(document));
    for failure in document.failures() {
        let _ = write!(body, "<p class=warn>Not measured: {}.</p>", escape(failure));
    }
    body.push_str(&breakdown::plots(document));
    body.push_str(&curve::plots(document));
    for (benchmark, measurements, hiccups) in document.parts() {
        let curves: Vec<(&str, &Latencies)> = measurements
            .iter()
            .filter_map(|m| m.latencies.as_ref().map(|l| (m.name.as_str(), l)))
            .collect();
        // Beside every curve the host's own stalls of the same minutes, or they would be read as ours.
        let host = [(HICCUPS, &hiccups.gaps)];
        for part in curves.chunks(COLOURS.len() - 1) {
            let _ = write!(body, "<h2>Percentiles of {benchmark}</h2>");
            body.push_str(&percentile_plot(&[part, &host].concat()));
        }
    }
    for m in document.measurements.iter().filter(|m| m.maxima.len() > 1) {
        let _ = write!(body, "<h2>Longest in each 10 ms, run after run: {}</h2>", escape(&m.name));
        body.push_str(&maxima_plot(m));
    }
    let _ = write!(body, "<h2>Host</h2><pre>{}</pre>", escape(&host_text(json)));
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>ballast-bench</title><style>\
         body{{font:15px/1.5 system-ui,sans-serif;max-width:1320px;margin:2em auto;padding:0 1em;\
         color:#222}}table{{border-collapse:collapse;margin:1em 0}}td,th{{padding:.2em .4em;white-space:nowrap;font-size:13px;\
         text-align:right;border-bottom:1px solid #ddd}}td:first-child,th:first-child{{\
         text-align:left}}.ok{{color:#006d4c}}.warn{{color:#b04a00}}svg text{{font:12px \
         system-ui,sans-serif;fill:#444}}pre{{background:#f6f6f6;padding:1em;overflow:auto;\
         white-space:pre-wrap}}</style><body>{body}</body></html>\n"
    )
}

/// The host's facts, and what it did during the run.
fn host_text(json: &Value) -> String {
    let during = [
        "build",
        "cores",
        "floor_ns",
        "load_1m",
        "steal_percent",
        "counter_drift_ppb",
        "jitter_floor",
        "hiccups_of",
        "page_faults",
    ];
    let mut facts = json["host"].clone();
    for key in during {
        facts[key] = json[key].clone();
    }
    format!("{facts:#}")
}

fn tables(document: &Document) -> String {
    let mut text = String::from(
        "<h2>Times, ns</h2><table><tr><th>what<th>median of runs<th>95 %<th>runs<th>dropped<th>p99<th>p99.9\
         <th>p99.99<th>max<th>count<th>of</tr>",
    );
    for m in &document.measurements {
        let _ = write!(
            text,
            "<tr><td>{}<td>{:.1}<td>{}<td>{}<td>{}",
            escape(&m.name),
            m.over.median,
            m.over.interval(1),
            m.over.runs,
            m.dropped
        );
        if let Some(l) = &m.latencies {
            for quantile in [0.99, 0.999, 0.9999] {
                let _ = write!(text, "<td>{:.0}", l.at(quantile));
            }
            let _ = write!(text, "<td>{:.0}<td>{}<td>{}", l.max(), l.count(), l.of());
        }
        text.push_str("</tr>");
    }
    text.push_str("</table>");
    if !document.ratios.is_empty() {
        text.push_str(
            "<h2>Ratios</h2><table><tr><th>what<th>median<th>95 %<th>promised<th>holds</tr>",
        );
    }
    for r in &document.ratios {
        let (class, word) = match (r.holds(), r.broken_because()) {
            (None, _) => ("", String::new()),
            (_, None) => ("ok", "yes".to_owned()),
            (_, Some(why)) => ("warn", format!("no: {}", escape(&why))),
        };
        let (median, interval) = r.over.map_or_else(Default::default, |over| {
            (format!("{:.3}", over.median), over.interval(3))
        });
        let _ = write!(
            text,
            "<tr><td>{}<td>{median}<td>{interval}<td>{}<td class={class:?}>{word}</tr>",
            escape(&r.name),
            r.promise(),
        );
    }
    text.push_str("</table>");
    text
}

/// Position on the percentile axis: how many nines, 0 for the minimum, 5 for 99.999 % and beyond.
fn nines(percentile: f64) -> f64 {
    -(1.0 - percentile).max(1e-5).log10()
}

fn percentile_plot(curves: &[(&str, &Latencies)]) -> String {
    let points: Vec<Vec<Point>> = curves.iter().map(|(_, l)| l.points()).collect();
    let values = || points.iter().flatten().map(|p| p.ns.max(1.0).log10());
    let low = values().fold(f64::INFINITY, f64::min).floor();
    let high = values().fold(0.0, f64::max).ceil().max(low + 1.0);
    let x = |percentile: f64| LEFT + nines(percentile) / 5.0 * (WIDTH - LEFT - 20.0);
    let y = |ns: f64| {
        HEIGHT - BOTTOM - (ns.max(1.0).log10() - low) / (high - low) * (HEIGHT - BOTTOM - 20.0)
    };
    let mut svg = open_svg(HEIGHT + 18.0 * curves.len() as f64);
    for decade in low as i32..=high as i32 {
        let ns = 10f64.powi(decade);
        grid_line(&mut svg, y(ns), &duration_text(ns));
    }
    for percentile in [0.0, 0.9, 0.99, 0.999, 0.9999] {
        let label = format!("{} %", percentile * 100.0);
        axis_label(&mut svg, x(percentile), &label);
    }
    axis_label(&mut svg, x(0.99999), "99.999 % +");
    for (n, ((name, _), points)) in curves.iter().zip(&points).enumerate() {
        let colour = COLOURS[n % COLOURS.len()];
        let line: Vec<String> =
            points.iter().map(|p| format!("{:.1},{:.1}", x(p.percentile), y(p.ns))).collect();
        let _ = write!(
            svg,
            "<polyline fill=none stroke=\"{colour}\" stroke-width=1.6 points=\"{}\"/>\
             <rect x={LEFT} y={} width=14 height=4 fill=\"{colour}\"/><text x={} y={}>{}</text>",
            line.join(" "),
            HEIGHT + 18.0 * n as f64 - 4.0,
            LEFT + 20.0,
            HEIGHT + 18.0 * n as f64 + 2.0,
            escape(name)
        );
    }
    svg + "</svg>"
}

fn maxima_plot(m: &Measurement) -> String {
    let top = m.maxima.iter().copied().max().unwrap_or(1).max(1) as f64;
    let width = (WIDTH - LEFT - 20.0) / m.maxima.len() as f64;
    let scale = (HEIGHT - BOTTOM - 20.0) / top;
    let mut svg = open_svg(HEIGHT);
    for part in [0.0, 0.5, 1.0] {
        let at = HEIGHT - BOTTOM - part * top * scale;
        grid_line(&mut svg, at, &duration_text(part * top));
    }
    axis_label(&mut svg, LEFT, "0 s");
    axis_label(&mut svg, WIDTH - 40.0, &format!("{:.2} s", m.maxima.len() as f64 / 100.0));
    for (n, &longest) in m.maxima.iter().enumerate() {
        let height = longest as f64 * scale;
        let _ = write!(
            svg,
            "<rect x={:.2} y={:.2} width={:.2} height={height:.2} fill=\"{}\"/>",
            LEFT + n as f64 * width,
            HEIGHT - BOTTOM - height,
            (width * 0.9).max(0.4),
            COLOURS[0]
        );
    }
    svg + "</svg>"
}

/// An open picture of the page's width.
pub fn open_svg(height: f64) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" width=\"100%\" role=img>")
}

fn grid_line(svg: &mut String, y: f64, label: &str) {
    let _ = write!(
        svg,
        "<line x1={LEFT} x2={} y1={y:.1} y2={y:.1} stroke=\"#ddd\"/>\
         <text x={} y={:.1} text-anchor=end>{label}</text>",
        WIDTH - 20.0,
        LEFT - 6.0,
        y + 4.0
    );
}

fn axis_label(svg: &mut String, x: f64, label: &str) {
    let _ = write!(svg, "<text x={x:.1} y={} text-anchor=middle>{label}</text>", HEIGHT - 22.0);
}

/// A time in the unit that fits.
pub fn duration_text(ns: f64) -> String {
    match ns {
        ns if ns >= 1e9 => format!("{} s", ns / 1e9),
        ns if ns >= 1e6 => format!("{} ms", (ns / 1e4).round() / 100.0),
        ns if ns >= 1e3 => format!("{} µs", (ns / 10.0).round() / 100.0),
        ns => format!("{} ns", ns.round()),
    }
}

/// Text from outside, as text.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ratio::Ratio;
    use crate::session::Session;

    #[test]
    fn the_percentile_axis_counts_nines() {
        assert_eq!(nines(0.0), 0.0);
        assert!((nines(0.999) - 3.0).abs() < 1e-9);
        assert!((nines(1.0) - 5.0).abs() < 1e-9, "the maximum stands at the edge");
    }

    #[test]
    fn the_hosts_hiccups_stand_in_every_plot_and_what_failed_is_told() {
        let session = Session::in_tests();
        let mut document = Document::of_cores([0, 0], "all".into(), &session, String::new());
        for (benchmark, count) in [("ring", 9), ("codec", 1)] {
            document.begin(benchmark);
            for n in 0..count {
                let mut latencies = Latencies::new();
                latencies.record_batch(64 * (n + 1), 64);
                let name = format!("{benchmark}.{n}");
                let measurement = Measurement::new(&name, vec![1.0], 3, Some(latencies));
                document.measurements.extend(measurement);
            }
        }
        document.add_ratio(Ratio::new("a / b", Vec::new(), Some(1.1)));
        document.fail("wire: no loopback".into());
        document.print();
        let page = render(&document, &document.to_json());
        assert_eq!(page.matches("<h2>Percentiles of ring").count(), 2);
        assert_eq!(page.matches("<h2>Percentiles of codec").count(), 1);
        assert_eq!(page.matches(HICCUPS).count(), 3);
        assert!(page.contains("<td>ring.0<td>1.0<td>too few runs<td>1<td>3<td>"), "{page}");
        assert!(page.contains("Not measured: wire: no loopback"));
        assert!(page.contains("at most 1.1<td class=\"warn\">no: not measured"), "{page}");
        assert!(page.contains("<td>batch means</tr>") && page.contains("steal_percent"));
    }

    #[test]
    fn durations_print_in_the_unit_that_fits() {
        assert_eq!(duration_text(100.0), "100 ns");
        assert_eq!(duration_text(12_340.0), "12.34 µs");
        assert_eq!(duration_text(1e9), "1 s");
    }

    #[test]
    fn text_from_outside_cannot_become_markup() {
        assert_eq!(escape("<a&b>"), "&lt;a&amp;b&gt;");
    }
}
