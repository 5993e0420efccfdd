//! The stage cancels everything that is live: for the operator's hand, for a watchdog, after the maker's end.
//!
//! A part of the stage, fed by its turns and by a [`CancelSwitch`](super::CancelSwitch). Cold. It needs nobody
//! but the session: neither the maker nor room in its ring. A kill and an end are not over with one pass: an
//! order that a refused cancel or a replacement on its way left working is cancelled again. A kill through a
//! maker that turns asks for it as well: behind the maker's own cancels, for what the maker has to wait for
//! (the answer to a replace, the room of its own message rate). Deliberately
//! absent: whether a cancel was obeyed, which is the venue's word.

use super::{Form, INTENTS_MAX, OrderEntry};
use crate::order_entry::live_orders::LiveOrder;
use crate::store::Store;
use crate::venue::line::Dial;
use ballast_engine::event::{OrderAction, OrderIntent, TimeInForce};
use ballast_engine::stage::Turn;
use ballast_engine::units::{Nanos, Stamp};
use std::sync::atomic::Ordering;

/// Own cancels sent in one turn.
pub(super) const CANCELS_MAX: usize = 64;
/// From one pass of a kill to the next, at first and at most: it doubles.
const AGAIN_NS_MIN: u64 = 100_000_000;
const AGAIN_NS_MAX: u64 = 10_000_000_000;

/// How often everything was cancelled.
#[derive(Default)]
pub(super) struct Sweeping {
    /// A cancel of everything was asked for from outside.
    was_asked_for: bool,
    /// When the index is looked through again, and how long until the time after that.
    again_at: Nanos,
    again_ns: u64,
    /// Turns in which the intents that lay in the ring when it was asked for are surely taken.
    turns_behind: usize,
}

impl<D: Dial, S: Store> OrderEntry<D, S> {
    /// Cancels every live order, now or as soon as the session is up, within the venue's limit.
    pub fn cancel_all(&mut self) {
        self.ear.sweep = Some(0);
        self.quoting.cancels_all = self.ear.desk.quotes.is_used();
    }

    /// Cancels what is live, a few orders a turn, and goes on where the venue's limit stopped it.
    pub(super) fn sweep(&mut self, now: Nanos) -> bool {
        // Acquire: what the maker had handed over before the kill went on is seen in the ring.
        if self.switch.0.cancel.load(Ordering::Acquire) {
            self.switch.0.cancel.store(false, Ordering::Release);
            self.sweeping.was_asked_for = true;
            self.sweeping.turns_behind = self.intents.capacity() / INTENTS_MAX + 1;
            self.cancel_all();
        }
        if self.leaves_it_to_the_maker() {
            return false;
        }
        let Some(mut place) = self.ear.sweep.filter(|_| self.line.session().is_logged_on()) else {
            return false;
        };
        if self.quoting.cancels_all && !self.cancel_all_quotes(now) {
            return false;
        }
        let mut cancels = 0;
        while place < self.ear.desk.live().capacity() && cancels < CANCELS_MAX {
            let order = self.ear.desk.live().live_at(place).copied();
            if let Some(order) = order.filter(|o| !o.is_cancel_pending()) {
                if order.quoted.is_quote {
                    let has_room = self.throttle.room_for_cancels(now) > 0;
                    if !has_room || !self.remove_quote(now, &order) {
                        break;
                    }
                    cancels += 1;
                    place += 1;
                    continue;
                }
                if !self.throttle.pass(now, true) {
                    break;
                }
                cancels += 1;
                if !self.cancel_now(now, &order) {
                    break;
                }
            }
            place += 1;
        }
        self.ear.sweep = (place < self.ear.desk.live().capacity()).then_some(place);
        // What the limit held back is found again from the start.
        if !self.send_quotes(now) {
            self.ear.sweep = Some(0);
        }
        cancels > 0
    }

    /// The maker's own cancels may lie in the ring yet, and none goes out twice. Where nobody reads the
    /// events, no intent is taken: that is not waited for.
    fn leaves_it_to_the_maker(&mut self) -> bool {
        let is_behind = self.sweeping.turns_behind > 0
            && self.switch.is_shut()
            && !self.intents.is_empty()
            && self.ear.has_room();
        self.sweeping.turns_behind = match is_behind {
            true => self.sweeping.turns_behind.saturating_sub(1),
            false => 0,
        };
        is_behind
    }

