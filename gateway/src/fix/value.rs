//! Field values: text to numbers, and numbers to text on the stack.
//!
//! Fed by messages and the dictionary's checks (reading) and by the encoders (writing). Any thread,
//! no allocation. Prices and sizes are exact [`Decimal`]s; floating point is deliberately absent.

use ballast_engine::digits;
use ballast_engine::units::Decimal;

/// Sign, digits and point of the longest decimal: 63 × 63 bits, or 19 digits.
const DECIMAL_LEN_MAX: usize = 42;

/// Digits only; leading zeros are legal (FIX 4.4 Volume 1, "int").
#[inline]
pub fn parse_uint(text: &[u8]) -> Option<u64> {
    if text.len() <= digits::LONG_MAX {
        return digits::short_uint(text);
    }
    parse_long(text)
}

/// More digits than two words hold, and perhaps than fit.
#[cold]
fn parse_long(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        let number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
        (digit < 10).then_some(number)
    })
}

/// An optional minus, then digits.
#[inline]
pub fn parse_int(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        Some(digits) => 0i64.checked_sub_unsigned(parse_uint(digits)?),
        None => i64::try_from(parse_uint(text)?).ok(),
    }
}

/// `Y` or `N`.
#[inline]
pub fn parse_bool(text: &[u8]) -> Option<bool> {
    match text {
        b"Y" => Some(true),
        b"N" => Some(false),
        _ => None,
    }
}

/// One byte that is not SOH.
#[inline]
pub fn parse_char(text: &[u8]) -> Option<u8> {
    match text {
        [byte] if *byte != super::SOH => Some(*byte),
        _ => None,
    }
}

/// A number as text, on the stack, right-aligned in its room.
#[derive(Clone, Copy)]
pub struct NumberText {
    room: [u8; DECIMAL_LEN_MAX],
    start: usize,
}

impl NumberText {
    /// The digits of `number`.
    #[inline]
    pub fn uint(number: u64) -> NumberText {
        let mut text = NumberText::empty();
        text.push_digits(number, 1);
        text
    }

    /// The digits of `number`, with a minus where it is negative.
    #[inline]
    pub fn int(number: i64) -> NumberText {
        let mut text = NumberText::empty();
        text.push_digits(number.unsigned_abs(), 1);
        if number < 0 {
            text.push(b'-');
        }
        text
    }

    /// `count × unit`, exactly, with the unit's digits behind the point: 6168599 × 0.01 is
    /// `61685.99`.
    #[inline]
    pub fn decimal(count: i64, unit: Decimal) -> NumberText {
        let mut text = NumberText::empty();
        match count.checked_mul(unit.mantissa) {
            Some(product) => {
                text.push_scaled(product.unsigned_abs(), unit.scale);
                if product < 0 {
                    text.push(b'-');
                }
            }
            None => text.push_wide(i128::from(count) * i128::from(unit.mantissa), unit.scale),
        }
        text
    }

    /// The text.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.room.get(self.start..).unwrap_or_default()
    }

    #[inline]
    const fn empty() -> NumberText {
        NumberText { room: [b'0'; DECIMAL_LEN_MAX], start: DECIMAL_LEN_MAX }
    }

    /// Puts one byte before the text so far. The room holds the longest number there is.
    #[inline]
    fn push(&mut self, byte: u8) {
        if let Some(at) = self.start.checked_sub(1)
            && let Some(slot) = self.room.get_mut(at)
        {
            *slot = byte;
            self.start = at;
        }
    }

    /// The digits of `number`, at least `least` of them.
    #[inline]
    fn push_digits(&mut self, mut number: u64, least: usize) {
        let mut count = 0;
        while number > 0 || count < least {
            self.push(digit_of(number % 10));
            number /= 10;
            count += 1;
        }
    }

    #[inline]
    fn push_scaled(&mut self, number: u64, scale: u8) {
        if scale == 0 {
            return self.push_digits(number, 1);
        }
        let mut rest = number;
        for _ in 0..scale {
            self.push(digit_of(rest % 10));
            rest /= 10;
        }
        self.push(b'.');
        self.push_digits(rest, 1);
    }

    /// A product beyond 63 bits: no real price gets here, but it is still written exactly.
    #[cold]
    fn push_wide(&mut self, product: i128, scale: u8) {
        let mut rest = product.unsigned_abs();
        let mut digits = 0u8;
        while rest > 0 || digits <= scale {
            if digits == scale && scale > 0 {
                self.push(b'.');
            }
            self.push(digit_of(u64::try_from(rest % 10).unwrap_or(0)));
            rest /= 10;
            digits += 1;
        }
        if product < 0 {
            self.push(b'-');
        }
    }
}

/// The character of a digit.
#[inline]
fn digit_of(digit: u64) -> u8 {
    debug_assert!(digit < 10, "a remainder of 10");
    b'0' + u8::try_from(digit).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(count: i64, unit: &str) -> String {
        let text = NumberText::decimal(count, unit.parse().unwrap());
        String::from_utf8(text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn numbers_parse_at_their_edges_and_not_beyond() {
        assert_eq!(parse_uint(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_uint(b"18446744073709551616"), None);
        assert_eq!(parse_uint(b"00000000000000000000000023"), Some(23));
        assert_eq!(parse_int(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_int(b"9223372036854775808"), None);
        for text in [&b""[..], b"-", b"+1", b"1 ", b"1.0", b"\x01"] {
            assert_eq!((parse_uint(text), parse_int(text)), (None, None));
        }
    }

    #[test]
    fn a_char_is_one_byte_and_a_boolean_is_y_or_n() {
        assert_eq!(
            (parse_char(b"D"), parse_char(b"AE"), parse_char(b"")),
            (Some(b'D'), None, None)
        );
        assert_eq!(
            (parse_bool(b"Y"), parse_bool(b"N"), parse_bool(b"y")),
            (Some(true), Some(false), None)
        );
    }

    #[test]
    fn a_count_of_units_prints_exactly() {
        assert_eq!(decimal(6_168_599, "0.01"), "61685.99");
        assert_eq!(decimal(-1, "0.00001"), "-0.00001");
        assert_eq!(decimal(3, "0.25"), "0.75");
        assert_eq!(decimal(0, "0.1"), "0.0");
        assert_eq!(decimal(i64::MIN, "5"), "-46116860184273879040");
        assert_eq!(decimal(i64::MAX, "0.5"), "4611686018427387903.5");
    }

    proptest! {
        #[test]
        fn numbers_survive_text(number: u64, signed: i64) {
            prop_assert_eq!(parse_uint(NumberText::uint(number).as_bytes()), Some(number));
            prop_assert_eq!(parse_int(NumberText::int(signed).as_bytes()), Some(signed));
        }

        #[test]
        fn decimals_print_as_the_engine_prints_them(count: i64, mantissa: i64, scale in 0u8..=18) {
            let unit = Decimal { mantissa, scale };
            let text = NumberText::decimal(count, unit);
            let expected = Decimal::text_of(count, unit);
            prop_assert_eq!(text.as_bytes(), expected.as_bytes());
        }
    }
}
