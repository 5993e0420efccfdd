//! `ballast-bench codec`: the hot messages read and written, beside a copy of their bytes.
//!
//! Single messages take less than the counter's step on some hosts, so 64 are timed as one. `decode` is
//! framing (BodyLength and CheckSum verified) and splitting; `read` is that and the fields that a
//! consumer needs, by name and converted; `write` is the prepared order that order entry sends, with the
//! eight values that change, and the general encoder. Every round stands between two runs of the ping-pong floor. Other
//! people's codecs get the same messages in `bench/peers`.

pub mod messages;

use crate::allocations;
use crate::bracket::Bracket;
use crate::document::{Document, Measurement};
use crate::hiccup::Hiccups;
use crate::histogram::{Latencies, RUNS_MIN};
use crate::ratio::Ratio;
use crate::session::Session;
use ballast_engine::pin;
use ballast_gateway::fix::decode::Decoder;
use messages::{FIELDS_MAX, LEN_MAX, Orders, decode};
use messages::{read_execution_report, read_order, read_refresh};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

/// Messages timed as one.
const BATCH: u64 = 64;
/// Batches in a run.
const BATCHES: usize = 200;
/// The floor for which the bounds below were promised, in ns.
const FLOOR_PROMISED: f64 = 110.0;
/// What was promised at that floor, in ns. Elsewhere the ratio to the floor binds.
const PROMISED: [(&str, f64); 4] = [
    ("codec.read.new_order_single", 130.0),
    ("codec.read.execution_report", 200.0),
    ("codec.read.refresh_of_10", 850.0),
    ("codec.write.new_order_single.template", 40.0),
];

/// Everything that is measured, prepared.
struct Subjects {
    order: Vec<u8>,
    report: Vec<u8>,
    refresh: Vec<u8>,
    decoder: Decoder,
    orders: Orders,
    buffer: [u8; LEN_MAX],
}

/// The runs of one subject.
#[derive(Default)]
struct Runs {
    typical: Vec<f64>,
    to_floor: Vec<f64>,
    all: Option<Latencies>,
    allocations: u64,
    dropped: usize,
}

