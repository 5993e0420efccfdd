//! Session tests are data: each `.script` beside this file is one case of the FIX 4.4 session test
//! cases (or of what a counterparty can do wrong), run through real bytes against a [`Session`] over
//! a [`MemoryStore`] and virtual time. `README.md` beside it explains the lines.

mod back_to_back;
mod calls;
mod mutations;
mod period;
mod script;
mod storms;

use std::fs;
use std::path::Path;

#[test]
fn every_script_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/session");
    let mut scripts: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "script"))
        .collect();
    scripts.sort();
    assert!(scripts.len() >= 10, "the scripts were found");
    let mut faults = Vec::new();
    for path in scripts {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // All the bytes of a step in one segment, then byte by byte: the same must come out.
        for fragment in [usize::MAX, 1] {
            if let Err(fault) = script::run(&text, fragment) {
                faults.push(format!("{name} (fragments of {fragment}): {fault}"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_script_that_expects_something_else_fails() {
    let script = "connect\n> 35=A|34=1|98=0|108=30\n< 35=A|34=2|98=0|108=30\n";
    let fault = script::run(script, 1).unwrap_err();
    assert!(fault.contains("line 3"), "{fault}");
    let silent = "connect\n> 35=A|34=1|98=0|108=30\n";
    assert!(script::run(silent, 1).unwrap_err().contains("not expected"));
}
