//! Our stages against a peer that keeps Deribit's rules over TLS: passwords checked with another
//! SHA-256, timestamps that must grow, nonces that must not repeat, sizes in whole contracts, reports
//! that are statuses under the venue's own ids. What it refuses fails the test.

use crate::venue_peer;
use crate::venue_peer::{Desk, Fields, Peer, Venue, World, desk, feed, tls};
use ballast_engine::event::{OrderAction, OrderUpdate, VenueId};
use ballast_engine::instrument::{
    Currency, Instrument, InstrumentKind, InstrumentSpec, Underlying,
};
use ballast_engine::option_terms::{Delivery, ExerciseStyle, OptionTerms, OptionType};
use ballast_engine::units::{Decimal, FeeRate, Lots, Nanos, Ticks};
use ballast_gateway::order_entry::status::OrdStatus;
use ballast_gateway::session::{Role, SessionConfig};
use ballast_gateway::venue::deribit::{Deribit, RULES};
use ballast_gateway::venue::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

const SECRET: &str = "access-secret";
const SYMBOL: &str = "BTC-PERPETUAL";
const OPTION: &str = "BTC-27MAR26-90000-C";

/// BTC-PERPETUAL: a contract is 10 USD, the tick half a dollar.
fn instrument() -> Instrument {
    let spec = InstrumentSpec {
        symbol: SYMBOL.into(),
        venue: VenueId(0),
        underlying: Underlying(0),
        kind: InstrumentKind::InversePerpetual,
        tick: "0.5".parse().unwrap(),
        lot: "1".parse().unwrap(),
        multiplier: "10".parse().unwrap(),
        base: Currency(0),
        quote: Currency(1),
        settlement: Currency(0),
        maker_fee: FeeRate(0),
        taker_fee: FeeRate(0),
    };
    Instrument::new(ballast_engine::event::InstrumentId(0), spec).unwrap()
}

/// A call on a bitcoin, whose premium is in bitcoin: a contract is one, a tenth of it the least.
fn option() -> Instrument {
    let terms = OptionTerms {
        option_type: OptionType::Call,
        strike: "90000".parse().unwrap(),
        expiry: Nanos(1_774_598_400_000_000_000),
        style: ExerciseStyle::European,
        delivery: Delivery::Coin,
    };
    let spec = InstrumentSpec {
        symbol: OPTION.into(),
        kind: InstrumentKind::Option(terms),
        tick: "0.0001".parse().unwrap(),
        lot: "0.1".parse().unwrap(),
        multiplier: "1".parse().unwrap(),
        quote: Currency(0),
        ..instrument().spec().clone()
    };
    Instrument::new(ballast_engine::event::InstrumentId(0), spec).unwrap()
}

/// A decimal text in 1e-4.
fn fine(text: &str) -> i64 {
    let decimal: Decimal = text.parse().unwrap();
    decimal.count_of(Decimal { mantissa: 1, scale: 4 }).unwrap()
}

/// An order in the venue's book, its terms as they were written.
#[derive(Clone)]
struct Working {
    symbol: String,
    id: String,
    size: String,
    price: String,
}

#[derive(Default)]
struct Exchange {
    last_ms: u64,
    nonces: Vec<String>,
    is_logged_on: bool,
    /// What works, by the name that it was sent under: gone with the session.
    open: Vec<Working>,
    /// What was cancelled with a session, and how much of it had traded at which average.
    closed: Vec<(Working, (&'static str, &'static str))>,
    /// It trades of what works as the session ends, this much at this average.
    trades_at_the_end: Option<(&'static str, &'static str)>,
    /// It knows of no order when it is asked about one.
    is_forgetful: bool,
    /// The group of PositionReport(AP); without it AN is not answered.
    positions: Option<&'static str>,
}

