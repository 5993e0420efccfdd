//! Fits a slice of SVI to the volatilities of one expiry, free of butterfly arbitrage and, given
//! the expiry before, of calendar arbitrage.
//!
//! Fed by the surface; feeds it. Calibration thread. Two stages: an SSVI slice of three parameters
//! whose map makes butterflies impossible (Gatheral & Jacquier 2014, theorem 4.2), then, where the
//! strikes can say five, raw SVI with penalties. What comes out was checked on the dense grid; a
//! fit that fails the check is replaced by the SSVI slice, never returned.

use super::least_squares::minimise;
use super::svi::{Arbitrage, Svi};
use thiserror::Error;

/// Strikes below which only the three SSVI parameters are fitted.
const RAW_STRIKES_MIN: usize = 7;
/// Points of the coarse grid on which arbitrage is penalised while fitting.
const PENALTY_POINTS: u32 = 80;
/// Density factor that the penalty asks for, so that the dense check finds none below zero.
const DENSITY_MARGIN: f64 = 0.01;

/// One volatility to be met.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SmilePoint {
    /// Log-moneyness `ln(K/F)`.
    pub k: f64,
    /// Implied volatility.
    pub volatility: f64,
    /// Half the spread in volatility: residuals are measured in it. Above zero.
    pub error: f64,
}

/// A fitted slice and how well it meets its points.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FittedSvi {
    /// The slice.
    pub svi: Svi,
    /// Root mean square of the residuals, in half-spreads.
    pub rms: f64,
    /// Five parameters were fitted; else three.
    pub is_raw: bool,
}

