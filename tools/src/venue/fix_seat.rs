//! One client's place at the venue: its session, its connection while there is one, what it
//! subscribed and what it is still owed.
//!
//! Fed by `fix_face.rs`; feeds the session. The venue's thread. Deliberately absent: what other
//! sessions see, and the order in which things happen.

use super::fix_answers as answers;
use super::fix_market_data::{self as market_data, Entry, MarketRefusal, Subscription};
use super::fix_orders::{ClientNames, Listing, Refused};
use super::order::{Answer, Participant};
use ballast_engine::event::InstrumentId;
use ballast_engine::units::Nanos;
use ballast_gateway::fix::msg_type;
use ballast_gateway::fix::timestamp::Precision;
use ballast_gateway::session::{
    Connection, Counters, Credentials, Event, Role, Schedule, SendError, Session, SessionConfig,
    Turn as ConnectionTurn, Visitor,
};
use ballast_gateway::store::MemoryStore;
use ballast_gateway::transport::Transport;
use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// A client's session, by the venue's config.
#[derive(Clone)]
pub struct SeatConfig {
    /// The venue's SenderCompID(49): the client's target.
    pub sender_comp_id: String,
    /// The client's CompID.
    pub target_comp_id: String,
    /// The firm; sessions of one firm share orders and positions.
    pub participant: String,
    /// D, F, G, H and q are taken.
    pub has_orders: bool,
    /// V is taken.
    pub has_market_data: bool,
    /// The firm's orders are canceled when this connection ends.
    pub cancel_on_disconnect: bool,
    /// Username(553) and Password(554) that the Logon must carry.
    pub credentials: Option<(String, String)>,
    /// When a client may be logged on; `None` for always.
    pub schedule: Option<Schedule>,
}

/// One message that a seat is to be sent.
#[derive(Debug)]
pub enum Parcel {
    /// 8, 9 or r.
    Answer {
        /// When the exchange decided.
        at: Nanos,
        /// What.
        answer: Answer,
        /// OrdStatusReqID(790), or ClOrdID(11) and MassCancelRequestType(530) of a mass cancel.
        note: Option<(Vec<u8>, u8)>,
    },
    /// 8 or j that the exchange did not make.
    Refused {
        /// What and why.
        refused: Refused,
        /// The tape's time.
        at: Nanos,
        /// Makes its ExecID(17) unique.
        number: u64,
    },
    /// W or X.
    Market {
        /// MDReqID(262).
        md_req_id: Arc<[u8]>,
        /// Whose market.
        instrument: InstrumentId,
        /// The time that the entries carry.
        at: Nanos,
        /// W, or X.
        is_snapshot: bool,
        /// All entries.
        entries: Arc<[Entry]>,
        /// Those that are in this message.
        part: Range<usize>,
    },
    /// Y.
    MarketRefused(MarketRefusal),
}

/// What a seat may do and has done, to judge its messages by.
#[derive(Clone, Copy)]
pub struct Rights<'a> {
    /// What the config says of it.
    pub config: &'a SeatConfig,
    subscriptions: &'a [Subscription],
}

impl Rights<'_> {
    /// A MDReqID(262) is live.
    pub fn uses(&self, md_req_id: &[u8]) -> bool {
        self.subscriptions.iter().any(|known| *known.md_req_id == *md_req_id)
    }
}

/// One client's place.
pub struct Seat<C: Transport> {
    config: SeatConfig,
    participant: Participant,
    session: Session<MemoryStore>,
    connection: Option<Connection<C>>,
    subscriptions: Vec<Subscription>,
    backlog: Vec<Parcel>,
    statuses: VecDeque<Option<Vec<u8>>>,
    mass_cancels: VecDeque<Option<(Vec<u8>, u8)>>,
    lists: VecDeque<Vec<u8>>,
    last_sent_at: Nanos,
}

/// A session whose numbers begin at 1.
fn session(config: &SeatConfig) -> Session<MemoryStore> {
    let mut session =
        SessionConfig::new(Role::Acceptor, &config.sender_comp_id, &config.target_comp_id);
    session.sending_time = Precision::Micros;
    session.schedule.clone_from(&config.schedule);
    // Snapshots of whole books; a client that reads in bursts.
    session.out_bytes_max = 4 << 20;
    if let Some((username, password)) = &config.credentials {
        session.dialect = Box::new(Credentials::new(username, password));
    }
    Session::new(session, MemoryStore::new())
}

