//! Market data over loopback TCP, and the two orders that come back: the path of `tick_to_order` beside an
//! echo.
//!
//! Used by `wire`. The far core reads, decides and writes to completion in a loop of its own, in the order
//! of the fused runner and without what is around its stages (see `tick_to_order`); what follows a tick
//! (the venue's answers, the next tick's time) is done there between two messages. In a closed run the
//! near end waits a moment before each message, so that this is over; by a schedule it does not, and what
//! waits counts. The far end stamps its stages; those between the sockets take less than the counter can
//! tell apart and are timed by the batch. What the round trip holds beside is the kernel's and the
//! loopback's.

use crate::histogram::Latencies;
use crate::loopback::{
    Paced, connected, is_hang_up, other, read_full, read_some, read_stamped, write_all,
};
use crate::open_loop::{Outcome, Run};
use crate::rig::BATCH;
use crate::session::Session;
use crate::spent::{Meter, Spent};
use crate::tick_to_order::{self, LEN_MAX, Path};
use ballast_engine::clock::Counter;
use ballast_engine::units::Stamp;
use ballast_gateway::fix::frame::{Frame, frame};
use std::io::Result;
use std::net::TcpStream;

/// Round trips in a run, after a tenth as many to warm up.
const TRIPS: usize = 1_000;
const WARM_UP: usize = TRIPS / 10;
/// Room for two orders.
pub const REPLY_MAX: usize = 2 * LEN_MAX;
/// Between two round trips of a closed run.
pub const PAUSE_NS: u64 = 20_000;
const INNER: usize = tick_to_order::STAGES.len();
/// The far end's stages, in the order of the way.
pub const STAGES: [&str; INNER + 2] = [
    "socket_read",
    "frame_and_split",
    "read_entries",
    "publish",
    "maker",
    "hand_over",
    "encode",
    "socket_write",
];

/// What travels, so that an echo can carry as much.
#[derive(Clone, Copy, Default)]
pub struct Sizes {
    /// Of the message that brings a better bid, and of the one that takes it away.
    pub questions: [usize; 2],
    /// Of two orders.
    pub reply: usize,
}

/// What the far end saw of itself.
pub struct Far {
    /// From the read that brought a message to the end of the write of its orders.
    pub whole: Latencies,
    /// The parts of that: single ones of the sockets, means of batches of what is between them.
    pub stages: [Latencies; STAGES.len()],
    /// Counter steps of the batch that is under way.
    sums: [u64; INNER],
    count: u64,
    /// What it took beside time.
    pub spent: Spent,
}

/// Round trips of the whole path and of an echo of its sizes, and the far end's own view.
pub fn runs(session: &Session, cores: [usize; 2]) -> Result<([Latencies; 2], Far)> {
    let near = |stream| ask(session, stream, None);
    let far = |stream| decide(session, stream, WARM_UP as u64);
    let ((ticks, sizes), far) = connected(cores, false, near, far)?;
    let near = |stream| ask(session, stream, Some(sizes.reply));
    let ((echoed, _), ()) = connected(cores, false, near, move |stream| echo(stream, sizes))?;
    Ok(([ticks, echoed], far))
}

/// The whole path under messages that go out when they are due.
pub fn paced(session: &Session, cores: [usize; 2], run: Run<'_>) -> Result<Outcome> {
    let near = |stream| {
        let mut path = other(Path::new(session))?;
        let sending = Paced { counter: session.counter, run };
        sending.run(stream, |room| other(path.question(room)), whole_pairs)
    };
    let far = |stream| decide(session, stream, run.lead_in());
    let (outcome, far) = connected(cores, false, near, far)?;
    // Sent at once, a message waits in the far end's socket: that is response, and only the rest service.
    Ok(outcome.served_in(far.whole))
}

/// How many bytes of `replies` are whole pairs of messages, and how many pairs.
pub fn whole_pairs(replies: &[u8]) -> (usize, usize) {
    let (mut bytes, mut pairs) = (0, 0);
    while let Frame::Message { len: first } = frame(&replies[bytes..], LEN_MAX)
        && let Frame::Message { len: second } = frame(&replies[bytes + first..], LEN_MAX)
    {
        bytes += first + second;
        pairs += 1;
    }
    (bytes, pairs)
}

/// Spins for so long.
pub fn wait(counter: Counter, ns: u64) {
    let from = counter.stamp();
    while counter.nanos_between(from, counter.stamp()) < ns {
        std::hint::spin_loop();
    }
}

/// Sends market data and waits for the answer: two messages, or so many bytes.
fn ask(
    session: &Session,
    mut stream: TcpStream,
    reply_len: Option<usize>,
) -> Result<(Latencies, Sizes)> {
    let counter = session.counter;
    let mut path = other(Path::new(session))?;
    let (mut run, mut sizes) = (Latencies::new(), Sizes::default());
    let (mut question, mut reply) = ([0; LEN_MAX], [0; REPLY_MAX]);
    for number in 0..TRIPS + WARM_UP {
        wait(counter, PAUSE_NS);
        let len = other(path.question(&mut question))?;
        sizes.questions[number % 2] = len;
        let from = counter.stamp();
        write_all(&mut stream, &question[..len])?;
        sizes.reply = match reply_len {
            Some(len) => read_full(&mut stream, &mut reply[..len]).map(|()| len)?,
            None => read_pair(&mut stream, &mut reply)?,
        };
        let to = counter.stamp();
        if number >= WARM_UP {
            run.record_ns(counter.nanos_between(from, to));
        }
    }
    Ok((run, sizes))
}

