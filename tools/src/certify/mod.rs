//! Certification: our initiator driven through a broker's script, step by step, over real TCP.
//!
//! `call` connects, in clear or in TLS, `script` reads the steps, `words` fills their placeholders, `wire`
//! keeps what passed, and the [`Run`] here does the steps with the very session that trades, its venue's
//! own Logon included. Fed by `ballast certify`; feeds it with a result a step. One thread, which sleeps
//! between messages. Deliberately absent: files.
//!
//! A step that fails ends the run: the steps behind it speak of a state that was not reached.
//! Expectations follow the wire: each looks at the messages behind the one that met the last
//! expectation of the same direction, and passes over those that it does not want.

pub mod call;
pub mod script;
pub mod wire;
pub mod words;

use ballast_engine::units::Nanos;
use ballast_gateway::fix::decode::Decoder;
use ballast_gateway::fix::message::Message;
use ballast_gateway::fix::secret::SECRET_TAGS;
use ballast_gateway::fix::{msg_type, tag};
use ballast_gateway::session::{Connection, Session, SessionConfig, Turn};
use ballast_gateway::store::MemoryStore;
use ballast_gateway::transport::{Ready, Socket, Transport, wait_for};
use call::Call;
use script::{Action, Condition, Expectation, Step};
use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::rc::Rc;
use wire::{Passed, Tapped, Wire};
use words::Words;

/// Longest sleep: a clock that is set moves the deadlines.
const SLEEP_MAX_NS: u64 = 100_000_000;
/// How long the sessions may take to log out behind the last step.
const PARTING_NS: u64 = 2_500_000_000;
/// The most fields of a message.
const FIELDS_MAX: usize = 1 << 14;

/// One session of the venue under certification.
pub struct Leg {
    /// What it is called.
    pub name: String,
    call: Call,
    session: Session<MemoryStore>,
    is_reset_usual: bool,
    connection: Option<Connection<Tapped<Socket>>>,
    wire: Rc<RefCell<Wire>>,
    /// The next message to look at: theirs, ours.
    next: [usize; 2],
}

/// A script being done.
pub struct Run {
    legs: Vec<Leg>,
    words: Words,
    now: fn() -> Nanos,
}

impl Leg {
    /// A session that is not connected yet; its numbers begin at 1.
    pub fn new(name: &str, call: Call, config: SessionConfig) -> Leg {
        Leg {
            name: name.into(),
            call,
            is_reset_usual: config.reset_on_logon,
            session: Session::new(config, MemoryStore::new()),
            connection: None,
            wire: Rc::default(),
            next: [0, 0],
        }
    }

    /// All that passed so far.
    pub fn passed(&self) -> Vec<Passed> {
        self.wire.borrow().passed.clone()
    }

    fn connect(&mut self, now: fn() -> Nanos) -> Result<(), String> {
        if self.connection.is_some() {
            return Err("the session is connected already".into());
        }
        let link = Tapped::new(self.call.connect(now)?, Rc::clone(&self.wire), now);
        self.session.on_connected(now());
        self.connection = Some(Connection::new(link, self.session.config()));
        Ok(())
    }

    /// Turns the connection until it has nothing more to do.
    fn turn(&mut self, now: fn() -> Nanos) {
        while let Some(connection) = &mut self.connection {
            match connection.turn(&mut self.session, now(), |_| ControlFlow::Continue(())) {
                Turn::Busy => {}
                Turn::Idle => return,
                Turn::Ended(_) => self.connection = None,
            }
        }
    }

    fn cut(&mut self, now: Nanos) {
        if let Some(mut connection) = self.connection.take() {
            connection.transport_mut().close();
            self.session.on_disconnected(now);
        }
    }
}

impl Run {
    /// Nothing done yet.
    pub fn new(legs: Vec<Leg>, now: fn() -> Nanos) -> Run {
        Run { legs, words: Words::new(now()), now }
    }

    /// The sessions, for their evidence.
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// Does one step.
    ///
    /// # Errors
    /// Why it failed, for people.
    pub fn step(&mut self, step: &Step) -> Result<(), String> {
        self.turn_all();
        match &step.action {
            Action::Send { msg_type, fields } => self.send(step.session, msg_type, fields)?,
            Action::Expect(wanted) => self.expect(step.session, wanted)?,
            Action::ExpectEnd { within_ns } => {
                let end = (self.now)().plus(*within_ns);
                let is_over = |run: &mut Run| {
                    run.legs.get(step.session).is_none_or(|leg| leg.connection.is_none())
                };
                if !self.until(end, is_over) {
                    return Err("the connection is still there".into());
                }
            }
            Action::Disconnect => {
                let now = (self.now)();
                self.leg(step.session)?.cut(now);
            }
            Action::SkipSeq(count) => {
                let leg = self.leg(step.session)?;
                leg.session.skip_numbers(*count).map_err(|error| error.to_string())?;
            }
            Action::Wait(ns) => {
                let end = (self.now)().plus(*ns);
                self.until(end, |_| false);
            }
        }
        self.turn_all();
        Ok(())
    }

