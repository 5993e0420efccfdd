//! A recording in the venue's time: each event at the moment at which it happened, with the moment at
//! which the recorder received it beside it.
//!
//! Fed by a tape in receive order; feeds the backtest under `--latency recorded`, where the venue
//! matches at the one time and the maker sees at the other. One thread. Memory: what was received
//! within [`LATENCY_MAX_NS`].
//!
//! An instrument's events keep their order, so an event never happens before one that was received
//! before it. Where the venue says no time, or one that is more than [`LATENCY_MAX_NS`] old (an
//! order of a snapshot, the last trade of a bar), the instrument's last known latency stands for it;
//! where it says one after the event was received, the latency counts as 0. Both are counted.

use crate::recording::{OrderGone, Tape, TapeCounters, TapeError};
use ballast_engine::event::MarketEvent;
use ballast_engine::units::Nanos;
use std::collections::BTreeMap;

/// What is older on arrival was not just late.
pub const LATENCY_MAX_NS: u64 = 1_000_000_000;
/// So many events without one usable venue time, and the recording has none.
const UNKNOWN_MAX: u64 = 100_000;

/// A tape in the venue's time.
pub struct VenueTime<T> {
    tape: T,
    /// By the time at which it happened, then in order.
    waiting: BTreeMap<(Nanos, u64), Waiting>,
    instruments: Vec<Stream>,
    taken: u64,
    negative: u64,
    unknown: u64,
    given: Option<Waiting>,
}

#[derive(Clone, Copy)]
struct Waiting {
    event: MarketEvent,
    gone: Option<OrderGone>,
    received: Nanos,
}

/// What is known of one instrument's way.
#[derive(Clone, Copy, Default)]
struct Stream {
    happened: Nanos,
    latency_ns: u64,
}

impl<T: Tape> VenueTime<T> {
    /// Nothing read yet.
    pub fn new(tape: T) -> VenueTime<T> {
        VenueTime {
            tape,
            waiting: BTreeMap::new(),
            instruments: Vec::new(),
            taken: 0,
            negative: 0,
            unknown: 0,
            given: None,
        }
    }

    /// Reads on until nothing that is still to come can have happened before the first that waits.
    fn fill(&mut self) -> Result<(), TapeError> {
        loop {
            let first = self.waiting.first_key_value().map(|((at, _), _)| *at);
            let next = self.tape.peek_at()?;
            let Some(next) = next else { break };
            if first.is_some_and(|first| first.plus(LATENCY_MAX_NS) < next) {
                break;
            }
            let Some(event) = self.tape.next()? else { break };
            let waiting = Waiting { event, gone: self.tape.order_gone(), received: event.at };
            self.take(waiting);
            if self.unknown == self.taken && self.unknown >= UNKNOWN_MAX {
                return Err(TapeError::NoVenueTimes);
            }
        }
        if self.taken > 0 && self.unknown == self.taken && self.waiting.len() as u64 == self.taken {
            return Err(TapeError::NoVenueTimes);
        }
        Ok(())
    }

    fn take(&mut self, mut waiting: Waiting) {
        let place = usize::from(waiting.event.instrument.0);
        if self.instruments.len() <= place {
            self.instruments.resize(place + 1, Stream::default());
        }
        let stream = &mut self.instruments[place];
        let (received, said) = (waiting.received, waiting.event.venue_at);
        let known = (said > Nanos(0)).then(|| received.since(said));
        match known {
            Some(_) if said > received => {
                self.negative += 1;
                stream.latency_ns = 0;
            }
            Some(ns) if ns <= LATENCY_MAX_NS => stream.latency_ns = ns,
            Some(_) | None => self.unknown += 1,
        }
        let happened = Nanos(received.0.saturating_sub(stream.latency_ns));
        stream.happened = stream.happened.max(happened);
        waiting.event.at = stream.happened;
        // The places of displayed orders count in the same time.
        if let Some(gone) = &mut waiting.gone
            && gone.arrived_venue_at > Nanos(0)
        {
            gone.arrived_at = gone.arrived_venue_at;
        }
        self.waiting.insert((waiting.event.at, self.taken), waiting);
        self.taken += 1;
    }
}

