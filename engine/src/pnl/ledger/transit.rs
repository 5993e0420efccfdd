//! Coins on their way from one venue to another, in the account.
//!
//! Fed by the maker with what the operator says of a transfer; feeds the account. Maker thread. What is
//! on its way is ours: it is valued at the mark of where it goes and counts as exposure, but it is not
//! there to sell. All or, where something does not fit, nothing. Deliberately absent: cash on its way
//! (a currency's cash is one sum here, wherever it is) and which transfer it is.

use super::{Ledger, LedgerError};
use crate::event::InstrumentId;
use crate::instrument::Currency;
use crate::pnl::attribution::Cause;
use crate::pnl::valuation::position_value;
use crate::units::{Lots, Notional};

/// What becomes of one line.
#[derive(Clone, Copy, Debug)]
struct Change {
    instrument: InstrumentId,
    lots: i64,
    away: i64,
}

/// A line as it will be.
#[derive(Clone, Copy, Debug)]
struct After {
    instrument: InstrumentId,
    lots: Lots,
    away: Lots,
    value: i128,
}

impl Ledger {
    /// `leaves` of one instrument are on their way to another of the same settlement currency, where
    /// `arrives` of them are expected. What that costs is [`Cause::RebalanceCost`].
    ///
    /// # Errors
    /// Unknown, another currency, or something does not fit.
    pub fn on_sent(
        &mut self,
        from: (InstrumentId, Lots),
        to: (InstrumentId, Lots),
    ) -> Result<(), LedgerError> {
        let ((from, leaves), (to, arrives)) = (from, to);
        let less = leaves.0.checked_neg().ok_or(LedgerError::DoesNotFit(from))?;
        self.restate(
            Change { instrument: from, lots: less, away: 0 },
            Some(Change { instrument: to, lots: 0, away: arrives.0 }),
        )
    }

    /// An earlier run left so much on its way to an instrument that has no mark yet.
    ///
    /// # Errors
    /// Unknown, or something does not fit.
    pub fn on_underway(&mut self, to: InstrumentId, lots: Lots) -> Result<(), LedgerError> {
        self.restate(Change { instrument: to, lots: 0, away: lots.0 }, None)
    }

    /// Of `expected` on their way to an instrument, `arrived` are there; the rest never comes.
    ///
    /// # Errors
    /// Unknown, or something does not fit.
    pub fn on_arrived(
        &mut self,
        at: InstrumentId,
        expected: Lots,
        arrived: Lots,
    ) -> Result<(), LedgerError> {
        let away = expected.0.checked_neg().ok_or(LedgerError::DoesNotFit(at))?;
        self.restate(Change { instrument: at, lots: arrived.0, away }, None)
    }

    /// What was on its way to one instrument came back to another: `back` of `expected`.
    ///
    /// # Errors
    /// Unknown, another currency, or something does not fit.
    pub fn on_returned(
        &mut self,
        to: (InstrumentId, Lots),
        from: (InstrumentId, Lots),
    ) -> Result<(), LedgerError> {
        let ((to, expected), (from, back)) = (to, from);
        let away = expected.0.checked_neg().ok_or(LedgerError::DoesNotFit(to))?;
        self.restate(
            Change { instrument: to, lots: 0, away },
            Some(Change { instrument: from, lots: back.0, away: 0 }),
        )
    }

    /// A transfer of cash cost so much; negative where more came than was expected.
    ///
    /// # Errors
    /// Unknown currency, or something does not fit.
    pub fn on_transfer_cost(
        &mut self,
        currency: Currency,
        cost: Notional,
    ) -> Result<(), LedgerError> {
        let amount = cost.0.checked_neg().ok_or(LedgerError::BalanceDoesNotFit(currency))?;
        self.pay(currency, Cause::RebalanceCost, amount)
    }

    /// Lots of an instrument that are on their way here.
    #[inline]
    pub fn away(&self, instrument: InstrumentId) -> Option<Lots> {
        self.line(instrument).ok().map(|line| line.away)
    }

    /// Position and what is on its way to it: what is exposed.
    pub fn owned(&self, instrument: InstrumentId) -> Option<Lots> {
        self.line(instrument).ok().and_then(|line| line.owned(line.lots))
    }

    fn restate(&mut self, one: Change, other: Option<Change>) -> Result<(), LedgerError> {
        let settlement = self.line(one.instrument)?.settlement;
        if let Some(other) = other
            && (self.line(other.instrument)?.settlement != settlement
                || other.instrument == one.instrument)
        {
            return Err(LedgerError::NotDeliverable(other.instrument));
        }
        self.restated(settlement, one, other).ok_or(LedgerError::DoesNotFit(one.instrument))
    }

    /// Everything that can fail first, then the changes.
    fn restated(&mut self, of: Currency, one: Change, other: Option<Change>) -> Option<()> {
        let rate = self.purses.get(usize::from(of.0))?.rate;
        let mut is_marked = true;
        let mut moved = 0i128;
        let mut after = [None, None];
        for (place, change) in after.iter_mut().zip([Some(one), other]) {
            let Some(change) = change else { continue };
            let line = self.lines.get(usize::from(change.instrument.0))?;
            let lots = Lots(line.lots.0.checked_add(change.lots)?);
            let away = Lots(line.away.0.checked_add(change.away)?);
            let owned = Lots(lots.0.checked_add(away.0)?);
            is_marked &= line.mark.is_some();
            let value = match line.mark {
                Some(mark) => position_value(line.contract, owned, mark)?,
                None => 0,
            };
            moved = moved.checked_add(value.checked_sub(line.value)?)?;
            *place = Some(After { instrument: change.instrument, lots, away, value });
        }
        // Without both marks nobody knows what the way cost: what left joins what was there.
        if is_marked {
            self.attribution.book(of, rate, &[(Cause::RebalanceCost, moved)])?;
        } else {
            self.attribution.open(of, rate, moved)?;
        }
        for after in after.into_iter().flatten() {
            if let Some(line) = self.lines.get_mut(usize::from(after.instrument.0)) {
                line.lots = after.lots;
                line.away = after.away;
                line.value = after.value;
            }
        }
        Some(())
    }
}
