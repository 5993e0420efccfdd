//! What is held where: each venue's share of each currency, in total and available.
//!
//! Fed by the maker: with every change of cash at a venue as it happens, with totals counted anew on the
//! timer and after every booking at the venue; feeds the decision to rebalance, the room of bids, and
//! reports. Maker thread; places are few and a change touches those of one venue. Deliberately absent:
//! prices and orders (the maker counts), and coins in lots (the ledger's positions are the truth).
//!
//! A currency's cash is one sum in the ledger. Here it is kept by place, and what came without a place
//! is kept apart: places, unplaced and on its way add up to the ledger's sum after every event.

use super::transfer::Transit;
use crate::event::{InstrumentId, VenueId};
use crate::instrument::{Currency, Instrument, InstrumentKind};
use crate::pnl::ledger::Ledger;
use crate::units::Nanos;

/// Parts of the whole that weights and tolerances are counted in.
pub const WHOLE_PPM: u32 = 1_000_000;

/// What should be held at one place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct PlaceTerms {
    /// Where.
    pub venue: VenueId,
    /// Of what.
    pub currency: Currency,
    /// Its share of the currency's whole, in millionths; the shares of a currency add up to the whole.
    pub weight_ppm: u32,
    /// How far from it the share may stray, in millionths of the whole.
    pub tolerance_ppm: u32,
    /// Cash there at the start, in 1e-9; coins are their instrument's opening.
    pub opening: i64,
}

/// What one place holds, in 1e-9 of its currency.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Held {
    /// All of it: coins or cash, and what positions that settle in it are worth.
    pub total: i128,
    /// What open orders and margin leave of it.
    pub available: i128,
}

/// One place.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Place {
    terms: PlaceTerms,
    /// The spot instrument whose position it is, where it is a coin.
    coin: Option<InstrumentId>,
    /// Cash booked there.
    cash: i128,
    /// As last counted; `None` where something there has no value.
    held: Option<Held>,
    flow: Flow,
}

/// What fills of quotes bring a place, smoothed over looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Flow {
    /// Since the last look.
    fresh: i128,
    /// A look, times 2^[`Flow::FRACTION_BITS`].
    smooth: i128,
}

impl Flow {
    const FRACTION_BITS: u32 = 16;
    /// A look weighs 2^-this.
    const WEIGHT_SHIFT: u32 = 4;

    /// A fill of a quote brought so much; negative where it took.
    pub fn add(&mut self, amount: i128) {
        self.fresh = self.fresh.saturating_add(amount);
    }

    /// A look is over.
    pub fn look(&mut self) {
        let fresh = self.fresh.saturating_mul(1 << Self::FRACTION_BITS);
        let step = fresh.saturating_sub(self.smooth) >> Self::WEIGHT_SHIFT;
        self.smooth = self.smooth.saturating_add(step);
        self.fresh = 0;
    }

    /// How many looks it takes to bring `amount` at this pace; `None` where it goes the other way, or
    /// nowhere.
    pub fn looks_for(&self, amount: i128) -> Option<i128> {
        let is_that_way = self.smooth.signum() == amount.signum() && self.smooth != 0;
        let wanted = amount.saturating_mul(1 << Self::FRACTION_BITS);
        if is_that_way { wanted.checked_div(self.smooth) } else { None }
    }
}

impl Place {
    /// What should be held there.
    pub fn terms(&self) -> &PlaceTerms {
        &self.terms
    }

    /// The spot instrument whose position it is, where it is a coin.
    pub fn coin(&self) -> Option<InstrumentId> {
        self.coin
    }

    /// As last counted; `None` where something there has no value.
    pub fn held(&self) -> Option<Held> {
        self.held
    }

    /// Cash booked there.
    pub fn cash(&self) -> i128 {
        self.cash
    }

    /// What fills of quotes bring it.
    pub fn flow(&self) -> Flow {
        self.flow
    }
}

/// All places.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Holdings {
    places: Vec<Place>,
    /// Cash that nobody said the place of, by currency.
    unplaced: Vec<i128>,
    /// When the decision was last taken.
    pub looked_at: Option<Nanos>,
}

