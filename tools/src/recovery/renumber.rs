//! What the run before left, in the numbers of the config that goes on from it.
//!
//! Fed by the recovery with both configs; feeds it the [`Resumption`] of the new run. Instruments,
//! venues, currencies and underlyings are the same where their names are. What is still held must still
//! be there, on the same terms. Cold.

use super::Lost;
use crate::config::ConfigFile;
use crate::replay::Beginning;
use ballast_engine::event::{InstrumentId, VenueId};
use ballast_engine::instrument::{Currency, Instrument};
use ballast_engine::inventory::transfer::{Moved, Transfer, TransferStage};
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::control::Knob;
use ballast_engine::maker::resumption::{
    Delivered, GuardedPosition, Halt, Held, LimitSet, PlacedCash, Places, Purse, Resumption,
};
use ballast_engine::orders::order::Order;
use ballast_engine::pnl::fee_tiers::CarriedFees;
use ballast_engine::pnl::fill_history::KeptFill;
use ballast_engine::risk::carried::CarriedRisk;
use ballast_engine::risk::loss::CarriedDay;
use ballast_engine::risk::order_to_trade::CarriedRatio;
use ballast_engine::units::Notional;

/// From the numbers of the run before to those of this one.
pub(super) struct Renumbering<'a> {
    old: &'a Beginning,
    file: &'a ConfigFile,
    config: &'a MakerConfig,
}

/// The terms that a size and a price are counted by.
fn has_terms_of(one: &Instrument, other: &Instrument) -> bool {
    let (a, b) = (one.spec(), other.spec());
    (a.kind, a.tick, a.lot) == (b.kind, b.tick, b.lot) && one.value() == other.value()
}

