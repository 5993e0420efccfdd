//! Load by a schedule: events are due when they are due, whatever became of those before.
//!
//! Response time counts from when an event was due, service time from when it was taken up, so a stall
//! counts against every event that it delayed (no coordinated omission). Constant rates, bursts, and
//! recorded inter-arrival times. Several short runs, each between two looks at the floor and at the host's
//! own stalls; the schedule goes on from one to the next. What is due in a run's first tenth is done and not
//! counted: threads start and caches fill then.

use crate::bracket::Bracket;
use crate::document::Document;
use crate::figures::Figures;
use crate::hiccup::Hiccups;
use crate::histogram::{Latencies, RUNS_MIN};
use crate::session::Session;
use ballast_engine::clock::Counter;
use ballast_engine::pin;
use ballast_engine::ring;
use ballast_engine::units::Stamp;
use std::time::Duration;

/// Runs of one schedule at most: around some the floor moves.
const RUNS_MAX: usize = 2 * RUNS_MIN;
/// Part of the session's time that one schedule's kept runs take together.
const SHARE: u64 = 10;
/// Part of a run that is not counted.
const LEAD_IN: u64 = 10;
/// How long one point of the series of maxima is.
const SERIES_NS: u64 = 10_000_000;

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

/// One run by a schedule: its part of the schedule's time.
#[derive(Clone, Copy)]
pub struct Run<'s> {
    /// When events are due.
    pub schedule: &'s Schedule,
    /// From here on in the schedule's time.
    pub from_ns: u64,
    /// For so long.
    pub duration_ns: u64,
}

impl<'s> Run<'s> {
    /// When each event is due, in ns from the run's start.
    pub fn due_ns(self) -> impl Iterator<Item = u64> + Send + 's {
        let Run { schedule, from_ns, duration_ns } = self;
        let all: Box<dyn Iterator<Item = u64> + Send + 's> = match schedule {
            Schedule::Constant { interval_ns } => {
                let first = from_ns.div_ceil(*interval_ns);
                Box::new((first..).map(move |n| n * interval_ns))
            }
            Schedule::Bursts { size, interval_ns } => {
                let first = from_ns.div_ceil(*interval_ns) * size;
                Box::new((first..).map(move |n| n / size * interval_ns))
            }
            Schedule::Recorded { gaps_ns } => {
                let whole = gaps_ns.iter().fold(0u64, |sum, gap| sum.saturating_add(*gap)).max(1);
                // An event of the round before may be due at just this time.
                let rounds_ns = (from_ns / whole).saturating_sub(1) * whole;
                let due = gaps_ns.iter().cycle().scan(rounds_ns, |due: &mut u64, gap| {
                    // Beyond the end of time nothing is due.
                    *due = due.checked_add(*gap)?;
                    Some(*due)
                });
                let mut due = due.skip_while(move |due| *due < from_ns).peekable();
                // Earlier runs' events are passed over now and not when the first one is due.
                due.peek();
                Box::new(due)
            }
        };
        all.map(move |due| due - from_ns).take_while(move |due| *due < duration_ns)
    }

    fn lead_in_ns(self) -> u64 {
        self.duration_ns / LEAD_IN
    }

    /// How many events are due before anything is counted.
    pub fn lead_in(self) -> u64 {
        self.due_ns().take_while(|due| *due < self.lead_in_ns()).count() as u64
    }
}

/// What an open-loop run saw.
pub struct Outcome {
    /// From when the event was taken up to when it was done.
    pub service: Latencies,
    /// From when it was due.
    pub response: Latencies,
    /// Longest response in each hundredth of a second, in ns.
    pub maxima: Vec<u64>,
    lead_in_ns: u64,
}

impl Outcome {
    /// Nothing seen yet.
    pub fn new(run: Run<'_>) -> Outcome {
        let counted_ns = run.duration_ns - run.lead_in_ns();
        Outcome {
            service: Latencies::new(),
            response: Latencies::new(),
            maxima: vec![0; (counted_ns / SERIES_NS) as usize + 1],
            lead_in_ns: run.lead_in_ns(),
        }
    }

