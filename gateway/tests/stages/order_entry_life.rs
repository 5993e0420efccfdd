//! The order-entry stage against a scripted venue over an in-memory pipe: a whole life, and what
//! happens when something is full or gone.

use crate::peer;
use crate::world::World;
use ballast_engine::event::{ClOrdId, OrderAction, OrderEvent, OrderUpdate};
use ballast_engine::latency::Mark;
use ballast_engine::stage::{Stage, Turn};
use ballast_gateway::order_entry::OWN_IDS;
use ballast_gateway::order_entry::throttle::{Counted, Limits, MessageLimit, WhenFull};
use ballast_gateway::venue::dialect::{Reconciliation, Rules};
use ballast_gateway::venue::plain::RULES;

#[test]
fn a_whole_life_is_sent_and_told_in_order() {
    let mut world = World::up();
    world.accept(11);
    let sent = world.venue.take_inbox();
    assert_eq!(
        sent[0].split("|60=").next().unwrap(),
        "35=D|11=11|21=1|55=BTC|18=6|40=2|59=0|54=2|38=1.500|44=61685.99"
    );
    world.order(OrderAction::Replace, 12, 11);
    world.settle();
    assert!(world.venue.take_inbox()[0].starts_with("35=G|11=12|41=11|21=1|55=BTC|"));
    world.say("35=8|37=O|11=12|41=11|17=E1|150=E|39=E|55=BTC|54=2|151=1.5|14=0|6=0");
    world.say("35=8|37=O|11=12|41=11|17=E2|150=5|39=0|55=BTC|54=2|44=61685.99|151=1.5|14=0|6=0");
    world.say("35=8|37=O|11=12|17=E3|150=F|39=1|55=BTC|54=2|31=61685.99|32=0.5|151=1|14=0.5|6=0");
    assert_eq!(world.names(), ["Pending", "Replaced", "Fill"]);
    world.order(OrderAction::Cancel, 13, 12);
    world.settle();
    let cancel = world.venue.take_inbox();
    assert!(cancel[0].starts_with("35=F|11=13|41=12|55=BTC|54=2|38=1.500|60="), "{cancel:?}");
    world.say("35=9|37=O|11=13|41=12|39=1|434=1|102=3");
    world.say("35=8|37=O|11=13|41=12|17=E4|150=4|39=4|55=BTC|54=2|151=0|14=0.5|6=0");
    assert_eq!(world.names(), ["CancelRejected", "Canceled"]);
    world.order(OrderAction::New, 14, 0);
    world.settle();
    world.say("35=8|37=O|11=14|17=E5|150=8|39=8|103=3|55=BTC|54=2|151=0|14=0|6=0");
    assert_eq!(world.names(), ["Rejected"]);
    assert_eq!(world.entry.desk().live().live_count(), 0);
    assert_eq!(world.entry.desk_counts().unforeseen, 0);
}

#[test]
fn a_venue_gets_the_fields_that_it_takes_and_no_others() {
    let mut world = World::with(ballast_gateway::venue::binance::RULES, 64);
    world.settle();
    world.order(OrderAction::New, 11, 0);
    world.order(OrderAction::Replace, 12, 11);
    world.order(OrderAction::Cancel, 13, 12);
    assert_eq!(world.names(), ["SessionReconciling", "SessionUp"]);
    assert_eq!(
        world.venue.take_inbox(),
        [
            "35=D|11=11|55=BTC|18=6|40=2|54=2|38=1.500|44=61685.99",
            "35=F|11=12|41=11|55=BTC",
            "35=F|11=13|41=11|55=BTC"
        ],
        "the venue has no replace: it is a cancel, and 12 never was an order"
    );
}

#[test]
fn each_order_is_measured_when_it_is_taken_encoded_and_written() {
    let mut world = World::up();
    world.accept(11);
    let marks: Vec<Mark> = std::iter::from_fn(|| world.samples.pop()).map(|s| s.mark).collect();
    assert_eq!(marks, [Mark::IntentIn, Mark::Encoded, Mark::Written]);
}

#[test]
fn an_intent_that_cannot_go_out_comes_back_unsent() {
    let mut world = World::with(RULES, 64);
    world.door.set_open(false);
    world.order(OrderAction::New, 11, 0);
    assert_eq!(world.names(), ["Unsent"], "the session is down");
    let mut world = World::up();
    world.accept(11);
    world.order(OrderAction::New, 11, 0);
    world.order(OrderAction::Replace, 12, 99);
    assert_eq!(world.names(), ["Unsent", "Unsent"], "a used id, and an unknown order");
    assert_eq!(world.entry.counts().unsent, 2);
}

