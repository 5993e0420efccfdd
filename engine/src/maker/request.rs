//! The one way out: gate, order table, intent. Nothing else in the maker makes an intent.

use super::{Line, Maker, Pool};
use crate::coarse_step::CoarseStep;
use crate::event::{ClOrdId, InstrumentId, OrderAction, OrderIntent, TimeInForce};
use crate::instrument::ContractValue;
use crate::maker::intents::{Intents, Record};
use crate::market::book::Touch;
use crate::market::trust::Distrust;
use crate::orders::order::{Order, OrderState, Purpose};
use crate::orders::table::OrderSlot;
use crate::risk::claim::Claim;
use crate::risk::duplicate::Likeness;
use crate::risk::gate::{self, BlockReason, Facts, Proposal, Verdict};
use crate::risk::limits::ExposureLimits;
use crate::units::{Exposure, Lots, Side, Ticks, less, more};

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

/// The trusted mid rounded to a tick, or why there is none.
pub(super) type Reference = Result<Ticks, Distrust>;

/// What an order's price is compared with.
#[inline(always)]
pub(super) fn reference(touch: &Touch) -> Ticks {
    Ticks(touch.mid_half_ticks().div_euclid(2))
}

/// An underlying's exposure from its target if all that is open and moves it one way trades.
#[inline(always)]
fn exposure_worst(pool: &Pool, way: Side, open: i64) -> Exposure {
    let judged = pool.judged(way).0;
    Exposure(match way {
        Side::Buy => more(judged, open),
        Side::Sell => less(judged, open),
    })
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
        let reference = self.reference(instrument)?;
        let proposal = Proposal { instrument, side, price, size, added: size };
        let likeness = Likeness { side, price, size };
        let ask = (Claim::of(purpose), Some(likeness));
        let verdict = self.judge(&proposal, reference, ask, out);
        if verdict != Some(Verdict::Pass) {
            self.refuse(proposal, true, verdict, out);
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
            at: now,
            instrument,
            action: OrderAction::New,
            side,
            time_in_force,
        };
        self.emit(&intent, size, out);
        self.refresh_gross(instrument);
        Some(slot)
    }

    /// Moves a working order, if the gate lets it pass. Says whether it went.
    pub(super) fn send_replace(
        &mut self,
        slot: OrderSlot,
        price: Ticks,
        size: Lots,
        out: &mut Intents,
    ) -> bool {
        let instrument = self.orders.get(slot).map(|order| order.instrument);
        let Some(reference) = instrument.and_then(|of| self.reference(of)) else { return false };
        self.send_replace_by(slot, (price, size), &reference, out)
    }

    /// The same, where the reference of this step is known.
    #[inline(never)]
    pub(super) fn send_replace_by(
        &mut self,
        slot: OrderSlot,
        (price, size): (Ticks, Lots),
        reference: &Reference,
        out: &mut Intents,
    ) -> bool {
        let Some(order) = self.orders.get(slot) else { return false };
        let (leaves, added) = order.leaves_of(size);
        let (order, may_grow) = (Named::of(order), order.may_grow(size));
        let Named { instrument, side, .. } = order;
        debug_assert_eq!(self.reference(instrument), Some(*reference), "nothing came since");
        let proposal = Proposal { instrument, side, price, size, added };
        let verdict = self.judge(&proposal, *reference, (Claim::Quote, None), out);
        if verdict != Some(Verdict::Pass) {
            // Made anew: or it would be written to memory for every order that passes. What is in its way
            // gives way to what may trade of it.
            let proposal = Proposal { instrument, side, price, size: leaves, added };
            self.refuse(proposal, false, verdict, out);
            return false;
        }
        let Some(id) = self.orders.request_replace(self.now, slot, price, size) else {
            return false;
        };
        let intent = self.request(&order, id, OrderAction::Replace, price, size);
        self.emit(&intent, leaves, out);
        // A move asks for no more than works already: what is open stays what it was.
        if may_grow {
            self.refresh_gross(instrument);
        }
        debug_assert!(self.is_gross_fresh(instrument), "whatever may trade is counted");
        true
    }

    /// Takes an order out, or asks after one in doubt. Only the message rate can stop it, and cancels
    /// have a reserve there. Says whether it went.
    #[inline(never)]
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
        self.emit(&intent, Lots(0), out);
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

    #[inline(always)]
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

    /// The one place where an intent leaves, and `leaves` is what may trade of it. A cancel changes
    /// nothing of what may still trade; who asks for more or less counts it.
    #[inline(always)]
    fn emit(&mut self, intent: &OrderIntent, leaves: Lots, out: &mut Intents) {
        let [new, replace, cancel] = &mut self.counters.intents;
        let counter = match intent.action {
            OrderAction::New => new,
            OrderAction::Replace => replace,
            OrderAction::Cancel => cancel,
        };
        *counter = counter.saturating_add(1);
        if let Some(line) = self.lines.get_mut(usize::from(intent.instrument.0)) {
            line.best.forget(intent.side);
            line.tally.on_sent(intent, leaves);
            let venue = usize::from(line.instrument.spec().venue.0);
            if let Some(throttle) = self.throttles.get_mut(venue) {
                throttle.on_sent(self.now);
            }
            if let Some(ratio) = self.order_to_trade.get_mut(venue) {
                ratio.on_sent();
            }
            out.on_taken(venue);
        }
        self.changes = self.changes.wrapping_add(1);
        out.push(intent);
    }

    fn place_of_venue(&self, instrument: InstrumentId) -> Option<usize> {
        self.line(instrument).map(|line| usize::from(line.instrument.spec().venue.0))
    }

    /// What the orders of an instrument are compared with; `None` for what is not in the config.
    pub(super) fn reference(&self, instrument: InstrumentId) -> Option<Reference> {
        let line = self.line(instrument)?;
        Some(self.quoting_touch(line).map(|touch| reference(&touch)))
    }

    /// What counts messages, then what weighs the order. `None` where nothing new is traded, whatever it
    /// is, and for what is not in the config. A new order comes with its `likeness`.
    #[inline(always)]
    fn judge(
        &mut self,
        proposal: &Proposal,
        reference: Reference,
        (claim, likeness): (Claim, Option<Likeness>),
        out: &Intents,
    ) -> Option<Verdict> {
        if proposal.added.0 > 0 {
            self.value_deferred(proposal.instrument);
        }
        let own = self.kept_own_best(proposal.instrument, proposal.side.opposite());
        let line = self.line(proposal.instrument)?;
        let spec = line.instrument.spec();
        let venue = usize::from(spec.venue.0);
        let pool = self.pools.get(usize::from(spec.underlying.0))?;
        // What is booked may not be what is held: whatever asks, nothing new is traded.
        if self.is_killed || pool.unconfirmed > 0 || !out.has_room_for(venue) {
            return None;
        }
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
            Some(Verdict::Pass) | None => self.weigh(line, pool, proposal, reference, own),
        }
    }

    /// `own`: the best price of our own on the other side.
    #[inline(always)]
    fn weigh(
        &self,
        line: &Line,
        pool: &Pool,
        proposal: &Proposal,
        reference: Reference,
        own: Option<Ticks>,
    ) -> Option<Verdict> {
        let &Proposal { instrument, side, price, size, added } = proposal;
        let underlying = line.instrument.spec().underlying;
        let is_plain = self.options.book.is_empty()
            && self.rebalancer.holdings.is_empty()
            && !self.orders.has_open_inverse(underlying, side);
        let per_lot = match line.contract() {
            ContractValue::Linear { nano_underlying_per_lot, .. } if is_plain => {
                Exposure(nano_underlying_per_lot)
            }
            ContractValue::Linear { .. }
            | ContractValue::Inverse { .. }
            | ContractValue::Option { .. } => {
                return self.weigh_whole(instrument, side, price, size, added, reference, own);
            }
        };
        if !line.instrument.coarse_step().has(price) {
            return Some(Verdict::Block(BlockReason::OffStep));
        }
        let open = i64::try_from(self.orders.open_linear(underlying, side)).unwrap_or(i64::MAX);
        let exposure_limits = pool.limits();
        let exposures = (per_lot, exposure_worst(pool, side, open), &exposure_limits);
        let facts = self.facts(line, reference, exposures, own)?;
        let verdict = gate::check_narrow(proposal, &facts);
        if verdict.is_none() {
            return self.weigh_whole(instrument, side, price, size, added, reference, own);
        }
        debug_assert_eq!(
            verdict,
            self.weigh_whole(instrument, side, price, size, added, reference, own),
            "of what is plain, a part says all"
        );
        verdict
    }

    /// The same with everything that may be in a config: options, inverse contracts, cash that is kept by
    /// venue, and counts of any size. What it is given is taken apart: a whole would be written to memory
    /// for every order that has none of these.
    #[cold]
    #[inline(never)]
    #[expect(
        clippy::too_many_arguments,
        reason = "a proposal's fields and what it is compared with"
    )]
    fn weigh_whole(
        &self,
        instrument: InstrumentId,
        side: Side,
        price: Ticks,
        size: Lots,
        added: Lots,
        reference: Reference,
        own: Option<Ticks>,
    ) -> Option<Verdict> {
        let proposal = Proposal { instrument, side, price, size, added };
        let line = self.line(instrument)?;
        let place = usize::from(line.instrument.spec().underlying.0);
        let pool = self.pools.get(place)?;
        let Some(exposure_per_lot) = self.lot_exposure(line) else {
            return Some(Verdict::Block(BlockReason::Untrusted));
        };
        if !line.instrument.coarse_step().has(price) {
            return Some(Verdict::Block(BlockReason::OffStep));
        }
        if let Some(reason) = self.option_block(instrument, side, added) {
            return Some(Verdict::Block(reason));
        }
        if let Some(reason) = self.cash_block(line, &proposal) {
            return Some(Verdict::Block(reason));
        }
        // A bought put takes exposure off, as a sale does.
        let way = if exposure_per_lot.0 < 0 { side.opposite() } else { side };
        let mark = |instrument| self.ledger.mark(instrument);
        let open = i128::from(pool.exposure.open(&self.orders, way, mark).0);
        let open = open.saturating_add(self.options.book.open_exposure(place, way));
        let worst = exposure_worst(pool, way, i64::try_from(open).unwrap_or(i64::MAX));
        let limits = pool.limits();
        let facts = self.facts(line, reference, (exposure_per_lot, worst, &limits), own)?;
        Some(gate::check(&proposal, &facts))
    }

    /// What an order of the instrument is judged by; exposures of one lot, at worst, and their limits.
    #[inline(always)]
    fn facts<'a>(
        &'a self,
        line: &'a Line,
        reference: Reference,
        (exposure_per_lot, exposure_worst, exposure_limits): (
            Exposure,
            Exposure,
            &'a ExposureLimits,
        ),
        own_opposite: Option<Ticks>,
    ) -> Option<Facts<'a>> {
        let instrument = line.instrument.id();
        Some(Facts {
            limits: &line.settings.limits,
            reference,
            position: self.ledger.position(instrument)?,
            away: self.ledger.away(instrument)?,
            open: self.orders.open(instrument),
            is_spot: line.is_spot(),
            exposure_per_lot,
            exposure_worst,
            exposure_limits,
            own_opposite,
            gross: &self.gross,
        })
    }

    /// It does not go.
    #[cold]
    #[inline(never)]
    fn refuse(
        &mut self,
        proposal: Proposal,
        is_new: bool,
        verdict: Option<Verdict>,
        out: &mut Intents,
    ) {
        let Some(Verdict::Block(reason)) = verdict else { return };
        self.block(proposal.instrument, reason, out);
        if reason == BlockReason::SelfTrade {
            self.clear_the_way(&proposal, is_new, out);
        }
    }

    #[cold]
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
