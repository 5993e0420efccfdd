//! The pictures of a run: price with our quotes and fills, inventory, net delta, PnL by cause.
//!
//! Fed by [`RunReport`]; feeds `page`. Each answers one question that a trader asks first, and says in
//! its caption which. Absent: latency (`latency_chart`), which has no time axis.

use super::series::{Series, widen};
use super::svg::{Frame, WIDTH, escape, grouped};
use super::{FillMark, InstrumentSeries, PnlSeries, RunReport, UnderlyingSeries};
use ballast_engine::pnl::attribution::Cause;
use ballast_engine::units::{Nanos, Side};
use std::fmt::Write;

/// Columns into which fills are gathered: one mark a column, side and kind.
const FILL_COLUMNS: u64 = 220;

/// The colours of lines, in order; the page defines them.
const COLOURS: [&str; 8] = ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"];

fn colour(place: usize) -> &'static str {
    COLOURS[place % COLOURS.len()]
}

fn range_of<'a>(series: impl IntoIterator<Item = &'a Series>) -> (f64, f64) {
    series.into_iter().filter_map(Series::range).reduce(widen).unwrap_or((0.0, 0.0))
}

/// Fills of one column, side and kind as one mark.
struct Gathered {
    at: Nanos,
    side: Side,
    is_hedge: bool,
    fills: u64,
    size: f64,
    value: f64,
}

fn gather(fills: &[FillMark], span: (Nanos, Nanos)) -> Vec<Gathered> {
    let length = span.1.since(span.0).max(1);
    let column =
        |at: Nanos| u128::from(at.since(span.0)) * u128::from(FILL_COLUMNS) / u128::from(length);
    let mut out: Vec<Gathered> = Vec::new();
    let mut first_of_column = 0;
    let mut current = None;
    for fill in fills {
        if current != Some(column(fill.at)) {
            current = Some(column(fill.at));
            first_of_column = out.len();
        }
        let value = fill.price * fill.size;
        let same = out[first_of_column..]
            .iter_mut()
            .find(|mark| (mark.side, mark.is_hedge) == (fill.side, fill.is_hedge));
        if let Some(mark) = same {
            mark.fills += 1;
            mark.size += fill.size;
            mark.value += value;
        } else {
            let FillMark { at, side, size, is_hedge, .. } = *fill;
            out.push(Gathered { at, side, is_hedge, fills: 1, size, value });
        }
    }
    out
}

fn draw_fills(
    frame: &mut Frame,
    line: &InstrumentSeries,
    fills: &[FillMark],
    span: (Nanos, Nanos),
) {
    let marks = gather(fills, span);
    let largest = marks.iter().map(|mark| mark.size).fold(0.0, f64::max);
    for mark in marks {
        let price = mark.value / mark.size;
        let (digits, size_digits) = (line.price_digits.into(), line.size_digits.into());
        let verb = if mark.side == Side::Buy { "bought" } else { "sold" };
        let kind = if mark.is_hedge { "hedge" } else { "quote" };
        let tip = format!(
            "{verb} {} at {} ({} {kind} fill{})",
            grouped(mark.size, size_digits),
            grouped(price, digits),
            mark.fills,
            if mark.fills == 1 { "" } else { "s" }
        );
        let class = if mark.side == Side::Buy { "buy" } else { "sell" };
        let radius = 3.0 + 3.0 * (mark.size / largest).sqrt();
        frame.triangle(mark.at, price, mark.side == Side::Buy, radius, class, &tip);
    }
}

/// The market's mid, our best bid and ask, and our fills, within a span.
pub fn price(report: &RunReport, line: &InstrumentSeries, span: (Nanos, Nanos)) -> String {
    let is_inside = |at: Nanos| span.0 <= at && at <= span.1;
    let fills: Vec<FillMark> = line.fills.iter().filter(|f| is_inside(f.at)).copied().collect();
    let ranges = [&line.mid, &line.bid, &line.ask].map(|series| series.range_within(span));
    let of_fills = fills.iter().map(|fill| (fill.price, fill.price));
    let range = ranges.into_iter().flatten().chain(of_fills).reduce(widen).unwrap_or((0.0, 0.0));
    let mut frame = Frame::new(330.0, report.started, span, range, "price");
    frame.line(&line.ask, "sell thin");
    frame.line(&line.bid, "buy thin");
    frame.line(&line.mid, "ink");
    draw_fills(&mut frame, line, &fills, span);
    if span.1 == report.ended {
        let names = [
            (&line.ask, "our ask", "sell"),
            (&line.mid, "mid", "ink"),
            (&line.bid, "our bid", "buy"),
        ];
        for (series, name, class) in names {
            frame.end_label(series.last_known().unwrap_or(range.0), name, class);
        }
    }
    frame.finish()
}

