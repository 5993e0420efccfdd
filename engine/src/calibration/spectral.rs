//! GLFT's exact solution (2013, Propositions 1 and 2, Theorems 1 and 2) as a table by inventory.
//!
//! Called by [`super::quoter`] and `ballast model`; the table travels to the maker. Calibration's
//! thread. With inventory n in order sizes Δ and g = γΔ: `α = k g σ²/2`,
//! `η = A (1 + g/k)^−(1+k/g)`, M tridiagonal with `α n²` on the diagonal and −η beside it;
//! `v(t) = e^(−M t) 1`, or M's lowest eigenvector in the long run;
//! `δ_bid(n) = ln(v(n)/v(n+1))/k + ln(1 + g/k)/g`.
//!
//! Every step keeps *relative* precision in the far tails, where v falls below 1e-50: the
//! eigenvector as a continued fraction of ratios from the outside in, the exponential as a series
//! of positive terms. General eigenvalue routines would not.

use super::{CalibrationError, QuoteParameters, Real, not_negative, positive};
use crate::quote::GlftTable;
use crate::quote::glft_exact::STEPS_MAX;
use crate::units::{Lots, SubTicks};

/// The solution before it is quantised.
#[derive(Clone, PartialEq, Debug)]
pub struct Solution {
    /// `ln(v(n)/v(n+1))/k` for n from −Q to Q − 1, in ticks.
    pub steps: Vec<Real>,
    /// α, per second.
    pub alpha: Real,
    /// η, per second.
    pub eta: Real,
    /// M's lowest eigenvalue, per second.
    pub lowest: Real,
    parameters: QuoteParameters,
}

/// Bisections that take an interval of 2η to the last digit of [`Real`].
const BISECTIONS: usize = 108;
/// Largest exponent of one series; the terms that it takes grow with it, the steps shrink.
const SERIES_SPAN: f64 = 32.0;
/// Most steps of the exponential: some seconds of work.
const STEPS_OF_TIME_MAX: f64 = 200_000.0;

/// The solution far from the end.
pub fn stationary(parameters: &QuoteParameters) -> Result<Solution, CalibrationError> {
    let mut solution = unsolved(parameters)?;
    let half = half_ratios(&solution, solution.lowest);
    // v is even, so that the steps above zero mirror those below.
    let below = half.iter().map(|ratio| -(ratio.ln() / parameters.decay));
    let above = half.iter().rev().map(|ratio| ratio.ln() / parameters.decay);
    solution.steps = below.chain(above).collect();
    Ok(solution)
}

/// The solution with `time_left` seconds to the end.
pub fn with_time_left(
    parameters: &QuoteParameters,
    time_left: Real,
) -> Result<Solution, CalibrationError> {
    not_negative("T_minus_t", time_left)?;
    let mut solution = unsolved(parameters)?;
    // After 80 of these the difference from the stationary solution is beyond every digit printed.
    let settling = 80.0 / relaxation_rate(&solution);
    if time_left.to_f64() >= settling {
        return stationary(parameters);
    }
    let bound = f64::from(parameters.inventory_bound);
    let speed = (solution.alpha * Real::from(bound * bound) + Real::TWO * solution.eta).to_f64();
    let steps = libm::ceil(speed * time_left.to_f64() / SERIES_SPAN).max(1.0);
    if steps > STEPS_OF_TIME_MAX {
        let (min, max) = (0.0, STEPS_OF_TIME_MAX * SERIES_SPAN);
        let value = speed * time_left.to_f64();
        return Err(CalibrationError::OutOfRange { key: "alpha Q² T", value, min, max });
    }
    let step = time_left / Real::from(steps);
    let mut v = vec![Real::ONE; 2 * parameters.inventory_bound as usize + 1];
    for _ in 0..steps as u32 {
        v = advanced(&solution, &v, step);
    }
    solution.steps = v.windows(2).map(|pair| (pair[0] / pair[1]).ln() / parameters.decay).collect();
    Ok(solution)
}

/// The stationary solution as the maker's table, around no inventory.
pub fn stationary_table(parameters: &QuoteParameters) -> Result<GlftTable, CalibrationError> {
    let bound = f64::from(parameters.inventory_bound);
    let max = (STEPS_MAX / 2) as f64;
    if !(1.0..=max).contains(&bound) {
        let key = "inventory_bound";
        return Err(CalibrationError::OutOfRange { key, value: bound, min: 1.0, max });
    }
    stationary(parameters)?.table(0)
}

