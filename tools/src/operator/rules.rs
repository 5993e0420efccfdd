//! Limits and parameters as they stand now, and what a change of one must satisfy.
//!
//! Fed by the config and by every change that was handed to the maker; asked by the operator's socket
//! before it hands over the next. Absent: the change itself (the maker's), who may make it.

use crate::config::ConfigFile;
use crate::config::faults::Faults;
use crate::config::instruments::InstrumentTable;
use crate::config::maker::sub_ticks;
use crate::operator::words::{self, NANO};
use ballast_engine::event::{InstrumentId, VenueId};
use ballast_engine::instrument::{Currency, Instrument};
use ballast_engine::inventory::hedge::BandRule;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::control::{Knob, Scope};
use ballast_engine::pnl::ledger::Holding;
use ballast_engine::units::{Decimal, FeeRate, Ticks};
use serde_json::{Map, Value, json};

/// Every knob with its value.
#[derive(Clone, Debug)]
pub struct Rules {
    table: InstrumentTable,
    values: Vec<(Knob, i64)>,
    /// What may have become of them: changes that were not answered.
    doubted: Vec<(Knob, i64)>,
    /// Outer edges of the hedgers' bands, by underlying: soft limits stay outside them.
    bands: Vec<i64>,
    /// This engine's parts of its firm's hard limits, by underlying.
    parts: Vec<Option<i64>>,
    /// Instruments whose funding schedule the config knows.
    funded: Vec<InstrumentId>,
    /// Options with what they are on.
    references: Vec<(InstrumentId, InstrumentId)>,
}

impl Rules {
    /// As the config has them; what an operator had lowered before a crash stays so, as in the maker.
    pub fn new(file: &ConfigFile, config: &MakerConfig) -> Rules {
        let mut values = Vec::new();
        let mut faults = Faults::default();
        for (instrument, settings) in config.instruments.iter().zip(&config.settings) {
            let id = instrument.id();
            let Some(raw) = file.raw.instrument.get(instrument.symbol()) else { continue };
            let limits = &settings.limits;
            let value = faults.count("order_value_max", &raw.limits.order_value_max, NANO, 1);
            values.extend([
                (Knob::OrderSizeMax(id), limits.order_size_max.0),
                (Knob::OrderValueMax(id), value.unwrap_or(0)),
                (Knob::PositionMax(id), limits.position_max.0),
                (Knob::Collar(id), limits.collar.width.0),
            ]);
            let (Some(quote), Some(raw)) = (&settings.quote, &raw.quote) else { continue };
            let (tick, lot) = (instrument.spec().tick, instrument.spec().lot);
            let edge = sub_ticks("edge_min", &raw.edge_min, tick, &mut faults);
            let size = faults.count("size", &raw.size, lot, 1);
            let ticks = |ticks: u64| i64::try_from(ticks).unwrap_or(i64::MAX);
            values.extend([
                (Knob::QuoteSize(id), size.unwrap_or(0)),
                (Knob::EdgeMin(id), edge.map_or(0, |edge| edge.0)),
                (Knob::ToleranceAggressive(id), ticks(quote.tolerance.aggressive_ticks)),
                (Knob::TolerancePassive(id), ticks(quote.tolerance.passive_ticks)),
            ]);
        }
        for (place, settings) in (0u8..).zip(&config.underlyings) {
            let limits = &settings.limits;
            values.extend([
                (Knob::Soft(place), limits.soft().0),
                (Knob::Stop(place), limits.stop().0),
                (Knob::Hard(place), limits.hard().0),
            ]);
        }
        let bands = config.underlyings.iter();
        let bands = bands.map(|u| match u.hedge.as_ref().map(|hedge| &hedge.band) {
            Some(BandRule::Fixed(band)) => band.outer.0,
            // It keeps within whatever the soft limit is.
            Some(BandRule::Derived(_)) | None => 0,
        });
        let bands = bands.collect();
        let parts = config.underlyings.iter();
        let parts = parts.map(|u| u.firm.map(|firm| firm.part.0)).collect();
        let funded = config.instruments.iter().zip(&config.settings);
        let funded = funded.filter(|(_, settings)| settings.standing.funding.is_some());
        let funded = funded.map(|(instrument, _)| instrument.id()).collect();
        let options = config.options.options.iter();
        let references = options.map(|option| (option.instrument, option.reference)).collect();
        let (table, doubted) = (file.table.clone(), Vec::new());
        let mut rules = Rules { table, values, doubted, bands, parts, funded, references };
        for set in config.resumption.iter().flat_map(|resumption| &resumption.limits) {
            if rules.value(set.knob).is_some_and(|value| set.value < value) {
                rules.changed(set.knob, set.value);
            }
        }
        rules
    }

