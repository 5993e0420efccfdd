//! TLS over real TCP: what is good goes through, everything else is refused with a reason that says
//! what to do.

mod certificates;

use ballast_engine::units::Nanos;
use ballast_gateway::transport::{
    ClientFiles, Lost, Ready, Received, Socket, TcpDoor, TcpTransport, TlsClient, TlsServer,
    TlsTransport, Transport, Trouble, Written, wait_for,
};
use ballast_gateway::venue::dial::SocketDial;
use ballast_gateway::venue::line::{Dial, Dialled, TcpDial};
use certificates::{Authority, Folder, Pair, self_signed};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

const HOST: &str = "fix.broker.example";
/// Turns before a test gives up; each that has nothing to do waits a little for the sockets.
const TURNS_MAX: usize = 2000;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: the system's allocator does the work; the count is a plain cell of this thread.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Both ends: ours dials, theirs is what a TLS server makes of what knocks.
struct World {
    now: Nanos,
    door: TcpDoor,
    dial: SocketDial<TcpDial>,
    trouble: Trouble,
    server: TlsServer,
    theirs: Option<TlsTransport<TcpTransport>>,
    their_trouble: Trouble,
}

fn client(ca: Option<&std::path::Path>, own: Option<&Pair>) -> TlsClient {
    let files = ClientFiles {
        ca,
        certificate: own.map(|pair| pair.certificate.as_path()),
        key: own.map(|pair| pair.key.as_path()),
    };
    TlsClient::new(HOST, files).unwrap()
}

fn server(pair: &Pair) -> TlsServer {
    TlsServer::new(&pair.certificate, &pair.key, None).unwrap()
}

fn door() -> TcpDoor {
    TcpDoor::open("127.0.0.1:0".parse().unwrap()).unwrap()
}

fn rest(socket: &impl AsFd) {
    wait_for(&[Ready { socket: socket.as_fd(), is_writing: false }], 1_000_000);
}

impl World {
    fn new(client: TlsClient, server: TlsServer) -> World {
        let door = door();
        let trouble = Trouble::default();
        let tcp = TcpDial::new(vec![door.address().unwrap()]);
        let dial = SocketDial::new(tcp, Some(client), trouble.clone());
        let their_trouble = Trouble::default();
        World { now: Nanos(1), door, dial, trouble, server, theirs: None, their_trouble }
    }

    fn serve(&mut self) {
        if self.theirs.is_none()
            && let Some(tcp) = self.door.accept()
        {
            self.theirs = self.server.begin(tcp, self.their_trouble.clone());
        }
        if let Some(theirs) = &mut self.theirs {
            theirs.handshake();
        }
    }

    /// What the dial comes to.
    fn dialled(&mut self) -> Result<Socket, String> {
        for _ in 0..TURNS_MAX {
            self.now = self.now.plus(1_000_000);
            match self.dial.dial(self.now) {
                Dialled::Connected(socket) => return Ok(socket),
                Dialled::Failed => return Err(self.trouble.last().unwrap()),
                Dialled::Pending => {}
            }
            self.serve();
            match &self.theirs {
                Some(theirs) => rest(theirs.link()),
                None => rest(&self.door),
            }
        }
        panic!("neither connected nor refused");
    }

    /// What the first read comes to, where the server has its say after our handshake is done.
    fn refused_afterwards(&mut self) -> String {
        let mut socket = self.dialled().unwrap();
        for _ in 0..TURNS_MAX {
            self.serve();
            match socket.read(&mut [0; 64]) {
                Received::Nothing => rest(&socket),
                Received::Bytes(_) => panic!("nothing was sent"),
                Received::Closed(lost) => {
                    assert_eq!(lost, Lost::Failed(ErrorKind::InvalidData));
                    return self.trouble.take_new().unwrap();
                }
            }
        }
        panic!("not refused");
    }
}

fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} in {text:?}");
    }
}

/// Passes `bytes` from one end to the other and takes them there.
fn pass(from: &mut impl Transport, to: &mut impl Transport, bytes: &[u8], room: &mut [u8]) {
    let mut sent = 0;
    let mut came = 0;
    for _ in 0..1_000_000 {
        if sent < bytes.len() {
            match from.write(&bytes[sent..]) {
                Written::Bytes(count) => sent += count,
                Written::Full => {}
                Written::Closed(lost) => panic!("{lost:?}"),
            }
        }
        // As a connection does it in each turn: it also moves what waits to be sent.
        assert_eq!(from.read(&mut [0; 8]), Received::Nothing);
        match to.read(&mut room[came..]) {
            Received::Bytes(count) => came += count,
            Received::Nothing => {}
            Received::Closed(lost) => panic!("{lost:?}"),
        }
        if came == bytes.len() {
            assert_eq!(&room[..came], bytes);
            return;
        }
    }
    panic!("{came} of {} arrived", bytes.len());
}

