//! A journal on its way through a maker: what a start needs to know of the run before, record by record.
//!
//! Fed with records, from the journal's beginning or from a snapshot's place on; feeds the recovery with
//! how the run ended, and snapshots with its state. The state is everything that later records could
//! depend on: from a snapshot on, the maker that comes out is, bit for bit, the one that would have come
//! out from the beginning. Cold. Absent: files.

use super::LastRun;
use super::state_bytes::StateBytes;
use crate::replay::{self, Midway, ReplayFault, Run};
use ballast_engine::event::{ClOrdId, InstrumentId, VenueId};
use ballast_engine::journal::fault::JournalFault;
use ballast_engine::journal::header::Header;
use ballast_engine::journal::reader::JournalReader;
use ballast_engine::journal::record::{End, Record};
use ballast_engine::journal::recovery::{Survey, Tail};
use ballast_engine::maker::control::Act;
use ballast_engine::maker::input::{Control, Input};
use ballast_engine::maker::resumption::{Delivered, LimitSet, Resumption};
use ballast_engine::units::Nanos;
use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// What of a survey a snapshot holds: the tail is always open there, and the header is the journal's.
type Surveyed = (u64, u64, Option<Nanos>, ClOrdId, BTreeMap<VenueId, Delivered>);

/// A replay under way.
pub(super) struct Replaying {
    survey: Survey,
    run: Run,
    /// Limits as operators have set them.
    set: Resumption,
    /// Inputs that a snapshot stood for.
    skipped: u64,
    /// Since it was begun or gone on with, all was stopped: by a kill, or at the run's end.
    was_killed: Option<bool>,
}

impl Replaying {
    pub(super) fn begin(header: &Header, path: &Path) -> Result<Replaying, ReplayFault> {
        let survey = Survey::begin(header.clone());
        let run = Run::new(replay::beginning(header, path)?);
        let mut set = Resumption::default();
        if let Some(earlier) = &survey.header.resumption {
            set.limits.clone_from(&earlier.limits);
        }
        Ok(Replaying { survey, run, set, skipped: 0, was_killed: None })
    }

    /// From a snapshot's state; `None` where it is not one's.
    pub(super) fn resume(
        header: &Header,
        path: &Path,
        state: &[u8],
    ) -> Result<Option<Replaying>, ReplayFault> {
        let mut replaying = Replaying::begin(header, path)?;
        Ok(replaying.go_on(state).then_some(replaying))
    }

    /// Forgets where it is and goes on from a snapshot's state of the same journal; false, and nothing is
    /// other than it was, where that is not one's. Of all that went before only the config is left.
    pub(super) fn go_on(&mut self, state: &[u8]) -> bool {
        type State = (Surveyed, Vec<LimitSet>, Midway);
        let mut rest = StateBytes(state);
        let Ok((surveyed, limits, midway)) = State::deserialize_reader(&mut rest) else {
            return false;
        };
        if !rest.0.is_empty() {
            return false;
        }
        let (inputs, intents, last_now, cl_ord_id_max, delivered) = surveyed;
        let mut survey = Survey::begin(self.survey.header.clone());
        (survey.inputs, survey.intents, survey.last_now) = (inputs, intents, last_now);
        (survey.cl_ord_id_max, survey.delivered) = (cl_ord_id_max, delivered);
        self.survey = survey;
        self.set = Resumption { limits, ..Resumption::default() };
        self.skipped = inputs;
        self.was_killed = None;
        self.run.go_on(midway);
        true
    }

    /// Its state, between two records; `None` where the journal's intents are not those of this binary.
    pub(super) fn state(&self) -> Option<Vec<u8>> {
        self.state_of(0)
    }

    /// [`Self::state`], which will be of about `bytes`.
    pub(super) fn state_of(&self, bytes: usize) -> Option<Vec<u8>> {
        let survey = &self.survey;
        let surveyed = (
            survey.inputs,
            survey.intents,
            survey.last_now,
            survey.cl_ord_id_max,
            &survey.delivered,
        );
        let midway = self.run.midway()?;
        let mut state = StateBytes(Vec::with_capacity(bytes));
        (surveyed, &self.set.limits, midway).serialize(&mut state).ok()?;
        Some(state.0)
    }

    pub(super) fn take(&mut self, record: &Record) -> Result<(), ReplayFault> {
        self.survey.take(record);
        if let Some((_, _, Input::Control(control))) = record.input() {
            self.set.take_control(&control);
            if matches!(control, Control::Kill | Control::By { act: Act::Kill { .. }, .. }) {
                self.was_killed = Some(true);
            } else if matches!(control, Control::Shutdown) {
                // A kill may have come before the snapshot.
                self.was_killed.get_or_insert(self.run.is_stopped());
            }
        }
        self.run.take(record)
    }

    /// The maker was killed, or its run is at its end.
    pub(super) fn is_stopped(&self) -> bool {
        self.run.is_stopped()
    }

    /// Inputs so far, those that a snapshot stood for included.
    pub(super) fn inputs(&self) -> u64 {
        self.survey.inputs
    }

    /// The maker's time at the last input.
    pub(super) fn now(&self) -> Nanos {
        self.survey.last_now.unwrap_or(Nanos(0))
    }

    /// Behind the last whole record so many bytes are torn.
    pub(super) fn tear(&mut self, bytes: u64) {
        self.survey.tail = Tail::Torn { bytes };
        self.run.torn_bytes = bytes;
    }

    /// Takes all that is left of a journal.
    pub(super) fn run_out<R: Read>(
        mut self,
        mut reader: JournalReader<R>,
    ) -> Result<LastRun, ReplayFault> {
        for next in reader.by_ref() {
            match next {
                Ok(record) => self.take(&record)?,
                Err(JournalFault::Torn { bytes, .. }) => self.tear(bytes),
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(self.finish(reader.end()))
    }

    /// The journal is at its end.
    pub(super) fn finish(self, end: Option<End>) -> LastRun {
        let Replaying { survey, run, set, skipped, was_killed } = self;
        let was_killed = was_killed.unwrap_or(run.is_stopped());
        let crashed = !matches!(survey.tail, Tail::Ended(_));
        let (replay, beginning) = run.finish(end);
        let differs = !replay.is_identical();
        let mut resumption = beginning.maker.resumption(survey.header.epoch, crashed);
        if crashed {
            resumption.limits = set.limits;
        }
        if differs {
            let all = beginning.config.instruments.iter().map(|instrument| instrument.id());
            resumption.unconfirmed = all.collect::<Vec<InstrumentId>>();
        }
        resumption.delivered = survey.delivered.into_values().collect();
        // The last step's orders may be in the maker alone; where the two differ, the journal's are what
        // went out.
        let last_cl_ord_id = match differs {
            false => beginning.maker.last_cl_ord_id(),
            true => survey.cl_ord_id_max.max(ClOrdId::new(survey.header.epoch, 0)),
        };
        let inputs = survey.inputs;
        LastRun {
            beginning,
            resumption,
            crashed,
            inputs,
            skipped,
            replay,
            was_killed,
            last_cl_ord_id,
        }
    }
}
