//! Reads a journal record by record, believing nothing.
//!
//! Fed by a file (or any bytes); feeds replay, recovery and `ballast journal`. Holds one buffer, never
//! the file. The first fault ends the reading; everything handed out before it is good. Absent:
//! repair.

use super::chain::{Chain, Starts};
use super::fault::JournalFault;
use super::header::{self, Header, HeaderFault, PREFIX_BYTES};
use super::record::{End, HEAD_BYTES, Head, Record};
use super::snapshot::Place;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

const BUFFER_BYTES: usize = 64 * 1024;

/// A journal being read: an iterator over its records, the end record included.
#[derive(Debug)]
pub struct JournalReader<R = Chain> {
    source: R,
    path: PathBuf,
    header: Header,
    seed: u32,
    buffer: Vec<u8>,
    /// What of the buffer is used up.
    used: usize,
    /// Where the next record starts in the file.
    offset: u64,
    records: u64,
    end: Option<End>,
    is_over: bool,
    /// Of a chain: which file a place in the stream is in.
    starts: Option<Starts>,
}

impl JournalReader {
    /// Opens a run's journal (any of its segments, compressed or not, or a folder: its newest run)
    /// and reads its header.
    pub fn open(path: &Path) -> Result<JournalReader, JournalFault> {
        let chain = Chain::open(path)?;
        let (first, starts) = (chain.first().to_path_buf(), chain.starts());
        let mut reader = JournalReader::over(chain, &first)?;
        reader.starts = Some(starts);
        Ok(reader)
    }
}

impl JournalReader {
    /// Goes on at a place that an earlier reading of this journal had come to; `false` where the journal
    /// ends before it. Before the first record is read.
    ///
    /// # Errors
    /// The system refuses, or a segment is damaged.
    pub fn skip_to(&mut self, place: Place) -> Result<bool, JournalFault> {
        let skipped = self.source.skip_to(place.offset);
        let is_there = skipped.map_err(|e| JournalFault::from_io(&self.path, "read", &e))?;
        (self.offset, self.records) = (place.offset, place.records);
        Ok(is_there)
    }

    /// The file that is being read.
    pub fn file(&self) -> &Path {
        self.source.file()
    }
}

