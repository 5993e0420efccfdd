//! Levenberg–Marquardt for a handful of parameters, derivatives by differences.
//!
//! Fed by and feeding the fits beside it. Calibration thread. Fixed order of every sum, so that a
//! fit gives the same bits everywhere. Deliberately absent: bounds; callers map theirs away.
// Every index runs over 0..N of arrays of length N.
#![allow(clippy::indexing_slicing, clippy::needless_range_loop)]

/// Minimises the sum of squares of what `residuals` pushes, from `start`, in at most `rounds`
/// rounds. Returns the best parameters and their sum of squares (infinite where even the start has
/// none that is finite).
pub fn minimise<const N: usize>(
    start: [f64; N],
    rounds: u32,
    residuals: impl Fn(&[f64; N], &mut Vec<f64>),
) -> ([f64; N], f64) {
    let mut best = start;
    let mut at_best = Vec::new();
    residuals(&best, &mut at_best);
    let mut cost = sum_of_squares(&at_best);
    let mut damping = 1e-3;
    let mut there = Vec::new();
    for _ in 0..rounds {
        let (normal, gradient) = normal_equations(&best, &at_best, &residuals);
        let mut gain = 0.0;
        while damping < 1e12 {
            let mut damped = normal;
            for (i, row) in damped.iter_mut().enumerate() {
                row[i] += damping * row[i].max(1e-12);
            }
            if let Some(step) = solve(damped, gradient) {
                let next: [f64; N] = std::array::from_fn(|i| best[i] + step[i]);
                there.clear();
                residuals(&next, &mut there);
                let next_cost = sum_of_squares(&there);
                if next_cost < cost {
                    gain = (cost - next_cost) / cost.max(f64::MIN_POSITIVE);
                    (best, cost) = (next, next_cost);
                    std::mem::swap(&mut at_best, &mut there);
                    damping = (damping * 0.2).max(1e-12);
                    break;
                }
            }
            damping *= 4.0;
        }
        if gain < 1e-9 {
            break;
        }
    }
    (best, cost)
}

/// `JᵀJ` and `−Jᵀr` at `best`, derivatives by forward differences.
fn normal_equations<const N: usize>(
    best: &[f64; N],
    at_best: &[f64],
    residuals: &impl Fn(&[f64; N], &mut Vec<f64>),
) -> ([[f64; N]; N], [f64; N]) {
    let columns: [Vec<f64>; N] = std::array::from_fn(|column| {
        let step = 1e-6 * best[column].abs().max(1e-2);
        let mut there = *best;
        there[column] += step;
        let mut bumped = Vec::with_capacity(at_best.len());
        residuals(&there, &mut bumped);
        bumped.iter().zip(at_best).map(|(there, here)| (there - here) / step).collect()
    });
    let dot = |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| x * y).sum() };
    let normal = std::array::from_fn(|i| std::array::from_fn(|j| dot(&columns[i], &columns[j])));
    let gradient = std::array::from_fn(|i| -dot(&columns[i], at_best));
    (normal, gradient)
}

/// Infinite where a residual is not finite, so that such a step is never taken.
fn sum_of_squares(residuals: &[f64]) -> f64 {
    let sum: f64 = residuals.iter().map(|r| r * r).sum();
    if sum.is_finite() { sum } else { f64::INFINITY }
}

/// Solves a symmetric positive system by Cholesky; `None` where it is not positive.
fn solve<const N: usize>(mut matrix: [[f64; N]; N], mut right: [f64; N]) -> Option<[f64; N]> {
    for column in 0..N {
        for row in column..N {
            let mut sum = matrix[row][column];
            for k in 0..column {
                sum -= matrix[row][k] * matrix[column][k];
            }
            if row == column {
                if sum.is_nan() || sum <= 0.0 {
                    return None;
                }
                matrix[row][column] = libm::sqrt(sum);
            } else {
                matrix[row][column] = sum / matrix[column][column];
            }
        }
    }
    for row in 0..N {
        for k in 0..row {
            right[row] -= matrix[row][k] * right[k];
        }
        right[row] /= matrix[row][row];
    }
    for row in (0..N).rev() {
        for k in row + 1..N {
            right[row] -= matrix[k][row] * right[k];
        }
        right[row] /= matrix[row][row];
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rosenbrocks_valley_is_followed_to_its_end() {
        let (best, cost) = minimise([-1.2, 1.0], 200, |p, out| {
            out.extend([10.0 * (p[1] - p[0] * p[0]), 1.0 - p[0]]);
        });
        assert!((best[0] - 1.0).abs() < 1e-6 && (best[1] - 1.0).abs() < 1e-6, "{best:?} {cost}");
    }

    #[test]
    fn a_step_to_where_nothing_is_finite_is_not_taken() {
        let (best, _) = minimise([1.0], 100, |p, out| out.push(libm::log(p[0]) + 3.0));
        assert!((best[0] - libm::exp(-3.0)).abs() < 1e-6, "{best:?}");
    }

    #[test]
    fn cholesky_solves_what_it_should_and_refuses_the_rest() {
        let x = solve([[4.0, 2.0], [2.0, 3.0]], [2.0, 5.0]).unwrap();
        assert!((x[0] + 0.5).abs() < 1e-15 && (x[1] - 2.0).abs() < 1e-15);
        assert_eq!(solve([[1.0, 2.0], [2.0, 1.0]], [1.0, 1.0]), None);
    }
}
