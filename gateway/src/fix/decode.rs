//! Fields out of a whole message: zero-copy, into a table that is made once and reused.
//!
//! Fed by framing with exactly one message whose BodyLength and CheckSum are true; hands out a
//! [`Message`] that borrows the bytes and the table. Runs on the thread that owns the socket. Budget:
//! 130 ns a NewOrderSingle and 200 ns an ExecutionReport together with framing, no allocation.
//! Sessions and the dictionary's rules are elsewhere: what is malformed here makes a message garbled.
//!
//! All SOH are found first; then each tag is guessed from the last message of its type and compared, or,
//! where the guess is wrong, read in a register without a branch on its length.

use super::SOH;
use super::frame::GarbledReason;
use super::message::{FieldSpan, Message};
use super::predict::{Guess, Order, Orders, word_at};
use super::scan::{BLOCK, soh_bits};
use super::tag;

/// Length fields and the data fields that follow them, whose value may hold SOH: FIX 4.4, and
/// FIX 5.0 SP2 up to tag 4095.
#[rustfmt::skip]
const DATA_FIELDS: [(u32, u32); 52] = [
    (93, 89), (90, 91), (95, 96), (212, 213), (348, 349), (350, 351), (352, 353), (354, 355),
    (356, 357), (358, 359), (360, 361), (362, 363), (364, 365), (445, 446), (618, 619), (621, 622),
    (1184, 1185), (1277, 1278), (1280, 1281), (1282, 1283), (1397, 1398), (1401, 1402),
    (1403, 1404), (1468, 1469), (1525, 1527), (1578, 1579), (1620, 1621), (1664, 1665),
    (1678, 1697), (1733, 1734), (1871, 1872), (1874, 1875), (2072, 2073), (2074, 2075),
    (2111, 2112), (2179, 2180), (2287, 2288), (2351, 2352), (2372, 2371), (2481, 2482),
    (2494, 2493), (2522, 2521), (2637, 2638), (2651, 2652), (2665, 2666), (2715, 2716),
    (2718, 2719), (2721, 2722), (2797, 2798), (2802, 2801), (2809, 2808), (2815, 2814),
];

/// One bit a tag below 4096, set for data fields.
// Evaluated by the compiler: an index out of range would not build.
#[allow(clippy::indexing_slicing)]
const DATA_TAGS: [u64; 64] = {
    let mut bits = [0u64; 64];
    let mut n = 0;
    while n < DATA_FIELDS.len() {
        let tag = DATA_FIELDS[n].1;
        bits[(tag / 64) as usize] |= 1 << (tag % 64);
        n += 1;
    }
    bits
};

/// Splits messages into fields. Made once, with room for the longest message.
#[derive(Debug)]
pub struct Decoder {
    table: Box<[FieldSpan]>,
    orders: Orders,
}

impl Decoder {
    /// Room for `fields_max` fields a message; one with more is garbled.
    pub fn new(fields_max: usize) -> Decoder {
        let table = vec![FieldSpan::default(); fields_max].into_boxed_slice();
        Decoder { table, orders: Orders::new(fields_max) }
    }

    /// Splits `bytes`, one whole message as [`super::frame::frame`] found it.
    ///
    /// # Errors
    /// [`GarbledReason::FieldMalformed`] where a tag is not a number, a field has no `=`, a data field
    /// does not end where its length says, or there are more fields than the table has room for: the
    /// message is ignored and consumes no sequence number.
    #[inline]
    pub fn decode<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Message<'a>, GarbledReason> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(GarbledReason::FieldMalformed);
        }
        // MsgType(35) is the third field, behind two short ones: the first block holds it.
        let first = soh_bits(bytes, 0);
        let behind_second = (first & first.wrapping_sub(1)).trailing_zeros() as usize + 1;
        let type_at = behind_second.saturating_add(b"35=".len());
        let order = self.orders.of_type(bytes.get(type_at).copied().unwrap_or_default());
        let order = order.ok_or(GarbledReason::FieldMalformed)?;
        let guesses = order.guesses();
        let (count, misses) =
            split(bytes, first, guesses, &mut self.table).ok_or(GarbledReason::FieldMalformed)?;
        let fields = self.table.get(..count).unwrap_or_default();
        order.learn(bytes, fields, misses);
        Ok(Message::new(bytes, fields))
    }
}

/// Where splitting has got to.
#[derive(Clone, Copy)]
struct Cursor {
    /// First byte of the next field.
    start: usize,
    /// The block that is looked at.
    base: usize,
    /// Its SOH from `start` on.
    bits: u64,
}

