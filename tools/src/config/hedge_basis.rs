//! `[underlying.NAME.hedge.basis]`: hedges by how instruments move, and what the risk that they leave costs.
//!
//! Fed by TOML; feeds the maker with its terms, and whoever estimates the ratios with what is believed.
//! Cold path. May be left out: then a contract hedges what it says, one for one, and basis risk is free.

use super::faults::Faults;
use super::file::RawHedge;
use super::hedging::{Of, quoted};
use super::portfolio::{Timing, timing};
use ballast_engine::calibration::hedge_ratios::Belief;
use ballast_engine::instrument::ContractValue;
use ballast_engine::inventory::hedge_mix::{BasisTerms, LEGS_MAX};
use ballast_engine::units::Decimal;
use serde::Deserialize;

const SECOND: u64 = 1_000_000_000;
/// Parts of a million.
const PPM: Decimal = Decimal { mantissa: 1, scale: 6 };
const PICO: Decimal = Decimal { mantissa: 1, scale: 12 };
/// 1e-9 of a value, in basis points.
const PPB_IN_BPS: Decimal = Decimal { mantissa: 1, scale: 5 };
/// What ratios may be believed to add up to at all, in parts of a million.
const RATIO_LEAST: i64 = 50_000;
const RATIO_MOST: i64 = 5_000_000;
const ONE: i64 = 1_000_000;

/// `[underlying.NAME.hedge.basis]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawBasis {
    /// The quoted instrument that the others are held against, where several are quoted.
    pub reference: Option<String>,
    /// Distance of the mids that changes are taken between.
    pub interval_ms: u64,
    /// What an estimate rests on.
    pub window_s: u64,
    /// Distance of estimates.
    pub every_s: u64,
    /// Fewer changes make none.
    pub returns_min: usize,
    /// An estimate that is older is none.
    pub age_max_s: u64,
    /// Per unit of the quote currency.
    pub risk_aversion: String,
    /// Ratios that add up to less are not believed.
    pub ratio_min: String,
    /// Nor those that add up to more.
    pub ratio_max: String,
    /// What an instrument without an estimate is taken to leave, basis points for each root of a second;
    /// or `refuse`: it is not hedged with.
    pub unknown: String,
    /// Most instruments that hedge together.
    pub legs_max: u32,
}

impl RawBasis {
    /// Which estimates are believed; `None` of a table that was not validated.
    pub fn belief(&self) -> Option<Belief> {
        let number = |text: &String| text.parse::<f64>().ok();
        Some(Belief {
            ratios: [number(&self.ratio_min)?, number(&self.ratio_max)?],
            legs_max: self.legs_max,
            changes_min: self.returns_min,
        })
    }
}

/// The maker's terms; `None` where the table is left out or `faults` says why.
pub(super) fn terms(
    key: &str,
    hedge: &RawHedge,
    of: &Of<'_>,
    faults: &mut Faults,
) -> Option<BasisTerms> {
    let raw = hedge.basis.as_ref()?;
    let key = format!("{key}.basis");
    let at = |name: &str| format!("{key}.{name}");
    let clock = Timing {
        interval_ms: raw.interval_ms,
        window_s: raw.window_s,
        every_s: raw.every_s,
        returns_min: raw.returns_min,
    };
    timing(&key, &clock, faults);
    if raw.age_max_s < raw.every_s {
        let allowed = format!("at least every_s, {}: else none is known between two", raw.every_s);
        faults.add(at("age_max_s"), raw.age_max_s, allowed);
    }
    let places = u32::try_from(LEGS_MAX).unwrap_or(u32::MAX);
    if !(1..=places).contains(&raw.legs_max) {
        faults.add(at("legs_max"), raw.legs_max, format!("1 to {places}"));
    }
    if hedge.instruments.len() > LEGS_MAX {
        let allowed = format!("at most {LEGS_MAX} hedge instruments have ratios");
        faults.add(&key, format!("{} instruments", hedge.instruments.len()), allowed);
    }
    if hedge.holding_s.is_none_or(|seconds| seconds == 0) {
        let allowed = "holding_s of the hedge says for how long basis risk is borne: name it";
        faults.add(&key, "holding_s missing", allowed);
    }
    ratios(&key, raw, faults);
    let aversion = faults.count(&at("risk_aversion"), &raw.risk_aversion, PICO, 0);
    let unknown = unknown(&at("unknown"), &raw.unknown, faults);
    let instrument = quoted(&at("reference"), raw.reference.as_deref(), of, faults)?;
    if !matches!(instrument.value(), ContractValue::Linear { .. }) {
        let allowed = "a spot or linear instrument: another one's size moves with its price";
        faults.add(at("reference"), instrument.symbol(), allowed);
    }
    Some(BasisTerms {
        reference: instrument.id(),
        age_max_ns: raw.age_max_s.saturating_mul(SECOND),
        aversion: u64::try_from(aversion?).ok()?,
        unknown: unknown?,
    })
}

fn ratios(key: &str, raw: &RawBasis, faults: &mut Faults) {
    let mut within = |name: &str, text: &str, least: i64, most: i64| {
        let key = format!("{key}.{name}");
        let told = faults.count(&key, text, PPM, 0);
        if told.is_some_and(|told| !(least..=most).contains(&told)) {
            let (least, most) = (Decimal::text_of(least, PPM), Decimal::text_of(most, PPM));
            faults.add(key, text, format!("must lie between {least} and {most}"));
        }
    };
    // What a contract says must be believed, for it is what is done without an estimate.
    within("ratio_min", &raw.ratio_min, RATIO_LEAST, ONE);
    within("ratio_max", &raw.ratio_max, ONE, RATIO_MOST);
}

/// What an instrument without an estimate leaves; `Some(None)`: it is not hedged with.
fn unknown(key: &str, text: &str, faults: &mut Faults) -> Option<Option<u32>> {
    if text == "refuse" {
        return Some(None);
    }
    let told = text.parse::<Decimal>().ok().and_then(|bps| bps.count_of(PPB_IN_BPS).ok());
    let left = told.and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
    if left.is_none() {
        let allowed = "refuse, or basis points for each root of a second, such as 0.3";
        faults.add(key, format!("{text:?}"), allowed);
    }
    left.map(Some)
}
