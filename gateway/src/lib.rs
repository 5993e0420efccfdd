//! The gateway of Ballast: FIX 4.4 bytes in and out. It knows no quoting.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::float_arithmetic,
        clippy::undocumented_unsafe_blocks,
        clippy::wildcard_enum_match_arm,
    )
)]

/// Bytes to and from a counterparty, without waiting.
pub mod transport;

/// The codec: framing, decoding, encoding.
pub mod fix;

/// Which fields, values, groups and messages there are, and messages held against that.
pub mod dictionary;

/// The FIX session: one state machine for both roles, without a socket and without a clock.
pub mod session;

/// The write-ahead log of a session: numbers and messages, in memory or on disk.
pub mod store;

/// Every message in and out, written down off the hot thread.
pub mod message_log;

/// What is particular to a venue: symbols, grids, dialects.
pub mod venue;

/// The feed: market data in.
pub mod market_data;

/// Order entry: orders out, reports in.
pub mod order_entry;
