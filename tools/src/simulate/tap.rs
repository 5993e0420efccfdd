//! The rings between maker and order entry, with a hand on them.
//!
//! Fed by the maker's intents and by order entry's events; feeds the other of the two. Here a ring is
//! not emptied for a while (the fault `full_ring`), and here tests plant bugs, so that the invariants are
//! known to see them: nothing in the product knows of either. One thread.

use ballast_engine::event::{
    ClOrdId, OrderAction, OrderEvent, OrderIntent, OrderUpdate, TimeInForce,
};
use ballast_engine::ring::{Consumer, Producer};
use ballast_engine::units::{Lots, Nanos, Ticks};

/// Bugs that tests plant to see them caught.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlantedBug {
    /// A fill is told with the other side.
    WrongWayFill,
    /// A fill is not told.
    LostReport,
    /// An order goes out a thousand times larger than the gate let pass.
    MissedLimit,
    /// An order goes out under the id of one before it.
    ReusedId,
    /// The same, where the ring does not show it.
    ReusedIdUnseen,
    /// Cancels do not go out.
    LostCancels,
    /// An order goes out at a price at which it reaches our own other side.
    SelfMatch,
    /// A new order goes out after a kill.
    OrderAfterKill,
    /// The same, where the ring does not show it and no kill shuts order entry.
    OrderAfterKillUnseen,
    /// A process starts in spite of a kill.
    KillForgotten,
    /// The maker has no guard against jumps of the touch.
    NoSpikeGuard,
    /// The maker's gross notional may be far more than the config says.
    NoGrossLimit,
    /// What should be told is not.
    LostAlerts,
    /// What the market data session says is no longer heard.
    DeafFeed,
    /// A cause of the PnL is counted wrong.
    MiscountedPnl,
    /// The journal's disk loses a byte and does not say so.
    TornJournal,
}

/// Through every quote of a simulation's market.
const FAR_TICKS: i64 = 20_000;

/// The how-manieth of its kind the planted bug takes.
const BUG_AT: u64 = 5;

/// Both rings.
pub struct Tap {
    /// From the maker.
    pub intents_in: Consumer<OrderIntent>,
    /// To order entry.
    pub intents_out: Producer<OrderIntent>,
    /// From order entry.
    pub events_in: Consumer<OrderEvent>,
    /// To the maker.
    pub events_out: Producer<OrderEvent>,
    /// What a test planted.
    pub bug: Option<PlantedBug>,
    /// Events wait until then.
    pub held_until: Nanos,
    /// Of the kind that the bug takes.
    pub seen: u64,
    /// The last new order, or the first, for the bugs that send one again.
    pub last_new: Option<OrderIntent>,
}

/// From the maker, to order entry, from order entry, to the maker.
pub type TappedRings =
    (Consumer<OrderIntent>, Producer<OrderIntent>, Consumer<OrderEvent>, Producer<OrderEvent>);

impl Tap {
    /// A hand on these rings, with what a test planted.
    pub fn new(
        (intents_in, intents_out, events_in, events_out): TappedRings,
        bug: Option<PlantedBug>,
    ) -> Tap {
        Tap {
            intents_in,
            intents_out,
            events_in,
            events_out,
            bug,
            held_until: Nanos(0),
            seen: 0,
            last_new: None,
        }
    }

    /// Moves what there is; `see` is shown each intent as it goes out. Says whether anything moved.
    pub fn turn(&mut self, now: Nanos, is_killed: bool, mut see: impl FnMut(&OrderIntent)) -> bool {
        let mut is_busy = false;
        if let Some(intent) = self.order_after_kill(now, is_killed) {
            if self.bug == Some(PlantedBug::OrderAfterKill) {
                see(&intent);
            }
            is_busy |= self.intents_out.push(intent).is_ok();
        }
        while self.intents_out.has_room(1)
            && let Some(intent) = self.intents_in.pop()
        {
            is_busy = true;
            let decided = intent;
            if let Some(intent) = self.spoil_intent(intent) {
                let is_unseen = self.bug == Some(PlantedBug::ReusedIdUnseen);
                see(if is_unseen { &decided } else { &intent });
                // Room was asked for above.
                is_busy |= self.intents_out.push(intent).is_ok();
            }
        }
        while now >= self.held_until
            && self.events_out.has_room(1)
            && let Some(event) = self.events_in.pop()
        {
            is_busy = true;
            if let Some(event) = self.spoil_event(event) {
                is_busy |= self.events_out.push(event).is_ok();
            }
        }
        is_busy
    }

