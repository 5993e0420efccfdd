//! Order entry that quotes by MassQuote(i) against a peer over TLS that keeps Deribit's rules for quotes: one a
//! side and group, groups that must exist, each side judged alone, protection that freezes.

mod certificates;
mod quote_venue;
mod venue_peer;

use ballast_engine::event::{
    ClOrdId, InstrumentId, OrderAction, OrderEvent, OrderIntent, OrderUpdate, TimeInForce, VenueId,
};
use ballast_engine::instrument::{
    Currency, Instrument, InstrumentKind, InstrumentSpec, Underlying,
};
use ballast_engine::option_terms::{Delivery, ExerciseStyle, OptionTerms, OptionType};
use ballast_engine::units::{FeeRate, Lots, Nanos, Side, Stamp, Ticks};
use ballast_gateway::session::{Role, SessionConfig};
use ballast_gateway::venue::deribit::{Deribit, RULES};
use ballast_gateway::venue::dialect::Rules;
use ballast_gateway::venue::secret::Secret;
use quote_venue::QuoteVenue;
use venue_peer::{Desk, Fields, Peer, START, Venue, World, desk_of, tls};

const CALL: &str = "BTC-27MAR26-90000-C";
const PUT: &str = "BTC-27MAR26-90000-P";
const GROUP: &str = "options";

fn option(id: u16, symbol: &str, option_type: OptionType) -> Instrument {
    let terms = OptionTerms {
        option_type,
        strike: "90000".parse().unwrap(),
        expiry: Nanos(1_774_598_400_000_000_000),
        style: ExerciseStyle::European,
        delivery: Delivery::Coin,
    };
    let spec = InstrumentSpec {
        symbol: symbol.into(),
        venue: VenueId(0),
        underlying: Underlying(0),
        kind: InstrumentKind::Option(terms),
        tick: "0.0001".parse().unwrap(),
        lot: "0.1".parse().unwrap(),
        multiplier: "1".parse().unwrap(),
        base: Currency(0),
        quote: Currency(0),
        settlement: Currency(0),
        maker_fee: FeeRate(0),
        taker_fee: FeeRate(0),
    };
    Instrument::new(InstrumentId(id), spec).unwrap()
}

/// The venue: its Logon is another test's; its quotes are here.
#[derive(Default)]
struct Exchange {
    quotes: QuoteVenue,
    /// Types of what came.
    heard: Vec<String>,
    positions: String,
    /// BusinessMessageReject(j) to the next MassQuote(i).
    rejects_next: bool,
}

impl Exchange {
    fn told(&mut self, peer: &mut Peer, said: Vec<String>) {
        said.iter().for_each(|text| peer.say(text));
        peer.refusals.append(&mut self.quotes.faults);
    }
}

impl Venue for Exchange {
    fn hear(&mut self, peer: &mut Peer, message: &Fields) {
        if !["0", "5"].contains(&message.msg_type()) {
            self.heard.push(message.msg_type().to_owned());
        }
        let fields = &message.0;
        let said = match message.msg_type() {
            "A" => {
                peer.names.1 = message.need(49).to_owned();
                if message.need(9001) != "Y" {
                    peer.refuse("mass quotes demand CancelOnDisconnect(9001)");
                }
                self.quotes.session_over();
                vec![format!("A|98=0|108={}|141=Y|553=client-id|9001=Y", message.need(108))]
            }
            "i" if std::mem::take(&mut self.rejects_next) => {
                vec![format!("j|45={}|372=i|380=4|58=no", message.need(34))]
            }
            "i" => self.quotes.mass_quote(fields),
            "Z" => self.quotes.quote_cancel(fields),
            "AF" => self.quotes.status(fields),
            "q" => vec![format!("r|11={}|530=7|531=7|58=success|533=0", message.need(11))],
            "AN" => {
                let id = message.need(710);
                vec![format!("AP|721=r1|710={id}|724=0|728=0|{}", self.positions)]
            }
            "0" | "2" | "5" => Vec::new(),
            other => {
                peer.refuse(&format!("{other}: a quote is asked for by i and Z alone"));
                Vec::new()
            }
        };
        self.told(peer, said);
    }
}

struct Rig {
    world: World<Exchange>,
    desk: Desk,
    last: u64,
}

fn rig() -> Rig {
    rig_of(RULES, |_| {})
}

