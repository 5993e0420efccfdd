//! One instrument's recorded book: snapshot and increments put together in the venue's sequence,
//! with the faster best prices laid over them.
//!
//! Fed by `merge.rs` with counted levels; feeds it back the levels that changed. Any one thread.
//! Deliberately absent: time, and anybody's orders.
//!
//! **Best prices.** Spot's depth comes every 100 ms, its bookTicker at once; a book of depth alone
//! would be 100 ms old, and a quote placed on it would stand in a market that had moved. So a best
//! price whose `u` is newer than the depth's last `u` is laid over the book: everything better than
//! it is gone, and its own size stands. Each such level carries its `u`, and as soon as a depth
//! message reaches that `u` the depth's word stands again: the layer can be early, never wrong for
//! longer than one depth message.

use super::Numbering;
use ballast_engine::units::{Lots, Side, Ticks};
use std::collections::{BTreeMap, VecDeque};

/// How many depth messages wait for a snapshot. The recordings at hand need 37; a collector asks
/// for its snapshot at once, so that more than this means there is none.
pub const WAITING_MAX: usize = 4096;

/// One level as the venue says that it now is; 0 lots: gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Level {
    /// Bids or asks.
    pub side: Side,
    /// Its price.
    pub price: Ticks,
    /// All that is displayed there.
    pub size: Lots,
}

/// A depth message, counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Increment {
    /// First update in it (`U`).
    pub first: u64,
    /// Last update in it (`u`).
    pub last: u64,
    /// Last update of the message before (`pu`; futures).
    pub previous: Option<u64>,
    /// What changed.
    pub levels: Vec<Level>,
}

/// What a message did to the book. The levels that changed stand in the buffer that was passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The levels are to be applied (there may be none).
    Levels,
    /// The book begins anew with the levels. `follow_up` tells whether increments that waited for
    /// this snapshot broke the sequence at once.
    Reset {
        /// The sequence broke again among the increments that had waited.
        gap_after: bool,
    },
    /// The sequence broke here: the book is not to be believed until a snapshot.
    Gap,
    /// Nothing changed: already known.
    Old,
    /// There is no book yet; an increment was kept back for it.
    Waiting,
    /// More increments wait than a late snapshot explains.
    TooManyWaiting,
}

/// A book under reconstruction.
#[derive(Debug)]
pub struct RecordedBook {
    numbering: Numbering,
    synced: Option<Synced>,
    waiting: VecDeque<Increment>,
    /// The depth stream's word, by side and price.
    depth: [BTreeMap<Ticks, Lots>; 2],
    /// Best prices newer than the depth stream's last update, with the update that said so.
    ahead: [BTreeMap<Ticks, (Lots, u64)>; 2],
    /// The newest best bid and ask, with their update.
    best: Option<(u64, [Ticks; 2])>,
    has_had_snapshot: bool,
}

#[derive(Clone, Copy, Debug)]
struct Synced {
    last: u64,
    /// The next increment is the first after the snapshot, which may overlap it.
    overlaps: bool,
}

impl RecordedBook {
    /// A book that waits for its snapshot.
    pub fn new(numbering: Numbering) -> RecordedBook {
        RecordedBook {
            numbering,
            synced: None,
            waiting: VecDeque::new(),
            depth: [BTreeMap::new(), BTreeMap::new()],
            ahead: [BTreeMap::new(), BTreeMap::new()],
            best: None,
            has_had_snapshot: false,
        }
    }

    /// True while the book may be believed.
    pub fn is_synced(&self) -> bool {
        self.synced.is_some()
    }

    /// True once any snapshot fitted.
    pub fn has_had_snapshot(&self) -> bool {
        self.has_had_snapshot
    }

    /// How many increments wait for a snapshot.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Best price and size of a side.
    pub fn best(&self, side: Side) -> Option<(Ticks, Lots)> {
        let (depth, ahead) = (&self.depth[side.index()], &self.ahead[side.index()]);
        let shown = |&price: &Ticks| {
            let size = ahead.get(&price).map_or_else(|| depth.get(&price), |(size, _)| Some(size));
            size.filter(|size| size.0 > 0).map(|&size| (price, size))
        };
        match side {
            Side::Buy => {
                let from_depth = depth.keys().rev().find_map(shown);
                from_depth.max(ahead.keys().rev().find_map(shown))
            }
            Side::Sell => {
                let prices = [depth.keys().find_map(shown), ahead.keys().find_map(shown)];
                prices.into_iter().flatten().min()
            }
        }
    }

