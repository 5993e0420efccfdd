//! Zip archives as Lean writes them: many small members, stored or deflated.
//!
//! Fed by a file read whole (the largest recording is 1.1 MB); feeds the bar readers one member at
//! a time. Any one thread. Deliberately absent: writing, encryption and split archives, each an
//! error. Layout: PKWARE APPNOTE 6.3, sections 4.3.7, 4.3.12 to 4.3.16 and 4.5.3 (Zip64: some of Lean's
//! files use it although they are small).

use flate2::Crc;
use flate2::read::DeflateDecoder;
use std::io::Read;
use thiserror::Error;

/// No member of a Lean archive comes near this; a larger one is a bomb or a broken header.
const MEMBER_BYTES_MAX: u64 = 256 << 20;
const END_BYTES: usize = 22;
const ENTRY_BYTES: usize = 46;
const LOCAL_BYTES: usize = 30;

/// Why an archive or a member was not read.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ArchiveError {
    /// The bytes are no zip archive, or are cut off.
    #[error("is not a whole zip archive")]
    NotZip,
    /// A member's bytes are not what its header says.
    #[error("member {0} does not match its checksum or length")]
    Damaged(String),
    /// Encryption, or a compression other than deflate.
    #[error("member {0} is encrypted, too large, or compressed in a way that Lean does not use")]
    Unsupported(String),
}

/// One member's place in the archive.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    name: String,
    method: u16,
    flags: u16,
    crc: u32,
    packed: u64,
    unpacked: u64,
    offset: u64,
}

/// An archive in memory.
pub struct Archive {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Archive {
    /// Reads the directory of an archive.
    ///
    /// # Errors
    /// [`ArchiveError::NotZip`].
    pub fn new(bytes: Vec<u8>) -> Result<Archive, ArchiveError> {
        let entries = directory(&bytes).ok_or(ArchiveError::NotZip)?;
        Ok(Archive { bytes, entries })
    }

    /// The members' names, in the order of the directory.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// The bytes of a member, checked against its checksum; `None` where there is none of the name.
    ///
    /// # Errors
    /// [`ArchiveError::Damaged`] and [`ArchiveError::Unsupported`].
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
        let Some(entry) = self.entries.iter().find(|entry| entry.name == name) else {
            return Ok(None);
        };
        let is_encrypted = entry.flags & 1 != 0;
        if is_encrypted || entry.unpacked > MEMBER_BYTES_MAX {
            return Err(ArchiveError::Unsupported(entry.name.clone()));
        }
        let damaged = || ArchiveError::Damaged(entry.name.clone());
        let packed = self.packed(entry).ok_or_else(damaged)?;
        let mut unpacked = Vec::new();
        match entry.method {
            0 => unpacked.extend_from_slice(packed),
            8 => {
                DeflateDecoder::new(packed)
                    .take(entry.unpacked + 1)
                    .read_to_end(&mut unpacked)
                    .map_err(|_| damaged())?;
            }
            _ => return Err(ArchiveError::Unsupported(entry.name.clone())),
        }
        let mut crc = Crc::new();
        crc.update(&unpacked);
        if unpacked.len() as u64 != entry.unpacked || crc.sum() != entry.crc {
            return Err(damaged());
        }
        Ok(Some(unpacked))
    }

    fn packed(&self, entry: &Entry) -> Option<&[u8]> {
        let start = usize::try_from(entry.offset).ok()?;
        let header = self.bytes.get(start..start.checked_add(LOCAL_BYTES)?)?;
        if !header.starts_with(b"PK\x03\x04") {
            return None;
        }
        // The local name and extra field may be longer than the directory's.
        let skip = LOCAL_BYTES + usize::from(half(header, 26)?) + usize::from(half(header, 28)?);
        let from = start.checked_add(skip)?;
        self.bytes.get(from..from.checked_add(usize::try_from(entry.packed).ok()?)?)
    }
}

