//! A message written into the caller's buffer: 8, 9, 35 first, then what the caller adds in his order.
//!
//! Fed by the session and order entry; feeds the transport and the store. Runs on the thread that
//! owns the socket, never allocates. What does not fit or may not stand in a field is remembered and
//! answered at the end, so that a message is either whole or not there. Which fields a message needs
//! is the caller's business.

use super::SOH;
use super::checksum::{checksum, digits};
use super::timestamp::{Precision, TimestampText};
use super::value::NumberText;
use ballast_engine::units::{Decimal, Nanos};

/// Digits that are left free for BodyLength(9): most messages have between 100 and 999 bytes.
const BODY_LENGTH_DIGITS: usize = 3;

/// Why there is no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EncodeError {
    /// The buffer is too short.
    #[error("the message does not fit into the buffer")]
    Overflow,
    /// A value that is not a data field holds the field separator.
    #[error("the value of tag {tag} holds the field separator")]
    SeparatorInValue {
        /// Which.
        tag: u32,
    },
    /// FIX has no empty values.
    #[error("the value of tag {tag} is empty")]
    EmptyValue {
        /// Which.
        tag: u32,
    },
}

/// Writes one message. [`Encoder::finish`] says how long it became.
#[derive(Debug)]
#[must_use = "a message is whole only after finish()"]
pub struct Encoder<'b> {
    buffer: &'b mut [u8],
    /// Where the next byte goes.
    at: usize,
    /// Where BodyLength's digits begin.
    length_at: usize,
    error: Option<EncodeError>,
}

