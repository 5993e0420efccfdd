//! Logon(A), both roles, at the beginning and within a session.
//!
//! Fed by the machine with the first message of a connection and by `inbound` with later Logons;
//! feeds the state. Cold. Deliberately absent: what a venue adds to its Logon, which is a
//! [`Dialect`](super::Dialect)'s business.

use super::config::{LogonFields, LogonParts, LogonVerdict, Role};
use super::gap::{Gap, Waiting};
use super::machine::{Core, Pending, Session, State, heart_bt_ns};
use super::resend::Resend;
use super::{CloseReason, SendError};
use crate::fix::message::Message;
use crate::fix::value::NumberText;
use crate::fix::{msg_type, tag};
use crate::store::Store;
use ballast_engine::units::Nanos;

impl<S: Store> Session<S> {
    /// Begins at 1 again, both ways, within the session: Logon(A) with ResetSeqNumFlag(141), which the
    /// counterparty answers with its own, before anything else. Both have agreed on it: what is under way
    /// is not asked for again, and what crosses the Logon ends the connection.
    ///
    /// # Errors
    /// Not logged on. Where the store refuses, the connection ends.
    pub fn reset_within(&mut self, now: Nanos) -> Result<(), SendError> {
        let core = &mut self.core;
        core.now = now;
        core.may_send()?;
        if core.reset_numbers().is_ok() {
            core.pending.push(Pending::SequenceReset { next_target: 1 });
            core.state = State::LogonSent { since: now };
            core.send_logon(true);
        }
        Ok(())
    }
}

impl<S: Store> Core<S> {
    /// Both numbers become 1; `Err` where the store refused and the connection ends.
    pub(super) fn reset_numbers(&mut self) -> Result<(), CloseReason> {
        self.held.clear();
        self.gap = None;
        self.filled_to = 0;
        self.resend = None;
        self.is_reset_owed = self.store.reset(self.now).is_err();
        if self.is_reset_owed {
            self.close_with(CloseReason::StoreFailed);
            return Err(CloseReason::StoreFailed);
        }
        Ok(())
    }

    /// An initiator's first message.
    pub(super) fn send_first_logon(&mut self) {
        let is_reset = self.config.reset_on_logon;
        if !is_reset || self.reset_numbers().is_ok() {
            self.send_logon(is_reset);
        }
    }

    /// Sends Logon, its body ascending by tag.
    fn send_logon(&mut self, is_reset: bool) {
        let sending_time = self.out.clock.write(self.now).to_vec();
        let parts = LogonParts {
            msg_seq_num: self.store.next_sender(),
            sending_time: &sending_time,
            sender_comp_id: &self.config.sender_comp_id,
            target_comp_id: &self.config.target_comp_id,
            now: self.now,
        };
        let mut added = LogonFields::default();
        self.config.dialect.decorate_logon(parts, &mut added);
        added.add(tag::ENCRYPT_METHOD, b"0");
        let seconds = NumberText::uint(self.heart_bt_ns / 1_000_000_000);
        added.add(tag::HEART_BT_INT, seconds.as_bytes());
        if is_reset {
            added.add(tag::RESET_SEQ_NUM_FLAG, b"Y");
        }
        if self.config.has_next_expected {
            let next = NumberText::uint(self.store.next_target());
            added.add(tag::NEXT_EXPECTED_MSG_SEQ_NUM, next.as_bytes());
        }
        let mut fields = added.fields;
        fields.sort_by_key(|(tag, _)| *tag);
        self.write_admin(msg_type::LOGON, &[], |encoder| {
            for (tag, value) in &fields {
                encoder.bytes(*tag, value);
            }
        });
    }

    /// What a Logon must be before anything of it counts; its number where it is.
    fn sound_logon(&mut self, message: &Message<'_>) -> Option<u64> {
        let is_ours = message.msg_type() == msg_type::LOGON
            && message.begin_string() == self.config.begin_string.as_bytes()
            && self.is_for_us(message)
            && message.sending_time().is_ok_and(|sent| self.is_timely(sent))
            && message.uint(tag::HEART_BT_INT).is_ok()
            && self.validate(message).is_ok();
        message.msg_seq_num().ok().filter(|_| is_ours)
    }

    /// The first message that an acceptor hears. Whoever does not know how to log on is not told.
    pub(super) fn on_first_message(&mut self, message: Message<'_>) {
        let Some(number) = self.sound_logon(&message) else {
            self.close_with(CloseReason::LogonInvalid);
            return;
        };
        self.last_received = self.now;
        if let LogonVerdict::Refuse(text) = self.config.dialect.judge_logon(&message) {
            self.send_logout(Some(&text));
            self.close_with(CloseReason::LogonInvalid);
            return;
        }
        let Some(is_new_period) = self.enter_period() else {
            self.send_logout(Some("Logon attempt not within session time"));
            self.close_with(CloseReason::OutOfSession);
            return;
        };
        let is_reset_asked = asks_for_reset(&message);
        let is_reset = is_reset_asked || self.config.reset_on_logon || is_new_period;
        if is_reset && self.reset_numbers().is_err() {
            return;
        }
        if number < self.store.next_target() {
            self.log_out_too_low(number);
            return;
        }
        let Ok(resend) = self.next_expected(&message) else { return };
        self.heart_bt_ns = heart_bt_ns(message.uint(tag::HEART_BT_INT).unwrap_or(0));
        self.state = State::Active;
        self.pending.push(Pending::LoggedOn { is_reset });
        if number == self.store.next_target() {
            self.count_as_received();
        }
        self.send_logon(is_reset_asked);
        self.settle_logon(&message, number, resend);
    }

