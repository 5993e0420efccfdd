//! The guard: a thread outside the pipeline that kills, and that tells what operators must know.
//!
//! Watches the maker's heartbeat, SIGUSR1, the kill file and the sessions, every five milliseconds;
//! feeds the desk with kills and the alerts with news. A whole process that was stopped and goes on
//! (SIGSTOP, a suspended host) is no stuck maker: only time in which this thread ran counts.
//! Nobody watches the guard: a panic of its own kills, and it goes on looking.
//! Absent: judgement of the market; the maker pauses by itself and says why.

use super::alert_command::{Alert, Alerts, Patience};
use super::alerting::{Alerting, Telling};
use super::desk::{Desk, now_text};
use super::hand::now;
use super::kill_note::KillNote;
use super::panics::{self, Panic};
use super::status::Names;
use crate::config::operator::RawOperator;
use crate::session_watch::SessionWatch;
use ballast_engine::event::InstrumentId;
use ballast_engine::maker::control::{KillCause, User};
use ballast_engine::units::Nanos;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often it looks.
const LOOK: Duration = Duration::from_millis(5);
/// Looks between two questions for the kill file.
const FILE_LOOKS: u32 = 10;
/// Most characters of an alert's reason.
const REASON_MAX: usize = 4_000;
/// How often a kill that is not on disk is noted again.
const NOTE_AGAIN: Duration = Duration::from_secs(1);
/// Until the next look after one that panicked: its message goes to the log each time.
const AFTER_PANIC: Duration = Duration::from_secs(1);
/// A drop copy that has not logged on by then is told.
const COPY_LOGON: Duration = Duration::from_secs(10);

/// What the guard is made of.
pub struct Guard {
    desk: Arc<Desk>,
    names: Names,
    alerts: Alerts,
    kill_file: PathBuf,
    stuck_after: Duration,
    kills_on_session_loss: bool,
    /// Set by SIGUSR1.
    signal: Arc<AtomicBool>,
    heartbeat: u64,
    /// For how long the heartbeat has stood still, counted while this thread ran.
    still: Duration,
    were_up: Vec<bool>,
    /// When drop copies should have logged on; none once that was looked at.
    copies_due: Option<Instant>,
    /// Executions that a drop copy alone told, by session.
    missed: Vec<u64>,
    /// Syncs of each session's store that failed, as far as told.
    unsynced: Vec<u64>,
    began: Instant,
    alerting: Alerting,
    looks: u32,
    is_killed: bool,
    /// When it was told that everything was stopped, by whomever.
    kill_told: Option<Instant>,
    /// When the note of a kill is looked after next, and why it was not on disk then.
    note_due: Instant,
    unnoted: Option<String>,
    /// A panic of its own has killed.
    has_panicked: bool,
    /// The watchdog has gone around the maker: whatever killed before, that is done once a stall.
    has_gone_around: bool,
    /// Order entry's heartbeats by line, for how long each has stood still, and that it was killed for that.
    entries: Vec<(u64, Duration, bool)>,
}

impl Guard {
    /// A guard over `desk`; `signal` is set when SIGUSR1 comes.
    pub fn new(
        desk: Arc<Desk>,
        names: Names,
        config: &RawOperator,
        kill_file: PathBuf,
        signal: Arc<AtomicBool>,
    ) -> Guard {
        Guard {
            names,
            alerts: Alerts::new(config.alert_command.clone(), Patience::default()),
            kill_file,
            stuck_after: Duration::from_millis(config.stuck_ms()),
            kills_on_session_loss: config.kill_on_session_loss,
            signal,
            heartbeat: 0,
            still: Duration::ZERO,
            were_up: vec![false; desk.sessions().len()],
            copies_due: Some(now() + COPY_LOGON),
            missed: vec![0; desk.sessions().len()],
            unsynced: vec![0; desk.sessions().len()],
            began: now(),
            alerting: Alerting::default(),
            looks: 0,
            is_killed: false,
            kill_told: None,
            note_due: now(),
            unnoted: None,
            has_panicked: false,
            has_gone_around: false,
            entries: vec![(0, Duration::ZERO, false); desk.lines().len()],
            desk,
        }
    }

