//! What is promised of a firm's views: they are inputs, so that a run which several engines' words steered
//! gives the same intents from its journal.

use ballast::config::ConfigFile;
use ballast::recovery::proof::prove;
use ballast_engine::event::{
    ClOrdId, InstrumentId, MarketEvent, MarketUpdate, OrderEvent, OrderUpdate, TimeInForce, VenueId,
};
use ballast_engine::journal::header::Header;
use ballast_engine::journal::record::{End, Record};
use ballast_engine::journal::writer::JournalWriter;
use ballast_engine::maker::Maker;
use ballast_engine::maker::input::{Control, Input};
use ballast_engine::maker::intents::Intents;
use ballast_engine::risk::firm::FirmView;
use ballast_engine::units::{Exposure, Lots, Nanos, Side, Stamp, Ticks};
use std::path::{Path, PathBuf};

const FIRM: &str = r#"
[firm]
name = "desk"
engine = "alpha"
servers = ["nats://127.0.0.1:4222"]
publish_ms = 200
age_max_ms = 1000
unheard = "0.05"
[firm.underlyings.BTC]
hard = "1.5"
engines = { alpha = "0.5", beta = "0.5", gamma = "0.5" }
"#;

/// The demo's desk, of a firm, that bought 0.06 more than its perpetual hedges.
fn config() -> String {
    let text = include_str!("../../config/demo.toml").to_owned() + FIRM;
    assert!(text.contains("opening = \"1\""));
    text.replace("opening = \"1\"", "opening = \"1.06\"")
}

struct Desk {
    maker: Maker,
    out: Intents,
    now: u64,
    records: Vec<Record>,
    inputs: u64,
}

impl Desk {
    fn new() -> Desk {
        let config = ConfigFile::parse("firm.toml", config()).unwrap().maker(7).unwrap();
        let out = Intents::new(Maker::intents_max(&config), 1_024);
        let maker = Maker::new(&config).unwrap();
        let now = 1_722_000_000_000_000_000;
        let mut desk = Desk { maker, out, now, records: Vec::new(), inputs: 0 };
        desk.step(Input::Order(OrderEvent {
            at: Nanos(now),
            venue_at: Nanos(now),
            stamp: Stamp(0),
            msg_seq_num: 0,
            cl_ord_id: ClOrdId::NONE,
            orig_cl_ord_id: ClOrdId::NONE,
            update: OrderUpdate::SessionUp,
            instrument: InstrumentId(0),
            venue: VenueId(0),
        }));
        desk
    }

    fn step(&mut self, input: Input) {
        self.now += 1_000_000;
        let (cause, now) = (self.inputs, Nanos(self.now));
        self.inputs += 1;
        self.records.push(Record::of_input(cause, now, &input));
        self.maker.step(now, &input, &mut self.out);
        let sent = self.out.orders().iter().map(|&intent| Record::Intent { cause, intent });
        self.records.extend(sent);
        self.out.clear();
    }

    /// How many hedges were sent.
    fn hedges(&self) -> usize {
        let is_hedge = |record: &&Record| matches!(record, Record::Intent { intent, .. } if intent.time_in_force == TimeInForce::ImmediateOrCancel);
        self.records.iter().filter(is_hedge).count()
    }

    fn image(&mut self, instrument: u16, mid: i64) {
        let level =
            |side, price| MarketUpdate::Level { side, price: Ticks(price), size: Lots(50_000) };
        let updates = [MarketUpdate::Reset, level(Side::Buy, mid - 1), level(Side::Sell, mid + 1)];
        for (n, update) in updates.into_iter().enumerate() {
            let at = Nanos(self.now);
            let (venue_at, stamp) = (Nanos(0), Stamp(self.inputs + 1));
            let (instrument, last_in_message) = (InstrumentId(instrument), n == 2);
            let event = MarketEvent { at, venue_at, stamp, update, instrument, last_in_message };
            self.step(Input::Market(event));
        }
    }

    /// Markets that live, and the timer.
    fn beat(&mut self) {
        self.image(0, 6_200_000);
        self.image(1, 620_000);
        self.image(2, 620_000);
        self.step(Input::Timer);
    }

    /// The other engines are that long and that short.
    fn hear(&mut self, longs: i64, shorts: i64) {
        let (at, longs, shorts) = (Nanos(self.now), Exposure(longs), Exposure(shorts));
        self.step(Input::Control(Control::Firm(FirmView { at, longs, shorts, underlying: 0 })));
    }

    fn journal(&self, name: &str) -> (PathBuf, End) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("firm");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.journal"));
        let _ = std::fs::remove_file(&path);
        let header = Header {
            epoch: 7,
            started: Nanos(0),
            binary: env!("CARGO_PKG_VERSION").into(),
            config: config(),
            resumption: None,
        };
        let mut writer = JournalWriter::create(&path, &header).unwrap();
        self.records.iter().for_each(|record| writer.append(record).unwrap());
        (path, writer.finish().unwrap())
    }
}

/// Heard, the others short by so much; then silence. How many hedges either brought.
fn run(shorts: i64) -> (Desk, [usize; 2]) {
    let mut desk = Desk::new();
    desk.hear(0, shorts);
    for _ in 0..3 {
        desk.beat();
        desk.hear(0, shorts);
    }
    let heard = desk.hedges();
    desk.now += 1_100_000_000;
    for _ in 0..3 {
        desk.beat();
    }
    let unheard = desk.hedges() - heard;
    (desk, [heard, unheard])
}

#[test]
fn a_run_that_others_words_and_their_silence_steered_replays_to_the_same_intents() {
    // The band is 0.05 of 0.06: beyond it, unless the others are as much short.
    let (desk, sent) = run(-60_000_000);
    assert_eq!(sent, [0, 1], "what the others are short is not hedged, until they fall silent");
    let (path, end) = desk.journal("heard");
    let proof = prove(&path, Some(7)).unwrap();
    assert!(proof.holds() && proof.through.unwrap().snapshots > 0, "{proof:?}");
    std::fs::remove_file(path).unwrap();
    let (other, sent) = run(0);
    assert_eq!(sent, [1, 0], "the views are what decided");
    let (path, other_end) = other.journal("flat");
    assert!(prove(&path, None).unwrap().holds());
    assert_eq!(end.inputs, other_end.inputs);
    assert_ne!(end.intents_sha256, other_end.intents_sha256);
    std::fs::remove_file(path).unwrap();
}
