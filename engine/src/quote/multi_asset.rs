//! GLFT for several correlated assets: the quote of one of them by the inventories of all.
//!
//! Fed by `calibration::multi_asset` (coefficients) and the maker (inventories, volatility); feeds
//! the ladder. Maker's thread, hot: one product an asset. `δ_i = c1_i + z_i G_ii / 2 ± (G q)_i`
//! (Bergault, Evangelista, Guéant & Vieira 2018; Guéant 2017). G grows in proportion to all
//! volatilities together: between calibrations it is scaled by the quoted asset's own volatility
//! against that of the calibration, exact where the assets' volatilities keep their ratios.

use super::WideHalfSpreads;
use crate::event::InstrumentId;
use crate::fixed::{Fixed, Scaled};
use crate::units::Lots;

/// Most assets that one quote looks at.
pub const ASSETS_MAX: usize = 8;

/// The coefficients of one asset's quote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct MultiAsset {
    /// c1 of the quoted asset, in its ticks.
    pub base: Fixed,
    /// z G / 2 of the quoted asset, in its ticks at the volatility of the calibration.
    pub half_order: Scaled,
    /// 1 / the quoted asset's volatility at the calibration.
    pub sigma_inverse: Scaled,
    /// Row of G times the lot of each asset: ticks of skew per lot held; 0 beyond the last asset.
    pub per_lot: [Scaled; ASSETS_MAX],
}

/// What of a member's coefficients a new covariance changes, as it travels: small enough for a ring's
/// slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SkewRow {
    /// Whose.
    pub instrument: InstrumentId,
    /// Of `half_order`, `sigma_inverse`, and `per_lot` in its order.
    pub mantissas: [i64; ASSETS_MAX + 2],
    /// Likewise.
    pub shifts: [i16; ASSETS_MAX + 2],
}

impl SkewRow {
    /// Of these coefficients; `None` where one is of a magnitude that no price has.
    pub fn of(instrument: InstrumentId, quoter: &MultiAsset) -> Option<SkewRow> {
        let mut row =
            SkewRow { instrument, mantissas: [0; ASSETS_MAX + 2], shifts: [0; ASSETS_MAX + 2] };
        let numbers = [quoter.half_order, quoter.sigma_inverse].into_iter().chain(quoter.per_lot);
        let places = row.mantissas.iter_mut().zip(&mut row.shifts);
        for (number, (mantissa, shift)) in numbers.zip(places) {
            let parts = number.parts();
            *mantissa = parts.0;
            *shift = i16::try_from(parts.1).ok()?;
        }
        Some(row)
    }
}

impl MultiAsset {
    /// The same with a row of a new covariance; `None` where it is none.
    pub fn with(&self, row: &SkewRow) -> Option<MultiAsset> {
        let mut quoter = *self;
        let [half_order, sigma_inverse] = [&mut quoter.half_order, &mut quoter.sigma_inverse];
        let places = [half_order, sigma_inverse].into_iter().chain(&mut quoter.per_lot);
        let parts = row.mantissas.iter().zip(&row.shifts);
        for (place, (mantissa, shift)) in places.zip(parts) {
            *place = Scaled::from_parts(*mantissa, i32::from(*shift))?;
        }
        Some(quoter)
    }

    /// The half-spreads at the assets' net inventories less their targets, each in its own lots and
    /// in the order of the calibration, and the quoted asset's volatility.
    pub fn wide(&self, inventories: &[Lots], sigma: Scaled) -> WideHalfSpreads {
        let scale = sigma.times(self.sigma_inverse);
        let half = self.base.plus(self.half_order.times(scale).fixed());
        let skew = self
            .per_lot
            .iter()
            .zip(inventories)
            .fold(Fixed(0), |sum, (row, held)| sum.plus(row.times(scale).of(held.0)));
        WideHalfSpreads::skewed(half, skew)
    }
}
