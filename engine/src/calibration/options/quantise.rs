//! From Greeks to the integers that the hot path expands.
//!
//! Fed by the surface on the calibration thread; feeds [`QuantisedGreeks`] to the maker, journaled
//! as parameters. Deliberately absent: rounding that could matter: each number keeps 32 binary
//! digits or more, and one that does not fit is an error.

use super::{Greeks, InverseOption, OptionsError, finite, positive};
use crate::estimate::option_value::{GAMMA_BITS, OptionGreeks, QuantisedGreeks};
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

/// Everything that a refresh says of an option, valued at `volatility`.
///
/// # Errors
/// As [`quantise`].
pub fn refreshed(
    greeks: &Greeks,
    volatility: f64,
    underlying: f64,
    at: Nanos,
    grid: &OptionGrid,
) -> Result<OptionGreeks, OptionsError> {
    let taken = quantise(greeks, underlying, at, grid)?;
    let sub = 2f64.powi(SubTicks::FRACTION_BITS.cast_signed());
    Ok(OptionGreeks {
        taken,
        vega: count("vega", greeks.vega / 100.0 / grid.option_tick * sub)?,
        rho: count("rho", greeks.rho / 100.0 / grid.option_tick * sub)?,
        vanna: Exposure(count("vanna", greeks.vanna / 100.0 * grid.underlying_per_lot * 1e9)?),
        volga: count("volga", greeks.volga / 1e4 / grid.option_tick * sub)?,
        volatility: count("volatility", volatility * 1e9)?,
    })
}

/// Greeks against what an option is expanded in, where its forward is `ratio` times that: a perpetual
/// or a spot that its forward moves in proportion to.
pub fn against_reference(greeks: &Greeks, ratio: f64) -> Greeks {
    let gamma = greeks.gamma * ratio * ratio;
    Greeks { delta: greeks.delta * ratio, gamma, vanna: greeks.vanna * ratio, ..*greeks }
}

/// The same of a coin-settled option: value and slopes in its coin, exposure as the Black-76 delta, so
/// that with the premium counted as coin the sum is what the coin must be hedged by: also where its
/// forward is not `underlying` but moves in proportion to it, since `v + S·dv/dS = v + F·dv/dF = Δ`.
///
/// # Errors
/// As [`quantise`].
pub fn coin_settled(
    option: &InverseOption,
    underlying: f64,
    at: Nanos,
    grid: &OptionGrid,
) -> Result<OptionGreeks, OptionsError> {
    let coin = option.greeks()?;
    let ratio = option.forward / positive("S", underlying)?;
    let none = Greeks {
        d1: 0.0,
        d2: 0.0,
        price: coin.coin_price,
        delta: coin.dcoin_df * ratio,
        gamma: coin.d2coin_df2 * ratio * ratio,
        vega: coin.vega_coin,
        theta: coin.theta_coin,
        rho: coin.rho_coin,
        vanna: coin.vanna,
        volga: coin.volga_coin,
    };
    let in_coin = refreshed(&none, option.volatility, underlying, at, grid)?;
    let dollar = Greeks { delta: coin.bs_delta, gamma: coin.gamma_usd * ratio, ..none };
    let exposed = quantise(&dollar, underlying, at, grid)?;
    let (exposure, exposure_gamma) = (exposed.exposure, exposed.exposure_gamma);
    let taken = QuantisedGreeks { exposure, exposure_gamma, ..in_coin.taken };
    Ok(OptionGreeks { taken, ..in_coin })
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
    fn a_coin_option_is_worth_coin_and_exposes_by_its_dollar_delta() {
        let option = InverseOption {
            forward: 60_000.0,
            strike: 62_000.0,
            years: 0.1,
            volatility: 0.6,
            option_type: OptionType::Call,
        };
        let grid =
            OptionGrid { option_tick: 0.0005, underlying_tick: 0.5, underlying_per_lot: 0.1 };
        let exact = option.greeks().unwrap();
        let made = coin_settled(&option, 60_000.0, Nanos(7), &grid).unwrap();
        let value = made.taken.value.0 as f64 / SubTicks::ONE.0 as f64 * 0.0005;
        assert!((value - exact.coin_price).abs() < 1e-12);
        let exposure = made.taken.exposure.0 as f64 / 1e9;
        assert!((exposure - 0.1 * exact.bs_delta).abs() < 1e-9);
        // A dollar of the forward moves the coin value by its own slope, not by the dollar delta.
        let slope = made.taken.price_delta as f64 / SubTicks::ONE.0 as f64 * 0.0005 / 0.5;
        assert!((slope - exact.dcoin_df).abs() < 1e-12, "{slope}");
        assert!((made.vega as f64 / SubTicks::ONE.0 as f64 * 0.05 - exact.vega_coin).abs() < 1e-9);
        // A point of volatility: on a tenth of a coin, by coin, by coin a point, and no rate.
        assert!((made.vanna.0 as f64 * 1e-9 - 0.1 * exact.vanna / 100.0).abs() < 1e-9);
        let volga = made.volga as f64 / SubTicks::ONE.0 as f64 * 0.0005;
        assert!((volga - exact.volga_coin / 1e4).abs() < 1e-9 && made.rho == 0, "{volga}");
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
