//! The maker as a stage: rings in, one input at a time, rings out, everything journaled.
//!
//! Fed by order entry, operators, its own timer and the feeds, polled in that order so that a fill is
//! never behind a tick; feeds order entry, the journal and telemetry. The maker's thread, hot: at most
//! [`TURN_INPUTS`] inputs a turn. What a full ring does: while an intent ring or the journal's has no
//! room for the worst step, market data and order events wait in the rings behind (market data resets,
//! order events stay in the socket; half a message, which moves no quote, waits for the journal alone),
//! but **an operator's word never waits**: it acts within the room that there is. Of the journal's ring
//! a part is kept for order events and operators; where live trading has used that up, the maker kills
//! itself. After a kill, order events and timers go on whatever is full, so that every cancel goes out.
//! The first journal entry without room is the journal's end: it stays whole up to there, and the next
//! run is told what the message store has beyond it. Telemetry drops and counts; a state is owed until told.

use super::Maker;
use super::control::{Act, KillCause, User};
use super::input::{Control, Input};
use super::intents::{Intents, Record};
use crate::event::{
    InstrumentId, MarketEvent, MarketUpdate, OrderEvent, OrderIntent, Refusal, Word,
};
use crate::journal::record::Record as Entry;
use crate::latency::{Mark, Probe};
use crate::maker::snapshot::{GreekSample, HoldingsNews, InstrumentSnapshot};
use crate::pnl::attribution::Cause;
use crate::ring::{Consumer, Producer, RecordProducer};
use crate::stage::{Stage, Turn};
use crate::units::{Exposure, Nanos, Notional};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use telling::ToldStates;

mod telling;

/// Most inputs a turn takes from one kind of ring.
pub const TURN_INPUTS: usize = 64;

/// Most changes of one instrument's state in a step: a halt takes what was decided before it back.
const STATES_MAX: usize = 4;

/// After a shutdown: how long the answers to the last cancels are waited for, by the runner's clock.
const WIND_DOWN_NS: u64 = 10_000_000_000;

/// What the maker's time is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeBase {
    /// The runner's clock: live.
    Clock,
    /// The events' own: a recording or a simulation, at any speed.
    Events,
}

/// How far the maker has come, for a simulated venue that must not run ahead of it.
#[derive(Debug, Default)]
pub struct Progress {
    consumed: AtomicU64,
    reports: AtomicU64,
    intents: AtomicU64,
    turns: AtomicU64,
    controls: AtomicU64,
    /// Numbers of controls that were refused, each in its place, for those who ask soon.
    refused: [AtomicU64; 32],
    has_killed_itself: AtomicBool,
}

impl Progress {
    /// Time of the last whole market message that was consumed, its intents handed over.
    pub fn consumed(&self) -> Nanos {
        Nanos(self.consumed.load(Ordering::Acquire))
    }

    /// The heartbeat: how often the maker had its turn. One that stands still is a stuck maker.
    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// How many of the operators' orders were consumed, their intents handed over.
    pub fn controls(&self) -> u64 {
        self.controls.load(Ordering::Acquire)
    }

    /// Did the maker refuse the control of this number, counted from 1? Read it after the number of those
    /// consumed, and before so many more of them are refused as there are places.
    pub fn is_refused(&self, number: u64) -> bool {
        self.refused_at(number).is_some_and(|at| at.load(Ordering::Relaxed) == number)
    }

    fn refused_at(&self, number: u64) -> Option<&AtomicU64> {
        let places = self.refused.len() as u64;
        self.refused.get(usize::try_from(number % places).unwrap_or(0))
    }

    /// Has the maker killed itself, because nothing of what it does could be journaled any more?
    pub fn has_killed_itself(&self) -> bool {
        self.has_killed_itself.load(Ordering::Acquire)
    }

    /// How many reports on orders were consumed, their intents handed over.
    pub fn reports(&self) -> u64 {
        self.reports.load(Ordering::Acquire)
    }

    /// How many intents were handed to order entry, less those that it could not send. Read it after
    /// the other two.
    pub fn intents(&self) -> u64 {
        self.intents.load(Ordering::Acquire)
    }
}

