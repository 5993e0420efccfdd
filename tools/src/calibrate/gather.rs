//! What a recording says about one instrument: its touches, its aggressive orders, mids on a clock.
//!
//! Fed by a [`Tape`]; feeds the estimates. Main thread. Memory grows with the recording: some sixty
//! bytes a change of the touch. Deliberately absent: estimates, and other instruments.

use crate::recording::{Tape, TapeCounters, TapeError};
use ballast_engine::calibration::order_flow::Flow;
use ballast_engine::calibration::realised::Samples;
use ballast_engine::event::{InstrumentId, MarketEvent, MarketUpdate};
use ballast_engine::market::book::{Book, Touch};
use ballast_engine::units::{Nanos, Side, Ticks};

/// Levels a side that are kept: the touch needs the levels behind it when it is taken away.
const BOOK_LEVELS_MAX: usize = 4096;

/// Consecutive prints of one aggressor at one moment of the venue: one order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Aggressive {
    /// When its first print reached us.
    pub at: Nanos,
    /// The venue's time; 0 where it does not say.
    pub venue_at: Nanos,
    /// Who took.
    pub side: Side,
    /// The print furthest from where it began.
    pub furthest: Ticks,
    /// All of its prints.
    pub lots: i64,
    /// How many.
    pub prints: u32,
}

/// Everything that the estimates need.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// Every change of the touch, in order. `None` from where it was lost.
    pub touches: Vec<(Nanos, Option<Touch>)>,
    /// Aggressive orders, in order.
    pub orders: Vec<Aggressive>,
    /// Prints in all.
    pub prints: u64,
    /// What was read and left out.
    pub tape: TapeCounters,
}

impl Gathered {
    /// Plays a tape to its end. `each` is called for every event, for a progress bar.
    ///
    /// # Errors
    /// Those of the tape.
    pub fn play(
        tape: &mut impl Tape,
        instrument: InstrumentId,
        each: &dyn Fn(),
    ) -> Result<Gathered, TapeError> {
        let mut gathered = Gathered::default();
        let mut book = Book::new(BOOK_LEVELS_MAX);
        while let Some(event) = tape.next()? {
            each();
            if event.instrument == instrument {
                gathered.take(&mut book, &event);
            }
        }
        gathered.tape = tape.counters();
        Ok(gathered)
    }

    /// One event of the instrument, with a book that only this is given.
    pub fn take(&mut self, book: &mut Book, event: &MarketEvent) {
        match event.update {
            MarketUpdate::Level { side, price, size } => book.set(side, price, size),
            MarketUpdate::Trade { aggressor, price, size } => {
                self.print(event, aggressor, price, size.0);
            }
            MarketUpdate::Reset | MarketUpdate::Gap => book.reset(),
        }
        if !event.last_in_message && event.update != MarketUpdate::Gap {
            return;
        }
        let touch = book.touch().filter(|touch| touch.spread().0 > 0);
        // Before the first touch there is no clock: a gap told before any market may carry no time.
        if touch.is_none() && self.touches.is_empty() {
            return;
        }
        if self.touches.last().is_none_or(|(_, before)| *before != touch) {
            self.touches.push((event.at, touch));
        }
    }

    fn print(&mut self, event: &MarketEvent, side: Side, price: Ticks, lots: i64) {
        self.prints += 1;
        let is_same = |order: &Aggressive| {
            let is_now = match event.venue_at {
                Nanos(0) => order.at == event.at,
                venue_at => order.venue_at == venue_at,
            };
            order.side == side && is_now
        };
        if let Some(order) = self.orders.last_mut().filter(|order| is_same(order)) {
            order.furthest = match side {
                Side::Buy => order.furthest.max(price),
                Side::Sell => order.furthest.min(price),
            };
            order.lots = order.lots.saturating_add(lots);
            order.prints += 1;
            return;
        }
        let (at, venue_at) = (event.at, event.venue_at);
        self.orders.push(Aggressive { at, venue_at, side, furthest: price, lots, prints: 1 });
    }

    /// Lets go of what came before a moment, but for the touch that stood then.
    pub fn forget_before(&mut self, start: Nanos) {
        let touches = self.touches.partition_point(|(at, _)| *at < start).saturating_sub(1);
        self.touches.drain(..touches);
        // What stood at the start stands from there on: the clock begins with the window.
        if let Some((at, _)) = self.touches.first_mut() {
            *at = start.max(*at);
        }
        let orders = self.orders.partition_point(|order| order.at < start);
        self.orders.drain(..orders);
    }

    /// What came before a moment.
    pub fn before(&self, end: Nanos) -> Gathered {
        let touches = self.touches.partition_point(|(at, _)| *at < end);
        let orders = self.orders.partition_point(|order| order.at < end);
        Gathered {
            touches: self.touches[..touches].to_vec(),
            orders: self.orders[..orders].to_vec(),
            ..*self
        }
    }

    /// First and last change of the touch.
    pub fn span(&self) -> Option<(Nanos, Nanos)> {
        Some((self.touches.first()?.0, self.touches.last()?.0))
    }

