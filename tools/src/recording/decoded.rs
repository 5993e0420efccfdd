//! A recording that was decoded once, as a file of events: read at the speed of the disk.
//!
//! Fed by any [`Tape`] ([`write`]); feeds whoever plays it ([`Decoded::open`]). Any one thread; memory
//! is one block, whatever the length. The file's key says what it was made from: the recording's files
//! (names, lengths, times of change), the instruments' grids and this build. With any other key it is
//! stale and made anew: nothing is judged by its age. Every block has its checksum.
//!
//! Layout, little-endian: magic, key, count of events, the reader's counters, whether it knows single
//! orders, the words about it, CRC-32C; then blocks of length, CRC-32C and events. Deliberately absent:
//! compression, which would cost more than the disk does.

use super::{OrderGone, Tape, TapeCounters, TapeError};
use crate::private_files;
use ballast_engine::event::{InstrumentId, MarketEvent, MarketUpdate};
use ballast_engine::journal::hash::Sha;
use ballast_engine::units::{Lots, Nanos, Side, Stamp, Ticks};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"BLTAPE02";
/// A block is written when it holds so much.
const BLOCK_BYTES: usize = 1 << 16;
/// An event with its gone order behind it is no longer than this.
const EVENT_BYTES_MAX: usize = 64;
const NOTE_BYTES_MAX: usize = 1 << 20;

const IS_LAST: u8 = 1;
const HAS_GONE: u8 = 2;

/// What of a tape stands in front of its events.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Head {
    key: Sha,
    events: u64,
    counters: TapeCounters,
    knows_orders: bool,
    note: String,
}

impl Head {
    fn bytes(&self) -> Vec<u8> {
        let mut to = Vec::new();
        to.extend_from_slice(MAGIC);
        to.extend_from_slice(&self.key.0);
        to.extend_from_slice(&self.events.to_le_bytes());
        for (_, count) in self.counters.named() {
            to.extend_from_slice(&count.to_le_bytes());
        }
        to.push(u8::from(self.knows_orders));
        to.extend_from_slice(&u32::try_from(self.note.len()).unwrap_or(0).to_le_bytes());
        to.extend_from_slice(self.note.as_bytes());
        let sum = crc32c::crc32c(&to);
        to.extend_from_slice(&sum.to_le_bytes());
        to
    }

    /// `None` where it is no head, or a broken one: the file is made anew.
    fn read(from: &mut impl Read) -> Option<Head> {
        const FIXED: usize = 8 + 32 + 8 + 8 * TapeCounters::COUNT + 1 + 4;
        let mut bytes = vec![0; FIXED];
        from.read_exact(&mut bytes).ok()?;
        let length = u32::from_le_bytes(bytes.get(FIXED - 4..)?.try_into().ok()?);
        let length = usize::try_from(length).ok().filter(|length| *length <= NOTE_BYTES_MAX)?;
        bytes.resize(FIXED + length + 4, 0);
        from.read_exact(bytes.get_mut(FIXED..)?).ok()?;
        let (covered, sum) = bytes.split_at(FIXED + length);
        let is_whole = crc32c::crc32c(covered).to_le_bytes() == sum;
        if !is_whole || !covered.starts_with(MAGIC) {
            return None;
        }
        let number = |at: usize| {
            let bytes: Option<[u8; 8]> = covered.get(at..at + 8).and_then(|b| b.try_into().ok());
            bytes.map_or(0, u64::from_le_bytes)
        };
        let counts = std::array::from_fn(|n| number(48 + 8 * n));
        Some(Head {
            key: Sha(covered.get(8..40)?.try_into().ok()?),
            events: number(40),
            counters: TapeCounters::of(counts),
            knows_orders: covered.get(FIXED - 5) == Some(&1),
            note: String::from_utf8(covered.get(FIXED..)?.to_vec()).ok()?,
        })
    }
}

