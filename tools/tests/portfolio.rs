//! What `[portfolio]` promises: correlated instruments quote with each other's inventory, from a shrunk
//! covariance that is estimated on the way and journaled, and a table that makes no sense is told.

mod journaled_play;

use ballast::backtest::plan::{Market, Played};
use ballast::config::{ConfigFault, ConfigFile};
use ballast::recovery::proof::prove;
use ballast_engine::event::{
    ExecId, InstrumentId, Liquidity, MarketEvent, MarketUpdate, OrderAction, OrderEvent,
    OrderIntent, OrderUpdate, VenueId,
};
use ballast_engine::journal::reader::JournalReader;
use ballast_engine::maker::Maker;
use ballast_engine::maker::input::{Control, Input};
use ballast_engine::maker::intents::Intents;
use ballast_engine::units::{Lots, Nanos, Side, Stamp, Ticks};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

const SPOT: InstrumentId = InstrumentId(0);
const PERP: InstrumentId = InstrumentId(1);

const PORTFOLIO: &str = r#"
members = ["BTCUSDT", "BTCUSDT-PERP"]
correlation = "0.9"
interval_ms = 500
window_s = 60
every_s = 20
returns_min = 30
"#;

fn texts(table: &mut Value, keys: &[(&str, &str)]) {
    let table = table.as_table_mut().unwrap();
    table.extend(keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())));
}

/// The demo's spot and perpetual as two underlyings that are quoted and not hedged, at no fees.
fn pair(portfolio: Option<&str>) -> String {
    let mut tables: Table = include_str!("../../config/demo.toml").parse().unwrap();
    let instruments = tables["instruments"].as_array_mut().unwrap();
    instruments.truncate(2);
    for instrument in instruments.iter_mut() {
        texts(instrument, &[("maker_fee_bps", "0"), ("taker_fee_bps", "0")]);
    }
    texts(&mut instruments[1], &[("underlying", "BTCP")]);
    let settings = tables["instrument"].as_table_mut().unwrap();
    settings.remove("BTCUSD-PERP");
    let near = [
        ("gamma", "20"),
        ("decay", "1"),
        ("spacing", "1.0"),
        ("tolerance_aggressive", "0.1"),
        ("tolerance_passive", "0.1"),
    ];
    let mut quote = settings["BTCUSDT"]["quote"].clone();
    texts(&mut quote, &near);
    for symbol in ["BTCUSDT", "BTCUSDT-PERP"] {
        settings[symbol].as_table_mut().unwrap().insert("quote".into(), quote.clone());
    }
    settings["BTCUSDT-PERP"].as_table_mut().unwrap().remove("opening");
    let underlyings = tables["underlying"].as_table_mut().unwrap();
    let mut own = underlyings["BTC"].clone();
    own.as_table_mut().unwrap().remove("hedge");
    texts(&mut own, &[("soft", "1"), ("stop", "2"), ("hard", "3")]);
    underlyings.insert("BTCP".into(), own.clone());
    texts(&mut own, &[("target", "1")]);
    underlyings.insert("BTC".into(), own);
    tables.remove("conversion");
    if let Some(portfolio) = portfolio {
        tables.insert("portfolio".into(), Value::Table(portfolio.parse().unwrap()));
    }
    toml::to_string(&tables).unwrap()
}

fn file(portfolio: Option<&str>) -> ConfigFile {
    ConfigFile::parse("pair.toml", pair(portfolio)).unwrap()
}

/// A maker whose orders are all taken at once.
struct Desk {
    maker: Maker,
    out: Intents,
    now: u64,
    orders: Vec<OrderIntent>,
}

impl Desk {
    fn new(portfolio: Option<&str>) -> Desk {
        let config = file(portfolio).maker(1).unwrap();
        let out = Intents::new(Maker::intents_max(&config), 256);
        let maker = Maker::new(&config).unwrap();
        let now = 1_723_161_600_000_000_000;
        let mut desk = Desk { maker, out, now, orders: Vec::new() };
        desk.tell(OrderUpdate::SessionUp, None);
        for (instrument, mid) in [(SPOT, 6_000_000), (PERP, 600_000)] {
            desk.image(instrument, mid);
        }
        desk
    }

