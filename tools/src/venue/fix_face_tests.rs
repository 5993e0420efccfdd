//! What a client meets at the venue's FIX face, over the in-memory pipe.

use super::super::exchange::tests::spot;
use super::super::exchange::{Exchange, VenueOptions};
use super::super::synthetic::{Synthetic, SyntheticOptions};
use super::*;
use crate::recording::TapeCounters;
use ballast_engine::event::MarketUpdate;
use ballast_engine::units::{Lots, Side, Stamp, Ticks};
use ballast_gateway::fix::decode::Decoder;
use ballast_gateway::fix::encode::Encoder;
use ballast_gateway::fix::tag;
use ballast_gateway::session::{Connection, Role, Session, SessionConfig};
use ballast_gateway::store::MemoryStore;
use ballast_gateway::transport::{PipeEnd, pipe};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const LATENCY_NS: u64 = 1_000;
const START: u64 = 1_723_161_600_000_000_000;

/// Events from a list.
struct List(VecDeque<MarketEvent>);

impl Tape for List {
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

fn list(updates: &[(u64, MarketUpdate, bool)]) -> List {
    let event = |&(at, update, last_in_message): &(u64, MarketUpdate, bool)| MarketEvent {
        at: Nanos(START + at),
        venue_at: Nanos(0),
        stamp: Stamp(0),
        update,
        instrument: InstrumentId(0),
        last_in_message,
    };
    List(updates.iter().map(event).collect())
}

fn level(side: Side, price: i64, size: i64) -> MarketUpdate {
    MarketUpdate::Level { side, price: Ticks(price), size: Lots(size) }
}

fn trade(aggressor: Side, price: i64, size: i64) -> MarketUpdate {
    MarketUpdate::Trade { aggressor, price: Ticks(price), size: Lots(size) }
}

/// 100.00 for 0.01 against 100.02 for 0.01, then a sale of 0.02 that goes through 100.00.
fn a_small_market() -> List {
    list(&[
        (0, MarketUpdate::Reset, false),
        (0, level(Side::Buy, 10_000, 1_000), false),
        (0, level(Side::Sell, 10_002, 1_000), true),
        (10_000_000, trade(Side::Sell, 9_999, 2_000), true),
    ])
}

/// The tape may go as far as the test says.
#[derive(Clone)]
struct UpTo(Arc<AtomicU64>);

impl Pace for UpTo {
    fn is_quiet(&self, _: &Told) -> bool {
        true
    }

    fn may_release(&mut self, _: Nanos, tape_time: Nanos, _: &Told) -> bool {
        tape_time.0 <= START + self.0.load(Ordering::Relaxed)
    }
}

struct Client {
    session: Session<MemoryStore>,
    connection: Connection<PipeEnd>,
    heard: Vec<Vec<u8>>,
}

type Messages = Vec<BTreeMap<u32, String>>;

impl Client {
    fn connect<T: Tape>(venue: &mut FixVenue<T, PipeEnd, UpTo>, name: &str) -> Client {
        let mut session =
            Session::new(SessionConfig::new(Role::Initiator, name, "VENUE"), MemoryStore::new());
        let (ours, theirs) = pipe(1 << 20);
        venue.accept(Nanos(START), theirs);
        session.on_connected(Nanos(START));
        let connection = Connection::new(ours, session.config());
        Client { session, connection, heard: Vec::new() }
    }

    fn turn(&mut self) {
        let heard = &mut self.heard;
        self.connection.turn(&mut self.session, Nanos(START), |event| {
            if let Event::Message(message) = event {
                heard.push(message.as_bytes().to_vec());
            }
            ControlFlow::Continue(())
        });
    }

    fn say(&mut self, msg_type: &[u8], fields: &[(u32, &str)]) {
        let body = |encoder: &mut Encoder<'_>| {
            for (tag, value) in fields {
                encoder.str(*tag, value);
            }
        };
        self.session.send(Nanos(START), msg_type, body).unwrap();
    }

    fn order(&mut self, id: &str, side: &str, price: &str, size: &str, more: &[(u32, &str)]) {
        let time = "20240809-00:00:00.000001000";
        let fields =
            [(11, id), (55, "BTC"), (54, side), (38, size), (40, "2"), (44, price), (60, time)];
        self.say(b"D", &[&fields[..], more].concat());
    }

    fn subscribe(&mut self, symbol: &str) {
        let fields = [
            (262, "7"),
            (263, "1"),
            (264, "0"),
            (265, "1"),
            (267, "3"),
            (269, "0"),
            (269, "1"),
            (269, "2"),
            (146, "1"),
            (55, symbol),
        ];
        self.say(b"V", &fields);
    }

