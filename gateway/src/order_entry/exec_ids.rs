//! ExecIDs as numbers: equal texts give equal numbers, so that a fill told twice is booked once.
//!
//! Fed by [`super::report`] with ExecID(17) and ExecRefID(19); feeds order events with [`ExecId`].
//! Order-entry thread. All memory is taken at start: the newest `capacity` texts are remembered and
//! the oldest is forgotten for each one beyond. Budget: one hash, one or two cache lines.
//! With a file ([`ExecIds::open`]) they survive the process: a fill that comes again after a restart is not
//! booked again, and one that was told to a maker whose journal does not hold it is.

use super::exec_id_file::{ExecIdFile, Kept, TEXT_KEPT};
use super::status::Meaning;
use crate::store::StoreError;
use ballast_engine::event::{ClOrdId, ExecId};
use ballast_engine::units::{Nanos, Side};
use std::path::Path;

const EMPTY: u32 = u32::MAX;
/// No text has this length.
const NO_TEXT: u32 = u32::MAX;
/// In the number of [`Entry::by`]: no numbered message of the order session told it, but a drop copy, above all.
/// Behind it stand the bit of [`Entry::told`] that it was, and a number of the telling's own, which the journal
/// has: a text that was known before keeps its number, and may be told once more, for the other side or as a
/// cancellation. Its sixty bits last for a million runs.
const COPY: u64 = 1 << 63;
const COPIED_BIT: u32 = 60;
const COPIED_NUMBER: u64 = (1 << COPIED_BIT) - 1;
/// In [`Entry::told`]: some of it was told and counts no more.
const FORGOTTEN: u8 = 1 << 7;

#[derive(Clone, Copy)]
struct Entry {
    id: ExecId,
    hash: u64,
    length: u32,
    /// What was told under this ExecID: one bit a meaning and side.
    told: u8,
    /// Which message told it last.
    by: (Nanos, u64),
    /// A longer one is told apart by length, head and hash.
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
    file: Option<ExecIdFile>,
    /// How far a drop copy's messages were dealt with.
    copy_mark: Option<CopyMark>,
    /// The message in hand: since when the numbers count, and its MsgSeqNum(34).
    hearing: (Nanos, u64),
}

/// All executions of a drop copy up to this message were dealt with: told, told by the order session, or not
/// ours. What was told may still be missing in a journal: see [`ExecIds::forget_copied`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CopyMark {
    /// When the copy's numbers began at 1.
    pub numbers_since: Nanos,
    /// MsgSeqNum(34) of the copy.
    pub msg_seq_num: u64,
}

