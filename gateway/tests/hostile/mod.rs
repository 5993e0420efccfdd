//! What hostile bytes go through: framing, decoding and validation, a session in either role, and the
//! dictionary's loader, each with what must hold whatever the bytes are.
//!
//! Fed by the seeded mutations of `mutation.rs` and by the fuzz targets in `gateway/fuzz`.
#![allow(dead_code, reason = "each test and fuzz target uses its part")]

use ballast_engine::units::Nanos;
use ballast_gateway::dictionary::Dictionary;
use ballast_gateway::dictionary::validate::{Rules, Validator};
use ballast_gateway::fix::decode::Decoder;
use ballast_gateway::fix::frame::{Frame, frame};
use ballast_gateway::session::{Output, Role, Session, SessionConfig};
use ballast_gateway::store::{MemoryStore, Store};
use std::sync::{Arc, OnceLock};

pub const LEN_MAX: usize = 4096;
/// 2024-08-08 00:00:00 UTC, the time of the samples.
pub const NOW: Nanos = Nanos(1_723_075_200_000_000_000);
const NOW_TEXT: &str = "20240808-00:00:00.000";
/// What comes behind hostile bytes and must be understood.
const GOOD: &[u8] = b"35=0\x0134=9\x0149=A\x0152=20240808-00:00:00.000\x0156=B\x01";

/// A body with a true BeginString, BodyLength and CheckSum.
pub fn seal(body: &[u8]) -> Vec<u8> {
    let mut message = format!("8=FIX.4.4\x019={}\x01", body.len()).into_bytes();
    message.extend_from_slice(body);
    let sum = message.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    message.extend_from_slice(format!("10={sum:03}\x01").as_bytes());
    message
}

/// Framing goes on whatever the bytes are, and the good messages behind them come out, at the latest
/// when a too long BodyLength has swallowed as many as it can.
pub fn framed(bytes: &[u8]) {
    let (good, mut buffer) = (seal(GOOD), bytes.to_vec());
    let count = 2 * LEN_MAX / good.len() + 2;
    (0..count).for_each(|_| buffer.extend_from_slice(&good));
    let (mut at, mut last) = (0, None);
    loop {
        let rest = &buffer[at..];
        match frame(rest, LEN_MAX) {
            Frame::Incomplete => break,
            Frame::Garbled { skip, .. } => {
                assert!(skip > 0 && skip <= rest.len(), "progress");
                at += skip;
            }
            Frame::Message { len } => {
                assert!(len > 0 && len <= rest.len().min(LEN_MAX), "within bounds");
                last = Some(&rest[..len]);
                at += len;
            }
        }
    }
    assert_eq!(last, Some(&good[..]), "the last good message is understood");
    assert_eq!(at, buffer.len(), "nothing waits behind it");
}

/// The decoder refuses the bytes, or its fields are the bytes.
pub fn decoded(bytes: &[u8]) {
    let mut decoder = Decoder::new(64);
    let Ok(message) = decoder.decode(bytes) else { return };
    let mut again = Vec::new();
    for field in message.fields() {
        // A number that is no tag stands as 0.
        assert!(field.tag == 0 || message.get(field.tag).is_some(), "{}", field.tag);
        again.push((field.tag, field.value.to_vec()));
    }
    // Tags may be written with leading zeros: the values must be pieces of the bytes, in order.
    let mut rest = bytes;
    for (tag, value) in again {
        let at = rest
            .windows(value.len() + 1)
            .position(|piece| piece.strip_prefix(b"=") == Some(&value));
        let at = at.unwrap_or_else(|| panic!("{tag} is not in the bytes"));
        rest = &rest[at + 1 + value.len()..];
    }
}

/// A sealed body is framed whole; the dictionary judges what can be decoded.
pub fn validated(body: &[u8]) {
    let body = [&b"35="[..], body, b"\x01"].concat();
    let message = seal(&body);
    if let Frame::Message { len } = frame(&message, LEN_MAX) {
        assert!(len <= message.len());
        let mut reader = Reader::new();
        let mut buffer = message[..len].to_vec();
        reader.read(&mut buffer);
    }
}

/// A session, logged on, hears one message after the other.
pub fn conversation(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let role = if first & 1 == 0 { Role::Acceptor } else { Role::Initiator };
    let mut session = new_session(role, first & 2 == 0);
    session.on_connected(NOW);
    let logon = "98=0\x01108=30\x01141=Y\x01";
    feed(&mut session, &mut numbered("A", 1, logon.as_bytes()));
    assert!(session.is_logged_on(), "a good Logon is taken");
    let mut waiting = Vec::new();
    for line in rest.split(|byte| *byte == b'\n').take(64) {
        let next = session.store().next_target();
        match line.split_first() {
            Some((b'!', raw)) => waiting.extend_from_slice(raw),
            Some((kind, body)) => {
                let kind = char::from(*kind).to_string();
                waiting.extend(numbered(&kind, next, body));
            }
            None => waiting.extend(numbered("0", next + 1, b"")),
        }
        feed(&mut session, &mut waiting);
        assert!(waiting.len() < 2 * LEN_MAX + bytes.len(), "what waits is bounded");
    }
    if let Some(deadline) = session.next_deadline() {
        session.on_deadline(deadline);
        feed(&mut session, &mut Vec::new());
    }
}