#[test]
fn beyond_the_venues_limit_orders_come_back_and_cancels_still_go_out() {
    // The Logon is the first of the four.
    let limit = MessageLimit { messages: 4, window_ns: u64::MAX, cancel_reserve: 1 };
    let mut world = World::with(Rules { order_limits: limit.into(), ..RULES }, 64);
    world.settle();
    for id in 11..15 {
        world.order(OrderAction::New, id, 0);
    }
    world.order(OrderAction::Cancel, 20, 11);
    assert_eq!(world.names(), ["SessionReconciling", "SessionUp", "Unsent", "Unsent"]);
    let types: Vec<_> = world.venue.take_inbox().iter().map(|m| m[..4].to_string()).collect();
    assert_eq!(types, ["35=D", "35=D", "35=F"]);
    assert_eq!(world.entry.counts().throttled, 2);
}

#[test]
fn a_full_event_ring_stops_the_reading_and_loses_nothing() {
    let mut world = World::with(RULES, 2);
    assert_eq!(world.names(), ["SessionReconciling", "SessionUp"]);
    for id in 1..=20 {
        world.say(&format!(
            "35=8|37=O|11={id}|17=E{id}|150=F|39=2|55=BTC|54=2|31=5|32=1|151=0|14=1"
        ));
    }
    world.settle();
    assert!(world.entry.counts().stalled_turns > 0);
    let mut numbers = Vec::new();
    for _ in 0..40 {
        numbers.extend(world.events.pop().map(|e| e.cl_ord_id.0));
        world.settle();
    }
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
}

#[test]
fn a_lost_session_is_told_at_once_and_what_is_out_is_cancelled_after_the_next_logon() {
    let mut world = World::up();
    world.accept(11);
    world.accept(12);
    world.venue.take_inbox();
    world.door.set_open(false);
    world.venue.cut(world.now);
    assert_eq!(world.names(), ["SessionDown"]);
    world.order(OrderAction::New, 13, 0);
    assert_eq!(world.names(), ["Unsent"]);
    assert_eq!(world.entry.desk().live().live_count(), 2, "unknown stays unknown");
    world.door.set_open(true);
    let mut names = Vec::new();
    for _ in 0..5 {
        names.extend(world.names());
    }
    assert_eq!(names, ["SessionReconciling"], "up when the venue has answered the cancels");
    let own = ClOrdId::new(5, OWN_IDS | 1).0;
    let cancels = world.venue.take_inbox();
    assert_eq!(cancels.len(), 2, "{cancels:?}");
    assert!(cancels[0].starts_with(&format!("35=F|11={own}|41=11|55=BTC|54=2|")), "{cancels:?}");
    world.say(&format!("35=8|37=O|11={own}|41=11|17=X|150=4|39=4|55=BTC|54=2|151=0|14=0|6=0"));
    assert_eq!(world.names(), ["Canceled"]);
    assert_eq!(world.entry.desk().live().live_count(), 1);
}

#[test]
fn the_operators_switch_cancels_without_the_maker_and_only_once_an_order() {
    let mut world = World::up();
    world.accept(11);
    world.venue.take_inbox();
    let switch = world.entry.cancel_switch();
    switch.pull();
    world.settle();
    switch.pull();
    world.settle();
    assert_eq!(world.venue.take_inbox().len(), 1);
    assert_eq!(world.entry.counts().own_cancels, 1);
}

#[test]
fn an_order_that_waited_for_a_second_comes_back_and_a_cancel_goes_out() {
    let mut world = World::up();
    world.accept(11);
    world.venue.take_inbox();
    world.order(OrderAction::New, 12, 0);
    world.order(OrderAction::Replace, 13, 11);
    world.order(OrderAction::Cancel, 14, 11);
    // The thread is held up.
    world.now = world.now.plus(1_000_000_001);
    assert_eq!(world.names(), ["Unsent", "Unsent"]);
    let sent = world.venue.take_inbox();
    assert!(sent.len() == 1 && sent[0].starts_with("35=F|11=14|"), "{sent:?}");
    world.order(OrderAction::New, 15, 0);
    world.now = world.now.plus(900_000_000);
    world.settle();
    assert!(world.venue.take_inbox()[0].starts_with("35=D|11=15|"));
}

