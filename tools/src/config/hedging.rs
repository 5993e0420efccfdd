//! `[underlying.NAME.hedge]`: the band, fixed or derived, and what is hedged with.
//!
//! Fed by the file's tables; feeds [`super::maker`], and whoever refits a derived band. A derived band
//! is solved here (a fraction of a second), from the quotes that bring the inventory home: their γ, A,
//! k and size, the floor of their volatility, and what hedging costs. Every fault is told together.

use super::faults::Faults;
use super::file::{RawConfig, RawHedge};
use super::hedge_basis;
use super::instruments::InstrumentTable;
use super::maker::{MS, NANO, quote_parameters, real, sub_ticks};
use ballast_engine::calibration::Real;
use ballast_engine::calibration::hedge_table::HedgeInputs;
use ballast_engine::estimate::volatility::Sigma;
use ballast_engine::instrument::{ContractValue, Instrument};
use ballast_engine::inventory::hedge::{Band, BandRule};
use ballast_engine::maker::config::{HedgeInstrument, HedgeSettings};
use ballast_engine::units::{Decimal, Exposure, Ticks};

/// Whose hedge it is.
pub(super) struct Of<'a> {
    /// The whole file.
    pub raw: &'a RawConfig,
    /// Its instruments.
    pub table: &'a InstrumentTable,
    /// The underlying's name.
    pub underlying: &'a str,
    /// Its hard limit, where it is one.
    pub hard: Option<Exposure>,
}

/// The hedge of an underlying; `None` where `faults` says why.
pub(super) fn hedge(
    key: &str,
    raw: &RawHedge,
    of: &Of<'_>,
    faults: &mut Faults,
) -> Option<HedgeSettings> {
    let band = band(key, raw, of, faults);
    let mut instruments = Vec::new();
    if raw.instruments.is_empty() {
        faults.add(format!("{key}.instruments"), "{}", "name at least one: symbol = \"collar\"");
    }
    for (symbol, collar) in &raw.instruments {
        let key = format!("{key}.instruments.{symbol}");
        let Some(instrument) = of.table.find(symbol) else {
            faults.add(key, symbol, "a symbol of [[instruments]]");
            continue;
        };
        if let Some(collar) = faults.count(&key, collar, instrument.spec().tick, 0) {
            instruments
                .push(HedgeInstrument { instrument: instrument.id(), collar: Ticks(collar) });
        }
    }
    if raw.failures_max == 0 {
        faults.add(format!("{key}.failures_max"), 0, "must be greater than zero");
    }
    if raw.retry_holdoff_ms == 0 {
        faults.add(format!("{key}.retry_holdoff_ms"), 0, "must be greater than zero");
    }
    let credit = match &raw.unwind_credit {
        Some(text) => {
            let key = format!("{key}.unwind_credit");
            let millionths = faults.count(&key, text, Decimal { mantissa: 1, scale: 6 }, 0);
            let millionths = millionths.and_then(|count| u32::try_from(count).ok());
            if millionths.is_none_or(|count| count > 1_000_000) {
                faults.add(key, text, "must lie between 0 and 1");
            }
            millionths
        }
        None => Some(0),
    };
    let basis = hedge_basis::terms(key, raw, of, faults);
    if raw.basis.is_some() && basis.is_none() {
        return None;
    }
    Some(HedgeSettings {
        basis,
        holding_ns: raw.holding_s.unwrap_or(0).saturating_mul(1_000 * MS),
        unwind_credit_ppm: credit?,
        band: band?,
        instruments,
        failures_max: raw.failures_max,
        retry_holdoff_ns: raw.retry_holdoff_ms.saturating_mul(MS),
    })
}

fn band(key: &str, raw: &RawHedge, of: &Of<'_>, faults: &mut Faults) -> Option<BandRule> {
    let at = |name: &str| format!("{key}.{name}");
    let of_fixed = [("band", &raw.band), ("return_to", &raw.return_to)];
    let of_derived = [("eta", &raw.eta), ("k_impact", &raw.k_impact), ("quoted", &raw.quoted)];
    let mode = raw.mode.as_deref().unwrap_or("fixed");
    let strangers: &[_] = match mode {
        "fixed" => &of_derived,
        "derived" => &of_fixed,
        other => {
            faults.add(at("mode"), other, "one of fixed, derived");
            return None;
        }
    };
    for (name, value) in strangers {
        if let Some(value) = value {
            faults.add(at(name), value, format!("is not for mode = \"{mode}\": leave it out"));
        }
    }
    let mut given = |name: &str, value: &Option<String>| {
        if value.is_none() {
            faults.add(at(name), "missing", format!("is mandatory with mode = \"{mode}\""));
        }
        value.clone()
    };
    if mode == "fixed" {
        let outer = given("band", &raw.band);
        let inner = given("return_to", &raw.return_to);
        let outer = faults.count(&at("band"), &outer?, NANO, 1);
        let inner = faults.count(&at("return_to"), &inner?, NANO, 0);
        return Some(BandRule::Fixed(Band { outer: Exposure(outer?), inner: Exposure(inner?) }));
    }
    given("eta", &raw.eta);
    given("k_impact", &raw.k_impact);
    let inputs = inputs(key, raw, of, faults)?;
    match inputs.band() {
        Ok(derived) => Some(BandRule::Derived(Box::new(derived))),
        Err(error) => {
            faults.add(at("mode"), mode, error);
            None
        }
    }
}

