//! A session's log file: appended to, readable by its owner alone, rotated by size.
//!
//! Written by the log's thread in whole lines. `NAME.fixlog` is the newest, then `NAME.fixlog.1` and
//! so on; the oldest beyond the limit is removed. A run appends to what an earlier one left.

use super::writer::LogConfig;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a session has no log.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum LogError {
    /// The system refused to make, write or rename a file.
    #[error("FIX log {path}: {kind}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        kind: std::io::ErrorKind,
    },
    /// A name that would leave the folder or hide in it.
    #[error(
        "FIX log of {name:?}: a name has letters, digits, '-', '_' and '.', and begins with a letter or digit"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// Two sessions of one name would write into one file.
    #[error("FIX log of {name:?}: another session has this name")]
    Twice {
        /// The name.
        name: String,
    },
}

/// The file and what waits to be written.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    written: u64,
    waiting: Vec<u8>,
    rotate_bytes: u64,
    files_max: u32,
}

fn io_error(path: &Path, error: &std::io::Error) -> LogError {
    LogError::Io { path: path.to_path_buf(), kind: error.kind() }
}

/// Makes the folder where it is missing, for its owner alone.
pub(super) fn make_folder(folder: &Path) -> Result<(), LogError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| io_error(folder, &error))
}

fn open(path: &Path) -> Result<(File, u64), LogError> {
    let opened = || -> std::io::Result<(File, u64)> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        // One that was there before may be open to others.
        file.set_permissions(Permissions::from_mode(0o600))?;
        let len = file.metadata()?.len();
        Ok((file, len))
    };
    opened().map_err(|error| io_error(path, &error))
}

impl LogFile {
    pub(super) fn open(config: &LogConfig, name: &str) -> Result<LogFile, LogError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&c);
        if !name.chars().all(is_plain) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(LogError::Name { name: name.into() });
        }
        let path = config.folder.join(format!("{name}.fixlog"));
        let (file, written) = open(&path)?;
        Ok(LogFile {
            path,
            file,
            written,
            waiting: Vec::new(),
            rotate_bytes: config.rotate_bytes.max(1),
            files_max: config.files_max.max(1),
        })
    }

    /// Adds a line; it is written with the next [`Self::flush`].
    pub(super) fn line(&mut self, parts: [&[u8]; 3]) {
        for part in parts {
            self.waiting.extend_from_slice(part);
        }
        self.waiting.push(b'\n');
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Drops what waits: after a fault nothing more is written.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
    }

    /// Hands what waits to the system, into a new file where this one is full. What could not be
    /// written is forgotten.
    pub(super) fn flush(&mut self) -> Result<(), LogError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let written = self.write();
        self.waiting.clear();
        written
    }

    fn write(&mut self) -> Result<(), LogError> {
        let count = self.waiting.len() as u64;
        if self.written > 0 && self.written.saturating_add(count) > self.rotate_bytes {
            self.rotate()?;
        }
        self.file.write_all(&self.waiting).map_err(|error| io_error(&self.path, &error))?;
        self.written = self.written.saturating_add(count);
        Ok(())
    }

    /// `NAME.fixlog` → `.1` → `.2` …; with one file in all, it begins anew.
    fn rotate(&mut self) -> Result<(), LogError> {
        let numbered = |n: u32| match n {
            0 => self.path.clone(),
            n => PathBuf::from(format!("{}.{n}", self.path.display())),
        };
        for n in (0..self.files_max).rev() {
            let from = numbered(n);
            if !from.exists() {
                continue;
            }
            let moved = if n + 1 == self.files_max {
                std::fs::remove_file(&from)
            } else {
                std::fs::rename(&from, numbered(n + 1))
            };
            moved.map_err(|error| io_error(&from, &error))?;
        }
        (self.file, self.written) = open(&self.path)?;
        Ok(())
    }
}
