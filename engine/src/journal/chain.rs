//! The segments of one run as the one stream of bytes that they are, compressed ones included.
//!
//! Fed by files; feeds the reader. Any thread but a hot one. Opened by the name of a run's first
//! segment, of any other, or of a folder (its newest run). Absent: records; their checksums say whether
//! the stream is whole.

use super::fault::JournalFault;
use super::header::PREFIX_BYTES;
use super::segments::{SEGMENT_PREFIX_BYTES, SegmentPrefix, segment_path};
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Ending of a compressed segment's name.
pub const COMPRESSED: &str = ".zst";
/// Ending of a run's first segment's name.
const FIRST: &str = ".blj";

/// Where each segment that was opened starts in the stream: for faults, which name file and byte.
#[derive(Clone, Debug, Default)]
pub struct Starts(Arc<Mutex<Vec<(u64, u64, PathBuf)>>>);

impl Starts {
    fn add(&self, offset: u64, prefix_bytes: u64, path: &Path) {
        let mut starts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        starts.push((offset, prefix_bytes, path.to_path_buf()));
    }

    /// The file and the byte in it (of its decompressed content) of a place in the stream.
    pub fn place(&self, offset: u64) -> Option<(PathBuf, u64)> {
        let starts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, prefix, path) = starts.iter().rev().find(|(start, _, _)| *start <= offset)?;
        Some((path.clone(), prefix.saturating_add(offset.saturating_sub(*start))))
    }
}

