//! OrderCancelReject(9): the venue will not cancel or replace an order, and may say that it is gone.
//!
//! A part of the desk, fed by the ear with each reject; feeds the maker's ring. Order-entry thread. A venue
//! that matches the latest ClOrdID(11) alone does not know an order by the name from before a replace that is
//! on its way, nor by that of a replace that was never done: of neither is the order gone. So "unknown" ends
//! an order only where it was asked for by the one name that it can have, or by both. Until then it stays in
//! the index, where a kill finds it, and is asked for by its other name. The maker judges answers to its own
//! cancels by itself; those to the stage's own, which it knows nothing of, are judged here. Deliberately
//! absent: a venue's refusal of a whole message.

use super::desk::{Arrival, Desk, REASON_OTHER, ids_of};
use super::live_orders::LiveOrder;
use super::report::Report;
use super::stage::OWN_IDS;
use super::status::OrdStatus;
use super::status_led::name_request;
use crate::venue::symbols::Symbol;
use ballast_engine::event::{ClOrdId, OrderAction, OrderEvent, OrderUpdate};

/// Whose end a reject speaks of, where it speaks of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Named {
    /// The order itself.
    Order,
    /// A name that it may have left: the replace that is on its way may have been done.
    Former,
    /// A name that is not its own, or not yet.
    Other,
}

impl Named {
    fn by(order: Option<&LiveOrder>, request: ClOrdId) -> Named {
        let asked = order.and_then(|order| Some((order, order.request(request)?)));
        let Some((order, asked)) = asked.filter(|(_, r)| r.action == OrderAction::Cancel) else {
            return Named::Order;
        };
        match order.replace_pending() {
            Some(replace) if asked.named == replace && order.is_name_refused => Named::Order,
            Some(_) if asked.named == order.cl_ord_id => Named::Former,
            None if asked.named == order.cl_ord_id => Named::Order,
            Some(_) | None => Named::Other,
        }
    }
}

impl Desk {
    /// OrderCancelReject(9). No event where it is about an order that is filled by a fill yet to be told.
    pub fn on_cancel_reject(
        &mut self,
        arrival: Arrival,
        report: &Report<'_>,
    ) -> Option<OrderEvent> {
        self.counts.cancel_rejects += 1;
        let handle = self.order_of(report);
        let order = handle.and_then(|h| self.live().get(h)).copied();
        let report = &name_request(report, order.as_ref());
        let status = report.ord_status.and_then(OrdStatus::parse);
        let says_gone = status.is_some_and(OrdStatus::is_gone);
        // Filled, says the venue, and the fill was not told yet. Were the order called gone, what it traded
        // would count nowhere until then: the fill answers the request, or the order stays in doubt.
        let is_untold = |order: &LiveOrder| order.cum_qty < order.size;
        if let (Some(handle), Some(OrdStatus::Filled)) = (handle, status)
            && order.as_ref().is_some_and(is_untold)
        {
            self.live_mut().request_refused(handle, report.cl_ord_id);
            return None;
        }
        let sent = self.sent_with(report.cl_ord_id);
        let instrument = order.as_ref().map(|o| o.instrument).or(sent.map(|s| s.instrument));
        let instrument = instrument.or_else(|| {
            let place = self.symbols.find(report.symbol?)?;
            self.symbols.at(place).map(Symbol::id)
        });
        let named = Named::by(order.as_ref(), report.cl_ord_id);
        let ends_another = says_gone && named != Named::Order;
        match handle {
            Some(handle) => {
                let live = self.live_mut();
                live.request_refused(handle, report.cl_ord_id);
                match status.filter(|_| !ends_another) {
                    Some(status) => live.set_status(handle, status),
                    None if named == Named::Former && ends_another => live.refuse_name(handle),
                    None => {}
                }
            }
            None => self.counts.unknown_orders += 1,
        }
        let Some(instrument) = instrument.or_else(|| self.symbols.at(0).map(Symbol::id)) else {
            self.counts.foreign += 1;
            return None;
        };
        let reason = report.reason.unwrap_or(REASON_OTHER);
        let is_own = report.cl_ord_id.0 & OWN_IDS != 0;
        let is_gone = says_gone && !(is_own && ends_another);
        let update = OrderUpdate::CancelRejected { reason, is_gone };
        let ids = ids_of(report, order.as_ref());
        Some(self.event(arrival, report.transact_time, ids, instrument, update))
    }
}
