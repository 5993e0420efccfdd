//! What the venue remembers of requests: every ClOrdID(11) and the order that it belongs to.
//!
//! Part of the exchange. A late cancel must be told what became of its order and a name used twice is
//! refused, so a venue remembers for ever, unless it is told for how long
//! ([`Exchange::forgetting`]): a backtest's memory must not grow with its tape. Then a name lasts at
//! least so long after it last mattered, and at most twice that; an order goes with its last name.

use super::exchange::Exchange;
use super::order::{Lifetime, OrdStatus, OrderId, Participant};
use ballast_engine::event::{ClOrdId, InstrumentId};
use ballast_engine::units::{Lots, Nanos, Side, Ticks};
use std::collections::{BTreeMap, VecDeque};

/// A participant's name for a request.
type Name = (Participant, ClOrdId);

/// An order as the venue keeps it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub participant: Participant,
    pub cl_ord_id: ClOrdId,
    pub instrument: InstrumentId,
    pub side: Side,
    pub price: Ticks,
    pub size: Lots,
    pub cum: Lots,
    pub traded: i128,
    pub lifetime: Lifetime,
    pub status: OrdStatus,
}

impl Order {
    pub fn leaves(&self) -> Lots {
        if self.status.is_final() { Lots(0) } else { Lots(self.size.0 - self.cum.0) }
    }

    pub fn working_status(&self) -> OrdStatus {
        if self.cum.0 > 0 { OrdStatus::PartiallyFilled } else { OrdStatus::New }
    }
}

/// Orders and names.
#[derive(Default)]
pub(super) struct Register {
    orders: BTreeMap<OrderId, Order>,
    opened: u64,
    changes: u64,
    /// The order that a name belongs to; none: the request was refused.
    names: BTreeMap<Name, Option<OrderId>>,
    keep_ns: Option<u64>,
    /// When a name was looked at last, and whether it did not matter any more then; oldest first.
    looked_at: VecDeque<(Nanos, Name, bool)>,
}

impl Exchange {
    /// The same venue that forgets requests so long after they last mattered.
    pub fn forgetting(mut self, keep_ns: u64) -> Exchange {
        self.register.keep_ns = Some(keep_ns);
        self
    }
}

impl Register {
    /// A new order under its first name. Numbers are handed out here alone, from 1.
    pub fn open(&mut self, now: Nanos, name: Name, order: Order) -> OrderId {
        self.opened += 1;
        self.changes += 1;
        let id = OrderId(self.opened);
        self.orders.insert(id, order);
        self.name(now, name, Some(id));
        id
    }

    /// A name is used, for an order or for what was refused.
    pub fn name(&mut self, now: Nanos, name: Name, order: Option<OrderId>) {
        let is_new = self.names.insert(name, order).is_none();
        if is_new && self.keep_ns.is_some() {
            self.looked_at.push_back((now, name, false));
        }
    }

    /// Was this name used before?
    pub fn is_used(&self, name: Name) -> bool {
        self.names.contains_key(&name)
    }

    /// The order that a name belongs to; `None` also where it was forgotten.
    pub fn named(&self, name: Name) -> Option<OrderId> {
        let order = self.names.get(&name).copied().flatten();
        order.filter(|order| self.orders.contains_key(order))
    }

    /// An order by its number; `None` where it was forgotten.
    pub fn order(&self, order: OrderId) -> Option<&Order> {
        self.orders.get(&order)
    }

    /// The same, to change it.
    pub fn order_mut(&mut self, order: OrderId) -> Option<&mut Order> {
        self.changes += 1;
        self.orders.get_mut(&order)
    }

    /// Grows with every change of an order.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Forgets what has not mattered for long enough.
    pub fn forget(&mut self, now: Nanos) {
        let Some(keep_ns) = self.keep_ns else { return };
        while let Some(&(then, name, was_idle)) = self.looked_at.front()
            && now.since(then) >= keep_ns
        {
            self.looked_at.pop_front();
            // An order's last name is its current one.
            let order = self.named(name).and_then(|id| {
                let order = self.orders.get(&id).filter(|order| order.cl_ord_id == name.1);
                order.map(|order| (id, order.status.is_final()))
            });
            let is_idle = order.is_none_or(|(_, is_final)| is_final);
            if !is_idle || !was_idle {
                self.looked_at.push_back((now, name, is_idle));
                continue;
            }
            if let Some((id, _)) = order {
                self.orders.remove(&id);
            }
            self.names.remove(&name);
        }
    }

    /// How many names and orders are remembered.
    #[cfg(test)]
    pub fn sizes(&self) -> (usize, usize) {
        (self.names.len(), self.orders.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::exchange::VenueOptions;
    use crate::venue::exchange::tests::spot;
    use crate::venue::order::{Lifetime, NewOrder, Request};
    use ballast_engine::event::InstrumentId;
    use ballast_engine::units::{Lots, Side, Ticks};

    const WHO: Participant = Participant(0);

    /// A venue that remembers for 100 ns.
    fn venue() -> Exchange {
        Exchange::new(&[spot(0, 0)], VenueOptions::default()).forgetting(100)
    }

    fn send(venue: &mut Exchange, at: u64, request: Request) {
        venue.submit(Nanos(at), WHO, request);
        venue.on_arrival(&mut Vec::new());
    }

    fn new(id: u64, lifetime: Lifetime) -> Request {
        Request::New(NewOrder {
            cl_ord_id: ClOrdId(id),
            instrument: InstrumentId(0),
            side: Side::Buy,
            price: Ticks(100),
            size: Lots(1),
            lifetime,
        })
    }

    #[test]
    fn what_works_is_remembered_and_what_ended_is_told_of_for_a_while() {
        let mut venue = venue();
        send(&mut venue, 0, new(1, Lifetime::Resting));
        // Nothing to take: canceled at once.
        send(&mut venue, 0, new(2, Lifetime::ImmediateOrCancel));
        assert_eq!(venue.register.sizes(), (2, 2));
        send(&mut venue, 199, new(3, Lifetime::ImmediateOrCancel));
        assert!(venue.register.named((WHO, ClOrdId(2))).is_some(), "looked at once");
        for at in (300..5_000).step_by(100) {
            send(&mut venue, at, new(at, Lifetime::ImmediateOrCancel));
            let (names, orders) = venue.register.sizes();
            assert!(names <= 5 && orders <= 5, "{names} and {orders} at {at}");
        }
        assert!(!venue.register.is_used((WHO, ClOrdId(2))));
        assert_eq!(venue.live_orders(WHO), 1);
        let (cl_ord_id, orig_cl_ord_id) = (ClOrdId(9_000), ClOrdId(1));
        send(&mut venue, 5_000, Request::Cancel { cl_ord_id, orig_cl_ord_id });
        assert_eq!(venue.live_orders(WHO), 0, "it was there to be canceled");
    }

    #[test]
    fn a_venue_that_was_told_nothing_remembers_for_ever() {
        let mut venue = Exchange::new(&[spot(0, 0)], VenueOptions::default());
        for at in 1..100 {
            send(&mut venue, at * 1_000_000_000_000, new(at, Lifetime::ImmediateOrCancel));
        }
        assert_eq!(venue.register.sizes(), (99, 99));
    }
}
