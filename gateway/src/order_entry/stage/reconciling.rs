//! The stage after a start and after a logon: what an earlier run heard, and what the venue knows.
//!
//! A part of the stage, fed by its turns. Cold: questions go out once a logon. Deliberately absent: which
//! question comes next ([`super::super::reconcile`]).

use super::{INTENTS_MAX, OrderEntry};
use crate::order_entry::desk::Arrival;
use crate::order_entry::earlier;
use crate::order_entry::live_orders::{Form, LiveOrder};
use crate::order_entry::questions::{self, Asked};
use crate::order_entry::reconcile::{Question, Step};
use crate::store::Store;
use crate::venue::line::Dial;
use ballast_engine::event::{OrderIntent, OrderUpdate, SessionFault};
use ballast_engine::maker::resumption::Renamed;
use ballast_engine::orders::order::{Order, Purpose};
use ballast_engine::stage::Turn;
use ballast_engine::units::{Nanos, Stamp};

/// Messages of an earlier run in which what the venue calls its quotes is looked for.
const LEARNT_MAX: u64 = 1 << 18;

impl<D: Dial, S: Store> OrderEntry<D, S> {
    /// Goes on from an earlier run: its orders are in the index, and what the store holds from
    /// MsgSeqNum(34) `deliver_from` on is told before the venue is dialled.
    pub fn resume(&mut self, orders: &[Order], renamed: &[Renamed], deliver_from: u64) {
        let keeps_name = self.ear.rules.report_tags.names_first;
        for order in orders {
            let first = renamed.iter().find(|r| r.cl_ord_id == order.cl_ord_id).map(|r| r.first);
            // One that finds no room is the maker's to ask after, by a cancel that names it.
            let _ = self.ear.desk.restore(order, first, keeps_name);
            if matches!(order.purpose, Purpose::Quote { .. }) {
                self.ear.desk.restore_quote(order.cl_ord_id);
            }
        }
        self.learn_venue_names();
        self.redelivery = Some(deliver_from);
        self.is_store_illegible = !earlier::is_legible(self.line.session().store());
        self.ear.reconciler.expect_earlier_orders();
    }

    /// What the venue calls the quotes that an earlier run left is in what that run heard, newest first.
    fn learn_venue_names(&mut self) {
        let Self { line, ear, decoder, .. } = self;
        if !ear.desk.quotes.is_used() || ear.desk.live().live().all(LiveOrder::can_be_asked_about) {
            return;
        }
        let store = line.session().store();
        let next = store.next_target();
        for number in (next.saturating_sub(LEARNT_MAX).max(1)..next).rev() {
            let Some(frame) = store.inbound(number) else { continue };
            let Ok(message) = decoder.decode(frame) else { continue };
            if ear.desk.learn_venue_names(&message, ear.rules.report_tags) {
                return;
            }
        }
    }

    /// Tells what an earlier run heard and did not take in, as if it came now.
    pub(super) fn redeliver(&mut self, now: Nanos) -> Turn {
        let Some(mut number) = self.redelivery else { return Turn::Idle };
        if std::mem::take(&mut self.is_store_illegible) {
            // What an earlier run sent cannot be read: an order that nobody here knows may be out.
            self.switch.shut();
            self.ear.halted(now, SessionFault::OrdersUnknown);
            return Turn::Busy;
        }
        let store = self.line.session().store();
        if !std::mem::replace(&mut self.has_told_numbers, true) {
            let (longest, most) = self.throttle.looks_back();
            let from = Nanos(now.0.saturating_sub(longest));
            self.throttle.count_earlier(now, &earlier::sent_since(store, from, most));
            // First of all since when the numbers count: a run that dies in here leaves no doubt which
            // messages it has taken in.
            let last = number.min(store.next_target()).saturating_sub(1);
            self.ear.tell_numbers(now, Stamp(0), (store.created_at(), last));
            return Turn::Busy;
        }
        for _ in 0..INTENTS_MAX {
            if number >= store.next_target() {
                self.redelivery = None;
                return Turn::Busy;
            }
            if !self.ear.has_room() {
                break;
            }
            if let Some(frame) = store.inbound(number)
                && let Ok(message) = self.decoder.decode(frame)
            {
                self.ear.hear_message(now, Stamp(0), &message);
            }
            number += 1;
        }
        self.redelivery = Some(number);
        Turn::Busy
    }

