//! What a user of many instruments is promised: a tick waits behind a part of them and not behind all, each is
//! looked after once an interval all the same, and a sample of all of them comes in parts too.

#[allow(dead_code, reason = "only its config is used here")]
mod rough_market;

use ballast_engine::clock::Counter;
use ballast_engine::event::*;
use ballast_engine::instrument::Instrument;
use ballast_engine::journal::record::Record as Entry;
use ballast_engine::latency::{self, Samples};
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::input::{Control, Input};
use ballast_engine::maker::intents::{Intents, Record};
use ballast_engine::maker::stage::{
    MakerLinks, MakerStage, Progress, StageSettings, Telemetry, TimeBase,
};
use ballast_engine::market::trust::Distrust;
use ballast_engine::quote::Model;
use ballast_engine::ring::{self, Consumer, Producer, RecordConsumer};
use ballast_engine::risk::limits::ExposureLimits;
use ballast_engine::risk::state::{Reason, State};
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::*;
use rough_market::config;
use std::sync::Arc;

/// Enough for four timers a round.
const MANY: u16 = 64;
const PERP: usize = 1;
/// Instruments that one timer looks after at most.
const PART: usize = 16;

/// `MANY` instruments, all quoted.
fn many() -> MakerConfig {
    let mut config = config(Model::Glft);
    for id in u16::try_from(config.instruments.len()).unwrap()..MANY {
        let mut spec = config.instruments[PERP].spec().clone();
        spec.symbol = format!("P{id}");
        config.instruments.push(Instrument::new(InstrumentId(id), spec).unwrap());
        let mut settings = config.settings[PERP];
        settings.opening = Lots(0);
        config.settings.push(settings);
    }
    for rate in &mut config.message_rates {
        rate.max = 100_000;
    }
    config.portfolio.gross_max = Notional(i128::from(i64::MAX));
    let wide = [1, 2, 4].map(|times| Exposure(times * 1_000_000_000_000));
    config.underlyings[0].limits = ExposureLimits::new(wide[0], wide[1], wide[2]).unwrap();
    config.orders_max = 2_048;
    config.timer_interval_ns = 40_000;
    config
}

fn market(id: u16, at: Nanos, update: MarketUpdate, last_in_message: bool) -> MarketEvent {
    let instrument = InstrumentId(id);
    MarketEvent { at, venue_at: Nanos(0), stamp: Stamp(1), update, instrument, last_in_message }
}

fn image(id: u16, at: Nanos) -> [MarketEvent; 3] {
    let level = |side, price| MarketUpdate::Level { side, price: Ticks(price), size: Lots(500) };
    [
        market(id, at, MarketUpdate::Reset, false),
        market(id, at, level(Side::Buy, 599_999), false),
        market(id, at, level(Side::Sell, 600_001), true),
    ]
}

fn session_up(at: Nanos) -> OrderEvent {
    OrderEvent {
        at,
        venue_at: at,
        stamp: Stamp(0),
        msg_seq_num: 1,
        cl_ord_id: ClOrdId::NONE,
        orig_cl_ord_id: ClOrdId::NONE,
        update: OrderUpdate::SessionUp,
        instrument: InstrumentId(0),
        venue: VenueId(0),
    }
}

#[test]
fn a_round_of_timers_finds_every_stale_book_and_one_timer_looks_at_a_part() {
    let config = many();
    let mut maker = Maker::new(&config).unwrap();
    let mut out = Intents::new(Maker::intents_max(&config), 4_096);
    let mut now = Nanos(1_000_000);
    maker.step(now, &Input::Order(session_up(now)), &mut out);
    for id in 0..MANY {
        for event in image(id, now) {
            maker.step(now, &Input::Market(event), &mut out);
        }
    }
    let quoted = |out: &Intents| {
        let mut ids: Vec<_> = out.orders().iter().map(|intent| intent.instrument).collect();
        ids.dedup();
        ids
    };
    let all = quoted(&out).len();
    assert!(all > 3 * PART, "{all} of {MANY} instruments have quotes");
    assert_eq!(maker.timers_a_round(), 4);
    now = now.plus(config.settings[0].stale_after_ns + 1);
    let mut stale = Vec::new();
    for _ in 0..maker.timers_a_round() {
        out.clear();
        maker.step(now, &Input::Timer, &mut out);
        let of_this: Vec<_> = out
            .records()
            .iter()
            .filter_map(|record| match record {
                Record::State {
                    instrument, reason: Reason::Distrusted(Distrust::Stale), ..
                } => Some(*instrument),
                _ => None,
            })
            .collect();
        assert!(!of_this.is_empty() && of_this.len() <= PART, "{of_this:?}");
        stale.extend(of_this);
    }
    stale.sort_unstable_by_key(|id| id.0);
    stale.dedup();
    assert_eq!(stale.len(), all);
}

