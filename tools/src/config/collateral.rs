//! `[collateral]`: what venues ask, what collateral counts for, what may be stressed away.
//!
//! Fed by TOML; feeds the maker with its limits and the assessor with its rules. Cold path. The whole
//! table may be left out: then nothing of it is watched. Where it stands, every limit is mandatory, and
//! every venue that something trades at is in it.

use super::faults::Faults;
use super::file::RawConfig;
use super::instruments::InstrumentTable;
use ballast_engine::calibration::options::scenario::{Shock, grid};
use ballast_engine::calibration::stress::{AccountRules, HaircutRules, Scenario, VenueRules};
use ballast_engine::risk::collateral::CollateralLimits;
use ballast_engine::units::Decimal;
use serde::Deserialize;
use std::collections::BTreeMap;

const NANO: Decimal = Decimal { mantissa: 1, scale: 9 };
const PPM: Decimal = Decimal { mantissa: 1, scale: 6 };
const SECOND: u64 = 1_000_000_000;

/// `[collateral]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCollateral {
    /// Distance of assessments.
    pub every_s: u64,
    /// An assessment older than this is none.
    pub age_max_s: u64,
    /// Beyond this part of the collateral in use, sizes shrink.
    pub utilisation_soft: String,
    /// At this part, only what takes positions off is quoted.
    pub utilisation_hard: String,
    /// The same where a smaller move of all prices liquidates.
    pub liquidation_distance_min: String,
    /// The same where the worst scenario loses more, in the reporting currency.
    pub stressed_loss_max: String,
    /// What collateral may fall by while it is sold.
    pub haircut: RawHaircut,
    /// Everything moving at once.
    pub scenarios: Vec<RawScenario>,
    /// By venue.
    pub venues: BTreeMap<String, RawMargin>,
}

/// `haircut = { … }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawHaircut {
    /// Days until it is sold.
    pub days: String,
    /// Deviations of that time.
    pub deviations: String,
    /// Least haircut of what is not the reporting currency.
    pub floor: String,
}

/// `[[collateral.scenarios]]`; relative moves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawScenario {
    /// For people.
    pub name: String,
    /// Of every underlying that `prices` does not name.
    pub price: String,
    /// Of single underlyings, by name.
    #[serde(default)]
    pub prices: BTreeMap<String, String>,
    /// Of every volatility.
    pub volatility: String,
    /// Of futures and perpetuals against spot.
    pub basis: String,
    /// Of collateral that is not the reporting currency.
    pub collateral: String,
}

/// `[collateral.venues.NAME]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawMargin {
    /// Margin of linear contracts, as a part of their value.
    pub linear_rate: String,
    /// Margin of inverse contracts, likewise.
    pub inverse_rate: String,
    /// Relative moves of price that a book with options is margined by.
    pub prices: Vec<String>,
    /// Relative moves of volatility, with each of them.
    pub volatilities: Vec<String>,
    /// Moves beyond the grid that count in part; left out: none.
    pub extremes: Option<RawExtremes>,
}

/// `extremes = { … }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawExtremes {
    /// Relative moves of price, with volatility as it is.
    pub prices: Vec<String>,
    /// Part of the loss there that is asked for.
    pub weight: String,
}

/// The maker's limits; `None` where the table is left out or `faults` says why.
pub(super) fn limits(
    raw: &RawConfig,
    table: &InstrumentTable,
    faults: &mut Faults,
) -> Option<CollateralLimits> {
    let collateral = raw.collateral.as_ref()?;
    // What is wrong with the rest of it is told as well.
    rules(raw, table, faults);
    let key = |name: &str| format!("collateral.{name}");
    let mut ppm = |name: &str, text: &str| {
        let count = faults.count(&key(name), text, PPM, 1)?;
        let count = u32::try_from(count).ok();
        if count.is_none() {
            faults.add(key(name), text, "must be at most 4294");
        }
        count
    };
    let soft = ppm("utilisation_soft", &collateral.utilisation_soft);
    let hard = ppm("utilisation_hard", &collateral.utilisation_hard);
    let distance = ppm("liquidation_distance_min", &collateral.liquidation_distance_min);
    let loss = faults.count(&key("stressed_loss_max"), &collateral.stressed_loss_max, NANO, 1);
    if collateral.every_s == 0 || collateral.age_max_s < collateral.every_s {
        let value = format!("{} s, {} s", collateral.every_s, collateral.age_max_s);
        faults.add(key("age_max_s"), value, "0 < every_s <= age_max_s");
    }
    let limits = CollateralLimits {
        soft_ppm: soft?,
        hard_ppm: hard?,
        distance_min_ppm: distance?,
        stressed_loss_max: loss?,
        age_max_ns: collateral.age_max_s.saturating_mul(SECOND),
    };
    if let Some(fault) = limits.fault() {
        faults.add("collateral", "limits", fault);
        return None;
    }
    Some(limits)
}

