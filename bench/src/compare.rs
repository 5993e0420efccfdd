//! `ballast-bench compare A.json B.json`: what became worse or better from A to B.
//!
//! A figure is worse only where its median moved the wrong way by more than the limit and the 95 %
//! intervals of both do not overlap: on a noisy host either alone happens by chance. What has no interval
//! (fewer than seven runs) is shown and never judged. Each ratio says which way is good; times and their
//! p99.9 are better when smaller.

use serde_json::Value;

/// One figure in both documents.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The measurement's or ratio's name.
    pub name: String,
    /// Median in A.
    pub before: f64,
    /// Median in B.
    pub after: f64,
    /// Growth in percent.
    pub percent: f64,
    /// Whether the intervals are apart.
    pub is_certain: bool,
    /// How growth counts: 1 for worse, -1 for better, 0 for neither.
    weight: f64,
}

impl Change {
    /// Whether it moved the wrong way by more than `limit_percent` beyond doubt.
    pub fn is_worse(&self, limit_percent: f64) -> bool {
        self.is_certain && self.percent * self.weight > limit_percent
    }

    /// Whether it moved the right way beyond doubt.
    pub fn is_better(&self) -> bool {
        self.is_certain && self.percent * self.weight < 0.0
    }
}

/// Figures found in both documents, in A's order, and the names found in one alone.
pub fn changes(a: &Value, b: &Value) -> Result<(Vec<Change>, Vec<String>), String> {
    let (a, b) = (figures(a)?, figures(b)?);
    let mut alone: Vec<String> = Vec::new();
    let mut changes = Vec::new();
    for one in &a {
        match b.iter().find(|other| other.name == one.name) {
            Some(other) => changes.push(change(one, other)),
            None => alone.push(format!("{} is only in the first", one.name)),
        }
    }
    let is_new = |other: &&Figure| !a.iter().any(|one| one.name == other.name);
    alone.extend(b.iter().filter(is_new).map(|one| format!("{} is only in the second", one.name)));
    Ok((changes, alone))
}

fn change(before: &Figure, after: &Figure) -> Change {
    let percent = match after.median - before.median {
        0.0 => 0.0,
        grown => grown * 100.0 / before.median,
    };
    let is_certain = match (before.ci95, after.ci95) {
        (Some([low, high]), Some([after_low, after_high])) => after_low > high || after_high < low,
        _ => false,
    };
    Change {
        name: before.name.clone(),
        before: before.median,
        after: after.median,
        percent,
        is_certain,
        // A file from before there were directions names none.
        weight: after.weight,
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

/// One figure of a document.
struct Figure {
    name: String,
    median: f64,
    ci95: Option<[f64; 2]>,
    weight: f64,
}

impl Figure {
    fn of(name: String, value: &Value, weight: f64) -> Option<Figure> {
        let number = |v: &Value| v.as_f64();
        let ends = [number(&value["ci95"][0]), number(&value["ci95"][1])];
        let ci95 = match ends {
            [Some(low), Some(high)] => Some([low, high]),
            _ => None,
        };
        Some(Figure { name, median: number(&value["median"])?, ci95, weight })
    }
}

fn figures(document: &Value) -> Result<Vec<Figure>, String> {
    let mut figures = Vec::new();
    for (list, key) in [("measurements", "typical"), ("ratios", "value")] {
        let entries = document[list].as_array().ok_or_else(|| {
            format!("has no list \"{list}\"; write it with ballast-bench --json FILE")
        })?;
        for entry in entries {
            let weight = match entry["better"].as_str() {
                Some("larger") => -1.0,
                Some("neither") => 0.0,
                _ => 1.0,
            };
            let name = entry["name"].as_str().unwrap_or_default();
            // A promise that could not be measured has no value to compare.
            if entry[key].is_null() && list == "ratios" {
                continue;
            }
            let figure = Figure::of(name.to_owned(), &entry[key], weight);
            let figure = figure.filter(|figure| !figure.name.is_empty());
            figures.push(
                figure
                    .ok_or_else(|| format!("has an entry in \"{list}\" without name or median"))?,
            );
            figures.extend(Figure::of(format!("{name} p99.9"), &entry["p999_over_runs"], weight));
        }
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

    fn change(a: &Value, b: &Value) -> Change {
        changes(a, b).unwrap().0.remove(0)
    }

    #[test]
    fn slower_beyond_the_limit_and_beyond_doubt_is_worse() {
        let before = document(100.0, 98.0, 103.0);
        assert!(change(&before, &document(115.0, 112.0, 118.0)).is_worse(10.0));
        assert!(
            !change(&before, &document(109.0, 106.0, 112.0)).is_worse(10.0),
            "within the limit"
        );
        assert!(!change(&before, &document(115.0, 101.0, 140.0)).is_worse(10.0), "within doubt");
        let better = change(&before, &document(80.0, 79.0, 81.0));
        assert!(better.is_better() && !better.is_worse(10.0));
    }

    #[test]
    fn more_of_what_should_be_more_is_better_and_less_is_worse() {
        let of = |median: f64| {
            let value = json!({"median": median, "ci95": [median - 1.0, median + 1.0]});
            let ratio = json!({"name": "messages a second", "better": "larger", "value": value});
            json!({ "measurements": [], "ratios": [ratio] })
        };
        let faster = change(&of(100.0), &of(150.0));
        assert!(faster.is_better() && !faster.is_worse(10.0));
        assert!(change(&of(100.0), &of(80.0)).is_worse(10.0));
    }

    #[test]
    fn a_single_run_is_shown_and_never_judged_and_nothing_stays_nothing() {
        let of = |median: f64| {
            json!({
                "measurements": [{"name": "m", "typical": {"median": median, "ci95": null}}],
                "ratios": [{"name": "promised", "value": null}],
            })
        };
        let slower = change(&of(100.0), &of(900.0));
        assert!(!slower.is_worse(10.0) && !slower.is_better());
        assert_eq!(change(&of(0.0), &of(0.0)).percent, 0.0);
    }

    #[test]
    fn the_tail_over_runs_is_compared_too() {
        let of = |tail: f64| {
            let mut document = document(1.0, 1.0, 1.0);
            document["measurements"][0]["p999_over_runs"] =
                json!({"median": tail, "ci95": [tail, tail]});
            document
        };
        let (changes, _) = changes(&of(100.0), &of(300.0)).unwrap();
        assert!(changes[1].name == "m p99.9" && changes[1].is_worse(10.0), "{changes:?}");
    }

    #[test]
    fn a_figure_that_only_one_document_has_is_named() {
        let mut other = document(1.0, 1.0, 1.0);
        other["measurements"][0]["name"] = json!("n");
        let (changes, alone) = changes(&document(1.0, 1.0, 1.0), &other).unwrap();
        assert!(changes.is_empty());
        assert_eq!(alone, ["m is only in the first", "n is only in the second"]);
    }

    #[test]
    fn a_document_of_another_kind_is_refused() {
        let error = changes(&json!({}), &json!({})).unwrap_err();
        assert!(error.contains("measurements"), "{error}");
    }

    #[test]
    fn hosts_that_differ_are_named() {
        let mut other = document(1.0, 1.0, 1.0);
        other["host"]["cpu"] = json!("y");
        other["host"]["mitigations"] = json!({"spectre_v2": "Mitigation: x"});
        let told = host_differences(&document(1.0, 1.0, 1.0), &other);
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[0], "cpu: \"x\" and \"y\"");
    }
}
