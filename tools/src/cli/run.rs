//! `ballast run`: the pipeline against the FIX venues of a config file.

use super::Failure;
use super::outcome::{self, Ended, OutcomeArgs};
use super::progress_line::Line;
use crate::back_office::{EndWhen, Silent};
use crate::config::file::TimeKind;
use crate::config::{ConfigFile, option_terms};
use crate::hot_host::{self, NotLocked};
use crate::live::{self, LiveOptions, Remains};
use crate::live_venue;
use crate::operator::{self, Operator};
use crate::recovery::{self, RecoveryError};
use crate::session_watch::SessionWatch;
use crate::standard_error::say;
use crate::state_dir::StateDir;
use ballast_engine::clock::Clock;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::stage::TimeBase;
use ballast_engine::pipeline::PipelineError;
use ballast_engine::units::Nanos;
use ballast_gateway::message_log::{LogConfig, MessageLog};
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Whom to trade with.
#[derive(Args)]
pub struct RunArgs {
    /// The maker's config.
    #[arg(long)]
    config: PathBuf,
    /// How long the venues may take to log on at the start, in seconds.
    #[arg(long, default_value_t = 30)]
    logon_within: u64,
    /// Begin with the config's opening and opening_cash, whatever the last run held and also where its
    /// journal is damaged or gone; its orders, halts and losses stay as far as it can be read.
    #[arg(long)]
    opening_from_config: bool,
    #[command(flatten)]
    outcome: OutcomeArgs,
}

/// Ends a run: by a signal, or because a venue did not log on at the start.
struct RunEnd {
    interrupted: Arc<AtomicBool>,
    sessions: Arc<Mutex<Vec<SessionWatch>>>,
    /// Sessions that did not log on in time.
    missing: Arc<Mutex<Vec<String>>>,
    logon_within_ns: u64,
    /// The memory is to be locked, and why the threads' part of it was not.
    lock_memory: bool,
    not_locked: Arc<Mutex<Option<NotLocked>>>,
    started: Option<Nanos>,
    is_up: bool,
}

impl EndWhen for RunEnd {
    fn is_over(&mut self, now: Nanos) -> bool {
        if self.interrupted.load(Ordering::Acquire) {
            return true;
        }
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        for session in sessions.iter() {
            if let Some(trouble) = session.take_trouble() {
                say(format_args!("{}: {trouble}", session.name));
            }
        }
        // Asked for the first time on the back office's thread, when the hot ones have been made: their stacks
        // were not there when the rest was locked.
        if self.started.is_none()
            && self.lock_memory
            && let Err(error) = hot_host::lock_memory()
        {
            *self.not_locked.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            return true;
        }
        let started = *self.started.get_or_insert(now);
        if self.is_up {
            return false;
        }
        // A run trades without its drop copy; that it is down, `status` and an alert say.
        let needed = || sessions.iter().filter(|session| session.copies().is_none());
        self.is_up = !sessions.is_empty() && needed().all(SessionWatch::is_up);
        if self.is_up || now.since(started) < self.logon_within_ns {
            return false;
        }
        let missing = needed().filter(|session| !session.is_up());
        let missing = missing.map(|session| session.name.clone()).collect();
        *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = missing;
        true
    }
}

