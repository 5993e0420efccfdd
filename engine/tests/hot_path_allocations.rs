//! What a user is promised: after its start the maker neither takes memory nor gives any back,
//! whatever the market, the venue and the operator do.
//!
//! The maker alone (`Maker::step`) and the maker with its rings (`MakerStage::turn`) answer tens of
//! thousands of pseudo-random inputs for each model, and only their own calls are counted. Each run
//! also proves that it went through what it claims to have gone through.

mod far_ends;
mod rough_market;

use ballast_engine::event::{MarketUpdate, OrderAction};
use ballast_engine::maker::Maker;
use ballast_engine::maker::input::{Control, Input};
use ballast_engine::maker::intents::{Intents, Record};
use ballast_engine::maker::stage::TimeBase;
use ballast_engine::orders::order::Purpose;
use ballast_engine::quote::{Model, Session};
use ballast_engine::risk::state::{Reason, State};
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::{Nanos, Side};
use far_ends::FarEnds;
use rough_market::{INSTRUMENTS, LEVELS, RoughMarket, SPOT, config, everything};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static HEAP_CALLS: Cell<u64> = const { Cell::new(0) };
}

/// Counts what this thread allocates and frees, so that tests beside it do not disturb. Growing and
/// zeroing go through `alloc`, as the trait provides them.
struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HEAP_CALLS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are System's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HEAP_CALLS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are System's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

fn heap_calls_of(work: impl FnOnce()) -> u64 {
    let before = HEAP_CALLS.with(Cell::get);
    work();
    HEAP_CALLS.with(Cell::get) - before
}

const MODELS: [Model; 3] = [Model::Glft, Model::AvellanedaStoikovRolling, Model::GlftExact];
const INPUTS: usize = 30_000;
/// After the kill, while cancels are answered and the market goes on.
const INPUTS_AFTER: usize = 500;

/// What a run went through, by the maker's own account.
#[derive(Default, Debug)]
struct Seen {
    new_quotes: u64,
    replaces: u64,
    cancels: u64,
    quote_fills: u64,
    hedge_fills: u64,
    blocked: u64,
    halts: u64,
    gaps: u64,
    resets: u64,
    timers: u64,
    full_books: u64,
    reasons: Vec<Reason>,
}

impl Seen {
    fn input(&mut self, input: &Input) {
        match input {
            Input::Timer => self.timers += 1,
            Input::Market(event) => match event.update {
                MarketUpdate::Gap => self.gaps += 1,
                MarketUpdate::Reset => self.resets += 1,
                _ => {}
            },
            _ => {}
        }
    }

    fn record(&mut self, record: &Record) {
        match *record {
            Record::Fill { purpose: Purpose::Quote { .. }, .. } => self.quote_fills += 1,
            Record::Fill { .. } => self.hedge_fills += 1,
            Record::Blocked { .. } => self.blocked += 1,
            Record::ObligationMissed { .. } => {}
            Record::State { state, reason, .. } => {
                self.halts += u64::from(state == State::Halted);
                if !self.reasons.contains(&reason) {
                    self.reasons.push(reason);
                }
            }
        }
    }

    fn action(&mut self, action: OrderAction) {
        match action {
            OrderAction::New => self.new_quotes += 1,
            OrderAction::Replace => self.replaces += 1,
            OrderAction::Cancel => self.cancels += 1,
        }
    }

    fn books(&mut self, maker: &Maker) {
        let is_full = |side| maker.book(SPOT).is_some_and(|book| book.depth(side) == LEVELS);
        self.full_books += u64::from(is_full(Side::Buy) && is_full(Side::Sell));
    }

    fn assert_everything_happened(&self) {
        for (what, count, least) in [
            ("new orders", self.new_quotes, 1_000),
            ("replaces", self.replaces, 100),
            ("cancels", self.cancels, 200),
            ("quote fills", self.quote_fills, 200),
            ("hedge fills", self.hedge_fills, 10),
            ("blocked", self.blocked, 20),
            ("halts", self.halts, 20),
            ("gaps", self.gaps, 20),
            ("resets", self.resets, 100),
            ("timers", self.timers, 500),
            ("full books", self.full_books, 1_000),
        ] {
            assert!(count >= least, "{what}: {count} of at least {least} in {self:?}");
        }
        for reason in [Reason::SessionDown, Reason::Operator, Reason::Killed, Reason::UnknownOrder]
        {
            assert!(self.reasons.contains(&reason), "{reason:?} in {self:?}");
        }
    }
}

#[test]
fn the_counter_counts() {
    assert_eq!(heap_calls_of(|| drop(std::hint::black_box(Box::new(1)))), 2);
    let mut grows = Vec::with_capacity(1);
    grows.push(1u64);
    assert!(heap_calls_of(|| grows.push(std::hint::black_box(2))) >= 1);
}

