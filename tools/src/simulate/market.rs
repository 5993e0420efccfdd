//! The tape of a simulation: the synthetic market at a slower pace, with a market's own faults.
//!
//! Fed by a [`Tape`] and the market's part of the plan; feeds the venue, so that venue and maker see
//! the same faults. Shares the time of its next event with the loop. One thread.

use super::faults::{Episode, Fault};
use crate::recording::{Tape, TapeCounters, TapeError};
use ballast_engine::event::{InstrumentId, MarketEvent, MarketUpdate};
use ballast_engine::units::{Lots, Nanos, Side, Ticks};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How long a spike stands: one message, then the truth again.
const SPIKE_NS: u64 = 2_000_000;
/// A spike goes this share of the price away: one percent.
const SPIKE_SHARE: i64 = 100;
/// Displayed where the fault makes a level.
const FAULT_SIZE: Lots = Lots(1_000);

/// When the tape's next event is due, for whoever moves time.
#[derive(Clone, Debug, Default)]
pub struct NextDue(Arc<AtomicU64>);

impl NextDue {
    /// The time; `None` at the tape's end or before it was asked.
    pub fn get(&self) -> Option<Nanos> {
        let at = self.0.load(Ordering::Relaxed);
        (at != 0).then_some(Nanos(at))
    }
}

/// A tape that is slowed down and disturbed.
pub struct FaultyTape<T> {
    tape: T,
    start: Nanos,
    stretch: u64,
    plan: VecDeque<Episode>,
    books: Vec<[BTreeMap<Ticks, Lots>; 2]>,
    queue: VecDeque<MarketEvent>,
    /// Nothing comes before this: the latest event's time, or a fault's end.
    held_until: Nanos,
    is_whole: bool,
    next_due: NextDue,
    injected: u64,
}

impl<T: Tape> FaultyTape<T> {
    /// `stretch` times slower than `tape`, which begins at `start`.
    pub fn new(
        tape: T,
        start: Nanos,
        stretch: u64,
        instruments: usize,
        plan: Vec<Episode>,
    ) -> FaultyTape<T> {
        FaultyTape {
            tape,
            start,
            stretch,
            plan: plan.into(),
            books: vec![Default::default(); instruments],
            queue: VecDeque::new(),
            held_until: start,
            is_whole: false,
            next_due: NextDue::default(),
            injected: 0,
        }
    }

    /// The time of the next event, shared.
    pub fn next_due(&self) -> NextDue {
        self.next_due.clone()
    }

    fn fill(&mut self) -> Result<(), TapeError> {
        if self.queue.is_empty() {
            let due = self.tape.peek_at()?.map(|at| self.slowed(at));
            let episode = self.plan.front().copied();
            if let (Some(due), Some(episode)) = (due, episode)
                && self.is_whole
                && episode.from <= due
            {
                self.plan.pop_front();
                self.inject(episode);
            }
            if self.queue.is_empty()
                && let Some(event) = self.tape.next()?
            {
                let at = self.slowed(event.at);
                self.held_until = at;
                self.keep(&event);
                self.is_whole = event.last_in_message;
                self.queue.push_back(MarketEvent { at, venue_at: at, ..event });
            }
        }
        let at = self.queue.front().map_or(0, |event| event.at.0);
        self.next_due.0.store(at, Ordering::Relaxed);
        Ok(())
    }

    fn slowed(&self, at: Nanos) -> Nanos {
        self.start.plus(at.since(self.start).saturating_mul(self.stretch)).max(self.held_until)
    }

    fn keep(&mut self, event: &MarketEvent) {
        let Some(book) = self.books.get_mut(usize::from(event.instrument.0)) else { return };
        match event.update {
            MarketUpdate::Level { side, price, size } => {
                if size.0 > 0 {
                    book[side.index()].insert(price, size);
                } else {
                    book[side.index()].remove(&price);
                }
            }
            MarketUpdate::Trade { .. } => {}
            MarketUpdate::Reset | MarketUpdate::Gap => book.iter_mut().for_each(BTreeMap::clear),
        }
    }

    fn inject(&mut self, episode: Episode) {
        let place = (episode.dice % self.books.len() as u64) as usize;
        let instrument = InstrumentId(u16::try_from(place).unwrap_or(0));
        let at = episode.from.max(self.held_until);
        let back_at = at.plus(episode.until.since(episode.from).max(SPIKE_NS));
        let [bids, asks] = self.books[place].clone();
        let (Some((&bid, _)), Some((&ask, _))) = (bids.last_key_value(), asks.first_key_value())
        else {
            return;
        };
        self.held_until = back_at;
        self.injected += 1;
        let level = |side, price, size| MarketUpdate::Level { side, price, size };
        let all = |side, book: &BTreeMap<Ticks, Lots>| {
            book.iter().map(|(price, size)| level(side, *price, *size)).collect::<Vec<_>>()
        };
        let (first, last): (Vec<_>, Vec<_>) = match episode.fault {
            Fault::CrossedMarket => {
                let above = Ticks(ask.0 + (ask.0 - bid.0).max(1));
                let (made, gone) = (FAULT_SIZE, Lots(0));
                (vec![level(Side::Buy, above, made)], vec![level(Side::Buy, above, gone)])
            }
            Fault::GappedMarket => {
                let book =
                    [vec![MarketUpdate::Reset], all(Side::Buy, &bids), all(Side::Sell, &asks)];
                (vec![MarketUpdate::Reset], book.concat())
            }
            Fault::Spike => {
                let bid_there = Ticks(bid.0 + bid.0 / SPIKE_SHARE);
                let ask_there = Ticks(ask.0 + ask.0 / SPIKE_SHARE);
                let mut there: Vec<_> =
                    asks.keys().map(|price| level(Side::Sell, *price, Lots(0))).collect();
                there.push(level(Side::Buy, bid_there, FAULT_SIZE));
                there.push(level(Side::Sell, ask_there, FAULT_SIZE));
                let mut back = vec![
                    level(Side::Buy, bid_there, Lots(0)),
                    level(Side::Sell, ask_there, Lots(0)),
                ];
                back.extend(all(Side::Sell, &asks));
                (there, back)
            }
            // The silence itself is all there is to a stale market.
            _ => (Vec::new(), Vec::new()),
        };
        self.push(at, instrument, &first);
        self.push(back_at, instrument, &last);
    }

    fn push(&mut self, at: Nanos, instrument: InstrumentId, updates: &[MarketUpdate]) {
        for (n, update) in updates.iter().enumerate() {
            self.queue.push_back(MarketEvent {
                at,
                venue_at: at,
                stamp: Default::default(),
                update: *update,
                instrument,
                last_in_message: n + 1 == updates.len(),
            });
        }
    }
}

impl<T: Tape> Tape for FaultyTape<T> {
    fn next(&mut self) -> Result<Option<MarketEvent>, TapeError> {
        self.fill()?;
        let event = self.queue.pop_front();
        self.fill()?;
        Ok(event)
    }

    fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError> {
        self.fill()?;
        Ok(self.queue.front().map(|event| event.at))
    }

    fn counters(&self) -> TapeCounters {
        self.tape.counters()
    }
}
