//! One segment of a file store: a file of fixed size, zeroed on disk, mapped and touched.
//!
//! Made by the keeper's thread (or by `file.rs` at opening), appended to by the session's thread.
//! The one file of the gateway that maps memory. Deliberately absent: what the bytes mean.
//!
//! Why mapped: a `pwrite` of 224 bytes took 1.5 µs on the reference machine, whose empty system
//! call alone takes 0.24 µs; the store's budget is 0.3 µs a message. Why that cannot end in
//! SIGBUS: every block is written with zeros and synced before the file is mapped, so that a full
//! disk is met here, as an error of `write`. This holds on file systems that overwrite in place
//! (ext4, xfs, tmpfs); on copy-on-write ones it does not, and opening refuses btrfs by name.

use super::StoreError;
use memmap2::{MmapMut, MmapOptions};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const PAGE: usize = 4096;

/// A mapped file.
#[derive(Debug)]
pub(crate) struct Segment {
    path: PathBuf,
    file: File,
    map: MmapMut,
}

/// What the system said, in the store's words.
pub(super) fn io_error(path: &Path, error: &std::io::Error) -> StoreError {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    let path = path.to_path_buf();
    if [StorageFull, QuotaExceeded].contains(&error.kind()) {
        StoreError::DiskFull { path }
    } else {
        StoreError::Io { path, kind: error.kind() }
    }
}

impl Segment {
    /// Makes a segment of `len` bytes, readable by its owner alone. A half-made file is removed.
    pub(crate) fn create(path: &Path, len: usize) -> Result<Segment, StoreError> {
        let made = Self::create_file(path, len).and_then(|file| Self::map(path, file, len));
        match made {
            Ok(mut segment) => {
                segment.touch();
                Ok(segment)
            }
            Err(error) => {
                // Best effort: the error that is returned says more than this one could.
                let _ = std::fs::remove_file(path);
                Err(io_error(path, &error))
            }
        }
    }

    fn create_file(path: &Path, len: usize) -> std::io::Result<File> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        let zeros = [0u8; 64 * 1024];
        let mut left = len;
        while left > 0 {
            let chunk = zeros.get(..left.min(zeros.len())).unwrap_or(&zeros);
            file.write_all(chunk)?;
            left = left.saturating_sub(chunk.len());
        }
        file.sync_all()?;
        Ok(file)
    }

    /// Opens a segment of an earlier run.
    pub(crate) fn open(path: &Path) -> Result<Segment, StoreError> {
        let opened = || -> std::io::Result<Segment> {
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            let len = usize::try_from(file.metadata()?.len())
                .map_err(|_| std::io::ErrorKind::FileTooLarge)?;
            Self::map(path, file, len)
        };
        opened().map_err(|error| io_error(path, &error))
    }

    #[allow(unsafe_code)]
    fn map(path: &Path, file: File, len: usize) -> std::io::Result<Segment> {
        // SAFETY: the file is private to this process: it lies in a folder of which the store
        // holds the lock, with mode 0600, and nothing truncates it while the map lives. Its
        // blocks were written before (see the file's head), so that no access can fault.
        let map = unsafe { MmapOptions::new().len(len).populate().map_mut(&file)? };
        Ok(Segment { path: path.to_path_buf(), file, map })
    }

    /// Takes the write fault of every page now, not on the hot thread.
    fn touch(&mut self) {
        for byte in self.map.iter_mut().step_by(PAGE) {
            *byte = 0;
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A second handle, by which another thread syncs.
    pub(super) fn handle(&self) -> Result<File, StoreError> {
        self.file.try_clone().map_err(|error| io_error(&self.path, &error))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.map
    }

    /// Writes the segment to the device, for the end of a run.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.map.flush().map_err(|error| io_error(&self.path, &error))
    }
}
