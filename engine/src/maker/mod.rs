//! The market maker as a value: inputs in, intents out, nothing else.
//!
//! Fed by the feed (market), order entry (the venue's words), operators and its own timer, through
//! [`Maker::step`]; feeds order entry through [`Intents`]. One thread, whichever runs it: live, in a
//! backtest, in a simulation or in a replay the same inputs give the same intents to the byte.
//! Deliberately absent: clocks, sockets, files, allocation after [`Maker::new`], floating point.
//!
//! | file | holds |
//! | --- | --- |
//! | `collateral.rs` | views of the collateral in, sizes and states out |
//! | `firm.rs` | views of a firm's other engines in, limits and what is hedged here out |
//! | `config.rs` | what it is built from |
//! | `input.rs`, `intents.rs` | what goes in, what comes out |
//! | `control.rs` | the operator's hand: pause, resume, flatten, kill, set, book |
//! | `knobs.rs` | what an operator sets while it runs |
//! | `parameters.rs` | refitted coefficients on their way in |
//! | `market_data.rs` | a market event: book, trust, mark, conversion |
//! | `execution.rs` | the venue's word: order, ledger, exposure |
//! | `amendment.rs` | a trade cancelled or corrected, put right in the account |
//! | `fair.rs` | fair value where other books have a say |
//! | `quoting.rs` | state, model, ladder, diff for one instrument |
//! | `wanted.rs` | its ladder, kept while nothing that it comes from changes |
//! | `flattening.rs` | an operator has positions traded home: begins, ends |
//! | `homing.rs` | one instrument traded home: exits, the close, flatten |
//! | `net_delta.rs` | net delta, and what of it is sure while an option has no value |
//! | `hedging.rs`, `pacing.rs` | the hedger of one underlying; its derived band and rate |
//! | `mixing.rs` | hedges by minimum-variance ratios of several instruments |
//! | `portfolio.rs` | quotes of correlated underlyings that share one risk |
//! | `options.rs` | options: refreshed Greeks in, values, marks and quotes that follow the underlying |
//! | `risk_watch.rs` | gross notional, losses, protection, repeated executions: what they are told |
//! | `guards.rs`, `fees.rs` | breakout, exits, obligations, hours, age, share, fee tiers: what restrains quoting |
//! | `halting.rs` | a state entered, a halt, and what it says once the account is put right |
//! | `request.rs` | the one way out: gate, order table, intent |
//! | `own_orders.rs` | our orders in each other's way, and which gives way |
//! | `places.rs`, `rebalancing.rs`, `transfers.rs` | holdings by venue: counted, traded across, moved |
//! | `standing.rs` | funding, borrow and capital as their instants pass |
//! | `timer.rs`, `round.rs` | timeouts, sampling, staleness, orders in doubt; which part of it all is next |
//! | `settlement.rs` | an option ends: expiry, exercise, assignment |
//! | `snapshot.rs`, `counters.rs`, `tally.rs` | how it stands, for reports |
//! | `resumption.rs` | where an earlier run ended, and going on from there |
//! | `stage.rs` | the maker with its rings, on a runner |

mod amendment;
mod collateral;
pub mod config;
pub mod control;
pub mod counters;
mod execution;
mod fair;
mod fees;
mod firm;
mod flattening;
pub mod guards;
mod halting;
mod hedging;
mod homing;
pub mod input;
pub mod intents;
mod knobs;
pub mod option_config;
pub mod options;
pub mod parameters;
pub mod portfolio;
mod market_data;
pub mod mixing;
mod net_delta;
mod own_orders;
mod pacing;
mod places;
mod quoting;
pub mod rebalance_config;
pub mod rebalancing;
mod request;
pub mod resumption;
mod risk_watch;
mod round;
mod settlement;
pub mod snapshot;
pub mod stage;
mod standing;
pub mod tally;
mod timer;
mod transfers;
mod wanted;

#[cfg(test)]
mod amendment_tests;
#[cfg(test)]
mod booking_tests;
#[cfg(test)]
mod control_tests;
#[cfg(test)]
mod forgetting_tests;
#[cfg(test)]
mod guard_tests;
#[cfg(test)]
mod hedge_inputs_tests;
#[cfg(test)]
mod hedge_promises_tests;
#[cfg(test)]
mod hedging_tests;
#[cfg(test)]
mod homing_tests;
#[cfg(test)]
mod mixing_tests;
#[cfg(test)]
mod option_tests;
#[cfg(test)]
mod peers_tests;
#[cfg(test)]
mod resumption_tests;
#[cfg(test)]
mod rebalancing_tests;
#[cfg(test)]
mod risk_tests;
#[cfg(test)]
mod self_trade_tests;
#[cfg(test)]
mod tests;

