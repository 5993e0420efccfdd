//! `ballast-bench ack`: an order out and its report back, over loopback TCP between two pinned threads.
//!
//! Near: the order from its prepared template, a write, reads until the report is whole, and the report
//! framed, decoded and read. Far: the order framed, decoded and read, and the report sent. `tcp_echo`
//! beside it carries the same number of bytes each way and looks at none. These have one order on its way
//! at a time; `.steady` and `.bursts` come by a schedule, and their service is the far end's, in whose
//! socket an order waits. The maker and the session's store are not in it.

use crate::bracket::Bracket;
use crate::codec::messages::{
    FIELDS_MAX, LEN_MAX, Orders, execution_report, read_execution_report, read_order,
};
use crate::document::Document;
use crate::figures::Figures;
use crate::hiccup::Hiccups;
use crate::histogram::{Latencies, RUNS_MIN};
use crate::loopback::{Paced, connected, is_hang_up, other, read_full, read_stamped, write_all};
use crate::open_loop::{Outcome, Place, Run};
use crate::ratio::Ratio;
use crate::session::Session;
use ballast_engine::clock::Counter;
use ballast_gateway::fix::decode::Decoder;
use std::io::Result;
use std::net::TcpStream;
use std::time::Duration;

/// Round trips in a run, after a tenth as many to warm up.
const TRIPS: usize = 2_000;
/// Arrivals a second where the command says nothing else.
const RATE: u64 = 10_000;

/// Runs the acknowledgement benchmark into `document`.
pub fn measure(session: &Session, document: &mut Document) -> std::result::Result<(), String> {
    let cores = session.two_cores()?;
    let (mut figures, mut hiccups, mut ratios) = (Figures::default(), Hiccups::new(), Vec::new());
    let (share, mut rounds, bracket) = (session.share(0.8), 0, Bracket::new(session, cores));
    while share.is_left() || rounds < RUNS_MIN {
        rounds += 1;
        hiccups.watch(session.counter, &cores, Duration::from_millis(5));
        let ((echo, fix), floor) = bracket
            .around(|| Ok((run(session, cores, false)?, run(session, cores, true)?)))
            .map_err(|error: std::io::Error| format!("ack.order_to_report: {error}"))?;
        ratios.extend(floor.map(|_| fix.at(0.5) / echo.at(0.5)));
        figures.add("ack.tcp_echo", &echo, &echo, floor.is_some());
        figures.add("ack.order_to_report", &fix, &fix, floor.is_some());
    }
    figures.into_document(document);
    document.add_ratio(Ratio::new("ack.order_to_report / tcp_echo", ratios, None));
    document.add_hiccups(&hiccups);
    let place = Place { session, bracket: &bracket, cores: &cores };
    place.measure("ack.order_to_report", RATE, document, |by| {
        paced(session, cores, by).map_err(|error| error.to_string())
    })
}

/// Orders that go out when they are due.
fn paced(session: &Session, cores: [usize; 2], run: Run<'_>) -> Result<Outcome> {
    let report = other(execution_report().map_err(|error| error.to_string()))?;
    let mut orders = other(Orders::new())?;
    let order_len = other(orders.by_template().map(<[u8]>::len))?;
    let (mut decoder, counter) = (Decoder::new(FIELDS_MAX), session.counter);
    let near = |stream| {
        let next = |room: &mut [u8]| {
            let order = other(orders.by_template())?;
            room[..order.len()].copy_from_slice(order);
            Ok(order.len())
        };
        let whole = |replies: &[u8]| {
            let reports = replies.chunks_exact(report.len());
            let read = |reply| read_execution_report(&mut decoder, reply).is_ok();
            let count = reports.map(read).take_while(|is_read| *is_read).count();
            (count * report.len(), count)
        };
        Paced { counter, run }.run(stream, next, whole)
    };
    let far = |mut stream: TcpStream| {
        let (mut service, mut left_out) = (Latencies::new(), run.lead_in());
        answer(counter, &mut stream, (order_len, &report), true, |ns| match left_out {
            0 => service.record_ns(ns),
            _ => left_out -= 1,
        })?;
        Ok(service)
    };
    let (outcome, service) = connected(cores, false, near, far)?;
    Ok(outcome.served_in(service))
}

/// One connection, one run of round trips; with `is_read`, both ends read what they get.
fn run(session: &Session, cores: [usize; 2], is_read: bool) -> Result<Latencies> {
    let report = other(execution_report().map_err(|error| error.to_string()))?;
    let order_len = other(Orders::new().and_then(|mut o| o.by_template().map(<[u8]>::len)))?;
    let near = |stream| ask(session, stream, report.len(), is_read);
    let far = |mut stream: TcpStream| {
        answer(session.counter, &mut stream, (order_len, &report), is_read, |_| ())
    };
    connected(cores, false, near, far).map(|(run, ())| run)
}

fn ask(
    session: &Session,
    mut stream: TcpStream,
    report_len: usize,
    is_read: bool,
) -> Result<Latencies> {
    let mut orders = other(Orders::new())?;
    let mut decoder = Decoder::new(FIELDS_MAX);
    let echoed = other(orders.by_template())?.to_vec();
    let (mut run, mut reply) = (Latencies::new(), [0; LEN_MAX]);
    for number in 0..TRIPS + TRIPS / 10 {
        let from = session.counter.stamp();
        let order = if is_read { other(orders.by_template())? } else { &echoed };
        write_all(&mut stream, order)?;
        read_full(&mut stream, &mut reply[..report_len])?;
        if is_read {
            other(read_execution_report(&mut decoder, &reply[..report_len]))?;
        }
        let to = session.counter.stamp();
        if number >= TRIPS / 10 {
            run.record_ns(session.counter.nanos_between(from, to));
        }
    }
    Ok(run)
}

/// The far end, until it is hung up on. `served` is told how long each order took from the read that brought
/// it to the end of its report's write.
fn answer(
    counter: Counter,
    stream: &mut TcpStream,
    (order_len, report): (usize, &[u8]),
    is_read: bool,
    mut served: impl FnMut(u64),
) -> Result<()> {
    let mut decoder = Decoder::new(FIELDS_MAX);
    let mut order = [0; LEN_MAX];
    loop {
        let read = read_stamped(counter, stream, &mut order[..order_len]);
        if is_hang_up(&read) {
            return Ok(());
        }
        let (count, from) = read?;
        read_full(stream, &mut order[count..order_len])?;
        if is_read {
            other(read_order(&mut decoder, &order[..order_len]))?;
        }
        write_all(stream, report)?;
        served(counter.nanos_between(from, counter.stamp()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_of_a_run_gets_its_report_over_the_socket() {
        let session = Session::in_tests();
        // Both ends on whatever core they get: two need not be there.
        let report = execution_report().unwrap();
        let len = Orders::new().unwrap().by_template().unwrap().len();
        let near = |stream| ask(&session, stream, report.len(), true);
        let mut served = 0;
        let far = |mut stream: TcpStream| {
            answer(session.counter, &mut stream, (len, &report), true, |_| served += 1)
        };
        let run = connected([0, 0], true, near, far);
        assert_eq!(run.unwrap().0.count(), TRIPS as u64);
        assert_eq!(served, TRIPS + TRIPS / 10, "and each was served");
    }
}
