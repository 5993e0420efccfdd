//! Several recorded files as one market, in the order in which their lines were received.
//!
//! Fed by `lines.rs` and `binance.rs`, with a `depth.rs` book an instrument; feeds whoever plays a
//! [`Tape`]. Any one thread. Deliberately absent: pacing (the player decides when an event is due).

use super::binance::{self, LevelText, Message};
use super::depth::{Increment, Level, Outcome, RecordedBook};
use super::lines::Lines;
use super::{Tape, TapeCounters, TapeError, TapeFile};
use ballast_engine::event::{InstrumentId, MarketEvent, MarketUpdate};
use ballast_engine::instrument::Instrument;
use ballast_engine::units::{Decimal, Lots, Nanos, Side, Stamp, Ticks};
use std::collections::VecDeque;

/// Below this share of prices and sizes off the grid a recording is believed and they are counted;
/// above it the config's grid is wrong. One in a hundred, and not before ten.
const OFF_GRID_SHARE: u64 = 100;
const OFF_GRID_MIN: u64 = 10;

/// How a recording is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RecordingOptions {
    /// Added to every receive time. The recorder's clock of 2024-08-08 ran 1.27 s behind the
    /// venue's: see [`CLOCK_OFFSET_20240808_NS`].
    pub clock_offset_ns: i64,
    /// Leaves bookTicker out, so that the books are those of the depth stream alone.
    pub without_best_prices: bool,
}

/// What makes the smallest feed latency of the hftbacktest files of 2024-08-08 just positive:
/// the venue's times are up to 1.28 s ahead of the recorder's.
pub const CLOCK_OFFSET_20240808_NS: i64 = 1_285_000_000;

/// Recorded files, merged.
pub struct Recording {
    sources: Vec<Source>,
    markets: Vec<Option<Market>>,
    options: RecordingOptions,
    pending: VecDeque<MarketEvent>,
    changed: Vec<Level>,
    counters: TapeCounters,
    latest: u64,
    is_over: bool,
}

struct Source {
    lines: Lines,
    symbol: String,
    market: usize,
    has_line: bool,
}

/// One instrument: its grid and its book.
struct Market {
    id: InstrumentId,
    tick: Decimal,
    lot: Decimal,
    book: RecordedBook,
    seen: u64,
    off_grid: u64,
}

impl Recording {
    /// Opens the files and reads each one's first line. Instruments without a file have no market.
    pub fn open(
        instruments: &[Instrument],
        files: &[TapeFile],
        options: RecordingOptions,
    ) -> Result<Recording, TapeError> {
        let mut markets: Vec<Option<Market>> = instruments.iter().map(|_| None).collect();
        let mut sources = Vec::with_capacity(files.len());
        for file in files {
            let index = usize::from(file.instrument.0);
            let Some(instrument) = instruments.get(index) else {
                return Err(TapeError::WrongSymbol {
                    file: file.path.clone(),
                    line: 0,
                    found: file.symbol.clone(),
                    wanted: format!("instrument {index}, which the table does not have"),
                });
            };
            markets[index].get_or_insert_with(|| Market {
                id: file.instrument,
                tick: instrument.spec().tick,
                lot: instrument.spec().lot,
                book: RecordedBook::new(file.numbering),
                seen: 0,
                off_grid: 0,
            });
            let mut lines = Lines::open(&file.path)?;
            let has_line = lines.advance()?;
            sources.push(Source { lines, symbol: file.symbol.clone(), market: index, has_line });
        }
        Ok(Recording {
            sources,
            markets,
            options,
            pending: VecDeque::new(),
            changed: Vec::new(),
            counters: TapeCounters::default(),
            latest: 0,
            is_over: false,
        })
    }

    /// Best price and size of an instrument's side, as of the last line read.
    pub fn best(&self, instrument: InstrumentId, side: Side) -> Option<(Ticks, Lots)> {
        self.markets.get(usize::from(instrument.0))?.as_ref()?.book.best(side)
    }

    /// Reads lines until one has an effect.
    fn fill(&mut self) -> Result<(), TapeError> {
        while self.pending.is_empty() && !self.is_over {
            if let Err(error) = self.read_line() {
                self.is_over = true;
                return Err(error);
            }
        }
        Ok(())
    }

    fn read_line(&mut self) -> Result<(), TapeError> {
        // The earliest line; of equals, that of the file named first.
        let next = self.sources.iter().enumerate().filter(|(_, s)| s.has_line);
        let Some(index) = next.min_by_key(|(i, s)| (s.lines.received(), *i)).map(|(i, _)| i) else {
            self.is_over = true;
            return Ok(());
        };
        self.counters.rows += 1;
        self.take_message(index)?;
        let source = &mut self.sources[index];
        source.has_line = source.lines.advance()?;
        if !source.has_line {
            let market = source.market;
            let has_more = self.sources.iter().any(|s| s.market == market && s.has_line);
            let book = self.markets[market].as_ref().map(|m| &m.book);
            if let Some(book) = book.filter(|b| !b.has_had_snapshot() && !has_more) {
                let file = self.sources[index].lines.path().to_path_buf();
                return Err(TapeError::NoSnapshot { file, messages: book.waiting() });
            }
        }
        Ok(())
    }

