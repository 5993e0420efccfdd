//! The venue's books of record: who asked what, when it arrives, what it traded, what it cost.
//!
//! Fed by participants ([`Exchange::submit`]) and by a tape ([`Exchange::on_market`]); feeds
//! [`Report`]s with the time at which each reaches its participant. One thread, no clock: its time
//! is the tape's. Deliberately absent: FIX, and the order in which tape and arrivals are taken
//! (`playback.rs`).
//!
//! A request sent at t is matched at t + order latency and answered at t + twice that; what the tape
//! says at t reaches participants at t + feed latency; a backtest may give other ways
//! ([`Exchange::with_latency`]).

use super::arrivals::Arrivals;
use super::fees::Tariff;
use super::latency::{Delays, Latency};
use super::matching::{Happening, Matching, SelfMatch};
use super::order::{
    Answer, CancelRefusal, CancelReject, ExecType, ExecutionReport, LastFill, Lifetime, NewOrder,
    OrdStatus, OrderId, OrderRefusal, Participant, Report, Request,
};
use super::queue::{QueueCounters, QueueModel};
use super::register::{Order, Register};
use super::upsets::Trade;
use crate::recording::OrderGone;
use ballast_engine::event::{ClOrdId, ExecId, InstrumentId, Liquidity, MarketEvent};
use ballast_engine::instrument::Instrument;
use ballast_engine::units::{Lots, Nanos, Side, Ticks};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How a venue behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VenueOptions {
    /// From a participant to the matching, and the same back.
    pub order_latency_ns: u64,
    /// From the tape's event to the participants.
    pub feed_latency_ns: u64,
    /// How places in the displayed queue improve.
    pub queue_model: QueueModel,
    /// What happens where a participant meets itself.
    pub self_match: SelfMatch,
}

impl Default for VenueOptions {
    /// No latency, the careful queue, and no trade with oneself.
    fn default() -> VenueOptions {
        VenueOptions {
            order_latency_ns: 0,
            feed_latency_ns: 0,
            queue_model: QueueModel::BackOfQueue,
            self_match: SelfMatch::CancelIncoming,
        }
    }
}

/// Many instruments, many participants.
pub struct Exchange {
    instruments: Vec<Instrument>,
    options: VenueOptions,
    latency: Latency,
    pub(super) markets: Vec<Matching>,
    pub(super) register: Register,
    pub(super) live: BTreeSet<(Participant, OrderId)>,
    pub(super) positions: BTreeMap<(Participant, InstrumentId), Lots>,
    /// Of the positions what no order allowed: overfills, trades cancelled and corrected.
    pub(super) upsets: BTreeMap<(Participant, InstrumentId), Lots>,
    /// Requests that would have traded with an order of their own participant's.
    self_meetings: u64,
    /// The latest, which may be busted.
    pub(super) trades: VecDeque<Trade>,
    /// What participants held before they first traded here.
    pub(super) openings: BTreeMap<(Participant, InstrumentId), Lots>,
    arrivals: Arrivals,
    pub(super) executions: u64,
    now: Nanos,
    is_closed: bool,
    happenings: Vec<Happening>,
    pub(super) tariff: Tariff,
}

impl Exchange {
    /// A venue for these instruments, with empty books.
    pub fn new(instruments: &[Instrument], options: VenueOptions) -> Exchange {
        let market = |_: &Instrument| Matching::new(options.queue_model, options.self_match);
        Exchange {
            markets: instruments.iter().map(market).collect(),
            instruments: instruments.to_vec(),
            options,
            latency: Latency::constant(Delays {
                feed_ns: options.feed_latency_ns,
                order_ns: options.order_latency_ns,
                report_ns: options.order_latency_ns,
            }),
            register: Register::default(),
            live: BTreeSet::new(),
            positions: BTreeMap::new(),
            upsets: BTreeMap::new(),
            self_meetings: 0,
            trades: VecDeque::new(),
            openings: BTreeMap::new(),
            arrivals: Arrivals::default(),
            executions: 0,
            now: Nanos(0),
            is_closed: false,
            happenings: Vec::new(),
            tariff: Tariff::default(),
        }
    }

    /// The same with other ways to its one participant than the options' constant ones.
    pub fn with_latency(self, latency: Latency) -> Exchange {
        Exchange { latency, ..self }
    }

    /// How it behaves.
    pub fn options(&self) -> VenueOptions {
        self.options
    }

