//! `ballast-bench engine`: what one step of the maker takes, in process.
//!
//! Two loads. `engine.update_to_two_orders` is one decoded change of the touch that moves both quotes,
//! to the bytes of two order messages: a venue that takes everything at once answers in between, off
//! the clock. `engine.step.*` are the inputs of a backtest on the synthetic market, with its fills and
//! hedges, journaled and stepped again through a new maker; each step is timed and sorted by what it
//! turned out to be. Steps near the counter's own step are timed by the batch of 64 of their kind.
//! The stamps' own cost stands beside them as `measuring.stamp_pair`, and is not taken off.

use crate::bracket::Bracket;
use crate::document::Document;
use crate::figures::Figures;
use crate::hiccup::Hiccups;
use crate::histogram::{Latencies, RUNS_MIN};
use crate::ratio::Ratio;
use crate::rig::{self, BATCH, Rig};
use crate::session::Session;
use crate::stream::{Kind, Stream};
use ballast_engine::pin;
use std::hint::black_box;
use std::time::Duration;

/// Ticks in a run.
const TICKS: u64 = 4_096;
/// 200 ns over a floor of 110 ns: what binds where the floor is another.
const BOUND_TO_FLOOR: f64 = 200.0 / 110.0;

/// Runs the engine benchmark into `document`.
pub fn measure(session: &Session, document: &mut Document) -> Result<(), String> {
    let cores = session.two_cores()?;
    let bracket = Bracket::new(session, cores);
    pin::pin_current_thread(cores[0]);
    let mut rig = Rig::new(session, &rig::one_level()?, 1)?;
    let stream = Stream::synthetic()?;
    let (mut figures, mut hiccups) = (Figures::default(), Hiccups::new());
    let (mut to_floor, mut rounds) = (Vec::new(), 0);
    let share = session.share(1.0);
    while share.is_left() || rounds < RUNS_MIN {
        rounds += 1;
        hiccups.watch(session.counter, &cores[..1], Duration::from_millis(5));
        let (run, floor) = bracket.around(|| rig.run(TICKS))?;
        let [whole, decide, encode] = &run.batches;
        to_floor.extend(floor.map(|floor| whole.at(0.5) / floor));
        let is_kept = floor.is_some();
        figures.add("engine.update_to_two_orders", whole, &run.singles, is_kept);
        figures.add("engine.update_to_two_orders.decide", decide, decide, is_kept);
        figures.add("engine.update_to_two_orders.encode", encode, encode, is_kept);
        let ((pairs, steps), floor) =
            bracket.around(|| stream.timed(session).map(|steps| (stamp_pairs(session), steps)))?;
        let is_kept = floor.is_some();
        figures.add("measuring.stamp_pair", &pairs, &pairs, is_kept);
        for (kind, [batches, singles]) in Kind::ALL.into_iter().zip(steps) {
            let typical = if batches.count() > 0 { &batches } else { &singles };
            figures.add(&format!("engine.step.{}", kind.name()), typical, &singles, is_kept);
        }
    }
    document.add_hiccups(&hiccups);
    figures.into_document(document);
    let bound = Some(BOUND_TO_FLOOR);
    document.add_ratio(Ratio::new("engine.update_to_two_orders / floor", to_floor, bound));
    Ok(())
}

/// Two counter reads after each other: what every timed step holds beside itself.
fn stamp_pairs(session: &Session) -> Latencies {
    let counter = session.counter;
    let mut run = Latencies::new();
    for _ in 0..BATCH {
        let mut steps = 0;
        for _ in 0..BATCH {
            let from = black_box(counter.stamp());
            steps += black_box(counter.stamp()).0.saturating_sub(from.0);
        }
        run.record_batch(counter.nanos_of_steps(steps), BATCH);
    }
    run
}
