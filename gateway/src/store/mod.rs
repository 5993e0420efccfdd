//! The store: the write-ahead log of one FIX session.
//!
//! The session feeds it from the thread that runs the session: an outbound message is in the store
//! before its bytes are handed out, an inbound application message before its MsgSeqNum(34)
//! counts as received. It feeds the session's resends and, after a crash, the re-delivery of what
//! the journal had not seen. Deliberately absent: the message log for people, and any secret (an
//! administrative message is stored as its number alone, so a Logon's password never is).

mod file;
mod folder;
mod index;
mod keeper;
mod memory;
mod record;
mod segment;
mod shared;
mod synced_copy;

pub use file::{FileStore, FileStoreConfig, Recovered, SyncPolicy};
pub use memory::MemoryStore;
pub(crate) use segment::Segment;

use ballast_engine::units::Nanos;
use std::path::PathBuf;
use thiserror::Error;

/// Why a store could not be opened, or did not take a message. Nothing was written then: the same
/// call may be tried again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// No room for the next segment.
    #[error("the disk is full, {} could not be made; free space, quoting stays off until then", path.display())]
    DiskFull {
        /// The segment that was wanted.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{}: {kind}; check the folder's owner, rights and device", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        kind: std::io::ErrorKind,
    },
    /// Another process runs this session.
    #[error("{} is locked: another process runs this session; stop it first", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A record fails its checksum and is not the torn tail of a crash.
    #[error("{} fails its checksum at byte {offset}; restore it, or move the folder away and reset both sequence numbers with the counterparty", path.display())]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// Where.
        offset: u64,
    },
    /// The segment was written in another layout.
    #[error("{} has layout version {version}, which this program does not read: go on with the program that wrote it, or move the folder away and reset both sequence numbers with the counterparty", path.display())]
    OtherVersion {
        /// The segment.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// A message that no segment can hold.
    #[error(
        "a message of {len} bytes does not fit a segment of {segment} bytes; raise segment_bytes"
    )]
    TooLarge {
        /// Bytes of the message.
        len: usize,
        /// Bytes of a segment.
        segment: usize,
    },
}

/// Sequence numbers and messages of one session, durable as far as the implementation says.
///
/// A session has the only handle; `next_sender` and `next_target` start at 1.
pub trait Store {
    /// MsgSeqNum(34) of the next message that goes out.
    fn next_sender(&self) -> u64;
    /// MsgSeqNum(34) that is expected next from the counterparty.
    fn next_target(&self) -> u64;
    /// When the numbers were last set to 1; `Nanos(0)` for a store that never was. Later each time, also
    /// where the clock goes back: with it a number names one message.
    fn created_at(&self) -> Nanos;
    /// Times that the device refused to take what was written; 0 for a store that has no device. What stands in
    /// it survives the process all the same, and may not survive the power.
    fn sync_failures(&self) -> u64 {
        0
    }
    /// Takes an outbound application message under the next number.
    fn put_outbound(&mut self, frame: &[u8]) -> Result<(), StoreError>;
    /// Takes the number of an outbound administrative message; its text is not kept.
    fn put_outbound_admin(&mut self) -> Result<(), StoreError>;
    /// Takes an inbound application message under the expected number, which then counts as
    /// received.
    fn put_inbound(&mut self, frame: &[u8]) -> Result<(), StoreError>;
    /// The counterparty's messages below `next` count as received.
    fn set_next_target(&mut self, next: u64) -> Result<(), StoreError>;
    /// The next message goes out under `next`: an operator's repair.
    fn set_next_sender(&mut self, next: u64) -> Result<(), StoreError>;
    /// Both numbers become 1 and no earlier message is resent.
    fn reset(&mut self, now: Nanos) -> Result<(), StoreError>;
    /// The frame of an outbound application message; `None` for an administrative one and for one
    /// that is no longer held.
    fn outbound(&self, msg_seq_num: u64) -> Option<&[u8]>;
    /// The frame of an inbound application message, for re-delivery after a crash; `None` as above.
    fn inbound(&self, msg_seq_num: u64) -> Option<&[u8]>;
}
