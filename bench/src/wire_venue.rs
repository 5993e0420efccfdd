//! The venue that the live system of `wire` trades with: two FIX sessions over loopback TCP, one client.
//!
//! Fed by the live system's orders; feeds it market data and reports, from the near core. Its sessions are
//! the gateway's own, as acceptors: they log on, number, time and store every message. Between the stamps of
//! a round trip it writes bytes that were ready before, and counts whole messages; it reads and answers the
//! orders afterwards, and begins the next trip when the maker has consumed the answers. No wait is without an
//! end. Deliberately absent: matching, everything that is not a limit order's life, and a second client.

use crate::histogram::Latencies;
use crate::rig::{HALF_SPREAD, middle};
use crate::wire_line::{Deadline, Line};
use crate::wire_ticks::{PAUSE_NS, Sizes, wait};
use ballast_engine::clock::{Clock, Counter};
use ballast_engine::instrument::Instrument;
use ballast_engine::maker::stage::Progress;
use ballast_engine::units::Ticks;
use ballast_gateway::fix::encode::Encoder;
use ballast_gateway::fix::message::Message;
use ballast_gateway::fix::timestamp::Precision;
use ballast_gateway::fix::{msg_type, tag};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Until both sessions are logged on and quoted, and until both have logged out.
const OPEN_WITHIN_NS: u64 = 10_000_000_000;
/// At every level but the best bid that comes and goes, in lots.
const SIZE: i64 = 50_000;
/// At that one.
const BEST_SIZE: i64 = 40_000;
/// What a report repeats of an order's message.
const REPEATED: [u32; 6] =
    [tag::CL_ORD_ID, tag::ORIG_CL_ORD_ID, tag::SYMBOL, tag::SIDE, tag::ORDER_QTY, tag::PRICE];

/// Where the live system connects to: market data, order entry.
pub struct Doors([TcpListener; 2]);

impl Doors {
    /// Two ports on loopback.
    pub fn open() -> io::Result<Doors> {
        let open = || -> io::Result<TcpListener> {
            let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            door.set_nonblocking(true)?;
            Ok(door)
        };
        Ok(Doors([open()?, open()?]))
    }

    /// Where they are.
    pub fn addresses(&self) -> io::Result<[SocketAddr; 2]> {
        let [feed, orders] = &self.0;
        Ok([feed.local_addr()?, orders.local_addr()?])
    }
}

/// What the venue does between opening and end.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Round trips, after a tenth as many to warm up.
    pub trips: usize,
    /// Until a tick has brought its orders, and until their reports are consumed.
    pub within_ns: u64,
}

/// What the venue saw.
pub struct Played {
    /// Round trips after the warm-up.
    pub ticks: Latencies,
    /// What travelled last.
    pub sizes: Sizes,
    /// Round trips, those of the warm-up with them.
    pub trips: u64,
}

/// An order's message that waits for its report.
struct Request {
    msg_type: Vec<u8>,
    /// Those of [`REPEATED`] that it has.
    fields: Vec<(u32, Vec<u8>)>,
}

/// The venue.
pub struct Venue {
    counter: Counter,
    clock: Clock,
    feed: Line,
    orders: Line,
    instrument: Instrument,
    middle: Ticks,
    /// MDReqID(262) of the last MarketDataRequest(V).
    md_req_id: Vec<u8>,
    requests: Vec<Request>,
    /// ExecID(17) of the last report: how many there were.
    reports: u64,
    ticks: u64,
}

impl Venue {
    /// Waits for a client on both doors, for its Logons, its MarketDataRequest(V) and its first quotes.
    pub fn of_clients(
        doors: Doors,
        (counter, clock): (Counter, Clock),
        instrument: &Instrument,
    ) -> Result<Venue, String> {
        let until = Deadline::new(counter, OPEN_WITHIN_NS);
        let [feed, orders] = doors.0;
        let mut venue = Venue {
            feed: Line::accepted(&feed, "VENUE-MD", clock, until)?,
            orders: Line::accepted(&orders, "VENUE-OE", clock, until)?,
            counter,
            clock,
            middle: middle(instrument)?,
            instrument: instrument.clone(),
            md_req_id: Vec::new(),
            requests: Vec::new(),
            reports: 0,
            ticks: 0,
        };
        let mut is_shown = false;
        while venue.requests.len() < 2 {
            venue.hear()?;
            // Nothing is quoted before both sessions are up: shown now, the first book is quoted at once.
            if !is_shown && !venue.md_req_id.is_empty() && venue.orders.is_logged_on() {
                is_shown = true;
                venue.show_book()?;
            }
            if until.is_over() {
                return Err(format!("the live system did not quote; {}", venue.came()));
            }
        }
        venue.answer()?;
        Ok(venue)
    }

