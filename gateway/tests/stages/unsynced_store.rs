//! Order entry over a store whose device refuses to sync: what is out is cancelled, and no order follows.

use crate::peer;
use crate::peer::{Door, PipeDial, Venue};
use crate::wire;
use ballast_engine::event::{
    ClOrdId, InstrumentId, OrderAction, OrderEvent, OrderIntent, TimeInForce, VenueId,
};
use ballast_engine::ring::slots;
use ballast_engine::stage::Stage;
use ballast_engine::units::{Lots, Nanos, Side, Stamp, Ticks};
use ballast_gateway::order_entry::exec_ids::ExecIds;
use ballast_gateway::order_entry::{OrderEntry, OrderEntryConfig};
use ballast_gateway::session::{ReconnectConfig, Session};
use ballast_gateway::store::{MemoryStore, Store, StoreError};
use ballast_gateway::venue::plain::RULES;
use ballast_gateway::venue::symbols::Symbols;
use ballast_gateway::venue::time_base::TimeBase;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A store in memory with a device that can be told to fail.
struct Failing(MemoryStore, Arc<AtomicU64>);

impl Store for Failing {
    fn next_sender(&self) -> u64 {
        self.0.next_sender()
    }
    fn next_target(&self) -> u64 {
        self.0.next_target()
    }
    fn created_at(&self) -> Nanos {
        self.0.created_at()
    }
    fn sync_failures(&self) -> u64 {
        self.1.load(Ordering::Relaxed)
    }
    fn put_outbound(&mut self, frame: &[u8]) -> Result<(), StoreError> {
        self.0.put_outbound(frame)
    }
    fn put_outbound_admin(&mut self) -> Result<(), StoreError> {
        self.0.put_outbound_admin()
    }
    fn put_inbound(&mut self, frame: &[u8]) -> Result<(), StoreError> {
        self.0.put_inbound(frame)
    }
    fn set_next_target(&mut self, next: u64) -> Result<(), StoreError> {
        self.0.set_next_target(next)
    }
    fn set_next_sender(&mut self, next: u64) -> Result<(), StoreError> {
        self.0.set_next_sender(next)
    }
    fn reset(&mut self, now: Nanos) -> Result<(), StoreError> {
        self.0.reset(now)
    }
    fn outbound(&self, msg_seq_num: u64) -> Option<&[u8]> {
        self.0.outbound(msg_seq_num)
    }
    fn inbound(&self, msg_seq_num: u64) -> Option<&[u8]> {
        self.0.inbound(msg_seq_num)
    }
}

fn order(id: u64) -> OrderIntent {
    OrderIntent {
        cl_ord_id: ClOrdId(id),
        orig_cl_ord_id: ClOrdId::NONE,
        price: Ticks(100),
        size: Lots(1000),
        stamp: Stamp(0),
        at: Nanos(1_723_161_599_000_000_000),
        instrument: InstrumentId(3),
        action: OrderAction::New,
        side: Side::Buy,
        time_in_force: TimeInForce::PostOnly,
    }
}

#[test]
fn a_device_that_refuses_to_sync_ends_the_quoting_and_leaves_the_cancels() {
    let (door, failures) = (Door::open(), Arc::new(AtomicU64::new(0)));
    let (mut intents, intents_out) = slots(16);
    let (events_in, mut events) = slots(64);
    let config = OrderEntryConfig {
        epoch: 5,
        orders_max: 16,
        time_base: TimeBase::Arrival,
        account: None,
        redial: ReconnectConfig::default(),
        wind_down_ns: 1,
    };
    let store = Failing(MemoryStore::new(), failures.clone());
    let symbols = Symbols::new(VenueId(0), &[wire::instrument(3, "BTC")]).unwrap();
    let line = (PipeDial(door.clone()), Session::new(peer::client_config(), store));
    let rings = (intents_out, events_in);
    let mut entry =
        OrderEntry::new(config, line, (symbols, RULES), ExecIds::new(64), rings, None).unwrap();
    let mut venue = Venue::new(&door);
    let mut now = Nanos(1_723_161_599_000_000_000);
    let mut settle = |venue: &mut Venue| {
        for _ in 0..40 {
            now = now.plus(100);
            entry.turn(now);
            venue.turn(now);
        }
        venue.take_inbox()
    };
    settle(&mut venue);
    intents.push(order(11)).unwrap();
    assert_eq!(settle(&mut venue).len(), 1);
    std::iter::from_fn(|| events.pop()).for_each(drop);
    failures.store(1, Ordering::Relaxed);
    let sent = settle(&mut venue);
    assert!(sent.len() == 1 && sent[0].starts_with("35=F|"), "{sent:?}");
    assert!(sent[0].contains("|41=11|"), "{sent:?}");
    intents.push(order(12)).unwrap();
    assert!(settle(&mut venue).is_empty());
    let told: Vec<OrderEvent> = std::iter::from_fn(|| events.pop()).collect();
    assert!(told.iter().any(|event| event.cl_ord_id == ClOrdId(12)), "it comes back: {told:?}");
}
