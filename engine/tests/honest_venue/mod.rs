//! A venue that errs but never lies, from a seed: it answers late, refuses, fills in parts and across
//! cancels and replaces, loses the session and some of its answers, says things twice, and invents
//! nothing. Fed by the model test with intents; feeds it with order events in the order of the session.
//! Fills are never lost, as FIX sends them again. Absent: a market; any working order may trade.

use ballast_engine::event::*;
use ballast_engine::units::*;
use std::collections::{BTreeMap, VecDeque};

/// SplitMix64: a test's chance.
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0 to `n` − 1.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub fn permille(&mut self, chance: u64) -> bool {
        self.below(1_000) < chance
    }
}

/// An order as the venue has it.
#[derive(Clone, Copy, Debug)]
pub struct Resting {
    pub instrument: InstrumentId,
    pub side: Side,
    pub price: Ticks,
    pub size: i64,
    pub cum: i64,
    pub is_hedge: bool,
}

/// One venue with its session.
pub struct HonestVenue {
    pub venue: VenueId,
    pub is_up: bool,
    /// Sent by the maker, not yet seen by the venue.
    pub inbox: VecDeque<OrderIntent>,
    /// Said by the venue, not yet told to the maker.
    pub outbox: VecDeque<OrderEvent>,
    /// What works, by its present ClOrdID(11).
    pub book: BTreeMap<ClOrdId, Resting>,
    /// The last fill that the maker was told of.
    pub told: ExecId,
    /// Faults happen.
    pub is_rough: bool,
    execs: u64,
}

impl HonestVenue {
    pub fn new(venue: VenueId) -> HonestVenue {
        HonestVenue {
            venue,
            is_up: false,
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            book: BTreeMap::new(),
            told: ExecId(0),
            is_rough: true,
            execs: 0,
        }
    }

    pub fn event(
        &self,
        ids: (ClOrdId, ClOrdId),
        instrument: InstrumentId,
        update: OrderUpdate,
    ) -> OrderEvent {
        OrderEvent {
            at: Nanos(0),
            venue_at: Nanos(0),
            stamp: Stamp(0),
            msg_seq_num: 0,
            cl_ord_id: ids.0,
            orig_cl_ord_id: ids.1,
            update,
            instrument,
            venue: self.venue,
        }
    }

    fn say(
        &mut self,
        chance: &mut Chance,
        ids: (ClOrdId, ClOrdId),
        instrument: InstrumentId,
        update: OrderUpdate,
    ) {
        let event = self.event(ids, instrument, update);
        let is_fill = matches!(update, OrderUpdate::Fill { .. });
        if self.is_rough && !is_fill && chance.permille(20) {
            return;
        }
        self.outbox.push_back(event);
        // Order entry knows ExecIDs and tells no fill of an order that is gone twice.
        let may_repeat = match update {
            OrderUpdate::Fill { leaves_qty, .. } => leaves_qty.0 > 0,
            _ => true,
        };
        if self.is_rough && may_repeat && chance.permille(30) {
            self.outbox.push_back(event);
        }
    }

    /// The session breaks: half of what was on its way to the venue never arrives.
    pub fn drop_session(&mut self, chance: &mut Chance) {
        self.is_up = false;
        let on_the_way: Vec<_> = self.inbox.drain(..).collect();
        for intent in on_the_way {
            if chance.permille(500) {
                self.act(chance, intent);
            }
        }
    }

    /// The venue acts on the oldest intent.
    pub fn take(&mut self, chance: &mut Chance) {
        if let Some(intent) = self.inbox.pop_front() {
            self.act(chance, intent);
        }
    }

    fn act(&mut self, chance: &mut Chance, intent: OrderIntent) {
        let ids = (intent.cl_ord_id, intent.orig_cl_ord_id);
        if self.is_rough && chance.permille(10) {
            let update = OrderUpdate::MessageRejected { reason: 0 };
            return self.say(chance, ids, intent.instrument, update);
        }
        match intent.action {
            OrderAction::New => self.enter(chance, intent),
            OrderAction::Replace | OrderAction::Cancel => self.amend(chance, intent),
        }
    }

