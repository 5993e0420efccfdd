//! `ballast conformance`: an echoing FIX 4.4 acceptor for certification suites.
//!
//! A suite connects over TCP; the session answers for itself, and the application here echoes
//! NewOrderSingle(D), SecurityDefinition(d) and Email(C), and refuses what it does not take. One
//! session, one thread, real time. Deliberately absent: the simulated venue (`ballast venue`) and
//! any store on disk: every Logon resets both numbers.

use super::Failure;
use crate::standard_error::say;
use ballast_engine::units::Nanos;
use ballast_gateway::dictionary::Dictionary;
use ballast_gateway::dictionary::validate::{Rules, Validator};
use ballast_gateway::fix::message::Message;
use ballast_gateway::fix::{msg_type, tag};
use ballast_gateway::session::{
    Connection, Ended, Event, Knock, Role, SendError, Session, SessionConfig, Turn, Visitor,
};
use ballast_gateway::store::MemoryStore;
use ballast_gateway::transport::{Ready, TcpDoor, TcpTransport, wait_for};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::sync::Arc;

/// Connections that have not logged on yet; more wait in the kernel's queue.
const VISITORS_MAX: usize = 64;
/// Longest sleep: a clock that is set moves the deadlines.
const SLEEP_MAX_NS: u64 = 1_000_000_000;
const LOGON_TIMEOUT_NS: u64 = 10_000_000_000;
/// PossResends are known by ClOrdID; more than this many are not remembered.
const CL_ORD_IDS_MAX: usize = 1 << 20;

/// What `ballast conformance` is told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Where to listen; port 0 takes a free one, which is printed.
    #[arg(long, value_name = "HOST:PORT")]
    listen: String,
    /// Our SenderCompID(49).
    #[arg(long, default_value = "ISLD")]
    sender: String,
    /// Our TargetCompID(56): the suite's SenderCompID(49).
    #[arg(long, default_value = "TW44")]
    target: String,
}

/// A field of an echo: tag and value.
type Field = (u32, Vec<u8>);

/// A message to be answered after the turn in which it came.
enum Task {
    Echo { msg_type: Vec<u8>, fields: Vec<Field>, header_len: usize },
    Refuse { msg_seq_num: u64, msg_type: Vec<u8> },
    Nothing,
}

/// Listens until the process is ended.
///
/// # Errors
/// An address that cannot be listened on.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let address = resolve(&arguments.listen)?;
    let door = TcpDoor::open(address)
        .map_err(|error| Failure::Failed(format!("--listen {address}: {error}")))?;
    let listening =
        door.address().map_err(|error| Failure::Failed(format!("--listen {address}: {error}")))?;
    println!("listening on {listening}");
    let mut endpoint = Endpoint::new(&arguments.sender, &arguments.target);
    loop {
        endpoint.turn(&door);
        endpoint.wait(&door);
    }
}

fn resolve(text: &str) -> Result<SocketAddr, Failure> {
    let found = std::net::ToSocketAddrs::to_socket_addrs(text)
        .map_err(|error| Failure::Usage(format!("--listen {text}: {error}; write HOST:PORT")))?
        .next();
    found.ok_or_else(|| Failure::Usage(format!("--listen {text}: no address; write HOST:PORT")))
}

#[allow(clippy::disallowed_methods)]
fn now() -> Nanos {
    // The edge: the one clock of this command.
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Nanos(since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)))
}

/// One session, who is logged on, and who has only knocked.
struct Endpoint {
    session: Session<MemoryStore>,
    connection: Option<Connection<TcpTransport>>,
    visitors: Vec<Visitor<TcpTransport>>,
    /// ClOrdIDs since Logon.
    cl_ord_ids: BTreeSet<Vec<u8>>,
    dictionary: Arc<Dictionary>,
}

impl Endpoint {
    fn new(sender: &str, target: &str) -> Endpoint {
        let dictionary = Arc::new(Dictionary::fix44());
        let mut config = SessionConfig::new(Role::Acceptor, sender, target);
        config.reset_on_logon = true;
        config.logon_timeout_ns = LOGON_TIMEOUT_NS;
        config.validation = Some(Validator::new(Arc::clone(&dictionary), Rules::default()));
        Endpoint {
            session: Session::new(config, MemoryStore::new()),
            connection: None,
            visitors: Vec::new(),
            cl_ord_ids: BTreeSet::new(),
            dictionary,
        }
    }

