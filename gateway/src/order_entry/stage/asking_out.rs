//! After a kill and at the end the stage asks everything out in one message, where the venue takes one:
//! OrderMassCancelRequest(q).
//!
//! A part of the stage, fed by its turns once its switch is shut or the maker is gone. Cold. A venue that
//! lets twenty messages through in four seconds would else take half a minute over a hundred orders. The
//! cancels of the single orders go out behind it all the same, as the limit lets them: whether q was heard,
//! obeyed or refused changes nothing of them. Deliberately absent: a session that is down or was just up again; its
//! reconciliation asks so first of all.

use super::OrderEntry;
use crate::order_entry::questions::{self, Asked};
use crate::order_entry::reconcile::Question;
use crate::store::Store;
use crate::venue::line::Dial;
use ballast_engine::units::Nanos;

/// How far it is.
#[derive(Default)]
pub(super) struct AskingOut {
    is_done: bool,
    /// Where q names a symbol: the next one.
    place: usize,
}

impl<D: Dial, S: Store> OrderEntry<D, S> {
    /// Once a run: q of everything or, where it names a symbol, of each that has an order out.
    #[cold]
    pub(super) fn ask_all_out(&mut self, now: Nanos) {
        if self.asking_out.is_done {
            return;
        }
        let is_up = self.line.session().is_logged_on() && !self.ear.reconciler.is_active();
        if !is_up || !self.ear.rules.reconciliation.mass_cancel {
            self.asking_out.is_done = true;
            return;
        }
        let by_symbol = self.ear.rules.mass_cancel_by_symbol;
        let count = if by_symbol { self.ear.desk.symbols().count() } else { 1 };
        while self.asking_out.place < count {
            let place = by_symbol.then_some(self.asking_out.place);
            let is_needed = place.is_none_or(|place| self.has_order_at(place));
            // What the limit holds back goes out as soon as it lets a cancel pass.
            if is_needed && !(self.throttle.pass(now, true) && self.ask_out(now, place)) {
                return;
            }
            self.asking_out.place += 1;
        }
        self.asking_out.is_done = true;
    }

    fn has_order_at(&self, place: usize) -> bool {
        let desk = &self.ear.desk;
        let id = desk.symbols().at(place).map(|symbol| symbol.id());
        desk.live().live().any(|order| Some(order.instrument) == id)
    }

    fn ask_out(&mut self, now: Nanos, place: Option<usize>) -> bool {
        let id = self.own_id();
        let (question, rules) = (Question::MassCancel(place), &self.ear.rules);
        let symbol = place.and_then(|place| self.ear.desk.symbols().at(place));
        let asked = Asked { id, order: None, symbol, account: &self.account, now };
        let msg_type = questions::msg_type_of(question);
        let sent = self.line.session_mut().send(now, msg_type, |encoder| {
            questions::write(encoder, question, &asked, rules);
        });
        self.ear.counts.own_cancels += u64::from(sent.is_ok());
        sent.is_ok()
    }
}
