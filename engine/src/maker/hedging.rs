//! The band hedger at work: one immediate order an underlying, and what becomes of it.

use super::{Line, Maker, Pool, instrument_id};
use crate::event::{InstrumentId, TimeInForce};
use crate::inventory::hedge::{self, Attempts, Candidate, HedgeOrder};
use crate::maker::config::HedgeInstrument;
use crate::maker::intents::Intents;
use crate::orders::order::{Order, Purpose};
use crate::orders::table::OrderSlot;
use crate::pnl::standing;
use crate::risk::self_trade::Prevention;
use crate::risk::state::{Reason, State};
use crate::units::{Exposure, Lots, Side, Ticks};

/// What counts for the immediate orders of an underlying without a hedger: failures and hold-off.
pub(super) const UNHEDGED: (u32, u64) = (20, 100_000_000);

impl Pool {
    /// Nothing is traded across, traded home or closed: what is beyond the band is all that can be sent.
    #[inline]
    fn has_hedges_alone(&self) -> bool {
        let is_taken_home = self.is_flattening || self.lines_flattening > 0 || self.has_exits;
        self.offset.is_none() && !is_taken_home
    }
}

impl Maker {
    /// Sends a hedge if net delta is beyond the band and none is under way.
    pub(super) fn hedge(&mut self, pool: usize, out: &mut Intents) {
        if self.is_killed {
            return;
        }
        let is_plain = self.pools.get(pool).is_some_and(Pool::has_hedges_alone);
        let is_taken = !is_plain
            && (self.work_offset(pool, out)
                || self.work_flattening(pool, out)
                || self.work_exits(pool, out));
        if is_taken {
            return;
        }
        let excess = self.hedge_excess(pool);
        if excess.0 == 0 {
            return;
        }
        let Some(order) = self.hedge_order(pool, excess) else {
            // Who has not failed cannot trade either: all are asked again, after the hold-off.
            let now = self.now;
            if let Some(pool) = self.pools.get_mut(pool)
                && pool.attempts.is_narrowed()
            {
                pool.attempts.next_round();
                let holdoff_ns = pool.settings.hedge.as_ref().map_or(0, |h| h.retry_holdoff_ns);
                pool.hedge_rests_until = now.plus(holdoff_ns);
            }
            return;
        };
        let slot = self.send_new(
            order.instrument,
            order.side,
            Purpose::Hedge,
            order.price,
            order.size,
            TimeInForce::ImmediateOrCancel,
            out,
        );
        if slot.is_none() && !self.waits_for_own(order.instrument, order.side, order.price) {
            self.on_hedge_blocked(pool, order.instrument);
        }
        if let Some(pool) = self.pools.get_mut(pool) {
            pool.hedge = slot;
            pool.is_homing = false;
        }
    }

    fn hedge_order(&mut self, place: usize, excess: Exposure) -> Option<HedgeOrder> {
        if excess.0 == 0 {
            return None;
        }
        // Flat is flat by contracts, whatever moves how far.
        if self.pools.get(place).is_some_and(|pool| pool.mixes.is_some() && !pool.is_flattening) {
            return self.mixed_order(place, excess);
        }
        let settings = self.pools.get(place)?.settings.hedge.as_ref()?;
        let side = if excess.0 > 0 { Side::Sell } else { Side::Buy };
        let attempts = self.pools.get(place)?.attempts;
        let places = (0u32..).zip(&settings.instruments);
        let fresh = places.filter(|(place, _)| !attempts.has_failed(*place));
        let candidates = fresh.filter_map(|(_, with)| {
            let collar = Ticks(with.collar.0.saturating_mul(attempts.widening()));
            self.hedge_candidate(&HedgeInstrument { collar, ..*with }, side)
        });
        hedge::cheapest(excess, candidates)
    }

