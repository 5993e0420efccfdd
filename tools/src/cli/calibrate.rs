//! `ballast calibrate`: σ, A, k, micro-price and order flow of a recording, with pictures.
//!
//! Fed by a recording and the config's instruments; feeds standard output and a page. Main thread.

use super::Failure;
use crate::backtest::tape::AnyTape;
use crate::calibrate::gather::Gathered;
use crate::calibrate::{Calibration, Settings, document, page};
use crate::config::ConfigFile;
use crate::private_files;
use ballast_engine::instrument::Instrument;
use ballast_engine::units::Decimal;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;

/// What to calibrate and how.
#[derive(clap::Args)]
pub struct Arguments {
    /// A recording, file or folder, of any format that is known.
    #[arg(long)]
    tape: PathBuf,
    /// Symbol of the instrument, as the config has it.
    #[arg(long)]
    instrument: String,
    /// The maker's config, for tick, lot, γ and order size; the demo's where it is left out.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Risk aversion per unit of quote currency and size unit, instead of the config's; 0 for none.
    #[arg(long)]
    gamma: Option<f64>,
    /// Order size in size units, instead of the config's.
    #[arg(long)]
    size: Option<f64>,
    /// The fine clock of the volatility estimates.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    fine_ms: u64,
    /// Parts of the recording that k is compared over.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    windows: u32,
    /// The mid of a trade is taken so long before it: books run ahead of trades, and our quotes stand
    /// where the market was.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    lead_ms: u64,
    /// Write report.html and calibration.json into this folder.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    let file = match &arguments.config {
        Some(path) => ConfigFile::read(path),
        None => ConfigFile::demo(),
    };
    let file = file.map_err(|error| usage(&error))?;
    let instrument = file.table.find(&arguments.instrument).ok_or_else(|| {
        let known: Vec<&str> = file.table.instruments.iter().map(Instrument::symbol).collect();
        let found = &arguments.instrument;
        Failure::Usage(format!("--instrument {found}: {} has {}", file.path, known.join(", ")))
    })?;
    let settings = settings(arguments, &file, instrument)?;
    let mut tape = AnyTape::recorded(&arguments.tape, &file.table.instruments)
        .map_err(|error| failed(&error))?;
    let bar = progress();
    let gathered = Gathered::play(&mut tape, instrument.id(), &|| bar.inc(1));
    bar.finish_and_clear();
    let gathered = gathered.map_err(|error| failed(&error))?;
    let found = Calibration::of(&gathered, &settings)
        .map_err(|error| Failure::Failed(format!("{}: {error}", arguments.tape.display())))?;
    let document = document::value(&found, &gathered, instrument, &settings);
    if let Some(folder) = &arguments.report {
        let title = format!("Calibration of {}", instrument.symbol());
        let tick = Decimal::text_of(1, instrument.spec().tick);
        let write = |name: &str, text: &str| {
            private_files::write_whole(&folder.join(name), text.as_bytes())
        };
        private_files::make_folder(folder)
            .and_then(|()| write("calibration.json", &format!("{document:#}\n")))
            .and_then(|()| write("report.html", &page::html(&found, &title, &tick)))
            .map_err(|error| {
                Failure::Failed(format!("--report {}: {error}; name another", folder.display()))
            })?;
    }
    if arguments.json {
        println!("{document:#}");
    } else {
        println!("{}", document::for_people(&found, &gathered, instrument));
    }
    Ok(())
}

fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos} market events");
    ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

fn settings(
    arguments: &Arguments,
    file: &ConfigFile,
    instrument: &Instrument,
) -> Result<Settings, Failure> {
    let raw = file.raw.instrument.get(instrument.symbol());
    let quote = raw.and_then(|raw| raw.quote.as_ref());
    let of_config = |text: Option<&String>| text.and_then(|text| text.parse::<f64>().ok());
    let gamma = arguments.gamma.or_else(|| of_config(quote.map(|quote| &quote.gamma)));
    let size = arguments.size.or_else(|| of_config(quote.map(|quote| &quote.size)));
    let volatility = raw.map(|raw| &raw.volatility);
    let interval_ms = volatility.map_or(1_000, |v| v.interval_ms).max(arguments.fine_ms);
    for (key, value) in [("--gamma", gamma), ("--size", size)] {
        if value.is_some_and(|value| !value.is_finite() || value < 0.0) {
            return Err(Failure::Usage(format!("{key} must be a number of at least 0")));
        }
    }
    let order_size = size.filter(|size| *size > 0.0).unwrap_or(1.0);
    Ok(Settings {
        fine_ns: arguments.fine_ms * 1_000_000,
        coarse: usize::try_from(interval_ms / arguments.fine_ms).unwrap_or(usize::MAX).max(2),
        weight_shift: volatility.map_or(5, |v| v.weight_shift).min(20),
        windows: arguments.windows,
        lead_ns: arguments.lead_ms * 1_000_000,
        gamma: gamma
            .filter(|gamma| *gamma > 0.0)
            .map(|gamma| gamma * document::tick_of(instrument)),
        order_size,
    })
}
