//! Whatever differs in an order on its way out is seen, and nothing else is.

use super::*;
use crate::venue::plain::RULES;
use ballast_engine::event::{InstrumentId, TimeInForce, VenueId};
use ballast_engine::instrument::{
    Currency, Instrument, InstrumentKind, InstrumentSpec, Underlying,
};
use ballast_engine::units::{FeeRate, Lots, Stamp, Ticks};

/// A socket that takes so many bytes at a time, and keeps them.
struct Socket(Arc<Mutex<Vec<u8>>>, usize);

impl Transport for Socket {
    fn read(&mut self, _: &mut [u8]) -> Received {
        Received::Nothing
    }

    fn write(&mut self, bytes: &[u8]) -> Written {
        let taken = bytes.len().min(self.1);
        self.0.lock().unwrap().extend_from_slice(&bytes[..taken]);
        Written::Bytes(taken)
    }

    fn close(&mut self) {}
}

struct Sockets(Arc<Mutex<Vec<u8>>>, usize);

impl Dial for Sockets {
    type Link = Socket;

    fn dial(&mut self, _: Nanos) -> Dialled<Socket> {
        Dialled::Connected(Socket(self.0.clone(), self.1))
    }
}

struct Rig {
    dial: Witnessed<Sockets>,
    link: Option<WitnessedLink<Socket>>,
    intended: Intended,
    taken: Arc<Mutex<Vec<u8>>>,
}

fn instrument() -> Instrument {
    let spec = InstrumentSpec {
        symbol: "BTC".into(),
        venue: VenueId(0),
        underlying: Underlying(0),
        kind: InstrumentKind::LinearPerpetual,
        tick: "0.5".parse().unwrap(),
        lot: "0.001".parse().unwrap(),
        multiplier: "1".parse().unwrap(),
        base: Currency(0),
        quote: Currency(1),
        settlement: Currency(1),
        maker_fee: FeeRate(0),
        taker_fee: FeeRate(0),
    };
    Instrument::new(InstrumentId(0), spec).unwrap()
}

fn rig(rules: Rules, at_a_time: usize) -> Rig {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let symbols = Symbols::new(VenueId(0), &[instrument()]).unwrap();
    let (mut dial, intended) = Witnessed::new(Sockets(taken.clone(), at_a_time), symbols, rules);
    intended.expect_groups(&[Some("g")]);
    let Dialled::Connected(link) = dial.dial(Nanos(0)) else { panic!("nobody there") };
    Rig { dial, link: Some(link), intended, taken }
}

impl Rig {
    /// Writes as a connection does, until all is taken; whether it was.
    fn write(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.link.as_mut().unwrap().write(rest) {
                Written::Bytes(count) => rest = &rest[count..],
                Written::Full | Written::Closed(_) => return false,
            }
        }
        true
    }
}

fn intent(action: OrderAction, id: u64) -> OrderIntent {
    OrderIntent {
        cl_ord_id: ClOrdId(id),
        orig_cl_ord_id: if action == OrderAction::New { ClOrdId::NONE } else { ClOrdId(id - 1) },
        price: Ticks(122_001),
        size: Lots(40),
        stamp: Stamp(0),
        at: Nanos(0),
        instrument: InstrumentId(0),
        action,
        side: Side::Buy,
        time_in_force: TimeInForce::PostOnly,
    }
}

/// A message of these fields; `|` stands for SOH.
fn message(body: &str) -> Vec<u8> {
    let body = body.replace('|', "\u{1}");
    format!("8=FIX.4.4\u{1}9={}\u{1}{body}10=000\u{1}", body.len()).into_bytes()
}

const NEW: &str = "35=D|49=A|56=B|34=9|11=7|55=BTC|18=6|54=1|38=0.040|40=2|59=0|44=61000.5|";

#[test]
fn what_was_intended_goes_out_whatever_the_socket_takes_at_a_time() {
    for at_a_time in [1, 7, 40, 4096] {
        let mut rig = rig(RULES, at_a_time);
        let cancel = "35=F|49=A|34=11|11=9|41=8|55=BTC|54=1|38=0.04|";
        let replace = "35=G|34=10|11=8|41=7|55=BTC|18=6|54=1|38=0.04|40=2|59=0|44=61000.50|";
        let all = ["35=0|49=A|34=8|", NEW, replace, cancel].map(message).concat();
        rig.intended.expect(&intent(OrderAction::New, 7));
        rig.intended.expect(&intent(OrderAction::Replace, 8));
        rig.intended.expect(&intent(OrderAction::Cancel, 9));
        assert!(rig.write(&all));
        assert_eq!(*rig.taken.lock().unwrap(), all);
        assert!(!rig.intended.take_difference());
    }
}

