//! Order entry's own index of live orders: what is out, under which ClOrdIDs, so that every order
//! can be cancelled without the maker.
//!
//! Fed by the intents that are sent and the reports that come back; feeds the cancel-all, the
//! counts and the state check. Order-entry thread. A slab of orders and an open-addressed table of
//! their ClOrdIDs, both taken at start. Budget: a lookup is one multiply and one or two cache
//! lines. Deliberately absent: positions and money; the maker keeps those.

use super::status::OrdStatus;
use ballast_engine::event::{ClOrdId, InstrumentId, OrderAction, OrderIntent};
use ballast_engine::units::{Lots, Nanos, Side, Ticks};
use first_names::Departed;
pub use request::{Form, Request};
use traded::Traded;

mod first_names;
pub(super) mod quoted;
mod request;
mod traded;

/// Requests to one order that may be unanswered at a time.
pub const REQUESTS_MAX: usize = 4;
const EMPTY: u32 = u32::MAX;

/// One order as order entry knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LiveOrder {
    /// The ClOrdID(11) under which the venue works it.
    pub cl_ord_id: ClOrdId,
    /// The one before the last replacement: a report may still carry it.
    pub previous: ClOrdId,
    /// The one under which it was sent: at some venues its name as long as it lives.
    pub first_name: ClOrdId,
    /// Limit price.
    pub price: Ticks,
    /// OrderQty(38).
    pub size: Lots,
    /// Both, before the last replacement.
    pub terms_before: Option<(Ticks, Lots)>,
    /// CumQty(14).
    pub cum_qty: Lots,
    /// The most that it ever was: a cancelled trade takes some of it back.
    pub cum_qty_max: Lots,
    /// What is traded.
    pub instrument: InstrumentId,
    /// Side(54).
    pub side: Side,
    /// When it was sent.
    pub at: Nanos,
    /// The venue's last word.
    pub status: OrdStatus,
    /// Whether it is a quote, and what the venue calls that.
    pub quoted: quoted::Quoted,
    /// The venue knows no order of its name, and a replace is unanswered: it may go by that one's name.
    pub is_name_refused: bool,
    requests: [Request; REQUESTS_MAX],
    requests_used: u8,
    is_used: bool,
}

/// Where an order stands in the index. Good until the order is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handle(u32);

/// Why an intent cannot be taken into the index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The ClOrdID was used before.
    Duplicate,
    /// As many orders are out as the configuration allows.
    TooManyOrders,
    /// [`REQUESTS_MAX`] requests to this order are unanswered.
    TooManyRequests,
    /// A replace or cancel of an order that is not known here.
    UnknownOrder,
}

#[derive(Clone, Copy)]
struct Slot {
    key: ClOrdId,
    order: u32,
}

const NO_REQUEST: Request = Request {
    cl_ord_id: ClOrdId::NONE,
    named: ClOrdId::NONE,
    action: OrderAction::Cancel,
    price: Ticks(0),
    size: Lots(0),
    form: Form::Itself,
};

const NO_ORDER: LiveOrder = LiveOrder {
    cl_ord_id: ClOrdId::NONE,
    previous: ClOrdId::NONE,
    first_name: ClOrdId::NONE,
    price: Ticks(0),
    size: Lots(0),
    terms_before: None,
    cum_qty: Lots(0),
    cum_qty_max: Lots(0),
    instrument: InstrumentId(0),
    side: Side::Buy,
    at: Nanos(0),
    status: OrdStatus::Sent,
    quoted: quoted::Quoted::NONE,
    is_name_refused: false,
    requests: [NO_REQUEST; REQUESTS_MAX],
    requests_used: 0,
    is_used: false,
};

/// The index.
pub struct LiveOrders {
    orders: Box<[LiveOrder]>,
    free: Vec<u32>,
    /// Open addressing with linear probing, at most half full.
    slots: Box<[Slot]>,
    live: usize,
    departed: Departed,
    traded: Traded,
}

impl LiveOrder {
    /// The requests that the venue has not answered, oldest first.
    pub fn requests(&self) -> &[Request] {
        self.requests.get(..usize::from(self.requests_used)).unwrap_or(&[])
    }

    fn requests_mut(&mut self) -> &mut [Request] {
        self.requests.get_mut(..usize::from(self.requests_used)).unwrap_or_default()
    }

    /// A cancel of it is on its way.
    pub fn is_cancel_pending(&self) -> bool {
        self.requests().iter().any(|r| r.action == OrderAction::Cancel && r.form != Form::Question)
    }

