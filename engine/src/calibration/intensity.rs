//! How often the market reaches a quote: `λ(δ) = A e^(−kδ)`, from a recording's aggressive orders.
//!
//! Fed with how far each aggressive order went from the mid just before it; feeds the quote models
//! and `ballast calibrate`. Calibration's thread. An order that went to depth d would have reached
//! every quote within d, so `λ(δ)` is the count of depths ≥ δ per second and side. Within a window
//! of distances the fit is the maximum of the likelihood: of the orders that reach the window, the
//! excess over its lower end is exponential, and cut off at its upper end:
//! `k = n_ended / Σ (min(d, hi) − lo)`, with a standard error of `k/√n_ended`, and A so that the
//! fitted rate at `lo` is the observed one. Real rates are no exponential: near the touch they fall
//! fast, far away slowly. So the window matters, and [`Depths::settle`] takes the one that the
//! resulting quotes stand in. Deliberately absent: our own queue position, which only makes fills
//! rarer.

use thiserror::Error;

/// Orders that must end inside a window before its k is worth anything.
pub const ENDED_MIN: usize = 20;
/// Rounds after which a window that still moves is called unsettled.
const ROUNDS_MAX: usize = 60;
/// A half-spread that moves by less than this share has settled.
const SETTLED_SHARE: f64 = 1e-3;
/// Distances at which the fit is held to the observation.
const PROBES: u32 = 24;

/// Why there is no fit.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum IntensityError {
    /// Too little data in the window.
    #[error(
        "only {ended} aggressive orders ended between {lo:.1} and {hi:.1} ticks from the mid, {ENDED_MIN} \
         are needed; use a longer recording"
    )]
    TooFew {
        /// How many.
        ended: usize,
        /// From here.
        lo: f64,
        /// To here.
        hi: f64,
    },
    /// The window is empty or upside down.
    #[error("the window from {lo} to {hi} ticks is none")]
    Window {
        /// From here.
        lo: f64,
        /// To here.
        hi: f64,
    },
    /// The model made no half-spread of a fit.
    #[error("no half-spread for k = {k}: {why}")]
    NoHalfSpread {
        /// The decay that it was asked for.
        k: f64,
        /// What it said.
        why: String,
    },
}

/// A fit within a window of distances.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Intensity {
    /// A: fills per second and side at no distance.
    pub a: f64,
    /// k per tick.
    pub k: f64,
    /// Standard error of k, per tick.
    pub k_error: f64,
    /// The window, in ticks from the mid.
    pub window: (f64, f64),
    /// Orders that reached the window.
    pub reached: usize,
    /// Orders that ended in it.
    pub ended: usize,
    /// Root mean square of `ln(fitted/observed)` over the window.
    pub log_error: f64,
}

impl Intensity {
    /// The fitted rate at a distance, per second and side.
    pub fn rate(&self, distance: f64) -> f64 {
        self.a * libm::exp(-self.k * distance)
    }
}

/// What [`Depths::settle`] found.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Settled {
    /// The fit in the last window.
    pub intensity: Intensity,
    /// The half-spread that it leads to, in ticks.
    pub half_spread: f64,
    /// Rounds taken.
    pub rounds: usize,
    /// The window stands still. If not, two windows call for one another, and the fit is one of
    /// them.
    pub is_settled: bool,
}

/// How far aggressive orders went.
#[derive(Clone, PartialEq, Debug)]
pub struct Depths {
    /// Ascending, in ticks.
    depths: Vec<f64>,
    /// Seconds observed.
    seconds: f64,
}

impl Depths {
    /// Depths of both sides' orders, in ticks from the mid before each, over so many seconds. What
    /// is not a number is left out.
    pub fn new(mut depths: Vec<f64>, seconds: f64) -> Depths {
        depths.retain(|depth| depth.is_finite());
        depths.sort_by(f64::total_cmp);
        Depths { depths, seconds }
    }

    /// How many orders.
    pub fn len(&self) -> usize {
        self.depths.len()
    }

    /// No order at all.
    pub fn is_empty(&self) -> bool {
        self.depths.is_empty()
    }

