//! European options on a spot that pays a yield: Black & Scholes (1973), Merton (1973).
//!
//! Fed by the calibration thread and by `ballast greeks`; feeds [`Greeks`]. Calibration thread.
//! Deliberately absent: discrete dividends; a forward and Black-76 serve where they matter.

use super::black76::terms_at;
use super::normal::log_ratio;
use super::{Greeks, OptionType, OptionsError, finite, in_range, positive};

/// A European option on a spot with a continuous yield.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BlackScholes {
    /// The spot price.
    pub spot: f64,
    /// The strike.
    pub strike: f64,
    /// Years to expiry.
    pub years: f64,
    /// Annual volatility.
    pub volatility: f64,
    /// Continuously compounded rate of the money.
    pub rate: f64,
    /// Continuously compounded yield of the underlying.
    pub dividend_yield: f64,
    /// Call or put.
    pub option_type: OptionType,
}

impl BlackScholes {
    /// Value and sensitivities; delta, gamma and rho hold the spot.
    ///
    /// # Errors
    /// A parameter that is not finite, a spot, strike, time or volatility not above zero, or
    /// parameters that leave the range of numbers together.
    pub fn greeks(&self) -> Result<Greeks, OptionsError> {
        let spot = positive("S", self.spot)?;
        let strike = positive("K", self.strike)?;
        let years = positive("T", self.years)?;
        let sigma = positive("sigma", self.volatility)?;
        let rate = finite("r", self.rate)?;
        let dividend_yield = finite("q", self.dividend_yield)?;
        let cp = self.option_type.sign();
        let sqrt_years = libm::sqrt(years);
        let s = positive("sigma sqrt T", sigma * sqrt_years)?;
        let log_moneyness = log_ratio(spot, strike) + (rate - dividend_yield) * years;
        // Both legs discounted: the price is that of a forward and a strike in present money.
        let spot_leg =
            positive("S e^-qT", in_range("S e^-qT", spot * libm::exp(-dividend_yield * years))?)?;
        let strike_leg =
            positive("K e^-rT", in_range("K e^-rT", strike * libm::exp(-rate * years))?)?;
        let t = terms_at(log_moneyness, spot_leg, strike_leg, s, self.option_type)?;
        let yield_discount = libm::exp(-dividend_yield * years);
        let weight = yield_discount * t.density;
        let vega = spot * weight * sqrt_years;
        let decay = spot_leg * t.density * sigma / (2.0 * sqrt_years);
        let spot_carry = dividend_yield * spot_leg * t.share_probability;
        let strike_carry = rate * strike_leg * t.exercise_probability;
        Greeks {
            d1: t.d1,
            d2: t.d2,
            price: t.undiscounted,
            delta: cp * yield_discount * t.share_probability,
            gamma: weight / s / spot,
            vega,
            theta: cp * (spot_carry - strike_carry) - decay,
            rho: cp * years * strike_leg * t.exercise_probability,
            vanna: -weight * t.d2 / sigma,
            volga: vega * t.d1 * t.d2 / sigma,
        }
        .checked()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Black76;
    use super::*;

    fn option() -> BlackScholes {
        BlackScholes {
            spot: 100.0,
            strike: 110.0,
            years: 0.5,
            volatility: 0.3,
            rate: 0.02,
            dividend_yield: 0.01,
            option_type: OptionType::Call,
        }
    }

    #[test]
    fn it_is_black_76_on_the_carried_forward() {
        let bsm = option().greeks().unwrap();
        let carry = libm::exp(0.01 * 0.5);
        let black = Black76 {
            forward: 100.0 * carry,
            strike: 110.0,
            years: 0.5,
            volatility: 0.3,
            rate: 0.02,
            option_type: OptionType::Call,
        }
        .greeks()
        .unwrap();
        assert!((bsm.price - black.price).abs() < 1e-13);
        assert!((bsm.delta - black.delta * carry).abs() < 1e-15);
        assert!((bsm.vega - black.vega).abs() < 1e-12);
    }

    #[test]
    fn nothing_but_positive_numbers_is_valued() {
        for bad in [0.0, -3.0, f64::NAN, f64::NEG_INFINITY] {
            assert!(BlackScholes { spot: bad, ..option() }.greeks().is_err());
            assert!(BlackScholes { strike: bad, ..option() }.greeks().is_err());
            assert!(BlackScholes { years: bad, ..option() }.greeks().is_err());
            assert!(BlackScholes { volatility: bad, ..option() }.greeks().is_err());
        }
        assert!(BlackScholes { rate: 1e6, ..option() }.greeks().is_err());
        assert!(BlackScholes { dividend_yield: f64::NAN, ..option() }.greeks().is_err());
    }
}