    /// Guards until told to end.
    pub fn run(mut self, end: &Arc<AtomicBool>) {
        let mut last = now();
        while !end.load(Ordering::Acquire) {
            std::thread::park_timeout(LOOK);
            let at = now();
            let ran = at.duration_since(last).min(4 * LOOK);
            self.guarded(at, |guard| guard.look(at, ran));
            last = at;
        }
        let at = now();
        // What came since the last look: the next start must not trade over it.
        self.guarded(at, |guard| guard.look_for_kills(at, true));
        self.note_due = at;
        self.look_after_kill(at);
        self.tell_panics(at);
        self.tell_news(at);
        self.alerts.finish();
    }

    /// A look that panics kills, once: without a guard nobody would see a stuck maker, SIGUSR1 or the kill
    /// file. What is looked at is numbers and the desk's, which a panic leaves whole: it looks again.
    fn guarded(&mut self, at: Instant, look: impl FnOnce(&mut Guard)) {
        if catch_unwind(AssertUnwindSafe(|| look(self))).is_ok() {
            return;
        }
        if !self.has_panicked {
            let reason = "the guard panicked: its log line says over what";
            let kill = || self.kill(at, KillCause::Watchdog, reason);
            self.has_panicked = catch_unwind(AssertUnwindSafe(kill)).is_ok();
        }
        std::thread::park_timeout(AFTER_PANIC);
    }

    /// One look, `ran` after the last one.
    pub fn look(&mut self, at: Instant, ran: Duration) {
        self.looks = self.looks.wrapping_add(1);
        self.look_for_kills(at, self.looks % FILE_LOOKS == 1);
        self.watch(at, ran);
        self.watch_entries(at, ran);
        self.look_at_sessions(at);
        self.tell_panics(at);
        self.tell_news(at);
        // Last: the device may take its time.
        self.look_after_kill(at);
    }

    fn look_for_kills(&mut self, at: Instant, is_file_due: bool) {
        if self.signal.swap(false, Ordering::AcqRel) {
            self.kill(at, KillCause::Signal, "SIGUSR1");
        }
        if is_file_due && !self.is_killed {
            self.look_for_files(at);
        }
        if self.desk.has_maker_killed_itself() && self.desk.killed().is_none() {
            self.kill(at, KillCause::Journal, "the journal did not keep up: its ring was full");
        }
    }

    /// The kill file, and a note that `ballast kill` left where nobody answered. Where the system does not
    /// say whether one is there, it is.
    fn look_for_files(&mut self, at: Instant) {
        let note = self.desk.killed().is_none().then(|| self.desk.note());
        let mut paths = std::iter::once(self.kill_file.clone()).chain(note);
        let found = paths.find(|path| path.try_exists().unwrap_or(true));
        // A kill by another way may have left its note since.
        let is_new = |path: &PathBuf| *path == self.kill_file || self.desk.killed().is_none();
        if let Some(path) = found.filter(is_new) {
            self.kill(at, KillCause::File, &format!("{} is there", path.display()));
        }
    }

    fn watch(&mut self, at: Instant, ran: Duration) {
        let heartbeat = self.desk.heartbeat();
        // Before its first turn there is nothing to watch, after its last one neither.
        if heartbeat != self.heartbeat || heartbeat == 0 || self.desk.is_over() {
            self.heartbeat = heartbeat;
            self.still = Duration::ZERO;
            self.has_gone_around = false;
            return;
        }
        self.still += ran;
        // Also after a kill: the maker may have hung before all of its cancels went out.
        if self.still >= self.stuck_after && !self.has_gone_around {
            self.has_gone_around = true;
            let reason = format!("the maker had no turn for {} ms", self.still.as_millis());
            self.kill(at, KillCause::Watchdog, &reason);
        }
    }

    /// A maker that turns sends nothing where order entry does not: what rests at the venue stays there.
    fn watch_entries(&mut self, at: Instant, ran: Duration) {
        if self.desk.is_over() {
            return;
        }
        let mut stuck = None;
        for ((heartbeat, still, is_known), line) in self.entries.iter_mut().zip(self.desk.lines()) {
            let turns = line.watch.turns();
            if turns != *heartbeat || turns == 0 {
                (*heartbeat, *still, *is_known) = (turns, Duration::ZERO, false);
                continue;
            }
            *still += ran;
            if *still >= self.stuck_after && !std::mem::replace(is_known, true) {
                stuck = Some((line.watch.name.clone(), still.as_millis()));
            }
        }
        // Where the maker stands still as well it is gone around, and what hangs with it is cut.
        if let Some((name, ms)) = stuck.filter(|_| !self.has_gone_around) {
            let reason = format!("order entry of {name} had no turn for {ms} ms");
            self.kill(at, KillCause::Watchdog, &reason);
        }
    }

