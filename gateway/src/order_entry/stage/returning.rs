//! The stage cancels, by name, orders that the venue brought back after the maker was told that they are gone.
//!
//! A part of the stage, fed by its turns. Cold. Deliberately absent: which orders those are
//! ([`super::super::returned`]).

use super::OrderEntry;
use crate::order_entry::live_orders::LiveOrder;
use crate::order_entry::quotes::Doomed;
use crate::store::Store;
use crate::venue::line::Dial;
use ballast_engine::event::SessionFault;
use ballast_engine::units::Nanos;

impl<D: Dial, S: Store> OrderEntry<D, S> {
    /// Cancels what came back, each until the venue says that it is gone.
    #[inline]
    pub(super) fn cancel_returned(&mut self, now: Nanos) -> bool {
        if self.ear.desk.returned.has_left_one {
            self.give_up(now);
        }
        !self.ear.desk.returned.orders.is_empty() && self.cancel_each_returned(now)
    }

    /// One that works found no room in the index: neither the maker nor a kill would cancel it. The maker
    /// halts, and an operator must look.
    #[cold]
    fn give_up(&mut self, now: Nanos) {
        if self.ear.has_room() {
            self.ear.desk.returned.has_left_one = false;
            self.ear.halted(now, SessionFault::OrdersUnknown);
        }
    }

    #[cold]
    fn cancel_each_returned(&mut self, now: Nanos) -> bool {
        if !self.line.session().is_logged_on() {
            return false;
        }
        let mut is_busy = false;
        // One that waits holds up nobody behind it.
        for _ in 0..self.ear.desk.returned.orders.len() {
            let Some(back) = self.ear.desk.returned.orders.pop_front() else { break };
            let live = self.ear.desk.live();
            let order = live.find(back.name).and_then(|handle| live.get(handle)).copied();
            let Some(order) = order.filter(LiveOrder::is_live) else { continue };
            if order.quoted.is_quote {
                let LiveOrder { first_name, instrument, side, .. } = order;
                let due = now;
                self.ear.desk.doom(Doomed {
                    order: first_name,
                    instrument,
                    side,
                    is_stray: false,
                    due,
                });
                continue;
            }
            let is_due = now >= back.due && !order.is_cancel_pending();
            let is_sent = is_due && self.throttle.pass(now, true) && self.cancel_now(now, &order);
            let back = if is_sent { back.after(now) } else { back };
            self.ear.desk.returned.orders.push_back(back);
            is_busy |= is_sent;
        }
        is_busy
    }
}
