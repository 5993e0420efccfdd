//! `ballast-bench ring`: our two rings beside the machine's own floor and two peers, in one run.
//!
//! Runs are short and interleaved, each between two runs of the floor; where the floor moved by more
//! than a tenth in between, the host had moved the cores about, and the run is dropped.

pub mod link;
pub mod round_trip;

use crate::bracket::{Bracket, still_floor};
use crate::document::{Document, Measurement};
use crate::figures::Figures;
use crate::hiccup::Hiccups;
use crate::histogram::{Latencies, OverRuns, RUNS_MIN};
use crate::open_loop;
use crate::ratio::Ratio;
use crate::session::Session;
use ballast_engine::latency::{self, Mark};
use link::{Array, Line, Link, Records, Rtrb, Slots};
use round_trip::{Bench, Run};
use std::collections::BTreeMap;
use std::time::Duration;

/// Length of a run of a subject, and of the floor on either side of it.
const RUN_NS: u64 = 8_000_000;
const FLOOR_NS: u64 = 4_000_000;
/// Messages in one bulk or same-thread run.
const BULK_COUNT: u64 = 200_000;
/// Rounds of bulk and same-thread runs at least: some are dropped.
const BULK_ROUNDS_MIN: usize = 2 * RUNS_MIN;

/// All kept runs of one subject.
#[derive(Default)]
struct Kept {
    typical: Vec<f64>,
    to_floor: Vec<f64>,
    batches: Option<Latencies>,
    singles: Option<Latencies>,
    tails: Vec<f64>,
    dropped: usize,
}

impl Kept {
    fn keep(&mut self, run: Run, floor: f64) {
        self.typical.push(run.typical());
        self.to_floor.push(run.typical() / floor);
        self.tails.push(run.singles.at(0.999));
        for (all, new) in [(&mut self.batches, run.batches), (&mut self.singles, run.singles)] {
            all.get_or_insert_with(Latencies::new).merge(&new);
        }
    }
}

/// Runs the ring benchmark into `document`.
pub fn measure(session: &Session, document: &mut Document) -> Result<(), String> {
    let [near, far] = session.two_cores()?;
    let bench = Bench { counter: session.counter, near, far };
    round_trips(session, &bench, document);
    bulk(session, &bench, document)?;
    probe_cost(session, &bench, document)?;
    open_loop::one_way(session, [near, far], document)
}

/// Interleaved rounds of every subject for half of the session's time.
fn round_trips(session: &Session, bench: &Bench, document: &mut Document) {
    let mut kept: BTreeMap<&'static str, Kept> = BTreeMap::new();
    let mut peers: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    let mut hiccups = Hiccups::new();
    let (share, mut rounds) = (session.share(0.5), 0);
    while share.is_left() || rounds < RUNS_MIN {
        rounds += 1;
        hiccups.watch(session.counter, &[bench.near, bench.far], Duration::from_millis(5));
        let mut floor = bench.round_trips::<Line>(FLOOR_NS);
        let mut ratios: BTreeMap<&'static str, f64> = BTreeMap::new();
        for subject in
            [subject::<Slots> as Subject, subject::<Rtrb>, subject::<Array>, subject::<Records>]
        {
            let (name, run) = subject(bench);
            let after = bench.round_trips::<Line>(FLOOR_NS);
            let entry = kept.entry(name).or_default();
            match still_floor(floor.typical(), after.typical()) {
                None => entry.dropped += 1,
                Some(around) => {
                    ratios.insert(name, run.typical() / around);
                    entry.keep(run, around);
                    kept.entry(Line::NAME).or_default().keep(floor, around);
                }
            }
            floor = after;
        }
        // A peer's ratio needs both runs of the same round; each is taken relative to its own floor.
        if let Some(ours) = ratios.get(Slots::NAME) {
            for peer in [Rtrb::NAME, Array::NAME] {
                if let Some(theirs) = ratios.get(peer) {
                    peers.entry(peer).or_default().push(ours / theirs);
                }
            }
        }
    }
    document.add_hiccups(&hiccups);
    report(kept, peers, document);
}

