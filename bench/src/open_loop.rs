//! Load by a schedule: events are due when they are due, whatever became of those before.
//!
//! Response time counts from when an event was due, service time from when it was taken up, so a stall
//! counts against every event that it delayed (no coordinated omission). Constant rates, bursts, and
//! recorded inter-arrival times.

use crate::document::{Document, Measurement};
use crate::histogram::{Latencies, OverRuns};
use crate::session::Session;
use ballast_engine::clock::Counter;
use ballast_engine::pin;
use ballast_engine::ring;
use ballast_engine::units::Stamp;
use std::time::Duration;

/// When events are due, in ns from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// One every `interval_ns`.
    Constant {
        /// Between two events.
        interval_ns: u64,
    },
    /// `size` at once, every `interval_ns`.
    Bursts {
        /// Events at the same moment.
        size: u64,
        /// Between two bursts.
        interval_ns: u64,
    },
    /// These gaps, over and over.
    Recorded {
        /// Inter-arrival times; not empty.
        gaps_ns: Vec<u64>,
    },
}

impl Schedule {
    /// When each event is due, without end.
    pub fn due_ns(&self) -> Box<dyn Iterator<Item = u64> + Send + '_> {
        match self {
            Schedule::Constant { interval_ns } => Box::new((0..).map(move |n| n * interval_ns)),
            Schedule::Bursts { size, interval_ns } => {
                Box::new((0..).map(move |n| n / size * interval_ns))
            }
            Schedule::Recorded { gaps_ns } => {
                Box::new(gaps_ns.iter().cycle().scan(0, |due: &mut u64, gap| {
                    *due += gap;
                    Some(*due)
                }))
            }
        }
    }
}

/// Slices of a run by a schedule: one stall does not move the median of so many. They are no runs of their
/// own: one process, one placement, one clock speed, so they say nothing of how runs differ.
const SLICES: usize = 8;
/// How long one point of the series of maxima is.
const SERIES_NS: u64 = 10_000_000;

/// Latencies of a run by a schedule, each in its slice of the time.
pub struct Sliced {
    slices: Vec<Latencies>,
    slice_ns: u64,
}

impl Sliced {
    /// None yet, of a run that is so long.
    pub fn new(duration_ns: u64) -> Sliced {
        Sliced {
            slices: (0..SLICES).map(|_| Latencies::new()).collect(),
            slice_ns: (duration_ns / SLICES as u64).max(1),
        }
    }

    /// One latency, of an event at this time from the start.
    pub fn record(&mut self, at_ns: u64, ns: u64) {
        let slice = usize::try_from(at_ns / self.slice_ns).unwrap_or(usize::MAX);
        self.slices[slice.min(SLICES - 1)].record_ns(ns);
    }

    /// All slices as one.
    pub fn whole(&self) -> Latencies {
        self.slices.iter().fold(Latencies::new(), |mut all, slice| {
            all.merge(slice);
            all
        })
    }

    /// The median over the slices, of one run; `None` where nothing happened.
    fn into_measurement(self, name: &str, maxima: Vec<u64>) -> Option<Measurement> {
        let seen = || self.slices.iter().filter(|slice| slice.count() > 0);
        let typical = seen().map(|slice| slice.at(0.5)).collect();
        let tail = OverRuns::of(seen().map(|slice| slice.at(0.999)).collect());
        let one_run = |over: OverRuns| OverRuns { ci95: None, runs: 1, ..over };
        let measurement = Measurement::new(name, typical, 0, Some(self.whole()))?;
        let (over, tail) = (one_run(measurement.over), tail.map(one_run));
        Some(Measurement { over, tail, maxima, ..measurement })
    }
}

/// What an open-loop run saw.
pub struct Outcome {
    /// From when the event was taken up to when it was done.
    pub service: Sliced,
    /// From when it was due.
    pub response: Sliced,
    /// Longest response in each hundredth of a second, in ns.
    pub maxima: Vec<u64>,
}

impl Outcome {
    /// Nothing seen yet, of a run that is so long.
    pub fn new(duration_ns: u64) -> Outcome {
        Outcome {
            service: Sliced::new(duration_ns),
            response: Sliced::new(duration_ns),
            maxima: vec![0; (duration_ns / SERIES_NS) as usize + 1],
        }
    }

    /// One event, due and taken up and finished at these ns from the start.
    pub fn record(&mut self, due_ns: u64, taken_up_ns: u64, finished_ns: u64) {
        self.service.record(due_ns, finished_ns.saturating_sub(taken_up_ns));
        self.respond(due_ns, finished_ns);
    }

