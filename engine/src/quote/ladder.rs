//! From half-spreads to orders' prices and sizes: N levels a side, rounded away from the market.
//!
//! Fed by a quoter (half-spreads), the estimates (fair value), the book (touch) and the account
//! (how much a side may still hold); feeds the diff against working orders. Maker's thread, hot,
//! at most [`LEVELS_MAX`] turns a side. What holds of every ladder: a bid is rounded down and an
//! ask up; prices leave the market by at least a tick a level; no level pays less than the floor
//! (minimum edge plus maker fee) against the fair value, but for a side that joins the touch; our bids are below our asks; a post-only
//! ladder touches nobody's order; sizes never sum to more than their cap. Deliberately absent:
//! collars and what limits the whole (the gate's) and which side may be quoted at all (the state's).

use super::HalfSpreads;
use crate::coarse_step::CoarseStep;
use crate::fixed::Scaled;
pub use crate::market::book::Level;
use crate::units::{Decimal, FeeRate, Lots, Side, SubTicks, Ticks};
use thiserror::Error;

/// Most levels a side.
pub const LEVELS_MAX: usize = 20;

/// The best prices of others. `None` where a side is empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Touch {
    /// Best bid.
    pub bid: Option<Ticks>,
    /// Best ask.
    pub ask: Option<Ticks>,
}

/// How much the whole of each side may hold, for instance the coins available for sale.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Caps {
    /// Most lots on all bids.
    pub bid: Lots,
    /// Most lots on all asks.
    pub ask: Lots,
}

/// What a ladder comes from, beside its shape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Terms {
    /// Fair value.
    pub fair: SubTicks,
    /// Half-spreads as they are quoted.
    pub half: HalfSpreads,
    /// The best prices of others.
    pub others: Touch,
    /// How much each side may hold.
    pub caps: Caps,
    /// The side that stands at the touch, whatever is earned there.
    pub joins: Option<Side>,
}

/// One side's levels, best first.
#[derive(Clone, Copy, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Levels {
    levels: [Level; LEVELS_MAX],
    len: usize,
}

impl PartialEq for Levels {
    /// What lies beyond the last level is left from another ladder.
    fn eq(&self, other: &Levels) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Levels {}

/// Both sides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Ladder {
    /// What to bid.
    pub bids: Levels,
    /// What to offer.
    pub asks: Levels,
}

/// How sizes grow from level to level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SizeProfile {
    /// The same at each.
    Equal(Lots),
    /// `first`, then `step` more a level.
    Linear {
        /// Size of the innermost level.
        first: Lots,
        /// What each further level adds.
        step: Lots,
    },
    /// `first`, then `permille`/1000 times as much a level, rounded down.
    Geometric {
        /// Size of the innermost level.
        first: Lots,
        /// Growth a level in thousandths; 1000 is none.
        permille: u32,
    },
}

/// How levels are spaced beyond the innermost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spacing {
    /// The same distance between any two.
    Even(SubTicks),
    /// The first distance, then `permille`/1000 times as much a level.
    Geometric {
        /// From the innermost to the second level.
        first: SubTicks,
        /// Growth a level in thousandths; 1000 is none.
        permille: u32,
    },
}

/// The fixed part of a ladder, from the config.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct LadderShape {
    offsets: [SubTicks; LEVELS_MAX],
    sizes: [Lots; LEVELS_MAX],
    len: usize,
    size_min: Lots,
    edge_min: SubTicks,
    maker_fee: Scaled,
    is_post_only: bool,
    coarse_step: CoarseStep,
}

/// What the config says of a ladder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LadderConfig {
    /// Levels a side, 1 to [`LEVELS_MAX`].
    pub levels: usize,
    /// Sizes by level.
    pub sizes: SizeProfile,
    /// Distances between levels.
    pub spacing: Spacing,
    /// Smallest order that the venue takes; a level capped to less is left out.
    pub size_min: Lots,
    /// Least distance from the fair value after fees. Negative allows inventory to be sold below,
    /// or bought back above, the fair value.
    pub edge_min: SubTicks,
    /// The maker fee, which the floor adds to the edge; a rebate lowers it.
    pub maker_fee: FeeRate,
    /// Whether prices are held back from the touch.
    pub is_post_only: bool,
}

/// Why a ladder's config is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum LadderError {
    /// None, or more than there is room for.
    #[error("a ladder has 1 to {LEVELS_MAX} levels, not {0}")]
    Levels(usize),
    /// An order of nothing, or less.
    #[error("level {level} has size {lots} lots, below the smallest order of {size_min} lots")]
    Size {
        /// Counted from 0.
        level: usize,
        /// What the profile gives it.
        lots: i64,
        /// The smallest order.
        size_min: i64,
    },
    /// Levels must leave the market.
    #[error("the distance between levels must not be negative")]
    Spacing,
}

