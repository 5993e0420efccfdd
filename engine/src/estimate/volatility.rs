//! Volatility of the mid on a fixed clock: plain, robust to noise, or robust to jumps.
//!
//! Fed by the maker's timer with the mid at every sampling instant; feeds the quoter. Maker thread.
//! Sampling on a clock, not on events, keeps the bounce between bid and ask from counting as
//! movement. All three are exponentially weighted, `v ← v + w (x − v)`, `σ = √v`, in ticks per
//! √second:
//!
//! - EWMA: `x = r²/Δt`.
//! - bipower (Barndorff-Nielsen & Shephard 2004): `x = π/2 · |r_i| |r_{i−1}|/Δt`, which a jump
//!   enters only beside an ordinary return.
//! - two-scale (Zhang, Mykland & Aït-Sahalia 2005): with r_K the return over K samples,
//!   `v = (E[r_K²]/(KΔt) − E[r²]/(KΔt)) / (1 − 1/K)`: what both scales carry of noise cancels.
//!
//! The float counterparts over a whole recording are in `calibration/realised.rs`.

use crate::units::{Nanos, SubTicks};

/// Volatility in ticks per √second, as a count of 2^-32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Sigma(pub i64);

/// Most samples of the coarse scale.
const COARSE_MAX: usize = 64;
/// π/2 as a count of 2^-16.
const HALF_PI: i128 = 102_944;

/// What is averaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum VolatilityKind {
    /// Squares.
    #[default]
    Ewma,
    /// Products of neighbours: jumps do not count.
    Bipower,
    /// Squares at two scales: noise does not count. The coarse one is 2^`coarse_shift` samples.
    TwoScale {
        /// 1 to 6.
        coarse_shift: u32,
    },
}

/// The estimate.
#[derive(Clone, Copy, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Volatility {
    kind: VolatilityKind,
    interval_ns: u64,
    /// Weight of one sample is 2^-shift; the half-life is about `0.69 · 2^shift` samples.
    weight_shift: u32,
    floor: Sigma,
    last_sample: Option<(Nanos, SubTicks)>,
    /// The return before, in sub-ticks; `None` after a gap.
    last_change: Option<i128>,
    /// The latest mids and their times, for the coarse scale; `filled` counts since the last gap.
    recent: [(Nanos, SubTicks); COARSE_MAX],
    filled: usize,
    /// Of the fine scale, for two scales: ticks² a second in 2^-[`Volatility::VARIANCE_BITS`].
    fine: i128,
    /// Ticks² per second, as a count of 2^-[`Volatility::VARIANCE_BITS`].
    variance: i128,
    samples: u64,
    sigma: Sigma,
}

impl Volatility {
    /// Binary digits of the variance behind the point.
    const VARIANCE_BITS: u32 = 48;

    /// EWMA. Samples every `interval_ns`; a sample weighs 2^-`weight_shift`; before the first
    /// sample, and never below it, σ is `floor`.
    pub fn new(interval_ns: u64, weight_shift: u32, floor: Sigma) -> Volatility {
        let variance = (i128::from(floor.0) * i128::from(floor.0)) >> (64 - Self::VARIANCE_BITS);
        Volatility {
            kind: VolatilityKind::Ewma,
            interval_ns: interval_ns.max(1),
            weight_shift: weight_shift.min(30),
            floor,
            last_sample: None,
            last_change: None,
            recent: [(Nanos(0), SubTicks(0)); COARSE_MAX],
            filled: 0,
            fine: 0,
            variance,
            samples: 0,
            sigma: floor,
        }
    }

    /// The same with another average.
    pub fn of_kind(self, kind: VolatilityKind) -> Volatility {
        let kind = match kind {
            VolatilityKind::TwoScale { coarse_shift } => {
                VolatilityKind::TwoScale { coarse_shift: coarse_shift.clamp(1, 6) }
            }
            VolatilityKind::Ewma | VolatilityKind::Bipower => kind,
        };
        Volatility { kind, ..self }
    }

    /// σ now.
    pub fn sigma(&self) -> Sigma {
        self.sigma
    }

