//! Checks of the network: where packets arrive and how a read finds them.

use super::processor::cores_of_mask;
use super::{Finding, Host};
use ballast_engine::pin::{self, PinFault, Topology};

const UNNAMED: &str = "no interface is named; give --nic or [host] nic in the config";

pub(super) fn nic_numa(host: &Host) -> Finding {
    let Some(nic) = host.nic.as_deref() else { return Finding::skip(UNNAMED) };
    let interfaces = host.entries("sys/class/net");
    if !interfaces.is_empty() && !interfaces.iter().any(|one| one == nic) {
        let choice = format!("choose from {}", interfaces.join(", "));
        return Finding::warn(format!("there is no interface {nic}"), choice);
    }
    let Some(node) = pin::nic_numa_node(host.root(), nic) else {
        return Finding::skip(format!("{nic} belongs to no node"));
    };
    if host.cores.is_empty() {
        return Finding::skip("no cores are named");
    }
    let topology = Topology::read(host.root());
    let is_known = |core| topology.cores.get(core).is_some_and(|known| known.numa_node.is_some());
    if !host.cores.iter().all(is_known) {
        return Finding::skip(format!(
            "{nic} is on node {node}; the kernel shows not every core's"
        ));
    }
    let far: Vec<String> = topology
        .check(&host.cores, Some((nic, node)))
        .iter()
        .filter(|fault| matches!(fault, PinFault::FarFromNic { .. }))
        .map(PinFault::to_string)
        .collect();
    if far.is_empty() {
        return Finding::ok(format!("{nic} and the cores are on node {node}"));
    }
    let cores = host.text(&format!("sys/devices/system/node/node{node}/cpulist"));
    Finding::warn(
        far.join("; "),
        format!("choose cores of node {node}: {}", cores.unwrap_or_default()),
    )
}

pub(super) fn receive_steering(host: &Host) -> Finding {
    let Some(nic) = host.nic.as_deref() else { return Finding::skip(UNNAMED) };
    let base = format!("sys/class/net/{nic}/queues");
    let masks: Vec<(String, Vec<usize>)> = host
        .entries(&base)
        .into_iter()
        .filter(|queue| queue.starts_with("rx-"))
        .filter_map(|queue| {
            let mask = cores_of_mask(&host.text(&format!("{base}/{queue}/rps_cpus"))?)?;
            Some((queue, mask))
        })
        .collect();
    if masks.is_empty() {
        return Finding::skip(format!("{nic} shows no receive queues"));
    }
    match masks.iter().find(|(_, mask)| !mask.is_empty()) {
        None => Finding::ok("packets are handled where their interrupt comes"),
        Some((queue, mask)) => Finding::warn(
            format!("{queue} hands packets on to {mask:?}: another wake-up for each"),
            format!("for q in /{base}/rx-*; do echo 0 > $q/rps_cpus; done"),
        ),
    }
}

/// Of the two settings the one for reads counts: Ballast reads its hot sockets in the spin and waits in no
/// `poll` or `epoll`.
pub(super) fn busy_poll(host: &Host) -> Finding {
    match host.number("proc/sys/net/core/busy_read") {
        None => Finding::skip("the kernel has none"),
        Some(0) => Finding::warn(
            "a read waits for the interrupt instead of asking the card",
            "sysctl net.core.busy_read=50",
        ),
        Some(us) => Finding::ok(format!("{us} µs a read")),
    }
}

pub(super) fn irq_deferral(host: &Host) -> Finding {
    let Some(nic) = host.nic.as_deref() else { return Finding::skip(UNNAMED) };
    let at = |file: &str| host.number(&format!("sys/class/net/{nic}/{file}"));
    let (Some(rounds), Some(flush_ns)) = (at("napi_defer_hard_irqs"), at("gro_flush_timeout"))
    else {
        return Finding::skip(format!("the kernel shows nothing of {nic}"));
    };
    let is_polled = host.number("proc/sys/net/core/busy_read").is_some_and(|us| us > 0);
    let set = |rounds: u32, flush_ns: u32| {
        format!(
            "echo {rounds} > /sys/class/net/{nic}/napi_defer_hard_irqs; \
             echo {flush_ns} > /sys/class/net/{nic}/gro_flush_timeout"
        )
    };
    match (is_polled, rounds > 0 && flush_ns > 0) {
        (true, true) => Finding::ok(format!("{rounds} rounds, {} µs", flush_ns / 1_000)),
        (true, false) => {
            Finding::warn("the card interrupts the core that asks it anyway", set(2, 200_000))
        }
        (false, true) => Finding::warn(
            format!("a packet waits up to {} µs, as no read asks the card", flush_ns / 1_000),
            set(0, 0),
        ),
        (false, false) => Finding::ok("none, as no read asks the card"),
    }
}

pub(super) fn slow_start(host: &Host) -> Finding {
    match host.number("proc/sys/net/ipv4/tcp_slow_start_after_idle") {
        None => Finding::skip("the kernel does not say"),
        Some(0) => Finding::ok("off"),
        Some(_) => Finding::warn(
            "a session that was quiet starts its next burst with a small window",
            "sysctl net.ipv4.tcp_slow_start_after_idle=0",
        ),
    }
}
