//! `ballast venue`: a simulated FIX 4.4 venue with market data and matching, until its tape is over.
//!
//! Fed by the command line, a config file and TCP connections; one thread that reads the wall clock
//! and sleeps when there is nothing to do. Deliberately absent: pacing by a maker in the same
//! process, which is the demo's.

use super::Failure;
use crate::backtest::tape::AnyTape;
use crate::backtest::window::Window;
use crate::config::faults::Faults;
use crate::recording::Tape;
use crate::standard_error::say;
use crate::venue::config::{TapeConfig, VenueConfig, speed};
use crate::venue::exchange::Exchange;
use crate::venue::fix_face::{FixVenue, Unpaced};
use crate::venue::playback::Playback;
use crate::venue::synthetic::{Synthetic, SyntheticOptions};
use ballast_engine::instrument::Instrument;
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::Nanos;
use ballast_gateway::transport::{
    Ready, Socket, TcpDoor, TcpTransport, TlsServer, Trouble, wait_for,
};
use clap::Args;
use std::os::fd::AsFd;
use std::path::PathBuf;

/// Longest sleep with nothing to do: the tape's next event is at most this late.
const SLEEP_MAX_NS: u64 = 500_000;

/// Options of `ballast venue`.
#[derive(Args)]
pub struct Arguments {
    /// The venue's config file; config/venue.toml is an example.
    #[arg(long)]
    config: PathBuf,
    /// Instead of the file's: how many times the tape's own speed, or max.
    #[arg(long)]
    speed: Option<String>,
}

type Venue = FixVenue<Box<dyn Tape + Send>, Socket, Unpaced>;

/// Where clients knock, and how they are let in.
struct Entrance {
    doors: Vec<TcpDoor>,
    tls: Option<TlsServer>,
    trouble: Trouble,
}

impl Entrance {
    fn let_in(&self, tcp: TcpTransport) -> Option<Socket> {
        match &self.tls {
            None => Some(Socket::Plain(tcp)),
            Some(tls) => tls.begin(tcp, self.trouble.clone()).map(Box::new).map(Socket::Tls),
        }
    }
}

/// Runs the venue.
///
/// # Errors
/// A config that cannot be used, an address in use, or a tape that cannot be read.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = arguments.config.display();
    let text = std::fs::read_to_string(&arguments.config)
        .map_err(|error| Failure::Usage(format!("{path}: {error}")))?;
    let mut config =
        VenueConfig::parse(&text).map_err(|faults| Failure::Usage(format!("{path}: {faults}")))?;
    if let Some(text) = &arguments.speed {
        let mut faults = Faults::default();
        let asked = speed(text, &mut faults);
        config.face.speed =
            faults.or(asked).map_err(|faults| Failure::Usage(format!("--{faults}")))?;
    }
    let mut doors = Vec::with_capacity(config.listen.len());
    for address in &config.listen {
        let door = TcpDoor::open(*address)
            .map_err(|error| Failure::Failed(format!("{path}: listen = {address}: {error}")))?;
        doors.push(door);
    }
    let tls = config.tls.as_ref().map(|tls| {
        TlsServer::new(&tls.cert, &tls.key, tls.client_ca.as_deref())
            .map_err(|error| Failure::Usage(format!("{path}: {error}")))
    });
    let tls = tls.transpose()?;
    let tape = open_tape(&config)?;
    for address in &config.listen {
        say(format_args!("ballast venue: listening on {address}"));
    }
    let exchange = Exchange::new(&config.table.instruments, config.venue);
    let playback = Playback::new(tape, exchange);
    let mut venue = FixVenue::new(playback, &config.seats, config.face, Unpaced);
    for (firm, instrument, lots) in &config.openings {
        venue.open_with(firm, *instrument, *lots);
    }
    serve(&mut venue, &Entrance { doors, tls, trouble: Trouble::default() })
}

fn open_tape(config: &VenueConfig) -> Result<Box<dyn Tape + Send>, Failure> {
    let instruments = &config.table.instruments;
    match &config.tape {
        TapeConfig::Recording { folder, clock_offset_ns, from } => {
            let venue = |instrument: &Instrument| {
                let venue = usize::from(instrument.spec().venue.0);
                config.table.venues.name(venue).map(str::to_owned)
            };
            let (tape, note) =
                AnyTape::of_venues(folder, instruments, &venue, Some(*clock_offset_ns))
                    .map_err(|error| Failure::Failed(error.to_string()))?;
            say(format_args!("ballast venue: {note}"));
            if from.is_none() {
                return Ok(Box::new(tape));
            }
            let window = Window::open(tape, *from, None);
            Ok(Box::new(window.map_err(|error| Failure::Usage(format!("tape.from: {error}")))?))
        }
        TapeConfig::Synthetic { seed, duration_ns } => {
            let options = SyntheticOptions::new(*seed, *duration_ns);
            Ok(Box::new(Synthetic::new(instruments, options)))
        }
    }
}

fn serve(venue: &mut Venue, entrance: &Entrance) -> Result<(), Failure> {
    let mut is_leaving = false;
    loop {
        for tcp in entrance.doors.iter().filter_map(TcpDoor::accept) {
            if let Some(socket) = entrance.let_in(tcp) {
                venue.accept(now(), socket);
            }
        }
        if let Some(trouble) = entrance.trouble.take_new() {
            say(format_args!("ballast venue: a client was turned away: {trouble}"));
        }
        match venue.turn(now()) {
            Turn::Busy => {}
            Turn::Idle => rest(venue, &entrance.doors),
            Turn::Done => break,
        }
        if !is_leaving && (venue.is_over() || venue.failure().is_some()) {
            is_leaving = true;
            venue.leave(now());
        }
    }
    let counters = venue.counters();
    say(format_args!(
        "ballast venue: the tape is over; {} requests, {} fills, {} refused",
        counters.requests, counters.fills, counters.refusals
    ));
    match venue.failure() {
        Some(error) => Err(Failure::Failed(error.to_string())),
        None => Ok(()),
    }
}

fn rest(venue: &Venue, doors: &[TcpDoor]) {
    let listening = doors.iter().map(|door| Ready { socket: door.as_fd(), is_writing: false });
    let talking = venue
        .seats()
        .iter()
        .filter_map(|seat| seat.transport())
        .map(|socket| Ready { socket: socket.as_fd(), is_writing: socket.is_writing() });
    let sockets: Vec<Ready<'_>> = listening.chain(talking).collect();
    wait_for(&sockets, SLEEP_MAX_NS);
}

#[allow(clippy::disallowed_methods)]
fn now() -> Nanos {
    // The edge: the one clock of this command.
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Nanos(since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)))
}
