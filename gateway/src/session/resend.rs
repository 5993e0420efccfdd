//! Answering a ResendRequest(2): application messages again, everything else as gap fills.
//!
//! Fed by `admin`; the machine asks for the next piece whenever the last was handed out, so that a
//! slow counterparty slows the resend and memory stays bounded. A resend uses no new numbers and is
//! not stored. Not hot. Deliberately absent: judging whether one old order should be sent again; an
//! application that wants none to be says so ([`SessionConfig::resends_messages`]).

#[cfg(doc)]
use super::config::SessionConfig;
use super::machine::Core;
use crate::fix::encode::Encoder;
use crate::fix::{SOH, msg_type, tag, value};
use crate::store::Store;

/// Numbers still to be resent, both inclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Resend {
    pub next: u64,
    pub end: u64,
}

/// Bytes of one piece.
const PIECE_BYTES: usize = 16 * 1024;

/// The header fields of FIX 4.4 that we send: what comes before the body.
fn is_header(tag: u32) -> bool {
    matches!(
        tag,
        tag::BEGIN_STRING
            | tag::BODY_LENGTH
            | tag::MSG_TYPE
            | tag::MSG_SEQ_NUM
            | tag::POSS_DUP_FLAG
            | tag::SENDER_COMP_ID
            | tag::SENDER_SUB_ID
            | tag::SENDING_TIME
            | tag::TARGET_COMP_ID
            | tag::TARGET_SUB_ID
            | tag::POSS_RESEND
            | tag::ON_BEHALF_OF_COMP_ID
            | tag::ON_BEHALF_OF_SUB_ID
            | tag::ORIG_SENDING_TIME
            | tag::DELIVER_TO_COMP_ID
            | tag::DELIVER_TO_SUB_ID
            | tag::SENDER_LOCATION_ID
            | tag::TARGET_LOCATION_ID
            | tag::ON_BEHALF_OF_LOCATION_ID
            | tag::DELIVER_TO_LOCATION_ID
            | tag::LAST_MSG_SEQ_NUM_PROCESSED
    )
}

impl<S: Store> Core<S> {
    /// Begins a resend; one that is under way is joined with it.
    pub(super) fn begin_resend(&mut self, wanted: Resend) {
        self.resend = Some(match self.resend {
            None => wanted,
            Some(under_way) => {
                Resend { next: wanted.next.min(under_way.next), end: wanted.end.max(under_way.end) }
            }
        });
    }

    /// Writes the next piece of a resend, if nothing waits to be handed out.
    pub(super) fn continue_resend(&mut self) {
        while let Some(resend) = self.resend {
            if self.out.waiting() >= PIECE_BYTES {
                return;
            }
            let mut fill_to = match self.config.resends_messages {
                true => resend.next,
                // All of it at once: the numbers of a session's whole life may be asked for.
                false => resend.end.saturating_add(1),
            };
            while fill_to <= resend.end && self.store.outbound(fill_to).is_none() {
                fill_to += 1;
            }
            let is_written = if fill_to > resend.next {
                self.write_gap_fill(resend.next, fill_to)
            } else {
                fill_to += 1;
                self.write_again(resend.next)
            };
            if !is_written {
                // No room: the rest comes when this has been handed out.
                debug_assert!(self.out.waiting() > 0, "an empty buffer holds any message");
                if self.out.waiting() == 0 {
                    self.resend = None;
                }
                return;
            }
            self.note_sent();
            self.counters.resent = self.counters.resent.saturating_add(1);
            self.resend =
                (fill_to <= resend.end).then_some(Resend { next: fill_to, end: resend.end });
        }
    }

    /// LastMsgSeqNumProcessed(369) as of now, where the counterparty wants it.
    fn last_processed(&self) -> Option<u64> {
        self.config.has_last_processed.then(|| self.store.next_target().saturating_sub(1))
    }

    /// SequenceReset-GapFill in the place of the numbers from `begin` to below `next`.
    fn write_gap_fill(&mut self, begin: u64, next: u64) -> bool {
        let last_processed = self.last_processed();
        let (room, clock) = self.out.room();
        let begin_string = self.config.begin_string.as_bytes();
        let mut encoder = Encoder::begin(room, begin_string, msg_type::SEQUENCE_RESET);
        let sending_time = clock.write(self.now);
        encoder
            .uint(tag::MSG_SEQ_NUM, begin)
            .bool(tag::POSS_DUP_FLAG, true)
            .str(tag::SENDER_COMP_ID, &self.config.sender_comp_id);
        if let Some(sub_id) = &self.config.sender_sub_id {
            encoder.str(tag::SENDER_SUB_ID, sub_id);
        }
        encoder
            .bytes(tag::SENDING_TIME, sending_time)
            .str(tag::TARGET_COMP_ID, &self.config.target_comp_id);
        if let Some(sub_id) = &self.config.target_sub_id {
            encoder.str(tag::TARGET_SUB_ID, sub_id);
        }
        encoder.bytes(tag::ORIG_SENDING_TIME, sending_time);
        if let Some(last_processed) = last_processed {
            encoder.uint(tag::LAST_MSG_SEQ_NUM_PROCESSED, last_processed);
        }
        encoder.uint(tag::NEW_SEQ_NO, next).bool(tag::GAP_FILL_FLAG, true);
        let written = encoder.finish();
        if let Ok(len) = written {
            self.out.accept(len);
        }
        written.is_ok()
    }

