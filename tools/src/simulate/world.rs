//! Everything at once: venue, network, feed, maker and order entry, turned by one loop in virtual time.
//!
//! Fed by a seed and a plan; feeds the checker after every step. The stages are those that run live:
//! only the sockets, the clock and the hands that turn them are different. One thread. Time goes to
//! the next thing that is due: bytes that arrive, a tape's event, a fault, or the maker's timer.

use super::check::Checker;
use super::diary::Diary;
use super::faults::{self, Episode, Fault};
use super::market::{FaultyTape, NextDue};
use super::mischief::{self, VenueMischief};
use super::network::{End, Link, Net, WireDial, WireEnd};
use super::tap::{PlantedBug, Tap};
use super::{Options, SimulationError};
use crate::config::ConfigFile;
use crate::config::file::RawSession;
use crate::live;
use crate::random::Random;
use crate::venue::exchange::{Exchange, VenueOptions};
use crate::venue::fix_face::{FaceOptions, FixVenue, OrderTime, Pace, Speed, Told};
use crate::venue::fix_seat::SeatConfig;
use crate::venue::playback::Playback;
use crate::venue::synthetic::{Synthetic, SyntheticOptions};
use ballast_engine::clock::Counter;
use ballast_engine::event::{InstrumentId, MarketEvent, OrderEvent, OrderIntent, VenueId};
use ballast_engine::journal::hash::IntentsHash;
use ballast_engine::journal::header::Header;
use ballast_engine::journal::record::Record as Entry;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::input::Control;
use ballast_engine::maker::intents::Record;
use ballast_engine::maker::stage::{MakerStage, Telemetry, TimeBase as MakerTime};
use ballast_engine::ring::{self, Consumer, Producer, RecordConsumer};
use ballast_engine::risk::state::{Reason, State};
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::Nanos;
use ballast_gateway::market_data::{Feed, FeedConfig};
use ballast_gateway::order_entry::exec_ids::ExecIds;
use ballast_gateway::order_entry::{OrderEntry, OrderEntryConfig};
use ballast_gateway::session::{ReconnectConfig, Role, Session, SessionConfig};
use ballast_gateway::store::MemoryStore;
use ballast_gateway::venue::plain;
use ballast_gateway::venue::symbols::Symbols;
use ballast_gateway::venue::time_base::TimeBase;
use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;

/// Most turns until nothing moves at one moment; more is a loop.
const ROUNDS_MAX: usize = 100_000;
/// The loop looks at least so often: the maker's timer.
const GRID_NS: u64 = 100_000_000;
const SECOND_NS: u64 = 1_000_000_000;
/// After a fault or an interruption: how long until accounts must agree.
const SETTLE_NS: u64 = 20 * SECOND_NS;
/// The tape begins undisturbed, so that there is something to disturb …
const FIRST_FAULT_NS: u64 = 30 * SECOND_NS;
/// … and ends undisturbed, so that it is seen whether quoting resumes.
const CALM_NS: u64 = 180 * SECOND_NS;
/// After the end: how long the last cancels may take.
const WIND_DOWN_NS: u64 = 60 * SECOND_NS;
/// The operator resumes what halted after so long.
const RESUME_AFTER_NS: u64 = 30 * SECOND_NS;
/// Order events that the tap's ring holds: few, so that a full one is seen.
const TAPPED_EVENTS: usize = 8;

/// What is due at a time may happen at that time.
pub struct VirtualTime;

impl Pace for VirtualTime {
    fn may_release(&mut self, now: Nanos, tape_time: Nanos, _: &Told) -> bool {
        tape_time <= now
    }

    fn is_quiet(&self, _: &Told) -> bool {
        true
    }
}

/// The venue of a simulation.
pub type SimVenue = FixVenue<FaultyTape<Synthetic>, WireEnd, VirtualTime>;

/// What an episode's end does.
enum Ending {
    Segments,
    Delay,
    Resume,
    /// The second of two links ends, until then.
    Stop(Link, Nanos),
}

/// The whole system.
pub struct World {
    now: Nanos,
    end: Nanos,
    net: Net,
    venue: SimVenue,
    next_due: NextDue,
    feed: Feed<WireDial, MemoryStore>,
    entry: OrderEntry<WireDial, MemoryStore>,
    maker: MakerStage,
    is_maker_done: bool,
    tap: Tap,
    control: Producer<Control>,
    journal: RecordConsumer<Entry>,
    telemetry: RecordConsumer<Telemetry>,
    checker: Checker,
    diary: Diary,
    plan: VecDeque<Episode>,
    endings: Vec<(Nanos, Ending)>,
    calm_from: Nanos,
    compared_at: Nanos,
    is_diary_lost: bool,
    paused: bool,
    halted_since: Option<Nanos>,
    seen: Seen,
}

