//! When this engine tells what: every fill at once, and what it holds at fills, at bookings and every so often.
//!
//! Fed by the firm's thread with inputs, in their order; feeds the link. Cold thread. Deliberately absent:
//! waiting for the link.

use super::message::{Outgoing, bytes_of};
use super::shadow::Shadow;
use ballast_engine::maker::input::{Control, Input};
use ballast_engine::units::Nanos;
use tokio::sync::mpsc::Sender;

/// What goes out.
pub(super) struct Teller {
    shadow: Shadow,
    every_ns: u64,
    outgoing: Sender<Outgoing>,
    told_at: Option<Nanos>,
    /// Fills that found no room.
    lost: u64,
}

impl Teller {
    /// Of this shadow, into the link's `outgoing`, what is held every `every_ns` also where nothing changed.
    pub(super) fn new(shadow: Shadow, every_ns: u64, outgoing: Sender<Outgoing>) -> Teller {
        Teller { shadow, every_ns, outgoing, told_at: None, lost: 0 }
    }

    /// The next input that the maker consumed.
    pub(super) fn step(&mut self, number: u64, now: Nanos, input: &Input) {
        let fill = self.shadow.step(number, now, input);
        let is_booked = fill.is_some() || matches!(input, Input::Control(Control::By { .. }));
        if let Some(fill) = fill {
            self.send(Outgoing::Fill(fill));
        }
        if is_booked || self.told_at.is_none_or(|told| now.since(told) >= self.every_ns) {
            self.told_at = Some(now);
            self.send(Outgoing::Word(bytes_of(&self.shadow.word(number, now))));
        }
    }

    /// A word that finds no room is told again soon. A fill that finds none waits in the journal for the
    /// next start, and the words after it say what is held.
    fn send(&mut self, outgoing: Outgoing) {
        let is_fill = matches!(outgoing, Outgoing::Fill(_));
        if self.outgoing.try_send(outgoing).is_err() && is_fill {
            self.lost += 1;
            let lost = self.lost;
            tracing::warn!(lost, "a fill is not told to the firm: the link does not keep up");
        }
    }
}
