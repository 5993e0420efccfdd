//! What the operator says of a transfer: it left, it arrived, it came to nothing.
//!
//! Fed by the operator's acts, journaled before they act; feeds the account and the places. Maker
//! thread; cold. What is said of a transfer that is not open, or not that far, changes nothing: the
//! operator's socket has refused it, and a replay must not do more than the run did.

use super::Maker;
use super::places::nano_per_lot;
use crate::event::InstrumentId;
use crate::inventory::transfer::{Moved, Transfer, TransferId, TransferStage};
use crate::maker::intents::Intents;
use crate::pnl::ledger::LedgerError;
use crate::units::{Lots, Notional};

impl Maker {
    /// Treasury has sent it: `leaves` in 1e-9, of which what the way costs never arrives.
    pub(super) fn transfer_sent(&mut self, id: TransferId, leaves: i64, out: &mut Intents) {
        let Some(asked) = self.open_transfer(id, TransferStage::Requested) else { return };
        let cost = asked.leaves.saturating_sub(asked.arrives);
        let arrives = self.whole_lots(&asked, leaves.saturating_sub(cost).max(0));
        let booked = match asked.moved {
            Moved::Coin { from, to } => {
                let sent = (from, self.lots_of(from, leaves));
                let due = (to, self.lots_of(to, arrives));
                let booked = self.ledger.on_sent(sent, due);
                self.guard_moved(from, Lots(sent.1.0.saturating_neg()), booked.is_ok());
                booked
            }
            Moved::Cash => {
                let cost = leaves.saturating_sub(arrives);
                let paid = self.ledger.on_transfer_cost(asked.currency, Notional(cost.into()));
                if paid.is_ok() {
                    let holdings = &mut self.rebalancer.holdings;
                    let amount = i128::from(leaves).saturating_neg();
                    holdings.cash_moved(Some(asked.from), asked.currency, amount);
                }
                paid
            }
        };
        if booked.is_ok() {
            self.rebalancer.transit.sent(id, self.now, leaves, arrives);
        }
        self.after_transfer(&asked, booked, out);
    }

    /// It has arrived: `came` in 1e-9.
    pub(super) fn transfer_arrived(&mut self, id: TransferId, came: i64, out: &mut Intents) {
        let Some(sent) = self.open_transfer(id, TransferStage::Sent) else { return };
        let booked = match sent.moved {
            Moved::Coin { to, .. } => {
                let (due, came) = (self.lots_of(to, sent.arrives), self.lots_of(to, came));
                let booked = self.ledger.on_arrived(to, due, came);
                self.guard_moved(to, came, booked.is_ok());
                booked
            }
            Moved::Cash => self.cash_came(&sent, came, sent.to),
        };
        if booked.is_ok() {
            self.rebalancer.transit.end(id, came);
        }
        self.after_transfer(&sent, booked, out);
    }

    /// Treasury does not send it; or what was sent came back, `came` of it.
    pub(super) fn transfer_refused(&mut self, id: TransferId, came: i64, out: &mut Intents) {
        let Some(open) = self.rebalancer.transit.get(id) else { return };
        let booked = match (open.stage, open.moved) {
            (TransferStage::Requested, _) => Ok(()),
            (TransferStage::Sent, Moved::Coin { from, to }) => {
                let due = (to, self.lots_of(to, open.arrives));
                let back = (from, self.lots_of(from, came));
                let booked = self.ledger.on_returned(due, back);
                self.guard_moved(from, back.1, booked.is_ok());
                booked
            }
            (TransferStage::Sent, Moved::Cash) => self.cash_came(&open, came, open.from),
        };
        if booked.is_ok() {
            self.rebalancer.transit.end(id, came);
        }
        self.after_transfer(&open, booked, out);
    }

    /// What came or went is working capital and no bet.
    fn guard_moved(&mut self, id: InstrumentId, lots: Lots, is_booked: bool) {
        if let Some(line) = self.line_mut(id).filter(|_| is_booked) {
            line.guard_transfer(lots);
        }
    }

    fn open_transfer(&self, id: TransferId, stage: TransferStage) -> Option<Transfer> {
        self.rebalancer.transit.get(id).filter(|transfer| transfer.stage == stage)
    }

    fn cash_came(
        &mut self,
        transfer: &Transfer,
        came: i64,
        at: crate::event::VenueId,
    ) -> Result<(), LedgerError> {
        let missing = i128::from(transfer.arrives).saturating_sub(came.into());
        self.ledger.on_transfer_cost(transfer.currency, Notional(missing))?;
        self.rebalancer.holdings.cash_moved(Some(at), transfer.currency, came.into());
        Ok(())
    }

    /// 1e-9 of a coin in lots of its instrument, rounded down.
    pub(super) fn lots_of(&self, id: InstrumentId, amount: i64) -> Lots {
        let unit = self.line(id).and_then(nano_per_lot);
        Lots(unit.and_then(|unit| amount.checked_div(unit)).unwrap_or(0))
    }

    /// As much as the other end can count.
    fn whole_lots(&self, transfer: &Transfer, amount: i64) -> i64 {
        match transfer.moved {
            Moved::Coin { to, .. } => {
                let unit = self.line(to).and_then(nano_per_lot).unwrap_or(1);
                self.lots_of(to, amount).0.saturating_mul(unit)
            }
            Moved::Cash => amount,
        }
    }

    fn after_transfer(
        &mut self,
        transfer: &Transfer,
        booked: Result<(), LedgerError>,
        out: &mut Intents,
    ) {
        self.count_places(None);
        match transfer.moved {
            Moved::Coin { from, to } => {
                // Both positions first: an order that this sends must find gross as it is now.
                for end in [from, to] {
                    self.note_position(end);
                }
                self.after_booking(booked, from, out);
                self.after_booking(booked, to, out);
            }
            Moved::Cash => self.requote_all(out),
        }
        self.check_holdings(out);
    }
}
