//! The one way from cold threads to the maker and to order entry: orders, kill, and what is shown.
//!
//! Fed by the back office, the operator's socket and the guard; feeds the maker's control ring, order
//! entry's switches and, where a thread is stuck, the cut of its socket. The locks are between cold
//! threads alone. Absent: who may do what.
//!
//! **A kill is one decision**, in this order: order entry is shut (no New and no Replace passes it any
//! more, whatever still lies in a ring), the maker is told (it cancels everything and decides nothing
//! new), and order entry cancels from its own index of live orders: behind the maker's cancels what the maker
//! has to wait for, as an order whose replace is unanswered, or everything where the maker does not take the
//! kill in time. Where that thread is stuck (fused: it is the same one), or the counterparty does not read, the
//! socket is closed and the venue's cancel-on-disconnect takes the orders out; where it has none, people are
//! told that orders may still work. Then the note that survives a restart is written.

use super::kill_note::{KillNote, NOTE};
use super::standing::Standing;
use crate::session_watch::SessionWatch;
use crate::state_dir::StateDir;
use ballast_engine::journal::record::Record;
use ballast_engine::journal::recorder::Watch;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::control::{Act, KillCause, User};
use ballast_engine::maker::input::Control;
use ballast_engine::maker::stage::Progress;
use ballast_engine::ring::Producer;
use ballast_gateway::order_entry::CancelSwitch;
use ballast_gateway::transport::Cut;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;
use thiserror::Error;

/// How often a wait looks; a maker that turns takes an order within microseconds.
const LOOK: Duration = Duration::from_micros(50);
/// Looks until a maker that did not take a kill is gone around: 20 ms.
const KILL_LOOKS: u32 = 400;
/// Looks until any other order counts as not taken, or as not written: 1 s each.
const ORDER_LOOKS: u32 = 20_000;
/// Looks within which order entry must have had a turn: 50 ms.
const ENTRY_LOOKS: u32 = 1_000;
/// The same where the maker has cancelled everything and only the sending is left: at least 250 ms.
const SEND_LOOKS: u32 = 5_000;
/// Looks within which what was sent must be written to the socket: at least 100 ms.
const WRITE_LOOKS: u32 = 2_000;
/// Turns of which the last began after the first look: what lay there then was taken.
const WHOLE_TURNS: u64 = 2;

/// One order session, from outside its thread.
pub struct OrderLine {
    /// Whether it is logged on, and its heartbeat.
    pub watch: SessionWatch,
    /// Shuts it, or makes it cancel from its own index.
    pub switch: CancelSwitch,
    /// Ends its connection.
    pub cut: Cut,
    /// Its venue is known to cancel what a lost session leaves.
    pub cancels_on_disconnect: bool,
}

/// How a kill went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Killed {
    /// The maker took it and cancelled everything.
    ByMaker,
    /// The maker did not take it in time: order entry cancels by itself.
    ByOrderEntry,
    /// Order entry is stuck as well: its connection is closed.
    ByDisconnect,
    /// A counterparty did not read, and cancels may lie in our buffer: its connection is closed, and dialled
    /// again to cancel.
    Unread,
}

/// A kill that was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kill {
    /// How it went.
    pub how: Killed,
    /// Why its note is not on disk: a restart would trade again.
    pub unnoted: Option<String>,
}

/// An act that the maker has taken, and its journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// The maker refused it, or a part of it.
    pub is_refused: bool,
}

/// An act that was not done, as far as is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NotDone {
    /// The ring has no room.
    #[error("it was not handed over: the maker's ring is full; nothing of it will be done")]
    NoRoom,
    /// It lies in the ring.
    #[error(
        "the maker did not take it within a second, and may still take it: before you give it again, \
         look at `ballast status` and `ballast journal` whether it was done"
    )]
    NotTaken,
    /// A process that died now could forget it.
    #[error(
        "the maker took it, but its journal does not have it after a second: a crash could undo it. Do \
         not give it again before `ballast status` and `ballast journal` say whether it was done"
    )]
    NotWritten,
}

impl NotDone {
    /// May it be done all the same, now or later?
    pub fn may_hold(self) -> bool {
        match self {
            NotDone::NoRoom => false,
            NotDone::NotTaken | NotDone::NotWritten => true,
        }
    }
}

