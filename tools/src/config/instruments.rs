//! The `[[instruments]]` table of a config file, the same for the maker and for the simulated venue.
//!
//! Fed by TOML; feeds both sides of the wire with [`Instrument`]s and the names of their venues,
//! currencies and underlyings, each numbered in the order of first mention.

use super::faults::Faults;
use super::option_terms::{self, RawOption};
use ballast_engine::coarse_step::CoarseStep;
use ballast_engine::event::{InstrumentId, VenueId};
use ballast_engine::instrument::{
    Currency, Instrument, InstrumentKind, InstrumentSpec, Underlying,
};
use ballast_engine::units::{Decimal, FeeRate, Nanos, Ticks};
use serde::Deserialize;

/// One `[[instruments]]` table as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawInstrument {
    /// Its name, unique in the file; Symbol(55) too, unless `venue_symbol` is another.
    pub symbol: String,
    /// Symbol(55), where the same contract stands in the file twice: once a session.
    pub venue_symbol: Option<String>,
    /// Name of the venue.
    pub venue: String,
    /// Name of the underlying.
    pub underlying: String,
    /// `spot`, `linear_perpetual`, `inverse_perpetual`, `dated_future` or `option`.
    pub kind: String,
    /// RFC 3339 time of the end of trading; dated futures alone.
    pub expiry: Option<String>,
    /// Terms; options alone.
    pub option: Option<RawOption>,
    /// Smallest step of the price.
    pub tick: String,
    /// Where prices are further apart from a price on.
    pub coarse_tick: Option<RawCoarseTick>,
    /// Smallest step of the size.
    pub lot: String,
    /// Underlying per size unit, or quote currency per inverse contract. 1 where it is left out.
    pub multiplier: Option<String>,
    /// The coin.
    pub base: String,
    /// What prices are written in.
    pub quote: String,
    /// What PnL is paid in; the coin for an inverse contract, else the quote currency.
    pub settlement: Option<String>,
    /// Fee of a resting order in basis points; negative is a rebate.
    pub maker_fee_bps: String,
    /// Fee of a taking order in basis points.
    pub taker_fee_bps: String,
}

/// `coarse_tick = { from = "0.005", tick = "0.0005" }`: the step of prices from there on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCoarseTick {
    /// The first price that it holds for.
    pub from: String,
    /// The step.
    pub tick: String,
}

/// Names in the order of their numbers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names(Vec<String>);

impl Names {
    /// The number of a name, which is added where it is new.
    pub fn number(&mut self, name: &str) -> usize {
        self.find(name).unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        })
    }

    /// The number of a name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|known| known == name)
    }

    /// The name of a number.
    pub fn name(&self, number: usize) -> Option<&str> {
        self.0.get(number).map(String::as_str)
    }

    /// All names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The instruments of a file with the names that they use.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InstrumentTable {
    /// In the order of the file: `InstrumentId` is the place.
    pub instruments: Vec<Instrument>,
    /// Venues, numbered as [`VenueId`].
    pub venues: Names,
    /// Currencies, numbered as [`Currency`].
    pub currencies: Names,
    /// Underlyings, numbered as [`Underlying`].
    pub underlyings: Names,
}

/// The step of a fee in basis points: 1e-9 of the value is 0.00001 bps.
pub(super) const FEE_STEP: Decimal = Decimal { mantissa: 1, scale: 5 };

impl InstrumentTable {
    /// Validates every table; adds what is wrong to `faults`.
    pub fn new(raw: &[RawInstrument], faults: &mut Faults) -> InstrumentTable {
        let mut table = InstrumentTable::default();
        if raw.is_empty() {
            faults.add("instruments", "[]", "name at least one instrument");
        }
        for (place, instrument) in raw.iter().enumerate() {
            if raw.iter().take(place).any(|other| other.symbol == instrument.symbol) {
                faults.add("instruments.symbol", &instrument.symbol, "stands in the file twice");
                continue;
            }
            table.add(instrument, faults);
        }
        table
    }

    /// The instrument of a symbol.
    pub fn find(&self, symbol: &str) -> Option<&Instrument> {
        self.instruments.iter().find(|instrument| instrument.symbol() == symbol)
    }

