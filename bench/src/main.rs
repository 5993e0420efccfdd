//! The `ballast-bench` binary: latency runs and micro-benchmarks, measured, never timed as tests.
//!
//! ```text
//! ballast-bench ring|codec|engine|tick-to-order|wire|ack|backtest|scale|all
//!     [--rate N] [--arrivals FILE] [--duration S] [--tape DIR] [--cores A,B] [--json FILE]
//!     [--report DIR] [--markdown FILE] [--check]
//! ballast-bench compare A.json B.json [--fail-over 10%]
//! ```
//!
//! Exit codes: 0 done; 1 a promise is not kept (`--check`), a figure became worse or was lost (`compare`)
//! or the host could not be measured on; 2 wrong usage.

mod ack;
mod allocations;
mod arrivals;
mod backtest;
mod bracket;
mod breakdown;
mod codec;
mod compare;
mod curve;
mod document;
mod engine;
mod figures;
mod hiccup;
mod histogram;
mod host;
mod loopback;
mod markdown;
mod open_loop;
mod page;
mod ratio;
mod rig;
mod ring;
mod scale;
mod session;
mod spent;
mod stream;
mod tick_to_order;
mod turns;
mod wire;
mod wire_line;
mod wire_live;
mod wire_ticks;
mod wire_venue;

use ballast_engine::clock::{Clock, Counter};
use clap::{Args, Parser, Subcommand};
use compare::Comparison;
use document::Document;
use serde_json::Value;
use session::Session;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Latency runs and micro-benchmarks of Ballast.
#[derive(Parser)]
#[command(name = "ballast-bench", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Our rings beside rtrb, crossbeam's ArrayQueue and the machine's cache-line floor.
    Ring(Options),
    /// Orders, reports and market data read and written, beside the floor.
    Codec(Options),
    /// The maker alone: a decoded change of the market to two order messages, and every kind of step.
    Engine(Options),
    /// FIX market data in, two order messages out, on one thread, stage by stage.
    TickToOrder(Options),
    /// A message over loopback TCP and back: bare, through the codec, through the whole path, and
    /// market data to two orders through the live system.
    Wire(Options),
    /// An order over loopback TCP and its report back, beside an echo of their sizes.
    Ack(Options),
    /// The virtual runner on recorded and synthetic markets.
    Backtest(Options),
    /// What a tick costs as instruments, levels, orders and sessions become more.
    Scale(Options),
    /// Everything above, sharing the time, in one result.
    All(Options),
    /// What became slower or faster between two results written by --json.
    Compare {
        /// The result before.
        a: PathBuf,
        /// The result after.
        b: PathBuf,
        /// Move of a median or a p99.9 in the wrong direction that counts as worse.
        /// Counts that are promised to be 0 are judged exactly.
        #[arg(long, default_value = "10%", value_parser = percent)]
        fail_over: f64,
    },
}

#[derive(Args)]
struct Options {
    /// Open-loop arrivals a second of ring, tick-to-order, wire and ack: 200,000 through rings, 50,000 in
    /// process and 10,000 over TCP where it is left out.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rate: Option<u64>,
    /// Recorded inter-arrival times beside the constant rate: nanoseconds, one a line.
    #[arg(long)]
    arrivals: Option<PathBuf>,
    /// Seconds that the whole command should take.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    duration: u64,
    /// Folder of recordings: the backtest plays it beside the synthetic market, and what runs by a schedule
    /// takes its inter-arrival times where --arrivals gives none.
    #[arg(long)]
    tape: Option<PathBuf>,
    /// The two cores to measure on, the second for the other end: isolated ones must be named.
    #[arg(long, value_name = "A,B", value_parser = two_cores)]
    cores: Option<[usize; 2]>,
    /// Write the result as one JSON document.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write result.json, .hgrm files and report.html here.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Write the latency tables here, with date, host and commit: a file with the README's two marks
    /// gets them between these.
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Exit with 1 where a ratio exceeds its bound or what was promised could not be measured.
    #[arg(long)]
    check: bool,
}

/// Why it ended otherwise than well, by exit code.
enum Failure {
    NotSo(String),
    Usage(String),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Ring(options) => measured("ring", &options),
        Command::Codec(options) => measured("codec", &options),
        Command::Engine(options) => measured("engine", &options),
        Command::TickToOrder(options) => measured("tick-to-order", &options),
        Command::Wire(options) => measured("wire", &options),
        Command::Ack(options) => measured("ack", &options),
        Command::Backtest(options) => measured("backtest", &options),
        Command::Scale(options) => measured("scale", &options),
        Command::All(options) => measured("all", &options),
        Command::Compare { a, b, fail_over } => compared(&a, &b, fail_over),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::NotSo(text)) => {
            eprintln!("ballast-bench: {text}");
            ExitCode::from(1)
        }
        Err(Failure::Usage(text)) => {
            eprintln!("ballast-bench: {text}");
            ExitCode::from(2)
        }
    }
}

