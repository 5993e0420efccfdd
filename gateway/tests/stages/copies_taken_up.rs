//! Runs one after the other with a drop copy: an execution that the copy alone told, and that a kill took
//! from the run before its journal had it, is told by the next run, once, and by none after it.

use crate::peer::{Door, PipeDial, Venue};
use crate::wire;
use crate::world::order_entry_config;
use ballast_engine::event::{ExecId, OrderEvent, OrderIntent, VenueId};
use ballast_engine::journal::header::Header;
use ballast_engine::journal::record::Record;
use ballast_engine::journal::recovery::Survey;
use ballast_engine::maker::resumption::{Delivered, Resumption};
use ballast_engine::ring::{Consumer, Producer, slots};
use ballast_engine::stage::Stage;
use ballast_engine::units::Nanos;
use ballast_gateway::order_entry::OrderEntry;
use ballast_gateway::order_entry::drop_copy::GRACE_NS;
use ballast_gateway::order_entry::earlier::deliver_from;
use ballast_gateway::order_entry::exec_ids::ExecIds;
use ballast_gateway::session::{Role, Session, SessionConfig};
use ballast_gateway::store::{FileStore, FileStoreConfig, MemoryStore, Store, SyncPolicy};
use ballast_gateway::venue::plain::RULES;
use ballast_gateway::venue::symbols::Symbols;
use std::path::PathBuf;

/// The files of all runs, and the venue's two sessions, whose numbers go on.
struct Place {
    folder: PathBuf,
    venues: [(Door, Option<Venue>); 2],
    now: Nanos,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

const NAMES: [&str; 2] = ["BALLAST", "BALLAST-DC"];

impl Place {
    fn new(name: &str) -> Place {
        let folder =
            std::env::temp_dir().join(format!("ballast-copies-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let venues = NAMES.map(|name| {
            let door = Door::open();
            let mut venue = Venue::new(&door);
            let config = SessionConfig::new(Role::Acceptor, "VENUE", name);
            venue.session = Session::new(config, MemoryStore::new());
            (door, Some(venue))
        });
        Place { folder, venues, now: Nanos(1_723_161_599_000_000_000) }
    }

    fn store(&self, name: &str) -> FileStore {
        FileStore::open(FileStoreConfig {
            segment_bytes: 1 << 16,
            sync: SyncPolicy::Never,
            ..FileStoreConfig::new(self.folder.join(name))
        })
        .unwrap()
    }

    /// A run whose journal before it has what was `delivered`.
    fn run(&mut self, before: &Before) -> Run {
        let (intents, intents_out) = slots(64);
        let (events_in, events) = slots(64);
        let store = self.store("oe");
        let from = deliver_from(&store, before.delivered);
        let ids = self.folder.join("oe/exec-ids");
        let ids = ExecIds::open(&ids, TABLE, (store.created_at(), from)).unwrap();
        let journaled = before.delivered.map_or(Some(ExecId(0)), |delivered| delivered.exec_id);
        let ids = ids.forget_copied(journaled);
        let dial = |door: &Door| PipeDial(door.clone());
        let session =
            |name, store| Session::new(SessionConfig::new(Role::Initiator, name, "VENUE"), store);
        let instruments = [wire::instrument(3, "BTC"), wire::instrument(4, "ETH")];
        let known = if before.knows_eth { 2 } else { 1 };
        let symbols = Symbols::new(VenueId(0), &instruments[..known]).unwrap();
        let ends = (dial(&self.venues[0].0), session(NAMES[0], store));
        let (rings, rules) = ((intents_out, events_in), (symbols, RULES));
        let mut entry =
            OrderEntry::new(order_entry_config(), ends, rules, ids, rings, None).unwrap();
        entry.resume(&[], &[], from);
        let copy = (dial(&self.venues[1].0), session(NAMES[1], self.store("dc")));
        let redial = order_entry_config().redial;
        let entry = entry.with_drop_copy(copy, redial).with_copies_taken_up(before.is_in_opening);
        let venues = [0, 1].map(|n: usize| self.venues[n].1.take().unwrap());
        self.now = self.now.plus(10_000_000_000);
        let delivered = before.delivered.into_iter().collect();
        let resumption = Some(Resumption { delivered, ..Resumption::default() });
        let (binary, config) = (String::new(), String::new());
        let header = Header { epoch: 5, started: self.now, binary, config, resumption };
        let journal = Survey::begin(header);
        Run { now: self.now, venues, entry, _intents: intents, events, journal }
    }

    /// The first run, logged on.
    fn begin(&mut self) -> Run {
        let mut run = self.run(&Before::default());
        run.executions(A_WHILE);
        run
    }

