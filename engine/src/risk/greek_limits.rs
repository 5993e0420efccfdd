//! Limits on what a book of options may hold of each Greek, net and gross: one value a bucket (an
//! underlying and a range of expiries).
//!
//! Fed by the config and by the options' quantised Greeks; feeds the gate. Maker thread; integer
//! compares. A trade that brings an exceeded Greek down passes: a limit must not keep the book from
//! coming home. Deliberately absent: the sums over buckets, which are their own buckets.

use crate::units::Lots;
use thiserror::Error;

/// Greeks as integers, per lot or of a position.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GreekVector {
    /// 1e-9 of the underlying.
    pub delta: i64,
    /// 1e-9 of the underlying, per 1 % that it moves.
    pub gamma: i64,
    /// 1e-9 of the settlement currency, per 0.01 of volatility.
    pub vega: i64,
    /// 1e-9 of the settlement currency, per day that passes.
    pub theta: i64,
}

/// Which Greek.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Greek {
    /// First derivative in the underlying.
    Delta,
    /// Second derivative in the underlying.
    Gamma,
    /// Derivative in volatility.
    Vega,
    /// Derivative in time.
    Theta,
}

/// Net or gross.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Netting {
    /// Longs less shorts.
    Net,
    /// Longs and shorts together.
    Gross,
}

/// What a bucket holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GreekTotals {
    /// Longs less shorts.
    pub net: GreekVector,
    /// Longs and shorts together.
    pub gross: GreekVector,
}

/// Whether a bucket may come to hold what a trade would make it hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GreekVerdict {
    /// Every Greek is within its limit, or comes nearer to it.
    Pass,
    /// The first Greek that is over its limit and does not come down.
    Over(Greek, Netting),
    /// The sums do not fit: treated as over.
    Overflow,
}

/// The limits of a bucket; every one is set, none is "unlimited".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GreekLimits {
    net: GreekVector,
    gross: GreekVector,
}

/// A limit that would let nothing, or no gross beside its net, through.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum GreekLimitError {
    /// Zero or negative.
    #[error("the {side:?} limit on {greek:?} is {value}; it must be greater than zero")]
    NotPositive {
        /// Which Greek.
        greek: Greek,
        /// Net or gross.
        side: Netting,
        /// What it was.
        value: i64,
    },
    /// The gross limit is below the net one, which it would silently replace.
    #[error("the gross limit on {greek:?} is {gross}, below the net limit {net}")]
    GrossBelowNet {
        /// Which Greek.
        greek: Greek,
        /// The net limit.
        net: i64,
        /// The gross limit.
        gross: i64,
    },
}

impl GreekVector {
    const fn parts(&self) -> [(Greek, i64); 4] {
        [
            (Greek::Delta, self.delta),
            (Greek::Gamma, self.gamma),
            (Greek::Vega, self.vega),
            (Greek::Theta, self.theta),
        ]
    }

    fn map2(self, other: GreekVector, f: impl Fn(i64, i64) -> Option<i64>) -> Option<GreekVector> {
        Some(GreekVector {
            delta: f(self.delta, other.delta)?,
            gamma: f(self.gamma, other.gamma)?,
            vega: f(self.vega, other.vega)?,
            theta: f(self.theta, other.theta)?,
        })
    }

    /// The Greeks of a position; `None` where they do not fit.
    pub fn of(self, lots: Lots) -> Option<GreekVector> {
        self.map2(self, |greek, _| greek.checked_mul(lots.0))
    }
}

impl GreekTotals {
    /// These totals after a position in an option with these Greeks a lot went `from` so many lots
    /// `to` so many; `None` where a sum does not fit.
    pub fn moved(self, per_lot: GreekVector, from: Lots, to: Lots) -> Option<GreekTotals> {
        let (old, new) = (per_lot.of(from)?, per_lot.of(to)?);
        let change = new.map2(old, i64::checked_sub)?;
        let gross = new.map2(old, |new, old| new.checked_abs()?.checked_sub(old.checked_abs()?))?;
        Some(GreekTotals {
            net: self.net.map2(change, i64::checked_add)?,
            gross: self.gross.map2(gross, i64::checked_add)?,
        })
    }
}

impl GreekLimits {
    /// Limits, all greater than zero, no gross one below its net one.
    ///
    /// # Errors
    /// The first limit that is not so.
    pub fn new(net: GreekVector, gross: GreekVector) -> Result<GreekLimits, GreekLimitError> {
        for ((greek, net), (_, gross)) in net.parts().into_iter().zip(gross.parts()) {
            for (side, value) in [(Netting::Net, net), (Netting::Gross, gross)] {
                if value <= 0 {
                    return Err(GreekLimitError::NotPositive { greek, side, value });
                }
            }
            if gross < net {
                return Err(GreekLimitError::GrossBelowNet { greek, net, gross });
            }
        }
        Ok(GreekLimits { net, gross })
    }

