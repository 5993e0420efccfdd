//! What host a figure comes from, and whether it was fit to measure on.
//!
//! Facts go into every result; what the kernel does not tell is `null`. The verdict is given after the
//! run, from the host's own stalls before it and meanwhile, its floor, and what else ran.

use crate::hiccup::Hiccups;
use ballast_engine::clock::Source;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

/// What may change during a run: taken before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Runnable threads besides ours, over the last minute.
    pub load_1m: f64,
    /// Time that the hypervisor gave to others, all cores, in clock ticks (10 ms).
    pub steal_ticks: u64,
    /// Time spent by all cores in all states, in clock ticks.
    pub all_ticks: u64,
}

impl Load {
    /// From `/proc/loadavg` and `/proc/stat` below `root`.
    pub fn read(root: &Path) -> Load {
        let load_1m = text(root, "proc/loadavg")
            .and_then(|line| line.split(' ').next()?.parse().ok())
            .unwrap_or_default();
        let ticks: Vec<u64> = text(root, "proc/stat")
            .and_then(|all| all.lines().next().map(str::to_owned))
            .map(|line| line.split_whitespace().skip(1).flat_map(str::parse).collect())
            .unwrap_or_default();
        // user nice system idle iowait irq softirq steal; guest time is in user already.
        Load {
            load_1m,
            steal_ticks: ticks.get(7).copied().unwrap_or_default(),
            all_ticks: ticks.iter().take(8).sum(),
        }
    }
}

/// All facts about the host below `root` ("/" but in tests), of a core those of the one that is measured on.
pub fn facts(root: &Path, counter: &ballast_engine::clock::Counter, core: usize) -> Value {
    let cpuinfo = text(root, "proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        cpuinfo
            .lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
    };
    let flags = field("flags").unwrap_or_default();
    let has = |flag: &str| flags.split(' ').any(|f| f == flag);
    let sys = |path: &str| text(root, path);
    let of_core = |file: &str| sys(&format!("sys/devices/system/cpu/cpu{core}/cpufreq/{file}"));
    json!({
        "cpu": field("model name"),
        "cores_online": sys("sys/devices/system/cpu/online"),
        "is_virtual": has("hypervisor"),
        "kernel": sys("proc/sys/kernel/osrelease"),
        "command_line": sys("proc/cmdline"),
        "governor": of_core("scaling_governor"),
        "energy_preference": of_core("energy_performance_preference"),
        "turbo_off": sys("sys/devices/system/cpu/intel_pstate/no_turbo"),
        "boost": sys("sys/devices/system/cpu/cpufreq/boost"),
        "isolated": sys("sys/devices/system/cpu/isolated"),
        "nohz_full": sys("sys/devices/system/cpu/nohz_full"),
        "smt": sys("sys/devices/system/cpu/smt/active"),
        "transparent_hugepage": sys("sys/kernel/mm/transparent_hugepage/enabled"),
        "clocksource": sys("sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "clocksources": sys("sys/devices/system/clocksource/clocksource0/available_clocksource"),
        "tsc_invariant": has("constant_tsc") && has("nonstop_tsc"),
        "counter": format!("{:?}", counter.source()),
        "counter_steps_per_second": counter.steps_per_second(),
        "mitigations": mitigations(root),
    })
}

fn mitigations(root: &Path) -> Value {
    let folder = root.join("sys/devices/system/cpu/vulnerabilities");
    let mut found: Vec<(String, Value)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let state = fs::read_to_string(entry.path()).ok()?.trim().to_owned();
            // "Vulnerable" says as much of what a system call costs as "Mitigation" does.
            (state != "Not affected")
                .then(|| (entry.file_name().to_string_lossy().into_owned(), state.into()))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Value::Object(found.into_iter().collect::<Map<_, _>>())
}

/// Which part of the time between two looks the hypervisor gave to others, in percent.
pub fn steal_percent(before: Load, after: Load) -> f64 {
    let all = after.all_ticks.saturating_sub(before.all_ticks).max(1);
    after.steal_ticks.saturating_sub(before.steal_ticks) as f64 * 100.0 / all as f64
}

/// The floor up to which absolute figures are promised, in ns.
pub const FLOOR_MAX: f64 = 110.0;

/// What the verdict of fitness is given by.
pub struct Evidence<'a> {
    /// Before anything was measured.
    pub before: Load,
    /// After it.
    pub after: Load,
    /// What a spinning thread saw before anything was measured.
    pub jitter_floor: &'a Hiccups,
    /// And between the runs.
    pub meanwhile: &'a Hiccups,
    /// The cache-line ping-pong before anything was measured, in ns.
    pub floor_ns: Option<f64>,
    /// What timed everything.
    pub counter: Source,
    /// Whether the build checks what a release does not.
    pub has_debug_assertions: bool,
}

