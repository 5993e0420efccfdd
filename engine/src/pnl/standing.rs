//! What a position costs because time passes: funding by the venue's schedule, borrow and capital by
//! the day.
//!
//! Fed by the config (terms), by whoever knows the venue's rate (an operator, a recording) and by the
//! maker's timer; feeds the ledger, each charge under its cause. Maker thread, on the timer alone.
//! Amounts are whole units of 1e-9, rounded against us; instants are whole multiples of a period since
//! the Unix epoch, so that every run and replay charges at the same ones. Deliberately absent: funding
//! that accrues between two instants (venues pay at them), and the venue's own account of it.
//!
//! At an instant a long pays `value × rate` where the rate is positive, a short receives it; of an
//! inverse contract the value is `N/mark` coin. Borrow is charged on what the config says is borrowed,
//! capital on the part of the position's value that is tied up.

use super::valuation::{HalfTicks, position_value};
use crate::instrument::ContractValue;
use crate::units::{FeeRate, Lots, Nanos, Side};

/// A day.
pub const DAY_NS: u64 = 86_400_000_000_000;
/// Instants that one timer catches up with at most; the next goes on.
pub const INSTANTS_MAX: u32 = 64;
const NANO: i128 = 1_000_000_000;

/// When a venue pays funding, and at what rate until somebody says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct FundingTerms {
    /// Distance of the instants; > 0.
    pub every_ns: u64,
    /// Of the value an instant; longs pay where it is positive.
    pub rate: FeeRate,
}

/// What holding an instrument costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct StandingTerms {
    /// Perpetuals'; `None`: whatever is paid is booked by hand.
    pub funding: Option<FundingTerms>,
    /// Of the position, ≥ 0.
    pub borrowed: Lots,
    /// Of the borrowed value a day.
    pub borrow_per_day: FeeRate,
    /// Of the position's value a day, either way: the margin's share times what capital costs.
    pub capital_per_day: FeeRate,
    /// Share of the position's value that its venue wants as margin, in millionths.
    pub margin_ppm: u32,
}

/// Instants of one schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Schedule {
    due: Option<Nanos>,
}

impl Schedule {
    /// Is an instant of this period due that was not taken yet? The first call only sets the next.
    pub fn is_due(&mut self, now: Nanos, every_ns: u64) -> bool {
        let next = |after: Nanos| {
            let periods = after.0.checked_div(every_ns).unwrap_or(0);
            Nanos(periods.saturating_add(1).saturating_mul(every_ns))
        };
        let due = *self.due.get_or_insert_with(|| next(now));
        every_ns > 0 && now >= due
    }

    /// The instant that was due has been charged.
    pub fn taken(&mut self, every_ns: u64) {
        self.due = self.due.map(|due| due.plus(every_ns));
    }
}

/// Value of a position in 1e-9 of the settlement currency, + long.
fn value(contract: ContractValue, lots: Lots, mark: HalfTicks) -> Option<i128> {
    let value = position_value(contract, lots, mark)?;
    match contract {
        ContractValue::Linear { .. } | ContractValue::Option { .. } => Some(value),
        ContractValue::Inverse { .. } => value.checked_neg(),
    }
}

/// What a position receives at a funding instant; negative is paid. `None` where it does not fit.
pub fn funding(
    contract: ContractValue,
    lots: Lots,
    mark: HalfTicks,
    rate: FeeRate,
) -> Option<i128> {
    let paid = value(contract, lots, mark)?.checked_mul(rate.0.into())?;
    paid.checked_neg()?.checked_div_euclid(NANO)
}

