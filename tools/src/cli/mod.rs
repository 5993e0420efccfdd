//! The command line: one file a command. `main.rs` calls [`run`] and exits with what it says.

mod certify;
mod conformance;
mod fix;
mod fix_decode;
mod fix_json;
mod doctor;
mod backtest;
mod calibrate;
mod demo;
mod outcome;
mod plan_args;
mod progress_line;
mod run;
mod greeks;
mod json_lines;
mod journal;
mod operate;
mod model;
mod surface;
mod venue;
mod study;
mod replay;
mod simulate;
mod sweep;

use crate::standard_error::say;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A market maker's inventory engine over FIX 4.4.
#[derive(Parser)]
#[command(name = "ballast", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Trades against the FIX venues of a config file.
    Run(run::RunArgs),
    /// A market maker quotes a market through real FIX sessions on loopback.
    Demo(demo::DemoArgs),
    /// An echoing FIX 4.4 acceptor for certification suites.
    Conformance(conformance::Arguments),
    /// Our initiator through a broker's certification script, with evidence.
    Certify(certify::Arguments),
    /// A FIX log for people; dictionary tools.
    #[command(subcommand)]
    Fix(fix::FixCommand),
    /// Runs the live maker against the simulated venue on a tape, in virtual time.
    Backtest(backtest::BacktestArgs),
    /// Many backtests over keys of the config, on all cores, into one CSV file.
    Sweep(sweep::SweepArgs),
    /// What a recording says of σ, A, k, the micro-price and order flow.
    Calibrate(calibrate::Arguments),
    /// Values options: one JSON case a line on standard input, one answer a line.
    Greeks,
    /// What happened in a run, from its journal: for people, or as one JSON document.
    Journal(journal::JournalArgs),
    /// Answers what a quote model quotes: one JSON case a line on standard input, one answer a line.
    Model,
    /// Fits volatility surfaces to recorded option quotes, and says how well they hold.
    Surface(surface::Surface),
    /// Checks this host against tuning.md: ok, warn or fail, with the mending command.
    Doctor(doctor::Options),
    /// Re-runs a published result with the quoting code and prints ours beside theirs.
    Study(study::Arguments),
    /// Re-runs a journal's inputs: the same intents? Prints a hash, or the first difference.
    Replay(replay::ReplayArgs),
    /// The whole system in virtual time out of one seed, with faults, its invariants checked.
    Simulate(simulate::Arguments),
    /// A simulated FIX 4.4 venue with market data and matching.
    Venue(venue::Arguments),
    /// How a running maker stands.
    Status(operate::Where),
    /// Stops quoting, until resumed.
    Pause(operate::What),
    /// Quotes again, also after a halt; with --after-kill, lets the next run start.
    Resume(operate::ResumeArgs),
    /// Takes the quotes out, trades home within the limits, then stops.
    Flatten(operate::What),
    /// Cancels everything; no new order, also after a restart.
    Kill(operate::KillArgs),
    /// Limits and parameters as they are now.
    Limits(operate::LimitsArgs),
    /// Changes a limit or a parameter; raising a limit takes a second operator.
    Set(operate::SetArgs),
    /// Books what happened elsewhere.
    #[command(subcommand)]
    Book(operate::BookCommand),
    /// Says what this build is.
    Version,
}

/// Why a command did not do what it was asked. The exit code tells the two kinds apart.
#[derive(Debug)]
pub enum Failure {
    /// The thing asked about is not so, or work failed: exit code 1.
    Failed(String),
    /// Wrong usage or config: exit code 2.
    Usage(String),
}

/// Parses the command line and runs it: 0 done, 1 the thing asked about is not so, 2 wrong usage.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let outcome: Result<(), Failure> = match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Conformance(arguments) => conformance::run(&arguments),
        Command::Certify(arguments) => certify::run(&arguments),
        Command::Fix(command) => fix::run(command),
        Command::Backtest(args) => backtest::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Calibrate(arguments) => calibrate::run(&arguments),
        Command::Greeks => greeks::run(std::io::stdin().lock(), std::io::stdout().lock()),
        Command::Journal(args) => journal::run(&args),
        Command::Model => model::run(std::io::stdin().lock(), std::io::stdout().lock()),
        Command::Surface(surface) => surface.run(std::io::stdout().lock()),
        Command::Doctor(options) => doctor::run(&options),
        Command::Study(arguments) => study::run(&arguments, std::io::stdout().lock()),
        Command::Replay(args) => replay::run(&args),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Venue(arguments) => venue::run(&arguments),
        Command::Status(at) => operate::status(&at),
        Command::Pause(scope) => operate::pause(&scope),
        Command::Resume(args) => operate::resume(&args),
        Command::Flatten(scope) => operate::flatten(&scope),
        Command::Kill(args) => operate::kill(&args),
        Command::Limits(args) => operate::limits(&args),
        Command::Set(args) => operate::set(&args),
        Command::Book(command) => operate::book(command),
        Command::Version => {
            println!("ballast {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(text)) => {
            say(format_args!("ballast: {text}"));
            ExitCode::from(1)
        }
        Err(Failure::Usage(text)) => {
            say(format_args!("ballast: {text}"));
            ExitCode::from(2)
        }
    }
}
