//! `ballast backtest`: the live maker against the simulated venue on a tape, in virtual time.

use super::Failure;
use super::plan_args::PlanArgs;
use crate::backtest::plan::{PlanFault, Played};
use crate::config::ConfigFile;
use crate::refit::Schedule;
use ballast_engine::journal::header::Header;
use ballast_engine::journal::writer::JournalWriter;
use ballast_engine::units::Nanos;
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// What to play and what to write.
#[derive(Args)]
pub struct BacktestArgs {
    #[command(flatten)]
    plan: PlanArgs,
    /// Refit A, k and the micro-price so often, in seconds of the tape; as `run.refit` of the config
    /// says where it is left out.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    refit_every_s: Option<u64>,
    /// What a refit rests on, in seconds.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    refit_window_s: u64,
    /// Write the journal here.
    #[arg(long)]
    journal: Option<PathBuf>,
    /// Write report.html, summary.json and .hgrm files into this folder.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &BacktestArgs) -> Result<(), Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
    let file = args.plan.config()?;
    let plan = args.plan.plan(refit(args));
    let config = file.maker(1).map_err(|error| usage(&error))?;
    let journal = journal(args, &file)?;
    let sample_ns = file.raw.run.sample_ms.saturating_mul(1_000_000);
    let played = plan.run(&file, &config, journal, sample_ns).map_err(|fault| match fault {
        PlanFault::Asked(why) => Failure::Usage(why),
        PlanFault::Run(error) => Failure::Failed(error.to_string()),
    })?;
    let document = document(args, &file, &played);
    if let Some(folder) = &args.report {
        let report = played.observer.into_recorder();
        let report = report.finish("backtest", facts(args, &document), document.clone());
        report.write(folder).map_err(|error| Failure::Failed(error.to_string()))?;
    }
    if args.json {
        println!("{document:#}");
    } else {
        println!("{}", crate::summary::for_people(&document));
        if let Some(folder) = &args.report {
            println!("report     {}", folder.join("report.html").display());
        }
    }
    Ok(())
}

fn refit(args: &BacktestArgs) -> Option<Schedule> {
    let second = 1_000_000_000;
    let every_ns = args.refit_every_s?.saturating_mul(second);
    let window_ns = args.refit_window_s.saturating_mul(second);
    Some(Schedule { every_ns, window_ns, lead_ns: 5_000_000 })
}

fn journal(args: &BacktestArgs, file: &ConfigFile) -> Result<Option<JournalWriter>, Failure> {
    let Some(path) = &args.journal else { return Ok(None) };
    let header = Header {
        epoch: 1,
        started: Nanos(0),
        binary: env!("CARGO_PKG_VERSION").into(),
        config: file.text.clone(),
        resumption: None,
    };
    JournalWriter::create(path, &header)
        .map(Some)
        .map_err(|error| Failure::Failed(error.to_string()))
}

fn document(args: &BacktestArgs, file: &ConfigFile, played: &Played) -> Value {
    let outcome = &played.outcome;
    let mut document = played.summary(file);
    if let Some(refits) = outcome.refits {
        document["refits"] = refits.document();
    }
    document["plays"] = json!(played.note);
    let queue = outcome.queue;
    document["queue"] = json!({
        "model": args.plan.queue_text(),
        "joined": queue.joined,
        "behind": queue.behind,
        "moved_by_trades": queue.moved_by_trades,
        "moved_by_cancels": queue.moved_by_cancels,
    });
    document["latency"] = json!(args.plan.latency_text());
    if let Some(span) = played.span {
        let to = (span.to < Nanos(u64::MAX)).then_some(span.to.0);
        document["window_ns"] = json!([span.from.0, to]);
    }
    let counters = outcome.tape.named().into_iter();
    let counters: Map<String, Value> =
        counters.map(|(name, count)| (name.to_owned(), json!(count))).collect();
    document["tape"] = Value::Object(counters);
    document
}

/// What stands at the report's head.
fn facts(args: &BacktestArgs, document: &Value) -> Vec<(String, String)> {
    let text = |key: &str| document[key].as_str().unwrap_or_default().to_owned();
    let left_out: Vec<String> = (document["tape"].as_object().into_iter().flatten())
        .filter(|(name, count)| {
            !["rows", "events", "snapshots"].contains(&name.as_str()) && **count != json!(0)
        })
        .map(|(name, count)| format!("{} {count}", name.replace('_', " ")))
        .collect();
    let left_out = if left_out.is_empty() { "nothing".to_owned() } else { left_out.join(", ") };
    vec![
        ("config".to_owned(), args.plan.config_text()),
        ("tape".to_owned(), text("plays")),
        ("queue".to_owned(), queue(&document["queue"])),
        ("latency".to_owned(), text("latency")),
        ("rows read".to_owned(), document["tape"]["rows"].to_string()),
        ("not played, by reason".to_owned(), left_out),
        ("intents and fills, SHA-256".to_owned(), text("run_sha256")),
    ]
}

/// Which model, and whether there was a queue for it to matter in.
fn queue(counts: &Value) -> String {
    let model = counts["model"].as_str().unwrap_or_default();
    format!(
        "{model}; {} of {} orders joined behind displayed volume; moved forward {} times by trades, \
         {} by cancels",
        counts["behind"], counts["joined"], counts["moved_by_trades"], counts["moved_by_cancels"]
    )
}
