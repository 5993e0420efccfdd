//! Checks of the processor: cores, interruptions, power states, clocks.

use super::{Finding, Host};
use ballast_engine::pin::{Core, PinFault, Topology};
use std::path::Path;
use std::time::Duration;

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
    let mut all: Vec<String> = faults.iter().map(PinFault::to_string).collect();
    if faults.iter().any(PinFault::is_fatal) {
        return Finding::fail(all.join("; "), format!("choose from {}", topology.list()));
    }
    if let Some(missing) = missing_from_cpuset(host) {
        return Finding::fail(
            format!("the process's cpuset leaves out {missing:?}"),
            format!(
                "AllowedCPUs= that includes {}, or start it inside the partition",
                host.cores_text()
            ),
        );
    }
    if !is_same(&host.run_cores, &host.cores) && !host.run_cores.is_empty() {
        let run = &host.run_cores;
        all.push(format!("[run] gives the hot stages {run:?}, examined are {:?}", host.cores));
    }
    if !all.is_empty() {
        return Finding::warn(all.join("; "), format!("choose from {}", topology.list()));
    }
    // Of one core alone nothing else need be known.
    let known = |core| topology.cores.get(core).is_some_and(is_told);
    if host.cores.len() > 1 && !host.cores.iter().all(known) {
        return Finding::skip(format!(
            "{} are online; the kernel does not say which cores are siblings or share an L3",
            host.cores_text()
        ));
    }
    Finding::ok(format!("{} suit", host.cores_text()))
}

fn is_told(core: &Core) -> bool {
    !core.smt_siblings.is_empty() && !core.l3_sharers.is_empty()
}

fn is_same(one: &[usize], other: &[usize]) -> bool {
    one.iter().all(|core| other.contains(core)) && other.iter().all(|core| one.contains(core))
}

