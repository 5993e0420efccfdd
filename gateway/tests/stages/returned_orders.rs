//! An order that the venue brings back after the maker was told that it is gone is in nobody's hand: order
//! entry takes it back into its index and cancels it by name until it is gone.

use crate::world::World;
use ballast_engine::event::{OrderAction, OrderUpdate, SessionFault};

/// What the venue was sent of cancels, as it names the orders.
fn cancelled(world: &mut World) -> Vec<String> {
    world.settle();
    let inbox = world.venue.take_inbox();
    let cancels = inbox.iter().filter(|body| body.starts_with("35=F|"));
    let named = |body: &String| {
        body.split('|').find_map(|field| field.strip_prefix("41=")).unwrap_or("").to_owned()
    };
    cancels.map(named).collect()
}

fn fill(world: &mut World) {
    world.say("35=8|37=O|11=11|17=E1|150=F|39=2|55=BTC|54=2|31=61685.99|32=1.5|151=0|14=1.5|6=0");
    assert_eq!(world.names(), ["Fill"]);
    assert_eq!(world.entry.desk().live().live_count(), 0);
}

/// Order 11 has filled and its trade is undone.
fn busted() -> World {
    let mut world = World::up();
    world.accept(11);
    fill(&mut world);
    world.say("35=8|37=O|11=11|17=E2|19=E1|150=H|39=0|55=BTC|54=2|151=1.5|14=0|6=0");
    assert_eq!(world.names(), ["TradeCanceled"]);
    world
}

#[test]
fn an_order_whose_only_trade_is_undone_is_cancelled_by_name() {
    let mut world = busted();
    assert_eq!(cancelled(&mut world), ["11"]);
    assert_eq!(world.entry.desk().live().live_count(), 1, "it counts until it is gone");
    world.say("35=8|37=O|11=7|41=11|17=E3|150=4|39=4|55=BTC|54=2|151=0|14=0|6=0");
    world.settle();
    assert_eq!(world.entry.desk().live().live_count(), 0);
    world.now = world.now.plus(60_000_000_000);
    assert_eq!(cancelled(&mut world), Vec::<String>::new());
}

#[test]
fn a_cancel_that_is_refused_or_lost_is_sent_again() {
    let mut world = busted();
    world.settle();
    let inbox = world.venue.take_inbox();
    let id = inbox.iter().find_map(|body| body.strip_prefix("35=F|11=")).unwrap();
    let id = id.split('|').next().unwrap();
    world.say(&format!("35=9|37=O|11={id}|41=11|39=0|434=1|102=99"));
    assert_eq!(cancelled(&mut world), Vec::<String>::new(), "not at once");
    world.now = world.now.plus(1_100_000_000);
    assert_eq!(cancelled(&mut world), ["11"]);
}

#[test]
fn an_order_that_was_done_for_the_day_and_is_restated_is_cancelled() {
    let mut world = World::up();
    world.accept(11);
    world.say("35=8|37=O|11=11|17=E1|150=3|39=3|55=BTC|54=2|151=0|14=0|6=0");
    assert_eq!(world.names(), ["Canceled"]);
    world.say("35=8|37=O|11=11|17=E2|150=D|39=0|55=BTC|54=2|44=61685.99|151=1.5|14=0|6=0");
    assert_eq!(world.names(), ["Restated"]);
    assert_eq!(cancelled(&mut world), ["11"]);
}

#[test]
fn a_replace_that_crossed_the_last_fill_is_cancelled_by_its_new_name() {
    let mut world = World::up();
    world.accept(11);
    world.order(OrderAction::Replace, 12, 11);
    world.settle();
    world.say("35=8|37=O|11=11|17=E1|150=F|39=2|55=BTC|54=2|31=61685.99|32=1.5|151=0|14=1.5|6=0");
    assert_eq!(world.names(), ["Fill"]);
    world.say("35=8|37=O|11=12|41=11|17=E2|150=5|39=1|55=BTC|54=2|151=0.5|14=1.5|6=0");
    assert_eq!(world.names(), ["Replaced"]);
    assert_eq!(cancelled(&mut world), ["12"]);
}

#[test]
fn an_order_of_another_session_is_left_alone() {
    let mut world = World::up();
    // A number, and no run of ours has given it.
    world.say("35=8|37=O|11=77|17=E2|19=E1|150=H|39=0|55=BTC|54=2|151=1.5|14=0|6=0");
    assert_eq!(world.names(), ["TradeCanceled"]);
    assert_eq!(cancelled(&mut world), Vec::<String>::new());
    // One that an earlier run of ours gave: 3 of run 2.
    let ours = (2u64 << 40) + 3;
    world.say(&format!("35=8|37=O|11={ours}|17=E4|19=E3|150=H|39=0|55=BTC|54=2|151=1.5|14=0|6=0"));
    assert_eq!(world.names(), ["TradeCanceled"]);
    assert_eq!(cancelled(&mut world), [ours.to_string()]);
}

#[test]
fn a_fill_that_a_later_one_overtook_brings_nothing_back() {
    let mut world = World::up();
    world.accept(11);
    world.say("35=8|37=O|11=11|17=E2|150=F|39=2|55=BTC|54=2|31=61685.99|32=1.0|151=0|14=1.5|6=0");
    world.say("35=8|37=O|11=11|17=E1|150=F|39=1|55=BTC|54=2|31=61685.99|32=0.5|151=1.0|14=0.5|6=0");
    assert_eq!(world.names(), ["Fill", "Fill"]);
    assert_eq!(cancelled(&mut world), Vec::<String>::new());
    assert_eq!(world.entry.desk().live().live_count(), 0);
}

#[test]
fn where_all_orders_are_out_one_that_comes_back_is_cancelled_and_more_than_fit_halt() {
    let mut world = World::up();
    // As many as the maker may have out.
    for id in 11..75 {
        world.order(OrderAction::New, id, 0);
        world.settle();
    }
    assert_eq!(world.entry.desk().live().live_count(), 64);
    cancelled(&mut world);
    let bust = |n: u64| {
        let (id, of) = ((2u64 << 40) + n, format!("17=B{n}|19=E{n}"));
        (id, format!("35=8|37=O|11={id}|{of}|150=H|39=0|55=BTC|54=2|151=1.5|14=0|6=0"))
    };
    for n in 1..=16 {
        let (id, body) = bust(n);
        world.say(&body);
        assert_eq!(world.names(), ["TradeCanceled"], "{n}");
        assert_eq!(cancelled(&mut world), [id.to_string()]);
    }
    world.say(&bust(17).1);
    let told: Vec<_> = world.events().iter().map(|event| event.update).collect();
    let halted = OrderUpdate::SessionHalted { fault: SessionFault::OrdersUnknown };
    assert_eq!((told.len(), told.last()), (2, Some(&halted)), "{told:?}");
    assert_eq!(world.names(), Vec::<String>::new(), "once");
}