/// Why absolute figures mean little; empty where they do. Ratios to the floor of the same run may still hold.
pub fn unfit_because(evidence: &Evidence<'_>) -> Vec<String> {
    let Evidence { before, after, .. } = *evidence;
    let mut reasons = Vec::new();
    if evidence.has_debug_assertions {
        reasons.push("a debug build was measured".to_owned());
    }
    if evidence.counter == Source::Monotonic {
        reasons.push("there is no invariant time stamp counter".to_owned());
    }
    if before.load_1m > 0.5 {
        reasons.push(format!("{:.1} other threads were runnable before the run", before.load_1m));
    }
    let steal_percent = steal_percent(before, after);
    if steal_percent > 0.1 {
        reasons.push(format!("the hypervisor took {steal_percent:.1} % of the time"));
    }
    match evidence.floor_ns {
        None => reasons.push("the cache-line floor was not measured".to_owned()),
        Some(ns) if ns > FLOOR_MAX => {
            reasons.push(format!("the cache-line floor was {ns:.0} ns, above {FLOOR_MAX:.0}"));
        }
        Some(_) => (),
    }
    for (hiccups, when) in
        [(evidence.jitter_floor, "before the run "), (evidence.meanwhile, "between the runs ")]
    {
        if hiccups.watched_ns == 0 {
            reasons.push(format!("{when}nobody watched for the host's stalls"));
        } else if hiccups.lost_percent() > 0.1 {
            reasons.push(format!(
                "{when}a spinning thread was kept away {:.2} % of the time, at most {:.0} µs at once",
                hiccups.lost_percent(),
                hiccups.gaps.max() / 1_000.0
            ));
        }
    }
    reasons
}

/// What was built, as `build.rs` found it then: where and when it runs says nothing of that.
pub fn build() -> Value {
    json!({
        "profile": env!("BALLAST_BENCH_PROFILE"),
        "opt_level": env!("BALLAST_BENCH_OPT_LEVEL"),
        "lto": env!("BALLAST_BENCH_LTO"),
        "codegen_units": env!("BALLAST_BENCH_CODEGEN_UNITS"),
        "rustflags": env!("BALLAST_BENCH_RUSTFLAGS"),
        "rustc": env!("BALLAST_BENCH_RUSTC"),
        "has_debug_assertions": cfg!(debug_assertions),
    })
}

/// The commit that was built, with a plus where its sources had been changed; `None` outside a repository.
pub fn commit() -> Option<&'static str> {
    Some(env!("BALLAST_BENCH_COMMIT")).filter(|commit| !commit.is_empty())
}