/// The desk.
pub struct Desk {
    control: Mutex<(Producer<Control>, u64)>,
    progress: Arc<Progress>,
    /// Orders that are in the journal, of those that the maker took.
    written: Arc<AtomicU64>,
    lines: Vec<OrderLine>,
    sessions: Vec<SessionWatch>,
    folder: PathBuf,
    epoch: u32,
    standing: Mutex<Standing>,
    killed: Mutex<Option<KillNote>>,
    /// Held by who writes the note: one at a time, and nobody waits for the device but who must know.
    noting: Mutex<()>,
    is_over: AtomicBool,
}

/// What a panicking thread left is whole: no lock is held across a call that could leave it half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Is it so, at one of so many looks?
fn is_within(looks: u32, is_so: impl Fn() -> bool) -> bool {
    for _ in 0..looks {
        if is_so() {
            return true;
        }
        std::thread::park_timeout(LOOK);
    }
    false
}

/// This moment, for people.
pub fn now_text() -> String {
    format!("{:.6}", jiff::Timestamp::now())
}

impl Desk {
    /// A desk over the ends of a pipeline.
    pub fn new(
        control: Producer<Control>,
        progress: Arc<Progress>,
        lines: Vec<OrderLine>,
        sessions: Vec<SessionWatch>,
        state: &StateDir,
        config: &MakerConfig,
    ) -> Desk {
        let standing = Standing::new(config.instruments.len(), config.underlyings.len());
        Desk {
            control: Mutex::new((control, 0)),
            progress,
            written: Arc::default(),
            lines,
            sessions,
            folder: state.folder().to_path_buf(),
            epoch: state.epoch(),
            standing: Mutex::new(standing),
            killed: Mutex::default(),
            noting: Mutex::default(),
            is_over: AtomicBool::new(false),
        }
    }

