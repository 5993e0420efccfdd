//! Every order of ours that is or may be at a venue, found by ClOrdID(11) without hashing.
//!
//! Fed by the maker with its own requests and with the venue's words; feeds the diff (what works),
//! the gate (what may still trade) and the hedger (what is under way). Maker thread. Capacity is
//! fixed at start; nothing allocates after.
//!
//! An id's counter, masked, is its place in a direct-mapped table. Ids need not be dense, so a
//! counter whose place is still taken by a live order is skipped: two live ids never share a place.

use crate::event::{ClOrdId, InstrumentId, OrderEvent};
use crate::instrument::{ContractValue, Instrument, Underlying};
use crate::orders::order::{Order, OrderState, Outcome, Purpose};
use crate::units::{Lots, Nanos, Side, Ticks};
use borsh::{BorshDeserialize, BorshSerialize};
use std::ops::Range;

/// Where an order stands in the table, valid while it lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[derive(BorshSerialize, BorshDeserialize)]
pub struct OrderSlot(u32);

/// What may still trade on each side of an instrument, worst case.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(BorshSerialize, BorshDeserialize)]
pub struct OpenSize {
    /// Over all buys.
    pub buy: Lots,
    /// Over all sells.
    pub sell: Lots,
}

impl OpenSize {
    /// One side.
    pub fn on(&self, side: Side) -> Lots {
        match side {
            Side::Buy => self.buy,
            Side::Sell => self.sell,
        }
    }

    fn add(&mut self, side: Side, lots: i64) {
        let sum = match side {
            Side::Buy => &mut self.buy,
            Side::Sell => &mut self.sell,
        };
        *sum = Lots(sum.0.saturating_add(lots));
    }
}

/// What an order event turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    /// It concerned this order (as it stands after the event).
    Order {
        /// The order after the event; a copy, it may be gone from the table.
        order: Order,
        /// Where it stands, if it lives.
        slot: OrderSlot,
        /// What the event meant.
        outcome: Outcome,
    },
    /// It names no order that we know to be alive.
    Unknown,
}

#[derive(Clone, Copy, Debug, Default)]
#[derive(BorshSerialize, BorshDeserialize)]
struct IdPlace {
    id: ClOrdId,
    slot: u32,
}

/// The table of live orders.
#[derive(Clone, Debug)]
#[derive(BorshSerialize, BorshDeserialize)]
pub struct OrderTable {
    orders: Box<[Option<Order>]>,
    /// By slot: the ClOrdID(11) that the order was sent under first, whatever it was replaced by since.
    first_names: Box<[ClOrdId]>,
    free: Vec<u32>,
    ids: Box<[IdPlace]>,
    /// Ids of orders that an earlier run left: they may share a place with others. Usually none.
    earlier: Vec<IdPlace>,
    epoch: u32,
    counter: u64,
    open: Box<[OpenSize]>,
    /// By instrument: underlying, and exposure of one lot where that has no price in it.
    contracts: Box<[(Underlying, Option<i64>)]>,
    /// By underlying: exposure of all that may still trade in those with one, buys and sells.
    open_linear: Box<[[i128; 2]]>,
    /// By underlying: how many of its other instruments have something that may still trade.
    open_inverse: Box<[[u32; 2]]>,
}

impl OrderTable {
    /// Room for `orders_max` live orders over these instruments. `epoch` is the run's number, greater
    /// than that of every earlier run: ids are never used twice.
    pub fn new(orders_max: usize, instruments: &[Instrument], epoch: u32) -> OrderTable {
        let orders_max = orders_max.clamp(1, 1 << 20);
        // An order has at most three live ids; eight places an order make a skip rare.
        let places = (orders_max * 8).next_power_of_two();
        let slots = u32::try_from(orders_max).unwrap_or(1 << 20);
        OrderTable {
            orders: vec![None; orders_max].into(),
            first_names: vec![ClOrdId::NONE; orders_max].into(),
            free: (0..slots).rev().collect(),
            ids: vec![IdPlace::default(); places].into(),
            earlier: Vec::new(),
            epoch,
            counter: 0,
            open: vec![OpenSize::default(); instruments.len()].into(),
            contracts: instruments.iter().map(contract).collect(),
            open_linear: vec![[0; 2]; usize::from(u8::MAX) + 1].into(),
            open_inverse: vec![[0; 2]; usize::from(u8::MAX) + 1].into(),
        }
    }

    /// How many orders live.
    pub fn live(&self) -> usize {
        self.orders.len() - self.free.len()
    }

