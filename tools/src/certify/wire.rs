//! What passed over one connection, message by message: the evidence, and what steps are judged by.
//!
//! Fed by the session's own reads and writes through a [`Tapped`] transport; feeds the run and the
//! evidence. The thread of `ballast certify`. Deliberately absent: masking, which is the evidence's.

use ballast_engine::units::Nanos;
use ballast_gateway::fix::frame::{Frame, frame};
use ballast_gateway::transport::{Received, Transport, Written};
use std::cell::RefCell;
use std::rc::Rc;

/// The longest message that is looked for.
const MESSAGE_LEN_MAX: usize = 1 << 20;

/// One message, as it passed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passed {
    /// When it was whole.
    pub at: Nanos,
    /// We sent it.
    pub is_ours: bool,
    /// All of it.
    pub message: Vec<u8>,
}

/// All that passed over one session's connections so far.
#[derive(Debug, Default)]
pub struct Wire {
    /// In order.
    pub passed: Vec<Passed>,
    /// Bytes that are no whole message yet: theirs, ours.
    waiting: [Vec<u8>; 2],
}

impl Wire {
    /// Takes bytes that were read or written.
    pub fn take(&mut self, at: Nanos, is_ours: bool, bytes: &[u8]) {
        let waiting = &mut self.waiting[usize::from(is_ours)];
        waiting.extend_from_slice(bytes);
        loop {
            match frame(waiting, MESSAGE_LEN_MAX) {
                Frame::Incomplete => return,
                Frame::Garbled { skip, .. } => drop(waiting.drain(..skip)),
                Frame::Message { len } => {
                    let message = waiting.drain(..len).collect();
                    self.passed.push(Passed { at, is_ours, message });
                }
            }
        }
    }

    /// A new connection: what was cut short stays so.
    pub fn forget_rest(&mut self) {
        self.waiting = [Vec::new(), Vec::new()];
    }
}

/// A transport whose bytes are kept.
pub struct Tapped<T> {
    link: T,
    wire: Rc<RefCell<Wire>>,
    now: fn() -> Nanos,
}

impl<T> Tapped<T> {
    /// Keeps what passes over `link` in `wire`.
    pub fn new(link: T, wire: Rc<RefCell<Wire>>, now: fn() -> Nanos) -> Tapped<T> {
        wire.borrow_mut().forget_rest();
        Tapped { link, wire, now }
    }

    /// What is tapped, to wait on.
    pub fn link(&self) -> &T {
        &self.link
    }
}

impl<T: Transport> Transport for Tapped<T> {
    fn read(&mut self, room: &mut [u8]) -> Received {
        let received = self.link.read(room);
        if let Received::Bytes(count) = received {
            let bytes = room.get(..count).unwrap_or_default();
            self.wire.borrow_mut().take((self.now)(), false, bytes);
        }
        received
    }

    fn write(&mut self, bytes: &[u8]) -> Written {
        let written = self.link.write(bytes);
        if let Written::Bytes(count) = written {
            let bytes = bytes.get(..count).unwrap_or_default();
            self.wire.borrow_mut().take((self.now)(), true, bytes);
        }
        written
    }

    fn close(&mut self) {
        self.link.close();
    }
}
