//! Order entry that quotes by MassQuote(i) against a peer over TLS that keeps Deribit's rules for quotes: one a
//! side and group, groups that must exist, each side judged alone, protection that freezes.

use crate::quote_rig::*;
use ballast_engine::event::{ClOrdId, OrderAction, OrderUpdate};
use ballast_engine::units::{Lots, Side, Ticks};
use ballast_gateway::venue::deribit::RULES;
use ballast_gateway::venue::dialect::Rules;

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
    let limit = MessageLimit { messages: 5, window_ns: 60_000_000_000, cancel_reserve: 2 };
    let mut rig = rig_of(Rules { order_limits: Limits::on_all(limit), ..RULES }, |_| {});
    // The Logon was one, and one went for positions; one is left: four sides go in it.
    let [bid, offer, ..] = rig.quoted();
    let moved = rig.ask(OrderAction::Replace, bid, (0, Side::Buy), (51, 3));
    let out = rig.ask(OrderAction::Cancel, offer, (0, Side::Sell), (60, 3));
    let events = rig.settle();
    assert_eq!(Rig::told(&events, moved), [OrderUpdate::Unsent]);
    assert_eq!(Rig::told(&events, offer), [GONE], "{out}");
    assert_eq!(rig.world.venue.heard, ["i", "i"]);
}
