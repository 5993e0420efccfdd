//! A kill, and a run's end, at a venue that takes OrderMassCancelRequest(q): it goes out first, within the venue's limit, and
//! whatever becomes of it, the orders are cancelled one by one behind it.

use crate::world::World;
use ballast_gateway::order_entry::throttle::{Limits, MessageLimit};
use ballast_gateway::venue::dialect::{Reconciliation, Rules};
use ballast_gateway::venue::plain::RULES;

const MASS: Reconciliation = Reconciliation { mass_cancel: true, ..Reconciliation::NONE };

/// A stage with orders 11 and 12 at work, killed.
fn killed(rules: Rules) -> World {
    let mut world = World::with(rules, 64);
    assert_eq!(world.names(), ["SessionReconciling", "SessionUp"]);
    world.accept(11);
    world.accept(12);
    world.venue.take_inbox();
    // As a kill does it: shut, and where the maker does not cancel, pulled.
    world.entry.cancel_switch().shut();
    world.entry.cancel_switch().pull();
    world.settle();
    world
}

/// What went out, each by its type and what it names.
fn sent(world: &mut World) -> Vec<String> {
    let named = |body: String| {
        let of = |tag: &str| body.split('|').find_map(|field| field.strip_prefix(tag));
        let what = of("41=").or(of("530=")).unwrap_or("");
        let symbol = if body.starts_with("35=q") { of("55=").unwrap_or("") } else { "" };
        format!("{}{symbol} {what}", body.split('|').next().unwrap())
    };
    world.venue.take_inbox().into_iter().map(named).collect()
}

#[test]
fn a_kill_asks_everything_out_before_it_cancels_one_by_one() {
    let mut world = killed(Rules { reconciliation: MASS, ..RULES });
    assert_eq!(sent(&mut world), ["35=q 7", "35=F 11", "35=F 12"]);
    let mut world = killed(Rules { reconciliation: MASS, mass_cancel_by_symbol: true, ..RULES });
    assert_eq!(sent(&mut world), ["35=qBTC 1", "35=F 11", "35=F 12"]);
    let mut world = killed(RULES);
    assert_eq!(sent(&mut world), ["35=F 11", "35=F 12"], "a venue that does not take it");
}

#[test]
fn a_kill_that_only_shuts_leaves_the_cancels_to_the_maker_and_asks_out_all_the_same() {
    let mut world = World::with(Rules { reconciliation: MASS, ..RULES }, 64);
    assert_eq!(world.names(), ["SessionReconciling", "SessionUp"]);
    world.accept(11);
    world.venue.take_inbox();
    world.entry.cancel_switch().shut();
    world.settle();
    assert_eq!(sent(&mut world), ["35=q 7"]);
    world.settle();
    assert_eq!(sent(&mut world), Vec::<String>::new(), "once");
}

#[test]
fn a_refusal_of_the_request_changes_nothing_of_the_cancels() {
    // Logon, two orders: the request is the session's fourth message.
    for refusal in
        ["35=r|11=1|37=M|530=7|531=0|532=99", "35=j|45=4|372=q|380=3", "35=3|45=4|372=q|373=5"]
    {
        let mut world = killed(Rules { reconciliation: MASS, ..RULES });
        assert_eq!(sent(&mut world).len(), 3);
        world.say(refusal);
        world.settle();
        assert_eq!(world.names(), Vec::<String>::new(), "{refusal}");
        let live = world.entry.desk().live();
        assert_eq!(live.live_count(), 2, "{refusal}");
        assert!(live.live().all(|order| order.is_cancel_pending()), "{refusal}");
        for (id, name) in [(11, "C1"), (12, "C2")] {
            world.say(&format!(
                "35=8|37=O|11={id}|41={id}|17={name}|150=4|39=4|55=BTC|54=2|151=0|14=0|6=0"
            ));
        }
        assert_eq!(world.names(), ["Canceled", "Canceled"]);
        assert_eq!(world.entry.desk().live().live_count(), 0);
    }
}

#[test]
fn it_counts_against_the_venues_limit_and_may_use_what_is_kept_for_cancels() {
    let limit = MessageLimit { messages: 5, window_ns: 10_000_000_000, cancel_reserve: 2 };
    let rules = Rules { reconciliation: MASS, order_limits: Limits::on_all(limit), ..RULES };
    let mut world = killed(rules);
    // The Logon and two orders have taken the rest: two messages are left, for cancels alone.
    assert_eq!(sent(&mut world), ["35=q 7", "35=F 11"]);
    world.now = world.now.plus(11_000_000_000);
    world.settle();
    assert_eq!(sent(&mut world), ["35=F 12"]);
}

#[test]
fn an_end_asks_everything_out_before_it_cancels_one_by_one() {
    for rules in [RULES, Rules { reconciliation: MASS, ..RULES }] {
        let mut world = World::with(rules, 64);
        assert_eq!(world.names(), ["SessionReconciling", "SessionUp"]);
        world.accept(11);
        world.accept(12);
        world.venue.take_inbox();
        // The maker is gone.
        drop(world.intents.take());
        world.settle();
        let first = rules.reconciliation.mass_cancel.then_some("35=q 7".to_owned());
        let then = ["35=F 11", "35=F 12"].map(str::to_owned);
        let sent: Vec<_> = sent(&mut world).into_iter().take(3).collect();
        assert_eq!(sent, first.into_iter().chain(then).collect::<Vec<_>>());
    }
}

#[test]
fn an_end_with_nothing_out_asks_nothing() {
    let mut world = World::with(Rules { reconciliation: MASS, ..RULES }, 64);
    assert_eq!(world.names(), ["SessionReconciling", "SessionUp"]);
    world.venue.take_inbox();
    drop(world.intents.take());
    world.settle();
    assert!(sent(&mut world).iter().all(|sent| !sent.starts_with("35=q")));
}
