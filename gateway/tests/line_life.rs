//! The line to a venue over its life: which host it dials after what, and what a schedule does to it.
//! Virtual time, pipes, and a venue that is a session itself.

use ballast_engine::units::Nanos;
use ballast_gateway::session::{
    CloseReason, Connection, Ended, Event, ReconnectConfig, Role, Schedule, Session, SessionConfig,
};
use ballast_gateway::store::{MemoryStore, Store};
use ballast_gateway::transport::{PipeEnd, Transport, pipe};
use ballast_gateway::venue::line::{Dial, Dialled, Line, LineTurn};
use ballast_gateway::venue::notice::{Notices, OnNews};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

const SECOND_NS: u64 = 1_000_000_000;

/// Connections that were made, with the host of each.
type Knocks = Arc<Mutex<Vec<(usize, PipeEnd)>>>;

struct Hosts {
    count: usize,
    chosen: usize,
    knocks: Knocks,
}

impl Dial for Hosts {
    type Link = PipeEnd;

    fn hosts(&self) -> usize {
        self.count
    }

    fn choose(&mut self, host: usize) {
        self.chosen = host;
    }

    fn dial(&mut self, _now: Nanos) -> Dialled<PipeEnd> {
        let (ours, theirs) = pipe(1 << 16);
        self.knocks.lock().unwrap().push((self.chosen, theirs));
        Dialled::Connected(ours)
    }
}

/// The line, the venue behind it, and virtual time in steps of a tenth of a second.
struct World {
    line: Line<Hosts, MemoryStore>,
    knocks: Knocks,
    venue: Session<MemoryStore>,
    at_venue: Option<Connection<PipeEnd>>,
    now: Nanos,
    /// Hosts in the order in which they were dialled.
    dialled: Vec<usize>,
    /// The host that answers; others close at once.
    alive: usize,
    /// When the line logged on, and the Logouts that the venue heard.
    logged_on: Vec<Nanos>,
    logouts: Vec<(Nanos, String)>,
    /// The ends of connections that the line told.
    ends: Vec<(Nanos, Ended)>,
}

impl World {
    fn new(hosts: usize, alive: usize, now: Nanos, schedule: Option<Schedule>) -> World {
        let mut config = SessionConfig::new(Role::Initiator, "US", "THEM");
        config.schedule = schedule;
        World::with(hosts, alive, now, config)
    }

    fn with(hosts: usize, alive: usize, now: Nanos, mut config: SessionConfig) -> World {
        let knocks = Knocks::default();
        config.heart_bt_int_s = 0;
        let dial = Hosts { count: hosts, chosen: 0, knocks: knocks.clone() };
        let session = Session::new(config, MemoryStore::new());
        let venue = SessionConfig::new(Role::Acceptor, "THEM", "US");
        World {
            line: Line::new(dial, session, ReconnectConfig::default()),
            knocks,
            venue: Session::new(venue, MemoryStore::new()),
            at_venue: None,
            now,
            dialled: Vec::new(),
            alive,
            logged_on: Vec::new(),
            logouts: Vec::new(),
            ends: Vec::new(),
        }
    }

    fn run_until(&mut self, end: Nanos) {
        while self.now < end {
            for _ in 0..4 {
                self.turn();
            }
            self.now = self.now.plus(SECOND_NS / 10);
        }
    }

    fn turn(&mut self) {
        let (now, logged_on) = (self.now, &mut self.logged_on);
        let turn = self.line.turn(now, |event| {
            if let Event::LoggedOn { .. } = event {
                logged_on.push(now);
            }
            ControlFlow::Continue(())
        });
        if let LineTurn::Down(ended) = turn {
            self.ends.push((now, ended));
        }
        for (host, mut link) in self.knocks.lock().unwrap().drain(..) {
            self.dialled.push(host);
            if host == self.alive {
                if self.at_venue.take().is_some() {
                    self.venue.on_disconnected(now);
                }
                self.venue.on_connected(now);
                self.at_venue = Some(Connection::new(link, self.venue.config()));
            } else {
                // It takes the connection and hangs up: that is no success.
                link.close();
            }
        }
        let logouts = &mut self.logouts;
        if let Some(connection) = &mut self.at_venue {
            let turn = connection.turn(&mut self.venue, now, |event| {
                if let Event::LogoutReceived(message) = event {
                    let text = message.get(58).unwrap_or_default();
                    logouts.push((now, String::from_utf8_lossy(text).into_owned()));
                }
                ControlFlow::Continue(())
            });
            if matches!(turn, ballast_gateway::session::Turn::Ended(_)) {
                self.at_venue = None;
            }
        }
    }

