//! The stage with a drop copy beside its session.
//!
//! A part of the stage, fed by its turns. Deliberately absent: what a copy is worth
//! ([`super::super::drop_copy`]).

use super::OrderEntry;
use crate::order_entry::drop_copy::{DropCopy, DropCopyCounts};
use crate::session::{ReconnectConfig, Session};
use crate::store::Store;
use crate::venue::line::Dial;
use ballast_engine::units::Nanos;

impl<D: Dial, S: Store> OrderEntry<D, S> {
    /// The same stage with a session on which the venue repeats the account's reports.
    pub fn with_drop_copy(
        mut self,
        (dial, session): (D, Session<S>),
        redial: ReconnectConfig,
    ) -> OrderEntry<D, S> {
        let tags = self.ear.rules.report_tags;
        self.drop_copy = Some(DropCopy::new(dial, session, redial, tags));
        self
    }

    /// The same stage: what its drop copy heard before this run and nobody told is told at the start, or is
    /// in what the account begins with.
    pub fn with_copies_taken_up(mut self, is_in_opening: bool) -> OrderEntry<D, S> {
        if let Some(copy) = &mut self.drop_copy {
            copy.take_up(self.line.session().store(), &mut self.ear.desk, is_in_opening);
        }
        self
    }

    /// What came over the drop copy, and whether it is logged on.
    pub fn drop_copy(&self) -> Option<(DropCopyCounts, bool)> {
        self.drop_copy.as_ref().map(|copy| (copy.counts(), copy.is_logged_on()))
    }

    /// Tells the executions that only the drop copy has.
    pub(super) fn hear_copies(&mut self, now: Nanos) -> bool {
        let Some(copy) = &mut self.drop_copy else { return false };
        let mut is_busy = copy.turn(now, &self.ear.desk);
        while self.ear.has_room() {
            let Some(event) = copy.next_missed(now, &mut self.ear.desk) else { break };
            self.ear.tell(event);
            is_busy = true;
        }
        is_busy
    }
}