#[test]
fn a_good_server_is_taken_and_bytes_cross_both_ways() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca");
    let pair = authority.server(&folder, HOST);
    let mut world = World::new(client(Some(&authority.file), None), server(&pair));
    let mut ours = world.dialled().unwrap();
    world.serve();
    let mut theirs = world.theirs.take().unwrap();
    let mut room = vec![0; 1 << 20];
    pass(&mut ours, &mut theirs, b"8=FIX.4.4", &mut room);
    pass(&mut theirs, &mut ours, b"8=FIX.4.4|9=5", &mut room);
    // Many records, more than any buffer holds at a time.
    let long: Vec<u8> = (0..900_000u32).map(|n| n.to_le_bytes()[0]).collect();
    pass(&mut ours, &mut theirs, &long, &mut room);
    pass(&mut theirs, &mut ours, &long, &mut room);
    ours.close();
    rest(theirs.link());
    assert_eq!(theirs.read(&mut room), Received::Closed(Lost::ByPeer));
    assert_eq!(ours.write(b"x"), Written::Closed(Lost::ByUs));
    assert_eq!(world.trouble.last(), None);
}

#[test]
fn a_client_certificate_is_shown_where_it_is_demanded() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca");
    let pair = authority.server(&folder, HOST);
    let own = authority.client(&folder, "desk");
    let server =
        TlsServer::new(&pair.certificate, &pair.key, Some(authority.file.as_path())).unwrap();
    let mut world = World::new(client(Some(&authority.file), Some(&own)), server);
    let mut ours = world.dialled().unwrap();
    world.serve();
    let mut theirs = world.theirs.take().unwrap();
    pass(&mut ours, &mut theirs, b"8=FIX.4.4", &mut [0; 64]);
}

#[test]
fn a_self_signed_leaf_is_trusted_where_it_is_named() {
    let folder = Folder::new();
    let pair = self_signed(&folder, HOST);
    let mut world = World::new(client(Some(&pair.certificate), None), server(&pair));
    assert!(world.dialled().is_ok());
}

#[test]
fn an_expired_certificate_is_refused() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca");
    let pair = authority.expired(&folder, HOST);
    let text =
        World::new(client(Some(&authority.file), None), server(&pair)).dialled().unwrap_err();
    says(&text, &["has expired", "must renew it", "clock"]);
}

#[test]
fn a_certificate_that_nobody_signed_is_refused() {
    let folder = Folder::new();
    let pair = self_signed(&folder, HOST);
    let authority = Authority::new(&folder, "ca");
    for ca in [None, Some(authority.file.as_path())] {
        let text = World::new(client(ca, None), server(&pair)).dialled().unwrap_err();
        says(&text, &["nobody we trust", "self-signed", "tls.ca"]);
    }
}

#[test]
fn another_hosts_certificate_is_refused() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca");
    let pair = authority.server(&folder, "other.example");
    let text =
        World::new(client(Some(&authority.file), None), server(&pair)).dialled().unwrap_err();
    says(&text, &["another host", HOST, "other.example", "tls.server_name"]);
}

#[test]
fn without_the_certificate_that_is_demanded_nothing_comes_through() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca");
    let pair = authority.server(&folder, HOST);
    let server =
        TlsServer::new(&pair.certificate, &pair.key, Some(authority.file.as_path())).unwrap();
    let mut world = World::new(client(Some(&authority.file), None), server);
    says(&world.refused_afterwards(), &["demands a client certificate", "tls.client_cert"]);
    says(&world.their_trouble.last().unwrap(), &["the client showed no certificate"]);
}

#[test]
fn a_client_certificate_of_another_authority_is_refused() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca");
    let stranger = Authority::new(&folder, "stranger");
    let pair = authority.server(&folder, HOST);
    let own = stranger.client(&folder, "desk");
    let server =
        TlsServer::new(&pair.certificate, &pair.key, Some(authority.file.as_path())).unwrap();
    let mut world = World::new(client(Some(&authority.file), Some(&own)), server);
    says(&world.refused_afterwards(), &["refused our certificate", "tls.client_cert"]);
}

