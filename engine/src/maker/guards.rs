//! What restrains one instrument's quotes beyond the limits: breakout, exits, obligations, hours, age,
//! share of the portfolio, fee tiers.
//!
//! Fed by fills, believed mids and the timer; feeds quoting with a [`Restraint`], `homing.rs` with what
//! is to be closed at once, and the ledger with fees. Maker thread. The
//! concepts have files of their own; here they are put in order of weight. What a message costs is a
//! comparison: the restraint is worked out on the timer, on a fill and when a breakout begins or ends.

use super::config::MakerConfig;
use super::homing::Homing;
use super::{Line, Maker, instrument_id};
use crate::event::InstrumentId;
use crate::fixed::Scaled;
use crate::instrument::Instrument;
use crate::inventory::basis::Basis;
use crate::inventory::exit::{Exit, ExitPlan, ExitProgress, ExitSettings};
use crate::inventory::exposure::exposure_per_lot;
use crate::maker::intents::{Intents, Record};
use crate::maker::resumption::GuardedPosition;
use crate::market::book::Touch;
use crate::orders::order::OrderState;
use crate::pnl::fee_tiers::{FeeSchedule, FeeTiers};
use crate::pnl::valuation::{HalfTicks, position_value};
use crate::quote::ladder::Caps;
use crate::quote::obligation::{Obligation, ObligationSettings, Uptime};
use crate::quote::{HalfSpreads, Horizons, Session};
use crate::risk::breakout::{Breakout, BreakoutSettings, Danger};
use crate::risk::hours::{Hours, Phase};
use crate::risk::position_age::AgeLimit;
use crate::risk::share::{Share, ShareSettings};
use crate::risk::state::{Reason, State};
use crate::units::{Lots, Nanos, Notional, Side, SubTicks, Ticks};
use std::ops::Range;
use std::sync::Arc;

/// What the config says of one instrument; all of it may be absent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GuardSettings {
    /// Pulls the side that a large move threatens.
    pub breakout: Option<BreakoutSettings>,
    /// Takes profit in steps, stops a loss.
    pub exit: ExitSettings,
    /// Longest time to hold a position.
    pub age: Option<AgeLimit>,
    /// What is owed to the venue.
    pub obligation: Option<ObligationSettings>,
    /// What holds from when on.
    pub hours: Option<Arc<[(Nanos, Phase)]>>,
    /// When the horizon of a model that counts down ends; no other model has any.
    pub sessions: Option<Arc<[Session]>>,
    /// Fees by volume; the instrument's own where left out.
    pub fees: Option<FeeSchedule>,
}

/// What the config says of all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Guards {
    /// By instrument.
    pub instruments: Vec<GuardSettings>,
    /// By underlying.
    pub shares: Vec<Option<ShareSettings>>,
}

impl Guards {
    /// An instrument's.
    pub(super) fn of(&self, instrument: InstrumentId) -> GuardSettings {
        self.instruments.get(usize::from(instrument.0)).cloned().unwrap_or_default()
    }

    pub(super) fn share_of(&self, underlying: u8) -> Option<Share> {
        self.shares.get(usize::from(underlying)).copied().flatten().map(Share::new)
    }

    /// Can a position of the underlying be closed by a plan or by the hour?
    pub(super) fn have_exits(&self, instruments: &[Instrument], underlying: u8) -> bool {
        let pairs = instruments.iter().zip(&self.instruments);
        let mut of_it = pairs.filter(|(i, _)| i.spec().underlying.0 == underlying);
        of_it.any(|(_, guards)| guards.exit != ExitSettings::default() || guards.hours.is_some())
    }
}

/// What becomes of a side.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub(super) enum Stand {
    /// Quoted as the model says.
    #[default]
    Free,
    /// As far out, and as small, as the obligation lets it be.
    Wide,
    /// Not quoted.
    Out,
}

/// What the guards say of an instrument now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub(super) struct Restraint {
    pub state: State,
    pub reason: Reason,
    pub stands: [Stand; 2],
    /// Half-spreads are so many thousandths of the model's.
    wide_permille: u32,
    /// So much is offered at the touch of this side.
    joins: Option<(Side, Lots)>,
}