impl Exchange {
    fn logon(&mut self, peer: &mut Peer, logon: &Fields) {
        peer.names.1 = logon.need(49).to_owned();
        peer.know_only(logon, &[98, 108, 95, 96, 141, 553, 554, 9001]);
        peer.demand(logon, &[108, 96, 553, 554, 9001]);
        let (ms, nonce) = logon.need(96).split_once('.').unwrap();
        let ms: u64 = ms.parse().unwrap();
        let expected = Sha256::digest(format!("{}{SECRET}", logon.need(96)));
        for (is_so, rule) in [
            (logon.need(56) == "DERIBITSERVER", "TargetCompID(56)"),
            (logon.need(34) == "1", "MsgSeqNum(34) starts with 1"),
            (logon.need(553) == "client-id", "Username(553)"),
            (logon.need(554) == STANDARD.encode(expected), "Password(554)"),
            (ms > self.last_ms, "the timestamp is strictly increasing"),
            (STANDARD.decode(nonce).is_ok_and(|n| n.len() >= 32), "a nonce of 32 bytes"),
            (!self.nonces.iter().any(|known| known == nonce), "a nonce that was seen"),
            (logon.need(9001) == "Y", "we want CancelOnDisconnect(9001)"),
        ] {
            if !is_so {
                peer.refuse(rule);
            }
        }
        self.last_ms = ms;
        self.nonces.push(nonce.to_owned());
        self.is_logged_on = true;
        let traded = self.trades_at_the_end.unwrap_or(("0", "0"));
        self.closed.extend(self.open.drain(..).map(|order| (order, traded)));
        // It echoes the Logon.
        peer.say(&format!("A|98=0|108={}|141=Y|553=client-id|9001=Y", logon.need(108)));
    }

    fn order(&mut self, peer: &mut Peer, order: &Fields) {
        peer.know_only(order, &[11, 54, 38, 44, 55, 18, 40, 59]);
        peer.demand(order, &[11, 54, 38, 44, 55]);
        let (size, price) = (fine(order.need(38)), fine(order.need(44)));
        match order.need(55) {
            SYMBOL if order.need(38).parse::<u64>().is_err() => {
                peer.refuse("OrderQty(38) is a count of contracts");
            }
            OPTION if size % 1_000 != 0 => peer.refuse("tenths of a contract"),
            OPTION if price >= 50 && price % 5 != 0 => {
                peer.refuse("from 0.005 on a tick is 0.0005")
            }
            SYMBOL | OPTION => {}
            _ => peer.refuse("unknown instrument"),
        }
        if order.get(18) == Some("6") {
            peer.refuse("a lone 6 lets the venue move the price");
        }
        let text = |tag| order.need(tag).to_owned();
        let working = Working { symbol: text(55), id: text(11), size: text(38), price: text(44) };
        peer.say(&working.status("0", ("0", &working.size), ""));
        self.open.push(working);
    }

    /// Amends: the order is named as it was sent, and keeps that name.
    fn amend(&mut self, peer: &mut Peer, request: &Fields) {
        peer.know_only(request, &[11, 55, 54, 38, 44, 18]);
        peer.demand(request, &[11, 55, 54, 38, 44, 18]);
        if (request.need(54), request.need(18)) != ("1", "6A") {
            peer.refuse("the side stays, and so does post-only");
        }
        let id = request.need(11);
        let Some(order) = self.open.iter_mut().find(|open| open.id == id) else {
            return peer.say(&format!("9|11={id}|39=4|58=already_closed"));
        };
        order.size = request.need(38).to_owned();
        order.price = request.need(44).to_owned();
        peer.say(&order.status("0", ("0", &order.size), "58=success|"));
    }

    fn says(&self, id: &str, status: &str, quantities: (&str, &str), more: &str) -> String {
        let order = self.open.iter().find(|open| open.id == id).unwrap();
        order.status(status, quantities, more)
    }

    fn mass_cancel(&mut self, peer: &mut Peer, request: &Fields) {
        peer.know_only(request, &[11, 530, 100_010, 167, 55, 15, 9031]);
        peer.demand(request, &[11, 530]);
        if request.need(530) != "7" {
            peer.refuse("we want all orders cancelled");
        }
        let count = self.open.len();
        for order in std::mem::take(&mut self.open) {
            peer.say(&order.status("4", ("0", "0"), "58=notification|"));
        }
        peer.say(&format!("r|11={}|530=7|531=7|58=success|533={count}", request.need(11)));
    }

