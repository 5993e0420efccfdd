//! Avellaneda & Stoikov (2008), in three variants by name.
//!
//! Fed by `calibration` (coefficients) and the maker (inventory, volatility, time left); feeds the
//! ladder. Maker's thread, hot. `r = s − q γ σ² τ`, total spread `γ σ² τ + (2/γ) ln(1 + γ/k)`, for
//! an order of one size unit; an order of Δ units is one unit of size Δ, whose γ is γΔ. Note σ²:
//! the Hummingbot reading with σ in its place is what this file is not.

use super::WideHalfSpreads;
use crate::fixed::{Fixed, Scaled};
use crate::units::Lots;

/// Which horizon and which spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Horizon {
    /// τ is the time left: skew and risk part of the spread fall to nothing at the end.
    Finite,
    /// τ is the same always.
    Rolling {
        /// Seconds.
        seconds: Scaled,
    },
    /// τ is the time left in the skew, and the spread is `(2/γ) ln(1 + γ/k)` throughout: the
    /// variant of the paper's tables.
    ConstantSpread,
}

/// The coefficients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct AvellanedaStoikov {
    /// `ln(1 + γΔ/k) / (γΔ)` ticks.
    pub base: Fixed,
    /// γ per tick and lot.
    pub gamma_per_lot: Scaled,
    /// γΔ/2 per tick.
    pub gamma_half_order: Scaled,
    /// The variant.
    pub horizon: Horizon,
}

impl AvellanedaStoikov {
    /// The half-spreads; see [`super::Quoter::half_spreads`].
    pub fn wide(&self, inventory: Lots, sigma: Scaled, time_left: Scaled) -> WideHalfSpreads {
        let variance = sigma.times(sigma);
        let (risk, spread_risk) = match self.horizon {
            Horizon::Finite => {
                let risk = variance.times(time_left);
                (risk, risk)
            }
            Horizon::Rolling { seconds } => {
                let risk = variance.times(seconds);
                (risk, risk)
            }
            Horizon::ConstantSpread => (variance.times(time_left), Scaled::ZERO),
        };
        let skew = self.gamma_per_lot.times(risk).of(inventory.0);
        let half = self.base.plus(self.gamma_half_order.times(spread_risk).fixed());
        WideHalfSpreads::skewed(half, skew)
    }
}
