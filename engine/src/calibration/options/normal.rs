//! The normal distribution and the one logarithm that option formulas lean on.
//!
//! Fed by and feeding the formulas beside it. Calibration thread. `libm` throughout, so that every
//! host gives the same bits. Deliberately absent: polynomial approximations of the normal
//! distribution; the tails of deep options need the relative accuracy of `erfc`.

use std::f64::consts::FRAC_1_SQRT_2;

/// `1/√(2π)`.
const INVERSE_SQRT_2PI: f64 = 0.398_942_280_401_432_7;

/// Density of the standard normal distribution.
pub fn density(x: f64) -> f64 {
    INVERSE_SQRT_2PI * libm::exp(-0.5 * x * x)
}

/// Probability that a standard normal variable is at most `x`; relatively accurate in the left
/// tail, where `1 − N(−x)` would hold no digit.
pub fn distribution(x: f64) -> f64 {
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
}

/// `ln(a/b)` for positive numbers, relatively accurate where they are close: at the money the
/// difference `a − b` is exact (Sterbenz) while the rounding of `a/b` would be all of the answer.
pub fn log_ratio(a: f64, b: f64) -> f64 {
    if a > 0.5 * b && a < 2.0 * b {
        libm::log1p((a - b) / b)
    } else {
        // Not log(a/b): the quotient of two legal prices can overflow.
        libm::log(a) - libm::log(b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_left_tail_keeps_its_digits() {
        // mpmath: ncdf(-10) = 7.61985302416052606597e-24, ncdf(-38) = 2.88542835e-316 (subnormal).
        let tail = distribution(-10.0);
        assert!((tail / 7.619_853_024_160_527e-24 - 1.0).abs() < 1e-13, "{tail:e}");
        assert!(distribution(-37.0) > 0.0);
        assert_eq!(distribution(-60.0), 0.0);
        assert_eq!(distribution(60.0), 1.0);
    }

    #[test]
    fn close_prices_have_an_accurate_log_ratio() {
        // mpmath: ln(3235.25/3235) = 7.72767694e-5 to more digits below.
        let x = log_ratio(3235.25, 3235.0);
        let u = 0.25 / 3235.0;
        let series = u - u * u / 2.0 + u * u * u / 3.0 - u * u * u * u / 4.0;
        assert!((x / series - 1.0).abs() < 1e-15);
        assert_eq!(log_ratio(5.0, 5.0), 0.0);
        assert!((log_ratio(1e300, 1e-300) - 600.0 * std::f64::consts::LN_10).abs() < 1e-9);
    }
}
