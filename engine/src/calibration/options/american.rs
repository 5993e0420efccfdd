//! American options by the quadratic approximation of Barone-Adesi & Whaley (1987).
//!
//! Fed by the calibration thread and by `ballast greeks`; feeds marks of American options and the
//! early exercise premium that the implied volatility takes off. Calibration thread. Deliberately
//! absent: a lattice: the approximation is good to about a part in a thousand of the price below
//! a year or so, and the study of its error belongs where a book of long American options is kept.

use super::black76::terms_at;
use super::normal::log_ratio;
use super::{OptionType, OptionsError, finite, in_range, positive};

/// What the underlying costs to hold.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Carry {
    /// A future: nothing. A change of the rate leaves the future where it is.
    Future,
    /// A spot with this continuously compounded yield.
    Yield(f64),
}

/// An American option.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct American {
    /// Price of the future or spot.
    pub underlying: f64,
    /// The strike.
    pub strike: f64,
    /// Years to expiry.
    pub years: f64,
    /// Annual volatility.
    pub volatility: f64,
    /// Continuously compounded rate of the money.
    pub rate: f64,
    /// What the underlying costs to hold.
    pub carry: Carry,
    /// Call or put.
    pub option_type: OptionType,
}

/// Value and sensitivities of an American option.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AmericanGreeks {
    /// Present value.
    pub price: f64,
    /// What the European option is worth.
    pub european_price: f64,
    /// `price − european_price`.
    pub early_exercise_premium: f64,
    /// The underlying's price at which exercise pays now; `None` where it never does.
    pub critical_price: Option<f64>,
    /// Per 1.00 of the underlying.
    pub delta: f64,
    /// Delta per 1.00 of the underlying.
    pub gamma: f64,
    /// Per 1.00 of volatility.
    pub vega: f64,
    /// Per year that passes.
    pub theta: f64,
    /// Per 1.00 of the rate (a future is held, and so is the yield of a spot).
    pub rho: f64,
    /// Delta per 1.00 of volatility.
    pub vanna: f64,
    /// Vega per 1.00 of volatility.
    pub volga: f64,
}

/// The European leg in present money, with what the approximation needs of it.
struct European {
    price: f64,
    delta: f64,
    gamma: f64,
    vanna: f64,
    volga: f64,
    /// `e^{-qT} N(cp·d1)`.
    share: f64,
    /// `e^{-qT} n(d1)/(σ√T)`.
    curvature: f64,
}

/// Value, delta and gamma, without the sensitivities that are found by bumping.
struct Value {
    price: f64,
    european: European,
    critical_price: Option<f64>,
    delta: f64,
    gamma: f64,
    /// It is worth its intrinsic value: exercise pays now.
    is_exercised: bool,
}

impl American {
    /// Value and sensitivities. Delta and gamma are derivatives of the formula; vega, theta and
    /// rho are five-point differences of it. Vanna and volga are the European ones plus five-point
    /// differences of the early exercise premium; closer to the critical price than volatility moves
    /// it by a hundredth of itself they are those across a kink, which the formula has there.
    ///
    /// # Errors
    /// As [`Black76::greeks`](super::Black76::greeks), and a rate and yield with which early
    /// exercise has two boundaries.
    pub fn greeks(&self) -> Result<AmericanGreeks, OptionsError> {
        let here = self.value()?;
        let sigma_step = 1e-3 * self.volatility;
        let years_step = 1e-3 * self.years;
        // Early exercise begins where the rate passes zero; the bumps stay on their side of it.
        let rate_step = if self.rate > 0.0 { (self.rate / 4.0).min(1e-4) } else { 1e-4 };
        let vega =
            self.slope(sigma_step, |o, step| American { volatility: o.volatility + step, ..*o })?;
        let theta = -self.slope(years_step, |o, step| American { years: o.years + step, ..*o })?;
        let rho = self.slope(rate_step, |o, step| American { rate: o.rate + step, ..*o })?;
        let [vanna, volga] = self.by_volatility(&here)?;
        Ok(AmericanGreeks {
            price: in_range("price", here.price)?,
            european_price: here.european.price,
            early_exercise_premium: here.price - here.european.price,
            critical_price: here.critical_price,
            delta: in_range("delta", here.delta)?,
            gamma: in_range("gamma", here.gamma)?,
            vega: in_range("vega", vega)?,
            theta: in_range("theta", theta)?,
            rho: in_range("rho", rho)?,
            vanna: in_range("vanna", vanna)?,
            volga: in_range("volga", volga)?,
        })
    }

