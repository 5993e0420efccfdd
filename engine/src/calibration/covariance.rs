//! How several prices move together, from too few returns to believe them one by one: the sample's
//! correlations, shrunk towards none.
//!
//! Fed with returns of all assets over the same intervals; feeds the several-asset quotes through
//! [`super::multi_asset`]. Calibration's thread. Each asset's returns are scaled to a variance of one
//! first, so that neither tick nor price level weighs; then Ledoit & Wolf (2004, "A well-conditioned
//! estimator for large-dimensional covariance matrices"): `(1 − s) S + s I`, with the s that is expected
//! to be nearest to the truth. Volatilities are not shrunk: each has thousands of returns of its own.

use super::linear::Matrix;
use super::{CalibrationError, Real};

/// What was found.
#[derive(Clone, PartialEq, Debug)]
pub struct Shrunk {
    /// Standard deviation of each asset's returns, in their own unit.
    pub deviations: Vec<f64>,
    /// Correlations after shrinkage: ones on the diagonal.
    pub correlations: Matrix,
    /// How much of the sample's correlations was given up, 0 to 1.
    pub shrinkage: f64,
}

/// From `returns`, a row an interval, an entry an asset.
///
/// # Errors
/// Fewer than two rows, rows of different lengths, or an asset that did not move.
pub fn shrunk(returns: &[Vec<f64>]) -> Result<Shrunk, CalibrationError> {
    let (rows, assets) = (returns.len(), returns.first().map_or(0, Vec::len));
    if rows < 2 || assets == 0 {
        let (min, max) = (2.0, f64::MAX);
        return Err(CalibrationError::OutOfRange { key: "returns", value: rows as f64, min, max });
    }
    if let Some(row) = returns.iter().find(|row| row.len() != assets) {
        let (found, expected) = (row.len(), assets);
        return Err(CalibrationError::Shape { key: "returns", found, expected });
    }
    let count = rows as f64;
    let mut standard = returns.to_vec();
    let mut deviations = Vec::with_capacity(assets);
    for asset in 0..assets {
        let mean = returns.iter().map(|row| row[asset]).sum::<f64>() / count;
        let square = |row: &Vec<f64>| (row[asset] - mean) * (row[asset] - mean);
        let deviation = libm::sqrt(returns.iter().map(square).sum::<f64>() / count);
        if !(deviation.is_finite() && deviation > 0.0) {
            return Err(CalibrationError::NotPositive { key: "deviation", value: deviation });
        }
        for row in &mut standard {
            row[asset] = (row[asset] - mean) / deviation;
        }
        deviations.push(deviation);
    }
    let sum = |of: &dyn Fn(&[f64]) -> f64| standard.iter().map(|row| of(row)).sum::<f64>();
    let sample: Vec<Vec<f64>> = (0..assets)
        .map(|i| (0..assets).map(|j| sum(&|row| row[i] * row[j]) / count).collect())
        .collect();
    let shrinkage = shrinkage(&standard, &sample);
    let correlations = Matrix::from_fn(assets, assets, |i, j| {
        if i == j { Real::ONE } else { Real::from((1.0 - shrinkage) * sample[i][j]) }
    });
    Ok(Shrunk { deviations, correlations, shrinkage })
}

