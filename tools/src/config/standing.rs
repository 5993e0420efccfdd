//! `[instrument.SYMBOL.standing]`: what holding an instrument costs as time passes.
//!
//! Fed by the file's tables; feeds [`super::maker`]. Every fault is told with key, value and what is
//! allowed; two keys that mean nothing without each other are asked for together.

use super::faults::Faults;
use super::file::RawStanding;
use super::instruments::FEE_STEP;
use ballast_engine::instrument::{Instrument, InstrumentKind};
use ballast_engine::pnl::standing::{DAY_NS, FundingTerms, StandingTerms};
use ballast_engine::units::{Decimal, FeeRate, Lots};

const HOUR_NS: u64 = 3_600_000_000_000;
const MILLIONTH: Decimal = Decimal { mantissa: 1, scale: 6 };
/// No rate is beyond a tenth of the value.
const RATE_MAX: i64 = 100_000_000;

/// The terms; `None` where `faults` says why.
pub(super) fn terms(
    key: &str,
    raw: &RawStanding,
    instrument: &Instrument,
    faults: &mut Faults,
) -> Option<StandingTerms> {
    let at = |name: &str| format!("{key}.{name}");
    let pairs = [
        (
            "funding_every_h",
            raw.funding_every_h.is_some(),
            "funding_bps",
            raw.funding_bps.is_some(),
        ),
        ("borrowed", raw.borrowed.is_some(), "borrow_bps_day", raw.borrow_bps_day.is_some()),
        ("margin", raw.margin.is_some(), "capital_bps_day", raw.capital_bps_day.is_some()),
    ];
    for (one, has_one, other, has_other) in pairs {
        if has_one != has_other {
            let (missing, given) = if has_one { (other, one) } else { (one, other) };
            faults.add(at(missing), "missing", format!("is mandatory beside {given}"));
        }
    }
    let funding = funding(key, raw, instrument, faults);
    let lot = instrument.spec().lot;
    let borrowed = raw.borrowed.as_deref().map(|text| faults.count(&at("borrowed"), text, lot, 0));
    let borrow = rate(&at("borrow_bps_day"), raw.borrow_bps_day.as_deref(), 0, faults);
    let margin = raw.margin.as_deref().map(|text| share(&at("margin"), text, faults));
    let capital = rate(&at("capital_bps_day"), raw.capital_bps_day.as_deref(), 0, faults);
    // Rounded up: capital is not charged less than it costs.
    let margin = margin.unwrap_or(Some(0))?;
    let tied_up = i128::from(capital?.0) * i128::from(margin);
    let per_day = -(-tied_up).div_euclid(1_000_000);
    Some(StandingTerms {
        funding: funding?,
        borrowed: Lots(borrowed.unwrap_or(Some(0))?),
        borrow_per_day: borrow?,
        capital_per_day: FeeRate(i64::try_from(per_day).ok()?),
        margin_ppm: u32::try_from(margin).ok()?,
    })
}

fn funding(
    key: &str,
    raw: &RawStanding,
    instrument: &Instrument,
    faults: &mut Faults,
) -> Option<Option<FundingTerms>> {
    let at = |name: &str| format!("{key}.{name}");
    let rate = rate(&at("funding_bps"), raw.funding_bps.as_deref(), -RATE_MAX, faults);
    let Some(hours) = raw.funding_every_h else { return Some(None) };
    let is_perpetual = matches!(
        instrument.spec().kind,
        InstrumentKind::LinearPerpetual | InstrumentKind::InversePerpetual
    );
    if !is_perpetual {
        faults.add(at("funding_every_h"), hours, "only a perpetual pays funding");
        return None;
    }
    let every_ns = hours.saturating_mul(HOUR_NS);
    if every_ns == 0 || !DAY_NS.is_multiple_of(every_ns) {
        faults.add(at("funding_every_h"), hours, "one of 1, 2, 3, 4, 6, 8, 12, 24");
        return None;
    }
    Some(Some(FundingTerms { every_ns, rate: rate? }))
}

/// Basis points as a share of the value; none are nothing.
fn rate(key: &str, text: Option<&str>, least: i64, faults: &mut Faults) -> Option<FeeRate> {
    let Some(text) = text else { return Some(FeeRate(0)) };
    let count = faults.count(key, text, FEE_STEP, least)?;
    if count > RATE_MAX {
        faults.add(key, text, "must be at most 1000 basis points");
        return None;
    }
    Some(FeeRate(count))
}

/// Millionths between 0 and 1.
fn share(key: &str, text: &str, faults: &mut Faults) -> Option<i64> {
    let count = faults.count(key, text, MILLIONTH, 0)?;
    if count > 1_000_000 {
        faults.add(key, text, "must lie between 0 and 1");
        return None;
    }
    Some(count)
}
