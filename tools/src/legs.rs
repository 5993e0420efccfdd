//! A run's fills and mids, instrument by instrument: what a study of two legs is worked out from.
//!
//! Fed with telemetry through the observer, where a study asked for it; feeds
//! [`study::hedge_variance`](crate::study::hedge_variance). Memory grows with the run: 16 bytes a
//! sample and instrument.

use ballast_engine::event::InstrumentId;
use ballast_engine::maker::intents::Record;
use ballast_engine::maker::stage::Telemetry;
use ballast_engine::units::{Lots, Nanos, Side, Ticks};

/// One fill.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fill {
    /// When the maker learned of it.
    pub at: Nanos,
    /// Of what.
    pub instrument: InstrumentId,
    /// Our side.
    pub side: Side,
    /// At what.
    pub price: Ticks,
    /// How much.
    pub size: Lots,
}

/// Fills and sampled mids.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Legs {
    fills: Vec<Fill>,
    /// By instrument: when, and twice the mid in ticks.
    mids: Vec<Vec<(Nanos, i64)>>,
}

impl Legs {
    /// Nothing seen of so many instruments.
    pub fn new(instruments: usize) -> Legs {
        Legs { fills: Vec::new(), mids: vec![Vec::new(); instruments] }
    }

    /// Every fill, oldest first.
    pub fn fills(&self) -> &[Fill] {
        &self.fills
    }

    /// When, and twice the mid in ticks, where it was to be believed; oldest first.
    pub fn mids(&self, instrument: InstrumentId) -> &[(Nanos, i64)] {
        self.mids.get(usize::from(instrument.0)).map_or(&[], Vec::as_slice)
    }

    /// Takes one piece of telemetry.
    pub fn see(&mut self, telemetry: &Telemetry) {
        match *telemetry {
            Telemetry::Happened(Record::Fill { at, instrument, side, price, size, .. }) => {
                self.fills.push(Fill { at, instrument, side, price, size });
            }
            Telemetry::Instrument { at, instrument, snapshot } => {
                if let Some(mids) = self.mids.get_mut(usize::from(instrument.0))
                    && let Ok(touch) = snapshot.touch
                {
                    mids.push((at, touch.mid_half_ticks()));
                }
            }
            Telemetry::Happened(_)
            | Telemetry::Delta { .. }
            | Telemetry::Greeks { .. }
            | Telemetry::Holdings { .. }
            | Telemetry::Pnl { .. } => {}
        }
    }
}
