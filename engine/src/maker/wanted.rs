//! What one instrument's quotes should be, kept for as long as nothing that it comes from has changed.
//!
//! Fed by `quoting.rs` with the terms of every whole market message; feeds the diff against working
//! orders. Maker thread, hot: most messages move neither the account, σ, the touch nor any order, and
//! then a few compares are all that a quote costs. Half-spreads and caps come from net delta, position,
//! σ and the deltas that share its risk; the ladder from those, the fair value and the touch; what is to be sent from the ladder and
//! the orders. Each step is a function of the one before and is taken again when that changed, so that
//! what is kept is what would come out anew. Deliberately absent: any time in the key. What depends on
//! time is not kept, and timers and operators make everything forget.

use crate::estimate::volatility::Sigma;
use crate::market::book::Level;
use crate::quote::HalfSpreads;
use crate::quote::ladder::{Caps, Ladder, LadderShape, Terms};
use crate::risk::limits::InstrumentLimits;
use crate::units::{Exposure, Lots, Side};

/// What half-spreads and caps come from, beside the config.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub(super) struct Basis {
    /// Net delta of the underlying.
    pub delta: Exposure,
    /// Exposure of one lot.
    pub per_lot: Exposure,
    /// Position of the instrument.
    pub position: Lots,
    /// Volatility.
    pub sigma: Sigma,
    /// Of the net deltas of whoever shares its risk.
    pub revision: u32,
    /// Lots that there is cash for; `None` where nobody keeps that.
    pub cash: Option<Lots>,
}

/// What comes of a [`Basis`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub(super) struct Standing {
    /// The model's half-spreads, not widened yet.
    pub half: HalfSpreads,
    /// How much each side may hold.
    pub caps: Caps,
}

/// The quotes that one instrument should have.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub(super) struct Wanted {
    standing: Option<(Basis, Standing)>,
    /// Of which terms `ladder` is; `None` where nothing is to be quoted.
    terms: Option<Terms>,
    is_known: bool,
    ladder: Ladder,
    /// No order had to be sent for `ladder` when the maker had seen so many changes.
    settled: Option<u64>,
}

impl Wanted {
    /// Nothing known yet.
    pub fn new() -> Wanted {
        Wanted {
            standing: None,
            terms: None,
            is_known: false,
            ladder: Ladder::EMPTY,
            settled: None,
        }
    }

    /// Something may have changed that is in no key: limits, the model, the ladder's shape.
    pub fn forget(&mut self) {
        self.standing = None;
        self.is_known = false;
        self.settled = None;
    }

    /// What came of this basis, if it is the last one.
    pub fn standing(&self, basis: &Basis) -> Option<Standing> {
        self.standing.filter(|(of, _)| of == basis).map(|(_, standing)| standing)
    }

    /// Keeps what came of a basis.
    pub fn keep(&mut self, basis: Basis, standing: Standing) {
        self.standing = Some((basis, standing));
    }

    /// The ladder becomes that of `terms`, no order of it beyond `limits`; without terms or shape there is none.
    #[inline]
    pub fn set(
        &mut self,
        terms: Option<&Terms>,
        shape: Option<&LadderShape>,
        limits: &InstrumentLimits,
    ) {
        if self.is_known && self.terms.as_ref() == terms {
            return;
        }
        self.is_known = true;
        self.settled = None;
        self.terms = terms.copied();
        match terms.zip(shape) {
            Some((terms, shape)) => {
                shape.write(&mut self.ladder, terms, |price, size| limits.within(price, size));
            }
            None => self.ladder.clear(),
        }
    }

    /// No order has to be sent for it: none had to be, and since then nothing changed.
    pub fn is_settled(&self, changes: u64) -> bool {
        self.settled == Some(changes)
    }

    /// Whether any order had to be sent for it, as of so many changes.
    pub fn settle(&mut self, is_settled: bool, changes: u64) {
        self.settled = is_settled.then_some(changes);
    }

    /// A level, counted from the touch; `None` where none is wanted.
    pub fn level(&self, side: Side, level: usize) -> Option<Level> {
        self.ladder.side(side).get(level).copied()
    }

