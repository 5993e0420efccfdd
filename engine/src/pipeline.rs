//! What runs the stages: each on a thread and core of its own, several fused on one, or all in
//! virtual time.
//!
//! [`run`] gives every [`Seat`] a named thread, pinned where the seat says so. [`Fused`] makes one
//! stage of several that take their turns in order, so a two-core host seats
//! `Fused(feed, maker, order entry)` on one core; its rings then stay in that core's own cache (see
//! `ballast-bench ring`: a same-thread push and pop costs a few nanoseconds), which is why there is no
//! second kind of link. The virtual runner is a [`Fused`] whose turns the caller gives, with its own
//! time. So the same stages see the same sequence of inputs in all three.
//!
//! Deliberately absent: winding down (stages do that and say [`Turn::Done`]; [`Stop`] is for when they
//! cannot) and restarting.

use crate::clock::Clock;
use crate::pin;
use crate::stage::{Stage, Turn};
use crate::units::Nanos;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use thiserror::Error;

/// Tells every runner that has a copy to give no more turns.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// One that is not set.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Stops the runners after the turns that are under way.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it is set.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What a thread does while its stage is idle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// PAUSE and look again: the core is the stage's own.
    Spin,
    /// Look `spins` times, then let another thread have the core each time: the core is shared.
    Yield {
        /// Idle turns before the first yield.
        spins: u32,
    },
    /// Yield up to `spins` times, then sleep `park_ns` between looks: the stage is cold.
    Park {
        /// Idle turns before the first sleep.
        spins: u32,
        /// How long one sleep is: the latency that a cold stage bears.
        park_ns: u64,
    },
}

impl Wait {
    /// Waits once, after `idle_turns` turns without work.
    #[inline]
    pub fn pause(self, idle_turns: u32) {
        match self {
            Wait::Spin => std::hint::spin_loop(),
            Wait::Yield { spins } if idle_turns < spins => std::hint::spin_loop(),
            Wait::Park { spins, .. } if idle_turns < spins => thread::yield_now(),
            Wait::Yield { .. } => thread::yield_now(),
            Wait::Park { park_ns, .. } => thread::park_timeout(Duration::from_nanos(park_ns)),
        }
    }
}

/// A stage, where it runs and how it waits.
pub struct Seat<'a> {
    /// The stage; it is dropped on its thread when it is done.
    pub stage: Box<dyn Stage + 'a>,
    /// The logical core; `None` leaves it to the scheduler.
    pub core: Option<usize>,
    /// What the thread does while the stage is idle.
    pub wait: Wait,
    /// SCHED_FIFO priority of the thread; `None`, as [`Seat::new`] has it, leaves it an ordinary one.
    pub priority: Option<u8>,
}

impl<'a> Seat<'a> {
    /// `stage` on `core`, waiting as `wait` says. A borrowed stage (`&mut S`) can be looked at after
    /// the run; an owned one is dropped when done, so that its rings disconnect.
    pub fn new(stage: impl Stage + 'a, core: Option<usize>, wait: Wait) -> Seat<'a> {
        Seat { stage: Box::new(stage), core, wait, priority: None }
    }
}

/// What a thread did, for the report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ran {
    /// The stage.
    pub stage: &'static str,
    /// The core that it was pinned to; `None` where it floated.
    pub core: Option<usize>,
    /// How it waited, after degrading.
    pub wait: Wait,
    /// The SCHED_FIFO priority that it had.
    pub priority: Option<u8>,
    /// Turns given.
    pub turns: u64,
    /// Turns that found work.
    pub busy: u64,
}