    /// Takes the next steps of the reconciliation; says whether there was one.
    pub(super) fn reconcile(&mut self, now: Nanos) -> bool {
        let mut is_busy = false;
        while self.ear.has_room() && self.line.session().is_logged_on() {
            let (is_synced, is_sweeping) =
                (self.line.session().is_synced(), self.ear.sweep.is_some());
            let live = self.ear.desk.live();
            let went = match self.ear.reconciler.next(now, is_synced, live, is_sweeping) {
                Step::Wait => false,
                Step::Sweep => {
                    self.ear.sweep = Some(0);
                    true
                }
                Step::Ask(question) => self.ask(now, question),
                Step::Cancel(stranger) => self.cancel_stranger(now, stranger),
                Step::Tell(place, lots) => {
                    let arrival = Arrival { now, stamp: Stamp(0), msg_seq_num: 0 };
                    let event = self.ear.desk.position_event(arrival, place, lots);
                    self.ear.tell(event);
                    true
                }
                Step::TellContract(place) => {
                    let arrival = Arrival { now, stamp: Stamp(0), msg_seq_num: 0 };
                    let event = self.ear.desk.contract_event(arrival, place);
                    self.ear.tell(event);
                    true
                }
                Step::TellUnknown => {
                    let arrival = Arrival { now, stamp: Stamp(0), msg_seq_num: 0 };
                    let update = OrderUpdate::SessionHalted { fault: SessionFault::OrdersUnknown };
                    let event = self.ear.desk.session_event(arrival, update);
                    self.ear.tell(event);
                    true
                }
                Step::Up => {
                    self.ear.session_up(now);
                    return true;
                }
            };
            if !went {
                break;
            }
            is_busy = true;
        }
        is_busy
    }

    fn ask(&mut self, now: Nanos, question: Question) -> bool {
        if !self.throttle.pass(now, true) {
            return false;
        }
        let id = self.own_id();
        let desk = &self.ear.desk;
        let symbols = desk.symbols();
        let (order, symbol) = match question {
            Question::Status(place) | Question::Fate(place) => {
                let order = desk.live().live_at(place);
                let at = order.and_then(|order| symbols.place_of(order.instrument));
                (order, at.and_then(|place| symbols.at(place)))
            }
            Question::MassCancel(place) => (None, place.and_then(|place| symbols.at(place))),
            Question::QuoteCancel | Question::MassStatus | Question::Positions => (None, None),
        };
        let rules = &self.ear.rules;
        let asked = Asked { id, order, symbol, account: &self.account, now };
        let msg_type = questions::msg_type_of(question);
        let sent = self.line.session_mut().send(now, msg_type, |encoder| {
            questions::write(encoder, question, &asked, rules);
        });
        let Ok(msg_seq_num) = sent else { return false };
        self.ear.reconciler.on_asked(question, msg_seq_num);
        true
    }

    /// Cancels an order that the venue has and we do not know.
    fn cancel_stranger(&mut self, now: Nanos, stranger: OrderIntent) -> bool {
        if !self.throttle.pass(now, true) {
            return false;
        }
        let intent = OrderIntent { cl_ord_id: self.own_id(), at: now, ..stranger };
        let place = self.ear.desk.symbols().place_of(intent.instrument);
        let is_sent = place.is_some_and(|place| self.transmit(now, place, &intent, Form::Itself));
        if is_sent {
            self.ear.counts.own_cancels += 1;
            self.ear.reconciler.on_cancelled();
        }
        is_sent
    }
}
