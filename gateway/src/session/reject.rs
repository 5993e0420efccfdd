//! Reject(3) and BusinessMessageReject(j): saying what was wrong with a message.
//!
//! Fed by `inbound` and by the dictionary's validation; the application asks for business rejects.
//! Deliberately absent: the rules of the dictionary, which are behind [`Validate`].

use super::SendError;
use super::machine::{Core, Session};
use super::outbound::Kept;
use crate::fix::message::Message;
use crate::fix::{msg_type, tag};
use crate::store::Store;
use ballast_engine::units::Nanos;

/// SessionRejectReason(373).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RejectReason {
    /// 0: no such tag in this version of FIX.
    InvalidTagNumber,
    /// 1.
    RequiredTagMissing,
    /// 2: the tag exists, for other messages.
    TagNotDefinedForMsgType,
    /// 3.
    UndefinedTag,
    /// 4.
    TagWithoutValue,
    /// 5.
    ValueIncorrect,
    /// 6.
    IncorrectDataFormat,
    /// 9.
    CompIdProblem,
    /// 10.
    SendingTimeAccuracy,
    /// 11.
    InvalidMsgType,
    /// 13.
    TagRepeated,
    /// 14.
    TagOutOfOrder,
    /// 15.
    GroupOutOfOrder,
    /// 16.
    IncorrectNumInGroup,
}

impl RejectReason {
    /// The number in SessionRejectReason(373).
    pub const fn code(self) -> u64 {
        match self {
            RejectReason::InvalidTagNumber => 0,
            RejectReason::RequiredTagMissing => 1,
            RejectReason::TagNotDefinedForMsgType => 2,
            RejectReason::UndefinedTag => 3,
            RejectReason::TagWithoutValue => 4,
            RejectReason::ValueIncorrect => 5,
            RejectReason::IncorrectDataFormat => 6,
            RejectReason::CompIdProblem => 9,
            RejectReason::SendingTimeAccuracy => 10,
            RejectReason::InvalidMsgType => 11,
            RejectReason::TagRepeated => 13,
            RejectReason::TagOutOfOrder => 14,
            RejectReason::GroupOutOfOrder => 15,
            RejectReason::IncorrectNumInGroup => 16,
        }
    }

    /// The Text(58) that certification suites expect.
    pub const fn text(self) -> &'static str {
        match self {
            RejectReason::InvalidTagNumber => "Invalid tag number",
            RejectReason::RequiredTagMissing => "Required tag missing",
            RejectReason::TagNotDefinedForMsgType => "Tag not defined for this message type",
            RejectReason::UndefinedTag => "Undefined tag",
            RejectReason::TagWithoutValue => "Tag specified without a value",
            RejectReason::ValueIncorrect => "Value is incorrect (out of range) for this tag",
            RejectReason::IncorrectDataFormat => "Incorrect data format for value",
            RejectReason::CompIdProblem => "CompID problem",
            RejectReason::SendingTimeAccuracy => "SendingTime accuracy problem",
            RejectReason::InvalidMsgType => "Invalid MsgType",
            RejectReason::TagRepeated => "Tag appears more than once",
            RejectReason::TagOutOfOrder => "Tag specified out of required order",
            RejectReason::GroupOutOfOrder => "Repeating group fields out of order",
            RejectReason::IncorrectNumInGroup => "Incorrect NumInGroup count for repeating group",
        }
    }
}

/// Which tag RefTagID(371) names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultyTag {
    /// None.
    None,
    /// This one, which may be missing.
    Number(u32),
    /// That of the message's field at this place, as it was written: 0 and −1 are no numbers of
    /// tags and still named.
    At(usize),
}

/// What is wrong with a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// SessionRejectReason(373).
    pub reason: RejectReason,
    /// RefTagID(371).
    pub tag: FaultyTag,
}

impl Fault {
    pub(super) const fn of(reason: RejectReason, tag: u32) -> Fault {
        Fault { reason, tag: FaultyTag::Number(tag) }
    }
}

