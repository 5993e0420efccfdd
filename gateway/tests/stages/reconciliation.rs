//! What the stage asks a venue after a Logon, and what it makes of answers that are lost, refused or say
//! nothing.

use crate::peer;
use crate::world::World;
use ballast_engine::event::{ClOrdId, OrderAction, OrderUpdate, SessionFault};
use ballast_engine::units::Lots;
use ballast_gateway::order_entry::OWN_IDS;
use ballast_gateway::session::{Role, Session, SessionConfig};
use ballast_gateway::store::MemoryStore;
use ballast_gateway::venue::dialect::{Reconciliation, Rules};
use ballast_gateway::venue::plain::RULES;

const STATUS: Rules = Rules {
    reconciliation: Reconciliation { status: true, ..Reconciliation::NONE },
    // Nothing is cancelled before the question.
    cancels_on_disconnect: true,
    ..RULES
};
const POSITIONS: Rules =
    Rules { reconciliation: Reconciliation { positions: true, ..Reconciliation::NONE }, ..RULES };
const LISTED: Rules =
    Rules { reconciliation: Reconciliation { mass_status: true, ..Reconciliation::NONE }, ..RULES };

fn heads(world: &mut World, fields: usize) -> Vec<String> {
    let inbox = world.venue.take_inbox();
    inbox.iter().map(|m| m.split('|').take(fields).collect::<Vec<_>>().join("|")).collect()
}

/// Logged on again with an order out that the venue is asked about.
fn asked_about_an_order() -> World {
    let mut world = World::with(STATUS, 64);
    assert_eq!(world.names(), ["SessionReconciling", "SessionUp"]);
    world.accept(11);
    world.venue.cut(world.now);
    let mut names = Vec::new();
    for _ in 0..5 {
        names.extend(world.names());
    }
    assert_eq!(names, ["SessionDown", "SessionReconciling"]);
    let asked = heads(&mut world, 2);
    assert_eq!(asked.last().unwrap(), "35=H|11=11", "{asked:?}");
    world
}

#[test]
fn a_refused_question_says_nothing_of_the_order_that_it_names() {
    // The Logon is the session's first message, the question its second.
    for refusal in ["45=2|372=H|379=11|380=3", "45=9|372=H|379=11|380=3", "45=9|379=11|380=3"] {
        let mut world = asked_about_an_order();
        world.say(&format!("35=j|{refusal}"));
        let names = world.names();
        assert!(!names.contains(&"MessageRejected".to_owned()), "{refusal}: {names:?}");
        assert_eq!(world.entry.desk().live().live_count(), 1, "{refusal}: it may work");
        assert_eq!(world.entry.desk_counts().rejects, 1);
    }
    let mut world = asked_about_an_order();
    world.say("35=j|45=2|372=H|379=11|380=3");
    assert_eq!(world.names(), ["SessionUp"], "the question was answered");
}

#[test]
fn a_refusal_under_new_numbers_names_no_order_of_the_old_ones() {
    let config = |role, us, them| {
        let mut config = SessionConfig::new(role, us, them);
        config.reset_on_disconnect = true;
        config
    };
    let mut world = World::of(config(Role::Initiator, "BALLAST", "VENUE"), RULES, 64);
    let venue = config(Role::Acceptor, "VENUE", "BALLAST");
    world.venue.session = Session::new(venue, MemoryStore::new());
    assert_eq!(world.names(), ["SessionReconciling", "SessionUp"]);
    world.accept(11);
    world.order(OrderAction::Replace, 12, 11);
    world.settle();
    world.venue.cut(world.now);
    for _ in 0..5 {
        world.names();
    }
    // The replace went out as 3; under the new numbers 2 is the cancel, and 3 nothing of ours.
    world.say("35=3|45=3|373=5");
    assert_eq!(world.names(), [] as [&str; 0]);
    let order = world.entry.desk().live().live().next().unwrap();
    assert_eq!(order.requests()[0].cl_ord_id, ClOrdId(12), "it may have arrived");
}

/// What the maker is told of the holdings after this answer, and whether trading goes on.
fn counted(account: Option<&str>, answers: &[&str]) -> Vec<OrderUpdate> {
    let mut world = World::for_account(peer::client_config(), POSITIONS, 64, account);
    assert_eq!(world.names(), ["SessionReconciling"]);
    let asked = heads(&mut world, 2);
    assert_eq!(asked, [format!("35=AN|1={}", account.unwrap_or("BALLAST"))]);
    for answer in answers {
        world.say(answer);
    }
    let mut told: Vec<_> = world.events().into_iter().map(|e| e.update).collect();
    if told.is_empty() {
        // It waits for more; its patience is five seconds.
        world.now = world.now.plus(6_000_000_000);
        told = world.events().into_iter().map(|e| e.update).collect();
    }
    assert_eq!(told.pop(), Some(OrderUpdate::SessionUp), "it goes on in any case");
    told
}

#[test]
fn holdings_that_are_told_are_told_to_the_maker() {
    let lots = |lots| [OrderUpdate::Position { lots: Lots(lots) }];
    let report = "35=AP|55=BTC|702=1|703=TQ|704=1.5|705=0|721=P|727=1|728=0";
    assert_eq!(counted(None, &[report]), lots(1500));
    // The total may stand in the acknowledgement alone.
    let both = ["35=AO|721=P|727=1|728=0|729=0", "35=AP|55=BTC|702=1|703=TQ|705=0.5|721=P|728=0"];
    assert_eq!(counted(None, &both), lots(-500));
    let none = "35=AO|721=P|727=0|728=2|729=0";
    assert_eq!(counted(Some("A1"), &[none]), lots(0), "the account is known, and holds nothing");
    let others = "35=AP|55=ETH|702=1|703=TQ|704=0.00|705=0|721=P|727=1|728=0";
    assert_eq!(counted(None, &[others]), lots(0), "nothing of a symbol that we do not trade");
}

