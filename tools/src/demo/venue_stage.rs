//! The simulated venue as a stage of the demo: opens its doors, plays, says when it is over, leaves
//! when the maker has left.

use super::DemoVenue;
use super::ending::{Ending, VenueOver};
use crate::recording::{Tape, TapeCounters, TapeError};
use crate::venue::fix_face::FaceCounters;
use crate::venue::order::Participant;
use ballast_engine::event::InstrumentId;
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::{Lots, Nanos};
use ballast_gateway::transport::TcpDoor;
use std::sync::{Arc, Mutex, PoisonError};

/// What the venue leaves behind.
pub struct VenueRemains {
    /// The maker's position by instrument, counted from the start.
    pub positions: Vec<Lots>,
    /// What was read.
    pub tape: TapeCounters,
    /// What happened.
    pub face: FaceCounters,
    /// How often the tape went on without the maker.
    pub lapses: u64,
    /// Why the tape stopped before its end.
    pub failure: Option<TapeError>,
}

/// The stage.
pub struct VenueStage {
    venue: DemoVenue,
    doors: [TcpDoor; 2],
    over: VenueOver,
    ending: Ending,
    had_clients: bool,
    is_leaving: bool,
    remains: Arc<Mutex<Option<VenueRemains>>>,
}

impl VenueStage {
    /// A venue behind its doors.
    pub fn new(
        venue: DemoVenue,
        doors: [TcpDoor; 2],
        over: VenueOver,
        ending: Ending,
        remains: Arc<Mutex<Option<VenueRemains>>>,
    ) -> VenueStage {
        let (had_clients, is_leaving) = (false, false);
        VenueStage { venue, doors, over, ending, had_clients, is_leaving, remains }
    }

    fn leave_behind(&mut self) {
        let exchange = self.venue.playback().exchange();
        let instruments = u16::try_from(exchange.instruments().len()).unwrap_or(u16::MAX);
        let position = |n| exchange.position(Participant(0), InstrumentId(n));
        let remains = VenueRemains {
            positions: (0..instruments).map(position).collect(),
            tape: self.venue.playback().tape().counters(),
            face: self.venue.counters(),
            lapses: self.over.lapses(),
            failure: self.venue.take_failure(),
        };
        *self.remains.lock().unwrap_or_else(PoisonError::into_inner) = Some(remains);
    }
}

impl Stage for VenueStage {
    fn name(&self) -> &'static str {
        "venue"
    }

    fn turn(&mut self, now: Nanos) -> Turn {
        for door in &self.doors {
            if let Some(transport) = door.accept() {
                self.venue.accept(now, transport);
            }
        }
        let turn = self.venue.turn(now);
        if self.venue.failure().is_some() || self.venue.is_over() && self.venue.is_quiet() {
            self.over.set();
        }
        let is_connected = self.venue.seats().iter().any(|seat| seat.is_connected());
        self.had_clients |= is_connected;
        if self.ending.has_ended() && self.had_clients && !is_connected && !self.is_leaving {
            self.is_leaving = true;
            self.venue.leave(now);
        }
        if turn == Turn::Done {
            self.leave_behind();
        }
        turn
    }
}
