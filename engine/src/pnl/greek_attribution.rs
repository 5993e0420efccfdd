//! Why an option's mark moved: by delta, gamma, vega, theta, and what none of them explains.
//!
//! Fed by the option book with every new mark beside the last; feeds the report. Maker thread. The
//! five sum to the option's part of `inventory_mtm` to the last 1e-9, because what is left over is
//! computed from what the ledger booked. Deliberately absent: spread capture and fees, which are no
//! movement of a mark.

use crate::estimate::option_value::{GAMMA_BITS, OptionGreeks};
use crate::units::{Lots, Nanos, SubTicks};

/// Which part of a move.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum GreekCause {
    /// The underlying moved.
    Delta,
    /// And delta with it.
    Gamma,
    /// Volatility was refitted.
    Vega,
    /// Time passed.
    Theta,
    /// Higher orders, rounding to the mark's grid, the model's refits beyond volatility.
    Residual,
}

impl GreekCause {
    /// How many there are.
    pub const COUNT: usize = 5;
    /// In the order of the reports.
    pub const ALL: [GreekCause; Self::COUNT] = [
        GreekCause::Delta,
        GreekCause::Gamma,
        GreekCause::Vega,
        GreekCause::Theta,
        GreekCause::Residual,
    ];

    /// Its key in reports.
    pub const fn name(self) -> &'static str {
        match self {
            GreekCause::Delta => "delta",
            GreekCause::Gamma => "gamma",
            GreekCause::Vega => "vega",
            GreekCause::Theta => "theta",
            GreekCause::Residual => "residual",
        }
    }
}

/// Where an option stood when it was marked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct MarkPoint {
    /// By which Greeks.
    pub greeks: OptionGreeks,
    /// The underlying's price.
    pub underlying: SubTicks,
    /// When.
    pub at: Nanos,
}

/// The parts so far of one option, in 1e-9 of what it settles in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct GreekAttribution {
    sums: [i128; GreekCause::COUNT],
}

impl GreekAttribution {
    /// Its parts.
    pub fn parts(&self) -> [(GreekCause, i128); GreekCause::COUNT] {
        let [delta, gamma, vega, theta, residual] = self.sums;
        [
            (GreekCause::Delta, delta),
            (GreekCause::Gamma, gamma),
            (GreekCause::Vega, vega),
            (GreekCause::Theta, theta),
            (GreekCause::Residual, residual),
        ]
    }

    /// The mark of `lots` went from one point to another and moved the account by `moved`.
    /// `nano_per_tick_lot`: 1e-9 that one tick of one lot is worth.
    pub fn on_mark(
        &mut self,
        from: &MarkPoint,
        to: &MarkPoint,
        lots: Lots,
        nano_per_tick_lot: i64,
        moved: i128,
    ) {
        let per_tick = i128::from(lots.0).saturating_mul(i128::from(nano_per_tick_lot));
        let mut left = moved;
        for (sum, part) in self.sums.iter_mut().zip(explained(from, to)) {
            let money = per_tick.saturating_mul(i128::from(part)) >> SubTicks::FRACTION_BITS;
            *sum = sum.saturating_add(money);
            left = left.saturating_sub(money);
        }
        self.on_unexplained(left);
    }

    /// The account moved for no reason that Greeks know: an expiry at another value than the mark.
    pub fn on_unexplained(&mut self, moved: i128) {
        let [.., residual] = &mut self.sums;
        *residual = residual.saturating_add(moved);
    }
}

/// By how many 2^-32 option ticks delta, gamma, vega and theta moved the value, by the Greeks at the
/// first point.
fn explained(from: &MarkPoint, to: &MarkPoint) -> [i64; 4] {
    let taken = &from.greeks.taken;
    let before = i128::from(from.underlying.0) - i128::from(taken.underlying.0);
    let step = i128::from(to.underlying.0) - i128::from(from.underlying.0);
    let slope = |x: i128| (i128::from(taken.price_gamma).saturating_mul(x)) >> GAMMA_BITS;
    let delta = i128::from(taken.price_delta).saturating_add(slope(before));
    let by_delta = delta.saturating_mul(step) >> SubTicks::FRACTION_BITS;
    let by_gamma = slope(step).saturating_mul(step) >> (SubTicks::FRACTION_BITS + 1);
    let volatility = i128::from(to.greeks.volatility) - i128::from(from.greeks.volatility);
    // Vega is per 0.01; volatility is counted in 1e-9.
    let by_vega = i128::from(from.greeks.vega).saturating_mul(volatility) / 10_000_000;
    let passed = i128::from(to.at.since(from.at));
    let by_theta = i128::from(taken.theta).saturating_mul(passed) / 1_000_000_000;
    [by_delta, by_gamma, by_vega, by_theta]
        .map(|part| i64::try_from(part).unwrap_or(if part < 0 { i64::MIN } else { i64::MAX }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::option_value::QuantisedGreeks;
    use crate::units::{Exposure, Ticks};

    fn greeks(volatility: i64) -> OptionGreeks {
        OptionGreeks {
            taken: QuantisedGreeks {
                at: Nanos(0),
                underlying: SubTicks::from_ticks(Ticks(1_000)),
                value: SubTicks::from_ticks(Ticks(80)),
                price_delta: 1 << 31,
                price_gamma: 1 << 38,
                theta: -(1 << 32),
                exposure: Exposure(1),
                exposure_gamma: 0,
            },
            rho: 0,
            vanna: Exposure(0),
            volga: 0,
            vega: 3 << 32,
            volatility,
        }
    }

    fn point(underlying: i64, seconds: u64, volatility: i64) -> MarkPoint {
        MarkPoint {
            greeks: greeks(volatility),
            underlying: SubTicks::from_ticks(Ticks(underlying)),
            at: Nanos(seconds * 1_000_000_000),
        }
    }

    #[test]
    fn a_move_is_split_by_its_greeks_and_the_rest_is_residual() {
        let mut sums = GreekAttribution::default();
        // 32 ticks up: 16 by delta, 32²/2048 = 0.5 by gamma; 2 s of decay; a point of volatility.
        let (from, to) = (point(1_000, 0, 200_000_000), point(1_032, 2, 210_000_000));
        sums.on_mark(&from, &to, Lots(10), 1_000, 180_007);
        let parts = sums.parts().map(|(_, amount)| amount);
        assert_eq!(parts, [160_000, 5_000, 30_000, -20_000, 5_007]);
        assert_eq!(parts.iter().sum::<i128>(), 180_007);
    }

    #[test]
    fn there_and_back_gains_what_gamma_gave_both_ways() {
        let mut sums = GreekAttribution::default();
        let (home, away) = (point(1_000, 0, 1), point(1_032, 0, 1));
        sums.on_mark(&home, &away, Lots(10), 1_000, 165_000);
        // Delta at 1,032 is 0.5 + 1/32: 17 down, and half a tick of gamma back.
        sums.on_mark(&away, &home, Lots(10), 1_000, -165_000);
        let parts = sums.parts().map(|(_, amount)| amount);
        assert_eq!(parts, [-10_000, 10_000, 0, 0, 0]);
    }

    #[test]
    fn extremes_saturate_and_still_sum() {
        let mut sums = GreekAttribution::default();
        let from = point(i64::MIN >> 33, 0, i64::MIN);
        let to = point(i64::MAX >> 33, u64::MAX / 2_000_000_000, i64::MAX);
        sums.on_mark(&from, &to, Lots(1_000), 1_000, 7);
        assert_eq!(sums.parts().iter().map(|(_, amount)| amount).sum::<i128>(), 7);
    }
}
