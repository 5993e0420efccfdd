//! What `ballast study` promises: one JSON document of rows, the same for the same seed, no verdict
//! where there are too few paths for one, and wrong usage said so.

use serde_json::Value;
use std::process::{Command, Output};

fn study(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ballast"))
        .arg("study")
        .args(arguments)
        .output()
        .expect("the binary runs")
}

#[test]
fn json_is_one_document_of_rows() {
    for (name, paths) in [
        ("avellaneda-stoikov-2008", "40"),
        ("synthetic-market", "2"),
        ("glft-2013", "1"),
        ("internalise-or-hedge", "1"),
    ] {
        let arguments = [name, "--paths", paths, "--seed", "5", "--json"];
        let output = study(&arguments);
        assert!(output.status.success(), "{name}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        let judged = !["avellaneda-stoikov-2008", "synthetic-market"].contains(&name);
        assert_eq!(said.is_empty(), judged, "{name}: {said}");
        assert!(
            judged || said.contains("not judged"),
            "fewer paths than its tolerances are for: {said}"
        );
        let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
        assert_eq!(document["study"], name);
        let rows = document["rows"].as_array().expect("rows");
        assert!(rows.len() > 20, "{name}: {} rows", rows.len());
        for row in rows {
            assert!(["case", "quoter", "figure", "source"].iter().all(|key| row[*key].is_string()));
            assert!(row["ours"].is_number(), "{row}");
            assert!(row["reference"].is_number() || row["reference"].is_null(), "{row}");
        }
        assert_eq!(study(&arguments).stdout, output.stdout, "{name} is the same again");
    }
}

#[test]
fn an_unknown_study_is_wrong_usage() {
    let output = study(&["the-big-short"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("glft-2013"));
    assert_eq!(study(&["glft-2013", "--paths", "0"]).status.code(), Some(2));
}

#[test]
fn the_table_names_ours_and_theirs() {
    let output = study(&["glft-2013"]);
    let table = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success());
    assert!(table.contains("2.634257") && table.contains("GLFT (2013)"), "{table}");
}