    fn holdings(&mut self, peer: &mut Peer, request: &Fields) {
        peer.know_only(request, &[710, 724, 263, 15]);
        peer.demand(request, &[710, 724]);
        if request.need(724) != "0" {
            peer.refuse("PosReqType(724) is 0");
        }
        if let Some(positions) = self.positions {
            peer.say(&format!("AP|721=r1|710={}|724=0|728=0|{positions}", request.need(710)));
        }
    }

    /// One order by the name that it was sent under, closed or not.
    fn one(&mut self, peer: &mut Peer, request: &Fields) {
        peer.know_only(request, &[55, 584, 585, 9014]);
        peer.demand(request, &[55, 584, 585, 9014]);
        if (request.need(585), request.need(9014), request.need(55)) != ("7", "1", SYMBOL) {
            peer.refuse("585=7 with 9014=1 and Symbol(55) asks by ClOrdID(11)");
        }
        let asked = self.closed.iter().find(|(order, _)| order.id == request.need(584));
        if let Some((order, (cum, average))) = asked.filter(|_| !self.is_forgetful) {
            let left: i64 = order.size.parse::<i64>().unwrap() - cum.parse::<i64>().unwrap();
            let status = if left == 0 { "2" } else { "4" };
            let report = order.status(status, (cum, &left.to_string()), "585=7|");
            peer.say(&report.replace("|6=0", &format!("|6={average}")));
        }
    }

    fn cancel(&mut self, peer: &mut Peer, cancel: &Fields) {
        peer.know_only(cancel, &[11, 55]);
        // By ClOrdID(11) the order is named, and then Symbol(55) is required.
        peer.demand(cancel, &[11, 55]);
        match cancel.need(11) {
            "12" => peer.say("9|11=12|39=2|58=order not found"),
            id if self.open.iter().any(|open| open.id == id) => {
                peer.say(&self.says(id, "4", ("0", "0"), "58=success|"));
                self.open.retain(|open| open.id != id);
            }
            id => peer.say(&format!("9|11={id}|39=4|58=already_closed")),
        }
    }
}

impl Working {
    /// A report about it: the venue's own id in 11, ours in 41, everything a status.
    fn status(&self, status: &str, (cum, leaves): (&str, &str), more: &str) -> String {
        let Working { symbol, id, size, price } = self;
        format!(
            "8|527={id}{status}{cum}|37=777|11=777|41={id}|39={status}|54=1|60={}|12=0|151={leaves}|\
             14={cum}|38={size}|40=2|44={price}|150=I|103=0|55={symbol}|{more}6=0",
            venue_peer::SENDING_TIME
        )
    }
}

impl Venue for Exchange {
    fn hear(&mut self, peer: &mut Peer, message: &Fields) {
        match message.msg_type() {
            "A" => self.logon(peer, message),
            _ if !self.is_logged_on => peer.refuse("Logon first"),
            "D" => self.order(peer, message),
            "F" => self.cancel(peer, message),
            "G" => self.amend(peer, message),
            "q" => self.mass_cancel(peer, message),
            "AF" => self.one(peer, message),
            "AN" => self.holdings(peer, message),
            "V" => {
                peer.know_only(message, &[262, 263, 264, 265, 267, 269, 146, 55]);
                peer.demand(message, &[262, 263, 267, 269, 55]);
                if message.need(263) == "1" {
                    if (message.need(264), message.need(265)) != ("0", "1") {
                        peer.refuse("an incremental subscription is the whole book");
                    }
                    peer.say(&format!(
                        "W|55={SYMBOL}|262={}|268=2|269=0|270=59999.5|271=100|269=1|270=60000.0|271=50",
                        message.need(262)
                    ));
                }
            }
            "0" | "2" | "5" => {}
            other => peer.refuse(&format!("MsgType(35) {other} is not taken")),
        }
    }
}

fn session() -> SessionConfig {
    let mut config = SessionConfig::new(Role::Initiator, "DESK", "DERIBITSERVER");
    Deribit::demand(&mut config);
    let secret = Secret::from_bytes(SECRET.as_bytes());
    config.dialect = Box::new(Deribit::new("client-id", secret));
    config
}

fn world() -> (World<Exchange>, Desk) {
    world_holding("702=0|")
}

