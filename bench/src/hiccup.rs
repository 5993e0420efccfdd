//! The host's own stalls: how long a thread that does nothing but look at the counter is kept from
//! looking.
//!
//! Run in slices between the runs of every benchmark, on the same cores in the same minutes, so that
//! nobody reads the host's stalls as ours: each benchmark has its own. Feeds every report and the verdict of
//! fitness.

use crate::histogram::Latencies;
use ballast_engine::clock::Counter;
use ballast_engine::pin;
use serde_json::{Value, json};
use std::time::Duration;

/// A gap below this is the loop itself and the counter's own step.
const GAP_NS_MIN: u64 = 500;

/// What spinning threads saw, over all cores and slices.
#[derive(Clone)]
pub struct Hiccups {
    /// Gaps of at least 500 ns.
    pub gaps: Latencies,
    /// How long the threads spun in all.
    pub watched_ns: u64,
    /// How much of that they were kept away.
    pub lost_ns: u64,
}

impl Hiccups {
    /// Nothing watched yet.
    pub fn new() -> Hiccups {
        Hiccups { gaps: Latencies::new(), watched_ns: 0, lost_ns: 0 }
    }

    /// Spins on each of `cores` at once for `slice`, and adds what was seen.
    pub fn watch(&mut self, counter: Counter, cores: &[usize], slice: Duration) {
        let slice_ns = slice.as_nanos() as u64;
        let seen: Vec<Hiccups> = std::thread::scope(|scope| {
            let threads: Vec<_> = cores
                .iter()
                .map(|&core| {
                    scope.spawn(move || {
                        pin::pin_current_thread(core);
                        spin(counter, slice_ns)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("does not panic")).collect()
        });
        seen.iter().for_each(|one| self.merge(one));
    }

    /// Takes in what was seen elsewhere.
    pub fn merge(&mut self, other: &Hiccups) {
        self.gaps.merge(&other.gaps);
        self.watched_ns += other.watched_ns;
        self.lost_ns += other.lost_ns;
    }

    /// Part of the time that was lost to gaps, in percent.
    pub fn lost_percent(&self) -> f64 {
        self.lost_ns as f64 * 100.0 / self.watched_ns.max(1) as f64
    }

    /// Gaps a second and core.
    pub fn per_second(&self) -> f64 {
        self.gaps.count() as f64 * 1e9 / self.watched_ns.max(1) as f64
    }

    /// For the JSON document.
    pub fn to_json(&self) -> Value {
        json!({
            "gap_ns_min": GAP_NS_MIN,
            "watched_ms": self.watched_ns / 1_000_000,
            "lost_percent": (self.lost_percent() * 1e4).round() / 1e4,
            "per_second": self.per_second().round(),
            "gaps_ns": self.gaps.to_json(),
        })
    }
}

fn spin(counter: Counter, slice_ns: u64) -> Hiccups {
    let mut hiccups = Hiccups::new();
    let start = counter.stamp();
    let mut last = start;
    loop {
        let now = counter.stamp();
        let gap = counter.nanos_between(last, now);
        last = now;
        if gap >= GAP_NS_MIN {
            hiccups.gaps.record_ns(gap);
            hiccups.lost_ns += gap;
        }
        let watched = counter.nanos_between(start, now);
        if watched >= slice_ns {
            hiccups.watched_ns = watched;
            return hiccups;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slice_of_every_core_is_watched_in_full() {
        let mut hiccups = Hiccups::new();
        let cores: Vec<usize> = pin::allowed_cores().into_iter().take(1).collect();
        hiccups.watch(Counter::calibrate(), &cores, Duration::from_millis(2));
        hiccups.watch(Counter::calibrate(), &cores, Duration::from_millis(2));
        assert!(hiccups.watched_ns >= 4_000_000);
        assert!(hiccups.lost_ns <= hiccups.watched_ns);
    }
}