fn rig_of(rules: Rules, set: impl FnOnce(&mut QuoteVenue)) -> Rig {
    let (peer, client, folder) = tls("DERIBITSERVER");
    let mut config = SessionConfig::new(Role::Initiator, "DESK", "DERIBITSERVER");
    Deribit::demand(&mut config);
    config.dialect = Box::new(Deribit::new("client-id", Secret::from_bytes(b"secret")));
    let traded = [option(0, CALL, OptionType::Call), option(1, PUT, OptionType::Put)];
    let Desk { stage, intents, events } = desk_of(&peer, client, config, (&traded, rules));
    let groups = [(InstrumentId(0), GROUP.to_owned()), (InstrumentId(1), GROUP.to_owned())];
    let desk = Desk { stage: stage.with_mass_quotes(&groups), intents, events };
    let mut exchange = Exchange { positions: "702=0|".into(), ..Exchange::default() };
    let quotes = &mut exchange.quotes;
    quotes.groups.insert(GROUP.into(), false);
    for symbol in [CALL, PUT] {
        quotes.symbols.insert(symbol.into(), 0.0001);
        quotes.market.insert(symbol.into(), (0.0010, 0.0990));
    }
    set(quotes);
    let world = World::new(peer, exchange, folder);
    let mut rig = Rig { world, desk, last: 0 };
    assert_eq!(rig.settle().last().map(|e| e.update), Some(OrderUpdate::SessionUp));
    rig.world.venue.heard.clear();
    rig
}

const SIDES: [Side; 2] = [Side::Buy, Side::Sell];

impl Rig {
    fn ask(&mut self, action: OrderAction, orig: u64, of: (u16, Side), terms: (i64, i64)) -> u64 {
        self.last += 1;
        let cl_ord_id = ClOrdId::new(1, self.last);
        let orig_cl_ord_id = if orig == 0 { ClOrdId::NONE } else { ClOrdId::new(1, orig) };
        let intent = OrderIntent {
            cl_ord_id,
            orig_cl_ord_id,
            price: Ticks(terms.0),
            size: Lots(terms.1),
            stamp: Stamp(0),
            at: START,
            instrument: InstrumentId(of.0),
            action,
            side: of.1,
            time_in_force: TimeInForce::PostOnly,
        };
        self.desk.intents.push(intent).unwrap();
        self.last
    }

    fn new_quote(&mut self, of: (u16, Side), terms: (i64, i64)) -> u64 {
        self.ask(OrderAction::New, 0, of, terms)
    }

    fn settle(&mut self) -> Vec<OrderEvent> {
        self.world.settle(&mut self.desk.stage);
        self.world.peer.check();
        self.desk.events()
    }

    /// What came of the request or order of this number.
    fn told(events: &[OrderEvent], id: u64) -> Vec<OrderUpdate> {
        let of = |e: &&OrderEvent| e.cl_ord_id == ClOrdId::new(1, id);
        events.iter().filter(of).map(|e| e.update).collect()
    }

    fn say(&mut self, said: Vec<String>) -> Vec<OrderEvent> {
        let World { venue, peer, .. } = &mut self.world;
        venue.told(peer, said);
        self.settle()
    }

    fn wait(&mut self, ns: u64) {
        self.world.now = self.world.now.plus(ns);
    }

    /// Both sides of both options, in one message.
    fn quoted(&mut self) -> [u64; 4] {
        let ids = [(0, 50, 60), (1, 30, 40)].map(|(instrument, bid, offer)| {
            SIDES.map(|side| {
                let price = if side == Side::Buy { bid } else { offer };
                self.new_quote((instrument, side), (price, 3))
            })
        });
        let events = self.settle();
        let ids = [ids[0][0], ids[0][1], ids[1][0], ids[1][1]];
        for id in ids {
            let first = Self::told(&events, id)[0];
            assert_eq!(first, OrderUpdate::New { leaves_qty: Lots(3) });
        }
        ids
    }

    fn live(&self) -> usize {
        self.desk.stage.desk().live().live_count()
    }
}

const GONE: OrderUpdate = OrderUpdate::Canceled { cum_qty: Lots(0) };

fn refused(reason: u16) -> OrderUpdate {
    OrderUpdate::CancelRejected { reason, is_gone: false }
}

