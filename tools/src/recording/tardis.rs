//! Tardis csv: incremental_book_L2, book_snapshot_N, quotes and trades, plain or gzip.
//!
//! Fed by `text_lines.rs`; feeds `merged.rs`. Any one thread. Times are microseconds; order is that
//! of `local_timestamp`. Columns are found by the names in the header, so that their order does not
//! matter. Deliberately absent: derivative_ticker, options_chain and liquidations (refused by name).
//!
//! All rows of one local time and one kind (snapshot or not) are one message. Increments before the
//! first snapshot are counted and left out.

use super::TapeError;
use super::source::{Position, Sink, Source};
use super::text_lines::TextLines;
use ballast_engine::units::{Decimal, Nanos, Side};
use std::path::Path;

/// How a Tardis header begins, whatever follows.
pub const HEADER: &str = "exchange,symbol,timestamp,local_timestamp";

/// Where the columns of each kind of file are.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Kind {
    Incremental {
        is_snapshot: usize,
        side: usize,
        price: usize,
        amount: usize,
    },
    Trades {
        side: usize,
        price: usize,
        amount: usize,
    },
    /// Price and amount, by level, of bids and asks.
    Book([Vec<(usize, usize)>; 2]),
}

/// A Tardis file that is being read.
pub struct Tardis {
    lines: TextLines,
    kind: Kind,
    columns: usize,
    exchange: Option<String>,
    rows: Vec<Row>,
    /// The row that begins the next message.
    next: Option<Row>,
    position: Position,
    received: u64,
    /// By place: its message before was a snapshot too, so that the next one goes on with it.
    was_snapshot: Vec<bool>,
}

#[derive(Clone)]
struct Row {
    symbol: String,
    venue_at: Nanos,
    received: u64,
    is_snapshot: bool,
    fields: Vec<String>,
    position: Position,
}

impl Tardis {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// It cannot be read, is empty, or its columns are of no known kind.
    pub fn open(path: &Path) -> Result<Tardis, TapeError> {
        let mut lines = TextLines::open(path)?;
        if !lines.advance()? {
            return Err(TapeError::Empty { file: path.to_path_buf() });
        }
        let header: Vec<&str> = lines.line()?.split(',').collect();
        if !lines.line()?.starts_with(HEADER) {
            return Err(lines.position().fault(format!("the header does not begin with {HEADER}")));
        }
        let columns = header.len();
        let kind = kind(&header).ok_or_else(|| {
            lines.position().fault(
                "the columns are none of incremental_book_L2, book_snapshot_N, quotes or trades",
            )
        })?;
        let position = lines.position().clone();
        let mut tardis = Tardis {
            lines,
            kind,
            columns,
            exchange: None,
            rows: Vec::new(),
            next: None,
            position,
            received: 0,
            was_snapshot: Vec::new(),
        };
        tardis.next = tardis.read_row()?;
        tardis.exchange = match &tardis.next {
            Some(row) => row.fields.first().cloned(),
            None => return Err(TapeError::Empty { file: path.to_path_buf() }),
        };
        Ok(tardis)
    }

    /// How fine its book is (0: none), and whether it has trades.
    pub fn content(&self) -> (u8, bool) {
        match &self.kind {
            Kind::Incremental { .. } => (6, false),
            Kind::Book([bids, _]) => (if bids.len() > 1 { 5 } else { 4 }, false),
            Kind::Trades { .. } => (0, true),
        }
    }

    fn read_row(&mut self) -> Result<Option<Row>, TapeError> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        let position = self.lines.position().clone();
        let fields: Vec<String> = self.lines.line()?.split(',').map(str::to_owned).collect();
        if fields.len() != self.columns {
            let (have, want) = (fields.len(), self.columns);
            return Err(position.fault(format!("has {have} fields where the header has {want}")));
        }
        let micros = |at: usize, name: &str| {
            let number = fields[at].parse::<u64>().ok().and_then(|us| us.checked_mul(1_000));
            number.ok_or_else(|| {
                position.fault(format!("{name} {:?} is no count of microseconds", fields[at]))
            })
        };
        let received =
            position.time(micros(3, "local_timestamp")?, self.received, "microseconds")?;
        self.received = received;
        let is_snapshot = match self.kind {
            Kind::Incremental { is_snapshot, .. } => match fields[is_snapshot].as_str() {
                "true" => true,
                "false" => false,
                other => {
                    let why = format!("is_snapshot {other:?} is neither true nor false");
                    return Err(position.fault(why));
                }
            },
            Kind::Trades { .. } | Kind::Book(_) => false,
        };
        let venue_at = Nanos(micros(2, "timestamp")?);
        let symbol = fields[1].clone();
        Ok(Some(Row { symbol, venue_at, received, is_snapshot, fields, position }))
    }
}

