//! Short texts in one or two machine words: digits made, written and summed without a loop.
//!
//! Fed and used by the templates and the timestamps, on order entry's thread, hot. [`Short`] has room for eight
//! bytes, [`Long`] for sixteen; a number that fits neither is answered with `None` and goes by
//! [`NumberText`](super::value::NumberText). Stores overlap instead of being exact, and nothing that was
//! just written is read again: a read across two fresh stores waits for both.

use super::checksum::sum_of_word;

/// Bytes of a [`Short`], and the digits that it holds.
pub(super) const SHORT: usize = 8;
const LONG: usize = 16;
/// The first number that needs more than eight digits.
const SHORT_LIMIT: u64 = 100_000_000;
const LONG_LIMIT: u64 = SHORT_LIMIT * SHORT_LIMIT;
const ZERO: u8 = b'0';
/// `00000000`.
const ZEROS: u64 = u64::from_le_bytes([ZERO; SHORT]);

/// Text of one to eight bytes at the end of a word, its bytes in the order in which they are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Short {
    /// What stands before the text is of no account.
    text: u64,
    /// How long the text is.
    pub len: usize,
    /// The sum of its bytes.
    pub sum: u8,
}

/// The same of nine to sixteen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Long {
    text: u128,
    /// How long the text is.
    pub len: usize,
    /// The sum of its bytes.
    pub sum: u8,
}

/// Where the point stands among eight digits: what a scale makes of them, worked out once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    /// The first number that does not fit; 0 where none does.
    limit: u64,
    /// What stands before the point moves by this: the first of eight digits is 0 there.
    shift: u32,
    whole: u64,
    fraction: u64,
    /// Zeros, and the point.
    empty: u64,
    /// The last place of the whole part, which stays where it is 0.
    stop: u64,
    /// The sum of eight bytes without digits.
    sum: u8,
    /// How many digits stand behind the point.
    scale: u8,
}

impl Frame {
    /// Of whole numbers.
    pub const WHOLE: Frame = Frame::of(0);

    /// For `scale` digits behind the point.
    pub const fn of(scale: u8) -> Frame {
        let last = u64::BITS - 8;
        if scale == 0 {
            let sum = ZERO.wrapping_mul(8);
            let (limit, stop) = (SHORT_LIMIT, 1 << last);
            return Frame {
                limit,
                shift: 0,
                whole: !0,
                fraction: 0,
                empty: ZEROS,
                stop,
                sum,
                scale,
            };
        }
        // One byte is the point's, and a digit stands before it.
        let (limit, behind) = if scale > 6 { (0, 6) } else { (SHORT_LIMIT / 10, scale) };
        let point_at = last - 8 * behind as u32;
        let whole = (1 << point_at) - 1;
        let point = 0xff << point_at;
        Frame {
            limit,
            shift: 8,
            whole,
            fraction: !(whole | point),
            empty: ZEROS & !point | (b'.' as u64) << point_at,
            stop: 1 << (point_at - 8),
            sum: ZERO.wrapping_mul(7).wrapping_add(b'.'),
            scale,
        }
    }

    /// The text of a number, where it fits.
    #[inline(always)]
    pub fn short(&self, number: u64) -> Option<Short> {
        if number >= self.limit {
            return None;
        }
        let digits = eight_digits(number);
        let whole = digits >> self.shift & self.whole;
        let zeros = zeros_before(whole | self.stop);
        let text = self.empty | whole | digits & self.fraction;
        let sum = self.sum.wrapping_add(sum_of_digits(digits)).wrapping_sub(zeros_sum(zeros));
        Some(Short { text, len: SHORT - zeros, sum })
    }

    /// Where the last four digits of a number stand in the eight bytes that end with it.
    #[inline(always)]
    pub fn tail(&self, digits: u64) -> u64 {
        digits >> self.shift & self.whole | digits & self.fraction
    }

    /// How many digits stand behind the point.
    #[inline(always)]
    pub fn scale(&self) -> u8 {
        self.scale
    }
}