    fn kill(&mut self, at: Instant, cause: KillCause, reason: &str) {
        self.is_killed = true;
        let user = User::new(rustix::process::geteuid().as_raw(), "ballast");
        let how = self.desk.stop(cause, user, reason);
        self.alert(at, "killed", String::new(), format!("{}: {reason}", cause.name()));
        self.kill_told.get_or_insert(at);
        tracing::error!(cause = cause.name(), reason, ?how, "killed");
        self.note_due = at;
        self.look_after_kill(at);
    }

    /// A kill that an operator made is an alert as well, and any is noted as soon as it can be: a full disk
    /// may have room a second later.
    fn look_after_kill(&mut self, at: Instant) {
        if self.kill_told.is_none()
            && let Some(KillNote { cause, by, reason, .. }) = self.desk.killed()
        {
            self.kill_told = Some(at);
            self.alert(at, "killed", String::new(), format!("{cause}: {reason}, by {by}"));
        }
        let Some(told) = self.kill_told.filter(|_| at >= self.note_due) else { return };
        self.note_due = at + NOTE_AGAIN;
        let why = match self.desk.try_to_note_kill() {
            Some(noted) => noted.err(),
            // The socket's thread is at it, for the operator who waits there.
            None if at < told + NOTE_AGAIN => return,
            None => Some("the device does not answer".to_owned()),
        };
        if std::mem::replace(&mut self.unnoted, why.clone()) == why {
            return;
        }
        match why {
            Some(why) => {
                let reason = format!("a restart would trade again: {why}");
                self.alert(at, "kill_not_noted", String::new(), reason);
            }
            None => tracing::warn!("the kill is on disk now"),
        }
    }

    fn look_at_sessions(&mut self, at: Instant) {
        if self.desk.is_over() {
            return;
        }
        self.expect_copies(at);
        let desk = self.desk.clone();
        let mut is_order_session_lost = false;
        for (place, watch) in desk.sessions().iter().enumerate() {
            while let Some(notice) = watch.take_notice() {
                self.alert(at, "venue_notice", watch.name.clone(), notice);
            }
            self.look_at_copies(at, place, watch);
            self.look_at_store(at, place, watch);
            let Some(was_up) = self.were_up.get_mut(place) else { continue };
            let is_up = watch.is_up();
            if std::mem::replace(was_up, is_up) == is_up {
                continue;
            }
            let kind = if is_up { "session_up" } else { "session_down" };
            let is_orders = desk.lines().iter().any(|line| line.watch.name == watch.name);
            is_order_session_lost |= is_orders && !is_up;
            self.alert(at, kind, watch.name.clone(), String::new());
        }
        if is_order_session_lost && self.kills_on_session_loss && !self.is_killed {
            self.kill(at, KillCause::SessionLost, "an order session was lost");
        }
    }

    /// No run waits for a drop copy: one that never came is told as one that went.
    fn expect_copies(&mut self, at: Instant) {
        if self.copies_due.take_if(|due| at >= *due).is_some() {
            for (was_up, watch) in self.were_up.iter_mut().zip(self.desk.sessions()) {
                *was_up |= watch.copies().is_some();
            }
        }
    }

    /// An order session that does not tell a fill is an order session to look at.
    fn look_at_copies(&mut self, at: Instant, place: usize, watch: &SessionWatch) {
        let Some((known, [_, _, missed])) = self.missed.get_mut(place).zip(watch.copies()) else {
            return;
        };
        if std::mem::replace(known, missed) != missed {
            let reason = format!(
                "{missed} executions of this run came by the drop copy alone and were booked from it"
            );
            self.alert(at, "execution_missed", watch.name.clone(), reason);
        }
    }

    /// A device that refuses to sync is going, and with it what a restart needs.
    fn look_at_store(&mut self, at: Instant, place: usize, watch: &SessionWatch) {
        let Some(known) = self.unsynced.get_mut(place) else { return };
        let failures = watch.sync_failures();
        if std::mem::replace(known, failures) != failures {
            let reason = format!(
                "the device refused {failures} syncs of the message store, or the thread that syncs it died: no \
                 order goes out until a restart, what is out is cancelled; look at the disk under the state \
                 folder"
            );
            self.alert(at, "store_not_synced", watch.name.clone(), reason);
        }
    }

