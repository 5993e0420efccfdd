//! What a process leaves behind for the next one: the run's number, the journal, the FIX stores.
//!
//! Fed by the commands that trade; feeds `live.rs` with paths and with a number greater than that of
//! every run before, so that no ClOrdID(11) is ever used twice. One process at a time: the folder is
//! locked before a number is taken, and until the last handle is dropped. Files are made 0600, the
//! folder 0700.

use crate::private_files;
use ballast_engine::event::ClOrdId;
use ballast_engine::journal::archive;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// The state folder cannot be used.
#[derive(Debug, Error)]
pub enum StateError {
    /// The system refused.
    #[error("{path}: {action}: {source}; free space or name another state_dir")]
    Io {
        /// Which file.
        path: String,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error("{path}: another process trades from this folder; stop it, or name another state_dir")]
    Locked {
        /// The lock file.
        path: String,
    },
    /// The file does not hold a number.
    #[error(
        "{path}: holds {text:?} where the last run's number should stand; restore it, or write a number above \
         every earlier run's and below 16777215"
    )]
    BadEpoch {
        /// Which file.
        path: String,
        /// What it holds.
        text: String,
    },
}

/// The last run's number whose ClOrdIDs(11) are none of another's.
const EPOCH_MAX: u32 = (1 << (u64::BITS - ClOrdId::COUNTER_BITS)) - 1;

/// The file that holds the last run's number, and the one that holds the last one's whose journal began.
const EPOCH: &str = "epoch";
const BEGUN: &str = "begun";

/// The folder of one maker.
#[derive(Clone, Debug)]
pub struct StateDir {
    folder: PathBuf,
    epoch: u32,
    stores: &'static str,
    _lock: Arc<File>,
}

