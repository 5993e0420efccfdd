//! The one place that joins the stages: rings, maker, feeds, order entry, journal, telemetry.
//!
//! Fed by a validated config; feeds the runners. The demo, `run`, the backtest and the replay all get
//! their maker here, so that all of them run the same one. Deliberately absent: what a venue is (a
//! socket, a pipe or a function call is at the other ends of the rings).

use crate::back_office::{BackOffice, EndWhen, Measured, Progress};
use crate::cold_thread;
use crate::collateral_thread;
use crate::config::ConfigFile;
use crate::config::file::{RawRun, RunnerKind};
use crate::covariance::CovarianceRefresh;
use crate::firm::{self, LinkFault};
use crate::greek_refresh::GreekRefresh;
use crate::hedge_ratios::HedgeRatios;
use crate::hiccup::Watchful;
use crate::live_venue::{Venue, VenueFeed, VenueOrderEntry};
use crate::observer::Observer;
use crate::operator::archivist;
use crate::operator::desk::Desk;
use crate::outbox::Outbox;
use crate::refit::{Refit, RefitCounters, RefitStage, Schedule};
use crate::session_watch::SessionWatch;
use crate::state_dir::StateDir;
use crate::summary::FixCounts;
use crate::venue_session::SessionFault;
use ballast_engine::clock::{Clock, Counter};
use ballast_engine::event::{MarketEvent, OrderEvent, OrderIntent};
use ballast_engine::journal::fault::JournalFault;
use ballast_engine::journal::header::Header;
use ballast_engine::journal::market_tap::market_tap;
use ballast_engine::journal::record::Record as Entry;
use ballast_engine::journal::recorder::{Recorder, Watch};
use ballast_engine::journal::segments::Segments;
use ballast_engine::journal::writer::JournalWriter;
use ballast_engine::latency::{self, Samples};
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::{ConfigError, MakerConfig};
use ballast_engine::maker::input::Control;
use ballast_engine::maker::stage::{
    MakerLinks, MakerStage, Progress as MakerProgress, StageSettings, Telemetry, TimeBase,
};
use ballast_engine::pipeline::{
    self, Fused, OnPanic, PANIC_END, PipelineError, Ran, Seat, Stop, Wait,
};
use ballast_engine::ring::{self, Consumer, Producer, RecordConsumer};
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::Nanos;
use ballast_gateway::message_log::{LogCounts, LogError, MessageLog};
use ballast_gateway::store::{Store as _, StoreError};
use ballast_gateway::transport::Cut;
use std::sync::{Arc, Mutex};
use thiserror::Error;

/// Market events that may wait for the maker, a feed. A snapshot of a deep book passes through here.
const MARKET_RING: usize = 1 << 14;
/// Order events that may wait for the maker, a session.
const ORDER_RING: usize = 1 << 10;
/// Journal entries that may wait for the recorder.
const JOURNAL_RING: usize = 1 << 15;
/// Telemetry that may wait for the reporter.
const TELEMETRY_RING: usize = 1 << 14;
/// Market events that may wait for a refit, while one is being made.
const REFIT_RING: usize = 1 << 17;
/// Latency samples that may wait for the reporter.
const LATENCY_RING: usize = 1 << 14;

/// What a power loss may take of the journal; a killed process loses nothing that the recorder took.
const SYNC_INTERVAL_NS: u64 = 1_000_000_000;

/// The other ends of the maker's rings.
pub struct Ends {
    /// One an order session, in the venues' order.
    pub orders: Vec<Producer<OrderEvent>>,
    /// Operators.
    pub control: Producer<Control>,
    /// One a feed, in the venues' order.
    pub market: Vec<Producer<MarketEvent>>,
    /// One a venue.
    pub intents: Vec<Consumer<OrderIntent>>,
    /// To the journal.
    pub journal: RecordConsumer<Entry>,
    /// To the report.
    pub telemetry: RecordConsumer<Telemetry>,
    /// The maker's latency marks.
    pub samples: Samples,
    /// How far it has come.
    pub progress: Arc<MakerProgress>,
}

