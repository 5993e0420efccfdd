//! The page: what matters first, then the pictures, then the figures.
//!
//! Fed by [`RunReport`]; feeds `report.html`. One file: styles inside, no script, nothing fetched.
//! Light or dark follows the reader's system.

use super::charts::{self, cause_name, signed};
use super::key_figures;
use super::latency_chart::{self, nanos_text};
use super::provision;
use super::svg::{escape, grouped};
use super::{InstrumentSeries, RunReport};
use std::fmt::Write;

const STYLE: &str = include_str!("page.css");

/// The whole document.
pub fn html(report: &RunReport) -> String {
    let mut out = String::new();
    let title = escape(&report.title);
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><main><h1>{title}</h1>"
    );
    out.push_str(&started(report));
    tiles(report, &mut out);
    account(report, &mut out);
    for (place, pool) in report.underlyings.iter().enumerate() {
        let name = escape(&pool.name);
        section(
            &mut out,
            &format!("Net delta {name}"),
            "All instruments together, from the target, as sampled. Outside the shaded band the maker hedges.",
            &charts::delta(report, pool),
        );
        let picture = charts::inventory(report, place);
        let legend = charts::inventory_legend(report, place);
        section(
            &mut out,
            &format!("Inventory by instrument, in {name}"),
            "What each instrument added since the start. Quotes fill one, hedges offset it in another.",
            &format!("{picture}<p class=\"legend\">{legend}</p>"),
        );
    }
    for line in report.instruments.iter().filter(|line| line.bid.range().is_some()) {
        quoted(report, line, &mut out);
    }
    latency(report, &mut out);
    figures(report, &mut out);
    out.push_str("</main></body></html>\n");
    out
}

fn section(out: &mut String, title: &str, caption: &str, picture: &str) {
    let _ = write!(
        out,
        "<section><h2>{title}</h2><p class=\"caption\">{caption}</p>{picture}</section>"
    );
}

