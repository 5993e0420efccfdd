//! One instrument's quotes: may it quote, what does the model want, and what message gets there.

use super::guards::{Restraint, Stand};
use super::request::{self, Reference};
use super::wanted::{Basis, Standing};
use super::{Line, Maker, Pool, Rung};
use crate::estimate::markout::{Markouts, Widening};
use crate::event::{InstrumentId, TimeInForce};
use crate::fixed::Scaled;
use crate::inventory::exposure::exposure_per_lot;
use crate::maker::intents::Intents;
use crate::market::book::Touch;
use crate::orders::diff::{self, Request};
use crate::orders::order::Purpose;
use crate::pnl::valuation::HalfTicks;
use crate::quote::ladder::{Caps, Level, Terms};
use crate::quote::requote::Tolerance;
use crate::quote::{self, HalfSpreads};
use crate::risk::limits::InstrumentLimits;
use crate::risk::share::Share;
use crate::risk::state::{Reason, State};
use crate::units::{Lots, Side, SubTicks};

/// A side that the soft limit took out is quoted again when net delta has come back to this many
/// eighths of it; what the stop took out, when it is back at the soft limit.
pub(super) const RETURN_EIGHTHS: i64 = 6;

/// What an instrument may do now.
struct Stance {
    state: State,
    reason: Reason,
    /// Where the market is to be believed and something may be quoted.
    touch: Option<Touch>,
    stands: [Stand; 2],
}

impl Stance {
    /// Nothing is quoted.
    #[cold]
    fn out(state: State, reason: Reason) -> Stance {
        Stance { state, reason, touch: None, stands: [Stand::Out; 2] }
    }
}

impl Maker {
    /// Brings an instrument's state and quotes to where they should be now.
    pub(super) fn requote(&mut self, instrument: InstrumentId, out: &mut Intents) {
        let Some(line) = self.line(instrument) else { return };
        // By reference: a table model makes the settings a kilobyte and more.
        let Some(tolerance) = line.settings.quote.as_ref().map(|quote| quote.tolerance) else {
            return self.say_what_waits(instrument, out);
        };
        let underlying = usize::from(line.instrument.spec().underlying.0);
        let Some(pool) = self.pools.get(underlying) else { return };
        let is_stopping = line.state == State::Halted || self.is_killed;
        let is_up = self.is_session_up(line.instrument.spec().venue);
        // Half of a message is not a market: its end requotes.
        if line.is_mid_message(self.now) && is_up && !is_stopping {
            return;
        }
        let (is_beyond_soft, is_beyond_stop) = beyond(line, pool);
        let barred = self.barred_side(line, pool);
        let Stance { state, reason, touch, stands } =
            self.assess(line, pool, is_beyond_soft, is_beyond_stop);
        let touch = touch.filter(|_| state < State::Paused);
        let terms = touch.and_then(|touch| self.quote_terms(instrument, stands, &touch));
        let changes = self.changes;
        let Some(line) = self.line_mut(instrument) else { return };
        let shape = line.settings.quote.as_ref().map(|quote| &quote.ladder);
        line.wanted.set(terms.as_ref(), shape, &line.settings.limits);
        line.is_beyond_soft = is_beyond_soft;
        line.is_beyond_stop = is_beyond_stop;
        let is_settled = line.wanted.is_settled(changes);
        if (line.state, line.reason) != (state, reason) {
            self.enter(instrument, state, reason, out);
        }
        if !is_settled {
            self.work_ladder(instrument, barred, tolerance, touch.as_ref(), out);
        }
    }

    /// What only hedges has no quotes; its state says whether its opening waits to be confirmed, for which
    /// nothing of its underlying is traded.
    fn say_what_waits(&mut self, instrument: InstrumentId, out: &mut Intents) {
        let Some(line) = self.line(instrument) else { return };
        let said = (line.state, line.reason) == (State::Paused, Reason::OpeningUnconfirmed);
        match (line.is_unconfirmed, said) {
            (true, false) if line.state != State::Halted => {
                self.enter(instrument, State::Paused, Reason::OpeningUnconfirmed, out);
            }
            (false, true) => self.enter(instrument, State::Paused, Reason::Normal, out),
            (true, true | false) | (false, false) => {}
        }
    }