fn text(root: &Path, path: &str) -> Option<String> {
    fs::read_to_string(root.join(path)).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_fit_only_where_nothing_speaks_against_it() {
        let quiet = Load { load_1m: 0.1, steal_ticks: 5, all_ticks: 1_000 };
        let mut watched = Hiccups::new();
        watched.watched_ns = 1_000_000;
        let mut disturbed = watched.clone();
        disturbed.lost_ns = 5_000;
        let unwatched = Hiccups::new();
        let fit = || Evidence {
            before: quiet,
            after: Load { all_ticks: 3_000, ..quiet },
            jitter_floor: &watched,
            meanwhile: &watched,
            floor_ns: Some(FLOOR_MAX),
            counter: Source::Tsc,
            has_debug_assertions: false,
        };
        assert_eq!(unfit_because(&fit()), Vec::<String>::new());
        let stolen = Load { steal_ticks: 25, all_ticks: 3_000, ..quiet };
        let busy = Load { load_1m: 2.0, ..quiet };
        for (evidence, reason) in [
            (Evidence { before: busy, ..fit() }, "2.0 other threads"),
            (Evidence { after: stolen, ..fit() }, "took 1.0 %"),
            (Evidence { jitter_floor: &disturbed, ..fit() }, "before the run a spinning thread"),
            (Evidence { meanwhile: &disturbed, ..fit() }, "between the runs a spinning thread"),
            (Evidence { jitter_floor: &unwatched, ..fit() }, "before the run nobody watched"),
            (Evidence { meanwhile: &unwatched, ..fit() }, "between the runs nobody watched"),
            (Evidence { floor_ns: Some(131.0), ..fit() }, "floor was 131 ns, above 110"),
            (Evidence { floor_ns: None, ..fit() }, "floor was not measured"),
            (Evidence { counter: Source::Monotonic, ..fit() }, "no invariant"),
            (Evidence { has_debug_assertions: true, ..fit() }, "debug build"),
        ] {
            let reasons = unfit_because(&evidence);
            assert!(reasons.len() == 1 && reasons[0].contains(reason), "{reason}: {reasons:?}");
        }
    }

    #[test]
    fn a_build_says_what_it_is() {
        let build = build();
        assert!(build["rustc"].as_str().unwrap().starts_with("rustc "), "{build}");
        assert_eq!(build["has_debug_assertions"], cfg!(debug_assertions));
        assert!(!build["profile"].as_str().unwrap().is_empty() && build["lto"].is_string());
    }

    #[test]
    fn facts_are_the_measured_cores_and_what_is_not_told_is_null() {
        let root = std::env::temp_dir().join(format!("ballast-bench-facts-{}", std::process::id()));
        let put = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put(
            "proc/cpuinfo",
            "model name\t: Fast 9000\nflags\t\t: fpu constant_tsc nonstop_tsc hypervisor\n",
        );
        put("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
        put("sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "performance\n");
        put("sys/devices/system/cpu/cpu3/cpufreq/energy_performance_preference", "balance_power\n");
        put("sys/devices/system/cpu/vulnerabilities/spectre_v2", "Mitigation: Retpolines\n");
        put("sys/devices/system/cpu/vulnerabilities/mds", "Vulnerable: no microcode\n");
        put("sys/devices/system/cpu/vulnerabilities/meltdown", "Not affected\n");
        let facts = facts(&root, &ballast_engine::clock::Counter::monotonic(), 3);
        fs::remove_dir_all(&root).unwrap();
        for (key, value) in [
            ("cpu", json!("Fast 9000")),
            ("is_virtual", json!(true)),
            ("tsc_invariant", json!(true)),
            ("governor", json!("performance")),
            ("energy_preference", json!("balance_power")),
            (
                "mitigations",
                json!({ "mds": "Vulnerable: no microcode", "spectre_v2": "Mitigation: Retpolines" }),
            ),
            ("counter", json!("Monotonic")),
            ("boost", Value::Null),
        ] {
            assert_eq!(facts[key], value, "{key}");
        }
    }

    #[test]
    fn load_and_steal_are_read_from_the_kernels_files() {
        let root = std::env::temp_dir().join(format!("ballast-bench-host-{}", std::process::id()));
        fs::create_dir_all(root.join("proc")).unwrap();
        fs::write(root.join("proc/loadavg"), "0.52 0.58 0.59 1/467 5678\n").unwrap();
        fs::write(root.join("proc/stat"), "cpu  10 1 20 300 4 5 6 7 8 0\ncpu0 1 1\n").unwrap();
        let load = Load::read(&root);
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(load, Load { load_1m: 0.52, steal_ticks: 7, all_ticks: 353 });
    }
}
