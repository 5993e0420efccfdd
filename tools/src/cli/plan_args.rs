//! The arguments that say which config plays on which market, and how: the same for one backtest
//! and for many.
//!
//! Fed by clap; feeds [`Plan`]. Cold.

use super::Failure;
use crate::backtest::plan::{Lateness, Market, Plan, queue_model};
use crate::backtest::window::Moment;
use crate::config::ConfigFile;
use crate::config::overrides::Overrides;
use crate::refit::Schedule;
use crate::venue::queue::QueueModel;
use clap::Args;
use std::path::PathBuf;

const LATENCY: &str = "500us,1ms";
const QUEUE: &str = "back";

/// A value with the words that it was told in.
#[derive(Clone, Debug)]
struct Told<T> {
    text: String,
    value: T,
}

fn latency(text: &str) -> Result<Told<Lateness>, String> {
    Lateness::parse(text).map(|value| Told { text: text.to_owned(), value })
}

fn queue(text: &str) -> Result<Told<QueueModel>, String> {
    queue_model(text).map(|value| Told { text: text.to_owned(), value })
}

/// What plays.
#[derive(Args)]
pub(super) struct PlanArgs {
    /// The maker's config; the demo's where it is left out.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Folder of recordings, of any format that is known; a synthetic market where it is left out.
    #[arg(long)]
    tape: Option<PathBuf>,
    /// Keep the decoded recording in this folder, and play it from there the next time: as long as
    /// the recording's files, the instruments' grids and this build are the same.
    #[arg(long, value_name = "DIR", requires = "tape")]
    cache: Option<PathBuf>,
    /// Seed of the synthetic market.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Length of the synthetic market in seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Play from here on: 2024-08-08T23:56:00Z by the tape's clock, or +90s after its first event.
    #[arg(long, value_parser = Moment::parse)]
    from: Option<Moment>,
    /// Play up to here, told like --from.
    #[arg(long, value_parser = Moment::parse)]
    to: Option<Moment>,
    /// How long everything is on its way: one length for all ways, FEED,ORDER or FEED,ORDER,REPORT;
    /// `recorded` (each event's own, orders as late as the last event); or a CSV file of
    /// at,feed_ns,order_ns,report_ns.
    #[arg(long, default_value = LATENCY, value_parser = latency)]
    latency: Told<Lateness>,
    /// How places in the displayed queue improve: `back` (by trades alone), `probabilistic` (by
    /// cancels too, hftbacktest's PowerProbQueueFunc; `probabilistic:1` to `:4` names the power, 3
    /// where it is left out) or `exact` (recordings of single orders).
    #[arg(long, default_value = QUEUE, value_parser = queue)]
    queue: Told<QueueModel>,
    /// Quote with this model instead of the config's.
    #[arg(long)]
    model: Option<String>,
    /// The horizon ends then, for the models that count down to an end: `"16:00 America/New_York"` every
    /// day, or one instant such as 2024-08-09T00:05:00Z; as the config says where it is left out.
    #[arg(long, value_name = "WHEN")]
    horizon_end: Option<String>,
    /// Trade at no fees instead of the listed ones.
    #[arg(long)]
    no_fees: bool,
    /// Never hedge.
    #[arg(long)]
    no_hedge: bool,
}

impl PlanArgs {
    /// The config with what the arguments change in it.
    pub(super) fn config(&self) -> Result<ConfigFile, Failure> {
        let overrides = Overrides {
            model: self.model.clone(),
            horizon_end: self.horizon_end.clone(),
            no_fees: self.no_fees,
            no_hedge: self.no_hedge,
            ..Overrides::default()
        };
        let file = match &self.config {
            Some(path) => ConfigFile::read(path),
            None => ConfigFile::demo(),
        };
        let file = file.and_then(|file| file.changed(&overrides));
        file.map_err(|error| Failure::Usage(error.to_string()))
    }

    /// The plan, with what is refitted on the way.
    pub(super) fn plan(&self, refit: Option<Schedule>) -> Plan {
        let synthetic = Market::Synthetic {
            seed: self.seed,
            duration_ns: self.seconds.saturating_mul(1_000_000_000),
        };
        Plan {
            market: self.tape.clone().map_or(synthetic, Market::Recorded),
            cache: self.cache.clone(),
            from: self.from,
            to: self.to,
            lateness: self.latency.value.clone(),
            queue: self.queue.value,
            refit,
        }
    }

    /// The config's name, for people.
    pub(super) fn config_text(&self) -> String {
        self.config.as_ref().map_or("the demo's".to_owned(), |path| path.display().to_string())
    }

    /// How late things are, for people.
    pub(super) fn latency_text(&self) -> &str {
        &self.latency.text
    }

    /// Which queue, for people.
    pub(super) fn queue_text(&self) -> &str {
        &self.queue.text
    }
}