/// How much the maker's rings hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RingSizes {
    /// Market events, a feed.
    pub market: usize,
    /// Journal entries; more where a step may leave more.
    pub journal: usize,
    /// Telemetry.
    pub telemetry: usize,
}

impl RingSizes {
    /// Between threads.
    pub const LIVE: RingSizes =
        RingSizes { market: MARKET_RING, journal: JOURNAL_RING, telemetry: TELEMETRY_RING };
    /// Where one thread empties them after each turn: larger ones would be walked through for nothing,
    /// out of the cache and over pages that no run had touched yet.
    pub const VIRTUAL: RingSizes =
        RingSizes { market: 1 << 7, journal: 1 << 9, telemetry: 1 << 11 };
}

/// Builds a maker with its rings. `sample_interval_ns` is the distance of telemetry samples in the
/// maker's time, 0 for none.
pub fn wire_maker(
    config: &MakerConfig,
    time: TimeBase,
    sample_interval_ns: u64,
    counter: Counter,
) -> Result<(MakerStage, Ends), Vec<ConfigError>> {
    wire_maker_sized(config, time, sample_interval_ns, counter, RingSizes::LIVE)
}

/// The same with rings of other sizes.
pub fn wire_maker_sized(
    config: &MakerConfig,
    time: TimeBase,
    sample_interval_ns: u64,
    counter: Counter,
    sizes: RingSizes,
) -> Result<(MakerStage, Ends), Vec<ConfigError>> {
    let maker = Maker::new(config)?;
    let intents_max = Maker::intents_max(config);
    let venues = config.message_rates.len();
    // A step may leave `intents_max` behind, a timer before it as many.
    let intent_ring = (4 * intents_max).next_power_of_two();
    let journal_ring = sizes.journal.max((8 * intents_max).next_power_of_two());
    let (orders_in, orders_out) = (0..venues).map(|_| ring::slots(ORDER_RING)).unzip();
    let (market_in, market_out) = (0..venues).map(|_| ring::slots(sizes.market)).unzip();
    let (intents_in, intents_out) = (0..venues).map(|_| ring::slots(intent_ring)).unzip();
    let (control_in, control_out) = ring::slots(16);
    let (journal_in, journal_out) = ring::records(journal_ring);
    let (telemetry_in, telemetry_out) = ring::records(sizes.telemetry);
    let (probe, samples) = latency::probe(counter, LATENCY_RING);
    let progress = Arc::new(MakerProgress::default());
    let links = MakerLinks {
        orders: orders_out,
        control: control_out,
        market: market_out,
        intents: intents_in,
        journal: journal_in,
        telemetry: telemetry_in,
    };
    let settings = StageSettings {
        time,
        timer_interval_ns: config.timer_interval_ns,
        sample_interval_ns,
        intents_max,
    };
    let stage = MakerStage::new(maker, links, settings, probe, progress.clone());
    let ends = Ends {
        orders: orders_in,
        control: control_in,
        market: market_in,
        intents: intents_out,
        journal: journal_out,
        telemetry: telemetry_out,
        samples,
        progress,
    };
    Ok((stage, ends))
}

/// What a live run is told beside its config.
pub struct LiveOptions {
    /// What the maker's time is: the clock's, or the events' own.
    pub time: TimeBase,
    /// On the events' time: how long an answer on an order is on its way.
    pub answer_delay_ns: u64,
    /// The account is the config's, whatever the stores hold.
    pub opens_from_config: bool,
    /// When to end.
    pub end: Box<dyn EndWhen>,
    /// What to show while it runs.
    pub progress: Box<dyn Progress>,
    /// Where every FIX message is written down, if at all.
    pub fix_log: Option<MessageLog>,
}

