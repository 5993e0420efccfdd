//! When holdings are moved between venues, and by which means: the cheapest of three.
//!
//! Fed by the maker's timer with what each venue holds; answers with what should move and what each
//! means costs. Maker thread, on the timer alone. The means: wait for the quotes (they are skewed by
//! venue, `quote/holdings.rs`), trade on two venues at once, or ask treasury for a transfer.
//! Deliberately absent: the orders and the request themselves, and any price.
//!
//! Costs are 1e-9 of the moved value, so that they compare whatever the amount:
//!
//! | means | costs | not possible where |
//! | --- | --- | --- |
//! | quotes | the skew given away on the way (half the whole at first, nothing at last), and the time that it takes at the pace of our fills, at `idle` a day | fills do not bring it that way |
//! | offset | half-spread, fee and depth of both legs, less what the selling venue pays more | no market, no room, or it would push the other currency out of its tolerance |
//! | transfer | the fee over the amount, and the transfer's time at `idle` a day | no terms, below the minimum, no room at the other end, table full |

use super::holdings::{PlaceTerms, WHOLE_PPM};
use crate::event::{InstrumentId, VenueId};
use crate::instrument::Currency;
use crate::inventory::hedge::{Candidate, HedgeOrder};
use crate::maker::config::HedgeInstrument;
use crate::units::{Lots, Side, Ticks};

/// A day.
const DAY_NS: i128 = 86_400_000_000_000;
/// Most levels of depth that are counted on.
const DEPTH_LEVELS: usize = 16;

/// What a transfer of a currency takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct TransferTerms {
    /// Of what.
    pub currency: Currency,
    /// Least that is moved, 1e-9; > 0.
    pub minimum: i64,
    /// What one costs, 1e-9; below the minimum.
    pub fee: i64,
    /// How long one takes.
    pub time_ns: u64,
}

/// Where holdings should be, and what moving them takes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct RebalanceConfig {
    /// Distance of looks; > 0 where there are places.
    pub every_ns: u64,
    /// What value at the wrong venue costs a day, 1e-9 of it.
    pub idle_ppb_day: i64,
    /// What should be where; empty: nothing is kept by place.
    pub places: Vec<PlaceTerms>,
    /// What may be asked of treasury.
    pub transfers: Vec<TransferTerms>,
    /// What may be traded for it, and how far beyond the touch.
    pub offsets: Vec<HedgeInstrument>,
}

impl RebalanceConfig {
    /// The currencies that it places, each once, in the order of first mention.
    pub fn currencies(&self) -> Vec<Currency> {
        let mut currencies = Vec::new();
        for place in &self.places {
            if !currencies.contains(&place.currency) {
                currencies.push(place.currency);
            }
        }
        currencies
    }

    /// What a transfer of a currency takes.
    pub fn transfer_of(&self, currency: Currency) -> Option<&TransferTerms> {
        self.transfers.iter().find(|terms| terms.currency == currency)
    }
}

/// What a place holds of its currency, with what is on its way there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holder {
    /// What should be there.
    pub terms: PlaceTerms,
    /// 1e-9.
    pub held: i128,
}

/// How far a place is from what it should hold, 1e-9, + too much; and how far it may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deviation {
    /// Which place.
    pub venue: VenueId,
    /// How far.
    pub by: i128,
    /// How far it may be, ≥ 0.
    pub tolerated: i128,
}

impl Deviation {
    /// Of a holder, where its currency is `whole` in all.
    pub fn of(holder: &Holder, whole: i128) -> Deviation {
        let part = |ppm: u32| whole.saturating_mul(ppm.into()).div_euclid(WHOLE_PPM.into());
        Deviation {
            venue: holder.terms.venue,
            by: holder.held.saturating_sub(part(holder.terms.weight_ppm)),
            tolerated: part(holder.terms.tolerance_ppm).max(0),
        }
    }

    /// Is it further than it may be?
    pub fn is_beyond(&self) -> bool {
        self.by.saturating_abs() > self.tolerated
    }

