//! A run as a line of points: inventory, PnL and size traded, for studies that resample it.
//!
//! Fed with telemetry through the observer, where a study asked for it; feeds `study`. Memory grows
//! with the run: 40 bytes a sample. PnL is told without what the opening position would have made
//! untouched, so that what is compared is the quoting.

use ballast_engine::event::InstrumentId;
use ballast_engine::instrument::Instrument;
use ballast_engine::maker::intents::Record;
use ballast_engine::maker::stage::Telemetry;
use ballast_engine::pnl::attribution::Cause;
use ballast_engine::units::{Decimal, Lots, Nanos};

/// One sample.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    /// When.
    pub at: Nanos,
    /// Net delta from the target, in units of the underlying.
    pub inventory: f64,
    /// PnL less the opening position's, in the reporting currency.
    pub profit: f64,
    /// What fills captured of the spread so far, against the mid just before each.
    pub captured: f64,
    /// Size traded so far, in size units.
    pub traded: f64,
}

/// The line, of one instrument.
#[derive(Clone, PartialEq, Debug)]
pub struct Trace {
    instrument: InstrumentId,
    tick: f64,
    lot: f64,
    /// The opening position, in size units.
    opening: f64,
    first_mid: Option<f64>,
    mid: Option<f64>,
    inventory: f64,
    traded: f64,
    fills: u64,
    points: Vec<Point>,
}

fn number(decimal: Decimal) -> f64 {
    decimal.mantissa as f64 / 10f64.powi(decimal.scale.into())
}

impl Trace {
    /// Nothing seen of `instrument`, which was held at the start.
    pub fn new(instrument: &Instrument, opening: Lots) -> Trace {
        let lot = number(instrument.spec().lot);
        Trace {
            instrument: instrument.id(),
            tick: number(instrument.spec().tick),
            lot,
            opening: opening.0 as f64 * lot,
            first_mid: None,
            mid: None,
            inventory: 0.0,
            traded: 0.0,
            fills: 0,
            points: Vec::new(),
        }
    }

    /// The samples, oldest first.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Fills of the instrument.
    pub fn fills(&self) -> u64 {
        self.fills
    }

    /// Takes one piece of telemetry.
    pub fn see(&mut self, telemetry: &Telemetry) {
        match *telemetry {
            Telemetry::Happened(Record::Fill { instrument, size, .. }) => {
                if instrument == self.instrument {
                    self.traded += size.0 as f64 * self.lot;
                    self.fills += 1;
                }
            }
            Telemetry::Happened(_) | Telemetry::Greeks { .. } | Telemetry::Holdings { .. } => {}
            Telemetry::Instrument { instrument, snapshot, .. } => {
                if instrument == self.instrument
                    && let Ok(touch) = snapshot.touch
                {
                    let mid = touch.mid_half_ticks() as f64 * 0.5 * self.tick;
                    self.mid = Some(mid);
                    self.first_mid.get_or_insert(mid);
                }
            }
            Telemetry::Delta { underlying, delta, .. } => {
                if underlying == 0
                    && let Some(delta) = delta
                {
                    self.inventory = delta.0 as f64 * 1e-9;
                }
            }
            Telemetry::Pnl { at, causes, total } => {
                if let (Some(first), Some(mid)) = (self.first_mid, self.mid) {
                    let profit = total.0 as f64 * 1e-9 - self.opening * (mid - first);
                    let captured = causes.iter().find(|(of, _)| *of == Cause::SpreadCapture);
                    let captured = captured.map_or(0.0, |(_, amount)| amount.0 as f64 * 1e-9);
                    let (inventory, traded) = (self.inventory, self.traded);
                    self.points.push(Point { at, inventory, profit, captured, traded });
                }
            }
        }
    }
}
