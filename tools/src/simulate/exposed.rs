//! What could be held if everything that works traded, and what of it no order of ours asked for.
//!
//! A part of the checker, which holds it against the limits.

use ballast_engine::units::Side;

/// What the venue did to a position by itself: no order of ours asked for it, and none could prevent it.
#[derive(Default)]
pub(super) struct Upset {
    /// As the venue counts it, lots bought.
    pub(super) seen: i64,
    /// By so much the worst case may pass its limit, by side: until we know of it and are within again.
    pub(super) excused: [i64; 2],
}

impl Upset {
    /// The venue's count is now `total`.
    pub(super) fn hear(&mut self, total: i64) {
        let moved = total - self.seen;
        self.seen = total;
        let side = if moved > 0 { Side::Buy } else { Side::Sell };
        self.excused[side.index()] += moved.abs();
    }
}

/// Where a position of one instrument, and what works on both sides, would be if all of a side traded: lots
/// in that side's direction.
pub(super) fn worst_case((held, open): (i64, [i64; 2]), side: Side) -> i64 {
    held * side.sign() + open[side.index()]
}

/// Net delta and what works on both sides, of all instruments together, in 1e-9.
#[derive(Default)]
pub(super) struct Exposed {
    held: i128,
    open: [i128; 2],
}

impl Exposed {
    pub(super) fn add(&mut self, (held, open): (i64, [i64; 2]), per_lot: i128) {
        self.held += i128::from(held) * per_lot;
        for (sum, lots) in self.open.iter_mut().zip(open) {
            *sum += i128::from(lots) * per_lot;
        }
    }

    pub(super) fn worst(&self, side: Side) -> i128 {
        self.held * i128::from(side.sign()) + self.open[side.index()]
    }
}