    /// What an option is on.
    pub(super) fn reference(&self, option: InstrumentId) -> Option<InstrumentId> {
        let found = self.references.iter().find(|(of, _)| *of == option);
        found.map(|(_, reference)| *reference)
    }

    /// The names in it.
    pub fn table(&self) -> &InstrumentTable {
        &self.table
    }

    /// The value of a knob now.
    pub fn value(&self, knob: Knob) -> Option<i64> {
        self.values.iter().find(|(known, _)| *known == knob).map(|(_, value)| *value)
    }

    /// A change was handed to the maker, which may have taken it or take it yet: until the next that is
    /// done, both values may hold.
    pub fn doubt(&mut self, knob: Knob, value: i64) {
        self.doubted.retain(|doubted| *doubted != (knob, value));
        self.doubted.push((knob, value));
    }

    /// The lowest that a knob may stand at.
    fn least(&self, knob: Knob) -> Option<i64> {
        let doubted = self.doubted.iter().filter(|(of, _)| *of == knob).map(|(_, value)| *value);
        self.value(knob).into_iter().chain(doubted).min()
    }

    /// The highest.
    fn most(&self, knob: Knob) -> Option<i64> {
        let doubted = self.doubted.iter().filter(|(of, _)| *of == knob).map(|(_, value)| *value);
        self.value(knob).into_iter().chain(doubted).max()
    }

    /// A change was taken by the maker.
    pub fn changed(&mut self, knob: Knob, value: i64) {
        self.doubted.retain(|(of, _)| *of != knob);
        if let Some(known) = self.values.iter_mut().find(|(known, _)| *known == knob) {
            known.1 = value;
        }
    }

    pub(super) fn of_instrument(&self, symbol: &str) -> Result<&Instrument, String> {
        let known = || {
            let symbols: Vec<_> = self.table.instruments.iter().map(Instrument::symbol).collect();
            symbols.join(", ")
        };
        self.table
            .find(symbol)
            .ok_or_else(|| format!("{symbol:?} is no instrument; there are {}", known()))
    }

    fn underlying(&self, name: &str) -> Option<u8> {
        self.table.underlyings.find(name).and_then(|place| u8::try_from(place).ok())
    }

    /// `all`, a symbol or an underlying.
    ///
    /// # Errors
    /// A name that is neither.
    pub fn scope(&self, what: &str) -> Result<Scope, String> {
        if what == "all" {
            return Ok(Scope::All);
        }
        if let Some(instrument) = self.table.find(what) {
            return Ok(Scope::Instrument(instrument.id()));
        }
        self.underlying(what).map(Scope::Underlying).ok_or_else(|| {
            let symbols = self.table.instruments.iter().map(Instrument::symbol);
            let names: Vec<_> = symbols.chain(self.table.underlyings.iter()).collect();
            format!(
                "{what:?} is neither an instrument nor an underlying: {}, or all",
                names.join(", ")
            )
        })
    }

    /// A change as it is written: the knob, its new value, and whether it raises a limit.
    ///
    /// # Errors
    /// In people's words: no such key, no such number, or a value that may not stand.
    pub fn change(&self, of: &str, key: &str, text: &str) -> Result<(Knob, i64, bool), String> {
        let candidates = match self.scope(of)? {
            Scope::All => return Err("name one instrument or one underlying".into()),
            Scope::Underlying(place) => {
                vec![Knob::Soft(place), Knob::Stop(place), Knob::Hard(place)]
            }
            Scope::Instrument(id) => knobs_of(id).to_vec(),
        };
        let known = candidates.iter().filter(|knob| self.value(**knob).is_some());
        let names: Vec<_> = known.clone().map(|knob| knob.name()).collect();
        let knob = known.clone().find(|knob| knob.name() == key).copied();
        let knob =
            knob.ok_or_else(|| format!("{of} has no {key:?}; it has {}", names.join(", ")))?;
        let value =
            self.parse(knob, text).map_err(|why| format!("{of} {key} = {text:?}: {why}"))?;
        self.check(knob, value).map_err(|why| format!("{of} {key} = {text}: {why}"))?;
        // What is above any value that it may have takes two.
        let now = self.least(knob).unwrap_or(i64::MAX);
        Ok((knob, value, knob.is_limit() && value > now))
    }

