//! A reconciliation whose questions are refused or not answered, against a scripted venue: each of q, AF,
//! H and AN by Reject(3), BusinessMessageReject(j), the refusal of its own kind, and by silence. What the
//! venue did not say is never told: orders stay in doubt, and no position is confirmed.

use crate::world::World;
use ballast_engine::event::{ClOrdId, OrderAction};
use ballast_gateway::order_entry::throttle::MessageLimit;
use ballast_gateway::store::Store;
use ballast_gateway::venue::dialect::{Reconciliation, Rules};
use ballast_gateway::venue::plain::RULES;

const ALL: Rules = Rules { reconciliation: Reconciliation::ALL, ..RULES };
/// Longer than a question is waited for.
const LATE_NS: u64 = 5_100_000_000;

/// How one kind of question is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum How {
    Well,
    Reject,
    BusinessReject,
    InKind,
    Not,
}

const BADLY: [How; 4] = [How::Reject, How::BusinessReject, How::InKind, How::Not];

fn field<'a>(message: &'a str, tag: &str) -> &'a str {
    message.split('|').find_map(|f| f.strip_prefix(tag)?.strip_prefix('=')).unwrap_or_default()
}

/// The venue's answers to one message of ours; `number` is the MsgSeqNum(34) that it came under.
fn answers(message: &str, number: u64, how: How) -> Vec<String> {
    let kind = field(message, "35");
    // The id that a venue would refer to.
    let id = ["11", "584", "710"].map(|tag| field(message, tag));
    let id = id.into_iter().find(|id| !id.is_empty()).unwrap_or_default();
    let report = |more: &str| format!("35=8|37=O|17=0|55=BTC|54=2|6=0|{more}");
    let answer = match (how, kind) {
        (How::Not, _) => return Vec::new(),
        (How::Reject, _) => format!("35=3|45={number}|372={kind}|373=11|58=Invalid MsgType"),
        (How::BusinessReject, _) => format!("35=j|45={number}|372={kind}|379={id}|380=3"),
        (How::Well, "q") => {
            let order = report("11=11|150=4|39=4|151=0|14=0").replace("17=0", "17=C");
            return vec![format!("35=r|11={id}|37=M|530=7|531=7|533=1"), order];
        }
        (How::InKind, "q") => format!("35=r|11={id}|37=M|530=7|531=0|532=99"),
        (How::Well, "AF") => report(&format!("584={id}|150=I|39=8|911=0|912=Y|151=0|14=0")),
        // There is no refusal in kind of a list but one that never ends.
        (How::InKind, "AF") => {
            report(&format!("584={id}|150=I|39=4|911=2|151=0|14=0")).replace("55=BTC", "55=ETH")
        }
        (How::Well, "H") => {
            let (order, question) = (field(message, "11"), field(message, "790"));
            report(&format!("11={order}|790={question}|150=I|39=4|151=0|14=0"))
        }
        // Neither one nor the other: a status that is none.
        (How::InKind, "H") => report(&format!("11={}|150=I|39=?|151=0|14=0", field(message, "11"))),
        (How::Well, "AN") => format!(
            "35=AP|721=P|710={id}|727=1|728=0|715=20240808|1=X|581=1|55=BTC|730=0|731=1|702=1|\
             703=TQ|704=1.5|705=0|706=0"
        ),
        (How::InKind, "AN") => {
            format!("35=AP|721=P|710={id}|727=1|728=99|715=20240808|1=X|581=1|55=BTC|730=0|731=1")
        }
        // The single cancels of a sweep: nobody answers.
        _ => return Vec::new(),
    };
    vec![answer]
}

/// Goes on until the session is up, answering `bad` badly and all else well; the names of what was told.
fn reconcile(world: &mut World, bad: &[(&str, How)]) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..40 {
        names.extend(world.names());
        if names.last().is_some_and(|name| name == "SessionUp") {
            return names;
        }
        let inbox = world.venue.take_inbox();
        // The newest message came under the last number that the venue has counted.
        let next = world.venue.session.store().next_target();
        let first = next - u64::try_from(inbox.len()).unwrap();
        if inbox.is_empty() {
            world.now = world.now.plus(LATE_NS);
        }
        for (message, number) in inbox.iter().zip(first..) {
            let how = bad.iter().find(|(kind, _)| *kind == field(message, "35"));
            for answer in answers(message, number, how.map_or(How::Well, |(_, how)| *how)) {
                world.say(&answer);
            }
        }
    }
    panic!("never up: {names:?}");
}