/// What a stage left, also where another one panicked.
fn taken<T: Default>(left: &Mutex<T>) -> T {
    std::mem::take(&mut *left.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Why the run ended before it began: memory that is not locked, sessions that did not log on in time.
fn refusal(
    missing: &Mutex<Vec<String>>,
    not_locked: &Mutex<Option<NotLocked>>,
    within_s: u64,
) -> Option<Failure> {
    if let Some(error) = taken(not_locked) {
        return Some(Failure::Failed(error.to_string()));
    }
    let missing = taken(missing).join(", ");
    (!missing.is_empty()).then(|| {
        Failure::Failed(format!(
            "no Logon within {within_s} s from {missing}: is it listening there, and does it know these comp \
             ids?"
        ))
    })
}

/// An error where orders may still work at a venue.
fn nothing_works(left: &[String]) -> Result<(), Failure> {
    if left.is_empty() { Ok(()) } else { Err(Failure::Failed(left.join("\n"))) }
}

/// Ends the journal of a run that was not let in: the next one learns that nothing was left undone.
fn ended_in_order(mut remains: Remains) -> Result<(), Failure> {
    let end = remains.office.take().map(|office| office.recorder.finish()).transpose();
    end.map(|_| ()).map_err(|error| Failure::Failed(error.to_string()))
}

/// What the maker's time is.
fn time_base(file: &ConfigFile) -> TimeBase {
    match file.raw.run.time {
        TimeKind::Clock => TimeBase::Clock,
        TimeKind::Venue => TimeBase::Events,
    }
}

/// A run in which a stage panicked: what it was, and what may still work at a venue.
fn panicked(error: &PipelineError, left: &[String]) -> Failure {
    let lines = std::iter::once(error.to_string()).chain(left.iter().cloned());
    Failure::Failed(lines.collect::<Vec<_>>().join("\n"))
}

/// Set from now on by SIGINT and SIGTERM, and by SIGHUP: also where the terminal goes away, or a manager asks
/// for a new config, nothing is left at a venue. Where `nohup` has it ignored it stays so.
fn interrupts() -> std::io::Result<Arc<AtomicBool>> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let interrupted = Arc::new(AtomicBool::new(false));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if signal != SIGHUP || !is_ignored(&status, signal) {
            signal_hook::flag::register(signal, interrupted.clone())?;
        }
    }
    Ok(interrupted)
}

/// Whether this process was started with a signal ignored, by `/proc/self/status`.
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

/// An option that is over by this host's clock is refused where nothing of it is held; else nothing is
/// traded in it until it is booked how it ended. A run in a venue's own time learns of it from the maker,
/// which does not quote it.
fn not_expired(file: &ConfigFile, config: &MakerConfig) -> Result<(), Failure> {
    if file.raw.run.time == TimeKind::Venue {
        return Ok(());
    }
    let now = jiff::Timestamp::now().as_nanosecond();
    let now = Nanos(u64::try_from(now).unwrap_or(0));
    let (expired, held) = option_terms::expired(config, now);
    if !expired.is_empty() {
        return Err(Failure::Usage(format!("{}: {expired}", file.path)));
    }
    for symbol in held {
        tracing::warn!(
            warning = "expired",
            of = symbol,
            "has expired and is not settled: nothing is traded in it, and while it may deliver a future, \
             nothing of its underlying; say how it ended by `ballast book expire {symbol} PRICE`"
        );
    }
    Ok(())
}

/// The maker's config with what the run before left.
fn going_on(file: &ConfigFile, state: &StateDir, opens: bool) -> Result<MakerConfig, Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
    let mut config = file.maker(state.epoch()).map_err(|error| usage(&error))?;
    let told = recovery::recover(file, &mut config, state, opens).map_err(|error| match error {
        RecoveryError::Lost(_) => usage(&error),
        RecoveryError::Replay(_)
        | RecoveryError::Gone { .. }
        | RecoveryError::Store(_)
        | RecoveryError::State(_) => Failure::Failed(error.to_string()),
    })?;
    if let Some(told) = told {
        say(format_args!("run {} {told}", state.epoch()));
        operator::was_not_killed(&told, state.folder())
            .map_err(|error| Failure::Failed(error.to_string()))?;
    }
    not_expired(file, &config)?;
    Ok(config)
}

/// The host, now that everything is allocated: what costs latency is told, and what a kill could not do.
fn make_ready(file: &ConfigFile, clock: &Clock) -> Result<(), Failure> {
    let root = Path::new("/");
    let counter = hot_host::counter_warning(clock.counter().source(), root);
    let warnings = hot_host::core_warnings(&file.raw, root).into_iter().chain(counter);
    for warning in warnings.chain(live_venue::front_warnings(&file.raw)) {
        tracing::warn!("{warning}");
    }
    if file.raw.run.lock_memory {
        hot_host::lock_memory().map_err(|error| Failure::Failed(error.to_string()))?;
    }
    Ok(())
}

/// The config, good by itself. Before the state folder is touched: one that is refused leaves nothing
/// behind.
fn read(args: &RunArgs) -> Result<ConfigFile, Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
    let file = ConfigFile::read(&args.config).map_err(|error| usage(&error))?;
    let fresh = file.maker(1).map_err(|error| usage(&error))?;
    if !file.raw.run.state_dir.exists() {
        not_expired(&file, &fresh)?;
    }
    Ok(file)
}

pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    let file = read(args)?;
    operator::start_log();
    let folder = &file.raw.run.state_dir;
    operator::may_start(&file, folder).map_err(|error| failed(&error))?;
    let signal = operator::kill_signal().map_err(|error| failed(&error))?;
    let state = StateDir::open(folder).map_err(|error| failed(&error))?;
    let _last = operator::LastLook::new(&state, &signal);
    let config = going_on(&file, &state, args.opening_from_config)?;
    let (sessions, missing, not_locked) = (Arc::default(), Arc::default(), Arc::default());
    let end = RunEnd {
        interrupted: interrupts().map_err(|error| failed(&error))?,
        sessions: Arc::clone(&sessions),
        missing: Arc::clone(&missing),
        logon_within_ns: args.logon_within.saturating_mul(1_000_000_000),
        lock_memory: file.raw.run.lock_memory,
        not_locked: Arc::clone(&not_locked),
        started: None,
        is_up: false,
    };
    let clock = Clock::start();
    let fix_log = args.outcome.fix_log.clone();
    let fix_log = fix_log.map(|dir| MessageLog::new(LogConfig::new(dir), clock)).transpose();
    let options = LiveOptions {
        time: time_base(&file),
        answer_delay_ns: 0,
        opens_from_config: args.opening_from_config,
        end: Box::new(end),
        progress: if args.outcome.json { Box::new(Silent) } else { Box::new(Line::new(&file)) },
        fix_log: fix_log.map_err(|error| failed(&error))?,
    };
    let pipeline = live::pipeline(&file, &config, &state, clock.counter(), options)
        .map_err(|error| failed(&error))?;
    state.begin().map_err(|error| failed(&error))?;
    *sessions.lock().unwrap_or_else(PoisonError::into_inner) = pipeline.sessions;
    let hand = Operator::start(&file, &config, &state, &pipeline.desk, signal);
    let hand = hand.map_err(|error| failed(&error))?;
    make_ready(&file, &clock)?;
    let ended = live::run(pipeline.seats, clock, &pipeline.desk);
    drop(hand);
    let mut remains = taken(&pipeline.remains);
    ended.map_err(|error| panicked(&error, &remains.left_working))?;
    if let Some(refused) = refusal(&missing, &not_locked, args.logon_within) {
        return Err(ended_in_order(remains).err().unwrap_or(refused));
    }
    let left_working = std::mem::take(&mut remains.left_working);
    let ended = Ended {
        file: &file,
        remains,
        journal: &state.journal(),
        title: "ballast run",
        facts: vec![("config".into(), args.config.display().to_string())],
        tape_events: 0,
        extra: Vec::new(),
    };
    // First what may still work: whoever reads the outcome may be gone.
    let told = outcome::tell(&args.outcome, ended);
    nothing_works(&left_working).and(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hot_host::tests::{LOCKING, locked_kb};

    #[test]
    fn a_signal_that_nohup_has_ignored_is_known() {
        let status = "Name:\tballast\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\n";
        assert!(is_ignored(status, 1) && is_ignored(status, 13));
        assert!(!is_ignored(status, 15) && !is_ignored("", 1));
    }

    #[test]
    fn what_the_threads_brought_is_locked_when_they_run() {
        let _alone = LOCKING.lock().unwrap_or_else(PoisonError::into_inner);
        let not_locked = Arc::<Mutex<Option<NotLocked>>>::default();
        let mut end = RunEnd {
            interrupted: Arc::default(),
            sessions: Arc::default(),
            missing: Arc::default(),
            logon_within_ns: u64::MAX,
            lock_memory: true,
            not_locked: not_locked.clone(),
            started: None,
            is_up: false,
        };
        let is_over = end.is_over(Nanos(1));
        match taken(&not_locked) {
            None => {
                assert!(!is_over && locked_kb() > 1_000, "{} kB", locked_kb());
                rustix::mm::munlockall().unwrap();
                assert!(!end.is_over(Nanos(2)), "once is enough");
            }
            Some(error) => assert!(is_over && error.to_string().contains("memlock"), "{error}"),
        }
    }
}
