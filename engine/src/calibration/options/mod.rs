//! What an option is worth and how that moves: European Black-76 and Black–Scholes–Merton,
//! coin-settled inverse options and futures, American options by Barone-Adesi–Whaley; and the
//! volatility surface that quotes imply.
//!
//! Fed by the calibration thread (quotes, forwards, rates) and by `ballast greeks`; feeds the
//! quantised Greeks that the hot path uses. Calibration thread only. Deliberately absent: any
//! state, any clock, and any rounding: quantising is the business of whoever emits `Parameters`.
//!
//! Units everywhere: prices in the currency that they are quoted in, time in years, volatility
//! annual (0.45 is 45 %), rates continuously compounded a year; vega per 1.00 of volatility, theta
//! per year, rho per 1.00 of rate.

pub mod american;
pub mod black76;
pub mod black_scholes;
pub mod inverse;
pub mod normal;

// From quotes to a surface.
pub mod fit;
pub mod hold_out;
pub mod implied;
pub mod least_squares;
pub mod parity;
pub mod quantise;
pub mod scenario;
pub mod surface;
pub mod svi;

pub use american::American;
pub use black_scholes::BlackScholes;
pub use black76::Black76;
pub use inverse::{HedgeContracts, InverseFuture, InverseOption};

pub use crate::option_terms::OptionType;

use thiserror::Error;

impl OptionType {
    /// +1 for a call, −1 for a put: the `cp` of the formulas.
    pub const fn sign(self) -> f64 {
        match self {
            OptionType::Call => 1.0,
            OptionType::Put => -1.0,
        }
    }
}

/// Price and sensitivities of one option on one unit of its underlying.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Greeks {
    /// Distance of the forward above the strike, in standard deviations, under the share measure.
    pub d1: f64,
    /// The same under the money measure: `d1 − σ√T`.
    pub d2: f64,
    /// Present value.
    pub price: f64,
    /// Per 1.00 of the underlying (Black-76: of the forward).
    pub delta: f64,
    /// Delta per 1.00 of the underlying.
    pub gamma: f64,
    /// Per 1.00 of volatility.
    pub vega: f64,
    /// Per year that passes, all else held: negative where time costs.
    pub theta: f64,
    /// Per 1.00 of the rate. Black-76 holds the forward, Black–Scholes the spot.
    pub rho: f64,
    /// Delta per 1.00 of volatility.
    pub vanna: f64,
    /// Vega per 1.00 of volatility.
    pub volga: f64,
}

/// Why an option was not valued.
#[derive(Clone, Copy, PartialEq, Debug, Error)]
pub enum OptionsError {
    /// A price, strike, time or volatility is zero or negative.
    #[error("{name} is {value}; it must be greater than zero")]
    NotPositive {
        /// Which parameter.
        name: &'static str,
        /// What it was.
        value: f64,
    },
    /// A parameter is not a finite number.
    #[error("{name} is not a finite number")]
    NotFinite {
        /// Which parameter.
        name: &'static str,
    },
    /// The parameters are each legal but together leave the range of 64-bit floating point.
    #[error("{name} leaves the range of numbers; the parameters are too extreme together")]
    OutOfRange {
        /// Which answer.
        name: &'static str,
    },
    /// Early exercise would have two boundaries, which the approximation does not cover.
    #[error(
        "with r {r} and q {q} early exercise has two boundaries; Barone-Adesi–Whaley covers a put \
         only with r > 0 (or r <= 0 <= and q >= r) and a call only with q > 0 (or q <= 0 and r >= q)"
    )]
    TwoBoundaries {
        /// The rate.
        r: f64,
        /// The yield of the underlying.
        q: f64,
    },
}

/// `value`, where it is a finite number above zero.
pub(super) fn positive(name: &'static str, value: f64) -> Result<f64, OptionsError> {
    let value = finite(name, value)?;
    if value > 0.0 { Ok(value) } else { Err(OptionsError::NotPositive { name, value }) }
}

/// `value`, where it is a finite number.
pub(super) fn finite(name: &'static str, value: f64) -> Result<f64, OptionsError> {
    if value.is_finite() { Ok(value) } else { Err(OptionsError::NotFinite { name }) }
}

/// `answer`, where it is a finite number: the last check of every formula.
pub(super) fn in_range(name: &'static str, answer: f64) -> Result<f64, OptionsError> {
    if answer.is_finite() { Ok(answer) } else { Err(OptionsError::OutOfRange { name }) }
}

impl Greeks {
    /// These Greeks, where all of them are finite.
    pub(super) fn checked(self) -> Result<Greeks, OptionsError> {
        for (name, value) in [
            ("d1", self.d1),
            ("d2", self.d2),
            ("price", self.price),
            ("delta", self.delta),
            ("gamma", self.gamma),
            ("vega", self.vega),
            ("theta", self.theta),
            ("rho", self.rho),
            ("vanna", self.vanna),
            ("volga", self.volga),
        ] {
            in_range(name, value)?;
        }
        Ok(self)
    }
}
