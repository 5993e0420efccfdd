//! What is seen of a run while it goes on: telemetry into the report's series.
//!
//! Fed with [`Telemetry`] by the backtest or by the reporting thread of a live run; feeds the report
//! and the progress line. Never on the maker's thread in a live run.

use crate::config::ConfigFile;
use crate::legs::Legs;
use crate::liquidity::Liquidity;
use crate::report::Limits;
use crate::report::recorder::SeriesRecorder;
use crate::trace::Trace;
use ballast_engine::inventory::hedge::BandRule;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::intents::Record;
use ballast_engine::maker::stage::Telemetry;
use ballast_engine::risk::state::{Reason, State};
use ballast_engine::units::{Exposure, Nanos, Notional, Ticks};

/// The last of everything, for a progress line.
#[derive(Clone, Debug, Default)]
pub struct Latest {
    /// The maker's time.
    pub at: Nanos,
    /// Best quotes of the first quoted instrument.
    pub quotes: [Option<Ticks>; 2],
    /// Net delta of the first underlying; `None` where something held has no value.
    pub delta: Option<Exposure>,
    /// PnL in all.
    pub total: Notional,
    /// Fills seen.
    pub fills: u64,
    /// Latest change of state: symbol's place, state, reason.
    pub state: Option<(u16, State, Reason)>,
}

/// Gathers telemetry.
pub struct Observer {
    recorder: SeriesRecorder,
    quoted: Vec<bool>,
    latest: Latest,
    trace: Option<Trace>,
    legs: Option<Legs>,
    liquidity: Liquidity,
}

impl Observer {
    /// Nothing seen yet.
    pub fn new(file: &ConfigFile, config: &MakerConfig) -> Observer {
        let units = |exposure: Exposure| exposure.0 as f64 * 1e-9;
        let underlyings = file.table.underlyings.iter().zip(&config.underlyings);
        let limits = underlyings.map(|(name, settings)| {
            let limits = &settings.limits;
            let band = match settings.hedge.as_ref().map(|hedge| &hedge.band) {
                Some(BandRule::Fixed(band)) => band.outer,
                // It moves; this is where it ends.
                Some(BandRule::Derived(_)) | None => limits.soft(),
            };
            let limits = Limits {
                band: units(band),
                soft: units(limits.soft()),
                stop: units(limits.stop()),
                hard: units(limits.hard()),
            };
            (name.to_owned(), limits)
        });
        Observer {
            recorder: SeriesRecorder::new(
                &config.instruments,
                limits.collect(),
                &file.raw.reporting,
            ),
            quoted: config.settings.iter().map(|settings| settings.quote.is_some()).collect(),
            latest: Latest::default(),
            trace: None,
            legs: None,
            liquidity: Liquidity::new(&config.instruments),
        }
    }

    /// The same, keeping a [`Trace`] of the first quoted instrument too.
    pub fn traced(self, config: &MakerConfig) -> Observer {
        let quoted = config.instruments.iter().zip(&config.settings);
        let first = quoted.into_iter().find(|(_, settings)| settings.quote.is_some());
        let trace = first.map(|(instrument, settings)| Trace::new(instrument, settings.opening));
        Observer { trace, ..self }
    }

    /// The same, keeping every fill and sampled mid too.
    pub fn with_legs(self, config: &MakerConfig) -> Observer {
        Observer { legs: Some(Legs::new(config.instruments.len())), ..self }
    }

    /// Fills and mids, where they were kept.
    pub fn into_legs(self) -> Option<Legs> {
        self.legs
    }

    /// What the liquidity-provision report says.
    pub fn liquidity(&self) -> &Liquidity {
        &self.liquidity
    }

    /// The trace, where one was kept, and fills and mids, where they were.
    pub fn into_trace(self) -> (Option<Trace>, Option<Legs>) {
        (self.trace, self.legs)
    }

    /// The last of everything.
    pub fn latest(&self) -> &Latest {
        &self.latest
    }

    /// Median tick-to-order so far, where it was measured.
    pub fn tick_to_order_p50(&self) -> Option<u64> {
        self.recorder.histogram("tick_to_order").map(|histogram| histogram.value_at_quantile(0.5))
    }

    /// The series so far, to add latencies to.
    pub fn recorder_mut(&mut self) -> &mut SeriesRecorder {
        &mut self.recorder
    }

    /// The series, at the end.
    pub fn into_recorder(self) -> SeriesRecorder {
        self.recorder
    }

    /// Takes one piece of telemetry.
    pub fn see(&mut self, telemetry: &Telemetry) {
        self.recorder.take(telemetry);
        self.liquidity.see(telemetry);
        if let Some(trace) = &mut self.trace {
            trace.see(telemetry);
        }
        if let Some(legs) = &mut self.legs {
            legs.see(telemetry);
        }
        let latest = &mut self.latest;
        match *telemetry {
            Telemetry::Happened(Record::Fill { .. }) => latest.fills += 1,
            Telemetry::Happened(Record::State { instrument, state, reason, .. }) => {
                latest.state = Some((instrument.0, state, reason));
            }
            Telemetry::Happened(Record::Blocked { .. } | Record::ObligationMissed { .. }) => {}
            Telemetry::Instrument { at, instrument, snapshot } => {
                latest.at = at;
                if self.quoted.get(usize::from(instrument.0)) == Some(&true) {
                    latest.quotes = snapshot.quotes;
                }
            }
            Telemetry::Delta { underlying, delta, .. } => {
                if underlying == 0 {
                    latest.delta = delta;
                }
            }
            Telemetry::Pnl { total, .. } => latest.total = total,
            Telemetry::Greeks { .. } | Telemetry::Holdings { .. } => {}
        }
    }
}
