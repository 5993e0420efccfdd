//! The demo: the simulated venue and the whole pipeline in one process, joined by real TCP on
//! loopback.
//!
//! Fed by the command line; feeds people (progress, report, summary). The maker runs on the tape's
//! time and the venue never leads what the maker has acknowledged by more than the order latency
//! (`pace.rs`), so that the speed of the host changes nothing of substance.

pub mod ending;
pub mod pace;
pub mod venue_stage;

use crate::backtest::tape::Limited;
use crate::config::file::TimeKind;
use crate::config::{ConfigFault, ConfigFile};
use crate::live::{self, LiveError, LiveOptions, Remains};
use crate::operator::{Operator, OperatorError, kill_signal};
use crate::recording::{Tape, TapeError};
use crate::state_dir::{StateDir, StateError};
use crate::venue::exchange::{Exchange, VenueOptions};
use crate::venue::fix_face::{FaceOptions, FixVenue, OrderTime, Speed};
use crate::venue::fix_seat::SeatConfig;
use crate::venue::playback::Playback;
use ballast_engine::clock::Clock;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::stage::TimeBase;
use ballast_engine::pipeline::{PipelineError, Seat, Wait};
use ballast_engine::units::Lots;
use ballast_gateway::message_log::{LogConfig, MessageLog};
use ballast_gateway::transport::{TcpDoor, TcpTransport};
use ending::{Ending, VenueOver};
use pace::Lockstep;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;
use venue_stage::{VenueRemains, VenueStage};

/// What the demo is told beside the maker's config.
pub struct DemoOptions {
    /// How fast the tape runs.
    pub speed: Speed,
    /// How much of it.
    pub duration_ns: Option<u64>,
    /// How the venue behaves.
    pub venue: VenueOptions,
    /// What to show while it runs.
    pub progress: Box<dyn crate::back_office::Progress>,
    /// Folder for the maker's FIX messages, if they are to be written down.
    pub fix_log: Option<std::path::PathBuf>,
}