    fn announce(&mut self, words: &str) {
        let said = self.venue.send(self.now, b"B", |news| _ = news.str(148, words));
        said.unwrap();
    }

    fn cut(&mut self) {
        self.at_venue.take().unwrap().transport_mut().close();
        self.venue.on_disconnected(self.now);
    }
}

#[test]
fn a_host_that_connects_and_does_not_log_on_gives_way_and_the_one_that_worked_is_tried_again() {
    let mut world = World::new(3, 2, Nanos(SECOND_NS), None);
    world.run_until(Nanos(10 * SECOND_NS));
    assert_eq!(world.dialled, [0, 1, 2]);
    assert_eq!(world.logged_on.len(), 1);
    world.cut();
    world.run_until(Nanos(20 * SECOND_NS));
    assert_eq!(world.dialled, [0, 1, 2, 2]);
    assert_eq!(world.logged_on.len(), 2);
    // It dies for good: the next in the list has its turn.
    world.alive = 0;
    world.cut();
    world.run_until(Nanos(30 * SECOND_NS));
    assert_eq!(world.dialled, [0, 1, 2, 2, 2, 0]);
    assert_eq!(world.logged_on.len(), 3);
}

#[test]
fn a_venue_that_logs_on_and_out_at_once_is_not_hammered() {
    let mut world = World::new(1, 0, Nanos(SECOND_NS), None);
    for tenth in 0..600 {
        world.run_until(Nanos((11 + tenth) * SECOND_NS / 10));
        world.venue.logout(world.now, Some("not today"));
    }
    // 250 ms, doubled up to 30 s: eight or nine in a minute, and not four a second.
    assert!((6..=12).contains(&world.logged_on.len()), "{:?}", world.logged_on);
}

#[test]
fn a_session_that_moved_and_finds_nobody_tries_the_next_host() {
    let mut config = SessionConfig::new(Role::Initiator, "US", "THEM");
    config.on_news = OnNews::Move;
    let mut world = World::with(2, 0, Nanos(SECOND_NS), config);
    world.run_until(Nanos(20 * SECOND_NS));
    world.announce("moving");
    world.alive = 1;
    world.run_until(Nanos(30 * SECOND_NS));
    assert_eq!(world.dialled, [0, 0, 1]);
    assert!(world.line.session().is_logged_on());
}

#[test]
fn what_came_while_this_side_stood_still_is_read_before_anybody_is_called_silent() {
    let (ours, theirs) = pipe(1 << 16);
    let session = |role, me, you| {
        let mut config = SessionConfig::new(role, me, you);
        config.heart_bt_int_s = 10;
        Session::new(config, MemoryStore::new())
    };
    let (mut us, mut them) =
        (session(Role::Initiator, "US", "THEM"), session(Role::Acceptor, "THEM", "US"));
    let (mut our_end, mut their_end) =
        (Connection::new(ours, us.config()), Connection::new(theirs, them.config()));
    let at = |tenths: u64| Nanos(SECOND_NS + tenths * SECOND_NS / 10);
    us.on_connected(at(0));
    them.on_connected(at(0));
    let ours = |us: &mut Session<MemoryStore>, end: &mut Connection<PipeEnd>, now| {
        for _ in 0..3 {
            let _ = end.turn(us, now, |_| ControlFlow::Continue(()));
        }
    };
    for _ in 0..3 {
        ours(&mut us, &mut our_end, at(0));
        ours(&mut them, &mut their_end, at(0));
    }
    assert!(us.is_logged_on() && them.is_logged_on());
    // Silence: a TestRequest, which is answered. The answer waits in the socket while this side stalls.
    ours(&mut us, &mut our_end, at(120));
    ours(&mut them, &mut their_end, at(121));
    ours(&mut us, &mut our_end, at(250));
    assert!(us.is_logged_on(), "{:?}", us.state());
}

/// 2024-08-08 00:00:00 UTC and so many seconds.
fn at(seconds: u64) -> Nanos {
    Nanos((1_723_075_200 + seconds) * SECOND_NS)
}

fn near(times: &[Nanos], wanted: &[Nanos]) {
    assert_eq!(times.len(), wanted.len(), "{times:?}");
    for (time, wanted) in times.iter().zip(wanted) {
        assert!(time.since(*wanted) <= 2 * SECOND_NS && wanted <= time, "{time:?} for {wanted:?}");
    }
}