    fn add(&mut self, raw: &RawInstrument, faults: &mut Faults) {
        let key = |name: &str| format!("instruments.{}.{name}", raw.symbol);
        let kind = kind(raw, &key("kind"), faults);
        let tick = faults.decimal(&key("tick"), &raw.tick);
        let lot = faults.decimal(&key("lot"), &raw.lot);
        let coarse = coarse_step(raw.coarse_tick.as_ref(), tick, &key("coarse_tick"), faults);
        let multiplier = raw.multiplier.as_deref().unwrap_or("1");
        let multiplier = faults.decimal(&key("multiplier"), multiplier);
        let maker_fee = fee(&raw.maker_fee_bps, &key("maker_fee_bps"), faults);
        let taker_fee = fee(&raw.taker_fee_bps, &key("taker_fee_bps"), faults);
        let base = Currency(small(self.currencies.number(&raw.base)));
        let quote = Currency(small(self.currencies.number(&raw.quote)));
        let is_inverse = kind == Some(InstrumentKind::InversePerpetual);
        let settlement = match &raw.settlement {
            Some(name) => Currency(small(self.currencies.number(name))),
            None if is_inverse => base,
            None => quote,
        };
        let venue = VenueId(small(self.venues.number(&raw.venue)));
        let underlying = Underlying(small(self.underlyings.number(&raw.underlying)));
        let (Some(kind), Some(tick), Some(lot), Some(multiplier), Some(maker_fee), Some(taker_fee)) =
            (kind, tick, lot, multiplier, maker_fee, taker_fee)
        else {
            return;
        };
        let symbol = raw.symbol.clone();
        let spec = InstrumentSpec {
            symbol,
            venue,
            underlying,
            kind,
            tick,
            lot,
            multiplier,
            base,
            quote,
            settlement,
            maker_fee,
            taker_fee,
        };
        let id = InstrumentId(u16::try_from(self.instruments.len()).unwrap_or(u16::MAX));
        let made = Instrument::new(id, spec).map(|made| made.with_coarse_step(coarse));
        match made {
            Ok(instrument) => self.instruments.push(match &raw.venue_symbol {
                Some(name) => instrument.named_at_venue(name.clone()),
                None => instrument,
            }),
            Err(error) => faults.add("instruments", &raw.symbol, error),
        }
    }
}

fn coarse_step(
    raw: Option<&RawCoarseTick>,
    tick: Option<Decimal>,
    key: &str,
    faults: &mut Faults,
) -> CoarseStep {
    let (Some(raw), Some(tick)) = (raw, tick.filter(|tick| tick.mantissa > 0)) else {
        return CoarseStep::NONE;
    };
    let from = faults.count(&format!("{key}.from"), &raw.from, tick, 1);
    let step = faults.count(&format!("{key}.tick"), &raw.tick, tick, 1);
    let (Some(from), Some(step)) = (from, step) else { return CoarseStep::NONE };
    CoarseStep::new(Ticks(from), step).unwrap_or_else(|| {
        let allowed = "a tick of several of the instrument's, and from a price that it divides";
        faults.add(key, format!("from {} in steps of {}", raw.from, raw.tick), allowed);
        CoarseStep::NONE
    })
}

