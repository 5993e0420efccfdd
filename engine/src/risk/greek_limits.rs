//! Limits on what a book of options may hold of each Greek, net and gross: one value a bucket (an
//! underlying, or its expiries up to a day).
//!
//! Fed by the config and by the option book, which sums what positions and everything that may still
//! trade could come to; feeds the gate and the quotes' sizes. Maker thread; integer compares. A trade
//! that does not make an exceeded Greek worse passes: a limit must not keep the book from coming home.
//! What an option counts as is the worst that its Greeks may be wherever the refresh is still believed,
//! so that no move of the market inside those bounds takes a book past a limit that it was within.
//! Deliberately absent: the sums themselves.

use crate::units::{Lots, Side};
use thiserror::Error;

/// How many Greeks are limited.
pub const GREEKS: usize = 7;

/// Greeks as integers, per lot or of a position.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct GreekVector {
    /// 1e-9 of the underlying.
    pub delta: i64,
    /// 1e-9 of the underlying, per 1 % that it moves.
    pub gamma: i64,
    /// 1e-9 of the settlement currency, per 0.01 of volatility.
    pub vega: i64,
    /// 1e-9 of the settlement currency, per day that passes.
    pub theta: i64,
    /// 1e-9 of the settlement currency, per 0.01 of the rate.
    pub rho: i64,
    /// 1e-9 of the underlying, per 0.01 of volatility.
    pub vanna: i64,
    /// 1e-9 of the settlement currency per 0.01 of volatility, per 0.01 of volatility.
    pub volga: i64,
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
    /// Derivative in the rate.
    Rho,
    /// Derivative of delta in volatility.
    Vanna,
    /// Derivative of vega in volatility.
    Volga,
}

impl Greek {
    /// In the order of every vector.
    pub const ALL: [Greek; GREEKS] = [
        Greek::Delta,
        Greek::Gamma,
        Greek::Vega,
        Greek::Theta,
        Greek::Rho,
        Greek::Vanna,
        Greek::Volga,
    ];

    /// Its name in configs and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Greek::Delta => "delta",
            Greek::Gamma => "gamma",
            Greek::Vega => "vega",
            Greek::Theta => "theta",
            Greek::Rho => "rho",
            Greek::Vanna => "vanna",
            Greek::Volga => "volga",
        }
    }
}

/// Net or gross.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Netting {
    /// Longs less shorts.
    Net,
    /// Longs and shorts together.
    Gross,
}

/// What positions and everything that may still trade could come to, of one Greek.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Range {
    /// Longs less shorts, if everything that adds trades.
    pub up: i128,
    /// The same if everything that takes off trades.
    pub down: i128,
    /// Longs and shorts together, each option at its larger end.
    pub gross: i128,
}

/// Every Greek's range, in the order of [`Greek::ALL`].
pub type Ranges = [Range; GREEKS];

/// A position in one option with what may still trade of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Reach {
    /// The position.
    pub lots: Lots,
    /// Open buys.
    pub buys: Lots,
    /// Open sells.
    pub sells: Lots,
}

impl Reach {
    /// With so much more open on a side.
    pub fn plus(self, side: Side, added: Lots) -> Reach {
        match side {
            Side::Buy => Reach { buys: Lots(self.buys.0.saturating_add(added.0)), ..self },
            Side::Sell => Reach { sells: Lots(self.sells.0.saturating_add(added.0)), ..self },
        }
    }

    /// The largest and the smallest position that it can become.
    fn ends(self) -> (i128, i128) {
        let lots = i128::from(self.lots.0);
        (lots + i128::from(self.buys.0), lots - i128::from(self.sells.0))
    }
}

impl GreekVector {
    /// In the order of [`Greek::ALL`].
    pub const fn parts(&self) -> [i64; GREEKS] {
        [self.delta, self.gamma, self.vega, self.theta, self.rho, self.vanna, self.volga]
    }

