//! Deribit's websocket messages: `book.*.raw`, `trades.*` and what is skipped.
//!
//! Fed by `capture.rs`; feeds its sink. Any one thread. A change whose `prev_change_id` is not the
//! `change_id` in front of it is a gap until the next snapshot. Prices of options are in the coin.
//! Deliberately absent: tickers with their greeks and IV (they are no book).

use super::TapeError;
use super::capture::{NumberText, Venue, levels, parse};
use super::source::Sink;
use ballast_engine::units::Side;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The last `change_id` of every book.
#[derive(Default)]
pub struct Deribit {
    last: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Message<'a> {
    method: Option<&'a str>,
    #[serde(borrow)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    channel: Option<&'a str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Book<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    timestamp: NumberText<'a>,
    instrument_name: &'a str,
    change_id: u64,
    prev_change_id: Option<u64>,
    #[serde(borrow)]
    bids: Vec<(&'a str, NumberText<'a>, NumberText<'a>)>,
    #[serde(borrow)]
    asks: Vec<(&'a str, NumberText<'a>, NumberText<'a>)>,
}

#[derive(Deserialize)]
struct Trade<'a> {
    #[serde(borrow)]
    timestamp: NumberText<'a>,
    instrument_name: &'a str,
    direction: &'a str,
    #[serde(borrow)]
    price: NumberText<'a>,
    #[serde(borrow)]
    amount: NumberText<'a>,
}

impl Venue for Deribit {
    fn name(&self) -> &'static str {
        "deribit"
    }

    fn take(&mut self, body: &str, sink: &mut Sink<'_>) -> Result<(), TapeError> {
        let message: Message<'_> = parse(body, sink)?;
        let params = message.params.filter(|_| message.method == Some("subscription"));
        let (channel, data) = match params {
            Some(Params { channel: Some(channel), data: Some(data) }) => (channel, data.get()),
            // The answer to a subscription, or a heartbeat.
            Some(_) | None => {
                sink.counters.other_streams += 1;
                return Ok(());
            }
        };
        match channel.split('.').next() {
            Some("book") => self.book(&parse(data, sink)?, sink),
            Some("trades") => trades(&parse::<Vec<Trade<'_>>>(data, sink)?, sink),
            Some("ticker" | "quote" | "estimated_expiration_price" | "deribit_price_index") => {
                sink.counters.other_streams += 1;
                Ok(())
            }
            Some(_) | None => Err(sink.fault(format!(
                "channel {channel:?} is unknown; known are book, trades, ticker and quote"
            ))),
        }
    }
}

impl Deribit {
    fn book(&mut self, book: &Book<'_>, sink: &mut Sink<'_>) -> Result<(), TapeError> {
        let Some(place) = sink.place(book.instrument_name) else { return Ok(()) };
        let at = book.timestamp.millis();
        match book.kind {
            "snapshot" => sink.reset(place, at),
            "change" if !sink.is_synced(place) => {
                sink.counters.before_snapshot += 1;
                return Ok(());
            }
            "change" if book.prev_change_id != self.last.get(book.instrument_name).copied() => {
                sink.gap(place, at);
                sink.finish();
                return Ok(());
            }
            "change" => {}
            other => {
                return Err(sink.fault(format!("book type {other:?}, not snapshot or change")));
            }
        }
        self.last.insert(book.instrument_name.to_owned(), book.change_id);
        for (side, changes) in [(Side::Buy, &book.bids), (Side::Sell, &book.asks)] {
            // A "delete" carries the size 0.
            levels(sink, place, side, changes.iter().map(|c| (c.1.text(), c.2.text())), at)?;
        }
        sink.finish();
        Ok(())
    }
}

fn trades(trades: &[Trade<'_>], sink: &mut Sink<'_>) -> Result<(), TapeError> {
    for trade in trades {
        let Some(place) = sink.place(trade.instrument_name) else { continue };
        let aggressor = match trade.direction {
            "buy" => Side::Buy,
            "sell" => Side::Sell,
            other => return Err(sink.fault(format!("direction {other:?}, not buy or sell"))),
        };
        let pair = (sink.number(trade.price.text())?, sink.number(trade.amount.text())?);
        sink.trade(place, Some(aggressor), pair, trade.timestamp.millis())?;
    }
    sink.finish();
    Ok(())
}