    /// The name that it takes once the replace that is on its way is done.
    pub fn replace_pending(&self) -> Option<ClOrdId> {
        let replace = self.requests().iter().find(|r| r.action == OrderAction::Replace);
        replace.map(|replace| replace.cl_ord_id)
    }

    /// It may still trade, as far as the venue has said.
    pub fn is_live(&self) -> bool {
        !self.status.is_gone()
    }

    /// The unanswered request of this ClOrdID.
    pub fn request(&self, id: ClOrdId) -> Option<&Request> {
        self.requests().iter().find(|r| r.cl_ord_id == id)
    }

    fn push_request(&mut self, request: Request) -> bool {
        match self.requests.get_mut(usize::from(self.requests_used)) {
            Some(free) => {
                *free = request;
                self.requests_used += 1;
                true
            }
            None => false,
        }
    }

    fn take_request(&mut self, id: ClOrdId) -> Option<Request> {
        let used = usize::from(self.requests_used);
        let place = self.requests().iter().position(|r| r.cl_ord_id == id)?;
        let taken = *self.requests.get(place)?;
        self.requests.get_mut(place..used)?.rotate_left(1);
        self.requests_used -= 1;
        Some(taken)
    }
}

impl LiveOrders {
    /// An index for `orders_max` orders.
    pub fn new(orders_max: usize) -> LiveOrders {
        let orders_max = orders_max.clamp(1, 1 << 20);
        // Each order has its own id, the previous and the first one, and its requests' ids.
        let slots = (orders_max * (REQUESTS_MAX + 3) * 2).next_power_of_two();
        LiveOrders {
            orders: vec![NO_ORDER; orders_max].into_boxed_slice(),
            free: (0..orders_max).rev().filter_map(|n| u32::try_from(n).ok()).collect(),
            slots: vec![Slot { key: ClOrdId::NONE, order: EMPTY }; slots].into_boxed_slice(),
            live: 0,
            departed: Departed::new(orders_max),
            traded: Traded::new(orders_max),
        }
    }

    /// Orders that may still trade.
    pub fn live_count(&self) -> usize {
        self.live
    }

    /// Every order that may still trade, in the order of the slab.
    pub fn live(&self) -> impl Iterator<Item = &LiveOrder> {
        self.orders.iter().filter(|o| o.is_used && o.is_live())
    }

    /// The order at `place` of the slab, if it may still trade; `None` ends a walk at
    /// [`LiveOrders::capacity`].
    pub fn live_at(&self, place: usize) -> Option<&LiveOrder> {
        self.orders.get(place).filter(|o| o.is_used && o.is_live())
    }

    /// How many orders fit.
    pub fn capacity(&self) -> usize {
        self.orders.len()
    }

    /// The order that goes, or went, by this ClOrdID.
    pub fn find(&self, id: ClOrdId) -> Option<Handle> {
        if id == ClOrdId::NONE {
            return None;
        }
        let mut place = self.home(id);
        for _ in 0..self.slots.len() {
            let slot = self.slots.get(place)?;
            if slot.key == id {
                return Some(Handle(slot.order));
            }
            if slot.key == ClOrdId::NONE {
                return None;
            }
            place = (place + 1) & self.mask();
        }
        None
    }

    /// The order behind a handle.
    pub fn get(&self, handle: Handle) -> Option<&LiveOrder> {
        self.orders.get(usize::try_from(handle.0).ok()?).filter(|o| o.is_used)
    }

    fn get_mut(&mut self, handle: Handle) -> Option<&mut LiveOrder> {
        self.orders.get_mut(usize::try_from(handle.0).ok()?).filter(|o| o.is_used)
    }

    /// Takes an intent in before it is sent.
    pub fn admit(&mut self, intent: &OrderIntent) -> Result<(), Refusal> {
        if intent.cl_ord_id == ClOrdId::NONE || self.find(intent.cl_ord_id).is_some() {
            return Err(Refusal::Duplicate);
        }
        match intent.action {
            OrderAction::New => self.admit_new(intent),
            OrderAction::Replace | OrderAction::Cancel => {
                let handle = self.find(intent.orig_cl_ord_id).ok_or(Refusal::UnknownOrder)?;
                let request = Request {
                    cl_ord_id: intent.cl_ord_id,
                    named: intent.orig_cl_ord_id,
                    action: intent.action,
                    price: intent.price,
                    size: intent.size,
                    form: Form::Itself,
                };
                let order = self.get_mut(handle).ok_or(Refusal::UnknownOrder)?;
                if !order.push_request(request) {
                    return Err(Refusal::TooManyRequests);
                }
                order.is_name_refused &= intent.action == OrderAction::Cancel;
                self.index(intent.cl_ord_id, handle.0);
                Ok(())
            }
        }
    }

