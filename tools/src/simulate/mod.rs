//! The whole system in one thread and virtual time, everything from one `u64` seed.
//!
//! Fed by the command line and the tests; feeds one document that wall time does not change. Maker,
//! feed, order entry and both ends of both FIX sessions are the code that runs live; the network, the
//! clock and the venue's market are simulated (`network.rs`, `world.rs`, `market.rs`).
//!
//! | file | is |
//! | --- | --- |
//! | `faults.rs` | what can go wrong, by name, and the plan of a seed |
//! | `scene.rs` | the venue with its tape, before anything goes wrong |
//! | `network.rs`, `repeats.rs` | bytes between the sessions; messages that come again |
//! | `market.rs`, `mischief.rs` | the market's and the venue's own faults |
//! | `tap.rs` | the rings between maker and order entry; where tests plant bugs |
//! | `wire.rs` | what Ballast says on its order session, read off its bytes |
//! | `check.rs`, `gross.rs`, `told.rs` | the invariants |
//! | `watched.rs`, `exposed.rs` | one instrument as they see it; what all that works could come to |
//! | `diary.rs` | the journal on a disk that fails, and its replay |
//! | `alarm.rs` | from telemetry to alerts |
//! | `process.rs` | Ballast's stages, and what a kill leaves of them |
//! | `world.rs`, `onset.rs`, `people.rs` | the loop, faults in it, and an operator |
//!
//! A day is a trading session of 6.5 hours; the synthetic market runs [`STRETCH`] times slower than its
//! own pace, at about ten messages a second over both instruments.
//!
//! Deliberately absent: a config that changes within a run. What a config says holds for a run, so a
//! reload is an end in order and a start.

mod alarm;
pub mod check;
mod diary;
mod exposed;
pub mod faults;
mod gross;
pub mod market;
pub mod mischief;
pub mod network;
mod onset;
mod people;
pub mod process;
mod repeats;
pub mod scene;
pub mod tap;
mod told;
mod watched;
mod wire;
pub mod world;

use crate::config::{ConfigFault, ConfigFile};
use crate::recovery::RecoveryError;
use ballast_engine::event::InstrumentId;
use ballast_engine::journal::fault::JournalFault;
use ballast_engine::maker::config::ConfigError;
use ballast_engine::units::Side;
use ballast_gateway::fix::template::TemplateError;
use ballast_gateway::venue::symbols::SymbolsError;
use check::Violation;
use faults::Fault;
use serde_json::{Value, json};
use tap::PlantedBug;
use thiserror::Error;
use world::World;

/// How much slower than its own pace the synthetic market plays.
pub const STRETCH: u64 = 8;
/// A simulated trading day.
pub const DAY_NS: u64 = 23_400 * 1_000_000_000;

/// What to simulate.
#[derive(Clone, PartialEq, Debug)]
pub struct Options {
    /// Everything follows from it.
    pub seed: u64,
    /// Trading days; parts of one are allowed.
    pub days: f64,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// A bug that a test plants in the harness; `None` otherwise.
    pub bug: Option<PlantedBug>,
}

impl Options {
    fn length_ns(&self) -> u64 {
        (self.days * DAY_NS as f64) as u64
    }

    /// The command that runs this again.
    pub fn command(&self) -> String {
        let names: Vec<_> = self.faults.iter().map(|fault| fault.name()).collect();
        let faults = match names.len() {
            0 => "none".to_owned(),
            n if n == Fault::ALL.len() => "all".to_owned(),
            _ => names.join(","),
        };
        format!("ballast simulate --seed {} --days {} --faults {faults}", self.seed, self.days)
    }
}

