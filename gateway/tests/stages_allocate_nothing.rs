//! What a user is promised: after the first logon and snapshot, market data in, orders out and reports
//! back allocate nothing on the stages' threads, the sessions included. 4,200 messages warm the store's 4,096
//! slots; 500 are counted.

mod peer;
mod wire;

use ballast_engine::event::{
    ClOrdId, InstrumentId, MarketUpdate, OrderAction, OrderEvent, OrderIntent, OrderUpdate,
    TimeInForce, VenueId,
};
use ballast_engine::ring::{Consumer, Producer, slots};
use ballast_engine::stage::Stage;
use ballast_engine::units::{Lots, Nanos, Side, Stamp, Ticks};
use ballast_gateway::market_data::{Feed, FeedConfig};
use ballast_gateway::order_entry::exec_ids::ExecIds;
use ballast_gateway::order_entry::{OrderEntry, OrderEntryConfig};
use ballast_gateway::session::{ReconnectConfig, Session};
use ballast_gateway::store::MemoryStore;
use ballast_gateway::venue::deribit;
use ballast_gateway::venue::dialect::{Entries, Reconciliation, Rules};
use ballast_gateway::venue::plain::RULES;
use ballast_gateway::venue::symbols::Symbols;
use ballast_gateway::venue::time_base::TimeBase;
use peer::{Door, PipeDial, Venue};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Counts what this thread allocates, so that tests beside it do not disturb.
struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
#[allow(unsafe_code, reason = "a counting allocator")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are System's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are System's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

