//! The limits that must be set before anything is sent, in the units in which they are checked.
//!
//! Fed by the config; feeds the gate. Immutable on the maker thread. Deliberately absent: defaults.

use crate::instrument::{ContractValue, Instrument};
use crate::risk::collar::Collar;
use crate::risk::loss::LossLimits;
use crate::risk::window::WindowLimit;
use crate::units::{Exposure, Lots, Notional, Ticks};
use thiserror::Error;

/// Limits on one instrument's orders and position. All are mandatory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct InstrumentLimits {
    /// Largest size of one order.
    pub order_size_max: Lots,
    /// Largest value of one order.
    pub order_value_max: ValueLimit,
    /// Largest position either way, counting everything that may still trade.
    pub position_max: Lots,
    /// How far from the mid an order may be priced.
    pub collar: Collar,
    /// Most fills in a window, before the instrument is switched off until a person resumes it.
    pub executions: WindowLimit,
    /// Most new orders alike in a window.
    pub duplicates: WindowLimit,
}

impl InstrumentLimits {
    /// Is an order of `size` at `price` within what one order may be?
    #[inline]
    pub fn allow_order(&self, price: Ticks, size: Lots) -> bool {
        size <= self.order_size_max && self.order_value_max.allows(price, size)
    }

    /// `size`, or as much of it as one order at `price` may be.
    #[inline]
    pub fn within(&self, price: Ticks, size: Lots) -> Lots {
        if self.allow_order(price, size) { size } else { self.order_max(price) }
    }

    /// The largest order at `price` within both.
    #[cold]
    pub fn order_max(&self, price: Ticks) -> Lots {
        self.order_size_max.min(self.order_value_max.size_max(price))
    }
}

/// Limits on everything together. All are mandatory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortfolioLimits {
    /// Most gross notional, counting everything that may still trade, in the reporting currency.
    pub gross_max: Notional,
    /// What may be lost.
    pub loss: LossLimits,
}

/// A money limit, converted beforehand so that the hot check is one widening multiply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum ValueLimit {
    /// Linear contracts: `|price ticks| × lots` may not exceed this.
    TickLots(i128),
    /// Inverse contracts, whose value does not depend on the price: lots may not exceed this.
    Lots(i64),
}

/// What is wrong with a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum LimitError {
    /// Zero or negative.
    #[error("must be greater than zero")]
    NotPositive,
    /// The exposure limits are not in order.
    #[error("must satisfy 0 < soft < stop < hard")]
    OutOfOrder,
}

impl ValueLimit {
    /// A limit of `value` of the quote currency on one order of `instrument`, rounded down.
    pub fn new(instrument: &Instrument, value: Notional) -> ValueLimit {
        match instrument.value() {
            ContractValue::Linear { nano_per_tick_lot, .. }
            | ContractValue::Option { nano_per_tick_lot, .. } => {
                ValueLimit::TickLots(value.0 / i128::from(nano_per_tick_lot.max(1)))
            }
            ContractValue::Inverse { nano_quote_per_lot, .. } => {
                let lots = value.0 / i128::from(nano_quote_per_lot.max(1));
                ValueLimit::Lots(i64::try_from(lots).unwrap_or(i64::MAX))
            }
        }
    }

    /// The largest order at `price` within it.
    pub fn size_max(&self, price: Ticks) -> Lots {
        match self {
            ValueLimit::TickLots(max) => {
                let each = i128::from(price.0).abs().max(1);
                Lots(i64::try_from(max.saturating_abs() / each).unwrap_or(i64::MAX))
            }
            ValueLimit::Lots(max) => Lots(*max),
        }
    }

    /// Is an order of `size` at `price` within it?
    #[inline]
    pub fn allows(&self, price: Ticks, size: Lots) -> bool {
        match self {
            ValueLimit::TickLots(max) => {
                let value = u128::from(price.0.unsigned_abs()) * u128::from(size.0.unsigned_abs());
                // Below zero it allows nothing.
                u128::try_from(*max).is_ok_and(|max| value <= max)
            }
            ValueLimit::Lots(max) => size.0 <= *max,
        }
    }
}

