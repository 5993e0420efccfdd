//! One instrument's position is traded home: by an exit, by the hour, or by an operator's flatten.
//!
//! Fed by the guards (what is to be closed at once), the operator and the venue's answers; feeds the gate
//! with immediate orders. Maker thread. They go before the hedger's, and an underlying has one immediate
//! order under way, whosever it is. Who trades nothing rests, longer each time up to eight hold-offs, and
//! is never given up: a position that is to go is not kept because the book was empty for a while.
//! Absent: the hedger's failures, which are counted apart, and a way around any limit.

use super::hedging::UNHEDGED;
use super::{Maker, Pool};
use crate::event::{InstrumentId, TimeInForce};
use crate::maker::config::HedgeInstrument;
use crate::maker::intents::Intents;
use crate::orders::order::{Order, Purpose};
use crate::orders::table::OrderSlot;
use crate::risk::state::{Reason, State};
use crate::units::{Lots, Nanos, Side, Ticks};

/// How many levels of the book one order that takes a position home may reach over.
const VISIBLE_LEVELS: usize = 16;

/// The hold-off is doubled at most so often.
const DOUBLINGS_MAX: u32 = 3;

/// How the orders that take one instrument home have fared.
#[derive(Clone, Copy, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub(super) struct Homing {
    /// So many in a row traded nothing.
    failures: u32,
    /// As many as an operator must hear of.
    is_failing: bool,
    /// The next one goes no earlier.
    rests_until: Nanos,
}

impl Homing {
    /// Another one traded nothing.
    fn fail(&mut self, now: Nanos, failures_max: u32, holdoff_ns: u64) {
        let doublings = self.failures.min(DOUBLINGS_MAX);
        self.rests_until = now.plus(holdoff_ns.saturating_mul(1 << doublings));
        self.failures = self.failures.saturating_add(1);
        self.is_failing |= self.failures >= failures_max;
    }

    /// Why nothing is quoted meanwhile.
    pub(super) fn reason(&self, otherwise: Reason) -> Reason {
        if self.is_failing { Reason::HedgeFailed } else { otherwise }
    }
}

impl Pool {
    /// Was the immediate order to take an instrument home? Of an earlier run's nothing is known but
    /// what can hedge.
    pub(super) fn takes_home(&self, order: &Order, slot: OrderSlot) -> bool {
        let with = self.settings.hedge.as_ref().map_or(&[][..], |hedge| &hedge.instruments);
        let can_hedge = with.iter().any(|with| with.instrument == order.instrument);
        !can_hedge || (self.is_homing && self.hedge == Some(slot))
    }
}

impl Maker {
    /// Halts what has come home, and sends the next order of what has not. Says whether the
    /// underlying's one immediate order is spoken for.
    pub(super) fn work_flattening(&mut self, pool: usize, out: &mut Intents) -> bool {
        // No walk where nothing is taken home: this comes with every whole message.
        let members = self.members_where(pool, |pool| pool.lines_flattening > 0);
        for n in 0..members {
            let Some(id) = self.member(pool, n) else { continue };
            if !self.line(id).is_some_and(|line| line.is_flattening) {
                continue;
            }
            let position = self.ledger.position(id).unwrap_or(Lots(0));
            let open = self.orders.open(id);
            let is_quiet = open.buy.0 == 0 && open.sell.0 == 0;
            if is_quiet && position.0 == 0 {
                self.set_flattening(id, false);
                self.halt(id, Reason::Operator, out);
            } else if is_quiet {
                self.send_home(pool, id, position, out);
            }
        }
        self.end_flat_pool(pool, out);
        self.pools.get(pool).is_some_and(|pool| pool.hedge.is_some())
    }

    /// An operator has an instrument's position traded home, or that is over.
    pub(super) fn set_flattening(&mut self, id: InstrumentId, is_flattening: bool) {
        let Some(line) = self.line_mut(id) else { return };
        let was_flattening = std::mem::replace(&mut line.is_flattening, is_flattening);
        let pool = usize::from(line.instrument.spec().underlying.0);
        if let Some(pool) = self.pools.get_mut(pool) {
            let lines = pool.lines_flattening + u32::from(is_flattening);
            pool.lines_flattening = lines.saturating_sub(u32::from(was_flattening));
        }
    }