fn duration_text(nanos: u64) -> String {
    let seconds = nanos.saturating_add(500_000_000) / 1_000_000_000;
    match seconds {
        0..60 => format!("{:.1} s", nanos as f64 * 1e-9),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

fn started(report: &RunReport) -> String {
    let length = duration_text(report.ended.since(report.started));
    let start = jiff::Timestamp::from_nanosecond(report.started.0.into());
    let start = start.map_or_else(|_| String::new(), |at| format!("{at:.0}, "));
    format!("<p class=\"caption\">{start}{length} of market time</p>")
}

fn tile(out: &mut String, name: &str, value: &str, note: &str, class: &str) {
    let _ = write!(
        out,
        "<div class=\"tile\"><span class=\"name\">{name}</span><span class=\"value {class}\">{value}</span>\
         <span class=\"note\">{note}</span></div>"
    );
}

fn tiles(report: &RunReport, out: &mut String) {
    out.push_str("<div class=\"tiles\">");
    let total = report.pnl.final_total.0 as f64 * 1e-9;
    let class = if total < 0.0 { "bad" } else { "good" };
    tile(out, "PnL", &signed(total), &escape(&report.pnl.currency), class);
    for pool in &report.underlyings {
        // Between two samples it may have been larger: the account saw every fill.
        let exact = key_figures::delta_max(report, &pool.name).unwrap_or(0.0);
        let (reached, hard) = (pool.delta.abs_max().max(exact), pool.limits.hard);
        let share = if hard > 0.0 { reached / hard * 100.0 } else { 0.0 };
        let class = if reached > pool.limits.stop { "bad" } else { "" };
        let name = escape(&pool.name);
        let note = format!("{share:.0} % of the hard limit {hard}");
        tile(out, &format!("max net delta, {name}"), &grouped(reached, 4), &note, class);
    }
    let quoted: u64 = report.instruments.iter().map(|line| line.quoted.fills).sum();
    let hedged: u64 = report.instruments.iter().map(|line| line.hedged.fills).sum();
    let note =
        format!("{} quotes, {} hedges", grouped(quoted as f64, 0), grouped(hedged as f64, 0));
    tile(out, "fills", &grouped((quoted + hedged) as f64, 0), &note, "");
    for figure in key_figures::tiles(report) {
        let class = if figure.is_bad { "bad" } else { "" };
        tile(out, &figure.name, &figure.value, &figure.note, class);
    }
    for (name, histogram) in &report.latencies {
        if *name == TICK_TO_ORDER {
            let p50 = nanos_text(histogram.value_at_quantile(0.5) as f64);
            let p99 = nanos_text(histogram.value_at_quantile(0.99) as f64);
            let max = nanos_text(histogram.max() as f64);
            tile(out, "tick to order, p99", &p99, &format!("p50 {p50}, max {max}"), "");
        }
    }
    out.push_str("</div>");
}

/// The latency that the head of the page shows, where the run recorded one of this name.
pub const TICK_TO_ORDER: &str = "tick_to_order";

fn account(report: &RunReport, out: &mut String) {
    let currency = escape(&report.pnl.currency);
    section(
        out,
        &format!("Where the PnL comes from, in {currency}"),
        "Each cause is booked as it happens; the total comes from cash and marks alone. They agree to the last 1e-9.",
        &charts::waterfall(&report.pnl),
    );
    section(out, "PnL over time", "The total and each of its causes.", &charts::pnl(report));
    if let Some(table) = key_figures::spreads(report) {
        section(
            out,
            "What the quotes earned",
            "In quote currency, both sides together: the spread that stood, what fills paid against the mid, and what of it \
             was left so long after. Less than paid: the market went on against us.",
            &table,
        );
    }
    if let Some(tables) = provision::tables(report) {
        section(
            out,
            "Liquidity provided, inventory turned over",
            "Shares are of the run's time. Adverse selection is the part of inventory mark-to-market so long after each              fill, in quote currency. A unit of risk is the standard deviation of the run's PnL, from its steps.",
            &tables,
        );
    }
}

fn quoted(report: &RunReport, line: &InstrumentSeries, out: &mut String) {
    let symbol = escape(&line.symbol);
    section(
        out,
        &format!("{symbol}: price, our quotes, our fills"),
        "<span class=\"buy\">▲ bought</span> <span class=\"sell\">▼ sold</span>; larger marks are larger or several fills.",
        &charts::price(report, line, (report.started, report.ended)),
    );
    if let Some(span) = charts::busiest(report, line) {
        section(
            out,
            &format!("{symbol}: the busiest twelfth of the run, closer"),
            "The same, where most fills fell.",
            &charts::price(report, line, span),
        );
    }
    section(
        out,
        &format!("{symbol}: our quotes from the mid"),
        "Both lines shifted down: leaning to sell. Shifted up: leaning to buy. No line: that side was not quoted.",
        &charts::distance(report, line),
    );
}

fn latency(report: &RunReport, out: &mut String) {
    if report.latencies.iter().all(|(_, histogram)| histogram.is_empty()) {
        return;
    }
    let (picture, rows) =
        (latency_chart::picture(&report.latencies), latency_chart::rows(&report.latencies));
    section(
        out,
        "Latency by percentile",
        "From the arrival of the bytes that caused it. To the right each step is ten times rarer.",
        &format!(
            "{picture}<table><tr><th></th><td>p50</td><td>p99</td><td>p99.9</td><td>p99.99</td>\
             <td>max</td><td>count</td></tr>{rows}</table>"
        ),
    );
}

fn figures(report: &RunReport, out: &mut String) {
    let currency = escape(&report.pnl.currency);
    let _ = write!(out, "<div class=\"columns\"><section><h2>PnL, exact</h2><table>");
    for (&cause, amount) in &report.pnl.final_causes {
        let _ = write!(out, "<tr><th>{}</th><td>{amount}</td></tr>", cause_name(cause));
    }
    let _ = write!(
        out,
        "<tr class=\"sum\"><th>total, {currency}</th><td>{}</td></tr></table></section>",
        report.pnl.final_total
    );
    out.push_str("<section><h2>Fills</h2><table><tr><th></th><td>quotes</td><td>size</td><td>hedges</td><td>size</td></tr>");
    for line in &report.instruments {
        let digits = line.size_digits.into();
        let _ = write!(
            out,
            "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&line.symbol),
            line.quoted.fills,
            grouped(line.quoted.size, digits),
            line.hedged.fills,
            grouped(line.hedged.size, digits)
        );
    }
    out.push_str("</table></section>");
    if let Some(table) = key_figures::orders(report) {
        let _ = write!(out, "<section><h2>Orders</h2>{table}</section>");
    }
    out.push_str("<section><h2>The run</h2><table class=\"facts\">");
    for (name, value) in &report.facts {
        let _ = write!(out, "<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(value));
    }
    out.push_str("</table></section></div>");
}