    /// An acceptor's Logon is within the session's time: the period that is on is entered. Whether the
    /// numbers are older than it; `None` outside.
    fn enter_period(&mut self) -> Option<bool> {
        let Some(schedule) = &self.config.schedule else { return Some(false) };
        self.period = schedule.period(self.now).filter(|period| period.holds(self.now));
        self.period.map(|period| self.store.created_at() < period.opens)
    }

    /// The first message that an initiator hears after its Logon.
    pub(super) fn on_logon_answer(&mut self, message: Message<'_>) {
        match message.msg_type() {
            msg_type::LOGON => {}
            msg_type::LOGOUT | msg_type::REJECT => {
                if message.msg_seq_num() == Ok(self.store.next_target()) {
                    self.count_as_received();
                }
                self.pending.push(if message.msg_type() == msg_type::LOGOUT {
                    Pending::LogoutReceived
                } else {
                    Pending::Rejected
                });
                self.close_with(CloseReason::LogonRefused);
                return;
            }
            _ => {
                self.close_with(CloseReason::LogonRefused);
                return;
            }
        }
        let Some(number) = self.sound_logon(&message) else {
            self.close_with(CloseReason::LogonInvalid);
            return;
        };
        self.last_received = self.now;
        let is_reset = self.config.reset_on_logon;
        let is_fresh = self.store.next_target() == 1 && self.store.next_sender() == 2;
        if asks_for_reset(&message) && !is_reset && !is_fresh {
            self.send_logout(Some("ResetSeqNumFlag(141) was not asked for"));
            self.close_with(CloseReason::ResetUnasked);
            return;
        }
        if number < self.store.next_target() {
            self.log_out_too_low(number);
            return;
        }
        let Ok(resend) = self.next_expected(&message) else { return };
        self.state = State::Active;
        self.pending.push(Pending::LoggedOn { is_reset });
        if number == self.store.next_target() {
            self.count_as_received();
        }
        self.settle_logon(&message, number, resend);
    }

    /// What NextExpectedMsgSeqNum(789) wants resent; `Err` where it cannot be, and the connection
    /// ends.
    fn next_expected(&mut self, message: &Message<'_>) -> Result<Option<Resend>, CloseReason> {
        if !self.config.has_next_expected {
            return Ok(None);
        }
        let Ok(wanted) = message.uint(tag::NEXT_EXPECTED_MSG_SEQ_NUM) else { return Ok(None) };
        let next = self.store.next_sender();
        if wanted > next {
            let text =
                format!("NextExpectedMsgSeqNum too high, expecting {next} but received {wanted}");
            self.send_logout(Some(&text));
            self.close_with(CloseReason::NextExpectedTooHigh);
            return Err(CloseReason::NextExpectedTooHigh);
        }
        Ok((wanted < next).then_some(Resend { next: wanted.max(1), end: next.saturating_sub(1) }))
    }

    /// After a Logon: resends what the counterparty misses, asks for what we miss.
    fn settle_logon(&mut self, message: &Message<'_>, number: u64, resend: Option<Resend>) {
        if let Some(resend) = resend {
            self.begin_resend(resend);
        }
        let expected = self.store.next_target();
        if number < expected || self.state != State::Active {
            return;
        }
        self.hold(number, Waiting::Done);
        let will_resend =
            self.config.has_next_expected && message.get(tag::NEXT_EXPECTED_MSG_SEQ_NUM).is_some();
        if will_resend {
            // The counterparty read our NextExpectedMsgSeqNum(789) and resends unasked; should it
            // not, the stalled gap is asked for.
            self.pending
                .push(Pending::GapDetected { from: expected, to: number.saturating_sub(1) });
            self.gap = Some(Gap { high: number, asked_to: u64::MAX, since: self.now });
        } else {
            self.note_gap(number);
        }
    }

    /// A Logon of a counterparty that is logged on: a reset of both numbers, or a second Logon
    /// that changes nothing.
    pub(super) fn on_logon_within_session(&mut self, message: &Message<'_>, number: u64) {
        let is_acceptor = self.config.role == Role::Acceptor;
        let is_reset_asked = asks_for_reset(message);
        let is_reset = is_reset_asked || (is_acceptor && self.config.reset_on_logon);
        // A duplicate asked when it was new.
        if is_reset && !message.is_poss_dup() {
            // Our Logout is out: with new numbers neither side would know its answer.
            if self.state != State::Active {
                return;
            }
            if let Err(fault) = self.validate(message) {
                self.reject(message, number, fault);
                return;
            }
            if self.reset_numbers().is_err() {
                return;
            }
            if number == self.store.next_target() {
                self.count_as_received();
            }
            self.take_heart_bt(message);
            self.send_logon(is_reset_asked);
            let next_target = self.store.next_target();
            self.pending.push(Pending::SequenceReset { next_target });
            if number >= next_target {
                self.hold(number, Waiting::Done);
                self.note_gap(number);
            }
            return;
        }
        let is_next = number == self.store.next_target();
        self.on_sequenced(message, number);
        if is_next && is_acceptor && !message.is_poss_dup() && self.state == State::Active {
            self.take_heart_bt(message);
            self.send_logon(false);
        }
    }

    /// An acceptor keeps the counterparty's HeartBtInt(108), the last that it said.
    fn take_heart_bt(&mut self, message: &Message<'_>) {
        if let (Role::Acceptor, Ok(seconds)) = (self.config.role, message.uint(tag::HEART_BT_INT)) {
            self.heart_bt_ns = heart_bt_ns(seconds);
        }
    }
}

/// ResetSeqNumFlag(141) is `Y`.
fn asks_for_reset(message: &Message<'_>) -> bool {
    message.get(tag::RESET_SEQ_NUM_FLAG) == Some(b"Y")
}
