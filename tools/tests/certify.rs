//! `ballast certify` as a desk uses it: the three scripts that ship, against the simulated venue of
//! `config/venue.toml`, over real TCP; and what it says when a broker's expectation is not met.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// `ballast venue` with the shipped config on ports of its own, and the shipped client config for it.
struct Venue {
    process: Child,
    folder: PathBuf,
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Two ports that nobody listens on.
fn free_ports() -> [u16; 2] {
    let doors = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    doors.map(|door| door.local_addr().unwrap().port())
}

impl Venue {
    fn start(name: &str) -> Venue {
        let folder = std::env::temp_dir().join(format!("ballast-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let [market_data, order_entry] = free_ports();
        for file in ["venue.toml", "demo.toml"] {
            let text = std::fs::read_to_string(repository().join("config").join(file)).unwrap();
            let text = text
                .replace("127.0.0.1:9878", &format!("127.0.0.1:{market_data}"))
                .replace("127.0.0.1:9879", &format!("127.0.0.1:{order_entry}"));
            std::fs::write(folder.join(file), text).unwrap();
        }
        let mut process = Command::new(env!("CARGO_BIN_EXE_ballast"))
            .args(["venue", "--config"])
            .arg(folder.join("venue.toml"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        for _ in 0..2 {
            assert!(lines.next().unwrap().unwrap().contains("listening on"));
        }
        Venue { process, folder }
    }

    fn certify(&self, script: &Path, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ballast"))
            .args(["certify", "--config"])
            .arg(self.folder.join("demo.toml"))
            .arg("--script")
            .arg(script)
            .arg("--evidence")
            .arg(self.folder.join("evidence"))
            .args(more)
            .output()
            .unwrap()
    }

    fn evidence(&self, file: &str) -> String {
        let bytes = std::fs::read(self.folder.join("evidence").join(file)).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// A shipped script with a piece of its text replaced.
    fn changed(&self, script: &str, from: &str, to: &str) -> PathBuf {
        let path = repository().join("config/certify").join(script);
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(from), "{from} is in {script}");
        let changed = self.folder.join(script);
        std::fs::write(&changed, text.replacen(from, to, 1)).unwrap();
        changed
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

fn passes(name: &str) -> Venue {
    let venue = Venue::start(name);
    let script = repository().join(format!("config/certify/{name}.toml"));
    let output = venue.certify(&script, &[]);
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(!out.contains("FAIL") && !out.contains("not run"), "{out}");
    let steps = std::fs::read_to_string(&script).unwrap().matches("[[steps]]").count();
    assert!(out.contains(&format!("{steps} of {steps} steps passed")), "{out}");
    venue
}

#[test]
fn the_session_script_passes_and_leaves_its_evidence() {
    let venue = passes("session");
    let raw = venue.evidence("order_entry.fixlog");
    assert!(raw.contains(" OUT 8=FIX.4.4\x01") && raw.contains(" IN  8=FIX.4.4\x01"), "{raw}");
    let decoded = venue.evidence("order_entry.decoded.txt");
    assert!(decoded.contains("Logon(A)") && decoded.contains("ResetSeqNumFlag"), "{decoded}");
    assert!(venue.evidence("result.txt").starts_with("pass    1.1 "));
    assert!(venue.evidence("script.toml").contains("session life cycle"));
}

#[test]
fn the_order_script_passes() {
    let venue = passes("orders");
    assert!(venue.evidence("market_data.decoded.txt").contains("MarketDataRequest(V)"));
}

#[test]
fn the_recovery_script_passes() {
    passes("recovery");
}

#[test]
fn an_expectation_that_is_not_met_fails_its_step_with_the_nearest_message() {
    let venue = Venue::start("unmet");
    let script = venue.changed("session.toml", "\"372=F\", \"380=5\"", "\"372=F\", \"380=4\"");
    let text = std::fs::read_to_string(&script).unwrap();
    std::fs::write(&script, text.replace("within = \"5s\"", "within = \"700ms\"")).unwrap();
    let output = venue.certify(&script, &[]);
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    let line = out.lines().find(|line| line.starts_with("FAIL")).unwrap();
    assert!(line.starts_with("FAIL    3.2 "), "{line}");
    assert!(line.contains("no 35=j 372=F 380=4 from them within 700 ms"), "{line}");
    assert!(line.contains("nearest: 380=5 instead of 4 in 8=FIX.4.4|"), "{line}");
    assert!(out.contains("not run 3.3 "), "{out}");
    assert!(err.contains("step 3.2 failed"), "{err}");
    assert!(venue.evidence("result.txt").contains("FAIL    3.2 "));

    let output = venue.certify(&script, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["is_passed"], false);
    assert_eq!(document["steps"][6]["step"], "3.2");
    assert_eq!(document["steps"][6]["result"], "FAIL");
}

#[test]
fn a_script_or_an_address_that_cannot_be_used_is_told() {
    let venue = Venue::start("unusable");
    let script = venue.changed("session.toml", "send = \"Logout\"", "send = \"Goodbye\"");
    let output = venue.certify(&script, &[]);
    assert_eq!(output.status.code(), Some(2));
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(err.contains("step 4.1 = Goodbye"), "{err}");

    let nowhere = venue.folder.join("demo.toml");
    let text = std::fs::read_to_string(&nowhere).unwrap();
    let port = free_ports()[0];
    let at = text.find("order_entry = { address = \"127.0.0.1:").unwrap() + 37;
    let end = at + text[at..].find('"').unwrap();
    std::fs::write(&nowhere, format!("{}{port}{}", &text[..at], &text[end..])).unwrap();
    let output = venue.certify(&repository().join("config/certify/session.toml"), &[]);
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.contains("FAIL    1.1 ") && out.contains(&port.to_string()), "{out}");
}
