//! The line to a venue: one session kept up, connection after connection.
//!
//! Fed by a stage with time and by the transport with bytes; feeds the stage with the session's
//! events. The stage's thread. When a connection ends, [`Reconnect`] says when and which host is dialled
//! next. News(B) goes to the session's [`Notices`], and where the venue means it so the session moves.
//! Where the session has a [`Schedule`](crate::session::Schedule), the line logs out at the end of a
//! period, does not dial outside, and lets both numbers begin at 1 in a new one; between boundaries that
//! costs a comparison a turn. Deliberately absent: what the events mean, and clocks.

use super::hosts::{Host, Hosts, Where, look_up};
use super::notice::{Notices, OnNews};
use crate::fix::msg_type;
use crate::session::{
    CloseReason, Connection, Ended, Event, Period, Reconnect, ReconnectConfig, Session, State, Turn,
};
use crate::store::Store;
use crate::transport::{Connecting, Cut, TcpConnect, TcpTransport, Transport};
use ballast_engine::units::Nanos;
use std::net::SocketAddr;
use std::ops::ControlFlow;

/// Makes connections, without waiting.
pub trait Dial: Send {
    /// What it makes.
    type Link: Transport + Send;
    /// How many hosts there are to choose from; at least 1.
    fn hosts(&self) -> usize {
        1
    }
    /// The next connection goes to this one of them.
    fn choose(&mut self, _host: usize) {}
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

/// How long a connection may take to be made, in ns: what is dropped on the way is not waited for as long as
/// the system would.
const CONNECT_NS: u64 = 10_000_000_000;

/// Dials the hosts of one venue.
#[derive(Debug)]
pub struct TcpDial {
    hosts: Hosts,
    host: usize,
    pending: Option<(TcpConnect, Nanos)>,
    cut: Cut,
}

impl TcpDial {
    /// The first address is dialled until another is chosen.
    pub fn new(addresses: Vec<SocketAddr>) -> TcpDial {
        TcpDial::to(addresses.into_iter().map(Host::from).collect())
    }

    /// The first host is dialled until another is chosen; where it is, is asked anew each time.
    pub fn to(hosts: Vec<Host>) -> TcpDial {
        let hosts = Hosts::new(hosts, look_up);
        TcpDial { hosts, host: 0, pending: None, cut: Cut::default() }
    }

    /// Every connection can be ended through `cut`, from any thread.
    pub fn with_cut(self, cut: &Cut) -> TcpDial {
        TcpDial { cut: cut.clone(), ..self }
    }
}

impl Dial for TcpDial {
    type Link = TcpTransport;

    fn hosts(&self) -> usize {
        self.hosts.count().max(1)
    }

    fn choose(&mut self, host: usize) {
        self.host = host;
    }

    fn dial(&mut self, now: Nanos) -> Dialled<TcpTransport> {
        let (connect, since) = match self.pending.take() {
            Some(pending) => pending,
            None => match self.hosts.find(now, self.host) {
                Where::Pending => return Dialled::Pending,
                Where::Nowhere => return Dialled::Failed,
                Where::At(address) => match TcpConnect::start(address) {
                    Ok(connect) => (connect, now),
                    Err(_) => return Dialled::Failed,
                },
            },
        };
        match connect.poll() {
            Connecting::Connected(link) => {
                self.cut.hold(&link);
                Dialled::Connected(link)
            }
            Connecting::Pending(_) if now.since(since) >= CONNECT_NS => Dialled::Failed,
            Connecting::Pending(connect) => {
                self.pending = Some((connect, since));
                Dialled::Pending
            }
            Connecting::Failed(_) => Dialled::Failed,
        }
    }
}

/// A session does not move more often: a notice is repeated, and may be said by the next host too.
const MOVE_AGAIN_NS: u64 = 60_000_000_000;

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
    reconnect: Reconnect,
    /// The period of the schedule that is on or comes next, and when to ask for another; `None` without
    /// a schedule.
    period: Option<Period>,
    ask_schedule_at: Nanos,
    /// The connection in hand is to be given up: its period is over, or the venue asked us to move.
    is_parting: bool,
    /// When the session last moved because of News(B).
    moved_at: Option<Nanos>,
    notices: Notices,
    is_leaving: bool,
    drops: u64,
}

