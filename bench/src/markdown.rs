//! The README's latency tables, from a result: one command, so that no figure is copied by hand.
//!
//! Fed by `--markdown FILE`; rows that a command did not measure are left out. A file that has the two marks
//! keeps all that stands around them: so the README takes its tables from a run.

use serde_json::Value;
use std::fmt::Write as _;

/// Which measurements stand in the README, and what they are called there.
const TIMES: [(&str, &str); 16] = [
    ("ring.floor.round_trip", "the machine's own cache-line ping-pong, round trip"),
    ("ring.slots.round_trip", "the hot ring, 56 bytes, round trip"),
    ("codec.read.new_order_single", "NewOrderSingle(D) read"),
    ("codec.read.execution_report", "ExecutionReport(8) read"),
    ("codec.read.refresh_of_10", "MarketDataIncrementalRefresh(X) of ten entries read"),
    ("codec.write.new_order_single.template", "NewOrderSingle(D) written"),
    ("engine.update_to_two_orders.decide", "decoded update to two intents"),
    ("engine.update_to_two_orders", "decoded update to two order messages"),
    ("tick_to_order", "FIX market data in, two order messages out, one thread"),
    ("tick_to_order.steady.response", "the same by a schedule, from when it was due"),
    ("wire.tcp_echo_of_its_sizes", "a bare TCP echo over loopback, round trip"),
    ("wire.tick_to_order", "market data to two orders over loopback TCP, round trip"),
    ("wire.tick_to_order.steady.response", "the same by a schedule, from when it was due"),
    ("ack.order_to_report", "an order and its report over loopback TCP"),
    ("backtest.recorded.message", "backtest, a recorded message"),
    ("backtest.synthetic.message", "backtest, a synthetic message"),
];

/// Between these lines of a file stand the tables.
const MARKS: [&str; 2] = ["<!-- ballast-bench: begin -->\n", "<!-- ballast-bench: end -->"];

/// What the file is to hold: `tables` alone, or in place of what stands between its marks.
pub fn placed(before: Option<&str>, tables: &str) -> String {
    let [begin, end] = MARKS;
    let parts = before.and_then(|text| {
        let (head, rest) = text.split_once(begin)?;
        let (_, tail) = rest.split_once(end)?;
        Some((head, tail))
    });
    match parts {
        Some((head, tail)) => format!("{head}{begin}{tables}{end}{tail}"),
        None => tables.to_owned(),
    }
}

/// Both tables, and where they come from.
pub fn tables(result: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
    let host = &result["host"];
    let mut page = format!(
        "`ballast-bench {}`, {}, commit {}; {}, Linux {}; the host was {}.\n\n\
         | ns | median of runs | 95 % | p99 | p99.9 | p99.99 | max | count |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        text(&result["command"]),
        text(&result["date"]),
        text(&result["commit"]),
        text(&host["cpu"]),
        text(&host["kernel"]),
        fitness(&result["fit"]),
    );
    for failure in result["failures"].as_array().map_or(&[][..], Vec::as_slice) {
        let _ = writeln!(page, "\nNot measured: {}", text(failure));
    }
    let measurements = result["measurements"].as_array().map_or(&[][..], Vec::as_slice);
    for (name, title) in TIMES {
        if let Some(found) = measurements.iter().find(|m| m["name"] == name) {
            let _ = writeln!(page, "| {title} |{}", cells(found));
        }
    }
    let gaps = &result["hiccups"]["gaps_ns"];
    let _ = writeln!(
        page,
        "| the host's own stalls of 500 ns or more | {} | |{}",
        ns(&gaps["p50"]),
        tail(gaps)
    );
    page.push_str(
        "\n| ratio in the same run | median | 95 % | promised, at most |\n| --- | --- | --- | --- |\n",
    );
    for ratio in result["ratios"].as_array().map_or(&[][..], Vec::as_slice) {
        if let Some(bound) = ratio["bound"].as_f64() {
            let value = &ratio["value"];
            let least = ratio["least"].as_f64().map(|least| format!("{least:.2} to "));
            let _ = writeln!(
                page,
                "| {} | {} | {} | {}{bound:.2}{} |",
                text(&ratio["name"]),
                value["median"].as_f64().map_or("not measured".to_owned(), |m| m.to_string()),
                interval(value, |end| end.to_string()),
                least.unwrap_or_default(),
                if ratio["holds"] == false { ", not kept" } else { "" },
            );
        }
    }
    page
}

