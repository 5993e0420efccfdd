//! Venues that tell everything as a status: ExecType(150) = I, and what happened is read off
//! OrdStatus(39) and the growth of CumQty(14). Deribit does.
//!
//! A part of the desk, fed by it with reports of such a venue; changes nothing for others.
//! Order-entry thread. A fill is what CumQty(14) grew by, so that a status told twice books nothing
//! twice, nor one that comes when its order has gone. Deliberately absent: prices (`amounts.rs`).

use super::desk::Desk;
use super::live_orders::LiveOrder;
use super::report::Report;
use super::status::{ExecType, OrdStatus};
use ballast_engine::event::{ClOrdId, OrderUpdate};
use ballast_engine::units::Lots;

impl Desk {
    /// CumQty(14) of a report's order as it was told before, also where the order has gone.
    pub(super) fn known_traded(&self, report: &Report<'_>, order: Option<&LiveOrder>) -> Lots {
        match order {
            Some(order) => order.cum_qty,
            None if report.is_status_led => {
                self.live().traded_of_gone(names_of(report), report.order_id)
            }
            None => Lots(0),
        }
    }

    /// What such an order traded since it went is told now.
    pub(super) fn note_traded_of_gone(&mut self, report: &Report<'_>, update: OrderUpdate) {
        if let OrderUpdate::Fill { cum_qty, .. } = update
            && report.is_status_led
        {
            self.live_mut().set_traded_of_gone(names_of(report), report.order_id, cum_qty);
        }
    }

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
        let known = self.known_traded(report, order).0;
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

pub(super) fn names_of(report: &Report<'_>) -> [ClOrdId; 3] {
    [report.cl_ord_id, report.quote_entry, report.quote_order]
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