    /// A run goes on without most of its threads, and an operator must know which one is gone.
    fn tell_panics(&mut self, at: Instant) {
        while let Some(Panic { thread, message }) = panics::next() {
            self.alert(at, "panicked", thread, message);
        }
    }

    fn tell_news(&mut self, at: Instant) {
        let time = self.time(at);
        loop {
            // The lock is not held while it is told.
            let Some(news) = self.desk.standing().next_news() else { break };
            let Guard { names, alerting, .. } = self;
            let symbol = |id: InstrumentId| names.symbol(usize::from(id.0)).to_owned();
            if let Some(telling) = alerting.take(time, news, symbol) {
                self.tell(telling);
            }
        }
        while let Some(owed) = self.alerting.next_owed(time) {
            self.tell(owed);
        }
    }

    fn alert(&mut self, at: Instant, kind: &'static str, of: String, reason: String) {
        let time = self.time(at);
        if let Some(telling) = self.alerting.due(time, Telling { kind, of, reason }) {
            self.tell(telling);
        }
    }

    fn tell(&self, Telling { kind, of, reason }: Telling) {
        // An alert must fit a pipe: an operator's reason may be as long as a request.
        let reason =
            if reason.len() > REASON_MAX { format!("{reason:.REASON_MAX$}") } else { reason };
        self.alerts.tell(Alert { kind, of, reason, at: now_text(), epoch: self.desk.epoch() });
    }

    fn time(&self, at: Instant) -> Nanos {
        let since = at.saturating_duration_since(self.began).as_nanos();
        Nanos(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;
    use crate::operator::desk::OrderLine;
    use crate::state_dir::StateDir;
    use ballast_engine::maker::input::Control;
    use ballast_engine::ring::{self, Consumer};
    use ballast_gateway::order_entry::CancelSwitch;
    use ballast_gateway::transport::Cut;

    /// A guard over a desk whose maker never turns; its alerts go to a file of the folder.
    fn guard(folder: &std::path::Path) -> (Guard, CancelSwitch, Consumer<Control>) {
        let _ = std::fs::remove_dir_all(folder);
        let state = StateDir::open(folder).unwrap();
        let mut file = ConfigFile::demo().unwrap();
        let append = format!("cat >> {}", folder.join("alerts").display());
        file.raw.operator.alert_command = vec!["sh".into(), "-c".into(), append];
        let config = file.maker(1).unwrap();
        let (control, orders) = ring::slots(8);
        let (watch, switch) = (SessionWatch::new("orders".into()), CancelSwitch::default());
        let cut = Cut::default();
        let line = OrderLine { watch, switch: switch.clone(), cut, cancels_on_disconnect: true };
        let desk = Desk::new(control, Arc::default(), vec![line], Vec::new(), &state, &config);
        let names = Names::new(&file, &config);
        let (operator, signal) = (&file.raw.operator, Arc::default());
        let guard = Guard::new(Arc::new(desk), names, operator, folder.join("kill"), signal);
        (guard, switch, orders)
    }

    #[test]
    fn a_panic_of_the_guard_kills_once_and_it_looks_again() {
        let folder = std::env::temp_dir().join(format!("ballast-guard-{}", std::process::id()));
        let (mut guard, switch, mut orders) = guard(&folder);
        for _ in 0..2 {
            guard.guarded(now(), |_| panic!("a test"));
        }
        assert!(switch.is_shut(), "no New passes");
        let note = KillNote::read(&folder).expect("it survives a restart");
        assert!(note.cause == "watchdog" && note.reason.contains("panicked"), "{note}");
        assert!(orders.pop().is_some() && orders.pop().is_none(), "once");
        let mut has_looked = false;
        guard.guarded(now(), |_| has_looked = true);
        assert!(has_looked);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_signal_behind_the_last_look_is_noted_at_the_end_and_what_is_left_working_is_an_alert() {
        let folder = std::env::temp_dir().join(format!("ballast-guard-end-{}", std::process::id()));
        let (guard, switch, _orders) = guard(&folder);
        guard.signal.store(true, Ordering::Release);
        let what = "orders: 2 orders may still work there (ClOrdID 11, 12)";
        guard.desk.standing().leave_working("orders".into(), what.into());
        guard.run(&Arc::new(AtomicBool::new(true)));
        assert!(switch.is_shut());
        assert_eq!(KillNote::read(&folder).expect("no run trades after it").cause, "signal");
        let alerts = std::fs::read_to_string(folder.join("alerts")).unwrap();
        assert!(alerts.contains("left_working") && alerts.contains(what), "{alerts}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