    fn step(&mut self, input: &Input) -> Vec<OrderIntent> {
        self.now += 1_000_000;
        self.out.clear();
        self.maker.step(Nanos(self.now), input, &mut self.out);
        let made = self.out.orders().to_vec();
        for intent in &made {
            if intent.action == OrderAction::New {
                self.orders.push(*intent);
            }
        }
        made
    }

    fn tell(&mut self, update: OrderUpdate, of: Option<&OrderIntent>) -> Vec<OrderIntent> {
        let none = ballast_engine::event::ClOrdId::NONE;
        let event = OrderEvent {
            at: Nanos(self.now),
            venue_at: Nanos(self.now),
            stamp: Stamp(0),
            msg_seq_num: 0,
            cl_ord_id: of.map_or(none, |of| of.cl_ord_id),
            orig_cl_ord_id: none,
            update,
            instrument: of.map_or(SPOT, |of| of.instrument),
            venue: VenueId(0),
        };
        self.step(&Input::Order(event))
    }

    fn image(&mut self, instrument: InstrumentId, mid: i64) {
        let level = |side: Side, away: i64| MarketUpdate::Level {
            side,
            price: Ticks(mid - side.sign() * away),
            size: Lots(1_000_000),
        };
        let updates = [MarketUpdate::Reset, level(Side::Buy, 100), level(Side::Sell, 100)];
        for (n, update) in updates.into_iter().enumerate() {
            let event = MarketEvent {
                at: Nanos(self.now),
                venue_at: Nanos(self.now),
                stamp: Stamp(0),
                instrument,
                update,
                last_in_message: n == 2,
            };
            self.step(&Input::Market(event));
        }
        for order in std::mem::take(&mut self.orders) {
            self.tell(OrderUpdate::New { leaves_qty: order.size }, Some(&order));
            self.orders.push(order);
        }
    }

    /// The best bid in spot is filled whole: what that makes of the perpetual's orders.
    fn fill_spot(&mut self) -> Vec<OrderIntent> {
        let bids = self.orders.iter().filter(|o| o.instrument == SPOT && o.side == Side::Buy);
        let best = *bids.max_by_key(|o| o.price).unwrap();
        let fill = OrderUpdate::Fill {
            exec_id: ExecId(1),
            side: Side::Buy,
            last_px: best.price,
            last_qty: best.size,
            cum_qty: best.size,
            leaves_qty: Lots(0),
            liquidity: Liquidity::Maker,
        };
        self.tell(fill, Some(&best))
    }
}

#[test]
fn a_fill_in_one_moves_the_others_quotes_at_once_and_its_own_alone_without_a_portfolio() {
    let mut shared = Desk::new(Some(PORTFOLIO));
    let before: Vec<OrderIntent> =
        shared.orders.iter().filter(|o| o.instrument == PERP).copied().collect();
    assert!(before.len() >= 4, "two levels a side: {before:?}");
    let moved = shared.fill_spot();
    let moved: Vec<_> = moved.iter().filter(|o| o.instrument == PERP).collect();
    assert!(!moved.is_empty(), "the perpetual is quoted anew in the same step");
    for intent in moved {
        assert_eq!(intent.action, OrderAction::Replace);
        let was = before.iter().find(|o| o.cl_ord_id == intent.orig_cl_ord_id).unwrap();
        assert!(intent.price < was.price, "long spot: {intent:?} was {was:?}");
    }
    let mut apart = Desk::new(None);
    assert!(apart.fill_spot().iter().all(|intent| intent.instrument == SPOT));
    let against = PORTFOLIO.replace("\"0.9\"", "\"-0.9\"");
    let mut against = Desk::new(Some(&against));
    let before = against.orders.clone();
    for intent in against.fill_spot().iter().filter(|o| o.instrument == PERP) {
        let was = before.iter().find(|o| o.cl_ord_id == intent.orig_cl_ord_id).unwrap();
        assert!(intent.price > was.price, "what hedges is bought: {intent:?} was {was:?}");
    }
}

