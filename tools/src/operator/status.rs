//! `status` and `limits` as a document, and as text made of the document.
//!
//! Fed by the desk's standing; feeds the socket's answers. The socket's thread. Absent: anything that
//! the document does not say.

use super::desk::Desk;
use super::standing::{Latency, Standing};
use crate::config::ConfigFile;
use crate::config::instruments::InstrumentTable;
use crate::hedge_ratios;
use crate::holdings_report;
use crate::option_report;
use crate::session_watch::SessionWatch;
use ballast_engine::instrument::{Instrument, Underlying};
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::risk::greek_limits::GreekLimits;
use ballast_engine::units::Exposure;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// What numbers are called, and the limits that delta is shown beside.
pub struct Names {
    instruments: Vec<Instrument>,
    underlyings: Vec<String>,
    reporting: String,
    greek_limits: Vec<(Underlying, GreekLimits)>,
    table: InstrumentTable,
}

impl Names {
    /// Of a config.
    pub fn new(file: &ConfigFile, config: &MakerConfig) -> Names {
        Names {
            instruments: config.instruments.clone(),
            underlyings: file.table.underlyings.iter().map(str::to_owned).collect(),
            reporting: file.raw.reporting.clone(),
            greek_limits: option_report::limits(config),
            table: file.table.clone(),
        }
    }

    /// An underlying's name.
    pub fn underlying(&self, place: usize) -> &str {
        self.underlyings.get(place).map_or("?", String::as_str)
    }

    /// An instrument's symbol.
    pub fn symbol(&self, place: usize) -> &str {
        self.instruments.get(place).map_or("?", Instrument::symbol)
    }
}

fn instruments(names: &Names, standing: &Standing) -> Vec<Value> {
    let rows = standing.states.iter().enumerate().map(|(place, (state, reason))| {
        let mut row = Map::new();
        row.insert("symbol".into(), json!(names.symbol(place)));
        row.insert("state".into(), json!(format!("{state:?}").to_lowercase()));
        row.insert("reason".into(), json!(reason.name()));
        let sample = standing.instruments.get(place).and_then(Option::as_ref);
        if let (Some(sample), Some(instrument)) = (sample, names.instruments.get(place)) {
            let price = |price: Option<_>| price.map(|price| instrument.price_text(price));
            let [bid, ask] = sample.quotes.map(price);
            let [buying, selling] = sample.open.map(|lots| instrument.size_text(lots));
            row.insert("position".into(), json!(instrument.size_text(sample.position)));
            row.insert("bid".into(), json!(bid));
            row.insert("ask".into(), json!(ask));
            row.insert("open_buy".into(), json!(buying));
            row.insert("open_sell".into(), json!(selling));
            row.insert("fills".into(), json!(sample.fills));
            row.insert("gaps".into(), json!(sample.gaps_seen));
            row.insert("spikes".into(), json!(sample.spikes_seen));
        }
        Value::Object(row)
    });
    rows.collect()
}

/// Each Greek of each underlying's options beside its limits.
fn options(names: &Names, standing: &Standing) -> Map<String, Value> {
    let mut told = Map::new();
    for (underlying, limits) in &names.greek_limits {
        let place = usize::from(underlying.0);
        let sample = standing.greeks.get(place).and_then(Option::as_ref);
        if let Some(sample) = sample {
            let beside = option_report::beside_limits(sample, limits);
            told.insert(names.underlying(place).to_owned(), Value::Object(beside));
        }
    }
    told
}

/// What is where; null where nothing is kept by venue.
fn holdings(table: &InstrumentTable, standing: &Standing) -> Value {
    if standing.balances.is_empty() && standing.transfers.is_empty() {
        return Value::Null;
    }
    let places = standing.places.iter().map(|told| holdings_report::place(table, told));
    let transfers = standing.transfers.iter();
    let transfers = transfers.map(|(_, told)| holdings_report::transfer(table, told));
    let balances = standing.balances.iter().map(|told| holdings_report::balance(table, told));
    json!({
        "places": places.collect::<Vec<_>>(),
        "transfers": transfers.collect::<Vec<_>>(),
        "balances": balances.collect::<Vec<_>>(),
    })
}

