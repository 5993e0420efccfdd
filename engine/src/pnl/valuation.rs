//! What positions, trades and fees are worth, as whole units of 1e-9 of the settlement currency.
//!
//! Fed by the ledger; pure functions, any thread. Each names its rounding; `None` says that a number
//! does not fit or a price means nothing (an inverse contract at zero or below). Absent: state.
//!
//! Linear and spot: a position is worth `lots × mark × value of a tick`, a buy pays that at its price.
//! Inverse: a long of N quote currency is worth `−N/mark` coin, a buy receives `N/price` coin; the sum
//! is the contract's `N × (1/entry − 1/mark)`, without a cost basis to keep.

use crate::instrument::ContractValue;
use crate::units::{FeeRate, Lots, Side, Ticks};

/// A price as a count of half ticks: every mid of two prices on the grid is whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct HalfTicks(pub i64);

impl HalfTicks {
    /// Half ticks in a tick.
    const PER_TICK: i64 = 2;

    /// The mid of a bid and an ask; stops at the integer's edge.
    pub const fn mid(bid: Ticks, ask: Ticks) -> HalfTicks {
        HalfTicks(bid.0.saturating_add(ask.0))
    }

    /// A price on the grid, or `None` beyond half the integer's range.
    pub fn from_ticks(price: Ticks) -> Option<HalfTicks> {
        price.0.checked_mul(Self::PER_TICK).map(HalfTicks)
    }
}

/// 1e-9 units in one unit of a currency, or of a fee rate.
const NANO: i128 = 1_000_000_000;

/// `numerator / denominator`, to the nearest whole number, a half upwards. Denominator > 0.
fn div_nearest(numerator: i128, denominator: i128) -> Option<i128> {
    let doubled = numerator.checked_mul(2)?.checked_add(denominator)?;
    doubled.checked_div_euclid(denominator.checked_mul(2)?)
}

/// `numerator / denominator`, to the whole number at or above. Denominator > 0.
fn div_ceil(numerator: i128, denominator: i128) -> Option<i128> {
    numerator.checked_neg()?.checked_div_euclid(denominator)?.checked_neg()
}

fn product(factors: [i128; 3]) -> Option<i128> {
    let [a, b, c] = factors;
    a.checked_mul(b)?.checked_mul(c)
}

/// An inverse contract's price as 1e-9 quote currency × 2, > 0, or `None`.
fn inverse_price(mark: HalfTicks, nano_quote_per_tick: i64) -> Option<i128> {
    let price = i128::from(mark.0).checked_mul(i128::from(nano_quote_per_tick))?;
    (price > 0).then_some(price)
}

/// What `lots` are worth at `mark`, rounded down: always the same number for the same position and
/// mark, so that differences of it telescope.
pub fn position_value(contract: ContractValue, lots: Lots, mark: HalfTicks) -> Option<i128> {
    match contract {
        ContractValue::Linear { nano_per_tick_lot, .. }
        | ContractValue::Option { nano_per_tick_lot, .. } => {
            // A position whose tick is worth an i64 needs one product more, which cannot overflow;
            // shifting rounds down as dividing by two does.
            if let Some(per_tick) = lots.0.checked_mul(nano_per_tick_lot) {
                return Some((i128::from(per_tick) * i128::from(mark.0)) >> 1);
            }
            let doubled = product([lots.0.into(), mark.0.into(), nano_per_tick_lot.into()])?;
            Some(doubled.div_euclid(2))
        }
        ContractValue::Inverse { nano_quote_per_lot, nano_quote_per_tick } => {
            let price = inverse_price(mark, nano_quote_per_tick)?;
            // Nothing is worth nothing: most inverse contracts of a config are not held.
            if lots.0 == 0 {
                return Some(0);
            }
            let nominal = product([lots.0.into(), nano_quote_per_lot.into(), 2 * NANO])?;
            nominal.checked_neg()?.checked_div_euclid(price)
        }
    }
}

/// What a trade does to cash before fees: exact for spot and linear, to the nearest unit for inverse.
pub fn trade_cash(contract: ContractValue, side: Side, price: Ticks, size: Lots) -> Option<i128> {
    let signed = i128::from(size.0).checked_mul(side.sign().into())?;
    match contract {
        ContractValue::Linear { nano_per_tick_lot, .. }
        | ContractValue::Option { nano_per_tick_lot, .. } => {
            product([signed, price.0.into(), nano_per_tick_lot.into()])?.checked_neg()
        }
        ContractValue::Inverse { nano_quote_per_lot, nano_quote_per_tick } => {
            let price = inverse_price(HalfTicks::from_ticks(price)?, nano_quote_per_tick)?;
            div_nearest(product([signed, nano_quote_per_lot.into(), 2 * NANO])?, price)
        }
    }
}

/// What a trade at `price` is better than one at `mid`, to the nearest unit; negative where it is
/// worse. The spread captured by a quote, or the cost of a hedge.
pub fn edge(
    contract: ContractValue,
    side: Side,
    price: Ticks,
    size: Lots,
    mid: HalfTicks,
) -> Option<i128> {
    let signed = i128::from(size.0).checked_mul(side.sign().into())?;
    let half_price = HalfTicks::from_ticks(price)?;
    let better = i128::from(mid.0) - i128::from(half_price.0);
    match contract {
        ContractValue::Linear { nano_per_tick_lot, .. }
        | ContractValue::Option { nano_per_tick_lot, .. } => {
            div_nearest(product([signed, better, nano_per_tick_lot.into()])?, 2)
        }
        ContractValue::Inverse { nano_quote_per_lot, nano_quote_per_tick } => {
            // N(1/price − 1/mid) as one fraction, so that it is rounded once.
            let price = inverse_price(half_price, nano_quote_per_tick)?;
            inverse_price(mid, nano_quote_per_tick)?;
            let nominal = product([signed, nano_quote_per_lot.into(), 2 * NANO])?;
            div_nearest(nominal.checked_mul(better)?, price.checked_mul(mid.0.into())?)
        }
    }
}