/// A message to the session under a number, its body's `|` as separators.
fn numbered(kind: &str, number: u64, body: &[u8]) -> Vec<u8> {
    let head = format!("35={kind}\x0134={number}\x0149=A\x0152={NOW_TEXT}\x0156=B\x01");
    let mut whole = head.into_bytes();
    whole.extend(body.iter().map(|byte| if *byte == b'|' { 1 } else { *byte }));
    if whole.last() != Some(&1) {
        whole.push(1);
    }
    seal(&whole)
}

/// All outputs are drained and all messages taken; the session comes to rest.
fn feed(session: &mut Session<MemoryStore>, waiting: &mut Vec<u8>) {
    for _ in 0..1_000_000 {
        let used = session.on_bytes(NOW, waiting);
        waiting.drain(..used);
        let mut is_quiet = used == 0;
        while session.poll_output().is_some() {
            is_quiet = false;
        }
        if is_quiet {
            return;
        }
    }
    panic!("the session does not come to rest");
}

fn new_session(role: Role, is_validating: bool) -> Session<MemoryStore> {
    let mut config = SessionConfig::new(role, "B", "A");
    config.message_len_max = LEN_MAX;
    config.held_max = 8;
    // An initiator that asked for the reset hears the same Logon.
    config.reset_on_logon = true;
    config.validation = is_validating.then(validator);
    Session::new(config, MemoryStore::new())
}

/// By the compiled-in dictionary, which is read once.
fn validator() -> Validator {
    static FIX44: OnceLock<Arc<Dictionary>> = OnceLock::new();
    let dictionary = FIX44.get_or_init(|| Arc::new(Dictionary::fix44()));
    Validator::new(Arc::clone(dictionary), Rules::default())
}

/// Framing, decoding and validation, with their tables kept from message to message.
pub struct Reader {
    decoder: Decoder,
    validator: Validator,
}

impl Reader {
    pub fn new() -> Reader {
        Reader { decoder: Decoder::new(512), validator: validator() }
    }

    /// Reads until nothing more comes out; gives the length of the last message if it was good in
    /// every way and nothing came after it, and how many were good.
    pub fn read(&mut self, buffer: &mut Vec<u8>) -> (Option<Vec<u8>>, u64) {
        let (mut last, mut good, mut at) = (None, 0, 0);
        loop {
            let rest = &buffer[at..];
            match frame(rest, LEN_MAX) {
                Frame::Incomplete => break,
                Frame::Garbled { skip, .. } => {
                    assert!(skip > 0 && skip <= rest.len(), "progress");
                    at += skip;
                }
                Frame::Message { len } => {
                    if let Ok(message) = self.decoder.decode(&rest[..len])
                        && self.validator.check(&message).is_ok()
                    {
                        good += 1;
                        last = Some(at..at + len);
                    }
                    at += len;
                }
            }
        }
        let last = last.map(|range| buffer[range].to_vec());
        buffer.drain(..at);
        assert!(buffer.len() < LEN_MAX, "an incomplete message is shorter than the longest");
        (last, good)
    }
}

/// A session in either role comes to rest after any bytes, and its answers stay bounded; whether it was
/// ever logged on.
pub fn session(role: Role, is_validating: bool, bytes: &[u8]) -> bool {
    let mut session = new_session(role, is_validating);
    session.on_connected(NOW);
    let (mut at, mut sent, mut was_logged_on) = (0, 0, false);
    loop {
        let used = session.on_bytes(NOW, bytes.get(at..).unwrap_or_default());
        at += used;
        was_logged_on |= session.is_logged_on();
        let mut is_quiet = used == 0;
        while let Some(output) = session.poll_output() {
            is_quiet = false;
            if let Output::Send(bytes) = output {
                sent += bytes.len();
            }
        }
        if is_quiet {
            break;
        }
    }
    // The longest answer: what is resent to each of as many ResendRequests as fit in the bytes.
    assert!(at <= bytes.len() && sent < 65_536 + 64 * (bytes.len() + LEN_MAX), "{sent} bytes");
    if let Some(deadline) = session.next_deadline() {
        session.on_deadline(deadline);
        while session.poll_output().is_some() {}
    }
    was_logged_on
}

/// A dictionary is loaded or refused, soon; one that is loaded can judge.
pub fn dictionary(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(dictionary) = Dictionary::from_xml(text) else { return false };
    let message = b"8=FIX.4.4\x019=5\x0135=D\x0111=a\x0110=000\x01";
    let mut validator = Validator::new(Arc::new(dictionary), Rules::default());
    let mut decoder = Decoder::new(8);
    if let Ok(message) = decoder.decode(message) {
        let _ = validator.check(&message);
    }
    true
}