#[test]
fn what_is_asked_at_once_goes_in_one_message_and_each_side_has_its_own_answer() {
    for answers_first in [false, true] {
        for hides_entries in [false, true] {
            let mut rig = rig_of(RULES, |venue| {
                (venue.answers_first, venue.hides_entries) = (answers_first, hides_entries);
            });
            let [bid, offer, put_bid, put_offer] = rig.quoted();
            assert_eq!(rig.world.venue.heard, ["i"]);
            assert_eq!(rig.world.venue.quotes.entries, 4);
            // Up: the offer makes room. One is moved, one is moved with another size, one is taken out.
            let (up, wider) = ((55, 3), (65, 3));
            let moved = rig.ask(OrderAction::Replace, bid, (0, Side::Buy), up);
            let also = rig.ask(OrderAction::Replace, offer, (0, Side::Sell), wider);
            let larger = rig.ask(OrderAction::Replace, put_bid, (1, Side::Buy), (31, 5));
            let out = rig.ask(OrderAction::Cancel, put_offer, (1, Side::Sell), (40, 3));
            let events = rig.settle();
            let of = |price| OrderUpdate::Replaced { price: Ticks(price), leaves_qty: Lots(3) };
            assert_eq!(Rig::told(&events, moved)[0], of(55));
            assert_eq!(Rig::told(&events, also)[0], of(65));
            // Another size is no amendment: the quote goes, and the maker's next step places another.
            assert_eq!(Rig::told(&events, put_bid), [GONE], "{larger}");
            assert_eq!(Rig::told(&events, put_offer), [GONE], "{out}");
            let last = rig.world.take_seen().pop().unwrap();
            let sides: Vec<u32> = last.0.iter().map(|(tag, _)| *tag).collect();
            let place = |tag| sides.iter().position(|t| *t == tag).unwrap();
            assert!(place(133) < place(132), "asks first where prices go up: {last:?}");
            assert_eq!(rig.world.venue.heard, ["i", "i"]);
            assert_eq!((rig.live(), rig.world.venue.quotes.open.len()), (2, 2));
            assert_eq!(rig.desk.stage.desk_counts().inexact, 0);
        }
    }
}

#[test]
fn fills_of_a_quote_are_booked_whatever_its_reports_call_it() {
    for hides_entries in [false, true] {
        let mut rig = rig_of(RULES, |venue| {
            (venue.answers_first, venue.hides_entries) = (hides_entries, hides_entries);
        });
        let [bid, ..] = rig.quoted();
        let said = rig.world.venue.quotes.trade(CALL, "1", 0.1);
        let events = rig.say(said);
        let OrderUpdate::Fill { last_px, last_qty, leaves_qty, .. } = events[0].update else {
            panic!("{events:?}")
        };
        assert_eq!((last_px, last_qty, leaves_qty), (Ticks(50), Lots(1), Lots(2)));
        assert_eq!(events[0].cl_ord_id, ClOrdId::new(1, bid));
        // Moved and then traded to its end, under the name that the maker gave last.
        let moved = rig.ask(OrderAction::Replace, bid, (0, Side::Buy), (49, 3));
        let replaced = OrderUpdate::Replaced { price: Ticks(49), leaves_qty: Lots(2) };
        assert_eq!(Rig::told(&rig.settle(), moved)[0], replaced);
        let said = rig.world.venue.quotes.trade(CALL, "1", 9.0);
        let events = rig.say(said);
        let OrderUpdate::Fill { last_px, last_qty, cum_qty, leaves_qty, .. } = events[0].update
        else {
            panic!("{events:?}")
        };
        assert_eq!((last_px, last_qty), (Ticks(49), Lots(2)));
        assert_eq!(
            (cum_qty, leaves_qty, events[0].cl_ord_id),
            (Lots(3), Lots(0), ClOrdId::new(1, moved))
        );
        assert_eq!(rig.live(), 3);
    }
}

#[test]
fn a_side_that_is_refused_says_nothing_of_the_other() {
    let mut rig = rig();
    // 0.0990 would take; the bid of the other option is none of its business.
    let bad = rig.new_quote((0, Side::Buy), (990, 3));
    let good = rig.new_quote((1, Side::Buy), (30, 3));
    let events = rig.settle();
    assert_eq!(Rig::told(&events, bad), [OrderUpdate::Rejected { reason: 11054 }]);
    assert_eq!(Rig::told(&events, good)[0], OrderUpdate::New { leaves_qty: Lots(3) });
    assert_eq!(rig.live(), 1);
}

#[test]
fn after_a_refused_move_the_quote_is_gone_whichever_rule_the_venue_has() {
    for cancels_on_error in [false, true] {
        let mut rig = rig_of(RULES, |venue| venue.cancels_on_error = cancels_on_error);
        let [bid, ..] = rig.quoted();
        let moved = rig.ask(OrderAction::Replace, bid, (0, Side::Buy), (990, 3));
        let mut events = rig.settle();
        rig.wait(2_000_000_000);
        events.extend(rig.settle());
        let told = Rig::told(&events, moved);
        // Where the report of its end came before the refusal there is no order left to refuse for.
        assert_eq!(
            told,
            if cancels_on_error { vec![] } else { vec![refused(11054)] },
            "{events:?}"
        );
        assert_eq!(Rig::told(&events, bid), [GONE]);
        assert_eq!((rig.live(), rig.world.venue.quotes.open.len()), (3, 3));
        // Its side takes a new quote.
        let next = rig.new_quote((0, Side::Buy), (50, 3));
        assert_eq!(Rig::told(&rig.settle(), next)[0], OrderUpdate::New { leaves_qty: Lots(3) });
    }
}