    /// One event, due and taken up and finished at these ns from the start.
    pub fn record(&mut self, due_ns: u64, taken_up_ns: u64, finished_ns: u64) {
        if due_ns >= self.lead_in_ns {
            self.service.record_ns(finished_ns.saturating_sub(taken_up_ns));
        }
        self.respond(due_ns, finished_ns);
    }

    /// The same responses with the service that whoever took the events up measured.
    pub fn served_in(self, service: Latencies) -> Outcome {
        Outcome { service, ..self }
    }

    /// One event of which whoever took it up measures the service.
    pub fn respond(&mut self, due_ns: u64, finished_ns: u64) {
        let Some(counted_ns) = due_ns.checked_sub(self.lead_in_ns) else { return };
        let response = finished_ns.saturating_sub(due_ns);
        self.response.record_ns(response);
        if let Some(longest) = self.maxima.get_mut((counted_ns / SERIES_NS) as usize) {
            *longest = response.max(*longest);
        }
    }
}

/// Where runs by a schedule are done.
pub struct Place<'s> {
    /// Whose time and schedules.
    pub session: &'s Session,
    /// The floor around each run.
    pub bracket: &'s Bracket,
    /// The cores that the runs use.
    pub cores: &'s [usize],
}

impl Place<'_> {
    /// Runs by each schedule, `rate_default` arrivals a second where the command says nothing else, as
    /// `NAME.SCHEDULE.service` and `.response`; the host's stalls around each.
    pub fn measure(
        &self,
        name: &str,
        rate_default: u64,
        document: &mut Document,
        mut run: impl FnMut(Run<'_>) -> Result<Outcome, String>,
    ) -> Result<(), String> {
        let (session, mut hiccups) = (self.session, Hiccups::new());
        let mut watch = || hiccups.watch(session.counter, self.cores, Duration::from_millis(5));
        for (kind, schedule) in session.schedules(rate_default) {
            let name = format!("{name}.{kind}");
            let duration_ns = session.duration_ns / SHARE / RUNS_MIN as u64;
            let (mut figures, mut kept, mut events) = (Figures::default(), 0, 0);
            for from_ns in (0..RUNS_MAX as u64).map(|number| number * duration_ns) {
                if kept == RUNS_MIN {
                    break;
                }
                watch();
                let one = Run { schedule: &schedule, from_ns, duration_ns };
                let (outcome, floor) = self
                    .bracket
                    .around(|| run(one))
                    .map_err(|error: String| format!("{name}: {error}"))?;
                let is_kept = floor.is_some();
                kept += usize::from(is_kept);
                events += outcome.response.count();
                figures.add_outcome(&name, outcome, is_kept);
            }
            watch();
            if events == 0 {
                document.fail(format!(
                    "{name}: nothing was due in {RUNS_MAX} runs of {} ms at most",
                    duration_ns / 1_000_000
                ));
            }
            figures.into_document(document);
        }
        document.add_hiccups(&hiccups);
        Ok(())
    }
}

