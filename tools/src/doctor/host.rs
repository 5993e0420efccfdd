//! The host that is examined: where its kernel's files lie, and which cores and interface Ballast is
//! to have.

use ballast_engine::pin;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What the checks look at.
#[derive(Clone, Debug)]
pub struct Host {
    root: PathBuf,
    /// The cores that the hot stages are to run on; empty where not named.
    pub cores: Vec<usize>,
    /// The cores that `[run]` gives to the hot stages; empty where it names none.
    pub run_cores: Vec<usize>,
    /// The network interface that the venues are reached by.
    pub nic: Option<String>,
    /// The process whose limits, cores and group are examined; `None` for this one, which has the shell's.
    pub pid: Option<u32>,
}

/// Why a config file does not say which cores and interface to examine.
#[derive(Debug, Error)]
pub enum HostConfigError {
    /// Cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Is not TOML, or its `[host]` table is not as described.
    #[error("{path}: {message}; [host] takes cores = [1, 2] and nic = \"eth0\"")]
    Malformed {
        /// The file.
        path: String,
        /// Where and why.
        message: String,
    },
}

#[derive(Deserialize)]
struct RawFile {
    host: Option<RawHost>,
    run: Option<RawPlaces>,
}

/// What of `[run]` says where the hot stages run; the rest is the run's own.
#[derive(Deserialize)]
struct RawPlaces {
    runner: Option<String>,
    cores: Option<Vec<usize>>,
}

impl RawPlaces {
    /// The cores that spin: fused, the second alone is used.
    fn hot(self) -> Vec<usize> {
        let mut cores = self.cores.unwrap_or_default();
        if self.runner.as_deref() == Some("fused") {
            cores = cores.get(1).copied().into_iter().collect();
        }
        cores.sort_unstable();
        cores.dedup();
        cores
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHost {
    #[serde(default)]
    cores: Vec<usize>,
    nic: Option<String>,
}

impl Host {
    /// The host whose `/proc` and `/sys` lie below `root`, with no cores named.
    pub fn at(root: &Path) -> Host {
        let (cores, run_cores) = (Vec::new(), Vec::new());
        Host { root: root.to_path_buf(), cores, run_cores, nic: None, pid: None }
    }

    /// Takes cores and interface from the `[host]` table of a config file, where it has one; cores that it
    /// does not name are those of `[run]`. Where both name some, the check of the cores compares them.
    pub fn configure(&mut self, file: &Path) -> Result<(), HostConfigError> {
        let path = file.display().to_string();
        let text = fs::read_to_string(file)
            .map_err(|source| HostConfigError::Unreadable { path: path.clone(), source })?;
        let raw: RawFile = toml::from_str(&text).map_err(|error| HostConfigError::Malformed {
            path,
            message: crate::config::syntax::told(&text, &error),
        })?;
        if let Some(host) = raw.host {
            self.cores = host.cores;
            self.nic = host.nic;
        }
        self.run_cores = raw.run.map(RawPlaces::hot).unwrap_or_default();
        if self.cores.is_empty() {
            self.cores.clone_from(&self.run_cores);
        }
        Ok(())
    }

    /// Where the kernel's files lie.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file's trimmed text.
    pub fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok().map(|text| text.trim().to_owned())
    }

    /// A file that holds one number.
    pub fn number(&self, path: &str) -> Option<i64> {
        self.text(path)?.parse().ok()
    }

    /// A file in the kernel's list format ("0-3,8").
    pub fn list(&self, path: &str) -> Option<Vec<usize>> {
        self.text(path).map(|text| pin::parse_list(&text))
    }

    /// Names in a folder, sorted.
    pub fn entries(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.root.join(path))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// A boot parameter's value; `Some("")` for one without.
    pub fn boot_parameter(&self, name: &str) -> Option<String> {
        self.text("proc/cmdline")?.split_whitespace().rev().find_map(|word| {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            (key == name).then(|| value.to_owned())
        })
    }

    /// A boot parameter that lists cores, as the kernel reads it: "0-3,8", "all", and N for the last core.
    pub fn boot_cores(&self, name: &str) -> Vec<usize> {
        let Some(list) = self.boot_parameter(name) else { return Vec::new() };
        let every = self.list("sys/devices/system/cpu/possible");
        let every = every.or_else(|| self.list("sys/devices/system/cpu/online"));
        let every = every.unwrap_or_default();
        if list == "all" {
            return every;
        }
        let last = every.last().map(usize::to_string).unwrap_or_default();
        pin::parse_list(&list.replace('N', &last))
    }

    /// The wake-up latency in µs that a process holds `/dev/cpu_dma_latency` open for, where that may be
    /// read (by root alone).
    pub fn dma_latency_us(&self) -> Option<i32> {
        let bytes = fs::read(self.root.join("dev/cpu_dma_latency")).ok()?;
        Some(i32::from_ne_bytes(bytes.try_into().ok()?))
    }

    /// Which of the named processes run, by `/proc/*/comm`; `None` where there is no `/proc`.
    pub fn running(&self, names: &[&str]) -> Option<Vec<String>> {
        let processes = self.entries("proc");
        if processes.is_empty() {
            return None;
        }
        let mut found: Vec<String> = processes
            .iter()
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            .filter_map(|pid| self.text(&format!("proc/{pid}/comm")))
            .filter(|comm| names.contains(&comm.as_str()))
            .collect();
        found.sort();
        found.dedup();
        Some(found)
    }

    /// A file of the examined process below `/proc`.
    pub fn of_process(&self, file: &str) -> Option<String> {
        let pid = self.pid.map_or("self".to_owned(), |pid| pid.to_string());
        self.text(&format!("proc/{pid}/{file}"))
    }

    /// What follows a name in the process's `/proc/PID/status`.
    pub fn status(&self, name: &str) -> Option<String> {
        let status = self.of_process("status")?;
        status.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_owned())
    }