    /// Vanna and volga. What is subtracted from itself is the premium, which is small, and not the
    /// price; where exercise pays now nothing depends on volatility but the European leg.
    fn by_volatility(&self, here: &Value) -> Result<[f64; 2], OptionsError> {
        if here.is_exercised {
            return Ok([0.0; 2]);
        }
        let step = 4e-3 * self.volatility;
        let at = |steps: f64| -> Result<[f64; 2], OptionsError> {
            let bumped =
                American { volatility: self.volatility + steps * step, ..*self }.value()?;
            Ok(bumped.premium())
        };
        let ([near_up, far_up], [near_down, far_down]) =
            ([at(1.0)?, at(2.0)?], [at(-1.0)?, at(-2.0)?]);
        let [premium, _] = here.premium();
        let slope = |[_, a]: [f64; 2], [_, b]: [f64; 2], [_, c]: [f64; 2], [_, d]: [f64; 2]| {
            (8.0 * (a - b) - (c - d)) / (12.0 * step)
        };
        let near = near_up[0] - premium + (near_down[0] - premium);
        let far = far_up[0] - premium + (far_down[0] - premium);
        Ok([
            here.european.vanna + slope(near_up, near_down, far_up, far_down),
            here.european.volga + (16.0 * near - far) / (12.0 * step * step),
        ])
    }

    /// Present value alone: what a solver calls.
    ///
    /// # Errors
    /// As [`American::greeks`].
    pub fn price(&self) -> Result<f64, OptionsError> {
        in_range("price", self.value()?.price)
    }

    /// Five-point first derivative of the price along `bump`.
    fn slope(
        &self,
        step: f64,
        bump: impl Fn(&American, f64) -> American,
    ) -> Result<f64, OptionsError> {
        let at = |steps: f64| bump(self, steps * step).price();
        Ok((8.0 * (at(1.0)? - at(-1.0)?) - (at(2.0)? - at(-2.0)?)) / (12.0 * step))
    }

    fn dividend_yield(&self) -> f64 {
        match self.carry {
            Carry::Future => self.rate,
            Carry::Yield(q) => q,
        }
    }

    fn value(&self) -> Result<Value, OptionsError> {
        let spot = positive("S", self.underlying)?;
        let strike = positive("K", self.strike)?;
        positive("T", self.years)?;
        positive("sigma", self.volatility)?;
        let rate = finite("r", self.rate)?;
        let dividend_yield = finite("q", self.dividend_yield())?;
        let european = self.european(spot)?;
        // What waiting earns on a call is r on the strike, what it costs is q; for a put swapped.
        let (cost, gain) = match self.option_type {
            OptionType::Call => (dividend_yield, rate),
            OptionType::Put => (rate, dividend_yield),
        };
        if cost <= 0.0 {
            if gain < cost {
                return Err(OptionsError::TwoBoundaries { r: rate, q: dividend_yield });
            }
            let (price, delta, gamma) = (european.price, european.delta, european.gamma);
            let (critical_price, is_exercised) = (None, false);
            return Ok(Value { price, european, critical_price, delta, gamma, is_exercised });
        }
        let cp = self.option_type.sign();
        let power = self.power();
        let critical = self.critical_price(power)?;
        if cp * (spot - critical) >= 0.0 {
            let price = cp * (spot - strike);
            let critical_price = Some(critical);
            let (delta, gamma, is_exercised) = (cp, 0.0, true);
            return Ok(Value { price, european, critical_price, delta, gamma, is_exercised });
        }
        let at_critical = self.european(critical)?;
        let height = cp * (1.0 - at_critical.share) * critical / power;
        let premium = height * libm::exp(power * log_ratio(spot, critical));
        Ok(Value {
            price: european.price + premium,
            delta: european.delta + premium * power / spot,
            gamma: european.gamma + premium * power * (power - 1.0) / spot / spot,
            critical_price: Some(critical),
            european,
            is_exercised: false,
        })
    }

