//! A journal proved: its intents are this binary's, its snapshots are what it replays to, and going through
//! snapshots anywhere changes nothing.
//!
//! Fed with a run's files; feeds `ballast replay` and the tests that everything which decides is in a
//! snapshot. Main thread; streams, never holds the journal. The second replay goes beside the first and is
//! put to bytes and built anew from them every so often: what a snapshot forgot would make its intents or
//! its next bytes other ones. Absent: what to do about a snapshot that is wrong (a start passes it over).

use super::LastRun;
use super::replaying::Replaying;
use crate::operator::archivist::binary_identity;
use crate::replay::{Replay, ReplayFault};
use ballast_engine::journal::fault::JournalFault;
use ballast_engine::journal::reader::JournalReader;
use ballast_engine::journal::record::Record;
use ballast_engine::journal::snapshot::{self, Place, Snapshot, SnapshotFault};
use std::io::Read;
use std::path::{Path, PathBuf};

/// What became of a snapshot that lies beside the journal.
#[derive(Debug)]
pub struct Looked {
    /// Which file.
    pub path: PathBuf,
    /// Its inputs, where its state is what the journal replays to.
    pub outcome: Result<u64, SnapshotFault>,
}

impl Looked {
    /// Should somebody ask why? A snapshot of another binary is only of no use.
    pub fn is_wrong(&self) -> bool {
        match &self.outcome {
            Ok(_) | Err(SnapshotFault::Binary(_) | SnapshotFault::Version(_)) => false,
            Err(
                SnapshotFault::Unreadable(_)
                | SnapshotFault::Damaged
                | SnapshotFault::Config
                | SnapshotFault::Run
                | SnapshotFault::Beyond(_)
                | SnapshotFault::State
                | SnapshotFault::Differs,
            ) => true,
        }
    }
}

/// A second replay that went through snapshots.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Through {
    /// Through how many.
    pub snapshots: u64,
    /// Bytes of the largest.
    pub bytes_max: u64,
    /// After how many inputs it was first another one than the replay, if it ever was.
    pub differs_at: Option<u64>,
}

/// What was found.
#[derive(Debug)]
pub struct Proof {
    /// The journal, from its beginning.
    pub replay: Replay,
    /// Its snapshots, the earliest first.
    pub snapshots: Vec<Looked>,
    /// The second replay, where one was asked for.
    pub through: Option<Through>,
}

impl Proof {
    /// The same inputs gave the same intents, and snapshots are what they should be.
    pub fn holds(&self) -> bool {
        let is_through = self.through.is_none_or(|through| through.differs_at.is_none());
        self.replay.is_identical() && is_through && !self.snapshots.iter().any(Looked::is_wrong)
    }
}

/// Proves the journal at `path`, through snapshots every `every` inputs where that is given.
///
/// # Errors
/// [`ReplayFault`] where the journal is damaged before its end or builds no maker.
pub fn prove(path: &Path, every: Option<u64>) -> Result<Proof, ReplayFault> {
    let reader = JournalReader::open(path)?;
    let binary = binary_identity();
    let mut waiting = Vec::new();
    let mut snapshots = Vec::new();
    for (path, found) in snapshot::beside(path) {
        match found.and_then(|found| found.fits(&reader, &binary).map(|()| found)) {
            Ok(found) => waiting.push((path, found)),
            Err(fault) => snapshots.push(Looked { path, outcome: Err(fault) }),
        }
    }
    let (last, mut looked, through) = along(reader, path, waiting, every)?;
    snapshots.append(&mut looked);
    snapshots.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(Proof { replay: last.replay, snapshots, through })
}

/// Proves a journal from any bytes, which has no snapshots beside it; `path` is what faults name.
///
/// # Errors
/// As [`prove`].
pub fn prove_bytes<R: Read>(
    reader: JournalReader<R>,
    path: &Path,
    every: Option<u64>,
) -> Result<Proof, ReplayFault> {
    let (last, snapshots, through) = along(reader, path, Vec::new(), every)?;
    Ok(Proof { replay: last.replay, snapshots, through })
}