impl<'b> Encoder<'b> {
    /// Begins a message at the start of `buffer`: BeginString(8), room for BodyLength(9), MsgType(35).
    #[inline]
    pub fn begin(buffer: &'b mut [u8], begin_string: &[u8], msg_type: &[u8]) -> Encoder<'b> {
        let mut encoder = Encoder { buffer, at: 0, length_at: 0, error: None };
        encoder.bytes(8, begin_string);
        encoder.put(b"9=");
        encoder.length_at = encoder.at;
        encoder.put(b"000\x01");
        encoder.bytes(35, msg_type);
        encoder
    }

    /// A field with a value as it is: text, a char, a number that is already text.
    #[inline]
    pub fn bytes(&mut self, tag: u32, value: &[u8]) -> &mut Self {
        if value.is_empty() {
            self.error.get_or_insert(EncodeError::EmptyValue { tag });
        }
        if value.contains(&SOH) {
            self.error.get_or_insert(EncodeError::SeparatorInValue { tag });
        }
        self.field(tag, value)
    }

    /// A field with text.
    #[inline]
    pub fn str(&mut self, tag: u32, value: &str) -> &mut Self {
        self.bytes(tag, value.as_bytes())
    }

    /// A field with a number without sign.
    #[inline]
    pub fn uint(&mut self, tag: u32, value: u64) -> &mut Self {
        self.field(tag, NumberText::uint(value).as_bytes())
    }

    /// A field with a number.
    #[inline]
    pub fn int(&mut self, tag: u32, value: i64) -> &mut Self {
        self.field(tag, NumberText::int(value).as_bytes())
    }

    /// A field with one character.
    #[inline]
    pub fn char(&mut self, tag: u32, value: u8) -> &mut Self {
        self.bytes(tag, &[value])
    }

    /// A field with `Y` or `N`.
    #[inline]
    pub fn bool(&mut self, tag: u32, value: bool) -> &mut Self {
        self.field(tag, if value { b"Y" } else { b"N" })
    }

    /// A field with `count × unit`, exactly, with the unit's digits: a price in ticks, a size in lots.
    #[inline]
    pub fn decimal(&mut self, tag: u32, count: i64, unit: Decimal) -> &mut Self {
        self.field(tag, NumberText::decimal(count, unit).as_bytes())
    }

    /// A field with a UTCTimestamp, truncated to the precision.
    #[inline]
    pub fn timestamp(&mut self, tag: u32, at: Nanos, precision: Precision) -> &mut Self {
        let mut text = TimestampText::new(precision);
        self.field(tag, text.write(at))
    }

    /// A Length field and its data field, whose value may hold anything.
    #[inline]
    pub fn data(&mut self, length_tag: u32, tag: u32, value: &[u8]) -> &mut Self {
        self.uint(length_tag, value.len() as u64);
        self.field(tag, value)
    }

    /// Fields that are already text, each with its SOH: a body that is sent again.
    #[inline]
    pub fn raw(&mut self, fields: &[u8]) -> &mut Self {
        self.put(fields);
        self
    }

    /// Writes BodyLength(9) and CheckSum(10); the message stands at the buffer's start and has this
    /// many bytes.
    ///
    /// # Errors
    /// The first thing that went wrong. The buffer's content is then of no use.
    #[inline]
    pub fn finish(mut self) -> Result<usize, EncodeError> {
        let body_at = self.length_at + BODY_LENGTH_DIGITS + 1;
        let length = NumberText::uint(self.at.saturating_sub(body_at) as u64);
        let length = length.as_bytes();
        if length.len() != BODY_LENGTH_DIGITS {
            self.move_body(body_at, self.length_at + length.len() + 1);
        }
        if let Some(room) = self.buffer.get_mut(self.length_at..self.length_at + length.len() + 1) {
            for (to, from) in room.iter_mut().zip(length.iter().chain(&[SOH])) {
                *to = *from;
            }
        }
        let sum = digits(checksum(self.buffer.get(..self.at).unwrap_or_default()));
        self.put(b"10=");
        self.put(&sum);
        self.put(&[SOH]);
        match self.error {
            None => Ok(self.at),
            Some(error) => Err(error),
        }
    }

    /// BodyLength has more or fewer than three digits: a short heartbeat or a long snapshot.
    #[cold]
    fn move_body(&mut self, from: usize, to: usize) {
        let end = (self.at + to).saturating_sub(from);
        if end > self.buffer.len() || self.at > self.buffer.len() || from > self.at {
            self.error.get_or_insert(EncodeError::Overflow);
            return;
        }
        self.buffer.copy_within(from..self.at, to);
        self.at = end;
    }

    #[inline]
    fn field(&mut self, tag: u32, value: &[u8]) -> &mut Self {
        let number = NumberText::uint(u64::from(tag));
        let name = number.as_bytes();
        let value_at = name.len() + 1;
        let end = self.at.saturating_add(value_at).saturating_add(value.len()).saturating_add(1);
        // Room is asked for once: four times is most of what a short field costs.
        let room = self.buffer.get_mut(self.at..end).and_then(<[u8]>::split_last_mut);
        let Some((last, room)) = room else {
            self.error.get_or_insert(EncodeError::Overflow);
            return self;
        };
        for (to, from) in room.iter_mut().zip(name.iter().chain(b"=")) {
            *to = *from;
        }
        if let Some(room) = room.get_mut(value_at..) {
            room.copy_from_slice(value);
        }
        *last = SOH;
        self.at = end;
        self
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let end = self.at.saturating_add(bytes.len());
        match self.buffer.get_mut(self.at..end) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.at = end;
            }
            None => {
                self.error.get_or_insert(EncodeError::Overflow);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode::Decoder;
    use super::super::frame::{Frame, frame};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_published_logon_is_reproduced_to_the_byte() {
        let mut buffer = [0u8; 128];
        let mut encoder = Encoder::begin(&mut buffer, b"FIX.4.1", b"A");
        encoder.uint(34, 1).str(49, "EXEC");
        encoder.timestamp(52, Nanos(1_352_157_846_000_000_000), Precision::Seconds);
        encoder.bytes(56, b"BANZAI").char(98, b'0').int(108, 30);
        let len = encoder.finish().unwrap();
        let text = String::from_utf8(buffer[..len].to_vec()).unwrap().replace('\x01', "|");
        assert_eq!(
            text,
            "8=FIX.4.1|9=61|35=A|34=1|49=EXEC|52=20121105-23:24:06|56=BANZAI|98=0|108=30|10=003|"
        );
    }

    #[test]
    fn every_body_length_from_one_digit_to_five_is_true() {
        let mut buffer = vec![0u8; 20_000];
        for text_len in [1usize, 85, 86, 87, 88, 90, 95, 985, 990, 995, 9_985, 9_995, 15_000] {
            let text = vec![b'x'; text_len];
            let mut encoder = Encoder::begin(&mut buffer, b"FIX.4.4", b"B");
            encoder.bytes(58, &text);
            let len = encoder.finish().unwrap();
            assert_eq!(frame(&buffer[..len], 20_000), Frame::Message { len });
        }
        let empty = Encoder::begin(&mut buffer, b"FIX.4.4", b"0").finish().unwrap();
        assert_eq!(&buffer[..empty], b"8=FIX.4.4\x019=5\x0135=0\x0110=163\x01");
    }

    #[test]
    fn a_buffer_too_short_is_an_answer_at_every_length() {
        let write = |buffer: &mut [u8]| {
            let mut encoder = Encoder::begin(buffer, b"FIX.4.4", b"D");
            encoder.uint(34, 7).bool(43, true).decimal(44, 5, "0.1".parse().unwrap());
            encoder.bytes(58, &[b'x'; 100]).data(95, 96, b"a\x01b");
            encoder.finish()
        };
        let len = write(&mut [0; 400]).unwrap();
        for short in 0..len {
            assert_eq!(write(&mut vec![0; short]), Err(EncodeError::Overflow), "{short}");
        }
        assert_eq!(write(&mut vec![0; len]), Ok(len));
    }

    #[test]
    fn empty_values_and_separators_in_values_are_refused() {
        let mut buffer = [0u8; 128];
        let mut encoder = Encoder::begin(&mut buffer, b"FIX.4.4", b"D");
        encoder.bytes(11, b"").bytes(58, b"x\x0110=000");
        assert_eq!(encoder.finish(), Err(EncodeError::EmptyValue { tag: 11 }));
        let mut encoder = Encoder::begin(&mut buffer, b"FIX.4.4", b"D");
        encoder.bytes(58, b"x\x0110=000");
        assert_eq!(encoder.finish(), Err(EncodeError::SeparatorInValue { tag: 58 }));
    }

    fn fields() -> impl Strategy<Value = Vec<(u32, Vec<u8>)>> {
        // Tags above 4096 are never data fields; values hold anything but SOH.
        let value = proptest::collection::vec((2u16..=256).prop_map(|b| (b % 256) as u8), 1..40);
        proptest::collection::vec((5000u32..=u32::MAX, value), 0..40)
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(fields in fields(), blob: Vec<u8>) {
            let mut buffer = vec![0u8; 8192];
            let mut encoder = Encoder::begin(&mut buffer, b"FIX.4.4", b"D");
            for (tag, value) in &fields {
                encoder.bytes(*tag, value);
            }
            encoder.data(95, 96, &blob);
            let len = encoder.finish().unwrap();
            prop_assert_eq!(frame(&buffer[..len], 8192), Frame::Message { len });
            let mut decoder = Decoder::new(64);
            let message = decoder.decode(&buffer[..len]).unwrap();
            let read: Vec<(u32, Vec<u8>)> =
                message.fields().map(|f| (f.tag, f.value.to_vec())).collect();
            prop_assert_eq!(&read[3..3 + fields.len()], &fields[..]);
            prop_assert_eq!(message.get(96), Some(&blob[..]));
        }
    }
}
