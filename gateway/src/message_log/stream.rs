//! One direction of one connection: pieces in, whole messages out, their secrets hidden.
//!
//! Fed by the writer with pieces in order; feeds it with lines. The log's thread. After bytes were
//! lost, or after garbled text that held a secret or ended nowhere, what comes may be the rest of a
//! secret: until the next whole message only its length is told.

use crate::fix::frame::{Frame, frame};
use crate::fix::secret::{mask_message, mask_text};

/// The longest message that is waited for, in bytes.
const MESSAGE_LEN_MAX: usize = 1 << 20;

/// `8=FIX`: so many bytes at the end are kept by the framing as a possible beginning.
const BEGIN_LEN: usize = 5;

/// What is known of the stream.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Bytes that are not yet a whole message.
    waiting: Vec<u8>,
    /// Place of the next byte.
    place: u64,
    /// What comes may be the rest of a secret.
    is_doubtful: bool,
    /// Reused for the line in hand.
    line: Vec<u8>,
}

/// Takes a line's text.
pub(super) type Emit<'a> = &'a mut dyn FnMut(&[u8]);

impl Stream {
    /// Notes where a piece begins; tells of bytes that are missing before it.
    pub(super) fn seek(&mut self, place: u64, emit: Emit<'_>) {
        let lost = place.wrapping_sub(self.place);
        if lost > 0 {
            self.cut(emit);
            emit(format!("lost {lost} bytes: the log did not keep up").as_bytes());
            self.is_doubtful = true;
            self.place = place;
        }
    }

    /// Takes a piece.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
        self.place = self.place.wrapping_add(bytes.len() as u64);
    }

    /// Tells of what is whole.
    pub(super) fn drain(&mut self, emit: Emit<'_>) -> u64 {
        let mut from = 0;
        let mut messages = 0;
        loop {
            let rest = self.waiting.get(from..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            self.line.clear();
            match frame(rest, MESSAGE_LEN_MAX) {
                Frame::Incomplete => break,
                Frame::Message { len } => {
                    mask_message(rest.get(..len).unwrap_or_default(), &mut self.line);
                    self.is_doubtful = false;
                    messages += 1;
                    from += len;
                }
                Frame::Garbled { skip, .. } => {
                    let text = rest.get(..skip).unwrap_or(rest);
                    let held = tell(b"garbled: ", text, self.is_doubtful, &mut self.line);
                    // Where the text ends with what is here so far, a tag may be torn in two.
                    let is_torn = rest.len() - text.len() < BEGIN_LEN;
                    self.is_doubtful |= held || is_torn;
                    from += skip;
                }
            }
            emit(&self.line);
        }
        self.waiting.drain(..from.min(self.waiting.len()));
        messages
    }

    /// Nothing more of this message will come.
    pub(super) fn cut(&mut self, emit: Emit<'_>) {
        if !self.waiting.is_empty() {
            self.line.clear();
            tell(b"cut short: ", &self.waiting, self.is_doubtful, &mut self.line);
            self.waiting.clear();
            emit(&self.line);
        }
    }

    /// Another connection: the stream begins anew.
    pub(super) fn restart(&mut self, emit: Emit<'_>) {
        self.cut(emit);
        self.place = 0;
        self.is_doubtful = false;
    }
}

