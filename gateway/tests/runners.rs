//! What a user is promised: whichever runs the stages (a thread each, all fused on one, virtual time), the
//! same FIX bytes give the same intents.
//!
//! The gateway's own feed and order entry, sessions included, stand between two scripted venues: market data and reports come as bytes through a pipe, orders go as bytes. The venue shows
//! the next message once all that the last one led to is done, and time moves between messages alone, once
//! every stage has seen it; so the sequence of inputs is the same however the threads are scheduled. The
//! journals must then be equal to the entry.

mod peer;
#[expect(dead_code, reason = "only its config is wanted here")]
#[path = "../../engine/tests/rough_market/mod.rs"]
mod rough_market;

use ballast_engine::clock::{Clock, Counter};
use ballast_engine::event::{MarketEvent, OrderEvent, OrderIntent, VenueId};
use ballast_engine::journal::record::Record as Entry;
use ballast_engine::latency;
use ballast_engine::maker::Maker;
use ballast_engine::maker::stage::{MakerLinks, MakerStage, Progress, StageSettings, TimeBase};
use ballast_engine::pipeline::{Fused, Seat, Stop, Wait, run};
use ballast_engine::quote::Model;
use ballast_engine::ring::{self, Consumer, Producer, RecordConsumer};
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::Nanos;
use ballast_gateway::market_data::{Feed, FeedConfig};
use ballast_gateway::order_entry::exec_ids::ExecIds;
use ballast_gateway::order_entry::{OrderEntry, OrderEntryConfig};
use ballast_gateway::session::{ReconnectConfig, Session};
use ballast_gateway::store::MemoryStore;
use ballast_gateway::venue::plain::RULES;
use ballast_gateway::venue::symbols::Symbols;
use ballast_gateway::venue::time_base::TimeBase as Arrives;
use peer::{Door, PipeDial, Venue};
use rough_market::{INSTRUMENTS, config};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const MESSAGES: u64 = 2_000;
const APART_NS: u64 = 20_000;
/// 2024-08-08, so that SendingTime(52) is a real one.
const START_NS: u64 = 1_723_161_599_000_000_000;
const REDIAL: ReconnectConfig = ReconnectConfig { pause_min_ns: 1_000, pause_max_ns: 8_000 };

/// The time that everybody but the maker goes by, and how far the script has come.
#[derive(Default)]
struct Script {
    now: AtomicU64,
    /// Time of the message that is being shown, or was.
    shown: AtomicU64,
    taken: AtomicU64,
    sent: AtomicU64,
    /// The time that feed, order entry and the venue of orders last took a turn at.
    seen: [AtomicU64; 3],
}

impl Script {
    /// The time, for a turn that begins. Whoever has seen it has ended all turns at an earlier one.
    fn begin(&self, place: usize) -> Nanos {
        let now = self.now.load(Ordering::Acquire);
        self.seen[place].store(now, Ordering::Release);
        Nanos(now)
    }

    fn is_seen_by_all(&self) -> bool {
        let now = self.now.load(Ordering::Acquire);
        self.seen.iter().all(|seen| seen.load(Ordering::Acquire) == now)
    }

    /// Whether nothing is under way between maker and venue.
    fn is_quiet(&self, maker: &Progress) -> bool {
        // In this order: what is on its way at any look shows at a later one.
        let sent = self.sent.load(Ordering::Acquire);
        let is_consumed = maker.reports() == sent;
        let is_taken = maker.intents() == self.taken.load(Ordering::Acquire);
        is_consumed && is_taken && self.sent.load(Ordering::Acquire) == sent
    }
}

/// A stage of the gateway in the script's time.
struct Scripted<S> {
    stage: S,
    script: Arc<Script>,
    place: usize,
}

impl<S: Stage> Stage for Scripted<S> {
    fn name(&self) -> &'static str {
        self.stage.name()
    }

    fn turn(&mut self, _now: Nanos) -> Turn {
        let now = self.script.begin(self.place);
        self.stage.turn(now)
    }
}

/// Books that wander: a whole image or a change of the best bid's size a message.
struct Market {
    venue: Venue,
    script: Arc<Script>,
    maker: Arc<Progress>,
    stop: Stop,
    /// MDReqID(262) by instrument, once they were asked for.
    requests: Vec<String>,
    messages: u64,
    state: u64,
    mids: [u64; INSTRUMENTS],
    has_book: [bool; INSTRUMENTS],
}

