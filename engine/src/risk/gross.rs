//! What the whole portfolio is worth at most, long and short added up, if everything open trades.
//!
//! Fed by the maker with every change of a position, an open order, a mark or a rate; feeds the gate
//! and the share that one underlying may have. Maker thread: a change is one multiply, a check two;
//! a value that nothing was asked of since its mark moved may wait.
//! Deliberately absent: netting. A hedged pair counts twice here; net delta has limits of its own.
//!
//! `gross = Σ max(|position + buys|, |position − sells|) × value of a lot`, in 1e-9 of the reporting
//! currency, each value of a lot rounded up. A position whose worth is not known yet (no mark, no
//! rate) counts as beyond every limit.

use crate::orders::table::OpenSize;
use crate::risk::gate::{BlockReason, Verdict};
use crate::units::{Lots, Notional, Side};

/// A lot's value is kept as a count of 2^-10 of 1e-9, so that rounding it up costs a cheap lot little.
pub const LOTS_VALUED: Lots = Lots(1 << 10);
const VALUE_BITS: u32 = 10;

/// One instrument's part.
#[derive(Clone, Copy, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
struct Holding {
    /// 2^-10 of 1e-9 of the reporting currency a lot.
    per_lot: Option<i128>,
    lots: i128,
    /// `lots × per_lot`; 0 where there are no lots.
    value: Option<i128>,
    /// `per_lot` is of an earlier mark.
    is_deferred: bool,
}

/// The portfolio's gross notional, kept up to date, and its limit.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct GrossNotional {
    max: Notional,
    holdings: Box<[Holding]>,
    /// Over all that are known.
    sum: i128,
    /// How many hold something of unknown worth.
    unknown: usize,
    /// Held, and its mark has moved since it was valued: until it is valued, no worst case may grow.
    waiting: Option<usize>,
}

/// The largest position, either way, that what is open could make.
#[inline]
pub fn lots_worst(position: Lots, open: OpenSize, side: Side, added: Lots) -> i128 {
    let more = |of: Side| if of == side { i128::from(added.0) } else { 0 };
    let long = i128::from(position.0) + i128::from(open.buy.0) + more(Side::Buy);
    let short = i128::from(open.sell.0) + more(Side::Sell) - i128::from(position.0);
    long.max(short).max(0)
}

impl GrossNotional {
    /// Nothing held of `instruments` many. `max`: most gross notional.
    pub fn new(max: Notional, instruments: usize) -> GrossNotional {
        let empty = Holding { value: Some(0), ..Holding::default() };
        GrossNotional {
            max,
            holdings: vec![empty; instruments].into(),
            sum: 0,
            unknown: 0,
            waiting: None,
        }
    }

    /// The worst case of an instrument is this many lots now.
    #[inline]
    pub fn set_lots(&mut self, place: usize, lots: i128) {
        if let Some(holding) = self.holdings.get_mut(place)
            && holding.lots != lots
        {
            holding.lots = lots;
            self.recount(place);
        }
    }

    /// [`LOTS_VALUED`] lots of an instrument are worth so much now, either way, in 1e-9 of the
    /// reporting currency; `None` where that is not known.
    #[inline]
    pub fn set_value(&mut self, place: usize, of_many: Option<i128>) {
        let per_lot = rounded_up(of_many);
        let Some(holding) = self.holdings.get_mut(place) else { return };
        holding.is_deferred = false;
        if self.waiting == Some(place) {
            self.waiting = None;
        }
        if holding.per_lot != per_lot {
            holding.per_lot = per_lot;
            self.recount(place);
        }
    }

    /// An instrument's mark or rate has moved: its value may wait until something is asked of it. What is
    /// not held counts for nothing at any price; of what is held one waits, so that an order that asks
    /// never pays for many. Answers which one waited before, and has to be valued now.
    #[inline]
    pub fn defer(&mut self, place: usize) -> Option<usize> {
        let holding = self.holdings.get_mut(place)?;
        holding.is_deferred = true;
        if holding.lots == 0 {
            return None;
        }
        self.waiting.replace(place).filter(|before| *before != place)
    }

    /// What is held and waits to be valued.
    #[inline]
    pub fn waiting(&self) -> Option<usize> {
        self.waiting
    }

    /// Whether an instrument waits to be valued.
    #[inline]
    pub fn is_deferred(&self, place: usize) -> bool {
        self.holdings.get(place).is_some_and(|holding| holding.is_deferred)
    }

    /// A holding's lots or value of a lot has changed.
    fn recount(&mut self, place: usize) {
        let Some(holding) = self.holdings.get_mut(place) else { return };
        let is = value(holding.per_lot, holding.lots);
        let was = std::mem::replace(&mut holding.value, is);
        (self.sum, self.unknown) = self.sums(was, is);
    }

