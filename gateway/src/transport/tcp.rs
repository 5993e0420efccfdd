//! TCP, non-blocking, read and written directly by the thread that runs the session.
//!
//! Feeds and is fed by the connection. A hot session spins over `read`; a cold one sleeps in
//! [`wait_for`]. TCP_NODELAY is always on: a quote does not wait for company. Deliberately absent:
//! name lookup, which blocks (resolve before), TLS (`tls.rs`), and any buffer of our own.
//!
//! **What was read is acknowledged when there is nothing more to read.** Left to itself, Linux sends the ACK of
//! a connection that is mostly read from within the call that reads: a segment of its own goes out, 3 µs of
//! system time over loopback, before a tick's bytes are returned. So a connection is kept in the kernel's
//! interactive mode, which defers an ACK for data to carry it, and the first read that finds nothing sends one
//! that is still owed: after the tick has become orders, microseconds later, so that a counterparty with
//! Nagle's algorithm does not wait for it. The kernel's own rules stand: two segments unacknowledged, or its
//! timer (40 ms), send it too.

use super::{Lost, Received, Transport, Written};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::set_tcp_quickack;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

/// One TCP connection.
#[derive(Debug)]
pub struct TcpTransport {
    stream: TcpStream,
    is_closed: bool,
    /// Something was read that may not have been acknowledged yet.
    owes_ack: bool,
}