    /// What is traded.
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    /// The tape's time of the last thing that happened.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// An instrument's displayed book and resting orders.
    pub fn market(&self, instrument: InstrumentId) -> Option<&Matching> {
        self.markets.get(usize::from(instrument.0))
    }

    /// The sum of a participant's fills; + long.
    pub fn position(&self, participant: Participant, instrument: InstrumentId) -> Lots {
        self.positions.get(&(participant, instrument)).copied().unwrap_or_default()
    }

    /// How many orders came that reached a resting one of their own participant's, whatever was done
    /// about it.
    pub fn self_meetings(&self) -> u64 {
        self.self_meetings
    }

    fn note_meeting(&mut self, participant: Participant, on: (InstrumentId, Side, Ticks)) {
        let (instrument, side, price) = on;
        let market = self.markets.get(usize::from(instrument.0));
        let meets = market.is_some_and(|market| market.would_meet(side, price, participant));
        self.self_meetings += u64::from(meets);
    }

    /// What queueing there was in all markets.
    pub fn queue_counters(&self) -> QueueCounters {
        let sides = self.markets.iter().flat_map(|market| Side::BOTH.map(|s| market.resting(s)));
        sides.fold(QueueCounters::default(), |sum, orders| sum + orders.counters())
    }

    /// A closed venue refuses every new order; cancels and replaces go on.
    pub fn set_closed(&mut self, is_closed: bool) {
        self.is_closed = is_closed;
    }

    /// Takes a request on its way. It arrives after the order latency, but never in the past.
    pub fn submit(&mut self, sent_at: Nanos, participant: Participant, request: Request) -> Nanos {
        let arrives = self.latency.order(sent_at).max(self.now);
        self.arrivals.send(arrives, participant, request);
        arrives
    }

    /// When the next request arrives.
    #[inline]
    pub fn next_arrival(&self) -> Option<Nanos> {
        self.arrivals.next()
    }

    /// Lets the next request arrive; false where none is on its way.
    pub fn on_arrival(&mut self, out: &mut Vec<Report>) -> bool {
        let Some((at, participant, request)) = self.arrivals.take() else { return false };
        self.now = self.now.max(at);
        self.register.forget(self.now);
        match request {
            Request::New(new) => self.on_new(participant, new, out),
            Request::Replace { cl_ord_id, orig_cl_ord_id, price, size } => {
                self.on_replace(participant, cl_ord_id, orig_cl_ord_id, price, size, out);
            }
            Request::ReplaceOffGrid { cl_ord_id, orig_cl_ord_id } => {
                let admitted = self.admit_change(participant, cl_ord_id, orig_cl_ord_id);
                let refusal = admitted.err().unwrap_or(CancelRefusal::OffGrid);
                self.refuse_change(participant, (cl_ord_id, orig_cl_ord_id), true, refusal, out);
            }
            Request::Cancel { cl_ord_id, orig_cl_ord_id } => {
                match self.admit_change(participant, cl_ord_id, orig_cl_ord_id) {
                    Ok(order) => self.cancel(order, cl_ord_id, orig_cl_ord_id, out),
                    Err(refusal) => {
                        let ids = (cl_ord_id, orig_cl_ord_id);
                        self.refuse_change(participant, ids, false, refusal, out);
                    }
                }
            }
            Request::Status { cl_ord_id } => self.on_status(participant, cl_ord_id, out),
            Request::CancelAll { instrument } => self.on_cancel_all(participant, instrument, out),
            Request::StatusAll => self.on_status_all(participant, out),
            Request::Positions => self.on_positions(participant, out),
        }
        true
    }

    /// The tape moved. Returns the event as participants will see it, after the feed latency.
    pub fn on_market(&mut self, event: &MarketEvent, out: &mut Vec<Report>) -> MarketEvent {
        MarketEvent { at: self.on_recorded(event, None, None, out), ..*event }
    }

    /// The same where the tape knows more: which displayed order left with the event, and when the
    /// recorder received it. Returns when participants will see it.
    #[inline]
    pub fn on_recorded(
        &mut self,
        event: &MarketEvent,
        gone: Option<OrderGone>,
        received: Option<Nanos>,
        out: &mut Vec<Report>,
    ) -> Nanos {
        self.now = self.now.max(event.at);
        self.tariff.open(event.at);
        let index = usize::from(event.instrument.0);
        if let Some(market) = self.markets.get_mut(index) {
            market.on_market(&event.update, gone, &mut self.happenings);
        }
        // Hardly an event of the tape meets an order.
        for n in 0..self.happenings.len() {
            if let Happening::Traded { resting: Some(order), price, size } = self.happenings[n] {
                self.fill(order, price, size, Liquidity::Maker, out);
            }
        }
        self.happenings.clear();
        self.latency.feed(event.at, received)
    }