/// The rules that an inbound message must obey.
pub trait Validate: Send {
    /// Checks a whole message.
    ///
    /// # Errors
    /// The first fault.
    fn validate(&self, message: &Message<'_>) -> Result<(), Fault>;
}

/// Routing fields and what they become on the way back.
const REVERSED: [(u32, u32); 6] = [
    // Ascending by the tag that goes out.
    (tag::DELIVER_TO_COMP_ID, tag::ON_BEHALF_OF_COMP_ID),
    (tag::DELIVER_TO_SUB_ID, tag::ON_BEHALF_OF_SUB_ID),
    (tag::ON_BEHALF_OF_COMP_ID, tag::DELIVER_TO_COMP_ID),
    (tag::ON_BEHALF_OF_SUB_ID, tag::DELIVER_TO_SUB_ID),
    (tag::DELIVER_TO_LOCATION_ID, tag::ON_BEHALF_OF_LOCATION_ID),
    (tag::ON_BEHALF_OF_LOCATION_ID, tag::DELIVER_TO_LOCATION_ID),
];

/// The routing fields of an answer: those of the message that are there and not empty, reversed.
/// The second number says how many of the fields count.
fn reversed_routing<'a>(message: &Message<'a>) -> ([(u32, &'a [u8]); 6], usize) {
    let mut fields = [(0u32, &[][..]); 6];
    let mut count = 0;
    for (from, to) in REVERSED {
        if let Some(value) = message.get(from).filter(|value| !value.is_empty())
            && let Some(slot) = fields.get_mut(count)
        {
            *slot = (to, value);
            count += 1;
        }
    }
    (fields, count)
}

impl<S: Store> Core<S> {
    /// Sends Reject(3). Whether the message's number counts as received is the caller's business.
    pub(super) fn send_reject(&mut self, message: &Message<'_>, fault: Fault) {
        self.counters.rejects_out = self.counters.rejects_out.saturating_add(1);
        let (routing, count) = reversed_routing(message);
        let header = routing.get(..count).unwrap_or_default();
        // A message without a readable number never gets here.
        let ref_seq_num = message.msg_seq_num().unwrap_or(0);
        self.write_admin(msg_type::REJECT, header, |encoder| {
            encoder.uint(tag::REF_SEQ_NUM, ref_seq_num).str(tag::TEXT, fault.reason.text());
            match fault.tag {
                FaultyTag::None => {}
                FaultyTag::Number(tag) => _ = encoder.uint(tag::REF_TAG_ID, u64::from(tag)),
                FaultyTag::At(place) => {
                    encoder.bytes(tag::REF_TAG_ID, message.tag_text_at(place));
                }
            }
            if !message.msg_type().is_empty() {
                encoder.bytes(tag::REF_MSG_TYPE, message.msg_type());
            }
            encoder.uint(tag::SESSION_REJECT_REASON, fault.reason.code());
        });
    }
}

impl<S: Store> Session<S> {
    /// Sends BusinessMessageReject(j) for an application message: BusinessRejectReason(380) 3 for a
    /// type that the application does not take.
    ///
    /// # Errors
    /// As [`Session::send`].
    pub fn reject_business(
        &mut self,
        now: Nanos,
        ref_seq_num: u64,
        ref_msg_type: &[u8],
        reason: u64,
        text: &str,
    ) -> Result<u64, SendError> {
        let core = &mut self.core;
        core.now = now;
        core.may_send()?;
        core.counters.rejects_out = core.counters.rejects_out.saturating_add(1);
        core.write(Kept::Whole, msg_type::BUSINESS_MESSAGE_REJECT, &[], |encoder| {
            encoder
                .uint(tag::REF_SEQ_NUM, ref_seq_num)
                .str(tag::TEXT, text)
                .bytes(tag::REF_MSG_TYPE, ref_msg_type)
                .uint(tag::BUSINESS_REJECT_REASON, reason);
        })
    }
}