#[test]
fn a_move_that_crosses_the_quotes_end_places_nothing_and_the_fill_is_booked_once() {
    let mut rig = rig();
    let [bid, ..] = rig.quoted();
    // It trades whole, and the report is on its way when the maker moves it.
    let late = rig.world.venue.quotes.trade(CALL, "1", 9.0);
    let moved = rig.ask(OrderAction::Replace, bid, (0, Side::Buy), (51, 3));
    let events = rig.settle();
    assert_eq!(Rig::told(&events, moved), [refused(10004)]);
    assert_eq!(rig.live(), 4, "what traded is not told yet");
    let events = rig.say(late);
    assert!(matches!(events[0].update, OrderUpdate::Fill { last_qty: Lots(3), .. }), "{events:?}");
    rig.wait(3_000_000_000);
    let events = rig.settle();
    assert_eq!((rig.live(), rig.world.venue.quotes.open.len()), (3, 3), "{events:?}");
}

#[test]
fn that_there_is_no_quote_is_believed_when_it_is_said_again() {
    let mut rig = rig();
    let [bid, ..] = rig.quoted();
    // It ends, and no report ever says so.
    rig.world.venue.quotes.trade(CALL, "1", 9.0);
    let out = rig.ask(OrderAction::Cancel, bid, (0, Side::Buy), (50, 3));
    let events = rig.settle();
    assert_eq!((events.len(), rig.live()), (0, 4), "{out}: {events:?}");
    rig.wait(1_500_000_000);
    let events = rig.settle();
    let gone = OrderUpdate::CancelRejected { reason: 10004, is_gone: true };
    assert_eq!(events.iter().map(|e| e.update).collect::<Vec<_>>(), [gone]);
    assert_eq!((events[0].orig_cl_ord_id, rig.live()), (ClOrdId::new(1, bid), 3));
}

#[test]
fn a_tripped_group_takes_its_quotes_out_and_refuses_new_ones_until_it_is_reset() {
    let mut rig = rig();
    let ids = rig.quoted();
    let said = rig.world.venue.quotes.trip(GROUP);
    let events = rig.say(said);
    for id in ids {
        assert_eq!(Rig::told(&events, id), [GONE]);
    }
    let early = rig.new_quote((0, Side::Buy), (50, 3));
    assert_eq!(Rig::told(&rig.settle(), early), [OrderUpdate::Rejected { reason: 11040 }]);
    rig.world.venue.quotes.groups.insert(GROUP.into(), false);
    rig.quoted();
}

#[test]
fn a_message_that_is_refused_whole_is_refused_for_each_of_its_sides() {
    let mut rig = rig();
    let [bid, ..] = rig.quoted();
    rig.world.venue.quotes.refuses_next = true;
    let moved = rig.ask(OrderAction::Replace, bid, (0, Side::Buy), (51, 3));
    let events = rig.settle();
    assert_eq!(Rig::told(&events, moved), [refused(99)]);
    // What stood is taken out: whether it stands nobody has said.
    assert_eq!(Rig::told(&events, bid), [GONE]);
    rig.world.venue.rejects_next = true;
    let next = rig.new_quote((0, Side::Buy), (50, 3));
    let rejected = OrderUpdate::MessageRejected { reason: 4 };
    assert_eq!(Rig::told(&rig.settle(), next), [rejected]);
    rig.world.venue.quotes.groups.clear();
    let none = rig.new_quote((0, Side::Buy), (50, 3));
    assert_eq!(Rig::told(&rig.settle(), none), [OrderUpdate::Rejected { reason: 99 }]);
    assert_eq!(rig.live(), 3);
}