/// Why a simulation could not begin. Each is a bug of the built-in world.
#[derive(Debug, Error)]
pub enum SimulationError {
    /// Its config.
    #[error(transparent)]
    Config(#[from] ConfigFault),
    /// The maker's part of it.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Maker(Vec<ConfigError>),
    /// Symbols that FIX text cannot carry.
    #[error(transparent)]
    Symbols(#[from] SymbolsError),
    /// Names that FIX text cannot carry.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Its journal.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// What a run left cannot be gone on from.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// No venue.
    #[error("the built-in world has no venue")]
    NoVenue,
}

/// How a simulation went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What did not hold.
    pub violation: Option<Violation>,
    /// Everything that the seed decides.
    pub document: Value,
}

/// The config of the simulated maker, built in.
fn config() -> Result<ConfigFile, ConfigFault> {
    ConfigFile::parse("simulate/world.toml", include_str!("world.toml").to_owned())
}

const GROSS_WIDE: &str = "\ngross_notional_max = \"1000000\"";
const GROSS_TIGHT: &str = "\ngross_notional_max = \"150000\"";

/// The same as a seed has it: in every third the gross notional is the limit that is reached first, in the
/// others the positions' are.
fn config_of(seed: u64) -> Result<ConfigFile, ConfigFault> {
    let file = config()?;
    if !seed.is_multiple_of(3) {
        return Ok(file);
    }
    ConfigFile::parse(&file.path, file.text.replace(GROSS_WIDE, GROSS_TIGHT))
}

/// The maker's config with the bug that a test plants there.
fn spoiled(file: ConfigFile, bug: Option<PlantedBug>) -> Result<ConfigFile, ConfigFault> {
    let text = match bug {
        Some(PlantedBug::NoSpikeGuard) => {
            let kept = file.text.lines().filter(|line| !line.starts_with("spike = "));
            kept.collect::<Vec<_>>().join("\n")
        }
        Some(PlantedBug::NoGrossLimit) => file.text.replace(GROSS_TIGHT, GROSS_WIDE),
        _ => return Ok(file),
    };
    ConfigFile::parse(&file.path, text)
}

/// Runs one simulation.
///
/// # Errors
/// The built-in world is wrong; a violation is an outcome.
pub fn run(options: &Options) -> Result<Outcome, SimulationError> {
    let mut world = World::new(options)?;
    world.run();
    Ok(Outcome {
        violation: world.checker().violation().cloned(),
        document: document(options, &world),
    })
}

fn document(options: &Options, world: &World) -> Value {
    let (steps, comparisons) = world.checker().counts();
    let network = world.net().counters();
    let seen = world.seen();
    let violation = world.checker().violation().map(|violation| {
        json!({
            "invariant": violation.invariant,
            "detail": violation.detail,
            "at": violation.at.0,
            "replay": options.command(),
        })
    });
    let [inputs, orders, messages, requests] = seen.recovered;
    let mut document = json!({
        "seed": options.seed,
        "days": options.days,
        "faults": options.faults.iter().map(|fault| fault.name()).collect::<Vec<_>>(),
        "ok": violation.is_none(),
        "violation": violation,
        "virtual_end": world.now().0,
        "steps": steps,
        "accounts_compared": comparisons,
        "processes": world.processes(),
        "recovered": {
            "inputs": inputs,
            "orders_in_doubt": orders,
            "messages_told_again": messages,
            "requests_from_the_store": requests,
        },
        "connections": network.connections,
        "dials_refused": network.refused,
        "cuts": network.cuts,
        "messages_lost": network.messages_lost,
        "writes_refused": network.writes_refused,
        "episodes": seen.faults,
        "states": seen.states,
        "operator_resumes": seen.resumes,
        "operator_adjustments": seen.adjusted,
        "kills_lifted": seen.kills_lifted,
        "positions": positions(world),
        "pnl": world.maker().and_then(|maker| maker.pnl()).map(|(_, total)| total.to_string()),
        "intents_sha256": seen.hash.value().to_string(),
    });
    if let Some(fields) = document.as_object_mut() {
        fields.extend(world.counts().into_iter().map(|(name, count)| (name.into(), count.into())));
    }
    document
}

/// What the maker holds and has out, by symbol.
fn positions(world: &World) -> serde_json::Map<String, Value> {
    let Some(maker) = world.maker() else { return serde_json::Map::new() };
    let exchange = world.venue().playback().exchange();
    let positions = (0u16..).map(InstrumentId).zip(maker.instruments()).map(|(id, instrument)| {
        let ours = maker.ledger().position(id).unwrap_or_default();
        let open = exchange.open(crate::venue::order::Participant(0), id);
        let position = json!({
            "maker": instrument.size_text(ours),
            "working_bid": instrument.size_text(open[Side::Buy.index()]),
            "working_ask": instrument.size_text(open[Side::Sell.index()]),
        });
        (instrument.symbol().to_owned(), position)
    });
    positions.collect()
}
