//! `ballast study`: a published result, re-run by the quoting code, ours beside theirs.
//!
//! Fed by the command line; feeds standard output: a table, or one JSON document. Main thread; the
//! studies use every core. Exit 1 where a figure at the full number of paths is not where it was asked
//! to be; fewer paths miss by chance and are not judged.

use super::Failure;
use crate::study::{
    Row, Run, avellaneda_stoikov, glft, hedge_variance, internalise_or_hedge, readme, recording,
    synthetic, verdict,
};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write;
use std::path::PathBuf;

/// Which result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Name {
    /// Avellaneda & Stoikov's three tables.
    #[value(name = avellaneda_stoikov::NAME)]
    AvellanedaStoikov,
    /// Four quoters on the same random numbers in three markets.
    #[value(name = synthetic::NAME)]
    Synthetic,
    /// Guéant, Lehalle & Fernandez-Tapia's quotes, exact and closed form.
    #[value(name = glft::NAME)]
    Glft,
    /// Barzykin, Bergault & Guéant's no-hedge band and hedge rate.
    #[value(name = internalise_or_hedge::NAME)]
    InternaliseOrHedge,
    /// What hedging spot with perpetuals does to risk, and its cost, on a recording. Needs --tape.
    #[value(name = hedge_variance::NAME)]
    HedgeVariance,
    /// Symmetric, A–S and GLFT on the real recording: the README's table. Needs --tape.
    #[value(name = recording::NAME)]
    Recording,
}

/// What `ballast study` is asked.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The published result.
    name: Name,
    /// Simulated paths; each study has its own default.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    paths: Option<u32>,
    /// Folder of recordings with spot, usdm and cm (readme-table, hedge-variance).
    #[arg(long)]
    tape: Option<PathBuf>,
    /// What all random numbers come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Prints one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs the study and prints it.
///
/// # Errors
/// [`Failure::Failed`] where the study or the output fails.
pub fn run(arguments: &Arguments, mut out: impl Write) -> Result<(), Failure> {
    let (name, rows) = rows(arguments)?;
    let broken = |error: std::io::Error| Failure::Failed(format!("study: {error}"));
    if arguments.json {
        let document = serde_json::json!({"study": name, "rows": rows});
        writeln!(out, "{document}").map_err(broken)?;
    } else {
        print(name, &rows, &mut out).map_err(broken)?;
    }
    judge(arguments, name, &rows)
}

/// Fails where a figure is not where it should be.
fn judge(arguments: &Arguments, name: &str, rows: &[Row]) -> Result<(), Failure> {
    let Some(needed) = verdict::paths_needed(name) else { return Ok(()) };
    if arguments.paths.is_some_and(|paths| paths < needed) {
        eprintln!("study {name}: not judged, its tolerances are for {needed} paths");
        return Ok(());
    }
    let misses = verdict::misses(name, rows);
    if misses.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(format!("study {name}: {}", misses.join("; "))))
}

fn rows(arguments: &Arguments) -> Result<(&'static str, Vec<Row>), Failure> {
    let run = |paths: u32| Run { paths: arguments.paths.unwrap_or(paths), seed: arguments.seed };
    let (name, rows) = match arguments.name {
        Name::AvellanedaStoikov => {
            let run = run(avellaneda_stoikov::PATHS);
            // Three tables, each with all paths.
            let bar = progress(3 * u64::from(run.paths));
            (avellaneda_stoikov::NAME, avellaneda_stoikov::run(run, &|| bar.inc(1)))
        }
        Name::Synthetic => {
            let run = run(synthetic::PATHS);
            let bar = progress(u64::from(run.paths));
            (synthetic::NAME, synthetic::run(run, &|| bar.inc(1)))
        }
        Name::Glft => (glft::NAME, glft::run()),
        Name::Recording | Name::HedgeVariance => return recorded(arguments),
        Name::InternaliseOrHedge => (internalise_or_hedge::NAME, internalise_or_hedge::run()),
    };
    rows.map(|rows| (name, rows)).map_err(|error| Failure::Failed(format!("study: {error}")))
}

fn recorded(arguments: &Arguments) -> Result<(&'static str, Vec<Row>), Failure> {
    let is_hedged = matches!(arguments.name, Name::HedgeVariance);
    let name = if is_hedged { hedge_variance::NAME } else { recording::NAME };
    let missing = || Failure::Usage(format!("study {name} needs --tape DIR"));
    let folder = arguments.tape.as_deref().ok_or_else(missing)?;
    let rows = if is_hedged {
        let plan = hedge_variance::WHOLE;
        let bar = progress(plan.runs());
        hedge_variance::run(folder, plan, &|| bar.inc(1))
    } else {
        let bar = progress(recording::RUNS_A_CASE * recording::CASES.len() as u64);
        recording::run(folder, &recording::CASES, arguments.seed, &|| bar.inc(1))
    };
    rows.map(|rows| (name, rows)).map_err(|error| Failure::Failed(format!("study: {error}")))
}

/// On standard error, and only where that is a terminal.
fn progress(paths: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} paths, {eta} left");
    match style {
        Ok(style) => ProgressBar::new(paths).with_style(style),
        Err(_) => ProgressBar::new(paths),
    }
}

fn print(name: &str, rows: &[Row], out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{name}")?;
    let table = (name == recording::NAME).then(|| readme::markdown(rows));
    let fixed: Vec<Row>;
    let rows = if table.is_some() {
        fixed = rows.iter().filter(|row| row.case.ends_with("fixed beforehand")).cloned().collect();
        &fixed
    } else {
        rows
    };
    let width = |of: fn(&Row) -> &str| rows.iter().map(|row| of(row).chars().count()).max();
    let (quoters, figures) =
        (width(|row| &row.quoter).unwrap_or(0), width(|row| &row.figure).unwrap_or(0));
    let mut case = "";
    for row in rows {
        if row.case != case {
            case = &row.case;
            writeln!(out, "\n{case}")?;
            let (ours, reference) = ("ours", "reference");
            writeln!(
                out,
                "  {:quoters$}  {:figures$}  {ours:>14}  {reference:>14}  source",
                "quoter", "figure"
            )?;
        }
        let reference = row.reference.map_or_else(|| "-".to_owned(), short);
        writeln!(
            out,
            "  {:quoters$}  {:figures$}  {:>14}  {reference:>14}  {}",
            row.quoter,
            row.figure,
            short(row.ours),
            row.source
        )?;
    }
    match table {
        Some(table) => writeln!(out, "\n{table}"),
        None => Ok(()),
    }
}

/// Enough digits to compare by eye.
fn short(value: f64) -> String {
    if value.abs() >= 1000.0 { format!("{value:.1}") } else { format!("{value:.6}") }
}