/// The fee on a trade, rounded up: against us, also where it is a rebate (negative). It is taken on
/// the absolute value, so that a negative price pays a fee too.
pub fn fee(contract: ContractValue, price: Ticks, size: Lots, rate: FeeRate) -> Option<i128> {
    match contract {
        ContractValue::Linear { nano_per_tick_lot, .. }
        | ContractValue::Option { nano_per_tick_lot, .. } => {
            let value = product([price.0.into(), size.0.into(), nano_per_tick_lot.into()])?;
            div_ceil(value.checked_abs()?.checked_mul(rate.0.into())?, NANO)
        }
        ContractValue::Inverse { nano_quote_per_lot, nano_quote_per_tick } => {
            let price = inverse_price(HalfTicks::from_ticks(price)?, nano_quote_per_tick)?;
            let nominal = product([size.0.into(), nano_quote_per_lot.into(), rate.0.into()])?;
            div_ceil(nominal.checked_mul(2)?, price)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0.1 tick, one contract of 100 quote currency: BTC coin-margined.
    const COIN: ContractValue = ContractValue::Inverse {
        nano_quote_per_lot: 100_000_000_000,
        nano_quote_per_tick: 100_000_000,
    };
    const LINEAR: ContractValue =
        ContractValue::Linear { nano_per_tick_lot: 100, nano_underlying_per_lot: 10_000 };

    fn coin_pnl(lots: i64, entry: i64, mark: i64) -> i128 {
        let mark = HalfTicks::from_ticks(Ticks(mark)).unwrap();
        trade_cash(COIN, Side::Buy, Ticks(entry), Lots(lots)).unwrap()
            + position_value(COIN, Lots(lots), mark).unwrap()
    }

    #[test]
    fn inverse_pnl_is_the_reference_s_to_one_unit() {
        // reference/options.json, inverse_future: N = 1,000,000 and 100 dollars.
        assert!((coin_pnl(10_000, 616_860, 600_000) - -455_532_860).abs() <= 1);
        assert!((coin_pnl(1, 616_860, 616_870) - 26).abs() <= 1);
    }

    #[test]
    fn a_coin_fee_is_a_share_of_the_coin_value_rounded_against_us() {
        // 100 dollars at 60,000.0 are 0.001666666… coin; 5 bps of it are 833.33 nano coin.
        assert_eq!(fee(COIN, Ticks(600_000), Lots(1), FeeRate(500_000)), Some(834));
        assert_eq!(fee(COIN, Ticks(600_000), Lots(1), FeeRate(-500_000)), Some(-833));
    }

    #[test]
    fn a_linear_fee_rounds_against_us_at_any_sign_of_price() {
        // 7 ticks × 3 lots × 100 = 2,100 nano; 1 bp of it is 0.21 nano.
        assert_eq!(fee(LINEAR, Ticks(7), Lots(3), FeeRate(100_000)), Some(1));
        assert_eq!(fee(LINEAR, Ticks(-7), Lots(3), FeeRate(100_000)), Some(1));
        assert_eq!(fee(LINEAR, Ticks(7), Lots(3), FeeRate(-100_000)), Some(0));
    }

    #[test]
    fn buying_below_the_mid_and_selling_above_it_both_earn() {
        let mid = HalfTicks::mid(Ticks(100), Ticks(101));
        assert_eq!(edge(LINEAR, Side::Buy, Ticks(100), Lots(2), mid), Some(100));
        assert_eq!(edge(LINEAR, Side::Sell, Ticks(101), Lots(2), mid), Some(100));
        assert_eq!(edge(LINEAR, Side::Buy, Ticks(101), Lots(2), mid), Some(-100));
        let mid = HalfTicks::mid(Ticks(600_000), Ticks(600_010));
        assert!(edge(COIN, Side::Buy, Ticks(600_000), Lots(100), mid).unwrap() > 0);
        assert!(edge(COIN, Side::Sell, Ticks(600_010), Lots(100), mid).unwrap() > 0);
    }

    #[test]
    fn an_inverse_contract_has_no_value_at_zero_or_below() {
        for price in [0, -1, i64::MIN] {
            assert_eq!(position_value(COIN, Lots(1), HalfTicks(price)), None);
            assert_eq!(trade_cash(COIN, Side::Buy, Ticks(price), Lots(1)), None);
            assert_eq!(fee(COIN, Ticks(price), Lots(1), FeeRate(1)), None);
        }
        assert_eq!(edge(COIN, Side::Buy, Ticks(1), Lots(1), HalfTicks(0)), None);
    }

    #[test]
    fn what_does_not_fit_is_none() {
        let huge =
            ContractValue::Linear { nano_per_tick_lot: i64::MAX, nano_underlying_per_lot: 1 };
        assert_eq!(position_value(huge, Lots(i64::MAX), HalfTicks(i64::MAX)), None);
        assert_eq!(trade_cash(huge, Side::Sell, Ticks(i64::MIN), Lots(i64::MAX)), None);
        assert_eq!(HalfTicks::from_ticks(Ticks(i64::MIN)), None);
    }
}
