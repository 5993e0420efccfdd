//! Quotes of which it is not known what became of them: late, lost and contradicting answers to MassQuote(i),
//! and what is to go and did not.

use crate::quote_rig::*;
use crate::quote_venue::Quote;
use ballast_engine::event::{ClOrdId, InstrumentId, OrderAction, OrderEvent, OrderUpdate};
use ballast_engine::orders::order::{Order, OrderState, Purpose};
use ballast_engine::units::{Lots, Nanos, Side, Ticks};
use ballast_gateway::store::{MemoryStore, Store};
use ballast_gateway::venue::deribit::RULES;
use ballast_gateway::venue::dialect::Rules;

#[test]
fn a_move_that_crosses_the_quotes_end_places_nothing_and_the_fill_is_booked_once() {
    let mut rig = rig_of(RULES, |venue| venue.hides_fates = true);
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
fn that_there_is_no_quote_is_asked_about_and_what_it_traded_is_booked_once() {
    // order_not_found, already_closed, already_filled, not_open_order.
    for reason in [10004, 10010, 11008, 11044] {
        let mut rig = rig_of(RULES, |venue| venue.not_found = Some(reason));
        let [bid, ..] = rig.quoted();
        // It ends, and the report is late.
        let late = rig.world.venue.quotes.trade(CALL, "1", 9.0);
        let out = rig.ask(OrderAction::Cancel, bid, (0, Side::Buy), (50, 3));
        let events = rig.settle();
        assert_eq!(rig.world.venue.heard, ["i", "i", "AF"], "{out}");
        assert_eq!((fills(&events), events.len()), (vec![(50, 3)], 1), "{events:?}");
        assert_eq!((events[0].cl_ord_id, rig.live()), (ClOrdId::new(1, bid), 3));
        let events = rig.say(late);
        assert_eq!(fills(&events), [], "{events:?}");
    }
}

#[test]
fn a_quote_of_which_the_venue_says_no_more_than_that_there_is_none_stays_in_doubt() {
    for reason in [10004, 11008] {
        let mut rig = rig_of(RULES, |venue| {
            (venue.not_found, venue.hides_fates) = (Some(reason), true);
        });
        let [bid, ..] = rig.quoted();
        let late = rig.world.venue.quotes.trade(CALL, "1", 9.0);
        for _ in 0..3 {
            rig.ask(OrderAction::Cancel, bid, (0, Side::Buy), (50, 3));
            let events = rig.settle();
            assert_eq!((events.len(), rig.live()), (0, 4), "{events:?}");
            rig.wait(2_000_000_000);
            assert_eq!(rig.settle().len(), 0);
        }
        assert_eq!(fills(&rig.say(late)), [(50, 3)]);
        assert_eq!(rig.live(), 3);
    }
}

#[test]
fn what_comes_late_of_a_quote_that_has_gone_is_booked_as_far_as_it_grew() {
    for hides_entries in [false, true] {
        let mut rig = rig_of(RULES, |venue| venue.hides_entries = hides_entries);
        let [bid, ..] = rig.quoted();
        let said = rig.world.venue.quotes.trade(CALL, "1", 0.2);
        assert_eq!(fills(&rig.say(said)), [(50, 2)]);
        let mut quote = rig.world.venue.quotes.open[0].clone();
        rig.ask(OrderAction::Cancel, bid, (0, Side::Buy), (50, 3));
        rig.settle();
        assert_eq!(rig.live(), 3);
        // The same once more, then one lot that nobody had told, and that twice.
        for (cum, news) in [(0.2, 0), (0.3, 1), (0.3, 0)] {
            quote.cum = cum;
            let late = rig.world.venue.quotes.late(&quote, "4");
            let events = rig.say(vec![late]);
            let sizes: Vec<_> = fills(&events).iter().map(|(_, size)| *size).collect();
            assert_eq!(sizes.iter().sum::<i64>(), news, "{cum}: {events:?}");
        }
    }
}

#[test]
fn a_report_that_names_a_move_of_long_ago_is_of_its_quote() {
    // By the order behind the name, and by the venue's own name where that is forgotten, too.
    for entry in [[2, 1], [3, 2]] {
        let mut rig = rig();
        let bid = rig.new_quote((0, Side::Buy), (50, 3));
        let mut name = bid;
        for price in [51, 52, 53, 54] {
            name = rig.ask(OrderAction::Replace, name, (0, Side::Buy), (price, 3));
            rig.settle();
        }
        let [own, of] = entry.map(|n| ClOrdId::new(1, n).0);
        let mut quote = rig.world.venue.quotes.open[0].clone();
        (quote.entry, quote.cum, quote.value) = (format!("{own}-{of}"), 0.1, 0.1 * 0.0054);
        let late = rig.world.venue.quotes.late(&quote, "1");
        let events = rig.say(vec![late]);
        assert_eq!(fills(&events), [(54, 1)], "{events:?}");
        assert_eq!(events[0].cl_ord_id, ClOrdId::new(1, name));
        assert_eq!((rig.live(), rig.world.venue.quotes.open.len()), (1, 1), "no stray is seen");
    }
}

#[test]
fn terms_of_a_move_before_the_last_are_no_news() {
    let mut rig = rig();
    let bid = rig.new_quote((0, Side::Buy), (50, 3));
    rig.settle();
    let mut name = bid;
    let mut before = Vec::new();
    for price in [51, 52, 53] {
        before.push(rig.world.venue.quotes.open[0].clone());
        name = rig.ask(OrderAction::Replace, name, (0, Side::Buy), (price, 3));
        rig.settle();
    }
    for quote in before {
        let late = rig.world.venue.quotes.late(&quote, "0");
        let events = rig.say(vec![late]);
        let is_restated = |e: &OrderEvent| matches!(e.update, OrderUpdate::Restated { .. });
        assert!(!events.iter().any(is_restated), "{events:?}");
    }
    let order = rig.desk.stage.desk().live().live().next().unwrap();
    assert_eq!((order.price, order.cl_ord_id), (Ticks(53), ClOrdId::new(1, name)));
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
    // The maker asks after it: that there is none says not whether it traded, and the venue has not said
    // what it calls it. So it is in doubt until everything is asked out and the positions are told.
    rig.ask(OrderAction::Cancel, lost, (0, Side::Buy), (50, 3));
    assert_eq!(rig.settle().len(), 0);
    rig.wait(2_000_000_000);
    assert_eq!((rig.settle().len(), rig.live()), (0, 2));
    rig.world.peer.say("5|58=maintenance");
    let events = rig.settle();
    let is_gone = |e: &OrderEvent| {
        e.orig_cl_ord_id == ClOrdId::new(1, lost)
            && matches!(e.update, OrderUpdate::CancelRejected { is_gone: true, .. })
    };
    let is_position = |e: &OrderEvent| matches!(e.update, OrderUpdate::Position { .. });
    let gone = events.iter().position(is_gone);
    assert!(gone.is_some() && gone < events.iter().position(is_position), "{events:?}");
    let third = rig.new_quote((0, Side::Buy), (49, 3));
    assert_eq!(Rig::told(&rig.settle(), third)[0], OrderUpdate::New { leaves_qty: Lots(3) });
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
fn the_removal_of_a_quote_that_the_venue_alone_knows_is_repeated_and_a_logon_asks_all_out() {
    for way in ["refused", "rejected", "logged out"] {
        let mut rig = rig();
        rig.world.venue.quotes.refuses_next = true;
        let refused = rig.new_quote((0, Side::Buy), (50, 3));
        rig.settle();
        let id = ClOrdId::new(1, refused).0.to_string();
        let said = rig.world.venue.quotes.work(CALL, "1", GROUP, &id);
        match way {
            "refused" => rig.world.venue.quotes.refuses_next = true,
            "rejected" => rig.world.venue.rejects_next = true,
            _ => rig.world.venue.quotes.loses_entries = 1,
        }
        rig.say(said);
        assert_eq!(rig.world.venue.quotes.open.len(), 1, "{way}");
        if way == "logged out" {
            rig.world.peer.say("5|58=maintenance");
        } else {
            rig.wait(1_100_000_000);
        }
        rig.settle();
        let heard = &rig.world.venue.heard;
        assert!(rig.world.venue.quotes.open.is_empty(), "{way}: {heard:?}");
        assert_eq!(heard.contains(&"Z".to_owned()), way == "logged out", "{way}: {heard:?}");
    }
}

#[test]
fn what_the_limit_or_a_refusal_held_back_of_what_is_to_go_goes_later_and_holds_up_nobody() {
    use ballast_gateway::order_entry::throttle::{Limits, MessageLimit};
    // Logon, positions, two groups' quotes, their moves: then one cancel is left in the window.
    let limit = MessageLimit { messages: 7, window_ns: 2_000_000_000, cancel_reserve: 1 };
    let rules = Rules { order_limits: Limits::on_all(limit), ..RULES };
    let mut rig = rig_with(rules, [GROUP, "puts"], |_| {});
    let bids = [0, 1].map(|instrument| rig.new_quote((instrument, Side::Buy), (30, 3)));
    rig.settle();
    for (instrument, bid) in (0..).zip(bids) {
        rig.ask(OrderAction::Replace, bid, (instrument, Side::Buy), (990, 3));
    }
    rig.settle();
    assert_eq!(rig.world.venue.quotes.open.len(), 1, "one of two messages was let pass");
    rig.wait(2_100_000_000);
    rig.settle();
    assert_eq!((rig.live(), rig.world.venue.quotes.open.len()), (0, 0));

    let mut rig = self::rig();
    let [bid, _, put_bid, _] = rig.quoted();
    rig.world.venue.quotes.refuses_next = true;
    let out = rig.ask(OrderAction::Cancel, bid, (0, Side::Buy), (50, 3));
    assert_eq!(Rig::told(&rig.settle(), out), [refused(99)]);
    rig.ask(OrderAction::Replace, put_bid, (1, Side::Buy), (990, 3));
    let events = rig.settle();
    assert_eq!(Rig::told(&events, put_bid), [GONE], "the one that waits holds up nobody");
    assert_eq!(rig.live(), 3);
    rig.wait(1_100_000_000);
    assert_eq!(Rig::told(&rig.settle(), bid), [GONE]);
}

#[test]
fn a_stage_that_winds_down_repeats_a_refused_cancel_and_after_a_logon_asks_all_out_again() {
    for has_logout in [false, true] {
        let mut rig = rig_of(RULES, |venue| venue.keeps_all = true);
        rig.quoted();
        rig.world.venue.quotes.refuses_next = true;
        rig.desk.intents = ballast_engine::ring::slots(1).0;
        rig.world.settle(&mut rig.desk.stage);
        assert_eq!(rig.world.venue.heard, ["i", "q", "Z", "i"]);
        assert_eq!(rig.world.venue.quotes.open.len(), 4);
        if has_logout {
            rig.world.peer.say("5|58=maintenance");
            rig.world.settle(&mut rig.desk.stage);
            assert_eq!(rig.world.venue.heard[4..6], ["A", "Z"], "{:?}", rig.world.venue.heard);
        } else {
            rig.wait(1_100_000_000);
            rig.world.settle(&mut rig.desk.stage);
            assert_eq!(rig.world.venue.heard, ["i", "q", "Z", "i", "i"]);
            assert_eq!((rig.live(), rig.world.venue.quotes.open.len()), (0, 0));
        }
        rig.world.peer.check();
    }
}

#[test]
fn what_a_quote_of_an_earlier_run_traded_is_asked_for_by_the_name_that_the_run_heard() {
    // Heard by the run before, which died; what it traded then nobody has told.
    let mut store = MemoryStore::new();
    let id = ClOrdId::new(1, 1);
    let body = format!("35=8|34=1|49=V|56=B|37=BTC-7|39=0|54=1|55={CALL}|117=9|299={}|", id.0);
    let body = body.replace('|', "\x01");
    let mut whole = format!("8=FIX.4.4\x019={}\x01{body}", body.len());
    let sum = whole.bytes().fold(0u8, u8::wrapping_add);
    whole.push_str(&format!("10={sum:03}\x01"));
    store.put_inbound(whole.as_bytes()).unwrap();
    let (of, terms) = ((InstrumentId(0), Side::Buy), (Ticks(50), Lots(3)));
    let sent = Order::sent(Nanos(0), id, of, terms, Purpose::Quote { level: 0 });
    let order = Order { is_acknowledged: true, state: OrderState::InDoubt, ..sent };
    let traded = Quote {
        symbol: CALL.into(),
        side: "1".into(),
        price: 0.005,
        size: 0.3,
        cum: 0.2,
        value: 0.2 * 0.005,
        order_id: "BTC-7".into(),
        quote_id: "9".into(),
        entry: id.0.to_string(),
        ..Quote::default()
    };
    let mut rig = rig_over(store, (RULES, [GROUP; 2]), |venue| venue.closed.push(traded));
    rig.desk.stage.resume(&[order], &[], 2);
    let events = rig.settle();
    assert_eq!(rig.world.venue.heard, ["A", "Z", "q", "AF", "AN"]);
    assert_eq!(fills(&events), [(50, 2)], "{events:?}");
    assert_eq!(rig.live(), 0);
}

#[test]
fn nothing_is_asked_of_a_quote_before_all_were_asked_out_after_a_logon() {
    let mut rig = rig();
    let [bid, ..] = rig.quoted();
    rig.world.venue.hides_q = true;
    rig.world.venue.quotes.keeps_all = true;
    rig.world.peer.say("5|58=maintenance");
    rig.settle();
    assert_eq!(rig.world.venue.heard, ["i", "A", "Z", "q"]);
    let out = rig.ask(OrderAction::Cancel, bid, (0, Side::Buy), (50, 3));
    assert_eq!(Rig::told(&rig.settle(), out), [OrderUpdate::Unsent]);
    assert_eq!(rig.world.venue.heard, ["i", "A", "Z", "q"]);
    rig.wait(6_000_000_000);
    let events = rig.settle();
    assert_eq!(rig.world.venue.heard[4..], ["AF", "AF", "AF", "AF", "AN"]);
    assert_eq!((Rig::told(&events, bid), rig.live()), (vec![GONE], 0));
}

#[test]
fn a_quote_without_a_name_that_was_filled_is_not_believed_gone_after_a_logon() {
    for (reason, left) in [(10004, 0), (11008, 1)] {
        let mut rig = rig_of(RULES, |venue| venue.not_found = Some(reason));
        rig.world.venue.quotes.loses_entries = 1;
        rig.new_quote((0, Side::Buy), (50, 3));
        rig.settle();
        rig.world.peer.say("5|58=maintenance");
        let mut events = rig.settle();
        rig.wait(6_000_000_000);
        events.extend(rig.settle());
        let is_gone =
            |e: &OrderEvent| matches!(e.update, OrderUpdate::CancelRejected { is_gone: true, .. });
        assert_eq!(events.iter().any(is_gone), left == 0, "{reason}: {events:?}");
        assert_eq!(rig.live(), left, "{reason}");
    }
}

#[test]
fn a_quote_that_the_venue_denied_and_works_is_taken_out() {
    let mut rig = rig();
    let [bid, ..] = rig.quoted();
    rig.world.venue.quotes.denies_next = true;
    rig.ask(OrderAction::Cancel, bid, (0, Side::Buy), (50, 3));
    let events = rig.settle();
    assert_eq!(rig.world.venue.heard, ["i", "i", "AF", "i"]);
    assert_eq!(Rig::told(&events, bid).last(), Some(&GONE), "{events:?}");
    assert_eq!((rig.live(), rig.world.venue.quotes.open.len()), (3, 3));
}
