//! The micro-price on the hot path: the mid and an adjustment looked up by the state of the touch.
//!
//! Fed by a trusted [`Touch`] and a table that calibration made ([`crate::estimate`] knows only its
//! integers); feeds the fair value. Maker thread, hot: one division and one look-up. The state is
//! a bucket of the imbalance `Q_bid/(Q_bid + Q_ask)` and one of the spread (Stoikov 2018, §3).

use crate::estimate::fair_value;
use crate::market::book::Touch;
use crate::units::SubTicks;

/// Buckets of the imbalance, equally wide. An odd number, so that an even book is a state of its own.
pub const IMBALANCE_BUCKETS: usize = 9;
/// Buckets of the spread: one tick, two, more.
pub const SPREAD_BUCKETS: usize = 3;

/// Adjustments of the mid, by spread bucket and imbalance bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct MicroPriceTable {
    /// Sub-ticks to add to the mid.
    pub adjustments: [[SubTicks; IMBALANCE_BUCKETS]; SPREAD_BUCKETS],
}

/// The state of a touch, spread-major. `None` where the book is crossed, locked or empty.
pub fn bucket(touch: &Touch) -> Option<usize> {
    let spread = usize::try_from(touch.spread().0.checked_sub(1)?).ok()?.min(SPREAD_BUCKETS - 1);
    let (bid, ask) = (i128::from(touch.bid.size.0), i128::from(touch.ask.size.0));
    let total = bid + ask;
    if bid < 0 || ask < 0 || total <= 0 {
        return None;
    }
    let share = (IMBALANCE_BUCKETS as i128).checked_mul(bid)? / total;
    // A share of 1 belongs to the last bucket, not to one beyond it.
    let imbalance = usize::try_from(share).ok()?.min(IMBALANCE_BUCKETS - 1);
    Some(spread * IMBALANCE_BUCKETS + imbalance)
}

/// What the buckets say in which the bid is the lighter side, from the lightest on. A book and its
/// mirror image lean alike, so that these are the whole table: an even book is worth its mid.
pub type Leans = [[SubTicks; IMBALANCE_BUCKETS / 2]; SPREAD_BUCKETS];

impl MicroPriceTable {
    /// No adjustment: the mid.
    pub const NONE: MicroPriceTable =
        MicroPriceTable { adjustments: [[SubTicks(0); IMBALANCE_BUCKETS]; SPREAD_BUCKETS] };

    /// The table of these leans and their mirror images.
    pub fn mirrored(leans: &Leans) -> MicroPriceTable {
        let mut table = MicroPriceTable::NONE;
        for (row, leans) in table.adjustments.iter_mut().zip(leans) {
            for (place, lean) in row.iter_mut().zip(leans) {
                *place = *lean;
            }
            for (place, lean) in row.iter_mut().rev().zip(leans) {
                *place = SubTicks(lean.0.saturating_neg());
            }
        }
        table
    }

    /// What [`MicroPriceTable::mirrored`] makes the table of; of one that is no mirror image of
    /// itself, the half of light bids.
    pub fn leans(&self) -> Leans {
        let mut leans = Leans::default();
        for (leans, row) in leans.iter_mut().zip(&self.adjustments) {
            for (lean, place) in leans.iter_mut().zip(row) {
                *lean = *place;
            }
        }
        leans
    }

    /// The largest distance from the mid.
    pub fn reach(&self) -> SubTicks {
        let all = self.adjustments.iter().flatten().map(|adjustment| adjustment.0.saturating_abs());
        SubTicks(all.max().unwrap_or(0))
    }

    /// The micro-price; the mid where the touch has no state.
    pub fn estimate(&self, touch: &Touch) -> SubTicks {
        let adjustment = bucket(touch).and_then(|state| {
            let row = self.adjustments.get(state / IMBALANCE_BUCKETS)?;
            row.get(state % IMBALANCE_BUCKETS).copied()
        });
        fair_value::mid(touch).saturating_add(adjustment.unwrap_or(SubTicks(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::book::Level;
    use crate::units::{Lots, Ticks};

    fn touch(bid: i64, bid_qty: i64, ask: i64, ask_qty: i64) -> Touch {
        Touch {
            bid: Level { price: Ticks(bid), size: Lots(bid_qty) },
            ask: Level { price: Ticks(ask), size: Lots(ask_qty) },
        }
    }

    #[test]
    fn every_share_and_spread_has_its_bucket_and_the_ends_are_inside() {
        assert_eq!(bucket(&touch(100, 0, 101, 9)), Some(0));
        assert_eq!(bucket(&touch(100, 9, 101, 0)), Some(8), "a share of one is the last bucket");
        assert_eq!(bucket(&touch(100, 1, 102, 5)), Some(10));
        assert_eq!(bucket(&touch(100, i64::MAX, 900, i64::MAX)), Some(22));
        assert_eq!(bucket(&touch(100, 1, 100, 1)), None, "locked");
        assert_eq!(bucket(&touch(100, 0, 101, 0)), None, "empty");
        assert_eq!(bucket(&touch(i64::MAX, 1, i64::MIN, 1)), None, "crossed at the edges");
    }

    #[test]
    fn the_look_up_moves_the_mid_by_its_states_adjustment_and_no_other() {
        let mut table = MicroPriceTable::NONE;
        table.adjustments[1][8] = SubTicks(3 << 30);
        let (hit, missed) = (touch(100, 95, 102, 5), touch(100, 95, 101, 5));
        assert_eq!(table.estimate(&hit).0 - fair_value::mid(&hit).0, 3 << 30);
        assert_eq!(table.estimate(&missed), fair_value::mid(&missed));
        let crossed = touch(100, 1, 99, 1);
        assert_eq!(table.estimate(&crossed), fair_value::mid(&crossed));
    }
}
