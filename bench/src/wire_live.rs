//! The live system, fused, and what a tick takes through it: market data over one FIX session, two replaces
//! over the other.
//!
//! Used by `wire`. What runs is what `ballast run` runs: `live::pipeline` and `live::run` over a config file,
//! with the operator's hand, a state folder, the journal and the order session's store. Its front (feed, maker,
//! order entry) has the far core, the bench's venue (`wire_venue`) the near one; its cold threads go where the
//! scheduler puts them. A run starts it and ends it in order: while it spins, nobody can look at the floor.
//! Beside the venue's round trips stand the live system's own marks, medians from the socket's read on.
//! Deliberately absent: the drop copy, TLS, and arrivals by a schedule.

use crate::histogram::Latencies;
use crate::loopback::{connected, read_full, write_all};
use crate::session::Session;
use crate::tick_to_order::LEN_MAX;
use crate::wire_ticks::{self, PAUSE_NS, REPLY_MAX, Sizes, wait};
use crate::wire_venue::{Doors, Plan, Played, Venue};
use ballast::back_office::{BackOffice, EndWhen, Silent};
use ballast::config::ConfigFile;
use ballast::config::file::TimeKind;
use ballast::live::{self, LiveOptions, Pipeline, Remains};
use ballast::operator::{Operator, kill_signal};
use ballast::state_dir::StateDir;
use ballast_engine::clock::Clock;
use ballast_engine::latency::Mark;
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::stage::TimeBase;
use ballast_engine::pin;
use ballast_engine::units::Nanos;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError};

/// A run. A host with more to run than cores was seen to keep the front off its core for 1.7 s: that is a long
/// trip, and the host's hiccup, not an error.
pub const PLAN: Plan = Plan { trips: 2_000, within_ns: 5_000_000_000 };

/// What the live system is told; `NEAR` and `FAR` stand for the cores.
const CONFIG: &str = include_str!("wire_live.toml");

/// What one run of the live system saw.
pub struct Seen {
    /// From before the write of the market data to after the read that made two orders whole.
    pub ticks: Latencies,
    /// Of an echo of as many bytes.
    pub echo: Latencies,
    /// Medians of the live system's own marks, from the socket's read of the market data, in ns.
    pub marks: Vec<(&'static str, f64)>,
    /// What was blocked, not sent or refused, by anybody.
    pub refused: u64,
    /// Round trips, those of the warm-up with them.
    pub trips: u64,
}

/// Starts the live system, plays its venue by `plan`, ends it; then the echo.
pub fn run(session: &Session, cores: [usize; 2], plan: Plan) -> Result<Seen, String> {
    // Until the journal has been ended: it is there.
    let folder = Folder::new();
    let (played, remains) = played(session, cores, plan, (&file(cores)?, &folder.0))?;
    let echo =
        echoed(session, cores, played.sizes, plan.trips).map_err(|error| error.to_string())?;
    let maker = remains.maker.ok_or("the maker left nothing")?;
    let office = remains.office.ok_or("the back office left nothing")?;
    let refused = refusals(&maker) + remains.fix.rejects;
    let (marks, trips) = (marks(office)?, played.trips);
    Ok(Seen { ticks: played.ticks, echo, marks, refused, trips })
}

/// The live system beside its venue: what the venue saw, and what the live system left.
fn played(
    session: &Session,
    cores: [usize; 2],
    plan: Plan,
    (file, folder): (&ConfigFile, &Path),
) -> Result<(Played, Remains), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let doors = Doors::open().map_err(|error| text(&error))?;
    let addresses = doors.addresses().map_err(|error| text(&error))?;
    let file = file.at(addresses, TimeKind::Clock).map_err(|error| text(&error))?;
    let state = StateDir::open(folder).map_err(|error| text(&error))?;
    let config = file.maker(state.epoch()).map_err(|error| text(&error))?;
    let clock = Clock::with_counter(session.counter);
    let over = Over::default();
    let options = LiveOptions {
        time: TimeBase::Clock,
        answer_delay_ns: 0,
        opens_from_config: false,
        end: Box::new(over.clone()),
        progress: Box::new(Silent),
        fix_log: None,
    };
    let pipeline = live::pipeline(&file, &config, &state, session.counter, options)
        .map_err(|error| text(&error))?;
    state.begin().map_err(|error| text(&error))?;
    let signal = kill_signal().map_err(|error| text(&error))?;
    let hand = Operator::start(&file, &config, &state, &pipeline.desk, signal);
    let hand = hand.map_err(|error| text(&error))?;
    let played = side_by_side((session, cores[0]), pipeline, (clock, doors), &config, plan, &over);
    drop(hand);
    played
}

