//! The stage sends a replace in the venue's own words: XCN and XAK instead of G.
//!
//! A part of the stage, fed by its turns with intents that the venue's limit let pass. Written field by
//! field, by the venue's file. Deliberately absent: what the answers mean ([`super::super::renewal`]).

use super::OrderEntry;
use crate::order_entry::live_orders::Form;
use crate::order_entry::{kept_name, renewal};
use crate::store::Store;
use crate::venue::binance::{self, AMEND, CANCEL_AND_NEW};
use crate::venue::line::Dial;
use ballast_engine::event::OrderIntent;
use ballast_engine::latency::Mark;
use ballast_engine::units::Nanos;

impl<D: Dial, S: Store> OrderEntry<D, S> {
    /// As what an intent goes out.
    pub(super) fn form_of(&self, intent: &OrderIntent) -> Form {
        let desk = &self.ear.desk;
        if self.asks_first() && desk.is_in_doubt(intent) {
            return Form::Question;
        }
        let order = desk.live().find(intent.orig_cl_ord_id).and_then(|h| desk.live().get(h));
        match order {
            Some(order) if self.ear.rules.has_cancel_and_new => {
                renewal::form_of(order, intent, desk.refused)
            }
            Some(order) if self.ear.rules.report_tags.names_first => {
                kept_name::form_of(order, intent, desk.refused.replaces)
            }
            Some(_) | None => Form::Itself,
        }
    }

    /// Sends a replace as XCN or XAK.
    pub(super) fn renew(
        &mut self,
        now: Nanos,
        place: usize,
        intent: &OrderIntent,
        form: Form,
    ) -> bool {
        let Some(symbol) = self.ear.desk.symbols().at(place) else { return false };
        let msg_type = if form == Form::Amendment { AMEND } else { CANCEL_AND_NEW };
        let sent = self.line.session_mut().send(now, msg_type, |encoder| match form {
            Form::Amendment => binance::write_amend(encoder, intent, symbol),
            Form::Itself | Form::Question | Form::Renewal | Form::HalfRenewed | Form::KeptName => {
                binance::write_cancel_and_new(encoder, intent, symbol);
            }
        });
        let Ok(msg_seq_num) = sent else { return false };
        self.intended.expect(intent);
        self.ear.desk.sent(intent, msg_seq_num);
        self.ear.desk.live_mut().set_form(intent.cl_ord_id, form);
        self.ear.counts.sent += 1;
        if let Some(probe) = &mut self.probe {
            probe.mark(Mark::Encoded, intent.stamp);
            if self.unwritten.len() < self.unwritten.capacity() {
                self.unwritten.push(intent.stamp);
            }
        }
        true
    }
}
