//! What every format's reader is to the tape: a [`Source`] that moves from message to message and
//! tells a [`Sink`] what each one says.
//!
//! Fed by the readers (`databento.rs`, `tardis.rs`, `lean/bars.rs`, `capture.rs`); feeds `merged.rs`
//! with events in ticks and lots. Any one thread. Deliberately absent: the order of several files.
//!
//! A sink either plays (its instruments are the config's) or surveys (every symbol is welcome, and
//! what is kept is the finest step of its prices and sizes): a reader does not know which.

use super::{OrderGone, TapeCounters, TapeError};
use ballast_engine::event::{InstrumentId, MarketEvent, MarketUpdate};
use ballast_engine::instrument::Instrument;
use ballast_engine::units::{Decimal, Lots, Nanos, Side, Stamp, Ticks};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

/// As in `merge.rs`: one number in a hundred off the grid, and not before ten, is a wrong grid.
const OFF_GRID_SHARE: u64 = 100;
const OFF_GRID_MIN: u64 = 10;
/// The step that a survey counts in: nothing recorded has more digits than 1e-9.
const SURVEY_STEP: Decimal = Decimal { mantissa: 1, scale: 9 };
/// 2000-01-01 and 2100-01-01: a time outside is in another unit than the format's.
const TIMES: std::ops::Range<u64> = 946_684_800_000_000_000..4_102_444_800_000_000_000;

/// One recorded file.
pub trait Source: Send {
    /// Reads on to the next message; false at the end.
    fn advance(&mut self) -> Result<bool, TapeError>;
    /// When the message that stands was received, in ns since 1970.
    fn received(&self) -> u64;
    /// Where the message that stands is.
    fn position(&self) -> &Position;
    /// Says what the message means.
    fn take(&mut self, sink: &mut Sink<'_>) -> Result<(), TapeError>;
    /// The venue's name, where the file says it.
    fn venue(&self) -> Option<&str>;
    /// Whether its book is one of single orders.
    fn knows_orders(&self) -> bool {
        false
    }
}

/// A place in a file, for people.
#[derive(Clone, Debug)]
pub struct Position {
    /// Which file.
    pub file: Arc<Path>,
    /// "line" or "record".
    pub unit: &'static str,
    /// Which, from 1.
    pub number: u64,
}

impl Position {
    /// The head of a file.
    pub fn new(file: &Path, unit: &'static str) -> Position {
        Position { file: file.into(), unit, number: 0 }
    }

    /// An error about this place.
    pub fn fault(&self, why: impl Into<String>) -> TapeError {
        let (file, unit, number) = (self.file.to_path_buf(), self.unit, self.number);
        TapeError::Record { file, unit, number, why: why.into() }
    }

    /// Checks that a time is one, in the unit that the format says, and not before `previous`.
    pub fn time(&self, ns: u64, previous: u64, unit: &str) -> Result<u64, TapeError> {
        match time_fault(ns, previous, unit) {
            None => Ok(ns),
            Some(why) => Err(self.fault(why)),
        }
    }
}

/// What is wrong with a time: it is none in the unit that the format says, or it is before `previous`.
pub fn time_fault(ns: u64, previous: u64, unit: &str) -> Option<String> {
    if !TIMES.contains(&ns) {
        let why = "its time is not between the years 2000 and 2100 when read as";
        return Some(format!("{why} {unit}: another unit?"));
    }
    let by = previous.checked_sub(ns).filter(|by| *by > 0)?;
    Some(format!("received {by} ns before the one in front of it: sort the file"))
}

/// One instrument's grid and what of its book was shown last.
#[derive(Clone, Debug)]
pub struct Market {
    id: InstrumentId,
    tick: Decimal,
    lot: Decimal,
    seen: u64,
    off_grid: u64,
    is_synced: bool,
    shown: [BTreeMap<Ticks, Lots>; 2],
    /// What all prices and all sizes are multiples of, so far (a survey's alone).
    steps: [u64; 2],
}

impl Market {
    /// The market of a config's instrument.
    pub fn of(instrument: &Instrument) -> Market {
        Market::new(instrument.id(), instrument.spec().tick, instrument.spec().lot)
    }

    fn new(id: InstrumentId, tick: Decimal, lot: Decimal) -> Market {
        let shown = Default::default();
        Market { id, tick, lot, seen: 0, off_grid: 0, is_synced: false, shown, steps: [0; 2] }
    }

    /// The finest step of prices and of sizes that a survey saw.
    pub fn steps(&self) -> [Option<Decimal>; 2] {
        self.steps.map(|step| {
            let mantissa = i64::try_from(step).ok().filter(|step| *step > 0)?;
            let text = Decimal { mantissa, scale: SURVEY_STEP.scale }.to_string();
            Decimal::parse(text.as_bytes()).ok()
        })
    }
}

/// Which symbols of a file are which markets.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    /// By the recording's symbol; none: not the config's.
    pub places: BTreeMap<String, Option<usize>>,
    /// Every new symbol gets a market of its own.
    pub is_survey: bool,
}

