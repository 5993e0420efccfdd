//! Bybit's websocket messages: the inverse venue's of 2021 (`orderBookL2_25`, `orderBook_200`,
//! `trade`) and version 5 (`orderbook.N`, `publicTrade`).
//!
//! Fed by `capture.rs`; feeds its sink. Any one thread. The old books change by `delete`, `update` and
//! `insert`, each with its price; `cross_seq` goes up but not by one, so that a missing message cannot
//! be seen there. The new ones number their messages (`u`): a jump is a gap. Deliberately absent:
//! tickers and instrument_info.

use super::TapeError;
use super::capture::{NumberText, Venue, levels, parse};
use super::source::Sink;
use ballast_engine::units::{Nanos, Side};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The last message number of every book.
#[derive(Default)]
pub struct Bybit {
    last: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Message<'a> {
    topic: Option<&'a str>,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    #[serde(borrow)]
    ts: Option<NumberText<'a>>,
    #[serde(borrow)]
    timestamp_e6: Option<NumberText<'a>>,
    #[serde(borrow)]
    cross_seq: Option<NumberText<'a>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct OldLevel<'a> {
    #[serde(borrow)]
    price: NumberText<'a>,
    side: &'a str,
    /// Absent in a deletion.
    #[serde(borrow)]
    size: Option<NumberText<'a>>,
}

#[derive(Deserialize)]
struct OldDelta<'a> {
    #[serde(borrow)]
    delete: Vec<OldLevel<'a>>,
    #[serde(borrow)]
    update: Vec<OldLevel<'a>>,
    #[serde(borrow)]
    insert: Vec<OldLevel<'a>>,
}

#[derive(Deserialize)]
struct LinearSnapshot<'a> {
    #[serde(borrow)]
    order_book: Vec<OldLevel<'a>>,
}

#[derive(Deserialize)]
struct Book<'a> {
    s: &'a str,
    #[serde(borrow)]
    b: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    a: Vec<(&'a str, &'a str)>,
    u: u64,
}

#[derive(Deserialize)]
struct Trade<'a> {
    #[serde(alias = "s")]
    symbol: &'a str,
    #[serde(alias = "S")]
    side: &'a str,
    #[serde(borrow, alias = "v")]
    size: NumberText<'a>,
    #[serde(borrow, alias = "p")]
    price: NumberText<'a>,
    #[serde(borrow, alias = "T")]
    trade_time_ms: NumberText<'a>,
}

impl Venue for Bybit {
    fn name(&self) -> &'static str {
        "bybit"
    }

    fn take(&mut self, body: &str, sink: &mut Sink<'_>) -> Result<(), TapeError> {
        let message: Message<'_> = parse(body, sink)?;
        let (Some(topic), Some(data)) = (message.topic, message.data) else {
            // The answer to a subscription or to a ping.
            sink.counters.other_streams += 1;
            return Ok(());
        };
        let is_snapshot = match message.kind {
            Some("snapshot") | None => true,
            Some("delta") => false,
            Some(other) => {
                return Err(sink.fault(format!("type {other:?}, not snapshot or delta")));
            }
        };
        let mut parts = topic.split('.');
        match parts.next().unwrap_or_default() {
            "orderbook" => {
                let at = message.ts.map_or(Nanos(0), |ts| ts.millis());
                self.book(&parse(data.get(), sink)?, is_snapshot, at, sink)
            }
            "trade" | "publicTrade" => trades(&parse::<Vec<Trade<'_>>>(data.get(), sink)?, sink),
            "orderBookL2_25" | "orderBook_200" => {
                let symbol = topic.rsplit('.').next().unwrap_or_default();
                self.old_book(symbol, &message, is_snapshot, sink)
            }
            "tickers" | "instrument_info" | "kline" | "klineV2" | "liquidation" | "insurance" => {
                sink.counters.other_streams += 1;
                Ok(())
            }
            _ => Err(sink.fault(format!(
                "topic {topic:?} is unknown; known are orderBookL2_25, orderBook_200, trade, \
                 orderbook and publicTrade"
            ))),
        }
    }
}

impl Bybit {
    fn old_book(
        &mut self,
        symbol: &str,
        message: &Message<'_>,
        is_snapshot: bool,
        sink: &mut Sink<'_>,
    ) -> Result<(), TapeError> {
        let Some(place) = sink.place(symbol) else { return Ok(()) };
        let micros = message.timestamp_e6.and_then(|t| t.text().parse::<u64>().ok());
        let at = Nanos(micros.unwrap_or(0).saturating_mul(1_000));
        let seq = message.cross_seq.and_then(|seq| seq.text().parse().ok()).unwrap_or(0);
        let data = message.data.map_or("", RawValue::get);
        let changes = if is_snapshot {
            sink.reset(place, at);
            if data.starts_with('[') {
                parse(data, sink)?
            } else {
                parse::<LinearSnapshot<'_>>(data, sink)?.order_book
            }
        } else {
            if !sink.is_synced(place) {
                sink.counters.before_snapshot += 1;
                return Ok(());
            }
            if self.last.get(symbol).is_some_and(|&last| seq < last) {
                sink.counters.depth_old += 1;
                return Ok(());
            }
            let delta: OldDelta<'_> = parse(data, sink)?;
            let changes = delta.delete.into_iter().map(|level| OldLevel { size: None, ..level });
            changes.chain(delta.update).chain(delta.insert).collect::<Vec<_>>()
        };
        self.last.insert(symbol.to_owned(), seq);
        for level in &changes {
            let size = level.size.as_ref().map_or("0", NumberText::text);
            let side = side(level.side, sink)?;
            levels(sink, place, side, [(level.price.text(), size)], at)?;
        }
        sink.finish();
        Ok(())
    }

    fn book(
        &mut self,
        book: &Book<'_>,
        is_snapshot: bool,
        at: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), TapeError> {
        let Some(place) = sink.place(book.s) else { return Ok(()) };
        let last = self.last.get(book.s).copied();
        if is_snapshot {
            sink.reset(place, at);
        } else if !sink.is_synced(place) {
            sink.counters.before_snapshot += 1;
            return Ok(());
        } else if last.is_some_and(|last| book.u <= last) {
            sink.counters.depth_old += 1;
            return Ok(());
        } else if last.is_none_or(|last| book.u != last.saturating_add(1)) {
            sink.gap(place, at);
            sink.finish();
            return Ok(());
        }
        self.last.insert(book.s.to_owned(), book.u);
        for (side, changed) in [(Side::Buy, &book.b), (Side::Sell, &book.a)] {
            levels(sink, place, side, changed.iter().copied(), at)?;
        }
        sink.finish();
        Ok(())
    }
}

fn side(text: &str, sink: &Sink<'_>) -> Result<Side, TapeError> {
    match text {
        "Buy" => Ok(Side::Buy),
        "Sell" => Ok(Side::Sell),
        other => Err(sink.fault(format!("side {other:?}, not Buy or Sell"))),
    }
}

fn trades(trades: &[Trade<'_>], sink: &mut Sink<'_>) -> Result<(), TapeError> {
    for trade in trades {
        let Some(place) = sink.place(trade.symbol) else { continue };
        let aggressor = side(trade.side, sink)?;
        let pair = (sink.number(trade.price.text())?, sink.number(trade.size.text())?);
        sink.trade(place, Some(aggressor), pair, trade.trade_time_ms.millis())?;
    }
    sink.finish();
    Ok(())
}
