//! `kill -9` of the real `ballast run` at random points under load, over real TCP with the real `ballast
//! venue`: nothing lost, nothing doubled, nothing reused, and it quotes again by itself. And what a person
//! does where the account that comes back is not the venue's.
//!
//! `BALLAST_KILLS` is how often (`tests/kill/run N` sets it), `BALLAST_KILL_SEED` when.

mod kept_name;
#[path = "../live_maker/mod.rs"]
mod live_maker;
mod lost_fill;
mod wire;

use ballast::random::Random;
use ballast_engine::journal::reader::JournalReader;
use live_maker::{free_address, now};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use wire::{Changes, Seen, whole};

const BALLAST: &str = env!("CARGO_BIN_EXE_ballast");
/// How long a run may take until it quotes.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the config opens with.
const OPENING: [(&str, f64); 3] = [("BTCUSDT", 1.0), ("BTCUSDT-PERP", -1.0), ("BTCUSD-PERP", 0.0)];

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A venue that keeps running, a proxy before its order entry, and a maker that is killed.
struct Rig {
    folder: PathBuf,
    venue: Child,
    seen: Arc<Mutex<Seen>>,
    maker: Option<Child>,
    started: Instant,
    runs: u64,
}

impl Rig {
    fn new(name: &str) -> Rig {
        Rig::behind(name, || [whole(), whole()], str::to_owned, str::to_owned)
    }

