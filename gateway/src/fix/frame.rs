//! Whole messages out of a stream of bytes: where one ends, and how to find the next after a bad one.
//!
//! Fed by the receive buffer, on the thread that owns the socket; feeds the decoder with exactly one
//! message at a time. A garbled message is skipped and consumes no sequence number (FIX 4.4 Volume 2,
//! "Garbled message"). It keeps no state: the caller keeps the bytes that are not consumed yet.
//!
//! How it comes back in step, which is what the FIX session test cases 2m, 2t and 3b ask:
//! - a bad CheckSum skips exactly that message;
//! - a BodyLength that is too short skips to the message's own end, or to the next `8=FIX` before it;
//! - one that is too long takes the next message with it: nobody can tell where the first one ended;
//! - anything before `8=FIX` is skipped. `58=FIX` is a Text, not a beginning.

use super::SOH;
use super::checksum::{checksum, trailer_end};
use ballast_engine::digits;

/// Shortest and longest BeginString(8) with its tag: `8=FIX.4.4`, `8=FIXT.1.1`, and room for a typo.
const BEGIN_LEN_MAX: usize = 24;
/// `10=ddd` and its SOH.
const TRAILER_LEN: usize = 7;
/// What every message begins with.
const BEGIN: &[u8; 5] = b"8=FIX";
/// What nearly every message begins with.
const FIX_44: &[u8; 12] = b"8=FIX.4.4\x019=";
/// Most digits of a BodyLength: beyond, no buffer would hold it.
const BODY_LENGTH_DIGITS_MAX: usize = 9;

/// What stands at the head of the buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame {
    /// Nothing can be said until more bytes come.
    Incomplete,
    /// A whole message, its BodyLength and CheckSum true.
    Message {
        /// Its length in bytes, from `8=` to the SOH after CheckSum.
        len: usize,
    },
    /// Bytes that are no message: drop them, without consuming a sequence number, and ask again.
    Garbled {
        /// How many bytes to drop; at least 1.
        skip: usize,
        /// Why.
        reason: GarbledReason,
    },
}

/// Why bytes are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GarbledReason {
    /// The buffer does not begin with `8=FIX`.
    NoBeginString,
    /// BeginString(8), BodyLength(9) and MsgType(35) are not the first three fields.
    FirstThreeFields,
    /// BodyLength(9) is not a number, or longer than a message may be.
    BodyLengthInvalid,
    /// CheckSum(10) does not stand where BodyLength(9) says.
    BodyLengthWrong,
    /// CheckSum(10) is not the sum of the bytes.
    CheckSumWrong,
    /// A tag is not a number, a field has no `=`, or a data field has the wrong length: found by the
    /// decoder in a message whose frame is right.
    FieldMalformed,
}

/// Looks at the head of `buffer`. A message longer than `len_max` bytes is garbled.
///
/// Where the answer is [`Frame::Incomplete`] and `buffer` is full at `len_max` bytes, no message can
/// become complete in it; this does not happen, as the answer is then [`Frame::Garbled`].
#[inline]
pub fn frame(buffer: &[u8], len_max: usize) -> Frame {
    if let Some((body, body_len)) = usual_head(buffer) {
        return body_and_trailer(buffer, body, body_len, len_max);
    }
    unusual(buffer, len_max)
}

/// What does not begin as messages do: another version, a part of a message, or none.
#[inline(never)]
fn unusual(buffer: &[u8], len_max: usize) -> Frame {
    if !buffer.starts_with(BEGIN) {
        if buffer.len() < BEGIN.len() && BEGIN.starts_with(buffer) {
            return Frame::Incomplete;
        }
        return resynchronise(buffer, 0, GarbledReason::NoBeginString);
    }
    match head(buffer) {
        Head::Incomplete => Frame::Incomplete,
        Head::Garbled(reason) => resynchronise(buffer, 1, reason),
        Head::Body { start, len } => body_and_trailer(buffer, start, len, len_max),
    }
}

