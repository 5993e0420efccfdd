//! What `ballast sweep` promises: a row a run, the same bytes whatever the threads and however often
//! it was killed, nothing on standard error in a pipe, and a clear word about what cannot be swept.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const RUNS: usize = 12;
const WHAT: [&str; 8] = [
    "--no-fees",
    "--no-hedge",
    "--seconds=4",
    "--vary=instrument.BTCUSDT.quote.gamma=0.1,0.5,2",
    "--vary=instrument.BTCUSDT.quote.levels=1,2",
    "--vary=seed=1,2",
    "--latency=1ms",
    "--queue=back",
];

fn sweep(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ballast"));
    command.arg("sweep").args(args);
    command
}

fn scratch(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("ballast-sweep-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join("out.csv")
}

fn done(output: &Output) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert_eq!(told, "", "no progress in a pipe");
}

fn rows(out: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(out).unwrap();
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// Kills the process with SIGKILL once `rows` runs are on disk, or lets it end.
fn killed_after(mut child: Child, part: &Path, rows: usize) -> bool {
    loop {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        let lines = std::fs::read_to_string(part).map_or(0, |text| text.lines().count());
        if lines > rows {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_sweep_killed_again_and_again_ends_at_the_bytes_of_one_that_was_not() {
    let (whole, out) = (scratch("whole"), scratch("killed"));
    let to = |out: &Path| format!("--out={}", out.display());
    done(&sweep(&WHAT).args(["--jobs=1", &to(&whole)]).output().unwrap());
    let part = out.with_extension("csv.part");
    let mut kills = 0;
    for rows in [1, 4, 8] {
        let mut command = sweep(&WHAT);
        command.args(["--jobs=2", &to(&out)]).stdout(Stdio::null());
        kills += usize::from(killed_after(command.spawn().unwrap(), &part, rows));
    }
    assert!(kills >= 2, "{kills} kills");
    let output = sweep(&WHAT).args(["--jobs=2", "--json", &to(&out)]).output().unwrap();
    done(&output);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["resumed"].as_u64() > Some(0), "{document}");
    assert_eq!(document["runs"], RUNS);
    assert_eq!(std::fs::read(&whole).unwrap(), std::fs::read(&out).unwrap());
    let rows = rows(&out);
    assert_eq!(rows.len(), RUNS + 1);
    let column = |name: &str| rows[0].iter().position(|column| column == name).unwrap();
    let of = |name: &str| -> std::collections::BTreeSet<String> {
        rows[1..].iter().map(|row| row[column(name)].clone()).collect()
    };
    assert_eq!(of("status"), ["ok".to_owned()].into());
    assert_eq!(of("run_sha256").len(), RUNS, "each run is another");
    let configs = of("config_sha256");
    assert_eq!(configs.len(), RUNS / 2, "the seed is no part of the config");
    let again = sweep(&WHAT).args([&to(&out)]).output().unwrap();
    assert_eq!(again.status.code(), Some(1), "a result is never overwritten");
    for out in [whole, out] {
        std::fs::remove_dir_all(out.parent().unwrap()).unwrap();
    }
}

#[test]
fn random_points_are_the_seed_s_and_a_refused_config_is_a_row() {
    let out = scratch("random");
    let to = format!("--out={}", out.display());
    let args = ["--no-fees", "--seconds=1", "--random=6", "--search-seed=3"];
    let soft = "--vary=underlying.BTC.soft=0.05..0.35";
    done(&sweep(&args).args([soft, &to]).output().unwrap());
    let rows = rows(&out);
    assert_eq!(rows.len(), 7);
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(text.contains(",ok,") && text.contains(",refused,"), "{text}");
    assert!(text.contains("underlying.BTC"), "the fault names its key: {text}");
    std::fs::remove_dir_all(out.parent().unwrap()).unwrap();
}

#[test]
fn what_cannot_be_swept_is_told_and_exits_2() {
    let out = scratch("refused");
    let to = format!("--out={}", out.display());
    for (args, part) in [
        (&["--vary=instrument.BTCUSDT.quote.gama=1,2"][..], "no key instrument.BTCUSDT"),
        (&["--vary=run.timer_ms=1,x"], "no whole number"),
        (&["--vary=seed=1..9"], "--random"),
        (&["--vary=seed=1", "--vary=seed=2"], "varied twice"),
        (&["--vary=seed=x"], "no whole number"),
        (&["--vary=gamma"], "no ="),
        (&["--vary=seed=1", "--queue=exact"], "Databento mbo"),
        (&[], "--vary"),
    ] {
        let output = sweep(args).args(["--seconds=1", &to]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {told}");
        assert!(told.contains(part), "{part} in {told}");
        assert!(!out.exists());
    }
    std::fs::remove_dir_all(out.parent().unwrap()).unwrap();
}