impl Levels {
    const EMPTY: Levels =
        Levels { levels: [Level { price: Ticks(0), size: Lots(0) }; LEVELS_MAX], len: 0 };

    /// The levels, best first.
    pub fn as_slice(&self) -> &[Level] {
        self.levels.get(..self.len).unwrap_or(&[])
    }
}

impl Ladder {
    /// No quotes.
    pub const EMPTY: Ladder = Ladder { bids: Levels::EMPTY, asks: Levels::EMPTY };

    /// No quotes again.
    pub fn clear(&mut self) {
        self.bids.len = 0;
        self.asks.len = 0;
    }

    /// One side's levels, best first.
    pub fn side(&self, side: Side) -> &[Level] {
        match side {
            Side::Buy => self.bids.as_slice(),
            Side::Sell => self.asks.as_slice(),
        }
    }
}

impl LadderShape {
    /// Every level gets this size; one below the venue's smallest order changes nothing.
    pub fn set_size(&mut self, size: Lots) {
        if size >= self.size_min && size.0 > 0 {
            self.sizes = [size; LEVELS_MAX];
        }
    }

    /// All levels of a side together.
    pub fn total(&self) -> Lots {
        let sizes = self.sizes.iter().take(self.len);
        Lots(sizes.fold(0i64, |sum, size| sum.saturating_add(size.0)))
    }

    /// Sets the least distance from the fair value after fees.
    pub fn set_edge_min(&mut self, edge_min: SubTicks) {
        self.edge_min = edge_min;
    }

    /// Prices are rounded outward to this grid.
    pub fn set_coarse_step(&mut self, coarse_step: CoarseStep) {
        self.coarse_step = coarse_step;
    }

    /// The floor counts this maker fee from now on.
    pub fn set_maker_fee(&mut self, rate: FeeRate) {
        self.maker_fee = Scaled::from_decimal(Decimal { mantissa: rate.0, scale: 9 });
    }

    /// Works out every level's size and offset.
    pub fn new(config: LadderConfig) -> Result<LadderShape, LadderError> {
        if !(1..=LEVELS_MAX).contains(&config.levels) {
            return Err(LadderError::Levels(config.levels));
        }
        let size_min = Lots(config.size_min.0.max(1));
        let mut shape = LadderShape {
            offsets: [SubTicks(0); LEVELS_MAX],
            sizes: [Lots(0); LEVELS_MAX],
            len: config.levels,
            size_min,
            edge_min: config.edge_min,
            maker_fee: Scaled::from_decimal(Decimal { mantissa: config.maker_fee.0, scale: 9 }),
            is_post_only: config.is_post_only,
            coarse_step: CoarseStep::NONE,
        };
        let (mut size, mut gap) = (first_size(config.sizes), first_gap(config.spacing));
        let mut offset = SubTicks(0);
        let places = shape.sizes.iter_mut().zip(shape.offsets.iter_mut()).take(config.levels);
        for (level, (size_place, offset_place)) in places.enumerate() {
            if size < size_min {
                return Err(LadderError::Size { level, lots: size.0, size_min: size_min.0 });
            }
            if gap.0 < 0 {
                return Err(LadderError::Spacing);
            }
            *size_place = size;
            *offset_place = offset;
            offset = offset.saturating_add(gap);
            size = next_size(config.sizes, size);
            gap = next_gap(config.spacing, gap);
        }
        Ok(shape)
    }

    /// The ladder around `fair`.
    pub fn ladder(&self, fair: SubTicks, half: HalfSpreads, touch: Touch, caps: Caps) -> Ladder {
        let mut ladder = Ladder::EMPTY;
        let terms = Terms { fair, half, others: touch, caps, joins: None };
        self.write(&mut ladder, &terms, |_, size| size);
        ladder
    }

