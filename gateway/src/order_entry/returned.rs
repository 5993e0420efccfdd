//! Orders that the venue brings back after the maker was told that they are gone.
//!
//! A part of the desk, fed by it with each report; feeds the stage with the names of orders to cancel. A
//! trade is undone (TradeCancel(H) with LeavesQty(151)), an order that was done for the day is restated the
//! next morning, a replace crossed the fill that ended its order: it works again, and the maker, which has
//! let it go, neither counts nor cancels it. So the index takes it back, where a kill and the end find it,
//! and the stage cancels it by name until the venue says that it is gone. Order-entry thread; a list taken at
//! start. Deliberately absent: orders of another session, and quotes that nobody here knows, which the next
//! logon asks out.

use super::amounts::Quantities;
use super::desk::Desk;
use super::live_orders::LiveOrder;
use super::report::Report;
use super::stage::OWN_IDS;
use super::status::{Meaning, OrdStatus};
use super::status_led::names_of;
use ballast_engine::event::{ClOrdId, OrderAction, OrderIntent, TimeInForce};
use ballast_engine::units::{Lots, Nanos, Stamp};
use std::collections::VecDeque;

/// From one cancel of an order that came back to the next, at first and at most: it doubles.
const AGAIN_NS: (u64, u64) = (1_000_000_000, 10_000_000_000);

/// Places that the index has beyond the maker's own orders: it lets one go that comes back here, and may have
/// all others out. Where more came back, the session is given up: an operator must look.
pub(super) const RETURNED_MAX: usize = 16;

/// An order that came back and is to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Back {
    /// The name that the index keeps.
    pub name: ClOrdId,
    /// Not before.
    pub due: Nanos,
    /// How long it had to go last time.
    wait_ns: u64,
}

impl Back {
    /// The same after a cancel went out.
    pub(super) fn after(self, now: Nanos) -> Back {
        let wait_ns = self.wait_ns.saturating_mul(2).clamp(AGAIN_NS.0, AGAIN_NS.1);
        Back { due: now.plus(wait_ns), wait_ns, ..self }
    }
}

/// The list.
pub(super) struct Returned {
    pub orders: VecDeque<Back>,
    /// One found no room in the index: the maker is to be told.
    pub has_left_one: bool,
    /// This run's number: orders of this one and of those before it are ours.
    epoch: u32,
}

impl Returned {
    pub(super) fn new(orders_max: usize) -> Returned {
        Returned { orders: VecDeque::with_capacity(orders_max), has_left_one: false, epoch: 0 }
    }

    /// Orders of runs up to this one are ours.
    pub(super) fn is_of_runs_to(&mut self, epoch: u32) {
        self.epoch = epoch;
    }

    fn note(&mut self, name: ClOrdId) {
        let is_there = self.orders.iter().any(|back| back.name == name);
        // It holds as many as the index does.
        if !is_there && self.orders.len() < self.orders.capacity() {
            self.orders.push_back(Back { name, due: Nanos(0), wait_ns: 0 });
        }
    }
}

impl Desk {
    /// Has the report brought an order back? `before` is the order as the index had it before the report was
    /// written there.
    #[inline]
    pub(super) fn see_returned(
        &mut self,
        report: &Report<'_>,
        place: usize,
        (meaning, shown): (Meaning, OrdStatus),
        before: Option<&LiveOrder>,
        quantities: Quantities,
    ) {
        match before {
            Some(order) if !order.is_live() && !shown.is_gone() => self.note_returned(report),
            None if !shown.is_gone() => self.take_back(report, place, (meaning, shown), quantities),
            Some(_) | None => {}
        }
    }

    #[cold]
    fn note_returned(&mut self, report: &Report<'_>) {
        let order = self.order_of(report).and_then(|handle| self.live().get(handle));
        // A report that was overtaken brings nothing back.
        if let Some(name) = order.filter(|order| order.is_live()).map(|order| order.first_name) {
            self.returned.note(name);
        }
    }

    /// Takes an order of ours that works, and that the index has let go, in again.
    #[cold]
    fn take_back(
        &mut self,
        report: &Report<'_>,
        place: usize,
        (meaning, shown): (Meaning, OrdStatus),
        Quantities { cum_qty, leaves_qty }: Quantities,
    ) {
        // Other words come late and are overtaken: an acknowledgement, a status.
        let brings_back = matches!(
            meaning,
            Meaning::Filled
                | Meaning::Replaced
                | Meaning::Restated
                | Meaning::TradeCorrected
                | Meaning::TradeCanceled
        );
        let had_traded = self.live().traded_of_gone(names_of(report), None);
        let is_overtaken = meaning == Meaning::Filled && cum_qty < had_traded;
        let is_quoted = self.quotes.group_of(place).is_some();
        if !brings_back || is_overtaken || is_quoted || leaves_qty <= Lots(0) {
            return;
        }
        let id = report.cl_ord_id;
        let run = id.0 >> ClOrdId::COUNTER_BITS;
        let is_of_a_run = (1..=u64::from(self.returned.epoch)).contains(&run);
        if had_traded <= Lots(0) && !(is_of_a_run && id.0 & OWN_IDS == 0) {
            return;
        }
        let Some(instrument) = self.symbols().at(place).map(|symbol| symbol.id()) else { return };
        let order = OrderIntent {
            cl_ord_id: id,
            orig_cl_ord_id: ClOrdId::NONE,
            price: self.price(report, place, None),
            size: Lots(cum_qty.0.saturating_add(leaves_qty.0)),
            stamp: Stamp(0),
            at: Nanos(0),
            instrument,
            action: OrderAction::New,
            side: self.side(report, None),
            time_in_force: TimeInForce::PostOnly,
        };
        let live = self.live_mut();
        let first = live.first_name_of(id);
        let is_taken = live.admit(&order).is_ok();
        match live.find(id).filter(|_| is_taken) {
            Some(handle) => {
                live.name_first(handle, first);
                live.set(handle, shown, cum_qty);
                self.returned.note(id);
            }
            None => self.returned.has_left_one = true,
        }
    }
}
