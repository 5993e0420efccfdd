//! What was earned, what it cost, and why: money in, causes out, equal to the last unit.
//!
//! Fed by the maker (fills, marks, conversions, funding, capital charges); feeds the report, the
//! loss limits and the journal's readers. Maker thread. Absent: estimates of any kind.
//!
//! `valuation` says what one event is worth in the settlement currency, `attribution` adds causes up
//! as they happen, `standing` says what holding costs as time passes, `ledger` holds cash, positions and marks and computes the total from those alone.

pub mod attribution;
pub mod fee_tiers;
pub mod fill_history;
pub mod greek_attribution;
pub mod ledger;
pub mod mids;
pub mod standing;
pub mod valuation;