/// Fills as much of `bytes` as there is; answers how much.
fn read_up_to(source: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl<R: Read> JournalReader<R> {
    /// Reads the header from `source`; `path` is what faults name.
    pub fn over(mut source: R, path: &Path) -> Result<JournalReader<R>, JournalFault> {
        let path = path.to_path_buf();
        let failed = |error: &io::Error| JournalFault::from_io(&path, "read", error);
        let fault = |fault: HeaderFault| match fault {
            HeaderFault::Magic => JournalFault::NotAJournal { path: path.clone() },
            HeaderFault::Version(found) => {
                let known = header::VERSION;
                JournalFault::Version { path: path.clone(), found, known }
            }
            HeaderFault::Damaged(what) => JournalFault::Header { path: path.clone(), what },
        };
        let ended = JournalFault::Unbegun { path: path.clone() };
        let mut prefix = [0u8; PREFIX_BYTES];
        let count = read_up_to(&mut source, &mut prefix).map_err(|e| failed(&e))?;
        if count < PREFIX_BYTES {
            let is_start = prefix.iter().zip(&header::MAGIC).take(count).all(|(a, b)| a == b);
            return Err(if is_start { ended } else { fault(HeaderFault::Magic) });
        }
        let length = header::body_length(&prefix).map_err(fault)?;
        let mut body = vec![0; length];
        if read_up_to(&mut source, &mut body).map_err(|e| failed(&e))? < length {
            return Err(ended);
        }
        let (header, seed) = Header::decode(&prefix, &body).map_err(fault)?;
        let offset = (PREFIX_BYTES as u64).saturating_add(length as u64);
        Ok(JournalReader {
            source,
            path,
            header,
            seed,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            used: 0,
            offset,
            records: 0,
            end: None,
            is_over: false,
            starts: None,
        })
    }

    /// The checksum of its header, which names the run.
    pub fn seed(&self) -> u32 {
        self.seed
    }

    /// Where the next record starts.
    pub fn place(&self) -> Place {
        Place { offset: self.offset, records: self.records }
    }

    /// Which run this is.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The end record, once it was read: the run ended in order.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// How many records were read, the end record included.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Where in the file the next record starts: everything before is good.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What is read and not used, at least `count` bytes where the file has them.
    fn peek(&mut self, count: usize) -> Result<&[u8], JournalFault> {
        if self.buffer.len() - self.used < count {
            self.buffer.drain(..self.used);
            self.used = 0;
            let kept = self.buffer.len();
            self.buffer.resize(BUFFER_BYTES, 0);
            let target = self.buffer.get_mut(kept..).unwrap_or_default();
            let filled = read_up_to(&mut self.source, target)
                .map_err(|e| JournalFault::from_io(&self.path, "read", &e))?;
            self.buffer.truncate(kept + filled);
        }
        Ok(self.buffer.get(self.used..).unwrap_or_default())
    }

    /// The next record, or `None` at the file's end.
    fn advance(&mut self) -> Result<Option<Record>, JournalFault> {
        let (seed, number) = (self.seed, self.records);
        let bytes = self.peek(HEAD_BYTES)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let head = bytes.first_chunk::<HEAD_BYTES>().copied();
        if self.end.is_some() {
            return Err(self.corrupt("it stands behind the end record"));
        }
        let Some(head) = head else {
            return self.torn();
        };
        let Some(head) = Head::decode(&head) else {
            return self.bad_head();
        };
        let frame_bytes = HEAD_BYTES + head.payload_bytes();
        let Some(payload) = self.peek(frame_bytes)?.get(HEAD_BYTES..frame_bytes) else {
            return self.torn();
        };
        let record = Record::decode(seed, number, head, payload);
        let record = record.map_err(|what| self.corrupt(what))?;
        self.used += frame_bytes;
        self.offset += frame_bytes as u64;
        self.records += 1;
        if let Record::End(end) = record {
            self.end = Some(end);
        }
        Ok(Some(record))
    }

    /// What power loss leaves where a file grew before its bytes came: zeros to the end are a torn
    /// tail. Anything else is damage.
    fn bad_head(&mut self) -> Result<Option<Record>, JournalFault> {
        let rest = self.buffer.get(self.used..).unwrap_or_default();
        let mut bytes = rest.len() as u64;
        let mut is_zero = rest.iter().all(|&byte| byte == 0);
        let mut block = [0u8; 4096];
        while is_zero {
            let count = read_up_to(&mut self.source, &mut block)
                .map_err(|e| JournalFault::from_io(&self.path, "read", &e))?;
            if count == 0 {
                let ((path, offset), record) = (self.file_and_byte(), self.records);
                return Err(JournalFault::Torn { path, record, offset, bytes });
            }
            bytes += count as u64;
            is_zero = block.iter().take(count).all(|&byte| byte == 0);
        }
        Err(self.corrupt("its length or kind is not what was written"))
    }

    fn torn(&mut self) -> Result<Option<Record>, JournalFault> {
        let bytes = self.buffer.len().saturating_sub(self.used) as u64;
        let ((path, offset), record) = (self.file_and_byte(), self.records);
        Err(JournalFault::Torn { path, record, offset, bytes })
    }

    fn corrupt(&self, what: &'static str) -> JournalFault {
        let (path, offset) = self.file_and_byte();
        JournalFault::Corrupt { path, record: self.records, offset, what }
    }

    /// The file that the next record starts in, and at which of its bytes.
    fn file_and_byte(&self) -> (PathBuf, u64) {
        let place = self.starts.as_ref().and_then(|starts| starts.place(self.offset));
        place.unwrap_or_else(|| (self.path.clone(), self.offset))
    }
}

impl<R: Read> Iterator for JournalReader<R> {
    type Item = Result<Record, JournalFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.advance().transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}
