//! Calls a venue for a certification: TCP, then TLS where the config says so, waiting for each.
//!
//! Asked by a leg of the run when a script logs on. One thread, which waits. Deliberately absent: hosts
//! tried again and pauses: a certification wants to see the first attempt.

use ballast_engine::units::Nanos;
use ballast_gateway::transport::{
    Handshake, Ready, Socket, TcpTransport, TlsClient, TlsFault, Trouble, wait_for,
};
use ballast_gateway::venue::hosts::Host;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::Duration;

/// How long a TCP connect may take, and a handshake after it.
const WITHIN_S: u64 = 10;

/// Whom to call.
pub struct Call {
    hosts: Vec<Host>,
    /// One a host; none in clear.
    tls: Vec<TlsClient>,
}

impl Call {
    /// In clear where there is no `tls`, which goes by the hosts' order.
    pub fn new(hosts: Vec<Host>, tls: Vec<TlsClient>) -> Call {
        Call { hosts, tls }
    }

    /// The first address that takes the call.
    ///
    /// # Errors
    /// None did; what was wrong with the last.
    pub fn connect(&self, now: fn() -> Nanos) -> Result<Socket, String> {
        let mut fault = "no address".to_string();
        let places = self.hosts.iter().enumerate();
        let addresses = places.flat_map(|(n, host)| host.addresses().iter().map(move |a| (n, a)));
        for (host, address) in addresses {
            let joined = TcpStream::connect_timeout(address, Duration::from_secs(WITHIN_S))
                .and_then(TcpTransport::new)
                .map_err(|error| error.to_string())
                .and_then(|tcp| self.secure(host, tcp, now));
            match joined {
                Ok(socket) => return Ok(socket),
                Err(error) => fault = format!("{address}: {error}"),
            }
        }
        Err(fault)
    }

    fn secure(&self, host: usize, tcp: TcpTransport, now: fn() -> Nanos) -> Result<Socket, String> {
        let Some(client) = self.tls.get(host) else { return Ok(Socket::Plain(tcp)) };
        let trouble = Trouble::default();
        let Some(mut tls) = client.begin(tcp, trouble.clone()) else {
            return Err(trouble.last().unwrap_or_else(|| "no TLS".into()));
        };
        let end = now().plus(WITHIN_S * 1_000_000_000);
        loop {
            match tls.handshake() {
                Handshake::Done => return Ok(Socket::Tls(Box::new(tls))),
                Handshake::Failed(fault) => return Err(fault.to_string()),
                Handshake::Pending if now() >= end => {
                    return Err(TlsFault::TimedOut(WITHIN_S).to_string());
                }
                Handshake::Pending => {
                    let ready = Ready { socket: tls.link().as_fd(), is_writing: tls.is_writing() };
                    wait_for(&[ready], end.since(now()));
                }
            }
        }
    }
}
