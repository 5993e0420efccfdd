//! What `ballast replay` and `ballast journal` promise: a run's journal gives the run's intents again,
//! and whatever is not as it was is named with its place. The runs are the maker's own, from the
//! shipped config.

use ballast::config::ConfigFile;
use ballast::random::Random;
use ballast_engine::event::{
    ClOrdId, ExecId, InstrumentId, Liquidity, MarketEvent, MarketUpdate, OrderAction, OrderEvent,
    OrderIntent, OrderUpdate, VenueId,
};
use ballast_engine::journal::header::Header;
use ballast_engine::journal::record::{End, Record};
use ballast_engine::journal::writer::JournalWriter;
use ballast_engine::maker::Maker;
use ballast_engine::maker::input::{Control, Input};
use ballast_engine::maker::intents::{Intents, Record as Happened};
use ballast_engine::units::{Lots, Nanos, Side, Stamp, Ticks};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn config() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join("config/demo.toml")).unwrap()
}

/// A maker whose every step is recorded as the live stage records it.
struct Desk {
    maker: Maker,
    out: Intents,
    now: u64,
    number: u64,
    execution: u64,
    records: Vec<Record>,
}

impl Desk {
    fn new() -> Desk {
        let config = ConfigFile::parse("demo.toml", config()).unwrap().maker(7).unwrap();
        let out = Intents::new(Maker::intents_max(&config), 1_024);
        let maker = Maker::new(&config).unwrap();
        let now = 1_722_000_000_000_000_000;
        Desk { maker, out, now, number: 0, execution: 0, records: Vec::new() }
    }

    fn step(&mut self, input: Input) -> Vec<OrderIntent> {
        self.now += 1_000_000;
        let (number, now) = (self.number, Nanos(self.now));
        self.number += 1;
        self.records.push(Record::of_input(number, now, &input));
        self.maker.step(now, &input, &mut self.out);
        let intents = self.out.orders().to_vec();
        let changes = self.out.records().iter().filter_map(|record| match *record {
            Happened::State { instrument, state, reason, .. } => {
                Some(Record::State { cause: number, instrument, state, reason })
            }
            Happened::Fill { .. }
            | Happened::Blocked { .. }
            | Happened::ObligationMissed { .. } => None,
        });
        self.records.extend(changes);
        self.out.clear();
        let recorded = intents.iter().map(|&intent| Record::Intent { cause: number, intent });
        self.records.extend(recorded);
        intents
    }

    fn market(
        &mut self,
        instrument: u16,
        update: MarketUpdate,
        last_in_message: bool,
    ) -> Vec<OrderIntent> {
        let at = Nanos(self.now);
        let (venue_at, stamp) = (Nanos(0), Stamp(self.number + 1));
        let instrument = InstrumentId(instrument);
        self.step(Input::Market(MarketEvent {
            at,
            venue_at,
            stamp,
            update,
            instrument,
            last_in_message,
        }))
    }

    fn image(&mut self, instrument: u16, mid: i64) -> Vec<OrderIntent> {
        let level =
            |side, price| MarketUpdate::Level { side, price: Ticks(price), size: Lots(50_000) };
        self.market(instrument, MarketUpdate::Reset, false);
        self.market(instrument, level(Side::Buy, mid - 1), false);
        self.market(instrument, level(Side::Sell, mid + 1), true)
    }

    fn venue(
        &mut self,
        cl_ord_id: ClOrdId,
        instrument: InstrumentId,
        update: OrderUpdate,
    ) -> Vec<OrderIntent> {
        let at = Nanos(self.now);
        self.step(Input::Order(OrderEvent {
            at,
            venue_at: at,
            stamp: Stamp(0),
            msg_seq_num: self.number,
            cl_ord_id,
            orig_cl_ord_id: ClOrdId::NONE,
            update,
            instrument,
            venue: VenueId(0),
        }))
    }

    /// The venue's answer to an intent: now and then a fill.
    fn answer(&mut self, intent: &OrderIntent, is_filled: bool) -> Vec<OrderIntent> {
        let (id, instrument, size) = (intent.cl_ord_id, intent.instrument, intent.size);
        match intent.action {
            OrderAction::New if is_filled => {
                self.execution += 1;
                let update = OrderUpdate::Fill {
                    exec_id: ExecId(self.execution),
                    side: intent.side,
                    last_px: intent.price,
                    last_qty: size,
                    cum_qty: size,
                    leaves_qty: Lots(0),
                    liquidity: Liquidity::Maker,
                };
                self.venue(id, instrument, update)
            }
            OrderAction::New => self.venue(id, instrument, OrderUpdate::New { leaves_qty: size }),
            OrderAction::Replace => {
                let (price, leaves_qty) = (intent.price, size);
                self.venue(id, instrument, OrderUpdate::Replaced { price, leaves_qty })
            }
            OrderAction::Cancel => {
                self.venue(id, instrument, OrderUpdate::Canceled { cum_qty: Lots(0) })
            }
        }
    }

    /// A session in which the market walks, quotes are filled and hedged, and an operator ends it.
    fn day() -> Vec<Record> {
        let mut desk = Desk::new();
        let mut random = Random::new(11);
        let mut mid = 6_168_600i64;
        desk.venue(ClOrdId::NONE, InstrumentId(0), OrderUpdate::SessionUp);
        for _ in 0..400 {
            mid += random.below(2_001) as i64 - 1_000;
            let mut sent = desk.image(1, mid / 10);
            sent.extend(desk.image(2, mid / 10));
            sent.extend(desk.image(0, mid));
            sent.extend(desk.step(Input::Timer));
            while let Some(intent) = sent.pop() {
                sent.extend(desk.answer(&intent, random.below(4) == 0));
            }
        }
        desk.step(Input::Control(Control::Kill));
        desk.records
    }
}

