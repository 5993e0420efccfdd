//! Quotes that share one risk: instruments of correlated underlyings, each quoted by the inventories of
//! all (GLFT for several assets).
//!
//! Fed by the config (its members and first rows), by journaled rows whenever the covariance was
//! estimated anew, and by net deltas; feeds half-spreads. Maker thread: a quote sums one product a
//! member. Net delta counts, as everywhere: what a member's underlying holds hedged is no risk. A fill
//! in one requotes all. Deliberately absent: covariances (calibration's), and limits, which stay each
//! underlying's own.

use super::config::MakerConfig;
use super::{Maker, Pool};
use crate::event::InstrumentId;
use crate::fixed::Scaled;
use crate::instrument::{ContractValue, Currency};
use crate::maker::intents::Intents;
use crate::quote::multi_asset::{ASSETS_MAX, MultiAsset, SkewRow};
use crate::quote::{HalfSpreads, Quoter};
use crate::units::{Exposure, Lots};
use thiserror::Error;

/// One member, with what it is quoted by until the first covariance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortfolioMember {
    /// The quoted instrument.
    pub instrument: InstrumentId,
    /// Its row; its columns are the members in their order.
    pub quoter: MultiAsset,
}

/// What is wrong with a portfolio.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PortfolioFault {
    /// Too few or too many members.
    #[error("a portfolio has 2 to {ASSETS_MAX} members, not {0}")]
    Members(usize),
    /// A member is not what can be one.
    #[error(
        "portfolio member {0:?} must be spot or a linear contract that is quoted by glft or \
         glft_risk_neutral, the only member of its underlying, and settle in what the others do"
    )]
    Member(InstrumentId),
}

/// A member at work.
#[derive(Clone, Copy, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
struct Member {
    instrument: InstrumentId,
    pool: usize,
    /// Exposure of one lot.
    per_lot: Exposure,
    quoter: MultiAsset,
}

/// The members of a maker.
#[derive(Clone, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub(super) struct Portfolio {
    members: Vec<Member>,
    /// Grows whenever a member's net delta moves: kept half-spreads are those of one revision.
    revision: u32,
}

impl Portfolio {
    /// Of a config without faults.
    pub fn new(config: &MakerConfig) -> Portfolio {
        let members = config.portfolio_members.iter().filter_map(|member| {
            let instrument = config.instruments.get(usize::from(member.instrument.0))?;
            let ContractValue::Linear { nano_underlying_per_lot, .. } = instrument.value() else {
                return None;
            };
            Some(Member {
                instrument: member.instrument,
                pool: usize::from(instrument.spec().underlying.0),
                per_lot: Exposure(nano_underlying_per_lot),
                quoter: member.quoter,
            })
        });
        Portfolio { members: members.collect(), revision: 0 }
    }

    /// A member's place.
    pub fn place(&self, instrument: InstrumentId) -> Option<usize> {
        self.members.iter().position(|member| member.instrument == instrument)
    }

    /// What kept half-spreads of a member rest on; 0 for what is none.
    pub fn revision(&self, place: Option<usize>) -> u32 {
        place.map_or(0, |_| self.revision)
    }

    /// An underlying's net delta moved.
    pub fn on_delta(&mut self, pool: usize) {
        if self.members.iter().any(|member| member.pool == pool) {
            self.revision = self.revision.wrapping_add(1);
        }
    }

    /// A member's half-spreads now; `None` where somebody's net delta is not known or not confirmed: nothing
    /// is quoted by guesswork.
    pub fn half_spreads(&self, place: usize, pools: &[Pool], sigma: Scaled) -> Option<HalfSpreads> {
        let mut inventories = [Lots(0); ASSETS_MAX];
        for (held, member) in inventories.iter_mut().zip(&self.members) {
            let is_sure = |pool: &&Pool| pool.is_delta_known && pool.unconfirmed == 0;
            let pool = pools.get(member.pool).filter(is_sure)?;
            *held = Lots(pool.delta.0.checked_div(member.per_lot.0).unwrap_or(0));
        }
        Some(self.members.get(place)?.quoter.wide(&inventories, sigma).nearest())
    }
}

impl Maker {
    /// Takes a member's row in; one of no member changes nothing and is counted.
    pub(super) fn on_skew_row(&mut self, row: &SkewRow, out: &mut Intents) {
        let place = self.portfolio.place(row.instrument);
        let member = place.and_then(|place| self.portfolio.members.get_mut(place));
        let taken = member.and_then(|member| {
            member.quoter = member.quoter.with(row)?;
            Some(())
        });
        let counters = &mut self.counters;
        if taken.is_none() {
            counters.parameters_refused = counters.parameters_refused.saturating_add(1);
            return;
        }
        counters.parameters = counters.parameters.saturating_add(1);
        self.requote(row.instrument, out);
    }

