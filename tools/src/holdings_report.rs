//! What is where, as rows of the documents: in `status`, in a summary, in the outbox.
//!
//! Fed by the maker's snapshots; feeds documents and the text made of them. Cold. Amounts are exact
//! decimal text; costs are basis points of what would move.

use crate::config::ConfigFile;
use crate::config::instruments::InstrumentTable;
use ballast_engine::event::VenueId;
use ballast_engine::instrument::Currency;
use ballast_engine::inventory::transfer::Transfer;
use ballast_engine::maker::Maker;
use ballast_engine::maker::rebalancing::CurrencyBalance;
use ballast_engine::maker::snapshot::PlaceSnapshot;
use ballast_engine::units::{Decimal, decimal_text};
use serde_json::{Value, json};

/// The step of 1e-9 of a value in basis points.
const BPS: Decimal = Decimal { mantissa: 1, scale: 5 };

fn venue(table: &InstrumentTable, venue: VenueId) -> &str {
    table.venues.name(usize::from(venue.0)).unwrap_or("?")
}

fn currency(table: &InstrumentTable, currency: Currency) -> &str {
    table.currencies.name(usize::from(currency.0)).unwrap_or("?")
}

fn amount(nano: i128) -> String {
    decimal_text(nano, 9)
}

/// One currency at one venue.
pub fn place(table: &InstrumentTable, place: &PlaceSnapshot) -> Value {
    let target = place.held.zip(place.deviation);
    json!({
        "venue": venue(table, place.venue),
        "currency": currency(table, place.currency),
        "total": place.held.map(|held| amount(held.total)),
        "available": place.held.map(|held| amount(held.available)),
        "beyond_target": target.map(|(_, deviation)| amount(deviation.by)),
        "tolerated": target.map(|(_, deviation)| amount(deviation.tolerated)),
    })
}

/// One open transfer.
pub fn transfer(table: &InstrumentTable, transfer: &Transfer) -> Value {
    json!({
        "transfer": transfer.id.to_string(),
        "stage": transfer.stage.name(),
        "currency": currency(table, transfer.currency),
        "from": venue(table, transfer.from),
        "to": venue(table, transfer.to),
        "amount": amount(transfer.leaves.into()),
        "arrives": amount(transfer.arrives.into()),
        "since_ns": transfer.since.0,
    })
}

/// How one currency stands.
pub fn balance(table: &InstrumentTable, balance: &CurrencyBalance) -> Value {
    let bps = |ppb: Option<i64>| ppb.map(|ppb| Decimal::text_of(ppb, BPS));
    let stray = balance.stray.map(|stray| {
        json!({
            "from": venue(table, stray.from),
            "to": venue(table, stray.to),
            "amount": amount(stray.amount.into()),
            "cost_bps": {
                "quotes": bps(balance.costs.quotes),
                "offset": bps(balance.costs.offset),
                "transfer": bps(balance.costs.transfer),
            },
        })
    });
    json!({
        "currency": currency(table, balance.currency),
        "balance": balance.balance.name(),
        "stray": stray,
        "offsets": balance.offsets,
        "requests": balance.requests,
    })
}

/// All of it at the end of a run; `None` where nothing is kept by venue.
pub fn document(file: &ConfigFile, maker: &Maker) -> Option<Value> {
    let table = &file.table;
    if maker.balances().is_empty() && maker.transfers().next().is_none() {
        return None;
    }
    let balances = maker.balances().iter().map(|told| {
        let mut row = balance(table, told);
        let flows = maker.transfer_flows(told.currency);
        row["sent"] = json!(amount(flows.sent));
        row["arrived"] = json!(amount(flows.arrived));
        row["transfer_costs"] = json!(amount(flows.lost));
        row
    });
    Some(json!({
        "places": maker.places().map(|told| place(table, &told)).collect::<Vec<_>>(),
        "transfers": maker.transfers().map(|told| transfer(table, told)).collect::<Vec<_>>(),
        "balances": balances.collect::<Vec<_>>(),
    }))
}

/// The rows of a document with `places`, `transfers` and `balances` for people.
pub fn for_people(document: &Value) -> Vec<String> {
    let rows = |key: &str| document[key].as_array().cloned().unwrap_or_default();
    let text = |row: &Value, key: &str| match &row[key] {
        Value::String(text) => text.clone(),
        Value::Null => "-".into(),
        other => other.to_string(),
    };
    let mut lines = Vec::new();
    for row in rows("places") {
        lines.push(format!(
            "held       {:<10} {:<6} {:>20}, available {:>20}   from target {} (tolerated {})",
            text(&row, "venue"),
            text(&row, "currency"),
            text(&row, "total"),
            text(&row, "available"),
            text(&row, "beyond_target"),
            text(&row, "tolerated"),
        ));
    }
    for row in rows("balances") {
        let stray = &row["stray"];
        let what = match stray.is_null() {
            true => String::new(),
            false => format!(
                ": {} from {} to {}; costs in bps: {}",
                text(stray, "amount"),
                text(stray, "from"),
                text(stray, "to"),
                stray["cost_bps"]
            ),
        };
        lines.push(format!(
            "balance    {:<6} {}{what}   ({} offsets, {} requests)",
            text(&row, "currency"),
            text(&row, "balance"),
            text(&row, "offsets"),
            text(&row, "requests"),
        ));
    }
    for row in rows("transfers") {
        lines.push(format!(
            "transfer   {} {}: {} {} from {} to {}",
            text(&row, "transfer"),
            text(&row, "stage"),
            text(&row, "amount"),
            text(&row, "currency"),
            text(&row, "from"),
            text(&row, "to"),
        ));
    }
    lines
}
