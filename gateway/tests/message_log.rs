//! What a user is promised of the message log: everything in and out with its time, no secret, and
//! nothing that the hot thread would notice.

use ballast_engine::clock::Clock;
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::Nanos;
use ballast_gateway::fix::encode::Encoder;
use ballast_gateway::fix::frame::{Frame, frame};
use ballast_gateway::fix::{tag, timestamp};
use ballast_gateway::message_log::{LogConfig, LogError, MessageLog};
use ballast_gateway::transport::{Lost, PipeEnd, Received, Tee, Transport, Written, pipe};
use ballast_gateway::venue::line::{Dial, Dialled};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Counts what this thread allocates, so that tests beside it do not disturb.
struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are System's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are System's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

const SECRET: &[u8] = b"ge\x01heim-wort";

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("ballast-fixlog-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

fn log(folder: &Path) -> MessageLog {
    MessageLog::new(LogConfig::new(folder), Clock::start()).unwrap()
}

fn drain(log: &mut MessageLog) -> Turn {
    loop {
        let turn = log.turn(Nanos(0));
        if turn != Turn::Busy {
            return turn;
        }
    }
}

/// A Logon with secrets, or an order.
fn message(number: u64, is_logon: bool) -> Vec<u8> {
    let mut buffer = vec![0; 1024];
    let msg_type: &[u8] = if is_logon { b"A" } else { b"D" };
    let mut encoder = Encoder::begin(&mut buffer, b"FIX.4.4", msg_type);
    encoder.uint(tag::MSG_SEQ_NUM, number).str(tag::SENDER_COMP_ID, "ME");
    if is_logon {
        encoder.data(tag::RAW_DATA_LENGTH, tag::RAW_DATA, SECRET);
        encoder.str(tag::USERNAME, "me").str(tag::PASSWORD, "heim-wort");
    } else {
        encoder.str(
            tag::TEXT,
            "a text that makes the message longer than one piece: ".repeat(6).as_str(),
        );
    }
    let len = encoder.finish().unwrap();
    buffer.truncate(len);
    buffer
}

/// Dials pipes whose other ends it keeps.
#[derive(Default)]
struct PipeDial(std::sync::Arc<std::sync::Mutex<Vec<PipeEnd>>>);

impl Dial for PipeDial {
    type Link = PipeEnd;

    fn dial(&mut self, _now: Nanos) -> Dialled<PipeEnd> {
        let (ours, theirs) = pipe(1 << 20);
        self.0.lock().unwrap().push(theirs);
        Dialled::Connected(ours)
    }
}

fn read_all(link: &mut impl Transport) -> Vec<u8> {
    let mut all = Vec::new();
    let mut room = [0; 4096];
    while let Received::Bytes(count) = link.read(&mut room) {
        all.extend_from_slice(&room[..count]);
    }
    all
}

fn lines(path: &Path) -> Vec<String> {
    let text = String::from_utf8(std::fs::read(path).unwrap()).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The time, the direction and the text of a line.
fn parts(line: &str) -> (Nanos, &str, &str) {
    let at = timestamp::parse(&line.as_bytes()[..27]).unwrap_or_else(|| panic!("{line:?}"));
    (at, line[27..32].trim(), &line[32..])
}

#[test]
fn both_directions_are_written_with_times_and_without_secrets() {
    let folder = folder("both");
    let mut log = log(&folder);
    let dial = PipeDial::default();
    let peers = dial.0.clone();
    let mut tee = Tee::new(dial, Some(log.session("venue-orders").unwrap()));
    let Dialled::Connected(mut link) = tee.dial(Nanos(0)) else {
        panic!("a pipe is there at once")
    };
    let mut peer = peers.lock().unwrap().pop().unwrap();
    link.link_mut().fragment(3, 11);
    for n in 1..=50 {
        let sent = message(n, n % 10 == 1);
        // Written in two parts, as a full socket makes it.
        assert_eq!(link.write(&sent[..30]), Written::Bytes(30));
        assert_eq!(link.write(&sent[30..]), Written::Bytes(sent.len() - 30));
        peer.write(&message(n, n % 10 == 1));
        assert_eq!(read_all(&mut link), message(n, n % 10 == 1), "bytes pass unchanged");
        drain(&mut log);
    }
    drop(link);
    drop(tee);
    assert_eq!(drain(&mut log), Turn::Done);
    assert_eq!((log.counts().messages, log.counts().lost_bytes), (100, 0));
    let path = folder.join("venue-orders.fixlog");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let lines = lines(&path);
    assert_eq!(lines.len(), 102);
    assert!(lines[0].ends_with(" --  connected") && lines[101].ends_with(" --  closed"));
    assert!(lines.is_sorted_by_key(|line| parts(line).0), "time does not go back");
    for way in ["IN", "OUT"] {
        let texts = lines.iter().map(|line| parts(line)).filter(|(_, w, _)| *w == way);
        for (n, (_, _, text)) in (1..).zip(texts) {
            if n % 10 == 1 {
                assert!(text.contains("\x0196=***\x01553=me\x01554=***\x0110="), "{text:?}");
            } else {
                let len = text.len();
                assert_eq!(frame(text.as_bytes(), 4096), Frame::Message { len });
                assert_eq!(text.as_bytes(), message(n, false));
            }
        }
    }
    assert!(!lines.iter().any(|line| line.contains("heim")));
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn a_new_connection_goes_on_in_the_same_file_and_a_torn_message_is_told() {
    let folder = folder("again");
    let mut log = log(&folder);
    let mut tee = Tee::new(PipeDial::default(), Some(log.session("s").unwrap()));
    for _ in 0..2 {
        let Dialled::Connected(mut link) = tee.dial(Nanos(0)) else { panic!("connected") };
        let logon = message(1, true);
        link.write(&logon);
        // Cut in the middle of the password.
        link.write(&logon[..logon.len() - 12]);
    }
    drop(tee);
    assert_eq!(drain(&mut log), Turn::Done);
    let lines = lines(&folder.join("s.fixlog"));
    let texts: Vec<_> = lines.iter().map(|line| parts(line).2).collect();
    assert_eq!(texts.len(), 8);
    for texts in texts.chunks(4) {
        assert_eq!((texts[0], texts[3]), ("connected", "closed"));
        assert!(texts[1].starts_with("8=FIX.4.4\x01"));
        assert!(texts[2].starts_with("cut short: 8=FIX.4.4\x01") && texts[2].ends_with("=***"));
    }
    assert!(!lines.iter().any(|line| line.contains("heim")));
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn a_full_ring_loses_whole_writes_and_the_log_says_how_many_bytes() {
    let folder = folder("full");
    let config = LogConfig { ring_chunks: 8, ..LogConfig::new(&folder) };
    let mut log = MessageLog::new(config, Clock::start()).unwrap();
    let mut tee = Tee::new(PipeDial::default(), Some(log.session("s").unwrap()));
    let Dialled::Connected(mut link) = tee.dial(Nanos(0)) else { panic!("connected") };
    let order = message(7, false);
    for _ in 0..10 {
        assert_eq!(link.write(&order), Written::Bytes(order.len()), "the venue gets everything");
    }
    drain(&mut log);
    link.write(&order);
    drop((link, tee));
    assert_eq!(drain(&mut log), Turn::Done);
    let counts = log.counts();
    let lost = 11 - counts.messages;
    assert!(lost > 5 && lost < 10, "{counts:?}");
    assert_eq!(counts.lost_bytes, lost * order.len() as u64);
    let lines = lines(&folder.join("s.fixlog"));
    let told = format!("lost {} bytes: the log did not keep up", counts.lost_bytes);
    assert_eq!(lines.iter().filter(|line| parts(line).2 == told).count(), 1, "{lines:?}");
    assert_eq!(
        lines.iter().filter(|line| parts(line).2.as_bytes() == order).count() as u64,
        11 - lost
    );
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn files_are_set_aside_by_size_and_the_oldest_go() {
    let folder = folder("rotate");
    let config = LogConfig { rotate_bytes: 4_000, files_max: 3, ..LogConfig::new(&folder) };
    let mut log = MessageLog::new(config, Clock::start()).unwrap();
    let mut tee = Tee::new(PipeDial::default(), Some(log.session("s").unwrap()));
    let Dialled::Connected(mut link) = tee.dial(Nanos(0)) else { panic!("connected") };
    for n in 1..=100 {
        link.write(&message(n, false));
        drain(&mut log);
    }
    let mut kept = Vec::new();
    for name in ["s.fixlog.2", "s.fixlog.1", "s.fixlog"] {
        let path = folder.join(name);
        assert!(std::fs::metadata(&path).unwrap().len() <= 4_000);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        kept.extend(lines(&path));
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 3);
    let newest = 101 - kept.len() as u64;
    for (n, line) in (newest..).zip(&kept) {
        assert_eq!(parts(line).2.as_bytes(), message(n, false), "none is missing in between");
    }
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn a_file_that_cannot_be_made_ends_the_log_and_not_the_session() {
    let folder = folder("gone");
    let config = LogConfig { rotate_bytes: 1_000, ..LogConfig::new(&folder) };
    let mut log = MessageLog::new(config, Clock::start()).unwrap();
    let mut tee = Tee::new(PipeDial::default(), Some(log.session("s").unwrap()));
    let Dialled::Connected(mut link) = tee.dial(Nanos(0)) else { panic!("connected") };
    std::fs::remove_dir_all(&folder).unwrap();
    for n in 1..=10 {
        assert!(matches!(link.write(&message(n, false)), Written::Bytes(_)));
        drain(&mut log);
    }
    assert!(matches!(log.counts().fault, Some(LogError::Io { .. })));
    assert_eq!(log.counts().lost_bytes, 0, "the ring is emptied all the same");
}

#[test]
fn a_name_that_leaves_the_folder_or_is_taken_is_refused() {
    let folder = folder("names");
    let mut log = log(&folder);
    for name in ["", "../x", "a/b", ".hidden", "a b"] {
        assert_eq!(log.session(name).unwrap_err(), LogError::Name { name: name.into() });
    }
    let _tape = log.session("s").unwrap();
    assert_eq!(log.session("s").unwrap_err(), LogError::Twice { name: "s".into() });
    let _ = std::fs::remove_dir_all(&folder);
}

/// Takes and gives the same bytes for ever.
struct Endless(Vec<u8>);

impl Transport for Endless {
    fn read(&mut self, room: &mut [u8]) -> Received {
        room[..self.0.len()].copy_from_slice(&self.0);
        Received::Bytes(self.0.len())
    }

    fn write(&mut self, bytes: &[u8]) -> Written {
        if bytes.is_empty() { Written::Closed(Lost::ByUs) } else { Written::Bytes(bytes.len()) }
    }

    fn close(&mut self) {}
}

#[test]
fn the_hot_side_allocates_nothing_whether_the_log_keeps_up_or_not() {
    let folder = folder("allocations");
    let mut log = log(&folder);
    let tee = Tee::new((), Some(log.session("s").unwrap()));
    let order = message(7, false);
    let mut room = [0; 1024];
    let mut link = tee.wrap(Endless(order.clone()));
    let before = ALLOCATIONS.with(Cell::get);
    for _ in 0..20_000 {
        assert_eq!(link.read(&mut room), Received::Bytes(order.len()));
        assert_eq!(link.write(&order), Written::Bytes(order.len()));
    }
    assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0);
    assert!(log.counts().lost_bytes > 0, "more than the ring holds went by");
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn without_a_log_bytes_pass_and_nothing_is_written() {
    let tee = Tee::new((), None);
    let (ours, mut peer) = pipe(100);
    let mut link = tee.wrap(ours);
    assert_eq!(link.write(b"hello"), Written::Bytes(5));
    assert_eq!(read_all(&mut peer), b"hello");
    peer.write(b"you");
    assert_eq!(read_all(&mut link), b"you");
    link.close();
    assert_eq!(peer.read(&mut [0; 8]), Received::Closed(Lost::ByPeer));
}
