//! What the tape displays of one instrument, and what participants have taken of it.
//!
//! Fed by the tape; feeds `matching.rs`. One thread. Deliberately absent: participants' own orders
//! (`queue.rs`).

use ballast_engine::units::{Lots, Side, Ticks};
use std::collections::BTreeMap;

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
#[derive(Clone, Debug, Default)]
pub struct DisplayedBook {
    levels: [BTreeMap<Ticks, Shown>; 2],
}

impl DisplayedBook {
    /// The tape's word on a level, whose volume is there again in full. Returns what stood before.
    pub fn set(&mut self, side: Side, price: Ticks, size: Lots) -> Shown {
        let levels = &mut self.levels[side.index()];
        let fresh = Shown { size, ..Shown::default() };
        if size.0 > 0 { levels.insert(price, fresh) } else { levels.remove(&price) }
            .unwrap_or_default()
    }

    /// Empties the book.
    pub fn clear(&mut self) {
        self.levels = Default::default();
    }

    /// A level as it stands.
    pub fn level(&self, side: Side, price: Ticks) -> Shown {
        self.levels[side.index()].get(&price).copied().unwrap_or_default()
    }

    /// Marks displayed volume as taken by a participant.
    pub fn take(&mut self, side: Side, price: Ticks, size: Lots) {
        if let Some(shown) = self.levels[side.index()].get_mut(&price) {
            shown.taken.0 = shown.taken.0.saturating_add(size.0);
        }
    }

    /// Notes a trade of the tape at a level.
    pub fn note_trade(&mut self, side: Side, price: Ticks, size: Lots) {
        if let Some(shown) = self.levels[side.index()].get_mut(&price) {
            shown.traded.0 = shown.traded.0.saturating_add(size.0);
        }
    }

    /// The best price of a side that has anything left to take.
    pub fn best(&self, side: Side) -> Option<(Ticks, Lots)> {
        self.from_best(side).find(|(_, size)| size.0 > 0)
    }

    /// All levels of a side with what is left of them, best first.
    pub fn from_best(&self, side: Side) -> Box<dyn Iterator<Item = (Ticks, Lots)> + '_> {
        let levels = self.levels[side.index()].iter().map(|(&p, shown)| (p, shown.available()));
        match side {
            Side::Buy => Box::new(levels.rev()),
            Side::Sell => Box::new(levels),
        }
    }
}