fn allocations_of(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

const START: Nanos = Nanos(1_723_161_599_000_000_000);
const REDIAL: ReconnectConfig = ReconnectConfig { pause_min_ns: 1000, pause_max_ns: 8000 };

fn symbols() -> Symbols {
    Symbols::new(VenueId(0), &[wire::instrument(0, "BTC")]).unwrap()
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations_of(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

fn feed_config() -> FeedConfig {
    FeedConfig {
        market_depth: 0,
        levels_max: 64,
        entries_max: 64,
        time_base: TimeBase::Arrival,
        ask_again_ns: 1_000_000_000,
        redial: REDIAL,
    }
}

/// The levels that 4,700 messages become, and the allocations of the last 500.
fn fed(rules: Rules, book: &str, increment: impl Fn(&str, u64) -> String) -> (usize, u64, u64) {
    let door = Door::open();
    let (events_in, mut events) = slots(256);
    let session = Session::new(peer::client_config(), MemoryStore::new());
    let line = (PipeDial(door.clone()), session);
    let mut feed = Feed::new(feed_config(), line, (symbols(), rules), events_in, None);
    let mut venue = Venue::new(&door);
    let mut now = START;
    for _ in 0..10 {
        now = now.plus(100);
        feed.turn(now);
        venue.turn(now);
    }
    let id = venue.inbox[0].split('|').nth(1).unwrap().to_string();
    venue.say(now, &format!("35=W|{id}|55=BTC|{book}"));
    let (mut counted, mut levels) = (0, 0);
    for n in 0..4_700u64 {
        now = now.plus(100);
        venue.say(now, &increment(&id, n));
        venue.turn(now);
        let allocations = allocations_of(|| {
            feed.turn(now);
        });
        let is_level = |u: &MarketUpdate| matches!(u, MarketUpdate::Level { .. });
        levels += std::iter::from_fn(|| events.pop()).filter(|e| is_level(&e.update)).count();
        counted += if n < 4_200 { 0 } else { allocations };
    }
    (levels, counted, feed.counts().unknown_orders)
}

#[test]
fn increments_become_market_events_without_an_allocation() {
    let increment = |id: &str, n: u64| {
        format!(
            "35=X|{id}|268=3|279=0|269=0|55=BTC|270=10{}|271={n}|272=20240808|273=23:59:59.1|\
             279=2|269=1|270=2{}|279=0|269=2|270=100|271=1|5797=1",
            n % 10,
            n % 7
        )
    };
    let (levels, counted, _) = fed(RULES, "268=1|269=0|270=100|271=1", increment);
    assert!(levels >= 9_000, "{levels}");
    assert_eq!(counted, 0);
}

#[test]
fn entries_that_are_orders_become_levels_without_an_allocation() {
    let rules = Rules { entries: Entries::Orders { most: 64 }, ..RULES };
    let increment = |id: &str, n: u64| {
        let (next, tenth) = (n + 1, n % 10);
        format!(
            "35=X|{id}|268=3|279=0|269=0|278={next}|55=BTC|270=10{tenth}|271=5|\
             279=1|278={next}|270=101|279=2|278={n}"
        )
    };
    let book = "268=1|269=0|278=0|270=100|271=1";
    let (levels, counted, unknown) = fed(rules, book, increment);
    assert!(levels >= 14_000, "{levels}");
    assert_eq!((counted, unknown), (0, 0));
}

fn is_fill(update: &OrderUpdate) -> bool {
    matches!(update, OrderUpdate::Fill { .. })
}

type Entry = OrderEntry<PipeDial, MemoryStore>;
type Ends = (Door, Entry, Producer<OrderIntent>, Consumer<OrderEvent>);

fn order_entry(rules: Rules) -> Ends {
    let door = Door::open();
    let (intents, intents_out) = slots(256);
    let (events_in, events) = slots(256);
    let config = OrderEntryConfig {
        epoch: 1,
        orders_max: 64,
        time_base: TimeBase::Arrival,
        account: None,
        redial: REDIAL,
        wind_down_ns: 0,
    };
    let session = Session::new(peer::client_config(), MemoryStore::new());
    let line = (PipeDial(door.clone()), session);
    let (rings, ids) = ((intents_out, events_in), ExecIds::new(64));
    let entry = OrderEntry::new(config, line, (symbols(), rules), ids, rings, None).unwrap();
    (door, entry, intents, events)
}

/// The venue, once both have spoken, and when that was.
fn logged_on(door: &Door, entry: &mut Entry) -> (Venue, Nanos) {
    let (mut venue, mut now) = (Venue::new(door), START);
    for _ in 0..10 {
        now = now.plus(100);
        entry.turn(now);
        venue.turn(now);
    }
    (venue, now)
}

fn quote(id: u64, side: Side, at: Nanos) -> OrderIntent {
    OrderIntent {
        cl_ord_id: ClOrdId(id),
        orig_cl_ord_id: ClOrdId::NONE,
        price: Ticks(10_000),
        size: Lots(1),
        stamp: Stamp(0),
        at,
        instrument: InstrumentId(0),
        action: OrderAction::New,
        side,
        time_in_force: TimeInForce::PostOnly,
    }
}

#[test]
fn intents_become_bytes_and_reports_become_events_without_an_allocation() {
    let (door, mut entry, mut intents, mut events) = order_entry(RULES);
    let (mut venue, mut now) = logged_on(&door, &mut entry);
    let (mut counted, mut fills) = (0, 0);
    for n in 1..=4_700u64 {
        now = now.plus(100);
        let (price, size) = (Ticks(10_000 + n as i64), Lots(1 + n as i64));
        intents.push(OrderIntent { price, size, ..quote(n, Side::Buy, now) }).unwrap();
        let sending = allocations_of(|| {
            entry.turn(now);
        });
        venue.turn(now);
        assert_eq!(venue.take_inbox().len(), 1);
        venue.say(now, &format!("35=8|37=O|11={n}|17=A{n}|150=0|39=0|55=BTC|54=1|151=1|14=0|6=0"));
        venue.say(
            now,
            &format!("35=8|37=O|11={n}|17=F{n}|150=F|39=2|55=BTC|54=1|31=1|32=1|151=0|14=1|6=0"),
        );
        venue.turn(now);
        let hearing = allocations_of(|| {
            entry.turn(now);
        });
        fills += std::iter::from_fn(|| events.pop()).filter(|e| is_fill(&e.update)).count();
        counted += if n < 4_200 { 0 } else { sending + hearing };
    }
    assert_eq!(fills, 4_700);
    assert_eq!(counted, 0);
}

#[test]
fn mass_quotes_are_gathered_sent_and_answered_without_an_allocation() {
    let reconciliation = Reconciliation::NONE;
    let rules = Rules { reconciliation, order_limits: RULES.order_limits, ..deribit::RULES };
    let (door, entry, mut intents, mut events) = order_entry(rules);
    let mut entry = entry.with_mass_quotes(&[(InstrumentId(0), "group".to_owned())]);
    let (mut venue, mut now) = logged_on(&door, &mut entry);
    let (mut counted, mut placed) = (0, 0);
    for n in 1..=4_700u64 {
        now = now.plus(100);
        for (id, side) in [(2 * n, Side::Buy), (2 * n + 1, Side::Sell)] {
            intents.push(quote(id, side, now)).unwrap();
        }
        let sending = allocations_of(|| {
            entry.turn(now);
        });
        venue.turn(now);
        let inbox = venue.take_inbox();
        let [sent] = inbox.as_slice() else { panic!("{inbox:?}") };
        let name = sent.split('|').find_map(|field| field.strip_prefix("117=")).unwrap();
        let (bid, offer) = (2 * n, 2 * n + 1);
        venue.say(
            now,
            &format!(
                "35=b|117={name}|297=0|295=2|299={bid}|9020=0|1167=21|55=BTC|54=1|37=V{bid}|\
                 299={offer}|9020=2|55=BTC|54=2|368=11054"
            ),
        );
        venue.say(
            now,
            &format!(
                "35=8|527=C{n}|37=V{bid}|11=V{bid}|39=4|54=1|151=1|14=0|38=1|150=I|55=BTC|117={name}|\
                 299={bid}|6=0"
            ),
        );
        venue.turn(now);
        let hearing = allocations_of(|| {
            entry.turn(now);
        });
        let is_new = |update: &OrderUpdate| matches!(update, OrderUpdate::New { .. });
        placed += std::iter::from_fn(|| events.pop()).filter(|e| is_new(&e.update)).count();
        counted += if n < 4_200 { 0 } else { sending + hearing };
    }
    assert_eq!(placed, 4_700);
    assert_eq!(counted, 0);
}
