//! Axes, lines and marks as SVG text: the little that the charts need.
//!
//! Fed by `charts`; feeds the page. Colours are CSS variables of the page, so that one picture serves
//! light and dark. Absent: layout beyond one frame, fonts, scripts.

use super::series::Series;
use ballast_engine::units::Nanos;
use std::fmt::Write;

/// Width of every picture in its own units; the page scales it.
pub const WIDTH: f64 = 1180.0;
const LEFT: f64 = 86.0;
const RIGHT: f64 = 118.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 26.0;

/// Text made safe for HTML and SVG.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A number with thousands set apart and `digits` behind the point.
pub fn grouped(value: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if digits > 0 {
        out.push('.');
        out.push_str(fraction);
    }
    let is_zero = out.chars().all(|c| matches!(c, '0' | '.' | ','));
    if value < 0.0 && !is_zero { format!("−{out}") } else { out }
}

/// Steps of 1, 2 or 5 × 10^n, about `count` of them over a range, and their digits.
pub fn steps(range: (f64, f64), count: f64) -> (f64, usize) {
    let raw = ((range.1 - range.0) / count).max(f64::MIN_POSITIVE);
    let power = raw.log10().floor();
    let base = 10f64.powf(power);
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|n| n * base).into_iter().find(|step| *step >= raw * 0.999);
    let step = step.unwrap_or(base * 10.0);
    let digits = (-(step.log10() + 1e-9).floor()).clamp(0.0, 9.0);
    (step, digits as usize)
}

/// A picture with a time axis and a value axis.
pub struct Frame {
    out: String,
    /// Names at the right edge: height, text, class.
    labels: Vec<(f64, String, String)>,
    height: f64,
    /// When the run started: times are told from there.
    origin: Nanos,
    span: (Nanos, Nanos),
    range: (f64, f64),
}

