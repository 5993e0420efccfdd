//! What goes out: the header of every message, application messages, and the buffer in which they
//! wait to be handed out.
//!
//! Fed by the application through [`Session::send`] and by the session's own answers; feeds the
//! transport. A message is in the store before it can be handed out. Hot: an application message
//! is written once, in place, without allocation. Deliberately absent: resends, which use no new
//! numbers (`resend.rs`).

use super::machine::{Core, Session, State};
use super::{CloseReason, SendError};
use crate::fix::encode::{EncodeError, Encoder};
use crate::fix::timestamp::{Precision, TimestampText};
use crate::fix::{msg_type, tag};
use crate::store::Store;
use ballast_engine::units::Nanos;

/// Messages that wait to be handed out.
#[derive(Debug)]
pub(super) struct Outbound {
    buffer: Box<[u8]>,
    len: usize,
    /// The first `len` bytes were handed out; the next message begins at 0 again.
    is_taken: bool,
    /// SendingTime(52), whose seconds are kept from one message to the next.
    pub clock: TimestampText,
}

impl Outbound {
    pub(super) fn new(bytes: usize, precision: Precision) -> Self {
        Outbound {
            buffer: vec![0; bytes].into_boxed_slice(),
            len: 0,
            is_taken: false,
            clock: TimestampText::new(precision),
        }
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
        self.is_taken = false;
    }

    fn begin(&mut self) {
        if self.is_taken {
            self.clear();
        }
    }

    pub(super) fn has_bytes(&self) -> bool {
        self.len > 0 && !self.is_taken
    }

    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        if self.is_taken { 0 } else { self.len }
    }

    /// Hands out all that waits.
    pub(super) fn take(&mut self) -> &[u8] {
        self.is_taken = true;
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// Room for the next message, and the clock.
    pub(super) fn room(&mut self) -> (&mut [u8], &mut TimestampText) {
        self.begin();
        (self.buffer.get_mut(self.len..).unwrap_or_default(), &mut self.clock)
    }

    /// The message of `len` bytes that was written into [`Self::room`], not counted yet.
    fn written(&self, len: usize) -> &[u8] {
        self.buffer.get(self.len..self.len.saturating_add(len)).unwrap_or_default()
    }

    /// Counts what was written into [`Self::room`].
    pub(super) fn accept(&mut self, len: usize) {
        self.len = self.len.saturating_add(len).min(self.buffer.len());
    }
}

/// What a prepared message must be stamped with.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// MsgSeqNum(34).
    pub msg_seq_num: u64,
    /// SendingTime(52), as text.
    pub sending_time: &'a TimestampText,
    /// LastMsgSeqNumProcessed(369), for a venue that wants it.
    pub last_processed: u64,
}

/// The header's own fields, ascending by tag; others are merged in between.
const OWN_FIELDS: [u32; 7] = [
    tag::MSG_SEQ_NUM,
    tag::SENDER_COMP_ID,
    tag::SENDER_SUB_ID,
    tag::SENDING_TIME,
    tag::TARGET_COMP_ID,
    tag::TARGET_SUB_ID,
    tag::LAST_MSG_SEQ_NUM_PROCESSED,
];

