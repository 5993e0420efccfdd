//! Tape and arrivals in one order of time: what happens next at the venue.
//!
//! Fed by a [`Tape`] and the [`Exchange`]'s arrivals; feeds the FIX face and the backtest. One
//! thread, no clock: the caller says how far time may go.
//!
//! Where a tape event and an arrival fall on the same nanosecond, the tape comes first: an order
//! does not meet a market that is already gone.

use super::exchange::Exchange;
use super::order::Report;
use crate::recording::{Tape, TapeError};
use ballast_engine::event::MarketEvent;
use ballast_engine::units::Nanos;

/// What [`Playback::step`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The tape moved; the event as participants will see it (its `at` is after the feed latency).
    Market(MarketEvent),
    /// A request arrived.
    Arrival,
    /// Nothing more happens up to the limit.
    Idle,
    /// The tape is over and nothing is on its way.
    Over,
}

/// What goes wrong at a venue, for simulations: asked around everything that happens.
pub trait Mischief: Send {
    /// Something is about to happen at `at`; what goes wrong now is reported.
    fn before(&mut self, at: Nanos, exchange: &mut Exchange, reports: &mut Vec<Report>);

    /// What of `reports`, from place `fresh` on, is lost or comes twice.
    fn after(&mut self, at: Nanos, reports: &mut Vec<Report>, fresh: usize);
}

/// A tape playing into a venue.
pub struct Playback<T: Tape> {
    tape: T,
    exchange: Exchange,
    mischief: Option<Box<dyn Mischief>>,
}

impl<T: Tape> Playback<T> {
    /// A venue at the beginning of a tape.
    pub fn new(tape: T, exchange: Exchange) -> Playback<T> {
        Playback { tape, exchange, mischief: None }
    }

    /// The same with something that goes wrong.
    pub fn with_mischief(self, mischief: Box<dyn Mischief>) -> Playback<T> {
        Playback { mischief: Some(mischief), ..self }
    }

    /// The venue.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// The venue, to submit requests to.
    pub fn exchange_mut(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    /// The tape.
    pub fn tape(&self) -> &T {
        &self.tape
    }

    /// When the next thing happens at the venue; `None` at the end.
    pub fn next_at(&mut self) -> Result<Option<Nanos>, TapeError> {
        let (tape, arrival) = (self.tape.peek_at()?, self.exchange.next_arrival());
        Ok([tape, arrival].into_iter().flatten().min())
    }

    /// When the tape goes on; `None` at its end. A request that comes before the tape has begun is due at
    /// once, at a time long before it: that is no time of the tape's.
    pub fn tape_at(&mut self) -> Result<Option<Nanos>, TapeError> {
        self.tape.peek_at()
    }

    /// Lets the next thing happen, if it is due at `limit` or before. Reports are appended.
    pub fn step(&mut self, limit: Nanos, reports: &mut Vec<Report>) -> Result<Step, TapeError> {
        let (tape, arrival) = (self.tape.peek_at()?, self.exchange.next_arrival());
        let next = match (tape, arrival) {
            (Some(tape), Some(arrival)) => tape.min(arrival),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return Ok(Step::Over),
        };
        if next > limit {
            return Ok(Step::Idle);
        }
        if let Some(mischief) = &mut self.mischief {
            mischief.before(next, &mut self.exchange, reports);
        }
        let fresh = reports.len();
        let step = if tape == Some(next)
            && let Some(event) = self.tape.next()?
        {
            let (gone, received) = (self.tape.order_gone(), self.tape.received_at());
            Step::Market(self.exchange.on_recorded(&event, gone, received, reports))
        } else {
            self.exchange.on_arrival(reports);
            Step::Arrival
        };
        if let Some(mischief) = &mut self.mischief {
            mischief.after(next, reports, fresh);
        }
        Ok(step)
    }
}
