//! What participants ask of the venue and what it answers: plain values with FIX 4.4's names.
//!
//! Fed by the backtest and the FIX face; feeds `exchange.rs`, and its answers go back. Any thread.
//! Deliberately absent: text. ClOrdIDs are numbers here; the FIX face keeps their spelling.

use ballast_engine::event::{
    ClOrdId, ExecId, InstrumentId, Liquidity, OrderAction, OrderEvent, OrderIntent, OrderUpdate,
    TimeInForce, VenueId,
};
use ballast_engine::units::{Lots, Nanos, Notional, Side, Stamp, Ticks};

/// Who trades: one for each firm, whatever number of sessions it has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Participant(pub u16);

/// OrderID(37), counted from 1 over the whole venue; 0 where there is no order ("NONE").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct OrderId(pub u64);

/// How long an order lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lifetime {
    /// TimeInForce(59) 0 or 1: what does not trade rests.
    Resting,
    /// 1 with ExecInst(18) 6: rests, and is refused where it would take.
    PostOnly,
    /// 3: what does not trade at once is canceled.
    ImmediateOrCancel,
}

/// A request, by its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// NewOrderSingle(D) of a limit order.
    New(NewOrder),
    /// OrderCancelReplaceRequest(G).
    Replace {
        /// ClOrdID(11).
        cl_ord_id: ClOrdId,
        /// OrigClOrdID(41).
        orig_cl_ord_id: ClOrdId,
        /// Price(44).
        price: Ticks,
        /// OrderQty(38), what has traded included.
        size: Lots,
    },
    /// OrderCancelReplaceRequest(G) whose price or size is off the grid: refused with the order's
    /// own state, which is known where the request arrives.
    ReplaceOffGrid {
        /// ClOrdID(11).
        cl_ord_id: ClOrdId,
        /// OrigClOrdID(41).
        orig_cl_ord_id: ClOrdId,
    },
    /// OrderCancelRequest(F).
    Cancel {
        /// ClOrdID(11).
        cl_ord_id: ClOrdId,
        /// OrigClOrdID(41).
        orig_cl_ord_id: ClOrdId,
    },
    /// OrderStatusRequest(H).
    Status {
        /// ClOrdID(11) of the order.
        cl_ord_id: ClOrdId,
    },
    /// OrderMassCancelRequest(q), and what cancel-on-disconnect does.
    CancelAll {
        /// One instrument, or all.
        instrument: Option<InstrumentId>,
    },
    /// OrderMassStatusRequest(AF) of all working orders.
    StatusAll,
    /// RequestForPositions(AN) of every instrument.
    Positions,
}

impl Request {
    /// A question changes nothing.
    pub fn is_question(&self) -> bool {
        match self {
            Request::Status { .. } | Request::StatusAll | Request::Positions => true,
            Request::New(_)
            | Request::Replace { .. }
            | Request::ReplaceOffGrid { .. }
            | Request::Cancel { .. }
            | Request::CancelAll { .. } => false,
        }
    }
}

/// A new limit order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewOrder {
    /// ClOrdID(11), unique a participant.
    pub cl_ord_id: ClOrdId,
    /// Symbol(55).
    pub instrument: InstrumentId,
    /// Side(54).
    pub side: Side,
    /// Price(44).
    pub price: Ticks,
    /// OrderQty(38).
    pub size: Lots,
    /// TimeInForce(59) and ExecInst(18).
    pub lifetime: Lifetime,
}

impl From<&OrderIntent> for Request {
    fn from(intent: &OrderIntent) -> Request {
        let OrderIntent { cl_ord_id, orig_cl_ord_id, price, size, .. } = *intent;
        match intent.action {
            OrderAction::New => Request::New(NewOrder {
                cl_ord_id,
                instrument: intent.instrument,
                side: intent.side,
                price,
                size,
                lifetime: match intent.time_in_force {
                    TimeInForce::PostOnly => Lifetime::PostOnly,
                    TimeInForce::ImmediateOrCancel => Lifetime::ImmediateOrCancel,
                },
            }),
            OrderAction::Replace => Request::Replace { cl_ord_id, orig_cl_ord_id, price, size },
            OrderAction::Cancel => Request::Cancel { cl_ord_id, orig_cl_ord_id },
        }
    }
}

/// ExecType(150).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExecType {
    /// 0
    New,
    /// 4
    Canceled,
    /// 5
    Replaced,
    /// 8
    Rejected,
    /// F
    Trade,
    /// H: a trade never was.
    TradeCancel,
    /// G: a trade was another.
    TradeCorrect,
    /// I: the answer to OrderStatusRequest(H); nothing happened.
    OrderStatus,
}

/// OrdStatus(39).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrdStatus {
    /// 0
    New,
    /// 1
    PartiallyFilled,
    /// 2
    Filled,
    /// 4
    Canceled,
    /// 8
    Rejected,
}

impl OrdStatus {
    /// True where the order can trade no more.
    pub fn is_final(self) -> bool {
        match self {
            OrdStatus::New | OrdStatus::PartiallyFilled => false,
            OrdStatus::Filled | OrdStatus::Canceled | OrdStatus::Rejected => true,
        }
    }
}