/// Why a live run did not start.
#[derive(Debug, Error)]
pub enum LiveError {
    /// The config as a whole is wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Config(Vec<ConfigError>),
    /// A session cannot be made.
    #[error("venues.{venue}: {source}")]
    Session {
        /// Which venue.
        venue: String,
        /// What is wrong with it.
        source: SessionFault,
    },
    /// The journal cannot be made.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// A message store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A message log cannot be opened.
    #[error(transparent)]
    FixLog(#[from] LogError),
    /// The link to the firm's broker.
    #[error(transparent)]
    Firm(#[from] LinkFault),
    /// Names that FIX text cannot carry.
    #[error("venues.{venue}: {why}")]
    Names {
        /// Which venue.
        venue: String,
        /// What is wrong.
        why: String,
    },
}

/// What the stages leave behind when they are done.
#[derive(Default)]
pub struct Remains {
    /// The maker.
    pub maker: Option<Maker>,
    /// Telemetry that found no room.
    pub telemetry_dropped: u64,
    /// Messages of all sessions.
    pub fix: FixCounts,
    /// Orders that may still work at a venue, one line each venue that has some.
    pub left_working: Vec<String>,
    /// Journal, series, faults.
    pub office: Option<BackOffice>,
    /// What became of the refits, where there were any.
    pub refits: Option<RefitCounters>,
    /// The message log, where one was asked for.
    pub fix_log: Option<LogCounts>,
}

/// A pipeline that is ready to run.
pub struct Pipeline {
    /// The stages with their places.
    pub seats: Vec<Seat<'static>>,
    /// Filled as stages are done.
    pub remains: Arc<Mutex<Remains>>,
    /// The sessions, and whether each is logged on.
    pub sessions: Vec<SessionWatch>,
    /// How far the maker has come.
    pub progress: Arc<MakerProgress>,
    /// The operator's way to the maker and to order entry.
    pub desk: Arc<Desk>,
}

/// A stage that tells its sessions' watches after each turn how they stand.
struct Watched<S, F> {
    stage: S,
    tell: F,
}

impl<S: Stage, F: Fn(&S) + Send> Stage for Watched<S, F> {
    fn name(&self) -> &'static str {
        self.stage.name()
    }

    #[inline]
    fn turn(&mut self, now: Nanos) -> Turn {
        let turn = self.stage.turn(now);
        (self.tell)(&self.stage);
        turn
    }
}

/// A stage that hands itself over when it is done, so that its rings disconnect and its counts stay. Also
/// where it was stopped or panicked: what it leaves at a venue is told in any case.
struct Kept<S: Stage, F: FnOnce(S) + Send> {
    stage: Option<S>,
    keep: Option<F>,
    name: &'static str,
    /// It had a turn: one that never ran leaves nothing.
    has_begun: bool,
}

impl<S: Stage, F: FnOnce(S) + Send> Kept<S, F> {
    fn new(stage: S, keep: F) -> Kept<S, F> {
        Kept { name: stage.name(), stage: Some(stage), keep: Some(keep), has_begun: false }
    }

    fn hand_over(&mut self) {
        if let (Some(stage), Some(keep)) = (self.stage.take(), self.keep.take()) {
            keep(stage);
        }
    }
}

impl<S: Stage, F: FnOnce(S) + Send> Drop for Kept<S, F> {
    fn drop(&mut self) {
        if self.has_begun {
            self.hand_over();
        }
    }
}

impl<S: Stage, F: FnOnce(S) + Send> Stage for Kept<S, F> {
    fn name(&self) -> &'static str {
        self.name
    }

    #[inline]
    fn turn(&mut self, now: Nanos) -> Turn {
        self.has_begun = true;
        let Some(stage) = &mut self.stage else { return Turn::Done };
        let turn = stage.turn(now);
        if turn == Turn::Done {
            self.hand_over();
        }
        turn
    }
}

/// This run's journal: its segments, the header written.
fn journal(
    file: &ConfigFile,
    config: &MakerConfig,
    state: &StateDir,
) -> Result<JournalWriter<Segments>, JournalFault> {
    let header = Header {
        epoch: state.epoch(),
        started: Nanos(0),
        binary: archivist::binary_identity(),
        config: file.text.clone(),
        resumption: config.resumption.clone(),
    };
    let segments = archivist::segments(state, &file.raw.journal)?;
    let mut writer = JournalWriter::over(segments, &state.journal(), &header)?;
    // The next run goes on from what stands in the header: nothing is traded before the disk has it.
    writer.sync()?;
    Ok(writer)
}

