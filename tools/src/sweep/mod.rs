//! Many backtests of one plan: a grid or a random search over keys of the config, on all cores.
//!
//! Fed by `ballast sweep`; feeds a CSV file, a row a run. What each run is depends on its number
//! alone, so that neither the number of threads nor an interruption changes a byte of the result.
//! `grid.rs` says which configs, `row.rs` what a row holds, `progress.rs` what is done already.

pub mod grid;
pub mod progress;
pub mod row;

use crate::backtest::BacktestError;
use crate::backtest::plan::{Market, Plan, PlanFault};
use crate::config::{ConfigFault, ConfigFile};
use crate::recording::TapeError;
use crate::recording::identity::identity;
use ballast_engine::journal::hash::Sha;
use grid::{Axis, Search};
use progress::{Progress, ProgressFault};
use row::{End, Head};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use thiserror::Error;

/// The axis that is no key of the config.
const SEED: &str = "seed";

/// Why a sweep did not come to its end.
#[derive(Debug, Error)]
pub enum SweepFault {
    /// What was asked for cannot be: exit code 2.
    #[error("{0}")]
    Asked(String),
    /// A run cannot go on, and no other could.
    #[error(transparent)]
    Run(#[from] BacktestError),
    /// The result cannot be written.
    #[error(transparent)]
    Progress(#[from] ProgressFault),
}

/// What is swept.
pub struct Sweep {
    /// The config that every run begins from.
    pub file: ConfigFile,
    /// How each runs.
    pub plan: Plan,
    /// What is varied.
    pub axes: Vec<Axis>,
    /// In which points.
    pub search: Search,
}

/// How many runs ended how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// All of the sweep.
    pub runs: usize,
    /// Found done on disk.
    pub resumed: usize,
    /// Done now.
    pub done: usize,
}

impl Sweep {
    /// Runs what is not done yet on so many threads; `told` is called with how many of all runs are
    /// done. The result appears at `out` when every run is.
    ///
    /// # Errors
    /// The sweep cannot be, or a file stops it.
    pub fn run(
        &self,
        out: &Path,
        jobs: usize,
        told: &dyn Fn(usize, usize),
    ) -> Result<Counts, SweepFault> {
        let points = grid::points(&self.axes, self.search).map_err(SweepFault::Asked)?;
        self.check(&points)?;
        let mut progress = Progress::open(out, &self.fingerprint()?)?;
        self.plan.prepare(&self.file).map_err(|fault| match fault {
            PlanFault::Asked(why) => SweepFault::Asked(why),
            PlanFault::Run(error) => SweepFault::Run(error),
        })?;
        let todo: Vec<usize> = (1..=points.len()).filter(|run| !progress.has(*run)).collect();
        let counts = Counts { runs: points.len(), resumed: progress.done(), done: todo.len() };
        told(progress.done(), points.len());
        let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let (send, ended) = channel();
            for _ in 0..jobs.clamp(1, todo.len().max(1)) {
                let (send, next, is_over, todo, points) =
                    (send.clone(), &next, &is_over, &todo, &points);
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let Some(&run) = todo.get(place) else { break };
                        if send.send((run, self.one(run, &points[run - 1]))).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(send);
            let written = ended.iter().try_for_each(|(run, row)| {
                progress.add(run, row?)?;
                told(progress.done(), points.len());
                Ok(())
            });
            is_over.store(true, Ordering::Relaxed);
            written.map_err(|fault: SweepFault| fault)
        })?;
        let keys: Vec<&str> = self.axes.iter().map(|axis| axis.key.as_str()).collect();
        progress.finish(&row::header(&keys, &self.underlyings()))?;
        Ok(counts)
    }

