//! The kill, all the way to the socket: the pipeline of `ballast run` in this process, over real TCP with
//! a real `ballast venue`, killed at random moments. What counts is when the system took the last cancel,
//! where the front has a core to itself. And a stage that panics, which is a kill as well: the others cancel
//! what is out.
//!
//! `BALLAST_SOCKET_KILLS` is how often (the README has the command for 1,000); where it is set, the
//! ninety-ninth percentile must be below a millisecond.

use ballast::back_office::{EndWhen, Silent};
use ballast::config::ConfigFile;
use ballast::config::file::RunnerKind;
use ballast::live::{self, LiveOptions, Pipeline};
use ballast::operator::desk::{Desk, Killed};
use ballast::operator::kill_note::KillNote;
use ballast::operator::standing::News;
use ballast::random::Random;
use ballast::state_dir::StateDir;
use ballast_engine::clock::Clock;
use ballast_engine::maker::control::{KillCause, User};
use ballast_engine::maker::stage::TimeBase;
use ballast_engine::pin;
use ballast_engine::pipeline::{self, Fused, PipelineError, Stop};
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::Nanos;
use ballast_gateway::message_log::{LogConfig, MessageLog};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const DAY_NS: u64 = 86_400_000_000_000;
/// How long a run may take until it quotes, and until it has ended.
const PATIENCE_NS: u64 = 20_000_000_000;

/// Ends the run when the test says so.
struct Flag(Arc<AtomicBool>);