/// What people are told, off the hot thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Telemetry {
    /// Something happened.
    Happened(Record),
    /// How an instrument stands.
    Instrument {
        /// Maker's time.
        at: Nanos,
        /// Which.
        instrument: InstrumentId,
        /// How.
        snapshot: InstrumentSnapshot,
    },
    /// Net delta of an underlying, from its target.
    Delta {
        /// Maker's time.
        at: Nanos,
        /// Which, by its place in the config.
        underlying: u8,
        /// How much; `None` where something held has no value.
        delta: Option<Exposure>,
    },
    /// How an underlying's options stand.
    Greeks {
        /// Maker's time.
        at: Nanos,
        /// Which, by its place in the config.
        underlying: u8,
        /// How.
        sample: GreekSample,
    },
    /// What is where, and on its way: places, open transfers, currencies, in this order.
    Holdings {
        /// Maker's time.
        at: Nanos,
        /// What is told.
        news: HoldingsNews,
    },
    /// PnL so far by cause, in the reporting currency.
    Pnl {
        /// Maker's time.
        at: Nanos,
        /// By cause.
        causes: [(Cause, Notional); Cause::COUNT],
        /// Computed separately.
        total: Notional,
    },
}

/// The maker's ends of its rings.
pub struct MakerLinks {
    /// One an order session; each event names its venue.
    pub orders: Vec<Consumer<OrderEvent>>,
    /// Operators.
    pub control: Consumer<Control>,
    /// One a feed.
    pub market: Vec<Consumer<MarketEvent>>,
    /// One a venue, in the venues' order.
    pub intents: Vec<Producer<OrderIntent>>,
    /// Every input and intent.
    pub journal: RecordProducer<Entry>,
    /// Records and samples.
    pub telemetry: RecordProducer<Telemetry>,
}

/// How the stage runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StageSettings {
    /// What its time is.
    pub time: TimeBase,
    /// In what time its timers look after everything once.
    pub timer_interval_ns: u64,
    /// Distance of telemetry samples, in maker's time; 0 for none.
    pub sample_interval_ns: u64,
    /// Most intents of one step: [`Maker::intents_max`].
    pub intents_max: usize,
}

/// The maker with its rings.
pub struct MakerStage {
    maker: Maker,
    out: Intents,
    links: MakerLinks,
    settings: StageSettings,
    progress: Arc<Progress>,
    probe: Probe,
    number: u64,
    timer_at: Nanos,
    timers_a_round: u64,
    timer_spacing_ns: u64,
    sample_at: Nanos,
    /// Instruments of the sample that is under way; 0 where none is.
    sampled: usize,
    telemetry_dropped: u64,
    told: ToldStates,
    leaving_since: Option<Nanos>,
    unjournaled: u64,
    has_market_entries: bool,
    /// Entries of the worst step: its input, its intents, what changes of every instrument's state they
    /// go with, and a timer before it.
    entries_max: usize,
}

impl MakerStage {
    /// Joins a maker to its rings. `progress` is shared with a simulated venue, if there is one.
    pub fn new(
        maker: Maker,
        links: MakerLinks,
        settings: StageSettings,
        probe: Probe,
        progress: Arc<Progress>,
    ) -> MakerStage {
        let told = ToldStates::of(&maker);
        let timers_a_round = maker.timers_a_round() as u64;
        // A round's timers share out what one of all would leave behind; each has an entry of its own.
        let entries_max = 2 * (settings.intents_max + STATES_MAX * maker.lines.len())
            + 1
            + maker.timers_a_round();
        MakerStage {
            maker,
            out: Intents::new(settings.intents_max, settings.intents_max.max(256))
                .for_venues(links.intents.len()),
            links,
            settings,
            progress,
            probe,
            number: 0,
            timer_at: Nanos(0),
            timers_a_round,
            timer_spacing_ns: (settings.timer_interval_ns / timers_a_round.max(1)).max(1),
            sample_at: Nanos(0),
            sampled: 0,
            telemetry_dropped: 0,
            told,
            leaving_since: None,
            unjournaled: 0,
            has_market_entries: true,
            entries_max,
        }
    }

    /// The same without market events in its journal: for a virtual run that keeps none and reads the
    /// ring for intents and fills. Never for trading: a replay needs every input.
    pub fn without_market_entries(self) -> MakerStage {
        MakerStage { has_market_entries: false, ..self }
    }

    /// Ends the stage: the rings disconnect, the maker is left for the report.
    pub fn into_maker(self) -> Maker {
        self.maker
    }

    /// The maker, for what is reported at the end.
    pub fn maker(&self) -> &Maker {
        &self.maker
    }

    /// Inputs consumed.
    pub fn inputs(&self) -> u64 {
        self.number
    }

    /// Telemetry that found no room.
    pub fn telemetry_dropped(&self) -> u64 {
        self.telemetry_dropped.saturating_add(self.out.records_dropped())
    }

    /// The journal entry that found no room, and all after it: only after a kill, or by an operator's
    /// word.
    pub fn unjournaled(&self) -> u64 {
        self.unjournaled
    }

    /// Room for the worst step everywhere that may not drop.
    fn has_room(&mut self) -> bool {
        let intents_max = 2 * self.settings.intents_max;
        self.links.journal.has_room(self.entries_max)
            && self.links.intents.iter_mut().all(|ring| ring.has_room(intents_max))
    }