    /// Something waits that may go on now.
    pub fn has_work(&mut self, now: Nanos) -> bool {
        now >= self.held_until && !self.events_in.is_empty() && self.events_out.has_room(1)
    }

    /// Nothing waits here.
    pub fn is_empty(&self) -> bool {
        self.intents_in.is_empty() && self.events_in.is_empty()
    }

    fn spoil_intent(&mut self, intent: OrderIntent) -> Option<OrderIntent> {
        let is_new = intent.action == OrderAction::New;
        let is_hedge = intent.time_in_force == TimeInForce::ImmediateOrCancel;
        let bug = self.bug;
        if bug == Some(PlantedBug::LostCancels) && intent.action == OrderAction::Cancel {
            return None;
        }
        Some(match bug {
            Some(PlantedBug::MissedLimit) if is_new && self.is_due() => {
                OrderIntent { size: Lots(intent.size.0.saturating_mul(1_000)), ..intent }
            }
            Some(PlantedBug::SelfMatch) if is_new && self.is_due() => {
                let price = Ticks(intent.price.0 + intent.side.sign() * FAR_TICKS);
                OrderIntent { price, ..intent }
            }
            Some(PlantedBug::ReusedId) if is_new => {
                let before = self.last_new.replace(intent);
                match before.filter(|_| self.is_due()) {
                    Some(before) => OrderIntent { cl_ord_id: before.cl_ord_id, ..intent },
                    None => intent,
                }
            }
            // A hedge's, which is over by then: order entry refuses the name of an order that lives.
            Some(PlantedBug::ReusedIdUnseen) if is_new && is_hedge => {
                let before = self.last_new.get_or_insert(intent);
                OrderIntent { cl_ord_id: before.cl_ord_id, ..intent }
            }
            Some(PlantedBug::OrderAfterKill | PlantedBug::OrderAfterKillUnseen) if is_new => {
                self.last_new = Some(intent);
                intent
            }
            _ => intent,
        })
    }

    fn spoil_event(&mut self, event: OrderEvent) -> Option<OrderEvent> {
        let OrderUpdate::Fill { exec_id, side, last_px, last_qty, cum_qty, leaves_qty, liquidity } =
            event.update
        else {
            return Some(event);
        };
        let bug = self.bug;
        match bug {
            Some(PlantedBug::LostReport) if self.is_due() => None,
            Some(PlantedBug::WrongWayFill) if self.is_due() => {
                let side = side.opposite();
                let update = OrderUpdate::Fill {
                    exec_id,
                    side,
                    last_px,
                    last_qty,
                    cum_qty,
                    leaves_qty,
                    liquidity,
                };
                Some(OrderEvent { update, ..event })
            }
            _ => Some(event),
        }
    }

    fn order_after_kill(&mut self, now: Nanos, is_killed: bool) -> Option<OrderIntent> {
        let is_planted =
            matches!(self.bug, Some(PlantedBug::OrderAfterKill | PlantedBug::OrderAfterKillUnseen));
        if !is_planted || !is_killed {
            return None;
        }
        let before = self.last_new.take()?;
        Some(OrderIntent {
            cl_ord_id: ClOrdId(before.cl_ord_id.0 + (1 << 30)),
            at: now.plus(1),
            ..before
        })
    }

    fn is_due(&mut self) -> bool {
        self.seen += 1;
        self.seen == BUG_AT
    }
}