type Measure = fn(&Session, &mut Document) -> Result<(), String>;

/// One benchmark.
struct Benchmark {
    name: &'static str,
    measure: Measure,
    /// Parts of it run by a schedule of arrivals.
    is_by_schedule: bool,
    /// Plays a recorded market.
    is_of_tape: bool,
}

impl Benchmark {
    const fn new(name: &'static str, measure: Measure) -> Benchmark {
        Benchmark { name, measure, is_by_schedule: false, is_of_tape: false }
    }

    const fn by_schedule(name: &'static str, measure: Measure) -> Benchmark {
        Benchmark { name, measure, is_by_schedule: true, is_of_tape: false }
    }
}

/// Every benchmark, in the order of the help text.
const ALL: [Benchmark; 8] = [
    Benchmark::by_schedule("ring", ring::measure),
    Benchmark::new("codec", codec::measure),
    Benchmark::new("engine", engine::measure),
    Benchmark::by_schedule("tick-to-order", tick_to_order::measure),
    Benchmark::by_schedule("wire", wire::measure),
    Benchmark::by_schedule("ack", ack::measure),
    Benchmark { is_of_tape: true, ..Benchmark::new("backtest", backtest::measure) },
    Benchmark::new("scale", scale::measure),
];

/// Runs one benchmark or all, each with its part of the time, and writes what they found.
fn measured(name: &str, options: &Options) -> Result<(), Failure> {
    let mut benchmarks = Vec::from(ALL);
    benchmarks.retain(|benchmark| name == "all" || name == benchmark.name);
    options.check(name, &benchmarks).map_err(Failure::Usage)?;
    let duration_ns = options.duration * 1_000_000_000 / benchmarks.len().max(1) as u64;
    let arrivals_ns = match (&options.arrivals, &options.tape) {
        (Some(file), _) => arrivals::of_file(file).map_err(Failure::Usage)?,
        (None, Some(folder)) if benchmarks.iter().any(|benchmark| benchmark.is_by_schedule) => {
            arrivals::of_tape(folder, duration_ns).map_err(Failure::Usage)?
        }
        (None, _) => Vec::new(),
    };
    let counter = Counter::calibrate();
    let session = Session {
        counter,
        duration_ns,
        rate: options.rate,
        arrivals_ns,
        tape: options.tape.clone(),
        cores: options.cores,
    };
    let command = options.command(name);
    let mut document = Document::new(command, &session, date(counter)).map_err(Failure::NotSo)?;
    for benchmark in benchmarks {
        document.begin(benchmark.name);
        // What one could not do does not take away what the others found.
        if let Err(why) = on_its_own_thread(benchmark.measure, &session, &mut document) {
            document.fail(why);
        }
    }
    told(options, &document)
}

/// Prints and writes the result where `options` want it; fails where something is not as promised.
fn told(options: &Options, document: &Document) -> Result<(), Failure> {
    document.print();
    let text = format!("{:#}\n", document.to_json());
    if let Some(file) = &options.json {
        fs::write(file, text)
            .map_err(|error| Failure::NotSo(format!("{}: {error}", file.display())))?;
    }
    if let Some(file) = &options.markdown {
        let before = fs::read_to_string(file).ok();
        let tables = markdown::tables(&document.to_json());
        fs::write(file, markdown::placed(before.as_deref(), &tables))
            .map_err(|error| Failure::NotSo(format!("{}: {error}", file.display())))?;
    }
    if let Some(folder) = &options.report {
        document.write_report(folder).map_err(Failure::NotSo)?;
    }
    let broken = if options.check { document.broken() } else { document.failures().to_vec() };
    if broken.is_empty() {
        return Ok(());
    }
    Err(Failure::NotSo(format!("not as promised:\n  {}", broken.join("\n  "))))
}

impl Options {
    /// Nobody should believe that an option did something.
    fn check(&self, name: &str, benchmarks: &[Benchmark]) -> Result<(), String> {
        let is_by_schedule = benchmarks.iter().any(|benchmark| benchmark.is_by_schedule);
        let is_of_tape = benchmarks.iter().any(|benchmark| benchmark.is_of_tape);
        for (option, is_given, is_used) in [
            ("--rate", self.rate.is_some(), is_by_schedule),
            ("--arrivals", self.arrivals.is_some(), is_by_schedule),
            ("--tape", self.tape.is_some(), is_by_schedule || is_of_tape),
        ] {
            if is_given && !is_used {
                return Err(format!("{option} does nothing in {name}; leave it out"));
            }
        }
        if self.arrivals.is_some() && self.tape.is_some() && !is_of_tape {
            return Err(format!("{name} takes its arrivals from --arrivals or --tape, not both"));
        }
        Ok(())
    }

