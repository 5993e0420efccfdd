//! What a position cost and since when it is held, averaged, from the moment it was last flat.
//!
//! Fed by the maker with every fill; feeds the exit plan (gain and loss) and the age limit. Maker
//! thread: a fill is a few multiplies, a question one division. A position is counted from the
//! instrument's opening, which is working capital and no bet. Absent: the account (the ledger needs no
//! averages) and fees: gain and loss are before them.

use crate::instrument::ContractValue;
use crate::pnl::valuation::{HalfTicks, position_value, trade_cash};
use crate::units::{Lots, Nanos, Side, Ticks};

/// One instrument's position beyond its opening.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Basis {
    pub(crate) lots: i64,
    /// `Σ lots × price` of what is held, in half ticks.
    pub(crate) cost: i128,
    /// When what is held was bought or sold, weighted by size.
    pub(crate) entered: Nanos,
    /// What its trades did to cash since it was last flat; `None` where that does not fit.
    pub(crate) cash: Option<i128>,
    /// Largest size since it was last flat.
    pub(crate) peak: u64,
    /// How often it left flat or turned.
    pub(crate) lives: u64,
}

impl Basis {
    /// A fill of `size` at `price`.
    pub fn on_fill(
        &mut self,
        now: Nanos,
        side: Side,
        price: Ticks,
        size: Lots,
        contract: ContractValue,
    ) {
        let signed = size.0.saturating_mul(side.sign());
        let after = self.lots.saturating_add(signed);
        let is_more = self.lots.signum() * signed.signum() >= 0;
        let cash = |lots: i64| {
            let size = Lots(lots.saturating_abs());
            trade_cash(contract, side, price, size)
        };
        let half_ticks = i128::from(price.0).saturating_mul(2);
        if is_more {
            self.add(now, signed, half_ticks, cash(signed));
        } else if after.signum() == self.lots.signum() {
            self.cost = average(self.cost, after, self.lots);
            self.cash = self.cash.zip(cash(signed)).and_then(|(a, b)| a.checked_add(b));
            self.lots = after;
        } else {
            *self = Basis { lives: self.lives, ..Basis::default() };
            if after != 0 {
                self.add(now, after, half_ticks, cash(after));
            }
        }
    }

    fn add(&mut self, now: Nanos, signed: i64, half_ticks: i128, cash: Option<i128>) {
        if self.lots == 0 {
            self.lives = self.lives.wrapping_add(1);
            self.cash = Some(0);
        }
        let (held, more) = (self.lots.unsigned_abs(), signed.unsigned_abs());
        let weighed =
            u128::from(self.entered.0) * u128::from(held) + u128::from(now.0) * u128::from(more);
        let entered = weighed.checked_div(u128::from(held) + u128::from(more));
        self.entered = Nanos(entered.and_then(|at| u64::try_from(at).ok()).unwrap_or(now.0));
        self.cost = self.cost.saturating_add(i128::from(signed).saturating_mul(half_ticks));
        self.cash = self.cash.zip(cash).and_then(|(a, b)| a.checked_add(b));
        self.lots = self.lots.saturating_add(signed);
        self.peak = self.peak.max(self.lots.unsigned_abs());
    }

    /// The position became `lots` without a fill of ours: the difference counts as traded at `mark`.
    pub fn settle(&mut self, now: Nanos, lots: Lots, mark: HalfTicks, contract: ContractValue) {
        let missing = lots.0.saturating_sub(self.lots);
        let side = if missing > 0 { Side::Buy } else { Side::Sell };
        if missing != 0 {
            let price = Ticks(mark.0.div_euclid(2));
            self.on_fill(now, side, price, Lots(missing.saturating_abs()), contract);
        }
    }

    /// What is held beyond the opening, + long.
    pub fn lots(&self) -> Lots {
        Lots(self.lots)
    }

    /// The largest size since it was last flat.
    pub fn peak(&self) -> u64 {
        self.peak
    }

    /// Changes with every position that is begun from flat, or by turning.
    pub fn life(&self) -> u64 {
        self.lives
    }

    /// How long it has been held, on average by size; 0 where nothing is.
    pub fn age_ns(&self, now: Nanos) -> u64 {
        if self.lots == 0 { 0 } else { now.since(self.entered) }
    }

    /// How much better than its entry a lot stands at `mark`, rounded down; `None` where flat.
    pub fn gain(&self, mark: HalfTicks) -> Option<HalfTicks> {
        let worth = i128::from(mark.0).saturating_mul(i128::from(self.lots));
        let better = worth.saturating_sub(self.cost);
        let gain = better.checked_div_euclid(i128::from(self.lots.unsigned_abs()))?;
        Some(HalfTicks(i64::try_from(gain).unwrap_or(if gain < 0 { i64::MIN } else { i64::MAX })))
    }