/// One run and how often it allocated.
type Run = (&'static str, Latencies, u64);

/// Runs the codec benchmark into `document`.
pub fn measure(session: &Session, document: &mut Document) -> Result<(), String> {
    let cores = session.two_cores()?;
    let bracket = Bracket::new(session, cores);
    pin::pin_current_thread(cores[0]);
    let mut subjects = Subjects::new()?;
    let mut runs: BTreeMap<&'static str, Runs> = BTreeMap::new();
    let (mut hiccups, mut floors) = (Hiccups::new(), Vec::new());
    let (share, mut rounds) = (session.share(1.0), 0);
    while share.is_left() || rounds < RUNS_MIN {
        rounds += 1;
        hiccups.watch(session.counter, &cores[..1], Duration::from_millis(5));
        let (round, floor) = bracket.around(|| subjects.round(session))?;
        floors.extend(floor);
        for (name, run, allocations) in round {
            runs.entry(name).or_default().add(run, allocations, floor);
        }
    }
    document.add_hiccups(&hiccups);
    document.measurements.extend(Measurement::new("codec.floor.ping_pong", floors, 0, None));
    for (name, runs) in runs {
        runs.into_document(name, document);
    }
    Ok(())
}

impl Subjects {
    fn new() -> Result<Subjects, String> {
        let mut orders = Orders::new()?;
        let order = orders.by_template()?.to_vec();
        let mut buffer = [0; LEN_MAX];
        if order != Orders::new()?.by_encoder(&mut buffer)? {
            return Err("the template and the encoder write different orders".to_owned());
        }
        Ok(Subjects {
            order,
            report: messages::execution_report().map_err(|error| error.to_string())?,
            refresh: messages::incremental_refresh().map_err(|error| error.to_string())?,
            decoder: Decoder::new(FIELDS_MAX),
            orders,
            buffer,
        })
    }

    /// Every subject once.
    fn round(&mut self, session: &Session) -> Result<Vec<Run>, String> {
        let Subjects { order, report, refresh, decoder, orders, buffer } = self;
        let mut round = Vec::new();
        let mut run = |name, work: &mut dyn FnMut() -> Result<(), String>| {
            let (latencies, allocations) = timed(session, work)?;
            round.push((name, latencies, allocations));
            Ok::<(), String>(())
        };
        let mut copy = [0u8; LEN_MAX];
        run("codec.copy.new_order_single", &mut || {
            copy[..order.len()].copy_from_slice(black_box(order));
            black_box(&copy);
            Ok(())
        })?;
        for (name, bytes) in [
            ("codec.decode.new_order_single", &*order),
            ("codec.decode.execution_report", report),
            ("codec.decode.refresh_of_10", refresh),
        ] {
            run(name, &mut || decode(decoder, black_box(bytes)).map(|m| _ = black_box(m)))?;
        }
        run("codec.read.new_order_single", &mut || {
            read_order(decoder, black_box(order)).map(|sum| _ = black_box(sum))
        })?;
        run("codec.read.execution_report", &mut || {
            read_execution_report(decoder, black_box(report)).map(|sum| _ = black_box(sum))
        })?;
        run("codec.read.refresh_of_10", &mut || {
            read_refresh(decoder, black_box(refresh)).map(|sum| _ = black_box(sum))
        })?;
        run("codec.write.new_order_single.template", &mut || {
            orders.by_template().map(|bytes| _ = black_box(bytes))
        })?;
        run("codec.write.new_order_single.encoder", &mut || {
            orders.by_encoder(buffer).map(|bytes| _ = black_box(bytes))
        })?;
        Ok(round)
    }
}

impl Runs {
    fn add(&mut self, run: Latencies, allocations: u64, floor: Option<f64>) {
        // Allocations are the same on a disturbed host; times are not.
        self.allocations += allocations;
        let Some(floor) = floor else {
            self.dropped += 1;
            return;
        };
        self.typical.push(run.at(0.5));
        self.to_floor.push(run.at(0.5) / floor);
        self.all.get_or_insert_with(Latencies::new).merge(&run);
    }

    fn into_document(self, name: &str, document: &mut Document) {
        let runs = self.typical.len() + self.dropped;
        let messages = runs as u64 * BATCH * BATCHES as u64;
        let measurement = Measurement::new(name, self.typical, self.dropped, self.all);
        if measurement.is_none() {
            document.fail(format!("{name}: the floor moved around all {runs} runs"));
        }
        document.measurements.extend(measurement);
        if let Some((_, ns)) = PROMISED.iter().find(|(promised, _)| *promised == name) {
            let bound = Some(ns / FLOOR_PROMISED);
            document.add_ratio(Ratio::new(&format!("{name} / floor"), self.to_floor, bound));
            let each = self.allocations as f64 / messages.max(1) as f64;
            let what = format!("{name}, allocations a message");
            document.add_ratio(Ratio::single(&what, Some(each), Some(0.0)));
        }
    }
}

/// One run: batches of `work`, the mean of each batch as one value; and this thread's allocations.
fn timed(
    session: &Session,
    work: &mut dyn FnMut() -> Result<(), String>,
) -> Result<(Latencies, u64), String> {
    let mut batches = [0u64; BATCHES];
    let before = allocations::so_far();
    for batch in &mut batches {
        let from = session.counter.stamp();
        for _ in 0..BATCH {
            work()?;
        }
        *batch = session.counter.nanos_between(from, session.counter.stamp());
    }
    let allocations = allocations::so_far() - before;
    let mut run = Latencies::new();
    batches.iter().for_each(|ns| run.record_batch(*ns, BATCH));
    Ok((run, allocations))
}