fn directory(bytes: &[u8]) -> Option<Vec<Entry>> {
    // The end record stands last, before a comment of at most 64 KiB.
    let last = bytes.len().checked_sub(END_BYTES)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    let end = (first..=last).rev().find(|at| bytes[*at..].starts_with(b"PK\x05\x06"))?;
    let record = &bytes[end..];
    let (mut count, mut at) = (u64::from(half(record, 10)?), u64::from(word(record, 16)?));
    // Numbers of all ones stand in the Zip64 record, whose locator is in front of this one.
    if count == u64::from(u16::MAX) || at == u64::from(u32::MAX) {
        let locator = bytes.get(end.checked_sub(20)?..end)?;
        let from = usize::try_from(long(locator, 8)?).ok()?;
        let large = bytes.get(from..from.checked_add(56)?)?;
        if !locator.starts_with(b"PK\x06\x07") || !large.starts_with(b"PK\x06\x06") {
            return None;
        }
        (count, at) = (long(large, 32)?, long(large, 48)?);
    }
    let mut at = usize::try_from(at).ok()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let head = bytes.get(at..at.checked_add(ENTRY_BYTES)?)?;
        if !head.starts_with(b"PK\x01\x02") {
            return None;
        }
        let name_bytes = usize::from(half(head, 28)?);
        let name = bytes.get(at + ENTRY_BYTES..at + ENTRY_BYTES + name_bytes)?;
        let extra_from = at + ENTRY_BYTES + name_bytes;
        let extra = bytes.get(extra_from..extra_from + usize::from(half(head, 30)?))?;
        let short = [word(head, 24)?, word(head, 20)?, word(head, 42)?];
        let [unpacked, packed, offset] = sizes(short, extra)?;
        entries.push(Entry {
            name: String::from_utf8(name.to_vec()).ok()?,
            flags: half(head, 8)?,
            method: half(head, 10)?,
            crc: word(head, 16)?,
            packed,
            unpacked,
            offset,
        });
        at +=
            ENTRY_BYTES + name_bytes + usize::from(half(head, 30)?) + usize::from(half(head, 32)?);
    }
    Some(entries)
}

/// Unpacked size, packed size and offset: those of all ones stand in the extra field 1, in order.
fn sizes(short: [u32; 3], mut extra: &[u8]) -> Option<[u64; 3]> {
    let mut sizes = short.map(u64::from);
    if short.iter().all(|size| *size != u32::MAX) {
        return Some(sizes);
    }
    while half(extra, 0)? != 1 {
        extra = extra.get(4 + usize::from(half(extra, 2)?)..)?;
    }
    let large = sizes.iter_mut().filter(|size| **size == u64::from(u32::MAX));
    for (place, size) in large.enumerate() {
        *size = long(extra, 4 + 8 * place)?;
    }
    Some(sizes)
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use std::io::Write;

    /// A zip archive of these members, every other one stored.
    pub fn zip(members: &[(&str, &str)]) -> Vec<u8> {
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for (i, (name, text)) in members.iter().enumerate() {
            let method = if i % 2 == 0 { 8u16 } else { 0 };
            let packed = if method == 8 {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(text.as_bytes()).unwrap();
                encoder.finish().unwrap()
            } else {
                text.as_bytes().to_vec()
            };
            let mut crc = Crc::new();
            crc.update(text.as_bytes());
            let mut fields = Vec::new();
            fields.extend([20u16, 0, method, 0, 0].map(u16::to_le_bytes).concat());
            for size in [crc.sum(), packed.len() as u32, text.len() as u32] {
                fields.extend(size.to_le_bytes());
            }
            fields.extend([name.len() as u16, 0].map(u16::to_le_bytes).concat());
            let offset = bytes.len() as u32;
            bytes.extend(b"PK\x03\x04");
            bytes.extend(&fields);
            bytes.extend(name.as_bytes());
            bytes.extend(&packed);
            directory.extend(b"PK\x01\x02\x14\x00");
            directory.extend(&fields);
            directory.extend([0u8; 10]);
            directory.extend(offset.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let (start, size) = (bytes.len() as u32, directory.len() as u32);
        bytes.extend(&directory);
        let count = members.len() as u16;
        bytes.extend(b"PK\x05\x06");
        bytes.extend([0, 0, count, count].map(u16::to_le_bytes).concat());
        bytes.extend(size.to_le_bytes());
        bytes.extend(start.to_le_bytes());
        bytes.extend([0, 0]);
        bytes
    }

    #[test]
    fn members_come_back_stored_or_deflated() {
        let text = "34200000,1,2,3\n".repeat(100);
        let archive = Archive::new(zip(&[("a.csv", &text), ("b.csv", "1,2")])).unwrap();
        assert_eq!(archive.names().collect::<Vec<_>>(), ["a.csv", "b.csv"]);
        assert_eq!(archive.read("a.csv").unwrap().unwrap(), text.as_bytes());
        assert_eq!(archive.read("b.csv").unwrap().unwrap(), b"1,2");
        assert_eq!(archive.read("c.csv").unwrap(), None);
    }

    #[test]
    fn a_cut_or_changed_archive_is_refused_and_never_panics() {
        let good = zip(&[("a.csv", "1,2,3"), ("b.csv", "4,5,6")]);
        for length in 0..good.len() {
            assert!(Archive::new(good[..length].to_vec()).is_err(), "cut at {length}");
        }
        let mut refused = 0;
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x5A;
            let Ok(archive) = Archive::new(bytes) else {
                refused += 1;
                continue;
            };
            for (name, text) in [("a.csv", &b"1,2,3"[..]), ("b.csv", b"4,5,6")] {
                match archive.read(name) {
                    Ok(Some(bytes)) => assert_eq!(bytes, text, "byte {at} of {name}"),
                    Ok(None) | Err(_) => refused += 1,
                }
            }
        }
        assert!(refused > 50, "{refused} of {} changes were seen", good.len());
    }
}
