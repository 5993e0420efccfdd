//! European options on a forward: Black (1976).
//!
//! Fed by the calibration thread and by `ballast greeks`; feeds [`Greeks`] to the surface, to the
//! implied volatility and to the inverse options. Calibration thread. Deliberately absent: carry —
//! the forward already holds it.

use super::normal::{density, distribution, log_ratio};
use super::{Greeks, OptionType, OptionsError, finite, in_range, positive};

/// A European option on a forward, as Black (1976) sees it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Black76 {
    /// The forward of the option's expiry.
    pub forward: f64,
    /// The strike.
    pub strike: f64,
    /// Years to expiry.
    pub years: f64,
    /// Annual volatility.
    pub volatility: f64,
    /// Continuously compounded rate at which the premium is discounted.
    pub rate: f64,
    /// Call or put.
    pub option_type: OptionType,
}

/// What Black's formula is made of, for a forward, a strike and a total deviation `σ√T`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Terms {
    /// `ln(F/K)/s + s/2`.
    pub d1: f64,
    /// `ln(F/K)/s − s/2`.
    pub d2: f64,
    /// Undiscounted value.
    pub undiscounted: f64,
    /// `N(cp·d1)`.
    pub share_probability: f64,
    /// `N(cp·d2)`: the probability of exercise.
    pub exercise_probability: f64,
    /// `n(d1)`.
    pub density: f64,
}

/// Black's formula without discounting: of `forward`, `strike` and the deviation `s = σ√T`, all
/// greater than zero.
///
/// An option in the money is its intrinsic value plus its twin out of the money, so that the
/// digits of the small part survive.
pub fn terms(
    forward: f64,
    strike: f64,
    s: f64,
    option_type: OptionType,
) -> Result<Terms, OptionsError> {
    terms_at(log_ratio(forward, strike), forward, strike, s, option_type)
}

/// [`terms`] where the caller knows `ln(forward/strike)` better than two prices can say it.
pub(super) fn terms_at(
    log_moneyness: f64,
    forward: f64,
    strike: f64,
    s: f64,
    option_type: OptionType,
) -> Result<Terms, OptionsError> {
    let centre = log_moneyness / s;
    let d1 = in_range("d1", centre + 0.5 * s)?;
    let d2 = in_range("d2", centre - 0.5 * s)?;
    let cp = option_type.sign();
    let share_probability = distribution(cp * d1);
    let exercise_probability = distribution(cp * d2);
    let intrinsic = cp * (forward - strike);
    let undiscounted = if intrinsic > 0.0 {
        let twin = cp * (strike * distribution(-cp * d2) - forward * distribution(-cp * d1));
        intrinsic + twin.max(0.0)
    } else {
        (cp * (forward * share_probability - strike * exercise_probability)).max(0.0)
    };
    let density = density(d1);
    Ok(Terms { d1, d2, undiscounted, share_probability, exercise_probability, density })
}

impl Black76 {
    /// Value alone.
    ///
    /// # Errors
    /// As [`Black76::greeks`].
    pub fn price(&self) -> Result<f64, OptionsError> {
        let forward = positive("F", self.forward)?;
        let strike = positive("K", self.strike)?;
        let s = positive("sigma", self.volatility)? * libm::sqrt(positive("T", self.years)?);
        let t = terms(forward, strike, positive("sigma sqrt T", s)?, self.option_type)?;
        in_range("price", libm::exp(-finite("r", self.rate)? * self.years) * t.undiscounted)
    }

    /// Value and sensitivities.
    ///
    /// # Errors
    /// A parameter that is not finite, a forward, strike, time or volatility not above zero, or
    /// parameters that leave the range of numbers together.
    pub fn greeks(&self) -> Result<Greeks, OptionsError> {
        let forward = positive("F", self.forward)?;
        let strike = positive("K", self.strike)?;
        let years = positive("T", self.years)?;
        let sigma = positive("sigma", self.volatility)?;
        let rate = finite("r", self.rate)?;
        let sqrt_years = libm::sqrt(years);
        let s = positive("sigma sqrt T", sigma * sqrt_years)?;
        let t = terms(forward, strike, s, self.option_type)?;
        let discount = libm::exp(-rate * years);
        let price = discount * t.undiscounted;
        // One factor at a time, small times large: no intermediate leaves the range before the answer does.
        let weight = discount * t.density;
        let vega = forward * weight * sqrt_years;
        Greeks {
            d1: t.d1,
            d2: t.d2,
            price,
            delta: discount * self.option_type.sign() * t.share_probability,
            gamma: weight / s / forward,
            vega,
            theta: rate * price - forward * weight * sigma / (2.0 * sqrt_years),
            rho: -years * price,
            vanna: -weight * t.d2 / sigma,
            volga: vega * t.d1 * t.d2 / sigma,
        }
        .checked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option() -> Black76 {
        Black76 {
            forward: 100.0,
            strike: 90.0,
            years: 0.5,
            volatility: 0.3,
            rate: 0.02,
            option_type: OptionType::Call,
        }
    }

    #[test]
    fn nothing_but_positive_numbers_is_valued() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Black76 { forward: bad, ..option() }.greeks().is_err());
            assert!(Black76 { strike: bad, ..option() }.greeks().is_err());
            assert!(Black76 { years: bad, ..option() }.greeks().is_err());
            assert!(Black76 { volatility: bad, ..option() }.greeks().is_err());
        }
        assert_eq!(
            Black76 { years: -0.1, ..option() }.greeks(),
            Err(OptionsError::NotPositive { name: "T", value: -0.1 })
        );
        assert!(Black76 { rate: f64::NAN, ..option() }.greeks().is_err());
        assert!(Black76 { volatility: 1e-320, ..option() }.greeks().is_err());
    }

    #[test]
    fn call_less_put_is_the_discounted_forward() {
        for strike in [1.0, 50.0, 99.9, 100.0, 100.1, 200.0, 1e4] {
            let call = Black76 { strike, ..option() }.greeks().unwrap();
            let put =
                Black76 { strike, option_type: OptionType::Put, ..option() }.greeks().unwrap();
            let forward = (100.0 - strike) * libm::exp(-0.01);
            assert!((call.price - put.price - forward).abs() <= 1e-14 * strike.max(100.0));
            assert!((call.delta - put.delta - libm::exp(-0.01)).abs() < 1e-15);
            assert_eq!((call.gamma, call.vega, call.vanna), (put.gamma, put.vega, put.vanna));
        }
    }
}
