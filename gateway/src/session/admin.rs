//! The administrative messages of a logged-on session that need more than an answer: Logout(5),
//! SequenceReset(4), ResendRequest(2).
//!
//! Fed by `inbound`; feeds `resend`, the store and the machine's state. Deliberately absent:
//! Heartbeat and TestRequest, which `inbound` answers itself, and Logon (`logon.rs`).

use super::CloseReason;
use super::gap::Waiting;
use super::machine::{Core, Pending, State};
use super::reject::{fault, fault_of};
use super::resend::Resend;
use crate::dictionary::validate::RejectReason;
use crate::fix::message::Message;
use crate::fix::tag;
use crate::store::Store;

impl<S: Store> Core<S> {
    /// A Logout is answered whatever its number: whoever leaves is not asked for anything. What
    /// was missing is missing still at the next Logon, and asked for then.
    pub(super) fn on_logout(&mut self, message: &Message<'_>, number: u64) {
        let _ = message;
        if number == self.store.next_target() {
            self.count_as_received();
        }
        match self.state {
            State::Active => self.send_logout(None),
            State::LogoutSent { .. }
            | State::Disconnected
            | State::AwaitingLogon { .. }
            | State::LogonSent { .. }
            | State::Closing => {}
        }
        self.pending.push(Pending::LogoutReceived);
        self.close_with(CloseReason::LogoutComplete);
        if self.config.reset_on_logout {
            // Failing now, it is made up for before the next Logon.
            self.is_reset_owed = self.store.reset(self.now).is_err();
        }
    }

    /// SequenceReset-Reset: its own number does not count, and it never goes back.
    pub(super) fn on_sequence_reset(&mut self, message: &Message<'_>, number: u64) {
        if let Err(fault) = self.validate(message) {
            self.reject(message, number, fault);
            return;
        }
        let expected = self.store.next_target();
        match message.uint(tag::NEW_SEQ_NO) {
            Ok(next) if next > expected => {
                // From there on the numbers are used again, for other messages.
                self.held.forget_from(next);
                self.gap = None;
                self.pass_over(expected, next);
                self.pending.push(Pending::SequenceReset { next_target: next });
            }
            Ok(next) if next == expected => {}
            Ok(_) => {
                let fault = fault(RejectReason::ValueIncorrect);
                self.send_reject(message, fault);
            }
            Err(_) => {
                let fault = fault_of(RejectReason::RequiredTagMissing, tag::NEW_SEQ_NO);
                self.send_reject(message, fault);
            }
        }
    }

    /// SequenceReset-GapFill under the expected number.
    pub(super) fn on_gap_fill(&mut self, message: &Message<'_>, number: u64) {
        match message.uint(tag::NEW_SEQ_NO) {
            Ok(next) if next > number => {
                // A fill of its own number alone, with nothing missing, is a message that says nothing.
                let to = next.saturating_sub(1);
                if self.gap.is_some() || to > number {
                    self.pending.push(Pending::PassedOver { from: number, to });
                }
                self.pass_over(number, next);
            }
            Ok(_) => {
                let fault = fault_of(RejectReason::ValueIncorrect, tag::NEW_SEQ_NO);
                self.reject(message, number, fault);
            }
            Err(_) => {
                let fault = fault_of(RejectReason::RequiredTagMissing, tag::NEW_SEQ_NO);
                self.reject(message, number, fault);
            }
        }
    }

    /// Nothing below `next` is to come. What came above the gap was sent, whatever the counterparty does
    /// not resend: a report that we hold is not lost to a fill or a reset that passes over it.
    fn pass_over(&mut self, from: u64, next: u64) {
        let held = self.held.first_from(from).filter(|held| *held < next);
        self.filled_to = if held.is_some() { next } else { 0 };
        self.expect(held.unwrap_or(next));
    }

    /// A ResendRequest is answered at once whatever its number: were it to wait for a gap of ours to
    /// close while the counterparty waits for one of its own, neither would. A gap below it is asked
    /// for after the answer has begun.
    pub(super) fn on_resend_request(&mut self, message: &Message<'_>, number: u64) {
        let expected = self.store.next_target();
        if let Err(fault) = self.validate(message) {
            self.reject(message, number, fault);
            return;
        }
        let range = (message.uint(tag::BEGIN_SEQ_NO), message.uint(tag::END_SEQ_NO));
        let (Ok(begin), Ok(end)) = range else {
            let missing = if range.0.is_err() { tag::BEGIN_SEQ_NO } else { tag::END_SEQ_NO };
            self.reject(message, number, fault_of(RejectReason::RequiredTagMissing, missing));
            return;
        };
        let last_sent = self.store.next_sender().saturating_sub(1);
        let end = if end == 0 { last_sent } else { end.min(last_sent) };
        let begin = begin.max(1);
        if begin > end {
            self.reject(message, number, fault_of(RejectReason::ValueIncorrect, tag::BEGIN_SEQ_NO));
            return;
        }
        self.begin_resend(Resend { next: begin, end });
        if number > expected {
            self.hold(number, Waiting::Done);
            self.note_gap(number);
        } else if number == expected {
            self.count_as_received();
        }
    }
}
