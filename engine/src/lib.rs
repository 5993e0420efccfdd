//! The engine of Ballast: market data in → ring → estimate → quote → risk → ring → orders out →
//! fills back. It knows no FIX and no socket.
//!
//! Modules stand in the order in which data flows.
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

// What is counted, what is traded, what travels, what time it is.
pub mod units;
pub mod instrument;
pub mod event;
pub mod clock;

// The fixed point that formulas are summed up in.
pub mod fixed;

// The lock-free core and its runners.
pub mod ring;
pub mod pin;
pub mod stage;
pub mod pipeline;
pub mod latency;

pub mod pnl;
pub mod journal;

// The way of a market event: believed, valued, quoted, ordered.
pub mod estimate;
pub mod market;
pub mod orders;
pub mod quote;

// Off the hot path: what is fitted in floating point and handed over quantised.
pub mod calibration;
