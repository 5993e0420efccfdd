//! The names under which orders were sent first, also of orders that have gone.
//!
//! A part of the index, fed by it with what goes; read by the stage for a cancel that crosses its order's
//! end, or of an order of which the maker misses a fill: a venue that keeps first names must be asked by
//! them. Order-entry thread; a ring taken at start, walked for such a cancel alone. Deliberately absent:
//! orders that go by their first name.

use super::{Handle, LiveOrder, LiveOrders};
use ballast_engine::event::ClOrdId;

/// The newest orders that went under another name than their first: that name, and the first.
pub(super) struct Departed {
    names: Box<[(ClOrdId, ClOrdId)]>,
    next: usize,
}

impl Departed {
    pub(super) fn new(orders_max: usize) -> Departed {
        let none = (ClOrdId::NONE, ClOrdId::NONE);
        Departed { names: vec![none; orders_max.max(1)].into_boxed_slice(), next: 0 }
    }

    pub(super) fn remember(&mut self, order: &LiveOrder) {
        if order.first_name == order.cl_ord_id {
            return;
        }
        if let Some(place) = self.names.get_mut(self.next) {
            *place = (order.cl_ord_id, order.first_name);
        }
        self.next = (self.next + 1) % self.names.len();
    }
}

impl LiveOrders {
    /// An order from an earlier run was sent under this name first.
    pub fn name_first(&mut self, handle: Handle, first: ClOrdId) {
        let Some(order) = self.get_mut(handle) else { return };
        order.first_name = first;
        if self.find(first).is_none() {
            self.index(first, handle.0);
        }
    }

    /// The first name of the order that goes, or went, by `id`; `id` itself where no other is known.
    pub fn first_name_of(&self, id: ClOrdId) -> ClOrdId {
        if let Some(order) = self.find(id).and_then(|handle| self.get(handle)) {
            return order.first_name;
        }
        let gone = self.departed.names.iter().find(|(last, _)| *last == id && id != ClOrdId::NONE);
        gone.map_or(id, |(_, first)| *first)
    }
}

#[cfg(test)]
mod tests {
    use super::super::OrdStatus;
    use super::super::tests::intent;
    use super::*;
    use ballast_engine::event::OrderAction;
    use ballast_engine::units::Lots;

    #[test]
    fn the_newest_that_went_are_known_by_their_first_names() {
        let mut orders = LiveOrders::new(2);
        for id in [10, 20, 30] {
            orders.admit(&intent(OrderAction::New, id, 0)).unwrap();
            orders.admit(&intent(OrderAction::Replace, id + 1, id)).unwrap();
            let handle = orders.find(ClOrdId(id)).unwrap();
            orders.replaced(handle, ClOrdId(id + 1)).unwrap();
            assert_eq!(orders.first_name_of(ClOrdId(id + 1)), ClOrdId(id));
            orders.set(handle, OrdStatus::Canceled, Lots(0));
        }
        let first = |id| orders.first_name_of(ClOrdId(id)).0;
        assert_eq!((first(11), first(21), first(31), first(0)), (11, 20, 30, 0));
    }
}