    /// Logs out of what is still logged on.
    pub fn finish(&mut self) {
        let now = (self.now)();
        for leg in &mut self.legs {
            leg.session.logout(now, None);
            if !leg.session.is_logged_on() && leg.session.next_deadline().is_none() {
                leg.cut(now);
            }
        }
        let end = now.plus(PARTING_NS);
        self.until(end, |run| run.legs.iter().all(|leg| leg.connection.is_none()));
        for leg in &mut self.legs {
            leg.cut((self.now)());
        }
    }

    fn leg(&mut self, place: usize) -> Result<&mut Leg, String> {
        self.legs.get_mut(place).ok_or_else(|| "no such session".to_string())
    }

    fn turn_all(&mut self) {
        for leg in &mut self.legs {
            leg.turn(self.now);
        }
    }

    /// Lets the sessions go on until `is_done` or `end`; whether it was done.
    fn until(&mut self, end: Nanos, is_done: impl Fn(&mut Run) -> bool) -> bool {
        loop {
            self.turn_all();
            if is_done(self) {
                return true;
            }
            let now = (self.now)();
            if now >= end {
                return false;
            }
            let mut wake = end.min(now.plus(SLEEP_MAX_NS));
            let mut sockets = Vec::new();
            for leg in &self.legs {
                if let Some(connection) = &leg.connection {
                    wake = wake.min(leg.session.next_deadline().unwrap_or(wake));
                    let link = connection.transport().link();
                    let is_writing = connection.is_writing() || link.is_writing();
                    sockets.push(Ready { socket: link.as_fd(), is_writing });
                }
            }
            wait_for(&sockets, wake.since(now));
        }
    }

    fn send(&mut self, place: usize, kind: &[u8], fields: &[(u32, String)]) -> Result<(), String> {
        let (now, clock) = ((self.now)(), self.now);
        let mut filled = Vec::new();
        for (tag, text) in fields {
            filled.push((*tag, self.words.fill(text, now)?));
        }
        let leg = self.leg(place)?;
        match kind {
            msg_type::LOGON => {
                let asked = filled.iter().find(|(tag, _)| *tag == tag::RESET_SEQ_NUM_FLAG);
                let is_reset = asked.map_or(leg.is_reset_usual, |(_, value)| value == "Y");
                // Logged on, it begins at 1 again within the session.
                if is_reset && leg.session.is_logged_on() {
                    return leg.session.reset_within(now).map_err(|error| error.to_string());
                }
                leg.session.set_reset_on_logon(is_reset);
                leg.connect(clock)
            }
            msg_type::LOGOUT => {
                if !leg.session.is_logged_on() {
                    return Err("the session is not logged on".into());
                }
                leg.session.logout(now, filled.first().map(|(_, text)| text.as_str()));
                Ok(())
            }
            _ => {
                let write = |encoder: &mut ballast_gateway::fix::encode::Encoder<'_>| {
                    for (tag, value) in &filled {
                        encoder.str(*tag, value);
                    }
                };
                let sent = if is_admin(kind) {
                    leg.session.send_admin(now, kind, write)
                } else {
                    leg.session.send(now, kind, write)
                };
                sent.map(drop).map_err(|error| error.to_string())
            }
        }
    }

    fn expect(&mut self, place: usize, wanted: &Expectation) -> Result<(), String> {
        let end = (self.now)().plus(wanted.within_ns);
        let mut conditions = Vec::new();
        for condition in &wanted.conditions {
            conditions.push(match condition {
                Condition::Is(tag, text) => {
                    Condition::Is(*tag, self.words.fill(text, (self.now)())?)
                }
                Condition::There(_) | Condition::NotThere(_) => condition.clone(),
            });
        }
        let nearest: RefCell<Option<String>> = RefCell::default();
        let met: RefCell<Option<Saved>> = RefCell::default();
        self.until(end, |run| {
            let Some(leg) = run.legs.get_mut(place) else { return false };
            let (found, near) = leg.look_for(wanted, &conditions);
            if near.is_some() {
                *nearest.borrow_mut() = near;
            }
            let is_found = found.is_some();
            *met.borrow_mut() = found;
            is_found || leg.connection.is_none()
        });
        let Some(saved) = met.into_inner() else {
            let fault = not_met(wanted, &conditions, nearest.into_inner());
            let is_over = self.leg(place)?.connection.is_none();
            return Err(if is_over { format!("{fault}; the connection ended") } else { fault });
        };
        for (name, value) in saved {
            self.words.save(&name, &value);
        }
        Ok(())
    }
}

/// Values that a step saves, under their names.
type Saved = Vec<(String, Vec<u8>)>;

/// What a look at the wire found: the values to save where a message met all conditions, and what
/// was wrong with the nearest that did not.
type Look = (Option<Saved>, Option<String>);

