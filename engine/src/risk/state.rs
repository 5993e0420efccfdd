//! The states of a quoted instrument, and why it is in one.
//!
//! Fed by the maker; feeds quoting and the operator. `Quoting → Reducing → Paused → Halted`: coming
//! back is stricter than leaving, and `Halted` comes back by an operator's hand alone.

use crate::market::trust::Distrust;

/// What an instrument may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
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

impl State {
    /// Its name in records and reports.
    pub const fn name(self) -> &'static str {
        match self {
            State::Quoting => "quoting",
            State::Reducing => "reducing",
            State::Paused => "paused",
            State::Halted => "halted",
        }
    }
}

/// Why a state was entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
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
    /// The venue cancelled or corrected a trade: the account is put right, a person asks why.
    TradeAmended,
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
    /// What we hold was in doubt and is put right: an operator resumes.
    AccountPutRight,
    /// What is held, by an earlier run or after a fill on the wrong side, is neither confirmed by the venue
    /// nor by an operator.
    OpeningUnconfirmed,
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
    /// The market moved further in a window than volatility explains.
    Breakout,
    /// A step of the take-profit is being closed.
    TakeProfit,
    /// The instrument's position lost as much as it may: it is closed, until a person has looked.
    InstrumentLoss,
    /// The hour's profile says so.
    Hours,
    /// The model's horizon has ended, or has not begun: it has no quotes for now.
    OutsideHorizon,
    /// The position has been held for longer than it may.
    PositionAge,
    /// Net exposure is too large a share of the portfolio.
    ConcentrationShare,
    /// An option has expired and is not settled yet.
    Expired,
    /// No Greeks of the option came yet.
    NoGreeks,
    /// What the option is on is not to be believed.
    NoReference,
    /// The option's Greeks are too old, or its underlying too far from where they were taken.
    GreeksOutside,
    /// Near its strike and its expiry at once.
    PinRisk,
    /// A limit on the collateral is broken, or nobody has looked at it for too long.
    Collateral,
    /// What is held where does not add up to what is held.
    HoldingsDiffer,
    /// The venue says that a contract is worth something else than the config says.
    ContractDiffers,
}

impl Reason {
    /// What we hold is not what the venue says, or what reports add up to. No operator resumes before it
    /// is put right: by a booking on the position, or by the venue's number when it is ours.
    pub const fn doubts_account(self) -> bool {
        matches!(self, Reason::PositionDiffers | Reason::Inconsistent)
    }

    /// How much it weighs where an instrument is halted already: a heavier one is told over a lighter one,
    /// which stays otherwise. What order entry gave a session up for ends trading there whatever was halted
    /// before, and of what doubts the account nobody resumes.
    pub const fn weight(self) -> u8 {
        if self.doubts_account() {
            return 3;
        }
        if matches!(self, Reason::OutboundDiffers) {
            2
        } else {
            matches!(self, Reason::VenueForgot) as u8
        }
    }

    /// Whoever resumes must know it, also where a doubt about the account was told over it meanwhile.
    pub const fn outlasts_doubt(self) -> bool {
        !self.doubts_account() && (self.weight() > 0 || self.is_news_to_operator())
    }

    /// Something happened that whoever resumes must know, also where the instrument was paused before.
    pub const fn is_news_to_operator(self) -> bool {
        matches!(
            self,
            Reason::Overfill
                | Reason::TradeAmended
                | Reason::UnknownOrder
                | Reason::Overflow
                | Reason::HoldingsDiffer
                | Reason::ContractDiffers
                | Reason::RepeatedExecutions
        )
    }

    /// How many there are.
    pub const COUNT: usize = 43;
    /// Every reason, in the order of the counters.
    pub const ALL: [Reason; Reason::COUNT] = [
        Reason::Normal,
        Reason::Distrusted(Distrust::Gapped),
        Reason::Distrusted(Distrust::Stale),
        Reason::Distrusted(Distrust::OneSided),
        Reason::Distrusted(Distrust::Crossed),
        Reason::Distrusted(Distrust::Spike),
        Reason::SoftLimit,
        Reason::Concentration,
        Reason::SessionDown,
        Reason::Operator,
        Reason::Killed,
        Reason::Shutdown,
        Reason::Overfill,
        Reason::Inconsistent,
        Reason::TradeAmended,
        Reason::UnknownOrder,
        Reason::HedgeFailed,
        Reason::Rejects,
        Reason::Overflow,
        Reason::PositionDiffers,
        Reason::AccountPutRight,
        Reason::OpeningUnconfirmed,
        Reason::VenueForgot,
        Reason::OutboundDiffers,
        Reason::DailyLoss,
        Reason::Drawdown,
        Reason::Protection,
        Reason::RepeatedExecutions,
        Reason::Breakout,
        Reason::TakeProfit,
        Reason::InstrumentLoss,
        Reason::Hours,
        Reason::OutsideHorizon,
        Reason::PositionAge,
        Reason::ConcentrationShare,
        Reason::Expired,
        Reason::NoGreeks,
        Reason::NoReference,
        Reason::GreeksOutside,
        Reason::PinRisk,
        Reason::Collateral,
        Reason::HoldingsDiffer,
        Reason::ContractDiffers,
    ];

