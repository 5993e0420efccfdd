//! What travels between the stages: market events, order intents and order events.
//!
//! Fed by the feed (market events), the maker (intents) and order entry (order events); all cross
//! SPSC rings, so each is plain `Copy` data. [`MarketEvent`] and [`OrderIntent`] fit one cache line
//! together with a ring's sequence number (56 bytes), [`OrderEvent`] fits two (120 bytes).
//! Deliberately absent: text, and money (no i128 in a ring).

use crate::units::{Lots, Nanos, Side, Stamp, Ticks};

/// Which instrument: an index into the tables made at start, in the order of the config.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct InstrumentId(pub u16);

/// Which venue: an index in the order of the config.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct VenueId(pub u8);

/// An order's ClOrdID(11): the run's persisted epoch in the upper bits, a counter in the lower
/// [`ClOrdId::COUNTER_BITS`]. 0 is "none".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct ClOrdId(pub u64);

impl ClOrdId {
    /// No order: an absent OrigClOrdID(41).
    pub const NONE: ClOrdId = ClOrdId(0);
    /// 2^40 orders a run, 2^24 runs.
    pub const COUNTER_BITS: u32 = 40;

    /// The id number `counter` of the run `epoch`.
    pub const fn new(epoch: u32, counter: u64) -> ClOrdId {
        ClOrdId(
            ((epoch as u64) << Self::COUNTER_BITS) | (counter & ((1 << Self::COUNTER_BITS) - 1)),
        )
    }
}

/// An ExecID(17), interned to a number by the gateway; equal texts of a session give equal numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct ExecId(pub u64);

/// One change of one instrument's market.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MarketEvent {
    /// When it reached us, on the maker's time base.
    pub at: Nanos,
    /// When the venue says that it happened; 0 where it does not say.
    pub venue_at: Nanos,
    /// Counter of the arrival of its bytes, for tick-to-order.
    pub stamp: Stamp,
    /// What it is about.
    pub update: MarketUpdate,
    /// Whose market it is.
    pub instrument: InstrumentId,
    /// The last event of its message: quotes move only on a whole message.
    pub last_in_message: bool,
}

/// What changed in the market.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MarketUpdate {
    /// The size displayed at a price is now this; 0 removes the level.
    Level {
        /// Bids or asks.
        side: Side,
        /// The level.
        price: Ticks,
        /// All that is displayed there.
        size: Lots,
    },
    /// A trade between others (or with us: the order event says so).
    Trade {
        /// Who took.
        aggressor: Side,
        /// The trade's price.
        price: Ticks,
        /// The trade's size.
        size: Lots,
    },
    /// The book is empty from here on; whole levels follow.
    Reset,
    /// Something was missed or the session is down: do not trust the book until a [`Self::Reset`]
    /// and a whole message after it.
    Gap,
}

/// FIX TimeInForce(59) of the orders that Ballast sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum TimeInForce {
    /// Good till cancel, and never taking: ExecInst(18) = 6, a quote.
    PostOnly,
    /// Immediate or cancel: a hedge.
    ImmediateOrCancel,
}

/// What the maker wants done at a venue. Every intent has passed the risk gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct OrderIntent {
    /// The new ClOrdID(11).
    pub cl_ord_id: ClOrdId,
    /// OrigClOrdID(41): the order to replace or cancel; none for a new one.
    pub orig_cl_ord_id: ClOrdId,
    /// Limit price; unused in a cancel (the order's own price).
    pub price: Ticks,
    /// OrderQty(38): the whole order's size, filled part included.
    pub size: Lots,
    /// Stamp of the event that caused it, for tick-to-order.
    pub stamp: Stamp,
    /// When the maker decided, on its time base: TransactTime(60).
    pub at: Nanos,
    /// What is traded.
    pub instrument: InstrumentId,
    /// Which message goes out.
    pub action: OrderAction,
    /// Side(54).
    pub side: Side,
    /// TimeInForce(59).
    pub time_in_force: TimeInForce,
}

/// NewOrderSingle(D), OrderCancelReplaceRequest(G) or OrderCancelRequest(F).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum OrderAction {
    /// NewOrderSingle(D).
    New,
    /// OrderCancelReplaceRequest(G).
    Replace,
    /// OrderCancelRequest(F).
    Cancel,
}

