//! The state machine: states, deadlines, and the order in which outputs come out.
//!
//! Fed with bytes and time by a [`Connection`](super::Connection); feeds it with outputs. One
//! thread. The work on single messages is in the files beside this one. Deliberately absent: a
//! socket and a clock.
//!
//! Outputs come in this order: an event, then bytes to send (a resend comes in pieces), then the
//! next message that waited for a gap to close, then the end of the connection.

use super::config::{Role, SessionConfig};
use super::gap::{Gap, Held, Waiting};
use super::outbound::Outbound;
use super::resend::Resend;
use super::schedule::Period;
use super::{CloseReason, Event, Output};
use crate::fix::decode::Decoder;
use crate::fix::frame::{Frame, frame};
use crate::fix::message::Message;
use crate::store::Store;
use ballast_engine::units::Nanos;

/// Where a session is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// No connection.
    Disconnected,
    /// Connected, an acceptor: the counterparty's Logon must come.
    AwaitingLogon {
        /// Since when.
        since: Nanos,
    },
    /// Connected, an initiator: our Logon is out.
    LogonSent {
        /// Since when.
        since: Nanos,
    },
    /// Logged on.
    Active,
    /// Our Logout is out, the answer is not here.
    LogoutSent {
        /// Since when.
        since: Nanos,
    },
    /// The connection is to be closed; nothing that still arrives counts.
    Closing,
}

/// What happened so far, for telemetry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Whole messages that arrived.
    pub messages_in: u64,
    /// Messages that went out, resent ones included.
    pub messages_out: u64,
    /// Bytes that were no message and were skipped.
    pub garbled: u64,
    /// Reject(3) and BusinessMessageReject(j) that we sent.
    pub rejects_out: u64,
    /// Reject(3) that we received.
    pub rejects_in: u64,
    /// Messages that were resent to the counterparty, gap fills included.
    pub resent: u64,
    /// ResendRequests that we sent.
    pub resend_requests_out: u64,
    /// Messages above a gap that found no room and were asked for again.
    pub held_dropped: u64,
}

/// An event that waits to be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pending {
    LoggedOn { is_reset: bool },
    Message,
    Rejected,
    Refused,
    LogoutReceived,
    GapDetected { from: u64, to: u64 },
    PassedOver { from: u64, to: u64 },
    SequenceReset { next_target: u64 },
}

/// Most events that one message can cause.
const PENDING_MAX: usize = 4;

/// Events that wait, first in first out.
#[derive(Debug, Default)]
pub(super) struct PendingEvents {
    events: [Option<Pending>; PENDING_MAX],
}

impl PendingEvents {
    pub(super) fn push(&mut self, event: Pending) {
        let room = self.events.iter_mut().find(|slot| slot.is_none());
        debug_assert!(room.is_some(), "a message causes at most {PENDING_MAX} events");
        if let Some(slot) = room {
            *slot = Some(event);
        }
    }

    fn pop(&mut self) -> Option<Pending> {
        let event = self.events.first_mut()?.take()?;
        self.events.rotate_left(1);
        Some(event)
    }

    fn is_empty(&self) -> bool {
        self.events.iter().all(Option::is_none)
    }
}

/// A FIX session, either role, over any transport.
///
/// After every call that takes `&mut self`, ask [`Self::poll_output`] until it answers `None`.
pub struct Session<S: Store> {
    pub(super) core: Core<S>,
    decoder: Decoder,
    /// The message that is being processed, and delivered from.
    current: Vec<u8>,
}

/// Everything but the message in hand.
pub(super) struct Core<S> {
    pub(super) config: SessionConfig,
    pub(super) store: S,
    pub(super) state: State,
    pub(super) out: Outbound,
    pub(super) pending: PendingEvents,
    pub(super) close: Option<CloseReason>,
    pub(super) held: Held,
    pub(super) gap: Option<Gap>,
    /// A gap fill said that nothing below this is to come; what is held below it comes first.
    pub(super) filled_to: u64,
    /// The message in hand waited for a gap to close: its time was judged when it came.
    pub(super) was_held: bool,
    pub(super) resend: Option<Resend>,
    /// HeartBtInt(108) in force, ns; 0 for none.
    pub(super) heart_bt_ns: u64,
    pub(super) last_received: Nanos,
    pub(super) last_sent: Nanos,
    /// Our TestRequest is unanswered.
    pub(super) is_test_request_out: bool,
    /// The reset at the end of the last connection failed and must be made up for.
    pub(super) is_reset_owed: bool,
    /// An acceptor with a schedule: the period that its counterparty logged on in.
    pub(super) period: Option<Period>,
    pub(super) counters: Counters,
    pub(super) now: Nanos,
}

