//! Every run between two looks at the floor: the ping-pong of the two cores it runs on.
//!
//! The host moves virtual cores about, and then everything takes longer. A run around which the floor
//! moved is the host's and is dropped, with its absolute figures, and counted. `ring`'s round trips bring
//! their own floor and use `still_floor` alone.

use crate::histogram::{OverRuns, RUNS_MIN};
use crate::ring::link::Line;
use crate::ring::round_trip::Bench;
use crate::session::Session;

/// A run of the ping-pong floor.
const FLOOR_NS: u64 = 3_000_000;
/// A run counts where the floor moved by at most this part of itself around it.
const FLOOR_SHIFT_MAX: f64 = 0.1;

/// Looks at the floor of two cores.
pub struct Bracket {
    bench: Bench,
}

impl Bracket {
    /// On the cores that the session's benchmarks use.
    pub fn new(session: &Session, [near, far]: [usize; 2]) -> Bracket {
        Bracket { bench: Bench { counter: session.counter, near, far } }
    }

    /// What `run` gives, and the floor around it; `None` where it moved meanwhile.
    pub fn around<T, E>(&self, run: impl FnOnce() -> Result<T, E>) -> Result<(T, Option<f64>), E> {
        let before = self.floor();
        let found = run()?;
        Ok((found, still_floor(before, self.floor())))
    }

    /// The floor as it is now: the median of [`RUNS_MIN`] looks.
    pub fn floor_now(&self) -> Option<f64> {
        OverRuns::of((0..RUNS_MIN).map(|_| self.floor()).collect()).map(|over| over.median)
    }

    fn floor(&self) -> f64 {
        self.bench.round_trips::<Line>(FLOOR_NS).typical()
    }
}

/// The floor around a run; `None` where it moved meanwhile.
pub fn still_floor(before: f64, after: f64) -> Option<f64> {
    let around = (before + after) / 2.0;
    ((after - before).abs() <= FLOOR_SHIFT_MAX * around).then_some(around)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_that_moved_by_more_than_a_tenth_is_no_floor() {
        assert_eq!(still_floor(100.0, 110.0), Some(105.0));
        assert_eq!(still_floor(100.0, 130.0), None);
    }
}