impl<'a> Renumbering<'a> {
    pub(super) fn new(
        old: &'a Beginning,
        file: &'a ConfigFile,
        config: &'a MakerConfig,
    ) -> Renumbering<'a> {
        Renumbering { old, file, config }
    }

    /// In this run's numbers; what the config has lost goes to `lost`.
    pub(super) fn apply(&self, left: Resumption, lost: &mut Vec<Lost>) -> Resumption {
        let limits = left.limits.iter();
        let limits = limits.filter_map(|l| Some(LimitSet { knob: self.knob(l.knob)?, ..*l }));
        let halts = left.halts.iter();
        let halts =
            halts.filter_map(|h| Some(Halt { instrument: self.instrument(h.instrument)?, ..*h }));
        let delivered = left.delivered.iter();
        let delivered =
            delivered.filter_map(|d| Some(Delivered { venue: self.venue(d.venue)?, ..*d }));
        let ids = |ids: &[InstrumentId]| ids.iter().filter_map(|id| self.instrument(*id)).collect();
        let is_same_money = self.old.file.raw.reporting == self.file.raw.reporting;
        Resumption {
            epoch: left.epoch,
            held: self.held(&left, lost),
            purses: self.purses(&left, is_same_money),
            orders: self.orders(&left, lost),
            carried: CarriedRisk {
                // A day's result in another money is none; that the day was lost stays so.
                day: left.carried.day.map(|day| match is_same_money {
                    true => day,
                    false => CarriedDay { pnl: Notional(0), best: Notional(0), ..day },
                }),
                switched_off: ids(&left.carried.switched_off),
                stops: left.carried.stops,
                ratios: self.ratios(&left.carried.ratios),
                fees: self.fees(&left.carried.fees),
            },
            halts: halts.collect(),
            limits: limits.collect(),
            unconfirmed: ids(&left.unconfirmed),
            delivered: delivered.collect(),
            guarded: self.guarded(&left),
            places: self.places(&left, lost),
            fills: left.fills.iter().filter_map(|fill| self.fill(fill)).collect(),
            renamed: left.renamed.clone(),
        }
    }

    /// One a venue of this config; at a new one nothing was sent.
    fn ratios(&self, left: &[CarriedRatio]) -> Vec<CarriedRatio> {
        let venues = self.file.table.venues.iter();
        let ratio = venues.map(|name| {
            let old = self.old.file.table.venues.find(name);
            old.and_then(|old| left.get(old)).copied().unwrap_or_default()
        });
        ratio.collect()
    }

    /// One an instrument of this config; of a new one nothing was traded.
    fn fees(&self, left: &[Option<CarriedFees>]) -> Vec<Option<CarriedFees>> {
        let mut fees = vec![None; self.config.instruments.len()];
        for (old, left) in self.old.config.instruments.iter().zip(left) {
            let place = self.same(old).map(|new| usize::from(new.id().0));
            if let Some(place) = place.and_then(|place| fees.get_mut(place)) {
                *place = *left;
            }
        }
        fees
    }

    fn old_instrument(&self, id: InstrumentId) -> Option<&'a Instrument> {
        self.old.config.instruments.get(usize::from(id.0))
    }

    /// The same symbol at the same venue.
    fn same(&self, old: &Instrument) -> Option<&'a Instrument> {
        let new = self.file.table.find(old.symbol())?;
        let new = self.config.instruments.get(usize::from(new.id().0))?;
        (self.venue(old.spec().venue)? == new.spec().venue).then_some(new)
    }

    fn instrument(&self, id: InstrumentId) -> Option<InstrumentId> {
        self.same(self.old_instrument(id)?).map(Instrument::id)
    }

    fn venue(&self, id: VenueId) -> Option<VenueId> {
        let name = self.old.file.table.venues.name(usize::from(id.0))?;
        let place = self.file.table.venues.find(name)?;
        u8::try_from(place).ok().map(VenueId)
    }

    fn underlying(&self, place: u8) -> Option<u8> {
        let name = self.old.file.table.underlyings.name(usize::from(place))?;
        u8::try_from(self.file.table.underlyings.find(name)?).ok()
    }

    fn knob(&self, knob: Knob) -> Option<Knob> {
        Some(match knob {
            Knob::OrderSizeMax(id) => Knob::OrderSizeMax(self.instrument(id)?),
            Knob::OrderValueMax(id) => Knob::OrderValueMax(self.instrument(id)?),
            Knob::PositionMax(id) => Knob::PositionMax(self.instrument(id)?),
            Knob::Collar(id) => Knob::Collar(self.instrument(id)?),
            Knob::Soft(place) => Knob::Soft(self.underlying(place)?),
            Knob::Stop(place) => Knob::Stop(self.underlying(place)?),
            Knob::Hard(place) => Knob::Hard(self.underlying(place)?),
            Knob::QuoteSize(id) => Knob::QuoteSize(self.instrument(id)?),
            Knob::EdgeMin(id) => Knob::EdgeMin(self.instrument(id)?),
            Knob::ToleranceAggressive(id) => Knob::ToleranceAggressive(self.instrument(id)?),
            Knob::TolerancePassive(id) => Knob::TolerancePassive(self.instrument(id)?),
        })
    }

    /// The instrument that something is still held or open in, on the same terms.
    fn must_have(&self, id: InstrumentId, what: String) -> Result<&'a Instrument, Lost> {
        let old = self.old_instrument(id);
        let name = old.map_or("?", Instrument::symbol).to_owned();
        let Some(new) = old.and_then(|old| self.same(old)) else {
            return Err(Lost { what, name, why: "does not have it" });
        };
        if old.is_some_and(|old| !has_terms_of(old, new)) {
            let why = "has it with another kind, tick, lot or multiplier";
            return Err(Lost { what, name, why });
        }
        Ok(new)
    }

    /// A fill of what is still traded on the same terms; of anything else an operator books a bust.
    fn fill(&self, kept: &KeptFill) -> Option<KeptFill> {
        let old = self.old_instrument(kept.booking.fill.instrument)?;
        let new = self.same(old).filter(|new| has_terms_of(old, new))?;
        let mut kept = *kept;
        kept.booking.fill.instrument = new.id();
        Some(kept)
    }

    fn held(&self, left: &Resumption, lost: &mut Vec<Lost>) -> Vec<Held> {
        // What the run before did not know begins as the config says.
        let opening = |lots| Held { lots, mark: None };
        let mut held: Vec<Held> = self.config.settings.iter().map(|s| opening(s.opening)).collect();
        for (n, was) in (0u16..).zip(&left.held) {
            let id = InstrumentId(n);
            let new = if was.lots.0 == 0 {
                self.instrument(id)
            } else {
                let size = self.old_instrument(id).map(|old| old.size_text(was.lots));
                let what = format!("a position of {}", size.unwrap_or_default());
                self.must_have(id, what).map_err(|fault| lost.push(fault)).ok().map(Instrument::id)
            };
            let Some(place) = new.and_then(|new| held.get_mut(usize::from(new.0))) else {
                continue;
            };
            let old = self.old_instrument(id);
            let is_same = old.and_then(|old| Some(has_terms_of(old, self.same(old)?)));
            *place = Held { mark: was.mark.filter(|_| is_same == Some(true)), ..*was };
        }
        held
    }

    /// What exits knew of a position on the same terms; else what is beyond the config's opening is a bet.
    fn guarded(&self, left: &Resumption) -> Vec<GuardedPosition> {
        let opening = |opening| GuardedPosition { opening, ..GuardedPosition::default() };
        let settings = self.config.settings.iter();
        let mut guarded: Vec<_> = settings.map(|settings| opening(settings.opening)).collect();
        for (n, was) in (0u16..).zip(&left.guarded) {
            let old = self.old_instrument(InstrumentId(n));
            let same = old.and_then(|old| Some((old, self.same(old)?)));
            if let Some((_, new)) = same.filter(|(old, new)| has_terms_of(old, new))
                && let Some(place) = guarded.get_mut(usize::from(new.id().0))
            {
                *place = *was;
            }
        }
        guarded
    }

    fn purses(&self, left: &Resumption, is_same_money: bool) -> Vec<Purse> {
        let mut purses = Vec::new();
        for (number, name) in (0u8..).zip(self.file.table.currencies.iter()) {
            let currency = Currency(number);
            let old = self.old.file.table.currencies.find(name);
            let old = old.and_then(|old| {
                left.purses.iter().find(|purse| usize::from(purse.currency.0) == old)
            });
            let opening = self.config.opening_cash.iter().find(|(of, _)| *of == currency);
            match (old, opening) {
                (Some(old), _) => {
                    let rate = old.rate.filter(|_| is_same_money);
                    purses.push(Purse { currency, cash: old.cash, rate });
                }
                (None, Some((_, cash))) => purses.push(Purse { currency, cash: *cash, rate: None }),
                (None, None) => {}
            }
        }
        purses
    }

    fn currency(&self, old: Currency) -> Option<Currency> {
        let name = self.old.file.table.currencies.name(usize::from(old.0))?;
        u8::try_from(self.file.table.currencies.find(name)?).ok().map(Currency)
    }

    /// What was where; a place that this config does not have keeps nothing.
    fn places(&self, left: &Resumption, lost: &mut Vec<Lost>) -> Places {
        let placed = left.places.cash.iter().filter_map(|placed| {
            let (venue, currency) = (self.venue(placed.venue)?, self.currency(placed.currency)?);
            Some(PlacedCash { venue, currency, cash: placed.cash })
        });
        let transfers = left.places.transfers.iter();
        let transfers = transfers.filter_map(|transfer| match self.transfer(transfer) {
            Ok(transfer) => transfer,
            Err(fault) => {
                lost.push(fault);
                None
            }
        });
        Places { transfers: transfers.collect(), cash: placed.collect() }
    }

    /// Nobody waits for what was only asked for: without its venues and its coins it is none.
    fn transfer(&self, old: &Transfer) -> Result<Option<Transfer>, Lost> {
        let is_sent = old.stage == TransferStage::Sent;
        let what = || format!("transfer {} on its way", old.id);
        let ends = [old.from, old.to].map(|venue| self.venue(venue));
        let ([Some(from), Some(to)], Some(currency)) = (ends, self.currency(old.currency)) else {
            let name = self.old.file.table.currencies.name(usize::from(old.currency.0));
            let name = name.unwrap_or("?").to_owned();
            let why = "does not have its venues or its currency";
            return if is_sent { Err(Lost { what: what(), name, why }) } else { Ok(None) };
        };
        let moved = match old.moved {
            Moved::Cash => Moved::Cash,
            Moved::Coin { from, to } => {
                let ends = [from, to].map(|id| self.must_have(id, what()).map(Instrument::id));
                match ends {
                    [Ok(from), Ok(to)] => Moved::Coin { from, to },
                    [Err(fault), _] | [_, Err(fault)] if is_sent => return Err(fault),
                    [Err(_), _] | [_, Err(_)] => return Ok(None),
                }
            }
        };
        Ok(Some(Transfer { currency, from, to, moved, ..*old }))
    }

    fn orders(&self, left: &Resumption, lost: &mut Vec<Lost>) -> Vec<Order> {
        let order = |order: &Order| {
            let what = format!("order {} in doubt", order.cl_ord_id.0);
            let instrument = self.must_have(order.instrument, what);
            let instrument = instrument.map_err(|fault| lost.push(fault)).ok()?.id();
            Some(Order { instrument, ..*order })
        };
        left.orders.iter().filter_map(order).collect()
    }
}
