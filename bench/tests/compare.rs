//! `ballast-bench compare` on small results, as a script sees it: by its exit code and what it prints.

use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// The exit code and everything that was told of `before` and `after`.
fn compared(name: &str, before: &str, after: &str) -> (Option<i32>, String) {
    let folder =
        std::env::temp_dir().join(format!("ballast-bench-compare-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let [a, b] = [("a.json", before), ("b.json", after)].map(|(file, text)| {
        let file = folder.join(file);
        fs::write(&file, text).unwrap();
        file
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_ballast-bench"));
    let output = command.arg("compare").args([a, b]).output().unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&told).into_owned())
}

/// A result with one time and one count.
fn result(cpu: &str, ns: f64, allocations: f64) -> Value {
    let over = |median: f64, width: f64| json!({"median": median, "ci95": [median - width, median + width], "runs": 7});
    let count = json!({"median": allocations, "ci95": null, "runs": 1});
    json!({
        "command": "ring --duration 20",
        "host": { "cpu": cpu },
        "fit": { "is_fit": true, "because": [] },
        "failures": [],
        "measurements": [{"name": "ring.slots.round_trip", "typical": over(ns, 1.0), "p999_over_runs": null}],
        "ratios": [
            {"name": "ring.slots.round_trip / floor", "better": "smaller", "value": over(1.0, 0.01), "bound": 1.1},
            {"name": "codec, allocations a message", "better": "smaller", "value": count, "bound": 0.0},
        ],
    })
}

#[test]
fn the_exit_code_says_whether_anything_became_worse() {
    let before = result("x", 100.0, 0.0).to_string();
    let to = |name: &str, after: &Value| compared(name, &before, &after.to_string());
    let (code, told) = to("same", &result("x", 101.0, 0.0));
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = to("slower", &result("x", 150.0, 0.0));
    assert!(code == Some(1) && told.contains("+50.0 %  WORSE"), "{told}");
    let (code, told) = to("allocates", &result("x", 100.0, 5.0));
    assert!(code == Some(1) && told.contains("worse by more than 10 %: codec, allo"), "{told}");
    // Another host's times say nothing of ours.
    let (code, told) = to("elsewhere", &result("y", 150.0, 0.0));
    assert!(code == Some(0) && told.contains("cpu: \"x\" and \"y\""), "{told}");
    let mut lost = result("x", 100.0, 0.0);
    lost["ratios"][0]["value"] = Value::Null;
    lost["command"] = json!("ring --duration 1");
    let (code, told) = to("lost", &lost);
    assert!(code == Some(1) && told.contains("the commands differ"), "{told}");
    assert!(told.contains("measured before and not now: ring.slots.round_trip / floor"), "{told}");
}

#[test]
fn what_is_no_result_is_wrong_usage() {
    let result = result("x", 100.0, 0.0).to_string();
    for (name, text) in [("no_json", "{"), ("no_result", "{}"), ("no_median", "[1]")] {
        let (code, told) = compared(name, &result, text);
        assert_eq!(code, Some(2), "{told}");
    }
}
