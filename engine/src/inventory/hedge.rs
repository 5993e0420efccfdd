//! When exposure is traded away, and on what: the band hedger.
//!
//! Fed by the maker with net exposure and the trusted hedge markets; feeds the gate with one
//! immediate order. Maker thread. Inside the band the quotes bring the inventory home for nothing;
//! beyond it the cheapest instrument takes it back to the inner edge. Deliberately absent: a second
//! hedge while one is unanswered (the maker asks only then), and any order that could add exposure:
//! sizes round toward nothing.

use crate::event::InstrumentId;
use crate::instrument::ContractValue;
use crate::inventory::derived::DerivedBand;
use crate::inventory::exposure::exposure_per_lot;
use crate::market::book::{Book, Touch};
use crate::pnl::valuation::HalfTicks;
use crate::units::{Exposure, FeeRate, Lots, Side, Ticks};

/// The no-trade band of an underlying.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Band {
    /// No hedge while |net exposure| is within this.
    pub outer: Exposure,
    /// A hedge brings |net exposure| back to this; less than `outer`.
    pub inner: Exposure,
}

/// Where the no-trade band comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum BandRule {
    /// As the config says.
    Fixed(Band),
    /// Solved; follows volatility and cost, and never passes the soft limit.
    Derived(Box<DerivedBand>),
}

/// One instrument that could hedge, with its trusted market.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Which.
    pub instrument: InstrumentId,
    /// What a lot is worth.
    pub contract: ContractValue,
    /// Its book.
    pub book: &'a Book,
    /// Its touch, trusted.
    pub touch: Touch,
    /// What taking costs.
    pub taker_fee: FeeRate,
    /// What holding it for as long as hedges are held costs: capital, and funding where it is paid; in
    /// 1e-9 of the value, negative where it is received.
    pub carry_ppb: i64,
    /// How far beyond the touch the order may pay.
    pub collar: Ticks,
    /// Largest order.
    pub order_size_max: Lots,
}

/// Which instruments have failed since a hedge last traded, and how often all had.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Attempts {
    failed: u64,
    rounds: u32,
}

/// The collar is doubled at most so often; the gate's own stands in any case.
const WIDENINGS_MAX: u32 = 4;

impl Attempts {
    /// Has the instrument in this place failed in this round?
    pub fn has_failed(&self, place: u32) -> bool {
        1u64.checked_shl(place).is_some_and(|bit| self.failed & bit != 0)
    }

    /// By what the collar is multiplied: twice as much after each round in which all failed.
    pub fn widening(&self) -> i64 {
        1 << self.rounds.min(WIDENINGS_MAX)
    }

    /// The instrument in this place, of so many, has failed. Says whether another one is left in this
    /// round; where none is, the next begins.
    pub fn fail(&mut self, place: Option<u32>, instruments: usize) -> bool {
        let has_more = self.pass_over(place, instruments);
        if !has_more {
            self.next_round();
        }
        has_more
    }

    /// The instrument in this place, of so many, is not to be had now, whatever its price: as
    /// [`fail`](Attempts::fail), but where none is left, all are asked again with the same collar.
    pub fn block(&mut self, place: Option<u32>, instruments: usize) -> bool {
        let has_more = self.pass_over(place, instruments);
        if !has_more {
            self.failed = 0;
        }
        has_more
    }

    fn pass_over(&mut self, place: Option<u32>, instruments: usize) -> bool {
        self.failed |= place.and_then(|place| 1u64.checked_shl(place)).unwrap_or(0);
        let failed = usize::try_from(self.failed.count_ones()).unwrap_or(usize::MAX);
        failed < instruments
    }

    /// All that can be asked have failed.
    pub fn next_round(&mut self) {
        self.failed = 0;
        self.rounds = self.rounds.saturating_add(1);
    }

    /// Has any failed in this round?
    pub fn is_narrowed(&self) -> bool {
        self.failed != 0
    }
}

/// One immediate-or-cancel order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HedgeOrder {
    /// On what.
    pub instrument: InstrumentId,
    /// Which way.
    pub side: Side,
    /// Worst price.
    pub price: Ticks,
    /// How much; never more than the excess, the visible depth or the largest order.
    pub size: Lots,
}

/// Most levels of depth that are counted on.
const DEPTH_LEVELS: usize = 16;

/// How much exposure is beyond the band's inner edge, signed, once it is beyond the outer one.
pub fn excess(net: Exposure, band: Band) -> Exposure {
    let size = net.0.saturating_abs();
    if size <= band.outer.0 {
        return Exposure(0);
    }
    let beyond = size.saturating_sub(band.inner.0).max(0);
    Exposure(beyond.saturating_mul(net.0.signum()))
}