    /// What came since the last call: the fields of each message, the last of each tag.
    fn take(&mut self) -> Messages {
        let read = |bytes: Vec<u8>| {
            let mut decoder = Decoder::new(4096);
            let message = decoder.decode(&bytes).unwrap();
            message
                .fields()
                .map(|f| (f.tag, String::from_utf8_lossy(f.value).into_owned()))
                .collect()
        };
        self.heard.drain(..).map(read).collect()
    }
}

fn seat(name: &str) -> SeatConfig {
    SeatConfig {
        sender_comp_id: "VENUE".into(),
        target_comp_id: name.into(),
        participant: name.into(),
        has_orders: true,
        has_market_data: true,
        cancel_on_disconnect: true,
        credentials: None,
        schedule: None,
    }
}

struct Scene<T: Tape> {
    venue: FixVenue<T, PipeEnd, UpTo>,
    clients: Vec<Client>,
    limit: UpTo,
}

fn scene<T: Tape + Send>(tape: T, names: &[&str]) -> Scene<T> {
    let face = FaceOptions {
        speed: Speed::Max,
        order_time: OrderTime::TransactTime,
        logons_min: names.len(),
        subscriptions_min: 0,
    };
    scene_of(tape, names, face)
}

fn scene_of<T: Tape + Send>(tape: T, names: &[&str], face: FaceOptions) -> Scene<T> {
    let options = VenueOptions { order_latency_ns: LATENCY_NS, ..Default::default() };
    let exchange = Exchange::new(&[spot(100_000, 200_000)], options);
    let limit = UpTo(Arc::new(AtomicU64::new(0)));
    let seats: Vec<SeatConfig> = names.iter().map(|name| seat(name)).collect();
    let playback = Playback::new(tape, exchange);
    let mut venue = FixVenue::new(playback, &seats, face, limit.clone());
    let clients = names.iter().map(|name| Client::connect(&mut venue, name)).collect();
    let mut scene = Scene { venue, clients, limit };
    scene.run(0);
    scene
}

impl<T: Tape + Send> Scene<T> {
    /// Lets all sides talk while the tape may go as far as `limit_ns`.
    fn run(&mut self, limit_ns: u64) {
        self.limit.0.store(limit_ns, Ordering::Relaxed);
        for _ in 0..50 {
            self.venue.turn(Nanos(START));
            self.clients.iter_mut().for_each(Client::turn);
        }
    }
}

fn field(messages: &Messages, tag: u32) -> Vec<&str> {
    messages.iter().map(|m| m.get(&tag).map_or("", String::as_str)).collect()
}

#[test]
fn a_subscriber_gets_the_book_and_then_each_change_with_the_tapes_time() {
    let mut scene = scene(a_small_market(), &["A"]);
    scene.clients[0].subscribe("BTC");
    scene.run(0);
    scene.run(20_000_000);
    let told = scene.clients[0].take();
    assert_eq!(field(&told, tag::MSG_TYPE), ["W", "X"]);
    assert_eq!(field(&told, tag::NO_MD_ENTRIES), ["2", "1"]);
    assert_eq!(field(&told, tag::MD_ENTRY_DATE), ["20240809", "20240809"]);
    assert_eq!(field(&told, tag::MD_ENTRY_TIME), ["00:00:00.000000000", "00:00:00.010000000"]);
    assert_eq!(field(&told, tag::MD_ENTRY_PX), ["100.02", "99.99"]);
    assert_eq!(field(&told, 5797), ["", "2"], "who took stands in trades alone");
    assert!(scene.venue.is_over());
}

#[test]
fn a_subscription_before_the_first_event_begins_with_an_empty_book() {
    let mut scene =
        scene(list(&[(5, MarketUpdate::Reset, false), (5, level(Side::Buy, 1, 1), true)]), &["A"]);
    scene.clients[0].subscribe("BTC");
    scene.run(0);
    let told = scene.clients[0].take();
    assert_eq!(
        (field(&told, tag::MSG_TYPE), field(&told, tag::MD_ENTRY_TYPE)),
        (vec!["W"], vec!["J"])
    );
    scene.run(10);
    assert_eq!(field(&scene.clients[0].take(), tag::MSG_TYPE), ["W"]);
}

