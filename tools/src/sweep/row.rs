//! One run of a sweep as one line of CSV.
//!
//! Fed by the runs' summaries; feeds `progress.rs`. Deliberately absent: wall-clock figures, so that
//! the same sweep gives the same bytes.

use ballast_engine::pnl::attribution::Cause;
use serde_json::Value;

/// Counts and hashes at the top of a summary.
const COUNTS: [&str; 7] = [
    "events",
    "orders_sent",
    "replaces_sent",
    "cancels_sent",
    "orders_rejected",
    "fills",
    "run_sha256",
];
/// How a run ended.
#[derive(Clone, PartialEq, Debug)]
pub enum End {
    /// With this summary.
    Done(Value),
    /// Its config may not stand, or goes not with the plan.
    Refused(String),
    /// It stopped.
    Failed(String),
}

/// What is known of a run beforehand.
pub struct Head<'a> {
    /// Its number, from 1.
    pub run: usize,
    /// Of the synthetic market; none on a recording.
    pub seed: Option<u64>,
    /// SHA-256 of the config's text as it ran.
    pub config_sha256: String,
    /// The varied values.
    pub values: &'a [String],
}

/// The first line of the file.
pub fn header(keys: &[&str], underlyings: &[&str]) -> String {
    let mut columns: Vec<String> = ["run", "seed", "config_sha256"].map(str::to_owned).into();
    columns.extend(keys.iter().map(|key| field(key)));
    columns.extend(["status", "why"].map(str::to_owned));
    columns.extend(COUNTS.map(str::to_owned));
    columns.extend(pnl().map(|part| format!("pnl_{part}")));
    columns.extend(["drawdown_max", "pnl_per_unit_of_risk"].map(str::to_owned));
    for name in underlyings {
        let columns_of = ["delta_end", "delta_max_abs", "inventory_mean_square"];
        columns.extend(columns_of.map(|column| field(&format!("{column}_{name}"))));
    }
    columns.join(",")
}

/// A run's line.
pub fn line(head: &Head<'_>, end: &End, underlyings: &[&str]) -> String {
    let seed = head.seed.map_or_else(String::new, |seed| seed.to_string());
    let mut fields = vec![head.run.to_string(), seed, head.config_sha256.clone()];
    fields.extend(head.values.iter().map(|value| field(value)));
    let (status, why, document) = match end {
        End::Done(document) => ("ok", "", document),
        End::Refused(why) => ("refused", why.as_str(), &Value::Null),
        End::Failed(why) => ("failed", why.as_str(), &Value::Null),
    };
    fields.extend([status.to_owned(), field(why)]);
    fields.extend(COUNTS.map(|key| text(&document[key])));
    fields.extend(pnl().map(|part| text(&document["pnl"][part])));
    let liquidity = &document["liquidity"];
    fields.extend(["drawdown_max", "pnl_per_unit_of_risk"].map(|key| text(&liquidity[key])));
    for name in underlyings {
        fields.extend(["delta_end", "delta_max_abs"].map(|key| text(&document[key][*name])));
        fields.push(text(&liquidity["inventory"][*name]["mean_square"]));
    }
    fields.join(",")
}

/// The PnL's total, and the causes that sum to it.
fn pnl() -> impl Iterator<Item = &'static str> {
    std::iter::once("total").chain(Cause::ALL.map(Cause::name))
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => field(text),
        other => field(&other.to_string()),
    }
}

/// A field as RFC 4180 has it, on one line.
fn field(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_causes_of_a_row_are_all_there_are() {
        let columns = header(&[], &[]);
        let told = columns.split(',').filter(|column| column.starts_with("pnl_")).count();
        // The total, the ratio at the end, and a column a cause.
        assert_eq!(told, 2 + Cause::COUNT);
        assert!(columns.contains("pnl_rebalance_cost"), "{columns}");
    }

    #[test]
    fn every_line_has_the_header_s_columns() {
        let (keys, underlyings) = (["a.b", "c"], ["BTC"]);
        let columns = header(&keys, &underlyings).split(',').count();
        let values = ["1".to_owned(), "2".to_owned()];
        let head = Head { run: 1, seed: Some(7), config_sha256: "ab".into(), values: &values };
        let done = End::Done(json!({"fills": 3, "pnl": {"total": "1.5"}}));
        for end in [done, End::Refused("soft\nbeyond stop".into()), End::Failed("x".into())] {
            assert_eq!(line(&head, &end, &underlyings).split(',').count(), columns, "{end:?}");
        }
        let quoted = line(&head, &End::Failed("a, \"b\"".into()), &underlyings);
        assert!(quoted.contains(",failed,\"a, \"\"b\"\"\","), "{quoted}");
    }
}