/// Answers the dial with `answer` once the first bytes came, then closes where it is told to.
fn answered(answer: &[u8], is_closing: bool, turns: usize) -> String {
    let door = door();
    let trouble = Trouble::default();
    let tcp = TcpDial::new(vec![door.address().unwrap()]);
    let mut dial = SocketDial::new(tcp, Some(client(None, None)), trouble.clone());
    let mut peer: Option<TcpTransport> = None;
    let mut has_answered = false;
    for turn in 0..turns {
        let now = Nanos(1 + 100_000_000 * u64::try_from(turn).unwrap());
        match dial.dial(now) {
            Dialled::Connected(_) => panic!("that was no TLS"),
            Dialled::Failed => return trouble.take_new().unwrap(),
            Dialled::Pending => {}
        }
        peer = peer.or_else(|| door.accept());
        if let Some(tcp) = &mut peer {
            if let Received::Bytes(_) = tcp.read(&mut [0; 2048])
                && !std::mem::replace(&mut has_answered, true)
            {
                tcp.write(answer);
                if is_closing {
                    tcp.close();
                }
            }
            rest(tcp);
        }
    }
    panic!("neither connected nor refused");
}

/// Handshake record of TLS 1.1: a ServerHello with version 3.2, a random, no session id, one cipher
/// suite of those days, no compression. RFC 4346, 7.4.1.3.
fn server_hello_of_tls_1_1() -> Vec<u8> {
    let mut body = vec![3, 2];
    body.extend([7; 32]);
    body.extend([0, 0, 0x2f, 0]);
    let length = u8::try_from(body.len()).unwrap();
    let mut record = vec![22, 3, 2, 0, length + 4, 2, 0, 0, length];
    record.extend(body);
    record
}

#[test]
fn a_peer_of_tls_1_1_is_refused() {
    let text = answered(&server_hello_of_tls_1_1(), false, TURNS_MAX);
    says(&text, &["TLS 1.2 is the least", "allow TLS 1.2 or 1.3"]);
    // An alert protocol_version (70), as OpenSSL answers where it is held to 1.1.
    let text = answered(&[21, 3, 2, 0, 2, 2, 70], true, TURNS_MAX);
    says(&text, &["TLS 1.2 is the least", "ProtocolVersion"]);
}

#[test]
fn openssl_held_to_tls_1_1_is_refused() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca");
    let pair = authority.server(&folder, HOST);
    let port = door().address().unwrap().port().to_string();
    let server = Command::new("openssl")
        .args(["s_server", "-quiet", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-accept", &port])
        .arg("-cert")
        .arg(&pair.certificate)
        .arg("-key")
        .arg(&pair.key)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut server) = server else {
        eprintln!("no openssl on this host: the scripted peer of TLS 1.1 stands for it");
        return;
    };
    let trouble = Trouble::default();
    let tcp = TcpDial::new(vec![format!("127.0.0.1:{port}").parse().unwrap()]);
    let client = client(Some(&authority.file), None);
    let mut dial = SocketDial::new(tcp, Some(client), trouble.clone());
    let waiting = door();
    // The server takes a moment to listen: until then nobody is there.
    let refused = (0..10_000).find_map(|_| {
        let dialled = dial.dial(Nanos(1));
        assert!(!matches!(dialled, Dialled::Connected(_)), "TLS 1.1 was taken");
        rest(&waiting);
        trouble.last().filter(|text| !text.contains("no TCP connection"))
    });
    server.kill().unwrap();
    server.wait().unwrap();
    says(&refused.unwrap(), &["TLS 1.2 is the least"]);
}

#[test]
fn what_is_not_tls_at_all_is_told_apart() {
    says(&answered(b"8=FIX.4.4\x019=65\x0135=5\x01", false, TURNS_MAX), &["plain-text port"]);
    says(&answered(b"", true, TURNS_MAX), &["closed the connection within the handshake"]);
    says(&answered(b"", false, TURNS_MAX), &["not done within 10 s"]);
}

#[test]
fn a_counterparty_that_does_not_read_is_an_answer_and_memory_stays_bounded() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca");
    let pair = authority.server(&folder, HOST);
    let mut world = World::new(client(Some(&authority.file), None), server(&pair));
    let mut ours = world.dialled().unwrap();
    world.serve();
    let chunk = vec![0u8; 1 << 20];
    let mut taken = 0;
    for _ in 0..100_000 {
        match ours.write(&chunk) {
            // Never more than one write's worth beyond what the socket takes.
            Written::Bytes(count) => {
                assert!(count <= 64 * 1024);
                taken += count;
            }
            Written::Full => {
                assert!(ours.is_writing() && taken > 0);
                assert_eq!(ours.write(&chunk), Written::Full);
                return;
            }
            Written::Closed(lost) => panic!("{lost:?}"),
        }
    }
    panic!("gigabytes went into a socket that nobody reads");
}

