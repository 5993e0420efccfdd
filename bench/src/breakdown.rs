//! Where the time of a path goes: one bar of its stages, in the order of the way.
//!
//! Fed by measurements named `PATH.stage.STAGE`; feeds the report page. The bar's length is the sum of
//! the stages' medians, which is near the median of the whole and need not be it.

use crate::document::{Document, Measurement};
use crate::page::{COLOURS, LEFT, WIDTH, duration_text, escape, open_svg};
use std::fmt::Write as _;

const BAR: f64 = 34.0;
const LINE: f64 = 18.0;
/// What divides a path's name from a stage's.
const DIVIDER: &str = ".stage.";

/// A picture for each path that has stages.
pub fn plots(document: &Document) -> String {
    let mut paths: Vec<(&str, Vec<(&str, f64)>)> = Vec::new();
    for Measurement { name, over, .. } in &document.measurements {
        let Some((path, stage)) = name.split_once(DIVIDER) else { continue };
        match paths.last_mut() {
            Some((last, stages)) if *last == path => stages.push((stage, over.median)),
            _ => paths.push((path, vec![(stage, over.median)])),
        }
    }
    paths.into_iter().fold(String::new(), |text, (path, stages)| {
        text + &format!("<h2>Stages of {}</h2>", escape(path)) + &plot(&stages)
    })
}

fn plot(stages: &[(&str, f64)]) -> String {
    let whole: f64 = stages.iter().map(|(_, ns)| ns).sum();
    let scale = (WIDTH - LEFT - 20.0) / whole.max(f64::MIN_POSITIVE);
    let mut svg = open_svg(BAR + LINE * (stages.len() as f64 + 2.0));
    let mut x = LEFT;
    for (n, (stage, ns)) in stages.iter().enumerate() {
        let colour = COLOURS[n % COLOURS.len()];
        let y = BAR + LINE * (n as f64 + 1.0);
        let _ = write!(
            svg,
            "<rect x={x:.1} y=0 width={:.1} height={BAR} fill=\"{colour}\"/>\
             <rect x={LEFT} y={:.1} width=12 height=12 fill=\"{colour}\"/>\
             <text x={} y={y:.1}>{}: {} ({:.1} %)</text>",
            ns * scale,
            y - 11.0,
            LEFT + 20.0,
            escape(stage),
            duration_text(*ns),
            100.0 * ns / whole,
        );
        x += ns * scale;
    }
    let y = BAR + LINE * (stages.len() as f64 + 1.0);
    let _ =
        write!(svg, "<text x={} y={y:.1}>sum: {}</text></svg>", LEFT + 20.0, duration_text(whole));
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_bar_are_as_long_as_the_whole() {
        let svg = plot(&[("a", 100.0), ("b", 300.0)]);
        assert!(svg.contains("a: 100 ns (25.0 %)") && svg.contains("sum: 400 ns"), "{svg}");
        let part = |n: usize| (WIDTH - LEFT - 20.0) * [0.25, 0.75][n];
        for n in 0..2 {
            assert!(svg.contains(&format!("width={:.1} height={BAR}", part(n))), "{svg}");
        }
    }
}
