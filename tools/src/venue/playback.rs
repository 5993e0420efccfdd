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
        match self.next_market(limit, reports)? {
            Some(event) => Ok(Step::Market(event)),
            None => self.next_arrival(limit, reports),
        }
    }

    /// The tape moves, if that is the next thing and due at `limit` or before: the event as participants
    /// will see it. Most of what happens is this.
    #[inline]
    pub fn next_market(
        &mut self,
        limit: Nanos,
        reports: &mut Vec<Report>,
    ) -> Result<Option<MarketEvent>, TapeError> {
        let limit = self.exchange.next_arrival().map_or(limit, |arrival| arrival.min(limit));
        let Some(mut event) = self.tape.next_by(limit)? else { return Ok(None) };
        let (at, gone, received) = (event.at, self.tape.order_gone(), self.tape.received_at());
        if let Some(mischief) = &mut self.mischief {
            mischief.before(at, &mut self.exchange, reports);
            let fresh = reports.len();
            event.at = self.exchange.on_recorded(&event, gone, received, reports);
            mischief.after(at, reports, fresh);
        } else {
            event.at = self.exchange.on_recorded(&event, gone, received, reports);
        }
        Ok(Some(event))
    }

    /// Where the tape does not move up to `limit`: the next request arrives, if it is due by then.
    pub fn next_arrival(
        &mut self,
        limit: Nanos,
        reports: &mut Vec<Report>,
    ) -> Result<Step, TapeError> {
        let Some(at) = self.exchange.next_arrival().filter(|at| *at <= limit) else {
            let is_over = self.exchange.next_arrival().is_none() && self.tape.peek_at()?.is_none();
            return Ok(if is_over { Step::Over } else { Step::Idle });
        };
        if let Some(mischief) = &mut self.mischief {
            mischief.before(at, &mut self.exchange, reports);
        }
        let fresh = reports.len();
        self.exchange.on_arrival(reports);
        if let Some(mischief) = &mut self.mischief {
            mischief.after(at, reports, fresh);
        }
        Ok(Step::Arrival)
    }
}
