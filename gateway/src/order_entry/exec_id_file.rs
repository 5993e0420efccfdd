//! The ExecIDs of a session on disk: a fixed file, one slot an entry of the table, written as it is told.
//!
//! Fed by [`ExecIds`](super::exec_ids::ExecIds) on the order-entry thread; read once at a start. Mapped like
//! a store's segment: what a call has written survives the death of the process. Budget: 84 bytes and
//! their CRC-32C a fill, no system call. A slot that a kill tore fails its checksum and is left out: its
//! fill was not told yet. Deliberately absent: syncing; what a loss of power takes of it, the journal's newest
//! number shows, and then numbers go on behind that one.

use super::exec_ids::CopyMark;
use crate::store::{Segment, StoreError};
use ballast_engine::units::Nanos;
use std::path::Path;

/// Bytes of a text that are kept.
pub(super) const TEXT_KEPT: usize = 43;
const MAGIC: &[u8; 8] = b"BALEXEC1";
const HEADER: usize = 64;
/// Where in the header the drop copy's marks lie, written in turn: since when its numbers count, the number, and
/// their CRC-32C. A kill tears one at most.
const MARKS: [std::ops::Range<usize>; 2] = [8..28, 28..48];
const SLOT: usize = 88;
const MARK_BYTES: usize = 20;

/// One ExecID(17) as it is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kept {
    pub id: u64,
    pub hash: u64,
    pub length: u32,
    /// What was told under it.
    pub told: u8,
    /// Which message told it last: since when the numbers count, and its MsgSeqNum(34).
    pub by: (Nanos, u64),
    pub text: [u8; TEXT_KEPT],
}

impl Kept {
    fn encode(&self) -> [u8; SLOT] {
        let mut slot = [0; SLOT];
        slot[4..8].copy_from_slice(&self.length.to_le_bytes());
        slot[8..16].copy_from_slice(&self.id.to_le_bytes());
        slot[16..24].copy_from_slice(&self.hash.to_le_bytes());
        slot[24..32].copy_from_slice(&self.by.0.0.to_le_bytes());
        slot[32..40].copy_from_slice(&self.by.1.to_le_bytes());
        slot[40] = self.told;
        slot[41..41 + TEXT_KEPT].copy_from_slice(&self.text);
        let sum = crc32c::crc32c(&slot[4..]);
        slot[..4].copy_from_slice(&sum.to_le_bytes());
        slot
    }

    /// `None` for an unused slot, and for a torn one.
    fn decode(slot: &[u8]) -> Option<Kept> {
        let (sum, rest) = slot.split_first_chunk::<4>()?;
        if crc32c::crc32c(rest) != u32::from_le_bytes(*sum) {
            return None;
        }
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (id, rest) = rest.split_first_chunk::<8>()?;
        let (hash, rest) = rest.split_first_chunk::<8>()?;
        let (since, rest) = rest.split_first_chunk::<8>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (told, rest) = rest.split_first()?;
        let text = rest.first_chunk::<TEXT_KEPT>()?;
        let by = (Nanos(u64::from_le_bytes(*since)), u64::from_le_bytes(*number));
        let (id, hash) = (u64::from_le_bytes(*id), u64::from_le_bytes(*hash));
        let length = u32::from_le_bytes(*length);
        (id != 0).then_some(Kept { id, hash, length, told: *told, by, text: *text })
    }
}

/// The file.
pub(super) struct ExecIdFile {
    segment: Segment,
    /// Which of the two marks was written last.
    next_mark: usize,
}

impl ExecIdFile {
    /// Opens or makes the file for `capacity` entries, and what it holds, oldest first. One of another
    /// capacity is read and made anew.
    pub(super) fn open(
        path: &Path,
        capacity: usize,
    ) -> Result<(ExecIdFile, Vec<Kept>), StoreError> {
        let bytes = HEADER.saturating_add(capacity.saturating_mul(SLOT));
        let found = if path.exists() { Some(Segment::open(path)?) } else { None };
        let mut kept: Vec<Kept> = Vec::new();
        if let Some(segment) = &found
            && segment.bytes().starts_with(MAGIC)
        {
            let slots = segment.bytes().get(HEADER..).unwrap_or_default().chunks_exact(SLOT);
            kept.extend(slots.filter_map(Kept::decode));
        }
        kept.sort_unstable_by_key(|kept| kept.id);
        let mark = found.as_ref().and_then(|segment| mark_in(segment.bytes()));
        let fits = found
            .filter(|segment| segment.bytes().len() == bytes && segment.bytes().starts_with(MAGIC));
        let segment = match fits {
            Some(segment) => segment,
            None => Self::make(path, bytes, (&kept, mark), capacity)?,
        };
        segment.make_writable();
        Ok((ExecIdFile { segment, next_mark: 0 }, kept))
    }

