//! Fixed-point numbers for formulas: [`Scaled`] for coefficients of any magnitude, [`Fixed`] for
//! what a formula sums up in ticks.
//!
//! Fed by `calibration` (which quantises its results to [`Scaled`]) and by the volatility estimate;
//! feeds the quote models, which answer in [`Fixed`] and round once to [`SubTicks`]. Runs on the
//! maker's thread: no floating point, no panic, no allocation. Deliberately absent: logarithms and exponentials; `calibration` has those.
//!
//! Why two types: γ is 1e-7 a tick and σ² is 640,000, so that no one position of the binary point
//! serves both. A coefficient therefore carries its own (62 significant bits, relative error
//! 2^-62), and only sums, which are prices, have a point in a fixed place.

use crate::units::{Decimal, SubTicks};

/// A coefficient: `mantissa × 2^-shift`, with 62 significant bits at whatever magnitude.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Scaled {
    /// 0, or between 2^61 and 2^62 in magnitude.
    mantissa: i64,
    shift: i32,
}

/// A sum in ticks: a count of 2^-64, reaching to ±9.2e18. Saturates; never wraps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Fixed(pub i128);

/// Significant bits of a [`Scaled`].
const MANTISSA_BITS: u32 = 62;

impl Scaled {
    /// Nothing.
    pub const ZERO: Scaled = Scaled { mantissa: 0, shift: 0 };
    /// One.
    pub const ONE: Scaled = Scaled { mantissa: 1 << 61, shift: 61 };
    /// One nanosecond in seconds: 1e-9 × 2^91, to the nearest.
    const NANO: Scaled = Scaled { mantissa: 2_475_880_078_570_760_550, shift: 91 };

    /// `count × 2^-shift`, rounded to the nearest number of 62 bits.
    pub fn new(count: i128, shift: i32) -> Scaled {
        if count == 0 {
            return Scaled::ZERO;
        }
        let bits = 128 - count.unsigned_abs().leading_zeros();
        if bits > MANTISSA_BITS {
            let drop = bits - MANTISSA_BITS;
            let mantissa = i64::try_from(shift_right_nearest(count, drop)).unwrap_or(i64::MAX);
            Scaled { mantissa, shift: shift.saturating_sub_unsigned(drop) }
        } else {
            let raise = MANTISSA_BITS - bits;
            let mantissa = i64::try_from(count << raise).unwrap_or(i64::MAX);
            Scaled { mantissa, shift: shift.saturating_add_unsigned(raise) }
        }
    }

    /// A decimal number, rounded to the nearest number of 62 bits. Not for the hot path: it divides.
    pub fn from_decimal(decimal: Decimal) -> Scaled {
        let Some(power) = 10i128.checked_pow(u32::from(decimal.scale)) else {
            return Scaled::ZERO;
        };
        Scaled::new(i128::from(decimal.mantissa), 0).over(Scaled::new(power, 0))
    }

    /// A length of time in seconds.
    pub fn from_nanos(nanos: u64) -> Scaled {
        Scaled::new(i128::from(nanos), 0).times(Scaled::NANO)
    }

    /// The square root of `count × 2^-shift`, 0 for a negative count: how a variance becomes a
    /// volatility. Newton's steps on integers, at most seven.
    pub fn sqrt_of(count: i128, shift: i32) -> Scaled {
        let Some(count) = u128::try_from(count).ok().filter(|count| *count > 0) else {
            return Scaled::ZERO;
        };
        // The lift keeps every bit that fits and leaves an even shift, which halves. A positive
        // i128 has a leading zero, so that there is always one to give back.
        let lift = count.leading_zeros();
        let is_even = shift.saturating_add_unsigned(lift) % 2 == 0;
        let lift = if is_even { lift } else { lift - 1 };
        let total = shift.saturating_add_unsigned(lift);
        let lifted = count << lift;
        Scaled::new(i128::try_from(lifted.isqrt()).unwrap_or(i128::MAX), total / 2)
    }

