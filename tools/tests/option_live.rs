//! What the options desk promises live: quoted, hedged and watched over real FIX, with Greeks, surface
//! and collateral from threads of their own, and the same again from the journal.

use ballast_engine::event::{InstrumentId, OrderUpdate};
use ballast_engine::journal::reader::JournalReader;
use ballast_engine::maker::input::Input;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const BALLAST: &str = env!("CARGO_BIN_EXE_ballast");

/// Prices in ticks of every fill of an option, below and from 5 on.
fn option_fills(journal: &Path) -> (Vec<i64>, Vec<i64>) {
    let records = JournalReader::open(journal).unwrap().map(Result::unwrap);
    let price = |input| match input {
        Input::Order(event) if event.instrument != InstrumentId(0) => match event.update {
            OrderUpdate::Fill { last_px, .. } => Some(last_px.0),
            _ => None,
        },
        _ => None,
    };
    let prices = records.filter_map(|record| record.input().and_then(|(_, _, input)| price(input)));
    prices.partition(|price| *price < 100)
}

#[test]
fn an_option_book_is_quoted_and_hedged_over_real_fix_and_replays() {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tape = crate_root.join("../../shared/data/lean");
    if !tape.is_dir() {
        println!("skipped: {} is absent", tape.display());
        return;
    }
    let state = std::env::temp_dir().join(format!("ballast-option-live-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&state);
    let _ = std::fs::create_dir_all(&state);
    let config = std::fs::read_to_string(crate_root.join("../config/es-options.toml")).unwrap();
    // As the exchange has it: five hundredths up to a premium of 5, a quarter above.
    let chain = "[[chains]]\ncoarse_tick = { from = \"5\", tick = \"0.25\" }\n";
    let config = config.replacen("[[chains]]\n", chain, 1);
    std::fs::write(state.join("config.toml"), config).unwrap();
    let config = state.join("config.toml");
    let mut demo = Command::new(BALLAST);
    demo.args(["demo", "--json", "--speed", "900", "--from", "2020-01-06T14:30:00Z"]);
    demo.args(["--duration", "60m", "--fees", "listed"]);
    demo.arg("--config").arg(config).arg("--tape").arg(tape).arg("--state-dir").arg(&state);
    let output = demo.output().unwrap();
    // It ends with 1 where the maker's positions are not the venue's.
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let fills = document["fills_by_instrument"].as_object().unwrap();
    let of = |is_option: bool| -> u64 {
        let named = fills.iter().filter(|(symbol, _)| symbol.contains("-C-") == is_option);
        named.filter_map(|(_, count)| count.as_u64()).sum()
    };
    println!("{} fills of calls, {} of the rest, {document:#}", of(true), of(false));
    assert!(of(true) > 0, "options trade: {fills:?}");
    assert!(fills["ES-202003"].as_u64() > Some(0), "and are hedged: {fills:?}");
    assert!(document["options"]["ES"]["net"]["vega"].is_string());
    assert!(document["collateral"]["utilisation"].is_string(), "the shadow was assessed");
    assert_eq!(document["fix"]["rejects"], 0);
    let (fine, coarse) = option_fills(&state.join("journal-000001.blj"));
    assert!(
        !coarse.is_empty() && coarse.iter().all(|price| price % 5 == 0),
        "{coarse:?}, {fine:?}"
    );
    let replay = Command::new(BALLAST).arg("replay").arg(&state).output().unwrap();
    let told = String::from_utf8_lossy(&replay.stdout);
    assert!(replay.status.success() && told.contains("identical"), "{told}");
    std::fs::remove_dir_all(&state).unwrap();
}

/// A process that ends with its test.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const CALL: &str = "ES-20200320-C-3300";

/// A config of that call alone, of which three are held, at a venue that does not answer.
fn held_call(folder: &Path) -> String {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(crate_root.join("../config/es-options.toml")).unwrap();
    let mut tables: toml::Table = text.parse().unwrap();
    let run = tables["run"].as_table_mut().unwrap();
    run.insert("state_dir".into(), folder.join("state").display().to_string().into());
    run.insert("sample_ms".into(), 50.into());
    let venue = tables["venues"].as_array_mut().unwrap()[0].as_table_mut().unwrap();
    for of in ["market_data", "order_entry"] {
        venue[of].as_table_mut().unwrap().insert("address".into(), "127.0.0.1:1".into());
    }
    let chain = tables["chains"].as_array_mut().unwrap()[0].as_table_mut().unwrap();
    chain.insert("calls".into(), toml::Value::Array(vec!["3300".into()]));
    chain.insert("puts".into(), toml::Value::Array(Vec::new()));
    let mut settings = chain["settings"].as_table().unwrap().clone();
    settings.insert("opening".into(), "3".into());
    tables["instrument"].as_table_mut().unwrap().insert(CALL.into(), settings.into());
    toml::to_string(&tables).unwrap()
}

/// `status` shows what is held of each Greek beside its limits.
fn shows_greek_limits(ask: &dyn Fn(&[&str]) -> (bool, String)) {
    let status: Value = serde_json::from_str(&ask(&["status", "--json"]).1).unwrap();
    for (greek, net, gross) in [("rho", "4000", "16000"), ("vanna", "1500", "6000")] {
        let row = &status["options"]["ES"][greek];
        assert_eq!(row["net_max"], format!("{net}.000000000"), "{row}");
        assert_eq!(row["gross_max"], format!("{gross}.000000000"), "{row}");
        assert_eq!(row["held"], "0.000000000", "{row}");
    }
    let told = ask(&["status"]).1;
    assert!(told.contains("volga  held         0.00   at worst"), "{told}");
}

/// A call of 2020, long over, of which three are held: `book` says how they ended, on a run that no venue
/// answers, and what cannot be is refused before it is booked.
#[test]
fn an_expired_option_is_settled_by_the_operator_and_by_no_impossible_word() {
    let folder = std::env::temp_dir().join(format!("ballast-option-end-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let config = folder.join("run.toml");
    std::fs::write(&config, held_call(&folder)).unwrap();
    let mut run = Command::new(BALLAST);
    run.args(["run", "--json", "--logon-within", "300", "--config"]).arg(&config);
    run.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let run = Running(run.spawn().unwrap());
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(BALLAST);
        let output = command.args(arguments).arg("--socket").arg(folder.join("state")).output();
        let output = output.unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&told).into_owned())
    };
    let until = |held: [&str; 2]| {
        for _ in 0..600 {
            let (is_up, told) = ask(&["status", "--json"]);
            let status: Value = serde_json::from_str(&told).unwrap_or_default();
            let rows = status["instruments"].as_array().cloned().unwrap_or_default();
            let position = |symbol: &str| {
                let row = rows.iter().find(|row| row["symbol"] == symbol);
                row.map(|row| row["position"].clone()).unwrap_or_default()
            };
            if is_up && [position(CALL), position("ES-202003")] == held {
                return;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
        panic!("never {held:?}: {:?}", ask(&["status"]));
    };
    until(["3", "0"]);
    shows_greek_limits(&ask);
    for (words, part) in [
        (&["expire", CALL, "32.5"][..], "a settlement price is between 1650 and 6600"),
        (&["expire", "ES-202003", "3304"], "is no option"),
        (&["exercise", "100", CALL], "3 of ES-20200320-C-3300 are held"),
        (&["assign", "1", CALL], "3 of ES-20200320-C-3300 are held"),
        (&["exercise", "1", CALL, "3304"], "delivers its future at the strike"),
    ] {
        let (is_done, told) = ask(&[&["book"], words].concat());
        assert!(!is_done && told.contains(part), "{words:?}: {told}");
    }
    // In the money it delivers futures, which nobody has priced yet.
    let (is_done, told) = ask(&["book", "expire", CALL, "3304"]);
    assert!(!is_done && told.contains("a future without a mark is delivered"), "{told}");
    until(["3", "0"]);
    let (is_done, told) = ask(&["book", "expire", CALL, "3300"]);
    assert!(is_done, "{told}");
    until(["0", "0"]);
    let (is_done, told) = ask(&["book", "expire", CALL, "3300"]);
    assert!(!is_done && told.contains("nothing of ES-20200320-C-3300 is held"), "{told}");
    drop(run);
    std::fs::remove_dir_all(&folder).unwrap();
}
