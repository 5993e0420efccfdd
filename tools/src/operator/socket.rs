//! The operator's socket: a Unix domain socket in the state folder, and a thread that answers there.
//!
//! Fed by the commands; feeds the [`Hand`]. The file is 0600 (0660 where `operator.uids` names others, who
//! must then be let into its folder: the state folder is no such place)
//! and every peer's uid is asked of the system (SO_PEERCRED): the process's own, root's and those of
//! `operator.uids` may, nobody else. One line each way, a thread a connection, two seconds for the whole of
//! the question: a peer that stalls keeps nobody's kill waiting, and nothing of the maker's.

use super::hand::{Hand, KillHand, ROOT, now};
use super::request::{LINE_BYTES_MAX, Reply, Request};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::Permissions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The socket's name in the state folder.
pub const SOCKET: &str = "operator.sock";
/// How long a peer may take over its line.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most peers at once; more are hung up on.
const PEERS_MAX: usize = 16;
/// What is answered where answering panicked.
const PANICKED: &str = "the run panicked over this and may have done it or not: its log says more, and \
                        `ballast status` how it stands; `ballast kill` stops everything";
/// How often the thread looks whether it should end.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Who answers: one act at a time, but for a kill, which waits for no other operator's.
struct Hands {
    killer: KillHand,
    all: Mutex<Hand>,
}

impl Hands {
    fn new(hand: Hand) -> Hands {
        Hands { killer: hand.killer(), all: Mutex::new(hand) }
    }

    fn answer(&self, uid: u32, request: &Request) -> Reply {
        self.killer.answer(uid, request).unwrap_or_else(|| {
            self.all.lock().unwrap_or_else(PoisonError::into_inner).answer(uid, request)
        })
    }
}

/// The listening end.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    uids: Vec<u32>,
}

impl Socket {
    /// Listens at `path`. A socket that nobody answers at is replaced; one that somebody answers at,
    /// or anything else that is there, is an error.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn open(path: &Path, others: &[u32]) -> io::Result<Socket> {
        if let Ok(there) = std::fs::symlink_metadata(path) {
            if !there.file_type().is_socket() {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "there is no socket there",
                ));
            }
            if UnixStream::connect(path).is_ok() {
                return Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "a run answers there already",
                ));
            }
            std::fs::remove_file(path)?;
        }
        // Made under another name and moved: nobody ever sees it with other permissions.
        let made = path.with_extension(format!("{}", std::process::id()));
        let _ = std::fs::remove_file(&made);
        let listener = UnixListener::bind(&made)?;
        let mode = if others.is_empty() { 0o600 } else { 0o660 };
        std::fs::set_permissions(&made, Permissions::from_mode(mode))?;
        std::fs::rename(&made, path)?;
        listener.set_nonblocking(true)?;
        let mut uids = others.to_vec();
        uids.extend([ROOT, rustix::process::geteuid().as_raw()]);
        Ok(Socket { listener, path: path.to_path_buf(), uids })
    }

    /// Answers until told to end; then the file is removed.
    pub fn serve(self, hand: Hand, end: &Arc<AtomicBool>) {
        let (hand, peers) = (Hands::new(hand), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            while !end.load(Ordering::Acquire) {
                let mut waits = [PollFd::new(&self.listener, PollFlags::IN)];
                let _ = poll(&mut waits, Some(&LOOK));
                while let Ok((stream, _)) = self.listener.accept() {
                    if peers.load(Ordering::Acquire) >= PEERS_MAX {
                        tracing::warn!("hung up on an operator: {PEERS_MAX} are served already");
                        continue;
                    }
                    peers.fetch_add(1, Ordering::AcqRel);
                    let talk = || {
                        if let Err(error) = self.talk(stream, &hand) {
                            tracing::warn!(%error, "an operator's connection");
                        }
                        peers.fetch_sub(1, Ordering::AcqRel);
                    };
                    // The system may have no thread left: this peer is hung up on, and the next may ask.
                    let thread = std::thread::Builder::new().name("operator's peer".into());
                    if let Err(error) = thread.spawn_scoped(scope, talk) {
                        peers.fetch_sub(1, Ordering::AcqRel);
                        tracing::warn!(%error, "hung up on an operator: no thread");
                    }
                }
            }
        });
        let _ = std::fs::remove_file(&self.path);
    }

    /// What is answered to a peer of this uid, by the system's word on it.
    fn reply(&self, uid: u32, from: impl Read, hand: &Hands) -> io::Result<Reply> {
        if !self.uids.contains(&uid) {
            tracing::warn!(uid, "refused an operator's connection");
            let why = format!("uid {uid} may not: it does not stand in operator.uids");
            return Ok(Reply::refused(why));
        }
        let mut line = String::new();
        BufReader::new(from).take(LINE_BYTES_MAX as u64).read_line(&mut line)?;
        Ok(match serde_json::from_str::<Request>(&line) {
            Ok(request) => hand.answer(uid, &request),
            Err(error) => Reply::refused(format!("not a request: {error}")),
        })
    }

    /// The same. A panic would leave this peer's place taken for good, and the operator without an answer.
    fn answer(&self, uid: u32, from: impl Read, hand: &Hands) -> io::Result<Reply> {
        let reply = catch_unwind(AssertUnwindSafe(|| self.reply(uid, from, hand)));
        reply.unwrap_or_else(|_| Ok(Reply::refused(PANICKED)))
    }

    fn talk(&self, stream: UnixStream, hand: &Hands) -> io::Result<()> {
        let uid = rustix::net::sockopt::socket_peercred(&stream)?.uid.as_raw();
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let question = Question { stream: &stream, until: now() + PATIENCE };
        let reply = self.answer(uid, question, hand)?;
        let mut bytes = serde_json::to_vec(&reply)?;
        bytes.push(b'\n');
        (&stream).write_all(&bytes)
    }
}

