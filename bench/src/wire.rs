//! `ballast-bench wire`: a message over loopback TCP and back, between two pinned threads.
//!
//! `tcp_echo` is the floor: the same bytes back, nothing looked at, once spinning on non-blocking
//! reads and once blocking. `fix_reply` frames and decodes what came and answers with an order from
//! the prepared template: the codec's share of a round trip. `tick_to_order` sends market data and gets
//! the two orders that the path of the `tick-to-order` benchmark makes of it on the far core, in a loop of
//! its own (`wire_ticks`): what that path leaves out of the live system is left out here too, but for the
//! sockets. `tcp_echo_of_its_sizes` carries as many bytes each way. `.inside` is the far end's own view,
//! from the read that brought a message to the end of the write of its orders, and `.stage.*` its parts,
//! with what the kernel and the loopback take as the last. These sum to the whole because each is a
//! difference; what can be wrong is that the stages explain too little of it, so what they take between
//! the sockets and an echo must make up the round trip. `wire.live` is the same tick through the live system
//! itself, over its two FIX sessions, beside an echo of its own sizes (`wire_live`); `.until.*` are its own
//! latency marks, each counted from its read of the market data. `.steady`, `.bursts` and `.recorded` come by a
//! schedule, with the far end's own view as their service.

use crate::bracket::Bracket;
use crate::codec::messages::{LEN_MAX, Orders, read_order};
use crate::document::Document;
use crate::figures::Figures;
use crate::hiccup::Hiccups;
use crate::histogram::{Latencies, RUNS_MIN};
use crate::loopback::{connected, is_hang_up, other, read_full, write_all};
use crate::open_loop::Place;
use crate::ratio::Ratio;
use crate::session::Session;
use crate::spent::Spent;
use crate::wire_live;
use crate::wire_ticks::{self, STAGES};
use ballast_gateway::fix::decode::Decoder;
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::Duration;

/// Round trips in a run, after a tenth as many to warm up.
const TRIPS: usize = 2_000;
/// Arrivals a second where the command says nothing else.
const RATE: u64 = 10_000;
/// Parts of the time: round trips of echoes and of the path, and of the live system.
const CLOSED_SHARE: f64 = 0.45;
const LIVE_SHARE: f64 = 0.25;
/// What the whole path may add to a bare echo of its bytes.
const BOUND_TO_ECHO: f64 = 1.10;
/// How far the stages between the sockets and an echo together may be from the round trip.
const PARTS_OFF: f64 = 0.10;

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
    let cores = session.two_cores()?;
    let bracket = Bracket::new(session, cores);
    let (mut rounds, mut hiccups) = (Rounds::default(), Hiccups::new());
    let mut repeat = |part, round: &mut dyn FnMut() -> Result<(), String>| {
        let (share, mut count) = (session.share(part), 0);
        while share.is_left() || count < RUNS_MIN {
            count += 1;
            hiccups.watch(session.counter, &cores, Duration::from_millis(5));
            round()?;
        }
        Ok::<_, String>(())
    };
    repeat(CLOSED_SHARE, &mut || {
        rounds.echoes(session, cores, &bracket)?;
        rounds.ticks(session, cores, &bracket)
    })?;
    // The live system's start and end take longer than its ticks: it must not take the others' runs.
    repeat(LIVE_SHARE, &mut || rounds.live(session, cores, &bracket))?;
    rounds.into_document(document);
    document.add_hiccups(&hiccups);
    let place = Place { session, bracket: &bracket, cores: &cores };
    place.measure("wire.tick_to_order", RATE, document, |run| {
        wire_ticks::paced(session, cores, run).map_err(|error| error.to_string())
    })
}

/// What all rounds gave.
#[derive(Default)]
struct Rounds {
    figures: Figures,
    replies: Vec<f64>,
    ticks: Vec<f64>,
    to_whole: Vec<f64>,
    spent: Spent,
    live: Vec<f64>,
    /// Of the live system: what anybody refused, and round trips.
    refused: [u64; 2],
}

impl Rounds {
    /// Echoes and FIX replies of one size.
    fn echoes(
        &mut self,
        session: &Session,
        cores: [usize; 2],
        bracket: &Bracket,
    ) -> Result<(), String> {
        let mut medians = BTreeMap::new();
        for (name, answer) in [
            ("wire.tcp_echo.spinning", Answer::EchoSpinning),
            ("wire.fix_reply.spinning", Answer::Order),
            ("wire.tcp_echo.blocking", Answer::EchoBlocking),
        ] {
            let (run, floor) = bracket
                .around(|| round_trips(session, cores, answer))
                .map_err(|error| format!("{name}: loopback TCP: {error}"))?;
            self.figures.add(name, &run, &run, floor.is_some());
            if floor.is_some() {
                medians.insert(name, run.at(0.5));
            }
        }
        let echo = medians.get("wire.tcp_echo.spinning");
        let reply = medians.get("wire.fix_reply.spinning");
        self.replies.extend(reply.zip(echo).map(|(reply, echo)| reply / echo));
        Ok(())
    }

