//! What a run takes over from the files of the one before: through the real journals and message stores of
//! a state folder.

use ballast::config::ConfigFile;
use ballast::recovery::{RecoveryError, Told, recover};
use ballast::state_dir::StateDir;
use ballast_engine::event::{
    ClOrdId, InstrumentId, OrderAction, OrderEvent, OrderIntent, OrderUpdate, TimeInForce, VenueId,
};
use ballast_engine::journal::header::Header;
use ballast_engine::journal::record::Record;
use ballast_engine::journal::recovery::{Survey, Tail};
use ballast_engine::journal::writer::JournalWriter;
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::control::{Act, User};
use ballast_engine::maker::input::{Control, Input};
use ballast_engine::maker::intents::Intents;
use ballast_engine::maker::resumption::Resumption;
use ballast_engine::units::{Lots, Nanos, Side, Stamp, Ticks};
use ballast_gateway::fix::checksum::checksum;
use ballast_gateway::store::{FileStore, FileStoreConfig, Store, SyncPolicy};
use std::path::{Path, PathBuf};
use std::process::Command;

const NOW: u64 = 1_722_000_000_000_000_000;

fn text() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join("config/demo.toml")).unwrap()
}

fn parse(text: &str) -> ConfigFile {
    ConfigFile::parse("demo.toml", text.to_owned()).unwrap()
}

