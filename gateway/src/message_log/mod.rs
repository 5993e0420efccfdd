//! The message log: every byte in and out, written down with nanosecond times, off the hot thread.
//!
//! ```text
//! hot thread:   Transport ── Tee ──▶ record ring of chunks ──▶   log thread: stream → mask → file
//! ```
//!
//! Fed by a [`Tee`](crate::transport::Tee) around a dialler or a transport, through a [`Tape`]; feeds
//! `FOLDER/SESSION.fixlog`, which `ballast fix decode` reads. The tape copies bytes and one stamp a
//! read or write and never waits: a full ring loses what came, and the log says how many bytes.
//! Secrets are hidden before anything is written; bytes whose place in a message is not certain are
//! not written at all. Deliberately absent: what must not be lost (the store's and the journal's).
//!
//! One entry a line, messages with their own SOH and to the byte:
//! ```text
//! 20261122-22:14:23.123456789 OUT 8=FIX.4.4␁9=…␁10=123␁
//! ```
//! `--` instead of `IN` and `OUT` marks connections; `garbled:`, `cut short:` and `lost` mark what is
//! no message.

mod chunk;
mod file;
mod stream;
mod writer;

pub use chunk::{CHUNK_BYTES, Tape};
pub use file::LogError;
pub use writer::{LogConfig, LogCounts, MessageLog};