impl Default for Restraint {
    fn default() -> Restraint {
        Restraint {
            state: State::Quoting,
            reason: Reason::Normal,
            stands: [Stand::Free; 2],
            wide_permille: 1000,
            joins: None,
        }
    }
}

impl Restraint {
    /// Nothing restrains: it is the default.
    #[inline]
    pub(super) fn is_none(&self) -> bool {
        let Restraint { state, reason, stands, wide_permille, joins } = self;
        matches!((state, reason), (State::Quoting, Reason::Normal))
            && *stands == [Stand::Free; 2]
            && *wide_permille == 1000
            && joins.is_none()
    }

    /// Stronger of two; the earlier where they are alike.
    fn add(&mut self, state: State, reason: Reason, stands: [Stand; 2]) {
        if state > self.state || (self.reason == Reason::Normal && state == self.state) {
            self.state = state;
            self.reason = reason;
        }
        for (mine, other) in self.stands.iter_mut().zip(stands) {
            *mine = (*mine).max(other);
        }
    }

    /// The hour's width, and what is being closed passively, on the way to the ladder. Says which side joins
    /// the touch: a profit that is to be taken is taken also where quotes would not earn their fee.
    pub(super) fn shape(
        &self,
        fair: SubTicks,
        touch: &Touch,
        half: &mut HalfSpreads,
        caps: &mut Caps,
    ) -> Option<Side> {
        if self.wide_permille != 1000 {
            *half = half.widened(self.wide_permille);
        }
        match self.joins {
            Some((Side::Buy, size)) => {
                let half_bid = fair.saturating_sub(SubTicks::from_ticks(touch.bid.price));
                // The other side is out: it has no say in where this one stands.
                *half = HalfSpreads { bid: Some(half_bid), ask: None };
                caps.bid = caps.bid.min(size);
            }
            Some((Side::Sell, size)) => {
                let half_ask = SubTicks::from_ticks(touch.ask.price).saturating_sub(fair);
                *half = HalfSpreads { bid: None, ask: Some(half_ask) };
                caps.ask = caps.ask.min(size);
            }
            None => {}
        }
        self.joins.map(|(side, _)| side)
    }
}

/// The guards of one instrument.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub(super) struct LineGuards {
    breakout: Option<Breakout>,
    /// The position beyond `opening`.
    basis: Basis,
    /// Working capital: what the config began with, and what was transferred since.
    opening: Lots,
    plan: ExitPlan,
    age: Option<AgeLimit>,
    obligation: Option<Obligation>,
    hours: Hours,
    horizons: Option<Horizons>,
    fees: Option<FeeTiers>,
    /// Something of it is looked at on the timer.
    is_watched: bool,
}

impl LineGuards {
    /// An instrument's, with what the run before traded where there are fee tiers.
    pub(super) fn of(config: &MakerConfig, id: InstrumentId, opening: Lots) -> LineGuards {
        let mut guards = LineGuards::new(config.guards.of(id), opening);
        let left = config.carried.fees.get(usize::from(id.0)).copied().flatten();
        if let (Some(fees), Some(left)) = (&mut guards.fees, left) {
            *fees = fees.going_on(left.days, config.portfolio.loss.days_ended(left.at));
        }
        guards
    }

    fn new(settings: GuardSettings, opening: Lots) -> LineGuards {
        let is_watched =
            GuardSettings { fees: None, ..settings.clone() } != GuardSettings::default();
        LineGuards {
            breakout: settings.breakout.map(Breakout::new),
            basis: Basis::default(),
            opening,
            plan: ExitPlan::new(settings.exit),
            age: settings.age,
            obligation: settings.obligation.map(Obligation::new),
            hours: settings.hours.map(Hours::new).unwrap_or_default(),
            horizons: settings.sessions.map(Horizons::new),
            fees: settings.fees.map(FeeTiers::new),
            is_watched,
        }
    }

    /// What the next run must know of it. A run that ended in order was ended by a person: a stop is
    /// none any more, unless the loss still says so.
    pub(super) fn resumption(&self, crashed: bool) -> GuardedPosition {
        let progress = self.plan.progress();
        let exit = ExitProgress { is_stopped: progress.is_stopped && crashed, ..progress };
        GuardedPosition { opening: self.opening, basis: self.basis, exit }
    }

    /// Goes on from where an earlier run's stood.
    fn go_on(&mut self, from: &GuardedPosition) {
        self.opening = from.opening;
        self.basis = from.basis;
        self.plan.go_on(from.exit);
    }

