//! Published results, re-run by the quoting code: ours beside theirs.
//!
//! Fed by `ballast study`; feeds its table or its JSON document. Worker threads, one a core. Each
//! path draws from a stream of its own and results are summed in the order of paths, so that a seed
//! gives the same figures on any number of cores. Quotes come from the engine's functions, memoised
//! by inventory; prices are doubles, because a study is a report. Deliberately absent: latency,
//! queues and fees, which the papers leave out too (the backtest has them).

pub mod avellaneda_stoikov;
pub mod bootstrap;
pub mod edge;
pub mod glft;
pub mod hedge_variance;
pub mod internalise_or_hedge;
mod moments;
mod quotes;
pub mod readme;
pub mod recording;
pub mod synthetic;
pub mod verdict;

use serde::Serialize;

/// One figure: what we found and what somebody published.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// Which setting.
    pub case: String,
    /// Which quoter.
    pub quoter: String,
    /// Which figure of it.
    pub figure: String,
    /// What the quoting code gives.
    pub ours: f64,
    /// What the source gives; none where it says nothing.
    pub reference: Option<f64>,
    /// Who says so.
    pub source: String,
}

impl Row {
    fn new(
        case: &str,
        quoter: &str,
        figure: &str,
        ours: f64,
        reference: impl Into<Option<f64>>,
        source: &str,
    ) -> Row {
        Row {
            case: case.to_owned(),
            quoter: quoter.to_owned(),
            figure: figure.to_owned(),
            ours,
            reference: reference.into(),
            source: source.to_owned(),
        }
    }
}

/// How a study is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// Simulated paths.
    pub paths: u32,
    /// What every path's random numbers come from.
    pub seed: u64,
}

/// What `simulate` makes of each path, in the order of paths, on all cores. `done` is called for
/// each, for a progress bar.
pub(crate) fn on_all_cores<T: Send>(
    paths: u32,
    done: &(dyn Fn() + Sync),
    simulate: &(dyn Fn(&mut dyn Iterator<Item = u32>) -> Vec<T> + Sync),
) -> Vec<T> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cores = u32::try_from(cores).unwrap_or(1).min(paths).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|core| {
                let share = |n: u32| u64::from(paths) * u64::from(n) / u64::from(cores);
                let block = share(core) as u32..share(core + 1) as u32;
                scope.spawn(move || simulate(&mut block.inspect(|_| done())))
            })
            .collect();
        let results = workers.into_iter().map(|worker| {
            // A worker that panicked has a bug to show; hiding it would report half a study.
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        results.flatten().collect()
    })
}