/// Why an order was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderRefusal {
    /// No such instrument.
    UnknownSymbol,
    /// The venue takes no new orders now.
    Closed,
    /// The ClOrdID(11) was used before.
    DuplicateOrder,
    /// The size is not above zero.
    IncorrectQuantity,
    /// Post-only, and it would have taken.
    WouldTake,
    /// OrderStatusRequest(H) for an order that never was.
    UnknownOrder,
}

impl OrderRefusal {
    /// OrdRejReason(103). FIX 4.4 has no value for a post-only order that would take: 99, other.
    pub fn ord_rej_reason(self) -> u16 {
        match self {
            OrderRefusal::UnknownSymbol => 1,
            OrderRefusal::Closed => 2,
            OrderRefusal::UnknownOrder => 5,
            OrderRefusal::DuplicateOrder => 6,
            OrderRefusal::IncorrectQuantity => 13,
            OrderRefusal::WouldTake => 99,
        }
    }

    /// Text(58).
    pub fn text(self) -> &'static str {
        match self {
            OrderRefusal::UnknownSymbol => "unknown symbol",
            OrderRefusal::Closed => "exchange closed",
            OrderRefusal::UnknownOrder => "unknown order",
            OrderRefusal::DuplicateOrder => "duplicate ClOrdID",
            OrderRefusal::IncorrectQuantity => "quantity must be above zero",
            OrderRefusal::WouldTake => "post-only order would take",
        }
    }
}

/// Why a cancel or replace was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CancelRefusal {
    /// The order is done, or works under a newer ClOrdID by now.
    TooLate,
    /// There never was such an order.
    UnknownOrder,
    /// The request's own ClOrdID(11) was used before.
    DuplicateClOrdId,
    /// The new size is not above zero.
    IncorrectQuantity,
    /// The new price or size is not on the instrument's grid.
    OffGrid,
    /// The order is post-only and would have taken at the new price. It works on as it was.
    WouldTake,
}

impl CancelRefusal {
    /// CxlRejReason(102); 99, other, where FIX 4.4 has no value.
    pub fn cxl_rej_reason(self) -> u16 {
        match self {
            CancelRefusal::TooLate => 0,
            CancelRefusal::UnknownOrder => 1,
            CancelRefusal::DuplicateClOrdId => 6,
            CancelRefusal::IncorrectQuantity
            | CancelRefusal::OffGrid
            | CancelRefusal::WouldTake => 99,
        }
    }

    /// Text(58).
    pub fn text(self) -> &'static str {
        match self {
            CancelRefusal::TooLate => "too late to cancel",
            CancelRefusal::UnknownOrder => "unknown order",
            CancelRefusal::DuplicateClOrdId => "duplicate ClOrdID",
            CancelRefusal::IncorrectQuantity => "quantity must be above zero",
            CancelRefusal::OffGrid => "price or quantity off the grid",
            CancelRefusal::WouldTake => "post-only order would take",
        }
    }
}

/// The trade in an ExecutionReport(8) of ExecType(150) F.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LastFill {
    /// LastPx(31).
    pub price: Ticks,
    /// LastQty(32).
    pub size: Lots,
    /// LastLiquidityInd(851).
    pub liquidity: Liquidity,
    /// Commission(12) in the settlement currency; negative is a rebate.
    pub fee: Notional,
}

/// ExecutionReport(8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExecutionReport {
    /// ExecID(17), counted from 1 over the whole venue; 0 in ExecType I.
    pub exec_id: ExecId,
    /// ExecRefID(19) in ExecTypes G and H; 0 elsewhere.
    pub exec_ref_id: ExecId,
    /// OrderID(37).
    pub order_id: OrderId,
    /// ClOrdID(11): the order's current one, or that of the request answered.
    pub cl_ord_id: ClOrdId,
    /// OrigClOrdID(41), where a cancel or replace is answered.
    pub orig_cl_ord_id: ClOrdId,
    /// Symbol(55).
    pub instrument: InstrumentId,
    /// Side(54).
    pub side: Side,
    /// ExecType(150).
    pub exec_type: ExecType,
    /// OrdStatus(39).
    pub ord_status: OrdStatus,
    /// Price(44).
    pub price: Ticks,
    /// OrderQty(38).
    pub order_qty: Lots,
    /// CumQty(14).
    pub cum_qty: Lots,
    /// LeavesQty(151).
    pub leaves_qty: Lots,
    /// Σ price × size of all fills in tick × lot: AvgPx(6) is this over CumQty.
    pub traded: i128,
    /// The trade, in ExecTypes F, G and H.
    pub last: Option<LastFill>,
    /// OrdRejReason(103), in ExecType 8.
    pub refusal: Option<OrderRefusal>,
}

