//! From the quotes of an underlying's options to a surface that marks them: forward and rate by
//! parity, volatilities by de-Americanised quotes, one SVI slice an expiry, no arbitrage.
//!
//! Fed by chains of option quotes on the calibration thread; feeds marks, Greeks and quotes.
//! Deliberately absent: smoothing over time: a surface is a function of one moment's quotes.

use super::american::{American, Carry};
use super::fit::{FitError, FittedSvi, SmilePoint, fit};
use super::implied::{self, NoVolatility};
use super::normal::log_ratio;
use super::parity::{Parity, ParityPoint, forward_and_rate, forward_at_rate, forward_in_coin};
use super::svi::Svi;
use super::{Black76, OptionType, OptionsError};
use thiserror::Error;

/// A rate is taken from parity only where its standard error is below this; else the given one.
pub const RATE_ERROR_MAX: f64 = 0.0025;
/// Widest spread, as a part of the mid, of a quote that a slice is fitted to.
pub const SPREAD_MAX: f64 = 0.25;

/// One option's two-sided quote, in units of the underlying's price.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OptionQuote {
    /// The strike.
    pub strike: f64,
    /// Call or put.
    pub option_type: OptionType,
    /// Best bid, above zero.
    pub bid: f64,
    /// Best ask, above the bid.
    pub ask: f64,
}

impl OptionQuote {
    /// Halfway between bid and ask.
    pub fn mid(&self) -> f64 {
        0.5 * (self.bid + self.ask)
    }

    /// Two sides, finite, uncrossed.
    pub fn is_two_sided(&self) -> bool {
        self.bid > 0.0 && self.ask > self.bid && self.ask.is_finite() && self.strike > 0.0
    }
}

/// When the options of a chain may be exercised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exercise {
    /// At expiry alone.
    European,
    /// At any time, into a future.
    AmericanOnFuture,
}

/// What the premiums of a chain are written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Premium {
    /// The money that the strikes are written in.
    Money,
    /// The underlying itself: worth the forward each, and without a rate (Deribit's convention).
    Coin,
}

/// The quotes of one expiry at one moment.
#[derive(Clone, PartialEq, Debug)]
pub struct Chain {
    /// Years to expiry.
    pub years: f64,
    /// When its options may be exercised.
    pub exercise: Exercise,
    /// What they are quoted in.
    pub premium: Premium,
    /// The future's mid where one of this expiry trades; else parity finds the forward.
    pub future: Option<f64>,
    /// The rate where parity cannot say it; of premiums in coin none is asked for.
    pub rate: f64,
    /// The quotes.
    pub quotes: Vec<OptionQuote>,
}

/// One expiry of the surface.
#[derive(Clone, PartialEq, Debug)]
pub struct Slice {
    /// Years to expiry.
    pub years: f64,
    /// When its options may be exercised.
    pub exercise: Exercise,
    /// The forward that log-moneyness is counted from.
    pub forward: f64,
    /// Continuously compounded rate.
    pub rate: f64,
    /// What parity said, where there was a pair.
    pub parity: Option<Parity>,
    /// The smile.
    pub fitted: FittedSvi,
    /// Quotes that the smile was fitted to.
    pub quotes_used: usize,
    /// Quotes left out, each with the reason.
    pub left_out: Vec<(OptionQuote, LeftOut)>,
}

