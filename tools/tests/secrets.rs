//! Secrets that are planted where they belong, and where people put them by mistake, show up nowhere: no
//! log, journal, FIX log, store, metric, answer, error or `Debug`. What a run makes is its owner's alone.

use ballast::config::ConfigFile;
use ballast_gateway::fix::secret::{mask_message, mask_text};
use ballast_gateway::session::Credentials;
use ballast_gateway::venue::secret::Secret;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const PASSWORD: &str = "planted-hunter2-Zx9";
const BALLAST: &str = env!("CARGO_BIN_EXE_ballast");

fn shipped() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join("config/demo.toml")).unwrap()
}

/// Every file below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

/// A socket holds nothing; journals are left uncompressed, so that what they hold is seen.
fn content(path: &Path) -> Vec<u8> {
    let is_socket = path.extension().is_some_and(|end| end == "sock");
    if is_socket { Vec::new() } else { fs::read(path).unwrap() }
}

struct Run {
    folder: PathBuf,
}

impl Run {
    /// A config whose both sessions log on with the planted password, out of a file.
    fn new(name: &str, mode: u32) -> Run {
        let folder =
            std::env::temp_dir().join(format!("ballast-secret-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let secret = folder.join("desk.password");
        fs::write(&secret, format!("{PASSWORD}\n")).unwrap();
        fs::set_permissions(&secret, Permissions::from_mode(mode)).unwrap();
        let with = format!("username = \"desk\", password_file = {secret:?}, heartbeat_s");
        let text = shipped().replace("heartbeat_s", &with);
        let more = "\n[operator]\nmetrics = \"127.0.0.1:0\"\n[journal]\nuncompressed = true\n";
        let text = text + more;
        fs::write(folder.join("demo.toml"), text).unwrap();
        Run { folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BALLAST);
        command.args(arguments).current_dir(&self.folder).env("RUST_LOG", "trace");
        command.env("RUST_BACKTRACE", "full").stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_run_with_a_password_shows_it_nowhere_and_its_files_are_its_owners() {
    let run = Run::new("run", 0o600);
    let demo =
        ["demo", "--config", "demo.toml", "--duration", "4s", "--speed", "10", "--state-dir"];
    let more = ["state", "--fix-log", "fixlog", "--report", "report", "--json"];
    let child = run.command(&[&demo[..], &more[..]].concat()).spawn().unwrap();
    let mut told = Vec::new();
    for _ in 0..40 {
        let status = run.command(&["status", "--socket", "state", "--json"]).output().unwrap();
        let limits = run.command(&["limits", "--socket", "state"]).output().unwrap();
        for output in [status, limits] {
            told.extend(output.stdout);
            told.extend(output.stderr);
        }
        if holds(&told, "\"fills\"") {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    assert!(holds(&told, "\"fills\""), "the operator was answered");
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    for (what, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr), ("told", &told)] {
        assert!(!holds(bytes, PASSWORD), "{what}");
    }
    let mut made = Vec::new();
    for folder in ["state", "fixlog", "report"] {
        files(&run.folder.join(folder), &mut made);
    }
    let has = |end: &str| made.iter().any(|path| path.display().to_string().contains(end));
    assert!(has(".blj") && has(".fixlog") && has("report.html"), "{made:?}");
    let mut logons = 0;
    for path in &made {
        let bytes = content(path);
        assert!(!holds(&bytes, PASSWORD), "{}", path.display());
        logons += usize::from(holds(&bytes, "553=desk\x01554=***\x01"));
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert!(mode & 0o077 == 0, "{} has mode {mode:o}", path.display());
    }
    assert!(logons >= 2, "both sessions' Logons were logged, masked: {logons}");
    for folder in ["state", "fixlog", "report"] {
        let mode = fs::metadata(run.folder.join(folder)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{folder} has mode {mode:o}");
    }
    let journal = run.command(&["journal", "--market", "state"]).output().unwrap();
    assert!(journal.status.success() && !holds(&journal.stdout, PASSWORD));
}

#[test]
fn a_secret_file_that_others_may_read_or_that_is_no_key_is_refused_without_its_content() {
    let run = Run::new("open", 0o644);
    let output = run.command(&["demo", "--config", "demo.toml", "--state-dir", "state"]).output();
    let output = output.unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("chmod 600"), "{told}");
    assert!(!told.contains(PASSWORD), "{told}");

    let run = Run::new("key", 0o600);
    let text = fs::read_to_string(run.folder.join("demo.toml")).unwrap();
    let text = text.replace("password_file", "secret_file");
    let text = text.replacen("name = \"sim\"", "name = \"sim\"\ndialect = \"binance\"", 1);
    fs::write(run.folder.join("demo.toml"), text).unwrap();
    let output = run.command(&["run", "--config", "demo.toml"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{told}");
    assert!(!told.contains(PASSWORD), "{told}");
}

#[test]
fn a_password_in_the_config_itself_is_refused_and_not_repeated() {
    let planted = [
        format!("password = \"{PASSWORD}\", heartbeat_s"),
        format!("password = \"{PASSWORD}, heartbeat_s"),
        format!("reset_on_logon = \"{PASSWORD}\", heartbeat_s"),
        format!("tls = \"{PASSWORD}\", heartbeat_s"),
        format!("backups = \"{PASSWORD}\", heartbeat_s"),
        format!("password {PASSWORD}, heartbeat_s"),
    ];
    for line in planted {
        let text = shipped().replacen("heartbeat_s", &line, 1);
        let fault = match ConfigFile::parse("test.toml", text).and_then(|file| file.maker(1)) {
            Ok(_) => panic!("taken: {line}"),
            Err(fault) => fault,
        };
        for told in [fault.to_string(), format!("{fault:?}")] {
            assert!(!told.contains(PASSWORD), "{told}");
            assert!(told.contains("line "), "the place is told: {told}");
        }
    }
}

#[test]
fn debug_output_and_a_panic_hold_no_secret() {
    let secret = Secret::from_bytes(PASSWORD.as_bytes());
    assert!(!format!("{secret:?}{:?}", Some(&secret)).contains(PASSWORD));
    let panicked = std::panic::catch_unwind(|| {
        let refused = |bytes: &[u8]| -> Result<(), Secret> { Err(Secret::from_bytes(bytes)) };
        refused(PASSWORD.as_bytes()).unwrap();
    });
    let payload = panicked.unwrap_err();
    let text = payload.downcast_ref::<String>().expect("a message");
    assert!(text.contains("masked") && !text.contains(PASSWORD), "{text}");
    let not_text = Credentials::with_secret("desk", &Secret::from_bytes(b"planted-\xff"));
    let told = not_text.err().expect("no text").to_string();
    assert!(!told.contains("planted"), "{told}");
}

#[test]
fn raw_data_and_passwords_are_masked_in_whole_and_in_garbled_messages() {
    let data = format!("a\x01b{PASSWORD}");
    let length = data.len();
    let message = format!(
        "8=FIX.4.4\x019=100\x0135=A\x0195={length}\x0196={data}\x01554={PASSWORD}\x01925={PASSWORD}\x0110=000\x01"
    );
    let mut masked = Vec::new();
    assert!(mask_message(message.as_bytes(), &mut masked));
    assert!(!holds(&masked, PASSWORD), "{}", String::from_utf8_lossy(&masked));
    for cut in 0..message.len() {
        let mut masked = Vec::new();
        mask_text(&message.as_bytes()[..cut], &mut masked);
        assert!(!holds(&masked, PASSWORD), "cut at {cut}");
    }
}

#[test]
fn metrics_hold_no_secret() {
    let run = Run::new("metrics", 0o600);
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let path = run.folder.join("demo.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"))).unwrap();
    let demo = ["demo", "--config", "demo.toml", "--duration", "3s", "--speed", "10", "--json"];
    let child = run.command(&[&demo[..], &["--state-dir", "state"]].concat()).spawn().unwrap();
    let mut scraped = String::new();
    for _ in 0..100 {
        scraped.clear();
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            let asked = stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n");
            let read = asked.and_then(|()| stream.read_to_string(&mut scraped));
            if read.is_ok() && scraped.contains("ballast_state_changes{reason=\"normal\"}") {
                break;
            }
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(scraped.contains("ballast_state_changes{reason=\"normal\"}"), "{scraped}");
    assert!(!scraped.contains(PASSWORD) && !scraped.contains("desk"));
}