    /// The side on which a new quote would worsen what a hedge on its way is for.
    pub(super) fn barred_side(&self, line: &Line, pool: &Pool) -> Option<Side> {
        let hedge = self.orders.get(pool.hedge?)?;
        // Half of an offset is made good by the other half.
        if hedge.purpose != Purpose::Hedge {
            return None;
        }
        // A put is sold to add what a hedge sells; an option without a delta adds nothing.
        match self.exposure_sign(line) {
            0 => None,
            1.. => Some(hedge.side.opposite()),
            _ => Some(hedge.side),
        }
    }

    /// What a hedge instrument can do now. What an exit, the hour or an operator takes off it is not put
    /// back by a hedge: they would trade against each other until a limit stops them.
    pub(super) fn hedge_candidate(
        &self,
        with: &HedgeInstrument,
        side: Side,
    ) -> Option<Candidate<'_>> {
        let line = self.line(with.instrument)?;
        let is_free = line.state != State::Halted && !line.is_flattening && !line.guards.bars(side);
        is_free.then(|| self.candidate(with, side)).flatten()
    }

    /// What one instrument can do now within the gate's limits: a hedge that the gate would block is
    /// no hedge.
    pub(super) fn candidate(&self, with: &HedgeInstrument, side: Side) -> Option<Candidate<'_>> {
        let id = with.instrument;
        let line = self.line(id)?;
        let spec = line.instrument.spec();
        if !self.is_session_up(spec.venue) || line.is_mid_message(self.now) {
            return None;
        }
        let touch = line.touch(self.now).ok()?;
        let limits = &line.settings.limits;
        // Where our quotes give way, the hedge need not keep away from them.
        let keeps_away = line.settings.self_trade.prevention == Prevention::CancelNew;
        let own = keeps_away.then(|| self.own_best(line, side.opposite())).flatten();
        let mid = touch.mid_half_ticks().div_euclid(2);
        let width = limits.collar.width.0;
        // How far beyond the touch the price may go: not into a quote of our own, nor out of the
        // gate's collar.
        let (best, reach) = match side {
            Side::Buy => {
                let best = touch.ask.price.0;
                let own = own.map_or(i64::MAX, |own| own.0.saturating_sub(1));
                (best, own.min(mid.saturating_add(width)).saturating_sub(best))
            }
            Side::Sell => {
                let best = touch.bid.price.0;
                let own = own.map_or(i64::MIN, |own| own.0.saturating_add(1));
                (best, best.saturating_sub(own.max(mid.saturating_sub(width))))
            }
        };
        if reach < 0 {
            return None;
        }
        let collar = Ticks(with.collar.0.min(reach));
        let dearest = Ticks(best.saturating_add(collar.0.saturating_mul(side.sign())));
        let size_max = self.room(line, side)?.0.min(limits.order_size_max.0);
        let size_max = size_max.min(limits.order_value_max.size_max(dearest).0);
        let contract = line.contract();
        Some(Candidate {
            instrument: id,
            contract,
            book: &line.book,
            touch,
            taker_fee: self.ledger.taker_fee(id).unwrap_or(spec.taker_fee),
            carry_ppb: self.carry_ppb(line, side),
            collar,
            order_size_max: Lots(size_max),
        })
    }

    /// What holding a hedge costs for as long as hedges are held.
    fn carry_ppb(&self, line: &Line, side: Side) -> i64 {
        let pool = self.pools.get(usize::from(line.instrument.spec().underlying.0));
        let hedge = pool.and_then(|pool| pool.settings.hedge.as_ref());
        let held_ns = hedge.map_or(0, |hedge| hedge.holding_ns);
        standing::carry_ppb(&line.settings.standing, side, held_ns)
    }

    /// What the position limit, and on spot the holdings, leave for one side beyond what is open.
    fn room(&self, line: &Line, side: Side) -> Option<Lots> {
        let id = line.instrument.id();
        let position = self.ledger.position(id)?.0;
        let open = self.orders.open(id).on(side).0;
        // What arrives makes a long larger; a short may not count on it.
        let held = match side {
            Side::Buy => self.ledger.owned(id)?.0,
            Side::Sell => position.saturating_neg(),
        };
        let room = line.settings.limits.position_max.0.saturating_sub(held);
        let is_sale = line.is_spot() && side == Side::Sell;
        let room = if is_sale { room.min(position) } else { room };
        Some(Lots(room.saturating_sub(open)))
    }

    /// Nothing that could hedge this underlying may be traded: it is halted, or is to be flat itself.
    pub(super) fn is_hedging_halted(&self, pool: &Pool) -> bool {
        pool.settings.hedge.as_ref().is_some_and(|hedge| {
            let mut lines = hedge.instruments.iter().filter_map(|with| self.line(with.instrument));
            lines.all(|line| line.state == State::Halted || line.guards.is_to_be_flat())
        })
    }

    /// The venue has said what became of a hedge. One that traded nothing is a failure; too many in a
    /// row, and quoting stops: never an unhedged maker that goes on.
    pub(super) fn on_hedge_done(&mut self, order: &Order, slot: OrderSlot, out: &mut Intents) {
        let Some(place) = self.pool_of(order.instrument) else { return };
        let Some(pool) = self.pools.get_mut(place) else { return };
        let is_home = pool.takes_home(order, slot);
        if pool.hedge == Some(slot) {
            pool.hedge = None;
        }
        if is_home {
            self.on_home_done(place, order);
            return;
        }
        self.pay_carried(place, order);
        let Some(pool) = self.pools.get_mut(place) else { return };
        if order.cum_qty.0 > 0 {
            pool.hedge_failures = 0;
            pool.attempts = Attempts::default();
            return;
        }
        self.on_hedge_failed(place, order.instrument, out);
    }

    /// The gate blocked what it alone can judge: budgets, gross, what was sent before. The same order
    /// would be blocked at every event and no other instrument asked: the next one is, and after the last
    /// all rest. It is no failure of the market's: neither the collar widens nor does it halt; beyond the
    /// soft limit quotes only reduce in any case.
    fn on_hedge_blocked(&mut self, place: usize, instrument: InstrumentId) {
        let now = self.now;
        let Some(pool) = self.pools.get_mut(place) else { return };
        let Some(settings) = pool.settings.hedge.as_ref() else { return };
        let with = &settings.instruments;
        let tried = (0u32..).zip(with).find(|(_, with)| with.instrument == instrument);
        if !pool.attempts.block(tried.map(|(place, _)| place), with.len()) {
            pool.hedge_rests_until = now.plus(settings.retry_holdoff_ns);
        }
    }

    /// A hedge in this instrument traded nothing.
    fn on_hedge_failed(&mut self, place: usize, instrument: InstrumentId, out: &mut Intents) {
        let now = self.now;
        let Some(pool) = self.pools.get_mut(place) else { return };
        let settings = pool.settings.hedge.as_ref();
        let (failures_max, holdoff_ns) =
            settings.map_or(UNHEDGED, |hedge| (hedge.failures_max, hedge.retry_holdoff_ns));
        pool.hedge_failures = pool.hedge_failures.saturating_add(1);
        let with = settings.map_or(&[][..], |hedge| &hedge.instruments);
        let tried = (0u32..).zip(with).find(|(_, with)| with.instrument == instrument);
        let has_more = pool.attempts.fail(tried.map(|(place, _)| place), with.len());
        // Another instrument is tried at once. What did not trade now does not trade at once: the same
        // order would go round and round, and be counted as failed before the market has moved.
        if !has_more {
            pool.hedge_rests_until = now.plus(holdoff_ns);
        }
        if pool.hedge_failures < failures_max {
            return;
        }
        self.give_up_flattening(place);
        for n in 0..self.lines.len() {
            let id = instrument_id(n);
            let is_quoted = self.line(id).is_some_and(|line| line.settings.quote.is_some());
            if is_quoted && self.pool_of(id) == Some(place) {
                self.halt(id, Reason::HedgeFailed, out);
            }
        }
    }
}
