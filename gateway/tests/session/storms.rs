//! What networks and counterparties do at their worst: message after message lost on both sides at once,
//! applications that are busy, bytes one by one, and everything in one segment. Both applications hear
//! every message once and in order, what waits stays within the session's bounds, and gaps are asked for
//! as often as they are made, not over and over.
//!
//! A failure prints the seed; `BALLAST_SEED=N cargo test -p ballast-gateway --test session storms` runs
//! that one alone.

use ballast_engine::units::Nanos;
use ballast_gateway::session::{
    Connection, Event, GapPolicy, Output, Role, Session, SessionConfig, Turn,
};
use ballast_gateway::store::{MemoryStore, Store};
use ballast_gateway::transport::{PipeEnd, pipe};
use std::ops::ControlFlow;

const STEP_NS: u64 = 1_000_000;
/// Far more than any seed needs; reaching it is a session that hangs.
const STEPS_MAX: u64 = 100_000;
const HELD_MAX: usize = 32;

/// xorshift64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

struct Side {
    session: Session<MemoryStore>,
    connection: Connection<PipeEnd>,
    heard: Vec<u64>,
    said: u64,
    is_busy: bool,
}

impl Side {
    fn new(role: Role, (us, them): (&str, &str), policy: GapPolicy, end: PipeEnd) -> Side {
        let mut config = SessionConfig::new(role, us, them);
        config.heart_bt_int_s = 30;
        config.resend_timeout_ns = 300_000_000;
        config.held_max = HELD_MAX;
        config.held_bytes_max = HELD_MAX * 512;
        config.message_len_max = 2048;
        config.out_bytes_max = 8192;
        config.gap_policy = policy;
        let mut session = Session::new(config, MemoryStore::new());
        session.on_connected(Nanos(START));
        let connection = Connection::new(end, session.config());
        Side { session, connection, heard: Vec::new(), said: 0, is_busy: false }
    }

