//! What stands behind the positions, as the maker sees it: how much of the collateral is in use, how far
//! liquidation is, and what the worst stress would cost.
//!
//! Fed by journaled views of whoever assesses the account off the hot path; feeds quotes, which shrink
//! before they stop. Maker thread; a handful of integer operations. A view that is missing or too old is
//! a breach: what nobody has looked at is not added to. Deliberately absent: margin itself, which takes
//! the formulas of options (calibration's).

use crate::units::{Lots, Nanos, Side};
use thiserror::Error;

/// All of one, in parts of a million.
pub const PPM: u32 = 1_000_000;

/// Limits; all mandatory where collateral is watched at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct CollateralLimits {
    /// Beyond this use of the collateral, in ppm, sizes shrink.
    pub soft_ppm: u32,
    /// At this use only what takes positions off is quoted.
    pub hard_ppm: u32,
    /// The same where liquidation is nearer than this move of prices, in ppm.
    pub distance_min_ppm: u32,
    /// The same where the worst scenario loses more, 1e-9 of the reporting currency.
    pub stressed_loss_max: i64,
    /// A view older than this is none.
    pub age_max_ns: u64,
}

/// What is wrong with limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum CollateralFault {
    /// The two uses are not in order.
    #[error("must satisfy 0 < utilisation_soft < utilisation_hard <= 1")]
    OutOfOrder,
    /// A limit that would let nothing or everything through.
    #[error("liquidation_distance_min, stressed_loss_max and age_max must be greater than zero")]
    NotPositive,
}

/// The account at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct CollateralView {
    /// When it was assessed.
    pub at: Nanos,
    /// Margin over collateral after haircuts, in ppm; the integer's edge where there is none.
    pub utilisation_ppm: u32,
    /// The least move of all prices, either way, that liquidates, in ppm; a million where none does.
    pub distance_ppm: u32,
    /// What the worst scenario loses, 1e-9 of the reporting currency, ≥ 0.
    pub stressed_loss: i64,
    /// How often every quote's size may be filled, in ppm, each on its worse side and all at once, before
    /// a scenario passes the limit on the stressed loss; the integer's edge where that is oftener.
    pub addable_ppm: u32,
}

/// What a view breaks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CollateralBreach {
    /// There is no view, or none that is new enough.
    Unknown,
    /// Too much of the collateral is in use.
    Utilisation,
    /// Liquidation is too near.
    Distance,
    /// The worst scenario costs too much.
    Stress,
}

/// What one quote may still add until the next view, and only where the view knew what the instrument is
/// worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Allowance {
    valued_since: Option<Nanos>,
    is_assessed: bool,
    /// Filled since the view, by side.
    filled: [i64; 2],
    filled_at: Nanos,
}

/// The last view and its limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct CollateralGuard {
    limits: CollateralLimits,
    view: Option<CollateralView>,
}

impl CollateralLimits {
    /// What is wrong with them, if anything.
    pub fn fault(&self) -> Option<CollateralFault> {
        if self.soft_ppm == 0 || self.soft_ppm >= self.hard_ppm || self.hard_ppm > PPM {
            return Some(CollateralFault::OutOfOrder);
        }
        let is_positive =
            self.distance_min_ppm > 0 && self.stressed_loss_max > 0 && self.age_max_ns > 0;
        (!is_positive).then_some(CollateralFault::NotPositive)
    }
}

impl CollateralGuard {
    /// Nothing seen yet.
    pub fn new(limits: CollateralLimits) -> CollateralGuard {
        CollateralGuard { limits, view: None }
    }

    /// A new view; one older than the last changes nothing. Says whether it was taken.
    pub fn on_view(&mut self, view: CollateralView) -> bool {
        let is_newer = self.view.is_none_or(|last| view.at >= last.at);
        if is_newer {
            self.view = Some(view);
        }
        is_newer
    }

    /// The limits.
    pub fn limits(&self) -> &CollateralLimits {
        &self.limits
    }

    /// The last view.
    pub fn view(&self) -> Option<&CollateralView> {
        self.view.as_ref()
    }

