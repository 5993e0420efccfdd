//! Everything at once: venue, network and the Ballast process, turned by one loop in virtual time.
//!
//! Fed by a seed and a plan; feeds the checker after every step. The stages are those that run live:
//! only the sockets, the clock and the hands that turn them are different. One thread. Time goes to
//! the next thing that is due: bytes that arrive, a tape's event, a fault, or the maker's timer. What
//! begins and ends faults is in `onset.rs`, what people do in `people.rs`.

use super::check::Checker;
use super::faults::Episode;
use super::market::NextDue;
use super::network::{Link, Net};
use super::process::{Process, Remains, STAGES, Start};
use super::scene::{self, SimVenue};
use super::tap::PlantedBug;
use super::wire::Wiretap;
use super::{Options, SimulationError};
use crate::config::ConfigFile;
use crate::operator::standing::Pnl;
use crate::random::Random;
use crate::venue::order::Participant;
use ballast_engine::event::InstrumentId;
use ballast_engine::journal::hash::IntentsHash;
use ballast_engine::journal::record::Record as Entry;
use ballast_engine::maker::Maker;
use ballast_engine::maker::input::Control;
use ballast_engine::maker::intents::Record;
use ballast_engine::maker::stage::Telemetry;
use ballast_engine::risk::state::{Reason, State};
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::Nanos;
use std::collections::{BTreeMap, VecDeque};

/// Most turns until nothing moves at one moment; more is a loop.
const ROUNDS_MAX: usize = 100_000;
/// The loop looks at least so often: the maker's timer.
const GRID_NS: u64 = 100_000_000;
pub(super) const SECOND_NS: u64 = 1_000_000_000;
/// After a fault or an interruption: how long until accounts must agree.
const SETTLE_NS: u64 = 20 * SECOND_NS;
/// After the end: how long the last cancels may take.
pub(super) const WIND_DOWN_NS: u64 = 60 * SECOND_NS;

/// What an episode's end does.
pub(super) enum Ending {
    Segments,
    Delay,
    Resume,
    /// The second of two links ends, until then.
    Stop(Link, Nanos),
    /// A process starts.
    Start,
    /// An operator lifts a kill, and a process starts.
    Lift,
}

/// Why a process is being ended in order; another starts after it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Another config.
    Reload,
    /// The venue has forgotten the session: its messages were moved away, as docs/recovery.md says.
    Forget,
    /// The journal could not be written; the disk is mended.
    Mend,
}

/// The whole system.
pub struct World {
    pub(super) now: Nanos,
    end: Nanos,
    pub(super) net: Net,
    pub(super) venue: SimVenue,
    next_due: NextDue,
    pub(super) file: ConfigFile,
    pub(super) bug: Option<PlantedBug>,
    pub(super) epoch: u32,
    pub(super) process: Option<Process>,
    /// What the last process left, while none runs.
    pub(super) remains: Option<Remains>,
    /// How far the host's clock is from the world's, and what the process in hand took it for.
    pub(super) clock_off: i64,
    process_off: i64,
    /// The process dies after so many turns of its stages that did something, and comes back then.
    pub(super) dies: Option<(u64, Nanos)>,
    pub(super) leaving: Option<(Leaving, Nanos)>,
    /// A kill is in force, and what comes after it has not been allowed.
    pub(super) is_killed: bool,
    /// A kill, a lost journal or the end: no process comes after this one.
    pub(super) is_final: bool,
    pub(super) checker: Checker,
    pub(super) plan: VecDeque<Episode>,
    pub(super) endings: Vec<(Nanos, Ending)>,
    pub(super) calm_from: Nanos,
    /// What is sent arrives from then on, as far as faults are concerned.
    pub(super) way_clear_from: Nanos,
    compared_at: Nanos,
    pub(super) is_diary_lost: bool,
    pub(super) paused: bool,
    pub(super) waiting_since: Vec<Option<Nanos>>,
    pub(super) seen: Seen,
}

/// What is counted along the way, all of it from the seed.
#[derive(Default)]
pub struct Seen {
    /// Episodes that began, by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// Changes of state of all instruments, by state and reason.
    pub states: BTreeMap<String, u64>,
    /// Times that the operator resumed.
    pub resumes: u64,
    /// Times that the operator put a position right that the venue knew otherwise.
    pub adjusted: u64,
    /// Kills that an operator lifted.
    pub kills_lifted: u64,
    /// What runs went on from: inputs replayed, orders in doubt, messages told again, requests out of the
    /// message store.
    pub recovered: [u64; 4],
    /// SHA-256 over all intents.
    pub hash: IntentsHash,
    /// What processes that are gone have counted.
    pub counts: BTreeMap<&'static str, u64>,
}