    /// How many instruments of an underlying are to be walked over: all, or where it is not so, none.
    fn members_where(&self, pool: usize, is_so: impl Fn(&Pool) -> bool) -> usize {
        self.pools.get(pool).filter(|pool| is_so(pool)).map_or(0, |pool| pool.members.len())
    }

    /// An underlying's instrument, by its place among them.
    pub(super) fn member(&self, pool: usize, n: usize) -> Option<InstrumentId> {
        self.pools.get(pool).and_then(|pool| pool.members.get(n).copied())
    }

    /// Sends the next immediate order of what is to be closed at once. Says whether the underlying's
    /// one immediate order is spoken for.
    pub(super) fn work_exits(&mut self, place: usize, out: &mut Intents) -> bool {
        let members = self.members_where(place, |pool| pool.has_exits);
        if members == 0 {
            return false;
        }
        for n in 0..members {
            let Some(id) = self.member(place, n) else { continue };
            let surplus = self.line(id).map_or(Lots(0), |line| line.guards.surplus());
            if surplus.0 == 0 {
                continue;
            }
            let open = self.orders.open(id);
            if open.buy.0 == 0 && open.sell.0 == 0 {
                self.send_home(place, id, surplus, out);
            }
        }
        self.pools.get(place).is_some_and(|pool| pool.hedge.is_some())
    }

    /// One immediate order that takes an instrument's position toward nothing, if none is under way and
    /// the last one did not fail just now.
    fn send_home(&mut self, place: usize, id: InstrumentId, position: Lots, out: &mut Intents) {
        let side = if position.0 > 0 { Side::Sell } else { Side::Buy };
        let Some(line) = self.line(id) else { return };
        // Where hedges failed, closing what is held goes on; else an operator must look first.
        let is_off = line.state == State::Halted && line.reason != Reason::HedgeFailed;
        let Some(pool) = self.pools.get(place) else { return };
        let is_free = pool.hedge.is_none() && pool.unconfirmed == 0;
        if is_off || !is_free || line.homing.rests_until > self.now {
            return;
        }
        let with = HedgeInstrument { instrument: id, collar: line.settings.limits.collar.width };
        let Some(candidate) = self.candidate(&with, side) else { return };
        let (taken, touch) = match side {
            Side::Buy => (Side::Sell, candidate.touch.ask.price),
            Side::Sell => (Side::Buy, candidate.touch.bid.price),
        };
        let price = Ticks(touch.0.saturating_add(candidate.collar.0.saturating_mul(side.sign())));
        let visible = candidate.book.size_within(taken, price, VISIBLE_LEVELS);
        let size = position.0.saturating_abs().min(visible.0).min(candidate.order_size_max.0);
        if size <= 0 {
            return;
        }
        let immediate = TimeInForce::ImmediateOrCancel;
        let slot = self.send_new(id, side, Purpose::Hedge, price, Lots(size), immediate, out);
        if slot.is_none() && !self.waits_for_own(id, side, price) {
            self.rest_home(place, id);
        }
        if let Some(pool) = self.pools.get_mut(place) {
            pool.hedge = slot;
            pool.is_homing = true;
        }
    }

    /// The venue has said what became of an order that takes an instrument home.
    pub(super) fn on_home_done(&mut self, place: usize, order: &Order) {
        if order.cum_qty.0 == 0 {
            self.rest_home(place, order.instrument);
        } else if let Some(line) = self.line_mut(order.instrument) {
            line.homing = Homing::default();
        }
    }

    /// It traded nothing, or the gate blocked it: the same order would go round and round.
    fn rest_home(&mut self, place: usize, id: InstrumentId) {
        let now = self.now;
        let hedge = self.pools.get(place).and_then(|pool| pool.settings.hedge.as_ref());
        let (failures_max, holdoff_ns) =
            hedge.map_or(UNHEDGED, |hedge| (hedge.failures_max, hedge.retry_holdoff_ns));
        if let Some(line) = self.line_mut(id) {
            line.homing.fail(now, failures_max, holdoff_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_traded_nothing_rests_twice_as_long_up_to_eight_hold_offs() {
        let mut homing = Homing::default();
        let rests: Vec<_> = (0..6)
            .map(|n| {
                homing.fail(Nanos(1_000), 5, 10);
                assert_eq!(homing.reason(Reason::Hours) == Reason::HedgeFailed, n >= 4, "{n}");
                homing.rests_until.0 - 1_000
            })
            .collect();
        assert_eq!(rests, [10, 20, 40, 80, 80, 80]);
    }
}