    /// The whole book as of update `last`, and then the increments that waited for it.
    pub fn on_snapshot(&mut self, last: u64, levels: &[Level], out: &mut Vec<Level>) -> Outcome {
        if self.synced.is_some_and(|synced| last <= synced.last) {
            return Outcome::Old;
        }
        for side in Side::BOTH {
            self.depth[side.index()].clear();
            self.ahead[side.index()].clear();
        }
        self.best = None;
        self.synced = Some(Synced { last, overlaps: true });
        self.has_had_snapshot = true;
        for &level in levels {
            self.set(level);
            out.push(level);
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        while let Some(increment) = waiting.pop_front() {
            match self.apply(&increment, out) {
                Outcome::Gap => {
                    self.waiting = waiting;
                    self.waiting.push_front(increment);
                    return Outcome::Reset { gap_after: true };
                }
                Outcome::Levels
                | Outcome::Reset { .. }
                | Outcome::Old
                | Outcome::Waiting
                | Outcome::TooManyWaiting => {}
            }
        }
        Outcome::Reset { gap_after: false }
    }

    /// What changed since the increment before.
    pub fn on_increment(&mut self, increment: Increment, out: &mut Vec<Level>) -> Outcome {
        if self.synced.is_some() {
            let outcome = self.apply(&increment, out);
            if outcome == Outcome::Gap {
                self.waiting.push_back(increment);
            }
            return outcome;
        }
        self.waiting.push_back(increment);
        if self.waiting.len() <= WAITING_MAX {
            return Outcome::Waiting;
        }
        if !self.has_had_snapshot {
            return Outcome::TooManyWaiting;
        }
        // After a gap the recording may go on without a snapshot for ever: keep the latest.
        self.waiting.pop_front();
        Outcome::Waiting
    }

    fn apply(&mut self, increment: &Increment, out: &mut Vec<Level>) -> Outcome {
        let Some(synced) = self.synced else { return Outcome::Waiting };
        if increment.last <= synced.last {
            return Outcome::Old;
        }
        let is_next = match (self.numbering, increment.previous) {
            (Numbering::Futures, Some(previous)) if synced.overlaps => previous <= synced.last,
            (Numbering::Futures, Some(previous)) => previous == synced.last,
            (Numbering::Spot, _) | (Numbering::Futures, None) => increment.first <= synced.last + 1,
        };
        if !is_next {
            self.synced = None;
            return Outcome::Gap;
        }
        self.synced = Some(Synced { last: increment.last, overlaps: false });
        let newer_best = self.best.filter(|&(update, _)| update > increment.last);
        for &level in &increment.levels {
            self.set(level);
            let ahead = &mut self.ahead[level.side.index()];
            match newer_best {
                // It came and went before the best price that is already known.
                Some((update, best)) if is_better(level, best[level.side.index()]) => {
                    ahead.insert(level.price, (Lots(0), update));
                }
                Some(_) | None if ahead.contains_key(&level.price) => {}
                Some(_) | None => out.push(level),
            }
        }
        self.settle_layer(increment.last, out);
        Outcome::Levels
    }

    /// Takes off the layer what the depth stream has now reached.
    fn settle_layer(&mut self, reached: u64, out: &mut Vec<Level>) {
        for side in Side::BOTH {
            let depth = &self.depth[side.index()];
            self.ahead[side.index()].retain(|&price, &mut (shown, update)| {
                let size = depth.get(&price).copied().unwrap_or_default();
                if update <= reached && size != shown {
                    out.push(Level { side, price, size });
                }
                update > reached
            });
        }
    }

    /// Best bid and best ask as of update `last`.
    pub fn on_best(&mut self, last: u64, best: [Level; 2], out: &mut Vec<Level>) -> Outcome {
        let Some(synced) = self.synced else { return Outcome::Waiting };
        if last <= synced.last || self.best.is_some_and(|(update, _)| last <= update) {
            return Outcome::Old;
        }
        self.best = Some((last, best.map(|level| level.price)));
        for level in best {
            let (depth, ahead) =
                (&self.depth[level.side.index()], &mut self.ahead[level.side.index()]);
            let beyond = match level.side {
                Side::Buy => (std::ops::Bound::Excluded(level.price), std::ops::Bound::Unbounded),
                Side::Sell => (std::ops::Bound::Unbounded, std::ops::Bound::Excluded(level.price)),
            };
            // Levels better than the best are gone, whichever of the two books showed them.
            let from = out.len();
            for (&price, (size, update)) in ahead.range_mut(beyond) {
                if size.0 > 0 {
                    out.push(Level { side: level.side, price, size: Lots(0) });
                }
                (*size, *update) = (Lots(0), last);
            }
            for (&price, _) in depth.range(beyond) {
                if !ahead.contains_key(&price) {
                    out.push(Level { side: level.side, price, size: Lots(0) });
                }
            }
            for gone in &out[from..] {
                ahead.insert(gone.price, (Lots(0), last));
            }
            let shown = ahead.get(&level.price).map(|&(size, _)| size);
            if shown.or_else(|| depth.get(&level.price).copied()) != Some(level.size) {
                out.push(level);
            }
            ahead.insert(level.price, (level.size, last));
        }
        Outcome::Levels
    }

    /// The depth stream's word on one level.
    fn set(&mut self, level: Level) {
        let levels = &mut self.depth[level.side.index()];
        if level.size.0 == 0 {
            levels.remove(&level.price);
        } else {
            levels.insert(level.price, level.size);
        }
    }
}

/// True where a level stands in front of the best price of its side.
fn is_better(level: Level, best: Ticks) -> bool {
    match level.side {
        Side::Buy => level.price > best,
        Side::Sell => level.price < best,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(side: Side, price: i64, size: i64) -> Level {
        Level { side, price: Ticks(price), size: Lots(size) }
    }

    fn bid(price: i64, size: i64) -> Level {
        level(Side::Buy, price, size)
    }

    fn ask(price: i64, size: i64) -> Level {
        level(Side::Sell, price, size)
    }

    fn spot(first: u64, last: u64, levels: &[Level]) -> Increment {
        Increment { first, last, previous: None, levels: levels.to_vec() }
    }

    fn touch(book: &RecordedBook) -> [Option<(i64, i64)>; 2] {
        Side::BOTH.map(|side| book.best(side).map(|(p, s)| (p.0, s.0)))
    }

    fn synced_at(last: u64) -> RecordedBook {
        let mut book = RecordedBook::new(Numbering::Spot);
        let snapshot = [bid(100, 5), bid(99, 7), ask(102, 4), ask(103, 6)];
        let outcome = book.on_snapshot(last, &snapshot, &mut Vec::new());
        assert_eq!(outcome, Outcome::Reset { gap_after: false });
        book
    }

    #[test]
    fn increments_before_the_snapshot_wait_and_those_it_holds_are_dropped() {
        let mut book = RecordedBook::new(Numbering::Spot);
        let mut out = Vec::new();
        for (first, last) in [(1, 4), (5, 9), (10, 12)] {
            let increment = spot(first, last, &[bid(100, last as i64)]);
            assert_eq!(book.on_increment(increment, &mut out), Outcome::Waiting);
        }
        // Inside the second: it overlaps the snapshot and is applied, as the venue prescribes.
        let outcome = book.on_snapshot(7, &[bid(100, 70), ask(101, 1)], &mut out);
        assert_eq!(outcome, Outcome::Reset { gap_after: false });
        assert_eq!(out, [bid(100, 70), ask(101, 1), bid(100, 9), bid(100, 12)]);
    }

    #[test]
    fn a_snapshot_exactly_between_two_increments_leaves_no_gap() {
        for (numbering, previous) in [(Numbering::Spot, None), (Numbering::Futures, Some(4))] {
            let mut book = RecordedBook::new(numbering);
            let mut out = Vec::new();
            let before = Increment { first: 1, last: 4, previous: None, levels: vec![bid(1, 1)] };
            let after = Increment { first: 5, last: 9, previous, levels: vec![bid(2, 2)] };
            book.on_increment(before, &mut out);
            book.on_increment(after, &mut out);
            let outcome = book.on_snapshot(4, &[ask(9, 9)], &mut out);
            assert_eq!(outcome, Outcome::Reset { gap_after: false });
            assert_eq!(out, [ask(9, 9), bid(2, 2)]);
            // And one that lies between two updates, where futures leave numbers out.
            let mut book = RecordedBook::new(Numbering::Futures);
            let late = Increment { first: 8, last: 9, previous: Some(4), levels: vec![bid(2, 2)] };
            book.on_increment(late, &mut out);
            let outcome = book.on_snapshot(6, &[ask(9, 9)], &mut out);
            assert_eq!(outcome, Outcome::Reset { gap_after: false });
        }
    }

    #[test]
    fn a_missing_increment_is_a_gap_and_the_next_snapshot_heals_it() {
        let mut book = synced_at(10);
        let mut out = Vec::new();
        assert_eq!(book.on_increment(spot(11, 12, &[]), &mut out), Outcome::Levels);
        assert_eq!(book.on_increment(spot(14, 15, &[bid(98, 1)]), &mut out), Outcome::Gap);
        assert!(!book.is_synced() && out.is_empty());
        assert_eq!(book.on_increment(spot(16, 16, &[bid(97, 1)]), &mut out), Outcome::Waiting);
        let outcome = book.on_snapshot(13, &[bid(100, 1)], &mut out);
        assert_eq!(outcome, Outcome::Reset { gap_after: false });
        assert_eq!(out, [bid(100, 1), bid(98, 1), bid(97, 1)]);
    }

    #[test]
    fn futures_follow_the_previous_update_and_not_the_first() {
        let mut book = RecordedBook::new(Numbering::Futures);
        let mut out = Vec::new();
        book.on_snapshot(10, &[], &mut out);
        let next = |first, last, previous| Increment {
            first,
            last,
            previous: Some(previous),
            levels: Vec::new(),
        };
        assert_eq!(book.on_increment(next(8, 14, 7), &mut out), Outcome::Levels);
        assert_eq!(book.on_increment(next(20, 25, 14), &mut out), Outcome::Levels);
        assert_eq!(book.on_increment(next(26, 27, 24), &mut out), Outcome::Gap);
    }

    #[test]
    fn a_best_price_ahead_of_depth_shows_until_depth_reaches_it() {
        let mut book = synced_at(10);
        let mut out = Vec::new();
        assert_eq!(book.on_best(10, [bid(101, 1), ask(102, 4)], &mut out), Outcome::Old);
        assert_eq!(book.on_best(20, [bid(99, 3), ask(101, 2)], &mut out), Outcome::Levels);
        assert_eq!(out, [bid(100, 0), bid(99, 3), ask(101, 2)]);
        assert_eq!(touch(&book), [Some((99, 3)), Some((101, 2))]);
        out.clear();
        // Depth up to 15 knows less: a bid of 100 that changed before update 20 stays hidden.
        book.on_increment(spot(11, 15, &[bid(100, 8), bid(98, 2)]), &mut out);
        assert_eq!(out, [bid(98, 2)]);
        assert_eq!(touch(&book), [Some((99, 3)), Some((101, 2))]);
        out.clear();
        // Depth up to 20 names two of the three; the third has its own old word again.
        book.on_increment(spot(16, 20, &[bid(100, 0), bid(99, 3)]), &mut out);
        assert_eq!(out, [ask(101, 0)]);
        assert_eq!(touch(&book), [Some((99, 3)), Some((102, 4))]);
    }

    #[test]
    fn without_any_snapshot_the_waiting_ends() {
        let mut book = RecordedBook::new(Numbering::Spot);
        let mut out = Vec::new();
        for n in 0..WAITING_MAX as u64 {
            assert_eq!(book.on_increment(spot(n, n, &[]), &mut out), Outcome::Waiting);
        }
        let one_more = spot(WAITING_MAX as u64, WAITING_MAX as u64, &[]);
        assert_eq!(book.on_increment(one_more, &mut out), Outcome::TooManyWaiting);
    }
}
