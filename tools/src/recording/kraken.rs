//! Kraken Futures' websocket messages (v1): `book_snapshot`, `book`, `trade` and what is skipped.
//!
//! Fed by `capture.rs`; feeds its sink. Any one thread. A product's `seq` goes up by one; a jump is a
//! gap until the next snapshot. Deliberately absent: `trade_snapshot`, which is history from before
//! the recording, and tickers.

use super::TapeError;
use super::capture::{NumberText, Venue, levels, parse};
use super::source::Sink;
use ballast_engine::units::Side;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The last `seq` of every product's book.
#[derive(Default)]
pub struct Kraken {
    last: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Head<'a> {
    feed: Option<&'a str>,
    event: Option<&'a str>,
}

#[derive(Deserialize)]
struct Level<'a> {
    #[serde(borrow)]
    price: NumberText<'a>,
    #[serde(borrow)]
    qty: NumberText<'a>,
}

#[derive(Deserialize)]
struct Snapshot<'a> {
    product_id: &'a str,
    #[serde(borrow)]
    timestamp: NumberText<'a>,
    seq: u64,
    #[serde(borrow)]
    bids: Vec<Level<'a>>,
    #[serde(borrow)]
    asks: Vec<Level<'a>>,
}

#[derive(Deserialize)]
struct Change<'a> {
    product_id: &'a str,
    side: &'a str,
    seq: u64,
    #[serde(borrow)]
    price: NumberText<'a>,
    #[serde(borrow)]
    qty: NumberText<'a>,
    #[serde(borrow, alias = "time")]
    timestamp: NumberText<'a>,
}

impl Venue for Kraken {
    fn name(&self) -> &'static str {
        "kraken_futures"
    }

    fn take(&mut self, body: &str, sink: &mut Sink<'_>) -> Result<(), TapeError> {
        let head: Head<'_> = parse(body, sink)?;
        match (head.event, head.feed) {
            (None, Some("book_snapshot")) => self.snapshot(&parse(body, sink)?, sink),
            (None, Some("book")) => self.change(&parse(body, sink)?, sink),
            (None, Some("trade")) => trade(&parse(body, sink)?, sink),
            (Some(_), _)
            | (None, Some("trade_snapshot" | "ticker" | "ticker_lite" | "heartbeat")) => {
                sink.counters.other_streams += 1;
                Ok(())
            }
            (None, other) => Err(sink.fault(format!(
                "feed {other:?} is unknown; known are book, book_snapshot, trade, trade_snapshot, \
                 ticker, ticker_lite and heartbeat"
            ))),
        }
    }
}

fn side(text: &str, sink: &Sink<'_>) -> Result<Side, TapeError> {
    match text {
        "buy" => Ok(Side::Buy),
        "sell" => Ok(Side::Sell),
        other => Err(sink.fault(format!("side {other:?}, not buy or sell"))),
    }
}

impl Kraken {
    fn snapshot(&mut self, book: &Snapshot<'_>, sink: &mut Sink<'_>) -> Result<(), TapeError> {
        let Some(place) = sink.place(book.product_id) else { return Ok(()) };
        let at = book.timestamp.millis();
        sink.reset(place, at);
        self.last.insert(book.product_id.to_owned(), book.seq);
        for (side, all) in [(Side::Buy, &book.bids), (Side::Sell, &book.asks)] {
            levels(sink, place, side, all.iter().map(|l| (l.price.text(), l.qty.text())), at)?;
        }
        sink.finish();
        Ok(())
    }

    fn change(&mut self, change: &Change<'_>, sink: &mut Sink<'_>) -> Result<(), TapeError> {
        let Some(place) = sink.place(change.product_id) else { return Ok(()) };
        let at = change.timestamp.millis();
        if !sink.is_synced(place) {
            sink.counters.before_snapshot += 1;
            return Ok(());
        }
        let last = self.last.get(change.product_id).copied().unwrap_or_default();
        if change.seq <= last {
            sink.counters.depth_old += 1;
            return Ok(());
        }
        if change.seq != last.saturating_add(1) {
            sink.gap(place, at);
        } else {
            self.last.insert(change.product_id.to_owned(), change.seq);
            let side = side(change.side, sink)?;
            let level = [(change.price.text(), change.qty.text())];
            levels(sink, place, side, level, at)?;
        }
        sink.finish();
        Ok(())
    }
}

fn trade(trade: &Change<'_>, sink: &mut Sink<'_>) -> Result<(), TapeError> {
    let Some(place) = sink.place(trade.product_id) else { return Ok(()) };
    let aggressor = side(trade.side, sink)?;
    let pair = (sink.number(trade.price.text())?, sink.number(trade.qty.text())?);
    sink.trade(place, Some(aggressor), pair, trade.timestamp.millis())?;
    sink.finish();
    Ok(())
}