    /// How the maker stands.
    pub fn standing(&self) -> MutexGuard<'_, Standing> {
        lock(&self.standing)
    }

    /// This run's number.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Where the note of a kill is, or will be.
    pub fn note(&self) -> PathBuf {
        self.folder.join(NOTE)
    }

    /// The order sessions.
    pub fn lines(&self) -> &[OrderLine] {
        &self.lines
    }

    /// All sessions, market data's as well.
    pub fn sessions(&self) -> &[SessionWatch] {
        &self.sessions
    }

    /// The maker's heartbeat.
    pub fn heartbeat(&self) -> u64 {
        self.progress.turns()
    }

    /// Why everything was stopped in this run, if it was.
    pub fn killed(&self) -> Option<KillNote> {
        lock(&self.killed).clone()
    }

    /// The maker is done: its heartbeat means nothing any more.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// Is the maker done?
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Hands an order to the maker: its number among all, or `None` where the ring is full.
    pub fn push(&self, control: Control) -> Option<u64> {
        let mut held = lock(&self.control);
        held.0.push(control).ok()?;
        held.1 += 1;
        Some(held.1)
    }

    /// Hands an act to the maker and waits until it was consumed and is in the journal: what is called
    /// done outlives this process.
    ///
    /// # Errors
    /// It was not, within a second.
    pub fn order(&self, user: User, second: User, act: Act) -> Result<Taken, NotDone> {
        let number = self.push(Control::By { user, second, act }).ok_or(NotDone::NoRoom)?;
        if !self.was_taken(number, ORDER_LOOKS) {
            return Err(NotDone::NotTaken);
        }
        let is_written = || self.written.load(Ordering::Acquire) >= number;
        // By its number: an act before it that was not answered in time may have been refused since.
        let is_refused = self.progress.is_refused(number);
        is_within(ORDER_LOOKS, is_written)
            .then_some(Taken { is_refused })
            .ok_or(NotDone::NotWritten)
    }

    /// What the recorder must show every record that the journal has, and no other: by it an act counts
    /// as written.
    pub fn journal_watch(&self) -> Watch {
        let written = self.written.clone();
        Box::new(move |record| {
            let Record::Control { control, .. } = record else { return };
            // The maker's own kill came through no ring, and would count for the act behind it.
            let is_own = matches!(control, Control::By { user, .. } if *user == User::NOBODY);
            if !is_own {
                written.fetch_add(1, Ordering::Release);
            }
        })
    }

    /// Has the maker killed itself?
    pub fn has_maker_killed_itself(&self) -> bool {
        self.progress.has_killed_itself()
    }

    fn was_taken(&self, number: u64, looks: u32) -> bool {
        is_within(looks, || self.progress.controls() >= number)
    }

    /// Stops everything, for good in this run and over restarts. A second kill goes the same way again
    /// and leaves the first one's note.
    pub fn kill(&self, cause: KillCause, user: User, reason: &str) -> Kill {
        let how = self.stop(cause, user, reason);
        let unnoted = self.note_kill().err();
        if let Some(why) = &unnoted {
            tracing::error!(why, "the kill is not on disk: a restart would trade again");
        }
        Kill { how, unnoted }
    }

    /// The same without the note, which the caller sees to: the device may take its time.
    pub fn stop(&self, cause: KillCause, user: User, reason: &str) -> Killed {
        for line in &self.lines {
            line.switch.shut();
        }
        let act = Act::Kill { cause };
        let number = self.push(Control::By { user, second: User::NOBODY, act });
        let looks = if cause == KillCause::Watchdog { 1 } else { KILL_LOOKS };
        let is_taken = number.is_some_and(|number| self.was_taken(number, looks));
        let how = if is_taken { self.see_through() } else { self.go_around() };
        let note = KillNote {
            cause: cause.name().into(),
            by: user.to_string(),
            reason: reason.into(),
            at: now_text(),
            epoch: self.epoch,
        };
        lock(&self.killed).get_or_insert(note);
        how
    }

    /// Puts the note of the kill on disk, where there was one and it is not there yet.
    ///
    /// # Errors
    /// Why it is not: a restart would trade again.
    pub fn note_kill(&self) -> Result<(), String> {
        let _alone = lock(&self.noting);
        self.write_note()
    }

    /// The same, unless somebody is at it.
    pub fn try_to_note_kill(&self) -> Option<Result<(), String>> {
        let _alone = match self.noting.try_lock() {
            Ok(alone) => alone,
            Err(TryLockError::Poisoned(alone)) => alone.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(self.write_note())
    }

    fn write_note(&self) -> Result<(), String> {
        let Some(note) = self.killed() else { return Ok(()) };
        note.write(&self.folder).map_err(|error| format!("{}: {error}", self.folder.display()))
    }

    /// A stage of this process panicked: the kill that a stuck maker is, whichever stage it was.
    pub fn kill_for_panic(&self, reason: &str) {
        let user = User::new(rustix::process::geteuid().as_raw(), "ballast");
        self.kill(KillCause::Watchdog, user, reason);
    }

    /// The maker's cancels lie in its rings: order entry sends them, and its own for what the maker must wait
    /// for.
    fn see_through(&self) -> Killed {
        self.have_cancelled(SEND_LOOKS, Killed::ByMaker)
    }

    /// The maker does not turn: order entry cancels what it knows.
    fn go_around(&self) -> Killed {
        self.have_cancelled(ENTRY_LOOKS, Killed::ByOrderEntry)
    }

    /// Has order entry cancel what is live, by turns within so many looks; a connection that is stuck, or whose
    /// counterparty does not read, ends.
    fn have_cancelled(&self, looks: u32, how: Killed) -> Killed {
        let lines: Vec<_> = self.lines.iter().map(|line| (line, line.watch.turns())).collect();
        for (line, _) in &lines {
            line.switch.pull();
        }
        is_within(looks, || lines.iter().all(has_turned));
        let (turning, stuck): (Vec<_>, Vec<_>) = lines.into_iter().partition(has_turned);
        for (line, _) in &stuck {
            self.cut(line, "order entry had no turn: its connection is closed");
        }
        let is_read = |line: &OrderLine| is_within(WRITE_LOOKS, || !line.watch.is_writing());
        let unread: Vec<_> = turning.iter().filter(|(line, _)| !is_read(line)).collect();
        for (line, _) in &unread {
            let why = "the counterparty did not read for 100 ms, and cancels may lie in our buffer: its \
                       connection is closed, and dialled again to cancel";
            self.cut(line, why);
        }
        match (stuck.is_empty(), unread.is_empty()) {
            (true, true) => how,
            (true, false) => Killed::Unread,
            (false, true | false) => Killed::ByDisconnect,
        }
    }

    /// Ends a connection, and has people told of what that may leave.
    fn cut(&self, line: &OrderLine, why: &str) {
        line.cut.pull();
        // It has told what it leaves.
        if line.watch.has_ended() {
            return;
        }
        let session = line.watch.name.clone();
        let left = match line.cancels_on_disconnect {
            true => "its venue cancels on disconnect: make sure there that it has",
            false => {
                "ORDERS MAY STILL WORK THERE: its venue is not known to cancel on disconnect; look there, \
                 and cancel them there"
            }
        };
        tracing::error!(session, why, left, "cut");
        self.standing().be_cut(session, format!("{why}; {left}"));
    }
}

/// Has its stage had whole turns since its heartbeat was this?
fn has_turned((line, before): &(&OrderLine, u64)) -> bool {
    line.watch.turns().wrapping_sub(*before) >= WHOLE_TURNS
}
