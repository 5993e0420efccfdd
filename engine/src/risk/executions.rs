//! The repeated-execution throttle: an instrument that trades too often in a window is switched off
//! until a person switches it on again (RTS 6 Article 15).
//!
//! Fed by the maker with every fill, of quotes and hedges alike; feeds the instrument's state, which
//! halts. Maker thread. What it has switched off stays off over a restart: see
//! [`CarriedRisk`](crate::risk::carried::CarriedRisk).

use crate::risk::window::{Recent, WindowLimit};
use crate::units::Nanos;

/// One instrument's executions.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Executions {
    limit: WindowLimit,
    recent: Recent,
}

impl Executions {
    /// At most `limit.max` fills in any window.
    pub fn new(limit: WindowLimit) -> Executions {
        Executions { limit, recent: Recent::new(limit.max) }
    }

    /// A fill: is it one too many?
    pub fn on_fill(&mut self, now: Nanos) -> bool {
        let WindowLimit { max, window_ns } = self.limit;
        let is_too_many = max == 0 || self.recent.is_within(max, now, window_ns);
        self.recent.push(now);
        is_too_many
    }

    /// A person has looked: what was, counts no more.
    pub fn reset(&mut self) {
        self.recent.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_passes_and_one_more_in_the_window_is_too_many() {
        let mut executions = Executions::new(WindowLimit { max: 3, window_ns: 100 });
        for at in [0, 10, 20] {
            assert!(!executions.on_fill(Nanos(at)));
        }
        let mut later = executions.clone();
        assert!(executions.on_fill(Nanos(99)));
        assert!(!later.on_fill(Nanos(100)), "the first has left the window");
        executions.reset();
        assert!(!executions.on_fill(Nanos(100)));
    }

    #[test]
    fn a_limit_of_nothing_takes_no_fill() {
        let mut executions = Executions::new(WindowLimit { max: 0, window_ns: u64::MAX });
        assert!(executions.on_fill(Nanos(u64::MAX)));
    }
}
