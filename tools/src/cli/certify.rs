//! `ballast certify`: our initiator through a broker's script, with evidence.
//!
//! Fed by the maker's config (who connects where) and a script; feeds a line a step to standard
//! output and a folder of evidence: what passed in both directions, raw and decoded, and the result.
//! Deliberately absent: doing the steps, which `certify` does.

use super::{Failure, fix_decode};
use crate::certify::call::Call;
use crate::certify::script::Script;
use crate::certify::{Leg, Run};
use crate::config::ConfigFile;
use crate::config::file::{RawSession, RawVenue};
use crate::private_files;
use crate::venue_session::{self, SessionFault};
use ballast_engine::units::Nanos;
use ballast_gateway::dictionary::Dictionary;
use ballast_gateway::fix::secret::mask_message;
use ballast_gateway::fix::timestamp::{Precision, TimestampText};
use ballast_gateway::venue::binance::BinanceSession;
use ballast_gateway::venue::notice::Notices;
use clap::Args;
use std::path::{Path, PathBuf};

/// Options of `ballast certify`.
#[derive(Args)]
pub struct Arguments {
    /// The maker's config: the venue's address, comp ids and credentials are taken from it.
    #[arg(long)]
    config: PathBuf,
    /// The broker's script; config/certify has three.
    #[arg(long)]
    script: PathBuf,
    /// Where the evidence goes; made where absent.
    #[arg(long, value_name = "DIR", default_value = "certify-evidence")]
    evidence: PathBuf,
    /// One JSON document instead of a line a step.
    #[arg(long)]
    json: bool,
}

/// How one step went.
struct Done {
    number: String,
    what: String,
    /// How long it took, in ms; `None` for a step that was not reached.
    took_ms: Option<u64>,
    fault: Option<String>,
}

impl Done {
    fn word(&self) -> &'static str {
        match (&self.fault, self.took_ms) {
            (Some(_), _) => "FAIL",
            (None, Some(_)) => "pass",
            (None, None) => "not run",
        }
    }

    fn line(&self) -> String {
        let head = format!("{:<7} {:<6} {}", self.word(), self.number, self.what);
        match (&self.fault, self.took_ms) {
            (Some(fault), _) => format!("{head}: {fault}"),
            (None, Some(ms)) => format!("{head} ({ms} ms)"),
            (None, None) => head,
        }
    }
}

/// Runs the script.
///
/// # Errors
/// A config or script that cannot be used (usage); a failed step (failed).
pub fn run(args: &Arguments) -> Result<(), Failure> {
    let usage = |path: &Path, why: &dyn std::fmt::Display| {
        Failure::Usage(format!("{}: {why}", path.display()))
    };
    let file = ConfigFile::read(&args.config).map_err(|e| Failure::Usage(e.to_string()))?;
    // Whatever is wrong with the config is told before anybody is called.
    file.maker(1).map_err(|e| Failure::Usage(e.to_string()))?;
    let text = std::fs::read_to_string(&args.script).map_err(|e| usage(&args.script, &e))?;
    let script = Script::parse(&text, &Dictionary::fix44()).map_err(|e| usage(&args.script, &e))?;
    let venue = venue_of(&file, &script).map_err(|e| usage(&args.script, &e))?;
    let (legs, dictionaries) = legs(venue, &script).map_err(Failure::Usage)?;
    let mut run = Run::new(legs, now);
    let mut done: Vec<Done> = Vec::new();
    for step in &script.steps {
        let is_failed = done.iter().any(|before| before.fault.is_some());
        let (number, what) = (step.number.clone(), step.what.clone());
        let since = now();
        let fault = if is_failed { None } else { run.step(step).err() };
        let took_ms = (!is_failed).then(|| now().since(since) / 1_000_000);
        let step = Done { number, what, took_ms, fault };
        if !args.json {
            println!("{}", step.line());
        }
        done.push(step);
    }
    run.finish();
    write_evidence(&args.evidence, &run, &text, &done, &dictionaries)
        .map_err(|e| Failure::Failed(format!("--evidence {}: {e}", args.evidence.display())))?;
    conclude(args, &script, &done)
}