    /// Does what is quoted depend on the time left?
    pub(super) fn counts_down(&self) -> bool {
        self.horizons.is_some()
    }

    /// Seconds left to the end of the horizon, 0 where no model asks; `None` outside of every horizon,
    /// where there are no quotes.
    pub(super) fn time_left(&self, now: Nanos) -> Option<Scaled> {
        self.horizons.as_ref().map_or(Some(Scaled::ZERO), |horizons| horizons.left(now))
    }

    /// Where it stands in its fee tiers.
    pub(super) fn fees(&self) -> Option<&FeeTiers> {
        self.fees.as_ref()
    }

    /// What is owed to the venue.
    pub(super) fn obligation(&self) -> Option<&ObligationSettings> {
        self.obligation.as_ref().map(Obligation::settings)
    }

    /// What becomes of a side that the soft limit takes out: an obligation is widened first.
    pub(super) fn soft_stand(&self) -> Stand {
        if self.obligation.is_some() { Stand::Wide } else { Stand::Out }
    }

    pub(super) fn on_gap(&mut self) {
        if let Some(breakout) = &mut self.breakout {
            breakout.on_gap();
        }
    }

    /// The sides as they stand, on the way to the ladder.
    pub(super) fn shape(&self, stands: [Stand; 2], half: &mut HalfSpreads, caps: &mut Caps) {
        if let Some(owed) = self.obligation() {
            *half = owed.within(*half);
        }
        for (side, stand) in Side::BOTH.into_iter().zip(stands) {
            let cap = match side {
                Side::Buy => &mut caps.bid,
                Side::Sell => &mut caps.ask,
            };
            match (stand, self.obligation()) {
                (Stand::Free, _) => {}
                (Stand::Wide, Some(owed)) => {
                    *cap = (*cap).min(owed.size_min);
                    *half = owed.widest(*half, side);
                }
                (Stand::Wide, None) | (Stand::Out, _) => *cap = Lots(0),
            }
        }
    }

    /// Only what takes the position off.
    fn reducing(&self) -> [Stand; 2] {
        match self.basis.lots().0.signum() {
            1 => [Stand::Out, Stand::Free],
            -1 => [Stand::Free, Stand::Out],
            _ => [Stand::Out; 2],
        }
    }

    fn restraint(&self, now: Nanos) -> Restraint {
        let mut all = Restraint::default();
        let none = [Stand::Out; 2];
        if self.plan.is_stopped() {
            all.add(State::Paused, Reason::InstrumentLoss, none);
        }
        match self.hours.phase() {
            Phase::Normal => {}
            Phase::Wide { permille } => all.wide_permille = permille,
            Phase::Reduce => all.add(State::Reducing, Reason::Hours, self.reducing()),
            Phase::Pause | Phase::Flat => all.add(State::Paused, Reason::Hours, none),
        }
        match self.plan.exit() {
            Exit::Hold => {}
            Exit::Passive(size) => {
                all.add(State::Reducing, Reason::TakeProfit, self.reducing());
                let held = self.basis.lots().0;
                let side = if held > 0 { Side::Sell } else { Side::Buy };
                all.joins = Some((side, Lots(size.0.min(held.saturating_abs()))));
            }
            Exit::Immediate(_) => all.add(State::Paused, Reason::TakeProfit, none),
        }
        if self.age.is_some_and(|limit| limit.is_beyond(now, &self.basis)) {
            all.add(State::Reducing, Reason::PositionAge, self.reducing());
        }
        if let Some(breakout) = &self.breakout {
            let stands = Side::BOTH.map(|side| match breakout.danger(side) {
                Danger::Calm => Stand::Free,
                Danger::Threatened => self.soft_stand(),
                Danger::Severe => Stand::Out,
            });
            match stands {
                [Stand::Free, Stand::Free] => {}
                [Stand::Out, Stand::Out] => all.add(State::Paused, Reason::Breakout, stands),
                [_, _] => all.add(State::Quoting, Reason::Breakout, stands),
            }
        }
        all
    }