/// What a venue (or the session to it) says about an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderEvent {
    /// When it reached us, on the maker's time base.
    pub at: Nanos,
    /// TransactTime(60); 0 where the venue does not say.
    pub venue_at: Nanos,
    /// Counter of the arrival of its bytes.
    pub stamp: Stamp,
    /// MsgSeqNum(34) of the message; with the session it names the message for recovery. 0 in all but the
    /// last event of a message, and where no message is told.
    pub msg_seq_num: u64,
    /// ClOrdID(11) as the venue gave it.
    pub cl_ord_id: ClOrdId,
    /// OrigClOrdID(41), where given.
    pub orig_cl_ord_id: ClOrdId,
    /// What happened.
    pub update: OrderUpdate,
    /// What is traded. For session events: any instrument of the venue.
    pub instrument: InstrumentId,
    /// The venue whose session this is.
    pub venue: VenueId,
}

/// The venue's word on an order, by ExecType(150).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderUpdate {
    /// The session can carry orders: logged on, in sequence, and what the venue knows of our orders and
    /// holdings has been told.
    SessionUp,
    /// Logged on, and the venue is being asked what it knows. The event's `venue_at` says since when the
    /// session's numbers count from 1.
    SessionReconciling,
    /// The session is gone: every unanswered order is in doubt.
    SessionDown,
    /// ExecType A, 6, E: the venue has the request and has not decided.
    Pending,
    /// ExecType 0: working.
    New {
        /// LeavesQty(151).
        leaves_qty: Lots,
    },
    /// ExecType F (or 1 and 2 of older venues): traded.
    Fill {
        /// ExecID(17), interned.
        exec_id: ExecId,
        /// Side(54).
        side: Side,
        /// LastPx(31).
        last_px: Ticks,
        /// LastQty(32).
        last_qty: Lots,
        /// CumQty(14).
        cum_qty: Lots,
        /// LeavesQty(151).
        leaves_qty: Lots,
        /// LastLiquidityInd(851).
        liquidity: Liquidity,
    },
    /// ExecType 5: the replacement stands under the new ClOrdID.
    Replaced {
        /// Price(44) that now works.
        price: Ticks,
        /// LeavesQty(151).
        leaves_qty: Lots,
    },
    /// ExecType D: the venue changed the order without being asked (a split, a repricing); it keeps
    /// its ClOrdID(11).
    Restated {
        /// Price(44) that now works.
        price: Ticks,
        /// LeavesQty(151).
        leaves_qty: Lots,
    },
    /// ExecType I (the answer to OrderStatusRequest(H)), 7 or 9: how the order stands, no change.
    Status {
        /// OrdStatus(39) says that the order no longer works.
        is_gone: bool,
        /// CumQty(14).
        cum_qty: Lots,
        /// LeavesQty(151).
        leaves_qty: Lots,
    },
    /// ExecType G: a fill reported earlier was really this one.
    TradeCorrected {
        /// ExecID(17) of the correction.
        exec_id: ExecId,
        /// ExecRefID(19): the fill that it replaces; 0 where the venue does not say.
        ref_exec_id: ExecId,
        /// LastPx(31) as corrected.
        last_px: Ticks,
        /// LastQty(32) as corrected.
        last_qty: Lots,
        /// CumQty(14).
        cum_qty: Lots,
        /// LeavesQty(151).
        leaves_qty: Lots,
    },
    /// ExecType H: a fill reported earlier never was.
    TradeCanceled {
        /// ExecID(17) of the cancellation.
        exec_id: ExecId,
        /// ExecRefID(19): the fill that is undone; 0 where the venue does not say.
        ref_exec_id: ExecId,
        /// CumQty(14).
        cum_qty: Lots,
        /// LeavesQty(151).
        leaves_qty: Lots,
    },
    /// ExecType 4 (or 3, B, C): out of the book, asked for or not.
    Canceled {
        /// CumQty(14) at the end: what the fills must add up to.
        cum_qty: Lots,
    },
    /// ExecType 8: never was in the book.
    Rejected {
        /// OrdRejReason(103), 99 where absent.
        reason: u16,
    },
    /// OrderCancelReject(9): the cancel or replace was refused; the order is as it was, or gone.
    CancelRejected {
        /// CxlRejReason(102), 99 where absent.
        reason: u16,
        /// OrdStatus(39) says that the order no longer works.
        is_gone: bool,
    },
    /// Reject(3) or BusinessMessageReject(j) for one of our messages: the venue will not act on it.
    MessageRejected {
        /// SessionRejectReason(373) or BusinessRejectReason(380).
        reason: u16,
    },
    /// The gateway could not send it (session down, throttle): the venue never saw it.
    Unsent,
    /// PositionReport(AP) at a moment at which nothing of ours is on its way: what the venue says
    /// that we hold.
    Position {
        /// + long.
        lots: Lots,
    },
    /// What the venue says of a contract's worth is not what the config says: ContractMultiplier(231) or
    /// GrossTradeAmt(381) of a report.
    ContractDiffers,
    /// The session is down and order entry will not bring it back by itself: an operator must look.
    SessionHalted {
        /// Why.
        fault: SessionFault,
    },
}