#[test]
fn each_difference_stops_the_message_before_the_socket_and_is_told_once() {
    let planted = [
        ("another price", NEW.replace("61000.5", "61001.0")),
        ("another size", NEW.replace("0.040", "0.400")),
        ("the other side", NEW.replace("54=1", "54=2")),
        ("another instrument", NEW.replace("BTC", "ETH")),
        ("another name", NEW.replace("11=7", "11=6")),
        ("another message", NEW.replace("35=D", "35=G")),
        ("no price", NEW.replace("44=61000.5|", "")),
        ("a price off the grid", NEW.replace("61000.5", "61000.7")),
        ("no text of a name", NEW.replace("11=7", "11=x")),
        ("one that may take", NEW.replace("|18=6", "")),
        ("another instruction", NEW.replace("18=6", "18=G")),
        ("one that takes", NEW.replace("59=0", "59=3")),
        ("one that rests in another way", NEW.replace("59=0", "59=1")),
        ("no word how long it rests", NEW.replace("|59=0", "")),
        ("a market order", NEW.replace("40=2", "40=1")),
        ("one that is resent", NEW.replace("|49=A", "|43=Y|49=A")),
    ];
    for (what, forged) in planted {
        let mut rig = rig(RULES, 4096);
        rig.intended.expect(&intent(OrderAction::New, 7));
        assert!(!rig.write(&message(&forged)), "{what}");
        assert!(rig.taken.lock().unwrap().is_empty(), "{what} went out");
        assert!(rig.intended.take_difference(), "{what} was not told");
        assert!(!rig.intended.take_difference(), "told once");
    }
}

#[test]
fn an_order_that_nobody_intended_and_one_that_comes_twice_are_differences() {
    let mut rig = rig(RULES, 4096);
    assert!(!rig.write(&message(NEW)) && rig.intended.take_difference());
    let mut rig = self::rig(RULES, 4096);
    rig.intended.expect(&intent(OrderAction::New, 7));
    assert!(!rig.write(&[NEW, NEW].map(message).concat()));
    assert!(rig.intended.take_difference());
}

#[test]
fn an_order_that_was_left_out_is_seen_at_the_next() {
    let mut rig = rig(RULES, 4096);
    rig.intended.expect(&intent(OrderAction::New, 6));
    rig.intended.expect(&intent(OrderAction::New, 7));
    assert!(!rig.write(&message(NEW)) && rig.intended.take_difference());
}

#[test]
fn bytes_that_are_no_whole_message_are_a_difference() {
    let whole = message(NEW);
    for cut in 1..whole.len() {
        let mut rig = rig(RULES, 4096);
        rig.intended.expect(&intent(OrderAction::New, 7));
        assert!(!rig.write(&whole[..cut]), "cut at {cut}");
    }
}

#[test]
fn a_new_connection_begins_with_nothing() {
    let mut rig = rig(RULES, 4096);
    // The session took it and the connection ended before it went out.
    rig.intended.expect(&intent(OrderAction::New, 5));
    rig.link = None;
    let Dialled::Connected(link) = rig.dial.dial(Nanos(1)) else { panic!("nobody there") };
    rig.link = Some(link);
    rig.intended.expect(&intent(OrderAction::New, 7));
    assert!(rig.write(&message(NEW)));
    assert!(!rig.intended.take_difference());
}

#[test]
fn a_hedge_takes_or_goes() {
    let hedge = NEW.replace("|18=6", "").replace("59=0", "59=3");
    let planted = [
        ("one that rests", NEW.to_owned()),
        ("one that rests for the day", hedge.replace("59=3", "59=0")),
        ("one without a word", hedge.replace("|59=3", "")),
        ("one that must not take", hedge.replace("|54=1", "|18=6|54=1")),
    ];
    let intent = intent(OrderAction::New, 7);
    let intent = OrderIntent { time_in_force: TimeInForce::ImmediateOrCancel, ..intent };
    for (what, forged) in planted {
        let mut rig = rig(RULES, 4096);
        rig.intended.expect(&intent);
        assert!(!rig.write(&message(&forged)), "{what}");
    }
    let mut rig = rig(RULES, 4096);
    rig.intended.expect(&intent);
    assert!(rig.write(&message(&hedge)));
}

#[test]
fn where_a_venue_has_no_replace_the_intent_to_replace_is_a_cancel() {
    let mut rig = rig(Rules { has_replace: false, ..RULES }, 4096);
    rig.intended.expect(&intent(OrderAction::Replace, 9));
    assert!(rig.write(&message("35=F|34=11|11=9|41=8|55=BTC|54=1|38=0.04|")));
    let mut rig =
        self::rig(Rules { cancel_names_order: true, cancel_has_terms: false, ..RULES }, 9);
    rig.intended.expect(&intent(OrderAction::Cancel, 9));
    assert!(rig.write(&message("35=F|34=11|11=8|55=BTC|")));
}

