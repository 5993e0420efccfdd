//! `ballast-bench compare A.json B.json`: what became slower or faster from A to B.
//!
//! A figure is worse only where its median grew by more than the limit and the two runs' 95 % intervals
//! do not overlap: on a noisy host either alone happens by chance. Ratios are compared like times: both
//! are better when smaller.

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
}

impl Change {
    /// Whether it grew by more than `limit_percent` beyond doubt.
    pub fn is_worse(&self, limit_percent: f64) -> bool {
        self.is_certain && self.percent > limit_percent
    }
}

/// Figures found in both documents, in A's order, and the names found in one alone.
pub fn changes(a: &Value, b: &Value) -> Result<(Vec<Change>, Vec<String>), String> {
    let (a, b) = (figures(a)?, figures(b)?);
    let mut alone: Vec<String> = Vec::new();
    let mut changes = Vec::new();
    for (name, [before, _, before_high]) in &a {
        let Some((_, [after, after_low, _])) = b.iter().find(|(other, _)| other == name) else {
            alone.push(format!("{name} is only in the first"));
            continue;
        };
        let percent = (after - before) * 100.0 / before;
        let is_certain = if after >= before {
            after_low > before_high
        } else {
            let (before_low, after_high) = (bound(&a, name, 1), bound(&b, name, 2));
            after_high < before_low
        };
        let (before, after) = (*before, *after);
        changes.push(Change { name: name.clone(), before, after, percent, is_certain });
    }
    for (name, _) in &b {
        if !a.iter().any(|(other, _)| other == name) {
            alone.push(format!("{name} is only in the second"));
        }
    }
    Ok((changes, alone))
}

/// What differs between the two hosts: then times cannot be compared, only ratios.
pub fn host_differences(a: &Value, b: &Value) -> Vec<String> {
    ["cpu", "kernel", "governor", "isolated", "clocksource", "is_virtual", "smt"]
        .iter()
        .filter(|key| a["host"][**key] != b["host"][**key])
        .map(|key| format!("{key}: {} and {}", a["host"][*key], b["host"][*key]))
        .collect()
}

type Figures = Vec<(String, [f64; 3])>;

fn bound(figures: &Figures, name: &str, index: usize) -> f64 {
    figures.iter().find(|(other, _)| other == name).map_or(f64::NAN, |(_, values)| values[index])
}

/// Name → median, low, high.
fn figures(document: &Value) -> Result<Figures, String> {
    let mut figures = Vec::new();
    for (list, key) in [("measurements", "typical"), ("ratios", "value")] {
        let entries = document[list].as_array().ok_or_else(|| {
            format!("has no list \"{list}\"; write it with ballast-bench --json FILE")
        })?;
        for entry in entries {
            let value = &entry[key];
            let number = |v: &Value| v.as_f64();
            let parts = [&value["median"], &value["ci95"][0], &value["ci95"][1]].map(number);
            let (Some(name), [Some(median), Some(low), Some(high)]) =
                (entry["name"].as_str(), parts)
            else {
                return Err(format!("has an entry in \"{list}\" without name, median or ci95"));
            };
            figures.push((name.to_owned(), [median, low, high]));
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
        assert!(better.is_certain && !better.is_worse(10.0));
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
        assert_eq!(host_differences(&document(1.0, 1.0, 1.0), &other), ["cpu: \"x\" and \"y\""]);
    }
}