    fn admit_new(&mut self, intent: &OrderIntent) -> Result<(), Refusal> {
        let place = match self.free.pop() {
            Some(place) => place,
            None => self.reclaim().ok_or(Refusal::TooManyOrders)?,
        };
        let order = usize::try_from(place).ok().and_then(|p| self.orders.get_mut(p));
        let order = order.ok_or(Refusal::TooManyOrders)?;
        *order = LiveOrder {
            cl_ord_id: intent.cl_ord_id,
            first_name: intent.cl_ord_id,
            price: intent.price,
            size: intent.size,
            instrument: intent.instrument,
            side: intent.side,
            at: intent.at,
            is_used: true,
            ..NO_ORDER
        };
        self.live += 1;
        self.index(intent.cl_ord_id, place);
        Ok(())
    }

    /// The request `id` goes out as this.
    pub fn set_form(&mut self, id: ClOrdId, form: Form) {
        let order = self.find(id).and_then(|handle| self.get_mut(handle));
        let request =
            order.and_then(|order| order.requests_mut().iter_mut().find(|r| r.cl_ord_id == id));
        if let Some(request) = request {
            request.form = form;
        }
    }

    /// Takes back an intent that was not sent, or that the venue will not act on. Says whether it
    /// was known.
    pub fn withdraw(&mut self, id: ClOrdId) -> bool {
        let Some(handle) = self.find(id) else { return false };
        if let Some(order) = self.get_mut(handle)
            && order.take_request(id).is_some()
        {
            self.unindex(id);
            self.release_if_settled(handle);
            return true;
        }
        // Its own ClOrdID: the order never was. A previous one says nothing of the order.
        if self.get(handle).is_some_and(|o| o.cl_ord_id == id) {
            self.set_status(handle, OrdStatus::Rejected);
        }
        true
    }

    /// Takes the venue's word: status and CumQty(14).
    pub fn set(&mut self, handle: Handle, status: OrdStatus, cum_qty: Lots) {
        if let Some(order) = self.get_mut(handle) {
            order.cum_qty = cum_qty;
            order.cum_qty_max = order.cum_qty_max.max(cum_qty);
        }
        self.set_status(handle, status);
    }

    /// The venue changed price and size by itself.
    pub fn restate(&mut self, handle: Handle, price: Ticks, size: Lots) {
        if let Some(order) = self.get_mut(handle) {
            order.price = price;
            order.size = size;
        }
    }

    /// The replacement `id` stands: the order goes by it from here on. Gives the request.
    pub fn replaced(&mut self, handle: Handle, id: ClOrdId) -> Option<Request> {
        let order = self.get_mut(handle)?;
        let request = order.take_request(id)?;
        // By its first name it is found as long as it lives.
        let forgotten = Some(order.previous).filter(|id| *id != order.first_name);
        order.previous = order.cl_ord_id;
        order.cl_ord_id = id;
        order.is_name_refused = false;
        order.terms_before = Some((order.price, order.size));
        order.price = request.price;
        order.size = request.size;
        if let Some(forgotten) = forgotten {
            self.unindex(forgotten);
        }
        Some(request)
    }

    /// The venue knows no order of its name: it may go by that of the replace that is on its way.
    pub fn refuse_name(&mut self, handle: Handle) {
        if let Some(order) = self.get_mut(handle) {
            order.is_name_refused = true;
        }
    }

    /// A request was answered with no.
    pub fn request_refused(&mut self, handle: Handle, id: ClOrdId) -> Option<Request> {
        let request = self.get_mut(handle)?.take_request(id)?;
        self.unindex(id);
        self.release_if_settled(handle);
        Some(request)
    }

    /// No cancel is on its way any more, as far as is known.
    pub fn forget_cancels(&mut self) {
        for place in 0..self.orders.len() {
            // An order has at most so many.
            for _ in 0..REQUESTS_MAX {
                let order = self.orders.get(place).filter(|order| order.is_used);
                let mut requests = order.into_iter().flat_map(LiveOrder::requests);
                let cancel = requests.find(|r| r.action == OrderAction::Cancel).copied();
                let (Some(cancel), Ok(handle)) = (cancel, u32::try_from(place)) else { break };
                self.request_refused(Handle(handle), cancel.cl_ord_id);
            }
        }
    }

