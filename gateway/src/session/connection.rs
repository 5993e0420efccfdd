//! A session joined to a transport: bytes in, bytes out, bounded buffers both ways.
//!
//! A stage or endpoint calls [`Connection::turn`] from its thread whenever it likes (spinning) or
//! when the socket or the deadline says so. Back-pressure: while the counterparty does not read,
//! nothing is asked of the session and what arrives waits in the inbox (were it not read at all, two
//! sides that both write would wait for each other for ever); while the application is busy (it
//! answered [`ControlFlow::Break`]), nothing more is delivered. Deliberately absent: making
//! connections.

use super::config::SessionConfig;
use super::machine::{Session, State};
use super::{CloseReason, Event, Output};
use crate::store::Store;
use crate::transport::{Lost, Received, Transport, Written};
use ballast_engine::units::Nanos;
use std::ops::ControlFlow;

/// What a turn came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Nothing to do.
    Idle,
    /// Something was done, and there may be more.
    Busy,
    /// The connection is over; the session knows. Drop it.
    Ended(Ended),
}

/// Who ended a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The session, for this reason.
    Session(CloseReason),
    /// The counterparty or the network.
    Transport(Lost),
}

/// Smallest inbox: what one read may bring.
const INBOX_MIN: usize = 64 * 1024;

/// One connection of one session.
#[derive(Debug)]
pub struct Connection<T> {
    transport: T,
    inbox: Box<[u8]>,
    /// Received and not consumed: `begin..end` of `inbox`.
    begin: usize,
    end: usize,
    /// Handed out by the session and not taken by the transport; bounded by what it hands out at once.
    outbox: Vec<u8>,
    sent: usize,
    /// Nothing can be sent any more; what is still under way to us counts all the same.
    is_deaf: bool,
    /// Since when the session wants to end and cannot say so.
    closing_since: Option<Nanos>,
    /// Nothing will arrive any more.
    lost: Option<Lost>,
}

impl<T: Transport> Connection<T> {
    /// Joins a connected transport to a session that was told [`Session::on_connected`].
    pub fn new(transport: T, config: &SessionConfig) -> Self {
        Connection {
            transport,
            inbox: vec![0; config.message_len_max.saturating_mul(2).max(INBOX_MIN)]
                .into_boxed_slice(),
            begin: 0,
            end: 0,
            outbox: Vec::with_capacity(config.out_bytes_max),
            sent: 0,
            is_deaf: false,
            closing_since: None,
            lost: None,
        }
    }

    /// As [`Self::new`], with bytes that were read before.
    pub fn with_bytes(transport: T, config: &SessionConfig, bytes: &[u8]) -> Self {
        let mut connection = Connection::new(transport, config);
        let count = bytes.len().min(connection.inbox.len());
        if let (Some(room), Some(bytes)) = (connection.inbox.get_mut(..count), bytes.get(..count)) {
            room.copy_from_slice(bytes);
            connection.end = count;
        }
        connection
    }

    /// The transport, to wait on.
    pub fn transport(&self) -> &T {
        &self.transport
    }

    /// The transport, to cut or fragment it in a test.
    pub fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// Bytes wait for the counterparty to read.
    pub fn is_writing(&self) -> bool {
        self.sent < self.outbox.len()
    }

