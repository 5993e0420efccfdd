//! A maker under load in one thread: a config, a market for every instrument, and a venue that takes
//! every order at once.
//!
//! Fed by `engine`, `tick_to_order` and `scale`, which time its steps; what the venue says between two
//! timed steps is not timed. The maker is the live one: estimate, model, ladder, diff, gate, table.

use crate::histogram::Latencies;
use crate::session::Session;
use ballast::config::ConfigFile;
use ballast_engine::clock::Counter;
use ballast_engine::event::{
    InstrumentId, MarketEvent, MarketUpdate, OrderAction, OrderEvent, OrderIntent, OrderUpdate,
    VenueId,
};
use ballast_engine::instrument::Instrument;
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::input::Input;
use ballast_engine::maker::intents::Intents;
use ballast_engine::units::{Decimal, Lots, Nanos, Side, Stamp, Ticks};
use ballast_gateway::fix::timestamp::{Precision, TimestampText};
use ballast_gateway::order_entry::requests::Requests;
use ballast_gateway::session::{Envelope, Role, SessionConfig};
use ballast_gateway::venue::plain::RULES;
use ballast_gateway::venue::symbols::Symbols;
use std::hint::black_box;

/// Between two ticks, in the maker's time: two replaces a tick stay within the demo's message rate.
pub const TICK_NS: u64 = 20_000_000;
/// The timer fires, and what does not tick is refreshed, every so many ticks.
const TICKS_A_TIMER: u64 = 128;
/// Steps timed as one value where single ones are near the counter's own step.
pub const BATCH: u64 = 64;
/// Half of the spread in ticks, and how far the best bid jumps to and fro inside it.
pub const HALF_SPREAD: i64 = 20;
/// Levels a side that every book starts with.
const DEPTH: i64 = 10;
const START: Nanos = Nanos(1_723_161_600_000_000_000);
const PRICE: Decimal = Decimal { mantissa: 60_000, scale: 0 };

/// The demo's config without fees, with one level a side that follows every change.
pub fn one_level() -> Result<ConfigFile, String> {
    let demo = ConfigFile::demo().map_err(|fault| fault.to_string())?;
    let text = demo
        .text
        .replace("levels = 2", "levels = 1")
        .replace("tolerance_aggressive = \"0.20\"", "tolerance_aggressive = \"0\"")
        .replace("tolerance_passive = \"0.50\"", "tolerance_passive = \"0\"")
        .replace("maker_fee_bps = \"10\"", "maker_fee_bps = \"0\"");
    ConfigFile::parse("the bench's config", text).map_err(|fault| fault.to_string())
}

/// What `file` configures, for a day without an end: nothing trades in a rig, and the messages that a day
/// allows without a trade would be used up in the third run. They are counted and checked all the same.
pub fn endless(file: &ConfigFile) -> Result<MakerConfig, String> {
    let mut config = file.maker(1).map_err(|fault| fault.to_string())?;
    for limit in &mut config.order_to_trade {
        limit.grace = u32::MAX;
    }
    Ok(config)
}

/// The maker, its venue, and the messages that its intents become.
pub struct Rig {
    counter: Counter,
    config: MakerConfig,
    maker: Maker,
    out: Intents,
    requests: Requests,
    symbols: Symbols,
    sending_time: TimestampText,
    msg_seq_num: u64,
    now: Nanos,
    ticks: u64,
    pending: Vec<OrderIntent>,
    orders_a_tick: usize,
}

/// Counter steps of one tick's two parts.
#[derive(Clone, Copy)]
pub struct TickSteps {
    /// In `Maker::step`.
    pub decide: u64,
    /// From there to the bytes of the order messages.
    pub encode: u64,
}

/// What a run of ticks took: whole, deciding, encoding.
pub struct TickRun {
    /// Single ticks, from the decoded update to the last byte.
    pub singles: Latencies,
    /// Means of [`BATCH`] ticks: whole, decide, encode.
    pub batches: [Latencies; 3],
}

impl Rig {
    /// A maker that quotes what the config quotes, every order working; instrument 0 on `levels` a side.
    pub fn new(session: &Session, file: &ConfigFile, levels: usize) -> Result<Rig, String> {
        let config = endless(file)?;
        let maker = Maker::new(&config).map_err(|faults| format!("{faults:?}"))?;
        let intents_max = Maker::intents_max(&config);
        let symbols =
            Symbols::new(VenueId(0), &config.instruments).map_err(|error| error.to_string())?;
        let dialled = SessionConfig::new(Role::Initiator, "BALLAST", "VENUE");
        let requests = Requests::new(&dialled, &symbols, &RULES, None);
        let mut rig = Rig {
            counter: session.counter,
            maker,
            out: Intents::new(intents_max, intents_max.max(256)),
            requests: requests.map_err(|error| error.to_string())?,
            symbols,
            sending_time: TimestampText::new(Precision::Millis),
            msg_seq_num: 1,
            now: START,
            ticks: 0,
            pending: Vec::with_capacity(intents_max),
            orders_a_tick: 2 * levels,
            config,
        };
        rig.open()?;
        Ok(rig)
    }

