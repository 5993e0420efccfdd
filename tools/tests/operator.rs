//! The operator's hand on a real process: the demo at its own speed, its socket, signals and files.

use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const BALLAST: &str = env!("CARGO_BIN_EXE_ballast");

/// A demo at ten times its market's speed, in a folder of its own.
struct Demo {
    folder: PathBuf,
    child: Option<Child>,
}

impl Demo {
    fn folder(name: &str) -> Demo {
        let folder = std::env::temp_dir().join(format!("ballast-op-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let demo =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/demo.toml"));
        let text = demo.unwrap() + "\n[operator]\nsecond = [\"bob\"]\n";
        fs::write(folder.join("demo.toml"), text).unwrap();
        Demo { folder, child: None }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(BALLAST);
        command.args(["demo", "--json", "--duration", "2h", "--speed", "10", "--config"]);
        command.arg(self.folder.join("demo.toml")).arg("--state-dir").arg(self.state());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it and waits until the quoted instrument is quoted.
    fn quoting(name: &str) -> Demo {
        let mut demo = Demo::folder(name);
        demo.child = Some(demo.command().spawn().unwrap());
        demo.until("quoting", |status| state(status) == ("quoting", "normal"));
        demo
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(BALLAST);
        command.args(arguments).arg("--socket").arg(self.state());
        command.output().unwrap()
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.ask(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.ask(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        text(&output.stderr)
    }

    fn status(&self) -> Option<Value> {
        let output = self.ask(&["status", "--json"]);
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    fn until(&mut self, what: &str, is_so: impl Fn(&Value) -> bool) {
        for _ in 0..600 {
            if let Some(status) = self.status()
                && is_so(&status)
            {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        let last = self.status();
        self.stop();
        panic!("never {what}: {last:?}");
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(self.child.as_ref().unwrap());
        rustix::process::kill_process(pid, signal).unwrap();
    }

    fn stop(&mut self) -> Option<Output> {
        self.child.as_ref()?;
        self.signal(rustix::process::Signal::INT);
        Some(self.child.take()?.wait_with_output().unwrap())
    }

    fn ballast(&self, arguments: &[&str], last: &Path) -> Output {
        Command::new(BALLAST).args(arguments).arg(last).output().unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn state(status: &Value) -> (&str, &str) {
    let row = &status["instruments"][0];
    (row["state"].as_str().unwrap(), row["reason"].as_str().unwrap())
}

#[test]
fn an_operators_acts_are_done_journaled_with_the_user_and_replayed() {
    let mut demo = Demo::quoting("acts");
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(demo.state().join("operator.sock")), 0o600);
    assert_eq!(mode(demo.state().join("journal-000001.blj")), 0o600);
    demo.done(&["pause", "BTCUSDT"]);
    demo.until("paused", |status| state(status) == ("halted", "operator"));
    demo.done(&["resume", "--all"]);
    demo.until("back", |status| state(status).0 == "quoting");
    demo.done(&["set", "BTCUSDT", "position_max", "2.5"]);
    let waits = demo.done(&["set", "BTCUSDT", "position_max", "2.75"]);
    assert!(waits.contains("second operator"), "{waits}");
    assert!(demo.refused(&["limits", "--confirm", "1"]).contains("another operator"));
    assert!(demo.refused(&["limits", "--confirm", "1", "--as", "eve"]).contains("operator.second"));
    assert!(demo.done(&["limits"]).contains("waits for a second operator: 1"));
    demo.done(&["limits", "--confirm", "1", "--as", "bob"]);
    assert!(demo.done(&["limits"]).contains("2.75"));
    assert!(demo.refused(&["set", "BTC", "soft", "0.3"]).contains("stop"));
    assert!(demo.refused(&["pause", "ETH"]).contains("BTCUSDT"));
    demo.done(&["set", "BTCUSDT", "edge_min", "0.05"]);
    demo.done(&["book", "transfer", "USDT", "-250.5"]);
    demo.done(&["book", "adjust", "USDT", "0.5"]);
    demo.done(&["flatten", "BTC"]);
    demo.until("flat", |status| {
        let delta = status["underlyings"][0]["net_delta"].as_str().unwrap();
        let delta: f64 = delta.parse().unwrap();
        state(status) == ("halted", "operator") && delta.abs() < 0.001
    });
    let status = demo.status().unwrap();
    assert!(status["latency_samples_dropped"].is_u64(), "{status}");
    assert!(status["counter_drift_ppb"].is_i64() && status["latency_window_ns"].is_object());
    let output = demo.stop().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(summary["latency_samples_dropped"].is_u64() && summary["counter_drift_ppb"].is_i64());
    let journal = demo.state().join("journal-000001.blj");
    let replayed = demo.ballast(&["replay"], &journal);
    assert!(replayed.status.success(), "{}", text(&replayed.stderr));
    let told = text(&demo.ballast(&["journal"], &journal).stdout);
    let uid = rustix::process::geteuid().as_raw();
    for act in [
        "pause BTCUSDT, by ",
        "resume everything, by ",
        "set BTCUSDT position_max to 2.5",
        &format!("confirmed by bob (uid {uid})"),
        "book a transfer of -250.500000000 USDT cash",
        "book an adjustment of 0.500000000 USDT cash",
        "flatten BTC, by ",
    ] {
        assert!(told.contains(act), "{act} is not in the journal");
    }
}

/// Kills by `how`, then holds it to its promises: nothing new, told as killed, no restart until lifted.
fn a_kill_is_for_good(name: &str, how: impl Fn(&Demo)) -> String {
    let mut demo = Demo::quoting(name);
    how(&demo);
    demo.until("killed", |status| {
        let is_out = status["instruments"][0]["bid"].is_null();
        status["killed"].is_object() && is_out && state(status) == ("halted", "killed")
    });
    let orders = |demo: &Demo| {
        let journal = demo.state().join("journal-000001.blj");
        text(&demo.ballast(&["journal"], &journal).stdout)
    };
    assert!(demo.refused(&["resume", "--all"]).contains("killed in run 1"));
    demo.stop().unwrap();
    let told = orders(&demo);
    let (_, after) = told.split_once("kill (").expect("the kill is journaled");
    assert!(!after.contains("  intent   BTCUSDT        New"), "no new order after the kill");
    assert!(!after.contains(" New Buy ") && !after.contains(" New Sell "));
    let again = demo.command().output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    let refusal = text(&again.stderr);
    assert!(refusal.contains("--after-kill"), "{refusal}");
    let _ = fs::remove_file(demo.state().join("kill"));
    let lifted = demo.ballast(&["resume", "--all", "--after-kill", "--state-dir"], &demo.state());
    assert!(lifted.status.success(), "{}", text(&lifted.stderr));
    demo.child = Some(demo.command().spawn().unwrap());
    demo.until("quoting again", |status| state(status).0 == "quoting");
    refusal
}

#[test]
fn a_kill_by_command_survives_a_restart_until_it_is_lifted() {
    let refusal = a_kill_is_for_good("command", |demo| {
        demo.done(&["kill", "--reason", "a test of the hand"]);
    });
    assert!(refusal.contains("a test of the hand"), "{refusal}");
}

#[test]
fn a_kill_that_nobody_answers_is_noted_and_a_run_that_is_there_sees_the_note() {
    let mut demo = Demo::quoting("unheard");
    // The socket's thread is gone, as far as anybody can see.
    fs::remove_file(demo.state().join("operator.sock")).unwrap();
    let by_its_socket = ["kill", "--reason", "a test", "--socket"];
    let told = demo.ballast(&by_its_socket, &demo.state().join("operator.sock"));
    assert!(text(&told.stderr).contains("the kill is noted in"), "{}", text(&told.stderr));
    let mut lift = Command::new(BALLAST);
    lift.args(["resume", "--all", "--after-kill", "--state-dir"]).arg(demo.state());
    let output = lift.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("still there"), "{}", text(&output.stderr));
    let journal = demo.state().join("journal-000001.blj");
    let has_kill =
        |demo: &Demo| text(&demo.ballast(&["journal"], &journal).stdout).contains("kill (");
    let looks = (0..100).take_while(|_| {
        std::thread::park_timeout(Duration::from_millis(50));
        !has_kill(&demo)
    });
    assert!(looks.count() < 100, "the kill is not in the journal");
    let output = demo.stop().unwrap();
    assert!(text(&output.stderr).contains("killed.json is there"), "{}", text(&output.stderr));
    let mut again = demo.command();
    let refused = again.output().unwrap();
    assert!(text(&refused.stderr).contains("a test"), "{}", text(&refused.stderr));
}

#[test]
fn sigusr1_kills() {
    let refusal = a_kill_is_for_good("signal", |demo| demo.signal(rustix::process::Signal::USR1));
    assert!(refusal.contains("SIGUSR1"), "{refusal}");
}

#[test]
fn the_kill_file_kills() {
    let refusal = a_kill_is_for_good("file", |demo| {
        fs::write(demo.state().join("kill"), "").unwrap();
    });
    assert!(refusal.contains("kill"), "{refusal}");
}

#[test]
fn a_stopped_and_continued_process_is_no_stuck_maker() {
    let mut demo = Demo::quoting("stopped");
    demo.signal(rustix::process::Signal::STOP);
    std::thread::park_timeout(Duration::from_millis(3_000));
    demo.signal(rustix::process::Signal::CONT);
    demo.until("quoting", |status| state(status).0 == "quoting" && status["killed"].is_null());
}

/// A device that takes nothing: what a log on a full disk is to who writes it.
fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

#[test]
fn a_log_that_cannot_be_written_leaves_the_run_its_guard() {
    let mut demo = Demo::folder("full");
    let told = demo.folder.join("alerts");
    let command = format!("\nalert_command = [\"sh\", \"-c\", \"cat >> {}\"]\n", told.display());
    let config = demo.folder.join("demo.toml");
    fs::write(&config, fs::read_to_string(&config).unwrap() + &command).unwrap();
    demo.child = Some(demo.command().stderr(full()).spawn().unwrap());
    demo.until("quoting", |status| state(status) == ("quoting", "normal"));
    // An alert, which goes to the log as well.
    demo.done(&["pause", "BTCUSDT"]);
    demo.until("paused", |status| state(status) == ("halted", "operator"));
    let has_alert = || fs::read_to_string(&told).is_ok_and(|text| text.contains("\"operator\""));
    let looks = (0..200).take_while(|_| {
        std::thread::park_timeout(Duration::from_millis(25));
        !has_alert()
    });
    assert!(looks.count() < 200, "the command was not told");
    demo.signal(rustix::process::Signal::USR1);
    demo.until("killed", |status| status["killed"]["cause"] == "signal");
    let output = demo.stop().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
}

#[test]
fn a_run_that_cannot_say_why_nobody_logs_on_ends_as_one_that_can() {
    let demo = Demo::folder("unsaid");
    let config = demo.folder.join("demo.toml");
    let text = fs::read_to_string(&config).unwrap();
    // Nobody listens there.
    let free = || {
        let door = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        door.local_addr().unwrap().to_string()
    };
    let state = format!("state_dir = \"{}\"", demo.state().display());
    let text = text
        .replace("127.0.0.1:9878", &free())
        .replace("127.0.0.1:9879", &free())
        .replace("state_dir = \"ballast-run\"", &state);
    fs::write(&config, text).unwrap();
    for stderr in [Stdio::null(), full()] {
        let mut run = Command::new(BALLAST);
        run.args(["run", "--logon-within", "1", "--config"]).arg(&config).stderr(stderr);
        let status = run.stdout(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(1), "{status:?}");
    }
}
