//! A trade is cancelled or corrected: ExecType(150) H and G, into the account.
//!
//! Fed by the maker's reports; feeds ledger, exposure and states. Maker thread; cold. The fill is taken
//! back as it was booked and what it really was is booked in its place, against the same mid; then the
//! instrument halts (`trade_amended`): the account is right, and why a venue undoes trades a person asks.
//! A fill that is no longer kept halts it as `inconsistent`, and an operator books it. Deliberately
//! absent: windows, plans and counters that the fill moved while it stood; they judged what was true then.

use super::Maker;
use crate::event::{ExecId, OrderEvent, OrderUpdate};
use crate::maker::intents::Intents;
use crate::pnl::fill_history::KeptFill;
use crate::pnl::ledger::{BookedFill, LedgerError};
use crate::risk::state::Reason;
use crate::units::{Lots, Side, Ticks};

/// What a fill really was.
#[derive(Clone, Copy)]
struct Correction {
    exec_id: ExecId,
    price: Ticks,
    size: Lots,
}

impl Maker {
    /// An earlier fill never was, or was another. `side`: the order's, where the order is known.
    pub(super) fn amend(&mut self, event: &OrderEvent, side: Option<Side>, out: &mut Intents) {
        let Some((ref_exec_id, correction)) = amended(event.update) else { return };
        let instrument = event.instrument;
        let Some(kept) = self.fills.take(instrument, ref_exec_id, side) else {
            self.halt(instrument, Reason::Inconsistent, out);
            return;
        };
        let moved = self.ledger.moved(instrument).unwrap_or_default();
        let booked = self.rebook(&kept, correction);
        let after = self.ledger.moved(instrument).unwrap_or_default();
        self.on_option_ended(instrument, after.0.saturating_sub(moved.0));
        self.counters.trades_amended = self.counters.trades_amended.saturating_add(1);
        let reason = if booked.is_ok() { Reason::TradeAmended } else { Reason::Overflow };
        self.halt(instrument, reason, out);
        self.after_booking(booked, instrument, out);
    }

    /// The fill is taken back, and where it was another that one is booked.
    fn rebook(
        &mut self,
        kept: &KeptFill,
        correction: Option<Correction>,
    ) -> Result<(), LedgerError> {
        let instrument = kept.booking.fill.instrument;
        self.booked_at(instrument, |ledger| ledger.undo(&kept.booking))?;
        let Some(correction) = correction.filter(|correction| correction.size.0 > 0) else {
            return Ok(());
        };
        let fill =
            BookedFill { price: correction.price, size: correction.size, ..kept.booking.fill };
        let mark = self.ledger.mark(instrument);
        let booking = self.booked_at(instrument, |ledger| ledger.book(&fill));
        // Booked or not: the market is where it was, and gross is what it says.
        let marked = mark.map_or(Ok(()), |mark| self.ledger.on_mark(instrument, mark));
        let booking = booking?;
        marked?;
        self.fills.remember(KeptFill { exec_id: correction.exec_id, booking, ..*kept });
        Ok(())
    }
}

/// The fill that an update amends, and what it really was.
fn amended(update: OrderUpdate) -> Option<(ExecId, Option<Correction>)> {
    if let OrderUpdate::TradeCanceled { ref_exec_id, .. } = update {
        return Some((ref_exec_id, None));
    }
    let OrderUpdate::TradeCorrected { exec_id, ref_exec_id, last_px, last_qty, .. } = update else {
        return None;
    };
    Some((ref_exec_id, Some(Correction { exec_id, price: last_px, size: last_qty })))
}
