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
    let Some(groups) = host.text("proc/self/cgroup") else {
        return Finding::skip("the kernel has no cgroups");
    };
    // Version 2 is the line "0::/path"; a host with version 1 alone has none.
    let Some(mut group) = groups.lines().find_map(|line| line.strip_prefix("0::")) else {
        return Finding::skip("cgroup version 1");
    };
    loop {
        let path = format!("sys/fs/cgroup{}/cpu.max", group.trim_end_matches('/'));
        if let Some(text) = host.text(&path)
            && !text.starts_with("max")
        {
            return Finding::fail(
                format!("/{} may use {text} (µs of each period)", group.trim_matches('/')),
                format!("echo max > /{path} (systemd: CPUQuota=)"),
            );
        }
        // Up to the root: in a container its file is the container's own group.
        match group.trim_end_matches('/').rsplit_once('/') {
            Some((parent, _)) => group = parent,
            None => return Finding::ok("none"),
        }
    }
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
        Some(found) if !found.is_empty() => Finding::ok(found.join(", ")),
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
