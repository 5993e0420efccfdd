//! Decimal digits, eight at a time: text as a word, one byte a digit, and the number that it says.
//!
//! Feeds whatever reads numbers out of text: prices and sizes here, counts, times and tags in the
//! gateway. Any thread, hot. No loop and no branch on what the digits are; a word holds one to eight of
//! them at its end, the last in the highest byte, and zeros before them. Deliberately absent: signs, and
//! numbers of more than sixteen characters.

/// Bytes of a word.
pub const WORD: usize = 8;
/// The longest text that is read here.
pub const LONG_MAX: usize = 2 * WORD;
/// The first number of nine digits.
pub const WORD_LIMIT: u64 = 100_000_000;
const ONES: u64 = 0x0101_0101_0101_0101;
/// The top bit of each byte.
const HIGH: u64 = ONES << 7;
/// What a point is less `'0'`, bit by bit.
const POINT: u64 = (b'.' ^ b'0') as u64;

/// The bytes of up to eight characters, each less `'0'`: below ten where it is a digit. Of more, the
/// last eight.
#[inline(always)]
pub fn values_of(text: &[u8]) -> u64 {
    const ZEROS: u64 = ONES * b'0' as u64;
    if let Some(word) = text.last_chunk::<WORD>() {
        return u64::from_le_bytes(*word) ^ ZEROS;
    }
    // Below eight: what is before the text stays 0.
    let missing = 8 * (WORD - text.len());
    let word = if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>())
    {
        let first = u64::from(u32::from_le_bytes(*first)) << missing;
        u64::from(u32::from_le_bytes(*last)) << 32 | first
    } else {
        match *text {
            [a, b, c] => u64::from_le_bytes([0, 0, 0, 0, 0, a, b, c]),
            [a, b] => u64::from_le_bytes([0, 0, 0, 0, 0, 0, a, b]),
            [a] => u64::from(a) << 56,
            _ => return 0,
        }
    };
    word ^ ZEROS << missing
}

/// The top bit of each byte that is no digit, where all bytes before it are digits.
#[inline(always)]
pub const fn no_digits(values: u64) -> u64 {
    // 0x76 and 10 are 0x80; a digit carries nothing into the next byte.
    (values.wrapping_add(ONES * 0x76) | values) & HIGH
}