    /// Is there room for another order?
    pub fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// What may still trade in an instrument, worst case over working, pending and in-doubt orders.
    #[inline]
    pub fn open(&self, instrument: InstrumentId) -> OpenSize {
        self.open.get(usize::from(instrument.0)).copied().unwrap_or_default()
    }

    /// The exposure, in 1e-9 of the underlying, of all that may still trade on a side in its spot and
    /// linear instruments, ≥ 0.
    #[inline]
    pub fn open_linear(&self, underlying: Underlying, side: Side) -> i128 {
        let sums = self.open_linear.get(usize::from(underlying.0));
        sums.and_then(|sums| sums.get(side.index())).copied().unwrap_or_default()
    }

    /// Whether anything may still trade on a side of the underlying's inverse instruments.
    #[inline]
    pub fn has_open_inverse(&self, underlying: Underlying, side: Side) -> bool {
        let open = self.open_inverse.get(usize::from(underlying.0));
        open.and_then(|open| open.get(side.index())).is_some_and(|open| *open > 0)
    }

    /// The order at a slot.
    #[inline]
    pub fn get(&self, slot: OrderSlot) -> Option<&Order> {
        self.orders.get(slot.0 as usize)?.as_ref()
    }

    /// How many orders there is room for: the places that [`OrderTable::at`] takes.
    pub fn capacity(&self) -> usize {
        self.orders.len()
    }

    /// The live order at a place below [`OrderTable::capacity`], for walks in a fixed order.
    pub fn at(&self, place: usize) -> Option<(OrderSlot, Order)> {
        let order = self.orders.get(place).copied().flatten()?;
        Some((OrderSlot(u32::try_from(place).ok()?), order))
    }

    /// The ClOrdID(11) under which the live order at `place` was sent first.
    pub fn first_name_at(&self, place: usize) -> Option<ClOrdId> {
        self.at(place)?;
        self.first_names.get(place).copied()
    }

    fn name_first(&mut self, slot: OrderSlot, first: ClOrdId) {
        if let Some(name) = self.first_names.get_mut(slot.0 as usize) {
            *name = first;
        }
    }

    fn place(&self, id: ClOrdId) -> usize {
        let mask = self.ids.len() as u64 - 1;
        usize::try_from(id.0 & mask).unwrap_or(0)
    }

    fn find(&self, id: ClOrdId) -> Option<OrderSlot> {
        if id == ClOrdId::NONE {
            return None;
        }
        let place = self.ids.get(self.place(id))?;
        let found = if place.id == id {
            Some(place)
        } else {
            // At most three an order, and only until the venue has answered.
            self.earlier.iter().find(|earlier| earlier.id == id)
        };
        found.map(|place| OrderSlot(place.slot))
    }

    fn name(&mut self, slot: OrderSlot) -> ClOrdId {
        next_name(&mut self.ids, &mut self.counter, self.epoch, slot)
    }

    fn unname(&mut self, id: ClOrdId) {
        if id == ClOrdId::NONE {
            return;
        }
        let place = self.place(id);
        if let Some(entry) = self.ids.get_mut(place)
            && entry.id == id
        {
            *entry = IdPlace::default();
        }
        self.earlier.retain(|earlier| earlier.id != id);
    }

    fn count(&mut self, instrument: InstrumentId, side: Side, lots: i64) {
        let place = usize::from(instrument.0);
        let Some(open) = self.open.get_mut(place) else { return };
        let was_open = open.on(side).0 != 0;
        open.add(side, lots);
        let is_open = open.on(side).0 != 0;
        let Some(&(underlying, per_lot)) = self.contracts.get(place) else { return };
        let place = usize::from(underlying.0);
        match per_lot {
            Some(per_lot) => {
                let sum =
                    self.open_linear.get_mut(place).and_then(|sums| sums.get_mut(side.index()));
                if let Some(sum) = sum {
                    *sum = sum.saturating_add(i128::from(lots) * i128::from(per_lot));
                }
            }
            None => {
                let open =
                    self.open_inverse.get_mut(place).and_then(|open| open.get_mut(side.index()));
                if let Some(open) = open {
                    *open = (*open + u32::from(is_open)).saturating_sub(u32::from(was_open));
                }
            }
        }
    }