/// Limits on one underlying's net exposure, counted from its target: `0 < soft < stop < hard`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct ExposureLimits {
    soft: Exposure,
    stop: Exposure,
    hard: Exposure,
}

impl ExposureLimits {
    /// Refuses limits that are not in order.
    pub fn new(
        soft: Exposure,
        stop: Exposure,
        hard: Exposure,
    ) -> Result<ExposureLimits, LimitError> {
        if soft.0 <= 0 {
            return Err(LimitError::NotPositive);
        }
        if soft >= stop || stop >= hard {
            return Err(LimitError::OutOfOrder);
        }
        Ok(ExposureLimits { soft, stop, hard })
    }

    /// The same, each so many thousandths (at most 1000) of itself and still in order.
    pub fn narrowed(&self, permille: u32) -> ExposureLimits {
        let part = |limit: Exposure, least: i64| {
            let part = i128::from(limit.0) * i128::from(permille.min(1_000)) / 1_000;
            Exposure(i64::try_from(part).unwrap_or(limit.0).max(least))
        };
        let soft = part(self.soft, 1);
        let stop = part(self.stop, soft.0.saturating_add(1));
        let hard = part(self.hard, stop.0.saturating_add(1));
        ExposureLimits { soft, stop, hard }
    }

    /// Beyond it the side that adds is no longer quoted.
    pub fn soft(&self) -> Exposure {
        self.soft
    }

    /// Beyond it nothing is quoted.
    pub fn stop(&self) -> Exposure {
        self.stop
    }

    /// The worst case over everything that may still trade stays within it.
    pub fn hard(&self) -> Exposure {
        self.hard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soft_stop_and_hard_must_be_in_order() {
        let limits = |a, b, c| ExposureLimits::new(Exposure(a), Exposure(b), Exposure(c));
        assert!(limits(1, 2, 3).is_ok());
        assert_eq!(limits(0, 2, 3), Err(LimitError::NotPositive));
        assert_eq!(limits(2, 2, 3), Err(LimitError::OutOfOrder));
        assert_eq!(limits(1, 3, 3), Err(LimitError::OutOfOrder));
    }

    #[test]
    fn narrowed_limits_stay_in_order_and_within_the_ones_they_are_of() {
        let limits = |a, b, c| ExposureLimits::new(Exposure(a), Exposure(b), Exposure(c)).unwrap();
        assert_eq!(limits(10, 20, 50).narrowed(500), limits(5, 10, 25));
        assert_eq!(limits(1, 2, 3).narrowed(1), limits(1, 2, 3));
        let widest = limits(i64::MAX - 2, i64::MAX - 1, i64::MAX);
        assert_eq!(widest.narrowed(1_000), widest);
        assert_eq!(widest.narrowed(u32::MAX), widest, "nothing widens");
    }

    #[test]
    fn the_largest_order_of_a_value_is_allowed_and_one_lot_more_is_not() {
        for (limit, price) in [
            (ValueLimit::TickLots(600), 100),
            (ValueLimit::TickLots(699), -100),
            (ValueLimit::TickLots(i64::MAX.into()), 7),
            (ValueLimit::TickLots(600), i64::MIN),
            (ValueLimit::Lots(6), i64::MAX),
        ] {
            let most = limit.size_max(Ticks(price));
            assert!(limit.allows(Ticks(price), most), "{limit:?} at {price}");
            assert!(!limit.allows(Ticks(price), Lots(most.0 + 1)), "{limit:?} at {price}");
        }
        assert_eq!(ValueLimit::TickLots(600).size_max(Ticks(0)), Lots(600), "as at one tick");
    }

    #[test]
    fn a_value_limit_holds_at_its_edge_and_at_the_integers_extremes() {
        let limit = ValueLimit::TickLots(600);
        assert!(limit.allows(Ticks(100), Lots(6)));
        assert!(!limit.allows(Ticks(100), Lots(7)));
        assert!(!limit.allows(Ticks(-101), Lots(6)), "a negative price has a value too");
        assert!(!limit.allows(Ticks(i64::MIN), Lots(i64::MAX)));
        assert!(ValueLimit::Lots(6).allows(Ticks(i64::MAX), Lots(6)));
        assert!(!ValueLimit::Lots(6).allows(Ticks(1), Lots(7)));
    }
}
