//! What `ballast backtest` promises of its options: each changes what it says and nothing else, a bad
//! value is told and exits 2, and the same inputs give the same hash over all intents and fills.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn backtest(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ballast")).arg("backtest").args(args).output().unwrap()
}

fn document(args: &[&str]) -> Value {
    let output = backtest(&[args, &["--json"]].concat());
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refused(args: &[&str]) -> String {
    let output = backtest(args);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {told}");
    told
}

const SYNTHETIC: [&str; 4] = ["--no-fees", "--seconds", "15", "--seed=3"];

fn synthetic(args: &[&str]) -> Value {
    document(&[&SYNTHETIC, args].concat())
}

fn scratch(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("ballast-{}-{name}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

fn shared(part: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(part);
    if path.exists() {
        return Some(path.display().to_string());
    }
    println!("skipped: {} is absent", path.display());
    None
}

#[test]
fn the_same_run_has_the_same_hash_and_every_option_another() {
    let base = synthetic(&[]);
    assert_eq!(base, synthetic(&[]));
    assert!(base["fills"].as_u64() > Some(20), "{}", base["fills"]);
    assert_ne!(base["run_sha256"], base["intents_sha256"]);
    let ratio = base["liquidity"]["instruments"]["BTCUSDT"]["fill_ratio"].as_f64().unwrap();
    assert!(ratio > 0.0 && ratio < 0.5, "lots traded of lots shown: {ratio}");
    for args in [
        &["--latency", "5ms"][..],
        &["--latency", "500us,5ms"],
        &["--latency", "500us,1ms,5ms"],
        &["--latency", "5ms,1ms"],
        &["--model", "symmetric"],
        &["--to", "+10s"],
        &["--from", "+2s"],
    ] {
        assert_ne!(base["run_sha256"], synthetic(args)["run_sha256"], "{args:?}");
    }
    let same = synthetic(&["--latency", "500us,1ms,1ms", "--queue", "back"]);
    assert_eq!(base["run_sha256"], same["run_sha256"], "the defaults, spelled out");
}

#[test]
fn a_file_of_latencies_is_what_a_constant_of_its_figures_is() {
    let header = "at,feed_ns,order_ns,report_ns";
    // When the synthetic market begins.
    let start = 1_723_161_600_000_000_000u64;
    let flat = scratch("flat.csv", &format!("{header}\n{start},700000,2000000,3000000\n"));
    let path = flat.display().to_string();
    let constant = synthetic(&["--latency", "700us,2ms,3ms"]);
    assert_eq!(constant["run_sha256"], synthetic(&["--latency", &path])["run_sha256"]);
    let rises = scratch(
        "rises.csv",
        &format!(
            "{header}\n{start},700000,2000000,3000000\n{},700000,90000000,3000000\n",
            start + 3_600_000_000_000
        ),
    );
    let path = rises.display().to_string();
    assert_ne!(constant["run_sha256"], synthetic(&["--latency", &path])["run_sha256"]);
    let bad = scratch("bad.csv", &format!("{start},2,3,4\n{start},2,3,4\n"));
    let told = refused(&["--latency", &bad.display().to_string()]);
    assert!(told.contains("bad.csv") && told.contains("line 2"), "{told}");
    std::fs::write(&bad, "1600000000000000000,2,3,4\n").unwrap();
    let told = refused(&["--latency", &bad.display().to_string()]);
    assert!(told.contains("--latency") && told.contains("another day"), "{told}");
    for file in [flat, rises, bad] {
        std::fs::remove_file(file).unwrap();
    }
}

#[test]
fn a_queue_model_matters_where_orders_stand_behind_displayed_volume() {
    let config = perpetual();
    let path = config.display().to_string();
    let with = |queue: &str| synthetic(&["--config", &path, "--queue", queue]);
    let (careful, hopeful) = (with("back"), with("probabilistic:1"));
    assert!(careful["queue"]["behind"].as_u64() > Some(20), "{}", careful["queue"]);
    assert_eq!(careful["queue"]["moved_by_cancels"], 0);
    assert!(hopeful["queue"]["moved_by_cancels"].as_u64() > Some(5), "{}", hopeful["queue"]);
    let Some(folder) = shared("hftbacktest") else { return };
    let part = ["--config", &path, "--tape", &folder, "--no-fees", "--from=+60s", "--to=+120s"];
    let with = |queue: &str| document(&[&part, &["--queue", queue][..]].concat());
    let (careful, hopeful) = (with("back"), with("probabilistic:1"));
    assert!(hopeful["fills"].as_u64() > careful["fills"].as_u64(), "cancels let orders forward");
    let hashes = [&careful, &hopeful, &with("probabilistic:4")].map(|d| d["run_sha256"].clone());
    assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2] && hashes[0] != hashes[2]);
    std::fs::remove_file(config).unwrap();
}

#[test]
fn a_window_plays_its_part_of_the_tape_alone() {
    let whole = synthetic(&[]);
    let part = synthetic(&["--from", "+5s", "--to", "+10s"]);
    let events = |document: &Value| document["tape"]["events"].as_u64().unwrap();
    assert!(events(&part) < events(&whole), "{} of {}", events(&part), events(&whole));
    let [from, to] = [0, 1].map(|n| part["window_ns"][n].as_u64().unwrap());
    assert_eq!(to - from, 5_000_000_000);
    assert!(part["fills"].as_u64() > Some(0), "{}", part["fills"]);
}

#[test]
fn a_bad_value_is_told_with_what_is_allowed_and_exits_2() {
    for (args, part) in [
        (&["--latency", "fast"][..], "recorded"),
        (&["--latency", "2m"], "longer than a minute"),
        (&["--latency", "recorded"], "does not say when its events happened"),
        (&["--queue", "front"], "probabilistic"),
        (&["--queue", "exact"], "Databento mbo"),
        (&["--from", "noon"], "RFC 3339"),
        (&["--from", "+20s", "--to", "+10s"], "is not before --to"),
        (&["--from", "+1h"], "nothing of the tape lies between"),
        (&["--model", "none"], "model"),
        (&["--seconds", "0"], "1..=86400"),
        (&["--config", "/no/such.toml"], "no/such.toml"),
    ] {
        let told = refused(args);
        assert!(told.contains(part), "{args:?}: {part:?} in {told}");
    }
}

#[test]
fn recorded_latencies_and_windows_play_the_real_recording() {
    let Some(folder) = shared("hftbacktest") else { return };
    let part = ["--tape", &folder, "--no-fees", "--from", "+60s", "--to", "+90s"];
    let with = |args: &[&str]| document(&[&part, args].concat());
    let (constant, recorded) = (with(&[]), with(&["--latency", "recorded"]));
    assert_eq!(recorded, with(&["--latency", "recorded"]), "the same twice");
    assert_ne!(constant["run_sha256"], recorded["run_sha256"]);
    assert!(recorded["fills"].as_u64() > Some(0), "{}", recorded["fills"]);
    let tape = &recorded["tape"];
    assert!(tape["rows"].as_u64() > Some(10_000), "{tape}");
    assert_eq!(tape["latency_negative"], 0, "the clock's offset is taken out: {tape}");
    // Spot's best prices carry no venue time.
    assert!(tape["latency_unknown"].as_u64() > Some(1_000), "{tape}");
    let told = refused(&["--tape", &folder, "--queue", "exact"]);
    assert!(told.contains("hftbacktest collector"), "{told}");
}

#[test]
fn a_decoded_recording_plays_as_its_files_do_until_they_change() {
    let Some(folder) = shared("hftbacktest") else { return };
    let folders = ["tape", "cache"]
        .map(|name| std::env::temp_dir().join(format!("ballast-{}-{name}", std::process::id())));
    let [tape, cache] = folders.each_ref().map(|path| path.display().to_string());
    for part in ["spot", "usdm", "cm"] {
        std::fs::create_dir_all(folders[0].join(part)).unwrap();
        for file in std::fs::read_dir(Path::new(&folder).join(part)).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folders[0].join(part).join(file.file_name())).unwrap();
        }
    }
    let part = ["--tape", &tape, "--no-fees", "--to=+40s"];
    let plain = document(&part);
    let cached = || document(&[&part, &["--cache", &cache][..]].concat());
    let files = || std::fs::read_dir(&folders[1]).unwrap().count();
    let modified = || {
        let file = std::fs::read_dir(&folders[1]).unwrap().next().unwrap().unwrap();
        file.metadata().unwrap().modified().unwrap()
    };
    assert_eq!(cached()["run_sha256"], plain["run_sha256"]);
    let made = modified();
    assert_eq!((cached()["run_sha256"].clone(), files()), (plain["run_sha256"].clone(), 1));
    assert_eq!(modified(), made, "used as it is");
    // The same bytes under another time of change: whoever changed them, they are decoded again.
    let spot = std::fs::read_dir(folders[0].join("spot")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&spot, std::fs::read(&spot).unwrap()).unwrap();
    assert_eq!(cached()["run_sha256"], plain["run_sha256"]);
    assert_ne!(modified(), made, "stale");
    assert_eq!(files(), 1, "and replaced");
    folders.iter().for_each(|folder| std::fs::remove_dir_all(folder).unwrap());
}

