//! The simulated venue: participants' orders against a tape and against each other.
//!
//! Fed by a [`Tape`](crate::recording::Tape) (recorded or synthetic) and by participants' requests;
//! feeds them execution reports and the tape's market data, each after its own latency. A value
//! without clock or socket, one thread: the backtest calls it directly, `fix_face` puts FIX 4.4 on it.
//!
//! Flow: `order` (what is asked and answered) → `exchange` (who asked, when it arrives, what it is
//! worth) → `matching` (price, then time) → `book` and `queue` (what the tape displays, and who
//! stands where in it).
//!
//! Deliberately absent: market impact. What participants rest is not displayed and what they trade
//! is not printed: the market data is the tape's, to the byte, whoever trades.

mod arrivals;
pub mod book;
pub mod config;
pub mod exchange;
pub mod fees;
pub mod fix_answers;
pub mod fix_face;
pub mod fix_market_data;
pub mod fix_orders;
pub mod fix_pace;
pub mod fix_seat;
mod ladder;
pub mod latency;
pub mod matching;
pub mod order;
pub mod playback;
mod questions;
pub mod queue;
mod register;
pub mod synthetic;
mod upsets;
