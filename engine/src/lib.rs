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
pub mod clock;
pub mod digits;
pub mod event;
pub mod instrument;
pub mod coarse_step;
pub mod option_terms;
pub mod units;

// The fixed point that formulas are summed up in.
pub mod fixed;

// The lock-free core and its runners.
pub mod latency;
pub mod pin;
pub mod pipeline;
pub mod ring;
pub mod stage;

// The way of a market event: believed, valued, quoted or hedged, ordered, gated.
pub mod estimate;
pub mod inventory;
pub mod market;
pub mod orders;
pub mod quote;
pub mod risk;

// The account, and what is kept of it all.
pub mod journal;
pub mod pnl;

// All of it as one value.
pub mod maker;

// Off the hot path: what is fitted in floating point and handed over quantised.
pub mod calibration;