/// The demo's config as tables.
fn demo() -> toml::Table {
    include_str!("../../config/demo.toml").parse().unwrap()
}

fn set(table: &mut toml::Value, keys: &[(&str, &str)]) {
    let table = table.as_table_mut().unwrap();
    table.extend(keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())));
}

/// The demo's config with the perpetual quoted near the touch, where every price has a queue.
fn perpetual() -> PathBuf {
    let mut tables = demo();
    let settings = tables["instrument"].as_table_mut().unwrap();
    let mut quote = settings["BTCUSDT"].as_table_mut().unwrap().remove("quote").unwrap();
    let keys = [
        ("decay", "5"),
        ("spacing", "1.0"),
        ("edge_min", "0"),
        ("tolerance_aggressive", "0.3"),
        ("tolerance_passive", "0.3"),
    ];
    set(&mut quote, &keys);
    settings["BTCUSDT-PERP"].as_table_mut().unwrap().insert("quote".into(), quote);
    tables["underlying"]["BTC"].as_table_mut().unwrap().remove("hedge");
    scratch("perpetual.toml", &toml::to_string(&tables).unwrap())
}

/// The demo's config with ES alone, quoted at the touch.
fn es() -> PathBuf {
    let mut tables = demo();
    let instrument: toml::Table = r#"
        symbol = "ESM4"
        venue = "sim"
        underlying = "ES"
        kind = "dated_future"
        expiry = "2024-06-21T13:30:00Z"
        tick = "0.25"
        lot = "1"
        multiplier = "50"
        base = "ES"
        quote = "USDT"
        maker_fee_bps = "0"
        taker_fee_bps = "0"
    "#
    .parse()
    .unwrap();
    tables.insert("instruments".into(), toml::Value::Array(vec![instrument.into()]));
    let mut settings = tables["instrument"]["BTCUSDT"].clone();
    settings.as_table_mut().unwrap().remove("opening");
    let limits = [
        ("order_size_max", "20"),
        ("order_value_max", "9000000"),
        ("position_max", "50"),
        ("collar", "20.00"),
    ];
    set(&mut settings["limits"], &limits);
    set(&mut settings["volatility"], &[("floor", "0.25")]);
    let quote = [
        ("gamma", "0.0001"),
        ("decay", "8"),
        ("size", "1"),
        ("spacing", "0.25"),
        ("edge_min", "0"),
        ("tolerance_aggressive", "0.25"),
        ("tolerance_passive", "0.25"),
        ("tolerance_size", "0"),
    ];
    set(&mut settings["quote"], &quote);
    tables["instrument"] = toml::Table::from_iter([("ESM4".into(), settings)]).into();
    let mut underlying = tables["underlying"]["BTC"].clone();
    underlying.as_table_mut().unwrap().remove("hedge");
    set(&mut underlying, &[("soft", "1000"), ("stop", "1500"), ("hard", "2000")]);
    set(&mut underlying["protection"], &[("delta_max", "1000")]);
    tables["underlying"] = toml::Table::from_iter([("ES".into(), underlying)]).into();
    tables.remove("conversion");
    set(&mut tables["limits"], &[("gross_notional_max", "100000000")]);
    scratch("es.toml", &toml::to_string(&tables).unwrap())
}

#[test]
fn a_recording_of_single_orders_knows_the_place_in_the_queue() {
    let Some(folder) = shared("nautilus_trader/databento/es-mbo-2024-05-08") else { return };
    let config = es();
    let path = config.display().to_string();
    let with = |args: &[&str]| {
        document(&[&["--config", &path, "--tape", &folder][..], args].concat())["queue"].clone()
    };
    let (careful, exact) = (with(&[]), with(&["--queue", "exact"]));
    assert!(careful["behind"].as_u64() > Some(0), "{careful}");
    assert_eq!(careful["moved_by_cancels"], 0, "{careful}");
    assert!(exact["moved_by_cancels"].as_u64() > Some(5), "{exact}");
    let late = with(&["--queue", "exact", "--latency", "recorded"]);
    assert!(late["moved_by_cancels"].as_u64() > Some(5), "{late}");
    std::fs::remove_file(config).unwrap();
}