    /// Sends what brings the orders to the ladder, which stands around `touch`.
    fn work_ladder(
        &mut self,
        instrument: InstrumentId,
        barred: Option<Side>,
        tolerance: Tolerance,
        touch: Option<&Touch>,
        out: &mut Intents,
    ) {
        let known = touch.map(|touch| Ok(request::reference(touch)));
        let Some(reference) = known.or_else(|| self.reference(instrument)) else { return };
        let Some(line) = self.line(instrument) else { return };
        // The side that retreats goes first, so that our own orders do not stand in the way.
        let first = if self.bid_rises(line) { Side::Sell } else { Side::Buy };
        let used = line.levels_used;
        let levels = |line: &Line, side| used.max(line.wanted.levels(side));
        let (mut side, mut level, mut is_settled) = (first, 0, true);
        let mut end = levels(line, side);
        while let Some(line) = self.line(instrument) {
            if level == end {
                if side != first {
                    break;
                }
                (side, level, end) = (first.opposite(), 0, levels(line, first.opposite()));
                continue;
            }
            let (rung, wanted) = (line.rung(side, level), line.wanted.level(side, level));
            // No new quote while a hedge is on its way that it would make larger.
            let is_held = barred == Some(side) && rung.order.is_none() && wanted.is_some();
            let wanted = wanted.filter(|_| !is_held);
            let working = rung.order.and_then(|slot| self.orders.get(slot));
            let request = diff::request(working, side, wanted, tolerance);
            is_settled &= matches!(request, Request::None) && !is_held;
            self.ask((instrument, side, level), &rung, wanted, &request, &reference, out);
            level += 1;
        }
        let changes = self.changes;
        if let Some(line) = self.line_mut(instrument) {
            line.wanted.settle(is_settled, changes);
        }
    }

    /// Takes every quote of an instrument out.
    pub(super) fn pull_quotes(&mut self, instrument: InstrumentId, out: &mut Intents) {
        let Some(line) = self.line(instrument) else { return };
        let Some(quote) = &line.settings.quote else { return };
        let (tolerance, levels_used) = (quote.tolerance, line.levels_used);
        for side in Side::BOTH {
            for level in 0..levels_used {
                let slot = self.line(instrument).and_then(|line| line.rung(side, level).order);
                let working = slot.and_then(|slot| self.orders.get(slot));
                let request = diff::request(working, side, None, tolerance);
                if let (Request::Cancel, Some(slot)) = (request, slot) {
                    self.send_cancel(slot, out);
                }
            }
        }
    }

    /// What the instrument may do now, why, and the touch if the market is to be believed.
    fn assess(
        &self,
        line: &Line,
        pool: &Pool,
        is_beyond_soft: bool,
        is_beyond_stop: bool,
    ) -> Stance {
        if line.state == State::Halted || self.is_killed {
            return Stance::out(State::Halted, line.reason);
        }
        if line.is_flattening || pool.is_flattening {
            return Stance::out(State::Paused, line.homing.reason(Reason::Operator));
        }
        if !self.is_session_up(line.instrument.spec().venue) {
            return Stance::out(State::Paused, Reason::SessionDown);
        }
        if pool.unconfirmed > 0 {
            return Stance::out(State::Paused, Reason::OpeningUnconfirmed);
        }
        let touch = match self.quoting_touch(line) {
            Ok(touch) => touch,
            Err(distrust) => return Stance::out(State::Paused, Reason::Distrusted(distrust)),
        };
        if let Some(reason) = self.option_stop(line.instrument.id()) {
            return Stance::out(State::Paused, reason);
        }
        if let Some(reason) = self.loss.stopped() {
            return Stance::out(State::Paused, reason);
        }
        if pool.protection.is_cooling(self.now) {
            return Stance::out(State::Paused, Reason::Protection);
        }
        if is_beyond_stop {
            return Stance::out(State::Paused, Reason::Concentration);
        }
        if pool.share.as_ref().is_some_and(Share::is_beyond) {
            return Stance::out(State::Paused, Reason::ConcentrationShare);
        }
        if let Some(reason) = line.pause(self.now) {
            return Stance::out(State::Paused, line.homing.reason(reason));
        }
        let Restraint { mut state, mut reason, mut stands, .. } = line.restraint;
        if let Some((limit, stand)) = self.reducing(line, pool, is_beyond_soft) {
            (state, reason) = (State::Reducing, limit);
            // A put is bought to take exposure off.
            let adding = match pool.delta.0.signum() * self.exposure_sign(line) {
                1 => Some(Side::Buy),
                -1 => Some(Side::Sell),
                _ => None,
            };
            if let Some(place) = adding.and_then(|side| stands.get_mut(side.index())) {
                *place = (*place).max(stand);
            }
        }
        Stance { state, reason, touch: Some(touch), stands }
    }

