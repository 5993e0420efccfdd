//! What `[underlying.X.hedge.basis]` promises: hedges sized by how instruments move, estimated on the way,
//! journaled and replayed; and a table that makes no sense is told.

mod journaled_play;

use ballast::backtest::plan::{Market, Played};
use ballast::config::{ConfigFault, ConfigFile};
use ballast::recovery::proof::prove;
use ballast_engine::journal::reader::JournalReader;
use ballast_engine::maker::input::{Control, Input};
use serde_json::json;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The perpetual of the made-up tape; of names that end in PERP a tape looks at what stands before.
const TWICE: &str = "BTC-TWICE";

const BASIS: &str = r#"
interval_ms = 500
window_s = 120
every_s = 10
returns_min = 40
age_max_s = 30
risk_aversion = "0.01"
ratio_min = "0.3"
ratio_max = "2"
unknown = "refuse"
legs_max = 2
"#;

/// The demo without fees, around `target` coins of spot and no perpetual, hedging by ratios or not.
fn config(target: &str, with: &[&str], basis: Option<&str>) -> String {
    let mut tables: Table = include_str!("../../config/demo.toml").parse().unwrap();
    let is_there = |symbol: &str| symbol == "BTCUSDT" || with.contains(&symbol);
    let instruments = tables["instruments"].as_array_mut().unwrap();
    instruments.retain(|instrument| is_there(instrument["symbol"].as_str().unwrap()));
    for instrument in instruments.iter_mut() {
        let table = instrument.as_table_mut().unwrap();
        for key in ["maker_fee_bps", "taker_fee_bps"] {
            table.insert(key.into(), "0".into());
        }
    }
    let settings = tables["instrument"].as_table_mut().unwrap();
    settings.retain(|symbol, _| is_there(symbol));
    settings["BTCUSDT-PERP"].as_table_mut().unwrap().remove("opening");
    let underlying = tables["underlying"]["BTC"].as_table_mut().unwrap();
    underlying.insert("target".into(), target.into());
    let hedge = underlying["hedge"].as_table_mut().unwrap();
    hedge["instruments"].as_table_mut().unwrap().retain(|symbol, _| is_there(symbol));
    if let Some(basis) = basis {
        hedge.insert("holding_s".into(), Value::Integer(60));
        hedge.insert("basis".into(), Value::Table(basis.parse().unwrap()));
    }
    if !is_there("BTCUSD-PERP") {
        tables.remove("conversion");
    }
    toml::to_string(&tables).unwrap()
}

fn file(text: String) -> ConfigFile {
    ConfigFile::parse("ratios.toml", text).unwrap()
}

/// A folder of this test's own, removed when dropped.
struct Own(PathBuf);

