//! A venue at which an amended order keeps its first name: OrderCancelReplaceRequest(G) names the order and
//! bears no name of its own, and every later report says the first ClOrdID(11). Deribit.
//!
//! A part of the desk, fed by the stage with replaces and by the ear with reports of such a venue; feeds the
//! maker with what a replace is answered with anywhere, under the names that the maker gave. Order-entry
//! thread, hot where it says no. What answers an amendment is a report that shows its Price(44) and
//! OrderQty(38): one is on its way at a time, and never back to the terms from before the last one, so that
//! a late report is not taken for the answer. Terms that nobody here asked for are the venue's, and told as
//! such. Deliberately absent: amending an order whose last request is unanswered; that goes out as a cancel.

use super::desk::{Arrival, Desk, REASON_OTHER};
use super::live_orders::{Form, Handle, LiveOrder, Request};
use super::report::Report;
use super::status::OrdStatus;
use ballast_engine::event::{
    ClOrdId, OrderAction, OrderEvent, OrderIntent, OrderUpdate, TimeInForce,
};
use ballast_engine::units::{Lots, Ticks};

/// What a report said of an order's terms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TermsTold {
    /// Nothing new: the report is read as ever.
    Nothing,
    /// This, and the report says more.
    AndMore(OrderEvent),
    /// This alone.
    Only(OrderEvent),
}

/// As what a replace of this order goes out. [`Form::Itself`] is a cancel, behind which the maker sends a
/// new order.
pub(super) fn form_of(order: &LiveOrder, intent: &OrderIntent, is_refused: bool) -> Form {
    let terms = (intent.price, intent.size);
    let is_settled = order.requests().is_empty() && order.cl_ord_id == intent.orig_cl_ord_id;
    let is_told_apart = terms != (order.price, order.size) && order.terms_before != Some(terms);
    let may_be_amended = match order.status {
        OrdStatus::Sent | OrdStatus::New | OrdStatus::PartiallyFilled => true,
        OrdStatus::Filled
        | OrdStatus::DoneForDay
        | OrdStatus::Canceled
        | OrdStatus::Replaced
        | OrdStatus::PendingCancel
        | OrdStatus::Stopped
        | OrdStatus::Rejected
        | OrdStatus::Suspended
        | OrdStatus::PendingNew
        | OrdStatus::Calculated
        | OrdStatus::Expired
        | OrdStatus::AcceptedForBidding
        | OrdStatus::PendingReplace => false,
    };
    let is_amendable = intent.action == OrderAction::Replace
        && intent.time_in_force == TimeInForce::PostOnly
        && intent.size > order.cum_qty
        && is_settled
        && is_told_apart
        && may_be_amended
        && !is_refused;
    if is_amendable { Form::KeptName } else { Form::Itself }
}