#[test]
fn nobody_dials_outside_the_schedule_and_its_end_is_a_logout() {
    let schedule = Schedule::parse("UTC", "00:01:00", "00:02:00", None).unwrap();
    let mut world = World::new(1, 0, at(0), Some(schedule));
    world.run_until(at(59));
    assert_eq!(world.dialled, [] as [usize; 0]);
    world.run_until(at(119));
    near(&world.logged_on, &[at(60)]);
    world.run_until(at(300));
    let [(when, text)] = &world.logouts[..] else { panic!("{:?}", world.logouts) };
    near(&[*when], &[at(120)]);
    assert_eq!(text, "end of session");
    assert_eq!(world.dialled.len(), 1);
    assert_eq!(world.line.session().store().next_sender(), 3);
}

#[test]
fn the_end_of_a_period_is_told_also_where_the_venue_does_not_read() {
    let schedule = Schedule::parse("UTC", "00:01:00", "00:02:00", None).unwrap();
    let mut world = World::new(1, 0, at(0), Some(schedule));
    world.run_until(at(119));
    assert!(world.line.session().is_logged_on() && world.ends.is_empty());
    let unread = world.at_venue.take();
    let words = "x".repeat(1_000);
    for _ in 0..100 {
        let said = world.line.session_mut().send(world.now, b"B", |news| _ = news.str(148, &words));
        said.unwrap();
    }
    world.run_until(at(300));
    let [(when, ended)] = &world.ends[..] else { panic!("{:?}", world.ends) };
    // The Logout is due at 120 s, and its answer two seconds later.
    near(&[*when], &[at(122)]);
    assert_eq!(*ended, Ended::Session(CloseReason::LogoutTimeout));
    assert_eq!(world.line.drops(), 1);
    drop(unread);
}

#[test]
fn a_line_that_is_left_while_the_answer_to_its_logon_is_under_way_logs_out() {
    let mut world = World::new(1, 0, at(0), None);
    // It dials; it says Logon, and the venue answers.
    world.turn();
    world.turn();
    assert!(world.logged_on.is_empty() && world.venue.is_logged_on());
    world.line.leave(world.now);
    world.run_until(at(10));
    assert_eq!((world.logged_on.len(), world.logouts.len()), (1, 1));
    assert!(world.line.is_left() && !world.venue.is_logged_on());
}

#[test]
fn numbers_begin_at_one_in_a_new_period_and_go_on_within_one() {
    // Whole days: a new period begins the moment the old one ends.
    let schedule = Schedule::parse("UTC", "00:01:00", "00:01:00", None).unwrap();
    let mut world = World::new(1, 0, at(0), Some(schedule));
    world.run_until(at(30));
    near(&world.logged_on, &[at(0)]);
    world.cut();
    world.run_until(at(59));
    assert_eq!(world.logged_on.len(), 2);
    assert_eq!(world.line.session().store().next_sender(), 3, "a second Logon under 2");
    // The venue keeps the same schedule.
    world.run_until(at(60));
    world.venue.on_disconnected(world.now);
    world.at_venue = None;
    world.venue.begin_period(world.now, at(60));
    world.run_until(at(80));
    assert_eq!(world.logged_on.len(), 3);
    assert_eq!(world.line.session().store().next_sender(), 2, "a Logon under 1");
    // The venue had gone without an answer to the Logout: that took its timeout.
    near(&[world.line.session().store().created_at()], &[at(60)]);
}

/// A world whose venue says News(B) every ten seconds for 70 s, and what people were told.
fn announced(on_news: OnNews) -> (World, Vec<String>) {
    let notices = Notices::default();
    let mut config = SessionConfig::new(Role::Initiator, "US", "THEM");
    (config.on_news, config.notices) = (on_news, notices.clone());
    let mut world = World::with(1, 0, Nanos(SECOND_NS), config);
    world.run_until(Nanos(2 * SECOND_NS));
    for n in 1..=7 {
        world.announce("maintenance at 12:00");
        world.run_until(Nanos((2 + 10 * n) * SECOND_NS));
    }
    (world, std::iter::from_fn(|| notices.take()).collect())
}

#[test]
fn news_is_told_to_people_once_and_the_session_goes_on() {
    let (world, told) = announced(OnNews::Tell);
    assert_eq!(told, ["maintenance at 12:00"]);
    assert_eq!((world.logged_on.len(), world.logouts.len()), (1, 0));
}

#[test]
fn where_the_venue_means_it_so_news_moves_the_session_at_most_once_a_minute() {
    let (world, told) = announced(OnNews::Move);
    assert_eq!(told, ["maintenance at 12:00"]);
    // At 2 s and 62 s, without a pause: a Logout, its answer, a Logon.
    near(&world.logged_on, &[1, 2, 62].map(|s| Nanos(s * SECOND_NS)));
    let words = "moving: the venue announced maintenance";
    let texts: Vec<&str> = world.logouts.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, [words, words]);
    assert!(world.line.session().is_logged_on());
}
