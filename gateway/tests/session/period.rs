//! An acceptor keeps its schedule: who may log on when, what the end of a period does, and where the
//! numbers of the next begin.

use crate::calls::{LOGON, NOW, config, drained, logged_on, message};
use ballast_engine::units::Nanos;
use ballast_gateway::session::{Role, Schedule, Session, SessionConfig, State};
use ballast_gateway::store::{MemoryStore, Store};

const SECOND_NS: u64 = 1_000_000_000;
const DAY_NS: u64 = 86_400 * SECOND_NS;

/// `NOW` is 22:13:20 UTC.
fn kept(open: &str, close: &str) -> SessionConfig {
    SessionConfig {
        schedule: Some(Schedule::parse("UTC", open, close, None).unwrap()),
        // The messages of this test carry one SendingTime(52).
        latency_max_ns: None,
        ..config(Role::Acceptor)
    }
}

/// A new connection and its Logon under a number: what the acceptor says.
fn log_on(session: &mut Session<MemoryStore>, now: Nanos, number: u64) -> Vec<String> {
    session.on_connected(now);
    session.on_bytes(now, &message(Role::Acceptor, b"A", number, &LOGON));
    drained(session)
}

#[test]
fn a_logon_outside_is_refused_with_a_reason() {
    for (open, close) in [("08:00:00", "22:13:20"), ("22:13:21", "23:00:00")] {
        let mut session = Session::new(kept(open, close), MemoryStore::new());
        let said = log_on(&mut session, NOW, 1);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("35=5|"), "{said:?}");
        assert!(said[0].ends_with("|58=Logon attempt not within session time|"), "{said:?}");
        assert_eq!(said[1], "OutOfSession");
    }
    let mut session = Session::new(kept("22:13:20", "22:13:21"), MemoryStore::new());
    assert_eq!(log_on(&mut session, NOW, 1)[0], "LoggedOn", "its first instant counts");
}

#[test]
fn who_connects_before_the_opening_may_log_on_after_it() {
    let mut session = Session::new(kept("22:13:22", "23:00:00"), MemoryStore::new());
    session.on_connected(NOW);
    session.on_bytes(NOW.plus(2 * SECOND_NS), &message(Role::Acceptor, b"A", 1, &LOGON));
    assert!(drained(&mut session).contains(&"LoggedOn".to_owned()));
}

#[test]
fn the_end_of_a_period_logs_out_whether_it_is_answered_or_not() {
    for is_answered in [true, false] {
        let mut session = logged_on(kept("08:00:00", "22:13:25"));
        let closes = NOW.plus(5 * SECOND_NS);
        assert_eq!(session.next_deadline(), Some(closes), "no heartbeat is due before");
        session.on_deadline(Nanos(closes.0 - 1));
        assert!(session.is_logged_on() && drained(&mut session).is_empty());
        session.on_deadline(closes);
        let said = drained(&mut session);
        assert!(said[0].starts_with("35=5|34=2|") && said[0].ends_with("|58=end of session|"));
        assert_eq!((said.len(), session.state()), (1, State::LogoutSent { since: closes }));
        if is_answered {
            session.on_bytes(closes, &message(Role::Acceptor, b"5", 2, &[]));
            assert_eq!(drained(&mut session).last().unwrap(), "LogoutComplete");
        } else {
            session.on_deadline(closes.plus(2 * SECOND_NS));
            assert_eq!(drained(&mut session), ["LogoutTimeout"]);
        }
    }
}

#[test]
fn numbers_go_on_within_a_period_and_begin_at_one_in_the_next() {
    let mut session = logged_on(kept("08:00:00", "22:14:00"));
    session.on_disconnected(NOW);
    let later = NOW.plus(SECOND_NS);
    let said = log_on(&mut session, later, 2);
    assert!(said.iter().any(|said| said.starts_with("35=A|34=2|")), "{said:?}");
    session.on_disconnected(later);
    let next_day = NOW.plus(DAY_NS);
    let said = log_on(&mut session, next_day, 1);
    assert!(said.iter().any(|said| said.starts_with("35=A|34=1|")), "{said:?}");
    assert_eq!((session.store().next_target(), session.store().created_at()), (2, next_day));
}

#[test]
fn numbers_that_began_as_the_period_opened_are_its_own() {
    let mut session = Session::new(kept("22:13:20", "22:14:00"), MemoryStore::new());
    log_on(&mut session, NOW, 1);
    assert_eq!(session.store().created_at(), NOW);
    session.on_disconnected(NOW);
    let said = log_on(&mut session, NOW.plus(SECOND_NS), 2);
    assert!(said.iter().any(|said| said.starts_with("35=A|34=2|")), "{said:?}");
}
