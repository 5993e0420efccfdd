//! Checks of memory: what moves, merges, swaps or scans pages behind a running thread's back.

use super::processor::UNNAMED;
use super::{Finding, Host};
use ballast_engine::pin::Topology;

pub(super) fn transparent_hugepages(host: &Host) -> Finding {
    let path = "sys/kernel/mm/transparent_hugepage/enabled";
    match host.text(path) {
        None => Finding::skip("the kernel has none"),
        Some(text) if text.contains("[always]") => Finding::warn(
            "always: pages are assembled while threads wait",
            format!("echo madvise > /{path} (boot: transparent_hugepage=madvise)"),
        ),
        Some(text) => Finding::ok(text),
    }
}

pub(super) fn samepage_merging(host: &Host) -> Finding {
    match host.number("sys/kernel/mm/ksm/run") {
        None => Finding::skip("the kernel has none"),
        Some(1) => Finding::warn("on: a write may find its page shared and copy it", {
            "echo 2 > /sys/kernel/mm/ksm/run"
        }),
        Some(_) => Finding::ok("off"),
    }
}

pub(super) fn numa_balancing(host: &Host) -> Finding {
    match host.number("proc/sys/kernel/numa_balancing") {
        None => Finding::skip("the kernel has none, or one node"),
        Some(0) => Finding::ok("off"),
        Some(_) => Finding::warn(
            "on: pages are unmapped so that faults show who uses them",
            "sysctl kernel.numa_balancing=0 (boot: numa_balancing=disable)",
        ),
    }
}

/// Memory is taken on the node of the core that touches it first: where hot cores are on one node, so is
/// what they share.
pub(super) fn numa_placement(host: &Host) -> Finding {
    let topology = Topology::read(host.root());
    let of = |core: &usize| topology.cores.get(core).and_then(|known| known.numa_node);
    let mut nodes: Vec<usize> = host.cores.iter().filter_map(of).collect();
    nodes.sort_unstable();
    nodes.dedup();
    match nodes.as_slice() {
        _ if host.cores.is_empty() => Finding::skip(UNNAMED),
        [] => Finding::skip("the kernel shows no nodes"),
        [node] => Finding::ok(format!("all hot cores are on node {node}")),
        [first, ..] => Finding::warn(
            format!("hot cores on nodes {nodes:?}: what they share is remote to some of them"),
            format!("choose cores of one node; numactl --cpunodebind={first} --membind={first} …"),
        ),
    }
}

pub(super) fn swap(host: &Host) -> Finding {
    match host.text("proc/swaps") {
        None => Finding::skip("the kernel does not say"),
        // The first line is the heading.
        Some(text) if text.lines().count() <= 1 => Finding::ok("none"),
        Some(_) => Finding::warn(
            "on: a page that was not touched for a while is read back from disk",
            "swapoff -a, and remove it from /etc/fstab; LimitMEMLOCK=infinity where it must stay",
        ),
    }
}

pub(super) fn memlock(host: &Host) -> Finding {
    match host.limit("Max locked memory") {
        None => Finding::skip("the kernel does not say"),
        Some(u64::MAX) => Finding::ok("unlimited"),
        Some(bytes) => Finding::warn(
            format!("{} KiB may be locked", bytes / 1_024),
            "LimitMEMLOCK=infinity in the unit, or memlock unlimited in /etc/security/limits.conf",
        ),
    }
}

pub(super) fn vm_stat_interval(host: &Host) -> Finding {
    match host.number("proc/sys/vm/stat_interval") {
        None => Finding::skip("the kernel does not say"),
        Some(seconds) if seconds >= 10 => Finding::ok(format!("{seconds} s")),
        Some(seconds) => Finding::warn(
            format!("{seconds} s: a kernel thread folds counters on every core that often"),
            "sysctl vm.stat_interval=120",
        ),
    }
}
