//! What to quote: from net inventory, volatility and time left to a half-spread on each side.
//!
//! Fed by the estimates (volatility, fair value), the account (net inventory) and `calibration`
//! (coefficients); feeds the ladder, which makes orders of it. Maker's thread, on every whole
//! market message: no floating point, panic or allocation; 20 to 45 ns a quote, the least of 15
//! runs of a million on a busy two-core host. A [`Quoter`] is plain `Copy` data that travels as a
//! journaled parameter. Deliberately absent: how coefficients are made, fair value itself, and
//! limits.

pub mod avellaneda_stoikov;
pub mod encoding;
pub mod glft;
pub mod glft_exact;
pub mod holdings;
pub mod horizon;
pub mod ladder;
pub mod multi_asset;
pub mod obligation;
pub mod option_skew;
pub mod requote;
pub mod weighted_mid;

pub use avellaneda_stoikov::AvellanedaStoikov;
pub use glft::Glft;
pub use glft_exact::GlftTable;
pub use horizon::{Horizons, Session};
pub use ladder::{Ladder, LadderShape, Level, Touch};
pub use multi_asset::MultiAsset;

use crate::estimate::volatility::Sigma;
use crate::fixed::{Fixed, Scaled};
use crate::units::{Lots, SubTicks};
use avellaneda_stoikov::Horizon;

/// A model, by the name that configs and commands use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Model {
    /// GLFT's half-spread at no inventory, and no skew: the baseline.
    Symmetric,
    /// Avellaneda & Stoikov up to a fixed end: the horizon is the time left.
    AvellanedaStoikovFinite,
    /// Avellaneda & Stoikov with a horizon that rolls along.
    AvellanedaStoikovRolling,
    /// Avellaneda & Stoikov as their tables have it: reservation price by the time left, spread
    /// constant.
    AvellanedaStoikovConstantSpread,
    /// Guéant, Lehalle & Fernandez-Tapia's closed form, ξ = γ.
    Glft,
    /// The same with ξ → 0.
    GlftRiskNeutral,
    /// The same authors' exact stationary solution, as a table by inventory.
    GlftExact,
}

impl Model {
    /// All of them, in the order in which help texts list them.
    pub const ALL: [Model; 7] = [
        Model::Symmetric,
        Model::AvellanedaStoikovFinite,
        Model::AvellanedaStoikovRolling,
        Model::AvellanedaStoikovConstantSpread,
        Model::Glft,
        Model::GlftRiskNeutral,
        Model::GlftExact,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Model::Symmetric => "symmetric",
            Model::AvellanedaStoikovFinite => "avellaneda_stoikov_finite",
            Model::AvellanedaStoikovRolling => "avellaneda_stoikov",
            Model::AvellanedaStoikovConstantSpread => "avellaneda_stoikov_constant_spread",
            Model::Glft => "glft",
            Model::GlftRiskNeutral => "glft_risk_neutral",
            Model::GlftExact => "glft_exact",
        }
    }

    /// Whether it counts down to an end, which somebody must then say.
    pub const fn has_end(self) -> bool {
        matches!(self, Model::AvellanedaStoikovFinite | Model::AvellanedaStoikovConstantSpread)
    }

    /// The model of that name.
    pub fn named(name: &str) -> Option<Model> {
        Model::ALL.into_iter().find(|model| model.name() == name)
    }
}

impl From<Sigma> for Scaled {
    fn from(sigma: Sigma) -> Scaled {
        Scaled::new(i128::from(sigma.0), 32)
    }
}

/// How far from the fair value each side is quoted: `bid = fair − bid`, `ask = fair + ask`. `None`
/// where the model quotes nothing on that side. May be negative: a large inventory is worth paying
/// to be rid of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct HalfSpreads {
    /// Fair value minus bid.
    pub bid: Option<SubTicks>,
    /// Ask minus fair value.
    pub ask: Option<SubTicks>,
}