    /// The process is gone, the venue stays.
    fn kill(&mut self, run: Run) -> Before {
        let Run { now, venues, journal, .. } = run;
        for (place, mut venue) in self.venues.iter_mut().zip(venues) {
            venue.cut(now);
            place.1 = Some(venue);
        }
        let delivered = journal.delivered.get(&VenueId(0)).copied();
        Before { delivered, ..Before::default() }
    }
}

/// What the journal of the run before has.
#[derive(Default)]
struct Before {
    delivered: Option<Delivered>,
    is_in_opening: bool,
    /// The run after it has one more instrument.
    knows_eth: bool,
}

impl Before {
    /// The same, but of executions the journal ends with this one.
    fn up_to(self, exec_id: ExecId) -> Before {
        let delivered = self.delivered.map(|last| Delivered { exec_id: Some(exec_id), ..last });
        Before { delivered, ..self }
    }
}

struct Run {
    now: Nanos,
    venues: [Venue; 2],
    entry: OrderEntry<PipeDial, FileStore>,
    _intents: Producer<OrderIntent>,
    events: Consumer<OrderEvent>,
    /// What came to the maker.
    journal: Survey,
}

impl Run {
    /// Time passes; the ExecIDs of what the maker is told: fills, and trades that are none.
    fn executions(&mut self, ns: u64) -> Vec<ExecId> {
        let end = self.now.plus(ns);
        let mut executions = Vec::new();
        while self.now < end {
            self.now = Nanos(self.now.plus(1_000_000).0.min(end.0));
            for _ in 0..5 {
                self.entry.turn(self.now);
                self.venues.iter_mut().for_each(|venue| _ = venue.turn(self.now));
            }
            for event in std::iter::from_fn(|| self.events.pop()) {
                self.journal.take(&Record::Order { number: 0, now: self.now, event });
                executions.extend(event.update.exec_id());
            }
        }
        executions
    }

    /// The trade of E1 never was.
    fn bust(&mut self, session: usize) {
        let body = "35=8|37=O|11=11|17=B1|19=E1|150=H|39=0|55=BTC|54=2|151=1.5|14=0|6=0";
        self.venues[session].say(self.now, body);
    }

    fn say(&mut self, session: usize, exec_id: &str) {
        self.say_of(session, ("BTC", "O"), exec_id);
    }

