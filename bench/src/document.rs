//! The one result of a command: measurements, ratios with what they are held to, the host and its
//! hiccups; as text, JSON, `.hgrm` files and a page.

use crate::hiccup::Hiccups;
use crate::histogram::{Latencies, OverRuns};
use crate::host::{self, Load};
use crate::page;
use crate::ratio::Ratio;
use crate::session::Session;
use crate::spent::Faults;
use ballast_engine::clock::Drift;
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
    /// The p99.9 of each run, over the runs, where they were long enough.
    pub tail: Option<OverRuns>,
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
        let (name, maxima) = (name.to_owned(), Vec::new());
        Some(Measurement { name, over, tail: None, dropped, latencies, maxima })
    }
}

/// Everything that a command found.
pub struct Document {
    command: String,
    started: Load,
    cores: [usize; 2],
    facts: Value,
    date: String,
    drift: Drift,
    failures: Vec<String>,
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
        let cores = session.two_cores()?;
        let mut document = Document::of_cores(cores, command, session, date);
        document.jitter_floor.watch(session.counter, &cores, JITTER_FLOOR);
        Ok(document)
    }

    /// The same without a look at the host's jitter.
    pub fn of_cores(
        cores: [usize; 2],
        command: String,
        session: &Session,
        date: String,
    ) -> Document {
        let root = Path::new("/");
        Document {
            command,
            started: Load::read(root),
            cores,
            facts: host::facts(root, &session.counter, cores[0]),
            date,
            drift: Drift::of(session.counter),
            failures: Vec::new(),
            jitter_floor: Hiccups::new(),
            faults: Faults::of_process(),
            hiccups: Hiccups::new(),
            measurements: Vec::new(),
            ratios: Vec::new(),
        }
    }

    /// A ratio, unless there is nothing to say of it.
    pub fn add_ratio(&mut self, ratio: Ratio) {
        if !ratio.is_void() {
            self.ratios.push(ratio);
        }
    }

    /// What could not be measured, and why; the rest of the document stands.
    pub fn fail(&mut self, why: String) {
        self.failures.push(why);
    }

    /// What could not be measured.
    pub fn failures(&self) -> &[String] {
        &self.failures
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

    /// Promises that were not kept and what could not be measured, with why.
    pub fn broken(&self) -> Vec<String> {
        let promises = self
            .ratios
            .iter()
            .filter_map(|ratio| ratio.broken_because().map(|why| format!("{}: {why}", ratio.name)));
        self.failures.iter().cloned().chain(promises).collect()
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
                    "p999_over_runs": m.tail.map(OverRuns::to_json),
                    "runs_dropped": m.dropped,
                    "distribution": m.latencies.as_ref().map(Latencies::to_json),
                    "maxima_per_10ms": m.maxima,
                })
            })
            .collect();
        let ratios: Vec<Value> = self.ratios.iter().map(Ratio::to_json).collect();
        json!({
            "tool": "ballast-bench",
            "version": env!("CARGO_PKG_VERSION"),
            "commit": host::commit(),
            "build": host::build(),
            "date": self.date,
            "command": self.command,
            "host": self.facts,
            "cores": self.cores,
            "load_1m": [self.started.load_1m, ended.load_1m],
            "steal_percent": host::steal_percent(self.started, ended),
            "counter_drift_ppb": self.drift.ppb(),
            "failures": self.failures,
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
                "{:<44} {:>9.1} ns  [{}]  {} runs{}",
                m.name,
                m.over.median,
                m.over.interval(1),
                m.over.runs,
                if m.dropped > 0 { format!(", {} dropped", m.dropped) } else { String::new() }
            );
            if let Some(latencies) = &m.latencies {
                println!("    {}", latencies.line());
            }
        }
        println!();
        for r in &self.ratios {
            let promise = match (r.broken_because(), r.bound) {
                (Some(why), _) => format!("  DOES NOT HOLD: {why}"),
                (None, Some(_)) => format!("  holds: {}", r.promise()),
                (None, None) => String::new(),
            };
            let (median, interval) =
                r.over.map_or((String::from("-"), String::from("-")), |over| {
                    (format!("{:.3}", over.median), over.interval(3))
                });
            println!("{:<44} {median:>9}     [{interval}]{promise}", r.name);
        }
        for failure in &self.failures {
            println!("NOT MEASURED: {failure}");
        }
        println!("\nthe host itself, in the same minutes, on the same cores:");
        println!(
            "    {:.0} gaps a second of 500 ns or more, {:.3} % of the time lost",
            self.hiccups.per_second(),
            self.hiccups.lost_percent()
        );
        println!("    {}", self.hiccups.gaps.line());
        println!("the counter drifted by {} parts per billion", self.drift.ppb());
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
    fn what_a_benchmark_could_not_do_and_what_it_could_not_measure_break_the_check() {
        let session = Session::in_tests();
        let document = || Document::of_cores([0, 0], "test".into(), &session, String::new());
        let mut empty = document();
        assert_eq!(empty.broken(), Vec::<String>::new());
        empty.add_ratio(Ratio::new("a / b", Vec::new(), Some(1.0)));
        empty.add_ratio(Ratio::new("c / d", Vec::new(), None));
        assert_eq!(empty.broken().len(), 1, "{:?}", empty.broken());
        assert_eq!(empty.to_json()["ratios"][0]["holds"], false);
        let mut failed = document();
        failed.fail("ring: two cores are needed".into());
        assert_eq!(failed.broken(), ["ring: two cores are needed"]);
        assert_eq!(failed.to_json()["failures"][0], "ring: two cores are needed");
    }

    #[test]
    fn the_document_says_where_it_comes_from() {
        let session = Session::in_tests();
        let document = Document::of_cores([0, 0], "ring".into(), &session, "today".into());
        let json = document.to_json();
        assert_eq!((&json["cores"], &json["date"]), (&json!([0, 0]), &json!("today")));
        assert!(json["steal_percent"].is_number() && json["counter_drift_ppb"].is_number());
    }
}
