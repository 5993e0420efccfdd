//! Fields out of a whole message: zero-copy, into a table that is made once and reused.
//!
//! Fed by framing with exactly one message whose BodyLength and CheckSum are true; hands out a
//! [`Message`] that borrows the bytes and the table. Runs on the thread that owns the socket. Budget:
//! 130 ns a NewOrderSingle and 200 ns an ExecutionReport together with framing, no allocation.
//! Sessions and the dictionary's rules are elsewhere: what is malformed here makes a message garbled.
//!
//! All SOH are found first; then each tag is guessed from earlier messages of its type and compared, or,
//! where the guess is wrong, read in a register without a branch on its length. A message that is all as
//! guessed needs no table of its own: only where its fields begin is written down.

use super::SOH;
use super::frame::GarbledReason;
use super::message::{Head, Message, Places};
use super::predict::{Order, Orders, word_at};
use super::scan::{BLOCK, soh_bits};
use super::tag;
use ballast_engine::digits;

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
    /// Where each field begins, and the end of the last one.
    starts: Box<[u32]>,
    /// What stands there, of a message that is not as expected.
    heads: Box<[Head]>,
    orders: Orders,
}

impl Decoder {
    /// Room for `fields_max` fields a message; one with more is garbled.
    pub fn new(fields_max: usize) -> Decoder {
        let starts = vec![0; fields_max + 1].into_boxed_slice();
        let heads = vec![Head::default(); fields_max].into_boxed_slice();
        Decoder { starts, heads, orders: Orders::new(fields_max) }
    }

    /// Splits `bytes`, one whole message as [`super::frame::frame`] found it.
    ///
    /// # Errors
    /// [`GarbledReason::FieldMalformed`] where a tag is not a number, a field has no `=`, a data field
    /// does not end where its length says, or there are more fields than the table has room for: the
    /// message is ignored and consumes no sequence number.
    #[inline]
    pub fn decode<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Message<'a>, GarbledReason> {
        self.split(bytes).ok_or(GarbledReason::FieldMalformed)
    }

    #[inline]
    fn split<'a>(&'a mut self, bytes: &'a [u8]) -> Option<Message<'a>> {
        let Decoder { starts, heads, orders } = self;
        u32::try_from(bytes.len()).ok()?;
        // 0 where there is no room: data fields may hold what looks like more fields than there are.
        let count = mark(bytes, starts).unwrap_or(0);
        // MsgType(35) is the third field.
        let type_at = starts.get(2).map_or(0, |start| start.wrapping_add(3));
        let msg_type = bytes.get(type_at as usize).copied().unwrap_or_default();
        let order = orders.of_shape(msg_type, count)?;
        let right = order.right(bytes, starts.get(..count)?);
        if right + 1 != count || !is_trailer(bytes, starts.get(..=count)?) {
            return split_slowly(bytes, starts, heads, order, right);
        }
        let starts = starts.get(..=count)?;
        if order.is_whole(count) {
            return Some(Message::new(bytes, starts, order.heads(), order.places()));
        }
        // As expected, but shorter.
        let (last, before) = heads.get_mut(..count)?.split_last_mut()?;
        before.copy_from_slice(order.heads().get(..right)?);
        *last = Head::CHECK_SUM;
        Some(Message::new(bytes, starts, heads.get(..count)?, order.places()))
    }
}

/// Notes where each field begins, and the end of the last one; says how many there are, or `None`
/// where there is no room for them.
#[inline(always)]
fn mark(bytes: &[u8], starts: &mut [u32]) -> Option<usize> {
    let (first, rest) = starts.split_first_mut()?;
    *first = 0;
    let all = rest.len();
    let mut room = rest.iter_mut();
    let mut base = 0;
    while base < bytes.len() {
        let mut bits = soh_bits(bytes, base);
        let behind = narrow(base).wrapping_add(1);
        while bits != 0 {
            *room.next()? = behind.wrapping_add(bits.trailing_zeros());
            bits &= bits.wrapping_sub(1);
        }
        base += BLOCK;
    }
    Some(all - room.len())
}

/// Whether the last field begins as CheckSum(10) and the message ends with it.
#[inline(always)]
fn is_trailer(bytes: &[u8], starts: &[u32]) -> bool {
    const LEN: usize = b"10=ddd|".len();
    let Some([.., start, end]) = starts.last_chunk::<2>() else { return false };
    let Some(trailer) = bytes.last_chunk::<LEN>() else { return false };
    *end as usize == bytes.len()
        && *start as usize + LEN == bytes.len()
        && trailer.starts_with(b"10=")
}

/// Where splitting has got to.
#[derive(Clone, Copy)]
struct Cursor {
    /// The block that is looked at.
    base: usize,
    /// Its SOH that were not passed.
    bits: u64,
}

