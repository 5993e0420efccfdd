//! The archivist: a thread that compresses the journal's ended segments, writes snapshots of the run's state
//! beside them, and clears what is too old.
//!
//! Fed with paths by the recorder as segments end, and with the state folder at the start; feeds the
//! folder. It ends when the run's journal does. What it cannot do it logs, and the next start tries
//! again: the plain segment is as good. It is not waited for at the end of a run, because what it
//! leaves half done (`.partial`) the next start removes.

use crate::config::operator::RawJournal;
use crate::recovery::shadow::Shadow;
use crate::state_dir::StateDir;
use ballast_engine::journal::archive;
use ballast_engine::journal::fault::JournalFault;
use ballast_engine::journal::hash::Sha;
use ballast_engine::journal::segments::Segments;
use ballast_engine::journal::snapshot;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime};

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
    let (first, every) = (state.journal(), config.snapshot_every());
    std::thread::spawn(move || {
        let keep = keep_days.map(|days| Duration::from_secs(days.saturating_mul(86_400)));
        tidy(&folder, epoch, compresses, keep);
        serve(&ended, compresses, every, Shadow::new(&first));
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
    let earlier = archive::recovered_from(folder, epoch)
        .and_then(|needed| snapshot::remove_earlier(folder, epoch, needed));
    if let Err(error) = earlier {
        tracing::warn!(%error, "earlier snapshots");
    }
    if compresses && let Err(error) = archive::compress_earlier(folder, epoch) {
        tracing::warn!(%error, "earlier journals");
    }
}

/// When a snapshot is due goes by a clock that nobody sets.
#[allow(clippy::disallowed_methods, reason = "an edge: when a file is due, on a cold thread")]
fn monotonic() -> Instant {
    Instant::now()
}

/// Until the journal ends: compresses what has ended, and takes a snapshot every so often.
fn serve(ended: &Receiver<PathBuf>, compresses: bool, every: Option<Duration>, mut shadow: Shadow) {
    let next_due = || every.map(|every| monotonic() + every);
    let mut due = next_due();
    loop {
        let left = due.map(|due| due.saturating_duration_since(monotonic()));
        if left == Some(Duration::ZERO) {
            match shadow.take() {
                Ok(Some(path)) => tracing::info!(path = %path.display(), "a snapshot"),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "no snapshot; the run goes on with its journal")
                }
            }
            due = next_due();
            continue;
        }
        let next = match left {
            Some(left) => ended.recv_timeout(left),
            None => ended.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(path) if compresses => {
                if let Err(error) = archive::compress(&path) {
                    tracing::warn!(%error, "a journal segment");
                }
            }
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