use crate::estimate::blend::Bases;
use crate::estimate::markout::Markouts;
use crate::estimate::volatility::Volatility;
use crate::event::{InstrumentId, MarketEvent, VenueId};
use crate::instrument::{ContractValue, Currency, Instrument, InstrumentKind};
use crate::inventory::exposure::ExposureMap;
use crate::inventory::hedge::Attempts;
use crate::inventory::hedge_mix::Mixes;
use crate::inventory::rebalance::Offset;
use crate::market::book::{Book, Touch};
use crate::market::trust::{Distrust, Trust};
use crate::orders::table::{OrderSlot, OrderTable};
use crate::pnl::fill_history::FillHistory;
use crate::pnl::ledger::Ledger;
use crate::pnl::mids::Mids;
use crate::pnl::standing::Schedule;
use crate::quote::ladder::LEVELS_MAX;
use crate::risk::collateral::{Allowance, CollateralGuard};
use crate::risk::duplicate::DuplicateGuard;
use crate::risk::executions::Executions;
use crate::risk::firm::FirmGuard;
use crate::risk::gross::GrossNotional;
use crate::risk::loss::LossStop;
use crate::risk::order_to_trade::OrderToTrade;
use crate::risk::protection::Protection;
use crate::risk::share::Share;
use crate::risk::state::{Reason, State};
use crate::risk::throttle::Throttle;
use crate::units::{Exposure, Lots, Nanos, Stamp};
use config::VolatilitySettings;
use config::{ConfigError, InstrumentSettings, MakerConfig, UnderlyingSettings};
use counters::Counters;
use guards::{LineGuards, Restraint};
use homing::Homing;
use input::Input;
use intents::Intents;
use options::OptionDesk;
use own_orders::KeptBest;
use pacing::Pacing;
use portfolio::Portfolio;
use rebalancing::Rebalancer;
use round::Part;
use std::ops::Range;
use wanted::Wanted;

/// One rung of a ladder.
#[derive(Clone, Copy, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
struct Rung {
    order: Option<OrderSlot>,
    /// By so much its order has given way to orders of ours.
    gave_way: Lots,
    /// Neither a new order nor a replace here before this time: the last request was refused.
    rests_until: Nanos,
}

/// Everything about one instrument.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
struct Line {
    instrument: Instrument,
    settings: InstrumentSettings,
    book: Book,
    trust: Trust,
    /// What was believed of the book at that time, with no event since.
    seen: Option<(Nanos, Result<Touch, Distrust>)>,
    volatility: Volatility,
    markouts: Markouts,
    /// What stood when, by the venue's time.
    mids: Mids,
    /// Its distance from the books that its fair value looks at.
    bases: Bases,
    /// Whose fair values look at its book.
    followers: Box<[InstrumentId]>,
    state: State,
    reason: Reason,
    /// What else halted it that whoever resumes must know, while a doubt about the account is told over it.
    beneath: Option<Reason>,
    rungs: [[Rung; LEVELS_MAX]; 2],
    best: KeptBest,
    wanted: Wanted,
    /// No rung from this level on ever had an order: a ladder of one level walks one.
    levels_used: usize,
    rejects_in_row: u32,
    tally: tally::LineTally,
    /// Beyond the soft limit and not far enough back yet, whatever paused it meanwhile.
    is_beyond_soft: bool,
    /// Likewise the stop.
    is_beyond_stop: bool,
    /// An operator has its position traded home.
    is_flattening: bool,
    homing: Homing,
    /// Its position is an earlier run's, or had a fill on the wrong side, and nobody has confirmed it yet.
    is_unconfirmed: bool,
    executions: Executions,
    duplicates: DuplicateGuard,
    guards: LineGuards,
    /// What they say now.
    restraint: Restraint,
    /// What the collateral lets it add yet.
    allowance: Allowance,
    /// Its place among the quotes that share one risk.
    member: Option<usize>,
    /// The instruments whose book is the same.
    twins: Box<[InstrumentId]>,
    /// Funding's instants, and the days'.
    funding: Schedule,
    days: Schedule,
    /// What all its bids may cost, 1e-9 of the quote currency; `None` where nobody keeps that.
    cash_max: Option<i64>,
}