    fn turn(&mut self, now: Nanos) {
        let (heard, is_busy) = (&mut self.heard, self.is_busy);
        let turn = self.connection.turn(&mut self.session, now, |event| {
            if let Event::Message(message) = event {
                heard.push(message.uint(11).unwrap());
            }
            // A busy application takes one message a turn.
            if is_busy { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(!matches!(turn, Turn::Ended(_)), "{turn:?}");
    }

    /// Sends the next message; one that is lost is in the store and not on the wire.
    fn say(&mut self, now: Nanos, is_lost: bool) {
        let id = self.said + 1;
        if self.session.send(now, b"D", |encoder| _ = encoder.uint(11, id)).is_ok() {
            self.said = id;
        }
        while is_lost && let Some(output) = self.session.poll_output() {
            // What waited for a gap to close may come out as well: that is not lost.
            if let Output::Deliver(Event::Message(message)) = output {
                self.heard.push(message.uint(11).unwrap());
            }
        }
    }
}

const START: u64 = 1_700_000_000_000_000_000;

/// Two sessions over a pipe, logged on.
fn joined(capacity: usize, policy: GapPolicy) -> ([Side; 2], Nanos) {
    let (left, right) = pipe(capacity);
    let mut sides = [
        Side::new(Role::Initiator, ("A", "B"), policy, left),
        Side::new(Role::Acceptor, ("B", "A"), policy, right),
    ];
    let mut now = Nanos(START);
    for _ in 0..4 {
        now = now.plus(STEP_NS);
        sides.iter_mut().for_each(|side| side.turn(now));
    }
    assert!(sides.iter().all(|side| side.session.is_logged_on()));
    (sides, now)
}

/// Both sides say `count` messages, two thirds of them lost; how many ResendRequests that took, and
/// whether they were for all that is missing or for so many at a time.
fn storm(seed: u64, count: u64) -> Result<(u64, GapPolicy), String> {
    let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let chunks = GapPolicy::RequestChunks(1 + chance.below(8));
    let policy = if chance.below(2) == 0 { GapPolicy::RequestAll } else { chunks };
    let capacity = usize::try_from(256 + chance.below(4096)).unwrap();
    let (mut sides, mut now) = joined(capacity, policy);
    for _ in 0..STEPS_MAX {
        now = now.plus(STEP_NS);
        for side in &mut sides {
            side.is_busy = chance.below(2) == 0;
            let is_last = side.said + 1 == count;
            // The last one arrives: what is lost and followed by nothing only a heartbeat would show.
            if side.said < count && chance.below(2) == 0 {
                side.say(now, !is_last && chance.below(3) != 0);
            }
            side.turn(now);
        }
        for side in &sides {
            if side.heard.iter().zip(1..).any(|(heard, wanted)| *heard != wanted) {
                return Err(format!("heard out of order or twice: {:?}", side.heard));
            }
        }
        let is_over = |side: &Side| side.heard.len() as u64 == count && side.said == count;
        if sides.iter().all(is_over) && sides.iter().all(|side| side.session.is_synced()) {
            let asked = sides.iter().map(|side| side.session.counters().resend_requests_out);
            return Ok((asked.sum(), policy));
        }
    }
    let heard = [0, 1].map(|n| sides[n].heard.len());
    Err(format!("no end: heard {heard:?} of {count}"))
}

#[test]
fn gap_storms_from_both_sides_converge_without_a_storm_of_requests() {
    let seeds: Vec<u64> = match std::env::var("BALLAST_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..100).collect(),
    };
    for seed in seeds {
        match storm(seed, 200) {
            // Each of 400 messages can open a gap of its own, and a lost request is asked again; in
            // chunks, what found no room above the gap is asked for a piece at a time.
            Ok((asked, policy)) => {
                let most = if policy == GapPolicy::RequestAll { 800 } else { 4000 };
                assert!((1..=most).contains(&asked), "BALLAST_SEED={seed}: {asked} asked");
            }
            Err(fault) => panic!("BALLAST_SEED={seed}: {fault}"),
        }
    }
}

#[test]
fn bytes_one_by_one_and_everything_in_one_segment_come_to_the_same() {
    for fragment in [1, usize::MAX] {
        let (mut sides, mut now) = joined(1 << 16, GapPolicy::RequestAll);
        for side in &mut sides {
            side.connection.transport_mut().fragment(7, fragment);
        }
        for round in 0..40u64 {
            // Ten messages, every third lost, before the other side reads at all.
            for n in 0..10 {
                sides[0].say(now, n % 3 == 1);
                sides[1].say(now, n % 3 == 2);
            }
            sides.iter_mut().for_each(|side| side.say(now, false));
            for _ in 0..20_000 {
                now = now.plus(STEP_NS / 100);
                sides.iter_mut().for_each(|side| side.turn(now));
                if sides.iter().all(|side| side.heard.len() as u64 == (round + 1) * 11) {
                    break;
                }
            }
            for side in &sides {
                let wanted: Vec<u64> = (1..=(round + 1) * 11).collect();
                assert_eq!(side.heard, wanted, "fragments of {fragment}, round {round}");
            }
        }
    }
}

/// A counterparty that sends far above a gap and never fills it: what is held stays bounded, and the
/// request is repeated in time, not for each message.
#[test]
fn a_gap_that_is_never_filled_holds_no_more_than_its_bound() {
    let (mut sides, mut now) = joined(1 << 20, GapPolicy::RequestAll);
    sides[0].say(now, true);
    for _ in 0..2000 {
        now = now.plus(STEP_NS);
        let [first, second] = &mut sides;
        first.say(now, false);
        // Only the first side's bytes pass: the request never reaches it.
        first.turn(now);
        while first.session.poll_output().is_some() {}
        second.turn(now);
        first.connection.transport_mut().pending();
        let lost = first.connection.transport_mut();
        let _ = ballast_gateway::transport::Transport::read(lost, &mut [0; 1 << 16]);
    }
    let counters = sides[1].session.counters();
    assert_eq!(sides[1].heard.len(), 0);
    assert!(counters.held_dropped >= 2000 - 2 * HELD_MAX as u64, "{counters:?}");
    // Two seconds with a timeout of 300 ms.
    assert!((2..=10).contains(&counters.resend_requests_out), "{counters:?}");
    assert_eq!(sides[1].session.store().next_target(), 2);
}
