//! Fair value from one instrument's touch, between ticks.
//!
//! Fed by a trusted [`Touch`]; feeds the quoter and the volatility estimate. Maker thread.

use crate::estimate::blend::BlendSettings;
use crate::estimate::micro_price::MicroPriceTable;
use crate::market::book::Touch;
use crate::units::SubTicks;

/// Which estimate of fair value an instrument is quoted around.
// The table lies in the settings once and is read by reference: a box would only add a jump.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum FairValue {
    /// `(bid + ask) / 2`, exact.
    Mid,
    /// `bid · Q_ask/(Q_bid + Q_ask) + ask · Q_bid/(Q_bid + Q_ask)`: leans to the thinner side
    /// (Stoikov 2018, §1, "weighted mid-price").
    WeightedMid,
    /// The mid and an adjustment by the touch's state (Stoikov 2018, §3), calibrated.
    MicroPrice(MicroPriceTable),
    /// Other books, each over its basis: a lead, or several venues together.
    Blend(BlendSettings),
}

impl FairValue {
    /// The estimate from the touch alone, in sub-ticks, rounded down to 2^-32 tick; of a blend what
    /// stands where no other book is believed.
    #[inline]
    pub fn estimate(&self, touch: &Touch) -> SubTicks {
        match self {
            FairValue::Mid | FairValue::Blend(_) => mid(touch),
            FairValue::WeightedMid => weighted_mid(touch),
            FairValue::MicroPrice(table) => table.estimate(touch),
        }
    }
}

/// The mid price, exact to half a tick.
#[inline]
pub fn mid(touch: &Touch) -> SubTicks {
    SubTicks(touch.mid_half_ticks().saturating_mul(SubTicks::ONE.0 / 2))
}

#[inline]
fn weighted_mid(touch: &Touch) -> SubTicks {
    // bid + spread · Q_bid/(Q_bid + Q_ask), which needs one division and stays inside the touch.
    let lean = lean(touch.spread().0, touch.bid.size.0, touch.ask.size.0);
    lean.map_or_else(
        || mid(touch),
        |lean| SubTicks::from_ticks(touch.bid.price).saturating_add(lean),
    )
}

/// `spread · bid/(bid + ask)`, rounded toward nothing; `None` where nothing is displayed.
#[inline]
fn lean(spread: i64, bid: i64, ask: i64) -> Option<SubTicks> {
    // A division of 128 bits is a call; the spreads and sizes of a market need but 64.
    let narrow = spread.checked_mul(bid).and_then(|lean| lean.checked_mul(SubTicks::ONE.0));
    if let (Some(lean), Some(total)) = (narrow, bid.checked_add(ask)) {
        return (total > 0).then(|| SubTicks(lean / total));
    }
    wide_lean(spread, bid, ask)
}

#[cold]
fn wide_lean(spread: i64, bid: i64, ask: i64) -> Option<SubTicks> {
    let total = i128::from(bid) + i128::from(ask);
    let lean = (i128::from(spread) * i128::from(bid)) << SubTicks::FRACTION_BITS;
    (total > 0).then(|| SubTicks(i64::try_from(lean / total).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::book::Level;
    use crate::units::{Lots, Ticks};

    fn touch(bid: i64, bid_qty: i64, ask: i64, ask_qty: i64) -> Touch {
        Touch {
            bid: Level { price: Ticks(bid), size: Lots(bid_qty) },
            ask: Level { price: Ticks(ask), size: Lots(ask_qty) },
        }
    }

    #[test]
    fn the_mid_of_an_odd_spread_stands_between_two_ticks() {
        let value = FairValue::Mid.estimate(&touch(100, 1, 101, 1));
        assert_eq!(value.0, 100 * SubTicks::ONE.0 + SubTicks::ONE.0 / 2);
    }

    #[test]
    fn the_weighted_mid_reproduces_the_reference_case() {
        // reference/quote_models.json: 61685.99 × 1.25869 / 61686.00 × 2.44807 → 61685.993395660…
        let value = FairValue::WeightedMid.estimate(&touch(6_168_599, 125_869, 6_168_600, 244_807));
        let offset = value.0 - 6_168_599 * SubTicks::ONE.0;
        let expected = (0.339_566_090_062_480_44 * (1u64 << 32) as f64) as i64;
        assert!((offset - expected).abs() <= 1, "{offset} {expected}");
    }

    #[test]
    fn the_narrow_and_the_wide_division_lean_alike() {
        // The same shares, once of lots that fit 64 bits and once of lots that do not.
        for (spread, bid, ask) in [(3, 5, 11), (40, 50_000, 40_000), (1, 1, 1), (7, 0, 9)] {
            let scale = 1 << 40;
            assert_eq!(lean(spread, bid, ask), lean(spread, bid * scale, ask * scale));
        }
        assert_eq!(lean(5, 0, 0), None);
        assert_eq!(lean(5, -2, 1), None);
        assert_eq!(lean(i64::MAX, i64::MAX, i64::MIN + 1), None);
    }

    #[test]
    fn the_weighted_mid_stays_inside_the_touch_at_extreme_sizes() {
        let value = FairValue::WeightedMid.estimate(&touch(100, i64::MAX, 110, 1));
        assert!(value.floor().0 >= 100 && value.ceil().0 <= 110);
    }
}