impl Line {
    fn new(config: &MakerConfig, instrument: &Instrument, settings: &InstrumentSettings) -> Line {
        let mut settings = *settings;
        if let Some(quote) = &mut settings.quote {
            quote.ladder.set_coarse_step(instrument.coarse_step());
        }
        let VolatilitySettings { interval_ns, weight_shift, floor, kind } = settings.volatility;
        let is_off = config.carried.switched_off.contains(&instrument.id());
        let (state, reason) = if is_off {
            (State::Halted, Reason::RepeatedExecutions)
        } else {
            (State::Paused, Reason::SessionDown)
        };
        Line {
            instrument: instrument.clone(),
            settings,
            book: Book::new(config.book_levels_max),
            trust: Trust::new(settings.stale_after_ns).guarded(settings.spike),
            seen: None,
            volatility: Volatility::new(interval_ns, weight_shift, floor).of_kind(kind),
            markouts: Markouts::of(settings.quote.as_ref().and_then(|quote| quote.markout)),
            mids: Mids::default(),
            bases: Bases::default(),
            followers: fair::followers(config, instrument.id()),
            state,
            reason,
            beneath: None,
            rungs: [[Rung::default(); LEVELS_MAX]; 2],
            best: KeptBest::default(),
            wanted: Wanted::new(),
            levels_used: 0,
            rejects_in_row: 0,
            tally: tally::LineTally::opened_with(settings.opening),
            is_beyond_soft: false,
            is_beyond_stop: false,
            is_flattening: false,
            homing: Homing::default(),
            is_unconfirmed: false,
            executions: Executions::new(settings.limits.executions, is_off),
            duplicates: DuplicateGuard::new(settings.limits.duplicates),
            guards: LineGuards::of(config, instrument.id(), settings.opening),
            restraint: Restraint::default(),
            allowance: Allowance::default(),
            member: config.portfolio_members.iter().position(|m| m.instrument == instrument.id()),
            twins: config.twins(instrument.id()).collect(),
            funding: Schedule::default(),
            days: Schedule::default(),
            cash_max: None,
        }
    }

    #[inline]
    fn touch(&self, now: Nanos) -> Result<Touch, Distrust> {
        match self.seen {
            Some((at, seen)) if at == now => {
                debug_assert_eq!(seen, self.trust.check(now, &self.book), "no event since");
                seen
            }
            Some(_) | None => self.trust.check(now, &self.book),
        }
    }

    fn is_mid_message(&self, now: Nanos) -> bool {
        self.trust.is_mid_message(now)
    }

    fn contract(&self) -> ContractValue {
        self.instrument.value()
    }

    fn is_spot(&self) -> bool {
        self.instrument.spec().kind == InstrumentKind::Spot
    }
}

/// Everything about one underlying.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
struct Pool {
    settings: UnderlyingSettings,
    exposure: ExposureMap,
    /// Net exposure from its target, as of the last fill.
    delta: Exposure,
    delta_max_abs: u64,
    /// The one immediate order under way.
    hedge: Option<OrderSlot>,
    /// It takes an instrument home, and is no hedge.
    is_homing: bool,
    /// A trade on two venues that is under way; its orders are in `hedge`.
    offset: Option<Offset>,
    hedge_failures: u32,
    attempts: Attempts,
    /// No hedge before this time: the last one traded nothing.
    hedge_rests_until: Nanos,
    /// The exposure fits its integer: `delta` is true, not a stand-in beyond every limit.
    is_delta_known: bool,
    /// What of it is there wherever an option without a value is; nothing while all of it is known.
    sure: Exposure,
    pacing: Pacing,
    /// Minimum-variance ratios, where they are estimated.
    mixes: Option<Mixes>,
    /// Where a firm's other engines trade it too.
    firm: Option<FirmGuard>,
    /// An operator has its net delta traded home.
    is_flattening: bool,
    /// How many of its instruments' positions nobody has confirmed yet.
    unconfirmed: u32,
    protection: Protection,
    share: Option<Share>,
    /// Positions of it may be closed by a plan or by the hour.
    has_exits: bool,
    /// Its instruments, in their order.
    members: Box<[InstrumentId]>,
    /// How many of them an operator has traded home.
    lines_flattening: u32,
}