impl<D: Dial, S: Store> Line<D, S> {
    /// A line that is down and dials in its first turn.
    pub fn new(dial: D, session: Session<S>, reconnect: ReconnectConfig) -> Line<D, S> {
        let config = session.config();
        let never = Nanos(u64::MAX);
        let names = config.sender_comp_id.bytes().chain(config.target_comp_id.bytes());
        // FNV-1a: every session has pauses of its own, the same in each simulation.
        let seed = names.fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Line {
            reconnect: Reconnect::new(reconnect, dial.hosts(), seed),
            period: None,
            ask_schedule_at: config.schedule.as_ref().map_or(never, |_| Nanos(0)),
            is_parting: false,
            moved_at: None,
            notices: config.notices.clone(),
            dial,
            session,
            connection: None,
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
        if now >= self.ask_schedule_at {
            self.keep_schedule(now);
        }
        let Some(connection) = &mut self.connection else { return self.dial(now) };
        let reconnect = &mut self.reconnect;
        let notices = &self.notices;
        let mut has_news = false;
        let turn = connection.turn(&mut self.session, now, |event| {
            match &event {
                Event::LoggedOn { .. } => {
                    reconnect.on_logged_on(now);
                }
                Event::Message(news) if news.msg_type() == msg_type::NEWS => {
                    notices.post(news);
                    has_news = true;
                }
                Event::Message(_)
                | Event::Rejected(_)
                | Event::Refused(_)
                | Event::LogoutReceived(_)
                | Event::GapDetected { .. }
                | Event::PassedOver { .. }
                | Event::SequenceReset { .. } => {}
            }
            on_event(event)
        });
        if has_news {
            self.consider_moving(now);
        }
        self.part(now);
        match turn {
            Turn::Idle => self.stand_idle(now),
            Turn::Busy => LineTurn::Busy,
            Turn::Ended(ended) => {
                self.connection = None;
                self.drops += 1;
                // The venue need not be spared after an end that was agreed on.
                if !std::mem::take(&mut self.is_parting) {
                    self.reconnect.on_ended(now);
                }
                LineTurn::Down(ended)
            }
        }
    }

    /// Nothing moves: a connection that is to be given up and has no Logout to wait for is dropped.
    fn stand_idle(&mut self, now: Nanos) -> LineTurn {
        let may_log_out = matches!(self.session.state(), State::Active | State::LogoutSent { .. });
        if !(self.is_leaving || self.is_parting) || may_log_out {
            return LineTurn::Idle;
        }
        // Nobody is logged on and nobody will be, or nobody reads that the session is over.
        let reason = self.session.close_reason().unwrap_or(CloseReason::LogonTimeout);
        self.connection = None;
        self.drops += 1;
        self.is_parting = false;
        self.session.on_disconnected(now);
        LineTurn::Down(Ended::Session(reason))
    }

    /// A session that was to log out before its Logon was answered is logged on now: it logs out.
    fn part(&mut self, now: Nanos) {
        if (self.is_leaving || self.is_parting) && self.session.is_logged_on() {
            self.session.logout(now, None);
        }
    }

    /// News(B) came: where the venue means it so, the session logs out and dials again at once.
    fn consider_moving(&mut self, now: Nanos) {
        let is_due = self.moved_at.is_none_or(|at| now.since(at) >= MOVE_AGAIN_NS);
        if self.session.config().on_news == OnNews::Move && is_due {
            self.moved_at = Some(now);
            self.is_parting = true;
            self.session.logout(now, Some("moving: the venue announced maintenance"));
        }
    }

    fn dial(&mut self, now: Nanos) -> LineTurn {
        let is_open = self.period.is_none_or(|period| period.holds(now));
        if self.is_leaving || !is_open || now < self.reconnect.due() {
            return LineTurn::Idle;
        }
        self.reconnect.on_dialling();
        self.dial.choose(self.reconnect.host());
        match self.dial.dial(now) {
            Dialled::Connected(link) => {
                if let Some(period) = self.period {
                    self.session.begin_period(now, period.opens);
                }
                self.session.on_connected(now);
                self.connection = Some(Connection::new(link, self.session.config()));
                LineTurn::Busy
            }
            Dialled::Pending => LineTurn::Idle,
            Dialled::Failed => {
                self.reconnect.on_ended(now);
                LineTurn::Idle
            }
        }
    }

    /// Hands the socket what the session has to say; nothing is read, heard or dialled.
    pub fn write_out(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.write_out(&mut self.session);
        }
    }

    /// A boundary of the schedule: a period that is over ends its connection, and the next boundary is
    /// looked up. Cold: once a boundary.
    fn keep_schedule(&mut self, now: Nanos) {
        if self.period.is_some_and(|period| period.closes <= now) && self.connection.is_some() {
            self.is_parting = true;
            self.session.logout(now, Some("end of session"));
        }
        self.period = self.session.config().schedule.as_ref().and_then(|times| times.period(now));
        self.ask_schedule_at = self.period.map_or(Nanos(u64::MAX), |period| period.closes);
    }
}