    /// The sums, one value in the place of another.
    #[inline]
    fn sums(&self, was: Option<i128>, is: Option<i128>) -> (i128, usize) {
        let sum = self.sum.saturating_add(is.unwrap_or(0) - was.unwrap_or(0));
        (sum, self.unknown + usize::from(is.is_none()) - usize::from(was.is_none()))
    }

    /// Gross notional in 1e-9 of the reporting currency; `None` where something is of unknown worth. What
    /// waits counts at its last value.
    pub fn total(&self) -> Option<Notional> {
        (self.unknown == 0).then_some(Notional(self.sum >> VALUE_BITS))
    }

    /// The same, were [`LOTS_VALUED`] lots of what waits valued at so much.
    pub fn total_with(&self, of_many: Option<i128>) -> Option<Notional> {
        let Some(holding) = self.waiting.and_then(|place| self.holdings.get(place)) else {
            return self.total();
        };
        let (sum, unknown) = self.sums(holding.value, value(rounded_up(of_many), holding.lots));
        (unknown == 0).then_some(Notional(sum >> VALUE_BITS))
    }

    /// What one instrument counts for, likewise.
    pub fn of(&self, place: usize) -> Option<Notional> {
        self.holdings.get(place)?.value.map(|value| Notional(value >> VALUE_BITS))
    }

    /// The worst case of an instrument, as it was set.
    pub fn lots(&self, place: usize) -> i128 {
        self.holdings.get(place).map_or(0, |holding| holding.lots)
    }

    /// May an instrument's worst case become `lots`? What does not raise it passes: a limit must not
    /// keep the book from coming home.
    #[inline(always)]
    pub fn check(&self, place: usize, lots: i128) -> Verdict {
        match self.holdings.get(place) {
            Some(holding) if lots <= holding.lots => Verdict::Pass,
            Some(holding) => self.check_more(holding, lots),
            None => Verdict::Block(BlockReason::GrossNotional),
        }
    }

    /// Everything that is held has its value.
    fn is_known(&self) -> bool {
        self.unknown == 0 && self.waiting.is_none()
    }

    #[inline(never)]
    fn check_more(&self, holding: &Holding, lots: i128) -> Verdict {
        let others = self.sum.saturating_sub(holding.value.unwrap_or(0));
        let per_lot = holding.per_lot.filter(|_| !holding.is_deferred);
        let after = value(per_lot, lots).map(|value| others.saturating_add(value));
        // Compared in 2^-10 of 1e-9, rounded up: the limit's last unit is not given away. Where what it
        // holds is of unknown worth, more of it is too.
        let max = self.max.0.saturating_mul(1 << VALUE_BITS);
        match after {
            Some(after) if self.is_known() && after <= max => Verdict::Pass,
            Some(_) | None => Verdict::Block(BlockReason::GrossNotional),
        }
    }
}

/// By what the valuation may have rounded away.
fn rounded_up(of_many: Option<i128>) -> Option<i128> {
    of_many.map(|value| value.saturating_abs().saturating_add(1))
}

