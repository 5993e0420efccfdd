//! Databento's DBN files, plain or zstd: mbo, mbp-1, mbp-10, tbbo, trades, and the bbo and cbbo bars.
//!
//! Fed by files through the `dbn` crate; feeds `merged.rs`. Any one thread. Deliberately absent:
//! definitions, statistics and the other schemas (refused by name), and upgrading of old records: the
//! records read here are the same in DBN 1 to 3.
//!
//! Order is that of `ts_recv`: a snapshot's and a bbo's `ts_event` may be days old. A trade's side is
//! the aggressor's; without one (`N`: a cross or an auction) it is counted and left out. Fills (`F`)
//! change no book: they mark whose volume a trade took, so that the cancel that follows is none.

use super::source::{Position, Sink, Source};
use super::{OrderGone, TapeError};
use ballast_engine::units::{Decimal, Lots, Nanos, Side, Ticks};
use dbn::decode::dbn::Decoder;
use dbn::decode::{DbnMetadata, DecodeRecordRef, DynReader};
use dbn::{
    BboMsg, BidAskPair, CbboMsg, MboMsg, Mbp1Msg, Mbp10Msg, RecordRef, Schema, TradeMsg,
    TsSymbolMap, UNDEF_PRICE, UNDEF_TIMESTAMP, VersionUpgradePolicy,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many orders one file may show at once: beyond it, nothing cancels them.
const ORDERS_MAX: usize = 1 << 24;
const PRICE_DIGITS: u8 = 9;

/// A DBN file that is being read.
pub struct Databento {
    decoder: Decoder<Counted>,
    /// How many bytes the decoder has taken, and how many its records and its head account for.
    taken: Arc<AtomicU64>,
    accounted: u64,
    symbols: TsSymbolMap,
    position: Position,
    record: Option<Record>,
    received: u64,
    orders: Orders,
}

/// The file's DBN bytes, counted as they are taken, up to the first record of an impossible length:
/// the `dbn` crate takes such a length at its word, and reads the next record where none can stand.
struct Counted {
    head: std::io::Cursor<Vec<u8>>,
    rest: DynReader<'static, BufReader<File>>,
    taken: Arc<AtomicU64>,
    /// Where the next record begins, counted as `taken` is.
    next_record: u64,
    is_broken: bool,
}

impl Counted {
    /// Opens a file; also how long its prelude and metadata say that they are.
    fn open(path: &Path, taken: &Arc<AtomicU64>) -> dbn::Result<(Counted, u64)> {
        let mut rest = DynReader::from_file(path)?;
        let mut head = Vec::new();
        (&mut rest)
            .take(8)
            .read_to_end(&mut head)
            .map_err(|error| dbn::Error::io(error, "reading the head"))?;
        let length = head.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
        let taken = Arc::clone(taken);
        let (head, next_record) = (std::io::Cursor::new(head), 8 + u64::from(length.unwrap_or(0)));
        Ok((Counted { head, rest, taken, next_record, is_broken: false }, next_record))
    }

    /// How many of these bytes come before a record of an impossible length.
    fn sound(&mut self, bytes: &[u8]) -> usize {
        let start = self.taken.load(Ordering::Relaxed);
        loop {
            let place = usize::try_from(self.next_record.saturating_sub(start)).ok();
            let Some((place, &words)) = place.and_then(|n| Some((n, bytes.get(n)?))) else {
                return bytes.len();
            };
            // In words of 4 bytes; a header takes 16, and every record stands at a multiple of 8.
            if words < 4 || words % 2 != 0 {
                self.is_broken = true;
                return place;
            }
            self.next_record += 4 * u64::from(words);
        }
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = match self.head.read(buffer)? {
            _ if self.is_broken => 0,
            0 => self.rest.read(buffer)?,
            count => count,
        };
        let count = self.sound(&buffer[..count]);
        if count == 0 && self.is_broken {
            let why = "the next record's length is none that a record can have";
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, why));
        }
        self.taken.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// A record, out of the decoder's buffer.
struct Record {
    symbol: String,
    received: u64,
    venue_at: Nanos,
    body: Body,
}

enum Body {
    Order(MboMsg),
    /// Levels of the two sides, and the trade that the record is about.
    Book {
        levels: Vec<BidAskPair>,
        trade: Option<Traded>,
        is_clear: bool,
    },
    Trade(Traded),
    Other,
}

#[derive(Clone, Copy)]
struct Traded {
    price: i64,
    size: u32,
    aggressor: Option<Side>,
}

impl Databento {
    /// Opens a file and reads its metadata.
    ///
    /// # Errors
    /// It is not DBN, of a version or a schema that is not read, or without symbols.
    pub fn open(path: &Path) -> Result<Databento, TapeError> {
        let position = Position::new(path, "record");
        let bad = |error: dbn::Error| read_error(&position, &error);
        let taken = Arc::new(AtomicU64::new(0));
        let (reader, head) = Counted::open(path, &taken).map_err(bad)?;
        let decoder = Decoder::with_upgrade_policy(reader, VersionUpgradePolicy::AsIs);
        let decoder = decoder.map_err(bad)?;
        let metadata = decoder.metadata();
        if let Some(schema) = metadata.schema.filter(|schema| !is_read(*schema)) {
            return Err(position.fault(format!(
                "schema {schema} holds no book and no trades; read are mbo, mbp-1, mbp-10, tbbo, \
                 trades, bbo-1s, bbo-1m, cbbo-1s and cbbo-1m"
            )));
        }
        let symbols = metadata.symbol_map().map_err(bad)?;
        let orders = Orders::default();
        let (record, received) = (None, 0);
        Ok(Databento {
            decoder,
            taken,
            accounted: head,
            symbols,
            position,
            record,
            received,
            orders,
        })
    }

    /// What the file is of, without its records.
    ///
    /// # Errors
    /// As [`Databento::open`], but for the schema.
    pub fn schema(path: &Path) -> Result<Option<Schema>, TapeError> {
        let position = Position::new(path, "record");
        let bad = |error: dbn::Error| read_error(&position, &error);
        let reader = DynReader::from_file(path).map_err(bad)?;
        let decoder = Decoder::with_upgrade_policy(reader, VersionUpgradePolicy::AsIs);
        Ok(decoder.map_err(bad)?.metadata().schema)
    }
}

/// Schemas with a book or trades.
pub fn is_read(schema: Schema) -> bool {
    matches!(
        schema,
        Schema::Mbo
            | Schema::Mbp1
            | Schema::Mbp10
            | Schema::Tbbo
            | Schema::Trades
            | Schema::Bbo1S
            | Schema::Bbo1M
            | Schema::Cbbo1S
            | Schema::Cbbo1M
    )
}

/// How fine the book of a schema is (0: none), and whether it has trades.
pub fn content(schema: Schema) -> (u8, bool) {
    match schema {
        Schema::Mbo => (6, true),
        Schema::Mbp10 => (5, true),
        Schema::Mbp1 => (4, true),
        Schema::Tbbo => (3, true),
        Schema::Trades => (0, true),
        _ => (2, false),
    }
}

fn read_error(position: &Position, error: &dbn::Error) -> TapeError {
    position.fault(format!("the DBN data after it is damaged or cut off ({error})"))
}

impl Source for Databento {
    fn advance(&mut self) -> Result<bool, TapeError> {
        let next = self.decoder.decode_record_ref();
        let record = match next.map_err(|error| read_error(&self.position, &error))? {
            None if self.taken.load(Ordering::Relaxed) > self.accounted => {
                return Err(self.position.fault("the file is cut off inside the record after it"));
            }
            None => return Ok(false),
            Some(record) => record,
        };
        self.accounted += record.header().record_size() as u64;
        self.position.number += 1;
        let read = body(&record).map_err(|why| self.position.fault(why))?;
        let Some((ts_recv, body)) = read else {
            let other = Record {
                symbol: String::new(),
                received: self.received,
                venue_at: Nanos(0),
                body: Body::Other,
            };
            self.record = Some(other);
            return Ok(true);
        };
        let head = record.header();
        // A time without a value is that of the record in front of it, and one that Databento itself
        // marks as bad (all of a snapshot's are) is not before it.
        let is_bad = matches!(&body, Body::Order(order) if order.flags.is_bad_ts_recv());
        let ts_recv = match ts_recv {
            UNDEF_TIMESTAMP => self.received,
            time if is_bad => time.max(self.received),
            time => time,
        };
        let received = self.position.time(ts_recv, self.received, "ns since 1970")?;
        self.received = received;
        let symbol = self.symbols.get_for_ts(received, head.instrument_id);
        let symbol = symbol.cloned().unwrap_or_else(|| format!("id {}", head.instrument_id));
        let event = if head.ts_event == UNDEF_TIMESTAMP { 0 } else { head.ts_event };
        self.record = Some(Record { symbol, received, venue_at: Nanos(event), body });
        Ok(true)
    }

    fn received(&self) -> u64 {
        self.record.as_ref().map_or(0, |record| record.received)
    }

    fn position(&self) -> &Position {
        &self.position
    }

    fn take(&mut self, sink: &mut Sink<'_>) -> Result<(), TapeError> {
        let Some(record) = self.record.take() else { return Ok(()) };
        if matches!(record.body, Body::Other) {
            sink.counters.other_streams += 1;
            return Ok(());
        }
        let Some(place) = sink.place(&record.symbol) else { return Ok(()) };
        let at = record.venue_at;
        match record.body {
            Body::Order(order) => {
                self.orders.take(sink, place, &order, at)?;
                if order.flags.is_last() {
                    sink.finish();
                }
                return Ok(());
            }
            Body::Book { levels, trade, is_clear } => {
                if is_clear {
                    sink.reset(place, at);
                }
                if let Some(traded) = trade {
                    let size = Decimal { mantissa: i64::from(traded.size), scale: 0 };
                    sink.trade(place, traded.aggressor, (price(traded.price), size), at)?;
                }
                for side in Side::BOTH {
                    sink.show(place, side, &side_of(&levels, side), at)?;
                }
            }
            Body::Trade(traded) => {
                let size = Decimal { mantissa: i64::from(traded.size), scale: 0 };
                sink.trade(place, traded.aggressor, (price(traded.price), size), at)?;
            }
            Body::Other => {}
        }
        sink.finish();
        Ok(())
    }

    fn venue(&self) -> Option<&str> {
        Some(&self.decoder.metadata().dataset)
    }

    fn knows_orders(&self) -> bool {
        self.decoder.metadata().schema == Some(Schema::Mbo)
    }
}

/// When it was received, and what it says; `None` for records that are neither book nor trade.
fn body(record: &RecordRef<'_>) -> Result<Option<(u64, Body)>, String> {
    let broken = |error: dbn::Error| error.to_string();
    let traded =
        |price, size, side: std::ffi::c_char| Traded { price, size, aggressor: side_of_char(side) };
    let is = |action: std::ffi::c_char, letter: u8| action.cast_unsigned() == letter;
    let read = if record.has::<MboMsg>() {
        let order = record.try_get::<MboMsg>().map_err(broken)?.clone();
        (order.ts_recv, Body::Order(order))
    } else if record.has::<Mbp1Msg>() {
        let m = record.try_get::<Mbp1Msg>().map_err(broken)?;
        let trade = is(m.action, b'T').then(|| traded(m.price, m.size, m.side));
        let levels = m.levels.to_vec();
        (m.ts_recv, Body::Book { levels, trade, is_clear: is(m.action, b'R') })
    } else if record.has::<Mbp10Msg>() {
        let m = record.try_get::<Mbp10Msg>().map_err(broken)?;
        let trade = is(m.action, b'T').then(|| traded(m.price, m.size, m.side));
        let levels = m.levels.to_vec();
        (m.ts_recv, Body::Book { levels, trade, is_clear: is(m.action, b'R') })
    } else if record.has::<TradeMsg>() {
        let m = record.try_get::<TradeMsg>().map_err(broken)?;
        (m.ts_recv, Body::Trade(traded(m.price, m.size, m.side)))
    } else if record.has::<BboMsg>() {
        let m = record.try_get::<BboMsg>().map_err(broken)?;
        let levels = m.levels.to_vec();
        (m.ts_recv, Body::Book { levels, trade: None, is_clear: false })
    } else if record.has::<CbboMsg>() {
        let m = record.try_get::<CbboMsg>().map_err(broken)?;
        let levels = m.levels.iter().map(|level| BidAskPair {
            bid_px: level.bid_px,
            ask_px: level.ask_px,
            bid_sz: level.bid_sz,
            ask_sz: level.ask_sz,
            ..BidAskPair::default()
        });
        let levels = levels.collect();
        (m.ts_recv, Body::Book { levels, trade: None, is_clear: false })
    } else {
        return Ok(None);
    };
    Ok(Some(read))
}

/// `B` bought, `A` sold, anything else is nobody.
fn side_of_char(side: std::ffi::c_char) -> Option<Side> {
    match side.cast_unsigned() {
        b'B' => Some(Side::Buy),
        b'A' => Some(Side::Sell),
        _ => None,
    }
}

fn price(nano: i64) -> Decimal {
    Decimal { mantissa: nano, scale: PRICE_DIGITS }
}

fn side_of(levels: &[BidAskPair], side: Side) -> Vec<(Decimal, Decimal)> {
    let of = |level: &BidAskPair| match side {
        Side::Buy => (level.bid_px, level.bid_sz),
        Side::Sell => (level.ask_px, level.ask_sz),
    };
    let priced = levels.iter().map(of).filter(|(price, _)| *price != UNDEF_PRICE);
    priced.map(|(px, size)| (price(px), Decimal { mantissa: i64::from(size), scale: 0 })).collect()
}

/// Every displayed order of a file, and the levels that they add up to.
#[derive(Default)]
struct Orders {
    by_id: BTreeMap<(usize, u64), Order>,
    levels: BTreeMap<(usize, usize, Ticks), i64>,
}

#[derive(Clone, Copy)]
struct Order {
    side: Side,
    price: Ticks,
    size: i64,
    arrived_at: Nanos,
    arrived_venue_at: Nanos,
    /// What fills have taken of it and no cancel or modify has booked yet.
    filled: i64,
}

impl Orders {
    fn take(
        &mut self,
        sink: &mut Sink<'_>,
        place: usize,
        order: &MboMsg,
        at: Nanos,
    ) -> Result<(), TapeError> {
        let size = Decimal { mantissa: i64::from(order.size), scale: 0 };
        let side = side_of_char(order.side);
        match order.action.cast_unsigned() {
            b'R' => {
                self.by_id.retain(|(of, _), _| *of != place);
                self.levels.retain(|(of, _, _), _| *of != place);
                sink.reset(place, at);
            }
            b'T' => sink.trade(place, side, (price(order.price), size), at)?,
            b'N' => {}
            _ if !sink.is_synced(place) => sink.counters.before_snapshot += 1,
            b'F' => {
                let lots = sink.lots(place, size)?.unwrap_or_default();
                match self.by_id.get_mut(&(place, order.order_id)) {
                    Some(known) => known.filled = known.filled.saturating_add(lots.0),
                    None => sink.counters.unknown_orders += 1,
                }
            }
            b'C' => {
                let lots = sink.lots(place, size)?.unwrap_or_default();
                self.reduce(sink, (place, order.order_id), lots.0, at);
            }
            b'A' | b'M' => {
                let ticks = match order.price {
                    UNDEF_PRICE => None,
                    nano => sink.ticks(place, price(nano))?,
                };
                let lots = sink.lots(place, size)?;
                if let (Some(side), Some(price), Some(size)) = (side, ticks, lots) {
                    let (arrived_at, arrived_venue_at) = (sink.at, at);
                    let size = size.0;
                    let to = Order { side, price, size, arrived_at, arrived_venue_at, filled: 0 };
                    self.place(sink, (place, order.order_id), to, at)?;
                }
            }
            other => {
                let letter = char::from(other);
                return Err(sink.fault(format!("action {letter:?} is none of A, C, M, R, T, F, N")));
            }
        }
        if order.flags.is_maybe_bad_book() {
            sink.gap(place, at);
        }
        Ok(())
    }

    /// An order appears, or stands differently from now on.
    fn place(
        &mut self,
        sink: &mut Sink<'_>,
        key: (usize, u64),
        mut to: Order,
        at: Nanos,
    ) -> Result<(), TapeError> {
        if let Some(&was) = self.by_id.get(&key) {
            let keeps_place = was.side == to.side && was.price == to.price && to.size <= was.size;
            if keeps_place {
                self.reduce(sink, key, was.size - to.size, at);
                return Ok(());
            }
            // A new price or a larger size goes to the back: for whoever is behind it, it left.
            to.filled = 0;
            self.reduce(sink, key, was.size, at);
        }
        if self.by_id.len() >= ORDERS_MAX {
            return Err(sink.fault("16 million orders stand at once: their cancels are missing"));
        }
        if to.size > 0 {
            self.by_id.insert(key, to);
            self.change(sink, key.0, &to, to.size, at, None);
        }
        Ok(())
    }

    /// So much of an order leaves the book.
    fn reduce(&mut self, sink: &mut Sink<'_>, key: (usize, u64), size: i64, at: Nanos) {
        let Some(order) = self.by_id.get_mut(&key) else {
            sink.counters.unknown_orders += 1;
            return;
        };
        let size = size.min(order.size);
        if size <= 0 {
            return;
        }
        // What a fill took is no cancel: the trade moved the queue when it printed.
        let traded = order.filled.min(size);
        order.filled -= traded;
        order.size -= size;
        let order = *order;
        if order.size == 0 {
            self.by_id.remove(&key);
        }
        let gone = OrderGone {
            arrived_at: order.arrived_at,
            arrived_venue_at: order.arrived_venue_at,
            size: Lots(size - traded),
        };
        self.change(sink, key.0, &order, -size, at, (gone.size.0 > 0).then_some(gone));
    }

    fn change(
        &mut self,
        sink: &mut Sink<'_>,
        place: usize,
        order: &Order,
        by: i64,
        at: Nanos,
        gone: Option<OrderGone>,
    ) {
        let key = (place, order.side.index(), order.price);
        let level = self.levels.entry(key).or_default();
        *level = level.saturating_add(by);
        let now = *level;
        if now <= 0 {
            self.levels.remove(&key);
        }
        sink.counted(place, (order.side, order.price, Lots(now.max(0))), at, gone);
    }
}