    /// The depth that this share of the orders stays within.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let place = libm::floor(share.clamp(0.0, 1.0) * self.len() as f64) as usize;
        self.depths.get(place.min(self.len().saturating_sub(1))).copied()
    }

    fn reaching(&self, distance: f64) -> &[f64] {
        &self.depths[self.depths.partition_point(|depth| *depth < distance)..]
    }

    /// Orders that reached a quote at this distance, per second and side.
    pub fn rate(&self, distance: f64) -> f64 {
        self.reaching(distance).len() as f64 / (2.0 * self.seconds)
    }

    /// The fit within a window of distances.
    ///
    /// # Errors
    /// [`IntensityError::Window`] and [`IntensityError::TooFew`].
    pub fn fit(&self, lo: f64, hi: f64) -> Result<Intensity, IntensityError> {
        if !(lo >= 0.0 && hi > lo && hi.is_finite() && self.seconds > 0.0) {
            return Err(IntensityError::Window { lo, hi });
        }
        let reaching = self.reaching(lo);
        let ended = reaching.iter().filter(|depth| **depth < hi).count();
        let exposed: f64 = reaching.iter().map(|depth| depth.min(hi) - lo).sum();
        if ended < ENDED_MIN || exposed <= 0.0 {
            return Err(IntensityError::TooFew { ended, lo, hi });
        }
        let k = ended as f64 / exposed;
        let a = self.rate(lo) * libm::exp(k * lo);
        let reached = reaching.len();
        let k_error = k / libm::sqrt(ended as f64);
        let window = (lo, hi);
        let fit = Intensity { a, k, k_error, window, reached, ended, log_error: 0.0 };
        Ok(Intensity { log_error: self.log_error(&fit), ..fit })
    }

    fn log_error(&self, fit: &Intensity) -> f64 {
        let (lo, hi) = fit.window;
        let step = (hi - lo) / f64::from(PROBES);
        let errors = (0..=PROBES).filter_map(|n| {
            let distance = lo + step * f64::from(n);
            let observed = self.rate(distance);
            (observed > 0.0).then(|| libm::log(fit.rate(distance) / observed))
        });
        let (sum, count) = errors.fold((0.0, 0.0), |(s, n), e| (s + e * e, n + 1.0));
        if count > 0.0 { libm::sqrt(sum / count) } else { 0.0 }
    }

    /// Fits within [½, 3] × the half-spread that the fit itself leads to, until the two agree.
    /// `half_spread` says what a fit leads to, in ticks.
    ///
    /// # Errors
    /// Those of [`Depths::fit`], and whatever `half_spread` has to say.
    pub fn settle(
        &self,
        half_spread: &dyn Fn(&Intensity) -> Result<f64, String>,
    ) -> Result<Settled, IntensityError> {
        let farthest = self.quantile(0.995).unwrap_or(0.0).max(1.0);
        let mut fit = self.fit(0.0, farthest)?;
        let mut half: Option<f64> = None;
        for round in 1..=ROUNDS_MAX {
            let next =
                half_spread(&fit).map_err(|why| IntensityError::NoHalfSpread { k: fit.k, why })?;
            let before = half.unwrap_or(next);
            let has_settled = half.is_some() && (next / before - 1.0).abs() < SETTLED_SHARE;
            // Half the way each round (of the logarithm): two windows that call for one another meet.
            let there = if half.is_some() { libm::sqrt(before * next) } else { next };
            half = Some(there);
            if has_settled || round == ROUNDS_MAX {
                let (intensity, half_spread) = (fit, next);
                let settled =
                    Settled { intensity, half_spread, rounds: round, is_settled: has_settled };
                return Ok(settled);
            }
            fit = self.fit(there * 0.5, there * 3.0)?;
        }
        Err(IntensityError::Window { lo: 0.0, hi: farthest })
    }
}

/// Places at which k moved by more than `share` from one window to the next.
pub fn unstable(decays: &[f64], share: f64) -> Vec<usize> {
    let moved = |pair: &[f64]| (pair[1] / pair[0] - 1.0).abs() > share;
    (1..decays.len()).filter(|n| moved(&decays[n - 1..=*n])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Depths at the quantiles of an exponential: no chance in them.
    fn exponential(k: f64, count: usize) -> Vec<f64> {
        let share = |n: usize| (n as f64 + 0.5) / count as f64;
        (0..count).map(|n| -libm::log(1.0 - share(n)) / k).collect()
    }

    #[test]
    fn an_exponential_market_is_found_whatever_the_window() {
        let depths = Depths::new(exponential(0.02, 20_000), 1_000.0);
        for (lo, hi) in [(0.0, 50.0), (10.0, 100.0), (25.0, 150.0)] {
            let fit = depths.fit(lo, hi).unwrap();
            assert!((fit.k / 0.02 - 1.0).abs() < 0.01, "{fit:?}");
            assert!((fit.a / 10.0 - 1.0).abs() < 0.02, "{fit:?}");
            assert!(fit.log_error < 0.01, "{fit:?}");
        }
    }

    #[test]
    fn the_window_follows_the_half_spread_that_results() {
        let depths = Depths::new(exponential(0.02, 20_000), 1_000.0);
        let settled = depths.settle(&|fit| Ok(1.0 / fit.k)).unwrap();
        assert!(settled.is_settled, "{settled:?}");
        assert!((settled.half_spread / 50.0 - 1.0).abs() < 0.02, "{settled:?}");
        let (lo, hi) = settled.intensity.window;
        assert!((lo / 25.0 - 1.0).abs() < 0.03 && (hi / 150.0 - 1.0).abs() < 0.03);
    }

    #[test]
    fn two_populations_give_two_decays_and_the_quotes_choose() {
        // Nine in ten end within a few ticks, the rest go far: a k near the touch and one far away.
        let mut depths = exponential(0.5, 9_000);
        depths.extend(exponential(0.004, 1_000));
        let depths = Depths::new(depths, 1_000.0);
        let near = depths.fit(0.0, 5.0).unwrap().k;
        let settled = depths.settle(&|fit| Ok(1.0 / fit.k)).unwrap();
        assert!(near > 0.2, "{near}");
        assert!((settled.intensity.k / 0.004 - 1.0).abs() < 0.1, "{settled:?}");
        assert!(depths.fit(0.0, 1_000.0).unwrap().log_error > 5.0 * settled.intensity.log_error);
    }

    #[test]
    fn too_little_data_is_said_and_not_fitted() {
        let few = Depths::new(exponential(0.02, 19), 10.0);
        assert!(matches!(few.fit(0.0, 1e9), Err(IntensityError::TooFew { ended: 19, .. })));
        assert!(matches!(few.fit(5.0, 5.0), Err(IntensityError::Window { .. })));
        let nothing = Depths::new(vec![f64::NAN], 10.0);
        assert!(nothing.is_empty() && nothing.settle(&|_| Ok(1.0)).is_err());
        let model = Depths::new(exponential(0.02, 500), 10.0);
        let refused = model.settle(&|_| Err("gamma is 0".into()));
        assert!(matches!(refused, Err(IntensityError::NoHalfSpread { .. })));
    }

    #[test]
    fn a_decay_that_moves_by_more_than_a_quarter_is_named() {
        assert_eq!(unstable(&[1.0, 1.25, 1.0, 0.74, 0.75], 0.25), [3]);
        assert_eq!(unstable(&[1.0], 0.25), [] as [usize; 0]);
    }
}
