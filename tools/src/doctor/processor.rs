//! Checks of the processor: cores, interruptions, power states, clocks.

use super::{Finding, Host};
use ballast_engine::pin::{self, PinFault, Topology};

pub(super) const UNNAMED: &str =
    "no cores are named; give --cores, or cores in the [host] or [run] of a config";

pub(super) fn cores(host: &Host) -> Finding {
    let topology = Topology::read(host.root());
    if topology.cores.is_empty() {
        return Finding::skip("the kernel shows no topology");
    }
    if host.cores.is_empty() {
        return Finding::skip(UNNAMED);
    }
    let faults = topology.check(&host.cores, None);
    let all: Vec<String> = faults.iter().map(PinFault::to_string).collect();
    if faults.iter().any(PinFault::is_fatal) {
        return Finding::fail(all.join("; "), format!("choose from {}", topology.list()));
    }
    if let Some(allowed) = allowed_list(host) {
        let missing = host.hot_cores_missing_from(&allowed);
        if !missing.is_empty() {
            return Finding::fail(
                format!("this process may not run on {missing:?}"),
                format!("start it with AllowedCPUs= or taskset that include {}", host.cores_text()),
            );
        }
    }
    if all.is_empty() {
        return Finding::ok(format!("{} suit", host.cores_text()));
    }
    Finding::warn(all.join("; "), format!("choose from {}", topology.list()))
}