/// A state folder that is removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("ballast-rec-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Folder(path)
    }

    fn state(&self) -> StateDir {
        StateDir::open(&self.0).unwrap()
    }

    /// The store of an order session with `heard` messages in it.
    fn store(&self, venue: &str, heard: usize) -> FileStore {
        let folder = self.state_store(venue);
        std::fs::create_dir_all(&folder).unwrap();
        let config = FileStoreConfig { sync: SyncPolicy::Never, ..FileStoreConfig::new(folder) };
        let mut store = FileStore::open(config).unwrap();
        for _ in 0..heard {
            store.put_inbound(b"8=FIX.4.4\x01").unwrap();
        }
        store
    }

    fn state_store(&self, venue: &str) -> PathBuf {
        self.0.join("fix").join(venue).join("order-entry")
    }

    /// The next start with this config: what it begins with.
    fn start(&self, text: &str, from_config: bool) -> Result<Start, RecoveryError> {
        let (file, state) = (parse(text), self.state());
        let mut config = file.maker(state.epoch()).unwrap();
        let told = recover(&file, &mut config, &state, from_config)?;
        let resumption = config.resumption.clone().unwrap();
        Ok(Start { file, state, config, told, resumption })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A run that has just begun.
struct Start {
    file: ConfigFile,
    state: StateDir,
    config: MakerConfig,
    told: Option<Told>,
    resumption: Resumption,
}

impl Start {
    fn held(&self, instrument: usize) -> i64 {
        self.resumption.held[instrument].lots.0
    }

    fn delivered(&self) -> Vec<u64> {
        self.resumption.delivered.iter().map(|d| d.msg_seq_num).collect()
    }

    /// Its journal: a session that told message 2, a trade booked by hand of 0.5 BTC, `more`.
    fn journal(self, more: &[Record], ends_in_order: bool) -> PathBuf {
        let header = Header {
            epoch: self.state.epoch(),
            started: Nanos(0),
            binary: "test".into(),
            config: self.file.text.clone(),
            resumption: self.config.resumption.clone(),
        };
        let path = self.state.journal();
        let mut writer = JournalWriter::create(&path, &header).unwrap();
        let mut maker = Maker::new(&self.config).unwrap();
        let mut out = Intents::new(Maker::intents_max(&self.config), 64);
        for (number, input) in (0u64..).zip([told(2), bought(50_000)]) {
            let now = Nanos(NOW + number);
            maker.step(now, &input, &mut out);
            writer.append(&Record::of_input(number, now, &input)).unwrap();
            assert!(out.orders().is_empty(), "nothing to quote by");
            out.clear();
        }
        for record in more {
            writer.append(record).unwrap();
        }
        writer.flush().unwrap();
        if ends_in_order {
            writer.finish().unwrap();
        }
        self.state.begin().unwrap();
        path
    }
}

fn told(msg_seq_num: u64) -> Input {
    Input::Order(OrderEvent {
        at: Nanos(NOW),
        venue_at: Nanos(0),
        stamp: Stamp(0),
        msg_seq_num,
        cl_ord_id: ClOrdId::NONE,
        orig_cl_ord_id: ClOrdId::NONE,
        update: OrderUpdate::SessionReconciling,
        instrument: InstrumentId(0),
        venue: VenueId(0),
    })
}

fn bought(lots: i64) -> Input {
    let act = Act::Trade {
        instrument: InstrumentId(0),
        side: Side::Buy,
        price: Ticks(6_000_000),
        size: Lots(lots),
    };
    Input::Control(Control::By { user: User::new(1000, "ann"), second: User::NOBODY, act })
}

fn intent(number: u64) -> OrderIntent {
    OrderIntent {
        cl_ord_id: ClOrdId::new(1, number),
        orig_cl_ord_id: ClOrdId::NONE,
        price: Ticks(6_000_000),
        size: Lots(1_000),
        stamp: Stamp(0),
        at: Nanos(NOW),
        instrument: InstrumentId(0),
        action: OrderAction::New,
        side: Side::Buy,
        time_in_force: TimeInForce::PostOnly,
    }
}

/// The order as it went out.
fn order_frame(number: u64) -> Vec<u8> {
    let id = ClOrdId::new(1, number).0;
    let body = format!("35=D|34=9|11={id}|55=BTCUSDT|54=1|38=0.01|44=60000|").replace('|', "\x01");
    let mut frame = format!("8=FIX.4.4\x019={}\x01{body}", body.len()).into_bytes();
    let sum = checksum(&frame);
    frame.extend(format!("10={sum:03}\x01").into_bytes());
    frame
}

#[test]
fn an_opening_from_the_config_has_all_that_the_stores_hold_in_it() {
    let folder = Folder::new("opening");
    drop(folder.store("sim", 1));
    folder.start(&text(), false).unwrap().journal(&[], false);
    // A fill came behind the journal's end.
    drop(folder.store("sim", 3));
    let next = folder.start(&text(), false).unwrap();
    assert_eq!((next.held(0), next.delivered()), (150_000, vec![2]));
    assert_eq!(next.told.unwrap().undelivered, 2);
    drop(next);
    let next = folder.start(&text(), true).unwrap();
    assert_eq!(next.held(0), 100_000, "the config's opening");
    assert_eq!(next.delivered(), [4], "what was read at the venue has the fill in it");
    assert_eq!(next.told.unwrap().undelivered, 0);
    assert_eq!(next.resumption.unconfirmed.len(), 3, "what is on its way may be in it or not");
}

#[test]
fn what_the_config_has_lost_refuses_and_an_opening_from_the_config_drops_it() {
    let folder = Folder::new("lost");
    folder.start(&text(), false).unwrap().journal(&[], true);
    let other = text().replacen("lot = \"0.00001\"", "lot = \"0.000001\"", 1);
    let Err(refused) = folder.start(&other, false) else { panic!("it was not refused") };
    let words = refused.to_string();
    assert!(words.contains("a position of 1.5") && words.contains("BTCUSDT"), "{words}");
    assert!(words.contains("--opening-from-config"), "{words}");
    let next = folder.start(&other, true).unwrap();
    assert_eq!(next.held(0), 1_000_000);
}

#[test]
fn a_last_journal_that_is_gone_or_damaged_is_never_stepped_over() {
    let folder = Folder::new("gone");
    folder.start(&text(), false).unwrap().journal(&[], true);
    let path = folder.start(&text(), false).unwrap().journal(&[], false);
    let whole = std::fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    let middle = whole.len() - 100;
    damaged[middle] ^= 0xFF;
    std::fs::write(&path, damaged).unwrap();
    assert!(matches!(folder.start(&text(), false), Err(RecoveryError::Replay(_))));
    std::fs::remove_file(&path).unwrap();
    let Err(refused) = folder.start(&text(), false) else { panic!("it went on from run 1") };
    assert!(refused.to_string().contains("journal-000002.blj"), "{refused}");
    let next = folder.start(&text(), true).unwrap();
    assert_eq!((next.held(0), next.resumption.unconfirmed.len()), (100_000, 3));
    assert_eq!(next.told, None);
    // With its journal begun, it is what the next one goes on from.
    next.journal(&[], true);
    assert_eq!(folder.start(&text(), false).unwrap().held(0), 150_000);
}

#[test]
fn a_damaged_journal_starts_with_an_opening_from_the_config_and_waits_for_confirmation() {
    let folder = Folder::new("damaged");
    let path = folder.start(&text(), false).unwrap().journal(&[], true);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() - 150;
    bytes[middle] ^= 0xFF;
    std::fs::write(&path, bytes).unwrap();
    drop(folder.store("sim", 5));
    assert!(matches!(folder.start(&text(), false), Err(RecoveryError::Replay(_))));
    let next = folder.start(&text(), true).unwrap();
    assert_eq!((next.held(0), next.resumption.unconfirmed.len()), (100_000, 3));
    assert_eq!(next.delivered(), [5]);
}

#[test]
fn a_journal_that_this_binary_decides_otherwise_waits_for_confirmation() {
    let folder = Folder::new("differs");
    let mut store = folder.store("sim", 1);
    for number in 11..=13 {
        store.put_outbound(&order_frame(number)).unwrap();
    }
    drop(store);
    // The binary that wrote it sent 11 and 12; this one sends nothing.
    let sent = [11, 12].map(|number| Record::Intent { cause: 1, intent: intent(number) });
    folder.start(&text(), false).unwrap().journal(&sent, true);
    let next = folder.start(&text(), false).unwrap();
    let told = next.told.unwrap();
    assert!(told.differs && !told.crashed, "{told}");
    assert!(told.to_string().contains("ballast replay"), "{told}");
    assert_eq!(next.resumption.unconfirmed.len(), 3);
    let orders: Vec<_> = next.resumption.orders.iter().map(|order| order.cl_ord_id).collect();
    assert_eq!(orders, [ClOrdId::new(1, 13)], "what the journal holds is not sent after its end");
}

#[test]
fn missing_inputs_refuse() {
    let folder = Folder::new("inputs");
    let gap = Record::of_input(7, Nanos(NOW + 7), &Input::Timer);
    folder.start(&text(), false).unwrap().journal(&[gap], true);
    let Err(refused) = folder.start(&text(), false) else { panic!("inputs are missing") };
    assert!(refused.to_string().contains("input 7 follows"), "{refused}");
}

#[test]
fn a_venue_that_comes_back_after_a_run_without_it_tells_nothing_again() {
    let folder = Folder::new("venue");
    drop(folder.store("sim", 4));
    let flat = text().replace("opening = \"-1\"", "opening = \"0\"");
    let other = flat.replace("\"sim\"", "\"other\"");
    let sold = Record::of_input(2, Nanos(NOW + 2), &sold());
    folder.start(&other, false).unwrap().journal(&[sold], true);
    let next = folder.start(&flat, false).unwrap();
    assert_eq!(next.delivered(), [4]);
    assert_eq!(next.told.unwrap().undelivered, 0);
}

/// All of the opening and of what was bought.
fn sold() -> Input {
    let act = Act::Trade {
        instrument: InstrumentId(0),
        side: Side::Sell,
        price: Ticks(6_000_000),
        size: Lots(150_000),
    };
    Input::Control(Control::By { user: User::new(1000, "ann"), second: User::NOBODY, act })
}

#[test]
fn a_run_that_no_venue_lets_in_ends_its_journal_in_order() {
    let folder = Folder::new("logon");
    std::fs::create_dir_all(&folder.0).unwrap();
    let (state, config) = (folder.0.join("state"), folder.0.join("maker.toml"));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = text()
        .replace("127.0.0.1:9878", &nobody.to_string())
        .replace("127.0.0.1:9879", &nobody.to_string())
        .replace("state_dir = \"ballast-run\"", &format!("state_dir = \"{}\"", state.display()));
    std::fs::write(&config, text).unwrap();
    let ballast = Command::new(env!("CARGO_BIN_EXE_ballast"))
        .args(["run", "--logon-within", "0", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&ballast.stderr);
    assert_eq!(ballast.status.code(), Some(1), "{words}");
    assert!(words.contains("no Logon within 0 s"), "{words}");
    let survey = Survey::of(&state.join("journal-000001.blj")).unwrap();
    assert!(matches!(survey.tail, Tail::Ended(_)), "{:?}", survey.tail);
}