    /// Why only the side that takes net delta off is quoted, and what becomes of the other.
    fn reducing(&self, line: &Line, pool: &Pool, is_beyond_soft: bool) -> Option<(Reason, Stand)> {
        if is_beyond_soft {
            return Some((Reason::SoftLimit, line.guards.soft_stand()));
        }
        let band = pool.band();
        let is_unhedged = band.is_some_and(|band| pool.at_risk().0.saturating_abs() > band.0);
        if is_unhedged && self.is_hedging_halted(pool) {
            // What should be hedged and cannot be is not added to.
            return Some((Reason::HedgeFailed, Stand::Out));
        }
        // Which sides may add, the caps say.
        self.collateral_breach().map(|_| (Reason::Collateral, Stand::Free))
    }

    /// What the ladder is made of: model, fair value, and what limits and holdings leave room for.
    fn quote_terms(
        &mut self,
        instrument: InstrumentId,
        stands: [Stand; 2],
        touch: &Touch,
    ) -> Option<Terms> {
        if self.options.book.get(instrument).is_some() {
            return self.option_terms(instrument, stands, touch);
        }
        let Standing { half, mut caps } = self.standing(instrument, touch)?;
        let line = self.line(instrument)?;
        let pool = self.pools.get(usize::from(line.instrument.spec().underlying.0))?;
        let settings = line.settings.quote.as_ref()?;
        caps = self.within_collateral(line, caps);
        let mut half = widened(half, &line.markouts, settings.markout.as_ref());
        if let Some(skew) = settings.holdings {
            half = skew.applied(half, self.ledger.position(instrument).unwrap_or_default());
        }
        half = self.credited(half, line, pool);
        let fair = self.fair(line, &settings.fair_value, touch);
        let mut joins = None;
        if !line.restraint.is_none() || stands != [Stand::Free; 2] {
            joins = line.restraint.shape(fair, touch, &mut half, &mut caps);
            line.guards.shape(stands, &mut half, &mut caps);
        } else if let Some(owed) = line.guards.obligation() {
            half = owed.within(half);
        }
        let others = quote::Touch { bid: Some(touch.bid.price), ask: Some(touch.ask.price) };
        Some(Terms { fair, half, others, caps, joins })
    }

    /// The model's half-spreads and the room of each side: kept while what they come from stands.
    fn standing(&mut self, instrument: InstrumentId, touch: &Touch) -> Option<Standing> {
        let (now, position) = (self.now, self.ledger.position(instrument).unwrap_or(Lots(0)));
        let line = self.line(instrument)?;
        let cash = self.cash_lots(line, touch.ask.price);
        let line = self.lines.get_mut(usize::from(instrument.0))?;
        let pool = self.pools.get(usize::from(line.instrument.spec().underlying.0))?;
        let settings = line.settings.quote.as_ref()?;
        let mark = HalfTicks(touch.mid_half_ticks());
        let per_lot = exposure_per_lot(line.contract(), Some(mark))?;
        let (delta, sigma) = (pool.delta, line.volatility.sigma());
        let member = line.member;
        let revision = self.portfolio.revision(member);
        let basis = Basis { delta, per_lot, position, sigma, revision, cash };
        if let Some(kept) = line.wanted.standing(&basis) {
            return Some(kept);
        }
        // A view of the firm's other engines is a control: all that is kept is forgotten then.
        let inventory = Lots(pool.answered().0.checked_div(per_lot.0).unwrap_or(0));
        let sigma = Scaled::new(i128::from(sigma.0), 32);
        let time_left = line.guards.time_left(now)?;
        let half = match member {
            Some(place) => self.portfolio.half_spreads(place, &self.pools, sigma)?,
            None => settings.quoter.half_spreads(inventory, sigma, time_left),
        };
        // Likewise what an operator says of a transfer.
        let away = self.ledger.away(instrument).unwrap_or_default();
        let standing = Standing { half, caps: caps(line, pool, &basis, away) };
        // The time left runs without any input: what depends on it is worked out each time.
        if !line.guards.counts_down() {
            line.wanted.keep(basis, standing);
        }
        Some(standing)
    }

    fn bid_rises(&self, line: &Line) -> bool {
        let working = line.rungs(Side::Buy).first().and_then(|rung| rung.order);
        let working = working.and_then(|slot| self.orders.get(slot));
        match (working, line.wanted.level(Side::Buy, 0)) {
            (Some(order), Some(wanted)) => wanted.price > order.price,
            (Some(_), None) | (None, Some(_)) | (None, None) => false,
        }
    }

