//! What the venue says, told to the maker: reports and rejects in, order events out.
//!
//! Fed by the stage with [`Report`]s and with the intents that are about to go out; feeds the
//! order-event ring. Order-entry thread; allocates nothing after start. The desk keeps the index of
//! live orders, the numbers of the ExecIDs and the counts. The venue's word always stands: what the
//! order-state matrices do not foresee is counted and handed on; only what was told before (the same
//! ExecID for the same side, or a possible duplicate that changes nothing any more) is held back.
//! Deliberately absent: positions, money, and what to do about an overfill; the maker decides.

use super::amounts::Quantities;
use super::exec_ids::ExecIds;
use super::live_orders::{Handle, LiveOrder, LiveOrders, Refusal};
use super::quotes::Quotes;
use super::renewal::Refused;
use super::report::Report;
use super::returned::Returned;
use super::sent::{Sent, SentMessages};
use super::status::{ExecType, Meaning, OrdStatus, is_foreseen};
use crate::fix::msg_type;
use crate::venue::binance::{AMEND, CANCEL_AND_NEW};
use crate::venue::symbols::{Symbol, Symbols};
use crate::venue::time_base::TimeBase;
use ballast_engine::event::{
    ClOrdId, ExecId, InstrumentId, OrderAction, OrderEvent, OrderIntent, OrderUpdate,
};
use ballast_engine::units::{Lots, Nanos, Side, Stamp};

/// A reason that the venue did not give: "other" in OrdRejReason(103) and CxlRejReason(102).
pub const REASON_OTHER: u16 = 99;

/// What was seen, for telemetry. Each only grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeskCounts {
    /// ExecutionReports read.
    pub reports: u64,
    /// Reports that the order-state matrices do not foresee after the one before.
    pub unforeseen: u64,
    /// Reports held back because they were told before.
    pub duplicates: u64,
    /// Reports of orders that this index does not hold: another session's, or gone already.
    pub unknown_orders: u64,
    /// Reports of instruments that are not in the config; they make no event.
    pub foreign: u64,
    /// Reports without a legible ExecType(150) or OrdStatus(39); they make no event.
    pub unreadable: u64,
    /// Prices or sizes off the instrument's grid, rounded against us, or left out of a fill.
    pub inexact: u64,
    /// Reject(3) and BusinessMessageReject(j) received, of any message.
    pub rejects: u64,
    /// OrderCancelReject(9) received.
    pub cancel_rejects: u64,
}

/// When and how a message arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// The stage's clock.
    pub now: Nanos,
    /// The counter at the socket read.
    pub stamp: Stamp,
    /// MsgSeqNum(34).
    pub msg_seq_num: u64,
}

/// The desk.
pub struct Desk {
    pub(super) symbols: Symbols,
    live: LiveOrders,
    pub(super) exec_ids: ExecIds,
    sent: SentMessages,
    numbers_since: Nanos,
    time_base: TimeBase,
    /// The newest `at`: time never goes back, whatever the venue writes.
    latest: Nanos,
    pub(super) counts: DeskCounts,
    pub(super) refused: Refused,
    pub(super) quotes: Quotes,
    pub(super) returned: Returned,
}

impl Desk {
    /// A desk for one venue.
    pub fn new(symbols: Symbols, orders_max: usize, exec_ids: ExecIds, base: TimeBase) -> Desk {
        Desk {
            symbols,
            live: LiveOrders::new(orders_max),
            exec_ids,
            // A message and its reject are at most a round trip apart.
            sent: SentMessages::new(orders_max.saturating_mul(8).max(1024)),
            numbers_since: Nanos(0),
            time_base: base,
            latest: Nanos(0),
            counts: DeskCounts::default(),
            refused: Refused::default(),
            quotes: Quotes::none(),
            returned: Returned::new(orders_max),
        }
    }

    /// What was seen so far.
    pub fn counts(&self) -> DeskCounts {
        self.counts
    }

    /// The orders that are out.
    pub fn live(&self) -> &LiveOrders {
        &self.live
    }

    pub(super) fn live_mut(&mut self) -> &mut LiveOrders {
        &mut self.live
    }

    /// The venue's symbols.
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// The ExecIDs seen, for a store.
    pub fn exec_ids(&self) -> &ExecIds {
        &self.exec_ids
    }

