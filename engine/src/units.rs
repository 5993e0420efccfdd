//! What is counted: prices, sizes, money, exposure and time, each in a type of its own.
//!
//! Fed by instruments (which know the grid) and by everything that reads decimal text; feeds every
//! other file. Any thread. Deliberately absent: floating point, and any conversion that rounds
//! without its rounding in the name.

use crate::digits;
use thiserror::Error;

/// A price, as a count of the instrument's tick size. Negative is legal (spreads, rates).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Ticks(pub i64);

/// A size, as a count of the instrument's lot size; in positions, positive is long.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Lots(pub i64);

/// Money, as a count of 1e-9 of a currency that the context names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Notional(pub i128);

/// Exposure, as a count of 1e-9 of one unit of the underlying (1e-9 BTC), + long.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Exposure(pub i64);

/// Time, as nanoseconds since the Unix epoch, UTC. In a backtest: the recording's time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Nanos(pub u64);

/// A price between ticks: a count of 2^-32 tick. Fair values, reservation prices and half-spreads
/// live here until a quote is rounded to [`Ticks`] with the rounding of its side.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct SubTicks(pub i64);

/// A fee as a count of 1e-9 of the traded value; negative is a rebate. 10 bps is 1,000,000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct FeeRate(pub i64);

/// The raw counter of an event's arrival (a TSC value where the host has one, else nanoseconds).
/// Only differences between stamps of one process mean anything; 0 says "not stamped".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Stamp(pub u64);

/// Which side of the book an order or a level is on (FIX Side(54): 1 and 2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Side {
    /// Bids; an aggressor that buys.
    Buy,
    /// Asks; an aggressor that sells.
    Sell,
}

impl Side {
    /// Both sides, in the order in which they are always visited.
    pub const BOTH: [Side; 2] = [Side::Buy, Side::Sell];

    /// The other side.
    pub const fn opposite(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }

    /// +1 for a buy, −1 for a sell: what a fill does to a position.
    pub const fn sign(self) -> i64 {
        match self {
            Side::Buy => 1,
            Side::Sell => -1,
        }
    }

    /// 0 for a buy, 1 for a sell: an index into a pair of tables.
    pub const fn index(self) -> usize {
        match self {
            Side::Buy => 0,
            Side::Sell => 1,
        }
    }
}

impl SubTicks {
    /// Binary digits behind the point.
    pub const FRACTION_BITS: u32 = 32;
    /// One whole tick.
    pub const ONE: SubTicks = SubTicks(1 << Self::FRACTION_BITS);

    /// A whole number of ticks; saturates beyond ±2^31 ticks, which no validated instrument reaches.
    pub const fn from_ticks(ticks: Ticks) -> SubTicks {
        SubTicks(ticks.0.saturating_mul(Self::ONE.0))
    }

    /// The tick at or below: how a bid rounds.
    pub const fn floor(self) -> Ticks {
        Ticks(self.0 >> Self::FRACTION_BITS)
    }

    /// The tick at or above: how an ask rounds.
    pub const fn ceil(self) -> Ticks {
        Ticks(self.0.saturating_add(Self::ONE.0 - 1) >> Self::FRACTION_BITS)
    }

    /// `self + other`, stopping at the integer's edge.
    pub const fn saturating_add(self, other: SubTicks) -> SubTicks {
        SubTicks(self.0.saturating_add(other.0))
    }

    /// `self − other`, stopping at the integer's edge.
    pub const fn saturating_sub(self, other: SubTicks) -> SubTicks {
        SubTicks(self.0.saturating_sub(other.0))
    }
}

impl Nanos {
    /// Time since `earlier`, 0 where `earlier` is later: clocks of two hosts may disagree.
    pub const fn since(self, earlier: Nanos) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `self + ns`, stopping at the end of time.
    pub const fn plus(self, ns: u64) -> Nanos {
        Nanos(self.0.saturating_add(ns))
    }
}

/// An exact decimal number: `mantissa × 10^-scale`. What FIX, TOML and recordings write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Decimal {
    /// All digits, as one integer.
    pub mantissa: i64,
    /// How many of them stand behind the point; at most [`Decimal::SCALE_MAX`].
    pub scale: u8,
}

/// Why a decimal text or a decimal number was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum DecimalError {
    /// The text is empty or holds something that is neither digit, sign nor one point.
    #[error("is not a decimal number; write digits with at most one point")]
    NotANumber,
    /// More digits than 18 behind the point, or than fit into 63 bits.
    #[error("has more digits than Ballast counts exactly; at most 18")]
    TooManyDigits,
    /// The number is not a whole multiple of the tick or lot.
    #[error("is off the grid: not a whole multiple of the tick or lot size")]
    OffGrid,
}

impl Decimal {
    /// Most digits behind the point.
    pub const SCALE_MAX: u8 = 18;