    /// Whether the bucket may go from `before` to `after` (`None`: the sums did not fit).
    pub fn check(&self, before: &GreekTotals, after: Option<&GreekTotals>) -> GreekVerdict {
        let Some(after) = after else { return GreekVerdict::Overflow };
        for (side, limit, before, after) in [
            (Netting::Net, self.net, before.net, after.net),
            (Netting::Gross, self.gross, before.gross, after.gross),
        ] {
            let greeks = limit.parts().into_iter().zip(before.parts()).zip(after.parts());
            for (((greek, limit), (_, before)), (_, after)) in greeks {
                let is_over = after.unsigned_abs() > limit.unsigned_abs();
                if is_over && after.unsigned_abs() >= before.unsigned_abs() {
                    return GreekVerdict::Over(greek, side);
                }
            }
        }
        GreekVerdict::Pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(value: i64) -> GreekVector {
        GreekVector { delta: value, gamma: value, vega: value, theta: value }
    }

    fn limits() -> GreekLimits {
        GreekLimits::new(vector(100), vector(300)).unwrap()
    }

    fn totals(net: i64, gross: i64) -> GreekTotals {
        GreekTotals { net: vector(net), gross: vector(gross) }
    }

    #[test]
    fn each_limit_passes_at_its_edge_and_blocks_one_over() {
        let flat = GreekTotals::default();
        for edge in [100, -100] {
            let at_edge = totals(edge, 300);
            assert_eq!(limits().check(&flat, Some(&at_edge)), GreekVerdict::Pass);
            let beyond = edge + edge.signum();
            let over = |net| GreekTotals { net, ..at_edge };
            let check = |net| limits().check(&flat, Some(&over(net)));
            let net = vector(edge);
            let blocked = |greek| GreekVerdict::Over(greek, Netting::Net);
            assert_eq!(check(GreekVector { delta: beyond, ..net }), blocked(Greek::Delta));
            assert_eq!(check(GreekVector { gamma: beyond, ..net }), blocked(Greek::Gamma));
            assert_eq!(check(GreekVector { vega: beyond, ..net }), blocked(Greek::Vega));
            assert_eq!(check(GreekVector { theta: beyond, ..net }), blocked(Greek::Theta));
        }
        let gross = GreekTotals { gross: GreekVector { vega: 301, ..vector(300) }, ..flat };
        let blocked = GreekVerdict::Over(Greek::Vega, Netting::Gross);
        assert_eq!(limits().check(&flat, Some(&gross)), blocked);
    }

    #[test]
    fn the_integers_extremes_are_over_and_never_wrap() {
        let flat = GreekTotals::default();
        for extreme in [i64::MIN, i64::MAX] {
            let verdict = limits().check(&flat, Some(&totals(extreme, 0)));
            assert_eq!(verdict, GreekVerdict::Over(Greek::Delta, Netting::Net));
        }
        assert_eq!(vector(i64::MAX).of(Lots(2)), None);
        assert_eq!(flat.moved(vector(i64::MIN), Lots(0), Lots(1)), None);
        assert_eq!(limits().check(&flat, None), GreekVerdict::Overflow);
    }

    #[test]
    fn a_greek_over_its_limit_may_be_brought_down_and_not_through_to_the_other_side() {
        let long = totals(500, 500);
        assert_eq!(limits().check(&long, Some(&totals(499, 499))), GreekVerdict::Pass);
        let same = GreekVerdict::Over(Greek::Delta, Netting::Net);
        assert_eq!(limits().check(&long, Some(&long)), same);
        assert_eq!(limits().check(&long, Some(&totals(-500, 500))), same);
    }

    #[test]
    fn moving_there_and_back_leaves_nothing() {
        let per_lot = GreekVector { delta: -7, gamma: 3, vega: 11, theta: -2 };
        let there = GreekTotals::default().moved(per_lot, Lots(0), Lots(-5)).unwrap();
        assert_eq!(there.net, GreekVector { delta: 35, gamma: -15, vega: -55, theta: 10 });
        assert_eq!(there.gross, GreekVector { delta: 35, gamma: 15, vega: 55, theta: 10 });
        let through = there.moved(per_lot, Lots(-5), Lots(2)).unwrap();
        assert_eq!(through.gross, GreekVector { delta: 14, gamma: 6, vega: 22, theta: 4 });
        assert_eq!(through.moved(per_lot, Lots(2), Lots(0)), Some(GreekTotals::default()));
    }

    #[test]
    fn there_is_no_unlimited() {
        let zero = GreekVector { vega: 0, ..vector(5) };
        assert_eq!(
            GreekLimits::new(zero, vector(5)),
            Err(GreekLimitError::NotPositive { greek: Greek::Vega, side: Netting::Net, value: 0 })
        );
        assert_eq!(
            GreekLimits::new(vector(5), vector(4)),
            Err(GreekLimitError::GrossBelowNet { greek: Greek::Delta, net: 5, gross: 4 })
        );
    }
}
