//! What is refreshed live ([`Refresh`]), each on a thread of its own.
//!
//! Fed by the journal's stage with the market events that the maker consumed, in that order; feeds the
//! maker's control ring through the desk, where all of it is journaled like every input. Cold: a fit
//! takes milliseconds, and nobody waits for it. What the maker consumed while a fit ran is taken in before
//! the next. Deliberately absent: any decision; what comes late is too old for the maker.

use crate::operator::desk::Desk;
use crate::refresh::Refresh;
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
