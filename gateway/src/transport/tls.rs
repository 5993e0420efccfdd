//! TLS over any transport, without waiting: the same calls as plain TCP, through `rustls`.
//!
//! Feeds and is fed by the connection, on the session's thread. The handshake is driven from the
//! dial ([`TlsTransport::handshake`]) or, at an acceptor's end, from `read`; afterwards `read` is one
//! read of the socket and one decryption in the spin, `write` one encryption and one write of the
//! socket. Back-pressure: while the ciphertext of one write still waits for the socket, the next is
//! [`Written::Full`]; rustls holds at most 64 KiB of it and 16 KiB of plaintext.
//!
//! **It allocates**, unlike plain TCP: rustls takes one buffer from the heap for each record, either
//! way (`gateway/tests/tls.rs` counts two a message, one where it is written and one where it is
//! read). Deliberately absent: files and names (`tls_files.rs`).

use super::tls_fault::{TlsFault, Trouble};
use super::{Lost, Received, Transport, Written};
use rustls::Connection;
use std::io::{self, ErrorKind, Read, Write};

/// Ciphertext and plaintext that wait inside rustls, in bytes.
const BUFFER_MAX: usize = 64 * 1024;
/// Plaintext taken by one write: bounds what one call encrypts.
const WRITE_MAX: usize = 32 * 1024;
/// Steps of a handshake in one call; a whole one takes fewer.
const HANDSHAKE_STEPS_MAX: usize = 32;

/// One TLS connection.
#[derive(Debug)]
pub struct TlsTransport<T> {
    link: T,
    tls: Connection,
    /// We have shown, or can show, a certificate: tells two meanings of an alert apart.
    has_certificate: bool,
    lost: Option<Lost>,
    trouble: Trouble,
}

/// How far a handshake is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Handshake {
    /// Ask again.
    Pending,
    /// It is done, and all of ours is sent.
    Done,
    /// The connection is of no use.
    Failed(TlsFault),
}

/// A transport as `rustls` wants to see it.
struct Wire<'a, T>(&'a mut T);

impl<T: Transport> Read for Wire<'_, T> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self.0.read(room) {
            Received::Bytes(count) => Ok(count),
            Received::Nothing => Err(ErrorKind::WouldBlock.into()),
            Received::Closed(Lost::ByPeer | Lost::ByUs) => Ok(0),
            Received::Closed(Lost::Failed(kind)) => Err(kind.into()),
        }
    }
}

