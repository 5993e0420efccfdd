//! Runs one after the other over the files that they leave: what a store, the ExecIDs and the journal say
//! after a crash, a loss of power and a lost folder, and that no fill is told twice or never.

use crate::peer::{Door, PipeDial, Venue};
use crate::wire;
use crate::world::order_entry_config;
use ballast_engine::event::{
    ClOrdId, InstrumentId, OrderAction, OrderEvent, OrderIntent, OrderUpdate, SessionFault,
    TimeInForce, VenueId,
};
use ballast_engine::journal::header::Header;
use ballast_engine::journal::record::Record;
use ballast_engine::journal::recovery::Survey;
use ballast_engine::maker::resumption::{Delivered, Renamed, Resumption};
use ballast_engine::orders::order::{Order, OrderState, Purpose};
use ballast_engine::ring::{Consumer, Producer, slots};
use ballast_engine::stage::Stage;
use ballast_engine::units::{Lots, Nanos, Side, Stamp, Ticks};
use ballast_gateway::order_entry::earlier::{deliver_from, sent_after};
use ballast_gateway::order_entry::exec_ids::ExecIds;
use ballast_gateway::order_entry::throttle::MessageLimit;
use ballast_gateway::order_entry::{OWN_IDS, OrderEntry};
use ballast_gateway::session::{Role, Session, SessionConfig};
use ballast_gateway::store::{FileStore, FileStoreConfig, MemoryStore, Store, SyncPolicy};
use ballast_gateway::venue::deribit;
use ballast_gateway::venue::dialect::Rules;
use ballast_gateway::venue::plain::RULES;
use ballast_gateway::venue::symbols::Symbols;
use std::path::PathBuf;

