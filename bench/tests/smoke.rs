//! What a user does first: one benchmark for two seconds, with its report.

use serde_json::Value;
use std::fs;
use std::process::Command;

const BENCH: &str = env!("CARGO_BIN_EXE_ballast-bench");

#[test]
fn a_ring_run_of_two_seconds_prints_and_writes_its_whole_report() {
    let folder = std::env::temp_dir().join(format!("ballast-bench-smoke-{}", std::process::id()));
    let mut command = Command::new(BENCH);
    command.args(["ring", "--duration", "2", "--report"]).arg(&folder);
    command.arg("--markdown").arg(folder.with_extension("md"));
    let output = command.output().unwrap();
    let (told, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if errors.contains("two physical cores are needed") {
        println!("skipped: {errors}");
        return;
    }
    let result: Value =
        serde_json::from_slice(&fs::read(folder.join("result.json")).unwrap()).unwrap();
    // On a host whose floor moves all the time a figure may be missing: then it says so and is not 0.
    let failures = result["failures"].as_array().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(!failures.is_empty())), "{errors}");
    assert_eq!(result["command"], "ring --duration 2");
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    let markdown = fs::read_to_string(folder.with_extension("md")).unwrap();
    for measurement in result["measurements"].as_array().unwrap() {
        let name = measurement["name"].as_str().unwrap();
        assert!(told.contains(name) && page.contains(name), "{name}");
        if !measurement["distribution"].is_null() {
            assert!(folder.join(format!("{name}.hgrm")).is_file(), "{name}");
        }
    }
    let promised = |ratio: &&Value| ratio["bound"].is_number();
    let promises = result["ratios"].as_array().unwrap().iter().filter(promised).count();
    assert_eq!(promises, 5, "each promise of the rings is there, measured or not: {told}");
    assert!(markdown.contains("ballast-bench ring --duration 2"), "{markdown}");
    assert!(folder.join("hiccups.hgrm").is_file() && told.contains("the host itself"));
    fs::remove_dir_all(&folder).unwrap();
    fs::remove_file(folder.with_extension("md")).unwrap();
}