    fn on_new(&mut self, participant: Participant, new: NewOrder, out: &mut Vec<Report>) {
        self.note_meeting(participant, (new.instrument, new.side, new.price));
        let is_known = usize::from(new.instrument.0) < self.markets.len();
        let refusal = if self.register.is_used((participant, new.cl_ord_id)) {
            Some(OrderRefusal::DuplicateOrder)
        } else if self.is_closed {
            Some(OrderRefusal::Closed)
        } else if !is_known {
            Some(OrderRefusal::UnknownSymbol)
        } else if new.size.0 <= 0 {
            Some(OrderRefusal::IncorrectQuantity)
        } else if new.lifetime == Lifetime::PostOnly
            && self.markets[usize::from(new.instrument.0)].would_take(new.side, new.price)
        {
            Some(OrderRefusal::WouldTake)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            if refusal != OrderRefusal::DuplicateOrder {
                self.register.name(self.now, (participant, new.cl_ord_id), None);
            }
            self.refuse_order(participant, new, refusal, out);
            return;
        }
        let opened = Order {
            participant,
            cl_ord_id: new.cl_ord_id,
            instrument: new.instrument,
            side: new.side,
            price: new.price,
            size: new.size,
            cum: Lots(0),
            traded: 0,
            lifetime: new.lifetime,
            status: OrdStatus::New,
        };
        let order = self.register.open(self.now, (participant, new.cl_ord_id), opened);
        self.live.insert((participant, order));
        self.report(order, ExecType::New, ClOrdId::NONE, None, out);
        self.work(order, out);
    }

    /// Lets an order take what it may, then rests what is left or cancels it.
    fn work(&mut self, order: OrderId, out: &mut Vec<Report>) {
        let Order { participant, instrument, side, price, lifetime, .. } = *self.order(order);
        let leaves = self.order(order).leaves();
        let mut happenings = std::mem::take(&mut self.happenings);
        let market = &mut self.markets[usize::from(instrument.0)];
        let left = market.take(side, price, leaves, participant, &mut happenings);
        let mut is_stopped = false;
        for happening in happenings.drain(..) {
            match happening {
                Happening::Traded { resting, price, size } => {
                    self.fill(order, price, size, Liquidity::Taker, out);
                    if let Some(resting) = resting {
                        self.fill(resting, price, size, Liquidity::Maker, out);
                    }
                }
                Happening::Pulled(resting) => self.end(resting, ClOrdId::NONE, out),
                Happening::Stopped => is_stopped = true,
            }
        }
        self.happenings = happenings;
        if left.0 <= 0 {
        } else if is_stopped || lifetime == Lifetime::ImmediateOrCancel {
            self.end(order, ClOrdId::NONE, out);
        } else {
            let market = &mut self.markets[usize::from(instrument.0)];
            market.rest(side, price, order, participant, (left, self.now));
        }
    }

