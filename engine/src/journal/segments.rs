//! A journal as a chain of files: a new one at a size and at midnight UTC.
//!
//! Fed by the writer with its bytes, on the recorder's thread; feeds the files, and whoever compresses
//! with the path of each that ended. The chain is **one stream of bytes cut anywhere**: the first file
//! (`journal-000001.blj`) starts with the run's header, each further one (`….blj.0002`) with a prefix
//! that names its place in this run's stream. Records keep their numbers and checksums over the cuts,
//! so that a missing, doubled or foreign segment does not pass. All files are 0600.
//! Absent: reading (`chain`), compression (`archive`).

use super::codec::Field;
use super::fault::JournalFault;
use super::header::PREFIX_BYTES;
use super::writer::Sink;
use crate::units::Nanos;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What every further segment starts with.
pub const SEGMENT_MAGIC: [u8; 8] = *b"BALLASTS";
/// Bytes of a further segment's prefix.
pub const SEGMENT_PREFIX_BYTES: usize = 28;
const DAY_NS: u64 = 86_400_000_000_000;

/// Where a further segment belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentPrefix {
    /// Its number, from 2.
    pub number: u32,
    /// Bytes of the stream before it, the run's header included.
    pub offset: u64,
    /// The checksum of the run's header: which run.
    pub seed: u32,
}

impl SegmentPrefix {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = SEGMENT_MAGIC.to_vec();
        self.number.put(&mut bytes);
        self.offset.put(&mut bytes);
        self.seed.put(&mut bytes);
        crc32c::crc32c(&bytes).put(&mut bytes);
        bytes
    }

    /// Of the first bytes of a further segment; `None` where they are not one's.
    pub fn decode(bytes: &[u8; SEGMENT_PREFIX_BYTES]) -> Option<SegmentPrefix> {
        let (covered, mut sum) = bytes.split_at_checked(SEGMENT_PREFIX_BYTES - 4)?;
        let (magic, mut rest) = covered.split_first_chunk::<8>()?;
        if *magic != SEGMENT_MAGIC || crc32c::crc32c(covered) != u32::take(&mut sum)? {
            return None;
        }
        let number = u32::take(&mut rest)?;
        let offset = u64::take(&mut rest)?;
        Some(SegmentPrefix { number, offset, seed: u32::take(&mut rest)? })
    }
}

/// The path of a chain's segment `number`, counted from 1.
pub fn segment_path(first: &Path, number: u32) -> PathBuf {
    if number <= 1 {
        return first.to_path_buf();
    }
    let mut path = first.as_os_str().to_owned();
    path.push(format!(".{number:04}"));
    path.into()
}

/// Told the path of every segment that ended, on the recorder's thread: it must not wait.
pub type OnEnd = Box<dyn FnMut(PathBuf) + Send>;

/// The sink that cuts the stream.
pub struct Segments {
    first: PathBuf,
    file: File,
    number: u32,
    /// Bytes of the stream in this segment and before it.
    in_segment: u64,
    offset: u64,
    seed: u32,
    bytes_max: u64,
    day: Option<u64>,
    is_day_over: bool,
    on_end: OnEnd,
}

/// A new file, whose name a loss of power does not take back either.
fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(file)
}

impl Segments {
    /// A chain whose first file is `first`; segments end at `bytes_max` and at midnight UTC.
    ///
    /// # Errors
    /// The file is there, or cannot be made.
    pub fn create(first: &Path, bytes_max: u64, on_end: OnEnd) -> Result<Segments, JournalFault> {
        let file = create(first).map_err(|e| JournalFault::from_io(first, "create", &e))?;
        Ok(Segments {
            first: first.to_path_buf(),
            file,
            number: 1,
            in_segment: 0,
            offset: 0,
            seed: 0,
            bytes_max: bytes_max.max(1),
            day: None,
            is_day_over: false,
            on_end,
        })
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        let number = self.number.saturating_add(1);
        let mut file = create(&segment_path(&self.first, number))?;
        let prefix = SegmentPrefix { number, offset: self.offset, seed: self.seed };
        file.write_all(&prefix.encode())?;
        let ended = segment_path(&self.first, self.number);
        self.file = file;
        self.number = number;
        self.in_segment = 0;
        self.is_day_over = false;
        (self.on_end)(ended);
        Ok(())
    }
}

impl Write for Segments {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.offset == 0
            && let Some(mut sum) = bytes.get(PREFIX_BYTES - 4..PREFIX_BYTES)
        {
            // The run's header comes whole, first; its checksum is what names the run.
            self.seed = u32::take(&mut sum).unwrap_or(0);
        }
        let is_full = self.in_segment >= self.bytes_max || self.is_day_over;
        if is_full && self.in_segment > 0 {
            self.rotate()?;
        }
        let count = self.file.write(bytes)?;
        self.in_segment = self.in_segment.saturating_add(count as u64);
        self.offset = self.offset.saturating_add(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Segments {
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn tell_time(&mut self, now: Nanos) {
        let day = now.0 / DAY_NS;
        self.is_day_over |= self.day.is_some_and(|known| known != day);
        self.day = Some(day);
    }
}