impl<C: Transport> Seat<C> {
    /// An empty seat.
    pub fn new(config: SeatConfig, participant: Participant) -> Seat<C> {
        Seat {
            session: session(&config),
            config,
            participant,
            connection: None,
            subscriptions: Vec::new(),
            backlog: Vec::new(),
            statuses: VecDeque::new(),
            mass_cancels: VecDeque::new(),
            lists: VecDeque::new(),
            last_sent_at: Nanos(0),
        }
    }

    /// What the config says of it.
    pub fn config(&self) -> &SeatConfig {
        &self.config
    }

    /// Whom it trades for.
    pub fn participant(&self) -> Participant {
        self.participant
    }

    /// The session's counters.
    pub fn counters(&self) -> Counters {
        self.session.counters()
    }

    /// The connection's transport, to wait on.
    pub fn transport(&self) -> Option<&C> {
        self.connection.as_ref().map(Connection::transport)
    }

    /// There is a connection.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Application messages can go out.
    pub fn is_logged_on(&self) -> bool {
        self.session.is_logged_on()
    }

    /// Nobody sits here, and these are its comp ids as the client writes them.
    pub fn is_free_for(&self, sender_comp_id: &[u8], target_comp_id: &[u8]) -> bool {
        self.connection.is_none()
            && self.config.target_comp_id.as_bytes() == sender_comp_id
            && self.config.sender_comp_id.as_bytes() == target_comp_id
    }

    /// Takes a connection whose Logon names this seat.
    pub fn sit_down(&mut self, now: Nanos, visitor: Visitor<C>) {
        self.session.on_connected(now);
        self.connection = Some(visitor.into_connection(self.session.config()));
    }

    /// Lets the connection read and write.
    pub fn turn(
        &mut self,
        now: Nanos,
        mut on_event: impl FnMut(Rights<'_>, Event<'_>) -> ControlFlow<()>,
    ) -> ConnectionTurn {
        let Seat { config, subscriptions, session, connection, .. } = self;
        let Some(connection) = connection else { return ConnectionTurn::Idle };
        let rights = Rights { config, subscriptions };
        connection.turn(session, now, |event| on_event(rights, event))
    }

    /// The connection is gone; true where the firm's orders go with it.
    pub fn stand_up(&mut self) -> bool {
        self.connection = None;
        self.subscriptions.clear();
        self.config.has_orders && self.config.cancel_on_disconnect
    }

    /// The venue's process dies and comes back: the connection is gone, and where it `forgets` the
    /// session's numbers begin at 1.
    pub fn restart(&mut self, now: Nanos, forgets: bool) {
        self.connection = None;
        self.subscriptions.clear();
        self.session.on_disconnected(now);
        if forgets {
            self.session = session(&self.config);
        }
    }

    /// Says Logout.
    pub fn log_out(&mut self, now: Nanos) {
        self.session.logout(now, None);
    }

