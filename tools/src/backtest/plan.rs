//! What a backtest is told beside its config: which market, which part of it, how late, which queue.
//!
//! Fed by the command line (`ballast backtest`, `ballast sweep`); feeds the virtual runner. One plan
//! runs any number of configs, on any thread.

use super::tape::AnyTape;
use super::venue_time::VenueTime;
use super::window::{Moment, Span, Window, WindowFault, duration_ns};
use super::{Backtest, BacktestError, Outcome};
use crate::collateral::Assessor;
use crate::config::{ConfigFile, option_terms};
use crate::covariance::CovarianceRefresh;
use crate::greek_refresh::GreekRefresh;
use crate::hedge_ratios::HedgeRatios;
use crate::observer::Observer;
use crate::recording::lean::funding::rates;
use crate::recording::{Tape, TapeError};
use crate::refit::{Refit, Schedule};
use crate::summary::{RunFacts, summary};
use crate::venue::exchange::{Exchange, VenueOptions};
use crate::venue::latency::{Delays, LATENCY_NS_MAX, Latency, LatencyFault, LatencyTable};
use crate::venue::queue::QueueModel;
use ballast_engine::instrument::Instrument;
use ballast_engine::journal::writer::JournalWriter;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::input::Control;
use ballast_engine::units::Nanos;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// hftbacktest's example uses this power.
const POWER: u32 = 3;
/// The venue tells of a request for so long after it last mattered: longer than anything is on its way.
const REMEMBERED_NS: u64 = 300_000_000_000;

/// Which market plays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Market {
    /// A folder of recordings.
    Recorded(PathBuf),
    /// A market out of a seed.
    Synthetic {
        /// The seed.
        seed: u64,
        /// How long it plays.
        duration_ns: u64,
    },
}

/// How late things are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lateness {
    /// Always as much.
    Constant(Delays),
    /// As a file says.
    Measured(LatencyTable),
    /// As the recording itself shows.
    Recorded,
}

impl Lateness {
    /// One length for every way, `FEED,ORDER` or `FEED,ORDER,REPORT`; `recorded`; or a CSV file.
    ///
    /// # Errors
    /// It is none of them.
    pub fn parse(text: &str) -> Result<Lateness, String> {
        if text.eq_ignore_ascii_case("recorded") {
            return Ok(Lateness::Recorded);
        }
        if Path::new(text).is_file() {
            let table = LatencyTable::read(Path::new(text));
            return table.map(Lateness::Measured).map_err(|fault: LatencyFault| fault.to_string());
        }
        let ways: Result<Vec<u64>, String> = text.split(',').map(duration_ns).collect();
        let allowed = "a length such as 1ms, FEED,ORDER or FEED,ORDER,REPORT such as 500us,1ms, \
                       `recorded`, or an existing CSV file of at,feed_ns,order_ns,report_ns";
        let ways =
            ways.map_err(|why| format!("--latency {text:?}: {why}; allowed is {allowed}"))?;
        if let Some(ns) = ways.iter().find(|ns| **ns > LATENCY_NS_MAX) {
            return Err(format!("--latency {text:?}: {ns} ns is longer than a minute"));
        }
        let delays = |feed_ns, order_ns, report_ns| Delays { feed_ns, order_ns, report_ns };
        match ways[..] {
            [all] => Ok(Lateness::Constant(delays(all, all, all))),
            [feed, order] => Ok(Lateness::Constant(delays(feed, order, order))),
            [feed, order, report] => Ok(Lateness::Constant(delays(feed, order, report))),
            _ => Err(format!("--latency {text:?}: {} lengths; allowed is {allowed}", ways.len())),
        }
    }

    fn ways(&self) -> Latency {
        match self {
            Lateness::Constant(delays) => Latency::constant(*delays),
            Lateness::Measured(table) => Latency::table(table.clone()),
            Lateness::Recorded => Latency::recorded(),
        }
    }
}

/// `back`, `probabilistic` (of the power 3), `probabilistic:1` to `probabilistic:4`, or `exact`.
///
/// # Errors
/// It is none of them.
pub fn queue_model(text: &str) -> Result<QueueModel, String> {
    let power = text.strip_prefix("probabilistic:").and_then(|power| power.parse().ok());
    match (text, power) {
        ("back", _) => Ok(QueueModel::BackOfQueue),
        ("exact", _) => Ok(QueueModel::Exact),
        ("probabilistic", _) => Ok(QueueModel::Probabilistic { power: POWER }),
        (_, Some(power @ 1..=4)) => Ok(QueueModel::Probabilistic { power }),
        (_, Some(_) | None) => Err(format!(
            "{text:?} is no queue model; allowed are back, probabilistic (or probabilistic:1 to :4, \
             the power of hftbacktest's PowerProbQueueFunc) and exact"
        )),
    }
}

