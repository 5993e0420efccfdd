//! Orders that wait for the venue's limit, where the config chose to queue them.
//!
//! A part of the stage: fed with intents that the throttle does not let pass, asked in each turn for
//! those whose turn has come. Order-entry thread; room is taken at start. Nothing overtakes: while an
//! order waits, later ones wait behind it; cancels never wait. An order that waited too long, that a later
//! intent cancels or replaces, or whose session ended or reconciles, comes back as `Unsent`. Deliberately
//! absent: the limit itself (`throttle.rs`).

use super::stage::OrderEntry;
use super::throttle::WhenFull;
use crate::store::Store;
use crate::venue::line::Dial;
use ballast_engine::event::{OrderAction, OrderIntent};
use ballast_engine::units::Nanos;
use std::collections::VecDeque;

/// Orders that wait at most; one more comes back unsent.
const WAITING_MAX: usize = 256;

/// The queue.
pub(super) struct Waiting {
    orders: VecDeque<(OrderIntent, Nanos)>,
    /// How long, in ns; `None` where nothing waits.
    for_ns: Option<u64>,
    /// So many at the front were meant for a session that is over: they go back, whatever came after it.
    over: usize,
}

impl Waiting {
    pub(super) fn new(when_full: WhenFull) -> Waiting {
        match when_full {
            WhenFull::Refuse => Waiting { orders: VecDeque::new(), for_ns: None, over: 0 },
            WhenFull::Queue { for_ns } => Waiting {
                orders: VecDeque::with_capacity(WAITING_MAX),
                for_ns: Some(for_ns),
                over: 0,
            },
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// Whether it waits now.
    pub(super) fn take(&mut self, now: Nanos, intent: &OrderIntent) -> bool {
        let has_room = self.for_ns.is_some() && self.orders.len() < WAITING_MAX;
        if has_room {
            self.orders.push_back((*intent, now));
        }
        has_room
    }

    pub(super) fn clear(&mut self) {
        self.orders.clear();
        self.over = 0;
    }

    /// The session ended or begins anew: what waits was meant for the one before.
    pub(super) fn session_over(&mut self) {
        self.over = self.orders.len();
    }

    fn pop(&mut self) {
        self.orders.pop_front();
        self.over = self.over.saturating_sub(1);
    }

    /// What waits about the order that `intent` names.
    fn withdraw(&mut self, intent: &OrderIntent) -> Option<OrderIntent> {
        if intent.action == OrderAction::New {
            return None;
        }
        let named = intent.orig_cl_ord_id;
        let is_about = |waiting: &OrderIntent| {
            let is_replace = waiting.action == OrderAction::Replace;
            waiting.cl_ord_id == named || (is_replace && waiting.orig_cl_ord_id == named)
        };
        let place = self.orders.iter().position(|(waiting, _)| is_about(waiting))?;
        if place < self.over {
            self.over -= 1;
        }
        self.orders.remove(place).map(|(waiting, _)| waiting)
    }

    fn is_late(&self, since: Nanos, now: Nanos) -> bool {
        self.for_ns.is_none_or(|for_ns| now.since(since) >= for_ns)
    }
}

impl<D: Dial, S: Store> OrderEntry<D, S> {
    /// What is left to send of an intent after what waited about its order came back: an order that
    /// never went out needs no cancel, and a replace that did not leaves the name before it.
    pub(super) fn supersede(&mut self, now: Nanos, intent: &OrderIntent) -> Option<OrderIntent> {
        let Some(waited) = self.waiting.withdraw(intent) else { return Some(*intent) };
        self.hand_back(now, &waited);
        if waited.action == OrderAction::New {
            let event = self.ear.desk.unsent(now, intent, false);
            self.ear.tell(event);
            return None;
        }
        Some(OrderIntent { orig_cl_ord_id: waited.orig_cl_ord_id, ..*intent })
    }

    /// Sends what waits, as far as the limit lets it; all of it comes back where nothing may be sent.
    pub(super) fn send_waiting(&mut self, now: Nanos) -> bool {
        let may_send = self.may_trade() && !self.switch.is_shut();
        for moved in 0..WAITING_MAX {
            let Some((intent, since)) = self.waiting.orders.front().copied() else {
                return moved > 0;
            };
            let is_back = !may_send || self.waiting.over > 0 || self.waiting.is_late(since, now);
            let is_held = self.line.is_writing() || !self.ear.has_room();
            if (is_held && !is_back) || !self.ear.has_room() {
                return moved > 0;
            }
            if is_back {
                self.waiting.pop();
                self.hand_back(now, &intent);
                continue;
            }
            if !self.throttle.pass(now, false) {
                return moved > 0;
            }
            self.waiting.pop();
            if !self.send_now(now, &intent) {
                self.ear.counts.unsent += 1;
            }
        }
        true
    }

    fn hand_back(&mut self, now: Nanos, intent: &OrderIntent) {
        self.ear.counts.unsent += 1;
        self.ear.counts.throttled += 1;
        let event = self.ear.desk.unsent(now, intent, false);
        self.ear.tell(event);
    }
}