impl<S: Store> Session<S> {
    /// A session that is not connected. Allocates all it needs.
    pub fn new(config: SessionConfig, store: S) -> Self {
        let held = Held::new(config.held_max, config.held_bytes_max);
        Session {
            decoder: Decoder::new(config.fields_max),
            current: Vec::with_capacity(config.message_len_max),
            core: Core {
                out: Outbound::new(config.out_bytes_max, config.sending_time),
                heart_bt_ns: heart_bt_ns(u64::from(config.heart_bt_int_s)),
                config,
                store,
                state: State::Disconnected,
                pending: PendingEvents::default(),
                close: None,
                held,
                gap: None,
                filled_to: 0,
                was_held: false,
                resend: None,
                last_received: Nanos(0),
                last_sent: Nanos(0),
                is_test_request_out: false,
                is_reset_owed: false,
                period: None,
                counters: Counters::default(),
                now: Nanos(0),
            },
        }
    }

    /// A connection stands. An initiator logs on; an acceptor waits for the Logon.
    pub fn on_connected(&mut self, now: Nanos) {
        self.core.on_connected(now);
    }

    /// Takes at most one message from the front of `input` and says how many bytes it used: 0 where
    /// the message is not whole yet, or outputs are still to be asked for. Drain the outputs, then
    /// call again with the rest.
    pub fn on_bytes(&mut self, now: Nanos, input: &[u8]) -> usize {
        self.core.now = now;
        if !self.core.pending.is_empty() || self.core.has_next_held() {
            return 0;
        }
        match self.core.state {
            // Nothing that comes now counts: it must not block the transport either.
            State::Disconnected | State::Closing => return input.len(),
            State::AwaitingLogon { .. }
            | State::LogonSent { .. }
            | State::Active
            | State::LogoutSent { .. } => {}
        }
        match frame(input, self.core.config.message_len_max) {
            Frame::Incomplete => 0,
            Frame::Garbled { skip, .. } => {
                self.core.on_garbled();
                skip
            }
            Frame::Message { len } => {
                self.current.clear();
                self.current.extend_from_slice(input.get(..len).unwrap_or_default());
                self.process();
                len
            }
        }
    }

    /// Decodes and processes the current message.
    fn process(&mut self) {
        match self.decoder.decode(&self.current) {
            Ok(message) => self.core.on_message(message),
            Err(_) => self.core.on_garbled(),
        }
    }

    /// Time has reached [`Self::next_deadline`]; a call that comes early does nothing.
    pub fn on_deadline(&mut self, now: Nanos) {
        self.core.now = now;
        self.core.on_deadline();
    }

    /// A period of the schedule that opened at `opened` is on: where the numbers are older, both begin
    /// at 1. Asked before a connection; within one it does nothing.
    pub fn begin_period(&mut self, now: Nanos, opened: Nanos) {
        let core = &mut self.core;
        core.now = now;
        if core.state == State::Disconnected && core.store.created_at() < opened {
            // Failing now, it is made up for before the next Logon.
            core.is_reset_owed = core.store.reset(now).is_err();
        }
    }

    /// The connection is gone, whoever ended it. What was not handed out is dropped; it is in the
    /// store.
    pub fn on_disconnected(&mut self, now: Nanos) {
        self.core.now = now;
        self.core.on_disconnected();
    }

