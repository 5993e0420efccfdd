//! An option ends: expiry, exercise, assignment, settlement, as the venue or an operator says it.
//!
//! Fed by the operator's acts; feeds the ledger, then exposure, quotes and hedges like every booking.
//! Maker thread; cold. Deliberately absent: guessing. An option past its expiry is neither quoted nor
//! counted as settled until somebody says at what.

use super::Maker;
use super::option_config::underlying_per_lot;
use crate::event::InstrumentId;
use crate::instrument::Instrument;
use crate::maker::intents::Intents;
use crate::option_terms::{Delivery, ExerciseStyle, OptionTerms};
use crate::pnl::ledger::LedgerError;
use crate::pnl::ledger::settlement::Delivered;
use crate::units::{Lots, Notional};

impl Maker {
    /// May an option end in this way now? What lives or is not held does not expire, a European one is not
    /// exercised before its end, more than is held, or the other way, is neither exercised nor assigned, and
    /// a future without a mark is not delivered. What may not is refused and counted.
    fn may_end(&mut self, option: InstrumentId, exercised: Option<Lots>) -> bool {
        let held = self.ledger.position(option).unwrap_or_default();
        let may = self.terms(option).is_some_and(|terms| {
            let is_in_time = terms.is_expired(self.now)
                || exercised.is_some() && terms.style == ExerciseStyle::American;
            let is_held = held.0 != 0
                && exercised.is_none_or(|lots| {
                    let (lots, held) = (lots.0, held.0);
                    lots.signum() == held.signum() && lots.unsigned_abs() <= held.unsigned_abs()
                });
            let future = self.delivers(option).filter(|_| exercised.is_some());
            let is_marked = future.is_none_or(|future| self.ledger.mark(future).is_some());
            is_in_time && is_held && is_marked
        });
        self.counters.acts_refused = self.counters.acts_refused.saturating_add((!may).into());
        may
    }

    /// The whole position expires with the underlying at `price` (1e-9): in the money it pays or
    /// delivers, else it is gone.
    pub(super) fn expire(&mut self, option: InstrumentId, price: i64, out: &mut Intents) {
        let held = self.ledger.position(option).unwrap_or_default();
        if !self.may_end(option, None) {
            return;
        }
        let Some(terms) = self.terms(option) else { return };
        let is_worthless = terms.nano_in_the_money(price) == Some(0);
        if is_worthless {
            let before = self.ledger.moved(option).unwrap_or_default();
            let booked =
                self.booked_at(option, |ledger| ledger.on_settled(option, held, Notional(0)));
            self.attribute_end(option, before);
            self.after_booking(booked, option, out);
        } else {
            self.exercise(option, held, price, out);
        }
    }

    /// `lots` of an option are exercised (+) or assigned (−); `price` settles what pays cash or coin.
    pub(super) fn exercise(
        &mut self,
        option: InstrumentId,
        lots: Lots,
        price: i64,
        out: &mut Intents,
    ) {
        if !self.may_end(option, Some(lots)) {
            return;
        }
        let Some(terms) = self.terms(option) else { return };
        let before = self.ledger.moved(option).unwrap_or_default();
        let booked = match terms.delivery {
            Delivery::Cash | Delivery::Coin => self.settle(option, &terms, lots, price),
            Delivery::Future => self.deliver(option, &terms, lots),
        };
        self.attribute_end(option, before);
        let delivered = booked.is_ok().then(|| self.delivers(option)).flatten();
        // Both positions first: an order that this sends must find gross as it is now.
        if let Some(future) = delivered {
            self.note_position(future);
        }
        self.after_booking(booked, option, out);
    }

    fn attribute_end(&mut self, option: InstrumentId, before: Notional) {
        let after = self.ledger.moved(option).unwrap_or_default();
        self.on_option_ended(option, after.0.saturating_sub(before.0));
    }

    fn terms(&self, option: InstrumentId) -> Option<OptionTerms> {
        self.line(option).and_then(|line| line.instrument.option()).copied()
    }

    /// The future that exercise delivers.
    fn delivers(&self, option: InstrumentId) -> Option<InstrumentId> {
        let line = self.line(option)?;
        let is_physical = line.instrument.option()?.delivery == Delivery::Future;
        self.reference_of(option).filter(|_| is_physical)
    }

    /// What an option is on.
    fn reference_of(&self, option: InstrumentId) -> Option<InstrumentId> {
        self.options.book.get(option).map(|line| line.settings.reference)
    }

    fn settle(
        &mut self,
        option: InstrumentId,
        terms: &OptionTerms,
        lots: Lots,
        price: i64,
    ) -> Result<(), LedgerError> {
        let per_lot = self.line(option).and_then(|line| underlying_per_lot(&line.instrument));
        let cash = per_lot.and_then(|per_lot| terms.payoff(lots, per_lot, price));
        let cash = cash.ok_or(LedgerError::DoesNotFit(option))?;
        self.booked_at(option, |ledger| ledger.on_settled(option, lots, Notional(cash)))
    }

    fn deliver(
        &mut self,
        option: InstrumentId,
        terms: &OptionTerms,
        lots: Lots,
    ) -> Result<(), LedgerError> {
        let future = self.delivers(option).ok_or(LedgerError::UnknownInstrument(option))?;
        let delivered = self.line(option).zip(self.line(future)).and_then(|(from, to)| {
            let each = lots_delivered(&from.instrument, &to.instrument)?;
            let lots = lots.0.checked_mul(each)?.checked_mul(terms.option_type.direction())?;
            let price = terms.strike_ticks(to.instrument.spec().tick)?;
            Some(Delivered { future, lots: Lots(lots), price })
        });
        let delivered = delivered.ok_or(LedgerError::DoesNotFit(option))?;
        self.booked_at(option, |ledger| ledger.on_delivered(option, lots, delivered))
    }
}

/// How many lots of `future` one lot of `option` delivers; `None` where that is not whole.
pub(super) fn lots_delivered(option: &Instrument, future: &Instrument) -> Option<i64> {
    let (from, to) = (underlying_per_lot(option)?, underlying_per_lot(future)?);
    (to > 0 && from >= to && from % to == 0).then(|| from / to)
}