impl<T: Tape> Tape for VenueTime<T> {
    fn next(&mut self) -> Result<Option<MarketEvent>, TapeError> {
        self.fill()?;
        self.given = self.waiting.pop_first().map(|(_, waiting)| waiting);
        Ok(self.given.map(|waiting| waiting.event))
    }

    fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError> {
        self.fill()?;
        Ok(self.waiting.first_key_value().map(|((at, _), _)| *at))
    }

    fn counters(&self) -> TapeCounters {
        TapeCounters {
            latency_negative: self.negative,
            latency_unknown: self.unknown,
            ..self.tape.counters()
        }
    }

    fn order_gone(&self) -> Option<OrderGone> {
        self.given.and_then(|waiting| waiting.gone)
    }

    fn received_at(&self) -> Option<Nanos> {
        self.given.map(|waiting| waiting.received)
    }

    fn knows_orders(&self) -> bool {
        self.tape.knows_orders()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ballast_engine::event::{InstrumentId, MarketUpdate};
    use ballast_engine::units::Stamp;
    use std::collections::VecDeque;

    struct Events(VecDeque<MarketEvent>);

    impl Tape for Events {
        fn next(&mut self) -> Result<Option<MarketEvent>, TapeError> {
            Ok(self.0.pop_front())
        }
        fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError> {
            Ok(self.0.front().map(|event| event.at))
        }
        fn counters(&self) -> TapeCounters {
            TapeCounters::default()
        }
    }

    const SECOND: u64 = 1_000_000_000;

    /// Received at, happened at, of which instrument.
    fn played(events: &[(u64, u64, u16)]) -> (Vec<(u64, u64, u16)>, TapeCounters) {
        let event = |&(at, venue_at, instrument): &(u64, u64, u16)| MarketEvent {
            at: Nanos(at),
            venue_at: Nanos(venue_at),
            stamp: Stamp(0),
            update: MarketUpdate::Gap,
            instrument: InstrumentId(instrument),
            last_in_message: true,
        };
        let mut tape = VenueTime::new(Events(events.iter().map(event).collect()));
        let mut out = Vec::new();
        while let Some(event) = tape.next().unwrap() {
            out.push((event.at.0, tape.received_at().unwrap().0, event.instrument.0));
        }
        (out, tape.counters())
    }

    #[test]
    fn events_come_when_they_happened_and_say_when_they_were_received() {
        let base = 100 * SECOND;
        let (events, counters) = played(&[
            (base + 50, base + 10, 0),
            (base + 60, base + 5, 1),
            (base + 2 * SECOND, base + 2 * SECOND - 7, 0),
        ]);
        let expected = [
            (base + 5, base + 60, 1),
            (base + 10, base + 50, 0),
            (base + 2 * SECOND - 7, base + 2 * SECOND, 0),
        ];
        assert_eq!(events, expected);
        assert_eq!((counters.latency_negative, counters.latency_unknown), (0, 0));
    }

    #[test]
    fn one_instrument_stays_in_order_and_unknown_times_take_the_last_latency() {
        let base = 100 * SECOND;
        let (events, counters) = played(&[
            (base + 50, base + 40, 0),
            (base + 60, base + 20, 0),
            (base + 90, 0, 0),
            (base + 95, 7, 0),
            (base + 99, base + 120, 0),
        ]);
        let at: Vec<u64> = events.iter().map(|(at, _, _)| at - base).collect();
        assert_eq!(at, [40, 40, 50, 55, 99]);
        assert_eq!((counters.latency_negative, counters.latency_unknown), (1, 2));
    }

    #[test]
    fn a_recording_without_venue_times_is_refused() {
        let event = MarketEvent {
            at: Nanos(5),
            venue_at: Nanos(0),
            stamp: Stamp(0),
            update: MarketUpdate::Gap,
            instrument: InstrumentId(0),
            last_in_message: true,
        };
        let mut tape = VenueTime::new(Events([event; 3].into()));
        assert!(matches!(tape.next(), Err(TapeError::NoVenueTimes)));
    }
}
