//! The feed's own book of one instrument: what it publishes again after the market ring was full.
//!
//! Fed by the feed with every change that it reads, also while none can be published; read back by
//! [`super::publisher`]. Feed thread. Two sorted arrays whose best level stands last, because most
//! changes are near the touch; all memory is taken at start. Deliberately absent: any opinion on the
//! market; the maker has a book of its own.

use ballast_engine::units::{Lots, Side, Ticks};

/// One price and all that is displayed there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Level {
    /// The price.
    pub price: Ticks,
    /// The size, greater than zero.
    pub size: Lots,
}

/// Bids and asks.
pub struct OwnBook {
    /// Bids ascending, asks descending: the best last.
    sides: [Vec<Level>; 2],
    levels_max: usize,
}

/// The book holds as many levels of a side as it can.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overfull;

impl OwnBook {
    /// A book of at most `levels_max` levels a side.
    pub fn new(levels_max: usize) -> OwnBook {
        let side = || Vec::with_capacity(levels_max);
        OwnBook { sides: [side(), side()], levels_max }
    }

    /// Empties it.
    pub fn clear(&mut self) {
        for side in &mut self.sides {
            side.clear();
        }
    }

    /// The size displayed at a price is now this; 0 removes the level. A side that is full gives up
    /// its worst level for a better one and says so.
    #[inline]
    pub fn set(&mut self, side: Side, price: Ticks, size: Lots) -> Result<(), Overfull> {
        // Most changes are at the touch: only behind it is there anything to search.
        if let Some(levels) = self.sides.get_mut(side.index())
            && let Some(best) = levels.last_mut()
            && best.price == price
        {
            best.size = size;
            if size.0 <= 0 {
                levels.pop();
            }
            return Ok(());
        }
        self.set_off_touch(side, price, size)
    }

    /// The same at any price, by searching.
    #[inline(never)]
    fn set_off_touch(&mut self, side: Side, price: Ticks, size: Lots) -> Result<(), Overfull> {
        let levels_max = self.levels_max;
        let Some(levels) = self.sides.get_mut(side.index()) else { return Ok(()) };
        let (key, depth) = (rank(side, price), levels.len());
        let place = match levels.last().map(|best| rank(side, best.price)) {
            Some(best) if best > key => {
                levels.partition_point(|level| rank(side, level.price) < key)
            }
            Some(best) => depth - usize::from(best == key),
            None => 0,
        };
        match levels.get_mut(place) {
            Some(level) if level.price == price => {
                if size.0 > 0 {
                    level.size = size;
                } else if place + 1 == depth {
                    levels.pop();
                } else {
                    levels.remove(place);
                }
                Ok(())
            }
            _ if size.0 <= 0 => Ok(()),
            _ if depth < levels_max => {
                levels.insert(place, Level { price, size });
                Ok(())
            }
            _ if place == 0 => Err(Overfull),
            _ => {
                // The worst goes: what stands between moves down by one.
                if let Some(window) = levels.get_mut(..place) {
                    window.rotate_left(1);
                    if let Some(last) = window.last_mut() {
                        *last = Level { price, size };
                    }
                }
                Err(Overfull)
            }
        }
    }

    /// The level next worse than `after`, or the best.
    pub fn next(&self, side: Side, after: Option<Ticks>) -> Option<Level> {
        let levels = self.sides.get(side.index())?;
        let end = match after {
            Some(price) => {
                let key = rank(side, price);
                levels.partition_point(|level| rank(side, level.price) < key)
            }
            None => levels.len(),
        };
        levels.get(end.checked_sub(1)?).copied()
    }

    /// The best level.
    pub fn best(&self, side: Side) -> Option<Level> {
        self.next(side, None)
    }

    /// Levels of a side.
    pub fn depth(&self, side: Side) -> usize {
        self.sides.get(side.index()).map_or(0, Vec::len)
    }
}

/// Greater is better: a price, or on the other side what is the less the greater the price is.
#[inline(always)]
fn rank(side: Side, price: Ticks) -> i64 {
    match side {
        Side::Buy => price.0,
        Side::Sell => !price.0,
    }
}

/// Whether `price` is better than `than`, or equal.
pub fn is_at_least_as_good(side: Side, price: Ticks, than: Ticks) -> bool {
    rank(side, price) >= rank(side, than)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn prices(book: &OwnBook, side: Side) -> Vec<i64> {
        let mut found = Vec::new();
        let mut after = None;
        while let Some(level) = book.next(side, after) {
            found.push(level.price.0);
            after = Some(level.price);
        }
        found
    }

    #[test]
    fn levels_are_read_from_the_best_outward() {
        let mut book = OwnBook::new(8);
        for price in [100, 103, 101, 102] {
            book.set(Side::Buy, Ticks(price), Lots(1)).unwrap();
            book.set(Side::Sell, Ticks(price + 10), Lots(1)).unwrap();
        }
        book.set(Side::Buy, Ticks(102), Lots(0)).unwrap();
        book.set(Side::Buy, Ticks(999), Lots(0)).unwrap();
        assert_eq!(prices(&book, Side::Buy), [103, 101, 100]);
        assert_eq!(prices(&book, Side::Sell), [110, 111, 112, 113]);
        assert_eq!(book.best(Side::Sell).unwrap().price, Ticks(110));
    }

    #[test]
    fn a_full_side_keeps_its_best_levels_and_says_so() {
        let mut book = OwnBook::new(3);
        for price in [100, 101, 102] {
            book.set(Side::Sell, Ticks(price), Lots(1)).unwrap();
        }
        assert_eq!(book.set(Side::Sell, Ticks(99), Lots(1)), Err(Overfull));
        assert_eq!(book.set(Side::Sell, Ticks(200), Lots(1)), Err(Overfull));
        assert_eq!(prices(&book, Side::Sell), [99, 100, 101]);
    }

    #[test]
    fn it_agrees_with_a_sorted_map() {
        let mut book = OwnBook::new(100);
        let mut model = BTreeMap::new();
        let mut seed = 3u64;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (price, size) = ((seed >> 40) as i64 % 60, (seed >> 20) as i64 % 4);
            book.set(Side::Buy, Ticks(price), Lots(size)).unwrap();
            if size > 0 {
                model.insert(price, size);
            } else {
                model.remove(&price);
            }
        }
        assert!(prices(&book, Side::Buy).into_iter().eq(model.keys().rev().copied()));
    }
}
