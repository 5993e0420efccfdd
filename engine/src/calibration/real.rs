//! A real number as an unevaluated sum of two doubles: some 31 decimal digits.
//!
//! Used by everything in `calibration`. Sums and products are the classical error-free transforms
//! (Dekker 1971, Knuth; Hida, Li & Bailey 2001); no fused multiply-add, so that every x86-64
//! machine computes the same bits. Exponential and logarithm start from `libm`. Deliberately
//! absent: special values beyond what a formula meets (an infinite or undefined first half is
//! passed on and reported by the callers' range checks).

use crate::fixed::{Fixed, Scaled};
use crate::units::Decimal;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// `hi + lo`, with `lo` at most half a unit in the last place of `hi`.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Default)]
pub struct Real {
    hi: f64,
    lo: f64,
}

/// ln 2, to 32 digits.
const LN_2: Real = Real { hi: std::f64::consts::LN_2, lo: 2.319_046_813_846_299_6e-17 };

impl Real {
    /// 0.
    pub const ZERO: Real = Real { hi: 0.0, lo: 0.0 };
    /// 1.
    pub const ONE: Real = Real { hi: 1.0, lo: 0.0 };
    /// 2.
    pub const TWO: Real = Real { hi: 2.0, lo: 0.0 };

    /// A decimal number, to 31 digits.
    pub fn from_decimal(decimal: Decimal) -> Real {
        let mut power = Real::ONE;
        for _ in 0..decimal.scale {
            power = power * Real::from(10.0);
        }
        Real::from_i64(decimal.mantissa) / power
    }

    /// A whole number, exactly.
    pub fn from_i64(count: i64) -> Real {
        let hi = count as f64;
        let lo = (i128::from(count) - hi as i128) as f64;
        Real::sum(hi, lo)
    }

    /// Decimal text with an optional exponent, to 31 digits: what JSON and reference tables write.
    /// `None` where it is no number, or not a finite one.
    pub fn parse(text: &str) -> Option<Real> {
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (is_negative, digits) = match digits.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, digits),
        };
        let (mut value, mut behind_point, mut seen) = (Real::ZERO, None, false);
        for byte in digits.bytes() {
            match byte {
                b'0'..=b'9' => {
                    seen = true;
                    value = value * Real::from(10.0) + Real::from(f64::from(byte - b'0'));
                    behind_point = behind_point.map(|count: i32| count + 1);
                }
                b'.' if behind_point.is_none() => behind_point = Some(0),
                _ => return None,
            }
        }
        let scale = exponent.checked_sub(behind_point.unwrap_or(0))?;
        if !seen || scale.unsigned_abs() > 400 {
            return None;
        }
        let power = Real::from(10.0).powi(scale.unsigned_abs());
        let value = if scale < 0 { value / power } else { value * power };
        let value = if is_negative { -value } else { value };
        value.is_finite().then_some(value)
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        self.hi
    }

    /// Neither infinite nor undefined.
    pub fn is_finite(self) -> bool {
        self.hi.is_finite() && self.lo.is_finite()
    }

    /// The nearest coefficient of 62 bits.
    pub fn scaled(self) -> Scaled {
        if self.hi == 0.0 || !self.is_finite() {
            return Scaled::ZERO;
        }
        let (_, exponent) = libm::frexp(self.hi);
        // 100 bits of the sum, exactly: the upper half's 53 and what follows of the lower.
        let shift = 100 - exponent;
        let count = libm::ldexp(self.hi, shift) as i128 + libm::ldexp(self.lo, shift) as i128;
        Scaled::new(count, shift)
    }

    /// The nearest sum in ticks, to 62 significant bits.
    pub fn fixed(self) -> Fixed {
        self.scaled().fixed()
    }

    /// `|self|`.
    pub fn abs(self) -> Real {
        if self.hi < 0.0 { -self } else { self }
    }

    /// `self^n` by squaring.
    pub fn powi(self, n: u32) -> Real {
        let (mut power, mut base, mut left) = (Real::ONE, self, n);
        while left > 0 {
            if left & 1 == 1 {
                power = power * base;
            }
            base = base * base;
            left >>= 1;
        }
        power
    }

    /// The square root; 0 for a negative number (rounding leaves some eigenvalues just below 0).
    pub fn sqrt(self) -> Real {
        if self.hi <= 0.0 {
            return Real::ZERO;
        }
        let root = Real::from(libm::sqrt(self.hi));
        // One step of Newton doubles the digits; the second cleans up the last bits.
        let root = (root + self / root) * Real::from(0.5);
        (root + self / root) * Real::from(0.5)
    }

    /// e^self.
    pub fn exp(self) -> Real {
        if self.hi > 709.0 {
            return Real::from(f64::INFINITY);
        }
        if self.hi < -709.0 {
            return Real::ZERO;
        }
        let halvings = 9;
        let two_power = libm::round(self.hi / LN_2.hi);
        let reduced =
            (self - LN_2 * Real::from(two_power)) * Real::from(libm::ldexp(1.0, -halvings));
        // e^r − 1 by its series, r < 0.0007: ten terms are beyond the last digit. Squaring
        // 1 + s − 1 keeps the digits that squaring 1 + s would lose.
        let (mut term, mut sum) = (reduced, reduced);
        for n in 2..=11 {
            term = term * reduced / Real::from(f64::from(n));
            sum = sum + term;
        }
        for _ in 0..halvings {
            sum = sum * Real::TWO + sum * sum;
        }
        let power = sum + Real::ONE;
        let two_power = two_power as i32;
        Real { hi: libm::ldexp(power.hi, two_power), lo: libm::ldexp(power.lo, two_power) }
    }

    /// The natural logarithm of a positive number.
    pub fn ln(self) -> Real {
        // Newton on e^y = x: each step doubles the digits of libm's start.
        let mut y = Real::from(libm::log(self.hi));
        for _ in 0..2 {
            y = y + self * (-y).exp() - Real::ONE;
        }
        y
    }

    /// ln(1 + self), precise also where self is tiny.
    pub fn ln_1p(self) -> Real {
        if libm::fabs(self.hi) > 1e-3 {
            return (Real::ONE + self).ln();
        }
        let (mut power, mut sum) = (self, self);
        for n in 2..=12 {
            power = -(power * self);
            sum = sum + power / Real::from(f64::from(n));
        }
        sum
    }

    /// `a + b` exactly, for any two doubles.
    fn sum(a: f64, b: f64) -> Real {
        let hi = a + b;
        let b_rounded = hi - a;
        Real { hi, lo: (a - (hi - b_rounded)) + (b - b_rounded) }
    }

    /// `a + b` exactly, for |a| ≥ |b|.
    fn quick_sum(a: f64, b: f64) -> Real {
        let hi = a + b;
        Real { hi, lo: b - (hi - a) }
    }

    /// `a × b` exactly.
    fn product(a: f64, b: f64) -> Real {
        let split = |x: f64| {
            let t = 134_217_729.0 * x;
            let upper = t - (t - x);
            (upper, x - upper)
        };
        let hi = a * b;
        let ((a1, a2), (b1, b2)) = (split(a), split(b));
        Real { hi, lo: ((a1 * b1 - hi) + a1 * b2 + a2 * b1) + a2 * b2 }
    }
}

