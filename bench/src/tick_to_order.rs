//! `ballast-bench tick-to-order`: the bytes of a FIX market-data message in, the bytes of two order
//! messages out, on one thread.
//!
//! Stages of the live system called one after the other, and not the live system: framing and splitting
//! (BodyLength and CheckSum verified), reading the entries, the feed's own book and the market ring, the
//! maker's step, the intents' ring, and the prepared order messages. Left out are the sockets (`wire` has
//! them); the FIX sessions of both sides with their sequence numbers, gap checks and store; order entry's
//! way from an intent to its message (throttle, index of live orders, witness at the socket); the maker's
//! stage around the step (journal, latency marks, telemetry); and the turns of a runner. Two runs
//! alternate: the whole between two stamps, and every stage between stamps of its own, which sum to that
//! run's whole because each is the difference of two. What can be wrong with them is what the stamps in
//! between cost: `with stage stamps / without`, which is bounded.

use crate::bracket::Bracket;
use crate::document::Document;
use crate::figures::Figures;
use crate::hiccup::Hiccups;
use crate::histogram::{Latencies, RUNS_MIN};
use crate::open_loop::{Outcome, Place, Run};
use crate::ratio::Ratio;
use crate::rig::{self, BATCH, HALF_SPREAD, Rig, middle};
use crate::session::Session;
use crate::spent::{Meter, Spent};
use ballast_engine::clock::Counter;
use ballast_engine::event::{MarketEvent, OrderIntent, VenueId};
use ballast_engine::pin;
use ballast_engine::ring::{self, Consumer, Producer};
use ballast_engine::units::{Decimal, Lots, Side, Stamp, Ticks};
use ballast_gateway::fix::decode::Decoder;
use ballast_gateway::fix::encode::Encoder;
use ballast_gateway::fix::frame::{Frame, frame};
use ballast_gateway::fix::timestamp::Precision;
use ballast_gateway::fix::{msg_type, tag};
use ballast_gateway::market_data::publisher::{Publisher, When};
use ballast_gateway::market_data::refresh::{Action, EntryKind, Refresh};
use ballast_gateway::venue::symbols::Symbols;
use std::hint::black_box;
use std::time::Duration;

/// Ticks in a run.
const TICKS: u64 = 4_096;
/// What the stamps between the stages may add to the whole: else the stages are those of something else.
const BOUND_TO_UNSTAMPED: f64 = 1.10;
/// 400 ns over a floor of 110 ns.
const BOUND_TO_FLOOR: f64 = 400.0 / 110.0;
/// The longest message here.
pub const LEN_MAX: usize = 512;
/// Entries that the table holds.
const ENTRIES_MAX: usize = 64;
/// Room for messages that came together.
const BUFFER_LEN: usize = 16 * LEN_MAX;
/// Orders that may lie in the ring behind the maker.
const INTENT_RING: usize = 256;
/// Arrivals a second where the command says nothing else.
const RATE: u64 = 50_000;
/// From the bytes of market data to the bytes of orders, in the order of the way.
pub const STAGES: [&str; 6] =
    ["frame_and_split", "read_entries", "publish", "maker", "hand_over", "encode"];

/// The feed's half, in front of a [`Rig`].
pub struct Path {
    counter: Counter,
    rig: Rig,
    tick: Decimal,
    lot: Decimal,
    symbol: String,
    symbols: Symbols,
    decoder: Decoder,
    refresh: Refresh,
    publisher: Publisher,
    market: Consumer<MarketEvent>,
    intents_in: Producer<OrderIntent>,
    intents: Consumer<OrderIntent>,
    buffer: Vec<u8>,
    number: u64,
}

/// Counter values at the boundaries: before the first stage and after each.
type Stamps = [Stamp; STAGES.len() + 1];