#[test]
fn a_side_that_no_answer_names_stays_unanswered_and_its_side_takes_no_second_quote() {
    let mut rig = rig();
    rig.world.venue.quotes.loses_entries = 1;
    let lost = rig.new_quote((0, Side::Buy), (50, 3));
    let other = rig.new_quote((1, Side::Buy), (30, 3));
    let events = rig.settle();
    assert_eq!(Rig::told(&events, lost), []);
    assert_eq!(Rig::told(&events, other)[0], OrderUpdate::New { leaves_qty: Lots(3) });
    let second = rig.new_quote((0, Side::Buy), (49, 3));
    assert_eq!(Rig::told(&rig.settle(), second), [OrderUpdate::Unsent]);
    // The maker asks after it, and it turns out that there is none.
    rig.ask(OrderAction::Cancel, lost, (0, Side::Buy), (50, 3));
    rig.settle();
    rig.wait(1_500_000_000);
    let events = rig.settle();
    assert!(matches!(events[0].update, OrderUpdate::CancelRejected { is_gone: true, .. }));
    let third = rig.new_quote((0, Side::Buy), (49, 3));
    assert_eq!(Rig::told(&rig.settle(), third)[0], OrderUpdate::New { leaves_qty: Lots(3) });
}

#[test]
fn a_pulled_switch_takes_all_quotes_out() {
    let mut rig = rig();
    let ids = rig.quoted();
    rig.desk.stage.cancel_switch().pull();
    let events = rig.settle();
    for id in ids {
        assert_eq!(Rig::told(&events, id), [GONE]);
    }
    assert_eq!((rig.live(), rig.world.venue.quotes.open.len()), (0, 0));
    assert_eq!(rig.world.venue.heard[1], "Z", "{:?}", rig.world.venue.heard);
}

#[test]
fn a_quote_of_ours_that_nobody_here_knows_is_taken_out() {
    let mut rig = rig();
    rig.quoted();
    // The venue said that it refused this one, and works it all the same.
    rig.world.venue.quotes.refuses_next = true;
    let refused = rig.new_quote((0, Side::Buy), (50, 3));
    assert_eq!(Rig::told(&rig.settle(), refused), [OrderUpdate::Unsent], "its side has one");
    let mut rig = self::rig();
    rig.world.venue.quotes.refuses_next = true;
    let refused = rig.new_quote((0, Side::Buy), (50, 3));
    assert_eq!(Rig::told(&rig.settle(), refused), [OrderUpdate::Rejected { reason: 99 }]);
    let id = ClOrdId::new(1, refused).0.to_string();
    let said = rig.world.venue.quotes.work(CALL, "1", GROUP, &id);
    rig.say(said);
    assert!(rig.world.venue.quotes.open.is_empty(), "{:?}", rig.world.venue.quotes.open);
}

#[test]
fn after_a_second_logon_what_became_of_each_quote_is_asked_and_what_traded_is_booked() {
    let mut rig = rig();
    let [bid, offer, ..] = rig.quoted();
    // It trades as the session ends, and nobody is told; the rest goes with the session.
    rig.world.venue.quotes.trade(CALL, "1", 0.2);
    rig.world.venue.positions = format!("702=1|703=TQ|704=0.2|705=0|55={CALL}|854=1|54=1|");
    rig.world.peer.say("5|58=maintenance");
    let events = rig.settle();
    assert_eq!(rig.world.venue.heard[1..], ["A", "Z", "q", "AF", "AF", "AF", "AF", "AN"]);
    let told = Rig::told(&events, bid);
    let OrderUpdate::Fill { last_px, last_qty, .. } = told[0] else { panic!("{told:?}") };
    assert_eq!((last_px, last_qty), (Ticks(50), Lots(2)));
    assert_eq!(Rig::told(&events, offer), [GONE]);
    assert!(events.iter().any(|e| e.update == OrderUpdate::Position { lots: Lots(2) }));
    assert_eq!(events.last().unwrap().update, OrderUpdate::SessionUp);
    assert_eq!(rig.live(), 0);
    rig.quoted();
}

#[test]
fn cancels_have_the_reserve_of_the_venues_limit_and_a_message_counts_once() {
    use ballast_gateway::order_entry::throttle::{Limits, MessageLimit};
    let limit = MessageLimit { messages: 4, window_ns: 60_000_000_000, cancel_reserve: 2 };
    let mut rig = rig_of(Rules { order_limits: Limits::on_all(limit), ..RULES }, |_| {});
    // One went for positions after the Logon, and one is left: four sides go in it.
    let [bid, offer, ..] = rig.quoted();
    let moved = rig.ask(OrderAction::Replace, bid, (0, Side::Buy), (51, 3));
    let out = rig.ask(OrderAction::Cancel, offer, (0, Side::Sell), (60, 3));
    let events = rig.settle();
    assert_eq!(Rig::told(&events, moved), [OrderUpdate::Unsent]);
    assert_eq!(Rig::told(&events, offer), [GONE], "{out}");
    assert_eq!(rig.world.venue.heard, ["i", "i"]);
}