    /// Made beside the old one and put in its place: a kill in between leaves the old one.
    fn make(
        path: &Path,
        bytes: usize,
        (kept, mark): (&[Kept], Option<CopyMark>),
        capacity: usize,
    ) -> Result<Segment, StoreError> {
        let partial = path.with_extension("partial");
        let mut file = ExecIdFile { segment: Segment::create(&partial, bytes)?, next_mark: 0 };
        if let Some(magic) = file.segment.bytes_mut().get_mut(..MAGIC.len()) {
            magic.copy_from_slice(MAGIC);
        }
        if let Some(mark) = mark {
            file.mark_copy(mark);
        }
        for one in kept.iter().rev().take(capacity) {
            file.write(place_of(one.id, capacity), one);
        }
        drop(file);
        let io =
            |error: std::io::Error| StoreError::Io { path: path.to_path_buf(), kind: error.kind() };
        std::fs::rename(&partial, path).map_err(io)?;
        Segment::open(path)
    }

    /// How far a drop copy's messages were dealt with, if that is known.
    pub(super) fn copy_mark(&self) -> Option<CopyMark> {
        mark_in(self.segment.bytes())
    }

    /// Writes how far a drop copy's messages were dealt with.
    pub(super) fn mark_copy(&mut self, mark: CopyMark) {
        let (since, number) = (mark.numbers_since.0.to_le_bytes(), mark.msg_seq_num.to_le_bytes());
        let sum = sum_of(&since, &number).to_le_bytes();
        let mut written = [0; MARK_BYTES];
        written[..8].copy_from_slice(&since);
        written[8..16].copy_from_slice(&number);
        written[16..].copy_from_slice(&sum);
        // The later of two counts: one that goes back takes both places.
        let goes_back = self.copy_mark().is_some_and(|last| {
            (last.numbers_since, last.msg_seq_num) > (mark.numbers_since, mark.msg_seq_num)
        });
        self.next_mark ^= 1;
        self.write_mark(self.next_mark, &written);
        if goes_back {
            self.write_mark(self.next_mark ^ 1, &written);
        }
    }

    /// Nobody knows how far.
    pub(super) fn forget_copy_mark(&mut self) {
        for n in 0..MARKS.len() {
            self.write_mark(n, &[0; MARK_BYTES]);
        }
    }

    fn write_mark(&mut self, n: usize, written: &[u8; MARK_BYTES]) {
        let place = MARKS.get(n).cloned();
        if let Some(place) = place.and_then(|place| self.segment.bytes_mut().get_mut(place)) {
            place.copy_from_slice(written);
        }
    }

    /// Writes the entry that stands at `place` of the table.
    pub(super) fn write(&mut self, place: usize, kept: &Kept) {
        let start = HEADER.saturating_add(place.saturating_mul(SLOT));
        if let Some(slot) = self.segment.bytes_mut().get_mut(start..start.saturating_add(SLOT)) {
            slot.copy_from_slice(&kept.encode());
        }
    }
}

/// The mark in the header of a file; `None` where there is none. Of two the later one.
fn mark_in(file: &[u8]) -> Option<CopyMark> {
    let file = Some(file).filter(|file| file.starts_with(MAGIC))?;
    let marks = MARKS.iter().filter_map(|place| mark_of(file.get(place.clone())?));
    marks.max_by_key(|mark| (mark.numbers_since, mark.msg_seq_num))
}

/// One of them; `None` where there is none, and for a torn one.
fn mark_of(bytes: &[u8]) -> Option<CopyMark> {
    let (since, rest) = bytes.split_first_chunk::<8>()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let sum = rest.first_chunk::<4>()?;
    if *since == [0; 8] || u32::from_le_bytes(*sum) != sum_of(since, number) {
        return None;
    }
    let numbers_since = Nanos(u64::from_le_bytes(*since));
    Some(CopyMark { numbers_since, msg_seq_num: u64::from_le_bytes(*number) })
}

fn sum_of(since: &[u8; 8], number: &[u8; 8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(since), number)
}

/// Where an entry stands; the capacity is a power of two.
fn place_of(id: u64, capacity: usize) -> usize {
    let mask = u64::try_from(capacity.saturating_sub(1)).unwrap_or(0);
    usize::try_from(id & mask).unwrap_or(0)
}