/// Why a pipeline did not run or did not end well.
#[derive(Debug, Error)]
pub enum PipelineError {
    /// A stage panicked: a bug. All stages were stopped.
    #[error("stage {stage} panicked, so every stage was stopped: {message}")]
    Panicked {
        /// The stage.
        stage: &'static str,
        /// What it said.
        message: String,
    },
    /// The operating system gave no thread.
    #[error("no thread for stage {stage}: {source}")]
    NoThread {
        /// The stage.
        stage: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The stage's core cannot be had; nothing ran.
    #[error(
        "stage {stage} wants core {core}, and the kernel refuses it: is it online, and in this process's \
         cpuset? (AllowedCPUs= of the unit; started on {allowed:?})"
    )]
    NoSuchCore {
        /// The stage.
        stage: &'static str,
        /// The core that the config names.
        core: usize,
        /// The process's affinity mask.
        allowed: Vec<usize>,
    },
    /// The stage's priority cannot be had; nothing ran.
    #[error(
        "stage {stage} wants priority {priority}, and the system refuses it: {source} (LimitRTPRIO= of the \
         unit; `ballast doctor`, rt-priority)"
    )]
    NoPriority {
        /// The stage.
        stage: &'static str,
        /// The priority that the config names.
        priority: u8,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Runs every seat on a thread of its own until all are done, `stop` is set, or one panics (which sets
/// `stop`). Blocks; returns what each thread did, in the order of the seats.
///
/// Where there are fewer cores than spinning seats, or two seats name one core, spinning degrades to
/// yielding: a thread that spins on a shared core only delays the one it waits for.
pub fn run(mut seats: Vec<Seat<'_>>, clock: Clock, stop: &Stop) -> Result<Vec<Ran>, PipelineError> {
    let mut cores = pin::allowed_cores();
    for seat in &seats {
        may_have(seat, &cores)?;
    }
    // Isolated cores are in no mask: the seats' own come on top of what the scheduler deals out.
    cores.extend(seats.iter().filter_map(|seat| seat.core));
    cores.sort_unstable();
    cores.dedup();
    share_cores(&mut seats, cores.len());
    thread::scope(|scope| {
        let mut threads = Vec::new();
        let mut failure = None;
        for seat in seats {
            let stage = seat.stage.name();
            let body = move || drive(seat, clock, stop);
            match thread::Builder::new().name(stage.to_owned()).spawn_scoped(scope, body) {
                Ok(handle) => threads.push((stage, handle)),
                Err(source) => {
                    stop.set();
                    failure = Some(PipelineError::NoThread { stage, source });
                    break;
                }
            }
        }
        let mut ran = Vec::new();
        for (stage, handle) in threads {
            match handle.join().unwrap_or_else(|payload| Err(message_of(payload))) {
                Ok(done) => ran.push(done),
                Err(message) => {
                    failure = failure.or(Some(PipelineError::Panicked { stage, message }))
                }
            }
        }
        failure.map_or(Ok(ran), Err)
    })
}

/// Whether the core and the priority that a seat names can be had, before anything runs.
fn may_have(seat: &Seat<'_>, allowed: &[usize]) -> Result<(), PipelineError> {
    let stage = seat.stage.name();
    if let Some(core) = seat.core
        && !pin::may_pin(core)
    {
        return Err(PipelineError::NoSuchCore { stage, core, allowed: allowed.to_vec() });
    }
    if let Some(priority) = seat.priority {
        pin::may_prioritise(priority).map_err(|source| PipelineError::NoPriority {
            stage,
            priority,
            source,
        })?;
    }
    Ok(())
}

/// Turns spinning into yielding on cores that are shared.
fn share_cores(seats: &mut [Seat<'_>], cores: usize) {
    let spinning = seats.iter().filter(|seat| seat.wait == Wait::Spin).count();
    let named: Vec<Option<usize>> = seats.iter().map(|seat| seat.core).collect();
    for seat in seats.iter_mut() {
        let is_shared =
            seat.core.is_some() && named.iter().filter(|core| **core == seat.core).count() > 1;
        if seat.wait == Wait::Spin && (is_shared || spinning > cores) {
            seat.wait = Wait::Yield { spins: 0 };
        }
    }
}

/// One thread's life. An error is a panic's message.
fn drive(seat: Seat<'_>, mut clock: Clock, stop: &Stop) -> Result<Ran, String> {
    let Seat { mut stage, core, wait, priority } = seat;
    let core = core.filter(|&core| pin::pin_current_thread(core));
    // The core first: what spins before everybody else must not wander.
    let priority = priority.filter(|&wanted| pin::prioritise_current_thread(wanted).is_ok());
    let mut ran = Ran { stage: stage.name(), core, wait, priority, turns: 0, busy: 0 };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut idle_turns = 0u32;
        while !stop.is_set() {
            let turn = stage.turn(clock.now());
            ran.turns += 1;
            match turn {
                Turn::Busy => {
                    ran.busy += 1;
                    idle_turns = 0;
                }
                Turn::Idle => {
                    wait.pause(idle_turns);
                    idle_turns = idle_turns.saturating_add(1);
                }
                Turn::Done => break,
            }
        }
        drop(stage);
    }));
    match outcome {
        Ok(()) => Ok(ran),
        Err(payload) => {
            stop.set();
            Err(message_of(payload))
        }
    }
}

