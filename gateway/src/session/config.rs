//! What a session is told once: who it is, its limits and timeouts, and how its venue's Logon
//! differs.
//!
//! Made by the composition from a validated config; read by every file of the session. Deliberately
//! absent: addresses and TOML.

use super::schedule::Schedule;
use crate::dictionary::validate::Validator;
use crate::fix::message::Message;
use crate::fix::tag;
use crate::fix::timestamp::Precision;
use crate::venue::notice::{Notices, OnNews};
use crate::venue::secret::{Secret, SecretError};
use ballast_engine::units::Nanos;

/// Who begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// We connect and send the first Logon.
    Initiator,
    /// The counterparty does.
    Acceptor,
}

/// What to do when messages are missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GapPolicy {
    /// ResendRequest(2), for all that is missing (EndSeqNo(16) = 0).
    RequestAll,
    /// ResendRequest(2), so many numbers at a time.
    RequestChunks(u64),
    /// The venue does not resend: end the connection, the application reconciles.
    Disconnect,
}

/// One session's settings.
pub struct SessionConfig {
    /// Who begins.
    pub role: Role,
    /// BeginString(8).
    pub begin_string: String,
    /// Our SenderCompID(49).
    pub sender_comp_id: String,
    /// Our TargetCompID(56).
    pub target_comp_id: String,
    /// SenderSubID(50) of what we send.
    pub sender_sub_id: Option<String>,
    /// TargetSubID(57) of what we send.
    pub target_sub_id: Option<String>,
    /// HeartBtInt(108) in seconds, 0 for none; an acceptor takes the counterparty's.
    pub heart_bt_int_s: u32,
    /// Both numbers begin at 1 at every Logon; an initiator says so with ResetSeqNumFlag(141).
    pub reset_on_logon: bool,
    /// Both numbers begin at 1 after a Logout.
    pub reset_on_logout: bool,
    /// Both numbers begin at 1 after the end of a connection.
    pub reset_on_disconnect: bool,
    /// How far the counterparty's SendingTime(52) may be from our clock, either way.
    pub latency_max_ns: Option<u64>,
    /// How long a Logon may take.
    pub logon_timeout_ns: u64,
    /// How long the answer to our Logout may take.
    pub logout_timeout_ns: u64,
    /// How long a ResendRequest may stay without progress before it is sent again.
    pub resend_timeout_ns: u64,
    /// The counterparty's ResendRequest(2) is answered with our application messages; else with gap fills
    /// alone: an order that did not arrive then is stale now.
    pub resends_messages: bool,
    /// What to do when messages are missing.
    pub gap_policy: GapPolicy,
    /// Longest message in bytes, either way.
    pub message_len_max: usize,
    /// Most fields in a message.
    pub fields_max: usize,
    /// Messages that wait above a gap, and the bytes they may take; more are dropped and asked
    /// for again.
    pub held_max: usize,
    /// See `held_max`.
    pub held_bytes_max: usize,
    /// Bytes that wait to be handed out; at least twice `message_len_max`.
    pub out_bytes_max: usize,
    /// NextExpectedMsgSeqNum(789) in Logon, both ways.
    pub has_next_expected: bool,
    /// LastMsgSeqNumProcessed(369) in every header we send.
    pub has_last_processed: bool,
    /// Digits of SendingTime(52).
    pub sending_time: Precision,
    /// TestReqID(112) of our TestRequests.
    pub test_req_id: String,
    /// When the session is logged on; `None` for always. An initiator's line to the venue keeps it; an
    /// acceptor's session does: a Logon outside is refused, the end of a period logs out, and the first
    /// Logon in a new one finds both numbers at 1.
    pub schedule: Option<Schedule>,
    /// What an initiator does when News(B) comes. The line to the venue keeps it.
    pub on_news: OnNews,
    /// Where the words of News(B) go, for people.
    pub notices: Notices,
    /// The dictionary that inbound messages must obey; `None` checks the header alone.
    pub validation: Option<Validator>,
    /// What the venue wants in Logon.
    pub dialect: Box<dyn Dialect>,
}

const SECOND_NS: u64 = 1_000_000_000;

