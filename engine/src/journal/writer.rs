//! Appends records to a journal file, off the hot thread.
//!
//! Fed by the recorder thread, which drains the maker's record ring; feeds the file through `write(2)`,
//! so that a full disk is a returned value and never a signal. After a fault the writer writes nothing
//! more and answers every call with that fault: a journal has no holes. Absent: overwriting, file
//! mappings, retries.
//!
//! What a crash can take: the process's death takes what is not yet flushed ([`JournalWriter::flush`]),
//! the power's loss what is not yet synced ([`JournalWriter::sync`]).

use super::fault::JournalFault;
use super::hash::IntentsHash;
use super::header::Header;
use super::record::{End, Record};
use crate::units::Nanos;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Bytes gathered before they are written without being asked.
const BATCH_BYTES: usize = 64 * 1024;

/// Where a journal's bytes go: a file, or in a simulation something that fails when told to.
pub trait Sink: Write {
    /// Makes what was written outlive the power's loss.
    fn sync(&mut self) -> io::Result<()>;

    /// The recorder's time, for sinks that begin a new file at midnight.
    fn tell_time(&mut self, _now: Nanos) {}
}

impl Sink for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// A journal being written.
#[derive(Debug)]
pub struct JournalWriter<S: Sink = File> {
    sink: S,
    path: PathBuf,
    batch: Vec<u8>,
    seed: u32,
    records: u64,
    /// The first record that is not known to be written.
    unwritten: u64,
    inputs: u64,
    hash: IntentsHash,
    fault: Option<JournalFault>,
}

impl JournalWriter<File> {
    /// Makes a new file that only its owner can read (0600) and writes the header. An existing file
    /// is left as it is.
    pub fn create(path: &Path, header: &Header) -> Result<JournalWriter, JournalFault> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = options.open(path).map_err(|e| JournalFault::from_io(path, "create", &e))?;
        JournalWriter::over(file, path, header)
    }
}

impl<S: Sink> JournalWriter<S> {
    /// Writes a header to `sink`; `path` is what faults name.
    pub fn over(sink: S, path: &Path, header: &Header) -> Result<JournalWriter<S>, JournalFault> {
        let path = path.to_path_buf();
        let Some((batch, seed)) = header.encode() else {
            return Err(JournalFault::Header { path, what: "the config is longer than 16 MiB" });
        };
        let mut writer = JournalWriter {
            sink,
            path,
            batch,
            seed,
            records: 0,
            unwritten: 0,
            inputs: 0,
            hash: IntentsHash::new(),
            fault: None,
        };
        writer.flush()?;
        Ok(writer)
    }

    /// Appends a record. It is in the file after the next [`Self::flush`], at the latest after 64 KiB.
    pub fn append(&mut self, record: &Record) -> Result<(), JournalFault> {
        self.check()?;
        match record {
            Record::Market { .. }
            | Record::Order { .. }
            | Record::Control { .. }
            | Record::Timer { .. } => self.inputs += 1,
            Record::Intent { intent, .. } => self.hash.update(intent),
            Record::State { .. } | Record::End(_) => {}
        }
        record.encode(self.seed, self.records, &mut self.batch);
        self.records += 1;
        if self.batch.len() >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    /// Tells the sink the time.
    pub fn tell_time(&mut self, now: Nanos) {
        self.sink.tell_time(now);
    }

    /// Hands everything appended to the operating system.
    pub fn flush(&mut self) -> Result<(), JournalFault> {
        self.check()?;
        let outcome = self.sink.write_all(&self.batch);
        self.batch.clear();
        self.settle("write", outcome)?;
        self.unwritten = self.records;
        Ok(())
    }

    /// [`Self::flush`], then waits until the disk has it.
    pub fn sync(&mut self) -> Result<(), JournalFault> {
        self.flush()?;
        let outcome = self.sink.sync();
        self.settle("sync", outcome)
    }

    /// Ends the journal in order: the end record, then a sync. Answers what it adds up to.
    pub fn finish(mut self) -> Result<End, JournalFault> {
        let end = self.so_far();
        self.append(&Record::End(end))?;
        self.sync()?;
        Ok(end)
    }

    /// What comes next is missing: whatever is appended from now on would stand behind a hole.
    pub fn overrun(&mut self) -> JournalFault {
        let fault = JournalFault::Overrun { path: self.path.clone(), record: self.records };
        self.fault.get_or_insert(fault).clone()
    }

    /// What has been appended so far adds up to this.
    pub fn so_far(&self) -> End {
        End { inputs: self.inputs, intents: self.hash.count(), intents_sha256: self.hash.value() }
    }

    fn check(&self) -> Result<(), JournalFault> {
        self.fault.clone().map_or(Ok(()), Err)
    }

    fn settle(
        &mut self,
        action: &'static str,
        outcome: io::Result<()>,
    ) -> Result<(), JournalFault> {
        let Err(error) = outcome else { return Ok(()) };
        let path = self.path.clone();
        let fault = if error.kind() == io::ErrorKind::StorageFull {
            JournalFault::DiskFull { path, record: self.unwritten }
        } else {
            JournalFault::from_io(&path, action, &error)
        };
        self.fault = Some(fault.clone());
        Err(fault)
    }
}
