//! The order-entry stage and the scripted venue, joined by a pipe.

use crate::peer::{Door, PipeDial, Venue, client_config};
use crate::wire;
use ballast_engine::clock::Counter;
use ballast_engine::event::{
    ClOrdId, InstrumentId, OrderAction, OrderEvent, OrderIntent, TimeInForce, VenueId,
};
use ballast_engine::latency::{Samples, probe};
use ballast_engine::ring::{Consumer, Producer, slots};
use ballast_engine::stage::Stage;
use ballast_engine::units::{Lots, Nanos, Side, Stamp, Ticks};
use ballast_gateway::order_entry::exec_ids::ExecIds;
use ballast_gateway::order_entry::{OrderEntry, OrderEntryConfig};
use ballast_gateway::session::{ReconnectConfig, Session, SessionConfig};
use ballast_gateway::store::MemoryStore;
use ballast_gateway::venue::dialect::Rules;
use ballast_gateway::venue::plain::RULES;
use ballast_gateway::venue::symbols::Symbols;
use ballast_gateway::venue::time_base::TimeBase;

pub struct World {
    pub now: Nanos,
    pub door: Door,
    pub venue: Venue,
    pub entry: OrderEntry<PipeDial, MemoryStore>,
    pub intents: Option<Producer<OrderIntent>>,
    pub events: Consumer<OrderEvent>,
    pub samples: Samples,
}

/// What order entry is told here: run 5, 64 orders, redialled within microseconds.
pub fn order_entry_config() -> OrderEntryConfig {
    OrderEntryConfig {
        epoch: 5,
        orders_max: 64,
        time_base: TimeBase::Arrival,
        account: None,
        redial: ReconnectConfig { pause_min_ns: 1000, pause_max_ns: 8000 },
        wind_down_ns: 1_000_000,
    }
}

impl World {
    pub fn with(rules: Rules, ring: usize) -> World {
        World::of(client_config(), rules, ring)
    }

    pub fn of(session: SessionConfig, rules: Rules, ring: usize) -> World {
        World::for_account(session, rules, ring, None)
    }

    pub fn for_account(
        session: SessionConfig,
        rules: Rules,
        ring: usize,
        account: Option<&str>,
    ) -> World {
        let door = Door::open();
        let (intents, intents_out) = slots(256);
        let (events_in, events) = slots(ring);
        let (probe, samples) = probe(Counter::monotonic(), 1024);
        let symbols = Symbols::new(VenueId(0), &[wire::instrument(3, "BTC")]).unwrap();
        let config =
            OrderEntryConfig { account: account.map(str::to_owned), ..order_entry_config() };
        let session = Session::new(session, MemoryStore::new());
        let entry = OrderEntry::new(
            config,
            (PipeDial(door.clone()), session),
            (symbols, rules),
            ExecIds::new(1024),
            (intents_out, events_in),
            Some(probe),
        )
        .unwrap();
        let venue = Venue::new(&door);
        // 2024-08-08, so that SendingTime(52) is a real one.
        let now = Nanos(1_723_161_599_000_000_000);
        World { now, door, venue, entry, intents: Some(intents), events, samples }
    }

    pub fn up() -> World {
        let mut world = World::with(RULES, 64);
        assert_eq!(world.names(), ["SessionReconciling", "SessionUp"]);
        world
    }

    pub fn settle(&mut self) {
        for _ in 0..40 {
            self.now = self.now.plus(100);
            self.entry.turn(self.now);
            self.venue.turn(self.now);
        }
    }

    pub fn order(&mut self, action: OrderAction, id: u64, orig: u64) {
        let intent = OrderIntent {
            cl_ord_id: ClOrdId(id),
            orig_cl_ord_id: ClOrdId(orig),
            price: Ticks(6_168_599),
            size: Lots(1500),
            stamp: Stamp(17),
            at: self.now,
            instrument: InstrumentId(3),
            action,
            side: Side::Sell,
            time_in_force: TimeInForce::PostOnly,
        };
        self.intents.as_mut().unwrap().push(intent).unwrap();
    }

    pub fn say(&mut self, body: &str) {
        self.venue.say(self.now, body);
    }

    pub fn events(&mut self) -> Vec<OrderEvent> {
        self.settle();
        std::iter::from_fn(|| self.events.pop()).collect()
    }

    pub fn names(&mut self) -> Vec<String> {
        let name =
            |e: OrderEvent| format!("{:?}", e.update).split([' ', '{']).next().unwrap().into();
        self.events().into_iter().map(name).collect()
    }

    pub fn accept(&mut self, id: u64) {
        self.order(OrderAction::New, id, 0);
        self.settle();
        self.say(&format!("35=8|37=O|11={id}|17=A{id}|150=0|39=0|55=BTC|54=2|151=1.5|14=0|6=0"));
        assert_eq!(self.names(), ["New"]);
    }
}