/// The stage over many instruments, with the other ends of its rings.
struct Bench {
    stage: MakerStage,
    now: Nanos,
    orders: Producer<OrderEvent>,
    market: Producer<MarketEvent>,
    journal: RecordConsumer<Entry>,
    telemetry: RecordConsumer<Telemetry>,
    _rest: (Producer<Control>, Consumer<OrderIntent>, Samples),
}

impl Bench {
    fn new(time: TimeBase, sample_interval_ns: u64) -> Bench {
        let config = many();
        let intents_max = Maker::intents_max(&config);
        let (orders, orders_out) = ring::slots(64);
        let (control, control_out) = ring::slots(16);
        let (market, market_out) = ring::slots(1_024);
        let (intents_in, intents) = ring::slots(4 * intents_max);
        let (journal_in, journal) = ring::records(8 * intents_max);
        let (telemetry_in, telemetry) = ring::records(4_096);
        let (probe, samples) = latency::probe(Counter::monotonic(), 64);
        let links = MakerLinks {
            orders: vec![orders_out],
            control: control_out,
            market: vec![market_out],
            intents: vec![intents_in],
            journal: journal_in,
            telemetry: telemetry_in,
        };
        let timer_interval_ns = config.timer_interval_ns;
        let settings = StageSettings { time, timer_interval_ns, sample_interval_ns, intents_max };
        let maker = Maker::new(&config).unwrap();
        let stage = MakerStage::new(maker, links, settings, probe, Arc::new(Progress::default()));
        let now = Nanos(1_000_000);
        let _rest = (control, intents, samples);
        Bench { stage, now, orders, market, journal, telemetry, _rest }
    }

    /// A turn `later`; how many timers it took.
    fn turn(&mut self, later: u64) -> usize {
        self.now = self.now.plus(later);
        self.stage.turn(self.now);
        let entries = std::iter::from_fn(|| self.journal.pop());
        entries.filter(|entry| matches!(entry, Entry::Timer { .. })).count()
    }
}

#[test]
fn timers_are_spread_over_their_interval_and_a_silence_is_made_up_for_by_one_round() {
    let mut bench = Bench::new(TimeBase::Clock, 0);
    assert_eq!(bench.turn(0), 4, "nothing was looked after yet");
    // Ten a timer: no turn takes two, and an interval takes a round.
    let taken: Vec<_> = (0..120).map(|_| bench.turn(1_000)).collect();
    assert!(taken.iter().all(|timers| *timers <= 1), "{taken:?}");
    assert_eq!(taken.iter().sum::<usize>(), 12);
    assert_eq!(bench.turn(20_000), 2);
    assert_eq!(bench.turn(1_000_000), 4);
    assert_eq!(bench.turn(0), 0);
}

#[test]
fn on_the_events_time_a_sparse_recording_looks_after_everything_with_every_event() {
    let mut bench = Bench::new(TimeBase::Events, 0);
    bench.orders.push(session_up(bench.now)).unwrap();
    bench.turn(0);
    for id in 0..10 {
        bench.now = bench.now.plus(1_000_000);
        bench.market.push(market(id, bench.now, MarketUpdate::Reset, true)).unwrap();
        assert_eq!(bench.turn(0), 4);
    }
}

#[test]
fn a_sample_of_many_comes_in_parts_each_once_and_what_is_one_for_all_behind_them() {
    let mut bench = Bench::new(TimeBase::Clock, 500_000);
    while bench.stage.turn(bench.now) == Turn::Busy {}
    while bench.telemetry.pop().is_some() {}
    for _ in 0..3 {
        bench.now = bench.now.plus(500_000);
        let mut sampled = Vec::new();
        let mut turns = 0;
        let mut is_closed = false;
        while !is_closed {
            turns += 1;
            assert!(turns <= 4, "{sampled:?}");
            let turn = bench.stage.turn(bench.now);
            let before = sampled.len();
            while let Some(told) = bench.telemetry.pop() {
                match told {
                    Telemetry::Instrument { instrument, snapshot, .. } => {
                        assert_eq!(snapshot.state, State::Paused);
                        assert!(!is_closed);
                        sampled.push(instrument.0);
                    }
                    Telemetry::Pnl { .. } => is_closed = true,
                    _ => {}
                }
            }
            assert!(sampled.len() - before <= PART);
            assert!(is_closed || turn == Turn::Busy, "the rest is not put off");
        }
        assert_eq!(sampled, (0..MANY).collect::<Vec<_>>());
    }
}