impl Own {
    fn new(name: &str) -> Own {
        let own =
            std::env::temp_dir().join(format!("ballast-ratios-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&own).unwrap();
        Own(own)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Quotes of a minute: spot goes to and fro, and the perpetual twice as far each time.
fn doubled(folder: &Path) {
    let mut files = [String::new(), String::new()];
    for file in &mut files {
        file.push_str(
            "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount\n",
        );
    }
    let (mut state, mut away) = (7u64, 0i64);
    for n in 0..240u64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // In twentieths of a dollar, pulled back: never far from where it began.
        away += (state >> 33).cast_signed() % 9 - 4 - away / 10;
        let at = 1_723_161_600_000_000 + n * 250_000;
        let of = [("BTCUSDT", 5 * away, 5), (TWICE, 10 * away, 10)];
        for ((symbol, cents, half), file) in of.into_iter().zip(&mut files) {
            let price = |cents: i64| format!("{}.{:02}", cents / 100, cents % 100);
            let (bid, ask) = (6_000_000 + cents - half, 6_000_000 + cents + half);
            let (bid, ask) = (price(bid), price(ask));
            writeln!(file, "sim,{symbol},{at},{},10,{ask},{bid},10", at + 100).unwrap();
        }
    }
    for (name, text) in ["spot", "perp"].into_iter().zip(files) {
        std::fs::write(folder.join(format!("{name}.csv")), text).unwrap();
    }
}

/// How many sets of ratios a journal has.
fn told(journal: &Path) -> usize {
    let told = JournalReader::open(journal).unwrap().filter(|record| {
        let input = record.as_ref().unwrap().input();
        matches!(input, Some((_, _, Input::Control(Control::HedgeMix(_)))))
    });
    told.count()
}

#[test]
fn what_moves_twice_as_far_is_sold_by_half_once_that_is_known() {
    let own = Own::new("half");
    let tape = own.0.join("tape");
    std::fs::create_dir_all(&tape).unwrap();
    doubled(&tape);
    let run = |basis: Option<&str>| {
        // Net delta is 0.09: beyond the band of 0.05, and goes back to 0.02.
        let text = config("0.91", &["BTCUSDT-PERP"], basis);
        let file = file(text.replace("BTCUSDT-PERP", TWICE));
        let journal = own.0.join(if basis.is_some() { "by-ratio.blj" } else { "one-for-one.blj" });
        let market = Market::Recorded(tape.clone());
        let played = journaled_play::play(&file, market, [None, None], &journal);
        let summary = played.summary(&file);
        assert_eq!(summary["fills_by_instrument"]["BTCUSDT"], 0, "nobody trades spot: {summary}");
        (summary, journal)
    };
    let (plain, _) = run(None);
    assert_eq!(plain["inventory_end"][TWICE], "-0.070");
    assert!(plain.get("hedge_ratios").is_none());
    let (summary, journal) = run(Some(BASIS));
    let found = &summary["hedge_ratios"]["BTC"];
    println!("{found}");
    assert_eq!(found["last"]["sets"][0]["ratios"], json!({ (TWICE): "0.500000" }));
    assert_eq!(found["last"]["sets"][0]["correlation"], "1.0000");
    assert_eq!(summary["inventory_end"][TWICE], "-0.035", "{summary}");
    assert_eq!(summary["delta_end"]["BTC"], "0.055000000", "contracts one for one");
    assert_eq!((&found["at_risk"], &found["plan"]), (&json!("0.020000000"), &json!([TWICE])));
    assert!(told(&journal) >= 3, "forty changes are there after twenty seconds");
    let proof = prove(&journal, Some(500)).unwrap();
    assert!(proof.holds() && proof.through.unwrap().snapshots > 0, "{proof:?}");
}

#[test]
fn on_a_recording_ratios_of_both_perpetuals_are_estimated_and_hedged_by() {
    let tape = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/hftbacktest");
    if !tape.is_dir() {
        println!("skipped: {} is absent", tape.display());
        return;
    }
    let own = Own::new("recording");
    let run =
        |name: &str, with: &[&str], basis: Option<&str>| -> (Played, serde_json::Value, PathBuf) {
            // Every fill is beyond this band.
            let text = config("1", with, basis).replace("\"0.05\"", "\"0.008\"");
            let text = text.replace("return_to = \"0.02\"", "return_to = \"0.002\"");
            let (file, journal) = (file(text), own.0.join(name));
            let part = [None, Some("+120s")];
            let played =
                journaled_play::play(&file, Market::Recorded(tape.clone()), part, &journal);
            let summary = played.summary(&file);
            println!("{name}: {} {}", summary["fills_by_instrument"], summary["hedge_ratios"]);
            (played, summary, journal)
        };
    let both = ["BTCUSDT-PERP", "BTCUSD-PERP"];
    let (by_ratio, summary, journal) = run("by-ratio.blj", &both, Some(BASIS));
    let (plain, _, none) = run("one-for-one.blj", &both, None);
    assert_ne!(by_ratio.outcome.intents_sha256, plain.outcome.intents_sha256);
    assert!(told(&journal) > 10 && told(&none) == 0);
    let sets = summary["hedge_ratios"]["BTC"]["last"]["sets"].as_array().unwrap();
    for set in sets {
        let number = |text: &serde_json::Value| text.as_str().unwrap().parse::<f64>().unwrap();
        let sum: f64 = set["ratios"].as_object().unwrap().values().map(number).sum();
        assert!((0.3..=2.0).contains(&sum) && number(&set["correlation"]) > 0.3, "{set}");
        assert!(number(&set["unit_cost_bps"]) > 0.0, "what is left costs: {set}");
    }
    assert!(!sets.is_empty(), "{summary}");
    let hedged = &summary["fills_by_instrument"];
    let hedges = hedged["BTCUSDT-PERP"].as_u64().unwrap() + hedged["BTCUSD-PERP"].as_u64().unwrap();
    assert!(hedges > 0, "{hedged}");
    let proof = prove(&journal, Some(20_000)).unwrap();
    assert!(proof.holds() && proof.through.unwrap().snapshots > 0, "{proof:?}");
}

#[test]
fn a_table_that_makes_no_sense_is_told_with_all_that_is_wrong() {
    let both = ["BTCUSDT-PERP", "BTCUSD-PERP"];
    let refused = |text: String| {
        let refused = |error: ConfigFault| error.to_string();
        match ConfigFile::parse("ratios.toml", text) {
            Err(error) => refused(error),
            Ok(file) => file.maker(1).map_or_else(refused, |_| String::new()),
        }
    };
    let told = |from: &str, to: &str| {
        assert!(BASIS.contains(from), "{from}");
        refused(config("1", &both, Some(&BASIS.replace(from, to))))
    };
    assert_eq!(told("\"refuse\"", "\"0.3\""), "");
    for (from, to, part) in [
        ("interval_ms = 500", "interval_ms = 0", "must be greater than zero"),
        ("returns_min = 40", "returns_min = 241", "hedge.basis.returns_min = 241: 2 to 240"),
        ("age_max_s = 30", "age_max_s = 9", "hedge.basis.age_max_s = 9: at least every_s, 10"),
        ("age_max_s = 30", "", "missing field `age_max_s`"),
        ("\"0.01\"", "\"-1\"", "hedge.basis.risk_aversion"),
        ("\"0.3\"", "\"0.01\"", "must lie between 0.050000 and 1.000000"),
        ("\"0.3\"", "\"1.1\"", "must lie between 0.050000 and 1.000000"),
        ("\"2\"", "\"0.9\"", "must lie between 1.000000 and 5.000000"),
        ("\"refuse\"", "\"0\"", "refuse, or basis points"),
        ("\"refuse\"", "\"free\"", "refuse, or basis points"),
        ("legs_max = 2", "legs_max = 5", "hedge.basis.legs_max = 5: 1 to 4"),
        (
            "legs_max = 2",
            "legs_max = 2\nreference = \"BTCUSDT-PERP\"",
            "a quoted instrument of BTC: BTCUSDT",
        ),
    ] {
        let text = told(from, to);
        assert!(text.contains(part), "{to}: {part} in {text}");
    }
    let many = BASIS.replace("legs_max = 2", "legs_max = 0").replace("\"refuse\"", "\"-1\"");
    let text = refused(config("1", &both, Some(&many)).replace("holding_s = 60", "holding_s = 0"));
    for part in ["3 faults", "legs_max = 0", "unknown", "holding_s of the hedge says"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