/// A folder that is removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("ballast-runs-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Folder(path)
    }

    fn store(&self) -> FileStore {
        let config = FileStoreConfig {
            segment_bytes: 1 << 16,
            sync: SyncPolicy::Never,
            ..FileStoreConfig::new(&self.0)
        };
        FileStore::open(config).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A venue whose numbers go on over connections.
fn venue(door: &Door) -> Venue {
    let mut venue = Venue::new(door);
    let config = SessionConfig::new(Role::Acceptor, "VENUE", "BALLAST");
    venue.session = Session::new(config, MemoryStore::new());
    venue
}

/// One run of the stage, and the journal's word on how far it came.
struct Run {
    now: Nanos,
    venue: Venue,
    entry: OrderEntry<PipeDial, FileStore>,
    intents: Producer<OrderIntent>,
    events: Consumer<OrderEvent>,
    journal: Survey,
}

impl Run {
    fn start(folder: &Folder, ends: (Door, Venue), at: u64, earlier: &[Delivered]) -> Run {
        Run::with(folder, ends, at, (RULES, &[], earlier))
    }

    fn with(
        folder: &Folder,
        ends: (Door, Venue),
        at: u64,
        (rules, orders, earlier): (Rules, &[Order], &[Delivered]),
    ) -> Run {
        let mut run = Run::left_by(folder, ends, (rules, orders, &[], earlier));
        run.now = run.now.plus(at * 1_000_000_000);
        run
    }

    fn left_by(
        folder: &Folder,
        (door, venue): (Door, Venue),
        (rules, orders, renamed, earlier): (Rules, &[Order], &[Renamed], &[Delivered]),
    ) -> Run {
        let (intents, intents_out) = slots(64);
        let (events_in, events) = slots(64);
        let store = folder.store();
        let from = deliver_from(&store, earlier.first().copied());
        let ids = folder.0.join("exec-ids");
        let ids = ExecIds::open(&ids, 64, (store.created_at(), from)).unwrap();
        let config = SessionConfig::new(Role::Initiator, "BALLAST", "VENUE");
        let symbols = Symbols::new(VenueId(0), &[wire::instrument(3, "BTC")]).unwrap();
        let mut entry = OrderEntry::new(
            order_entry_config(),
            (PipeDial(door), Session::new(config, store)),
            (symbols, rules),
            ids,
            (intents_out, events_in),
            None,
        )
        .unwrap();
        entry.resume(orders, renamed, from);
        let resumption = Resumption { delivered: earlier.to_vec(), ..Resumption::default() };
        let journal = Survey::begin(Header {
            epoch: 5,
            started: Nanos(0),
            binary: String::new(),
            config: String::new(),
            resumption: Some(resumption),
        });
        let now = Nanos(1_723_161_599_000_000_000);
        Run { now, venue, entry, intents, events, journal }
    }

    fn fill(&mut self, id: u64) {
        self.venue.say(
            self.now,
            &format!("35=8|37=O|11={id}|17=E{id}|150=F|39=2|55=BTC|54=2|31=5|32=1|151=0|14=1|6=0"),
        );
    }

    /// What the maker is told.
    fn events(&mut self) -> Vec<OrderEvent> {
        let mut events = Vec::new();
        for _ in 0..60 {
            self.now = self.now.plus(100);
            self.entry.turn(self.now);
            self.venue.turn(self.now);
            events.extend(std::iter::from_fn(|| self.events.pop()));
        }
        events
    }

    /// The maker asks for so many new orders: how many come back unsent.
    fn unsent_of(&mut self, ids: std::ops::Range<u64>) -> usize {
        for id in ids {
            let asked = OrderIntent {
                cl_ord_id: ClOrdId(id),
                orig_cl_ord_id: ClOrdId::NONE,
                price: Ticks(100),
                size: Lots(1),
                stamp: Stamp(0),
                at: self.now,
                instrument: InstrumentId(3),
                action: OrderAction::New,
                side: Side::Buy,
                time_in_force: TimeInForce::PostOnly,
            };
            self.intents.push(asked).unwrap();
        }
        let events = self.events();
        events.iter().filter(|event| event.update == OrderUpdate::Unsent).count()
    }

    fn journal(&mut self, event: OrderEvent) {
        self.journal.take(&Record::Order { number: 0, now: self.now, event });
    }

    /// What the maker is told, journaled: the ClOrdIDs of the fills.
    fn fills(&mut self) -> Vec<u64> {
        let mut fills = Vec::new();
        for event in self.events() {
            self.journal(event);
            if matches!(event.update, OrderUpdate::Fill { .. }) {
                fills.push(event.cl_ord_id.0);
            }
        }
        fills
    }

    fn delivered(&self) -> Vec<Delivered> {
        self.journal.delivered.values().copied().collect()
    }

    /// The process is gone; the venue stays.
    fn die(mut self) -> Venue {
        self.venue.cut(self.now);
        self.venue
    }
}

/// A run that hears three fills, and how far its journal then is.
fn three_fills(folder: &Folder, door: &Door) -> (Venue, Vec<Delivered>) {
    let mut run = Run::start(folder, (door.clone(), venue(door)), 0, &[]);
    assert_eq!(run.fills(), []);
    for id in 1..=3 {
        run.fill(id);
    }
    assert_eq!(run.fills(), [1, 2, 3]);
    let delivered = run.delivered();
    (run.die(), delivered)
}

#[test]
fn what_the_journal_lacks_is_told_again_and_nothing_else() {
    let (folder, door) = (Folder::new("lacks"), Door::open());
    let (venue, mut delivered) = three_fills(&folder, &door);
    delivered[0].msg_seq_num -= 1;
    let mut run = Run::start(&folder, (door, venue), 10, &delivered);
    assert_eq!(run.fills(), [3]);
}

#[test]
fn after_a_restart_an_exec_id_of_the_day_before_is_another_fill_of_an_order_that_grew() {
    let (folder, door) = (Folder::new("daily-ids"), Door::open());
    let (venue, delivered) = three_fills(&folder, &door);
    let left = Order { cl_ord_id: ClOrdId(7), side: Side::Sell, ..left(0) };
    let mut run = Run::with(&folder, (door, venue), 10, (RULES, &[left], &delivered));
    assert_eq!(run.fills(), []);
    // The venue counts from 1 again, and then says the same fill once more.
    for _ in 0..2 {
        run.venue.say(
            run.now,
            "35=8|37=O|11=7|17=E1|150=F|39=1|55=BTC|54=2|31=5|32=0.02|151=0.03|14=0.02|6=0",
        );
    }
    assert_eq!(run.fills(), [7]);
}

#[test]
fn the_venues_window_goes_on_over_a_restart() {
    let (folder, door) = (Folder::new("window"), Door::open());
    let limit = MessageLimit { messages: 6, window_ns: 5_000_000_000, cancel_reserve: 0 };
    let rules = Rules { order_limits: limit.into(), ..RULES };
    let mut run = Run::with(&folder, (door.clone(), venue(&door)), 0, (rules, &[], &[]));
    run.events();
    // The Logon is the first of the six.
    assert_eq!(run.unsent_of(11..15), 0);
    let (delivered, venue) = (run.delivered(), run.die());
    let mut run = Run::with(&folder, (door, venue), 2, (rules, &[], &delivered));
    run.events();
    // Four orders of the run before, whose Logon is not kept, and this run's Logon.
    assert_eq!(run.unsent_of(21..24), 2);
    run.now = run.now.plus(6_000_000_000);
    assert_eq!(run.unsent_of(31..34), 0);
}

#[test]
fn a_store_behind_the_journal_tells_no_fill_again() {
    let (folder, door) = (Folder::new("behind"), Door::open());
    let (mut venue, mut delivered) = three_fills(&folder, &door);
    // The journal's sync came after the store's last one: it knows of two fills more.
    delivered[0].msg_seq_num += 2;
    let mut run = Run::start(&folder, (door.clone(), venue), 10, &delivered);
    assert_eq!(run.fills(), [], "all that is held was booked");
    let after = run.delivered();
    assert_eq!(after[0].numbers_since, delivered[0].numbers_since);
    assert!(after[0].msg_seq_num >= delivered[0].msg_seq_num, "{after:?}");
    venue = run.die();
    let mut run = Run::start(&folder, (door, venue), 20, &after);
    assert_eq!(run.fills(), [], "nor by the run after it");
}

#[test]
fn a_store_that_lost_the_last_reset_tells_nothing_of_the_numbers_before_it() {
    let (folder, door) = (Folder::new("before-reset"), Door::open());
    let (venue, before) = three_fills(&folder, &door);
    let since = Nanos(before[0].numbers_since.0 + 1_000_000_000);
    let delivered = [Delivered { numbers_since: since, msg_seq_num: 1, ..before[0] }];
    let mut run = Run::start(&folder, (door.clone(), venue), 10, &delivered);
    assert_eq!(run.fills(), []);
    let after = run.delivered();
    let venue = run.die();
    let mut run = Run::start(&folder, (door, venue), 20, &after);
    assert_eq!(
        run.fills(),
        [],
        "a run that begins with the old numbers says that they were booked"
    );
}

#[test]
fn fills_after_a_lost_store_are_told_once() {
    let (folder, door) = (Folder::new("lost"), Door::open());
    let (_, mut delivered) = three_fills(&folder, &door);
    // It was a long one.
    delivered[0].msg_seq_num = 5000;
    std::fs::remove_dir_all(&folder.0).unwrap();
    let mut run = Run::start(&folder, (door.clone(), venue(&door)), 10, &delivered);
    assert_eq!(run.fills(), []);
    for id in 11..=13 {
        run.fill(id);
    }
    assert_eq!(run.fills(), [11, 12, 13]);
    let after = run.delivered();
    let venue = run.die();
    let mut run = Run::start(&folder, (door, venue), 20, &after);
    assert_eq!(run.fills(), [], "the run before has booked them");
}

#[test]
fn a_fresh_store_has_a_beginning_from_its_first_connection_on() {
    let (folder, door) = (Folder::new("fresh"), Door::open());
    let mut run = Run::start(&folder, (door.clone(), venue(&door)), 0, &[]);
    let began = run.now;
    run.fills();
    let since = run.entry.session().store().created_at();
    assert!(since > began, "{since:?}");
    let venue = run.die();
    let mut run = Run::start(&folder, (door, venue), 10, &[]);
    run.fills();
    assert_eq!(run.entry.session().store().created_at(), since, "and keeps it");
}

/// An order of 50 that the run before left, with so much of it traded.
fn left(cum_qty: i64) -> Order {
    let (of, terms) = ((InstrumentId(3), Side::Buy), (Ticks(600), Lots(50)));
    let sent = Order::sent(Nanos(0), ClOrdId(11), of, terms, Purpose::Quote { level: 0 });
    let (cum_qty, state) = (Lots(cum_qty), OrderState::InDoubt);
    Order { cum_qty, is_acknowledged: true, state, ..sent }
}

/// Size and CumQty(14) of the fills.
fn sizes(events: &[OrderEvent]) -> Vec<(i64, i64)> {
    let size = |event: &OrderEvent| match event.update {
        OrderUpdate::Fill { last_qty, cum_qty, .. } => Some((last_qty.0, cum_qty.0)),
        _ => None,
    };
    events.iter().filter_map(size).collect()
}

#[test]
fn a_run_that_dies_between_two_fills_of_one_report_is_told_the_second() {
    let (folder, door) = (Folder::new("between"), Door::open());
    let rules = deribit::RULES;
    let mut run = Run::with(&folder, (door.clone(), venue(&door)), 0, (rules, &[left(0)], &[]));
    for event in run.events() {
        run.journal(event);
    }
    run.venue.say(
        run.now,
        "35=8|527=S|37=O|41=11|39=1|54=1|151=0.02|14=0.03|38=0.05|40=2|44=6|150=I|55=BTC|1362=2|\
         1363=F1|1364=5|1365=0.02|1363=F2|1364=6|1365=0.01",
    );
    let told = run.events();
    assert_eq!(sizes(&told), [(20, 20), (10, 30)]);
    // Killed with the first one journaled.
    run.journal(told[0]);
    let first = run.delivered();
    run.journal(told[1]);
    let both = run.delivered();
    let venue = run.die();
    let mut run = Run::with(&folder, (door.clone(), venue), 10, (rules, &[left(20)], &first));
    assert_eq!(sizes(&run.events()), [(10, 30)]);
    let venue = run.die();
    let mut run = Run::with(&folder, (door, venue), 20, (rules, &[left(30)], &both));
    assert_eq!(sizes(&run.events()), []);
}

/// An order of a run that is gone, at a venue that keeps its first name.
fn amended(replacement: Option<(Ticks, Lots)>) -> Order {
    let replace_id = if replacement.is_some() { ClOrdId(15) } else { ClOrdId::NONE };
    Order { cl_ord_id: ClOrdId(14), replace_id, replacement, ..left(0) }
}

fn told(events: &[OrderEvent]) -> Vec<(u64, OrderUpdate)> {
    let is_of_session = |event: &&OrderEvent| event.cl_ord_id != ClOrdId::NONE;
    events.iter().filter(is_of_session).map(|event| (event.cl_ord_id.0, event.update)).collect()
}

/// A report of the order that was sent as 11, under what it was amended to.
const AMENDED: &str = "35=8|527=S|37=O|11=O|41=11|39=1|54=1|151=0.05|14=0.03|38=0.08|40=2|44=7|150=I|55=BTC|\
                       1362=1|1363=F1|1364=7|1365=0.03";

#[test]
fn an_amended_order_is_known_by_its_first_name_after_a_restart() {
    let (folder, door) = (Folder::new("first-name"), Door::open());
    let renamed = [Renamed { cl_ord_id: ClOrdId(14), first: ClOrdId(11) }];
    for (replacement, name) in [(Some((Ticks(700), Lots(80))), 15), (None, 14)] {
        let order = amended(replacement);
        let rules = deribit::RULES;
        let ends = (door.clone(), venue(&door));
        let mut run = Run::left_by(&folder, ends, (rules, &[order], &renamed, &[]));
        run.events();
        run.venue.say(run.now, AMENDED);
        let events = run.events();
        let told = told(&events);
        // In mid-amend the report is its answer; otherwise the venue has changed it.
        let (price, leaves_qty) = (Ticks(700), Lots(80));
        let terms = match replacement {
            Some(_) => OrderUpdate::Replaced { price, leaves_qty },
            None => OrderUpdate::Restated { price, leaves_qty },
        };
        assert_eq!(told[0], (name, terms));
        let is_fill =
            matches!(told[1], (n, OrderUpdate::Fill { cum_qty: Lots(30), .. }) if n == name);
        assert!(is_fill, "{told:?}");
        // What it is asked about and cancelled by is the first name, too.
        run.venue.say(run.now, "35=r|11=1|530=7|531=0");
        run.events();
        let inbox = run.venue.take_inbox();
        assert!(inbox.iter().any(|text| text == "35=AF|55=BTC|584=11|585=7|9014=1"), "{inbox:?}");
        run.venue.say(run.now, &format!("{AMENDED}|585=7"));
        run.events();
        let inbox = run.venue.take_inbox();
        assert!(inbox.iter().any(|text| text.starts_with("35=F|11=11|")), "{inbox:?}");
        drop(run.die());
        std::fs::remove_dir_all(&folder.0).unwrap();
    }
}

#[test]
fn an_amendment_that_only_the_store_has_is_in_doubt_and_counts() {
    let mut store = MemoryStore::new();
    let id = |n| ClOrdId::new(3, n).0;
    let (a, b) = (id(1), id(4));
    for body in [
        format!("35=D|34=1|11={a}|18=6A|38=0.05|40=2|44=6|54=1|55=BTC|59=1"),
        format!("35=D|34=2|11={b}|18=6A|38=0.05|40=2|44=6|54=1|55=BTC|59=1"),
        format!("35=G|34=3|11={a}|18=6A|38=0.07|44=6.5|54=1|55=BTC"),
        format!("35=G|34=4|11={a}|18=6A|38=0.08|44=7|54=1|55=BTC"),
        format!("35=G|34=5|11={b}|18=6A|38=0.05|44=6|54=1|55=BTC"),
    ] {
        store.put_outbound(&wire::whole(&body)).unwrap();
    }
    let symbols = Symbols::new(VenueId(0), &[wire::instrument(3, "BTC")]).unwrap();
    let last = ClOrdId::new(3, 4);
    let sent = sent_after(&store, (&symbols, &deribit::RULES), last);
    // Journaled: A goes by its second name, B as it was sent.
    let order = |name, n| Order { cl_ord_id: ClOrdId::new(3, name), price: Ticks(n), ..left(0) };
    let renamed = vec![Renamed { cl_ord_id: ClOrdId::new(3, 2), first: ClOrdId(a) }];
    let mut resumption =
        Resumption { orders: vec![order(2, 650), order(4, 600)], renamed, ..Resumption::default() };
    for intent in &sent {
        resumption.take_sent(intent);
    }
    let asked: Vec<_> = resumption.orders.iter().map(|order| order.replacement).collect();
    assert_eq!(asked, [Some((Ticks(700), Lots(80))), None], "the one that is no news is none");
    assert_eq!(resumption.orders[0].leaves_worst(), Lots(80));
    let replace_id = resumption.orders[0].replace_id;
    assert!(replace_id > last && replace_id < ClOrdId::new(4, 0), "{replace_id:?}");
}

#[test]
fn mass_quotes_that_only_the_store_has_are_in_doubt_and_count() {
    let mut store = MemoryStore::new();
    let id = |n| ClOrdId::new(3, n).0;
    let own = ClOrdId::new(3, OWN_IDS | 1).0;
    let head = format!("117={own}|9019=g|296=1|302=1");
    let (a, b, c, d, e) = (id(1), id(2), id(5), id(6), id(7));
    for body in [
        // Journaled: A bids, B offers.
        format!(
            "35=i|34=1|{head}|295=2|299={a}|55=BTC|132=6|134=0.05|18=6A|299={b}|55=BTC|133=7|135=0.05|18=6A"
        ),
        // Not journaled: A moves, B is taken out; what the stage took out itself says nothing.
        format!("35=i|34=2|{head}|295=2|299={c}-{a}|55=BTC|132=6.5|18=6A|299={d}-{b}|55=BTC|135=0"),
        format!("35=i|34=3|{head}|295=1|299={own}-{a}|55=BTC|134=0"),
        format!("35=i|34=4|{head}|295=1|299={e}|55=BTC|133=7.5|135=0.04|18=6A"),
    ] {
        store.put_outbound(&wire::whole(&body)).unwrap();
    }
    let symbols = Symbols::new(VenueId(0), &[wire::instrument(3, "BTC")]).unwrap();
    let sent = sent_after(&store, (&symbols, &deribit::RULES), ClOrdId::new(3, 4));
    let order = |name, n| Order { cl_ord_id: ClOrdId::new(3, name), price: Ticks(n), ..left(0) };
    let mut resumption =
        Resumption { orders: vec![order(1, 600), order(2, 700)], ..Resumption::default() };
    for intent in &sent {
        resumption.take_sent(intent);
    }
    let [moved, out, new] = resumption.orders.as_slice() else { panic!("{sent:?}") };
    assert_eq!(moved.replacement, Some((Ticks(650), moved.size)), "its size is what it was");
    assert_eq!((moved.replace_id.0, out.cancel_id.0, out.cancel_of.0), (c, d, b));
    assert_eq!(
        (new.cl_ord_id.0, new.price, new.size, new.side),
        (e, Ticks(750), Lots(40), Side::Sell)
    );
}

/// What of these messages of run 3 the journal lacks that ends after this number.
fn sent_behind(bodies: &[String], last: u64) -> Vec<u64> {
    let mut store = MemoryStore::new();
    bodies.iter().for_each(|body| store.put_outbound(&wire::whole(body)).unwrap());
    let symbols = Symbols::new(VenueId(0), &[wire::instrument(3, "BTC")]).unwrap();
    let sent = sent_after(&store, (&symbols, &deribit::RULES), ClOrdId::new(3, last));
    sent.iter().map(|intent| intent.cl_ord_id.0 - ClOrdId::new(3, 0).0).collect()
}

/// A MassQuote(i) of new bids under these names.
fn mass_quote(seq: usize, run: u32, names: impl Iterator<Item = u64>) -> String {
    let entry = |n| {
        let id = ClOrdId::new(run, n).0;
        format!("|299={id}|55=BTC|132=6|134=0.05|18=6A")
    };
    let entries: Vec<_> = names.map(entry).collect();
    let (own, count) = (ClOrdId::new(run, OWN_IDS | seq as u64).0, entries.len());
    let head = format!("35=i|34={seq}|49=BALLAST|56=VENUE|52=20240808-23:59:59.000|117={own}");
    format!("{head}|9019=g|296=1|302=1|304={count}|295={count}{}", entries.concat())
}

#[test]
fn every_entry_of_the_largest_mass_quote_is_in_doubt() {
    let most = ballast_gateway::venue::mass_quote::ENTRIES_MAX as u64;
    let bodies = [mass_quote(1, 3, 1..=most), mass_quote(2, 3, most + 1..=2 * most)];
    assert_eq!(sent_behind(&bodies, most), (most + 1..=2 * most).collect::<Vec<_>>());
}

#[test]
fn what_overtook_the_last_journaled_name_on_the_wire_is_in_doubt_in_the_order_of_names() {
    let hedge = |seq: usize, n| {
        let id = ClOrdId::new(3, n).0;
        format!("35=D|34={seq}|11={id}|38=0.05|40=2|44=6|54=1|55=BTC|59=3")
    };
    // Gathered: 10, and 12 before 9; the hedges 11 and 13 went at once.
    let gathered = |seq, names: [u64; 3]| mass_quote(seq, 3, names.into_iter());
    let bodies = [
        mass_quote(1, 2, [400].into_iter()),
        hedge(2, 8),
        hedge(3, 11),
        hedge(4, 13),
        gathered(5, [12, 9, 10]),
    ];
    assert_eq!(sent_behind(&bodies, 10), [11, 12, 13]);
    assert_eq!(sent_behind(&bodies, 8), [9, 10, 11, 12, 13]);
    assert_eq!(sent_behind(&bodies, 13), [0; 0]);
    // Behind another run's nothing is looked for.
    let bodies = [hedge(1, 12), mass_quote(2, 2, [400].into_iter()), hedge(3, 13)];
    assert_eq!(sent_behind(&bodies, 10), [13]);
}

#[test]
fn what_was_sent_and_cannot_be_read_halts_the_session_and_nothing_is_traded() {
    for is_garbled in [false, true] {
        let folder = Folder::new(if is_garbled { "garbled" } else { "legible" });
        let door = Door::default();
        let mut store = folder.store();
        let frame = wire::whole(&mass_quote(1, 3, 1..=2));
        let text = String::from_utf8(frame).unwrap();
        let text = if is_garbled { text.replace("132=6", "132") } else { text };
        store.put_outbound(text.as_bytes()).unwrap();
        drop(store);
        let mut run = Run::start(&folder, (door.clone(), venue(&door)), 0, &[]);
        let halt = OrderUpdate::SessionHalted { fault: SessionFault::OrdersUnknown };
        let events = run.events();
        assert_eq!(events.iter().any(|event| event.update == halt), is_garbled, "{events:?}");
        assert_eq!(run.entry.cancel_switch().is_shut(), is_garbled);
    }
}