fn world_holding(positions: &'static str) -> (World<Exchange>, Desk) {
    world_of(&instrument(), positions)
}

fn world_of(traded: &Instrument, positions: &'static str) -> (World<Exchange>, Desk) {
    let (peer, client, folder) = tls("DERIBITSERVER");
    let mut desk = desk(&peer, client, session(), (traded, RULES));
    let exchange = Exchange { positions: Some(positions), ..Exchange::default() };
    let mut world = World::new(peer, exchange, folder);
    world.settle(&mut desk.stage);
    world.peer.check();
    assert_eq!(desk.names().last().unwrap(), "SessionUp");
    (world, desk)
}

#[test]
fn statuses_under_the_venues_ids_become_our_orders_events() {
    let (mut world, mut desk) = world();
    desk.order(OrderAction::New, 11, 0, (120_000, 50));
    world.settle(&mut desk.stage);
    let events = desk.events();
    assert_eq!(events[0].update, OrderUpdate::New { leaves_qty: Lots(50) });
    assert_eq!(events[0].cl_ord_id.0, 11);
    let order = world.take_seen().pop().unwrap();
    assert_eq!((order.need(38), order.need(44), order.need(18)), ("50", "60000.0", "6A"));
    // A fill: no LastQty(32), its price in the group of fills.
    let fill = "1362=1|1363=F1|1364=59999.5|1365=20|";
    world.peer.say(&world.venue.says("11", "1", ("20", "30"), fill));
    // The same status told again is no second fill.
    let again = world.venue.says("11", "1", ("20", "30"), "").replace("527=", "527=again");
    world.peer.say(&again);
    world.settle(&mut desk.stage);
    let events = desk.events();
    let OrderUpdate::Fill { last_px, last_qty, cum_qty, leaves_qty, .. } = events[0].update else {
        panic!("{events:?}")
    };
    assert_eq!((last_px, last_qty), (Ticks(119_999), Lots(20)));
    assert_eq!((cum_qty, leaves_qty), (Lots(20), Lots(30)));
    let again = events[1].update;
    assert!(matches!(again, OrderUpdate::Status { is_gone: false, cum_qty: Lots(20), .. }));
    // A status of before the fill comes late: what traded stays told, so the next growth is 5 and not 25.
    let late = world.venue.says("11", "0", ("0", "50"), "").replace("527=", "527=late");
    world.peer.say(&late);
    let more = "1362=1|1363=F2|1364=59999.5|1365=5|";
    world.peer.say(&world.venue.says("11", "1", ("25", "25"), more).replace("527=", "527=more"));
    world.settle(&mut desk.stage);
    let after = desk.events();
    let OrderUpdate::Fill { last_qty, cum_qty, .. } = after[1].update else { panic!("{after:?}") };
    assert_eq!((last_qty, cum_qty), (Lots(5), Lots(25)));
    assert_eq!(desk.stage.desk_counts().inexact, 0);
    world.peer.check();
}

#[test]
fn an_option_is_traded_in_tenths_of_a_contract_at_prices_in_coin() {
    let (mut world, mut desk) = world_of(&option(), "702=0|");
    desk.order(OrderAction::New, 11, 0, (55, 3));
    // Below half a hundredth every ten-thousandth is a price.
    desk.order(OrderAction::Replace, 12, 11, (49, 3));
    world.settle(&mut desk.stage);
    let seen = world.take_seen();
    let texts: Vec<_> = seen.iter().map(|m| (m.msg_type(), m.get(44), m.get(38))).collect();
    assert!(texts.contains(&("D", Some("0.0055"), Some("0.3"))), "{texts:?}");
    assert!(texts.contains(&("G", Some("0.0049"), Some("0.3"))), "{texts:?}");
    world.peer.say(&world.venue.says(
        "11",
        "1",
        ("0.2", "0.1"),
        "1362=1|1363=F1|1364=0.0049|1365=0.2|",
    ));
    world.settle(&mut desk.stage);
    let events = desk.events();
    let OrderUpdate::Fill { last_px, last_qty, leaves_qty, .. } = events.last().unwrap().update
    else {
        panic!("{events:?}")
    };
    assert_eq!((last_px, last_qty, leaves_qty), (Ticks(49), Lots(2), Lots(1)));
    assert_eq!(desk.stage.desk_counts().inexact, 0);
    world.peer.check();
}