impl TcpTransport {
    /// Takes a connected stream and makes it non-blocking and undelayed; its ACKs are deferred (see above).
    ///
    /// # Errors
    /// What the system refuses.
    pub fn new(stream: TcpStream) -> std::io::Result<TcpTransport> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        set_tcp_quickack(&stream, false)?;
        Ok(TcpTransport { stream, is_closed: false, owes_ack: false })
    }

    /// Sends the ACK that is owed, if the kernel has not yet, and defers those that follow.
    fn acknowledge(&mut self) {
        self.owes_ack = false;
        // Where it is refused the connection is gone, and the next read says so.
        let _ = set_tcp_quickack(&self.stream, true);
        let _ = set_tcp_quickack(&self.stream, false);
    }

    /// The counterparty's address.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn peer(&self) -> std::io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl AsFd for TcpTransport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Transport for TcpTransport {
    fn read(&mut self, room: &mut [u8]) -> Received {
        match self.stream.read(room) {
            Ok(0) => Received::Closed(Lost::ByPeer),
            Ok(count) => {
                self.owes_ack = true;
                Received::Bytes(count)
            }
            Err(error) if is_passing(error.kind()) => {
                if self.owes_ack {
                    self.acknowledge();
                }
                Received::Nothing
            }
            Err(error) => Received::Closed(Lost::Failed(error.kind())),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Written {
        if self.is_closed {
            return Written::Closed(Lost::ByUs);
        }
        match self.stream.write(bytes) {
            Ok(0) => Written::Full,
            Ok(count) => Written::Bytes(count),
            Err(error) if is_passing(error.kind()) => Written::Full,
            Err(error) => Written::Closed(Lost::Failed(error.kind())),
        }
    }

    fn close(&mut self) {
        if !self.is_closed {
            self.is_closed = true;
            // A connection that the counterparty ended first is as closed as it can be.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }
}

fn is_passing(kind: ErrorKind) -> bool {
    kind == ErrorKind::WouldBlock || kind == ErrorKind::Interrupted
}

/// A connection being made.
#[derive(Debug)]
pub struct TcpConnect {
    stream: TcpStream,
}

/// How far a connection is.
#[derive(Debug)]
pub enum Connecting {
    /// Ask again.
    Pending(TcpConnect),
    /// There it is.
    Connected(TcpTransport),
    /// Nobody there, or no way.
    Failed(ErrorKind),
}

impl TcpConnect {
    /// Begins to connect and returns at once.
    ///
    /// # Errors
    /// What the system refuses at once: no route, no socket left.
    pub fn start(address: SocketAddr) -> std::io::Result<TcpConnect> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        match connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => {
                Ok(TcpConnect { stream: TcpStream::from(socket) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Looks how far it is.
    pub fn poll(self) -> Connecting {
        match self.stream.take_error() {
            Ok(None) => {}
            Ok(Some(error)) | Err(error) => return Connecting::Failed(error.kind()),
        }
        // Linux: a socket that is not connected yet has no peer.
        match self.stream.peer_addr() {
            Ok(_) => match TcpTransport::new(self.stream) {
                Ok(transport) => Connecting::Connected(transport),
                Err(error) => Connecting::Failed(error.kind()),
            },
            Err(error) if error.kind() == ErrorKind::NotConnected => Connecting::Pending(self),
            Err(error) => Connecting::Failed(error.kind()),
        }
    }
}

impl AsFd for TcpConnect {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Where counterparties knock.
#[derive(Debug)]
pub struct TcpDoor {
    listener: TcpListener,
}

impl TcpDoor {
    /// Listens; port 0 takes any that is free.
    ///
    /// # Errors
    /// The port is in use, or what else the system refuses.
    pub fn open(address: SocketAddr) -> std::io::Result<TcpDoor> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(TcpDoor { listener })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next who knocked, if any. One whose connection ended while it waited is passed over.
    pub fn accept(&self) -> Option<TcpTransport> {
        let (stream, _) = self.listener.accept().ok()?;
        TcpTransport::new(stream).ok()
    }
}

impl AsFd for TcpDoor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// What to wait for on one socket: to read, or also to write.
#[derive(Debug)]
pub struct Ready<'a> {
    /// The socket.
    pub socket: BorrowedFd<'a>,
    /// Bytes wait for room as well.
    pub is_writing: bool,
}

/// Sleeps until a socket is ready or `timeout_ns` have passed: for cold sessions, whose threads
/// do not spin.
pub fn wait_for(sockets: &[Ready<'_>], timeout_ns: u64) {
    let mut polled: Vec<PollFd<'_>> = sockets
        .iter()
        .map(|ready| {
            let flags =
                if ready.is_writing { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            PollFd::from_borrowed_fd(ready.socket, flags)
        })
        .collect();
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout_ns / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(timeout_ns % 1_000_000_000).unwrap_or(0),
    };
    // An interrupted wait is a short one; the caller looks at its sockets and clock either way.
    let _ = poll(&mut polled, Some(&timeout));
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT_NS: u64 = 5_000_000_000;

    fn joined() -> (TcpTransport, TcpTransport) {
        let door = TcpDoor::open("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut connecting = TcpConnect::start(door.address().unwrap()).unwrap();
        let ours = loop {
            let ready = [Ready { socket: connecting.as_fd(), is_writing: true }];
            wait_for(&ready, WAIT_NS);
            match connecting.poll() {
                Connecting::Pending(again) => connecting = again,
                Connecting::Connected(transport) => break transport,
                Connecting::Failed(kind) => panic!("{kind}"),
            }
        };
        wait_for(&[Ready { socket: door.as_fd(), is_writing: false }], WAIT_NS);
        (ours, door.accept().unwrap())
    }

    #[test]
    fn bytes_cross_and_a_close_is_seen() {
        let (mut ours, mut theirs) = joined();
        assert_eq!(theirs.read(&mut [0; 8]), Received::Nothing);
        assert_eq!(ours.write(b"8=FIX"), Written::Bytes(5));
        wait_for(&[Ready { socket: theirs.as_fd(), is_writing: false }], WAIT_NS);
        let mut room = [0; 8];
        assert_eq!(theirs.read(&mut room), Received::Bytes(5));
        assert_eq!(&room[..5], b"8=FIX");
        ours.close();
        wait_for(&[Ready { socket: theirs.as_fd(), is_writing: false }], WAIT_NS);
        assert_eq!(theirs.read(&mut room), Received::Closed(Lost::ByPeer));
        assert_eq!(ours.write(b"x"), Written::Closed(Lost::ByUs));
    }

    /// How many bytes that the socket at this address sent have not been acknowledged (tx_queue of
    /// `/proc/net/tcp`).
    fn unacknowledged(of: SocketAddr) -> u64 {
        let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let address = format!("0100007F:{:04X}", of.port());
        let queue = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // Established, and named first: local.
            let is_it = fields.get(1) == Some(&address.as_str()) && fields.get(3) == Some(&"01");
            is_it.then(|| u64::from_str_radix(fields[4].split_once(':').unwrap().0, 16).unwrap())
        };
        sockets.lines().find_map(queue).unwrap()
    }

    #[test]
    fn what_was_read_is_acknowledged_by_the_first_read_that_finds_nothing_and_not_before() {
        let (mut ours, mut theirs) = joined();
        let sender = theirs.peer().unwrap();
        let mut room = [0; 8];
        // More than the sixteen segments that a new connection acknowledges at once.
        let mut seen = (0, 0);
        for _ in 0..40 {
            assert_eq!(ours.write(b"8=FIX"), Written::Bytes(5));
            wait_for(&[Ready { socket: theirs.as_fd(), is_writing: false }], WAIT_NS);
            assert_eq!(theirs.read(&mut room), Received::Bytes(5));
            seen.0 += u64::from(unacknowledged(sender) == 5);
            assert_eq!(theirs.read(&mut room), Received::Nothing);
            // Well within what the kernel's own timer takes: a look takes milliseconds.
            let is_sent = (0..4).any(|_| unacknowledged(sender) == 0);
            seen.1 += u64::from(is_sent);
        }
        // A busy host may keep this thread away for longer than that.
        assert!(seen.0 > 20 && seen.1 > 20, "owed and sent {seen:?} times of 40");
    }

    #[test]
    fn a_counterparty_that_does_not_read_is_an_answer() {
        let (mut ours, _theirs) = joined();
        let chunk = vec![0u8; 1 << 20];
        for _ in 0..1000 {
            match ours.write(&chunk) {
                Written::Bytes(_) => {}
                Written::Full => return,
                Written::Closed(lost) => panic!("{lost:?}"),
            }
        }
        panic!("a gigabyte went into a socket that nobody reads");
    }

    #[test]
    fn nobody_there_is_an_answer() {
        let door = TcpDoor::open("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = door.address().unwrap();
        drop(door);
        let Ok(mut connecting) = TcpConnect::start(address) else { return };
        loop {
            wait_for(&[Ready { socket: connecting.as_fd(), is_writing: true }], WAIT_NS);
            match connecting.poll() {
                Connecting::Pending(again) => connecting = again,
                Connecting::Connected(_) => panic!("nobody listens"),
                Connecting::Failed(kind) => {
                    assert_eq!(kind, ErrorKind::ConnectionRefused);
                    return;
                }
            }
        }
    }

    #[test]
    fn a_port_in_use_is_refused() {
        let door = TcpDoor::open("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = TcpDoor::open(door.address().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }
}