fn message_of(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload
            .downcast_ref::<&str>()
            .map_or_else(|| "(no message)".to_owned(), |text| (*text).to_owned()),
    }
}

/// Several stages as one: they take their turns in order, on the thread that turns this one.
pub struct Fused<'a> {
    name: &'static str,
    /// `None` once done.
    stages: Vec<Option<Box<dyn Stage + 'a>>>,
}

/// The stages were still busy after this many turns at one moment: two of them keep each other so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error(
    "the stages were still busy after {turns} turns at {now:?}: they feed each other endlessly"
)]
pub struct NeverIdle {
    /// Turns given.
    pub turns: u32,
    /// The virtual time of all of them.
    pub now: Nanos,
}

impl<'a> Fused<'a> {
    /// A stage of this name that has no parts yet.
    pub fn new(name: &'static str) -> Fused<'a> {
        Fused { name, stages: Vec::new() }
    }

    /// Adds a stage that takes its turn after the ones already here.
    pub fn then(mut self, stage: impl Stage + 'a) -> Fused<'a> {
        self.stages.push(Some(Box::new(stage)));
        self
    }

    /// Gives turns at the same virtual time until no stage has anything to do at it, so that the
    /// caller may move time on. [`Turn::Idle`], or [`Turn::Done`] when every stage is.
    pub fn settle(&mut self, now: Nanos, turns_max: u32) -> Result<Turn, NeverIdle> {
        for _ in 0..turns_max {
            match self.turn(now) {
                Turn::Busy => {}
                settled @ (Turn::Idle | Turn::Done) => return Ok(settled),
            }
        }
        Err(NeverIdle { turns: turns_max, now })
    }
}

impl Stage for Fused<'_> {
    fn name(&self) -> &'static str {
        self.name
    }

    /// Busy if any stage was, done when all are.
    #[inline]
    fn turn(&mut self, now: Nanos) -> Turn {
        let mut whole = Turn::Done;
        for place in &mut self.stages {
            let Some(stage) = place else { continue };
            match (stage.turn(now), whole) {
                (Turn::Busy, _) => whole = Turn::Busy,
                (Turn::Idle, Turn::Done) => whole = Turn::Idle,
                (Turn::Idle, Turn::Busy | Turn::Idle) => {}
                (Turn::Done, _) => *place = None,
            }
        }
        whole
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::clock::Counter;
    use crate::ring::{self, Consumer, Producer};

    fn clock() -> Clock {
        Clock::with_counter(Counter::monotonic())
    }

    /// Sends the numbers below `count`, then is done.
    struct Source {
        next: u64,
        count: u64,
        out: Producer<u64>,
    }

    impl Stage for Source {
        fn name(&self) -> &'static str {
            "source"
        }
        fn turn(&mut self, _now: Nanos) -> Turn {
            if self.next == self.count {
                return Turn::Done;
            }
            match self.out.push(self.next) {
                Ok(()) => {
                    self.next += 1;
                    Turn::Busy
                }
                Err(_) => Turn::Idle,
            }
        }
    }

