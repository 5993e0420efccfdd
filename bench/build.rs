//! Tells the binary what it was built from and how: commit, profile, LTO, compiler.
//!
//! Read by `src/host.rs` and written into every result. A result must not say what the folder holds that the
//! binary happens to be run in.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the binary is made of, from the repository's root.
const SOURCES: [&str; 11] = [
    "engine/src",
    "engine/Cargo.toml",
    "gateway/src",
    "gateway/Cargo.toml",
    "tools/src",
    "tools/Cargo.toml",
    "bench/src",
    "bench/Cargo.toml",
    "config",
    "Cargo.toml",
    "Cargo.lock",
];

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let profile = profile();
    let upper = profile.to_uppercase().replace('-', "_");
    let setting = |key: &str, default: &str| {
        let variable = format!("CARGO_PROFILE_{upper}_{}", key.replace('-', "_").to_uppercase());
        println!("cargo::rerun-if-env-changed={variable}");
        // What the environment says goes before the file, as with Cargo.
        std::env::var(variable)
            .ok()
            .or_else(|| in_manifest(&root, &profile, key))
            .unwrap_or(default.into())
    };
    tell("LTO", &setting("lto", "off"));
    tell("CODEGEN_UNITS", &setting("codegen-units", "default"));
    tell("OPT_LEVEL", &variable("OPT_LEVEL"));
    tell("RUSTFLAGS", &variable("CARGO_ENCODED_RUSTFLAGS").replace('\u{1f}', " "));
    tell("RUSTC", &output(Command::new(variable("RUSTC")).arg("--version")).unwrap_or_default());
    tell("PROFILE", &profile);
    tell("COMMIT", &commit(&root).unwrap_or_default());
}

fn tell(key: &str, value: &str) {
    println!("cargo::rustc-env=BALLAST_BENCH_{key}={value}");
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// The profile's own name: the variable PROFILE only knows the two it may inherit from.
fn profile() -> String {
    let out = PathBuf::from(variable("OUT_DIR"));
    // target/PROFILE/build/ballast-bench-HASH/out
    let folder = out.ancestors().nth(3).and_then(Path::file_name);
    match folder.map(|name| name.to_string_lossy().into_owned()).as_deref() {
        Some("debug") => "dev".to_owned(),
        Some(name) => name.to_owned(),
        None => variable("PROFILE"),
    }
}

/// `key` of the profile in the workspace's manifest, where it stands there.
fn in_manifest(root: &Path, profile: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(root.join("Cargo.toml")).ok()?;
    let (_, after) = text.split_once(&format!("[profile.{profile}]\n"))?;
    let mut lines = after.lines().take_while(|line| !line.starts_with('['));
    lines.find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// The commit, with a plus where a source differs from it.
fn commit(root: &Path) -> Option<String> {
    let git = |arguments: &[&str]| output(Command::new("git").current_dir(root).args(arguments));
    for source in SOURCES {
        println!("cargo::rerun-if-changed=../{source}");
    }
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    let moved = ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref());
    for path in moved.filter_map(|name| git(&["rev-parse", "--git-path", name])) {
        let path = root.join(path);
        // A file that is not there would count as changed each time.
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    let id = git(&["rev-parse", "--short=12", "HEAD"])?;
    // Without the lock: a build must not write into the repository.
    let status = ["--no-optional-locks", "status", "--porcelain", "--untracked-files=no", "--"];
    let changes = git(&[&status[..], &SOURCES].concat())?;
    Some(if changes.is_empty() { id } else { format!("{id}+") })
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