    /// Moves what can be moved: at most one read of the transport, and all messages in it. `on_event`
    /// breaks to be called again only in the next turn.
    pub fn turn<S: Store>(
        &mut self,
        session: &mut Session<S>,
        now: Nanos,
        mut on_event: impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Turn {
        let mut is_busy = false;
        let mut may_read = true;
        let mut has_looked = false;
        loop {
            self.flush();
            if self.is_writing() {
                return self.blocked(session, now, is_busy);
            }
            match session.poll_output() {
                Some(Output::Send(bytes)) => self.write(bytes),
                Some(Output::Deliver(event)) => {
                    if on_event(event).is_break() {
                        keep_time(session, now);
                        return Turn::Busy;
                    }
                }
                Some(Output::Close(reason)) => {
                    self.transport.close();
                    session.on_disconnected(now);
                    return Turn::Ended(Ended::Session(reason));
                }
                None => {
                    let waiting = self.inbox.get(self.begin..self.end).unwrap_or_default();
                    let used = if waiting.is_empty() { 0 } else { session.on_bytes(now, waiting) };
                    self.begin = self.begin.saturating_add(used);
                    if used == 0 {
                        if may_read && self.read() {
                            may_read = false;
                        } else if !std::mem::replace(&mut has_looked, true)
                            && self.lost.is_none()
                            && keep_time(session, now)
                        {
                            // Only now: what came may be what was waited for. Its outputs are next.
                        } else if let Some(lost) = self.lost {
                            session.on_disconnected(now);
                            return Turn::Ended(Ended::Transport(lost));
                        } else {
                            return if is_busy { Turn::Busy } else { Turn::Idle };
                        }
                    }
                }
            }
            is_busy = true;
        }
    }

    /// Hands the transport what the session has to say; nothing is read or delivered.
    pub fn write_out<S: Store>(&mut self, session: &mut Session<S>) {
        loop {
            self.flush();
            if self.is_writing() {
                return;
            }
            let Some(bytes) = session.poll_bytes() else { return };
            self.write(bytes);
        }
    }

    /// The counterparty does not read. A session that wants to end gives it the logout timeout.
    fn blocked<S: Store>(&mut self, session: &mut Session<S>, now: Nanos, is_busy: bool) -> Turn {
        let is_busy = self.read() || is_busy;
        let is_busy = keep_time(session, now) || is_busy;
        if session.state() == State::Closing {
            let since = *self.closing_since.get_or_insert(now);
            if since.plus(session.config().logout_timeout_ns) <= now {
                self.outbox.clear();
                self.sent = 0;
                self.is_deaf = true;
            }
        }
        if is_busy { Turn::Busy } else { Turn::Idle }
    }

    /// Reads once; whether something came.
    fn read(&mut self) -> bool {
        if self.lost.is_some() {
            return false;
        }
        if self.begin > 0 {
            self.inbox.copy_within(self.begin..self.end, 0);
            self.end = self.end.saturating_sub(self.begin);
            self.begin = 0;
        }
        let Some(room) = self.inbox.get_mut(self.end..).filter(|room| !room.is_empty()) else {
            return false;
        };
        match self.transport.read(room) {
            Received::Bytes(count) => {
                self.end = self.end.saturating_add(count);
                true
            }
            Received::Nothing => false,
            Received::Closed(lost) => {
                self.lost = Some(lost);
                false
            }
        }
    }

    /// Writes straight from the session's buffer; what the transport does not take waits here.
    fn write(&mut self, bytes: &[u8]) {
        debug_assert!(!self.is_writing(), "the session is asked only when nothing waits");
        let mut rest = bytes;
        while !rest.is_empty() && !self.is_deaf {
            match self.transport.write(rest) {
                Written::Bytes(count) => rest = rest.get(count..).unwrap_or_default(),
                Written::Full => {
                    self.outbox.clear();
                    self.outbox.extend_from_slice(rest);
                    self.sent = 0;
                    return;
                }
                Written::Closed(_) => self.is_deaf = true,
            }
        }
    }

    fn flush(&mut self) {
        while let Some(rest) = self.outbox.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.transport.write(rest) {
                Written::Bytes(count) => self.sent = self.sent.saturating_add(count),
                Written::Full => return,
                Written::Closed(_) => {
                    self.is_deaf = true;
                    self.sent = self.outbox.len();
                }
            }
        }
    }
}