    /// How much of the position is to be taken off at once, with its sign.
    pub(super) fn surplus(&self) -> Lots {
        let held = self.basis.lots();
        let most = held.0.saturating_abs();
        let size = match (self.hours.phase(), self.plan.exit()) {
            (Phase::Flat, _) => most,
            (_, Exit::Immediate(size)) => size.0.min(most),
            (_, Exit::Hold | Exit::Passive(_)) => 0,
        };
        Lots(size.saturating_mul(held.0.signum()))
    }

    /// The whole position is to go, by the hour or by its loss.
    pub(super) fn is_to_be_flat(&self) -> bool {
        self.hours.phase() == Phase::Flat || self.plan.is_stopped()
    }

    /// Would a trade on this side put back what is being taken off?
    pub(super) fn bars(&self, side: Side) -> bool {
        let adds = self.basis.lots().0.signum() == side.sign();
        self.is_to_be_flat() || (adds && self.plan.has_begun())
    }
}

impl Line {
    pub(super) fn fees_mut(&mut self) -> Option<&mut FeeTiers> {
        self.guards.fees.as_mut()
    }

    /// An operator has looked.
    pub(super) fn resume_guards(&mut self, now: Nanos) {
        self.guards.plan.resume();
        self.restraint = self.guards.restraint(now);
    }

    /// Why nothing of it may be quoted now, by what restrains it alone.
    pub(super) fn pause(&self, now: Nanos) -> Option<Reason> {
        if self.restraint.state == State::Paused {
            return Some(self.restraint.reason);
        }
        self.guards.time_left(now).is_none().then_some(Reason::OutsideHorizon)
    }

    /// An earlier run's position goes on being the bet that it was.
    pub(super) fn go_on_guarding(&mut self, now: Nanos, from: &GuardedPosition) {
        self.guards.go_on(from);
        self.restraint = self.guards.restraint(now);
    }

    /// Holdings came or went without a trade: no bet, whatever is held.
    pub(super) fn guard_transfer(&mut self, lots: Lots) {
        let opening = self.guards.opening.0.saturating_add(lots.0);
        self.guards.opening = Lots(opening);
    }

    /// A believed mid: does a breakout begin or end?
    pub(super) fn watch_mid(&mut self, now: Nanos, mid: HalfTicks) {
        let sigma = self.volatility.sigma();
        if let Some(breakout) = &mut self.guards.breakout
            && breakout.on_mid(now, mid, sigma)
        {
            self.restraint = self.guards.restraint(now);
        }
    }
}

impl Maker {
    /// How much of the time an instrument's quoting obligation was met; `None` where none is owed.
    pub fn uptime(&self, instrument: InstrumentId) -> Option<Uptime> {
        self.line(instrument)?.guards.obligation.as_ref().map(Obligation::uptime)
    }

    /// The timer's look at every guard.
    pub(super) fn watch(&mut self, pools: Range<usize>, lines: Range<usize>, out: &mut Intents) {
        for n in pools {
            self.watch_share(n);
        }
        for n in lines {
            if self.lines.get(n).is_some_and(|line| line.guards.is_watched) {
                self.watch_line(instrument_id(n), out);
            }
        }
    }

    fn watch_line(&mut self, id: InstrumentId, out: &mut Intents) {
        let now = self.now;
        let (is_met, is_open) = (self.is_obligation_met(id), self.is_market_open(id));
        if let Some(line) = self.line_mut(id) {
            line.guards.hours.on_clock(now);
            if let Some(horizons) = &mut line.guards.horizons {
                horizons.on_clock(now);
            }
        }
        self.settle_guards(id);
        let Some(line) = self.line_mut(id) else { return };
        if line.guards.surplus().0 == 0 && !line.is_flattening {
            line.homing = Homing::default();
        }
        let guards = &mut line.guards;
        let is_closed_hour = matches!(guards.hours.phase(), Phase::Pause | Phase::Flat)
            || guards.time_left(now).is_none();
        let missed = guards
            .obligation
            .as_mut()
            .and_then(|owed| owed.on_clock(now, is_open && !is_closed_hour, is_met));
        let is_done = guards.plan.is_stopped() && guards.basis.lots().0 == 0;
        if let Some(uptime_permille) = missed {
            self.counters.obligations_missed = self.counters.obligations_missed.saturating_add(1);
            out.record(Record::ObligationMissed { at: now, instrument: id, uptime_permille });
        }
        let open = self.orders.open(id);
        if is_done && open.buy.0 == 0 && open.sell.0 == 0 {
            self.halt(id, Reason::InstrumentLoss, out);
        }
    }