fn allowed_list(host: &Host) -> Option<Vec<usize>> {
    let status = host.text("proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    Some(pin::parse_list(line))
}

pub(super) fn smt(host: &Host) -> Finding {
    match host.number("sys/devices/system/cpu/smt/active") {
        None => Finding::skip("the kernel does not say"),
        Some(0) => Finding::ok("off"),
        Some(_) => Finding::warn(
            "siblings share a core's units and caches",
            "echo off > /sys/devices/system/cpu/smt/control (boot: nosmt)",
        ),
    }
}

/// A list file that should hold every hot core.
fn should_hold_hot_cores(host: &Host, path: &str, mend: String) -> Finding {
    let Some(listed) = host.list(path) else {
        return Finding::skip("the kernel does not say");
    };
    if host.cores.is_empty() {
        return Finding::skip(UNNAMED);
    }
    match host.hot_cores_missing_from(&listed).as_slice() {
        [] => Finding::ok(format!("{} covered", host.cores_text())),
        missing => Finding::warn(format!("not covered: {missing:?}"), mend),
    }
}

pub(super) fn isolation(host: &Host) -> Finding {
    let cores = host.cores_text();
    // A cpuset partition isolates without a reboot and does not show in cpu/isolated.
    let by_cpuset = host.list("sys/fs/cgroup/cpuset.cpus.isolated").unwrap_or_default();
    if !host.cores.is_empty() && host.hot_cores_missing_from(&by_cpuset).is_empty() {
        return Finding::ok(format!("{cores} isolated by a cpuset partition"));
    }
    let mend = format!("boot: isolcpus=managed_irq,domain,{cores}");
    should_hold_hot_cores(host, "sys/devices/system/cpu/isolated", mend)
}

pub(super) fn nohz_full(host: &Host) -> Finding {
    let mend = format!("boot: nohz_full={}", host.cores_text());
    should_hold_hot_cores(host, "sys/devices/system/cpu/nohz_full", mend)
}

pub(super) fn rcu_nocbs(host: &Host) -> Finding {
    if host.text("proc/cmdline").is_none() {
        return Finding::skip("the kernel does not say");
    }
    if host.cores.is_empty() {
        return Finding::skip(UNNAMED);
    }
    // nohz_full implies rcu_nocbs for the same cores.
    let covered: Vec<usize> =
        ["rcu_nocbs", "nohz_full"].iter().flat_map(|name| host.boot_cores(name)).collect();
    match host.hot_cores_missing_from(&covered).as_slice() {
        [] => Finding::ok("callbacks run elsewhere"),
        missing => Finding::warn(
            format!("RCU callbacks run on {missing:?}"),
            format!("boot: rcu_nocbs={}", host.cores_text()),
        ),
    }
}

pub(super) fn irq_affinity(host: &Host) -> Finding {
    let numbers: Vec<String> = host
        .entries("proc/irq")
        .into_iter()
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    if numbers.is_empty() {
        return Finding::skip("the kernel shows no interrupts");
    }
    if host.cores.is_empty() {
        return Finding::skip(UNNAMED);
    }
    let on_hot: Vec<String> = numbers
        .into_iter()
        .filter(|number| {
            let at = |file: &str| host.list(&format!("proc/irq/{number}/{file}"));
            at("effective_affinity_list")
                .filter(|list| !list.is_empty())
                .or_else(|| at("smp_affinity_list"))
                .is_some_and(|list| list.iter().any(|core| host.cores.contains(core)))
        })
        .collect();
    if on_hot.is_empty() {
        return Finding::ok("no interrupt comes to a hot core");
    }
    Finding::warn(
        format!("interrupts that come to hot cores: {}", on_hot.join(" ")),
        format!(
            "for i in {}; do echo HOUSEKEEPING > /proc/irq/$i/smp_affinity_list; done \
             (boot: irqaffinity=HOUSEKEEPING)",
            on_hot.join(" ")
        ),
    )
}

pub(super) fn irqbalance(host: &Host) -> Finding {
    match host.running(&["irqbalance"]) {
        None => Finding::skip("no /proc"),
        Some(found) if found.is_empty() => Finding::ok("not running"),
        Some(_) => Finding::warn(
            "running: it moves interrupts back to hot cores unless they are banned",
            "systemctl disable --now irqbalance, or IRQBALANCE_BANNED_CPULIST in its defaults",
        ),
    }
}

pub(super) fn workqueues(host: &Host) -> Finding {
    let path = "sys/devices/virtual/workqueue/cpumask";
    let Some(mask) = host.text(path).and_then(|text| cores_of_mask(&text)) else {
        return Finding::skip("the kernel does not say");
    };
    if host.cores.is_empty() {
        return Finding::skip(UNNAMED);
    }
    let shared: Vec<usize> =
        host.cores.iter().copied().filter(|core| mask.contains(core)).collect();
    if shared.is_empty() {
        return Finding::ok("unbound kernel work stays off the hot cores");
    }
    Finding::warn(
        format!("unbound kernel work may run on {shared:?}"),
        format!("echo MASK-WITHOUT-{} > /{path}", host.cores_text()),
    )
}

/// The cores of a mask as the kernel writes it: hexadecimal, in groups of 32 bits, highest first.
pub(super) fn cores_of_mask(text: &str) -> Option<Vec<usize>> {
    let mut cores = Vec::new();
    for (group, word) in text.trim().split(',').rev().enumerate() {
        let bits = u32::from_str_radix(word, 16).ok()?;
        cores.extend((0..32).filter(|bit| bits >> bit & 1 == 1).map(|bit| group * 32 + bit));
    }
    Some(cores)
}

/// The hot cores, or all online ones where none are named.
fn cores_to_look_at(host: &Host) -> Vec<usize> {
    if host.cores.is_empty() {
        return host.list("sys/devices/system/cpu/online").unwrap_or_default();
    }
    host.cores.clone()
}

/// A file of each core that should hold one word.
fn should_be(host: &Host, file: &str, wanted: &str) -> Finding {
    let values: Vec<(usize, String)> = cores_to_look_at(host)
        .into_iter()
        .filter_map(|core| {
            let text = host.text(&format!("sys/devices/system/cpu/cpu{core}/cpufreq/{file}"))?;
            Some((core, text))
        })
        .collect();
    if values.is_empty() {
        return Finding::skip("no frequency scaling here (the hypervisor's or the firmware's)");
    }
    match values.iter().find(|(_, value)| value != wanted) {
        None => Finding::ok(wanted),
        Some((core, value)) => Finding::warn(
            format!("core {core}: {value}"),
            format!("echo {wanted} | tee /sys/devices/system/cpu/cpu*/cpufreq/{file}"),
        ),
    }
}

pub(super) fn governor(host: &Host) -> Finding {
    should_be(host, "scaling_governor", "performance")
}

pub(super) fn energy_preference(host: &Host) -> Finding {
    should_be(host, "energy_performance_preference", "performance")
}

/// How long a hot core may take to wake.
const WAKE_US_MAX: i32 = 2;

pub(super) fn idle_states(host: &Host) -> Finding {
    // Held open for all cores at once: nothing else matters then.
    if let Some(us @ 0..=WAKE_US_MAX) = host.dma_latency_us() {
        return Finding::ok(format!("/dev/cpu_dma_latency is held at {us} µs"));
    }
    let mut has_states = false;
    let mut slow: Vec<String> = Vec::new();
    for core in cores_to_look_at(host) {
        let base = format!("sys/devices/system/cpu/cpu{core}");
        let limit = host.text(&format!("{base}/power/pm_qos_resume_latency_us"));
        // "n/a" in this file means that no wake-up latency is tolerated at all.
        let is_held = limit.as_deref() == Some("n/a");
        for state in host.entries(&format!("{base}/cpuidle")) {
            has_states = true;
            let at = |file: &str| host.number(&format!("{base}/cpuidle/{state}/{file}"));
            if !is_held
                && at("disable") == Some(0)
                && at("latency").is_some_and(|us| us > WAKE_US_MAX.into())
            {
                slow.push(format!("cpu{core}/{state}"));
            }
        }
    }
    match (has_states, slow.first()) {
        (false, _) => Finding::skip("no idle states here (the hypervisor's)"),
        (true, None) => Finding::ok("no core sleeps so deep that it wakes late"),
        (true, Some(first)) => Finding::warn(
            format!("{} states take over 2 µs to wake from ({first} …)", slow.len()),
            "hold /dev/cpu_dma_latency open with 0, or echo n/a > \
             /sys/devices/system/cpu/cpuN/power/pm_qos_resume_latency_us",
        ),
    }
}

pub(super) fn watchdog(host: &Host) -> Finding {
    match (host.number("proc/sys/kernel/nmi_watchdog"), host.number("proc/sys/kernel/watchdog")) {
        (None, None) => Finding::skip("the kernel has none"),
        (Some(1), _) => Finding::warn(
            "the NMI watchdog interrupts every core and takes a performance counter",
            "sysctl kernel.nmi_watchdog=0 (boot: nmi_watchdog=0)",
        ),
        (_, Some(1)) if host.cores.is_empty() => Finding::skip(UNNAMED),
        (_, Some(1)) if watchdog_covers_hot(host) => Finding::warn(
            "the soft-lockup watchdog wakes a thread on hot cores",
            "echo HOUSEKEEPING > /proc/sys/kernel/watchdog_cpumask, or sysctl kernel.watchdog=0",
        ),
        _ => Finding::ok("off, or off the hot cores"),
    }
}

fn watchdog_covers_hot(host: &Host) -> bool {
    host.list("proc/sys/kernel/watchdog_cpumask")
        .is_none_or(|mask| mask.iter().any(|core| host.cores.contains(core)))
}

pub(super) fn mitigations(host: &Host) -> Finding {
    match host.boot_parameter("mitigations").as_deref() {
        Some("off") => Finding::warn(
            "off: every program on this host can read every other's memory",
            "boot without mitigations=off unless the host runs nothing but its own code",
        ),
        Some(other) => Finding::ok(format!("mitigations={other}")),
        None if host.text("proc/cmdline").is_none() => Finding::skip("the kernel does not say"),
        None => Finding::ok("the kernel's default"),
    }
}

pub(super) fn clocksource(host: &Host) -> Finding {
    let path = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    let mend = format!("echo tsc > /{path} (boot: clocksource=tsc tsc=reliable)");
    match host.text(path).as_deref() {
        None => Finding::skip("the kernel does not say"),
        Some("tsc") => Finding::ok("tsc"),
        // Read without a system call too, but a page shared with the hypervisor comes on top.
        Some(source @ ("kvm-clock" | "hyperv_clocksource_tsc_page")) => Finding::warn(source, mend),
        Some(slow) => Finding::fail(format!("{slow}: a system call and a device a read"), mend),
    }
}

pub(super) fn tsc(host: &Host) -> Finding {
    let Some(cpuinfo) = host.text("proc/cpuinfo") else {
        return Finding::skip("the kernel does not say");
    };
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let missing: Vec<&str> = ["constant_tsc", "nonstop_tsc"]
        .into_iter()
        .filter(|flag| !flags.split_whitespace().any(|word| word == *flag))
        .collect();
    let known = host.text("sys/devices/system/clocksource/clocksource0/available_clocksource");
    if missing.is_empty() && known.is_some_and(|known| !known.split(' ').any(|one| one == "tsc")) {
        return Finding::warn(
            "the kernel has found it to drift or to differ between cores: so do our stamps",
            "dmesg | grep -i tsc says why; another host, or boot: tsc=reliable where the kernel errs",
        );
    }
    if missing.is_empty() {
        return Finding::ok("constant and never stopping");
    }
    Finding::warn(
        format!("lacks {}: stamps cost a CLOCK_MONOTONIC read each", missing.join(" and ")),
        "let the hypervisor show the guest an invariant TSC, or use another host",
    )
}

pub(super) fn steal_time(host: &Host) -> Finding {
    let Some(stat) = host.text("proc/stat") else {
        return Finding::skip("the kernel does not say");
    };
    let first = stat.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = first.split_whitespace().skip(1).flat_map(str::parse).collect();
    let (Some(steal), all) = (ticks.get(7), ticks.iter().take(8).sum::<u64>()) else {
        return Finding::skip("the kernel does not say");
    };
    let per_mille = steal.saturating_mul(1_000) / all.max(1);
    if per_mille == 0 {
        return Finding::ok("the hypervisor took less than 0.1 % since boot");
    }
    Finding::warn(
        format!("the hypervisor took {}.{} % since boot", per_mille / 10, per_mille % 10),
        "use dedicated cores or bare metal",
    )
}
