//! This host as a run needs it: memory locked, cores looked at.
//!
//! Fed by `[run]` and `[host]`; called by `ballast run` when everything is allocated and nothing runs
//! yet. Cold. What only costs latency is told and goes on; what the config asks for and the host refuses
//! ends the start. Deliberately absent: isolation, which is the boot loader's (tuning.md), and everything
//! that `ballast doctor` looks at beside.

use crate::config::file::{RawConfig, RunnerKind};
use ballast_engine::clock::Source;
use ballast_engine::pin::{PinFault, Topology, nic_numa_node, parse_list};
use rustix::mm::{MlockAllFlags, mlockall};
use std::path::Path;
use thiserror::Error;

/// Why the memory is not locked.
#[derive(Debug, Error)]
#[error(
    "run.lock_memory: the system locks no memory ({0}); raise the memlock limit (LimitMEMLOCK=infinity; \
     `ballast doctor`, memlock) or take the key out"
)]
pub struct NotLocked(#[from] rustix::io::Errno);

/// Keeps every page that the process has now in memory, touched: rings, books, stores, and once they run the
/// threads' stacks. What is made later is the cold threads' own and may be paged: to lock that too would end
/// a run in its middle where the limit is reached.
pub fn lock_memory() -> Result<(), NotLocked> {
    Ok(mlockall(MlockAllFlags::CURRENT)?)
}

/// What speaks against the counter that the run's time comes from, on the host below `root`: a processor
/// promises an invariant counter for itself, the kernel compares it between cores and over time.
pub fn counter_warning(source: Source, root: &Path) -> Option<String> {
    let known = root.join("sys/devices/system/clocksource/clocksource0/available_clocksource");
    let known = std::fs::read_to_string(known).ok()?;
    let is_trusted = known.split_whitespace().any(|one| one == "tsc");
    (source == Source::Tsc && !is_trusted).then(|| {
        "the kernel has found the time stamp counter to drift or to differ between cores, and this run's \
         time and latencies come from it (`ballast doctor`, tsc)"
            .to_owned()
    })
}

/// What speaks against the cores and the priority that a config names, on the host below `root` ("/" but in
/// tests). A core or a priority that is not to be had is the runner's own error.
pub fn core_warnings(config: &RawConfig, root: &Path) -> Vec<String> {
    let Some(cores) = config.run.cores else {
        let is_pinned = config.run.runner == RunnerKind::Pinned;
        let told = "run.runner: nothing is pinned without run.cores, the scheduler moves the threads about";
        return is_pinned.then(|| told.to_owned()).into_iter().collect();
    };
    let spinning = match config.run.runner {
        RunnerKind::Fused => &cores[1..2],
        RunnerKind::Pinned => &cores[..],
    };
    let nic = config.host.as_ref().and_then(|host| host.get("nic")?.as_str());
    let nic = nic.and_then(|nic| Some((nic, nic_numa_node(root, nic)?)));
    let faults = Topology::read(root).check(spinning, nic);
    let slow = faults.iter().filter(|fault| !fault.is_fatal());
    let mut told: Vec<String> =
        slow.map(|fault: &PinFault| format!("run.cores: {fault}")).collect();
    if config.run.priority.is_some() {
        told.extend(priority_warnings(spinning, root));
    }
    told
}

/// What speaks against threads that spin before everybody else on these cores.
fn priority_warnings(spinning: &[usize], root: &Path) -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let lists = ["sys/devices/system/cpu/isolated", "sys/fs/cgroup/cpuset.cpus.isolated"];
    let isolated: Vec<usize> = lists.iter().flat_map(|path| parse_list(&read(path))).collect();
    let mut shared: Vec<usize> =
        spinning.iter().copied().filter(|core| !isolated.contains(core)).collect();
    shared.sort_unstable();
    shared.dedup();
    let mut told = Vec::new();
    if !shared.is_empty() {
        told.push(format!(
            "run.priority: cores {shared:?} are not isolated: all else that the kernel runs there waits for as \
             long as a stage spins (`ballast doctor`, isolation)"
        ));
    }
    let throttled = read("proc/sys/kernel/sched_rt_runtime_us");
    if !throttled.is_empty() && throttled.trim() != "-1" {
        told.push(format!(
            "run.priority: a thread that spins with it is stopped after {} µs of each period (`ballast \
             doctor`, rt-throttling)",
            throttled.trim()
        ));
    }
    told
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::ConfigFile;
    use std::fs;
    use std::sync::{Mutex, PoisonError};

    fn config(run: &str, host: &str) -> RawConfig {
        let demo = ConfigFile::demo().unwrap().text;
        let text = demo.replace("runner = \"fused\"", run) + host;
        ConfigFile::parse("demo.toml", text).unwrap().raw
    }

    /// Two cores of two threads each, the interface on another node.
    fn two_cores_of_two(root: &Path) {
        let put = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("sys/devices/system/cpu/online", "0-3\n");
        for (core, siblings) in [(0, "0-1"), (1, "0-1"), (2, "2-3"), (3, "2-3")] {
            let folder = format!("sys/devices/system/cpu/cpu{core}/topology");
            put(&format!("{folder}/thread_siblings_list"), siblings);
        }
        put("sys/devices/system/node/node0/cpulist", "0-3\n");
        put("sys/class/net/ens5/device/numa_node", "1\n");
    }

    /// A process locks its memory as a whole: tests of that go one after the other.
    pub(crate) static LOCKING: Mutex<()> = Mutex::new(());

    /// What of this process's memory is locked.
    pub(crate) fn locked_kb() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
        locked.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn cores_that_cost_latency_are_told_and_those_that_do_not_are_not() {
        let root = std::env::temp_dir().join(format!("ballast-hot-host-{}", std::process::id()));
        two_cores_of_two(&root);
        let told = |run: &str, host: &str| core_warnings(&config(run, host), &root);
        let pinned = |cores: &str| format!("runner = \"pinned\"\ncores = {cores}");
        assert_eq!(told(&pinned("[0, 2, 0]"), "").len(), 1, "two stages take turns on core 0");
        let siblings = told(&pinned("[0, 1, 2]"), "");
        assert_eq!(siblings.len(), 1);
        assert!(siblings[0].contains("run.cores: cores 0 and 1 are SMT siblings"), "{siblings:?}");
        let far = told("runner = \"fused\"\ncores = [0, 2, 0]", "\n[host]\nnic = \"ens5\"\n");
        assert_eq!(far.len(), 1, "fused, the second core alone is used: {far:?}");
        assert!(far[0].contains("NUMA node 0, network interface ens5 on node 1"), "{far:?}");
        assert_eq!(told("runner = \"fused\"\ncores = [0, 2, 0]", ""), Vec::<String>::new());
        assert_eq!(told("runner = \"fused\"", ""), Vec::<String>::new());
        let unpinned = told("runner = \"pinned\"", "");
        assert_eq!(unpinned.len(), 1);
        assert!(unpinned[0].contains("nothing is pinned without run.cores"), "{unpinned:?}");
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_priority_on_shared_or_throttled_cores_is_told() {
        let root = std::env::temp_dir().join(format!("ballast-priority-{}", std::process::id()));
        two_cores_of_two(&root);
        let put = |path: &str, text: &str| {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), text).unwrap();
        };
        put("sys/devices/system/cpu/isolated", "\n");
        put("proc/sys/kernel/sched_rt_runtime_us", "950000\n");
        let run = "runner = \"fused\"\ncores = [0, 2, 0]\npriority = 40";
        let told = |run: &str| core_warnings(&config(run, ""), &root);
        let both = told(run);
        assert_eq!(both.len(), 2, "{both:?}");
        assert!(both[0].contains("cores [2] are not isolated"), "{both:?}");
        assert!(both[1].contains("stopped after 950000 µs"), "{both:?}");
        assert_eq!(told("runner = \"fused\"\ncores = [0, 2, 0]"), Vec::<String>::new());
        put("sys/fs/cgroup/cpuset.cpus.isolated", "2-3\n");
        put("proc/sys/kernel/sched_rt_runtime_us", "-1\n");
        assert_eq!(told(run), Vec::<String>::new());
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_priority_without_cores_or_out_of_range_is_refused() {
        let text = ConfigFile::demo().unwrap().text;
        let told = |run: &str| {
            let text = text.replace("runner = \"fused\"", run);
            let file = ConfigFile::parse("demo.toml", text).unwrap();
            file.maker(1).map(|_| ()).map_err(|error| error.to_string())
        };
        let run = "runner = \"fused\"\npriority = ";
        assert!(told(&format!("{run}40")).unwrap_err().contains("wants run.cores"));
        assert_eq!(told(&format!("{run}40\ncores = [0, 2, 0]")), Ok(()));
        let none = told(&format!("{run}100\ncores = [0, 2, 0]")).unwrap_err();
        assert!(none.contains("must be 1 to 99"), "{none}");
    }

    #[test]
    fn a_counter_that_the_kernel_does_not_trust_is_told() {
        let root = std::env::temp_dir().join(format!("ballast-counter-{}", std::process::id()));
        let folder = root.join("sys/devices/system/clocksource/clocksource0");
        fs::create_dir_all(&folder).unwrap();
        let told = |known: &str, source| {
            fs::write(folder.join("available_clocksource"), known).unwrap();
            counter_warning(source, &root)
        };
        assert_eq!(told("kvm-clock tsc acpi_pm \n", Source::Tsc), None);
        assert_eq!(told("hpet acpi_pm \n", Source::Monotonic), None);
        let warning = told("hpet acpi_pm \n", Source::Tsc).unwrap();
        assert!(warning.contains("time stamp counter"), "{warning}");
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(counter_warning(Source::Tsc, &root), None, "a kernel that does not say");
    }

    #[test]
    fn memory_is_locked_or_the_limit_is_named() {
        let _alone = LOCKING.lock().unwrap_or_else(PoisonError::into_inner);
        match lock_memory() {
            Ok(()) => {
                let kb = locked_kb();
                rustix::mm::munlockall().unwrap();
                assert!(kb > 1_000, "{kb} kB");
            }
            Err(error) => assert!(error.to_string().contains("LimitMEMLOCK"), "{error}"),
        }
    }
}
