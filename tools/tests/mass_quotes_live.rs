//! The real `ballast run` that quotes by MassQuote(i), over real TCP: market data from the real `ballast
//! venue`, order entry at a venue of this file that keeps Deribit's rules for quotes. It is killed, comes
//! back, is killed by an operator's hand and ends; the venue counts what was placed and what traded.

mod live_maker;
#[path = "../../gateway/tests/quote_venue/mod.rs"]
mod quote_venue;
#[path = "kill/wire.rs"]
#[allow(dead_code, reason = "a part of it is used")]
mod wire;

use live_maker::{as_deribit, at_deribit, free_address, now};
use quote_venue::{Field, QuoteVenue};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const BALLAST: &str = env!("CARGO_BIN_EXE_ballast");
const PATIENCE: Duration = Duration::from_secs(60);
const SYMBOL: &str = "BTCUSDT";
const GROUP: &str = "perpetuals";
/// Every so many messages something trades.
const TRADES_EVERY: u64 = 3;

/// What the venue of order entry knows.
#[derive(Default)]
struct State {
    quotes: QuoteVenue,
    /// MsgType(35)s that came, per connection.
    heard: Vec<Vec<String>>,
    /// Names of q, Z and the like: none is used twice.
    names: BTreeSet<String>,
    /// Nobody trades any more.
    is_quiet: bool,
}

impl State {
    fn get(fields: &[Field], tag: u32) -> String {
        fields.iter().find(|(t, _)| *t == tag).map(|(_, v)| v.clone()).unwrap_or_default()
    }

    /// What is answered; empty where nothing is.
    fn hear(&mut self, fields: &[Field]) -> Vec<String> {
        let (kind, text) = (Self::get(fields, 35), |tag| Self::get(fields, tag));
        self.heard.last_mut().unwrap().push(kind.clone());
        match kind.as_str() {
            "A" => {
                if (text(9001), text(141)) != ("Y".into(), "Y".into()) {
                    self.quotes.faults.push(format!("mass quotes demand 9001=Y: {fields:?}"));
                }
                vec![format!("A|98=0|108={}|141=Y|9001=Y", text(108))]
            }
            "1" => vec![format!("0|112={}", text(112))],
            "5" => vec!["5".into()],
            "i" => {
                let mut said = self.quotes.mass_quote(fields);
                if !self.is_quiet && self.quotes.messages.is_multiple_of(TRADES_EVERY) {
                    let side = if self.quotes.messages.is_multiple_of(2) { "1" } else { "2" };
                    said.extend(self.quotes.trade(SYMBOL, side, 0.002));
                }
                said
            }
            "Z" => self.quotes.quote_cancel(fields),
            "AF" => self.quotes.status(fields),
            "q" => {
                self.unique(text(11));
                vec![format!("r|11={}|530=7|531=7|58=success|533=0", text(11))]
            }
            "AN" => vec![format!("AP|721=P|710={}|724=0|728=0|{}", text(710), self.positions())],
            "0" | "2" => Vec::new(),
            other => {
                self.quotes.faults.push(format!("{other} of a quote: {fields:?}"));
                Vec::new()
            }
        }
    }

    fn unique(&mut self, name: String) {
        if !self.names.insert(name.clone()) {
            self.quotes.faults.push(format!("{name} was used before"));
        }
    }

    fn held(&self) -> f64 {
        let held = 1.0 + self.quotes.traded(SYMBOL);
        (held * 1e8).round() / 1e8
    }

    fn positions(&self) -> String {
        let held = self.held();
        format!("702=2|703=TQ|55={SYMBOL}|704={held}|705=0|703=TQ|55=BTCUSDT-PERP|704=0|705=1")
    }
}

fn fields_of(frame: &[u8]) -> Vec<Field> {
    let text = String::from_utf8_lossy(frame).into_owned();
    let field = |field: &str| {
        let (tag, value) = field.split_once('=')?;
        Some((tag.parse().ok()?, value.to_owned()))
    };
    text.split('\x01').filter_map(field).collect()
}

/// One connection after the other, each with numbers of its own.
fn serve(door: &TcpListener, state: &Mutex<State>) {
    for stream in door.incoming().flatten() {
        state.lock().unwrap().heard.push(Vec::new());
        converse(stream, state);
        state.lock().unwrap().quotes.session_over();
    }
}

