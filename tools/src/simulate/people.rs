//! What people do: an operator looks at what halted, and starts what has ended.
//!
//! A part of the loop, called several times a second. Processes die here and are ended in order.
//! Deliberately absent: what they are started from (`process.rs`).

use super::tap::PlantedBug;
use super::world::{Ending, Leaving, SECOND_NS, WIND_DOWN_NS, World};
use crate::venue::order::Participant;
use ballast_engine::event::InstrumentId;
use ballast_engine::maker::control::{Act, User};
use ballast_engine::maker::input::Control;
use ballast_engine::pnl::ledger::Holding;
use ballast_engine::risk::state::{Reason, State};
use ballast_engine::units::Nanos;
use std::sync::Arc;

/// The operator looks at what waits for a hand after so long.
const LOOK_AFTER_NS: u64 = 30 * SECOND_NS;
/// What a reloaded config has in place of the built-in one's, one after the other.
const RELOADS: [(&str, &str); 3] = [
    ("gamma = \"0.1\"\nintensity", "gamma = \"0.2\"\nintensity"),
    ("\nsoft = \"0.1\"", "\nsoft = \"0.08\""),
    ("levels = 2", "levels = 1"),
];

/// Who operates.
pub(super) fn operator() -> User {
    User::new(1000, "simulated")
}

impl World {
    /// The process dies: nothing of it is left but its disk.
    pub(super) fn die(&mut self, comes_back: Nanos) {
        self.dies = None;
        self.end_process(comes_back, true);
    }

    fn end_process(&mut self, comes_back: Nanos, is_torn: bool) {
        let Some(process) = self.process.take() else { return };
        process.add_counts(&mut self.seen.counts);
        self.remains = Some(process.remains(!is_torn));
        match self.leaving.take() {
            Some((Leaving::Reload, _)) => self.reload(),
            Some((Leaving::Forget, _)) => self.move_messages_away(),
            Some((Leaving::Mend, _)) | None => {}
        }
        self.endings.push((comes_back, Ending::Start));
        self.calm_from = self.calm_from.max(comes_back);
    }

    /// A process starts where one was. As live, the note of a kill in its folder refuses that until an operator
    /// has lifted it.
    pub(super) fn start_again(&mut self) {
        if self.is_killed && self.bug != Some(PlantedBug::KillForgotten) {
            let lifted = self.now.plus(LOOK_AFTER_NS);
            self.calm_from = self.calm_from.max(lifted);
            return self.endings.push((lifted, Ending::Lift));
        }
        if let Err(error) = self.start_process() {
            self.checker.fail("recovers", error.to_string());
        }
    }

    pub(super) fn lift_kill(&mut self) {
        self.is_killed = false;
        self.seen.kills_lifted += 1;
        self.net.wiretap(|wiretap| wiretap.set_killed(false));
    }

    /// Another config than the last one's.
    fn reload(&mut self) {
        let (was, is) = RELOADS[self.epoch as usize % RELOADS.len()];
        let text = match self.file.text.contains(is) {
            true => self.file.text.replacen(is, was, 1),
            false => self.file.text.replacen(was, is, 1),
        };
        match crate::config::ConfigFile::parse(&self.file.path, text) {
            Ok(file) => self.file = file,
            Err(fault) => self.checker.fail("reloads", fault.to_string()),
        }
    }

    /// Both sides begin at 1, and ExecIDs have no past.
    fn move_messages_away(&mut self) {
        if let Some(remains) = &mut self.remains {
            remains.store = Arc::default();
            remains.exec_ids = None;
        }
    }

    /// Ends the process in order, to start another; not one that is ending.
    pub(super) fn leave(&mut self, why: Leaving) -> bool {
        let may_leave = self.leaving.is_none() && !self.is_final && self.dies.is_none();
        if may_leave && self.process.as_ref().is_some_and(|process| process.diary.is_kept()) {
            self.leaving = Some((why, self.now.plus(WIND_DOWN_NS)));
            self.order(Control::Shutdown);
            return true;
        }
        false
    }

    /// The journal can no longer be written: as live the run ends in order and somebody mends the disk. What
    /// came after the last whole record only the venue and the message store know. A run that was killed is
    /// the last.
    pub(super) fn lose_diary(&mut self) {
        if let Some(process) = &mut self.process {
            process.alarm.lose_journal();
        }
        self.checker.on_journal_lost(self.host_now());
        if !self.is_final && self.leaving.is_none() && self.dies.is_none() {
            self.leaving = Some((Leaving::Mend, self.now.plus(WIND_DOWN_NS)));
        }
        self.order(Control::Shutdown);
    }

    /// A process that has ended is followed by another; one that does not end is killed.
    pub(super) fn keep_process(&mut self) {
        let Some((_, deadline)) = self.leaving else { return };
        let comes_back = self.now.plus(SECOND_NS);
        self.calm_from = self.calm_from.max(comes_back);
        if self.process.as_ref().is_some_and(|process| process.is_done()) {
            self.end_process(comes_back, false);
        } else if self.now >= deadline {
            self.end_process(comes_back, true);
        }
    }

    /// The operator's hand: what waits for one is looked at and brought back.
    pub(super) fn operate(&mut self) {
        for place in 0..self.waiting_since.len() {
            let id = InstrumentId(u16::try_from(place).unwrap_or(0));
            let reason = self.waits(id);
            let Some(reason) = reason else {
                self.waiting_since[place] = None;
                continue;
            };
            let since = *self.waiting_since[place].get_or_insert(self.now);
            if self.now.since(since) >= LOOK_AFTER_NS && self.look_after(id, reason) {
                self.waiting_since[place] = None;
            }
        }
    }

    /// Why an instrument waits for an operator, if it does.
    pub(super) fn waits(&self, id: InstrumentId) -> Option<Reason> {
        let maker = self.process.as_ref()?.maker();
        let snapshot = maker.snapshot(id)?;
        let is_waiting =
            snapshot.state == State::Halted || snapshot.reason == Reason::OpeningUnconfirmed;
        (is_waiting && !maker.is_killed() && !self.paused).then_some(snapshot.reason)
    }

    /// Does what the reason asks for; false where it is not the moment.
    fn look_after(&mut self, id: InstrumentId, reason: Reason) -> bool {
        if reason == Reason::VenueForgot && !self.is_logged_on() {
            return self.leave(Leaving::Forget);
        }
        let is_doubted = reason.doubts_account();
        if is_doubted || reason == Reason::OpeningUnconfirmed {
            if !self.is_calm() {
                return false;
            }
            self.put_right(id, is_doubted);
        }
        self.seen.resumes += 1;
        self.order(Control::Resume(id));
        true
    }

    fn is_logged_on(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.session().is_logged_on())
    }

    /// The position becomes the venue's; where it is that already, an operator says so.
    fn put_right(&mut self, id: InstrumentId, is_doubted: bool) {
        let exchange = self.venue.playback().exchange();
        let theirs = exchange.held(Participant(0), id).0;
        let Some(process) = &self.process else { return };
        let ours = process.maker().ledger().position(id).unwrap_or_default().0;
        if ours != theirs || is_doubted {
            self.seen.adjusted += u64::from(ours != theirs);
            let act = Act::Adjust { holding: Holding::Position(id), amount: theirs - ours };
            self.order(Control::By { user: operator(), second: User::NOBODY, act });
        }
    }
}