/// Tells the session where its time has come.
fn keep_time<S: Store>(session: &mut Session<S>, now: Nanos) -> bool {
    let is_due = session.next_deadline().is_some_and(|due| due <= now);
    if is_due {
        session.on_deadline(now);
    }
    is_due
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fix::encode::Encoder;
    use crate::session::Role;
    use crate::store::MemoryStore;
    use crate::transport::{PipeEnd, pipe};

    const NOW: Nanos = Nanos(1_700_000_000_000_000_000);

    /// Messages of the initiator, the first of them its Logon.
    fn messages(types: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (msg_type, number) in types.iter().zip(1..) {
            let mut room = [0; 512];
            let mut encoder = Encoder::begin(&mut room, b"FIX.4.4", msg_type);
            encoder.uint(34, number).str(49, "US").str(52, "20231114-22:13:20.000");
            encoder.str(56, "THEM").str(98, "0").uint(108, 0).str(112, &"x".repeat(200));
            let len = encoder.finish().unwrap();
            bytes.extend_from_slice(&room[..len]);
        }
        bytes
    }

    struct Acceptor {
        session: Session<MemoryStore>,
        connection: Connection<PipeEnd>,
        heard: usize,
    }

    impl Acceptor {
        /// Behind a pipe that holds `capacity` bytes each way.
        fn new(capacity: usize) -> (Acceptor, PipeEnd) {
            let config = SessionConfig {
                message_len_max: 1_024,
                ..SessionConfig::new(Role::Acceptor, "THEM", "US")
            };
            let mut session = Session::new(config, MemoryStore::new());
            session.on_connected(NOW);
            let (ours, theirs) = pipe(capacity);
            let connection = Connection::new(ours, session.config());
            (Acceptor { session, connection, heard: 0 }, theirs)
        }

        fn turn(&mut self, now: Nanos) -> Turn {
            let heard = &mut self.heard;
            self.connection.turn(&mut self.session, now, |event| {
                *heard += usize::from(matches!(event, Event::Message(_)));
                ControlFlow::Continue(())
            })
        }

        /// Takes all of `bytes` in, in the pieces that the pipe holds: what arrives is read also
        /// while nothing can be written.
        fn hear(&mut self, now: Nanos, them: &mut PipeEnd, bytes: &[u8]) {
            let mut rest = bytes;
            while !rest.is_empty() {
                let Written::Bytes(count) = them.write(rest) else { panic!("{rest:?}") };
                rest = &rest[count..];
                self.turn(now);
            }
        }
    }

    fn read_all(end: &mut PipeEnd) -> usize {
        let mut room = [0; 4_096];
        let mut all = 0;
        while let Received::Bytes(count) = end.read(&mut room) {
            all += count;
        }
        all
    }

    #[test]
    fn a_turn_reads_once_and_as_much_as_there_is() {
        let (mut us, mut them) = Acceptor::new(1 << 20);
        let mut types = vec![&b"A"[..]];
        types.resize(101, b"D");
        them.write(&messages(&types));
        us.connection.transport_mut().fragment(7, 64);
        us.turn(NOW);
        assert!(them.pending() == 0 && us.heard == 0, "a piece of the Logon is all that came");
        us.connection.transport_mut().fragment(7, usize::MAX);
        assert_eq!(us.turn(NOW), Turn::Busy);
        assert_eq!(us.heard, 100);
        assert_eq!(us.turn(NOW), Turn::Idle);
    }

    #[test]
    fn while_the_counterparty_does_not_read_nothing_more_is_delivered() {
        let (mut us, mut them) = Acceptor::new(50);
        us.hear(NOW, &mut them, &messages(&[b"A", b"D", b"D"]));
        assert!(us.connection.is_writing(), "our Logon is longer than what the pipe holds");
        assert_eq!((us.heard, us.turn(NOW)), (0, Turn::Idle));
        them.write(b"8=FIX.4.4");
        assert_eq!(us.turn(NOW), Turn::Busy, "something was read");
        let mut read = 0;
        for _ in 0..20 {
            read += read_all(&mut them);
            us.turn(NOW);
        }
        assert!(!us.connection.is_writing() && read > 50);
        assert_eq!(us.heard, 2);
    }

    #[test]
    fn a_session_that_wants_to_end_waits_for_a_reader_as_long_as_for_a_logout() {
        let (mut us, mut them) = Acceptor::new(50);
        us.hear(NOW, &mut them, &messages(&[b"A"]));
        // Logged on, it waits for as long as it takes.
        let later = NOW.plus(60_000_000_000);
        us.turn(later);
        us.turn(later);
        assert!(us.connection.is_writing());
        while us.connection.is_writing() {
            read_all(&mut them);
            us.turn(later);
        }
        read_all(&mut them);
        // A number that was used before ends the session, which cannot say so.
        us.hear(later, &mut them, &messages(&[b"1"]));
        assert_eq!(us.session.state(), State::Closing);
        assert_eq!(us.session.close_reason(), Some(CloseReason::MsgSeqNumTooLow));
        let patience = us.session.config().logout_timeout_ns;
        us.turn(later.plus(patience - 1));
        assert!(us.connection.is_writing());
        us.turn(later.plus(patience));
        let ended = us.turn(later.plus(patience));
        assert_eq!(ended, Turn::Ended(Ended::Session(CloseReason::MsgSeqNumTooLow)));
    }

    #[test]
    fn what_the_session_has_to_say_goes_out_and_nothing_is_heard_meanwhile() {
        let (mut us, mut them) = Acceptor::new(1 << 20);
        let all = messages(&[b"A", b"D"]);
        let (logon, order) = all.split_at(messages(&[b"A"]).len());
        us.hear(NOW, &mut them, logon);
        read_all(&mut them);
        us.session.send(NOW, b"D", |encoder| _ = encoder.str(11, "1")).unwrap();
        them.write(order);
        us.connection.write_out(&mut us.session);
        let mut room = [0; 512];
        let Received::Bytes(count) = them.read(&mut room) else { panic!("nothing went out") };
        let said = room[..count].windows(6).any(|bytes| bytes == b"\x0111=1\x01");
        assert!(said && us.heard == 0);
        us.turn(NOW);
        assert_eq!(us.heard, 1);
    }
}
