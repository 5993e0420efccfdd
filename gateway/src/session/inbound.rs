//! One inbound message within a logged-on session: who sent it, when, under which number, and
//! whether it is next.
//!
//! Fed by the machine; feeds `admin`, `gap`, `reject` and, with application messages, the store and
//! then the application. Hot for application messages. Deliberately absent: Logon (`logon.rs`).
//!
//! In this order: BeginString; MsgSeqNum readable; comp ids and SendingTime; a Logout, a reset and a
//! ResendRequest are answered whatever their number; then the number decides. A message above
//! a gap is checked against the dictionary when its turn comes, so that a Reject always consumes
//! the number that is next.

use super::CloseReason;
use super::config::GapPolicy;
use super::gap::{Gap, Waiting};
use super::machine::{Core, Pending, State};
use super::reject::{fault, fault_of};
use crate::dictionary::validate::{RejectReason, Rejection};
use crate::fix::message::Message;
use crate::fix::{msg_type, tag};
use crate::store::{Store, StoreError};

/// What the header's own rules say.
enum Header {
    Fine,
    /// Reject(3), and the session goes on.
    Faulty(Rejection<'static>),
    /// Reject(3), then Logout(5).
    Alien(Rejection<'static>),
}

impl<S: Store> Core<S> {
    /// A message in a logged-on session.
    pub(super) fn on_session_message(&mut self, message: Message<'_>) {
        self.last_received = self.now;
        self.is_test_request_out = false;
        if message.begin_string() != self.config.begin_string.as_bytes() {
            self.log_out(Some("Incorrect BeginString"));
            return;
        }
        let Ok(number) = message.msg_seq_num() else {
            self.send_logout(Some("MsgSeqNum(34) missing or not a number"));
            self.close_with(CloseReason::MsgSeqNumMissing);
            return;
        };
        match self.judge_header(&message) {
            Header::Fine => {}
            // With validation on, the dictionary says the same in its own order of precedence.
            Header::Faulty(fault) => {
                let fault = self.validate(&message).err().unwrap_or(fault);
                self.reject(&message, number, fault);
                return;
            }
            // Whatever it said: the connection ends, and the application hears of that.
            Header::Alien(fault) => {
                self.consume(&message, number);
                self.send_reject(&message, fault);
                self.log_out(None);
                return;
            }
        }
        match message.msg_type() {
            msg_type::LOGOUT => self.on_logout(&message, number),
            msg_type::LOGON => self.on_logon_within_session(&message, number),
            msg_type::SEQUENCE_RESET if !is_gap_fill(&message) => {
                self.on_sequence_reset(&message, number);
            }
            msg_type::RESEND_REQUEST => self.on_resend_request(&message, number),
            _ => self.on_sequenced(&message, number),
        }
    }

    /// A message whose number decides.
    pub(super) fn on_sequenced(&mut self, message: &Message<'_>, number: u64) {
        let expected = self.store.next_target();
        if number > expected {
            self.hold(number, Waiting::Frame(message.as_bytes().to_vec()));
            self.note_gap(number);
            // The venue will not say this again either: it is heard before the end.
            if self.close == Some(CloseReason::GapNotRecoverable)
                && is_for_application(message.msg_type())
                && self.validate(message).is_ok()
            {
                self.expect(number);
                self.on_next(message, number);
            }
        } else if number < expected {
            self.on_too_low(message, number);
        } else if let Err(fault) = self.validate(message) {
            self.reject(message, number, fault);
        } else {
            self.on_next(message, number);
        }
    }

    /// The message that was expected, and in order.
    fn on_next(&mut self, message: &Message<'_>, number: u64) {
        match message.msg_type() {
            msg_type::HEARTBEAT | msg_type::LOGON => self.count_as_received(),
            msg_type::TEST_REQUEST => {
                self.count_as_received();
                self.send_heartbeat(message.get(tag::TEST_REQ_ID).filter(|id| !id.is_empty()));
            }
            msg_type::SEQUENCE_RESET => self.on_gap_fill(message, number),
            msg_type::REJECT => {
                self.counters.rejects_in = self.counters.rejects_in.saturating_add(1);
                let stored = self.store.put_inbound(message.as_bytes());
                self.or_close(stored);
                self.note_progress();
                self.pending.push(Pending::Rejected);
            }
            _ => {
                let stored = self.store.put_inbound(message.as_bytes());
                if self.or_close(stored) {
                    self.note_progress();
                    self.pending.push(Pending::Message);
                }
            }
        }
    }

    /// A number that was used before: a duplicate, or a counterparty that lost count.
    fn on_too_low(&mut self, message: &Message<'_>, number: u64) {
        if !message.is_poss_dup() {
            self.log_out_too_low(number);
            return;
        }
        if message.msg_type() == msg_type::SEQUENCE_RESET {
            return;
        }
        match (message.orig_sending_time(), message.sending_time()) {
            (Ok(None), _) => {
                let fault = fault_of(RejectReason::RequiredTagMissing, tag::ORIG_SENDING_TIME);
                self.send_reject(message, fault);
            }
            (Ok(Some(original)), Ok(sent)) if original > sent => {
                self.send_reject(message, accuracy_problem());
                self.log_out(None);
            }
            (Ok(Some(_)), Ok(_)) => {}
            (Err(_), _) => {
                let fault = fault_of(RejectReason::IncorrectDataFormat, tag::ORIG_SENDING_TIME);
                self.send_reject(message, fault);
            }
            // The header was judged before: SendingTime can be read.
            (Ok(Some(_)), Err(_)) => {}
        }
    }

    pub(super) fn log_out_too_low(&mut self, number: u64) {
        let expected = self.store.next_target();
        let text = format!("MsgSeqNum too low, expecting {expected} but received {number}");
        self.send_logout(Some(&text));
        self.close_with(CloseReason::MsgSeqNumTooLow);
    }

    /// The header's rules that hold with and without a dictionary.
    fn judge_header(&self, message: &Message<'_>) -> Header {
        for tag in [tag::SENDER_COMP_ID, tag::TARGET_COMP_ID, tag::SENDING_TIME] {
            match message.get(tag) {
                None => return Header::Faulty(fault_of(RejectReason::RequiredTagMissing, tag)),
                Some([]) => return Header::Faulty(fault_of(RejectReason::TagWithoutValue, tag)),
                Some(_) => {}
            }
        }
        let Ok(sent) = message.sending_time() else {
            let fault = fault_of(RejectReason::IncorrectDataFormat, tag::SENDING_TIME);
            return Header::Faulty(fault);
        };
        if !self.is_for_us(message) {
            return Header::Alien(fault(RejectReason::CompIdProblem));
        }
        // What waits for a gap to close grows old here, and was timely when it came.
        if !self.was_held && !self.is_timely(sent) {
            return Header::Alien(accuracy_problem());
        }
        Header::Fine
    }

    /// The comp ids are this session's, seen from the other side.
    pub(super) fn is_for_us(&self, message: &Message<'_>) -> bool {
        message.sender_comp_id() == self.config.target_comp_id.as_bytes()
            && message.target_comp_id() == self.config.sender_comp_id.as_bytes()
    }

    /// SendingTime(52) is near our clock.
    pub(super) fn is_timely(&self, sent: ballast_engine::units::Nanos) -> bool {
        let apart = sent.since(self.now).max(self.now.since(sent));
        self.config.latency_max_ns.is_none_or(|most| apart <= most)
    }

    /// Asks the dictionary, where there is one.
    pub(super) fn validate<'m>(&mut self, message: &Message<'m>) -> Result<(), Rejection<'m>> {
        self.config.validation.as_mut().map_or(Ok(()), |rules| rules.check(message))
    }

