//! Runs a journal's inputs through a new maker and holds its intents against the journaled ones.
//!
//! Fed with records and the maker that the journal's own config builds; feeds `ballast replay`, recovery,
//! and the tests that a run is what its journal says. Cold; streams, never holds the journal. Absent:
//! files and snapshots (`recovery`); judgement of a damaged journal.
//!
//! An unfinished journal (the process died) may lack the last step's intents; nothing else may differ.

use crate::config::{ConfigFault, ConfigFile};
use ballast_engine::event::OrderIntent;
use ballast_engine::journal::fault::JournalFault;
use ballast_engine::journal::hash::{IntentsHash, Sha};
use ballast_engine::journal::header::Header;
use ballast_engine::journal::record::{End, Record};
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::intents::Intents;
use ballast_engine::units::{Nanos, Stamp};
use std::collections::VecDeque;
use std::path::Path;
use thiserror::Error;

/// Records for people that a step may leave behind; a replay does not read them.
const RECORDS_MAX: usize = 1;

/// Where replay and journal first differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Number of the input that caused it.
    pub cause: u64,
    /// The maker's time at that step.
    pub now: Nanos,
    /// What the journal says; `None` where it has no further intent for this input.
    pub journaled: Option<OrderIntent>,
    /// What the maker answers now.
    pub replayed: Option<OrderIntent>,
}

/// What a replay found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replay {
    /// How many inputs were run.
    pub inputs: u64,
    /// SHA-256 over the intents of this run.
    pub replayed: Sha,
    /// How many there were.
    pub replayed_intents: u64,
    /// SHA-256 over the intents in the journal.
    pub journaled: Sha,
    /// How many there are.
    pub journaled_intents: u64,
    /// What the journal says of itself, where the run ended in order.
    pub end: Option<End>,
    /// The first difference.
    pub difference: Option<Difference>,
    /// Bytes behind the last whole record: a crash tore it.
    pub torn_bytes: u64,
    /// It began at a snapshot: the SHA-256s are of what came after it.
    pub is_partial: bool,
}

impl Replay {
    /// The same inputs gave the same intents, and the journal's own sums hold.
    pub fn is_identical(&self) -> bool {
        let sums_hold = self.end.is_none_or(|end| {
            (end.inputs, end.intents) == (self.inputs, self.journaled_intents)
                && (self.is_partial || end.intents_sha256 == self.journaled)
        });
        sums_hold && self.difference.is_none()
    }
}

/// Why a journal could not be replayed at all.
#[derive(Debug, Error)]
pub enum ReplayFault {
    /// It cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// Its config is not one that this binary takes.
    #[error("{0}; the journal was written by Ballast {1}, replay it with that binary")]
    Config(ConfigFault, String),
    /// Its config parses, but no maker can be built from it.
    #[error("the journal's config builds no maker: {0}; it was written by Ballast {1}")]
    Maker(String, String),
    /// Inputs are missing.
    #[error("input {found} follows where input {expected} belongs: inputs are missing")]
    Numbering {
        /// The number that was expected.
        expected: u64,
        /// The number that came.
        found: u64,
    },
}

/// What a run began with.
pub struct Beginning {
    /// The config that it ran on.
    pub file: ConfigFile,
    /// Where a run before it ended included.
    pub config: MakerConfig,
    /// The maker as it stood then.
    pub maker: Maker,
    /// Room for its intents.
    pub out: Intents,
}

/// What the run of a journal's header began with; `path` is what faults name.
///
/// # Errors
/// The config is not one that this binary takes.
pub fn beginning(header: &Header, path: &Path) -> Result<Beginning, ReplayFault> {
    let name = format!("{}: its config", path.display());
    let binary = || header.binary.clone();
    let wrong = |fault| ReplayFault::Config(fault, binary());
    let file = ConfigFile::parse(&name, header.config.clone()).map_err(wrong)?;
    let mut config = file.maker(header.epoch).map_err(wrong)?;
    if let Some(resumption) = header.resumption.clone() {
        resumption.begin(&mut config);
    }
    let maker = Maker::new(&config).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        ReplayFault::Maker(faults.join("; "), binary())
    })?;
    let out = Intents::new(Maker::intents_max(&config), RECORDS_MAX);
    Ok(Beginning { file, config, maker, out })
}

/// A replay's state between two records; borrowed where it is written.
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub(crate) struct Midway<M = Maker, W = VecDeque<OrderIntent>> {
    maker: M,
    /// Its answers that the journal has not shown yet.
    waiting: W,
    inputs: u64,
    now: Nanos,
    /// Of maker and journal.
    intents: [u64; 2],
}

