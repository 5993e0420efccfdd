//! A picture without a time axis: one number against another, linear or logarithmic.
//!
//! Fed by `calibrate::page`; feeds its HTML. Colours are the page's CSS variables, as in `svg`. Absent:
//! anything that `svg::Frame` draws over time.

use super::svg::{WIDTH, apart, escape, grouped, steps};
use std::fmt::Write;

const LEFT: f64 = 86.0;
const RIGHT: f64 = 168.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 44.0;

/// How an axis counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    /// Equal steps.
    Linear,
    /// Equal ratios; everything shown must be positive.
    Log,
}

/// One axis.
#[derive(Clone, Debug)]
pub struct Axis {
    name: String,
    scale: Scale,
    range: (f64, f64),
}

impl Axis {
    /// An axis that holds all of `values`; of those that a logarithm cannot take, none.
    pub fn over(name: &str, scale: Scale, values: impl IntoIterator<Item = f64>) -> Axis {
        let shown = values
            .into_iter()
            .filter(|value| value.is_finite() && (scale == Scale::Linear || *value > 0.0));
        let range = shown.fold(None, |range: Option<(f64, f64)>, value| {
            Some(range.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        });
        let (low, high) = range.unwrap_or((1.0, 10.0));
        let range = match scale {
            Scale::Linear if low < high => (low, high),
            Scale::Linear => (low - 0.5, high + 0.5),
            Scale::Log if low < high => (low, high),
            Scale::Log => (low / 2.0, high * 2.0),
        };
        Axis { name: name.to_owned(), scale, range }
    }

    /// The place of a value between the ends, 0 to 1.
    fn part(&self, value: f64) -> f64 {
        let of = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(f64::MIN_POSITIVE).ln(),
        };
        let (low, high) = (of(self.range.0), of(self.range.1));
        ((of(value) - low) / (high - low)).clamp(0.0, 1.0)
    }

    fn ticks(&self, count: f64) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear => {
                let (step, digits) = steps(self.range, count);
                let first = (self.range.0 / step).ceil() as i64;
                let last = (self.range.1 / step).floor() as i64;
                let at = |n: i64| n as f64 * step;
                (first..=last).map(|n| (at(n), grouped(at(n), digits))).collect()
            }
            Scale::Log => {
                let decades = self.range.0.log10().floor() as i32..=self.range.1.log10() as i32;
                let all = decades.flat_map(|d| [1.0, 2.0, 5.0].map(|n| n * 10f64.powi(d)));
                let inside = all.filter(|at| self.range.0 <= *at && *at <= self.range.1);
                inside.map(|at| (at, grouped(at, digits_of(at)))).collect()
            }
        }
    }
}

/// Digits behind the point that a round number needs.
fn digits_of(value: f64) -> usize {
    (-value.log10().floor()).clamp(0.0, 9.0) as usize
}

/// A picture.
pub struct Plot {
    out: String,
    labels: Vec<(f64, String, String)>,
    height: f64,
    x: Axis,
    y: Axis,
}