#[test]
fn an_order_is_matched_at_its_own_time_plus_the_latency_and_filled_as_maker() {
    let mut scene = scene(a_small_market(), &["A"]);
    scene.clients[0].order("one", "1", "100.01", "0.005", &[(59, "1"), (18, "6")]);
    scene.run(10_000);
    let told = scene.clients[0].take();
    assert_eq!(field(&told, tag::EXEC_TYPE), ["0"]);
    // Sent at 1 µs by its TransactTime, matched 1 µs later.
    assert_eq!(field(&told, tag::TRANSACT_TIME), ["20240809-00:00:00.000002000"]);
    assert_eq!(field(&told, tag::LEAVES_QTY), ["0.00500"]);
    scene.run(20_000_000);
    let told = scene.clients[0].take();
    assert_eq!(
        (field(&told, tag::EXEC_TYPE), field(&told, tag::ORD_STATUS)),
        (vec!["F"], vec!["2"])
    );
    assert_eq!(field(&told, tag::LAST_LIQUIDITY_IND), ["1"]);
    assert_eq!(
        (field(&told, tag::LAST_PX), field(&told, tag::LAST_QTY)),
        (vec!["100.01"], vec!["0.00500"])
    );
    // 0.005 × 100.01 × 1 bp.
    assert_eq!(field(&told, tag::COMMISSION), ["0.000050005"]);
    assert_eq!(field(&told, tag::AVG_PX), ["100.010000"]);
    let exchange = scene.venue.playback().exchange();
    assert_eq!(exchange.position(Participant(0), InstrumentId(0)), Lots(500));
}

#[test]
fn requests_that_cannot_be_done_are_answered_with_the_reason() {
    let mut scene = scene(a_small_market(), &["A"]);
    let client = &mut scene.clients[0];
    client.order("one", "1", "100.00", "0.005", &[]);
    client.order("one", "1", "100.00", "0.005", &[]);
    client.order("two", "1", "100.005", "0.005", &[]);
    client.order("six", "1", "100.02", "0.005", &[(18, "6")]);
    client.say(b"F", &[(11, "three"), (41, "none"), (55, "BTC"), (54, "1")]);
    client.say(b"H", &[(11, "one"), (55, "BTC"), (54, "1"), (790, "q1")]);
    client.say(b"B", &[(148, "News"), (33, "1"), (58, "?")]);
    client.say(b"D", &[(11, "four"), (55, "BTC")]);
    client.subscribe("ETH");
    scene.run(10_000);
    let mut told = scene.clients[0].take();
    told.sort_by_key(|message| message[&tag::MSG_TYPE].clone());
    let said: Vec<[&str; 6]> = told
        .iter()
        .map(|m| [35, 150, 103, 102, 380, 281].map(|tag| m.get(&tag).map_or("", String::as_str)))
        .collect();
    let expected = [
        ["8", "8", "99", "", "", ""],
        ["8", "I", "", "", "", ""],
        ["8", "0", "", "", "", ""],
        ["8", "8", "6", "", "", ""],
        ["8", "8", "99", "", "", ""],
        ["9", "", "", "1", "", ""],
        ["Y", "", "", "", "", "0"],
        ["j", "", "", "", "3", ""],
        ["j", "", "", "", "5", ""],
    ];
    let count = |rows: &[[&str; 6]], row: &[&str; 6]| rows.iter().filter(|r| *r == row).count();
    for row in &expected {
        assert_eq!(count(&said, row), count(&expected, row), "{row:?} in {said:?}");
    }
    assert_eq!(said.len(), expected.len());
    assert_eq!(told.iter().filter(|m| m.get(&790).is_some_and(|id| id == "q1")).count(), 1);
}

#[test]
fn two_firms_trade_with_each_other_and_positions_cancel_out() {
    let mut scene = scene(a_small_market(), &["A", "B"]);
    scene.clients[0].order("a", "2", "100.01", "0.005", &[(18, "6")]);
    scene.run(5_000);
    scene.clients[1].order("b", "1", "100.01", "0.003", &[(59, "3")]);
    scene.run(10_000);
    let [a, b] = [0, 1].map(|who| scene.clients[who].take());
    assert_eq!(field(&a, tag::EXEC_TYPE), ["0", "F"]);
    assert_eq!(field(&b, tag::EXEC_TYPE), ["0", "F"]);
    let liquidity = [a, b].map(|told| told[1][&tag::LAST_LIQUIDITY_IND].clone());
    assert_eq!(liquidity, ["1", "2"]);
    let exchange = scene.venue.playback().exchange();
    let positions = [0, 1].map(|who| exchange.position(Participant(who), InstrumentId(0)).0);
    assert_eq!(positions, [-300, 300]);
}

#[test]
fn what_happened_while_a_client_was_away_is_told_when_it_is_back() {
    let mut scene = scene(a_small_market(), &["A"]);
    scene.clients[0].order("one", "1", "99.00", "0.005", &[]);
    scene.run(10_000);
    assert_eq!(field(&scene.clients[0].take(), tag::EXEC_TYPE), ["0"]);
    scene.clients[0].connection.transport_mut().close();
    scene.run(20_000);
    assert_eq!(scene.venue.playback().exchange().live_orders(Participant(0)), 0);
    let (ours, theirs) = pipe(1 << 20);
    scene.venue.accept(Nanos(START), theirs);
    let client = &mut scene.clients[0];
    client.session.on_disconnected(Nanos(START));
    client.session.on_connected(Nanos(START));
    client.connection = Connection::new(ours, client.session.config());
    scene.run(20_000);
    assert_eq!(field(&scene.clients[0].take(), tag::EXEC_TYPE), ["4"]);
}

