//! The volatility that a price implies, European and American, and why there is none where there
//! is none.
//!
//! Fed by option quotes on the calibration thread; feeds the surface. Deliberately absent: a guess:
//! both solvers keep the root in a bracket, so they end on every price that has a volatility.

use super::american::{American, Carry};
use super::black76::terms;
use super::{OptionType, OptionsError, finite, positive};
use thiserror::Error;

/// Steps after which a solver gives up; the bracket halves at least every third one.
const STEPS_MAX: u32 = 300;
/// Largest deviation `σ√T` that is looked for: beyond it every option is worth its bound.
const DEVIATION_MAX: f64 = 60.0;

/// Why a price implies no volatility.
#[derive(Clone, Copy, PartialEq, Debug, Error)]
pub enum NoVolatility {
    /// The price is at or below what exercise (European: the forward) guarantees.
    #[error(
        "the price {price} is not above the intrinsic value {intrinsic}: no volatility makes it so small"
    )]
    AtIntrinsic {
        /// The price asked about.
        price: f64,
        /// What the option is worth without volatility.
        intrinsic: f64,
    },
    /// The price is at or above what even an endless volatility gives.
    #[error("the price {price} is not below its bound {bound} (a call's forward, a put's strike)")]
    AboveBound {
        /// The price asked about.
        price: f64,
        /// What the option approaches as volatility grows.
        bound: f64,
    },
    /// The time value drowns in the rounding of an intrinsic value so much larger.
    #[error("the time value {time_value} is lost in the rounding of the price")]
    TimeValueLost {
        /// What is left above the intrinsic value.
        time_value: f64,
    },
    /// The parameters cannot be valued.
    #[error(transparent)]
    Options(#[from] OptionsError),
}

/// The volatility at which Black (1976) gives `price`.
///
/// # Errors
/// See [`NoVolatility`].
pub fn black76(
    price: f64,
    forward: f64,
    strike: f64,
    years: f64,
    rate: f64,
    option_type: OptionType,
) -> Result<f64, NoVolatility> {
    let price = finite("price", price)?;
    let forward = positive("F", forward)?;
    let strike = positive("K", strike)?;
    let years = positive("T", years)?;
    let discount = libm::exp(-finite("r", rate)? * years);
    let undiscounted = finite("price e^rT", price / discount)?;
    let signed = option_type.sign() * (forward - strike);
    let intrinsic = signed.max(0.0);
    let (bound, twin) = match option_type {
        OptionType::Call => (forward, OptionType::Put),
        OptionType::Put => (strike, OptionType::Call),
    };
    let time_value = undiscounted - intrinsic;
    if time_value <= 0.0 {
        return Err(NoVolatility::AtIntrinsic { price, intrinsic: intrinsic * discount });
    }
    if undiscounted >= bound {
        return Err(NoVolatility::AboveBound { price, bound: bound * discount });
    }
    if time_value <= 4.0 * f64::EPSILON * undiscounted {
        return Err(NoVolatility::TimeValueLost { time_value });
    }
    // The time value is the price of the option out of the money: the only one that keeps digits.
    let out_of_the_money = if signed > 0.0 { twin } else { option_type };
    Ok(deviation(time_value, forward, strike, out_of_the_money)? / libm::sqrt(years))
}

/// The deviation `σ√T` at which the option out of the money is worth `target`, by Newton on the
/// logarithm of the price, which is concave, inside a bracket.
fn deviation(
    target: f64,
    forward: f64,
    strike: f64,
    option_type: OptionType,
) -> Result<f64, NoVolatility> {
    let goal = libm::log(target);
    let log_moneyness = super::normal::log_ratio(forward, strike).abs();
    // The inflection of the price: Newton from here meets neither a flat start nor a flat end.
    let mut s = libm::sqrt(2.0 * log_moneyness).clamp(1e-3, 10.0);
    let (mut low, mut high) = (0.0, DEVIATION_MAX);
    for _ in 0..STEPS_MAX {
        let t = terms(forward, strike, s, option_type)?;
        let miss = libm::log(t.undiscounted) - goal;
        if miss > 0.0 {
            high = s;
        } else {
            low = s;
        }
        let slope = forward * t.density / t.undiscounted;
        let newton = s - miss / slope;
        let is_inside = newton > low && newton < high;
        let next = if is_inside { newton } else { 0.5 * (low + high) };
        if (next - s).abs() <= 4.0 * f64::EPSILON * s || high - low <= 2.0 * f64::EPSILON * high {
            return Ok(next);
        }
        s = next;
    }
    Ok(s)
}

