//! What a user does first: each benchmark for a second, with its report.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

const BENCH: &str = env!("CARGO_BIN_EXE_ballast-bench");

/// A benchmark, some of what it must have timed, and how many promises it must be held to.
type Promised = (&'static str, &'static [&'static str], usize);

const ALL: [Promised; 8] = [
    (
        "ring",
        &[
            "ring.slots.round_trip",
            "ring.records.bulk",
            "measuring.mark",
            "ring.slots.one_way.steady.response",
            "ring.slots.one_way.bursts.service",
        ],
        5,
    ),
    ("codec", &["codec.read.new_order_single", "codec.write.new_order_single.template"], 8),
    ("engine", &["engine.update_to_two_orders", "engine.step.fill_requoted"], 1),
    (
        "tick-to-order",
        &["tick_to_order", "tick_to_order.stage.maker", "tick_to_order.steady.service"],
        4,
    ),
    (
        "wire",
        &[
            "wire.tick_to_order",
            "wire.tcp_echo_of_its_sizes",
            "wire.tick_to_order.stage.maker",
            "wire.tick_to_order.bursts.response",
            "wire.live.tick_to_order",
            "wire.live.tcp_echo",
            "wire.live.tick_to_order.until.written",
        ],
        5,
    ),
    ("ack", &["ack.order_to_report", "ack.order_to_report.steady.response"], 0),
    ("backtest", &["backtest.synthetic.message"], 0),
    (
        "scale",
        &["scale.instruments.1000", "scale.timers.1000", "scale.levels.20", "scale.rings.64"],
        1,
    ),
];

/// All in one test: two of them at once would have each other's cores.
#[test]
fn every_benchmark_prints_and_writes_its_whole_report_within_seconds() {
    let folder = std::env::temp_dir().join(format!("ballast-bench-smoke-{}", std::process::id()));
    for promised in ALL {
        if !is_reported(promised, &folder.join(promised.0)) {
            return;
        }
    }
    fs::remove_dir_all(&folder).unwrap();
}

/// Runs one and looks at all that it says; `false` where the host has too few cores for any.
fn is_reported((name, times, promises): Promised, folder: &Path) -> bool {
    let table = folder.join("table.md");
    let mut command = Command::new(BENCH);
    command.args([name, "--duration", "1", "--report"]).arg(folder);
    command.arg("--markdown").arg(&table);
    fs::create_dir_all(folder).unwrap();
    let output = command.output().unwrap();
    let (told, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if errors.contains("two physical cores are needed") {
        println!("skipped: {errors}");
        return false;
    }
    let read = |file: &Path| fs::read_to_string(file).unwrap();
    let result: Value = serde_json::from_str(&read(&folder.join("result.json"))).unwrap();
    // On a host whose floor moves all the time a figure may be missing: then it says so and is not 0.
    let failures: Vec<&str> =
        result["failures"].as_array().unwrap().iter().flat_map(Value::as_str).collect();
    assert!(failures.iter().all(|why| why.contains("the floor moved")), "{name}: {failures:?}");
    assert_eq!(output.status.code(), Some(i32::from(!failures.is_empty())), "{name}: {errors}");
    assert_eq!(result["command"], format!("{name} --duration 1"));
    let (page, table) = (read(&folder.join("report.html")), read(&table));
    let mut timed = Vec::new();
    for measurement in result["measurements"].as_array().unwrap() {
        let name = measurement["name"].as_str().unwrap();
        timed.push(name);
        assert!(told.contains(name) && page.contains(name), "{name}");
        if !measurement["distribution"].is_null() {
            assert!(folder.join(format!("{name}.hgrm")).is_file(), "{name}");
        }
    }
    for time in times {
        let is_told = failures.iter().any(|why| why.starts_with(*time));
        let is_curve = time.starts_with("scale.") && !failures.is_empty();
        assert!(timed.contains(time) || is_told || is_curve, "{time}: {timed:?}");
    }
    let ratios = result["ratios"].as_array().unwrap().iter();
    let held = ratios.filter(|ratio| ratio["bound"].is_number()).count();
    assert_eq!(held, promises, "each promise of {name} is there, measured or not: {told}");
    assert!(table.contains(&format!("`ballast-bench {name} --duration 1`")), "{table}");
    assert!(table.contains(&format!("500 ns or more during `{name}`")), "{table}");
    assert!(told.contains(&format!("the host itself during {name}")), "{told}");
    assert!(folder.join(format!("hiccups.{name}.hgrm")).is_file());
    assert!(result["hiccups_of"][name]["watched_ms"].as_f64().unwrap() > 0.0);
    true
}
