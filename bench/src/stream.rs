//! A realistic stream of a maker's inputs: a backtest's own, journaled and stepped again.
//!
//! Fed by a backtest on the synthetic market under the demo's config without fees; feeds `engine`.
//! The maker gives the same intents each time, so that a first pass can say what each step is and
//! the timed passes need not look.

use crate::histogram::Latencies;
use crate::rig::BATCH;
use crate::session::Session;
use ballast::backtest::Backtest;
use ballast::backtest::tape::AnyTape;
use ballast::config::ConfigFile;
use ballast::config::overrides::Overrides;
use ballast::observer::Observer;
use ballast::venue::exchange::{Exchange, VenueOptions};
use ballast_engine::event::{MarketUpdate, OrderUpdate, TimeInForce};
use ballast_engine::journal::header::Header;
use ballast_engine::journal::reader::JournalReader;
use ballast_engine::journal::record::Record;
use ballast_engine::journal::writer::JournalWriter;
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::input::Input;
use ballast_engine::maker::intents::Intents;
use ballast_engine::units::Nanos;
use std::hint::black_box;
use std::path::Path;

/// Seed and length of the market.
const SEED: u64 = 7;
const DURATION_NS: u64 = 30_000_000_000;
/// One way to the venue, and from its market.
const ORDER_LATENCY_NS: u64 = 1_000_000;
const FEED_LATENCY_NS: u64 = 500_000;

/// What a step turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A change of the book inside a message.
    Book,
    /// The end of a message after which every quote stays.
    TickKept,
    /// The end of a message after which quotes move.
    TickRequoted,
    /// The venue's acknowledgement of an order, replace or cancel.
    Acknowledgement,
    /// A fill, and the quotes that move with it.
    Fill,
    /// Any input that led to a hedge.
    Hedge,
    /// The maker's timer.
    Timer,
}

impl Kind {
    /// All of them, in the order of [`Stream::timed`]'s answer.
    pub const ALL: [Kind; 7] = [
        Kind::Book,
        Kind::TickKept,
        Kind::TickRequoted,
        Kind::Acknowledgement,
        Kind::Fill,
        Kind::Hedge,
        Kind::Timer,
    ];

    /// Its name in results.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Book => "book",
            Kind::TickKept => "tick_kept",
            Kind::TickRequoted => "tick_requoted",
            Kind::Acknowledgement => "acknowledgement",
            Kind::Fill => "fill_requoted",
            Kind::Hedge => "hedge",
            Kind::Timer => "timer",
        }
    }
}

/// The inputs with their times and kinds.
pub struct Stream {
    config: MakerConfig,
    inputs: Vec<(Nanos, Input, Kind)>,
    intents: usize,
}

impl Stream {
    /// Plays the market and keeps what the maker consumed.
    pub fn synthetic() -> Result<Stream, String> {
        let overrides = Overrides { no_fees: true, ..Overrides::default() };
        let file = ConfigFile::demo().and_then(|file| file.changed(&overrides));
        let file = file.map_err(|fault| fault.to_string())?;
        let config = file.maker(1).map_err(|fault| fault.to_string())?;
        let path =
            std::env::temp_dir().join(format!("ballast-bench-engine-{}", std::process::id()));
        let inputs = played(&file, &config, &path).and_then(|()| read(&path));
        // Of a file that was never made there is nothing to take away.
        let _ = std::fs::remove_file(&path);
        let mut stream = Stream { config, inputs: inputs?, intents: 0 };
        stream.classify()?;
        Ok(stream)
    }

    fn maker(&self) -> Result<(Maker, Intents), String> {
        let maker = Maker::new(&self.config).map_err(|faults| format!("{faults:?}"))?;
        let intents_max = Maker::intents_max(&self.config);
        Ok((maker, Intents::new(intents_max, intents_max.max(256))))
    }