fn session(watch: &SessionWatch) -> Value {
    let mut row = Map::new();
    row.insert("name".into(), json!(watch.name));
    row.insert("up".into(), json!(watch.is_up()));
    if let Some([executions, confirmed, missed]) = watch.copies() {
        row.insert("executions".into(), json!(executions));
        row.insert("confirmed".into(), json!(confirmed));
        row.insert("missed".into(), json!(missed));
    }
    Value::Object(row)
}

/// How it stands, whole.
pub fn document(names: &Names, desk: &Desk) -> Value {
    let standing = desk.standing().clone();
    let instruments = instruments(names, &standing);
    let deltas = names.underlyings.iter().zip(&standing.deltas);
    let deltas = deltas.map(|(name, delta): (_, &Option<Exposure>)| {
        json!({ "underlying": name, "net_delta": delta.map(|delta| delta.to_string()) })
    });
    let sessions = desk.sessions().iter().map(session);
    let pnl = standing.pnl.map(|(causes, total)| {
        let mut rows: Map<_, _> = causes
            .iter()
            .map(|(cause, amount)| (cause.name().to_owned(), json!(amount.to_string())))
            .collect();
        rows.insert("total".into(), json!(total.to_string()));
        Value::Object(rows)
    });
    json!({
        "epoch": desk.epoch(),
        "pid": std::process::id(),
        "killed": desk.killed(),
        "journal_ok": !standing.is_journal_lost,
        "at_ns": standing.at.0,
        "instruments": instruments,
        "underlyings": deltas.collect::<Vec<_>>(),
        "options": options(names, &standing),
        "holdings": holdings(&names.table, &standing),
        "fills": standing.fills,
        "pnl_currency": names.reporting,
        "pnl": pnl,
        "blocked": standing.blocked,
        "state_changes": standing.changes,
        "collateral": standing.collateral.as_ref().map(|watched| &watched.document),
        "hedge_ratios": standing.hedge_ratios,
        "firm": standing.firm,
        "sessions": sessions.collect::<Vec<_>>(),
        "latency_ns": latencies(&standing.latency),
        "latency_window_ns": latencies(&standing.latency_window),
        "latency_samples_dropped": standing.latency_dropped,
        "counter_drift_ppb": standing.drift_ppb,
    })
}

fn latencies(all: &[Latency]) -> Map<String, Value> {
    let rows = all.iter().map(|latency| {
        let [p50, p99, p999, max] = latency.nanos;
        let row = json!({
            "count": latency.count, "p50": p50, "p99": p99, "p99_9": p999, "max": max,
        });
        (latency.name.to_owned(), row)
    });
    rows.collect()
}

/// A counter that is off by more than a thousandth measures wrong.
const DRIFT_PPB_MAX: i64 = 1_000_000;

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row.get(key).and_then(Value::as_str).unwrap_or("-")
}

fn rows<'a>(document: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    document.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn fields<'a>(document: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    document.get(key).and_then(Value::as_object).into_iter().flatten()
}

/// What came over a session that is a drop copy.
fn copies_for_people(session: &Value) -> String {
    let of = |key: &str| session.get(key).and_then(Value::as_u64);
    match (of("executions"), of("confirmed"), of("missed")) {
        (Some(executions), Some(confirmed), Some(missed)) => format!(
            ": {executions} executions, {confirmed} told by the order session, {missed} by it alone"
        ),
        _ => String::new(),
    }
}

/// What is wrong with the latencies that are shown.
fn measured_wrong(document: &Value) -> String {
    let mut out = String::new();
    let number = |key: &str| document.get(key).and_then(Value::as_i64).unwrap_or(0);
    if number("latency_samples_dropped") > 0 {
        let lost = number("latency_samples_dropped");
        let _ = writeln!(out, "{lost} LATENCIES WERE NOT TAKEN: the worst may be among them");
    }
    if number("counter_drift_ppb").abs() > DRIFT_PPB_MAX {
        let ppb = number("counter_drift_ppb");
        let _ = writeln!(out, "THE COUNTER IS OFF by {ppb} parts per billion: so are latencies");
    }
    out
}

