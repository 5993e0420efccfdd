//! What goes over the operator's socket: one line of JSON there, one back.
//!
//! Written by the commands, read by the socket's thread, and the other way round. Absent: who asks;
//! that is the system's word on the socket's peer, never the message's.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest line that is read.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// A request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The name that a second operator gives; must stand in `operator.second`.
    pub name: Option<String>,
    /// What is asked.
    pub ask: Ask,
}

/// What can be asked. Scopes are `all`, a symbol or an underlying; amounts are decimal text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// How it stands.
    Status,
    /// Limits and parameters as they are now, and what waits for a confirmation.
    Limits,
    /// Stop quoting.
    Pause {
        /// Scope.
        what: String,
    },
    /// Quote again.
    Resume {
        /// Scope.
        what: String,
    },
    /// Trade home, then stop.
    Flatten {
        /// Scope.
        what: String,
    },
    /// Stop everything for good.
    Kill {
        /// For the record.
        reason: String,
    },
    /// Change a limit or a parameter.
    Set {
        /// Symbol or underlying.
        of: String,
        /// Which.
        key: String,
        /// To what.
        value: String,
    },
    /// The second operator's word on a raised limit.
    Confirm {
        /// Which request.
        id: u64,
    },
    /// Book a trade made elsewhere.
    Trade {
        /// What.
        symbol: String,
        /// `buy` or `sell`.
        side: String,
        /// How much.
        size: String,
        /// At what.
        price: String,
    },
    /// Book what came or went without gain.
    Transfer {
        /// Symbol or currency.
        of: String,
        /// Negative where it went.
        amount: String,
    },
    /// Book what became of a transfer that treasury was asked for.
    TransferStep {
        /// Which, as `status` and the outbox name it.
        id: String,
        /// What became of it.
        step: TransferStep,
        /// How much; left out: as asked for.
        amount: Option<String>,
    },
    /// Book a funding payment that the venue made.
    Funding {
        /// Symbol.
        symbol: String,
        /// In its settlement currency; negative was paid.
        received: String,
    },
    /// The venue's funding rate from now on.
    FundingRate {
        /// Symbol.
        symbol: String,
        /// Basis points of the value an instant; longs pay where it is positive.
        bps: String,
    },
    /// Book a correction.
    Adjust {
        /// Symbol or currency.
        of: String,
        /// What is added.
        amount: String,
    },
    /// Book the expiry of an option's whole position.
    Expire {
        /// Which.
        symbol: String,
        /// The underlying's settlement price.
        price: String,
    },
    /// Book an exercise.
    Exercise {
        /// Which.
        symbol: String,
        /// How much; negative where we were assigned.
        size: String,
        /// The underlying's settlement price, where the option pays cash or coin.
        price: Option<String>,
    },
}

/// What becomes of a transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferStep {
    /// It left.
    Sent,
    /// It is there.
    Arrived,
    /// It does not leave, or came back.
    Refused,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// Was it done?
    pub ok: bool,
    /// For people: what was done, or why not.
    pub text: String,
    /// For programs.
    pub document: Value,
}

impl Reply {
    /// Done, and what.
    pub fn done(text: impl Into<String>, document: Value) -> Reply {
        Reply { ok: true, text: text.into(), document }
    }

    /// Not done, and why.
    pub fn refused(text: impl Into<String>) -> Reply {
        let text = text.into();
        Reply { ok: false, document: serde_json::json!({ "error": text }), text }
    }
}