impl<T: Transport> Write for Wire<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Written::Bytes(count) => Ok(count),
            Written::Full => Err(ErrorKind::WouldBlock.into()),
            Written::Closed(Lost::ByPeer | Lost::ByUs) => Err(ErrorKind::BrokenPipe.into()),
            Written::Closed(Lost::Failed(kind)) => Err(kind.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a look at the wire brought.
enum Fed {
    Bytes,
    Nothing,
    End(Lost),
}

impl<T: Transport> TlsTransport<T> {
    pub(super) fn new(
        link: T,
        mut tls: Connection,
        has_certificate: bool,
        trouble: Trouble,
    ) -> TlsTransport<T> {
        tls.set_buffer_limit(Some(BUFFER_MAX));
        TlsTransport { link, tls, has_certificate, lost: None, trouble }
    }

    /// What it runs over, to wait on.
    pub fn link(&self) -> &T {
        &self.link
    }

    /// What it runs over, to cut it in a test.
    pub fn link_mut(&mut self) -> &mut T {
        &mut self.link
    }

    /// Ciphertext waits for the socket: it is to be waited on for writing as well.
    pub fn is_writing(&self) -> bool {
        self.tls.wants_write()
    }

    /// Goes on with the handshake as far as it can be without waiting. Cold.
    pub fn handshake(&mut self) -> Handshake {
        for _ in 0..HANDSHAKE_STEPS_MAX {
            self.flush();
            if !self.tls.is_handshaking() && self.lost.is_none() {
                let is_sent = !self.tls.wants_write();
                return if is_sent { Handshake::Done } else { Handshake::Pending };
            }
            match self.feed() {
                Ok(Fed::Bytes) => {}
                // What could not be written is judged only now: the counterparty's alert, which says
                // why it hung up, may have been waiting to be read.
                Ok(Fed::Nothing) => match self.lost {
                    Some(lost) => return self.fail(fault_of(lost)),
                    None => return Handshake::Pending,
                },
                Ok(Fed::End(lost)) => return self.fail(fault_of(lost)),
                Err(fault) => return self.fail(fault),
            }
        }
        Handshake::Pending
    }

    fn fail(&mut self, fault: TlsFault) -> Handshake {
        self.end(&fault);
        Handshake::Failed(fault)
    }

    /// The connection is of no use: says why to whoever listens, and the alert to the counterparty.
    fn end(&mut self, fault: &TlsFault) {
        self.flush();
        self.trouble.tell(&fault.to_string());
        self.link.close();
        self.lost = Some(Lost::Failed(ErrorKind::InvalidData));
    }

    /// One read of the wire, and what is in it decrypted.
    fn feed(&mut self) -> Result<Fed, TlsFault> {
        match self.tls.read_tls(&mut Wire(&mut self.link)) {
            Ok(0) => return Ok(Fed::End(Lost::ByPeer)),
            Ok(_) => {}
            Err(error) if is_passing(error.kind()) => return Ok(Fed::Nothing),
            Err(error) => return Ok(Fed::End(Lost::Failed(error.kind()))),
        }
        match self.tls.process_new_packets() {
            Ok(_) => Ok(Fed::Bytes),
            Err(error) => {
                let is_client = matches!(self.tls, Connection::Client(_));
                Err(TlsFault::of(&error, is_client, self.has_certificate))
            }
        }
    }

    /// Decrypted bytes that wait; `None` where there are none and there may be more.
    fn take(&mut self, room: &mut [u8]) -> Option<Received> {
        match self.tls.reader().read(room) {
            Ok(0) => Some(Received::Closed(Lost::ByPeer)),
            Ok(count) => Some(Received::Bytes(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            // The end of the TCP connection without TLS's own goodbye. FIX has its Logout and its
            // numbers, so that nothing hides behind a cut; it is told as plain TCP tells it.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Some(Received::Closed(Lost::ByPeer))
            }
            Err(error) => Some(Received::Closed(Lost::Failed(error.kind()))),
        }
    }

    /// Ciphertext to the socket, as much as it takes.
    fn flush(&mut self) {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut Wire(&mut self.link)) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    // What arrived before may still be read.
                    self.lost.get_or_insert(Lost::Failed(error.kind()));
                    return;
                }
            }
        }
    }
}

fn is_passing(kind: ErrorKind) -> bool {
    kind == ErrorKind::WouldBlock || kind == ErrorKind::Interrupted
}

fn fault_of(lost: Lost) -> TlsFault {
    match lost {
        Lost::ByPeer | Lost::ByUs => TlsFault::ClosedInHandshake,
        Lost::Failed(kind) => TlsFault::Other(format!("the connection failed: {kind}")),
    }
}

impl<T: Transport> Transport for TlsTransport<T> {
    fn read(&mut self, room: &mut [u8]) -> Received {
        if self.tls.wants_write() && self.lost.is_none() {
            self.flush();
        }
        if let Some(received) = self.take(room) {
            return received;
        }
        if let Some(lost) = self.lost.filter(|_| self.tls.is_handshaking()) {
            return Received::Closed(lost);
        }
        match self.feed() {
            Ok(Fed::Bytes) => {
                self.flush();
                self.take(room).unwrap_or(Received::Nothing)
            }
            Ok(Fed::Nothing) => self.lost.map_or(Received::Nothing, Received::Closed),
            Ok(Fed::End(lost)) => {
                if self.tls.is_handshaking() {
                    self.trouble.tell(&TlsFault::ClosedInHandshake.to_string());
                }
                Received::Closed(lost)
            }
            Err(fault) => {
                self.end(&fault);
                Received::Closed(Lost::Failed(ErrorKind::InvalidData))
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Written {
        if self.tls.wants_write() {
            self.flush();
        }
        if let Some(lost) = self.lost {
            return Written::Closed(lost);
        }
        if self.tls.is_handshaking() || self.tls.wants_write() {
            return Written::Full;
        }
        let bytes = bytes.get(..WRITE_MAX).unwrap_or(bytes);
        match self.tls.writer().write(bytes) {
            Ok(0) => Written::Full,
            Ok(count) => {
                self.flush();
                Written::Bytes(count)
            }
            Err(error) => Written::Closed(Lost::Failed(error.kind())),
        }
    }

    /// Says goodbye. Ciphertext for which the counterparty never made room is lost with it.
    fn close(&mut self) {
        if self.lost.is_none() {
            self.tls.send_close_notify();
            self.flush();
            self.link.close();
            self.lost = Some(Lost::ByUs);
        }
    }
}
