//! What a kill makes of the order sessions: an order whose replace is unanswered, a counterparty that does not
//! read, a thread that is stuck. Over the maker and the desk of the kill's tests; where orders are, with
//! order entry itself before a scripted venue.

use super::peer::{Door, PipeDial, Venue, client_config};
use super::{Floor, folder, instant, quote_until_killed, rig};
use ballast::config::ConfigFile;
use ballast::live::wire_maker;
use ballast::operator::desk::{Desk, Killed, OrderLine};
use ballast::operator::guard::Guard;
use ballast::operator::standing::News;
use ballast::operator::status::Names;
use ballast::session_watch::SessionWatch;
use ballast::state_dir::StateDir;
use ballast_engine::clock::Counter;
use ballast_engine::event::VenueId;
use ballast_engine::maker::control::{KillCause, User};
use ballast_engine::maker::stage::TimeBase as MakerTime;
use ballast_engine::ring::slots;
use ballast_engine::stage::Stage;
use ballast_engine::units::Nanos;
use ballast_gateway::order_entry::exec_ids::ExecIds;
use ballast_gateway::order_entry::{CancelSwitch, OrderEntry, OrderEntryConfig};
use ballast_gateway::session::{ReconnectConfig, Session};
use ballast_gateway::store::MemoryStore;
use ballast_gateway::transport::Cut;
use ballast_gateway::venue::plain;
use ballast_gateway::venue::symbols::Symbols;
use ballast_gateway::venue::time_base::TimeBase;
use std::collections::BTreeMap;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// 2024-08-08, so that SendingTime(52) is a real one.
const START: u64 = 1_723_161_599_000_000_000;
/// From one turn to the next.
const STEP_NS: u64 = 20_000;
/// The maker asks after an unanswered request by itself only after five.
const SECOND_NS: u64 = 1_000_000_000;

/// Maker and order entry on one thread, and a venue that answers everything but a replace.
struct Pipeline {
    floor: Floor,
    entry: OrderEntry<PipeDial, MemoryStore>,
    watch: SessionWatch,
    venue: Venue,
    /// The orders whose replace it has not answered, by the name that they had.
    unanswered: Vec<String>,
    /// The orders that it was to cancel.
    cancelled: Vec<String>,
}

fn pipeline(state: &StateDir) -> (Pipeline, Desk) {
    let config = ConfigFile::demo().unwrap().maker(state.epoch()).unwrap();
    let (stage, mut ends) = wire_maker(&config, MakerTime::Clock, 0, Counter::monotonic()).unwrap();
    let door = Door::open();
    let settings = OrderEntryConfig {
        epoch: state.epoch(),
        orders_max: 64,
        time_base: TimeBase::Arrival,
        account: None,
        redial: ReconnectConfig { pause_min_ns: 1000, pause_max_ns: 8000 },
        wind_down_ns: SECOND_NS,
    };
    let symbols = Symbols::new(VenueId(0), &config.instruments).unwrap();
    let session = Session::new(client_config(), MemoryStore::new());
    let rings = (ends.intents.remove(0), ends.orders.remove(0));
    let dial = (PipeDial(door.clone()), session);
    let of_venue = (symbols, plain::RULES);
    let entry = OrderEntry::new(settings, dial, of_venue, ExecIds::new(1024), rings, None).unwrap();
    let watch = SessionWatch::new("orders".into());
    let line = line(&watch, entry.cancel_switch(), Cut::default(), false);
    let (blank, _) = slots(2);
    let control = std::mem::replace(&mut ends.control, blank);
    let desk = Desk::new(control, ends.progress.clone(), vec![line], Vec::new(), state, &config);
    let floor = Floor { stage, ends, open: BTreeMap::new(), now: START, seq: 0, mid: 6_000_000 };
    let venue = Venue::new(&door);
    let (unanswered, cancelled) = (Vec::new(), Vec::new());
    (Pipeline { floor, entry, watch, venue, unanswered, cancelled }, desk)
}

