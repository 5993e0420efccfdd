//! What hostile bytes go through: framing, decoding and validation, a session in either role, and the
//! dictionary's loader, each with what must hold whatever the bytes are.
//!
//! Fed by the seeded mutations of `mutation.rs`.

use ballast_engine::units::Nanos;
use ballast_gateway::dictionary::Dictionary;
use ballast_gateway::dictionary::validate::{Rules, Validator};
use ballast_gateway::fix::decode::Decoder;
use ballast_gateway::fix::frame::{Frame, frame};
use ballast_gateway::session::{Output, Role, Session, SessionConfig};
use ballast_gateway::store::MemoryStore;
use std::sync::{Arc, OnceLock};

pub const LEN_MAX: usize = 4096;
/// 2023-11-14 22:13:20 UTC, near the times in the samples.
const NOW: Nanos = Nanos(1_700_000_000_000_000_000);

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

/// A session in either role comes to rest after any bytes, and its answers stay bounded.
pub fn session(role: Role, is_validating: bool, bytes: &[u8]) {
    let mut config = SessionConfig::new(role, "B", "A");
    config.message_len_max = LEN_MAX;
    config.held_max = 8;
    config.validation = is_validating.then(validator);
    let mut session = Session::new(config, MemoryStore::new());
    session.on_connected(NOW);
    let (mut at, mut sent) = (0, 0);
    loop {
        let used = session.on_bytes(NOW, bytes.get(at..).unwrap_or_default());
        at += used;
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
