//! Blocks an order priced too far from the reference: the fat finger and the broken model.
//!
//! Fed by the gate with the trusted mid; feeds its verdict. Maker thread.

use crate::risk::gate::{BlockReason, Verdict};
use crate::units::Ticks;

/// The band around the reference in which an order may be priced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Collar {
    /// Widest distance from the reference.
    pub width: Ticks,
}

impl Collar {
    /// Passes prices within `width` of `reference`, both ends included.
    #[inline]
    pub fn check(&self, reference: Ticks, price: Ticks) -> Verdict {
        debug_assert!(self.width.0 > 0, "config validation lets no empty collar through");
        // The distance of any two prices fits: a reference near the integer edge wraps nothing open.
        let width = u64::try_from(self.width.0).unwrap_or(0);
        if price.0.abs_diff(reference.0) <= width {
            return Verdict::Pass;
        }
        let is_above = price > reference;
        Verdict::Block(if is_above { BlockReason::AboveCollar } else { BlockReason::BelowCollar })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_collar_passes_its_edge_and_blocks_one_tick_over() {
        let collar = Collar { width: Ticks(50) };
        for price in [50, 100, 150] {
            assert_eq!(collar.check(Ticks(100), Ticks(price)), Verdict::Pass);
        }
        let above = collar.check(Ticks(100), Ticks(151));
        assert_eq!(above, Verdict::Block(BlockReason::AboveCollar));
        let below = collar.check(Ticks(100), Ticks(49));
        assert_eq!(below, Verdict::Block(BlockReason::BelowCollar));
    }

    #[test]
    fn at_the_integers_edges_it_narrows_and_never_wraps() {
        let collar = Collar { width: Ticks(50) };
        let low = collar.check(Ticks(i64::MAX - 10), Ticks(i64::MIN));
        assert_eq!(low, Verdict::Block(BlockReason::BelowCollar));
        let high = collar.check(Ticks(i64::MIN + 10), Ticks(i64::MAX));
        assert_eq!(high, Verdict::Block(BlockReason::AboveCollar));
    }
}