pub(super) fn line(
    watch: &SessionWatch,
    switch: CancelSwitch,
    cut: Cut,
    cancels_on_disconnect: bool,
) -> OrderLine {
    OrderLine { watch: watch.clone(), switch, cut, cancels_on_disconnect }
}

fn field<'a>(body: &'a str, tag: &str) -> &'a str {
    let mut fields = body.split('|').filter_map(|field| field.split_once('='));
    fields.find(|(name, _)| *name == tag).map_or("", |(_, value)| value)
}

impl Pipeline {
    fn turn(&mut self) {
        self.floor.now += STEP_NS;
        let now = Nanos(self.floor.now);
        self.floor.stage.turn(now);
        while self.floor.ends.journal.pop().is_some() {}
        while self.floor.ends.telemetry.pop().is_some() {}
        self.entry.turn(now);
        self.watch.tell_writing(self.entry.is_writing());
        self.watch.beat(self.entry.session().is_logged_on());
        self.venue.turn(now);
        for body in self.venue.take_inbox() {
            self.answer(now, &body);
        }
    }

    fn answer(&mut self, now: Nanos, body: &str) {
        let of = |tag| field(body, tag);
        let (id, named, symbol, side) = (of("11"), of("41"), of("55"), of("54"));
        let words = match of("35") {
            "D" => format!("150=0|39=0|151={}", of("38")),
            "F" => {
                self.cancelled.push(named.into());
                format!("41={named}|150=4|39=4|151=0")
            }
            "G" => return self.unanswered.push(named.into()),
            other => panic!("{other}"),
        };
        let said = format!("35=8|37=O|11={id}|17=E{id}|{words}|55={symbol}|54={side}|14=0|6=0");
        self.venue.say(now, &said);
    }

    /// Until everything is cancelled, or a second has passed since the maker took the kill.
    fn run(mut self, has_unanswered: &AtomicBool) -> Pipeline {
        let mut killed_at = None;
        loop {
            if self.unanswered.is_empty() {
                self.floor.mid += 7;
                self.floor.images();
            }
            has_unanswered.store(!self.unanswered.is_empty(), Ordering::Release);
            self.turn();
            if self.floor.ends.progress.controls() > 0 {
                killed_at.get_or_insert(self.floor.now);
            }
            let live = self.entry.desk().live().live_count();
            if killed_at.is_some_and(|at| live == 0 || self.floor.now - at > SECOND_NS) {
                // An answer that the maker may have been behind with, and what it would send.
                (0..1_000).for_each(|_| self.turn());
                return self;
            }
        }
    }
}