    /// Parses FIX float text: an optional minus, digits, at most one point. No exponent, no blanks.
    #[inline(always)]
    pub fn parse(text: &[u8]) -> Result<Decimal, DecimalError> {
        match digits::short_decimal(text) {
            Some((mantissa, scale)) => Ok(Decimal { mantissa: mantissa.cast_signed(), scale }),
            None => Self::parse_any(text),
        }
    }

    /// What is negative, longer than a word, or no number.
    #[inline(never)]
    fn parse_any(text: &[u8]) -> Result<Decimal, DecimalError> {
        let (is_negative, text) = match text.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if text.len() > digits::LONG_MAX {
            return Self::parse_long(text, is_negative);
        }
        let read = digits::short_decimal(text).or_else(|| digits::long_decimal(text));
        let (mantissa, scale) = read.ok_or(DecimalError::NotANumber)?;
        let mantissa = mantissa.cast_signed();
        Ok(Decimal { mantissa: if is_negative { -mantissa } else { mantissa }, scale })
    }

    /// More characters than two words hold, and perhaps than always fit.
    #[cold]
    fn parse_long(digits: &[u8], is_negative: bool) -> Result<Decimal, DecimalError> {
        let mut mantissa: i64 = 0;
        let mut scale: u8 = 0;
        let mut has_point = false;
        let mut has_digit = false;
        // Trailing zeros behind the point carry nothing; skipping them keeps "3.78826000" small.
        let mut zeros: u8 = 0;
        for &byte in digits {
            match byte {
                b'0' if has_point => {
                    has_digit = true;
                    zeros = zeros.checked_add(1).ok_or(DecimalError::TooManyDigits)?;
                }
                b'0'..=b'9' => {
                    has_digit = true;
                    for _ in 0..zeros {
                        mantissa = mantissa.checked_mul(10).ok_or(DecimalError::TooManyDigits)?;
                    }
                    scale = scale.saturating_add(zeros);
                    zeros = 0;
                    mantissa = mantissa
                        .checked_mul(10)
                        .and_then(|m| m.checked_add(i64::from(byte - b'0')))
                        .ok_or(DecimalError::TooManyDigits)?;
                    scale = scale.saturating_add(u8::from(has_point));
                    if scale > Self::SCALE_MAX {
                        return Err(DecimalError::TooManyDigits);
                    }
                }
                b'.' if !has_point => has_point = true,
                _ => return Err(DecimalError::NotANumber),
            }
        }
        if !has_digit {
            return Err(DecimalError::NotANumber);
        }
        Ok(Decimal { mantissa: if is_negative { -mantissa } else { mantissa }, scale })
    }

    /// How many whole `unit`s this number is; an error where it is not a whole multiple.
    #[inline]
    pub fn count_of(self, unit: Decimal) -> Result<i64, DecimalError> {
        // A price with no more digits than its tick has, on a tick of one: what hot messages hold.
        let finer = unit.scale.checked_sub(self.scale).map(usize::from);
        if unit.mantissa == 1
            && let Some(power) = finer.and_then(|digits| POWERS_OF_10.get(digits))
            && let Some(count) = self.mantissa.checked_mul(*power)
        {
            return Ok(count);
        }
        self.count_of_any(unit)
    }

    fn count_of_any(self, unit: Decimal) -> Result<i64, DecimalError> {
        // value/unit = m1·10^s2 / (m2·10^s1)
        let numerator = i128::from(self.mantissa)
            .checked_mul(pow10(unit.scale).ok_or(DecimalError::TooManyDigits)?)
            .ok_or(DecimalError::TooManyDigits)?;
        let denominator = i128::from(unit.mantissa)
            .checked_mul(pow10(self.scale).ok_or(DecimalError::TooManyDigits)?)
            .ok_or(DecimalError::TooManyDigits)?;
        if denominator == 0 {
            return Err(DecimalError::NotANumber);
        }
        if numerator % denominator != 0 {
            return Err(DecimalError::OffGrid);
        }
        i64::try_from(numerator / denominator).map_err(|_| DecimalError::TooManyDigits)
    }

    /// `count × unit`, as text with the unit's digits: 6168599 × 0.01 is "61685.99".
    pub fn text_of(count: i64, unit: Decimal) -> String {
        decimal_text(i128::from(count) * i128::from(unit.mantissa), unit.scale)
    }
}

/// `mantissa × 10^-scale` as text, all digits behind the point written out.
pub fn decimal_text(mantissa: i128, scale: u8) -> String {
    let sign = if mantissa < 0 { "-" } else { "" };
    let digits = mantissa.unsigned_abs().to_string();
    let scale = usize::from(scale);
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

impl Notional {
    /// Units of 1e-9 in one unit of a currency.
    pub const SCALE: i128 = 1_000_000_000;
}

impl std::fmt::Display for Notional {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&decimal_text(self.0, 9))
    }
}

impl std::fmt::Display for Exposure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&decimal_text(i128::from(self.0), 9))
    }
}