/// Runs the tick-to-order benchmark into `document`.
pub fn measure(session: &Session, document: &mut Document) -> Result<(), String> {
    let cores = session.two_cores()?;
    let bracket = Bracket::new(session, cores);
    pin::pin_current_thread(cores[0]);
    let mut path = Path::new(session)?;
    let (mut figures, mut hiccups) = (Figures::default(), Hiccups::new());
    let (mut to_floor, mut stamped) = (Vec::new(), Vec::new());
    let (mut spent, mut rounds) = (Spent::default(), 0);
    let share = session.share(0.8);
    while share.is_left() || rounds < RUNS_MIN {
        rounds += 1;
        hiccups.watch(session.counter, &cores[..1], Duration::from_millis(5));
        let ((whole, [singles, ..]), floor) =
            bracket.around(|| path.run::<false>(TICKS, &mut spent))?;
        to_floor.extend(floor.map(|floor| whole.at(0.5) / floor));
        figures.add("tick_to_order", &whole, &singles, floor.is_some());
        let ((sum, stages), around) = bracket.around(|| path.run::<true>(TICKS, &mut spent))?;
        let is_kept = around.is_some();
        if is_kept && floor.is_some() {
            stamped.push(sum.at(0.5) / whole.at(0.5));
        }
        figures.add("tick_to_order.stages_together", &sum, &sum, is_kept);
        for (name, batches) in STAGES.into_iter().zip(&stages[1..]) {
            figures.add(&format!("tick_to_order.stage.{name}"), batches, batches, is_kept);
        }
    }
    document.add_hiccups(&hiccups);
    figures.into_document(document);
    let bound = Some(BOUND_TO_FLOOR);
    document.add_ratio(Ratio::new("tick_to_order / floor", to_floor, bound));
    let bound = Some(BOUND_TO_UNSTAMPED);
    document.add_ratio(Ratio::new("tick_to_order with stage stamps / without", stamped, bound));
    spent.into_document("tick_to_order", document);
    let place = Place { session, bracket: &bracket, cores: &cores[..1] };
    place.measure("tick_to_order", RATE, document, |run| path.paced(run))
}

impl Path {
    /// A maker that quotes, and a feed in front of it that has its book.
    pub fn new(session: &Session) -> Result<Path, String> {
        let rig = Rig::new(session, &rig::one_level()?, 1)?;
        let symbols =
            Symbols::new(VenueId(0), rig.instruments()).map_err(|error| error.to_string())?;
        let (market_in, market) = ring::slots(1 << 10);
        let (intents_in, intents) = ring::slots(INTENT_RING);
        let spec = rig.instruments()[0].spec();
        let mut path = Path {
            counter: session.counter,
            tick: spec.tick,
            lot: spec.lot,
            symbol: spec.symbol.clone(),
            decoder: Decoder::new(ENTRIES_MAX),
            refresh: Refresh::new(ENTRIES_MAX, &symbols),
            publisher: Publisher::new(market_in, symbols.iter().map(|s| s.id()), 2048),
            symbols,
            market,
            intents_in,
            intents,
            buffer: vec![0; BUFFER_LEN],
            number: 0,
            rig,
        };
        path.open()?;
        Ok(path)
    }

    /// The feed's own book as the rig's maker has it.
    fn open(&mut self) -> Result<(), String> {
        let place = self.place()?;
        let middle = middle(&self.rig.instruments()[0])?;
        let when = When { at: self.rig.now(), ..When::default() };
        self.publisher.reset(place, when, false, false);
        for side in Side::BOTH {
            let price = Ticks(middle.0 - side.sign() * HALF_SPREAD);
            self.publisher.level(place, when, (side, price, Lots(50_000)), true);
        }
        while self.market.pop().is_some() {}
        Ok(())
    }

    fn place(&self) -> Result<usize, String> {
        let id = self.rig.instruments()[0].id();
        self.symbols.place_of(id).ok_or_else(|| "instrument 0 is not at venue 0".to_owned())
    }

