//! What `ballast model` promises: every value within 1e-9 of a 60-digit evaluation (relative above
//! 1), an error in the place of a bad line, and exit codes that tell.

use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// The reference file's cases, then seeded random ones by mpmath: see `make.py` beside it.
const CASES: &str = include_str!("fixtures/model/cases.jsonl");

fn model(input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ballast"))
        .arg("model")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let input = input.to_owned();
    // A thread, because both pipes fill: the child answers while it reads.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("the child ends");
    writer.join().expect("the writer ends").expect("all lines were read");
    output
}

fn answers(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("an answer")).collect()
}

/// Every number of `expected` with the one in its place in `found`.
fn pairs(path: &str, expected: &Value, found: &Value, into: &mut Vec<(String, Value, Value)>) {
    match expected {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| {
                pairs(&format!("{path}.{key}"), value, &found[key], into);
            });
        }
        Value::Array(list) => {
            assert_eq!(list.len(), found.as_array().map_or(0, Vec::len), "{path}: {found}");
            list.iter().enumerate().for_each(|(i, value)| {
                pairs(&format!("{path}[{i}]"), value, &found[i], into);
            });
        }
        other => into.push((path.to_owned(), other.clone(), found.clone())),
    }
}

/// The distance of two decimal texts to 1e-18, which doubles could not tell at large prices.
fn error(expected: &str, found: &str) -> f64 {
    let digits = |text: &str| -> i128 {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let fraction = format!("{:0<18.18}", fraction);
        format!("{whole}{fraction}").parse().expect("a decimal")
    };
    let (expected, found) = (digits(expected), digits(found));
    (expected - found).abs() as f64 / (expected.abs() as f64).max(1e18)
}

#[test]
fn every_reference_value_is_met_to_one_in_a_billion() {
    let cases: Vec<Value> =
        CASES.lines().map(|line| serde_json::from_str(line).expect("fixture")).collect();
    let input: String = cases
        .iter()
        .map(|case| format!("{}\n", json!({"model": case["model"], "params": case["params"]})))
        .collect();
    let output = model(&input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers = answers(&output);
    assert_eq!(answers.len(), cases.len());
    let (mut faults, mut values, mut worst) = (Vec::new(), 0, 0.0f64);
    for (case, answer) in cases.iter().zip(&answers) {
        let mut numbers = Vec::new();
        pairs("", &case["expected"], answer, &mut numbers);
        for (path, expected, found) in numbers {
            values += 1;
            let error = match (&expected, &found) {
                (Value::String(expected), Value::String(found)) => {
                    let decimals = found.split_once('.').map_or(0, |(_, digits)| digits.len());
                    assert!(decimals >= 12, "{path}: {found}");
                    error(expected, found)
                }
                (Value::Null, Value::Null) => 0.0,
                _ => f64::INFINITY,
            };
            worst = worst.max(error);
            if error > 1e-9 {
                faults.push(format!("{path}: {found}, not {expected}, in {case}"));
            }
        }
    }
    assert!(values > 1500, "{values} values compared");
    assert!(faults.is_empty(), "{} of {values}\n{}", faults.len(), faults.join("\n"));
    println!("{values} values, the worst off by {worst:e}");
}

#[test]
fn a_bad_line_gets_an_error_in_its_place() {
    let good = r#"{"model":"weighted_mid","params":{"bid":1,"bid_qty":3,"ask":2,"ask_qty":1}}"#;
    let bad = [
        ("{", "not one JSON object"),
        ("7", "not a JSON object"),
        (r#"{"model":"hummingbot","params":{}}"#, "\"hummingbot\""),
        (r#"{"params":{}}"#, "model is missing"),
        (r#"{"model":"microprice"}"#, "params is missing"),
        (r#"{"model":"weighted_mid","params":{"bid":1}}"#, "params.ask is missing"),
        (
            r#"{"model":"weighted_mid","params":{"bid":1,"bid_qty":0,"ask":2,"ask_qty":0}}"#,
            "both zero",
        ),
        (
            r#"{"model":"avellaneda_stoikov","params":{"s":1,"sigma":1,"k":0,"gamma":1,"T_minus_t":1,"q":0}}"#,
            "greater than zero",
        ),
        (
            r#"{"model":"avellaneda_stoikov","params":{"s":"x","sigma":1,"k":1,"gamma":1,"T_minus_t":1,"q":0}}"#,
            "s is \"x\"",
        ),
        (
            r#"{"model":"glft_closed_form","params":{"sigma":1,"A":1,"k":1,"gamma":1,"Delta":1,"q":0,"mode":"xi=1"}}"#,
            "allowed are",
        ),
        (
            r#"{"model":"glft_exact","params":{"sigma":1,"A":1,"k":1,"gamma":1,"Q":3,"q":4,"asymptotic":true}}"#,
            "between -3 and 3",
        ),
        (
            r#"{"model":"glft_exact","params":{"sigma":1,"A":1,"k":1,"gamma":1,"Q":3,"q":0.5,"asymptotic":true}}"#,
            "whole number",
        ),
        (
            r#"{"model":"microprice","params":{"Q":[[1]],"R1":[[0]],"R2":[[0]],"K":[1]}}"#,
            "singular",
        ),
        (
            r#"{"model":"microprice","params":{"Q":[[0]],"R1":[[0]],"R2":[[0,1]],"K":[1],"x":1}}"#,
            "R2 has 2 entries",
        ),
        (
            r#"{"model":"glft_extension","params":{"sigma":5079,"A":1e-300,"k":1e-16,"gamma":1e-16,"mu":0,"zeta":4.95,"q":0}}"#,
            "beyond ±2^62",
        ),
    ];
    let input: String = bad.iter().map(|(line, _)| format!("{line}\n{good}\n")).collect();
    let output = model(&input);
    assert_eq!(output.status.code(), Some(1));
    let answers = answers(&output);
    assert_eq!(answers.len(), 2 * bad.len());
    for ((line, reason), pair) in bad.iter().zip(answers.chunks(2)) {
        let error = pair[0]["error"].as_str().unwrap_or_default();
        assert!(error.contains(reason), "{line}: {error}");
        assert_eq!(pair[1]["weighted_mid"], "1.750000000000000000");
    }
}

#[test]
fn numbers_and_texts_are_read_alike() {
    let line = |q: &str, gamma: &str| {
        format!(
            r#"{{"model":"glft_closed_form","params":{{"sigma":"800","A":0.43,"k":"0.003","gamma":{gamma},"Delta":0.5,"q":{q},"mode":"xi=gamma"}}}}"#
        )
    };
    let lines = [line("-4", "1e-7"), line("\"-4.000\"", "\"0.0000001\""), line("-4.0", "\"1E-7\"")];
    let output = model(&lines.join("\n"));
    let answers = answers(&output);
    assert!(output.status.success());
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    assert!(answers[0]["delta_b"].as_str().unwrap().starts_with("289.7818300227944"));
}
