//! Which tape plays: a folder of recordings or the built-in synthetic market.
//!
//! Fed by the command line; feeds the backtest, the demo and the venue with one [`Tape`].

use crate::recording::merge::{CLOCK_OFFSET_20240808_NS, Recording, RecordingOptions};
use crate::recording::{Numbering, Tape, TapeCounters, TapeError, TapeFile, files_of};
use crate::venue::synthetic::{Synthetic, SyntheticOptions};
use ballast_engine::event::MarketEvent;
use ballast_engine::instrument::{Instrument, InstrumentKind};
use ballast_engine::units::Nanos;
use std::path::Path;

/// A market to play.
pub enum AnyTape {
    /// Recorded files.
    Recording(Box<Recording>),
    /// Made from a seed.
    Synthetic(Box<Synthetic>),
}

impl AnyTape {
    /// The recordings of `folder` for these instruments: `spot`, `usdm` and `cm` hold spot, linear and
    /// inverse perpetuals, under the letters of the symbol in front of any `-`.
    pub fn recorded(folder: &Path, instruments: &[Instrument]) -> Result<AnyTape, TapeError> {
        let mut files = Vec::new();
        for instrument in instruments {
            let head = instrument.symbol().split('-').next().unwrap_or_default();
            let (place, symbol, numbering) = match instrument.spec().kind {
                InstrumentKind::Spot => ("spot", head.to_owned(), Numbering::Spot),
                InstrumentKind::LinearPerpetual | InstrumentKind::DatedFuture { .. } => {
                    ("usdm", head.to_owned(), Numbering::Futures)
                }
                InstrumentKind::InversePerpetual => {
                    ("cm", format!("{head}_PERP"), Numbering::Futures)
                }
            };
            for path in files_of(&folder.join(place), &symbol)? {
                let symbol = symbol.clone();
                files.push(TapeFile { path, instrument: instrument.id(), symbol, numbering });
            }
        }
        let options = RecordingOptions {
            clock_offset_ns: CLOCK_OFFSET_20240808_NS,
            without_best_prices: false,
        };
        Recording::open(instruments, &files, options)
            .map(|recording| AnyTape::Recording(Box::new(recording)))
    }

    /// A synthetic market of these instruments.
    pub fn synthetic(instruments: &[Instrument], seed: u64, duration_ns: Option<u64>) -> AnyTape {
        let options = SyntheticOptions::new(seed, duration_ns);
        AnyTape::Synthetic(Box::new(Synthetic::new(instruments, options)))
    }
}

impl Tape for AnyTape {
    fn next(&mut self) -> Result<Option<MarketEvent>, TapeError> {
        match self {
            AnyTape::Recording(tape) => tape.next(),
            AnyTape::Synthetic(tape) => tape.next(),
        }
    }

    fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError> {
        match self {
            AnyTape::Recording(tape) => tape.peek_at(),
            AnyTape::Synthetic(tape) => tape.peek_at(),
        }
    }

    fn counters(&self) -> TapeCounters {
        match self {
            AnyTape::Recording(tape) => tape.counters(),
            AnyTape::Synthetic(tape) => tape.counters(),
        }
    }
}
