//! Where an option's quotes stand: around the model's value, moved as if the underlying and volatility
//! had moved against what the book already holds, and as wide as an error in volatility would cost.
//!
//! Fed by the option book (value, Greeks, net delta, net vega) and the quoter (half-spread); feeds the
//! ladder. Maker thread; a dozen multiplications. Deliberately absent: limits, and the model.

use super::HalfSpreads;
use crate::units::SubTicks;

/// How an option is quoted beside its quoter's half-spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct OptionQuoting {
    /// By how much the underlying is taken to be lower, in its ticks, when net delta is at the soft
    /// limit. Scales with net delta.
    pub delta_skew: SubTicks,
    /// By how much volatility is taken to be lower, in 1e-9, when net vega is at its net limit.
    pub vega_skew: i64,
    /// Half-spread for the doubt in volatility, in 1e-9 of it: times vega.
    pub vega_edge: i64,
}

/// What the book holds, as a part of what it may.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// Net delta, 1e-9.
    pub delta: i64,
    /// Its soft limit, > 0.
    pub delta_soft: i64,
    /// Net vega, 1e-9 a point.
    pub vega: i128,
    /// Its net limit, > 0.
    pub vega_limit: i64,
}

/// One option's sensitivities, in its own ticks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slopes {
    /// Per tick of the underlying, 2^-32.
    pub delta: i64,
    /// Per 0.01 of volatility, 2^-32.
    pub vega: i64,
}

/// 1e-9 of volatility in a point of 0.01.
const NANO_PER_POINT: i128 = 10_000_000;

impl OptionQuoting {
    /// The value to quote around.
    pub fn reservation(&self, value: SubTicks, slopes: &Slopes, held: &Held) -> SubTicks {
        let by_delta = share(self.delta_skew.0, i128::from(held.delta), held.delta_soft);
        let by_delta = (i128::from(slopes.delta) * by_delta) >> SubTicks::FRACTION_BITS;
        let by_vega = share(self.vega_skew, held.vega, held.vega_limit);
        let by_vega = i128::from(slopes.vega) * by_vega / NANO_PER_POINT;
        let moved = i128::from(value.0).saturating_sub(by_delta).saturating_sub(by_vega);
        SubTicks(i64::try_from(moved).unwrap_or(value.0))
    }

    /// The quoter's half-spreads, wider by what an error in volatility costs.
    pub fn widened(&self, half: HalfSpreads, slopes: &Slopes) -> HalfSpreads {
        let vega = i128::from(slopes.vega).abs();
        let edge = vega * i128::from(self.vega_edge) / NANO_PER_POINT;
        let edge = SubTicks(i64::try_from(edge).unwrap_or(i64::MAX));
        let wider = |half: SubTicks| half.saturating_add(edge);
        HalfSpreads { bid: half.bid.map(wider), ask: half.ask.map(wider) }
    }
}

/// `whole × held / limit`, held to twice the limit either way: beyond that nothing is quoted anyway.
fn share(whole: i64, held: i128, limit: i64) -> i128 {
    let limit = i128::from(limit.max(1));
    let held = held.clamp(-2 * limit, 2 * limit);
    i128::from(whole) * held / limit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Ticks;

    const QUOTING: OptionQuoting =
        OptionQuoting { delta_skew: SubTicks(4 << 32), vega_skew: 5_000_000, vega_edge: 2_000_000 };
    /// Half a tick a tick, six ticks a point of volatility.
    const CALL: Slopes = Slopes { delta: 1 << 31, vega: 6 << 32 };
    const PUT: Slopes = Slopes { delta: -(1 << 31), vega: 6 << 32 };

    fn held(delta: i64, vega: i128) -> Held {
        Held { delta, delta_soft: 100, vega, vega_limit: 1_000 }
    }

    fn moved(slopes: &Slopes, held: Held) -> i64 {
        let value = SubTicks::from_ticks(Ticks(100));
        QUOTING.reservation(value, slopes, &held).0 - value.0
    }

    #[test]
    fn a_long_book_quotes_calls_lower_and_puts_higher() {
        assert_eq!(moved(&CALL, held(0, 0)), 0);
        // At the soft limit: 4 ticks of the underlying, half of it a tick.
        assert_eq!(moved(&CALL, held(100, 0)), -(2 << 32));
        assert_eq!(moved(&PUT, held(100, 0)), 2 << 32);
        assert_eq!(moved(&CALL, held(-50, 0)), 1 << 32);
    }

    #[test]
    fn long_vega_quotes_every_option_lower() {
        // Half a point at the limit, six ticks a point.
        assert_eq!(moved(&CALL, held(0, 1_000)), -(3 << 32));
        assert_eq!(moved(&PUT, held(0, 1_000)), -(3 << 32));
        assert_eq!(moved(&PUT, held(0, -500)), 3 << 31);
    }

    #[test]
    fn the_spread_pays_for_the_doubt_in_volatility() {
        let half = HalfSpreads { bid: Some(SubTicks(1 << 32)), ask: None };
        let wide = QUOTING.widened(half, &CALL);
        // 0.2 points of six ticks.
        assert_eq!(wide.bid, Some(SubTicks((1 << 32) + (6i64 << 32) / 5)));
        assert_eq!(wide.ask, None);
    }

    #[test]
    fn extremes_move_nothing_beyond_the_integers_edge() {
        let wild = Slopes { delta: i64::MAX, vega: i64::MAX };
        let value = SubTicks(5);
        let quoted = QUOTING.reservation(value, &wild, &held(i64::MAX, i128::MAX));
        assert_eq!(quoted, value);
    }
}
