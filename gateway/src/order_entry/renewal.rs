//! A replace at a venue that has no OrderCancelReplaceRequest(G) but words of its own: Binance's XCN
//! (cancel and new order in one) and XAK (shrink and keep the place).
//!
//! A part of the desk, fed by the stage with intents and by the ear with the answers; feeds the maker with
//! what a replace is answered with anywhere. Order-entry thread. XCN is answered in two halves: the old
//! order is cancelled, under a name of the cancel's own, and the new one is taken or refused, under its
//! own. The first half is kept, not told: the order is then between two names, and only the second half
//! says what became of it. XCN goes out only for an order that has not traded, and the venue is told to
//! cancel no other, so that the new order's CumQty(14) begins where the old one's ended: at nothing.
//! Deliberately absent: how both are written (`venue/binance.rs`).

use super::desk::Desk;
use super::live_orders::{Form, LiveOrder};
use super::report::Report;
use super::status::{ExecType, OrdStatus};
use crate::fix::msg_type;
use crate::venue::binance::{AMEND, CANCEL_AND_NEW};
use ballast_engine::event::{OrderAction, OrderIntent, TimeInForce};

/// What the venue has refused in this session and is not asked again: a replace that is refused again
/// and again would leave a quote standing where it should not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Refused {
    pub renewals: bool,
    pub amendments: bool,
    pub replaces: bool,
}

impl Refused {
    /// Reject(3) or BusinessMessageReject(j) of a message of this type.
    pub fn note(&mut self, ref_msg_type: Option<&[u8]>) {
        self.renewals |= ref_msg_type == Some(CANCEL_AND_NEW);
        self.amendments |= ref_msg_type == Some(AMEND);
        self.replaces |= ref_msg_type == Some(msg_type::ORDER_CANCEL_REPLACE_REQUEST);
    }
}

/// As what a replace of this order goes out. [`Form::Itself`] is a cancel, behind which the maker sends a
/// new order.
pub(super) fn form_of(order: &LiveOrder, intent: &OrderIntent, refused: Refused) -> Form {
    let is_resting = intent.time_in_force == TimeInForce::PostOnly;
    let is_settled = order.requests().is_empty() && order.cl_ord_id == intent.orig_cl_ord_id;
    if intent.action != OrderAction::Replace || !is_resting || !is_settled {
        return Form::Itself;
    }
    let is_shrunk = intent.size < order.size && intent.size > order.cum_qty;
    if intent.price == order.price && is_shrunk && !refused.amendments {
        return Form::Amendment;
    }
    // The name of its cancel is its own with a sign.
    let has_name = i64::try_from(intent.cl_ord_id.0).is_ok();
    let is_untouched = order.status == OrdStatus::New && order.cum_qty.0 == 0;
    if is_untouched && has_name && !refused.renewals { Form::Renewal } else { Form::Itself }
}

impl Desk {
    /// What a report about an XCN says of the replace that it stands for; every other report as it is.
    /// `None` where there is nothing to tell yet.
    pub(super) fn read_renewal(
        &mut self,
        report: &Report<'_>,
        exec_type: ExecType,
        order: Option<&LiveOrder>,
    ) -> Option<ExecType> {
        let Some(order) = order else { return Some(exec_type) };
        let request = order.request(report.cl_ord_id).filter(|r| r.action == OrderAction::Replace);
        if report.is_of_cancel && exec_type == ExecType::Canceled {
            // A second word on a renewal that is over already says nothing of the order that came of it.
            if let Some(request) = request {
                self.live_mut().set_form(request.cl_ord_id, Form::HalfRenewed);
            }
            return None;
        }
        let Some(request) = request.filter(|r| !matches!(r.form, Form::Itself | Form::KeptName))
        else {
            return Some(exec_type);
        };
        let is_half_done = request.form == Form::HalfRenewed;
        if exec_type == ExecType::New {
            return Some(ExecType::Replaced);
        }
        if exec_type == ExecType::Rejected {
            // The old order is gone, or stands where it stood, and should not.
            self.refused.renewals |= !is_half_done;
            return Some(if is_half_done { ExecType::Canceled } else { ExecType::Rejected });
        }
        Some(exec_type)
    }
}
