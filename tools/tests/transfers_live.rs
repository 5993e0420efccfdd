//! `ballast book` on transfers of a real `ballast run`, over real TCP with two real venues: `kill -9` between
//! the request, what treasury says of it and its arrival; nothing is lost, moved twice or asked for twice.

use serde_json::Value;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;
use toml::Table;

const BALLAST: &str = env!("CARGO_BIN_EXE_ballast");
const VENUES: [(&str, &str, &str); 2] =
    [("alpha", "BTCUSDT-A", "1.5"), ("beta", "BTCUSDT-B", "0.5")];

fn text(value: &str) -> toml::Value {
    toml::Value::String(value.to_owned())
}

fn table<'a>(of: &'a mut Table, path: &[&str]) -> &'a mut Table {
    path.iter().fold(of, |table, key| table[*key].as_table_mut().unwrap())
}

/// The config of one of the venues: one spot market.
fn venue(instrument: &toml::Value, ports: &[String; 2], opening: &str) -> String {
    let mut venue: Table = include_str!("../../config/venue.toml").parse().unwrap();
    let name = instrument["venue"].as_str().unwrap().to_uppercase();
    venue.insert("listen".into(), ports.iter().map(|port| text(port)).collect::<Vec<_>>().into());
    for (session, kind) in venue["sessions"].as_array_mut().unwrap().iter_mut().zip(["MD", "OE"]) {
        let session = session.as_table_mut().unwrap();
        session.insert("sender_comp_id".into(), text(&format!("{name}-{kind}")));
    }
    let held =
        Table::from_iter([(instrument["symbol"].as_str().unwrap().to_owned(), text(opening))]);
    table(&mut venue, &["opening"]).insert("BALLAST".into(), held.into());
    venue.insert("instruments".into(), vec![instrument.clone()].into());
    toml::to_string(&venue).unwrap()
}

/// Two venues, of which one has too many coins, and a maker that moves them by transfer alone.
struct Rig {
    folder: PathBuf,
    venues: Vec<Child>,
    maker: Option<Child>,
    runs: u32,
}

