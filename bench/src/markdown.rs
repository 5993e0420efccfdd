//! The README's latency tables, from a result: one command, so that no figure is copied by hand.
//!
//! Fed by `--markdown FILE`; rows that a command did not measure are left out.

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
        "\n| ratio in the same run | median | 95 % | at most |\n| --- | --- | --- | --- |\n",
    );
    for ratio in result["ratios"].as_array().map_or(&[][..], Vec::as_slice) {
        if let Some(bound) = ratio["bound"].as_f64() {
            let value = &ratio["value"];
            let _ = writeln!(
                page,
                "| {} | {} | {} – {} | {:.2}{} |",
                text(&ratio["name"]),
                value["median"],
                value["ci95"][0],
                value["ci95"][1],
                bound,
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
    let [low, high] = [&typical["ci95"][0], &typical["ci95"][1]].map(ns);
    let median = ns(&typical["median"]);
    format!(" {median} | {low} – {high} |{}", tail(&measurement["distribution"]))
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
    }
}
