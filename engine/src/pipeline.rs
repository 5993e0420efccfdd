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
//! **A panic ends the stage that panicked and no other.** It is dropped, so that its rings disconnect and
//! the others wind down: order entry cancels what is out. [`Stop`] is set only for those that have not
//! ended in time.
//!
//! Deliberately absent: winding down (stages do that and say [`Turn::Done`]; [`Stop`] is for when they
//! cannot) and restarting.

use crate::clock::Clock;
use crate::pin;
use crate::stage::{Stage, Turn};
use crate::units::Nanos;
pub use fused::{Fused, NeverIdle};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;
use thiserror::Error;

mod fused;

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
    /// A stage panicked: a bug. All stages have ended.
    #[error("stage {stage} panicked, so every stage was ended: {message}")]
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

/// After a panic: how long the other stages may take to cancel what is out and to end. More than the
/// maker waits for its last answers, and order entry behind it.
pub const PANIC_END: Duration = Duration::from_secs(15);

/// A panic of a stage.
struct Panic {
    stage: &'static str,
    message: String,
}

/// What is done about panics while the stages that are left go on.
pub struct OnPanic<'a> {
    /// Told of each, the stage and what it said, on the thread that called the runner.
    pub tell: &'a mut dyn FnMut(&'static str, &str),
    /// How long the others may take to end, from the first one on.
    pub within: Duration,
}

/// Runs every seat on a thread of its own until all are done or `stop` is set. Blocks; returns what each
/// thread did, in the order of the seats. Where one panics the others have [`PANIC_END`] to wind down.
///
/// Where there are fewer cores than spinning seats, or two seats name one core, spinning degrades to
/// yielding: a thread that spins on a shared core only delays the one it waits for.
pub fn run(seats: Vec<Seat<'_>>, clock: Clock, stop: &Stop) -> Result<Vec<Ran>, PipelineError> {
    run_guarded(seats, clock, stop, OnPanic { tell: &mut |_, _| {}, within: PANIC_END })
}

/// The same, and `on_panic` sees to it that all end where one panics.
pub fn run_guarded(
    mut seats: Vec<Seat<'_>>,
    clock: Clock,
    stop: &Stop,
    on_panic: OnPanic<'_>,
) -> Result<Vec<Ran>, PipelineError> {
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
        let (panicking, panics) = channel();
        for seat in seats {
            let stage = seat.stage.name();
            let panicking = panicking.clone();
            let body = move || drive(seat, clock, stop, &panicking);
            match thread::Builder::new().name(stage.to_owned()).spawn_scoped(scope, body) {
                Ok(handle) => threads.push((stage, handle)),
                Err(source) => {
                    stop.set();
                    failure = Some(PipelineError::NoThread { stage, source });
                    break;
                }
            }
        }
        drop(panicking);
        failure = failure.or(hear_panics(&panics, clock, stop, on_panic));
        let mut ran = Vec::new();
        for (stage, handle) in threads {
            match handle.join() {
                Ok(done) => ran.push(done),
                Err(payload) => {
                    let message = message_of(payload);
                    failure = failure.or(Some(PipelineError::Panicked { stage, message }));
                }
            }
        }
        failure.map_or(Ok(ran), |failure| {
            stop.set();
            Err(failure)
        })
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

/// Blocks until every thread has let go of its end; the first panic that came is the failure.
fn hear_panics(
    panics: &Receiver<Panic>,
    mut clock: Clock,
    stop: &Stop,
    on_panic: OnPanic<'_>,
) -> Option<PipelineError> {
    let OnPanic { tell, within } = on_panic;
    let within_ns = u64::try_from(within.as_nanos()).unwrap_or(u64::MAX);
    let (mut failure, mut end_by) = (None, None::<Nanos>);
    loop {
        let heard = match end_by {
            Some(at) => panics.recv_timeout(Duration::from_nanos(at.since(clock.now()))),
            None => panics.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match heard {
            Ok(Panic { stage, message }) => {
                end_by.get_or_insert(clock.now().plus(within_ns));
                tell(stage, &message);
                failure.get_or_insert(PipelineError::Panicked { stage, message });
            }
            Err(RecvTimeoutError::Timeout) => {
                stop.set();
                end_by = None;
            }
            Err(RecvTimeoutError::Disconnected) => return failure,
        }
    }
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

/// One thread's life. A panic takes its own part with it, and what is left has its turns.
fn drive(seat: Seat<'_>, mut clock: Clock, stop: &Stop, panics: &Sender<Panic>) -> Ran {
    let Seat { mut stage, core, wait, priority } = seat;
    let core = core.filter(|&core| pin::pin_current_thread(core));
    // The core first: what spins before everybody else must not wander.
    let priority = priority.filter(|&wanted| pin::prioritise_current_thread(wanted).is_ok());
    let name = stage.name();
    let mut ran = Ran { stage: name, core, wait, priority, turns: 0, busy: 0 };
    // Whoever hears of them is there as long as this thread is.
    let tell = |stage, payload| drop(panics.send(Panic { stage, message: message_of(payload) }));
    // Bounded: a stage has so many parts.
    loop {
        let turns = AssertUnwindSafe(|| give_turns(&mut stage, &mut clock, stop, &mut ran));
        let Err(payload) = catch_unwind(turns) else { break };
        let Some(part) = stage.take_panicked() else {
            // Before anybody is told: its rings disconnect, and the others begin to wind down.
            let _ = discard(stage);
            tell(name, payload);
            return ran;
        };
        let name = part.name();
        let _ = discard(part);
        tell(name, payload);
    }
    if let Err(payload) = discard(stage) {
        tell(name, payload);
    }
    ran
}

/// Turns until the stage is done or the runners are stopped.
fn give_turns(stage: &mut impl Stage, clock: &mut Clock, stop: &Stop, ran: &mut Ran) {
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
                ran.wait.pause(idle_turns);
                idle_turns = idle_turns.saturating_add(1);
            }
            Turn::Done => break,
        }
    }
}

/// Drops a stage; what that panics with.
fn discard(stage: Box<dyn Stage + '_>) -> thread::Result<()> {
    catch_unwind(AssertUnwindSafe(|| drop(stage)))
}

fn message_of(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload
            .downcast_ref::<&str>()
            .map_or_else(|| "(no message)".to_owned(), |text| (*text).to_owned()),
    }
}

#[cfg(all(test, not(loom)))]
#[path = "pipeline_tests.rs"]
mod tests;
