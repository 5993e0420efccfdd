//! What stands behind the positions, as the maker sees it: how much of the collateral is in use, how far
//! liquidation is, and what the worst stress would cost.
//!
//! Fed by journaled views of whoever assesses the account off the hot path; feeds quotes, which shrink
//! before they stop. Maker thread; a handful of integer operations. A view that is missing or too old is
//! a breach: what nobody has looked at is not added to. Deliberately absent: margin itself, which takes
//! the formulas of options (calibration's).

use crate::units::{Lots, Nanos};
use thiserror::Error;

/// All of one, in parts of a million.
pub const PPM: u32 = 1_000_000;

/// Limits; all mandatory where collateral is watched at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
pub struct CollateralView {
    /// When it was assessed.
    pub at: Nanos,
    /// Margin over collateral after haircuts, in ppm; the integer's edge where there is none.
    pub utilisation_ppm: u32,
    /// The least move of all prices, either way, that liquidates, in ppm; a million where none does.
    pub distance_ppm: u32,
    /// What the worst scenario loses, 1e-9 of the reporting currency, ≥ 0.
    pub stressed_loss: i64,
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

/// The last view and its limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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

    /// How much of `size` may be quoted: all up to the soft use and to half of the stressed loss, from
    /// there evenly down to nothing at each limit, whichever leaves less; rounded down.
    pub fn scaled(&self, size: Lots) -> Lots {
        let limits = &self.limits;
        let Some(view) = self.view else { return Lots(0) };
        let (soft, hard) = (i64::from(limits.soft_ppm), i64::from(limits.hard_ppm));
        let by_use = part(size, i64::from(view.utilisation_ppm), soft, hard);
        let loss_max = limits.stressed_loss_max;
        by_use.min(part(size, view.stressed_loss, loss_max / 2, loss_max))
    }
}

/// All of `size` where `value` is at most `soft`, nothing from `hard` on, evenly in between.
fn part(size: Lots, value: i64, soft: i64, hard: i64) -> Lots {
    let room = i128::from(hard) - i128::from(value.max(soft));
    let whole = (i128::from(hard) - i128::from(soft)).max(1);
    let part = i128::from(size.0) * room.max(0) / whole;
    Lots(i64::try_from(part).unwrap_or(0))
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
        let lost = |stressed_loss| guard(CollateralView { stressed_loss, ..CALM });
        assert_eq!(lost(500).scaled(Lots(30)), Lots(30));
        assert_eq!(lost(750).scaled(Lots(30)), Lots(15));
        assert_eq!((lost(1_000).scaled(Lots(30)), lost(1_000).breach(Nanos(50))), (Lots(0), None));
        assert_eq!(lost(i64::MAX).scaled(Lots(i64::MAX)), Lots(0));
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
        let wrong = CollateralLimits { stressed_loss_max: 0, ..LIMITS };
        assert_eq!(wrong.fault(), Some(CollateralFault::NotPositive));
    }

    #[test]
    fn an_older_view_changes_nothing() {
        let mut guard = guard(CALM);
        assert!(!guard.on_view(CollateralView { at: Nanos(49), utilisation_ppm: 900_000, ..CALM }));
        assert_eq!(guard.breach(Nanos(50)), None);
    }
}
