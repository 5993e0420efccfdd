//! The folder of a file store: its lock and the names of its segments.
//!
//! Asked by `file.rs` at opening. Deliberately absent: what is in the files.

use super::StoreError;
use super::segment::io_error;
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file of a segment.
pub(super) fn segment_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:010}.segment"))
}

/// Makes the folder where it is missing and locks it until the handle is dropped.
pub(super) fn lock(folder: &Path) -> Result<File, StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| io_error(folder, &error))?;
    let path = folder.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| io_error(&path, &error))?;
    refuse_copy_on_write(&file, folder)?;
    let taken = rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive);
    taken.map_err(|error| {
        if error == rustix::io::Errno::WOULDBLOCK {
            StoreError::Locked { path: path.clone() }
        } else {
            io_error(&path, &error.into())
        }
    })?;
    Ok(file)
}

/// btrfs may need new blocks for an overwrite, and a full disk would then be a SIGBUS.
fn refuse_copy_on_write(file: &File, folder: &Path) -> Result<(), StoreError> {
    const BTRFS: u64 = 0x9123_683E;
    let system = rustix::fs::fstatfs(file).map_err(|error| io_error(folder, &error.into()))?;
    if u64::try_from(system.f_type) == Ok(BTRFS) {
        let kind = std::io::ErrorKind::Unsupported;
        return Err(StoreError::Io { path: folder.to_path_buf(), kind });
    }
    Ok(())
}

/// The numbers of the segments in a folder, ascending.
pub(super) fn segment_numbers(folder: &Path) -> Result<Vec<u32>, StoreError> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| io_error(folder, &error))? {
        let path = entry.map_err(|error| io_error(folder, &error))?.path();
        let is_segment = path.extension().is_some_and(|extension| extension == "segment");
        if let Some(number) = path.file_stem().and_then(|stem| stem.to_str())
            && is_segment
            && let Ok(number) = number.parse()
        {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}
