//! Runs one session script. See `README.md` for its lines.

use ballast_engine::units::Nanos;
use ballast_gateway::dictionary::Dictionary;
use ballast_gateway::dictionary::validate::{Rules, Validator};
use ballast_gateway::fix::SOH;
use ballast_gateway::fix::frame::{Frame, frame};
use ballast_gateway::fix::message::Message;
use ballast_gateway::fix::timestamp::{Precision, TimestampText};
use ballast_gateway::session::{
    Credentials, Event, GapPolicy, Output, Role, SendError, Session, SessionConfig,
};
use ballast_gateway::store::MemoryStore;
use std::collections::VecDeque;
use std::sync::Arc;

const START: u64 = 1_700_000_000_000_000_000;
const US: &str = "US";
const THEM: &str = "THEM";

struct Stage {
    session: Session<MemoryStore>,
    now: Nanos,
    fragment: usize,
    sent: VecDeque<String>,
    events: VecDeque<String>,
    is_watching_events: bool,
    closed: Option<String>,
}

/// Runs a script; input arrives in segments of `fragment` bytes.
pub fn run(text: &str, fragment: usize) -> Result<(), String> {
    let config = config(text)?;
    let mut stage = Stage {
        session: Session::new(config, MemoryStore::new()),
        now: Nanos(START),
        fragment,
        sent: VecDeque::new(),
        events: VecDeque::new(),
        is_watching_events: text.lines().any(|line| line.starts_with("! ")),
        closed: None,
    };
    for (line, number) in text.lines().zip(1..) {
        stage.step(line.trim_end()).map_err(|fault| format!("line {number}: {line}: {fault}"))?;
    }
    stage.nothing_left().map_err(|fault| format!("at the end: {fault}"))
}

fn config(text: &str) -> Result<SessionConfig, String> {
    let mut config = SessionConfig::new(Role::Acceptor, US, THEM);
    for setting in text.lines().filter_map(|line| line.strip_prefix("session ")) {
        let (key, value) = setting.split_once(' ').unwrap_or((setting, ""));
        match key {
            "initiator" => config.role = Role::Initiator,
            "reset_on_logon" => config.reset_on_logon = true,
            "reset_on_logout" => config.reset_on_logout = true,
            "reset_on_disconnect" => config.reset_on_disconnect = true,
            "next_expected" => config.has_next_expected = true,
            "last_processed" => config.has_last_processed = true,
            "chunks" => config.gap_policy = GapPolicy::RequestChunks(value.parse().unwrap()),
            "no_resend" => config.gap_policy = GapPolicy::Disconnect,
            "resends_nothing" => config.resends_messages = false,
            "validate" => {
                let dictionary = Arc::new(Dictionary::fix44());
                config.validation = Some(Validator::new(dictionary, Rules::default()));
            }
            "held_max" => config.held_max = value.parse().unwrap(),
            "sub_ids" => {
                config.sender_sub_id = Some("DESK".into());
                config.target_sub_id = Some("GATE".into());
            }
            "password" => config.dialect = Box::new(Credentials::new("me", value)),
            _ => return Err(format!("no such setting: {setting}")),
        }
    }
    Ok(config)
}

impl Stage {
    fn step(&mut self, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if !["<", "!", "closed", "#", ""].contains(&word) {
            self.nothing_left()?;
        }
        match word {
            "" | "#" | "session" => {}
            "connect" => {
                self.session.on_connected(self.now);
                self.drain();
            }
            "disconnect" => self.session.on_disconnected(self.now),
            ">" => self.receive(&seal(&self.with_header(&self.times(rest)))),
            ">body" => self.receive(&seal(&self.times(rest))),
            ">raw" => self.receive(self.times(rest).replace('|', "\x01").as_bytes()),
            "<" => self.expect_sent(rest)?,
            "!" => {
                let event = self.events.pop_front();
                if event.as_deref() != Some(rest) {
                    return Err(format!("the event was {event:?}"));
                }
            }
            "wait" => self.wait(rest.parse().map_err(|_| "not a number of ms")?),
            "closed" => {
                let closed = self.closed.take();
                if closed.as_deref() != Some(rest) {
                    return Err(format!("closed: {closed:?}"));
                }
            }
            "send" => self.send(rest).map_err(|error| error.to_string())?,
            "refused" => match self.send(rest) {
                Err(_) => {}
                Ok(()) => return Err("it was sent".into()),
            },
            "reset" => {
                self.session.reset_within(self.now).map_err(|error| error.to_string())?;
                self.drain();
            }
            "logout" => {
                self.session.logout(self.now, Some(rest).filter(|text| !text.is_empty()));
                self.drain();
            }
            _ => return Err("no such step".into()),
        }
        Ok(())
    }

    fn nothing_left(&self) -> Result<(), String> {
        if let Some(sent) = self.sent.front() {
            return Err(format!("not expected: {sent}"));
        }
        if let Some(closed) = &self.closed {
            return Err(format!("not expected: closed {closed}"));
        }
        match self.events.front() {
            Some(event) if self.is_watching_events => Err(format!("not expected: {event}")),
            _ => Ok(()),
        }
    }

    /// `<now>`, `<now+3>` and `<now-3>` (seconds) as text.
    fn times(&self, text: &str) -> String {
        let mut text = text.to_string();
        while let Some(begin) = text.find("<now") {
            let end = begin + text[begin..].find('>').unwrap();
            let shift: i64 = text[begin + 4..end].parse().unwrap_or(0);
            let at = self.now.0.saturating_add_signed(shift * 1_000_000_000);
            let mut clock = TimestampText::new(Precision::Millis);
            let stamp = String::from_utf8(clock.write(Nanos(at)).to_vec()).unwrap();
            text.replace_range(begin..=end, &stamp);
        }
        text
    }

