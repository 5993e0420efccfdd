//! `ballast backtest`: the live maker against the simulated venue on a tape, in virtual time.

use super::Failure;
use crate::backtest::tape::AnyTape;
use crate::backtest::{Backtest, BacktestError};
use crate::config::ConfigFile;
use crate::config::overrides::Overrides;
use crate::observer::Observer;
use crate::refit::{Refit, Schedule};
use crate::summary::{RunFacts, summary};
use crate::venue::exchange::{Exchange, VenueOptions};
use crate::venue::queue::QueueModel;
use ballast_engine::journal::header::Header;
use ballast_engine::journal::writer::JournalWriter;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::units::Nanos;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// How places in the displayed queue improve.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Queue {
    /// By trades alone.
    Back,
    /// By cancels ahead too, with hftbacktest's power of 3.
    Probabilistic,
}

/// What to play and what to write.
#[derive(Args)]
pub struct BacktestArgs {
    /// The maker's config; the demo's where it is left out.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Folder of recordings with spot, usdm and cm; a synthetic market where it is left out.
    #[arg(long)]
    tape: Option<PathBuf>,
    /// Seed of the synthetic market.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Length of the synthetic market in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Quote with this model instead of the config's.
    #[arg(long)]
    model: Option<String>,
    /// Trade at no fees instead of the listed ones.
    #[arg(long)]
    no_fees: bool,
    /// Never hedge.
    #[arg(long)]
    no_hedge: bool,
    /// One way from the maker to the venue's matching, and the same back, in microseconds.
    #[arg(long, default_value_t = 1_000)]
    order_latency_us: u64,
    /// From the venue's market to the maker, in microseconds.
    #[arg(long, default_value_t = 500)]
    feed_latency_us: u64,
    /// How places in the displayed queue improve.
    #[arg(long, value_enum, default_value_t = Queue::Back)]
    queue: Queue,
    /// Refit A and k so often, in seconds of the tape; never where it is left out.
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
    let overrides = Overrides {
        model: args.model.clone(),
        no_fees: args.no_fees,
        no_hedge: args.no_hedge,
        ..Overrides::default()
    };
    let file = match &args.config {
        Some(path) => ConfigFile::read(path),
        None => ConfigFile::demo(),
    };
    let file = file.and_then(|file| file.changed(&overrides)).map_err(|error| usage(&error))?;
    let config = file.maker(1).map_err(|error| usage(&error))?;
    let journal = journal(args, &file)?;
    play(args, &file, &config, journal)
}

fn refit(args: &BacktestArgs, file: &ConfigFile) -> Option<Refit> {
    let second = 1_000_000_000;
    let every_ns = args.refit_every_s?.saturating_mul(second);
    let window_ns = args.refit_window_s.saturating_mul(second);
    Some(Refit::new(file, Schedule { every_ns, window_ns, lead_ns: 5_000_000 }))
}

fn journal(args: &BacktestArgs, file: &ConfigFile) -> Result<Option<JournalWriter>, Failure> {
    let Some(path) = &args.journal else { return Ok(None) };
    let header = Header {
        epoch: 1,
        started: Nanos(0),
        binary: env!("CARGO_PKG_VERSION").into(),
        config: file.text.clone(),
    };
    JournalWriter::create(path, &header)
        .map(Some)
        .map_err(|error| Failure::Failed(error.to_string()))
}

fn play(
    args: &BacktestArgs,
    file: &ConfigFile,
    config: &MakerConfig,
    journal: Option<JournalWriter>,
) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    let tape = match &args.tape {
        Some(folder) => AnyTape::recorded(folder, &config.instruments),
        None => {
            let duration = args.seconds.saturating_mul(1_000_000_000);
            Ok(AnyTape::synthetic(&config.instruments, args.seed, Some(duration)))
        }
    }
    .map_err(|error| failed(&error))?;
    let options = VenueOptions {
        order_latency_ns: args.order_latency_us.saturating_mul(1_000),
        feed_latency_ns: args.feed_latency_us.saturating_mul(1_000),
        queue_model: match args.queue {
            Queue::Back => QueueModel::BackOfQueue,
            Queue::Probabilistic => QueueModel::Probabilistic { power: 3 },
        },
        ..VenueOptions::default()
    };
    let exchange = Exchange::new(&config.instruments, options);
    let observer = Observer::new(file, config);
    let sample_ns = file.raw.run.sample_ms.saturating_mul(1_000_000);
    let backtest = Backtest::new(config, exchange, tape, observer, journal, sample_ns);
    let backtest = backtest.map_err(|error: BacktestError| failed(&error))?;
    let backtest = backtest.refitting(refit(args, file));
    let (outcome, observer) = backtest.run(Nanos(u64::MAX)).map_err(|error| failed(&error))?;
    let facts = RunFacts {
        intents_sha256: outcome.intents_sha256.clone(),
        tape_events: outcome.tape.events,
        telemetry_dropped: outcome.stage.telemetry_dropped(),
        liquidity: observer.liquidity().document(outcome.maker(), file.table.underlyings.iter()),
        ..RunFacts::default()
    };
    let mut document = summary(file, outcome.maker(), &facts);
    if let Some(refits) = outcome.refits {
        document["refits"] = serde_json::json!({
            "made": refits.made, "unfitted": refits.unfitted, "too_far": refits.too_far,
        });
    }
    if let Some(folder) = &args.report {
        let report = observer.into_recorder();
        let report = report.finish("backtest", Vec::new(), document.clone());
        report.write(folder).map_err(|error| failed(&error))?;
    }
    if args.json {
        println!("{document:#}");
    } else {
        println!("{}", crate::summary::for_people(&document));
    }
    Ok(())
}