/// An event with what belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Queued {
    /// What happened.
    pub event: MarketEvent,
    /// The order that it took away.
    pub gone: Option<OrderGone>,
}

/// Where a reader says what a message means.
pub struct Sink<'a> {
    pub(super) symbols: &'a mut Symbols,
    pub(super) markets: &'a mut Vec<Market>,
    pub(super) pending: &'a mut VecDeque<Queued>,
    /// What is left out is counted here by the readers.
    pub counters: &'a mut TapeCounters,
    /// The tape's time of this message.
    pub at: Nanos,
    pub(super) position: Position,
}

impl Sink<'_> {
    /// The market of a symbol; `None` (and counted) where the config does not name it.
    pub fn place(&mut self, symbol: &str) -> Option<usize> {
        if let Some(place) = self.symbols.places.get(symbol) {
            self.counters.other_instruments += u64::from(place.is_none());
            return *place;
        }
        let mut place = None;
        if self.symbols.is_survey {
            place = Some(self.markets.len());
            self.markets.push(Market::new(InstrumentId(0), SURVEY_STEP, SURVEY_STEP));
        } else {
            self.counters.other_instruments += 1;
        }
        self.symbols.places.insert(symbol.to_owned(), place);
        place
    }

    /// An error about this message.
    pub fn fault(&self, why: impl Into<String>) -> TapeError {
        self.position.fault(why)
    }

    /// A number as a venue writes it: plain, or with an exponent as JSON allows.
    pub fn number(&self, text: &str) -> Result<Decimal, TapeError> {
        decimal(text).ok_or_else(|| self.fault(format!("{text:?} is not a decimal number")))
    }

    /// A price in ticks; `None` (and counted) where it is off the grid.
    pub fn ticks(&mut self, place: usize, price: Decimal) -> Result<Option<Ticks>, TapeError> {
        Ok(self.count(place, 0, price)?.map(Ticks))
    }

    /// A size in lots; `None` (and counted) where it is off the grid.
    pub fn lots(&mut self, place: usize, size: Decimal) -> Result<Option<Lots>, TapeError> {
        if size.mantissa < 0 {
            return Err(self.fault(format!("the size {size} is negative")));
        }
        Ok(self.count(place, 1, size)?.map(Lots))
    }

    fn count(
        &mut self,
        place: usize,
        which: usize,
        number: Decimal,
    ) -> Result<Option<i64>, TapeError> {
        let market = &mut self.markets[place];
        let unit = [market.tick, market.lot][which];
        market.seen += 1;
        if let Ok(count) = number.count_of(unit) {
            if self.symbols.is_survey {
                market.steps[which] = common_step(market.steps[which], count.unsigned_abs());
            }
            return Ok(Some(count));
        }
        market.off_grid += 1;
        self.counters.off_grid += 1;
        let (off_grid, seen) = (market.off_grid, market.seen);
        if off_grid < OFF_GRID_MIN || off_grid.saturating_mul(OFF_GRID_SHARE) <= seen {
            return Ok(None);
        }
        let (tick, lot) = (market.tick, market.lot);
        Err(self.fault(format!(
            "{off_grid} of {seen} prices and sizes are off the grid (such as {number}); the \
             instrument's tick {tick} or lot {lot} is not the recording's"
        )))
    }

    /// True while the market has a book that increments may change.
    pub fn is_synced(&self, place: usize) -> bool {
        self.markets[place].is_synced
    }

    /// The book is empty; whole levels follow.
    pub fn reset(&mut self, place: usize, venue_at: Nanos) {
        let market = &mut self.markets[place];
        market.is_synced = true;
        market.shown.iter_mut().for_each(BTreeMap::clear);
        self.counters.snapshots += 1;
        self.push(place, MarketUpdate::Reset, venue_at, None);
    }

    /// Something was missed: the book is not to be believed until a reset.
    pub fn gap(&mut self, place: usize, venue_at: Nanos) {
        let was_synced = std::mem::replace(&mut self.markets[place].is_synced, false);
        if was_synced {
            self.counters.gaps += 1;
            self.push(place, MarketUpdate::Gap, venue_at, None);
        }
    }

    /// A level as an increment or a snapshot says it; 0 removes it.
    pub fn level(
        &mut self,
        place: usize,
        side: Side,
        (price, size): (Decimal, Decimal),
        venue_at: Nanos,
    ) -> Result<(), TapeError> {
        let (price, size) = (self.ticks(place, price)?, self.lots(place, size)?);
        let (Some(price), Some(size)) = (price, size) else { return Ok(()) };
        self.push(place, MarketUpdate::Level { side, price, size }, venue_at, None);
        Ok(())
    }

    /// A level in ticks and lots, and the order that left it.
    pub fn counted(
        &mut self,
        place: usize,
        (side, price, size): (Side, Ticks, Lots),
        venue_at: Nanos,
        gone: Option<OrderGone>,
    ) {
        self.push(place, MarketUpdate::Level { side, price, size }, venue_at, gone);
    }

    /// All that a side displays now; what changed since the last time becomes levels. The first
    /// time begins the book.
    pub fn show(
        &mut self,
        place: usize,
        side: Side,
        levels: &[(Decimal, Decimal)],
        venue_at: Nanos,
    ) -> Result<(), TapeError> {
        if !self.is_synced(place) {
            self.reset(place, venue_at);
        }
        let mut now = BTreeMap::new();
        for &(price, size) in levels {
            let (price, size) = (self.ticks(place, price)?, self.lots(place, size)?);
            if let (Some(price), Some(size)) = (price, size)
                && size.0 > 0
            {
                now.insert(price, size);
            }
        }
        let before = std::mem::take(&mut self.markets[place].shown[side.index()]);
        for &price in before.keys().filter(|price| !now.contains_key(price)) {
            let update = MarketUpdate::Level { side, price, size: Lots(0) };
            self.push(place, update, venue_at, None);
        }
        for (&price, &size) in now.iter().filter(|(price, size)| before.get(price) != Some(size)) {
            self.push(place, MarketUpdate::Level { side, price, size }, venue_at, None);
        }
        self.markets[place].shown[side.index()] = now;
        Ok(())
    }

    /// A trade. One without a size, or (`None`) without a known aggressor, is counted and left out.
    pub fn trade(
        &mut self,
        place: usize,
        aggressor: Option<Side>,
        (price, size): (Decimal, Decimal),
        venue_at: Nanos,
    ) -> Result<(), TapeError> {
        let (price, size) = (self.ticks(place, price)?, self.lots(place, size)?);
        let (Some(price), Some(size)) = (price, size) else { return Ok(()) };
        match aggressor {
            Some(aggressor) => self.counted_trade(place, aggressor, (price, size), venue_at),
            None => self.counters.trades_skipped += 1,
        }
        Ok(())
    }

    /// A trade in ticks and lots.
    pub fn counted_trade(
        &mut self,
        place: usize,
        aggressor: Side,
        (price, size): (Ticks, Lots),
        venue_at: Nanos,
    ) {
        if size.0 > 0 {
            self.push(place, MarketUpdate::Trade { aggressor, price, size }, venue_at, None);
        } else {
            self.counters.trades_skipped += 1;
        }
    }

    fn push(
        &mut self,
        place: usize,
        update: MarketUpdate,
        venue_at: Nanos,
        gone: Option<OrderGone>,
    ) {
        if self.symbols.is_survey {
            return;
        }
        let event = MarketEvent {
            at: self.at,
            venue_at,
            stamp: Stamp(0),
            update,
            instrument: self.markets[place].id,
            last_in_message: false,
        };
        self.pending.push_back(Queued { event, gone });
    }

    /// The message is whole: what was pushed last ends it.
    pub fn finish(&mut self) {
        if let Some(last) = self.pending.back_mut() {
            last.event.last_in_message = true;
        }
    }
}

