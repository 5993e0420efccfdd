//! Venues that tell everything as a status: ExecType(150) = I, and what happened is read off
//! OrdStatus(39) and the growth of CumQty(14). Deribit does.
//!
//! A part of the desk, fed by it with reports of such a venue; changes nothing for others.
//! Order-entry thread. A fill is what CumQty(14) grew by, so that a status told twice books nothing
//! twice. Deliberately absent: prices (`amounts.rs`).

use super::desk::Desk;
use super::live_orders::LiveOrder;
use super::report::Report;
use super::status::{ExecType, OrdStatus};

impl Desk {
    /// What a status means at a venue that tells nothing else; every other report as it is.
    pub(super) fn read_status(
        &mut self,
        report: &Report<'_>,
        place: usize,
        exec_type: ExecType,
        shown: OrdStatus,
        order: Option<&LiveOrder>,
    ) -> ExecType {
        if !report.is_status_led || exec_type != ExecType::OrderStatus {
            return exec_type;
        }
        let known = order.map_or(0, |o| o.cum_qty.0);
        let told = match report.running {
            Some((cum_qty, _)) => Some(cum_qty),
            None => report.cum_qty.map(|text| self.lots(place, text)),
        };
        if told.is_some_and(|cum_qty| cum_qty.0 > known) {
            return ExecType::Trade;
        }
        match shown {
            OrdStatus::New if order.is_some_and(|o| o.status == OrdStatus::Sent) => ExecType::New,
            OrdStatus::Canceled => ExecType::Canceled,
            OrdStatus::Rejected => ExecType::Rejected,
            OrdStatus::Expired => ExecType::Expired,
            OrdStatus::Sent
            | OrdStatus::New
            | OrdStatus::PartiallyFilled
            | OrdStatus::Filled
            | OrdStatus::DoneForDay
            | OrdStatus::Replaced
            | OrdStatus::PendingCancel
            | OrdStatus::Stopped
            | OrdStatus::Suspended
            | OrdStatus::PendingNew
            | OrdStatus::Calculated
            | OrdStatus::AcceptedForBidding
            | OrdStatus::PendingReplace => ExecType::OrderStatus,
        }
    }
}

/// An OrderCancelReject(9) that names the order and not the request is about its oldest request.
pub(super) fn name_request<'a>(report: &Report<'a>, order: Option<&LiveOrder>) -> Report<'a> {
    match order.filter(|o| report.is_status_led && o.cl_ord_id == report.cl_ord_id) {
        Some(order) => Report {
            cl_ord_id: order.requests().first().map_or(report.cl_ord_id, |r| r.cl_ord_id),
            orig_cl_ord_id: order.cl_ord_id,
            ..*report
        },
        None => *report,
    }
}
