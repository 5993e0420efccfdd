//! One option's Greeks at a point of price and time: where it is refreshed, and wherever that refresh is
//! still believed, so that limits can count the worst of them.
//!
//! Fed by `greek_refresh` with a fitted slice; feeds it quantised Greeks and how far each may move. Cold:
//! a handful of valuations an option and refresh. The volatility of a strike stays what it is while the
//! price moves, as it does for the maker. Deliberately absent: the fit, and what is done with the answer.

use ballast_engine::calibration::options::american::{American, Carry};
use ballast_engine::calibration::options::quantise::{
    OptionGrid, against_reference, coin_settled, refreshed,
};
use ballast_engine::calibration::options::{Black76, Greeks, InverseOption, OptionsError};
use ballast_engine::estimate::option_value::{ExpansionBounds, OptionGreeks};
use ballast_engine::inventory::option_book::per_lot;
use ballast_engine::option_terms::{Delivery, ExerciseStyle, OptionTerms};
use ballast_engine::risk::greek_limits::{GREEKS, GreekVector};
use ballast_engine::units::{Nanos, SubTicks};

const NS_PER_YEAR: f64 = 365.0 * 86_400.0 * 1e9;
/// A price that moves by less than this part of the option's deviation bends no Greek between the ends.
const SMOOTH_PART: f64 = 0.25;
/// Steps either way where it does.
const STEPS: i32 = 4;

/// What an option is, as far as its value goes.
#[derive(Clone, Copy, Debug)]
pub struct Contract<'a> {
    /// Its terms.
    pub terms: &'a OptionTerms,
    /// Its strike.
    pub strike: f64,
    /// What it is counted in.
    pub grid: OptionGrid,
    /// 1e-9 of what it settles in that a tick of a lot is worth.
    pub nano_per_tick_lot: i64,
    /// For how long and how far a refresh is believed.
    pub bounds: ExpansionBounds,
}

/// Where it is valued.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// When.
    pub at: Nanos,
    /// Price of what it is on.
    pub price: f64,
    /// Its forward.
    pub forward: f64,
    /// The rate.
    pub rate: f64,
    /// Years that are left.
    pub years: f64,
    /// Its strike's volatility.
    pub volatility: f64,
}