    /// Of parts in the order of [`Greek::ALL`].
    pub const fn of(parts: [i64; GREEKS]) -> GreekVector {
        let [delta, gamma, vega, theta, rho, vanna, volga] = parts;
        GreekVector { delta, gamma, vega, theta, rho, vanna, volga }
    }
}

/// An option's Greeks a lot: as they were refreshed, and how far each may be from that for as long and
/// as far as the refresh is believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct PerLot {
    /// As they were refreshed.
    pub taken: GreekVector,
    /// Up and down from there, ≥ 0.
    pub span: GreekVector,
}

impl PerLot {
    /// The least and the most that each may be, in the order of [`Greek::ALL`].
    fn ends(&self) -> impl Iterator<Item = (i128, i128)> {
        self.taken.parts().into_iter().zip(self.span.parts()).map(|(taken, span)| {
            let (taken, span) = (i128::from(taken), i128::from(span));
            (taken - span, taken + span)
        })
    }

    /// What an option with these Greeks a lot can come to.
    pub fn ranges(&self, reach: Reach) -> Ranges {
        let (most, least) = reach.ends();
        let mut ranges = Ranges::default();
        for (range, (low, high)) in ranges.iter_mut().zip(self.ends()) {
            let ends = [(low, most), (low, least), (high, most), (high, least)];
            let [a, b, c, d] = ends.map(|(greek, lots)| greek.saturating_mul(lots));
            let (up, down) = (a.max(b).max(c).max(d), a.min(b).min(c).min(d));
            *range = Range { up, down, gross: up.max(down.saturating_neg()) };
        }
        ranges
    }
}

impl Range {
    /// Both together.
    pub fn plus(self, other: Range) -> Range {
        Range {
            up: self.up.saturating_add(other.up),
            down: self.down.saturating_add(other.down),
            gross: self.gross.saturating_add(other.gross),
        }
    }

    /// This without a part of it.
    pub fn less(self, part: Range) -> Range {
        Range {
            up: self.up.saturating_sub(part.up),
            down: self.down.saturating_sub(part.down),
            gross: self.gross.saturating_sub(part.gross),
        }
    }
}

/// Whether a bucket may come to hold what a trade would make it hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GreekVerdict {
    /// Every Greek is within its limit, or becomes no worse.
    Pass,
    /// The first Greek that would pass its limit.
    Over(Greek, Netting),
}

/// The limits of a bucket; every one is set, none is "unlimited".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
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