    /// `changes` makes what passes between them, `set_venue` and `configure` their configs.
    fn behind(
        name: &str,
        changes: impl Fn() -> Changes + Send + 'static,
        set_venue: impl Fn(&str) -> String,
        configure: impl Fn(&str) -> String,
    ) -> Rig {
        let folder = std::env::temp_dir().join(format!("ballast-k9-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
        let [market_data, order_entry] = [free_address(), free_address()].map(|a| a.to_string());
        let venue = fs::read_to_string(config.join("venue.toml")).unwrap();
        let venue = venue
            .replace("127.0.0.1:9878", &market_data)
            .replace("127.0.0.1:9879", &order_entry)
            .replace("speed = \"1\"", "speed = \"5\"")
            .replace("cancel_on_disconnect = true", "cancel_on_disconnect = false");
        fs::write(folder.join("venue.toml"), set_venue(&free_of_fees(&venue))).unwrap();
        let log = File::create(folder.join("venue.log")).unwrap();
        let venue = Command::new(BALLAST)
            .args(["venue", "--config"])
            .arg(folder.join("venue.toml"))
            .stderr(log)
            .spawn()
            .unwrap();
        let (proxy, seen) = wire::proxy(order_entry.parse().unwrap(), changes);
        let maker = fs::read_to_string(config.join("demo.toml")).unwrap();
        let state = folder.join("state").display().to_string();
        let maker = maker
            .replace("127.0.0.1:9878", &market_data)
            .replace("127.0.0.1:9879", &proxy.to_string())
            .replace("state_dir = \"ballast-run\"", &format!("state_dir = \"{state}\""));
        // Its order session keeps its numbers: what was missed is asked for again.
        let (feed, entry) = maker.split_once("order_entry = {").unwrap();
        let entry = entry.replacen("reset_on_logon = true", "reset_on_logon = false", 1);
        let maker = format!("{feed}order_entry = {{{entry}");
        // Few of these runs live so long that there is a snapshot of them: some are waited for.
        let maker = format!("{}\n[journal]\nsnapshot_s = 1\n", free_of_fees(&maker));
        fs::write(folder.join("maker.toml"), configure(&maker)).unwrap();
        Rig { folder, venue, seen, maker: None, started: now(), runs: 0 }
    }

    fn start(&mut self) {
        self.runs += 1;
        let maker = live_maker::start(&self.folder, self.runs);
        self.started = now();
        self.maker = Some(maker);
    }

    fn log(&self) -> String {
        live_maker::log(&self.folder, self.runs)
    }

    /// Waits for the first new order of this run; how long it took.
    fn until_quoting(&mut self) -> Duration {
        loop {
            let last = self.seen.lock().unwrap().last_order;
            if let Some(at) = last.filter(|at| *at >= self.started) {
                return at - self.started;
            }
            let exited = self.maker.as_mut().unwrap().try_wait().unwrap();
            let is_late = self.started.elapsed() > PATIENCE;
            if exited.is_some() || is_late {
                let log = self.log();
                let status = self.status();
                panic!("run {} never quoted ({exited:?}): {log}\n{status}", self.runs);
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// Waits until there is a snapshot of this run for the next to go on from.
    fn until_snapshot(&self) {
        let state = self.folder.join("state");
        // One that was killed before it had taken a number has none: runs and starts are not the same.
        let run: u32 = fs::read_to_string(state.join("epoch")).unwrap().trim().parse().unwrap();
        let prefix = format!("snapshot-{run:06}.");
        let is_there = || {
            let entries = fs::read_dir(&state).unwrap().flatten();
            entries.filter_map(|entry| entry.file_name().into_string().ok()).any(|name| {
                name.strip_prefix(&prefix).is_some_and(|rest| rest.parse::<u64>().is_ok())
            })
        };
        while !is_there() {
            assert!(self.started.elapsed() <= PATIENCE, "no snapshot: {}", self.log());
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// Did this run replay only what came after a snapshot?
    fn began_at_snapshot(&self) -> bool {
        let log = self.log();
        let line = log.lines().find(|line| line.contains(" inputs replayed"));
        let counts = line.and_then(|line| line.split_once(": ")?.1.split_once(" inputs replayed"));
        let [replayed, all] = counts
            .and_then(|(counts, _)| counts.split_once(" of "))
            .map_or([0, 0], |(one, other)| [one, other].map(|text| text.parse::<u64>().unwrap()));
        replayed < all
    }

    /// By the operator's socket: what is answered, or why it is refused.
    fn ask(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(BALLAST);
        command.args(arguments).arg("--socket").arg(self.folder.join("state"));
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Waits until the disk has an operator's act: what is not written yet dies with the process.
    fn until_journaled(&self, act: &str) {
        let state = self.folder.join("state");
        let is_there = || {
            let output = Command::new(BALLAST).arg("journal").arg(&state).output().unwrap();
            String::from_utf8_lossy(&output.stdout).contains(act)
        };
        while !is_there() {
            assert!(self.started.elapsed() <= PATIENCE, "{act}: never journaled");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn status(&self) -> String {
        self.ask(&["status"]).unwrap_or_else(|told| told)
    }

    /// Waits until the quoted instrument stands so.
    fn until_state(&self, wanted: (&str, &str)) {
        let is_so = || {
            let told = self.ask(&["status", "--json"]).ok()?;
            let status: Value = serde_json::from_str(&told).ok()?;
            let row = &status["instruments"][0];
            Some((row["state"].as_str()?, row["reason"].as_str()?) == wanted)
        };
        while is_so() != Some(true) {
            let is_late = self.started.elapsed() > PATIENCE;
            assert!(!is_late, "never {wanted:?}: {}\n{}", self.log(), self.status());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn kill(&mut self) {
        let mut maker = self.maker.take().unwrap();
        maker.kill().unwrap();
        maker.wait().unwrap();
    }

    /// Ends the run in order; how it went.
    fn interrupt(&mut self) -> ExitStatus {
        self.signal(Signal::INT)
    }

    fn signal(&mut self, signal: Signal) -> ExitStatus {
        let mut maker = self.maker.take().unwrap();
        kill_process(Pid::from_child(&maker), signal).unwrap();
        maker.wait().unwrap()
    }

    /// The same; its summary.
    fn end(&mut self) -> Value {
        assert!(self.interrupt().success(), "{}", self.log());
        let path = self.folder.join(format!("maker-{:04}.json", self.runs));
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    }

    /// The journals that began, oldest first: a run that is killed at once leaves none, or no header.
    fn journals(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.join("state")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut journals: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|end| end == "blj" || end == "zst"))
            .filter(|path| JournalReader::open(path).is_ok())
            .collect();
        journals.sort();
        journals
    }

    fn replays(&self, journal: &Path) -> bool {
        let output = Command::new(BALLAST).arg("replay").arg(journal).output().unwrap();
        if !output.status.success() {
            eprintln!("{}: {}", journal.display(), String::from_utf8_lossy(&output.stderr));
            eprintln!("{}", String::from_utf8_lossy(&output.stdout));
        }
        output.status.success()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(mut maker) = self.maker.take() {
            let _ = maker.kill();
            let _ = maker.wait();
        }
        let _ = self.venue.kill();
        let _ = self.venue.wait();
        if std::env::var_os("BALLAST_KEEP").is_none() && !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Without fees there is more to trade.
fn free_of_fees(config: &str) -> String {
    let line = |line: &str| match line.split_once("_fee_bps = ") {
        Some((who, _)) => format!("{who}_fee_bps = \"0\""),
        None => line.to_owned(),
    };
    config.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Positions at the end of a run are what was opened with and every fill that the wire saw, once.
fn positions_agree(seen: &Seen, summary: &Value) -> Vec<String> {
    let differs = |(symbol, opening): &(&str, f64)| {
        let ours: f64 = summary["inventory_end"][symbol].as_str().unwrap().parse().unwrap();
        let theirs = opening + seen.traded(symbol);
        ((ours - theirs).abs() > 1e-9).then(|| format!("{symbol}: ours {ours}, wire {theirs}"))
    };
    OPENING.iter().filter_map(differs).collect()
}

#[test]
fn a_killed_run_comes_back_with_nothing_lost_doubled_or_reused() {
    let kills = from_environment("BALLAST_KILLS", 4);
    let mut random = Random::new(from_environment("BALLAST_KILL_SEED", 1));
    let mut rig = Rig::new("kills");
    let mut times = Vec::new();
    let (mut awaited, mut used) = (false, 0);
    for kill in 0..kills {
        rig.start();
        // Now and then it dies before it has come back at all.
        if kill % 8 == 7 {
            std::thread::park_timeout(Duration::from_millis(random.below(400)));
        } else {
            times.push(rig.until_quoting());
            if awaited {
                assert!(rig.began_at_snapshot(), "{}", rig.log());
                used += 1;
            }
            awaited = kill % 8 == 1;
            if awaited {
                rig.until_snapshot();
            }
            std::thread::park_timeout(Duration::from_millis(random.below(1_500)));
        }
        rig.kill();
    }
    assert!(used > 0 || kills < 3, "none went on from a snapshot");
    rig.start();
    times.push(rig.until_quoting());
    std::thread::park_timeout(Duration::from_millis(500));
    let summary = rig.end();
    let seen = rig.seen.lock().unwrap();
    assert_eq!(seen.faults, Vec::<String>::new());
    assert_eq!(seen.resent_orders, 0, "a stale order is not sent again");
    assert_eq!(positions_agree(&seen, &summary), Vec::<String>::new(), "{summary:#}");
    assert!(seen.fills.len() as u64 >= kills, "there was something to lose: {}", seen.fills.len());
    let journals = rig.journals();
    assert!(journals.len() as u64 > kills / 2, "{} journals of {} runs", journals.len(), rig.runs);
    for journal in journals.iter().rev().step_by((journals.len() / 10).max(1)) {
        assert!(rig.replays(journal), "{} does not replay", journal.display());
    }
    times.sort_unstable();
    let quantile = |per_mille: usize| times[(times.len() - 1) * per_mille / 1000];
    eprintln!(
        "{kills} kills -9, {} orders, {} fills ({} told again), {} messages, {} ResendRequests: 0 fills \
         lost, 0 orders doubled, 0 numbers or names reused, positions equal, {used} went on from an awaited \
         snapshot; quoting again after p50 {:?}, p99 {:?}, max {:?}",
        seen.orders,
        seen.fills.len(),
        seen.fills_told_again,
        seen.numbers.len(),
        seen.resend_requests,
        quantile(500),
        quantile(990),
        quantile(1000),
    );
}

#[test]
fn an_account_that_is_not_the_venues_is_put_right_before_an_operator_may_resume() {
    let mut rig = Rig::new("doubt");
    rig.start();
    rig.until_quoting();
    // A booking that the venue knows nothing of: the next start finds another position there.
    rig.ask(&["book", "adjust", "BTCUSDT", "0.002"]).unwrap();
    rig.until_journaled("book an adjustment of 0.00200 BTCUSDT");
    rig.kill();
    rig.start();
    rig.until_state(("halted", "position_differs"));
    for what in ["BTCUSDT", "--all"] {
        for act in ["resume", "flatten"] {
            let told = rig.ask(&[act, what]).unwrap_err();
            assert!(told.contains("BTCUSDT: position_differs"), "{told}");
            assert!(told.contains("ballast book adjust SYMBOL AMOUNT"), "{told}");
        }
    }
    rig.ask(&["resume", "BTCUSDT-PERP"]).unwrap();
    rig.until_state(("halted", "position_differs"));
    rig.ask(&["book", "adjust", "USDT", "0"]).unwrap_err();
    rig.ask(&["book", "adjust", "BTCUSDT", "-0.002"]).unwrap();
    rig.until_state(("halted", "account_put_right"));
    rig.ask(&["resume", "BTCUSDT"]).unwrap();
    rig.until_state(("quoting", "normal"));
    // It ends as the venue has it.
    let summary = rig.end();
    assert_eq!(positions_agree(&rig.seen.lock().unwrap(), &summary), Vec::<String>::new());
}

#[test]
fn a_run_that_ends_while_its_venue_is_gone_says_what_it_leaves_there() {
    let mut rig = Rig::new("left");
    rig.start();
    rig.until_quoting();
    rig.until_state(("quoting", "normal"));
    rig.venue.kill().unwrap();
    rig.venue.wait().unwrap();
    assert_eq!(rig.interrupt().code(), Some(1));
    let log = rig.log();
    assert!(log.contains("orders may still work there (ClOrdID "), "{log}");
}

/// Is SIGHUP ignored, as under `nohup`? What is started has it ignored too, and goes on.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(ignored.trim(), 16).unwrap() & 1 != 0
}

#[test]
fn a_run_whose_terminal_goes_away_ends_in_order() {
    if is_hangup_ignored() {
        println!("skipped: SIGHUP is ignored here, as under nohup");
        return;
    }
    let mut rig = Rig::new("hangup");
    rig.start();
    rig.until_quoting();
    rig.until_state(("quoting", "normal"));
    assert!(rig.signal(Signal::HUP).success(), "{}", rig.log());
    assert!(!rig.log().contains("may still work there"), "{}", rig.log());
}