#[test]
fn a_cancel_names_the_order_and_so_does_its_refusal() {
    let (mut world, mut desk) = world();
    desk.order(OrderAction::New, 11, 0, (120_000, 50));
    desk.order(OrderAction::New, 12, 0, (120_000, 50));
    world.settle(&mut desk.stage);
    assert_eq!(desk.names(), ["New", "New"]);
    desk.order(OrderAction::Cancel, 13, 11, (120_000, 50));
    // Its size is not what is asked for: a replace to the terms that it has is a cancel.
    desk.order(OrderAction::Replace, 14, 12, (120_000, 50));
    world.settle(&mut desk.stage);
    let events = desk.events();
    assert_eq!(events[0].update, OrderUpdate::Canceled { cum_qty: Lots(0) });
    assert_eq!(events[0].cl_ord_id.0, 11);
    // Filled meanwhile, says the refusal of 12, and the fill is yet to be told: it answers request 14.
    assert_eq!((events.len(), desk.stage.desk().live().live_count()), (1, 1), "{events:?}");
    assert_eq!(desk.stage.desk_counts().cancel_rejects, 1);
    world.peer.check();
}

#[test]
fn an_amended_order_is_named_as_it_was_sent_and_told_as_the_maker_names_it() {
    let (mut world, mut desk) = world();
    desk.order(OrderAction::New, 21, 0, (120_000, 50));
    desk.order(OrderAction::Replace, 22, 21, (119_998, 40));
    world.settle(&mut desk.stage);
    let events = desk.events();
    assert_eq!(events[0].update, OrderUpdate::New { leaves_qty: Lots(50) });
    let replaced = OrderUpdate::Replaced { price: Ticks(119_998), leaves_qty: Lots(40) };
    assert_eq!(events[1].update, replaced);
    assert_eq!((events[1].cl_ord_id.0, events[1].orig_cl_ord_id.0, events.len()), (22, 21, 2));
    desk.order(OrderAction::Replace, 23, 22, (119_999, 60));
    world.settle(&mut desk.stage);
    assert_eq!(desk.events()[0].cl_ord_id.0, 23);
    world.peer.say(&world.venue.says(
        "21",
        "1",
        ("20", "40"),
        "1362=1|1363=F1|1364=59999.0|1365=20|",
    ));
    world.settle(&mut desk.stage);
    let events = desk.events();
    assert!(matches!(events[0].update, OrderUpdate::Fill { last_qty: Lots(20), .. }), "{events:?}");
    assert_eq!((events[0].cl_ord_id.0, events.len()), (23, 1));
    world.take_seen();
    desk.order(OrderAction::Cancel, 24, 23, (119_999, 60));
    world.settle(&mut desk.stage);
    assert_eq!(desk.events()[0].cl_ord_id.0, 23);
    assert_eq!(world.take_seen()[0].need(11), "21");
    assert_eq!(desk.stage.desk().live().live_count(), 0);
    world.peer.check();
}

#[test]
fn a_second_logon_has_a_later_timestamp_and_another_nonce_and_asks_what_became_of_the_orders() {
    let (mut world, mut desk) = world();
    desk.order(OrderAction::New, 11, 0, (120_000, 50));
    world.settle(&mut desk.stage);
    assert_eq!(desk.names(), ["New"]);
    world.take_seen();
    world.peer.say("5|58=maintenance");
    world.settle(&mut desk.stage);
    // The venue has cancelled it with the session, and says so when it is asked.
    let expected = ["SessionDown", "SessionReconciling", "Canceled", "Position", "SessionUp"];
    assert_eq!(desk.names(), expected);
    let seen = world.take_seen();
    let types: Vec<_> = seen.iter().map(Fields::msg_type).filter(|kind| *kind != "5").collect();
    assert_eq!(types, ["A", "q", "AF", "AN"]);
    assert_eq!((world.venue.nonces.len(), desk.stage.desk().live().live_count()), (2, 0));
    world.peer.check();
}