/// Order 11 works, and the connection is lost and back.
fn lost() -> World {
    let mut world = World::with(ALL, 64);
    let names = reconcile(&mut world, &[]);
    assert_eq!(names, ["SessionReconciling", "Position", "SessionUp"]);
    world.accept(11);
    world.venue.take_inbox();
    world.venue.cut(world.now);
    world
}

#[test]
fn answers_settle_the_order_and_the_position() {
    let mut world = lost();
    let names = reconcile(&mut world, &[]);
    assert_eq!(names, ["SessionDown", "SessionReconciling", "Canceled", "Position", "SessionUp"]);
    assert_eq!(world.entry.desk().live().live_count(), 0);
}

#[test]
fn an_order_of_which_the_venue_says_nothing_stays_in_doubt_however_it_says_so() {
    for q in BADLY {
        for list in BADLY {
            for status in BADLY {
                let mut world = lost();
                let names = reconcile(&mut world, &[("q", q), ("AF", list), ("H", status)]);
                let expected = ["SessionDown", "SessionReconciling", "SessionUp"];
                assert_eq!(names, expected, "q {q:?}, AF {list:?}, H {status:?}");
                let live: Vec<ClOrdId> =
                    world.entry.desk().live().live().map(|order| order.cl_ord_id).collect();
                assert_eq!(live, [ClOrdId(11)], "q {q:?}, AF {list:?}, H {status:?}");
            }
        }
    }
}

#[test]
fn one_good_answer_is_enough_for_the_order_and_the_position_waits_for_it() {
    for bad in BADLY {
        let mut world = lost();
        let names = reconcile(&mut world, &[("q", bad), ("AF", bad)]);
        let expected = ["SessionDown", "SessionReconciling", "Status", "Position", "SessionUp"];
        assert_eq!(names, expected, "H is answered, {bad:?}");
        assert_eq!(world.entry.desk().live().live_count(), 0);
    }
}

#[test]
fn a_position_that_is_not_told_is_not_confirmed() {
    for bad in BADLY {
        let mut world = lost();
        let names = reconcile(&mut world, &[("AN", bad)]);
        assert_eq!(
            names,
            ["SessionDown", "SessionReconciling", "Canceled", "SessionUp"],
            "{bad:?}"
        );
    }
}

#[test]
fn positions_whose_request_was_rejected_confirm_nothing_whatever_they_say() {
    for (ack, report) in [("729=2|", ""), ("", "729=2|")] {
        let mut world = World::with(ALL, 64);
        world.settle();
        for message in world.venue.take_inbox() {
            answers(&message, 2, How::Well).iter().for_each(|answer| world.say(answer));
        }
        world.settle();
        world.events();
        assert!(world.venue.take_inbox()[0].starts_with("35=AN|"));
        world.say(&format!("35=AO|721=P|727=1|728=0|{ack}1=X|581=1"));
        world.say(&format!(
            "35=AP|721=P|727=1|728=0|{report}715=20240808|1=X|581=1|55=BTC|730=0|731=1|702=1|703=TQ|704=1"
        ));
        assert_eq!(world.names(), ["SessionUp"], "{ack}{report}");
    }
}

#[test]
fn a_venue_that_takes_no_more_messages_is_asked_later_and_nothing_is_guessed_meanwhile() {
    // The Logon is the first of the two.
    let limit = MessageLimit { messages: 2, window_ns: u64::MAX, cancel_reserve: 0 };
    let mut world = World::with(Rules { order_limits: limit.into(), ..ALL }, 64);
    assert_eq!(world.names(), ["SessionReconciling"]);
    let asked = world.venue.take_inbox();
    assert!(asked.len() == 1 && asked[0].starts_with("35=AF|"), "{asked:?}");
    answers(&asked[0], 2, How::Well).iter().for_each(|answer| world.say(answer));
    world.settle();
    world.now = world.now.plus(LATE_NS);
    assert_eq!(
        world.names(),
        Vec::<String>::new(),
        "AN cannot go out, and without it nothing is up"
    );
    world.order(OrderAction::New, 11, 0);
    assert_eq!(world.names(), ["Unsent"]);
}
