//! How a right ends in the account: expiry, exercise, assignment and settlement of options.
//!
//! Fed by the maker with what the venue or an operator says became of an option; feeds the account.
//! Maker thread. What the end is worth against the last mark is [`Cause::InventoryMtm`] of the option:
//! nothing was traded, the mark was wrong by so much. All or, where something does not fit, nothing.
//! Deliberately absent: what a payoff is (the option's terms say it) and fees of exercise, which an
//! operator books.

use super::{Ledger, LedgerError};
use crate::event::InstrumentId;
use crate::pnl::attribution::Cause;
use crate::pnl::valuation::{position_value, trade_cash};
use crate::units::{Lots, Notional, Side, Ticks};

/// A future that exercise delivers, or takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivered {
    /// Which.
    pub future: InstrumentId,
    /// How many lots, + bought.
    pub lots: Lots,
    /// At the strike.
    pub price: Ticks,
}

impl Ledger {
    /// `lots` of an option (+ we exercised, − we were assigned) end for `cash` of its settlement
    /// currency: expiry, settlement in cash or coin.
    ///
    /// # Errors
    /// Not held, or does not fit.
    pub fn on_settled(
        &mut self,
        option: InstrumentId,
        lots: Lots,
        cash: Notional,
    ) -> Result<(), LedgerError> {
        self.held(option, lots)?;
        self.end(option, lots, cash.0, None).ok_or(LedgerError::DoesNotFit(option))
    }

    /// `lots` of an option end in a future at the strike.
    ///
    /// # Errors
    /// Not held, the future cannot be valued, or something does not fit.
    pub fn on_delivered(
        &mut self,
        option: InstrumentId,
        lots: Lots,
        delivered: Delivered,
    ) -> Result<(), LedgerError> {
        self.held(option, lots)?;
        let future = self.line(delivered.future)?;
        if future.mark.is_none() || future.settlement != self.line(option)?.settlement {
            return Err(LedgerError::NotDeliverable(delivered.future));
        }
        self.end(option, lots, 0, Some(delivered)).ok_or(LedgerError::DoesNotFit(option))
    }

    /// What is exercised is held long, what is assigned short.
    fn held(&self, option: InstrumentId, lots: Lots) -> Result<(), LedgerError> {
        let held = self.line(option)?.lots.0;
        let is_held = lots.0 != 0
            && held.signum() == lots.0.signum()
            && lots.0.unsigned_abs() <= held.unsigned_abs();
        if is_held { Ok(()) } else { Err(LedgerError::NotHeld(option, lots)) }
    }

    /// Everything that can fail first, then the changes.
    fn end(
        &mut self,
        option: InstrumentId,
        lots: Lots,
        cash: i128,
        delivered: Option<Delivered>,
    ) -> Option<()> {
        let line = self.line(option).ok()?;
        let (settlement, mark) = (line.settlement, line.mark);
        let left = Lots(line.lots.0.checked_sub(lots.0)?);
        let value = match mark {
            Some(mark) => position_value(line.contract, left, mark)?,
            None => 0,
        };
        let was = line.value;
        let future = match delivered {
            Some(delivered) => Some((delivered, self.delivery(&delivered)?)),
            None => None,
        };
        let (gained, paid) = future.map_or((0, 0), |(_, (gained, paid))| (gained, paid));
        let cash = cash.checked_add(paid)?;
        let moved = value.checked_sub(was)?.checked_add(gained)?.checked_add(cash)?;
        let purse = self.purses.get_mut(usize::from(settlement.0))?;
        let balance = purse.cash.checked_add(cash)?;
        let sum = self.lines.get(usize::from(option.0))?.moved.checked_add(moved)?;
        match mark {
            Some(_) => {
                self.attribution.book(settlement, purse.rate, &[(Cause::InventoryMtm, moved)])?;
            }
            // Without a mark it had no value yet: it joins the opening at what it paid.
            None => self.attribution.open(settlement, purse.rate, moved)?,
        }
        purse.cash = balance;
        if let Some((delivered, _)) = future {
            let future = self.lines.get_mut(usize::from(delivered.future.0))?;
            future.lots = Lots(future.lots.0.saturating_add(delivered.lots.0));
            future.value = future.value.saturating_add(gained);
        }
        let line = self.lines.get_mut(usize::from(option.0))?;
        line.lots = left;
        line.value = value;
        if mark.is_some() {
            line.moved = sum;
        }
        Some(())
    }

    /// By how much the future's value moves, and what its price at the strike does to cash; all that
    /// may not fit is found here.
    fn delivery(&self, delivered: &Delivered) -> Option<(i128, i128)> {
        let future = self.line(delivered.future).ok()?;
        let lots = Lots(future.lots.0.checked_add(delivered.lots.0)?);
        let value = position_value(future.contract, lots, future.mark?)?;
        let side = if delivered.lots.0 < 0 { Side::Sell } else { Side::Buy };
        let size = Lots(delivered.lots.0.checked_abs()?);
        let paid = trade_cash(future.contract, side, delivered.price, size)?;
        Some((value.checked_sub(future.value)?, paid))
    }
}
