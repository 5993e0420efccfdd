//! The one document that says how a run went: what `--json` prints and `summary.json` holds.
//!
//! Fed by the maker at the end of a run and by whatever ran it; feeds people's scripts. Numbers that
//! must be exact are decimal text.

use crate::collateral;
use crate::config::ConfigFile;
use crate::hedge_ratios;
use crate::holdings_report;
use crate::option_report;
use ballast_engine::event::InstrumentId;
use ballast_engine::maker::Maker;
use ballast_engine::risk::gate::BlockReason;
use ballast_engine::units::{Decimal, Side, decimal_text};
use ballast_gateway::session::Counters;
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

/// What the runner knows and the maker does not.
#[derive(Clone, Debug, Default)]
pub struct RunFacts {
    /// SHA-256 over all intents, in hexadecimal.
    pub intents_sha256: String,
    /// Market events taken from the tape.
    pub tape_events: u64,
    /// Tick to order, where it was measured.
    pub tick_to_order: Option<Histogram<u64>>,
    /// The host's own stalls in the same minutes, where there were any.
    pub host_hiccups: Option<Histogram<u64>>,
    /// Latencies that found no room, and how far their counter was off in parts per billion, where
    /// latencies were measured.
    pub latency_faults: Option<(u64, i64)>,
    /// What crossed the FIX sessions, where there were any.
    pub fix: Option<FixCounts>,
    /// Telemetry that found no room.
    pub telemetry_dropped: u64,
    /// The liquidity-provision report; null where nobody gathered one.
    pub liquidity: Value,
    /// The collateral's short list; null where it is not watched.
    pub collateral: Value,
    /// How hedge instruments moved; null where that is not estimated.
    pub hedge_ratios: Value,
}

/// Messages of all FIX sessions of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FixCounts {
    /// Taken in.
    pub messages_in: u64,
    /// Sent.
    pub messages_out: u64,
    /// Reject(3) and BusinessMessageReject(j), both ways.
    pub rejects: u64,
    /// ResendRequest(2), both ways.
    pub resends: u64,
}

impl FixCounts {
    /// Adds a session; `business_rejects` are those that its application counted.
    pub fn add(&mut self, session: Counters, business_rejects: u64) {
        self.messages_in += session.messages_in;
        self.messages_out += session.messages_out;
        self.rejects += business_rejects.max(session.rejects_in) + session.rejects_out;
        self.resends += session.resend_requests_out + session.resent;
    }
}

/// The document.
pub fn summary(file: &ConfigFile, maker: &Maker, facts: &RunFacts) -> Value {
    let counters = maker.counters();
    let mut document = Map::new();
    document.insert("events".into(), json!(counters.market_events));
    document.insert("tape_events".into(), json!(facts.tape_events));
    document.insert("inputs".into(), json!(counters.inputs));
    document.insert("orders_sent".into(), json!(counters.intents[0]));
    document.insert("replaces_sent".into(), json!(counters.intents[1]));
    document.insert("cancels_sent".into(), json!(counters.intents[2]));
    document.insert("orders_rejected".into(), json!(counters.rejected));
    document.insert("cancels_rejected".into(), json!(counters.cancel_rejected));
    document.insert("fills".into(), json!(counters.fills));
    by_instrument(&mut document, file, maker);
    let delta = |n: usize| maker.delta(n).map(|delta| delta.to_string());
    document.insert("delta_end".into(), by_underlying(file, delta));
    let most = |n: usize| Some(decimal_text(maker.delta_max_abs(n)?.into(), 9));
    document.insert("delta_max_abs".into(), by_underlying(file, most));
    document.insert("pnl".into(), pnl(maker));
    document.insert("reporting_currency".into(), json!(file.raw.reporting));
    document.insert("blocked".into(), blocked(maker));
    let entered = counters.entered.iter().map(|(reason, n)| (reason.name().into(), json!(n)));
    document.insert("states_entered".into(), Value::Object(entered.collect()));
    document.insert("obligations".into(), obligations(file, maker));
    document.insert("self_trade_cancels".into(), json!(counters.self_trade_cancels));
    document.insert("self_trade_reductions".into(), json!(counters.self_trade_reductions));
    if let Some(options) = option_report::document(file, maker) {
        document.insert("options".into(), options);
    }
    if !facts.collateral.is_null() {
        document.insert("collateral".into(), facts.collateral.clone());
    }
    if !facts.hedge_ratios.is_null() {
        let ratios = hedge_ratios::with_plans(&facts.hedge_ratios, file, maker);
        document.insert("hedge_ratios".into(), ratios);
    }
    if let Some(holdings) = holdings_report::document(file, maker) {
        document.insert("holdings".into(), holdings);
    }
    document.insert("in_doubt_expired".into(), json!(counters.expired_requests));
    document.insert("unknown_orders".into(), json!(counters.unknown_orders));
    document.insert("duplicate_fills".into(), json!(counters.duplicate_fills));
    document.insert("telemetry_dropped".into(), json!(facts.telemetry_dropped));
    if !facts.liquidity.is_null() {
        document.insert("liquidity".into(), facts.liquidity.clone());
    }
    latencies(&mut document, facts);
    if let Some(fix) = &facts.fix {
        let fix = json!({
            "messages_in": fix.messages_in,
            "messages_out": fix.messages_out,
            "rejects": fix.rejects,
            "resends": fix.resends,
        });
        document.insert("fix".into(), fix);
    }
    document.insert("intents_sha256".into(), json!(facts.intents_sha256));
    Value::Object(document)
}

