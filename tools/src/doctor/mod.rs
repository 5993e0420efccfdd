//! `ballast doctor`: this host against tuning.md, item by item, with the same identifiers.
//!
//! Reads `/proc` and `/sys` below a root that tests replace; feeds `cli/doctor.rs`. Deliberately
//! absent: changing anything (each finding names the command that would), and what only `ethtool` or
//! the firmware can tell (tuning.md marks those items "not checked").

mod host;
mod memory;
mod network;
mod process;
mod processor;

#[cfg(test)]
mod fake_hosts;

pub use host::{Host, HostConfigError};

use serde_json::{Value, json};

/// How an item stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum State {
    /// The kernel does not say, or the item does not apply here.
    Skip,
    /// As tuning.md advises.
    Ok,
    /// Costs latency or certainty.
    Warn,
    /// Ballast should not trade on this host as it is.
    Fail,
}

impl State {
    /// The word in the listing and in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            State::Skip => "skip",
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "fail",
        }
    }
}

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How the item stands.
    pub state: State,
    /// What was seen, for people.
    pub seen: String,
    /// The command or boot parameter that mends it; empty where nothing is to be mended.
    pub mend: String,
}

impl Finding {
    fn skip(seen: impl Into<String>) -> Finding {
        Finding { state: State::Skip, seen: seen.into(), mend: String::new() }
    }

    fn ok(seen: impl Into<String>) -> Finding {
        Finding { state: State::Ok, seen: seen.into(), mend: String::new() }
    }

    fn warn(seen: impl Into<String>, mend: impl Into<String>) -> Finding {
        Finding { state: State::Warn, seen: seen.into(), mend: mend.into() }
    }

    fn fail(seen: impl Into<String>, mend: impl Into<String>) -> Finding {
        Finding { state: State::Fail, seen: seen.into(), mend: mend.into() }
    }
}

/// One item of tuning.md that a program can check.
pub struct Check {
    /// The identifier, the same as in tuning.md.
    pub id: &'static str,
    look: fn(&Host) -> Finding,
}

impl Check {
    /// Looks at `host`.
    pub fn run(&self, host: &Host) -> Finding {
        (self.look)(host)
    }
}

/// All checks, in tuning.md's order.
pub const CHECKS: &[Check] = &[
    Check { id: "turbo", look: processor::turbo },
    Check { id: "pcie-aspm", look: processor::pcie_aspm },
    Check { id: "cores", look: processor::cores },
    Check { id: "smt", look: processor::smt },
    Check { id: "isolation", look: processor::isolation },
    Check { id: "nohz-full", look: processor::nohz_full },
    Check { id: "rcu-nocbs", look: processor::rcu_nocbs },
    Check { id: "irq-affinity", look: processor::irq_affinity },
    Check { id: "irqbalance", look: processor::irqbalance },
    Check { id: "workqueues", look: processor::workqueues },
    Check { id: "governor", look: processor::governor },
    Check { id: "energy-preference", look: processor::energy_preference },
    Check { id: "idle-states", look: processor::idle_states },
    Check { id: "watchdog", look: processor::watchdog },
    Check { id: "mitigations", look: processor::mitigations },
    Check { id: "clocksource", look: processor::clocksource },
    Check { id: "tsc", look: processor::tsc },
    Check { id: "steal-time", look: processor::steal_time },
    Check { id: "transparent-hugepages", look: memory::transparent_hugepages },
    Check { id: "samepage-merging", look: memory::samepage_merging },
    Check { id: "numa-balancing", look: memory::numa_balancing },
    Check { id: "swap", look: memory::swap },
    Check { id: "memlock", look: memory::memlock },
    Check { id: "vm-stat-interval", look: memory::vm_stat_interval },
    Check { id: "numa-placement", look: memory::numa_placement },
    Check { id: "nic-numa", look: network::nic_numa },
    Check { id: "receive-steering", look: network::receive_steering },
    Check { id: "busy-poll", look: network::busy_poll },
    Check { id: "irq-deferral", look: network::irq_deferral },
    Check { id: "slow-start", look: network::slow_start },
    Check { id: "rt-throttling", look: process::rt_throttling },
    Check { id: "rt-priority", look: process::rt_priority },
    Check { id: "cpu-quota", look: process::cpu_quota },
    Check { id: "open-files", look: process::open_files },
    Check { id: "time-sync", look: process::time_sync },
    Check { id: "capabilities", look: process::capabilities },
];

