//! The feed against a scripted venue over an in-memory pipe: subscribe, snapshot, increments, doubt in
//! every form, and how each heals.

use crate::peer;
use crate::peer::{Door, PipeDial, Venue};
use crate::wire;
use ballast_engine::event::{InstrumentId, MarketEvent, MarketUpdate, VenueId};
use ballast_engine::ring::{Consumer, slots};
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::{Lots, Nanos, Side, Ticks};
use ballast_gateway::dictionary::Dictionary;
use ballast_gateway::dictionary::validate::{Rules as DictionaryRules, Validator};
use ballast_gateway::market_data::refresh::{ENTRIES_MAX, fit_whole_books};
use ballast_gateway::market_data::{Feed, FeedConfig};
use ballast_gateway::session::{ReconnectConfig, Session, SessionConfig};
use ballast_gateway::store::MemoryStore;
use ballast_gateway::venue::dialect::{Entries, Rules};
use ballast_gateway::venue::plain::RULES;
use ballast_gateway::venue::symbols::Symbols;
use ballast_gateway::venue::time_base::TimeBase;
use std::sync::Arc;

struct World {
    now: Nanos,
    door: Door,
    venue: Venue,
    feed: Feed<PipeDial, MemoryStore>,
    events: Option<Consumer<MarketEvent>>,
}

const BOOK: &str = "268=3|269=0|270=100.00|271=1|269=0|270=99.99|271=2|269=1|270=100.01|271=3";

impl World {
    fn with(rules: Rules, time_base: TimeBase, ring: usize) -> World {
        World::of((peer::client_config(), 64), rules, time_base, ring)
    }

    /// A session, and how many entries the feed takes in a message.
    fn of(
        (session, entries_max): (SessionConfig, usize),
        rules: Rules,
        time_base: TimeBase,
        ring: usize,
    ) -> World {
        let door = Door::open();
        let (events_in, events) = slots(ring);
        let listed = [wire::instrument(0, "BTC"), wire::instrument(1, "ETH")];
        let symbols = Symbols::new(VenueId(0), &listed).unwrap();
        let config = FeedConfig {
            market_depth: 0,
            levels_max: 64,
            entries_max,
            time_base,
            ask_again_ns: 1_000_000,
            redial: ReconnectConfig { pause_min_ns: 1000, pause_max_ns: 8000 },
        };
        let session = Session::new(session, MemoryStore::new());
        let dial = PipeDial(door.clone());
        let feed = Feed::new(config, (dial, session), (symbols, rules), events_in, None);
        let venue = Venue::new(&door);
        let now = Nanos(1_723_161_599_000_000_000);
        let mut world = World { now, door, venue, feed, events: Some(events) };
        world.settle();
        world
    }

    /// Both books are live, and the ring is empty.
    fn up() -> World {
        let mut world = World::with(RULES, TimeBase::Arrival, 256);
        world.answer("BTC", BOOK);
        world.answer("ETH", BOOK);
        assert_eq!(world.events().len(), 8);
        world
    }

    fn settle(&mut self) {
        for _ in 0..40 {
            self.now = self.now.plus(100);
            self.feed.turn(self.now);
            self.venue.turn(self.now);
        }
    }

    fn events(&mut self) -> Vec<MarketEvent> {
        self.settle();
        std::iter::from_fn(|| self.events.as_mut().unwrap().pop()).collect()
    }

    fn say(&mut self, body: &str) {
        self.venue.say(self.now, body);
        self.settle();
    }

    /// Requests received, newest last, as (subscribe?, MDReqID, whole text), for a symbol.
    fn requests(&mut self, symbol: &str) -> Vec<(bool, String)> {
        let is_for = |m: &&String| m.ends_with(&format!("|55={symbol}"));
        self.venue
            .inbox
            .iter()
            .filter(is_for)
            .map(|m| {
                let id = m.split("262=").nth(1).unwrap().split('|').next().unwrap();
                (m.contains("|263=1|"), id.to_string())
            })
            .collect()
    }

    /// A snapshot for the newest request.
    fn answer(&mut self, symbol: &str, book: &str) {
        let id = self.requests(symbol).last().unwrap().1.clone();
        self.say(&format!("35=W|262={id}|55={symbol}|{book}"));
    }

    fn increment(&mut self, symbol: &str, entries: &str) {
        let id = self.requests(symbol).last().unwrap().1.clone();
        self.say(&format!("35=X|262={id}|{entries}"));
    }
}

fn updates(events: &[MarketEvent], instrument: u16) -> Vec<MarketUpdate> {
    events.iter().filter(|e| e.instrument == InstrumentId(instrument)).map(|e| e.update).collect()
}