/// The journal's stage: what it has written makes an operator's act done.
fn recorder(
    ring: RecordConsumer<Entry>,
    journal: JournalWriter<Segments>,
    desk: &Desk,
) -> Recorder<Segments> {
    Recorder::new(ring, journal, SYNC_INTERVAL_NS).witnessed(desk.journal_watch())
}

/// Joins everything that `file` describes. Nothing is connected before the first turn.
pub fn pipeline(
    file: &ConfigFile,
    config: &MakerConfig,
    state: &StateDir,
    counter: Counter,
    options: LiveOptions,
) -> Result<Pipeline, LiveError> {
    let sample_ns = file.raw.run.sample_ms.saturating_mul(1_000_000);
    let (maker, ends) =
        wire_maker(config, options.time, sample_ns, counter).map_err(LiveError::Config)?;
    let remains = Arc::new(Mutex::new(Remains::default()));
    let mut fix_log = options.fix_log;
    let mut samples = vec![ends.samples];
    let (mut feeds, mut entries) = (Vec::new(), Vec::new());
    let (mut sessions, mut lines) = (Vec::new(), Vec::new());
    let links = ends.market.into_iter().zip(ends.intents).zip(ends.orders);
    for (n, ((market, intents), orders)) in links.enumerate() {
        let venue = Venue::new(file, config, n, options.time, options.answer_delay_ns)?
            .opening_from_config(options.opens_from_config);
        let (probe, marks) = latency::probe(counter, LATENCY_RING);
        samples.push(marks);
        let [feed_watch, entry_watch] = venue.names().map(SessionWatch::new);
        let copy_watch = venue.copy_name().map(SessionWatch::of_copies);
        sessions.extend([feed_watch.clone(), entry_watch.clone()]);
        sessions.extend(copy_watch.clone());
        let told = [feed_watch.told(), entry_watch.told()];
        let [feed_ears, entry_ears] = venue.ears(&mut fix_log, told)?;
        let copy_ears = venue.copy_ears(&mut fix_log, copy_watch.as_ref())?;
        feeds.push(boxed_feed(venue.feed(market, probe, feed_ears)?, feed_watch, &remains));
        let (probe, marks) = latency::probe(counter, LATENCY_RING);
        samples.push(marks);
        let (rings, ears, cut) = ((intents, orders), (entry_ears, copy_ears), Cut::default());
        let entry = venue.order_entry(state, rings, probe, ears, &cut)?;
        lines.push(venue.order_line(&entry, &entry_watch, cut));
        entries.push((entry, (entry_watch, copy_watch)));
    }
    let progress = ends.progress.clone();
    let desk = Arc::new(Desk::new(ends.control, progress, lines, sessions.clone(), state, config));
    let (tap, refit) = refit(file, &desk);
    let recorder = recorder(ends.journal, journal(file, config, state)?, &desk);
    let maker = boxed_maker(maker, &remains, &desk);
    let entries = boxed_entries(entries, &remains, &desk);
    let (mut seats, hiccups) = hot_seats(&file.raw.run, feeds, maker, entries);
    let office = BackOffice {
        recorder: recorder.watched(tap.into_iter().chain(cold_taps(file, config, state, &desk)?)),
        telemetry: ends.telemetry,
        measured: Measured::new(samples, hiccups, counter),
        desk: desk.clone(),
        observer: Observer::new(file, config),
        outbox: Outbox::open(state.folder(), file),
        end: options.end,
        progress: options.progress,
        is_ending: false,
        told_at: Nanos(0),
    };
    seats.push(Seat::new(boxed_office(office, &remains), None, COLD));
    seats.extend(refit.map(|refit| Seat::new(boxed_refit(refit, &remains), None, COLD)));
    seats.extend(fix_log.map(|log| Seat::new(boxed_log(log, &remains), None, COLD)));
    Ok(Pipeline { seats, remains, sessions, progress: ends.progress, desk })
}

