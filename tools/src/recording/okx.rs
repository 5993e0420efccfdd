//! OKX's websocket messages (v5): `books`, `books5`, `trades` and what is skipped.
//!
//! Fed by `capture.rs`; feeds its sink. Any one thread. Every book message carries a CRC32 over the
//! best 25 levels as they are written; a book that does not match it is a gap until the next
//! snapshot. Deliberately absent: tickers.

use super::TapeError;
use super::capture::{NumberText, Venue, levels, parse};
use super::source::Sink;
use ballast_engine::units::{Decimal, Side};
use flate2::Crc;
use serde::Deserialize;
use std::collections::BTreeMap;

const CHECKED_LEVELS: usize = 25;
const PRICE_STEP: Decimal = Decimal { mantissa: 1, scale: 9 };

/// Every book, as it is written.
#[derive(Default)]
pub struct Okx {
    books: BTreeMap<String, Book>,
}

/// Price and size texts by price, of bids and asks.
#[derive(Default)]
struct Book([BTreeMap<i64, (String, String)>; 2]);

#[derive(Deserialize)]
struct Message<'a> {
    event: Option<&'a str>,
    #[serde(borrow)]
    arg: Option<Arg<'a>>,
    action: Option<&'a str>,
    #[serde(borrow)]
    data: Option<&'a serde_json::value::RawValue>,
}

#[derive(Deserialize)]
struct Arg<'a> {
    channel: &'a str,
    #[serde(rename = "instId", default)]
    inst_id: &'a str,
}

#[derive(Deserialize)]
struct Change<'a> {
    #[serde(borrow)]
    asks: Vec<Vec<&'a str>>,
    #[serde(borrow)]
    bids: Vec<Vec<&'a str>>,
    #[serde(borrow)]
    ts: NumberText<'a>,
    checksum: Option<i32>,
}

#[derive(Deserialize)]
struct Trade<'a> {
    #[serde(rename = "instId")]
    inst_id: &'a str,
    px: &'a str,
    sz: &'a str,
    side: &'a str,
    #[serde(borrow)]
    ts: NumberText<'a>,
}

impl Venue for Okx {
    fn name(&self) -> &'static str {
        "okx"
    }

    fn take(&mut self, body: &str, sink: &mut Sink<'_>) -> Result<(), TapeError> {
        if body == "pong" {
            sink.counters.other_streams += 1;
            return Ok(());
        }
        let message: Message<'_> = parse(body, sink)?;
        let (arg, data) = match (message.event, message.arg, message.data) {
            (None, Some(arg), Some(data)) => (arg, data.get()),
            (Some(_), _, _) => {
                sink.counters.other_streams += 1;
                return Ok(());
            }
            (None, _, _) => return Err(sink.fault("has neither an event nor arg and data")),
        };
        match arg.channel {
            "books" | "books5" | "books-l2-tbt" | "books50-l2-tbt" => {
                let is_whole = message.action != Some("update");
                for change in parse::<Vec<Change<'_>>>(data, sink)? {
                    self.book(arg.inst_id, is_whole, &change, sink)?;
                }
                Ok(())
            }
            "trades" => trades(&parse::<Vec<Trade<'_>>>(data, sink)?, sink),
            "tickers" | "funding-rate" | "mark-price" | "index-tickers" | "open-interest" => {
                sink.counters.other_streams += 1;
                Ok(())
            }
            other => Err(sink.fault(format!(
                "channel {other:?} is unknown; known are books, books5, trades and tickers"
            ))),
        }
    }
}

impl Okx {
    fn book(
        &mut self,
        symbol: &str,
        is_whole: bool,
        change: &Change<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), TapeError> {
        let Some(place) = sink.place(symbol) else { return Ok(()) };
        let at = change.ts.millis();
        let book = self.books.entry(symbol.to_owned()).or_default();
        if is_whole {
            *book = Book::default();
            sink.reset(place, at);
        } else if !sink.is_synced(place) {
            sink.counters.before_snapshot += 1;
            return Ok(());
        }
        for (side, all) in [(Side::Buy, &change.bids), (Side::Sell, &change.asks)] {
            for level in all {
                let [price, size, ..] = level[..] else {
                    return Err(sink.fault("a level without price and size"));
                };
                book.set(side, (price, size), sink)?;
                levels(sink, place, side, [(price, size)], at)?;
            }
        }
        if change.checksum.is_some_and(|wanted| wanted != book.checksum()) {
            sink.gap(place, at);
        }
        sink.finish();
        Ok(())
    }
}

impl Book {
    fn set(
        &mut self,
        side: Side,
        (price, size): (&str, &str),
        sink: &Sink<'_>,
    ) -> Result<(), TapeError> {
        let key = sink.number(price)?.count_of(PRICE_STEP);
        let key = key.map_err(|error| sink.fault(format!("price {price:?} {error}")))?;
        if sink.number(size)?.mantissa == 0 {
            self.0[side.index()].remove(&key);
        } else {
            self.0[side.index()].insert(key, (price.to_owned(), size.to_owned()));
        }
        Ok(())
    }

    /// CRC32 of `bid:size:ask:size:…`, level by level, the best 25; signed as the venue writes it.
    fn checksum(&self) -> i32 {
        let [bids, asks] = &self.0;
        let (mut bids, mut asks) = (bids.values().rev(), asks.values());
        let mut parts: Vec<&str> = Vec::with_capacity(4 * CHECKED_LEVELS);
        for _ in 0..CHECKED_LEVELS {
            for (price, size) in [bids.next(), asks.next()].into_iter().flatten() {
                parts.extend([price.as_str(), size.as_str()]);
            }
        }
        let mut crc = Crc::new();
        crc.update(parts.join(":").as_bytes());
        crc.sum().cast_signed()
    }
}

fn trades(trades: &[Trade<'_>], sink: &mut Sink<'_>) -> Result<(), TapeError> {
    for trade in trades {
        let Some(place) = sink.place(trade.inst_id) else { continue };
        let aggressor = match trade.side {
            "buy" => Side::Buy,
            "sell" => Side::Sell,
            other => return Err(sink.fault(format!("side {other:?}, not buy or sell"))),
        };
        let pair = (sink.number(trade.px)?, sink.number(trade.sz)?);
        sink.trade(place, Some(aggressor), pair, trade.ts.millis())?;
    }
    sink.finish();
    Ok(())
}