/// Why a quote was not fitted to.
#[derive(Clone, Copy, PartialEq, Debug, Error)]
pub enum LeftOut {
    /// A side is missing, not above zero, or crossed.
    #[error("is not two-sided or is crossed")]
    NotTwoSided,
    /// The spread says too little.
    #[error("has a spread wider than a quarter of its mid")]
    TooWide,
    /// Its mid implies no volatility.
    #[error(transparent)]
    NoVolatility(#[from] NoVolatility),
}

/// Why a chain has no slice.
#[derive(Clone, Copy, PartialEq, Debug, Error)]
pub enum SurfaceError {
    /// Neither a future nor a strike with both a call and a put.
    #[error("no future and no strike with both a call and a put: the forward is unknown")]
    NoForward,
    /// The smile could not be fitted.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// A parameter cannot be valued.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The expiries are not in order.
    #[error("the expiry in {years} years is not after the one before it")]
    NotInOrder {
        /// The expiry that is out of order.
        years: f64,
    },
}

impl Chain {
    /// Fits the slice of this chain, not below the `earlier` one.
    ///
    /// # Errors
    /// See [`SurfaceError`].
    pub fn fit(&self, earlier: Option<&Slice>) -> Result<Slice, SurfaceError> {
        if let Some(earlier) = earlier
            && (self.years.is_nan() || self.years <= earlier.years)
        {
            return Err(SurfaceError::NotInOrder { years: self.years });
        }
        let (forward, rate, parity) = self.forward()?;
        let unit = match self.premium {
            Premium::Money => 1.0,
            Premium::Coin => forward,
        };
        let mut points = Vec::new();
        let mut left_out = Vec::new();
        for quote in &self.quotes {
            let in_money = OptionQuote { bid: quote.bid * unit, ask: quote.ask * unit, ..*quote };
            match self.smile_point(&in_money, forward, rate) {
                Ok(point) => points.push(point),
                Err(reason) => left_out.push((*quote, reason)),
            }
        }
        points.sort_by(|x, y| x.k.total_cmp(&y.k));
        let fitted = fit(&points, self.years, earlier.map(|slice| &slice.fitted.svi))?;
        Ok(Slice {
            years: self.years,
            exercise: self.exercise,
            forward,
            rate,
            parity,
            fitted,
            quotes_used: points.len(),
            left_out,
        })
    }

    /// Forward, rate and what parity said. A future's mid is the forward; a rate comes from parity
    /// where the strikes can say one.
    fn forward(&self) -> Result<(f64, f64, Option<Parity>), SurfaceError> {
        if self.premium == Premium::Coin {
            let parity = forward_in_coin(&self.parity_points(None, 0.0))?;
            let forward = self.future.or(parity.map(|found| found.forward));
            return Ok((forward.ok_or(SurfaceError::NoForward)?, 0.0, parity));
        }
        let (mut forward, mut rate) = (self.future, self.rate);
        let mut parity = None;
        // The early exercise premium that parity must do without depends on the rate: again.
        for _ in 0..3 {
            let points = self.parity_points(forward, rate);
            let free = forward_and_rate(&points, self.years)?;
            parity = match free {
                Some(found) if found.rate_error <= RATE_ERROR_MAX => Some(found),
                _ => forward_at_rate(&points, self.years, self.rate)?,
            };
            if let Some(found) = parity {
                rate = found.rate;
                if self.future.is_none() {
                    forward = Some(found.forward);
                }
            }
            if self.exercise == Exercise::European {
                break;
            }
        }
        Ok((forward.ok_or(SurfaceError::NoForward)?, rate, parity))
    }

    /// Call less put at every strike that has both two-sided, early exercise premiums taken off.
    fn parity_points(&self, forward: Option<f64>, rate: f64) -> Vec<ParityPoint> {
        let european = |quote: &OptionQuote| -> f64 {
            match (self.exercise, forward) {
                (Exercise::AmericanOnFuture, Some(forward)) => {
                    let premium = self.premium(quote, forward, rate).unwrap_or(0.0);
                    quote.mid() - premium
                }
                (Exercise::AmericanOnFuture, None) | (Exercise::European, _) => quote.mid(),
            }
        };
        let of = |option_type| {
            self.quotes.iter().filter(move |q| q.option_type == option_type && q.is_two_sided())
        };
        of(OptionType::Call)
            .filter_map(|call| {
                let put = of(OptionType::Put).find(|put| put.strike == call.strike)?;
                // The true price is anywhere within the spread: a uniform variable's deviation.
                let error = libm::hypot(call.ask - call.bid, put.ask - put.bid) / libm::sqrt(12.0);
                let call_less_put = european(call) - european(put);
                Some(ParityPoint { strike: call.strike, call_less_put, error })
            })
            .collect()
    }

    fn premium(&self, quote: &OptionQuote, forward: f64, rate: f64) -> Option<f64> {
        let option = self.american(quote, forward, rate);
        let volatility = implied::american(quote.mid(), &option).ok()?;
        let greeks = American { volatility, ..option }.greeks().ok()?;
        Some(greeks.early_exercise_premium)
    }