impl Desk {
    /// The report with the name by which the maker knows its order: the venue says the first one alone.
    #[inline]
    pub(super) fn as_the_maker_names<'a>(&self, report: &Report<'a>) -> Report<'a> {
        if !report.names_first {
            return *report;
        }
        let order = self.live().find(report.cl_ord_id).and_then(|handle| self.live().get(handle));
        match order {
            Some(order) => Report { cl_ord_id: order.cl_ord_id, ..*report },
            None => *report,
        }
    }

    /// What a report says of an order's terms: that an amendment was done or refused, or that the venue
    /// changed them. `report` has the maker's name.
    pub(super) fn terms_told(&mut self, arrival: Arrival, report: &Report<'_>) -> TermsTold {
        if !report.names_first {
            return TermsTold::Nothing;
        }
        let handle = self.live().find(report.cl_ord_id);
        let known = handle.and_then(|handle| Some((handle, *self.live().get(handle)?)));
        let shown = report.ord_status.and_then(OrdStatus::parse);
        let (Some((handle, order)), Some(shown)) = (known, shown) else {
            return TermsTold::Nothing;
        };
        let asked = order.requests().iter().find(|request| request.form == Form::KeptName).copied();
        if let Some(asked) = asked.filter(|_| shown == OrdStatus::Rejected)
            && order.status != OrdStatus::Sent
        {
            return TermsTold::Only(self.amendment_refused(
                arrival,
                report,
                (handle, &order),
                asked,
            ));
        }
        if is_of_earlier_terms(report, &order) {
            return TermsTold::Nothing;
        }
        let Some((price, size)) = self.terms_of(report, &order) else { return TermsTold::Nothing };
        // Before its first answer an order has the terms that it was sent with, whatever a report says.
        let is_untold = order.status == OrdStatus::Sent && asked.is_none();
        let is_known = (price, size) == (order.price, order.size);
        let is_late = order.terms_before == Some((price, size));
        if is_known || is_late || is_untold {
            return TermsTold::Nothing;
        }
        let leaves_qty = Lots(size.0.saturating_sub(order.cum_qty.0).max(0));
        let (ids, update) = match asked.filter(|asked| (asked.price, asked.size) == (price, size)) {
            Some(asked) => {
                self.live_mut().replaced(handle, asked.cl_ord_id);
                let ids = (asked.cl_ord_id, order.cl_ord_id);
                (ids, OrderUpdate::Replaced { price, leaves_qty })
            }
            None => {
                self.live_mut().restate(handle, price, size);
                let ids = (order.cl_ord_id, order.cl_ord_id);
                (ids, OrderUpdate::Restated { price, leaves_qty })
            }
        };
        let event = self.event(arrival, report.transact_time, ids, order.instrument, update);
        if self.says_more(report, (handle, &order), shown) {
            return TermsTold::AndMore(OrderEvent { msg_seq_num: 0, ..event });
        }
        self.live_mut().set_status(handle, shown);
        TermsTold::Only(event)
    }

    /// A venue may refuse an amendment by a report: the order stands as it stood.
    fn amendment_refused(
        &mut self,
        arrival: Arrival,
        report: &Report<'_>,
        (handle, order): (Handle, &LiveOrder),
        asked: Request,
    ) -> OrderEvent {
        self.live_mut().request_refused(handle, asked.cl_ord_id);
        let reason = report.reason.unwrap_or(REASON_OTHER);
        let update = OrderUpdate::CancelRejected { reason, is_gone: false };
        let ids = (asked.cl_ord_id, order.cl_ord_id);
        self.event(arrival, report.transact_time, ids, order.instrument, update)
    }

    /// Does a report say more of its order than its terms?
    fn says_more(
        &self,
        report: &Report<'_>,
        (handle, before): (Handle, &LiveOrder),
        shown: OrdStatus,
    ) -> bool {
        let place = self.live().get(handle).and_then(|o| self.symbols.place_of(o.instrument));
        let symbol = place.and_then(|place| self.symbols.at(place));
        let cum_qty = report.cum_qty.and_then(|text| symbol?.lots(text).ok());
        let is_working = matches!(shown, OrdStatus::New | OrdStatus::PartiallyFilled);
        !is_working || cum_qty != Some(before.cum_qty)
    }

    /// Price(44) and OrderQty(38), where a report has both and both are on the grid.
    fn terms_of(&self, report: &Report<'_>, order: &LiveOrder) -> Option<(Ticks, Lots)> {
        let place = self.symbols.place_of(order.instrument)?;
        let symbol = self.symbols.at(place)?;
        Some((symbol.ticks(report.price?).ok()?, symbol.lots(report.order_qty?).ok()?))
    }
}

/// A report of a quote names the request whose terms it shows: those of one before the last are over, however
/// many came between.
fn is_of_earlier_terms(report: &Report<'_>, order: &LiveOrder) -> bool {
    let entry = report.quote_entry;
    let is_older = entry != ClOrdId::NONE && entry < order.cl_ord_id;
    order.quoted.is_quote && is_older && order.request(entry).is_none()
}