    /// The root of the quadratic: above 1 for a call, below 0 for a put.
    fn power(&self) -> f64 {
        let variance = self.volatility * self.volatility;
        let n = 2.0 * (self.rate - self.dividend_yield()) / variance;
        let rt = self.rate * self.years;
        // M/K = 2r/(σ²(1 − e^{-rT})), 2/(σ²T) in the limit of a zero rate.
        let rt_over_k = if rt == 0.0 { 1.0 } else { rt / -libm::expm1(-rt) };
        let ratio = 2.0 * rt_over_k / (variance * self.years);
        let root = libm::sqrt((n - 1.0) * (n - 1.0) + 4.0 * ratio);
        0.5 * (1.0 - n + self.option_type.sign() * root)
    }

    /// Price of the underlying at which the option is worth its intrinsic value: Newton from the
    /// strike's side, kept inside a bracket.
    fn critical_price(&self, power: f64) -> Result<f64, OptionsError> {
        let cp = self.option_type.sign();
        // Below zero on the strike's side of the critical price, above zero beyond it.
        let excess = |spot: f64| -> Result<(f64, f64), OptionsError> {
            let e = self.european(spot)?;
            let exercise_slope = cp * (1.0 - e.share);
            let value = cp * (spot - self.strike) - e.price - exercise_slope * spot / power;
            let slope = exercise_slope - (exercise_slope - e.curvature) / power;
            Ok((value, slope))
        };
        let (mut near, mut far) = (self.strike, self.strike);
        for _ in 0..1000 {
            far *= if cp > 0.0 { 1.5 } else { 1.0 / 1.5 };
            if excess(far)?.0 > 0.0 {
                break;
            }
            near = far;
        }
        let mut spot = 0.5 * (near + far);
        for _ in 0..200 {
            let (value, slope) = excess(spot)?;
            if value > 0.0 {
                far = spot;
            } else {
                near = spot;
            }
            let newton = spot - value / slope;
            let (low, high) = if near < far { (near, far) } else { (far, near) };
            let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
            if (next - spot).abs() <= 4.0 * f64::EPSILON * spot {
                return Ok(next);
            }
            spot = next;
        }
        Ok(spot)
    }

    fn european(&self, spot: f64) -> Result<European, OptionsError> {
        let dividend_yield = self.dividend_yield();
        let s = positive("sigma sqrt T", self.volatility * libm::sqrt(self.years))?;
        let yield_discount = libm::exp(-dividend_yield * self.years);
        let spot_leg = positive("S e^-qT", in_range("S e^-qT", spot * yield_discount)?)?;
        let strike_leg = self.strike * libm::exp(-self.rate * self.years);
        let strike_leg = positive("K e^-rT", in_range("K e^-rT", strike_leg)?)?;
        let carried = log_ratio(spot, self.strike) + (self.rate - dividend_yield) * self.years;
        let t = terms_at(carried, spot_leg, strike_leg, s, self.option_type)?;
        let share = yield_discount * t.share_probability;
        let curvature = yield_discount * t.density / s;
        Ok(European {
            price: t.undiscounted,
            delta: self.option_type.sign() * share,
            gamma: curvature / spot,
            vanna: -curvature * s * t.d2 / self.volatility,
            volga: spot * curvature * self.years * t.d1 * t.d2,
            share,
            curvature,
        })
    }
}

