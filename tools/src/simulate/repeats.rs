//! Messages that come again, marked PossDupFlag(43): what a venue resends without being asked.
//!
//! Fed by the network with every write of the venue's end; feeds it the copies. One thread. A copy keeps
//! its MsgSeqNum(34) and body; its SendingTime(52) goes on as OrigSendingTime(122) too. Deliberately
//! absent: messages of the session itself, which are never resent.

use ballast_engine::units::Nanos;
use std::collections::VecDeque;

/// Messages that are remembered.
const KEPT: usize = 16;
/// Older ones would fail the other side's check of SendingTime(52).
const AGE_MAX_NS: u64 = 60_000_000_000;
const SOH: u8 = 1;

/// The last whole application messages of one direction.
#[derive(Debug, Default)]
pub struct Repeats {
    kept: VecDeque<(Nanos, Vec<u8>)>,
}

impl Repeats {
    /// Sees a whole message.
    pub fn hear(&mut self, now: Nanos, message: &[u8]) {
        let is_own = |field: &&[u8]| field.starts_with(b"35=") && b"012345A".contains(&field[3]);
        if message.split(|byte| *byte == SOH).take(3).any(|field| is_own(&field)) {
            return;
        }
        let is_full = self.kept.len() == KEPT;
        let oldest = if is_full { self.kept.pop_front() } else { None };
        let mut kept = oldest.map_or_else(Vec::new, |(_, room)| room);
        kept.clear();
        kept.extend_from_slice(message);
        self.kept.push_back((now, kept));
    }

    /// One of them again.
    pub fn again(&self, now: Nanos, dice: u64) -> Option<Vec<u8>> {
        let recent = self.kept.iter().filter(|(at, _)| now.since(*at) <= AGE_MAX_NS);
        let recent: Vec<_> = recent.collect();
        let place = dice.checked_rem(recent.len() as u64)?;
        Some(marked(&recent[place as usize].1))
    }
}

/// The message with PossDupFlag(43) and OrigSendingTime(122) in its header.
fn marked(message: &[u8]) -> Vec<u8> {
    let fields = message.split(|byte| *byte == SOH).filter(|field| !field.is_empty());
    let mut body = Vec::with_capacity(message.len() + 40);
    let mut begin: &[u8] = b"";
    for field in fields {
        match field.split(|byte| *byte == b'=').next() {
            Some(b"8") => begin = field,
            Some(b"9" | b"10") => {}
            tag => {
                body.extend_from_slice(field);
                body.push(SOH);
                if tag == Some(b"34") {
                    body.extend_from_slice(b"43=Y\x01");
                } else if tag == Some(b"52") {
                    body.extend_from_slice(b"122=");
                    body.extend_from_slice(&field[3..]);
                    body.push(SOH);
                }
            }
        }
    }
    let mut copy = begin.to_vec();
    copy.extend_from_slice(format!("\x019={}\x01", body.len()).as_bytes());
    copy.append(&mut body);
    let sum = copy.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    copy.extend_from_slice(format!("10={sum:03}\x01").as_bytes());
    copy
}

#[cfg(test)]
mod tests {
    use super::*;
    use ballast_gateway::fix::frame::{Frame, frame};

    const REPORT: &[u8] = b"8=FIX.4.4\x019=57\x0135=8\x0134=7\x0149=V\x01\
        52=20260105-14:30:00.000\x0156=B\x0117=E1\x0110=000\x01";

    #[test]
    fn a_copy_is_a_message_with_its_number_flag_and_both_times() {
        let mut repeats = Repeats::default();
        repeats.hear(Nanos(1), b"8=FIX.4.4\x019=5\x0135=0\x0110=161\x01");
        assert_eq!(repeats.again(Nanos(1), 3), None, "a heartbeat is never resent");
        repeats.hear(Nanos(1), REPORT);
        let copy = repeats.again(Nanos(2), 3).unwrap();
        assert_eq!(frame(&copy, 4096), Frame::Message { len: copy.len() });
        let text = String::from_utf8(copy).unwrap().replace('\u{1}', "|");
        assert!(text.contains("|34=7|43=Y|"), "{text}");
        assert!(
            text.contains("|52=20260105-14:30:00.000|122=20260105-14:30:00.000|56=B|17=E1|"),
            "{text}"
        );
        assert_eq!(
            repeats.again(Nanos(2 + AGE_MAX_NS), 3),
            None,
            "it would be refused for its age"
        );
    }
}
