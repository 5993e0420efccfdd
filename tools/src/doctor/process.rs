//! Checks of what the process is allowed, and of the time that it is told.

use super::{Finding, Host};

pub(super) fn rt_throttling(host: &Host) -> Finding {
    match host.number("proc/sys/kernel/sched_rt_runtime_us") {
        None => Finding::skip("the kernel does not say"),
        Some(-1) => Finding::ok("off"),
        Some(us) => Finding::warn(
            format!("a real-time thread that spins is stopped after {us} µs of each period"),
            "sysctl kernel.sched_rt_runtime_us=-1 (only with isolated cores)",
        ),
    }
}

pub(super) fn rt_priority(host: &Host) -> Finding {
    match host.limit("Max realtime priority") {
        None => Finding::skip("the kernel does not say"),
        Some(0) => Finding::warn(
            "no real-time priority may be had",
            "LimitRTPRIO=50 in the unit, or rtprio 50 in /etc/security/limits.conf",
        ),
        Some(priority) => Finding::ok(format!("up to {priority}")),
    }
}

/// A quota anywhere above the process stops a spinning thread for the rest of each period.
pub(super) fn cpu_quota(host: &Host) -> Finding {
    // Version 2 counts where its root has the controller: the root itself has no quota to show.
    let controllers = host.text("sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let mut is_told = controllers.split_whitespace().any(|one| one == "cpu");
    for group in host.groups("cpu") {
        let quota = host.text(&format!("{group}/cpu.max"));
        let of_version_1 = host.text(&format!("{group}/cpu.cfs_quota_us"));
        is_told |= quota.is_some() || of_version_1.is_some();
        if let Some(text) = quota.filter(|text| !text.starts_with("max")) {
            return Finding::fail(
                format!("/{group} may use {text} (µs of each period)"),
                format!("echo max > /{group}/cpu.max (systemd: CPUQuota=)"),
            );
        }
        if let Some(text) = of_version_1.filter(|text| !text.starts_with('-')) {
            return Finding::fail(
                format!("/{group} may use {text} µs of each period"),
                format!("echo -1 > /{group}/cpu.cfs_quota_us (systemd: CPUQuota=)"),
            );
        }
    }
    if !is_told {
        return Finding::skip("no group above the process shows the cpu controller");
    }
    Finding::ok("none")
}

pub(super) fn open_files(host: &Host) -> Finding {
    match host.limit("Max open files") {
        None => Finding::skip("the kernel does not say"),
        Some(count) if count >= 4_096 => Finding::ok("enough"),
        Some(count) => Finding::warn(
            format!("{count}: sessions, journals and stores may run out"),
            "LimitNOFILE=65536 in the unit",
        ),
    }
}

pub(super) fn time_sync(host: &Host) -> Finding {
    let precise = ["chronyd", "ptp4l", "phc2sys", "ntpd"];
    match host.running(&precise) {
        None => Finding::skip("no /proc"),
        Some(found) if !found.is_empty() => Finding::ok(format!(
            "{} running; whether it has a source it must say itself (`chronyc tracking`, `ntpq -p`, `pmc`)",
            found.join(", ")
        )),
        Some(_) => {
            let seen = match host.running(&["systemd-timesyn"]) {
                Some(found) if !found.is_empty() => {
                    "systemd-timesyncd keeps time to milliseconds at best"
                }
                _ => "nothing that keeps the clock right runs here (a hypervisor might)",
            };
            Finding::warn(seen, "install chrony with the venue's or the provider's source, or PTP")
        }
    }
}

/// CAP_IPC_LOCK and CAP_SYS_NICE: they stand for limits that a host does not give.
const OF_USE: u64 = 1 << 14 | 1 << 23;

pub(super) fn capabilities(host: &Host) -> Finding {
    let effective = host.status("CapEff:").and_then(|text| u64::from_str_radix(&text, 16).ok());
    match effective {
        None => Finding::skip("the kernel does not say"),
        Some(0) => Finding::ok("none"),
        Some(some) if some & !OF_USE == 0 => {
            Finding::ok("CAP_IPC_LOCK or CAP_SYS_NICE and no other")
        }
        Some(many) => Finding::warn(
            format!("{many:x}: whoever takes over the process has them too"),
            "User=ballast, CapabilityBoundingSet= and AmbientCapabilities= in the unit",
        ),
    }
}