    /// Sends Reject(3); where the message was the next one, its number is consumed, and the application
    /// hears that it lost something.
    pub(super) fn reject(&mut self, message: &Message<'_>, number: u64, fault: Rejection<'_>) {
        if self.consume(message, number) && is_for_application(message.msg_type()) {
            self.pending.push(Pending::Refused);
        }
        self.send_reject(message, fault);
    }

    /// The number counts as received where it was the next one; whether it was. That of a
    /// SequenceReset-Reset never counts: the counterparty goes on under it.
    fn consume(&mut self, message: &Message<'_>, number: u64) -> bool {
        let is_reset = message.msg_type() == msg_type::SEQUENCE_RESET && !is_gap_fill(message);
        let is_next = number == self.store.next_target() && !is_reset;
        if is_next {
            self.count_as_received();
        }
        is_next
    }

    /// Says Logout(5) where logged on, and waits for the answer.
    pub(super) fn log_out(&mut self, text: Option<&str>) {
        if self.state == State::Active {
            self.send_logout(text);
            if self.state == State::Active {
                self.state = State::LogoutSent { since: self.now };
            }
        }
    }

    /// The expected number counts as received.
    pub(super) fn count_as_received(&mut self) {
        let next = self.store.next_target().saturating_add(1);
        self.expect(next);
    }