#[test]
fn a_full_event_ring_does_not_keep_the_switch_from_cancelling() {
    let mut world = World::with(RULES, 4);
    world.names();
    world.accept(11);
    world.accept(12);
    world.venue.take_inbox();
    // The maker hangs: nobody takes what the venue says.
    for n in 0..9 {
        world.say(&format!("35=9|37=O|11={n}|41={n}|39=8|434=1|102=1"));
        world.settle();
    }
    let stalled = world.entry.counts().stalled_turns;
    assert!(stalled > 0);
    let switch = world.entry.cancel_switch();
    switch.shut();
    switch.pull();
    world.settle();
    assert_eq!(world.venue.take_inbox().len(), 2, "a cancel an order");
    world.settle();
    assert!(world.venue.take_inbox().is_empty(), "they are on their way");
    assert!(world.entry.counts().stalled_turns > stalled, "the ring was full all the while");
}

#[test]
fn a_kill_cancels_what_a_replacement_on_its_way_left_working() {
    let mut world = World::up();
    world.accept(11);
    world.order(OrderAction::Replace, 12, 11);
    world.settle();
    world.venue.take_inbox();
    let switch = world.entry.cancel_switch();
    switch.shut();
    switch.pull();
    world.settle();
    let own = |n: u64| ClOrdId::new(5, OWN_IDS | n).0;
    assert!(world.venue.take_inbox()[0].starts_with(&format!("35=F|11={}|41=11|", own(1))));
    // The venue had replaced it before: the cancel names an order that is no more.
    world.say("35=8|37=O|11=12|41=11|17=E2|150=5|39=0|55=BTC|54=2|44=61685.99|151=1.5|14=0|6=0");
    world.say(&format!("35=9|37=O|11={}|41=11|39=0|434=1|102=1", own(1)));
    assert_eq!(world.names(), ["Replaced", "CancelRejected"]);
    world.now = world.now.plus(100_000_000);
    world.settle();
    let again = world.venue.take_inbox();
    assert!(again[0].starts_with(&format!("35=F|11={}|41=12|", own(2))), "{again:?}");
    world.now = world.now.plus(20_000_000_000);
    world.settle();
    let sent = world.venue.take_inbox();
    assert!(sent.iter().all(|text| !text.starts_with("35=F|")), "one is on its way: {sent:?}");
}

/// An order 11 whose replace 12 is unanswered, killed, and its cancel by the old name refused: the venue
/// knows none of that name.
fn killed_by_the_old_name(replaced: bool) -> World {
    let mut world = World::up();
    world.accept(11);
    world.order(OrderAction::Replace, 12, 11);
    world.settle();
    world.entry.cancel_switch().shut();
    world.entry.cancel_switch().pull();
    world.settle();
    if replaced {
        world
            .say("35=8|37=O|11=12|41=11|17=E2|150=5|39=0|55=BTC|54=2|44=61685.99|151=1.5|14=0|6=0");
        assert_eq!(world.names(), ["Replaced"]);
    }
    refuse_own_cancel(&mut world, 1, 11);
    world.venue.take_inbox();
    world.now = world.now.plus(100_000_000);
    world.settle();
    world
}

/// The venue knows no order by the name that the stage's own cancel asked for.
fn refuse_own_cancel(world: &mut World, n: u64, named: u64) {
    let own = ClOrdId::new(5, OWN_IDS | n).0;
    world.say(&format!("35=9|37=NONE|11={own}|41={named}|39=8|434=1|102=1"));
    let update = OrderUpdate::CancelRejected { reason: 1, is_gone: false };
    let told: Vec<_> = world.events().into_iter().map(|event| event.update).collect();
    assert_eq!(told, [update], "of the name that was asked for alone");
}

#[test]
fn a_kill_goes_on_to_an_order_that_the_venue_knows_by_its_replaces_name_alone() {
    for replaced in [true, false] {
        let mut world = killed_by_the_old_name(replaced);
        assert_eq!(world.entry.desk().live().live_count(), 1, "replaced {replaced}");
        let again = world.venue.take_inbox();
        let own = ClOrdId::new(5, OWN_IDS | 2).0;
        assert!(again[0].starts_with(&format!("35=F|11={own}|41=12|")), "{again:?}");
        world.say(&format!("35=8|37=O|11={own}|41=12|17=C|150=4|39=4|55=BTC|54=2|151=0|14=0|6=0"));
        assert_eq!(world.names(), ["Canceled"]);
        assert_eq!(world.entry.desk().live().live_count(), 0);
    }
}