/// What a peer sends, as long as it may take: a byte now and then is not enough.
struct Question<'a> {
    stream: &'a UnixStream,
    until: Instant,
}

impl Read for Question<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(now());
        if left.is_zero() {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "it did not ask within two seconds",
            ));
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(room)
    }
}

/// The first folder on the way to `path` into which nobody but its owner is let.
pub fn closed_folder(path: &Path) -> Option<&Path> {
    let folders = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    let is_closed = |folder: &&Path| {
        std::fs::metadata(folder).is_ok_and(|folder| folder.permissions().mode() & 0o011 == 0)
    };
    folders.into_iter().find(is_closed)
}

/// Asks the run that listens at `path`.
///
/// # Errors
/// Nobody listens there, or the answer is none.
pub fn ask(path: &Path, request: &Request) -> io::Result<Reply> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut bytes = serde_json::to_vec(request)?;
    bytes.push(b'\n');
    stream.write_all(&bytes)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;
    use crate::operator::desk::Desk;
    use crate::state_dir::StateDir;
    use ballast_engine::maker::input::Control;
    use ballast_engine::ring::{self, Consumer};

    const KILL: &[u8] = b"{\"name\":null,\"ask\":{\"kill\":{\"reason\":\"a test\"}}}\n";
    const STATUS: &[u8] = b"{\"name\":null,\"ask\":\"status\"}\n";

    /// A desk of the demo whose maker never turns, in a folder of its own: the folder, who asks there, and the
    /// maker's end of the ring.
    fn desk(name: &str) -> (PathBuf, Arc<Desk>, Hand, Consumer<Control>) {
        let folder = std::env::temp_dir().join(format!("ballast-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let state = StateDir::open(&folder).unwrap();
        let file = ConfigFile::demo().unwrap();
        let config = file.maker(1).unwrap();
        let (control, orders) = ring::slots(2);
        let desk = Desk::new(control, Arc::default(), Vec::new(), Vec::new(), &state, &config);
        let desk = Arc::new(desk);
        let hand = Hand::new(desk.clone(), &file, &config);
        (folder, desk, hand, orders)
    }

    #[test]
    fn a_uid_that_is_not_named_is_refused_before_its_request_is_read() {
        let (folder, desk, hand, mut orders) = desk("peer");
        let hand = Hands::new(hand);
        let path = folder.join(SOCKET);
        let socket = Socket::open(&path, &[4_000_000_001]).unwrap();
        for foreign in [4_000_000_000, 4_000_000_002, u32::MAX] {
            let mut asked = KILL;
            let reply = socket.reply(foreign, &mut asked, &hand).unwrap();
            assert!(!reply.ok && reply.text.contains("operator.uids"), "{reply:?}");
            assert_eq!(asked, KILL, "nothing of it was read");
        }
        assert!(desk.killed().is_none() && orders.pop().is_none());
        for known in [4_000_000_001, 0, rustix::process::geteuid().as_raw()] {
            assert!(socket.reply(known, STATUS, &hand).unwrap().ok, "{known}");
        }
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660, "others stand in operator.uids");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    /// A peer whose request makes the run panic.
    struct Panics;

    impl Read for Panics {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("a test")
        }
    }

    #[test]
    fn a_request_over_which_the_run_panics_is_answered() {
        let (folder, _, hand, _orders) = desk("panics");
        let hand = Hands::new(hand);
        let socket = Socket::open(&folder.join(SOCKET), &[]).unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let reply = socket.answer(uid, Panics, &hand).unwrap();
        assert!(!reply.ok && reply.text.contains("panicked"), "{reply:?}");
        assert!(socket.answer(uid, STATUS, &hand).unwrap().ok, "and the next one");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_kill_waits_for_no_other_operators_act() {
        let (folder, _, hand, _orders) = desk("at-once");
        let hand = Hands::new(hand);
        let socket = Socket::open(&folder.join(SOCKET), &[]).unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            // Another operator's act, which is not done yet.
            let act = hand.all.lock().unwrap();
            scope.spawn(|| tell.send(socket.reply(uid, KILL, &hand).unwrap()));
            let reply = told.recv_timeout(Duration::from_secs(30));
            drop(act);
            assert!(reply.as_ref().is_ok_and(|reply| reply.ok), "{reply:?}");
        });
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_peer_that_trickles_keeps_nobody_waiting() {
        let (folder, _, hand, _orders) = desk("trickle");
        let path = folder.join(SOCKET);
        let socket = Socket::open(&path, &[]).unwrap();
        let end = Arc::new(AtomicBool::new(false));
        let until = end.clone();
        let server = std::thread::spawn(move || socket.serve(hand, &until));
        let mut silent: Vec<_> =
            (0..PEERS_MAX - 1).map(|_| UnixStream::connect(&path).unwrap()).collect();
        let began = now();
        let request = Request { name: None, ask: super::super::request::Ask::Status };
        assert!(ask(&path, &request).unwrap().ok);
        assert!(began.elapsed() < PATIENCE, "it waited for those who say nothing");
        // One that says a byte now and then is hung up on all the same.
        let mut heard = 0;
        while began.elapsed() < 3 * PATIENCE && silent[0].write_all(b" ").is_ok() {
            heard += 1;
            std::thread::park_timeout(Duration::from_millis(100));
        }
        assert!((1..50).contains(&heard), "{heard}");
        end.store(true, Ordering::Release);
        server.join().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