/// A recording is played for its second minute.
fn play(file: &ConfigFile, market: Market, journal: &Path) -> Played {
    let minute = match market {
        Market::Recorded(_) => [Some("+60s"), Some("+120s")],
        Market::Synthetic { .. } => [None, None],
    };
    journaled_play::play(file, market, minute, journal)
}

/// How many rows of a covariance a journal has.
fn rows(journal: &Path) -> usize {
    let rows = JournalReader::open(journal).unwrap().filter(|record| {
        let input = record.as_ref().unwrap().input();
        matches!(input, Some((_, _, Input::Control(Control::Skew(_)))))
    });
    rows.count()
}

#[test]
fn on_a_recording_the_covariance_is_estimated_journaled_and_replayed() {
    let tape = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/hftbacktest");
    if !tape.is_dir() {
        println!("skipped: {} is absent", tape.display());
        return;
    }
    let folder = std::env::temp_dir().join(format!("ballast-portfolio-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let run = |portfolio: Option<&str>, name: &str| -> (Played, PathBuf) {
        let (file, journal) = (file(portfolio), folder.join(name));
        (play(&file, Market::Recorded(tape.clone()), &journal), journal)
    };
    let (shared, journal) = run(Some(PORTFOLIO), "shared.blj");
    let (apart, none) = run(None, "apart.blj");
    let covariance = shared.summary(&file(Some(PORTFOLIO)))["covariance"].clone();
    let fills = shared.outcome.maker().counters().fills;
    println!("{fills} and {} fills: {covariance}", apart.outcome.maker().counters().fills);
    assert!(fills > 50, "{fills} fills");
    assert_ne!(shared.outcome.intents_sha256, apart.outcome.intents_sha256);
    assert_eq!(rows(&journal), 4, "a row a member at 20 and 40 s");
    assert_eq!(rows(&none), 0);
    let found = covariance["last"]["correlations"][0][1].as_str().unwrap();
    assert!(found.parse::<f64>().unwrap() > 0.2, "spot and its perpetual: {covariance}");
    let proof = prove(&journal, Some(5_000)).unwrap();
    assert!(proof.holds() && proof.through.unwrap().snapshots > 0, "{proof:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_table_that_makes_no_sense_is_told() {
    let told = |from: &str, to: &str| {
        assert!(PORTFOLIO.contains(from));
        let text = pair(Some(&PORTFOLIO.replace(from, to)));
        let refused = |error: ConfigFault| error.to_string();
        match ConfigFile::parse("pair.toml", text) {
            Err(error) => refused(error),
            Ok(file) => file.maker(1).map_or_else(refused, |_| String::new()),
        }
    };
    assert_eq!(told("0.9", "0.5"), "");
    for (from, to, part) in [
        ("\"BTCUSDT-PERP\"", "\"ETHUSDT\"", "a symbol of [[instruments]]"),
        (", \"BTCUSDT-PERP\"", "", "a portfolio has 2 to 8 members, not 1"),
        ("\"BTCUSDT-PERP\"", "\"BTCUSDT\"", "the only member of its underlying"),
        ("0.9", "1.1", "must lie between -1 and 1"),
        ("0.9", "high", "a number such as"),
        ("every_s = 20", "every_s = 0", "must be greater than zero"),
        ("returns_min = 30", "returns_min = 121", "2 to 120"),
        ("returns_min = 30", "", "missing field `returns_min`"),
        ("window_s = 60", "window_s = 60000000", "at most a million intervals"),
    ] {
        let text = told(from, to);
        assert!(text.contains(part), "{to}: {part} in {text}");
    }
    for (key, value, part) in [
        ("model", "symmetric", "must be glft or glft_risk_neutral"),
        ("gamma", "3", "must be the same for all members"),
    ] {
        let mut tables: Table = pair(Some(PORTFOLIO)).parse().unwrap();
        let perp = &mut tables["instrument"]["BTCUSDT-PERP"]["quote"];
        texts(perp, &[(key, value)]);
        let file = ConfigFile::parse("pair.toml", toml::to_string(&tables).unwrap());
        let text = file.unwrap().maker(1).unwrap_err().to_string();
        assert!(text.contains(part), "{text}");
    }
}
