//! The kill that survives a restart: a note in the state folder, lifted by an operator's hand alone.
//!
//! Written by whoever kills, after the orders are stopped; read before a run starts, which refuses
//! while it is there; a run whose journal alone knows of its kill is noted by the next one's start. Lifting
//! renames it, so that what happened stays on record. Cold.

use crate::private_files;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Name of the note in the state folder.
pub const NOTE: &str = "killed.json";

/// Why everything was stopped, by whom and when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KillNote {
    /// `operator`, `file`, `signal`, `watchdog`, `session_lost` or `journal`.
    pub cause: String,
    /// Who, where somebody did.
    pub by: String,
    /// In words.
    pub reason: String,
    /// When, UTC.
    pub at: String,
    /// Which run.
    pub epoch: u32,
}

impl std::fmt::Display for KillNote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let KillNote { cause, by, reason, at, epoch } = self;
        write!(f, "killed in run {epoch} at {at} by {by} ({cause}): {reason}")
    }
}

impl KillNote {
    /// Puts it on disk, whole or not at all (0600). One that is there stays: the first kill counts.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let path = folder.join(NOTE);
        if path.exists() {
            return Ok(());
        }
        private_files::write_durable(&path, &serde_json::to_vec_pretty(self)?)
    }

    /// The note in a state folder, if there is one. One that cannot be read counts as one.
    pub fn read(folder: &Path) -> Option<KillNote> {
        let path = folder.join(NOTE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => error.to_string(),
        };
        Some(serde_json::from_str(&text).unwrap_or_else(|_| KillNote {
            cause: "unknown".into(),
            by: "somebody".into(),
            reason: format!("{} cannot be read: {text:.80}", path.display()),
            at: "some time".into(),
            epoch: 0,
        }))
    }

    /// A kill of this run was lifted.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn was_lifted(folder: &Path, epoch: u32) -> io::Result<bool> {
        let begins = format!("killed-{epoch:06}-");
        for entry in fs::read_dir(folder)? {
            if entry?.file_name().to_string_lossy().starts_with(&begins) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Lifts it: the note gets the name of its run and who lifted it. Answers where it is now.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn lift(folder: &Path, epoch: u32, by: &str) -> io::Result<PathBuf> {
        let kept = (0u32..)
            .map(|n| folder.join(format!("killed-{epoch:06}-{n}-lifted-by-{by}.json")))
            .find(|path| !path.exists());
        let kept = kept.unwrap_or_else(|| folder.join("killed-lifted.json"));
        fs::rename(folder.join(NOTE), &kept)?;
        File::open(folder)?.sync_all()?;
        Ok(kept)
    }
}
