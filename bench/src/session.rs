//! What every benchmark shares: the counter, the cores, the time that the command may take.

use crate::open_loop::Schedule;
use ballast_engine::clock::Counter;
use ballast_engine::pin::{self, Topology};
use ballast_engine::units::Stamp;
use std::path::{Path, PathBuf};

/// One invocation of `ballast-bench`.
pub struct Session {
    /// Times everything.
    pub counter: Counter,
    /// How long the whole command should take, in ns.
    pub duration_ns: u64,
    /// Open-loop arrivals a second; `None` leaves it to each benchmark.
    pub rate: Option<u64>,
    /// Recorded inter-arrival times in ns; empty for none.
    pub arrivals_ns: Vec<u64>,
    /// Folder of recordings that the backtest plays; `None` where there is none.
    pub tape: Option<PathBuf>,
    /// The two cores to measure on; `None` chooses.
    pub cores: Option<[usize; 2]>,
}

/// A part of a session's time, from when it was made.
pub struct Share {
    counter: Counter,
    start: Stamp,
    ns: u64,
}

impl Session {
    /// `part` of the session's time, beginning now.
    pub fn share(&self, part: f64) -> Share {
        let ns = (self.duration_ns as f64 * part) as u64;
        Share { counter: self.counter, start: self.counter.stamp(), ns }
    }

    /// When events are due: steady, in bursts, and as recorded where there is a recording; `rate_default` a
    /// second where the command says nothing else.
    pub fn schedules(&self, rate_default: u64) -> Vec<(&'static str, Schedule)> {
        let interval_ns = 1_000_000_000 / self.rate.unwrap_or(rate_default).max(1);
        let mut schedules = vec![
            ("steady", Schedule::Constant { interval_ns }),
            ("bursts", Schedule::Bursts { size: 16, interval_ns: 16 * interval_ns }),
        ];
        if !self.arrivals_ns.is_empty() {
            let gaps_ns = self.arrivals_ns.clone();
            schedules.push(("recorded", Schedule::Recorded { gaps_ns }));
        }
        schedules
    }

    /// The two that the command names; else two of this process's mask that are not SMT siblings, sharing
    /// an L3 where there is such a pair. Isolated cores are in no shell's mask: they must be named.
    pub fn two_cores(&self) -> Result<[usize; 2], String> {
        if let Some(cores) = self.cores {
            let refused = cores.into_iter().find(|core| !pin::may_pin(*core));
            return refused.map_or(Ok(cores), |core| {
                Err(format!("--cores: the kernel gives this process no core {core}"))
            });
        }
        let allowed = pin::allowed_cores();
        let topology = Topology::read(Path::new("/"));
        let cores = topology.spread(2, &allowed).unwrap_or_default();
        match cores.as_slice() {
            [near, far] => Ok([*near, *far]),
            _ => Err(format!(
                "two physical cores are needed, one for each end; this process was started on {allowed:?} \
                 (--cores A,B names others)"
            )),
        }
    }
}

#[cfg(test)]
impl Session {
    /// One that has no time left.
    pub fn in_tests() -> Session {
        Session {
            counter: Counter::monotonic(),
            duration_ns: 0,
            rate: None,
            arrivals_ns: Vec::new(),
            tape: None,
            cores: None,
        }
    }
}

impl Share {
    /// Whether some of it is left.
    pub fn is_left(&self) -> bool {
        self.counter.nanos_between(self.start, self.counter.stamp()) < self.ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_cores_are_measured_on_or_refused() {
        let one = pin::allowed_cores()[0];
        let named = |cores| Session { cores: Some(cores), ..Session::in_tests() }.two_cores();
        assert_eq!(named([one, one]), Ok([one, one]), "whoever names them has his reasons");
        assert!(named([one, 100_000]).unwrap_err().contains("no core 100000"));
    }

    #[test]
    fn recorded_arrivals_are_played_beside_the_others() {
        let names = |session: Session| -> Vec<_> {
            session.schedules(1_000).into_iter().map(|(name, _)| name).collect()
        };
        let recorded = Session { arrivals_ns: vec![5, 7], ..Session::in_tests() };
        assert_eq!(names(recorded), ["steady", "bursts", "recorded"]);
        assert_eq!(names(Session::in_tests()), ["steady", "bursts"]);
    }
}
