//! The same inputs give the same intents and fills on any machine and in any later build: two backtests,
//! held to the SHA-256 that they had.
//!
//! A golden may be changed only by a commit that means to change what is quoted, hedged or filled (or
//! the config of the demo, the synthetic market or the venue, which these runs play), and that says so. One that
//! differs after a change that should not have touched quoting is a bug, also where it differs on one machine
//! alone. How it is made: run this test; it prints the hash that came out, which takes the old one's place.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// A synthetic minute with hedges, A and k refitted four times.
const SYNTHETIC: &str = "395f747541a7a91d1d2cecfed5c89eadf5ddb08fa09734a65992c06ef8e5603d";
/// Four minutes of the BTC recording with hedges, A and k refitted twice.
const RECORDED: &str = "aeb9783fa9f96a6813df4349b46a6531b5fa154712cd8b28d8449040be1004db";

fn document(args: &[&str]) -> Value {
    let command = ["backtest", "--no-fees", "--json"];
    let output = Command::new(env!("CARGO_BIN_EXE_ballast"))
        .args(command)
        .args(args)
        .output()
        .expect("the product's binary runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn assert_golden(run: &Value, golden: &str) {
    assert!(run["fills"].as_u64() > Some(20), "{}", run["fills"]);
    assert!(run["refits"]["made"].as_u64() >= Some(2), "{}", run["refits"]);
    let came_out = run["run_sha256"].as_str().unwrap();
    assert_eq!(
        came_out, golden,
        "intents and fills are not what they were; see the head of this file"
    );
}

#[test]
fn a_synthetic_minute_with_refits_is_what_it_was() {
    let refit = ["--refit-every-s", "12", "--refit-window-s", "20"];
    let run = document(&[&["--seconds", "60", "--seed", "7"], &refit[..]].concat());
    assert_golden(&run, SYNTHETIC);
}

#[test]
fn four_minutes_of_the_bitcoin_recording_are_what_they_were() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/hftbacktest");
    if !folder.is_dir() {
        println!("skipped: {} is absent", folder.display());
        return;
    }
    let folder = folder.display().to_string();
    let refit = ["--refit-every-s", "60", "--refit-window-s", "120"];
    let run = document(&[&["--tape", &folder, "--to=+240s"], &refit[..]].concat());
    assert_golden(&run, RECORDED);
}