/// What was measured, beside the host's own stalls and what is wrong with the measuring.
fn latencies(document: &mut Map<String, Value>, facts: &RunFacts) {
    if let Some(histogram) = &facts.tick_to_order {
        document.insert("tick_to_order_ns".into(), percentiles(histogram));
    }
    if let Some(histogram) = &facts.host_hiccups {
        document.insert("host_hiccups_ns".into(), percentiles(histogram));
    }
    if let Some((dropped, drift_ppb)) = facts.latency_faults {
        document.insert("latency_samples_dropped".into(), json!(dropped));
        document.insert("counter_drift_ppb".into(), json!(drift_ppb));
    }
}

/// Percentiles of a latency in nanoseconds.
pub fn percentiles(histogram: &Histogram<u64>) -> Value {
    json!({
        "p50": histogram.value_at_quantile(0.5),
        "p99": histogram.value_at_quantile(0.99),
        "p999": histogram.value_at_quantile(0.999),
        "p9999": histogram.value_at_quantile(0.9999),
        "max": histogram.max(),
        "count": histogram.len(),
    })
}

fn by_underlying(file: &ConfigFile, text: impl Fn(usize) -> Option<String>) -> Value {
    let names = file.table.underlyings.iter().enumerate();
    Value::Object(names.map(|(n, name)| (name.to_owned(), json!(text(n)))).collect())
}

fn by_instrument(document: &mut Map<String, Value>, file: &ConfigFile, maker: &Maker) {
    let (mut fills, mut end, mut max, mut books, mut states) =
        (Map::new(), Map::new(), Map::new(), Map::new(), Map::new());
    for (n, instrument) in file.table.instruments.iter().enumerate() {
        let Some(snapshot) = u16::try_from(n).ok().and_then(|n| maker.snapshot(InstrumentId(n)))
        else {
            continue;
        };
        let symbol = instrument.symbol().to_owned();
        let lot = instrument.spec().lot;
        fills.insert(symbol.clone(), json!(snapshot.fills));
        end.insert(symbol.clone(), json!(instrument.size_text(snapshot.position)));
        let most = i64::try_from(snapshot.position_max_abs).unwrap_or(i64::MAX);
        max.insert(symbol.clone(), json!(Decimal::text_of(most, lot)));
        let best = |side: Side| {
            let book = maker.book(instrument.id());
            let level = book.and_then(|book| book.best(side));
            level.map(|level| instrument.price_text(level.price))
        };
        let book = json!({
            "bid": best(Side::Buy),
            "ask": best(Side::Sell),
            "gaps": snapshot.gaps_seen,
            "spikes": snapshot.spikes_seen,
        });
        books.insert(symbol.clone(), book);
        let state = json!({ "state": snapshot.state.name(), "reason": snapshot.reason.name() });
        states.insert(symbol, state);
    }
    document.insert("fills_by_instrument".into(), Value::Object(fills));
    document.insert("inventory_end".into(), Value::Object(end));
    document.insert("inventory_max_abs".into(), Value::Object(max));
    document.insert("books".into(), Value::Object(books));
    document.insert("states".into(), Value::Object(states));
}