    /// Puts 49, 52 and 56 behind 34 (or 35) where the script does not say otherwise; `-56` leaves
    /// it out.
    fn with_header(&self, text: &str) -> String {
        let mut fields: Vec<&str> = text.split('|').collect();
        let is_versioned = usize::from(text.starts_with("8="));
        let is_numbered = fields.get(1 + is_versioned).is_some_and(|f| f.starts_with("34="));
        let at = 1 + is_versioned + usize::from(is_numbered);
        let own = [format!("49={THEM}"), format!("52={}", self.times("<now>")), format!("56={US}")];
        let mut inserted = Vec::new();
        for field in &own {
            let tag = &field[..3];
            let is_said = text.split('|').any(|said| said.starts_with(tag));
            let is_left_out = fields.contains(&format!("-{}", &tag[..2]).as_str());
            if !is_said && !is_left_out {
                inserted.push(field.as_str());
            }
        }
        fields.splice(at..at, inserted);
        fields.retain(|field| !field.starts_with('-'));
        fields.join("|")
    }

    fn receive(&mut self, bytes: &[u8]) {
        let mut waiting: Vec<u8> = Vec::new();
        for segment in bytes.chunks(self.fragment.min(bytes.len()).max(1)) {
            waiting.extend_from_slice(segment);
            loop {
                let used = self.session.on_bytes(self.now, &waiting);
                self.drain();
                if used == 0 {
                    break;
                }
                waiting.drain(..used);
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(bytes) => self.sent.extend(split(bytes)),
                Output::Deliver(event) => self.events.push_back(name(&event)),
                Output::Close(reason) => self.closed = Some(format!("{reason:?}")),
            }
        }
        if self.closed.is_some() {
            self.session.on_disconnected(self.now);
        }
    }

    fn wait(&mut self, ms: u64) {
        let end = self.now.plus(ms * 1_000_000);
        while let Some(due) = self.session.next_deadline().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.session.on_deadline(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn send(&mut self, text: &str) -> Result<(), SendError> {
        let text = self.times(text);
        let (msg_type, body) = text.split_once('|').unwrap_or((&text, ""));
        let sent = self.session.send(self.now, msg_type.as_bytes(), |encoder| {
            for field in body.split('|').filter(|field| !field.is_empty()) {
                let (tag, value) = field.split_once('=').unwrap();
                encoder.str(tag.parse().unwrap(), value);
            }
        });
        self.drain();
        sent.map(drop)
    }

    fn expect_sent(&mut self, wanted: &str) -> Result<(), String> {
        let sent = self.sent.pop_front().ok_or("nothing was sent")?;
        let fields: Vec<&str> = sent.split('|').filter(|field| !field.is_empty()).collect();
        for own in ["8=FIX.4.4", &format!("49={US}"), &format!("56={THEM}")] {
            if !fields.contains(&own) {
                return Err(format!("{own} is missing in {sent}"));
            }
        }
        if fields.iter().filter(|field| field.starts_with("52=")).count() != 1 {
            return Err(format!("no SendingTime in {sent}"));
        }
        let is_own = |field: &str| {
            ["8", "9", "10", "49", "56", "52"].contains(&field.split('=').next().unwrap())
        };
        let rest: Vec<&str> = fields.iter().filter(|field| !is_own(field)).copied().collect();
        let wanted = self.times(wanted);
        let same = rest.len() == wanted.split('|').count()
            && rest.iter().zip(wanted.split('|')).all(|(got, wanted)| {
                let is_head = |head: &str| got.starts_with(head);
                *got == wanted || wanted.strip_suffix('*').is_some_and(is_head)
            });
        if same { Ok(()) } else { Err(format!("sent was {}", rest.join("|"))) }
    }
}

fn name(event: &Event<'_>) -> String {
    let message = |m: &Message<'_>| {
        let dup = if m.is_poss_dup() { " dup" } else { "" };
        format!("{} {}{dup}", String::from_utf8_lossy(m.msg_type()), m.msg_seq_num().unwrap())
    };
    match event {
        Event::LoggedOn { is_reset: false } => "LoggedOn".into(),
        Event::LoggedOn { is_reset: true } => "LoggedOn reset".into(),
        Event::Message(m) => format!("Message {}", message(m)),
        Event::Rejected(m) => format!("Rejected {}", message(m)),
        Event::Refused(m) => format!("Refused {}", message(m)),
        Event::LogoutReceived(m) => format!("LogoutReceived {}", message(m)),
        Event::GapDetected { from, to } => format!("GapDetected {from} {to}"),
        Event::PassedOver { from, to } => format!("PassedOver {from} {to}"),
        Event::SequenceReset { next_target } => format!("SequenceReset {next_target}"),
    }
}

/// Puts BeginString and BodyLength before and CheckSum behind.
fn seal(fields: &str) -> Vec<u8> {
    let (begin, fields) = match fields.strip_prefix("8=") {
        Some(rest) => rest.split_once('|').unwrap(),
        None => ("FIX.4.4", fields),
    };
    let body = format!("{}\x01", fields.replace('|', "\x01"));
    let mut message = format!("8={begin}\x019={}\x01{body}", body.len()).into_bytes();
    let sum = message.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    message.extend_from_slice(format!("10={sum:03}\x01").as_bytes());
    message
}

/// The messages of one piece of output, `|`-separated.
fn split(bytes: &[u8]) -> Vec<String> {
    let mut messages = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let Frame::Message { len } = frame(rest, usize::MAX) else {
            panic!("what was sent is no message: {}", String::from_utf8_lossy(rest));
        };
        messages.push(String::from_utf8_lossy(&rest[..len]).replace(SOH as char, "|"));
        rest = &rest[len..];
    }
    messages
}
