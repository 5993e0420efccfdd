//! The maker's stage under load: turns with one market event each, among any number of sessions' rings.
//!
//! Fed by `scale`, which calls it `rings`: no socket is behind them. The stage is the live one with
//! journal, telemetry and latency marks; a venue that takes every order at once answers between the timed
//! turns.

use crate::histogram::Latencies;
use crate::rig::{BATCH, HALF_SPREAD, TICK_NS, endless, middle};
use crate::session::Session;
use ballast::config::ConfigFile;
use ballast::live::{Ends, wire_maker};
use ballast_engine::clock::Counter;
use ballast_engine::event::{
    ClOrdId, InstrumentId, MarketEvent, MarketUpdate, OrderAction, OrderEvent, OrderIntent,
    OrderUpdate, VenueId,
};
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::stage::{MakerStage, TimeBase};
use ballast_engine::stage::Stage;
use ballast_engine::units::{Lots, Nanos, Side, Ticks};

const START: Nanos = Nanos(1_723_161_600_000_000_000);

/// The stage and the other ends of its rings.
pub struct StageRig {
    counter: Counter,
    config: MakerConfig,
    stage: MakerStage,
    ends: Ends,
    now: Nanos,
    ticks: u64,
}

impl StageRig {
    /// All sessions up, and a book for every instrument.
    pub fn new(session: &Session, file: &ConfigFile) -> Result<StageRig, String> {
        let config = endless(file)?;
        let (stage, ends) = wire_maker(&config, TimeBase::Events, 0, session.counter)
            .map_err(|faults| format!("{faults:?}"))?;
        let mut rig =
            StageRig { counter: session.counter, config, stage, ends, now: START, ticks: 0 };
        for venue in 0..rig.ends.orders.len() {
            let venue = VenueId(u8::try_from(venue).unwrap_or(u8::MAX));
            rig.tell(rig.order_event(venue, OrderUpdate::SessionUp))?;
        }
        for place in 0..rig.config.instruments.len() {
            rig.now = rig.now.plus(1_000_000_000);
            let middle = middle(&rig.config.instruments[place])?;
            let level = |side: Side| MarketUpdate::Level {
                side,
                price: Ticks(middle.0 - side.sign() * HALF_SPREAD),
                size: Lots(50_000),
            };
            for (update, is_last) in
                [(MarketUpdate::Reset, false), (level(Side::Buy), false), (level(Side::Sell), true)]
            {
                rig.show(place, update, is_last)?;
                rig.stage.turn(rig.now);
            }
            rig.answer()?;
        }
        Ok(rig)
    }

    fn order_event(&self, venue: VenueId, update: OrderUpdate) -> OrderEvent {
        OrderEvent {
            at: self.now,
            venue_at: self.now,
            stamp: ballast_engine::units::Stamp(0),
            msg_seq_num: 0,
            cl_ord_id: ClOrdId::NONE,
            orig_cl_ord_id: ClOrdId::NONE,
            update,
            instrument: InstrumentId(0),
            venue,
        }
    }

    /// An order event, and the turn that consumes it.
    fn tell(&mut self, event: OrderEvent) -> Result<(), String> {
        let ring = self.ends.orders.get_mut(usize::from(event.venue.0));
        if ring.is_none_or(|ring| ring.push(event).is_err()) {
            return Err("an order event found no room".to_owned());
        }
        self.stage.turn(self.now);
        Ok(())
    }

    fn show(&mut self, place: usize, update: MarketUpdate, is_last: bool) -> Result<(), String> {
        let instrument = &self.config.instruments[place];
        let event = MarketEvent {
            at: self.now,
            venue_at: self.now,
            stamp: self.counter.stamp(),
            update,
            instrument: instrument.id(),
            last_in_message: is_last,
        };
        let venue = usize::from(instrument.spec().venue.0);
        let is_taken = self.ends.market.get_mut(venue).is_some_and(|ring| ring.push(event).is_ok());
        if is_taken { Ok(()) } else { Err("a market event found no room".to_owned()) }
    }

    /// Empties every ring behind the stage and takes every order; how many orders there were.
    fn answer(&mut self) -> Result<usize, String> {
        let mut taken = 0;
        loop {
            while self.ends.journal.pop().is_some() {}
            while self.ends.telemetry.pop().is_some() {}
            while self.ends.samples.pop().is_some() {}
            let rings = (0u8..).zip(&mut self.ends.intents);
            let next = rings.into_iter().find_map(|(venue, ring)| Some((venue, ring.pop()?)));
            let Some((venue, intent)) = next else { return Ok(taken) };
            taken += 1;
            let mut event = self.order_event(VenueId(venue), accepted(&intent));
            event.cl_ord_id = intent.cl_ord_id;
            event.orig_cl_ord_id = intent.orig_cl_ord_id;
            event.instrument = intent.instrument;
            self.tell(event)?;
        }
    }

    /// A tenth of `ticks` to warm up, then `ticks` timed turns: the median of their batches, in ns.
    pub fn run(&mut self, ticks: u64) -> Result<f64, String> {
        let mut batches = Latencies::new();
        let mut sum = 0;
        for number in 0..ticks + ticks / 10 {
            self.now = self.now.plus(TICK_NS);
            self.ticks += 1;
            // The timer that is due goes first, in a turn of its own.
            let middle = middle(&self.config.instruments[0])?;
            self.show(
                0,
                MarketUpdate::Trade { aggressor: Side::Buy, price: middle, size: Lots(1) },
                true,
            )?;
            self.stage.turn(self.now);
            self.answer()?;
            let size = Lots(if self.ticks.is_multiple_of(2) { 40_000 } else { 0 });
            self.show(0, MarketUpdate::Level { side: Side::Buy, price: middle, size }, true)?;
            let from = self.counter.stamp();
            self.stage.turn(self.now);
            let steps = self.counter.stamp().0.saturating_sub(from.0);
            let orders = self.answer()?;
            if self.ticks > 1 && orders != 2 {
                return Err(format!("a turn led to {orders} orders where 2 were to be timed"));
            }
            if number >= ticks / 10 {
                sum += steps;
                if (number + 1 - ticks / 10).is_multiple_of(BATCH) {
                    batches.record_batch(self.counter.nanos_of_steps(sum), BATCH);
                    sum = 0;
                }
            }
        }
        Ok(batches.at(0.5))
    }
}

fn accepted(intent: &OrderIntent) -> OrderUpdate {
    match intent.action {
        OrderAction::New => OrderUpdate::New { leaves_qty: intent.size },
        OrderAction::Replace => {
            OrderUpdate::Replaced { price: intent.price, leaves_qty: intent.size }
        }
        OrderAction::Cancel => OrderUpdate::Canceled { cum_qty: Lots(0) },
    }
}
