//! The mids of the last while, by the venue's time: what stood just before a fill.
//!
//! Fed by the maker with every mark and the venue's time of the message that made it; asked by the
//! booking of a fill, whose report comes later than the market that it was made in. Maker thread: a
//! mark is one store, a fill a look at no more than [`MIDS`]. Deliberately absent: the receive time. A
//! venue that does not say when leaves no history, and the last mark stands.

use super::valuation::HalfTicks;
use crate::units::Nanos;

/// How many are kept.
pub const MIDS: usize = 256;

/// The history of one instrument.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Mids {
    /// Newest at `taken − 1` modulo [`MIDS`].
    mids: Box<[(Nanos, HalfTicks)]>,
    taken: usize,
}

impl Default for Mids {
    fn default() -> Mids {
        Mids { mids: vec![(Nanos(0), HalfTicks(0)); MIDS].into(), taken: 0 }
    }
}

impl Mids {
    /// The mid is this since the venue's time `venue_at`.
    pub fn on_mark(&mut self, venue_at: Nanos, mid: HalfTicks) {
        if venue_at == Nanos(0) {
            return;
        }
        if let Some(place) = self.mids.get_mut(self.taken % MIDS) {
            *place = (venue_at, mid);
            self.taken = self.taken.wrapping_add(1);
        }
    }

    /// The market was lost: what stood before says nothing about what stands now.
    pub fn on_gap(&mut self) {
        self.taken = 0;
    }

    /// The mid that stood just before the venue's time `venue_at`; `None` where that is not known.
    pub fn before(&self, venue_at: Nanos) -> Option<HalfTicks> {
        if venue_at == Nanos(0) {
            return None;
        }
        let kept = self.taken.min(MIDS);
        let newest_first = (1..=kept).map(|back| self.taken.wrapping_sub(back) % MIDS);
        let mut mids = newest_first.filter_map(|place| self.mids.get(place));
        // At the fill's own moment the book shows what the fill did to it.
        mids.find(|(at, _)| *at < venue_at).map(|(_, mid)| *mid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mid_before_a_fill_is_the_last_one_of_an_earlier_moment() {
        let mut mids = Mids::default();
        for (at, mid) in [(100, 1), (200, 2), (200, 3), (300, 4)] {
            mids.on_mark(Nanos(at), HalfTicks(mid));
        }
        assert_eq!(mids.before(Nanos(300)), Some(HalfTicks(3)));
        assert_eq!(mids.before(Nanos(301)), Some(HalfTicks(4)));
        assert_eq!(mids.before(Nanos(200)), Some(HalfTicks(1)));
        assert_eq!(mids.before(Nanos(100)), None, "before all that is known");
    }

    #[test]
    fn a_venue_without_times_and_a_lost_market_leave_nothing() {
        let mut mids = Mids::default();
        mids.on_mark(Nanos(0), HalfTicks(1));
        assert_eq!(mids.before(Nanos(u64::MAX)), None);
        mids.on_mark(Nanos(5), HalfTicks(1));
        assert_eq!(mids.before(Nanos(0)), None);
        mids.on_gap();
        assert_eq!(mids.before(Nanos(6)), None);
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut mids = Mids::default();
        for n in 1..=MIDS as u64 + 5 {
            mids.on_mark(Nanos(n), HalfTicks(n as i64));
        }
        assert_eq!(mids.before(Nanos(6)), None);
        assert_eq!(mids.before(Nanos(7)), Some(HalfTicks(6)));
    }
}