    /// The stored message again, with PossDupFlag(43) and OrigSendingTime(122).
    fn write_again(&mut self, number: u64) -> bool {
        let last_processed = self.last_processed();
        let Some(frame) = self.store.outbound(number) else { return false };
        let (room, clock) = self.out.room();
        let written = again(room, frame, clock.write(self.now), last_processed);
        if let Some(len) = written {
            self.out.accept(len);
        }
        written.is_some()
    }
}

/// Writes one of our own frames again. `None` where there is no room.
fn again(
    room: &mut [u8],
    frame: &[u8],
    sending_time: &[u8],
    last_processed: Option<u64>,
) -> Option<usize> {
    let mut rest = frame;
    let mut fields = [(0u32, &[][..]); 24];
    let mut count = 0;
    // The header is never longer than the fields that `is_header` names, each once.
    while let Some((tag, text, behind)) = split_field(rest).filter(|(tag, ..)| is_header(*tag)) {
        *fields.get_mut(count)? = (tag, text);
        count += 1;
        rest = behind;
    }
    let body = rest.get(..rest.len().checked_sub(TRAILER_LEN)?)?;
    let header = fields.get(..count)?;
    let value_of = |wanted| header.iter().find(|(tag, _)| *tag == wanted).map(|(_, text)| *text);
    let mut encoder = Encoder::begin(room, value_of(tag::BEGIN_STRING)?, value_of(tag::MSG_TYPE)?);
    let first_sent = value_of(tag::SENDING_TIME)?;
    let mut own = [(tag::POSS_DUP_FLAG, &b"Y"[..]), (tag::ORIG_SENDING_TIME, first_sent)]
        .into_iter()
        .peekable();
    for (tag, text) in header.get(3..)? {
        while let Some((own_tag, own_text)) = own.next_if(|(own_tag, _)| own_tag < tag) {
            encoder.bytes(own_tag, own_text);
        }
        match *tag {
            tag::SENDING_TIME => _ = encoder.bytes(*tag, sending_time),
            // What was processed then is not what is processed now.
            tag::LAST_MSG_SEQ_NUM_PROCESSED => {}
            _ => _ = encoder.bytes(*tag, text),
        }
    }
    for (own_tag, own_text) in own {
        encoder.bytes(own_tag, own_text);
    }
    // Of the header's fields that we send none has a higher tag.
    if let Some(last_processed) = last_processed {
        encoder.uint(tag::LAST_MSG_SEQ_NUM_PROCESSED, last_processed);
    }
    encoder.raw(body);
    encoder.finish().ok()
}

/// `10=ddd` and its SOH.
const TRAILER_LEN: usize = 7;

/// The first field: tag, value, and what follows.
fn split_field(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == SOH)?;
    let (field, behind) = bytes.split_at_checked(end)?;
    let equals = field.iter().position(|byte| *byte == b'=')?;
    let tag = value::parse_uint(field.get(..equals)?)?;
    Some((u32::try_from(tag).ok()?, field.get(equals + 1..)?, behind.get(1..)?))
}

/// The text of an instant, as the session writes it.
#[cfg(test)]
fn text_of(ns: u64) -> Vec<u8> {
    let mut clock =
        crate::fix::timestamp::TimestampText::new(crate::fix::timestamp::Precision::Millis);
    clock.write(ballast_engine::units::Nanos(ns)).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written_again(frame: &str) -> String {
        let sealed = {
            let bytes = frame.replace('|', "\x01");
            format!("8=FIX.4.4\x019={}\x01{bytes}10=000\x01", bytes.len())
        };
        let mut room = [0; 512];
        let len = again(&mut room, sealed.as_bytes(), &text_of(1_000_000_000), None).unwrap();
        let text = String::from_utf8(room[..len].to_vec()).unwrap().replace('\x01', "|");
        let body = text.find("35=").unwrap();
        text[body..text.len() - 7].to_string()
    }

    #[test]
    fn a_resend_says_so_and_keeps_the_rest() {
        assert_eq!(
            written_again("35=D|34=7|49=US|52=19700101-00:00:00.500|56=THEM|11=a|40=1|"),
            "35=D|34=7|43=Y|49=US|52=19700101-00:00:01.000|56=THEM|122=19700101-00:00:00.500|11=a|40=1|"
        );
    }

    #[test]
    fn further_header_fields_keep_their_place_by_tag() {
        assert_eq!(
            written_again("35=D|34=7|49=US|52=x|56=THEM|97=Y|115=A|128=B|11=a|"),
            "35=D|34=7|43=Y|49=US|52=19700101-00:00:01.000|56=THEM|97=Y|115=A|122=x|128=B|11=a|"
        );
    }

    #[test]
    fn no_room_is_no_message() {
        let frame = b"8=FIX.4.4\x019=20\x0135=D\x0134=1\x0149=A\x0152=x\x0156=B\x0110=000\x01";
        assert_eq!(again(&mut [0; 30], frame, b"y", None), None);
    }
}
