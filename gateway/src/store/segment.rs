//! One segment of a file store: a file of fixed size, zeroed on disk and mapped.
//!
//! Made by the keeper's thread (or by `file.rs` at opening), appended to by the session's thread.
//! The one file of the gateway that maps memory. Deliberately absent: what the bytes mean.
//!
//! Why mapped: a `pwrite` of 224 bytes took 1.5 µs on the reference machine, whose empty system
//! call alone takes 0.24 µs; the store's budget is 0.3 µs a message. Why that cannot end in
//! SIGBUS: every block is written with zeros and synced before the file is mapped, so that a full
//! disk is met here, as an error of `write`. This holds on file systems that overwrite in place
//! (ext4, xfs, tmpfs); on copy-on-write ones it does not, and opening refuses btrfs by name.
//!
//! Whenever the system writes a page to the device it protects it, so that the next byte there costs a
//! fault on the thread that writes it: 40 µs on the reference machine, for one message in a hundred where
//! the segment in use was synced every 100 ms. So nobody syncs a segment that is written to
//! (`synced_copy.rs` says what is synced), and the keeper takes the faults of the pages ahead.

use super::StoreError;
use super::keeper::InUse;
use memmap2::{Advice, MmapOptions, MmapRaw};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A mapped file.
#[derive(Debug)]
pub(crate) struct Segment {
    path: PathBuf,
    file: File,
    pages: Arc<Pages>,
}

/// The pages of a segment, as far as its keeper has to do with them.
#[derive(Debug)]
pub(super) struct Pages {
    map: MmapRaw,
    /// Bytes from the beginning that hold whole records.
    written: AtomicUsize,
}

impl Pages {
    /// Bytes from the beginning that hold whole records.
    pub(super) fn written(&self) -> usize {
        self.written.load(Ordering::Acquire)
    }

    /// Takes the write faults of `len` bytes from `offset` on, where they lie in the segment. Best effort: what
    /// stays protected costs the thread that writes there a fault. (Linux before 5.14 does not know the call.)
    pub(super) fn make_writable(&self, offset: usize, len: usize) {
        let len = len.min(self.map.len().saturating_sub(offset));
        if len > 0 {
            let _ = self.map.advise_range(Advice::PopulateWrite, offset, len);
        }
    }
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
        made.map_err(|error| {
            // Best effort: the error that is returned says more than this one could.
            let _ = std::fs::remove_file(path);
            io_error(path, &error)
        })
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

    fn map(path: &Path, file: File, len: usize) -> std::io::Result<Segment> {
        let map = MmapOptions::new().len(len).populate().map_raw(&file)?;
        let pages = Arc::new(Pages { map, written: AtomicUsize::new(0) });
        Ok(Segment { path: path.to_path_buf(), file, pages })
    }

    /// Takes the write fault of every page now, not on the hot thread.
    pub(crate) fn make_writable(&self) {
        self.pages.make_writable(0, self.pages.map.len());
    }

    /// Bytes from the beginning hold whole records now: what the keeper may sync.
    pub(super) fn set_written(&self, written: usize) {
        self.pages.written.store(written, Ordering::Release);
    }

    /// What the keeper has to do with.
    pub(super) fn pages(&self) -> Arc<Pages> {
        Arc::clone(&self.pages)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the keeper is told of the segment in use.
    pub(super) fn in_use(&self) -> Result<InUse, StoreError> {
        let file = self.file.try_clone().map_err(|error| io_error(&self.path, &error))?;
        Ok(InUse { path: self.path.clone(), file, pages: self.pages() })
    }

    #[allow(unsafe_code)]
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: see `bytes_mut`; a shared borrow of the segment lets nobody write meanwhile.
        unsafe { std::slice::from_raw_parts(self.pages.map.as_ptr(), self.pages.map.len()) }
    }

    #[allow(unsafe_code)]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the map is as long and lives as long as the segment. Memory is reached through `bytes`
        // and `bytes_mut` alone, which borrow the one `Segment` that has these pages: the keeper's handle
        // of them reads and writes none (it reads the file). The file is private to this process: it lies
        // in a folder of which the store holds the lock, with mode 0600, and nothing truncates it while
        // the map lives. Its blocks were written before (see the file's head), so that no access can fault.
        unsafe { std::slice::from_raw_parts_mut(self.pages.map.as_mut_ptr(), self.pages.map.len()) }
    }

    /// Writes the segment to the device, for the end of a run.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.pages.map.flush().map_err(|error| io_error(&self.path, &error))
    }
}