#[test]
fn answers_that_say_nothing_of_our_holdings_confirm_nothing() {
    for answers in [
        &["35=AO|721=P|727=0|728=2|729=0"][..],
        &["35=AO|721=P|727=0|728=0|729=0"],
        &["35=AP|55=XBT|702=1|703=TQ|704=1|705=0|721=P|727=1|728=0"],
        &["35=AP|702=1|703=TQ|704=1|705=0|721=P|727=1|728=0"],
        &["35=AP|55=BTC|702=1|703=TQ|704=one|705=0|721=P|727=1|728=0"],
        &["35=AP|55=BTC|721=P|727=1|728=0"],
        &["35=AP|55=BTC|702=1|703=TQ|704=1|705=0|721=P|727=1|728=99"],
        // Nobody says that there are no more.
        &["35=AP|55=BTC|702=1|703=TQ|704=1|705=0|721=P|728=0"],
        // The second of two is missing.
        &["35=AO|721=P|727=2|728=0|729=0", "35=AP|55=BTC|702=1|703=TQ|704=1|721=P|728=0"],
    ] {
        assert_eq!(counted(None, answers), [], "{answers:?}");
    }
}

/// The cancel of order 11 goes out, and the connection is lost before an answer: the cancel that is to come
/// after the next Logon.
fn lose_a_cancel(world: &mut World) -> String {
    world.order(OrderAction::Cancel, 20, 11);
    ballast_engine::stage::Stage::turn(&mut world.entry, world.now);
    world.venue.take_inbox();
    world.venue.cut(world.now);
    for _ in 0..5 {
        world.names();
    }
    let own = ClOrdId::new(5, OWN_IDS | 1).0;
    format!("35=F|11={own}|41=11")
}

#[test]
fn a_cancel_whose_answer_was_lost_with_the_connection_is_asked_again() {
    let mut world = World::up();
    world.accept(11);
    let again = lose_a_cancel(&mut world);
    assert_eq!(heads(&mut world, 3), [again]);
    // The late answer to the first one names the order.
    world.say("35=8|37=O|11=20|41=11|17=X|150=4|39=4|55=BTC|54=2|151=0|14=0|6=0");
    assert!(world.names().contains(&"Canceled".to_owned()));
    assert_eq!(world.entry.desk().live().live_count(), 0);
}

#[test]
fn a_cancel_that_is_lost_with_the_connection_goes_out_again_also_after_a_doubt() {
    let mut world = World::up();
    world.accept(11);
    // What the venue passes over puts the session in doubt; the next question is seconds away.
    world.venue.pass_over(3);
    world.say("35=B|148=later");
    assert_eq!(world.names(), ["SessionDown"]);
    let again = lose_a_cancel(&mut world);
    assert!(heads(&mut world, 3).contains(&again));
}

fn list(world: &mut World, id: u64, of: u64, is_last: bool) {
    let last = if is_last { "Y" } else { "N" };
    world.say(&format!(
        "35=8|37=O{id}|11={id}|17=S{id}|150=I|39=0|55=BTC|54=2|38=1.5|44=5|151=1.5|14=0|6=0|584=1|911={of}|912={last}"
    ));
}

fn no_order(world: &mut World) {
    world.say("35=8|37=NONE|17=S|150=I|39=8|55=BTC|54=2|151=0|14=0|6=0|584=1|911=0|912=Y");
}

/// What the venue was asked, a quarter of a second later.
fn next_questions(world: &mut World) -> Vec<String> {
    world.settle();
    world.now = world.now.plus(300_000_000);
    world.settle();
    heads(world, 1)
}

#[test]
fn orders_that_nobody_knows_are_cancelled_until_a_list_has_none() {
    let mut world = World::with(LISTED, 1024);
    assert_eq!(world.names(), ["SessionReconciling"]);
    assert_eq!(heads(&mut world, 1), ["35=AF"]);
    for id in 1..=300 {
        list(&mut world, id, 300, id == 300);
        world.settle();
    }
    let mut asked = next_questions(&mut world);
    assert_eq!(asked.pop().unwrap(), "35=AF", "what became of them?");
    assert_eq!(asked.len(), 256, "as many as are kept of one list");
    for id in 1..=44 {
        list(&mut world, id, 44, id == 44);
        world.settle();
    }
    let asked = next_questions(&mut world);
    assert_eq!((asked.len(), asked[44].as_str()), (45, "35=AF"));
    assert_eq!(world.names(), [] as [&str; 0], "not up yet");
    no_order(&mut world);
    assert_eq!(world.names(), ["SessionUp"]);
}

#[test]
fn orders_that_remain_whatever_is_cancelled_are_told_to_the_maker() {
    let mut world = World::with(LISTED, 64);
    world.settle();
    let mut lists = 0;
    let told = loop {
        heads(&mut world, 1);
        list(&mut world, 7, 1, true);
        lists += 1;
        next_questions(&mut world);
        let told: Vec<_> = world.events().into_iter().map(|e| e.update).collect();
        if told.contains(&OrderUpdate::SessionUp) || lists > 20 {
            break told;
        }
    };
    assert_eq!(lists, 8);
    let remain = OrderUpdate::SessionHalted { fault: SessionFault::OrdersUnknown };
    assert_eq!(told, [remain, OrderUpdate::SessionUp]);
}