/// Judges a message of which the first fields are right and say that `body_len` bytes stand from
/// `body` to CheckSum(10).
#[inline]
fn body_and_trailer(buffer: &[u8], body: usize, body_len: usize, len_max: usize) -> Frame {
    let end = body.saturating_add(body_len);
    let len = end.saturating_add(TRAILER_LEN);
    if len > len_max {
        return resynchronise(buffer, 1, GarbledReason::BodyLengthInvalid);
    }
    let Some(trailer) = buffer.get(end..len) else {
        // The whole trailer is not here yet, but what is here must be able to become one.
        return match buffer.get(end..) {
            Some(part) if !part.is_empty() && !could_be_trailer(part) => {
                wrong_length(buffer, end, len_max)
            }
            _ => Frame::Incomplete,
        };
    };
    if buffer.get(end - 1) != Some(&SOH) {
        return wrong_length(buffer, end, len_max);
    }
    let sum = trailer_end(checksum(buffer.get(..end).unwrap_or_default()));
    if trailer.starts_with(b"10=") && trailer.last_chunk() == Some(&sum) {
        Frame::Message { len }
    } else if !could_be_trailer(trailer) {
        wrong_length(buffer, end, len_max)
    } else {
        Frame::Garbled { skip: len, reason: GarbledReason::CheckSumWrong }
    }
}

/// What the first three fields say.
enum Head {
    Incomplete,
    Garbled(GarbledReason),
    Body { start: usize, len: usize },
}

/// Reads `8=FIX.4.4|9=n|35=`, where all of that is there: where the body begins, and its length.
#[inline(always)]
fn usual_head(buffer: &[u8]) -> Option<(usize, usize)> {
    const SEPARATORS: u64 = u64::from_le_bytes([SOH; 8]);
    let (start, rest) = buffer.split_first_chunk::<12>()?;
    let word = u64::from_le_bytes(*rest.first_chunk::<8>()?);
    // The lowest byte that is SOH is exact.
    let unequal = word ^ SEPARATORS;
    let found = unequal.wrapping_sub(SEPARATORS) & !unequal & (SEPARATORS << 7);
    let bits = found.trailing_zeros() & !7;
    if start != FIX_44 || found == 0 || bits == 0 {
        return None;
    }
    let values = (word ^ u64::from_le_bytes([b'0'; 8])) << (64 - bits);
    let body = start.len() + bits as usize / 8 + 1;
    let is_right =
        digits::no_digits(values) == 0 && buffer.get(body..body + 3).is_some_and(|b| b == b"35=");
    let len = usize::try_from(digits::number_of(values)).ok()?;
    is_right.then_some((body, len))
}

/// Reads `8=…|9=n|35=`.
#[inline(never)]
fn head(buffer: &[u8]) -> Head {
    let window = buffer.get(..BEGIN_LEN_MAX).unwrap_or(buffer);
    let Some(begin_end) = window.iter().position(|b| *b == SOH) else {
        return match buffer.len() < BEGIN_LEN_MAX {
            true => Head::Incomplete,
            false => Head::Garbled(GarbledReason::FirstThreeFields),
        };
    };
    let rest = buffer.get(begin_end + 1..).unwrap_or_default();
    let Some(digits) = rest.strip_prefix(b"9=") else {
        return prefix_or(rest, b"9=", GarbledReason::FirstThreeFields);
    };
    let mut len = 0usize;
    let mut count = 0usize;
    for byte in digits.iter().take(BODY_LENGTH_DIGITS_MAX + 1) {
        match byte {
            b'0'..=b'9' => len = len * 10 + usize::from(byte - b'0'),
            &SOH if count > 0 => {
                let rest = digits.get(count + 1..).unwrap_or_default();
                if !rest.starts_with(b"35=") {
                    return prefix_or(rest, b"35=", GarbledReason::FirstThreeFields);
                }
                return Head::Body { start: begin_end + 1 + 2 + count + 1, len };
            }
            _ => return Head::Garbled(GarbledReason::BodyLengthInvalid),
        }
        count += 1;
    }
    if count > BODY_LENGTH_DIGITS_MAX {
        return Head::Garbled(GarbledReason::BodyLengthInvalid);
    }
    Head::Incomplete
}

/// Incomplete where `rest` may still become `wanted`.
fn prefix_or(rest: &[u8], wanted: &[u8], reason: GarbledReason) -> Head {
    if rest.len() < wanted.len() && wanted.starts_with(rest) {
        Head::Incomplete
    } else {
        Head::Garbled(reason)
    }
}

/// Whether `part` is `10=ddd|`, or the beginning of it.
#[inline]
fn could_be_trailer(part: &[u8]) -> bool {
    part.iter().zip(0usize..).all(|(byte, at)| match at {
        0 => *byte == b'1',
        1 => *byte == b'0',
        2 => *byte == b'=',
        3..=5 => byte.is_ascii_digit(),
        _ => *byte == SOH,
    })
}

