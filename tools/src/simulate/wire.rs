//! What Ballast says on its order session, message by message, as the bytes leave it.
//!
//! Fed by the network with every byte that its end of the order session takes from Ballast; feeds the
//! checker with the messages that carry an id of ours. It stands behind all that the rings do not show:
//! cancels and questions that order entry names itself, and what it or its session holds or sends again.
//! One thread. It reads MsgType(35), PossDupFlag(43) and the id, and no further: it sees every message.

use ballast_engine::event::ClOrdId;

const SOH: u8 = 1;
/// `10=NNN` and its end.
const TRAILER_LEN: usize = 7;
/// Which messages carry an id of ours, and in which field. H has its order's ClOrdID(11) besides, and
/// that is no new one. Ballast counts all of them in one space.
const NAMING: [(&str, &[u8]); 7] = [
    ("D", b"11"),
    ("G", b"11"),
    ("F", b"11"),
    ("q", b"11"),
    ("H", b"790"),
    ("AF", b"584"),
    ("AN", b"710"),
];

/// A message that went out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Said {
    /// Its MsgType(35).
    pub msg_type: &'static str,
    /// Its own id; none where it has no number.
    pub id: ClOrdId,
    /// PossDupFlag(43) or PossResend(97).
    pub is_again: bool,
    /// Its first byte left after the kill.
    pub is_after_kill: bool,
}

impl Said {
    /// Whether it asks for risk: a new order, or another price or size for one.
    pub fn is_order(&self) -> bool {
        ["D", "G"].contains(&self.msg_type)
    }
}

/// Listens to one end.
#[derive(Debug, Default)]
pub struct Wiretap {
    line: usize,
    /// A message that has not left whole, and whether it began after the kill.
    begun: Vec<u8>,
    began_killed: bool,
    is_killed: bool,
    said: Vec<Said>,
}

impl Wiretap {
    /// From now on nothing that asks for risk may begin; or it may again.
    pub fn set_killed(&mut self, is_killed: bool) {
        self.is_killed = is_killed;
    }

    /// What went out since the last call.
    pub fn take(&mut self) -> Vec<Said> {
        std::mem::take(&mut self.said)
    }

    /// These bytes left on a connection. What the one before did not get whole, nobody read.
    pub fn hear(&mut self, line: usize, bytes: &[u8]) {
        if self.line != line {
            self.line = line;
            self.begun.clear();
        }
        if self.begun.is_empty() {
            self.began_killed = self.is_killed;
            let used = self.hear_whole(bytes);
            self.begun.extend_from_slice(&bytes[used..]);
            return;
        }
        let mut begun = std::mem::take(&mut self.begun);
        begun.extend_from_slice(bytes);
        begun.drain(..self.hear_whole(&begun));
        self.begun = begun;
    }

    /// How many bytes were whole messages.
    fn hear_whole(&mut self, bytes: &[u8]) -> usize {
        let mut used = 0;
        while let Some(len) = message_len(&bytes[used..]) {
            let said = read(&bytes[used..used + len], self.began_killed);
            self.said.extend(said);
            self.began_killed = self.is_killed;
            used += len;
        }
        used
    }
}

/// The length of the message in front, where it is whole: by its BodyLength(9).
fn message_len(bytes: &[u8]) -> Option<usize> {
    let begin = bytes.iter().position(|byte| *byte == SOH)? + 1;
    let field = bytes[begin..].iter().position(|byte| *byte == SOH)?;
    let body_len = number(bytes[begin..begin + field].strip_prefix(b"9=")?)?;
    let len = begin + field + 1 + usize::try_from(body_len).ok()? + TRAILER_LEN;
    (len <= bytes.len()).then_some(len)
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn read(message: &[u8], is_after_kill: bool) -> Option<Said> {
    let mut fields = message.split(|byte| *byte == SOH).skip(2);
    let msg_type = fields.next()?.strip_prefix(b"35=")?;
    let (msg_type, tag) = NAMING.into_iter().find(|(name, _)| name.as_bytes() == msg_type)?;
    let mut said = Said { msg_type, id: ClOrdId::NONE, is_again: false, is_after_kill };
    for field in fields {
        if [&b"43=Y"[..], b"97=Y"].contains(&field) {
            said.is_again = true;
        }
        let value = field.strip_prefix(tag).and_then(|rest| rest.strip_prefix(b"="));
        if let Some(value) = value {
            // The header, with its flags, stands before it.
            said.id = ClOrdId(number(value).unwrap_or_default());
            break;
        }
    }
    Some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Vec<u8> {
        let body = text.replace('|', "\u{1}");
        format!("8=FIX.4.4\u{1}9={}\u{1}{body}10=000\u{1}", body.len()).into_bytes()
    }

    fn said(msg_type: &'static str, id: u64) -> Said {
        Said { msg_type, id: ClOrdId(id), is_again: false, is_after_kill: false }
    }

    #[test]
    fn ids_are_read_from_the_field_that_names_the_message_and_the_rest_is_passed_over() {
        let all = [
            message("35=D|34=2|49=B|56=V|11=7|55=BTC|"),
            message("35=0|34=3|11=1|"),
            message("35=G|34=4|11=8|41=7|"),
            message("35=F|34=5|11=9|41=8|"),
            message("35=q|34=6|11=10|530=7|"),
            message("35=H|34=7|11=8|54=1|55=BTC|790=11|"),
            message("35=AF|34=8|584=12|585=7|"),
            message("35=AN|34=9|1=B|710=13|"),
        ]
        .concat();
        let expected = [
            said("D", 7),
            said("G", 8),
            said("F", 9),
            said("q", 10),
            said("H", 11),
            said("AF", 12),
            said("AN", 13),
        ];
        for portion in [1, 2, 13, 64, all.len()] {
            let mut tap = Wiretap::default();
            all.chunks(portion).for_each(|bytes| tap.hear(0, bytes));
            assert_eq!(tap.take(), expected, "{portion} bytes at a time");
            assert_eq!(tap.take(), []);
        }
    }

    #[test]
    fn a_message_is_after_the_kill_where_its_first_byte_is() {
        let mut tap = Wiretap::default();
        let order = message("35=D|34=2|11=7|");
        tap.hear(0, &order[..1]);
        tap.set_killed(true);
        tap.hear(0, &order[1..]);
        tap.hear(0, &message("35=D|34=3|11=8|"));
        let later = Said { is_after_kill: true, ..said("D", 8) };
        assert_eq!(tap.take(), [said("D", 7), later]);
    }

    #[test]
    fn what_did_not_leave_whole_is_not_said_and_the_next_connection_begins_anew() {
        let mut tap = Wiretap::default();
        tap.hear(0, &message("35=D|34=2|11=7|")[..20]);
        tap.hear(1, &message("35=F|34=3|43=Y|11=8|"));
        assert_eq!(tap.take(), [Said { is_again: true, ..said("F", 8) }]);
    }
}