    /// Changes the order at `slot` and keeps the sums right.
    fn change<R>(&mut self, slot: OrderSlot, change: impl FnOnce(&mut Order) -> R) -> Option<R> {
        let order = self.orders.get_mut(slot.0 as usize)?.as_mut()?;
        let (instrument, side, before) = (order.instrument, order.side, order.leaves_worst().0);
        let result = change(order);
        let after = order.leaves_worst().0;
        if after != before {
            self.recount(instrument, side, before, after);
        }
        Some(result)
    }

    #[inline(never)]
    fn recount(&mut self, instrument: InstrumentId, side: Side, before: i64, after: i64) {
        self.count(instrument, side, -before);
        self.count(instrument, side, after);
    }

    /// A new order, pending. `None` when the table is full.
    pub fn insert(
        &mut self,
        now: Nanos,
        instrument: InstrumentId,
        side: Side,
        purpose: Purpose,
        price: Ticks,
        size: Lots,
    ) -> Option<(OrderSlot, ClOrdId)> {
        let slot = OrderSlot(self.free.pop()?);
        let cl_ord_id = self.name(slot);
        let order = Order::sent(now, cl_ord_id, (instrument, side), (price, size), purpose);
        self.count(instrument, side, order.leaves_worst().0);
        self.name_first(slot, cl_ord_id);
        *self.orders.get_mut(slot.0 as usize)? = Some(order);
        Some((slot, cl_ord_id))
    }

    /// Takes in an order that an earlier run left, under its own ids and with its first name. `None` when
    /// the table is full. It allocates: at the start alone.
    pub fn restore(&mut self, order: &Order, first: ClOrdId) -> Option<OrderSlot> {
        let slot = OrderSlot(self.free.pop()?);
        for id in [order.cl_ord_id, order.replace_id, order.cancel_id] {
            if id != ClOrdId::NONE {
                self.earlier.push(IdPlace { id, slot: slot.0 });
            }
        }
        self.count(order.instrument, order.side, order.leaves_worst().0);
        self.name_first(slot, first);
        *self.orders.get_mut(slot.0 as usize)? = Some(*order);
        Some(slot)
    }

    /// The last ClOrdID(11) that was given.
    pub fn last_id(&self) -> ClOrdId {
        ClOrdId::new(self.epoch, self.counter)
    }

    /// A replace of the order at `slot` is under way. Returns its ClOrdID(11); `None` while another
    /// request is, or while the order is in doubt.
    #[inline(always)]
    pub fn request_replace(
        &mut self,
        now: Nanos,
        slot: OrderSlot,
        price: Ticks,
        size: Lots,
    ) -> Option<ClOrdId> {
        let order = self.orders.get_mut(slot.0 as usize)?.as_mut()?;
        match order.state {
            OrderState::PendingNew | OrderState::Working => {}
            OrderState::PendingReplace | OrderState::PendingCancel | OrderState::InDoubt => {
                return None;
            }
        }
        let id = next_name(&mut self.ids, &mut self.counter, self.epoch, slot);
        let before = order.may_grow(size).then(|| order.leaves_worst().0);
        order.replace_id = id;
        order.replacement = Some((price, size));
        order.state = OrderState::PendingReplace;
        order.requested_at = now;
        if let Some(before) = before {
            let (instrument, side, after) = (order.instrument, order.side, order.leaves_worst().0);
            self.recount(instrument, side, before, after);
        }
        Some(id)
    }

    /// A cancel of the order at `slot` is under way. An order in doubt stays in doubt: only the
    /// venue's word changes that. `None` while another request is under way: one at a time, so that
    /// every answer means one thing.
    pub fn request_cancel(&mut self, now: Nanos, slot: OrderSlot) -> Option<ClOrdId> {
        let Order { state, cancel_id, .. } = *self.get(slot)?;
        match state {
            OrderState::PendingReplace | OrderState::PendingCancel => return None,
            OrderState::PendingNew | OrderState::Working | OrderState::InDoubt => {}
        }
        let id = self.name(slot);
        // An expired cancel's late answer still finds the order by its OrigClOrdID(41). An expired
        // replace keeps its name: it may be the order's yet.
        self.unname(cancel_id);
        self.change(slot, |order| {
            order.cancel_id = id;
            let new_name = order.asks_new_name && order.replacement.is_some();
            order.cancel_of = if new_name { order.replace_id } else { order.cl_ord_id };
            order.requested_at = now;
            if state != OrderState::InDoubt {
                order.state = OrderState::PendingCancel;
            }
            id
        })
    }