    fn take_message(&mut self, index: usize) -> Result<(), TapeError> {
        let source = &self.sources[index];
        let Some(market) = self.markets[source.market].as_mut() else { return Ok(()) };
        let received = source.lines.received().saturating_add_signed(self.options.clock_offset_ns);
        self.latest = received.max(self.latest);
        let message = binance::decode(source.lines.body())
            .map_err(|error| source.lines.malformed(error.to_string()))?;
        let found = match &message {
            Message::Depth(m) => Some(m.symbol),
            Message::BookTicker(m) => Some(m.symbol),
            Message::Trade(m) => Some(m.symbol),
            Message::Snapshot(m) => m.symbol,
            Message::Skipped | Message::Unknown(_) => None,
        };
        if let Some(found) = found.filter(|found| *found != source.symbol) {
            return Err(TapeError::WrongSymbol {
                file: source.lines.path().to_path_buf(),
                line: source.lines.number(),
                found: found.to_owned(),
                wanted: source.symbol.clone(),
            });
        }
        let mut reading = Reading {
            market,
            at: Nanos(self.latest),
            lines: &source.lines,
            counters: &mut self.counters,
            pending: &mut self.pending,
            changed: &mut self.changed,
            without_best_prices: self.options.without_best_prices,
        };
        reading.take(message)
    }
}

impl Tape for Recording {
    fn next(&mut self) -> Result<Option<MarketEvent>, TapeError> {
        self.fill()?;
        let event = self.pending.pop_front();
        self.counters.events += u64::from(event.is_some());
        Ok(event)
    }

    fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError> {
        self.fill()?;
        Ok(self.pending.front().map(|event| event.at))
    }

    fn counters(&self) -> TapeCounters {
        self.counters
    }
}

/// One line on its way into the book and out as events.
struct Reading<'a> {
    market: &'a mut Market,
    at: Nanos,
    lines: &'a Lines,
    counters: &'a mut TapeCounters,
    pending: &'a mut VecDeque<MarketEvent>,
    changed: &'a mut Vec<Level>,
    without_best_prices: bool,
}

