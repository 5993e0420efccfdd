//! Which cores there are, and whether the ones a config names suit stages that spin.
//!
//! Read from `/sys` at start; feeds the runner ([`crate::pipeline`]), the config's validation and
//! `ballast doctor`; binds threads to cores and gives them priority. Cold, any thread. Deliberately absent:
//! changing anything about the host. Beside `ring.rs` and `clock.rs` this file has an `unsafe` block: no safe
//! crate that we have knows `sched_setscheduler`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io, thread};
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

    /// A core for each of `count` stages out of `allowed`: distinct physical cores, of one level-3 cache
    /// and node where so many share one, the first core left to the kernel where there are enough. `None`
    /// where there are fewer cores than stages: then the stages should share threads
    /// ([`crate::pipeline::Fused`]) or yield.
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
        let without_first = chosen.get(spare.min(1)..).unwrap_or_default();
        let together = self.together(count, without_first);
        let together = together.or_else(|| self.together(count, &chosen));
        Some(together.unwrap_or_else(|| without_first.iter().copied().take(count).collect()))
    }

    /// The first `count` of `cores` that share a level-3 cache and a node, where so many do. Cores of
    /// which the kernel says neither count as together.
    fn together(&self, count: usize, cores: &[usize]) -> Option<Vec<usize>> {
        let place = |core: &usize| {
            self.cores.get(core).map(|known| (known.l3_sharers.as_slice(), known.numa_node))
        };
        let beside = |first: &usize| {
            let near = cores.iter().filter(|core| place(core) == place(first));
            near.copied().take(count).collect::<Vec<usize>>()
        };
        cores.iter().map(beside).find(|near| near.len() == count)
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

/// The cores of this process's affinity mask, ascending: those that it was started on. A thread can be
/// bound to others too ([`may_pin`]): `isolcpus=` takes the isolated ones out of every shell's mask.
pub fn allowed_cores() -> Vec<usize> {
    let mut cores: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|c| c.id).collect();
    cores.sort_unstable();
    cores
}

/// How many cores the system call's mask has; a number beyond it cannot be asked for.
const MASK_CORES: usize = 1_024;

/// Binds the calling thread to `core`; says whether the kernel agreed.
pub fn pin_current_thread(core: usize) -> bool {
    core < MASK_CORES && core_affinity::set_for_current(core_affinity::CoreId { id: core })
}

/// Whether the kernel lets a thread of this process be bound to `core`, asked by binding one that ends at
/// once. No mask can tell: the inherited one leaves isolated cores out, which may be had, and a cpuset
/// refuses what it does not hold.
pub fn may_pin(core: usize) -> bool {
    tried(move || pin_current_thread(core)).unwrap_or(false)
}

/// Has the calling thread run before every ordinary one (SCHED_FIFO, 1 the lowest, 99 the highest).
pub fn prioritise_current_thread(priority: u8) -> io::Result<()> {
    let wanted = libc::sched_param { sched_priority: priority.into() };
    // SAFETY: the kernel reads one `sched_param` during the call; 0 is the calling thread.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const wanted) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether the system lets a thread of this process have `priority`, asked like [`may_pin`].
pub fn may_prioritise(priority: u8) -> io::Result<()> {
    tried(move || prioritise_current_thread(priority))?
}

/// What comes of `attempt` on a thread that ends with it, so that the caller's own stays as it is.
fn tried<T: Send + 'static>(attempt: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let thread = thread::Builder::new().spawn(attempt)?;
    thread.join().map_err(|_| io::Error::other("the thread that tried it panicked"))
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
    fn stages_share_a_level_3_cache_where_so_many_cores_do() {
        let host = two_sockets();
        let all: Vec<usize> = (0..8).collect();
        assert_eq!(host.spread(2, &all), Some(vec![2, 3]), "1 and 2 are neighbours on two sockets");
        assert_eq!(host.spread(2, &[0, 1, 2]), Some(vec![0, 1]), "rather than the first left free");
        assert_eq!(host.spread(2, &[0, 2]), Some(vec![0, 2]), "where no two share one");
        let mut silent = host;
        for core in silent.cores.values_mut() {
            core.l3_sharers.clear();
        }
        assert_eq!(silent.spread(2, &all), Some(vec![2, 3]), "then the node decides");
        assert_eq!(Topology::default().spread(2, &[0, 1, 2]), Some(vec![1, 2]), "or nothing does");
    }

    #[test]
    fn the_kernel_is_asked_for_a_core_and_the_askers_own_mask_stays() {
        let mask = allowed_cores();
        for core in &mask {
            assert!(may_pin(*core), "{core} is in our own mask");
        }
        assert_eq!(allowed_cores(), mask);
        assert!(!may_pin(1_023) || Topology::read(Path::new("/")).cores.contains_key(&1_023));
        assert!(!may_pin(100_000), "beyond the mask of the system call");
    }

    #[test]
    fn a_core_outside_the_inherited_mask_may_be_had() {
        let mask = allowed_cores();
        let [one, other, ..] = mask.as_slice() else {
            println!("skipped: this process may run on {mask:?} alone");
            return;
        };
        let (one, other) = (*one, *other);
        // As in a shell on a host with isolcpus=OTHER: the mask is narrower than what may be had.
        let narrowed = move || pin_current_thread(one) && allowed_cores() == [one];
        assert!(tried(move || narrowed() && may_pin(other)).unwrap());
    }

    #[test]
    fn a_priority_is_had_or_refused_with_the_systems_word_and_none_beyond_the_highest() {
        if let Err(error) = may_prioritise(1) {
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
        }
        assert_eq!(may_prioritise(100).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn the_kernels_lists_are_read_and_written() {
        assert_eq!(parse_list("0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(parse_list("\n"), Vec::<usize>::new());
        assert_eq!(write_list([0, 1, 2, 5, 7, 8].into_iter()), "0-2,5,7-8");
    }
}