fn pnl(maker: &Maker) -> Value {
    let Some((causes, total)) = maker.pnl() else { return Value::Null };
    let mut pnl = Map::new();
    pnl.insert("total".into(), json!(total.to_string()));
    for (cause, amount) in causes {
        pnl.insert(cause.name().into(), json!(amount.to_string()));
    }
    Value::Object(pnl)
}

/// How much of the time each quoting obligation was met.
fn obligations(file: &ConfigFile, maker: &Maker) -> Value {
    let owed = file.table.instruments.iter().filter_map(|instrument| {
        let uptime = maker.uptime(instrument.id())?;
        let share = decimal_text(i128::from(uptime.permille), 3);
        let told = json!({ "uptime": share, "breaches": uptime.breaches });
        Some((instrument.symbol().to_owned(), told))
    });
    Value::Object(owed.collect())
}

fn blocked(maker: &Maker) -> Value {
    let counts = BlockReason::ALL.iter().zip(maker.counters().blocked);
    let counts = counts.filter(|(_, count)| *count > 0);
    Value::Object(counts.map(|(reason, count)| (reason.name().into(), json!(count))).collect())
}

/// The document in lines for a terminal.
pub fn for_people(document: &Value) -> String {
    let text = |key: &str| match &document[key] {
        Value::String(text) => text.clone(),
        Value::Object(parts) => {
            let parts = parts.iter().map(|(name, value)| match value {
                Value::String(text) => format!("{name} {text}"),
                other => format!("{name} {other}"),
            });
            parts.collect::<Vec<_>>().join("   ")
        }
        other => other.to_string(),
    };
    let mut lines = vec![
        format!("events     {}", text("events")),
        format!(
            "orders     {} new, {} moved, {} cancelled, {} refused",
            text("orders_sent"),
            text("replaces_sent"),
            text("cancels_sent"),
            text("orders_rejected")
        ),
        format!("fills      {}   ({})", text("fills"), text("fills_by_instrument")),
        format!("inventory  {}   (largest {})", text("inventory_end"), text("inventory_max_abs")),
        format!("net delta  {}   (largest {})", text("delta_end"), text("delta_max_abs")),
        format!("pnl        {}   [{}]", text("pnl"), text("reporting_currency")),
    ];
    for (key, name) in
        [("tick_to_order_ns", "to order ns"), ("host_hiccups_ns", "host ns"), ("fix", "fix")]
    {
        if !document[key].is_null() {
            lines.push(format!("{name:<10} {}", text(key)));
        }
    }
    if let Some(lost) = document["latency_samples_dropped"].as_u64().filter(|lost| *lost > 0) {
        lines.push(format!("           {lost} LATENCIES NOT TAKEN, the worst may be among them"));
    }
    if document["tape"].is_object() {
        lines.push(format!("tape       {}", text("plays")));
        lines.push(format!("           {}", text("tape")));
        lines.push(format!("queue      {}", text("queue")));
        lines.push(format!("run        sha256 {} (intents and fills)", text("run_sha256")));
    }
    lines.extend(option_report::for_people(document));
    lines.extend(collateral::for_people(&document["collateral"]));
    lines.extend(hedge_ratios::for_people(&document["hedge_ratios"]));
    lines.extend(holdings_report::for_people(&document["holdings"]));
    lines.push(format!("intents    sha256 {}", text("intents_sha256")));
    lines.join("\n")
}