/// Sends one message for every due event through a hot ring to another core.
fn through_ring(counter: Counter, [near, far]: [usize; 2], run: Run<'_>) -> Outcome {
    let (mut producer, mut consumer) = ring::slots::<(u64, Stamp)>(4_096);
    let all_due = run.due_ns();
    let start = counter.stamp();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            pin::pin_current_thread(far);
            for due in all_due {
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
            let mut outcome = Outcome::new(run);
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

/// One way through the hot ring by each schedule.
pub fn one_way(
    session: &Session,
    cores: [usize; 2],
    document: &mut Document,
) -> Result<(), String> {
    let place = Place { session, bracket: &Bracket::new(session, cores), cores: &cores };
    place.measure("ring.slots.one_way", RING_RATE, document, |run| {
        Ok(through_ring(session.counter, cores, run))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(schedule: &Schedule, from_ns: u64, duration_ns: u64) -> Vec<u64> {
        Run { schedule, from_ns, duration_ns }.due_ns().collect()
    }

    fn run(duration_ns: u64) -> Run<'static> {
        Run { schedule: &Schedule::Constant { interval_ns: 10 }, from_ns: 0, duration_ns }
    }

    #[test]
    fn a_schedule_goes_on_from_one_run_to_the_next() {
        let steady = Schedule::Constant { interval_ns: 5 };
        assert_eq!(due(&steady, 0, 12), [0, 5, 10]);
        assert_eq!(due(&steady, 12, 12), [3, 8]);
        let bursts = Schedule::Bursts { size: 2, interval_ns: 7 };
        assert_eq!(due(&bursts, 0, 15), [0, 0, 7, 7, 14, 14]);
        assert_eq!(due(&bursts, 8, 8), [6, 6]);
        let recorded = Schedule::Recorded { gaps_ns: vec![1, 4] };
        assert_eq!(due(&recorded, 0, 11), [1, 5, 6, 10]);
        assert_eq!(due(&recorded, 6, 6), [0, 4, 5]);
        assert_eq!(due(&recorded, 10_000_000_000, 6), [0, 1, 5]);
    }

    #[test]
    fn a_gap_beyond_the_end_of_time_ends_a_recorded_schedule() {
        let recorded = Schedule::Recorded { gaps_ns: vec![3, u64::MAX] };
        assert_eq!(due(&recorded, 0, 1_000), [3]);
    }

    #[test]
    fn what_is_due_in_the_first_tenth_is_not_counted() {
        let mut outcome = Outcome::new(run(100));
        for due in run(100).due_ns() {
            outcome.record(due, due, due + if due < 10 { 1_000 } else { 5 });
        }
        assert_eq!((outcome.service.count(), outcome.response.count()), (9, 9));
        assert!(outcome.response.max() < 6.0 && outcome.maxima == [5]);
        assert_eq!(run(100).lead_in(), 1, "and whoever only counts events leaves out as many");
    }

    #[test]
    fn a_schedule_is_measured_in_several_runs_and_one_without_events_is_told() {
        let session = Session { duration_ns: 70_000_000, ..Session::in_tests() };
        let Ok(cores) = session.two_cores() else {
            println!("skipped: a look at the floor needs two physical cores");
            return;
        };
        let mut document = Document::of_cores(cores, "test".into(), &session, String::new());
        let place =
            Place { session: &session, bracket: &Bracket::new(&session, cores), cores: &[] };
        let mut starts = Vec::new();
        let quiet = |run: Run<'_>| {
            starts.push((run.from_ns, run.duration_ns));
            Ok(Outcome::new(run))
        };
        place.measure("a", 1_000, &mut document, quiet).unwrap();
        assert_eq!(starts[..2], [(0, 1_000_000), (1_000_000, 1_000_000)]);
        assert!(starts.len() >= 2 * RUNS_MIN, "each of two schedules has its runs");
        let told = document.failures();
        assert!(told[0].starts_with("a.steady: nothing was due"), "{told:?}");
        assert!(told[1].starts_with("a.bursts: nothing was due"), "{told:?}");
    }

    #[test]
    fn a_stall_counts_against_every_event_that_it_delayed() {
        let mut outcome = Outcome::new(run(1_000));
        // Due every 10 ns, but the fourth is taken up at 2,000 and then one every 10 ns: each takes 5.
        for n in 0..6u64 {
            let due = 100 + n * 10;
            let taken_up = if n < 3 { due } else { 2_000 + (n - 3) * 10 };
            outcome.record(due, taken_up, taken_up + 5);
        }
        let Outcome { service, response, .. } = &outcome;
        assert!((service.max() - 5.0).abs() < 0.1, "service hides the stall");
        let late = response.points().iter().filter(|p| p.ns > 900.0).count();
        assert!(late > 0 && (response.at(0.5) - 5.0).abs() < 0.1);
        assert_eq!(response.count(), 6);
        assert_eq!(outcome.maxima, [1_875]);
    }
}
