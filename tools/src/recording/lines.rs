//! One gzip file, line by line, with its receive times: never more of it in memory than a line.
//!
//! Fed by a file; feeds `merge.rs`. Any one thread. Deliberately absent: what the lines mean.

use super::TapeError;
use super::source::time_fault;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// A line longer than this is no message (the longest known, a snapshot, has 64 KiB).
const LINE_BYTES_MAX: u64 = 16 << 20;
/// How much of the compressed and of the plain text is held at once.
const BUFFER_BYTES: usize = 1 << 16;

/// A file that is being read. [`Lines::advance`] moves on, then the line's parts can be looked at.
pub struct Lines {
    path: PathBuf,
    reader: BufReader<MultiGzDecoder<BufReader<File>>>,
    text: Vec<u8>,
    body_from: usize,
    received: u64,
    number: u64,
}

impl Lines {
    /// Opens a file without reading from it.
    pub fn open(path: &Path) -> Result<Lines, TapeError> {
        let file = File::open(path)
            .map_err(|source| TapeError::Unreadable { file: path.to_path_buf(), source })?;
        let gzip = MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, file));
        Ok(Lines {
            path: path.to_path_buf(),
            reader: BufReader::with_capacity(BUFFER_BYTES, gzip),
            text: Vec::with_capacity(BUFFER_BYTES),
            body_from: 0,
            received: 0,
            number: 0,
        })
    }

    /// Reads the next line; false at the end of the file.
    pub fn advance(&mut self) -> Result<bool, TapeError> {
        self.text.clear();
        let mut limited = (&mut self.reader).take(LINE_BYTES_MAX);
        match limited.read_until(b'\n', &mut self.text) {
            Ok(0) if self.number == 0 => return Err(TapeError::Empty { file: self.path.clone() }),
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Err(self.read_error(error)),
        }
        self.number += 1;
        while self.text.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
            self.text.pop();
        }
        self.split_time()?;
        Ok(true)
    }

    fn read_error(&self, error: std::io::Error) -> TapeError {
        let (file, line) = (self.path.clone(), self.number);
        match error.kind() {
            // A file of 0 bytes has no gzip header, which reads as an early end, too.
            ErrorKind::UnexpectedEof
                if std::fs::metadata(&self.path).is_ok_and(|facts| facts.len() == 0) =>
            {
                TapeError::Empty { file }
            }
            ErrorKind::UnexpectedEof => TapeError::Truncated { file, line },
            ErrorKind::InvalidInput | ErrorKind::InvalidData => {
                TapeError::Damaged { file, line: line + 1, why: error.to_string() }
            }
            _ => TapeError::Unreadable { file, source: error },
        }
    }

    fn split_time(&mut self) -> Result<(), TapeError> {
        let digits = self.text.iter().take_while(|b| b.is_ascii_digit()).count();
        let number = std::str::from_utf8(&self.text[..digits]).unwrap_or_default();
        match (number.parse(), self.text.get(digits)) {
            (Ok(received), Some(b' ')) => {
                if let Some(why) = time_fault(received, self.received, "nanoseconds") {
                    return Err(self.malformed(why));
                }
                self.received = received;
                self.body_from = digits + 1;
                Ok(())
            }
            _ => Err(self.malformed("does not begin with a receive time and a space")),
        }
    }

    /// When the line was received, in ns since 1970 by the recorder's clock.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// What the venue sent.
    pub fn body(&self) -> &[u8] {
        &self.text[self.body_from..]
    }

    /// The line's number, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An error about this line.
    pub fn malformed(&self, why: impl Into<String>) -> TapeError {
        TapeError::Malformed { file: self.path.clone(), line: self.number, why: why.into() }
    }
}
