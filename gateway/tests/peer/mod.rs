//! A scripted venue at the other end of an in-memory pipe: a real acceptor session, so that every byte
//! between it and a stage is framed, sequenced and checked.
#![allow(dead_code, reason = "each test file uses its part")]

use ballast_engine::units::Nanos;
use ballast_gateway::session::{Connection, Event, Role, Session, SessionConfig, Turn};
use ballast_gateway::store::MemoryStore;
use ballast_gateway::transport::{PipeEnd, pipe};
use ballast_gateway::venue::line::{Dial, Dialled};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

/// Where dialled connections arrive; closed, nobody answers.
#[derive(Clone, Default)]
pub struct Door(Arc<Mutex<(bool, Option<PipeEnd>)>>);

impl Door {
    pub fn open() -> Door {
        Door(Arc::new(Mutex::new((true, None))))
    }

    pub fn set_open(&self, is_open: bool) {
        self.0.lock().unwrap().0 = is_open;
    }
}

/// Dials a [`Door`].
pub struct PipeDial(pub Door);

impl Dial for PipeDial {
    type Link = PipeEnd;

    fn dial(&mut self, _now: Nanos) -> Dialled<PipeEnd> {
        let mut door = self.0.0.lock().unwrap();
        if !door.0 {
            return Dialled::Failed;
        }
        let (ours, theirs) = pipe(1 << 16);
        door.1 = Some(theirs);
        Dialled::Connected(ours)
    }
}

/// The scripted venue.
pub struct Venue {
    pub session: Session<MemoryStore>,
    connection: Option<Connection<PipeEnd>>,
    door: Door,
    /// Application messages received, `|` for SOH, from MsgType(35) on and without header times.
    pub inbox: Vec<String>,
}

impl Venue {
    pub fn new(door: &Door) -> Venue {
        let mut config = SessionConfig::new(Role::Acceptor, "VENUE", "BALLAST");
        config.reset_on_logon = true;
        // It says whole books, too.
        (config.message_len_max, config.out_bytes_max) = (1 << 20, 2 << 20);
        Venue {
            session: Session::new(config, MemoryStore::new()),
            connection: None,
            door: door.clone(),
            inbox: Vec::new(),
        }
    }

    pub fn turn(&mut self, now: Nanos) -> bool {
        if let Some(end) = self.door.0.lock().unwrap().1.take() {
            self.session.on_connected(now);
            self.connection = Some(Connection::new(end, self.session.config()));
        }
        let Some(connection) = &mut self.connection else { return false };
        let inbox = &mut self.inbox;
        let turn = connection.turn(&mut self.session, now, |event| {
            if let Event::Message(message) = event {
                let text: Vec<String> = message
                    .fields()
                    .filter(|field| ![8, 9, 10, 34, 49, 52, 56].contains(&field.tag))
                    .map(|field| format!("{}={}", field.tag, String::from_utf8_lossy(field.value)))
                    .collect();
                inbox.push(text.join("|"));
            }
            ControlFlow::Continue(())
        });
        match turn {
            Turn::Idle => false,
            Turn::Busy => true,
            Turn::Ended(_) => {
                self.connection = None;
                true
            }
        }
    }

    /// Sends `35=8|11=…`; the session writes the header.
    pub fn say(&mut self, now: Nanos, body: &str) {
        let (head, rest) = body.split_once('|').unwrap();
        let msg_type = head.strip_prefix("35=").unwrap();
        self.session
            .send(now, msg_type.as_bytes(), |encoder| {
                for field in rest.split('|') {
                    let (tag, value) = field.split_once('=').unwrap();
                    encoder.bytes(tag.parse().unwrap(), value.as_bytes());
                }
            })
            .unwrap();
    }

    /// Skips numbers, as if messages had been lost.
    pub fn lose(&mut self, now: Nanos, count: usize) {
        for _ in 0..count {
            self.session.send(now, b"B", |encoder| _ = encoder.bytes(148, b"lost")).unwrap();
        }
        // What the session wanted to send is taken from it and thrown away.
        while self.session.poll_output().is_some() {}
    }

    /// Skips numbers that it fills when it is asked for them.
    pub fn pass_over(&mut self, count: u64) {
        self.session.skip_numbers(count).unwrap();
    }

    /// The cable is pulled.
    pub fn cut(&mut self, now: Nanos) {
        if let Some(connection) = &mut self.connection {
            connection.transport_mut().cut(0);
        }
        self.connection = None;
        self.session.on_disconnected(now);
    }

    pub fn take_inbox(&mut self) -> Vec<String> {
        std::mem::take(&mut self.inbox)
    }
}

/// A client's session config: `BALLAST` to `VENUE`, numbers from 1 at each logon.
pub fn client_config() -> SessionConfig {
    let mut config = SessionConfig::new(Role::Initiator, "BALLAST", "VENUE");
    config.reset_on_logon = true;
    config
}