fn common_step(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_step(b, a % b) }
}

/// Plain decimal text, or JSON's with an exponent.
fn decimal(text: &str) -> Option<Decimal> {
    let Some((digits, exponent)) = text.split_once(['e', 'E']) else {
        return Decimal::parse(text.as_bytes()).ok();
    };
    let number = Decimal::parse(digits.as_bytes()).ok()?;
    let exponent: i32 = exponent.trim_start_matches('+').parse().ok()?;
    let scale = i32::from(number.scale).checked_sub(exponent)?;
    if let Ok(scale) = u8::try_from(scale) {
        return (scale <= Decimal::SCALE_MAX).then_some(Decimal { scale, ..number });
    }
    let factor = 10i64.checked_pow(scale.unsigned_abs())?;
    Some(Decimal { mantissa: number.mantissa.checked_mul(factor)?, scale: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_an_exponent_are_exact() {
        let text = |text| decimal(text).map(|number| number.to_string());
        assert_eq!(text("1e-06").as_deref(), Some("0.000001"));
        assert_eq!(text("2.5E+3").as_deref(), Some("2500"));
        assert_eq!(text("20108.0").as_deref(), Some("20108"));
        for wrong in ["1e99", "e5", "1e", "NaN", "1e-40", ""] {
            assert_eq!(decimal(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_time_in_another_unit_or_order_is_refused() {
        let position = Position::new(Path::new("x.csv"), "line");
        let ns = 1_700_000_000_000_000_000;
        assert_eq!(position.time(ns, ns, "ns").unwrap(), ns);
        assert!(
            position.time(ns / 1000, 0, "ns").unwrap_err().to_string().contains("another unit")
        );
        assert!(position.time(ns - 1, ns, "ns").unwrap_err().to_string().contains("sort the file"));
    }
}
