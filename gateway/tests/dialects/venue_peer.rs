//! A venue of its own words for the tests of dialects: FIX over TLS over TCP, read and written here
//! without our codec or session, so that what both sides believe is not one side's belief.
//!
//! What it refuses is a fault of ours: [`Peer::refuse`] is remembered, and `check` fails the test.

use ballast_engine::event::{
    ClOrdId, InstrumentId, MarketEvent, OrderAction, OrderEvent, OrderIntent, TimeInForce, VenueId,
};
use ballast_engine::instrument::Instrument;
use ballast_engine::ring::{Consumer, Producer, slots};
use ballast_engine::stage::Stage;
use ballast_engine::units::{Lots, Nanos, Side, Stamp, Ticks};
use ballast_gateway::market_data::{Feed, FeedConfig};
use ballast_gateway::order_entry::exec_ids::ExecIds;
use ballast_gateway::order_entry::{OrderEntry, OrderEntryConfig};
use ballast_gateway::session::{ReconnectConfig, Session, SessionConfig};
use ballast_gateway::store::MemoryStore;
use ballast_gateway::transport::{
    ClientFiles, Ready, Received, Socket, TcpDoor, TlsClient, TlsServer, Transport, Trouble,
    Written, wait_for,
};
use ballast_gateway::venue::dial::SocketDial;
use ballast_gateway::venue::dialect::Rules;
use ballast_gateway::venue::line::TcpDial;
use ballast_gateway::venue::symbols::Symbols;
use ballast_gateway::venue::time_base::TimeBase;
use std::os::fd::AsFd;

use crate::certificates::{Authority, Folder};

pub const HOST: &str = "fix.venue.example";
/// 2024-08-08 23:59:59 UTC, where every test begins; [`SENDING_TIME`] is the same as text.
pub const START: Nanos = Nanos(1_723_161_599_000_000_000);
pub const SENDING_TIME: &str = "20240808-23:59:59.000000";
/// Turns without anything to do before a test goes on.
/// They must outlast the pause before the next dial.
const QUIET_TURNS: usize = 40;

pub type Order = OrderEntry<SocketDial<TcpDial>, MemoryStore>;
pub type Quotes = Feed<SocketDial<TcpDial>, MemoryStore>;

/// One message as its fields in the order of the wire, 8, 9 and 10 checked and left out.
#[derive(Clone, Debug)]
pub struct Fields(pub Vec<(u32, String)>);

impl Fields {
    pub fn get(&self, tag: u32) -> Option<&str> {
        self.0.iter().find(|(t, _)| *t == tag).map(|(_, value)| value.as_str())
    }

    pub fn need(&self, tag: u32) -> &str {
        self.get(tag).unwrap_or_else(|| panic!("{tag} is missing in {self:?}"))
    }

    pub fn msg_type(&self) -> &str {
        self.need(35)
    }
}

/// The venue's end of one door.
pub struct Peer {
    pub door: TcpDoor,
    server: TlsServer,
    trouble: Trouble,
    socket: Option<Socket>,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    /// MsgSeqNum(34) that comes next, and that goes out next.
    next: (u64, u64),
    pub names: (&'static str, String),
    pub connections: usize,
    pub refusals: Vec<String>,
}

impl Peer {
    pub fn new(server: TlsServer, comp_id: &'static str) -> Peer {
        Peer {
            door: TcpDoor::open("127.0.0.1:0".parse().unwrap()).unwrap(),
            server,
            trouble: Trouble::default(),
            socket: None,
            inbox: Vec::new(),
            outbox: Vec::new(),
            next: (1, 1),
            names: (comp_id, String::new()),
            connections: 0,
            refusals: Vec::new(),
        }
    }

    /// What came, each message whole and in sequence.
    pub fn turn(&mut self) -> Vec<Fields> {
        if let Some(tcp) = self.door.accept() {
            let tls = self.server.begin(tcp, self.trouble.clone()).unwrap();
            self.socket = Some(Socket::Tls(Box::new(tls)));
            self.inbox.clear();
            self.outbox.clear();
            self.next = (1, 1);
            self.connections += 1;
        }
        self.flush();
        let mut room = [0; 65536];
        let received = self.socket.as_mut().map(|socket| socket.read(&mut room));
        match received {
            Some(Received::Bytes(count)) => self.inbox.extend(&room[..count]),
            Some(Received::Closed(_)) => self.socket = None,
            Some(Received::Nothing) | None => {}
        }
        let mut messages = Vec::new();
        while let Some(message) = self.cut_one() {
            messages.push(message);
        }
        messages
    }

