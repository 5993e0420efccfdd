//! Profiles by time of day: quoted wider, only reduced, not quoted, or traded home into a close.
//!
//! Fed by the maker's timer; feeds an instrument's state and spread. Maker thread: one comparison a
//! timer. Deliberately absent: calendars and zones. The changes come as UTC instants, worked out where
//! there is a calendar, so that a replay in another year sees the same day.

use crate::units::Nanos;
use std::sync::Arc;

/// What holds for a while.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub enum Phase {
    /// Quoted as the model says.
    #[default]
    Normal,
    /// Half-spreads are so many thousandths of the model's.
    Wide {
        /// 1000 is the model's.
        permille: u32,
    },
    /// Only the side that takes the position off.
    Reduce,
    /// Nothing quoted.
    Pause,
    /// Nothing quoted, and the position traded home at once.
    Flat,
}

/// One instrument's day, over all the years that the config covers.
#[derive(Clone, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Hours {
    /// From when what holds, ascending.
    changes: Arc<[(Nanos, Phase)]>,
    /// Place of the next change.
    next: usize,
    phase: Phase,
}

impl Hours {
    /// Normal before the first of `changes`, which ascend.
    pub fn new(changes: Arc<[(Nanos, Phase)]>) -> Hours {
        debug_assert!(changes.is_sorted_by_key(|change| change.0), "config sorts them");
        Hours { changes, next: 0, phase: Phase::Normal }
    }

    /// Takes the time; several changes that passed unseen are one.
    pub fn on_clock(&mut self, now: Nanos) {
        let is_due = self.changes.get(self.next).is_some_and(|change| change.0 <= now);
        if is_due {
            let rest = self.changes.get(self.next..).unwrap_or_default();
            self.next = self.next.saturating_add(rest.partition_point(|change| change.0 <= now));
            let last = self.next.checked_sub(1).and_then(|last| self.changes.get(last));
            self.phase = last.map_or(Phase::Normal, |change| change.1);
        }
    }

    /// What holds now.
    pub fn phase(&self) -> Phase {
        self.phase
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_begins_at_its_instant_and_not_a_nanosecond_before() {
        let changes =
            [(Nanos(100), Phase::Reduce), (Nanos(200), Phase::Flat), (Nanos(300), Phase::Normal)];
        let mut hours = Hours::new(changes.into());
        let mut at = |now| {
            hours.on_clock(Nanos(now));
            hours.phase()
        };
        assert_eq!(at(99), Phase::Normal);
        assert_eq!(at(100), Phase::Reduce);
        assert_eq!(at(199), Phase::Reduce);
        assert_eq!(at(200), Phase::Flat);
        assert_eq!(at(u64::MAX), Phase::Normal);
    }

    #[test]
    fn changes_that_passed_unseen_leave_the_last_one() {
        let changes = [(Nanos(1), Phase::Flat), (Nanos(2), Phase::Wide { permille: 1500 })];
        let mut hours = Hours::new(changes.into());
        hours.on_clock(Nanos(50));
        assert_eq!(hours.phase(), Phase::Wide { permille: 1500 });
        hours.on_clock(Nanos(60));
        assert_eq!(hours.phase(), Phase::Wide { permille: 1500 });
    }
}