impl<S: Store> Session<S> {
    /// Sends an application message: `body` writes what follows the header. The MsgSeqNum(34) it
    /// went under is the answer.
    ///
    /// # Errors
    /// Nothing was sent and no number used.
    pub fn send(
        &mut self,
        now: Nanos,
        msg_type: &[u8],
        body: impl FnOnce(&mut Encoder<'_>),
    ) -> Result<u64, SendError> {
        self.send_with_header(now, msg_type, &[], body)
    }

    /// As [`Self::send`], with further header fields (OnBehalfOfCompID(115), PossResend(97), …),
    /// ascending by tag.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_with_header(
        &mut self,
        now: Nanos,
        msg_type: &[u8],
        header: &[(u32, &[u8])],
        body: impl FnOnce(&mut Encoder<'_>),
    ) -> Result<u64, SendError> {
        self.core.now = now;
        self.core.may_send()?;
        self.core.write(Kept::Whole, msg_type, header, body)
    }

    /// Sends an application message that the caller has prepared, whole and sealed, under the
    /// envelope it is given: the hot way, for templates.
    ///
    /// # Errors
    /// As [`Self::send`]; the caller's own error where `prepare` fails.
    pub fn send_prepared<'t, E: From<SendError>>(
        &mut self,
        now: Nanos,
        prepare: impl FnOnce(Envelope<'_>) -> Result<&'t [u8], E>,
    ) -> Result<u64, E> {
        let core = &mut self.core;
        core.now = now;
        core.may_send()?;
        let msg_seq_num = core.store.next_sender();
        let last_processed = core.store.next_target().saturating_sub(1);
        let sending_time = core.out.clock.at(now);
        let message = prepare(Envelope { msg_seq_num, sending_time, last_processed })?;
        let (room, _) = core.out.room();
        let Some(room) = room.get_mut(..message.len()) else { return Err(SendError::Full.into()) };
        room.copy_from_slice(message);
        core.store.put_outbound(message).map_err(SendError::Store)?;
        core.out.accept(message.len());
        core.note_sent();
        Ok(msg_seq_num)
    }

    /// Says Logout(5), with a reason for people, and waits for the answer. Where there is no
    /// logged-on session, nothing happens.
    pub fn logout(&mut self, now: Nanos, text: Option<&str>) {
        self.core.now = now;
        self.core.log_out(text);
    }
}

/// What a certification asks of a session beside its own doings: cold.
impl<S: Store> Session<S> {
    /// Sends an administrative message that the session would not send by itself: a TestRequest(1),
    /// a ResendRequest(2) or a Reject(3) of a script. Its number counts; its text is not kept.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_admin(
        &mut self,
        now: Nanos,
        msg_type: &[u8],
        body: impl FnOnce(&mut Encoder<'_>),
    ) -> Result<u64, SendError> {
        self.core.now = now;
        self.core.may_send()?;
        self.core.write(Kept::NumberOnly, msg_type, &[], body)
    }

    /// Leaves out the next `count` numbers, as if their messages were lost on the way: the
    /// counterparty will ask for them, and is answered with a gap fill.
    ///
    /// # Errors
    /// The store refused; fewer may have been left out.
    pub fn skip_numbers(&mut self, count: u64) -> Result<(), SendError> {
        for _ in 0..count {
            self.core.store.put_outbound_admin()?;
        }
        Ok(())
    }

    /// Whether the next Logon of an initiator begins at 1 again, with ResetSeqNumFlag(141).
    pub fn set_reset_on_logon(&mut self, is_reset: bool) {
        self.core.config.reset_on_logon = is_reset;
    }
}

/// What the store keeps of an outbound message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kept {
    /// The frame: an application message, which may be resent.
    Whole,
    /// The number: an administrative message, whose place a gap fill takes.
    NumberOnly,
}

impl<S: Store> Core<S> {
    pub(super) fn may_send(&self) -> Result<(), SendError> {
        if self.state == State::Active { Ok(()) } else { Err(SendError::NotLoggedOn) }
    }

    pub(super) fn note_sent(&mut self) {
        self.last_sent = self.now;
        self.counters.messages_out = self.counters.messages_out.saturating_add(1);
    }