    /// Keeps an answer until the client is back; market data is not kept.
    pub fn keep(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Answer { .. } | Parcel::Refused { .. } => self.backlog.push(parcel),
            Parcel::Market { .. } | Parcel::MarketRefused(_) => {}
        }
    }

    /// What was kept.
    pub fn take_backlog(&mut self) -> Vec<Parcel> {
        std::mem::take(&mut self.backlog)
    }

    /// The time of a request, but not before that of the seat's request before.
    pub fn in_order(&mut self, sent_at: Nanos) -> Nanos {
        self.last_sent_at = self.last_sent_at.max(sent_at);
        self.last_sent_at
    }

    /// Adds a subscription.
    pub fn subscribe(&mut self, subscription: Subscription) {
        self.subscriptions.retain(|known| known.instrument != subscription.instrument);
        self.subscriptions.push(subscription);
    }

    /// Ends the subscriptions of a request.
    pub fn unsubscribe(&mut self, md_req_id: &[u8]) {
        self.subscriptions.retain(|known| *known.md_req_id != *md_req_id);
    }

    /// What it wants of an instrument.
    pub fn subscription(&self, instrument: InstrumentId) -> Option<Subscription> {
        self.subscriptions.iter().find(|known| known.instrument == instrument).cloned()
    }

    /// What it is subscribed to.
    pub fn instruments(&self) -> impl Iterator<Item = InstrumentId> {
        self.subscriptions.iter().map(|subscription| subscription.instrument)
    }

    /// The next status report answers this OrdStatusReqID(790).
    pub fn await_status(&mut self, req_id: Option<Vec<u8>>) {
        self.statuses.push_back(req_id);
    }

    /// Which request a status report answers.
    pub fn take_status(&mut self) -> Option<Vec<u8>> {
        self.statuses.pop_front().flatten()
    }

    /// The next mass cancel answers this request; none: the venue's own.
    pub fn await_mass_cancel(&mut self, asked: Option<(Vec<u8>, u8)>) {
        self.mass_cancels.push_back(asked);
    }

    /// A mass cancel is on its way.
    pub fn awaits_mass_cancel(&self) -> bool {
        !self.mass_cancels.is_empty()
    }

    /// Which request a mass cancel answers.
    pub fn take_mass_cancel(&mut self) -> Option<(Vec<u8>, u8)> {
        self.mass_cancels.pop_front().flatten()
    }

    /// The next list of orders or holdings answers this request.
    pub fn await_list(&mut self, req_id: Vec<u8>) {
        self.lists.push_back(req_id);
    }

    /// A list is on its way.
    pub fn awaits_list(&self) -> bool {
        !self.lists.is_empty()
    }

    /// Which request an item of a list answers; behind the last item comes the next list.
    pub fn take_list(&mut self, is_last: bool) -> Option<Vec<u8>> {
        let req_id = self.lists.front().cloned();
        if is_last {
            self.lists.pop_front();
        }
        req_id
    }

    /// Sends one message.
    ///
    /// # Errors
    /// Nothing was sent.
    pub fn send(
        &mut self,
        now: Nanos,
        parcel: &Parcel,
        listing: &Listing,
        names: &ClientNames,
    ) -> Result<(), SendError> {
        let session = &mut self.session;
        match parcel {
            Parcel::Answer { at, answer: Answer::Execution(report), note } => {
                let note = note.as_ref().map(|(req_id, _)| req_id.as_slice());
                session.send(now, msg_type::EXECUTION_REPORT, |encoder| {
                    answers::write_execution(encoder, report, *at, listing, names, note);
                })
            }
            Parcel::Answer { at, answer: Answer::CancelReject(reject), .. } => {
                session.send(now, msg_type::ORDER_CANCEL_REJECT, |encoder| {
                    answers::write_cancel_reject(encoder, reject, *at, names);
                })
            }
            Parcel::Answer { at, answer: Answer::MassCanceled { affected }, note } => {
                let (cl_ord_id, scope) = (req_id(note), note.as_ref().map_or(b'7', |note| note.1));
                session.send(now, msg_type::ORDER_MASS_CANCEL_REPORT, |encoder| {
                    answers::write_mass_cancel(encoder, cl_ord_id, scope, *affected, *at);
                })
            }
            Parcel::Answer { at, answer: Answer::Listed { report, place }, note } => {
                let place = (*place, req_id(note));
                session.send(now, msg_type::EXECUTION_REPORT, |encoder| {
                    let report = report.as_ref();
                    answers::write_listed(encoder, report, place, *at, (listing, names));
                })
            }
            Parcel::Answer { at, answer: Answer::Position { instrument, lots, place }, note } => {
                let (held, place) = ((*instrument, *lots), (*place, req_id(note)));
                let of = (self.config.participant.as_str(), listing);
                session.send(now, msg_type::POSITION_REPORT, |encoder| {
                    answers::write_position(encoder, held, place, *at, of);
                })
            }
            Parcel::Refused { refused, at, number } => {
                session
                    .send(now, refused.msg_type(), |encoder| refused.write(encoder, *at, *number))
            }
            Parcel::Market { md_req_id, instrument, at, is_snapshot, entries, part } => {
                let msg_type = market_data::msg_type_of(*is_snapshot);
                let entries = entries.get(part.clone()).unwrap_or_default();
                session.send(now, msg_type, |encoder| {
                    let (id, at) = (*instrument, *at);
                    market_data::write(encoder, listing, id, md_req_id, at, *is_snapshot, entries);
                })
            }
            Parcel::MarketRefused(refusal) => {
                session.send(now, msg_type::MARKET_DATA_REQUEST_REJECT, |encoder| {
                    refusal.write(encoder);
                })
            }
        }
        .map(|_| ())
    }
}

/// Which request an item of a list answers.
fn req_id(note: &Option<(Vec<u8>, u8)>) -> &[u8] {
    note.as_ref().map_or(&b"NONE"[..], |(req_id, _)| req_id)
}
