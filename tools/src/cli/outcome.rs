//! What `demo` and `run` say at their end: a summary for people or as JSON, and the report.

use super::Failure;
use crate::back_office::HICCUP;
use crate::config::ConfigFile;
use crate::live::Remains;
use crate::standard_error::say;
use crate::summary::{RunFacts, for_people, summary};
use clap::Args;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where the outcome goes.
#[derive(Args)]
pub(super) struct OutcomeArgs {
    /// Write report.html, summary.json and .hgrm files into this folder.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Write every FIX message in and out, without its secrets, to SESSION.fixlog files in this
    /// folder, for `ballast fix decode`.
    #[arg(long, value_name = "DIR")]
    pub(super) fix_log: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    pub(super) json: bool,
}

/// A run that ended.
pub(super) struct Ended<'a> {
    /// The config that ran.
    pub file: &'a ConfigFile,
    /// What the pipeline left.
    pub remains: Remains,
    /// Its journal.
    pub journal: &'a Path,
    /// Title of the report.
    pub title: &'static str,
    /// What ran, for the report's head.
    pub facts: Vec<(String, String)>,
    /// Market events of the tape, where there was one.
    pub tape_events: u64,
    /// What only this command knows.
    pub extra: Vec<(&'static str, Value)>,
}

/// Ends the journal, tells the outcome.
pub(super) fn tell(args: &OutcomeArgs, ended: Ended<'_>) -> Result<(), Failure> {
    let Ended { file, mut remains, journal, title, mut facts, tape_events, extra } = ended;
    let unfinished = |what: &str| {
        Failure::Failed(format!("the {what} was stopped before its end; the journal is whole"))
    };
    let maker = remains.maker.take().ok_or_else(|| unfinished("maker"))?;
    let office = remains.office.take().ok_or_else(|| unfinished("back office"))?;
    let latency_faults = Some((office.measured.dropped(), office.measured.drift.ppb()));
    let end = office.recorder.finish().map_err(|error| Failure::Failed(error.to_string()))?;
    let liquidity = office.observer.liquidity().document(&maker, file.table.underlyings.iter());
    let mut recorder = office.observer.into_recorder();
    // A guard lives to the end of its statement: two in one would wait for each other.
    let hedge_ratios = office.desk.standing().hedge_ratios.take().unwrap_or(Value::Null);
    let run_facts = RunFacts {
        intents_sha256: end.intents_sha256.to_string(),
        tape_events,
        tick_to_order: recorder.histogram("tick_to_order").cloned(),
        host_hiccups: recorder.histogram(HICCUP).cloned(),
        latency_faults,
        fix: Some(remains.fix),
        telemetry_dropped: remains.telemetry_dropped,
        liquidity,
        hedge_ratios,
        collateral: office.desk.standing().collateral.take().map_or(Value::Null, |w| w.document),
    };
    let mut document = summary(file, &maker, &run_facts);
    if let Value::Object(fields) = &mut document {
        fields.insert("journal".into(), json!(journal.display().to_string()));
        fields.extend(remains.refits.map(|refits| ("refits".to_owned(), refits.document())));
        fields.extend(extra.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    if let (Value::Object(fields), Some(log)) = (&mut document, &remains.fix_log) {
        let counts = json!({ "messages": log.messages, "lost_bytes": log.lost_bytes });
        fields.insert("fix_log".into(), counts);
        if let Some(fault) = &log.fault {
            say(format_args!("{fault}: the FIX log ends there"));
        }
        if log.lost_bytes > 0 {
            let lost = log.lost_bytes;
            say(format_args!("the FIX log did not keep up: {lost} bytes are missing"));
        }
    }
    if let Some(folder) = &args.report {
        if let Some((causes, total)) = maker.pnl() {
            recorder.pnl(maker.now(), total, &causes);
        }
        facts.push(("journal".into(), journal.display().to_string()));
        let report = recorder.finish(title, facts, document.clone());
        report.write(folder).map_err(|error| Failure::Failed(error.to_string()))?;
    }
    let text = if args.json { format!("{document:#}\n") } else { told(args, &document, journal) };
    // Whoever reads it may be gone: that is an error of this command, and no panic.
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::Failed(format!("standard output: {error}")))
}

/// The outcome for people.
fn told(args: &OutcomeArgs, document: &Value, journal: &Path) -> String {
    let (summary, journal) = (for_people(document), journal.display());
    let mut text = format!("{summary}\njournal    {journal}   (`ballast replay` proves it)\n");
    if let Some(folder) = &args.report {
        text += &format!("report     {}\n", folder.join("report.html").display());
    }
    text
}
