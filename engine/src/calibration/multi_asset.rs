//! The several-asset model's matrix G (Bergault, Evangelista, Guéant & Vieira, arXiv 1810.04383,
//! with exponential intensities).
//!
//! Called with the config's assets and their correlations; its rows travel to the makers of the
//! assets. Calibration's thread. `C_i = (1 + γz/k)^−(k/(γz)+1)` (1/e where ξ → 0),
//! `D = diag(2 A k C z)`, `G = √γ D^−½ (D^½ Σ D^½)^½ D^−½`.

use super::closed_form::Xi;
use super::linear::Matrix;
use super::{CalibrationError, Real, not_negative, positive};
use crate::quote::multi_asset::{ASSETS_MAX, MultiAsset};

/// One asset, in its own ticks and in size units whose tick is worth the same money in all.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Asset {
    /// Volatility, ticks per √s.
    pub sigma: Real,
    /// Intensity A, per second.
    pub intensity: Real,
    /// Decay k, per tick.
    pub decay: Real,
    /// Order size z.
    pub order_size: Real,
    /// One lot, in size units.
    pub lot: Real,
}

/// The solved model.
#[derive(Clone, PartialEq, Debug)]
pub struct Solution {
    /// G: ticks of skew of the row's asset per size unit held of the column's.
    pub skews: Matrix,
    assets: Vec<Asset>,
    bases: Vec<Real>,
}

/// Solves for the assets, with `correlations` between their prices.
pub fn solve(
    gamma: Real,
    xi: Xi,
    assets: &[Asset],
    correlations: &Matrix,
) -> Result<Solution, CalibrationError> {
    let n = assets.len();
    check(gamma, assets, correlations)?;
    let power = |asset: &Asset| match xi {
        Xi::Gamma => {
            let risk = gamma * asset.order_size / asset.decay;
            (-((Real::ONE / risk + Real::ONE) * risk.ln_1p())).exp()
        }
        Xi::Zero => (-Real::ONE).exp(),
    };
    let roots: Vec<Real> = assets
        .iter()
        .map(|a| (Real::TWO * a.intensity * a.decay * power(a) * a.order_size).sqrt())
        .collect();
    let inner = Matrix::from_fn(n, n, |i, j| {
        roots[i] * assets[i].sigma * correlations.at(i, j) * assets[j].sigma * roots[j]
    });
    let root = inner.symmetric_root();
    let gamma_root = gamma.sqrt();
    let skews = Matrix::from_fn(n, n, |i, j| gamma_root * root.at(i, j) / roots[i] / roots[j]);
    let bases = assets
        .iter()
        .map(|a| match xi {
            Xi::Gamma => {
                let risk = gamma * a.order_size;
                (risk / a.decay).ln_1p() / risk
            }
            Xi::Zero => Real::ONE / a.decay,
        })
        .collect();
    Ok(Solution { skews, assets: assets.to_vec(), bases })
}

impl Solution {
    /// What the maker quotes asset number `quoted` with. `None` where there is no such asset.
    pub fn quoter(&self, quoted: usize) -> Option<MultiAsset> {
        let (asset, base) = (self.assets.get(quoted)?, self.bases.get(quoted)?);
        let mut quoter = MultiAsset {
            base: base.fixed(),
            half_order: (asset.order_size * self.skews.at(quoted, quoted) * Real::from(0.5))
                .scaled(),
            sigma_inverse: (Real::ONE / asset.sigma).scaled(),
            per_lot: Default::default(),
        };
        for (j, (place, held)) in quoter.per_lot.iter_mut().zip(&self.assets).enumerate() {
            *place = (self.skews.at(quoted, j) * held.lot).scaled();
        }
        Some(quoter)
    }
}

fn check(gamma: Real, assets: &[Asset], correlations: &Matrix) -> Result<(), CalibrationError> {
    let n = assets.len();
    positive("gamma", gamma)?;
    if !(1..=ASSETS_MAX).contains(&n) {
        let (min, max) = (1.0, ASSETS_MAX as f64);
        return Err(CalibrationError::OutOfRange { key: "assets", value: n as f64, min, max });
    }
    for asset in assets {
        positive("sigma", asset.sigma)?;
        positive("A", asset.intensity)?;
        positive("k", asset.decay)?;
        positive("size", asset.order_size)?;
        positive("lot", asset.lot)?;
    }
    for found in [correlations.rows(), correlations.columns()] {
        if found != n {
            return Err(CalibrationError::Shape { key: "correlations", found, expected: n });
        }
    }
    // A matrix with a negative eigenvalue is no correlation of anything: some portfolio would have
    // a negative variance. Rounding in the source is forgiven.
    for eigenvalue in correlations.eigen().0 {
        not_negative("a correlation eigenvalue", eigenvalue + Real::from(1e-12))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::Scaled;
    use crate::units::Lots;

    fn real(text: &str) -> Real {
        Real::parse(text).unwrap()
    }

    fn assets() -> [Asset; 2] {
        let asset = |sigma, intensity, decay| Asset {
            sigma: real(sigma),
            intensity: real(intensity),
            decay: real(decay),
            order_size: Real::ONE,
            lot: Real::ONE,
        };
        [asset("0.3", "0.9", "0.3"), asset("0.4", "0.6", "0.25")]
    }

    fn correlated(rho: &str) -> Matrix {
        let rho = real(rho);
        Matrix::from_fn(2, 2, |i, j| if i == j { Real::ONE } else { rho })
    }

    #[test]
    fn a_hedged_pair_is_quoted_as_the_reference_has_it() {
        let solution = solve(real("0.01"), Xi::Gamma, &assets(), &correlated("0.9")).unwrap();
        let held = [Lots(-3), Lots(4)];
        let first = solution.quoter(0).unwrap().wide(&held, real("0.3").scaled());
        assert!(first.bid.unwrap().to_string().starts_with("3.3279826764316567"));
        assert!(first.ask.unwrap().to_string().starts_with("3.2875740795512787"));
        let second = solution.quoter(1).unwrap().wide(&held, real("0.4").scaled());
        assert!(second.bid.unwrap().to_string().starts_with("4.2402710259161276"));
        assert_eq!(solution.quoter(2), None);
    }

    #[test]
    fn all_volatilities_doubled_are_the_live_scaling() {
        let doubled = assets().map(|a| Asset { sigma: a.sigma * Real::TWO, ..a });
        let rho = correlated("0.5");
        let live = solve(real("0.01"), Xi::Zero, &assets(), &rho).unwrap().quoter(0).unwrap();
        let made = solve(real("0.01"), Xi::Zero, &doubled, &rho).unwrap().quoter(0).unwrap();
        let sigma = real("0.6").scaled();
        let held = [Lots(7), Lots(-2)];
        assert_eq!(live.wide(&held, sigma).nearest(), made.wide(&held, sigma).nearest());
        assert_ne!(live.wide(&held, sigma), live.wide(&held, Scaled::ONE));
    }

    #[test]
    fn what_is_no_correlation_is_refused() {
        assert!(matches!(
            solve(real("0.01"), Xi::Gamma, &assets(), &correlated("1.1")),
            Err(CalibrationError::Negative { .. })
        ));
        assert!(solve(real("0.01"), Xi::Gamma, &assets(), &correlated("1")).is_ok());
        assert!(matches!(
            solve(real("0.01"), Xi::Gamma, &assets(), &Matrix::identity(3)),
            Err(CalibrationError::Shape { .. })
        ));
        assert!(matches!(
            solve(real("0.01"), Xi::Gamma, &[], &Matrix::identity(0)),
            Err(CalibrationError::OutOfRange { .. })
        ));
    }
}
