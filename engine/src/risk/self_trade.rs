//! Self-trade prevention: what becomes of an order that would meet one of our own.
//!
//! Fed by the maker with a proposal that the gate blocked and with our resting orders in its way,
//! nearest first; feeds what is done to each. Maker thread. In every mode the order itself does not go
//! while one of ours may still trade against it: what was asked of the venue and not yet answered
//! stands in the way like before, and whoever proposed the order proposes it anew when the answer is
//! here. So no answer, late or lost, lets two of our orders meet. Deliberately absent: the venue's own
//! prevention (tags that differ by venue), which may be on as well.

use crate::event::InstrumentId;
use crate::units::{Lots, Side, Ticks};

/// Which of two orders of ours gives way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Prevention {
    /// The new one does not go.
    #[default]
    CancelNew,
    /// The resting ones are taken out.
    CancelResting,
    /// Both, by the size of the smaller: a new order that is no larger than what rests in its way does
    /// not go, and what rests shrinks by it.
    Decrement,
}

/// Self-trade prevention of one instrument.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct SelfTrade {
    /// Who gives way to an order of this instrument.
    pub prevention: Prevention,
    /// The instrument whose book this one is too: the same contract over another session.
    pub same_book_as: Option<InstrumentId>,
}

/// What is done to a resting order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remedy {
    /// Nothing.
    Keep,
    /// It is taken out.
    Cancel,
    /// It shrinks by so much.
    Reduce(Lots),
}

impl Prevention {
    /// All, in the order of their names' list.
    pub const ALL: [Prevention; 3] =
        [Prevention::CancelNew, Prevention::CancelResting, Prevention::Decrement];

    /// Its name in the config.
    pub const fn name(self) -> &'static str {
        match self {
            Prevention::CancelNew => "cancel_new",
            Prevention::CancelResting => "cancel_resting",
            Prevention::Decrement => "decrement",
        }
    }

    /// The mode of a name.
    pub fn named(name: &str) -> Option<Prevention> {
        Prevention::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// What is done to a resting order with `leaves` in the book that has already given way by `gave`;
    /// `left` is what of the new order has met no order of ours yet, and shrinks by what this one meets.
    /// The same order, proposed again, takes no more than it took before.
    pub fn remedy(self, leaves: Lots, gave: Lots, left: &mut Lots) -> Remedy {
        match self {
            Prevention::CancelNew => Remedy::Keep,
            Prevention::CancelResting => Remedy::Cancel,
            Prevention::Decrement => {
                let whole = leaves.0.saturating_add(gave.0);
                let met = whole.min(left.0).max(0);
                left.0 = left.0.saturating_sub(met);
                match met.saturating_sub(gave.0) {
                    i64::MIN..=0 => Remedy::Keep,
                    _ if met == whole => Remedy::Cancel,
                    more => Remedy::Reduce(Lots(more)),
                }
            }
        }
    }
}

/// Would an order on `side` at `price` trade against one at `opposite` on the other side?
#[inline]
pub fn meets(side: Side, price: Ticks, opposite: Ticks) -> bool {
    match side {
        Side::Buy => price >= opposite,
        Side::Sell => price <= opposite,
    }
}

/// The price nearer to the market from `side`'s point of view: of two bids the higher.
#[inline]
pub fn nearer(side: Side, one: Option<Ticks>, other: Option<Ticks>) -> Option<Ticks> {
    match (one, other) {
        (Some(one), Some(other)) => Some(match side {
            Side::Buy => one.max(other),
            Side::Sell => one.min(other),
        }),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_meet_at_the_same_price_and_not_one_tick_apart_at_any_price() {
        for price in [i64::MIN + 1, -5, 0, 100, i64::MAX - 1] {
            for side in Side::BOTH {
                let away = -side.sign();
                assert!(meets(side, Ticks(price), Ticks(price)));
                assert!(!meets(side, Ticks(price + away), Ticks(price)));
                assert!(meets(side, Ticks(price - away), Ticks(price)));
            }
        }
        assert!(meets(Side::Buy, Ticks(i64::MAX), Ticks(i64::MIN)));
        assert!(!meets(Side::Sell, Ticks(i64::MAX), Ticks(i64::MIN)));
    }

    #[test]
    fn decrement_takes_the_smaller_from_both_nearest_first() {
        let mode = Prevention::Decrement;
        let mut left = Lots(10);
        assert_eq!(mode.remedy(Lots(4), Lots(0), &mut left), Remedy::Cancel);
        assert_eq!(left, Lots(6));
        assert_eq!(
            mode.remedy(Lots(7), Lots(0), &mut left),
            Remedy::Reduce(Lots(6)),
            "one lot stays"
        );
        assert_eq!(left, Lots(0));
        assert_eq!(
            mode.remedy(Lots(5), Lots(0), &mut left),
            Remedy::Keep,
            "nothing is left to meet it"
        );
        let mut equal = Lots(5);
        assert_eq!(mode.remedy(Lots(5), Lots(0), &mut equal), Remedy::Cancel);
        assert_eq!(equal, Lots(0));
    }

    #[test]
    fn what_gave_way_gives_no_more_to_the_same_order_and_the_difference_to_a_larger_one() {
        let mode = Prevention::Decrement;
        assert_eq!(mode.remedy(Lots(6), Lots(4), &mut Lots(4)), Remedy::Keep);
        assert_eq!(mode.remedy(Lots(6), Lots(4), &mut Lots(7)), Remedy::Reduce(Lots(3)));
        assert_eq!(mode.remedy(Lots(6), Lots(4), &mut Lots(10)), Remedy::Cancel);
        assert_eq!(mode.remedy(Lots(6), Lots(4), &mut Lots(3)), Remedy::Keep);
    }

    #[test]
    fn at_the_integers_extremes_nothing_wraps() {
        let mut left = Lots(i64::MAX);
        assert_eq!(
            Prevention::Decrement.remedy(Lots(i64::MAX), Lots(0), &mut left),
            Remedy::Cancel
        );
        assert_eq!(left, Lots(0));
        let mut none = Lots(i64::MIN);
        assert_eq!(Prevention::Decrement.remedy(Lots(i64::MAX), Lots(0), &mut none), Remedy::Keep);
        assert_eq!(none, Lots(i64::MIN));
    }

    #[test]
    fn the_other_modes_do_not_look_at_sizes() {
        for size in [0, 1, i64::MAX] {
            let mut left = Lots(3);
            assert_eq!(Prevention::CancelNew.remedy(Lots(size), Lots(0), &mut left), Remedy::Keep);
            assert_eq!(
                Prevention::CancelResting.remedy(Lots(size), Lots(0), &mut left),
                Remedy::Cancel
            );
            assert_eq!(left, Lots(3));
        }
    }

    #[test]
    fn every_name_reads_back() {
        for mode in Prevention::ALL {
            assert_eq!(Prevention::named(mode.name()), Some(mode));
        }
        assert_eq!(Prevention::named("cancel"), None);
    }

    #[test]
    fn the_nearer_price_is_the_higher_bid_and_the_lower_ask() {
        let (low, high) = (Some(Ticks(1)), Some(Ticks(2)));
        assert_eq!(nearer(Side::Buy, low, high), high);
        assert_eq!(nearer(Side::Sell, low, high), low);
        assert_eq!(nearer(Side::Sell, None, high), high);
        assert_eq!(nearer(Side::Buy, None, None), None);
    }
}