impl HalfSpreads {
    /// The spread so many thousandths (≥ 1000) as wide around the same centre: a skewed side, which may
    /// stand beyond the fair value, moves away from the market as well. A side alone moves by its own.
    pub fn widened(self, permille: u32) -> HalfSpreads {
        let more = i128::from(permille.saturating_sub(1000));
        let grown = |width: i64, parts: i128| {
            let by = i128::from(width.max(0)) * more / parts;
            SubTicks(i64::try_from(by).unwrap_or(i64::MAX))
        };
        let wider = |half: SubTicks, by: SubTicks| half.saturating_add(by);
        match (self.bid, self.ask) {
            (Some(bid), Some(ask)) => {
                let by = grown(bid.0.saturating_add(ask.0), 2_000);
                HalfSpreads { bid: Some(wider(bid, by)), ask: Some(wider(ask, by)) }
            }
            (bid, ask) => {
                let alone = |half: SubTicks| wider(half, grown(half.0, 1_000));
                HalfSpreads { bid: bid.map(alone), ask: ask.map(alone) }
            }
        }
    }
}

/// The same before it is rounded to 2^-32 tick; what `ballast model` prints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WideHalfSpreads {
    /// Fair value minus bid.
    pub bid: Option<Fixed>,
    /// Ask minus fair value.
    pub ask: Option<Fixed>,
}

impl WideHalfSpreads {
    /// A half-spread and a skew, which moves both quotes down for a long inventory.
    pub fn skewed(half: Fixed, skew: Fixed) -> WideHalfSpreads {
        WideHalfSpreads { bid: Some(half.plus(skew)), ask: Some(half.minus(skew)) }
    }

    /// Each side at the nearest 2^-32 tick.
    pub fn nearest(self) -> HalfSpreads {
        HalfSpreads {
            bid: self.bid.map(Fixed::nearest_sub_ticks),
            ask: self.ask.map(Fixed::nearest_sub_ticks),
        }
    }
}

/// A model with its coefficients, as `calibration` made them.
// The table is a kilobyte and the closed forms are not: a box would have to be freed on the hot
// path when parameters change, so the size is paid instead.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Quoter {
    /// [`Model::Symmetric`].
    Symmetric(Glft),
    /// The three of Avellaneda & Stoikov.
    AvellanedaStoikov(AvellanedaStoikov),
    /// [`Model::Glft`] and [`Model::GlftRiskNeutral`], drift and adverse selection included.
    Glft(Glft),
    /// [`Model::GlftExact`].
    GlftExact(GlftTable),
}

impl Quoter {
    /// Whether it counts down to an end: without one there is no skew.
    pub const fn has_end(&self) -> bool {
        match self {
            Quoter::AvellanedaStoikov(model) => match model.horizon {
                Horizon::Finite | Horizon::ConstantSpread => true,
                Horizon::Rolling { .. } => false,
            },
            Quoter::Symmetric(_) | Quoter::Glft(_) | Quoter::GlftExact(_) => false,
        }
    }

    /// The half-spreads at `inventory` (net inventory minus target, in lots of the quoted
    /// instrument), at the volatility `sigma` (ticks per √s), with `time_left` seconds to the end
    /// (used by the finite-horizon models alone).
    pub fn half_spreads(&self, inventory: Lots, sigma: Scaled, time_left: Scaled) -> HalfSpreads {
        self.wide(inventory, sigma, time_left).nearest()
    }

    /// The same with all the digits there are.
    pub fn wide(&self, inventory: Lots, sigma: Scaled, time_left: Scaled) -> WideHalfSpreads {
        match self {
            Quoter::Symmetric(glft) => glft.symmetric(sigma),
            Quoter::AvellanedaStoikov(model) => model.wide(inventory, sigma, time_left),
            Quoter::Glft(glft) => glft.wide(inventory, sigma),
            Quoter::GlftExact(table) => table.wide(inventory, sigma),
        }
    }

    /// How far the centre of the two quotes lies below the fair value: the reservation price is
    /// `fair − skew`. 0 where only one side is quoted.
    pub fn skew(&self, inventory: Lots, sigma: Scaled, time_left: Scaled) -> SubTicks {
        let wide = self.wide(inventory, sigma, time_left);
        match (wide.bid, wide.ask) {
            (Some(bid), Some(ask)) => bid.minus(ask).half().nearest_sub_ticks(),
            (Some(_), None) | (None, Some(_)) | (None, None) => SubTicks(0),
        }
    }
}
