//! What the two models that count down to an end promise through the command line: a skew that brings
//! inventory home, refused without an end, no quotes after it, and a journal that replays.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

const ENDING: [&str; 2] = ["avellaneda_stoikov_finite", "avellaneda_stoikov_constant_spread"];
/// The synthetic market begins at midnight.
const AFTER_A_MINUTE: &str = "2024-08-09T00:01:00Z";
const AFTER_TEN_SECONDS: &str = "2024-08-09T00:00:10Z";

fn ballast(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ballast")).args(args).output().unwrap()
}

fn backtest(args: &[&str]) -> Output {
    let unhedged = ["backtest", "--no-fees", "--no-hedge", "--seconds", "30"];
    ballast(&[&unhedged, args].concat())
}

fn document(args: &[&str]) -> Value {
    let output = backtest(&[args, &["--json"]].concat());
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn mean_square(document: &Value) -> f64 {
    document["liquidity"]["inventory"]["BTC"]["mean_square"].as_f64().unwrap()
}

#[test]
fn a_model_that_counts_down_brings_inventory_home_and_the_two_are_not_the_same() {
    let symmetric = mean_square(&document(&["--model", "symmetric"]));
    let runs = ENDING.map(|model| document(&["--model", model, "--horizon-end", AFTER_A_MINUTE]));
    for (model, run) in ENDING.iter().zip(&runs) {
        assert!(run["fills"].as_u64() > Some(20), "{model}: {}", run["fills"]);
        let square = mean_square(run);
        assert!(square * 5.0 < symmetric, "{model}: {square} against {symmetric}");
    }
    assert_ne!(runs[0]["run_sha256"], runs[1]["run_sha256"]);
}

#[test]
fn without_an_end_the_model_is_refused_and_a_wrong_end_is_told() {
    for model in ENDING {
        for (end, part) in [
            (None, "instrument.BTCUSDT.quote.horizon_end = missing"),
            (Some("17:00"), "horizon_end.at = \"17:00\""),
            (Some("17:00 Mars/Olympus"), "horizon_end.zone"),
        ] {
            let end: Vec<&str> = end.into_iter().flat_map(|end| ["--horizon-end", end]).collect();
            let output = backtest(&[&["--model", model], &end[..]].concat());
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{model}: {told}");
            assert!(told.contains(part), "{model}: {part} in {told}");
        }
    }
}

#[test]
fn after_the_end_nothing_is_quoted_the_journal_says_why_and_it_replays() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("finite_horizon.blj");
    let path = path.display().to_string();
    let end = ["--model", ENDING[0], "--horizon-end", AFTER_TEN_SECONDS];
    let run = document(&[&end[..], &["--journal", &path]].concat());
    assert_eq!(run["states_entered"]["outside_horizon"], 1, "{}", run["states_entered"]);
    let fills = run["fills"].as_u64().unwrap();
    assert!(fills > 5, "{fills}");
    // No order of the first ten seconds is filled in the twenty after them.
    let part = document(&[&end[..], &["--to", "+11s"]].concat());
    assert_eq!(part["fills"].as_u64(), Some(fills));
    let replayed = ballast(&["replay", "--json", &path]);
    let told = String::from_utf8_lossy(&replayed.stdout);
    assert!(replayed.status.success(), "{told}");
    assert!(told.contains(run["intents_sha256"].as_str().unwrap()), "{told}");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_daily_end_in_its_zone_is_quoted_up_to_and_begins_anew() {
    // 02:00 in Berlin is the market's midnight: a day is left from its first event on.
    let daily = ["--model", ENDING[1], "--horizon-end", "02:00 Europe/Berlin"];
    let whole_day = document(&daily);
    assert!(whole_day["states_entered"]["outside_horizon"].is_null());
    let once = ["--model", ENDING[1], "--horizon-end", "2024-08-10T00:00:00Z"];
    assert_eq!(whole_day["intents_sha256"], document(&once)["intents_sha256"]);
}
