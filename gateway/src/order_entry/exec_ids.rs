//! ExecIDs as numbers: equal texts give equal numbers, so that a fill told twice is booked once.
//!
//! Fed by [`super::report`] with ExecID(17) and ExecRefID(19); feeds order events with [`ExecId`].
//! Order-entry thread. All memory is taken at start: the newest `capacity` texts are remembered and
//! the oldest is forgotten for each one beyond. Budget: one hash, one or two cache lines.
//! Deliberately absent: a file. [`ExecIds::newest_first`] and [`ExecIds::restore`] are what a store
//! writes and reads back; until it does, numbers start anew with each process.

use super::status::Meaning;
use ballast_engine::event::ExecId;
use ballast_engine::units::Side;

/// Bytes of a text that are kept; a longer one is told apart by length, head and hash.
const TEXT_KEPT: usize = 43;
const EMPTY: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Entry {
    id: ExecId,
    hash: u64,
    length: u32,
    /// What was told under this ExecID: one bit a meaning and side.
    told: u8,
    text: [u8; TEXT_KEPT],
}

/// An interned ExecID(17).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interned {
    /// Its number; never 0.
    pub id: ExecId,
    /// Whether the text was not remembered before.
    pub is_new: bool,
}

/// The table of the ExecIDs of one session.
pub struct ExecIds {
    /// A ring: the entry numbered `n` stands at `n % capacity`.
    entries: Box<[Entry]>,
    /// Open addressing over `entries`, at most half full.
    slots: Box<[u32]>,
    /// The number of the next new text, and of the oldest remembered one.
    next: u64,
    oldest: u64,
}

