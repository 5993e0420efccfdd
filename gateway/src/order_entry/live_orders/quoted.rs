//! What the index knows of an order that is a mass quote.
//!
//! A part of the index, fed by the stage with quotes that go out and by the desk with what the venue calls
//! them. Order-entry thread. Deliberately absent: which side a quote stands on ([`super::super::quotes`]).

use super::{Handle, LiveOrder, LiveOrders};
use ballast_engine::event::ClOrdId;

/// Bytes of an OrderID(37) that are kept; a longer one is not.
const VENUE_NAME_MAX: usize = 31;

/// An order as a quote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quoted {
    /// It went out by MassQuote(i), and is cancelled by it.
    pub is_quote: bool,
    /// The venue said that it has none, and a report of its end may be on its way yet.
    pub is_missed: bool,
    name: [u8; VENUE_NAME_MAX],
    name_len: u8,
}

impl Quoted {
    /// An order that is none.
    pub(super) const NONE: Quoted =
        Quoted { is_quote: false, is_missed: false, name: [0; VENUE_NAME_MAX], name_len: 0 };

    /// What the venue calls so; nothing where that is longer than what is kept.
    pub(super) fn called(name: &[u8]) -> Quoted {
        let mut quoted = Quoted::NONE;
        quoted.set_name(name);
        quoted
    }

    fn set_name(&mut self, name: &[u8]) {
        if let (Some(room), Ok(len)) = (self.name.get_mut(..name.len()), u8::try_from(name.len())) {
            room.copy_from_slice(name);
            self.name_len = len;
        }
    }

    /// OrderID(37), where the venue has said it.
    pub fn venue_name(&self) -> Option<&[u8]> {
        self.name.get(..usize::from(self.name_len)).filter(|name| !name.is_empty())
    }
}

impl LiveOrder {
    /// Whether the venue can be asked what became of it: a quote by OrderID(37) alone.
    pub fn can_be_asked_about(&self) -> bool {
        !self.quoted.is_quote || self.quoted.venue_name().is_some()
    }
}

impl LiveOrders {
    /// The order of this ClOrdID is a quote.
    pub fn mark_quote(&mut self, id: ClOrdId) {
        if let Some(order) = self.find(id).and_then(|handle| self.get_mut(handle)) {
            order.quoted.is_quote = true;
        }
    }

    /// The venue says that it has no such quote, or that it has.
    pub fn miss(&mut self, handle: Handle, is_missed: bool) {
        if let Some(order) = self.get_mut(handle) {
            order.quoted.is_missed = is_missed;
        }
    }

    /// What the venue calls the order.
    pub fn set_venue_name(&mut self, handle: Handle, name: &[u8]) {
        if let Some(order) = self.get_mut(handle) {
            order.quoted.set_name(name);
        }
    }

    /// The quote that the venue calls so. It walks the index: for a report that names it no other way.
    pub fn find_venue_name(&self, name: &[u8]) -> Option<Handle> {
        let is_it = |order: &LiveOrder| order.is_used && order.quoted.venue_name() == Some(name);
        let place = self.orders.iter().position(is_it)?;
        u32::try_from(place).ok().map(Handle)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::intent;
    use super::*;
    use ballast_engine::event::OrderAction;

    #[test]
    fn a_quote_is_found_by_what_the_venue_calls_it_as_long_as_it_lives() {
        let mut orders = LiveOrders::new(4);
        orders.admit(&intent(OrderAction::New, 1, 0)).unwrap();
        orders.admit(&intent(OrderAction::New, 2, 0)).unwrap();
        orders.mark_quote(ClOrdId(2));
        let handle = orders.find(ClOrdId(2)).unwrap();
        assert!(!orders.get(handle).unwrap().can_be_asked_about());
        orders.set_venue_name(handle, b"BTC-6653852");
        assert_eq!(orders.find_venue_name(b"BTC-6653852"), Some(handle));
        assert_eq!(orders.find_venue_name(b""), None);
        assert!(orders.get(handle).unwrap().can_be_asked_about());
        // One that is too long to keep leaves the last.
        orders.set_venue_name(handle, &[b'9'; VENUE_NAME_MAX + 1]);
        assert_eq!(orders.find_venue_name(b"BTC-6653852"), Some(handle));
        orders.withdraw(ClOrdId(2));
        assert_eq!(orders.find_venue_name(b"BTC-6653852"), None);
        let other = orders.get(orders.find(ClOrdId(1)).unwrap()).unwrap();
        assert!(!other.quoted.is_quote && other.can_be_asked_about());
    }
}