    /// Passes on twice what comes in; done when its source is gone.
    struct Doubler {
        input: Consumer<u64>,
        out: Producer<u64>,
        panics_at: Option<u64>,
    }

    impl Stage for Doubler {
        fn name(&self) -> &'static str {
            "doubler"
        }
        fn turn(&mut self, _now: Nanos) -> Turn {
            if !self.out.has_room(1) {
                return Turn::Idle;
            }
            match self.input.pop() {
                Some(n) => {
                    assert_ne!(Some(n), self.panics_at, "planted");
                    self.out.push(2 * n).unwrap();
                    Turn::Busy
                }
                None if self.input.is_disconnected() => Turn::Done,
                None => Turn::Idle,
            }
        }
    }

    /// Keeps all that comes in.
    struct Sink {
        input: Consumer<u64>,
        seen: Vec<u64>,
    }

    impl Stage for Sink {
        fn name(&self) -> &'static str {
            "sink"
        }
        fn turn(&mut self, _now: Nanos) -> Turn {
            match self.input.pop() {
                Some(n) => {
                    self.seen.push(n);
                    Turn::Busy
                }
                None if self.input.is_disconnected() => Turn::Done,
                None => Turn::Idle,
            }
        }
    }

    fn three(count: u64, panics_at: Option<u64>) -> (Source, Doubler, Sink) {
        let (first, input) = ring::slots(8);
        let (second, last) = ring::slots(8);
        (
            Source { next: 0, count, out: first },
            Doubler { input, out: second, panics_at },
            Sink { input: last, seen: Vec::new() },
        )
    }

    const YIELD: Wait = Wait::Yield { spins: 10 };

    #[test]
    fn pinned_fused_and_virtual_runs_see_the_same_sequence() {
        let expected: Vec<u64> = (0..1_000).map(|n| 2 * n).collect();

        let (source, doubler, mut sink) = three(1_000, None);
        let seats = vec![
            Seat::new(source, pin::allowed_cores().first().copied(), Wait::Spin),
            Seat::new(doubler, None, YIELD),
            Seat::new(&mut sink, None, Wait::Park { spins: 5, park_ns: 1_000 }),
        ];
        let ran = run(seats, clock(), &Stop::new()).unwrap();
        assert_eq!(sink.seen, expected);
        assert_eq!(ran.iter().map(|r| r.stage).collect::<Vec<_>>(), ["source", "doubler", "sink"]);
        assert_eq!(ran.iter().map(|r| r.busy).collect::<Vec<_>>(), [1_000; 3]);

        let (source, doubler, mut sink) = three(1_000, None);
        let fused = Fused::new("fused").then(source).then(doubler).then(&mut sink);
        run(vec![Seat::new(fused, None, YIELD)], clock(), &Stop::new()).unwrap();
        assert_eq!(sink.seen, expected);

        let (source, doubler, mut sink) = three(1_000, None);
        let mut fused = Fused::new("virtual").then(source).then(doubler).then(&mut sink);
        assert_eq!(fused.settle(Nanos(1), 100_000), Ok(Turn::Done));
        drop(fused);
        assert_eq!(sink.seen, expected);
    }

    #[test]
    fn a_panic_in_one_stage_stops_all_and_names_it() {
        let (source, doubler, sink) = three(u64::MAX, Some(500));
        let seats = vec![
            Seat::new(source, None, YIELD),
            Seat::new(doubler, None, YIELD),
            Seat::new(sink, None, YIELD),
        ];
        let stop = Stop::new();
        let error = run(seats, clock(), &stop).unwrap_err();
        assert!(matches!(error, PipelineError::Panicked { stage: "doubler", .. }), "{error}");
        assert!(error.to_string().contains("planted"), "{error}");
        assert!(stop.is_set());
    }

    #[test]
    fn a_stop_ends_stages_that_would_run_for_ever() {
        let (source, _, _) = three(u64::MAX, None);
        let stop = Stop::new();
        stop.set();
        let ran = run(vec![Seat::new(source, None, Wait::Spin)], clock(), &stop).unwrap();
        assert_eq!(ran.first().map(|r| r.turns), Some(0));
    }

    #[test]
    fn a_core_that_the_host_does_not_have_is_refused_before_anything_runs() {
        let (source, _, _) = three(1, None);
        let seats = vec![Seat::new(source, Some(100_000), Wait::Spin)];
        let error = run(seats, clock(), &Stop::new()).unwrap_err();
        assert!(matches!(error, PipelineError::NoSuchCore { core: 100_000, .. }), "{error}");
    }

    #[test]
    fn a_priority_that_the_system_does_not_give_is_refused_before_anything_runs() {
        let (source, _, _) = three(1, None);
        let seat = Seat { priority: Some(100), ..Seat::new(source, None, YIELD) };
        let error = run(vec![seat], clock(), &Stop::new()).unwrap_err();
        assert!(matches!(error, PipelineError::NoPriority { priority: 100, .. }), "{error}");
    }

    #[test]
    fn a_priority_is_the_threads_own_or_refused() {
        let (source, _, _) = three(1, None);
        let seat = Seat { priority: Some(1), ..Seat::new(source, None, YIELD) };
        match run(vec![seat], clock(), &Stop::new()) {
            Ok(ran) => assert_eq!(ran.first().map(|r| r.priority), Some(Some(1))),
            Err(error) => assert!(error.to_string().contains("LimitRTPRIO"), "{error}"),
        }
    }

    #[test]
    fn a_stage_spins_on_a_core_that_is_not_in_the_mask_that_the_process_was_started_with() {
        let mask = pin::allowed_cores();
        let [one, other, ..] = mask.as_slice() else {
            println!("skipped: this process may run on {mask:?} alone");
            return;
        };
        let (one, other) = (*one, *other);
        let isolated = move || {
            assert!(pin::pin_current_thread(one));
            let (source, doubler, sink) = three(1, None);
            drop((doubler, sink));
            let idle = Fused::new("idle");
            let seats = vec![
                Seat::new(source, Some(other), Wait::Spin),
                Seat::new(idle, Some(one), Wait::Spin),
            ];
            run(seats, clock(), &Stop::new()).unwrap()
        };
        let ran = thread::spawn(isolated).join().unwrap();
        let has = |place: usize| ran.get(place).map(|r| (r.core, r.wait));
        assert_eq!(has(0), Some((Some(other), Wait::Spin)), "two cores, so it need not yield");
        assert_eq!(has(1), Some((Some(one), Wait::Spin)));
    }

    #[test]
    fn spinning_on_a_shared_core_degrades_to_yielding() {
        let seat = |core, wait| Seat::new(Fused::new("empty"), core, wait);
        let mut seats =
            vec![seat(Some(1), Wait::Spin), seat(Some(1), YIELD), seat(None, Wait::Spin)];
        share_cores(&mut seats, 2);
        let waits: Vec<Wait> = seats.iter().map(|s| s.wait).collect();
        assert_eq!(waits, [Wait::Yield { spins: 0 }, YIELD, Wait::Spin]);

        let mut seats =
            vec![seat(None, Wait::Spin), seat(None, Wait::Spin), seat(None, Wait::Spin)];
        share_cores(&mut seats, 2);
        assert!(seats.iter().all(|s| s.wait == Wait::Yield { spins: 0 }));
    }

    #[test]
    fn stages_that_never_settle_are_an_error_not_a_hang() {
        struct Restless;
        impl Stage for Restless {
            fn name(&self) -> &'static str {
                "restless"
            }
            fn turn(&mut self, _now: Nanos) -> Turn {
                Turn::Busy
            }
        }
        let mut fused = Fused::new("virtual").then(Restless);
        assert_eq!(fused.settle(Nanos(5), 7), Err(NeverIdle { turns: 7, now: Nanos(5) }));
    }
}
