//! A maker's stage and the far ends of its rings, all in the thread of a test.

use ballast_engine::clock::Counter;
use ballast_engine::event::{MarketEvent, OrderEvent, OrderIntent};
use ballast_engine::journal::record::Record as Entry;
use ballast_engine::latency::{self, Samples};
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::input::Control;
use ballast_engine::maker::stage::{
    MakerLinks, MakerStage, Progress, StageSettings, Telemetry, TimeBase,
};
use ballast_engine::ring::{self, Consumer, Producer, RecordConsumer};
use std::sync::Arc;

#[allow(
    dead_code,
    reason = "each test looks at its part; a ring that is dropped would be disconnected"
)]
pub struct FarEnds {
    pub orders: Producer<OrderEvent>,
    pub control: Producer<Control>,
    pub market: Producer<MarketEvent>,
    pub intents: Consumer<OrderIntent>,
    pub journal: RecordConsumer<Entry>,
    pub telemetry: RecordConsumer<Telemetry>,
    pub samples: Samples,
    pub progress: Arc<Progress>,
}

/// Room for so many market events and so much telemetry; for all else as much as the live system has.
pub fn stage(
    config: &MakerConfig,
    (time, sample_interval_ns): (TimeBase, u64),
    (market_room, telemetry_room): (usize, usize),
) -> (MakerStage, FarEnds) {
    let intents_max = Maker::intents_max(config);
    let (orders, orders_out) = ring::slots(64);
    let (control, control_out) = ring::slots(16);
    let (market, market_out) = ring::slots(market_room);
    let (intents_in, intents) = ring::slots(4 * intents_max);
    let (journal_in, journal) = ring::records(8 * intents_max);
    let (telemetry_in, telemetry) = ring::records(telemetry_room);
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
    let progress = Arc::new(Progress::default());
    let maker = Maker::new(config).unwrap();
    let stage = MakerStage::new(maker, links, settings, probe, Arc::clone(&progress));
    (stage, FarEnds { orders, control, market, intents, journal, telemetry, samples, progress })
}