    /// The touch as it stood before `at`.
    pub fn touch_before(&self, at: Nanos) -> Option<Touch> {
        let place = self.touches.partition_point(|(then, _)| *then < at);
        self.touches.get(place.checked_sub(1)?)?.1
    }

    /// How far each order between two moments went, in ticks from the mid `lead_ns` before it.
    /// Orders without a believable mid are left out.
    pub fn depths(&self, from: Nanos, to: Nanos, lead_ns: u64) -> Vec<f64> {
        let inside = self.orders.iter().filter(|order| from <= order.at && order.at < to);
        inside
            .filter_map(|order| {
                let touch = self.touch_before(Nanos(order.at.0.saturating_sub(lead_ns)))?;
                let away = order.furthest.0 * 2 - touch.mid_half_ticks();
                Some(0.5 * (away * order.side.sign()) as f64)
            })
            .collect()
    }

    /// Mids every `interval_ns` from the first touch on, in ticks.
    pub fn samples(&self, interval_ns: u64) -> Samples {
        let interval_ns = interval_ns.max(1);
        let mut mids = Vec::new();
        if let Some((from, to)) = self.span() {
            let (mut next, mut now, mut touch) = (0, from, None);
            while now <= to {
                while let Some((at, changed)) = self.touches.get(next).filter(|t| t.0 <= now) {
                    debug_assert!(*at <= now, "touches are in order");
                    touch = *changed;
                    next += 1;
                }
                mids.push(touch.map(|touch: Touch| touch.mid_half_ticks() as f64 * 0.5));
                now = now.plus(interval_ns);
            }
        }
        Samples::new(mids, interval_ns as f64 * 1e-9)
    }

    /// Aggressive orders on the clock of [`Gathered::samples`].
    pub fn flow(&self) -> Vec<Flow> {
        let from = self.span().map_or(Nanos(0), |span| span.0);
        let inside = self.orders.iter().filter(|order| order.at >= from);
        inside
            .map(|order| Flow {
                at_s: order.at.since(from) as f64 * 1e-9,
                signed: (order.lots * order.side.sign()) as f64,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ballast_engine::units::{Lots, Stamp};

    const MS: u64 = 1_000_000;

    struct Script(std::vec::IntoIter<MarketEvent>);

    impl Tape for Script {
        fn next(&mut self) -> Result<Option<MarketEvent>, TapeError> {
            Ok(self.0.next())
        }

        fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError> {
            Ok(self.0.as_slice().first().map(|event| event.at))
        }

        fn counters(&self) -> TapeCounters {
            TapeCounters::default()
        }
    }

    fn event(at_ms: u64, update: MarketUpdate) -> MarketEvent {
        let at = Nanos(at_ms * MS);
        let instrument = InstrumentId(0);
        MarketEvent { at, venue_at: at, stamp: Stamp(0), update, instrument, last_in_message: true }
    }

    fn level(at_ms: u64, side: Side, price: i64) -> MarketEvent {
        event(at_ms, MarketUpdate::Level { side, price: Ticks(price), size: Lots(5) })
    }

    fn trade(at_ms: u64, aggressor: Side, price: i64) -> MarketEvent {
        event(at_ms, MarketUpdate::Trade { aggressor, price: Ticks(price), size: Lots(2) })
    }

    fn gathered() -> Gathered {
        let script = vec![
            level(1, Side::Buy, 100),
            level(1, Side::Sell, 102),
            trade(5, Side::Buy, 102),
            trade(5, Side::Buy, 107),
            trade(5, Side::Sell, 99),
            trade(9, Side::Sell, 98),
            event(10, MarketUpdate::Gap),
            trade(20, Side::Buy, 130),
        ];
        let mut tape = Script(script.into_iter());
        Gathered::play(&mut tape, InstrumentId(0), &|| {}).unwrap()
    }

    #[test]
    fn prints_of_one_aggressor_at_one_moment_are_one_order() {
        let found = gathered();
        let orders: Vec<_> =
            found.orders.iter().map(|o| (o.furthest.0, o.prints, o.lots)).collect();
        assert_eq!(orders, [(107, 2, 4), (99, 1, 2), (98, 1, 2), (130, 1, 2)]);
        assert_eq!(found.prints, 5);
    }

    #[test]
    fn depth_is_counted_from_the_mid_before_and_not_across_a_gap() {
        let found = gathered();
        let all = found.depths(Nanos(0), Nanos(u64::MAX), 0);
        assert_eq!(all, [6.0, 2.0, 3.0], "the order after the gap has no mid");
        assert_eq!(found.depths(Nanos(0), Nanos(6 * MS), 4 * MS), [] as [f64; 0]);
    }

    #[test]
    fn samples_stand_on_the_clock_and_are_unknown_in_a_gap() {
        // Ticks of the clock at 1, 6 and 11 ms would need a touch after the last; the gap is at 10.
        let samples = gathered().samples(5 * MS);
        assert_eq!((samples.len(), samples.known()), (2, 1 + 1));
        assert_eq!(gathered().samples(3 * MS).known(), 3);
    }
}
