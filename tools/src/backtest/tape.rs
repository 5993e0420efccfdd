//! Which tape plays: a folder of recordings or the built-in synthetic market.
//!
//! Fed by the command line; feeds the backtest, the demo and the venue with one [`Tape`].

use crate::operator::archivist::binary_identity;
use crate::recording::decoded::{self, Decoded};
use crate::recording::found::Folder;
use crate::recording::identity::identity;
use crate::recording::merge::{CLOCK_OFFSET_20240808_NS, Recording, RecordingOptions};
use crate::recording::merged::Merged;
use crate::recording::{OrderGone, Tape, TapeCounters, TapeError, hftbacktest_files};
use crate::venue::synthetic::{Synthetic, SyntheticOptions};
use ballast_engine::event::MarketEvent;
use ballast_engine::instrument::Instrument;
use ballast_engine::journal::hash::Sha;
use ballast_engine::units::Nanos;
use std::path::Path;
use std::sync::OnceLock;

/// A tape that ends early.
pub struct Limited<T> {
    tape: T,
    duration_ns: Option<u64>,
    until: Option<Nanos>,
}

impl<T: Tape> Limited<T> {
    /// Plays `tape` for so long, from its first event; `None`: to its end.
    pub fn new(tape: T, duration_ns: Option<u64>) -> Limited<T> {
        Limited { tape, duration_ns, until: None }
    }
}

impl<T: Tape> Tape for Limited<T> {
    fn next(&mut self) -> Result<Option<MarketEvent>, TapeError> {
        if self.peek_at()?.is_none() { Ok(None) } else { self.tape.next() }
    }

    fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError> {
        let Some(at) = self.tape.peek_at()? else { return Ok(None) };
        let Some(duration_ns) = self.duration_ns else { return Ok(Some(at)) };
        let until = *self.until.get_or_insert_with(|| at.plus(duration_ns));
        Ok((at <= until).then_some(at))
    }

    fn counters(&self) -> TapeCounters {
        self.tape.counters()
    }

    fn order_gone(&self) -> Option<OrderGone> {
        self.tape.order_gone()
    }

    fn knows_orders(&self) -> bool {
        self.tape.knows_orders()
    }

    fn received_at(&self) -> Option<Nanos> {
        self.tape.received_at()
    }
}

/// A market to play.
pub enum AnyTape {
    /// Recorded files of the hftbacktest collector.
    Recording(Box<Recording>),
    /// Recorded files of any other format.
    Merged(Box<Merged>),
    /// Recorded files that were decoded before.
    Decoded(Box<Decoded>),
    /// Made from a seed.
    Synthetic(Box<Synthetic>),
}

impl AnyTape {
    /// The recordings of `folder` for these instruments, whatever its format.
    ///
    /// # Errors
    /// There are none, they are broken, or they are of other instruments.
    pub fn recorded(folder: &Path, instruments: &[Instrument]) -> Result<AnyTape, TapeError> {
        AnyTape::of_venues(folder, instruments, &|_| None, None).map(|(tape, _)| tape)
    }

    /// [`AnyTape::recorded`] where instruments' venues are known by name; also says what plays.
    /// Without a clock offset the hftbacktest files of 2024-08-08 get that day's, others none.
    ///
    /// # Errors
    /// As there.
    pub fn of_venues(
        folder: &Path,
        instruments: &[Instrument],
        venue_of: &dyn Fn(&Instrument) -> Option<String>,
        clock_offset_ns: Option<i64>,
    ) -> Result<(AnyTape, String), TapeError> {
        if !["spot", "usdm", "cm"].iter().any(|part| folder.join(part).is_dir()) {
            let found = Folder::look(folder)?;
            let opened = found.open(instruments, venue_of, clock_offset_ns.unwrap_or(0))?;
            return Ok((AnyTape::Merged(Box::new(opened.tape)), opened.note));
        }
        let files = hftbacktest_files(folder, instruments)?;
        let of_day = files.iter().all(|file| file.path.to_string_lossy().contains("20240808"));
        let known = if of_day { CLOCK_OFFSET_20240808_NS } else { 0 };
        let clock_offset_ns = clock_offset_ns.unwrap_or(known);
        let options = RecordingOptions { clock_offset_ns, without_best_prices: false };
        let tape = Recording::open(instruments, &files, options)?;
        let mut note = "hftbacktest collector, spot, usdm and cm".to_owned();
        if clock_offset_ns != 0 {
            note += &format!(", receive times moved by {} ms", clock_offset_ns / 1_000_000);
        }
        Ok((AnyTape::Recording(Box::new(tape)), note))
    }

