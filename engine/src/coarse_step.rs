//! A price grid that is coarser from a price on: Deribit's options have ticks of 0.0001 coin below 0.005
//! and of 0.0005 from there.
//!
//! A part of an instrument, fed by the config; feeds the ladder, which rounds outward to it, the gate, which
//! lets nothing off it pass, and the simulated venue's door. Any thread; two compares where there is none.
//! Deliberately absent: a second threshold; no venue that is in the house has one.

use crate::units::{Side, Ticks};

/// From a price on, prices are multiples of some ticks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct CoarseStep {
    from: Ticks,
    ticks: i64,
}

impl CoarseStep {
    /// One tick everywhere.
    pub const NONE: CoarseStep = CoarseStep { from: Ticks(i64::MAX), ticks: 1 };

    /// From `from` on, `ticks` at a time. `None` where that is no coarser grid, or `from` is not on it.
    pub fn new(from: Ticks, ticks: i64) -> Option<CoarseStep> {
        let is_sound = from.0 > 0 && ticks > 1 && from.0 % ticks == 0;
        is_sound.then_some(CoarseStep { from, ticks })
    }

    /// Is it a price of the grid?
    #[inline]
    pub fn has(self, price: Ticks) -> bool {
        price < self.from || price.0.checked_rem(self.ticks) == Some(0)
    }

    /// The next price of the grid away from the market: a bid goes down, an ask up. Past the integer's edge
    /// it stays where it is, and the gate has the word.
    #[inline]
    pub fn outward(self, side: Side, price: Ticks) -> Ticks {
        if price < self.from {
            return price;
        }
        let over = price.0.checked_rem(self.ticks).unwrap_or(0);
        match side {
            // Not below `from`, which is on the grid.
            Side::Buy => Ticks(price.0.saturating_sub(over)),
            Side::Sell if over == 0 => price,
            Side::Sell => {
                let up = price.0.checked_add(self.ticks.saturating_sub(over));
                up.map_or(price, Ticks)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn below_the_threshold_every_tick_is_a_price_and_above_it_every_fifth() {
        let step = CoarseStep::new(Ticks(50), 5).unwrap();
        let round = |side, price| step.outward(side, Ticks(price)).0;
        assert_eq!((round(Side::Buy, 49), round(Side::Sell, 49)), (49, 49));
        assert_eq!((round(Side::Buy, 50), round(Side::Sell, 50)), (50, 50));
        assert_eq!((round(Side::Buy, 54), round(Side::Sell, 51)), (50, 55));
        assert_eq!((round(Side::Buy, -3), round(Side::Sell, i64::MAX)), (-3, i64::MAX));
        assert!(step.has(Ticks(49)) && step.has(Ticks(55)) && !step.has(Ticks(51)));
        for (from, ticks) in [(0, 5), (-50, 5), (50, 1), (50, 0), (52, 5)] {
            assert_eq!(CoarseStep::new(Ticks(from), ticks), None, "{from} {ticks}");
        }
        assert_eq!(CoarseStep::NONE.outward(Side::Sell, Ticks(i64::MAX)), Ticks(i64::MAX));
    }

    proptest! {
        #[test]
        fn outward_is_the_nearest_price_of_the_grid_on_the_far_side(
            price in -1_000i64..100_000,
            ticks in 2i64..50,
            steps in 1i64..100,
        ) {
            let step = CoarseStep::new(Ticks(ticks * steps), ticks).unwrap();
            let (bid, ask) = (step.outward(Side::Buy, Ticks(price)), step.outward(Side::Sell, Ticks(price)));
            prop_assert!(step.has(bid) && step.has(ask));
            prop_assert!(bid.0 <= price && price <= ask.0 && ask.0 - bid.0 <= ticks);
            prop_assert!(!step.has(Ticks(price)) || (bid.0 == price && ask.0 == price));
        }
    }
}
