//! Which cores there are, and whether the ones a config names suit stages that spin.
//!
//! Read from `/sys` at start; feeds the runner ([`crate::pipeline`]), the config's validation and
//! `ballast doctor`. Cold, any thread. Deliberately absent: changing anything about the host.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// One logical core, as the kernel numbers and describes it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Core {
    /// Logical cores on the same physical core, itself included.
    pub smt_siblings: Vec<usize>,
    /// Logical cores that share its last-level cache (level 3); empty where the kernel does not say.
    pub l3_sharers: Vec<usize>,
    /// NUMA node, where the kernel says.
    pub numa_node: Option<usize>,
}

/// The online cores of a host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Topology {
    /// By the kernel's number.
    pub cores: BTreeMap<usize, Core>,
}

/// Why a choice of cores does not suit.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum PinFault {
    /// The host has no such core online.
    #[error("core {core} is not online; the host has {online}")]
    NoSuchCore {
        /// The core asked for.
        core: usize,
        /// The cores that are online, as a list.
        online: String,
    },
    /// Two stages that spin would take turns on one core.
    #[error("core {core} is given to two stages; give each its own or fuse them")]
    Duplicate {
        /// The core asked for twice.
        core: usize,
    },
    /// Two stages that spin would share one physical core's execution units.
    #[error("cores {first} and {second} are SMT siblings; choose one of them, or turn SMT off")]
    SmtSiblings {
        /// One of the two.
        first: usize,
        /// The other.
        second: usize,
    },
    /// Every hop between them crosses the socket's fabric.
    #[error("cores {first} and {second} share no level-3 cache; every hop between them is slower")]
    DifferentL3 {
        /// One of the two.
        first: usize,
        /// The other.
        second: usize,
    },
    /// Every packet crosses between NUMA nodes.
    #[error("core {core} is on NUMA node {node}, network interface {nic} on node {nic_node}")]
    FarFromNic {
        /// The core.
        core: usize,
        /// The core's node.
        node: usize,
        /// The interface.
        nic: String,
        /// The interface's node.
        nic_node: usize,
    },
}

impl PinFault {
    /// Whether a pipeline must not start like this; the others cost latency, no more.
    pub fn is_fatal(&self) -> bool {
        matches!(self, PinFault::NoSuchCore { .. })
    }
}

impl Topology {
    /// Reads the topology below `root` ("/" but in tests). A host that hides it has no cores here.
    pub fn read(root: &Path) -> Topology {
        let base = root.join("sys/devices/system");
        let online = read_list(&base.join("cpu/online"));
        let nodes = numa_nodes(&base.join("node"));
        let cores = online
            .into_iter()
            .map(|id| {
                let folder = base.join(format!("cpu/cpu{id}"));
                let core = Core {
                    smt_siblings: read_list(&folder.join("topology/thread_siblings_list")),
                    l3_sharers: l3_sharers(&folder.join("cache")),
                    numa_node: nodes.get(&id).copied(),
                };
                (id, core)
            })
            .collect();
        Topology { cores }
    }

    /// All that speaks against running spinning stages on `wanted`, with the packets coming in by
    /// `nic` (an interface and its NUMA node), where that is known.
    pub fn check(&self, wanted: &[usize], nic: Option<(&str, usize)>) -> Vec<PinFault> {
        let mut faults = Vec::new();
        for (position, &core) in wanted.iter().enumerate() {
            let Some(known) = self.cores.get(&core) else {
                faults.push(PinFault::NoSuchCore { core, online: self.list() });
                continue;
            };
            for &other in wanted.iter().take(position) {
                if other == core {
                    faults.push(PinFault::Duplicate { core });
                } else if known.smt_siblings.contains(&other) {
                    faults.push(PinFault::SmtSiblings { first: other, second: core });
                } else if self.cores.contains_key(&other)
                    && !known.l3_sharers.is_empty()
                    && !known.l3_sharers.contains(&other)
                {
                    faults.push(PinFault::DifferentL3 { first: other, second: core });
                }
            }
            if let (Some((nic, nic_node)), Some(node)) = (nic, known.numa_node)
                && node != nic_node
            {
                faults.push(PinFault::FarFromNic { core, node, nic: nic.to_owned(), nic_node });
            }
        }
        faults
    }

    /// A core for each of `count` stages out of `allowed`: distinct physical cores, the first core left
    /// to the kernel where there are enough. `None` where there are fewer cores than stages: then the
    /// stages should share threads ([`crate::pipeline::Fused`]) or yield.
    pub fn spread(&self, count: usize, allowed: &[usize]) -> Option<Vec<usize>> {
        let mut chosen: Vec<usize> = Vec::new();
        for &core in allowed {
            let is_sibling = self
                .cores
                .get(&core)
                .is_some_and(|known| known.smt_siblings.iter().any(|s| chosen.contains(s)));
            if !is_sibling {
                chosen.push(core);
            }
        }
        let spare = chosen.len().checked_sub(count)?;
        Some(chosen.into_iter().skip(spare.min(1)).take(count).collect())
    }

