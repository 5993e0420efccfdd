//! The reception of an acceptor: whose Logon is this?
//!
//! A venue or endpoint with many sessions puts each new connection here; once the first message is
//! whole, it finds the session by the comp ids and goes on with a [`Connection`]. Cold.
//! Deliberately absent: judging the Logon, which is the session's business, and answering: whoever
//! is not known is not answered.

use super::config::SessionConfig;
use super::connection::Connection;
use crate::fix::decode::Decoder;
use crate::fix::frame::{Frame, frame};
use crate::fix::msg_type;
use crate::transport::{Received, Transport};
use ballast_engine::units::Nanos;

/// What a new connection has said so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Knock {
    /// Not a whole message yet.
    Waiting,
    /// A Logon.
    Logon {
        /// Its SenderCompID(49): the counterparty.
        sender_comp_id: Vec<u8>,
        /// Its TargetCompID(56): who it wants to speak to.
        target_comp_id: Vec<u8>,
    },
    /// Something else, or too late, or nobody there any more: close it.
    Gone,
}

/// A first message is at most this long, and most fields it may have.
const FIRST_MESSAGE_MAX: usize = 8 * 1024;
const FIRST_FIELDS_MAX: usize = 256;

/// What the first bytes of a connection say.
pub fn knock(bytes: &[u8]) -> Knock {
    match frame(bytes, FIRST_MESSAGE_MAX) {
        Frame::Incomplete => Knock::Waiting,
        Frame::Garbled { .. } => Knock::Gone,
        Frame::Message { len } => {
            let mut decoder = Decoder::new(FIRST_FIELDS_MAX);
            match decoder.decode(bytes.get(..len).unwrap_or_default()) {
                Ok(message) if message.msg_type() == msg_type::LOGON => Knock::Logon {
                    sender_comp_id: message.sender_comp_id().to_vec(),
                    target_comp_id: message.target_comp_id().to_vec(),
                },
                Ok(_) | Err(_) => Knock::Gone,
            }
        }
    }
}

/// A connection that has not said who it is.
#[derive(Debug)]
pub struct Visitor<T> {
    transport: T,
    bytes: Vec<u8>,
    deadline: Nanos,
}

impl<T: Transport> Visitor<T> {
    /// A new connection, which has until `deadline` to log on.
    pub fn new(transport: T, deadline: Nanos) -> Self {
        Visitor { transport, bytes: Vec::with_capacity(FIRST_MESSAGE_MAX), deadline }
    }

    /// When it is late.
    pub fn deadline(&self) -> Nanos {
        self.deadline
    }

    /// The connection, to wait on.
    pub fn transport(&self) -> &T {
        &self.transport
    }

    /// Reads what is there and says what is known.
    pub fn listen(&mut self, now: Nanos) -> Knock {
        let mut room = [0; 1024];
        match self.transport.read(&mut room) {
            Received::Bytes(count) => {
                self.bytes.extend_from_slice(room.get(..count).unwrap_or_default());
            }
            Received::Nothing if now >= self.deadline => return Knock::Gone,
            Received::Nothing => {}
            Received::Closed(_) => return Knock::Gone,
        }
        knock(&self.bytes)
    }

    /// Ends the connection without a word.
    pub fn turn_away(mut self) {
        self.transport.close();
    }

    /// Goes on as a session's connection; what was read is its first input.
    pub fn into_connection(self, config: &SessionConfig) -> Connection<T> {
        Connection::with_bytes(self.transport, config, &self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fix::encode::Encoder;

    fn message(msg_type: &[u8]) -> Vec<u8> {
        let mut room = [0; 256];
        let mut encoder = Encoder::begin(&mut room, b"FIX.4.4", msg_type);
        encoder.uint(34, 1).str(49, "MAKER").str(56, "VENUE");
        let len = encoder.finish().unwrap();
        room[..len].to_vec()
    }

    #[test]
    fn a_logon_says_who_it_is() {
        let logon = message(b"A");
        let known =
            Knock::Logon { sender_comp_id: b"MAKER".to_vec(), target_comp_id: b"VENUE".to_vec() };
        assert_eq!(knock(&logon), known);
        for len in 0..logon.len() {
            assert_eq!(knock(&logon[..len]), Knock::Waiting, "{len} bytes");
        }
    }

    #[test]
    fn anything_else_is_turned_away() {
        assert_eq!(knock(&message(b"0")), Knock::Gone);
        assert_eq!(knock(b"GET / HTTP/1.1\r\n"), Knock::Gone);
    }

    #[test]
    fn a_logon_of_eight_kibibytes_is_heard_and_one_without_end_is_not() {
        let logon = |len: usize| {
            let mut room = vec![0; 16 * 1024];
            let mut encoder = Encoder::begin(&mut room, b"FIX.4.4", b"A");
            encoder.uint(34, 1).str(49, "MAKER").str(56, "VENUE").str(58, &"x".repeat(len));
            let len = encoder.finish().unwrap();
            room[..len].to_vec()
        };
        assert!(matches!(knock(&logon(8_000)), Knock::Logon { .. }));
        assert_eq!(knock(&logon(9_000)), Knock::Gone);
    }

    #[test]
    fn whoever_is_turned_away_is_disconnected() {
        let (ours, mut theirs) = crate::transport::pipe(1024);
        Visitor::new(ours, Nanos(10)).turn_away();
        assert!(matches!(theirs.read(&mut [0; 8]), Received::Closed(_)));
    }

    #[test]
    fn whoever_says_nothing_is_late() {
        let (ours, _theirs) = crate::transport::pipe(1024);
        let mut visitor = Visitor::new(ours, Nanos(10));
        assert_eq!(visitor.deadline(), Nanos(10));
        assert_eq!(visitor.listen(Nanos(9)), Knock::Waiting);
        assert_eq!(visitor.listen(Nanos(10)), Knock::Gone);
    }
}