#[test]
fn cancel_and_new_in_one_is_compared_as_a_replace_and_an_amendment_by_its_size() {
    let rules = crate::venue::binance::RULES;
    let renewal =
        "35=XCN|34=9|11=9|18=6|38=0.04|40=2|41=8|44=61000.5|54=1|55=BTC|25002=1|25033=1|25034=-9|";
    let amendment = "35=XAK|34=9|11=9|38=0.04|41=8|55=BTC|";
    for right in [renewal, amendment, "35=F|34=9|11=9|41=8|55=BTC|"] {
        let mut rig = rig(rules, 4096);
        rig.intended.expect(&intent(OrderAction::Replace, 9));
        assert!(rig.write(&message(right)), "{right}");
    }
    for wrong in [
        renewal.replace("61000.5", "61000.0"),
        renewal.replace("38=0.04", "38=0.05"),
        renewal.replace("54=1", "54=2"),
        renewal.replace("41=8", "41=7"),
        renewal.replace("|18=6", ""),
        renewal.replace("40=2", "40=1"),
        amendment.replace("38=0.04", "38=0.05"),
        amendment.replace("|38=0.04", ""),
        NEW.replace("11=7", "11=9"),
    ] {
        let mut rig = rig(rules, 4096);
        rig.intended.expect(&intent(OrderAction::Replace, 9));
        assert!(!rig.write(&message(&wrong)), "{wrong}");
        let mut rig = self::rig(rules, 4096);
        rig.intended.expect(&intent(OrderAction::Cancel, 9));
        assert!(!rig.write(&message(&wrong)), "{wrong} for a cancel");
    }
}

#[test]
fn every_entry_of_a_mass_quote_is_the_next_intent_and_nothing_is_asked_beside() {
    let head = "35=i|34=9|117=77|9019=g|296=1|302=1|304=3|295=3|";
    let (new, moved, out) = (
        "299=7|55=BTC|132=61000.5|134=0.040|18=6A|",
        "299=9-8|55=BTC|132=61000.5|18=6A|",
        "299=11-10|55=BTC|134=0|",
    );
    let right = format!("{head}{new}{moved}{out}");
    let judged = |text: &str, at_a_time| {
        let mut rig = rig(crate::venue::deribit::RULES, at_a_time);
        rig.intended.expect(&intent(OrderAction::New, 7));
        rig.intended.expect(&intent(OrderAction::Replace, 9));
        rig.intended.expect(&intent(OrderAction::Cancel, 11));
        rig.write(&message(text))
    };
    for at_a_time in [1, 40, 4096] {
        assert!(judged(&right, at_a_time));
    }
    for (what, wrong) in [
        ("another price", right.replacen("61000.5", "61001.0", 1)),
        ("another size", right.replace("0.040", "0.400")),
        ("the other side", right.replacen("132=", "133=", 1)),
        ("both sides", right.replace("134=0.040", "134=0.040|133=62000.0|135=0.040")),
        ("another instrument", right.replacen("BTC", "ETH", 1)),
        ("another name", right.replace("299=7|", "299=6|")),
        ("another order", right.replace("9-8", "9-7")),
        ("no order", right.replace("9-8", "9")),
        ("a move with a size", right.replace("|18=6A|299=11", "|134=0.040|18=6A|299=11")),
        ("a cancel with a size", right.replace("134=0|", "134=0.040|")),
        ("one more", format!("{right}299=12|55=BTC|132=61000.5|134=0.040|18=6A|")),
        ("the order of them", format!("{head}{moved}{new}{out}")),
        ("none", head.into()),
        ("one that is resent", right.replace("35=i|", "35=i|43=Y|")),
        ("one that may take", right.replacen("|18=6A", "", 1)),
        ("a move that may take", right.replace("|18=6A|299=11", "|299=11")),
        ("another instruction", right.replacen("18=6A", "18=6", 1)),
        ("an instruction twice", right.replacen("18=6A", "18=6A|18=6A", 1)),
        ("another group", right.replace("9019=g", "9019=h")),
        ("no group", right.replace("9019=g|", "")),
        ("two groups", right.replace("9019=g", "9019=g|9019=g")),
        ("two prices", right.replacen("132=61000.5", "132=61002.0|132=61000.5", 1)),
        ("two sizes", right.replace("134=0.040", "134=0.400|134=0.040")),
        ("a field of no entry", right.replacen("18=6A", "18=6A|62=20240808-23:59:59", 1)),
    ] {
        assert!(!judged(&wrong, 4096), "{what}");
    }
    // One that was left out is seen at the next.
    let mut rig = rig(crate::venue::deribit::RULES, 4096);
    rig.intended.expect(&intent(OrderAction::New, 7));
    rig.intended.expect(&intent(OrderAction::Cancel, 11));
    rig.intended.expect(&intent(OrderAction::New, 13));
    assert!(rig.write(&message(&format!("{head}{new}{out}"))));
    assert!(!rig.write(&message(&format!("{head}{out}"))));
}
