//! What an option is worth between two refreshes of its Greeks: a second-order expansion in
//! integers, with a bound on how old and how far away the refresh may be.
//!
//! Fed by the calibration thread (quantised Greeks, journaled as parameters) and by the fair value
//! of the underlying; feeds quotes and net delta. Maker thread, hot: a handful of multiplications.
//! Deliberately absent: volatility, which moves only with a refresh; and any formula of an option.

use crate::units::{Exposure, Nanos, SubTicks};

/// Binary digits behind the point of [`QuantisedGreeks::price_gamma`].
pub const GAMMA_BITS: u32 = 48;

/// Greeks of one option at one moment, per lot, as integers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct QuantisedGreeks {
    /// When they were taken.
    pub at: Nanos,
    /// The underlying's price that they were taken at, in its ticks.
    pub underlying: SubTicks,
    /// Value, in the option's ticks.
    pub value: SubTicks,
    /// Option ticks per underlying tick, 2^-32.
    pub price_delta: i64,
    /// Option ticks per squared underlying tick, 2^-48: it is small where ticks are fine.
    pub price_gamma: i64,
    /// 2^-32 option ticks per second that passes; negative where time costs.
    pub theta: i64,
    /// Exposure of one lot.
    pub exposure: Exposure,
    /// Exposure of one lot per underlying tick, in 2^-32 of 1e-9 of the underlying.
    pub exposure_gamma: i64,
}

/// What a refresh says of one option: what is expanded, and how it answers to volatility.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct OptionGreeks {
    /// What is expanded between refreshes.
    pub taken: QuantisedGreeks,
    /// 2^-32 option ticks per 0.01 of volatility.
    pub vega: i64,
    /// 2^-32 option ticks per 0.01 of the rate, the forward held.
    pub rho: i64,
    /// Exposure of one lot per 0.01 of volatility.
    pub vanna: Exposure,
    /// 2^-32 option ticks per 0.01 of volatility, per 0.01 of volatility.
    pub volga: i64,
    /// The volatility that it was valued at, 1e-9.
    pub volatility: i64,
}

/// How far from its refresh an expansion is believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct ExpansionBounds {
    /// Oldest refresh.
    pub age_max_ns: u64,
    /// Largest move of the underlying, in its ticks.
    pub move_max: SubTicks,
}

/// Why an expansion is not believed. Quotes are pulled and a refresh is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Outside {
    /// The refresh is older than the bound.
    TooOld {
        /// Its age.
        age_ns: u64,
    },
    /// The underlying moved further than the bound.
    TooFar {
        /// Its move since the refresh.
        moved: SubTicks,
    },
    /// The numbers do not fit: greeks no refresh can have made.
    Overflow,
}

/// An option between two refreshes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct OptionValue {
    /// Value, in the option's ticks.
    pub value: SubTicks,
    /// Option ticks per underlying tick, 2^-32.
    pub price_delta: i64,
    /// Exposure of one lot.
    pub exposure: Exposure,
}

