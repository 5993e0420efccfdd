//! What a trader looks for beside the pictures: what the quotes earned, what stopped orders, how deep
//! it went. Figures of the run's document, not of the pictures' samples.
//!
//! Fed by [`RunReport::summary`]; feeds `page`. After the run. What the document has not is not shown.

use super::RunReport;
use super::charts::signed;
use super::svg::{escape, grouped};
use serde_json::Value;
use std::fmt::Write;

/// A figure at the head of the page.
pub struct Tile {
    /// What it is.
    pub name: String,
    /// How much, as text.
    pub value: String,
    /// What to compare it with.
    pub note: String,
    /// Red.
    pub is_bad: bool,
}

/// The largest net delta of an underlying, between samples too; `None` where the document has none.
pub fn delta_max(report: &RunReport, underlying: &str) -> Option<f64> {
    report.summary["delta_max_abs"][underlying].as_str()?.parse().ok()
}

fn percent(value: &Value) -> String {
    value.as_f64().map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// Drawdown, what each unit traded brought, and how long there were quotes.
pub fn tiles(report: &RunReport) -> Vec<Tile> {
    let liquidity = &report.summary["liquidity"];
    let currency = escape(&report.pnl.currency);
    let total = report.pnl.final_total.0 as f64 * 1e-9;
    let mut tiles = Vec::new();
    if let Some(drawdown) = liquidity["drawdown_max"].as_f64() {
        let value = grouped(drawdown.abs(), 2);
        let (name, is_bad) = ("largest drawdown".to_owned(), false);
        tiles.push(Tile { name, value, note: currency.clone(), is_bad });
    }
    for pool in &report.underlyings {
        let traded = liquidity["inventory"][&pool.name]["traded"].as_f64();
        if let Some(traded) = traded.filter(|traded| *traded > 0.0) {
            let name = escape(&pool.name);
            tiles.push(Tile {
                name: format!("PnL per {name} traded"),
                value: signed(total / traded),
                note: format!("{currency}; {} {name} traded", grouped(traded, 3)),
                is_bad: total < 0.0,
            });
        }
    }
    for line in report.instruments.iter().filter(|line| line.bid.range().is_some()) {
        let of = &liquidity["instruments"][&line.symbol];
        if of["quote_uptime"].is_number() {
            tiles.push(Tile {
                name: format!("both sides quoted, {}", escape(&line.symbol)),
                value: percent(&of["quote_uptime"]),
                note: format!("at the touch {}", percent(&of["time_at_touch"])),
                is_bad: false,
            });
        }
    }
    tiles
}

/// What the quotes of each instrument earned: paid at the fill, and what was left of it later.
pub fn spreads(report: &RunReport) -> Option<String> {
    let money = |value: &Value| value.as_f64().map_or_else(|| "–".to_owned(), signed);
    let instruments = report.summary["liquidity"]["instruments"].as_object()?;
    let mut rows = String::new();
    for (symbol, of) in instruments {
        let spreads = &of["spreads"];
        if spreads["fills"].as_u64().unwrap_or(0) == 0 {
            continue;
        }
        let quoted = of["quoted_spread"].as_f64();
        let quoted = quoted.map_or_else(|| "–".to_owned(), |quoted| grouped(quoted, 2));
        let _ = write!(
            rows,
            "<tr><th>{}</th><td>{}</td><td>{quoted}</td><td>{}</td>",
            escape(symbol),
            spreads["fills"],
            money(&spreads["effective_spread"])
        );
        for after in ["0.1s", "1s", "10s", "60s"] {
            let _ = write!(rows, "<td>{}</td>", money(&spreads["realised_spread"][after]));
        }
        rows.push_str("</tr>");
    }
    (!rows.is_empty()).then(|| {
        format!(
            "<table><tr><th></th><td>fills</td><td>quoted</td><td>effective</td>\
             <td>realised, 0.1 s</td><td>1 s</td><td>10 s</td><td>60 s</td></tr>{rows}</table>"
        )
    })
}

/// How orders fared, and what the gate held back.
pub fn orders(report: &RunReport) -> Option<String> {
    let document = &report.summary;
    document["orders_sent"].as_u64()?;
    let mut rows = String::new();
    for (key, name) in [
        ("orders_sent", "sent"),
        ("replaces_sent", "moved"),
        ("cancels_sent", "cancelled"),
        ("orders_rejected", "refused by the venue"),
        ("cancels_rejected", "cancels and moves refused"),
        ("in_doubt_expired", "left without an answer"),
    ] {
        let _ = write!(rows, "<tr><th>{name}</th><td>{}</td></tr>", document[key]);
    }
    for (reason, count) in document["blocked"].as_object().into_iter().flatten() {
        let reason = escape(&reason.replace('_', " "));
        let _ = write!(rows, "<tr><th>held back: {reason}</th><td>{count}</td></tr>");
    }
    Some(format!("<table>{rows}</table>"))
}
