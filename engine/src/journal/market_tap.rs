//! The market events of a journal, for whoever fits to them on a thread of its own.
//!
//! Fed by the recorder with every record; feeds a ring that drops: one without room takes its instrument
//! out until a new image of its book begins, for half a book is worse than none. The recorder's thread.

use super::record::Record;
use super::recorder::Watch;
use crate::event::{InstrumentId, MarketEvent, MarketUpdate};
use crate::ring::RecordProducer;

/// Hands every market event into `ring`.
pub fn market_tap(ring: RecordProducer<MarketEvent>) -> Watch {
    let mut tap = MarketTap { ring, lost: Vec::new() };
    Box::new(move |record| {
        if let Record::Market { event, .. } = record {
            tap.hand(*event);
        }
    })
}

struct MarketTap {
    ring: RecordProducer<MarketEvent>,
    /// Instruments of which an event found no room: nothing of them until a new image begins.
    lost: Vec<InstrumentId>,
}

impl MarketTap {
    fn hand(&mut self, event: MarketEvent) {
        if event.update == MarketUpdate::Reset {
            self.lost.retain(|lost| *lost != event.instrument);
        }
        if !self.lost.contains(&event.instrument) && self.ring.push(event).is_err() {
            self.lost.push(event.instrument);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring;
    use crate::units::{Nanos, Stamp};

    fn event(instrument: u16, update: MarketUpdate) -> MarketEvent {
        MarketEvent {
            at: Nanos(1),
            venue_at: Nanos(0),
            stamp: Stamp(0),
            update,
            instrument: InstrumentId(instrument),
            last_in_message: true,
        }
    }

    #[test]
    fn an_instrument_that_found_no_room_comes_back_with_a_whole_image() {
        let (ring, mut out) = ring::records(2);
        let mut tap = MarketTap { ring, lost: Vec::new() };
        for update in [MarketUpdate::Reset, MarketUpdate::Gap, MarketUpdate::Gap] {
            tap.hand(event(7, update));
        }
        let mut taken = || std::iter::from_fn(|| out.pop()).count();
        assert_eq!(taken(), 2);
        tap.hand(event(7, MarketUpdate::Gap));
        tap.hand(event(8, MarketUpdate::Gap));
        assert_eq!(taken(), 1, "the other one's alone");
        tap.hand(event(7, MarketUpdate::Reset));
        tap.hand(event(7, MarketUpdate::Gap));
        assert_eq!(taken(), 2);
    }
}