    /// Marks every unanswered request older than `timeout_ns` as in doubt; returns how many.
    pub fn expire_requests(&mut self, places: Range<usize>, now: Nanos, timeout_ns: u64) -> u32 {
        let mut expired = 0;
        // Orders take the first free places: behind the last that lives there are none.
        let live = self.live();
        let looked_at = self.orders.get_mut(places).unwrap_or_default();
        for order in looked_at.iter_mut().flatten().take(live) {
            let is_waiting = match order.state {
                OrderState::PendingNew | OrderState::PendingReplace | OrderState::PendingCancel => {
                    true
                }
                OrderState::Working | OrderState::InDoubt => false,
            };
            if is_waiting && now.since(order.requested_at) > timeout_ns {
                order.state = OrderState::InDoubt;
                expired += 1;
            }
        }
        expired
    }

    /// Applies the venue's word on one order. Session events go to [`OrderTable::doubt`].
    pub fn apply(&mut self, event: &OrderEvent) -> Applied {
        let named = event.cl_ord_id;
        let found = self.find(named).or_else(|| self.find(event.orig_cl_ord_id));
        let Some(slot) = found else { return Applied::Unknown };
        let Some(before) = self.get(slot).copied() else { return Applied::Unknown };
        let Some(outcome) = self.change(slot, |order| order.apply(named, event.update)) else {
            return Applied::Unknown;
        };
        let Some(order) = self.get(slot).copied() else { return Applied::Unknown };
        let is_gone = match outcome {
            Outcome::Gone
            | Outcome::Filled { is_gone: true, .. }
            | Outcome::Amended { is_gone: true } => true,
            Outcome::Lives
            | Outcome::Filled { is_gone: false, .. }
            | Outcome::Amended { is_gone: false }
            | Outcome::DuplicateFill
            | Outcome::MissesFill => false,
        };
        if is_gone {
            self.remove(slot, &before, &order);
        } else {
            self.rename(slot, &before, &order);
        }
        Applied::Order { order, slot, outcome }
    }

    /// Ids that the order has shed lose their place; one that a late answer gave it gets one.
    fn rename(&mut self, slot: OrderSlot, before: &Order, order: &Order) {
        let kept = [order.cl_ord_id, order.replace_id, order.cancel_id];
        for id in [before.cl_ord_id, before.replace_id, before.cancel_id] {
            if !kept.contains(&id) {
                self.unname(id);
            }
        }
        let place = self.place(order.cl_ord_id);
        if let Some(entry) = self.ids.get_mut(place)
            && entry.id == ClOrdId::NONE
        {
            *entry = IdPlace { id: order.cl_ord_id, slot: slot.0 };
        }
    }

    fn remove(&mut self, slot: OrderSlot, before: &Order, order: &Order) {
        self.count(order.instrument, order.side, -order.leaves_worst().0);
        for shed in [before, order] {
            self.unname(shed.cl_ord_id);
            self.unname(shed.replace_id);
            self.unname(shed.cancel_id);
        }
        if let Some(entry) = self.orders.get_mut(slot.0 as usize) {
            *entry = None;
            self.free.push(slot.0);
        }
    }

    /// The session to the venue of these instruments broke: their orders are in doubt.
    pub fn doubt(&mut self, is_concerned: impl Fn(InstrumentId) -> bool) {
        for order in self.orders.iter_mut().flatten() {
            if is_concerned(order.instrument) {
                order.state = OrderState::InDoubt;
            }
        }
    }
}

/// The next ClOrdID(11) whose place is free, for the order at `slot`.
#[inline(always)]
fn next_name(ids: &mut [IdPlace], counter: &mut u64, epoch: u32, slot: OrderSlot) -> ClOrdId {
    let mask = (ids.len() as u64).wrapping_sub(1);
    // Bounded: at most three places an order are taken, of eight.
    for _ in 0..ids.len() {
        *counter += 1;
        let id = ClOrdId::new(epoch, *counter);
        if let Some(entry) = ids.get_mut(usize::try_from(id.0 & mask).unwrap_or(0))
            && entry.id == ClOrdId::NONE
        {
            *entry = IdPlace { id, slot: slot.0 };
            return id;
        }
    }
    ClOrdId::NONE
}

/// Underlying, and exposure of one lot where that has no price in it.
fn contract(instrument: &Instrument) -> (Underlying, Option<i64>) {
    let per_lot = match instrument.value() {
        ContractValue::Linear { nano_underlying_per_lot, .. } => Some(nano_underlying_per_lot),
        ContractValue::Inverse { .. } | ContractValue::Option { .. } => None,
    };
    (instrument.spec().underlying, per_lot)
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