    /// Keys that the config has not, or twice; told before anything runs.
    fn check(&self, points: &[Vec<String>]) -> Result<(), SweepFault> {
        for (place, axis) in self.axes.iter().enumerate() {
            let key = &axis.key;
            if self.axes[..place].iter().any(|other| other.key == *key) {
                return Err(SweepFault::Asked(format!("{key} is varied twice")));
            }
            for value in points.iter().filter_map(|point| point.get(place)) {
                if key == SEED {
                    self.seeded(value).map_err(SweepFault::Asked)?;
                } else {
                    let change = (key.clone(), value.clone());
                    let changed = self.file.changed_text(&[change]);
                    changed.map_err(|fault| SweepFault::Asked(fault.to_string()))?;
                }
            }
        }
        Ok(())
    }

    fn seeded(&self, value: &str) -> Result<Plan, String> {
        let seed = value.parse().map_err(|_| format!("seed: {value:?} is no whole number"))?;
        match self.plan.market {
            Market::Recorded(_) => Err("seed: a recording has none".to_owned()),
            Market::Synthetic { duration_ns, .. } => {
                let market = Market::Synthetic { seed, duration_ns };
                Ok(Plan { market, ..self.plan.clone() })
            }
        }
    }

    fn underlyings(&self) -> Vec<&str> {
        self.file.table.underlyings.iter().collect()
    }

    /// What makes this sweep this one: build, config, tape, options, points.
    fn fingerprint(&self) -> Result<String, SweepFault> {
        let tape = match &self.plan.market {
            Market::Recorded(folder) => identity(folder)
                .map_err(|error: TapeError| SweepFault::Run(error.into()))?
                .to_string(),
            Market::Synthetic { .. } => "synthetic".to_owned(),
        };
        let build = crate::operator::archivist::binary_identity();
        let Sweep { file, plan, axes, search } = self;
        let plan = Plan { cache: None, ..plan.clone() };
        let all = format!("{build}\n{}\n{tape}\n{plan:?}\n{axes:?}\n{search:?}", file.text);
        Ok(format!("ballast-sweep-1 {}", Sha::of(all.as_bytes())))
    }

    /// One run's row.
    fn one(&self, run: usize, values: &[String]) -> Result<String, SweepFault> {
        let mut plan = self.plan.clone();
        let mut changes = Vec::new();
        for (axis, value) in self.axes.iter().zip(values) {
            if axis.key == SEED {
                plan = self.seeded(value).map_err(SweepFault::Asked)?;
            } else {
                changes.push((axis.key.clone(), value.clone()));
            }
        }
        let seed = match plan.market {
            Market::Synthetic { seed, .. } => Some(seed),
            Market::Recorded(_) => None,
        };
        let text =
            self.file.changed_text(&changes).map_err(|f| SweepFault::Asked(f.to_string()))?;
        let config_sha256 = Sha::of(text.as_bytes()).to_string();
        let file = ConfigFile::parse(&self.file.path, text);
        let end = match file {
            Ok(file) => played(&plan, &file)?,
            Err(fault) => End::Refused(fault.to_string()),
        };
        let head = Head { run, seed, config_sha256, values };
        Ok(row::line(&head, &end, &self.underlyings()))
    }
}

fn played(plan: &Plan, file: &ConfigFile) -> Result<End, SweepFault> {
    let config = match file.maker(1) {
        Ok(config) => config,
        Err(fault @ ConfigFault::Values { .. }) => return Ok(End::Refused(fault.to_string())),
        Err(fault) => return Err(SweepFault::Asked(fault.to_string())),
    };
    let sample_ns = file.raw.run.sample_ms.saturating_mul(1_000_000);
    match plan.run(file, &config, None, sample_ns) {
        Ok(played) => Ok(End::Done(played.summary(file))),
        // The same for every config: there is nothing to go on for.
        Err(PlanFault::Asked(why)) => Err(SweepFault::Asked(why)),
        Err(PlanFault::Run(error @ BacktestError::Tape(_))) => Err(SweepFault::Run(error)),
        Err(PlanFault::Run(error @ BacktestError::Config(_))) => {
            Ok(End::Refused(error.to_string()))
        }
        Err(PlanFault::Run(error)) => Ok(End::Failed(error.to_string())),
    }
}
