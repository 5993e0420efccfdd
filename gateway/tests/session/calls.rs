//! What an application, a venue's line and a certification ask of a session beside its messages: its
//! state and counters, messages of their own making, a new period, and outputs that are not drained.

use ballast_engine::units::Nanos;
use ballast_gateway::fix::encode::Encoder;
use ballast_gateway::session::{Event, Output, Role, SendError, Session, SessionConfig};
use ballast_gateway::store::{MemoryStore, Store, StoreError};
use std::cell::Cell;
use std::rc::Rc;

pub const NOW: Nanos = Nanos(1_700_000_000_000_000_000);

pub fn config(role: Role) -> SessionConfig {
    match role {
        Role::Initiator => SessionConfig::new(role, "US", "THEM"),
        Role::Acceptor => SessionConfig::new(role, "THEM", "US"),
    }
}

fn session(role: Role) -> Session<MemoryStore> {
    Session::new(config(role), MemoryStore::new())
}

/// A message of the other side's.
pub fn message(role: Role, msg_type: &[u8], number: u64, body: &[(u32, &str)]) -> Vec<u8> {
    let (from, to) = match role {
        Role::Initiator => ("THEM", "US"),
        Role::Acceptor => ("US", "THEM"),
    };
    let mut room = [0; 1024];
    let mut encoder = Encoder::begin(&mut room, b"FIX.4.4", msg_type);
    encoder.uint(34, number).str(49, from).str(52, "20231114-22:13:20.000").str(56, to);
    for (tag, value) in body {
        encoder.str(*tag, value);
    }
    let len = encoder.finish().unwrap();
    room[..len].to_vec()
}

pub const LOGON: [(u32, &str); 2] = [(98, "0"), (108, "0")];

/// All that waits: messages that were sent, `|`-separated from their MsgType(35) on, and the rest by
/// name.
pub fn drained<S: Store>(session: &mut Session<S>) -> Vec<String> {
    let mut outputs = Vec::new();
    while let Some(output) = session.poll_output() {
        match output {
            Output::Send(bytes) => {
                let text = String::from_utf8_lossy(bytes).replace('\x01', "|");
                outputs.extend(text.split("8=FIX.4.4|").skip(1).map(|message| {
                    let end = message.rfind("10=").unwrap();
                    message[message.find("35=").unwrap()..end].to_string()
                }));
            }
            Output::Deliver(Event::Message(message)) => {
                outputs.push(format!("Message {}", message.msg_seq_num().unwrap()));
            }
            Output::Deliver(event) => {
                let name = format!("{event:?}");
                outputs.push(name.split([' ', '(']).next().unwrap().to_string());
            }
            Output::Close(reason) => outputs.push(format!("{reason:?}")),
        }
    }
    outputs
}

/// A session that is logged on: the next number on both sides is 2.
pub fn logged_on(config: SessionConfig) -> Session<MemoryStore> {
    let role = config.role;
    let mut session = Session::new(config, MemoryStore::new());
    session.on_connected(NOW);
    let logon = message(role, b"A", 1, &LOGON);
    assert_eq!(session.on_bytes(NOW, &logon), logon.len());
    drained(&mut session);
    session
}

#[test]
fn a_session_says_whether_it_is_logged_on_and_in_sync() {
    let role = Role::Acceptor;
    let mut session = session(role);
    let mut says = Vec::new();
    let mut say = |session: &Session<_>| says.push((session.is_logged_on(), session.is_synced()));
    say(&session);
    session.on_connected(NOW);
    assert!(session.poll_output().is_none(), "an acceptor has nothing to say yet");
    for (msg_type, number) in [(b"A", 1), (b"0", 3), (b"0", 2), (b"5", 4)] {
        let body = if msg_type == b"A" { &LOGON[..] } else { &[] };
        session.on_bytes(NOW, &message(role, msg_type, number, body));
        drained(&mut session);
        say(&session);
    }
    let wanted = [(false, false), (true, true), (true, false), (true, true), (false, false)];
    assert_eq!(says, wanted);
}

#[test]
fn counters_count() {
    let mut session = logged_on(SessionConfig { held_max: 1, ..config(Role::Acceptor) });
    for number in [5, 6, 7] {
        session.on_bytes(NOW, &message(Role::Acceptor, b"0", number, &[]));
        drained(&mut session);
    }
    session.on_bytes(NOW, b"8=FIX.4.4\x019=5\x01nonsense");
    let counters = session.counters();
    assert_eq!((counters.messages_in, counters.messages_out), (4, 2));
    assert_eq!((counters.held_dropped, counters.resend_requests_out), (2, 1));
    assert_eq!(counters.garbled, 1);
}

