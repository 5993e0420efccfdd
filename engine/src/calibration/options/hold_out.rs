//! How good a surface is: fitted on every other strike, does it reprice the others inside their
//! spread?
//!
//! Fed by chains; feeds reports and tests. Calibration thread. Deliberately absent: strikes beyond
//! those of the fit: outside its first and last strike a surface extrapolates, and a quote there is
//! counted like any other.

use super::OptionsError;
use super::surface::{Chain, OptionQuote, Slice, SurfaceError};

/// Widest spread of a liquid quote, as a part of its mid.
pub const LIQUID_SPREAD_MAX: f64 = 0.10;
/// Smallest and largest absolute delta of a liquid quote.
pub const LIQUID_DELTA: (f64, f64) = (0.05, 0.95);

/// What was held out and how much of it was met.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HoldOut {
    /// Liquid quotes of the strikes that the fit did not see.
    pub liquid: u64,
    /// Of these, repriced within bid and ask.
    pub inside: u64,
}

impl HoldOut {
    /// The share repriced inside the spread; `None` where nothing was liquid.
    pub fn share(&self) -> Option<f64> {
        (self.liquid > 0).then(|| self.inside as f64 / self.liquid as f64)
    }

    /// Both counts together.
    pub fn plus(self, other: HoldOut) -> HoldOut {
        HoldOut { liquid: self.liquid + other.liquid, inside: self.inside + other.inside }
    }
}

/// Fits the strikes number 0, 2, 4 … (or 1, 3, 5 … where `odd`) and reprices the others.
///
/// # Errors
/// A chain whose half has no slice.
pub fn hold_out(
    chain: &Chain,
    odd: bool,
    earlier: Option<&Slice>,
) -> Result<(Slice, HoldOut), SurfaceError> {
    let mut strikes: Vec<f64> = chain.quotes.iter().map(|quote| quote.strike).collect();
    strikes.sort_by(f64::total_cmp);
    strikes.dedup();
    let is_fitted = |quote: &OptionQuote| {
        let number = strikes.partition_point(|strike| *strike < quote.strike);
        (number % 2 == 1) == odd
    };
    let (fitted, held): (Vec<OptionQuote>, Vec<OptionQuote>) =
        chain.quotes.iter().partition(|quote| is_fitted(quote));
    let slice = Chain { quotes: fitted, ..chain.clone() }.fit(earlier)?;
    let mut found = HoldOut::default();
    for quote in &held {
        if is_liquid(quote, &slice)? {
            let price = slice.price(quote.strike, quote.option_type)?;
            found.liquid += 1;
            found.inside += u64::from(quote.bid <= price && price <= quote.ask);
        }
    }
    Ok((slice, found))
}

/// Two-sided, spread at most a tenth of the mid, absolute delta (the slice's) in .05 to .95.
pub fn is_liquid(quote: &OptionQuote, slice: &Slice) -> Result<bool, OptionsError> {
    if !quote.is_two_sided() || quote.ask - quote.bid > LIQUID_SPREAD_MAX * quote.mid() {
        return Ok(false);
    }
    let delta = slice.black76(quote.strike, quote.option_type).greeks()?.delta.abs();
    Ok(delta >= LIQUID_DELTA.0 && delta <= LIQUID_DELTA.1)
}