    /// The process's control groups that `controller` looks after, its own first and the root last. A group
    /// is a path below [`Host::root`]: of version 2, or of the controller's own tree of version 1.
    pub fn groups(&self, controller: &str) -> Vec<String> {
        let Some(text) = self.of_process("cgroup") else { return Vec::new() };
        let mut groups = Vec::new();
        for line in text.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { continue };
            let tree = match controllers {
                "" => "sys/fs/cgroup".to_owned(),
                some if some.split(',').any(|one| one == controller) => {
                    format!("sys/fs/cgroup/{controllers}")
                }
                _ => continue,
            };
            let own = Some(group.trim_end_matches('/'));
            let above = std::iter::successors(own, |group| Some(group.rsplit_once('/')?.0));
            groups.extend(above.map(|group| format!("{tree}{group}")));
        }
        groups
    }

    /// The soft limit of the process by its name in `/proc/PID/limits`; `u64::MAX` is unlimited.
    pub fn limit(&self, name: &str) -> Option<u64> {
        let text = self.of_process("limits")?;
        let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
        match rest.split_whitespace().next()? {
            "unlimited" => Some(u64::MAX),
            number => number.parse().ok(),
        }
    }

    /// Those of the hot cores that `these` leave out.
    pub fn hot_cores_missing_from(&self, these: &[usize]) -> Vec<usize> {
        self.cores.iter().copied().filter(|core| !these.contains(core)).collect()
    }

    /// The hot cores as the kernel lists them, or a placeholder for the mending commands.
    pub fn cores_text(&self) -> String {
        if self.cores.is_empty() {
            return "CORES".to_owned();
        }
        let cores: Vec<String> = self.cores.iter().map(usize::to_string).collect();
        cores.join(",")
    }
}

/// A fake host for the checks' tests: the files that are written, and nothing else.
#[cfg(test)]
pub mod fake {
    use super::Host;
    use std::fs;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Removes its tree when dropped.
    pub struct Tree {
        root: PathBuf,
    }

