//! Symbol(55) to instrument and back, for one venue.
//!
//! Fed by the config's instruments at start; feeds both stages. Either thread; immutable. A sorted
//! table and a binary search: a venue has tens of symbols, not thousands, and a message's next entry
//! is mostly about the last one's instrument, which [`Symbols::find_near`] tries first. Deliberately
//! absent: instruments of other venues.

use super::grid::Grid;
use ballast_engine::event::{InstrumentId, VenueId};
use ballast_engine::instrument::{ContractValue, Instrument};
use ballast_engine::units::{Decimal, DecimalError, Lots, Ticks};
use thiserror::Error;

/// One instrument as its venue writes it.
#[derive(Clone, Debug)]
pub struct Symbol {
    id: InstrumentId,
    text: Box<[u8]>,
    tick: Grid,
    lot: Grid,
    multiplier: Decimal,
    contract: ContractValue,
}

/// Why a symbol table cannot be made.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SymbolsError {
    /// The venue has no instrument.
    #[error("venue {0} has no instrument; give it at least one or leave the venue out")]
    None(u8),
    /// Two instruments with one symbol.
    #[error("symbol {0:?} stands twice in the config; a report of it could mean either")]
    Twice(String),
    /// A symbol that FIX cannot carry.
    #[error("symbol {0:?} is empty or holds a byte that FIX text cannot carry")]
    NotText(String),
}

/// The symbols of one venue.
#[derive(Clone, Debug)]
pub struct Symbols {
    venue: VenueId,
    /// Sorted by text.
    symbols: Box<[Symbol]>,
    /// Where each instrument id stands in `symbols`.
    places: Box<[Option<usize>]>,
}

impl Symbol {
    /// Its place in the config.
    pub fn id(&self) -> InstrumentId {
        self.id
    }

    /// Symbol(55).
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether it is written so. Symbols are short: a call to compare them took longer than to do it here.
    #[inline]
    fn is(&self, text: &[u8]) -> bool {
        if self.text.len() != text.len() {
            return false;
        }
        // Of four to eight bytes the first four and the last four are all there is.
        match (self.text.first_chunk::<4>(), self.text.last_chunk::<4>()) {
            (Some(first), Some(last)) if text.len() <= 8 => {
                text.starts_with(first) && text.ends_with(last)
            }
            _ => *self.text == *text,
        }
    }

    /// A price text as ticks; an error off the grid.
    #[inline]
    pub fn ticks(&self, text: &[u8]) -> Result<Ticks, DecimalError> {
        self.tick.count(text).map(Ticks)
    }

    /// The tick at or below a price text.
    pub fn ticks_floor(&self, text: &[u8]) -> Result<Ticks, DecimalError> {
        self.tick.count_floor(text).map(Ticks)
    }

    /// A size text as lots; an error off the grid.
    #[inline]
    pub fn lots(&self, text: &[u8]) -> Result<Lots, DecimalError> {
        self.lot.count(text).map(Lots)
    }

    /// The lot at or below a size text.
    pub fn lots_floor(&self, text: &[u8]) -> Result<Lots, DecimalError> {
        self.lot.count_floor(text).map(Lots)
    }

    /// What a size of one is worth, by the config.
    pub fn multiplier(&self) -> Decimal {
        self.multiplier
    }

    /// What a lot is worth, by the config.
    pub fn contract(&self) -> ContractValue {
        self.contract
    }

    /// What one tick is worth in Price(44).
    pub fn tick(&self) -> Decimal {
        self.tick.step()
    }

    /// What one lot is worth in OrderQty(38).
    pub fn lot(&self) -> Decimal {
        self.lot.step()
    }
}

