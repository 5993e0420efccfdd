//! The copy of the segment in use, which is what goes to the device.
//!
//! The keeper's thread feeds it from the segment's file and syncs it; `file.rs` asks for it at an opening.
//! The same bytes at the same places as in the segment, from its beginning: what a loss of power took of the
//! segment itself, which the system writes when it likes, is in the copy up to the last sync. A segment that
//! is not written to any more is synced itself, and its copy removed. Deliberately absent: when (the keeper's),
//! and which of the two holds more (`file.rs`).
//!
//! Why a copy: to sync a segment under the session's hands costs that thread a page fault (`segment.rs`).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes that are copied at once.
const BLOCK: usize = 64 * 1024;

/// Where the copy of a segment lies.
pub(super) fn copy_path(segment: &Path) -> PathBuf {
    segment.with_extension("synced")
}

/// A copy that is being written.
#[derive(Debug)]
pub(super) struct SyncedCopy {
    file: File,
    block: Box<[u8]>,
    /// Bytes from the beginning that are on the device.
    synced: u64,
}

impl SyncedCopy {
    /// Begins the copy of a segment, readable by its owner alone. The segment goes to the device first: a copy
    /// that an earlier run left may hold what is not there yet.
    ///
    /// # Errors
    /// What the system refuses.
    pub(super) fn begin(path: &Path, segment: &File) -> io::Result<SyncedCopy> {
        segment.sync_data()?;
        let mut options = OpenOptions::new();
        let file =
            options.write(true).create(true).truncate(true).mode(0o600).open(copy_path(path))?;
        // The name too: what is synced under a name that is lost is lost.
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())?;
        Ok(SyncedCopy { file, block: vec![0; BLOCK].into_boxed_slice(), synced: 0 })
    }

    /// Puts what `segment` holds up to `written` on the device; nothing where it is there already.
    ///
    /// # Errors
    /// What the system refuses; what is not there then is tried again by the next call.
    pub(super) fn sync(&mut self, segment: &File, written: u64) -> io::Result<()> {
        if written <= self.synced {
            return Ok(());
        }
        let mut at = self.synced;
        while at < written {
            let left = usize::try_from(written.saturating_sub(at)).unwrap_or(BLOCK);
            let Some(block) = self.block.get_mut(..left.min(BLOCK)) else { break };
            segment.read_exact_at(block, at)?;
            self.file.write_all_at(block, at)?;
            at = at.saturating_add(block.len() as u64);
        }
        self.file.sync_data()?;
        self.synced = written;
        Ok(())
    }
}
