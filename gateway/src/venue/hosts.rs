//! The hosts of one venue, and where they are now: a name is looked up again for each dial.
//!
//! Asked by the dial, on its stage's thread, only while no connection stands; made from the config's
//! `host:port`s. `getaddrinfo` may hang for as long as a name server is silent, so that it runs on a thread
//! of its own, made at the start (one made later would sit on the stage's core); the dial waits
//! [`LOOKUP_NS`] for it and then goes where the name last led. A host with several addresses is dialled at
//! the next one each time. Deliberately absent: connecting.

use ballast_engine::units::Nanos;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// How long a dial waits for a lookup, in ns.
const LOOKUP_NS: u64 = 2_000_000_000;

/// One host: what it is called, and where that last led.
#[derive(Clone, Debug)]
pub struct Host {
    /// `host:port`; `None` for an address, which leads nowhere else.
    name: Option<Box<str>>,
    addresses: Vec<SocketAddr>,
    next: usize,
    /// It is being looked up.
    is_asked: bool,
}

impl Host {
    /// The host that `name` (`host:port`) names, and where it led at the start.
    pub fn new(name: &str, addresses: Vec<SocketAddr>) -> Host {
        let is_address = name.parse::<SocketAddr>().is_ok();
        let name = (!is_address).then(|| name.into());
        Host { name, addresses, next: 0, is_asked: false }
    }

    /// Where it was last found.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The address to dial; the next of them the next time.
    fn take(&mut self) -> Option<SocketAddr> {
        let count = self.addresses.len().max(1);
        let address = self.addresses.get(self.next % count).copied();
        self.next = (self.next + 1) % count;
        address
    }
}

impl From<SocketAddr> for Host {
    fn from(address: SocketAddr) -> Host {
        Host { name: None, addresses: vec![address], next: 0, is_asked: false }
    }
}

/// Where to dial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Where {
    /// Ask again.
    Pending,
    At(SocketAddr),
    /// The name never led anywhere.
    Nowhere,
}

/// What looks names up; a test has its own.
pub(super) type Lookup = fn(&str) -> Vec<SocketAddr>;

/// The system's.
pub(super) fn look_up(name: &str) -> Vec<SocketAddr> {
    name.to_socket_addrs().map(Iterator::collect).unwrap_or_default()
}

/// The hosts, and the thread that looks their names up.
#[derive(Debug)]
pub(super) struct Hosts {
    hosts: Vec<Host>,
    resolver: Option<Resolver>,
    /// The dial in hand waits for a lookup since then.
    since: Option<Nanos>,
}

/// The thread ends with the sender.
#[derive(Debug)]
struct Resolver {
    ask: SyncSender<usize>,
    told: Receiver<(usize, Vec<SocketAddr>)>,
}