/// The twelfth of the run with the most fills of an instrument, where a closer look shows most.
pub fn busiest(report: &RunReport, line: &InstrumentSeries) -> Option<(Nanos, Nanos)> {
    const PARTS: u64 = 12;
    let part_ns = report.ended.since(report.started) / PARTS;
    let span = |part: u64| {
        let start = report.started.plus(part * part_ns);
        (start, start.plus(part_ns))
    };
    let fills = |part: &u64| {
        let (start, end) = span(*part);
        line.fills.iter().filter(|fill| start <= fill.at && fill.at < end).count()
    };
    let busiest = (0..PARTS).max_by_key(fills).filter(|part| part_ns > 0 && fills(part) > 0);
    busiest.map(span)
}

/// How far our quotes stand from the mid: the skew, and when a side was not quoted.
pub fn distance(report: &RunReport, line: &InstrumentSeries) -> String {
    let range = widen(range_of([&line.bid_distance, &line.ask_distance]), (0.0, 0.0));
    let mut frame =
        Frame::new(190.0, report.started, (report.started, report.ended), range, "from mid");
    frame.line(&line.ask_distance, "sell thin");
    frame.line(&line.bid_distance, "buy thin");
    frame.level(0.0, "mid", "ink");
    frame.end_label(line.ask_distance.last_known().unwrap_or(range.1), "our ask", "sell");
    frame.end_label(line.bid_distance.last_known().unwrap_or(range.0), "our bid", "buy");
    frame.finish()
}

/// A series less what it started with.
fn change(series: &Series) -> Option<(f64, Series)> {
    let first = series.first()?;
    let mut moved = Series::new();
    for bucket in series.buckets() {
        for value in [Some(bucket.first), Some(bucket.low), Some(bucket.high), bucket.last] {
            moved.push(bucket.at, value.map(|value| value - first));
        }
    }
    Some((first, moved))
}

/// What each instrument added to the exposure of an underlying since the start.
pub fn inventory(report: &RunReport, underlying: usize) -> String {
    let name = report.underlyings.get(underlying).map_or("", |pool| &pool.name);
    let lines: Vec<(&str, f64, Series)> = report
        .instruments
        .iter()
        .filter(|line| line.underlying == underlying)
        .filter_map(|line| change(&line.exposure).map(|(first, s)| (&line.symbol[..], first, s)))
        .collect();
    let range = widen(range_of(lines.iter().map(|(_, _, series)| series)), (0.0, 0.0));
    let mut frame = Frame::new(220.0, report.started, (report.started, report.ended), range, name);
    for (place, (symbol, _, series)) in lines.iter().enumerate() {
        frame.line(series, colour(place));
        frame.end_label(series.last().unwrap_or(0.0), symbol, colour(place));
    }
    frame.finish()
}

/// The legend of [`inventory`]: what each instrument held at the start and at the end.
pub fn inventory_legend(report: &RunReport, underlying: usize) -> String {
    let mut out = String::new();
    for line in report.instruments.iter().filter(|line| line.underlying == underlying) {
        let digits = line.size_digits.into();
        if let (Some(first), Some(last)) = (line.position.first(), line.position.last()) {
            let (first, last) = (grouped(first, digits), grouped(last, digits));
            let _ = write!(out, "<span>{}: {first} → <b>{last}</b></span>", escape(&line.symbol));
        }
    }
    out
}

/// Net delta within its limits: those that were in reach.
pub fn delta(report: &RunReport, pool: &UnderlyingSeries) -> String {
    let limits = pool.limits;
    let reached = pool.delta.abs_max();
    let all = [
        (limits.band, "hedge beyond", "quiet"),
        (limits.soft, "soft limit", "warn"),
        (limits.stop, "stop", "warn"),
        (limits.hard, "hard limit", "bad"),
    ];
    let next = all.iter().map(|limit| limit.0).find(|limit| *limit > reached);
    let edge = next.unwrap_or(reached).max(reached);
    let unit = &pool.name;
    let mut frame =
        Frame::new(220.0, report.started, (report.started, report.ended), (-edge, edge), unit);
    frame.stripe(-limits.band.min(edge), limits.band.min(edge), "band");
    for (limit, name, class) in all {
        if limit > 0.0 && limit <= edge {
            frame.level(limit, name, class);
            frame.level(-limit, name, class);
        }
    }
    frame.line(&pool.delta, "ink");
    frame.end_label(pool.delta.last().unwrap_or(0.0), "net delta", "ink");
    frame.finish()
}

