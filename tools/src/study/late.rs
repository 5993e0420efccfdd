//! A tape that begins late: what came before is only the books that it left.
//!
//! Fed by a tape; feeds a backtest. Until its start it plays into books of its own; then it gives each
//! instrument a reset and its whole book, and goes on with the tape. Deliberately absent: trades from
//! before, and gaps that were healed before.

use crate::recording::{Tape, TapeCounters, TapeError};
use ballast_engine::event::{InstrumentId, MarketEvent, MarketUpdate};
use ballast_engine::market::book::Book;
use ballast_engine::units::{Nanos, Side, Stamp};
use std::collections::VecDeque;

/// Levels a side that are kept.
const BOOK_LEVELS_MAX: usize = 4096;

/// The tape.
pub struct Late<T> {
    tape: T,
    pending: VecDeque<MarketEvent>,
}

impl<T: Tape> Late<T> {
    /// Begins `after_ns` after the tape's first event, for so many instruments.
    ///
    /// # Errors
    /// Those of the tape.
    pub fn new(mut tape: T, instruments: usize, after_ns: u64) -> Result<Late<T>, TapeError> {
        let start = tape.peek_at()?.unwrap_or_default().plus(after_ns);
        let mut books = vec![Book::new(BOOK_LEVELS_MAX); instruments];
        while tape.peek_at()?.is_some_and(|at| at < start) {
            let Some(event) = tape.next()? else { break };
            let Some(book) = books.get_mut(usize::from(event.instrument.0)) else { continue };
            match event.update {
                MarketUpdate::Level { side, price, size } => book.set(side, price, size),
                MarketUpdate::Trade { .. } => {}
                MarketUpdate::Reset | MarketUpdate::Gap => book.reset(),
            }
        }
        let mut pending = VecDeque::new();
        for (instrument, book) in (0u16..).map(InstrumentId).zip(&books) {
            whole(instrument, book, start, &mut pending);
        }
        Ok(Late { tape, pending })
    }
}

/// A reset and every level; nothing for a book that is not there yet.
fn whole(instrument: InstrumentId, book: &Book, at: Nanos, pending: &mut VecDeque<MarketEvent>) {
    if book.touch().is_none() {
        return;
    }
    let mut push = |update| {
        let (venue_at, stamp, last_in_message) = (at, Stamp(0), false);
        pending.push_back(MarketEvent { at, venue_at, stamp, update, instrument, last_in_message });
    };
    push(MarketUpdate::Reset);
    for side in Side::BOTH {
        for level in book.levels(side) {
            push(MarketUpdate::Level { side, price: level.price, size: level.size });
        }
    }
    if let Some(last) = pending.back_mut() {
        last.last_in_message = true;
    }
}

impl<T: Tape> Tape for Late<T> {
    fn next(&mut self) -> Result<Option<MarketEvent>, TapeError> {
        match self.pending.pop_front() {
            Some(event) => Ok(Some(event)),
            None => self.tape.next(),
        }
    }

    fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError> {
        match self.pending.front() {
            Some(event) => Ok(Some(event.at)),
            None => self.tape.peek_at(),
        }
    }

    fn counters(&self) -> TapeCounters {
        self.tape.counters()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backtest::tape::AnyTape;
    use crate::config::ConfigFile;

    #[test]
    fn a_late_tape_ends_with_the_very_books_of_the_whole_one() {
        let file = ConfigFile::demo().unwrap();
        let instruments = &file.table.instruments;
        let tape = || AnyTape::synthetic(instruments, 3, Some(20_000_000_000));
        let books = |tape: &mut dyn Tape| {
            let mut books = vec![Book::new(BOOK_LEVELS_MAX); instruments.len()];
            while let Some(event) = tape.next().unwrap() {
                let book = &mut books[usize::from(event.instrument.0)];
                match event.update {
                    MarketUpdate::Level { side, price, size } => book.set(side, price, size),
                    MarketUpdate::Trade { .. } => {}
                    MarketUpdate::Reset | MarketUpdate::Gap => book.reset(),
                }
            }
            let levels = |book: &Book, side| book.levels(side).collect::<Vec<_>>();
            books.iter().map(|b| Side::BOTH.map(|side| levels(b, side))).collect::<Vec<_>>()
        };
        let mut late = Late::new(tape(), instruments.len(), 10_000_000_000).unwrap();
        let from = late.peek_at().unwrap().unwrap();
        let start = tape().peek_at().unwrap().unwrap();
        assert_eq!(from, start.plus(10_000_000_000));
        assert_eq!(books(&mut late), books(&mut tape()));
    }
}
