//! What had traded of orders that have gone.
//!
//! A part of the index, fed by it with what goes; read by the desk for a report of an order that the index
//! does not have any more: at a venue that tells statuses only what CumQty(14) grew by is a fill, also where
//! the report comes late. Order-entry thread; a ring taken at start, walked for such a report alone.
//! Deliberately absent: orders of which nothing traded.

use super::quoted::Quoted;
use super::{LiveOrder, LiveOrders, NO_ORDER};
use ballast_engine::event::ClOrdId;
use ballast_engine::units::Lots;

/// Fewest and most orders that are kept.
const KEPT: (usize, usize) = (64, 4096);

/// An order that has gone.
#[derive(Clone, Copy)]
struct Gone {
    names: [ClOrdId; 3],
    quoted: Quoted,
    cum_qty: Lots,
}

/// The newest orders that went and had traded.
pub(super) struct Traded {
    orders: Box<[Gone]>,
    next: usize,
}

impl Gone {
    fn of(order: &LiveOrder) -> Gone {
        let names = [order.cl_ord_id, order.previous, order.first_name];
        Gone { names, quoted: order.quoted, cum_qty: order.cum_qty_max }
    }

    fn is_called(&self, names: [ClOrdId; 3], venue_name: Option<&[u8]>) -> bool {
        let is_name = |name: &ClOrdId| *name != ClOrdId::NONE && self.names.contains(name);
        let called = self.quoted.venue_name();
        called.is_some() && called == venue_name || names.iter().any(is_name)
    }
}

impl Traded {
    pub(super) fn new(orders_max: usize) -> Traded {
        let kept = orders_max.clamp(KEPT.0, KEPT.1);
        Traded { orders: vec![Gone::of(&NO_ORDER); kept].into_boxed_slice(), next: 0 }
    }

    pub(super) fn remember(&mut self, order: &LiveOrder) {
        if order.cum_qty_max <= Lots(0) {
            return;
        }
        self.push(Gone::of(order));
    }

    fn push(&mut self, gone: Gone) {
        if let Some(place) = self.orders.get_mut(self.next) {
            *place = gone;
        }
        self.next = (self.next + 1) % self.orders.len();
    }
}

impl LiveOrders {
    /// The most that was told of an order that has gone by one of these names, or that the venue called
    /// so; none where nothing was.
    pub fn traded_of_gone(&self, names: [ClOrdId; 3], venue_name: Option<&[u8]>) -> Lots {
        let gone = self.traded.orders.iter().find(|gone| gone.is_called(names, venue_name));
        gone.map_or(Lots(0), |gone| gone.cum_qty)
    }

    /// So much is told of it.
    pub fn set_traded_of_gone(
        &mut self,
        names: [ClOrdId; 3],
        venue_name: Option<&[u8]>,
        cum_qty: Lots,
    ) {
        let known = self.traded.orders.iter_mut().find(|gone| gone.is_called(names, venue_name));
        match known {
            Some(gone) => gone.cum_qty = gone.cum_qty.max(cum_qty),
            None => {
                let quoted = Quoted::called(venue_name.unwrap_or_default());
                self.traded.push(Gone { names, quoted, cum_qty });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::OrdStatus;
    use super::super::tests::intent;
    use super::*;
    use ballast_engine::event::OrderAction;

    #[test]
    fn what_traded_of_an_order_is_known_after_it_went_by_each_of_its_names() {
        let mut orders = LiveOrders::new(4);
        for (id, traded) in [(10, 3), (20, 0)] {
            orders.admit(&intent(OrderAction::New, id, 0)).unwrap();
            let handle = orders.find(ClOrdId(id)).unwrap();
            orders.set_venue_name(handle, format!("BTC-{id}").as_bytes());
            for next in [id + 1, id + 2] {
                orders.admit(&intent(OrderAction::Replace, next, next - 1)).unwrap();
                orders.replaced(handle, ClOrdId(next)).unwrap();
            }
            orders.set(handle, OrdStatus::Canceled, Lots(traded));
        }
        let of = |orders: &LiveOrders, id, called: Option<&[u8]>| {
            orders.traded_of_gone([ClOrdId(id), ClOrdId::NONE, ClOrdId::NONE], called).0
        };
        for id in 10..13 {
            assert_eq!((of(&orders, id, None), of(&orders, id + 10, None)), (3, 0));
        }
        assert_eq!((of(&orders, 0, Some(b"BTC-10")), of(&orders, 0, None)), (3, 0));
        let names = [ClOrdId(22), ClOrdId::NONE, ClOrdId(20)];
        orders.set_traded_of_gone(names, Some(b"BTC-20"), Lots(2));
        orders.set_traded_of_gone(names, None, Lots(1));
        assert_eq!((of(&orders, 20, None), of(&orders, 0, Some(b"BTC-20"))), (2, 2));
    }
}