impl From<f64> for Real {
    fn from(value: f64) -> Real {
        Real { hi: value, lo: 0.0 }
    }
}

impl Add for Real {
    type Output = Real;
    fn add(self, other: Real) -> Real {
        let (upper, lower) = (Real::sum(self.hi, other.hi), Real::sum(self.lo, other.lo));
        let upper = Real::quick_sum(upper.hi, upper.lo + lower.hi);
        Real::quick_sum(upper.hi, upper.lo + lower.lo)
    }
}

impl Neg for Real {
    type Output = Real;
    fn neg(self) -> Real {
        Real { hi: -self.hi, lo: -self.lo }
    }
}

impl Sub for Real {
    type Output = Real;
    fn sub(self, other: Real) -> Real {
        self + -other
    }
}

impl Mul for Real {
    type Output = Real;
    fn mul(self, other: Real) -> Real {
        let product = Real::product(self.hi, other.hi);
        Real::quick_sum(product.hi, product.lo + (self.hi * other.lo + self.lo * other.hi))
    }
}

impl Div for Real {
    type Output = Real;
    fn div(self, other: Real) -> Real {
        let first = self.hi / other.hi;
        let rest = self - other * Real::from(first);
        let second = rest.hi / other.hi;
        let rest = rest - other * Real::from(second);
        let third = rest.hi / other.hi;
        Real::quick_sum(first, second) + Real::from(third)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(text: &str) -> Real {
        Real::parse(text).unwrap()
    }

    /// Relative distance; exact values have 40 digits from an independent calculator (mpmath).
    fn error(found: Real, exact: &str) -> f64 {
        let exact = real(exact);
        ((found - exact) / exact).abs().to_f64()
    }

    #[test]
    fn arithmetic_keeps_thirty_digits() {
        let third = Real::ONE / real("3");
        assert!(error(third, "0.3333333333333333333333333333333333333333") < 1e-31);
        let root = real("2").sqrt();
        assert!(error(root, "1.414213562373095048801688724209698078570") < 1e-31);
        assert!(error(real("0.1") * real("0.1"), "0.01") < 1e-31);
    }

    #[test]
    fn exponential_and_logarithm_keep_thirty_digits() {
        assert!(error(real("1").exp(), "2.718281828459045235360287471352662497757") < 1e-30);
        assert!(
            error(real("-20.5").exp(), "0.000000001250152866386742628937553119231222182272")
                < 1e-29
        );
        assert!(error(real("300").exp(), "1.942426395241255936584208836017699219366e+130") < 1e-27);
        assert!(error(real("10").ln(), "2.302585092994045684017991454684364207601") < 1e-30);
        assert!(
            error(real("1e-7").ln_1p(), "9.999999500000033333330833333533333316667e-8") < 1e-30
        );
        assert!(error(real("0.5").ln_1p(), "0.4054651081081643819780131154643491365720") < 1e-30);
    }

    #[test]
    fn text_of_every_shape_is_read() {
        assert_eq!(real("-2.50").to_f64(), -2.5);
        assert_eq!(real("1e-7"), real("0.0000001"));
        assert_eq!(real("6.25E2").to_f64(), 625.0);
        for text in ["", "-", ".", "e5", "1e", "1..2", "NaN", "inf", "1e999", " 1", "0x1"] {
            assert_eq!(Real::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn quantised_it_is_right_to_the_62nd_bit() {
        assert_eq!(real("10").scaled(), Scaled::new(10, 0));
        assert_eq!((Real::ONE / real("0.1")).scaled(), Scaled::new(10, 0));
        for text in ["2.986162360812285", "-0.0000001", "123456789.123456789", "1"] {
            assert_eq!(real(text).scaled(), Scaled::from_decimal(text.parse().unwrap()), "{text}");
        }
        assert_eq!(Real::ZERO.scaled(), Scaled::ZERO);
        assert_eq!(Real::from_i64(i64::MAX).scaled(), Scaled::new(i128::from(i64::MAX), 0));
    }
}