/// The volatility at which Barone-Adesi–Whaley give `price`: what a quote of an American option
/// says about the volatility of its underlying, early exercise taken off.
///
/// # Errors
/// See [`NoVolatility`].
pub fn american(price: f64, option: &American) -> Result<f64, NoVolatility> {
    let price = finite("price", price)?;
    let years = positive("T", option.years)?;
    let intrinsic = (option.option_type.sign() * (option.underlying - option.strike)).max(0.0);
    if price <= intrinsic {
        return Err(NoVolatility::AtIntrinsic { price, intrinsic });
    }
    let bound = match option.option_type {
        OptionType::Call => option.underlying,
        OptionType::Put => option.strike,
    };
    if price >= bound {
        return Err(NoVolatility::AboveBound { price, bound });
    }
    let miss = |volatility: f64| -> Result<f64, NoVolatility> {
        Ok(American { volatility, ..*option }.price()? - price)
    };
    let forward = match option.carry {
        Carry::Future => option.underlying,
        Carry::Yield(q) => option.underlying * libm::exp((option.rate - q) * years),
    };
    // Early exercise only adds: the European answer is above the root, and close.
    let european = black76(price, forward, option.strike, years, option.rate, option.option_type);
    let mut high = european.unwrap_or(1.0) * (1.0 + 1e-9);
    while miss(high)? < 0.0 {
        high *= 2.0;
        if high * libm::sqrt(years) > DEVIATION_MAX {
            return Err(NoVolatility::AboveBound { price, bound });
        }
    }
    let mut low = high * 0.98;
    while miss(low)? > 0.0 {
        high = low;
        low *= 0.7;
        if low < 1e-6 {
            // The approximation itself stays above the price however small the volatility.
            return Err(NoVolatility::TimeValueLost { time_value: price - intrinsic });
        }
    }
    false_position(low, high, miss)
}

/// The root between `low` (a miss below zero) and `high` (above): regula falsi with the Illinois
/// rule, which never leaves the bracket and does not stall at one end.
fn false_position(
    mut low: f64,
    mut high: f64,
    miss: impl Fn(f64) -> Result<f64, NoVolatility>,
) -> Result<f64, NoVolatility> {
    let (mut below, mut above) = (miss(low)?, miss(high)?);
    let mut last_was_low = None;
    let mut last = f64::INFINITY;
    for _ in 0..STEPS_MAX {
        if above <= 0.0 {
            return Ok(high);
        }
        let step = (low * above - high * below) / (above - below);
        let middle = if step > low && step < high { step } else { 0.5 * (low + high) };
        let value = miss(middle)?;
        // One end often stands still while the other arrives: the steps say when it is over.
        if value == 0.0 || high - low <= 1e-13 * high || (middle - last).abs() <= 1e-14 * middle {
            return Ok(middle);
        }
        last = middle;
        let is_low = value < 0.0;
        if is_low {
            (low, below) = (middle, value);
            above *= if last_was_low == Some(true) { 0.5 } else { 1.0 };
        } else {
            (high, above) = (middle, value);
            below *= if last_was_low == Some(false) { 0.5 } else { 1.0 };
        }
        last_was_low = Some(is_low);
    }
    Ok(0.5 * (low + high))
}

#[cfg(test)]
mod tests {
    use super::super::Black76;
    use super::*;
    use proptest::prelude::*;