/// What the maker is told of an order of 50 at 60000.0, amended to 40 at 59999.0 before the session ended.
fn told_of_the_lost(exchange: impl FnOnce(&mut Exchange)) -> (Vec<OrderUpdate>, Vec<String>) {
    let (mut world, mut desk) = world();
    exchange(&mut world.venue);
    desk.order(OrderAction::New, 21, 0, (120_000, 50));
    desk.order(OrderAction::Replace, 22, 21, (119_998, 40));
    world.settle(&mut desk.stage);
    assert_eq!(desk.names(), ["New", "Replaced"]);
    world.peer.say("5|58=maintenance");
    world.settle(&mut desk.stage);
    world.take_seen();
    world.now = world.now.plus(6_000_000_000);
    world.settle(&mut desk.stage);
    world.peer.check();
    assert_eq!(desk.stage.desk().live().live_count(), 0);
    let events = desk.events();
    let told = events.iter().filter(|event| event.cl_ord_id.0 == 22 || event.cl_ord_id.0 == 0);
    let told = told.map(|event| event.update).collect();
    (told, world.take_seen().iter().map(|fields| fields.msg_type().to_owned()).collect())
}

#[test]
fn what_traded_before_the_venue_cancelled_with_the_session_is_asked_for_and_booked_once() {
    for (traded, is_all) in [(("15", "59999.0"), false), (("40", "59998.5"), true)] {
        let (told, _) = told_of_the_lost(|venue| venue.trades_at_the_end = Some(traded));
        let fills: Vec<_> = told
            .iter()
            .filter_map(|update| match update {
                OrderUpdate::Fill { last_px, last_qty, cum_qty, leaves_qty, .. } => {
                    Some((last_px.0, last_qty.0, cum_qty.0, leaves_qty.0))
                }
                _ => None,
            })
            .collect();
        // Nothing is left: it is gone, whatever LeavesQty(151) the venue counts.
        let expected = if is_all { (119_997, 40, 40, 0) } else { (119_998, 15, 15, 0) };
        assert_eq!(fills, [expected], "{told:?}");
        assert_eq!(told.last(), Some(&OrderUpdate::SessionUp));
    }
}

#[test]
fn an_order_that_the_venue_does_not_find_is_asked_about_by_its_cancel() {
    let (told, seen) = told_of_the_lost(|venue| venue.is_forgetful = true);
    assert_eq!(seen.iter().filter(|kind| *kind != "0").collect::<Vec<_>>(), ["F", "AN"]);
    assert!(!told.iter().any(|update| matches!(update, OrderUpdate::Fill { .. })), "{told:?}");
    assert_eq!(told.last(), Some(&OrderUpdate::SessionUp));
}

/// What the maker is told of our instrument after a Logon.
fn told(positions: &'static str) -> Vec<OrderUpdate> {
    let (peer, client, folder) = tls("DERIBITSERVER");
    let mut desk = desk(&peer, client, session(), (&instrument(), RULES));
    let exchange = Exchange { positions: Some(positions), ..Exchange::default() };
    let mut world = World::new(peer, exchange, folder);
    world.settle(&mut desk.stage);
    world.now = world.now.plus(6_000_000_000);
    world.settle(&mut desk.stage);
    world.peer.check();
    let events = desk.events();
    assert_eq!(events.last().unwrap().update, OrderUpdate::SessionUp);
    let is_word = |update: &OrderUpdate| {
        matches!(update, OrderUpdate::Position { .. } | OrderUpdate::ContractDiffers)
    };
    events.into_iter().map(|event| event.update).filter(is_word).collect()
}