fn value(per_lot: Option<i128>, lots: i128) -> Option<i128> {
    if lots == 0 {
        return Some(0);
    }
    // Far from the integer's edge, so that sums over instruments have room: what is more is unknown.
    let per_lot = per_lot?;
    // Two words that fit 64 bits have a product that fits 128.
    let value = match (i64::try_from(per_lot), i64::try_from(lots)) {
        (Ok(per_lot), Ok(lots)) => i128::from(per_lot) * i128::from(lots),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => per_lot.checked_mul(lots)?,
    };
    (value < 1 << 110).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCKED: Verdict = Verdict::Block(BlockReason::GrossNotional);
    /// A lot is worth almost 100 units, so that its rounded-up value is exactly that.
    const HUNDRED: Option<i128> = Some((100 << VALUE_BITS) - 1);

    fn open(buy: i64, sell: i64) -> OpenSize {
        OpenSize { buy: Lots(buy), sell: Lots(sell) }
    }

    #[test]
    fn longs_and_shorts_add_up_to_the_limit_and_not_a_lot_beyond() {
        let mut gross = GrossNotional::new(Notional(1_000), 2);
        gross.set_value(0, HUNDRED);
        gross.set_value(1, HUNDRED.map(|value| -value));
        gross.set_lots(0, 4);
        gross.set_lots(1, 5);
        assert_eq!(gross.total(), Some(Notional(900)));
        let each = [0, 1, 2].map(|place| gross.of(place));
        assert_eq!(each, [Some(Notional(400)), Some(Notional(500)), None]);
        assert_eq!(gross.check(0, 5), Verdict::Pass);
        assert_eq!(gross.check(0, 6), BLOCKED);
        assert_eq!(gross.check(1, 6), Verdict::Pass);
        assert_eq!(gross.check(2, 1), BLOCKED, "an instrument that there is not");
    }

    #[test]
    fn what_does_not_raise_the_worst_case_passes_also_beyond_the_limit() {
        let mut gross = GrossNotional::new(Notional(1_000), 1);
        gross.set_value(0, HUNDRED);
        gross.set_lots(0, 40);
        assert_eq!(gross.check(0, 40), Verdict::Pass);
        assert_eq!(gross.check(0, 41), BLOCKED);
    }

    #[test]
    fn the_worst_case_is_the_larger_of_both_sides_and_counts_what_is_added() {
        assert_eq!(lots_worst(Lots(5), open(3, 20), Side::Buy, Lots(4)), 15);
        assert_eq!(lots_worst(Lots(5), open(3, 4), Side::Buy, Lots(4)), 12);
        assert_eq!(lots_worst(Lots(-5), open(0, 0), Side::Sell, Lots(1)), 6);
        assert_eq!(lots_worst(Lots(0), open(0, 0), Side::Sell, Lots(0)), 0);
        let most = lots_worst(Lots(i64::MIN), open(0, i64::MAX), Side::Sell, Lots(i64::MAX));
        assert_eq!(most, 2 * i128::from(i64::MAX) - i128::from(i64::MIN));
    }

    #[test]
    fn a_position_of_unknown_worth_is_beyond_every_limit_until_it_is_known() {
        let mut gross = GrossNotional::new(Notional(1_000), 2);
        gross.set_value(0, HUNDRED);
        gross.set_lots(1, 1);
        assert_eq!(gross.total(), None);
        assert_eq!(gross.check(0, 1), BLOCKED);
        assert_eq!(gross.check(1, 2), BLOCKED);
        gross.set_value(1, HUNDRED);
        assert_eq!(gross.check(0, 1), Verdict::Pass);
        gross.set_value(1, None);
        assert_eq!(gross.total(), None);
        gross.set_lots(1, 0);
        assert_eq!(gross.total(), Some(Notional(0)));
    }

    #[test]
    fn what_is_not_held_may_wait_for_its_value_and_is_blocked_until_it_has_one() {
        let mut gross = GrossNotional::new(Notional(1_000), 2);
        gross.set_value(0, HUNDRED);
        assert!(gross.defer(0).is_none() && gross.is_deferred(0));
        assert_eq!(gross.total(), Some(Notional(0)));
        assert_eq!(gross.check(0, 1), BLOCKED, "its last value may be an old one");
        gross.set_value(0, HUNDRED);
        assert!(!gross.is_deferred(0));
        assert_eq!(gross.check(0, 1), Verdict::Pass);
        gross.set_lots(0, 1);
        assert!(gross.defer(2).is_none() && gross.waiting().is_none(), "one that there is not");
    }

    #[test]
    fn of_what_is_held_one_waits_and_no_worst_case_grows_until_it_is_valued() {
        let mut gross = GrossNotional::new(Notional(1_000), 3);
        for place in 0..3 {
            gross.set_value(place, HUNDRED);
            gross.set_lots(place, 2);
        }
        assert_eq!((gross.defer(0), gross.defer(0), gross.waiting()), (None, None, Some(0)));
        assert_eq!(gross.check(0, 2), Verdict::Pass, "it does not grow");
        assert_eq!(gross.check(0, 3), BLOCKED);
        assert_eq!(gross.check(1, 3), BLOCKED, "what waits counts for all");
        assert_eq!(
            (gross.defer(1), gross.waiting()),
            (Some(0), Some(1)),
            "who waited is valued now"
        );
        gross.set_value(0, HUNDRED);
        assert_eq!(gross.waiting(), Some(1));
        let half = HUNDRED.map(|value| value / 2);
        let totals = (gross.total(), gross.total_with(half), gross.total_with(None));
        assert_eq!(totals, (Some(Notional(600)), Some(Notional(500)), None));
        gross.set_value(1, half);
        assert_eq!(gross.total(), totals.1);
        assert_eq!(gross.check(1, 3), Verdict::Pass);
    }

    #[test]
    fn at_the_integers_extremes_it_blocks_and_never_wraps() {
        let mut gross = GrossNotional::new(Notional(i128::MAX), 2);
        gross.set_value(0, Some(i128::MIN));
        assert_eq!(gross.check(0, 1), BLOCKED);
        gross.set_value(0, Some(i64::MAX.into()));
        gross.set_lots(0, i64::MAX.into());
        assert_eq!(gross.total(), None, "more than money has room for is not known");
        gross.set_lots(0, 0);
        assert_eq!(gross.total(), Some(Notional(0)));
        // One more is counted than the valuation says.
        gross.set_value(0, Some((1 << 110) - 2));
        gross.set_lots(0, 1);
        assert_eq!(gross.total(), Some(Notional(((1 << 110) - 1) >> VALUE_BITS)));
        gross.set_value(0, Some((1 << 110) - 1));
        assert_eq!(gross.total(), None, "so far from the integer's edge sums have room");
    }
}