impl EndWhen for Flag {
    fn is_over(&mut self, _: Nanos) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A venue in a process of its own.
struct Floor {
    folder: PathBuf,
    venue: Child,
    file: ConfigFile,
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.venue.kill();
        let _ = self.venue.wait();
        // The last run's archivist may be at its journal still, and put a file into what is being removed.
        for _ in 0..100 {
            match std::fs::remove_dir_all(&self.folder) {
                Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
                    std::thread::park_timeout(Duration::from_millis(10));
                }
                Ok(()) | Err(_) => break,
            }
        }
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

impl Floor {
    fn open(name: &str) -> Floor {
        let folder =
            std::env::temp_dir().join(format!("ballast-socket-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
        let [market_data, order_entry] = [free_address(), free_address()];
        let at = |text: String| {
            text.replace("127.0.0.1:9878", &market_data).replace("127.0.0.1:9879", &order_entry)
        };
        // What is not cancelled stays: no venue's cancel-on-disconnect does it instead.
        let venue = at(std::fs::read_to_string(config.join("venue.toml")).unwrap())
            .replace("cancel_on_disconnect = true", "cancel_on_disconnect = false");
        std::fs::write(folder.join("venue.toml"), venue).unwrap();
        let venue = Command::new(env!("CARGO_BIN_EXE_ballast"))
            .args(["venue", "--config"])
            .arg(folder.join("venue.toml"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let maker = at(std::fs::read_to_string(config.join("demo.toml")).unwrap())
            .replace("sample_ms = 100", "sample_ms = 10")
            // Each run begins as the config says, whatever the one before has traded.
            .replace("name = \"sim\"\n", "name = \"sim\"\nreconcile = [\"mass_cancel\"]\n");
        let file = ConfigFile::parse("kill_to_socket.toml", maker).unwrap();
        Floor { folder, venue, file }
    }

    /// A pipeline that ends when the flag says so, and where its messages are written down.
    fn pipeline(&self, clock: Clock, run: u64) -> (Pipeline, Arc<AtomicBool>, PathBuf) {
        let state = StateDir::open(&self.folder.join("state")).unwrap();
        let config = self.file.maker(state.epoch()).unwrap();
        let log = self.folder.join(format!("fix-{run}"));
        let end = Arc::new(AtomicBool::new(false));
        let options = LiveOptions {
            time: TimeBase::Clock,
            answer_delay_ns: 0,
            opens_from_config: false,
            end: Box::new(Flag(end.clone())),
            progress: Box::new(Silent),
            fix_log: Some(MessageLog::new(LogConfig::new(&log), clock).unwrap()),
        };
        let pipeline =
            live::pipeline(&self.file, &config, &state, clock.counter(), options).unwrap();
        (pipeline, end, log)
    }

    /// One run, killed: how long the kill took to the last cancel, and how many cancels there were.
    fn kill_once(&self, clock: &mut Clock, random: &mut Random, run: u64) -> (u64, usize) {
        let (pipeline, end, log) = self.pipeline(*clock, run);
        let (desk, seats, of_run) = (pipeline.desk.clone(), pipeline.seats, *clock);
        let running = std::thread::spawn(move || pipeline::run(seats, of_run, &Stop::new()));
        until_quoting(clock, &desk);
        std::thread::park_timeout(Duration::from_micros(random.below(20_000)));
        let asked = clock.now();
        let killed = desk.kill(KillCause::Operator, User::new(1000, "ada"), "a test");
        let answered = clock.now();
        assert_eq!((killed.how, killed.unnoted), (Killed::ByMaker, None));
        end.store(true, Ordering::Release);
        running.join().unwrap().unwrap();
        let text = std::fs::read(log.join("sim-order-entry.fixlog")).unwrap();
        std::fs::remove_dir_all(&log).unwrap();
        judge(&String::from_utf8_lossy(&text), asked, answered)
    }

    /// One run in which the stage at this seat, or a part of it, panics while it quotes: what may be left
    /// working, and the last messages of order entry.
    fn panic_once(mut self, runner: RunnerKind, seat: &'static str) -> (Vec<String>, Vec<String>) {
        self.file.raw.run.runner = runner;
        let mut clock = Clock::start();
        let (mut pipeline, _end, log) = self.pipeline(clock, 0);
        let flag = Arc::new(AtomicBool::new(false));
        let planted = pipeline.seats.iter_mut().find(|place| place.stage.name() == seat).unwrap();
        let stage = std::mem::replace(&mut planted.stage, Box::new(Fused::new("none")));
        let name = seat;
        planted.stage = match runner {
            RunnerKind::Pinned => {
                Box::new(Planted { stage: Some(stage), flag: flag.clone(), name })
            }
            RunnerKind::Fused => {
                let part = Planted { stage: None, flag: flag.clone(), name: "part" };
                Box::new(Fused::new(name).then(part).then(stage))
            }
        };
        let (desk, seats, of_run) = (pipeline.desk.clone(), pipeline.seats, clock);
        let of_desk = desk.clone();
        let running = std::thread::spawn(move || live::run(seats, of_run, &of_desk));
        until_quoting(&mut clock, &desk);
        flag.store(true, Ordering::Release);
        let ended = running.join().unwrap();
        let wanted = if runner == RunnerKind::Fused { "part" } else { seat };
        assert!(
            matches!(ended, Err(PipelineError::Panicked { stage, .. }) if stage == wanted),
            "{ended:?}"
        );
        let note = KillNote::read(&self.folder.join("state")).expect("no run trades after it");
        assert!(note.reason.contains(wanted) && note.reason.contains("planted"), "{note}");
        assert_eq!(desk.killed(), Some(note));
        let text = std::fs::read(log.join("sim-order-entry.fixlog")).unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        let sent = text.lines().filter(|line| line.contains(" OUT "));
        let left = std::mem::take(&mut pipeline.remains.lock().unwrap().left_working);
        let news = std::iter::from_fn(|| desk.standing().next_news());
        let told = news.filter_map(|news| match news {
            News::LeftWorking { what, .. } => Some(what),
            _ => None,
        });
        assert_eq!(told.collect::<Vec<_>>(), left, "the guard is told the same");
        (left, sent.map(str::to_owned).collect())
    }
}

/// A stage that panics in its turn when the test says so.
struct Planted {
    stage: Option<Box<dyn Stage>>,
    flag: Arc<AtomicBool>,
    name: &'static str,
}

impl Stage for Planted {
    fn name(&self) -> &'static str {
        self.name
    }

    fn turn(&mut self, now: Nanos) -> Turn {
        assert!(!self.flag.load(Ordering::Acquire), "planted");
        self.stage.as_mut().map_or(Turn::Idle, |stage| stage.turn(now))
    }
}

fn until_quoting(clock: &mut Clock, desk: &Desk) {
    let since = clock.now();
    let quotes = || {
        let standing = desk.standing();
        let spot = standing.instruments.first().and_then(Option::as_ref);
        spot.is_some_and(|spot| spot.quotes.iter().all(Option::is_some))
    };
    while !quotes() {
        assert!(clock.now().since(since) < PATIENCE_NS, "it never quoted");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// Nanoseconds of the day of a log line's time.
fn time_of(line: &str) -> u64 {
    let time = line.get(9..27).unwrap();
    let number = |from: usize, to: usize| time[from..to].parse::<u64>().unwrap();
    ((number(0, 2) * 60 + number(3, 5)) * 60 + number(6, 8)) * 1_000_000_000 + number(9, 18)
}

/// Is it a message of one of these types?
fn is(line: &str, types: &[&str]) -> bool {
    let mut fields = line.split(['\u{1}', '|']);
    fields.any(|field| types.contains(&field))
}

/// From the request to the last cancel, and how many; after the answer nothing but cancels went out.
fn judge(log: &str, asked: Nanos, answered: Nanos) -> (u64, usize) {
    let since = |line: &str, from: Nanos| (time_of(line) + DAY_NS - from.0 % DAY_NS) % DAY_NS;
    let is_after = |line: &str, from: Nanos| since(line, from) < DAY_NS / 2;
    let sent: Vec<&str> = log.lines().filter(|line| line.contains(" OUT ")).collect();
    let late = sent.iter().filter(|line| is(line, &["35=D", "35=G"]) && is_after(line, answered));
    assert_eq!(late.count(), 0, "a new order after the kill: {log}");
    let cancels = sent.iter().filter(|line| is(line, &["35=F", "35=q"]) && is_after(line, asked));
    let cancels: Vec<u64> = cancels.map(|line| since(line, asked)).collect();
    (cancels.last().copied().unwrap_or(0), cancels.len())
}

/// The core that a pinned front has to itself, where there are two: everything else, the venue's process
/// and the cold threads, inherits the other from this thread. Where the scheduler may seat them beside
/// the front, it takes the front off its core for a slice of its own (1.4 ms on two cores).
fn front_has_a_core() -> Option<usize> {
    let [others, .., hot] = pin::allowed_cores()[..] else { return None };
    pin::pin_current_thread(others).then_some(hot)
}

/// One pipeline at a time: each spins on every core, and a kill is timed.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn the_last_cancel_of_a_kill_is_at_the_socket_within_a_millisecond() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let count = std::env::var("BALLAST_SOCKET_KILLS").ok().and_then(|text| text.parse().ok());
    let hot = front_has_a_core();
    let mut floor = Floor::open("kills");
    floor.file.raw.run.cores = hot.map(|core| [core; 3]);
    let (mut clock, mut random) = (Clock::start(), Random::new(1));
    let kills: u64 = count.unwrap_or(5);
    let of_runs = (0..kills).map(|run| floor.kill_once(&mut clock, &mut random, run));
    let (mut nanos, cancels): (Vec<u64>, Vec<usize>) = of_runs.unzip();
    assert!(cancels.iter().all(|cancels| *cancels > 0), "each had quotes out: {cancels:?}");
    nanos.sort_unstable();
    let quantile = |per_mille: usize| nanos[(nanos.len() - 1) * per_mille / 1000];
    eprintln!(
        "{kills} kills, {} cancels, from the request to the last one taken by the socket, ns: p50 {} p99 \
         {} max {}",
        cancels.iter().sum::<usize>(),
        quantile(500),
        quantile(990),
        quantile(1000),
    );
    assert!(count.is_none() || quantile(990) < 1_000_000, "{} ns", quantile(990));
}

/// The seats whose panic leaves order entry to cancel what is out.
fn order_entry_cancels_after(runner: RunnerKind, seat: &'static str) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (left, sent) = Floor::open(seat).panic_once(runner, seat);
    assert_eq!(left, Vec::<String>::new());
    let last_new = sent.iter().rposition(|line| is(line, &["35=D", "35=G"])).unwrap();
    let after = sent.get(last_new..).unwrap();
    assert!(after.iter().any(|line| is(line, &["35=F", "35=q"])), "{seat}: {after:?}");
    assert!(after.last().is_some_and(|line| is(line, &["35=5"])), "{seat}: {after:?}");
}

#[test]
fn a_maker_that_panics_leaves_nothing_at_the_venue() {
    order_entry_cancels_after(RunnerKind::Pinned, "maker");
}

#[test]
fn a_feed_that_panics_leaves_nothing_at_the_venue() {
    order_entry_cancels_after(RunnerKind::Pinned, "feed");
}

#[test]
fn a_back_office_that_panics_leaves_nothing_at_the_venue() {
    order_entry_cancels_after(RunnerKind::Pinned, "back-office");
}

#[test]
fn a_part_of_a_fused_front_that_panics_leaves_nothing_at_the_venue() {
    order_entry_cancels_after(RunnerKind::Fused, "front");
}

#[test]
fn order_entry_that_panics_tells_what_it_leaves_at_the_venue() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (left, _) = Floor::open("entry").panic_once(RunnerKind::Pinned, "order-entry");
    assert!(matches!(&left[..], [one] if one.contains("orders may still work there")), "{left:?}");
}
