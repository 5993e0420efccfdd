//! The README's latency tables, from a result: one command, so that no figure is copied by hand.
//!
//! Fed by `--markdown FILE`; rows that a command did not measure are left out. A file that has the two marks
//! keeps all that stands around them: so the README takes its tables from a run.

use serde_json::Value;
use std::fmt::Write as _;

/// Which measurements of which benchmark stand in the README, and what they are called there.
const TABLE: [(&str, &[(&str, &str)]); 8] = [
    (
        "ring",
        &[
            ("ring.floor.round_trip", "the machine's own cache-line ping-pong, round trip"),
            ("ring.slots.round_trip", "the hot ring, 56 bytes, round trip"),
        ],
    ),
    (
        "codec",
        &[
            ("codec.read.new_order_single", "NewOrderSingle(D) read"),
            ("codec.read.execution_report", "ExecutionReport(8) read"),
            ("codec.read.refresh_of_10", "MarketDataIncrementalRefresh(X) of ten entries read"),
            ("codec.write.new_order_single.template", "NewOrderSingle(D) written"),
        ],
    ),
    (
        "engine",
        &[
            ("engine.update_to_two_orders.decide", "decoded update to two intents"),
            ("engine.update_to_two_orders", "decoded update to two order messages"),
        ],
    ),
    (
        "tick-to-order",
        &[
            ("tick_to_order", "FIX market data in, two order messages out, one thread (1)"),
            ("tick_to_order.steady.response", "the same by a schedule, from when it was due (1)"),
        ],
    ),
    (
        "wire",
        &[
            ("wire.tcp_echo_of_its_sizes", "a bare TCP echo over loopback, round trip"),
            ("wire.tick_to_order", "market data to two orders over loopback TCP, round trip (1)"),
            (
                "wire.tick_to_order.steady.response",
                "the same by a schedule, from when it was due (1)",
            ),
            (
                "wire.live.tick_to_order",
                "the live system, fused: market data to two orders over loopback TCP, round trip (3)",
            ),
        ],
    ),
    ("ack", &[("ack.order_to_report", "an order and its report over loopback TCP (2)")]),
    (
        "backtest",
        &[
            ("backtest.recorded.message", "backtest, a recorded message"),
            (
                "backtest.recorded_with_decoding.message",
                "backtest, a recorded message with its decoding",
            ),
            ("backtest.synthetic.message", "backtest, a synthetic message"),
        ],
    ),
    ("scale", &[]),
];

/// What the figures above do not hold.
const NOTES: &str = "\nA tail is that of single events, or of the means of batches where a single one is near the \
     counter's own step: then the column *of* says so. \
     (1) The stages of the live system called one after the other, not the live system: without the FIX session, the \
     store, order entry's throttle, its index of live orders and its witness, the journal, the latency marks, and the \
     turns of a runner. (2) The codec and the sockets alone: without maker, session and store. (3) All that (1) leaves \
     out is in it: `live::run` over two FIX sessions, with a state folder, from the venue's write to its read of both \
     orders.\n";

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
    let host = &result["host"];
    let mut page = format!(
        "`ballast-bench {}`, {}, commit {} ({}); {}, Linux {}; the host was {}.\n\n\
         | ns | median of runs | 95 % | runs | p99 | p99.9 | p99.99 | max | count | of |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        text(&result["command"]),
        text(&result["date"]),
        text(&result["commit"]),
        build(&result["build"]),
        text(&host["cpu"]),
        text(&host["kernel"]),
        fitness(&result["fit"]),
    );
    let measurements = list(&result["measurements"]);
    let of_name = |name: &str| measurements.iter().find(|m| m["name"] == name);
    for (benchmark, rows) in TABLE {
        for (name, title) in rows {
            if let Some(found) = of_name(name) {
                // Of a ring's round trip single ones are timed too, for the tail.
                let tail = of_name(&format!("{name}.single")).unwrap_or(found);
                let _ = writeln!(page, "| {title} |{}", cells(found, &tail["distribution"]));
            }
        }
        let gaps = &result["hiccups_of"][benchmark]["gaps_ns"];
        if !gaps.is_null() {
            let title = format!("the host's own stalls of 500 ns or more during `{benchmark}`");
            let _ = writeln!(page, "| {title} | {} | | |{}", ns(&gaps["p50"]), tail(gaps));
        }
    }
    page.push_str(NOTES);
    for failure in list(&result["failures"]) {
        let _ = writeln!(page, "\nNot measured: {}", text(failure));
    }
    page.push_str(
        "\n| ratio in the same run | median | 95 % | runs | promised, at most |\n| --- | --- | --- | --- | --- |\n",
    );
    for ratio in list(&result["ratios"]).iter().filter(|ratio| ratio["bound"].is_number()) {
        let _ = writeln!(page, "| {} |{}", text(&ratio["name"]), promise(ratio));
    }
    page
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[][..], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("unknown").to_owned()
}