#[test]
fn an_order_that_the_venue_knows_by_neither_name_is_gone() {
    let mut world = killed_by_the_old_name(false);
    let own = ClOrdId::new(5, OWN_IDS | 2).0;
    world.say(&format!("35=9|37=NONE|11={own}|41=12|39=8|434=1|102=1"));
    let told: Vec<_> = world.events().into_iter().map(|event| event.update).collect();
    assert_eq!(told, [OrderUpdate::CancelRejected { reason: 1, is_gone: true }]);
    assert_eq!(world.entry.desk().live().live_count(), 0);
}

#[test]
fn a_kill_waits_for_the_makers_own_cancels_that_lie_in_the_ring() {
    let mut world = World::up();
    world.accept(11);
    world.accept(12);
    world.venue.take_inbox();
    // More than one turn takes, and the cancel of 11 is the last of them.
    for id in 0..70 {
        world.order(OrderAction::Cancel, 100 + id, 1000 + id);
    }
    world.order(OrderAction::Cancel, 200, 11);
    world.entry.cancel_switch().shut();
    world.entry.cancel_switch().pull();
    world.settle();
    let sent = world.venue.take_inbox();
    let of = |name: &str| sent.iter().filter(|sent| sent.contains(name)).count();
    assert_eq!((of("|41=11|"), of("|41=12|")), (1, 1), "the maker's own, and the stage's");
    assert_eq!(world.entry.counts().own_cancels, 1);
}

#[test]
fn a_message_reject_names_its_order() {
    let mut world = World::up();
    world.order(OrderAction::New, 11, 0);
    world.settle();
    world.say("35=j|45=2|372=D|380=4|58=busy");
    let events = world.events();
    assert_eq!(events[0].update, OrderUpdate::MessageRejected { reason: 4 });
    assert_eq!(events[0].cl_ord_id, ClOrdId(11));
    assert_eq!(world.entry.desk().live().live_count(), 0);
}

#[test]
fn when_the_maker_goes_away_the_stage_cancels_logs_out_and_is_done() {
    let mut world = World::up();
    world.accept(11);
    world.venue.take_inbox();
    world.intents = None;
    world.settle();
    assert!(world.venue.take_inbox()[0].starts_with("35=F|"));
    let own = ClOrdId::new(5, OWN_IDS | 1).0;
    world.say(&format!("35=8|37=O|11={own}|41=11|17=X|150=4|39=4|55=BTC|54=2|151=0|14=0|6=0"));
    world.settle();
    assert_eq!(world.entry.turn(world.now), Turn::Done);
}

#[test]
fn a_stage_that_ends_while_its_session_is_down_dials_until_its_orders_are_cancelled() {
    let mut world = World::up();
    world.accept(11);
    world.venue.take_inbox();
    world.door.set_open(false);
    world.venue.cut(world.now);
    world.settle();
    world.intents = None;
    world.settle();
    assert_eq!(world.entry.turn(world.now), Turn::Idle, "not done: an order works there");
    world.door.set_open(true);
    for _ in 0..5 {
        world.settle();
    }
    let cancels = world.venue.take_inbox();
    assert!(cancels.len() == 1 && cancels[0].starts_with("35=F|"), "{cancels:?}");
    let own = ClOrdId::new(5, OWN_IDS | 1).0;
    world.say(&format!("35=8|37=O|11={own}|41=11|17=X|150=4|39=4|55=BTC|54=2|151=0|14=0|6=0"));
    world.settle();
    assert_eq!(world.entry.turn(world.now), Turn::Done);
    assert_eq!(world.entry.desk().live().live_count(), 0);
}

#[test]
fn a_stage_that_finds_nobody_until_its_time_is_over_ends_and_knows_what_it_left() {
    let mut world = World::up();
    world.accept(11);
    world.door.set_open(false);
    world.venue.cut(world.now);
    world.intents = None;
    world.settle();
    world.now = world.now.plus(1_000_000);
    world.settle();
    assert_eq!(world.entry.turn(world.now), Turn::Done);
    assert_eq!(world.entry.desk().live().live_count(), 1);
}