/// Why a plan did not come to its end.
#[derive(Debug, Error)]
pub enum PlanFault {
    /// What was asked for does not go together: exit code 2.
    #[error("{0}")]
    Asked(String),
    /// The run.
    #[error(transparent)]
    Run(#[from] BacktestError),
}

impl From<TapeError> for PlanFault {
    fn from(error: TapeError) -> PlanFault {
        match error {
            TapeError::NoVenueTimes => PlanFault::Asked(error.to_string()),
            error => PlanFault::Run(error.into()),
        }
    }
}

impl From<WindowFault> for PlanFault {
    fn from(fault: WindowFault) -> PlanFault {
        match fault {
            WindowFault::Tape(error) => error.into(),
            WindowFault::Empty(why) => PlanFault::Asked(why),
        }
    }
}

/// What to play, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which market.
    pub market: Market,
    /// Where decoded recordings are kept, if anywhere.
    pub cache: Option<PathBuf>,
    /// Where it begins to play; at its start where it is left out.
    pub from: Option<Moment>,
    /// Where it ends; at its end where it is left out.
    pub to: Option<Moment>,
    /// How late everything is.
    pub lateness: Lateness,
    /// How places in the displayed queue improve.
    pub queue: QueueModel,
    /// When A and k are refitted; as the config says where it is left out.
    pub refit: Option<Schedule>,
}

/// A run of a plan.
pub struct Played {
    /// How it ended.
    pub outcome: Outcome,
    /// What was seen of it.
    pub observer: Observer,
    /// Which files played, and what did not.
    pub note: String,
    /// Which part of the tape played, where not all.
    pub span: Option<Span>,
}

impl Played {
    /// The document that says how it went.
    pub fn summary(&self, file: &ConfigFile) -> Value {
        let outcome = &self.outcome;
        let liquidity = self.observer.liquidity();
        let facts = RunFacts {
            intents_sha256: outcome.intents_sha256.clone(),
            tape_events: outcome.tape.events,
            telemetry_dropped: outcome.stage.telemetry_dropped(),
            liquidity: liquidity.document(outcome.maker(), file.table.underlyings.iter()),
            collateral: outcome.collateral.clone(),
            hedge_ratios: outcome.hedge_ratios.clone(),
            ..RunFacts::default()
        };
        let mut document = summary(file, outcome.maker(), &facts);
        document["run_sha256"] = json!(outcome.run_sha256);
        if !outcome.covariance.is_null() {
            document["covariance"] = outcome.covariance.clone();
        }
        document
    }
}

impl Plan {
    /// Runs it with a config; telemetry samples come every `sample_ns` of the tape's time, 0 for
    /// none.
    ///
    /// # Errors
    /// Parts of the plan do not go together, or the run fails.
    pub fn run(
        &self,
        file: &ConfigFile,
        config: &MakerConfig,
        journal: Option<JournalWriter>,
        sample_ns: u64,
    ) -> Result<Played, PlanFault> {
        let (tape, note) = self.tape(file)?;
        if self.queue == QueueModel::Exact && !tape.knows_orders() {
            return Err(PlanFault::Asked(format!(
                "--queue exact needs a recording of single orders (Databento mbo) for every \
                 instrument; this is: {note}"
            )));
        }
        let run = Run { plan: self, file, config, journal, sample_ns };
        let is_part = self.from.is_some() || self.to.is_some();
        let (played, span) = match (&self.lateness, is_part) {
            (Lateness::Recorded, true) => run.part(VenueTime::new(tape))?,
            (Lateness::Recorded, false) => (run.whole(VenueTime::new(tape))?, None),
            (Lateness::Constant(_) | Lateness::Measured(_), true) => run.part(tape)?,
            (Lateness::Constant(_) | Lateness::Measured(_), false) => (run.whole(tape)?, None),
        };
        let (outcome, observer) = played;
        Ok(Played { outcome, observer, note, span })
    }

    /// Decodes the recording into the cache, where there is one, so that no run has to.
    ///
    /// # Errors
    /// The recording cannot be played.
    pub fn prepare(&self, file: &ConfigFile) -> Result<(), PlanFault> {
        if self.cache.is_some() {
            self.tape(file)?;
        }
        Ok(())
    }

    /// The funding rates that the recording knows, as an operator would tell them.
    fn funding(&self, file: &ConfigFile) -> Result<VecDeque<(Nanos, Control)>, PlanFault> {
        let Market::Recorded(folder) = &self.market else { return Ok(VecDeque::new()) };
        let venue = |instrument: &Instrument| {
            let venue = usize::from(instrument.spec().venue.0);
            file.table.venues.name(venue).map(str::to_owned)
        };
        rates(folder, &file.table.instruments, venue).map_err(PlanFault::Asked)
    }