impl Resolver {
    /// `None` where there is no name to look up, or no thread to be had: then the hosts stay where they are.
    fn start(hosts: &[Host], lookup: Lookup) -> Option<Resolver> {
        let names: Vec<_> = hosts.iter().map(|host| host.name.clone()).collect();
        if names.iter().all(Option::is_none) {
            return None;
        }
        // Each host is asked for once at a time.
        let (ask, asked) = sync_channel::<usize>(hosts.len());
        let (tell, told) = sync_channel(hosts.len());
        let work = move || {
            for host in asked {
                let name = names.get(host).and_then(Option::as_deref);
                if tell.send((host, name.map(lookup).unwrap_or_default())).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("ballast-names".into()).spawn(work);
        thread.is_ok().then_some(Resolver { ask, told })
    }
}

impl Hosts {
    pub(super) fn new(hosts: Vec<Host>, lookup: Lookup) -> Hosts {
        let resolver = Resolver::start(&hosts, lookup);
        Hosts { hosts, resolver, since: None }
    }

    pub(super) fn count(&self) -> usize {
        self.hosts.len()
    }

    /// Where to dial host number `host`. Asked until it is known.
    pub(super) fn find(&mut self, now: Nanos, host: usize) -> Where {
        let is_new = self.since.is_none();
        let since = *self.since.get_or_insert(now);
        // Answers that came too late for an earlier dial are older than this one's question.
        let mut is_known = false;
        if let Some(resolver) = &self.resolver {
            while let Ok((told, addresses)) = resolver.told.try_recv() {
                let Some(host_told) = self.hosts.get_mut(told) else { continue };
                host_told.is_asked = false;
                is_known |= told == host && !is_new;
                if !addresses.is_empty() {
                    host_told.addresses = addresses;
                }
            }
        }
        let Some(found) = self.hosts.get_mut(host) else { return Where::Nowhere };
        let resolver = self.resolver.as_ref().filter(|_| found.name.is_some());
        if let Some(resolver) = resolver.filter(|_| is_new && !found.is_asked) {
            found.is_asked = resolver.ask.try_send(host).is_ok();
        }
        let is_waiting = found.is_asked && !is_known && now.since(since) < LOOKUP_NS;
        if resolver.is_some() && is_waiting {
            return Where::Pending;
        }
        self.since = None;
        found.take().map_or(Where::Nowhere, Where::At)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU16, Ordering};

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// Asks until the answer is there; the other thread takes its time.
    fn found(hosts: &mut Hosts, host: usize) -> Where {
        loop {
            match hosts.find(Nanos(5), host) {
                Where::Pending => std::thread::yield_now(),
                found => return found,
            }
        }
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_dialled_there() {
        static PORT: AtomicU16 = AtomicU16::new(1);
        let lookup: Lookup = |name| match name {
            "moved.example:1" => vec![at(PORT.load(Ordering::SeqCst)), at(99)],
            _ => Vec::new(),
        };
        let hosts = ["moved.example:1", "gone.example:1", "127.0.0.1:7"];
        let hosts = hosts.map(|name| Host::new(name, vec![at(7)])).to_vec();
        let mut hosts = Hosts::new(hosts, lookup);
        assert_eq!(found(&mut hosts, 0), Where::At(at(1)));
        PORT.store(2, Ordering::SeqCst);
        assert_eq!(found(&mut hosts, 0), Where::At(at(99)), "the next of its addresses");
        assert_eq!(found(&mut hosts, 0), Where::At(at(2)));
        assert_eq!(found(&mut hosts, 1), Where::At(at(7)), "where it last led");
        assert_eq!(hosts.find(Nanos(5), 2), Where::At(at(7)), "an address is not looked up");
        assert_eq!(hosts.find(Nanos(5), 3), Where::Nowhere);
    }

    #[test]
    fn a_name_server_that_is_silent_costs_a_bounded_wait_and_one_question() {
        static SILENCE: Mutex<()> = Mutex::new(());
        static QUESTIONS: AtomicU16 = AtomicU16::new(0);
        let lookup: Lookup = |_| {
            QUESTIONS.fetch_add(1, Ordering::SeqCst);
            let _wait = SILENCE.lock().unwrap();
            vec![at(2)]
        };
        let silence = SILENCE.lock().unwrap();
        let mut hosts = Hosts::new(vec![Host::new("a.example:1", vec![at(1)])], lookup);
        for dial in 0..3 {
            let begun = Nanos(1 + dial * 10 * LOOKUP_NS);
            assert_eq!(hosts.find(begun, 0), Where::Pending);
            assert_eq!(hosts.find(begun.plus(LOOKUP_NS - 1), 0), Where::Pending);
            assert_eq!(hosts.find(begun.plus(LOOKUP_NS), 0), Where::At(at(1)));
        }
        drop(silence);
        assert_eq!(found(&mut hosts, 0), Where::At(at(2)));
        assert!(QUESTIONS.load(Ordering::SeqCst) <= 2, "asked again only once answered");
    }
}
