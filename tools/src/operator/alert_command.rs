//! Alerts: a structured log line each, and the config's command with the alert as JSON on its input.
//!
//! Fed by the guard; feeds the log (`tracing`) and one process at a time, on a thread of its own: a
//! command that hangs is ended after five seconds. Those that say that nothing is traded any more, that
//! orders are left behind, or that the next start is in doubt, go ahead of what waits; beyond sixty-four the
//! oldest of the others is only logged. At the end ten seconds are left for all that waits: the state folder is held until then. What
//! the command prints goes nowhere. Absent: secrets (an alert holds names, states and reasons).

use super::hand::now;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;
use std::collections::VecDeque;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Alerts that may wait for the command.
const WAITING_MAX: usize = 64;
/// How far apart looks at a running command are.
const LOOK: Duration = Duration::from_millis(10);
/// Looks until a command that was ended is gone; one that the system does not end is left.
const LAST_LOOKS: u32 = 100;

/// How long the command may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Over one alert.
    pub each: Duration,
    /// Over all that wait at the end.
    pub end: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { each: Duration::from_secs(5), end: Duration::from_secs(10) }
    }
}

/// Something that an operator must know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Alert {
    /// `halted`, `paused`, `killed`, `session_down`, `session_up`, `venue_notice`,
    /// `journal_lost`, `kill_not_noted`, `panicked` (a thread of ours), `store_not_synced`,
    /// `obligation_missed`, `execution_missed` (only a drop copy told it), `left_working` (orders at a
    /// venue, after the end), `session_cut` (by a kill: orders may still work there).
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

impl Alert {
    /// Nothing is traded any more, or orders are left behind, or the next start is in doubt.
    fn is_grave(&self) -> bool {
        ["killed", "kill_not_noted", "journal_lost", "left_working", "session_cut"]
            .contains(&self.kind)
    }
}

/// The alerts that wait for the command.
#[derive(Debug, Default)]
struct Waiting {
    grave: VecDeque<Alert>,
    others: VecDeque<Alert>,
    /// The run is over, and the command must be by then.
    ends: Option<Instant>,
}

impl Waiting {
    /// Takes one in; one that has to give way to it is handed back.
    fn push(&mut self, alert: Alert) -> Option<Alert> {
        if alert.is_grave() { &mut self.grave } else { &mut self.others }.push_back(alert);
        let is_full = self.grave.len() + self.others.len() > WAITING_MAX;
        if is_full { self.others.pop_front().or_else(|| self.grave.pop_front()) } else { None }
    }

    fn pop(&mut self) -> Option<Alert> {
        self.grave.pop_front().or_else(|| self.others.pop_front())
    }
}

/// The queue between the guard and the command's thread.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    news: Condvar,
}

impl Queue {
    /// What a panic leaves is whole: nothing is called under the lock.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next one; none once the run is over and all was told, or its time is.
    fn next(&self) -> Option<Alert> {
        let is_quiet = |waiting: &mut Waiting| {
            waiting.ends.is_none() && waiting.grave.is_empty() && waiting.others.is_empty()
        };
        let waiting = self.news.wait_while(self.lock(), is_quiet);
        let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        let is_late = waiting.ends.is_some_and(|ends| now() >= ends);
        if is_late { None } else { waiting.pop() }
    }

    /// When a command that begins now must be done.
    fn due(&self, each: Duration) -> impl Fn() -> bool {
        let due = now() + each;
        move || now() >= self.lock().ends.map_or(due, |ends| ends.min(due))
    }
}

/// Tells alerts.
pub struct Alerts {
    hook: Option<(Arc<Queue>, JoinHandle<()>)>,
    patience: Patience,
}

impl Alerts {
    /// Tells the log, and `command` unless it is empty.
    pub fn new(command: Vec<String>, patience: Patience) -> Alerts {
        let hook = (!command.is_empty()).then(|| {
            let queue = Arc::<Queue>::default();
            let theirs = queue.clone();
            (queue, std::thread::spawn(move || serve(&command, &theirs, patience.each)))
        });
        Alerts { hook, patience }
    }

    /// Tells one. Never waits for the command.
    pub fn tell(&self, alert: Alert) {
        // The command first: no trouble with the log keeps it from being told.
        let given_way = self.hook.as_ref().and_then(|(queue, _)| {
            let given_way = queue.lock().push(alert.clone());
            queue.news.notify_one();
            given_way
        });
        let Alert { kind, of, reason, epoch, .. } = &alert;
        tracing::warn!(alert = kind, of, reason, epoch, "alert");
        if let Some(Alert { kind, of, .. }) = given_way {
            tracing::warn!(alert = kind, of, "the alert command does not keep up: only logged");
        }
    }