    fn option_type() -> impl Strategy<Value = OptionType> {
        prop_oneof![Just(OptionType::Call), Just(OptionType::Put)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

        /// The answer prices back to the price asked about, whatever the option.
        #[test]
        fn an_implied_volatility_prices_back(
            log_moneyness in -2.0f64..2.0, volatility in 0.01f64..4.0, log_years in -12.0f64..2.0,
            rate in -0.05f64..0.3, kind in option_type(),
        ) {
            let option = Black76 {
                forward: 3235.0,
                strike: 3235.0 * libm::exp(log_moneyness),
                years: libm::exp(log_years),
                volatility,
                rate,
                option_type: kind,
            };
            let price = option.greeks().unwrap().price;
            match black76(price, 3235.0, option.strike, option.years, rate, kind) {
                Ok(volatility) => {
                    let back = Black76 { volatility, ..option }.greeks().unwrap().price;
                    prop_assert!((back - price).abs() <= 1e-11 * price.max(1e-3), "{back} {price}");
                }
                // A deep option whose time value is below the rounding of its price.
                Err(NoVolatility::AtIntrinsic { .. } | NoVolatility::TimeValueLost { .. }) => {
                    let twin = if kind == OptionType::Call { OptionType::Put } else { OptionType::Call };
                    let twin = Black76 { option_type: twin, ..option }.greeks().unwrap().price;
                    prop_assert!(price.min(twin) <= 1e-14 * option.strike.max(3235.0), "{option:?}");
                }
                Err(error) => prop_assert!(false, "{option:?}: {error}"),
            }
        }

        #[test]
        fn an_american_implied_volatility_prices_back(
            log_moneyness in -0.3f64..0.3, volatility in 0.05f64..1.5, years in 0.01f64..1.5,
            rate in 0.0f64..0.1, kind in option_type(),
        ) {
            let option = American {
                underlying: 3235.0,
                strike: 3235.0 * libm::exp(log_moneyness),
                years,
                volatility,
                rate,
                carry: Carry::Future,
                option_type: kind,
            };
            let price = option.price().unwrap();
            match american(price, &option) {
                Ok(volatility) => {
                    let back = American { volatility, ..option }.price().unwrap();
                    prop_assert!((back - price).abs() <= 1e-9 * price.max(1e-3), "{back} {price}");
                }
                Err(NoVolatility::AtIntrinsic { intrinsic, .. }) => {
                    prop_assert!(price <= intrinsic * (1.0 + 1e-12), "{option:?}");
                }
                Err(error) => prop_assert!(price < 1e-9, "{option:?}: {error}"),
            }
        }
    }

    #[test]
    fn a_price_below_intrinsic_or_above_its_bound_says_so() {
        let at = |price| black76(price, 100.0, 90.0, 0.5, 0.0, OptionType::Call);
        assert_eq!(at(10.0), Err(NoVolatility::AtIntrinsic { price: 10.0, intrinsic: 10.0 }));
        assert_eq!(at(9.0), Err(NoVolatility::AtIntrinsic { price: 9.0, intrinsic: 10.0 }));
        assert_eq!(at(100.0), Err(NoVolatility::AboveBound { price: 100.0, bound: 100.0 }));
        assert!(at(99.999).is_ok());
        assert!(matches!(
            at(10.0 + 4e-15),
            Err(NoVolatility::AtIntrinsic { .. } | NoVolatility::TimeValueLost { .. })
        ));
        assert!(matches!(at(f64::NAN), Err(NoVolatility::Options(_))));
        let put = black76(95.0, 100.0, 90.0, 0.5, 0.0, OptionType::Put);
        assert_eq!(put, Err(NoVolatility::AboveBound { price: 95.0, bound: 90.0 }));
        assert!(black76(1.0, 100.0, 90.0, 0.0, 0.0, OptionType::Put).is_err());
    }

    #[test]
    fn an_american_price_at_exercise_says_so() {
        let option = American {
            underlying: 80.0,
            strike: 100.0,
            years: 0.5,
            volatility: 0.2,
            rate: 0.05,
            carry: Carry::Future,
            option_type: OptionType::Put,
        };
        let error = american(20.0, &option).unwrap_err();
        assert_eq!(error, NoVolatility::AtIntrinsic { price: 20.0, intrinsic: 20.0 });
        assert!(american(100.0, &option).is_err());
        assert!(american(20.5, &option).is_ok());
    }
}
