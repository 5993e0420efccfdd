//! One loopback TCP connection between two pinned threads, and how both ends read and write it.
//!
//! Used by `wire` and `ack`. TCP_NODELAY on both ends; a stream that does not block is spun on.

use crate::open_loop::{Outcome, Run};
use ballast_engine::clock::Counter;
use ballast_engine::pin;
use ballast_engine::units::Stamp;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Result, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

/// Room for one message to send, and for answers that came together.
const ROOM_LEN: usize = 1 << 16;

/// Runs `near` and `far` on a core each, connected; what both found. `far` ends when it is hung up on.
pub fn connected<N: Send, F: Send>(
    [near_core, far_core]: [usize; 2],
    is_blocking: bool,
    near: impl FnOnce(TcpStream) -> Result<N> + Send,
    far: impl FnOnce(TcpStream) -> Result<F> + Send,
) -> Result<(N, F)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let prepared = move |stream: TcpStream| -> Result<TcpStream> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(!is_blocking)?;
        Ok(stream)
    };
    std::thread::scope(|scope| {
        let answering = scope.spawn(move || {
            pin::pin_current_thread(far_core);
            far(prepared(listener.accept()?.0)?)
        });
        let asking = scope.spawn(move || {
            pin::pin_current_thread(near_core);
            near(prepared(TcpStream::connect(address)?)?)
        });
        let found = asking.join().expect("does not panic");
        let answered = answering.join().expect("does not panic");
        found.and_then(|found| answered.map(|answered| (found, answered)))
    })
}

/// Messages that go out when they are due, whatever became of those before.
pub struct Paced<'s> {
    /// Times everything.
    pub counter: Counter,
    /// When they are due, and for how long.
    pub run: Run<'s>,
}

impl Paced<'_> {
    /// `next` writes a message and says its length; `whole` says how many bytes of what has come are
    /// whole answers, and how many answers that is, in the order of the messages. The stream must not
    /// block: answers are read while a message waits for room. Responses alone: what the service was, the
    /// far end knows, in whose queue the messages wait.
    pub fn run(
        &self,
        mut stream: TcpStream,
        mut next: impl FnMut(&mut [u8]) -> Result<usize>,
        mut whole: impl FnMut(&[u8]) -> (usize, usize),
    ) -> Result<Outcome> {
        let (mut outcome, mut due) = (Outcome::new(self.run), self.run.due_ns().peekable());
        let (mut message, mut room) = (vec![0; ROOM_LEN], vec![0; ROOM_LEN]);
        let (mut waiting, mut len) = (VecDeque::new(), next(&mut message)?);
        // How much of the message is out, once it is due.
        let (mut sent, mut have) = (None, 0);
        let start = self.counter.stamp();
        let now = || self.counter.nanos_between(start, self.counter.stamp());
        while sent.is_some() || due.peek().is_some() || !waiting.is_empty() {
            let at = now();
            if sent.is_none()
                && let Some(due) = due.next_if(|due| *due <= at)
            {
                waiting.push_back(due);
                sent = Some(0);
            }
            if let Some(out) = &mut sent {
                *out += write_some(&mut stream, &message[*out..len])?;
            }
            if sent == Some(len) {
                (sent, len) = (None, next(&mut message)?);
            }
            have += read_now(&mut stream, &mut room[have..])?;
            let (bytes, answers) = whole(&room[..have]);
            let at = now();
            for due in waiting.drain(..answers.min(waiting.len())) {
                outcome.respond(due, at);
            }
            room.copy_within(bytes..have, 0);
            have -= bytes;
        }
        Ok(outcome)
    }
}

/// What one write takes, 0 where there is no room.
fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> Result<usize> {
    match stream.write(bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

/// What lies ready, 0 where nothing does.
fn read_now(stream: &mut TcpStream, room: &mut [u8]) -> Result<usize> {
    match stream.read(room) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

/// Text as an error of the connection.
pub fn other<T>(result: std::result::Result<T, String>) -> Result<T> {
    result.map_err(std::io::Error::other)
}

/// `true` where a read ended because the near end hung up between two messages.
pub fn is_hang_up<T>(read: &Result<T>) -> bool {
    read.as_ref().is_err_and(|error| error.kind() == ErrorKind::UnexpectedEof)
}

/// Reads what is there, at least a byte, spinning where the stream does not block.
pub fn read_some(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<usize> {
    loop {
        match stream.read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(error) => return Err(error),
        }
    }
}

/// A read, spinning, and when the read began that brought something.
pub fn read_stamped(
    counter: Counter,
    stream: &mut TcpStream,
    room: &mut [u8],
) -> Result<(usize, Stamp)> {
    loop {
        let from = counter.stamp();
        match stream.read(room) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => return Ok((count, from)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(error) => return Err(error),
        }
    }
}

/// Fills `buffer`.
pub fn read_full(stream: &mut TcpStream, mut buffer: &mut [u8]) -> Result<()> {
    while !buffer.is_empty() {
        let count = read_some(stream, buffer)?;
        buffer = &mut buffer[count..];
    }
    Ok(())
}

/// Writes `bytes`, spinning where the stream does not block.
pub fn write_all(stream: &mut TcpStream, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