#[test]
fn no_order_goes_out_while_messages_are_missing_and_cancels_do() {
    let mut world = World::up();
    world.accept(11);
    world.venue.take_inbox();
    world.venue.lose(world.now, 2);
    world.say("35=B|148=later");
    world.venue.turn(world.now);
    world.entry.turn(world.now);
    assert!(world.entry.session().is_logged_on() && !world.entry.session().is_synced());
    world.order(OrderAction::New, 12, 0);
    world.order(OrderAction::Replace, 13, 11);
    world.order(OrderAction::Cancel, 14, 11);
    world.entry.turn(world.now);
    let unsent: Vec<u64> =
        std::iter::from_fn(|| world.events.pop()).map(|event| event.cl_ord_id.0).collect();
    assert_eq!(unsent, [12, 13]);
    world.settle();
    assert!(world.entry.session().is_synced());
    world.order(OrderAction::New, 15, 0);
    world.settle();
    assert_eq!(sent(&mut world), ["35=F 11=14", "35=D 11=15"]);
}

#[test]
fn an_exec_id_used_again_for_another_execution_is_a_fill_and_the_same_fill_again_is_not() {
    let mut world = World::up();
    world.accept(11);
    world.accept(12);
    let fill = |id: u64, cum: &str| {
        format!("35=8|37=O|11={id}|17=17|150=F|39=1|55=BTC|54=2|31=5|32=0.5|151=1|14={cum}|6=0")
    };
    world.say(&fill(11, "0.5"));
    world.say(&fill(12, "0.5"));
    let ids: Vec<_> = world.events().iter().map(exec_id).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "two executions, told apart: {ids:?}");
    // Each of them again, and one that takes a trade back and the trade again.
    world.say(&fill(11, "0.5"));
    world.say(&fill(12, "0.5"));
    world.say("35=8|37=O|11=12|17=18|19=17|150=H|39=0|55=BTC|54=2|151=1.5|14=0|6=0");
    world.say(&fill(12, "0.5"));
    assert_eq!(world.names(), ["TradeCanceled"]);
    assert_eq!(world.entry.desk_counts().duplicates, 3);
}

fn exec_id(event: &OrderEvent) -> u64 {
    match event.update {
        OrderUpdate::Fill { exec_id, .. } => exec_id.0,
        other => panic!("no fill: {other:?}"),
    }
}

/// Two messages in a window of 20 turns; orders beyond that wait for `for_ns`.
fn queueing_with(rules: Rules, for_ns: u64) -> World {
    let limit = MessageLimit { messages: 2, window_ns: 2_000, cancel_reserve: 0 };
    let limits = Limits::of(&[(Counted::Orders, limit)], WhenFull::Queue { for_ns }).unwrap();
    World::with(Rules { order_limits: limits, ..rules }, 64)
}

fn queueing(for_ns: u64) -> World {
    let mut world = queueing_with(RULES, for_ns);
    assert_eq!(world.names(), ["SessionReconciling", "SessionUp"]);
    world
}

/// A venue that is asked for positions after each Logon.
const RECONCILED: Rules =
    Rules { reconciliation: Reconciliation { positions: true, ..Reconciliation::NONE }, ..RULES };

fn sent(world: &mut World) -> Vec<String> {
    let inbox = world.venue.take_inbox();
    inbox.iter().map(|m| m.split('|').take(2).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn where_the_config_says_so_orders_wait_for_the_limit_in_their_order() {
    let mut world = queueing(1_000_000);
    for id in 11..=15 {
        world.order(OrderAction::New, id, 0);
    }
    world.entry.turn(world.now);
    // A cancel does not wait, and what it names must not go out behind it.
    world.order(OrderAction::Cancel, 20, 11);
    world.order(OrderAction::Cancel, 21, 14);
    world.entry.turn(world.now);
    world.venue.turn(world.now);
    assert_eq!(sent(&mut world), ["35=D 11=11", "35=D 11=12", "35=F 11=20"]);
    assert_eq!(world.names(), ["Unsent", "Unsent"], "the order that waited, and its cancel");
    assert_eq!(sent(&mut world), ["35=D 11=13", "35=D 11=15"]);
    assert_eq!(world.entry.counts().throttled, 1);
}

#[test]
fn an_order_that_waited_too_long_or_whose_session_ended_comes_back() {
    let mut world = queueing(300);
    for id in 11..=13 {
        world.order(OrderAction::New, id, 0);
    }
    assert_eq!(world.names(), ["Unsent"]);
    assert_eq!(sent(&mut world), ["35=D 11=11", "35=D 11=12"]);
    let mut world = queueing(1_000_000);
    for id in 11..=13 {
        world.order(OrderAction::New, id, 0);
    }
    world.entry.turn(world.now);
    world.door.set_open(false);
    world.venue.cut(world.now);
    let names = world.names();
    assert_eq!(names, ["SessionDown", "Unsent"]);
}

fn orders_sent(world: &mut World) -> Vec<String> {
    let mut sent = sent(world);
    sent.retain(|message| message.starts_with("35=D") || message.starts_with("35=G"));
    sent
}

#[test]
fn no_order_goes_out_before_the_session_is_reconciled() {
    let mut world = World::with(RECONCILED, 64);
    assert_eq!(world.names(), ["SessionReconciling"]);
    world.order(OrderAction::New, 11, 0);
    world.order(OrderAction::Replace, 12, 11);
    assert_eq!(world.names(), ["Unsent", "Unsent"], "logged on, and the venue has not answered");
    let asked = world.venue.take_inbox();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].starts_with("35=AN|"), "{asked:?}");
    assert_eq!(world.entry.counts().unsent, 2);
    world.say("35=j|45=2|372=AN|380=3");
    assert_eq!(world.names(), ["SessionUp"]);
    world.order(OrderAction::New, 13, 0);
    world.settle();
    assert_eq!(orders_sent(&mut world), ["35=D 11=13"]);
}

