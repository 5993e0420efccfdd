//! Small dense matrices: products, systems of equations, and the root of a symmetric one.
//!
//! Used by the several-asset model and the micro-price. Calibration's thread. Sizes are those of
//! models (eight assets, some twenty book states), so that plain loops in a fixed order serve.

use super::{CalibrationError, Real};

/// A dense matrix, row by row.
#[derive(Clone, PartialEq, Debug)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    entries: Vec<Real>,
}

/// Sweeps of Jacobi's method; it converges quadratically and needs about eight for 31 digits.
const SWEEPS_MAX: usize = 40;

impl Matrix {
    /// Nothing but zeroes.
    pub fn zero(rows: usize, columns: usize) -> Matrix {
        Matrix { rows, columns, entries: vec![Real::ZERO; rows * columns] }
    }

    /// Ones on the diagonal.
    pub fn identity(size: usize) -> Matrix {
        Matrix::from_fn(size, size, |i, j| if i == j { Real::ONE } else { Real::ZERO })
    }

    /// Each entry by its row and column.
    pub fn from_fn(rows: usize, columns: usize, entry: impl Fn(usize, usize) -> Real) -> Matrix {
        let entries =
            (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))).map(|(i, j)| entry(i, j));
        Matrix { rows, columns, entries: entries.collect() }
    }

    /// From rows; an error where they are not equally long. `key` names it there.
    pub fn from_rows(key: &'static str, rows: &[Vec<Real>]) -> Result<Matrix, CalibrationError> {
        let columns = rows.first().map_or(0, Vec::len);
        match rows.iter().find(|row| row.len() != columns) {
            Some(row) => Err(CalibrationError::Shape { key, found: row.len(), expected: columns }),
            None => Ok(Matrix { rows: rows.len(), columns, entries: rows.concat() }),
        }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// One entry; both indices within the matrix.
    pub fn at(&self, row: usize, column: usize) -> Real {
        self.entries[row * self.columns + column]
    }

    fn set(&mut self, row: usize, column: usize, value: Real) {
        self.entries[row * self.columns + column] = value;
    }

    /// `self × other`; the inner sizes agree.
    pub fn times(&self, other: &Matrix) -> Matrix {
        Matrix::from_fn(self.rows, other.columns, |i, j| {
            (0..self.columns).fold(Real::ZERO, |sum, l| sum + self.at(i, l) * other.at(l, j))
        })
    }

    /// `self × vector`.
    pub fn times_vector(&self, vector: &[Real]) -> Vec<Real> {
        (0..self.rows)
            .map(|i| {
                vector
                    .iter()
                    .enumerate()
                    .fold(Real::ZERO, |sum, (j, entry)| sum + self.at(i, j) * *entry)
            })
            .collect()
    }

    /// X with `self × X = right`, by elimination with the largest pivot.
    pub fn solve(&self, key: &'static str, right: &Matrix) -> Result<Matrix, CalibrationError> {
        let (mut left, mut right) = (self.clone(), right.clone());
        let scale = self.entries.iter().fold(0.0f64, |most, x| most.max(x.abs().to_f64()));
        for pivot in 0..left.rows {
            let best = (pivot..left.rows)
                .max_by(|i, j| {
                    let (a, b) = (left.at(*i, pivot).abs(), left.at(*j, pivot).abs());
                    a.to_f64().total_cmp(&b.to_f64())
                })
                .unwrap_or(pivot);
            // What elimination leaves of a dependent row is rounding, 1e-30 of the entries.
            if left.at(best, pivot).abs().to_f64() <= scale * 1e-26 {
                return Err(CalibrationError::Singular { key });
            }
            left.swap_rows(pivot, best);
            right.swap_rows(pivot, best);
            for row in pivot + 1..left.rows {
                let factor = left.at(row, pivot) / left.at(pivot, pivot);
                left.subtract_row(row, pivot, factor);
                right.subtract_row(row, pivot, factor);
            }
        }
        for row in (0..left.rows).rev() {
            for above in row + 1..left.rows {
                right.subtract_row(row, above, left.at(row, above));
            }
            for column in 0..right.columns {
                right.set(row, column, right.at(row, column) / left.at(row, row));
            }
        }
        Ok(right)
    }

    /// The symmetric root of a symmetric matrix without negative eigenvalues (those that rounding
    /// puts just below 0 count as 0), by Jacobi's rotations.
    pub fn symmetric_root(&self) -> Matrix {
        let (values, vectors) = self.eigen();
        let roots: Vec<Real> = values.iter().map(|value| value.sqrt()).collect();
        Matrix::from_fn(self.rows, self.rows, |i, j| {
            roots.iter().enumerate().fold(Real::ZERO, |sum, (l, root)| {
                sum + *root * vectors.at(i, l) * vectors.at(j, l)
            })
        })
    }

    /// Eigenvalues, and eigenvectors as columns, of a symmetric matrix.
    pub fn eigen(&self) -> (Vec<Real>, Matrix) {
        let size = self.rows;
        let (mut a, mut vectors) = (self.clone(), Matrix::identity(size));
        for _ in 0..SWEEPS_MAX {
            let mut is_diagonal = true;
            for p in 0..size {
                for q in p + 1..size {
                    let far = (a.at(p, p).abs() + a.at(q, q).abs()).to_f64();
                    if a.at(p, q).abs().to_f64() > far * 1e-33 {
                        is_diagonal = false;
                        rotate(&mut a, &mut vectors, p, q);
                    }
                }
            }
            if is_diagonal {
                break;
            }
        }
        ((0..size).map(|i| a.at(i, i)).collect(), vectors)
    }

    fn swap_rows(&mut self, a: usize, b: usize) {
        for column in 0..self.columns {
            self.entries.swap(a * self.columns + column, b * self.columns + column);
        }
    }

    fn subtract_row(&mut self, from: usize, other: usize, factor: Real) {
        for column in 0..self.columns {
            let value = self.at(from, column) - factor * self.at(other, column);
            self.set(from, column, value);
        }
    }
}