    /// Takes an intent in before it is sent. A cancel of an order that is not in the index goes out
    /// all the same: the maker may know of an order from before a restart.
    pub fn admit(&mut self, intent: &OrderIntent) -> Result<(), Refusal> {
        match (self.live.admit(intent), intent.action) {
            (Err(Refusal::UnknownOrder), OrderAction::Cancel) => Ok(()),
            (answer, _) => answer,
        }
    }

    /// The message went out under this number.
    pub fn sent(&mut self, intent: &OrderIntent, msg_seq_num: u64) {
        self.sent.remember(Sent {
            msg_seq_num,
            cl_ord_id: intent.cl_ord_id,
            orig_cl_ord_id: intent.orig_cl_ord_id,
            instrument: intent.instrument,
        });
    }

    /// The numbers of the session's messages count since then: what went out under earlier ones is not
    /// what a later refusal names.
    pub(super) fn count_since(&mut self, numbers_since: Nanos) {
        if std::mem::replace(&mut self.numbers_since, numbers_since) != numbers_since {
            self.sent.clear();
        }
        self.exec_ids.count_since(numbers_since);
    }

    /// The connection is gone: whether the venue got a cancel that it did not answer is unknown, so that
    /// it is asked again. A late answer names the order as well. True where the venue may have a quote of
    /// ours that nobody here knows.
    pub(super) fn session_over(&mut self) -> bool {
        self.live.forget_cancels();
        self.refused = Refused::default();
        self.quotes.session_over()
    }

    /// Was it an order message that went out under this number?
    pub(super) fn has_sent(&self, msg_seq_num: u64) -> bool {
        self.sent_under(msg_seq_num).is_some()
    }

    /// The order message, or the question after an order, that went out under this number.
    pub(super) fn sent_under(&self, msg_seq_num: u64) -> Option<Sent> {
        self.sent.find(msg_seq_num)
    }

    /// A question was refused, which says nothing of an order.
    pub(super) fn question_refused(&mut self) {
        self.counts.rejects += 1;
    }

    /// The session starts again at MsgSeqNum 1.
    pub fn sequence_reset(&mut self) {
        self.sent.clear();
    }

    /// Takes back a cancel of the stage's own that did not go out: nobody is to be told.
    pub fn withdraw(&mut self, id: ClOrdId) {
        self.live.withdraw(id);
    }

    /// The intent did not go out: the venue never saw it.
    pub fn unsent(&mut self, now: Nanos, intent: &OrderIntent, was_admitted: bool) -> OrderEvent {
        if was_admitted {
            self.live.withdraw(intent.cl_ord_id);
        }
        let arrival = Arrival { now, stamp: Stamp(0), msg_seq_num: 0 };
        let ids = (intent.cl_ord_id, intent.orig_cl_ord_id);
        // On the maker's time base an intent's own time is the best that there is.
        let at = match self.time_base {
            TimeBase::Arrival => Nanos(0),
            TimeBase::Venue { .. } => intent.at,
        };
        self.event(arrival, at, ids, intent.instrument, OrderUpdate::Unsent)
    }

    /// How the session is.
    pub fn session_event(&mut self, arrival: Arrival, update: OrderUpdate) -> OrderEvent {
        let any = self.symbols.at(0).map_or(InstrumentId(0), Symbol::id);
        self.event(arrival, Nanos(0), (ClOrdId::NONE, ClOrdId::NONE), any, update)
    }

    /// ExecutionReport(8).
    pub fn on_report(&mut self, arrival: Arrival, report: &Report<'_>) -> Option<OrderEvent> {
        self.counts.reports += 1;
        self.exec_ids.hear(arrival.msg_seq_num);
        let (Some(exec_type), Some(shown)) =
            (exec_type_of(report), report.ord_status.and_then(OrdStatus::parse))
        else {
            self.counts.unreadable += 1;
            return None;
        };
        let handle = self.order_of(report);
        let order = handle.and_then(|h| self.live.get(h)).copied();
        let Some(place) = self.place_of(report, order.as_ref()) else {
            self.counts.foreign += 1;
            return None;
        };
        let exec_type = self.read_status(report, place, exec_type, shown, order.as_ref());
        let exec_type = self.read_renewal(report, exec_type, order.as_ref())?;
        if self.was_told_before(report, exec_type, shown, order.as_ref()) {
            self.counts.duplicates += 1;
            return None;
        }
        match &order {
            Some(order) if is_foreseen(order.status, exec_type, shown) => {}
            Some(_) => self.counts.unforeseen += 1,
            None => self.counts.unknown_orders += 1,
        }
        let quantities = self.quantities(report, place, order.as_ref(), shown);
        let update = self.update_of(report, place, exec_type, shown, order.as_ref(), quantities);
        let ids = ids_of(report, order.as_ref());
        if let Some(handle) = handle {
            self.apply(handle, report, exec_type, shown, update, quantities.cum_qty);
        }
        let words = (exec_type.meaning(), shown);
        self.see_returned(report, place, words, order.as_ref(), quantities);
        // Behind it: that this report tells of a trade does not make its order one of ours.
        if handle.is_none() {
            self.note_traded_of_gone(report, update);
        }
        let instrument = self.symbols.at(place).map_or(InstrumentId(0), Symbol::id);
        Some(self.event(arrival, report.transact_time, ids, instrument, update))
    }

