//! Volatility of the fair value, as an exponentially weighted mean on a fixed clock.
//!
//! Fed by the maker's timer with the mid at every sampling instant; feeds the quoter. Maker thread.
//! Sampling on a clock, not on events, keeps the bounce between bid and ask from counting as
//! movement: `v ← v + w (r²/Δt − v)`, `σ = √v`, in ticks per √second.

use crate::units::{Nanos, SubTicks};

/// Volatility in ticks per √second, as a count of 2^-32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Sigma(pub i64);

/// EWMA variance of clock-sampled mids.
#[derive(Clone, Copy, Debug)]
pub struct Volatility {
    interval_ns: u64,
    /// Weight of one sample is 2^-shift; the half-life is about `0.69 · 2^shift` samples.
    weight_shift: u32,
    floor: Sigma,
    last_sample: Option<(Nanos, SubTicks)>,
    /// Ticks² per second, as a count of 2^-[`Volatility::VARIANCE_BITS`].
    variance: i128,
    samples: u64,
    sigma: Sigma,
}

impl Volatility {
    /// Binary digits of the variance behind the point.
    const VARIANCE_BITS: u32 = 48;

    /// Samples every `interval_ns`; a sample weighs 2^-`weight_shift`; before the first sample, and
    /// never below it, σ is `floor`.
    pub fn new(interval_ns: u64, weight_shift: u32, floor: Sigma) -> Volatility {
        let variance = (i128::from(floor.0) * i128::from(floor.0)) >> (64 - Self::VARIANCE_BITS);
        Volatility {
            interval_ns: interval_ns.max(1),
            weight_shift: weight_shift.min(30),
            floor,
            last_sample: None,
            variance,
            samples: 0,
            sigma: floor,
        }
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
            return;
        };
        let elapsed_ns = now.since(then);
        if elapsed_ns < self.interval_ns {
            return;
        }
        self.last_sample = Some((now, mid));
        let change = i128::from(mid.0.saturating_sub(before.0));
        // change is 2^-32 tick; its square 2^-64. A move of 2^30 ticks squared is 2^124: it fits.
        let square = change.saturating_mul(change) >> (64 - Self::VARIANCE_BITS);
        // The cap keeps the square root's argument within 128 bits: 2^31 ticks in a nanosecond.
        let rate = (square.saturating_mul(1_000_000_000) / i128::from(elapsed_ns)).min(1 << 110);
        // The first samples weigh more, or a wrong starting value would linger for a half-life.
        let warm_up = 63 - (self.samples + 2).leading_zeros();
        let shift = self.weight_shift.min(warm_up);
        self.variance += (rate - self.variance) >> shift;
        self.samples = self.samples.saturating_add(1);
        // √(v · 2^48) is σ · 2^24; widen first to keep 32 digits.
        let widened = self.variance.max(0).unsigned_abs() << (64 - Self::VARIANCE_BITS);
        let root = i64::try_from(widened.isqrt()).unwrap_or(i64::MAX);
        self.sigma = Sigma(root).max(self.floor);
    }

    /// Forgets the last sample, not the estimate: after a gap in the data the next change is not a
    /// return.
    pub fn on_gap(&mut self) {
        self.last_sample = None;
    }
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
}