/// Why a demo failed.
#[derive(Debug, Error)]
pub enum DemoError {
    /// A port cannot be had.
    #[error("no port on loopback: {0}; is the loopback interface up?")]
    Port(std::io::Error),
    /// The config.
    #[error(transparent)]
    Config(#[from] ConfigFault),
    /// The state folder.
    #[error(transparent)]
    State(#[from] StateError),
    /// The operator's socket.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// The pipeline did not start.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// The pipeline did not end well.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The tape stopped before its end.
    #[error(transparent)]
    Tape(TapeError),
    /// A stage was stopped before it could say what it did.
    #[error("the {0} was stopped before its end; its journal is whole up to there")]
    Unfinished(&'static str),
}

/// A finished demo.
pub struct DemoOutcome {
    /// What ran: the config with the ports that were used.
    pub file: ConfigFile,
    /// What the pipeline left.
    pub remains: Remains,
    /// What the venue left.
    pub venue: VenueRemains,
    /// This run's journal.
    pub journal: std::path::PathBuf,
}

/// The venue's two sessions, as the maker's config names them.
fn seats(file: &ConfigFile) -> Vec<SeatConfig> {
    let mut seats = Vec::new();
    for venue in &file.raw.venues {
        for (session, has_orders) in [(&venue.market_data, false), (&venue.order_entry, true)] {
            seats.push(SeatConfig {
                sender_comp_id: session.target_comp_id.clone(),
                target_comp_id: session.sender_comp_id.clone(),
                participant: session.sender_comp_id.clone(),
                has_orders,
                has_market_data: !has_orders,
                cancel_on_disconnect: has_orders,
                credentials: None,
                schedule: None,
            });
        }
    }
    seats
}

fn doors() -> Result<([TcpDoor; 2], [SocketAddr; 2]), DemoError> {
    let open = || TcpDoor::open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let doors = [open().map_err(DemoError::Port)?, open().map_err(DemoError::Port)?];
    let [first, second] = &doors;
    let addresses =
        [first.address().map_err(DemoError::Port)?, second.address().map_err(DemoError::Port)?];
    Ok((doors, addresses))
}

/// Runs the pipeline of `file` against a venue that plays `tape`. Blocks until the tape is over and
/// every order is gone, or a signal ends it.
pub fn run(
    file: &ConfigFile,
    state: &StateDir,
    tape: impl Tape + Send + 'static,
    options: DemoOptions,
) -> Result<DemoOutcome, DemoError> {
    let (doors, addresses) = doors()?;
    let file = file.at(addresses, TimeKind::Venue)?;
    let config = file.maker(state.epoch())?;
    let clock = Clock::start();
    let fix_log = options.fix_log.map(|folder| MessageLog::new(LogConfig::new(folder), clock));
    let over = VenueOver::default();
    let ending = Ending::new(over.clone());
    let live_options = LiveOptions {
        time: TimeBase::Events,
        answer_delay_ns: options.venue.order_latency_ns,
        opens_from_config: false,
        end: Box::new(ending.clone()),
        progress: options.progress,
        fix_log: fix_log.transpose().map_err(LiveError::from)?,
    };
    let mut pipeline = live::pipeline(&file, &config, state, clock.counter(), live_options)?;
    let pace =
        Lockstep::new(pipeline.progress.clone(), options.venue.order_latency_ns, over.clone());
    let tape: Box<dyn Tape + Send> = Box::new(tape);
    let tape = Limited::new(tape, options.duration_ns);
    let venue = venue(&file, &config, tape, options.speed, options.venue, pace);
    let venue_remains = Arc::new(Mutex::new(None));
    let stage = VenueStage::new(venue, doors, over, ending, venue_remains.clone());
    pipeline.seats.push(Seat::new(stage, None, Wait::Yield { spins: 256 }));
    let hand = Operator::start(&file, &config, state, &pipeline.desk, kill_signal()?)?;
    live::run(pipeline.seats, clock, &pipeline.desk)?;
    drop(hand);
    let remains =
        std::mem::take(&mut *pipeline.remains.lock().unwrap_or_else(PoisonError::into_inner));
    let venue = venue_remains.lock().unwrap_or_else(PoisonError::into_inner).take();
    let venue: VenueRemains = venue.ok_or(DemoError::Unfinished("venue"))?;
    match venue.failure {
        Some(failure) => Err(DemoError::Tape(failure)),
        None => Ok(DemoOutcome { file, remains, venue, journal: state.journal() }),
    }
}

type DemoTape = Limited<Box<dyn Tape + Send>>;
type DemoVenue = FixVenue<DemoTape, TcpTransport, Lockstep>;

fn venue(
    file: &ConfigFile,
    config: &MakerConfig,
    tape: DemoTape,
    speed: Speed,
    options: VenueOptions,
    pace: Lockstep,
) -> DemoVenue {
    let exchange = Exchange::new(&config.instruments, options).with_fee_tiers_of(config);
    let seats = seats(file);
    let face = FaceOptions {
        speed,
        order_time: OrderTime::TransactTime,
        logons_min: seats.len(),
        subscriptions_min: config.instruments.len(),
    };
    FixVenue::new(Playback::new(tape, exchange), &seats, face, pace)
}

/// Whether the maker's position is the venue's, by instrument, beyond what it opened with.
pub fn positions_agree(config: &MakerConfig, outcome: &DemoOutcome) -> bool {
    let Some(maker) = &outcome.remains.maker else { return false };
    config.instruments.iter().zip(&config.settings).zip(&outcome.venue.positions).all(
        |((instrument, settings), at_venue)| {
            let position = maker.ledger().position(instrument.id()).unwrap_or(Lots(0));
            position.0 - settings.opening.0 == at_venue.0
        },
    )
}