fn fitness(fit: &Value) -> String {
    if fit["is_fit"] == true {
        return "fit to measure on".to_owned();
    }
    let reasons = fit["because"].as_array().map_or(&[][..], Vec::as_slice);
    let reasons: Vec<&str> = reasons.iter().filter_map(Value::as_str).collect();
    format!("NOT fit to measure on ({})", reasons.join("; "))
}

fn cells(measurement: &Value) -> String {
    let typical = &measurement["typical"];
    let median = ns(&typical["median"]);
    let interval = interval(typical, ns);
    format!(" {median} | {interval} |{}", tail(&measurement["distribution"]))
}

/// The 95 % interval, where there were runs enough for one.
fn interval(value: &Value, text: impl Fn(&Value) -> String) -> String {
    let [low, high] = [&value["ci95"][0], &value["ci95"][1]];
    if low.is_null() {
        return "too few runs".to_owned();
    }
    format!("{} – {}", text(low), text(high))
}

fn tail(distribution: &Value) -> String {
    ["p99", "p999", "p9999", "max", "count"].iter().fold(String::new(), |row, key| {
        let value =
            if *key == "count" { distribution[key].to_string() } else { ns(&distribution[key]) };
        row + &format!(" {} |", if distribution.is_null() { String::new() } else { value })
    })
}

/// Tenths below a microsecond, whole nanoseconds above.
fn ns(value: &Value) -> String {
    match value.as_f64() {
        Some(ns) if ns < 1_000.0 => format!("{ns:.1}"),
        Some(ns) => format!("{ns:.0}"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tables_go_between_the_marks_of_a_file_that_has_them() {
        let [begin, end] = MARKS;
        let readme = format!("# Ballast\n{begin}old\n{end}\nmore\n");
        let placed_in = placed(Some(&readme), "new\n");
        assert_eq!(placed_in, format!("# Ballast\n{begin}new\n{end}\nmore\n"));
        assert_eq!(placed(Some("no marks"), "new\n"), "new\n");
        assert_eq!(placed(None, "new\n"), "new\n");
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let ours = std::fs::read_to_string(root.join("README.md")).unwrap();
        assert!(placed(Some(&ours), "new\n").starts_with("# "), "the README has its marks");
    }

    #[test]
    fn the_tables_say_where_they_come_from_and_what_was_not_kept() {
        let page = tables(&json!({
            "command": "all", "date": "2026-01-01T00:00:00Z", "commit": "abc",
            "host": { "cpu": "x", "kernel": "6" },
            "fit": { "is_fit": false, "because": ["busy"] },
            "hiccups": { "gaps_ns": { "p50": 600.0, "p99": 1.0, "p999": 1.0, "p9999": 1.0, "max": 2e6, "count": 3 } },
            "measurements": [{
                "name": "tick_to_order", "typical": { "median": 1234.5, "ci95": [99.96, 2000.0] },
                "distribution": null,
            }],
            "ratios": [
                { "name": "a / b", "value": { "median": 1.2, "ci95": [1.1, 1.3] }, "bound": 1.1, "holds": false },
                { "name": "c", "value": { "median": 1.2, "ci95": [1.1, 1.3] }, "bound": null },
                { "name": "d", "value": null, "bound": 1.02, "least": 0.98, "holds": false },
            ],
        }));
        assert!(
            page.contains("commit abc; x, Linux 6; the host was NOT fit to measure on (busy).")
        );
        assert!(page.contains("one thread | 1234 | 100.0 – 2000 |  |  |  |  |  |"), "{page}");
        assert!(
            page.contains("| a / b | 1.2 | 1.1 – 1.3 | 1.10, not kept |")
                && !page.contains("| c |")
        );
        assert!(
            page.contains("| d | not measured | too few runs | 0.98 to 1.02, not kept |"),
            "{page}"
        );
    }
}