    /// The same where whoever took it up measures its service.
    pub fn respond(&mut self, due_ns: u64, finished_ns: u64) {
        let response = finished_ns.saturating_sub(due_ns);
        self.response.record(due_ns, response);
        if let Some(longest) = self.maxima.get_mut((due_ns / SERIES_NS) as usize) {
            *longest = response.max(*longest);
        }
    }

    /// Hands both distributions to the document, the maxima over time with the response.
    pub fn into_document(self, name: &str, document: &mut Document) {
        let service = self.service.into_measurement(&format!("{name}.service"), Vec::new());
        let response = self.response.into_measurement(&format!("{name}.response"), self.maxima);
        document.measurements.extend(service.into_iter().chain(response));
    }
}

/// Sends one message for every due event of `schedule` through a hot ring to another core.
pub fn through_ring(
    counter: Counter,
    [near, far]: [usize; 2],
    schedule: &Schedule,
    duration: Duration,
) -> Outcome {
    let (mut producer, mut consumer) = ring::slots::<(u64, Stamp)>(4_096);
    let duration_ns = duration.as_nanos() as u64;
    let start = counter.stamp();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            pin::pin_current_thread(far);
            for due in schedule.due_ns().take_while(|due| *due < duration_ns) {
                let mut now = counter.stamp();
                while counter.nanos_between(start, now) < due {
                    std::hint::spin_loop();
                    now = counter.stamp();
                }
                while producer.push((due, now)).is_err() {
                    std::hint::spin_loop();
                }
            }
        });
        let receiving = scope.spawn(move || {
            pin::pin_current_thread(near);
            let mut outcome = Outcome::new(duration_ns);
            while !consumer.is_disconnected() {
                let Some((due, taken_up)) = consumer.pop() else {
                    std::hint::spin_loop();
                    continue;
                };
                let now = counter.nanos_between(start, counter.stamp());
                outcome.record(due, counter.nanos_between(start, taken_up), now);
            }
            outcome
        });
        receiving.join().expect("does not panic")
    })
}

/// Arrivals a second through a ring where the command says nothing else.
const RING_RATE: u64 = 200_000;

/// One way through the hot ring: steady (or as recorded), and in bursts.
pub fn one_way(session: &Session, cores: [usize; 2], document: &mut Document) {
    for (name, schedule) in session.schedules(RING_RATE) {
        let duration = Duration::from_nanos(session.duration_ns / 10);
        let outcome = through_ring(session.counter, cores, &schedule, duration);
        outcome.into_document(&format!("ring.slots.one_way.{name}"), document);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(schedule: &Schedule, count: usize) -> Vec<u64> {
        schedule.due_ns().take(count).collect()
    }

    #[test]
    fn schedules_are_due_when_they_say() {
        assert_eq!(first(&Schedule::Constant { interval_ns: 5 }, 3), [0, 5, 10]);
        assert_eq!(first(&Schedule::Bursts { size: 2, interval_ns: 7 }, 5), [0, 0, 7, 7, 14]);
        assert_eq!(first(&Schedule::Recorded { gaps_ns: vec![1, 4] }, 4), [1, 5, 6, 10]);
    }

    #[test]
    fn a_run_by_a_schedule_is_one_run_with_a_median_and_no_interval() {
        let mut outcome = Outcome::new(8_000);
        (0..8).for_each(|slice| outcome.record(slice * 1_000, slice * 1_000, slice * 1_000 + 5));
        let session = Session::in_tests();
        let mut document = Document::of_cores([0, 0], "test".into(), &session, String::new());
        outcome.into_document("a.steady", &mut document);
        let names: Vec<_> = document.measurements.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["a.steady.service", "a.steady.response"]);
        assert!(document.measurements.iter().all(|m| m.over.runs == 1 && m.over.ci95.is_none()));
    }

    #[test]
    fn a_stall_counts_against_every_event_that_it_delayed() {
        let mut outcome = Outcome::new(1_000);
        // Due every 10 ns, but the fourth is taken up at 1,000 and then one every 10 ns: each takes 5.
        for n in 0..6u64 {
            let taken_up = if n < 3 { n * 10 } else { 1_000 + (n - 3) * 10 };
            outcome.record(n * 10, taken_up, taken_up + 5);
        }
        let (service, response) = (outcome.service.whole(), outcome.response.whole());
        assert!((service.max() - 5.0).abs() < 0.1, "service hides the stall");
        let late = response.points().iter().filter(|p| p.ns > 900.0).count();
        assert!(late > 0 && (response.at(0.5) - 5.0).abs() < 0.1);
        assert_eq!(response.count(), 6);
        assert_eq!(outcome.maxima, [975]);
    }
}