impl QuantisedGreeks {
    /// Value and delta at `underlying` and `now`: `V + Δx + Γx²/2 + Θt` and `Δ + Γx`, each product
    /// rounded down to its last binary digit.
    pub fn expand(
        &self,
        now: Nanos,
        underlying: SubTicks,
        bounds: &ExpansionBounds,
    ) -> Result<OptionValue, Outside> {
        let age_ns = now.since(self.at);
        if age_ns > bounds.age_max_ns {
            return Err(Outside::TooOld { age_ns });
        }
        let moved = underlying.0.checked_sub(self.underlying.0).ok_or(Outside::Overflow)?;
        if moved.unsigned_abs() > bounds.move_max.0.unsigned_abs() {
            return Err(Outside::TooFar { moved: SubTicks(moved) });
        }
        let x = i128::from(moved);
        // Γx in 2^-32 option ticks per tick: 2^-48 · 2^-32, brought to 2^-32.
        let slope = (i128::from(self.price_gamma) * x) >> GAMMA_BITS;
        let first = (i128::from(self.price_delta) * x) >> SubTicks::FRACTION_BITS;
        let second =
            slope.checked_mul(x).ok_or(Outside::Overflow)? >> (SubTicks::FRACTION_BITS + 1);
        let decay = (i128::from(self.theta) * i128::from(age_ns)).div_euclid(1_000_000_000);
        let exposure = (i128::from(self.exposure_gamma) * x) >> (2 * SubTicks::FRACTION_BITS);
        let fit = |number: i128| i64::try_from(number).map_err(|_| Outside::Overflow);
        Ok(OptionValue {
            value: SubTicks(fit(i128::from(self.value.0) + first + second + decay)?),
            price_delta: fit(i128::from(self.price_delta) + slope)?,
            exposure: Exposure(fit(i128::from(self.exposure.0) + exposure)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Ticks;

    const BOUNDS: ExpansionBounds =
        ExpansionBounds { age_max_ns: 1_000_000_000, move_max: SubTicks(40 << 32) };

    /// Half a delta, a gamma of 1/1024 a tick, one tick of decay a second, a coin a lot.
    fn greeks() -> QuantisedGreeks {
        QuantisedGreeks {
            at: Nanos(5_000_000_000),
            underlying: SubTicks::from_ticks(Ticks(1000)),
            value: SubTicks::from_ticks(Ticks(80)),
            price_delta: 1 << 31,
            price_gamma: 1 << 38,
            theta: -(1 << 32),
            exposure: Exposure(500_000_000),
            exposure_gamma: 1_000_000 << 32,
        }
    }

    fn expand(ticks: i64, ns: u64) -> Result<OptionValue, Outside> {
        greeks().expand(Nanos(5_000_000_000 + ns), SubTicks::from_ticks(Ticks(ticks)), &BOUNDS)
    }

    #[test]
    fn at_the_refresh_nothing_moved() {
        let here = expand(1000, 0).unwrap();
        assert_eq!((here.value, here.price_delta), (greeks().value, greeks().price_delta));
        assert_eq!(here.exposure, greeks().exposure);
    }

    #[test]
    fn a_move_is_met_to_second_order_both_ways() {
        // 80 ± 32/2 + 32²/2048.
        let up = expand(1032, 0).unwrap();
        let down = expand(968, 0).unwrap();
        assert_eq!(up.value, SubTicks((96 << 32) + (1 << 31)));
        assert_eq!(down.value, SubTicks((64 << 32) + (1 << 31)));
        // Half ± 32/1024; half a coin ± 32 thousandths.
        assert_eq!(up.price_delta, (1 << 31) + (1 << 27));
        assert_eq!(down.exposure, Exposure(468_000_000));
        assert_eq!(up.exposure, Exposure(532_000_000));
    }

    #[test]
    fn time_takes_its_share() {
        assert_eq!(expand(1000, 500_000_000).unwrap().value, SubTicks((79 << 32) + (1 << 31)));
    }

    #[test]
    fn the_bounds_hold_at_their_edge_and_not_beyond() {
        assert!(expand(1000, 1_000_000_000).is_ok());
        assert_eq!(expand(1000, 1_000_000_001), Err(Outside::TooOld { age_ns: 1_000_000_001 }));
        assert!(expand(1040, 0).is_ok() && expand(960, 0).is_ok());
        let beyond = SubTicks((1040 << 32) + 1);
        let moved = SubTicks((40 << 32) + 1);
        let far = greeks().expand(Nanos(5_000_000_000), beyond, &BOUNDS);
        assert_eq!(far, Err(Outside::TooFar { moved }));
    }

    #[test]
    fn the_integers_extremes_are_refused_and_never_wrap() {
        let wild = QuantisedGreeks { price_delta: i64::MAX, price_gamma: i64::MAX, ..greeks() };
        let at = |ticks| wild.expand(wild.at, SubTicks::from_ticks(Ticks(ticks)), &BOUNDS);
        assert_eq!(at(1040), Err(Outside::Overflow));
        let far = wild.expand(wild.at, SubTicks(i64::MIN), &BOUNDS);
        assert_eq!(far, Err(Outside::Overflow));
    }
}
