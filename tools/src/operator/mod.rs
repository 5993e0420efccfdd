//! The operator's hand on a running maker: socket, kill switch, watchdog, alerts, metrics.
//!
//! In the order in which an act travels: a request on the socket → who may and what it means (hand,
//! rules, words) → the desk → the maker's control ring, order entry's switches. Beside it the guard
//! kills by itself, and standing, status and metrics show how it is. All of it on cold threads of its
//! own; the maker's thread sees a ring and a heartbeat.

/// What goes over the socket.
pub mod request;
/// The Unix domain socket, both ends.
pub mod socket;
/// Who may, and what is answered.
pub mod hand;
/// Limits as they are, and what a change must satisfy.
pub mod rules;
/// What an operator says of an option's end.
pub mod option_words;
mod transfer_words;
/// Symbols, sizes and users for people; the text of an act.
pub mod words;
/// The way to the maker, and the kill.
pub mod desk;
/// The kill that survives a restart.
pub mod kill_note;
/// Kills by itself: heartbeat, signal, file, session.
pub mod guard;
/// Panics of the run's threads.
pub mod panics;
/// Which news is an alert.
pub mod alerting;
/// Log lines and the command.
pub mod alert_command;
/// How the maker stands.
pub mod standing;
/// The same as a document.
pub mod status;
/// Compresses and clears the journal's segments.
pub mod archivist;
/// The same for Prometheus.
pub mod metrics;

use crate::config::ConfigFile;
use crate::recovery::Told;
use crate::state_dir::StateDir;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::control::{KillCause, User};
use desk::Desk;
use guard::Guard;
use hand::Hand;
use kill_note::KillNote;
use metrics::Metrics;
use socket::Socket;
use status::Names;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use thiserror::Error;

/// Why a run may not start, or cannot be operated.
#[derive(Debug, Error)]
pub enum OperatorError {
    /// A kill is in force.
    #[error(
        "{note}; nothing is traded from {folder} until an operator lifts it: ballast resume --all \
         --after-kill --state-dir {folder}"
    )]
    Killed {
        /// What happened.
        note: Box<KillNote>,
        /// Where.
        folder: String,
    },
    /// The file that kills is there.
    #[error("{path}: the kill file is there; remove it when trading may go on")]
    KillFile {
        /// Which.
        path: String,
    },
    /// Others may connect by the config, and may not by the file system.
    #[error(
        "operator.uids: {folder} lets nobody in but its owner, so that they cannot reach {socket}: set \
         operator.socket to a path in a folder of a group that they are in, its mode 2750"
    )]
    Closed {
        /// Which.
        socket: String,
        /// What is in the way.
        folder: String,
    },
    /// A socket, a port or a signal handler.
    #[error("{what}: {source}")]
    Io {
        /// Which.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Refuses where a kill is in force. Asked before anything is opened.
///
/// # Errors
/// [`OperatorError::Killed`], [`OperatorError::KillFile`].
pub fn may_start(file: &ConfigFile, folder: &Path) -> Result<(), OperatorError> {
    if let Some(note) = KillNote::read(folder) {
        let (note, folder) = (Box::new(note), folder.display().to_string());
        return Err(OperatorError::Killed { note, folder });
    }
    let path = file.raw.operator.kill_file_in(folder);
    match path.try_exists().unwrap_or(true) {
        true => Err(OperatorError::KillFile { path: path.display().to_string() }),
        false => Ok(()),
    }
}

/// SIGUSR1 kills from now on: asked for before the run before is replayed, which takes its time.
///
/// # Errors
/// [`OperatorError::Io`].
pub fn kill_signal() -> Result<Arc<AtomicBool>, OperatorError> {
    let signal = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, signal.clone())
        .map_err(|source| OperatorError::Io { what: "SIGUSR1".into(), source })?;
    Ok(signal)
}