#[test]
fn one_report_has_all_positions_in_contracts_and_other_instruments_are_passed_over() {
    let short = "702=2|703=TQ|704=0|705=70|55=BTC-PERPETUAL|854=1|231=10|54=2|\
                 703=TQ|704=3|705=0|55=ETH-PERPETUAL|854=1|231=1|54=1";
    assert_eq!(told(short), [OrderUpdate::Position { lots: Lots(-70) }]);
    assert_eq!(told("702=0"), [OrderUpdate::Position { lots: Lots(0) }]);
    let long = "702=1|703=TQ|55=BTC-PERPETUAL|704=12|705=0";
    assert_eq!(told(long), [OrderUpdate::Position { lots: Lots(12) }]);
    // A contract of 1 USD is not the config's of 10: the instrument halts, whatever is held.
    let other = "702=1|703=TQ|704=12|705=0|55=BTC-PERPETUAL|854=1|231=1|54=1";
    let held = OrderUpdate::Position { lots: Lots(12) };
    assert_eq!(told(other), [OrderUpdate::ContractDiffers, held]);
    // Of sizes that are no count of contracts the multiplier says nothing.
    let units = "702=1|703=TQ|704=12|705=0|55=BTC-PERPETUAL|854=0|231=1|54=1";
    assert_eq!(told(units), [held]);
    // What says nothing, or something that we cannot read, confirms nothing.
    for unreadable in [
        "",
        "702=1|703=TQ|55=BTC-PERPETUAL|704=x|705=0",
        "702=1|703=TQ|55=BTC-PERPETUAL|704=0|705=-7",
    ] {
        assert_eq!(told(unreadable), [], "{unreadable}");
    }
}

#[test]
fn the_whole_book_is_asked_for_with_its_increments() {
    let (peer, client, folder) = tls("DERIBITSERVER");
    let (mut stage, _events) = feed(&peer, client, session(), (&instrument(), RULES));
    let mut world = World::new(peer, Exchange::default(), folder);
    world.settle(&mut stage);
    assert_eq!((stage.counts().snapshots, stage.counts().breaches), (1, 0));
    world.peer.check();
}

#[test]
fn several_fills_in_one_report_are_each_booked_at_their_own_price() {
    let (mut world, mut desk) = world();
    desk.order(OrderAction::New, 11, 0, (120_002, 50));
    world.settle(&mut desk.stage);
    assert_eq!(desk.names(), ["New"]);
    let fills = |desk: &mut Desk| -> Vec<(i64, i64, i64, i64)> {
        let fill = |event: ballast_engine::event::OrderEvent| match event.update {
            OrderUpdate::Fill { last_px, last_qty, cum_qty, leaves_qty, .. } => {
                (last_px.0, last_qty.0, cum_qty.0, leaves_qty.0)
            }
            other => panic!("{other:?}"),
        };
        desk.events().into_iter().map(fill).collect()
    };
    let two = "1362=2|1363=F1|1364=59999.5|1365=20|1443=2|1363=F2|1364=60000.0|1365=10|1443=2|";
    world.peer.say(&world.venue.says("11", "1", ("30", "20"), two));
    world.settle(&mut desk.stage);
    assert_eq!(fills(&mut desk), [(119_999, 20, 20, 30), (120_000, 10, 30, 20)]);
    let order = *desk.stage.desk().live().live().next().unwrap();
    assert_eq!((order.cum_qty, order.status), (Lots(30), OrdStatus::PartiallyFilled));
    // The rest, in two more; the order is gone with the last one.
    let rest = "1362=2|1363=F3|1364=60000.5|1365=5|1363=F4|1364=60001.0|1365=15|";
    world.peer.say(&world.venue.says("11", "2", ("50", "0"), rest));
    world.settle(&mut desk.stage);
    assert_eq!(fills(&mut desk), [(120_001, 5, 35, 15), (120_002, 15, 50, 0)]);
    assert_eq!(desk.stage.desk_counts().inexact, 0);
    assert_eq!(desk.stage.desk().live().live_count(), 0);
    // A group that does not add up: the size is what CumQty(14) grew by, and it is counted.
    desk.order(OrderAction::New, 12, 0, (120_002, 50));
    world.settle(&mut desk.stage);
    assert_eq!(desk.names(), ["New"]);
    let wrong = "1362=2|1363=F5|1364=60000.0|1365=5|1363=F6|1364=60000.5|1365=5|";
    world.peer.say(&world.venue.says("12", "1", ("30", "20"), wrong));
    world.settle(&mut desk.stage);
    assert_eq!(fills(&mut desk), [(120_001, 30, 30, 20)]);
    assert_eq!(desk.stage.desk_counts().inexact, 1);
    world.peer.check();
}
