//! Parameters → quantised coefficients. The only place with floating point.
//!
//! Fed by the config and by what estimates have gathered; feeds the maker with [`Quoter`] values, Greeks,
//! covariances and views of the collateral, journaled as what they are. Its own thread, off the hot path; may allocate. IEEE basics and `libm`
//! alone, in a fixed order, so that every machine makes the same coefficients. Deliberately absent:
//! anything that the maker calls (a tidy test forbids the hot modules to import this one).
//!
//! Results must be within 1e-9 of the formulas whatever the magnitudes, also where large terms
//! cancel and where a correlation matrix is singular. So the arithmetic is [`Real`]: pairs of
//! doubles, some 31 digits.
#![allow(clippy::float_arithmetic, clippy::cast_possible_truncation, clippy::indexing_slicing)]

pub mod book_states;
pub mod closed_form;
pub mod covariance;
pub mod dealer_intensity;
pub mod hedge_ratios;
pub mod hedge_table;
pub mod intensity;
pub mod internalise_or_hedge;
pub mod linear;
mod liquidation;
pub mod microprice;
pub mod multi_asset;
pub mod options;
pub mod order_flow;
pub mod real;
pub mod realised;
pub mod spectral;
pub mod stress;

pub use real::Real;

use crate::quote::avellaneda_stoikov::Horizon;
use crate::quote::{Model, Quoter};
use crate::units::Decimal;
use thiserror::Error;

/// Why no coefficients were made.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum CalibrationError {
    /// A parameter that divides or is taken a logarithm of.
    #[error("{key} is {value}; it must be greater than zero")]
    NotPositive {
        /// Which parameter.
        key: &'static str,
        /// What it was.
        value: f64,
    },
    /// A parameter that a root is taken of, or a count.
    #[error("{key} is {value}; it must not be negative")]
    Negative {
        /// Which parameter.
        key: &'static str,
        /// What it was.
        value: f64,
    },
    /// A number outside what the model is made for.
    #[error("{key} is {value}; it must lie between {min} and {max}")]
    OutOfRange {
        /// Which parameter.
        key: &'static str,
        /// What it was.
        value: f64,
        /// Least.
        min: f64,
        /// Most.
        max: f64,
    },
    /// Lists or matrices whose sizes do not agree.
    #[error("{key} has {found} entries where {expected} are expected")]
    Shape {
        /// Which parameter.
        key: &'static str,
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// An equation solved in time that has no end in sight.
    #[error(
        "the hedging equation did not settle in {steps} steps; use a coarser grid or a lower gamma"
    )]
    NotSettled {
        /// How many were taken.
        steps: u32,
    },
    /// A system of equations without a unique solution.
    #[error("{key} is singular: its equations have no unique solution")]
    Singular {
        /// Which matrix.
        key: &'static str,
    },
}

/// What the one-asset models are made from. Prices in ticks, times in seconds, sizes in one size
/// unit (usually the instrument's base unit), which `order_size`, `lot` and `gamma` share.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct QuoteParameters {
    /// Risk aversion γ, per tick and size unit.
    pub gamma: Real,
    /// Intensity A of fills at no distance, per second.
    pub intensity: Real,
    /// Decay k of the intensity, per tick.
    pub decay: Real,
    /// Order size Δ.
    pub order_size: Real,
    /// One lot in size units: inventories come in lots.
    pub lot: Real,
    /// Rolling horizon τ, in seconds ([`Model::AvellanedaStoikovRolling`]).
    pub horizon: Real,
    /// Drift μ, in ticks per second (the closed form).
    pub drift: Real,
    /// By how many ticks the price jumps against us with our own fill, ζ (the closed form).
    pub adverse_jump: Real,
    /// Volatility in ticks per √s that the table is made for ([`Model::GlftExact`]).
    pub sigma: Real,
    /// Inventory bound Q in order sizes ([`Model::GlftExact`]); at most 64.
    pub inventory_bound: u32,
}

impl QuoteParameters {
    /// Parameters with an order and a lot of one size unit, a horizon of 60 s, no drift and no
    /// jump, a volatility of 1 and a bound of 30.
    pub fn new(gamma: Real, intensity: Real, decay: Real) -> QuoteParameters {
        QuoteParameters {
            gamma,
            intensity,
            decay,
            order_size: Real::ONE,
            lot: Real::ONE,
            horizon: Real::from(60.0),
            drift: Real::ZERO,
            adverse_jump: Real::ZERO,
            sigma: Real::ONE,
            inventory_bound: 30,
        }
    }

    /// The same parameters given in quote currency instead of ticks: γ and k per unit of currency,
    /// μ, ζ and σ in it.
    pub fn from_currency(self, tick: Decimal) -> QuoteParameters {
        let tick = Real::from_decimal(tick);
        QuoteParameters {
            gamma: self.gamma * tick,
            decay: self.decay * tick,
            drift: self.drift / tick,
            adverse_jump: self.adverse_jump / tick,
            sigma: self.sigma / tick,
            ..self
        }
    }

    fn checked(&self) -> Result<(), CalibrationError> {
        positive("gamma", self.gamma)?;
        positive("intensity", self.intensity)?;
        positive("decay", self.decay)?;
        positive("order_size", self.order_size)?;
        positive("lot", self.lot)
    }
}

/// Makes the coefficients of `model`.
pub fn quoter(model: Model, parameters: &QuoteParameters) -> Result<Quoter, CalibrationError> {
    parameters.checked()?;
    let avellaneda_stoikov = |horizon| {
        closed_form::avellaneda_stoikov(parameters, horizon).map(Quoter::AvellanedaStoikov)
    };
    match model {
        Model::Symmetric => closed_form::glft(parameters, closed_form::Xi::Gamma)
            .map(|coefficients| Quoter::Symmetric(coefficients.quantised())),
        Model::Glft => closed_form::glft(parameters, closed_form::Xi::Gamma)
            .map(|coefficients| Quoter::Glft(coefficients.quantised())),
        Model::GlftRiskNeutral => closed_form::glft(parameters, closed_form::Xi::Zero)
            .map(|coefficients| Quoter::Glft(coefficients.quantised())),
        Model::AvellanedaStoikovFinite => avellaneda_stoikov(Horizon::Finite),
        Model::AvellanedaStoikovConstantSpread => avellaneda_stoikov(Horizon::ConstantSpread),
        Model::AvellanedaStoikovRolling => {
            not_negative("horizon", parameters.horizon)?;
            avellaneda_stoikov(Horizon::Rolling { seconds: parameters.horizon.scaled() })
        }
        Model::GlftExact => spectral::stationary_table(parameters).map(Quoter::GlftExact),
    }
}

/// An error unless `value > 0`.
fn positive(key: &'static str, value: Real) -> Result<(), CalibrationError> {
    if value.is_finite() && value > Real::ZERO {
        Ok(())
    } else {
        Err(CalibrationError::NotPositive { key, value: value.to_f64() })
    }
}

/// An error unless `value ≥ 0`.
fn not_negative(key: &'static str, value: Real) -> Result<(), CalibrationError> {
    if value.is_finite() && value >= Real::ZERO {
        Ok(())
    } else {
        Err(CalibrationError::Negative { key, value: value.to_f64() })
    }
}