    /// Its name in records and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Normal => "normal",
            Reason::Distrusted(Distrust::Gapped) => "gapped",
            Reason::Distrusted(Distrust::Stale) => "stale",
            Reason::Distrusted(Distrust::OneSided) => "one_sided",
            Reason::Distrusted(Distrust::Crossed) => "crossed",
            Reason::Distrusted(Distrust::Spike) => "spike",
            Reason::SoftLimit => "soft_limit",
            Reason::Concentration => "concentration",
            Reason::SessionDown => "session_down",
            Reason::Operator => "operator",
            Reason::Killed => "killed",
            Reason::Shutdown => "shutdown",
            Reason::Overfill => "overfill",
            Reason::Inconsistent => "inconsistent",
            Reason::TradeAmended => "trade_amended",
            Reason::UnknownOrder => "unknown_order",
            Reason::HedgeFailed => "hedge_failed",
            Reason::Rejects => "rejects",
            Reason::Overflow => "overflow",
            Reason::PositionDiffers => "position_differs",
            Reason::AccountPutRight => "account_put_right",
            Reason::OpeningUnconfirmed => "opening_unconfirmed",
            Reason::VenueForgot => "venue_forgot",
            Reason::OutboundDiffers => "outbound_differs",
            Reason::DailyLoss => "daily_loss",
            Reason::Drawdown => "drawdown",
            Reason::Protection => "protection",
            Reason::RepeatedExecutions => "repeated_executions",
            Reason::Breakout => "breakout",
            Reason::TakeProfit => "take_profit",
            Reason::InstrumentLoss => "instrument_loss",
            Reason::Hours => "hours",
            Reason::OutsideHorizon => "outside_horizon",
            Reason::PositionAge => "position_age",
            Reason::ConcentrationShare => "concentration_share",
            Reason::Expired => "expired",
            Reason::NoGreeks => "no_greeks",
            Reason::NoReference => "no_reference",
            Reason::GreeksOutside => "greeks_outside",
            Reason::PinRisk => "pin_risk",
            Reason::Collateral => "collateral",
            Reason::HoldingsDiffer => "holdings_differ",
            Reason::ContractDiffers => "contract_differs",
        }
    }
}

/// How often a state was entered, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct EnteredCounts([u64; Reason::COUNT]);

impl Default for EnteredCounts {
    fn default() -> EnteredCounts {
        EnteredCounts([0; Reason::COUNT])
    }
}

impl EnteredCounts {
    /// Once more for this reason.
    pub fn count(&mut self, reason: Reason) {
        let place = Reason::ALL.iter().position(|known| *known == reason);
        if let Some(count) = place.and_then(|place| self.0.get_mut(place)) {
            *count = count.saturating_add(1);
        }
    }

    /// The reasons that there were, with how often.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::codec::Field;
    use std::collections::BTreeSet;

    #[test]
    fn every_state_is_told_by_its_name() {
        let states = [State::Quoting, State::Reducing, State::Paused, State::Halted];
        assert_eq!(states.map(State::name), ["quoting", "reducing", "paused", "halted"]);
    }

    #[test]
    fn every_reason_has_a_name_and_a_counter_of_its_own() {
        // Every reason is journaled: what the journal knows and the counters do not was forgotten here.
        for bytes in (0..=u8::MAX).flat_map(|tag| (0..=u8::MAX).map(move |of| [tag, of])) {
            let known = Reason::take(&mut &bytes[..]);
            assert!(known.is_none_or(|reason| Reason::ALL.contains(&reason)), "{known:?}");
        }
        let names: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::COUNT);
        let mut counts = EnteredCounts::default();
        assert_eq!(counts.iter().next(), None, "what was never entered is not listed");
        for reason in Reason::ALL {
            counts.count(reason);
        }
        assert!(counts.iter().eq(Reason::ALL.into_iter().map(|reason| (reason, 1))));
    }
}
