//! The one place that joins the stages: rings, maker, feeds, order entry, journal, telemetry.
//!
//! Fed by a validated config; feeds the runners. The demo, `run`, the backtest and the replay all get
//! their maker here, so that all of them run the same one. Deliberately absent: what a venue is (a
//! socket, a pipe or a function call is at the other ends of the rings).

use ballast_engine::clock::Counter;
use ballast_engine::event::{MarketEvent, OrderEvent, OrderIntent};
use ballast_engine::journal::record::Record as Entry;
use ballast_engine::latency::{self, Samples};
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::{ConfigError, MakerConfig};
use ballast_engine::maker::input::Control;
use ballast_engine::maker::stage::{
    MakerLinks, MakerStage, Progress, StageSettings, Telemetry, TimeBase,
};
use ballast_engine::ring::{self, Consumer, Producer, RecordConsumer};
use std::sync::Arc;

/// Market events that may wait for the maker, a feed. A snapshot of a deep book passes through here.
const MARKET_RING: usize = 1 << 14;
/// Order events that may wait for the maker, a session.
const ORDER_RING: usize = 1 << 10;
/// Journal entries that may wait for the recorder.
const JOURNAL_RING: usize = 1 << 15;
/// Telemetry that may wait for the reporter.
const TELEMETRY_RING: usize = 1 << 14;
/// Latency samples that may wait for the reporter.
const LATENCY_RING: usize = 1 << 14;

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
    pub progress: Arc<Progress>,
}

/// Builds a maker with its rings. `sample_interval_ns` is the distance of telemetry samples in the
/// maker's time, 0 for none.
pub fn wire_maker(
    config: &MakerConfig,
    time: TimeBase,
    sample_interval_ns: u64,
    counter: Counter,
) -> Result<(MakerStage, Ends), Vec<ConfigError>> {
    let maker = Maker::new(config)?;
    let intents_max = Maker::intents_max(config);
    let venues = config.message_rates.len();
    // A step may leave `intents_max` behind, a timer before it as many.
    let intent_ring = (4 * intents_max).next_power_of_two();
    let journal_ring = JOURNAL_RING.max((8 * intents_max).next_power_of_two());
    let (orders_in, orders_out) = (0..venues).map(|_| ring::slots(ORDER_RING)).unzip();
    let (market_in, market_out) = (0..venues).map(|_| ring::slots(MARKET_RING)).unzip();
    let (intents_in, intents_out) = (0..venues).map(|_| ring::slots(intent_ring)).unzip();
    let (control_in, control_out) = ring::slots(16);
    let (journal_in, journal_out) = ring::records(journal_ring);
    let (telemetry_in, telemetry_out) = ring::records(TELEMETRY_RING);
    let (probe, samples) = latency::probe(counter, LATENCY_RING);
    let progress = Arc::new(Progress::default());
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
