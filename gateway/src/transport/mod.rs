//! The transport: bytes to and from a counterparty, without waiting.
//!
//! The connection feeds it what the session sends and takes from it what arrives, on the thread
//! that runs the session. Every call answers at once; "no room" and "nothing there" are answers.
//! Deliberately absent: FIX, retries and time.

mod cut;
mod pipe;
mod socket;
mod tcp;
mod tee;
mod tls;
mod tls_fault;
mod tls_files;

pub use cut::Cut;
pub use pipe::{PipeEnd, pipe};
pub use socket::Socket;
pub use tcp::{Connecting, Ready, TcpConnect, TcpDoor, TcpTransport, wait_for};
pub use tee::{Tee, Teed};
pub use tls::{Handshake, TlsTransport};
pub use tls_fault::{TlsFault, TlsFileError, Trouble};
pub use tls_files::{ClientFiles, TlsClient, TlsServer};

/// Bytes to and from one counterparty. Both calls return at once.
pub trait Transport {
    /// Reads what is there into `room`, which is not empty.
    fn read(&mut self, room: &mut [u8]) -> Received;
    /// Takes as many of `bytes` as there is room for.
    fn write(&mut self, bytes: &[u8]) -> Written;
    /// Ends the connection after what was taken is sent. Calling it again does nothing.
    fn close(&mut self);
}

/// What a read found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// So many bytes; at least one.
    Bytes(usize),
    /// Nothing yet.
    Nothing,
    /// Nothing will come any more.
    Closed(Lost),
}

/// What a write did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// So many bytes were taken; at least one.
    Bytes(usize),
    /// None: the counterparty does not read fast enough.
    Full,
    /// The connection is gone.
    Closed(Lost),
}

/// Why a connection is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// The counterparty closed it.
    ByPeer,
    /// We closed it.
    ByUs,
    /// The network or the system ended it.
    Failed(std::io::ErrorKind),
}