fn venue_of<'a>(file: &'a ConfigFile, script: &Script) -> Result<&'a RawVenue, String> {
    let mut venues = file.raw.venues.iter();
    let found = match &script.venue {
        None => venues.next(),
        Some(name) => venues.find(|venue| venue.name == *name),
    };
    let names: Vec<&str> = file.raw.venues.iter().map(|venue| venue.name.as_str()).collect();
    let asked = script.venue.as_deref().unwrap_or("");
    found
        .ok_or_else(|| format!("venue = {asked}: the config's [[venues]] are {}", names.join(", ")))
}

/// The script's sessions, and what each of them speaks.
fn legs(venue: &RawVenue, script: &Script) -> Result<(Vec<Leg>, Vec<Dictionary>), String> {
    let leg = |name: &String| {
        let raw: &RawSession =
            if name == "market_data" { &venue.market_data } else { &venue.order_entry };
        let told = |fault: SessionFault| format!("venues.{}.{name}: {fault}", venue.name);
        let (hosts, purpose) = (venue_session::hosts(raw).map_err(told)?, purpose(name));
        let call = Call::new(hosts, venue_session::tls(raw).map_err(told)?);
        let config = venue_session::session_config(venue, raw, purpose, &Notices::default());
        let dictionary = venue_session::dictionary(raw).map_err(told)?;
        Ok((Leg::new(name, call, config.map_err(told)?), dictionary))
    };
    script.sessions.iter().map(leg).collect()
}

fn purpose(session: &str) -> BinanceSession {
    match session {
        "market_data" => BinanceSession::MarketData,
        _ => BinanceSession::OrderEntry,
    }
}

fn conclude(args: &Arguments, script: &Script, done: &[Done]) -> Result<(), Failure> {
    let failed = done.iter().find(|step| step.fault.is_some());
    let passed = done.iter().filter(|step| step.word() == "pass").count();
    if args.json {
        let steps: Vec<serde_json::Value> = done
            .iter()
            .map(|step| {
                serde_json::json!({
                    "step": step.number, "what": step.what, "result": step.word(),
                    "took_ms": step.took_ms, "fault": step.fault,
                })
            })
            .collect();
        let document = serde_json::json!({
            "script": script.name, "is_passed": failed.is_none(), "steps": steps,
            "evidence": args.evidence.display().to_string(),
        });
        println!("{document}");
    } else {
        println!(
            "{}: {passed} of {} steps passed; evidence in {}",
            script.name,
            done.len(),
            args.evidence.display()
        );
    }
    match failed {
        None => Ok(()),
        Some(step) => Err(Failure::Failed(format!(
            "{}: step {} failed: {}",
            script.name,
            step.number,
            step.fault.as_deref().unwrap_or_default()
        ))),
    }
}

fn write_evidence(
    folder: &Path,
    run: &Run,
    script: &str,
    done: &[Done],
    dictionaries: &[Dictionary],
) -> std::io::Result<()> {
    private_files::make_folder(folder)?;
    private_files::write_whole(&folder.join("script.toml"), script.as_bytes())?;
    let lines: Vec<String> = done.iter().map(Done::line).collect();
    let result = lines.join("\n") + "\n";
    private_files::write_whole(&folder.join("result.txt"), result.as_bytes())?;
    for (leg, dictionary) in run.legs().iter().zip(dictionaries) {
        let mut raw = Vec::new();
        let mut clock = TimestampText::new(Precision::Nanos);
        for passed in leg.passed() {
            raw.extend_from_slice(clock.write(passed.at));
            raw.extend_from_slice(if passed.is_ours { b" OUT " } else { b" IN  " });
            mask_message(&passed.message, &mut raw);
            raw.push(b'\n');
        }
        private_files::write_whole(&folder.join(format!("{}.fixlog", leg.name)), &raw)?;
        let mut decoded = Vec::new();
        fix_decode::print_log(raw.as_slice(), &mut decoded, dictionary)?;
        private_files::write_whole(&folder.join(format!("{}.decoded.txt", leg.name)), &decoded)?;
    }
    Ok(())
}

#[allow(clippy::disallowed_methods)]
fn now() -> Nanos {
    // The edge: the one clock of this command.
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Nanos(since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)))
}