/// Along a whole journal, to how its run ended; `waiting` are its snapshots, the latest first.
pub(super) fn along<R: Read>(
    mut reader: JournalReader<R>,
    path: &Path,
    mut waiting: Vec<(PathBuf, Snapshot)>,
    every: Option<u64>,
) -> Result<(LastRun, Vec<Looked>, Option<Through>), ReplayFault> {
    let mut replaying = Replaying::begin(reader.header(), path)?;
    let second = every.map(|every| (Replaying::begin(reader.header(), path), every));
    let second = second.map(|(begun, every)| begun.map(|begun| Second::new(begun, every)));
    let mut second = second.transpose()?;
    let mut looked = Vec::new();
    let mut place = reader.place();
    while let Some(next) = reader.next() {
        match next {
            Ok(record) => {
                replaying.take(&record)?;
                place = reader.place();
                look(&mut waiting, place, &replaying, &mut looked);
                if let Some(second) = &mut second {
                    second.take(&record, &replaying)?;
                }
            }
            Err(JournalFault::Torn { bytes, .. }) => replaying.tear(bytes),
            Err(fault) => return Err(fault.into()),
        }
    }
    let beyond = |(path, found): (PathBuf, Snapshot)| Looked {
        path,
        outcome: Err(if found.place.offset > place.offset {
            SnapshotFault::Beyond(found.place.offset)
        } else {
            SnapshotFault::Differs
        }),
    };
    looked.extend(waiting.into_iter().map(beyond));
    let through = second.map(|second| second.finish(&replaying));
    Ok((replaying.finish(reader.end()), looked, through))
}

/// Holds the snapshots of this place against the replay.
fn look(
    waiting: &mut Vec<(PathBuf, Snapshot)>,
    place: Place,
    replaying: &Replaying,
    looked: &mut Vec<Looked>,
) {
    while let Some((path, found)) = waiting.pop_if(|(_, found)| found.place == place) {
        let is_same = replaying.state().is_some_and(|state| state == found.state);
        let outcome = if is_same { Ok(found.inputs) } else { Err(SnapshotFault::Differs) };
        looked.push(Looked { path, outcome });
    }
}

/// The replay that goes through snapshots.
struct Second {
    replaying: Replaying,
    every: u64,
    through: Through,
}

impl Second {
    fn new(replaying: Replaying, every: u64) -> Second {
        Second { replaying, every: every.max(1), through: Through::default() }
    }

    /// The next record, after the first replay took it. A snapshot is gone through behind an input, where
    /// the step's intents are still to be shown: between two steps there is less to forget.
    fn take(&mut self, record: &Record, first: &Replaying) -> Result<(), ReplayFault> {
        self.replaying.take(record)?;
        if record.input().is_none() || !first.inputs().is_multiple_of(self.every) {
            return Ok(());
        }
        let Some(state) = self.compare(first) else { return Ok(()) };
        if self.replaying.go_on(&state) {
            self.through.snapshots += 1;
            self.through.bytes_max = self.through.bytes_max.max(state.len() as u64);
        } else {
            // Bytes of which no maker can be made are no snapshot.
            self.through.differs_at.get_or_insert(first.inputs());
        }
        Ok(())
    }

    /// Its bytes; that they are not the first replay's is kept.
    fn compare(&mut self, first: &Replaying) -> Option<Vec<u8>> {
        let about = usize::try_from(self.through.bytes_max).unwrap_or(0);
        let state = self.replaying.state_of(about);
        if state != first.state_of(about) {
            self.through.differs_at.get_or_insert(first.inputs());
        }
        state
    }

    fn finish(mut self, first: &Replaying) -> Through {
        self.compare(first);
        self.through
    }
}