fn level(side: Side, price: i64, size: i64) -> MarketUpdate {
    MarketUpdate::Level { side, price: Ticks(price), size: Lots(size) }
}

#[test]
fn after_logon_each_book_is_asked_for_and_the_snapshot_is_a_reset_and_its_levels() {
    let mut world = World::with(RULES, TimeBase::Arrival, 256);
    assert!(
        world.venue.inbox[0].ends_with("|263=1|264=0|265=1|267=3|269=0|269=1|269=2|146=1|55=BTC")
    );
    assert_eq!(world.venue.inbox.len(), 2);
    world.answer("BTC", BOOK);
    let events = world.events();
    assert_eq!(
        updates(&events, 0),
        [
            MarketUpdate::Reset,
            level(Side::Buy, 10_000, 1000),
            level(Side::Buy, 9_999, 2000),
            level(Side::Sell, 10_001, 3000),
        ]
    );
    let last: Vec<bool> = events.iter().map(|e| e.last_in_message).collect();
    assert_eq!(last, [false, false, false, true]);
    assert!(events.iter().all(|e| e.at.0 > 0 && e.at <= world.now));
}

#[test]
fn a_book_of_5000_levels_a_side_is_one_message_and_taken() {
    let mut session = peer::client_config();
    fit_whole_books(&mut session);
    let mut world = World::of((session, ENTRIES_MAX), RULES, TimeBase::Arrival, 256);
    let mut book = "268=10000".to_owned();
    for n in 0..5_000 {
        let (bid, ask) = (60_000 - n, 60_001 + n);
        book.push_str(&format!(
            "|269=0|270={bid}.00|271=1|278=b{n}|269=1|270={ask}.00|271=2|278=a{n}"
        ));
    }
    assert!(book.len() > 300_000);
    world.answer("BTC", &book);
    let session = world.feed.session();
    assert_eq!((session.counters().garbled, session.counters().resend_requests_out), (0, 0));
    assert!(session.is_synced());
    assert_eq!((world.feed.counts().snapshots, world.feed.counts().breaches), (1, 0));
    let best = world.feed.publisher().book(0).unwrap().best(Side::Sell).unwrap();
    assert!(world.feed.publisher().is_whole(0) && best.price == Ticks(6_000_100));
}

#[test]
fn increments_change_and_delete_levels_and_tell_trades() {
    let mut world = World::up();
    world.increment(
        "BTC",
        "268=4|279=1|269=0|55=BTC|270=100.00|271=5|279=2|269=0|270=99.99|\
         279=0|269=2|270=100.01|271=1|5797=1|279=0|269=2|270=100.00|271=2",
    );
    let events = world.events();
    let trade = |aggressor, price, size| MarketUpdate::Trade {
        aggressor,
        price: Ticks(price),
        size: Lots(size),
    };
    assert_eq!(
        updates(&events, 0),
        [
            level(Side::Buy, 10_000, 5000),
            level(Side::Buy, 9_999, 0),
            trade(Side::Buy, 10_001, 1000),
            trade(Side::Sell, 10_000, 2000),
        ]
    );
    assert_eq!(world.feed.counts().aggressors_inferred, 1);
    assert!(events[3].last_in_message && !events[2].last_in_message);
}

#[test]
fn on_the_venues_time_base_events_carry_the_recordings_nanosecond() {
    let mut world = World::with(RULES, TimeBase::Venue { answer_delay_ns: 0 }, 256);
    world.answer("BTC", "268=1|269=0|270=1|271=1|272=20240808|273=23:54:13.937000001");
    let events = world.events();
    assert_eq!(events[1].at, Nanos(1_723_161_253_937_000_001));
    assert_eq!(events[1].venue_at, events[1].at);
}

#[test]
fn a_lost_message_gaps_every_book_at_once_and_a_new_snapshot_heals_it() {
    let mut world = World::up();
    let old = world.requests("BTC").last().unwrap().1.clone();
    world.venue.lose(world.now, 3);
    world.increment("BTC", "268=1|279=0|269=0|55=BTC|270=98|271=1");
    let events = world.events();
    assert_eq!(updates(&events, 0), [MarketUpdate::Gap]);
    assert_eq!(updates(&events, 1), [MarketUpdate::Gap]);
    let requests = world.requests("BTC");
    assert_eq!(requests.len(), 3);
    assert_eq!((requests[1].0, &requests[1].1), (false, &old), "the old one is withdrawn");
    world.say(&format!("35=X|262={old}|268=1|279=0|269=0|55=BTC|270=97|271=1"));
    assert!(world.events().is_empty(), "answers to the old question are not believed");
    world.answer("BTC", BOOK);
    assert_eq!(updates(&world.events(), 0).len(), 4);
}

