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
use ballast_engine::calibration::covariance::{Shrunk, shrunk};
use ballast_engine::event::{InstrumentId, MarketEvent, MarketUpdate};
use ballast_engine::maker::input::Control;
use ballast_engine::market::book::Book;
use ballast_engine::market::trust::Trust;
use ballast_engine::quote::multi_asset::SkewRow;
use ballast_engine::units::Nanos;
use serde_json::{Value, json};
use std::collections::VecDeque;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
/// After so many intervals without an event no return is taken.
const SILENCE_INTERVALS: u64 = 60;

/// One member's market.
struct Watched {
    instrument: InstrumentId,
    book: Book,
    trust: Trust,
}

impl Watched {
    fn take(&mut self, event: &MarketEvent) {
        match event.update {
            MarketUpdate::Level { side, price, size } => self.book.set(side, price, size),
            MarketUpdate::Trade { .. } => {}
            MarketUpdate::Reset => {
                self.book.reset();
                self.trust.on_reset();
            }
            MarketUpdate::Gap => self.trust.on_gap(),
        }
        let is_whole = event.last_in_message || event.update == MarketUpdate::Gap;
        self.trust.on_event(event.at, is_whole);
    }

    /// In ticks; `None` where it is not to be believed.
    fn mid(&self, now: Nanos) -> Option<f64> {
        let touch = self.trust.check(now, &self.book).ok()?;
        Some(touch.mid_half_ticks() as f64 * 0.5)
    }
}

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
    members: Vec<Watched>,
    interval_ns: u64,
    every_ns: u64,
    returns_min: usize,
    returns_max: usize,
    returns: VecDeque<Vec<f64>>,
    /// The mids of the last sampling.
    last: Option<Vec<f64>>,
    sample_at: Option<Nanos>,
    now: Nanos,
    due: Option<Nanos>,
    counters: CovarianceCounters,
    found: Option<Shrunk>,
}

impl CovarianceRefresh {
    /// `None` where no quotes share a risk.
    pub fn new(file: &ConfigFile) -> Option<CovarianceRefresh> {
        let shared = file.raw.portfolio.as_ref()?;
        let risk = shared_risk(&file.raw, &file.table, &mut Faults::default())?;
        let members = risk.instruments.iter().filter_map(|instrument| {
            let settings = file.raw.instrument.get(instrument.symbol())?;
            Some(Watched {
                instrument: instrument.id(),
                book: Book::new(file.raw.run.book_levels_max),
                trust: Trust::new(settings.stale_after_ms.saturating_mul(MS)),
            })
        });
        let most = shared.window_s.saturating_mul(1_000) / shared.interval_ms.max(1);
        Some(CovarianceRefresh {
            members: members.collect(),
            risk,
            interval_ns: shared.interval_ms.saturating_mul(MS),
            every_ns: shared.every_s.saturating_mul(SECOND),
            returns_min: shared.returns_min,
            returns_max: usize::try_from(most).unwrap_or(usize::MAX),
            returns: VecDeque::new(),
            last: None,
            sample_at: None,
            now: Nanos(0),
            due: None,
            counters: CovarianceCounters::default(),
            found: None,
        })
    }

    /// Whose events it wants.
    pub fn instruments(&self) -> Vec<InstrumentId> {
        self.members.iter().map(|member| member.instrument).collect()
    }

    /// A market event that the maker is given; what a whole message makes due is appended to `out`.
    pub fn see(&mut self, event: &MarketEvent, out: &mut Vec<Control>) {
        self.take(event);
        if event.last_in_message {
            self.refresh_due(out);
        }
    }

    /// A market event that the maker is given. What stood before it is sampled first.
    pub fn take(&mut self, event: &MarketEvent) {
        let Some(place) = self.members.iter().position(|m| m.instrument == event.instrument) else {
            return;
        };
        self.now = self.now.max(event.at);
        let first = *self.sample_at.get_or_insert(self.now.plus(self.interval_ns));
        self.due.get_or_insert(self.now.plus(self.every_ns));
        if self.now.since(first) > SILENCE_INTERVALS * self.interval_ns {
            self.last = None;
            self.sample_at = Some(self.now.plus(self.interval_ns));
        }
        while let Some(at) = self.sample_at.filter(|at| *at <= self.now) {
            self.sample(at);
            self.sample_at = Some(at.plus(self.interval_ns));
        }
        if let Some(member) = self.members.get_mut(place) {
            member.take(event);
        }
    }

    fn sample(&mut self, at: Nanos) {
        let mids: Option<Vec<f64>> = self.members.iter().map(|member| member.mid(at)).collect();
        if let (Some(before), Some(now)) = (&self.last, &mids) {
            self.returns.push_back(now.iter().zip(before).map(|(now, was)| now - was).collect());
            if self.returns.len() > self.returns_max {
                self.returns.pop_front();
            }
        }
        self.last = mids;
    }

    /// What is due by now.
    pub fn refresh_due(&mut self, out: &mut Vec<Control>) {
        if self.due.is_none_or(|due| self.now < due) {
            return;
        }
        self.due = Some(self.now.plus(self.every_ns));
        match self.rows() {
            Some((found, rows)) => {
                self.counters.made += 1;
                self.found = Some(found);
                out.extend(rows.into_iter().map(Control::Skew));
            }
            None => self.counters.unmade += 1,
        }
    }

    fn rows(&self) -> Option<(Shrunk, Vec<SkewRow>)> {
        if self.returns.len() < self.returns_min {
            return None;
        }
        let returns: Vec<Vec<f64>> = self.returns.iter().cloned().collect();
        let found = shrunk(&returns).ok()?;
        let root = libm::sqrt(self.interval_ns as f64 * 1e-9);
        let sigmas: Vec<f64> = found.deviations.iter().map(|deviation| deviation / root).collect();
        let solution = self.risk.solve(Some(&sigmas), &found.correlations).ok()?;
        let members = self.members.iter().enumerate();
        let rows = members.map(|(n, of)| SkewRow::of(of.instrument, &solution.quoter(n)?));
        Some((found, rows.collect::<Option<Vec<_>>>()?))
    }

    /// As it stands in a run's document.
    pub fn document(&self) -> Value {
        let found = self.found.as_ref().map(|found| {
            let count = self.members.len();
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