impl Rig {
    fn new() -> Rig {
        let folder = std::env::temp_dir().join(format!("ballast-transfers-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let mut rig = Rig { folder, venues: Vec::new(), maker: None, runs: 0 };
        let mut maker: Table = include_str!("../../config/two-venues.toml").parse().unwrap();
        table(&mut maker, &["rebalance"]).remove("offset");
        for (n, (name, symbol, opening)) in VENUES.into_iter().enumerate() {
            let free = || TcpListener::bind("127.0.0.1:0").unwrap();
            let ports = [free(), free()].map(|at| at.local_addr().unwrap().to_string());
            let own = table(&mut maker, &["instrument", symbol]);
            own.insert("opening".into(), text(opening));
            // Without a skew the quotes bring nothing home.
            table(own, &["quote"]).remove("holdings");
            let sessions = maker["venues"].as_array_mut().unwrap()[n].as_table_mut().unwrap();
            for (session, port) in ["market_data", "order_entry"].into_iter().zip(&ports) {
                table(sessions, &[session]).insert("address".into(), text(port));
            }
            table(sessions, &["order_entry"]).insert("reset_on_logon".into(), false.into());
            // A simulated venue knows nothing of what treasury moved: an operator confirms, or nobody.
            let asked = ["mass_cancel", "mass_status", "order_status"].map(text);
            sessions.insert("reconcile".into(), asked.to_vec().into());
            let config = rig.folder.join(format!("{name}.toml"));
            let instrument = &maker["instruments"].as_array().unwrap()[n];
            fs::write(&config, venue(instrument, &ports, opening)).unwrap();
            let log = File::create(rig.folder.join(format!("{name}.log"))).unwrap();
            let mut command = Command::new(BALLAST);
            command.args(["venue", "--config"]).arg(&config).stderr(log);
            rig.venues.push(command.spawn().unwrap());
        }
        let state = rig.state().display().to_string();
        table(&mut maker, &["run"]).insert("state_dir".into(), text(&state));
        fs::write(rig.folder.join("maker.toml"), toml::to_string(&maker).unwrap()).unwrap();
        rig
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn start(&mut self) {
        self.runs += 1;
        let log = |end: &str| File::create(self.folder.join(format!("run-{}.{end}", self.runs)));
        let mut command = Command::new(BALLAST);
        command.args(["run", "--json", "--config"]).arg(self.folder.join("maker.toml"));
        command.stdout(log("json").unwrap()).stderr(log("log").unwrap());
        self.maker = Some(command.spawn().unwrap());
    }

    fn kill(&mut self) {
        let mut maker = self.maker.take().unwrap();
        maker.kill().unwrap();
        maker.wait().unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join(format!("run-{}.log", self.runs))).unwrap_or_default()
    }

    fn ask(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(BALLAST);
        let output = command.args(arguments).arg("--socket").arg(self.state()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Looks until there is something, for a minute.
    fn until<T>(&mut self, what: &str, look: impl Fn(&Rig) -> Option<T>) -> T {
        for _ in 0..6_000 {
            if let Some(found) = look(self) {
                return found;
            }
            let exited = self.maker.as_mut().and_then(|maker| maker.try_wait().unwrap());
            assert!(exited.is_none(), "never {what}: {exited:?} {}", self.log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
        panic!("never {what}: {:?} {}", self.ask(&["status"]), self.log());
    }

    fn holdings(&self) -> Option<Holdings> {
        let status: Value = serde_json::from_str(&self.ask(&["status", "--json"]).ok()?).ok()?;
        Holdings::of(&status["holdings"])
    }

    /// Waits until the one open transfer is that far; none where there is no stage.
    fn until_stage(&mut self, stage: Option<&str>) -> Holdings {
        let is_so = |held: &Holdings| held.transfer.as_ref().map(|(_, at)| at.as_str()) == stage;
        self.until(&format!("{stage:?}"), |rig| rig.holdings().filter(is_so))
    }

    /// The requests that treasury was given.
    fn asked(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.state().join("treasury.jsonl")).unwrap_or_default();
        let whole = text.lines().filter(|_| text.ends_with('\n'));
        whole.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for process in self.maker.iter_mut().chain(&mut self.venues) {
            let _ = process.kill();
            let _ = process.wait();
        }
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Coins, in 1e-9.
#[derive(Debug)]
struct Holdings {
    at: [i64; 2],
    transfer: Option<(String, String)>,
    leaves: i64,
    arrives: i64,
}

fn nano(value: &Value) -> Option<i64> {
    Some((value.as_str()?.parse::<f64>().ok()? * 1e9).round() as i64)
}

impl Holdings {
    fn of(document: &Value) -> Option<Holdings> {
        let places = document["places"].as_array()?;
        let coins = |venue: &str| {
            let of = |place: &&Value| place["venue"] == venue && place["currency"] == "BTC";
            nano(&places.iter().find(of)?["total"])
        };
        let open = document["transfers"].as_array()?;
        assert!(open.len() <= 1, "{document}");
        let name = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
        Some(Holdings {
            at: [coins("alpha")?, coins("beta")?],
            transfer: open.first().map(|row| (name(row, "transfer"), name(row, "stage"))),
            leaves: open.first().map_or(Some(0), |row| nano(&row["amount"]))?,
            arrives: open.first().map_or(Some(0), |row| nano(&row["arrives"]))?,
        })
    }
}

#[test]
fn a_transfer_outlives_kills_between_request_confirmation_and_arrival_and_nothing_moves_twice() {
    let mut rig = Rig::new();
    rig.start();
    let request = rig.until("asked", |rig| rig.asked().pop());
    rig.kill();
    let id = request["transfer"].as_str().unwrap().to_owned();
    assert_eq!((&request["from"], &request["to"]), (&"alpha".into(), &"beta".into()), "{request}");

    rig.start();
    let before = rig.until_stage(Some("requested"));
    assert_eq!(before.transfer.as_ref().map(|(open, _)| open), Some(&id), "the same request");
    assert_eq!(Some(before.leaves), nano(&request["amount"]));
    let whole = before.at[0] + before.at[1];
    let early = rig.ask(&["book", "transfer-arrived", &id]).unwrap_err();
    assert!(early.contains("was not sent yet"), "{early}");
    rig.ask(&["book", "transfer-sent", &id]).unwrap();
    rig.kill();

    rig.start();
    let on_the_way = rig.until_stage(Some("sent"));
    let fee = before.leaves - on_the_way.arrives;
    assert!(fee > 0 && fee < 2_000_000, "half a thousandth, in whole lots: {on_the_way:?}");
    assert_eq!(on_the_way.at, [before.at[0] - before.leaves, before.at[1]]);
    assert_eq!(on_the_way.at[0] + on_the_way.at[1] + on_the_way.arrives + fee, whole);
    let twice = rig.ask(&["book", "transfer-sent", &id]).unwrap_err();
    assert!(twice.contains("was sent already"), "{twice}");
    rig.ask(&["book", "transfer-arrived", &id]).unwrap();
    rig.kill();

    rig.start();
    let after = rig.until_stage(None);
    assert_eq!(after.at, [on_the_way.at[0], before.at[1] + on_the_way.arrives]);
    assert_eq!(after.at[0] + after.at[1] + fee, whole);
    let again = rig.ask(&["book", "transfer-arrived", &id]).unwrap_err();
    assert!(again.contains("is not open"), "{again}");
    assert_eq!(rig.asked().len(), 1, "treasury was asked once: {:?}", rig.asked());
    let status = rig.ask(&["status", "--json"]).unwrap();
    assert!(!status.contains("holdings_differ"), "{status}");
    rig.kill();
    let replayed = Command::new(BALLAST).arg("replay").arg(rig.state()).output().unwrap();
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
}