    /// What it made since it was last flat, in 1e-9 of the settlement currency before fees; `None`
    /// where that does not fit.
    pub fn pnl(&self, mark: HalfTicks, contract: ContractValue) -> Option<i128> {
        if self.lots == 0 {
            return Some(0);
        }
        position_value(contract, Lots(self.lots), mark)?.checked_add(self.cash?)
    }
}

/// `cost × after / before`: what the rest of a position cost.
fn average(cost: i128, after: i64, before: i64) -> i128 {
    let (after, before) = (i128::from(after), i128::from(before));
    match cost.checked_mul(after) {
        Some(product) => product.checked_div(before).unwrap_or(0),
        // Beyond 128 bits the last digits do not matter.
        None => cost.checked_div(before).unwrap_or(0).saturating_mul(after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINEAR: ContractValue =
        ContractValue::Linear { nano_per_tick_lot: 5, nano_underlying_per_lot: 1 };

    fn filled(basis: &mut Basis, at: u64, side: Side, price: i64, size: i64) {
        basis.on_fill(Nanos(at), side, Ticks(price), Lots(size), LINEAR);
    }

    #[test]
    fn buys_average_their_prices_and_times_and_sales_leave_the_averages() {
        let mut basis = Basis::default();
        filled(&mut basis, 100, Side::Buy, 1_000, 10);
        filled(&mut basis, 400, Side::Buy, 1_030, 20);
        assert_eq!(basis.gain(HalfTicks(2_040)), Some(HalfTicks(0)), "10 at 1000, 20 at 1030");
        assert_eq!(basis.age_ns(Nanos(500)), 200);
        filled(&mut basis, 450, Side::Sell, 2_000, 15);
        assert_eq!(basis.gain(HalfTicks(2_040)), Some(HalfTicks(0)));
        assert_eq!((basis.age_ns(Nanos(500)), basis.peak(), basis.lots()), (200, 30, Lots(15)));
    }

    #[test]
    fn profit_since_flat_counts_what_was_closed_and_what_is_open() {
        let mut basis = Basis::default();
        filled(&mut basis, 1, Side::Sell, 100, 10);
        filled(&mut basis, 2, Side::Buy, 90, 4);
        // 4 lots made 10 ticks each, 6 lots stand 2 ticks better: 52 ticks at 5 each.
        assert_eq!(basis.pnl(HalfTicks(196), LINEAR), Some(260));
        filled(&mut basis, 3, Side::Buy, 98, 6);
        assert_eq!(basis.pnl(HalfTicks(0), LINEAR), Some(0), "flat: a new life");
        assert_eq!(basis.gain(HalfTicks(7)), None);
    }

    #[test]
    fn a_position_that_turns_begins_anew_with_what_is_left() {
        let mut basis = Basis::default();
        filled(&mut basis, 10, Side::Buy, 100, 10);
        let life = basis.life();
        filled(&mut basis, 20, Side::Sell, 110, 25);
        assert_eq!((basis.lots(), basis.peak()), (Lots(-15), 15));
        assert_eq!(basis.gain(HalfTicks(218)), Some(HalfTicks(2)), "short at 110");
        assert_eq!(basis.age_ns(Nanos(25)), 5);
        assert_ne!(basis.life(), life);
        assert_eq!(basis.pnl(HalfTicks(218), LINEAR), Some(75));
    }

    #[test]
    fn an_inverse_position_s_profit_is_in_coin() {
        let contract = ContractValue::Inverse {
            nano_quote_per_lot: 100_000_000_000,
            nano_quote_per_tick: 1_000_000_000,
        };
        let mut basis = Basis::default();
        basis.on_fill(Nanos(1), Side::Buy, Ticks(50_000), Lots(1_000), contract);
        // 100,000 USD × (1/50,000 − 1/100,000) = 1 coin.
        assert_eq!(basis.pnl(HalfTicks(200_000), contract), Some(1_000_000_000));
    }

    #[test]
    fn a_position_that_was_moved_counts_as_traded_at_the_mark_and_extremes_do_not_wrap() {
        let mut basis = Basis::default();
        basis.settle(Nanos(5), Lots(-8), HalfTicks(201), LINEAR);
        assert_eq!((basis.lots(), basis.gain(HalfTicks(200))), (Lots(-8), Some(HalfTicks(0))));
        let mut basis = Basis::default();
        for side in [Side::Buy, Side::Buy, Side::Sell, Side::Sell, Side::Sell] {
            filled(&mut basis, u64::MAX, side, i64::MAX, i64::MAX);
            filled(&mut basis, 0, side, i64::MIN, i64::MAX);
            let _ = (basis.gain(HalfTicks(i64::MIN)), basis.pnl(HalfTicks(i64::MAX), LINEAR));
        }
    }
}