    fn parse(&self, knob: Knob, text: &str) -> Result<i64, String> {
        let spec = |id: InstrumentId| {
            let instrument = self.table.instruments.get(usize::from(id.0));
            instrument.map(Instrument::spec).ok_or("no such instrument")
        };
        match knob {
            Knob::OrderSizeMax(id) | Knob::PositionMax(id) | Knob::QuoteSize(id) => {
                count(text, spec(id)?.lot)
            }
            Knob::Collar(id) | Knob::ToleranceAggressive(id) | Knob::TolerancePassive(id) => {
                count(text, spec(id)?.tick)
            }
            Knob::EdgeMin(id) => {
                let mut faults = Faults::default();
                let edge = sub_ticks("edge_min", text, spec(id)?.tick, &mut faults);
                edge.map(|edge| edge.0).ok_or_else(|| faults.to_string())
            }
            Knob::OrderValueMax(_) | Knob::Soft(_) | Knob::Stop(_) | Knob::Hard(_) => {
                count(text, NANO)
            }
        }
    }

    fn check(&self, knob: Knob, value: i64) -> Result<(), String> {
        let ordered_as = |place: u8, known: &dyn Fn(Knob) -> Option<i64>| {
            let of = |other: Knob| if other == knob { value } else { known(other).unwrap_or(0) };
            let (soft, stop, hard) =
                (of(Knob::Soft(place)), of(Knob::Stop(place)), of(Knob::Hard(place)));
            let band = self.bands.get(usize::from(place)).copied().unwrap_or(0);
            let text = |value| Decimal::text_of(value, NANO);
            if soft <= 0 || soft >= stop || stop >= hard {
                let (soft, stop, hard) = (text(soft), text(stop), text(hard));
                return Err(format!("must keep 0 < soft ({soft}) < stop ({stop}) < hard ({hard})"));
            }
            let part = self.parts.get(usize::from(place)).copied().flatten();
            if let Some(part) = part.filter(|part| hard > *part) {
                let part = text(part);
                return Err(format!(
                    "must be within this engine's part of the firm's hard, {part}"
                ));
            }
            if soft < band {
                return Err(format!("must not be within the hedger's band ({})", text(band)));
            }
            Ok(())
        };
        // Whatever the others stand at, the maker must take it.
        let ordered = |place: u8| {
            ordered_as(place, &|other| self.value(other))?;
            ordered_as(place, &|other| self.least(other))?;
            ordered_as(place, &|other| self.most(other))
        };
        match knob {
            Knob::Soft(place) | Knob::Stop(place) | Knob::Hard(place) => ordered(place),
            Knob::ToleranceAggressive(_) | Knob::TolerancePassive(_) if value < 0 => {
                Err("must not be negative".into())
            }
            Knob::OrderSizeMax(_)
            | Knob::OrderValueMax(_)
            | Knob::PositionMax(_)
            | Knob::Collar(_)
            | Knob::QuoteSize(_)
                if value <= 0 =>
            {
                Err("must be greater than zero".into())
            }
            Knob::OrderSizeMax(_)
            | Knob::OrderValueMax(_)
            | Knob::PositionMax(_)
            | Knob::Collar(_)
            | Knob::QuoteSize(_)
            | Knob::EdgeMin(_)
            | Knob::ToleranceAggressive(_)
            | Knob::TolerancePassive(_) => Ok(()),
        }
    }