/// Hot cores that the process cannot be bound to. Its affinity mask tells nothing: a thread leaves it when it
/// is pinned, and isolated cores are in no shell's mask.
fn missing_from_cpuset(host: &Host) -> Option<Vec<usize>> {
    let groups = host.groups("cpuset");
    let files = ["cpuset.cpus.effective", "cpuset.effective_cpus"];
    let paths =
        groups.iter().flat_map(|group| files.iter().map(move |file| format!("{group}/{file}")));
    let held = paths.filter_map(|path| host.list(&path)).find(|list| !list.is_empty())?;
    let missing = host.hot_cores_missing_from(&held);
    (!missing.is_empty()).then_some(missing)
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
    let nohz_full = host.list("sys/devices/system/cpu/nohz_full");
    let can = nohz_full.is_some();
    let mut covered = host.boot_cores("rcu_nocbs");
    covered.extend(nohz_full.unwrap_or_default());
    match host.hot_cores_missing_from(&covered).as_slice() {
        [] if can => Finding::ok("callbacks run elsewhere"),
        // A kernel built without it takes the parameter and does nothing.
        [] => Finding::skip(
            "the boot command line says so; nothing shows that this kernel can (CONFIG_RCU_NOCB_CPU)",
        ),
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
    let (mut on_hot, mut unknown) = (Vec::new(), Vec::new());
    for number in numbers {
        let at = |file: &str| host.list(&format!("proc/irq/{number}/{file}"));
        let effective = at("effective_affinity_list").filter(|list| !list.is_empty());
        match effective.or_else(|| at("smp_affinity_list")) {
            None => unknown.push(number),
            Some(list) if list.iter().any(|core| host.cores.contains(core)) => on_hot.push(number),
            Some(_) => {}
        }
    }
    if on_hot.is_empty() && !unknown.is_empty() {
        return Finding::skip(format!("the kernel does not show where {} come", unknown.join(" ")));
    }
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
        (Some(1), _) | (_, Some(1)) if host.cores.is_empty() => Finding::skip(UNNAMED),
        (Some(1), _) if watchdog_covers_hot(host) => Finding::warn(
            "the NMI watchdog interrupts hot cores and takes a performance counter of each",
            "echo HOUSEKEEPING > /proc/sys/kernel/watchdog_cpumask, or sysctl kernel.nmi_watchdog=0",
        ),
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
    let base = "sys/devices/system/cpu/vulnerabilities";
    let of = |name: String| Some((host.text(&format!("{base}/{name}"))?, name));
    let all: Vec<(String, String)> = host.entries(base).into_iter().filter_map(of).collect();
    let open: Vec<&str> = all
        .iter()
        .filter(|(text, _)| text.starts_with("Vulnerable") || text.contains("KVM: Vulnerable"))
        .map(|(_, name)| name.as_str())
        .collect();
    let mend = "boot without mitigations=off and the switches of single ones (nopti, spectre_v2=off …), \
                with current microcode, unless the host runs nothing but its own code";
    if host.boot_parameter("mitigations").as_deref() == Some("off") {
        let seen = "off: every program on this host can read every other's memory";
        return Finding::warn(seen, mend);
    }
    match (all.is_empty(), open.as_slice()) {
        (true, _) => Finding::skip("the kernel does not say"),
        (false, []) => Finding::ok("the processor has none of the faults, or they are mitigated"),
        (false, open) => Finding::warn(format!("open: {}", open.join(", ")), mend),
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
    let ticks = || {
        let stat = host.text("proc/stat")?;
        let first = stat.lines().next()?.to_owned();
        Some(first.split_whitespace().skip(1).flat_map(str::parse).take(8).collect::<Vec<u64>>())
    };
    let before = ticks();
    // A tree that was copied stands still.
    if host.root() == Path::new("/") {
        std::thread::park_timeout(Duration::from_secs(1));
    }
    let (Some(since_boot), Some(now)) = (before, ticks()) else {
        return Finding::skip("the kernel does not say");
    };
    let last: Vec<u64> =
        now.iter().zip(&since_boot).map(|(now, before)| now.saturating_sub(*before)).collect();
    let (Some(boot), Some(last)) = (stolen(&since_boot), stolen(&last)) else {
        return Finding::skip("the kernel does not say");
    };
    if boot == 0 && last == 0 {
        return Finding::ok(
            "the hypervisor took less than 0.1 %, since boot and of the last second",
        );
    }
    let percent = |per_mille: u64| format!("{}.{} %", per_mille / 10, per_mille % 10);
    Finding::warn(
        format!(
            "the hypervisor took {} since boot, {} of the last second",
            percent(boot),
            percent(last)
        ),
        "use dedicated cores or bare metal",
    )
}

/// Thousandths of all ticks that were stolen.
fn stolen(ticks: &[u64]) -> Option<u64> {
    let all: u64 = ticks.iter().sum();
    Some(ticks.get(7)?.saturating_mul(1_000) / all.max(1))
}

/// Which is better must be measured: this one only tells.
pub(super) fn turbo(host: &Host) -> Finding {
    let no_turbo = host.number("sys/devices/system/cpu/intel_pstate/no_turbo").map(|off| off == 0);
    let boost = host.number("sys/devices/system/cpu/cpufreq/boost").map(|on| on != 0);
    match no_turbo.or(boost) {
        None => Finding::skip("the kernel does not say (the hypervisor's or the firmware's)"),
        Some(true) => Finding::ok("on: the highest clock, not the most even one"),
        Some(false) => Finding::ok("off: the most even clock, not the highest one"),
    }
}

pub(super) fn pcie_aspm(host: &Host) -> Finding {
    let path = "sys/module/pcie_aspm/parameters/policy";
    let Some(policy) = host.text(path) else {
        return Finding::skip("the kernel does not say");
    };
    let is_off = host.boot_parameter("pcie_aspm").as_deref() == Some("off");
    if is_off || policy.contains("[performance]") {
        return Finding::ok("links do not sleep");
    }
    let seen = if policy.contains("[default]") {
        "default: links sleep where the firmware says so".to_owned()
    } else {
        format!("links sleep: {policy}")
    };
    Finding::warn(seen, format!("echo performance > /{path} (boot: pcie_aspm.policy=performance)"))
}

#[cfg(test)]
mod tests {
    use super::stolen;

    #[test]
    fn steal_is_the_eighth_number_of_all_eight() {
        assert_eq!(stolen(&[500, 0, 400, 90, 0, 0, 0, 10]), Some(10));
        assert_eq!(stolen(&[0; 8]), Some(0), "a copied tree stands still");
        assert_eq!(stolen(&[1, 2, 3]), None);
    }
}