    /// `self × other`, to the nearest number of 62 bits.
    #[inline]
    pub fn times(self, other: Scaled) -> Scaled {
        let product = i128::from(self.mantissa) * i128::from(other.mantissa);
        if product == 0 {
            return Scaled::ZERO;
        }
        // Two mantissas of 62 bits make 123 or 124: one of two constant shifts, where
        // [`Scaled::new`] would count the bits and shift by a variable.
        let drop: u32 = if product.unsigned_abs() >> 123 == 0 { 61 } else { 62 };
        let rounded =
            if drop == 61 { (product + (1 << 60)) >> 61 } else { (product + (1 << 61)) >> 62 };
        Scaled {
            mantissa: i64::try_from(rounded).unwrap_or(i64::MAX),
            shift: self.shift.saturating_add(other.shift).saturating_sub_unsigned(drop),
        }
    }

    /// `self ÷ other`; 0 where `other` is 0, so that an absent volatility gives no term at all.
    #[inline]
    pub fn over(self, other: Scaled) -> Scaled {
        let lifted = i128::from(self.mantissa) << 64;
        match lifted.checked_div(i128::from(other.mantissa)) {
            Some(ratio) => {
                Scaled::new(ratio, self.shift.saturating_add(64).saturating_sub(other.shift))
            }
            None => Scaled::ZERO,
        }
    }

    /// `self × count`, as a sum in ticks. Saturates.
    #[inline]
    pub fn of(self, count: i64) -> Fixed {
        let product = i128::from(self.mantissa) * i128::from(count);
        let down = i64::from(self.shift) - i64::from(Fixed::FRACTION_BITS);
        match u32::try_from(down) {
            Ok(down) => Fixed(shift_right_nearest(product, down)),
            Err(_) => Fixed(shift_left_saturating(product, down.unsigned_abs())),
        }
    }

    /// The coefficient itself as a sum in ticks. Saturates.
    #[inline]
    pub fn fixed(self) -> Fixed {
        self.of(1)
    }

    /// Whether it is zero.
    #[inline]
    pub fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// Mantissa and shift, for the journal.
    pub fn parts(self) -> (i64, i32) {
        (self.mantissa, self.shift)
    }

    /// The coefficient of those parts; `None` where they are not as [`Scaled::parts`] gives them.
    pub fn from_parts(mantissa: i64, shift: i32) -> Option<Scaled> {
        let magnitude = mantissa.unsigned_abs();
        let is_normal = (1 << 61..=1 << 62).contains(&magnitude) || (mantissa == 0 && shift == 0);
        is_normal.then_some(Scaled { mantissa, shift })
    }
}

impl Fixed {
    /// Binary digits behind the point.
    pub const FRACTION_BITS: u32 = 64;

    /// A price between ticks, exactly.
    pub fn from_sub_ticks(price: SubTicks) -> Fixed {
        Fixed(i128::from(price.0) << (Self::FRACTION_BITS - SubTicks::FRACTION_BITS))
    }

    /// The nearest multiple of 2^-32 tick. To the nearest and not away from the market, because a
    /// sum that is a whole tick in the model is off by 1e-19 here, and must not cost a tick; the
    /// ladder rounds away from the market. Saturates beyond ±2^31 ticks.
    #[inline]
    pub fn nearest_sub_ticks(self) -> SubTicks {
        let nearest = shift_right_nearest(self.0, Self::FRACTION_BITS - SubTicks::FRACTION_BITS);
        SubTicks(i64::try_from(nearest).unwrap_or(if self.0 < 0 { i64::MIN } else { i64::MAX }))
    }

    /// `self + other`, stopping at the integer's edge.
    #[inline]
    pub fn plus(self, other: Fixed) -> Fixed {
        Fixed(self.0.saturating_add(other.0))
    }

    /// `self − other`, stopping at the integer's edge.
    #[inline]
    pub fn minus(self, other: Fixed) -> Fixed {
        Fixed(self.0.saturating_sub(other.0))
    }

    /// So large, ±2^62, that a sum on the way to it may have stopped at the integer's edge.
    pub fn is_at_the_edge(self) -> bool {
        self.0.unsigned_abs() >> (Self::FRACTION_BITS + 62) != 0
    }

    /// Half of it, rounded down.
    #[inline]
    pub fn half(self) -> Fixed {
        Fixed(self.0 >> 1)
    }
}

impl std::fmt::Display for Fixed {
    /// All that 18 decimals can show, rounded toward zero.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let whole = magnitude >> Self::FRACTION_BITS;
        let fraction = magnitude & u128::from(u64::MAX);
        let digits = (fraction * 1_000_000_000_000_000_000) >> Self::FRACTION_BITS;
        let sign = if self.0 < 0 { "-" } else { "" };
        f.pad(&format!("{sign}{whole}.{digits:018}"))
    }
}

