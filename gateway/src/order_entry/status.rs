//! ExecType(150) and OrdStatus(39) of FIX 4.4, and the table of which report may follow which.
//!
//! Fed by [`super::report`] with the bytes of a report, feeds it with what the report means and
//! whether the order-state matrices (FIX 4.4 Volume 4, Appendix D) foresee it here. Order-entry
//! thread; `const` tables, no state. Deliberately absent: any power to drop a report. A report that
//! the matrices do not foresee is counted and handed on, because the venue's word stands.

/// ExecType(150): why a report was sent. 1 and 2 are the fills of FIX 4.2 and older venues.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExecType {
    /// 0.
    New,
    /// 1, before FIX 4.3.
    PartialFill,
    /// 2, before FIX 4.3.
    Fill,
    /// 3.
    DoneForDay,
    /// 4.
    Canceled,
    /// 5.
    Replaced,
    /// 6.
    PendingCancel,
    /// 7: a price is guaranteed; the order still works.
    Stopped,
    /// 8.
    Rejected,
    /// 9: a trading halt; the order may come back.
    Suspended,
    /// A.
    PendingNew,
    /// B: finished for the day and the fees are known.
    Calculated,
    /// C.
    Expired,
    /// D: changed by the venue.
    Restated,
    /// E.
    PendingReplace,
    /// F.
    Trade,
    /// G.
    TradeCorrect,
    /// H.
    TradeCancel,
    /// I: the answer to OrderStatusRequest(H).
    OrderStatus,
}

/// What a report does to an order, which decides the event that the maker sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// The venue has a request and has not decided.
    Pending,
    /// The order works.
    Accepted,
    /// A trade.
    Filled,
    /// The order works under new terms and a new ClOrdID(11).
    Replaced,
    /// The order works under terms that the venue set.
    Restated,
    /// Nothing changed; this is how it stands.
    Status,
    /// The order is out of the book.
    Ended,
    /// The order never was in the book.
    Refused,
    /// An earlier trade was changed.
    TradeCorrected,
    /// An earlier trade never was.
    TradeCanceled,
}

impl Meaning {
    /// What is said of an execution: that there was one, 0; another one in its place, 1; none, 2.
    pub const fn of_execution(self) -> u8 {
        match self {
            Meaning::TradeCorrected => 1,
            Meaning::TradeCanceled => 2,
            Meaning::Filled
            | Meaning::Pending
            | Meaning::Accepted
            | Meaning::Replaced
            | Meaning::Restated
            | Meaning::Status
            | Meaning::Ended
            | Meaning::Refused => 0,
        }
    }
}

/// OrdStatus(39), and [`OrdStatus::Sent`] for an order that the venue has not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrdStatus {
    /// Not a FIX value: sent, and no word of it yet.
    Sent,
    /// 0.
    New,
    /// 1.
    PartiallyFilled,
    /// 2.
    Filled,
    /// 3.
    DoneForDay,
    /// 4.
    Canceled,
    /// 5: the status of the replaced order in FIX 4.2 and at venues that kept it.
    Replaced,
    /// 6.
    PendingCancel,
    /// 7.
    Stopped,
    /// 8.
    Rejected,
    /// 9.
    Suspended,
    /// A.
    PendingNew,
    /// B.
    Calculated,
    /// C.
    Expired,
    /// D: accepted for bidding.
    AcceptedForBidding,
    /// E.
    PendingReplace,
}

/// A set of [`OrdStatus`], one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatusSet(u16);

use OrdStatus as S;

/// An order that may still trade.
const WORKING: StatusSet = StatusSet::of(&[
    S::New,
    S::PartiallyFilled,
    S::Replaced,
    S::PendingCancel,
    S::PendingReplace,
    S::Stopped,
    S::Suspended,
    S::PendingNew,
    S::AcceptedForBidding,
]);
/// An order that no longer works.
const GONE: StatusSet =
    StatusSet::of(&[S::Filled, S::DoneForDay, S::Canceled, S::Rejected, S::Calculated, S::Expired]);
const SENT: StatusSet = StatusSet::of(&[S::Sent]);
const ALL: StatusSet = StatusSet(u16::MAX);

