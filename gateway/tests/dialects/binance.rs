//! Our stages against a peer that keeps Binance's rules (fix-api.md) over TLS: Logon signatures
//! verified with the public key alone, tags, sequence, limits; what it refuses fails the test.

use crate::venue_peer;
use crate::venue_peer::{Fields, Peer, Venue, World, desk, feed, tls};
use crate::wire;
use ballast_engine::event::{ClOrdId, MarketUpdate, OrderAction, OrderUpdate};
use ballast_engine::stage::Stage;
use ballast_engine::units::{Lots, Ticks};
use ballast_gateway::order_entry::OWN_IDS;
use ballast_gateway::session::{Role, SessionConfig};
use ballast_gateway::venue::binance::{Binance, BinanceSession, RULES};
use ballast_gateway::venue::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

const API_KEY: &str = "an-api-key";
const HEADER: [u32; 6] = [35, 34, 49, 52, 56, 25000];

/// The venue as its documents have it.
struct Exchange {
    public_key: Vec<u8>,
    session: BinanceSession,
    messages: usize,
    is_logged_on: bool,
    signatures: Vec<String>,
    /// What works: ClOrdID(11), the fields of its report, OrderQty(38), CumQty(14).
    open: Vec<(String, Fields, f64, f64)>,
    /// What the venue does not do today.
    refuses_new: bool,
    refuses_amendments: bool,
}