    /// A fill of an order of the venue's name.
    fn say_of(&mut self, session: usize, (symbol, order): (&str, &str), exec_id: &str) {
        let body = format!(
            "35=8|37={order}|11=11|17={exec_id}|150=F|39=1|55={symbol}|54=2|31=61685.99|32=0.5|151=1.0|\
             14=0.5|6=0"
        );
        self.venues[session].say(self.now, &body);
    }
}

/// ExecIDs that are remembered.
const TABLE: usize = 64;
const ORDERS: usize = 0;
const COPY: usize = 1;
const A_WHILE: u64 = 20_000_000;

#[test]
fn an_execution_that_the_copy_held_when_the_run_was_killed_is_told_by_the_next_and_by_none_after() {
    let mut place = Place::new("held");
    let mut run = place.begin();
    run.say(COPY, "E1");
    assert_eq!(run.executions(GRACE_NS / 2), [], "the order session may yet tell it");
    let before = place.kill(run);
    let mut run = place.run(&before);
    let told = run.executions(2 * GRACE_NS);
    assert_eq!(told.len(), 1, "{told:?}");
    let before = place.kill(run);
    let mut run = place.run(&before);
    assert_eq!(run.executions(2 * GRACE_NS), []);
}

#[test]
fn an_execution_that_was_told_from_the_copy_and_is_not_in_the_journal_is_told_again() {
    let mut place = Place::new("told");
    let mut run = place.begin();
    run.say(COPY, "E1");
    let first = run.executions(2 * GRACE_NS);
    assert_eq!(first.len(), 1);
    run.say(COPY, "E2");
    assert_eq!(run.executions(2 * GRACE_NS).len(), 1);
    // The journal ends with the first of them.
    let before = place.kill(run).up_to(first[0]);
    let mut run = place.run(&before);
    let told = run.executions(2 * GRACE_NS);
    assert_eq!(told.len(), 1, "the second and not the first: {told:?}");
    assert_ne!(told, first);
    // A later report of the order session is in the journal: so is all before it.
    run.say(ORDERS, "E3");
    assert_eq!(run.executions(A_WHILE).len(), 1);
    let before = place.kill(run);
    let mut run = place.run(&before);
    assert_eq!(run.executions(2 * GRACE_NS), []);
}

#[test]
fn a_trade_that_only_the_copy_cancelled_is_cancelled_once_over_a_restart() {
    let mut place = Place::new("bust");
    let mut run = place.begin();
    run.say(ORDERS, "E1");
    let traded = run.executions(A_WHILE);
    assert_eq!(traded.len(), 1);
    run.bust(COPY);
    assert_eq!(run.executions(2 * GRACE_NS).len(), 1);
    let before = place.kill(run);
    let mut run = place.run(&before);
    assert_eq!(run.executions(2 * GRACE_NS), [], "the journal has it");
    let before = place.kill(run).up_to(traded[0]);
    let mut run = place.run(&before);
    assert_eq!(run.executions(2 * GRACE_NS), [], "told for good at the start before");
}

#[test]
fn an_execution_that_the_order_session_told_is_not_told_from_the_copy_of_a_lost_table() {
    let mut place = Place::new("both");
    let mut run = place.begin();
    run.say(ORDERS, "E1");
    run.say(COPY, "E1");
    assert_eq!(run.executions(2 * GRACE_NS).len(), 1);
    let before = place.kill(run);
    // A loss of power took what was not written of the table.
    std::fs::remove_file(place.folder.join("oe/exec-ids")).unwrap();
    let mut run = place.run(&before);
    assert_eq!(
        run.executions(2 * GRACE_NS),
        [],
        "the journal has it by the order session's number"
    );
}

#[test]
fn what_an_opening_by_the_config_has_in_it_is_never_told() {
    let mut place = Place::new("opening");
    let mut run = place.begin();
    run.say(COPY, "E1");
    assert_eq!(run.executions(GRACE_NS / 2), []);
    let before = Before { is_in_opening: true, ..place.kill(run) };
    let mut run = place.run(&before);
    assert_eq!(run.executions(2 * GRACE_NS), []);
    let before = place.kill(run);
    let mut run = place.run(&before);
    assert_eq!(run.executions(2 * GRACE_NS), [], "nor by the run after it");
}

#[test]
fn what_the_copy_told_is_told_by_each_run_until_one_s_journal_has_it() {
    let mut place = Place::new("twice");
    let mut run = place.begin();
    run.say(COPY, "E1");
    let mut told = run.executions(2 * GRACE_NS);
    for _ in 0..2 {
        let before = place.kill(run).up_to(ExecId(0));
        // One that ends before it has told anything.
        let idle = place.run(&before);
        place.kill(idle);
        run = place.run(&before);
        told.extend(run.executions(2 * GRACE_NS));
    }
    assert!(told.len() == 3 && told.is_sorted(), "{told:?}");
    let before = place.kill(run);
    assert_eq!(place.run(&before).executions(2 * GRACE_NS), []);
}

#[test]
fn an_execution_from_the_copy_is_told_again_whatever_the_order_session_said_before_it() {
    let mut place = Place::new("refused");
    let mut run = place.begin();
    run.venues[ORDERS].say(run.now, "35=9|37=O|11=12|41=11|39=0|434=1|102=0");
    run.executions(A_WHILE);
    run.say(COPY, "E1");
    assert_eq!(run.executions(2 * GRACE_NS).len(), 1);
    let before = place.kill(run).up_to(ExecId(0));
    assert_eq!(place.run(&before).executions(2 * GRACE_NS).len(), 1);
}

#[test]
fn what_was_traded_of_an_instrument_before_it_was_ours_is_in_what_it_begins_with() {
    let mut place = Place::new("foreign");
    let mut run = place.begin();
    run.say_of(COPY, ("ETH", "P"), "E1");
    assert_eq!(run.executions(2 * GRACE_NS), []);
    let before = Before { knows_eth: true, ..place.kill(run) };
    let mut run = place.run(&before);
    assert_eq!(run.executions(2 * GRACE_NS), []);
    run.say_of(COPY, ("ETH", "P"), "E2");
    assert_eq!(run.executions(2 * GRACE_NS).len(), 1, "what is traded from now on is");
}

#[test]
fn an_execution_whose_exec_id_is_remembered_no_more_is_not_told_again() {
    let mut place = Place::new("evicted");
    let mut run = place.begin();
    run.say(ORDERS, "E1");
    run.say(COPY, "E1");
    assert_eq!(run.executions(2 * GRACE_NS).len(), 1);
    for n in 0..TABLE + 6 {
        run.say(ORDERS, &format!("F{n}"));
        assert_eq!(run.executions(A_WHILE).len(), 1);
    }
    // The order session's numbers and messages begin anew.
    let before = place.kill(run);
    let session = SessionConfig::new(Role::Acceptor, "VENUE", NAMES[ORDERS]);
    let venue = place.venues[ORDERS].1.as_mut().unwrap();
    venue.session = Session::new(session, MemoryStore::new());
    let ids = std::fs::read(place.folder.join("oe/exec-ids")).unwrap();
    std::fs::remove_dir_all(place.folder.join("oe")).unwrap();
    std::fs::create_dir(place.folder.join("oe")).unwrap();
    std::fs::write(place.folder.join("oe/exec-ids"), ids).unwrap();
    assert_eq!(place.run(&before).executions(2 * GRACE_NS), []);
}

#[test]
fn an_exec_id_that_the_venue_gave_before_is_told_from_the_copy_where_it_is_another_order_s() {
    let mut place = Place::new("reused");
    let mut run = place.begin();
    for n in 0..TABLE + 6 {
        run.say(ORDERS, &format!("F{n}"));
        assert_eq!(run.executions(A_WHILE).len(), 1);
    }
    // The first of them is forgotten, but for the order session's messages.
    run.say_of(COPY, ("BTC", "P"), "F0");
    assert_eq!(run.executions(GRACE_NS / 2), []);
    let before = place.kill(run);
    assert_eq!(place.run(&before).executions(2 * GRACE_NS).len(), 1);
}

#[test]
fn what_the_copy_tells_under_a_known_exec_id_is_told_again_too() {
    let mut place = Place::new("same-id");
    let mut run = place.begin();
    run.say(ORDERS, "E1");
    let traded = run.executions(A_WHILE);
    assert_eq!(traded.len(), 1);
    let bust = "35=8|37=O|11=11|17=E1|19=E1|150=H|39=0|55=BTC|54=2|151=1.5|14=0|6=0";
    run.venues[COPY].say(run.now, bust);
    assert_eq!(run.executions(2 * GRACE_NS).len(), 1);
    let before = place.kill(run).up_to(traded[0]);
    let mut run = place.run(&before);
    assert_eq!(run.executions(2 * GRACE_NS).len(), 1, "the cancellation, and the trade not again");
    let before = place.kill(run);
    assert_eq!(place.run(&before).executions(2 * GRACE_NS), []);
}

#[test]
fn an_instrument_that_is_added_within_the_grace_begins_with_what_was_traded_before() {
    let mut place = Place::new("grace");
    let mut run = place.begin();
    run.say_of(COPY, ("ETH", "P"), "E1");
    run.executions(GRACE_NS / 2);
    let before = Before { knows_eth: true, ..place.kill(run) };
    assert_eq!(place.run(&before).executions(2 * GRACE_NS), []);
}

#[test]
fn what_is_held_is_told_however_much_the_copy_said_behind_it_and_whatever_a_kill_tore() {
    let mut place = Place::new("far");
    let mut run = place.begin();
    run.say(COPY, "E1");
    for n in 0..5_000 {
        let accepted = format!("35=8|37=O|11=12|17=A{n}|150=0|39=0|55=BTC|54=2|151=1|14=0|6=0");
        run.venues[COPY].say(run.now, &accepted);
        if n % 100 == 0 {
            run.executions(1_000_000);
        }
    }
    assert_eq!(run.executions(GRACE_NS / 2), []);
    let before = place.kill(run);
    // One of the two marks is torn.
    let ids = place.folder.join("oe/exec-ids");
    let mut bytes = std::fs::read(&ids).unwrap();
    bytes[24] ^= 1;
    std::fs::write(&ids, bytes).unwrap();
    assert_eq!(place.run(&before).executions(2 * GRACE_NS).len(), 1);
}

#[test]
fn a_table_that_power_loss_took_back_tells_nothing_twice_and_loses_nothing_after_it() {
    let mut place = Place::new("power");
    let mut run = place.begin();
    let ids = place.folder.join("oe/exec-ids");
    run.say(COPY, "E0");
    assert_eq!(run.executions(2 * GRACE_NS).len(), 1);
    let old = std::fs::read(&ids).unwrap();
    run.say(COPY, "E1");
    let told = run.executions(2 * GRACE_NS);
    assert_eq!(told.len(), 1);
    let before = place.kill(run);
    std::fs::write(&ids, old).unwrap();
    let mut run = place.run(&before);
    assert_eq!(run.executions(2 * GRACE_NS), []);
    run.say(COPY, "E2");
    assert!(run.executions(2 * GRACE_NS)[0] > told[0], "numbers go on behind the journal's");
    let before = place.kill(run).up_to(told[0]);
    assert_eq!(place.run(&before).executions(2 * GRACE_NS).len(), 1);
}

#[test]
fn what_was_held_when_the_copy_was_taken_out_of_the_config_is_never_told() {
    let mut place = Place::new("without");
    let mut run = place.begin();
    run.say(COPY, "E1");
    assert_eq!(run.executions(GRACE_NS / 2), []);
    let before = place.kill(run);
    // A run without it.
    let store = place.store("oe");
    let from = deliver_from(&store, before.delivered);
    let ids = place.folder.join("oe/exec-ids");
    let ids = ExecIds::open(&ids, TABLE, (store.created_at(), from)).unwrap();
    ids.forget_copied(None).forget_copy_mark();
    drop(store);
    assert_eq!(place.run(&before).executions(2 * GRACE_NS), []);
}
