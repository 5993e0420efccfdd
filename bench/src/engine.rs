//! `ballast-bench engine`: what one step of the maker takes, in process.
//!
//! Two loads. `engine.update_to_two_orders` is one decoded change of the touch that moves both quotes,
//! to the bytes of two order messages: a venue that takes everything at once answers in between, off
//! the clock. `engine.step.*` are the inputs of a backtest on the synthetic market, with its fills and
//! hedges, journaled and stepped again through a new maker; each step is timed and sorted by what it
//! turned out to be. Steps near the counter's own step are timed by the batch of 64 of their kind.
//! The stamps' own cost stands beside them as `measuring.stamp_pair`, and is not taken off.

use crate::document::{Document, Measurement, Ratio};
use crate::hiccup::Hiccups;
use crate::histogram::Latencies;
use crate::rig::{self, BATCH, Rig};
use crate::ring::link::Line;
use crate::ring::round_trip::Bench;
use crate::session::Session;
use crate::stream::{Kind, Stream};
use ballast_engine::pin;
use std::hint::black_box;
use std::time::Duration;

/// Ticks in a run.
const TICKS: u64 = 4_096;
/// A run of the ping-pong floor.
const FLOOR_NS: u64 = 3_000_000;
/// A round counts for ratios to the floor where it moved by at most this part of itself.
const FLOOR_SHIFT_MAX: f64 = 0.1;
/// 200 ns over a floor of 110 ns: what binds where the floor is another.
const BOUND_TO_FLOOR: f64 = 200.0 / 110.0;

/// The median of each run and all values of all runs, by name, in the order of the first run.
#[derive(Default)]
pub struct Figures(Vec<(String, Vec<f64>, Latencies)>);

impl Figures {
    /// A run whose figure is the median of `typical`, and whose values are `all`.
    pub fn add(&mut self, name: &str, typical: &Latencies, all: &Latencies) {
        if typical.count() == 0 {
            return;
        }
        if !self.0.iter().any(|(known, ..)| known == name) {
            self.0.push((name.to_owned(), Vec::new(), Latencies::new()));
        }
        if let Some((_, figures, values)) = self.0.iter_mut().find(|(known, ..)| known == name) {
            figures.push(typical.at(0.5));
            values.merge(all);
        }
    }

    /// Hands everything to the document.
    pub fn into_document(self, document: &mut Document) {
        for (name, figures, values) in self.0 {
            document.measurements.extend(Measurement::new(&name, figures, 0, Some(values)));
        }
    }
}

/// What the ping-pong of two cores takes around a round; `None` where it moved meanwhile.
pub fn still_floor(before: f64, after: f64) -> Option<f64> {
    let around = (before + after) / 2.0;
    ((after - before).abs() <= FLOOR_SHIFT_MAX * around).then_some(around)
}

/// Runs the engine benchmark into `document`.
pub fn measure(session: &Session, document: &mut Document) -> Result<(), String> {
    let [near, far] = session.two_cores()?;
    let bench = Bench { counter: session.counter, near, far };
    pin::pin_current_thread(near);
    let mut rig = Rig::new(session, &rig::one_level()?, 1)?;
    let stream = Stream::synthetic()?;
    let (mut figures, mut hiccups) = (Figures::default(), Hiccups::new());
    let mut to_floor = Vec::new();
    let share = session.share(1.0);
    while share.is_left() {
        hiccups.watch(session.counter, &[near], Duration::from_millis(5));
        let before = bench.round_trips::<Line>(FLOOR_NS).typical();
        let run = rig.run(TICKS)?;
        let after = bench.round_trips::<Line>(FLOOR_NS).typical();
        let [whole, decide, encode] = &run.batches;
        if let Some(floor) = still_floor(before, after) {
            to_floor.push(whole.at(0.5) / floor);
        }
        figures.add("engine.update_to_two_orders", whole, &run.singles);
        figures.add("engine.update_to_two_orders.decide", decide, decide);
        figures.add("engine.update_to_two_orders.encode", encode, encode);
        let pairs = stamp_pairs(session);
        figures.add("measuring.stamp_pair", &pairs, &pairs);
        for (kind, [batches, singles]) in Kind::ALL.into_iter().zip(stream.timed(session)?) {
            let typical = if batches.count() > 0 { &batches } else { &singles };
            figures.add(&format!("engine.step.{}", kind.name()), typical, &singles);
        }
    }
    document.add_hiccups(&hiccups);
    figures.into_document(document);
    let bound = Some(BOUND_TO_FLOOR);
    document.ratios.extend(Ratio::new("engine.update_to_two_orders / floor", to_floor, bound));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_that_moved_by_more_than_a_tenth_is_no_floor() {
        assert_eq!(still_floor(100.0, 110.0), Some(105.0));
        assert_eq!(still_floor(100.0, 130.0), None);
    }
}