fn put(event: &MarketEvent, gone: Option<OrderGone>, to: &mut Vec<u8>) {
    let (kind, price, size) = match event.update {
        MarketUpdate::Level { side: Side::Buy, price, size } => (0, price, size),
        MarketUpdate::Level { side: Side::Sell, price, size } => (1, price, size),
        MarketUpdate::Trade { aggressor: Side::Buy, price, size } => (2, price, size),
        MarketUpdate::Trade { aggressor: Side::Sell, price, size } => (3, price, size),
        MarketUpdate::Reset => (4u8, Ticks(0), Lots(0)),
        MarketUpdate::Gap => (5, Ticks(0), Lots(0)),
    };
    to.extend_from_slice(&event.at.0.to_le_bytes());
    to.extend_from_slice(&event.venue_at.0.to_le_bytes());
    to.extend_from_slice(&price.0.to_le_bytes());
    to.extend_from_slice(&size.0.to_le_bytes());
    to.extend_from_slice(&event.instrument.0.to_le_bytes());
    let last = if event.last_in_message { IS_LAST } else { 0 };
    to.extend_from_slice(&[kind, last | if gone.is_some() { HAS_GONE } else { 0 }]);
    if let Some(gone) = gone {
        to.extend_from_slice(&gone.arrived_at.0.to_le_bytes());
        to.extend_from_slice(&gone.arrived_venue_at.0.to_le_bytes());
        to.extend_from_slice(&gone.size.0.to_le_bytes());
    }
}