    /// Reject(3) or BusinessMessageReject(j). An event where it is about one of our order messages.
    pub fn on_message_reject(
        &mut self,
        arrival: Arrival,
        report: &Report<'_>,
    ) -> Option<OrderEvent> {
        self.counts.rejects += 1;
        let is_order = report.ref_msg_type.map(is_order_message);
        let by_number = report.ref_seq_num.and_then(|n| self.sent.find(n));
        let by_number = by_number.filter(|_| is_order != Some(false));
        // BusinessRejectRefID(379) may name the order that a question was about, which works on.
        let by_id = || {
            let id = report.business_reject_ref_id;
            self.sent_with(id).filter(|_| is_order == Some(true))
        };
        let sent = by_number.or_else(by_id)?;
        self.live.withdraw(sent.cl_ord_id);
        let update = OrderUpdate::MessageRejected { reason: report.reason.unwrap_or(REASON_OTHER) };
        let ids = (sent.cl_ord_id, sent.orig_cl_ord_id);
        Some(self.event(arrival, report.transact_time, ids, sent.instrument, update))
    }

    /// The order that a report is about.
    pub(super) fn order_of(&self, report: &Report<'_>) -> Option<Handle> {
        self.live.find(report.cl_ord_id).or_else(|| self.live.find(report.orig_cl_ord_id))
    }

    /// A request of ours as far as the index still knows it.
    pub(super) fn sent_with(&self, id: ClOrdId) -> Option<Sent> {
        let order = self.live.get(self.live.find(id)?)?;
        let orig_cl_ord_id = if order.cl_ord_id == id { ClOrdId::NONE } else { order.cl_ord_id };
        Some(Sent { msg_seq_num: 0, cl_ord_id: id, orig_cl_ord_id, instrument: order.instrument })
    }

    /// Where the report's symbol stands: its Symbol(55), or its order's.
    pub(super) fn place_of(&self, report: &Report<'_>, order: Option<&LiveOrder>) -> Option<usize> {
        let known = order.and_then(|o| self.symbols.place_of(o.instrument));
        match report.symbol {
            Some(text) => self.symbols.find_near(text, known).or(known),
            None => known,
        }
    }

    fn was_told_before(
        &mut self,
        report: &Report<'_>,
        exec_type: ExecType,
        shown: OrdStatus,
        order: Option<&LiveOrder>,
    ) -> bool {
        let side = report.side.or(order.map(|o| o.side)).unwrap_or(Side::Buy);
        match (exec_type.meaning(), report.exec_id) {
            (
                meaning @ (Meaning::Filled | Meaning::TradeCorrected | Meaning::TradeCanceled),
                id,
            ) => {
                // A venue may give both sides of a trade with ourselves one ExecID, or cancel a
                // trade under the trade's own: only the same thing said twice is a duplicate.
                let told = id.filter(|id| !self.exec_ids.is_first(id, side, meaning));
                let is_news = meaning == Meaning::Filled && self.has_grown(report, order);
                if let Some(id) = told.filter(|_| is_news) {
                    self.exec_ids.renew(id, side, meaning);
                }
                told.is_some() && !is_news
            }
            _ if report.is_poss_dup => {
                order.is_some_and(|o| !is_foreseen(o.status, exec_type, shown))
            }
            _ => false,
        }
    }