/// A SIGUSR1 that no guard took, before there was one or behind its end: dropped at the very end of a run, while
/// the state folder is still held, it notes the kill.
pub struct LastLook {
    signal: Arc<AtomicBool>,
    folder: PathBuf,
    epoch: u32,
}

impl LastLook {
    /// For the run of `state`; `signal` is [`kill_signal`]'s.
    pub fn new(state: &StateDir, signal: &Arc<AtomicBool>) -> LastLook {
        let folder = state.folder().to_path_buf();
        LastLook { signal: Arc::clone(signal), folder, epoch: state.epoch() }
    }
}

impl Drop for LastLook {
    fn drop(&mut self) {
        if !self.signal.swap(false, Ordering::AcqRel) {
            return;
        }
        let note = KillNote {
            cause: KillCause::Signal.name().into(),
            by: User::new(rustix::process::geteuid().as_raw(), "ballast").to_string(),
            reason: "SIGUSR1 while no run traded".into(),
            at: desk::now_text(),
            epoch: self.epoch,
        };
        match note.write(&self.folder) {
            Ok(()) => tracing::error!("{note}"),
            Err(error) => tracing::error!(%error, "a restart would trade again: {note}"),
        }
    }
}

/// Refuses where the run before was killed and its note is missing: it died, or its disk was full, in
/// between. The note is written now.
///
/// # Errors
/// [`OperatorError::Killed`], [`OperatorError::Io`].
pub fn was_not_killed(told: &Told, folder: &Path) -> Result<(), OperatorError> {
    let io = |source| OperatorError::Io { what: folder.display().to_string(), source };
    if !told.was_killed || KillNote::was_lifted(folder, told.epoch).map_err(io)? {
        return Ok(());
    }
    let note = KillNote {
        cause: "journal".into(),
        by: "ballast".into(),
        reason: format!("the journal of run {} ends killed, and no note says why", told.epoch),
        at: desk::now_text(),
        epoch: told.epoch,
    };
    note.write(folder).map_err(io)?;
    Err(OperatorError::Killed { note: Box::new(note), folder: folder.display().to_string() })
}

/// Log lines to standard error from now on; `RUST_LOG` chooses, warnings and worse without it. Panics are kept
/// for the guard as well.
pub fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A line that cannot be written is lost: told by `eprintln!`, as is the default, it would panic, and end
    // the thread that spoke. A second run in the same process (a test) keeps the first one's.
    let _ = log.log_internal_errors(false).try_init();
    panics::watch();
}

/// Refuses where those who may operate the run cannot reach its socket: they would learn of it when they
/// must kill. Root passes every folder.
fn may_be_reached(socket: &Path, uids: &[u32]) -> Result<(), OperatorError> {
    let ours = rustix::process::geteuid().as_raw();
    let are_others = uids.iter().any(|uid| *uid != ours && *uid != hand::ROOT);
    let full = std::path::absolute(socket).unwrap_or_else(|_| socket.to_path_buf());
    let Some(folder) = socket::closed_folder(&full).filter(|_| are_others) else { return Ok(()) };
    let folder = folder.display().to_string();
    Err(OperatorError::Closed { socket: socket.display().to_string(), folder })
}

/// The operator's threads; they end when this is dropped.
pub struct Operator {
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// Where the socket is.
    pub socket: PathBuf,
}