#[test]
fn a_kill_cancels_an_order_whose_replace_the_venue_has_not_answered() {
    let folder = folder("unanswered");
    let state = StateDir::open(&folder).unwrap();
    let (pipeline, desk) = pipeline(&state);
    let has_unanswered = Arc::new(AtomicBool::new(false));
    let theirs = has_unanswered.clone();
    let running = std::thread::spawn(move || pipeline.run(&theirs));
    while !has_unanswered.load(Ordering::Acquire) {
        assert!(!running.is_finished());
        std::thread::park_timeout(Duration::from_millis(1));
    }
    let killed = desk.kill(KillCause::Operator, User::new(1000, "ada"), "a test");
    assert_eq!(killed.how, Killed::ByMaker);
    let mut ended = running.join().unwrap();
    assert!(!ended.unanswered.is_empty());
    for order in &ended.unanswered {
        assert!(ended.cancelled.contains(order), "{order} of {:?}", ended.cancelled);
    }
    assert!(ended.entry.counts().own_cancels > 0);
    assert_eq!(ended.entry.desk().live().live_count(), 0, "within a second");
    let count = ended.cancelled.len();
    ended.cancelled.sort_unstable();
    ended.cancelled.dedup();
    assert_eq!(ended.cancelled.len(), count, "none was cancelled twice");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A socket, our end of it held by the cut.
fn held() -> (TcpStream, TcpStream, Cut) {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(door.local_addr().unwrap()).unwrap();
    let (theirs, _) = door.accept().unwrap();
    theirs.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let cut = Cut::default();
    cut.hold(&ours);
    (ours, theirs, cut)
}

#[test]
fn a_kill_whose_cancels_are_not_read_ends_the_connection_and_says_so() {
    for is_read in [true, false] {
        let folder = folder(&format!("unread-{is_read}"));
        let state = StateDir::open(&folder).unwrap();
        let (_ours, mut theirs, cut) = held();
        let watch = SessionWatch::new("orders".into());
        let switch = CancelSwitch::default();
        let (floor, desk, ..) = rig(&state, vec![line(&watch, switch, cut, false)]);
        let end = Arc::new(AtomicBool::new(false));
        let until = end.clone();
        let turning = std::thread::spawn(move || {
            // Read in time: some turns find the socket full, and the next one does not.
            for turn in 0u64.. {
                watch.tell_writing(!is_read || turn % 8 != 0);
                watch.beat(true);
                if until.load(Ordering::Acquire) {
                    break;
                }
                std::thread::park_timeout(Duration::from_millis(1));
            }
        });
        let maker = std::thread::spawn(move || quote_until_killed(floor, 1));
        std::thread::park_timeout(Duration::from_millis(2));
        let killed = desk.kill(KillCause::Operator, User::new(1000, "ada"), "a test");
        end.store(true, Ordering::Release);
        turning.join().unwrap();
        maker.join().unwrap();
        assert_eq!(killed.how, if is_read { Killed::ByMaker } else { Killed::Unread });
        assert_eq!(matches!(theirs.read(&mut [0; 1]), Ok(0)), !is_read, "it is cut");
        let told = std::iter::from_fn(|| desk.standing().next_news());
        let told: Vec<_> = told.filter(|news| matches!(news, News::Cut { .. })).collect();
        match &told[..] {
            [] => assert!(is_read),
            [News::Cut { session, what }] => {
                assert!(session == "orders" && what.contains("did not read"), "{what}");
                assert!(what.contains("ORDERS MAY STILL WORK THERE"), "{what}");
            }
            more => panic!("{more:?}"),
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn who_is_cut_off_by_the_watchdog_is_an_alert_that_says_whether_its_orders_may_work_on() {
    let folder = folder("cut-off");
    let state = StateDir::open(&folder).unwrap();
    let names = ["keeps", "cancels"];
    let lines = names.map(|name| {
        let watch = SessionWatch::new(name.into());
        line(&watch, CancelSwitch::default(), Cut::default(), name == "cancels")
    });
    let (_floor, desk, file, config) = rig(&state, Vec::from(lines));
    let told = folder.join("alerts");
    let mut operator = file.raw.operator.clone();
    let append = format!("cat >> {0}; echo >> {0}", told.display());
    operator.alert_command = vec!["sh".into(), "-c".into(), append];
    let of_config = Names::new(&file, &config);
    let signal = Arc::new(AtomicBool::new(true));
    let mut guard = Guard::new(desk, of_config, &operator, folder.join("kill"), signal);
    guard.look(instant(), Duration::from_millis(5));
    // Tells what waits, and ends.
    guard.run(&Arc::new(AtomicBool::new(true)));
    let alerts = std::fs::read_to_string(told).unwrap();
    let cut: Vec<_> = alerts.lines().filter(|alert| alert.contains("session_cut")).collect();
    assert_eq!(cut.len(), 2, "{alerts}");
    for (alert, name) in cut.iter().zip(names) {
        assert!(alert.contains(&format!("\"{name}\"")) && alert.contains("had no turn"), "{alert}");
        let may_work = alert.contains("ORDERS MAY STILL WORK THERE");
        assert_eq!(may_work, name == "keeps", "{alert}");
        assert!(may_work || alert.contains("cancels on disconnect"), "{alert}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
