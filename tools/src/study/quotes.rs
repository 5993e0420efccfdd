//! A quoter's answers as doubles, memoised by inventory, with the chance of a fill at each.
//!
//! Fed by the engine's quoting functions; feeds the simulated markets. A quote depends on the
//! inventory and the state of the market alone, so that one call an inventory answers millions of
//! steps; what is memoised is what [`Quoter::half_spreads`] said.

use ballast_engine::fixed::Scaled;
use ballast_engine::quote::Quoter;
use ballast_engine::units::{Lots, SubTicks};

/// Distances of the quotes from the mid, in ticks, and the chance that a step fills each.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Quote {
    /// Mid minus bid; infinite where there is none.
    pub bid: f64,
    /// Ask minus mid; infinite where there is none.
    pub ask: f64,
    /// Chance that the bid is hit.
    pub bid_chance: f64,
    /// Chance that the ask is lifted.
    pub ask_chance: f64,
}

/// The market that fills come from: `λ(δ) = A e^(−kδ)`, linear in a step of time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Intensity {
    /// A times the length of a step.
    pub per_step: f64,
    /// k, per tick.
    pub decay: f64,
}

/// Inventories that are memoised lie within ± this.
const REACH: i64 = 1024;

/// A quoter in one state of the market.
pub struct Memo {
    quoter: Quoter,
    sigma: Scaled,
    time_left: Scaled,
    intensity: Intensity,
    quotes: Vec<Option<Quote>>,
}

impl Memo {
    /// Nothing asked yet. `sigma` in ticks per √s, `time_left` in seconds.
    pub fn new(quoter: Quoter, sigma: Scaled, time_left: Scaled, intensity: Intensity) -> Memo {
        Memo { quoter, sigma, time_left, intensity, quotes: vec![None; 2 * REACH as usize + 1] }
    }

    /// The quote at an inventory.
    pub fn at(&mut self, inventory: i64) -> Quote {
        let index = usize::try_from(inventory + REACH).unwrap_or(usize::MAX);
        if let Some(Some(quote)) = self.quotes.get(index) {
            return *quote;
        }
        let quote = self.ask_quoter(inventory);
        if let Some(place) = self.quotes.get_mut(index) {
            *place = Some(quote);
        }
        quote
    }

    fn ask_quoter(&self, inventory: i64) -> Quote {
        let half = self.quoter.half_spreads(Lots(inventory), self.sigma, self.time_left);
        let (bid, ask) = (ticks(half.bid), ticks(half.ask));
        let chance =
            |distance: f64| self.intensity.per_step * libm::exp(-self.intensity.decay * distance);
        Quote { bid, ask, bid_chance: chance(bid), ask_chance: chance(ask) }
    }
}

/// A half-spread in ticks; infinite where the side is not quoted.
pub fn ticks(half: Option<SubTicks>) -> f64 {
    half.map_or(f64::INFINITY, |half| half.0 as f64 / SubTicks::ONE.0 as f64)
}