    /// How many returns it rests on.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Takes the mid if an interval has passed since the last sample. After a silence the elapsed
    /// time stands in the divisor, so that a long gap is no burst.
    pub fn on_clock(&mut self, now: Nanos, mid: SubTicks) {
        let Some((then, before)) = self.last_sample else {
            self.last_sample = Some((now, mid));
            self.remember(now, mid);
            return;
        };
        let elapsed_ns = now.since(then);
        if elapsed_ns < self.interval_ns {
            return;
        }
        self.last_sample = Some((now, mid));
        let change = i128::from(mid.0.saturating_sub(before.0));
        match self.kind {
            VolatilityKind::Ewma => self.average(rate(change, change, elapsed_ns)),
            VolatilityKind::Bipower => {
                let product = self.last_change.map(|before| rate(change, before, elapsed_ns));
                if let Some(product) = product {
                    self.average(((product * HALF_PI) >> 16).min(RATE_MAX));
                }
            }
            VolatilityKind::TwoScale { coarse_shift } => {
                self.two_scale(now, mid, rate(change, change, elapsed_ns), coarse_shift);
            }
        }
        self.last_change = Some(change);
        self.remember(now, mid);
    }

    /// Moves the average by one observation of the variance.
    fn average(&mut self, observed: i128) {
        let shift = self.shift();
        self.variance += (observed - self.variance) >> shift;
        self.samples = self.samples.saturating_add(1);
        self.publish(self.variance);
    }

    /// The first samples weigh more, or a wrong starting value would linger for a half-life.
    fn shift(&self) -> u32 {
        let warm_up = 63 - (self.samples + 2).leading_zeros();
        self.weight_shift.min(warm_up)
    }

    fn two_scale(&mut self, now: Nanos, mid: SubTicks, fine: i128, coarse_shift: u32) {
        let steps = 1usize << coarse_shift;
        if self.filled < steps {
            return;
        }
        // The sample K steps back: the newest stands at `filled − 1`.
        let place = self.filled.wrapping_sub(steps) % COARSE_MAX;
        let Some(&(then, before)) = self.recent.get(place) else { return };
        let change = i128::from(mid.0.saturating_sub(before.0));
        let coarse = rate(change, change, now.since(then).max(1));
        let shift = self.shift();
        self.fine += (fine - self.fine) >> shift;
        self.variance += (coarse - self.variance) >> shift;
        self.samples = self.samples.saturating_add(1);
        let kept = self.variance - (self.fine >> coarse_shift);
        // (1 − 1/K)^-1 = K/(K − 1).
        self.publish((kept << coarse_shift) / ((1i128 << coarse_shift) - 1));
    }

    fn publish(&mut self, variance: i128) {
        // √(v · 2^48) is σ · 2^24; widen first to keep 32 digits.
        let widened = variance.clamp(0, RATE_MAX).unsigned_abs() << (64 - Self::VARIANCE_BITS);
        let root = i64::try_from(widened.isqrt()).unwrap_or(i64::MAX);
        self.sigma = Sigma(root).max(self.floor);
    }

    fn remember(&mut self, now: Nanos, mid: SubTicks) {
        if let Some(place) = self.recent.get_mut(self.filled % COARSE_MAX) {
            *place = (now, mid);
        }
        self.filled = self.filled.wrapping_add(1);
    }

    /// Forgets the last samples, not the estimate: after a gap in the data the next change is not a
    /// return.
    pub fn on_gap(&mut self) {
        self.last_sample = None;
        self.last_change = None;
        self.filled = 0;
    }
}

/// 2^31 ticks in a nanosecond: the cap keeps the square root's argument within 128 bits.
const RATE_MAX: i128 = 1 << 110;