    /// Sessions up, a book for every instrument, and every first order acknowledged.
    fn open(&mut self) -> Result<(), String> {
        let venues = u8::try_from(self.config.message_rates.len()).unwrap_or(u8::MAX);
        for venue in (0..venues).map(VenueId) {
            let event = self.order_event(venue, OrderUpdate::SessionUp);
            self.step(&Input::Order(event));
        }
        // A position of unknown worth blocks what would add: the first market is told again once all are.
        for place in (0..self.config.instruments.len()).chain([0]) {
            self.now = self.now.plus(1_000_000_000);
            for event in self.snapshot(place)? {
                self.step(&Input::Market(event));
            }
            self.answer();
        }
        self.now = self.now.plus(1_000_000_000);
        Ok(())
    }

    fn snapshot(&self, place: usize) -> Result<Vec<MarketEvent>, String> {
        let instrument = &self.config.instruments[place];
        let middle = middle(instrument)?;
        let mut updates = vec![MarketUpdate::Reset];
        for away in 0..DEPTH {
            for side in Side::BOTH {
                let price = Ticks(middle.0 - side.sign() * (HALF_SPREAD + away));
                updates.push(MarketUpdate::Level { side, price, size: Lots(50_000 + away) });
            }
        }
        let last = updates.len() - 1;
        let id = instrument.id();
        Ok((0..).zip(updates).map(|(n, update)| self.market(id, update, n == last)).collect())
    }

    fn market(&self, instrument: InstrumentId, update: MarketUpdate, is_last: bool) -> MarketEvent {
        MarketEvent {
            at: self.now,
            venue_at: self.now,
            stamp: Stamp(0),
            update,
            instrument,
            last_in_message: is_last,
        }
    }

    fn order_event(&self, venue: VenueId, update: OrderUpdate) -> OrderEvent {
        OrderEvent {
            at: self.now,
            venue_at: self.now,
            stamp: Stamp(0),
            msg_seq_num: 0,
            cl_ord_id: ballast_engine::event::ClOrdId::NONE,
            orig_cl_ord_id: ballast_engine::event::ClOrdId::NONE,
            update,
            instrument: InstrumentId(0),
            venue,
        }
    }

    /// One untimed step; its intents wait for [`Rig::answer`].
    fn step(&mut self, input: &Input) {
        self.maker.step(self.now, input, &mut self.out);
        self.pending.extend_from_slice(self.out.orders());
        self.out.clear();
    }

    /// The venue takes every request, and every request that follows from that.
    pub fn answer(&mut self) {
        while let Some(intent) = self.pending.pop() {
            let update = match intent.action {
                OrderAction::New => OrderUpdate::New { leaves_qty: intent.size },
                OrderAction::Replace => {
                    OrderUpdate::Replaced { price: intent.price, leaves_qty: intent.size }
                }
                OrderAction::Cancel => OrderUpdate::Canceled { cum_qty: Lots(0) },
            };
            let venue = self.maker.venue_of(intent.instrument).unwrap_or_default();
            let mut event = self.order_event(venue, update);
            event.cl_ord_id = intent.cl_ord_id;
            event.orig_cl_ord_id = intent.orig_cl_ord_id;
            event.instrument = intent.instrument;
            self.step(&Input::Order(event));
        }
    }

    /// How many orders work.
    pub fn live_orders(&self) -> usize {
        self.maker.live_orders()
    }

    /// The instruments.
    pub fn instruments(&self) -> &[Instrument] {
        &self.config.instruments
    }

    /// The maker's time.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// Time goes on to the next tick; timers and the other instruments' markets in their turn.
    pub fn advance(&mut self) -> Result<(), String> {
        self.now = self.now.plus(TICK_NS);
        self.ticks += 1;
        if self.ticks.is_multiple_of(TICKS_A_TIMER) {
            self.step(&Input::Timer);
            for place in 1..self.config.instruments.len() {
                let price = Ticks(middle(&self.config.instruments[place])?.0 - HALF_SPREAD - 2);
                let size = Lots(50_000 + (self.ticks % 7) as i64);
                let update = MarketUpdate::Level { side: Side::Buy, price, size };
                let event = self.market(self.config.instruments[place].id(), update, true);
                self.step(&Input::Market(event));
            }
            self.answer();
        }
        Ok(())
    }

    /// The change of instrument 0's best bid that is next: a better one comes, or goes again.
    pub fn next_update(&self) -> Result<(Side, Ticks, Lots), String> {
        let price = middle(&self.config.instruments[0])?;
        Ok((Side::Buy, price, Lots(if !self.ticks.is_multiple_of(2) { 40_000 } else { 0 })))
    }