/// FNV-1a, mixed: deterministic over runs and hosts, because journals compare numbers.
fn hash_of(text: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in text {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^ (hash >> 29)
}

/// Will the order session's message that told it last be told again from `from` on?
fn is_to_come(by: (Nanos, u64), from: (Nanos, u64)) -> bool {
    by.0 == from.0 && by.1 & COPY == 0 && by.1 >= from.1
}

/// The bit of [`Entry::told`].
fn told_bit(side: Side, meaning: Meaning) -> usize {
    2 * usize::from(meaning.of_execution()) + side.index()
}

impl ExecIds {
    /// A table that remembers the newest `capacity` texts (rounded up to a power of two).
    pub fn new(capacity: usize) -> ExecIds {
        let capacity = capacity.clamp(2, 1 << 24).next_power_of_two();
        let (by, text) = ((Nanos(0), 0), [0; TEXT_KEPT]);
        let empty = Entry { id: ExecId(0), hash: 0, length: 0, told: 0, by, text };
        ExecIds {
            entries: vec![empty; capacity].into_boxed_slice(),
            slots: vec![EMPTY; capacity * 2].into_boxed_slice(),
            next: 1,
            oldest: 1,
            file: None,
            copy_mark: None,
            hearing: (Nanos(0), 0),
        }
    }

    /// A table that is kept in the file at `path`. What messages from MsgSeqNum(34) `deliver_from` on have
    /// told, of numbers that count since `numbers_since`, counts as not told: it will be told again.
    ///
    /// # Errors
    /// The file cannot be opened or made.
    pub fn open(
        path: &Path,
        capacity: usize,
        (numbers_since, deliver_from): (Nanos, u64),
    ) -> Result<ExecIds, StoreError> {
        let mut ids = ExecIds::new(capacity);
        let (file, kept) = ExecIdFile::open(path, ids.entries.len())?;
        let first = kept.len().saturating_sub(ids.entries.len());
        for kept in kept.get(first..).unwrap_or_default() {
            let is_to_come = is_to_come(kept.by, (numbers_since, deliver_from));
            ids.put_back(Kept { told: if is_to_come { 0 } else { kept.told }, ..*kept });
        }
        ids.copy_mark = file.copy_mark();
        ids.file = Some(file);
        ids.hearing = (numbers_since, 0);
        Ok(ids)
    }

    /// The same, and what a drop copy alone told and no journal holds counts as not told: a copy has no number
    /// by which the journal would know it. `journaled` is the newest ExecID that the journal has, `None` where
    /// nobody knows or where there is no copy; numbers ascend as executions are told.
    pub fn forget_copied(mut self, journaled: Option<ExecId>) -> ExecIds {
        let newest = journaled.map_or(u64::MAX, |newest| newest.0);
        for place in 0..self.entries.len() {
            let Some(entry) = self.entries.get_mut(place).filter(|entry| entry.by.1 & COPY != 0)
            else {
                continue;
            };
            let bit = 1 << ((entry.by.1 & !COPY) >> COPIED_BIT);
            if entry.by.1 & COPIED_NUMBER > newest {
                // The text stays until it is told: whatever ends this run before, the next knows of it. Where the
                // journal has its number, it has what was told before under it.
                let kept = if entry.id.0 > newest { 0 } else { entry.told & !bit };
                entry.told = kept | FORGOTTEN;
            } else {
                // It is told for good, whatever a later start knows.
                entry.by.1 = 0;
                entry.told &= !FORGOTTEN;
            }
            self.write(place);
        }
        if journaled.is_some() && self.next > self.oldest && self.next <= newest {
            // A loss of power took the table back behind the journal: numbers go on behind the journal's,
            // and how far the copy was dealt with nobody knows.
            self.pass_over(newest);
            self.forget_copy_mark();
        }
        self
    }

    /// The next number is beyond `newest`; those between are nothing's.
    fn pass_over(&mut self, newest: u64) {
        let gap = newest.saturating_sub(self.next);
        if gap > u64::try_from(self.entries.len()).unwrap_or(u64::MAX) {
            self.slots.fill(EMPTY);
            self.oldest = newest;
            self.next = newest;
        }
        while self.next <= newest {
            self.place_nothing();
        }
    }

    /// The next number is nothing's.
    fn place_nothing(&mut self) {
        let (id, text) = (self.next, [0; TEXT_KEPT]);
        self.place(Kept { id, hash: id, length: NO_TEXT, told: 0, by: (Nanos(0), 0), text });
    }

    /// The account goes on without a drop copy, or nobody knows how far it was dealt with: what it has heard
    /// by the next start counts as dealt with.
    pub fn forget_copy_mark(&mut self) {
        self.copy_mark = None;
        if let Some(file) = &mut self.file {
            file.forget_copy_mark();
        }
    }

    /// Was `meaning` told for `side` under this ExecID, and counts no more?
    pub fn is_to_be_told_again(&self, text: &[u8], side: Side, meaning: Meaning) -> bool {
        let is_again = |entry: &Entry| entry.told & FORGOTTEN != 0 || entry.told == 0;
        self.entry(text).is_some_and(is_again) && !self.has_told(text, side, meaning)
    }

    fn entry(&self, text: &[u8]) -> Option<&Entry> {
        self.find(text).and_then(|id| self.entries.get(self.place_of(id.0)))
    }

    /// The number under which the journal has what was told last of `text`: its own, or the telling's.
    pub fn number_told(&mut self, text: &[u8]) -> ExecId {
        let id = self.intern(text).id;
        let by = self.entries.get(self.place_of(id.0)).map_or(0, |entry| entry.by.1);
        if by & COPY == 0 { id } else { ExecId(by & COPIED_NUMBER) }
    }

    /// How far a drop copy's messages were dealt with; `None` where nobody knows.
    pub fn copy_mark(&self) -> Option<CopyMark> {
        self.copy_mark
    }

    /// They are dealt with so far.
    pub fn mark_copy(&mut self, mark: CopyMark) {
        if self.copy_mark != Some(mark) {
            self.copy_mark = Some(mark);
            if let Some(file) = &mut self.file {
                file.mark_copy(mark);
            }
        }
    }

    /// Where nothing is remembered, numbers begin with the run's: one of a table that is gone is never
    /// another ExecID's.
    pub fn beginning_with(mut self, epoch: u32) -> ExecIds {
        if self.next == self.oldest {
            let first = ClOrdId::new(epoch, 1).0;
            (self.next, self.oldest) = (first, first);
        }
        self
    }

    /// The table as the next process finds it where this one's memory is all that is kept of it: what
    /// [`Self::open`] makes of a file.
    pub fn carried_over(&self, from: (Nanos, u64)) -> ExecIds {
        let (entries, slots) = (self.entries.clone(), self.slots.clone());
        let ExecIds { next, oldest, copy_mark, hearing, .. } = *self;
        ExecIds { entries, slots, next, oldest, file: None, copy_mark, hearing }.carried_on(from)
    }

    /// The same of a table that is carried over already, without a copy of it.
    pub fn carried_on(self, (numbers_since, deliver_from): (Nanos, u64)) -> ExecIds {
        let mut ids = ExecIds { file: None, hearing: (numbers_since, 0), ..self };
        for entry in &mut ids.entries {
            if is_to_come(entry.by, (numbers_since, deliver_from)) {
                entry.told = 0;
            }
        }
        ids
    }

    /// The numbers of the session's messages count since then.
    pub fn count_since(&mut self, numbers_since: Nanos) {
        self.hearing.0 = numbers_since;
    }

    /// What is told from here on, the message of this MsgSeqNum(34) tells; a drop copy where that is 0.
    pub fn hear(&mut self, msg_seq_num: u64) {
        self.hearing.1 = if msg_seq_num == 0 { COPY } else { msg_seq_num };
    }

    /// An entry of the file; numbers ascend, and one that is missing stands for a text that was lost.
    fn put_back(&mut self, kept: Kept) {
        if kept.id < self.next {
            return;
        }
        if self.next == self.oldest {
            self.next = kept.id;
            self.oldest = kept.id;
        }
        while self.next < kept.id {
            self.place(Kept { id: self.next, hash: self.next, length: NO_TEXT, told: 0, ..kept });
        }
        self.place(kept);
    }

    fn write(&mut self, place: usize) {
        let Some(file) = &mut self.file else { return };
        if let Some(entry) = self.entries.get(place) {
            let Entry { id, hash, length, told, by, text } = *entry;
            file.write(place, &Kept { id: id.0, hash, length, told, by, text });
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

    /// Was `meaning` told for `side` under this ExecID?
    pub fn has_told(&self, text: &[u8], side: Side, meaning: Meaning) -> bool {
        self.entry(text).is_some_and(|entry| entry.told & (1 << told_bit(side, meaning)) != 0)
    }

    /// Whether this is the first time that `meaning` is told for `side` under this ExecID.
    pub fn is_first(&mut self, text: &[u8], side: Side, meaning: Meaning) -> bool {
        let bit = told_bit(side, meaning);
        self.give_up_forgotten(text);
        if self.has_told(text, side, meaning) {
            return false;
        }
        let is_copied = self.hearing.1 == COPY;
        if is_copied && self.find(text).is_some() {
            self.place_nothing();
        }
        let id = self.intern(text).id;
        let (newest, place) = (self.next.saturating_sub(1), self.place_of(id.0));
        let copied = COPY | (bit as u64) << COPIED_BIT | newest & COPIED_NUMBER;
        if let Some(entry) = self.entries.get_mut(place) {
            entry.told |= 1 << bit;
            entry.by = (self.hearing.0, if is_copied { copied } else { self.hearing.1 });
            self.write(place);
        }
        true
    }

    /// From here on `text` is another execution's, of which `meaning` is told for `side`; the one that it
    /// was before keeps its number and has no text any more.
    pub fn renew(&mut self, text: &[u8], side: Side, meaning: Meaning) {
        if let Some(place) = self.find(text).map(|id| self.place_of(id.0)) {
            self.take_text(place);
        }
        self.is_first(text, side, meaning);
    }

    /// What is told again as if it were the first time gets a number of its own.
    fn give_up_forgotten(&mut self, text: &[u8]) {
        let place = self.find(text).map(|id| self.place_of(id.0));
        let is_forgotten =
            |place: &usize| self.entries.get(*place).is_some_and(Entry::is_forgotten);
        if let Some(place) = place.filter(is_forgotten) {
            self.take_text(place);
        }
    }

    fn take_text(&mut self, place: usize) {
        if let Some(entry) = self.entries.get_mut(place) {
            entry.length = NO_TEXT;
            self.write(place);
        }
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

    /// What is remembered, newest first. Texts beyond 43 bytes come cut.
    pub fn newest_first(&self) -> impl Iterator<Item = (ExecId, &[u8])> {
        (self.oldest..self.next).rev().filter_map(|number| {
            let entry = self.entries.get(self.place_of(number))?;
            let length = usize::try_from(entry.length).ok()?.min(TEXT_KEPT);
            Some((entry.id, entry.text.get(..length)?))
        })
    }

    fn remember(&mut self, id: ExecId, text: &[u8]) {
        let mut kept = [0; TEXT_KEPT];
        for (kept, byte) in kept.iter_mut().zip(text) {
            *kept = *byte;
        }
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        // Nothing is told under it yet.
        let (hash, by) = (hash_of(text), (self.hearing.0, 0));
        self.place(Kept { id: id.0, hash, length, told: 0, by, text: kept });
        self.write(self.place_of(id.0));
    }

    /// Into the table, as its newest.
    fn place(&mut self, kept: Kept) {
        let capacity = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        if self.next - self.oldest >= capacity {
            self.forget_oldest();
        }
        let Kept { id, hash, length, told, by, text } = kept;
        let place = self.place_of(id);
        if let Some(entry) = self.entries.get_mut(place) {
            *entry = Entry { id: ExecId(id), hash, length, told, by, text };
        }
        let mut slot = self.home(hash);
        while let Some(taken) = self.slots.get_mut(slot) {
            if *taken == EMPTY {
                *taken = u32::try_from(place).unwrap_or(EMPTY);
                break;
            }
            slot = (slot + 1) & self.mask();
        }
        self.next = id.saturating_add(1);
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

    /// Nothing that was told of it counts.
    fn is_forgotten(&self) -> bool {
        self.told == FORGOTTEN
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

    fn folder(name: &str) -> std::path::PathBuf {
        let folder =
            std::env::temp_dir().join(format!("ballast-ids-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn what_was_told_before_a_restart_is_not_told_again_and_what_the_journal_lacks_is() {
        let folder = folder("restart");
        let path = folder.join("exec-ids");
        let (since, filled) = (Nanos(9), Meaning::Filled);
        let mut before = ExecIds::open(&path, 16, (since, 1)).unwrap();
        for number in 1..=40u64 {
            before.hear(number);
            assert!(before.is_first(format!("e{number}").as_bytes(), Side::Buy, filled));
        }
        before.hear(41);
        let long = [b'x'; 100];
        assert!(before.is_first(&long, Side::Sell, filled));
        drop(before);
        // The journal ends with message 38: what 39 and on told is told again.
        let mut after = ExecIds::open(&path, 16, (since, 39)).unwrap();
        assert!(!after.is_first(b"e38", Side::Buy, filled));
        assert_eq!(after.find(b"e39"), Some(ExecId(39)));
        assert!(after.is_first(b"e39", Side::Buy, filled));
        assert!(!after.is_first(b"e39", Side::Buy, filled));
        assert!(after.is_first(&long, Side::Sell, filled), "whole, though only its head is kept");
        assert!(after.is_first(b"e38", Side::Sell, filled), "the other side is another fill");
        assert_eq!(after.intern(b"fresh").id, ExecId(42));
        drop(after);
        // Numbers that begin anew: what counted from another time was told.
        let mut anew = ExecIds::open(&path, 16, (Nanos(10), 1)).unwrap();
        assert!(!anew.is_first(b"e40", Side::Buy, filled));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_torn_slot_costs_its_own_entry_alone_and_another_capacity_keeps_the_newest() {
        let folder = folder("torn");
        let path = folder.join("exec-ids");
        let mut before = ExecIds::open(&path, 16, (Nanos(1), 1)).unwrap();
        for number in 1..=10u64 {
            assert!(before.is_first(format!("e{number}").as_bytes(), Side::Buy, Meaning::Filled));
        }
        drop(before);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[64 + 88 * 5 + 20] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let wider = ExecIds::open(&path, 64, (Nanos(1), 1)).unwrap();
        assert_eq!((wider.find(b"e4"), wider.find(b"e5")), (Some(ExecId(4)), None));
        assert_eq!(wider.find(b"e10"), Some(ExecId(10)));
        drop(wider);
        let narrow = ExecIds::open(&path, 4, (Nanos(1), 1)).unwrap();
        assert_eq!((narrow.find(b"e6"), narrow.find(b"e7")), (None, Some(ExecId(7))));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