    fn on_replace(
        &mut self,
        participant: Participant,
        cl_ord_id: ClOrdId,
        orig_cl_ord_id: ClOrdId,
        price: Ticks,
        size: Lots,
        out: &mut Vec<Report>,
    ) {
        let admitted = self.admit_change(participant, cl_ord_id, orig_cl_ord_id);
        if let Ok(order) = admitted {
            let Order { instrument, side, .. } = *self.order(order);
            self.note_meeting(participant, (instrument, side, price));
        }
        let admitted = admitted.and_then(|order| {
            let now = *self.order(order);
            let market = &self.markets[usize::from(now.instrument.0)];
            let takes = now.lifetime == Lifetime::PostOnly && market.would_take(now.side, price);
            if size.0 <= 0 {
                Err(CancelRefusal::IncorrectQuantity)
            } else if takes && price != now.price {
                Err(CancelRefusal::WouldTake)
            } else {
                Ok((order, now))
            }
        });
        let (order, before) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => {
                let ids = (cl_ord_id, orig_cl_ord_id);
                return self.refuse_change(participant, ids, true, refusal, out);
            }
        };
        self.register.name(self.now, (participant, cl_ord_id), Some(order));
        let market = &mut self.markets[usize::from(before.instrument.0)];
        let leaves = Lots(size.0 - before.cum.0);
        // Venues keep the place of an order that only becomes smaller; all else goes to the back.
        let keeps_place = price == before.price && size <= before.size && leaves.0 > 0;
        if keeps_place {
            market.resize(before.side, price, order, leaves);
        } else {
            market.remove(before.side, before.price, order);
        }
        let after = self.order_mut(order);
        after.cl_ord_id = cl_ord_id;
        after.price = price;
        // FIX 4.4, order state changes: a size not above what has traded leaves the order filled.
        after.size = size.max(before.cum);
        after.status = if leaves.0 > 0 { after.working_status() } else { OrdStatus::Filled };
        if leaves.0 <= 0 {
            self.live.remove(&(participant, order));
        }
        self.report(order, ExecType::Replaced, orig_cl_ord_id, None, out);
        if leaves.0 > 0 && !keeps_place {
            self.work(order, out);
        }
    }

    fn on_cancel_all(
        &mut self,
        participant: Participant,
        instrument: Option<InstrumentId>,
        out: &mut Vec<Report>,
    ) {
        let ids: Vec<OrderId> = self.working(participant).collect();
        let mut affected = 0;
        for order in ids {
            let Order { instrument: traded, side, price, .. } = *self.order(order);
            if instrument.is_none_or(|wanted| wanted == traded) {
                self.markets[usize::from(traded.0)].remove(side, price, order);
                self.end(order, ClOrdId::NONE, out);
                affected += 1;
            }
        }
        self.answer(participant, Answer::MassCanceled { affected }, out);
    }

    fn on_status(&mut self, participant: Participant, cl_ord_id: ClOrdId, out: &mut Vec<Report>) {
        let named = self.register.named((participant, cl_ord_id));
        let report = match named {
            Some(order) => self.describe(order, ExecType::OrderStatus, ClOrdId::NONE, None),
            None => ExecutionReport {
                exec_type: ExecType::OrderStatus,
                ..refused(cl_ord_id, OrderRefusal::UnknownOrder)
            },
        };
        let report = ExecutionReport { exec_id: ExecId(0), ..report };
        self.answer(participant, Answer::Execution(report), out);
    }

    /// Which order a cancel or replace is about, or why it is refused.
    fn admit_change(
        &mut self,
        participant: Participant,
        cl_ord_id: ClOrdId,
        orig_cl_ord_id: ClOrdId,
    ) -> Result<OrderId, CancelRefusal> {
        if self.register.is_used((participant, cl_ord_id)) {
            return Err(CancelRefusal::DuplicateClOrdId);
        }
        self.register.name(self.now, (participant, cl_ord_id), None);
        let named = self.register.named((participant, orig_cl_ord_id));
        let order = named.ok_or(CancelRefusal::UnknownOrder)?;
        let now = self.order(order);
        if now.status.is_final() || now.cl_ord_id != orig_cl_ord_id {
            return Err(CancelRefusal::TooLate);
        }
        Ok(order)
    }

    fn cancel(
        &mut self,
        order: OrderId,
        cl_ord_id: ClOrdId,
        orig_cl_ord_id: ClOrdId,
        out: &mut Vec<Report>,
    ) {
        let Order { participant, instrument, side, price, .. } = *self.order(order);
        self.markets[usize::from(instrument.0)].remove(side, price, order);
        self.register.name(self.now, (participant, cl_ord_id), Some(order));
        self.order_mut(order).cl_ord_id = cl_ord_id;
        self.end(order, orig_cl_ord_id, out);
    }

    /// An order leaves the book untraded.
    fn end(&mut self, order: OrderId, orig_cl_ord_id: ClOrdId, out: &mut Vec<Report>) {
        let ended = self.order_mut(order);
        ended.status = OrdStatus::Canceled;
        let participant = ended.participant;
        self.live.remove(&(participant, order));
        self.report(order, ExecType::Canceled, orig_cl_ord_id, None, out);
    }

    pub(super) fn fill(
        &mut self,
        order: OrderId,
        price: Ticks,
        size: Lots,
        liquidity: Liquidity,
        out: &mut Vec<Report>,
    ) {
        let filled = self.order_mut(order);
        filled.cum.0 += size.0;
        filled.traded += i128::from(price.0) * i128::from(size.0);
        filled.status =
            if filled.cum >= filled.size { OrdStatus::Filled } else { OrdStatus::PartiallyFilled };
        let Order { participant, instrument, side, status, .. } = *filled;
        if status.is_final() {
            self.live.remove(&(participant, order));
        }
        let position = self.positions.entry((participant, instrument)).or_default();
        position.0 += side.sign() * size.0;
        let listed = &self.instruments[usize::from(instrument.0)];
        let fee = self.tariff.charge(self.now, participant, listed, (price, size, liquidity));
        let last = LastFill { price, size, liquidity, fee };
        self.report(order, ExecType::Trade, ClOrdId::NONE, Some(last), out);
        self.keep_trade(order, last);
    }

    pub(super) fn report(
        &mut self,
        order: OrderId,
        exec_type: ExecType,
        orig_cl_ord_id: ClOrdId,
        last: Option<LastFill>,
        out: &mut Vec<Report>,
    ) {
        self.executions += 1;
        let report = self.describe(order, exec_type, orig_cl_ord_id, last);
        self.answer(self.order(order).participant, Answer::Execution(report), out);
    }

    /// An order as it stands, under the latest ExecID.
    pub(super) fn describe(
        &self,
        order_id: OrderId,
        exec_type: ExecType,
        orig_cl_ord_id: ClOrdId,
        last: Option<LastFill>,
    ) -> ExecutionReport {
        let order = self.order(order_id);
        ExecutionReport {
            exec_id: ExecId(self.executions),
            exec_ref_id: ExecId(0),
            order_id,
            cl_ord_id: order.cl_ord_id,
            orig_cl_ord_id,
            instrument: order.instrument,
            side: order.side,
            exec_type,
            ord_status: order.status,
            price: order.price,
            order_qty: order.size,
            cum_qty: order.cum,
            leaves_qty: order.leaves(),
            traded: order.traded,
            last,
            refusal: None,
        }
    }

    fn refuse_order(
        &mut self,
        participant: Participant,
        new: NewOrder,
        refusal: OrderRefusal,
        out: &mut Vec<Report>,
    ) {
        self.executions += 1;
        let report = ExecutionReport {
            exec_id: ExecId(self.executions),
            instrument: new.instrument,
            side: new.side,
            price: new.price,
            order_qty: new.size,
            ..refused(new.cl_ord_id, refusal)
        };
        self.answer(participant, Answer::Execution(report), out);
    }

    fn refuse_change(
        &mut self,
        participant: Participant,
        (cl_ord_id, orig_cl_ord_id): (ClOrdId, ClOrdId),
        is_replace: bool,
        refusal: CancelRefusal,
        out: &mut Vec<Report>,
    ) {
        let named = self.register.named((participant, orig_cl_ord_id));
        let order = named.map(|order| *self.order(order));
        let reject = CancelReject {
            order_id: named.unwrap_or_default(),
            cl_ord_id,
            orig_cl_ord_id,
            instrument: order.map(|order| order.instrument),
            ord_status: order.map_or(OrdStatus::Rejected, |order| order.status),
            is_replace,
            refusal,
        };
        self.answer(participant, Answer::CancelReject(reject), out);
    }

    pub(super) fn answer(
        &mut self,
        participant: Participant,
        answer: Answer,
        out: &mut Vec<Report>,
    ) {
        let deliver_at = self.latency.report(self.now);
        out.push(Report { at: self.now, deliver_at, participant, answer });
    }

    /// OrderIds come from the register alone, which forgets no order that works or was just named.
    pub(super) fn order(&self, order: OrderId) -> &Order {
        self.register.order(order).unwrap_or_else(|| panic!("{order:?} was forgotten: a bug"))
    }

    pub(super) fn order_mut(&mut self, order: OrderId) -> &mut Order {
        self.register.order_mut(order).unwrap_or_else(|| panic!("{order:?} was forgotten: a bug"))
    }
}

/// A report on an order that is not there.
fn refused(cl_ord_id: ClOrdId, refusal: OrderRefusal) -> ExecutionReport {
    ExecutionReport {
        exec_id: ExecId(0),
        exec_ref_id: ExecId(0),
        order_id: OrderId(0),
        cl_ord_id,
        orig_cl_ord_id: ClOrdId::NONE,
        instrument: InstrumentId::default(),
        side: Side::Buy,
        exec_type: ExecType::Rejected,
        ord_status: OrdStatus::Rejected,
        price: Ticks(0),
        order_qty: Lots(0),
        cum_qty: Lots(0),
        leaves_qty: Lots(0),
        traded: 0,
        last: None,
        refusal: Some(refusal),
    }
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
pub(crate) mod tests;