impl Short {
    /// The digits of a number of up to eight.
    #[inline(always)]
    #[cfg(test)]
    pub fn uint(number: u64) -> Option<Short> {
        Frame::WHOLE.short(number)
    }

    /// One to eight bytes; of more, the last eight.
    #[inline(always)]
    pub fn text(text: &[u8]) -> Short {
        let len = text.len().min(SHORT);
        let word = match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                let first = u64::from(u32::from_le_bytes(*first)) << (8 * (SHORT - len));
                u64::from(u32::from_le_bytes(*last)) << 32 | first
            }
            _ => text.iter().fold(0, |word, byte| word >> 8 | u64::from(*byte) << 56),
        };
        Short { text: word, len, sum: sum_of_word(word) }
    }

    /// Writes the text to room of its length.
    #[inline(always)]
    pub fn write(self, room: &mut [u8]) {
        let [.., e, f, g, h] = self.text.to_le_bytes();
        let from = (self.text >> (8 * (SHORT - self.len) % 64)).to_le_bytes();
        let [a, b, c, d, ..] = from;
        if let Some(first) = room.first_chunk_mut::<4>() {
            *first = [a, b, c, d];
            if let Some(last) = room.last_chunk_mut::<4>() {
                *last = [e, f, g, h];
            }
        } else {
            room.iter_mut().zip(from).for_each(|(to, from)| *to = from);
        }
    }

    /// The text at the end of a word, and zeros before it.
    #[inline(always)]
    pub fn alone(self) -> u64 {
        self.text & u64::MAX << (8 * (SHORT - self.len) % 64)
    }

    /// Whether one of its bytes is the separator.
    #[inline(always)]
    pub fn has_soh(self) -> bool {
        has_soh(self.text)
    }
}

impl Long {
    /// The digits of a number of nine to sixteen.
    #[inline(always)]
    pub fn uint(number: u64) -> Option<Long> {
        if !(SHORT_LIMIT..LONG_LIMIT).contains(&number) {
            return None;
        }
        let (high, low) = (eight_digits(number / SHORT_LIMIT), eight_digits(number % SHORT_LIMIT));
        let len = LONG - zeros_before(high);
        let sum = sum_of_digits(high + low).wrapping_add(zeros_sum(len));
        Some(Long { text: joined(ZEROS | high, ZEROS | low), len, sum })
    }

    /// `product` with `scale` digits behind the point, where that is no [`Short`].
    #[inline(always)]
    pub fn scaled(product: u64, scale: u8) -> Option<Long> {
        if scale == 0 {
            return Long::uint(product);
        }
        if product >= LONG_LIMIT / 10 || usize::from(scale) > LONG - 2 {
            return None;
        }
        let before = LONG - 1 - usize::from(scale);
        let (high, low) =
            (eight_digits(product / SHORT_LIMIT), eight_digits(product % SHORT_LIMIT));
        let digits = joined(high, low);
        let below = (1u128 << (8 * before)) - 1;
        let whole = digits >> 8 & below;
        let point = below + 1;
        let fraction = digits & !below & !(0xff * point);
        let zeros = (whole | point).trailing_zeros() as usize / 8;
        let len = LONG - zeros.min(before - 1);
        let text = joined(ZEROS, ZEROS) & !(0xff * point) | whole | fraction;
        let text = text | (u128::from(b'.') * point);
        let sum = sum_of_digits(high + low).wrapping_add(zeros_sum(len - 1)).wrapping_add(b'.');
        (len > SHORT).then_some(Long { text, len, sum })
    }

    /// Its last eight bytes.
    #[inline(always)]
    pub fn end(self) -> u64 {
        let [_, last] = words(self.text);
        last
    }

    /// Writes the text to room of its length.
    #[inline(always)]
    pub fn write(self, room: &mut [u8]) {
        let [_, last] = words(self.text);
        let [first, _] = words(self.text >> (8 * (LONG - self.len)));
        if let Some(room) = room.first_chunk_mut::<SHORT>() {
            *room = first.to_le_bytes();
        }
        if let Some(room) = room.last_chunk_mut::<SHORT>() {
            *room = last.to_le_bytes();
        }
    }
}

