//! A text file line by line, plain or gzip by its content: never more of it in memory than a line.
//!
//! Fed by a file; feeds `tardis.rs` and `capture.rs`. Any one thread. Deliberately absent: what the
//! lines mean, and `<ns> <json>` (that is `lines.rs`).

use super::TapeError;
use super::source::Position;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

/// A longer line is no message.
const LINE_BYTES_MAX: u64 = 16 << 20;
const BUFFER_BYTES: usize = 1 << 16;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A text file that is being read.
pub struct TextLines {
    reader: Box<dyn BufRead + Send>,
    text: Vec<u8>,
    position: Position,
}

impl TextLines {
    /// Opens a file without reading a line.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: &Path) -> Result<TextLines, TapeError> {
        let unreadable = |source| TapeError::Unreadable { file: path.to_path_buf(), source };
        let file = File::open(path).map_err(unreadable)?;
        let mut plain = BufReader::with_capacity(BUFFER_BYTES, file);
        let is_gzip = plain.fill_buf().map_err(unreadable)?.starts_with(&GZIP);
        let reader: Box<dyn BufRead + Send> = if is_gzip {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(plain)))
        } else {
            Box::new(plain)
        };
        Ok(TextLines { reader, text: Vec::new(), position: Position::new(path, "line") })
    }

    /// Lines of text that is in memory already, a member of an archive.
    pub fn of_bytes(path: &Path, bytes: Vec<u8>) -> TextLines {
        let reader = Box::new(std::io::Cursor::new(bytes));
        TextLines { reader, text: Vec::new(), position: Position::new(path, "line") }
    }

    /// Reads the next line that is not blank; false at the end.
    ///
    /// # Errors
    /// The file is damaged or truncated, or the line is longer than any message.
    pub fn advance(&mut self) -> Result<bool, TapeError> {
        loop {
            self.text.clear();
            let read = (&mut self.reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut self.text);
            match read {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(error) => return Err(self.read_error(error)),
            }
            self.position.number += 1;
            if self.text.len() as u64 >= LINE_BYTES_MAX {
                return Err(self.position.fault("longer than 16 MiB: no message is"));
            }
            while self.text.last().is_some_and(u8::is_ascii_whitespace) {
                self.text.pop();
            }
            if !self.text.is_empty() {
                return Ok(true);
            }
        }
    }

    fn read_error(&self, error: std::io::Error) -> TapeError {
        let (file, line) = (self.position.file.to_path_buf(), self.position.number);
        match error.kind() {
            ErrorKind::UnexpectedEof => TapeError::Truncated { file, line },
            ErrorKind::InvalidInput | ErrorKind::InvalidData => {
                TapeError::Damaged { file, line: line + 1, why: error.to_string() }
            }
            _ => TapeError::Unreadable { file, source: error },
        }
    }

    /// The line, without its end.
    ///
    /// # Errors
    /// It is not text.
    pub fn line(&self) -> Result<&str, TapeError> {
        std::str::from_utf8(&self.text).map_err(|_| self.position.fault("is not UTF-8 text"))
    }

    /// Where it is.
    pub fn position(&self) -> &Position {
        &self.position
    }
}
