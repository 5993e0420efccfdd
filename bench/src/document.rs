//! The one result of a command: measurements, ratios with what they are held to, the host and its
//! hiccups; as text, JSON, `.hgrm` files and a page.

use crate::bracket::Bracket;
use crate::hiccup::Hiccups;
use crate::histogram::{Latencies, OverRuns};
use crate::host::{self, Evidence, Load};
use crate::page;
use crate::ratio::Ratio;
use crate::session::Session;
use crate::spent::Faults;
use ballast_engine::clock::{Drift, Source};
use serde_json::{Map, Value, json};
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

    fn print(&self) {
        println!(
            "{:<44} {:>9.1} ns  [{}]  {} runs{}",
            self.name,
            self.over.median,
            self.over.interval(1),
            self.over.runs,
            if self.dropped > 0 { format!(", {} dropped", self.dropped) } else { String::new() }
        );
        if let Some(latencies) = &self.latencies {
            println!("    {}", latencies.line());
        }
    }
}

/// One benchmark's part of the document.
struct Part {
    benchmark: &'static str,
    /// The first of its measurements.
    from: usize,
    /// What the host did by itself meanwhile.
    hiccups: Hiccups,
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
    counter: Source,
    /// Of the host alone, before anything was measured.
    jitter_floor: Hiccups,
    /// The cache-line ping-pong before anything was measured, in ns.
    floor_ns: Option<f64>,
    faults: Option<Faults>,
    parts: Vec<Part>,
    /// What was timed, in the order of timing.
    pub measurements: Vec<Measurement>,
    /// What was compared.
    pub ratios: Vec<Ratio>,
}

impl Document {
    /// An empty one for `command`, with the host as it is now: its load, its floor, and how long a spinning
    /// thread is kept away at most while nothing else of ours runs.
    pub fn new(command: String, session: &Session, date: String) -> Result<Document, String> {
        let cores = session.two_cores()?;
        let mut document = Document::of_cores(cores, command, session, date);
        document.jitter_floor.watch(session.counter, &cores, JITTER_FLOOR);
        document.floor_ns = Bracket::new(session, cores).floor_now();
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
            counter: session.counter.source(),
            jitter_floor: Hiccups::new(),
            floor_ns: None,
            faults: Faults::of_process(),
            parts: Vec::new(),
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

    /// What follows is what this benchmark finds.
    pub fn begin(&mut self, benchmark: &'static str) {
        let from = self.measurements.len();
        self.parts.push(Part { benchmark, from, hiccups: Hiccups::new() });
    }

    /// Adds what the host did by itself while the benchmark ran that was begun last.
    pub fn add_hiccups(&mut self, hiccups: &Hiccups) {
        if let Some(part) = self.parts.last_mut() {
            part.hiccups.merge(hiccups);
        }
    }

    /// Each benchmark, what it timed, and the host's own stalls meanwhile, to show beside it.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &[Measurement], &Hiccups)> {
        self.parts.iter().enumerate().map(|(place, part)| {
            let to = self.parts.get(place + 1).map_or(self.measurements.len(), |next| next.from);
            (part.benchmark, &self.measurements[part.from..to], &part.hiccups)
        })
    }

    /// The host's own stalls during all benchmarks.
    fn hiccups(&self) -> Hiccups {
        self.parts.iter().fold(Hiccups::new(), |mut all, part| {
            all.merge(&part.hiccups);
            all
        })
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
        host::unfit_because(&Evidence {
            before: self.started,
            after: Load::read(Path::new("/")),
            jitter_floor: &self.jitter_floor,
            meanwhile: &self.hiccups(),
            floor_ns: self.floor_ns,
            counter: self.counter,
            has_debug_assertions: cfg!(debug_assertions),
        })
    }

    /// The JSON document.
    pub fn to_json(&self) -> Value {
        let (ended, unfit) = (Load::read(Path::new("/")), self.unfit_because());
        let hiccups_of: Map<String, Value> = self
            .parts()
            .map(|(benchmark, _, hiccups)| (benchmark.to_owned(), hiccups.to_json()))
            .collect();
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
            "floor_ns": self.floor_ns,
            "hiccups": self.hiccups().to_json(),
            "hiccups_of": hiccups_of,
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
        self.print_origin();
        for (benchmark, measurements, hiccups) in self.parts() {
            measurements.iter().for_each(Measurement::print);
            println!(
                "the host itself during {benchmark}, on the same cores: {:.0} gaps a second of 500 ns or more, \
                 {:.3} % of the time lost\n    {}\n",
                hiccups.per_second(),
                hiccups.lost_percent(),
                hiccups.gaps.line()
            );
        }
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
        println!("\nthe counter drifted by {} parts per billion", self.drift.ppb());
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

    /// Prints where the figures come from, and what the host was like before.
    fn print_origin(&self) {
        println!("commit: {}", host::commit().unwrap_or("unknown"));
        for facts in [&host::build(), &self.facts] {
            for (key, value) in facts.as_object().into_iter().flatten() {
                println!("{key}: {value}");
            }
        }
        println!("cores: {:?}", self.cores);
        println!("floor: {:.1} ns", self.floor_ns.unwrap_or(f64::NAN));
        println!(
            "the host before the run: {:.3} % of the time lost, at most {:.1} µs at once\n",
            self.jitter_floor.lost_percent(),
            self.jitter_floor.gaps.max() / 1_000.0
        );
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
        for (benchmark, _, hiccups) in self.parts() {
            let file = folder.join(format!("hiccups.{benchmark}.hgrm"));
            fs::write(file, hiccups.gaps.hgrm()).map_err(fault)?;
        }
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
    fn each_benchmark_has_its_own_measurements_and_hiccups() {
        let session = Session::in_tests();
        let mut document = Document::of_cores([0, 0], "all".into(), &session, String::new());
        for (benchmark, lost_ns) in [("ring", 5), ("wire", 7)] {
            document.begin(benchmark);
            document.measurements.extend(Measurement::new(benchmark, vec![1.0], 0, None));
            let mut hiccups = Hiccups::new();
            (hiccups.watched_ns, hiccups.lost_ns) = (1_000, lost_ns);
            document.add_hiccups(&hiccups);
        }
        let found: Vec<_> = document
            .parts()
            .map(|(name, own, hiccups)| (name, own.len(), own[0].name.clone(), hiccups.lost_ns))
            .collect();
        assert_eq!(found, [("ring", 1, "ring".into(), 5), ("wire", 1, "wire".into(), 7)]);
        let json = document.to_json();
        assert_eq!(json["hiccups_of"]["wire"]["lost_percent"], 0.7);
        assert_eq!(json["hiccups"]["lost_percent"], 0.6);
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