    /// A timed step, by the door that the stage takes. The intents stay in place for [`Rig::encode`].
    #[inline]
    pub fn decide(&mut self, event: &MarketEvent) {
        self.maker.step_market(self.now, event, &mut self.out);
    }

    /// Bytes of every message that the last step wants sent, in all.
    #[inline]
    pub fn encode(&mut self) -> Result<usize, String> {
        let mut bytes = 0;
        for n in 0..self.out.orders().len() {
            let intent = self.out.orders()[n];
            bytes += black_box(self.encode_one(&intent)?).len();
        }
        Ok(bytes)
    }

    /// The message of one intent.
    #[inline]
    pub fn encode_one(&mut self, intent: &OrderIntent) -> Result<&[u8], String> {
        let sending_time = self.sending_time.at(self.now);
        let envelope = Envelope { msg_seq_num: self.msg_seq_num, sending_time, last_processed: 0 };
        self.msg_seq_num += 1;
        let place = self.symbols.place_of(intent.instrument).unwrap_or(usize::MAX);
        self.requests.encode(place, intent, &envelope).map_err(|error| error.to_string())
    }

    /// What the last step wants sent.
    #[inline]
    pub fn orders(&self) -> &[OrderIntent] {
        self.out.orders()
    }

    /// After a timed step: it must have moved every quote of instrument 0; the venue takes them.
    pub fn settle(&mut self) -> Result<(), String> {
        let wanted = self.out.orders().len();
        if wanted != self.orders_a_tick {
            let due = self.orders_a_tick;
            return Err(format!("a tick led to {wanted} orders where {due} were to be timed"));
        }
        self.pending.extend_from_slice(self.out.orders());
        self.out.clear();
        self.answer();
        Ok(())
    }

    /// One tick, timed.
    pub fn tick(&mut self) -> Result<TickSteps, String> {
        self.advance()?;
        let (side, price, size) = self.next_update()?;
        let update = MarketUpdate::Level { side, price, size };
        let event = self.market(InstrumentId(0), update, true);
        let start = self.counter.stamp();
        self.decide(black_box(&event));
        let decided = self.counter.stamp();
        self.encode()?;
        let encoded = self.counter.stamp();
        self.settle()?;
        let steps = |from: Stamp, to: Stamp| to.0.saturating_sub(from.0);
        Ok(TickSteps { decide: steps(start, decided), encode: steps(decided, encoded) })
    }

    /// A tenth of `rounds` to warm up, then `rounds` of the maker's timers, one round an interval, with nothing
    /// new to act on: the median of each round's longest timer, in ns.
    pub fn run_timers(&mut self, rounds: u64) -> Result<f64, String> {
        let mut longest = Latencies::new();
        for number in 0..rounds + rounds / 10 {
            self.now = self.now.plus(self.config.timer_interval_ns);
            let mut most = 0;
            for _ in 0..self.maker.timers_a_round() {
                let from = self.counter.stamp();
                self.maker.step(self.now, &Input::Timer, &mut self.out);
                most = most.max(self.counter.stamp().0.saturating_sub(from.0));
                if !self.out.orders().is_empty() {
                    return Err("a timer moved quotes where nothing had changed".to_owned());
                }
                self.out.clear();
            }
            if number >= rounds / 10 {
                longest.record_ns(self.counter.nanos_of_steps(most));
            }
        }
        Ok(longest.at(0.5))
    }

    /// A tenth of `ticks` to warm up, then `ticks` timed one by one and by the batch.
    pub fn run(&mut self, ticks: u64) -> Result<TickRun, String> {
        let mut run =
            TickRun { singles: Latencies::new(), batches: [(); 3].map(|()| Latencies::new()) };
        for _ in 0..ticks / 10 {
            self.tick()?;
        }
        let mut sums = [0u64; 3];
        for number in 1..=ticks {
            let TickSteps { decide, encode } = self.tick()?;
            run.singles.record_ns(self.counter.nanos_of_steps(decide + encode));
            for (sum, steps) in sums.iter_mut().zip([decide + encode, decide, encode]) {
                *sum += steps;
            }
            if number.is_multiple_of(BATCH) {
                for (batches, sum) in run.batches.iter_mut().zip(&mut sums) {
                    batches.record_batch(self.counter.nanos_of_steps(*sum), BATCH);
                    *sum = 0;
                }
            }
        }
        Ok(run)
    }
}

/// 60,000 in the instrument's ticks.
pub fn middle(instrument: &Instrument) -> Result<Ticks, String> {
    instrument.ticks(PRICE).map_err(|error| format!("{}: {error}", instrument.symbol()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tick_of_the_rig_moves_both_quotes() {
        let session = Session::in_tests();
        let mut rig = Rig::new(&session, &one_level().unwrap(), 1).unwrap();
        assert_eq!(rig.live_orders(), 2);
        // More messages than the config allows a day without a trade: a long run is no day.
        for _ in 0..12_000 {
            rig.tick().unwrap();
        }
        assert_eq!(rig.live_orders(), 2);
    }
}
