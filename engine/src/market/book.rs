//! One instrument's order book, by price level (L2).
//!
//! Fed by the maker with [`MarketUpdate`](crate::event::MarketUpdate)s; feeds fair value, the hedger's view of depth and
//! the collar. Maker thread. Levels near the touch stand each at its price's own place (`near.rs`): an update there
//! is a store, wherever it is. Those further out are a sorted array of fixed capacity, best level last,
//! where a price that was never seen shifts `16·d` bytes with `d` levels to the nearer end (`shelf.rs`) or
//! to a near empty place. A level out there that goes leaves its place behind, empty, for venues take
//! levels out and put them back all day long; the places are given up when the touch comes to them, when a
//! new price near by needs one, or when there are a quarter more of them than levels may live. The touch
//! stands always near: where it leaves the window, the window follows, and what changes between near and far
//! stands at the far array's end.
//! Deliberately absent: orders (L3) and any allocation after start.
//!
//! A full side forgets its worst level and remembers that it did: beyond [`Book::horizon`] the book
//! says "unknown", never "empty".

use super::near::Near;
use super::shelf::Shelf;
use crate::units::{Lots, Side, Ticks};

/// A price level: all that is displayed at one price.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Level {
    /// The price.
    pub price: Ticks,
    /// Displayed size; never 0 in a book.
    pub size: Lots,
}

/// The best level of both sides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Touch {
    /// Highest bid.
    pub bid: Level,
    /// Lowest ask.
    pub ask: Level,
}

impl Touch {
    /// Twice the mid price, in ticks: a mid may stand between two ticks, and this is exact.
    pub fn mid_half_ticks(&self) -> i64 {
        self.bid.price.0.saturating_add(self.ask.price.0)
    }

    /// Ask minus bid; zero or less means locked or crossed.
    pub fn spread(&self) -> Ticks {
        Ticks(self.ask.price.0.saturating_sub(self.bid.price.0))
    }
}

/// One side: near levels by their price, and those that are worse than all of the window sorted so that the
/// best is last. Of the latter those of size 0 are places that wait for their price to come back; neither
/// end is one.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
struct Ranked {
    side: Side,
    near: Near,
    far: Shelf,
    /// How many have a size.
    live: usize,
    capacity: usize,
    /// The best price that was ever pushed out for want of room since the last reset.
    forgotten: Option<Ticks>,
}

/// Places for so many levels: a quarter more, so that a full side whose levels come and go all day is swept
/// once in as many changes, and not with each of them.
fn places(capacity: usize) -> usize {
    capacity.saturating_add(capacity / 4).saturating_add(1)
}

/// The greater the better: a price, or on the other side what is the less the greater the price is.
#[inline]
fn rank(side: Side, price: Ticks) -> i64 {
    match side {
        Side::Buy => price.0,
        Side::Sell => !price.0,
    }
}

impl Ranked {
    fn new(side: Side, capacity: usize) -> Ranked {
        let (near, far) = (Near::new(capacity), Shelf::new(places(capacity)));
        Ranked { side, near, far, live: 0, capacity, forgotten: None }
    }

    /// Is `a` strictly worse than `b` on this side?
    fn is_worse(&self, a: Ticks, b: Ticks) -> bool {
        rank(self.side, a) < rank(self.side, b)
    }

    /// A near level. What makes a rank of a price makes a price of a rank.
    #[inline]
    fn level(&self, at: i64, size: i64) -> Level {
        Level { price: Ticks(rank(self.side, Ticks(at))), size: Lots(size) }
    }

    #[inline]
    fn best(&self) -> Option<Level> {
        self.near.best().map(|best| self.level(best, self.near.get(best)))
    }

