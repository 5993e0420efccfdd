//! How often a maker is traded with at a distance from the mid, and the quote that answers best.
//!
//! Called by the hedge solver ([`super::internalise_or_hedge`]); calibration's thread. The Hamiltonian
//! `H(p) = sup_δ Λ(δ)(δ − p)` is in closed form for both shapes: the live exponential one,
//! `Λ = A e^(−kδ)`, `H = (A/k) e^(−1−kp)` at `δ = p + 1/k`; and the dealers' logistic one of
//! Barzykin, Bergault & Guéant (2021), `Λ = λ/(1 + e^(α+βδ))`, `H = λ W/β` at `δ = p + (1 + W)/β` with
//! `W` Lambert's function of `e^(−(1+α+βp))`. Deliberately absent: fitting, which is the estimate's.

use super::{CalibrationError, Real, positive};

/// The shape of the fills' intensity. Distances in price units, times in the problem's unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Intensity {
    /// `A e^(−kδ)`.
    Exponential {
        /// A, fills a unit of time at no distance.
        rate: f64,
        /// k, per unit of price.
        decay: f64,
    },
    /// `λ/(1 + e^(α+βδ))`.
    Logistic {
        /// λ, requests a unit of time.
        rate: f64,
        /// α.
        alpha: f64,
        /// β, per unit of price.
        beta: f64,
    },
}

impl Intensity {
    /// An error where the shape has no Hamiltonian.
    pub(super) fn checked(&self) -> Result<(), CalibrationError> {
        match *self {
            Intensity::Exponential { rate, decay } => {
                positive("intensity", Real::from(rate))?;
                positive("decay", Real::from(decay))
            }
            Intensity::Logistic { rate, alpha, beta } => {
                positive("lambda", Real::from(rate))?;
                if !alpha.is_finite() {
                    let (min, max) = (f64::MIN, f64::MAX);
                    return Err(CalibrationError::OutOfRange {
                        key: "alpha",
                        value: alpha,
                        min,
                        max,
                    });
                }
                positive("beta", Real::from(beta))
            }
        }
    }

    /// `H(p)`, money a unit of size and time, and the intensity `−H'(p)` at the best quote.
    pub fn hamiltonian(&self, p: f64) -> (f64, f64) {
        match *self {
            Intensity::Exponential { rate, decay } => {
                let fills = rate * libm::exp(-1.0 - decay * p);
                (fills / decay, fills)
            }
            Intensity::Logistic { rate, alpha, beta } => {
                let w = lambert_of_exp(-(1.0 + alpha + beta * p));
                (rate * w / beta, rate * w / (1.0 + w))
            }
        }
    }

    /// The best distance from the mid where a fill costs `p` of the future's value a unit of size.
    pub fn best_distance(&self, p: f64) -> f64 {
        match *self {
            Intensity::Exponential { decay, .. } => p + 1.0 / decay,
            Intensity::Logistic { alpha, beta, .. } => {
                p + (1.0 + lambert_of_exp(-(1.0 + alpha + beta * p))) / beta
            }
        }
    }
}

/// Lambert's `W₀(e^s)`: the w > 0 with `w + ln w = s`, to the double's last digits or two.
fn lambert_of_exp(s: f64) -> f64 {
    // Below this, w = e^s(1 − e^s + …) rounds to e^s.
    if s < -40.0 {
        return libm::exp(s);
    }
    // Newton on a concave function stays on the near side of the root after its first step and
    // doubles its digits with each: seven steps from these starts are more than enough.
    let small = libm::exp(s.min(1.0));
    let mut w = if s > 1.0 { s - libm::log(s) } else { small / (1.0 + small) };
    for _ in 0..7 {
        let next = w * (1.0 + s - libm::log(w)) / (1.0 + w);
        let is_there = (next - w).abs() <= 1e-15 * next;
        w = next;
        if is_there {
            break;
        }
    }
    w
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: [Intensity; 2] = [
        Intensity::Exponential { rate: 1.3, decay: 0.3 },
        Intensity::Logistic { rate: 1000.0, alpha: -1.0, beta: 10.0 },
    ];

    fn fills(shape: Intensity, distance: f64) -> f64 {
        match shape {
            Intensity::Exponential { rate, decay } => rate * libm::exp(-decay * distance),
            Intensity::Logistic { rate, alpha, beta } => {
                rate / (1.0 + libm::exp(alpha + beta * distance))
            }
        }
    }

    #[test]
    fn lamberts_function_solves_its_equation_from_the_smallest_to_the_largest() {
        for s in [-700.0, -40.1, -39.9, -5.0, 0.0, 0.999, 1.001, 3.0, 60.0, 5000.0] {
            let w = lambert_of_exp(s);
            assert!((w + libm::log(w) - s).abs() <= 1e-13 * s.abs().max(1.0), "{s}: {w}");
        }
        // The omega constant.
        assert!((lambert_of_exp(0.0) - 0.567_143_290_409_783_8).abs() < 1e-15);
    }

    #[test]
    fn the_hamiltonian_is_what_the_best_quote_earns_and_no_other_earns_more() {
        for shape in SHAPES {
            for p in [-0.5, -0.1, 0.0, 0.02, 0.4] {
                let best = shape.best_distance(p);
                let (value, rate) = shape.hamiltonian(p);
                assert!((fills(shape, best) * (best - p) / value - 1.0).abs() < 1e-12);
                assert!((fills(shape, best) / rate - 1.0).abs() < 1e-12);
                for other in [best - 0.01, best + 0.01] {
                    assert!(fills(shape, other) * (other - p) < value, "{shape:?} at {p}");
                }
            }
        }
    }

    #[test]
    fn a_shape_that_divides_by_nothing_is_refused() {
        let flat = Intensity::Exponential { rate: 1.0, decay: 0.0 };
        assert!(matches!(flat.checked(), Err(CalibrationError::NotPositive { .. })));
        let lost = Intensity::Logistic { rate: 1.0, alpha: f64::NAN, beta: 1.0 };
        assert!(matches!(lost.checked(), Err(CalibrationError::OutOfRange { .. })));
    }
}