#[test]
fn a_warm_connection_takes_a_known_number_of_buffers_a_message() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca");
    let pair = authority.server(&folder, HOST);
    let mut world = World::new(client(Some(&authority.file), None), server(&pair));
    let mut ours = world.dialled().unwrap();
    world.serve();
    let mut theirs = world.theirs.take().unwrap();
    let message = [b'8'; 200];
    let mut room = [0; 512];
    for _ in 0..100 {
        pass(&mut ours, &mut theirs, &message, &mut room);
    }
    let before = ALLOCATIONS.with(Cell::get);
    for _ in 0..1000 {
        pass(&mut ours, &mut theirs, &message, &mut room);
    }
    let each = (ALLOCATIONS.with(Cell::get) - before) as f64 / 1000.0;
    println!("{each} allocations a message, written and read");
    // One buffer to encrypt into and one to decrypt into, both of the message's size.
    assert!(each <= 2.0, "{each} allocations a message, written and read");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca");
    let pair = authority.server(&folder, HOST);
    let other = authority.client(&folder, "other");
    let error = |files: ClientFiles<'_>| TlsClient::new(HOST, files).unwrap_err().to_string();
    let missing = folder.path().join("missing.pem");
    let text = error(ClientFiles { ca: Some(&missing), ..ClientFiles::default() });
    says(&text, &["tls.ca", "missing.pem", "No such file"]);
    let text = error(ClientFiles { ca: Some(&pair.key), ..ClientFiles::default() });
    says(&text, &["tls.ca", "holds no PEM CERTIFICATE"]);
    let half = ClientFiles { certificate: Some(&pair.certificate), ..ClientFiles::default() };
    says(&error(half), &["client_cert and client_key go together"]);
    says(&error(ClientFiles { key: Some(&other.key), ..half }), &["is it the key of this cert"]);
    std::fs::set_permissions(&pair.key, std::os::unix::fs::PermissionsExt::from_mode(0o640))
        .unwrap();
    says(&error(ClientFiles { key: Some(&pair.key), ..half }), &["open to others", "chmod 600"]);
    let text = TlsClient::new("not a host", ClientFiles::default()).unwrap_err().to_string();
    says(&text, &["tls.server_name", "not a host"]);
}

#[test]
fn plain_tcp_goes_through_the_same_dial() {
    let door = door();
    let tcp = TcpDial::new(vec![door.address().unwrap()]);
    let mut dial = SocketDial::new(tcp, None, Trouble::default());
    let mut socket = loop {
        match dial.dial(Nanos(1)) {
            Dialled::Connected(socket) => break socket,
            Dialled::Pending => rest(&door),
            Dialled::Failed => panic!("somebody listens"),
        }
    };
    rest(&door);
    let mut theirs = door.accept().unwrap();
    pass(&mut socket, &mut theirs, b"8=FIX", &mut [0; 64]);
    assert!(matches!(socket, Socket::Plain(_)));
}

#[test]
fn a_backup_is_checked_against_its_own_name() {
    const BACKUP: &str = "backup.venue.example";
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca");
    let first = client(Some(&authority.file), None);
    let both = vec![first.clone(), first.named(BACKUP).unwrap()];
    let dialled = |clients: Vec<TlsClient>, host: usize, certificate: &str| {
        let pair = authority.server(&folder, certificate);
        let mut world = World::new(first.clone(), server(&pair));
        // Both hosts are this door.
        let address = world.door.address().unwrap();
        let tcp = TcpDial::new(vec![address, address]);
        world.dial = SocketDial::each(tcp, clients, world.trouble.clone());
        world.dial.choose(host);
        world.dialled().map(|_| ())
    };
    assert_eq!(dialled(both.clone(), 0, HOST), Ok(()));
    assert_eq!(dialled(both.clone(), 1, BACKUP), Ok(()));
    says(&dialled(both, 1, HOST).unwrap_err(), &[BACKUP]);
    says(&dialled(vec![first.clone()], 1, BACKUP).unwrap_err(), &[HOST]);
}
