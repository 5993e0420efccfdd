//! Takes the maker's records off their ring and into the journal.
//!
//! Fed by the maker through the record ring; feeds [`JournalWriter`]. A thread of its own (or the last
//! stage of a fused or virtual pipeline): it writes and syncs, which the maker's thread never does.
//!
//! A ring that was cut is one: a journal with inputs missing must not end as if it were whole.
//!
//! After a fault nothing more is written, but the ring is still emptied, so that the maker can take in
//! the order to stop and cancel everything; [`JournalHealth`] is how whoever runs it knows. Absent: the
//! decision what a fault means (the live runner kills the maker), telemetry.

use super::fault::JournalFault;
use super::record::{End, Record};
use super::writer::{JournalWriter, Sink};
use crate::ring::RecordConsumer;
use crate::stage::{Stage, Turn};
use crate::units::Nanos;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most records a turn writes.
const TURN_RECORDS: usize = 1024;

/// Whether the journal still takes everything in; shared with the thread that would stop the maker.
#[derive(Debug, Default)]
pub struct JournalHealth {
    is_failed: AtomicBool,
}

impl JournalHealth {
    /// Did a write or a sync fail, or are records missing? It stays so.
    pub fn is_failed(&self) -> bool {
        self.is_failed.load(Ordering::Acquire)
    }
}

/// The journal's stage.
pub struct Recorder<S: Sink = File> {
    ring: RecordConsumer<Record>,
    writer: JournalWriter<S>,
    batch: Box<[Record]>,
    sync_interval_ns: u64,
    sync_at: Nanos,
    health: Arc<JournalHealth>,
    fault: Option<JournalFault>,
    unwritten: u64,
    /// The latest time that it was told.
    told_at: Nanos,
    /// See every record.
    watches: Vec<Watch>,
    /// See every record that the file has.
    witnesses: Vec<Watch>,
}

/// Whoever looks at the records that come out of the ring: on this thread, so it must not take long.
pub type Watch = Box<dyn FnMut(&Record) + Send>;

impl<S: Sink> Recorder<S> {
    /// Records what comes out of `ring`. Everything is handed to the operating system each turn, and
    /// synced to the disk at most every `sync_interval_ns` (`u64::MAX`: at the end alone).
    pub fn new(
        ring: RecordConsumer<Record>,
        writer: JournalWriter<S>,
        sync_interval_ns: u64,
    ) -> Recorder<S> {
        let blank = Record::Timer { number: 0, now: Nanos(0) };
        Recorder {
            ring,
            writer,
            batch: vec![blank; TURN_RECORDS].into_boxed_slice(),
            sync_interval_ns,
            sync_at: Nanos(0),
            health: Arc::default(),
            fault: None,
            unwritten: 0,
            told_at: Nanos(0),
            watches: Vec::new(),
            witnesses: Vec::new(),
        }
    }

    /// The same with those who see every record, whether it can be written or not.
    pub fn watched(self, watches: impl IntoIterator<Item = Watch>) -> Recorder<S> {
        Recorder { watches: watches.into_iter().collect(), ..self }
    }

    /// The same with one who sees every record that this process's death does not take back, and no
    /// other: after a fault none.
    pub fn witnessed(mut self, witness: Watch) -> Recorder<S> {
        self.witnesses.push(witness);
        self
    }

    /// How it is, for the thread that acts on it.
    pub fn health(&self) -> Arc<JournalHealth> {
        Arc::clone(&self.health)
    }

    /// How many records came after a fault and are not in the journal.
    pub fn unwritten(&self) -> u64 {
        self.unwritten
    }

    /// What the journal adds up to so far.
    pub fn so_far(&self) -> End {
        self.writer.so_far()
    }

    /// Empties the ring and ends the journal in order, or says what went wrong during the run.
    pub fn finish(mut self) -> Result<End, JournalFault> {
        while self.take(self.told_at) > 0 {}
        match self.fault {
            Some(fault) => Err(fault),
            None => self.writer.finish(),
        }
    }

    /// Writes what waits, up to a turn's bound; answers how much it took.
    fn take(&mut self, now: Nanos) -> usize {
        self.told_at = now;
        let count = self.ring.pop_slice(&mut self.batch);
        let records = self.batch.get(..count).unwrap_or_default();
        let mut outcome = Ok(());
        if self.fault.is_none() {
            self.writer.tell_time(now);
            outcome = records.iter().try_for_each(|record| self.writer.append(record));
            if count > 0 {
                outcome = outcome.and_then(|()| self.writer.flush());
            }
        }
        for watch in &mut self.watches {
            records.iter().for_each(watch);
        }
        if self.fault.is_none() && outcome.is_ok() {
            for witness in &mut self.witnesses {
                records.iter().for_each(witness);
            }
        }
        if self.fault.is_some() {
            self.unwritten = self.unwritten.saturating_add(count as u64);
            return count;
        }
        if now >= self.sync_at && self.sync_interval_ns < u64::MAX {
            outcome = outcome.and_then(|()| self.writer.sync());
            self.sync_at = now.plus(self.sync_interval_ns);
        }
        if count == 0 && self.ring.is_at_cut() {
            outcome = outcome.and_then(|()| self.writer.sync());
            outcome = outcome.and_then(|()| Err(self.writer.overrun()));
        }
        if let Err(fault) = outcome {
            self.fault = Some(fault);
            self.unwritten = count as u64;
            self.health.is_failed.store(true, Ordering::Release);
        }
        count
    }
}

impl<S: Sink + Send> Stage for Recorder<S> {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn turn(&mut self, now: Nanos) -> Turn {
        if self.take(now) > 0 {
            Turn::Busy
        } else if self.ring.is_disconnected() {
            // Whoever watches learns that this was all.
            self.watches.clear();
            self.witnesses.clear();
            Turn::Done
        } else {
            Turn::Idle
        }
    }
}
