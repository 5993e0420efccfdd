//! What is held where, as the account moves: cash kept by place, places counted, bids' room.
//!
//! Fed by every booking; feeds the decision to rebalance, the room of bids and the gate. Maker thread:
//! a booking counts the places of its venue; nothing here runs on a market event but one division for
//! bids whose cash is kept. Deliberately absent: what should be where.

use super::rebalancing::Rebalancer;
use super::{Line, Maker, instrument_id};
use crate::event::{InstrumentId, VenueId};
use crate::instrument::{ContractValue, Currency};
use crate::inventory::holdings::{Held, Place};
use crate::inventory::transfer::{Moved, TransferStage};
use crate::maker::intents::Intents;
use crate::pnl::ledger::{Ledger, LedgerError};
use crate::pnl::valuation::position_value;
use crate::risk::gate::{BlockReason, Proposal};
use crate::risk::state::Reason;
use crate::units::{Lots, Side, Ticks};

const NANO: i128 = 1_000_000_000;

/// 1e-9 of a spot instrument's coin in one lot.
pub(super) fn nano_per_lot(line: &Line) -> Option<i64> {
    match line.contract() {
        ContractValue::Linear { nano_underlying_per_lot, .. } => Some(nano_underlying_per_lot),
        ContractValue::Inverse { .. } | ContractValue::Option { .. } => None,
    }
}

/// What buying so many lots of spot takes at most, fee included, in 1e-9 of its quote currency.
pub(super) fn buy_value(line: &Line, lots: Lots, price: Ticks) -> i128 {
    let ContractValue::Linear { nano_per_tick_lot, .. } = line.contract() else { return 0 };
    let value = i128::from(lots.0).saturating_mul(price.0.max(0).into());
    let value = value.saturating_mul(nano_per_tick_lot.into());
    let spec = line.instrument.spec();
    let fee = i128::from(spec.taker_fee.0.max(spec.maker_fee.0).max(0));
    // Rounded up: a bid never asks for more cash than there is.
    value.saturating_add(value.saturating_mul(fee).saturating_add(NANO - 1).div_euclid(NANO))
}

impl Maker {
    /// Lets the account take in something of an instrument, and keeps where its cash is.
    pub(super) fn booked_at<T>(
        &mut self,
        id: InstrumentId,
        book: impl FnOnce(&mut Ledger) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let spec = self.line(id).map(|line| line.instrument.spec());
        let (venue, currency) = spec.map(|spec| (spec.venue, spec.settlement)).unzip();
        self.booked(venue, currency.unwrap_or_default(), book)
    }

    /// Lets the account take in something that moves a currency's cash at a venue.
    pub(super) fn booked<T>(
        &mut self,
        venue: Option<VenueId>,
        currency: Currency,
        book: impl FnOnce(&mut Ledger) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        if self.rebalancer.holdings.is_empty() {
            return book(&mut self.ledger);
        }
        let cash = |ledger: &Ledger| ledger.cash(currency).map_or(0, |cash| cash.0);
        let before = cash(&self.ledger);
        let booked = book(&mut self.ledger);
        let moved = cash(&self.ledger).saturating_sub(before);
        self.rebalancer.holdings.cash_moved(venue, currency, moved);
        self.count_places(venue);
        debug_assert!(self.is_conserved(), "what is held where adds up to what is held");
        booked
    }

    /// A quote's fill brought coin for cash, or took it.
    pub(super) fn on_quote_flow(&mut self, id: InstrumentId, side: Side, price: Ticks, size: Lots) {
        if self.rebalancer.holdings.is_empty() {
            return;
        }
        let Some(line) = self.line(id).filter(|line| line.is_spot()) else { return };
        let spec = line.instrument.spec();
        let (venue, base, quote) = (spec.venue, spec.base, spec.quote);
        let coins = i128::from(size.0).saturating_mul(nano_per_lot(line).unwrap_or(0).into());
        let ContractValue::Linear { nano_per_tick_lot, .. } = line.contract() else { return };
        let cash = i128::from(size.0).saturating_mul(price.0.into());
        let cash = cash.saturating_mul(nano_per_tick_lot.into());
        let sign = i128::from(side.sign());
        let holdings = &mut self.rebalancer.holdings;
        holdings.on_quote_fill(venue, base, coins.saturating_mul(sign));
        holdings.on_quote_fill(venue, quote, cash.saturating_mul(sign).saturating_neg());
    }

    /// Do holdings, and what is on its way, add up to the account?
    pub(super) fn is_conserved(&self) -> bool {
        let Rebalancer { holdings, transit, .. } = &self.rebalancer;
        let is_underway = |line: &Line| {
            let id = line.instrument.id();
            let on_the_way = transit.iter().filter(|transfer| {
                let is_here = matches!(transfer.moved, Moved::Coin { to, .. } if to == id);
                is_here && transfer.stage == TransferStage::Sent
            });
            let sum: i128 = on_the_way.map(|transfer| i128::from(transfer.arrives)).sum();
            let per_lot = nano_per_lot(line).unwrap_or(0);
            let away = self.ledger.away(id).unwrap_or_default();
            sum == i128::from(away.0).saturating_mul(per_lot.into())
        };
        holdings.is_conserved(transit, &self.ledger)
            && self.lines.iter().filter(|line| line.is_spot()).all(is_underway)
    }