/// A line for text that is no message. Says whether it held a secret.
fn tell(what: &[u8], text: &[u8], is_doubtful: bool, line: &mut Vec<u8>) -> bool {
    line.extend_from_slice(what);
    if is_doubtful {
        line.extend_from_slice(format!("{} bytes, perhaps of a secret", text.len()).as_bytes());
        return true;
    }
    mask_text(text, line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fix::encode::Encoder;
    use crate::fix::tag;
    use proptest::prelude::*;

    const SECRET: &[u8] = b"geheim\x01wort=8=FIXgeheim\x0110=geheim";

    fn logon() -> Vec<u8> {
        let mut buffer = vec![0; 512];
        let mut encoder = Encoder::begin(&mut buffer, b"FIX.4.4", b"A");
        encoder.uint(tag::MSG_SEQ_NUM, 1).str(tag::SENDER_COMP_ID, "ME");
        encoder.data(tag::RAW_DATA_LENGTH, tag::RAW_DATA, SECRET);
        encoder.str(tag::PASSWORD, "geheim8=FIXgeheim").str(tag::TARGET_COMP_ID, "YOU");
        let len = encoder.finish().unwrap();
        buffer.truncate(len);
        buffer
    }

    fn heartbeat() -> Vec<u8> {
        let mut buffer = vec![0; 512];
        let mut encoder = Encoder::begin(&mut buffer, b"FIX.4.4", b"0");
        encoder.uint(tag::MSG_SEQ_NUM, 2);
        let len = encoder.finish().unwrap();
        buffer.truncate(len);
        buffer
    }

    /// Feeds pieces; `None` is a lost one.
    fn lines(bytes: &[u8], cuts: &[usize], is_lost: impl Fn(usize) -> bool) -> Vec<String> {
        let mut stream = Stream::default();
        let mut lines = Vec::new();
        let mut from = 0;
        for (n, to) in cuts.iter().copied().chain([bytes.len()]).enumerate() {
            if !is_lost(n) {
                let mut emit = |line: &[u8]| lines.push(String::from_utf8_lossy(line).into_owned());
                stream.seek(from as u64, &mut emit);
                stream.push(&bytes[from..to]);
                stream.drain(&mut emit);
            }
            from = to;
        }
        stream.cut(&mut |line| lines.push(String::from_utf8_lossy(line).into_owned()));
        lines
    }

    #[test]
    fn a_message_in_pieces_comes_out_whole_and_without_its_secrets() {
        let bytes = [logon(), heartbeat()].concat();
        let every: Vec<usize> = (1..bytes.len()).collect();
        let lines = lines(&bytes, &every, |_| false);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("\x0196=***\x01554=***\x0156=YOU\x01"), "{lines:?}");
        assert_eq!(lines[1].as_bytes(), heartbeat());
    }

    #[test]
    fn what_was_lost_is_told_and_the_next_message_is_understood() {
        let bytes = [heartbeat(), heartbeat(), heartbeat()].concat();
        let len = heartbeat().len();
        let lines = lines(&bytes, &[len + 3, 2 * len - 5], |n| n == 1);
        assert_eq!(lines.len(), 5, "{lines:?}");
        assert_eq!(lines[1], "cut short: 8=F");
        assert!(lines[2].starts_with(&format!("lost {} bytes", len - 8)));
        assert!(lines[3].contains("perhaps of a secret"));
        assert_eq!(lines[4].as_bytes(), heartbeat());
    }

    #[test]
    fn garbled_text_with_a_secret_makes_what_follows_doubtful() {
        let mut bad = logon();
        let len = bad.len();
        bad[len - 2] ^= 1;
        let bytes = [bad, b"heim\x0158=x".to_vec(), heartbeat()].concat();
        let lines = lines(&bytes, &[], |_| false);
        assert!(lines[0].starts_with("garbled: 8=FIX.4.4") && lines[0].ends_with("=***"));
        assert!(lines[1].contains("perhaps of a secret"), "{lines:?}");
        assert_eq!(lines.last().unwrap().as_bytes(), heartbeat());
    }

    proptest! {
        /// Whatever is lost, wherever the pieces end, and with any byte of the stream changed.
        #[test]
        fn no_secret_is_ever_told(
            mut cuts in prop::collection::vec(0usize..400, 0..12),
            lost in any::<u16>(),
            change in prop::option::of((0usize..400, any::<u8>())),
        ) {
            let mut bytes = [heartbeat(), logon(), logon(), heartbeat()].concat();
            if let Some((at, byte)) = change
                && let Some(place) = bytes.get_mut(at)
                // A changed tag is another field: what it holds is nobody's secret.
                && !place.is_ascii_digit()
                && *place != b'='
            {
                *place = byte;
            }
            cuts.retain(|cut| *cut < bytes.len());
            cuts.sort_unstable();
            for line in lines(&bytes, &cuts, |n| lost >> n & 1 == 1) {
                prop_assert!(!line.contains("geheim"), "{line:?}");
            }
        }
    }
}
