//! A transport whose bytes are copied to the message log as they pass.
//!
//! Wraps a dialler, a transport or what a door gave; feeds the log through a [`Tape`]. The session's
//! thread: one branch a call without a log, one counter read and one copy with it, after the bytes
//! are through; never an allocation or a wait. Deliberately absent: what a message is.

use super::{Received, Transport, Written};
use crate::message_log::Tape;
use crate::venue::line::{Dial, Dialled};
use ballast_engine::units::Nanos;
use std::sync::{Arc, Mutex, PoisonError};

/// Where the tape lies between two connections. Locked when one begins and ends, never between.
type Shelf = Arc<Mutex<Option<Tape>>>;

/// Makes connections whose bytes are logged, one at a time.
#[derive(Debug)]
pub struct Tee<D> {
    dial: D,
    shelf: Option<Shelf>,
}

impl<D> Tee<D> {
    /// Connections that `dial` makes, logged to `tape`; `None` logs nothing.
    pub fn new(dial: D, tape: Option<Tape>) -> Tee<D> {
        Tee { dial, shelf: tape.map(|tape| Arc::new(Mutex::new(Some(tape)))) }
    }

    /// Logs a connection that is there already, as an acceptor has it. While another one holds the
    /// tape, this one is not logged.
    pub fn wrap<T: Transport>(&self, link: T) -> Teed<T> {
        let mut tape = self.shelf.as_ref().and_then(|shelf| lock(shelf).take());
        if let Some(tape) = &mut tape {
            tape.open();
        }
        Teed { link, tape, shelf: self.shelf.clone() }
    }
}

/// A poisoned lock is taken all the same: a tape is whole whatever panicked.
fn lock(shelf: &Shelf) -> std::sync::MutexGuard<'_, Option<Tape>> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<D: Dial> Dial for Tee<D> {
    type Link = Teed<D::Link>;

    fn hosts(&self) -> usize {
        self.dial.hosts()
    }

    fn choose(&mut self, host: usize) {
        self.dial.choose(host);
    }

    fn dial(&mut self, now: Nanos) -> Dialled<Teed<D::Link>> {
        match self.dial.dial(now) {
            Dialled::Connected(link) => Dialled::Connected(self.wrap(link)),
            Dialled::Pending => Dialled::Pending,
            Dialled::Failed => Dialled::Failed,
        }
    }
}

/// One logged connection. Dropping it gives the tape back for the next.
#[derive(Debug)]
pub struct Teed<T> {
    link: T,
    tape: Option<Tape>,
    shelf: Option<Shelf>,
}

impl<T> Teed<T> {
    /// What is logged, to wait on.
    pub fn link(&self) -> &T {
        &self.link
    }

    /// What is logged, to cut or fragment it in a test.
    pub fn link_mut(&mut self) -> &mut T {
        &mut self.link
    }
}

impl<T: Transport> Transport for Teed<T> {
    #[inline]
    fn read(&mut self, room: &mut [u8]) -> Received {
        let received = self.link.read(room);
        if let (Some(tape), Received::Bytes(count)) = (&mut self.tape, received) {
            tape.received(room.get(..count).unwrap_or_default());
        }
        received
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Written {
        let written = self.link.write(bytes);
        if let (Some(tape), Written::Bytes(count)) = (&mut self.tape, written) {
            tape.sent(bytes.get(..count).unwrap_or_default());
        }
        written
    }

    fn close(&mut self) {
        self.link.close();
    }
}

impl<T> Drop for Teed<T> {
    fn drop(&mut self) {
        if let (Some(mut tape), Some(shelf)) = (self.tape.take(), &self.shelf) {
            tape.close();
            *lock(shelf) = Some(tape);
        }
    }
}
