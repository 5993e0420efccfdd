//! Our own orders as they stand in each other's way, over every session to the same book.
//!
//! Fed by the order table; feeds the gate with the best price of our own on the other side, and does
//! what the instrument's self-trade prevention says where the gate has blocked an order for it. Maker
//! thread; walks no more than the rungs of the instrument and of those that share its book.

use super::{Line, Maker, Rung};
use crate::event::InstrumentId;
use crate::maker::intents::Intents;
use crate::orders::order::{Order, OrderState};
use crate::orders::table::{OrderSlot, OrderTable};
use crate::quote::ladder::LEVELS_MAX;
use crate::risk::gate::Proposal;
use crate::risk::self_trade::{Prevention, Remedy, meets, nearer};
use crate::units::{Lots, Side, Ticks};

/// The best price of our own on each side of one instrument, kept while no order of that side changes:
/// or every rung of a ladder would walk over all of the other side's.
#[derive(Clone, Copy, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub(super) struct KeptBest {
    /// How many answers of the venue had been heard then; 0 where nothing is kept.
    heard: [u64; 2],
    best: [Option<Ticks>; 2],
}

impl KeptBest {
    #[inline]
    fn get(&self, side: Side, answers: u64) -> Option<Option<Ticks>> {
        let heard = self.heard.get(side.index()).copied();
        let is_kept = answers > 0 && heard == Some(answers);
        is_kept.then(|| self.best.get(side.index()).copied().flatten())
    }

    fn set(&mut self, side: Side, answers: u64, best: Option<Ticks>) {
        let places = self.heard.get_mut(side.index()).zip(self.best.get_mut(side.index()));
        if let Some((heard, kept)) = places {
            (*heard, *kept) = (answers, best);
        }
    }

    /// A request for an order of the side goes out.
    #[inline]
    pub(super) fn forget(&mut self, side: Side) {
        if let Some(heard) = self.heard.get_mut(side.index()) {
            *heard = 0;
        }
    }
}

impl Line {
    /// The rungs of a side that ever had an order.
    pub(super) fn rungs(&self, side: Side) -> &[Rung] {
        let [buys, sells] = &self.rungs;
        let rungs = match side {
            Side::Buy => buys,
            Side::Sell => sells,
        };
        rungs.get(..self.levels_used).unwrap_or(rungs)
    }

    /// A rung as it stands; one that never had an order is empty.
    pub(super) fn rung(&self, side: Side, level: usize) -> Rung {
        self.rungs(side).get(level).copied().unwrap_or_default()
    }

    /// Is there a rung of this level, without an order?
    pub(super) fn is_free(&self, side: Side, level: u8) -> bool {
        let level = usize::from(level);
        level < LEVELS_MAX && self.rung(side, level).order.is_none()
    }

    /// A rung to put an order into or to take it from; `None` beyond the last level that there is.
    pub(super) fn rung_mut(&mut self, side: Side, level: usize) -> Option<&mut Rung> {
        self.levels_used = self.levels_used.max(level.saturating_add(1)).min(LEVELS_MAX);
        let [buys, sells] = &mut self.rungs;
        match side {
            Side::Buy => buys.get_mut(level),
            Side::Sell => sells.get_mut(level),
        }
    }
}

impl Maker {
    /// What [`Maker::own_best`] answers, kept for the next to ask.
    #[inline(always)]
    pub(super) fn kept_own_best(&mut self, id: InstrumentId, side: Side) -> Option<Ticks> {
        let line = self.line(id)?;
        // Hardly a book is traded over two sessions: then its own rungs are all that there is. And one
        // rung is looked at as fast as what is kept.
        if line.levels_used <= 1 && line.twins.is_empty() {
            let slot = line.rungs(side).first().and_then(|rung| rung.order);
            let best = slot.and_then(|slot| self.orders.get(slot)).map(Order::price_worst);
            debug_assert_eq!(best, self.own_best(line, side), "there are no others");
            return best;
        }
        self.keep_best(id, side)
    }

    #[inline(never)]
    fn keep_best(&mut self, id: InstrumentId, side: Side) -> Option<Ticks> {
        let answers = self.answers;
        let line = self.lines.get_mut(usize::from(id.0))?;
        if line.best.get(side, answers).is_none() {
            let best = walked_best(line, side, &self.orders);
            line.best.set(side, answers, best);
        }
        let line = self.line(id)?;
        if line.twins.is_empty() { self.best_rung(line, side) } else { self.own_best(line, side) }
    }

    /// The best price that an order of our own may trade at on a side of the instrument's book.
    pub(super) fn own_best(&self, line: &Line, side: Side) -> Option<Ticks> {
        let mut best = self.best_rung(line, side);
        // Over another session an immediate order may arrive after what is sent later over this one.
        for twin in line.twins.iter().filter_map(|twin| self.line(*twin)) {
            best = nearer(side, best, self.best_rung(twin, side));
            best = nearer(side, best, self.immediate(twin, side));
        }
        best
    }