    fn classify(&mut self) -> Result<(), String> {
        let (mut maker, mut out) = self.maker()?;
        for (now, input, kind) in &mut self.inputs {
            maker.step(*now, input, &mut out);
            let orders = out.orders();
            self.intents += orders.len();
            let is_hedge = orders.iter().any(|o| o.time_in_force == TimeInForce::ImmediateOrCancel);
            *kind = match input {
                _ if is_hedge => Kind::Hedge,
                Input::Timer | Input::Control(_) => Kind::Timer,
                Input::Order(event) if matches!(event.update, OrderUpdate::Fill { .. }) => {
                    Kind::Fill
                }
                Input::Order(_) => Kind::Acknowledgement,
                Input::Market(event) => {
                    let is_whole = event.last_in_message || event.update == MarketUpdate::Gap;
                    match (is_whole, orders.is_empty()) {
                        (false, _) => Kind::Book,
                        (true, true) => Kind::TickKept,
                        (true, false) => Kind::TickRequoted,
                    }
                }
            };
            out.clear();
        }
        Ok(())
    }

    /// Steps all inputs through a new maker: for each kind the means of batches of its steps, and the
    /// single steps.
    pub fn timed(&self, session: &Session) -> Result<[[Latencies; 2]; Kind::ALL.len()], String> {
        let counter = session.counter;
        let (mut maker, mut out) = self.maker()?;
        let mut runs = Kind::ALL.map(|_| [Latencies::new(), Latencies::new()]);
        let mut sums = Kind::ALL.map(|_| (0u64, 0u64));
        let mut intents = 0;
        for (now, input, kind) in &self.inputs {
            let from = counter.stamp();
            maker.step(*now, black_box(input), &mut out);
            let steps = counter.stamp().0.saturating_sub(from.0);
            intents += out.orders().len();
            out.clear();
            let [batches, singles] = &mut runs[*kind as usize];
            singles.record_ns(counter.nanos_of_steps(steps));
            let (sum, count) = &mut sums[*kind as usize];
            *sum += steps;
            *count += 1;
            if *count == BATCH {
                batches.record_batch(counter.nanos_of_steps(*sum), BATCH);
                (*sum, *count) = (0, 0);
            }
        }
        if intents != self.intents {
            return Err(format!(
                "the same inputs gave {intents} intents, and before {}",
                self.intents
            ));
        }
        Ok(runs)
    }
}

/// A backtest whose journal stands at `path`.
fn played(file: &ConfigFile, config: &MakerConfig, path: &Path) -> Result<(), String> {
    let header = Header {
        epoch: 1,
        started: Nanos(0),
        binary: env!("CARGO_PKG_VERSION").into(),
        config: file.text.clone(),
        resumption: None,
    };
    let journal = JournalWriter::create(path, &header).map_err(|fault| fault.to_string())?;
    let options = VenueOptions {
        order_latency_ns: ORDER_LATENCY_NS,
        feed_latency_ns: FEED_LATENCY_NS,
        ..VenueOptions::default()
    };
    let exchange = Exchange::new(&config.instruments, options);
    let tape = AnyTape::synthetic(&config.instruments, SEED, Some(DURATION_NS));
    let observer = Observer::new(file, config);
    let backtest = Backtest::new(config, exchange, tape, observer, Some(journal), 0)
        .map_err(|error| error.to_string())?;
    backtest.run(Nanos(u64::MAX)).map(|_| ()).map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<Vec<(Nanos, Input, Kind)>, String> {
    let reader = JournalReader::open(path).map_err(|fault| fault.to_string())?;
    let mut inputs = Vec::new();
    for record in reader {
        let input = match record.map_err(|fault| fault.to_string())? {
            Record::Market { now, event, .. } => (now, Input::Market(event), Kind::Book),
            Record::Order { now, event, .. } => (now, Input::Order(event), Kind::Acknowledgement),
            Record::Control { now, control, .. } => (now, Input::Control(control), Kind::Timer),
            Record::Timer { now, .. } => (now, Input::Timer, Kind::Timer),
            Record::Intent { .. } | Record::State { .. } | Record::End(_) => continue,
        };
        inputs.push(input);
    }
    Ok(inputs)
}
