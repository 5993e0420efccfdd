//! The FIX session: one state machine for both roles, without a socket and without a clock.
//!
//! Bytes and time go in; bytes, events and a deadline come out. Order entry, the feed, the
//! simulated venue and the conformance endpoint feed it through a [`Connection`], on their own
//! thread. What must survive a crash is in the [`Store`](crate::store::Store) before its bytes are
//! handed out. Deliberately absent: sockets, clocks, logs, and what application messages mean.
//!
//! The files, in the order in which a message meets them: `reception` (whose Logon is this?),
//! `machine` (states, deadlines, outputs), `logon`, `inbound` (header and sequence), `gap` (what is
//! held until a gap closes), `admin` (the seven administrative messages), `reject`, `outbound`,
//! `resend`, `connection` (the machine joined to a transport); `reconnect` says when and where to try
//! again, `schedule` when a session is to be logged on at all.

mod admin;
mod config;
mod connection;
mod gap;
mod inbound;
mod logon;
mod machine;
mod outbound;
mod reception;
mod reconnect;
mod reject;
mod resend;
mod schedule;

pub use config::{
    Credentials, Dialect, GapPolicy, LogonFields, LogonParts, LogonVerdict, Role, SessionConfig,
};
pub use connection::{Connection, Ended, Turn};
pub use machine::{Counters, Session, State};
pub use outbound::Envelope;
pub use reception::{Knock, Visitor, knock};
pub use reconnect::{Reconnect, ReconnectConfig};
pub use schedule::{Period, Schedule, ScheduleError};

use crate::fix::encode::EncodeError;
use crate::fix::message::Message;
use crate::store::StoreError;
use thiserror::Error;

/// What the session wants done. After every input, ask until there is none.
#[derive(Debug)]
pub enum Output<'a> {
    /// These bytes go out, whole messages in order.
    Send(&'a [u8]),
    /// Something for the application.
    Deliver(Event<'a>),
    /// End the connection, after what was sent before, and say
    /// [`Session::on_disconnected`] then.
    Close(CloseReason),
}

/// What an application hears from its session.
#[derive(Debug)]
pub enum Event<'a> {
    /// Logged on: application messages may go out.
    LoggedOn {
        /// Both sides began at 1 again: what was in flight before is not resent.
        is_reset: bool,
    },
    /// An application message, in sequence, stored, once. PossDupFlag(43) says if it was resent.
    Message(Message<'a>),
    /// Reject(3): the counterparty will not act on one of our messages.
    Rejected(Message<'a>),
    /// An application message, or a Reject(3), that we refused with a Reject(3): it counts as received, will
    /// not come again, and what it said is lost.
    Refused(Message<'a>),
    /// The counterparty logs out; its Text(58) may say why. [`Output::Close`] follows.
    LogoutReceived(Message<'a>),
    /// Messages are missing; they are asked for, and later ones wait.
    GapDetected {
        /// First missing MsgSeqNum(34).
        from: u64,
        /// Last missing one.
        to: u64,
    },
    /// The counterparty does not resend these messages, or says that there were none: what they said, if
    /// they said anything, is not known. Those of them that were held are told behind this.
    PassedOver {
        /// The first of them.
        from: u64,
        /// The last.
        to: u64,
    },
    /// The counterparty reset the numbers within the session: what was in flight is not resent.
    SequenceReset {
        /// The number that is expected next.
        next_target: u64,
    },
}

/// Why a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseReason {
    /// Both sides said Logout(5).
    LogoutComplete,
    /// Our Logout was not answered in time.
    LogoutTimeout,
    /// No Logon came in time.
    LogonTimeout,
    /// The first message was not a valid Logon for this session.
    LogonInvalid,
    /// The counterparty answered our Logon with something else.
    LogonRefused,
    /// The counterparty's Logon came outside the times of the schedule.
    OutOfSession,
    /// The counterparty restarted the numbers without having been asked to.
    ResetUnasked,
    /// Nothing came for 2.4 × HeartBtInt(108).
    HeartbeatLost,
    /// A number below the expected one, without PossDupFlag(43).
    MsgSeqNumTooLow,
    /// A message without a readable MsgSeqNum(34).
    MsgSeqNumMissing,
    /// The counterparty says that it expects a number that we have not sent yet.
    NextExpectedTooHigh,
    /// Messages are missing and this venue cannot resend them.
    GapNotRecoverable,
    /// The counterparty does not read, and an answer that it is owed finds no room.
    OutboundFull,
    /// The store did not take a message, so it may be neither sent nor counted as received.
    StoreFailed,
}

/// Why a message was not sent. Nothing was: no number was used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendError {
    /// Not logged on, or logging out.
    #[error("the session is not logged on")]
    NotLoggedOn,
    /// The counterparty reads too slowly and the outbound buffer is full.
    #[error("the outbound buffer is full; send again when the counterparty has read")]
    Full,
    /// The message cannot be written.
    #[error("{0}")]
    Encode(#[from] EncodeError),
    /// The store did not take it.
    #[error("{0}")]
    Store(#[from] StoreError),
}
