//! What a user is promised: whichever runs the stages (a thread each, all fused on one, virtual time),
//! the same inputs give the same intents.
//!
//! A feed, the maker's stage and a venue, joined by the rings. The feed shows the next message once all
//! that the last one led to is done, so that the sequence of inputs is the same however the threads
//! are scheduled; the journals must then be equal to the entry.

#[expect(dead_code, reason = "only its config is wanted here")]
mod rough_market;

use ballast_engine::clock::{Clock, Counter};
use ballast_engine::event::*;
use ballast_engine::journal::record::Record as Entry;
use ballast_engine::latency;
use ballast_engine::maker::Maker;
use ballast_engine::maker::stage::{MakerLinks, MakerStage, Progress, StageSettings, TimeBase};
use ballast_engine::pipeline::{Fused, Seat, Stop, Wait, run};
use ballast_engine::quote::Model;
use ballast_engine::ring::{self, Consumer, Producer, RecordConsumer};
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::*;
use rough_market::{INSTRUMENTS, config};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const MESSAGES: u64 = 2_000;
const APART_NS: u64 = 20_000;
const START_NS: u64 = 1_000_000;

/// How far feed and venue have come.
#[derive(Default)]
struct Answered {
    /// Time of the last message that is being shown, or was.
    shown: AtomicU64,
    taken: AtomicU64,
    sent: AtomicU64,
}

/// Whether nothing is under way between maker and venue.
fn is_quiet(maker: &Progress, venue: &Answered) -> bool {
    // In this order: what is on its way at any look shows at a later one.
    let sent = venue.sent.load(Ordering::Acquire);
    let is_consumed = maker.reports() == sent;
    let taken = venue.taken.load(Ordering::Acquire);
    let is_taken = maker.intents() == taken;
    is_consumed && is_taken && venue.sent.load(Ordering::Acquire) == sent
}

/// Books that wander, one whole image a message.
struct Feed {
    out: Producer<MarketEvent>,
    stop: Stop,
    maker: Arc<Progress>,
    venue: Arc<Answered>,
    shown: u64,
    state: u64,
    mids: [i64; INSTRUMENTS],
}

impl Feed {
    fn random(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.state >> 33) % below
    }

    fn at(&self) -> Nanos {
        Nanos(START_NS + self.shown * APART_NS)
    }

    fn show(&mut self) {
        let id = self.random(INSTRUMENTS as u64) as usize;
        self.mids[id] += self.random(7) as i64 - 3;
        self.shown += 1;
        self.venue.shown.store(self.at().0, Ordering::Release);
        let mut updates = vec![MarketUpdate::Reset];
        for away in 0..4 {
            for side in Side::BOTH {
                let price = Ticks(self.mids[id] - side.sign() * (2 + away));
                let size = Lots(1 + self.random(40) as i64);
                updates.push(MarketUpdate::Level { side, price, size });
            }
        }
        let last = updates.len() - 1;
        for (n, update) in updates.into_iter().enumerate() {
            let event = MarketEvent {
                at: self.at(),
                venue_at: self.at(),
                stamp: Stamp(0),
                update,
                instrument: InstrumentId(id as u16),
                last_in_message: n == last,
            };
            assert!(self.out.push(event).is_ok(), "the maker has taken the message before");
        }
    }
}

impl Stage for Feed {
    fn name(&self) -> &'static str {
        "feed"
    }

    fn turn(&mut self, _now: Nanos) -> Turn {
        let is_consumed = self.shown == 0 || self.maker.consumed() == self.at();
        if !is_consumed || !is_quiet(&self.maker, &self.venue) {
            return Turn::Idle;
        }
        if self.shown == MESSAGES {
            self.stop.set();
            return Turn::Done;
        }
        self.show();
        Turn::Busy
    }
}

/// Takes every order, fills every seventh at once.
struct Venue {
    intents: Consumer<OrderIntent>,
    out: Producer<OrderEvent>,
    maker: Arc<Progress>,
    answered: Arc<Answered>,
    leaves: BTreeMap<u64, Lots>,
    number: u64,
    is_up: bool,
}

impl Venue {
    fn send(&mut self, intent: &OrderIntent, update: OrderUpdate) {
        self.number += 1;
        let at = intent.at.plus(1_000);
        let event = OrderEvent {
            at,
            venue_at: at,
            stamp: Stamp(0),
            msg_seq_num: self.number,
            cl_ord_id: intent.cl_ord_id,
            orig_cl_ord_id: intent.orig_cl_ord_id,
            update,
            instrument: intent.instrument,
            venue: VenueId(0),
        };
        self.answered.sent.fetch_add(1, Ordering::AcqRel);
        assert!(self.out.push(event).is_ok(), "the maker takes what it is told");
    }

    fn fill(&mut self, intent: &OrderIntent, liquidity: Liquidity) {
        let update = OrderUpdate::Fill {
            exec_id: ExecId(self.number + 1),
            side: intent.side,
            last_px: intent.price,
            last_qty: intent.size,
            cum_qty: intent.size,
            leaves_qty: Lots(0),
            liquidity,
        };
        self.send(intent, update);
    }