/// The number that eight digits say, the first in the lowest byte.
#[inline(always)]
pub const fn number_of(digits: u64) -> u64 {
    let fours = (pairs_of(digits).wrapping_mul((100 << 16) + 1) >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul((10_000 << 32) + 1) >> 32
}

/// The four numbers that pairs of eight digits say, in two bytes each.
#[inline(always)]
pub const fn pairs_of(digits: u64) -> u64 {
    (digits.wrapping_mul((10 << 8) + 1) >> 8) & 0x00ff_00ff_00ff_00ff
}

/// The number that one to sixteen digits say; `None` of anything else, also of more.
#[inline(always)]
pub fn short_uint(text: &[u8]) -> Option<u64> {
    let (before, last) = match text.len().checked_sub(WORD) {
        None => (&[][..], text),
        Some(before) if before <= WORD => text.split_at_checked(before)?,
        Some(_) => return None,
    };
    if last.is_empty() {
        return None;
    }
    let low = values_of(last);
    if before.is_empty() {
        return (no_digits(low) == 0).then(|| number_of(low));
    }
    let high = values_of(before);
    let is_number = no_digits(low) == 0 && no_digits(high) == 0;
    is_number.then(|| number_of(high) * WORD_LIMIT + number_of(low))
}

/// Digits with at most one point, one to eight characters, as mantissa and digits behind the point,
/// without zeros at the end of those. `None` of anything else, also of more.
#[inline(always)]
pub fn short_decimal(text: &[u8]) -> Option<(u64, u8)> {
    if text.len() > WORD {
        return None;
    }
    let values = values_of(text);
    let points = no_digits(values);
    if points == 0 {
        return (!text.is_empty()).then(|| (number_of(values), 0));
    }
    // The lowest one is exact.
    let at = points.trailing_zeros() & !7;
    let is_point = values >> at & 0xff == POINT;
    if !is_point || points & points.wrapping_sub(1) != 0 || text.len() < 2 {
        return None;
    }
    let from_point = u64::MAX << at;
    let digits = (values & !from_point) << 8 | values & (from_point << 8);
    // Zeros behind the point carry nothing.
    let scale = 56 - at;
    let zeros = (digits.leading_zeros() & !7).min(scale);
    Some((number_of(digits << zeros), byte_of((scale - zeros) / 8)))
}

/// Digits with a point before the last `scale` of them, one to six: all of them as a number. `None` of
/// anything else, also of more than eight characters.
#[inline(always)]
pub fn short_fixed(text: &[u8], scale: u8) -> Option<u64> {
    if text.len() > WORD || !(1..=6).contains(&scale) {
        return None;
    }
    let values = values_of(text);
    let at = 56 - 8 * u32::from(scale);
    let fraction = u64::MAX << 8 << at;
    // The whole part moves to the fraction, over the point.
    let digits = values << 8 & !fraction | values & fraction;
    let is_point = values >> at & 0xff == POINT;
    (is_point && no_digits(digits) == 0).then(|| number_of(digits))
}

/// The same of nine to sixteen characters.
#[inline]
pub fn long_decimal(text: &[u8]) -> Option<(u64, u8)> {
    if !(WORD + 1..=LONG_MAX).contains(&text.len()) {
        return None;
    }
    let (before, last) = text.split_at_checked(text.len() - WORD)?;
    let (high, low) = (values_of(before), values_of(last));
    let (points, low_points) = (no_digits(high), no_digits(low));
    if points | low_points == 0 {
        return Some((number_of(high) * WORD_LIMIT + number_of(low), 0));
    }
    let values = u128::from(high) | u128::from(low) << 64;
    let points = u128::from(points) | u128::from(low_points) << 64;
    let at = points.trailing_zeros() & !7;
    let is_point = values >> at & 0xff == u128::from(POINT);
    if !is_point || points & points.wrapping_sub(1) != 0 {
        return None;
    }
    let from_point = u128::MAX << at;
    let digits = (values & !from_point) << 8 | values & (from_point << 8);
    let scale = 120 - at;
    let zeros = (digits.leading_zeros() & !7).min(scale);
    let digits = digits << zeros;
    let mantissa = number_of(low_half(digits)) * WORD_LIMIT + number_of(low_half(digits >> 64));
    Some((mantissa, byte_of((scale - zeros) / 8)))
}

#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
const fn low_half(word: u128) -> u64 {
    word as u64
}

#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "a count of digits, below sixteen")]
const fn byte_of(count: u32) -> u8 {
    count as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One digit at a time.
    fn plain(text: &[u8]) -> Option<(u64, u8)> {
        let (mut mantissa, mut scale, mut has_point, mut digits) = (0u64, 0u8, false, 0);
        for byte in text {
            match byte {
                b'0'..=b'9' => {
                    mantissa = mantissa * 10 + u64::from(byte - b'0');
                    scale += u8::from(has_point);
                    digits += 1;
                }
                b'.' if !has_point => has_point = true,
                _ => return None,
            }
        }
        while scale > 0 && mantissa.is_multiple_of(10) {
            (mantissa, scale) = (mantissa / 10, scale - 1);
        }
        (digits > 0).then_some((mantissa, scale))
    }

    fn decimal(text: &[u8]) -> Option<(u64, u8)> {
        short_decimal(text).or_else(|| long_decimal(text))
    }

    #[test]
    fn with_its_point_where_it_is_expected_a_number_is_all_its_digits() {
        for scale in 0..=9u8 {
            for len in 0..=9usize {
                for at in 0..len {
                    for byte in 0..=255u8 {
                        let mut text = b"908172630"[..len].to_vec();
                        if let Some(point) = len.checked_sub(usize::from(scale) + 1) {
                            text[point] = b'.';
                        }
                        text[at] = byte;
                        let split = text.iter().position(|byte| *byte == b'.');
                        let is_fixed = split.is_some_and(|at| len - at - 1 == usize::from(scale));
                        let expected = plain(&text)
                            .filter(|_| is_fixed && len <= WORD && (1..=6).contains(&scale))
                            .map(|(number, has)| number * 10u64.pow(u32::from(scale - has)));
                        assert_eq!(short_fixed(&text, scale), expected, "{text:?} {scale}");
                    }
                }
            }
        }
    }

    #[test]
    fn each_byte_at_each_place_of_each_length_is_judged_right() {
        for len in 0..=16usize {
            for at in 0..len {
                for byte in 0..=255u8 {
                    let mut text = b"9081726354091827"[..len].to_vec();
                    text[at] = byte;
                    assert_eq!(decimal(&text), plain(&text), "{text:?}");
                    let is_uint = text.iter().all(u8::is_ascii_digit);
                    let uint = plain(&text).filter(|_| is_uint).map(|(number, _)| number);
                    assert_eq!(short_uint(&text), uint, "{text:?}");
                }
            }
        }
        assert_eq!((short_uint(b""), decimal(b"")), (None, None));
        assert_eq!((short_uint(&[b'1'; 17]), decimal(&[b'1'; 17])), (None, None));
    }

    proptest! {
        #[test]
        fn numbers_are_what_their_digits_say_one_by_one(text in "[0-9]{0,9}[.]?[0]{0,4}[0-9]{0,9}") {
            let text = text.as_bytes();
            if text.len() <= 16 {
                prop_assert_eq!(decimal(text), plain(text));
            }
        }

        #[test]
        fn noise_is_no_number(text in proptest::collection::vec(0x2au8..0x40, 0..17)) {
            prop_assert_eq!(decimal(&text), plain(&text));
        }
    }
}
