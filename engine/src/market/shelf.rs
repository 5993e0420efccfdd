//! Sorted levels that make room on their shorter side.
//!
//! Fed by `book.rs`, which keeps one a side; read as a slice, best level last. Maker thread: nothing
//! allocates after start. A level that goes or comes moves the levels before it or those behind it,
//! whichever are fewer: venues take out levels far from the touch all day long, and in a plain array
//! each of those moved most of the book (1,786 instructions of it a removal on the BTC recording).
//! A place that a level left empty takes a new one near it ([`Shelf::settle`]): then only what stands
//! between the two moves. Where one end of the room is reached, all move to its middle: once in as many
//! changes as half the capacity.

use super::book::Level;
use std::ops::{Deref, DerefMut};

/// How many places to each side are looked at for an empty one.
const NEAR: usize = 32;

/// At most so many levels as it was made for.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub(super) struct Shelf {
    /// Twice the capacity, so that both ends have room.
    room: Vec<Level>,
    start: usize,
    end: usize,
}

impl Shelf {
    pub(super) fn new(capacity: usize) -> Shelf {
        let room = vec![Level::default(); capacity.saturating_mul(2).max(2)];
        let middle = room.len() / 2;
        Shelf { room, start: middle, end: middle }
    }

    pub(super) fn clear(&mut self) {
        self.start = self.room.len() / 2;
        self.end = self.start;
    }

    /// Puts a level at a place; nothing where the shelf is full or the place is beyond its end.
    pub(super) fn insert(&mut self, place: usize, level: Level) {
        let length = self.len();
        if place > length || length >= self.room.len() / 2 {
            return;
        }
        let is_front = place <= length / 2;
        if (is_front && self.start == 0) || (!is_front && self.end == self.room.len()) {
            self.center();
        }
        if is_front {
            let before = self.start..self.start + place;
            self.start = self.start.saturating_sub(1);
            self.room.copy_within(before, self.start);
        } else {
            self.room.copy_within(self.start + place..self.end, self.start + place + 1);
            self.end += 1;
        }
        if let Some(slot) = self.get_mut(place) {
            *slot = level;
        }
    }

    /// Puts a level at a place by moving what stands between it and an empty place near by. Says whether
    /// there was one; none is looked for where the nearer end is as near.
    pub(super) fn settle(
        &mut self,
        place: usize,
        level: Level,
        is_empty: impl Fn(&Level) -> bool,
    ) -> bool {
        let length = self.len();
        if place <= NEAR || place + NEAR >= length {
            return false;
        }
        let (before, behind) = self.split_at(place);
        let back = before.iter().rev().take(NEAR).position(&is_empty);
        let ahead = behind.iter().take(NEAR).position(&is_empty);
        let at = match (back, ahead) {
            (Some(back), ahead) if ahead.is_none_or(|ahead| back <= ahead) => {
                // The empty place goes, and what stood behind it comes down by one.
                self.copy_within(place - back..place, place - back - 1);
                place - 1
            }
            (_, Some(ahead)) => {
                self.copy_within(place..place + ahead, place + 1);
                place
            }
            (_, None) => return false,
        };
        if let Some(slot) = self.get_mut(at) {
            *slot = level;
        }
        true
    }

    /// Takes a level out.
    pub(super) fn remove(&mut self, place: usize) {
        let length = self.len();
        if place >= length {
            return;
        }
        if place < length / 2 {
            self.room.copy_within(self.start..self.start + place, self.start + 1);
            self.start += 1;
        } else {
            self.room.copy_within(self.start + place + 1..self.end, self.start + place);
            self.end -= 1;
        }
    }

    /// Keeps the levels of which this holds.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&Level) -> bool) {
        let mut end = self.start;
        for place in self.start..self.end {
            let Some(level) = self.room.get(place).copied() else { continue };
            if is_kept(&level)
                && let Some(slot) = self.room.get_mut(end)
            {
                *slot = level;
                end += 1;
            }
        }
        self.end = end;
    }

    fn center(&mut self) {
        let length = self.len();
        let start = (self.room.len() - length) / 2;
        self.room.copy_within(self.start..self.end, start);
        (self.start, self.end) = (start, start + length);
    }
}

impl Deref for Shelf {
    type Target = [Level];

    fn deref(&self) -> &[Level] {
        self.room.get(self.start..self.end).unwrap_or_default()
    }
}

impl DerefMut for Shelf {
    fn deref_mut(&mut self) -> &mut [Level] {
        self.room.get_mut(self.start..self.end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Lots, Ticks};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_shelf_holds_what_an_array_holds(
            capacity in 1usize..40,
            changes in proptest::collection::vec((any::<bool>(), 0usize..44, 0u8..4), 0..600),
        ) {
            let (mut shelf, mut array) = (Shelf::new(capacity), Vec::new());
            for (n, (is_insert, place, kind)) in changes.into_iter().enumerate() {
                // Mostly at the ends, so that one of them is reached.
                let place = [place, 0, array.len(), array.len().saturating_sub(1)][usize::from(kind)];
                let level = Level { price: Ticks(n as i64), size: Lots(1) };
                if is_insert {
                    shelf.insert(place, level);
                    if place <= array.len() && array.len() < capacity {
                        array.insert(place, level);
                    }
                } else {
                    shelf.remove(place);
                    if place < array.len() {
                        array.remove(place);
                    }
                }
                prop_assert_eq!(&shelf[..], &array[..]);
            }
            shelf.retain(|level| level.price.0 % 3 == 0);
            array.retain(|level| level.price.0 % 3 == 0);
            prop_assert_eq!(&shelf[..], &array[..]);
            shelf.clear();
            prop_assert!(shelf.is_empty());
        }
    }
}