    /// Writes a message under the next number, stores it, and lets it be handed out.
    pub(super) fn write(
        &mut self,
        kept: Kept,
        msg_type: &[u8],
        header: &[(u32, &[u8])],
        body: impl FnOnce(&mut Encoder<'_>),
    ) -> Result<u64, SendError> {
        let msg_seq_num = self.store.next_sender();
        let last_processed = self.store.next_target().saturating_sub(1);
        let (room, clock) = self.out.room();
        let mut encoder = Encoder::begin(room, self.config.begin_string.as_bytes(), msg_type);
        let mut extra = header.iter().peekable();
        for own in OWN_FIELDS {
            while let Some((tag, value)) = extra.next_if(|(tag, _)| *tag < own) {
                encoder.bytes(*tag, value);
            }
            match own {
                tag::MSG_SEQ_NUM => _ = encoder.uint(own, msg_seq_num),
                tag::SENDER_COMP_ID => {
                    encoder.str(own, &self.config.sender_comp_id);
                }
                tag::SENDING_TIME => _ = encoder.bytes(own, clock.write(self.now)),
                tag::TARGET_COMP_ID => {
                    encoder.str(own, &self.config.target_comp_id);
                }
                tag::SENDER_SUB_ID => optional(&mut encoder, own, &self.config.sender_sub_id),
                tag::TARGET_SUB_ID => optional(&mut encoder, own, &self.config.target_sub_id),
                _ if self.config.has_last_processed => _ = encoder.uint(own, last_processed),
                _ => {}
            }
        }
        for (tag, value) in extra {
            encoder.bytes(*tag, value);
        }
        body(&mut encoder);
        let len = encoder.finish().map_err(|error| match error {
            EncodeError::Overflow => SendError::Full,
            EncodeError::SeparatorInValue { .. } | EncodeError::EmptyValue { .. } => error.into(),
        })?;
        match kept {
            Kept::Whole => self.store.put_outbound(self.out.written(len))?,
            Kept::NumberOnly => self.store.put_outbound_admin()?,
        }
        self.out.accept(len);
        self.note_sent();
        Ok(msg_seq_num)
    }

    /// Writes an administrative message. Where that is not possible the connection ends: a session
    /// that cannot answer is none.
    pub(super) fn write_admin(
        &mut self,
        msg_type: &[u8],
        header: &[(u32, &[u8])],
        body: impl FnOnce(&mut Encoder<'_>),
    ) {
        match self.write(Kept::NumberOnly, msg_type, header, body) {
            Ok(_) => {}
            Err(SendError::Store(_)) => self.close_with(CloseReason::StoreFailed),
            Err(SendError::Full | SendError::NotLoggedOn | SendError::Encode(_)) => {
                self.close_with(CloseReason::OutboundFull);
            }
        }
    }

    pub(super) fn send_heartbeat(&mut self, test_req_id: Option<&[u8]>) {
        self.write_admin(msg_type::HEARTBEAT, &[], |encoder| {
            if let Some(test_req_id) = test_req_id {
                encoder.bytes(tag::TEST_REQ_ID, test_req_id);
            }
        });
    }

    pub(super) fn send_test_request(&mut self) {
        let test_req_id = std::mem::take(&mut self.config.test_req_id);
        self.write_admin(msg_type::TEST_REQUEST, &[], |encoder| {
            encoder.str(tag::TEST_REQ_ID, &test_req_id);
        });
        self.config.test_req_id = test_req_id;
    }

    pub(super) fn send_logout(&mut self, text: Option<&str>) {
        self.write_admin(msg_type::LOGOUT, &[], |encoder| {
            if let Some(text) = text {
                encoder.str(tag::TEXT, text);
            }
        });
    }

    pub(super) fn send_resend_request(&mut self, begin: u64, end: u64) {
        self.counters.resend_requests_out = self.counters.resend_requests_out.saturating_add(1);
        self.write_admin(msg_type::RESEND_REQUEST, &[], |encoder| {
            encoder.uint(tag::BEGIN_SEQ_NO, begin).uint(tag::END_SEQ_NO, end);
        });
    }
}

fn optional(encoder: &mut Encoder<'_>, tag: u32, value: &Option<String>) {
    if let Some(value) = value {
        encoder.str(tag, value);
    }
}