impl Market {
    fn random(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.state >> 33) % below
    }

    /// A price or a size, of the grid that `rough_market` has.
    fn entry(&mut self, id: usize, side: u64, away: u64) -> String {
        let mid = self.mids[id];
        let ticks = if side == 0 { mid - 2 - away } else { mid + 2 + away };
        let lots = 1 + self.random(40);
        let size = if id == 2 { lots.to_string() } else { format!("0.{lots:03}") };
        format!("269={side}|{{}}270={}.{}|271={size}", ticks / 10, ticks % 10)
    }

    fn message(&mut self) -> String {
        let id = self.random(INSTRUMENTS as u64) as usize;
        let request = self.requests[id].clone();
        if self.has_book[id] && self.random(3) == 0 {
            let entry = self.entry(id, 0, 0).replace("{}", &format!("55=I{id}|"));
            return format!("35=X|262={request}|268=1|279=1|{entry}");
        }
        self.has_book[id] = true;
        self.mids[id] = self.mids[id] + self.random(7) - 3;
        let both = (0..4).flat_map(|away| [(0, away), (1, away)]);
        let entries: Vec<String> =
            both.map(|(side, away)| self.entry(id, side, away).replace("{}", "")).collect();
        format!("35=W|262={request}|55=I{id}|268=8|{}", entries.join("|"))
    }
}

impl Stage for Market {
    fn name(&self) -> &'static str {
        "market"
    }

    fn turn(&mut self, _now: Nanos) -> Turn {
        let (now, shown) = (&self.script.now, self.script.shown.load(Ordering::Acquire));
        let at = now.load(Ordering::Acquire);
        if at == shown {
            let is_consumed = self.maker.consumed().0 == shown;
            if !is_consumed || !self.script.is_quiet(&self.maker) {
                return Turn::Idle;
            }
            if self.messages == MESSAGES {
                self.stop.set();
                return Turn::Done;
            }
            now.store(at + APART_NS, Ordering::Release);
            return Turn::Busy;
        }
        if !self.script.is_seen_by_all() {
            return Turn::Idle;
        }
        self.messages += 1;
        self.script.shown.store(at, Ordering::Release);
        let message = self.message();
        self.venue.say(Nanos(at), &message);
        self.venue.turn(Nanos(at));
        Turn::Busy
    }
}

fn field<'a>(message: &'a str, tag: &str) -> Option<&'a str> {
    message.split('|').find_map(|field| field.strip_prefix(tag)?.strip_prefix('='))
}

/// Takes every order, fills every seventh at once.
struct Orders {
    venue: Venue,
    script: Arc<Script>,
    maker: Arc<Progress>,
    /// LeavesQty(151) by ClOrdID(11).
    leaves: BTreeMap<String, String>,
    number: u64,
}

impl Orders {
    fn send(&mut self, now: Nanos, order: &str, body: &str) {
        self.number += 1;
        self.script.sent.fetch_add(1, Ordering::AcqRel);
        let (id, number) = (field(order, "11").unwrap(), self.number);
        self.venue.say(now, &format!("35=8|37=V{id}|11={id}|17=E{number}|{body}|6=0"));
    }

    fn fill(&mut self, now: Nanos, order: &str, size: &str) {
        let price = field(order, "44").unwrap();
        let of = of(order);
        let body = format!("150=F|39=2|{of}|31={price}|32={size}|151=0|14={size}");
        self.send(now, order, &body);
    }

    fn answer(&mut self, now: Nanos, order: &str) {
        let (id, of) = (field(order, "11").unwrap().to_owned(), of(order));
        let was = field(order, "41").and_then(|orig| Some((orig, self.leaves.remove(orig)?)));
        let orig = field(order, "41").unwrap_or_default();
        let size = field(order, "38").unwrap_or_default().to_owned();
        match (field(order, "35").unwrap(), was) {
            ("D", _) if field(order, "59") == Some("3") => self.fill(now, order, &size),
            ("D", _) => {
                self.send(now, order, &format!("150=0|39=0|{of}|151={size}|14=0"));
                if self.number.is_multiple_of(7) {
                    self.fill(now, order, &size);
                } else {
                    self.leaves.insert(id, size);
                }
            }
            ("F", Some(_)) => {
                self.send(now, order, &format!("41={orig}|150=4|39=4|{of}|151=0|14=0"));
            }
            ("G", Some(_)) => {
                let price = field(order, "44").unwrap();
                let body = format!("41={orig}|150=5|39=0|{of}|44={price}|151={size}|14=0");
                self.send(now, order, &body);
                self.leaves.insert(id, size);
            }
            (kind, None) => {
                let to = if kind == "F" { 1 } else { 2 };
                self.script.sent.fetch_add(1, Ordering::AcqRel);
                self.venue.say(now, &format!("35=9|37=NONE|11={id}|41={orig}|39=2|434={to}|102=1"));
            }
            (kind, Some(_)) => panic!("{kind}: {order}"),
        }
    }
}

