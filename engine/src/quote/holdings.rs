//! The skew for what one venue holds, beside the skew for net delta: bounded, and nothing near target.
//!
//! Fed by the account (the position at the quoted venue); feeds the quotes' distances. Maker's thread,
//! on every requote where it is configured: one multiplication and one division. Net delta says what
//! the desk is exposed to; holdings say where it can still sell and buy. A venue that holds more than
//! its target sells more eagerly and buys less, by at most `skew_max`, whatever net delta is.

use super::HalfSpreads;
use crate::units::{Lots, SubTicks};

/// How a venue's holdings move its quotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct HoldingsSkew {
    /// What the venue should hold.
    pub target: Lots,
    /// This far from it the skew is whole; > 0.
    pub full_at: Lots,
    /// The whole skew, ≥ 0.
    pub skew_max: SubTicks,
}

impl HoldingsSkew {
    /// By how much both quotes move down (negative: up) at a position.
    pub fn shift(&self, position: Lots) -> SubTicks {
        let full = self.full_at.0.max(1);
        let away = position.0.saturating_sub(self.target.0).clamp(-full, full);
        let shift = i128::from(self.skew_max.0) * i128::from(away) / i128::from(full);
        SubTicks(i64::try_from(shift).unwrap_or(0))
    }

    /// The quotes moved by it.
    pub fn applied(&self, half: HalfSpreads, position: Lots) -> HalfSpreads {
        let shift = self.shift(position);
        HalfSpreads {
            bid: half.bid.map(|half| half.saturating_add(shift)),
            ask: half.ask.map(|half| half.saturating_sub(shift)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SKEW: HoldingsSkew =
        HoldingsSkew { target: Lots(100), full_at: Lots(50), skew_max: SubTicks(1 << 32) };

    #[test]
    fn the_skew_grows_with_the_distance_from_target_and_is_bounded() {
        let at = |lots| SKEW.shift(Lots(lots)).0;
        assert_eq!((at(100), at(125), at(150), at(400)), (0, 1 << 31, 1 << 32, 1 << 32));
        assert_eq!((at(75), at(-400)), (-(1 << 31), -(1 << 32)));
        assert_eq!((at(i64::MIN), at(i64::MAX)), (-(1 << 32), 1 << 32));
    }

    #[test]
    fn a_venue_that_holds_too_much_sells_closer_and_buys_further_away() {
        let half = HalfSpreads { bid: Some(SubTicks(3 << 32)), ask: Some(SubTicks(3 << 32)) };
        let moved = SKEW.applied(half, Lots(150));
        assert_eq!((moved.bid, moved.ask), (Some(SubTicks(4 << 32)), Some(SubTicks(2 << 32))));
        assert_eq!(SKEW.applied(half, Lots(100)), half);
    }
}