impl StateDir {
    /// Opens or makes the folder and takes the next run's number, which is on disk before this
    /// returns.
    pub fn open(folder: &Path) -> Result<StateDir, StateError> {
        let io = |path: &Path, action| {
            let path = path.display().to_string();
            move |source| StateError::Io { path, action, source }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(io(folder, "cannot be made"))?;
        let lock = locked(&folder.join("lock"))?;
        // Where the first file is lost, the second knows of every run that may have sent an order.
        let last = number_in(&folder.join(EPOCH))?.max(number_in(&folder.join(BEGUN))?);
        let epoch = last.unwrap_or(0).saturating_add(1);
        if epoch > EPOCH_MAX {
            let path = folder.join(EPOCH).display().to_string();
            return Err(StateError::BadEpoch { path, text: last.unwrap_or(0).to_string() });
        }
        write_number(folder, EPOCH, epoch)?;
        let folder = folder.to_path_buf();
        Ok(StateDir { folder, epoch, stores: "fix", _lock: Arc::new(lock) })
    }

    /// Whether a run has the folder.
    ///
    /// # Errors
    /// The system does not say.
    pub fn is_held(folder: &Path) -> Result<bool, StateError> {
        match locked(&folder.join("lock")) {
            Ok(_) => Ok(false),
            Err(StateError::Locked { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The number of the last run that took one there; 0 where none is known.
    pub fn newest(folder: &Path) -> u32 {
        let number = |name| number_in(&folder.join(name)).ok().flatten();
        number(EPOCH).max(number(BEGUN)).unwrap_or(0)
    }

    /// For a run whose venue lives and dies with it: its message stores are apart from those that the next
    /// run goes on from.
    pub fn with_own_venue(self) -> StateDir {
        StateDir { stores: "fix-demo", ..self }
    }

    /// This run's number.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// This run's journal has begun and is on disk: from now on every run goes on from it or a later one.
    ///
    /// # Errors
    /// The system refuses.
    pub fn begin(&self) -> Result<(), StateError> {
        write_number(&self.folder, BEGUN, self.epoch)
    }

    /// The newest run whose journal has begun, where one has: the next one goes on from no older one.
    ///
    /// # Errors
    /// The file cannot be read, or holds no number.
    pub fn begun(&self) -> Result<Option<u32>, StateError> {
        number_in(&self.folder.join(BEGUN))
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// This run's journal.
    pub fn journal(&self) -> PathBuf {
        self.journal_of(self.epoch)
    }

    /// The first segment of a run's journal.
    pub fn journal_of(&self, epoch: u32) -> PathBuf {
        self.folder.join(archive::file_name(epoch))
    }

    /// Folder of a session's message store.
    pub fn store(&self, venue: &str, session: &str) -> PathBuf {
        self.folder.join(self.stores).join(venue).join(session)
    }
}

/// The lock file, locked; the system lets go of it when the process ends, however it ends.
fn locked(path: &Path) -> Result<File, StateError> {
    let name = || path.display().to_string();
    let failed = |source| StateError::Io { path: name(), action: "cannot be locked", source };
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(failed)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StateError::Locked { path: name() }),
        Err(error) => Err(failed(error.into())),
    }
}

/// Writes the number in one step, and waits for the disk.
fn write_number(folder: &Path, name: &str, number: u32) -> Result<(), StateError> {
    let file = folder.join(name);
    private_files::write_durable(&file, format!("{number}\n").as_bytes()).map_err(|source| {
        let path = file.display().to_string();
        StateError::Io { path, action: "cannot be written", source }
    })
}

/// The number that a file holds; `None` where there is no file.
fn number_in(path: &Path) -> Result<Option<u32>, StateError> {
    let name = path.display().to_string();
    let mut text = String::new();
    match File::open(path).and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) => text
            .trim()
            .parse()
            .map(Some)
            .map_err(|_| StateError::BadEpoch { path: name, text: text.trim().to_owned() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StateError::Io { path: name, action: "cannot be read", source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("ballast-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn every_run_has_a_greater_number_than_the_one_before() {
        let folder = folder("epochs");
        let first = StateDir::open(&folder).unwrap();
        let (epoch, journal) = (first.epoch(), first.journal());
        drop(first);
        let second = StateDir::open(&folder).unwrap();
        assert_eq!((epoch, second.epoch()), (1, 2));
        assert_ne!(journal, second.journal());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_folder_in_use_is_refused_and_no_number_is_taken() {
        let folder = folder("locked");
        let first = StateDir::open(&folder).unwrap();
        let error = StateDir::open(&folder).unwrap_err();
        assert!(error.to_string().contains("another process"), "{error}");
        assert!(StateDir::is_held(&folder).unwrap());
        drop(first);
        assert!(!StateDir::is_held(&folder).unwrap());
        assert!(StateDir::is_held(&folder.join("epoch")).is_err(), "a file is no folder");
        assert_eq!(StateDir::open(&folder).unwrap().epoch(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_damaged_number_is_an_error_and_never_one() {
        let folder = folder("damaged");
        drop(StateDir::open(&folder).unwrap());
        fs::write(folder.join("epoch"), "seven").unwrap();
        let error = StateDir::open(&folder).unwrap_err();
        assert!(error.to_string().contains("seven"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_lost_number_is_none_that_was_used_and_one_beyond_all_ids_is_refused() {
        let folder = folder("lost-number");
        let state = StateDir::open(&folder).unwrap();
        state.begin().unwrap();
        drop(state);
        let state = StateDir::open(&folder).unwrap();
        state.begin().unwrap();
        drop(state);
        fs::remove_file(folder.join("epoch")).unwrap();
        assert_eq!(StateDir::open(&folder).unwrap().epoch(), 3, "two runs have begun");
        fs::write(folder.join("epoch"), "16777214").unwrap();
        assert_eq!(StateDir::open(&folder).unwrap().epoch(), 16_777_215);
        let error = StateDir::open(&folder).unwrap_err();
        assert!(error.to_string().contains("below 16777215"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