impl ExecType {
    /// The type that a value of ExecType(150) names; `None` is no ExecType of FIX 4.4 or 4.2.
    pub const fn parse(value: &[u8]) -> Option<ExecType> {
        let [byte] = value else { return None };
        Some(match byte {
            b'0' => ExecType::New,
            b'1' => ExecType::PartialFill,
            b'2' => ExecType::Fill,
            b'3' => ExecType::DoneForDay,
            b'4' => ExecType::Canceled,
            b'5' => ExecType::Replaced,
            b'6' => ExecType::PendingCancel,
            b'7' => ExecType::Stopped,
            b'8' => ExecType::Rejected,
            b'9' => ExecType::Suspended,
            b'A' => ExecType::PendingNew,
            b'B' => ExecType::Calculated,
            b'C' => ExecType::Expired,
            b'D' => ExecType::Restated,
            b'E' => ExecType::PendingReplace,
            b'F' => ExecType::Trade,
            b'G' => ExecType::TradeCorrect,
            b'H' => ExecType::TradeCancel,
            b'I' => ExecType::OrderStatus,
            _ => return None,
        })
    }

    /// What a report of this type does to its order.
    pub const fn meaning(self) -> Meaning {
        match self {
            ExecType::PendingNew | ExecType::PendingCancel | ExecType::PendingReplace => {
                Meaning::Pending
            }
            ExecType::New => Meaning::Accepted,
            ExecType::PartialFill | ExecType::Fill | ExecType::Trade => Meaning::Filled,
            ExecType::Replaced => Meaning::Replaced,
            ExecType::Restated => Meaning::Restated,
            ExecType::Stopped | ExecType::Suspended | ExecType::OrderStatus => Meaning::Status,
            ExecType::DoneForDay
            | ExecType::Canceled
            | ExecType::Expired
            | ExecType::Calculated => Meaning::Ended,
            ExecType::Rejected => Meaning::Refused,
            ExecType::TradeCorrect => Meaning::TradeCorrected,
            ExecType::TradeCancel => Meaning::TradeCanceled,
        }
    }

    /// Which OrdStatus(39) a report of this type may show: its own, or one of higher precedence.
    pub const fn shows(self) -> StatusSet {
        match self {
            ExecType::New => WORKING.with(&[S::Filled]),
            ExecType::PendingNew => StatusSet::of(&[S::PendingNew]),
            ExecType::PendingCancel => StatusSet::of(&[S::PendingCancel]),
            ExecType::PendingReplace => StatusSet::of(&[S::PendingReplace, S::PendingCancel]),
            ExecType::PartialFill | ExecType::Fill | ExecType::Trade => {
                WORKING.with(&[S::Filled, S::DoneForDay, S::Canceled, S::Expired, S::Calculated])
            }
            ExecType::Replaced => WORKING.with(&[S::Filled, S::Canceled, S::DoneForDay]),
            ExecType::Restated => WORKING.with(&[S::Filled, S::Canceled, S::DoneForDay]),
            ExecType::Stopped => StatusSet::of(&[S::Stopped, S::PendingCancel, S::PendingReplace]),
            ExecType::Suspended => {
                StatusSet::of(&[S::Suspended, S::PendingCancel, S::PendingReplace])
            }
            ExecType::DoneForDay => {
                StatusSet::of(&[S::DoneForDay, S::PendingCancel, S::PendingReplace, S::Filled])
            }
            ExecType::Canceled => StatusSet::of(&[S::Canceled, S::Filled]),
            ExecType::Expired => StatusSet::of(&[S::Expired, S::Canceled]),
            ExecType::Calculated => GONE,
            ExecType::Rejected => StatusSet::of(&[S::Rejected]),
            ExecType::TradeCorrect | ExecType::TradeCancel | ExecType::OrderStatus => ALL,
        }
    }

    /// After which OrdStatus(39) a report of this type is foreseen by the matrices.
    pub const fn follows(self) -> StatusSet {
        match self {
            ExecType::New => SENT
                .with(&[S::PendingNew, S::Suspended, S::AcceptedForBidding])
                // An acknowledgement that a fill or a pending request has overtaken.
                .with(&[S::PartiallyFilled, S::Filled, S::PendingCancel, S::PendingReplace]),
            ExecType::PendingNew => SENT,
            ExecType::PendingCancel | ExecType::PendingReplace => {
                WORKING.with(&[S::Sent, S::Filled, S::DoneForDay])
            }
            // A fill may overtake its order's acknowledgement, and may cross its cancel.
            ExecType::PartialFill | ExecType::Fill | ExecType::Trade => {
                WORKING.with(&[S::Sent, S::Canceled, S::DoneForDay, S::Expired])
            }
            ExecType::Replaced => WORKING.with(&[S::Sent, S::Filled, S::DoneForDay]),
            ExecType::Restated => WORKING.with(&[S::DoneForDay, S::Filled]),
            ExecType::Stopped | ExecType::Suspended => WORKING,
            ExecType::DoneForDay => WORKING,
            ExecType::Canceled | ExecType::Expired => WORKING.with(&[S::Sent, S::DoneForDay]),
            ExecType::Calculated => GONE,
            ExecType::Rejected => SENT.with(&[S::PendingNew, S::New, S::PendingCancel]),
            ExecType::TradeCorrect | ExecType::TradeCancel => {
                WORKING.with(&[S::Filled, S::Canceled, S::DoneForDay, S::Expired, S::Calculated])
            }
            ExecType::OrderStatus => ALL,
        }
    }
}

