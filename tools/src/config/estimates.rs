//! What a config says of estimates: kind of volatility, markouts that widen.
//!
//! Fed by the file's tables; feeds [`super::maker`]. Every fault is told with key, value and what is
//! allowed.

use super::faults::Faults;
use super::file::{RawMarkout, RawVolatility};
use ballast_engine::estimate::markout::{HORIZONS_NS, Widening};
use ballast_engine::estimate::volatility::VolatilityKind;
use ballast_engine::units::{Decimal, SubTicks};

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
