//! The kill, in process: a maker at work on a thread of its own is killed at random moments, and one
//! that is stuck is killed by the watchdog, by way of order entry's switch and socket.

#[path = "kill_lines/mod.rs"]
mod kill_lines;
#[path = "../../gateway/tests/peer/mod.rs"]
mod peer;
#[path = "second_operator/mod.rs"]
mod second_operator;

use ballast::config::ConfigFile;
use ballast::live::{Ends, wire_maker};
use ballast::operator::desk::{Desk, Killed, NotDone, OrderLine, Taken};
use ballast::operator::guard::Guard;
use ballast::operator::hand::Hand;
use ballast::operator::kill_note::KillNote;
use ballast::operator::request::{Ask, Reply, Request};
use ballast::operator::status::Names;
use ballast::random::Random;
use ballast::session_watch::SessionWatch;
use ballast::state_dir::StateDir;
use ballast_engine::clock::Counter;
use ballast_engine::event::{
    ClOrdId, InstrumentId, MarketEvent, MarketUpdate, OrderAction, OrderEvent, OrderIntent,
    OrderUpdate, VenueId,
};
use ballast_engine::journal::record::Record;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::control::{Act, KillCause, Scope, User};
use ballast_engine::maker::stage::{MakerStage, TimeBase};
use ballast_engine::stage::Stage;
use ballast_engine::units::{Lots, Nanos, Side, Stamp, Ticks};
use ballast_gateway::order_entry::CancelSwitch;
use ballast_gateway::transport::Cut;
use std::collections::BTreeMap;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[allow(clippy::disallowed_methods, reason = "a test that measures")]
fn instant() -> Instant {
    Instant::now()
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("ballast-kill-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

/// A venue that takes everything, on the maker's own thread.
struct Floor {
    stage: MakerStage,
    ends: Ends,
    open: BTreeMap<u64, Lots>,
    now: u64,
    seq: u64,
    mid: i64,
}

impl Floor {
    fn market(&mut self, instrument: u16, update: MarketUpdate, is_last: bool) {
        let event = MarketEvent {
            at: Nanos(self.now),
            venue_at: Nanos(self.now),
            stamp: Stamp(0),
            update,
            instrument: InstrumentId(instrument),
            last_in_message: is_last,
        };
        assert!(self.ends.market[0].push(event).is_ok());
    }

    fn images(&mut self) {
        for (id, tick) in [(0, 1), (1, 10), (2, 10)] {
            let mid = self.mid / tick;
            self.market(id, MarketUpdate::Reset, false);
            for (side, price, is_last) in [(Side::Buy, mid - 1, false), (Side::Sell, mid + 1, true)]
            {
                let size = Lots(1_000_000);
                self.market(id, MarketUpdate::Level { side, price: Ticks(price), size }, is_last);
            }
        }
    }

    fn tell(&mut self, cl_ord_id: ClOrdId, orig: ClOrdId, update: OrderUpdate) {
        self.seq += 1;
        let event = OrderEvent {
            at: Nanos(self.now),
            venue_at: Nanos(self.now),
            stamp: Stamp(0),
            msg_seq_num: self.seq,
            cl_ord_id,
            orig_cl_ord_id: orig,
            update,
            instrument: InstrumentId(0),
            venue: VenueId(0),
        };
        assert!(self.ends.orders[0].push(event).is_ok());
    }

    /// One turn of the maker, its intents taken and answered; answers them.
    fn turn(&mut self) -> Vec<OrderIntent> {
        self.now += 1_000_000;
        self.stage.turn(Nanos(self.now));
        while self.ends.journal.pop().is_some() {}
        while self.ends.telemetry.pop().is_some() {}
        let intents: Vec<_> = std::iter::from_fn(|| self.ends.intents[0].pop()).collect();
        for intent in &intents {
            let (id, orig) = (intent.cl_ord_id, intent.orig_cl_ord_id);
            let leaves_qty = intent.size;
            match intent.action {
                OrderAction::New => {
                    self.open.insert(id.0, leaves_qty);
                    self.tell(id, orig, OrderUpdate::New { leaves_qty });
                }
                OrderAction::Replace => {
                    self.open.remove(&orig.0);
                    self.open.insert(id.0, leaves_qty);
                    self.tell(id, orig, OrderUpdate::Replaced { price: intent.price, leaves_qty });
                }
                OrderAction::Cancel => {
                    self.open.remove(&orig.0);
                    self.tell(id, orig, OrderUpdate::Canceled { cum_qty: Lots(0) });
                }
            }
        }
        intents
    }
}

fn rig(state: &StateDir, lines: Vec<OrderLine>) -> (Floor, Arc<Desk>, ConfigFile, MakerConfig) {
    let sessions = lines.iter().map(|line| line.watch.clone()).collect();
    rig_of(state, lines, sessions)
}

fn rig_of(
    state: &StateDir,
    lines: Vec<OrderLine>,
    sessions: Vec<SessionWatch>,
) -> (Floor, Arc<Desk>, ConfigFile, MakerConfig) {
    let file = ConfigFile::demo().unwrap();
    let config = file.maker(state.epoch()).unwrap();
    let (stage, mut ends) = wire_maker(&config, TimeBase::Clock, 0, Counter::monotonic()).unwrap();
    // The desk takes the control ring; the rest is the floor's.
    let (blank, _) = ballast_engine::ring::slots(2);
    let control = std::mem::replace(&mut ends.control, blank);
    let desk = Desk::new(control, ends.progress.clone(), lines, sessions, state, &config);
    let floor = Floor { stage, ends, open: BTreeMap::new(), now: 0, seq: 0, mid: 6_000_000 };
    (floor, Arc::new(desk), file, config)
}

/// Quotes a wandering market until the kill is consumed; answers how many orders were out then and
/// when the last cancel was handed over.
fn quote_until_killed(mut floor: Floor, seed: u64) -> (usize, Instant) {
    let mut random = Random::new(seed);
    floor.tell(ClOrdId::NONE, ClOrdId::NONE, OrderUpdate::SessionUp);
    loop {
        floor.mid += random.below(9) as i64 - 4;
        floor.images();
        let before = floor.open.len();
        let consumed = floor.ends.progress.controls();
        let intents = floor.turn();
        if floor.ends.progress.controls() > consumed {
            let last = instant();
            let out = before.max(intents.len());
            for _ in 0..50 {
                floor.mid += 500;
                floor.images();
                let after = floor.turn();
                assert!(
                    after.iter().all(|i| i.action == OrderAction::Cancel),
                    "seed {seed}: {after:?}"
                );
            }
            assert_eq!(floor.open.len(), 0, "seed {seed}: everything is cancelled");
            return (out, last);
        }
    }
}

#[test]
fn after_a_thousand_kills_at_random_moments_no_new_order_goes_out() {
    let folder = folder("thousand");
    let state = StateDir::open(&folder).unwrap();
    let user = User::new(1000, "ada");
    let (mut nanos, mut orders, mut by_maker) = (Vec::new(), 0, 0);
    for seed in 0..1_000u64 {
        let (floor, desk, ..) = rig(&state, Vec::new());
        let maker = std::thread::spawn(move || quote_until_killed(floor, seed));
        let mut random = Random::new(seed ^ 0x5EED);
        std::thread::park_timeout(Duration::from_micros(200 + random.below(2_000)));
        let asked = instant();
        // A maker that the host keeps from its core for 20 ms is gone around: then it takes the kill later.
        by_maker +=
            usize::from(desk.kill(KillCause::Operator, user, "a test").how == Killed::ByMaker);
        let (out, last) = maker.join().unwrap();
        orders += out;
        nanos.push(last.saturating_duration_since(asked).as_nanos());
    }
    nanos.sort_unstable();
    assert!(by_maker > 900, "{by_maker} of 1,000");
    assert!(orders > 1_000, "there was something to cancel: {orders}");
    eprintln!(
        "from the request to the last cancel in the ring to order entry, ns: p50 {} p99 {} max {}; {} \
         orders were out",
        nanos[500], nanos[990], nanos[999], orders
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A maker that turns until so many acts were taken; only then its journal has what it consumed.
fn take(count: u64, mut floor: Floor, mut watch: impl FnMut(&Record)) {
    let mut unwritten = Vec::new();
    while floor.ends.progress.controls() < count {
        floor.now += 1_000_000;
        floor.stage.turn(Nanos(floor.now));
        unwritten.extend(std::iter::from_fn(|| floor.ends.journal.pop()));
        while floor.ends.telemetry.pop().is_some() {}
    }
    unwritten.iter().for_each(&mut watch);
}

#[test]
fn an_act_that_the_journal_does_not_have_is_not_called_done() {
    let (pause, resume) = (Act::Pause { scope: Scope::All }, Act::Resume { scope: Scope::All });
    // Of what is no option: refused.
    let impossible = Act::Expire { instrument: InstrumentId(0), price: 1 };
    let cases = [(pause, resume, false), (impossible, resume, false), (pause, impossible, true)];
    for (n, (first, second, is_refused)) in cases.into_iter().enumerate() {
        let folder = folder(&format!("unwritten-{n}"));
        let state = StateDir::open(&folder).unwrap();
        let (floor, desk, ..) = rig(&state, Vec::new());
        let (user, watch) = (User::new(1000, "ada"), desk.journal_watch());
        let order = |act| desk.order(user, User::NOBODY, act);
        let maker = std::thread::spawn(move || take(2, floor, watch));
        assert_eq!(order(first), Err(NotDone::NotWritten));
        assert_eq!(order(second), Ok(Taken { is_refused }), "{first:?}, {second:?}");
        maker.join().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

/// The hand over a desk whose operators are uids 1000 and 1001.
fn ask(hand: &mut Hand, uid: u32, ask: Ask) -> Reply {
    hand.answer(uid, &Request { name: None, ask })
}

fn set_position_max(value: &str) -> Ask {
    let [of, key, value] = ["BTCUSDT", "position_max", value].map(str::to_owned);
    Ask::Set { of, key, value }
}

#[test]
fn a_lowering_that_was_not_answered_cannot_be_taken_back_by_one_operator() {
    let folder = folder("doubted");
    let state = StateDir::open(&folder).unwrap();
    let (floor, desk, file, config) = rig(&state, Vec::new());
    let watch = desk.journal_watch();
    let mut hand = Hand::new(desk, &file, &config);
    // The disk stalls: the maker takes the first, and its journal has it only once the second came.
    let maker = std::thread::spawn(move || take(2, floor, watch));
    let lowered = ask(&mut hand, 1000, set_position_max("2"));
    assert!(!lowered.ok && lowered.text.contains("could undo it"), "{lowered:?}");
    let raised = ask(&mut hand, 1000, set_position_max("2.75"));
    assert!(raised.text.contains("a second operator"), "{raised:?}");
    let by_the_same = ask(&mut hand, 1000, Ask::Confirm { id: 1 });
    assert!(!by_the_same.ok && by_the_same.text.contains("another operator"), "{by_the_same:?}");
    let by_another = ask(&mut hand, 1001, Ask::Confirm { id: 1 });
    assert!(by_another.ok, "{by_another:?}");
    maker.join().unwrap();
    assert!(!ask(&mut hand, 1000, Ask::Confirm { id: 1 }).ok, "it counts once");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_kill_that_cannot_be_noted_is_told_to_who_killed() {
    let folder = folder("unnoted");
    let state = StateDir::open(&folder).unwrap();
    // Where the note is written first there is no file to be made.
    std::fs::create_dir_all(folder.join("killed.json.partial")).unwrap();
    let (floor, desk, file, config) = rig(&state, Vec::new());
    let watch = desk.journal_watch();
    let mut hand = Hand::new(desk, &file, &config);
    let maker = std::thread::spawn(move || take(1, floor, watch));
    let kill = |hand: &mut Hand| ask(hand, 1000, Ask::Kill { reason: "a test".into() });
    let killed = kill(&mut hand);
    maker.join().unwrap();
    assert!(!killed.ok && killed.text.contains("A RESTART WOULD TRADE AGAIN"), "{killed:?}");
    assert_eq!(KillNote::read(&folder), None);
    std::fs::remove_dir(folder.join("killed.json.partial")).unwrap();
    assert!(kill(&mut hand).ok, "with room for the note it is written");
    assert!(KillNote::read(&folder).is_some());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_kill_that_the_guard_did_not_make_is_an_alert_and_is_noted_once_there_is_room() {
    for at_the_end in [false, true] {
        let folder = folder(&format!("later-{at_the_end}"));
        let state = StateDir::open(&folder).unwrap();
        // No room for the note.
        let in_its_place = folder.join("killed.json.partial");
        std::fs::create_dir_all(&in_its_place).unwrap();
        let (_floor, desk, file, config) = rig(&state, Vec::new());
        let told = folder.join("alerts");
        let mut operator = file.raw.operator.clone();
        operator.alert_command =
            ["sh", "-c", "cat >> \"$0\"", told.to_str().unwrap()].map(str::to_owned).to_vec();
        let (names, signal) = (Names::new(&file, &config), Arc::default());
        let mut guard = Guard::new(desk.clone(), names, &operator, folder.join("kill"), signal);
        let killed = desk.kill(KillCause::Operator, User::new(1000, "ada"), "a test");
        assert!(killed.unnoted.is_some());
        let (start, step) = (instant(), Duration::from_millis(5));
        for ms in [0, 500, 1_100, 6_000] {
            guard.look(start + Duration::from_millis(ms), step);
        }
        std::fs::remove_dir(&in_its_place).unwrap();
        guard.look(start + Duration::from_millis(6_500), step);
        assert_eq!(KillNote::read(&folder), None, "it is tried once a second");
        if !at_the_end {
            guard.look(start + Duration::from_millis(7_100), step);
            assert!(KillNote::read(&folder).is_some());
        }
        guard.run(&Arc::new(AtomicBool::new(true)));
        let note = KillNote::read(&folder).expect("at the end at the latest");
        assert!(note.cause == "operator" && note.reason == "a test", "{note}");
        let alerts = std::fs::read_to_string(told).unwrap();
        assert_eq!(alerts.matches("\"killed\"").count(), 1, "{alerts}");
        assert!(alerts.contains("operator: a test, by ada"), "{alerts}");
        assert_eq!(alerts.matches("kill_not_noted").count(), 1, "once for one reason: {alerts}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn a_maker_that_killed_itself_shuts_order_entry_stays_killed_and_resumes_for_nobody() {
    let folder = folder("itself");
    let state = StateDir::open(&folder).unwrap();
    let switch = CancelSwitch::default();
    let watch = SessionWatch::new("orders".into());
    let line = kill_lines::line(&watch, switch.clone(), Cut::default(), true);
    let (mut floor, desk, file, config) = rig(&state, vec![line]);
    let (names, signal) = (Names::new(&file, &config), Arc::default());
    let kill_file = folder.join("kill");
    let mut guard = Guard::new(desk.clone(), names, &file.raw.operator, kill_file, signal);
    let mut hand = Hand::new(desk.clone(), &file, &config);
    floor.tell(ClOrdId::NONE, ClOrdId::NONE, OrderUpdate::SessionUp);
    for _ in 0..100_000 {
        // Nobody empties the journal's ring.
        floor.now += 1_000_000_000;
        floor.stage.turn(Nanos(floor.now));
        if floor.stage.maker().is_killed() {
            break;
        }
    }
    assert!(floor.stage.maker().is_killed());
    // Before the guard looks, an operator would have it go on: the maker refuses.
    let mut journal = desk.journal_watch();
    let maker = std::thread::spawn(move || {
        let consumed = floor.ends.progress.controls();
        while floor.ends.progress.controls() == consumed {
            floor.now += 1_000_000;
            floor.stage.turn(Nanos(floor.now));
            std::iter::from_fn(|| floor.ends.journal.pop()).for_each(|record| journal(&record));
        }
        std::iter::from_fn(|| floor.ends.journal.pop()).for_each(|record| journal(&record));
        floor
    });
    let resumed = ask(&mut hand, 1000, Ask::Resume { what: "all".into() });
    assert!(!resumed.ok && resumed.text.contains("refused"), "{resumed:?}");
    let _floor = maker.join().unwrap();
    assert!(!switch.is_shut());
    guard.look(instant(), Duration::from_millis(5));
    assert!(switch.is_shut());
    assert_eq!(desk.killed().map(|note| note.cause), Some("journal".into()));
    assert!(KillNote::read(&folder).is_some(), "a restart does not trade");
    let resumed = ask(&mut hand, 1000, Ask::Resume { what: "all".into() });
    assert!(!resumed.ok && resumed.text.contains("journal"), "{resumed:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_lost_order_session_kills_where_the_config_says_so_and_else_does_not() {
    for kills in [true, false] {
        let folder = folder(&format!("session-{kills}"));
        let state = StateDir::open(&folder).unwrap();
        let (switch, watch) = (CancelSwitch::default(), SessionWatch::new("orders".into()));
        let line = kill_lines::line(&watch, switch.clone(), Cut::default(), true);
        let (_floor, desk, file, config) = rig(&state, vec![line]);
        let mut operator = file.raw.operator.clone();
        operator.kill_on_session_loss = kills;
        let (names, signal) = (Names::new(&file, &config), Arc::default());
        let mut guard = Guard::new(desk.clone(), names, &operator, folder.join("kill"), signal);
        for is_up in [false, true, false] {
            assert_eq!(desk.killed(), None, "one that never came, or that is up, kills nothing");
            watch.beat(is_up);
            guard.look(instant(), Duration::from_millis(5));
        }
        assert_eq!(switch.is_shut(), kills);
        let cause = desk.killed().map(|note| note.cause);
        assert_eq!(cause.as_deref(), kills.then_some("session_lost"));
        assert_eq!(KillNote::read(&folder).is_some(), kills);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

/// A guard with a socket of order entry's; answers who must go around the stuck maker. `signalled`: the
/// maker had taken a kill before it hung.
fn stall(name: &str, order_entry_turns: bool, signalled: bool) -> (bool, bool, KillNote) {
    let folder = folder(name);
    let state = StateDir::open(&folder).unwrap();
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(door.local_addr().unwrap()).unwrap();
    let (mut theirs, _) = door.accept().unwrap();
    theirs.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let (switch, cut, watch) =
        (CancelSwitch::default(), Cut::default(), SessionWatch::new("orders".into()));
    cut.hold(&ours);
    let line = kill_lines::line(&watch, switch.clone(), cut, true);
    let (mut floor, desk, file, config) = rig(&state, vec![line]);
    let names = Names::new(&file, &config);
    let signal = Arc::new(AtomicBool::new(false));
    let kill_file = folder.join("kill");
    let mut guard = Guard::new(desk.clone(), names, &file.raw.operator, kill_file, signal.clone());
    let (mut at, step) = (instant(), Duration::from_millis(5));
    for _ in 0..1_000 {
        floor.images();
        floor.turn();
        at += step;
        guard.look(at, step);
    }
    assert_eq!(desk.killed(), None, "a maker that turns is not stuck");
    if signalled {
        let consumed = floor.ends.progress.controls();
        let maker = std::thread::spawn(move || {
            while floor.ends.progress.controls() == consumed {
                floor.turn();
            }
        });
        signal.store(true, Ordering::Release);
        guard.look(at, step);
        maker.join().unwrap();
    }
    // From here on the maker has no turn. Order entry may have.
    let end = Arc::new(AtomicBool::new(false));
    let until = end.clone();
    let turning = std::thread::spawn(move || {
        while order_entry_turns && !until.load(Ordering::Acquire) {
            watch.beat(true);
            std::thread::park_timeout(Duration::from_millis(1));
        }
    });
    for _ in 0..500 {
        at += step;
        guard.look(at, step);
    }
    end.store(true, Ordering::Release);
    turning.join().unwrap();
    let is_cut = matches!(theirs.read(&mut [0; 1]), Ok(0));
    let note = KillNote::read(&folder).expect("the kill survives a restart");
    assert_eq!(desk.killed().as_ref(), Some(&note));
    std::fs::remove_dir_all(&folder).unwrap();
    (switch.is_shut(), is_cut, note)
}

#[test]
fn a_stuck_maker_is_killed_by_the_watchdog_through_order_entry() {
    let (is_shut, is_cut, note) = stall("pinned", true, false);
    assert!(is_shut && !is_cut, "order entry turns: it cancels, and stays connected");
    assert_eq!(note.cause, "watchdog");
}

#[test]
fn a_maker_stuck_with_order_entry_is_disconnected() {
    let (is_shut, is_cut, note) = stall("fused", false, false);
    assert!(is_shut && is_cut, "cancel-on-disconnect is what is left");
    assert!(note.reason.contains("no turn"), "{}", note.reason);
}

#[test]
fn order_entry_that_hangs_under_a_maker_that_turns_is_disconnected() {
    let folder = folder("entry-hangs");
    let state = StateDir::open(&folder).unwrap();
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(door.local_addr().unwrap()).unwrap();
    let (mut theirs, _) = door.accept().unwrap();
    theirs.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let (switch, cut) = (CancelSwitch::default(), Cut::default());
    let watch = SessionWatch::new("orders".into());
    cut.hold(&ours);
    let line = kill_lines::line(&watch, switch.clone(), cut, true);
    let (mut floor, desk, file, config) = rig(&state, vec![line]);
    let names = Names::new(&file, &config);
    let kill_file = folder.join("kill");
    let signal = Arc::default();
    let mut guard = Guard::new(desk.clone(), names, &file.raw.operator, kill_file, signal);
    let (mut at, step) = (instant(), Duration::from_millis(5));
    for turns in 0..2_000 {
        // Its thread hangs after two and a half seconds, before it has told anything.
        if turns < 500 {
            watch.beat(true);
        }
        floor.images();
        floor.turn();
        at += step;
        guard.look(at, step);
        if desk.killed().is_some() {
            assert!(turns > 890, "two seconds are 400 looks: {turns}");
            break;
        }
    }
    let note = desk.killed().expect("killed");
    assert!(note.cause == "watchdog" && note.reason.contains("order entry of orders"), "{note}");
    assert!(switch.is_shut());
    assert!(matches!(theirs.read(&mut [0; 1]), Ok(0)), "cancel-on-disconnect is what is left");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_maker_that_hangs_after_a_kill_is_gone_around() {
    let (is_shut, is_cut, note) = stall("hung", false, true);
    assert!(is_shut && is_cut, "the rest of its cancels would never have gone out");
    assert_eq!(note.cause, "signal", "the first kill counts");
}

#[test]
fn a_drop_copy_that_never_logs_on_is_told_once_and_kills_nothing() {
    let folder = folder("copy");
    let state = StateDir::open(&folder).unwrap();
    let told = folder.join("alerts");
    let copies = ["late", "there"].map(|name| SessionWatch::of_copies(name.into()));
    copies[1].beat(true);
    let (_floor, desk, file, config) = rig_of(&state, Vec::new(), copies.to_vec());
    let mut operator = file.raw.operator.clone();
    operator.alert_command =
        ["sh", "-c", "cat >> \"$0\"", told.to_str().unwrap()].map(str::to_owned).to_vec();
    operator.kill_on_session_loss = true;
    let (names, signal) = (Names::new(&file, &config), Arc::default());
    let mut guard = Guard::new(desk.clone(), names, &operator, folder.join("kill"), signal);
    let start = instant();
    copies[1].count_sync_failures(2);
    for ms in [0, 9_000, 11_000, 20_000, 30_000] {
        guard.look(start + Duration::from_millis(ms), Duration::from_millis(5));
    }
    // Tells what waits, and ends.
    guard.run(&Arc::new(AtomicBool::new(true)));
    let alerts = std::fs::read_to_string(told).unwrap();
    assert_eq!(alerts.matches("session_down").count(), 1, "{alerts}");
    assert_eq!(alerts.matches("store_not_synced").count(), 1, "{alerts}");
    assert!(alerts.contains("\"late\"") && alerts.contains("session_up"), "{alerts}");
    assert_eq!(desk.killed(), None);
}
