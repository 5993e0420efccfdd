//! An order in doubt is asked about before it is cancelled: OrderStatusRequest(H), where the venue has it.
//!
//! A part of the desk and the ear, fed by the stage with the maker's cancels and by the session with the
//! answers; feeds the maker's ring. Order-entry thread, hot where it says no. The maker asks after an order
//! in doubt by a cancel. Such a cancel goes out as a question under the same number, and the answer is told
//! as the answer to the cancel: gone, or refused because it lives, and then the maker knows what it has and
//! decides anew. A question that the venue refuses or does not answer settles nothing: the maker's next
//! one goes out as the cancel that it is. Deliberately absent: what is in doubt in the maker's book; here
//! it is an order whose last request was not answered, or that was not acknowledged in [`SILENCE_NS`].

use super::desk::{Arrival, Desk, REASON_OTHER};
use super::ear::Ear;
use super::live_orders::{Form, Handle, LiveOrder, Request};
use super::report::Report;
use super::status::{ExecType, OrdStatus};
use ballast_engine::event::{ClOrdId, OrderAction, OrderEvent, OrderIntent, OrderUpdate};

/// A cancel of an order that is younger goes out as one although the order is not acknowledged: the
/// answer is on its way, and the order should go.
const SILENCE_NS: u64 = 1_000_000_000;

/// A question that the venue has just answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Asked {
    /// The cancel that it stands for.
    id: ClOrdId,
    order: Handle,
    /// It was asked by the name of a replace that was not answered.
    is_about_replace: bool,
}

impl Desk {
    /// Is this cancel about an order of which we do not know what it has become?
    pub(super) fn is_in_doubt(&self, intent: &OrderIntent) -> bool {
        let order = self.live().find(intent.orig_cl_ord_id).and_then(|h| self.live().get(h));
        order.filter(|_| intent.action == OrderAction::Cancel).is_some_and(|order| {
            let requests = order.requests();
            let is_silent =
                order.status == OrdStatus::Sent && intent.at.since(order.at) > SILENCE_NS;
            // A question that got no answer is not asked again before the order was cancelled.
            (is_silent || !requests.is_empty()) && requests.iter().all(|r| r.form != Form::Question)
        })
    }

    /// The question that a report answers: by OrdStatusReqID(790), or as a status of the order.
    pub(super) fn question_of(&self, report: &Report<'_>) -> Option<Asked> {
        let is_status = report.exec_type.and_then(ExecType::parse) == Some(ExecType::OrderStatus);
        if !is_status && report.ord_status_req_id == ClOrdId::NONE {
            return None;
        }
        let handle = self.order_of(report)?;
        let order = self.live().get(handle)?;
        let is_it = |id| [ClOrdId::NONE, id].contains(&report.ord_status_req_id);
        let asked =
            order.requests().iter().find(|r| r.form == Form::Question && is_it(r.cl_ord_id))?;
        let is_about_replace = is_replace(order, report.cl_ord_id);
        Some(Asked { id: asked.cl_ord_id, order: handle, is_about_replace })
    }

    /// Reject(3) or BusinessMessageReject(j) of a question: the cancel that it stood for was not acted on,
    /// and nothing is said of the order.
    pub(super) fn on_question_refused(
        &mut self,
        arrival: Arrival,
        report: &Report<'_>,
    ) -> Option<OrderEvent> {
        let sent = self.sent_under(report.ref_seq_num?)?;
        let order = self.live().get(self.live().find(sent.cl_ord_id)?)?;
        let is_it = |r: &&Request| r.form == Form::Question && r.cl_ord_id == sent.cl_ord_id;
        order.requests().iter().find(is_it)?;
        self.question_refused();
        self.live_mut().withdraw(sent.cl_ord_id);
        let update = OrderUpdate::MessageRejected { reason: report.reason.unwrap_or(REASON_OTHER) };
        let ids = (sent.cl_ord_id, sent.orig_cl_ord_id);
        Some(self.event(arrival, report.transact_time, ids, sent.instrument, update))
    }
}

impl Ear {
    /// Tells what the answer to a question means for the cancel that the question stood for.
    pub(super) fn hear_answer(
        &mut self,
        arrival: Arrival,
        report: &Report<'_>,
        asked: &Asked,
    ) -> Option<OrderEvent> {
        let order = self.desk.live().get(asked.order).copied()?;
        let status = report.ord_status.and_then(OrdStatus::parse)?;
        let place = self.desk.place_of(report, Some(&order))?;
        let cum_qty = self.desk.quantities(report, place, Some(&order), status).cum_qty;
        let ids = (asked.id, report.cl_ord_id);
        self.desk.live_mut().request_refused(asked.order, asked.id);
        let refusal = |is_gone| OrderUpdate::CancelRejected { reason: REASON_OTHER, is_gone };
        // The name of a replace that was never done is gone without the order being gone.
        if asked.is_about_replace && status.is_gone() && cum_qty <= order.cum_qty {
            self.desk.live_mut().request_refused(asked.order, report.cl_ord_id);
            let at = report.transact_time;
            return Some(self.desk.event(arrival, at, ids, order.instrument, refusal(true)));
        }
        let told = self.desk.on_report(arrival, report)?;
        if status.is_gone() {
            return Some(told);
        }
        self.tell(told);
        Some(self.desk.event(arrival, report.transact_time, ids, order.instrument, refusal(false)))
    }
}

fn is_replace(order: &LiveOrder, id: ClOrdId) -> bool {
    order.requests().iter().any(|r| r.cl_ord_id == id && r.action == OrderAction::Replace)
}
