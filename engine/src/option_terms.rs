//! What an option is: its right, strike, expiry and what exercise gives; and what a position pays.
//!
//! Fed by the config; feeds the ledger's settlement, the option book and calibration. Any thread;
//! immutable after start. Deliberately absent: volatility and every price before expiry, which are
//! calibration's.

use crate::units::{Decimal, Lots, Nanos, Ticks};

/// The right that an option gives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum OptionType {
    /// To buy at the strike.
    Call,
    /// To sell at the strike.
    Put,
}

impl OptionType {
    /// +1 for a call, −1 for a put.
    pub const fn direction(self) -> i64 {
        match self {
            OptionType::Call => 1,
            OptionType::Put => -1,
        }
    }
}

/// When the holder may exercise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum ExerciseStyle {
    /// At expiry alone.
    European,
    /// At any time up to expiry.
    American,
}

/// What exercise gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Delivery {
    /// The difference to the strike, in the quote currency: what it settles in.
    Cash,
    /// That difference over the settlement price: coin (Deribit's convention).
    Coin,
    /// A position in the future at the strike.
    Future,
}

/// The terms of one option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct OptionTerms {
    /// Call or put.
    pub option_type: OptionType,
    /// In the currency that the underlying's price is written in.
    pub strike: Decimal,
    /// The moment at which it expires; no order is sent from then on.
    pub expiry: Nanos,
    /// When it may be exercised.
    pub style: ExerciseStyle,
    /// What exercise gives.
    pub delivery: Delivery,
}

/// 1e-9 units in one.
const NANO: i128 = 1_000_000_000;

impl OptionTerms {
    /// Is trading over?
    pub fn is_expired(&self, now: Nanos) -> bool {
        now >= self.expiry
    }

    /// The strike in 1e-9; `None` where it is finer or does not fit.
    pub fn nano_strike(&self) -> Option<i64> {
        self.strike.count_of(Decimal { mantissa: 1, scale: 9 }).ok()
    }

    /// How much the underlying at `price` is beyond the strike in the holder's favour, in 1e-9; 0
    /// where it is not. `None` where the strike does not fit.
    pub fn nano_in_the_money(&self, price: i64) -> Option<i64> {
        let beyond = i128::from(price) - i128::from(self.nano_strike()?);
        let inside = beyond * i128::from(self.option_type.direction());
        i64::try_from(inside.max(0)).ok()
    }

    /// What `lots`, each on `nano_underlying_per_lot` of the underlying, pay at the settlement
    /// `price` (1e-9 of the strike's currency), in 1e-9 of the settlement currency, rounded once to
    /// the nearest. `None` where a number does not fit or a coin is settled at no price.
    pub fn payoff(&self, lots: Lots, nano_underlying_per_lot: i64, price: i64) -> Option<i128> {
        let inside = i128::from(self.nano_in_the_money(price)?);
        let units = i128::from(lots.0).checked_mul(i128::from(nano_underlying_per_lot))?;
        let value = units.checked_mul(inside)?;
        let over = match self.delivery {
            Delivery::Cash | Delivery::Future => NANO,
            // Nano units × nano difference ÷ nano price are nano coins.
            Delivery::Coin if price > 0 => i128::from(price),
            Delivery::Coin => return None,
        };
        nearest(value, over)
    }

    /// The strike on the future's grid; `None` off it.
    pub fn strike_ticks(&self, tick: Decimal) -> Option<Ticks> {
        self.strike.count_of(tick).ok().map(Ticks)
    }
}

/// To the nearest whole number, a half away from zero: long and short pay the same amount.
fn nearest(numerator: i128, denominator: i128) -> Option<i128> {
    let size = numerator.checked_abs()?;
    let whole = size.checked_add(denominator / 2)? / denominator;
    Some(whole * numerator.signum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(option_type: OptionType, strike: &str, delivery: Delivery) -> OptionTerms {
        let strike = strike.parse().unwrap();
        let style = ExerciseStyle::European;
        OptionTerms { option_type, strike, expiry: Nanos(100), style, delivery }
    }

    #[test]
    fn a_cash_option_pays_its_intrinsic_value_off_any_grid() {
        // SPX, 100 a point: 3256.37 over a strike of 3250 is 637 dollars a contract.
        let call = terms(OptionType::Call, "3250", Delivery::Cash);
        let settled = 3_256_370_000_000;
        assert_eq!(call.payoff(Lots(2), 100_000_000_000, settled), Some(1_274_000_000_000));
        assert_eq!(call.payoff(Lots(-2), 100_000_000_000, settled), Some(-1_274_000_000_000));
        let put = terms(OptionType::Put, "3250", Delivery::Cash);
        assert_eq!(put.payoff(Lots(2), 100_000_000_000, settled), Some(0));
    }

    #[test]
    fn a_coin_option_pays_coin_and_both_sides_the_same_amount() {
        // 10,000 dollars in the money at 60,000: a sixth of a coin.
        let call = terms(OptionType::Call, "50000", Delivery::Coin);
        let settled = 60_000_000_000_000;
        assert_eq!(call.payoff(Lots(1), 1_000_000_000, settled), Some(166_666_667));
        assert_eq!(call.payoff(Lots(-1), 1_000_000_000, settled), Some(-166_666_667));
        assert_eq!(call.payoff(Lots(1), 1_000_000_000, 0), None);
    }

    #[test]
    fn an_option_is_over_at_its_expiry_and_not_before() {
        let call = terms(OptionType::Call, "1", Delivery::Cash);
        assert!(!call.is_expired(Nanos(99)) && call.is_expired(Nanos(100)));
    }

    #[test]
    fn what_does_not_fit_is_none() {
        let call = terms(OptionType::Call, "1", Delivery::Cash);
        assert_eq!(call.payoff(Lots(i64::MAX), i64::MAX, i64::MAX), None);
        let fine = terms(OptionType::Call, "0.0000000001", Delivery::Cash);
        assert_eq!(fine.nano_strike(), None);
    }
}
