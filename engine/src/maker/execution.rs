//! The venue's word on an order: into the table, the ledger and the exposure, then act on it.

use super::{Maker, instrument_id};
use crate::event::{InstrumentId, OrderEvent, OrderUpdate, Refusal, SessionFault, VenueId, Word};
use crate::maker::intents::{Intents, Record};
use crate::orders::order::{Order, Outcome, Purpose};
use crate::orders::table::{Applied, OrderSlot};
use crate::pnl::fill_history::KeptFill;
use crate::pnl::ledger::{BookedFill, Purpose as Booked};
use crate::risk::state::Reason;

impl Maker {
    pub(super) fn on_order(&mut self, event: &OrderEvent, out: &mut Intents) {
        match event.update.word() {
            Word::Session => {
                let is_up = event.update == OrderUpdate::SessionUp;
                if let OrderUpdate::SessionHalted { fault } = event.update {
                    self.halt_venue(event.venue, fault, out);
                }
                self.on_session(event.venue, is_up, out);
            }
            Word::Account => self.on_account(event, out),
            Word::Taken
            | Word::Traded
            | Word::TradeChanged
            | Word::Standing
            | Word::Ended
            | Word::Refused(_) => self.on_report(event, out),
        }
    }

    /// Order entry gave the session up: an operator must look before anything goes on here.
    fn halt_venue(&mut self, venue: VenueId, fault: SessionFault, out: &mut Intents) {
        let reason = match fault {
            SessionFault::SequenceForgotten => Reason::VenueForgot,
            SessionFault::OutboundDiffers => Reason::OutboundDiffers,
            SessionFault::OrdersUnknown => Reason::UnknownOrder,
        };
        for n in 0..self.lines.len() {
            let id = instrument_id(n);
            if self.line(id).is_some_and(|line| line.instrument.spec().venue == venue) {
                self.halt(id, reason, out);
            }
        }
    }

    /// What the venue says that we hold, told while nothing of ours is on its way: another number
    /// than ours means that one of the two accounts is wrong, and nobody here can know which.
    fn on_account(&mut self, event: &OrderEvent, out: &mut Intents) {
        if event.update == OrderUpdate::ContractDiffers {
            // Every figure of it is wrong by the same factor: it is neither quoted nor hedged with.
            self.halt(event.instrument, Reason::ContractDiffers, out);
        }
        let OrderUpdate::Position { lots } = event.update else { return };
        if self.ledger.position(event.instrument).is_some_and(|ours| ours != lots) {
            self.halt(event.instrument, Reason::PositionDiffers, out);
        } else {
            self.confirm(event.instrument);
            self.put_right(event.instrument, out);
        }
    }

    fn on_session(&mut self, venue: VenueId, is_up: bool, out: &mut Intents) {
        if let Some(session) = self.sessions_up.get_mut(usize::from(venue.0)) {
            *session = is_up;
        }
        if !is_up {
            let lines = &self.lines;
            self.orders.doubt(|instrument| {
                lines
                    .get(usize::from(instrument.0))
                    .is_some_and(|line| line.instrument.spec().venue == venue)
            });
        }
        for n in 0..self.lines.len() {
            let id = instrument_id(n);
            if self.line(id).is_some_and(|line| line.instrument.spec().venue == venue) {
                self.requote(id, out);
            }
        }
    }

    fn on_report(&mut self, event: &OrderEvent, out: &mut Intents) {
        self.count_refusal(event.update);
        match self.orders.apply(event) {
            Applied::Unknown => self.on_unknown(event, out),
            Applied::Order { order, slot, outcome } => {
                self.on_outcome(event, &order, slot, outcome, out);
            }
        }
    }

    fn count_refusal(&mut self, update: OrderUpdate) {
        let Word::Refused(refusal) = update.word() else { return };
        let counters = &mut self.counters;
        let counter = match refusal {
            Refusal::Order => &mut counters.rejected,
            Refusal::Request => &mut counters.cancel_rejected,
            Refusal::Message => &mut counters.message_rejected,
            Refusal::Unsent => &mut counters.unsent,
        };
        *counter = counter.saturating_add(1);
    }