/// FNV-1a, mixed: deterministic over runs and hosts, because journals compare numbers.
fn hash_of(text: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in text {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^ (hash >> 29)
}

impl ExecIds {
    /// A table that remembers the newest `capacity` texts (rounded up to a power of two).
    pub fn new(capacity: usize) -> ExecIds {
        let capacity = capacity.clamp(2, 1 << 24).next_power_of_two();
        let empty = Entry { id: ExecId(0), hash: 0, length: 0, told: 0, text: [0; TEXT_KEPT] };
        ExecIds {
            entries: vec![empty; capacity].into_boxed_slice(),
            slots: vec![EMPTY; capacity * 2].into_boxed_slice(),
            next: 1,
            oldest: 1,
        }
    }

    /// The number of `text`: the one it had, or the next.
    pub fn intern(&mut self, text: &[u8]) -> Interned {
        if let Some(id) = self.find(text) {
            return Interned { id, is_new: false };
        }
        let id = ExecId(self.next);
        self.remember(id, text);
        Interned { id, is_new: true }
    }

    /// Whether this is the first time that `meaning` is told for `side` under this ExecID.
    pub fn is_first(&mut self, text: &[u8], side: Side, meaning: Meaning) -> bool {
        let bit = match meaning {
            Meaning::TradeCorrected => 2,
            Meaning::TradeCanceled => 4,
            Meaning::Filled
            | Meaning::Pending
            | Meaning::Accepted
            | Meaning::Replaced
            | Meaning::Restated
            | Meaning::Status
            | Meaning::Ended
            | Meaning::Refused => 0,
        } + side.index();
        let id = self.intern(text).id;
        let place = self.place_of(id.0);
        let Some(entry) = self.entries.get_mut(place) else { return true };
        let is_first = entry.told & (1 << bit) == 0;
        entry.told |= 1 << bit;
        is_first
    }

    /// The number that `text` has, if it is remembered.
    pub fn find(&self, text: &[u8]) -> Option<ExecId> {
        let hash = hash_of(text);
        let mut slot = self.home(hash);
        // At most half of the slots are taken, so an empty one ends the walk.
        for _ in 0..self.slots.len() {
            let place = *self.slots.get(slot)?;
            let entry = self.entries.get(usize::try_from(place).ok()?)?;
            if entry.hash == hash && entry.is(text) {
                return Some(entry.id);
            }
            slot = (slot + 1) & self.mask();
        }
        None
    }

    /// Puts back what a store kept, oldest first, before the session starts, as told for both sides:
    /// a fill from before the restart is not booked again. Numbers that do not
    /// ascend are refused with `false`: two texts under one number would hide a fill.
    pub fn restore(&mut self, id: ExecId, text: &[u8]) -> bool {
        if id.0 < self.next || self.find(text).is_some() {
            return false;
        }
        // The ring is dense: a number left out would make the oldest one hard to tell.
        if id.0 > self.next {
            self.forget_all();
            self.next = id.0;
            self.oldest = id.0;
        }
        self.remember(id, text);
        let place = self.place_of(id.0);
        if let Some(entry) = self.entries.get_mut(place) {
            entry.told = u8::MAX;
        }
        true
    }

    /// What is remembered, newest first: for a store. Texts beyond 43 bytes come cut.
    pub fn newest_first(&self) -> impl Iterator<Item = (ExecId, &[u8])> {
        (self.oldest..self.next).rev().filter_map(|number| {
            let entry = self.entries.get(self.place_of(number))?;
            let length = usize::try_from(entry.length).ok()?.min(TEXT_KEPT);
            Some((entry.id, entry.text.get(..length)?))
        })
    }

    fn remember(&mut self, id: ExecId, text: &[u8]) {
        let capacity = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        if self.next - self.oldest >= capacity {
            self.forget_oldest();
        }
        let hash = hash_of(text);
        let place = self.place_of(id.0);
        if let Some(entry) = self.entries.get_mut(place) {
            entry.id = id;
            entry.told = 0;
            entry.hash = hash;
            entry.length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            for (kept, byte) in entry.text.iter_mut().zip(text) {
                *kept = *byte;
            }
        }
        let mut slot = self.home(hash);
        while let Some(taken) = self.slots.get_mut(slot) {
            if *taken == EMPTY {
                *taken = u32::try_from(place).unwrap_or(EMPTY);
                break;
            }
            slot = (slot + 1) & self.mask();
        }
        self.next = id.0.saturating_add(1);
    }

    fn forget_oldest(&mut self) {
        let place = self.place_of(self.oldest);
        self.oldest += 1;
        let Some(entry) = self.entries.get(place) else { return };
        let mut slot = self.home(entry.hash);
        for _ in 0..self.slots.len() {
            match self.slots.get(slot) {
                Some(taken) if usize::try_from(*taken) == Ok(place) => return self.vacate(slot),
                Some(&EMPTY) | None => return,
                Some(_) => slot = (slot + 1) & self.mask(),
            }
        }
    }

    /// Empties a slot and moves back what had to walk past it, so that no walk ends too early.
    fn vacate(&mut self, slot: usize) {
        let mut hole = slot;
        let mut walker = slot;
        loop {
            walker = (walker + 1) & self.mask();
            let taken = self.slots.get(walker).copied().unwrap_or(EMPTY);
            if taken == EMPTY {
                break;
            }
            let Some(entry) = usize::try_from(taken).ok().and_then(|p| self.entries.get(p)) else {
                break;
            };
            let from_home = walker.wrapping_sub(self.home(entry.hash)) & self.mask();
            let from_hole = walker.wrapping_sub(hole) & self.mask();
            if from_home >= from_hole {
                if let Some(target) = self.slots.get_mut(hole) {
                    *target = taken;
                }
                hole = walker;
            }
        }
        if let Some(target) = self.slots.get_mut(hole) {
            *target = EMPTY;
        }
    }

    fn forget_all(&mut self) {
        self.slots.fill(EMPTY);
    }

    fn mask(&self) -> usize {
        self.slots.len() - 1
    }

    fn home(&self, hash: u64) -> usize {
        usize::try_from(hash & u64::try_from(self.mask()).unwrap_or(0)).unwrap_or(0)
    }

    fn place_of(&self, number: u64) -> usize {
        let mask = u64::try_from(self.entries.len() - 1).unwrap_or(0);
        usize::try_from(number & mask).unwrap_or(0)
    }
}

impl Entry {
    fn is(&self, text: &[u8]) -> bool {
        usize::try_from(self.length) == Ok(text.len())
            && self.text.iter().zip(text).all(|(kept, byte)| kept == byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_get_equal_numbers() {
        let mut ids = ExecIds::new(8);
        let first = ids.intern(b"E-1");
        let other = ids.intern(b"E-2");
        assert_eq!(first, Interned { id: ExecId(1), is_new: true });
        assert_eq!(other, Interned { id: ExecId(2), is_new: true });
        assert_eq!(ids.intern(b"E-1"), Interned { id: ExecId(1), is_new: false });
        assert_eq!(ids.find(b"E-3"), None);
    }

    #[test]
    fn texts_longer_than_kept_are_still_told_apart() {
        let mut ids = ExecIds::new(8);
        let long = [b'x'; 100];
        let mut longer = [b'x'; 100];
        longer[99] = b'y';
        assert_ne!(ids.intern(&long).id, ids.intern(&longer).id);
        assert!(!ids.intern(&long).is_new);
    }

    #[test]
    fn the_newest_texts_are_remembered_and_the_oldest_forgotten() {
        let mut ids = ExecIds::new(64);
        for number in 0..10_000u32 {
            assert!(ids.intern(format!("exec{number}").as_bytes()).is_new);
            for back in 0..64.min(number + 1) {
                let text = format!("exec{}", number - back);
                assert_eq!(ids.find(text.as_bytes()), Some(ExecId(u64::from(number - back) + 1)));
            }
            if number >= 64 {
                assert_eq!(ids.find(format!("exec{}", number - 64).as_bytes()), None);
            }
        }
        assert_eq!(ids.newest_first().count(), 64);
        assert_eq!(ids.newest_first().next(), Some((ExecId(10_000), &b"exec9999"[..])));
    }

    #[test]
    fn what_a_store_kept_comes_back_under_its_number() {
        let mut before = ExecIds::new(16);
        for number in 0..40u32 {
            before.intern(format!("e{number}").as_bytes());
        }
        let mut kept: Vec<(ExecId, Vec<u8>)> =
            before.newest_first().map(|(id, text)| (id, text.to_vec())).collect();
        kept.reverse();
        let mut after = ExecIds::new(16);
        for (id, text) in &kept {
            assert!(after.restore(*id, text));
        }
        assert_eq!(after.find(b"e39"), Some(ExecId(40)));
        assert_eq!(after.intern(b"e39"), Interned { id: ExecId(40), is_new: false });
        assert_eq!(after.intern(b"fresh").id, ExecId(41));
        assert!(!after.restore(ExecId(3), b"old"), "a number that was used is refused");
    }
}