/// Runs the pipeline on this thread and its venue on the near core, until both have ended.
fn side_by_side(
    (session, near): (&Session, usize),
    pipeline: Pipeline,
    (clock, doors): (Clock, Doors),
    config: &MakerConfig,
    plan: Plan,
    over: &Over,
) -> Result<(Played, Remains), String> {
    let Pipeline { seats, remains, progress, desk, .. } = pipeline;
    std::thread::scope(|scope| {
        let venue = scope.spawn(|| {
            pin::pin_current_thread(near);
            // However the venue ends, the live system ends with it: else that would never be over.
            let ending = Ending(over);
            let clocks = (session.counter, clock);
            let mut venue = Venue::of_clients(doors, clocks, &config.instruments[0])?;
            let played = venue.play(plan, &progress);
            drop(ending);
            // Also where a tick failed: the quotes are cancelled, and nobody waits for an answer.
            let seen_off = venue.see_off();
            played.and_then(|played| seen_off.map(|()| played))
        });
        let ran = live::run(seats, clock, &desk);
        let played = venue.join().map_err(|_| "the bench's venue panicked".to_owned())?;
        // A stage that failed is the reason why the venue waited in vain.
        ran.map_err(|error| error.to_string())?;
        let played = played?;
        let left = std::mem::take(&mut *remains.lock().unwrap_or_else(PoisonError::into_inner));
        match left.left_working.first() {
            Some(order) => Err(order.clone()),
            None => Ok((played, left)),
        }
    })
}

fn file([near, far]: [usize; 2]) -> Result<ConfigFile, String> {
    let text = CONFIG.replace("NEAR", &near.to_string()).replace("FAR", &far.to_string());
    ConfigFile::parse("the bench's live config", text).map_err(|fault| fault.to_string())
}

/// Reports that something was refused, whoever refused it.
fn refusals(maker: &Maker) -> u64 {
    let counters = maker.counters();
    let blocked: u64 = counters.blocked.iter().sum();
    blocked + counters.unsent + counters.rejected + counters.cancel_rejected
}

/// Ends the journal, which must be whole; the medians of the marks.
fn marks(mut office: BackOffice) -> Result<Vec<(&'static str, f64)>, String> {
    let recorder = office.observer.recorder_mut();
    // The back office calls the last one by the name that people ask for.
    let named = |mark| if mark == Mark::Written { "tick_to_order" } else { Mark::name(mark) };
    let marks = Mark::ALL.into_iter().filter(|mark| *mark != Mark::Acknowledged);
    let median = |mark: Mark| {
        let histogram = recorder.histogram(named(mark))?;
        Some((mark.name(), histogram.value_at_quantile(0.5) as f64))
    };
    let medians = marks.filter_map(median).collect();
    office.recorder.finish().map_err(|fault| fault.to_string())?;
    Ok(medians)
}

/// An echo of so many bytes each way: what the sockets and the kernel take.
fn echoed(
    session: &Session,
    cores: [usize; 2],
    sizes: Sizes,
    trips: usize,
) -> std::io::Result<Latencies> {
    let counter = session.counter;
    let near = |mut stream: TcpStream| {
        let (question, mut reply) = ([b'x'; LEN_MAX], [0; REPLY_MAX]);
        let mut run = Latencies::new();
        for number in 0..trips + trips / 10 {
            wait(counter, PAUSE_NS);
            let from = counter.stamp();
            write_all(&mut stream, &question[..sizes.questions[number % 2]])?;
            read_full(&mut stream, &mut reply[..sizes.reply])?;
            let to = counter.stamp();
            if number >= trips / 10 {
                run.record_ns(counter.nanos_between(from, to));
            }
        }
        Ok(run)
    };
    let echoed = connected(cores, false, near, |stream| wire_ticks::echo(stream, sizes));
    echoed.map(|(run, ())| run)
}

/// Whether the venue has had enough.
#[derive(Clone, Default)]
struct Over(Arc<AtomicBool>);

impl EndWhen for Over {
    fn is_over(&mut self, _: Nanos) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Says so when it is dropped.
struct Ending<'a>(&'a Over);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Release);
    }
}

/// A state folder of this process, gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("ballast-bench-live-{}-{number}", std::process::id());
        Folder(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is a temporary folder's to lose.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a host with one core both ends share it: slow, and as good.
    fn cores(session: &Session) -> [usize; 2] {
        let one = pin::allowed_cores()[0];
        session.two_cores().unwrap_or([one, one])
    }

    #[test]
    fn every_tick_through_the_live_system_brings_two_replaces_and_it_leaves_in_order() {
        let session = Session::in_tests();
        let seen = run(&session, cores(&session), Plan { trips: 20, ..PLAN }).unwrap();
        assert_eq!((seen.ticks.count(), seen.echo.count(), seen.trips), (20, 20, 22));
        assert_eq!(seen.refused, 0);
        let names: Vec<_> = seen.marks.iter().map(|(name, _)| *name).collect();
        let way = ["decoded", "maker_in", "maker_out", "intent_in", "encoded", "written"];
        assert_eq!(names, way);
        assert!(seen.marks.is_sorted_by_key(|(_, ns)| *ns as u64), "{:?}", seen.marks);
    }

    #[test]
    fn a_tick_that_brings_no_orders_is_told_and_the_live_system_ends() {
        let session = Session::in_tests();
        let cores = cores(&session);
        let text = file(cores).unwrap().text.replace("aggressive = \"0\"", "aggressive = \"9\"");
        let deaf = text.replace("passive = \"0\"", "passive = \"9\"");
        let deaf = ConfigFile::parse("a config that follows nothing", deaf).unwrap();
        let plan = Plan { trips: 20, within_ns: 300_000_000 };
        let folder = Folder::new();
        let error = played(&session, cores, plan, (&deaf, &folder.0)).err().unwrap();
        assert!(error.contains("tick 1 did not bring two replaces"), "{error}");
        assert!(error.contains("(35=): []") && error.contains("Active"), "{error}");
    }
}
