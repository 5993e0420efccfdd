//! Minimum-variance hedges of one instrument with others, from their changes over the same intervals.
//!
//! Fed with changes of mids, the reference's first; feeds the hedger with journaled mixes. Calibration's
//! thread. Of one instrument it is the regression of the reference on it (Ederington 1979): `h = σ_fs/σ_ff`,
//! which leaves `(1 − ρ²)σ²`. Of several it is `h = Σ_ff⁻¹ Σ_fs` (Anderson & Danthine 1981), from
//! correlations shrunk as [`super::covariance`] does: what few changes say for a second leg is not believed.
//! A set of which one would be *bought* to hedge a long is none (its smaller sets are better, for legs are
//! to take risk off), nor is one whose ratios add up to what nobody believes.

use super::covariance::shrunk;
use super::linear::Matrix;
use super::{CalibrationError, Real};
use crate::inventory::hedge_mix::{LEGS_MAX, MIXES, Mix, ONE_PPM};

/// A leg with less of a unit than this is none.
const RATIO_LEAST: f64 = 0.02;

/// Which estimates are believed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Belief {
    /// Least and most that the ratios of a mix may add up to.
    pub ratios: [f64; 2],
    /// Most instruments of a mix.
    pub legs_max: u32,
    /// Fewer changes say nothing.
    pub changes_min: usize,
}

/// What stands beside the changes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scale {
    /// The reference's price now, in the changes' unit.
    pub price: f64,
    /// Length of their interval.
    pub interval_s: f64,
}

/// All mixes that are believed, of changes a row an interval: the reference's, then each hedge
/// instrument's, at most [`LEGS_MAX`]; `None` where one is not known. A set is estimated from the rows
/// in which all of it are.
pub fn mixes(rows: &[Vec<Option<f64>>], scale: Scale, belief: &Belief) -> Vec<Mix> {
    let count = rows.first().map_or(0, |row| row.len().saturating_sub(1)).min(LEGS_MAX);
    let sets = (1..MIXES).filter(|set| set >> count == 0);
    let believed = sets.filter(|set| set.count_ones() <= belief.legs_max);
    let of = |set: usize| {
        let places: Vec<usize> = (0..count).filter(|place| set >> place & 1 == 1).collect();
        let whole = |row: &Vec<Option<f64>>| -> Option<Vec<f64>> {
            let legs = places.iter().map(|place| row[place + 1]);
            std::iter::once(row[0]).chain(legs).collect()
        };
        let changes: Vec<Vec<f64>> = rows.iter().filter_map(whole).collect();
        if changes.len() < belief.changes_min {
            return None;
        }
        let hedge = hedge(&changes).ok()?;
        mix(&places, &hedge, scale, belief)
    };
    believed.filter_map(of).collect()
}

/// A hedge before it is rounded.
#[derive(Clone, PartialEq, Debug)]
pub struct Hedge {
    /// How much of each is traded against a unit of the reference.
    pub ratios: Vec<f64>,
    /// What a unit of each counts for in units of the reference.
    pub weights: Vec<f64>,
    /// The variance that is left of a unit, an interval.
    pub residual: f64,
}

/// The hedge of the first column by all others.
///
/// # Errors
/// Fewer than two rows, or a column that did not move.
pub fn hedge(changes: &[Vec<f64>]) -> Result<Hedge, CalibrationError> {
    let found = shrunk(changes)?;
    let legs = found.deviations.len().saturating_sub(1);
    // One leg has thousands of changes of its own, as a volatility has: nothing is shrunk.
    let single = if legs == 1 { Some(correlation(changes, &found.deviations)) } else { None };
    let deviation = |n: usize| Real::from(found.deviations[n]);
    let covariance = |i: usize, j: usize| {
        let correlation = match single {
            Some(single) if i != j => Real::from(single),
            _ => found.correlations.at(i, j),
        };
        correlation * deviation(i) * deviation(j)
    };
    let among = Matrix::from_fn(legs, legs, |i, j| covariance(i + 1, j + 1));
    let with = Matrix::from_fn(legs, 1, |i, _| covariance(i + 1, 0));
    let ratios = among.solve("hedge ratios", &with)?;
    let explained = (0..legs).fold(Real::ZERO, |sum, n| sum + ratios.at(n, 0) * with.at(n, 0));
    let weights = (0..legs).map(|n| (with.at(n, 0) / explained).to_f64()).collect();
    let residual = (covariance(0, 0) - explained).to_f64().max(0.0);
    Ok(Hedge { ratios: (0..legs).map(|n| ratios.at(n, 0).to_f64()).collect(), weights, residual })
}

