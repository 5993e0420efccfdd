//! How much a price moved: realised, exponentially weighted, noise-robust and jump-robust.
//!
//! Fed with mids sampled on a fixed clock; feeds `ballast calibrate` and the refit. Calibration's
//! thread. All in ticks per √s. Realised: `√(Σ r²/T)`. Two scales (Zhang, Mykland & Aït-Sahalia
//! 2005): the mean of K coarse grids less the noise that the fine grid shows,
//! `(RV_K − n̄/n · RV_1)/(1 − n̄/n)`, `n̄ = (n − K + 1)/K`. Bipower (Barndorff-Nielsen & Shephard
//! 2004): `π/2 · n/(n − 1) · Σ |r_i||r_{i−1}|`, which one jump cannot dominate. The integer
//! counterparts that quote are in `estimate/volatility.rs`. Absent: seasonality within a day.

/// Mids on a fixed clock, in ticks. `None` where the market was not to be believed: no return
/// crosses it.
#[derive(Clone, PartialEq, Debug)]
pub struct Samples {
    mids: Vec<Option<f64>>,
    interval_s: f64,
}

impl Samples {
    /// Mids `interval_s` seconds apart; the interval must be greater than zero.
    pub fn new(mids: Vec<Option<f64>>, interval_s: f64) -> Samples {
        debug_assert!(interval_s > 0.0, "a clock ticks");
        Samples { mids, interval_s }
    }

    /// The mids, in order.
    pub fn mids(&self) -> &[Option<f64>] {
        &self.mids
    }

    /// How many mids are known.
    pub fn known(&self) -> usize {
        self.mids.iter().flatten().count()
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.mids.len()
    }

    /// Nothing was sampled.
    pub fn is_empty(&self) -> bool {
        self.mids.is_empty()
    }

    /// Changes over `step` samples, starting at sample `from`; `None` across an unknown mid.
    fn changes(&self, from: usize, step: usize) -> Vec<Option<f64>> {
        let known: Vec<Option<f64>> = self.mids.iter().skip(from).step_by(step).copied().collect();
        known.windows(2).map(|pair| Some(pair[1]? - pair[0]?)).collect()
    }

    /// Sum of squares of the changes over `step` samples from `from` on, and how many there are.
    fn squares(&self, from: usize, step: usize) -> (f64, f64) {
        let changes = self.changes(from, step);
        let sum = changes.iter().flatten().map(|change| change * change).sum();
        (sum, changes.iter().flatten().count() as f64)
    }

    /// Realised volatility over `step` samples at a time. `None` without a single change.
    pub fn realised(&self, step: usize) -> Option<f64> {
        let step = step.max(1);
        let (sum, count) = self.squares(0, step);
        (count > 0.0).then(|| libm::sqrt(sum / (count * step as f64 * self.interval_s)))
    }

    /// The exponentially weighted one at the end, a sample of `step` intervals weighing
    /// 2^-`weight_shift`, the first ones more: the maker's own rule.
    pub fn ewma(&self, step: usize, weight_shift: u32) -> Option<f64> {
        let step = step.max(1);
        let mut variance = None;
        for (place, change) in self.changes(0, step).into_iter().flatten().enumerate() {
            let rate = change * change / (step as f64 * self.interval_s);
            let warm_up = libm::floor(libm::log2(place as f64 + 2.0));
            let weight = libm::exp2(-f64::from(weight_shift).min(warm_up));
            let before = variance.unwrap_or(rate);
            variance = Some(before + weight * (rate - before));
        }
        variance.map(libm::sqrt)
    }

    /// The two-scale estimate with coarse grids of `step` samples. `None` where the recording is
    /// too short for two coarse intervals, or nothing is left after the noise is taken out.
    pub fn two_scale(&self, step: usize) -> Option<f64> {
        let (fine, n) = self.squares(0, 1);
        if step < 2 || self.mids.len() < 2 * step + 1 || n <= 0.0 {
            return None;
        }
        let (mut coarse, mut coarse_n) = (0.0, 0.0);
        for from in 0..step {
            let (sum, count) = self.squares(from, step);
            coarse += sum;
            coarse_n += count;
        }
        let grids = step as f64;
        // n̄ as it came out, gaps left aside, rather than as it would be without them.
        let (coarse, n_mean) = (coarse / grids, coarse_n / grids);
        let share = n_mean / n;
        let variance = (coarse - share * fine) / (1.0 - share);
        let seconds = n_mean * grids * self.interval_s;
        (variance > 0.0 && seconds > 0.0).then(|| libm::sqrt(variance / seconds))
    }