    fn best_first(&self) -> impl Iterator<Item = Level> + '_ {
        let near = self.near.best_first().map(|(at, size)| self.level(at, size));
        near.chain(self.far.iter().rev().filter(|level| level.size.0 > 0).copied())
    }

    fn clear(&mut self) {
        self.near.clear();
        self.far.clear();
        self.live = 0;
        self.forgotten = None;
    }

    #[inline]
    fn set(&mut self, price: Ticks, size: Lots) {
        let (at, size) = (rank(self.side, price), Lots(size.0.max(0)));
        let is_best = self.near.best().is_none_or(|best| at > best);
        if is_best && size.0 > 0 && !self.near.holds(at) {
            self.move_window(at);
        }
        if self.near.holds(at) {
            self.set_near(at, price, size);
        } else {
            self.set_far(price, size);
        }
    }

    #[inline]
    fn set_near(&mut self, at: i64, price: Ticks, size: Lots) {
        if size.0 > 0 && self.live >= self.capacity && self.near.get(at) == 0 {
            let is_worst = self.far.is_empty() && self.near.from(i64::MIN).is_some_and(|w| at < w);
            if is_worst {
                self.forget(price);
                return;
            }
            self.give_up_worst();
        }
        let was_live = self.near.set(at, size.0) > 0;
        self.live = (self.live + usize::from(size.0 > 0)).saturating_sub(usize::from(was_live));
        if size.0 == 0 && was_live && self.near.is_low() {
            self.follow_down();
        }
    }

    /// The best level went and what is left stands low in the window, or behind it: the window follows.
    #[cold]
    fn follow_down(&mut self) {
        let far = self.far.last().map(|level| rank(self.side, level.price));
        if let Some(best) = self.near.best().or(far).filter(|_| far.is_some()) {
            self.move_window(best);
        }
    }

    /// Puts the window around the best level, or around the one that is to be it.
    #[cold]
    fn move_window(&mut self, best: i64) {
        let base = self.near.base_for(best);
        // What falls behind is better than all that is far, and the worst of it goes first.
        while let Some(at) = self.near.from(i64::MIN).filter(|at| *at < base) {
            let size = self.near.set(at, 0);
            if self.far.len() >= places(self.capacity) {
                self.far.retain(|level| level.size.0 > 0);
            }
            self.far.insert(self.far.len(), self.level(at, size));
        }
        self.near.begin_at(base);
        while let Some(level) = self.far.last().copied() {
            let at = rank(self.side, level.price);
            if level.size.0 > 0 && at < base {
                break;
            }
            self.far.remove(self.far.len() - 1);
            if level.size.0 > 0 {
                self.near.set(at, level.size.0);
            }
        }
    }

    fn set_far(&mut self, price: Ticks, size: Lots) {
        let place = self.place_of(price);
        match self.far.get_mut(place) {
            Some(level) if level.price == price => {
                let (was_live, is_live) = (level.size.0 > 0, size.0 > 0);
                if is_live && !was_live && self.live >= self.capacity {
                    self.give_up_worst();
                    return self.set_far(price, size);
                }
                level.size = size;
                self.live =
                    (self.live + usize::from(is_live)).saturating_sub(usize::from(was_live));
                if !is_live {
                    self.trim(place);
                }
            }
            Some(_) | None if size.0 > 0 => self.insert(place, Level { price, size }),
            // A deletion of a level that is not there: venues send them for levels beyond the
            // snapshot's depth.
            Some(_) | None => {}
        }
    }

    /// How many far levels are worse than `price`.
    fn place_of(&self, price: Ticks) -> usize {
        let Some(best) = self.far.last() else { return 0 };
        if self.is_worse(best.price, price) {
            return self.far.len();
        }
        // Between it and the best stand at most as many levels as ticks: where books are dense that
        // leaves few to look among.
        let away = usize::try_from(best.price.0.abs_diff(price.0)).unwrap_or(usize::MAX);
        let low = self.far.len().saturating_sub(1).saturating_sub(away);
        let left = self.far.get(low..).unwrap_or_default();
        // The side is asked once, not with every level that is looked at.
        let worse = match self.side {
            Side::Buy => left.partition_point(|level| level.price < price),
            Side::Sell => left.partition_point(|level| level.price > price),
        };
        low + worse
    }

    fn insert(&mut self, mut place: usize, level: Level) {
        if self.live >= self.capacity {
            // The worst level goes, or the new one where that is the worst.
            if place == 0 {
                self.forget(level.price);
                return;
            }
            self.give_up_worst();
            place = self.place_of(level.price);
        }
        self.live += 1;
        if self.far.settle(place, level, |level| level.size.0 <= 0) {
            return;
        }
        if self.far.len() >= places(self.capacity) {
            self.far.retain(|level| level.size.0 > 0);
            place = self.place_of(level.price);
        }
        self.far.insert(place, level);
    }

    /// The worst level makes room, and the book says so.
    fn give_up_worst(&mut self) {
        self.live = self.live.saturating_sub(1);
        let Some(worst) = self.far.first() else {
            if let Some(worst) = self.near.from(i64::MIN) {
                self.near.set(worst, 0);
                self.forget(self.level(worst, 0).price);
            }
            return;
        };
        self.forget(worst.price);
        self.far.remove(0);
        while self.far.first().is_some_and(|level| level.size.0 <= 0) {
            self.far.remove(0);
        }
    }

    /// Gives up the empty places at an end, after the level at `place` went. Each was a level once, so
    /// that a level costs one step here in its life.
    fn trim(&mut self, place: usize) {
        let is_empty = |level: Option<&Level>| level.is_some_and(|level| level.size.0 <= 0);
        if place + 1 == self.far.len() {
            while is_empty(self.far.last()) {
                self.far.remove(self.far.len() - 1);
            }
        } else if place == 0 {
            while is_empty(self.far.first()) {
                self.far.remove(0);
            }
        }
    }

    fn forget(&mut self, price: Ticks) {
        match self.forgotten {
            Some(best) if !self.is_worse(best, price) => {}
            Some(_) | None => self.forgotten = Some(price),
        }
    }
}