    fn tape(&self, file: &ConfigFile) -> Result<(AnyTape, String), PlanFault> {
        let instruments = &file.table.instruments;
        match &self.market {
            Market::Recorded(folder) => {
                let venue = |instrument: &Instrument| {
                    let venue = usize::from(instrument.spec().venue.0);
                    file.table.venues.name(venue).map(str::to_owned)
                };
                match &self.cache {
                    Some(cache) => Ok(AnyTape::cached(cache, folder, instruments, &venue)?),
                    None => Ok(AnyTape::of_venues(folder, instruments, &venue, None)?),
                }
            }
            Market::Synthetic { .. } if self.lateness == Lateness::Recorded => {
                Err(TapeError::NoVenueTimes.into())
            }
            Market::Synthetic { seed, duration_ns } => {
                let tape = AnyTape::synthetic(instruments, *seed, Some(*duration_ns));
                Ok((tape, format!("synthetic market, seed {seed}")))
            }
        }
    }
}

/// One run on its way.
struct Run<'a> {
    plan: &'a Plan,
    file: &'a ConfigFile,
    config: &'a MakerConfig,
    journal: Option<JournalWriter>,
    sample_ns: u64,
}

type Ended = (Outcome, Observer);

impl Run<'_> {
    fn part<T: Tape>(self, tape: T) -> Result<(Ended, Option<Span>), PlanFault> {
        let window = Window::open(tape, self.plan.from, self.plan.to)?;
        let span = window.span();
        Ok((self.whole(window)?, Some(span)))
    }

    fn whole<T: Tape>(self, mut tape: T) -> Result<Ended, PlanFault> {
        let Run { plan, file, config, journal, sample_ns } = self;
        let start = tape.peek_at()?.unwrap_or_default();
        if let Lateness::Measured(table) = &plan.lateness {
            table.meets(start).map_err(|why| PlanFault::Asked(format!("--latency: {why}")))?;
        }
        let expired = option_terms::expired(config, start).0;
        if !expired.is_empty() {
            return Err(PlanFault::Asked(format!("{}: {expired}", file.path)));
        }
        let options = VenueOptions { queue_model: plan.queue, ..VenueOptions::default() };
        let exchange = Exchange::new(&config.instruments, options);
        let exchange = exchange.with_latency(plan.lateness.ways()).with_fee_tiers_of(config);
        let exchange = exchange.forgetting(REMEMBERED_NS);
        let observer = Observer::new(file, config);
        let backtest = Backtest::new(config, exchange, tape, observer, journal, sample_ns)?;
        let refit = plan.refit.or_else(|| Schedule::of(file));
        let refit = refit.map(|schedule| Refit::new(file, schedule));
        let greeks = GreekRefresh::new(file, &config.options);
        let backtest =
            backtest.refitting(refit).refreshing(greeks).sharing(CovarianceRefresh::new(file));
        let backtest = backtest.mixing(HedgeRatios::new(file, config));
        let backtest = backtest.assessing(Assessor::new(file));
        let backtest = backtest.ordered(plan.funding(file)?);
        backtest.run(Nanos(u64::MAX)).map_err(|error| match error {
            BacktestError::Tape(error) => error.into(),
            error @ (BacktestError::Config(_)
            | BacktestError::Journal(_)
            | BacktestError::RingFull(_)) => PlanFault::Run(error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_told_as_one_two_or_three_lengths() {
        let ns = |text| match Lateness::parse(text) {
            Ok(Lateness::Constant(d)) => [d.feed_ns, d.order_ns, d.report_ns],
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(ns("1ms"), [1_000_000; 3]);
        assert_eq!(ns("500us,1ms"), [500_000, 1_000_000, 1_000_000]);
        assert_eq!(ns("1us,2us,3us"), [1_000, 2_000, 3_000]);
        assert_eq!(Lateness::parse("RECORDED"), Ok(Lateness::Recorded));
        for wrong in ["", "fast", "1", "1ms,", "1ms,1ms,1ms,1ms", "2m", "no-such-file.csv"] {
            let told = Lateness::parse(wrong).unwrap_err();
            assert!(told.starts_with("--latency"), "{told}");
        }
    }

    #[test]
    fn queue_models_have_names() {
        assert_eq!(queue_model("back"), Ok(QueueModel::BackOfQueue));
        assert_eq!(queue_model("exact"), Ok(QueueModel::Exact));
        assert_eq!(queue_model("probabilistic"), Ok(QueueModel::Probabilistic { power: 3 }));
        assert_eq!(queue_model("probabilistic:1"), Ok(QueueModel::Probabilistic { power: 1 }));
        for wrong in ["front", "probabilistic:5", "probabilistic:0", "probabilistic:", "BACK"] {
            assert!(queue_model(wrong).is_err(), "{wrong}");
        }
    }
}