/// A replay under way.
pub(crate) struct Run {
    at: Beginning,
    /// What the maker answered to the last input and the journal has not shown yet.
    waiting: VecDeque<OrderIntent>,
    inputs: u64,
    now: Nanos,
    replayed: IntentsHash,
    journaled: IntentsHash,
    difference: Option<Difference>,
    /// Bytes behind the last whole record.
    pub(crate) torn_bytes: u64,
    /// Intents of maker and journal before the snapshot that it began at, if it did.
    before: Option<[u64; 2]>,
}

/// An intent without the counter of the host that made it.
fn comparable(intent: &OrderIntent) -> OrderIntent {
    OrderIntent { stamp: Stamp(0), ..*intent }
}

impl Run {
    pub(crate) fn new(at: Beginning) -> Run {
        Run {
            at,
            waiting: VecDeque::new(),
            inputs: 0,
            now: Nanos(0),
            replayed: IntentsHash::new(),
            journaled: IntentsHash::new(),
            difference: None,
            torn_bytes: 0,
            before: None,
        }
    }

    /// Forgets all but what it began with, and goes on from a snapshot of the same journal.
    pub(crate) fn go_on(&mut self, from: Midway) {
        self.at.maker = from.maker;
        self.waiting = from.waiting;
        (self.inputs, self.now, self.before) = (from.inputs, from.now, Some(from.intents));
        (self.replayed, self.journaled) = (IntentsHash::new(), IntentsHash::new());
        (self.difference, self.torn_bytes) = (None, 0);
    }

    /// What a snapshot holds; `None` where maker and journal differ.
    pub(crate) fn midway(&self) -> Option<Midway<&Maker, &VecDeque<OrderIntent>>> {
        self.difference.is_none().then(|| Midway {
            maker: &self.at.maker,
            waiting: &self.waiting,
            inputs: self.inputs,
            now: self.now,
            intents: self.intents(),
        })
    }

    /// Intents of maker and journal so far.
    fn intents(&self) -> [u64; 2] {
        let [replayed, journaled] = self.before.unwrap_or_default();
        [replayed + self.replayed.count(), journaled + self.journaled.count()]
    }

    fn differs(&mut self, journaled: Option<OrderIntent>, replayed: Option<OrderIntent>) {
        let cause = self.inputs.saturating_sub(1);
        let now = self.now;
        self.difference.get_or_insert(Difference { cause, now, journaled, replayed });
    }

    /// The journal shows no more intents for the last input.
    fn close_step(&mut self) {
        if let Some(replayed) = self.waiting.pop_front() {
            self.differs(None, Some(replayed));
            self.waiting.clear();
        }
    }

    /// The maker is killed, or its run is at its end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.at.maker.is_killed()
    }

    /// The next record: an input is run, an intent is held against what the maker answered.
    pub(crate) fn take(&mut self, record: &Record) -> Result<(), ReplayFault> {
        if let Some((number, now, input)) = record.input() {
            self.close_step();
            if number != self.inputs {
                return Err(ReplayFault::Numbering { expected: self.inputs, found: number });
            }
            self.inputs += 1;
            self.now = now;
            let Beginning { maker, out, .. } = &mut self.at;
            maker.step(now, &input, out);
            for intent in out.orders() {
                self.replayed.update(intent);
                self.waiting.push_back(*intent);
            }
            out.clear();
        } else if let Record::Intent { cause, intent } = record {
            self.journaled.update(intent);
            let replayed = self.waiting.pop_front();
            let is_same = replayed.is_some_and(|other| comparable(&other) == comparable(intent));
            if !is_same || *cause + 1 != self.inputs {
                self.differs(Some(*intent), replayed);
            }
        }
        Ok(())
    }

    /// What was found, and the maker as it stands at the end.
    pub(crate) fn finish(mut self, end: Option<End>) -> (Replay, Beginning) {
        // A run that died may have written its last input and not yet all of its intents.
        if end.is_some() {
            self.close_step();
        }
        let [replayed_intents, journaled_intents] = self.intents();
        let replay = Replay {
            inputs: self.inputs,
            replayed: self.replayed.value(),
            replayed_intents,
            journaled: self.journaled.value(),
            journaled_intents,
            end,
            difference: self.difference,
            torn_bytes: self.torn_bytes,
            is_partial: self.before.is_some(),
        };
        (replay, self.at)
    }
}
