//! Dials a venue in clear or in TLS, as its config says.
//!
//! Asked by the line; makes [`Socket`]s. The stage's thread; the handshake goes on in the dial's
//! turns, so that the session begins only when TLS is there. What goes wrong is told to a
//! [`Trouble`], which people read elsewhere. Deliberately absent: pauses between dials; the line has
//! them.

use super::line::{Dial, Dialled};
use crate::transport::{
    Handshake, Socket, TcpTransport, TlsClient, TlsFault, TlsTransport, Trouble,
};
use ballast_engine::units::Nanos;

/// How long a handshake may take, in s.
pub const HANDSHAKE_S: u64 = 10;

/// Makes TCP connections of `D` into sockets.
#[derive(Debug)]
pub struct SocketDial<D> {
    tcp: D,
    /// One a host; none in clear.
    tls: Vec<TlsClient>,
    host: usize,
    shaking: Option<(Box<TlsTransport<TcpTransport>>, Nanos)>,
    trouble: Trouble,
}

impl<D> SocketDial<D> {
    /// In clear where `tls` is `None`; otherwise all hosts go by its name.
    pub fn new(tcp: D, tls: Option<TlsClient>, trouble: Trouble) -> SocketDial<D> {
        SocketDial::each(tcp, tls.into_iter().collect(), trouble)
    }

    /// Each host by a name of its own, in the order of `tcp`'s hosts; in clear where there is none.
    pub fn each(tcp: D, tls: Vec<TlsClient>, trouble: Trouble) -> SocketDial<D> {
        SocketDial { tcp, tls, host: 0, shaking: None, trouble }
    }

    fn shake(
        &mut self,
        now: Nanos,
        mut tls: Box<TlsTransport<TcpTransport>>,
        since: Nanos,
    ) -> Dialled<Socket> {
        match tls.handshake() {
            Handshake::Done => Dialled::Connected(Socket::Tls(tls)),
            Handshake::Pending if now.since(since) >= HANDSHAKE_S * 1_000_000_000 => {
                self.trouble.tell(&TlsFault::TimedOut(HANDSHAKE_S).to_string());
                Dialled::Failed
            }
            Handshake::Pending => {
                self.shaking = Some((tls, since));
                Dialled::Pending
            }
            // The transport has told it.
            Handshake::Failed(_) => Dialled::Failed,
        }
    }
}

impl<D: Dial<Link = TcpTransport>> Dial for SocketDial<D> {
    type Link = Socket;

    fn hosts(&self) -> usize {
        self.tcp.hosts()
    }

    fn choose(&mut self, host: usize) {
        self.host = host;
        self.tcp.choose(host);
    }

    fn dial(&mut self, now: Nanos) -> Dialled<Socket> {
        if let Some((tls, since)) = self.shaking.take() {
            return self.shake(now, tls, since);
        }
        let client = self.tls.get(self.host).or(self.tls.last());
        match (self.tcp.dial(now), client) {
            (Dialled::Connected(link), None) => Dialled::Connected(Socket::Plain(link)),
            (Dialled::Connected(link), Some(client)) => {
                match client.begin(link, self.trouble.clone()) {
                    Some(tls) => self.shake(now, Box::new(tls), now),
                    None => Dialled::Failed,
                }
            }
            (Dialled::Pending, _) => Dialled::Pending,
            (Dialled::Failed, _) => {
                self.trouble.tell("no TCP connection: nobody listens there, or no way leads there");
                Dialled::Failed
            }
        }
    }
}