/// Runs the pipeline until it has ended. A stage that panics is a kill: nothing new goes out, what is out
/// is cancelled by the stages that are left, and no run trades again before an operator has looked.
///
/// # Errors
/// As [`pipeline::run_guarded`].
pub fn run(seats: Vec<Seat<'_>>, clock: Clock, desk: &Desk) -> Result<Vec<Ran>, PipelineError> {
    let mut kill = |stage: &'static str, message: &str| {
        desk.kill_for_panic(&format!("stage {stage} panicked: {message}"));
        // The maker may be the one that is gone. Where it is not, its end is the end of the others.
        let _ = desk.push(Control::Shutdown);
    };
    let on_panic = OnPanic { tell: &mut kill, within: PANIC_END };
    pipeline::run_guarded(seats, clock, &Stop::new(), on_panic)
}

/// Who looks at the journal's records from threads of their own: Greeks, covariance, hedge ratios,
/// collateral, the firm's other engines.
fn cold_taps(
    file: &ConfigFile,
    config: &MakerConfig,
    state: &StateDir,
    desk: &Arc<Desk>,
) -> Result<Vec<Watch>, LinkFault> {
    let greeks = GreekRefresh::new(file, &config.options);
    let greeks = greeks.map(|refresh| cold_thread::tap_of(refresh, desk));
    let covariance = CovarianceRefresh::new(file);
    let covariance = covariance.map(|refresh| cold_thread::tap_of(refresh, desk));
    let ratios = HedgeRatios::new(file, config);
    let ratios = ratios.map(|refresh| cold_thread::tap_of(refresh, desk));
    let collateral = collateral_thread::tap_of(file, config, desk);
    let firm = firm::tap_of(file, config, state, desk)?;
    Ok([greeks, covariance, ratios, collateral, firm].into_iter().flatten().collect())
}

/// How stages that nobody waits for wait.
const COLD: Wait = Wait::Park { spins: 16, park_ns: 200_000 };

type BoxedStage = Box<dyn Stage>;

/// A panic of another stage ends the run anyway; what it left is still worth reading.
fn lock(remains: &Mutex<Remains>) -> std::sync::MutexGuard<'_, Remains> {
    remains.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn boxed_maker(maker: MakerStage, remains: &Arc<Mutex<Remains>>, desk: &Arc<Desk>) -> BoxedStage {
    let (keep, desk) = (remains.clone(), desk.clone());
    Box::new(Kept::new(maker, move |stage: MakerStage| {
        desk.end();
        let mut remains = lock(&keep);
        remains.telemetry_dropped = stage.telemetry_dropped();
        remains.maker = Some(stage.into_maker());
    }))
}

/// The refits that the config asks for, and where the recorder hands them the market.
fn refit(file: &ConfigFile, desk: &Arc<Desk>) -> (Option<Watch>, Option<RefitStage>) {
    let Some(schedule) = Schedule::of(file) else { return (None, None) };
    let refit = Refit::new(file, schedule);
    let (tap, events) = ring::records(REFIT_RING);
    (Some(market_tap(tap)), Some(RefitStage::new(refit, events, desk.clone())))
}

fn boxed_refit(refit: RefitStage, remains: &Arc<Mutex<Remains>>) -> BoxedStage {
    let keep = remains.clone();
    let left = move |refit: RefitStage| lock(&keep).refits = Some(refit.counters());
    Box::new(Kept::new(refit, left))
}

fn boxed_office(office: BackOffice, remains: &Arc<Mutex<Remains>>) -> BoxedStage {
    let keep = remains.clone();
    Box::new(Kept::new(office, move |office| lock(&keep).office = Some(office)))
}

fn boxed_log(log: MessageLog, remains: &Arc<Mutex<Remains>>) -> BoxedStage {
    let keep = remains.clone();
    Box::new(Kept::new(log, move |log: MessageLog| lock(&keep).fix_log = Some(log.counts())))
}

fn boxed_feed(feed: VenueFeed, watch: SessionWatch, remains: &Arc<Mutex<Remains>>) -> BoxedStage {
    let keep = remains.clone();
    let tell = move |feed: &VenueFeed| watch.beat(feed.session().is_logged_on());
    Box::new(Kept::new(Watched { stage: feed, tell }, move |watched| {
        let feed = watched.stage;
        lock(&keep).fix.add(feed.session().counters(), feed.counts().refusals);
    }))
}