    /// All numbers below `next` count as received.
    pub(super) fn expect(&mut self, next: u64) {
        let stored = self.store.set_next_target(next);
        if self.or_close(stored) {
            self.note_progress();
        }
    }

    /// Whether the store took it; where not, the connection ends: nothing may count as received
    /// that would not survive.
    pub(super) fn or_close(&mut self, stored: Result<(), StoreError>) -> bool {
        if stored.is_err() {
            self.close_with(CloseReason::StoreFailed);
        }
        stored.is_ok()
    }

    /// Keeps a message until the gap below it has closed.
    pub(super) fn hold(&mut self, number: u64, waiting: Waiting) {
        self.held.keep(number, waiting);
    }

    /// A number beyond the expected one has been seen: asks for what is missing, once.
    pub(super) fn note_gap(&mut self, number: u64) {
        if let Some(gap) = &mut self.gap {
            gap.high = gap.high.max(number);
            return;
        }
        let from = self.store.next_target();
        self.pending.push(Pending::GapDetected { from, to: number.saturating_sub(1) });
        self.gap = Some(Gap { high: number, asked_to: 0, since: self.now });
        self.ask_for_gap();
    }

    /// Asks for what is missing from the expected number on.
    pub(super) fn ask_for_gap(&mut self) {
        let Some(gap) = self.gap else { return };
        let begin = self.store.next_target();
        let (end, asked_to) = match self.config.gap_policy {
            // To infinity: messages that are under way now are covered as well.
            GapPolicy::RequestAll => (0, u64::MAX),
            GapPolicy::RequestChunks(chunk) => {
                let end = begin.saturating_add(chunk.max(1) - 1);
                (end, end)
            }
            GapPolicy::Disconnect => {
                self.send_logout(None);
                self.close_with(CloseReason::GapNotRecoverable);
                return;
            }
        };
        self.gap = Some(Gap { asked_to, since: self.now, ..gap });
        self.send_resend_request(begin, end);
    }

    /// The expected number moved: a gap may have closed, or the next chunk is due.
    fn note_progress(&mut self) {
        let Some(gap) = self.gap else { return };
        let expected = self.store.next_target();
        if expected > gap.high {
            self.gap = None;
            return;
        }
        self.gap = Some(Gap { since: self.now, ..gap });
        let is_filled = expected < self.filled_to;
        if expected > gap.asked_to && !is_filled && !self.held.has(expected) {
            self.ask_for_gap();
        }
    }

    /// A ResendRequest that brought nothing for too long is sent again: its answer may have been
    /// dropped for want of room.
    pub(super) fn ask_again_if_stalled(&mut self) {
        let is_stalled =
            self.gap.is_some_and(|gap| gap.since.plus(self.config.resend_timeout_ns) <= self.now);
        if is_stalled && self.state == State::Active {
            self.ask_for_gap();
        }
    }
}

/// The application hears messages of this type.
fn is_for_application(msg_type: &[u8]) -> bool {
    !matches!(
        msg_type,
        msg_type::HEARTBEAT
            | msg_type::TEST_REQUEST
            | msg_type::RESEND_REQUEST
            | msg_type::SEQUENCE_RESET
            | msg_type::LOGOUT
            | msg_type::LOGON
    )
}

fn accuracy_problem() -> Rejection<'static> {
    fault(RejectReason::SendingTimeAccuracy)
}

/// GapFillFlag(123) is `Y`.
fn is_gap_fill(message: &Message<'_>) -> bool {
    message.get(tag::GAP_FILL_FLAG) == Some(b"Y")
}