    /// Does all that can be done now.
    fn turn(&mut self, door: &TcpDoor) {
        while self.visitors.len() < VISITORS_MAX
            && let Some(transport) = door.accept()
        {
            self.visitors.push(Visitor::new(transport, now().plus(LOGON_TIMEOUT_NS)));
        }
        // A connection that ended must free its place before the next Logon is looked at.
        self.converse();
        self.receive_visitors();
        self.converse();
    }

    fn receive_visitors(&mut self) {
        for mut visitor in std::mem::take(&mut self.visitors) {
            match visitor.listen(now()) {
                Knock::Waiting => self.visitors.push(visitor),
                Knock::Gone => visitor.turn_away(),
                // One session: while it lives, a second connection is refused.
                Knock::Logon { .. } if self.connection.is_some() => visitor.turn_away(),
                Knock::Logon { .. } => {
                    self.session.on_connected(now());
                    self.connection = Some(visitor.into_connection(self.session.config()));
                }
            }
        }
    }

    /// Turns the connection until it has nothing more to do; each message is answered before the
    /// next is looked at.
    fn converse(&mut self) {
        while let Some(connection) = &mut self.connection {
            let mut task = Task::Nothing;
            let (dictionary, cl_ord_ids) = (&self.dictionary, &mut self.cl_ord_ids);
            let turn = connection.turn(&mut self.session, now(), |event| match event {
                Event::Message(message) => {
                    task = judge(dictionary, cl_ord_ids, &message);
                    ControlFlow::Break(())
                }
                // A Logon within the session begins at 1 again. A SequenceReset(4) never goes back so
                // far: what was seen since the Logon stays seen.
                Event::LoggedOn { .. } | Event::SequenceReset { next_target: ..=2 } => {
                    cl_ord_ids.clear();
                    ControlFlow::Continue(())
                }
                Event::SequenceReset { .. }
                | Event::Rejected(_)
                | Event::Refused(_)
                | Event::LogoutReceived(_)
                | Event::GapDetected { .. }
                | Event::PassedOver { .. } => ControlFlow::Continue(()),
            });
            match turn {
                Turn::Ended(Ended::Session(_) | Ended::Transport(_)) => self.connection = None,
                Turn::Idle => return,
                Turn::Busy => {
                    if let Err(error) = answer(&mut self.session, task) {
                        say(format_args!("ballast: an answer was not sent: {error}"));
                    }
                }
            }
        }
    }

    /// Sleeps until a socket has something or a deadline comes.
    fn wait(&self, door: &TcpDoor) {
        let mut sockets = vec![Ready { socket: door.as_fd(), is_writing: false }];
        let mut deadline = now().plus(SLEEP_MAX_NS);
        for visitor in &self.visitors {
            sockets.push(Ready { socket: visitor.transport().as_fd(), is_writing: false });
            deadline = deadline.min(visitor.deadline());
        }
        if let Some(connection) = &self.connection {
            let is_writing = connection.is_writing();
            sockets.push(Ready { socket: connection.transport().as_fd(), is_writing });
            deadline = deadline.min(self.session.next_deadline().unwrap_or(deadline));
        }
        wait_for(&sockets, deadline.since(now()));
    }
}

/// What is to be done with an application message.
fn judge(
    dictionary: &Dictionary,
    cl_ord_ids: &mut BTreeSet<Vec<u8>>,
    message: &Message<'_>,
) -> Task {
    let echoed = [msg_type::NEW_ORDER_SINGLE, msg_type::SECURITY_DEFINITION, msg_type::EMAIL];
    if !echoed.contains(&message.msg_type()) {
        let msg_seq_num = message.msg_seq_num().unwrap_or(0);
        return Task::Refuse { msg_seq_num, msg_type: message.msg_type().to_vec() };
    }
    if let Some(cl_ord_id) = message.get(tag::CL_ORD_ID) {
        let is_known = cl_ord_ids.contains(cl_ord_id);
        if is_known && message.is_poss_resend() {
            return Task::Nothing;
        }
        if !is_known && cl_ord_ids.len() < CL_ORD_IDS_MAX {
            cl_ord_ids.insert(cl_ord_id.to_vec());
        }
    }
    echo(dictionary, message)
}

