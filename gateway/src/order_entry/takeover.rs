//! What an earlier run left at a venue, into the index; and what only the venue knows.
//!
//! A part of the desk, fed by it at the start of a run and while a session reconciles. Order-entry
//! thread, cold. Deliberately absent: the decision to cancel it all.

use super::desk::{Arrival, Desk};
use super::live_orders::{Form, LiveOrders, Refusal};
use super::report::Report;
use super::status::OrdStatus;
use crate::venue::symbols::Symbol;
use ballast_engine::event::{
    ClOrdId, InstrumentId, OrderAction, OrderEvent, OrderIntent, OrderUpdate, TimeInForce,
};
use ballast_engine::orders::order::Order;
use ballast_engine::units::{Lots, Nanos, Side, Stamp, Ticks};

impl Desk {
    /// Takes in an order that an earlier run left, with the replacement that was asked for. A cancel that
    /// was not answered may never have arrived: it is asked again.
    ///
    /// It was sent as `first`, where that is not its name any more; `keeps_name`: the venue calls it so.
    ///
    /// # Errors
    /// The index has no room for it.
    pub fn restore(
        &mut self,
        order: &Order,
        first: Option<ClOrdId>,
        keeps_name: bool,
    ) -> Result<(), Refusal> {
        let live = self.live_mut();
        restore(live, order)?;
        if let Some((handle, first)) = live.find(order.cl_ord_id).zip(first) {
            live.name_first(handle, first);
        }
        if keeps_name {
            live.set_form(order.replace_id, Form::KeptName);
        }
        Ok(())
    }

    /// The venue's word on what we hold of the symbol at `place`.
    pub(super) fn position_event(
        &mut self,
        arrival: Arrival,
        place: usize,
        lots: Lots,
    ) -> OrderEvent {
        let instrument = self.symbols.at(place).map_or(InstrumentId(0), Symbol::id);
        let none = (ClOrdId::NONE, ClOrdId::NONE);
        self.event(arrival, Nanos(0), none, instrument, OrderUpdate::Position { lots })
    }

    /// What would cancel the order of a list, if it is one that may be ours and that we do not know.
    pub(super) fn stranger(
        &mut self,
        arrival: Arrival,
        report: &Report<'_>,
    ) -> Option<OrderIntent> {
        let is_known = self.live().find(report.cl_ord_id).is_some();
        let is_gone = report.ord_status.and_then(OrdStatus::parse).is_none_or(OrdStatus::is_gone);
        if is_known || is_gone || report.cl_ord_id == ClOrdId::NONE {
            return None;
        }
        self.counts.unknown_orders += 1;
        let place = self.symbols.find(report.symbol?)?;
        let symbol = self.symbols.at(place)?;
        let size = report.order_qty.or(report.leaves_qty)?;
        Some(OrderIntent {
            cl_ord_id: ClOrdId::NONE,
            orig_cl_ord_id: report.cl_ord_id,
            price: report.price.and_then(|text| symbol.ticks(text).ok()).unwrap_or(Ticks(0)),
            size: symbol.lots_floor(size).ok()?,
            stamp: arrival.stamp,
            at: arrival.now,
            instrument: symbol.id(),
            action: OrderAction::Cancel,
            side: report.side.unwrap_or(Side::Buy),
            time_in_force: TimeInForce::PostOnly,
        })
    }
}

fn restore(live: &mut LiveOrders, order: &Order) -> Result<(), Refusal> {
    let intent = |action, cl_ord_id, orig_cl_ord_id, (price, size)| OrderIntent {
        cl_ord_id,
        orig_cl_ord_id,
        price,
        size,
        stamp: Stamp(0),
        at: Nanos(0),
        instrument: order.instrument,
        action,
        side: order.side,
        time_in_force: TimeInForce::PostOnly,
    };
    let terms = (order.price, order.size);
    live.admit(&intent(OrderAction::New, order.cl_ord_id, ClOrdId::NONE, terms))?;
    if let Some(handle) = live.find(order.cl_ord_id)
        && order.is_acknowledged
    {
        let has_traded = order.cum_qty.0 > 0;
        let status = if has_traded { OrdStatus::PartiallyFilled } else { OrdStatus::New };
        live.set(handle, status, order.cum_qty);
    }
    if let Some(terms) = order.replacement {
        live.admit(&intent(OrderAction::Replace, order.replace_id, order.cl_ord_id, terms))?;
    }
    Ok(())
}
