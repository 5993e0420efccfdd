//! A drop copy beside the order session: an execution that both tell is booked once, one that only the
//! copy tells is booked from there, and everything else that it says is left to the order session.

use crate::peer::{Door, PipeDial, Venue};
use crate::world::World;
use ballast_engine::event::{OrderAction, OrderUpdate};
use ballast_engine::units::{Lots, Nanos};
use ballast_gateway::order_entry::drop_copy::{DropCopyCounts, GRACE_NS};
use ballast_gateway::session::{ReconnectConfig, Role, Session, SessionConfig};
use ballast_gateway::store::MemoryStore;

/// A stage with order 11 at work, and the venue's end of the drop copy.
struct Copied {
    world: World,
    copy: Venue,
}

impl Copied {
    fn new() -> Copied {
        let door = Door::open();
        let mut config = SessionConfig::new(Role::Initiator, "BALLAST-DC", "VENUE");
        config.reset_on_logon = true;
        let mut venue = SessionConfig::new(Role::Acceptor, "VENUE", "BALLAST-DC");
        venue.reset_on_logon = true;
        let mut copy = Venue::new(&door);
        copy.session = Session::new(venue, MemoryStore::new());
        let mut world = World::up();
        let session = Session::new(config, MemoryStore::new());
        let redial = ReconnectConfig { pause_min_ns: 1000, pause_max_ns: 8000 };
        let entry = std::mem::replace(&mut world.entry, World::up().entry);
        world.entry = entry.with_drop_copy((PipeDial(door), session), redial);
        let mut copied = Copied { world, copy };
        copied.pass(10_000_000);
        assert!(copied.world.entry.drop_copy().unwrap().1, "logged on");
        copied.world.accept(11);
        copied
    }

    /// Time passes for all three, in steps that a poll of the copy fits into.
    fn pass(&mut self, ns: u64) {
        let end = self.world.now.plus(ns);
        while self.world.now < end {
            self.world.now = Nanos(self.world.now.plus(1_000_000).0.min(end.0));
            self.world.settle();
            self.copy.turn(self.world.now);
        }
    }

    fn say(&mut self, body: &str) {
        self.copy.say(self.world.now, body);
        self.pass(3_000_000);
    }

    fn counts(&self) -> DropCopyCounts {
        self.world.entry.drop_copy().unwrap().0
    }

    fn fills(&mut self) -> Vec<(Lots, Lots)> {
        let fill = |event: ballast_engine::event::OrderEvent| match event.update {
            OrderUpdate::Fill { last_qty, cum_qty, .. } => Some((last_qty, cum_qty)),
            _ => None,
        };
        self.world.events().into_iter().filter_map(fill).collect()
    }
}

fn fill(exec_id: &str, last: &str, cum: &str, leaves: &str) -> String {
    let status = if leaves == "0" { "2" } else { "1" };
    format!(
        "35=8|37=O|11=11|17={exec_id}|150=F|39={status}|55=BTC|54=2|31=61685.99|32={last}|151={leaves}|\
         14={cum}|6=0"
    )
}

#[test]
fn an_execution_that_both_sessions_tell_is_booked_once_whoever_is_first() {
    let mut copied = Copied::new();
    let text = fill("E1", "0.5", "0.5", "1.0");
    copied.world.say(&text);
    assert_eq!(copied.fills(), [(Lots(500), Lots(500))]);
    copied.say(&text);
    // The copy is first by less than the grace.
    let text = fill("E2", "0.25", "0.75", "0.75");
    copied.say(&text);
    assert_eq!(copied.fills(), []);
    copied.world.say(&text);
    assert_eq!(copied.fills(), [(Lots(250), Lots(750))]);
    copied.pass(2 * GRACE_NS);
    assert_eq!(copied.fills(), []);
    let counts = DropCopyCounts { executions: 2, confirmed: 2, missed: 0, drops: 0 };
    assert_eq!(copied.counts(), counts);
}

