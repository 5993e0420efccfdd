//! Which news is an alert, and how often the same one is told.
//!
//! Fed by the guard with news and time (and by the simulation, which holds it to telling each in time);
//! feeds the alerts. The same alert is not told again within [`AGAIN_NS`]. Where that keeps back how an
//! instrument stands, it is owed: told at the end of that time, unless it stands otherwise by then, so that
//! the last that was told of an instrument is what is so. Absent: clocks, and where alerts go.

use super::standing::News;
use ballast_engine::event::InstrumentId;
use ballast_engine::risk::state::{Reason, State};
use ballast_engine::units::Nanos;
use std::collections::BTreeMap;

/// The same alert is told again only after this: less than the five seconds within which each is told.
pub const AGAIN_NS: u64 = 4_000_000_000;

/// What is to be told.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Telling {
    /// `halted`, `paused` and so on.
    pub kind: &'static str,
    /// Symbol or session; empty for the whole.
    pub of: String,
    /// Why.
    pub reason: String,
}

/// What was told, and what is owed.
#[derive(Debug, Default)]
pub struct Alerting {
    told: BTreeMap<Telling, Nanos>,
    /// By instrument.
    owed: BTreeMap<InstrumentId, Telling>,
}

impl Alerting {
    /// News of the maker, and what of it is to be told now.
    pub fn take(
        &mut self,
        at: Nanos,
        news: News,
        symbol: impl Fn(InstrumentId) -> String,
    ) -> Option<Telling> {
        match news {
            News::JournalLost => {
                let reason = "the journal cannot be written: the run ends".into();
                self.due(at, Telling { kind: "journal_lost", of: String::new(), reason })
            }
            News::LeftWorking { session, what } => {
                self.due(at, Telling { kind: "left_working", of: session, reason: what })
            }
            News::Cut { session, what } => {
                self.due(at, Telling { kind: "session_cut", of: session, reason: what })
            }
            News::Obligation(instrument, uptime) => {
                let reason = format!("quotes stood {uptime} thousandths of the window");
                self.due(at, Telling { kind: "obligation_missed", of: symbol(instrument), reason })
            }
            News::State(instrument, state, reason) => {
                self.owed.remove(&instrument);
                let kind = match (state, reason) {
                    (_, Reason::Shutdown | Reason::Normal) => return None,
                    (State::Halted, _) => "halted",
                    (State::Paused, _) => "paused",
                    (State::Reducing | State::Quoting, _) => return None,
                };
                let telling =
                    Telling { kind, of: symbol(instrument), reason: reason.name().to_owned() };
                let due = self.due(at, telling.clone());
                if due.is_none() {
                    self.owed.insert(instrument, telling);
                }
                due
            }
        }
    }

    /// The same, unless it was told just now.
    pub fn due(&mut self, at: Nanos, telling: Telling) -> Option<Telling> {
        self.told.retain(|_, told| at.since(*told) < AGAIN_NS);
        if self.told.contains_key(&telling) {
            return None;
        }
        self.told.insert(telling.clone(), at);
        Some(telling)
    }

    /// What is owed and may be told by now.
    pub fn next_owed(&mut self, at: Nanos) -> Option<Telling> {
        let is_over = |telling: &Telling| {
            self.told.get(telling).is_none_or(|told| at.since(*told) >= AGAIN_NS)
        };
        let place = self.owed.iter().find(|(_, telling)| is_over(telling)).map(|(id, _)| *id)?;
        let telling = self.owed.remove(&place)?;
        self.due(at, telling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BTC: InstrumentId = InstrumentId(0);

    fn state(alerting: &mut Alerting, at: u64, state: State, reason: Reason) -> Option<String> {
        let symbol = |_| "BTC".to_owned();
        let told = alerting.take(Nanos(at), News::State(BTC, state, reason), symbol);
        told.map(|told| format!("{} {}: {}", told.kind, told.of, told.reason))
    }

    #[test]
    fn the_last_that_is_told_of_an_instrument_is_how_it_stands() {
        let mut alerting = Alerting::default();
        let halted =
            |alerting: &mut Alerting, at| state(alerting, at, State::Halted, Reason::Overfill);
        assert_eq!(halted(&mut alerting, 0).as_deref(), Some("halted BTC: overfill"));
        let paused = state(&mut alerting, 1, State::Paused, Reason::Operator);
        assert_eq!(paused.as_deref(), Some("paused BTC: operator"));
        assert_eq!(halted(&mut alerting, 2), None, "it was told just now");
        assert_eq!(alerting.next_owed(Nanos(AGAIN_NS - 1)), None);
        let owed = alerting.next_owed(Nanos(AGAIN_NS)).map(|told| told.kind);
        assert_eq!(owed, Some("halted"), "and told as soon as it may be");
        assert_eq!(alerting.next_owed(Nanos(3 * AGAIN_NS)), None, "once");
    }

    #[test]
    fn what_is_over_before_it_may_be_told_again_is_not_told() {
        let mut alerting = Alerting::default();
        assert!(state(&mut alerting, 0, State::Paused, Reason::Operator).is_some());
        assert_eq!(state(&mut alerting, 1, State::Quoting, Reason::Normal), None);
        assert_eq!(state(&mut alerting, 2, State::Paused, Reason::Operator), None);
        assert_eq!(state(&mut alerting, 3, State::Quoting, Reason::Normal), None);
        assert_eq!(alerting.next_owed(Nanos(2 * AGAIN_NS)), None);
    }
}
