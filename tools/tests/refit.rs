//! What `run.refit` promises: a live run fits while it trades, tells of it, and its journal replays.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("ballast-refit-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    folder
}

fn ballast(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ballast")).args(arguments).output();
    let output = output.expect("the binary starts");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {told}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_live_run_refits_while_it_trades_and_its_journal_replays_to_the_same_intents() {
    let folder = folder("demo");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tools has a parent");
    let text = std::fs::read_to_string(root.join("config/demo.toml")).expect("the shipped config");
    let refit = "refit = { every_s = 10, window_s = 40 }";
    let config = folder.join("refit.toml");
    let with_refit =
        text.replace("book_levels_max = 2048\n", &format!("book_levels_max = 2048\n{refit}\n"));
    std::fs::write(&config, with_refit).expect("a writable folder");
    let state = folder.join("state");
    let path = |path: &Path| path.display().to_string();
    let told = ballast(&[
        "demo",
        "--config",
        &path(&config),
        "--speed",
        "max",
        "--duration",
        "100s",
        "--json",
        "--state-dir",
        &path(&state),
    ]);
    let document: Value = serde_json::from_str(&told).expect("one document");
    let count = |key: &str| document["refits"][key].as_u64().expect("a count");
    assert!(count("made") > 0, "{}", document["refits"]);
    assert!(count("made") + count("unfitted") + count("too_far") <= 7, "{}", document["refits"]);
    let journal = document["journal"].as_str().expect("a path");
    let entries = ballast(&["journal", journal]);
    assert!(entries.contains("refitted:"), "the parameters stand in the journal");
    let replayed = ballast(&["replay", journal]);
    let sha = document["intents_sha256"].as_str().expect("a hash");
    assert!(replayed.contains(sha), "{replayed}");
    std::fs::remove_dir_all(&folder).expect("what was made");
}