fn converse(mut stream: TcpStream, state: &Mutex<State>) {
    let mut room = [0u8; 1 << 16];
    let (mut bytes, mut number) = (Vec::new(), 0u64);
    while let Ok(count @ 1..) = stream.read(&mut room) {
        bytes.extend_from_slice(&room[..count]);
        while let Some((_, length)) = wire::message(&bytes) {
            let frame: Vec<u8> = bytes.drain(..length).collect();
            let fields = fields_of(&frame);
            for text in state.lock().unwrap().hear(&fields) {
                number += 1;
                let (kind, body) = text.split_once('|').unwrap_or((&text, ""));
                let sent = jiff::Timestamp::now().strftime("%Y%m%d-%H:%M:%S%.3f").to_string();
                let header = [
                    format!("35={kind}"),
                    format!("34={number}"),
                    "49=DERIBITSERVER".into(),
                    format!("52={sent}"),
                    "56=BALLAST".into(),
                ];
                let body = body.split('|').filter(|field| !field.is_empty());
                let all = header.iter().map(String::as_str).chain(body).map(str::as_bytes);
                if stream.write_all(&wire::sealed(all)).is_err() {
                    return;
                }
            }
            if State::get(&fields, 35) == "5" {
                return;
            }
        }
    }
}

struct Rig {
    folder: PathBuf,
    venue: Child,
    state: Arc<Mutex<State>>,
    maker: Option<Child>,
    runs: u64,
}

fn maker_config(market_data: &str, order_entry: &str, folder: &Path) -> String {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/demo.toml");
    let text = fs::read_to_string(config).unwrap();
    let secret = folder.join("secret");
    // The quoted instrument as a perpetual, one level a side, nothing hedged.
    let (before, hedge) = text.split_once("[underlying.BTC.hedge]").unwrap();
    let (_, behind) = hedge.split_once("[conversion]").unwrap();
    let text = format!("{before}[conversion]{behind}")
        .replacen("kind = \"spot\"", "kind = \"linear_perpetual\"", 1)
        .replacen("levels = 2 ", "levels = 1 ", 1)
        .replacen(
            "fair_value = \"weighted_mid\"",
            &format!("mmp_group = \"{GROUP}\"\nfair_value = \"weighted_mid\""),
            1,
        )
        .replacen("levels = 2", "levels = 1", 1)
        .replace("127.0.0.1:9878", market_data)
        .replace("127.0.0.1:9879", order_entry)
        .replace(
            "state_dir = \"ballast-run\"",
            &format!("state_dir = \"{}\"", folder.join("state").display()),
        );
    at_deribit(&text, &secret.display().to_string())
}