impl Leg {
    fn look_for(&mut self, wanted: &Expectation, conditions: &[Condition]) -> Look {
        let wire = self.wire.borrow();
        let next = &mut self.next[usize::from(wanted.is_ours)];
        let mut near = None;
        let mut decoder = Decoder::new(FIELDS_MAX);
        let behind = wire.passed.iter().enumerate().skip(*next);
        for (place, passed) in behind.filter(|(_, passed)| passed.is_ours == wanted.is_ours) {
            let Ok(message) = decoder.decode(&passed.message) else { continue };
            if message.msg_type() != wanted.msg_type {
                continue;
            }
            let fault = conditions.iter().find_map(|condition| fault_of(&message, condition));
            let fault = fault.or_else(|| {
                let missing = wanted.saved.values().find(|tag| message.get(**tag).is_none());
                missing.map(|tag| format!("{tag} is not there to be saved"))
            });
            match fault {
                Some(fault) => near = Some(format!("{fault} in {}", shown(&passed.message))),
                None => {
                    *next = place + 1;
                    let value = |tag: &u32| message.get(*tag).unwrap_or_default().to_vec();
                    let saved = wanted.saved.iter().map(|(name, tag)| (name.clone(), value(tag)));
                    return (Some(saved.collect()), near);
                }
            }
        }
        (None, near)
    }
}

/// What is wrong with a message, if anything.
fn fault_of(message: &Message<'_>, condition: &Condition) -> Option<String> {
    match condition {
        Condition::Is(tag, value) => match message.get(*tag) {
            Some(got) if got == value.as_bytes() => None,
            Some(got) => {
                let (got, value) = (told(*tag, got), told(*tag, value.as_bytes()));
                Some(format!("{tag}={got} instead of {value}"))
            }
            None => {
                Some(format!("{tag} is missing, {} was expected", told(*tag, value.as_bytes())))
            }
        },
        Condition::There(tag) => message.get(*tag).is_none().then(|| format!("{tag} is missing")),
        Condition::NotThere(tag) => {
            message.get(*tag).map(|got| format!("{tag}={} was not expected", told(*tag, got)))
        }
    }
}

/// A value for people, where it is no secret.
fn told(tag: u32, value: &[u8]) -> Cow<'_, str> {
    if SECRET_TAGS.contains(&tag) { Cow::Borrowed("***") } else { String::from_utf8_lossy(value) }
}

fn not_met(wanted: &Expectation, conditions: &[Condition], nearest: Option<String>) -> String {
    let conditions: Vec<String> = conditions
        .iter()
        .map(|condition| match condition {
            Condition::Is(tag, value) => format!("{tag}={}", told(*tag, value.as_bytes())),
            Condition::There(tag) => tag.to_string(),
            Condition::NotThere(tag) => format!("!{tag}"),
        })
        .collect();
    let who = if wanted.is_ours { "from us" } else { "from them" };
    let ms = wanted.within_ns / 1_000_000;
    let kind = String::from_utf8_lossy(&wanted.msg_type).into_owned();
    let mut fault = format!("no 35={kind} {} {who} within {ms} ms", conditions.join(" "));
    match nearest {
        Some(nearest) => fault.push_str(&format!("; nearest: {nearest}")),
        None => fault.push_str(&format!("; no 35={kind} came at all")),
    }
    fault
}

/// A message for people, secrets masked.
pub fn shown(message: &[u8]) -> String {
    let mut masked = Vec::new();
    ballast_gateway::fix::secret::mask_message(message, &mut masked);
    String::from_utf8_lossy(&masked).replace('\x01', "|")
}

/// Heartbeat, TestRequest, ResendRequest, Reject, SequenceReset.
fn is_admin(kind: &[u8]) -> bool {
    matches!(kind, b"0" | b"1" | b"2" | b"3" | b"4")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_secret_is_told_without_it() {
        let logon = b"8=FIX.4.4\x019=5\x0135=A\x01553=me\x01554=geheim\x0110=000\x01";
        let mut decoder = Decoder::new(FIELDS_MAX);
        let message = decoder.decode(logon).unwrap();
        let fault = |condition| fault_of(&message, &condition).unwrap();
        assert_eq!(fault(Condition::NotThere(554)), "554=*** was not expected");
        assert_eq!(fault(Condition::Is(554, "anders".into())), "554=*** instead of ***");
        assert_eq!(fault(Condition::Is(925, "neu".into())), "925 is missing, *** was expected");
        assert_eq!(fault(Condition::Is(553, "you".into())), "553=me instead of you");
        let wanted = Expectation {
            msg_type: b"A".to_vec(),
            is_ours: true,
            within_ns: 0,
            conditions: Vec::new(),
            saved: Default::default(),
        };
        let conditions = [Condition::Is(554, "anders".into()), Condition::Is(553, "you".into())];
        let told = not_met(&wanted, &conditions, None);
        assert!(told.contains("554=*** 553=you") && !told.contains("anders"), "{told}");
    }
}