    /// For market data the journal must have a step's room more: what order events may use up.
    fn has_market_room(&mut self) -> bool {
        self.links.journal.has_room(2 * self.entries_max) && self.has_room()
    }

    /// An order event or a timer is taken where there is room, and after a kill in any case.
    fn may_go_on(&mut self) -> bool {
        self.has_room() || self.maker.is_killed()
    }

    /// Where something is full, the step may leave no more than fits.
    fn keep_within_room(&mut self) {
        if self.has_room() {
            return;
        }
        for (venue, ring) in self.links.intents.iter_mut().enumerate() {
            self.out.limit(venue, ring.room());
        }
    }

    /// Live trading that can no longer be journaled ends. A recording waits.
    fn guard_journal(&mut self, now: Nanos) {
        let is_live = self.settings.time == TimeBase::Clock && !self.maker.is_killed();
        if is_live && !self.links.journal.has_room(self.entries_max) {
            let act = Act::Kill { cause: KillCause::Journal };
            let kill = Control::By { user: User::NOBODY, second: User::NOBODY, act };
            self.keep_within_room();
            self.step(now, &Input::Control(kill));
            self.progress.has_killed_itself.store(true, Ordering::Release);
        }
    }

    /// One input, with the timers that are due before it.
    fn consume(&mut self, now: Nanos, input: &Input) {
        self.run_timer(now);
        self.keep_within_room();
        self.step(now, input);
    }

    /// At most one round of timers a call: after a silence of many intervals there is nothing that a second
    /// one would do, and time must not pile up.
    #[inline]
    fn run_timer(&mut self, now: Nanos) {
        if now >= self.timer_at {
            self.fire_timer(now);
        }
    }

    fn fire_timer(&mut self, now: Nanos) {
        // Due on a grid, so that the same events give the same timers whatever the turns. Its time is
        // the time at hand: on a recording time is known to have passed when an event says so.
        let interval = self.timer_spacing_ns;
        let due = now.since(self.timer_at) / interval + 1;
        self.timer_at = Nanos(now.0 - now.0 % interval).plus(interval);
        for _ in 0..due.min(self.timers_a_round) {
            self.keep_within_room();
            self.step(now, &Input::Timer);
        }
    }

    /// The caller has seen to the room that it takes.
    fn step(&mut self, now: Nanos, input: &Input) {
        let number = self.number;
        match *input {
            Input::Order(event) => self.journal(Entry::Order { number, now, event }),
            Input::Market(event) => return self.step_market(now, &event),
            Input::Control(control) => self.journal(Entry::Control { number, now, control }),
            Input::Timer => self.journal(Entry::Timer { number, now }),
        }
        self.number = number.saturating_add(1);
        self.maker.step(now, input, &mut self.out);
        self.hand_over(number);
    }

    /// The same for a market event, wherever it lies.
    #[inline]
    fn step_market(&mut self, now: Nanos, event: &MarketEvent) {
        let number = self.number;
        if self.has_market_entries {
            self.journal(Entry::Market { number, now, event: *event });
        }
        self.number = number.saturating_add(1);
        self.maker.step_market(now, event, &mut self.out);
        if !self.out.is_clear() {
            self.hand_over(number);
        }
    }

    fn journal(&mut self, entry: Entry) {
        // A journal with a hole is of no use to anybody; one that ends early is gone on from.
        if self.unjournaled > 0 || self.links.journal.push(entry).is_err() {
            self.links.journal.cut();
            self.unjournaled = self.unjournaled.saturating_add(1);
        }
    }

    fn hand_over(&mut self, cause: u64) {
        for n in 0..self.out.orders().len() {
            let Some(&intent) = self.out.orders().get(n) else { continue };
            self.journal(Entry::Intent { cause, intent });
            let venue = self.maker.venue_of(intent.instrument);
            let ring = venue.and_then(|v| self.links.intents.get_mut(usize::from(v.0)));
            let is_taken = ring.is_some_and(|ring| ring.push(intent).is_ok());
            debug_assert!(is_taken, "room was asked for before the step");
            self.probe.mark(Mark::MakerOut, intent.stamp);
        }
        let sent = self.out.orders().len() as u64;
        if sent > 0 {
            self.progress.intents.fetch_add(sent, Ordering::Release);
        }
        for n in 0..self.out.records().len() {
            if let Some(&record) = self.out.records().get(n) {
                if let Record::State { instrument, state, reason, .. } = record {
                    self.journal(Entry::State { cause, instrument, state, reason });
                }
                self.tell_record(record);
            }
        }
        self.note_dropped();
        self.out.clear();
    }

