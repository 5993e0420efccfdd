//! Reject(3) and BusinessMessageReject(j): saying what was wrong with a message.
//!
//! Fed by `inbound`, which asks the dictionary; the application asks for business rejects. Deliberately
//! absent: the reasons, their texts and the rules, which are the dictionary's.

use super::SendError;
use super::machine::{Core, Session};
use super::outbound::Kept;
use crate::dictionary::validate::{RefTag, RejectReason, Rejection};
use crate::fix::message::Message;
use crate::fix::{msg_type, tag};
use crate::store::Store;
use ballast_engine::units::Nanos;

/// A fault of one tag.
pub(super) const fn fault_of(reason: RejectReason, tag: u32) -> Rejection<'static> {
    Rejection { reason, ref_tag: RefTag::Tag(tag) }
}

/// A fault that no tag is named for.
pub(super) const fn fault(reason: RejectReason) -> Rejection<'static> {
    Rejection { reason, ref_tag: RefTag::None }
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
    pub(super) fn send_reject(&mut self, message: &Message<'_>, fault: Rejection<'_>) {
        self.counters.rejects_out = self.counters.rejects_out.saturating_add(1);
        let (routing, count) = reversed_routing(message);
        let header = routing.get(..count).unwrap_or_default();
        // A message without a readable number never gets here.
        let ref_seq_num = message.msg_seq_num().unwrap_or(0);
        self.write_admin(msg_type::REJECT, header, |encoder| {
            encoder.uint(tag::REF_SEQ_NUM, ref_seq_num).str(tag::TEXT, fault.reason.text());
            fault.write_ref_tag(encoder);
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
