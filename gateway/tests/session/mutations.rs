//! Whatever a counterparty sends, well-framed or not: the session does not panic, its memory stays
//! bounded, and a session that is still logged on understands the next good message.
//!
//! `BALLAST_MUTATIONS` messages (default 24,000). A failure prints the seed; `BALLAST_SEED=N cargo test -p ballast-gateway --test session mutations`
//! runs that one alone.

use ballast_engine::units::Nanos;
use ballast_gateway::dictionary::Dictionary;
use ballast_gateway::dictionary::validate::{Rules, Validator};
use ballast_gateway::session::{Output, Role, Session, SessionConfig, State};
use ballast_gateway::store::{MemoryStore, Store};
use std::sync::Arc;

const ROUNDS: u64 = 400;
const START: Nanos = Nanos(1_700_000_000_000_000_000);
const TIME: &str = "20231114-22:13:20.000";

struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

fn seal(body: &[u8]) -> Vec<u8> {
    let mut message = format!("8=FIX.4.4\x019={}\x01", body.len()).into_bytes();
    message.extend_from_slice(body);
    let sum = message.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    message.extend_from_slice(format!("10={sum:03}\x01").as_bytes());
    message
}

fn body(number: u64, kind: usize) -> Vec<u8> {
    let rest = match kind {
        0 => "35=0|34=#|",
        1 => "35=1|34=#|112=T|",
        2 => "35=2|34=#|7=1|16=0|",
        3 => "35=4|34=#|123=Y|36=9|",
        4 => "35=4|34=#|36=12|",
        5 => "35=A|34=#|98=0|108=30|141=Y|",
        6 => "35=3|34=#|45=1|",
        _ => "35=D|34=#|11=a|21=3|40=1|54=1|55=X|60=20231114-22:13:20|386=2|336=A|336=B|",
    };
    let header = format!("34={number}|49=THEM|52={TIME}|56=US");
    rest.replace("34=#", &header).replace('|', "\x01").into_bytes()
}

fn mutate(bytes: &mut Vec<u8>, chance: &mut Chance) {
    for _ in 0..1 + chance.below(3) {
        let at = chance.below(bytes.len());
        match chance.below(6) {
            0 => bytes[at] = u8::try_from(chance.below(256)).unwrap(),
            1 => _ = bytes.remove(at),
            2 => bytes.insert(at, b"0=|\x01-9Y8"[chance.below(8)]),
            3 => bytes.truncate(at.max(1)),
            4 => bytes.insert(at, 1),
            _ => {
                let from = bytes[at..].iter().take(1 + chance.below(20)).copied();
                let copy: Vec<u8> = from.collect();
                bytes.splice(at..at, copy);
            }
        }
        if bytes.is_empty() {
            bytes.push(b'8');
        }
    }
}

/// Feeds the bytes, byte counts bounded, and says what is left.
fn feed(session: &mut Session<MemoryStore>, waiting: &mut Vec<u8>) -> usize {
    let mut sent = 0;
    for _ in 0..10_000 {
        let used = session.on_bytes(START, waiting);
        let mut is_drained = true;
        while let Some(output) = session.poll_output() {
            is_drained = false;
            if let Output::Send(bytes) = output {
                sent += bytes.len();
            }
        }
        waiting.drain(..used);
        if used == 0 && is_drained {
            return sent;
        }
    }
    panic!("the session does not come to rest");
}

fn survives(seed: u64) {
    let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut config = SessionConfig::new(Role::Acceptor, "US", "THEM");
    config.held_max = 8;
    config.message_len_max = 4096;
    let dictionary = Arc::new(Dictionary::fix44());
    config.validation =
        seed.is_multiple_of(2).then(|| Validator::new(dictionary, Rules::default()));
    let mut session = Session::new(config, MemoryStore::new());
    session.on_connected(START);
    let mut waiting = seal(&body(1, 5));
    feed(&mut session, &mut waiting);
    assert_eq!(session.state(), State::Active, "seed {seed}");
    for _ in 0..ROUNDS {
        if session.state() != State::Active {
            session.on_disconnected(START);
            session.on_connected(START);
            waiting = seal(&body(1, 5));
            feed(&mut session, &mut waiting);
            assert_eq!(session.state(), State::Active, "seed {seed}");
        }
        let number = session.store().next_target() + chance.below(3) as u64;
        let mut bytes = body(number, chance.below(8));
        // Half are mutated and then sealed, so that they get past the frame.
        if chance.below(2) == 0 {
            mutate(&mut bytes, &mut chance);
            waiting.extend_from_slice(&seal(&bytes));
        } else {
            let mut sealed = seal(&bytes);
            mutate(&mut sealed, &mut chance);
            waiting.extend_from_slice(&sealed);
        }
        feed(&mut session, &mut waiting);
        assert!(waiting.len() <= 4096 + 400, "seed {seed}: {} bytes wait", waiting.len());
    }
    // A too long BodyLength swallows what follows, at most a message's length of it.
    for _ in 0..200 {
        if session.state() != State::Active {
            return;
        }
        let number = session.store().next_target();
        waiting.extend_from_slice(&seal(&body(number, 1)));
        feed(&mut session, &mut waiting);
        if session.store().next_target() > number {
            return;
        }
    }
    panic!("BALLAST_SEED={seed}: good messages are not understood any more");
}

#[test]
fn mutated_messages_do_no_harm() {
    match std::env::var("BALLAST_SEED") {
        Ok(seed) => survives(seed.parse().unwrap()),
        Err(_) => {
            let count = std::env::var("BALLAST_MUTATIONS").ok().and_then(|text| text.parse().ok());
            (0..count.unwrap_or(24_000u64) / ROUNDS).for_each(survives);
        }
    }
}