    /// Counts the places of a venue anew, or all, and with them what its bids may cost.
    pub(super) fn count_places(&mut self, of: Option<VenueId>) {
        let is_of = |venue: VenueId| of.is_none_or(|of| of == venue);
        for n in 0..self.rebalancer.holdings.places().len() {
            let Some(place) = self.rebalancer.holdings.places().get(n) else { continue };
            if is_of(place.terms().venue) {
                let held = self.count_place(place);
                self.rebalancer.holdings.counted(n, held);
            }
        }
        for n in 0..self.lines.len() {
            let id = instrument_id(n);
            let Some(line) = self.line(id).filter(|line| is_of(line.instrument.spec().venue))
            else {
                continue;
            };
            let cash_max = self.cash_of(line);
            if let Some(line) = self.line_mut(id) {
                line.cash_max = cash_max;
            }
        }
    }

    /// What all bids of a spot instrument may cost; `None` where its cash is not kept by place.
    fn cash_of(&self, line: &Line) -> Option<i64> {
        let spec = line.instrument.spec();
        let place = self.rebalancer.holdings.at(spec.venue, spec.quote);
        let place = place.filter(|_| line.is_spot())?;
        let own = self.orders.open(line.instrument.id()).buy;
        let own = buy_value(line, own, self.price_up(line));
        let cash = place.held().map_or(0, |held| held.available.saturating_add(own));
        Some(i64::try_from(cash.max(0)).unwrap_or(i64::MAX))
    }

    /// The mark as a price, rounded up; 0 without one.
    fn price_up(&self, line: &Line) -> Ticks {
        let mark = self.ledger.mark(line.instrument.id());
        Ticks(mark.map_or(0, |mark| mark.0.saturating_add(1).div_euclid(2)))
    }

    fn count_place(&self, place: &Place) -> Option<Held> {
        let terms = place.terms();
        let (mut total, mut reserved) = (place.cash(), 0i128);
        let here = |line: &&Line| line.instrument.spec().venue == terms.venue;
        for line in self.lines.iter().filter(here) {
            let (spec, id) = (line.instrument.spec(), line.instrument.id());
            let (position, open) = (self.ledger.position(id)?, self.orders.open(id));
            if line.is_spot() {
                let coins = |lots: Lots| i128::from(lots.0).checked_mul(nano_per_lot(line)?.into());
                if spec.base == terms.currency {
                    total = total.checked_add(coins(position)?)?;
                    reserved = reserved.checked_add(coins(open.sell)?)?;
                }
                if spec.quote == terms.currency {
                    let value = buy_value(line, open.buy, self.price_up(line));
                    reserved = reserved.checked_add(value)?;
                }
            } else if spec.settlement == terms.currency && position.0 != 0 {
                let value = position_value(line.contract(), position, self.ledger.mark(id)?)?;
                total = total.checked_add(value)?;
                let margin =
                    value.checked_abs()?.checked_mul(line.settings.standing.margin_ppm.into())?;
                reserved = reserved.checked_add(margin / 1_000_000)?;
            }
        }
        Some(Held { total, available: total.checked_sub(reserved)? })
    }

    /// How many lots of spot there is cash for at an ask; `None` where nobody keeps it. Much more than
    /// may be held counts as no more than that, so that the number rests while the price moves.
    pub(super) fn cash_lots(&self, line: &Line, ask: Ticks) -> Option<Lots> {
        let cash = line.cash_max?;
        let each = buy_value(line, Lots(1), ask);
        let lots = i128::from(cash).checked_div(each).unwrap_or(0);
        let most = line.settings.limits.position_max.0.saturating_mul(2);
        Some(Lots(i64::try_from(lots).unwrap_or(i64::MAX).min(most)))
    }

    /// Spot is not bought with cash that the venue does not have.
    pub(super) fn cash_block(&self, line: &Line, proposal: &Proposal) -> Option<BlockReason> {
        if proposal.side != Side::Buy || !line.is_spot() {
            return None;
        }
        let spec = line.instrument.spec();
        let place = self.rebalancer.holdings.at(spec.venue, spec.quote)?;
        let needed = buy_value(line, proposal.added, proposal.price);
        let has_cash = self.count_place(place).is_some_and(|held| needed <= held.available);
        (!has_cash).then_some(BlockReason::Cash)
    }

    /// What is held where must add up to what is held: where it does not, nothing goes on.
    pub(super) fn check_holdings(&mut self, out: &mut Intents) {
        if !self.is_conserved() {
            debug_assert!(false, "what is held where adds up to what is held");
            for n in 0..self.lines.len() {
                self.halt(instrument_id(n), Reason::HoldingsDiffer, out);
            }
        }
    }
}
