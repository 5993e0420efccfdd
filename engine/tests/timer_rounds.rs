//! What a user of many instruments is promised: a tick waits behind a part of them and not behind all, each is
//! looked after once an interval all the same, and a sample of all of them comes in parts too.

mod far_ends;
#[allow(dead_code, reason = "only its config is used here")]
mod rough_market;

use ballast_engine::event::*;
use ballast_engine::instrument::Instrument;
use ballast_engine::journal::record::Record as Entry;
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::input::Input;
use ballast_engine::maker::intents::{Intents, Record};
use ballast_engine::maker::stage::{MakerStage, Telemetry, TimeBase};
use ballast_engine::market::trust::Distrust;
use ballast_engine::quote::Model;
use ballast_engine::risk::limits::ExposureLimits;
use ballast_engine::risk::state::{Reason, State};
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::*;
use far_ends::FarEnds;
use rough_market::config;

/// Enough for four timers a round.
const MANY: u16 = 64;
const QUOTED: usize = MANY as usize - 1;
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

fn image(id: u16, at: Nanos, mid: i64) -> [MarketEvent; 3] {
    let level = |side, price| MarketUpdate::Level { side, price: Ticks(price), size: Lots(500) };
    [
        market(id, at, MarketUpdate::Reset, false),
        market(id, at, level(Side::Buy, mid - 1), false),
        market(id, at, level(Side::Sell, mid + 1), true),
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

/// A maker that has shown quotes of `MANY` instruments but the one that only hedges.
fn quoting(config: &MakerConfig) -> (Maker, Intents, Nanos) {
    let mut maker = Maker::new(config).unwrap();
    let mut out = Intents::new(Maker::intents_max(config), 4_096);
    let now = Nanos(1_000_000);
    maker.step(now, &Input::Order(session_up(now)), &mut out);
    for id in 0..MANY {
        for event in image(id, now, 600_000) {
            maker.step(now, &Input::Market(event), &mut out);
        }
    }
    let mut quoted: Vec<_> = out.orders().iter().map(|intent| intent.instrument).collect();
    quoted.dedup();
    assert_eq!(quoted.len(), QUOTED);
    out.clear();
    (maker, out, now)
}

/// The instruments that a step stopped for this.
fn stopped(out: &Intents, why: Reason) -> Vec<u16> {
    let is_so = |record: &Record| match record {
        Record::State { instrument, reason, .. } if *reason == why => Some(instrument.0),
        _ => None,
    };
    out.records().iter().filter_map(is_so).collect()
}

#[test]
fn a_round_of_timers_finds_every_stale_book_and_one_timer_looks_at_a_part() {
    let config = many();
    let (mut maker, mut out, now) = quoting(&config);
    assert_eq!(maker.timers_a_round(), 4);
    let now = now.plus(config.settings[0].stale_after_ns + 1);
    let mut stale = Vec::new();
    for _ in 0..maker.timers_a_round() {
        out.clear();
        maker.step(now, &Input::Timer, &mut out);
        let of_this = stopped(&out, Reason::Distrusted(Distrust::Stale));
        assert!(!of_this.is_empty() && of_this.len() <= PART, "{of_this:?}");
        stale.extend(of_this);
    }
    stale.sort_unstable();
    stale.dedup();
    assert_eq!(stale.len(), QUOTED);
}

#[test]
fn a_stop_for_losses_takes_every_quote_out_and_waits_for_no_round() {
    let mut config = many();
    config.portfolio.loss.daily_max = Notional(1_000_000_000);
    let (mut maker, mut out, now) = quoting(&config);
    for _ in 0..maker.timers_a_round() {
        maker.step(now, &Input::Timer, &mut out);
    }
    assert_eq!(stopped(&out, Reason::DailyLoss), []);
    // What the perpetual is short of is dearer by more than a day may lose.
    for event in image(PERP as u16, now, 601_000) {
        maker.step(now, &Input::Market(event), &mut out);
    }
    out.clear();
    maker.step(now, &Input::Timer, &mut out);
    assert_eq!(stopped(&out, Reason::DailyLoss).len(), QUOTED);
}

/// The stage over many instruments.
struct Bench {
    stage: MakerStage,
    far: FarEnds,
    now: Nanos,
}

impl Bench {
    fn new(time: TimeBase, sample_interval_ns: u64) -> Bench {
        let (stage, far) = far_ends::stage(&many(), (time, sample_interval_ns), (1_024, 4_096));
        Bench { stage, far, now: Nanos(1_000_000) }
    }

    /// A turn `later`; how many timers it took.
    fn turn(&mut self, later: u64) -> usize {
        self.now = self.now.plus(later);
        self.stage.turn(self.now);
        let entries = std::iter::from_fn(|| self.far.journal.pop());
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
    bench.far.orders.push(session_up(bench.now)).unwrap();
    bench.turn(0);
    for id in 0..10 {
        bench.now = bench.now.plus(1_000_000);
        bench.far.market.push(market(id, bench.now, MarketUpdate::Reset, true)).unwrap();
        assert_eq!(bench.turn(0), 4);
    }
}

#[test]
fn a_sample_of_many_comes_in_parts_each_once_and_what_is_one_for_all_behind_them() {
    let mut bench = Bench::new(TimeBase::Clock, 500_000);
    while bench.stage.turn(bench.now) == Turn::Busy {}
    while bench.far.telemetry.pop().is_some() {}
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
            while let Some(told) = bench.far.telemetry.pop() {
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