    /// The next thing to be done; `None` until the next input.
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        loop {
            if let Some(event) = self.core.pending.pop() {
                return self.deliver(event);
            }
            self.core.continue_resend();
            if self.core.out.has_bytes() {
                return Some(Output::Send(self.core.out.take()));
            }
            if let Some(waiting) = self.core.take_next_held() {
                match waiting {
                    Waiting::Frame(held) => {
                        self.current.clear();
                        self.current.extend_from_slice(&held);
                        self.core.was_held = true;
                        self.process();
                        self.core.was_held = false;
                    }
                    Waiting::Done => self.core.count_as_received(),
                }
                continue;
            }
            return self.core.close.take().map(Output::Close);
        }
    }

    /// The next bytes to be sent, where the application cannot hear anything now: its events wait.
    pub fn poll_bytes(&mut self) -> Option<&[u8]> {
        let out = &mut self.core.out;
        out.has_bytes().then(|| out.take())
    }

    fn deliver(&mut self, event: Pending) -> Option<Output<'_>> {
        let event = match event {
            Pending::LoggedOn { is_reset } => Event::LoggedOn { is_reset },
            Pending::GapDetected { from, to } => Event::GapDetected { from, to },
            Pending::PassedOver { from, to } => Event::PassedOver { from, to },
            Pending::SequenceReset { next_target } => Event::SequenceReset { next_target },
            Pending::Message => Event::Message(self.current()?),
            Pending::Rejected => Event::Rejected(self.current()?),
            Pending::Refused => Event::Refused(self.current()?),
            Pending::LogoutReceived => Event::LogoutReceived(self.current()?),
        };
        Some(Output::Deliver(event))
    }

    /// The message in hand, decoded again: its first decoding ended with [`Self::on_bytes`].
    fn current(&mut self) -> Option<Message<'_>> {
        let message = self.decoder.decode(&self.current);
        debug_assert!(message.is_ok(), "it was decoded before");
        message.ok()
    }

    /// When [`Self::on_deadline`] is wanted at the latest.
    pub fn next_deadline(&self) -> Option<Nanos> {
        self.core.next_deadline()
    }

    /// Why the connection is to end, where it is and could not be said yet.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.core.close
    }

    /// Where the session is in its life.
    pub fn state(&self) -> State {
        self.core.state
    }

    /// Application messages may go out.
    pub fn is_logged_on(&self) -> bool {
        self.core.state == State::Active
    }

    /// No message is missing that is known to be.
    pub fn is_synced(&self) -> bool {
        self.core.state == State::Active && self.core.gap.is_none()
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        let held_dropped = self.core.held.dropped;
        Counters { held_dropped, ..self.core.counters }
    }

    /// Messages that went out so far, resent ones included.
    pub fn messages_out(&self) -> u64 {
        self.core.counters.messages_out
    }

    /// The session's store, for re-delivery after a crash.
    pub fn store(&self) -> &S {
        &self.core.store
    }

    /// What the session was told.
    pub fn config(&self) -> &SessionConfig {
        &self.core.config
    }
}

/// HeartBtInt(108) in ns.
pub(super) fn heart_bt_ns(seconds: u64) -> u64 {
    seconds.saturating_mul(1_000_000_000)
}

impl<S: Store> Core<S> {
    fn on_connected(&mut self, now: Nanos) {
        debug_assert!(self.state == State::Disconnected, "one connection at a time");
        self.now = now;
        self.last_received = now;
        self.last_sent = now;
        self.forget_connection();
        // Numbers without a beginning could not be told from those of a store that was there before.
        let is_fresh = self.store.created_at() == Nanos(0)
            && (self.store.next_sender(), self.store.next_target()) == (1, 1);
        if (self.is_reset_owed || is_fresh) && self.reset_numbers().is_err() {
            return;
        }
        match self.config.role {
            Role::Acceptor => self.state = State::AwaitingLogon { since: now },
            Role::Initiator => {
                self.state = State::LogonSent { since: now };
                self.send_first_logon();
            }
        }
    }

    fn forget_connection(&mut self) {
        self.out.clear();
        self.pending = PendingEvents::default();
        self.close = None;
        self.held.clear();
        self.gap = None;
        self.filled_to = 0;
        self.resend = None;
        self.is_test_request_out = false;
        self.period = None;
    }

    fn on_disconnected(&mut self) {
        self.forget_connection();
        self.state = State::Disconnected;
        if self.config.reset_on_disconnect {
            self.is_reset_owed = self.store.reset(self.now).is_err();
        }
    }

