//! The one result of a command: measurements, ratios with what they are held to, the host and its
//! hiccups; as text, JSON, `.hgrm` files and a page.

use crate::hiccup::Hiccups;
use crate::histogram::{Latencies, OverRuns};
use crate::host::{self, Load};
use crate::page;
use crate::session::Session;
use crate::spent::Faults;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// How long the host is looked at before anything is measured.
const JITTER_FLOOR: Duration = Duration::from_millis(300);

/// One thing that was timed, in ns.
pub struct Measurement {
    /// Dotted, from the general to the special.
    pub name: String,
    /// The typical figure of each run, over the runs.
    pub over: OverRuns,
    /// Runs left out because the floor moved around them.
    pub dropped: usize,
    /// All values of all kept runs, where they were timed one by one or by the batch.
    pub latencies: Option<Latencies>,
    /// Longest in each 10 ms, in ns, where the benchmark has a time line.
    pub maxima: Vec<u64>,
}

impl Measurement {
    /// Of one figure a run; `None` without runs.
    pub fn new(
        name: &str,
        figures: Vec<f64>,
        dropped: usize,
        latencies: Option<Latencies>,
    ) -> Option<Measurement> {
        let over = OverRuns::of(figures)?;
        Some(Measurement { name: name.to_owned(), over, dropped, latencies, maxima: Vec::new() })
    }
}

/// One thing relative to another of the same run.
pub struct Ratio {
    /// "this / that".
    pub name: String,
    /// Over the runs.
    pub over: OverRuns,
    /// What it must not exceed, where something was promised.
    pub bound: Option<f64>,
}

impl Ratio {
    /// Of one ratio a run; `None` without runs.
    pub fn new(name: &str, figures: Vec<f64>, bound: Option<f64>) -> Option<Ratio> {
        OverRuns::of(figures).map(|over| Ratio { name: name.to_owned(), over, bound })
    }

    /// Whether the median keeps to the bound; `None` where nothing was promised.
    pub fn holds(&self) -> Option<bool> {
        self.bound.map(|bound| self.over.median <= bound)
    }
}

/// Everything that a command found.
pub struct Document {
    command: String,
    started: Load,
    facts: Value,
    date: String,
    /// Of the host alone, before anything was measured.
    jitter_floor: Hiccups,
    faults: Option<Faults>,
    hiccups: Hiccups,
    /// What was timed, in the order of timing.
    pub measurements: Vec<Measurement>,
    /// What was compared.
    pub ratios: Vec<Ratio>,
}

impl Document {
    /// An empty one for `command`, with the host as it is now: its load, and how long a spinning thread
    /// is kept away at most while nothing else of ours runs.
    pub fn new(command: String, session: &Session, date: String) -> Result<Document, String> {
        let root = Path::new("/");
        let mut jitter_floor = Hiccups::new();
        jitter_floor.watch(session.counter, &session.two_cores()?, JITTER_FLOOR);
        Ok(Document {
            command,
            started: Load::read(root),
            facts: host::facts(root, &session.counter),
            date,
            jitter_floor,
            faults: Faults::of_process(),
            hiccups: Hiccups::new(),
            measurements: Vec::new(),
            ratios: Vec::new(),
        })
    }

    /// Adds what the host did by itself while a benchmark ran.
    pub fn add_hiccups(&mut self, hiccups: &Hiccups) {
        self.hiccups.gaps.merge(&hiccups.gaps);
        self.hiccups.watched_ns += hiccups.watched_ns;
        self.hiccups.lost_ns += hiccups.lost_ns;
    }

    /// The host's own stalls, to show beside ours.
    pub fn hiccups(&self) -> &Hiccups {
        &self.hiccups
    }

    /// Whether every promise among the ratios was kept.
    pub fn holds(&self) -> bool {
        self.ratios.iter().all(|ratio| ratio.holds() != Some(false))
    }

    /// Why absolute figures of this run mean little; empty where they do.
    pub fn unfit_because(&self) -> Vec<String> {
        host::unfit_because(self.started, Load::read(Path::new("/")), &self.hiccups)
    }