impl Frame {
    /// A frame over `span` and `range`, the latter with some air; `unit` stands above the axis. Times
    /// are told from `origin`.
    pub fn new(
        height: f64,
        origin: Nanos,
        span: (Nanos, Nanos),
        range: (f64, f64),
        unit: &str,
    ) -> Frame {
        let spread = range.1 - range.0;
        let air = if spread > 0.0 { spread * 0.06 } else { range.0.abs().max(1e-9) * 0.01 };
        let range = (range.0 - air, range.1 + air);
        let (out, labels) = (String::new(), Vec::new());
        let mut frame = Frame { out, labels, height, origin, span, range };
        let _ = write!(frame.out, "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">");
        frame.value_axis(unit);
        frame.time_axis();
        frame
    }

    /// Where a moment stands.
    pub fn x(&self, at: Nanos) -> f64 {
        let length = self.span.1.since(self.span.0).max(1) as f64;
        let part = at.since(self.span.0) as f64 / length;
        LEFT + part.min(1.0) * (WIDTH - LEFT - RIGHT)
    }

    /// Where a value stands.
    pub fn y(&self, value: f64) -> f64 {
        let part = (value - self.range.0) / (self.range.1 - self.range.0);
        self.height - BOTTOM - part.clamp(0.0, 1.0) * (self.height - TOP - BOTTOM)
    }

    fn value_axis(&mut self, unit: &str) {
        let (step, digits) = steps(self.range, (self.height / 46.0).max(2.0));
        let mut value = (self.range.0 / step).ceil() * step;
        let right = WIDTH - RIGHT;
        while value <= self.range.1 {
            let y = self.y(value);
            let label = grouped(value, digits);
            let class = if value.abs() < step * 1e-6 { "zero" } else { "grid" };
            let _ = write!(
                self.out,
                "<path class=\"{class}\" d=\"M{LEFT} {y:.1}H{right}\"/>\
                 <text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 8.0,
                y + 4.0
            );
            value += step;
        }
        let (x, y) = (LEFT - 8.0, TOP - 10.0);
        let unit = escape(unit);
        let _ = write!(
            self.out,
            "<text class=\"unit\" x=\"{x}\" y=\"{y}\" text-anchor=\"end\">{unit}</text>"
        );
    }

    fn time_axis(&mut self) {
        let length_s = self.span.1.since(self.span.0) as f64 * 1e-9;
        let start_s = self.span.0.since(self.origin) as f64 * 1e-9;
        let nice =
            [0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];
        let step = nice.into_iter().find(|step| length_s / step <= 12.0);
        let step = step.unwrap_or_else(|| steps((0.0, length_s / 3600.0), 10.0).0 * 3600.0);
        let y = self.height - 8.0;
        let mut at = (start_s / step).ceil() * step;
        while at <= start_s + length_s {
            let x = self.x(self.origin.plus((at * 1e9) as u64));
            let whole = at.round() as u64;
            let label = match step {
                s if s < 1.0 => format!("{at:.1} s"),
                s if s >= 3600.0 => format!("{:.0} h", at / 3600.0),
                _ => format!("{}:{:02}", whole / 60, whole % 60),
            };
            let _ = write!(
                self.out,
                "<text class=\"tick\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{label}</text>"
            );
            at += step;
        }
    }

    /// A stepped line through a series to the frame's end, with its excursions inside each bucket.
    pub fn line(&mut self, series: &Series, class: &str) {
        let mut path = String::new();
        let mut before: Option<f64> = None;
        let mut is_open = false;
        for bucket in series.buckets().iter().take_while(|bucket| bucket.at <= self.span.1) {
            if bucket.at < self.span.0 {
                before = bucket.last;
                continue;
            }
            if let (false, Some(value)) = (is_open, before.take()) {
                let _ = write!(path, "M{LEFT} {:.1}", self.y(value));
                is_open = true;
            }
            let x = self.x(bucket.at);
            let first = self.y(bucket.first);
            let _ = match is_open {
                true => write!(path, "H{x:.1}V{first:.1}"),
                false => write!(path, "M{x:.1} {first:.1}"),
            };
            if bucket.low < bucket.high {
                let (low, high) = (self.y(bucket.low), self.y(bucket.high));
                let _ = write!(path, "V{high:.1}V{low:.1}");
            }
            is_open = bucket.last.is_some();
            if let Some(last) = bucket.last {
                let _ = write!(path, "V{:.1}", self.y(last));
            }
        }
        if is_open {
            let _ = write!(path, "H{:.1}", self.x(self.span.1));
        }
        let _ = write!(self.out, "<path class=\"line {class}\" d=\"{path}\"/>");
    }

    /// A name at the right end of a line, at the height of a value or just beside it.
    pub fn end_label(&mut self, value: f64, text: &str, class: &str) {
        self.labels.push((self.y(value), escape(text), class.to_string()));
    }

    /// A level across the whole width, named at its right end.
    pub fn level(&mut self, value: f64, text: &str, class: &str) {
        if value < self.range.0 || value > self.range.1 {
            return;
        }
        let (y, right) = (self.y(value), WIDTH - RIGHT);
        let _ = write!(self.out, "<path class=\"level {class}\" d=\"M{LEFT} {y:.1}H{right}\"/>");
        self.end_label(value, text, class);
    }

    /// A shaded stripe between two values.
    pub fn stripe(&mut self, low: f64, high: f64, class: &str) {
        let (top, bottom) = (self.y(high), self.y(low));
        let (width, height) = (WIDTH - LEFT - RIGHT, (bottom - top).max(0.0));
        let _ = write!(
            self.out,
            "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{top:.1}\" width=\"{width}\" height=\"{height:.1}\"/>"
        );
    }

    /// A triangle that points up (a buy) or down (a sell), with a text for the pointer.
    pub fn triangle(
        &mut self,
        at: Nanos,
        value: f64,
        is_up: bool,
        size: f64,
        class: &str,
        tip: &str,
    ) {
        let (x, y) = (self.x(at), self.y(value));
        let (tip_y, base_y) = if is_up { (y, y + size * 1.6) } else { (y, y - size * 1.6) };
        let tip = escape(tip);
        let _ = write!(
            self.out,
            "<path class=\"mark {class}\" d=\"M{x:.1} {tip_y:.1}L{:.1} {base_y:.1}H{:.1}Z\"><title>{tip}</title></path>",
            x - size,
            x + size
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

/// Heights for labels near `wanted`, none closer than `distance`, in the same order.
pub fn apart(wanted: &[f64], distance: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    let mut placed = wanted.to_vec();
    let mut floor = f64::NEG_INFINITY;
    for place in order {
        placed[place] = placed[place].max(floor);
        floor = placed[place] + distance;
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_for_people() {
        assert_eq!(grouped(1_234_567.891, 2), "1,234,567.89");
        assert_eq!(grouped(-0.001, 2), "0.00");
        assert_eq!(grouped(-1_000.0, 0), "−1,000");
        assert_eq!(grouped(999.0, 1), "999.0");
    }

    #[test]
    fn axis_steps_are_one_two_or_five() {
        assert_eq!(steps((0.0, 10.0), 5.0), (2.0, 0));
        let (step, digits) = steps((61_685.0, 61_685.4), 5.0);
        assert!((step - 0.1).abs() < 1e-12);
        assert_eq!(digits, 1);
        assert!(steps((3.0, 3.0), 5.0).0 > 0.0, "an empty range has steps too");
    }

    #[test]
    fn names_from_outside_cannot_break_the_page() {
        assert_eq!(escape("<b>\"&"), "&lt;b&gt;&quot;&amp;");
    }

    #[test]
    fn labels_are_pushed_apart_in_their_order() {
        assert_eq!(apart(&[10.0, 0.0, 1.0], 5.0), [10.0, 0.0, 5.0]);
    }
}