/// Ledoit & Wolf's s for rows of mean 0 and variance 1: how uncertain the sample's entries are, over
/// how far they are from the identity; never beyond all of it.
fn shrinkage(standard: &[Vec<f64>], sample: &[Vec<f64>]) -> f64 {
    let count = standard.len() as f64;
    let (mut distance, mut uncertainty) = (0.0, 0.0);
    for (i, row) in sample.iter().enumerate() {
        for (j, entry) in row.iter().enumerate() {
            let target = if i == j { 1.0 } else { 0.0 };
            distance += (entry - target) * (entry - target);
            let squares = standard.iter().map(|row| row[i] * row[i] * row[j] * row[j]).sum::<f64>();
            uncertainty += (squares / count - entry * entry) / count;
        }
    }
    if distance <= 0.0 {
        // What is the identity already needs none.
        return 0.0;
    }
    uncertainty.clamp(0.0, distance) / distance
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What scikit-learn 1.9.1's `ledoit_wolf` makes of the same numbers, standardised.
    const RETURNS: [[f64; 3]; 8] = [
        [0.5, 1.2, -30.0],
        [-0.7, -1.0, 12.0],
        [0.1, 0.4, -8.0],
        [1.3, 2.9, 5.0],
        [-0.2, 0.3, 21.0],
        [-1.1, -2.4, -14.0],
        [0.4, -0.6, 9.0],
        [0.0, 0.8, -3.0],
    ];

    const SHRINKAGE: f64 = 0.8131458582085043;
    const CORRELATIONS: [[f64; 3]; 3] = [
        [0.9999999999999998, 0.1682819198271558, -0.0057618330568785],
        [0.1682819198271558, 0.9999999999999999, -0.0031102027272482],
        [-0.0057618330568785, -0.0031102027272482, 0.9999999999999999],
    ];
    const DEVIATIONS: [f64; 3] = [0.6927075501248706, 1.4807092894960847, 15.215124054702938];

    fn returns() -> Vec<Vec<f64>> {
        RETURNS.iter().map(|row| row.to_vec()).collect()
    }

    fn number(of: Real) -> f64 {
        of.to_f64()
    }

    #[test]
    fn it_is_what_the_reference_makes_of_the_same_returns() {
        let found = shrunk(&returns()).unwrap();
        assert!((found.shrinkage - SHRINKAGE).abs() < 1e-12, "{}", found.shrinkage);
        for (i, row) in CORRELATIONS.iter().enumerate() {
            for (j, entry) in row.iter().enumerate() {
                let found = number(found.correlations.at(i, j));
                assert!((found - entry).abs() < 1e-12, "{i} {j}: {found} is not {entry}");
            }
        }
        for (found, expected) in found.deviations.iter().zip(DEVIATIONS) {
            assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        }
    }

    /// SplitMix64 as numbers in -1 to 1.
    fn noise(state: &mut u64) -> f64 {
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    #[test]
    fn whatever_the_returns_it_is_a_correlation_of_something() {
        let mut state = 7;
        for rows in [2, 3, 5, 40, 400] {
            for assets in 1..=8 {
                let common: Vec<f64> = (0..rows).map(|_| noise(&mut state)).collect();
                let made: Vec<Vec<f64>> = common
                    .iter()
                    .map(|common| (0..assets).map(|_| common + noise(&mut state)).collect())
                    .collect();
                let found = shrunk(&made).unwrap();
                assert!((0.0..=1.0).contains(&found.shrinkage), "{}", found.shrinkage);
                for i in 0..assets {
                    assert_eq!(number(found.correlations.at(i, i)), 1.0);
                    for j in 0..assets {
                        let entry = number(found.correlations.at(i, j));
                        assert!(entry.abs() <= 1.0 + 1e-12, "{entry}");
                        assert_eq!(entry, number(found.correlations.at(j, i)));
                    }
                }
                for eigenvalue in found.correlations.eigen().0 {
                    assert!(number(eigenvalue) > -1e-12, "{rows} {assets}: {eigenvalue:?}");
                }
            }
        }
    }

    #[test]
    fn neither_units_nor_levels_change_correlations() {
        let scaled: Vec<Vec<f64>> = returns()
            .iter()
            .map(|row| vec![row[0] * 1e6 + 3.0, row[1] * 1e-6, 5.0 - row[2]])
            .collect();
        let (plain, scaled) = (shrunk(&returns()).unwrap(), shrunk(&scaled).unwrap());
        assert!((plain.shrinkage - scaled.shrinkage).abs() < 1e-9);
        let pair = |of: &Shrunk, i, j| number(of.correlations.at(i, j));
        assert!((pair(&plain, 0, 1) - pair(&scaled, 0, 1)).abs() < 1e-9);
        assert!((pair(&plain, 0, 2) + pair(&scaled, 0, 2)).abs() < 1e-9, "the third is reversed");
    }

    #[test]
    fn many_returns_are_believed_and_few_are_not() {
        let mut state = 11;
        let mut of = |rows: usize| {
            let made: Vec<Vec<f64>> = (0..rows)
                .map(|_| {
                    let common = noise(&mut state);
                    vec![common + 0.5 * noise(&mut state), common + 0.5 * noise(&mut state)]
                })
                .collect();
            shrunk(&made).unwrap()
        };
        let (few, many) = (of(6), of(20_000));
        assert!(many.shrinkage < 0.01 && few.shrinkage > many.shrinkage);
        // 1 of common variance against 1.25 in all.
        assert!((number(many.correlations.at(0, 1)) - 0.8).abs() < 0.02);
    }

    #[test]
    fn what_says_nothing_is_refused() {
        assert!(shrunk(&[]).is_err());
        assert!(shrunk(&[vec![1.0, 2.0]]).is_err());
        assert!(shrunk(&[vec![1.0, 2.0], vec![1.0]]).is_err());
        assert!(shrunk(&[vec![1.0, 2.0], vec![1.0, 3.0]]).is_err(), "the first does not move");
        assert!(shrunk(&[vec![1.0, f64::NAN], vec![2.0, 3.0]]).is_err());
    }
}