    /// The standard deviation of the noise that the fine grid carries, in ticks: `√(RV_1/(2n))`
    /// after the two-scale variance is taken off; 0 where there is none.
    pub fn noise(&self, step: usize) -> Option<f64> {
        let sigma = self.two_scale(step)?;
        let (fine, n) = self.squares(0, 1);
        let noise = (fine - sigma * sigma * n * self.interval_s) / (2.0 * n);
        Some(libm::sqrt(noise.max(0.0)))
    }

    /// The bipower estimate over `step` samples at a time. `None` without two changes in a row.
    pub fn bipower(&self, step: usize) -> Option<f64> {
        let step = step.max(1);
        let changes = self.changes(0, step);
        let products: Vec<f64> = changes
            .windows(2)
            .filter_map(|pair| Some(libm::fabs(pair[0]?) * libm::fabs(pair[1]?)))
            .collect();
        let count = products.len() as f64;
        let sum: f64 = products.iter().sum();
        let variance = std::f64::consts::FRAC_PI_2 * sum / (count * step as f64 * self.interval_s);
        (count > 0.0).then(|| libm::sqrt(variance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A walk of ±1 from a fixed linear congruence: no two steps are related that a test could see.
    fn walk(count: usize, noise: f64) -> Samples {
        let mut state = 7u64;
        let mut draw = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
            if state >> 63 == 1 { 1.0 } else { -1.0 }
        };
        let mut mid = 0.0;
        let mids = (0..count).map(|_| {
            mid += draw();
            Some(mid + noise * draw())
        });
        Samples::new(mids.collect(), 0.25)
    }

    fn near(found: Option<f64>, exact: f64, within: f64) -> bool {
        found.is_some_and(|found| (found / exact - 1.0).abs() < within)
    }

    #[test]
    fn a_clean_walk_is_measured_alike_by_all() {
        // A tick each quarter of a second is two ticks per √s.
        let walk = walk(40_000, 0.0);
        assert!(near(walk.realised(1), 2.0, 1e-12), "{:?}", walk.realised(1));
        assert!(near(walk.realised(20), 2.0, 0.05), "{:?}", walk.realised(20));
        assert!(near(walk.two_scale(20), 2.0, 0.05), "{:?}", walk.two_scale(20));
        assert!(near(walk.bipower(20), 2.0, 0.05), "{:?}", walk.bipower(20));
        assert!(near(walk.ewma(20, 9), 2.0, 0.15), "{:?}", walk.ewma(20, 9));
    }

    #[test]
    fn two_scales_see_through_the_bounce_that_fools_the_fine_clock() {
        let noisy = walk(40_000, 3.0);
        assert!(noisy.realised(1).unwrap() > 8.0, "the bounce counts as movement");
        assert!(near(noisy.two_scale(100), 2.0, 0.1), "{:?}", noisy.two_scale(100));
        assert!(near(noisy.noise(100), 3.0, 0.05), "{:?}", noisy.noise(100));
    }

    #[test]
    fn one_jump_moves_bipower_little_and_realised_much() {
        let mut jumped = walk(4_000, 0.0);
        for mid in jumped.mids.iter_mut().skip(2_000).flatten() {
            *mid += 200.0;
        }
        assert!(jumped.realised(1).unwrap() > 6.0);
        assert!(near(jumped.bipower(1), 2.0 * libm::sqrt(std::f64::consts::FRAC_PI_2), 0.1));
        assert!(jumped.bipower(8).unwrap() < 2.6, "{:?}", jumped.bipower(8));
    }

    #[test]
    fn no_return_crosses_a_gap() {
        let mids = [Some(1.0), Some(2.0), None, Some(900.0), Some(901.0)];
        let gap = Samples::new(mids.to_vec(), 1.0);
        assert_eq!(gap.realised(1), Some(1.0));
        assert_eq!(gap.bipower(1), None, "no two changes in a row");
        assert_eq!(gap.known(), 4);
        let nothing = Samples::new(vec![None; 9], 1.0);
        assert_eq!(
            (nothing.realised(1), nothing.two_scale(2), nothing.ewma(1, 5)),
            (None, None, None)
        );
    }
}