/// The watches of an order session and of its drop copy.
type Watches = (SessionWatch, Option<SessionWatch>);

fn boxed_entries(
    entries: Vec<(VenueOrderEntry, Watches)>,
    remains: &Arc<Mutex<Remains>>,
    desk: &Arc<Desk>,
) -> Vec<BoxedStage> {
    let boxed = |(entry, watches)| boxed_order_entry(entry, watches, remains, desk);
    entries.into_iter().map(boxed).collect()
}

fn boxed_order_entry(
    entry: VenueOrderEntry,
    (watch, copy_watch): Watches,
    remains: &Arc<Mutex<Remains>>,
    desk: &Arc<Desk>,
) -> BoxedStage {
    let (keep, of_session, desk) = (remains.clone(), watch.clone(), desk.clone());
    let tell = move |entry: &VenueOrderEntry| {
        watch.tell_writing(entry.is_writing());
        watch.beat(entry.session().is_logged_on());
        watch.count_sync_failures(entry.session().store().sync_failures());
        if let (Some(watch), Some((counts, is_up))) = (&copy_watch, entry.drop_copy()) {
            watch.beat(is_up);
            watch.count_copies(counts);
        }
    };
    Box::new(Kept::new(Watched { stage: entry, tell }, move |watched| {
        let entry = watched.stage;
        let left = left_working(&of_session.name, &entry);
        if let Some(left) = &left {
            tracing::error!("{left}");
            // The guard outlives every stage: its last look tells it.
            desk.standing().leave_working(of_session.name.clone(), left.clone());
        }
        of_session.end();
        let mut remains = lock(&keep);
        remains.left_working.extend(left);
        remains.fix.add(entry.session().counters(), entry.desk_counts().rejects);
    }))
}

/// What order entry could not cancel before it ended.
fn left_working(session: &str, entry: &VenueOrderEntry) -> Option<String> {
    const NAMED_MAX: usize = 10;
    let live = entry.desk().live();
    let count = live.live_count();
    let names = live.live().take(NAMED_MAX).map(|order| order.cl_ord_id.0.to_string());
    let names = names.collect::<Vec<_>>().join(", ");
    let more = if count > NAMED_MAX { " and others" } else { "" };
    (count > 0).then(|| {
        format!(
            "{session}: {count} orders may still work there (ClOrdID {names}{more}): their cancels did not \
             go out or were not answered; look at the venue, and cancel them there"
        )
    })
}

/// Who sits on the hot cores, and where the gaps of their threads come out. Fused, the whole front runs
/// on one core, feeds first and order entry last, so that a tick goes through in one turn.
fn hot_seats(
    run: &RawRun,
    feeds: Vec<BoxedStage>,
    maker: BoxedStage,
    entries: Vec<BoxedStage>,
) -> (Vec<Seat<'static>>, Vec<RecordConsumer<u64>>) {
    let core = |place: usize| run.cores.and_then(|cores| cores.get(place).copied());
    let fuse = |name, stages: Vec<BoxedStage>| {
        stages.into_iter().fold(Fused::new(name), |fused, stage| fused.then(stage))
    };
    let (feed_count, entry_count) = (feeds.len(), entries.len());
    let watched = |stage: BoxedStage, core, sessions| {
        let (stage, gaps) = Watchful::new(stage, sessions);
        (Seat { priority: run.priority, ..Seat::new(stage, core, Wait::Spin) }, gaps)
    };
    match run.runner {
        RunnerKind::Fused => {
            let front: Vec<_> =
                feeds.into_iter().chain(std::iter::once(maker)).chain(entries).collect();
            let sessions = feed_count + entry_count;
            std::iter::once(watched(Box::new(fuse("front", front)), core(1), sessions)).unzip()
        }
        RunnerKind::Pinned => [
            watched(Box::new(fuse("feed", feeds)), core(0), feed_count),
            watched(maker, core(1), 0),
            watched(Box::new(fuse("order-entry", entries)), core(2), entry_count),
        ]
        .into_iter()
        .unzip(),
    }
}