    fn cut_one(&mut self) -> Option<Fields> {
        let text = String::from_utf8(self.inbox.clone()).unwrap();
        let rest = text.strip_prefix("8=FIX.4.4\x019=").or_else(|| {
            assert!(text.len() < 20, "not FIX: {text:?}");
            None
        })?;
        let (length, body) = rest.split_once('\x01')?;
        let length: usize = length.parse().unwrap();
        let head = text.len() - body.len();
        let tail = body.get(length..length + 7)?;
        let sum = text.as_bytes()[..head + length].iter().fold(0u8, |s, b| s.wrapping_add(*b));
        assert_eq!(tail, format!("10={sum:03}\x01"), "CheckSum(10)");
        let fields: Vec<_> = body[..length - 1]
            .split('\x01')
            .map(|field| {
                let (tag, value) = field.split_once('=').unwrap();
                (tag.parse().unwrap(), value.to_owned())
            })
            .collect();
        self.inbox.drain(..head + length + 7);
        let fields = Fields(fields);
        assert_eq!(fields.0[0].0, 35, "MsgType(35) comes first");
        if fields.need(34) != self.next.0.to_string() {
            self.refuse(&format!("MsgSeqNum(34) {}, expected {}", fields.need(34), self.next.0));
        }
        self.next.0 += 1;
        Some(fields)
    }

    pub fn refuse(&mut self, why: &str) {
        self.refusals.push(why.to_owned());
    }

    /// Sends `8|11=…` with header, length and checksum.
    pub fn say(&mut self, text: &str) {
        let (msg_type, rest) = text.split_once('|').unwrap_or((text, ""));
        let mut body = format!(
            "35={msg_type}\x0134={}\x0149={}\x0152={SENDING_TIME}\x0156={}\x01",
            self.next.1, self.names.0, self.names.1
        );
        for field in rest.split('|').filter(|field| !field.is_empty()) {
            body.push_str(field);
            body.push('\x01');
        }
        self.next.1 += 1;
        let mut whole = format!("8=FIX.4.4\x019={}\x01{body}", body.len());
        let sum = whole.bytes().fold(0u8, |s, b| s.wrapping_add(b));
        whole.push_str(&format!("10={sum:03}\x01"));
        self.outbox.extend(whole.bytes());
        self.flush();
    }

    /// Skips a number, as if a message had been lost.
    pub fn lose_one(&mut self) {
        self.next.1 += 1;
    }

    fn flush(&mut self) {
        while let Some(socket) = self.socket.as_mut().filter(|_| !self.outbox.is_empty()) {
            match socket.write(&self.outbox) {
                Written::Bytes(count) => _ = self.outbox.drain(..count),
                Written::Full => return,
                Written::Closed(_) => self.socket = None,
            }
        }
    }

    pub fn wait(&self) {
        let socket = self.socket.as_ref().map_or(self.door.as_fd(), |socket| socket.as_fd());
        wait_for(&[Ready { socket, is_writing: false }], 1_000_000);
    }

    /// No tag beyond those that the venue's documents list for the message.
    pub fn know_only(&mut self, message: &Fields, tags: &[u32]) {
        for (tag, _) in &message.0 {
            if ![35, 34, 49, 52, 56].contains(tag) && !tags.contains(tag) {
                self.refuse(&format!("undefined tag {tag} in {message:?}"));
            }
        }
    }

    /// Each of these is there and not empty.
    pub fn demand(&mut self, message: &Fields, tags: &[u32]) {
        for tag in tags {
            if message.get(*tag).is_none_or(str::is_empty) {
                self.refuse(&format!("required tag {tag} missing in {message:?}"));
            }
        }
    }

    pub fn check(&self) {
        assert!(self.refusals.is_empty(), "{:#?}", self.refusals);
    }
}

/// A venue's rules: what a message must be, and what is answered.
pub trait Venue {
    /// Every message passes here, Logon first.
    fn hear(&mut self, peer: &mut Peer, message: &Fields);
}

/// Our stages against a peer, all real but the clock.
pub struct World<V> {
    pub now: Nanos,
    pub peer: Peer,
    pub venue: V,
    pub seen: Vec<Fields>,
    _folder: Folder,
}

/// A peer with a certificate, and the client that trusts it.
pub fn tls(comp_id: &'static str) -> (Peer, TlsClient, Folder) {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca");
    let pair = authority.server(&folder, HOST);
    let files = ClientFiles { ca: Some(&authority.file), ..ClientFiles::default() };
    let client = TlsClient::new(HOST, files).unwrap();
    let server = TlsServer::new(&pair.certificate, &pair.key, None).unwrap();
    (Peer::new(server, comp_id), client, folder)
}

impl<V: Venue> World<V> {
    pub fn new(peer: Peer, venue: V, folder: Folder) -> World<V> {
        World { now: START, peer, venue, seen: Vec::new(), _folder: folder }
    }