    /// An order that we do not know: its fills are ours all the same, and nothing else goes on.
    fn on_unknown(&mut self, event: &OrderEvent, out: &mut Intents) {
        match event.update.word() {
            Word::Traded => {
                self.counters.unknown_orders = self.counters.unknown_orders.saturating_add(1);
                self.book_fill(event, Purpose::Quote { level: 0 }, out);
                self.halt(event.instrument, Reason::UnknownOrder, out);
            }
            Word::TradeChanged => {
                // An order that is done: trades are undone long after.
                self.amend(event, None, out);
            }
            // A refusal of a request whose order is gone: the fill or cancel that ended it came first.
            Word::Session
            | Word::Account
            | Word::Taken
            | Word::Standing
            | Word::Ended
            | Word::Refused(_) => {}
        }
    }

    fn on_outcome(
        &mut self,
        event: &OrderEvent,
        order: &Order,
        slot: OrderSlot,
        outcome: Outcome,
        out: &mut Intents,
    ) {
        let instrument = order.instrument;
        match outcome {
            Outcome::Lives => self.on_lives(event, order),
            Outcome::DuplicateFill => {
                self.counters.duplicate_fills = self.counters.duplicate_fills.saturating_add(1);
            }
            Outcome::Gone => self.on_gone(event, order, slot, out),
            Outcome::Filled { is_gone, is_overfill, is_inconsistent } => {
                // Booked as told, but believed of nobody: whether we bought or sold, and what, only the
                // venue's own word on the position can say, and until then nothing of the underlying is
                // traded.
                let is_other_side =
                    matches!(event.update, OrderUpdate::Fill { side, .. } if side != order.side);
                let doubted = [instrument, event.instrument];
                let is_other = is_other_side || event.instrument != instrument;
                for id in doubted.into_iter().filter(|_| is_other) {
                    self.doubt_position(id);
                }
                self.book_fill(event, order.purpose, out);
                if is_gone {
                    self.on_gone(event, order, slot, out);
                }
                if is_other {
                    for id in doubted {
                        self.halt(id, Reason::Inconsistent, out);
                        self.requote_pool(id, out);
                    }
                } else if is_overfill {
                    self.halt(instrument, Reason::Overfill, out);
                } else if is_inconsistent {
                    self.halt(instrument, Reason::Inconsistent, out);
                }
            }
            Outcome::Amended { is_gone } => {
                if is_gone {
                    self.on_gone(event, order, slot, out);
                }
                self.amend(event, Some(order.side), out);
            }
            Outcome::MissesFill => self.halt(instrument, Reason::Inconsistent, out),
        }
        self.refresh_gross(instrument);
        // The hedge first: no new quote goes out on the side that it is for.
        if let Some(pool) = self.pool_of(instrument) {
            self.hedge(pool, out);
        }
        self.requote(instrument, out);
        if event.update.word() == Word::Traded {
            self.requote_members(instrument, out);
        }
    }

    /// The order lives on: a request that was taken ends a row of refusals, and after one that was
    /// not, its level rests, or the same request would go out again with every event.
    fn on_lives(&mut self, event: &OrderEvent, order: &Order) {
        let Purpose::Quote { level } = order.purpose else { return };
        let now = self.now;
        let Some(line) = self.line_mut(order.instrument) else { return };
        match event.update.word() {
            Word::Taken => line.rejects_in_row = 0,
            Word::Refused(_) => {
                let holdoff_ns =
                    line.settings.quote.as_ref().map_or(0, |quote| quote.reject_holdoff_ns);
                if let Some(rung) = line.rung_mut(order.side, usize::from(level)) {
                    rung.rests_until = now.plus(holdoff_ns);
                }
            }
            Word::Session
            | Word::Account
            | Word::Traded
            | Word::TradeChanged
            | Word::Standing
            | Word::Ended => {}
        }
    }

