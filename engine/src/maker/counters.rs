//! How often what happened.
//!
//! Kept by the maker's thread, one addition an event; read by reports, snapshots and tests.

use crate::risk::gate::BlockReason;
use crate::risk::state::EnteredCounts;

/// How often what happened; the maker's part of every report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Counters {
    /// Inputs consumed.
    pub inputs: u64,
    /// Market events among them.
    pub market_events: u64,
    /// Intents emitted, by action: new, replace, cancel.
    pub intents: [u64; 3],
    /// Fills booked.
    pub fills: u64,
    /// New orders that the venue refused.
    pub rejected: u64,
    /// Replaces and cancels that the venue refused.
    pub cancel_rejected: u64,
    /// Of our messages, those that the venue could not take at all: Reject(3) and j.
    pub message_rejected: u64,
    /// Messages that order entry could not send.
    pub unsent: u64,
    /// Fills that were already booked.
    pub duplicate_fills: u64,
    /// Trades that the venue cancelled or corrected, put right in the account.
    pub trades_amended: u64,
    /// Requests that were not answered in time.
    pub expired_requests: u64,
    /// Reports for orders that we do not know.
    pub unknown_orders: u64,
    /// Times that market-maker protection pulled an underlying's quotes.
    pub protections: u64,
    /// Resting orders taken out because a new one would have met them.
    pub self_trade_cancels: u64,
    /// Resting orders made smaller because a new one would have met them.
    pub self_trade_reductions: u64,
    /// Times that a loss stop took everything out.
    pub loss_stops: u64,
    /// Windows of quoting obligations that ended in breach.
    pub obligations_missed: u64,
    /// States entered, by reason.
    pub entered: EnteredCounts,
    /// Refitted coefficients taken in.
    pub parameters: u64,
    /// Refitted coefficients of another model or of no quote.
    pub parameters_refused: u64,
    /// Instruments that stayed halted against an operator's word, because what is held is in doubt.
    pub acts_refused: u64,
    /// Proposals that the gate blocked, in the order of [`BlockReason::ALL`].
    pub blocked: [u64; BlockReason::COUNT],
}