impl World {
    /// Builds everything; nothing is connected before the first step.
    pub fn new(options: &Options) -> Result<World, SimulationError> {
        let file = super::config_of(options.seed)?;
        let checker = Checker::new(&file.maker(1)?);
        let file = super::spoiled(file, options.bug)?;
        let config = file.maker(1)?;
        let (synthetic, plan) = scene::schedule(options);
        let start = synthetic.start;
        let (venue, next_due) = scene::venue(&file, &config, options, synthetic, &plan);
        let mut world = World {
            now: start,
            end: start.plus(options.length_ns()),
            net: Net::new(Random::stream(options.seed, 0x0E70), start),
            venue,
            next_due,
            file,
            bug: options.bug,
            epoch: 0,
            process: None,
            remains: None,
            clock_off: 0,
            process_off: 0,
            dies: None,
            leaving: None,
            is_killed: false,
            is_final: false,
            checker,
            seen: Seen { faults: scene::counted(&plan), ..Seen::default() },
            plan: plan.into(),
            endings: Vec::new(),
            calm_from: start,
            way_clear_from: start,
            compared_at: start,
            is_diary_lost: false,
            paused: false,
            waiting_since: vec![None; config.instruments.len()],
        };
        world.start_process()?;
        Ok(world)
    }

    /// A run begins, from nothing or from what the one before left.
    pub(super) fn start_process(&mut self) -> Result<(), SimulationError> {
        self.epoch += 1;
        self.process_off = self.clock_off;
        let at = self.host_now();
        let start = Start { epoch: self.epoch, at, bug: self.bug };
        let (process, ended) = Process::start(&self.net, &self.file, start, self.remains.take())?;
        if let Some((told, wrong)) = &ended {
            if let Some(wrong) = wrong {
                self.checker.fail("journal_replays", wrong.clone());
            }
            let went_on = [told.inputs, told.orders as u64, told.undelivered];
            let went_on = went_on.into_iter().chain([told.unjournaled as u64]);
            self.seen.recovered.iter_mut().zip(went_on).for_each(|(sum, more)| *sum += more);
        }
        self.checker.on_start(at, ended.as_ref().map(|(told, _)| told));
        self.process = Some(process);
        Ok(())
    }

    /// Causes and total of the maker that runs.
    fn pnl(&self) -> Option<Pnl> {
        let (mut causes, total) = self.maker()?.pnl()?;
        let counters = self.maker()?.counters();
        if self.bug == Some(PlantedBug::MiscountedPnl) && counters.fills > 0 {
            causes[0].1.0 += 1;
        }
        Some((causes, total))
    }

    /// Runs to the end of the tape or to the first violation.
    pub fn run(&mut self) {
        while self.now < self.end && self.checker.violation().is_none() {
            self.step();
        }
        if self.checker.violation().is_none() {
            self.check_liveness();
        }
        // A run that its journal ended hears no more of trades that are undone later; the next one would.
        // Nor does one that a kill made the last and whose session the venue then forgot.
        let has_heard_all = !self.is_done() && self.is_in_step();
        self.is_final = true;
        self.order(Control::Shutdown);
        let end = self.now.plus(WIND_DOWN_NS);
        let settled = self.now.plus(SETTLE_NS);
        while self.checker.violation().is_none()
            && self.now < end
            && !(self.is_done() && self.now > settled)
        {
            self.step();
        }
        if self.checker.violation().is_none() {
            self.check_end(has_heard_all);
        }
    }

    /// The checker's findings.
    pub fn checker(&self) -> &Checker {
        &self.checker
    }

    /// The maker that runs, for the report.
    pub fn maker(&self) -> Option<&Maker> {
        self.process.as_ref().map(Process::maker)
    }

    /// The venue, for the report.
    pub fn venue(&self) -> &SimVenue {
        &self.venue
    }

    /// The network, for the report.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// How many processes there were.
    pub fn processes(&self) -> u32 {
        self.epoch
    }

