//! Alerts: a structured log line each, and the config's command with the alert as JSON on its input.
//!
//! Fed by the guard; feeds the log (`tracing`) and one process at a time, on a thread of its own: a
//! command that hangs is ended after five seconds, and alerts that find sixty-four waiting are logged
//! and not handed to it. What the command prints goes nowhere. Absent: secrets (an alert holds names,
//! states and reasons).

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Alerts that may wait for the command.
const WAITING_MAX: usize = 64;
/// Looks at a running command, and how far apart they are: five seconds.
const LOOKS: u32 = 500;
const LOOK: Duration = Duration::from_millis(10);

/// Something that an operator must know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Alert {
    /// `halted`, `paused`, `killed`, `session_down`, `session_up`, `venue_notice`,
    /// `journal_lost`, `kill_not_noted`, `store_not_synced`, `obligation_missed`, `execution_missed`
    /// (only a drop copy told it).
    pub kind: &'static str,
    /// Symbol or session; empty for the whole.
    pub of: String,
    /// Why.
    pub reason: String,
    /// When, UTC.
    pub at: String,
    /// Which run.
    pub epoch: u32,
}

/// Tells alerts.
pub struct Alerts {
    hook: Option<(SyncSender<Alert>, JoinHandle<()>)>,
}

impl Alerts {
    /// Tells the log, and `command` unless it is empty.
    pub fn new(command: Vec<String>) -> Alerts {
        let hook = (!command.is_empty()).then(|| {
            let (send, receive) = sync_channel(WAITING_MAX);
            (send, std::thread::spawn(move || serve(&command, &receive)))
        });
        Alerts { hook }
    }

    /// Tells one. Never waits.
    pub fn tell(&self, alert: Alert) {
        // The command first: no trouble with the log keeps it from being told.
        let is_told =
            self.hook.as_ref().is_none_or(|(hook, _)| hook.try_send(alert.clone()).is_ok());
        let Alert { kind, of, reason, epoch, .. } = &alert;
        tracing::warn!(alert = kind, of, reason, epoch, "alert");
        if !is_told {
            tracing::warn!("the alert command does not keep up: an alert was only logged");
        }
    }

    /// Waits for what is still to be told.
    pub fn finish(self) {
        if let Some((send, thread)) = self.hook {
            drop(send);
            let _ = thread.join();
        }
    }
}

fn serve(command: &[String], alerts: &Receiver<Alert>) {
    while let Ok(alert) = alerts.recv() {
        if let Err(error) = tell(command, &alert) {
            tracing::warn!(command = command.first(), %error, "the alert command");
        }
    }
}

fn tell(command: &[String], alert: &Alert) -> std::io::Result<()> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Of its own: what takes too long is ended with all that it began.
        .process_group(0)
        .spawn()?;
    // An alert is shorter than a pipe's buffer: this never waits for the command.
    let told = match child.stdin.take() {
        Some(mut input) => input.write_all(&serde_json::to_vec(alert)?),
        None => Ok(()),
    };
    wait(&mut child, LOOKS)?;
    told
}

fn wait(child: &mut Child, looks: u32) -> std::io::Result<()> {
    for _ in 0..looks {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        std::thread::park_timeout(LOOK);
    }
    kill_process_group(Pid::from_child(child), Signal::KILL)?;
    child.wait()?;
    Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "took more than five seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_takes_too_long_ends_with_all_that_it_began() {
        let file = std::env::temp_dir().join(format!("ballast-hook-{}", std::process::id()));
        let script = format!("sleep 600 & echo $! > {}; wait", file.display());
        let mut child = Command::new("sh").args(["-c", &script]).process_group(0).spawn().unwrap();
        let child_of_it = (0..500).find_map(|_| {
            std::thread::park_timeout(LOOK);
            std::fs::read_to_string(&file).ok()?.trim().parse::<u32>().ok()
        });
        let folder = format!("/proc/{}/status", child_of_it.unwrap());
        assert_eq!(wait(&mut child, 2).unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        let is_gone = (0..500).any(|_| {
            std::thread::park_timeout(LOOK);
            // Whoever adopted it may not have asked after it yet.
            std::fs::read_to_string(&folder).map_or(true, |status| status.contains("State:\tZ"))
        });
        assert!(is_gone, "it still runs");
        std::fs::remove_file(&file).unwrap();
    }
}
