//! An instrument's state: entered, halted, and what its halt says once the account is put right.
//!
//! Fed by whatever in the maker sees a reason; feeds the records, the counters and the quotes. Maker thread,
//! cold. Absent: what an instrument may do in a state (`quoting.rs`), and an operator's way out of a halt
//! (`control.rs`).

use super::{Line, Maker};
use crate::event::InstrumentId;
use crate::maker::intents::{Intents, Record};
use crate::risk::state::{Reason, State};

impl Maker {
    /// Changes an instrument's state and records it; nothing where it is so already.
    #[cold]
    pub(super) fn enter(
        &mut self,
        instrument: InstrumentId,
        state: State,
        reason: Reason,
        out: &mut Intents,
    ) {
        let at = self.now;
        if let Some(line) = self.line_mut(instrument)
            && (line.state, line.reason) != (state, reason)
        {
            if state != State::Halted {
                line.beneath = None;
            }
            line.state = state;
            line.reason = reason;
            self.counters.entered.count(reason);
            out.record(Record::State { at, instrument, state, reason });
        }
    }

    /// Halts an instrument and takes its quotes out. Only an operator brings it back. The first reason
    /// stays; but that the account is wrong or the session given up is told whatever halted it before, and
    /// what the venue said whatever an operator paused it for: who brings it back must know.
    pub(super) fn halt(&mut self, instrument: InstrumentId, reason: Reason, out: &mut Intents) {
        let keeps = |line: &Line| {
            let is_graver = reason.weight() > line.reason.weight();
            let is_news = line.reason == Reason::Operator && reason.is_news_to_operator();
            line.state == State::Halted && !is_graver && !is_news
        };
        let is_kept = self.line(instrument).is_some_and(keeps);
        if let Some(line) = self.line_mut(instrument) {
            // Of the two reasons the one that is not told.
            let covered = if is_kept { reason } else { line.reason };
            let is_graver = |known: Reason| covered.weight() > known.weight();
            if covered.outlasts_doubt() && line.beneath.is_none_or(is_graver) {
                line.beneath = Some(covered);
            }
        }
        if !is_kept {
            self.enter(instrument, State::Halted, reason, out);
        }
        self.pull_quotes(instrument, out);
    }

    /// What is held of an instrument is in doubt no more; that it may go on is an operator's word, who is
    /// told what else halted it.
    pub(super) fn put_right(&mut self, instrument: InstrumentId, out: &mut Intents) {
        let Some(line) = self.line(instrument) else { return };
        if line.reason.doubts_account() {
            let reason = line.beneath.unwrap_or(Reason::AccountPutRight);
            self.enter(instrument, State::Halted, reason, out);
        }
    }
}
