//! What `ballast greeks` promises: every value within 1e-9 of a 60-digit evaluation (relative
//! above 1), an error in the place of a bad line, and exit codes that tell.

use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// The reference file's cases, then seeded random ones by mpmath: see `make.py` beside it.
const CASES: &str = include_str!("fixtures/greeks/cases.jsonl");

fn greeks(input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ballast"))
        .arg("greeks")
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

fn number(value: &Value) -> f64 {
    match value {
        Value::String(text) => text.parse().expect("decimal text"),
        other => other.as_f64().expect("a number"),
    }
}

#[test]
fn every_reference_value_is_met_to_one_in_a_billion() {
    let cases: Vec<Value> =
        CASES.lines().map(|line| serde_json::from_str(line).expect("fixture")).collect();
    let input: String = cases
        .iter()
        .map(|case| format!("{}\n", json!({"model": case["model"], "params": case["params"]})))
        .collect();
    let output = greeks(&input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<Value> = String::from_utf8(output.stdout)
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("an answer"))
        .collect();
    assert_eq!(answers.len(), cases.len());
    let mut faults = Vec::new();
    let mut values = 0;
    for (case, answer) in cases.iter().zip(&answers) {
        for (key, expected) in case["expected"].as_object().expect("expected values") {
            values += 1;
            let (wanted, got) = (number(expected), number(&answer[key]));
            let error = (got - wanted).abs() / wanted.abs().max(1.0);
            // The American ones but delta and gamma are differences of the formula, not derivatives.
            let bumped = ["vega", "theta", "rho", "vanna", "volga"];
            let is_bumped = case["model"] == "baw" && bumped.contains(&&**key);
            if error.is_nan() || error > if is_bumped { 1e-7 } else { 1e-9 } {
                faults.push(format!(
                    "{} {}: {key} is {got}, error {error:e}",
                    case["model"], case["params"]
                ));
            }
        }
    }
    assert!(values > 2_500, "{values} values");
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn a_bad_line_gets_an_error_in_its_place_and_exit_code_one() {
    let good =
        r#"{"model":"inverse_future","params":{"usd_notional":"100","entry":"1","mark":"2"}}"#;
    let option = |f: &str, k: &str, t: &str, s: &str, r: &str, kind: &str| {
        json!({"model": "black76", "params": {"F": f, "K": k, "T": t, "sigma": s, "r": r, "type": kind}})
            .to_string()
    };
    let bad = [
        (String::new(), "JSON"),
        ("[1]".into(), "not a JSON object"),
        ("{\"model\":\"heston\",\"params\":{}}".into(), "heston"),
        ("{\"model\":\"bsm\"}".into(), "params"),
        (option("100", "100", "0", "0.2", "0", "C"), "T is 0"),
        (option("100", "100", "-1", "0.2", "0", "C"), "T is -1"),
        (option("100", "100", "1", "0", "0", "C"), "sigma is 0"),
        (option("100", "100", "1", "-0.2", "0", "C"), "sigma is -0.2"),
        (option("0", "100", "1", "0.2", "0", "C"), "F is 0"),
        (option("100", "-5", "1", "0.2", "0", "C"), "K is -5"),
        (option("100", "100", "1", "0.2", "nan", "C"), "r is \"nan\""),
        (option("100", "100", "1", "0.2", "inf", "C"), "r is \"inf\""),
        (option("100", "100", "1", "0.2", "0", "X"), "type is \"X\""),
        (option("100", "100", "1", "0.2", "-5000", "C"), "range of numbers"),
        (good.replace("entry", "enrty"), "params.entry is missing"),
        (good.replace("\"mark\"", "\"extra\":\"1\",\"mark\""), "params.extra"),
        (good.replace("\"2\"", "\"0\""), "mark is 0"),
    ];
    let mut input = String::new();
    for (line, _) in &bad {
        input += &format!("{good}\n{line}\n");
    }
    let output = greeks(&input);
    assert_eq!(output.status.code(), Some(1));
    let answers = String::from_utf8(output.stdout).expect("UTF-8");
    let answers: Vec<Value> =
        answers.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(answers.len(), 2 * bad.len());
    for (pair, (line, why)) in answers.chunks(2).zip(&bad) {
        assert_eq!(pair[0]["pnl_coin"], "50.000000000000");
        let error = pair[1]["error"].as_str().unwrap_or_else(|| panic!("{line} was answered"));
        assert!(error.contains(why), "{line}: {error}");
    }
}

#[test]
fn no_line_is_no_error() {
    let output = greeks("");
    assert!(output.status.success());
    assert!(output.stdout.is_empty());
}