    /// Would a change leave it within what is tolerated, or no further out than it is?
    pub fn bears(&self, change: i128) -> bool {
        let after = self.by.saturating_add(change).saturating_abs();
        after <= self.tolerated.max(self.by.saturating_abs())
    }
}

/// What should move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Stray {
    /// The venue with most too much.
    pub from: VenueId,
    /// The venue with most too little.
    pub to: VenueId,
    /// How much, 1e-9: what brings the nearer of the two home.
    pub amount: i64,
}

/// What of a currency should move, once one of its places is beyond its tolerance.
pub fn stray(holders: impl Iterator<Item = Holder> + Clone) -> Option<Stray> {
    let whole = holders.clone().fold(0i128, |sum, holder| sum.saturating_add(holder.held));
    let deviations = holders.map(|holder| Deviation::of(&holder, whole));
    if !deviations.clone().any(|deviation| deviation.is_beyond()) {
        return None;
    }
    let over = deviations.clone().max_by_key(|deviation| deviation.by)?;
    let under = deviations.min_by_key(|deviation| deviation.by)?;
    let amount = over.by.min(under.by.saturating_neg());
    let amount = i64::try_from(amount).unwrap_or(i64::MAX);
    (amount > 0 && over.venue != under.venue).then_some(Stray {
        from: over.venue,
        to: under.venue,
        amount,
    })
}

/// By which means holdings move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Means {
    /// The quotes bring them.
    Quotes,
    /// Trades on two venues.
    Offset,
    /// Treasury moves them.
    Transfer,
}

impl Means {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Means::Quotes => "quotes",
            Means::Offset => "offset",
            Means::Transfer => "transfer",
        }
    }
}

/// What each means costs, 1e-9 of the moved value; `None` where it is not possible.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Costs {
    /// Waiting for the quotes.
    pub quotes: Option<i64>,
    /// Trades on two venues.
    pub offset: Option<i64>,
    /// A transfer.
    pub transfer: Option<i64>,
}

impl Costs {
    /// The cheapest; ties go to the one that does least.
    pub fn cheapest(&self) -> Option<Means> {
        let means = [
            (self.quotes, Means::Quotes),
            (self.transfer, Means::Transfer),
            (self.offset, Means::Offset),
        ];
        let possible = means.into_iter().filter_map(|(cost, means)| Some((cost?, means)));
        possible.min_by_key(|(cost, _)| *cost).map(|(_, means)| means)
    }
}

/// How a currency stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Balance {
    /// Nothing was looked at yet, or something there has no value.
    #[default]
    Unknown,
    /// Every place is within its tolerance.
    Within,
    /// Something should move, and does so by these means.
    Moving(Means),
    /// Something should move, and no means can.
    Stuck,
}

impl Balance {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Balance::Unknown => "unknown",
            Balance::Within => "within",
            Balance::Moving(means) => means.name(),
            Balance::Stuck => "stuck",
        }
    }
}

/// What value at the wrong place for so long costs, 1e-9 of it, rounded up.
pub fn idle_ppb(idle_ppb_day: i64, time_ns: i128) -> i64 {
    let cost = i128::from(idle_ppb_day).saturating_mul(time_ns.max(0));
    let cost = cost.saturating_add(DAY_NS - 1).div_euclid(DAY_NS);
    i64::try_from(cost).unwrap_or(i64::MAX)
}

/// What a transfer of `amount` costs, 1e-9 of it, rounded up; `None` below the minimum.
pub fn transfer_ppb(terms: &TransferTerms, amount: i64, idle_ppb_day: i64) -> Option<i64> {
    if amount < terms.minimum || amount <= terms.fee {
        return None;
    }
    let fee = i128::from(terms.fee).saturating_mul(1_000_000_000);
    let fee = fee.saturating_add(i128::from(amount) - 1).checked_div_euclid(amount.into())?;
    let idle = idle_ppb(idle_ppb_day, terms.time_ns.into());
    i64::try_from(fee).ok()?.checked_add(idle)
}

