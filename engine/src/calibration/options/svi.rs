//! One expiry of the volatility surface: Gatheral's SVI, total variance over log-moneyness
//! `w(k) = a + b(ρ(k − m) + √((k − m)² + s²))`, and the arbitrage that it must not hold.
//!
//! Fed by the fit; feeds marks and Greeks. Calibration thread. Deliberately absent: time; slices
//! meet in `surface.rs`. Sources: Gatheral & Jacquier (2014), "Arbitrage-free SVI volatility
//! surfaces"; the density factor g(k) is their equation 2.1.

use thiserror::Error;

/// Points of the dense grid on which a slice is checked.
const GRID: u32 = 2_400;

/// Raw SVI of one expiry.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Svi {
    /// Level.
    pub a: f64,
    /// Slope of the wings.
    pub b: f64,
    /// Tilt, in (−1, 1).
    pub rho: f64,
    /// Where the smile turns, in log-moneyness.
    pub m: f64,
    /// Roundness of the turn, above zero.
    pub s: f64,
}

/// An arbitrage that a slice or two hold.
#[derive(Clone, Copy, PartialEq, Debug, Error)]
pub enum Arbitrage {
    /// The total variance is not above zero.
    #[error("total variance is {variance} at log-moneyness {k}")]
    Variance {
        /// Where.
        k: f64,
        /// How much.
        variance: f64,
    },
    /// A butterfly costs less than nothing: the density is negative.
    #[error("a butterfly at log-moneyness {k} has the density factor {g}")]
    Butterfly {
        /// Where.
        k: f64,
        /// The factor; must not be below zero.
        g: f64,
    },
    /// A wing is steeper than 2, beyond Lee's bound.
    #[error("a wing has slope {slope}; at most 2 is free of arbitrage")]
    Wing {
        /// Slope of total variance.
        slope: f64,
    },
    /// The later expiry has less total variance.
    #[error("at log-moneyness {k} the later expiry has less total variance, by {shortfall}")]
    Calendar {
        /// Where; infinite for the wings' slopes.
        k: f64,
        /// By how much.
        shortfall: f64,
    },
}

impl Svi {
    /// Total variance `σ²T` at log-moneyness `k = ln(K/F)`.
    pub fn total_variance(&self, k: f64) -> f64 {
        let x = k - self.m;
        self.a + self.b * (self.rho * x + libm::sqrt(x * x + self.s * self.s))
    }

    /// Annual volatility at log-moneyness `k` of an expiry in `years`.
    pub fn volatility(&self, k: f64, years: f64) -> f64 {
        libm::sqrt(self.total_variance(k) / years)
    }

    /// The factor of the risk-neutral density; below zero, a butterfly is free money.
    pub fn density_factor(&self, k: f64) -> f64 {
        let x = k - self.m;
        let root = libm::sqrt(x * x + self.s * self.s);
        let w = self.a + self.b * (self.rho * x + root);
        let first = self.b * (self.rho + x / root);
        let second = self.b * self.s * self.s / (root * root * root);
        let tilt = 1.0 - k * first / (2.0 * w);
        tilt * tilt - first * first / 4.0 * (1.0 / w + 0.25) + second / 2.0
    }

    /// Log-moneynesses on which a slice is checked: ± 3, denser near where the smile turns.
    pub fn grid(&self) -> impl Iterator<Item = f64> + use<> {
        let (m, s) = (self.m, self.s);
        let half = f64::from(GRID / 2);
        (0..=GRID).flat_map(move |i| {
            let u = (f64::from(i) - half) / half;
            [3.0 * u, m + 12.0 * s * u * u.abs()]
        })
    }

    /// Whether this slice is free of butterfly arbitrage, by its wings and on the dense grid.
    ///
    /// # Errors
    /// The first fault found.
    pub fn check_butterfly(&self) -> Result<(), Arbitrage> {
        let slope = self.b * (1.0 + self.rho.abs());
        if slope.is_nan() || slope > 2.0 {
            return Err(Arbitrage::Wing { slope });
        }
        for k in self.grid() {
            let variance = self.total_variance(k);
            if variance.is_nan() || variance <= 0.0 {
                return Err(Arbitrage::Variance { k, variance });
            }
        }
        for k in self.grid() {
            let g = self.density_factor(k);
            if g.is_nan() || g < 0.0 {
                return Err(Arbitrage::Butterfly { k, g });
            }
        }
        Ok(())
    }

    /// Whether this slice holds no less total variance than the `earlier` one, everywhere.
    ///
    /// # Errors
    /// The first fault found.
    pub fn check_calendar(&self, earlier: &Svi) -> Result<(), Arbitrage> {
        for sign in [-1.0, 1.0] {
            let shortfall =
                earlier.b * (1.0 + sign * earlier.rho) - self.b * (1.0 + sign * self.rho);
            if shortfall > 0.0 {
                return Err(Arbitrage::Calendar { k: sign * f64::INFINITY, shortfall });
            }
        }
        for k in self.grid().chain(earlier.grid()) {
            let shortfall = earlier.total_variance(k) - self.total_variance(k);
            if shortfall > 0.0 {
                return Err(Arbitrage::Calendar { k, shortfall });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gatheral & Jacquier's example of a slice with a negative density (after Axel Vogt).
    const VOGT: Svi = Svi { a: -0.0410, b: 0.1331, rho: 0.3060, m: 0.3586, s: 0.4153 };

    #[test]
    fn vogts_slice_holds_a_butterfly() {
        assert!(matches!(VOGT.check_butterfly(), Err(Arbitrage::Butterfly { .. })));
        // Their figure 2 shows g below zero between about 0.6 and 1.2.
        assert!(VOGT.density_factor(0.8) < 0.0);
        assert!(VOGT.density_factor(0.0) > 0.0);
    }

    #[test]
    fn an_ordinary_equity_smile_is_free_of_it() {
        let smile = Svi { a: 0.001, b: 0.02, rho: -0.6, m: 0.02, s: 0.05 };
        assert_eq!(smile.check_butterfly(), Ok(()));
    }

    #[test]
    fn a_wing_beyond_lees_bound_and_a_negative_variance_are_found() {
        let steep = Svi { a: 0.1, b: 1.3, rho: -0.6, m: 0.0, s: 0.1 };
        assert!(matches!(steep.check_butterfly(), Err(Arbitrage::Wing { .. })));
        let sunk = Svi { a: -0.01, b: 0.1, rho: 0.0, m: 0.0, s: 0.05 };
        assert!(matches!(sunk.check_butterfly(), Err(Arbitrage::Variance { .. })));
    }

    #[test]
    fn slices_that_cross_are_found() {
        let early = Svi { a: 0.002, b: 0.02, rho: -0.6, m: 0.02, s: 0.05 };
        assert_eq!(Svi { a: 0.003, ..early }.check_calendar(&early), Ok(()));
        assert_eq!(early.check_calendar(&early), Ok(()));
        let low = Svi { a: 0.0019, ..early };
        assert!(matches!(low.check_calendar(&early), Err(Arbitrage::Calendar { .. })));
        let flat = Svi { a: 0.02, b: 0.015, ..early };
        assert!(matches!(
            flat.check_calendar(&early),
            Err(Arbitrage::Calendar { k, .. }) if k.is_infinite()
        ));
    }
}