    /// Writes MarketDataIncrementalRefresh(X): the best bid comes or goes, the best ask changes.
    fn write(&mut self) -> Result<usize, String> {
        self.number += 1;
        let (_, bid, size) = self.rig.next_update()?;
        let ask = bid.0 + HALF_SPREAD;
        let now = self.rig.now();
        let mut encoder =
            Encoder::begin(&mut self.buffer, b"FIX.4.4", msg_type::MARKET_DATA_INCREMENTAL_REFRESH);
        encoder
            .bytes(tag::SENDER_COMP_ID, b"VENUE")
            .bytes(tag::TARGET_COMP_ID, b"BALLAST")
            .uint(tag::MSG_SEQ_NUM, 100_000 + self.number)
            .timestamp(tag::SENDING_TIME, now, Precision::Millis)
            .uint(tag::MD_REQ_ID, 1)
            .uint(tag::NO_MD_ENTRIES, 2)
            .char(tag::MD_UPDATE_ACTION, if size.0 > 0 { b'0' } else { b'2' })
            .char(tag::MD_ENTRY_TYPE, b'0')
            .str(tag::SYMBOL, &self.symbol)
            .decimal(tag::MD_ENTRY_PX, bid.0, self.tick);
        if size.0 > 0 {
            encoder.decimal(tag::MD_ENTRY_SIZE, size.0, self.lot);
        }
        encoder
            .char(tag::MD_UPDATE_ACTION, b'1')
            .char(tag::MD_ENTRY_TYPE, b'1')
            .str(tag::SYMBOL, &self.symbol)
            .decimal(tag::MD_ENTRY_PX, ask, self.tick)
            .decimal(tag::MD_ENTRY_SIZE, 50_000 + (self.number % 1_000) as i64, self.lot);
        encoder.finish().map_err(|error| error.to_string())
    }

    /// One message, stamped at the ends and, with `INNER`, at every boundary.
    fn tick<const INNER: bool>(&mut self) -> Result<Stamps, String> {
        self.rig.advance()?;
        let written = self.write()?;
        let counter = self.counter;
        let mut stamps = [counter.stamp(); STAGES.len() + 1];
        let passed = self.pass(written, |place| {
            if INNER {
                stamps[place] = counter.stamp();
            }
        })?;
        passed.ok_or("the encoder's bytes are no message")?;
        self.encode(|message| {
            black_box(message);
            Ok(())
        })?;
        stamps[STAGES.len()] = counter.stamp();
        self.rig.settle()?;
        Ok(stamps)
    }

    /// The first message of the buffer's first `written` bytes through every stage but the last: its
    /// length, or `None` where it is not whole yet.
    fn pass(
        &mut self,
        written: usize,
        mut mark: impl FnMut(usize),
    ) -> Result<Option<usize>, String> {
        let bytes = black_box(&self.buffer[..written]);
        let Frame::Message { len, .. } = frame(bytes, LEN_MAX) else { return Ok(None) };
        let stamp = self.counter.stamp();
        let message = self.decoder.decode(&bytes[..len]).map_err(|e| format!("{e:?}"))?;
        mark(1);
        let read = self.refresh.read_increment(&message, &self.symbols);
        read.map_err(|breach| format!("{breach:?}"))?;
        mark(2);
        for entry in self.refresh.entries() {
            let (Some(place), EntryKind::Level(side)) = (entry.place, entry.kind) else { continue };
            let when = When { at: self.rig.now(), venue_at: entry.venue_at, stamp };
            let size = if entry.action == Action::Delete { None } else { entry.size };
            let level = (side, entry.price.unwrap_or_default(), size.unwrap_or_default());
            self.publisher.level(place, when, level, entry.is_last);
        }
        mark(3);
        while let Some(event) = self.market.pop() {
            self.rig.decide(&event);
        }
        mark(4);
        for intent in self.rig.orders() {
            let pushed = self.intents_in.push(*intent);
            pushed.map_err(|_| "the ring behind the maker is full")?;
        }
        mark(5);
        Ok(Some(len))
    }

    /// The messages of all that lies in the ring behind the maker, one after the other.
    #[inline]
    fn encode(&mut self, mut take: impl FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
        while let Some(intent) = self.intents.pop() {
            take(self.rig.encode_one(&intent)?)?;
        }
        Ok(())
    }

    /// The next message of the market, as a counterparty sends it: its length in `room`.
    pub fn question(&mut self, room: &mut [u8]) -> Result<usize, String> {
        self.rig.advance()?;
        let written = self.write()?;
        let place = room.get_mut(..written).ok_or("a market message finds no room")?;
        place.copy_from_slice(&self.buffer[..written]);
        Ok(written)
    }

    /// Time goes on to the next message.
    pub fn advance(&mut self) -> Result<(), String> {
        self.rig.advance()
    }