/// What the derived band of an underlying is solved from, of a file that was validated; `None` where
/// its band is fixed.
pub(super) fn of_underlying(
    raw: &RawConfig,
    table: &InstrumentTable,
    underlying: &str,
) -> Option<HedgeInputs> {
    let tables = raw.underlying.get(underlying)?;
    let hedge = tables.hedge.as_ref()?;
    let is_derived = hedge.mode.as_deref() == Some("derived");
    let told = &mut Faults::default();
    let hard = told.count("hard", &tables.hard, NANO, 1).map(Exposure);
    let of = Of { raw, table, underlying, hard };
    if is_derived { inputs("hedge", hedge, &of, told) } else { None }
}

/// What a derived band is solved from; `None` where `faults` says why.
fn inputs(key: &str, raw: &RawHedge, of: &Of<'_>, faults: &mut Faults) -> Option<HedgeInputs> {
    let at = |name: &str| format!("{key}.{name}");
    let eta = raw.eta.as_deref().map(|text| real(&at("eta"), text, faults));
    let impact = raw.k_impact.as_deref().map(|text| real(&at("k_impact"), text, faults));
    let instrument = quoted(&at("quoted"), raw.quoted.as_deref(), of, faults)?;
    let settings = of.raw.instrument.get(instrument.symbol())?;
    // What is wrong with these two is told where they are read as the instrument's own.
    let mut told = Faults::default();
    let tick = instrument.spec().tick;
    let (_, quote) = quote_parameters("quote", settings.quote.as_ref()?, instrument, &mut told)?;
    let floor = sub_ticks("floor", &settings.volatility.floor, tick, &mut told)?;
    let ContractValue::Linear { nano_underlying_per_lot, .. } = instrument.value() else {
        let allowed = "a spot or linear instrument: another one's size moves with its price";
        faults.add(at("quoted"), instrument.symbol(), allowed);
        return None;
    };
    let per_unit = Real::from_i64(nano_underlying_per_lot) / quote.lot;
    let tick = Real::from_decimal(tick);
    // The config names a unit of the underlying; the model's unit is the instrument's size.
    let unit = per_unit / Real::from_i64(1_000_000_000);
    Some(HedgeInputs {
        quoted: instrument.id(),
        quote,
        nano_per_unit: per_unit.to_f64(),
        sigma_least: Sigma(floor.0),
        eta: eta?? * unit / tick,
        impact: impact?? * unit / tick,
        hard: of.hard?,
    })
}

/// The instrument whose quotes bring an underlying's inventory home.
pub(super) fn quoted<'a>(
    key: &str,
    symbol: Option<&str>,
    of: &Of<'a>,
    faults: &mut Faults,
) -> Option<&'a Instrument> {
    let is_quoted = |instrument: &&Instrument| {
        let underlying = usize::from(instrument.spec().underlying.0);
        let settings = of.raw.instrument.get(instrument.symbol());
        of.table.underlyings.name(underlying) == Some(of.underlying)
            && settings.is_some_and(|settings| settings.quote.is_some())
    };
    let quoted: Vec<_> = of.table.instruments.iter().filter(is_quoted).collect();
    let names: Vec<_> = quoted.iter().map(|instrument| instrument.symbol()).collect();
    let (found, value) = match symbol {
        Some(symbol) => (quoted.iter().find(|i| i.symbol() == symbol).copied(), symbol),
        None if quoted.len() == 1 => (quoted.first().copied(), ""),
        None => (None, "missing"),
    };
    if found.is_none() {
        let allowed = format!("a quoted instrument of {}: {}", of.underlying, names.join(", "));
        faults.add(key, value, allowed);
    }
    found
}
