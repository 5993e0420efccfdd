//! What the options desk promises live: quoted, hedged and watched over real FIX, with Greeks, surface
//! and collateral from threads of their own, and the same again from the journal.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

const BALLAST: &str = env!("CARGO_BIN_EXE_ballast");

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
    let config = crate_root.join("../config/es-options.toml");
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
    let replay = Command::new(BALLAST).arg("replay").arg(&state).output().unwrap();
    let told = String::from_utf8_lossy(&replay.stdout);
    assert!(replay.status.success() && told.contains("identical"), "{told}");
    std::fs::remove_dir_all(&state).unwrap();
}