    /// Where messages are read to.
    pub fn buffer(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    /// Decides on the first message of the buffer's first `len` bytes: its length, or `None` where it is
    /// not whole yet. `mark` is told each boundary as it is passed.
    pub fn take(&mut self, len: usize, mark: impl FnMut(usize)) -> Result<Option<usize>, String> {
        self.pass(len, mark)
    }

    /// The orders' bytes, one after the other; how many.
    pub fn encode_into(&mut self, orders: &mut [u8]) -> Result<usize, String> {
        let mut bytes = 0;
        self.encode(|message| {
            let end = bytes + message.len();
            let place = orders.get_mut(bytes..end).ok_or("the orders find no room")?;
            place.copy_from_slice(message);
            bytes = end;
            Ok(())
        })?;
        Ok(bytes)
    }

    /// The venue takes both orders.
    pub fn settle(&mut self) -> Result<(), String> {
        self.rig.settle()
    }

    /// Messages when they are due, whatever became of those before: the next one lies ready, and what
    /// the venue answers is done before it is looked at, as on a core that does everything.
    fn paced(&mut self, run: Run<'_>) -> Result<Outcome, String> {
        let (counter, mut outcome, all_due) = (self.counter, Outcome::new(run), run.due_ns());
        let start = counter.stamp();
        let now = || counter.nanos_between(start, counter.stamp());
        for due in all_due {
            self.rig.advance()?;
            let written = self.write()?;
            let mut taken_up = now();
            while taken_up < due {
                std::hint::spin_loop();
                taken_up = now();
            }
            self.pass(written, |_| ())?.ok_or("the encoder's bytes are no message")?;
            self.encode(|message| {
                black_box(message);
                Ok(())
            })?;
            outcome.record(due, taken_up, now());
            self.rig.settle()?;
        }
        Ok(outcome)
    }

    /// Means of batches of the whole; single wholes, and means of batches of each stage.
    fn run<const INNER: bool>(
        &mut self,
        ticks: u64,
        spent: &mut Spent,
    ) -> Result<(Latencies, [Latencies; STAGES.len() + 1]), String> {
        for _ in 0..ticks / 10 {
            self.tick::<INNER>()?;
        }
        let mut whole = Latencies::new();
        let mut parts = [(); STAGES.len() + 1].map(|()| Latencies::new());
        let meter = Meter::start();
        self.timed::<INNER>(ticks, &mut whole, &mut parts)?;
        spent.add(meter.stop(ticks));
        Ok((whole, parts))
    }

    fn timed<const INNER: bool>(
        &mut self,
        ticks: u64,
        whole: &mut Latencies,
        parts: &mut [Latencies; STAGES.len() + 1],
    ) -> Result<(), String> {
        let mut sums = [0u64; STAGES.len() + 1];
        for number in 1..=ticks {
            let stamps = self.tick::<INNER>()?;
            let all = stamps[STAGES.len()].0.saturating_sub(stamps[0].0);
            parts[0].record_ns(self.counter.nanos_of_steps(all));
            sums[0] += all;
            for (sum, pair) in sums[1..].iter_mut().zip(stamps.windows(2)) {
                *sum += pair[1].0.saturating_sub(pair[0].0);
            }
            if number.is_multiple_of(BATCH) {
                whole.record_batch(self.counter.nanos_of_steps(sums[0]), BATCH);
                for (part, sum) in parts[1..].iter_mut().zip(&sums[1..]) {
                    part.record_batch(self.counter.nanos_of_steps(*sum), BATCH);
                }
                sums = [0; STAGES.len() + 1];
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open_loop::Schedule;

    #[test]
    fn every_message_becomes_two_orders_and_the_stages_follow_each_other() {
        let session = Session::in_tests();
        let mut path = Path::new(&session).unwrap();
        for _ in 0..300 {
            assert!(path.tick::<true>().unwrap().is_sorted());
        }
    }

    #[test]
    fn messages_by_a_schedule_are_all_answered_and_nothing_is_allocated_meanwhile() {
        let mut path = Path::new(&Session::in_tests()).unwrap();
        let schedule = &Schedule::Bursts { size: 8, interval_ns: 50_000 };
        let outcome = path.paced(Run { schedule, from_ns: 0, duration_ns: 1_000_000 });
        assert_eq!(outcome.unwrap().response.count(), 160 - 16);
        let mut spent = Spent::default();
        path.run::<true>(256, &mut spent).unwrap();
        assert_eq!((spent.messages, spent.allocations), (256, 0));
    }
}
