//! `ballast-bench compare A.json B.json`: what became worse or better from A to B.
//!
//! A figure is worse only where its median moved the wrong way by more than the limit and the 95 %
//! intervals of both do not overlap: on a noisy host either alone happens by chance. A count that is
//! promised to be 0 is judged exactly. What has no interval in A (fewer than seven runs) is shown and never
//! judged; what has one there and none in B is lost, and that fails too: silence must not pass. Times of two
//! hosts are shown and not judged, ratios are. Each ratio says which way is good; times and their p99.9 are
//! better when smaller.

use serde_json::Value;

/// What is said of one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Moved the wrong way by more than the limit, beyond doubt.
    Worse,
    /// Moved the right way, beyond doubt.
    Better,
    /// Judged, and neither.
    Same,
    /// Judged in A, but B cannot say: this is why.
    Lost(&'static str),
    /// Not judged: this is why.
    Shown(&'static str),
}

impl Verdict {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Worse => "WORSE",
            Verdict::Better => "better",
            Verdict::Same => "",
            Verdict::Lost(why) | Verdict::Shown(why) => why,
        }
    }
}

/// One figure of A and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The measurement's or ratio's name.
    pub name: String,
    /// Median in A.
    pub before: f64,
    /// Median in B.
    pub after: Option<f64>,
    /// What is said of it.
    pub verdict: Verdict,
}

impl Change {
    /// Growth in percent.
    pub fn percent(&self) -> Option<f64> {
        self.after.map(|after| grown(self.before, after))
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let [before, after] = [Some(self.before), self.after]
            .map(|value| value.map_or("-".to_owned(), |value| format!("{value:.3}")));
        let percent = self.percent().map_or(String::new(), |percent| format!("{percent:+.1} %"));
        let word = self.verdict.word();
        format!("{:<44} {before:>10} → {after:>10}  {percent:>9}  {word}", self.name)
    }
}

fn grown(before: f64, after: f64) -> f64 {
    match after - before {
        0.0 => 0.0,
        grown => grown * 100.0 / before,
    }
}

/// Everything that is said of two results.
pub struct Comparison {
    /// A's figures, in A's order.
    pub changes: Vec<Change>,
    /// Names that B alone has.
    pub new: Vec<String>,
}

impl Comparison {
    /// Judges each figure of `a` by `b`: moves of more than `limit_percent` in the wrong direction are worse.
    pub fn of(a: &Value, b: &Value, limit_percent: f64) -> Result<Comparison, String> {
        let (before, after) = (figures(a)?, figures(b)?);
        let judge = Judge {
            limit_percent,
            is_one_host: host_differences(a, b).is_empty(),
            is_one_command: a["command"] == b["command"],
        };
        let of_b = |name: &str| after.iter().find(|other| other.name == name);
        let change = |one: &Figure| {
            let (other, before) = (of_b(&one.name), one.median?);
            let (after, verdict) = (other.and_then(|b| b.median), judge.verdict(one, other));
            Some(Change { name: one.name.clone(), before, after, verdict })
        };
        let is_new = |other: &&Figure| {
            other.median.is_some() && !before.iter().any(|one| one.name == other.name)
        };
        Ok(Comparison {
            changes: before.iter().filter_map(change).collect(),
            new: after.iter().filter(is_new).map(|one| one.name.clone()).collect(),
        })
    }

    /// Why the comparison fails; empty where nothing became worse and nothing was lost.
    pub fn faults(&self, limit_percent: f64) -> Vec<String> {
        let named = |is_so: fn(Verdict) -> bool| -> Vec<&str> {
            let found = self.changes.iter().filter(|change| is_so(change.verdict));
            found.map(|change| change.name.as_str()).collect()
        };
        let mut faults = Vec::new();
        let worse = named(|verdict| verdict == Verdict::Worse);
        if !worse.is_empty() {
            faults.push(format!("worse by more than {limit_percent} %: {}", worse.join(", ")));
        }
        let lost = named(|verdict| matches!(verdict, Verdict::Lost(_)));
        if !lost.is_empty() {
            faults.push(format!("measured before and not now: {}", lost.join(", ")));
        }
        if named(|verdict| !matches!(verdict, Verdict::Shown(_))).is_empty() {
            faults.push("the two results have no figure in common that can be judged".to_owned());
        }
        faults
    }
}