#[test]
fn an_order_that_waits_while_the_session_drops_comes_back_before_the_next_is_up() {
    let mut world = queueing_with(RECONCILED, 1_000_000_000);
    assert_eq!(world.names(), ["SessionReconciling"]);
    world.say("35=j|45=2|372=AN|380=3");
    assert_eq!(world.names(), ["SessionUp"]);
    for id in 11..=13 {
        world.order(OrderAction::New, id, 0);
    }
    world.entry.turn(world.now);
    world.venue.turn(world.now);
    world.venue.cut(world.now);
    assert_eq!(world.names(), ["SessionDown", "Unsent", "SessionReconciling"]);
    world.order(OrderAction::New, 14, 0);
    assert_eq!(world.names(), ["Unsent"], "a later one does not wait for the session either");
    assert_eq!(orders_sent(&mut world), ["35=D 11=11", "35=D 11=12"]);
}

#[test]
fn an_order_that_waits_while_the_numbers_are_reset_comes_back_before_the_session_is_up_again() {
    let mut world = queueing(1_000_000_000);
    for id in 11..=13 {
        world.order(OrderAction::New, id, 0);
    }
    world.entry.turn(world.now);
    world.venue.turn(world.now);
    for id in [11, 12] {
        world.say(&format!("35=8|37=O|11={id}|17=E{id}|150=8|39=8|55=BTC|54=2|151=0|14=0|6=0"));
    }
    // SequenceReset-Reset: answers were lost; the session stays, and there is nothing to ask.
    world.say("35=4|123=N|36=50");
    let names = world.names();
    assert_eq!(&names[..2], ["Rejected", "Rejected"]);
    assert_eq!(&names[2..], ["SessionDown", "SessionReconciling", "Unsent", "SessionUp"]);
    assert_eq!(orders_sent(&mut world), ["35=D 11=11", "35=D 11=12"]);
    assert_eq!(world.entry.counts().throttled, 1);
}

#[test]
fn a_kill_leaves_nothing_to_wait() {
    let mut world = queueing(1_000_000);
    for id in 11..=13 {
        world.order(OrderAction::New, id, 0);
    }
    world.entry.turn(world.now);
    world.entry.cancel_switch().shut();
    assert_eq!(world.names(), ["Unsent"]);
    assert_eq!(sent(&mut world), ["35=D 11=11", "35=D 11=12"]);
}

#[test]
fn orders_carry_the_header_fields_that_the_session_has() {
    let mut session = peer::client_config();
    session.sender_sub_id = Some("DESK".into());
    session.target_sub_id = Some("GATE".into());
    session.has_last_processed = true;
    let mut world = World::of(session, RULES, 64);
    world.settle();
    world.order(OrderAction::New, 11, 0);
    world.order(OrderAction::Cancel, 12, 11);
    world.settle();
    let inbox = world.venue.take_inbox();
    assert!(inbox[0].starts_with("35=D|50=DESK|57=GATE|369=1|11=11|"), "{inbox:?}");
    assert!(inbox[1].starts_with("35=F|50=DESK|57=GATE|369=1|11=12|"), "{inbox:?}");
}