impl Cursor {
    #[inline]
    fn at(bytes: &[u8], start: usize) -> Cursor {
        Cursor { base: start, bits: soh_bits(bytes, start) }
    }

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

/// Splits a message of which the first `right` fields are as expected, field by field, and learns from
/// it. `None` where it is malformed.
#[inline(never)]
fn split_slowly<'a>(
    bytes: &'a [u8],
    starts: &'a mut [u32],
    heads: &'a mut [Head],
    order: &mut Order,
    right: usize,
) -> Option<Message<'a>> {
    heads.get_mut(..right)?.copy_from_slice(order.heads().get(..right)?);
    let mut start = *starts.get(right)? as usize;
    let mut cursor = Cursor::at(bytes, start);
    let (mut count, mut at) = (right, right);
    while let Some(end) = cursor.end(bytes) {
        let (fields, room) = heads.split_at_mut_checked(count)?;
        let (head, end) = match order.guess(at, word_at(bytes, start)) {
            Some(head) => {
                at += 1;
                (head, end)
            }
            None => {
                let before = fields.last().zip(starts.get(count.wrapping_sub(1)));
                let (head, end) = read_field(bytes, &mut cursor, start, end, before)?;
                at = order.resume(at, head.tag);
                (head, end)
            }
        };
        *room.first_mut()? = head;
        count += 1;
        start = end + 1;
        *starts.get_mut(count)? = narrow(start);
        cursor.pass();
    }
    if start != bytes.len() {
        return None;
    }
    let (starts, heads) = (starts.get(..=count)?, heads.get(..count)?);
    order.learn(bytes, starts, heads, right);
    Some(Message::new(bytes, starts, heads, Places::UNKNOWN))
}

/// A field that was not guessed right, up to `end`, or, where it is a data field, to where its length
/// says: its head, and the SOH behind it. `before` is the field before it and where that begins.
#[inline]
fn read_field(
    bytes: &[u8],
    cursor: &mut Cursor,
    start: usize,
    end: usize,
    before: Option<(&Head, &u32)>,
) -> Option<(Head, usize)> {
    let (tag, value) = read_tag(bytes, start).filter(|(_, value)| *value <= end)?;
    let mut end = end;
    if is_data(tag) {
        let data_end = end_of_data(bytes, before, tag, start, value)?;
        while end < data_end {
            cursor.pass();
            end = cursor.end(bytes)?;
        }
    }
    Some((Head { tag, len: narrow(value - start) }, end))
}

/// Where the value of the data field `tag` that begins at `start` and whose value begins at `value`
/// must end, by the length field before it. Without one, it ends at the first SOH.
#[cold]
fn end_of_data(
    bytes: &[u8],
    before: Option<(&Head, &u32)>,
    tag: u32,
    start: usize,
    value: usize,
) -> Option<usize> {
    let Some((before, from)) =
        before.filter(|(before, _)| DATA_FIELDS.contains(&(before.tag, tag)))
    else {
        return Some(value);
    };
    let text =
        bytes.get((*from as usize).checked_add(before.len as usize)?..start.checked_sub(1)?)?;
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
#[inline(always)]
#[allow(clippy::cast_possible_truncation)]
const fn narrow(place: usize) -> u32 {
    place as u32
}

/// The tag that begins at `start` and the place behind its `=`, read in a register: find the `=`,
/// shift what follows out, and turn up to seven digits into a number at once.
#[inline]
fn read_tag(bytes: &[u8], start: usize) -> Option<(u32, usize)> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let Some(word) = bytes.get(start..).and_then(|rest| rest.first_chunk::<8>()) else {
        return read_odd_tag(bytes, start);
    };
    let word = u64::from_le_bytes(*word);
    let unequal = word ^ (ONES * b'=' as u64);
    let equals = unequal.wrapping_sub(ONES) & !unequal & (ONES << 7);
    // The lowest set bit is exact; 7 for '=' in the first byte.
    let bit = equals.trailing_zeros();
    if equals == 0 || bit < 8 {
        return read_odd_tag(bytes, start);
    }
    let digits_bits = bit - 7;
    let values = (word ^ (ONES * b'0' as u64)) << (64 - digits_bits);
    if digits::no_digits(values) != 0 {
        return read_odd_tag(bytes, start);
    }
    let tag = u32::try_from(digits::number_of(values)).unwrap_or(tag::INVALID);
    Some((tag, start + (digits_bits / 8) as usize + 1))
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
    fn a_tag_is_found_at_its_first_place_in_messages_of_every_shape_and_nowhere_else() {
        // 23 and 151 share their lowest seven bits, 11 and 139 too.
        let parts = [
            "11=a|",
            "139=b|",
            "23=c|",
            "151=d|",
            "44=e|",
            "23=f|",
            "10=g|",
            "95=1|96=||",
            "1234567=h|",
        ];
        let mut decoder = Decoder::new(32);
        let (mut state, mut shorter) = (7u64, 0);
        for n in 0..20_000u32 {
            state = state.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
            // Long runs of one shape, so that it is learned, cut short now and then.
            let shape = if n % 50 < 40 { u64::from(n / 50 * 2_654_435) } else { state >> 32 };
            let count = if n % 7 == 0 { (state >> 50) as usize % 9 } else { 9 };
            shorter += usize::from(count < 9);
            let chosen = (0..count).filter(|part| shape >> part & 1 == 1);
            let body: String =
                chosen.map(|part| parts[(part + shape as usize / 512) % 9]).collect();
            let bytes = bytes(&format!("8=FIX.4.4|9=9|35=8|{body}10=000|"));
            let message = decoder.decode(&bytes).unwrap();
            for tag in [8, 9, 10, 11, 23, 34, 35, 44, 95, 96, 139, 151, 162, 279, 1_234_567, 0] {
                let first = message.fields().find(|field| field.tag == tag).map(|f| f.value);
                assert_eq!(message.get(tag), first, "{tag} in {body}");
                assert_eq!(message.view().get(tag), first, "{tag} in {body}");
            }
        }
        assert!(shorter > 1_000);
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