/// Every check's finding on `host`, in order.
pub fn examine(host: &Host) -> Vec<(&'static str, Finding)> {
    CHECKS.iter().map(|check| (check.id, check.run(host))).collect()
}

/// The findings as one JSON document.
pub fn to_json(host: &Host, findings: &[(&'static str, Finding)]) -> Value {
    let count = |state| findings.iter().filter(|(_, finding)| finding.state == state).count();
    let checks: Vec<Value> = findings
        .iter()
        .map(|(id, finding)| {
            json!({
                "id": id,
                "state": finding.state.word(),
                "seen": finding.seen,
                "mend": (!finding.mend.is_empty()).then_some(&finding.mend),
            })
        })
        .collect();
    json!({
        "cores": host.cores,
        "nic": host.nic,
        "pid": host.pid,
        "ok": count(State::Ok),
        "warn": count(State::Warn),
        "fail": count(State::Fail),
        "skip": count(State::Skip),
        "checks": checks,
    })
}

/// The findings for people: one line each, the mending command below what is not ok.
pub fn to_text(findings: &[(&'static str, Finding)]) -> String {
    let mut text = String::new();
    for (id, finding) in findings {
        text.push_str(&format!("{:<5} {id:<22} {}\n", finding.state.word(), finding.seen));
        if !finding.mend.is_empty() {
            text.push_str(&format!("      {:<22} → {}\n", "", finding.mend));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn tuning_md() -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        std::fs::read_to_string(root.join("tuning.md")).unwrap()
    }

    /// Headings of tuning.md: identifier, and whether it says that it is not checked.
    fn headings() -> Vec<(String, bool)> {
        tuning_md()
            .lines()
            .filter_map(|line| line.strip_prefix("### `"))
            .map(|rest| {
                let (id, rest) = rest.split_once('`').unwrap();
                (id.to_owned(), rest.contains("not checked"))
            })
            .collect()
    }

    #[test]
    fn every_check_stands_in_tuning_md_and_every_checkable_item_is_checked_in_its_order() {
        let checked: Vec<String> =
            headings().into_iter().filter(|(_, is_not)| !is_not).map(|(id, _)| id).collect();
        let checks: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
        assert_eq!(checked, checks);
    }

    #[test]
    fn no_item_of_tuning_md_stands_twice() {
        let mut ids: Vec<String> = headings().into_iter().map(|(id, _)| id).collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn every_item_of_tuning_md_says_what_why_how_how_to_undo_it_and_where_that_stands() {
        let text = tuning_md();
        let (items, sources) = text.split_once("\n## Sources\n").unwrap();
        let numbers = sources.lines().filter_map(|line| line.split_once(". ")).count();
        let mut cited = std::collections::BTreeSet::new();
        for item in items.split("\n### ").skip(1) {
            let item = item.split("\n## ").next().unwrap();
            for part in ["*What:*", "*Why:*", "*How:*", "*Undo", "*Source:*"] {
                assert!(item.contains(part), "{part} is missing in {item}");
            }
            let (_, of) = item.rsplit_once("*Source:*").unwrap();
            cited.extend(of.split(['[', ']']).filter_map(|part| part.parse::<usize>().ok()));
        }
        assert_eq!(cited.into_iter().collect::<Vec<_>>(), (1..=numbers).collect::<Vec<_>>());
    }

    #[test]
    fn a_host_that_shows_nothing_is_skipped_not_praised() {
        let host = Host::at(Path::new("/nonexistent-root"));
        for (id, finding) in examine(&host) {
            assert!(finding.state != State::Ok, "{id}: {finding:?}");
        }
    }

    #[test]
    fn the_document_counts_its_findings() {
        let host = Host::at(Path::new("/nonexistent-root"));
        let findings = vec![
            ("a", Finding::ok("x")),
            ("b", Finding::warn("y", "do z")),
            ("c", Finding::fail("y", "do z")),
        ];
        let document = to_json(&host, &findings);
        assert_eq!(
            (&document["ok"], &document["warn"], &document["fail"]),
            (&json!(1), &json!(1), &json!(1))
        );
        assert_eq!(document["checks"][0]["mend"], Value::Null);
        assert!(to_text(&findings).contains("→ do z"));
    }
}