/// CheckSum(10) is not at `end`: skip to behind the next one, or to the next beginning before that.
#[cold]
fn wrong_length(buffer: &[u8], end: usize, len_max: usize) -> Frame {
    let reason = GarbledReason::BodyLengthWrong;
    let from = end.saturating_sub(1).max(1);
    let begin = next_begin(buffer, from);
    let trailer = next_trailer(buffer, from);
    match (begin, trailer) {
        (Some(at), Some(behind)) => Frame::Garbled { skip: at.min(behind), reason },
        (Some(at), None) => Frame::Garbled { skip: at, reason },
        (None, Some(behind)) => Frame::Garbled { skip: behind, reason },
        // The end of the bad message is still to come.
        (None, None) if buffer.len() < len_max => Frame::Incomplete,
        (None, None) => resynchronise(buffer, 1, reason),
    }
}

/// Drops everything up to the next beginning at or after `from`, or all that cannot become one.
#[cold]
fn resynchronise(buffer: &[u8], from: usize, reason: GarbledReason) -> Frame {
    let skip = next_begin(buffer, from).unwrap_or_else(|| {
        // "8=F" at the very end may be a beginning: keep it.
        let longest = (BEGIN.len() - 1).min(buffer.len().saturating_sub(from));
        let kept = (1..=longest)
            .rev()
            .find(|n| {
                let at = buffer.len() - n;
                BEGIN.starts_with(buffer.get(at..).unwrap_or_default()) && can_begin(buffer, at)
            })
            .unwrap_or(0);
        buffer.len() - kept
    });
    Frame::Garbled { skip: skip.max(1), reason }
}

/// Where the next `8=FIX` begins that is not the end of a longer tag.
fn next_begin(buffer: &[u8], from: usize) -> Option<usize> {
    buffer
        .windows(BEGIN.len())
        .zip(0usize..)
        .skip(from)
        .find(|(window, at)| window == BEGIN && can_begin(buffer, *at))
        .map(|(_, at)| at)
}

/// `58=FIX` holds `8=FIX`, but is a Text(58).
fn can_begin(buffer: &[u8], at: usize) -> bool {
    match at.checked_sub(1).and_then(|before| buffer.get(before)) {
        Some(byte) => !byte.is_ascii_digit(),
        None => true,
    }
}