/// Writes text of nine bytes or more to room of its length; its sum, and whether it holds the
/// separator.
#[inline(always)]
pub(super) fn copy_text(room: &mut [u8], text: &[u8]) -> (u8, bool) {
    let (mut sum, mut is_split) = (0u8, false);
    let (mut to, mut from) = (&mut *room, text);
    while from.len() > SHORT
        && let Some((place, rest_of_room)) = to.split_first_chunk_mut::<SHORT>()
        && let Some((word, rest)) = from.split_first_chunk::<SHORT>()
    {
        *place = *word;
        let word = u64::from_le_bytes(*word);
        sum = sum.wrapping_add(sum_of_word(word));
        is_split |= has_soh(word);
        (to, from) = (rest_of_room, rest);
    }
    if let (Some(to), Some(last)) = (room.last_chunk_mut::<SHORT>(), text.last_chunk::<SHORT>()) {
        *to = *last;
        // What the words before have summed falls out.
        let word = u64::from_le_bytes(*last) >> (8 * (SHORT - from.len().clamp(1, SHORT)));
        sum = sum.wrapping_add(sum_of_word(word));
        is_split |= has_soh(word);
    }
    (sum, is_split)
}

/// How many of the first bytes are 0.
#[inline(always)]
fn zeros_before(digits: u64) -> usize {
    digits.trailing_zeros() as usize / 8
}

/// The sum of digits, of values or of two values, a byte each.
#[inline(always)]
pub(super) fn sum_of_digits(values: u64) -> u8 {
    // Sixteen nines are 144: nothing is carried into the top byte.
    let [.., sum] = values.wrapping_mul(0x0101_0101_0101_0101).to_le_bytes();
    sum
}

/// The sum of so many zeros' texts.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "sums are modulo 256")]
fn zeros_sum(count: usize) -> u8 {
    ZERO.wrapping_mul(count as u8)
}

/// Whether one of the eight bytes is SOH.
#[inline(always)]
fn has_soh(word: u64) -> bool {
    const ONES: u64 = u64::from_le_bytes([super::SOH; SHORT]);
    // A byte that is SOH becomes 0, and only below a 0 does the subtraction borrow into a top bit that
    // was not set.
    let zero = word ^ ONES;
    zero.wrapping_sub(ONES) & !zero & (ONES << 7) != 0
}

/// The values of eight digits, a byte each, the greatest first in memory: halved three times, all
/// lanes at once. `number` has no more than eight.
#[inline(always)]
pub(super) fn eight_digits(number: u64) -> u64 {
    debug_assert!(number < SHORT_LIMIT, "nine digits");
    let fours = number / 10_000 + ((number % 10_000) << 32);
    // n × 10486 >> 20 is n / 100 below 10,000; n × 103 >> 10 is n / 10 below 100.
    let hundreds = fours.wrapping_mul(10_486) >> 20 & 0x0000_007f_0000_007f;
    // What is left of a lane goes beside it: (n - 100 h) << 16 | h, in one product.
    let twos = (fours << 16).wrapping_sub(hundreds.wrapping_mul((100 << 16) - 1));
    let tens = twos.wrapping_mul(103) >> 10 & 0x000f_000f_000f_000f;
    (twos << 8).wrapping_sub(tens.wrapping_mul((10 << 8) - 1))
}

/// The values of four digits in the last four bytes, the greatest first in memory. `number` has no more.
#[inline(always)]
pub(super) fn four_digits(number: u64) -> u64 {
    debug_assert!(number < 10_000, "five digits");
    // As of eight, with one lane.
    let hundreds = number.wrapping_mul(10_486) >> 20;
    let twos = (number << 16).wrapping_sub(hundreds.wrapping_mul((100 << 16) - 1));
    let tens = twos.wrapping_mul(103) >> 10 & 0x000f_000f;
    ((twos << 8).wrapping_sub(tens.wrapping_mul((10 << 8) - 1))) << 32
}

