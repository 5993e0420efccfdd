//! The band hedger at work: one immediate order an underlying, and what becomes of it.

use super::{Maker, instrument_id};
use crate::event::TimeInForce;
use crate::inventory::hedge::{self, Candidate, HedgeOrder};
use crate::maker::intents::Intents;
use crate::orders::order::{Order, Purpose};
use crate::orders::table::OrderSlot;
use crate::risk::state::{Reason, State};
use crate::units::Lots;

impl Maker {
    /// Sends a hedge if net delta is beyond the band and none is under way.
    pub(super) fn hedge(&mut self, pool: usize, out: &mut Intents) {
        if self.is_killed {
            return;
        }
        let Some(order) = self.hedge_order(pool) else { return };
        let slot = self.send_new(
            order.instrument,
            order.side,
            Purpose::Hedge,
            order.price,
            order.size,
            TimeInForce::ImmediateOrCancel,
            out,
        );
        if let Some(pool) = self.pools.get_mut(pool) {
            pool.hedge = slot;
        }
    }

    fn hedge_order(&self, place: usize) -> Option<HedgeOrder> {
        let pool = self.pools.get(place)?;
        let settings = pool.settings.hedge.as_ref()?;
        // One at a time: until the venue has said what became of the last one, exposure is unknown.
        if pool.hedge.is_some() {
            return None;
        }
        let excess = hedge::excess(pool.delta, settings.band);
        if excess.0 == 0 {
            return None;
        }
        let candidates = settings.instruments.iter().filter_map(|with| {
            let line = self.line(with.instrument)?;
            let spec = line.instrument.spec();
            if line.state == State::Halted || !self.is_session_up(spec.venue) {
                return None;
            }
            let per_order = line.settings.limits.order_size_max;
            Some(Candidate {
                instrument: with.instrument,
                contract: line.contract(),
                book: &line.book,
                touch: line.touch(self.now).ok()?,
                taker_fee: spec.taker_fee,
                collar: with.collar,
                order_size_max: if line.is_spot() {
                    Lots(per_order.0.min(self.ledger.position(with.instrument)?.0))
                } else {
                    per_order
                },
            })
        });
        hedge::cheapest(excess, candidates)
    }

    /// The venue has said what became of a hedge. One that traded nothing is a failure; too many in a
    /// row, and quoting stops: never an unhedged maker that goes on.
    pub(super) fn on_hedge_done(&mut self, order: &Order, slot: OrderSlot, out: &mut Intents) {
        let Some(place) = self.pool_of(order.instrument) else { return };
        let Some(pool) = self.pools.get_mut(place) else { return };
        if pool.hedge == Some(slot) {
            pool.hedge = None;
        }
        let failures_max = pool.settings.hedge.as_ref().map_or(0, |hedge| hedge.failures_max);
        if order.cum_qty.0 > 0 {
            pool.hedge_failures = 0;
            return;
        }
        pool.hedge_failures = pool.hedge_failures.saturating_add(1);
        if pool.hedge_failures < failures_max {
            return;
        }
        for n in 0..self.lines.len() {
            let id = instrument_id(n);
            let is_quoted = self.line(id).is_some_and(|line| line.settings.quote.is_some());
            if is_quoted && self.pool_of(id) == Some(place) {
                self.halt(id, Reason::HedgeFailed, out);
            }
        }
    }
}