    /// The whole path, an echo of its sizes, and the far end's own view.
    fn ticks(
        &mut self,
        session: &Session,
        cores: [usize; 2],
        bracket: &Bracket,
    ) -> Result<(), String> {
        let (([ticks, echo], far), floor) = bracket
            .around(|| wire_ticks::runs(session, cores))
            .map_err(|error| format!("wire.tick_to_order: {error}"))?;
        self.spent.add(far.spent);
        let is_kept = floor.is_some();
        let figures = &mut self.figures;
        figures.add("wire.tick_to_order", &ticks, &ticks, is_kept);
        figures.add("wire.tcp_echo_of_its_sizes", &echo, &echo, is_kept);
        figures.add("wire.tick_to_order.inside", &far.whole, &far.whole, is_kept);
        for (name, stage) in STAGES.into_iter().zip(&far.stages) {
            figures.add(&format!("wire.tick_to_order.stage.{name}"), stage, stage, is_kept);
        }
        // What is left of the round trip is the kernel's and the loopback's.
        let outside = ticks.at(0.5) - far.whole.at(0.5);
        figures.add_one("wire.tick_to_order.stage.kernel_and_loopback", outside, is_kept);
        if is_kept {
            self.ticks.push(ticks.at(0.5) / echo.at(0.5));
            let between: f64 = far.between_sockets().iter().map(|stage| stage.at(0.5)).sum();
            self.to_whole.push((between + echo.at(0.5)) / ticks.at(0.5));
        }
        Ok(())
    }

    /// A tick through the live system, an echo of its sizes, and the live system's own marks.
    fn live(
        &mut self,
        session: &Session,
        cores: [usize; 2],
        bracket: &Bracket,
    ) -> Result<(), String> {
        let (seen, floor) = bracket
            .around(|| wire_live::run(session, cores, wire_live::PLAN))
            .map_err(|error| format!("wire.live: {error}"))?;
        let is_kept = floor.is_some();
        let figures = &mut self.figures;
        figures.add("wire.live.tick_to_order", &seen.ticks, &seen.ticks, is_kept);
        figures.add("wire.live.tcp_echo", &seen.echo, &seen.echo, is_kept);
        for (mark, ns) in seen.marks {
            figures.add_one(&format!("wire.live.tick_to_order.until.{mark}"), ns, is_kept);
        }
        self.live.extend(floor.map(|_| seen.ticks.at(0.5) / seen.echo.at(0.5)));
        self.refused[0] += seen.refused;
        self.refused[1] += seen.trips;
        Ok(())
    }

    fn into_document(self, document: &mut Document) {
        self.figures.into_document(document);
        document.add_ratio(Ratio::new("wire.fix_reply / tcp_echo", self.replies, None));
        let bound = Some(BOUND_TO_ECHO);
        document.add_ratio(Ratio::new("wire.tick_to_order / tcp_echo", self.ticks, bound));
        let name = "wire.tick_to_order stages and an echo / round trip";
        document.add_ratio(Ratio::whole(name, self.to_whole, PARTS_OFF));
        self.spent.into_document("wire.tick_to_order", document);
        document.add_ratio(Ratio::new("wire.live.tick_to_order / tcp_echo", self.live, None));
        let [refused, trips] = self.refused.map(|count| count as f64);
        let name = "wire.live.tick_to_order, refused a tick";
        document.add_ratio(Ratio::single(name, Some(refused / trips), Some(0.0)));
    }
}

/// One connection, one run of single round trips.
fn round_trips(session: &Session, cores: [usize; 2], answer: Answer) -> std::io::Result<Latencies> {
    let question = other(Orders::new().and_then(|mut o| o.by_template().map(<[u8]>::to_vec)))?;
    let near = |mut stream: TcpStream| {
        let (mut run, mut reply) = (Latencies::new(), [0; LEN_MAX]);
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
    };
    connected(cores, answer.is_blocking(), near, |stream| answer_all(stream, answer))
        .map(|(run, ())| run)
}

/// The far end, until the near end hangs up.
fn answer_all(mut stream: TcpStream, answer: Answer) -> std::io::Result<()> {
    let mut orders = other(Orders::new())?;
    let mut decoder = Decoder::new(64);
    let len = other(orders.by_template().map(<[u8]>::len))?;
    let mut question = [0; LEN_MAX];
    loop {
        let read = read_full(&mut stream, &mut question[..len]);
        if is_hang_up(&read) {
            return Ok(());
        }
        read?;
        if answer == Answer::Order {
            other(read_order(&mut decoder, &question[..len]))?;
            write_all(&mut stream, other(orders.by_template())?)?;
        } else {
            write_all(&mut stream, &question[..len])?;
        }
    }
}
