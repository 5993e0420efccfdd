//! How a segment is laid out: its header, and records one after the other.
//!
//! Fed by `file.rs`, which appends and recovers; pure functions over bytes, any thread.
//! Deliberately absent: files.
//!
//! Little-endian. Segment header, 64 bytes: magic 8, version 4, number 4, next_sender 8,
//! next_target 8, created_at 8, zeros 20, CRC-32C 4 over the 60 before it. Record: length of the payload 4,
//! CRC-32C 4 over what follows, kind 1, zeros 7, number 8, payload, zeros to a multiple of 8. Unused
//! room is zero, and a record's kind never is, so the first zero header is the end.

/// Bytes of a segment's header.
pub(super) const SEGMENT_HEADER: usize = 64;
/// Bytes before a record's payload.
pub(super) const RECORD_HEADER: usize = 24;

const MAGIC: &[u8; 8] = b"BALSTOR1";
const VERSION: u32 = 1;

/// What a segment continues from: older ones can go without loss of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub number: u32,
    pub next_sender: u64,
    pub next_target: u64,
    pub created_at: u64,
}

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An outbound application message, number and frame.
    Outbound,
    /// An outbound administrative message: number only.
    OutboundAdmin,
    /// An inbound application message, number and frame.
    Inbound,
    /// The number expected next.
    NextTarget,
    /// The number that goes out next.
    NextSender,
    /// Both numbers are 1; the record's number is the time in ns.
    Reset,
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Kind::Outbound => 1,
            Kind::OutboundAdmin => 2,
            Kind::Inbound => 3,
            Kind::NextTarget => 4,
            Kind::NextSender => 5,
            Kind::Reset => 6,
        }
    }

    const fn of(code: u8) -> Option<Kind> {
        match code {
            1 => Some(Kind::Outbound),
            2 => Some(Kind::OutboundAdmin),
            3 => Some(Kind::Inbound),
            4 => Some(Kind::NextTarget),
            5 => Some(Kind::NextSender),
            6 => Some(Kind::Reset),
            _ => None,
        }
    }
}

/// One record as it stands in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub kind: Kind,
    pub number: u64,
    /// Where the payload begins in the segment.
    pub payload: usize,
    pub payload_len: usize,
    /// Where the next record begins.
    pub end: usize,
}

/// What stands at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Record(Record),
    /// Unused room.
    End,
    /// Neither: torn by a crash, or damaged.
    Torn,
}

/// Bytes that a record with such a payload takes.
pub(super) const fn record_len(payload: usize) -> usize {
    RECORD_HEADER.saturating_add(payload).saturating_add(7) & !7
}

/// Writes a record; `false` where it does not fit, and then nothing is written.
pub(super) fn write(
    segment: &mut [u8],
    offset: usize,
    kind: Kind,
    number: u64,
    payload: &[u8],
) -> bool {
    let Ok(payload_len) = u32::try_from(payload.len()) else { return false };
    let end = offset.saturating_add(record_len(payload.len()));
    let Some(room) = segment.get_mut(offset..end) else { return false };
    let Some((header, body)) = room.split_at_mut_checked(RECORD_HEADER) else { return false };
    let Some(body) = body.get_mut(..payload.len()) else { return false };
    let mut tail = [0u8; 16];
    tail[0] = kind.code();
    tail[8..].copy_from_slice(&number.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&tail), payload);
    // The payload first: a process killed in between leaves a zero header, which is the end.
    body.copy_from_slice(payload);
    let mut head = [0u8; RECORD_HEADER];
    head[..4].copy_from_slice(&payload_len.to_le_bytes());
    head[4..8].copy_from_slice(&crc.to_le_bytes());
    head[8..].copy_from_slice(&tail);
    header.copy_from_slice(&head);
    true
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|b| u32::from_le_bytes(*b))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk::<8>().map(|b| u64::from_le_bytes(*b))
}

/// Reads the record at `offset`.
pub(super) fn read(segment: &[u8], offset: usize) -> Read {
    let Some(header) = segment.get(offset..offset.saturating_add(RECORD_HEADER)) else {
        return Read::End;
    };
    if header.iter().all(|&byte| byte == 0) {
        return Read::End;
    }
    read_whole(segment, offset, header).map_or(Read::Torn, Read::Record)
}