/// The document of [`document`] for people.
pub fn for_people(document: &Value) -> String {
    let mut out = String::new();
    if let Some(note) = document.get("killed").filter(|note| !note.is_null()) {
        let (reason, at) = (text(note, "reason"), text(note, "at"));
        let _ = writeln!(out, "KILLED at {at} by {}: {reason}", text(note, "by"));
    }
    if document.get("journal_ok") == Some(&Value::Bool(false)) {
        let _ = writeln!(out, "THE JOURNAL CANNOT BE WRITTEN: the run ends");
    }
    for row in rows(document, "instruments") {
        let _ = writeln!(
            out,
            "{:<16} {:<9} {:<14} position {:>12}   quotes {} / {}   open {} / {}",
            text(row, "symbol"),
            text(row, "state"),
            text(row, "reason"),
            text(row, "position"),
            text(row, "bid"),
            text(row, "ask"),
            text(row, "open_buy"),
            text(row, "open_sell"),
        );
    }
    for row in rows(document, "underlyings") {
        let _ =
            writeln!(out, "{:<16} net delta {}", text(row, "underlying"), text(row, "net_delta"));
    }
    let lines = option_report::limits_for_people(&document["options"]).into_iter();
    let lines = lines.chain(hedge_ratios::for_people(&document["hedge_ratios"]));
    for line in lines.chain(holdings_report::for_people(&document["holdings"])) {
        let _ = writeln!(out, "{line}");
    }
    let currency = text(document, "pnl_currency");
    for (cause, amount) in fields(document, "pnl") {
        if amount.as_str().is_some_and(|amount| amount != "0.000000000") || cause == "total" {
            let _ =
                writeln!(out, "pnl {cause:<18} {:>20} {currency}", amount.as_str().unwrap_or("-"));
        }
    }
    for line in crate::collateral::for_people(&document["collateral"]) {
        let _ = writeln!(out, "{line}");
    }
    for (reason, count) in fields(document, "blocked") {
        let _ = writeln!(out, "blocked by {reason}: {count}");
    }
    for (reason, count) in fields(document, "state_changes") {
        let _ = writeln!(out, "changed state for {reason}: {count}");
    }
    for row in rows(document, "sessions") {
        let is_up = row.get("up") == Some(&Value::Bool(true));
        let up = if is_up { "up  " } else { "DOWN" };
        let _ = writeln!(out, "{up} {}{}", text(row, "name"), copies_for_people(row));
    }
    for (name, row) in fields(document, "latency_ns") {
        let of = |key: &str| row.get(key).and_then(Value::as_u64).unwrap_or(0);
        let (p50, p99, p999, max) = (of("p50"), of("p99"), of("p99_9"), of("max"));
        let _ = writeln!(out, "{name:<14} ns p50 {p50}  p99 {p99}  p99.9 {p999}  max {max}");
    }
    (out + &measured_wrong(document)).trim_end().to_owned()
}

/// The document of `limits` for people.
pub fn limits_for_people(document: &Value) -> String {
    let mut out = String::new();
    for (owner, keys) in fields(document, "values") {
        for (key, row) in keys.as_object().into_iter().flatten() {
            let (value, kind) = (text(row, "value"), text(row, "kind"));
            let or = row.get("or").and_then(Value::as_str);
            let or = or.map(|or| format!(", or {or}: an act was not answered")).unwrap_or_default();
            let _ = writeln!(out, "{owner:<16} {key:<22} {value:>16}   {kind}{or}");
        }
    }
    for row in rows(document, "pending") {
        let number = |key: &str| row.get(key).and_then(Value::as_u64).unwrap_or(0);
        let _ = writeln!(
            out,
            "waits for a second operator: {} {}, asked by {}, {} s left",
            number("id"),
            text(row, "act"),
            text(row, "by"),
            number("seconds_left"),
        );
    }
    out.truncate(out.trim_end().len());
    out
}
