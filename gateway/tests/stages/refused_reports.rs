//! A report that our own dictionary refuses is consumed and lost, and so is one that the venue passes over
//! instead of resending it: order entry doubts what it knew and asks the venue, and a venue that always writes so is not asked at the speed of the wire.

use crate::peer;
use crate::world::World;
use ballast_engine::event::OrderAction;
use ballast_gateway::dictionary::Dictionary;
use ballast_gateway::dictionary::validate::{Rules as DictionaryRules, Validator};
use ballast_gateway::venue::dialect::{Reconciliation, Rules};
use ballast_gateway::venue::plain::RULES;
use std::sync::Arc;

const SECOND_NS: u64 = 1_000_000_000;

/// A fill that no FIX 4.4 dictionary lets pass: 5020 is nobody's.
const REFUSED: &str =
    "35=8|37=O|11=11|17=F1|150=F|39=1|55=BTC|54=2|31=61685.99|32=0.5|151=1|14=0.5|6=0|5020=x";

/// Up, with an order out; a session that holds each message against its dictionary.
fn world() -> World {
    let mut session = peer::client_config();
    let dictionary = Arc::new(Dictionary::fix44());
    session.validation = Some(Validator::new(dictionary, DictionaryRules::default()));
    let reconciliation = Reconciliation { mass_cancel: true, ..Reconciliation::default() };
    let mut world = World::of(session, Rules { reconciliation, ..RULES }, 64);
    assert_eq!(world.names(), ["SessionReconciling", "SessionUp"]);
    world.accept(11);
    world.venue.take_inbox();
    world
}

fn types(world: &mut World) -> Vec<String> {
    world.venue.take_inbox().iter().map(|m| m.split('|').next().unwrap().to_owned()).collect()
}

#[test]
fn a_fill_that_the_session_refuses_ends_trading_until_the_venue_has_said_what_it_knows() {
    let mut world = world();
    world.now = world.now.plus(10 * SECOND_NS);
    world.say(REFUSED);
    assert_eq!(world.names(), ["SessionDown", "SessionReconciling"]);
    assert_eq!(types(&mut world), ["35=q"]);
    world.order(OrderAction::New, 12, 0);
    assert_eq!(world.names(), ["Unsent"]);
    // What the venue says then is legible: the order is gone, and how much of it traded.
    world.say("35=8|37=O|11=11|17=C1|150=4|39=4|55=BTC|54=2|151=0|14=0.5|6=61685.99");
    world.say("35=r|37=M|530=7|531=7|533=1");
    assert_eq!(world.names().last().map(String::as_str), Some("SessionUp"));
    assert_eq!(world.entry.desk().live().live_count(), 0);
}

#[test]
fn a_venue_whose_reports_are_always_refused_is_asked_once_in_five_seconds_and_never_traded_with() {
    let mut world = world();
    world.now = world.now.plus(10 * SECOND_NS);
    let mut asked = 0;
    for _ in 0..200 {
        world.say(REFUSED);
        world.now = world.now.plus(SECOND_NS / 10);
        let names = world.names();
        assert!(!names.iter().any(|name| name == "SessionUp"), "{names:?}");
        asked += types(&mut world).iter().filter(|kind| *kind == "35=q").count();
    }
    assert!((4..=5).contains(&asked), "{asked} times in 20 s");
}

#[test]
fn what_the_venue_passes_over_within_the_session_is_asked_about() {
    let mut world = world();
    world.now = world.now.plus(10 * SECOND_NS);
    // Its next three numbers never arrive, and when asked it fills them: a venue that does not resend.
    world.venue.pass_over(3);
    world.say("35=8|37=O|11=11|17=F2|150=F|39=1|55=BTC|54=2|31=61685.99|32=0.5|151=1|14=0.5|6=0");
    let names = world.names();
    assert_eq!(names, ["SessionDown", "Fill", "SessionReconciling"], "{names:?}");
    assert_eq!(types(&mut world), ["35=q"]);
}

#[test]
fn what_tells_of_no_order_is_lost_without_consequences() {
    let mut world = world();
    world.now = world.now.plus(10 * SECOND_NS);
    world.say("35=B|148=no lines");
    assert!(world.names().is_empty());
    assert_eq!(world.entry.counts().ignored, 1);
    world.order(OrderAction::New, 12, 0);
    world.settle();
    assert_eq!(types(&mut world), ["35=D"]);
}
