//! What a step leaves behind: intents for order entry, and records for people.
//!
//! Fed by the maker; drained by the maker's stage after every step. Sized once: a step never
//! allocates. An intent is never dropped (the maker asks for room before it decides); a record is
//! dropped and counted when there is no room, one of a blocked proposal already when half is used:
//! changes of state are journaled, and what is blocked over and over must not push them out.

use crate::event::{InstrumentId, Liquidity, OrderIntent};
use crate::orders::order::Purpose;
use crate::risk::gate::BlockReason;
use crate::risk::state::{Reason, State};
use crate::units::{Lots, Nanos, Side, Ticks};

/// Something that happened, for telemetry and the report; never an input of a decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Record {
    /// A fill was booked.
    Fill {
        /// When we learned of it.
        at: Nanos,
        /// What.
        instrument: InstrumentId,
        /// Our side.
        side: Side,
        /// LastPx(31).
        price: Ticks,
        /// LastQty(32).
        size: Lots,
        /// Quote or hedge; unknown orders' fills are booked as quotes.
        purpose: Purpose,
        /// Gave or took.
        liquidity: Liquidity,
    },
    /// An instrument changed its state.
    State {
        /// When.
        at: Nanos,
        /// Which.
        instrument: InstrumentId,
        /// Into what.
        state: State,
        /// Why.
        reason: Reason,
    },
    /// A window of a quoting obligation ended in breach.
    ObligationMissed {
        /// When.
        at: Nanos,
        /// On what.
        instrument: InstrumentId,
        /// Thousandths of the window's time that quotes stood as they must.
        uptime_permille: u32,
    },
    /// The gate blocked a proposal.
    Blocked {
        /// When.
        at: Nanos,
        /// On what.
        instrument: InstrumentId,
        /// Why.
        reason: BlockReason,
    },
}

/// The output of steps until it is cleared.
#[derive(Clone, Debug)]
pub struct Intents {
    orders: Vec<OrderIntent>,
    records: Vec<Record>,
    records_dropped: u64,
    /// How many more each venue can take, where that is less than a whole step may leave.
    rooms: Vec<usize>,
    is_tight: bool,
}

impl Intents {
    /// Room for `orders_max` intents and `records_max` records a step.
    pub fn new(orders_max: usize, records_max: usize) -> Intents {
        Intents {
            orders: Vec::with_capacity(orders_max.max(1)),
            records: Vec::with_capacity(records_max.max(1)),
            records_dropped: 0,
            rooms: Vec::new(),
            is_tight: false,
        }
    }

    /// With `venues` many rings behind it, whose room may run out.
    pub fn for_venues(mut self, venues: usize) -> Intents {
        self.rooms = vec![0; venues];
        self
    }

    /// Until it is cleared, a venue takes no more than this.
    pub(crate) fn limit(&mut self, venue: usize, room: usize) {
        self.is_tight = true;
        if let Some(place) = self.rooms.get_mut(venue) {
            *place = room;
        }
    }

    /// Can another intent for this venue be taken?
    pub(crate) fn has_room_for(&self, venue: usize) -> bool {
        let is_open = !self.is_tight || self.rooms.get(venue).is_some_and(|room| *room > 0);
        is_open && self.has_room()
    }

    /// One of a venue's places is taken.
    pub(crate) fn on_taken(&mut self, venue: usize) {
        if let Some(room) = self.rooms.get_mut(venue) {
            *room = room.saturating_sub(1);
        }
    }

    /// Can another intent be taken?
    pub fn has_room(&self) -> bool {
        self.orders.len() < self.orders.capacity()
    }

    /// Takes an intent; the maker asked for room before. Says whether it was taken.
    #[inline]
    pub(crate) fn push(&mut self, intent: &OrderIntent) -> bool {
        let has_room = self.has_room();
        debug_assert!(has_room, "the maker asks for room before it decides");
        if has_room {
            self.orders.push(*intent);
        }
        has_room
    }

    pub(crate) fn record(&mut self, record: Record) {
        let room = match record {
            Record::Blocked { .. } => self.records.capacity() / 2,
            Record::Fill { .. } | Record::State { .. } | Record::ObligationMissed { .. } => {
                self.records.capacity()
            }
        };
        if self.records.len() < room {
            self.records.push(record);
        } else {
            self.records_dropped = self.records_dropped.saturating_add(1);
        }
    }

    /// The intents, in the order in which they were decided.
    pub fn orders(&self) -> &[OrderIntent] {
        &self.orders
    }

    /// The records, oldest first.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// How many records found no room, ever.
    pub fn records_dropped(&self) -> u64 {
        self.records_dropped
    }

    /// Nothing is to be forgotten: most steps leave nothing behind.
    #[inline]
    pub(crate) fn is_clear(&self) -> bool {
        self.orders.is_empty() && self.records.is_empty() && !self.is_tight
    }

    /// Forgets both; keeps the room.
    pub fn clear(&mut self) {
        self.orders.clear();
        self.records.clear();
        self.is_tight = false;
    }
}