    fn update_of(
        &mut self,
        report: &Report<'_>,
        place: usize,
        exec_type: ExecType,
        shown: OrdStatus,
        order: Option<&LiveOrder>,
        Quantities { cum_qty, leaves_qty }: Quantities,
    ) -> OrderUpdate {
        match exec_type.meaning() {
            Meaning::Pending => OrderUpdate::Pending,
            Meaning::Accepted => OrderUpdate::New { leaves_qty },
            Meaning::Filled => self.fill(report, place, order, Quantities { cum_qty, leaves_qty }),
            Meaning::Replaced => self.replacement(report, place, order, leaves_qty),
            Meaning::Restated => {
                let price = self.price(report, place, order.map(|o| o.price));
                OrderUpdate::Restated { price, leaves_qty }
            }
            Meaning::Status => {
                OrderUpdate::Status { is_gone: shown.is_gone(), cum_qty, leaves_qty }
            }
            // Done for day, or settled: a filled order has nothing left that could be cancelled.
            Meaning::Ended if order.is_some_and(|o| o.status == OrdStatus::Filled) => {
                OrderUpdate::Status { is_gone: true, cum_qty, leaves_qty }
            }
            Meaning::Ended => OrderUpdate::Canceled { cum_qty },
            Meaning::Refused => {
                let reason = report.reason.unwrap_or(REASON_OTHER);
                match order.filter(|o| is_request_of(o, report.cl_ord_id)) {
                    // Some venues refuse a replace with an ExecutionReport: the order itself works on.
                    Some(_) => OrderUpdate::CancelRejected { reason, is_gone: false },
                    None => OrderUpdate::Rejected { reason },
                }
            }
            Meaning::TradeCorrected => {
                let (last_px, last_qty) = self.last(report, place, order, cum_qty);
                let (exec_id, ref_exec_id) = self.exec_id_pair(report);
                OrderUpdate::TradeCorrected {
                    exec_id,
                    ref_exec_id,
                    last_px,
                    last_qty,
                    cum_qty,
                    leaves_qty,
                }
            }
            Meaning::TradeCanceled => {
                let (exec_id, ref_exec_id) = self.exec_id_pair(report);
                OrderUpdate::TradeCanceled { exec_id, ref_exec_id, cum_qty, leaves_qty }
            }
        }
    }

    fn replacement(
        &mut self,
        report: &Report<'_>,
        place: usize,
        order: Option<&LiveOrder>,
        leaves_qty: Lots,
    ) -> OrderUpdate {
        let asked = order.and_then(|o| {
            o.requests().iter().find(|r| r.cl_ord_id == report.cl_ord_id).map(|r| r.price)
        });
        let price = self.price(report, place, asked.or(order.map(|o| o.price)));
        match asked {
            // No request of ours bears this ClOrdID: the venue changed the order itself.
            None if order.is_some_and(|o| o.cl_ord_id == report.cl_ord_id) => {
                OrderUpdate::Restated { price, leaves_qty }
            }
            _ => OrderUpdate::Replaced { price, leaves_qty },
        }
    }

    fn fill(
        &mut self,
        report: &Report<'_>,
        place: usize,
        order: Option<&LiveOrder>,
        Quantities { cum_qty, leaves_qty }: Quantities,
    ) -> OrderUpdate {
        let (last_px, last_qty) = self.last(report, place, order, cum_qty);
        OrderUpdate::Fill {
            exec_id: self.exec_id_pair(report).0,
            side: self.side(report, order),
            last_px,
            last_qty,
            cum_qty,
            leaves_qty,
            liquidity: report.liquidity,
        }
    }

    fn exec_id_pair(&mut self, report: &Report<'_>) -> (ExecId, ExecId) {
        let ids = &mut self.exec_ids;
        let told = report.exec_id.map_or(ExecId(0), |text| ids.number_told(text));
        (told, report.exec_ref_id.map_or(ExecId(0), |text| ids.intern(text).id))
    }

    /// What of an order traded by now, and whether the word at hand was overtaken by a later one. Only a
    /// bust or a correction takes back what traded: a smaller CumQty(14) taken for news would have the
    /// next report count its growth twice.
    fn traded(&self, handle: Handle, update: OrderUpdate, told: Lots) -> (Lots, bool) {
        let takes_back = matches!(
            update,
            OrderUpdate::TradeCorrected { .. } | OrderUpdate::TradeCanceled { .. }
        );
        match self.live.get(handle) {
            Some(order) if told < order.cum_qty && !takes_back => (order.cum_qty, true),
            _ => (told, false),
        }
    }

