//! `ballast simulate`: the whole system in virtual time out of one seed, its invariants checked.
//!
//! Fed by the command line; feeds standard output with what the seed decides and standard error with
//! how fast it went. Exit code 1 names the invariant that did not hold and the command that shows it
//! again.

use super::Failure;
use crate::simulate::faults::Fault;
use crate::simulate::{DAY_NS, Options};
use clap::Args;

/// What to simulate.
#[derive(Args)]
#[command(after_help = format!("Faults: all, none, or any of {}", Fault::names()))]
pub struct Arguments {
    /// What everything follows from.
    #[arg(long)]
    seed: u64,
    /// Trading days of 6.5 hours; parts of one are allowed.
    #[arg(long, default_value_t = 1.0)]
    days: f64,
    /// What goes wrong: all, none, or names with commas between.
    #[arg(long, default_value = "all")]
    faults: String,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let faults = Fault::parse_list(&arguments.faults);
    let faults = faults.map_err(|error| Failure::Usage(error.to_string()))?;
    let days = arguments.days;
    if !(days > 0.0 && days <= 1_000.0) {
        return Err(Failure::Usage(format!("--days {days}: more than 0 and at most 1000")));
    }
    let options = Options { seed: arguments.seed, days, faults, bug: None };
    let began = started();
    let outcome = crate::simulate::run(&options);
    let outcome = outcome.map_err(|error| Failure::Failed(error.to_string()))?;
    let seconds = began.elapsed().as_secs_f64();
    let hours = days * DAY_NS as f64 / 3.6e12;
    eprintln!("{hours:.2} simulated hours in {seconds:.2} s");
    if arguments.json {
        println!("{:#}", outcome.document);
    } else {
        print_for_people(&outcome.document);
    }
    match outcome.violation {
        None => Ok(()),
        Some(violation) => Err(Failure::Failed(format!(
            "seed {}: {} does not hold: {}; replay: {}",
            options.seed,
            violation.invariant,
            violation.detail,
            options.command()
        ))),
    }
}

/// The wall's time, for the speed on standard error alone.
#[allow(clippy::disallowed_methods, reason = "the edge that measures how long a command took")]
fn started() -> std::time::Instant {
    std::time::Instant::now()
}

fn print_for_people(document: &serde_json::Value) {
    let Some(fields) = document.as_object() else { return };
    for (name, value) in fields {
        println!("{name:<18} {value}");
    }
}
