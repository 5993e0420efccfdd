//! When a horizon that ends does so, and when the next begins: the time left of the models that count
//! down to an end.
//!
//! Fed by the maker's clock; feeds the quoter with the time left, and an instrument's state where there
//! is none. Maker thread: two comparisons a quote. Outside of every session nothing is quoted: with no time
//! left these models have no skew, and would hold an inventory as if it were none. Deliberately absent:
//! calendars and zones. The sessions come as UTC instants, worked out where there is a calendar, so that
//! a replay in another year sees the same day.

use crate::fixed::Scaled;
use crate::units::Nanos;
use std::sync::Arc;

/// One horizon, from its beginning to its end, which is no part of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Session {
    /// From when on it is quoted.
    pub begin: Nanos,
    /// When no time is left.
    pub end: Nanos,
}

/// One instrument's horizons, over all the years that the config covers.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Horizons {
    /// Ascending, none begun before the one before has ended.
    sessions: Arc<[Session]>,
    /// Place of the first that had not ended when the clock was last looked at.
    next: usize,
}

impl Horizons {
    /// `sessions` ascend and do not overlap.
    pub fn new(sessions: Arc<[Session]>) -> Horizons {
        debug_assert!(sessions.iter().all(|s| s.begin < s.end), "config leaves empty ones out");
        debug_assert!(sessions.is_sorted_by(|a, b| a.end <= b.begin), "config sorts them");
        Horizons { sessions, next: 0 }
    }

    /// Takes the time, so that a quote finds its session in one step.
    pub fn on_clock(&mut self, now: Nanos) {
        self.next = self.next.saturating_add(self.ended(now));
    }

    /// How many have ended since the clock was last looked at: mostly none.
    fn ended(&self, now: Nanos) -> usize {
        let rest = self.sessions.get(self.next..).unwrap_or_default();
        let is_same = rest.first().is_none_or(|session| now < session.end);
        if is_same { 0 } else { rest.partition_point(|session| session.end <= now) }
    }

    /// Seconds left of the session that `now` is in; `None` between two, before the first and after the
    /// last.
    pub fn left(&self, now: Nanos) -> Option<Scaled> {
        let place = self.next.saturating_add(self.ended(now));
        let session = self.sessions.get(place).filter(|session| session.begin <= now)?;
        Some(Scaled::from_nanos(session.end.since(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn horizons() -> Horizons {
        let session = |begin, end| Session { begin: Nanos(begin), end: Nanos(end) };
        let sessions = [
            session(10 * SECOND, 20 * SECOND),
            session(30 * SECOND, 40 * SECOND),
            session(40 * SECOND, 50 * SECOND),
        ];
        Horizons::new(sessions.into())
    }

    #[test]
    fn a_session_holds_from_its_beginning_to_the_nanosecond_before_its_end() {
        let (seen, mut kept) = (horizons(), horizons());
        let left = |now| {
            let unseen = seen.left(Nanos(now));
            kept.on_clock(Nanos(now));
            assert_eq!(kept.left(Nanos(now)), unseen, "whether or not the clock was looked at");
            unseen
        };
        let nanos = |left| Some(Scaled::from_nanos(left));
        let times =
            [0, 10 * SECOND - 1, 10 * SECOND, 20 * SECOND - 1, 20 * SECOND, 30 * SECOND - 1];
        let expected = [None, None, nanos(10 * SECOND), nanos(1), None, None];
        assert_eq!(times.map(left), expected);
    }

    #[test]
    fn the_next_session_begins_where_the_one_before_ends_and_after_the_last_there_is_none() {
        let mut horizons = horizons();
        assert_eq!(horizons.left(Nanos(40 * SECOND - 1)), Some(Scaled::from_nanos(1)));
        assert_eq!(horizons.left(Nanos(40 * SECOND)), Some(Scaled::from_nanos(10 * SECOND)));
        for now in [50 * SECOND, u64::MAX] {
            horizons.on_clock(Nanos(now));
            assert_eq!(horizons.left(Nanos(now)), None);
        }
        assert_eq!(Horizons::new([].into()).left(Nanos(0)), None, "no session, no quotes");
    }
}