/// The assessor's rules; `None` where the table is left out or `faults` says why.
pub fn rules(
    raw: &RawConfig,
    table: &InstrumentTable,
    faults: &mut Faults,
) -> Option<AccountRules> {
    let collateral = raw.collateral.as_ref()?;
    let haircut = haircut(&collateral.haircut, faults);
    if collateral.scenarios.is_empty() {
        faults.add(
            "collateral.scenarios",
            "[]",
            "at least one: the stressed loss is limited by them",
        );
    }
    let mut names: Vec<&str> = collateral.scenarios.iter().map(|raw| raw.name.as_str()).collect();
    names.sort_unstable();
    for twice in names.windows(2).filter(|pair| pair[0] == pair[1]) {
        faults.add("collateral.scenarios.name", twice[0], "stands in the file twice");
    }
    let scenarios = collateral.scenarios.iter().map(|raw| scenario(raw, table, faults));
    let scenarios = scenarios.collect::<Vec<_>>();
    for name in collateral.venues.keys().filter(|name| table.venues.find(name).is_none()) {
        faults.add(format!("collateral.venues.{name}"), name, "nothing trades at such a venue");
    }
    let venues = table.venues.iter().map(|name| venue(collateral, name, faults));
    let venues = venues.collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>();
    let scenarios = scenarios.into_iter().collect::<Option<Vec<_>>>()?;
    Some(AccountRules { venues: venues?, haircut: haircut?, scenarios })
}

fn haircut(raw: &RawHaircut, faults: &mut Faults) -> Option<HaircutRules> {
    let at = |name: &str| format!("collateral.haircut.{name}");
    let days = number(&at("days"), &raw.days, 0.0, 365.0, faults);
    let deviations = number(&at("deviations"), &raw.deviations, 0.0, 20.0, faults);
    let floor = number(&at("floor"), &raw.floor, 0.0, 1.0, faults);
    Some(HaircutRules { days: days?, deviations: deviations?, floor: floor? })
}

fn scenario(raw: &RawScenario, table: &InstrumentTable, faults: &mut Faults) -> Option<Scenario> {
    let key = |name: &str| format!("collateral.scenarios.{}.{name}", raw.name);
    let price = number(&key("price"), &raw.price, -0.99, 10.0, faults);
    let volatility = number(&key("volatility"), &raw.volatility, -0.99, 10.0, faults);
    let basis = number(&key("basis"), &raw.basis, -1.0, 1.0, faults);
    let collateral = number(&key("collateral"), &raw.collateral, -1.0, 10.0, faults);
    let mut prices = vec![price?; table.underlyings.len()];
    for (name, text) in &raw.prices {
        let key = key(&format!("prices.{name}"));
        let own = number(&key, text, -0.99, 10.0, faults);
        match table.underlyings.find(name).and_then(|place| prices.get_mut(place)) {
            Some(price) => *price = own?,
            None => faults.add(key, name, "no instrument is on such an underlying"),
        }
    }
    let (volatility, basis, collateral) = (volatility?, basis?, collateral?);
    Some(Scenario { name: raw.name.clone(), prices, volatility, basis, collateral })
}

fn venue(raw: &RawCollateral, name: &str, faults: &mut Faults) -> Option<VenueRules> {
    let table = format!("collateral.venues.{name}");
    let Some(margin) = raw.venues.get(name) else {
        faults.add(table, "missing", "something trades there: say what it asks as margin");
        return None;
    };
    let key = |name: &str| format!("{table}.{name}");
    let mut moves = |name: &str, texts: &[String]| {
        let moves = texts.iter().map(|text| number(&key(name), text, -0.99, 10.0, faults));
        let moves = moves.collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>();
        if texts.is_empty() {
            faults.add(key(name), "[]", "at least one move: option books are margined by the grid");
        }
        moves
    };
    let (prices, volatilities) =
        (moves("prices", &margin.prices), moves("volatilities", &margin.volatilities));
    let extremes = extremes(margin.extremes.as_ref(), &key("extremes"), faults);
    let linear_rate = number(&key("linear_rate"), &margin.linear_rate, 0.0, 1.0, faults);
    let inverse_rate = number(&key("inverse_rate"), &margin.inverse_rate, 0.0, 1.0, faults);
    Some(VenueRules {
        linear_rate: linear_rate?,
        inverse_rate: inverse_rate?,
        grid: grid(&prices?, &volatilities?).into_iter().chain(extremes?).collect(),
    })
}

fn extremes(raw: Option<&RawExtremes>, key: &str, faults: &mut Faults) -> Option<Vec<Shock>> {
    let Some(raw) = raw else { return Some(Vec::new()) };
    let weight = number(&format!("{key}.weight"), &raw.weight, 0.0, 1.0, faults);
    let key = format!("{key}.prices");
    let prices = raw.prices.iter().map(|text| number(&key, text, -0.99, 10.0, faults));
    let prices = prices.collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>()?;
    let weight = weight?;
    Some(prices.into_iter().map(|price| Shock { weight, ..Shock::of(price, 0.0) }).collect())
}

fn number(key: &str, text: &str, least: f64, most: f64, faults: &mut Faults) -> Option<f64> {
    let number = text.parse::<f64>().ok().filter(|number| (least..=most).contains(number));
    if number.is_none() {
        faults.add(key, format!("{text:?}"), format!("a number from {least} to {most}"));
    }
    number
}