    fn enter(&mut self, chance: &mut Chance, intent: OrderIntent) {
        let ids = (intent.cl_ord_id, ClOrdId::NONE);
        if self.is_rough && chance.permille(30) {
            let update = OrderUpdate::Rejected { reason: 99 };
            return self.say(chance, ids, intent.instrument, update);
        }
        let is_hedge = intent.time_in_force == TimeInForce::ImmediateOrCancel;
        let resting = Resting {
            instrument: intent.instrument,
            side: intent.side,
            price: intent.price,
            size: intent.size.0,
            cum: 0,
            is_hedge,
        };
        self.book.insert(intent.cl_ord_id, resting);
        let update = OrderUpdate::New { leaves_qty: intent.size };
        self.say(chance, ids, intent.instrument, update);
        if is_hedge {
            let lots = if chance.permille(300) {
                chance.below(intent.size.0.unsigned_abs() + 1) as i64
            } else {
                intent.size.0
            };
            self.fill(chance, intent.cl_ord_id, lots, Liquidity::Taker);
            if let Some(rest) = self.book.remove(&intent.cl_ord_id) {
                let update = OrderUpdate::Canceled { cum_qty: Lots(rest.cum) };
                self.say(chance, ids, intent.instrument, update);
            }
        }
    }

    fn amend(&mut self, chance: &mut Chance, intent: OrderIntent) {
        let ids = (intent.cl_ord_id, intent.orig_cl_ord_id);
        let Some(mut order) = self.book.get(&intent.orig_cl_ord_id).copied() else {
            let update = OrderUpdate::CancelRejected { reason: 1, is_gone: true };
            return self.say(chance, ids, intent.instrument, update);
        };
        let is_cancel = intent.action == OrderAction::Cancel;
        let is_too_small = !is_cancel && intent.size.0 <= order.cum;
        if is_too_small || (self.is_rough && chance.permille(50)) {
            let update = OrderUpdate::CancelRejected { reason: 2, is_gone: false };
            return self.say(chance, ids, intent.instrument, update);
        }
        self.book.remove(&intent.orig_cl_ord_id);
        let update = if is_cancel {
            OrderUpdate::Canceled { cum_qty: Lots(order.cum) }
        } else {
            order.price = intent.price;
            order.size = intent.size.0;
            self.book.insert(intent.cl_ord_id, order);
            let leaves_qty = Lots(order.size - order.cum);
            OrderUpdate::Replaced { price: order.price, leaves_qty }
        };
        self.say(chance, ids, intent.instrument, update);
    }

    /// Any order trades, or leaves the book unasked.
    pub fn trade(&mut self, chance: &mut Chance) {
        let place = chance.below(self.book.len() as u64) as usize;
        let Some((&id, &order)) = self.book.iter().nth(place) else { return };
        if self.is_rough && chance.permille(40) {
            self.book.remove(&id);
            let update = OrderUpdate::Canceled { cum_qty: Lots(order.cum) };
            return self.say(chance, (id, ClOrdId::NONE), order.instrument, update);
        }
        let leaves = (order.size - order.cum).unsigned_abs();
        let lots = 1 + chance.below(leaves) as i64;
        self.fill(chance, id, lots, Liquidity::Maker);
    }

    fn fill(&mut self, chance: &mut Chance, id: ClOrdId, lots: i64, liquidity: Liquidity) {
        let Some(order) = self.book.get_mut(&id) else { return };
        if lots <= 0 {
            return;
        }
        order.cum += lots;
        let order = *order;
        if order.cum >= order.size {
            self.book.remove(&id);
        }
        self.execs += 1;
        let update = OrderUpdate::Fill {
            exec_id: ExecId(self.execs),
            side: order.side,
            last_px: order.price,
            last_qty: Lots(lots),
            cum_qty: Lots(order.cum),
            leaves_qty: Lots(order.size - order.cum),
            liquidity,
        };
        self.say(chance, (id, ClOrdId::NONE), order.instrument, update);
    }

    /// What may yet be added to the maker's account on one side of an instrument, in truth: fills not
    /// told yet, what works, and what is on its way to the venue.
    pub fn to_come(&self, instrument: InstrumentId, side: Side, hedges_only: bool) -> i64 {
        let mut lots = 0;
        let mut last_exec = self.told;
        for event in self.outbox.iter().filter(|e| e.instrument == instrument && !hedges_only) {
            if let OrderUpdate::Fill { exec_id, side: of, last_qty, .. } = event.update
                && of == side
                && exec_id > last_exec
            {
                last_exec = exec_id;
                lots += last_qty.0;
            }
        }
        for (id, order) in self.book.iter().filter(|(_, o)| o.instrument == instrument) {
            let replaces = self
                .inbox
                .iter()
                .filter(|i| i.action == OrderAction::Replace && i.orig_cl_ord_id == *id);
            let size = replaces.map(|i| i.size.0).max().unwrap_or(0).max(order.size);
            if order.side == side && (order.is_hedge || !hedges_only) {
                lots += size - order.cum;
            }
        }
        for intent in self.inbox.iter().filter(|i| i.instrument == instrument && i.side == side) {
            let is_hedge = intent.time_in_force == TimeInForce::ImmediateOrCancel;
            if intent.action == OrderAction::New && (is_hedge || !hedges_only) {
                lots += intent.size.0;
            }
        }
        lots
    }
}