/// Why order entry gave a session up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionFault {
    /// The venue's MsgSeqNum(34) begins anew and nobody asked for it: what it still knows of our
    /// orders and fills is unknown.
    SequenceForgotten,
    /// What went out over the socket is not what was intended.
    OutboundDiffers,
    /// After all cancels the venue still lists orders of ours that nobody here knows.
    OrdersUnknown,
}

/// What sort of word an [`OrderUpdate`] is, for those who treat many alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// About the session: up, down, given up.
    Session,
    /// About the account, and no order.
    Account,
    /// The venue took a request: the order works as asked.
    Taken,
    /// A trade.
    Traded,
    /// An earlier trade was corrected or cancelled.
    TradeChanged,
    /// How the order stands; no request was answered.
    Standing,
    /// The order is out of the book.
    Ended,
    /// The answer to a request is no.
    Refused(Refusal),
}

/// What was refused, by whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// A new order, by the venue.
    Order,
    /// A replace or a cancel, by the venue.
    Request,
    /// A message that the venue could not take at all.
    Message,
    /// A message that the gateway could not send.
    Unsent,
}

impl OrderUpdate {
    /// What sort of word it is.
    pub const fn word(&self) -> Word {
        match self {
            OrderUpdate::SessionUp
            | OrderUpdate::SessionReconciling
            | OrderUpdate::SessionDown
            | OrderUpdate::SessionHalted { .. } => Word::Session,
            OrderUpdate::Position { .. } | OrderUpdate::ContractDiffers => Word::Account,
            OrderUpdate::New { .. } | OrderUpdate::Replaced { .. } => Word::Taken,
            OrderUpdate::Fill { .. } => Word::Traded,
            OrderUpdate::TradeCorrected { .. } | OrderUpdate::TradeCanceled { .. } => {
                Word::TradeChanged
            }
            OrderUpdate::Pending | OrderUpdate::Restated { .. } | OrderUpdate::Status { .. } => {
                Word::Standing
            }
            OrderUpdate::Canceled { .. } => Word::Ended,
            OrderUpdate::Rejected { .. } => Word::Refused(Refusal::Order),
            OrderUpdate::CancelRejected { .. } => Word::Refused(Refusal::Request),
            OrderUpdate::MessageRejected { .. } => Word::Refused(Refusal::Message),
            OrderUpdate::Unsent => Word::Refused(Refusal::Unsent),
        }
    }

    /// ExecID(17) of an execution, of a correction and of a cancellation.
    pub const fn exec_id(&self) -> Option<ExecId> {
        if let OrderUpdate::Fill { exec_id, .. }
        | OrderUpdate::TradeCorrected { exec_id, .. }
        | OrderUpdate::TradeCanceled { exec_id, .. } = *self
        {
            Some(exec_id)
        } else {
            None
        }
    }
}

/// Whether a fill gave or took liquidity: LastLiquidityInd(851) 1 and 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Liquidity {
    /// The order rested.
    Maker,
    /// The order took.
    Taker,
}

const _: () =
    assert!(size_of::<MarketEvent>() <= 56, "a market event shares a line with its number");
const _: () = assert!(size_of::<OrderIntent>() <= 56, "an intent shares a line with its number");
const _: () = assert!(size_of::<OrderEvent>() <= 120, "an order event takes two lines");
