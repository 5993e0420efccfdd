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