/// A chain being read.
pub struct Chain {
    first: PathBuf,
    number: u32,
    current: Box<dyn Read + Send>,
    path: PathBuf,
    offset: u64,
    /// The run's header checksum, gathered from the stream's first bytes.
    head: Vec<u8>,
    starts: Starts,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain").field("path", &self.path).field("offset", &self.offset).finish()
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// The plain file, or else the compressed one.
fn open_either(path: &Path) -> io::Result<(Box<dyn Read + Send>, PathBuf)> {
    match File::open(path) {
        Ok(file) => Ok((Box::new(file), path.to_path_buf())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let compressed = with_ending(path, COMPRESSED);
            match File::open(&compressed) {
                Ok(file) => Ok((Box::new(zstd::stream::read::Decoder::new(file)?), compressed)),
                Err(_) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// The first segment's name, whichever of the run's was named; of a folder, its newest run's.
pub fn first_segment(path: &Path) -> PathBuf {
    if path.is_dir() {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let firsts = names.filter_map(|name| {
            let name = name.strip_suffix(COMPRESSED).unwrap_or(&name).to_owned();
            name.ends_with(FIRST).then_some(name)
        });
        return firsts.max().map_or_else(|| path.to_path_buf(), |name| path.join(name));
    }
    let Some(text) = path.to_str() else { return path.to_path_buf() };
    let text = text.strip_suffix(COMPRESSED).unwrap_or(text);
    let first = text.rsplit_once('.').filter(|(first, number)| {
        first.ends_with(FIRST) && number.len() >= 4 && number.bytes().all(|b| b.is_ascii_digit())
    });
    PathBuf::from(first.map_or(text, |(first, _)| first))
}

/// A segment that was opened, and read up to behind its prefix.
struct Segment {
    file: Box<dyn Read + Send>,
    path: PathBuf,
    prefix: SegmentPrefix,
}

impl Chain {
    /// Opens the run that `path` names.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn open(path: &Path) -> Result<Chain, JournalFault> {
        let first = first_segment(path);
        let (current, path) =
            open_either(&first).map_err(|e| JournalFault::from_io(&first, "open", &e))?;
        let starts = Starts::default();
        starts.add(0, 0, &path);
        Ok(Chain { first, number: 1, current, path, offset: 0, head: Vec::new(), starts })
    }

    /// Its first segment's path.
    pub fn first(&self) -> &Path {
        &self.first
    }

    /// The file that is being read.
    pub fn file(&self) -> &Path {
        &self.path
    }

    /// For the faults of whoever reads.
    pub fn starts(&self) -> Starts {
        self.starts.clone()
    }

    /// Goes on at a place of the stream, after the first bytes; `false` where the stream ends before it.
    /// Segments before it are not read, nor what is before it in a plain one.
    ///
    /// # Errors
    /// As reading.
    pub fn skip_to(&mut self, offset: u64) -> io::Result<bool> {
        while let Some(next) = self.next_segment()?
            && next.prefix.offset <= offset
        {
            self.number = next.prefix.number;
            self.offset = next.prefix.offset;
            self.starts.add(self.offset, SEGMENT_PREFIX_BYTES as u64, &next.path);
            (self.current, self.path) = (next.file, next.path);
        }
        if let Some((path, byte)) = self.starts.place(offset)
            && !path.as_os_str().as_encoded_bytes().ends_with(COMPRESSED.as_bytes())
        {
            let mut plain = File::open(&path)?;
            let is_there = plain.metadata()?.len() >= byte;
            plain.seek(io::SeekFrom::Start(byte))?;
            (self.current, self.offset) = (Box::new(plain), offset);
            return Ok(is_there);
        }
        let missing = offset.saturating_sub(self.offset);
        Ok(io::copy(&mut self.by_ref().take(missing), &mut io::sink())? == missing)
    }

    /// The next segment, where it is one of this run's.
    fn next_segment(&self) -> io::Result<Option<Segment>> {
        let number = self.number.saturating_add(1);
        let (mut file, path) = match open_either(&segment_path(&self.first, number)) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.by_ref().take(SEGMENT_PREFIX_BYTES as u64).read_to_end(&mut bytes)?;
        let prefix = bytes.first_chunk().and_then(SegmentPrefix::decode);
        let is_ours =
            |prefix: &SegmentPrefix| prefix.number == number && Some(prefix.seed) == self.seed();
        Ok(prefix.filter(is_ours).map(|prefix| Segment { file, path, prefix }))
    }

    fn seed(&self) -> Option<u32> {
        let sum = self.head.get(PREFIX_BYTES - 4..PREFIX_BYTES)?;
        sum.first_chunk().map(|sum| u32::from_le_bytes(*sum))
    }

    fn fault(path: &Path, what: &'static str) -> io::Error {
        io::Error::other(JournalFault::Segment { path: path.to_path_buf(), what })
    }

    /// Opens the next segment; says whether there is one.
    fn advance(&mut self) -> io::Result<bool> {
        let next = segment_path(&self.first, self.number.saturating_add(1));
        let (mut current, path) = match open_either(&next) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return match self.has_later() {
                    true => Err(Self::fault(&next, "it is missing, and later ones are there")),
                    false => Ok(false),
                };
            }
            Err(error) => return Err(error),
        };
        let mut prefix = Vec::new();
        current.by_ref().take(SEGMENT_PREFIX_BYTES as u64).read_to_end(&mut prefix)?;
        self.number = self.number.saturating_add(1);
        let Some(bytes) = prefix.first_chunk::<SEGMENT_PREFIX_BYTES>() else {
            // The process died while it began this file: nothing of the stream is in it.
            return match self.has_later() {
                true => Err(Self::fault(&path, "it ends inside its prefix")),
                false => Ok(false),
            };
        };
        let is_zero = bytes.iter().all(|byte| *byte == 0);
        let expected = SegmentPrefix {
            number: self.number,
            offset: self.offset,
            seed: self.seed().unwrap_or(0),
        };
        match SegmentPrefix::decode(bytes) {
            Some(found) if found == expected => {}
            Some(_) => return Err(Self::fault(&path, "it does not continue the one before it")),
            None if is_zero && !self.has_later() => return Ok(false),
            None => return Err(Self::fault(&path, "its prefix is damaged")),
        }
        self.starts.add(self.offset, SEGMENT_PREFIX_BYTES as u64, &path);
        self.current = current;
        self.path = path;
        Ok(true)
    }

    /// Is there a segment beyond the next one?
    fn has_later(&self) -> bool {
        let (Some(folder), Some(name)) = (self.first.parent(), self.first.file_name()) else {
            return false;
        };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let Some(name) = name.to_str() else { return false };
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.any(|other| {
            let other = other.strip_suffix(COMPRESSED).unwrap_or(&other);
            let number = other.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
            number.and_then(|n| n.parse::<u32>().ok()).is_some_and(|n| n > self.number + 1)
        })
    }
}

impl Read for Chain {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if room.is_empty() {
            return Ok(0);
        }
        loop {
            let read = self.current.read(room);
            let count = match read {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    let is_compressed = self.path.extension().is_some_and(|e| e == "zst");
                    return Err(match is_compressed {
                        true => Self::fault(&self.path, "its compression is damaged"),
                        false => error,
                    });
                }
                other => other?,
            };
            if count > 0 {
                let missing = PREFIX_BYTES.saturating_sub(self.head.len()).min(count);
                self.head.extend_from_slice(room.get(..missing).unwrap_or_default());
                self.offset = self.offset.saturating_add(count as u64);
                return Ok(count);
            }
            if !self.advance()? {
                // An end is an end, however often it is asked for.
                self.current = Box::new(io::empty());
                return Ok(0);
            }
        }
    }
}
