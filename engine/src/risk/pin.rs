//! Pin risk: near its expiry an option at the money has a delta that jumps with every tick, and nobody
//! knows what will be assigned. There quotes widen, and then stop.
//!
//! Fed by the option book with the time left and the underlying's distance from the strike; feeds the
//! quotes. Maker thread; two compares.

use crate::units::SubTicks;

/// When and where an option is pinned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct PinRules {
    /// So close to expiry quotes near the strike widen.
    pub widen_within_ns: u64,
    /// So close they stop. At most `widen_within_ns`.
    pub stop_within_ns: u64,
    /// How far from the strike, in the underlying's ticks, is near.
    pub distance: SubTicks,
    /// The spread times this, in percent; above 100.
    pub widen_percent: u32,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pin {
    /// Nothing: far from the strike or from expiry.
    Free,
    /// Quote wider.
    Widen,
    /// Do not quote.
    Stop,
}

impl PinRules {
    /// With so much time left and the underlying so far from the strike.
    pub fn check(&self, left_ns: u64, underlying: SubTicks, strike: SubTicks) -> Pin {
        let distance = underlying.0.saturating_sub(strike.0).unsigned_abs();
        if left_ns > self.widen_within_ns || distance > self.distance.0.unsigned_abs() {
            return Pin::Free;
        }
        if left_ns <= self.stop_within_ns { Pin::Stop } else { Pin::Widen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Ticks;

    const RULES: PinRules = PinRules {
        widen_within_ns: 3_600,
        stop_within_ns: 900,
        distance: SubTicks(20 << 32),
        widen_percent: 250,
    };

    fn check(left_ns: u64, underlying: i64) -> Pin {
        let ticks = |count| SubTicks::from_ticks(Ticks(count));
        RULES.check(left_ns, ticks(underlying), ticks(1_000))
    }

    #[test]
    fn near_the_strike_quotes_widen_then_stop_and_far_from_it_neither() {
        assert_eq!(check(3_601, 1_000), Pin::Free);
        assert_eq!(check(3_600, 1_020), Pin::Widen);
        assert_eq!(check(3_600, 1_021), Pin::Free);
        assert_eq!(check(901, 980), Pin::Widen);
        assert_eq!(check(900, 980), Pin::Stop);
        assert_eq!(check(0, 979), Pin::Free);
    }
}