/// What holding more of an instrument on one side costs for so long: funding (a buy pays a positive
/// rate, a sell receives it) and capital, in 1e-9 of the value, rounded against us; negative is received.
pub fn carry_ppb(terms: &StandingTerms, side: Side, held_ns: u64) -> i64 {
    let over = |rate: i64, every_ns: u64| {
        let cost = i128::from(rate).saturating_mul(held_ns.into()).saturating_neg();
        cost.checked_div_euclid(every_ns.into()).unwrap_or(0).saturating_neg()
    };
    let funding = terms
        .funding
        .map_or(0, |funding| over(funding.rate.0.saturating_mul(side.sign()), funding.every_ns));
    let carry = funding.saturating_add(over(terms.capital_per_day.0, DAY_NS));
    i64::try_from(carry).unwrap_or(i64::MAX)
}

/// What holding a position costs for a day; `None` where it does not fit.
pub fn day(
    contract: ContractValue,
    lots: Lots,
    mark: HalfTicks,
    terms: &StandingTerms,
) -> Option<i128> {
    let of = |lots: Lots, rate: FeeRate| {
        let value = value(contract, lots, mark)?.checked_abs()?;
        let charge = value.checked_mul(rate.0.into())?;
        charge.checked_neg()?.checked_div_euclid(NANO)?.checked_neg()
    };
    of(terms.borrowed, terms.borrow_per_day)?.checked_add(of(lots, terms.capital_per_day)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0.001 coin a lot at a tick of 0.1 dollars, and 100 dollars a lot.
    const LINEAR: ContractValue =
        ContractValue::Linear { nano_per_tick_lot: 100_000, nano_underlying_per_lot: 1_000_000 };
    const INVERSE: ContractValue = ContractValue::Inverse {
        nano_quote_per_lot: 100_000_000_000,
        nano_quote_per_tick: 100_000_000,
    };

    #[test]
    fn longs_pay_a_positive_rate_and_shorts_receive_it() {
        // One coin at 60,000, one basis point: 6 dollars.
        let at = |lots, rate| funding(LINEAR, Lots(lots), HalfTicks(1_200_000), FeeRate(rate));
        assert_eq!(at(1_000, 100_000), Some(-6_000_000_000));
        assert_eq!(at(-1_000, 100_000), Some(6_000_000_000));
        assert_eq!(at(1_000, -100_000), Some(6_000_000_000));
        // 600 contracts of 100 dollars are one coin: a ten-thousandth of it.
        let coin = funding(INVERSE, Lots(600), HalfTicks(1_200_000), FeeRate(100_000));
        assert_eq!(coin, Some(-100_000));
        assert_eq!(funding(INVERSE, Lots(1), HalfTicks(0), FeeRate(1)), None, "no value at zero");
    }

    #[test]
    fn rounding_is_against_us_both_ways() {
        // A third of a unit, paid and received.
        let tiny = |lots| funding(LINEAR, Lots(lots), HalfTicks(2), FeeRate(3_333));
        assert_eq!((tiny(1), tiny(-1)), (Some(-1), Some(0)));
    }

    #[test]
    fn a_day_charges_what_is_borrowed_and_what_is_tied_up() {
        let terms = StandingTerms {
            borrowed: Lots(500),
            borrow_per_day: FeeRate(200_000),
            capital_per_day: FeeRate(15_000),
            ..StandingTerms::default()
        };
        // 30,000 dollars at 2 basis points, 60,000 at 0.15: short or long.
        for lots in [1_000, -1_000] {
            let cost = day(LINEAR, Lots(lots), HalfTicks(1_200_000), &terms);
            assert_eq!(cost, Some(6_000_000_000 + 900_000_000));
        }
    }

    #[test]
    fn instants_are_multiples_of_the_period_and_none_is_lost() {
        let mut schedule = Schedule::default();
        assert!(!schedule.is_due(Nanos(25), 10), "the first call only looks");
        assert!(!schedule.is_due(Nanos(29), 10));
        let mut charged = 0;
        while schedule.is_due(Nanos(55), 10) {
            schedule.taken(10);
            charged += 1;
        }
        assert_eq!(charged, 3, "at 30, 40 and 50");
        assert!(!Schedule::default().is_due(Nanos(u64::MAX), 0));
    }
}