impl SessionConfig {
    /// Plain FIX 4.4 between two companies: HeartBtInt 30 s, latency 120 s, logon timeout 10 s,
    /// logout timeout 2 s, no reset, no validation, no credentials.
    pub fn new(role: Role, sender_comp_id: &str, target_comp_id: &str) -> Self {
        SessionConfig {
            role,
            begin_string: "FIX.4.4".into(),
            sender_comp_id: sender_comp_id.into(),
            target_comp_id: target_comp_id.into(),
            sender_sub_id: None,
            target_sub_id: None,
            heart_bt_int_s: 30,
            reset_on_logon: false,
            reset_on_logout: false,
            reset_on_disconnect: false,
            latency_max_ns: Some(120 * SECOND_NS),
            logon_timeout_ns: 10 * SECOND_NS,
            logout_timeout_ns: 2 * SECOND_NS,
            resend_timeout_ns: 30 * SECOND_NS,
            resends_messages: true,
            gap_policy: GapPolicy::RequestAll,
            message_len_max: 64 * 1024,
            fields_max: 4096,
            held_max: 4096,
            held_bytes_max: 4 << 20,
            out_bytes_max: 256 * 1024,
            has_next_expected: false,
            has_last_processed: false,
            sending_time: Precision::Millis,
            test_req_id: "TEST".into(),
            schedule: None,
            on_news: OnNews::default(),
            notices: Notices::default(),
            validation: None,
            dialect: Box::new(Credentials::none()),
        }
    }
}

/// What a dialect may put into its Logon, or sign.
#[derive(Clone, Copy, Debug)]
pub struct LogonParts<'a> {
    /// The Logon's MsgSeqNum(34).
    pub msg_seq_num: u64,
    /// Its SendingTime(52), as text.
    pub sending_time: &'a [u8],
    /// Its SenderCompID(49).
    pub sender_comp_id: &'a str,
    /// Its TargetCompID(56).
    pub target_comp_id: &'a str,
    /// The same instant as `sending_time`.
    pub now: Nanos,
}

/// Fields that a dialect adds to the body of its Logon; they go out ascending by tag.
#[derive(Default)]
pub struct LogonFields {
    pub(super) fields: Vec<(u32, Vec<u8>)>,
}

impl LogonFields {
    /// Adds a field.
    pub fn add(&mut self, tag: u32, value: &[u8]) -> &mut Self {
        self.fields.push((tag, value.to_vec()));
        self
    }
}

/// What an acceptor says to a Logon.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogonVerdict {
    /// Come in.
    Accept,
    /// Logout(5) with this Text(58), and the connection ends.
    Refuse(String),
}

/// How a venue's Logon differs from plain FIX. Cold: it may allocate.
pub trait Dialect: Send {
    /// Adds to a Logon that we send.
    fn decorate_logon(&mut self, logon: LogonParts<'_>, fields: &mut LogonFields);
    /// Judges a Logon that an acceptor received; header and body are in order.
    fn judge_logon(&mut self, logon: &Message<'_>) -> LogonVerdict;
}

/// Username(553) and Password(554), or neither. Never printed.
pub struct Credentials {
    username: Option<String>,
    password: Option<String>,
}

impl Credentials {
    /// Neither is sent nor asked for.
    pub fn none() -> Self {
        Credentials { username: None, password: None }
    }

    /// As [`Self::new`], the password out of a file.
    ///
    /// # Errors
    /// It is not text.
    pub fn with_secret(username: &str, password: &Secret) -> Result<Self, SecretError> {
        let what = "not text; Password(554) is";
        let wrong = |_| SecretError::NotAKey { venue: "password_file", what };
        Ok(Credentials::new(username, std::str::from_utf8(password.expose()).map_err(wrong)?))
    }

    /// Both are sent by an initiator and must be met by an acceptor's counterparty.
    pub fn new(username: &str, password: &str) -> Self {
        Credentials { username: Some(username.into()), password: Some(password.into()) }
    }
}

impl Dialect for Credentials {
    fn decorate_logon(&mut self, _logon: LogonParts<'_>, fields: &mut LogonFields) {
        if let Some(username) = &self.username {
            fields.add(tag::USERNAME, username.as_bytes());
        }
        if let Some(password) = &self.password {
            fields.add(tag::PASSWORD, password.as_bytes());
        }
    }

    fn judge_logon(&mut self, logon: &Message<'_>) -> LogonVerdict {
        let is_met = |tag, wanted: &Option<String>| match wanted {
            Some(wanted) => logon.get(tag) == Some(wanted.as_bytes()),
            None => true,
        };
        if is_met(tag::USERNAME, &self.username) & is_met(tag::PASSWORD, &self.password) {
            LogonVerdict::Accept
        } else {
            LogonVerdict::Refuse("Username or password not accepted".into())
        }
    }
}