    /// The order left the table: its place is free, and what its end says is counted.
    fn on_gone(&mut self, event: &OrderEvent, order: &Order, slot: OrderSlot, out: &mut Intents) {
        let word = event.update.word();
        let is_refusal =
            word == Word::Refused(Refusal::Order) || word == Word::Refused(Refusal::Message);
        match order.purpose {
            Purpose::Quote { level } => {
                // What could not be sent now cannot be sent again at once either.
                let is_unsent = event.update == OrderUpdate::Unsent;
                self.free_rung(order, usize::from(level), slot, is_refusal || is_unsent);
                if !is_unsent {
                    self.count_rejects_in_row(order.instrument, is_refusal, out);
                }
            }
            Purpose::Hedge => self.on_hedge_done(order, slot, out),
            Purpose::Rebalance => self.on_leg_done(order, slot),
        }
    }

    fn free_rung(&mut self, order: &Order, level: usize, slot: OrderSlot, is_refusal: bool) {
        let now = self.now;
        let Some(line) = self.line_mut(order.instrument) else { return };
        let holdoff_ns = line.settings.quote.as_ref().map_or(0, |quote| quote.reject_holdoff_ns);
        if let Some(rung) = line.rung_mut(order.side, level)
            && rung.order == Some(slot)
        {
            rung.order = None;
            if is_refusal {
                rung.rests_until = now.plus(holdoff_ns);
            }
        }
    }

    fn count_rejects_in_row(
        &mut self,
        instrument: InstrumentId,
        is_refusal: bool,
        out: &mut Intents,
    ) {
        let rejects_max = self.rejects_max;
        let Some(line) = self.line_mut(instrument) else { return };
        line.rejects_in_row = if is_refusal { line.rejects_in_row.saturating_add(1) } else { 0 };
        if line.rejects_in_row >= rejects_max {
            self.halt(instrument, Reason::Rejects, out);
        }
    }

    /// Books a fill against the mid just before it by the venue's clock; where the venue does not say,
    /// against the last mark. The mark itself stays where the market is now: what it moved meanwhile
    /// is the position's, not the spread's.
    fn book_fill(&mut self, event: &OrderEvent, purpose: Purpose, out: &mut Intents) {
        let OrderUpdate::Fill { exec_id, side, last_px, last_qty, liquidity, .. } = event.update
        else {
            return;
        };
        let fill = BookedFill {
            instrument: event.instrument,
            side,
            price: last_px,
            size: last_qty,
            liquidity,
            purpose: match purpose {
                Purpose::Quote { .. } => Booked::Quote,
                Purpose::Hedge => Booked::Hedge,
                Purpose::Rebalance => Booked::Rebalance,
            },
            mid: self.line(event.instrument).and_then(|line| line.mids.before(event.venue_at)),
        };
        let now_at = self.ledger.mark(event.instrument);
        let mark = fill.mid.or(now_at);
        let booked = self.book_charged(event, &fill);
        if matches!(purpose, Purpose::Quote { .. }) && booked.is_ok() {
            self.on_quote_flow(event.instrument, side, last_px, last_qty);
        }
        let marked = now_at.map_or(Ok(()), |mark| self.ledger.on_mark(event.instrument, mark));
        let (Ok(booking), Ok(())) = (booked, marked) else {
            self.halt(event.instrument, Reason::Overflow, out);
            return;
        };
        self.fills.remember(KeptFill { exec_id, first_exec_id: exec_id, booking });
        self.counters.fills = self.counters.fills.saturating_add(1);
        let position = self.ledger.position(event.instrument).unwrap_or_default();
        let now = self.now;
        if let Some(line) = self.line_mut(event.instrument) {
            line.tally.fills = line.tally.fills.saturating_add(1);
            line.tally.on_position(position);
            if let Purpose::Quote { level } = purpose {
                line.tally.on_quote_fill(last_qty);
                line.allowance.on_fill(now, side, last_qty);
                if let Some(mark) = mark {
                    let price = last_px.0.saturating_mul(2);
                    line.markouts.on_fill(now, side, level, price, mark.0, last_qty);
                }
            }
        }
        self.guard_fill(event, side, last_px, last_qty);
        out.record(Record::Fill {
            at: self.now,
            instrument: event.instrument,
            side,
            price: last_px,
            size: last_qty,
            purpose,
            liquidity,
        });
        if let Some(pool) = self.pool_of(event.instrument) {
            self.refresh_delta(pool);
        }
        self.count_fill(event.instrument, side, last_qty, purpose, out);
    }
}
