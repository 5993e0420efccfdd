//! What is refreshed live, each on a thread of its own: Greeks, the covariance of a portfolio, hedge ratios.
//!
//! Fed by the journal's stage with the market events that the maker consumed, in that order; feeds the
//! maker's control ring through the desk, where all of it is journaled like every input. Cold: a fit
//! takes milliseconds, and nobody waits for it. What the maker consumed while a fit ran is taken in before
//! the next. Deliberately absent: any decision; what comes late is too old for the maker.

use crate::covariance::CovarianceRefresh;
use crate::greek_refresh::GreekRefresh;
use crate::hedge_ratios::HedgeRatios;
use crate::operator::desk::Desk;
use ballast_engine::event::{InstrumentId, MarketEvent};
use ballast_engine::journal::record::Record;
use ballast_engine::journal::recorder::Watch;
use ballast_engine::maker::input::Control;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// How often, and how many times, a full control ring is looked at again: a second in all.
const LOOK: Duration = Duration::from_micros(200);
const LOOKS: u32 = 5_000;

/// What is made anew from market events, off the hot path.
pub trait Refresh: Send + 'static {
    /// Whose events it wants.
    fn instruments(&self) -> Vec<InstrumentId>;
    /// A market event that the maker consumed.
    fn take(&mut self, event: &MarketEvent);
    /// What is due by now.
    fn refresh_due(&mut self, out: &mut Vec<Control>);
    /// Something was made: what operators are shown of it.
    fn tell(&self, _desk: &Desk) {}
}

impl Refresh for GreekRefresh {
    fn instruments(&self) -> Vec<InstrumentId> {
        GreekRefresh::instruments(self)
    }

    fn take(&mut self, event: &MarketEvent) {
        GreekRefresh::take(self, event);
    }

    fn refresh_due(&mut self, out: &mut Vec<Control>) {
        GreekRefresh::refresh_due(self, out);
    }
}

impl Refresh for CovarianceRefresh {
    fn instruments(&self) -> Vec<InstrumentId> {
        CovarianceRefresh::instruments(self)
    }

    fn take(&mut self, event: &MarketEvent) {
        CovarianceRefresh::take(self, event);
    }

    fn refresh_due(&mut self, out: &mut Vec<Control>) {
        CovarianceRefresh::refresh_due(self, out);
    }
}

impl Refresh for HedgeRatios {
    fn instruments(&self) -> Vec<InstrumentId> {
        HedgeRatios::instruments(self)
    }

    fn take(&mut self, event: &MarketEvent) {
        HedgeRatios::take(self, event);
    }

    fn refresh_due(&mut self, out: &mut Vec<Control>) {
        HedgeRatios::refresh_due(self, out);
    }

    fn tell(&self, desk: &Desk) {
        desk.standing().hedge_ratios = Some(self.document());
    }
}

/// Starts the thread: what the journal's stage must call with every record. The thread ends when that
/// is dropped.
pub fn tap_of(refresh: impl Refresh, desk: &Arc<Desk>) -> Watch {
    let watched = refresh.instruments();
    let (sender, events) = channel();
    let desk = desk.clone();
    std::thread::spawn(move || run(refresh, &events, &desk));
    tap(watched, sender)
}

/// Passes the market events of these instruments on.
fn tap(watched: Vec<InstrumentId>, sender: Sender<MarketEvent>) -> Watch {
    Box::new(move |record| {
        if let Record::Market { event, .. } = record
            && watched.contains(&event.instrument)
        {
            // Nobody listens any more at the end of a run.
            let _ = sender.send(*event);
        }
    })
}

fn run(mut refresh: impl Refresh, events: &Receiver<MarketEvent>, desk: &Desk) {
    let mut made = Vec::new();
    while let Ok(event) = events.recv() {
        refresh.take(&event);
        for event in events.try_iter() {
            refresh.take(&event);
        }
        // Once for all that had come by now: a fit to an old book helps nobody.
        refresh.refresh_due(&mut made);
        if !made.is_empty() {
            refresh.tell(desk);
        }
        for control in made.drain(..) {
            if !hand_over(desk, control) {
                tracing::warn!("the maker took nothing refreshed for a second");
                break;
            }
        }
    }
}

/// Into the control ring, waited for where it is full. Says whether the maker has it.
pub fn hand_over(desk: &Desk, control: Control) -> bool {
    for _ in 0..LOOKS {
        if desk.push(control).is_some() {
            return true;
        }
        if desk.is_over() {
            return false;
        }
        std::thread::park_timeout(LOOK);
    }
    false
}