impl Cursor {
    /// The next SOH, looked for in as many blocks as it takes; `None` at the message's end.
    #[inline(always)]
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        while self.bits == 0 {
            self.base += BLOCK;
            if self.base >= bytes.len() {
                return None;
            }
            self.bits = soh_bits(bytes, self.base);
        }
        Some(self.base + self.bits.trailing_zeros() as usize)
    }

    /// Beyond the SOH that [`Cursor::end`] gave.
    #[inline(always)]
    fn pass(&mut self) {
        self.bits &= self.bits.wrapping_sub(1);
    }
}

/// Fills the table; says how many fields there are and how many guesses were wrong. `None` where the
/// message is malformed. `first` are the first block's SOH.
#[inline]
fn split(
    bytes: &[u8],
    first: u64,
    guesses: &[Guess],
    table: &mut [FieldSpan],
) -> Option<(usize, usize)> {
    let mut cursor = Cursor { start: 0, base: 0, bits: first };
    let (mut count, mut at, mut misses) = (0, 0, 0);
    loop {
        let right = take_guessed(bytes, &mut cursor, guesses.get(at..)?, table.get_mut(count..)?);
        (count, at) = (count + right, at + right);
        let Some(end) = cursor.end(bytes) else {
            return (cursor.start == bytes.len()).then_some((count, misses));
        };
        let (fields, room) = table.split_at_mut_checked(count)?;
        let field = read_field(bytes, &mut cursor, end, fields)?;
        misses += 1;
        at = Order::resume(guesses, at, field.tag);
        *room.first_mut()? = field;
        count += 1;
    }
}

/// The fields that are as guessed: how many there were before the first that is not. A loop of its
/// own, so that all it needs stays in registers.
#[inline(never)]
fn take_guessed(
    bytes: &[u8],
    cursor: &mut Cursor,
    guesses: &[Guess],
    table: &mut [FieldSpan],
) -> usize {
    let mut here = *cursor;
    let mut right = 0;
    for (guess, room) in guesses.iter().zip(table) {
        let Some(end) = here.end(bytes) else { break };
        // The text of a guess holds no SOH, so it ends before `end` does.
        let Some((tag, len)) = guess.read(word_at(bytes, here.start)) else { break };
        *room = span(tag, here.start + len, end);
        here.pass();
        here.start = end + 1;
        right += 1;
    }
    *cursor = here;
    right
}

/// A field that was not guessed right, up to `end`, or, where it is a data field, to where its length
/// says.
#[inline(never)]
fn read_field(
    bytes: &[u8],
    cursor: &mut Cursor,
    end: usize,
    before: &[FieldSpan],
) -> Option<FieldSpan> {
    let (tag, value) = read_tag(bytes, cursor.start).filter(|(_, value)| *value <= end)?;
    let mut end = end;
    if is_data(tag) {
        let data_end = end_of_data(bytes, before, tag, value)?;
        while end < data_end {
            cursor.pass();
            end = cursor.end(bytes)?;
        }
    }
    cursor.pass();
    cursor.start = end + 1;
    Some(span(tag, value, end))
}

/// Where the value of the data field `tag` that begins at `value` must end, by the length field
/// before it. Without one, it ends at the first SOH.
#[cold]
fn end_of_data(bytes: &[u8], fields: &[FieldSpan], tag: u32, value: usize) -> Option<usize> {
    let Some(before) = fields.last() else {
        return Some(value);
    };
    if !DATA_FIELDS.contains(&(before.tag, tag)) {
        return Some(value);
    }
    let text = bytes.get(before.start as usize..before.end as usize)?;
    let len = usize::try_from(super::value::parse_uint(text)?).ok()?;
    let end = value.checked_add(len)?;
    (bytes.get(end) == Some(&SOH)).then_some(end)
}

/// Whether the value of `tag` may hold SOH.
#[inline]
pub(super) fn is_data(tag: u32) -> bool {
    DATA_TAGS.get((tag / 64) as usize).is_some_and(|bits| bits >> (tag % 64) & 1 == 1)
}

/// Callers have checked that the message is shorter than 4 GiB.
#[inline]
#[allow(clippy::cast_possible_truncation)]
const fn span(tag: u32, start: usize, end: usize) -> FieldSpan {
    FieldSpan { tag, start: start as u32, end: end as u32 }
}