    fn answer(&mut self, intent: &OrderIntent) {
        let was = self.leaves.remove(&intent.orig_cl_ord_id.0);
        match (intent.action, was) {
            (OrderAction::New, _) if intent.time_in_force == TimeInForce::ImmediateOrCancel => {
                self.fill(intent, Liquidity::Taker);
            }
            (OrderAction::New, _) => {
                self.send(intent, OrderUpdate::New { leaves_qty: intent.size });
                if self.number.is_multiple_of(7) {
                    self.fill(intent, Liquidity::Maker);
                } else {
                    self.leaves.insert(intent.cl_ord_id.0, intent.size);
                }
            }
            (OrderAction::Replace | OrderAction::Cancel, None) => {
                self.send(intent, OrderUpdate::CancelRejected { reason: 1, is_gone: true });
            }
            (OrderAction::Replace, Some(_)) => {
                let (price, leaves_qty) = (intent.price, intent.size);
                self.send(intent, OrderUpdate::Replaced { price, leaves_qty });
                self.leaves.insert(intent.cl_ord_id.0, leaves_qty);
            }
            (OrderAction::Cancel, Some(_)) => {
                self.send(intent, OrderUpdate::Canceled { cum_qty: Lots(0) });
            }
        }
    }
}

impl Stage for Venue {
    fn name(&self) -> &'static str {
        "venue"
    }

    fn turn(&mut self, _now: Nanos) -> Turn {
        if !self.is_up {
            self.is_up = true;
            let event = OrderEvent {
                at: Nanos(START_NS),
                venue_at: Nanos(START_NS),
                stamp: Stamp(0),
                msg_seq_num: 0,
                cl_ord_id: ClOrdId::NONE,
                orig_cl_ord_id: ClOrdId::NONE,
                update: OrderUpdate::SessionUp,
                instrument: InstrumentId(0),
                venue: VenueId(0),
            };
            assert!(self.out.push(event).is_ok());
            return Turn::Busy;
        }
        // A timer before a message's first event may send already: an answer would come before or after
        // the message's last event, as the threads are scheduled.
        if self.maker.consumed().0 != self.answered.shown.load(Ordering::Acquire) {
            return Turn::Idle;
        }
        match self.intents.pop() {
            Some(intent) => {
                self.answer(&intent);
                self.answered.taken.fetch_add(1, Ordering::AcqRel);
                Turn::Busy
            }
            None if self.intents.is_disconnected() => Turn::Done,
            None => Turn::Idle,
        }
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

/// The first word of the venue comes before the first message: it has had its turn.
fn stages(stop: &Stop) -> (Feed, MakerStage, Venue, Recorder) {
    let config = config(Model::Glft);
    let maker = Maker::new(&config).unwrap();
    let intents_max = Maker::intents_max(&config);
    let (orders_in, orders) = ring::slots(1 << 10);
    let (market_in, market) = ring::slots(1 << 10);
    let (_, control) = ring::slots(16);
    let (intents_in, intents) = ring::slots((4 * intents_max).next_power_of_two());
    // All of a run: what a maker does whose journal is full is another test's matter.
    let (journal_in, journal) = ring::records(1 << 17);
    let (telemetry_in, _) = ring::records(1 << 4);
    let (probe, _) = latency::probe(Counter::monotonic(), 1 << 4);
    let (progress, answered) = (Arc::new(Progress::default()), Arc::new(Answered::default()));
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
    let feed = Feed {
        out: market_in,
        stop: stop.clone(),
        maker: progress.clone(),
        venue: answered.clone(),
        shown: 0,
        state: 11,
        mids: [600_000; INSTRUMENTS],
    };
    let mut venue = Venue {
        intents,
        out: orders_in,
        maker: progress.clone(),
        answered,
        leaves: BTreeMap::new(),
        number: 0,
        is_up: false,
    };
    let mut stage = MakerStage::new(maker, links, settings, probe, progress);
    venue.turn(Nanos(0));
    stage.turn(Nanos(START_NS));
    (feed, stage, venue, Recorder { journal, entries: Vec::new() })
}

fn clock() -> Clock {
    Clock::with_counter(Counter::monotonic())
}

const YIELD: Wait = Wait::Yield { spins: 20 };

fn pinned() -> Vec<Entry> {
    let stop = Stop::new();
    let (feed, maker, venue, mut recorder) = stages(&stop);
    let core = ballast_engine::pin::allowed_cores().first().copied();
    let seats = vec![
        Seat::new(feed, core, YIELD),
        Seat::new(maker, None, YIELD),
        Seat::new(venue, None, YIELD),
        Seat::new(&mut recorder, None, YIELD),
    ];
    run(seats, clock(), &stop).unwrap();
    recorder.all()
}

fn fused() -> Vec<Entry> {
    let stop = Stop::new();
    let (feed, maker, venue, mut recorder) = stages(&stop);
    let front = Fused::new("front").then(feed).then(maker).then(venue).then(&mut recorder);
    run(vec![Seat::new(front, None, YIELD)], clock(), &stop).unwrap();
    recorder.all()
}

fn in_virtual_time() -> Vec<Entry> {
    let stop = Stop::new();
    let (feed, maker, venue, mut recorder) = stages(&stop);
    let mut front = Fused::new("virtual").then(feed).then(maker).then(venue).then(&mut recorder);
    assert_eq!(front.settle(Nanos(START_NS), 10_000_000), Ok(Turn::Idle));
    assert!(stop.is_set(), "the feed came to its end");
    drop(front);
    recorder.all()
}

#[test]
fn pinned_fused_and_virtual_runs_journal_the_same_inputs_and_the_same_intents() {
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