    /// Sets the status and lets the order go where nothing more is to be heard of it.
    pub fn set_status(&mut self, handle: Handle, status: OrdStatus) {
        let Some(order) = self.get_mut(handle) else { return };
        let was_live = order.is_live();
        order.status = status;
        let is_live = order.is_live();
        match (was_live, is_live) {
            (true, false) => self.live -= 1,
            // A venue brings an order back: a replace that crossed its last fill.
            (false, true) => self.live += 1,
            (true, true) | (false, false) => {}
        }
        // A cancel that was asked for and done is answered; any other request gets its own answer.
        if matches!(status, OrdStatus::Canceled | OrdStatus::Rejected | OrdStatus::Expired) {
            self.release(handle);
        } else {
            self.release_if_settled(handle);
        }
    }

    fn release_if_settled(&mut self, handle: Handle) {
        // An order that is done for the day may be restated the next morning.
        let is_settled = self.get(handle).is_some_and(|o| {
            !o.is_live() && o.status != OrdStatus::DoneForDay && o.requests().is_empty()
        });
        if is_settled {
            self.release(handle);
        }
    }

    fn release(&mut self, handle: Handle) {
        let Some(order) = self.get(handle).copied() else { return };
        self.departed.remember(&order);
        self.traded.remember(&order);
        self.unindex(order.cl_ord_id);
        self.unindex(order.previous);
        self.unindex(order.first_name);
        for request in order.requests() {
            self.unindex(request.cl_ord_id);
        }
        if let Some(order) = self.get_mut(handle) {
            order.is_used = false;
            self.free.push(handle.0);
        }
    }

    /// Makes room: a filled order whose late request was never answered has nothing more to say.
    fn reclaim(&mut self) -> Option<u32> {
        let place = self.orders.iter().position(|o| o.is_used && !o.is_live())?;
        self.release(Handle(u32::try_from(place).ok()?));
        self.free.pop()
    }

    fn index(&mut self, id: ClOrdId, order: u32) {
        let mask = self.mask();
        let mut place = self.home(id);
        while let Some(slot) = self.slots.get_mut(place) {
            if slot.key == ClOrdId::NONE {
                *slot = Slot { key: id, order };
                return;
            }
            place = (place + 1) & mask;
        }
    }

    /// Empties the slot of `id` and moves back what had to walk past it.
    fn unindex(&mut self, id: ClOrdId) {
        if id == ClOrdId::NONE {
            return;
        }
        let mut hole = self.home(id);
        loop {
            match self.slots.get(hole) {
                Some(slot) if slot.key == id => break,
                Some(slot) if slot.key != ClOrdId::NONE => hole = (hole + 1) & self.mask(),
                _ => return,
            }
        }
        let mut walker = hole;
        loop {
            walker = (walker + 1) & self.mask();
            let Some(slot) = self.slots.get(walker).copied() else { break };
            if slot.key == ClOrdId::NONE {
                break;
            }
            let from_home = walker.wrapping_sub(self.home(slot.key)) & self.mask();
            let from_hole = walker.wrapping_sub(hole) & self.mask();
            if from_home >= from_hole {
                if let Some(target) = self.slots.get_mut(hole) {
                    *target = slot;
                }
                hole = walker;
            }
        }
        if let Some(target) = self.slots.get_mut(hole) {
            *target = Slot { key: ClOrdId::NONE, order: EMPTY };
        }
    }

    fn mask(&self) -> usize {
        self.slots.len() - 1
    }

