//! Guéant, Lehalle & Fernandez-Tapia (2013), closed form, with drift and adverse selection.
//!
//! Fed by `calibration` (coefficients) and the maker (inventory, volatility); feeds the ladder.
//! Maker's thread, hot: two products where there is no drift. `δ = c1 + Δ σ c2 / 2 ± q σ c2`, with
//! σ live and c1, c2 calibrated; a drift μ shifts the inventory by `−μ/(γσ²)`; a price that jumps
//! by ζ with our own fills adds ζ/2 and multiplies c2 by `e^(kζ/4)`, both within the coefficients.

use super::WideHalfSpreads;
use crate::fixed::{Fixed, Scaled};
use crate::units::Lots;

/// The coefficients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Glft {
    /// c1 (+ ζ/2), in ticks.
    pub base: Fixed,
    /// Δ c2 / 2: ticks of half-spread per unit of volatility.
    pub half_order: Scaled,
    /// c2 × the size of a lot: ticks of skew per lot and unit of volatility.
    pub per_lot: Scaled,
    /// μ c2 / γ: divided by σ it is the drift's skew, toward where the price goes.
    pub drift: Scaled,
}

impl Glft {
    /// The half-spreads; see [`super::Quoter::half_spreads`].
    pub fn wide(&self, inventory: Lots, sigma: Scaled) -> WideHalfSpreads {
        let half = self.base.plus(self.half_order.times(sigma).fixed());
        let skew = self.per_lot.times(sigma).of(inventory.0);
        // The quotient costs more than all the rest; without a drift nobody pays for it.
        let skew =
            if self.drift.is_zero() { skew } else { skew.minus(self.drift.over(sigma).fixed()) };
        WideHalfSpreads::skewed(half, skew)
    }

    /// The half-spread at no inventory on both sides, whatever the inventory.
    pub fn symmetric(&self, sigma: Scaled) -> WideHalfSpreads {
        let half = self.base.plus(self.half_order.times(sigma).fixed());
        WideHalfSpreads::skewed(half, Fixed(0))
    }
}
