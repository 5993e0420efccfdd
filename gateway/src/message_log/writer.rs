//! The log's stage: takes the pieces of all sessions off their rings and writes them down.
//!
//! Fed by the tapes; feeds the files. A cold thread of its own: it allocates, formats and writes. At
//! most [`TURN_CHUNKS`] pieces of a session a turn; what a turn took is handed to the system at its
//! end, so that the death of the process loses no more than a turn. A file that cannot be written ends
//! its session's log and is told in [`LogCounts`]; trading goes on, and the ring is still emptied.

use super::chunk::{Chunk, Kind, Tape};
use super::file::{LogError, LogFile, make_folder};
use super::stream::Stream;
use crate::fix::timestamp::{Precision, TimestampText};
use ballast_engine::clock::{Clock, Counter};
use ballast_engine::ring::{self, RecordConsumer};
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::{Nanos, Stamp};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most pieces that a turn takes from one session.
const TURN_CHUNKS: usize = 256;
/// What waits is written at least this often within a turn.
const FLUSH_BYTES: usize = 256 * 1024;
/// How often stamps are tied to the time anew.
const ANCHOR_NS: u64 = 100_000_000;

/// Where the log goes and how much of it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogConfig {
    /// The folder; made where it is missing.
    pub folder: PathBuf,
    /// A file that would grow beyond this is set aside. A burst that is longer stays in one file.
    pub rotate_bytes: u64,
    /// Most files a session, the newest included.
    pub files_max: u32,
    /// Pieces of [`CHUNK_BYTES`](super::CHUNK_BYTES) that may wait for the log's thread, a session;
    /// 256 bytes each.
    pub ring_chunks: usize,
}

impl LogConfig {
    /// 16 files of 64 MiB a session, and 4 MiB of memory.
    pub fn new(folder: impl Into<PathBuf>) -> LogConfig {
        LogConfig {
            folder: folder.into(),
            rotate_bytes: 64 << 20,
            files_max: 16,
            ring_chunks: 1 << 14,
        }
    }
}

/// How the log of all sessions fared.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogCounts {
    /// Whole messages written down.
    pub messages: u64,
    /// Bytes that found a ring full and are not in the log.
    pub lost_bytes: u64,
    /// The first file that could not be written; its session's log ends there.
    pub fault: Option<LogError>,
}

/// One session's log.
struct SessionLog {
    name: String,
    ring: RecordConsumer<Chunk>,
    lost: Arc<AtomicU64>,
    streams: [Stream; 2],
    connection: u32,
    file: LogFile,
    last: Nanos,
    messages: u64,
    fault: Option<LogError>,
}

/// Ties the counter's stamps to the time.
struct StampClock {
    clock: Clock,
    counter: Counter,
    anchor: (Stamp, Nanos),
}

impl StampClock {
    fn new(mut clock: Clock) -> StampClock {
        let counter = clock.counter();
        let anchor = (counter.stamp(), clock.now());
        StampClock { clock, counter, anchor }
    }

    /// When a stamp was taken.
    fn time_of(&mut self, stamp: Stamp) -> Nanos {
        if self.counter.nanos_between(self.anchor.0, stamp) > ANCHOR_NS {
            self.set_right();
        }
        let (from, at) = self.anchor;
        if stamp >= from {
            at.plus(self.counter.nanos_between(from, stamp))
        } else {
            Nanos(at.0.saturating_sub(self.counter.nanos_between(stamp, from)))
        }
    }

    /// Of three readings the one that took least: this thread may be interrupted between the two.
    fn set_right(&mut self) {
        let mut best = u64::MAX;
        for _ in 0..3 {
            let stamp = self.counter.stamp();
            let now = self.clock.now();
            let width = self.counter.stamp().0.saturating_sub(stamp.0);
            if width < best {
                best = width;
                self.anchor = (Stamp(stamp.0.saturating_add(width / 2)), now);
            }
        }
    }
}

/// The message log of a run, as a stage.
pub struct MessageLog {
    config: LogConfig,
    clock: StampClock,
    sessions: Vec<SessionLog>,
    batch: Box<[Chunk]>,
}

