//! What a machine can check of STYLE.md: long files and functions, files without a first line that
//! says what they are, banned names, hot modules that import the floating-point ones, and links of pages.

use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 60;
const BANNED_NAMES: [&str; 6] = ["utils", "util", "common", "helpers", "misc", "manager"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tools has a parent").to_path_buf()
}

fn rust_files() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["engine", "gateway", "tools", "bench"].map(|f| root().join(f)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("readable folder") {
            let path = entry.expect("readable entry").path();
            if path.is_dir() {
                if path.file_name().is_some_and(|n| n != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("readable file");
                if !text.contains("@generated") || path.ends_with("tests/tidy.rs") {
                    files.push((path, text));
                }
            }
        }
    }
    files.sort();
    assert!(files.len() > 5, "the tree was found");
    files
}

fn complain(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    complain(
        rust_files()
            .iter()
            .filter(|(_, text)| text.lines().count() > FILE_LINES_MAX)
            .map(|(path, text)| format!("{}: {} lines", path.display(), text.lines().count()))
            .collect(),
    );
}

#[test]
fn every_file_says_what_it_is() {
    complain(
        rust_files()
            .iter()
            .filter(|(_, text)| !text.starts_with("//!"))
            .map(|(path, _)| format!("{}: does not open with //!", path.display()))
            .collect(),
    );
}

#[test]
fn no_function_is_longer_than_a_screen() {
    let mut faults = Vec::new();
    for (path, text) in rust_files() {
        let lines: Vec<&str> = text.lines().collect();
        let mut start: Option<(usize, usize)> = None;
        for (number, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let words = line.trim_start();
            let is_function = [
                "fn ",
                "pub fn ",
                "pub(crate) fn ",
                "pub(super) fn ",
                "const fn ",
                "pub const fn ",
            ]
            .iter()
            .any(|head| words.starts_with(head));
            if is_function && !words.ends_with([';', '}']) {
                start = Some((number, indent));
            } else if let Some((from, depth)) = start
                && indent == depth
                && words.starts_with('}')
            {
                if number - from + 1 > FUNCTION_LINES_MAX {
                    faults.push(format!(
                        "{}:{}: a function of {} lines",
                        path.display(),
                        from + 1,
                        number - from + 1
                    ));
                }
                start = None;
            }
        }
    }
    complain(faults);
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    complain(
        rust_files()
            .iter()
            .filter(|(path, _)| {
                path.file_stem().is_some_and(|s| BANNED_NAMES.iter().any(|banned| s == *banned))
            })
            .map(|(path, _)| format!("{}: name it after what it holds", path.display()))
            .collect(),
    );
}

#[test]
fn only_calibration_uses_floating_point_in_the_engine() {
    let engine = root().join("engine/src");
    complain(
        rust_files()
            .iter()
            .filter(|(path, _)| {
                path.starts_with(&engine) && !path.starts_with(engine.join("calibration"))
            })
            .flat_map(|(path, text)| {
                let code = text.split("#[cfg(test)]").next().unwrap_or(text);
                code.lines()
                    .enumerate()
                    .filter(|(_, line)| {
                        let line = line.split("//").next().unwrap_or(line);
                        line.contains("f64") || line.contains("f32") || line.contains("libm")
                    })
                    .map(|(n, line)| format!("{}:{}: {line}", path.display(), n + 1))
                    .collect::<Vec<_>>()
            })
            .collect(),
    );
}

/// A heading as its anchor: lower case, blanks as hyphens, other signs left out.
fn anchor(heading: &str) -> String {
    let kept =
        heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn pages_link_to_what_is_there_and_every_page_is_linked_to() {
    let pages: Vec<PathBuf> = fs::read_dir(root().join("docs"))
        .expect("readable folder")
        .map(|entry| entry.expect("readable entry").path())
        .collect();
    let (mut faults, mut linked) = (Vec::new(), Vec::new());
    for page in [root().join("README.md"), root().join("tuning.md")].iter().chain(&pages) {
        let text = fs::read_to_string(page).expect("readable page");
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("http")) {
            let (file, to) = link.split_once('#').unwrap_or((link, ""));
            let target = page.parent().expect("a page lies in a folder").join(file);
            let target = if file.is_empty() { page.clone() } else { target };
            let Ok(there) = fs::canonicalize(&target) else {
                faults.push(format!("{}: nothing at {link}", page.display()));
                continue;
            };
            let has_heading = || {
                let text = fs::read_to_string(&there).expect("readable page");
                text.lines()
                    .any(|line| line.starts_with('#') && anchor(line.trim_matches('#')) == to)
            };
            if !to.is_empty() && !has_heading() {
                faults.push(format!("{}: no heading for {link}", page.display()));
            }
            linked.push(there);
        }
    }
    let is_lonely =
        |page: &&PathBuf| !linked.contains(&fs::canonicalize(page).expect("it is there"));
    faults
        .extend(pages.iter().filter(is_lonely).map(|page| format!("{}: no link", page.display())));
    assert!(linked.len() > 10, "links were found");
    complain(faults);
}