/// Sixteen bytes of which `first` come first in memory.
#[inline(always)]
fn joined(first: u64, last: u64) -> u128 {
    u128::from(first) | u128::from(last) << 64
}

/// The two halves, the first in memory first.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "each half is what is asked for")]
const fn words(text: u128) -> [u64; 2] {
    [text as u64, (text >> 64) as u64]
}

#[cfg(test)]
mod tests {
    use super::super::value::NumberText;
    use super::*;
    use ballast_engine::units::Decimal;
    use proptest::prelude::*;

    fn short(word: Short) -> Vec<u8> {
        let mut room = vec![b'x'; word.len];
        word.write(&mut room);
        assert_eq!(word.sum, room.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
        room
    }

    fn long(word: Long) -> Vec<u8> {
        let mut room = vec![b'x'; word.len];
        word.write(&mut room);
        assert_eq!(word.sum, room.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
        room
    }

    #[test]
    fn every_four_digits_and_every_power_of_ten_are_written_right() {
        let powers = (0..8).flat_map(|n| [10u64.pow(n) - 1, 10u64.pow(n), 10u64.pow(n) + 1]);
        for number in (0..10_000).chain((0..10_000).map(|n| n * 10_000 + 7)).chain(powers) {
            let word = Short::uint(number).unwrap();
            assert_eq!(short(word), NumberText::uint(number).as_bytes(), "{number}");
        }
        assert_eq!(Short::uint(SHORT_LIMIT), None);
        assert_eq!((Long::uint(SHORT_LIMIT - 1), Long::uint(LONG_LIMIT)), (None, None));
        for number in [SHORT_LIMIT, 7_696_581_394_432_000, LONG_LIMIT - 1] {
            assert_eq!(long(Long::uint(number).unwrap()), NumberText::uint(number).as_bytes());
        }
    }

    #[test]
    fn text_of_every_length_is_copied_and_summed_and_a_separator_is_seen_at_every_place() {
        let text: Vec<u8> = (0..40u8).map(|n| n.wrapping_mul(67) | 2).collect();
        for len in 1..=40usize {
            let value = &text[..len];
            let sum = value.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
            let mut room = vec![0; len];
            let told = match len <= SHORT {
                true => {
                    let word = Short::text(value);
                    word.write(&mut room);
                    (word.sum, word.has_soh())
                }
                false => copy_text(&mut room, value),
            };
            assert_eq!((told, &*room), ((sum, false), value), "{len}");
            for place in 0..len {
                let mut split = value.to_vec();
                split[place] = 1;
                let is_seen = match len <= SHORT {
                    true => Short::text(&split).has_soh(),
                    false => copy_text(&mut room, &split).1,
                };
                assert!(is_seen, "{place} of {len}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_fits_is_what_the_slow_way_writes(
            digits in 0u32..18,
            part: u64,
            scale in 0u8..=18,
        ) {
            let product = part % 10u64.pow(digits);
            let unit = Decimal { mantissa: 1, scale };
            let slow = NumberText::decimal(i64::try_from(product).unwrap(), unit);
            let slow = slow.as_bytes();
            match (Frame::of(scale).short(product), Long::scaled(product, scale)) {
                (Some(word), _) => prop_assert_eq!(short(word), slow),
                (None, Some(word)) => prop_assert_eq!(long(word), slow),
                (None, None) => prop_assert!(slow.len() > LONG, "{:?}", slow),
            }
            prop_assert_eq!(Frame::of(scale).short(product).is_some(), slow.len() <= SHORT);
        }

        #[test]
        fn any_number_of_eight_digits_is_written_right(number in 0..SHORT_LIMIT) {
            let word = Short::uint(number).unwrap();
            let slow = NumberText::uint(number);
            prop_assert_eq!(short(word), slow.as_bytes());
        }
    }
}
