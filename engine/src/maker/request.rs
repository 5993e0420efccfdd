//! The one way out: gate, order table, intent. Nothing else in the maker makes an intent.

use super::{Line, Maker, Pool};
use crate::coarse_step::CoarseStep;
use crate::event::{ClOrdId, InstrumentId, OrderAction, OrderIntent, TimeInForce};
use crate::maker::intents::{Intents, Record};
use crate::orders::order::{Order, OrderState, Purpose};
use crate::orders::table::OrderSlot;
use crate::risk::claim::Claim;
use crate::risk::duplicate::Likeness;
use crate::risk::gate::{self, BlockReason, Facts, Proposal, Verdict};
use crate::units::{Exposure, Lots, Side, Ticks};

/// What a request names of the order that it is about: a copy of all of it costs as much as judging it.
#[derive(Clone, Copy)]
struct Named {
    cl_ord_id: ClOrdId,
    instrument: InstrumentId,
    side: Side,
    purpose: Purpose,
}

impl Named {
    fn of(order: &Order) -> Named {
        let &Order { cl_ord_id, instrument, side, purpose, .. } = order;
        Named { cl_ord_id, instrument, side, purpose }
    }
}

impl Maker {
    /// A new order, if the gate lets it pass.
    #[expect(
        clippy::too_many_arguments,
        reason = "an order has this many fields, each a type of its own"
    )]
    pub(super) fn send_new(
        &mut self,
        instrument: InstrumentId,
        side: Side,
        purpose: Purpose,
        price: Ticks,
        size: Lots,
        time_in_force: TimeInForce,
        out: &mut Intents,
    ) -> Option<OrderSlot> {
        // A quote's price is on the grid already, and compared with what works.
        let price = match purpose {
            Purpose::Quote { .. } => price,
            Purpose::Hedge | Purpose::Rebalance => {
                let step = self.line(instrument).map(|line| line.instrument.coarse_step());
                step.unwrap_or(CoarseStep::NONE).outward(side, price)
            }
        };
        let proposal = Proposal { instrument, side, price, size, added: size };
        let likeness = Likeness { side, price, size };
        if !self.passes(&proposal, Claim::of(purpose), Some(likeness), out) {
            return None;
        }
        if !self.orders.has_room() {
            self.block(instrument, BlockReason::TooManyOrders, out);
            return None;
        }
        let (slot, cl_ord_id) =
            self.orders.insert(self.now, instrument, side, purpose, price, size)?;
        let now = self.now;
        if let Some(line) = self.line_mut(instrument) {
            line.duplicates.on_sent(now, likeness);
        }
        let intent = OrderIntent {
            cl_ord_id,
            orig_cl_ord_id: ClOrdId::NONE,
            price,
            size,
            stamp: self.stamp,
            at: self.now,
            instrument,
            action: OrderAction::New,
            side,
            time_in_force,
        };
        self.emit(intent, size, out);
        self.refresh_gross(instrument);
        Some(slot)
    }

    /// Moves a working order, if the gate lets it pass. Says whether it went.
    #[inline]
    pub(super) fn send_replace(
        &mut self,
        slot: OrderSlot,
        price: Ticks,
        size: Lots,
        out: &mut Intents,
    ) -> bool {
        let Some(order) = self.orders.get(slot) else { return false };
        let leaves = size.0.saturating_sub(order.cum_qty.0);
        let added = Lots(leaves.saturating_sub(order.leaves_worst().0).max(0));
        let order = Named::of(order);
        let Named { instrument, side, .. } = order;
        let proposal = Proposal { instrument, side, price, size, added };
        if !self.passes(&proposal, Claim::Quote, None, out) {
            return false;
        }
        let open = self.orders.open(instrument);
        let Some(id) = self.orders.request_replace(self.now, slot, price, size) else {
            return false;
        };
        let intent = self.request(&order, id, OrderAction::Replace, price, size);
        self.emit(intent, Lots(leaves), out);
        // A move asks for no more than works already: what is open stays what it was.
        if self.orders.open(instrument) != open {
            self.refresh_gross(instrument);
        }
        debug_assert!(self.is_gross_fresh(instrument), "whatever may trade is counted");
        true
    }

    /// Takes an order out, or asks after one in doubt. Only the message rate can stop it, and cancels
    /// have a reserve there. Says whether it went.
    pub(super) fn send_cancel(&mut self, slot: OrderSlot, out: &mut Intents) -> bool {
        let Some(order) = self.orders.get(slot) else { return false };
        let (price, size, order) = (order.price, order.size, Named::of(order));
        let Some(venue) = self.place_of_venue(order.instrument) else { return false };
        let has_budget = self
            .throttles
            .get(venue)
            .is_some_and(|throttle| throttle.check(self.now, Claim::Cancel) == Verdict::Pass);
        if !out.has_room_for(venue) || !has_budget {
            return false;
        }
        let Some(id) = self.orders.request_cancel(self.now, slot) else { return false };
        let name = self.orders.get(slot).map_or(order.cl_ord_id, |order| order.cancel_of);
        let mut intent = self.request(&order, id, OrderAction::Cancel, price, size);
        intent.orig_cl_ord_id = name;
        self.emit(intent, Lots(0), out);
        true
    }

    /// Cancels every order that no request is under way for. What the message rate holds back, the
    /// next timer sends; orders in doubt are left to it, which asks after them at its own pace.
    pub(super) fn cancel_everything(&mut self, out: &mut Intents) {
        for n in 0..self.orders.capacity() {
            if let Some((slot, order)) = self.orders.at(n)
                && order.state != OrderState::InDoubt
            {
                self.send_cancel(slot, out);
            }
        }
    }

    #[inline]
    fn request(
        &self,
        order: &Named,
        cl_ord_id: ClOrdId,
        action: OrderAction,
        price: Ticks,
        size: Lots,
    ) -> OrderIntent {
        OrderIntent {
            cl_ord_id,
            orig_cl_ord_id: order.cl_ord_id,
            price,
            size,
            stamp: self.stamp,
            at: self.now,
            instrument: order.instrument,
            action,
            side: order.side,
            time_in_force: match order.purpose {
                Purpose::Quote { .. } => TimeInForce::PostOnly,
                Purpose::Hedge | Purpose::Rebalance => TimeInForce::ImmediateOrCancel,
            },
        }
    }

    /// The one place where an intent leaves, and `leaves` is what may trade of it. A cancel changes nothing of what may still trade; who asks for
    /// more or less counts it.
    #[inline]
    fn emit(&mut self, intent: OrderIntent, leaves: Lots, out: &mut Intents) {
        let place = match intent.action {
            OrderAction::New => 0,
            OrderAction::Replace => 1,
            OrderAction::Cancel => 2,
        };
        if let Some(counter) = self.counters.intents.get_mut(place) {
            *counter = counter.saturating_add(1);
        }
        if let Some(venue) = self.place_of_venue(intent.instrument) {
            if let Some(throttle) = self.throttles.get_mut(venue) {
                throttle.on_sent(self.now);
            }
            if let Some(ratio) = self.order_to_trade.get_mut(venue) {
                ratio.on_sent();
            }
            out.on_taken(venue);
        }
        if let Some(line) = self.line_mut(intent.instrument) {
            line.best.forget(intent.side);
            line.tally.on_sent(&intent, leaves);
        }
        self.changes = self.changes.wrapping_add(1);
        out.push(intent);
    }

    fn place_of_venue(&self, instrument: InstrumentId) -> Option<usize> {
        self.line(instrument).map(|line| usize::from(line.instrument.spec().venue.0))
    }

    /// A new order comes with its `likeness`.
    fn passes(
        &mut self,
        proposal: &Proposal,
        claim: Claim,
        likeness: Option<Likeness>,
        out: &mut Intents,
    ) -> bool {
        self.value_if_deferred(proposal.instrument);
        let own = self.kept_own_best(proposal.instrument, proposal.side.opposite());
        let Some(line) = self.line(proposal.instrument) else { return false };
        let spec = line.instrument.spec();
        let (venue, place) = (usize::from(spec.venue.0), usize::from(spec.underlying.0));
        let Some(pool) = self.pools.get(place) else { return false };
        // What is booked may not be what is held: whatever asks, nothing new is traded.
        if self.is_killed || pool.unconfirmed > 0 || !out.has_room_for(venue) {
            return false;
        }
        match self.judge(line, pool, proposal, (claim, likeness), own) {
            Some(Verdict::Pass) => true,
            Some(Verdict::Block(reason)) => {
                self.block(proposal.instrument, reason, out);
                if reason == BlockReason::SelfTrade {
                    self.clear_the_way(proposal, likeness.is_some(), out);
                }
                false
            }
            None => false,
        }
    }

    /// What counts messages, then what weighs the order. `None` for what is not in the config.
    #[inline]
    fn judge(
        &self,
        line: &Line,
        pool: &Pool,
        proposal: &Proposal,
        (claim, likeness): (Claim, Option<Likeness>),
        own: Option<Ticks>,
    ) -> Option<Verdict> {
        let venue = usize::from(line.instrument.spec().venue.0);
        if self.throttles.get(venue)?.check(self.now, claim) != Verdict::Pass {
            return Some(Verdict::Block(BlockReason::MessageRate));
        }
        let ratio = self.order_to_trade.get(venue)?.check(claim);
        if ratio != Verdict::Pass {
            return Some(ratio);
        }
        let alike = likeness.map(|order| line.duplicates.check(self.now, order));
        match alike {
            Some(Verdict::Block(_)) => alike,
            Some(Verdict::Pass) | None => self.weigh(line, pool, proposal, own),
        }
    }

    /// `own`: the best price of our own on the other side.
    #[inline]
    fn weigh(
        &self,
        line: &Line,
        pool: &Pool,
        proposal: &Proposal,
        own: Option<Ticks>,
    ) -> Option<Verdict> {
        let side = proposal.side;
        let reference =
            self.quoting_touch(line).map(|touch| Ticks(touch.mid_half_ticks().div_euclid(2)));
        let Some(exposure_per_lot) = self.lot_exposure(line) else {
            return Some(Verdict::Block(BlockReason::Untrusted));
        };
        if !line.instrument.coarse_step().has(proposal.price) {
            return Some(Verdict::Block(BlockReason::OffStep));
        }
        if let Some(reason) = self.option_block(proposal.instrument, side, proposal.added) {
            return Some(Verdict::Block(reason));
        }
        if let Some(reason) = self.cash_block(line, proposal) {
            return Some(Verdict::Block(reason));
        }
        let exposure_limits = pool.limits();
        // A bought put takes exposure off, as a sale does.
        let way = if exposure_per_lot.0 < 0 { side.opposite() } else { side };
        let facts = Facts {
            limits: &line.settings.limits,
            reference,
            position: self.ledger.position(proposal.instrument)?,
            away: self.ledger.away(proposal.instrument)?,
            open: self.orders.open(proposal.instrument),
            is_spot: line.is_spot(),
            exposure_per_lot,
            exposure_worst: self.exposure_worst(line, pool, way),
            exposure_limits: &exposure_limits,
            own_opposite: own,
            gross: &self.gross,
        };
        Some(gate::check(proposal, &facts))
    }

    /// The underlying's exposure from its target if every open order that moves it one way trades.
    #[inline]
    fn exposure_worst(&self, line: &Line, pool: &Pool, way: Side) -> Exposure {
        let place = usize::from(line.instrument.spec().underlying.0);
        let mark = |instrument| self.ledger.mark(instrument);
        let open = i128::from(pool.exposure.open(&self.orders, way, mark).0);
        let open = open.saturating_add(self.options.book.open_exposure(place, way));
        let open = i64::try_from(open).unwrap_or(i64::MAX);
        Exposure(pool.judged(way).0.saturating_add(open.saturating_mul(way.sign())))
    }

    pub(super) fn block(
        &mut self,
        instrument: InstrumentId,
        reason: BlockReason,
        out: &mut Intents,
    ) {
        let place = BlockReason::ALL.iter().position(|r| *r == reason);
        if let Some(counter) = place.and_then(|place| self.counters.blocked.get_mut(place)) {
            *counter = counter.saturating_add(1);
        }
        out.record(Record::Blocked { at: self.now, instrument, reason });
    }
}