    /// The round trips of `plan`, one after the other.
    pub fn play(&mut self, plan: Plan, progress: &Progress) -> Result<Played, String> {
        let mut played = Played { ticks: Latencies::new(), sizes: Sizes::default(), trips: 0 };
        let Plan { trips, within_ns } = plan;
        let warm_up = trips / 10;
        for number in 0..trips + warm_up {
            self.settle(within_ns, progress)?;
            wait(self.counter, PAUSE_NS);
            let ns = self.trip(within_ns, &mut played.sizes)?;
            played.trips += 1;
            if number >= warm_up {
                played.ticks.record_ns(ns);
            }
            self.answer()?;
        }
        self.settle(within_ns, progress)?;
        Ok(played)
    }

    /// Answers until both sessions are logged out: the live system cancels its quotes and leaves.
    pub fn see_off(&mut self) -> Result<(), String> {
        let until = Deadline::new(self.counter, OPEN_WITHIN_NS);
        while !(self.feed.is_over() && self.orders.is_over()) {
            self.hear()?;
            self.answer()?;
            if until.is_over() {
                return Err(format!("the live system did not log out; {}", self.came()));
            }
        }
        Ok(())
    }

    /// Market data out, two replaces in: how long that took, in ns.
    fn trip(&mut self, within_ns: u64, sizes: &mut Sizes) -> Result<u64, String> {
        let place = usize::from(!self.ticks.is_multiple_of(2));
        self.write_tick()?;
        let from = self.counter.stamp();
        sizes.questions[place] = self.feed.write_out()?;
        let whole = self.orders.read_pair(Deadline::new(self.counter, within_ns))?;
        let to = self.counter.stamp();
        self.hear()?;
        let is_replace =
            |request: &Request| request.msg_type == msg_type::ORDER_CANCEL_REPLACE_REQUEST;
        match (whole, self.requests.len(), self.requests.iter().all(is_replace)) {
            (Some(bytes), 2, true) => sizes.reply = bytes,
            _ => {
                let number = self.ticks;
                return Err(format!("tick {number} did not bring two replaces; {}", self.came()));
            }
        }
        Ok(self.counter.nanos_between(from, to))
    }

    /// Waits until the maker has consumed every report. What it asks for meanwhile is answered too.
    fn settle(&mut self, within_ns: u64, progress: &Progress) -> Result<(), String> {
        let until = Deadline::new(self.counter, within_ns);
        while progress.reports() < self.reports {
            self.hear()?;
            self.answer()?;
            if until.is_over() {
                let (sent, consumed) = (self.reports, progress.reports());
                return Err(format!("of {sent} reports the maker has consumed {consumed}"));
            }
        }
        Ok(())
    }

    /// MarketDataSnapshotFullRefresh(W): a level a side.
    fn show_book(&mut self) -> Result<(), String> {
        let (spec, middle) = (self.instrument.spec(), self.middle);
        let now = self.clock.now();
        self.feed.send(now, msg_type::MARKET_DATA_SNAPSHOT_FULL_REFRESH, |encoder| {
            encoder
                .bytes(tag::MD_REQ_ID, &self.md_req_id)
                .str(tag::SYMBOL, &spec.symbol)
                .uint(tag::NO_MD_ENTRIES, 2);
            for (kind, price) in [(b'0', middle.0 - HALF_SPREAD), (b'1', middle.0 + HALF_SPREAD)] {
                encoder
                    .char(tag::MD_ENTRY_TYPE, kind)
                    .decimal(tag::MD_ENTRY_PX, price, spec.tick)
                    .decimal(tag::MD_ENTRY_SIZE, SIZE, spec.lot);
            }
        })?;
        self.feed.write_out().map(|_| ())
    }

