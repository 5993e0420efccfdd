//! What the tape displays of one instrument, and what participants have taken of it.
//!
//! Fed by the tape; feeds `matching.rs`. One thread. Deliberately absent: participants' own orders
//! (`queue.rs`).

use super::ladder::Ladder;
use ballast_engine::units::{Lots, Side, Ticks};

/// One displayed level.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shown {
    /// The tape's size.
    pub size: Lots,
    /// What participants took since the tape last spoke of the level.
    pub taken: Lots,
    /// What the tape's trades took since then: the next size's decrease is not all cancels.
    pub traded: Lots,
}

impl Shown {
    /// What is there to be taken.
    pub fn available(self) -> Lots {
        Lots((self.size.0 - self.taken.0).max(0))
    }
}

/// Both sides of the displayed book.
#[derive(Clone, Debug)]
pub struct DisplayedBook {
    levels: [Ladder; 2],
}

impl Default for DisplayedBook {
    fn default() -> DisplayedBook {
        DisplayedBook { levels: Side::BOTH.map(Ladder::new) }
    }
}

impl DisplayedBook {
    /// The tape's word on a level, whose volume is there again in full. Returns what stood before.
    #[inline]
    pub fn set(&mut self, side: Side, price: Ticks, size: Lots) -> Shown {
        self.levels[side.index()].set(price, Shown { size, ..Shown::default() })
    }

    /// Empties the book.
    pub fn clear(&mut self) {
        self.levels.iter_mut().for_each(Ladder::clear);
    }

    /// A level as it stands.
    pub fn level(&self, side: Side, price: Ticks) -> Shown {
        self.levels[side.index()].get(price)
    }

    /// Marks displayed volume as taken by a participant.
    pub fn take(&mut self, side: Side, price: Ticks, size: Lots) {
        if let Some(shown) = self.levels[side.index()].get_mut(price) {
            shown.taken.0 = shown.taken.0.saturating_add(size.0);
        }
    }

    /// Notes a trade of the tape at a level.
    pub fn note_trade(&mut self, side: Side, price: Ticks, size: Lots) {
        if let Some(shown) = self.levels[side.index()].get_mut(price) {
            shown.traded.0 = shown.traded.0.saturating_add(size.0);
        }
    }

    /// The best price of a side that has anything left to take.
    pub fn best(&self, side: Side) -> Option<(Ticks, Lots)> {
        self.from_best(side).find(|(_, size)| size.0 > 0)
    }

    /// All levels of a side with what is left of them, best first.
    pub fn from_best(&self, side: Side) -> impl Iterator<Item = (Ticks, Lots)> + '_ {
        self.levels[side.index()].best_first().map(|(price, shown)| (price, shown.available()))
    }
}
