//! Market events on their way from the venue to the maker, in the order in which they arrive.
//!
//! Fed by the backtest with what the venue shows; feeds the maker's ring with one message at a time, as
//! one slice. One thread. Deliberately absent: how long the way is (`venue/latency.rs`).

use ballast_engine::event::MarketEvent;
use ballast_engine::units::Nanos;

/// So many events that have arrived, and those behind them move to the front.
const ARRIVED_MAX: usize = 1 << 12;

/// By arrival; what arrives at the same moment as it was sent.
#[derive(Default)]
pub(super) struct InFlight {
    /// Those before `first` have arrived; there are none where all have.
    events: Vec<MarketEvent>,
    first: usize,
}

impl InFlight {
    /// When the next one arrives; the end of time where none is on its way.
    #[inline]
    pub fn next_at(&self) -> Nanos {
        self.events.get(self.first).map_or(Nanos(u64::MAX), |event| event.at)
    }

    /// An event that arrives at its time sets out. Under recorded latencies one instrument's stream may be
    /// faster than another's.
    #[inline]
    pub fn send(&mut self, event: MarketEvent) {
        if self.events.last().is_none_or(|last| last.at <= event.at) {
            self.events.push(event);
        } else {
            let ahead = self.waiting().partition_point(|other| other.at <= event.at);
            self.events.insert(self.first + ahead, event);
        }
    }

    fn waiting(&self) -> &[MarketEvent] {
        self.events.get(self.first..).unwrap_or_default()
    }

    /// The next so many.
    pub fn first(&self, count: usize) -> &[MarketEvent] {
        self.waiting().get(..count).unwrap_or_default()
    }

    /// What arrives together of the next message, at most so many events of it.
    pub fn message(&self, events_max: usize) -> &[MarketEvent] {
        let waiting = self.waiting();
        let Some(MarketEvent { at, instrument, .. }) = waiting.first() else { return &[] };
        let mut count = 0;
        for event in waiting.iter().take(events_max) {
            if event.at != *at || event.instrument != *instrument {
                break;
            }
            count += 1;
            if event.last_in_message {
                break;
            }
        }
        self.first(count)
    }

    /// The next so many have arrived.
    pub fn take(&mut self, count: usize) {
        self.first += count;
        if self.first >= self.events.len() {
            self.events.clear();
            self.first = 0;
        } else if self.first >= ARRIVED_MAX && self.first >= self.events.len() / 2 {
            self.events.drain(..self.first);
            self.first = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ballast_engine::event::{InstrumentId, MarketUpdate};
    use ballast_engine::units::Stamp;

    fn event(at: u64, instrument: u16, last_in_message: bool) -> MarketEvent {
        MarketEvent {
            at: Nanos(at),
            venue_at: Nanos(0),
            stamp: Stamp(0),
            update: MarketUpdate::Reset,
            instrument: InstrumentId(instrument),
            last_in_message,
        }
    }

    /// Takes the next message: its time, its instrument, how many events.
    fn next(events: &mut InFlight, events_max: usize) -> Option<(u64, u16, usize)> {
        let message = events.message(events_max);
        let (first, count) = (*message.first()?, message.len());
        assert_eq!(events.next_at(), first.at);
        events.take(count);
        Some((first.at.0, first.instrument.0, count))
    }

    #[test]
    fn a_message_ends_with_its_last_event_another_instrument_another_moment_or_the_bound() {
        let mut events = InFlight::default();
        for (at, instrument, is_last) in [(5, 0, false), (5, 0, true), (5, 0, false), (5, 1, false)]
        {
            events.send(event(at, instrument, is_last));
        }
        (6..9).for_each(|_| events.send(event(6, 1, false)));
        assert_eq!(next(&mut events, 9), Some((5, 0, 2)));
        assert_eq!(next(&mut events, 9), Some((5, 0, 1)));
        assert_eq!(next(&mut events, 9), Some((5, 1, 1)));
        assert_eq!(next(&mut events, 2), Some((6, 1, 2)));
        assert_eq!(next(&mut events, 2), Some((6, 1, 1)));
        assert_eq!((next(&mut events, 2), events.next_at()), (None, Nanos(u64::MAX)));
    }

    #[test]
    fn a_faster_stream_arrives_first_and_one_of_the_same_moment_as_it_was_sent() {
        let mut events = InFlight::default();
        for (at, instrument) in [(7, 0), (9, 1), (5, 2), (7, 3)] {
            events.send(event(at, instrument, true));
        }
        let order: Vec<_> = std::iter::from_fn(|| next(&mut events, 9)).map(|m| m.1).collect();
        assert_eq!(order, [2, 0, 3, 1]);
    }

    #[test]
    fn what_has_arrived_is_given_up_and_what_is_on_its_way_is_not() {
        let mut events = InFlight::default();
        let mut taken = 0;
        for at in 0..5 * ARRIVED_MAX as u64 {
            events.send(event(at, 0, true));
            if at >= 100 {
                assert_eq!(next(&mut events, 9), Some((taken, 0, 1)));
                taken += 1;
            }
            assert!(events.events.len() <= 2 * ARRIVED_MAX);
        }
        assert_eq!(std::iter::from_fn(|| next(&mut events, 9)).count(), 100);
    }
}