    /// The command line that gives this result again.
    fn command(&self, name: &str) -> String {
        let rate = self.rate.map(|rate| format!(" --rate {rate}"));
        let file = |flag: &str, path: &Option<PathBuf>| {
            path.as_ref().map(|path| format!(" {flag} {}", path.display()))
        };
        let cores = self.cores.map(|[near, far]| format!(" --cores {near},{far}"));
        let parts = [rate, file("--arrivals", &self.arrivals), file("--tape", &self.tape), cores];
        let parts: String = parts.into_iter().flatten().collect();
        format!("{name}{parts} --duration {}", self.duration)
    }
}

/// A benchmark pins its thread: the next one must find all cores free again.
fn on_its_own_thread(
    measure: Measure,
    session: &Session,
    document: &mut Document,
) -> Result<(), String> {
    std::thread::scope(|scope| scope.spawn(|| measure(session, document)).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The time in UTC, to the second.
fn date(counter: Counter) -> String {
    let now = Clock::with_counter(counter).now();
    let seconds = i64::try_from(now.0 / 1_000_000_000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map(|t| t.to_string()).unwrap_or_default()
}

/// Prints what changed from `a` to `b`; fails where something became worse or was lost.
fn compared(a: &Path, b: &Path, fail_over: f64) -> Result<(), Failure> {
    let read = |file: &Path| -> Result<Value, Failure> {
        let usage = |error: String| Failure::Usage(format!("{}: {error}", file.display()));
        let text = fs::read_to_string(file).map_err(|error| usage(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| usage(error.to_string()))
    };
    let (before, after) = (read(a)?, read(b)?);
    let comparison = Comparison::of(&before, &after, fail_over)
        .map_err(|error| Failure::Usage(format!("{} or {} {error}", a.display(), b.display())))?;
    for difference in compare::host_differences(&before, &after) {
        println!("the hosts differ, so times are not judged, ratios are: {difference}");
    }
    compare::remarks(&before, &after).iter().for_each(|remark| println!("{remark}"));
    comparison.changes.iter().for_each(|change| println!("{}", change.line()));
    comparison.new.iter().for_each(|name| println!("{name} is only in the second"));
    let mut faults = comparison.faults(fail_over);
    if after["failures"].as_array().is_some_and(|failures| !failures.is_empty()) {
        faults.push("the second result has what could not be measured".to_owned());
    }
    if faults.is_empty() { Ok(()) } else { Err(Failure::NotSo(faults.join("\n  "))) }
}

fn two_cores(text: &str) -> Result<[usize; 2], String> {
    let parsed: Option<Vec<usize>> = text.split(',').map(|core| core.trim().parse().ok()).collect();
    match parsed.as_deref() {
        Some([near, far]) if near != far => Ok([*near, *far]),
        _ => Err("write two different cores, such as 2,3".to_owned()),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').trim().parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err("write a percentage of at least 0, such as 10%".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_in_the_result_has_all_that_changes_it() {
        let line = "ballast-bench all --rate 5 --arrivals a.txt --tape t --cores 2,3";
        let Command::All(options) = Cli::parse_from(line.split(' ')).command else {
            panic!("all is all")
        };
        assert_eq!(
            options.command("all"),
            "all --rate 5 --arrivals a.txt --tape t --cores 2,3 --duration 20"
        );
    }

    #[test]
    fn two_different_cores_are_two_cores() {
        assert_eq!(two_cores("2, 3"), Ok([2, 3]));
        for wrong in ["2", "2,2", "2,3,4", "2,x", ""] {
            assert!(two_cores(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_option_that_does_nothing_is_wrong_usage() {
        let measured = |arguments: &[&str]| {
            let line = ["ballast-bench"].iter().chain(arguments);
            let (Command::Codec(options) | Command::Backtest(options) | Command::Wire(options)) =
                Cli::parse_from(line).command
            else {
                panic!("one of the three")
            };
            measured(arguments[0], &options).err()
        };
        for (arguments, told) in [
            (&["codec", "--rate", "5"][..], "--rate does nothing in codec"),
            (&["codec", "--tape", "t"], "--tape does nothing in codec"),
            (&["backtest", "--arrivals", "a"], "--arrivals does nothing in backtest"),
            (&["wire", "--arrivals", "a", "--tape", "t"], "not both"),
        ] {
            let Some(Failure::Usage(text)) = measured(arguments) else { panic!("{arguments:?}") };
            assert!(text.contains(told), "{text}");
        }
    }

    #[test]
    fn what_one_benchmark_pins_the_next_one_finds_free() {
        let session = Session::in_tests();
        let Ok(mut document) = Document::new("test".into(), &session, String::new()) else {
            println!("skipped: a benchmark needs two physical cores");
            return;
        };
        let pins: Measure = |session, _| {
            let [near, _] = session.two_cores()?;
            assert!(ballast_engine::pin::pin_current_thread(near));
            Ok(())
        };
        for _ in 0..2 {
            assert_eq!(on_its_own_thread(pins, &session, &mut document), Ok(()));
        }
    }
}