    /// Is an order blocked for quotes of our own that give way to it? It goes when they have.
    pub(super) fn waits_for_own(&self, id: InstrumentId, side: Side, price: Ticks) -> bool {
        let Some(line) = self.line(id) else { return false };
        let own = self.own_best(line, side.opposite());
        line.settings.self_trade.prevention == Prevention::CancelResting
            && own.is_some_and(|own| meets(side, price, own))
    }

    fn best_rung(&self, line: &Line, side: Side) -> Option<Ticks> {
        let walked = || walked_best(line, side, &self.orders);
        let Some(kept) = line.best.get(side, self.answers) else { return walked() };
        debug_assert_eq!(kept, walked(), "no order of the side changed");
        kept
    }

    /// The immediate order that is under way in an instrument on a side.
    fn immediate(&self, line: &Line, side: Side) -> Option<Ticks> {
        let pool = self.pools.get(usize::from(line.instrument.spec().underlying.0))?;
        let order = self.orders.get(pool.hedge?)?;
        let is_here = order.instrument == line.instrument.id() && order.side == side;
        is_here.then(|| order.price_worst())
    }

    /// Self-trade prevention blocked the proposal: our quotes in its way give way as the instrument's
    /// mode says. A replace is refused in every mode but `cancel_resting`: what it would meet is not
    /// worth two orders.
    pub(super) fn clear_the_way(&mut self, proposal: &Proposal, is_new: bool, out: &mut Intents) {
        let Some(line) = self.line(proposal.instrument) else { return };
        let prevention = line.settings.self_trade.prevention;
        if prevention == Prevention::CancelNew || (prevention == Prevention::Decrement && !is_new) {
            return;
        }
        let twins = line.twins.len();
        let mut left = proposal.size;
        self.yield_rungs(proposal.instrument, proposal, prevention, &mut left, out);
        for n in 0..twins {
            let twin = self.line(proposal.instrument).and_then(|line| line.twins.get(n).copied());
            if let Some(twin) = twin {
                self.yield_rungs(twin, proposal, prevention, &mut left, out);
            }
        }
    }

    fn yield_rungs(
        &mut self,
        of: InstrumentId,
        proposal: &Proposal,
        prevention: Prevention,
        left: &mut Lots,
        out: &mut Intents,
    ) {
        let side = proposal.side.opposite();
        let levels = self.line(of).map_or(0, |line| line.levels_used);
        for level in 0..levels {
            let slot = self.line(of).and_then(|line| line.rung(side, level).order);
            let order = slot.and_then(|slot| self.orders.get(slot)).copied();
            let (Some(slot), Some(order)) = (slot, order) else { continue };
            let is_in_the_way = meets(proposal.side, proposal.price, order.price_worst());
            // What is under way already, or in doubt, is waited for.
            if !is_in_the_way || order.state != OrderState::Working {
                continue;
            }
            let gave = self.line(of).map_or(Lots(0), |line| line.rung(side, level).gave_way);
            let remedy = prevention.remedy(order.leaves(), gave, left);
            if self.give_way(slot, &order, remedy, out) {
                self.rest(of, side, level, remedy);
            }
        }
    }

    /// Says whether anything went to the venue.
    fn give_way(
        &mut self,
        slot: OrderSlot,
        order: &Order,
        remedy: Remedy,
        out: &mut Intents,
    ) -> bool {
        let reduced = match remedy {
            Remedy::Keep => return false,
            Remedy::Cancel => false,
            Remedy::Reduce(by) => {
                let size = Lots(order.size.0.saturating_sub(by.0));
                self.send_replace(slot, order.price, size, out)
            }
        };
        // What may not shrink is taken out.
        let cancelled = !reduced && self.send_cancel(slot, out);
        let counters = &mut self.counters;
        counters.self_trade_reductions =
            counters.self_trade_reductions.saturating_add(u64::from(reduced));
        counters.self_trade_cancels =
            counters.self_trade_cancels.saturating_add(u64::from(cancelled));
        reduced || cancelled
    }

    /// Or the quote that gave way would come back at once and push the other out in its turn.
    fn rest(&mut self, instrument: InstrumentId, side: Side, level: usize, remedy: Remedy) {
        let now = self.now;
        let Some(line) = self.line_mut(instrument) else { return };
        let holdoff_ns = line.settings.quote.as_ref().map_or(0, |quote| quote.reject_holdoff_ns);
        if let Some(rung) = line.rung_mut(side, level) {
            rung.rests_until = now.plus(holdoff_ns);
            if let Remedy::Reduce(by) = remedy {
                rung.gave_way = Lots(rung.gave_way.0.saturating_add(by.0));
            }
        }
    }
}

/// The best price at which an order on one of an instrument's rungs may trade.
fn walked_best(line: &Line, side: Side, orders: &OrderTable) -> Option<Ticks> {
    let mut best = None;
    for rung in line.rungs(side) {
        if let Some(order) = rung.order.and_then(|slot| orders.get(slot)) {
            best = nearer(side, best, Some(order.price_worst()));
        }
    }
    best
}