/// One leg of an offset: at most `lots`, no more than is displayed within the collar.
pub fn leg(candidate: &Candidate<'_>, side: Side, lots: Lots) -> Option<HedgeOrder> {
    let (taken, best) = match side {
        Side::Buy => (Side::Sell, candidate.touch.ask.price),
        Side::Sell => (Side::Buy, candidate.touch.bid.price),
    };
    let price = best.0.saturating_add(candidate.collar.0.saturating_mul(side.sign()));
    let price = Ticks(price);
    let visible = candidate.book.size_within(taken, price, DEPTH_LEVELS);
    let size = Lots(lots.0.min(visible.0).min(candidate.order_size_max.0));
    let instrument = candidate.instrument;
    (size.0 > 0).then_some(HedgeOrder { instrument, side, price, size })
}

/// An offset that is under way: the first leg is out, or traded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Offset {
    /// The second leg's instrument.
    pub second: InstrumentId,
    /// Its side.
    pub side: Side,
    /// What the first leg traded, 1e-9 of the underlying; 0 while it is out.
    pub owed: i64,
    /// The second leg is out.
    pub is_second_out: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holder(venue: u8, weight_ppm: u32, held: i128) -> Holder {
        let (venue, currency) = (VenueId(venue), Currency(0));
        let terms = PlaceTerms { venue, currency, weight_ppm, tolerance_ppm: 100_000, opening: 0 };
        Holder { terms, held }
    }

    #[test]
    fn within_tolerance_nothing_moves_and_beyond_it_the_nearer_of_two_comes_home() {
        let of = |one, two| stray([holder(0, 500_000, one), holder(1, 500_000, two)].into_iter());
        assert_eq!(of(600, 400), None, "a tenth of the whole is tolerated");
        let moved = |from, to, amount| Some(Stray { from: VenueId(from), to: VenueId(to), amount });
        assert_eq!(of(601, 399), moved(0, 1, 101));
        assert_eq!(of(100, 900), moved(1, 0, 400));
        let three = [holder(0, 500_000, 900), holder(1, 300_000, 100), holder(2, 200_000, 0)];
        assert_eq!(stray(three.into_iter()), moved(0, 1, 200), "the one that lacks most");
    }

    #[test]
    fn the_cheapest_means_that_is_possible_is_taken() {
        let costs = Costs { quotes: Some(5), offset: Some(4), transfer: Some(3) };
        assert_eq!(costs.cheapest(), Some(Means::Transfer));
        assert_eq!(Costs { transfer: None, ..costs }.cheapest(), Some(Means::Offset));
        assert_eq!(Costs { quotes: Some(3), ..costs }.cheapest(), Some(Means::Quotes));
        assert_eq!(Costs::default().cheapest(), None);
    }

    #[test]
    fn a_transfer_costs_its_fee_over_the_amount_and_its_time() {
        let terms = TransferTerms {
            currency: Currency(0),
            minimum: 1_000,
            fee: 10,
            time_ns: 43_200_000_000_000,
        };
        assert_eq!(transfer_ppb(&terms, 999, 0), None);
        assert_eq!(transfer_ppb(&terms, 1_000, 0), Some(10_000_000));
        assert_eq!(transfer_ppb(&terms, 2_000, 100_000), Some(5_000_000 + 50_000));
        assert_eq!(idle_ppb(100_000, 1), 1, "rounded up");
    }

    proptest! {
        #[test]
        fn what_moves_brings_nobody_beyond_its_target(
            held in prop::collection::vec(0i128..1_000_000_000, 2..5),
        ) {
            let count = u32::try_from(held.len()).unwrap();
            let holders: Vec<_> = (0u8..).zip(&held).map(|(venue, held)| {
                let rest = WHOLE_PPM - WHOLE_PPM / count * (count - 1);
                holder(venue, if venue == 0 { rest } else { WHOLE_PPM / count }, *held)
            }).collect();
            let whole: i128 = held.iter().sum();
            if let Some(stray) = stray(holders.iter().copied()) {
                let by = |venue: VenueId| {
                    Deviation::of(&holders[usize::from(venue.0)], whole).by
                };
                prop_assert!(by(stray.from) >= i128::from(stray.amount));
                prop_assert!(by(stray.to) <= -i128::from(stray.amount));
            }
        }
    }
}
