//! What can be wrong with a journal, with the place and what to do.
//!
//! Fed by the writer and the reader; feeds operators. Any thread.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a journal could not be written or read.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum JournalFault {
    /// There is a journal already; none is ever overwritten.
    #[error("{path}: exists; a journal is never overwritten, name another file", path = path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// No space left. What was written before stays readable.
    #[error(
        "{path}: disk full writing record {record}; nothing more is journaled, quoting stays off \
         until space is freed", path = path.display()
    )]
    DiskFull {
        /// Which file.
        path: PathBuf,
        /// The first record that may be missing.
        record: u64,
    },
    /// Records came faster than they could be written, and some are missing. What came before is whole.
    #[error(
        "{path}: the disk did not keep up, and what came after record {record} is not journaled; the next \
         start goes on from there with what the message stores hold, find out what held the disk up",
        path = path.display()
    )]
    Overrun {
        /// Which file.
        path: PathBuf,
        /// How many records were written.
        record: u64,
    },
    /// Any other refusal of the operating system.
    #[error("{path}: cannot {action}: {kind} (os error {os_error})", path = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What kind of refusal.
        kind: io::ErrorKind,
        /// errno, or 0.
        os_error: i32,
    },
    /// The file does not start like a journal.
    #[error("{path}: is not a journal", path = path.display())]
    NotAJournal {
        /// Which file.
        path: PathBuf,
    },
    /// Written by a Ballast of another format.
    #[error(
        "{path}: has format version {found}, this program reads {known}; use the binary that wrote it",
        path = path.display()
    )]
    Version {
        /// Which file.
        path: PathBuf,
        /// The file's.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The header fails its checksum.
    #[error("{path}: the header is damaged ({what}); no record of it can be trusted", path = path.display())]
    Header {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// The file ends inside its header: the run died before it began.
    #[error("{path}: ends inside its header: that run died before it began", path = path.display())]
    Unbegun {
        /// Which file.
        path: PathBuf,
    },
    /// The file ends inside a record: what a crash leaves. All records before are good.
    #[error(
        "{path}: ends inside record {record} at byte {offset}, {bytes} bytes are no whole record; all \
         records before it are good", path = path.display()
    )]
    Torn {
        /// Which file.
        path: PathBuf,
        /// The record's number, from 0.
        record: u64,
        /// Where it starts.
        offset: u64,
        /// What is left from there.
        bytes: u64,
    },
    /// A record is not what was written.
    #[error(
        "{path}: record {record} at byte {offset} is damaged ({what}); restore the file, or the state \
         from the message store and drop copy", path = path.display()
    )]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// The record's number, from 0.
        record: u64,
        /// Where it starts.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A segment of a run's chain is not what belongs there. All records before it are good.
    #[error("{path}: segment: {what}; all records before it are good", path = path.display())]
    Segment {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
}

impl JournalFault {
    /// The operating system's refusal to `action`.
    pub fn from_io(path: &Path, action: &'static str, error: &io::Error) -> JournalFault {
        if let Some(fault) = error.get_ref().and_then(|inner| inner.downcast_ref::<JournalFault>())
        {
            return fault.clone();
        }
        let path = path.to_path_buf();
        if error.kind() == io::ErrorKind::AlreadyExists {
            return JournalFault::Exists { path };
        }
        let os_error = error.raw_os_error().unwrap_or(0);
        JournalFault::Io { path, action, kind: error.kind(), os_error }
    }
}