#[test]
fn a_mass_cancel_is_reported_once_with_its_count() {
    let mut scene = scene(a_small_market(), &["A"]);
    for id in ["a", "b"] {
        scene.clients[0].order(id, "1", "99.00", "0.005", &[]);
    }
    scene.run(5_000);
    scene.clients[0].say(b"q", &[(11, "all"), (530, "7"), (60, "20240809-00:00:00.000")]);
    scene.run(10_000);
    let told = scene.clients[0].take();
    assert_eq!(field(&told, tag::MSG_TYPE), ["8", "8", "8", "8", "r"]);
    let report = &told[4];
    assert_eq!((&*report[&tag::CL_ORD_ID], &*report[&tag::TOTAL_AFFECTED_ORDERS]), ("all", "2"));
}

#[test]
fn a_request_before_the_tape_has_begun_does_not_keep_it_from_beginning() {
    let face = FaceOptions {
        speed: Speed::Times(2),
        order_time: OrderTime::Arrival,
        logons_min: 1,
        subscriptions_min: 1,
    };
    let mut scene = scene_of(a_small_market(), &["A"], face);
    scene.clients[0].order("one", "1", "100.00", "0.005", &[(59, "1"), (18, "6")]);
    scene.run(20_000_000);
    assert!(scene.clients[0].take().is_empty(), "the tape waits for a subscription");
    scene.clients[0].subscribe("BTC");
    scene.run(20_000_000);
    let told = scene.clients[0].take();
    let is_taken = |m: &BTreeMap<u32, String>| m.get(&150).is_some_and(|kind| kind == "0");
    assert!(told.iter().any(is_taken), "{told:?}");
    // Five milliseconds of the wall are ten of the tape's: the trade is due.
    for _ in 0..50 {
        scene.venue.turn(Nanos(START + 5_000_000));
        scene.clients[0].turn();
    }
    let told = scene.clients[0].take();
    assert_eq!(field(&told, tag::MD_ENTRY_PX).last(), Some(&"99.99"), "{told:?}");
}

#[test]
fn the_tape_never_runs_past_its_pace() {
    let mut scene = scene(a_small_market(), &["A"]);
    scene.run(9_999_999);
    assert_eq!(scene.venue.playback().exchange().now(), Nanos(START));
    scene.run(10_000_000);
    assert_eq!(scene.venue.playback().exchange().now(), Nanos(START + 10_000_000));
}

#[test]
fn a_client_that_reads_in_drops_ends_with_the_tapes_book() {
    let mut options = SyntheticOptions::new(9, Some(2_000_000_000));
    options.start = Nanos(START);
    let mut scene = scene(Synthetic::new(&[spot(0, 0)], options), &["A"]);
    scene.clients[0].connection.transport_mut().fragment(3, 700);
    scene.clients[0].subscribe("BTC");
    scene.run(u64::MAX - START);
    for _ in 0..4_000 {
        scene.venue.turn(Nanos(START));
        scene.clients[0].turn();
    }
    assert!(scene.venue.is_over());
    let mut book: [BTreeMap<String, String>; 2] = Default::default();
    for bytes in &scene.clients[0].heard {
        let mut decoder = Decoder::new(4096);
        let message = decoder.decode(bytes).unwrap();
        let is_snapshot = message.msg_type() == b"W";
        let first = if is_snapshot { tag::MD_ENTRY_TYPE } else { tag::MD_UPDATE_ACTION };
        if is_snapshot {
            book = Default::default();
        }
        for entry in message.group(tag::NO_MD_ENTRIES, first).unwrap() {
            let side = match entry.char(tag::MD_ENTRY_TYPE).unwrap() {
                b'0' => 0,
                b'1' => 1,
                _ => continue,
            };
            let text = |tag| String::from_utf8(entry.text(tag).unwrap().to_vec()).unwrap();
            if entry.get(tag::MD_UPDATE_ACTION) == Some(b"2") {
                book[side].remove(&text(tag::MD_ENTRY_PX));
            } else {
                book[side].insert(text(tag::MD_ENTRY_PX), text(tag::MD_ENTRY_SIZE));
            }
        }
    }
    let listed = spot(0, 0);
    let shown = scene.venue.playback().exchange().market(InstrumentId(0)).unwrap().book();
    for side in Side::BOTH {
        let levels: BTreeMap<String, String> = shown
            .from_best(side)
            .map(|(price, size)| (listed.price_text(price), listed.size_text(size)))
            .collect();
        assert_eq!(book[side.index()], levels);
    }
}