/// `value ÷ 2^by`, to the nearest, halves up.
#[inline]
fn shift_right_nearest(value: i128, by: u32) -> i128 {
    match by {
        0 => value,
        // Adding half first could overflow only from 2^126 on; the quotient is then unaffected
        // beyond its last bit, so that saturating is exact enough.
        1..=126 => value.saturating_add(1 << (by - 1)) >> by,
        _ => 0,
    }
}

/// `value × 2^by`, stopping at the integer's edge.
fn shift_left_saturating(value: i128, by: u64) -> i128 {
    let room = u64::from(value.unsigned_abs().leading_zeros());
    match u32::try_from(by) {
        Ok(small) if by < room => value << small,
        _ if value == 0 => 0,
        _ if value < 0 => i128::MIN,
        _ => i128::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(text: &str) -> Scaled {
        Scaled::from_decimal(text.parse().unwrap())
    }

    #[test]
    fn coefficients_of_every_magnitude_multiply_to_the_last_digits() {
        // γ σ² τ q = 1e-7 × 800² × 60 × −4 = −15.36
        let sigma = scaled("800");
        let skew = scaled("0.0000001").times(sigma.times(sigma)).times(scaled("60"));
        assert_eq!(skew.of(-4).nearest_sub_ticks(), scaled("-15.36").fixed().nearest_sub_ticks());
        assert_eq!(skew.of(-4).to_string(), "-15.360000000000000000");
    }

    #[test]
    fn a_sum_that_is_a_whole_tick_stays_one() {
        let product = scaled("0.1").times(scaled("30"));
        assert_eq!(product.fixed().nearest_sub_ticks(), SubTicks(3 << 32));
    }

    #[test]
    fn nanoseconds_become_seconds() {
        assert_eq!(Scaled::from_nanos(3_600_000_000_000).fixed(), scaled("3600").fixed());
        assert_eq!(Scaled::from_nanos(0), Scaled::ZERO);
        assert_eq!(Scaled::from_nanos(5_000_000).fixed().to_string(), "0.004999999999999999");
    }

    #[test]
    fn a_variance_becomes_a_volatility() {
        for (count, shift, root) in
            [(640_000, 0, "800"), (9, 0, "3"), (1, 2, "0.5"), (2, 3, "0.5"), (9 << 20, 20, "3")]
        {
            assert_eq!(Scaled::sqrt_of(count, shift), scaled(root), "{count} {shift}");
        }
        assert_eq!(Scaled::sqrt_of(2, 0).fixed().to_string(), "1.414213562373095048");
        assert_eq!(Scaled::sqrt_of(1, -1).fixed().to_string(), "1.414213562373095048");
        assert_eq!(Scaled::sqrt_of(i128::MAX, 0).parts().1, -2);
        assert_eq!(Scaled::sqrt_of(-1, 0), Scaled::ZERO);
        assert_eq!(Scaled::sqrt_of(0, 0), Scaled::ZERO);
    }

    #[test]
    fn a_quotient_undoes_a_product_and_zero_divides_to_nothing() {
        let ratio = scaled("2").over(scaled("3"));
        assert_eq!(ratio.times(scaled("3")).fixed(), scaled("2").fixed());
        assert_eq!(scaled("2").over(Scaled::ZERO), Scaled::ZERO);
    }

    #[test]
    fn the_edges_saturate_and_never_wrap() {
        let huge = scaled("4000000000000000000");
        assert_eq!(huge.times(huge).times(huge).of(i64::MAX), Fixed(i128::MAX));
        assert_eq!(huge.times(huge).times(huge).of(i64::MIN), Fixed(i128::MIN));
        assert_eq!(Fixed(i128::MAX).nearest_sub_ticks(), SubTicks(i64::MAX));
        assert_eq!(Fixed(i128::MIN).nearest_sub_ticks(), SubTicks(i64::MIN));
        let tiny = Scaled::ONE.over(huge).over(huge).over(huge);
        assert_eq!(tiny.of(i64::MAX), Fixed(0));
        assert_eq!(Scaled::new(i128::MIN, 0).parts(), (-(1 << 61), -66));
    }
}