/// An instrument's order book.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Book {
    bids: Ranked,
    asks: Ranked,
}

impl Book {
    /// An empty book that holds at most `levels_max` levels a side.
    pub fn new(levels_max: usize) -> Book {
        let capacity = levels_max.max(1);
        Book { bids: Ranked::new(Side::Buy, capacity), asks: Ranked::new(Side::Sell, capacity) }
    }

    /// Forgets everything: a snapshot follows.
    pub fn reset(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    /// The displayed size at a price is now `size`; 0 (or less) removes the level.
    #[inline]
    pub fn set(&mut self, side: Side, price: Ticks, size: Lots) {
        let ranked = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        ranked.set(price, size);
    }

    #[inline]
    fn ranked(&self, side: Side) -> &Ranked {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    /// The best level of a side.
    #[inline]
    pub fn best(&self, side: Side) -> Option<Level> {
        self.ranked(side).best()
    }

    /// Both best levels, or `None` while a side is empty.
    #[inline]
    pub fn touch(&self) -> Option<Touch> {
        Some(Touch { bid: self.best(Side::Buy)?, ask: self.best(Side::Sell)? })
    }

    /// Levels of a side from the best outwards.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        self.ranked(side).best_first()
    }

    /// How many levels a side holds.
    pub fn depth(&self, side: Side) -> usize {
        self.ranked(side).live
    }

    /// The best price that a full side had to forget since the last reset: from there on outwards
    /// the book may lack levels.
    pub fn horizon(&self, side: Side) -> Option<Ticks> {
        self.ranked(side).forgotten
    }

    /// What is displayed on `side` at `limit` or better: what an order that takes up to `limit`
    /// could get. Visits at most `levels_max` levels.
    pub fn size_within(&self, side: Side, limit: Ticks, levels_max: usize) -> Lots {
        let ranked = self.ranked(side);
        let mut total = Lots(0);
        for level in self.levels(side).take(levels_max) {
            if ranked.is_worse(level.price, limit) {
                break;
            }
            total = Lots(total.0.saturating_add(level.size.0));
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn bid(book: &mut Book, price: i64, size: i64) {
        book.set(Side::Buy, Ticks(price), Lots(size));
    }

    #[test]
    fn the_best_level_is_the_highest_bid_and_the_lowest_ask() {
        let mut book = Book::new(8);
        for price in [100, 102, 99] {
            bid(&mut book, price, 1);
            book.set(Side::Sell, Ticks(price + 10), Lots(2));
        }
        let touch = book.touch().unwrap();
        assert_eq!((touch.bid.price, touch.ask.price), (Ticks(102), Ticks(109)));
        assert_eq!(touch.mid_half_ticks(), 211);
    }

    #[test]
    fn size_zero_removes_a_level_and_an_unknown_removal_changes_nothing() {
        let mut book = Book::new(8);
        bid(&mut book, 100, 5);
        bid(&mut book, 99, 0);
        bid(&mut book, 100, 0);
        assert_eq!(book.best(Side::Buy), None);
        assert_eq!(book.touch(), None);
    }

    #[test]
    fn a_full_side_forgets_its_worst_level_and_says_so() {
        let mut book = Book::new(2);
        bid(&mut book, 100, 1);
        bid(&mut book, 101, 1);
        bid(&mut book, 99, 1);
        assert_eq!(book.horizon(Side::Buy), Some(Ticks(99)));
        bid(&mut book, 102, 1);
        assert_eq!(book.horizon(Side::Buy), Some(Ticks(100)));
        let prices: Vec<_> = book.levels(Side::Buy).map(|l| l.price.0).collect();
        assert_eq!(prices, [102, 101]);
        book.reset();
        assert_eq!(book.horizon(Side::Buy), None);
    }

    #[test]
    fn size_within_counts_up_to_the_limit_price() {
        let mut book = Book::new(8);
        for (price, size) in [(110, 1), (111, 2), (113, 4)] {
            book.set(Side::Sell, Ticks(price), Lots(size));
        }
        assert_eq!(book.size_within(Side::Sell, Ticks(112), 10), Lots(3));
        assert_eq!(book.size_within(Side::Sell, Ticks(200), 2), Lots(3));
        assert_eq!(book.size_within(Side::Sell, Ticks(109), 10), Lots(0));
    }

    proptest! {
        #[test]
        fn the_book_equals_a_sorted_map(updates in proptest::collection::vec((0u8..2, 0i64..60, 0i64..4), 0..400)) {
            let mut book = Book::new(64);
            let mut maps = [BTreeMap::new(), BTreeMap::new()];
            for (side, price, size) in updates {
                let side = if side == 0 { Side::Buy } else { Side::Sell };
                book.set(side, Ticks(price), Lots(size));
                let map = &mut maps[side.index()];
                if size > 0 { map.insert(price, size); } else { map.remove(&price); }
            }
            let bids: Vec<_> = book.levels(Side::Buy).map(|l| (l.price.0, l.size.0)).collect();
            let asks: Vec<_> = book.levels(Side::Sell).map(|l| (l.price.0, l.size.0)).collect();
            let expected_bids: Vec<_> = maps[0].iter().rev().map(|(p, s)| (*p, *s)).collect();
            let expected_asks: Vec<_> = maps[1].iter().map(|(p, s)| (*p, *s)).collect();
            prop_assert_eq!(bids, expected_bids);
            prop_assert_eq!(asks, expected_asks);
        }

        /// Deep enough that what comes far from the touch settles in places that others left.
        #[test]
        fn a_deep_book_whose_levels_come_and_go_equals_a_sorted_map(
            capacity in 150usize..300,
            updates in proptest::collection::vec((0i64..400, 0i64..3), 1_000..3_000),
        ) {
            let mut book = Book::new(capacity);
            let mut map = BTreeMap::new();
            for (n, (price, size)) in updates.into_iter().enumerate() {
                // Far from each other: most lie behind the window.
                let price = price * 9;
                book.set(Side::Sell, Ticks(price), Lots(size));
                if size == 0 {
                    map.remove(&price);
                } else {
                    map.insert(price, size);
                }
                if map.len() > capacity {
                    map.pop_last();
                }
                prop_assert_eq!(book.depth(Side::Sell), map.len());
                if n % 50 == 0 {
                    let levels = book.levels(Side::Sell).map(|l| (l.price.0, l.size.0));
                    prop_assert!(levels.eq(map.iter().map(|(p, s)| (*p, *s))), "after {n}");
                }
            }
        }

        /// A touch that wanders takes its window along; what it leaves behind is far, and near again.
        #[test]
        fn a_book_whose_touch_wanders_equals_a_sorted_map(
            capacity in 20usize..200,
            updates in proptest::collection::vec((-40i64..900, 0i64..3, 0u8..40), 500..2_000),
        ) {
            let mut book = Book::new(capacity);
            let (mut map, mut at) = (BTreeMap::new(), 0i64);
            for (behind, size, wander) in updates {
                // Now and then the market goes elsewhere, and what stood better there goes.
                let sweeps = wander == 0 && !map.is_empty();
                if sweeps {
                    at -= 7 * behind;
                    while let Some((&best, _)) = map.last_key_value().filter(|(p, _)| **p > at) {
                        bid(&mut book, best, 0);
                        map.pop_last();
                    }
                }
                let price = at - behind;
                bid(&mut book, price, size);
                if size == 0 { map.remove(&price); } else { map.insert(price, size); }
                if map.len() > capacity {
                    map.pop_first();
                }
                prop_assert_eq!(book.best(Side::Buy).map(|l| l.price.0), map.keys().next_back().copied());
                prop_assert_eq!(book.depth(Side::Buy), map.len());
                if sweeps {
                    let levels = book.levels(Side::Buy).map(|l| (l.price.0, l.size.0));
                    prop_assert!(levels.eq(map.iter().rev().map(|(p, s)| (*p, *s))));
                }
            }
            let levels = book.levels(Side::Buy).map(|l| (l.price.0, l.size.0));
            prop_assert!(levels.eq(map.iter().rev().map(|(p, s)| (*p, *s))));
        }

        /// Whatever comes and goes, also at the edge of what fits: the levels, what was forgotten, and
        /// the size up to a price.
        #[test]
        fn a_small_book_equals_a_sorted_map_that_forgets_its_worst(
            capacity in 1usize..12,
            stride in 1i64..160,
            updates in proptest::collection::vec((0i64..40, 0i64..3), 0..600),
        ) {
            let mut book = Book::new(capacity);
            let (mut map, mut forgotten) = (BTreeMap::new(), None::<i64>);
            for (price, size) in updates {
                // Near each other and far apart.
                let price = if price < 30 { price } else { price * stride };
                bid(&mut book, price, size);
                if size == 0 {
                    map.remove(&price);
                } else {
                    map.insert(price, size);
                }
                if map.len() > capacity {
                    let (worst, _) = map.pop_first().unwrap();
                    forgotten = Some(forgotten.map_or(worst, |known| known.max(worst)));
                }
                let levels: Vec<_> = book.levels(Side::Buy).map(|l| (l.price.0, l.size.0)).collect();
                prop_assert_eq!(&levels, &map.iter().rev().map(|(p, s)| (*p, *s)).collect::<Vec<_>>());
                prop_assert_eq!(book.best(Side::Buy).map(|l| l.price.0), map.keys().next_back().copied());
                prop_assert_eq!(book.depth(Side::Buy), map.len());
                prop_assert_eq!(book.horizon(Side::Buy).map(|p| p.0), forgotten);
                let within: i64 = map.range(10..).rev().take(5).map(|(_, size)| size).sum();
                prop_assert_eq!(book.size_within(Side::Buy, Ticks(10), 5), Lots(within));
            }
        }
    }
}