#[test]
fn a_lost_session_gaps_every_book_and_the_next_logon_asks_anew() {
    let mut world = World::up();
    world.door.set_open(false);
    world.venue.cut(world.now);
    let events = world.events();
    assert_eq!(updates(&events, 0), [MarketUpdate::Gap]);
    assert_eq!(updates(&events, 1), [MarketUpdate::Gap]);
    world.venue.take_inbox();
    world.door.set_open(true);
    for _ in 0..5 {
        world.settle();
    }
    assert!(world.requests("ETH").iter().all(|(is_subscribe, _)| *is_subscribe));
    world.answer("ETH", BOOK);
    assert_eq!(updates(&world.events(), 1)[0], MarketUpdate::Reset);
}

#[test]
fn a_message_that_breaks_the_dictionary_gaps_every_book() {
    let mut world = World::up();
    world.increment("BTC", "268=2|279=0|269=0|55=BTC|270=98|271=1");
    let events = world.events();
    assert_eq!(
        (updates(&events, 0), updates(&events, 1)),
        (vec![MarketUpdate::Gap], vec![MarketUpdate::Gap])
    );
    assert_eq!(world.feed.counts().breaches, 1);
}

#[test]
fn an_increment_that_the_session_refuses_gaps_every_book_and_is_asked_about_later() {
    let mut session = peer::client_config();
    let dictionary = Arc::new(Dictionary::fix44());
    session.validation = Some(Validator::new(dictionary, DictionaryRules::default()));
    let mut world = World::of((session, 64), RULES, TimeBase::Arrival, 256);
    world.answer("BTC", BOOK);
    world.answer("ETH", BOOK);
    assert_eq!(world.events().len(), 8);
    world.say("35=B|148=no lines");
    assert!(world.events().is_empty(), "news that is refused says nothing of a book");
    world.increment("BTC", "268=1|279=9|269=0|55=BTC|270=98|271=1");
    let events = world.events();
    assert_eq!(updates(&events, 0), [MarketUpdate::Gap]);
    assert_eq!(updates(&events, 1), [MarketUpdate::Gap]);
    assert_eq!((world.feed.counts().breaches, world.requests("BTC").len()), (1, 1));
    // Another, in the pause, does not put the question off.
    world.now = world.now.plus(500_000);
    world.increment("BTC", "268=1|279=9|269=0|55=BTC|270=98|271=1");
    world.settle();
    assert_eq!((world.feed.counts().breaches, world.requests("BTC").len()), (2, 1));
    assert!(world.feed.session().is_synced(), "nothing is missing that is known to be");
    world.now = world.now.plus(500_000);
    world.settle();
    assert_eq!(world.requests("BTC").len(), 3);
    world.answer("BTC", BOOK);
    assert_eq!(updates(&world.events(), 0).len(), 4);
}

#[test]
fn a_price_off_the_grid_gaps_its_book_alone_and_is_asked_about_later() {
    let mut world = World::up();
    world.increment(
        "BTC",
        "268=2|279=0|269=0|55=BTC|270=98.001|271=1|279=0|269=0|55=BTC|270=98|271=1",
    );
    let events = world.events();
    assert_eq!(updates(&events, 0), [MarketUpdate::Gap]);
    assert!(updates(&events, 1).is_empty());
    assert_eq!(world.feed.counts().off_grid, 1);
    assert_eq!(world.requests("BTC").len(), 1, "not at once");
    world.now = world.now.plus(1_000_000);
    world.settle();
    assert_eq!(world.requests("BTC").len(), 3);
}

#[test]
fn a_refused_request_gaps_the_book_and_is_asked_again_after_a_pause() {
    let mut world = World::up();
    let id = world.requests("ETH").last().unwrap().1.clone();
    world.say(&format!("35=Y|262={id}|281=4"));
    assert_eq!(updates(&world.events(), 1), [MarketUpdate::Gap]);
    assert_eq!(world.feed.counts().refusals, 1);
    world.now = world.now.plus(1_000_000);
    world.settle();
    assert_eq!(world.requests("ETH").len(), 3);
}