/// Symbol and side of an order, for its reports.
fn of(order: &str) -> String {
    format!("55={}|54={}", field(order, "55").unwrap(), field(order, "54").unwrap())
}

impl Stage for Orders {
    fn name(&self) -> &'static str {
        "orders"
    }

    fn turn(&mut self, _now: Nanos) -> Turn {
        let now = self.script.begin(2);
        // A timer before a message's first event may send already: an answer would come before or after
        // the message's last event, as the threads are scheduled.
        if self.maker.consumed().0 != self.script.shown.load(Ordering::Acquire) {
            return Turn::Idle;
        }
        let mut is_busy = self.venue.turn(now);
        for order in self.venue.take_inbox() {
            self.answer(now, &order);
            self.venue.turn(now);
            self.script.taken.fetch_add(1, Ordering::AcqRel);
            is_busy = true;
        }
        if is_busy { Turn::Busy } else { Turn::Idle }
    }
}

/// Keeps the journal.
struct Recorder {
    journal: RecordConsumer<Entry>,
    entries: Vec<Entry>,
}

impl Recorder {
    /// All entries, those too that nobody has looked at when the run stopped.
    fn all(mut self) -> Vec<Entry> {
        self.turn(Nanos(0));
        self.entries
    }
}

impl Stage for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn turn(&mut self, _now: Nanos) -> Turn {
        let before = self.entries.len();
        while let Some(entry) = self.journal.pop() {
            self.entries.push(entry);
        }
        if self.entries.len() > before { Turn::Busy } else { Turn::Idle }
    }
}

fn line(door: &Door) -> (PipeDial, Session<MemoryStore>) {
    (PipeDial(door.clone()), Session::new(peer::client_config(), MemoryStore::new()))
}

type TheFeed = Feed<PipeDial, MemoryStore>;
type TheEntry = OrderEntry<PipeDial, MemoryStore>;

fn feed(door: &Door, symbols: Symbols, out: Producer<MarketEvent>) -> TheFeed {
    let config = FeedConfig {
        market_depth: 0,
        levels_max: 64,
        entries_max: 64,
        time_base: Arrives::Arrival,
        ask_again_ns: 1_000_000_000,
        redial: REDIAL,
    };
    Feed::new(config, line(door), (symbols, RULES), out, None)
}

fn order_entry(
    door: &Door,
    symbols: Symbols,
    rings: (Consumer<OrderIntent>, Producer<OrderEvent>),
) -> TheEntry {
    let config = OrderEntryConfig {
        epoch: 1,
        orders_max: 64,
        time_base: Arrives::Arrival,
        account: None,
        redial: REDIAL,
        wind_down_ns: 0,
    };
    OrderEntry::new(config, line(door), (symbols, RULES), ExecIds::new(64), rings, None).unwrap()
}

type Stages = (Market, Scripted<TheFeed>, MakerStage, Scripted<TheEntry>, Orders, Recorder);

/// All of them, both sessions logged on and the market asked for.
fn stages(stop: &Stop) -> Stages {
    let config = config(Model::Glft);
    let intents_max = Maker::intents_max(&config);
    let (orders_in, orders) = ring::slots(1 << 10);
    let (market_in, market) = ring::slots(1 << 10);
    let (_, control) = ring::slots(16);
    let (intents_in, intents) = ring::slots((4 * intents_max).next_power_of_two());
    // All of a run: what a maker does whose journal is full is another test's matter.
    let (journal_in, journal) = ring::records(1 << 17);
    let (telemetry_in, _) = ring::records(1 << 4);
    let (probe, _) = latency::probe(Counter::monotonic(), 1 << 4);
    let progress = Arc::new(Progress::default());
    let links = MakerLinks {
        orders: vec![orders],
        control,
        market: vec![market],
        intents: vec![intents_in],
        journal: journal_in,
        telemetry: telemetry_in,
    };
    let settings = StageSettings {
        time: TimeBase::Events,
        timer_interval_ns: config.timer_interval_ns,
        sample_interval_ns: 0,
        intents_max,
    };
    let script = Arc::new(Script::default());
    script.now.store(START_NS, Ordering::Release);
    let symbols = || Symbols::new(VenueId(0), &config.instruments).unwrap();
    let (market_door, orders_door) = (Door::open(), Door::open());
    let feed = feed(&market_door, symbols(), market_in);
    let entry = order_entry(&orders_door, symbols(), (intents, orders_in));
    let market = Market {
        venue: Venue::new(&market_door),
        script: script.clone(),
        maker: progress.clone(),
        stop: stop.clone(),
        requests: Vec::new(),
        messages: 0,
        state: 11,
        mids: [600_000; INSTRUMENTS],
        has_book: [false; INSTRUMENTS],
    };
    let orders = Orders {
        venue: Venue::new(&orders_door),
        script: script.clone(),
        maker: progress.clone(),
        leaves: BTreeMap::new(),
        number: 0,
    };
    let maker = MakerStage::new(Maker::new(&config).unwrap(), links, settings, probe, progress);
    let feed = Scripted { stage: feed, script: script.clone(), place: 0 };
    let entry = Scripted { stage: entry, script, place: 1 };
    logged_on((market, feed, maker, entry, orders, Recorder { journal, entries: Vec::new() }))
}

