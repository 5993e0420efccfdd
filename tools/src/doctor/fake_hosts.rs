//! Every check on fake `/proc` and `/sys` trees: at least one host that passes it and one that does
//! not, so that no check can only praise or only blame.

use super::host::fake::Tree;
use super::{CHECKS, State};
use std::collections::BTreeMap;

type Case = (&'static str, State, &'static [(&'static str, &'static str)]);

/// Which check, what it must say with hot cores 2 and 3 behind eth0, and the files it finds.
const CASES: &[Case] = &[
    ("turbo", State::Ok, &[("sys/devices/system/cpu/intel_pstate/no_turbo", "1")]),
    ("turbo", State::Ok, &[("sys/devices/system/cpu/cpufreq/boost", "1")]),
    ("pcie-aspm", State::Ok, &[(ASPM, "default [performance] powersave powersupersave")]),
    ("pcie-aspm", State::Ok, &[(ASPM, "[default] performance"), ("proc/cmdline", "pcie_aspm=off")]),
    ("pcie-aspm", State::Warn, &[(ASPM, "[default] performance powersave powersupersave")]),
    ("pcie-aspm", State::Warn, &[(ASPM, "default performance [powersave] powersupersave")]),
    ("cores", State::Ok, TWO_NODES),
    ("cores", State::Fail, &[("sys/devices/system/cpu/online", "0-2")]),
    (
        "cores",
        State::Warn,
        &[
            ("sys/devices/system/cpu/online", "0-3"),
            ("sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2-3"),
            ("sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "2-3"),
        ],
    ),
    (
        "cores",
        State::Fail,
        &[
            ("sys/devices/system/cpu/online", "0-3"),
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/cpuset.cpus.effective", "0-2"),
        ],
    ),
    (
        "cores",
        State::Fail,
        &[
            ("sys/devices/system/cpu/online", "0-3"),
            ("proc/self/cgroup", "3:cpuset:/box\n"),
            ("sys/fs/cgroup/cpuset/box/cpuset.effective_cpus", "0,1"),
        ],
    ),
    ("smt", State::Ok, &[("sys/devices/system/cpu/smt/active", "0")]),
    ("smt", State::Warn, &[("sys/devices/system/cpu/smt/active", "1")]),
    ("isolation", State::Ok, &[("sys/devices/system/cpu/isolated", "2-3")]),
    ("isolation", State::Ok, &[("sys/fs/cgroup/cpuset.cpus.isolated", "2-3")]),
    ("isolation", State::Warn, &[("sys/devices/system/cpu/isolated", "2")]),
    ("nohz-full", State::Ok, &[("sys/devices/system/cpu/nohz_full", "1-3")]),
    ("nohz-full", State::Warn, &[("sys/devices/system/cpu/nohz_full", "")]),
    ("rcu-nocbs", State::Ok, &[("proc/cmdline", "ro rcu_nocbs=2"), (NOHZ_FULL, "3")]),
    (
        "rcu-nocbs",
        State::Ok,
        &[
            ("proc/cmdline", "rcu_nocbs=all"),
            ("sys/devices/system/cpu/possible", "0-3"),
            (NOHZ_FULL, "(null)"),
        ],
    ),
    ("rcu-nocbs", State::Ok, &[("proc/cmdline", "nohz_full=1-N"), (NOHZ_FULL, "1-3")]),
    ("rcu-nocbs", State::Warn, &[("proc/cmdline", "ro rcu_nocbs=2")]),
    ("irq-affinity", State::Ok, &[("proc/irq/24/effective_affinity_list", "0-1")]),
    (
        "irq-affinity",
        State::Warn,
        &[("proc/irq/24/effective_affinity_list", "3"), ("proc/irq/25/smp_affinity_list", "0")],
    ),
    ("irqbalance", State::Ok, &[("proc/1/comm", "systemd")]),
    ("irqbalance", State::Warn, &[("proc/77/comm", "irqbalance")]),
    ("workqueues", State::Ok, &[("sys/devices/virtual/workqueue/cpumask", "3")]),
    ("workqueues", State::Warn, &[("sys/devices/virtual/workqueue/cpumask", "00000000,0000000f")]),
    (
        "governor",
        State::Ok,
        &[
            ("sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "performance"),
            ("sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "performance"),
        ],
    ),
    (
        "governor",
        State::Warn,
        &[
            ("sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "performance"),
            ("sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "powersave"),
        ],
    ),
    (
        "energy-preference",
        State::Ok,
        &[("sys/devices/system/cpu/cpu2/cpufreq/energy_performance_preference", "performance")],
    ),
    (
        "energy-preference",
        State::Warn,
        &[("sys/devices/system/cpu/cpu2/cpufreq/energy_performance_preference", "balance_power")],
    ),
    (
        "idle-states",
        State::Ok,
        &[
            ("sys/devices/system/cpu/cpu2/cpuidle/state0/latency", "0"),
            ("sys/devices/system/cpu/cpu2/cpuidle/state0/disable", "0"),
            ("sys/devices/system/cpu/cpu2/cpuidle/state1/latency", "133"),
            ("sys/devices/system/cpu/cpu2/cpuidle/state1/disable", "1"),
            ("sys/devices/system/cpu/cpu3/cpuidle/state1/latency", "133"),
            ("sys/devices/system/cpu/cpu3/cpuidle/state1/disable", "0"),
            ("sys/devices/system/cpu/cpu3/power/pm_qos_resume_latency_us", "n/a"),
        ],
    ),
    (
        "idle-states",
        State::Warn,
        &[
            ("sys/devices/system/cpu/cpu2/cpuidle/state1/latency", "133"),
            ("sys/devices/system/cpu/cpu2/cpuidle/state1/disable", "0"),
            ("sys/devices/system/cpu/cpu2/power/pm_qos_resume_latency_us", "0"),
        ],
    ),
    (
        "idle-states",
        State::Ok,
        &[
            ("sys/devices/system/cpu/cpu2/cpuidle/state1/latency", "133"),
            ("sys/devices/system/cpu/cpu2/cpuidle/state1/disable", "0"),
            ("dev/cpu_dma_latency", "\0\0\0\0"),
        ],
    ),
    (
        "watchdog",
        State::Ok,
        &[
            ("proc/sys/kernel/nmi_watchdog", "0"),
            ("proc/sys/kernel/watchdog", "1"),
            ("proc/sys/kernel/watchdog_cpumask", "0-1"),
        ],
    ),
    (
        "watchdog",
        State::Ok,
        &[
            ("proc/sys/kernel/nmi_watchdog", "1"),
            ("proc/sys/kernel/watchdog", "1"),
            ("proc/sys/kernel/watchdog_cpumask", "0-1"),
        ],
    ),
    ("watchdog", State::Warn, &[("proc/sys/kernel/nmi_watchdog", "1")]),
    (
        "watchdog",
        State::Warn,
        &[
            ("proc/sys/kernel/nmi_watchdog", "0"),
            ("proc/sys/kernel/watchdog", "1"),
            ("proc/sys/kernel/watchdog_cpumask", "0-3"),
        ],
    ),
    (
        "mitigations",
        State::Ok,
        &[
            ("sys/devices/system/cpu/vulnerabilities/meltdown", "Not affected"),
            ("sys/devices/system/cpu/vulnerabilities/spectre_v2", "Mitigation: Retpolines"),
        ],
    ),
    ("mitigations", State::Warn, &[("proc/cmdline", "ro mitigations=off")]),
    (
        "mitigations",
        State::Warn,
        &[
            ("proc/cmdline", "ro nopti"),
            ("sys/devices/system/cpu/vulnerabilities/meltdown", "Vulnerable"),
            ("sys/devices/system/cpu/vulnerabilities/spectre_v2", "Mitigation: Retpolines"),
        ],
    ),
    ("clocksource", State::Ok, &[(CLOCKSOURCE, "tsc")]),
    ("clocksource", State::Warn, &[(CLOCKSOURCE, "kvm-clock")]),
    ("clocksource", State::Fail, &[(CLOCKSOURCE, "hpet")]),
    ("tsc", State::Ok, &[("proc/cpuinfo", "flags\t\t: fpu constant_tsc nonstop_tsc\n")]),
    ("tsc", State::Warn, &[("proc/cpuinfo", "flags\t\t: fpu constant_tsc\n")]),
    (
        "tsc",
        State::Warn,
        &[
            ("proc/cpuinfo", "flags\t\t: fpu constant_tsc nonstop_tsc\n"),
            (AVAILABLE, "hpet acpi_pm \n"),
        ],
    ),
    (
        "tsc",
        State::Ok,
        &[
            ("proc/cpuinfo", "flags\t\t: fpu constant_tsc nonstop_tsc\n"),
            (AVAILABLE, "kvm-clock tsc acpi_pm \n"),
        ],
    ),
    ("steal-time", State::Ok, &[("proc/stat", "cpu  5000 0 4000 90000 0 0 0 20 0 0\n")]),
    ("steal-time", State::Warn, &[("proc/stat", "cpu  5000 0 4000 90000 0 0 0 2000 0 0\n")]),
    ("transparent-hugepages", State::Ok, &[(HUGE, "always [madvise] never")]),
    ("transparent-hugepages", State::Warn, &[(HUGE, "[always] madvise never")]),
    ("samepage-merging", State::Ok, &[("sys/kernel/mm/ksm/run", "0")]),
    ("samepage-merging", State::Warn, &[("sys/kernel/mm/ksm/run", "1")]),
    ("numa-balancing", State::Ok, &[("proc/sys/kernel/numa_balancing", "0")]),
    ("numa-balancing", State::Warn, &[("proc/sys/kernel/numa_balancing", "1")]),
    ("swap", State::Ok, &[("proc/swaps", "Filename Type Size Used Priority\n")]),
    ("swap", State::Warn, &[("proc/swaps", "Filename Type\n/dev/sda2 partition 8388604 0 -2\n")]),
    ("memlock", State::Ok, &[(LIMITS, "Max locked memory         unlimited  unlimited  bytes\n")]),
    ("memlock", State::Warn, &[(LIMITS, "Max locked memory         8388608  8388608  bytes\n")]),
    ("vm-stat-interval", State::Ok, &[("proc/sys/vm/stat_interval", "120")]),
    ("vm-stat-interval", State::Warn, &[("proc/sys/vm/stat_interval", "1")]),
    ("numa-placement", State::Ok, TWO_NODES),
    (
        "numa-placement",
        State::Warn,
        &[
            ("sys/devices/system/cpu/online", "0-3"),
            ("sys/devices/system/node/node0/cpulist", "0-2"),
            ("sys/devices/system/node/node1/cpulist", "3"),
        ],
    ),
    ("nic-numa", State::Ok, TWO_NODES),
    (
        "nic-numa",
        State::Warn,
        &[
            ("sys/devices/system/cpu/online", "0-3"),
            ("sys/devices/system/node/node0/cpulist", "0-1"),
            ("sys/devices/system/node/node1/cpulist", "2-3"),
            ("sys/class/net/eth0/device/numa_node", "0"),
        ],
    ),
    ("nic-numa", State::Warn, &[("sys/class/net/ens5/device/numa_node", "0")]),
    ("receive-steering", State::Ok, &[("sys/class/net/eth0/queues/rx-0/rps_cpus", "00000000")]),
    ("receive-steering", State::Warn, &[("sys/class/net/eth0/queues/rx-0/rps_cpus", "f")]),
    ("busy-poll", State::Ok, &[("proc/sys/net/core/busy_read", "50")]),
    ("busy-poll", State::Warn, &[("proc/sys/net/core/busy_read", "0")]),
    ("irq-deferral", State::Ok, &[(BUSY_READ, "50"), (DEFER, "2"), (FLUSH, "200000")]),
    ("irq-deferral", State::Ok, &[(BUSY_READ, "0"), (DEFER, "0"), (FLUSH, "0")]),
    ("irq-deferral", State::Warn, &[(BUSY_READ, "50"), (DEFER, "2"), (FLUSH, "0")]),
    ("irq-deferral", State::Warn, &[(BUSY_READ, "0"), (DEFER, "2"), (FLUSH, "200000")]),
    ("slow-start", State::Ok, &[("proc/sys/net/ipv4/tcp_slow_start_after_idle", "0")]),
    ("slow-start", State::Warn, &[("proc/sys/net/ipv4/tcp_slow_start_after_idle", "1")]),
    ("rt-throttling", State::Ok, &[("proc/sys/kernel/sched_rt_runtime_us", "-1")]),
    ("rt-throttling", State::Warn, &[("proc/sys/kernel/sched_rt_runtime_us", "950000")]),
    ("rt-priority", State::Ok, &[(LIMITS, "Max realtime priority     50  50  \n")]),
    ("rt-priority", State::Warn, &[(LIMITS, "Max realtime priority     0  0  \n")]),
    (
        "cpu-quota",
        State::Ok,
        &[
            ("proc/self/cgroup", "0::/system.slice/ballast.service\n"),
            ("sys/fs/cgroup/system.slice/ballast.service/cpu.max", "max 100000\n"),
        ],
    ),
    (
        "cpu-quota",
        State::Fail,
        &[
            ("proc/self/cgroup", "0::/system.slice/ballast.service\n"),
            ("sys/fs/cgroup/system.slice/ballast.service/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/system.slice/cpu.max", "150000 100000\n"),
        ],
    ),
    (
        // A container sees its own group as the root, and the limit there.
        "cpu-quota",
        State::Fail,
        &[("proc/self/cgroup", "0::/init\n"), ("sys/fs/cgroup/cpu.max", "150000 100000\n")],
    ),
    (
        "cpu-quota",
        State::Fail,
        &[("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/cpu.max", "150000 100000\n")],
    ),
    (
        "cpu-quota",
        State::Ok,
        &[("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io")],
    ),
    (
        "cpu-quota",
        State::Ok,
        &[
            ("proc/self/cgroup", "4:cpu,cpuacct:/box\n0::/\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1"),
        ],
    ),
    (
        "cpu-quota",
        State::Fail,
        &[
            ("proc/self/cgroup", "1:cpu:/box/inner\n0::/\n"),
            ("sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "150000"),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1"),
        ],
    ),
    ("open-files", State::Ok, &[(LIMITS, "Max open files            65536  65536  files\n")]),
    ("open-files", State::Warn, &[(LIMITS, "Max open files            1024  4096  files\n")]),
    ("time-sync", State::Ok, &[("proc/5/comm", "chronyd")]),
    ("time-sync", State::Warn, &[("proc/5/comm", "systemd-timesyn")]),
    ("capabilities", State::Ok, &[("proc/self/status", "CapEff:\t0000000000000000\n")]),
    ("capabilities", State::Ok, &[("proc/self/status", "CapEff:\t0000000000804000\n")]),
    ("capabilities", State::Warn, &[("proc/self/status", "CapEff:\t000001ffffffffff\n")]),
];

/// Which check must say that it does not know, on which files.
const UNKNOWN: &[(&str, &[(&str, &str)])] = &[
    // Two cores that are there; nothing says what they share.
    ("cores", &[("sys/devices/system/cpu/online", "0-3")]),
    ("rcu-nocbs", &[("proc/cmdline", "ro rcu_nocbs=2-3")]),
    ("irq-affinity", &[("proc/irq/24/spurious", ""), ("proc/irq/25/smp_affinity_list", "0")]),
    ("mitigations", &[("proc/cmdline", "ro quiet")]),
    // The interface's node is known, the cores' are not.
    (
        "nic-numa",
        &[("sys/devices/system/cpu/online", "0-3"), ("sys/class/net/eth0/device/numa_node", "1")],
    ),
    // Both versions are mounted, and the cpu controller is nowhere.
    ("cpu-quota", &[("proc/self/cgroup", "4:memory:/\n0::/\n")]),
    ("irq-deferral", &[(BUSY_READ, "50")]),
];

/// Checks that only tell: what is better must be measured.
const TELL: [&str; 1] = ["turbo"];

const ASPM: &str = "sys/module/pcie_aspm/parameters/policy";
const NOHZ_FULL: &str = "sys/devices/system/cpu/nohz_full";
const BUSY_READ: &str = "proc/sys/net/core/busy_read";
const DEFER: &str = "sys/class/net/eth0/napi_defer_hard_irqs";
const FLUSH: &str = "sys/class/net/eth0/gro_flush_timeout";

const CLOCKSOURCE: &str = "sys/devices/system/clocksource/clocksource0/current_clocksource";
const AVAILABLE: &str = "sys/devices/system/clocksource/clocksource0/available_clocksource";
const HUGE: &str = "sys/kernel/mm/transparent_hugepage/enabled";
const LIMITS: &str = "proc/self/limits";

/// Cores 0 and 1 on node 0; 2, 3 and eth0 on node 1.
const TWO_NODES: &[(&str, &str)] = &[
    ("sys/devices/system/cpu/online", "0-3"),
    ("sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2"),
    ("sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "3"),
    ("sys/devices/system/cpu/cpu2/cache/index3/level", "3"),
    ("sys/devices/system/cpu/cpu2/cache/index3/shared_cpu_list", "2-3"),
    ("sys/devices/system/cpu/cpu3/cache/index3/level", "3"),
    ("sys/devices/system/cpu/cpu3/cache/index3/shared_cpu_list", "2-3"),
    ("sys/devices/system/node/node0/cpulist", "0-1"),
    ("sys/devices/system/node/node1/cpulist", "2-3"),
    ("sys/class/net/eth0/device/numa_node", "1"),
];

#[test]
fn every_check_tells_a_good_host_from_a_bad_one() {
    let mut seen: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
    for (id, expected, files) in CASES {
        let tree = Tree::of(files);
        let host = tree.host(&[2, 3]);
        let check = CHECKS.iter().find(|check| check.id == *id).unwrap();
        let finding = check.run(&host);
        assert_eq!(finding.state, *expected, "{id}: {finding:?}");
        assert_eq!(finding.mend.is_empty(), *expected == State::Ok, "{id}: {finding:?}");
        let (has_good, has_bad) = seen.entry(id).or_default();
        *has_good |= *expected == State::Ok;
        *has_bad |= *expected > State::Ok;
    }
    for check in CHECKS {
        let expected = (true, !TELL.contains(&check.id));
        assert_eq!(seen.get(check.id), Some(&expected), "{} lacks a case", check.id);
    }
}

#[test]
fn what_the_kernel_does_not_show_is_skipped_not_praised() {
    for (id, files) in UNKNOWN {
        let tree = Tree::of(files);
        let check = CHECKS.iter().find(|check| check.id == *id).unwrap();
        let finding = check.run(&tree.host(&[2, 3]));
        assert_eq!(finding.state, State::Skip, "{id}: {finding:?}");
    }
}

#[test]
fn isolated_cores_are_in_no_shells_mask_and_suit_all_the_same() {
    let mut files = TWO_NODES.to_vec();
    files.push(("proc/self/status", "Cpus_allowed_list:\t0-1\n"));
    files.push(("proc/self/cgroup", "0::/user.slice\n"));
    files.push(("sys/fs/cgroup/cpuset.cpus.effective", "0-3"));
    let tree = Tree::of(&files);
    let cores = CHECKS.iter().find(|check| check.id == "cores").unwrap();
    assert_eq!(cores.run(&tree.host(&[2, 3])).state, State::Ok);
}

#[test]
fn cores_that_are_not_the_runs_are_told() {
    let mut files = TWO_NODES.to_vec();
    let text = "[run]\nrunner = \"pinned\"\ncores = [1, 2, 3]\n[host]\ncores = [2, 3]\n";
    files.push(("run.toml", text));
    let tree = Tree::of(&files);
    let mut host = tree.host(&[]);
    host.configure(&host.root().join("run.toml")).unwrap();
    let cores = CHECKS.iter().find(|check| check.id == "cores").unwrap();
    let finding = cores.run(&host);
    assert_eq!(finding.state, State::Warn);
    assert!(finding.seen.contains("[run] gives the hot stages [1, 2, 3], examined are [2, 3]"));
    host.run_cores = vec![3, 2];
    assert_eq!(cores.run(&host).state, State::Ok, "the order is the stages' alone");
}

#[test]
fn without_named_cores_what_needs_them_is_skipped() {
    const NEED_CORES: [&str; 4] = ["cores", "watchdog", "numa-placement", "nic-numa"];
    let mut files = TWO_NODES.to_vec();
    files.push(("proc/sys/kernel/watchdog", "1"));
    let tree = Tree::of(&files);
    for check in CHECKS.iter().filter(|check| NEED_CORES.contains(&check.id)) {
        assert_eq!(check.run(&tree.host(&[])).state, State::Skip, "{}", check.id);
    }
}

#[test]
fn masks_are_read_in_groups_of_thirty_two_bits() {
    use super::processor::cores_of_mask;
    assert_eq!(cores_of_mask("00000001,80000002"), Some(vec![1, 31, 32]));
    assert_eq!(cores_of_mask("zz"), None);
}
