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

/// The codec: framing, decoding, encoding.
pub mod fix;

/// What is particular to a venue: symbols, grids, dialects.
pub mod venue;

/// The feed: market data in.
pub mod market_data;

/// Order entry: orders out, reports in.
pub mod order_entry;