    /// The position as the account has it now, and what the exits make of it.
    pub(super) fn settle_guards(&mut self, id: InstrumentId) {
        let (now, mark) = (self.now, self.ledger.mark(id));
        let position = self.ledger.position(id).unwrap_or_default();
        let Some(line) = self.line_mut(id).filter(|line| line.guards.is_watched) else { return };
        let contract = line.contract();
        let guards = &mut line.guards;
        if let Some(mark) = mark {
            let held = Lots(position.0.saturating_sub(guards.opening.0));
            guards.basis.settle(now, held, mark, contract);
            guards.plan.look(now, &guards.basis, mark, contract);
        }
        line.restraint = line.guards.restraint(now);
    }

    /// Its market has been seen, so that quotes are owed, whatever keeps them away now.
    fn is_market_open(&self, id: InstrumentId) -> bool {
        self.ledger.mark(id).is_some()
    }

    /// Do the orders that work at the venue meet the obligation?
    fn is_obligation_met(&self, id: InstrumentId) -> bool {
        let Some(line) = self.line(id) else { return false };
        let Some(owed) = line.guards.obligation() else { return false };
        let working = |side: Side| {
            let orders = line.rungs(side).iter().filter_map(|rung| rung.order);
            let orders = orders.filter_map(|slot| self.orders.get(slot));
            orders.filter(|order| {
                matches!(order.state, OrderState::Working | OrderState::PendingReplace)
            })
        };
        let bid = working(Side::Buy).map(|order| order.price.0).max();
        let ask = working(Side::Sell).map(|order| order.price.0).min();
        let (Some(bid), Some(ask)) = (bid, ask) else { return false };
        let is_within = |side: Side, price: Ticks| match side {
            Side::Buy => ask.saturating_sub(price.0) <= owed.spread_max.0,
            Side::Sell => price.0.saturating_sub(bid) <= owed.spread_max.0,
        };
        Side::BOTH.into_iter().all(|side| {
            let near = working(side).filter(|order| is_within(side, order.price));
            let size = near.fold(0i64, |sum, order| sum.saturating_add(order.leaves().0));
            size >= owed.size_min.0
        })
    }

    /// The underlying's share of the portfolio: its net delta at the worth of a lot that is known.
    fn watch_share(&mut self, place: usize) {
        self.value_waiting();
        let gross = self.gross.total();
        let Some(pool) = self.pools.get(place).filter(|pool| pool.share.is_some()) else { return };
        let delta = pool.delta.0;
        let mut lines =
            self.lines.iter().filter(|l| usize::from(l.instrument.spec().underlying.0) == place);
        let worth = lines.find_map(|line| {
            let id = line.instrument.id();
            let mark = self.ledger.mark(id)?;
            let per_lot = exposure_per_lot(line.contract(), Some(mark))?.0;
            // As many lots as make a whole unit, so that rounding is no part of it.
            let lots = 1_000_000_000i64.checked_div(per_lot)?.max(1);
            let value = position_value(line.contract(), Lots(lots), mark)?.checked_abs()?;
            let value = self.ledger.rate(line.instrument.spec().settlement)?.convert(value)?;
            let nano = i128::from(lots).checked_mul(i128::from(per_lot))?;
            i128::from(delta).checked_abs()?.checked_mul(value)?.checked_div(nano).map(Notional)
        });
        let worth = if delta == 0 { Some(Notional(0)) } else { worth };
        if let Some(share) = self.pools.get_mut(place).and_then(|pool| pool.share.as_mut()) {
            share.look(worth, gross);
        }
    }

    /// What the position costs after a trade, and what is still to be closed of it.
    pub(super) fn guard_trade(&mut self, id: InstrumentId, side: Side, price: Ticks, size: Lots) {
        let now = self.now;
        let Some(line) = self.line_mut(id).filter(|line| line.guards.is_watched) else { return };
        let contract = line.contract();
        line.guards.basis.on_fill(now, side, price, size, contract);
        // The next immediate order goes out in this very step: it is sized by what is held now.
        self.settle_guards(id);
    }
}

#[cfg(test)]
#[path = "horizon_tests.rs"]
mod horizon_tests;