/// OrderCancelReject(9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CancelReject {
    /// OrderID(37); 0 for an unknown order.
    pub order_id: OrderId,
    /// ClOrdID(11) of the refused request.
    pub cl_ord_id: ClOrdId,
    /// OrigClOrdID(41).
    pub orig_cl_ord_id: ClOrdId,
    /// Symbol(55) of the order; absent where there is none.
    pub instrument: Option<InstrumentId>,
    /// OrdStatus(39) of the order; Rejected where it is unknown, as FIX 4.4 asks.
    pub ord_status: OrdStatus,
    /// CxlRejResponseTo(434): a replace (2) or a cancel (1).
    pub is_replace: bool,
    /// CxlRejReason(102).
    pub refusal: CancelRefusal,
}

/// An answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// ExecutionReport(8).
    Execution(ExecutionReport),
    /// OrderCancelReject(9).
    CancelReject(CancelReject),
    /// OrderMassCancelReport(r): how many orders the request ended.
    MassCanceled {
        /// TotalAffectedOrders(533).
        affected: u32,
    },
    /// ExecutionReport(8) in answer to an OrderMassStatusRequest(AF); none works where there is none.
    Listed {
        /// How a working order stands.
        report: Option<ExecutionReport>,
        /// Its place in the list, from 1.
        place: Place,
    },
    /// PositionReport(AP).
    Position {
        /// What.
        instrument: InstrumentId,
        /// How much; + long.
        lots: Lots,
        /// Its place among all, from 1.
        place: Place,
    },
}

/// One of several answers to one question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Counted from 1.
    pub number: u32,
    /// How many there are; 0 where the only answer says that there is nothing.
    pub of: u32,
}

impl Place {
    /// Nothing comes behind it.
    pub fn is_last(&self) -> bool {
        self.number >= self.of
    }
}

/// An answer on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// When the venue decided, in tape time: TransactTime(60).
    pub at: Nanos,
    /// When the participant has it: `at` + the report latency.
    pub deliver_at: Nanos,
    /// Whose it is.
    pub participant: Participant,
    /// What it says.
    pub answer: Answer,
}

impl Report {
    /// The same as the gateway would hand it to the maker; `None` for a mass cancel's summary.
    pub fn order_event(&self, venue: VenueId, msg_seq_num: u64) -> Option<OrderEvent> {
        let (cl_ord_id, orig_cl_ord_id, instrument, update) = match self.answer {
            Answer::Execution(report) => {
                (report.cl_ord_id, report.orig_cl_ord_id, report.instrument, report.update())
            }
            Answer::CancelReject(reject) => (
                reject.cl_ord_id,
                reject.orig_cl_ord_id,
                reject.instrument.unwrap_or_default(),
                OrderUpdate::CancelRejected {
                    reason: reject.refusal.cxl_rej_reason(),
                    is_gone: reject.ord_status.is_final(),
                },
            ),
            Answer::Listed { report: Some(report), .. } => {
                (report.cl_ord_id, report.orig_cl_ord_id, report.instrument, report.update())
            }
            Answer::Position { instrument, lots, .. } => {
                (ClOrdId::NONE, ClOrdId::NONE, instrument, OrderUpdate::Position { lots })
            }
            Answer::MassCanceled { .. } | Answer::Listed { report: None, .. } => return None,
        };
        Some(OrderEvent {
            at: self.deliver_at,
            venue_at: self.at,
            stamp: Stamp(0),
            msg_seq_num,
            cl_ord_id,
            orig_cl_ord_id,
            update,
            instrument,
            venue,
        })
    }
}

impl ExecutionReport {
    fn update(&self) -> OrderUpdate {
        match (self.exec_type, self.last) {
            (ExecType::Trade, Some(last)) => OrderUpdate::Fill {
                exec_id: self.exec_id,
                side: self.side,
                last_px: last.price,
                last_qty: last.size,
                cum_qty: self.cum_qty,
                leaves_qty: self.leaves_qty,
                liquidity: last.liquidity,
            },
            (ExecType::TradeCorrect, Some(last)) => OrderUpdate::TradeCorrected {
                exec_id: self.exec_id,
                ref_exec_id: self.exec_ref_id,
                last_px: last.price,
                last_qty: last.size,
                cum_qty: self.cum_qty,
                leaves_qty: self.leaves_qty,
            },
            (ExecType::TradeCancel, _) => OrderUpdate::TradeCanceled {
                exec_id: self.exec_id,
                ref_exec_id: self.exec_ref_id,
                cum_qty: self.cum_qty,
                leaves_qty: self.leaves_qty,
            },
            (ExecType::OrderStatus, _) => OrderUpdate::Status {
                is_gone: self.ord_status.is_final(),
                cum_qty: self.cum_qty,
                leaves_qty: self.leaves_qty,
            },
            (ExecType::New | ExecType::Trade | ExecType::TradeCorrect, _) => {
                OrderUpdate::New { leaves_qty: self.leaves_qty }
            }
            (ExecType::Replaced, _) => {
                OrderUpdate::Replaced { price: self.price, leaves_qty: self.leaves_qty }
            }
            (ExecType::Canceled, _) => OrderUpdate::Canceled { cum_qty: self.cum_qty },
            (ExecType::Rejected, _) => OrderUpdate::Rejected {
                reason: self.refusal.map_or(99, OrderRefusal::ord_rej_reason),
            },
        }
    }
}