/// A number of at most 256 names; more than that is no config that a person wrote.
fn small(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

pub(super) fn fee(text: &str, key: &str, faults: &mut Faults) -> Option<FeeRate> {
    let count = faults.count(key, text, FEE_STEP, i64::MIN)?;
    if count.abs() > 100_000_000 {
        faults.add(key, text, "must lie within -1000 and 1000 basis points");
        return None;
    }
    Some(FeeRate(count))
}

/// An RFC 3339 time.
pub(super) fn time(key: &str, text: &str, faults: &mut Faults) -> Option<Nanos> {
    let time = text.parse::<jiff::Timestamp>().ok();
    let nanos = time.and_then(|time| u64::try_from(time.as_nanosecond()).ok());
    if nanos.is_none() {
        faults.add(key, format!("{text:?}"), "a time such as 2024-12-27T08:00:00Z");
    }
    nanos.map(Nanos)
}

fn kind(raw: &RawInstrument, key: &str, faults: &mut Faults) -> Option<InstrumentKind> {
    let kind = match raw.kind.as_str() {
        "spot" => InstrumentKind::Spot,
        "linear_perpetual" => InstrumentKind::LinearPerpetual,
        "inverse_perpetual" => InstrumentKind::InversePerpetual,
        "dated_future" => {
            let expiry = format!("instruments.{}.expiry", raw.symbol);
            let expiry = time(&expiry, raw.expiry.as_deref().unwrap_or(""), faults)?;
            InstrumentKind::DatedFuture { expiry }
        }
        "option" => {
            let key = format!("instruments.{}", raw.symbol);
            InstrumentKind::Option(option_terms::terms(raw, &key, faults)?)
        }
        other => {
            let allowed = "one of spot, linear_perpetual, inverse_perpetual, dated_future, option";
            faults.add(key, other, allowed);
            return None;
        }
    };
    Some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(symbol: &str, kind: &str) -> RawInstrument {
        RawInstrument {
            symbol: symbol.into(),
            venue_symbol: None,
            venue: "sim".into(),
            underlying: "BTC".into(),
            kind: kind.into(),
            expiry: None,
            option: None,
            tick: "0.1".into(),
            coarse_tick: None,
            lot: "1".into(),
            multiplier: (kind != "spot").then(|| "100".into()),
            base: "BTC".into(),
            quote: "USD".into(),
            settlement: None,
            maker_fee_bps: "1".into(),
            taker_fee_bps: "4.5".into(),
        }
    }

    #[test]
    fn a_coarser_tick_is_a_multiple_of_the_tick_from_a_price_that_it_divides() {
        let table = |from: &str, tick: &str| {
            let coarse = RawCoarseTick { from: from.into(), tick: tick.into() };
            let raw = RawInstrument {
                tick: "0.0001".into(),
                coarse_tick: Some(coarse),
                ..raw("B", "linear_perpetual")
            };
            let mut faults = Faults::default();
            let table = InstrumentTable::new(&[raw], &mut faults);
            (table, faults.iter().map(|fault| fault.key.clone()).collect::<Vec<_>>())
        };
        let (sound, faults) = table("0.005", "0.0005");
        assert_eq!(faults, Vec::<String>::new());
        let parse = |text: &str| sound.instruments[0].ticks(text.parse().unwrap());
        assert_eq!(parse("0.0049"), Ok(Ticks(49)));
        assert_eq!(parse("0.0055"), Ok(Ticks(55)));
        assert!(parse("0.0051").is_err());
        for (from, tick) in
            [("0.0052", "0.0005"), ("0.005", "0.0001"), ("0", "0.0005"), ("0.005", "x")]
        {
            let (_, faults) = table(from, tick);
            assert!(
                faults[0].starts_with("instruments.B.coarse_tick"),
                "{from} {tick}: {faults:?}"
            );
        }
    }

    #[test]
    fn fees_convert_exactly_and_an_inverse_contract_settles_in_its_coin() {
        let mut faults = Faults::default();
        let table = InstrumentTable::new(&[raw("A", "inverse_perpetual")], &mut faults);
        assert!(faults.is_empty(), "{faults}");
        let spec = table.find("A").unwrap().spec();
        assert_eq!(spec.taker_fee, FeeRate(450_000));
        assert_eq!(spec.settlement, spec.base);
    }

    #[test]
    fn all_faults_of_all_instruments_are_told_at_once() {
        let mut wrong = raw("B", "perpetual");
        wrong.tick = "a dime".into();
        let mut faults = Faults::default();
        InstrumentTable::new(&[raw("A", "spot"), wrong, raw("A", "spot")], &mut faults);
        let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(keys, ["instruments.B.kind", "instruments.B.tick", "instruments.symbol"]);
    }

    #[test]
    fn a_dated_future_needs_its_expiry() {
        let mut faults = Faults::default();
        let mut dated = raw("F", "dated_future");
        InstrumentTable::new(std::slice::from_ref(&dated), &mut faults);
        assert!(faults.to_string().contains("instruments.F.expiry"), "{faults}");
        dated.expiry = Some("2024-12-27T08:00:00Z".into());
        let mut faults = Faults::default();
        let table = InstrumentTable::new(&[dated], &mut faults);
        assert!(faults.is_empty(), "{faults}");
        assert_eq!(
            table.instruments[0].spec().kind,
            InstrumentKind::DatedFuture { expiry: Nanos(1_735_286_400_000_000_000) }
        );
    }
}