/// Steps a maker alone; answers how often it touched the heap.
fn step_alone(model: Model, seed: u64) -> u64 {
    let config = config(model);
    let mut maker = Maker::new(&config).unwrap();
    let mut out = Intents::new(Maker::intents_max(&config), 256);
    let mut rough = RoughMarket::new(seed);
    let mut seen = Seen::default();
    let mut calls = 0;
    for n in 0..INPUTS + INPUTS_AFTER {
        let (now, input) = rough.next();
        let input = if n == INPUTS { Input::Control(Control::Kill) } else { input };
        seen.input(&input);
        calls += heap_calls_of(|| {
            out.clear();
            maker.step(now, &input, &mut out);
        });
        for intent in out.orders() {
            seen.action(intent.action);
            rough.take(*intent);
        }
        out.records().iter().for_each(|record| seen.record(record));
        seen.books(&maker);
    }
    assert_eq!(out.records_dropped(), 0, "room enough for every record");
    assert!(maker.is_killed());
    seen.assert_everything_happened();
    calls
}

#[test]
fn stepping_a_maker_with_everything_on_touches_no_memory_but_its_own() {
    let mut config = everything(Model::Glft);
    let session = |begin, end| Session { begin: Nanos(begin), end: Nanos(end) };
    let sessions = [session(0, 45_000_000), session(46_000_000, u64::MAX)];
    config.guards.instruments[0].sessions = Some(sessions.into());
    let mut maker = Maker::new(&config).unwrap();
    let mut out = Intents::new(Maker::intents_max(&config), 256);
    let mut rough = RoughMarket::new(5);
    let (mut seen, mut calls) = (Seen::default(), 0);
    for _ in 0..2 * INPUTS {
        let (now, input) = rough.next();
        calls += heap_calls_of(|| {
            out.clear();
            maker.step(now, &input, &mut out);
        });
        for intent in out.orders() {
            rough.take(*intent);
        }
        out.records().iter().for_each(|record| seen.record(record));
    }
    assert_eq!(calls, 0);
    for reason in [
        Reason::TakeProfit,
        Reason::Hours,
        Reason::OutsideHorizon,
        Reason::InstrumentLoss,
        Reason::Breakout,
    ] {
        assert!(seen.reasons.contains(&reason), "{reason:?} in {seen:?}");
    }
    assert!(seen.quote_fills > 100 && seen.hedge_fills > 10, "{seen:?}");
}

#[test]
fn stepping_the_maker_touches_no_memory_but_its_own() {
    for model in MODELS {
        for seed in 1..=3 {
            assert_eq!(step_alone(model, seed), 0, "{model:?}, seed {seed}");
        }
    }
}

impl FarEnds {
    fn put(&mut self, input: Input) {
        match input {
            Input::Order(event) => assert!(self.orders.push(event).is_ok()),
            Input::Market(event) => assert!(self.market.push(event).is_ok()),
            Input::Control(event) => assert!(self.control.push(event).is_ok()),
            Input::Timer => {}
        }
    }

    /// Empties what goes to the recorder; answers how many entries and how much telemetry came.
    fn record(&mut self) -> (u64, u64) {
        while self.samples.pop().is_some() {}
        let entries = std::iter::from_fn(|| self.journal.pop()).count();
        let told = std::iter::from_fn(|| self.telemetry.pop()).count();
        (entries as u64, told as u64)
    }
}

/// Turns a maker with its rings, all emptied by this same thread; answers how often a turn touched
/// the heap.
fn turn_with_rings(model: Model, time: TimeBase, seed: u64) -> u64 {
    // Too small for what is told: what is dropped must cost nothing either.
    let (mut stage, mut ends) = far_ends::stage(&config(model), (time, 5_000), (64, 8));
    let mut rough = RoughMarket::new(seed);
    let (mut calls, mut sent, mut journaled, mut told) = (0, 0, 0, 0);
    for n in 0..INPUTS {
        let (now, input) = rough.next();
        ends.put(input);
        // Bursts: several inputs wait for one turn.
        if rough.is_turn_due() {
            let mut turn = Turn::Idle;
            calls += heap_calls_of(|| turn = stage.turn(now));
            assert_ne!(turn, Turn::Done, "input {n}");
        }
        while let Some(intent) = ends.intents.pop() {
            sent += 1;
            rough.take(intent);
        }
        // Between whiles the recorder sleeps, and its rings fill.
        if rough.is_recorder_awake() {
            let (entries, telemetry) = ends.record();
            journaled += entries;
            told += telemetry;
        }
    }
    assert!(sent > 1_000 && journaled > 5_000 && told > 1_000, "{sent} {journaled} {told}");
    assert!(stage.telemetry_dropped() > 0);
    calls
}

#[test]
fn turning_the_maker_with_its_rings_touches_no_memory_but_its_own() {
    for model in MODELS {
        for (time, seed) in [(TimeBase::Clock, 11), (TimeBase::Events, 12)] {
            assert_eq!(turn_with_rings(model, time, seed), 0, "{model:?}, {time:?}, seed {seed}");
        }
    }
}

#[test]
fn the_config_of_these_tests_quotes_two_kinds_and_hedges_with_two() {
    let config = config(Model::Glft);
    assert_eq!(config.instruments.len(), INSTRUMENTS);
    assert_eq!(config.settings.iter().filter(|s| s.quote.is_some()).count(), 2);
    let hedge = config.underlyings[0].hedge.as_ref().unwrap();
    assert_eq!(hedge.instruments.len(), 2);
}
