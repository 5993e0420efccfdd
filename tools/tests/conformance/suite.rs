//! A certification suite's side of `ballast conformance`: the process, its connections, and what is
//! sent and expected, as text.
//!
//! Feeds the tests beside it. Deliberately absent: the facts that are tested.

use ballast_engine::units::Nanos;
use ballast_gateway::fix::frame::{Frame, frame};
use ballast_gateway::fix::timestamp::{Precision, TimestampText};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The body of an order that is echoed as it stands.
pub const ORDER: &str = "11=id|21=3|40=1|54=1|55=INTC|60=20240808-12:00:00";

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `ballast conformance`.
pub struct Endpoint {
    process: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Endpoint {
    /// With the comp ids that it has unless told.
    pub fn start() -> Endpoint {
        Endpoint::start_with(&[])
    }

    /// With more arguments.
    pub fn start_with(arguments: &[&str]) -> Endpoint {
        let mut process = Command::new(env!("CARGO_BIN_EXE_ballast"))
            .args(["conformance", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
        Endpoint { process, address }
    }

    pub fn connect(&self) -> Suite {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Suite { stream, received: Vec::new() }
    }

    pub fn logged_on(&self) -> Suite {
        let mut suite = self.connect();
        suite.send("35=A|34=1|98=0|108=30");
        suite.expect("35=A|34=1|98=0|108=30");
        suite
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A certification suite's connection.
pub struct Suite {
    stream: TcpStream,
    received: Vec<u8>,
}

#[allow(clippy::disallowed_methods)]
pub fn now(shift_s: i64) -> String {
    // The endpoint checks SendingTime against the real clock.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let at = u64::try_from(since).unwrap().saturating_add_signed(shift_s * 1_000_000_000);
    let mut clock = TimestampText::new(Precision::Millis);
    String::from_utf8(clock.write(Nanos(at)).to_vec()).unwrap()
}

pub fn seal(begin: &str, body: &str) -> Vec<u8> {
    let body = format!("{}\x01", body.replace('|', "\x01"));
    let mut message = format!("8={begin}\x019={}\x01{body}", body.len()).into_bytes();
    let sum = message.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    message.extend_from_slice(format!("10={sum:03}\x01").as_bytes());
    message
}

impl Suite {
    /// Sends a message; 49, 52 and 56 stand behind 34 where `text` does not say them.
    pub fn send(&mut self, text: &str) {
        let mut fields: Vec<String> = text.split('|').map(str::to_string).collect();
        let own = ["49=TW44".to_string(), format!("52={}", now(0)), "56=ISLD".to_string()];
        let inserted: Vec<String> = own
            .into_iter()
            .filter(|field| !fields.iter().any(|said| said.starts_with(&field[..3])))
            .collect();
        fields.splice(2..2, inserted);
        self.send_bytes(&seal("FIX.4.4", &fields.join("|")));
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next message, `|`-separated; `None` at the end of the connection.
    pub fn next(&mut self) -> Option<String> {
        loop {
            if let Frame::Message { len } = frame(&self.received, usize::MAX) {
                let message: Vec<u8> = self.received.drain(..len).collect();
                return Some(String::from_utf8(message).unwrap().replace('\x01', "|"));
            }
            let mut room = [0; 4096];
            match self.stream.read(&mut room) {
                Ok(0) => return None,
                Ok(count) => self.received.extend_from_slice(&room[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    /// All fields in order, but 8, 9, 10, and the values of times: `52` and `122` stand without.
    pub fn expect(&mut self, wanted: &str) {
        let message = self.next().unwrap_or_else(|| panic!("closed instead of {wanted}"));
        let fields: Vec<&str> = message.split_terminator('|').collect();
        let got: Vec<&str> = fields[2..fields.len() - 1]
            .iter()
            .filter(|field| !["49=ISLD", "56=TW44"].contains(field))
            .filter(|field| !(field.starts_with("52=") && field.len() == 24))
            .map(|field| if field.starts_with("122=") { "122" } else { field })
            .collect();
        assert_eq!(got.join("|"), wanted);
        for own in ["49=ISLD", "56=TW44"] {
            assert!(fields.contains(&own), "{own} in {message}");
        }
    }

    pub fn expect_end(&mut self) {
        assert_eq!(self.next(), None);
    }

    pub fn log_out(mut self, number: u64, answer: u64) {
        self.send(&format!("35=5|34={number}"));
        self.expect(&format!("35=5|34={answer}"));
        self.expect_end();
    }
}