impl Value {
    /// What early exercise adds to value and delta.
    fn premium(&self) -> [f64; 2] {
        [self.price - self.european.price, self.delta - self.european.delta]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_future(f: f64, years: f64, volatility: f64, option_type: OptionType) -> American {
        American {
            underlying: f,
            strike: 100.0,
            years,
            volatility,
            rate: 0.10,
            carry: Carry::Future,
            option_type,
        }
    }

    /// Haug, The Complete Guide to Option Pricing Formulas, table of Barone-Adesi–Whaley values
    /// for options on futures: strike 100, r 10 %, four decimals printed.
    #[test]
    fn the_published_table_is_met_as_far_as_it_was_iterated() {
        use OptionType::{Call, Put};
        #[rustfmt::skip]
        let table = [
            (Call, 0.1, 0.15, [0.0206, 1.8771, 10.0089]), (Call, 0.1, 0.25, [0.3159, 3.1280, 10.3919]),
            (Call, 0.1, 0.35, [0.9495, 4.3777, 11.1679]), (Call, 0.5, 0.15, [0.8208, 4.0842, 10.8087]),
            (Call, 0.5, 0.25, [2.7437, 6.8015, 13.0170]), (Call, 0.5, 0.35, [5.0063, 9.5106, 15.5689]),
            (Put, 0.1, 0.15, [10.0000, 1.8770, 0.0410]), (Put, 0.1, 0.25, [10.2533, 3.1277, 0.4562]),
            (Put, 0.1, 0.35, [10.8787, 4.3777, 1.2402]), (Put, 0.5, 0.15, [10.5595, 4.0842, 1.0822]),
            (Put, 0.5, 0.25, [12.4419, 6.8014, 3.3226]), (Put, 0.5, 0.35, [14.6945, 9.5104, 5.8823]),
        ];
        for (option_type, years, sigma, row) in table {
            for (f, printed) in [90.0, 100.0, 110.0].into_iter().zip(row) {
                let price = on_future(f, years, sigma, option_type).price().unwrap();
                // The table's critical prices stop early: converged (QuantLib, and mpmath in
                // tools/tests/fixtures/greeks), its 10.0089 is 10.00606.
                assert!(
                    (price - printed).abs() < 3e-3,
                    "{option_type:?} {f} {years} {sigma}: {price}"
                );
            }
        }
    }

    #[test]
    fn an_american_option_is_worth_at_least_the_european_and_its_intrinsic_value() {
        for option_type in [OptionType::Call, OptionType::Put] {
            for f in [20.0, 60.0, 90.0, 99.0, 100.0, 101.0, 150.0, 400.0] {
                for years in [0.001, 0.1, 1.0] {
                    let option = on_future(f, years, 0.2, option_type);
                    let g = option.greeks().unwrap();
                    assert!(g.early_exercise_premium >= -1e-12, "{option:?} {g:?}");
                    assert!(g.price >= option_type.sign() * (f - 100.0) - 1e-9, "{option:?} {g:?}");
                }
            }
        }
    }

    #[test]
    fn the_value_joins_the_intrinsic_value_smoothly() {
        for option_type in [OptionType::Call, OptionType::Put] {
            let option = on_future(100.0, 0.5, 0.25, option_type);
            let critical = option.greeks().unwrap().critical_price.unwrap();
            let cp = option_type.sign();
            let just_before = American { underlying: critical * (1.0 - cp * 1e-9), ..option };
            let g = just_before.greeks().unwrap();
            assert!((g.delta - cp).abs() < 1e-6, "{g:?}");
            assert!((g.price - cp * (just_before.underlying - 100.0)).abs() < 1e-9);
        }
    }

    #[test]
    fn where_waiting_costs_nothing_it_is_european() {
        let stock =
            American { carry: Carry::Yield(0.0), ..on_future(100.0, 1.0, 0.2, OptionType::Call) };
        let g = stock.greeks().unwrap();
        assert_eq!((g.early_exercise_premium, g.critical_price), (0.0, None));
        let free = American { rate: 0.0, ..on_future(100.0, 1.0, 0.2, OptionType::Put) };
        assert_eq!(free.greeks().unwrap().early_exercise_premium, 0.0);
    }

    #[test]
    fn two_boundaries_are_refused() {
        let put = American {
            rate: -0.01,
            carry: Carry::Yield(-0.05),
            ..on_future(100.0, 1.0, 0.2, OptionType::Put)
        };
        assert_eq!(put.greeks(), Err(OptionsError::TwoBoundaries { r: -0.01, q: -0.05 }));
    }

    #[test]
    fn delta_and_gamma_are_the_slopes_of_the_price() {
        let option = on_future(103.0, 0.5, 0.25, OptionType::Put);
        let g = option.greeks().unwrap();
        let at = |f: f64| American { underlying: f, ..option }.price().unwrap();
        assert!((g.delta - (at(103.01) - at(102.99)) / 0.02).abs() < 1e-7);
        assert!((g.gamma - (at(103.1) - 2.0 * at(103.0) + at(102.9)) / 0.01).abs() < 1e-6);
    }
}