#[test]
fn nothing_is_taken_in_while_something_is_to_be_asked_for() {
    let role = Role::Acceptor;
    let mut session = logged_on(config(role));
    let [second, third, fourth] = [2, 3, 4].map(|number| message(role, b"D", number, &[(11, "a")]));
    assert_eq!(session.on_bytes(NOW, &third), third.len());
    drained(&mut session);
    assert_eq!(session.on_bytes(NOW, &second), second.len());
    assert_eq!(session.on_bytes(NOW, &fourth), 0, "an event waits");
    assert!(matches!(session.poll_output(), Some(Output::Deliver(Event::Message(_)))));
    assert_eq!(session.on_bytes(NOW, &fourth), 0, "a message that was held is next");
    assert_eq!(drained(&mut session), ["Message 3"]);
    assert_eq!(session.on_bytes(NOW, &fourth), fourth.len());
    assert_eq!(session.on_bytes(NOW, &fourth), 0, "an event waits and nothing is held");
    assert_eq!(drained(&mut session), ["Message 4"]);
}

#[test]
fn what_a_lost_connection_still_had_to_say_is_not_said_on_the_next() {
    let mut session = logged_on(config(Role::Initiator));
    session.send(NOW, b"D", |encoder| _ = encoder.str(11, "a")).unwrap();
    session.on_bytes(NOW, &message(Role::Initiator, b"8", 4, &[(11, "b")]));
    session.on_disconnected(NOW);
    assert!(session.poll_output().is_none());
    session.on_connected(NOW);
    let sent = drained(&mut session);
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(sent[0].starts_with("35=A|34=4|"), "{sent:?}");
    session.on_bytes(NOW, &message(Role::Initiator, b"A", 2, &LOGON));
    assert_eq!(drained(&mut session), ["LoggedOn"]);
    assert!(session.is_synced(), "the gap was the last connection's");
}

#[test]
fn numbers_have_a_beginning_from_the_first_connection_on() {
    let mut session = session(Role::Acceptor);
    session.on_connected(NOW);
    assert_eq!(session.store().created_at(), NOW);
    session.on_disconnected(NOW);
    session.on_connected(NOW.plus(1));
    assert_eq!(session.store().created_at(), NOW, "they begin once");
}

#[test]
fn a_new_period_begins_at_one_before_a_connection_and_once() {
    let mut session = logged_on(config(Role::Initiator));
    let numbers = |session: &Session<MemoryStore>| {
        let store = session.store();
        (store.next_sender(), store.next_target())
    };
    session.begin_period(NOW.plus(9), NOW.plus(5));
    assert_eq!(numbers(&session), (2, 2), "not within a connection");
    session.on_disconnected(NOW.plus(9));
    session.begin_period(NOW.plus(9), NOW);
    assert_eq!(numbers(&session), (2, 2), "they are of this period");
    session.begin_period(NOW.plus(9), NOW.plus(5));
    assert_eq!(numbers(&session), (1, 1));
    assert_eq!(session.store().created_at(), NOW.plus(9));
}

#[test]
fn a_prepared_message_goes_out_as_it_is_under_the_number_that_it_was_given() {
    let mut session = logged_on(config(Role::Initiator));
    let mut room = [0; 256];
    let sent = session.send_prepared::<SendError>(NOW, |envelope| {
        let mut encoder = Encoder::begin(&mut room, b"FIX.4.4", b"D");
        encoder.uint(34, envelope.msg_seq_num).uint(369, envelope.last_processed);
        let len = encoder.finish().unwrap();
        Ok(&room[..len])
    });
    assert_eq!(sent, Ok(2));
    assert_eq!(drained(&mut session), ["35=D|34=2|369=1|"]);
    assert!(session.store().outbound(2).is_some(), "it may be resent");
    assert_eq!(session.counters().messages_out, 2);
}

#[test]
fn further_header_fields_stand_in_their_places() {
    let config = SessionConfig { has_last_processed: true, ..config(Role::Initiator) };
    let mut session = logged_on(config);
    let header: [(u32, &[u8]); 3] = [(43, b"N"), (97, b"Y"), (1128, b"9")];
    let sent = session.send_with_header(NOW, b"D", &header, |encoder| _ = encoder.str(11, "a"));
    assert_eq!(sent, Ok(2));
    let time = "20231114-22:13:20.000";
    let wanted = format!("35=D|34=2|43=N|49=US|52={time}|56=THEM|97=Y|369=1|1128=9|11=a|");
    assert_eq!(drained(&mut session), [wanted]);
}

#[test]
fn a_business_reject_names_what_it_refuses() {
    let mut session = logged_on(config(Role::Acceptor));
    assert_eq!(session.reject_business(NOW, 7, b"B", 3, "no news"), Ok(2));
    let sent = drained(&mut session);
    assert!(sent[0].ends_with("|45=7|58=no news|372=B|380=3|"), "{sent:?}");
}

#[test]
fn a_certification_may_send_skip_and_reset_as_its_script_says() {
    let mut session = logged_on(config(Role::Initiator));
    let sent = session.send_admin(NOW, b"1", |encoder| _ = encoder.str(112, "Q"));
    assert_eq!(sent, Ok(2));
    assert!(drained(&mut session)[0].ends_with("|112=Q|"));
    session.skip_numbers(3).unwrap();
    assert_eq!(session.send(NOW, b"D", |encoder| _ = encoder.str(11, "a")), Ok(6));
    session.on_disconnected(NOW);
    session.set_reset_on_logon(true);
    session.on_connected(NOW);
    let sent = drained(&mut session);
    assert!(sent[0].starts_with("35=A|34=1|") && sent[0].contains("|141=Y|"), "{sent:?}");
}