/// The cheapest order that takes `excess` off, or `None` where no candidate can. Ties go to the
/// earlier candidate.
pub fn cheapest<'a>(
    excess: Exposure,
    candidates: impl Iterator<Item = Candidate<'a>>,
) -> Option<HedgeOrder> {
    let side = side_of(excess)?;
    let mut best: Option<(i128, HedgeOrder)> = None;
    for candidate in candidates {
        let Some(order) = order(excess, &candidate) else { continue };
        let cost = candidate.cost_ppb(side, order.size);
        if best.is_none_or(|(least, _)| cost < least) {
            best = Some((cost, order));
        }
    }
    best.map(|(_, order)| order)
}

/// The side that takes an exposure off.
fn side_of(excess: Exposure) -> Option<Side> {
    match excess.0.signum() {
        1 => Some(Side::Sell),
        -1 => Some(Side::Buy),
        _ => None,
    }
}

impl Candidate<'_> {
    /// What a unit costs where so much is taken: half the spread, the taker fee, how far the visible
    /// depth is walked, and what holding it costs, in 1e-9 of the value.
    pub fn cost_ppb(&self, side: Side, size: Lots) -> i128 {
        let mid = i128::from(self.touch.mid_half_ticks()).abs().max(1);
        let half_spread = i128::from(self.touch.spread().0) * 1_000_000_000 / mid;
        let paid = i128::from(self.taker_fee.0) + i128::from(self.carry_ppb);
        half_spread + paid + self.slippage_ppb(side, size, mid)
    }

    /// How much worse than the touch the visible depth is on average, in 1e-9 of the value. What is
    /// beyond the depth counts at its last level.
    fn slippage_ppb(&self, side: Side, size: Lots, mid_half_ticks: i128) -> i128 {
        let mut left = size.0;
        let (mut walked, mut best, mut last) = (0i128, None, 0i128);
        for level in self.book.levels(side.opposite()).take(DEPTH_LEVELS) {
            let best = *best.get_or_insert(level.price.0);
            last = i128::from(level.price.0.saturating_sub(best)).abs();
            let taken = left.min(level.size.0);
            walked = walked.saturating_add(last.saturating_mul(i128::from(taken)));
            left = left.saturating_sub(taken);
            if left <= 0 {
                break;
            }
        }
        walked = walked.saturating_add(last.saturating_mul(i128::from(left.max(0))));
        let whole = i128::from(size.0.max(1)).saturating_mul(mid_half_ticks);
        walked.saturating_mul(2_000_000_000) / whole.max(1)
    }

    /// How many lots an exposure is, at the touch, rounded down, at least one.
    pub fn lots_of(&self, exposure: Exposure) -> Lots {
        let mid = HalfTicks(self.touch.mid_half_ticks());
        let per_lot = exposure_per_lot(self.contract, Some(mid));
        let lots = per_lot.and_then(|per_lot| exposure.0.checked_div(per_lot.0));
        Lots(lots.unwrap_or(1).max(1))
    }
}