impl Contract<'_> {
    /// Value and Greeks at a point.
    ///
    /// # Errors
    /// What no formula values, or what does not fit.
    pub fn greeks(&self, point: &Point) -> Result<OptionGreeks, OptionsError> {
        let Point { at, price, forward, rate, years, volatility } = *point;
        let (strike, option_type) = (self.strike, self.terms.option_type);
        if self.terms.delivery == Delivery::Coin {
            let option = InverseOption { forward, strike, years, volatility, option_type };
            return coin_settled(&option, price, at, &self.grid);
        }
        let european =
            Black76 { forward, strike, years, volatility, rate, option_type }.greeks()?;
        let greeks = match self.terms.style {
            ExerciseStyle::European => european,
            ExerciseStyle::American => {
                let (underlying, carry) = (forward, Carry::Future);
                let option =
                    American { underlying, strike, years, volatility, rate, carry, option_type };
                let a = option.greeks()?;
                let (price, delta, gamma, vega) = (a.price, a.delta, a.gamma, a.vega);
                let (theta, rho, vanna, volga) = (a.theta, a.rho, a.vanna, a.volga);
                Greeks { price, delta, gamma, vega, theta, rho, vanna, volga, ..european }
            }
        };
        let greeks = against_reference(&greeks, forward / price);
        refreshed(&greeks, volatility, price, at, &self.grid)
    }

    /// How far each Greek of a lot may be from what was `taken` at a point, for as long and as far as
    /// that is believed: the furthest at the ends of price and time and, where the price can move by
    /// much of the option's own deviation, at steps between them.
    ///
    /// # Errors
    /// As [`Contract::greeks`].
    pub fn span(&self, point: &Point, taken: &OptionGreeks) -> Result<GreekVector, OptionsError> {
        let lot = |greeks: &OptionGreeks| {
            per_lot(greeks, self.nano_per_tick_lot)
                .map(|lot| lot.parts())
                .ok_or(OptionsError::OutOfRange { name: "Greeks of a lot" })
        };
        let here = lot(taken)?;
        let mut span = [0; GREEKS];
        // The last moments are the pin's: what is left of a life is never believed to its end.
        let age = (self.bounds.age_max_ns as f64 / NS_PER_YEAR).min(0.5 * point.years);
        for price in self.prices(point) {
            for years in [point.years, point.years - age] {
                let forward = point.forward * price / point.price;
                let there = lot(&self.greeks(&Point { price, forward, years, ..*point })?)?;
                for ((span, here), there) in span.iter_mut().zip(here).zip(there) {
                    *span = there.abs_diff(here).try_into().unwrap_or(i64::MAX).max(*span);
                }
            }
        }
        Ok(GreekVector::of(span))
    }

    /// Prices at which Greeks are believed, both ends among them, above zero.
    fn prices(&self, point: &Point) -> impl Iterator<Item = f64> + use<> {
        let ticks = self.bounds.move_max.0 as f64 / SubTicks::ONE.0 as f64;
        let (price, most) = (point.price, ticks * self.grid.underlying_tick);
        let deviation = point.price * point.volatility * libm::sqrt(point.years);
        let steps = if most < SMOOTH_PART * deviation { 1 } else { STEPS };
        let each = (-steps..=steps).map(move |step| f64::from(step) / f64::from(steps));
        each.map(move |part| price + part * most).filter(|price| *price > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ballast_engine::option_terms::OptionType;

    const GRID: OptionGrid =
        OptionGrid { option_tick: 0.05, underlying_tick: 0.25, underlying_per_lot: 50.0 };

    fn terms(style: ExerciseStyle, delivery: Delivery) -> OptionTerms {
        let (strike, expiry) = ("3250".parse().unwrap(), Nanos(u64::MAX));
        OptionTerms { option_type: OptionType::Put, strike, expiry, style, delivery }
    }

    /// At every hundredth of what is believed each Greek of a lot is within its span.
    fn is_within(terms: &OptionTerms, years: f64) {
        let bounds = ExpansionBounds {
            age_max_ns: 600_000_000_000,
            move_max: SubTicks(60 * SubTicks::ONE.0),
        };
        let contract = Contract {
            terms,
            strike: 3250.0,
            grid: GRID,
            nano_per_tick_lot: 2_500_000_000,
            bounds,
        };
        let point = Point {
            at: Nanos(7),
            price: 3243.0,
            forward: 3245.0,
            rate: 0.0155,
            years,
            volatility: 0.14,
        };
        let taken = contract.greeks(&point).unwrap();
        let span = contract.span(&point, &taken).unwrap().parts();
        let here = per_lot(&taken, contract.nano_per_tick_lot).unwrap().parts();
        assert!(here.iter().all(|greek| *greek != 0), "{here:?}");
        assert!(span.iter().all(|span| *span > 0), "{span:?}");
        for hundredth in -100..=100 {
            for tenth in 0..=10 {
                let price = point.price + 0.15 * f64::from(hundredth);
                let age = f64::from(tenth) * 60e9 / NS_PER_YEAR;
                let forward = point.forward * price / point.price;
                let there = Point { price, forward, years: years - age, ..point };
                let there = contract.greeks(&there).unwrap();
                let there = per_lot(&there, contract.nano_per_tick_lot).unwrap().parts();
                for n in 0..GREEKS {
                    let moved = there[n].abs_diff(here[n]) as f64;
                    // Between two steps a Greek bends by no more than a part of what it moves.
                    let most = span[n] as f64 * 1.02 + 1.0;
                    assert!(moved <= most, "{n} {years} {price} {tenth}: {moved} of {most}");
                }
            }
        }
    }

    #[test]
    fn nowhere_that_a_refresh_is_believed_is_a_greek_further_than_its_span() {
        for years in [0.2, 0.02, 0.004] {
            is_within(&terms(ExerciseStyle::American, Delivery::Future), years);
            is_within(&terms(ExerciseStyle::European, Delivery::Cash), years);
        }
    }
}