fn read_whole(segment: &[u8], offset: usize, header: &[u8]) -> Option<Record> {
    let payload_len = usize::try_from(u32_at(header, 0)?).ok()?;
    let crc = u32_at(header, 4)?;
    let kind = Kind::of(*header.get(8)?)?;
    let number = u64_at(header, 16)?;
    let payload = offset.checked_add(RECORD_HEADER)?;
    let end = offset.checked_add(record_len(payload_len))?;
    let covered = segment.get(offset.checked_add(8)?..payload.checked_add(payload_len)?)?;
    (end <= segment.len() && crc32c::crc32c(covered) == crc).then_some(Record {
        kind,
        number,
        payload,
        payload_len,
        end,
    })
}

/// Bytes from the beginning that hold a header and whole records; 0 where there is no header.
pub(super) fn whole_records(segment: &[u8]) -> usize {
    if read_checkpoint(segment).is_none() {
        return 0;
    }
    let mut end = SEGMENT_HEADER;
    while let Read::Record(record) = read(segment, end) {
        end = record.end;
    }
    end
}

/// Writes a segment's header.
pub(super) fn write_checkpoint(segment: &mut [u8], checkpoint: Checkpoint) {
    let mut header = [0u8; SEGMENT_HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&checkpoint.number.to_le_bytes());
    header[16..24].copy_from_slice(&checkpoint.next_sender.to_le_bytes());
    header[24..32].copy_from_slice(&checkpoint.next_target.to_le_bytes());
    header[32..40].copy_from_slice(&checkpoint.created_at.to_le_bytes());
    let crc = crc32c::crc32c(&header[..60]);
    header[60..].copy_from_slice(&crc.to_le_bytes());
    if let Some(room) = segment.get_mut(..SEGMENT_HEADER) {
        room.copy_from_slice(&header);
    }
}

/// The version of a whole header that another program's layout has.
pub(super) fn other_version(segment: &[u8]) -> Option<u32> {
    let version = u32_at(segment, 8)?;
    let is_whole =
        segment.starts_with(MAGIC) && u32_at(segment, 60)? == crc32c::crc32c(segment.get(..60)?);
    (is_whole && version != VERSION).then_some(version)
}

/// Reads a segment's header; `None` where there is none (a segment prepared and never used, or one
/// whose first bytes were torn).
pub(super) fn read_checkpoint(segment: &[u8]) -> Option<Checkpoint> {
    let header = segment.get(..SEGMENT_HEADER)?;
    let is_whole = header.starts_with(MAGIC)
        && u32_at(header, 8)? == VERSION
        && u32_at(header, 60)? == crc32c::crc32c(header.get(..60)?);
    if !is_whole {
        return None;
    }
    Some(Checkpoint {
        number: u32_at(header, 12)?,
        next_sender: u64_at(header, 16)?,
        next_target: u64_at(header, 24)?,
        created_at: u64_at(header, 32)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_as_written() {
        let mut segment = vec![0u8; 256];
        assert!(write(&mut segment, 64, Kind::Inbound, 9, b"8=FIX"));
        let Read::Record(record) = read(&segment, 64) else { panic!("a record") };
        assert_eq!((record.kind, record.number, record.end), (Kind::Inbound, 9, 64 + 32));
        assert_eq!(&segment[record.payload..record.payload + record.payload_len], b"8=FIX");
        assert_eq!(read(&segment, record.end), Read::End);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut clean = vec![0u8; 128];
        assert!(write(&mut clean, 0, Kind::Outbound, 3, b"35=D"));
        // Bytes 9..16 are zeros under the checksum; those behind the payload are padding.
        for bit in 0..(RECORD_HEADER + 4) * 8 {
            let mut segment = clean.clone();
            segment[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&segment, 0), Read::Torn, "bit {bit}");
        }
    }

    #[test]
    fn a_record_that_does_not_fit_is_not_begun() {
        let mut segment = vec![0u8; 40];
        assert!(!write(&mut segment, 0, Kind::Outbound, 1, &[1; 17]));
        assert!(segment.iter().all(|&byte| byte == 0));
    }

    #[test]
    fn a_torn_segment_header_is_none() {
        let mut segment = vec![0u8; 64];
        let checkpoint = Checkpoint { number: 2, next_sender: 5, next_target: 8, created_at: 13 };
        write_checkpoint(&mut segment, checkpoint);
        assert_eq!(read_checkpoint(&segment), Some(checkpoint));
        segment[20] ^= 1;
        assert_eq!(read_checkpoint(&segment), None);
    }
}