    /// The JSON document.
    pub fn to_json(&self) -> Value {
        let ended = Load::read(Path::new("/"));
        let unfit = host::unfit_because(self.started, ended, &self.hiccups);
        let measurements: Vec<Value> = self
            .measurements
            .iter()
            .map(|m| {
                json!({
                    "name": m.name,
                    "unit": "ns",
                    "typical": m.over.to_json(),
                    "runs_dropped": m.dropped,
                    "distribution": m.latencies.as_ref().map(Latencies::to_json),
                    "maxima_per_10ms": m.maxima,
                })
            })
            .collect();
        let ratios: Vec<Value> = self
            .ratios
            .iter()
            .map(|r| {
                json!({
                    "name": r.name,
                    "value": r.over.to_json(),
                    "bound": r.bound,
                    "holds": r.holds(),
                })
            })
            .collect();
        json!({
            "tool": "ballast-bench",
            "version": env!("CARGO_PKG_VERSION"),
            "commit": host::commit(),
            "date": self.date,
            "command": self.command,
            "host": self.facts,
            "load_1m": [self.started.load_1m, ended.load_1m],
            "fit": { "is_fit": unfit.is_empty(), "because": unfit },
            "jitter_floor": self.jitter_floor.to_json(),
            "hiccups": self.hiccups.to_json(),
            "page_faults": self.faults().map(|Faults { minor, major }| json!({ "minor": minor, "major": major })),
            "measurements": measurements,
            "ratios": ratios,
        })
    }

    /// Page faults of the whole process since it began to measure.
    fn faults(&self) -> Option<Faults> {
        self.faults.zip(Faults::of_process()).map(|(before, after)| after.since(before))
    }

    /// Prints everything for people.
    pub fn print(&self) {
        println!(
            "the host before the run: {:.3} % of the time lost, at most {:.1} µs at once\n",
            self.jitter_floor.lost_percent(),
            self.jitter_floor.gaps.max() / 1_000.0
        );
        for m in &self.measurements {
            println!(
                "{:<44} {:>9.1} ns  [{:.1}, {:.1}]  {} runs{}",
                m.name,
                m.over.median,
                m.over.low,
                m.over.high,
                m.over.runs,
                if m.dropped > 0 { format!(", {} dropped", m.dropped) } else { String::new() }
            );
            if let Some(latencies) = &m.latencies {
                println!("    {}", latencies.line());
            }
        }
        println!();
        for r in &self.ratios {
            let promise = match (r.bound, r.holds()) {
                (Some(bound), Some(true)) => format!("  holds: at most {bound}"),
                (Some(bound), _) => format!("  DOES NOT HOLD: at most {bound}"),
                (None, _) => String::new(),
            };
            println!(
                "{:<44} {:>9.3}     [{:.3}, {:.3}]{promise}",
                r.name, r.over.median, r.over.low, r.over.high
            );
        }
        println!("\nthe host itself, in the same minutes, on the same cores:");
        println!(
            "    {:.0} gaps a second of 500 ns or more, {:.3} % of the time lost",
            self.hiccups.per_second(),
            self.hiccups.lost_percent()
        );
        println!("    {}", self.hiccups.gaps.line());
        if let Some(Faults { minor, major }) = self.faults() {
            println!("page faults of the whole command: {minor} minor, {major} major");
        }
        match self.unfit_because().as_slice() {
            [] => println!("the host was fit to measure on"),
            reasons => {
                println!("the host was NOT fit for absolute figures: {}", reasons.join("; "));
            }
        }
    }

    /// Writes `result.json`, one `.hgrm` a histogram and `report.html` into `folder`.
    pub fn write_report(&self, folder: &Path) -> Result<(), String> {
        let fault = |error| format!("{}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(fault)?;
        let text = format!("{:#}\n", self.to_json());
        fs::write(folder.join("result.json"), text).map_err(fault)?;
        for m in &self.measurements {
            if let Some(latencies) = &m.latencies {
                fs::write(folder.join(format!("{}.hgrm", m.name)), latencies.hgrm())
                    .map_err(fault)?;
            }
        }
        fs::write(folder.join("hiccups.hgrm"), self.hiccups.gaps.hgrm()).map_err(fault)?;
        fs::write(folder.join("report.html"), page::render(self, &self.to_json())).map_err(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_broken_only_beyond_its_bound() {
        let ratio = |median, bound| Ratio::new("a / b", vec![median], bound).unwrap();
        assert_eq!(ratio(1.1, Some(1.1)).holds(), Some(true));
        assert_eq!(ratio(1.101, Some(1.1)).holds(), Some(false));
        assert_eq!(ratio(9.0, None).holds(), None);
    }
}
