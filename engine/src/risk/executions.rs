//! The repeated-execution throttle: an instrument that trades too often in a window is switched off
//! until a person switches it on again (RTS 6 Article 15).
//!
//! Fed by the maker with every fill, of quotes and hedges alike; feeds the instrument's state, which
//! halts. Maker thread. What it has switched off stays off whatever else halts the instrument since, and
//! over a restart: see
//! [`CarriedRisk`](crate::risk::carried::CarriedRisk).

use crate::risk::window::{Recent, WindowLimit};
use crate::units::Nanos;

/// One instrument's executions.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Executions {
    limit: WindowLimit,
    recent: Recent,
    is_off: bool,
}

impl Executions {
    /// At most `limit.max` fills in any window; `is_off` where an earlier run switched it off.
    pub fn new(limit: WindowLimit, is_off: bool) -> Executions {
        Executions { limit, recent: Recent::new(limit.max), is_off }
    }

    /// A fill: is it one too many?
    pub fn on_fill(&mut self, now: Nanos) -> bool {
        let WindowLimit { max, window_ns } = self.limit;
        let is_too_many = max == 0 || self.recent.is_within(max, now, window_ns);
        self.recent.push(now);
        self.is_off |= is_too_many;
        is_too_many
    }

    /// Has it switched the instrument off, and no person on again?
    pub fn is_off(&self) -> bool {
        self.is_off
    }

    /// A person has looked: what was, counts no more.
    pub fn reset(&mut self) {
        self.recent.clear();
        self.is_off = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_passes_and_one_more_in_the_window_is_too_many() {
        let mut executions = Executions::new(WindowLimit { max: 3, window_ns: 100 }, false);
        for at in [0, 10, 20] {
            assert!(!executions.on_fill(Nanos(at)));
        }
        let mut later = executions.clone();
        assert!(!executions.is_off());
        assert!(executions.on_fill(Nanos(99)) && executions.is_off());
        assert!(!later.on_fill(Nanos(100)), "the first has left the window");
        assert!(
            !executions.on_fill(Nanos(1_000)) && executions.is_off(),
            "time alone does not help"
        );
        executions.reset();
        assert!(!executions.is_off());
        assert!(!executions.on_fill(Nanos(1_000)));
    }

    #[test]
    fn a_limit_of_nothing_takes_no_fill() {
        let mut executions = Executions::new(WindowLimit { max: 0, window_ns: u64::MAX }, false);
        assert!(executions.on_fill(Nanos(u64::MAX)));
    }
}
