//! `ballast-bench wire`: a message over loopback TCP and back, between two pinned threads.
//!
//! `tcp_echo` is the floor: the same bytes back, nothing looked at, once spinning on non-blocking
//! reads and once blocking. `fix_reply` frames and decodes what came and answers with an order from
//! the prepared template: the codec's share of a round trip. The maker and the session are not in it.

use crate::codec::messages::{LEN_MAX, Orders, read_order};
use crate::document::{Document, Measurement, Ratio};
use crate::hiccup::Hiccups;
use crate::histogram::Latencies;
use crate::session::Session;
use ballast_engine::pin;
use ballast_gateway::fix::decode::Decoder;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

/// Round trips in a run, after a tenth as many to warm up.
const TRIPS: usize = 2_000;

/// What the far end does with what it reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    /// Sends it back, reading and writing without ever blocking.
    EchoSpinning,
    /// Sends it back, blocking in the read.
    EchoBlocking,
    /// Reads it as FIX and sends an order, without ever blocking.
    Order,
}

impl Answer {
    fn is_blocking(self) -> bool {
        self == Answer::EchoBlocking
    }
}

/// Runs the wire benchmark into `document`.
pub fn measure(session: &Session, document: &mut Document) -> Result<(), String> {
    let [near, far] = session.two_cores()?;
    let mut typical: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    let mut all: BTreeMap<&'static str, Latencies> = BTreeMap::new();
    let mut ratios = Vec::new();
    let mut hiccups = Hiccups::new();
    let share = session.share(1.0);
    while share.is_left() {
        hiccups.watch(session.counter, &[near, far], Duration::from_millis(5));
        let mut medians = BTreeMap::new();
        for (name, answer) in [
            ("wire.tcp_echo.spinning", Answer::EchoSpinning),
            ("wire.fix_reply.spinning", Answer::Order),
            ("wire.tcp_echo.blocking", Answer::EchoBlocking),
        ] {
            let run = round_trips(session, [near, far], answer)
                .map_err(|error| format!("{name}: loopback TCP: {error}"))?;
            medians.insert(name, run.at(0.5));
            typical.entry(name).or_default().push(run.at(0.5));
            all.entry(name).or_default().merge(&run);
        }
        ratios.push(medians["wire.fix_reply.spinning"] / medians["wire.tcp_echo.spinning"]);
    }
    document.add_hiccups(&hiccups);
    for (name, figures) in typical {
        document.measurements.extend(Measurement::new(name, figures, 0, all.remove(name)));
    }
    document.ratios.extend(Ratio::new("wire.fix_reply / tcp_echo", ratios, None));
    Ok(())
}

/// One connection, one run of single round trips.
fn round_trips(
    session: &Session,
    [near, far]: [usize; 2],
    answer: Answer,
) -> std::io::Result<Latencies> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::scope(|scope| {
        let answering = scope.spawn(move || -> std::io::Result<()> {
            pin::pin_current_thread(far);
            let (stream, _) = listener.accept()?;
            prepare(&stream, answer)?;
            answer_all(stream, answer)
        });
        let asking = scope.spawn(move || -> std::io::Result<Latencies> {
            pin::pin_current_thread(near);
            let mut stream = TcpStream::connect(address)?;
            prepare(&stream, answer)?;
            let mut run = Latencies::new();
            let question =
                other(Orders::new().and_then(|mut o| o.by_template().map(<[u8]>::to_vec)))?;
            let mut reply = [0; LEN_MAX];
            for number in 0..TRIPS + TRIPS / 10 {
                let from = session.counter.stamp();
                write_all(&mut stream, &question)?;
                // Every answer is as long as the question: same template, values of the same width.
                read_full(&mut stream, &mut reply[..question.len()])?;
                let to = session.counter.stamp();
                if number >= TRIPS / 10 {
                    run.record_ns(session.counter.nanos_between(from, to));
                }
            }
            Ok(run)
        });
        let run = asking.join().expect("does not panic");
        answering.join().expect("does not panic")?;
        run
    })
}

fn prepare(stream: &TcpStream, answer: Answer) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(!answer.is_blocking())
}

/// The far end, until the near end hangs up.
fn answer_all(mut stream: TcpStream, answer: Answer) -> std::io::Result<()> {
    let mut orders = other(Orders::new())?;
    let mut decoder = Decoder::new(64);
    let len = other(orders.by_template().map(<[u8]>::len))?;
    let mut question = [0; LEN_MAX];
    loop {
        match read_full(&mut stream, &mut question[..len]) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            other => other?,
        }
        if answer == Answer::Order {
            other(read_order(&mut decoder, &question[..len]))?;
            write_all(&mut stream, other(orders.by_template())?)?;
        } else {
            write_all(&mut stream, &question[..len])?;
        }
    }
}

fn other<T>(result: Result<T, String>) -> std::io::Result<T> {
    result.map_err(std::io::Error::other)
}

/// Fills `buffer`, spinning where the stream does not block.
fn read_full(stream: &mut TcpStream, mut buffer: &mut [u8]) -> std::io::Result<()> {
    while !buffer.is_empty() {
        match stream.read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => buffer = &mut buffer[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes `bytes`, spinning where the stream does not block.
fn write_all(stream: &mut TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
