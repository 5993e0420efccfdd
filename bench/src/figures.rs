//! What the runs of a benchmark gave, by name: a figure and a tail a kept run, all values of all kept runs.
//!
//! Filled round after round; feeds the document. A run around which the floor moved is counted and gives
//! nothing else.

use crate::document::{Document, Measurement};
use crate::histogram::{Latencies, OverRuns};
use crate::open_loop::Outcome;

/// Values below which a run's p99.9 is its largest few.
const TAIL_COUNT_MIN: u64 = 1_000;

/// The runs of one thing.
#[derive(Default)]
struct Runs {
    typical: Vec<f64>,
    tails: Vec<f64>,
    all: Option<Latencies>,
    maxima: Vec<u64>,
    dropped: usize,
}

/// The runs of everything, in the order of the first run.
#[derive(Default)]
pub struct Figures(Vec<(String, Runs)>);

impl Figures {
    /// A run whose figure is the median of `typical`, and whose values are `all`; dropped unless `is_kept`.
    pub fn add(&mut self, name: &str, typical: &Latencies, all: &Latencies, is_kept: bool) {
        if typical.count() == 0 {
            return;
        }
        let runs = self.of(name, is_kept);
        if let Some(runs) = runs {
            runs.typical.push(typical.at(0.5));
            if all.count() >= TAIL_COUNT_MIN {
                runs.tails.push(all.at(0.999));
            }
            runs.all.get_or_insert_with(Latencies::new).merge(all);
        }
    }

    /// A run of which there is one figure, in ns.
    pub fn add_one(&mut self, name: &str, ns: f64, is_kept: bool) {
        if let Some(runs) = self.of(name, is_kept) {
            runs.typical.push(ns);
        }
    }

    /// A run by a schedule; what its longest were over time follows those of the runs before.
    pub fn add_outcome(&mut self, name: &str, outcome: Outcome, is_kept: bool) {
        let Outcome { service, response, maxima, .. } = outcome;
        self.add(&format!("{name}.service"), &service, &service, is_kept);
        let name = format!("{name}.response");
        self.add(&name, &response, &response, is_kept);
        if let Some((_, runs)) = self.0.iter_mut().find(|(known, _)| *known == name && is_kept) {
            runs.maxima.extend(maxima);
        }
    }

    /// Where a kept run goes; a dropped one is counted there.
    fn of(&mut self, name: &str, is_kept: bool) -> Option<&mut Runs> {
        let place = self.0.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.0.push((name.to_owned(), Runs::default()));
            self.0.len() - 1
        });
        let (_, runs) = self.0.get_mut(place)?;
        runs.dropped += usize::from(!is_kept);
        is_kept.then_some(runs)
    }

    /// Hands everything to the document; what was only disturbed is named there.
    pub fn into_document(self, document: &mut Document) {
        for (name, runs) in self.0 {
            match Measurement::new(&name, runs.typical, runs.dropped, runs.all) {
                Some(measurement) => {
                    let tail = OverRuns::of(runs.tails);
                    let maxima = runs.maxima;
                    document.measurements.push(Measurement { tail, maxima, ..measurement });
                }
                None => document.fail(format!(
                    "{name}: the floor moved around all {} runs: the host is too busy",
                    runs.dropped
                )),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Session;

    #[test]
    fn a_run_around_which_the_floor_moved_is_counted_and_gives_no_figure() {
        let session = Session::in_tests();
        let mut document = Document::of_cores([0, 0], "test".into(), &session, String::new());
        let mut figures = Figures::default();
        let run = |ns| {
            let mut run = Latencies::new();
            (0..1_000).for_each(|_| run.record_ns(ns));
            run
        };
        figures.add("a", &run(10), &run(10), true);
        figures.add("a", &run(900), &run(900), false);
        figures.add("b", &run(900), &run(900), false);
        figures.into_document(&mut document);
        let [a] = document.measurements.as_slice() else { panic!("b has no figure") };
        assert_eq!((a.over.runs, a.dropped), (1, 1));
        assert!(a.latencies.as_ref().unwrap().max() < 11.0 && a.tail.unwrap().median < 11.0);
        assert!(document.failures()[0].contains("b: the floor moved around all 1 runs"));
    }
}