/// The causes that moved anything, in the order of the reports.
fn moved(pnl: &PnlSeries) -> Vec<Cause> {
    Cause::ALL
        .into_iter()
        .filter(|cause| pnl.causes.get(cause).is_some_and(|series| series.abs_max() > 0.0))
        .collect()
}

/// A cause as people say it.
pub fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::SpreadCapture => "spread capture",
        Cause::InventoryMtm => "inventory mark-to-market",
        Cause::HedgeCost => "hedge cost",
        Cause::RebalanceCost => "rebalancing",
        Cause::Fees => "fees",
        Cause::Rebates => "rebates",
        Cause::Funding => "funding",
        Cause::CapitalCost => "capital cost",
        Cause::Translation => "translation",
        Cause::Rounding => "rounding",
        Cause::Adjustment => "booked by hand",
    }
}

/// The total and its causes over time.
pub fn pnl(report: &RunReport) -> String {
    let pnl = &report.pnl;
    let causes = moved(pnl);
    let series = causes.iter().filter_map(|cause| pnl.causes.get(cause));
    let range = widen(range_of(series.chain([&pnl.total])), (0.0, 0.0));
    let mut frame =
        Frame::new(260.0, report.started, (report.started, report.ended), range, &pnl.currency);
    for cause in causes {
        if let Some(series) = pnl.causes.get(&cause) {
            let class = colour(cause as usize);
            frame.line(series, &format!("{class} thin"));
            // A flat line at zero needs no name.
            if series.abs_max() > (range.1 - range.0) * 0.01 {
                let name = cause_name(cause).replace("mark-to-market", "mtm");
                frame.end_label(series.last().unwrap_or(0.0), &name, class);
            }
        }
    }
    frame.line(&pnl.total, "ink thick");
    frame.end_label(pnl.total.last().unwrap_or(0.0), "total", "ink");
    frame.finish()
}

/// One column of the waterfall: where it starts and ends.
struct Step {
    name: &'static str,
    from: f64,
    to: f64,
    class: &'static str,
}

fn waterfall_steps(pnl: &PnlSeries) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut level = 0.0;
    for (&cause, amount) in &pnl.final_causes {
        let amount = amount.0 as f64 * 1e-9;
        if amount != 0.0 {
            let class = if amount > 0.0 { "good" } else { "bad" };
            steps.push(Step { name: cause_name(cause), from: level, to: level + amount, class });
            level += amount;
        }
    }
    let total = pnl.final_total.0 as f64 * 1e-9;
    steps.push(Step { name: "total", from: 0.0, to: total, class: "ink" });
    steps
}

/// How the causes add up to the total at the end.
pub fn waterfall(pnl: &PnlSeries) -> String {
    let (height, top, bottom) = (250.0, 30.0, 38.0);
    let steps = waterfall_steps(pnl);
    let range = steps.iter().map(|s| (s.from.min(s.to), s.from.max(s.to))).fold((0.0, 0.0), widen);
    let spread = (range.1 - range.0).max(1e-9);
    let y = |value: f64| top + (range.1 - value) / spread * (height - top - bottom);
    let slot = WIDTH / steps.len() as f64;
    let width = (slot * 0.62).min(120.0);
    let mut out = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">");
    let _ = write!(out, "<path class=\"zero\" d=\"M0 {:.1}H{WIDTH}\"/>", y(0.0));
    for (place, step) in steps.iter().enumerate() {
        let centre = slot * (place as f64 + 0.5);
        let (upper, lower) = (y(step.from.max(step.to)), y(step.from.min(step.to)));
        let _ = write!(
            out,
            "<rect class=\"bar {}\" x=\"{:.1}\" y=\"{upper:.1}\" width=\"{width:.1}\" height=\"{:.1}\" rx=\"2\"/>",
            step.class,
            centre - width / 2.0,
            (lower - upper).max(1.5)
        );
        let amount = signed(step.to - step.from);
        let _ = write!(
            out,
            "<text class=\"amount\" x=\"{centre:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{amount}</text>\
             <text class=\"name\" x=\"{centre:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            upper - 7.0,
            height - 10.0,
            step.name
        );
        if place + 2 < steps.len() {
            let (x, level) = (centre + width / 2.0, y(step.to));
            let _ =
                write!(out, "<path class=\"grid\" d=\"M{x:.1} {level:.1}h{:.1}\"/>", slot - width);
        }
    }
    out.push_str("</svg>");
    out
}

/// Money with its sign and as many digits as its size needs.
pub fn signed(amount: f64) -> String {
    let digits = match amount.abs() {
        a if a >= 0.1 || a == 0.0 => 2,
        a if a >= 0.001 => 4,
        _ => 7,
    };
    let text = grouped(amount, digits);
    if amount > 0.0 { format!("+{text}") } else { text }
}