/// `^[a-zA-Z0-9-_]{1,36}$`.
fn is_client_id(text: &str) -> bool {
    (1..=36).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl Exchange {
    fn new(public_key: Vec<u8>, session: BinanceSession) -> Exchange {
        Exchange {
            public_key,
            session,
            messages: 0,
            is_logged_on: false,
            signatures: Vec::new(),
            open: Vec::new(),
            refuses_new: false,
            refuses_amendments: false,
        }
    }

    fn find(&self, id: &str) -> Option<usize> {
        self.open.iter().position(|(open, ..)| open == id)
    }

    /// The report of a cancelled order: 11 is the request's, 41 the order's.
    fn cancelled(&mut self, peer: &mut Peer, place: usize, request: &str) {
        let (order, fields, qty, cum) = self.open.remove(place);
        peer.say(&format!(
            "8|11={request}|14={cum:.3}|17=C{request}{order}|32=0.000|37=7|38={qty:.3}|39=4|40=2|41={order}|\
             44={}|54={}|55={}|150=4|151=0.000",
            fields.need(44), fields.need(54), fields.need(55)
        ));
    }

    fn renew(&mut self, peer: &mut Peer, request: &Fields) {
        let known = [11, 18, 38, 40, 41, 44, 54, 55, 25002, 25033, 25034, 25038];
        peer.know_only(request, &known);
        peer.demand(request, &[25033, 11, 40, 54, 55, 38, 44, 41, 25034]);
        let [order, id, cancel] = [41, 11, 25034].map(|tag| request.need(tag));
        if [order, id, cancel].iter().any(|id| !is_client_id(id)) || id == cancel {
            peer.refuse("client order ids");
        }
        let is_limit_maker = request.need(40) == "2" && request.get(18) == Some("6");
        if !is_limit_maker || !["1", "2"].contains(&request.need(25033)) {
            peer.refuse("no limit maker order, or no mode");
        }
        let place = self.find(order);
        let is_restricted =
            |place: &usize| request.get(25002) == Some("1") && self.open[*place].3 > 0.0;
        let Some(place) = place.filter(|place| !is_restricted(place)) else {
            let text = "9|434=1|25016=-2011|58=Order was not canceled due to cancel restrictions.";
            peer.say(&format!("{text}|11={cancel}|41={order}|55={}", request.need(55)));
            assert_eq!(request.need(25033), "1", "else the new order would be placed");
            return;
        };
        self.cancelled(peer, place, cancel);
        if self.refuses_new {
            let text = "150=8|39=8|14=0|32=0|40=2|25016=-2010|58=Account has insufficient balance";
            peer.say(&format!("8|11={id}|{text}|54={}|55={}", request.need(54), request.need(55)));
            return;
        }
        self.open_one(request);
        peer.say(&report(request, "0", "0", ("0.000", request.need(38)), "151=1|"));
    }

    fn open_one(&mut self, order: &Fields) {
        let qty = order.need(38).parse().unwrap();
        self.open.push((order.need(11).to_owned(), order.clone(), qty, 0.0));
    }

    /// OrderAmendKeepPriorityRequest: a smaller OrderQty(38), nothing else.
    fn amend(&mut self, peer: &mut Peer, request: &Fields) {
        peer.know_only(request, &[11, 41, 37, 55, 38]);
        peer.demand(request, &[11, 41, 55, 38]);
        let (id, order) = (request.need(11), request.need(41));
        let wanted: f64 = request.need(38).parse().unwrap();
        let place = self.find(order).filter(|place| {
            !self.refuses_amendments && wanted < self.open[*place].2 && wanted > self.open[*place].3
        });
        let Some(place) = place else {
            peer.say(&format!(
                "XAR|11={id}|41={order}|55={}|38={}|25016=-2038|58=The requested action would change no state",
                request.need(55), request.need(38)
            ));
            return;
        };
        let (name, fields, qty, cum) = &mut self.open[place];
        (*name, *qty) = (id.to_owned(), wanted);
        let status = if *cum > 0.0 { "1" } else { "0" };
        peer.say(&format!(
            "8|11={id}|41={order}|14={cum:.3}|17=R{id}|32=0.000|37=7|38={wanted:.3}|39={status}|40=2|44={}|\
             54={}|55={}|150=5|151={:.3}",
            fields.need(44), fields.need(54), fields.need(55), wanted - *cum
        ));
    }

    fn mass_cancel(&mut self, peer: &mut Peer, request: &Fields) {
        peer.know_only(request, &[11, 55, 530]);
        peer.demand(request, &[11, 55, 530]);
        if request.need(530) != "1" {
            peer.refuse("MassCancelRequestType(530) is 1");
        }
        let (id, symbol) = (request.need(11), request.need(55));
        let count = self.open.len();
        while let Some(place) = self.open.iter().position(|(_, f, ..)| f.need(55) == symbol) {
            self.cancelled(peer, place, id);
        }
        let count = count - self.open.len();
        peer.say(&format!("r|11={id}|55={symbol}|530=1|531=1|533={count}"));
    }

    fn logon(&mut self, peer: &mut Peer, logon: &Fields) {
        peer.names.1 = logon.need(49).to_owned();
        let mut known = vec![98, 108, 95, 96, 141, 553, 25035, 9406];
        if (logon.get(9406) == Some("Y")) != (self.session == BinanceSession::DropCopy) {
            peer.refuse("DropCopyFlag(9406) is Y on a drop copy session, and there alone");
        }
        known.extend((self.session == BinanceSession::OrderEntry).then_some(25036));
        peer.know_only(logon, &known);
        peer.demand(logon, &[98, 108, 95, 96, 141, 553, 25035]);
        let is_name = |text: &str| {
            (1..=8).contains(&text.len())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        };
        let heartbeat: u32 = logon.need(108).parse().unwrap();
        for (is_so, rule) in [
            (is_name(logon.need(49)), "SenderCompID(49)"),
            (logon.need(56) == "SPOT", "TargetCompID(56) is SPOT"),
            (logon.need(34) == "1", "MsgSeqNum(34) is 1"),
            (logon.need(98) == "0", "EncryptMethod(98) is 0"),
            ((5..=60).contains(&heartbeat), "HeartBtInt(108) is 5 to 60"),
            (logon.need(141) == "Y", "ResetSeqNumFlag(141) is Y"),
            (["1", "2"].contains(&logon.need(25035)), "MessageHandling(25035)"),
            (logon.need(553) == API_KEY, "Username(553)"),
            (logon.need(95) == logon.need(96).len().to_string(), "RawDataLength(95)"),
        ] {
            if !is_so {
                peer.refuse(rule);
            }
        }
        let signed = [35, 49, 56, 34, 52].map(|tag| logon.need(tag)).join("\x01");
        let signature = STANDARD.decode(logon.need(96)).unwrap();
        let key = UnparsedPublicKey::new(&ED25519, &self.public_key);
        if key.verify(signed.as_bytes(), &signature).is_err() {
            peer.refuse("Signature for this request is not valid");
        }
        if self.signatures.iter().any(|known| known == logon.need(96)) {
            peer.refuse("this signature was seen before");
        }
        self.signatures.push(logon.need(96).to_owned());
        self.is_logged_on = true;
        self.messages = 1;
        peer.say("A|98=0|108=30|25037=4392a152-3481-4499-921a-6d42c50702e2");
    }

    fn order(&mut self, peer: &mut Peer, order: &Fields) {
        peer.know_only(order, &[11, 38, 40, 18, 44, 54, 55, 59, 25001]);
        peer.demand(order, &[11, 40, 54, 55, 38, 44]);
        // LIMIT_MAKER is 40=2 with 18=6 and no TimeInForce(59).
        if order.get(18).is_some() == order.get(59).is_some() {
            peer.refuse("either post-only or a TimeInForce(59)");
        }
        for tag in [38, 44] {
            // At most the digits of the symbol's grid.
            if order.need(tag).parse::<f64>().is_err() {
                peer.refuse("not a fixed-point number");
            }
        }
        self.open_one(order);
        if self.messages < 100 {
            peer.say(&report(order, "0", "0", ("0", order.need(38)), "151=1|"));
        }
    }

    fn cancel(&mut self, peer: &mut Peer, cancel: &Fields) {
        peer.know_only(cancel, &[11, 41, 37, 55, 25002]);
        peer.demand(cancel, &[11, 41, 55]);
        let (id, order) = (cancel.need(11), cancel.need(41));
        match self.find(order) {
            None => peer.say(&format!(
                "9|11={id}|41={order}|55=BTC|434=1|25016=-2011|58=Unknown order sent."
            )),
            Some(place) => self.cancelled(peer, place, id),
        }
    }

    fn question(&mut self, peer: &mut Peer, question: &Fields) {
        if self.session != BinanceSession::MarketData {
            peer.refuse("market data on the order-entry session");
        }
        peer.know_only(question, &[262, 263, 264, 266, 146, 55, 267, 269]);
        peer.demand(question, &[262, 263, 264, 146, 55, 267, 269]);
        let depth: u32 = question.need(264).parse().unwrap();
        let types: Vec<_> = question.0.iter().filter(|(tag, _)| *tag == 269).collect();
        let is_trades = types.iter().any(|(_, kind)| kind == "2");
        if is_trades && types.len() > 1 {
            peer.refuse("trades are a stream of their own");
        }
        if !(2..=5000).contains(&depth) {
            peer.refuse("MarketDepth(264) is 2 to 5000");
        }
        if question.need(263) == "1" && !is_trades {
            let id = question.need(262);
            peer.say(&format!(
                "W|262={id}|55=BTC|25044=1|268=2|269=0|270=10.01|271=1.5|269=1|270=10.03|271=2"
            ));
        }
    }
}

/// An ExecutionReport(8) as the venue's samples have it.
fn report(
    order: &Fields,
    exec_type: &str,
    status: &str,
    (cum, leaves): (&str, &str),
    more: &str,
) -> String {
    format!(
        "8|11={}|14={cum}|17=E{}{exec_type}{cum}|32=0|37=7|38={}|39={status}|40=2|44={}|54=1|55={}|\
         60=20240808-23:59:59.000000|150={exec_type}|{}151={leaves}",
        order.need(11),
        order.need(11),
        order.need(38),
        order.need(44),
        order.need(55),
        more.replace("151=1|", "636=Y|")
    )
}

impl Venue for Exchange {
    fn hear(&mut self, peer: &mut Peer, message: &Fields) {
        if message.0.iter().any(|(tag, value)| value.is_empty() || !value.is_ascii() || *tag == 0) {
            peer.refuse("only printable ASCII");
        }
        if message.0.iter().take(5).any(|(tag, _)| !HEADER.contains(tag)) {
            peer.refuse("the header comes first");
        }
        self.messages += 1;
        if self.messages > 10_000 {
            peer.refuse("more than 10,000 messages in 10 s");
        }
        if self.session == BinanceSession::DropCopy
            && !["A", "0", "1", "5"].contains(&message.msg_type())
        {
            peer.refuse("a drop copy session takes no application message");
        }
        match message.msg_type() {
            "A" => self.logon(peer, message),
            _ if !self.is_logged_on => peer.refuse("Logon first"),
            "D" => self.order(peer, message),
            "F" => self.cancel(peer, message),
            "XCN" => self.renew(peer, message),
            "XAK" => self.amend(peer, message),
            "q" => self.mass_cancel(peer, message),
            "V" => self.question(peer, message),
            "0" | "5" => {}
            other => peer.refuse(&format!("MsgType(35) {other} is not taken")),
        }
    }
}

/// A key as the venue's guide makes it: PKCS#8, PEM.
fn key() -> (Secret, Vec<u8>) {
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap();
    let body = STANDARD.encode(der.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    (Secret::from_bytes(pem.as_bytes()), pair.public_key().as_ref().to_vec())
}

fn session(secret: &Secret, session: BinanceSession) -> SessionConfig {
    let mut config = SessionConfig::new(Role::Initiator, "DESK-1", "SPOT");
    Binance::demand(&mut config);
    config.dialect = Box::new(Binance::new(API_KEY, secret, session).unwrap());
    config
}

fn world(kind: BinanceSession) -> (World<Exchange>, venue_peer::Desk) {
    let (peer, client, folder) = tls("SPOT");
    let (secret, public_key) = key();
    let instrument = wire::instrument(0, "BTC");
    let mut desk = desk(&peer, client, session(&secret, kind), (&instrument, RULES));
    let venue = Exchange::new(public_key, kind);
    let mut world = World::new(peer, venue, folder);
    world.settle(&mut desk.stage);
    world.peer.check();
    assert_eq!(desk.names(), ["SessionReconciling", "SessionUp"]);
    (world, desk)
}

#[test]
fn an_order_lives_and_dies_by_the_venues_rules() {
    let (mut world, mut desk) = world(BinanceSession::OrderEntry);
    desk.order(OrderAction::New, 11, 0, (1000, 1000));
    world.settle(&mut desk.stage);
    assert_eq!(desk.names(), ["New"]);
    let order = world.take_seen().pop().unwrap();
    world.peer.say(&report(&order, "F", "1", ("0.400", "0.600"), "31=9.99|32=0.4|1057=N|"));
    world.venue.open[0].3 = 0.4;
    world.settle(&mut desk.stage);
    let events = desk.events();
    let OrderUpdate::Fill { last_px, last_qty, cum_qty, .. } = events[0].update else {
        panic!("{events:?}")
    };
    assert_eq!((last_px, last_qty, cum_qty), (Ticks(999), Lots(400), Lots(400)));
    // It has traded: the order goes, and the maker, told so, sends another.
    desk.order(OrderAction::Replace, 12, 11, (999, 1000));
    world.settle(&mut desk.stage);
    let events = desk.events();
    assert!(matches!(events[0].update, OrderUpdate::Canceled { .. }), "{events:?}");
    assert_eq!((events[0].cl_ord_id.0, events[0].orig_cl_ord_id.0), (12, 11));
    desk.order(OrderAction::New, 13, 0, (999, 600));
    world.settle(&mut desk.stage);
    assert_eq!(desk.names(), ["New"]);
    desk.order(OrderAction::Cancel, 15, 13, (1000, 1000));
    world.settle(&mut desk.stage);
    assert_eq!(desk.names(), ["Canceled"]);
    desk.order(OrderAction::Cancel, 14, 999, (1000, 1000));
    world.settle(&mut desk.stage);
    assert_eq!(desk.names(), ["CancelRejected"]);
    assert_eq!(desk.stage.desk().live().live_count(), 0);
    world.peer.check();
}

#[test]
fn a_gap_ends_the_session_and_the_next_logon_cancels_what_is_out() {
    let (mut world, mut desk) = world(BinanceSession::OrderEntry);
    desk.order(OrderAction::New, 11, 0, (1000, 1000));
    world.settle(&mut desk.stage);
    assert_eq!(desk.names(), ["New"]);
    world.take_seen();
    world.peer.lose_one();
    world.peer.say("0");
    world.settle(&mut desk.stage);
    // Down, up again with numbers from 1 and another signature, and the orders are cancelled by us, symbol by symbol,
    // because the venue lets orders outlive the session. No ResendRequest(2): the venue has none.
    assert_eq!(desk.names(), ["SessionDown", "SessionReconciling", "Canceled", "SessionUp"]);
    let seen = world.take_seen();
    let types: Vec<_> = seen.iter().map(Fields::msg_type).filter(|kind| *kind != "5").collect();
    assert_eq!(types, ["A", "q"]);
    let own = ClOrdId::new(1, OWN_IDS | 1).0.to_string();
    assert_eq!(seen.last().unwrap().need(11), own);
    assert_eq!((world.peer.connections, world.venue.signatures.len()), (2, 2));
    world.peer.check();
}

#[test]
fn the_venues_limit_is_kept_before_the_socket_and_cancels_have_their_reserve() {
    let (mut world, mut desk) = world(BinanceSession::OrderEntry);
    for id in 1..=9_500 {
        desk.order(OrderAction::New, id, 0, (1000, 1000));
    }
    world.settle(&mut desk.stage);
    let names = desk.names();
    assert_eq!(
        names.iter().filter(|name| *name == "Unsent").count(),
        511,
        "the Logon counts as well"
    );
    assert_eq!(desk.stage.counts().throttled, 511);
    for id in 1..=1000 {
        desk.order(OrderAction::Cancel, 20_000 + id, id, (1000, 1000));
    }
    world.settle(&mut desk.stage);
    assert_eq!(desk.stage.counts().throttled, 511, "cancels have a reserve");
    // What is left of the venue's 10,000 is for heartbeats.
    assert_eq!(world.venue.messages, 1 + 8_989 + 1_000);
    world.peer.check();
}

#[test]
fn book_and_trades_are_asked_for_apart_and_believed_once_the_snapshot_is_there() {
    let (peer, client, folder) = tls("SPOT");
    let (secret, public_key) = key();
    let instrument = wire::instrument(0, "BTC");
    let config = session(&secret, BinanceSession::MarketData);
    let (mut stage, mut events) = feed(&peer, client, config, (&instrument, RULES));
    let venue = Exchange::new(public_key, BinanceSession::MarketData);
    let mut world = World::new(peer, venue, folder);
    world.settle(&mut stage);
    world.peer.check();
    let questions = world.take_seen();
    let questions: Vec<_> = questions.iter().filter(|m| m.msg_type() == "V").collect();
    assert_eq!(questions.len(), 2, "book, trades");
    assert_eq!(stage.counts().snapshots, 1);
    let (book, trades) = (questions[0].need(262), questions[1].need(262));
    // Symbol(55) stands in the first entry alone.
    world.peer.say(&format!(
        "X|262={book}|268=2|279=1|269=0|270=10.01|271=3|55=BTC|25043=2|25044=2|279=0|269=1|\
         270=10.02|271=1"
    ));
    world.peer.say(&format!(
        "X|262={trades}|268=1|279=0|269=2|270=10.02|271=0.5|55=BTC|60={}|1003=9|2446=1",
        venue_peer::SENDING_TIME
    ));
    world.settle(&mut stage);
    assert_eq!((stage.counts().increments, stage.counts().breaches), (2, 0));
    let events: Vec<_> = std::iter::from_fn(|| events.pop()).collect();
    let is_trade = |update: &MarketUpdate| matches!(update, MarketUpdate::Trade { .. });
    assert_eq!(events.iter().filter(|event| is_trade(&event.update)).count(), 1, "{events:?}");
    assert_eq!(stage.counts().aggressors_inferred, 0);
    world.peer.lose_one();
    world.peer.say("0");
    world.settle(&mut stage);
    assert_eq!(world.peer.connections, 2, "a gap means a new connection and a new snapshot");
    assert_eq!(stage.counts().snapshots, 2);
    world.peer.check();
}

/// An order 11 that works at 10.00 for 1.000.
fn working() -> (World<Exchange>, venue_peer::Desk) {
    let (mut world, mut desk) = world(BinanceSession::OrderEntry);
    desk.order(OrderAction::New, 11, 0, (1000, 1000));
    world.settle(&mut desk.stage);
    assert_eq!(desk.names(), ["New"]);
    world.take_seen();
    (world, desk)
}

fn types(seen: &[Fields]) -> Vec<&str> {
    seen.iter().map(Fields::msg_type).collect()
}

#[test]
fn a_replace_is_cancel_and_new_in_one_and_told_once_both_halves_are_answered() {
    let (mut world, mut desk) = working();
    desk.order(OrderAction::Replace, 12, 11, (999, 1500));
    world.settle(&mut desk.stage);
    let events = desk.events();
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!((event.cl_ord_id.0, event.orig_cl_ord_id.0), (12, 11));
    assert_eq!(event.update, OrderUpdate::Replaced { price: Ticks(999), leaves_qty: Lots(1500) });
    let seen = world.take_seen();
    assert_eq!(types(&seen), ["XCN"]);
    let terms = [38, 44, 25002, 25033, 25034, 25038].map(|tag| seen[0].need(tag));
    assert_eq!(terms, ["1.500", "9.99", "1", "1", "-12", "2"]);
    // It goes by the new name from here on, and can be moved again.
    desk.order(OrderAction::Replace, 13, 12, (998, 1500));
    desk.order(OrderAction::Cancel, 14, 13, (998, 1500));
    world.settle(&mut desk.stage);
    assert_eq!(desk.names(), ["Replaced", "Canceled"]);
    assert_eq!(desk.stage.desk().live().live_count(), 0);
    world.peer.check();
}

#[test]
fn what_only_shrinks_keeps_its_place_in_the_queue() {
    let (mut world, mut desk) = working();
    desk.order(OrderAction::Replace, 12, 11, (1000, 600));
    world.settle(&mut desk.stage);
    let events = desk.events();
    assert_eq!(
        events[0].update,
        OrderUpdate::Replaced { price: Ticks(1000), leaves_qty: Lots(600) }
    );
    assert_eq!(types(&world.take_seen()), ["XAK"]);
    // Also where it has traded: OrderQty(38) counts what has.
    let order = world.venue.open[0].1.clone();
    let order = Fields(
        order.0.into_iter().map(|(t, v)| (t, if t == 11 { "12".into() } else { v })).collect(),
    );
    world.peer.say(&report(&order, "F", "1", ("0.200", "0.400"), "31=10.00|32=0.2|1057=N|"));
    world.venue.open[0].3 = 0.2;
    world.settle(&mut desk.stage);
    assert_eq!(desk.names(), ["Fill"]);
    desk.order(OrderAction::Replace, 13, 12, (1000, 500));
    world.settle(&mut desk.stage);
    let events = desk.events();
    assert_eq!(
        events[0].update,
        OrderUpdate::Replaced { price: Ticks(1000), leaves_qty: Lots(300) }
    );
    world.peer.check();
}

#[test]
fn a_symbol_that_takes_no_amendment_is_not_asked_for_a_second() {
    let (mut world, mut desk) = working();
    world.venue.refuses_amendments = true;
    desk.order(OrderAction::Replace, 12, 11, (1000, 600));
    world.settle(&mut desk.stage);
    assert_eq!(desk.names(), ["CancelRejected"], "the order stands as it was");
    desk.order(OrderAction::Replace, 13, 11, (1000, 600));
    world.settle(&mut desk.stage);
    assert_eq!(desk.names(), ["Replaced"]);
    assert_eq!(types(&world.take_seen()), ["XAK", "XCN"]);
    world.peer.check();
}

#[test]
fn a_fill_on_its_way_while_the_replace_is_stops_it_and_nothing_is_bought_twice() {
    let (mut world, mut desk) = working();
    // The venue has traded 0.4 of it; we do not know yet.
    world.venue.open[0].3 = 0.4;
    desk.order(OrderAction::Replace, 12, 11, (999, 1000));
    world.settle(&mut desk.stage);
    assert_eq!(desk.names(), ["CancelRejected"]);
    assert_eq!(world.venue.open.len(), 1, "no second order");
    let order = world.venue.open[0].1.clone();
    world.peer.say(&report(&order, "F", "1", ("0.400", "0.600"), "31=10.00|32=0.4|1057=N|"));
    world.settle(&mut desk.stage);
    assert_eq!(desk.names(), ["Fill"]);
    // What has traded is cancelled; the maker sends a new one once that is answered.
    desk.order(OrderAction::Replace, 13, 11, (999, 1000));
    world.settle(&mut desk.stage);
    assert_eq!(desk.names(), ["Canceled"]);
    assert_eq!(types(&world.take_seen()), ["XCN", "F"]);
    world.peer.check();
}

#[test]
fn a_new_order_that_is_refused_behind_its_cancel_leaves_no_order() {
    let (mut world, mut desk) = working();
    world.venue.refuses_new = true;
    desk.order(OrderAction::Replace, 12, 11, (999, 1000));
    world.settle(&mut desk.stage);
    let events = desk.events();
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!((event.cl_ord_id.0, event.orig_cl_ord_id.0), (12, 11));
    assert_eq!(event.update, OrderUpdate::Canceled { cum_qty: Lots(0) });
    assert_eq!((desk.stage.desk().live().live_count(), world.venue.open.len()), (0, 0));
    world.peer.check();
}

#[test]
fn a_session_lost_between_the_halves_leaves_the_order_in_doubt_until_all_are_cancelled() {
    let (mut world, mut desk) = working();
    // The answer to the cancel comes, the one to the new order is lost.
    let place = 0;
    let (_, fields, ..) = world.venue.open[place].clone();
    world.venue.open.push(("12".into(), fields.clone(), 1.0, 0.0));
    desk.order(OrderAction::Replace, 12, 11, (999, 1000));
    desk.stage.turn(world.now);
    world.venue.cancelled(&mut world.peer, place, "-12");
    for _ in 0..20 {
        world.peer.wait();
        desk.stage.turn(world.now);
    }
    assert_eq!(desk.names(), Vec::<String>::new(), "half of an answer is none");
    assert_eq!(desk.stage.desk().live().live_count(), 1);
    // XCN itself is heard only now, and refused by nobody: the venue had it done.
    world.peer.turn();
    world.peer.lose_one();
    world.peer.say("0");
    world.settle(&mut desk.stage);
    assert_eq!(desk.names(), ["SessionDown", "SessionReconciling", "Canceled", "SessionUp"]);
    assert_eq!((desk.stage.desk().live().live_count(), world.venue.open.len()), (0, 0));
    world.peer.check();
}
