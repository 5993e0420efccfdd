//! One side's displayed levels, so that the levels near the touch are found by their price alone.
//!
//! Fed by `book.rs`; feeds it back levels in their order. One thread. A level within the window stands
//! at its price's own place (one bit says that it is there); what lies further out stands in a tree.
//! The window follows the touch. Measured against a tree alone: see the commit that brought it.

use super::book::Shown;
use ballast_engine::units::{Side, Ticks};
use std::collections::BTreeMap;

/// Ticks in the window: a power of two.
const WINDOW: i64 = 1 << 15;
const MASK: i64 = WINDOW - 1;
const BITS: i64 = 64;

/// One side's levels; none of size 0.
#[derive(Clone, Debug)]
pub struct Ladder {
    side: Side,
    /// The window's lowest price, a multiple of [`BITS`].
    base: i64,
    /// By price modulo the window; empty before the first level.
    slots: Vec<Shown>,
    used: Vec<u64>,
    outside: BTreeMap<Ticks, Shown>,
    best: Option<Ticks>,
}

fn slot(price: Ticks) -> usize {
    usize::try_from(price.0 & MASK).unwrap_or(0)
}

impl Ladder {
    /// No levels.
    pub fn new(side: Side) -> Ladder {
        let (slots, used, outside) = (Vec::new(), Vec::new(), BTreeMap::new());
        Ladder { side, base: 0, slots, used, outside, best: None }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.slots.fill(Shown::default());
        self.used.fill(0);
        self.outside.clear();
        self.best = None;
    }

    fn is_inside(&self, price: Ticks) -> bool {
        let place = price.0.wrapping_sub(self.base);
        (0..WINDOW).contains(&place) && !self.slots.is_empty()
    }

    fn is_better(&self, a: Ticks, b: Ticks) -> bool {
        match self.side {
            Side::Buy => a > b,
            Side::Sell => a < b,
        }
    }

    fn better(&self, a: Option<Ticks>, b: Option<Ticks>) -> Option<Ticks> {
        match (a, b) {
            (Some(a), Some(b)) => Some(if self.is_better(a, b) { a } else { b }),
            (one, other) => one.or(other),
        }
    }

    /// A level as it stands; empty where there is none.
    pub fn get(&self, price: Ticks) -> Shown {
        if self.is_inside(price) {
            self.slots[slot(price)]
        } else {
            self.outside.get(&price).copied().unwrap_or_default()
        }
    }

    /// A level to be changed, but not in its size.
    pub fn get_mut(&mut self, price: Ticks) -> Option<&mut Shown> {
        if !self.is_inside(price) {
            return self.outside.get_mut(&price);
        }
        Some(&mut self.slots[slot(price)]).filter(|shown| shown.size.0 > 0)
    }

    /// The level stands like this from now on. Returns how it stood.
    #[inline]
    pub fn set(&mut self, price: Ticks, shown: Shown) -> Shown {
        if shown.size.0 <= 0 {
            return self.remove(price);
        }
        let is_best = self.best.is_none_or(|best| self.is_better(price, best));
        if is_best && !self.is_inside(price) {
            self.move_window(price);
        }
        let before = if self.is_inside(price) {
            let place = slot(price);
            self.used[place / 64] |= 1 << (place % 64);
            std::mem::replace(&mut self.slots[place], shown)
        } else {
            self.outside.insert(price, shown).unwrap_or_default()
        };
        if is_best {
            self.best = Some(price);
        }
        before
    }

    fn remove(&mut self, price: Ticks) -> Shown {
        let before = if self.is_inside(price) {
            let place = slot(price);
            self.used[place / 64] &= !(1 << (place % 64));
            std::mem::take(&mut self.slots[place])
        } else {
            self.outside.remove(&price).unwrap_or_default()
        };
        if self.best == Some(price) {
            self.best = self.worse_than(price);
            if let Some(best) = self.best.filter(|best| !self.is_inside(*best)) {
                self.move_window(best);
            }
        }
        before
    }

    /// Puts the window around a price.
    fn move_window(&mut self, center: Ticks) {
        if self.slots.is_empty() {
            self.slots = vec![Shown::default(); slot(Ticks(MASK)) + 1];
            self.used = vec![0; self.slots.len() / 64];
        }
        let base = center.0.saturating_sub(WINDOW / 2) & !(BITS - 1);
        let from = self.base;
        let is_kept = |price: i64| (0..WINDOW).contains(&price.wrapping_sub(base));
        for price in (0..WINDOW).map(|place| Ticks(from.wrapping_add(place))) {
            let place = slot(price);
            if self.used[place / 64] & (1 << (place % 64)) != 0 && !is_kept(price.0) {
                self.used[place / 64] &= !(1 << (place % 64));
                self.outside.insert(price, std::mem::take(&mut self.slots[place]));
            }
        }
        self.base = base;
        let to = Ticks(base.saturating_add(MASK));
        let inside: Vec<Ticks> = self.outside.range(Ticks(base)..=to).map(|l| *l.0).collect();
        for price in inside {
            if let Some(shown) = self.outside.remove(&price) {
                let place = slot(price);
                self.used[place / 64] |= 1 << (place % 64);
                self.slots[place] = shown;
            }
        }
    }