    /// [`AnyTape::of_venues`] out of `cache`, a folder, where it was decoded before, and into it where
    /// not. What is there of another state of the recording, other grids or another build is not used.
    ///
    /// # Errors
    /// As there, or the cache's file is broken or cannot be written.
    pub fn cached(
        cache: &Path,
        folder: &Path,
        instruments: &[Instrument],
        venue_of: &dyn Fn(&Instrument) -> Option<String>,
    ) -> Result<(AnyTape, String), TapeError> {
        static BUILD: OnceLock<String> = OnceLock::new();
        let build = BUILD.get_or_init(binary_identity);
        let mut text = format!("{build} {}\n", identity(folder)?);
        for instrument in instruments {
            let spec = instrument.spec();
            let venue = venue_of(instrument).unwrap_or_default();
            text +=
                &format!("{} {venue} {:?} {} {}\n", spec.symbol, spec.kind, spec.tick, spec.lot);
        }
        let key = Sha::of(text.as_bytes());
        // One file a recording and its instruments: a newer state replaces the older one's.
        let name = format!("{}\n{}", folder.display(), text.split_once('\n').map_or("", |t| t.1));
        let name = format!("{:.24}.bltape", Sha::of(name.as_bytes()).to_string());
        let path = cache.join(name);
        let decoded = match Decoded::open(&path, key)? {
            Some(decoded) => Some(decoded),
            None => {
                let (mut tape, note) = AnyTape::of_venues(folder, instruments, venue_of, None)?;
                decoded::write(&path, key, &note, &mut tape)?;
                Decoded::open(&path, key)?
            }
        };
        match decoded {
            Some(decoded) => {
                let note = decoded.note().to_owned();
                Ok((AnyTape::Decoded(Box::new(decoded)), note))
            }
            None => AnyTape::of_venues(folder, instruments, venue_of, None),
        }
    }

    /// A synthetic market of these instruments.
    pub fn synthetic(instruments: &[Instrument], seed: u64, duration_ns: Option<u64>) -> AnyTape {
        let options = SyntheticOptions::new(seed, duration_ns);
        AnyTape::Synthetic(Box::new(Synthetic::new(instruments, options)))
    }
}

impl Tape for AnyTape {
    /// Asked once which tape it is, not for the time and for the event.
    fn next_by(&mut self, limit: Nanos) -> Result<Option<MarketEvent>, TapeError> {
        match self {
            AnyTape::Recording(tape) => tape.next_by(limit),
            AnyTape::Merged(tape) => tape.next_by(limit),
            AnyTape::Decoded(tape) => tape.next_by(limit),
            AnyTape::Synthetic(tape) => tape.next_by(limit),
        }
    }

    fn next(&mut self) -> Result<Option<MarketEvent>, TapeError> {
        match self {
            AnyTape::Recording(tape) => tape.next(),
            AnyTape::Merged(tape) => tape.next(),
            AnyTape::Decoded(tape) => tape.next(),
            AnyTape::Synthetic(tape) => tape.next(),
        }
    }

    fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError> {
        match self {
            AnyTape::Recording(tape) => tape.peek_at(),
            AnyTape::Merged(tape) => tape.peek_at(),
            AnyTape::Decoded(tape) => tape.peek_at(),
            AnyTape::Synthetic(tape) => tape.peek_at(),
        }
    }

    fn counters(&self) -> TapeCounters {
        match self {
            AnyTape::Recording(tape) => tape.counters(),
            AnyTape::Merged(tape) => tape.counters(),
            AnyTape::Decoded(tape) => tape.counters(),
            AnyTape::Synthetic(tape) => tape.counters(),
        }
    }

    fn order_gone(&self) -> Option<OrderGone> {
        match self {
            AnyTape::Merged(tape) => tape.order_gone(),
            AnyTape::Decoded(tape) => tape.order_gone(),
            AnyTape::Recording(_) | AnyTape::Synthetic(_) => None,
        }
    }

    fn knows_orders(&self) -> bool {
        match self {
            AnyTape::Merged(tape) => tape.knows_orders(),
            AnyTape::Decoded(tape) => tape.knows_orders(),
            AnyTape::Recording(_) | AnyTape::Synthetic(_) => false,
        }
    }
}