impl GreekLimits {
    /// Limits, all greater than zero, no gross one below its net one.
    ///
    /// # Errors
    /// The first limit that is not so.
    pub fn new(net: GreekVector, gross: GreekVector) -> Result<GreekLimits, GreekLimitError> {
        for (greek, (net, gross)) in Greek::ALL.into_iter().zip(pairs(&net, &gross)) {
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

    /// The net limits.
    pub fn net(&self) -> GreekVector {
        self.net
    }

    /// The gross limits.
    pub fn gross(&self) -> GreekVector {
        self.gross
    }

    /// May the bucket go from `before` to `after`?
    pub fn check(&self, before: &Ranges, after: &Ranges) -> GreekVerdict {
        let limits = pairs(&self.net, &self.gross);
        let ranges = before.iter().zip(after);
        for ((greek, (net, gross)), (before, after)) in Greek::ALL.iter().zip(limits).zip(ranges) {
            let (net, gross) = (i128::from(net), i128::from(gross));
            let is_up = after.up > net && after.up > before.up;
            let is_down = after.down < -net && after.down < before.down;
            if is_up || is_down {
                return GreekVerdict::Over(*greek, Netting::Net);
            }
            if after.gross > gross && after.gross > before.gross {
                return GreekVerdict::Over(*greek, Netting::Gross);
            }
        }
        GreekVerdict::Pass
    }

    /// The largest end (least, for a sale) that an option's position may have beside `others`, in
    /// lots from nothing toward `side`, by the net limits and the gross ones. ≥ 0.
    pub fn end_max(&self, per_lot: &PerLot, others: &Ranges, side: Side) -> i64 {
        let mut most = i128::from(i64::MAX);
        let limits = pairs(&self.net, &self.gross);
        for (((low, high), (net, gross)), others) in per_lot.ends().zip(limits).zip(others) {
            let (adds, takes) = match side {
                Side::Buy => (high, -low),
                Side::Sell => (-low, high),
            };
            let gross = i128::from(gross).saturating_sub(others.gross);
            let up = i128::from(net).saturating_sub(others.up.max(0));
            let down = i128::from(net).saturating_add(others.down.min(0));
            // Gross goes by the further of the two ends; a Greek that cannot be on a side is not
            // limited there.
            for (room, each, other) in [(up, adds, takes), (down, takes, adds)] {
                let room = if each >= other { room.min(gross) } else { room };
                if each > 0 {
                    most = most.min(room.max(0) / each);
                }
            }
        }
        i64::try_from(most).unwrap_or(i64::MAX)
    }
}

fn pairs(net: &GreekVector, gross: &GreekVector) -> impl Iterator<Item = (i64, i64)> {
    net.parts().into_iter().zip(gross.parts())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vector(value: i64) -> GreekVector {
        GreekVector::of([value; GREEKS])
    }

    /// Greeks that stay what they were.
    fn fixed(taken: GreekVector) -> PerLot {
        PerLot { taken, span: GreekVector::default() }
    }

    fn limits() -> GreekLimits {
        GreekLimits::new(vector(100), vector(300)).unwrap()
    }

    fn reach(lots: i64, buys: i64, sells: i64) -> Reach {
        Reach { lots: Lots(lots), buys: Lots(buys), sells: Lots(sells) }
    }

    #[test]
    fn each_limit_passes_at_its_edge_and_blocks_one_over() {
        assert_eq!((limits().net(), limits().gross()), (vector(100), vector(300)));
        let flat = Ranges::default();
        for (n, greek) in Greek::ALL.into_iter().enumerate() {
            let mut edge = Ranges::default();
            edge[n] = Range { up: 100, down: -100, gross: 300 };
            assert_eq!(limits().check(&flat, &edge), GreekVerdict::Pass);
            let net = GreekVerdict::Over(greek, Netting::Net);
            let mut over = edge;
            over[n].up = 101;
            assert_eq!(limits().check(&flat, &over), net);
            let mut over = edge;
            over[n].down = -101;
            assert_eq!(limits().check(&flat, &over), net);
            let mut over = edge;
            over[n].gross = 301;
            let gross = GreekVerdict::Over(greek, Netting::Gross);
            assert_eq!(limits().check(&flat, &over), gross);
        }
    }

    #[test]
    fn both_sides_of_working_orders_count_in_full() {
        let put = GreekVector { delta: -7, gamma: 3, vega: 11, ..GreekVector::default() };
        let [delta, gamma, ..] = fixed(put).ranges(reach(-2, 5, 4));
        assert_eq!(delta, Range { up: 42, down: -21, gross: 42 });
        assert_eq!(gamma, Range { up: 9, down: -18, gross: 18 });
    }

    #[test]
    fn what_is_over_may_come_home_and_not_go_through_to_the_other_side() {
        let one = fixed(vector(1));
        let long = one.ranges(reach(500, 0, 0));
        let selling = one.ranges(reach(500, 0, 400));
        assert_eq!(limits().check(&long, &selling), GreekVerdict::Pass);
        let through = one.ranges(reach(500, 0, 601));
        let over = GreekVerdict::Over(Greek::Delta, Netting::Net);
        assert_eq!(limits().check(&long, &through), over);
        let more = one.ranges(reach(500, 1, 0));
        assert_eq!(limits().check(&long, &more), over);
        let short = one.ranges(reach(-500, 0, 0));
        let buying = one.ranges(reach(-500, 400, 0));
        assert_eq!(limits().check(&short, &buying), GreekVerdict::Pass);
        let more = one.ranges(reach(-500, 0, 1));
        assert_eq!(limits().check(&short, &more), over);
    }

    #[test]
    fn what_is_added_is_open_on_its_side_beside_what_was() {
        let was = reach(-3, 5, 7);
        assert_eq!(was.plus(Side::Buy, Lots(2)), reach(-3, 7, 7));
        assert_eq!(was.plus(Side::Sell, Lots(2)), reach(-3, 5, 9));
        let most = was.plus(Side::Buy, Lots(i64::MAX)).plus(Side::Sell, Lots(i64::MAX));
        assert_eq!(most, reach(-3, i64::MAX, i64::MAX));
    }

    #[test]
    fn every_greek_has_a_name_of_its_own() {
        let names = ["delta", "gamma", "vega", "theta", "rho", "vanna", "volga"];
        assert_eq!(Greek::ALL.map(Greek::name), names);
    }

    #[test]
    fn a_greek_counts_as_the_worst_that_it_may_be_until_its_refresh_is_not_believed() {
        let of = |greek, span| PerLot { taken: vector(greek), span: vector(span) };
        let [long, ..] = of(7, 2).ranges(reach(3, 0, 0));
        assert_eq!(long, Range { up: 27, down: 15, gross: 27 });
        let [short, ..] = of(7, 2).ranges(reach(-3, 0, 0));
        assert_eq!(short, Range { up: -15, down: -27, gross: 27 });
        // A Greek that may change its sign is on both sides at once.
        let [either, ..] = of(1, 4).ranges(reach(2, 0, 5));
        assert_eq!(either, Range { up: 10, down: -15, gross: 15 });
        let flat = Ranges::default();
        assert_eq!(limits().end_max(&of(7, 2), &flat, Side::Buy), 11);
        assert_eq!(limits().end_max(&of(-7, 2), &flat, Side::Sell), 11);
        assert_eq!(limits().end_max(&of(1, 4), &flat, Side::Sell), 20);
        assert_eq!(limits().end_max(&of(0, 0), &flat, Side::Buy), i64::MAX);
        let crowded = [Range { up: 0, down: 0, gross: 280 }; GREEKS];
        assert_eq!(limits().end_max(&of(1, 4), &crowded, Side::Sell), 4, "gross is what is left");
    }

    #[test]
    fn nothing_wraps_at_the_integers_extremes() {
        let wild = PerLot { taken: vector(i64::MIN), span: vector(i64::MAX) };
        let wild = wild.ranges(reach(i64::MAX, i64::MAX, i64::MAX));
        assert!(limits().end_max(&fixed(vector(i64::MIN)), &wild, Side::Buy) == 0);
        let sum = wild[0].plus(wild[0]).plus(wild[0]).plus(wild[0]).plus(wild[0]);
        assert_eq!(
            limits().check(&Ranges::default(), &[sum; GREEKS]),
            GreekVerdict::Over(Greek::Delta, Netting::Net)
        );
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

    proptest! {
        #[test]
        fn a_position_grown_to_the_largest_end_is_never_blocked(
            greek in prop::array::uniform7(-50i64..50),
            span in prop::array::uniform7(0i64..20),
            others in prop::array::uniform3(-90i128..90),
            is_buy in any::<bool>(),
        ) {
            let per_lot = PerLot { taken: GreekVector::of(greek), span: GreekVector::of(span) };
            let [a, b, c] = others;
            let range = Range { up: a.max(b), down: a.min(b), gross: c.abs() };
            let others = [range; GREEKS];
            let side = if is_buy { Side::Buy } else { Side::Sell };
            let most = limits().end_max(&per_lot, &others, side).min(1_000);
            let before = others;
            let mut after = others;
            let position = reach(most * side.sign(), 0, 0);
            for (after, own) in after.iter_mut().zip(per_lot.ranges(position)) {
                *after = after.plus(own);
            }
            prop_assert_eq!(limits().check(&before, &after), GreekVerdict::Pass);
        }
    }
}
