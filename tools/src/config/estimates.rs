//! What a config says of estimates: kind of volatility, markouts that widen, holdings that skew.
//!
//! Fed by the file's tables; feeds [`super::maker`]. Every fault is told with key, value and what is
//! allowed.

use super::faults::Faults;
use super::file::{RawHoldings, RawMarkout, RawVolatility};
use super::maker::sub_ticks;
use ballast_engine::estimate::markout::{HORIZONS_NS, Widening};
use ballast_engine::estimate::volatility::VolatilityKind;
use ballast_engine::instrument::{ContractValue, Instrument};
use ballast_engine::quote::holdings::HoldingsSkew;
use ballast_engine::units::{Decimal, Lots, SubTicks};

/// How what a venue holds skews its quotes, if at all; `key` is that of its table.
pub(super) fn holdings(
    key: &str,
    raw: Option<&RawHoldings>,
    instrument: &Instrument,
    faults: &mut Faults,
) -> Option<Option<HoldingsSkew>> {
    let Some(raw) = raw else { return Some(None) };
    if matches!(instrument.value(), ContractValue::Option { .. }) {
        faults.add(key, "a table", "not for an option: `delta_skew` and `vega_skew` skew those");
        return None;
    }
    let (tick, lot) = (instrument.spec().tick, instrument.spec().lot);
    let target = faults.count(&format!("{key}.target"), &raw.target, lot, i64::MIN);
    let full_at = faults.count(&format!("{key}.full_at"), &raw.full_at, lot, 1);
    let key = format!("{key}.skew_max");
    let skew_max = sub_ticks(&key, &raw.skew_max, tick, faults);
    if skew_max.is_some_and(|skew| skew.0 < 0) {
        faults.add(key, &raw.skew_max, "must not be negative");
    }
    let (target, full_at) = (Lots(target?), Lots(full_at?));
    Some(Some(HoldingsSkew { target, full_at, skew_max: skew_max? }))
}

/// What the volatility averages; `key` is that of its table.
pub(super) fn volatility_kind(
    key: &str,
    raw: &RawVolatility,
    faults: &mut Faults,
) -> Option<VolatilityKind> {
    let coarse_key = format!("{key}.coarse_shift");
    match (raw.kind.as_deref().unwrap_or("ewma"), raw.coarse_shift) {
        ("ewma", None) => Some(VolatilityKind::Ewma),
        ("bipower", None) => Some(VolatilityKind::Bipower),
        ("two_scale", Some(coarse_shift @ 1..=6)) => {
            Some(VolatilityKind::TwoScale { coarse_shift })
        }
        ("two_scale", found) => {
            let found = found.map_or("missing".to_owned(), |shift| shift.to_string());
            faults.add(coarse_key, found, "1 to 6: the coarse scale is 2^this intervals");
            None
        }
        ("ewma" | "bipower", Some(shift)) => {
            faults.add(coarse_key, shift, "only with kind = \"two_scale\"");
            None
        }
        (other, _) => {
            faults.add(format!("{key}.kind"), other, "one of ewma, bipower, two_scale");
            None
        }
    }
}

/// How markouts widen; `cap` comes as sub-ticks.
pub(super) fn markout(
    key: &str,
    raw: &RawMarkout,
    cap: Option<SubTicks>,
    faults: &mut Faults,
) -> Option<Widening> {
    let wanted_ns = raw.horizon_ms.checked_mul(1_000_000);
    let horizon = HORIZONS_NS.iter().position(|ns| Some(*ns) == wanted_ns);
    if horizon.is_none() {
        faults.add(format!("{key}.horizon_ms"), raw.horizon_ms, "one of 100, 1000, 10000, 60000");
    }
    let share = raw.share.parse::<Decimal>().ok().and_then(|share| {
        let permille = 1000i64.checked_mul(share.mantissa)?;
        let unit = 10i64.checked_pow(share.scale.into())?;
        (permille % unit == 0).then_some(permille / unit)
    });
    let share = share.filter(|share| (0..=1000).contains(share));
    if share.is_none() {
        let allowed = "0 to 1, of the mean adverse move, in thousandths";
        faults.add(format!("{key}.share"), &raw.share, allowed);
    }
    if cap.is_some_and(|cap| cap.0 < 0) {
        faults.add(format!("{key}.cap"), &raw.cap, "must not be negative");
    }
    if raw.weight_shift > 20 {
        faults.add(format!("{key}.weight_shift"), raw.weight_shift, "must be at most 20");
    }
    Some(Widening {
        horizon: horizon?,
        share_permille: u32::try_from(share?).ok()?,
        cap: cap?,
        weight_shift: raw.weight_shift,
    })
}