impl Symbols {
    /// The table of those of `instruments` that trade at `venue`.
    pub fn new(venue: VenueId, instruments: &[Instrument]) -> Result<Symbols, SymbolsError> {
        let mut symbols = Vec::new();
        for instrument in instruments.iter().filter(|i| i.spec().venue == venue) {
            let text = instrument.venue_symbol();
            if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(SymbolsError::NotText(text.to_string()));
            }
            let spec = instrument.spec();
            // A validated instrument's steps are positive.
            let (Some(tick), Some(lot)) = (Grid::new(spec.tick), Grid::new(spec.lot)) else {
                return Err(SymbolsError::NotText(text.to_string()));
            };
            let (multiplier, contract) = (spec.multiplier, instrument.value());
            let text = text.as_bytes().into();
            symbols.push(Symbol { id: instrument.id(), text, tick, lot, multiplier, contract });
        }
        symbols.sort_by(|a, b| a.text.cmp(&b.text));
        if symbols.is_empty() {
            return Err(SymbolsError::None(venue.0));
        }
        for (first, second) in symbols.iter().zip(symbols.iter().skip(1)) {
            if first.text == second.text {
                let text = String::from_utf8_lossy(&first.text).into_owned();
                return Err(SymbolsError::Twice(text));
            }
        }
        let ids_max = symbols.iter().map(|s| usize::from(s.id.0)).max().unwrap_or(0);
        let places = (0..=ids_max)
            .map(|id| symbols.iter().position(|s| usize::from(s.id.0) == id))
            .collect();
        Ok(Symbols { venue, symbols: symbols.into(), places })
    }

    /// Whose symbols they are.
    pub fn venue(&self) -> VenueId {
        self.venue
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.symbols.len()
    }

    /// All of them, by text.
    pub fn iter(&self) -> impl Iterator<Item = &Symbol> {
        self.symbols.iter()
    }

    /// The symbol at a place of [`Symbols::iter`].
    #[inline]
    pub fn at(&self, place: usize) -> Option<&Symbol> {
        self.symbols.get(place)
    }

    /// Where the symbol with this text stands.
    pub fn find(&self, text: &[u8]) -> Option<usize> {
        self.symbols.binary_search_by(|s| s.text.as_ref().cmp(text)).ok()
    }

    /// As [`Symbols::find`], trying `guess` first.
    #[inline]
    pub fn find_near(&self, text: &[u8], guess: Option<usize>) -> Option<usize> {
        match guess.and_then(|g| self.symbols.get(g)) {
            Some(symbol) if symbol.is(text) => guess,
            _ => self.find(text),
        }
    }

    /// Where the symbol of an instrument stands.
    pub fn place_of(&self, id: InstrumentId) -> Option<usize> {
        self.places.get(usize::from(id.0)).copied().flatten()
    }

    /// The symbol of an instrument.
    pub fn of(&self, id: InstrumentId) -> Option<&Symbol> {
        self.symbols.get(self.place_of(id)?)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ballast_engine::instrument::{Currency, InstrumentKind, InstrumentSpec, Underlying};
    use ballast_engine::units::FeeRate;

    /// An instrument of venue 0 for tests: tick 0.01, lot 0.001.
    pub(crate) fn instrument(id: u16, symbol: &str) -> Instrument {
        let spec = InstrumentSpec {
            symbol: symbol.into(),
            venue: VenueId(0),
            underlying: Underlying(0),
            kind: InstrumentKind::LinearPerpetual,
            tick: "0.01".parse().unwrap(),
            lot: "0.001".parse().unwrap(),
            multiplier: "1".parse().unwrap(),
            base: Currency(0),
            quote: Currency(1),
            settlement: Currency(1),
            maker_fee: FeeRate(0),
            taker_fee: FeeRate(0),
        };
        Instrument::new(InstrumentId(id), spec).unwrap()
    }

    #[test]
    fn a_symbol_leads_to_its_instrument_and_back() {
        let listed = [instrument(0, "ETHUSD"), instrument(1, "BTCUSD"), instrument(2, "XRPUSD")];
        let symbols = Symbols::new(VenueId(0), &listed).unwrap();
        for instrument in &listed {
            let place = symbols.find(instrument.symbol().as_bytes()).unwrap();
            assert_eq!(symbols.at(place).unwrap().id(), instrument.id());
            assert_eq!(symbols.place_of(instrument.id()), Some(place));
            assert_eq!(symbols.find_near(b"BTCUSD", Some(place)), symbols.find(b"BTCUSD"));
        }
        assert_eq!(symbols.find(b"BTC"), None);
        assert!(symbols.of(InstrumentId(9)).is_none());
        let btc = symbols.of(InstrumentId(1)).unwrap();
        assert_eq!(btc.ticks(b"61685.99"), Ok(Ticks(6_168_599)));
        assert_eq!(btc.lots(b"1.500"), Ok(Lots(1500)));
    }

    #[test]
    fn a_symbol_is_no_other_that_differs_in_one_byte_or_in_its_length() {
        for len in 1..=12usize {
            let text = &"ABCDEFGHIJKL"[..len];
            let symbols = Symbols::new(VenueId(0), &[instrument(0, text)]).unwrap();
            assert_eq!(symbols.find_near(text.as_bytes(), Some(0)), Some(0));
            for at in 0..len {
                let mut other = text.as_bytes().to_vec();
                other[at] = b'x';
                assert_eq!(symbols.find_near(&other, Some(0)), None, "{at} of {len}");
            }
            for other in [&text[1..], &text[..len - 1]] {
                assert_eq!(symbols.find_near(other.as_bytes(), Some(0)), None);
            }
        }
    }

    #[test]
    fn a_table_that_could_mislead_is_refused() {
        let twice = [instrument(0, "BTC"), instrument(1, "BTC")];
        assert_eq!(
            Symbols::new(VenueId(0), &twice).unwrap_err(),
            SymbolsError::Twice("BTC".into())
        );
        assert_eq!(Symbols::new(VenueId(3), &twice).unwrap_err(), SymbolsError::None(3));
        let blank = [instrument(0, "BTC USD")];
        assert!(matches!(Symbols::new(VenueId(0), &blank), Err(SymbolsError::NotText(_))));
    }
}