impl Holdings {
    /// As the config has it; `opening` is the account's cash by currency, of which what has no place is
    /// kept apart.
    pub fn new(terms: &[PlaceTerms], instruments: &[Instrument], ledger: &Ledger) -> Holdings {
        let coin = |terms: &PlaceTerms| {
            let here = instruments.iter().find(|instrument| {
                let spec = instrument.spec();
                spec.kind == InstrumentKind::Spot
                    && spec.venue == terms.venue
                    && spec.base == terms.currency
            });
            here.map(Instrument::id)
        };
        let place = |terms: &PlaceTerms| Place {
            terms: *terms,
            coin: coin(terms),
            cash: terms.opening.into(),
            held: None,
            flow: Flow::default(),
        };
        let mut holdings = Holdings {
            places: terms.iter().map(place).collect(),
            unplaced: (0..=u8::MAX)
                .map_while(|number| ledger.cash(Currency(number)))
                .map(|cash| cash.0)
                .collect(),
            looked_at: None,
        };
        for n in 0..holdings.places.len() {
            let Some(place) = holdings.places.get(n) else { continue };
            let (currency, cash) = (place.terms.currency, place.cash);
            holdings.unplace(currency, cash.saturating_neg());
        }
        holdings
    }

    fn unplace(&mut self, currency: Currency, amount: i128) {
        if let Some(unplaced) = self.unplaced.get_mut(usize::from(currency.0)) {
            *unplaced = unplaced.saturating_add(amount);
        }
    }

    /// Is nothing kept by place?
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The places, in the config's order.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// A currency at a venue.
    pub fn at(&self, venue: VenueId, currency: Currency) -> Option<&Place> {
        let is_it = |place: &&Place| (place.terms.venue, place.terms.currency) == (venue, currency);
        self.places.iter().find(is_it)
    }

    fn at_mut(&mut self, venue: VenueId, currency: Currency) -> Option<&mut Place> {
        let is_it =
            |place: &&mut Place| (place.terms.venue, place.terms.currency) == (venue, currency);
        self.places.iter_mut().find(is_it)
    }

    /// Cash came to a place, or left it; without a place, it is kept apart.
    pub fn cash_moved(&mut self, venue: Option<VenueId>, currency: Currency, amount: i128) {
        let place = venue.and_then(|venue| self.at_mut(venue, currency));
        match place {
            Some(place) => place.cash = place.cash.saturating_add(amount),
            None => self.unplace(currency, amount),
        }
    }

    /// A fill of a quote brought a place so much, or took it.
    pub fn on_quote_fill(&mut self, venue: VenueId, currency: Currency, amount: i128) {
        if let Some(place) = self.at_mut(venue, currency) {
            place.flow.add(amount);
        }
    }

    /// A place was counted anew.
    pub fn counted(&mut self, number: usize, held: Option<Held>) {
        if let Some(place) = self.places.get_mut(number) {
            place.held = held;
        }
    }

    /// Puts what is at places as an earlier run left it.
    pub fn restore(&mut self, venue: VenueId, currency: Currency, cash: i128) {
        let Some(place) = self.at_mut(venue, currency) else { return };
        let was = std::mem::replace(&mut place.cash, cash);
        self.unplace(currency, was.saturating_sub(cash));
    }

    /// A look is over.
    pub fn look(&mut self) {
        for place in &mut self.places {
            place.flow.look();
        }
    }

    /// Do places, what has none and what is on its way add up to the account, for every currency; and
    /// is each instrument's part of what is on its way in the account?
    pub fn is_conserved(&self, transit: &Transit, ledger: &Ledger) -> bool {
        let is_all = |(number, unplaced): (u8, &i128)| {
            let currency = Currency(number);
            let placed = self.places.iter().filter(|place| place.terms.currency == currency);
            let placed: i128 = placed.map(|place| place.cash).sum();
            let on_the_way = transit.cash_on_the_way(currency);
            let sum = placed.checked_add(*unplaced).and_then(|sum| sum.checked_add(on_the_way));
            sum == ledger.cash(currency).map(|cash| cash.0)
        };
        (0..=u8::MAX).zip(&self.unplaced).all(is_all) && transit.is_conserved()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_that_goes_the_other_way_brings_nothing_home() {
        let mut flow = Flow::default();
        assert_eq!(flow.looks_for(100), None, "nothing flows");
        for _ in 0..200 {
            flow.add(10);
            flow.look();
        }
        assert_eq!(flow.looks_for(-100), None);
        let looks = flow.looks_for(100).unwrap();
        assert!((10..=11).contains(&looks), "ten a look: {looks}");
        for _ in 0..20 {
            flow.look();
        }
        assert!(flow.looks_for(100).unwrap() > 30, "it dries up");
    }
}