    /// Bytes that were no message: skipped, without consuming a number. Where a Logon must come
    /// first, they end the connection.
    fn on_garbled(&mut self) {
        self.counters.garbled = self.counters.garbled.saturating_add(1);
        match self.state {
            State::AwaitingLogon { .. } => self.close_with(CloseReason::LogonInvalid),
            State::Disconnected
            | State::LogonSent { .. }
            | State::Active
            | State::LogoutSent { .. }
            | State::Closing => {}
        }
    }

    fn on_message(&mut self, message: Message<'_>) {
        self.counters.messages_in = self.counters.messages_in.saturating_add(1);
        match self.state {
            State::Disconnected | State::Closing => {}
            State::AwaitingLogon { .. } => self.on_first_message(message),
            State::LogonSent { .. } => self.on_logon_answer(message),
            State::Active | State::LogoutSent { .. } => self.on_session_message(message),
        }
    }

    /// Ends the connection once what is written is sent.
    pub(super) fn close_with(&mut self, reason: CloseReason) {
        if self.state != State::Closing {
            self.state = State::Closing;
            self.close = Some(reason);
            self.held.clear();
            self.gap = None;
            self.filled_to = 0;
            self.resend = None;
        }
    }

    fn has_next_held(&self) -> bool {
        self.held.has(self.store.next_target())
    }

    fn take_next_held(&mut self) -> Option<Waiting> {
        let expected = self.store.next_target();
        if expected < self.filled_to {
            let held = self.held.first_from(expected).filter(|held| *held < self.filled_to);
            let next = held.unwrap_or(self.filled_to);
            if next > expected {
                self.expect(next);
            }
        }
        self.held.take(self.store.next_target())
    }

    fn next_deadline(&self) -> Option<Nanos> {
        let config = &self.config;
        match self.state {
            State::Disconnected | State::Closing => None,
            State::AwaitingLogon { since } | State::LogonSent { since } => {
                Some(since.plus(config.logon_timeout_ns))
            }
            State::Active => {
                let stalled = self.gap.map(|gap| gap.since.plus(config.resend_timeout_ns));
                let closes = self.period.map(|period| period.closes);
                let due = [self.heartbeat_due(), self.silence_due(), stalled, closes];
                due.into_iter().flatten().min()
            }
            State::LogoutSent { since } => Some(since.plus(config.logout_timeout_ns)),
        }
    }

    /// When our Heartbeat is due. While our TestRequest is unanswered none is: the counterparty
    /// has something of ours to answer already.
    fn heartbeat_due(&self) -> Option<Nanos> {
        (self.heart_bt_ns > 0 && !self.is_test_request_out)
            .then(|| self.last_sent.plus(self.heart_bt_ns))
    }

    /// When the counterparty has been silent for too long: 1.2 × HeartBtInt for a TestRequest,
    /// 2.4 × for the end.
    fn silence_due(&self) -> Option<Nanos> {
        let tenths = if self.is_test_request_out { 24 } else { 12 };
        let patience = self.heart_bt_ns.saturating_mul(tenths) / 10;
        (self.heart_bt_ns > 0).then(|| self.last_received.plus(patience))
    }

    fn on_deadline(&mut self) {
        let is_due = |due: Option<Nanos>| due.is_some_and(|due| due <= self.now);
        if !is_due(self.next_deadline()) {
            return;
        }
        match self.state {
            State::Disconnected | State::Closing => {}
            State::AwaitingLogon { .. } | State::LogonSent { .. } => {
                self.close_with(CloseReason::LogonTimeout);
            }
            State::LogoutSent { .. } => self.close_with(CloseReason::LogoutTimeout),
            State::Active if self.period.is_some_and(|period| period.closes <= self.now) => {
                self.log_out(Some("end of session"));
            }
            State::Active => {
                let is_heartbeat_due = is_due(self.heartbeat_due());
                let is_silent = is_due(self.silence_due());
                if is_silent && self.is_test_request_out {
                    self.close_with(CloseReason::HeartbeatLost);
                    return;
                }
                if is_heartbeat_due {
                    self.send_heartbeat(None);
                }
                if is_silent {
                    self.is_test_request_out = true;
                    self.send_test_request();
                }
                self.ask_again_if_stalled();
            }
        }
    }
}