impl Tardis {
    fn say(&self, row: &Row, place: usize, sink: &mut Sink<'_>) -> Result<(), TapeError> {
        match &self.kind {
            Kind::Incremental { side, price, amount, .. } => {
                if !sink.is_synced(place) {
                    sink.counters.before_snapshot += 1;
                    return Ok(());
                }
                let side = match row.fields[*side].as_str() {
                    "bid" => Side::Buy,
                    "ask" => Side::Sell,
                    other => {
                        return Err(sink.fault(format!("side {other:?} is neither bid nor ask")));
                    }
                };
                let level = pair(sink, row, (*price, *amount))?;
                sink.level(place, side, level, row.venue_at)
            }
            Kind::Trades { side, price, amount } => {
                let aggressor = match row.fields[*side].as_str() {
                    "buy" => Some(Side::Buy),
                    "sell" => Some(Side::Sell),
                    "unknown" => None,
                    other => {
                        let why = format!("side {other:?} is none of buy, sell, unknown");
                        return Err(sink.fault(why));
                    }
                };
                let trade = pair(sink, row, (*price, *amount))?;
                sink.trade(place, aggressor, trade, row.venue_at)
            }
            Kind::Book(columns) => {
                for side in Side::BOTH {
                    let mut levels = Vec::new();
                    for &at in &columns[side.index()] {
                        // A side with fewer levels, or with none, leaves its fields empty.
                        if !row.fields[at.0].is_empty() {
                            levels.push(pair(sink, row, at)?);
                        }
                    }
                    sink.show(place, side, &levels, row.venue_at)?;
                }
                Ok(())
            }
        }
    }
}

fn kind(header: &[&str]) -> Option<Kind> {
    let column = |name: &str| header.iter().position(|column| *column == name);
    if let (Some(is_snapshot), Some(side), Some(price), Some(amount)) =
        (column("is_snapshot"), column("side"), column("price"), column("amount"))
    {
        return Some(Kind::Incremental { is_snapshot, side, price, amount });
    }
    if let (Some(side), Some(price), Some(amount), Some(_)) =
        (column("side"), column("price"), column("amount"), column("id"))
    {
        return Some(Kind::Trades { side, price, amount });
    }
    let level =
        |head: &str| Some((column(&format!("{head}price"))?, column(&format!("{head}amount"))?));
    if let (Some(bid), Some(ask)) = (level("bid_"), level("ask_")) {
        return Some(Kind::Book([vec![bid], vec![ask]]));
    }
    let levels = |side: &str| {
        let all = (0..).map_while(|n| level(&format!("{side}[{n}].")));
        all.collect::<Vec<_>>()
    };
    let (bids, asks) = (levels("bids"), levels("asks"));
    (!bids.is_empty() && !asks.is_empty()).then_some(Kind::Book([bids, asks]))
}

impl Source for Tardis {
    fn advance(&mut self) -> Result<bool, TapeError> {
        self.rows.clear();
        let Some(first) = self.next.take() else { return Ok(false) };
        self.position = first.position.clone();
        let key = (first.received, first.is_snapshot, first.symbol.clone());
        self.rows.push(first);
        while let Some(row) = self.read_row()? {
            let joins = matches!(self.kind, Kind::Incremental { .. })
                && (row.received, row.is_snapshot, &row.symbol) == (key.0, key.1, &key.2);
            if !joins {
                self.next = Some(row);
                break;
            }
            self.rows.push(row);
        }
        Ok(true)
    }

    fn received(&self) -> u64 {
        self.rows.first().map_or(0, |row| row.received)
    }

    fn position(&self) -> &Position {
        &self.position
    }

    fn take(&mut self, sink: &mut Sink<'_>) -> Result<(), TapeError> {
        let Some(first) = self.rows.first() else { return Ok(()) };
        let Some(place) = sink.place(&first.symbol) else { return Ok(()) };
        if self.was_snapshot.len() <= place {
            self.was_snapshot.resize(place + 1, false);
        }
        let was_snapshot = std::mem::replace(&mut self.was_snapshot[place], first.is_snapshot);
        if first.is_snapshot && !was_snapshot {
            sink.reset(place, first.venue_at);
        }
        for row in &self.rows {
            sink.position = row.position.clone();
            self.say(row, place, sink)?;
        }
        sink.finish();
        Ok(())
    }

    fn venue(&self) -> Option<&str> {
        self.exchange.as_deref()
    }
}

fn pair(sink: &Sink<'_>, row: &Row, at: (usize, usize)) -> Result<(Decimal, Decimal), TapeError> {
    Ok((sink.number(&row.fields[at.0])?, sink.number(&row.fields[at.1])?))
}