    fn time_of(&self, clock: Nanos, event: Nanos) -> Nanos {
        match self.settings.time {
            TimeBase::Clock => clock,
            TimeBase::Events => event.max(self.maker.now()),
        }
    }

    fn take_orders(&mut self, clock: Nanos) -> bool {
        let mut is_busy = false;
        for n in 0..self.links.orders.len() {
            for _ in 0..TURN_INPUTS {
                // An empty ring asks for no room: with 64 sessions these checks were the turn.
                if self.links.orders.get(n).is_none_or(Consumer::is_empty) {
                    break;
                }
                if !self.may_go_on() {
                    return is_busy;
                }
                let Some(event) = self.links.orders.get_mut(n).and_then(Consumer::pop) else {
                    break;
                };
                let now = self.time_of(clock, event.at);
                self.consume(now, &Input::Order(event));
                self.count_report(&event);
                is_busy = true;
            }
        }
        is_busy
    }

    fn count_report(&self, event: &OrderEvent) {
        match event.update.word() {
            Word::Session | Word::Account => {}
            Word::Refused(Refusal::Unsent) => {
                self.progress.intents.fetch_sub(1, Ordering::Release);
            }
            Word::Taken
            | Word::Traded
            | Word::TradeChanged
            | Word::Standing
            | Word::Ended
            | Word::Refused(Refusal::Order | Refusal::Request | Refusal::Message) => {
                self.progress.reports.fetch_add(1, Ordering::Release);
            }
        }
    }

    /// Whether the run has ended: a shutdown was consumed and every order is known to be gone, or the
    /// answers took too long and what is left stays in doubt.
    fn has_ended(&mut self, clock: Nanos) -> bool {
        if !self.maker.is_shut_down() {
            return false;
        }
        let since = *self.leaving_since.get_or_insert(clock);
        self.maker.live_orders() == 0 || clock.since(since) > WIND_DOWN_NS
    }

    fn take_market(&mut self, clock: Nanos) -> bool {
        // Set aside for the turn: each event is stepped where it lies in its ring.
        let mut rings = std::mem::take(&mut self.links.market);
        let mut is_busy = false;
        'rings: for ring in &mut rings {
            for _ in 0..TURN_INPUTS {
                match ring.take_if(|event| self.take_event(clock, event)) {
                    Some(true) => is_busy = true,
                    Some(false) => break 'rings,
                    // An empty ring asks for no room: with 64 sessions these checks were the turn.
                    None => break,
                }
            }
        }
        self.links.market = rings;
        is_busy
    }

    /// A step with a market event and with the timer that is due before it; false where there is no room
    /// for what they may leave behind.
    #[inline]
    fn take_event(&mut self, clock: Nanos, event: &MarketEvent) -> bool {
        let now = self.time_of(clock, event.at);
        // Half of a message moves no quote: it leaves nothing behind but its entry.
        let is_half = !event.last_in_message && !matches!(event.update, MarketUpdate::Gap);
        let has_room = if is_half && now < self.timer_at {
            self.links.journal.has_room(2 * self.entries_max)
        } else {
            self.has_market_room()
        };
        if !has_room {
            return false;
        }
        self.probe.mark(Mark::MakerIn, event.stamp);
        self.run_timer(now);
        self.step_market(now, event);
        if event.last_in_message {
            self.progress.consumed.store(event.at.0, Ordering::Release);
        }
        true
    }
}

impl Stage for MakerStage {
    fn name(&self) -> &'static str {
        "maker"
    }

    fn turn(&mut self, now: Nanos) -> Turn {
        // The only writer: a plain store, where an atomic addition would cost a locked one.
        let turns = self.progress.turns.load(Ordering::Relaxed).wrapping_add(1);
        self.progress.turns.store(turns, Ordering::Relaxed);
        let mut is_busy = self.take_orders(now);
        self.guard_journal(now);
        if let Some(control) = self.links.control.pop() {
            let at = self.time_of(now, self.maker.now());
            let refused_before = self.maker.counters().acts_refused;
            self.consume(at, &Input::Control(control));
            if self.maker.counters().acts_refused != refused_before {
                let number = self.progress.controls().wrapping_add(1);
                if let Some(at) = self.progress.refused_at(number) {
                    at.store(number, Ordering::Relaxed);
                }
            }
            self.progress.controls.fetch_add(1, Ordering::Release);
            is_busy = true;
        }
        if self.settings.time == TimeBase::Clock && self.may_go_on() {
            self.run_timer(now);
        }
        is_busy |= self.take_market(now);
        self.tell_owed();
        is_busy |= self.sample();
        match (is_busy, self.has_ended(now)) {
            (_, true) => Turn::Done,
            (true, false) => Turn::Busy,
            (false, false) => Turn::Idle,
        }
    }
}
