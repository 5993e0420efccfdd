//! From Greeks to the integers that the hot path expands.
//!
//! Fed by the surface on the calibration thread; feeds [`QuantisedGreeks`] to the maker, journaled
//! as parameters. Deliberately absent: rounding that could matter: each number keeps 32 binary
//! digits or more, and one that does not fit is an error.

use super::{Greeks, OptionsError, finite, positive};
use crate::estimate::option_value::{GAMMA_BITS, QuantisedGreeks};
use crate::units::{Exposure, Nanos, SubTicks};

const SECONDS_PER_YEAR: f64 = 365.0 * 86_400.0;

/// The grids that an option and its underlying are counted in.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OptionGrid {
    /// The option's tick, in the currency of its price.
    pub option_tick: f64,
    /// The underlying's tick.
    pub underlying_tick: f64,
    /// Units of the underlying that one lot of the option is on.
    pub underlying_per_lot: f64,
}

/// Greeks as of `at`, taken at the price `underlying`, as integers, to the nearest.
///
/// # Errors
/// A grid step not above zero, or a number that does not fit.
pub fn quantise(
    greeks: &Greeks,
    underlying: f64,
    at: Nanos,
    grid: &OptionGrid,
) -> Result<QuantisedGreeks, OptionsError> {
    let option_tick = positive("option_tick", grid.option_tick)?;
    let underlying_tick = positive("underlying_tick", grid.underlying_tick)?;
    let per_lot = positive("underlying_per_lot", grid.underlying_per_lot)?;
    let ratio = underlying_tick / option_tick;
    let sub = 2f64.powi(SubTicks::FRACTION_BITS.cast_signed());
    let fine = 2f64.powi(GAMMA_BITS.cast_signed());
    Ok(QuantisedGreeks {
        at,
        underlying: SubTicks(count("underlying", underlying / underlying_tick * sub)?),
        value: SubTicks(count("value", greeks.price / option_tick * sub)?),
        price_delta: count("price_delta", greeks.delta * ratio * sub)?,
        price_gamma: count("price_gamma", greeks.gamma * ratio * underlying_tick * fine)?,
        theta: count("theta", greeks.theta / SECONDS_PER_YEAR / option_tick * sub)?,
        exposure: Exposure(count("exposure", greeks.delta * per_lot * 1e9)?),
        exposure_gamma: count(
            "exposure_gamma",
            greeks.gamma * underlying_tick * per_lot * 1e9 * sub,
        )?,
    })
}

/// The nearest integer.
fn count(name: &'static str, value: f64) -> Result<i64, OptionsError> {
    let value = libm::round(finite(name, value)?);
    // 2^63 as a double; everything below it in size fits.
    if value.abs() < 9_223_372_036_854_775_808.0 {
        Ok(value as i64)
    } else {
        Err(OptionsError::OutOfRange { name })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Black76, OptionType};
    use super::*;
    use crate::estimate::option_value::ExpansionBounds;

    fn es(strike: f64, forward: f64, years: f64, option_type: OptionType) -> Greeks {
        let volatility = 0.14;
        Black76 { forward, strike, years, volatility, rate: 0.0155, option_type }.greeks().unwrap()
    }

    /// ES: a point is four ticks; between refreshes the future moves up to three points, 10 s pass.
    #[test]
    fn the_expansion_meets_the_formula_to_a_hundredth_of_a_tick() {
        let grid =
            OptionGrid { option_tick: 0.05, underlying_tick: 0.25, underlying_per_lot: 50.0 };
        let bounds =
            ExpansionBounds { age_max_ns: 10_000_000_000, move_max: SubTicks(12i64 << 32) };
        let ten_seconds = 10.0 / SECONDS_PER_YEAR;
        for option_type in [OptionType::Call, OptionType::Put] {
            for strike in [3000.0, 3150.0, 3234.0, 3300.0, 3500.0] {
                let refresh = es(strike, 3234.0, 0.2, option_type);
                let quantised = quantise(&refresh, 3234.0, Nanos(7), &grid).unwrap();
                for points in [-3.0, -1.0, -0.25, 0.0, 0.25, 1.0, 3.0] {
                    let moved = SubTicks(((3234.0 + points) * 4.0) as i64 * SubTicks::ONE.0);
                    let now = Nanos(10_000_000_007);
                    let expanded = quantised.expand(now, moved, &bounds).unwrap();
                    let exact = es(strike, 3234.0 + points, 0.2 - ten_seconds, option_type);
                    let ticks = expanded.value.0 as f64 / SubTicks::ONE.0 as f64;
                    assert!((ticks - exact.price / 0.05).abs() < 0.01, "{strike} {points} {ticks}");
                    let exposure = expanded.exposure.0 as f64 / 1e9;
                    // Third order is not expanded: 0.01 of 50 units.
                    assert!((exposure - 50.0 * exact.delta).abs() < 0.01, "{strike} {points}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let grid =
            OptionGrid { option_tick: 0.05, underlying_tick: 0.25, underlying_per_lot: 50.0 };
        let greeks = es(3200.0, 3234.0, 0.2, OptionType::Call);
        let fine = OptionGrid { option_tick: 1e-12, ..grid };
        assert!(quantise(&greeks, 3234.0, Nanos(0), &fine).is_err());
        let none = OptionGrid { underlying_tick: 0.0, ..grid };
        assert!(quantise(&greeks, 3234.0, Nanos(0), &none).is_err());
        assert!(quantise(&greeks, f64::NAN, Nanos(0), &grid).is_err());
    }
}
