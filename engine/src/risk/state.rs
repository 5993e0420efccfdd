//! The states of a quoted instrument, and why it is in one.
//!
//! Fed by the maker; feeds quoting and the operator. `Quoting → Reducing → Paused → Halted`: coming
//! back is stricter than leaving, and `Halted` comes back by an operator's hand alone.

use crate::market::trust::Distrust;

/// What an instrument may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum State {
    /// Both sides.
    Quoting,
    /// Only the side that takes exposure off.
    Reducing,
    /// Nothing; comes back by itself when the reason is gone.
    Paused,
    /// Nothing, and all orders cancelled, until an operator resumes.
    Halted,
}

/// Why a state was entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// All is well.
    Normal,
    /// The market is not to be believed.
    Distrusted(Distrust),
    /// Net exposure is beyond the soft limit.
    SoftLimit,
    /// Net exposure is beyond the stop.
    Concentration,
    /// The order session is down.
    SessionDown,
    /// An operator paused it.
    Operator,
    /// An operator killed everything.
    Killed,
    /// The run ends.
    Shutdown,
    /// A fill of more than was ordered.
    Overfill,
    /// A fill, correction or cancellation that does not continue what we knew.
    Inconsistent,
    /// A report for an order that we do not know.
    UnknownOrder,
    /// Hedges failed as often in a row as the limit allows.
    HedgeFailed,
    /// The venue refused as many requests in a row as the limit allows.
    Rejects,
    /// Money no longer fits its integer.
    Overflow,
    /// The venue says that we hold something else than we do.
    PositionDiffers,
    /// The venue's session began anew unasked: it may have forgotten orders and fills.
    VenueForgot,
    /// What went out over the socket is not what was intended.
    OutboundDiffers,
    /// The trading day has lost as much as it may.
    DailyLoss,
    /// The account fell as far from the day's best as it may: it cools down.
    Drawdown,
    /// Too many fills, or too much delta, in a window: it cools down.
    Protection,
    /// More fills in a window than the instrument may have, until a person has looked.
    RepeatedExecutions,
}

impl Reason {
    /// Its name in records and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Normal => "normal",
            Reason::Distrusted(Distrust::Gapped) => "gapped",
            Reason::Distrusted(Distrust::Stale) => "stale",
            Reason::Distrusted(Distrust::OneSided) => "one_sided",
            Reason::Distrusted(Distrust::Crossed) => "crossed",
            Reason::SoftLimit => "soft_limit",
            Reason::Concentration => "concentration",
            Reason::SessionDown => "session_down",
            Reason::Operator => "operator",
            Reason::Killed => "killed",
            Reason::Shutdown => "shutdown",
            Reason::Overfill => "overfill",
            Reason::Inconsistent => "inconsistent",
            Reason::UnknownOrder => "unknown_order",
            Reason::HedgeFailed => "hedge_failed",
            Reason::Rejects => "rejects",
            Reason::Overflow => "overflow",
            Reason::PositionDiffers => "position_differs",
            Reason::VenueForgot => "venue_forgot",
            Reason::OutboundDiffers => "outbound_differs",
            Reason::DailyLoss => "daily_loss",
            Reason::Drawdown => "drawdown",
            Reason::Protection => "protection",
            Reason::RepeatedExecutions => "repeated_executions",
        }
    }
}