/// What is counted along the way, all of it from the seed.
#[derive(Default)]
pub struct Seen {
    /// Episodes that began, by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// Changes of state of the quoted instrument, by state and reason.
    pub states: BTreeMap<String, u64>,
    /// Times that the operator resumed.
    pub resumes: u64,
    /// SHA-256 over all intents.
    pub hash: IntentsHash,
}

fn session(raw: &RawSession) -> Session<MemoryStore> {
    let mut config = SessionConfig::new(Role::Initiator, &raw.sender_comp_id, &raw.target_comp_id);
    config.heart_bt_int_s = raw.heartbeat_s;
    config.reset_on_logon = raw.reset_on_logon;
    Session::new(config, MemoryStore::new())
}

fn seat(raw: &RawSession, has_orders: bool, cancels: bool) -> SeatConfig {
    SeatConfig {
        sender_comp_id: raw.target_comp_id.clone(),
        target_comp_id: raw.sender_comp_id.clone(),
        participant: raw.sender_comp_id.clone(),
        has_orders,
        has_market_data: !has_orders,
        cancel_on_disconnect: has_orders && cancels,
        credentials: None,
    }
}

/// The venue with its tape and what goes wrong there.
fn venue(
    file: &ConfigFile,
    config: &MakerConfig,
    options: &Options,
    synthetic: SyntheticOptions,
    plan: &[Episode],
) -> (SimVenue, NextDue) {
    let of = |wanted: fn(Fault) -> bool| {
        plan.iter().filter(|e| wanted(e.fault)).copied().collect::<Vec<_>>()
    };
    let instruments = config.instruments.len();
    let start = synthetic.start;
    let tape = Synthetic::new(&config.instruments, synthetic);
    let market = of(Fault::is_of_market);
    let tape = FaultyTape::new(tape, start, super::STRETCH, instruments, market);
    let next_due = tape.next_due();
    let exchange = Exchange::new(&config.instruments, VenueOptions::default());
    let mischief = VenueMischief::new(of(mischief::is_of_venue), instruments);
    let playback = Playback::new(tape, exchange).with_mischief(Box::new(mischief));
    // Every other seed trades at a venue that cancels on disconnect.
    let cancels = options.seed.is_multiple_of(2);
    let raw = &file.raw.venues[0];
    let seats = [seat(&raw.market_data, false, false), seat(&raw.order_entry, true, cancels)];
    let face = FaceOptions {
        speed: Speed::Max,
        order_time: OrderTime::Arrival,
        logons_min: 0,
        subscriptions_min: 0,
    };
    (FixVenue::new(playback, &seats, face, VirtualTime), next_due)
}

/// The market data stage.
fn feed(
    config: &MakerConfig,
    net: &Net,
    raw: &RawSession,
    symbols: &Symbols,
    ring: Producer<MarketEvent>,
) -> Feed<WireDial, MemoryStore> {
    let settings = FeedConfig {
        market_depth: 0,
        levels_max: config.book_levels_max,
        entries_max: 4096,
        time_base: TimeBase::Arrival,
        ask_again_ns: 2 * SECOND_NS,
        redial: ReconnectConfig::default(),
    };
    let line = (WireDial::new(net.clone(), Link::Feed), session(raw));
    Feed::new(settings, line, (symbols.clone(), plain::RULES), ring, None)
}

/// The order entry stage.
fn entry(
    config: &MakerConfig,
    net: &Net,
    raw: &RawSession,
    symbols: Symbols,
    rings: (Consumer<OrderIntent>, Producer<OrderEvent>),
) -> Result<OrderEntry<WireDial, MemoryStore>, SimulationError> {
    let settings = OrderEntryConfig {
        epoch: 1,
        orders_max: config.orders_max,
        time_base: TimeBase::Arrival,
        account: None,
        redial: ReconnectConfig::default(),
        wind_down_ns: 2 * SECOND_NS,
    };
    let line = (WireDial::new(net.clone(), Link::Orders), session(raw));
    let exec_ids = ExecIds::new(1 << 16);
    Ok(OrderEntry::new(settings, line, (symbols, plain::RULES), exec_ids, rings, None)?)
}