impl Solution {
    /// The table for inventories around `centre` (in order sizes): all of them where they fit, else
    /// the nearest [`STEPS_MAX`] steps. The order size must be a whole number of lots.
    pub fn table(&self, centre: i64) -> Result<GlftTable, CalibrationError> {
        let p = &self.parameters;
        let lots = p.order_size / p.lot;
        let whole = Real::from(libm::round(lots.to_f64()));
        if (lots - whole).abs() > whole * Real::from(1e-15) {
            let (key, value) = ("order_size in lots", lots.to_f64());
            return Err(CalibrationError::OutOfRange {
                key,
                value,
                min: whole.to_f64(),
                max: whole.to_f64(),
            });
        }
        let bound = i64::from(p.inventory_bound);
        let room = self.steps.len().saturating_sub(STEPS_MAX);
        let wanted = centre.saturating_add(bound).saturating_sub(STEPS_MAX as i64 / 2);
        let skipped = usize::try_from(wanted).unwrap_or(0).min(room);
        let steps: Vec<SubTicks> = self.steps[skipped..]
            .iter()
            .take(STEPS_MAX)
            .map(|step| step.fixed().nearest_sub_ticks())
            .collect();
        let risk = p.gamma * p.order_size;
        let base = ((risk / p.decay).ln_1p() / risk).fixed();
        let order_size = Lots(whole.to_f64() as i64);
        let sigma_inverse = (Real::ONE / p.sigma).scaled();
        GlftTable::new(base, order_size, sigma_inverse, skipped as i64 - bound, &steps).ok_or(
            CalibrationError::NotPositive { key: "order_size", value: p.order_size.to_f64() },
        )
    }
}

/// α, η and the lowest eigenvalue; no steps yet.
fn unsolved(parameters: &QuoteParameters) -> Result<Solution, CalibrationError> {
    parameters.checked()?;
    let p = parameters;
    positive("sigma", p.sigma)?;
    if !(1..=5000).contains(&p.inventory_bound) {
        let value = f64::from(p.inventory_bound);
        return Err(CalibrationError::OutOfRange { key: "Q", value, min: 1.0, max: 5000.0 });
    }
    let risk = p.gamma * p.order_size;
    let alpha = p.decay * risk * p.sigma * p.sigma * Real::from(0.5);
    let ratio = risk / p.decay;
    let eta = p.intensity * (-((Real::ONE + Real::ONE / ratio) * ratio.ln_1p())).exp();
    positive("eta", eta)?;
    positive("alpha", alpha)?;
    let mut solution =
        Solution { steps: Vec::new(), alpha, eta, lowest: Real::ZERO, parameters: *parameters };
    solution.lowest = eigenvalue(&solution, 0);
    Ok(solution)
}

/// M's eigenvalue number `index`, 0 the lowest, by bisection on the count of negative pivots.
fn eigenvalue(solution: &Solution, index: usize) -> Real {
    // Gershgorin: none is below −2η; number `index` (0 or 1) is below the diagonal around n = 0.
    let mut low = -(Real::TWO * solution.eta);
    let mut high = solution.alpha + Real::TWO * solution.eta;
    for _ in 0..BISECTIONS {
        let middle = (low + high) * Real::from(0.5);
        if count_below(solution, middle) > index {
            high = middle;
        } else {
            low = middle;
        }
    }
    (low + high) * Real::from(0.5)
}

/// How many eigenvalues of M lie below `bound`: the negative pivots of `M − bound` (Sylvester).
fn count_below(solution: &Solution, bound: Real) -> usize {
    let q = i64::from(solution.parameters.inventory_bound);
    let eta_squared = solution.eta * solution.eta;
    let (mut count, mut pivot) = (0, Real::ONE);
    for n in -q..=q {
        let diagonal = solution.alpha * Real::from_i64(n * n) - bound;
        pivot = if n == -q { diagonal } else { diagonal - eta_squared / pivot };
        if pivot == Real::ZERO {
            pivot = solution.eta * Real::from(1e-300);
        }
        count += usize::from(pivot < Real::ZERO);
    }
    count
}