impl Pool {
    fn new(config: &MakerConfig, place: u8, settings: &UnderlyingSettings) -> Pool {
        let instruments = &config.instruments;
        let is_ours = |of: &&Instrument| of.spec().underlying.0 == place;
        Pool {
            settings: settings.clone(),
            exposure: ExposureMap::new(instruments, crate::instrument::Underlying(place)),
            delta: Exposure(0),
            delta_max_abs: 0,
            hedge: None,
            is_homing: false,
            offset: None,
            hedge_failures: 0,
            attempts: Attempts::default(),
            hedge_rests_until: Nanos(0),
            is_delta_known: false,
            sure: Exposure(0),
            pacing: Pacing::default(),
            mixes: settings.hedge.as_ref().and_then(|hedge| hedge.basis).map(Mixes::new),
            firm: settings.firm.map(FirmGuard::new),
            is_flattening: false,
            unconfirmed: 0,
            protection: Protection::new(settings.protection),
            share: config.guards.share_of(place),
            has_exits: config.guards.have_exits(instruments, place),
            members: instruments.iter().filter(is_ours).map(Instrument::id).collect(),
            lines_flattening: 0,
        }
    }

    /// No immediate order of ours is under way, and the last one did not fail just now.
    fn may_trade(&self, now: Nanos) -> bool {
        self.hedge.is_none() && self.hedge_rests_until <= now
    }
}

/// The market maker.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Maker {
    now: Nanos,
    /// Arrival of the input in hand, copied into the intents that it causes.
    stamp: Stamp,
    lines: Vec<Line>,
    pools: Vec<Pool>,
    throttles: Vec<Throttle>,
    order_to_trade: Vec<OrderToTrade>,
    gross: GrossNotional,
    loss: LossStop,
    sessions_up: Vec<bool>,
    conversions: Vec<(Currency, InstrumentId)>,
    options: OptionDesk,
    rebalancer: Rebalancer,
    /// By currency: what settles in it. A rate revalues these and looks at no other instrument.
    settled_in: Vec<Vec<InstrumentId>>,
    collateral: Option<CollateralGuard>,
    portfolio: Portfolio,
    orders: OrderTable,
    ledger: Ledger,
    /// What may still be busted or corrected.
    fills: FillHistory,
    /// Grows with every input that is no market event and with every intent: while it stands still, no
    /// order has changed.
    changes: u64,
    /// Grows with every input that is no market event: while it stands still, the venue has said nothing.
    answers: u64,
    /// What the next timer looks after.
    part: Part,
    ack_timeout_ns: u64,
    rejects_max: u32,
    is_killed: bool,
    is_shut_down: bool,
    /// Nobody was told yet that instruments are halted since before this run.
    has_untold_halts: bool,
    counters: Counters,
}