    /// MarketDataIncrementalRefresh(X), not sent yet: a better bid comes or goes, the best ask changes.
    fn write_tick(&mut self) -> Result<(), String> {
        self.ticks += 1;
        let (spec, middle, ticks) = (self.instrument.spec(), self.middle, self.ticks);
        let is_better = !ticks.is_multiple_of(2);
        let now = self.clock.now();
        self.feed.send(now, msg_type::MARKET_DATA_INCREMENTAL_REFRESH, |encoder| {
            encoder
                .bytes(tag::MD_REQ_ID, &self.md_req_id)
                .uint(tag::NO_MD_ENTRIES, 2)
                .char(tag::MD_UPDATE_ACTION, if is_better { b'0' } else { b'2' })
                .char(tag::MD_ENTRY_TYPE, b'0')
                .str(tag::SYMBOL, &spec.symbol)
                .decimal(tag::MD_ENTRY_PX, middle.0, spec.tick);
            if is_better {
                encoder.decimal(tag::MD_ENTRY_SIZE, BEST_SIZE, spec.lot);
            }
            encoder
                .char(tag::MD_UPDATE_ACTION, b'1')
                .char(tag::MD_ENTRY_TYPE, b'1')
                .str(tag::SYMBOL, &spec.symbol)
                .decimal(tag::MD_ENTRY_PX, middle.0 + HALF_SPREAD, spec.tick)
                .decimal(tag::MD_ENTRY_SIZE, SIZE + (ticks % 1_000) as i64, spec.lot);
        })
    }

    /// Takes in what lies ready on both sessions.
    fn hear(&mut self) -> Result<(), String> {
        let now = self.clock.now();
        let Venue { feed, orders, md_req_id, requests, .. } = self;
        feed.hear(now, |message| {
            if message.msg_type() == msg_type::MARKET_DATA_REQUEST {
                *md_req_id = message.get(tag::MD_REQ_ID).unwrap_or_default().to_vec();
            }
        })?;
        orders.hear(now, |message| requests.push(Request::of(message)))
    }

    /// Confirms every request, all in one write.
    fn answer(&mut self) -> Result<(), String> {
        for request in std::mem::take(&mut self.requests) {
            self.reports += 1;
            let (number, now) = (self.reports, self.clock.now());
            self.orders.send(now, msg_type::EXECUTION_REPORT, |encoder| {
                request.confirm(encoder, number);
                encoder.timestamp(tag::TRANSACT_TIME, now, Precision::Micros);
            })?;
        }
        self.orders.write_out().map(|_| ())
    }

    /// What came and is not answered, for people.
    fn came(&self) -> String {
        let types = self.requests.iter().map(|r| String::from_utf8_lossy(&r.msg_type).into_owned());
        let types: Vec<String> = types.collect();
        let [feed, orders] = [&self.feed, &self.orders].map(Line::standing);
        format!("orders that came (35=): {types:?}; market data {feed}, order entry {orders}")
    }
}

impl Request {
    fn of(message: &Message<'_>) -> Request {
        let field = |tag: u32| Some((tag, message.get(tag)?.to_vec()));
        Request {
            msg_type: message.msg_type().to_vec(),
            fields: REPEATED.into_iter().filter_map(field).collect(),
        }
    }

    fn get(&self, tag: u32) -> &[u8] {
        let found = self.fields.iter().find(|(known, _)| *known == tag);
        found.map_or(&[], |(_, value)| value)
    }

    /// The body of its ExecutionReport(8), but for the time: taken, replaced or cancelled as it asks.
    fn confirm(&self, encoder: &mut Encoder<'_>, exec_id: u64) {
        let (exec_type, ord_status) = match self.msg_type.as_slice() {
            msg_type::ORDER_CANCEL_REPLACE_REQUEST => (b'5', b'0'),
            msg_type::ORDER_CANCEL_REQUEST => (b'4', b'4'),
            _ => (b'0', b'0'),
        };
        for (tag, value) in &self.fields {
            encoder.bytes(*tag, value);
        }
        let leaves = if exec_type == b'4' { b"0" } else { self.get(tag::ORDER_QTY) };
        // One order a side: its side names it.
        encoder
            .bytes(tag::ORDER_ID, self.get(tag::SIDE))
            .uint(tag::EXEC_ID, exec_id)
            .char(tag::EXEC_TYPE, exec_type)
            .char(tag::ORD_STATUS, ord_status)
            .bytes(tag::LEAVES_QTY, leaves)
            .uint(tag::CUM_QTY, 0)
            .uint(tag::AVG_PX, 0);
    }
}
