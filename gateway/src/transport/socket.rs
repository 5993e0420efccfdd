//! A socket to a venue, plain or TLS, as the config says: one type for both.
//!
//! Made by the dial; read and written by the connection, on the session's thread. One predictable
//! branch a call. Deliberately absent: everything else.

use super::{Received, TcpTransport, TlsTransport, Transport, Written};
use std::os::fd::{AsFd, BorrowedFd};

/// One connection.
#[derive(Debug)]
pub enum Socket {
    /// FIX in clear over TCP.
    Plain(TcpTransport),
    /// FIX in TLS.
    Tls(Box<TlsTransport<TcpTransport>>),
}

impl Socket {
    /// Bytes that were taken wait for the socket: wait for writing as well.
    pub fn is_writing(&self) -> bool {
        match self {
            Socket::Plain(_) => false,
            Socket::Tls(tls) => tls.is_writing(),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Plain(tcp) => tcp.as_fd(),
            Socket::Tls(tls) => tls.link().as_fd(),
        }
    }
}

impl Transport for Socket {
    #[inline]
    fn read(&mut self, room: &mut [u8]) -> Received {
        match self {
            Socket::Plain(tcp) => tcp.read(room),
            Socket::Tls(tls) => tls.read(room),
        }
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Written {
        match self {
            Socket::Plain(tcp) => tcp.write(bytes),
            Socket::Tls(tls) => tls.write(bytes),
        }
    }

    fn close(&mut self) {
        match self {
            Socket::Plain(tcp) => tcp.close(),
            Socket::Tls(tls) => tls.close(),
        }
    }
}
