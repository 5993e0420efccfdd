//! An order in doubt is asked about by OrderStatusRequest(H) where the venue has it, against a scripted
//! venue: what each answer, a refusal and silence leave in the maker's own book.

use crate::world::World;
use ballast_engine::event::{ClOrdId, InstrumentId, OrderAction, OrderEvent};
use ballast_engine::orders::order::{Order, OrderState, Outcome, Purpose};
use ballast_engine::units::{Lots, Nanos, Side, Ticks};
use ballast_gateway::venue::dialect::{Reconciliation, Rules};
use ballast_gateway::venue::plain::RULES;

/// A venue that answers questions after an order.
const ASKED: Rules =
    Rules { reconciliation: Reconciliation { status: true, ..Reconciliation::NONE }, ..RULES };

/// An order that was sent and not answered in time, as the maker has it.
fn in_doubt(cancel_id: u64) -> Order {
    let (of, terms) = ((InstrumentId(3), Side::Sell), (Ticks(6_168_599), Lots(1500)));
    Order {
        cancel_id: ClOrdId(cancel_id),
        cancel_of: ClOrdId(11),
        state: OrderState::InDoubt,
        ..Order::sent(Nanos(0), ClOrdId(11), of, terms, Purpose::Hedge)
    }
}

/// What the maker makes of the events: its order, and whether it is gone.
fn told(mut order: Order, events: &[OrderEvent]) -> (OrderState, bool) {
    let mut is_gone = false;
    for event in events {
        let outcome = order.apply(event.cl_ord_id, event.update);
        is_gone |= outcome == Outcome::Gone;
    }
    (order.state, is_gone)
}

/// Order 11 went out, nothing came back, and two seconds later the maker asks by cancel 12.
fn asked_after_silence() -> World {
    let mut world = World::with(ASKED, 64);
    assert_eq!(world.names(), ["SessionReconciling", "SessionUp"]);
    world.order(OrderAction::New, 11, 0);
    world.settle();
    world.venue.take_inbox();
    world.now = world.now.plus(2_000_000_000);
    world.order(OrderAction::Cancel, 12, 11);
    world.settle();
    assert_eq!(world.venue.take_inbox(), ["35=H|11=11|54=2|55=BTC|790=12"]);
    assert_eq!(world.entry.counts().questions, 1);
    world
}

#[test]
fn an_order_that_lives_is_known_again_and_the_next_cancel_is_one() {
    let mut world = asked_after_silence();
    world.say("35=8|37=O|11=11|790=12|17=0|150=I|39=0|55=BTC|54=2|151=1.5|14=0|6=0");
    let events = world.events();
    assert_eq!(told(in_doubt(12), &events), (OrderState::Working, false), "{events:?}");
    world.order(OrderAction::Cancel, 13, 11);
    world.settle();
    assert!(world.venue.take_inbox()[0].starts_with("35=F|11=13|41=11|"));
}

#[test]
fn an_order_that_the_venue_does_not_know_or_has_ended_is_gone() {
    for status in ["8|103=5", "4", "C"] {
        let mut world = asked_after_silence();
        // Without OrdStatusReqID(790), as some venues answer.
        world.say(&format!("35=8|37=O|11=11|17=0|150=I|39={status}|55=BTC|54=2|151=0|14=0|6=0"));
        let events = world.events();
        assert_eq!(events.len(), 1, "{events:?}");
        assert!(told(in_doubt(12), &events).1, "{events:?}");
        assert_eq!(world.entry.desk().live().live_count(), 0);
    }
}

#[test]
fn an_order_that_traded_unseen_stays_in_doubt_until_its_fill_is_told() {
    let mut world = asked_after_silence();
    world.say("35=8|37=O|11=11|790=12|17=0|150=I|39=2|55=BTC|54=2|151=0|14=1.5|6=61685.99");
    let events = world.events();
    assert_eq!(told(in_doubt(12), &events), (OrderState::InDoubt, false), "{events:?}");
    world.say("35=8|37=O|11=11|17=E1|150=F|39=2|55=BTC|54=2|31=61685.99|32=1.5|151=0|14=1.5|6=0");
    assert_eq!(world.names(), ["Fill"], "the fill itself is booked when it comes");
}