    /// A trade's price and size.
    ///
    /// # Errors
    /// Off the grid, not positive, or no such instrument.
    pub fn trade(
        &self,
        symbol: &str,
        size: &str,
        price: &str,
    ) -> Result<(InstrumentId, i64, Ticks), String> {
        let instrument = self.of_instrument(symbol)?;
        let spec = instrument.spec();
        let lots = count(size, spec.lot).map_err(|why| format!("size {size:?}: {why}"))?;
        if lots <= 0 {
            return Err(format!("size {size:?}: must be greater than zero"));
        }
        let ticks = count(price, spec.tick).map_err(|why| format!("price {price:?}: {why}"))?;
        Ok((instrument.id(), lots, Ticks(ticks)))
    }

    /// A funding payment in the instrument's settlement currency.
    ///
    /// # Errors
    /// An unknown symbol or an amount off its grid.
    pub fn funding(&self, symbol: &str, received: &str) -> Result<(InstrumentId, i64), String> {
        let instrument = self.of_instrument(symbol)?;
        let received = count(received, NANO).map_err(|why| format!("{received:?}: {why}"))?;
        Ok((instrument.id(), received))
    }

    /// A funding rate in basis points, of an instrument whose schedule the config knows.
    ///
    /// # Errors
    /// An unknown symbol, one without a schedule, or a rate beyond a tenth of the value.
    pub fn funding_rate(&self, symbol: &str, bps: &str) -> Result<(InstrumentId, FeeRate), String> {
        let instrument = self.of_instrument(symbol)?;
        if !self.funded.contains(&instrument.id()) {
            return Err(format!("{symbol} has no funding_every_h in the config; book payments"));
        }
        let step = Decimal { mantissa: 1, scale: 5 };
        let rate = count(bps, step).map_err(|why| format!("{bps:?}: {why}"))?;
        if rate.abs() > 100_000_000 {
            return Err(format!("{bps:?}: must lie within -1000 and 1000 basis points"));
        }
        Ok((instrument.id(), FeeRate(rate)))
    }

    /// A symbol's position or a currency's cash, and an amount of it.
    ///
    /// # Errors
    /// Neither, or an amount off its grid.
    pub fn holding(&self, of: &str, amount: &str) -> Result<(Holding, i64), String> {
        match self.adjustment(of, amount)? {
            (_, 0) => Err("an amount of nothing books nothing".into()),
            some => Ok(some),
        }
    }

    /// As [`Rules::holding`]; nothing of a position is its confirmation.
    ///
    /// # Errors
    /// As [`Rules::holding`]; nothing of a cash balance.
    pub fn adjustment(&self, of: &str, amount: &str) -> Result<(Holding, i64), String> {
        let wrong = |why: String| format!("amount {amount:?}: {why}");
        let (holding, step) = if let Some(instrument) = self.table.find(of) {
            (Holding::Position(instrument.id()), instrument.spec().lot)
        } else if let Some((name, venue)) = of.split_once('@') {
            let currency = self.table.currencies.find(name).and_then(|n| u8::try_from(n).ok());
            let place = self.table.venues.find(venue).and_then(|n| u8::try_from(n).ok());
            let (Some(currency), Some(place)) = (currency, place) else {
                return Err(format!("{of:?} is no CURRENCY@VENUE of this config"));
            };
            (Holding::CashAt { venue: VenueId(place), currency: Currency(currency) }, NANO)
        } else {
            let place = self.table.currencies.find(of).and_then(|n| u8::try_from(n).ok());
            let currency = place.map(Currency).ok_or_else(|| {
                let names: Vec<_> = self.table.currencies.iter().collect();
                format!("{of:?} is neither an instrument nor a currency ({})", names.join(", "))
            })?;
            (Holding::Cash(currency), NANO)
        };
        match count(amount, step).map_err(wrong)? {
            0 if holding.instrument().is_none() => Err("an amount of nothing books nothing".into()),
            amount => Ok((holding, amount)),
        }
    }

    /// All of it, by owner and key.
    pub fn document(&self) -> Value {
        let mut owners = Map::new();
        for (knob, value) in &self.values {
            let owner = owners
                .entry(words::knob_owner(&self.table, *knob))
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(keys) = owner {
                let text = words::knob_value(&self.table, *knob, *value);
                let doubted = self.doubted.iter().filter(|(of, _)| of == knob);
                let doubted =
                    doubted.map(|(_, value)| words::knob_value(&self.table, *knob, *value));
                let doubted: Vec<_> = doubted.collect();
                let kind = if knob.is_limit() { "limit" } else { "parameter" };
                let mut row = json!({ "value": text, "kind": kind });
                if !doubted.is_empty() {
                    row["or"] = json!(doubted.join(" or "));
                }
                keys.insert(knob.name().into(), row);
            }
        }
        Value::Object(owners)
    }
}

