//! How the members of a portfolio move together, estimated while the maker runs, off its hot path.
//!
//! Fed with the market events that the maker is given; feeds it with journaled rows of skews. Mids of
//! all members are taken on one clock, in the time of the events; where one is not to be believed (a
//! gap, silence, a crossed book) no return is. Every so often the returns of the window become shrunk
//! correlations and volatilities, and these the members' quotes. In the backtest between two events, in
//! virtual time; live on a thread of its own. Too few returns, or a member that did not move, change
//! nothing and are counted.

use crate::config::ConfigFile;
use crate::config::faults::Faults;
use crate::config::portfolio::{SharedRisk, shared_risk};
use crate::mid_changes::MidChanges;
use crate::refresh::Refresh;
use ballast_engine::calibration::covariance::{Shrunk, shrunk};
use ballast_engine::event::{InstrumentId, MarketEvent};
use ballast_engine::maker::input::Control;
use ballast_engine::quote::multi_asset::SkewRow;
use ballast_engine::units::Nanos;
use serde_json::{Value, json};
use std::collections::VecDeque;

const SECOND: u64 = 1_000_000_000;

/// How often what happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CovarianceCounters {
    /// Covariances made.
    pub made: u64,
    /// Times that there were too few returns, or none could be made.
    pub unmade: u64,
}

/// The covariance of a run.
pub struct CovarianceRefresh {
    risk: SharedRisk,
    mids: MidChanges,
    interval_s: f64,
    every_ns: u64,
    returns_min: usize,
    returns_max: usize,
    returns: VecDeque<Vec<f64>>,
    due: Option<Nanos>,
    counters: CovarianceCounters,
    found: Option<Shrunk>,
}

impl CovarianceRefresh {
    /// `None` where no quotes share a risk.
    pub fn new(file: &ConfigFile) -> Option<CovarianceRefresh> {
        let shared = file.raw.portfolio.as_ref()?;
        let risk = shared_risk(&file.raw, &file.table, &mut Faults::default())?;
        let members = risk.instruments.iter().map(|instrument| instrument.id());
        let most = shared.window_s.saturating_mul(1_000) / shared.interval_ms.max(1);
        Some(CovarianceRefresh {
            mids: MidChanges::new(file, members, shared.interval_ms)?,
            risk,
            interval_s: shared.interval_ms as f64 * 1e-3,
            every_ns: shared.every_s.saturating_mul(SECOND),
            returns_min: shared.returns_min,
            returns_max: usize::try_from(most).unwrap_or(usize::MAX),
            returns: VecDeque::new(),
            due: None,
            counters: CovarianceCounters::default(),
            found: None,
        })
    }

    fn rows(&self) -> Option<(Shrunk, Vec<SkewRow>)> {
        if self.returns.len() < self.returns_min {
            return None;
        }
        let returns: Vec<Vec<f64>> = self.returns.iter().cloned().collect();
        let found = shrunk(&returns).ok()?;
        let root = libm::sqrt(self.interval_s);
        let sigmas: Vec<f64> = found.deviations.iter().map(|deviation| deviation / root).collect();
        let solution = self.risk.solve(Some(&sigmas), &found.correlations).ok()?;
        let members = self.mids.instruments().enumerate();
        let rows = members.map(|(n, member)| SkewRow::of(member, &solution.quoter(n)?));
        Some((found, rows.collect::<Option<Vec<_>>>()?))
    }

    /// As it stands in a run's document.
    pub fn document(&self) -> Value {
        let found = self.found.as_ref().map(|found| {
            let count = self.risk.instruments.len();
            let row = |i| (0..count).map(move |j| (i, j));
            let text = |(i, j)| json!(format!("{:.4}", found.correlations.at(i, j).to_f64()));
            let rows = (0..count).map(|i| Value::Array(row(i).map(text).collect()));
            json!({
                "correlations": rows.collect::<Vec<_>>(),
                "shrinkage": format!("{:.4}", found.shrinkage),
                "returns": self.returns.len(),
            })
        });
        json!({
            "members": self.risk.instruments.iter().map(|i| i.symbol()).collect::<Vec<_>>(),
            "made": self.counters.made,
            "unmade": self.counters.unmade,
            "last": found,
        })
    }
}

impl Refresh for CovarianceRefresh {
    fn instruments(&self) -> Vec<InstrumentId> {
        self.mids.instruments().collect()
    }

    fn take(&mut self, event: &MarketEvent) {
        let (returns, most) = (&mut self.returns, self.returns_max);
        let is_ours = self.mids.take(event, |_, row| {
            // A return is one of all members.
            returns.extend(row.into_iter().collect::<Option<Vec<f64>>>());
            while returns.len() > most {
                returns.pop_front();
            }
        });
        if is_ours {
            self.due.get_or_insert(self.mids.now().plus(self.every_ns));
        }
    }

    fn refresh_due(&mut self, out: &mut Vec<Control>) {
        let now = self.mids.now();
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.due = Some(now.plus(self.every_ns));
        match self.rows() {
            Some((found, rows)) => {
                self.counters.made += 1;
                self.found = Some(found);
                out.extend(rows.into_iter().map(Control::Skew));
            }
            None => self.counters.unmade += 1,
        }
    }
}