impl OrdStatus {
    /// The status that a value of OrdStatus(39) names.
    pub const fn parse(value: &[u8]) -> Option<OrdStatus> {
        let [byte] = value else { return None };
        Some(match byte {
            b'0' => S::New,
            b'1' => S::PartiallyFilled,
            b'2' => S::Filled,
            b'3' => S::DoneForDay,
            b'4' => S::Canceled,
            b'5' => S::Replaced,
            b'6' => S::PendingCancel,
            b'7' => S::Stopped,
            b'8' => S::Rejected,
            b'9' => S::Suspended,
            b'A' => S::PendingNew,
            b'B' => S::Calculated,
            b'C' => S::Expired,
            b'D' => S::AcceptedForBidding,
            b'E' => S::PendingReplace,
            _ => return None,
        })
    }

    /// The order no longer works.
    pub const fn is_gone(self) -> bool {
        GONE.has(self)
    }
}

impl StatusSet {
    /// The set of these.
    pub const fn of(members: &[OrdStatus]) -> StatusSet {
        StatusSet(0).with(members)
    }

    /// This set and these.
    pub const fn with(self, members: &[OrdStatus]) -> StatusSet {
        let mut bits = self.0;
        let mut rest = members;
        while let [first, tail @ ..] = rest {
            bits |= 1 << (*first as u16);
            rest = tail;
        }
        StatusSet(bits)
    }

    /// Whether it holds `status`.
    pub const fn has(self, status: OrdStatus) -> bool {
        self.0 & (1 << (status as u16)) != 0
    }
}

/// Whether the matrices foresee a report of type `exec_type` that shows `shown`, after `before`.
pub const fn is_foreseen(before: OrdStatus, exec_type: ExecType, shown: OrdStatus) -> bool {
    exec_type.follows().has(before) && exec_type.shows().has(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXEC_TYPES: &[u8] = b"0123456789ABCDEFGHI";
    const ORD_STATUSES: &[u8] = b"0123456789ABCDE";

    #[test]
    fn every_exec_type_and_ord_status_of_fix_4_4_is_known() {
        for byte in EXEC_TYPES {
            assert!(ExecType::parse(&[*byte]).is_some(), "150={}", char::from(*byte));
        }
        for byte in ORD_STATUSES {
            assert!(OrdStatus::parse(&[*byte]).is_some(), "39={}", char::from(*byte));
        }
        for wrong in [&b"J"[..], b"", b"00", b"a", b" "] {
            assert_eq!(ExecType::parse(wrong), None);
        }
        assert_eq!(OrdStatus::parse(b"F"), None);
    }

    #[test]
    fn an_order_is_either_working_or_gone() {
        for byte in ORD_STATUSES {
            let status = OrdStatus::parse(&[*byte]).unwrap();
            assert_ne!(WORKING.has(status), GONE.has(status), "{status:?}");
            assert_eq!(status.is_gone(), GONE.has(status));
        }
    }

    #[test]
    fn nothing_follows_a_rejected_order_but_a_status() {
        for byte in EXEC_TYPES {
            let exec_type = ExecType::parse(&[*byte]).unwrap();
            let is_allowed = matches!(exec_type, ExecType::OrderStatus | ExecType::Calculated);
            assert_eq!(exec_type.follows().has(S::Rejected), is_allowed, "{exec_type:?}");
        }
    }

    #[test]
    fn an_acknowledgement_after_the_cancel_is_not_foreseen() {
        assert!(!is_foreseen(S::Canceled, ExecType::New, S::New));
        assert!(!is_foreseen(S::Canceled, ExecType::Replaced, S::New));
        assert!(is_foreseen(S::Canceled, ExecType::Trade, S::Canceled));
    }
}