    /// Waits for what is still to be told, as long as there is patience.
    pub fn finish(self) {
        let Some((queue, thread)) = self.hook else { return };
        let ends = now() + self.patience.end;
        queue.lock().ends = Some(ends);
        queue.news.notify_one();
        // No join: a program that the system is not done beginning would hold the run up for good.
        while !thread.is_finished() && now() < ends + 2 * LAST_LOOKS * LOOK {
            std::thread::park_timeout(LOOK);
        }
        let waiting = queue.lock();
        let untold = waiting.grave.len() + waiting.others.len();
        if untold > 0 {
            tracing::warn!(untold, "the alert command did not keep up: only logged at the end");
        }
    }
}

fn serve(command: &[String], queue: &Queue, each: Duration) {
    while let Some(alert) = queue.next() {
        let is_due = queue.due(each);
        // The next one is told, whatever becomes of this one.
        let told = catch_unwind(AssertUnwindSafe(|| tell(command, &alert, is_due)));
        if let Ok(Err(error)) = told {
            tracing::warn!(command = command.first(), %error, "the alert command");
        }
    }
}

fn tell(command: &[String], alert: &Alert, is_due: impl Fn() -> bool) -> std::io::Result<()> {
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
    wait(&mut child, is_due)?;
    told
}

fn wait(child: &mut Child, is_due: impl Fn() -> bool) -> std::io::Result<()> {
    while !is_due() {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        std::thread::park_timeout(LOOK);
    }
    kill_process_group(Pid::from_child(child), Signal::KILL)?;
    for _ in 0..LAST_LOOKS {
        if child.try_wait()?.is_some() {
            break;
        }
        std::thread::park_timeout(LOOK);
    }
    Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "took too long and was ended"))
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
        assert_eq!(wait(&mut child, || true).unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        let is_gone = (0..500).any(|_| {
            std::thread::park_timeout(LOOK);
            // Whoever adopted it may not have asked after it yet.
            std::fs::read_to_string(&folder).map_or(true, |status| status.contains("State:\tZ"))
        });
        assert!(is_gone, "it still runs");
        std::fs::remove_file(&file).unwrap();
    }

    fn alert(kind: &'static str, of: usize) -> Alert {
        let (reason, at) = (String::new(), String::new());
        Alert { kind, of: of.to_string(), reason, at, epoch: 1 }
    }

    #[test]
    fn grave_alerts_go_first_and_the_oldest_other_one_gives_way() {
        let mut waiting = Waiting::default();
        for of in 0..WAITING_MAX {
            assert_eq!(waiting.push(alert("halted", of)), None);
        }
        let given_way = [alert("killed", 0), alert("paused", 0)].map(|alert| waiting.push(alert));
        assert_eq!(given_way, [Some(alert("halted", 0)), Some(alert("halted", 1))]);
        assert_eq!(waiting.push(alert("journal_lost", 0)), Some(alert("halted", 2)));
        let told: Vec<_> = std::iter::from_fn(|| waiting.pop()).map(|alert| alert.kind).collect();
        assert_eq!(
            (told.len(), &told[..3]),
            (WAITING_MAX, &["killed", "journal_lost", "halted"][..])
        );
        assert_eq!(told.last(), Some(&"paused"));
    }

    #[test]
    fn a_command_that_hangs_holds_up_neither_a_kills_page_nor_the_end() {
        let file = std::env::temp_dir().join(format!("ballast-hangs-{}", std::process::id()));
        let _ = std::fs::remove_file(&file);
        let script = format!("cat >> {0}; echo >> {0}; sleep 600", file.display());
        let command = ["sh", "-c", &script].map(str::to_owned).to_vec();
        let patience =
            Patience { each: Duration::from_secs(10), end: Duration::from_millis(1_500) };
        let alerts = Alerts::new(command, patience);
        let lines = || {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let kinds = text.lines().filter_map(|line| Some(line.split('"').nth(3)?.to_owned()));
            kinds.collect::<Vec<_>>()
        };
        let until = |count| {
            (0..3_000).any(|_| {
                std::thread::park_timeout(LOOK);
                lines().len() >= count
            })
        };
        alerts.tell(alert("halted", 0));
        assert!(until(1), "the first one is at it");
        for of in 0..2 * WAITING_MAX {
            alerts.tell(alert("paused", of));
        }
        alerts.tell(alert("killed", 0));
        assert!(until(2), "it hangs");
        let began = now();
        alerts.finish();
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        assert_eq!(&lines()[..2], ["halted", "killed"]);
        std::fs::remove_file(&file).unwrap();
    }
}