    /// Writes the venue's word into the index.
    fn apply(
        &mut self,
        handle: Handle,
        report: &Report<'_>,
        exec_type: ExecType,
        shown: OrdStatus,
        update: OrderUpdate,
        told: Lots,
    ) {
        let (cum_qty, is_overtaken) = self.traded(handle, update, told);
        match update {
            OrderUpdate::Replaced { .. } => {
                self.live.replaced(handle, report.cl_ord_id);
                self.live.set(handle, shown, cum_qty);
            }
            OrderUpdate::Restated { price, leaves_qty } => {
                let size = Lots(told.0.saturating_add(leaves_qty.0));
                self.live.restate(handle, price, size);
                self.live.set(handle, shown, cum_qty);
            }
            OrderUpdate::CancelRejected { .. } => {
                self.live.request_refused(handle, report.cl_ord_id);
            }
            // Some venues show the status from before the end; the ExecType is the later word.
            OrderUpdate::Canceled { .. } if !shown.is_gone() => {
                let is_day_over = exec_type == ExecType::DoneForDay;
                let ended = if is_day_over { OrdStatus::DoneForDay } else { OrdStatus::Canceled };
                self.live.set(handle, ended, cum_qty);
            }
            // A later report overtook it: what that one said stands.
            OrderUpdate::New { .. }
            | OrderUpdate::Fill { .. }
            | OrderUpdate::Status { is_gone: false, .. }
                if is_overtaken => {}
            OrderUpdate::Pending
            | OrderUpdate::New { .. }
            | OrderUpdate::Fill { .. }
            | OrderUpdate::Status { .. }
            | OrderUpdate::TradeCorrected { .. }
            | OrderUpdate::TradeCanceled { .. }
            | OrderUpdate::Canceled { .. }
            | OrderUpdate::Rejected { .. } => self.live.set(handle, shown, cum_qty),
            // No report becomes one of these.
            OrderUpdate::SessionUp
            | OrderUpdate::SessionReconciling
            | OrderUpdate::SessionDown
            | OrderUpdate::SessionHalted { .. }
            | OrderUpdate::Position { .. }
            | OrderUpdate::ContractDiffers
            | OrderUpdate::MessageRejected { .. }
            | OrderUpdate::Unsent => {}
        }
    }

    pub(super) fn event(
        &mut self,
        arrival: Arrival,
        venue_at: Nanos,
        (cl_ord_id, orig_cl_ord_id): (ClOrdId, ClOrdId),
        instrument: InstrumentId,
        update: OrderUpdate,
    ) -> OrderEvent {
        let at = match self.time_base {
            TimeBase::Arrival => arrival.now,
            TimeBase::Venue { answer_delay_ns } => venue_at.plus(answer_delay_ns),
        };
        self.latest = self.latest.max(at);
        OrderEvent {
            at: self.latest,
            venue_at,
            stamp: arrival.stamp,
            msg_seq_num: arrival.msg_seq_num,
            cl_ord_id,
            orig_cl_ord_id,
            update,
            instrument,
            venue: self.symbols.venue(),
        }
    }
}

/// Is it NewOrderSingle(D), OrderCancelRequest(F) or OrderCancelReplaceRequest(G)?
fn is_order_message(msg_type: &[u8]) -> bool {
    matches!(
        msg_type,
        msg_type::NEW_ORDER_SINGLE
            | msg_type::ORDER_CANCEL_REQUEST
            | msg_type::ORDER_CANCEL_REPLACE_REQUEST
            | CANCEL_AND_NEW
            | AMEND
    )
}

/// Whether `id` is a request to this order, and not the order itself.
fn is_request_of(order: &LiveOrder, id: ClOrdId) -> bool {
    order.requests().iter().any(|r| r.cl_ord_id == id)
}

/// ExecType(150), with ExecTransType(20) of FIX 4.2 where that says more.
fn exec_type_of(report: &Report<'_>) -> Option<ExecType> {
    match report.exec_trans_type {
        Some(b"1") => Some(ExecType::TradeCancel),
        Some(b"2") => Some(ExecType::TradeCorrect),
        Some(b"3") => Some(ExecType::OrderStatus),
        _ => report.exec_type.and_then(ExecType::parse),
    }
}

/// ClOrdID(11) and OrigClOrdID(41) as the venue gave them; where it left the second out of an answer
/// to a request, the order that the request was about.
pub(super) fn ids_of(report: &Report<'_>, order: Option<&LiveOrder>) -> (ClOrdId, ClOrdId) {
    let known = order.filter(|o| is_request_of(o, report.cl_ord_id)).map(|o| o.cl_ord_id);
    match report.orig_cl_ord_id {
        ClOrdId::NONE => (report.cl_ord_id, known.unwrap_or(ClOrdId::NONE)),
        given => (report.cl_ord_id, given),
    }
}