fn correlation(changes: &[Vec<f64>], deviations: &[f64]) -> f64 {
    let count = changes.len() as f64;
    let mean = |n: usize| changes.iter().map(|row| row[n]).sum::<f64>() / count;
    let means = [mean(0), mean(1)];
    let products = changes.iter().map(|row| (row[0] - means[0]) * (row[1] - means[1]));
    products.sum::<f64>() / count / (deviations[0] * deviations[1])
}

/// Quantised; `None` where it is not believed.
fn mix(places: &[usize], hedge: &Hedge, scale: Scale, belief: &Belief) -> Option<Mix> {
    let [least, most] = belief.ratios;
    let sum: f64 = hedge.ratios.iter().sum();
    let is_believed = sum >= least && sum <= most;
    let legs = hedge.ratios.iter().zip(&hedge.weights);
    let takes_off = |(ratio, weight): (&f64, &f64)| {
        *ratio >= RATIO_LEAST && *weight > 0.0 && *weight <= 1.0 / RATIO_LEAST
    };
    if !is_believed || !legs.clone().all(takes_off) {
        return None;
    }
    let relative = hedge.residual / (scale.price * scale.price * scale.interval_s);
    if !relative.is_finite() {
        return None;
    }
    // A conversion to an integer saturates.
    let ppm = |part: f64| libm::round(part * f64::from(ONE_PPM)) as u32;
    let mut mix = Mix { residual: libm::ceil(relative * 1e18) as u64, ..Mix::default() };
    for (place, (ratio, weight)) in places.iter().zip(legs) {
        mix.ratios[*place] = ppm(*ratio);
        mix.weights[*place] = ppm(*weight);
    }
    Some(mix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::InstrumentId;
    use crate::inventory::hedge_mix::{BasisTerms, MixUpdate, Mixes};
    use crate::units::Nanos;

    const BELIEF: Belief = Belief { ratios: [0.1, 2.0], legs_max: 4, changes_min: 8 };
    const SCALE: Scale = Scale { price: 60_000.0, interval_s: 2.0 };

    /// The reference and three others, for mpmath at 50 digits: `h`, weights and what is left, with Ledoit &
    /// Wolf's shrinkage where there are several.
    const CHANGES: [[f64; 4]; 12] = [
        [0.01, 0.22, 0.4, -0.12],
        [1.49, -0.52, 1.17, 4.73],
        [-1.37, -1.29, -7.8, -3.43],
        [-4.45, -2.61, -6.24, -4.01],
        [-2.27, -4.73, -2.62, -1.37],
        [-4.96, -5.38, -5.17, -3.71],
        [0.3, -3.53, -3.5, -4.66],
        [6.7, 3.45, 6.18, 5.66],
        [-2.46, -5.9, -5.15, 3.47],
        [-3.1, -3.26, -5.43, -8.67],
        [2.45, -0.33, 5.35, 5.4],
        [1.78, 2.14, -0.06, 1.9],
    ];

    type Expected = (&'static [usize], &'static [f64], &'static [f64], f64);

    const EXPECTED: [Expected; 4] = [
        (&[0, 1], &[0.9352949516626203], &[1.0691814365322483], 3.107710085057918),
        (&[0, 3], &[0.5058203288050571], &[1.976986576167047], 4.981243445046902),
        (
            &[0, 1, 2],
            &[0.4395763880005476, 0.33091926514649794],
            &[1.0281724092155038, 1.6561129672296677],
            4.503917670997316,
        ),
        (
            &[0, 1, 2, 3],
            &[0.42984975704144357, 0.2594920440278419, 0.13595893417668464],
            &[0.9695911539965216, 1.5617541072416126, 1.308915177554964],
            3.9762791165661575,
        ),
    ];

    fn rows(columns: &[usize]) -> Vec<Vec<f64>> {
        CHANGES.iter().map(|row| columns.iter().map(|n| row[*n]).collect()).collect()
    }

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{found} {expected}");
    }

    #[test]
    fn ratios_weights_and_what_is_left_are_the_references_to_twelve_digits() {
        for (columns, ratios, weights, residual) in EXPECTED {
            let found = hedge(&rows(columns)).unwrap();
            for n in 0..ratios.len() {
                near(found.ratios[n], ratios[n]);
                near(found.weights[n], weights[n]);
            }
            near(found.residual, residual);
        }
    }

    #[test]
    fn a_set_is_estimated_where_all_of_it_are_known_and_quantised() {
        let mut known: Vec<Vec<Option<f64>>> =
            CHANGES.iter().map(|row| row.iter().copied().map(Some).collect()).collect();
        known.push(vec![Some(9.0), None, Some(30.0), None]);
        known.push(vec![None, Some(1.0), Some(2.0), Some(3.0)]);
        let found = mixes(&known, SCALE, &BELIEF);
        let first = found.iter().find(|mix| mix.legs() == 1).unwrap();
        let (_, ratios, weights, residual) = EXPECTED[0];
        assert_eq!(first.ratios[0], (ratios[0] * 1e6).round() as u32);
        assert_eq!(first.weights[0], (weights[0] * 1e6).round() as u32);
        assert_eq!(first.residual, (residual / (60_000.0f64.powi(2) * 2.0) * 1e18).ceil() as u64);
        // The maker takes every one of them.
        let terms =
            BasisTerms { reference: InstrumentId(0), age_max_ns: 1, aversion: 0, unknown: None };
        for mix in found {
            let update = MixUpdate { made: Nanos(1), underlying: 0, mix };
            assert!(Mixes::new(terms).take(Nanos(1), &update), "{mix:?}");
        }
    }

    #[test]
    fn what_moves_twice_as_far_hedges_with_half_and_leaves_nothing() {
        let made: Vec<Vec<Option<f64>>> =
            CHANGES.iter().map(|row| vec![Some(row[0]), Some(2.0 * row[0])]).collect();
        let found = mixes(&made, SCALE, &BELIEF);
        let expected = Mix {
            ratios: [500_000, 0, 0, 0],
            weights: [2_000_000, 0, 0, 0],
            residual: found[0].residual,
        };
        assert_eq!(found, [expected]);
        assert!(found[0].residual <= 1, "{}", found[0].residual);
    }

    #[test]
    fn what_moves_the_other_way_too_little_or_not_at_all_is_no_hedge() {
        let one = |factor: f64| -> Vec<Vec<Option<f64>>> {
            CHANGES.iter().map(|row| vec![Some(row[0]), Some(factor * row[0])]).collect()
        };
        assert_eq!(mixes(&one(1.0), SCALE, &BELIEF).len(), 1);
        for factor in [-1.0, 0.0, 20.0, 0.4, f64::NAN] {
            assert_eq!(mixes(&one(factor), SCALE, &BELIEF), [], "{factor}");
        }
        assert_eq!(mixes(&one(1.0)[..7], SCALE, &BELIEF), [], "too few");
        assert_eq!(mixes(&[], SCALE, &BELIEF), []);
    }
}
