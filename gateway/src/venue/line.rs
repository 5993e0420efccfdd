//! The line to a venue: one session kept up, connection after connection.
//!
//! Fed by a stage with time and by the transport with bytes; feeds the stage with the session's
//! events. The stage's thread. When a connection ends, the next is dialled after a pause that
//! doubles up to a bound; only a logon, not a TCP connect, sets the pause back. Deliberately absent:
//! what the events mean, and clocks.

use crate::session::{Connection, Ended, Event, Session, State, Turn};
use crate::store::Store;
use crate::transport::{Connecting, TcpConnect, TcpTransport, Transport};
use ballast_engine::units::Nanos;
use std::net::SocketAddr;
use std::ops::ControlFlow;

/// Makes connections, without waiting.
pub trait Dial: Send {
    /// What it makes.
    type Link: Transport + Send;
    /// Begins to connect, or looks how far it is.
    fn dial(&mut self, now: Nanos) -> Dialled<Self::Link>;
}

/// How far a connection is.
#[derive(Debug)]
pub enum Dialled<T> {
    /// There it is.
    Connected(T),
    /// Ask again.
    Pending,
    /// Nobody there: try again later.
    Failed,
}

/// Dials the addresses of one venue in turn.
#[derive(Debug)]
pub struct TcpDial {
    addresses: Vec<SocketAddr>,
    next: usize,
    pending: Option<TcpConnect>,
}

impl TcpDial {
    /// The first address is dialled first; each dial goes on to the next.
    pub fn new(addresses: Vec<SocketAddr>) -> TcpDial {
        TcpDial { addresses, next: 0, pending: None }
    }
}

impl Dial for TcpDial {
    type Link = TcpTransport;

    fn dial(&mut self, _now: Nanos) -> Dialled<TcpTransport> {
        let connect = match self.pending.take() {
            Some(connect) => connect,
            None => {
                let address = self.addresses.get(self.next % self.addresses.len().max(1));
                self.next = self.next.wrapping_add(1);
                match address.map(|address| TcpConnect::start(*address)) {
                    Some(Ok(connect)) => connect,
                    Some(Err(_)) | None => return Dialled::Failed,
                }
            }
        };
        match connect.poll() {
            Connecting::Connected(link) => Dialled::Connected(link),
            Connecting::Pending(connect) => {
                self.pending = Some(connect);
                Dialled::Pending
            }
            Connecting::Failed(_) => Dialled::Failed,
        }
    }
}

/// The pause before the next dial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Redial {
    /// After the first failure, in ns.
    pub pause_ns: u64,
    /// It doubles up to this, in ns.
    pub pause_max_ns: u64,
}

impl Default for Redial {
    /// 250 ms, up to 30 s.
    fn default() -> Redial {
        Redial { pause_ns: 250_000_000, pause_max_ns: 30_000_000_000 }
    }
}

/// What a turn of the line came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineTurn {
    /// Nothing to do.
    Idle,
    /// Something was done.
    Busy,
    /// The connection is over.
    Down(Ended),
}

/// One session and its connections.
pub struct Line<D: Dial, S: Store> {
    dial: D,
    session: Session<S>,
    connection: Option<Connection<D::Link>>,
    redial: Redial,
    pause_ns: u64,
    dial_at: Nanos,
    is_leaving: bool,
    drops: u64,
}

impl<D: Dial, S: Store> Line<D, S> {
    /// A line that is down and dials in its first turn.
    pub fn new(dial: D, session: Session<S>, redial: Redial) -> Line<D, S> {
        Line {
            dial,
            session,
            connection: None,
            redial,
            pause_ns: redial.pause_ns,
            dial_at: Nanos(0),
            is_leaving: false,
            drops: 0,
        }
    }

    /// The session, to send.
    pub fn session_mut(&mut self) -> &mut Session<S> {
        &mut self.session
    }

    /// The session, to look at.
    pub fn session(&self) -> &Session<S> {
        &self.session
    }

    /// Connections that ended so far.
    pub fn drops(&self) -> u64 {
        self.drops
    }

    /// The counterparty does not read: bytes wait.
    pub fn is_writing(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::is_writing)
    }

    /// Logs out and dials no more.
    pub fn leave(&mut self, now: Nanos) {
        if !self.is_leaving {
            self.is_leaving = true;
            self.session.logout(now, None);
        }
    }

    /// Left for good.
    pub fn is_left(&self) -> bool {
        self.is_leaving && self.connection.is_none()
    }

    /// Moves what can be moved. `on_event` breaks to be called again only in the next turn.
    pub fn turn(
        &mut self,
        now: Nanos,
        mut on_event: impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> LineTurn {
        let Some(connection) = &mut self.connection else { return self.dial(now) };
        let (redial, pause_ns) = (self.redial, &mut self.pause_ns);
        let turn = connection.turn(&mut self.session, now, |event| {
            if matches!(event, Event::LoggedOn { .. }) {
                *pause_ns = redial.pause_ns;
            }
            on_event(event)
        });
        match turn {
            Turn::Idle => {
                let may_log_out =
                    matches!(self.session.state(), State::Active | State::LogoutSent { .. });
                // Nobody is logged on and nobody will be: there is no Logout to wait for.
                if self.is_leaving && !may_log_out {
                    self.connection = None;
                    self.session.on_disconnected(now);
                }
                LineTurn::Idle
            }
            Turn::Busy => LineTurn::Busy,
            Turn::Ended(ended) => {
                self.connection = None;
                self.drops += 1;
                self.hang_up(now);
                LineTurn::Down(ended)
            }
        }
    }

    fn dial(&mut self, now: Nanos) -> LineTurn {
        if self.is_leaving || now < self.dial_at {
            return LineTurn::Idle;
        }
        match self.dial.dial(now) {
            Dialled::Connected(link) => {
                self.session.on_connected(now);
                self.connection = Some(Connection::new(link, self.session.config()));
                LineTurn::Busy
            }
            Dialled::Pending => LineTurn::Idle,
            Dialled::Failed => {
                self.hang_up(now);
                LineTurn::Idle
            }
        }
    }

    fn hang_up(&mut self, now: Nanos) {
        self.dial_at = now.plus(self.pause_ns);
        self.pause_ns = self.pause_ns.saturating_mul(2).min(self.redial.pause_max_ns);
    }
}