/// What a ratio is, and what was promised of it.
fn promise(ratio: &Value) -> String {
    let (value, bound) = (&ratio["value"], ratio["bound"].as_f64().unwrap_or_default());
    let median = value["median"].as_f64().map_or("not measured".to_owned(), |m| m.to_string());
    let interval = match bound {
        0.0 => "counted".to_owned(),
        _ => interval(value, |end| end.to_string()),
    };
    let runs =
        value["runs"].as_u64().filter(|_| bound != 0.0).map_or(String::new(), |n| n.to_string());
    let least = ratio["least"].as_f64().map_or(String::new(), |least| format!("{least:.2} to "));
    let kept = if ratio["holds"] == false { ", not kept" } else { "" };
    format!(" {median} | {interval} | {runs} | {least}{bound:.2}{kept} |")
}

/// How it was built, as far as it makes a difference.
fn build(build: &Value) -> String {
    format!(
        "{} build, LTO {}, {}",
        text(&build["profile"]),
        text(&build["lto"]),
        text(&build["rustc"])
    )
}

fn fitness(fit: &Value) -> String {
    if fit["is_fit"] == true {
        return "fit to measure on".to_owned();
    }
    let reasons: Vec<&str> = list(&fit["because"]).iter().filter_map(Value::as_str).collect();
    format!("NOT fit to measure on ({})", reasons.join("; "))
}

fn cells(measurement: &Value, distribution: &Value) -> String {
    let typical = &measurement["typical"];
    let (median, interval) = (ns(&typical["median"]), interval(typical, ns));
    let dropped = match measurement["runs_dropped"].as_u64() {
        None | Some(0) => String::new(),
        Some(count) => format!(", {count} dropped"),
    };
    format!(" {median} | {interval} | {}{dropped} |{}", typical["runs"], tail(distribution))
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
    ["p99", "p999", "p9999", "max", "count", "of"].iter().fold(String::new(), |row, key| {
        let value = match &distribution[key] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            count if *key == "count" => count.to_string(),
            value => ns(value),
        };
        row + &format!(" {value} |")
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
            "build": { "profile": "release", "lto": "fat", "rustc": "rustc 1.95.0" },
            "host": { "cpu": "x", "kernel": "6" },
            "fit": { "is_fit": false, "because": ["busy"] },
            "failures": ["wire: no loopback"],
            "measurements": [{
                "name": "tick_to_order",
                "typical": { "median": 1234.5, "ci95": [99.96, 2000.0], "runs": 9 },
                "runs_dropped": 2, "distribution": null,
            }],
            "ratios": [
                {
                    "name": "a / b", "value": { "median": 1.2, "ci95": [1.1, 1.3], "runs": 9 },
                    "bound": 1.1, "holds": false,
                },
                { "name": "c", "value": { "median": 1.2, "ci95": [1.1, 1.3] }, "bound": null },
                { "name": "d", "value": null, "bound": 1.02, "least": 0.98, "holds": false },
                { "name": "e", "value": { "median": 0.0, "ci95": null, "runs": 1 }, "bound": 0.0, "holds": true },
            ],
        }));
        for line in [
            "commit abc (release build, LTO fat, rustc 1.95.0); x, Linux 6; the host was NOT fit to \
             measure on (busy).",
            "one thread (1) | 1234 | 100.0 – 2000 | 9, 2 dropped |  |  |  |  |  |  |",
            "\nNot measured: wire: no loopback\n",
            "| a / b | 1.2 | 1.1 – 1.3 | 9 | 1.10, not kept |",
            "| d | not measured | too few runs |  | 0.98 to 1.02, not kept |",
            "| e | 0 | counted |  | 0.00 |",
        ] {
            assert!(page.contains(line), "{line}: {page}");
        }
        assert!(!page.contains("| c |"));
    }

    #[test]
    fn tails_are_those_of_single_events_where_there_are_any_and_say_what_they_are_of() {
        let of = |name: &str, of: &str, p99: f64| {
            let distribution =
                json!({ "of": of, "count": 3, "p99": p99, "p999": 7.0, "p9999": 8.0, "max": 9.0 });
            let typical = json!({ "median": 1.0, "ci95": [1.0, 1.0], "runs": 7 });
            json!({ "name": name, "typical": typical, "runs_dropped": 0, "distribution": distribution })
        };
        let stalls = |p50: f64| json!({ "gaps_ns": { "p50": p50, "of": "single events" } });
        let page = tables(&json!({
            "measurements": [
                of("ring.slots.round_trip", "batch means", 5.0),
                of("ring.slots.round_trip.single", "single events", 6.0),
                of("codec.read.new_order_single", "batch means", 5.0),
            ],
            "hiccups_of": { "ring": stalls(600.0), "codec": stalls(700.0) },
        }));
        let [ring, ring_host, codec, codec_host] =
            ["the hot ring", "`ring` | 600.0", "(D) read", "`codec` | 700.0"]
                .map(|text| page.find(text).unwrap_or_else(|| panic!("{text}: {page}")));
        assert!(ring < ring_host && ring_host < codec && codec < codec_host, "{page}");
        assert!(page[ring..].contains("| 7 | 6.0 | 7.0 | 8.0 | 9.0 | 3 | single events |"));
        assert!(page[codec..].contains("| 7 | 5.0 | 7.0 | 8.0 | 9.0 | 3 | batch means |"));
    }
}