/// Header fields that the session writes, and those that say how this one message travelled.
const SESSION_FIELDS: [u32; 11] = [
    tag::BEGIN_STRING,
    tag::BODY_LENGTH,
    tag::MSG_TYPE,
    tag::MSG_SEQ_NUM,
    tag::SENDER_COMP_ID,
    tag::TARGET_COMP_ID,
    tag::SENDING_TIME,
    tag::POSS_DUP_FLAG,
    tag::ORIG_SENDING_TIME,
    tag::LAST_MSG_SEQ_NUM_PROCESSED,
    tag::CHECK_SUM,
];

/// The message's own fields: the rest of the header ascending by tag, then the body ascending by
/// tag, in both each group's members behind their counter, as they came.
fn echo(dictionary: &Dictionary, message: &Message<'_>) -> Task {
    let mut header: Vec<(u32, Vec<Field>)> = Vec::new();
    let mut body: Vec<(u32, Vec<Field>)> = Vec::new();
    let mut group_members: BTreeSet<u32> = BTreeSet::new();
    let mut is_of_header = true;
    let body_scope = dictionary.message(message.msg_type()).map(|definition| definition.scope);
    for field in message.fields() {
        if SESSION_FIELDS.contains(&field.tag) || dictionary.is_trailer(field.tag) {
            continue;
        }
        let owned = (field.tag, field.value.to_vec());
        let is_member = group_members.contains(&field.tag);
        if !is_member {
            is_of_header = dictionary.is_header(field.tag);
        }
        let part = if is_of_header { &mut header } else { &mut body };
        if let Some((_, fields)) = part.last_mut().filter(|_| is_member) {
            fields.push(owned);
            continue;
        }
        group_members.clear();
        let scope = if is_of_header { Some(dictionary.header()) } else { body_scope };
        if let Some(Some(group)) = scope.and_then(|scope| dictionary.member_of(scope, field.tag)) {
            collect_members(dictionary, group, &mut group_members);
        }
        part.push((field.tag, vec![owned]));
    }
    header.sort_by_key(|(tag, _)| *tag);
    body.sort_by_key(|(tag, _)| *tag);
    let header_len = header.iter().map(|(_, fields)| fields.len()).sum();
    let fields = header.into_iter().chain(body).flat_map(|(_, fields)| fields);
    Task::Echo { msg_type: message.msg_type().to_vec(), fields: fields.collect(), header_len }
}

/// All tags of a group, those of the groups within it too.
fn collect_members(
    dictionary: &Dictionary,
    group: ballast_gateway::dictionary::ScopeId,
    members: &mut BTreeSet<u32>,
) {
    for member in dictionary.members_of(group) {
        members.insert(member);
        if let Some(Some(inner)) = dictionary.member_of(group, member) {
            collect_members(dictionary, inner, members);
        }
    }
}

fn answer(session: &mut Session<MemoryStore>, task: Task) -> Result<(), SendError> {
    match task {
        Task::Nothing => {}
        Task::Refuse { msg_seq_num, msg_type } => {
            const UNSUPPORTED: u64 = 3;
            let text = "Unsupported Message Type";
            session.reject_business(now(), msg_seq_num, &msg_type, UNSUPPORTED, text)?;
        }
        Task::Echo { msg_type, fields, header_len } => {
            let (header, body) = fields.split_at(header_len);
            let header: Vec<(u32, &[u8])> =
                header.iter().map(|(tag, value)| (*tag, value.as_slice())).collect();
            session.send_with_header(now(), &msg_type, &header, |encoder| {
                for (tag, value) in body {
                    // Checked on the way in, and a data field may hold the separator.
                    encoder.raw(format!("{tag}=").as_bytes()).raw(value).raw(b"\x01");
                }
            })?;
        }
    }
    Ok(())
}