/// The order that takes `excess` off with one candidate; `None` where it is less than a lot.
pub fn order(excess: Exposure, candidate: &Candidate<'_>) -> Option<HedgeOrder> {
    let side = side_of(excess)?;
    let touch = &candidate.touch;
    let (taken, price) = match side {
        Side::Buy => (Side::Sell, touch.ask.price.0.saturating_add(candidate.collar.0)),
        Side::Sell => (Side::Buy, touch.bid.price.0.saturating_sub(candidate.collar.0)),
    };
    let price = Ticks(price);
    // An inverse lot weighs `N/price`. At the worst price of a buy it weighs least and at the touch
    // most: the touch keeps the order from passing the inner edge.
    let best = match side {
        Side::Buy => touch.ask.price,
        Side::Sell => price,
    };
    let per_lot = exposure_per_lot(candidate.contract, HalfTicks::from_ticks(best))?;
    let wanted = excess.0.saturating_abs().checked_div(per_lot.0)?;
    let visible = candidate.book.size_within(taken, price, DEPTH_LEVELS);
    let size = wanted.min(visible.0).min(candidate.order_size_max.0);
    (size > 0).then_some(HedgeOrder {
        instrument: candidate.instrument,
        side,
        price,
        size: Lots(size),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::book::Level;
    use proptest::prelude::*;

    const BAND: Band = Band { outer: Exposure(100), inner: Exposure(40) };
    const CONTRACT: ContractValue =
        ContractValue::Linear { nano_per_tick_lot: 1, nano_underlying_per_lot: 10 };

    fn book(bid: i64, ask: i64, size: i64) -> Book {
        let mut book = Book::new(8);
        book.set(Side::Buy, Ticks(bid), Lots(size));
        book.set(Side::Sell, Ticks(ask), Lots(size));
        book
    }

    fn candidate(id: u16, book: &Book, taker_fee: i64) -> Candidate<'_> {
        Candidate {
            instrument: InstrumentId(id),
            contract: CONTRACT,
            book,
            touch: book.touch().unwrap(),
            taker_fee: FeeRate(taker_fee),
            carry_ppb: 0,
            collar: Ticks(5),
            order_size_max: Lots(1_000),
        }
    }

    #[test]
    fn inside_the_band_there_is_nothing_to_hedge() {
        assert_eq!(excess(Exposure(100), BAND), Exposure(0));
        assert_eq!(excess(Exposure(-100), BAND), Exposure(0));
        assert_eq!(excess(Exposure(101), BAND), Exposure(61));
        assert_eq!(excess(Exposure(-101), BAND), Exposure(-61));
    }

    #[test]
    fn the_cheaper_instrument_hedges() {
        let (wide, tight) = (book(990, 1010, 50), book(999, 1001, 50));
        let order =
            cheapest(Exposure(65), [candidate(1, &wide, 0), candidate(2, &tight, 0)].into_iter());
        let expected = HedgeOrder {
            instrument: InstrumentId(2),
            side: Side::Sell,
            price: Ticks(994),
            size: Lots(6),
        };
        assert_eq!(order, Some(expected));
        // A fee of 1 % outweighs a spread of 2 %'s half less a tenth.
        let order = cheapest(
            Exposure(65),
            [candidate(1, &wide, 0), candidate(2, &tight, 10_000_000)].into_iter(),
        );
        assert_eq!(order.map(|o| o.instrument), Some(InstrumentId(1)));
    }

    #[test]
    fn who_failed_is_passed_over_until_all_have_and_then_the_collar_widens() {
        let mut attempts = Attempts::default();
        assert!(attempts.fail(Some(1), 3), "two are left");
        assert!(attempts.has_failed(1) && !attempts.has_failed(0) && attempts.widening() == 1);
        assert!(attempts.fail(Some(0), 3));
        assert!(!attempts.fail(Some(2), 3), "all have failed");
        assert!(!attempts.has_failed(1) && !attempts.is_narrowed() && attempts.widening() == 2);
        for _ in 0..100 {
            attempts.next_round();
        }
        assert_eq!(attempts.widening(), 16);
        assert!(!attempts.has_failed(64), "beyond the bits nobody is remembered");
    }

    #[test]
    fn walking_the_book_counts_as_cost() {
        let mut thin = book(999, 1001, 1);
        for n in 1..8 {
            thin.set(Side::Buy, Ticks(999 - n), Lots(1));
        }
        let deep = book(998, 1002, 50);
        let of = |size| {
            let thin = candidate(1, &thin, 0);
            cheapest(Exposure(size), [thin, candidate(2, &deep, 0)].into_iter()).unwrap().instrument
        };
        assert_eq!(of(10), InstrumentId(1), "one lot at the touch");
        // Four lots are 999, 998, 997, 996: 1.5 ticks worse on average, and the spread is 1 better.
        assert_eq!(of(40), InstrumentId(2));
        let cost = candidate(1, &thin, 0).cost_ppb(Side::Sell, Lots(4));
        assert_eq!(cost, 1_000_000 + 1_500_000);
    }

    #[test]
    fn no_more_is_asked_than_is_displayed_within_the_collar() {
        let thin = book(999, 1001, 2);
        let order = cheapest(Exposure(-65), [candidate(1, &thin, 0)].into_iter()).unwrap();
        assert_eq!((order.side, order.price, order.size), (Side::Buy, Ticks(1006), Lots(2)));
    }

    #[test]
    fn an_excess_below_one_lot_waits() {
        let market = book(999, 1001, 50);
        assert_eq!(cheapest(Exposure(9), [candidate(1, &market, 0)].into_iter()), None);
    }

    proptest! {
        #[test]
        fn no_hedge_passes_the_inner_edge(net in -100_000i64..100_000, price in 100i64..100_000, inverse in any::<bool>()) {
            let mut book = Book::new(4);
            book.set(Side::Buy, Ticks(price), Lots(1_000_000));
            book.set(Side::Sell, Ticks(price + 1), Lots(1_000_000));
            let contract = if inverse {
                ContractValue::Inverse { nano_quote_per_lot: 1_000, nano_quote_per_tick: 1_000_000_000 }
            } else {
                CONTRACT
            };
            let touch = Touch {
                bid: Level { price: Ticks(price), size: Lots(1_000_000) },
                ask: Level { price: Ticks(price + 1), size: Lots(1_000_000) },
            };
            let candidate = Candidate {
                instrument: InstrumentId(0), contract, book: &book, touch,
                taker_fee: FeeRate(0), carry_ppb: 0, collar: Ticks(5), order_size_max: Lots(1_000_000),
            };
            let excess = excess(Exposure(net), BAND);
            if let Some(order) = cheapest(excess, [candidate].into_iter()) {
                // Whatever price in its range it trades at, what is left keeps its sign.
                for paid in [order.price.0, price, price + 1] {
                    let per_lot = exposure_per_lot(contract, HalfTicks::from_ticks(Ticks(paid))).unwrap();
                    let left = net.abs() - order.size.0 * per_lot.0;
                    let rounding = order.size.0;
                    prop_assert!(left >= BAND.inner.0 - rounding, "{left}");
                }
                prop_assert_eq!(order.side.sign(), -net.signum());
            }
        }
    }
}