/// What holds for all figures of two results.
struct Judge {
    limit_percent: f64,
    is_one_host: bool,
    is_one_command: bool,
}

impl Judge {
    fn verdict(&self, before: &Figure, after: Option<&Figure>) -> Verdict {
        if before.weight == 0.0 {
            return Verdict::Shown("neither way is good");
        }
        if before.ci95.is_none() && !before.is_counted {
            return Verdict::Shown("too few runs before");
        }
        if before.is_time && !self.is_one_host {
            return Verdict::Shown("another host");
        }
        let Some(after) = after else {
            // Another command need not measure the same.
            let why = "only in the first";
            return if self.is_one_command { Verdict::Lost(why) } else { Verdict::Shown(why) };
        };
        let (Some(was), Some(is)) = (before.median, after.median) else {
            return Verdict::Lost("not measured now");
        };
        let worse_by = grown(was, is) * after.weight;
        let by_direction = |limit: f64| match worse_by {
            by if by > limit => Verdict::Worse,
            by if by < 0.0 => Verdict::Better,
            _ => Verdict::Same,
        };
        if before.is_counted {
            return by_direction(0.0);
        }
        let (Some([low, high]), Some([after_low, after_high])) = (before.ci95, after.ci95) else {
            return Verdict::Lost("too few runs now");
        };
        if after_low > high || after_high < low {
            return by_direction(self.limit_percent);
        }
        Verdict::Same
    }
}

/// What makes two hosts' times incomparable; ratios still are.
const HOST_KEYS: [&str; 17] = [
    "cpu",
    "kernel",
    "command_line",
    "governor",
    "energy_preference",
    "turbo_off",
    "boost",
    "isolated",
    "nohz_full",
    "clocksource",
    "counter",
    "tsc_invariant",
    "is_virtual",
    "smt",
    "transparent_hugepage",
    "mitigations",
    "cores_online",
];

/// What differs between the two hosts: then times cannot be compared, only ratios.
pub fn host_differences(a: &Value, b: &Value) -> Vec<String> {
    let of = |document: &Value, key: &str| document["host"][key].clone();
    let host = HOST_KEYS.into_iter().map(|key| (key, of(a, key), of(b, key)));
    let cores = std::iter::once(("cores", a["cores"].clone(), b["cores"].clone()));
    host.chain(cores)
        .filter(|(_, a, b)| a != b)
        .map(|(key, a, b)| format!("{key}: {a} and {b}"))
        .collect()
}

/// What else a reader must know of where the two come from: commands, builds, hosts that were not fit.
pub fn remarks(a: &Value, b: &Value) -> Vec<String> {
    let mut remarks = Vec::new();
    for (key, what) in [("command", "the commands differ"), ("build", "the builds differ")] {
        if a[key] != b[key] {
            remarks.push(format!("{what}: {} and {}", a[key], b[key]));
        }
    }
    for (document, which) in [(a, "first"), (b, "second")] {
        if document["fit"]["is_fit"] == false {
            let because = &document["fit"]["because"];
            remarks.push(format!("the host of the {which} was NOT fit to measure on: {because}"));
        }
        for failure in document["failures"].as_array().map_or(&[][..], Vec::as_slice) {
            remarks.push(format!("the {which} could not measure: {failure}"));
        }
    }
    remarks
}

/// One figure of a document.
struct Figure {
    name: String,
    /// `None` where it was promised and could not be measured.
    median: Option<f64>,
    ci95: Option<[f64; 2]>,
    /// How growth counts: 1 for worse, -1 for better, 0 for neither.
    weight: f64,
    /// One count that is promised to be 0, over all runs.
    is_counted: bool,
    /// In a unit of time, so that it means nothing on another host.
    is_time: bool,
}

/// What older versions called it, and what it is called now.
const RENAMED: (&str, &str) = ("scale.sessions", "scale.rings");

impl Figure {
    fn of(name: &str, value: &Value, weight: f64) -> Figure {
        let number = |v: &Value| v.as_f64();
        let ends = [number(&value["ci95"][0]), number(&value["ci95"][1])];
        let ci95 = match ends {
            [Some(low), Some(high)] => Some([low, high]),
            _ => None,
        };
        let (old, now) = RENAMED;
        let name = name.strip_prefix(old).map_or(name.to_owned(), |rest| format!("{now}{rest}"));
        let median = number(&value["median"]);
        Figure { name, median, ci95, weight, is_counted: false, is_time: true }
    }
}