impl Operator {
    /// Starts them over `desk`; `signal` is [`kill_signal`]'s. From here on the socket answers, so that a kill
    /// which came before left its note: that is looked for once more.
    ///
    /// # Errors
    /// [`OperatorError::Io`] where socket or port cannot be had; as [`may_start`].
    pub fn start(
        file: &ConfigFile,
        config: &MakerConfig,
        state: &StateDir,
        desk: &Arc<Desk>,
        signal: Arc<AtomicBool>,
    ) -> Result<Operator, OperatorError> {
        let raw = &file.raw.operator;
        let path = raw.socket_in(state.folder());
        let io = |what: String| move |source| OperatorError::Io { what, source };
        may_be_reached(&path, &raw.uids)?;
        let socket = Socket::open(&path, &raw.uids).map_err(io(path.display().to_string()))?;
        may_start(file, state.folder())?;
        let metrics = raw.metrics.map(|address| {
            Metrics::open(address).map_err(io(format!("operator.metrics = {address}")))
        });
        let metrics = metrics.transpose()?;
        let end = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        let kill_file = raw.kill_file_in(state.folder());
        let guard = Guard::new(desk.clone(), Names::new(file, config), raw, kill_file, signal);
        let until = end.clone();
        threads.push(spawn("ballast-guard", move || guard.run(&until))?);
        let hand = Hand::new(desk.clone(), file, config);
        let until = end.clone();
        threads.push(spawn("ballast-socket", move || socket.serve(hand, &until))?);
        if let Some(metrics) = metrics {
            let (names, desk, until) = (Names::new(file, config), desk.clone(), end.clone());
            let serve = move || metrics.serve(&names, &desk, &until);
            threads.push(spawn("ballast-metrics", serve)?);
        }
        if rustix::process::geteuid().is_root() {
            tracing::warn!(
                "runs as root: give it a user of its own and the capabilities of tuning.md"
            );
        }
        Ok(Operator { end, threads, socket: path })
    }
}

/// A thread whose panic names it.
fn spawn(
    name: &'static str,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, OperatorError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|source| OperatorError::Io { what: format!("the thread {name}"), source })
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            // One that panicked has said so on standard error.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_whose_journal_alone_knows_of_its_kill_is_noted_and_stays_killed_until_that_is_lifted()
    {
        let folder = std::env::temp_dir().join(format!("ballast-unnoted-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let told = |was_killed| Told { epoch: 7, was_killed, ..Told::default() };
        assert!(was_not_killed(&told(false), &folder).is_ok());
        let refused = was_not_killed(&told(true), &folder).unwrap_err().to_string();
        assert!(refused.contains("run 7") && refused.contains("--after-kill"), "{refused}");
        let file = ConfigFile::demo().unwrap();
        assert!(may_start(&file, &folder).is_err(), "the note is on disk");
        KillNote::lift(&folder, 7, "somebody").unwrap();
        assert!(may_start(&file, &folder).is_ok() && was_not_killed(&told(true), &folder).is_ok());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_signal_that_no_guard_took_is_noted_when_the_run_is_over() {
        let folder = std::env::temp_dir().join(format!("ballast-last-look-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let state = StateDir::open(&folder).unwrap();
        let signal = Arc::new(AtomicBool::new(false));
        drop(LastLook::new(&state, &signal));
        assert_eq!(KillNote::read(&folder), None, "there was none");
        let end = LastLook::new(&state, &signal);
        signal.store(true, Ordering::Release);
        drop(end);
        let note = KillNote::read(&folder).expect("the next start must not trade");
        assert_eq!((note.cause.as_str(), note.epoch), ("signal", state.epoch()));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_socket_that_other_operators_cannot_reach_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = std::env::temp_dir().join(format!("ballast-closed-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("in")).unwrap();
        let socket = folder.join("in/operator.sock");
        let open = |mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&folder, mode).unwrap();
        };
        let inner = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.join("in"), inner).unwrap();
        open(0o700);
        let ours = rustix::process::geteuid().as_raw();
        assert!(
            may_be_reached(&socket, &[]).is_ok() && may_be_reached(&socket, &[ours, 0]).is_ok()
        );
        let refused = may_be_reached(&socket, &[4_000_000_001]).unwrap_err().to_string();
        assert!(refused.contains(&format!("{} lets nobody in", folder.display())), "{refused}");
        assert!(refused.contains("operator.socket"), "{refused}");
        open(0o2750);
        assert!(may_be_reached(&socket, &[4_000_000_001]).is_ok());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
