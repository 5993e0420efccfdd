//! Decimal text to ticks and lots in one pass: what every price that arrives goes through.
//!
//! Fed by both stages with the bytes of Price(44), MDEntryPx(270) and the like; feeds them with exact
//! counts. Either thread; immutable. It answers as `Decimal::parse` and `count_of` do (a test holds
//! it to them) without their two 128-bit divisions. Deliberately absent: rounding without its
//! rounding in the name, and writing: the codec's templates do that.

use ballast_engine::digits;
use ballast_engine::units::{Decimal, DecimalError};

/// By how many digits a step is finer than a text of a word.
const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// A step: `mantissa × 10^-scale`, greater than zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grid {
    mantissa: i64,
    scale: u8,
}

impl Grid {
    /// The grid of a validated instrument's tick or lot. `None` where the step is not positive.
    pub fn new(step: Decimal) -> Option<Grid> {
        (step.mantissa > 0 && step.scale <= Decimal::SCALE_MAX)
            .then_some(Grid { mantissa: step.mantissa, scale: step.scale })
    }

    /// The step.
    pub fn step(&self) -> Decimal {
        Decimal { mantissa: self.mantissa, scale: self.scale }
    }

    /// How many steps `text` is; an error off the grid.
    #[inline]
    pub fn count(&self, text: &[u8]) -> Result<i64, DecimalError> {
        // All digits of a step of one: what hot messages hold.
        if self.mantissa == 1
            && let Some(count) = digits::short_fixed(text, self.scale)
        {
            return Ok(count.cast_signed());
        }
        self.count_short(text)
    }

    /// Eight characters at once, no finer than a step of one.
    #[inline(never)]
    fn count_short(&self, text: &[u8]) -> Result<i64, DecimalError> {
        if self.mantissa == 1
            && let Some((digits, scale)) = digits::short_decimal(text)
            && let Some(finer) = self.scale.checked_sub(scale)
            && let Some(power) = POWERS.get(usize::from(finer))
        {
            // Below 10^8 times at most 10^8.
            return Ok(digits.wrapping_mul(*power).cast_signed());
        }
        self.count_slowly(text)
    }

    /// Any text, one character after the other.
    #[inline(never)]
    fn count_slowly(&self, text: &[u8]) -> Result<i64, DecimalError> {
        match self.units(text) {
            Some(units) if self.mantissa == 1 => Ok(units),
            Some(units) if units % self.mantissa == 0 => Ok(units / self.mantissa),
            Some(_) => Err(DecimalError::OffGrid),
            // More digits than the step has, too many for 64 bits, or no number: the exact way.
            None => Decimal::parse(text)?.count_of(self.step()),
        }
    }

    /// The step at or below `text` where it lies between two.
    pub fn count_floor(&self, text: &[u8]) -> Result<i64, DecimalError> {
        let number = Decimal::parse(text)?;
        let power = |scale: u8| 10i128.checked_pow(u32::from(scale));
        let numerator = power(self.scale).and_then(|p| p.checked_mul(i128::from(number.mantissa)));
        let divisor = power(number.scale).and_then(|p| p.checked_mul(i128::from(self.mantissa)));
        let (Some(numerator), Some(divisor)) = (numerator, divisor) else {
            return Err(DecimalError::TooManyDigits);
        };
        i64::try_from(numerator.div_euclid(divisor)).map_err(|_| DecimalError::TooManyDigits)
    }

    /// The number in units of 10^-scale, where it has no digit beyond and fits.
    fn units(&self, text: &[u8]) -> Option<i64> {
        let (is_negative, digits) = match text.split_first()? {
            (b'-', rest) => (true, rest),
            _ => (false, text),
        };
        let mut value: i64 = 0;
        let mut decimals: u8 = 0;
        let mut has_point = false;
        let mut has_digit = false;
        for &byte in digits {
            match byte {
                b'0'..=b'9' if has_point && decimals == self.scale => {
                    has_digit = true;
                    if byte != b'0' {
                        return None;
                    }
                }
                b'0'..=b'9' => {
                    has_digit = true;
                    value = value.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
                    decimals += u8::from(has_point);
                }
                b'.' if !has_point => has_point = true,
                _ => return None,
            }
        }
        if !has_digit {
            return None;
        }
        for _ in decimals..self.scale {
            value = value.checked_mul(10)?;
        }
        Some(if is_negative { -value } else { value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grid(step: &str) -> Grid {
        Grid::new(step.parse().unwrap()).unwrap()
    }

    #[test]
    fn texts_of_real_venues_convert_exactly() {
        assert_eq!(grid("0.01").count(b"61685.99000000"), Ok(6_168_599));
        assert_eq!(grid("0.25").count(b"-0.5"), Ok(-2));
        assert_eq!(grid("0.25").count(b"3235.3"), Err(DecimalError::OffGrid));
        assert_eq!(grid("10").count(b"60250"), Ok(6_025));
        assert_eq!(grid("1").count(b"7."), Ok(7));
        assert_eq!(grid("0.00001").count(b".00001"), Ok(1));
        for wrong in [&b""[..], b"-", b".", b"1e5", b"+1", b"1,0"] {
            assert_eq!(grid("0.01").count(wrong), Err(DecimalError::NotANumber));
        }
    }

    #[test]
    fn a_price_between_ticks_rounds_down_by_name() {
        assert_eq!(grid("0.25").count_floor(b"3235.3"), Ok(12_941));
        assert_eq!(grid("0.25").count_floor(b"-0.3"), Ok(-2));
        assert_eq!(grid("0.25").count_floor(b"0.5"), Ok(2));
    }

    #[test]
    fn short_texts_of_every_scale_answer_as_the_engines_decimal_does() {
        for scale in 0..=9u8 {
            let step = Decimal { mantissa: 1, scale };
            let grid = Grid::new(step).unwrap();
            for text in
                ["60000.00", "0.40000", "7.5", ".5", "5.", ".", "0", "12345678", "-1.25", "1.2.3"]
            {
                for (from, to) in
                    (0..text.len()).flat_map(|a| (a..=text.len()).map(move |b| (a, b)))
                {
                    let text = &text.as_bytes()[from..to];
                    let expected = Decimal::parse(text).and_then(|d| d.count_of(step));
                    assert_eq!(grid.count(text), expected, "{text:?} {scale}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn it_answers_as_the_engines_decimal_does(
            text in "-?[0-9]{0,12}(\\.[0-9]{0,10})?",
            mantissa in prop_oneof![Just(1i64), 1i64..1000],
            scale in 0u8..10,
        ) {
            let step = Decimal { mantissa, scale };
            let expected = Decimal::parse(text.as_bytes()).and_then(|d| d.count_of(step));
            prop_assert_eq!(Grid::new(step).unwrap().count(text.as_bytes()), expected);
        }
    }
}