/// The tag that begins at `start` and the place behind its `=`, read in a register: find the `=`,
/// shift what follows out, and turn up to seven digits into a number at once.
#[inline]
fn read_tag(bytes: &[u8], start: usize) -> Option<(u32, usize)> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let Some(word) = bytes.get(start..).and_then(|rest| rest.first_chunk::<8>()) else {
        return read_odd_tag(bytes, start);
    };
    let word = u64::from_le_bytes(*word);
    let unequal = word ^ (ONES * b'=' as u64);
    let equals = unequal.wrapping_sub(ONES) & !unequal & HIGH;
    // The lowest set bit is exact; 7 for '=' in the first byte.
    let bit = equals.trailing_zeros();
    if equals == 0 || bit < 8 {
        return read_odd_tag(bytes, start);
    }
    let digits_bits = bit - 7;
    let digits = (word ^ (ONES * b'0' as u64)) << (64 - digits_bits);
    if (digits.wrapping_add(ONES * 0x76) | digits) & HIGH != 0 {
        return read_odd_tag(bytes, start);
    }
    let pairs = (digits.wrapping_mul(2561) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(6_553_601) >> 16) & 0x0000_ffff_0000_ffff;
    let number = fours.wrapping_mul(42_949_672_960_001) >> 32;
    Some((u32::try_from(number).unwrap_or(tag::INVALID), start + (digits_bits / 8) as usize + 1))
}

/// A tag near the message's end, a very long or a negative one: byte by byte.
#[cold]
fn read_odd_tag(bytes: &[u8], start: usize) -> Option<(u32, usize)> {
    let rest = bytes.get(start..)?;
    let len = rest.iter().take_while(|b| **b != SOH).position(|b| *b == b'=')?;
    let text = rest.get(..len)?;
    let is_negative = text.first() == Some(&b'-');
    let digits = if is_negative { text.get(1..)? } else { text };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = match super::value::parse_uint(digits).and_then(|n| u32::try_from(n).ok()) {
        Some(number) if !is_negative => number,
        _ => tag::INVALID,
    };
    Some((number, start + len + 1))
}