fn figures(document: &Value) -> Result<Vec<Figure>, String> {
    let list = |list: &str| {
        document[list].as_array().ok_or_else(|| {
            format!("has no list \"{list}\"; write it with ballast-bench --json FILE")
        })
    };
    let named = |entry: &Value, list: &str| {
        let name = entry["name"].as_str().filter(|name| !name.is_empty());
        name.map(str::to_owned).ok_or_else(|| format!("has an entry in \"{list}\" without name"))
    };
    let mut figures = Vec::new();
    for entry in list("measurements")? {
        let name = named(entry, "measurements")?;
        let typical = Figure::of(&name, &entry["typical"], 1.0);
        if typical.median.is_none() {
            return Err(format!("has no median of \"{name}\""));
        }
        figures.push(typical);
        figures.push(Figure::of(&format!("{name} p99.9"), &entry["p999_over_runs"], 1.0));
    }
    for entry in list("ratios")? {
        let name = named(entry, "ratios")?;
        let weight = match entry["better"].as_str() {
            Some("larger") => -1.0,
            Some("neither") => 0.0,
            // A file from before there were directions names none.
            _ => 1.0,
        };
        let is_time = name.ends_with(", ns") || name.ends_with(" a second");
        let is_counted = entry["bound"] == 0.0;
        let figure = Figure::of(&name, &entry["value"], weight);
        figures.push(Figure { is_counted, is_time, ..figure });
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document(median: f64, low: f64, high: f64) -> Value {
        json!({
            "host": { "cpu": "x" },
            "measurements": [{"name": "m", "typical": {"median": median, "ci95": [low, high]}}],
            "ratios": [],
        })
    }

    fn ratio(name: &str, value: &Value, bound: &Value) -> Value {
        let ratio = json!({"name": name, "value": value, "bound": bound});
        json!({ "host": { "cpu": "x" }, "measurements": [], "ratios": [ratio] })
    }

    fn verdict(a: &Value, b: &Value) -> Verdict {
        Comparison::of(a, b, 10.0).unwrap().changes[0].verdict
    }

    #[test]
    fn slower_beyond_the_limit_and_beyond_doubt_is_worse() {
        let before = document(100.0, 98.0, 103.0);
        assert_eq!(verdict(&before, &document(115.0, 112.0, 118.0)), Verdict::Worse);
        assert_eq!(verdict(&before, &document(109.0, 106.0, 112.0)), Verdict::Same, "in limits");
        assert_eq!(verdict(&before, &document(115.0, 101.0, 140.0)), Verdict::Same, "in doubt");
        assert_eq!(verdict(&before, &document(80.0, 79.0, 81.0)), Verdict::Better);
    }

    #[test]
    fn more_of_what_should_be_more_is_better_and_less_is_worse() {
        let of = |median: f64| {
            let value = json!({"median": median, "ci95": [median - 1.0, median + 1.0]});
            let mut document = ratio("messages a second", &value, &Value::Null);
            document["ratios"][0]["better"] = json!("larger");
            document
        };
        assert_eq!(verdict(&of(100.0), &of(150.0)), Verdict::Better);
        assert_eq!(verdict(&of(100.0), &of(80.0)), Verdict::Worse);
    }

    #[test]
    fn what_one_run_gave_before_is_shown_and_nothing_that_can_be_judged_is_a_fault() {
        let of = |median: f64| {
            json!({
                "measurements": [{"name": "m", "typical": {"median": median, "ci95": null}}],
                "ratios": [{"name": "promised", "value": null, "bound": 1.0}],
            })
        };
        let comparison = Comparison::of(&of(100.0), &of(900.0), 10.0).unwrap();
        let [only] = comparison.changes.as_slice() else { panic!("{:?}", comparison.changes) };
        assert_eq!(only.verdict, Verdict::Shown("too few runs before"));
        assert!(comparison.faults(10.0)[0].contains("no figure in common"));
        assert_eq!(grown(0.0, 0.0), 0.0);
    }

    #[test]
    fn what_was_measured_before_and_not_now_is_lost() {
        let value = json!({"median": 1.0, "ci95": [0.9, 1.1]});
        let before = ratio("a / b", &value, &json!(1.1));
        let few = ratio("a / b", &json!({"median": 1.0, "ci95": null}), &json!(1.1));
        assert_eq!(verdict(&before, &few), Verdict::Lost("too few runs now"));
        let none = ratio("a / b", &Value::Null, &json!(1.1));
        let comparison = Comparison::of(&before, &none, 10.0).unwrap();
        assert_eq!(comparison.changes[0].verdict, Verdict::Lost("not measured now"));
        assert_eq!(comparison.faults(10.0), ["measured before and not now: a / b"]);
        // The same command measures the same; another one need not.
        let mut gone = ratio("c / d", &value, &json!(1.1));
        assert_eq!(verdict(&before, &gone), Verdict::Lost("only in the first"));
        gone["command"] = json!("ring");
        assert_eq!(verdict(&before, &gone), Verdict::Shown("only in the first"));
    }

    #[test]
    fn a_count_that_is_promised_to_be_nothing_is_judged_exactly_and_without_runs() {
        let of = |count: f64| {
            ratio("x, allocations a message", &json!({"median": count, "ci95": null}), &json!(0.0))
        };
        assert_eq!(verdict(&of(0.0), &of(0.001)), Verdict::Worse);
        assert_eq!(verdict(&of(5.0), &of(0.0)), Verdict::Better);
        assert_eq!(verdict(&of(0.0), &of(0.0)), Verdict::Same);
    }

    #[test]
    fn between_two_hosts_ratios_are_judged_and_times_are_not() {
        let on = |host: &str, median: f64| {
            let value = json!({"median": median, "ci95": [median, median]});
            let ratios = ["a / b", "mark, ns"].map(|name| json!({"name": name, "value": value}));
            let measurements = [json!({"name": "m", "typical": value})];
            json!({"host": {"cpu": host}, "measurements": measurements, "ratios": ratios})
        };
        let comparison = Comparison::of(&on("x", 1.0), &on("y", 2.0), 10.0).unwrap();
        let found: Vec<_> =
            comparison.changes.iter().map(|c| (c.name.as_str(), c.verdict)).collect();
        let shown = Verdict::Shown("another host");
        assert_eq!(found, [("m", shown), ("a / b", Verdict::Worse), ("mark, ns", shown)]);
    }

    #[test]
    fn the_tail_over_runs_is_compared_too() {
        let of = |tail: f64| {
            let mut document = document(1.0, 1.0, 1.0);
            document["measurements"][0]["p999_over_runs"] =
                json!({"median": tail, "ci95": [tail, tail]});
            document
        };
        let changes = Comparison::of(&of(100.0), &of(300.0), 10.0).unwrap().changes;
        assert_eq!((changes[1].name.as_str(), changes[1].verdict), ("m p99.9", Verdict::Worse));
    }

    #[test]
    fn a_figure_that_only_the_second_has_is_named_and_an_old_name_is_known() {
        let named = |name: &str| {
            let mut document = document(1.0, 1.0, 1.0);
            document["measurements"][0]["name"] = json!(name);
            document
        };
        let comparison = Comparison::of(&named("m"), &named("n"), 10.0).unwrap();
        assert_eq!(comparison.new, ["n"]);
        let old = Comparison::of(&named("scale.sessions.4"), &named("scale.rings.4"), 10.0);
        assert_eq!(old.unwrap().changes[0].verdict, Verdict::Same);
    }

    #[test]
    fn a_document_of_another_kind_is_refused() {
        let error = Comparison::of(&json!({}), &json!({}), 10.0).err().unwrap();
        assert!(error.contains("measurements"), "{error}");
    }

    #[test]
    fn hosts_builds_and_commands_that_differ_and_a_host_that_was_not_fit_are_named() {
        let mut other = document(1.0, 1.0, 1.0);
        other["host"]["cpu"] = json!("y");
        other["host"]["mitigations"] = json!({"spectre_v2": "Mitigation: x"});
        let first = document(1.0, 1.0, 1.0);
        let told = host_differences(&first, &other);
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[0], "cpu: \"x\" and \"y\"");
        other["command"] = json!("ring");
        other["build"] = json!({"profile": "debug"});
        other["fit"] = json!({"is_fit": false, "because": ["busy"]});
        let remarks = remarks(&first, &other);
        assert_eq!(remarks[0], "the commands differ: null and \"ring\"");
        assert!(remarks[1].contains("builds") && remarks[2].contains("busy"), "{remarks:?}");
    }
}