impl Plot {
    /// The empty frame.
    pub fn new(height: f64, x: Axis, y: Axis) -> Plot {
        let mut plot = Plot { out: String::new(), labels: Vec::new(), height, x, y };
        let _ = write!(plot.out, "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">");
        let right = WIDTH - RIGHT;
        for (at, text) in plot.y.ticks((height / 46.0).max(2.0)) {
            let y = plot.place_y(at);
            let class = if at == 0.0 { "zero" } else { "grid" };
            let _ = write!(
                plot.out,
                "<path class=\"{class}\" d=\"M{LEFT} {y:.1}H{right}\"/>\
                 <text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                LEFT - 8.0,
                y + 4.0
            );
        }
        for (at, text) in plot.x.ticks(12.0) {
            let (x, y) = (plot.place_x(at), height - BOTTOM + 18.0);
            let _ = write!(
                plot.out,
                "<text class=\"tick\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{text}</text>"
            );
        }
        let (unit, name) = (escape(&plot.y.name), escape(&plot.x.name));
        let _ = write!(
            plot.out,
            "<text class=\"unit\" x=\"{LEFT}\" y=\"{}\">{unit}</text>\
             <text class=\"unit\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>",
            TOP - 10.0,
            (LEFT + right) / 2.0,
            height - 6.0
        );
        plot
    }

    fn place_x(&self, value: f64) -> f64 {
        LEFT + self.x.part(value) * (WIDTH - LEFT - RIGHT)
    }

    fn place_y(&self, value: f64) -> f64 {
        self.height - BOTTOM - self.y.part(value) * (self.height - TOP - BOTTOM)
    }

    /// A line through points, named at its end.
    pub fn line(&mut self, points: &[(f64, f64)], class: &str, name: &str) {
        let mut path = String::new();
        for (n, (x, y)) in points.iter().enumerate() {
            let verb = if n == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{verb}{:.1} {:.1}", self.place_x(*x), self.place_y(*y));
        }
        let _ = write!(self.out, "<path class=\"line {class}\" d=\"{path}\"/>");
        if let Some((_, y)) = points.last() {
            self.labels.push((self.place_y(*y), escape(name), class.to_owned()));
        }
    }

    /// A point with its error either way, and a text for the pointer.
    pub fn point(&mut self, x: f64, y: f64, error: f64, class: &str, tip: &str) {
        let (at, low, high) = (self.place_x(x), self.place_y(y - error), self.place_y(y + error));
        let (middle, tip) = (self.place_y(y), escape(tip));
        let _ = write!(
            self.out,
            "<path class=\"line {class}\" d=\"M{at:.1} {low:.1}V{high:.1}\"/>\
             <circle class=\"dot {class}\" cx=\"{at:.1}\" cy=\"{middle:.1}\" r=\"4\"><title>{tip}</title></circle>"
        );
    }

    /// A level across the whole width, named at its right end.
    pub fn level(&mut self, value: f64, name: &str, class: &str) {
        let (y, right) = (self.place_y(value), WIDTH - RIGHT);
        let _ = write!(self.out, "<path class=\"level {class}\" d=\"M{LEFT} {y:.1}H{right}\"/>");
        self.labels.push((y, escape(name), class.to_owned()));
    }

    /// A shaded stripe from one x to another.
    pub fn stripe(&mut self, from: f64, to: f64, class: &str) {
        let (left, right) = (self.place_x(from), self.place_x(to));
        let _ = write!(
            self.out,
            "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            (right - left).max(0.0),
            self.height - TOP - BOTTOM
        );
    }

    /// The picture's text.
    pub fn finish(mut self) -> String {
        let wanted: Vec<f64> = self.labels.iter().map(|(y, _, _)| *y).collect();
        let x = WIDTH - RIGHT + 6.0;
        for (y, (_, text, class)) in apart(&wanted, 15.0).into_iter().zip(&self.labels) {
            let y = y + 4.0;
            let _ = write!(
                self.out,
                "<text class=\"end {class}\" x=\"{x}\" y=\"{y:.1}\">{text}</text>"
            );
        }
        self.out.push_str("</svg>");
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logarithmic_axis_counts_in_ones_twos_and_fives() {
        let axis = Axis::over("rate", Scale::Log, [0.0, -3.0, 0.1, 5.0, f64::NAN]);
        let texts: Vec<String> = axis.ticks(5.0).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["0.1", "0.2", "0.5", "1", "2", "5"]);
        assert!((axis.part(0.1), axis.part(5.0)) == (0.0, 1.0));
    }

    #[test]
    fn an_axis_of_one_value_or_none_still_has_room() {
        for axis in [Axis::over("x", Scale::Linear, [3.0]), Axis::over("x", Scale::Log, [])] {
            assert!(axis.range.0 < axis.range.1, "{axis:?}");
        }
    }

    #[test]
    fn names_are_made_safe() {
        let axis = || Axis::over("<x>", Scale::Linear, [0.0, 1.0]);
        let mut plot = Plot::new(100.0, axis(), axis());
        plot.line(&[(0.0, 0.0), (1.0, 1.0)], "ink", "<script>");
        assert!(!plot.finish().contains("<script>"));
    }
}