    /// How many levels are wanted on a side.
    pub fn levels(&self, side: Side) -> usize {
        self.ladder.side(side).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quote::ladder::{LadderConfig, SizeProfile, Spacing, Touch};
    use crate::risk::collar::Collar;
    use crate::risk::limits::ValueLimit;
    use crate::risk::window::WindowLimit;
    use crate::units::{FeeRate, SubTicks, Ticks};

    const WIDE: InstrumentLimits = InstrumentLimits {
        order_size_max: Lots(i64::MAX),
        order_value_max: ValueLimit::TickLots(i128::MAX),
        position_max: Lots(i64::MAX),
        collar: Collar { width: Ticks(i64::MAX) },
        executions: WindowLimit { max: 1, window_ns: 1 },
        duplicates: WindowLimit { max: 1, window_ns: 1 },
    };

    fn shape(edge_min: i64) -> LadderShape {
        let config = LadderConfig {
            levels: 2,
            sizes: SizeProfile::Equal(Lots(3)),
            spacing: Spacing::Even(SubTicks::ONE),
            size_min: Lots(1),
            edge_min: SubTicks(edge_min),
            maker_fee: FeeRate(0),
            is_post_only: false,
        };
        LadderShape::new(config).unwrap()
    }

    fn terms(fair: i64) -> Terms {
        let half = Some(SubTicks::ONE);
        Terms {
            fair: SubTicks::from_ticks(Ticks(fair)),
            half: HalfSpreads { bid: half, ask: half },
            others: Touch::default(),
            caps: Caps { bid: Lots(9), ask: Lots(3) },
            joins: None,
        }
    }

    #[test]
    fn a_ladder_is_that_of_its_terms_whatever_was_there_before() {
        let mut wanted = Wanted::new();
        for fair in [100, 300, 200, 200] {
            wanted.set(Some(&terms(fair)), Some(&shape(0)), &WIDE);
            assert_eq!(wanted.level(Side::Buy, 1).map(|level| level.price), Some(Ticks(fair - 2)));
            assert_eq!((wanted.levels(Side::Buy), wanted.levels(Side::Sell)), (2, 1));
        }
        wanted.set(None, Some(&shape(0)), &WIDE);
        assert_eq!((wanted.levels(Side::Buy), wanted.level(Side::Sell, 0)), (0, None));
    }

    #[test]
    fn no_order_is_larger_than_the_limits_let_it_be() {
        let mut wanted = Wanted::new();
        let sizes =
            |wanted: &Wanted| [0, 1].map(|level| wanted.level(Side::Buy, level).map(|l| l.size.0));
        let of_size = |max| InstrumentLimits { order_size_max: Lots(max), ..WIDE };
        let worth = |max| InstrumentLimits { order_value_max: ValueLimit::TickLots(max), ..WIDE };
        for (limits, left) in [
            (of_size(3), [Some(3), Some(3)]),
            (of_size(2), [Some(2), Some(2)]),
            (of_size(0), [None, None]),
            // The bids are at 99 and 98.
            (worth(3 * 99), [Some(3), Some(3)]),
            (worth(3 * 99 - 1), [Some(2), Some(3)]),
            (worth(98), [None, None]),
        ] {
            wanted.forget();
            wanted.set(Some(&terms(100)), Some(&shape(0)), &limits);
            assert_eq!(sizes(&wanted), left, "{limits:?}");
        }
    }

    #[test]
    fn what_is_in_no_key_takes_effect_once_it_is_forgotten() {
        let mut wanted = Wanted::new();
        let best = |wanted: &Wanted| wanted.level(Side::Buy, 0).unwrap().price;
        wanted.set(Some(&terms(100)), Some(&shape(0)), &WIDE);
        let wide = shape(5 * SubTicks::ONE.0);
        wanted.set(Some(&terms(100)), Some(&wide), &WIDE);
        assert_eq!(best(&wanted), Ticks(99), "the same terms are not worked out twice");
        wanted.forget();
        wanted.set(Some(&terms(100)), Some(&wide), &WIDE);
        assert_eq!(best(&wanted), Ticks(95));
    }

    #[test]
    fn it_is_settled_until_it_or_anything_else_changes() {
        let mut wanted = Wanted::new();
        wanted.set(Some(&terms(100)), Some(&shape(0)), &WIDE);
        assert!(!wanted.is_settled(7));
        wanted.settle(true, 7);
        wanted.set(Some(&terms(100)), Some(&shape(0)), &WIDE);
        assert!(wanted.is_settled(7));
        assert!(!wanted.is_settled(8));
        wanted.set(Some(&terms(101)), Some(&shape(0)), &WIDE);
        assert!(!wanted.is_settled(7));
        wanted.settle(true, 7);
        wanted.settle(false, 7);
        assert!(!wanted.is_settled(7));
    }
}
