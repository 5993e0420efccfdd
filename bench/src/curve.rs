//! The curves of `scale`: cost over size, both by powers of ten, with the exponent.
//!
//! Fed by measurements named `scale.CURVE.SIZE` and ratios named `scale.CURVE: exponent`; feeds the report
//! page.

use crate::document::Document;
use crate::page::{COLOURS, LEFT, WIDTH, duration_text, escape, open_svg};
use std::fmt::Write as _;

const HEIGHT: f64 = 260.0;
const BOTTOM: f64 = 30.0;

/// One curve.
struct Curve<'d> {
    name: &'d str,
    /// Size and ns.
    points: Vec<(f64, f64)>,
    exponent: Option<f64>,
}

/// A picture for each curve of two points or more.
pub fn plots(document: &Document) -> String {
    let curves = curves(document);
    let pictures = curves.iter().filter(|curve| curve.points.len() > 1).map(|curve| {
        let exponent = curve.exponent.map_or(String::new(), |e| format!(", exponent {e:.2}"));
        let what = match curve.name {
            "timers" => "Longest timer of a round by instruments".to_owned(),
            name => format!("Cost of a tick by {}", escape(name)),
        };
        format!("<h2>{what}{exponent}</h2>{}", plot(curve))
    });
    pictures.collect()
}

fn curves(document: &Document) -> Vec<Curve<'_>> {
    let mut curves: Vec<Curve<'_>> = Vec::new();
    for m in &document.measurements {
        let of_scale = m.name.strip_prefix("scale.").and_then(|rest| rest.rsplit_once('.'));
        let Some((name, Ok(size))) = of_scale.map(|(name, size)| (name, size.parse::<f64>()))
        else {
            continue;
        };
        if curves.last().is_none_or(|curve| curve.name != name) {
            let title = format!("scale.{name}: exponent");
            let found = document.ratios.iter().find(|ratio| ratio.name == title);
            let exponent = found.and_then(|ratio| ratio.over).map(|over| over.median);
            curves.push(Curve { name, points: Vec::new(), exponent });
        }
        if let Some(curve) = curves.last_mut() {
            curve.points.push((size, m.over.median));
        }
    }
    curves
}

fn plot(curve: &Curve<'_>) -> String {
    let logs: Vec<(f64, f64)> =
        curve.points.iter().map(|(size, ns)| (size.log10(), ns.max(1.0).log10())).collect();
    let ends = |of: fn(&(f64, f64)) -> f64| {
        let values = || logs.iter().map(of);
        let (low, high) =
            (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        (low, high.max(low + 0.1))
    };
    let ((left, right), (lowest, highest)) = (ends(|p| p.0), ends(|p| p.1));
    // At least a decade high, or noise would look like growth.
    let (low, high) = (lowest.floor(), highest.ceil().max(lowest.floor() + 1.0));
    let x = |log: f64| LEFT + (log - left) / (right - left) * (WIDTH - LEFT - 60.0);
    let y = |log: f64| HEIGHT - BOTTOM - (log - low) / (high - low) * (HEIGHT - BOTTOM - 20.0);
    let mut svg = open_svg(HEIGHT);
    for decade in low as i32..=high as i32 {
        let at = y(decade.into());
        let label = duration_text(10f64.powi(decade));
        let _ = write!(
            svg,
            "<line x1={LEFT} x2={} y1={at:.1} y2={at:.1} stroke=\"#ddd\"/>\
             <text x={} y={:.1} text-anchor=end>{label}</text>",
            WIDTH - 20.0,
            LEFT - 6.0,
            at + 4.0
        );
    }
    let mut line = String::new();
    for ((size, ns), (log_size, log_ns)) in curve.points.iter().zip(&logs) {
        let (at, above) = (x(*log_size), y(*log_ns));
        let _ = write!(line, "{at:.1},{above:.1} ");
        let _ = write!(
            svg,
            "<circle cx={at:.1} cy={above:.1} r=3 fill=\"{}\"/>\
             <text x={at:.1} y={:.1} text-anchor=middle>{}</text>\
             <text x={at:.1} y={:.1} text-anchor=middle>{size}</text>",
            COLOURS[0],
            above - 8.0,
            duration_text(ns.round()),
            HEIGHT - 10.0
        );
    }
    let colour = COLOURS[0];
    svg + &format!("<polyline fill=none stroke=\"{colour}\" points=\"{}\"/></svg>", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Measurement;
    use crate::ratio::Ratio;
    use crate::session::Session;

    #[test]
    fn a_curve_is_drawn_with_its_points_and_its_exponent() {
        let session = Session::in_tests();
        let mut document = Document::of_cores([0, 0], "scale".into(), &session, String::new());
        for (name, ns) in [("scale.levels.1", 200.0), ("scale.levels.10", 2_000.0), ("other", 1.0)]
        {
            document.measurements.extend(Measurement::new(name, vec![ns; 7], 0, None));
        }
        document.add_ratio(Ratio::single("scale.levels: exponent", Some(1.0), None));
        let page = plots(&document);
        assert_eq!(page.matches("<svg").count(), 1);
        assert_eq!(page.matches("<circle").count(), 2);
        assert!(page.contains("by levels, exponent 1.00") && page.contains("2 µs"), "{page}");
    }
}