type Subject = fn(&Bench) -> (&'static str, Run);

fn subject<L: Link>(bench: &Bench) -> (&'static str, Run) {
    (L::NAME, bench.round_trips::<L>(RUN_NS))
}

fn report(
    kept: BTreeMap<&'static str, Kept>,
    mut peers: BTreeMap<&'static str, Vec<f64>>,
    document: &mut Document,
) {
    for (name, kept) in kept {
        let dropped = kept.dropped;
        let name = format!("ring.{name}.round_trip");
        if name != "ring.floor.round_trip" {
            let bound = (name == "ring.slots.round_trip").then_some(1.1);
            document.add_ratio(Ratio::new(&format!("{name} / floor"), kept.to_floor, bound));
        }
        let typical = Measurement::new(&name, kept.typical, dropped, kept.batches);
        if typical.is_none() {
            document.fail(format!("{name}: the floor moved around all {dropped} runs"));
        }
        document.measurements.extend(typical);
        let single = OverRuns::of(kept.singles.iter().map(|singles| singles.at(0.5)).collect());
        document.measurements.extend(single.map(|over| Measurement {
            name: format!("{name}.single"),
            over,
            tail: OverRuns::of(kept.tails),
            dropped,
            latencies: kept.singles,
            maxima: Vec::new(),
        }));
    }
    for (peer, bound) in [(Rtrb::NAME, 0.75), (Array::NAME, 0.45)] {
        let name = format!("ring.slots.round_trip / {peer}");
        document.add_ratio(Ratio::new(&name, peers.remove(peer).unwrap_or_default(), Some(bound)));
    }
}

/// One way in batches of 64, and push and pop on one thread: what the recorder and the fused runner
/// pay.
fn bulk(session: &Session, bench: &Bench, document: &mut Document) -> Result<(), String> {
    let bracket = Bracket::new(session, [bench.near, bench.far]);
    let (mut figures, mut ratios, mut rounds) = (Figures::default(), Vec::new(), 0);
    let (share, mut hiccups) = (session.share(0.2), Hiccups::new());
    while share.is_left() || rounds < BULK_ROUNDS_MIN {
        rounds += 1;
        hiccups.watch(session.counter, &[bench.near, bench.far], Duration::from_millis(5));
        let (ns, floor) = bracket.around(|| {
            Ok::<_, String>([
                bench.bulk::<Records>(BULK_COUNT),
                bench.bulk::<Rtrb>(BULK_COUNT),
                bench.same_thread::<Slots>(BULK_COUNT),
                bench.same_thread::<Records>(BULK_COUNT),
                bench.same_thread::<Rtrb>(BULK_COUNT),
            ])
        })?;
        ratios.extend(floor.map(|_| ns[0] / ns[1]));
        let names = ["records.bulk", "rtrb.bulk", "slots.same_thread", "records.same_thread"];
        for (name, ns) in names.into_iter().chain(["rtrb.same_thread"]).zip(ns) {
            figures.add_one(&format!("ring.{name}"), ns, floor.is_some());
        }
    }
    document.add_hiccups(&hiccups);
    figures.into_document(document);
    document.add_ratio(Ratio::new("ring.records.bulk / rtrb", ratios, Some(1.2)));
    Ok(())
}

/// What one mark at a stage's boundary costs: a counter read and a push, a recorder draining.
fn probe_cost(session: &Session, bench: &Bench, document: &mut Document) -> Result<(), String> {
    let bracket = Bracket::new(session, [bench.near, bench.far]);
    let (mut figures, mut over, mut rounds) = (Figures::default(), Vec::new(), 0);
    let (share, mut hiccups) = (session.share(0.05), Hiccups::new());
    while share.is_left() || rounds < BULK_ROUNDS_MIN {
        rounds += 1;
        hiccups.watch(session.counter, &[bench.near, bench.far], Duration::from_millis(5));
        let (run, floor) = bracket.around(|| Ok::<_, String>(marks(bench)))?;
        over.extend(floor.map(|_| run.at(0.5)));
        figures.add_one("measuring.mark", run.at(0.5), floor.is_some());
    }
    document.add_hiccups(&hiccups);
    figures.into_document(document);
    document.add_ratio(Ratio::new("measuring.mark, ns", over, Some(15.0)));
    Ok(())
}

/// One run of marks, by the batch.
fn marks(bench: &Bench) -> Latencies {
    const MARKS: u64 = 256;
    let Bench { counter, near, far } = *bench;
    let (mut probe, mut samples) = latency::probe(counter, 1 << 16);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            ballast_engine::pin::pin_current_thread(far);
            while !samples.is_disconnected() {
                while samples.pop().is_some() {}
                std::thread::park_timeout(Duration::from_micros(20));
            }
        });
        let marking = scope.spawn(move || {
            ballast_engine::pin::pin_current_thread(near);
            let mut run = Latencies::new();
            for _ in 0..200 {
                let from = counter.stamp();
                (0..MARKS).for_each(|_| probe.mark(Mark::MakerIn, from));
                run.record_batch(counter.nanos_between(from, counter.stamp()), MARKS);
                // The recorder keeps up: a push into a full ring would be cheaper than the real thing.
                (0..2_000).for_each(|_| std::hint::spin_loop());
            }
            run
        });
        marking.join().expect("does not panic")
    })
}
