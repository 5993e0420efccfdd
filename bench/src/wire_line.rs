//! One FIX session of the bench's venue over its socket, as the acceptor, and how long it is waited for.
//!
//! Used by `wire_venue`. The session is the gateway's own; what differs from its `Connection` is that bytes can
//! be made ready before they are written, and counted as whole messages before they are read. On the near
//! core. Deliberately absent: a second connection of the same client.

use crate::loopback::write_all;
use crate::wire_ticks::whole_pairs;
use ballast_engine::clock::{Clock, Counter};
use ballast_engine::units::{Nanos, Stamp};
use ballast_gateway::fix::encode::Encoder;
use ballast_gateway::fix::message::Message;
use ballast_gateway::fix::timestamp::Precision;
use ballast_gateway::session::{Event, Output, Role, Session, SessionConfig};
use ballast_gateway::store::MemoryStore;
use std::io::{ErrorKind, Read};
use std::net::{Shutdown, TcpListener, TcpStream};

/// Room for what comes at once.
const INBOX_LEN: usize = 1 << 14;

/// When a wait is over.
#[derive(Clone, Copy)]
pub struct Deadline {
    counter: Counter,
    from: Stamp,
    within_ns: u64,
}

impl Deadline {
    /// So long from now.
    pub fn new(counter: Counter, within_ns: u64) -> Deadline {
        Deadline { counter, from: counter.stamp(), within_ns }
    }

    /// Has it passed?
    pub fn is_over(self) -> bool {
        self.counter.nanos_between(self.from, self.counter.stamp()) > self.within_ns
    }
}

/// One session and its connection.
pub struct Line {
    session: Session<MemoryStore>,
    stream: TcpStream,
    inbox: Box<[u8]>,
    /// Bytes of the inbox that were received and not taken in.
    have: usize,
    is_over: bool,
}

impl Line {
    /// Waits for the client at a door that does not block; its Logon is still to come.
    pub fn accepted(
        door: &TcpListener,
        comp_id: &str,
        mut clock: Clock,
        until: Deadline,
    ) -> Result<Line, String> {
        let stream = loop {
            match door.accept() {
                Ok((stream, _)) => break stream,
                Err(error) if error.kind() != ErrorKind::WouldBlock => {
                    return Err(format!("{comp_id}: {error}"));
                }
                Err(_) if until.is_over() => return Err(format!("{comp_id}: nobody connected")),
                Err(_) => std::thread::yield_now(),
            }
        };
        let prepared = stream.set_nodelay(true).and_then(|()| stream.set_nonblocking(true));
        prepared.map_err(|error| format!("{comp_id}: {error}"))?;
        let mut config = SessionConfig::new(Role::Acceptor, comp_id, "BALLAST");
        config.sending_time = Precision::Micros;
        let mut session = Session::new(config, MemoryStore::new());
        session.on_connected(clock.now());
        let inbox = vec![0; INBOX_LEN].into_boxed_slice();
        Ok(Line { session, stream, inbox, have: 0, is_over: false })
    }

    /// Application messages may go out.
    pub fn is_logged_on(&self) -> bool {
        self.session.is_logged_on()
    }

    /// The client has logged out, or is gone.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// How it stands, for people.
    pub fn standing(&self) -> String {
        let state = self.session.state();
        format!("{state:?} after {} messages in", self.session.counters().messages_in)
    }

    /// Makes a message ready: numbered, timed, stored.
    pub fn send(
        &mut self,
        now: Nanos,
        msg_type: &[u8],
        body: impl FnOnce(&mut Encoder<'_>),
    ) -> Result<(), String> {
        self.session.send(now, msg_type, body).map(|_| ()).map_err(|error| error.to_string())
    }

    /// Writes what is ready: how many bytes.
    pub fn write_out(&mut self) -> Result<usize, String> {
        let Some(bytes) = self.session.poll_bytes() else { return Ok(0) };
        write_all(&mut self.stream, bytes).map_err(|error| error.to_string())?;
        Ok(bytes.len())
    }

    /// Reads until two whole messages are there, and takes in none: their length together, or `None` where
    /// they did not come in time.
    pub fn read_pair(&mut self, until: Deadline) -> Result<Option<usize>, String> {
        loop {
            if self.read()? {
                let (bytes, pairs) = whole_pairs(&self.inbox[..self.have]);
                if pairs > 0 {
                    return Ok(Some(bytes));
                }
            } else if self.is_over || until.is_over() {
                return Ok(None);
            }
        }
    }

    /// Takes in all that lies ready, answers what is the session's own to answer, keeps its time.
    pub fn hear(
        &mut self,
        now: Nanos,
        mut on_message: impl FnMut(&Message<'_>),
    ) -> Result<(), String> {
        if self.is_over {
            return Ok(());
        }
        self.read()?;
        self.session.on_deadline(now);
        let mut taken = 0;
        loop {
            while let Some(output) = self.session.poll_output() {
                match output {
                    Output::Send(bytes) => {
                        write_all(&mut self.stream, bytes).map_err(|error| error.to_string())?;
                    }
                    Output::Deliver(Event::Message(message)) => on_message(&message),
                    Output::Deliver(Event::LoggedOn { .. } | Event::LogoutReceived(_)) => {}
                    // Of a client that is right none comes; of one that is not, the figures are of no use.
                    Output::Deliver(other) => return Err(format!("the live system: {other:?}")),
                    Output::Close(_) => {
                        self.is_over = true;
                        let _ = self.stream.shutdown(Shutdown::Write);
                    }
                }
            }
            let used = self.session.on_bytes(now, &self.inbox[taken..self.have]);
            if used == 0 {
                break;
            }
            taken += used;
        }
        self.inbox.copy_within(taken..self.have, 0);
        self.have -= taken;
        Ok(())
    }

    /// One read; whether it brought anything.
    fn read(&mut self) -> Result<bool, String> {
        match self.stream.read(&mut self.inbox[self.have..]) {
            Ok(0) => {
                self.is_over = true;
                Ok(false)
            }
            Ok(count) => {
                self.have += count;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }
}