    /// The same in the place of another ladder: it is half a kilobyte, and two levels of it are used. The
    /// side that joins has no floor: it stands where it was put, at what the market pays. No level is
    /// larger than what `within` leaves of it, which an operator may have lowered since the config was
    /// found good. Where that is less than the venue takes, neither that level stands nor what lies
    /// behind it.
    #[inline]
    pub fn write(&self, ladder: &mut Ladder, terms: &Terms, within: impl Fn(Ticks, Lots) -> Lots) {
        let &Terms { fair, half, others: touch, caps, joins } = terms;
        ladder.clear();
        let floor = self.floor(fair);
        let floored = |side: Side, half: SubTicks| {
            if joins == Some(side) { half } else { half.max(floor) }
        };
        let half = HalfSpreads {
            bid: half.bid.map(|half| floored(Side::Buy, half)),
            ask: half.ask.map(|half| floored(Side::Sell, half)),
        };
        let bid = half.bid.map(|half| fair.saturating_sub(half).floor());
        let ask = half.ask.map(|half| fair.saturating_add(half).ceil());
        let (bid, ask) = apart(bid, ask);
        let post_only = |limit: Option<Ticks>| limit.filter(|_| self.is_post_only);
        let bid = bid.map(|bid| match post_only(touch.ask) {
            Some(ask) => bid.min(Ticks(ask.0.saturating_sub(1))),
            None => bid,
        });
        let ask = ask.map(|ask| match post_only(touch.bid) {
            Some(bid) => ask.max(Ticks(bid.0.saturating_add(1))),
            None => ask,
        });
        if let (Some(best), Some(half)) = (bid, half.bid) {
            let price_at =
                |offset| fair.saturating_sub(half.saturating_add(offset)).floor().min(best);
            self.fill(&mut ladder.bids, caps.bid, Side::Buy, price_at, &within);
        }
        if let (Some(best), Some(half)) = (ask, half.ask) {
            let price_at =
                |offset| fair.saturating_add(half.saturating_add(offset)).ceil().max(best);
            self.fill(&mut ladder.asks, caps.ask, Side::Sell, price_at, &within);
        }
    }

    /// The least half-spread: minimum edge plus what the fee takes of a trade at `fair`, the fee
    /// rounded up.
    pub fn floor(&self, fair: SubTicks) -> SubTicks {
        if self.maker_fee.is_zero() {
            return self.edge_min;
        }
        let fee = self.maker_fee.of(fair.0.saturating_abs()).0;
        let fee = (fee >> 64).saturating_add(i128::from(fee.trailing_zeros() < 64));
        self.edge_min.saturating_add(SubTicks(i64::try_from(fee).unwrap_or(i64::MAX)))
    }

    /// Levels from the innermost outward, each at the model's price or a tick beyond the one before,
    /// whichever is further out, until `cap` is used up.
    #[inline(always)]
    fn fill(
        &self,
        levels: &mut Levels,
        cap: Lots,
        side: Side,
        price_at: impl Fn(SubTicks) -> Ticks,
        within: impl Fn(Ticks, Lots) -> Lots,
    ) {
        let (mut left, mut last) = (cap.0, None);
        let shape = self.offsets.iter().zip(&self.sizes).take(self.len);
        for (place, (offset, size)) in levels.levels.iter_mut().zip(shape) {
            let size = Lots(size.0.min(left));
            if size < self.size_min {
                return;
            }
            let mut price = price_at(*offset);
            if let Some(Ticks(last)) = last {
                let beyond = Ticks(i64::saturating_sub(last, side.sign()));
                price = match side {
                    Side::Buy => price.min(beyond),
                    Side::Sell => price.max(beyond),
                };
            }
            let price = self.coarse_step.outward(side, price);
            left -= size.0;
            last = Some(price);
            let size = within(price, size);
            if size < self.size_min {
                return;
            }
            *place = Level { price, size };
            levels.len += 1;
        }
    }
}

/// Our own two sides never lock or cross: what overlaps is shared out, the bid giving way first.
fn apart(bid: Option<Ticks>, ask: Option<Ticks>) -> (Option<Ticks>, Option<Ticks>) {
    match (bid, ask) {
        (Some(bid), Some(ask)) if bid >= ask => {
            let overlap = bid.0.saturating_sub(ask.0).saturating_add(1);
            let bid_gives = overlap - overlap / 2;
            (
                Some(Ticks(bid.0.saturating_sub(bid_gives))),
                Some(Ticks(ask.0.saturating_add(overlap / 2))),
            )
        }
        pair => pair,
    }
}

fn first_size(profile: SizeProfile) -> Lots {
    match profile {
        SizeProfile::Equal(size) => size,
        SizeProfile::Linear { first, .. } | SizeProfile::Geometric { first, .. } => first,
    }
}

fn next_size(profile: SizeProfile, size: Lots) -> Lots {
    match profile {
        SizeProfile::Equal(size) => size,
        SizeProfile::Linear { step, .. } => Lots(size.0.saturating_add(step.0)),
        SizeProfile::Geometric { permille, .. } => Lots(grown(size.0, permille)),
    }
}

fn first_gap(spacing: Spacing) -> SubTicks {
    match spacing {
        Spacing::Even(gap) | Spacing::Geometric { first: gap, .. } => gap,
    }
}

fn next_gap(spacing: Spacing, gap: SubTicks) -> SubTicks {
    match spacing {
        Spacing::Even(gap) => gap,
        Spacing::Geometric { permille, .. } => SubTicks(grown(gap.0, permille)),
    }
}

/// `value × permille / 1000`, rounded down; stops at the integer's edge.
fn grown(value: i64, permille: u32) -> i64 {
    let product = i128::from(value) * i128::from(permille);
    i64::try_from(product.div_euclid(1000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "ladder_tests.rs"]
mod tests;