    /// A fill moved an underlying's net delta: whoever shares its risk is quoted anew.
    pub(super) fn requote_members(&mut self, filled: InstrumentId, out: &mut Intents) {
        let pool = self.pool_of(filled);
        let is_member = self.portfolio.members.iter().any(|member| Some(member.pool) == pool);
        for n in 0..self.portfolio.members.len() {
            let member = self.portfolio.members.get(n).filter(|_| is_member);
            if let Some(id) = member.map(|member| member.instrument).filter(|id| *id != filled) {
                self.requote(id, out);
            }
        }
    }
}

impl MakerConfig {
    /// What is wrong with the portfolio, if anything.
    pub(super) fn portfolio_faults(&self) -> Vec<PortfolioFault> {
        let members = &self.portfolio_members;
        if members.is_empty() {
            return Vec::new();
        }
        if !(2..=ASSETS_MAX).contains(&members.len()) {
            return vec![PortfolioFault::Members(members.len())];
        }
        let mut faults = Vec::new();
        let mut settlement: Option<Currency> = None;
        for (place, member) in members.iter().enumerate() {
            let id = usize::from(member.instrument.0);
            let quote = self.settings.get(id).and_then(|settings| settings.quote.as_ref());
            let is_glft = quote.is_some_and(|quote| matches!(quote.quoter, Quoter::Glft(_)));
            let spec = self.instruments.get(id).map(|instrument| instrument.spec());
            let is_linear = self
                .instruments
                .get(id)
                .is_some_and(|i| matches!(i.value(), ContractValue::Linear { .. }));
            let is_twice = members.iter().take(place).any(|other| {
                let other = self.instruments.get(usize::from(other.instrument.0));
                other.map(|other| other.spec().underlying) == spec.map(|spec| spec.underlying)
            });
            let currency = spec.map(|spec| spec.settlement);
            settlement = settlement.or(currency);
            if !is_glft || !is_linear || is_twice || currency != settlement {
                faults.push(PortfolioFault::Member(member.instrument));
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::closed_form::Xi;
    use crate::calibration::linear::Matrix;
    use crate::calibration::multi_asset::{Asset, solve};
    use crate::calibration::{QuoteParameters, Real, quoter};
    use crate::quote::Model;

    fn real(number: f64) -> Real {
        Real::from(number)
    }

    fn asset(sigma: f64) -> Asset {
        Asset {
            sigma: real(sigma),
            intensity: real(0.9),
            decay: real(0.3),
            order_size: real(10.0),
            lot: Real::ONE,
        }
    }

    fn member(rho: f64) -> MultiAsset {
        let rho = Matrix::from_fn(2, 2, |i, j| if i == j { Real::ONE } else { real(rho) });
        let assets = [asset(0.3), asset(0.4)];
        solve(real(0.01), Xi::Gamma, &assets, &rho).unwrap().quoter(0).unwrap()
    }

    fn at(quoter: &MultiAsset, held: [i64; 2]) -> (i64, i64) {
        let half = quoter.wide(&held.map(Lots), real(0.3).scaled()).nearest();
        (half.bid.unwrap().0, half.ask.unwrap().0)
    }

    #[test]
    fn without_correlation_a_member_is_quoted_as_it_would_be_alone() {
        let mut parameters = QuoteParameters::new(real(0.01), real(0.9), real(0.3));
        parameters.order_size = real(10.0);
        let alone = quoter(Model::Glft, &parameters).unwrap();
        for held in [-40i64, 0, 7, 40] {
            let of = alone.half_spreads(Lots(held), real(0.3).scaled(), Scaled::ZERO);
            let (bid, ask) = at(&member(0.0), [held, 25]);
            // 2^-32 tick, rounded once here and once there.
            assert!((of.bid.unwrap().0 - bid).abs() <= 1, "{held}");
            assert!((of.ask.unwrap().0 - ask).abs() <= 1, "{held}");
        }
    }

    #[test]
    fn what_the_other_holds_moves_both_sides_the_way_that_sheds_it() {
        for rho in [0.3, 0.6, 0.9] {
            let (bid, ask) = at(&member(rho), [0, 0]);
            let (long_bid, long_ask) = at(&member(rho), [0, 20]);
            assert!(long_bid > bid && long_ask < ask, "long the other: sell this, {rho}");
            let (short_bid, short_ask) = at(&member(rho), [0, -20]);
            assert!(short_bid < bid && short_ask > ask);
            let (away, back) = (long_bid - bid, bid - short_bid);
            assert!((away - back).abs() <= 1, "as far as the other way, but for a rounding");
            let (against, _) = at(&member(-rho), [0, 20]);
            assert!(against < at(&member(-rho), [0, 0]).0, "a hedge is no reason to sell");
        }
    }

    #[test]
    fn a_row_travels_as_it_is_and_rows_of_nothing_are_refused() {
        let (wide, tight) = (member(0.9), member(0.1));
        let row = SkewRow::of(InstrumentId(3), &wide).unwrap();
        assert_eq!(tight.with(&row), Some(wide));
        let broken = SkewRow { mantissas: [1; ASSETS_MAX + 2], ..row };
        assert_eq!(tight.with(&broken), None);
        assert!(size_of::<SkewRow>() <= 112);
    }
}
