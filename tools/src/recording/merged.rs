//! Several sources as one market, in the order in which their messages were received.
//!
//! Fed by [`Source`]s; feeds whoever plays a [`Tape`]. Any one thread. Deliberately absent: pacing.
//! Memory is that of one message a file and of the books that its format needs.

use super::source::{Market, Queued, Sink, Source, Symbols};
use super::{OrderGone, Tape, TapeCounters, TapeError};
use ballast_engine::event::MarketEvent;
use ballast_engine::instrument::Instrument;
use ballast_engine::units::Nanos;
use std::collections::VecDeque;

/// Sources, merged.
pub struct Merged {
    sources: Vec<Held>,
    markets: Vec<Market>,
    pending: VecDeque<Queued>,
    given: Option<OrderGone>,
    counters: TapeCounters,
    clock_offset_ns: i64,
    latest: u64,
    is_over: bool,
}

struct Held {
    source: Box<dyn Source>,
    symbols: Symbols,
    has_message: bool,
}

impl Merged {
    /// Joins sources whose symbols are known; `clock_offset_ns` is added to every receive time.
    ///
    /// # Errors
    /// The first message of a source cannot be read, or there is none.
    pub fn new(
        instruments: &[Instrument],
        sources: Vec<(Box<dyn Source>, Symbols)>,
        clock_offset_ns: i64,
    ) -> Result<Merged, TapeError> {
        let mut held = Vec::with_capacity(sources.len());
        for (mut source, symbols) in sources {
            let has_message = source.advance()?;
            if !has_message {
                return Err(TapeError::Empty { file: source.position().file.to_path_buf() });
            }
            held.push(Held { source, symbols, has_message });
        }
        Ok(Merged {
            sources: held,
            markets: instruments.iter().map(Market::of).collect(),
            pending: VecDeque::new(),
            given: None,
            counters: TapeCounters::default(),
            clock_offset_ns,
            latest: 0,
            is_over: false,
        })
    }

    fn fill(&mut self) -> Result<(), TapeError> {
        while self.pending.is_empty() && !self.is_over {
            if let Err(error) = self.read_message() {
                self.is_over = true;
                return Err(error);
            }
        }
        Ok(())
    }

    fn read_message(&mut self) -> Result<(), TapeError> {
        // The earliest message; of equals, that of the source named first.
        let next = self.sources.iter().enumerate().filter(|(_, held)| held.has_message);
        let Some(index) = next.min_by_key(|(i, held)| (held.source.received(), *i)).map(|f| f.0)
        else {
            self.is_over = true;
            return self.has_played();
        };
        let held = &mut self.sources[index];
        let received = held.source.received().saturating_add_signed(self.clock_offset_ns);
        self.latest = self.latest.max(received);
        self.counters.rows += 1;
        let mut sink = Sink {
            symbols: &mut held.symbols,
            markets: &mut self.markets,
            pending: &mut self.pending,
            counters: &mut self.counters,
            at: Nanos(self.latest),
            position: held.source.position().clone(),
        };
        held.source.take(&mut sink)?;
        held.has_message = held.source.advance()?;
        Ok(())
    }

    /// A tape that ends without one event was not this config's: that is an error, not a quiet market.
    fn has_played(&self) -> Result<(), TapeError> {
        let Some(first) = self.sources.first().filter(|_| self.counters.events == 0) else {
            return Ok(());
        };
        let named = self.counters.named();
        let left_out = named.iter().filter(|(name, count)| *name != "rows" && *count > 0);
        let left_out: Vec<_> = left_out.map(|(name, count)| format!("{name} {count}")).collect();
        Err(TapeError::NoEvents {
            file: first.source.position().file.to_path_buf(),
            rows: self.counters.rows,
            left_out: left_out.join(", "),
        })
    }
}

impl Tape for Merged {
    fn next(&mut self) -> Result<Option<MarketEvent>, TapeError> {
        self.fill()?;
        let Some(Queued { event, gone }) = self.pending.pop_front() else { return Ok(None) };
        self.given = gone;
        self.counters.events += 1;
        Ok(Some(event))
    }

    fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError> {
        self.fill()?;
        Ok(self.pending.front().map(|queued| queued.event.at))
    }

    fn counters(&self) -> TapeCounters {
        self.counters
    }

    fn order_gone(&self) -> Option<OrderGone> {
        self.given
    }

    fn knows_orders(&self) -> bool {
        self.sources.iter().all(|held| held.source.knows_orders())
    }
}

/// What a source holds: its symbols, and the finest steps of the prices and sizes in its first
/// `messages_max` messages.
pub fn survey(
    source: &mut dyn Source,
    messages_max: u64,
) -> Result<Vec<(String, Market)>, TapeError> {
    let mut symbols = Symbols { is_survey: true, ..Symbols::default() };
    let (mut markets, mut pending) = (Vec::new(), VecDeque::new());
    let mut counters = TapeCounters::default();
    let mut messages = 0;
    while messages < messages_max && source.advance()? {
        messages += 1;
        let mut sink = Sink {
            symbols: &mut symbols,
            markets: &mut markets,
            pending: &mut pending,
            counters: &mut counters,
            at: Nanos(source.received()),
            position: source.position().clone(),
        };
        source.take(&mut sink)?;
    }
    if messages == 0 {
        return Err(TapeError::Empty { file: source.position().file.to_path_buf() });
    }
    let named = symbols.places.into_iter();
    Ok(named.filter_map(|(name, place)| Some((name, markets[place?].clone()))).collect())
}
