//! What is wrong with where a config wants its holdings.
//!
//! Fed by [`MakerConfig`]; feeds its faults. Once a start. A currency's shares must add up to the whole,
//! its cash to the account's, and both ends of a transfer must hold it alike.

use super::config::MakerConfig;
use crate::event::{InstrumentId, VenueId};
use crate::instrument::{Currency, Instrument, InstrumentKind};
use crate::inventory::holdings::{PlaceTerms, WHOLE_PPM};
use thiserror::Error;

/// What is wrong with where holdings should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum RebalanceFault {
    /// Looks without distance.
    #[error("rebalance.every_ms must be greater than zero")]
    Every,
    /// Shares that are no whole.
    #[error(
        "the weights of {currency:?} over its venues add up to {sum_ppm} millionths; they must add up to \
         1000000"
    )]
    Weights {
        /// Of which currency.
        currency: Currency,
        /// To what they add up.
        sum_ppm: u64,
    },
    /// The same place twice.
    #[error("{currency:?} at venue {venue:?} stands in rebalance.holdings twice")]
    Twice {
        /// Where.
        venue: VenueId,
        /// Of what.
        currency: Currency,
    },
    /// A coin that is an instrument's position at one venue and cash at another.
    #[error(
        "{0:?} is traded spot at one of its venues and not at another: neither can be moved there"
    )]
    Unlike(Currency),
    /// Cash that is nowhere, or twice.
    #[error(
        "the openings of {currency:?} at its venues add up to {placed} (1e-9), and opening_cash says \
         {opening}; what is where must add up to what there is"
    )]
    Opening {
        /// Of which currency.
        currency: Currency,
        /// What the places say.
        placed: i128,
        /// What the account says.
        opening: i128,
    },
    /// A transfer that could cost all of itself.
    #[error("a transfer of {0:?} must have 0 <= fee < minimum")]
    Fee(Currency),
    /// An offset on what is not spot.
    #[error("rebalance.offset names instrument {0:?}, which is not there or no spot instrument")]
    NotSpot(InstrumentId),
}

impl MakerConfig {
    /// All of it.
    pub(super) fn rebalance_faults(&self) -> Vec<RebalanceFault> {
        let config = &self.rebalance;
        let mut faults = Vec::new();
        if config.places.is_empty() {
            return faults;
        }
        if config.every_ns == 0 {
            faults.push(RebalanceFault::Every);
        }
        for (n, place) in config.places.iter().enumerate() {
            let (venue, currency) = (place.venue, place.currency);
            let is_same = |other: &PlaceTerms| (other.venue, other.currency) == (venue, currency);
            if config.places.iter().take(n).any(is_same) {
                faults.push(RebalanceFault::Twice { venue, currency });
            }
        }
        for currency in config.currencies() {
            self.currency_faults(currency, &mut faults);
        }
        let is_spot = |id: InstrumentId| {
            let instrument = self.instruments.get(usize::from(id.0));
            instrument.is_some_and(|instrument| instrument.spec().kind == InstrumentKind::Spot)
        };
        let offsets = config.offsets.iter().map(|with| with.instrument);
        faults.extend(offsets.filter(|id| !is_spot(*id)).map(RebalanceFault::NotSpot));
        let is_wrong = |fee: i64, minimum: i64| fee < 0 || fee >= minimum;
        let terms = config.transfers.iter().filter(|terms| is_wrong(terms.fee, terms.minimum));
        faults.extend(terms.map(|terms| RebalanceFault::Fee(terms.currency)));
        faults
    }

    fn currency_faults(&self, currency: Currency, faults: &mut Vec<RebalanceFault>) {
        let places = || self.rebalance.places.iter().filter(|place| place.currency == currency);
        let sum_ppm = places().map(|place| u64::from(place.weight_ppm)).sum();
        if sum_ppm != u64::from(WHOLE_PPM) {
            faults.push(RebalanceFault::Weights { currency, sum_ppm });
        }
        let is_coin = |place: &PlaceTerms| {
            self.instruments.iter().map(Instrument::spec).any(|spec| {
                spec.kind == InstrumentKind::Spot
                    && (spec.venue, spec.base) == (place.venue, currency)
            })
        };
        let coins = places().filter(|place| is_coin(place)).count();
        if coins != 0 && coins != places().count() {
            faults.push(RebalanceFault::Unlike(currency));
        }
        // An earlier run's cash is where it left it; the config's opening is what began.
        if self.resumption.is_none() {
            let placed = places().map(|place| i128::from(place.opening)).sum();
            let opening = self.opening_cash.iter().filter(|(of, _)| *of == currency);
            let opening = opening.map(|(_, cash)| cash.0).sum();
            if placed != opening {
                faults.push(RebalanceFault::Opening { currency, placed, opening });
            }
        }
    }
}