/// Resends 200 messages of about 600 bytes through a buffer of so many; sizes of the pieces.
fn pieces(out_bytes_max: usize) -> Vec<usize> {
    let mut session = logged_on(SessionConfig { out_bytes_max, ..config(Role::Acceptor) });
    for _ in 0..200 {
        session.send(NOW, b"D", |encoder| _ = encoder.str(58, &"x".repeat(500))).unwrap();
        drained(&mut session);
    }
    let request = message(Role::Acceptor, b"2", 2, &[(7, "1"), (16, "0")]);
    session.on_bytes(NOW, &request);
    let (mut pieces, mut resent) = (Vec::new(), 0);
    while let Some(output) = session.poll_output() {
        let Output::Send(bytes) = output else { panic!("{output:?}") };
        pieces.push(bytes.len());
        resent += bytes.windows(5).filter(|text| text == b"\x0143=Y").count();
    }
    assert_eq!(resent, 201, "the messages and the gap fill over our Logon");
    pieces
}

#[test]
fn a_long_resend_comes_whole_in_pieces_that_a_slow_reader_can_take() {
    let whole = pieces(256 * 1024);
    assert!(whole.len() > 5, "{whole:?}");
    let (_, all_but_last) = whole.split_last().unwrap();
    assert!(all_but_last.iter().all(|piece| (16_384..18_000).contains(piece)), "{whole:?}");
    // A buffer smaller than a piece: the rest comes when it has been handed out.
    assert!(pieces(4 * 1024).iter().all(|piece| (1_024..=4_096).contains(piece)));
}

/// A disk that is full as long as it is said to be.
struct Failing {
    store: MemoryStore,
    is_full: Rc<Cell<bool>>,
}

impl Failing {
    fn room(&mut self) -> Result<&mut MemoryStore, StoreError> {
        let full = StoreError::DiskFull { path: "here".into() };
        if self.is_full.get() { Err(full) } else { Ok(&mut self.store) }
    }
}

impl Store for Failing {
    fn next_sender(&self) -> u64 {
        self.store.next_sender()
    }

    fn next_target(&self) -> u64 {
        self.store.next_target()
    }

    fn created_at(&self) -> Nanos {
        self.store.created_at()
    }

    fn put_outbound(&mut self, frame: &[u8]) -> Result<(), StoreError> {
        self.room()?.put_outbound(frame)
    }

    fn put_outbound_admin(&mut self) -> Result<(), StoreError> {
        self.room()?.put_outbound_admin()
    }

    fn put_inbound(&mut self, frame: &[u8]) -> Result<(), StoreError> {
        self.room()?.put_inbound(frame)
    }

    fn set_next_target(&mut self, next: u64) -> Result<(), StoreError> {
        self.room()?.set_next_target(next)
    }

    fn set_next_sender(&mut self, next: u64) -> Result<(), StoreError> {
        self.room()?.set_next_sender(next)
    }

    fn reset(&mut self, now: Nanos) -> Result<(), StoreError> {
        self.room()?.reset(now)
    }

    fn outbound(&self, msg_seq_num: u64) -> Option<&[u8]> {
        self.store.outbound(msg_seq_num)
    }

    fn inbound(&self, msg_seq_num: u64) -> Option<&[u8]> {
        self.store.inbound(msg_seq_num)
    }
}

#[test]
fn what_the_store_does_not_take_is_neither_delivered_nor_counted() {
    let role = Role::Acceptor;
    for msg_type in [b"D", b"0", b"3"] {
        let is_full = Rc::new(Cell::new(false));
        let store = Failing { store: MemoryStore::new(), is_full: Rc::clone(&is_full) };
        let mut session = Session::new(config(role), store);
        session.on_connected(NOW);
        session.on_bytes(NOW, &message(role, b"A", 1, &LOGON));
        drained(&mut session);
        is_full.set(true);
        session.on_bytes(NOW, &message(role, msg_type, 2, &[(58, "a")]));
        let outputs = drained(&mut session);
        assert_eq!(outputs.last().unwrap(), "StoreFailed");
        assert!(!outputs.contains(&"Message 2".to_string()), "{outputs:?}");
        assert_eq!(session.store().next_target(), 2);
    }
}

#[test]
fn a_reset_that_the_store_did_not_take_is_made_up_for_before_anything_is_said() {
    let is_full = Rc::new(Cell::new(false));
    let store = Failing { store: MemoryStore::new(), is_full: Rc::clone(&is_full) };
    let mut session = Session::new(config(Role::Initiator), store);
    session.on_connected(NOW);
    drained(&mut session);
    session.on_disconnected(NOW);
    is_full.set(true);
    session.begin_period(NOW.plus(9), NOW.plus(5));
    session.on_connected(NOW.plus(9));
    assert_eq!(drained(&mut session), ["StoreFailed"]);
    session.on_disconnected(NOW.plus(9));
    is_full.set(false);
    session.on_connected(NOW.plus(9));
    assert!(drained(&mut session)[0].starts_with("35=A|34=1|"));
}
