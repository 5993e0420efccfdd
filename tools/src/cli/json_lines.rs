//! One JSON case a line in, one answer a line out: what `model` and `greeks` share.
//!
//! Fed by standard input; feeds standard output. A bad line gets an error in its place, so that
//! answers stay beside their questions, and the exit code tells. Deliberately absent: any formula.

use super::Failure;
use serde_json::{Map, Value};
use std::io::{BufRead, Write};

/// What one case is answered with.
pub(super) type Answer = Map<String, Value>;

/// Answers every line of `cases` on `answers`; fails at the end where a line was bad. `solve` is given
/// the case's model and params. Other keys of a case (a name, a source) are the asker's own.
pub(super) fn answer_lines(
    command: &str,
    models: &str,
    cases: impl BufRead,
    mut answers: impl Write,
    solve: impl Fn(&str, Map<String, Value>) -> Result<Answer, String>,
) -> Result<(), Failure> {
    let broken = |error: std::io::Error| Failure::Failed(format!("{command}: {error}"));
    let (mut lines, mut bad) = (0u64, 0u64);
    for line in cases.split(b'\n') {
        lines += 1;
        let case = line.map_err(broken)?;
        let answer = case_of(&case, models).and_then(|(model, params)| solve(&model, params));
        let answer = answer.unwrap_or_else(|error| {
            bad += 1;
            Map::from_iter([("error".to_owned(), Value::String(error))])
        });
        writeln!(answers, "{}", Value::Object(answer)).map_err(broken)?;
    }
    answers.flush().map_err(broken)?;
    if bad > 0 {
        return Err(Failure::Failed(format!("{command}: {bad} of {lines} lines have an error")));
    }
    Ok(())
}

fn case_of(line: &[u8], models: &str) -> Result<(String, Map<String, Value>), String> {
    let case: Value =
        serde_json::from_slice(line).map_err(|error| format!("not one JSON object: {error}"))?;
    let Value::Object(mut case) = case else {
        return Err("not a JSON object: write {\"model\": …, \"params\": {…}}".into());
    };
    let model = match case.remove("model") {
        Some(Value::String(model)) => model,
        Some(other) => return Err(format!("model is {other}; allowed are {models}")),
        None => return Err(format!("model is missing; allowed are {models}")),
    };
    match case.remove("params") {
        Some(Value::Object(params)) => Ok((model, params)),
        Some(_) | None => Err("params is missing or not an object".into()),
    }
}