fn take(from: &mut &[u8]) -> Option<(MarketEvent, Option<OrderGone>)> {
    let (fixed, rest) = from.split_first_chunk::<36>()?;
    *from = rest;
    let number = |at: usize| {
        let bytes: Option<[u8; 8]> = fixed.get(at..at + 8).and_then(|b| b.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    };
    let (price, size) = (Ticks(number(16).cast_signed()), Lots(number(24).cast_signed()));
    let [.., low, high, kind, flags] = *fixed;
    let update = match kind {
        0 => MarketUpdate::Level { side: Side::Buy, price, size },
        1 => MarketUpdate::Level { side: Side::Sell, price, size },
        2 => MarketUpdate::Trade { aggressor: Side::Buy, price, size },
        3 => MarketUpdate::Trade { aggressor: Side::Sell, price, size },
        4 => MarketUpdate::Reset,
        5 => MarketUpdate::Gap,
        _ => return None,
    };
    let mut gone = None;
    if flags & HAS_GONE != 0 {
        let (bytes, rest) = from.split_first_chunk::<24>()?;
        *from = rest;
        let number = |at: usize| {
            let bytes: Option<[u8; 8]> = bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
            bytes.map_or(0, u64::from_le_bytes)
        };
        gone = Some(OrderGone {
            arrived_at: Nanos(number(0)),
            arrived_venue_at: Nanos(number(8)),
            size: Lots(number(16).cast_signed()),
        });
    }
    let event = MarketEvent {
        at: Nanos(number(0)),
        venue_at: Nanos(number(8)),
        stamp: Stamp(0),
        update,
        instrument: InstrumentId(u16::from_le_bytes([low, high])),
        last_in_message: flags & IS_LAST != 0,
    };
    Some((event, gone))
}

/// Plays a tape to its end into a file, which stands under its name only once it is whole.
///
/// # Errors
/// The tape is broken, or the file cannot be written.
pub fn write(path: &Path, key: Sha, note: &str, tape: &mut impl Tape) -> Result<(), TapeError> {
    let partial = path.with_extension(format!("{}.partial", std::process::id()));
    let unwritable = |source| TapeError::Unreadable { file: partial.clone(), source };
    if let Some(folder) = path.parent() {
        private_files::make_folder(folder).map_err(unwritable)?;
    }
    let mut file = BufWriter::new(private_files::create(&partial).map_err(unwritable)?);
    let (counters, knows_orders) = (TapeCounters::default(), tape.knows_orders());
    let mut head = Head { key, events: 0, counters, knows_orders, note: note.to_owned() };
    file.write_all(&head.bytes()).map_err(unwritable)?;
    let mut block = Vec::with_capacity(BLOCK_BYTES + EVENT_BYTES_MAX);
    loop {
        let event = tape.next()?;
        if let Some(event) = &event {
            put(event, tape.order_gone(), &mut block);
            head.events += 1;
        }
        if block.len() >= BLOCK_BYTES || (event.is_none() && !block.is_empty()) {
            let length = u32::try_from(block.len()).unwrap_or(u32::MAX);
            let sum = crc32c::crc32c(&block);
            for part in [&length.to_le_bytes()[..], &sum.to_le_bytes(), &block] {
                file.write_all(part).map_err(unwritable)?;
            }
            block.clear();
        }
        if event.is_none() {
            break;
        }
    }
    head.counters = tape.counters();
    file.seek(SeekFrom::Start(0)).map_err(unwritable)?;
    file.write_all(&head.bytes()).map_err(unwritable)?;
    let file = file.into_inner().map_err(|error| unwritable(error.into_error()))?;
    file.sync_all().and_then(|()| std::fs::rename(&partial, path)).map_err(unwritable)
}

/// A decoded recording that is being read.
pub struct Decoded {
    path: PathBuf,
    file: BufReader<File>,
    head: Head,
    block: Vec<u8>,
    /// How much of the block was taken.
    taken: usize,
    blocks: u64,
    read: u64,
    next: Option<(MarketEvent, Option<OrderGone>)>,
    given: Option<OrderGone>,
    events: u64,
}

impl Decoded {
    /// Opens a file of this key; `None` where there is none, or it is of another key.
    ///
    /// # Errors
    /// It is of this key and cannot be read.
    pub fn open(path: &Path, key: Sha) -> Result<Option<Decoded>, TapeError> {
        let Ok(file) = File::open(path) else { return Ok(None) };
        let mut file = BufReader::with_capacity(2 * BLOCK_BYTES, file);
        let Some(head) = Head::read(&mut file).filter(|head| head.key == key) else {
            return Ok(None);
        };
        let mut decoded = Decoded {
            path: path.to_path_buf(),
            file,
            head,
            block: Vec::new(),
            taken: 0,
            blocks: 0,
            read: 0,
            next: None,
            given: None,
            events: 0,
        };
        decoded.advance()?;
        Ok(Some(decoded))
    }

    /// The words that it was written with.
    pub fn note(&self) -> &str {
        &self.head.note
    }

    fn fault(&self, why: &str) -> TapeError {
        TapeError::Record {
            file: self.path.clone(),
            unit: "block",
            number: self.blocks,
            why: format!("{why}; remove the file, it is made anew from the recording"),
        }
    }

    fn advance(&mut self) -> Result<(), TapeError> {
        if self.taken == self.block.len() {
            self.next = None;
            if self.read == self.head.events {
                return Ok(());
            }
            self.read_block()?;
        }
        let mut rest = self.block.get(self.taken..).unwrap_or_default();
        let before = rest.len();
        let next = take(&mut rest);
        self.taken += before - rest.len();
        self.read += 1;
        self.next = Some(next.ok_or_else(|| self.fault("it holds what is no event"))?);
        Ok(())
    }

    fn read_block(&mut self) -> Result<(), TapeError> {
        self.blocks += 1;
        let mut head = [0; 8];
        if self.file.read_exact(&mut head).is_err() {
            return Err(self.fault("the file is cut off"));
        }
        let [a, b, c, d, sum @ ..] = head;
        let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if !(1..=BLOCK_BYTES + EVENT_BYTES_MAX).contains(&length) {
            return Err(self.fault("its length cannot be"));
        }
        self.block.resize(length, 0);
        self.taken = 0;
        if self.file.read_exact(&mut self.block).is_err() {
            return Err(self.fault("the file is cut off"));
        }
        if crc32c::crc32c(&self.block) != u32::from_le_bytes(sum) {
            return Err(self.fault("its checksum is wrong"));
        }
        Ok(())
    }
}

impl Tape for Decoded {
    fn next(&mut self) -> Result<Option<MarketEvent>, TapeError> {
        let Some((event, gone)) = self.next else { return Ok(None) };
        self.given = gone;
        self.events += 1;
        self.advance()?;
        Ok(Some(event))
    }

    fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError> {
        Ok(self.next.map(|(event, _)| event.at))
    }

    /// Those of the whole recording, but for the events.
    fn counters(&self) -> TapeCounters {
        TapeCounters { events: self.events, ..self.head.counters }
    }

    fn order_gone(&self) -> Option<OrderGone> {
        self.given
    }

    fn knows_orders(&self) -> bool {
        self.head.knows_orders
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backtest::tape::AnyTape;
    use crate::config::ConfigFile;

    fn synthetic() -> AnyTape {
        let file = ConfigFile::demo().unwrap();
        AnyTape::synthetic(&file.table.instruments, 3, Some(4_000_000_000))
    }

    fn all(tape: &mut impl Tape) -> Result<Vec<(MarketEvent, Option<OrderGone>)>, TapeError> {
        let mut events = Vec::new();
        while let Some(event) = tape.next()? {
            events.push((event, tape.order_gone()));
        }
        Ok(events)
    }

    #[test]
    fn what_was_written_comes_back_and_another_key_is_stale() {
        let path = std::env::temp_dir().join(format!("ballast-{}-a.bltape", std::process::id()));
        let (key, other) = (Sha::of(b"one"), Sha::of(b"two"));
        assert!(Decoded::open(&path, key).unwrap().is_none());
        let mut tape = synthetic();
        write(&path, key, "made up", &mut tape).unwrap();
        let mut decoded = Decoded::open(&path, key).unwrap().unwrap();
        assert_eq!(decoded.note(), "made up");
        assert_eq!(all(&mut decoded).unwrap(), all(&mut synthetic()).unwrap());
        assert_eq!(decoded.counters(), tape.counters());
        assert!(Decoded::open(&path, other).unwrap().is_none());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_changed_or_cut_file_is_stale_or_told_and_never_other_events() {
        let path = std::env::temp_dir().join(format!("ballast-{}-b.bltape", std::process::id()));
        let key = Sha::of(b"one");
        write(&path, key, "made up", &mut synthetic()).unwrap();
        let expected = all(&mut synthetic()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let mut random = crate::random::Random::new(1);
        for n in 0..120 {
            let mut bytes = whole.clone();
            let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
            if n % 3 == 0 {
                bytes.truncate(at)
            } else {
                bytes[at] ^= 1 << random.below(8)
            }
            std::fs::write(&path, &bytes).unwrap();
            let played = Decoded::open(&path, key);
            let played = played.and_then(|decoded| decoded.map(|mut d| all(&mut d)).transpose());
            match played {
                Ok(events) => assert!(events.is_none_or(|events| events == expected), "{at}"),
                Err(error) => assert!(error.to_string().contains("block "), "{error}"),
            }
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn an_order_that_left_comes_back_with_its_event() {
        let event = MarketEvent {
            at: Nanos(1),
            venue_at: Nanos(2),
            stamp: Stamp(0),
            update: MarketUpdate::Level { side: Side::Sell, price: Ticks(-3), size: Lots(4) },
            instrument: InstrumentId(515),
            last_in_message: true,
        };
        let gone = OrderGone { arrived_at: Nanos(5), arrived_venue_at: Nanos(6), size: Lots(7) };
        let mut bytes = Vec::new();
        put(&event, Some(gone), &mut bytes);
        put(&event, None, &mut bytes);
        let mut rest = &bytes[..];
        assert_eq!(take(&mut rest), Some((event, Some(gone))));
        assert_eq!(take(&mut rest), Some((event, None)));
        assert!(rest.is_empty());
    }
}