    /// The best price that is worse than `price`.
    pub fn worse_than(&self, price: Ticks) -> Option<Ticks> {
        use std::ops::Bound::{Excluded, Unbounded};
        match self.side {
            Side::Buy => {
                let below = self.outside.range(..price).next_back().map(|level| *level.0);
                let top = Ticks(self.base.saturating_add(MASK));
                let from = Ticks(price.0.saturating_sub(1)).min(top);
                self.better(self.at_or_below(from), below)
            }
            Side::Sell => {
                let above = self.outside.range((Excluded(price), Unbounded)).next();
                let above = above.map(|level| *level.0);
                let from = Ticks(price.0.saturating_add(1)).max(Ticks(self.base));
                self.better(self.at_or_above(from), above)
            }
        }
    }

    /// The highest price of the window that is not above `from`.
    fn at_or_below(&self, from: Ticks) -> Option<Ticks> {
        let mut price = from;
        while self.is_inside(price) {
            let place = slot(price);
            let bits = self.used[place / 64] & (u64::MAX >> (63 - place % 64));
            if bits != 0 {
                let down = i64::from(bits.leading_zeros()) - (63 - (price.0 & (BITS - 1)));
                return Some(Ticks(price.0 - down));
            }
            price = Ticks(price.0.wrapping_sub((price.0 & (BITS - 1)) + 1));
        }
        None
    }

    /// The lowest price of the window that is not below `from`.
    fn at_or_above(&self, from: Ticks) -> Option<Ticks> {
        let mut price = from;
        while self.is_inside(price) {
            let place = slot(price);
            let bits = self.used[place / 64] & (u64::MAX << (place % 64));
            if bits != 0 {
                let up = i64::from(bits.trailing_zeros()) - (price.0 & (BITS - 1));
                return Some(Ticks(price.0 + up));
            }
            price = Ticks(price.0.wrapping_add(BITS - (price.0 & (BITS - 1))));
        }
        None
    }

    /// All levels, best first.
    pub fn best_first(&self) -> impl Iterator<Item = (Ticks, Shown)> + '_ {
        let prices = std::iter::successors(self.best, |price| self.worse_than(*price));
        prices.map(|price| (price, self.get(price)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use ballast_engine::units::Lots;

    fn of(size: i64) -> Shown {
        Shown { size: Lots(size), ..Shown::default() }
    }

    /// The same as a tree alone.
    fn compared(side: Side, seed: u64, start: i64, width: u64) {
        let mut random = Random::new(seed);
        let (mut ladder, mut tree) = (Ladder::new(side), BTreeMap::new());
        let mut touch = start;
        for step in 0..6_000u64 {
            if random.below(40) == 0 {
                touch = touch
                    .saturating_add_unsigned(random.below(width))
                    .saturating_sub_unsigned(width / 2);
            }
            let near = if random.below(3) == 0 { width } else { 40 };
            let price = Ticks(touch.saturating_add_unsigned(random.below(near)));
            let size = if random.below(3) == 0 { 0 } else { i64::try_from(step).unwrap() + 1 };
            let before = if size > 0 { tree.insert(price, of(size)) } else { tree.remove(&price) };
            assert_eq!(ladder.set(price, of(size)), before.unwrap_or_default(), "step {step}");
            let best = match side {
                Side::Buy => tree.last_key_value(),
                Side::Sell => tree.first_key_value(),
            };
            assert_eq!(ladder.best, best.map(|level| *level.0), "step {step}");
            if step % 500 == 499 {
                let all: Vec<(Ticks, Shown)> = ladder.best_first().collect();
                let mut expected: Vec<_> = tree.iter().map(|(p, s)| (*p, *s)).collect();
                if side == Side::Buy {
                    expected.reverse();
                }
                assert_eq!(all, expected, "step {step}");
                assert!(tree.keys().all(|price| ladder.get_mut(*price).is_some()));
            }
        }
        ladder.clear();
        assert_eq!((ladder.best, ladder.best_first().count()), (None, 0));
    }

    #[test]
    fn a_ladder_says_what_a_tree_says_wherever_the_touch_goes() {
        for side in Side::BOTH {
            for (seed, width) in [(1, 60), (2, 20_000), (3, 160_000)] {
                compared(side, seed, 6_168_599, width);
            }
            compared(side, 4, -70, 36_000);
            compared(side, 5, i64::MAX - 80_000, 36_000);
            compared(side, 6, i64::MIN, 36_000);
        }
    }

    #[test]
    fn a_level_that_is_not_there_is_nothing() {
        let mut ladder = Ladder::new(Side::Buy);
        assert_eq!(ladder.set(Ticks(5), of(0)), Shown::default());
        assert!(ladder.get_mut(Ticks(5)).is_none() && ladder.best.is_none());
        assert_eq!(ladder.worse_than(Ticks(9)), None);
    }
}
