//! How several mids change over the same intervals, taken on one clock in the time of the events.
//!
//! Fed with the market events that the maker is given; feeds whoever estimates how instruments move
//! together. Off the maker's thread. Where a mid is not to be believed (a gap, silence, a crossed book)
//! its change is not known; after a long silence of all nothing is. Deliberately absent: any window, and
//! what is made of the changes.

use crate::config::ConfigFile;
use ballast_engine::event::{InstrumentId, MarketEvent, MarketUpdate};
use ballast_engine::market::book::Book;
use ballast_engine::market::trust::Trust;
use ballast_engine::units::Nanos;

const MS: u64 = 1_000_000;
/// After so many intervals without an event no change is taken.
const SILENCE_INTERVALS: u64 = 60;

/// One instrument's market.
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

/// The mids of some instruments, and the clock that they are taken on.
pub struct MidChanges {
    watched: Vec<Watched>,
    interval_ns: u64,
    /// The mids of the last sampling.
    last: Vec<Option<f64>>,
    sample_at: Option<Nanos>,
    now: Nanos,
}

impl MidChanges {
    /// Of these instruments of a config, in this order.
    pub fn new(
        file: &ConfigFile,
        instruments: impl Iterator<Item = InstrumentId>,
        interval_ms: u64,
    ) -> Option<MidChanges> {
        let watched = instruments.map(|id| {
            let symbol = file.table.instruments.get(usize::from(id.0))?.symbol();
            let settings = file.raw.instrument.get(symbol)?;
            Some(Watched {
                instrument: id,
                book: Book::new(file.raw.run.book_levels_max),
                trust: Trust::new(settings.stale_after_ms.saturating_mul(MS)),
            })
        });
        let watched = watched.collect::<Option<Vec<_>>>()?;
        Some(MidChanges {
            last: vec![None; watched.len()],
            watched,
            interval_ns: interval_ms.saturating_mul(MS),
            sample_at: None,
            now: Nanos(0),
        })
    }

    /// Whose events it wants.
    pub fn instruments(&self) -> impl Iterator<Item = InstrumentId> + '_ {
        self.watched.iter().map(|watched| watched.instrument)
    }

    /// The latest time that it knows.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// The mids of the last sampling, in ticks.
    pub fn mids(&self) -> &[Option<f64>] {
        &self.last
    }

    /// A market event that the maker is given; of others' it takes none and says so. What stood before it
    /// is sampled first, and each row of changes handed over with its time.
    pub fn take(
        &mut self,
        event: &MarketEvent,
        mut row: impl FnMut(Nanos, Vec<Option<f64>>),
    ) -> bool {
        if self.instruments().all(|instrument| instrument != event.instrument) {
            return false;
        }
        self.now = self.now.max(event.at);
        let first = *self.sample_at.get_or_insert(self.now.plus(self.interval_ns));
        if self.now.since(first) > SILENCE_INTERVALS * self.interval_ns {
            self.last.fill(None);
            self.sample_at = Some(self.now.plus(self.interval_ns));
        }
        while let Some(at) = self.sample_at.filter(|at| *at <= self.now) {
            row(at, self.sample(at));
            self.sample_at = Some(at.plus(self.interval_ns));
        }
        // One instrument may be watched in two places.
        for watched in self.watched.iter_mut().filter(|w| w.instrument == event.instrument) {
            watched.take(event);
        }
        true
    }

    fn sample(&mut self, at: Nanos) -> Vec<Option<f64>> {
        let mids: Vec<Option<f64>> = self.watched.iter().map(|watched| watched.mid(at)).collect();
        let changes = mids.iter().zip(&self.last);
        let changes = changes.map(|(now, was)| Some((*now)? - (*was)?)).collect();
        self.last = mids;
        changes
    }
}