/// v(n+1)/v(n) for n from −Q to −1, from the outside in.
fn half_ratios(solution: &Solution, eigenvalue: Real) -> Vec<Real> {
    let q = i64::from(solution.parameters.inventory_bound);
    let mut ratio = Real::ZERO;
    (-q..0)
        .map(|n| {
            let own = (solution.alpha * Real::from_i64(n * n) - eigenvalue) / solution.eta;
            ratio = if n == -q { own } else { own - Real::ONE / ratio };
            ratio
        })
        .collect()
}

/// How fast the solution settles: the gap between the two lowest eigenvalues, per second.
fn relaxation_rate(solution: &Solution) -> f64 {
    (eigenvalue(solution, 1) - solution.lowest).to_f64()
}

/// `e^(−M step) v`, up to a factor: as `e^(step (c − M)) v` with c the largest diagonal entry, every
/// term of the series is positive and none cancels. Scaled so that the largest entry is 1.
fn advanced(solution: &Solution, v: &[Real], step: Real) -> Vec<Real> {
    let q = i64::from(solution.parameters.inventory_bound);
    let diagonal: Vec<Real> =
        (-q..=q).map(|n| solution.alpha * Real::from_i64(q * q - n * n) * step).collect();
    let beside = solution.eta * step;
    let (mut term, mut sum) = (v.to_vec(), v.to_vec());
    // 32^n/n! is below 1e-33 of e^32 from n = 130 on.
    for n in 1..=130 {
        let last = term.len() - 1;
        let inverse = Real::ONE / Real::from(f64::from(n));
        let next: Vec<Real> = (0..=last)
            .map(|i| {
                let left = if i == 0 { Real::ZERO } else { term[i - 1] };
                let right = if i == last { Real::ZERO } else { term[i + 1] };
                (diagonal[i] * term[i] + beside * (left + right)) * inverse
            })
            .collect();
        term = next;
        for (total, more) in sum.iter_mut().zip(&term) {
            *total = *total + *more;
        }
    }
    let most = sum[q as usize];
    sum.iter().map(|entry| *entry / most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(text: &str) -> Real {
        Real::parse(text).unwrap()
    }

    fn figures() -> QuoteParameters {
        QuoteParameters {
            sigma: real("0.3"),
            inventory_bound: 30,
            ..QuoteParameters::new(real("0.01"), real("0.9"), real("0.3"))
        }
    }

    fn bid(solution: &Solution, n: i64) -> Real {
        let risk = solution.parameters.gamma / solution.parameters.decay;
        let index = usize::try_from(n + i64::from(solution.parameters.inventory_bound)).unwrap();
        solution.steps[index] + risk.ln_1p() / solution.parameters.gamma
    }

    fn assert_close(found: Real, exact: &str) {
        let error = (found - real(exact)).abs().to_f64();
        assert!(error < 1e-20, "{exact} is off by {error:e}");
    }

    #[test]
    fn the_papers_figures_come_out_to_twenty_digits() {
        let solution = stationary(&figures()).unwrap();
        assert_close(solution.alpha, "0.0001350000000000000000000000");
        assert_close(solution.eta, "0.3256783558467325039884897");
        assert_close(solution.lowest, "-0.6447344299102679062149380");
        assert_close(bid(&solution, -10), "2.632801825373911849392713");
        assert_close(bid(&solution, -1), "3.244919145846515338349402");
        for (time_left, n, exact) in [
            ("600", -5, "2.972521772790110232747174"),
            ("60", 5, "3.526126889591103736973376"),
            ("10", 0, "3.283456112775969556669077"),
            ("1", 1, "3.280332203172822835085576"),
        ] {
            let solution = with_time_left(&figures(), real(time_left)).unwrap();
            assert_close(bid(&solution, n), exact);
        }
    }

    #[test]
    fn a_long_time_left_is_the_stationary_solution() {
        let stationary = stationary(&figures()).unwrap();
        let long = with_time_left(&figures(), real("5000")).unwrap();
        let longer = with_time_left(&figures(), real("1e9")).unwrap();
        assert_eq!(stationary.steps, longer.steps);
        for (a, b) in stationary.steps.iter().zip(&long.steps) {
            assert!((*a - *b).abs().to_f64() < 1e-20);
        }
    }

    #[test]
    fn work_without_end_is_refused() {
        let mut endless = figures();
        endless.inventory_bound = 5000;
        endless.sigma = real("1000");
        assert!(matches!(
            with_time_left(&endless, real("0.01")),
            Err(CalibrationError::OutOfRange { key: "alpha Q² T", .. })
        ));
    }
}