#[test]
fn a_refused_question_settles_nothing_and_the_venue_is_not_asked_again() {
    for refusal in ["35=j|45=3|372=H|379=11|380=3", "35=3|45=3|372=H|373=11"] {
        let mut world = asked_after_silence();
        world.say(refusal);
        let events = world.events();
        assert_eq!(told(in_doubt(12), &events), (OrderState::InDoubt, false), "{events:?}");
        assert_eq!(world.entry.desk().live().live_count(), 1);
        world.order(OrderAction::Cancel, 13, 11);
        world.settle();
        assert!(world.venue.take_inbox()[0].starts_with("35=F|11=13|41=11|"));
        // In doubt again, and another order too: the venue has said what it thinks of H.
        world.now = world.now.plus(2_000_000_000);
        world.order(OrderAction::Cancel, 14, 11);
        world.settle();
        assert!(world.venue.take_inbox()[0].starts_with("35=F|11=14|41=11|"));
    }
}

#[test]
fn a_question_without_an_answer_is_followed_by_the_cancel_itself() {
    let mut world = asked_after_silence();
    world.now = world.now.plus(2_000_000_000);
    assert_eq!(world.names(), Vec::<String>::new(), "silence is no answer");
    world.order(OrderAction::Cancel, 13, 11);
    world.settle();
    assert!(world.venue.take_inbox()[0].starts_with("35=F|11=13|41=11|"));
    world.say("35=8|37=O|11=13|41=11|17=C|150=4|39=4|55=BTC|54=2|151=0|14=0|6=0");
    assert_eq!(world.names(), ["Canceled"]);
}

#[test]
fn an_unanswered_replace_is_asked_about_under_both_names_and_its_order_survives_it() {
    let mut world = World::with(ASKED, 64);
    assert_eq!(world.names(), ["SessionReconciling", "SessionUp"]);
    world.accept(11);
    world.order(OrderAction::Replace, 12, 11);
    world.settle();
    world.venue.take_inbox();
    // One request is unanswered, so the maker's next one comes from doubt; first by the new name.
    world.order(OrderAction::Cancel, 13, 12);
    world.settle();
    assert_eq!(world.venue.take_inbox(), ["35=H|11=12|54=2|55=BTC|790=13"]);
    world.say("35=8|37=O|11=12|790=13|17=0|150=I|39=8|103=5|55=BTC|54=2|151=0|14=0|6=0");
    let order = Order {
        replace_id: ClOrdId(12),
        replacement: Some((Ticks(6_168_599), Lots(1500))),
        cancel_of: ClOrdId(12),
        asks_new_name: true,
        is_acknowledged: true,
        ..in_doubt(13)
    };
    let events = world.events();
    assert_eq!(told(order, &events), (OrderState::InDoubt, false), "{events:?}");
    assert_eq!(world.entry.desk().live().live_count(), 1, "only the replace is over");
    assert_eq!(world.entry.desk().live().live().next().unwrap().requests().len(), 0);
}

#[test]
fn a_cancel_soon_after_its_order_is_no_question_and_neither_is_one_where_the_venue_has_none() {
    let mut world = World::with(ASKED, 64);
    world.settle();
    world.order(OrderAction::New, 11, 0);
    world.order(OrderAction::Cancel, 12, 11);
    world.settle();
    let inbox = world.venue.take_inbox();
    assert!(inbox[1].starts_with("35=F|11=12|41=11|"), "{inbox:?}");
    let mut world = World::up();
    world.order(OrderAction::New, 11, 0);
    world.settle();
    world.venue.take_inbox();
    world.now = world.now.plus(2_000_000_000);
    world.order(OrderAction::Cancel, 12, 11);
    world.settle();
    assert!(world.venue.take_inbox()[0].starts_with("35=F|11=12|41=11|"));
}

#[test]
fn an_order_that_was_asked_about_is_still_cancelled_by_the_operator() {
    let mut world = asked_after_silence();
    world.entry.cancel_switch().pull();
    world.settle();
    let inbox = world.venue.take_inbox();
    assert!(inbox.len() == 1 && inbox[0].starts_with("35=F|"), "{inbox:?}");
}