fn logged_on(mut stages: Stages) -> Stages {
    let (market, feed, maker, entry, orders, _) = &mut stages;
    for round in 0..50 {
        let now = Nanos(START_NS + round * 1_000);
        market.script.now.store(now.0, Ordering::Release);
        feed.turn(now);
        entry.turn(now);
        market.venue.turn(now);
        orders.venue.turn(now);
        maker.turn(now);
    }
    let asked = market.venue.take_inbox();
    let request = |id| asked.iter().find(|v| field(v, "55") == Some(&format!("I{id}")));
    let requests = (0..INSTRUMENTS).map(|id| field(request(id).unwrap(), "262").unwrap());
    market.requests = requests.map(str::to_owned).collect();
    // Of the first message there is none before it that would have to be consumed.
    market.script.now.fetch_add(APART_NS, Ordering::AcqRel);
    stages
}

fn clock() -> Clock {
    Clock::with_counter(Counter::monotonic())
}

const YIELD: Wait = Wait::Yield { spins: 20 };

fn pinned() -> Vec<Entry> {
    let stop = Stop::new();
    let (market, feed, maker, entry, orders, mut recorder) = stages(&stop);
    let core = ballast_engine::pin::allowed_cores().first().copied();
    let seats = vec![
        Seat::new(market, None, YIELD),
        Seat::new(feed, core, YIELD),
        Seat::new(maker, None, YIELD),
        Seat::new(entry, None, YIELD),
        Seat::new(orders, None, YIELD),
        Seat::new(&mut recorder, None, YIELD),
    ];
    run(seats, clock(), &stop).unwrap();
    recorder.all()
}

fn fused() -> Vec<Entry> {
    let stop = Stop::new();
    let (market, feed, maker, entry, orders, mut recorder) = stages(&stop);
    let front = Fused::new("front").then(market).then(feed).then(maker);
    let front = front.then(entry).then(orders).then(&mut recorder);
    run(vec![Seat::new(front, None, YIELD)], clock(), &stop).unwrap();
    recorder.all()
}

fn in_virtual_time() -> Vec<Entry> {
    let stop = Stop::new();
    let (market, feed, maker, entry, orders, mut recorder) = stages(&stop);
    let front = Fused::new("virtual").then(market).then(feed).then(maker);
    let mut front = front.then(entry).then(orders).then(&mut recorder);
    assert_eq!(front.settle(Nanos(START_NS), 10_000_000), Ok(Turn::Idle));
    assert!(stop.is_set(), "the market came to its end");
    drop(front);
    recorder.all()
}

#[test]
fn pinned_fused_and_virtual_runs_of_the_gateway_journal_the_same_inputs_and_the_same_intents() {
    let expected = in_virtual_time();
    let count = |is: fn(&Entry) -> bool| expected.iter().filter(|entry| is(entry)).count();
    assert!(count(|entry| matches!(entry, Entry::Market { .. })) > 10_000);
    assert!(count(|entry| matches!(entry, Entry::Order { .. })) > 500);
    assert!(count(|entry| matches!(entry, Entry::Intent { .. })) > 500);
    for (name, entries) in [("fused", fused()), ("pinned", pinned())] {
        let differing = entries.iter().zip(&expected).position(|(one, other)| one != other);
        assert_eq!(differing, None, "{name}: the first entry that differs");
        assert_eq!(entries.len(), expected.len(), "{name}");
    }
}