#[test]
fn an_execution_that_only_the_copy_tells_is_booked_from_there_and_never_again() {
    let mut copied = Copied::new();
    let text = fill("E1", "0.5", "0.5", "1.0");
    copied.say(&text);
    copied.pass(GRACE_NS - 10_000_000);
    assert_eq!(copied.fills(), [], "the order session may yet tell it");
    copied.pass(20_000_000);
    assert_eq!(copied.fills(), [(Lots(500), Lots(500))]);
    let order = *copied.world.entry.desk().live().live().next().unwrap();
    assert_eq!(order.cum_qty, Lots(500));
    // It was only late, and the copy is told twice.
    copied.world.say(&text);
    copied.say(&text);
    copied.pass(2 * GRACE_NS);
    assert_eq!(copied.fills(), []);
    assert_eq!(copied.world.entry.desk_counts().duplicates, 1);
    assert_eq!((copied.counts().missed, copied.counts().confirmed), (1, 1));
}

#[test]
fn while_the_order_session_is_down_the_copy_tells_what_traded() {
    let mut copied = Copied::new();
    copied.world.door.set_open(false);
    copied.world.venue.cut(copied.world.now);
    copied.pass(5_000_000);
    assert_eq!(copied.world.names(), ["SessionDown"]);
    copied.say(&fill("E1", "1.5", "1.5", "0"));
    copied.pass(2 * GRACE_NS);
    assert_eq!(copied.fills(), [(Lots(1500), Lots(1500))]);
    assert_eq!(copied.world.entry.desk().live().live_count(), 0, "it is filled");
}

#[test]
fn a_copy_that_a_later_report_overtook_takes_nothing_back() {
    let mut copied = Copied::new();
    copied.world.say(&fill("E2", "0.25", "0.75", "0.75"));
    assert_eq!(copied.fills(), [(Lots(250), Lots(750))]);
    copied.say(&fill("E1", "0.5", "0.5", "1.0"));
    copied.pass(2 * GRACE_NS);
    // The maker knows by CumQty(14) that this one is the missing part.
    assert_eq!(copied.fills(), [(Lots(500), Lots(500))]);
    let order = *copied.world.entry.desk().live().live().next().unwrap();
    assert_eq!(order.cum_qty, Lots(750), "CumQty(14) does not go back");
}

#[test]
fn what_is_no_execution_or_has_no_name_is_the_order_sessions_alone() {
    let mut copied = Copied::new();
    copied.say("35=8|37=O|11=11|17=X1|150=4|39=4|55=BTC|54=2|151=0|14=0|6=0");
    copied.say("35=8|37=O|11=11|17=X2|150=0|39=0|55=BTC|54=2|151=1.5|14=0|6=0");
    copied.say(&fill("", "0.5", "0.5", "1.0").replace("17=|", ""));
    copied.pass(2 * GRACE_NS);
    assert_eq!(copied.world.names(), Vec::<String>::new());
    assert_eq!(copied.counts(), DropCopyCounts::default());
    assert_eq!(copied.world.entry.desk().live().live_count(), 1);
}

#[test]
fn more_copies_than_there_are_places_for_are_told_early_and_none_is_lost() {
    let mut copied = Copied::new();
    for n in 1..=1100 {
        copied.copy.say(
            copied.world.now,
            &fill(&format!("E{n}"), "0.001", &format!("{}.{:03}", n / 1000, n % 1000), "0.4"),
        );
        copied.copy.turn(copied.world.now);
        copied.world.now = copied.world.now.plus(100_000);
        copied.world.settle();
    }
    let mut count = copied.fills().len();
    copied.pass(10_000_000);
    count += copied.fills().len();
    assert!(count > 0, "the oldest are told before their time");
    for _ in 0..60 {
        copied.pass(GRACE_NS / 30);
        count += copied.fills().len();
    }
    assert_eq!((count, copied.counts().missed), (1100, 1100));
    copied.world.order(OrderAction::Cancel, 12, 11);
    copied.world.settle();
    assert!(copied.world.venue.take_inbox().last().unwrap().starts_with("35=F|11=12|41=11|"));
}
