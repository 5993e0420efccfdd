//! `ballast-bench backtest`: how fast the virtual runner is: the live maker against the simulated
//! venue, one thread, one core.
//!
//! The recorded market (`--tape`) plays twice: decoded into memory beforehand, which times maker and
//! venue, and from its files, which adds unpacking and reading JSON. The synthetic market plays from
//! memory. A message is what its venue sent at once; it holds one or more events.

use crate::bracket::Bracket;
use crate::document::Document;
use crate::figures::Figures;
use crate::hiccup::Hiccups;
use crate::histogram::RUNS_MIN;
use crate::ratio::Ratio;
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
    let cores = session.two_cores()?;
    let bracket = Bracket::new(session, cores);
    pin::pin_current_thread(cores[0]);
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
    let recorded = recorded.unwrap_or_default();
    let markets = [
        Market::new("backtest.synthetic", &synthetic),
        Market::new("backtest.recorded", &recorded),
        Market::new("backtest.recorded_with_decoding", &recorded),
    ];
    let mut markets = markets.map(|market| (market, Vec::new()));
    let (mut figures, mut hiccups, mut rounds) = (Figures::default(), Hiccups::new(), 0);
    let share = session.share(1.0);
    while rounds < RUNS_MIN || share.is_left() {
        rounds += 1;
        hiccups.watch(session.counter, &cores[..1], Duration::from_millis(5));
        for (place, (market, kept)) in markets.iter_mut().enumerate() {
            let events = market.events;
            let (seconds, floor) = match (place, &session.tape) {
                (0, _) => bracket.around(|| player.play(InMemory { events, next: 0 }))?,
                (_, None) => continue,
                (1, Some(_)) => bracket.around(|| player.play(InMemory { events, next: 0 }))?,
                (_, Some(folder)) => bracket.around(|| player.play(open(folder)?))?,
            };
            let name = format!("{}.message", market.name);
            figures.add_one(&name, seconds * 1e9 / market.messages, floor.is_some());
            kept.extend(floor.map(|_| seconds));
        }
    }
    document.add_hiccups(&hiccups);
    figures.into_document(document);
    markets.into_iter().for_each(|(market, kept)| market.throughput(&kept, document));
    Ok(())
}

/// What is played.
struct Market<'e> {
    name: &'static str,
    events: &'e [MarketEvent],
    messages: f64,
}

impl Market<'_> {
    fn new<'e>(name: &'static str, events: &'e [MarketEvent]) -> Market<'e> {
        let messages = events.iter().filter(|event| event.last_in_message).count() as f64;
        Market { name, events, messages }
    }

    /// Thousands of messages and events a second.
    fn throughput(&self, seconds: &[f64], document: &mut Document) {
        for (unit, count) in [("messages", self.messages), ("events", self.events.len() as f64)] {
            let name = format!("{}, thousand {unit} a second", self.name);
            let figures = seconds.iter().map(|s| count / s / 1_000.0).collect();
            document.add_ratio(Ratio::new(&name, figures, None).more_is_good());
        }
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
