//! `ballast-bench backtest`: how fast the virtual runner is: the live maker against the simulated
//! venue, one thread, one core.
//!
//! The recorded market (`--tape`) plays twice: decoded into memory beforehand, which times maker and
//! venue, and from its files, which adds unpacking and reading JSON. The synthetic market plays from
//! memory. A message is what its venue sent at once; it holds one or more events.

use crate::document::{Document, Measurement, Ratio};
use crate::hiccup::Hiccups;
use crate::session::Session;
use ballast::backtest::Backtest;
use ballast::backtest::tape::AnyTape;
use ballast::config::ConfigFile;
use ballast::config::overrides::Overrides;
use ballast::observer::Observer;
use ballast::recording::{Tape, TapeCounters, TapeError};
use ballast::venue::exchange::{Exchange, VenueOptions};
use ballast_engine::event::MarketEvent;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::pin;
use ballast_engine::units::Nanos;
use std::time::Duration;

/// Runs of each, whatever the time: the median of fewer is none.
const RUNS_MIN: usize = 7;
const SEED: u64 = 7;
const SYNTHETIC_NS: u64 = 60_000_000_000;
const ORDER_LATENCY_NS: u64 = 1_000_000;
const FEED_LATENCY_NS: u64 = 500_000;

/// A market that was decoded beforehand.
struct InMemory<'e> {
    events: &'e [MarketEvent],
    next: usize,
}

impl Tape for InMemory<'_> {
    fn next(&mut self) -> Result<Option<MarketEvent>, TapeError> {
        let event = self.events.get(self.next).copied();
        self.next += usize::from(event.is_some());
        Ok(event)
    }

    fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError> {
        Ok(self.events.get(self.next).map(|event| event.at))
    }

    fn counters(&self) -> TapeCounters {
        TapeCounters { events: self.next as u64, ..TapeCounters::default() }
    }
}

/// What all runs share.
struct Player<'s> {
    session: &'s Session,
    file: ConfigFile,
    config: MakerConfig,
}

/// Runs the backtest benchmark into `document`.
pub fn measure(session: &Session, document: &mut Document) -> Result<(), String> {
    let [near, _] = session.two_cores()?;
    pin::pin_current_thread(near);
    let overrides = Overrides { no_fees: true, ..Overrides::default() };
    let file = ConfigFile::demo().and_then(|file| file.changed(&overrides));
    let file = file.map_err(|fault| fault.to_string())?;
    let config = file.maker(1).map_err(|fault| fault.to_string())?;
    let player = Player { session, file, config };
    let open = |folder: &std::path::Path| {
        AnyTape::recorded(folder, &player.config.instruments).map_err(|fault| fault.to_string())
    };
    let instruments = &player.config.instruments;
    let synthetic = events_of(AnyTape::synthetic(instruments, SEED, Some(SYNTHETIC_NS)))?;
    let recorded = session.tape.as_deref().map(|folder| events_of(open(folder)?)).transpose()?;
    let mut seconds: [Vec<f64>; 3] = Default::default();
    let mut hiccups = Hiccups::new();
    let share = session.share(1.0);
    while seconds[0].len() < RUNS_MIN || share.is_left() {
        hiccups.watch(session.counter, &[near], Duration::from_millis(5));
        seconds[0].push(player.play(InMemory { events: &synthetic, next: 0 })?);
        if let (Some(events), Some(folder)) = (&recorded, &session.tape) {
            seconds[1].push(player.play(InMemory { events, next: 0 })?);
            seconds[2].push(player.play(open(folder)?)?);
        }
    }
    document.add_hiccups(&hiccups);
    let recorded = recorded.unwrap_or_default();
    let [of_synthetic, of_memory, of_files] = seconds;
    add(document, "backtest.synthetic", &synthetic, of_synthetic);
    add(document, "backtest.recorded", &recorded, of_memory);
    add(document, "backtest.recorded_with_decoding", &recorded, of_files);
    Ok(())
}

/// Nanoseconds a message, and thousands of messages and events a second.
fn add(document: &mut Document, name: &str, events: &[MarketEvent], seconds: Vec<f64>) {
    let messages = events.iter().filter(|event| event.last_in_message).count() as f64;
    let of = |count: f64| seconds.iter().map(|s| count / s / 1_000.0).collect::<Vec<_>>();
    let figures = seconds.iter().map(|s| s * 1e9 / messages).collect();
    document.measurements.extend(Measurement::new(&format!("{name}.message"), figures, 0, None));
    for (unit, count) in [("messages", messages), ("events", events.len() as f64)] {
        let name = format!("{name}, thousand {unit} a second");
        document.ratios.extend(Ratio::new(&name, of(count), None));
    }
}

fn events_of(mut tape: AnyTape) -> Result<Vec<MarketEvent>, String> {
    let mut events = Vec::new();
    while let Some(event) = tape.next().map_err(|error| error.to_string())? {
        events.push(event);
    }
    Ok(events)
}

impl Player<'_> {
    /// One run; its seconds.
    fn play<T: Tape>(&self, tape: T) -> Result<f64, String> {
        let options = VenueOptions {
            order_latency_ns: ORDER_LATENCY_NS,
            feed_latency_ns: FEED_LATENCY_NS,
            ..VenueOptions::default()
        };
        let exchange = Exchange::new(&self.config.instruments, options);
        let observer = Observer::new(&self.file, &self.config);
        let backtest = Backtest::new(&self.config, exchange, tape, observer, None, 0)
            .map_err(|error| error.to_string())?;
        let from = self.session.counter.stamp();
        let (outcome, _) = backtest.run(Nanos(u64::MAX)).map_err(|error| error.to_string())?;
        let ns = self.session.counter.nanos_between(from, self.session.counter.stamp());
        if outcome.maker().counters().fills == 0 {
            return Err("a backtest without a fill times nothing that matters".to_owned());
        }
        Ok(ns as f64 / 1e9)
    }
}