/// Reads until two whole messages are there; their length together.
fn read_pair(stream: &mut TcpStream, reply: &mut [u8; REPLY_MAX]) -> Result<usize> {
    let mut have = 0;
    loop {
        have += read_some(stream, &mut reply[have..])?;
        if let (bytes, 1) = whole_pairs(&reply[..have]) {
            return Ok(bytes);
        }
    }
}

/// The far end: market data in, two orders out, until the near end hangs up. The first messages are not
/// looked at.
fn decide(session: &Session, mut stream: TcpStream, warm_up: u64) -> Result<Far> {
    let counter = session.counter;
    let mut path = other(Path::new(session))?;
    let mut far = Far::new();
    let (mut have, mut orders, mut meter) = (0, [0; REPLY_MAX], Meter::start());
    for number in 0u64.. {
        if number == warm_up {
            meter = Meter::start();
        }
        other(path.advance())?;
        let mut stamps = [counter.stamp(); STAGES.len() + 1];
        // What is left of the last read is taken first: then its socket read took no time.
        stamps[1] = stamps[0];
        let len = loop {
            let taken = path.take(have, |place| stamps[place + 1] = counter.stamp());
            if let Some(len) = other(taken)? {
                break len;
            }
            let read = read_stamped(counter, &mut stream, &mut path.buffer()[have..]);
            if have == 0 && is_hang_up(&read) {
                far.spent = meter.stop(number.saturating_sub(warm_up));
                return Ok(far);
            }
            let (count, from) = read?;
            have += count;
            (stamps[0], stamps[1]) = (from, counter.stamp());
        };
        let written = other(path.encode_into(&mut orders))?;
        stamps[INNER + 1] = counter.stamp();
        write_all(&mut stream, &orders[..written])?;
        stamps[INNER + 2] = counter.stamp();
        path.buffer().copy_within(len..have, 0);
        have -= len;
        if number >= warm_up {
            far.note(counter, &stamps);
        }
        other(path.settle())?;
    }
    Ok(far)
}

impl Far {
    fn new() -> Far {
        Far {
            whole: Latencies::new(),
            stages: [(); STAGES.len()].map(|()| Latencies::new()),
            sums: [0; INNER],
            count: 0,
            spent: Spent::default(),
        }
    }

    fn note(&mut self, counter: Counter, stamps: &[Stamp; STAGES.len() + 1]) {
        self.whole.record_ns(counter.nanos_between(stamps[0], stamps[STAGES.len()]));
        let steps = |place: usize| stamps[place + 1].0.saturating_sub(stamps[place].0);
        for place in [0, INNER + 1] {
            self.stages[place].record_ns(counter.nanos_of_steps(steps(place)));
        }
        for (sum, place) in self.sums.iter_mut().zip(1..) {
            *sum += steps(place);
        }
        self.count += 1;
        if self.count == BATCH {
            for (stage, sum) in self.stages[1..=INNER].iter_mut().zip(&self.sums) {
                stage.record_batch(counter.nanos_of_steps(*sum), BATCH);
            }
            (self.sums, self.count) = ([0; INNER], 0);
        }
    }

    /// The stages between the read and the write.
    pub fn between_sockets(&self) -> &[Latencies] {
        &self.stages[1..=INNER]
    }
}

/// The far end of the echo: as many bytes each way, none looked at.
pub fn echo(mut stream: TcpStream, sizes: Sizes) -> Result<()> {
    let mut question = [0; LEN_MAX];
    let reply = [b'x'; REPLY_MAX];
    for number in 0.. {
        let len = sizes.questions[number % 2];
        let read = read_full(&mut stream, &mut question[..len]);
        if is_hang_up(&read) {
            return Ok(());
        }
        read?;
        write_all(&mut stream, &reply[..sizes.reply])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_the_sockets_is_timed_by_the_batch_and_the_sockets_one_by_one() {
        let mut far = Far::new();
        let counter = Counter::monotonic();
        let mut stamps = [Stamp(0); STAGES.len() + 1];
        for number in 0..2 * BATCH {
            // Every other message takes 10 ns a stage, the rest 30.
            let stage = if number.is_multiple_of(2) { 10 } else { 30 };
            stamps.iter_mut().zip(0..).for_each(|(stamp, place)| *stamp = Stamp(place * stage));
            far.note(counter, &stamps);
        }
        let [read, .., write] = &far.stages;
        assert_eq!((read.count(), write.count(), far.whole.count()), (128, 128, 128));
        assert_eq!(far.between_sockets().len(), INNER);
        for stage in far.between_sockets() {
            assert_eq!((stage.count(), stage.of()), (2, "batch means"));
            assert!((stage.at(0.5) - 20.0).abs() < 0.1, "{}", stage.at(0.5));
        }
    }
}