/// `|a · b| / elapsed`, of two changes in sub-ticks, in ticks² per second.
fn rate(a: i128, b: i128, elapsed_ns: u64) -> i128 {
    // A change is 2^-32 tick; a product 2^-64. A move of 2^30 ticks squared is 2^124: it fits.
    let product = a.saturating_mul(b).saturating_abs() >> (64 - Volatility::VARIANCE_BITS);
    (product.saturating_mul(1_000_000_000) / i128::from(elapsed_ns.max(1))).min(RATE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn ticks(n: i64) -> SubTicks {
        SubTicks(n << 32)
    }

    fn in_ticks(sigma: Sigma) -> f64 {
        sigma.0 as f64 / (1u64 << 32) as f64
    }

    #[test]
    fn a_mid_that_moves_ten_ticks_a_second_has_a_sigma_of_ten() {
        let mut volatility = Volatility::new(SECOND, 5, Sigma(1 << 20));
        for second in 0..400u64 {
            let mid = if second % 2 == 0 { ticks(6_000_000) } else { ticks(6_000_010) };
            volatility.on_clock(Nanos(second * SECOND), mid);
        }
        assert!((in_ticks(volatility.sigma()) - 10.0).abs() < 0.01);
    }

    #[test]
    fn sigma_does_not_depend_on_the_sampling_interval_of_a_steady_walk() {
        for interval in [SECOND / 10, SECOND, 4 * SECOND] {
            let mut volatility = Volatility::new(interval, 6, Sigma(0));
            // ±step each interval with step² = 100 · interval: σ = 10 whatever the interval.
            let step = 10.0 * (interval as f64 / 1e9).sqrt();
            let step = (step * (1u64 << 32) as f64) as i64;
            for n in 0..2_000u64 {
                let mid = SubTicks((n as i64 % 2) * step);
                volatility.on_clock(Nanos(n * interval), mid);
            }
            assert!((in_ticks(volatility.sigma()) - 10.0).abs() < 0.05, "{interval}");
        }
    }

    #[test]
    fn events_between_two_clock_instants_do_not_count() {
        let mut volatility = Volatility::new(SECOND, 5, Sigma(7));
        volatility.on_clock(Nanos(0), ticks(100));
        for n in 1..100u64 {
            volatility.on_clock(Nanos(n), ticks(100 + (n as i64 % 2) * 50));
        }
        assert_eq!(volatility.samples(), 0);
        assert_eq!(volatility.sigma(), Sigma(7));
    }

    #[test]
    fn sigma_never_falls_below_its_floor_and_survives_the_largest_move() {
        let mut volatility = Volatility::new(1, 1, Sigma(1 << 32));
        volatility.on_clock(Nanos(0), ticks(0));
        volatility.on_clock(Nanos(1), SubTicks(i64::MAX));
        assert!(volatility.sigma().0 > 0);
        for n in 2..400 {
            volatility.on_clock(Nanos(n), SubTicks(i64::MAX));
        }
        assert_eq!(volatility.sigma(), Sigma(1 << 32));
    }

    /// One tick up or down a second, with or without a bounce of `noise` ticks, and a jump.
    fn walked(kind: VolatilityKind, noise: i64, jump_at: u64) -> f64 {
        let mut volatility = Volatility::new(SECOND, 7, Sigma(0)).of_kind(kind);
        let mut state = 7u64;
        let mut draw = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
            if state >> 63 == 1 { 1 } else { -1 }
        };
        let mut mid = 0i64;
        for n in 0..4_000 {
            mid += draw() + if n == jump_at { 100 } else { 0 };
            let seen = (mid + noise * draw()) * SubTicks::ONE.0;
            volatility.on_clock(Nanos(n * SECOND), SubTicks(seen));
        }
        volatility.sigma().0 as f64 / SubTicks::ONE.0 as f64
    }

    #[test]
    fn every_kind_measures_a_clean_walk() {
        assert!((walked(VolatilityKind::Ewma, 0, u64::MAX) - 1.0).abs() < 0.01);
        // Returns of ±1 alone have |r||r| = 1, not the 2/π of normal ones.
        let bipower = walked(VolatilityKind::Bipower, 0, u64::MAX);
        assert!((bipower - 1.2533).abs() < 0.01, "{bipower}");
        let two_scale = walked(VolatilityKind::TwoScale { coarse_shift: 3 }, 0, u64::MAX);
        assert!((two_scale - 1.0).abs() < 0.25, "{two_scale}");
    }

    #[test]
    fn two_scales_see_through_a_bounce() {
        let plain = walked(VolatilityKind::Ewma, 3, u64::MAX);
        let robust = walked(VolatilityKind::TwoScale { coarse_shift: 6 }, 3, u64::MAX);
        assert!(plain > 3.5, "{plain}");
        assert!(robust < 2.0, "{robust}");
    }

    #[test]
    fn a_jump_leaves_bipower_where_it_was() {
        let plain = walked(VolatilityKind::Ewma, 0, 3_990);
        let robust = walked(VolatilityKind::Bipower, 0, 3_990);
        assert!(plain > 8.0, "{plain}");
        assert!(robust < 2.0, "{robust}");
    }

    #[test]
    fn no_kind_wraps_at_the_integers_edges() {
        let kinds = [VolatilityKind::Bipower, VolatilityKind::TwoScale { coarse_shift: 99 }];
        for kind in kinds {
            let mut volatility = Volatility::new(1, 1, Sigma(1 << 32)).of_kind(kind);
            for n in 0..300 {
                let mid = if n % 2 == 0 { i64::MAX } else { i64::MIN };
                volatility.on_clock(Nanos(n), SubTicks(mid));
            }
            assert!(volatility.sigma() >= Sigma(1 << 32));
            volatility.on_gap();
            volatility.on_clock(Nanos(1_000), SubTicks(0));
        }
    }
}