    /// The online cores as the kernel writes them: "0-3,8".
    pub fn list(&self) -> String {
        write_list(self.cores.keys().copied())
    }
}

/// The NUMA node of network interface `nic`, where the kernel says (virtual ones have none).
pub fn nic_numa_node(root: &Path, nic: &str) -> Option<usize> {
    let path = root.join("sys/class/net").join(nic).join("device/numa_node");
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The cores that this process may run on, ascending.
pub fn allowed_cores() -> Vec<usize> {
    let mut cores: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|c| c.id).collect();
    cores.sort_unstable();
    cores
}

/// Binds the calling thread to `core`; says whether the kernel agreed.
pub fn pin_current_thread(core: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: core })
}

/// Parses the kernel's list format, "0-3,8"; what cannot be parsed is left out.
pub fn parse_list(text: &str) -> Vec<usize> {
    let mut numbers = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse(), last.parse::<usize>()) {
            numbers.extend(first..=last);
        }
    }
    numbers
}

/// The kernel's list format of ascending `numbers`.
fn write_list(numbers: impl Iterator<Item = usize>) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            Some(_) | None => ranges.push((number, number)),
        }
    }
    let parts: Vec<String> = ranges
        .iter()
        .map(
            |(first, last)| {
                if first == last { first.to_string() } else { format!("{first}-{last}") }
            },
        )
        .collect();
    parts.join(",")
}

fn read_list(path: &Path) -> Vec<usize> {
    fs::read_to_string(path).map(|text| parse_list(&text)).unwrap_or_default()
}

/// Which node each core belongs to, from `node*/cpulist`.
fn numa_nodes(folder: &Path) -> BTreeMap<usize, usize> {
    let mut nodes = BTreeMap::new();
    for (name, path) in entries(folder) {
        if let Some(node) = name.strip_prefix("node").and_then(|n| n.parse().ok()) {
            nodes.extend(read_list(&path.join("cpulist")).into_iter().map(|core| (core, node)));
        }
    }
    nodes
}

/// The cores that share a core's level-3 cache, from `cache/index*`.
fn l3_sharers(folder: &Path) -> Vec<usize> {
    entries(folder)
        .into_iter()
        .find(|(_, path)| fs::read_to_string(path.join("level")).is_ok_and(|l| l.trim() == "3"))
        .map(|(_, path)| read_list(&path.join("shared_cpu_list")))
        .unwrap_or_default()
}

fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut found: Vec<(String, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two sockets of two cores with two threads each: 0-3 are the first threads, 4-7 the second.
    fn two_sockets() -> Topology {
        let cores = (0..8)
            .map(|id| {
                let socket = id % 4 / 2;
                let l3_sharers = (0..8).filter(|other| other % 4 / 2 == socket).collect();
                let smt_siblings = vec![id % 4, id % 4 + 4];
                (id, Core { smt_siblings, l3_sharers, numa_node: Some(socket) })
            })
            .collect();
        Topology { cores }
    }

    #[test]
    fn cores_of_one_socket_suit() {
        assert_eq!(two_sockets().check(&[2, 3], Some(("eth0", 1))), []);
    }

    #[test]
    fn each_bad_choice_of_cores_is_named() {
        let host = two_sockets();
        let missing = PinFault::NoSuchCore { core: 9, online: "0-7".into() };
        assert!(missing.is_fatal());
        assert_eq!(host.check(&[9], None), [missing]);
        assert_eq!(host.check(&[1, 1], None), [PinFault::Duplicate { core: 1 }]);
        let siblings = PinFault::SmtSiblings { first: 1, second: 5 };
        assert!(!siblings.is_fatal());
        assert_eq!(host.check(&[1, 5], None), [siblings]);
        assert_eq!(host.check(&[1, 2], None), [PinFault::DifferentL3 { first: 1, second: 2 }]);
        let far = PinFault::FarFromNic { core: 0, node: 0, nic: "eth0".into(), nic_node: 1 };
        assert_eq!(host.check(&[0], Some(("eth0", 1))), [far]);
    }

    #[test]
    fn stages_spread_over_physical_cores_and_leave_the_first_where_they_can() {
        let host = two_sockets();
        let all: Vec<usize> = (0..8).collect();
        assert_eq!(host.spread(3, &all), Some(vec![1, 2, 3]));
        assert_eq!(host.spread(4, &all), Some(vec![0, 1, 2, 3]));
        assert_eq!(host.spread(5, &all), None, "siblings are not cores");
        assert_eq!(host.spread(1, &[6]), Some(vec![6]), "a container's only core");
    }

    #[test]
    fn the_kernels_lists_are_read_and_written() {
        assert_eq!(parse_list("0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(parse_list("\n"), Vec::<usize>::new());
        assert_eq!(write_list([0, 1, 2, 5, 7, 8].into_iter()), "0-2,5,7-8");
    }
}
