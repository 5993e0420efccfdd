//! Liquidity as it was provided: how long there were quotes, what became of them, how inventory turned
//! over and what holding it cost.
//!
//! Fed by [`RunReport::summary`]; feeds `page`. After the run. What the document has not is a dash: a
//! half-life, for one, is known only of an inventory that came home.

use super::RunReport;
use super::charts::signed;
use super::svg::{escape, grouped};
use serde_json::Value;
use std::fmt::Write;

fn told(value: &Value, text: impl Fn(f64) -> String) -> String {
    value.as_f64().map_or_else(|| "–".to_owned(), text)
}

fn percent(value: &Value) -> String {
    told(value, |share| format!("{:.1} %", share * 100.0))
}

/// One table for the instruments that quoted, one for inventories; `None` where nothing did.
pub fn tables(report: &RunReport) -> Option<String> {
    let liquidity = &report.summary["liquidity"];
    let instruments = liquidity["instruments"].as_object().filter(|all| !all.is_empty())?;
    let mut out = String::from(
        "<table><tr><th></th><td>both sides quoted</td><td>one side</td><td>at the touch</td>\
         <td>traded of what was shown</td><td>adverse selection in 1 s</td><td>in 10 s</td><td>in 60 s</td></tr>",
    );
    for (symbol, of) in instruments {
        let _ = write!(
            out,
            "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td>",
            escape(symbol),
            percent(&of["quote_uptime"]),
            percent(&of["one_sided"]),
            percent(&of["time_at_touch"]),
            told(&of["fill_ratio"], |ratio| format!("{:.2} %", ratio * 100.0))
        );
        for after in ["1s", "10s", "60s"] {
            let _ = write!(out, "<td>{}</td>", told(&of["adverse_selection"][after], signed));
        }
        out.push_str("</tr>");
    }
    out.push_str(
        "</table><table><tr><th></th><td>traded</td><td>mean inventory</td><td>turned over an hour</td>\
         <td>half-life</td></tr>",
    );
    for pool in &report.underlyings {
        let of = &liquidity["inventory"][&pool.name];
        let _ = write!(
            out,
            "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&pool.name),
            told(&of["traded"], |traded| grouped(traded, 3)),
            told(&of["mean_abs"], |mean| grouped(mean, 4)),
            told(&of["turnover_per_hour"], |times| format!("{} times", grouped(times, 1))),
            told(&of["half_life_s"], |seconds| format!("{} s", grouped(seconds, 1)))
        );
    }
    let capital = liquidity["capital_cost"].as_str().unwrap_or("–");
    let _ = write!(
        out,
        "</table><table><tr><th>capital, {}</th><td>{}</td></tr><tr><th>PnL a unit of its risk</th><td>{}</td></tr></table>",
        escape(&report.pnl.currency),
        escape(capital),
        told(&liquidity["pnl_per_unit_of_risk"], signed)
    );
    Some(out)
}
