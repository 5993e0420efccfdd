//! Stoikov's micro-price (2018): how far the price that mids drift to lies from the mid now.
//!
//! Fed with the transition probabilities between book states; feeds the fair value's table and
//! `ballast model`. Calibration's thread. Q: no change of the mid; R1 K: the mean first change;
//! R2: where the book is after it. `G1 = (1 − Q)⁻¹ R1 K`, `B = (1 − Q)⁻¹ R2`,
//! `micro = mid + Σ Bⁱ G1`.

use super::linear::Matrix;
use super::{CalibrationError, Real};

/// The solved micro-price: one entry a book state.
#[derive(Clone, PartialEq, Debug)]
pub struct Adjustment {
    /// Mean of the next change of the mid, in the unit of K.
    pub g1: Vec<Real>,
    /// Probabilities of the state after it.
    pub b: Matrix,
}

impl Adjustment {
    /// Solves for transition probabilities: `q` (n×n), `r1` (n×m), `r2` (n×n), changes `k` (m).
    pub fn solve(
        q: &Matrix,
        r1: &Matrix,
        r2: &Matrix,
        k: &[Real],
    ) -> Result<Adjustment, CalibrationError> {
        let n = q.rows();
        let shapes = [
            ("Q", q.columns(), n),
            ("R1", r1.rows(), n),
            ("R1", r1.columns(), k.len()),
            ("R2", r2.rows(), n),
            ("R2", r2.columns(), n),
        ];
        for (key, found, expected) in shapes {
            if found != expected {
                return Err(CalibrationError::Shape { key, found, expected });
            }
        }
        let one = Matrix::identity(n);
        let leaves = Matrix::from_fn(n, n, |i, j| one.at(i, j) - q.at(i, j));
        let changes = r1.times_vector(k);
        let changes = Matrix::from_fn(n, 1, |i, _| changes[i]);
        let g1 = leaves.solve("1 − Q", &changes)?;
        let b = leaves.solve("1 − Q", r2)?;
        Ok(Adjustment { g1: (0..n).map(|i| g1.at(i, 0)).collect(), b })
    }

    /// The adjustment over the first 1 … `count` changes of the mid.
    pub fn partial_sums(&self, count: usize) -> Vec<Vec<Real>> {
        let mut sums: Vec<Vec<Real>> = Vec::with_capacity(count);
        let mut sum = self.g1.clone();
        for _ in 0..count {
            sums.push(sum.clone());
            let next = self.b.times_vector(&sum);
            sum = self.g1.iter().zip(&next).map(|(first, later)| *first + *later).collect();
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[&[&str]]) -> Matrix {
        let rows: Vec<Vec<Real>> = rows
            .iter()
            .map(|row| row.iter().map(|text| Real::parse(text).unwrap()).collect())
            .collect();
        Matrix::from_rows("test", &rows).unwrap()
    }

    fn example() -> Adjustment {
        let q = matrix(&[&["0.5", "0.2", "0"], &["0.15", "0.5", "0.15"], &["0", "0.2", "0.5"]]);
        let r1 = matrix(&[&["0.2", "0.1"], &["0.1", "0.1"], &["0.1", "0.2"]]);
        let r2 = matrix(&[
            &["0.05", "0.1", "0.15"],
            &["0.07", "0.06", "0.07"],
            &["0.15", "0.1", "0.05"],
        ]);
        let k = ["-0.01", "0.01"].map(|text| Real::parse(text).unwrap());
        Adjustment::solve(&q, &r1, &r2, &k).unwrap()
    }

    #[test]
    fn the_adjustment_sums_up_as_in_the_example() {
        let sums = example().partial_sums(6);
        let exact = ["-0.002", "-0.0016", "-0.00168", "-0.001664", "-0.0016672", "-0.00166656"];
        for (sum, exact) in sums.iter().zip(exact) {
            assert!((sum[0] - Real::parse(exact).unwrap()).abs().to_f64() < 1e-30);
            assert!((sum[0] + sum[2]).abs().to_f64() < 1e-30, "the book is symmetric");
        }
        let from_middle =
            example().b.at(0, 1) - Real::parse("0.3263157894736842105263158").unwrap();
        assert!(from_middle.abs().to_f64() < 1e-25);
    }

    #[test]
    fn a_state_that_is_never_left_has_no_adjustment() {
        let q = matrix(&[&["1"]]);
        let r = matrix(&[&["0"]]);
        assert_eq!(
            Adjustment::solve(&q, &r, &r, &[Real::ONE]),
            Err(CalibrationError::Singular { key: "1 − Q" })
        );
        assert!(matches!(
            Adjustment::solve(&q, &r, &r, &[]),
            Err(CalibrationError::Shape { key: "R1", found: 1, expected: 0 })
        ));
    }
}