    fn american(&self, quote: &OptionQuote, forward: f64, rate: f64) -> American {
        American {
            underlying: forward,
            strike: quote.strike,
            years: self.years,
            volatility: 1.0,
            rate,
            carry: Carry::Future,
            option_type: quote.option_type,
        }
    }

    /// What one quote says of the smile: its volatility, and half its spread in volatility.
    fn smile_point(
        &self,
        quote: &OptionQuote,
        forward: f64,
        rate: f64,
    ) -> Result<SmilePoint, LeftOut> {
        if !quote.is_two_sided() {
            return Err(LeftOut::NotTwoSided);
        }
        if quote.ask - quote.bid > SPREAD_MAX * quote.mid() {
            return Err(LeftOut::TooWide);
        }
        let volatility = match self.exercise {
            Exercise::European => implied::black76(
                quote.mid(),
                forward,
                quote.strike,
                self.years,
                rate,
                quote.option_type,
            )?,
            Exercise::AmericanOnFuture => {
                implied::american(quote.mid(), &self.american(quote, forward, rate))?
            }
        };
        let option = Black76 {
            forward,
            strike: quote.strike,
            years: self.years,
            volatility,
            rate,
            option_type: quote.option_type,
        };
        let vega = option.greeks().map_err(NoVolatility::from)?.vega;
        let k = log_ratio(quote.strike, forward);
        // A vega near zero makes the error large, not the weight.
        let error = (0.5 * (quote.ask - quote.bid) / vega.max(1e-9 * forward)).max(1e-7);
        Ok(SmilePoint { k, volatility, error })
    }
}

impl Slice {
    /// The smile's volatility at a strike.
    pub fn volatility(&self, strike: f64) -> f64 {
        self.fitted.svi.volatility(log_ratio(strike, self.forward), self.years)
    }

    /// What the surface says that an option is worth.
    ///
    /// # Errors
    /// A strike not above zero, or a slice that was made by hand out of range.
    pub fn price(&self, strike: f64, option_type: OptionType) -> Result<f64, OptionsError> {
        let volatility = self.volatility(strike);
        match self.exercise {
            Exercise::European => Ok(self.black76(strike, option_type).greeks()?.price),
            Exercise::AmericanOnFuture => American {
                underlying: self.forward,
                strike,
                years: self.years,
                volatility,
                rate: self.rate,
                carry: Carry::Future,
                option_type,
            }
            .price(),
        }
    }

    /// The European option of a strike at the smile's volatility: what Greeks are taken from.
    pub fn black76(&self, strike: f64, option_type: OptionType) -> Black76 {
        Black76 {
            forward: self.forward,
            strike,
            years: self.years,
            volatility: self.volatility(strike),
            rate: self.rate,
            option_type,
        }
    }