impl Maker {
    /// Builds a maker with everything allocated that it will ever need, or says all that is wrong
    /// with the config.
    pub fn new(config: &MakerConfig) -> Result<Maker, Vec<ConfigError>> {
        let faults = config.faults();
        if !faults.is_empty() {
            return Err(faults);
        }
        let opening: Vec<_> = config.settings.iter().map(|s| s.opening).collect();
        let ledger =
            Ledger::new(&config.instruments, &opening, &config.opening_cash, config.reporting)
                .map_err(|fault| vec![fault.into()])?;
        let lines = config.instruments.iter().zip(&config.settings);
        let lines = lines.map(|(instrument, settings)| Line::new(config, instrument, settings));
        let pools =
            (0u8..).zip(&config.underlyings).map(|(n, settings)| Pool::new(config, n, settings));
        let protections: Vec<_> = config.underlyings.iter().map(|u| u.protection).collect();
        let mut maker = Maker {
            now: Nanos(0),
            stamp: Stamp(0),
            lines: lines.collect(),
            pools: pools.collect(),
            throttles: config.message_rates.iter().map(|rate| Throttle::new(*rate)).collect(),
            order_to_trade: risk_watch::ratios(config),
            gross: GrossNotional::new(config.portfolio.gross_max, config.instruments.len()),
            loss: risk_watch::loss_stop(config),
            sessions_up: vec![false; config.message_rates.len()],
            conversions: config.conversions.clone(),
            collateral: config.collateral.map(CollateralGuard::new),
            portfolio: Portfolio::new(config),
            options: OptionDesk::new(&config.options, &config.instruments, &protections),
            rebalancer: Rebalancer::new(config, &ledger),
            settled_in: risk_watch::settled_in(&config.instruments),
            orders: OrderTable::new(config.orders_max, &config.instruments, config.epoch),
            ledger,
            fills: FillHistory::default(),
            changes: 0,
            answers: 0,
            part: Part::first(config.instruments.len(), config.orders_max),
            ack_timeout_ns: config.ack_timeout_ns,
            rejects_max: config.rejects_max,
            is_killed: false,
            is_shut_down: false,
            has_untold_halts: false,
            counters: Counters::default(),
        };
        if let Some(resumption) = &config.resumption {
            maker.resume_from(resumption);
        }
        maker.has_untold_halts = maker.lines.iter().any(|line| line.state == State::Halted);
        for pool in 0..maker.pools.len() {
            maker.refresh_delta(pool);
        }
        maker.count_places(None);
        for n in 0..maker.lines.len() {
            let id = instrument_id(n);
            maker.refresh_gross(id);
            maker.revalue_gross(id);
            maker.apply_fees(id);
        }
        maker.value_waiting();
        Ok(maker)
    }

    /// Most intents that one step can leave behind, for sizing [`Intents`] and the ring behind it.
    pub fn intents_max(config: &MakerConfig) -> usize {
        let quoted = config.settings.iter().filter(|s| s.quote.is_some()).count();
        2 * LEVELS_MAX * quoted + config.underlyings.len() + config.orders_max
    }

    /// Consumes one input. `now` is the maker's time base and never runs backwards: an earlier
    /// value counts as the latest one.
    pub fn step(&mut self, now: Nanos, input: &Input, out: &mut Intents) {
        match input {
            Input::Order(event) => {
                self.begin(now, event.stamp);
                self.changes = self.changes.wrapping_add(1);
                self.answers = self.answers.wrapping_add(1);
                self.on_order(event, out);
            }
            Input::Control(control) => {
                self.begin(now, Stamp(0));
                self.forget_wanted(0..self.lines.len());
                self.on_control(*control, out);
            }
            Input::Timer => {
                self.begin(now, Stamp(0));
                self.on_timer(out);
            }
            Input::Market(event) => self.step_market(now, event, out),
        }
    }

    /// [`Maker::step`] with [`Input::Market`] of an event that lies elsewhere: nearly all inputs are these,
    /// and to make an input of each only to take it apart cost as much as putting it into the book.
    #[inline]
    pub fn step_market(&mut self, now: Nanos, event: &MarketEvent, out: &mut Intents) {
        self.begin(now, event.stamp);
        self.on_market(event, out);
    }

    #[inline]
    fn begin(&mut self, now: Nanos, stamp: Stamp) {
        self.now = self.now.max(now);
        self.stamp = stamp;
        self.counters.inputs = self.counters.inputs.saturating_add(1);
    }

    /// Time or an operator may have changed what no quote's key names.
    fn forget_wanted(&mut self, lines: Range<usize>) {
        self.changes = self.changes.wrapping_add(1);
        self.answers = self.answers.wrapping_add(1);
        for line in self.lines.get_mut(lines).unwrap_or_default() {
            line.wanted.forget();
        }
    }

    #[inline]
    fn line(&self, instrument: InstrumentId) -> Option<&Line> {
        self.lines.get(usize::from(instrument.0))
    }

    #[inline]
    fn line_mut(&mut self, instrument: InstrumentId) -> Option<&mut Line> {
        self.lines.get_mut(usize::from(instrument.0))
    }

    fn pool_of(&self, instrument: InstrumentId) -> Option<usize> {
        self.line(instrument).map(|line| usize::from(line.instrument.spec().underlying.0))
    }

    fn is_session_up(&self, venue: VenueId) -> bool {
        self.sessions_up.get(usize::from(venue.0)).copied().unwrap_or(false)
    }
}

/// The id of the instrument at a place; the config holds at most 65,536.
fn instrument_id(place: usize) -> InstrumentId {
    InstrumentId(u16::try_from(place).unwrap_or(u16::MAX))
}