    /// Both sides go on until nothing happens any more.
    pub fn settle(&mut self, stage: &mut impl Stage) {
        let mut quiet = 0;
        for _ in 0..20_000 {
            self.now = self.now.plus(100_000);
            let turn = stage.turn(self.now);
            let heard = self.peer.turn();
            let is_quiet = heard.is_empty() && turn != ballast_engine::stage::Turn::Busy;
            for message in heard {
                self.venue.hear(&mut self.peer, &message);
                self.seen.push(message);
            }
            if is_quiet {
                quiet += 1;
                self.peer.wait();
            } else {
                quiet = 0;
            }
            if quiet == QUIET_TURNS {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    pub fn take_seen(&mut self) -> Vec<Fields> {
        std::mem::take(&mut self.seen)
    }
}

/// Order entry with its rings.
pub struct Desk {
    pub stage: Order,
    pub intents: Producer<OrderIntent>,
    pub events: Consumer<OrderEvent>,
}

const REDIAL: ReconnectConfig =
    ReconnectConfig { pause_min_ns: 1_000_000, pause_max_ns: 2_000_000 };

pub fn dial(peer: &Peer, tls: TlsClient) -> SocketDial<TcpDial> {
    let tcp = TcpDial::new(vec![peer.door.address().unwrap()]);
    SocketDial::new(tcp, Some(tls), Trouble::default())
}

pub fn desk(
    peer: &Peer,
    tls: TlsClient,
    session: SessionConfig,
    (instrument, rules): (&Instrument, Rules),
) -> Desk {
    desk_of(peer, tls, session, (std::slice::from_ref(instrument), rules))
}

pub fn desk_of(
    peer: &Peer,
    tls: TlsClient,
    session: SessionConfig,
    traded: (&[Instrument], Rules),
) -> Desk {
    desk_over(MemoryStore::new(), peer, tls, session, traded)
}

/// Over a store that an earlier run left.
pub fn desk_over(
    store: MemoryStore,
    peer: &Peer,
    tls: TlsClient,
    session: SessionConfig,
    (instruments, rules): (&[Instrument], Rules),
) -> Desk {
    let (intents, intents_out) = slots(1 << 14);
    let (events_in, events) = slots(1 << 14);
    let config = OrderEntryConfig {
        epoch: 1,
        orders_max: 16_384,
        time_base: TimeBase::Arrival,
        account: None,
        redial: REDIAL,
        wind_down_ns: 5_000_000_000,
    };
    let symbols = Symbols::new(VenueId(0), instruments).unwrap();
    let stage = OrderEntry::new(
        config,
        (dial(peer, tls), Session::new(session, store)),
        (symbols, rules),
        ExecIds::new(1024),
        (intents_out, events_in),
        None,
    );
    Desk { stage: stage.unwrap(), intents, events }
}

pub fn feed(
    peer: &Peer,
    tls: TlsClient,
    session: SessionConfig,
    (instrument, rules): (&Instrument, Rules),
) -> (Quotes, Consumer<MarketEvent>) {
    let (market, events) = slots(256);
    let config = FeedConfig {
        market_depth: rules.market_depth,
        levels_max: 100,
        entries_max: 1000,
        time_base: TimeBase::Arrival,
        ask_again_ns: 1_000_000_000,
        redial: REDIAL,
    };
    let symbols = Symbols::new(VenueId(0), std::slice::from_ref(instrument)).unwrap();
    let session = Session::new(session, MemoryStore::new());
    (Feed::new(config, (dial(peer, tls), session), (symbols, rules), market, None), events)
}

impl Desk {
    pub fn order(&mut self, action: OrderAction, id: u64, orig: u64, (price, size): (i64, i64)) {
        let intent = OrderIntent {
            cl_ord_id: ClOrdId(id),
            orig_cl_ord_id: ClOrdId(orig),
            price: Ticks(price),
            size: Lots(size),
            stamp: Stamp(0),
            at: START,
            instrument: InstrumentId(0),
            action,
            side: Side::Buy,
            time_in_force: TimeInForce::PostOnly,
        };
        self.intents.push(intent).unwrap();
    }

    pub fn events(&mut self) -> Vec<OrderEvent> {
        std::iter::from_fn(|| self.events.pop()).collect()
    }

    /// The names of what came.
    pub fn names(&mut self) -> Vec<String> {
        let name =
            |e: OrderEvent| format!("{:?}", e.update).split([' ', '{']).next().unwrap().to_owned();
        self.events().into_iter().map(name).collect()
    }
}