    /// Cancels an order; the limit has let it pass. Whether it went out.
    pub(super) fn cancel_now(&mut self, now: Nanos, order: &LiveOrder) -> bool {
        let intent = self.own_cancel(now, order);
        let place = self.ear.desk.symbols().place_of(order.instrument);
        let is_sent = self.ear.desk.admit(&intent).is_ok()
            && place.is_some_and(|place| self.transmit(now, place, &intent, Form::Itself));
        if is_sent {
            self.ear.counts.own_cancels += 1;
        } else {
            self.ear.desk.withdraw(intent.cl_ord_id);
        }
        is_sent
    }

    /// A cancel of the stage's own: by the last name that the venue accepted, unless it knows none of that
    /// name.
    pub(super) fn own_cancel(&mut self, now: Nanos, order: &LiveOrder) -> OrderIntent {
        let other = order.replace_pending().filter(|_| order.is_name_refused);
        OrderIntent {
            cl_ord_id: self.own_id(),
            orig_cl_ord_id: other.unwrap_or(order.cl_ord_id),
            price: order.price,
            size: order.size,
            stamp: Stamp(0),
            at: now,
            instrument: order.instrument,
            action: OrderAction::Cancel,
            side: order.side,
            time_in_force: TimeInForce::PostOnly,
        }
    }

    /// Nobody reads the events, or not fast enough: nothing is heard, but a cancel of everything goes out,
    /// for there is nothing about it to tell.
    #[cold]
    pub(super) fn sweep_unheard(&mut self, now: Nanos) -> Turn {
        let is_wanted = self.ear.sweep.is_some() || self.switch.0.cancel.load(Ordering::Relaxed);
        let is_busy = is_wanted && self.sweep(now);
        self.line.write_out();
        if is_busy { Turn::Busy } else { Turn::Idle }
    }

    /// After a kill that order entry carries out, and at the end: as long as an order lives, the index is
    /// looked through again for those that no cancel is on its way to.
    pub(super) fn sweep_again(&mut self, now: Nanos) {
        let is_killed = self.sweeping.was_asked_for && self.switch.is_shut();
        let is_for_good = is_killed || self.leaving_since.is_some();
        if !is_for_good || self.ear.sweep.is_some() || now < self.sweeping.again_at {
            return;
        }
        let again_ns = self.sweeping.again_ns.saturating_mul(2).clamp(AGAIN_NS_MIN, AGAIN_NS_MAX);
        self.sweeping.again_ns = again_ns;
        self.sweeping.again_at = now.plus(again_ns);
        if self.ear.desk.live().live_count() > 0 {
            self.ear.sweep = Some(0);
        }
    }

    /// A device that does not take what is written is going: what is out is cancelled, and nothing that takes
    /// risk goes out of this process again.
    pub(super) fn look_at_store(&mut self) {
        let has_failed = self.line.session().store().sync_failures() > 0;
        if has_failed && !std::mem::replace(&mut self.has_failed_sync, true) {
            self.switch.shut();
            self.switch.pull();
        }
    }

    /// The maker is gone: cancel, wait for the answers as long as allowed, log out. A session that is down is
    /// dialled meanwhile: not every venue cancels what a lost one leaves.
    pub(super) fn wind_down(&mut self, now: Nanos) -> Turn {
        if self.leaving_since.is_none() {
            self.cancel_all();
        }
        // Before the sweep: one message, where the limit lets few pass in the time that is left.
        if self.ear.desk.live().live_count() > 0 {
            self.ask_all_out(now);
        }
        let since = *self.leaving_since.get_or_insert(now);
        // Nobody reads the events any more.
        self.ear.parked.clear();
        self.waiting.clear();
        self.sweep_again(now);
        let is_busy = self.sweep(now) | self.move_line(now) | self.take_out_doomed(now);
        let has_strays = self.ear.desk.quotes.doomed.iter().any(|doomed| doomed.is_stray);
        let is_settled = self.ear.desk.live().live_count() == 0 && !has_strays;
        if is_settled || now.since(since) >= self.wind_down_ns {
            self.line.leave(now);
        }
        if let Some(copy) = &mut self.drop_copy {
            copy.leave(now);
        }
        match self.line.is_left() {
            true => Turn::Done,
            false if is_busy => Turn::Busy,
            false => Turn::Idle,
        }
    }
}
