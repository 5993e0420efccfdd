//! Snapshots of the run in hand: its journal is replayed as it grows, and the state written every so often.
//!
//! Fed by the archivist's thread, several minutes apart, with the journal's files; feeds the next start,
//! which replays what came after the latest sound snapshot. It reads what the recorder wrote and nothing
//! else, so that no stage waits for it or knows of it. Where the replay gives other intents than the run,
//! there are no snapshots, and the next start says so. Deliberately absent: retries; the next time is one.

use super::replaying::Replaying;
use crate::replay::ReplayFault;
use ballast_engine::journal::fault::JournalFault;
use ballast_engine::journal::reader::JournalReader;
use ballast_engine::journal::snapshot::{self, Place, Snapshot};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A second maker, some minutes behind.
pub struct Shadow {
    first: PathBuf,
    at: Option<(Replaying, Place)>,
}

impl Shadow {
    /// Of the run whose first segment this is.
    pub fn new(first: &Path) -> Shadow {
        Shadow { first: first.to_path_buf(), at: None }
    }

    /// Replays what was written since the last time and writes a snapshot; `None` where nothing was, or
    /// where the replay gives other intents than the run.
    ///
    /// # Errors
    /// The journal cannot be read or run, or the snapshot not written; the next time tries again.
    pub fn take(&mut self) -> Result<Option<PathBuf>, ReplayFault> {
        let mut reader = JournalReader::open(&self.first)?;
        let (mut replaying, from) = match self.at.take() {
            Some((replaying, place)) => {
                if !reader.skip_to(place)? {
                    let (path, what) = (self.first.clone(), "it became shorter in mid-run");
                    return Err(JournalFault::Segment { path, what }.into());
                }
                (replaying, place)
            }
            None => (Replaying::begin(reader.header(), &self.first)?, reader.place()),
        };
        let mut fault = None;
        for next in reader.by_ref() {
            match next {
                Ok(record) => replaying.take(&record)?,
                // Here the recorder is writing.
                Err(JournalFault::Torn { .. }) => break,
                Err(found) => fault = Some(found),
            }
        }
        let place = reader.place();
        // Behind a kill or the run's end there is nothing to go on from sooner, and which of the two it was
        // stands in the journal alone.
        let is_wanted = fault.is_none() && place != from && !replaying.is_stopped();
        let state = is_wanted.then(|| replaying.state()).flatten();
        let written = state.map(|state| self.write(&reader, &replaying, state)).transpose();
        // What was replayed stays replayed, whatever the disk says.
        self.at = Some((replaying, place));
        match fault {
            Some(fault) => Err(fault.into()),
            None => Ok(written?),
        }
    }

    fn write(
        &self,
        reader: &JournalReader,
        replaying: &Replaying,
        state: Vec<u8>,
    ) -> Result<PathBuf, JournalFault> {
        let failed =
            |error: io::Error| JournalFault::from_io(&self.first, "take a snapshot of", &error);
        // A snapshot must not know more than the journal after a power loss.
        File::open(reader.file()).and_then(|file| file.sync_data()).map_err(failed)?;
        let Some((folder, run)) = snapshot::run_of_journal(&self.first) else {
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        };
        let header = reader.header();
        let snapshot = Snapshot {
            binary: header.binary.clone(),
            config: header.config_sha(),
            seed: reader.seed(),
            place: reader.place(),
            inputs: replaying.inputs(),
            at: replaying.now(),
            state,
        };
        snapshot::write(folder, run, &snapshot).map_err(failed)
    }
}