impl Rig {
    fn new() -> Rig {
        let folder = std::env::temp_dir().join(format!("ballast-mass-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let secret = folder.join("secret");
        fs::write(&secret, "secret").unwrap();
        let owner_alone = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&secret, owner_alone).unwrap();
        let [market_data, unused] = [free_address(), free_address()].map(|a| a.to_string());
        let venue = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/venue.toml");
        let venue = fs::read_to_string(venue)
            .unwrap()
            .replace("127.0.0.1:9878", &market_data)
            .replace("127.0.0.1:9879", &unused)
            .replace("logons_min = 2", "logons_min = 1")
            .replace("speed = \"1\"", "speed = \"5\"");
        fs::write(folder.join("venue.toml"), as_deribit(&venue)).unwrap();
        let log = File::create(folder.join("venue.log")).unwrap();
        let venue = Command::new(BALLAST)
            .args(["venue", "--config"])
            .arg(folder.join("venue.toml"))
            .stderr(log)
            .spawn()
            .unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        {
            let quotes = &mut state.lock().unwrap().quotes;
            quotes.groups.insert(GROUP.into(), false);
            quotes.symbols.insert(SYMBOL.into(), 0.01);
            // Nobody else is there: what would take is a quote of our own.
            quotes.market.insert(SYMBOL.into(), (0.0, f64::INFINITY));
        }
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let order_entry = door.local_addr().unwrap().to_string();
        let shared = state.clone();
        std::thread::spawn(move || serve(&door, &shared));
        let maker = maker_config(&market_data, &order_entry, &folder);
        fs::write(folder.join("maker.toml"), maker).unwrap();
        Rig { folder, venue, state, maker: None, runs: 0 }
    }

    fn start(&mut self) {
        self.runs += 1;
        self.state.lock().unwrap().is_quiet = false;
        self.maker = Some(live_maker::start(&self.folder, self.runs));
    }

    fn log(&self) -> String {
        live_maker::log(&self.folder, self.runs)
    }

    fn until(&self, what: &str, is_so: impl Fn(&State) -> bool) {
        let since = now();
        while !is_so(&self.state.lock().unwrap()) {
            let state = self.state.lock().unwrap();
            let (quotes, heard) = (&state.quotes, &state.heard);
            assert!(
                since.elapsed() < PATIENCE && quotes.faults.is_empty(),
                "{what}: {} messages, {} open, {heard:?}, {:?}: {}",
                quotes.messages,
                quotes.open.len(),
                quotes.faults,
                self.log()
            );
            drop(state);
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// Both sides stand, and so much more was traded.
    fn until_traded(&self, fills: usize) {
        let before = self.state.lock().unwrap().quotes.fills.len();
        self.until("it quotes and trades", |state| state.quotes.fills.len() >= before + fills);
        // What traded is heard before the run dies: nobody could ask for it later.
        let messages = {
            let mut state = self.state.lock().unwrap();
            state.is_quiet = true;
            state.quotes.messages
        };
        self.until("it goes on", |state| {
            state.quotes.messages >= messages + 2 && state.quotes.open.len() == 2
        });
    }

    fn kill(&mut self) {
        let mut maker = self.maker.take().unwrap();
        maker.kill().unwrap();
        maker.wait().unwrap();
        self.until("the venue notices", |state| state.quotes.open.is_empty());
    }

    /// Ends the run in order; its summary.
    fn end(&mut self) -> Value {
        let mut maker = self.maker.take().unwrap();
        let pid = rustix::process::Pid::from_child(&maker);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let exit = maker.wait().unwrap();
        assert!(exit.success(), "{}", self.log());
        let path = self.folder.join(format!("maker-{:04}.json", self.runs));
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    }

    fn agrees(&self, summary: &Value) {
        let ours = summary["inventory_end"][SYMBOL].as_str().unwrap();
        let ours: f64 = ours.parse().unwrap();
        let theirs = self.state.lock().unwrap().held();
        assert!((ours - theirs).abs() < 1e-9, "ours {ours}, venue {theirs}: {summary:#}");
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
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

#[test]
fn a_run_quotes_by_mass_quote_books_its_fills_comes_back_and_is_killed() {
    let mut rig = Rig::new();
    rig.start();
    rig.until_traded(2);
    rig.kill();
    // Back: what an earlier run left is asked out before anything is quoted, and nothing is used again.
    rig.start();
    rig.until_traded(2);
    let second = rig.state.lock().unwrap().heard.last().unwrap().clone();
    let place = |kind: &str| second.iter().position(|heard| heard == kind);
    assert!(place("Z").is_some() && place("q").is_some(), "{second:?}");
    assert!(place("Z") < place("i") && place("q") < place("i"), "{second:?}");
    let summary = rig.end();
    rig.agrees(&summary);
    // By an operator's hand: every quote goes, and none comes back.
    rig.start();
    rig.until_traded(1);
    let mut kill = Command::new(BALLAST);
    kill.args(["kill", "--reason", "a test"]).arg("--socket").arg(rig.folder.join("state"));
    let output = kill.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    rig.until("all quotes are out", |state| state.quotes.open.is_empty());
    let placed = rig.state.lock().unwrap().quotes.entries;
    let summary = rig.end();
    rig.agrees(&summary);
    let state = rig.state.lock().unwrap();
    assert!(state.quotes.open.is_empty());
    println!(
        "{} messages, {} entries, {placed} before the end",
        state.quotes.messages, state.quotes.entries
    );
    assert_eq!(state.quotes.faults, Vec::<String>::new());
    drop(state);
    let mut replayed = 0;
    for journal in fs::read_dir(rig.folder.join("state")).unwrap().flatten() {
        let path = journal.path();
        // Those of earlier runs are compressed.
        if path.extension().is_some_and(|end| end == "blj" || end == "zst") {
            replayed += 1;
            let replay = Command::new(BALLAST).arg("replay").arg(&path).output().unwrap();
            let told = String::from_utf8_lossy(&replay.stdout).into_owned();
            assert!(replay.status.success(), "{}: {told}", path.display());
        }
    }
    assert_eq!(replayed, rig.runs);
    // As if the process had died between the maker's kill and the note: the journal knows of it.
    fs::remove_file(rig.folder.join("state/killed.json")).unwrap();
    rig.start();
    let status = rig.maker.as_mut().unwrap().wait().unwrap();
    let told = rig.log();
    assert!(!status.success() && told.contains("ends killed, and no note says why"), "{told}");
    assert!(rig.folder.join("state/killed.json").exists());
}
