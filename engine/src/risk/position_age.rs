//! How long a position may be held: beyond it only the side that takes it off is quoted.
//!
//! Fed by the maker's timer with the position's [`Basis`]; feeds the instrument's state. Maker thread,
//! one subtraction. The age is averaged by size, so that a lot that was added is young and the rest
//! stays old; flat, or turned, is new. Deliberately absent: trading it away at once (an exit's).

use crate::inventory::basis::Basis;
use crate::units::Nanos;

/// The limit of one instrument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct AgeLimit {
    /// Longest time that a position is held, on average by size.
    pub max_ns: u64,
}

impl AgeLimit {
    /// Has the position been held for longer?
    pub fn is_beyond(&self, now: Nanos, basis: &Basis) -> bool {
        basis.age_ns(now) > self.max_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instrument::ContractValue;
    use crate::units::{Lots, Side, Ticks};

    #[test]
    fn the_limit_passes_and_a_nanosecond_more_does_not_and_flat_has_no_age() {
        let contract = ContractValue::Linear { nano_per_tick_lot: 1, nano_underlying_per_lot: 1 };
        let limit = AgeLimit { max_ns: 100 };
        let mut basis = Basis::default();
        assert!(!limit.is_beyond(Nanos(u64::MAX), &basis));
        basis.on_fill(Nanos(50), Side::Buy, Ticks(7), Lots(2), contract);
        assert!(!limit.is_beyond(Nanos(150), &basis));
        assert!(limit.is_beyond(Nanos(151), &basis));
        basis.on_fill(Nanos(151), Side::Sell, Ticks(7), Lots(3), contract);
        assert!(!limit.is_beyond(Nanos(251), &basis), "it turned");
    }
}