    /// What is broken at `now`, if anything.
    pub fn breach(&self, now: Nanos) -> Option<CollateralBreach> {
        let limits = &self.limits;
        let view = self.view.filter(|view| now.since(view.at) <= limits.age_max_ns);
        let Some(view) = view else { return Some(CollateralBreach::Unknown) };
        if view.utilisation_ppm >= limits.hard_ppm {
            return Some(CollateralBreach::Utilisation);
        }
        if view.distance_ppm < limits.distance_min_ppm {
            return Some(CollateralBreach::Distance);
        }
        (view.stressed_loss > limits.stressed_loss_max).then_some(CollateralBreach::Stress)
    }

    /// How much of `size` may be quoted: all up to the soft use, from there evenly down to nothing at the
    /// hard one; rounded down.
    pub fn scaled(&self, size: Lots) -> Lots {
        let limits = &self.limits;
        let Some(view) = self.view else { return Lots(0) };
        let room =
            i64::from(limits.hard_ppm) - i64::from(view.utilisation_ppm.max(limits.soft_ppm));
        part(size, room, i64::from(limits.hard_ppm) - i64::from(limits.soft_ppm))
    }

    /// How much a quote of `size` may add to a side from the view on: so much that if all quotes do, no
    /// scenario passes the limit on the stressed loss; rounded down.
    pub fn addable(&self, size: Lots) -> Lots {
        let addable_ppm = self.view.map_or(0, |view| view.addable_ppm);
        part(size, i64::from(addable_ppm), i64::from(PPM))
    }
}

impl Allowance {
    /// The instrument is worth something known.
    pub fn on_value(&mut self, now: Nanos) {
        self.valued_since.get_or_insert(now);
    }

    /// A view of that time is the last one now. Where fills came while it was on its way, all since the
    /// one before count until the next: which of them it knew cannot be told apart.
    pub fn on_view(&mut self, at: Nanos) {
        self.is_assessed = self.valued_since.is_some_and(|since| since <= at);
        if self.filled_at <= at {
            self.filled = [0; 2];
        }
    }

    /// A quote was filled.
    pub fn on_fill(&mut self, now: Nanos, side: Side, size: Lots) {
        self.filled_at = now;
        let filled = match side {
            Side::Buy => &mut self.filled[0],
            Side::Sell => &mut self.filled[1],
        };
        *filled = filled.saturating_add(size.0);
    }

    /// What is left on a side of what a view lets be added.
    pub fn left(&self, side: Side, addable: Lots) -> Lots {
        let [bought, sold] = self.filled;
        let filled = match side {
            Side::Buy => bought,
            Side::Sell => sold,
        };
        let left = addable.0.saturating_sub(filled).max(0);
        Lots(if self.is_assessed { left } else { 0 })
    }
}