/// Jacobi's rotation that makes the entries (p, q) and (q, p) of `a` zero.
fn rotate(a: &mut Matrix, vectors: &mut Matrix, p: usize, q: usize) {
    let theta = (a.at(q, q) - a.at(p, p)) / (Real::TWO * a.at(p, q));
    let root = (theta * theta + Real::ONE).sqrt();
    let tangent =
        if theta < Real::ZERO { -(Real::ONE / (root - theta)) } else { Real::ONE / (root + theta) };
    let cosine = Real::ONE / (tangent * tangent + Real::ONE).sqrt();
    let sine = tangent * cosine;
    for l in 0..a.rows {
        let (x, y) = (a.at(l, p), a.at(l, q));
        a.set(l, p, cosine * x - sine * y);
        a.set(l, q, sine * x + cosine * y);
    }
    for l in 0..a.rows {
        let (x, y) = (a.at(p, l), a.at(q, l));
        a.set(p, l, cosine * x - sine * y);
        a.set(q, l, sine * x + cosine * y);
    }
    a.set(p, q, Real::ZERO);
    a.set(q, p, Real::ZERO);
    for l in 0..vectors.rows {
        let (x, y) = (vectors.at(l, p), vectors.at(l, q));
        vectors.set(l, p, cosine * x - sine * y);
        vectors.set(l, q, sine * x + cosine * y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[&[f64]]) -> Matrix {
        let rows: Vec<Vec<Real>> =
            rows.iter().map(|row| row.iter().map(|x| Real::from(*x)).collect()).collect();
        Matrix::from_rows("test", &rows).unwrap()
    }

    fn distance(a: &Matrix, b: &Matrix) -> f64 {
        a.entries.iter().zip(&b.entries).map(|(x, y)| (*x - *y).abs().to_f64()).fold(0.0, f64::max)
    }

    #[test]
    fn a_solution_satisfies_its_equations() {
        let left = matrix(&[&[0.0, 2.0, 1.0], &[1.0, -3.0, 0.5], &[4.0, 1.0, 9.0]]);
        let right = matrix(&[&[1.0, 0.0], &[2.0, 1.0], &[3.0, -5.0]]);
        let solution = left.solve("left", &right).unwrap();
        assert!(distance(&left.times(&solution), &right) < 1e-29);
    }

    #[test]
    fn dependent_equations_are_refused() {
        let left = matrix(&[&[1.0, 0.1], &[3.0, 0.1 * 3.0]]);
        let exact = matrix(&[&[1.0, 2.0], &[3.0, 6.0]]);
        let right = Matrix::identity(2);
        assert!(left.solve("left", &right).is_ok(), "0.1 × 3 is not 0.3 in doubles");
        assert_eq!(exact.solve("left", &right), Err(CalibrationError::Singular { key: "left" }));
    }

    #[test]
    fn a_root_squared_is_the_matrix_also_where_it_is_singular() {
        let regular = matrix(&[&[4.0, 1.0, 0.5], &[1.0, 3.0, -0.25], &[0.5, -0.25, 2.0]]);
        let root = regular.symmetric_root();
        assert!(distance(&root.times(&root), &regular) < 1e-29);
        let singular = matrix(&[&[1.0, 2.0], &[2.0, 4.0]]);
        let root = singular.symmetric_root();
        assert!(distance(&root.times(&root), &singular) < 1e-29);
        // (1, 2)(1, 2)ᵀ / √5 is the root.
        let expected = Real::ONE / Real::from(5.0).sqrt();
        assert!((root.at(0, 0) - expected).abs().to_f64() < 1e-15);
    }

    #[test]
    fn rows_of_different_lengths_are_refused() {
        let rows = [vec![Real::ONE; 2], vec![Real::ONE; 3]];
        assert_eq!(
            Matrix::from_rows("Q", &rows),
            Err(CalibrationError::Shape { key: "Q", found: 3, expected: 2 })
        );
    }
}
