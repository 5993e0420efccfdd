//! What happened, in the order in which the maker took it in: append-only, checksummed, replayable.
//!
//! Fed by the maker's record ring; feeds replay, recovery and the reader for people. Off the hot
//! thread, except that the maker makes the `Copy` records. Absent: text logs and telemetry, which may
//! be dropped; nothing here may.
//!
//! A run is a chain of files (`segments`), read as one stream (`chain`), compressed and deleted by
//! policy (`archive`). The stream is a header (which run, which binary, the whole config) and then records, each with its
//! length, kind and a CRC-32C that also covers the record's number and the header's checksum: a
//! record that is missing, doubled, out of place or from another run does not pass.

pub mod archive;
pub mod chain;
pub mod codec;
pub mod fault;
pub mod hash;
pub mod header;
pub mod market_tap;
pub mod reader;
pub mod record;
pub mod recorder;
pub mod recovery;
mod resumption;
pub mod segments;
pub mod snapshot;
pub mod writer;
