//! `ballast sweep`: many backtests over keys of the config, on all cores, into one CSV file.

use super::Failure;
use super::plan_args::PlanArgs;
use crate::sweep::grid::{Axis, Search};
use crate::sweep::{Sweep, SweepFault};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;

/// What is varied, and where the rows go.
#[derive(Args)]
pub struct SweepArgs {
    #[command(flatten)]
    plan: PlanArgs,
    /// A key of the config and its values: KEY=a,b,c, or with --random KEY=low..high[:log]. The key
    /// `seed` is the synthetic market's. Several --vary make a grid.
    #[arg(long, required = true, value_name = "KEY=VALUES", value_parser = Axis::parse)]
    vary: Vec<Axis>,
    /// Draw so many points instead of trying every combination.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    random: Option<u32>,
    /// Seed of the points that --random draws.
    #[arg(long, default_value_t = 1)]
    search_seed: u64,
    /// Threads; all cores where it is left out.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096))]
    jobs: Option<u32>,
    /// Where the rows go. Interrupted, the same command goes on where it was.
    #[arg(long, value_name = "FILE.csv")]
    out: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &SweepArgs) -> Result<(), Failure> {
    let search = args.random.map_or(Search::Grid, |count| Search::Random {
        count: usize::try_from(count).unwrap_or(usize::MAX),
        seed: args.search_seed,
    });
    let sweep = Sweep {
        file: args.plan.config()?,
        plan: args.plan.plan(None),
        axes: args.vary.clone(),
        search,
    };
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let jobs = args.jobs.and_then(|jobs| usize::try_from(jobs).ok()).unwrap_or_else(cores);
    // On standard error, and only where that is a terminal.
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} runs, {eta} left");
    let bar = ProgressBar::new(0);
    let bar = match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    let told = |done: usize, of: usize| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    };
    let counts = sweep.run(&args.out, jobs, &told).map_err(|fault| match fault {
        SweepFault::Asked(why) => Failure::Usage(why),
        fault @ (SweepFault::Run(_) | SweepFault::Progress(_)) => {
            Failure::Failed(fault.to_string())
        }
    })?;
    bar.finish_and_clear();
    let out = args.out.display().to_string();
    if args.json {
        let document = serde_json::json!({
            "runs": counts.runs, "resumed": counts.resumed, "done": counts.done, "out": out,
        });
        println!("{document:#}");
    } else {
        println!("{} runs, {} of them done before: {out}", counts.runs, counts.resumed);
    }
    Ok(())
}