/// The run's journal.
fn diary(file: &ConfigFile, started: Nanos, options: &Options) -> Result<Diary, SimulationError> {
    let binary = env!("CARGO_PKG_VERSION").to_owned();
    let resumption = None;
    let header = Header { epoch: 1, started, binary, config: file.text.clone(), resumption };
    Ok(Diary::new(&header, options.bug == Some(PlantedBug::TornJournal))?)
}

/// What a run's length makes of its seed: the market, and what goes wrong when.
fn schedule(options: &Options) -> (SyntheticOptions, Vec<Episode>) {
    let length = options.length_ns();
    let synthetic = SyntheticOptions::new(options.seed, Some(length / super::STRETCH));
    let calm = length.saturating_sub(CALM_NS);
    let first = synthetic.start.plus(FIRST_FAULT_NS.min(calm));
    let plan = faults::plan(options.seed, &options.faults, first, synthetic.start.plus(calm));
    (synthetic, plan)
}

/// Counts the episodes that the tape and the venue begin by themselves.
fn counted(plan: &[Episode]) -> Seen {
    let mut seen = Seen::default();
    for episode in plan {
        if episode.fault.is_of_market() || mischief::is_of_venue(episode.fault) {
            *seen.faults.entry(episode.fault.name()).or_default() += 1;
        }
    }
    seen
}

impl World {
    /// Builds everything; nothing is connected before the first step.
    pub fn new(options: &Options) -> Result<World, SimulationError> {
        let file = super::config()?;
        let checker = Checker::new(&file.maker(1)?);
        let file = super::spoiled(file, options.bug)?;
        let config = file.maker(1)?;
        let (synthetic, plan) = schedule(options);
        let start = synthetic.start;
        let diary = diary(&file, start, options)?;
        let end = start.plus(options.length_ns());
        let (venue, next_due) = venue(&file, &config, options, synthetic, &plan);
        let net = Net::new(Random::stream(options.seed, 0x0E70), start);
        let wired = live::wire_maker(&config, MakerTime::Clock, 0, Counter::monotonic());
        let (maker, mut ends) = wired.map_err(SimulationError::Maker)?;
        let (Some(events_out), Some(market), Some(intents_in)) =
            (ends.orders.pop(), ends.market.pop(), ends.intents.pop())
        else {
            return Err(SimulationError::NoVenue);
        };
        let symbols = Symbols::new(VenueId(0), &config.instruments)?;
        let raw = &file.raw.venues[0];
        let (intents_out, intents) = ring::slots(1024);
        let (events, events_in) = ring::slots(TAPPED_EVENTS);
        let feed = feed(&config, &net, &raw.market_data, &symbols, market);
        let entry = entry(&config, &net, &raw.order_entry, symbols, (intents, events))?;
        let tap = Tap {
            intents_in,
            intents_out,
            events_in,
            events_out,
            bug: options.bug,
            held_until: start,
            seen: 0,
            last_new: None,
        };
        Ok(World {
            now: start,
            end,
            net,
            venue,
            next_due,
            feed,
            entry,
            maker,
            is_maker_done: false,
            tap,
            control: ends.control,
            journal: ends.journal,
            telemetry: ends.telemetry,
            checker,
            diary,
            seen: counted(&plan),
            plan: plan.into(),
            endings: Vec::new(),
            calm_from: start,
            compared_at: start,
            is_diary_lost: false,
            paused: false,
            halted_since: None,
        })
    }

    /// Runs to the end of the tape or to the first violation.
    pub fn run(&mut self) {
        while self.now < self.end && self.checker.violation().is_none() {
            self.step();
        }
        if self.checker.violation().is_none() {
            self.check_liveness();
        }
        self.order(Control::Shutdown);
        let end = self.now.plus(WIND_DOWN_NS);
        let settled = self.now.plus(SETTLE_NS);
        while self.checker.violation().is_none()
            && self.now < end
            && !(self.is_maker_done && self.now > settled)
        {
            self.step();
        }
        if self.checker.violation().is_none() {
            self.check_end();
        }
    }

    /// The checker's findings.
    pub fn checker(&self) -> &Checker {
        &self.checker
    }

    /// The maker, for the report.
    pub fn maker(&self) -> &MakerStage {
        &self.maker
    }

    /// The venue, for the report.
    pub fn venue(&self) -> &SimVenue {
        &self.venue
    }

    /// The network, for the report.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// Order entry, for the report.
    pub fn entry(&self) -> &OrderEntry<WireDial, MemoryStore> {
        &self.entry
    }

