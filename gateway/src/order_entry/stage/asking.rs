//! The stage asks after an order in doubt: OrderStatusRequest(H) instead of the maker's cancel, and
//! OrderMassStatusRequest(AF) after a mass quote of which the venue says that there is none.
//!
//! A part of the stage, fed by its turns. Cold: a request was not answered, or not believed. Deliberately
//! absent: what the answer means ([`super::super::doubts`]).

use super::OrderEntry;
use crate::order_entry::live_orders::{Form, LiveOrder};
use crate::order_entry::questions::{self, Asked};
use crate::order_entry::reconcile::Question;
use crate::store::Store;
use crate::venue::line::Dial;
use ballast_engine::event::OrderIntent;
use ballast_engine::units::Nanos;

impl<D: Dial, S: Store> OrderEntry<D, S> {
    /// Whether the venue answers questions after an order, as far as it has said in this session.
    pub(super) fn asks_first(&self) -> bool {
        self.ear.rules.reconciliation.status && !self.ear.has_refused_question
    }

    /// Asks what became of the order that the cancel names, by that name and under the cancel's number.
    #[cold]
    pub(super) fn ask_after(&mut self, now: Nanos, place: usize, intent: &OrderIntent) -> bool {
        let desk = &self.ear.desk;
        let order = desk.live().find(intent.orig_cl_ord_id).and_then(|h| desk.live().get(h));
        let symbol = desk.symbols().at(place);
        let (Some(mut order), Some(symbol)) = (order.copied(), symbol) else { return false };
        order.cl_ord_id = intent.orig_cl_ord_id;
        let (id, order, symbol) = (intent.cl_ord_id, Some(&order), Some(symbol));
        let asked = Asked { id, order, symbol, account: &self.account, now };
        let (question, rules) = (Question::Status(0), &self.ear.rules);
        let msg_type = questions::msg_type_of(question);
        let sent = self.line.session_mut().send(now, msg_type, |encoder| {
            questions::write(encoder, question, &asked, rules);
        });
        let Ok(msg_seq_num) = sent else { return false };
        self.ear.desk.sent(intent, msg_seq_num);
        self.ear.desk.live_mut().set_form(intent.cl_ord_id, Form::Question);
        self.ear.counts.sent += 1;
        self.ear.counts.questions += 1;
        true
    }

    /// Asks what became of the quotes of which the venue said that there are none, by its own names for them.
    pub(super) fn ask_unsure(&mut self, now: Nanos) -> bool {
        let mut has_asked = false;
        for _ in 0..self.ear.desk.quotes.unsure.len() {
            let desk = &self.ear.desk;
            let Some(first) = desk.quotes.unsure.front().copied() else { break };
            let order = desk.live().find(first).and_then(|handle| desk.live().get(handle)).copied();
            if let Some(order) = order.filter(LiveOrder::is_live) {
                if !self.throttle.pass(now, true) || !self.ask_fate(now, &order) {
                    break;
                }
                has_asked = true;
            }
            self.ear.desk.quotes.unsure.pop_front();
        }
        has_asked
    }

    fn ask_fate(&mut self, now: Nanos, order: &LiveOrder) -> bool {
        let id = self.own_id();
        let symbols = self.ear.desk.symbols();
        let symbol = symbols.place_of(order.instrument).and_then(|place| symbols.at(place));
        let asked = Asked { id, order: Some(order), symbol, account: &self.account, now };
        let (question, rules) = (Question::Fate(0), &self.ear.rules);
        let msg_type = questions::msg_type_of(question);
        let sent = self.line.session_mut().send(now, msg_type, |encoder| {
            questions::write(encoder, question, &asked, rules);
        });
        self.ear.counts.questions += u64::from(sent.is_ok());
        sent.is_ok()
    }
}
