//! `ballast doctor`: prints how this host stands against tuning.md.

use super::Failure;
use crate::doctor::{self, Host, State};
use std::path::{Path, PathBuf};

/// Options of `ballast doctor`.
#[derive(clap::Args)]
pub struct Options {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// Take cores and interface from [host] of this file; cores from [run] where it names none.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The cores that the hot stages are to have, in place of the config's.
    #[arg(long, value_delimiter = ',')]
    cores: Vec<usize>,
    /// The network interface that venues are reached by, in place of the config's.
    #[arg(long)]
    nic: Option<String>,
    /// The running maker: its limits, cpuset, quota and capabilities are examined in place of this shell's.
    #[arg(long)]
    pid: Option<u32>,
    /// Examine the /proc and /sys below this folder, for instance copied from another host.
    #[arg(long, default_value = "/")]
    root: PathBuf,
}

/// Examines the host; fails where an item does.
pub fn run(options: &Options) -> Result<(), Failure> {
    let mut host = Host::at(&options.root);
    if let Some(file) = &options.config {
        host.configure(file).map_err(|error| Failure::Usage(error.to_string()))?;
    }
    if !options.cores.is_empty() {
        host.cores.clone_from(&options.cores);
    }
    if options.nic.is_some() {
        host.nic.clone_from(&options.nic);
    }
    if !Path::new(&options.root).is_dir() {
        return Err(Failure::Usage(format!("--root {}: no such folder", options.root.display())));
    }
    host.pid = options.pid;
    if let Some(pid) = host.pid
        && host.of_process("status").is_none()
    {
        return Err(Failure::Usage(format!("--pid {pid}: no such process")));
    }
    let findings = doctor::examine(&host);
    if options.json {
        println!("{:#}", doctor::to_json(&host, &findings));
    } else {
        print!("{}", doctor::to_text(&findings));
        if host.pid.is_none() {
            println!(
                "\nLimits, cpuset, quota and capabilities are this shell's: --pid examines a running maker's, \
                 ExecStartPre= in its unit those that it will have."
            );
        }
        println!("\ntuning.md says for each item why it matters and how to undo it.");
    }
    let failed: Vec<&str> = findings
        .iter()
        .filter(|(_, finding)| finding.state == State::Fail)
        .map(|(id, _)| *id)
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(format!("this host fails {}", failed.join(", "))))
}