#[test]
fn a_full_ring_becomes_a_reset_and_the_levels_as_they_are_then() {
    let mut world = World::with(RULES, TimeBase::Arrival, 4);
    world.answer("BTC", BOOK);
    for price in 0..10 {
        let entry = format!("268=1|279=0|269=0|55=BTC|270=90.0{price}|271=1");
        world.increment("BTC", &entry);
    }
    world.increment("BTC", "268=1|279=2|269=1|55=BTC|270=100.01");
    let mut levels = std::collections::BTreeMap::new();
    let mut last = false;
    for _ in 0..60 {
        let event = world.events.as_mut().unwrap().pop();
        world.settle();
        let Some(event) = event else { break };
        last = event.last_in_message;
        match event.update {
            MarketUpdate::Reset => levels.clear(),
            MarketUpdate::Level { price, size, .. } if size.0 > 0 => {
                levels.insert(price.0, size.0);
            }
            MarketUpdate::Level { price, .. } => _ = levels.remove(&price.0),
            MarketUpdate::Trade { .. } | MarketUpdate::Gap => {}
        }
    }
    assert!(last);
    assert_eq!(levels.len(), 12);
    assert_eq!(levels.get(&10_001), None);
    assert!(world.feed.publish_counts().overruns > 0);
}

#[test]
fn where_trades_need_a_question_of_their_own_two_are_asked() {
    let world = World::with(Rules { splits_trades: true, ..RULES }, TimeBase::Arrival, 64);
    let types = |n: usize| world.venue.inbox[n].split("|265=1").nth(1).unwrap().to_string();
    assert!(types(0).starts_with("|267=2|269=0|269=1|"));
    assert!(types(1).starts_with("|267=1|269=2|"));
    assert_eq!(world.venue.inbox.len(), 4);
}

#[test]
fn when_the_maker_goes_away_the_feed_logs_out_and_is_done() {
    let mut world = World::up();
    world.events = None;
    world.settle();
    assert_eq!(world.feed.turn(world.now), Turn::Done);
}

/// A venue whose entries are orders, of which four are kept.
fn orders_up() -> World {
    let rules = Rules { entries: Entries::Orders { most: 4 }, ..RULES };
    let mut world = World::with(rules, TimeBase::Arrival, 256);
    assert!(world.venue.inbox[0].contains("|266=N|"), "{:?}", world.venue.inbox);
    world.answer(
        "BTC",
        "268=3|269=0|278=A|270=100.00|271=5|269=0|278=B|270=100.00|271=7|\
         269=1|278=C|270=100.01|271=3",
    );
    assert_eq!(
        updates(&world.events(), 0),
        [
            MarketUpdate::Reset,
            level(Side::Buy, 10_000, 5000),
            level(Side::Buy, 10_000, 12_000),
            level(Side::Sell, 10_001, 3000),
        ]
    );
    world
}

#[test]
fn where_entries_are_orders_a_level_is_their_sum_and_each_goes_by_its_name() {
    let mut world = orders_up();
    world.increment("BTC", "268=1|279=2|278=A|55=BTC");
    assert_eq!(updates(&world.events(), 0), [level(Side::Buy, 10_000, 7000)], "B stands");
    world.increment("BTC", "268=1|279=1|278=B|55=BTC|270=99.99|271=4");
    let events = world.events();
    let moved = [level(Side::Buy, 10_000, 0), level(Side::Buy, 9_999, 4000)];
    assert_eq!(updates(&events, 0), moved);
    assert!(!events[0].last_in_message && events[1].last_in_message);
    world.increment(
        "BTC",
        "268=3|279=0|269=1|278=D|55=BTC|270=100.01|271=2|279=2|269=1|278=C|270=100.01|\
         279=0|269=2|278=T|270=100.01|271=1|5797=1",
    );
    let told = updates(&world.events(), 0);
    assert_eq!(told[..2], [level(Side::Sell, 10_001, 5000), level(Side::Sell, 10_001, 2000)]);
    assert!(matches!(told[2], MarketUpdate::Trade { .. }));
}

#[test]
fn a_book_of_orders_that_lost_one_is_not_believed_until_the_next_snapshot() {
    for lost in [
        "268=1|279=2|278=X|55=BTC",
        "268=1|279=1|278=X|55=BTC|270=100.00|271=1",
        "268=1|279=0|269=0|278=A|55=BTC|270=100.00|271=1",
        "268=1|279=0|269=0|55=BTC|270=100.00|271=1",
        "268=2|279=0|269=0|278=E|55=BTC|270=99|271=1|279=0|269=0|278=F|270=99|271=1",
    ] {
        let mut world = orders_up();
        world.increment("BTC", lost);
        let events = world.events();
        assert_eq!(updates(&events, 0).last(), Some(&MarketUpdate::Gap), "{lost}");
        assert_eq!(world.feed.counts().unknown_orders, 1, "{lost}");
        world.answer("BTC", "268=1|269=0|278=A|270=100.00|271=5");
        let healed = [MarketUpdate::Reset, level(Side::Buy, 10_000, 5000)];
        assert_eq!(updates(&world.events(), 0), healed, "{lost}");
    }
}