    /// Fibonacci hashing: the upper bits of a product with 2^64/φ. Counters spread evenly.
    fn home(&self, id: ClOrdId) -> usize {
        let mixed = id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(mixed >> 32).unwrap_or(0) & self.mask()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ballast_engine::event::TimeInForce;
    use ballast_engine::units::{Nanos, Stamp};

    pub(super) fn intent(action: OrderAction, id: u64, orig: u64) -> OrderIntent {
        OrderIntent {
            cl_ord_id: ClOrdId(id),
            orig_cl_ord_id: ClOrdId(orig),
            price: Ticks(100),
            size: Lots(10),
            stamp: Stamp(1),
            at: Nanos(1),
            instrument: InstrumentId(0),
            action,
            side: Side::Buy,
            time_in_force: TimeInForce::PostOnly,
        }
    }

    #[test]
    fn an_order_is_found_by_every_id_of_its_chain() {
        let mut orders = LiveOrders::new(4);
        orders.admit(&intent(OrderAction::New, 1, 0)).unwrap();
        orders.admit(&intent(OrderAction::Replace, 2, 1)).unwrap();
        orders.admit(&intent(OrderAction::Cancel, 3, 2)).unwrap();
        let handle = orders.find(ClOrdId(1)).unwrap();
        assert_eq!(orders.find(ClOrdId(2)), Some(handle));
        assert_eq!(orders.find(ClOrdId(3)), Some(handle));
        orders.replaced(handle, ClOrdId(2)).unwrap();
        assert_eq!(orders.get(handle).unwrap().cl_ord_id, ClOrdId(2));
        assert_eq!(orders.find(ClOrdId(1)), Some(handle), "a crossing report may carry it");
        orders.set(handle, OrdStatus::Canceled, Lots(0));
        for id in 1..=3 {
            assert_eq!(orders.find(ClOrdId(id)), None);
        }
        assert_eq!(orders.live_count(), 0);
    }

    #[test]
    fn a_full_index_refuses_new_orders_and_never_forgets_a_live_one() {
        let mut orders = LiveOrders::new(2);
        orders.admit(&intent(OrderAction::New, 1, 0)).unwrap();
        orders.admit(&intent(OrderAction::New, 2, 0)).unwrap();
        assert_eq!(orders.admit(&intent(OrderAction::New, 3, 0)), Err(Refusal::TooManyOrders));
        orders.admit(&intent(OrderAction::Cancel, 4, 1)).unwrap();
        let filled = orders.find(ClOrdId(1)).unwrap();
        orders.set(filled, OrdStatus::Filled, Lots(10));
        assert_eq!(orders.live_count(), 1);
        orders.admit(&intent(OrderAction::New, 3, 0)).unwrap();
        assert_eq!(orders.find(ClOrdId(4)), None, "the unanswered cancel made room");
        assert!(orders.find(ClOrdId(2)).is_some());
    }

    #[test]
    fn a_used_id_and_an_unknown_order_are_refused() {
        let mut orders = LiveOrders::new(4);
        orders.admit(&intent(OrderAction::New, 1, 0)).unwrap();
        assert_eq!(orders.admit(&intent(OrderAction::New, 1, 0)), Err(Refusal::Duplicate));
        assert_eq!(orders.admit(&intent(OrderAction::New, 0, 0)), Err(Refusal::Duplicate));
        assert_eq!(orders.admit(&intent(OrderAction::Cancel, 5, 9)), Err(Refusal::UnknownOrder));
        for id in 10..14 {
            orders.admit(&intent(OrderAction::Replace, id, 1)).unwrap();
        }
        let fifth = intent(OrderAction::Replace, 14, 1);
        assert_eq!(orders.admit(&fifth), Err(Refusal::TooManyRequests));
    }

    #[test]
    fn an_intent_that_was_not_sent_leaves_no_trace() {
        let mut orders = LiveOrders::new(4);
        orders.admit(&intent(OrderAction::New, 1, 0)).unwrap();
        orders.admit(&intent(OrderAction::Replace, 2, 1)).unwrap();
        assert!(orders.withdraw(ClOrdId(2)));
        assert!(orders.get(orders.find(ClOrdId(1)).unwrap()).unwrap().requests().is_empty());
        assert!(orders.withdraw(ClOrdId(1)));
        assert!(!orders.withdraw(ClOrdId(1)));
        assert_eq!(orders.live().count(), 0);
    }

    #[test]
    fn the_index_agrees_with_a_sorted_map_over_random_lives() {
        let mut orders = LiveOrders::new(64);
        let mut model = std::collections::BTreeMap::<u64, u64>::new();
        let mut seed = 7u64;
        for id in 1..40_000u64 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let pick = (seed >> 33) as usize;
            if model.len() < 64 && pick.is_multiple_of(2) {
                orders.admit(&intent(OrderAction::New, id << 7, 0)).unwrap();
                model.insert(id << 7, id << 7);
            } else if let Some(first) = model.keys().nth(pick % model.len().max(1)).copied() {
                let handle = orders.find(ClOrdId(first)).unwrap();
                orders.set(handle, OrdStatus::Canceled, Lots(0));
                model.remove(&first);
            }
            assert_eq!(orders.live_count(), model.len());
        }
        for id in model.keys() {
            assert!(orders.find(ClOrdId(*id)).is_some());
        }
        let used = orders.slots.iter().filter(|s| s.key != ClOrdId::NONE).count();
        assert_eq!(used, model.len(), "no id is left behind");
    }
}