impl MessageLog {
    /// A log without sessions. `clock` is the run's, so that times agree with the journal's.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(config: LogConfig, clock: Clock) -> Result<MessageLog, LogError> {
        make_folder(&config.folder)?;
        let batch = vec![Chunk::BLANK; TURN_CHUNKS].into_boxed_slice();
        Ok(MessageLog { config, clock: StampClock::new(clock), sessions: Vec::new(), batch })
    }

    /// Opens `FOLDER/NAME.fixlog` and answers the end that goes into a
    /// [`Tee`](crate::transport::Tee). For start-up.
    ///
    /// # Errors
    /// A name that is no file's, or another session's; a file that cannot be opened.
    pub fn session(&mut self, name: &str) -> Result<Tape, LogError> {
        if self.sessions.iter().any(|session| session.name == name) {
            return Err(LogError::Twice { name: name.into() });
        }
        let file = LogFile::open(&self.config, name)?;
        let (producer, ring) = ring::records(self.config.ring_chunks);
        let lost = Arc::new(AtomicU64::new(0));
        let tape = Tape::new(producer, self.clock.counter, Arc::clone(&lost));
        self.sessions.push(SessionLog {
            name: name.into(),
            ring,
            lost,
            streams: Default::default(),
            connection: 0,
            file,
            last: Nanos(0),
            messages: 0,
            fault: None,
        });
        Ok(tape)
    }

    /// How it fared so far.
    pub fn counts(&self) -> LogCounts {
        let sessions = || self.sessions.iter();
        LogCounts {
            messages: sessions().map(|session| session.messages).sum(),
            lost_bytes: sessions().map(|session| session.lost.load(Ordering::Relaxed)).sum(),
            fault: sessions().find_map(|session| session.fault.clone()),
        }
    }
}

impl SessionLog {
    /// Takes a turn's worth; answers how many pieces there were.
    fn turn(&mut self, clock: &mut StampClock, batch: &mut [Chunk]) -> usize {
        let count = self.ring.pop_slice(batch);
        let chunks = batch.get(..count).unwrap_or_default();
        for (n, chunk) in chunks.iter().enumerate() {
            let next = chunks.get(n + 1);
            // The pieces of one read are framed together.
            let is_last = next.is_none_or(|next| {
                (next.stamp, next.kind, next.connection)
                    != (chunk.stamp, chunk.kind, chunk.connection)
            });
            self.take(chunk, is_last, clock);
            if self.file.waiting() >= FLUSH_BYTES {
                self.flush();
            }
        }
        if self.ring.is_disconnected() {
            self.end();
        }
        self.flush();
        count
    }

    fn take(&mut self, chunk: &Chunk, is_last: bool, clock: &mut StampClock) {
        self.last = self.last.max(clock.time_of(chunk.stamp));
        if chunk.connection != self.connection {
            self.end();
            self.connection = chunk.connection;
        }
        let place = match chunk.kind {
            Kind::In => 0,
            Kind::Out => 1,
            Kind::Opened => return self.mark(b"connected"),
            Kind::Closed => {
                self.end();
                return self.mark(b"closed");
            }
        };
        let (file, at) = (&mut self.file, self.last);
        let mut emit = |text: &[u8]| line(file, at, WAYS.get(place), text);
        if let Some(stream) = self.streams.get_mut(place) {
            stream.seek(chunk.place, &mut emit);
            stream.push(chunk.bytes());
            if is_last {
                self.messages = self.messages.saturating_add(stream.drain(&mut emit));
            }
        }
    }

    /// The connection is over: what is not whole never will be.
    fn end(&mut self) {
        let (file, at) = (&mut self.file, self.last);
        for (way, stream) in WAYS.iter().zip(&mut self.streams) {
            stream.restart(&mut |text| line(file, at, Some(way), text));
        }
    }

    fn mark(&mut self, text: &[u8]) {
        line(&mut self.file, self.last, None, text);
    }

    fn flush(&mut self) {
        let flushed = if self.fault.is_none() { self.file.flush() } else { Ok(()) };
        self.fault = self.fault.take().or(flushed.err());
        if self.fault.is_some() {
            self.file.forget();
        }
    }
}

/// How the two directions are written.
const WAYS: [&[u8]; 2] = [b" IN  ", b" OUT "];

fn line(file: &mut LogFile, at: Nanos, way: Option<&&[u8]>, text: &[u8]) {
    let mut time = TimestampText::new(Precision::Nanos);
    file.line([time.write(at), way.copied().unwrap_or(b" --  "), text]);
}

impl Stage for MessageLog {
    fn name(&self) -> &'static str {
        "fix-log"
    }

    fn turn(&mut self, _now: Nanos) -> Turn {
        let mut is_busy = false;
        for session in &mut self.sessions {
            is_busy |= session.turn(&mut self.clock, &mut self.batch) > 0;
        }
        if is_busy {
            Turn::Busy
        } else if self.sessions.iter_mut().all(|session| session.ring.is_disconnected()) {
            Turn::Done
        } else {
            Turn::Idle
        }
    }
}