/// The place behind the next `|10=…|` at or after `from`.
fn next_trailer(buffer: &[u8], from: usize) -> Option<usize> {
    let rest = buffer.get(from..)?;
    let start = rest.windows(4).position(|window| window == b"\x0110=")?;
    let value = rest.get(start + 4..)?;
    let len = value.iter().position(|byte| *byte == SOH)?;
    Some(from + start + 4 + len + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN_MAX: usize = 512;

    /// A message with true BodyLength and CheckSum around `body`.
    fn sealed(body: &str) -> String {
        with_length(body, body.len())
    }

    fn with_length(body: &str, len: usize) -> String {
        let text = format!("8=FIX.4.4|9={len}|{body}");
        let sum = checksum(&bytes(&text));
        format!("{text}10={sum:03}|")
    }

    fn bytes(text: &str) -> Vec<u8> {
        text.replace('|', "\x01").into_bytes()
    }

    /// All messages and reasons that come out of `text`, fed in pieces of `step` bytes.
    fn read(text: &str, step: usize) -> (Vec<String>, Vec<GarbledReason>) {
        let (mut messages, mut reasons) = (Vec::new(), Vec::new());
        let mut buffer: Vec<u8> = Vec::new();
        for piece in bytes(text).chunks(step) {
            buffer.extend_from_slice(piece);
            loop {
                match frame(&buffer, LEN_MAX) {
                    Frame::Incomplete => break,
                    Frame::Message { len } => {
                        let message: Vec<u8> = buffer.drain(..len).collect();
                        messages.push(String::from_utf8(message).unwrap().replace('\x01', "|"));
                    }
                    Frame::Garbled { skip, reason } => {
                        assert!(skip > 0 && skip <= buffer.len());
                        buffer.drain(..skip);
                        reasons.push(reason);
                    }
                }
            }
            assert!(buffer.len() <= LEN_MAX, "memory is bounded");
        }
        (messages, reasons)
    }

    fn good() -> String {
        sealed("35=0|34=2|49=TW44|52=20240808-00:00:00.000|56=ISLD|")
    }

    #[test]
    fn whole_messages_come_out_whole_in_pieces_of_any_size() {
        let text = format!("{}{}{}", good(), sealed("35=1|112=x|"), good());
        for step in 1..200 {
            let (messages, reasons) = read(&text, step);
            assert_eq!(messages.concat(), text, "pieces of {step}");
            assert_eq!((messages.len(), reasons.len()), (3, 0));
        }
    }

    #[test]
    fn a_bad_check_sum_skips_exactly_that_message() {
        let bad = good().replace("49=TW44", "49=TW45");
        for step in [1, 7, 1000] {
            let (messages, reasons) = read(&format!("{bad}{}", good()), step);
            assert_eq!((messages, reasons), (vec![good()], vec![GarbledReason::CheckSumWrong]));
        }
        let bad = good().replace("|10=", "|10=256|").replace("256|", "256|58=");
        assert_eq!(read(&format!("{bad}{}", good()), 9).0, vec![good()]);
    }

    #[test]
    fn a_body_length_too_short_does_not_stop_the_next_message() {
        let bad = with_length("35=D|34=2|11=ID|21=3|40=1|54=1|55=INTC|", 30);
        for step in [1, 7, 1000] {
            let (messages, reasons) = read(&format!("{bad}{}", good()), step);
            assert_eq!((messages, reasons), (vec![good()], vec![GarbledReason::BodyLengthWrong]));
        }
        let cut = bad.split("|10=").next().unwrap().to_string() + "|";
        assert_eq!(read(&format!("{cut}{}", good()), 5).0, vec![good()], "no trailer at all");
    }

    #[test]
    fn a_body_length_too_long_takes_the_next_message_with_it() {
        let body = "35=D|34=2|11=ID|21=3|40=1|54=1|55=INTC|";
        for excess in 1..50 {
            let bad = with_length(body, body.len() + excess);
            for step in [1, 1000] {
                let (messages, _) = read(&format!("{bad}{}{}", good(), sealed("35=0|34=9|")), step);
                assert_eq!(messages.last(), Some(&sealed("35=0|34=9|")), "excess {excess}");
                assert!(messages.len() <= 2);
            }
        }
        let bad = with_length(body, body.len() + 12);
        let (messages, reasons) = read(&format!("{bad}{}{}", good(), good()), 1000);
        assert_eq!((messages, reasons), (vec![good()], vec![GarbledReason::BodyLengthWrong]));
    }

    #[test]
    fn the_first_three_fields_must_be_8_9_35() {
        for bad in [
            "35=0|8=FIX.4.4|9=29|34=2|49=TW44|56=ISLD|10=121|",
            "8=FIX.4.4|35=0|9=5|34=2|10=000|",
            "8=FIX.4.4|9=20|34=3|35=0|49=TW44|10=000|",
            "8=FIX.4.4|9=|35=0|10=000|",
            "8=FIX.4.4|9=-5|35=0|10=000|",
            "8=FIX.4.4|9=99999999999999999999|35=0|10=000|",
            "8=FIX.4.4|9=9999|35=0|10=000|",
            "8=FIX.4.4.4.4.4.4.4.4.4.4.4.4.4|9=5|35=0|10=000|",
        ] {
            for step in [1, 6, 1000] {
                let (messages, reasons) = read(&format!("{bad}{}", good()), step);
                assert_eq!(messages, vec![good()], "{bad}");
                assert!(!reasons.is_empty());
            }
        }
    }

    #[test]
    fn noise_is_skipped_and_a_text_is_no_beginning() {
        for noise in ["hello", "||||", "8=8=8=", "8=FI", "58=FIX is fine|", "8=FIX.4.4|9=58=FIX|"] {
            for step in [1, 3, 1000] {
                let (messages, _) = read(&format!("{noise}{}", good()), step);
                assert_eq!(messages, vec![good()], "{noise} in pieces of {step}");
            }
        }
        let text = sealed("35=B|148=8=FIX is here|58=FIX|10=1|");
        assert_eq!(read(&text, 4).0, vec![text]);
    }

    #[test]
    fn a_message_longer_than_the_limit_is_garbled_and_one_at_the_limit_is_not() {
        let overhead = sealed(&format!("35=B|58={}|", "x".repeat(400))).len() - 400;
        for (extra, is_good) in [(0, true), (1, false)] {
            let text = sealed(&format!("35=B|58={}|", "x".repeat(LEN_MAX - overhead + extra)));
            assert_eq!(text.len(), LEN_MAX + extra);
            assert_eq!(read(&format!("{text}{}", good()), 1).0.len(), 1 + usize::from(is_good));
        }
    }
}