    impl Tree {
        /// A tree of these files.
        pub fn of(files: &[(&str, &str)]) -> Tree {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("ballast-doctor-{}-{number}", std::process::id());
            let tree = Tree { root: std::env::temp_dir().join(name) };
            for (path, text) in files {
                let path = tree.root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            tree
        }

        /// The host with these hot cores, behind eth0.
        pub fn host(&self, cores: &[usize]) -> Host {
            let cores = cores.to_vec();
            Host { cores, nic: Some("eth0".to_owned()), ..Host::at(&self.root) }
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fake::Tree;

    #[test]
    fn cores_and_interface_come_from_the_host_table_and_the_rest_of_the_file_is_left_alone() {
        let tree = Tree::of(&[
            ("run.toml", "[quote]\nx = 1\n[host]\ncores = [2, 3]\nnic = \"ens5\"\n"),
            ("bad.toml", "[host]\ncoers = [2]\n"),
            ("fused.toml", "[run]\nrunner = \"fused\"\ncores = [1, 2, 3]\ntimer_ms = 10\n"),
            ("pinned.toml", "[run]\nrunner = \"pinned\"\ncores = [3, 2, 3]\n[host]\n"),
        ]);
        let mut host = tree.host(&[]);
        host.configure(&host.root().join("run.toml")).unwrap();
        assert_eq!((host.cores.as_slice(), host.nic.as_deref()), (&[2, 3][..], Some("ens5")));
        assert_eq!(host.run_cores, Vec::<usize>::new());
        for (file, hot) in [("fused.toml", &[2][..]), ("pinned.toml", &[2, 3])] {
            let mut host = tree.host(&[]);
            host.configure(&host.root().join(file)).unwrap();
            assert_eq!(host.cores, hot, "{file}");
        }
        let error = host.configure(&host.root().join("bad.toml")).unwrap_err().to_string();
        assert!(error.contains("coers") && error.contains("bad.toml"), "{error}");
        assert!(matches!(
            host.configure(Path::new("/nonexistent.toml")),
            Err(HostConfigError::Unreadable { .. })
        ));
    }

    #[test]
    fn a_process_that_is_named_is_examined_in_place_of_this_one() {
        let tree = Tree::of(&[
            ("proc/self/status", "Name:\tbash\nCapEff:\t000001ffffffffff\n"),
            ("proc/77/status", "Name:\tballast\nCapEff:\t0000000000000000\n"),
            ("proc/77/cgroup", "4:cpu,cpuacct:/a/b\n3:memory:/m\n0::/a\n"),
        ]);
        let mut host = tree.host(&[]);
        assert_eq!(host.status("CapEff:").as_deref(), Some("000001ffffffffff"));
        assert_eq!(host.groups("cpu"), Vec::<String>::new());
        host.pid = Some(77);
        assert_eq!(host.status("CapEff:").as_deref(), Some("0000000000000000"));
        let cpu = "sys/fs/cgroup/cpu,cpuacct";
        let expected = [
            format!("{cpu}/a/b"),
            format!("{cpu}/a"),
            cpu.to_owned(),
            "sys/fs/cgroup/a".to_owned(),
        ];
        assert_eq!(host.groups("cpu"), [&expected[..], &["sys/fs/cgroup".to_owned()]].concat());
    }

    #[test]
    fn the_last_of_a_repeated_boot_parameter_counts() {
        let tree = Tree::of(&[("proc/cmdline", "ro isolcpus=1 quiet isolcpus=2,3\n")]);
        let host = tree.host(&[]);
        assert_eq!(host.boot_parameter("isolcpus").as_deref(), Some("2,3"));
        assert_eq!(host.boot_parameter("quiet").as_deref(), Some(""));
        assert_eq!(host.boot_parameter("nohz_full"), None);
    }

    #[test]
    fn cores_of_a_boot_parameter_may_be_all_or_end_at_the_last() {
        let tree = Tree::of(&[
            ("sys/devices/system/cpu/possible", "0-3"),
            ("proc/cmdline", "rcu_nocbs=all nohz_full=1-N isolcpus=2,N"),
        ]);
        let host = tree.host(&[]);
        assert_eq!(host.boot_cores("rcu_nocbs"), [0, 1, 2, 3]);
        assert_eq!(host.boot_cores("nohz_full"), [1, 2, 3]);
        assert_eq!(host.boot_cores("isolcpus"), [2, 3]);
        assert_eq!(host.boot_cores("quiet"), Vec::<usize>::new());
    }

    #[test]
    fn processes_are_found_by_name_and_limits_by_line() {
        let tree = Tree::of(&[
            ("proc/12/comm", "chronyd\n"),
            ("proc/13/comm", "bash\n"),
            (
                "proc/self/limits",
                "Limit                     Soft Limit           Hard Limit           Units\n\
                 Max locked memory         8388608              8388608              bytes\n\
                 Max open files            unlimited            unlimited            files\n",
            ),
        ]);
        let host = tree.host(&[]);
        assert_eq!(host.running(&["chronyd", "ntpd"]), Some(vec!["chronyd".to_owned()]));
        assert_eq!(host.limit("Max locked memory"), Some(8_388_608));
        assert_eq!(host.limit("Max open files"), Some(u64::MAX));
        assert_eq!(host.limit("Max nonsense"), None);
    }
}