/// `room` of `whole` parts of a size, nothing where there is none; rounded down.
fn part(size: Lots, room: i64, whole: i64) -> Lots {
    let part = i128::from(size.0) * i128::from(room.max(0)) / i128::from(whole.max(1));
    Lots(i64::try_from(part).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: CollateralLimits = CollateralLimits {
        soft_ppm: 500_000,
        hard_ppm: 800_000,
        distance_min_ppm: 100_000,
        stressed_loss_max: 1_000,
        age_max_ns: 100,
    };
    const CALM: CollateralView = CollateralView {
        at: Nanos(50),
        utilisation_ppm: 100_000,
        distance_ppm: 900_000,
        stressed_loss: 0,
        addable_ppm: PPM,
    };

    fn guard(view: CollateralView) -> CollateralGuard {
        let mut guard = CollateralGuard::new(LIMITS);
        assert!(guard.on_view(view));
        guard
    }

    #[test]
    fn what_nobody_has_looked_at_is_a_breach() {
        let none = CollateralGuard::new(LIMITS);
        assert_eq!(none.breach(Nanos(0)), Some(CollateralBreach::Unknown));
        assert_eq!(none.scaled(Lots(10)), Lots(0));
        assert_eq!(guard(CALM).breach(Nanos(150)), None);
        assert_eq!(guard(CALM).breach(Nanos(151)), Some(CollateralBreach::Unknown));
    }

    #[test]
    fn sizes_shrink_before_quotes_stop() {
        let at = |utilisation_ppm| guard(CollateralView { utilisation_ppm, ..CALM });
        assert_eq!(at(500_000).scaled(Lots(30)), Lots(30));
        assert_eq!(at(600_000).scaled(Lots(30)), Lots(20));
        assert_eq!(at(799_999).scaled(Lots(30)), Lots(0));
        assert_eq!(at(799_999).breach(Nanos(50)), None);
        assert_eq!(at(800_000).breach(Nanos(50)), Some(CollateralBreach::Utilisation));
        assert_eq!(at(u32::MAX).scaled(Lots(i64::MAX)), Lots(0));
        assert_eq!(guard(CALM).scaled(Lots(i64::MAX)), Lots(i64::MAX));
    }

    #[test]
    fn the_stress_leaves_a_part_of_a_quote_or_several() {
        let left = |addable_ppm| guard(CollateralView { addable_ppm, ..CALM }).addable(Lots(30));
        assert_eq!((left(PPM), left(3 * PPM)), (Lots(30), Lots(90)));
        assert_eq!((left(PPM / 2), left(PPM / 30 - 1), left(0)), (Lots(15), Lots(0), Lots(0)));
        let most = guard(CollateralView { addable_ppm: u32::MAX, ..CALM });
        assert_eq!(most.addable(Lots(i64::MAX)), Lots(i64::MAX));
        assert_eq!(CollateralGuard::new(LIMITS).addable(Lots(30)), Lots(0), "nobody has looked");
    }

    #[test]
    fn what_was_filled_since_the_view_counts_and_what_it_knew_no_value_of_adds_nothing() {
        let mut allowance = Allowance::default();
        allowance.on_view(Nanos(9));
        assert_eq!(allowance.left(Side::Buy, Lots(10)), Lots(0));
        allowance.on_value(Nanos(10));
        allowance.on_value(Nanos(20));
        assert_eq!(allowance.left(Side::Buy, Lots(10)), Lots(0), "no view has seen it");
        allowance.on_view(Nanos(9));
        assert_eq!(allowance.left(Side::Buy, Lots(10)), Lots(0), "older than the value");
        allowance.on_view(Nanos(10));
        allowance.on_fill(Nanos(20), Side::Buy, Lots(7));
        let both = |allowance: &Allowance| {
            [Side::Buy, Side::Sell].map(|side| allowance.left(side, Lots(10)).0)
        };
        assert_eq!(both(&allowance), [3, 10]);
        allowance.on_fill(Nanos(25), Side::Buy, Lots(i64::MAX));
        allowance.on_fill(Nanos(30), Side::Sell, Lots(1));
        assert_eq!(both(&allowance), [0, 9]);
        allowance.on_view(Nanos(29));
        assert_eq!(both(&allowance), [0, 9], "a fill came while the view was on its way");
        allowance.on_view(Nanos(30));
        assert_eq!(both(&allowance), [10, 10]);
    }

    #[test]
    fn each_limit_holds_at_its_edge() {
        let near = |distance_ppm| guard(CollateralView { distance_ppm, ..CALM }).breach(Nanos(50));
        assert_eq!((near(100_000), near(99_999)), (None, Some(CollateralBreach::Distance)));
        let loss =
            |stressed_loss| guard(CollateralView { stressed_loss, ..CALM }).breach(Nanos(50));
        assert_eq!((loss(1_000), loss(1_001)), (None, Some(CollateralBreach::Stress)));
    }

    #[test]
    fn limits_out_of_order_and_none_are_refused() {
        assert_eq!(LIMITS.fault(), None);
        let wrong = CollateralLimits { soft_ppm: 800_000, ..LIMITS };
        assert_eq!(wrong.fault(), Some(CollateralFault::OutOfOrder));
        let wrong = CollateralLimits { hard_ppm: PPM + 1, ..LIMITS };
        assert_eq!(wrong.fault(), Some(CollateralFault::OutOfOrder));
        for wrong in [
            CollateralLimits { stressed_loss_max: 0, ..LIMITS },
            CollateralLimits { distance_min_ppm: 0, ..LIMITS },
            CollateralLimits { age_max_ns: 0, ..LIMITS },
        ] {
            assert_eq!(wrong.fault(), Some(CollateralFault::NotPositive));
        }
    }

    #[test]
    fn an_older_view_changes_nothing() {
        let mut guard = guard(CALM);
        assert!(!guard.on_view(CollateralView { at: Nanos(49), utilisation_ppm: 900_000, ..CALM }));
        assert_eq!(guard.breach(Nanos(50)), None);
        assert_eq!(guard.view(), Some(&CALM));
    }
}