/// Writes a journal of these records into a folder of this test.
fn written(name: &str, records: &[Record], is_ended: bool) -> (PathBuf, Option<End>) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("replay");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{name}.journal"));
    let _ = std::fs::remove_file(&path);
    let header = Header {
        epoch: 7,
        started: Nanos(1_722_000_000_000_000_000),
        binary: env!("CARGO_PKG_VERSION").into(),
        config: config(),
        resumption: None,
    };
    let mut writer = JournalWriter::create(&path, &header).unwrap();
    for record in records {
        writer.append(record).unwrap();
    }
    if is_ended {
        return (path, Some(writer.finish().unwrap()));
    }
    writer.flush().unwrap();
    (path, None)
}

fn ballast(arguments: &[&str], path: &Path) -> Output {
    let binary = env!("CARGO_BIN_EXE_ballast");
    Command::new(binary).args(arguments).arg(path).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn intents(records: &[Record]) -> usize {
    records.iter().filter(|record| matches!(record, Record::Intent { .. })).count()
}

#[test]
fn the_same_inputs_give_the_hash_that_the_run_journaled() {
    let records = Desk::day();
    assert!(intents(&records) > 500, "{} intents", intents(&records));
    let (path, end) = written("same", &records, true);
    let output = ballast(&["replay"], &path);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let first = text(&output.stdout).lines().next().unwrap().to_string();
    assert_eq!(first, end.unwrap().intents_sha256.to_string());
}

#[test]
fn a_changed_intent_is_the_first_difference_with_its_input() {
    let mut records = Desk::day();
    let place = records.iter().rposition(|r| matches!(r, Record::Intent { .. })).unwrap();
    let Record::Intent { cause, intent } = records[place] else { unreachable!() };
    let changed = OrderIntent { price: Ticks(intent.price.0 + 1), ..intent };
    records[place] = Record::Intent { cause, intent: changed };
    let (path, _) = written("changed", &records, true);
    let output = ballast(&["replay"], &path);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.contains(&format!("differs first at input {cause} ")), "{error}");
    assert!(error.contains(&changed.price.0.to_string()), "{error}");
}

#[test]
fn an_intent_that_the_journal_lacks_or_has_too_many_is_a_difference() {
    let records = Desk::day();
    let place = records.iter().position(|r| matches!(r, Record::Intent { .. })).unwrap();
    for (name, mut changed) in [("lacking", records.clone()), ("doubled", records.clone())] {
        if name == "lacking" {
            changed.remove(place);
        } else {
            changed.insert(place, records[place]);
        }
        let (path, _) = written(name, &changed, true);
        let output = ballast(&["replay", "--json"], &path);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["identical"], false, "{name}");
        assert!(found["first_difference"].is_object(), "{name}");
    }
}

#[test]
fn a_run_that_died_replays_as_far_as_it_came() {
    let records = Desk::day();
    let half = &records[..records.len() / 2];
    let (path, _) = written("died", half, false);
    let length = std::fs::metadata(&path).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 3).unwrap();
    let output = ballast(&["replay", "--json"], &path);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["identical"], &found["ended"]), (&true.into(), &false.into()));
    assert!(found["torn_bytes"].as_u64().unwrap() > 0);
}

#[test]
fn a_damaged_journal_is_an_error_with_its_place_and_no_hash() {
    let (path, _) = written("damaged", &Desk::day(), true);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    let output = ballast(&["replay"], &path);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let error = text(&output.stderr);
    assert!(error.contains("damaged.journal: record ") && error.contains(" at byte "), "{error}");
    let journal = ballast(&["journal", "--json"], &path);
    assert_eq!(journal.status.code(), Some(1));
    let document: serde_json::Value = serde_json::from_slice(&journal.stdout).unwrap();
    assert!(!document["records"].as_array().unwrap().is_empty(), "what stands before is printed");
    assert!(document["fault"].as_str().unwrap().contains("damaged"), "{}", document["fault"]);
}

#[test]
fn the_journal_is_told_in_symbols_and_prices_for_people_and_programs() {
    let records = Desk::day();
    let (path, end) = written("told", &records, true);
    let people = text(&ballast(&["journal"], &path).stdout);
    assert!(
        people.contains("BTCUSDT") && people.contains("session of venue 0 is up"),
        "{people:.900}"
    );
    assert!(people.contains("operator") && people.contains("kill"));
    for change in ["quoting (normal)", "halted (killed)"] {
        assert!(people.contains(change), "each change of state with its reason");
    }
    assert!(people.contains(&end.unwrap().intents_sha256.to_string()));
    assert!(!people.contains("level"), "market data is counted, not printed");
    let everything = text(&ballast(&["journal", "--market"], &path).stdout);
    assert!(everything.contains("level 61"));
    let output = ballast(&["journal", "--json"], &path);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["intents"], intents(&records));
    assert_eq!(document["fault"], serde_json::Value::Null);
}

#[test]
fn a_journal_that_is_not_there_is_named() {
    let output = ballast(&["replay"], Path::new("/no/such.journal"));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("/no/such.journal"));
}
