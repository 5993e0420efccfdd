//! A proxy between maker and venue that keeps its own count of everything that passes: numbers, names
//! and fills, by nobody's code but its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// What was seen so far.
#[derive(Default)]
pub struct Seen {
    /// MsgSeqNum(34) of what the maker sent, resends left out.
    pub numbers: BTreeSet<u64>,
    /// ClOrdID(11) of its D, G, F and q.
    pub names: BTreeSet<String>,
    /// What broke a rule.
    pub faults: Vec<String>,
    /// NewOrderSingle(D)s.
    pub orders: u64,
    /// Order messages that came with PossDupFlag(43).
    pub resent_orders: u64,
    /// When the last D passed.
    pub last_order: Option<Instant>,
    /// ExecID(17) and side of every fill that the venue told, with symbol and signed size.
    pub fills: BTreeMap<(String, String), (String, f64)>,
    /// Fills that the venue told again.
    pub fills_told_again: u64,
    /// ResendRequest(2)s of the maker.
    pub resend_requests: u64,
}

/// A message's fields; of several with one tag the last.
pub type Fields = BTreeMap<u32, String>;

impl Seen {
    fn fault(&mut self, what: &str, fields: &Fields) {
        self.faults.push(format!("{what}: {fields:?}"));
    }

    /// The maker sent this.
    pub fn outbound(&mut self, at: Instant, fields: &Fields) {
        let kind = fields.get(&35).map_or("", String::as_str);
        let is_order = ["D", "G", "F", "q"].contains(&kind);
        self.resend_requests += u64::from(kind == "2");
        if fields.get(&43).map(String::as_str) == Some("Y") {
            self.resent_orders += u64::from(is_order);
            return;
        }
        let number = fields.get(&34).and_then(|text| text.parse().ok()).unwrap_or(0);
        if !self.numbers.insert(number) {
            self.fault("a MsgSeqNum was used again", fields);
        }
        if is_order {
            let name = fields.get(&11).cloned().unwrap_or_default();
            if !self.names.insert(name) {
                self.fault("a ClOrdID was used again", fields);
            }
        }
        if kind == "D" {
            self.orders += 1;
            self.last_order = Some(at);
        }
    }

    /// The venue told this.
    pub fn inbound(&mut self, fields: &Fields) {
        let get = |tag: u32| fields.get(&tag).cloned().unwrap_or_default();
        if get(35) == "5" && get(58).contains("too low") {
            self.fault("the venue saw a number again", fields);
        }
        if get(35) == "8" && get(150) == "8" && get(58).contains("duplicate") {
            self.fault("the venue saw an order again", fields);
        }
        if get(35) != "8" || get(150) != "F" {
            return;
        }
        let size: f64 = get(32).parse().unwrap_or(f64::NAN);
        let signed = if get(54) == "1" { size } else { -size };
        let fill = (get(55), signed);
        if self.fills.insert((get(17), get(54)), fill).is_some() {
            self.fills_told_again += 1;
        }
    }

    /// Sum of all fills of a symbol.
    pub fn traded(&self, symbol: &str) -> f64 {
        self.fills.values().filter(|(of, _)| of == symbol).map(|(_, size)| size).sum()
    }
}

/// The first whole message in `bytes`: its fields and its length.
pub fn message(bytes: &[u8]) -> Option<(Fields, usize)> {
    let text = |from: &[u8]| String::from_utf8_lossy(from).into_owned();
    let mut parts = bytes.split(|byte| *byte == 1);
    let (begin, length) = (parts.next()?, parts.next()?);
    let count: usize = text(length).strip_prefix("9=")?.parse().ok()?;
    let whole = begin.len() + length.len() + 2 + count + 7;
    let frame = bytes.get(..whole)?;
    let fields = frame.split(|byte| *byte == 1).filter_map(|field| {
        let (tag, value) =
            text(field).split_once('=').map(|(t, v)| (t.to_owned(), v.to_owned()))?;
        Some((tag.parse().ok()?, value))
    });
    Some((fields.collect(), whole))
}

/// A whole message of these fields, from MsgType(35) on.
pub fn sealed<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let body: Vec<u8> = fields.flat_map(|field| [field, b"\x01"].concat()).collect();
    let mut whole = format!("8=FIX.4.4\x019={}\x01", body.len()).into_bytes();
    whole.extend(body);
    let sum = whole.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    whole.extend(format!("10={sum:03}\x01").into_bytes());
    whole
}

/// The message with other values of some fields.
pub fn changed(frame: &[u8], values: &[(u32, &str)]) -> Vec<u8> {
    let fields = frame.split(|byte| *byte == 1).filter(|field| {
        let is_sealing = [&b"8="[..], b"9=", b"10="].iter().any(|tag| field.starts_with(tag));
        !is_sealing && !field.is_empty()
    });
    let fields: Vec<Vec<u8>> = fields
        .map(|field| {
            let of = |tag: u32| field.starts_with(format!("{tag}=").as_bytes());
            let value = values.iter().find(|(tag, _)| of(*tag));
            value.map_or(field.to_vec(), |(tag, value)| format!("{tag}={value}").into_bytes())
        })
        .collect();
    sealed(fields.iter().map(Vec::as_slice))
}

#[allow(clippy::disallowed_methods, reason = "a test that measures")]
fn now() -> Instant {
    Instant::now()
}

/// What becomes of a message on its way: nothing, or other bytes.
pub type Change = Box<dyn FnMut(&Fields, &[u8]) -> Vec<u8> + Send>;

/// What becomes of the maker's messages, and of the venue's.
pub type Changes = [Change; 2];

/// As it is.
pub fn whole() -> Change {
    Box::new(|_, frame| frame.to_vec())
}

fn carry(
    mut from: TcpStream,
    mut to: TcpStream,
    seen: &Mutex<Seen>,
    is_outbound: bool,
    mut change: Change,
) {
    let mut room = [0u8; 1 << 16];
    let mut bytes = Vec::new();
    // An error is an end, too: what came before it has been carried.
    while let Ok(count @ 1..) = from.read(&mut room) {
        bytes.extend_from_slice(&room[..count]);
        let mut carried = Vec::new();
        while let Some((fields, length)) = message(&bytes) {
            let mut seen = seen.lock().unwrap();
            let frame: Vec<u8> = bytes.drain(..length).collect();
            match is_outbound {
                true => seen.outbound(now(), &fields),
                false => seen.inbound(&fields),
            }
            carried.extend(change(&fields, &frame));
        }
        if to.write_all(&carried).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// Listens, and carries every connection to `venue`, with what `changes` makes of its messages.
pub fn proxy(
    venue: SocketAddr,
    changes: impl Fn() -> Changes + Send + 'static,
) -> (SocketAddr, Arc<Mutex<Seen>>) {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = door.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let shared = seen.clone();
    std::thread::spawn(move || {
        for client in door.incoming().flatten() {
            let Ok(server) = TcpStream::connect(venue) else { continue };
            for stream in [&client, &server] {
                stream.set_nodelay(true).unwrap();
            }
            let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
            let (out, inward) = (shared.clone(), shared.clone());
            let [outbound, inbound] = changes();
            std::thread::spawn(move || carry(client, server, &out, true, outbound));
            std::thread::spawn(move || carry(back.0, back.1, &inward, false, inbound));
        }
    });
    (address, seen)
}