#[cfg(test)]
mod tests {
    use super::super::message::{FieldError, optional};
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        text.replace('|', "\x01").into_bytes()
    }

    fn fields(text: &str) -> Option<Vec<(u32, String)>> {
        let bytes = bytes(text);
        let mut decoder = Decoder::new(32);
        let message = decoder.decode(&bytes).ok()?;
        Some(
            message
                .fields()
                .map(|f| (f.tag, String::from_utf8_lossy(f.value).replace('\x01', "|")))
                .collect(),
        )
    }

    #[test]
    fn fields_come_in_wire_order_with_their_values() {
        let text = "8=FIX.4.4|9=5|35=D|34=2|11=a=b|58=|1234567=x|12345678=y|10=000|";
        let expected = [
            (8, "FIX.4.4"),
            (9, "5"),
            (35, "D"),
            (34, "2"),
            (11, "a=b"),
            (58, ""),
            (1_234_567, "x"),
            (12_345_678, "y"),
            (10, "000"),
        ];
        let expected: Vec<_> = expected.iter().map(|(t, v)| (*t, v.to_string())).collect();
        assert_eq!(fields(text), Some(expected));
    }

    #[test]
    fn what_was_decoded_before_changes_no_answer() {
        let head = "8=FIX.4.4|9=99|35=X|34=7|";
        let texts = [
            format!("{head}268=2|279=0|269=0|270=1|271=2|279=1|269=1|270=3|271=4|10=000|"),
            format!("{head}268=2|279=2|269=0|270=1|279=1|278=a|269=1|270=3|271=4|58=x|10=000|"),
            format!("{head}95=3|96=a|b|268=1|279=0|0279=0|2790=0|27=9|=|10=000|"),
            format!("{head}95=3|96=a|b|268=1|279=0|-1=0|2790=0|1234567=9|58=|10=000|"),
            "8=FIX.4.4|9=99|35=D|11=x|55=y|10=000|".to_owned(),
            "8=F|10".to_owned(),
        ];
        let all: Vec<Vec<u8>> = texts.iter().map(|text| bytes(text)).collect();
        let spans = |decoder: &mut Decoder, bytes: &[u8]| {
            let fields = decoder.decode(bytes).ok()?;
            Some(fields.fields().map(|f| (f.tag, f.value.to_vec())).collect::<Vec<_>>())
        };
        let mut used = Decoder::new(32);
        for n in 0..500usize {
            let bytes = &all[n * n / 3 % all.len()];
            assert_eq!(spans(&mut used, bytes), spans(&mut Decoder::new(32), bytes), "{n}");
        }
    }

    #[test]
    fn a_tag_that_is_no_number_makes_the_message_garbled() {
        for text in [
            "8=F|9=1|35=0|4garbled9=TW|10=0|",
            "8=F|=x|10=000|",
            "8=F|49garbled|10=000|",
            "8=F|-=x|10=000|",
            "8=F|4 =x|10=000|",
            "8=F||10=000|",
            "8=F|10=000",
            "x",
            "8=F|10|",
            "8=F|--1=x|10=000|",
            "8=F|1:=x|10=000|",
            "8=F|1/=x|10=000|",
            "8=F|\u{ff}1=x|10=000|",
        ] {
            assert_eq!(fields(text), None, "{text}");
        }
    }

    #[test]
    fn a_tag_that_is_a_number_but_no_tag_is_kept_as_written() {
        let bytes = bytes("8=F|9=1|35=0|-1=HI|0=HI|99999999999999999999999=x|10=000|");
        let mut decoder = Decoder::new(32);
        let message = decoder.decode(&bytes).unwrap();
        for (place, text) in [(3, &b"-1"[..]), (4, b"0"), (5, b"99999999999999999999999")] {
            assert_eq!(message.field_at(place).unwrap().tag, tag::INVALID);
            assert_eq!(message.tag_text_at(place), text);
        }
        assert_eq!(message.tag_text_at(0), b"8");
    }

    #[test]
    fn a_data_field_may_hold_soh_and_equals_signs() {
        let value = "a|b=c|99=x|".repeat(12);
        let text = format!("8=F|35=A|95={}|96={value}|98=0|10=000|", value.len());
        let read = fields(&text).unwrap();
        assert_eq!(read[3], (96, value));
        assert_eq!(read[4], (98, "0".into()));
    }

    #[test]
    fn a_data_field_that_does_not_end_where_its_length_says_is_garbled() {
        for len in ["2", "4", "500", "18446744073709551615", "x", "-1"] {
            assert_eq!(fields(&format!("8=F|35=A|95={len}|96=abc|98=0|10=000|")), None, "{len}");
        }
        assert!(fields("8=F|35=A|95=3|96=abc|98=0|10=000|").is_some());
        assert!(fields("8=F|35=A|95=0|96=|98=0|10=000|").is_some());
        assert_eq!(fields("8=F|35=A|96=abc|98=0|10=000|").unwrap()[2], (96, "abc".into()));
    }

    #[test]
    fn more_fields_than_the_table_holds_is_an_answer() {
        let text = bytes(&("8=F|".repeat(33)));
        assert_eq!(Decoder::new(32).decode(&text).err(), Some(GarbledReason::FieldMalformed));
        assert!(Decoder::new(33).decode(&text).is_ok());
    }

    #[test]
    fn typed_fields_say_missing_and_malformed_apart() {
        let text = bytes("8=F|9=1|35=D|34=7|43=Y|52=20240808-00:00:00.5|44=61685.990|38=x|10=000|");
        let mut decoder = Decoder::new(32);
        let message = decoder.decode(&text).unwrap();
        assert_eq!((message.msg_type(), message.msg_seq_num()), (&b"D"[..], Ok(7)));
        assert!(message.is_poss_dup() && !message.is_poss_resend());
        assert_eq!(message.sending_time().unwrap().0, 1_723_075_200_500_000_000);
        assert_eq!(message.decimal(44), Ok("61685.99".parse().unwrap()));
        assert_eq!(message.decimal(38), Err(FieldError::Malformed { tag: 38 }));
        assert_eq!(message.uint(151), Err(FieldError::Missing { tag: 151 }));
        assert_eq!(optional(message.uint(151)), Ok(None));
        assert_eq!(message.orig_sending_time(), Ok(None));
    }

    #[test]
    fn groups_split_at_their_delimiter_and_nest() {
        let text =
            bytes("8=F|9=1|35=X|268=2|279=0|55=A|453=2|448=x|447=D|448=y|279=1|55=B|10=000|");
        let mut decoder = Decoder::new(32);
        let message = decoder.decode(&text).unwrap();
        let entries: Vec<_> = message.group(268, 279).unwrap().collect();
        assert_eq!(entries.len(), 2);
        assert_eq!((entries[0].get(55), entries[1].get(55)), (Some(&b"A"[..]), Some(&b"B"[..])));
        let parties: Vec<_> = entries[0].group(453, 448).unwrap().collect();
        assert_eq!(parties[1].get(448), Some(&b"y"[..]));
        assert_eq!(entries[1].group(453, 448).unwrap().count(), 0);
    }

    #[test]
    fn a_group_with_a_wrong_count_is_refused() {
        for text in ["268=3|279=0|279=1|", "268=1|279=0|279=1|", "268=1|55=A|279=0|", "268=1|"] {
            let bytes = bytes(&format!("8=F|9=1|35=X|{text}10=000|"));
            let mut decoder = Decoder::new(32);
            let message = decoder.decode(&bytes).unwrap();
            assert_eq!(
                message.group(268, 279).err(),
                Some(FieldError::WrongCount { tag: 268 }),
                "{text}"
            );
        }
    }
}