    /// The smile.
    pub fn svi(&self) -> &Svi {
        &self.fitted.svi
    }
}

/// Fits every chain, in order of expiry, each not below the last that has a slice. An expiry whose
/// quotes say nothing has none, with the reason, and keeps no other from having one.
pub fn fit_surface(chains: &[Chain]) -> Vec<Result<Slice, SurfaceError>> {
    let mut slices: Vec<Result<Slice, SurfaceError>> = Vec::with_capacity(chains.len());
    for chain in chains {
        let earlier = slices.iter().rev().find_map(|slice| slice.as_ref().ok());
        slices.push(chain.fit(earlier));
    }
    slices
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMILE: Svi = Svi { a: 0.0005, b: 0.018, rho: -0.55, m: 0.03, s: 0.06 };

    /// Quotes half a point around the price of a known smile.
    fn chain(exercise: Exercise, future: Option<f64>) -> Chain {
        let truth = Slice {
            years: 0.2,
            exercise,
            forward: 3234.0,
            rate: 0.0155,
            parity: None,
            fitted: FittedSvi { svi: SMILE, rms: 0.0, is_raw: true },
            quotes_used: 0,
            left_out: Vec::new(),
        };
        let mut quotes = Vec::new();
        for i in 0..41u32 {
            let strike = 3000.0 + 10.0 * f64::from(i);
            for option_type in [OptionType::Call, OptionType::Put] {
                let price = truth.price(strike, option_type).unwrap();
                quotes.push(OptionQuote {
                    strike,
                    option_type,
                    bid: price - 0.25,
                    ask: price + 0.25,
                });
            }
        }
        Chain { years: 0.2, exercise, premium: Premium::Money, future, rate: 0.03, quotes }
    }

    #[test]
    fn forward_rate_and_smile_are_found_again() {
        let slice = chain(Exercise::European, None).fit(None).unwrap();
        assert!((slice.forward - 3234.0).abs() < 1e-6, "{}", slice.forward);
        assert!((slice.rate - 0.0155).abs() < 1e-6, "{}", slice.rate);
        for strike in [3000.0, 3200.0, 3234.0, 3400.0] {
            let truth = SMILE.volatility(libm::log(strike / 3234.0), 0.2);
            assert!((slice.volatility(strike) - truth).abs() < 1e-5);
        }
    }

    #[test]
    fn premiums_in_coin_give_forward_and_smile_without_a_rate() {
        let mut coin = chain(Exercise::European, None);
        // Undiscounted, over the forward.
        let per_coin = libm::exp(0.0155 * 0.2) / 3234.0;
        for quote in &mut coin.quotes {
            (quote.bid, quote.ask) = (quote.bid * per_coin, quote.ask * per_coin);
        }
        coin.premium = Premium::Coin;
        let slice = coin.fit(None).unwrap();
        assert!((slice.forward - 3234.0).abs() < 1e-6, "{}", slice.forward);
        assert_eq!(slice.rate, 0.0);
        let truth = SMILE.volatility(libm::log(3200.0 / 3234.0), 0.2);
        assert!((slice.volatility(3200.0) - truth).abs() < 1e-5, "{}", slice.volatility(3200.0));
        assert!(slice.left_out.is_empty());
    }

    #[test]
    fn american_quotes_are_repriced_as_american() {
        let chain = chain(Exercise::AmericanOnFuture, Some(3234.0));
        let slice = chain.fit(None).unwrap();
        assert!((slice.rate - 0.0155).abs() < 5e-4, "{}", slice.rate);
        assert!(slice.left_out.is_empty());
        for quote in &chain.quotes {
            let price = slice.price(quote.strike, quote.option_type).unwrap();
            assert!((price - quote.mid()).abs() < 0.05, "{quote:?} {price}");
        }
    }

    #[test]
    fn a_quote_that_says_nothing_is_left_out_with_its_reason() {
        let mut chain = chain(Exercise::European, Some(3234.0));
        let good = chain.quotes[0];
        chain.quotes.push(OptionQuote { bid: 5.0, ask: 4.0, ..good });
        chain.quotes.push(OptionQuote { bid: 0.0, ..good });
        chain.quotes.push(OptionQuote { bid: 1.0, ask: 9.0, ..good });
        chain.quotes.push(OptionQuote { bid: 100.0, ask: 101.0, ..good });
        let slice = chain.fit(None).unwrap();
        let reasons: Vec<LeftOut> = slice.left_out.iter().map(|(_, reason)| *reason).collect();
        assert_eq!(reasons[..3], [LeftOut::NotTwoSided, LeftOut::NotTwoSided, LeftOut::TooWide]);
        assert!(matches!(reasons[3], LeftOut::NoVolatility(NoVolatility::AtIntrinsic { .. })));
    }

    #[test]
    fn without_future_or_pair_there_is_no_forward() {
        let mut chain = chain(Exercise::European, None);
        chain.quotes.retain(|quote| quote.option_type == OptionType::Call);
        assert_eq!(chain.fit(None), Err(SurfaceError::NoForward));
        chain.future = Some(3234.0);
        assert!(chain.fit(None).is_ok());
    }

    #[test]
    fn expiries_must_be_in_order() {
        let chain = chain(Exercise::European, None);
        let slices = fit_surface(&[chain.clone(), chain.clone()]);
        assert!(slices[0].is_ok());
        assert_eq!(slices[1], Err(SurfaceError::NotInOrder { years: 0.2 }));
        let empty = Chain { years: 0.1, quotes: Vec::new(), ..chain.clone() };
        let slices = fit_surface(&[empty, chain]);
        assert!(slices[0].is_err() && slices[1].is_ok());
    }
}
