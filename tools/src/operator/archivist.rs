//! The archivist: a thread that compresses the journal's ended segments and clears what is too old.
//!
//! Fed with paths by the recorder as segments end, and with the state folder at the start; feeds the
//! folder. It ends when the run's journal does. What it cannot do it logs, and the next start tries
//! again: the plain segment is as good. It is not waited for at the end of a run, because what it
//! leaves half done (`.partial`) the next start removes.

use crate::config::operator::RawJournal;
use crate::state_dir::StateDir;
use ballast_engine::journal::archive;
use ballast_engine::journal::fault::JournalFault;
use ballast_engine::journal::hash::Sha;
use ballast_engine::journal::segments::Segments;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime};

/// Which binary this is: its version and the SHA-256 of its file, for the journal's header.
pub fn binary_identity() -> String {
    let version = env!("CARGO_PKG_VERSION");
    match std::fs::read("/proc/self/exe") {
        Ok(bytes) => format!("{version} sha256:{}", Sha::of(&bytes)),
        Err(_) => format!("{version} sha256:unknown"),
    }
}

/// This run's journal, with an archivist behind it.
///
/// # Errors
/// The journal cannot be made.
pub fn segments(state: &StateDir, config: &RawJournal) -> Result<Segments, JournalFault> {
    let (send, ended) = channel();
    let on_end = Box::new(move |path: PathBuf| drop(send.send(path)));
    let segments = Segments::create(&state.journal(), config.segment_bytes(), on_end)?;
    let (folder, epoch) = (state.folder().to_path_buf(), state.epoch());
    let (compresses, keep_days) = (!config.uncompressed, config.keep_days);
    std::thread::spawn(move || {
        let keep = keep_days.map(|days| Duration::from_secs(days.saturating_mul(86_400)));
        tidy(&folder, epoch, compresses, keep);
        serve(&ended, compresses);
    });
    Ok(segments)
}

/// The wall clock: the age of files is people's time.
#[allow(clippy::disallowed_methods, reason = "an edge: the age of files, on a cold thread")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn tidy(folder: &Path, epoch: u32, compresses: bool, keep: Option<Duration>) {
    let cleared =
        keep.map_or(Ok(Vec::new()), |keep| archive::delete_old(folder, epoch, keep, now()));
    match cleared {
        Ok(deleted) => {
            for path in deleted {
                tracing::info!(path = %path.display(), "deleted: older than journal.keep_days");
            }
        }
        Err(error) => tracing::warn!(%error, "old journals"),
    }
    if compresses && let Err(error) = archive::compress_earlier(folder, epoch) {
        tracing::warn!(%error, "earlier journals");
    }
}

fn serve(ended: &Receiver<PathBuf>, compresses: bool) {
    while let Ok(path) = ended.recv() {
        if compresses && let Err(error) = archive::compress(&path) {
            tracing::warn!(%error, "a journal segment");
        }
    }
}
