//! An operator has positions traded home: how that begins, and how it ends.
//!
//! Fed by `control.rs` with the operator's words and by the hedger with what came of it; feeds the states. Maker
//! thread, cold. The orders are the hedger's (`hedging.rs`), and for one instrument `homing.rs`'s.

use super::control::Scope;
use super::homing::Homing;
use super::{Line, Maker, instrument_id};
use crate::inventory::exposure::exposure_per_lot;
use crate::maker::intents::Intents;
use crate::risk::state::{Reason, State};

impl Maker {
    /// Has what the scope covers traded home: by the hedger where it names an underlying that has one, else
    /// instrument by instrument.
    pub(super) fn flatten(&mut self, scope: Scope, out: &mut Intents) {
        for n in 0..self.lines.len() {
            let id = instrument_id(n);
            if !self.covers(scope, id) || self.refuses(id) {
                continue;
            }
            let place = self.pool_of(id);
            let Some(pool) = place.and_then(|place| self.pools.get_mut(place)) else { continue };
            pool.hedge_failures = 0;
            let is_by_hedger =
                !matches!(scope, Scope::Instrument(_)) && pool.settings.hedge.is_some();
            pool.is_flattening |= is_by_hedger;
            self.set_flattening(id, !is_by_hedger);
            if let Some(line) = self.line_mut(id) {
                line.homing = Homing::default();
            }
            self.enter(id, State::Paused, Reason::Operator, out);
            self.pull_quotes(id, out);
        }
        for pool in 0..self.pools.len() {
            self.hedge(pool, out);
        }
    }

    /// Of what the scope covers nothing is traded home any more. Where it is one instrument of an underlying
    /// that the hedger takes home, the rest goes on.
    pub(super) fn end_flattening(&mut self, scope: Scope) {
        for n in 0..self.lines.len() {
            let id = instrument_id(n);
            if !self.covers(scope, id) {
                continue;
            }
            let pool = self.pool_of(id);
            if let Some(pool) = pool.and_then(|pool| self.pools.get_mut(pool))
                && !matches!(scope, Scope::Instrument(_))
            {
                pool.is_flattening = false;
            }
            self.set_flattening(id, false);
        }
    }

    /// An operator has `scope` quoted again, and the hedger takes the underlying no further home. What of it
    /// the scope does not name stays out until it is named: it was to be traded home, not to be quoted. What
    /// only hedges is no quote: where the scope is that alone, the way home goes on with it.
    pub(super) fn leave_way_home(&mut self, place: usize, scope: Scope, out: &mut Intents) {
        let mut quoted = self.lines.iter().filter(|line| line.settings.quote.is_some());
        let of_it = |line: &Line| usize::from(line.instrument.spec().underlying.0) == place;
        if !quoted.any(|line| of_it(line) && self.covers(scope, line.instrument.id())) {
            return;
        }
        let Some(pool) = self.pools.get_mut(place) else { return };
        if !std::mem::take(&mut pool.is_flattening) {
            return;
        }
        for n in 0..self.lines.len() {
            let id = instrument_id(n);
            let is_quoted =
                self.line(id).is_some_and(|line| line.settings.quote.is_some() && of_it(line));
            if is_quoted && !self.covers(scope, id) {
                self.halt(id, Reason::Operator, out);
            }
        }
    }

    /// The hedger takes the underlying no further home: it is there, or hedges failed too often in a
    /// row. What is taken home by orders of its own goes on.
    pub(super) fn give_up_flattening(&mut self, pool: usize) {
        if let Some(pool) = self.pools.get_mut(pool) {
            pool.is_flattening = false;
        }
    }

    /// An underlying is home when what is left is less than the smallest lot that hedges it.
    pub(super) fn end_flat_pool(&mut self, place: usize, out: &mut Intents) {
        let Some(pool) = self.pools.get(place).filter(|pool| pool.is_flattening) else { return };
        let Some(hedge) = &pool.settings.hedge else { return };
        let mut lines = self
            .lines
            .iter()
            .filter(|line| usize::from(line.instrument.spec().underlying.0) == place);
        let is_quiet = lines.all(|line| {
            let open = self.orders.open(line.instrument.id());
            open.buy.0 == 0 && open.sell.0 == 0
        });
        let per_lot = hedge.instruments.iter().filter_map(|with| {
            let line = self.line(with.instrument)?;
            exposure_per_lot(line.contract(), self.ledger.mark(with.instrument))
        });
        let Some(smallest) = per_lot.map(|exposure| exposure.0.saturating_abs()).min() else {
            return;
        };
        let is_home = pool.is_delta_known && pool.delta.0.saturating_abs() < smallest;
        if is_quiet && pool.hedge.is_none() && is_home {
            self.give_up_flattening(place);
            if let Ok(place) = u8::try_from(place) {
                self.pause(Scope::Underlying(place), out);
            }
        }
    }
}
