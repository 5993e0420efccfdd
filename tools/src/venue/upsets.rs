//! What a venue does to orders and trades beside matching: it loses orders, fills more than was ordered,
//! cancels and corrects trades.
//!
//! A part of the exchange, asked by a simulation's mischief; its books are always right, and what it
//! reports says what they say. One thread. Deliberately absent: any of it by itself.

use super::exchange::Exchange;
use super::order::{ExecType, LastFill, OrdStatus, OrderId, Participant, Report};
use super::register::Order;
use ballast_engine::event::{ClOrdId, ExecId, InstrumentId, Liquidity};
use ballast_engine::units::{Lots, Ticks};

/// Trades that may be cancelled or corrected.
pub(super) const TRADES_KEPT: usize = 64;

/// A trade as it was reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trade {
    pub exec_id: ExecId,
    pub order: OrderId,
    pub last: LastFill,
}

impl Exchange {
    /// By how many lots, signed, the venue moved a position beyond what the participant's orders allowed.
    pub fn upset(&self, participant: Participant, instrument: InstrumentId) -> Lots {
        self.upsets.get(&(participant, instrument)).copied().unwrap_or_default()
    }

    fn note_upset(&mut self, order: OrderId, bought: i64) {
        let Order { participant, instrument, .. } = *self.order(order);
        self.upsets.entry((participant, instrument)).or_default().0 += bought;
    }

    /// A participant's working orders leave the book and nobody is told.
    pub fn lose_orders(&mut self, participant: Participant) {
        let ids: Vec<OrderId> = self.working(participant).collect();
        for order in ids {
            self.unrest(order);
            self.order_mut(order).status = OrdStatus::Canceled;
            self.live.remove(&(participant, order));
        }
    }

    fn unrest(&mut self, order: OrderId) {
        let Order { instrument, side, price, .. } = *self.order(order);
        self.markets[usize::from(instrument.0)].remove(side, price, order);
    }

    /// One working order trades to its end, and a lot more.
    pub fn overfill(&mut self, participant: Participant, dice: u64, out: &mut Vec<Report>) {
        let ids: Vec<OrderId> = self.working(participant).collect();
        if ids.is_empty() {
            return;
        }
        let order = ids[(dice % ids.len() as u64) as usize];
        let (price, leaves) = (self.order(order).price, self.order(order).leaves());
        self.unrest(order);
        self.note_upset(order, self.order(order).side.sign());
        self.fill(order, price, Lots(leaves.0 + 1), Liquidity::Maker, out);
    }

    /// A late trade of an order that is done never was; or, as `is_correction`, was a tick dearer and,
    /// where it was of more than one lot, a lot smaller.
    pub fn amend_trade(
        &mut self,
        participant: Participant,
        (dice, is_correction): (u64, bool),
        out: &mut Vec<Report>,
    ) {
        let is_done = |trade: &&Trade| {
            let order = self.register.order(trade.order);
            order.is_some_and(|order| order.participant == participant && order.status.is_final())
        };
        let done: Vec<Trade> = self.trades.iter().filter(is_done).copied().collect();
        if done.is_empty() {
            return;
        }
        let was = done[(dice % done.len() as u64) as usize];
        self.trades.retain(|trade| trade.exec_id != was.exec_id);
        let size = if is_correction { Lots((was.last.size.0 - 1).max(1)) } else { Lots(0) };
        let price = Ticks(was.last.price.0 + i64::from(is_correction));
        self.rewrite(was, price, size);
        let exec_type = if is_correction { ExecType::TradeCorrect } else { ExecType::TradeCancel };
        let last = if is_correction { LastFill { price, size, ..was.last } } else { was.last };
        self.report_amended(was.order, exec_type, last, was.exec_id, out);
        if is_correction {
            self.keep_trade(was.order, last);
        }
    }

    /// The order and its firm's position, with the trade as it now is.
    fn rewrite(&mut self, was: Trade, price: Ticks, size: Lots) {
        let value = |price: Ticks, size: Lots| i128::from(price.0) * i128::from(size.0);
        let order = self.order_mut(was.order);
        order.cum.0 += size.0 - was.last.size.0;
        order.traded += value(price, size) - value(was.last.price, was.last.size);
        // Nothing of it works any more, and it is not filled.
        order.status = OrdStatus::Canceled;
        let Order { participant, instrument, side, .. } = *order;
        let position = self.positions.entry((participant, instrument)).or_default();
        let bought = side.sign() * (size.0 - was.last.size.0);
        position.0 += bought;
        self.note_upset(was.order, bought);
    }

    fn report_amended(
        &mut self,
        order: OrderId,
        exec_type: ExecType,
        last: LastFill,
        exec_ref_id: ExecId,
        out: &mut Vec<Report>,
    ) {
        let fresh = out.len();
        self.report(order, exec_type, ClOrdId::NONE, Some(last), out);
        for report in &mut out[fresh..] {
            if let super::order::Answer::Execution(execution) = &mut report.answer {
                execution.exec_ref_id = exec_ref_id;
            }
        }
    }

    /// The trade that was just reported may be amended.
    pub(super) fn keep_trade(&mut self, order: OrderId, last: LastFill) {
        if self.trades.len() >= TRADES_KEPT {
            self.trades.pop_front();
        }
        self.trades.push_back(Trade { exec_id: ExecId(self.executions), order, last });
    }
}
