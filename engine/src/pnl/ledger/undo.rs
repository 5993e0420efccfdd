//! A fill that was booked is taken back: the venue says that it never was, or was another.
//!
//! Fed by the maker with what the fill was booked as; feeds the account. Maker thread. What is taken back
//! leaves cash and position as if the fill had never been, and each of its causes as much smaller as the
//! fill made it larger; what its lots gained or lost at marks since then leaves
//! [`Cause::InventoryMtm`]. All or, where something does not fit, nothing. Deliberately absent: which
//! fills there were (`fill_history`).

use super::{BookedFill, Ledger, LedgerError, Purpose};
use crate::pnl::attribution::Cause;
use crate::pnl::valuation::position_value;
use crate::units::{Lots, Notional};

/// What a fill was booked as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Booking {
    /// The fill, with the mid that it was booked against.
    pub fill: BookedFill,
    /// What was captured against that mid.
    pub edge: Notional,
    /// The fee; negative is a rebate.
    pub paid: Notional,
    /// What rounding took.
    pub rounding: Notional,
    /// What cash moved by, the fee included.
    pub cash: Notional,
}

impl Booking {
    /// By cause.
    pub(super) fn shares(&self) -> Option<[(Cause, i128); 3]> {
        let edge = match self.fill.purpose {
            Purpose::Quote => Cause::SpreadCapture,
            Purpose::Hedge => Cause::HedgeCost,
            Purpose::Rebalance => Cause::RebalanceCost,
            Purpose::External => Cause::Adjustment,
        };
        let fee = if self.paid.0 < 0 { Cause::Rebates } else { Cause::Fees };
        Some([
            (edge, self.edge.0),
            (fee, self.paid.0.checked_neg()?),
            (Cause::Rounding, self.rounding.0),
        ])
    }
}

impl Ledger {
    /// Takes a fill back.
    ///
    /// # Errors
    /// What is left does not fit; nothing was taken back.
    pub fn undo(&mut self, booking: &Booking) -> Result<(), LedgerError> {
        let id = booking.fill.instrument;
        self.line(id)?;
        self.take_back(booking).ok_or(LedgerError::DoesNotFit(id))
    }

    fn take_back(&mut self, booking: &Booking) -> Option<()> {
        let fill = &booking.fill;
        let line = self.lines.get_mut(usize::from(fill.instrument.0))?;
        let purse = self.purses.get_mut(usize::from(line.settlement.0))?;
        let signed = fill.size.0.checked_mul(fill.side.sign())?;
        let lots = Lots(line.lots.0.checked_sub(signed)?);
        // A line that has traded has a mark; one without has no value, before and after.
        let value = match line.mark {
            Some(mark) => position_value(line.contract, line.owned(lots)?, mark)?,
            None => line.value,
        };
        let cash = purse.cash.checked_sub(booking.cash.0)?;
        let [edge, fee, rounding] = booking.shares()?;
        let back = |(cause, amount): (Cause, i128)| Some((cause, amount.checked_neg()?));
        let booked = edge.1.checked_add(fee.1)?.checked_add(rounding.1)?;
        // All that cash and value move by, less what was booked with the fill itself.
        let moved = value.checked_sub(line.value)?.checked_sub(booking.cash.0)?;
        let since = moved.checked_add(booked)?;
        let sum = line.moved.checked_add(since)?;
        let shares = [back(edge)?, back(fee)?, back(rounding)?, (Cause::InventoryMtm, since)];
        self.attribution.book(line.settlement, purse.rate, &shares)?;
        purse.cash = cash;
        line.lots = lots;
        line.value = value;
        line.moved = sum;
        Some(())
    }
}