    /// Sends what a rung needs.
    #[inline(always)]
    fn ask(
        &mut self,
        (instrument, side, level): (InstrumentId, Side, usize),
        rung: &Rung,
        wanted: Option<Level>,
        request: &Request,
        reference: &Reference,
        out: &mut Intents,
    ) {
        let is_resting = rung.rests_until > self.now;
        match (*request, rung.order) {
            (Request::None, _) => {}
            (Request::New(_), _) if is_resting => {}
            (Request::New(wanted), _) => self.quote(instrument, side, level, wanted, out),
            (Request::Replace { price, size, is_retreat }, Some(slot)) => {
                // What traded counts in OrderQty(38): an order that was topped up to the limit makes room
                // for a new one. What is wanted alone is within the limits.
                let limits = self.line(instrument).map(|line| &line.settings.limits);
                let is_beyond = |limits: &InstrumentLimits| !limits.allow_order(price, size);
                let is_topped_up = wanted.is_none_or(|wanted| wanted.size != size);
                debug_assert!(is_topped_up || !limits.is_some_and(is_beyond), "the ladder's");
                let is_used_up = is_topped_up && limits.is_some_and(is_beyond);
                let went = !is_resting
                    && !is_used_up
                    && self.send_replace_by(slot, (price, size), reference, out);
                // A quote that should retreat and may not be moved is taken out.
                if !went && (is_retreat || (is_used_up && !is_resting)) {
                    self.send_cancel(slot, out);
                }
            }
            (Request::Cancel, Some(slot)) => {
                self.send_cancel(slot, out);
            }
            (Request::Replace { .. } | Request::Cancel, None) => {}
        }
    }

    /// A new quote on a rung without one.
    #[inline(never)]
    fn quote(
        &mut self,
        instrument: InstrumentId,
        side: Side,
        level: usize,
        wanted: Level,
        out: &mut Intents,
    ) {
        let purpose = Purpose::Quote { level: u8::try_from(level).unwrap_or(u8::MAX) };
        let (price, size) = (wanted.price, wanted.size);
        let post_only = TimeInForce::PostOnly;
        let slot = self.send_new(instrument, side, purpose, price, size, post_only, out);
        if let Some(line) = self.line_mut(instrument)
            && let Some(rung) = line.rung_mut(side, level)
        {
            (rung.order, rung.gave_way) = (slot, Lots(0));
        }
    }
}

/// How much each side may hold: the position limit, with what is `away` and will arrive, the hard
/// exposure limit, and on spot what is there to sell and the cash to buy with.
fn caps(line: &Line, pool: &Pool, basis: &Basis, away: Lots) -> Caps {
    let (position, delta) = (basis.position.0, basis.delta.0);
    let position_max = line.settings.limits.position_max.0;
    let hard = pool.limits().hard().0;
    let room = |exposure: i64| exposure.checked_div(basis.per_lot.0).unwrap_or(0);
    let owned = position.saturating_add(away.0);
    let bid = position_max.saturating_sub(owned).min(room(hard.saturating_sub(delta)));
    let bid = bid.min(basis.cash.map_or(i64::MAX, |lots| lots.0));
    let ask = position_max.saturating_add(position).min(room(hard.saturating_add(delta)));
    let ask = if line.is_spot() { ask.min(position) } else { ask };
    Caps { bid: Lots(bid.max(0)), ask: Lots(ask.max(0)) }
}

/// Each side further out by what its own fills cost after them.
pub(super) fn widened(
    half: HalfSpreads,
    markouts: &Markouts,
    settings: Option<&Widening>,
) -> HalfSpreads {
    let Some(settings) = settings else { return half };
    let by = |side, half: SubTicks| half.saturating_add(markouts.widening(side, settings));
    HalfSpreads {
        bid: half.bid.map(|half| by(Side::Buy, half)),
        ask: half.ask.map(|half| by(Side::Sell, half)),
    }
}

/// Whether net delta counts as beyond the soft limit and beyond the stop. What went beyond comes back
/// only well inside, also over a pause for another reason.
fn beyond(line: &Line, pool: &Pool) -> (bool, bool) {
    let limits = pool.limits();
    let delta = pool.delta.0.saturating_abs();
    let back_within = limits.soft().0.saturating_mul(RETURN_EIGHTHS) / 8;
    let soft = if line.is_beyond_soft { back_within } else { limits.soft().0 };
    let stop = if line.is_beyond_stop { limits.soft().0 } else { limits.stop().0 };
    (delta > soft, delta > stop)
}