    /// The feed, for the report.
    pub fn feed(&self) -> &Feed<WireDial, MemoryStore> {
        &self.feed
    }

    /// What was counted.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Virtual time.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// Goes to the next moment at which something is due, and lets everything happen there.
    fn step(&mut self) {
        let grid = Nanos(self.now.0 - self.now.0 % GRID_NS + GRID_NS);
        let episode = self.plan.front().map(|episode| episode.from);
        let ending = self.endings.iter().map(|(at, _)| *at).min();
        let due = [self.net.next_due(), self.next_due.get(), episode, ending];
        let due = due.into_iter().flatten().filter(|at| *at > self.now).min();
        self.now = due.map_or(grid, |due| due.min(grid));
        self.net.advance(self.now);
        self.begin_faults();
        self.end_faults();
        self.settle();
        let maker = self.maker.maker();
        self.checker.on_step(self.now, maker, self.venue.playback().exchange());
        if self.now == grid {
            let session = self.entry.session();
            let is_told = session.is_logged_on() || self.now < self.tap.held_until;
            self.checker.on_grid(self.now, is_told, self.maker.maker());
            self.keep_diary();
            self.operate();
            self.compare();
        }
    }

    /// Turns every stage until nothing moves.
    fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let now = self.now;
            for end in self.net.accept() {
                self.venue.accept(now, end);
            }
            let mut is_busy = self.venue.turn(now) == Turn::Busy;
            is_busy |= self.feed.turn(now) == Turn::Busy;
            if !self.is_maker_done {
                let turn = self.maker.turn(now);
                is_busy |= turn == Turn::Busy;
                self.is_maker_done = turn == Turn::Done;
            }
            self.drain();
            let is_killed = self.checker.is_killed();
            let checker = &mut self.checker;
            is_busy |= self.tap.turn(now, is_killed, |intent| checker.on_intent(intent));
            is_busy |= self.entry.turn(now) == Turn::Busy;
            if !is_busy && !self.tap.has_work(now) {
                return;
            }
        }
        self.checker.fail("settles", format!("after {ROUNDS_MAX} turns something still moves"));
    }

    fn drain(&mut self) {
        while let Some(entry) = self.journal.pop() {
            if let Entry::Intent { intent, .. } = &entry {
                self.seen.hash.update(intent);
            }
            self.is_diary_lost |= self.diary.take(&entry);
            self.checker.on_journal(&entry);
        }
        while let Some(telemetry) = self.telemetry.pop() {
            if let Telemetry::Happened(Record::State { instrument, state, reason, .. }) = telemetry
            {
                self.checker.on_told(instrument, state);
                let name = format!("{state:?}: {}", reason.name());
                *self.seen.states.entry(name).or_default() += 1;
            }
        }
    }

    /// As live: what was journaled is written every so often, and where that fails the run ends.
    fn keep_diary(&mut self) {
        self.is_diary_lost |= self.diary.flush();
        if std::mem::take(&mut self.is_diary_lost) {
            self.order(Control::Shutdown);
        }
    }

    fn begin_faults(&mut self) {
        while let Some(episode) = self.plan.front().copied().filter(|e| e.from <= self.now) {
            self.plan.pop_front();
            self.calm_from = self.calm_from.max(episode.until);
            let link = Link::BOTH[(episode.dice & 1) as usize];
            let end = if episode.dice & 2 == 0 { End::Ours } else { End::Theirs };
            let number = episode.dice >> 8;
            match episode.fault {
                Fault::Segments => {
                    self.net.fragment(1 + (number % 40) as usize);
                    self.endings.push((episode.until, Ending::Segments));
                }
                Fault::Delay => {
                    self.net.jitter(1_000_000 << (number % 11));
                    self.endings.push((episode.until, Ending::Delay));
                }
                Fault::Disconnect => self.net.cut(link, end, (number % 500) as usize),
                Fault::HalfOpen => self.net.silence(link),
                Fault::SlowConsumer => self.net.stall(link, episode.until),
                Fault::SequenceGap => self.net.lose_next(link, end),
                Fault::VenueOutage => self.net.take_down(episode.until),
                Fault::FullRing => self.tap.held_until = episode.until,
                Fault::Pause => {
                    self.paused = true;
                    self.order(Control::Pause(InstrumentId(0)));
                    self.endings.push((episode.until, Ending::Resume));
                }
                Fault::Kill => self.order(Control::Kill),
                Fault::LinksStop => self.stop_links(link, episode, number),
                Fault::JournalFails => self.diary.break_disk(match number & 1 {
                    0 => ErrorKind::StorageFull,
                    _ => ErrorKind::Other,
                }),
                // The tape's and the venue's own; counted when the plan was made.
                Fault::DuplicateReports
                | Fault::LostAcks
                | Fault::RejectStorm
                | Fault::UnsolicitedCancels
                | Fault::StaleMarket
                | Fault::CrossedMarket
                | Fault::GappedMarket
                | Fault::Spike => continue,
            }
            *self.seen.faults.entry(episode.fault.name()).or_default() += 1;
        }
    }

    /// One link ends now and one a little later; which comes back first is chance too.
    fn stop_links(&mut self, first: Link, episode: Episode, number: u64) {
        let length = episode.until.since(episode.from);
        let part = |share: u64| episode.from.plus(length / 256 * share);
        let second = match first {
            Link::Feed => Link::Orders,
            Link::Orders => Link::Feed,
        };
        let later = part(number & 0x7F);
        self.net.stop(first, part(0x80 + (number >> 8 & 0x7F)));
        self.endings.push((later, Ending::Stop(second, part(0x80 + (number >> 16 & 0x7F)))));
    }

    fn end_faults(&mut self) {
        let now = self.now;
        let (over, on): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.endings).into_iter().partition(|(at, _)| *at <= now);
        self.endings = on;
        for (_, ending) in over {
            match ending {
                Ending::Segments => self.net.fragment(0),
                Ending::Delay => self.net.jitter(0),
                Ending::Stop(link, until) => self.net.stop(link, until),
                Ending::Resume => {
                    self.paused = false;
                    self.order(Control::Resume(InstrumentId(0)));
                }
            }
        }
    }

    fn order(&mut self, control: Control) {
        if self.control.push(control).is_err() {
            self.checker.fail("operator_is_heard", format!("{control:?} found the ring full"));
        }
    }

    /// The operator's hand: what halted is looked at and resumed.
    fn operate(&mut self) {
        let maker = self.maker.maker();
        let quoted = InstrumentId(0);
        let is_halted = maker.snapshot(quoted).is_some_and(|s| s.state == State::Halted);
        if !is_halted || maker.is_killed() || self.paused {
            self.halted_since = None;
            return;
        }
        let since = *self.halted_since.get_or_insert(self.now);
        if self.now.since(since) >= RESUME_AFTER_NS {
            self.halted_since = None;
            self.seen.resumes += 1;
            self.order(Control::Resume(quoted));
        }
    }

    /// Once a second, where nothing was wrong for long enough: do the accounts agree?
    fn compare(&mut self) {
        let session = self.entry.session();
        if !session.is_logged_on() || !session.is_synced() {
            self.calm_from = self.calm_from.max(self.now);
        }
        let is_calm = self.now.since(self.calm_from) >= SETTLE_NS;
        let is_due = self.now.since(self.compared_at) >= SECOND_NS;
        if is_calm && is_due && self.net.is_idle() && self.tap.is_empty() {
            self.compared_at = self.now;
            self.checker.on_quiet(self.maker.maker(), self.venue.playback().exchange());
        }
    }

    /// The faults are over for long: the quoted instrument quotes, or says why it does not.
    fn check_liveness(&mut self) {
        let Some(snapshot) = self.maker.maker().snapshot(InstrumentId(0)) else { return };
        let has_quotes = snapshot.quotes.iter().any(Option::is_some);
        let says_why = match snapshot.state {
            State::Quoting | State::Reducing => has_quotes,
            State::Paused => snapshot.reason == Reason::Concentration,
            State::Halted => true,
        };
        if !says_why {
            let (state, reason) = (snapshot.state, snapshot.reason.name());
            let detail = format!("{state:?} ({reason}), quotes {:?}", snapshot.quotes);
            self.checker.fail("quoting_resumes", detail);
        }
    }

    /// After the shutdown: nothing of ours is left at the venue, and the accounts agree.
    fn check_end(&mut self) {
        let exchange = self.venue.playback().exchange();
        let live = exchange.live_orders(crate::venue::order::Participant(0));
        if live > 0 || !self.is_maker_done {
            let known = self.maker.maker().live_orders();
            self.checker.fail("ends_clean", format!("venue {live} orders, maker {known}"));
            return;
        }
        self.checker.on_quiet(self.maker.maker(), exchange);
        if let Some(told) = self.diary.check(self.maker.inputs()) {
            self.checker.fail("journal_replays", told);
        }
    }
}