impl std::str::FromStr for Decimal {
    type Err = DecimalError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Decimal::parse(text.as_bytes())
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&decimal_text(i128::from(self.mantissa), self.scale))
    }
}

/// What an i64 holds of them, in order.
const POWERS_OF_10: [i64; 19] = {
    let mut powers = [1; 19];
    let mut rest: &mut [i64] = &mut powers;
    let mut power = 1;
    while let [first, others @ ..] = rest {
        *first = power;
        power = power.wrapping_mul(10);
        rest = others;
    }
    powers
};

/// 10^exponent, or `None` where no [`Decimal`] has that many digits.
const fn pow10(exponent: u8) -> Option<i128> {
    if exponent > Decimal::SCALE_MAX {
        return None;
    }
    let mut power = 1i128;
    let mut i = 0;
    while i < exponent {
        power *= 10;
        i += 1;
    }
    Some(power)
}

/// The value of `size` at `price`, or `None` where the product does not fit; the risk gate treats
/// that as over the limit.
pub fn notional(price: Ticks, size: Lots, nano_per_tick_lot: i64) -> Option<Notional> {
    let tick_lots = i128::from(price.0).checked_mul(i128::from(size.0))?;
    tick_lots.checked_mul(i128::from(nano_per_tick_lot)).map(Notional)
}

/// `a + b`, saturating. What is traded never comes near the integer's edge: here that costs one jump that is
/// never taken, where `saturating_add` is six instructions.
#[inline(always)]
pub(crate) fn more(a: i64, b: i64) -> i64 {
    match a.checked_add(b) {
        Some(sum) => sum,
        None => edge(b),
    }
}

/// `a - b`, likewise.
#[inline(always)]
pub(crate) fn less(a: i64, b: i64) -> i64 {
    match a.checked_sub(b) {
        Some(difference) => difference,
        None => edge(b.saturating_neg()),
    }
}

/// The end of the integers that a sum beyond it is held at, by its second term.
#[cold]
#[inline(never)]
fn edge(towards: i64) -> i64 {
    if towards < 0 { i64::MIN } else { i64::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn decimal_text_converts_to_ticks_exactly() {
        assert_eq!(decimal("61685.99000000").count_of(decimal("0.01")), Ok(6_168_599));
        assert_eq!(decimal("-0.5").count_of(decimal("0.25")), Ok(-2));
        assert_eq!(decimal("3235.25").count_of(decimal("0.25")), Ok(12_941));
        assert_eq!(decimal("1000").count_of(decimal("1")), Ok(1000));
    }

    #[test]
    fn short_and_long_texts_say_the_same_number() {
        for text in ["0", "61685.99", "-0.5", "3.78826000", "1000", "0.0", "5.", ".5", "100.010"] {
            let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
            let long = format!("{sign}{}{digits}", "0".repeat(20));
            assert_eq!(decimal(text), decimal(&long), "{text}");
            let unit = Decimal { mantissa: 1, scale: 5 };
            assert_eq!(decimal(text).count_of(unit), decimal(text).count_of_any(unit), "{text}");
        }
    }

    #[test]
    fn a_price_off_the_grid_is_an_error() {
        assert_eq!(decimal("0.015").count_of(decimal("0.01")), Err(DecimalError::OffGrid));
    }

    #[test]
    fn text_that_is_no_number_is_refused() {
        for text in ["", "-", ".", "1e5", " 1", "1.2.3", "+1", "0x1"] {
            assert_eq!(Decimal::parse(text.as_bytes()), Err(DecimalError::NotANumber), "{text:?}");
        }
        assert_eq!(Decimal::parse(b"99999999999999999999"), Err(DecimalError::TooManyDigits));
    }

    #[test]
    fn counts_print_with_the_digits_of_their_unit() {
        assert_eq!(Decimal::text_of(6_168_599, decimal("0.01")), "61685.99");
        assert_eq!(Decimal::text_of(-1, decimal("0.00001")), "-0.00001");
        assert_eq!(Decimal::text_of(3, decimal("0.25")), "0.75");
    }

    #[test]
    fn a_bid_rounds_down_and_an_ask_up_also_below_zero() {
        let half = SubTicks(SubTicks::ONE.0 / 2);
        assert_eq!((half.floor(), half.ceil()), (Ticks(0), Ticks(1)));
        let minus_half = SubTicks(-half.0);
        assert_eq!((minus_half.floor(), minus_half.ceil()), (Ticks(-1), Ticks(0)));
    }

    #[test]
    fn sums_at_the_integers_edges_are_held_there() {
        let values = [i64::MIN, i64::MIN + 1, -7, -1, 0, 1, 7, i64::MAX - 1, i64::MAX];
        for (a, b) in values.iter().flat_map(|a| values.iter().map(move |b| (*a, *b))) {
            assert_eq!(more(a, b), a.saturating_add(b), "{a} + {b}");
            assert_eq!(less(a, b), a.saturating_sub(b), "{a} - {b}");
        }
    }
}