/// Why no slice was fitted.
#[derive(Clone, Copy, PartialEq, Debug, Error)]
pub enum FitError {
    /// Not one strike has a volatility.
    #[error("no strike of this expiry has a volatility")]
    NoPoints,
    /// A point is not a finite number, or its volatility or error is not above zero.
    #[error("the smile holds a point that is not a positive finite volatility with an error")]
    BadPoint,
    /// Even the constrained slice holds an arbitrage: the quotes themselves contradict each other.
    #[error("no slice free of arbitrage: {0}")]
    Arbitrage(#[from] Arbitrage),
}

/// Fits one expiry in `years`, not below the `earlier` one.
///
/// # Errors
/// See [`FitError`].
pub fn fit(
    points: &[SmilePoint],
    years: f64,
    earlier: Option<&Svi>,
) -> Result<FittedSvi, FitError> {
    if points.is_empty() {
        return Err(FitError::NoPoints);
    }
    let is_good = |p: &SmilePoint| {
        p.k.is_finite() && p.volatility.is_finite() && p.volatility > 0.0 && p.error > 0.0
    };
    if !points.iter().all(is_good) || years.is_nan() || years <= 0.0 {
        return Err(FitError::BadPoint);
    }
    let ssvi = fit_ssvi(points, years, earlier);
    let simple = checked(ssvi, earlier);
    if points.len() >= RAW_STRIKES_MIN {
        let starts = [ssvi, Svi { s: 0.5 * ssvi.s, ..ssvi }, Svi { m: 0.0, s: 0.1, ..ssvi }];
        let mut raws: Vec<(f64, Svi)> =
            starts.iter().map(|start| fit_raw(points, years, earlier, *start)).collect();
        raws.sort_by(|x, y| x.0.total_cmp(&y.0));
        for (_, raw) in raws {
            if let Ok(svi) = checked(raw, earlier) {
                return Ok(FittedSvi { svi, rms: rms(&svi, points, years), is_raw: true });
            }
        }
    }
    let svi = simple?;
    Ok(FittedSvi { svi, rms: rms(&svi, points, years), is_raw: false })
}

/// The slice with no wing flatter than the earlier one's. A penalty leaves a trace of what it forbids, in
/// the wings too: slopes that lack a ten-millionth cost whole expiries of SPX. Steeper wings only raise it.
fn steepened(svi: Svi, earlier: &Svi) -> Svi {
    let slope = |sign: f64| {
        let wanted = earlier.b * (1.0 + sign * earlier.rho) * (1.0 + 1e-9);
        (svi.b * (1.0 + sign * svi.rho)).max(wanted)
    };
    let (left, right) = (slope(-1.0), slope(1.0));
    let b = 0.5 * (left + right);
    if b > svi.b { Svi { b, rho: 0.5 * (right - left) / b, ..svi } } else { svi }
}

/// The slice as it is, or lifted by what it lacks against the earlier one; checked on the dense grid.
fn checked(svi: Svi, earlier: Option<&Svi>) -> Result<Svi, Arbitrage> {
    let mut svi = svi;
    if let Some(earlier) = earlier {
        svi = steepened(svi, earlier);
        let shortfall = svi
            .grid()
            .chain(earlier.grid())
            .map(|k| earlier.total_variance(k) - svi.total_variance(k))
            .fold(0.0, f64::max);
        // The same trace between the wings: a constant takes it away.
        svi.a += shortfall * (1.0 + 1e-9);
        svi.check_calendar(earlier)?;
    }
    svi.check_butterfly()?;
    Ok(svi)
}

fn rms(svi: &Svi, points: &[SmilePoint], years: f64) -> f64 {
    let residual = |p: &SmilePoint| (svi.volatility(p.k, years) - p.volatility) / p.error;
    let sum: f64 = points.iter().map(|p| residual(p) * residual(p)).sum();
    libm::sqrt(sum / points.len() as f64)
}

/// Residuals of the points in half-spreads, then what arbitrage costs on the coarse grid.
fn push_residuals(
    svi: &Svi,
    points: &[SmilePoint],
    years: f64,
    earlier: Option<&Svi>,
    out: &mut Vec<f64>,
) {
    for point in points {
        out.push((svi.volatility(point.k, years) - point.volatility) / point.error);
    }
    let reach = points.iter().map(|p| p.k.abs()).fold(0.1, f64::max) * 4.0;
    let weight = 100.0 * libm::sqrt(points.len() as f64);
    for i in 0..=PENALTY_POINTS {
        let u = 2.0 * f64::from(i) / f64::from(PENALTY_POINTS) - 1.0;
        let k = reach * u * u.abs();
        out.push(weight * (DENSITY_MARGIN - svi.density_factor(k)).max(0.0));
        if let Some(earlier) = earlier {
            let floor = earlier.total_variance(k);
            out.push(weight * ((floor - svi.total_variance(k)) / floor).max(0.0));
        }
    }
    out.push(weight * (svi.b * (1.0 + svi.rho.abs()) - 1.9).max(0.0));
    if let Some(earlier) = earlier {
        for sign in [-1.0, 1.0] {
            let wanted = earlier.b * (1.0 + sign * earlier.rho);
            let slope = svi.b * (1.0 + sign * svi.rho);
            // A little steeper than wanted, so that the check finds no trace of the penalty.
            out.push(weight * ((wanted - slope) / wanted + 1e-3).max(0.0));
        }
    }
}

/// SSVI of one expiry as raw SVI: `θ` at the money, tilt `ρ`, and `φ` as the share of the largest
/// that keeps butterflies out.
fn ssvi(parameters: &[f64; 3]) -> Svi {
    let [log_theta, tilt, share] = *parameters;
    let theta = libm::exp(log_theta);
    let rho = 0.999 * libm::tanh(tilt);
    let lean = 1.0 + rho.abs();
    let phi_max = (4.0 / (theta * lean)).min(libm::sqrt(4.0 / (theta * lean)));
    let phi = 0.999 * phi_max / (1.0 + libm::exp(-share));
    let flat = 1.0 - rho * rho;
    Svi {
        a: 0.5 * theta * flat,
        b: 0.5 * theta * phi,
        rho,
        m: -rho / phi,
        s: libm::sqrt(flat) / phi,
    }
}

fn fit_ssvi(points: &[SmilePoint], years: f64, earlier: Option<&Svi>) -> Svi {
    let level =
        points.iter().min_by(|x, y| x.k.abs().total_cmp(&y.k.abs())).map_or(0.2, |p| p.volatility);
    let start = [libm::log(level * level * years), -0.6, -1.0];
    let (best, _) = minimise(start, 200, |parameters, out| {
        push_residuals(&ssvi(parameters), points, years, earlier, out);
        // Two strikes cannot say three numbers: a whisper of a prior says the rest.
        let [_, tilt, share] = *parameters;
        out.push(0.01 * (tilt + 0.6));
        out.push(0.01 * (share + 1.0));
    });
    ssvi(&best)
}

/// Raw SVI from unbounded parameters: its lowest variance, wings and roundness are exponentials,
/// its tilt a hyperbolic tangent.
fn raw(parameters: &[f64; 5]) -> Svi {
    let [log_lowest, log_b, tilt, m, log_s] = *parameters;
    let b = libm::exp(log_b);
    let rho = libm::tanh(tilt);
    let s = libm::exp(log_s);
    let a = libm::exp(log_lowest) - b * s * libm::sqrt(1.0 - rho * rho);
    Svi { a, b, rho, m, s }
}

fn fit_raw(points: &[SmilePoint], years: f64, earlier: Option<&Svi>, start: Svi) -> (f64, Svi) {
    let lowest = start.a + start.b * start.s * libm::sqrt(1.0 - start.rho * start.rho);
    let start = [
        libm::log(lowest.max(1e-12)),
        libm::log(start.b),
        libm::atanh(start.rho),
        start.m,
        libm::log(start.s),
    ];
    let (best, cost) = minimise(start, 200, |parameters, out| {
        push_residuals(&raw(parameters), points, years, earlier, out);
    });
    (cost, raw(&best))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn smile(svi: &Svi, years: f64, strikes: u32) -> Vec<SmilePoint> {
        (0..strikes)
            .map(|i| {
                let k = -0.1 + 0.2 * f64::from(i) / f64::from(strikes.max(2) - 1);
                SmilePoint { k, volatility: svi.volatility(k, years), error: 2e-4 }
            })
            .collect()
    }

    #[test]
    fn a_smile_made_by_svi_is_found_again() {
        let truth = Svi { a: 0.0005, b: 0.018, rho: -0.55, m: 0.03, s: 0.06 };
        assert_eq!(truth.check_butterfly(), Ok(()));
        let fitted = fit(&smile(&truth, 0.2, 40), 0.2, None).unwrap();
        assert!(fitted.is_raw && fitted.rms < 0.01, "{fitted:?}");
    }

    #[test]
    fn one_strike_is_a_level_and_two_are_a_tilt() {
        let one = [SmilePoint { k: -0.01, volatility: 0.2, error: 1e-3 }];
        let level = fit(&one, 0.1, None).unwrap();
        assert!((level.svi.volatility(-0.01, 0.1) - 0.2).abs() < 1e-4, "{level:?}");
        let two = [one[0], SmilePoint { k: 0.02, volatility: 0.17, error: 1e-3 }];
        let tilt = fit(&two, 0.1, None).unwrap();
        assert!(tilt.rms < 0.1 && !tilt.is_raw, "{tilt:?}");
    }

    #[test]
    fn a_bad_point_is_refused() {
        assert_eq!(fit(&[], 0.1, None), Err(FitError::NoPoints));
        let good = SmilePoint { k: 0.0, volatility: 0.2, error: 1e-3 };
        for bad in [
            SmilePoint { volatility: 0.0, ..good },
            SmilePoint { volatility: f64::NAN, ..good },
            SmilePoint { error: 0.0, ..good },
            SmilePoint { k: f64::INFINITY, ..good },
        ] {
            assert_eq!(fit(&[good, bad], 0.1, None), Err(FitError::BadPoint));
        }
        assert_eq!(fit(&[good], 0.0, None), Err(FitError::BadPoint));
    }

    /// What SPX looked like on 2021-01-04 at 14:45: four strikes whose wings lacked 2e-7 of the earlier ones'.
    #[test]
    fn wings_that_lack_a_trace_are_taken_up_to_the_earlier_ones() {
        let earlier = Svi { a: 0.0002, b: 0.01, rho: -0.4, m: 0.01, s: 0.02 };
        for (b, rho) in [(0.01 - 1.7e-7, -0.4), (0.0101, -0.4 - 2e-2), (0.0099, -0.38)] {
            let traced = Svi { a: 0.0004, b, rho, ..earlier };
            assert!(traced.check_calendar(&earlier).is_err());
            let mended = checked(traced, Some(&earlier)).unwrap();
            assert_eq!(mended.check_calendar(&earlier), Ok(()));
            for k in [-1.0, -0.1, 0.0, 0.1, 1.0] {
                assert!(mended.total_variance(k) >= traced.total_variance(k) - 1e-18);
            }
        }
        let steep = Svi { a: 0.0004, b: 0.02, ..earlier };
        assert_eq!(checked(steep, Some(&earlier)), Ok(steep), "what lacks nothing stays");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

        /// Whatever the quotes say, no fit holds an arbitrage: neither alone nor over an earlier one.
        #[test]
        fn no_fit_holds_an_arbitrage(
            volatilities in prop::collection::vec(0.05f64..0.9, 2..24),
            more in prop::collection::vec(0.05f64..0.9, 2..24),
            years in 0.01f64..1.0,
        ) {
            let points = |volatilities: &[f64]| -> Vec<SmilePoint> {
                let step = 0.4 / volatilities.len() as f64;
                volatilities.iter().enumerate().map(|(i, v)| SmilePoint {
                    k: -0.2 + step * i as f64, volatility: *v, error: 0.01,
                }).collect()
            };
            let Ok(first) = fit(&points(&volatilities), years, None) else {
                return Err(TestCaseError::fail("a slice alone always has an SSVI"));
            };
            prop_assert_eq!(first.svi.check_butterfly(), Ok(()));
            if let Ok(second) = fit(&points(&more), 1.3 * years, Some(&first.svi)) {
                prop_assert_eq!(second.svi.check_butterfly(), Ok(()));
                prop_assert_eq!(second.svi.check_calendar(&first.svi), Ok(()));
            }
        }
    }
}