fn knobs_of(id: InstrumentId) -> [Knob; 8] {
    [
        Knob::OrderSizeMax(id),
        Knob::OrderValueMax(id),
        Knob::PositionMax(id),
        Knob::Collar(id),
        Knob::QuoteSize(id),
        Knob::EdgeMin(id),
        Knob::ToleranceAggressive(id),
        Knob::TolerancePassive(id),
    ]
}

pub(super) fn count(text: &str, step: Decimal) -> Result<i64, String> {
    let decimal: Decimal = text.parse().map_err(|error| format!("{error}"))?;
    decimal.count_of(step).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ballast_engine::maker::resumption::{LimitSet, Resumption};

    #[test]
    fn a_limit_that_a_crash_left_lowered_takes_a_second_operator_to_rise() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/demo.toml");
        let file = ConfigFile::read(&root).unwrap();
        let mut config = file.maker(2).unwrap();
        let spot = InstrumentId(0);
        let limits = vec![
            LimitSet { knob: Knob::PositionMax(spot), value: 100_000 },
            LimitSet { knob: Knob::Collar(spot), value: 1_000_000 },
            LimitSet { knob: Knob::Hard(0), value: 300_000_000 },
        ];
        config.resumption = Some(Resumption { epoch: 1, limits, ..Resumption::default() });
        let rules = Rules::new(&file, &config);
        // The config says 3 BTC, and 0.5 for the underlying.
        let raise = |of, key, text| rules.change(of, key, text).unwrap().2;
        assert!(raise("BTCUSDT", "position_max", "2"));
        assert!(!raise("BTCUSDT", "position_max", "1"));
        assert!(raise("BTC", "hard", "0.4"));
        assert_eq!(rules.document()["BTCUSDT"]["position_max"]["value"], "1.00000");
        assert_eq!(rules.value(Knob::Collar(spot)), Some(20_000), "a raised one went with the run");
    }

    #[test]
    fn a_lowering_that_was_not_answered_counts_for_the_raise_test_until_one_is_done() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/demo.toml");
        let file = ConfigFile::read(&root).unwrap();
        let mut rules = Rules::new(&file, &file.maker(1).unwrap());
        let knob = Knob::PositionMax(InstrumentId(0));
        let is_raise =
            |rules: &Rules, text| rules.change("BTCUSDT", "position_max", text).unwrap().2;
        assert!(!is_raise(&rules, "2.75"), "the config says 3");
        rules.doubt(knob, 200_000);
        assert!(is_raise(&rules, "2.75"), "the maker may hold 2");
        assert!(!is_raise(&rules, "2"));
        // A raise that was not answered lowers nothing.
        rules.doubt(knob, 275_000);
        assert!(is_raise(&rules, "2.5"));
        let row = &rules.document()["BTCUSDT"]["position_max"];
        assert_eq!((&row["value"], &row["or"]), (&json!("3.00000"), &json!("2.00000 or 2.75000")));
        rules.changed(knob, 250_000);
        assert!(!is_raise(&rules, "2.5"));
        assert!(is_raise(&rules, "2.75"));
    }

    #[test]
    fn an_order_of_limits_must_hold_with_whatever_was_not_answered() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/demo.toml");
        let file = ConfigFile::read(&root).unwrap();
        let mut rules = Rules::new(&file, &file.maker(1).unwrap());
        let (stop, hard) = (rules.value(Knob::Stop(0)).unwrap(), Knob::Hard(0));
        let lower = Decimal::text_of(stop - 1, NANO);
        assert!(rules.change("BTC", "stop", &lower).is_ok());
        rules.doubt(hard, stop - 1);
        assert!(rules.change("BTC", "stop", &lower).unwrap_err().contains("must keep"));
        assert!(rules.change("BTC", "hard", &Decimal::text_of(stop + 1, NANO)).is_ok());
    }
}
