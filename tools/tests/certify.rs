//! `ballast certify` as a desk uses it: the three scripts that ship, against the simulated venue of
//! `config/venue.toml`, over real TCP and in TLS; a venue's own Logon; and what it says when a broker's
//! expectation is not met.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
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
        Venue::start_with(name, |_, _, text| text)
    }

    /// With the two files changed: folder, name and text of each in, its text out.
    fn start_with(name: &str, change: impl Fn(&Path, &str, String) -> String) -> Venue {
        let folder = std::env::temp_dir().join(format!("ballast-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let [market_data, order_entry] = free_ports();
        for file in ["venue.toml", "demo.toml"] {
            let text = std::fs::read_to_string(repository().join("config").join(file)).unwrap();
            let text = text
                .replace("127.0.0.1:9878", &format!("127.0.0.1:{market_data}"))
                .replace("127.0.0.1:9879", &format!("127.0.0.1:{order_entry}"));
            std::fs::write(folder.join(file), change(&folder, file, text)).unwrap();
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
        let path = self.folder.join("evidence").join(file);
        for path in [path.as_path(), path.parent().unwrap()] {
            let mode = std::fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
        }
        let bytes = std::fs::read(path).unwrap();
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

fn secret_file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

/// The shipped venue in TLS for `localhost`, and a client config that trusts it, or trusts nobody of
/// that name.
fn in_tls(name: &str, is_trusted: bool) -> Venue {
    let key = rcgen::KeyPair::generate().unwrap();
    let host = || rcgen::CertificateParams::new(["localhost".to_string()]).unwrap();
    let pem = host().self_signed(&key).unwrap().pem();
    let mut other = host();
    other.distinguished_name.push(rcgen::DnType::CommonName, "somebody else");
    let other = other.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
    Venue::start_with(name, |folder, file, text| {
        let file_of = |name, text: &str| secret_file(folder, name, text);
        if file == "venue.toml" {
            let (cert, key) =
                (file_of("venue.pem", &pem), file_of("venue.key", &key.serialize_pem()));
            return format!("tls = {{ cert = \"{cert}\", key = \"{key}\" }}\n{text}");
        }
        let ca = file_of("ca.pem", if is_trusted { &pem } else { &other });
        let tls = format!("tls = {{ ca = \"{ca}\", server_name = \"localhost\" }}");
        text.replace("reset_on_logon = true }", &format!("reset_on_logon = true, {tls} }}"))
    })
}

#[test]
fn the_session_script_passes_in_tls() {
    let venue = in_tls("in-tls", true);
    let output = venue.certify(&repository().join("config/certify/session.toml"), &[]);
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{out}{}", String::from_utf8_lossy(&output.stderr));
    assert!(venue.evidence("order_entry.fixlog").contains(" IN  8=FIX.4.4\x01"), "in clear here");
}

#[test]
fn a_certificate_that_nobody_vouches_for_fails_the_logon_with_its_cause() {
    let venue = in_tls("untrusted", false);
    let output = venue.certify(&repository().join("config/certify/session.toml"), &[]);
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{out}");
    let line = out.lines().next().unwrap();
    assert!(line.starts_with("FAIL    1.1 ") && line.contains("nobody we trust"), "{line}");
}

const SIGNED: &str = r#"
name = "a venue's own Logon"
within = "10s"
[[steps]]
step = "1"
what = "Logon"
send = "A"
[[steps]]
step = "2"
what = "it is signed as the venue wants it"
expect = "A"
from = "us"
fields = ["9001=Y", "553=client-id", "95", "96", "554"]
[[steps]]
step = "3"
what = "and taken"
expect = "A"
fields = ["34=1"]
"#;

/// Deribit's end: takes one Logon, and the answer is its text where it is signed rightly.
fn take_logon(door: &std::net::TcpListener) -> String {
    let (mut stream, _) = door.accept().unwrap();
    let mut logon = Vec::new();
    while !logon.windows(4).any(|piece| piece == b"\x0110=") {
        let mut room = [0; 1024];
        let count = stream.read(&mut room).unwrap();
        assert!(count > 0, "it hung up");
        logon.extend_from_slice(&room[..count]);
    }
    let text = String::from_utf8(logon).unwrap();
    let value = |tag: &str| {
        let field = text.split('\x01').find_map(|field| field.strip_prefix(tag));
        field.unwrap_or_else(|| panic!("{tag} is missing")).to_string()
    };
    let expected = Sha256::digest(format!("{}a-secret", value("96=")));
    assert_eq!(value("554="), STANDARD.encode(expected));
    let time = value("52=");
    let body = format!(
        "35=A\x0134=1\x0149=DERIBITSERVER\x0152={time}\x0156=BALLAST\x0198=0\x01108=30\x01141=Y\x01"
    );
    let whole = format!("8=FIX.4.4\x019={}\x01{body}", body.len());
    let sum = whole.bytes().fold(0u8, |sum, byte| sum.wrapping_add(byte));
    stream.write_all(format!("{whole}10={sum:03}\x01").as_bytes()).unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    value("554=")
}

#[test]
fn a_venues_own_logon_is_signed_and_its_secrets_stay_out_of_the_evidence() {
    let folder = std::env::temp_dir().join(format!("ballast-signed-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let door = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = door.local_addr().unwrap().to_string();
    let secret = secret_file(&folder, "secret", "a-secret");
    let text = std::fs::read_to_string(repository().join("config/demo.toml")).unwrap();
    let more =
        format!("reset_on_logon = true, username = \"client-id\", secret_file = \"{secret}\" }}");
    let text = text
        .replacen("name = \"sim\"", "name = \"sim\"\ndialect = \"deribit\"", 1)
        .replace("127.0.0.1:9879", &address)
        .replace("SIM-OE", "DERIBITSERVER")
        .replace("SIM-MD", "DERIBITSERVER")
        .replace("reset_on_logon = true }", &more);
    let (config, script) = (folder.join("demo.toml"), folder.join("script.toml"));
    std::fs::write(&config, text).unwrap();
    std::fs::write(&script, SIGNED).unwrap();
    let venue = std::thread::spawn(move || take_logon(&door));
    let output = Command::new(env!("CARGO_BIN_EXE_ballast"))
        .args(["certify", "--config"])
        .arg(&config)
        .arg("--script")
        .arg(&script)
        .arg("--evidence")
        .arg(folder.join("evidence"))
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{out}{}", String::from_utf8_lossy(&output.stderr));
    let password = venue.join().unwrap();
    for file in std::fs::read_dir(folder.join("evidence")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(&password) && !text.contains("a-secret"), "{text}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
