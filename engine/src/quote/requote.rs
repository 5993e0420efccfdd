//! When a change of the wanted quote is worth a message.
//!
//! Fed by the ladder (wanted) and the order table (working); feeds the diff. Maker's thread, hot.
//! A replace costs a message, and queue position where the price moves or the size grows. So a
//! wanted level must differ by more than a tolerance. A working price that is *too aggressive* is
//! money at risk and has a tolerance of its own, usually 0; one that is too shy costs only fills.
//! Deliberately absent: message budgets (the throttle's) and which orders pair with which levels.

use super::Level;
use crate::units::Side;

/// How far a working order may stand from the wanted level before it is moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Tolerance {
    /// Ticks by which it may be closer to the market than wanted.
    pub aggressive_ticks: u64,
    /// Ticks by which it may be further from the market than wanted.
    pub passive_ticks: u64,
    /// Lots by which its open size may be larger or smaller than wanted.
    pub lots: u64,
}

/// What to do with a working order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Requote {
    /// It is close enough.
    Keep,
    /// Same price, smaller size: queue position is kept at most venues.
    Shrink,
    /// Another price, or a larger size: it goes to the back of a queue.
    Move,
}

impl Tolerance {
    /// Compares what works with what is wanted on the same side.
    pub fn compare(self, side: Side, working: Level, wanted: Level) -> Requote {
        let price_gap = working.price.0.abs_diff(wanted.price.0);
        let is_aggressive = match side {
            Side::Buy => working.price > wanted.price,
            Side::Sell => working.price < wanted.price,
        };
        let price_tolerance =
            if is_aggressive { self.aggressive_ticks } else { self.passive_ticks };
        if price_gap > price_tolerance {
            return Requote::Move;
        }
        if working.size.0.abs_diff(wanted.size.0) <= self.lots {
            return Requote::Keep;
        }
        if working.size > wanted.size { Requote::Shrink } else { Requote::Move }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Lots, Ticks};

    const TOLERANCE: Tolerance = Tolerance { aggressive_ticks: 0, passive_ticks: 3, lots: 10 };

    fn level(price: i64, size: i64) -> Level {
        Level { price: Ticks(price), size: Lots(size) }
    }

    #[test]
    fn a_quote_that_is_too_aggressive_moves_at_once() {
        let wanted = level(100, 50);
        assert_eq!(TOLERANCE.compare(Side::Buy, level(101, 50), wanted), Requote::Move);
        assert_eq!(TOLERANCE.compare(Side::Sell, level(99, 50), wanted), Requote::Move);
    }

    #[test]
    fn a_quote_that_is_too_shy_has_its_tolerance() {
        let wanted = level(100, 50);
        for (side, sign) in [(Side::Buy, -1), (Side::Sell, 1)] {
            let at = |ticks: i64| TOLERANCE.compare(side, level(100 + sign * ticks, 50), wanted);
            assert_eq!(at(3), Requote::Keep, "{side:?}");
            assert_eq!(at(4), Requote::Move, "{side:?}");
        }
    }

    #[test]
    fn a_size_shrinks_in_place_and_grows_at_the_back() {
        let size = |lots: i64| TOLERANCE.compare(Side::Buy, level(100, lots), level(100, 50));
        assert_eq!(size(60), Requote::Keep);
        assert_eq!(size(61), Requote::Shrink);
        assert_eq!(size(40), Requote::Keep);
        assert_eq!(size(39), Requote::Move);
    }

    #[test]
    fn the_integers_edges_compare_without_overflow() {
        let (low, high) = (level(i64::MIN, 0), level(i64::MAX, i64::MAX));
        assert_eq!(TOLERANCE.compare(Side::Buy, low, high), Requote::Move);
        assert_eq!(TOLERANCE.compare(Side::Sell, high, low), Requote::Move);
    }
}