impl Reading<'_> {
    fn take(&mut self, message: Message<'_>) -> Result<(), TapeError> {
        self.changed.clear();
        match message {
            Message::Depth(depth) => self.depth(&depth),
            Message::BookTicker(ticker) => self.book_ticker(&ticker),
            Message::Trade(trade) => self.trade(&trade),
            Message::Snapshot(snapshot) => {
                let levels = self.levels(&snapshot.bids, &snapshot.asks)?;
                match self.market.book.on_snapshot(snapshot.last, &levels, self.changed) {
                    Outcome::Old => {
                        self.counters.snapshots_old += 1;
                        Ok(())
                    }
                    outcome => self.publish(outcome, ms(snapshot.transaction_ms)),
                }
            }
            Message::Skipped => {
                self.counters.other_streams += 1;
                Ok(())
            }
            Message::Unknown(stream) => Err(TapeError::UnknownStream {
                file: self.lines.path().to_path_buf(),
                line: self.lines.number(),
                stream: stream.to_owned(),
            }),
        }
    }

    fn depth(&mut self, depth: &binance::Depth<'_>) -> Result<(), TapeError> {
        let increment = Increment {
            first: depth.first,
            last: depth.last,
            previous: depth.previous,
            levels: self.levels(&depth.bids, &depth.asks)?,
        };
        let outcome = self.market.book.on_increment(increment, self.changed);
        self.publish(outcome, ms(depth.transaction_ms.or(Some(depth.event_ms))))
    }

    fn book_ticker(&mut self, ticker: &binance::BookTicker<'_>) -> Result<(), TapeError> {
        if self.without_best_prices || !self.market.book.is_synced() {
            let counters = &mut *self.counters;
            let is_early = !self.market.book.is_synced();
            counters.before_snapshot += u64::from(is_early);
            counters.book_tickers_skipped += u64::from(!is_early);
            return Ok(());
        }
        let bid = self.level(Side::Buy, (ticker.bid, ticker.bid_size))?;
        let ask = self.level(Side::Sell, (ticker.ask, ticker.ask_size))?;
        let (Some(bid), Some(ask)) = (bid, ask) else { return Ok(()) };
        match self.market.book.on_best(ticker.last, [bid, ask], self.changed) {
            Outcome::Old => {
                self.counters.book_tickers_skipped += 1;
                Ok(())
            }
            outcome => self.publish(outcome, ms(ticker.transaction_ms.or(ticker.event_ms))),
        }
    }

    fn trade(&mut self, trade: &binance::Trade<'_>) -> Result<(), TapeError> {
        if !self.market.book.is_synced() {
            self.counters.before_snapshot += 1;
            return Ok(());
        }
        if trade.kind.is_some_and(|kind| kind != "MARKET") {
            self.counters.trades_skipped += 1;
            return Ok(());
        }
        // The resting side is the maker's: where the buyer rested, a bid was hit.
        let resting = if trade.buyer_is_maker { Side::Buy } else { Side::Sell };
        let Some(level) = self.level(resting, (trade.price, trade.size))? else { return Ok(()) };
        if level.size.0 <= 0 {
            self.counters.trades_skipped += 1;
            return Ok(());
        }
        let aggressor = resting.opposite();
        let update = MarketUpdate::Trade { aggressor, price: level.price, size: level.size };
        self.push(update, ms(Some(trade.transaction_ms)), true);
        Ok(())
    }

    /// Turns a change of the book into events, the last of them marked.
    fn publish(&mut self, outcome: Outcome, venue_at: Nanos) -> Result<(), TapeError> {
        match outcome {
            Outcome::Levels => {}
            Outcome::Reset { .. } => {
                self.counters.snapshots += 1;
                self.push(MarketUpdate::Reset, venue_at, self.changed.is_empty());
            }
            Outcome::Gap => {
                self.counters.gaps += 1;
                self.push(MarketUpdate::Gap, venue_at, true);
            }
            Outcome::Old => self.counters.depth_old += 1,
            Outcome::Waiting => self.counters.before_snapshot += 1,
            Outcome::TooManyWaiting => {
                return Err(TapeError::NoSnapshot {
                    file: self.lines.path().to_path_buf(),
                    messages: self.market.book.waiting(),
                });
            }
        }
        let count = self.changed.len();
        for index in 0..count {
            let Level { side, price, size } = self.changed[index];
            self.push(MarketUpdate::Level { side, price, size }, venue_at, index + 1 == count);
        }
        if outcome == (Outcome::Reset { gap_after: true }) {
            self.counters.gaps += 1;
            self.push(MarketUpdate::Gap, venue_at, true);
        }
        Ok(())
    }

    fn push(&mut self, update: MarketUpdate, venue_at: Nanos, last_in_message: bool) {
        self.pending.push_back(MarketEvent {
            at: self.at,
            venue_at,
            stamp: Stamp(0),
            update,
            instrument: self.market.id,
            last_in_message,
        });
    }

    fn levels(
        &mut self,
        bids: &[LevelText<'_>],
        asks: &[LevelText<'_>],
    ) -> Result<Vec<Level>, TapeError> {
        let mut levels = Vec::with_capacity(bids.len() + asks.len());
        for (side, texts) in [(Side::Buy, bids), (Side::Sell, asks)] {
            for &text in texts {
                levels.extend(self.level(side, text)?);
            }
        }
        Ok(levels)
    }

    /// One level in ticks and lots; `None` (and counted) where it is off the grid.
    fn level(&mut self, side: Side, text: LevelText<'_>) -> Result<Option<Level>, TapeError> {
        let price = self.count(text.0, self.market.tick)?;
        let size = self.count(text.1, self.market.lot)?;
        Ok(price.zip(size).map(|(price, size)| Level {
            side,
            price: Ticks(price),
            size: Lots(size),
        }))
    }

    fn count(&mut self, text: &str, unit: Decimal) -> Result<Option<i64>, TapeError> {
        let number = Decimal::parse(text.as_bytes())
            .map_err(|error| self.lines.malformed(format!("{text:?} {error}")))?;
        self.market.seen += 1;
        if let Ok(count) = number.count_of(unit) {
            return Ok(Some(count));
        }
        self.market.off_grid += 1;
        self.counters.off_grid += 1;
        let (off_grid, seen) = (self.market.off_grid, self.market.seen);
        if off_grid >= OFF_GRID_MIN && off_grid.saturating_mul(OFF_GRID_SHARE) > seen {
            return Err(TapeError::WrongGrid {
                file: self.lines.path().to_path_buf(),
                line: self.lines.number(),
                off_grid,
                seen,
                text: text.to_owned(),
                tick: self.market.tick.to_string(),
                lot: self.market.lot.to_string(),
            });
        }
        Ok(None)
    }
}

/// A venue's milliseconds; 0 where it does not say.
fn ms(milliseconds: Option<u64>) -> Nanos {
    Nanos(milliseconds.unwrap_or(0).saturating_mul(1_000_000))
}