    /// What all processes have counted.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut sums = self.seen.counts.clone();
        if let Some(process) = &self.process {
            process.add_counts(&mut sums);
        }
        sums
    }

    /// What was counted.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Virtual time.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// Virtual time as the process reads it.
    pub(super) fn host_now(&self) -> Nanos {
        Nanos(self.now.0.saturating_add_signed(self.process_off))
    }

    fn is_done(&self) -> bool {
        self.process.as_ref().is_none_or(Process::is_done)
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
        let host = self.host_now();
        let maker = self.process.as_ref().map(Process::maker);
        let pnl = self.pnl();
        self.checker.on_step(host, maker, pnl, self.venue.playback().exchange());
        if self.now == grid {
            if let Some(process) = &mut self.process {
                let checker = &mut self.checker;
                process.alarm.look(host, |telling| checker.on_alert(telling));
                let is_told = process.session().is_logged_on() || self.now < process.tap.held_until;
                self.checker.on_grid(host, is_told, process.maker());
                let is_up = process.session().is_logged_on() && self.now >= self.way_clear_from;
                self.checker.on_standing(host, is_up, self.venue.playback().exchange());
            }
            self.keep_diary();
            self.keep_process();
            self.operate();
            self.compare();
        }
    }

    /// Turns every stage until nothing moves.
    fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            for end in self.net.accept() {
                self.venue.accept(self.now, end);
            }
            let mut is_busy = self.venue.turn(self.now) == Turn::Busy;
            for stage in 0..STAGES {
                is_busy |= self.turn_process(stage);
            }
            let now = self.now;
            let has_work = self.process.as_mut().is_some_and(|process| process.tap.has_work(now));
            if !is_busy && !has_work {
                return;
            }
        }
        self.checker.fail("settles", format!("after {ROUNDS_MAX} turns something still moves"));
    }

    /// One turn of one stage, behind which the process may die.
    fn turn_process(&mut self, stage: u64) -> bool {
        let times = (self.host_now(), self.now);
        let is_killed = self.checker.is_killed();
        let Some(process) = &mut self.process else { return false };
        let checker = &mut self.checker;
        let is_busy = process.turn(stage, times, is_killed, |intent| checker.on_intent(intent));
        self.net.wiretap(Wiretap::take).iter().for_each(|said| checker.on_said(said));
        match &mut self.dies {
            Some((0, comes_back)) => {
                let comes_back = *comes_back;
                self.die(comes_back);
            }
            // At a moment at which something happens.
            Some((turns, _)) if is_busy => *turns -= 1,
            Some(_) | None => {}
        }
        self.drain();
        is_busy
    }

    fn drain(&mut self) {
        let Some(process) = &mut self.process else { return };
        while let Some(entry) = process.journal.pop() {
            if let Entry::Intent { intent, .. } = &entry {
                self.seen.hash.update(intent);
            }
            self.is_diary_lost |= process.diary.take(&entry);
            self.checker.on_journal(&entry);
        }
        while let Some(telemetry) = process.telemetry.pop() {
            process.alarm.see(&telemetry);
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
        self.is_diary_lost |= self.process.as_mut().is_some_and(|process| process.diary.flush());
        if std::mem::take(&mut self.is_diary_lost) {
            self.lose_diary();
        }
    }

    pub(super) fn order(&mut self, control: Control) {
        let Some(process) = &mut self.process else { return };
        if process.control.push(control).is_err() {
            self.checker.fail("operator_is_heard", format!("{control:?} found the ring full"));
        }
    }

    /// Nothing was wrong for long enough that the accounts must agree.
    pub(super) fn is_calm(&self) -> bool {
        self.now.since(self.calm_from) >= SETTLE_NS && self.net.is_idle()
    }

    /// The order session is up, and nothing of it is missing.
    fn is_in_step(&self) -> bool {
        let session = self.process.as_ref().map(Process::session);
        session.is_some_and(|session| session.is_logged_on() && session.is_synced())
    }

    /// Once a second, where nothing was wrong for long enough: do the accounts agree?
    fn compare(&mut self) {
        if !self.is_in_step() {
            self.calm_from = self.calm_from.max(self.now);
        }
        let is_due = self.now.since(self.compared_at) >= SECOND_NS;
        let hears = |process: &&Process| process.tap.is_empty() && !process.is_done();
        let Some(process) = self.process.as_ref().filter(hears) else { return };
        if self.is_calm() && is_due {
            self.compared_at = self.now;
            self.checker.on_quiet(process.maker(), self.venue.playback().exchange());
        }
    }

    /// The faults are over for long: the quoted instrument quotes, or says why it does not.
    fn check_liveness(&mut self) {
        let quoted = InstrumentId(0);
        let Some(snapshot) = self.maker().and_then(|maker| maker.snapshot(quoted)) else {
            return self.checker.fail("quoting_resumes", "no process runs".into());
        };
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
    fn check_end(&mut self, has_heard_all: bool) {
        let is_done = self.is_done();
        let exchange = self.venue.playback().exchange();
        let live = exchange.live_orders(Participant(0));
        let Some(process) = &mut self.process else { return };
        if live > 0 || !is_done {
            let known = process.maker().live_orders();
            self.checker.fail("ends_clean", format!("venue {live} orders, maker {known}"));
            return;
        }
        if has_heard_all {
            self.checker.on_quiet(process.maker(), exchange);
        }
        if let Some(told) = process.diary.check(process.inputs()) {
            self.checker.fail("journal_replays", told);
        }
    }
}
