//! Two of our own sessions joined over the byte pipe, with random fragments and cuts: whatever
//! happens, both applications hear every message once and in order.
//!
//! A failure prints the seed; `BALLAST_SEED=N cargo test -p ballast-gateway --test session
//! back_to_back` runs that one alone.

use ballast_engine::units::Nanos;
use ballast_gateway::session::{Connection, Event, Role, Session, SessionConfig, Turn};
use ballast_gateway::store::{MemoryStore, Store};
use ballast_gateway::transport::{PipeEnd, pipe};
use std::ops::ControlFlow;

const MESSAGES: u64 = 60;
const STEP_NS: u64 = 10_000_000;
/// Far more than any seed needs; reaching it is a session that hangs.
const STEPS_MAX: u64 = 200_000;

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
    connection: Option<Connection<PipeEnd>>,
    heard: Vec<u64>,
    said: u64,
}

impl Side {
    fn new(role: Role, us: &str, them: &str) -> Side {
        let mut config = SessionConfig::new(role, us, them);
        config.heart_bt_int_s = 1;
        config.resend_timeout_ns = 500_000_000;
        config.held_max = 16;
        config.message_len_max = 2048;
        config.out_bytes_max = 4096;
        let session = Session::new(config, MemoryStore::new());
        Side { session, connection: None, heard: Vec::new(), said: 0 }
    }

    fn connect(&mut self, end: PipeEnd, now: Nanos) {
        self.session.on_connected(now);
        self.connection = Some(Connection::new(end, self.session.config()));
    }

    fn turn(&mut self, now: Nanos) {
        let Some(connection) = &mut self.connection else { return };
        let heard = &mut self.heard;
        let ended = connection.turn(&mut self.session, now, |event| {
            if let Event::Message(message) = event {
                heard.push(message.uint(11).unwrap());
            }
            ControlFlow::Continue(())
        });
        if matches!(ended, Turn::Ended(_)) {
            self.connection = None;
        }
    }

    fn say(&mut self, now: Nanos) {
        if self.said < MESSAGES {
            let id = self.said + 1;
            if self.session.send(now, b"D", |encoder| _ = encoder.uint(11, id)).is_ok() {
                self.said = id;
            }
        }
    }
}

fn converges(seed: u64) -> Result<u64, String> {
    let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut now = Nanos(1_700_000_000_000_000_000);
    let mut sides = [Side::new(Role::Initiator, "A", "B"), Side::new(Role::Acceptor, "B", "A")];
    let mut cuts = 0;
    for _ in 0..STEPS_MAX {
        now = now.plus(STEP_NS);
        if sides.iter().all(|side| side.connection.is_none()) {
            let (mut left, mut right) = pipe(usize::try_from(64 + chance.below(2000)).unwrap());
            left.fragment(chance.below(u64::MAX), 1 + usize::try_from(chance.below(300)).unwrap());
            right.fragment(chance.below(u64::MAX), 1 + usize::try_from(chance.below(300)).unwrap());
            let [first, second] = &mut sides;
            first.connect(left, now);
            second.connect(right, now);
        }
        for side in &mut sides {
            if chance.below(3) == 0 {
                side.say(now);
            }
            side.turn(now);
        }
        if cuts < 20 && chance.below(40) == 0 {
            let kept = usize::try_from(chance.below(200)).unwrap();
            if let Some(connection) = &mut sides[0].connection {
                connection.transport_mut().cut(kept);
                cuts += 1;
            }
        }
        let wanted: Vec<u64> = (1..=MESSAGES).collect();
        if sides.iter().all(|side| side.heard == wanted) {
            let [first, second] = &sides;
            let in_step = first.session.store().next_sender()
                >= second.session.store().next_target()
                && second.session.store().next_sender() >= first.session.store().next_target();
            return if in_step { Ok(cuts) } else { Err("numbers received but never sent".into()) };
        }
        for side in &sides {
            if side.heard.iter().zip(1..).any(|(heard, wanted)| *heard != wanted) {
                return Err(format!("heard out of order or twice: {:?}", side.heard));
            }
        }
    }
    Err(format!("no end: heard {} and {}", sides[0].heard.len(), sides[1].heard.len()))
}

#[test]
fn two_sessions_converge_through_any_cuts() {
    let seeds: Vec<u64> = match std::env::var("BALLAST_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..200).collect(),
    };
    let mut cuts = 0;
    for seed in seeds {
        match converges(seed) {
            Ok(count) => cuts += count,
            Err(fault) => panic!("BALLAST_SEED={seed}: {fault}"),
        }
    }
    assert!(cuts > 0, "the connections were cut");
}
