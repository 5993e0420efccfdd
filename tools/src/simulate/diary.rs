//! The run's journal on a disk that fails when told to, and its replay at the end.
//!
//! Fed by the loop with everything that the maker journals; feeds the verdict: what is on the disk, up
//! to where it failed, must give the same intents again, also through snapshots. The writer, the reader and the replay are those
//! of a live run; only the disk is simulated. One thread.

use crate::recovery::proof::{Proof, prove_bytes};
use ballast_engine::journal::fault::JournalFault;
use ballast_engine::journal::header::Header;
use ballast_engine::journal::reader::JournalReader;
use ballast_engine::journal::record::Record;
use ballast_engine::journal::writer::{JournalWriter, Sink};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The disk's size: weeks of a simulated market. What comes after it is not kept, and not replayed.
const DISK_BYTES: usize = 512 << 20;
/// Between two snapshots that the replay goes through.
pub const SNAPSHOT_INPUTS: u64 = 2_000;
/// What faults name.
pub const NAME: &str = "the simulated disk";

/// What is on the disk, and how it fails.
#[derive(Debug, Default)]
struct Plate {
    bytes: Vec<u8>,
    fails: Option<io::ErrorKind>,
    /// Of the next write the last byte is lost, and nobody is told: a bug that a test plants.
    loses_byte: bool,
}

/// A disk.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Plate>>);

impl Disk {
    fn lock(&self) -> MutexGuard<'_, Plate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut plate = self.lock();
        if let Some(kind) = plate.fails {
            // Half of it found room: a record is torn.
            plate.bytes.extend_from_slice(&bytes[..bytes.len() / 2]);
            return Err(kind.into());
        }
        let kept = bytes.len() - usize::from(std::mem::take(&mut plate.loses_byte));
        plate.bytes.extend_from_slice(&bytes[..kept]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Disk {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The journal of a simulated run.
pub struct Diary {
    disk: Disk,
    writer: Option<JournalWriter<Disk>>,
    fault: Option<JournalFault>,
}

impl Diary {
    /// Writes the header.
    ///
    /// # Errors
    /// The built-in world's config is too long for a header.
    pub fn new(header: &Header, is_torn: bool) -> Result<Diary, JournalFault> {
        let disk = Disk::default();
        let writer = JournalWriter::over(disk.clone(), Path::new(NAME), header)?;
        disk.lock().loses_byte = is_torn;
        Ok(Diary { disk, writer: Some(writer), fault: None })
    }

    /// From now on every write fails.
    pub fn break_disk(&self, kind: io::ErrorKind) {
        self.disk.lock().fails = Some(kind);
    }

    /// Journals an entry; true where just now the journal was lost.
    pub fn take(&mut self, entry: &Record) -> bool {
        let Some(writer) = &mut self.writer else { return false };
        match writer.append(entry) {
            Ok(()) if self.disk.lock().bytes.len() >= DISK_BYTES => {
                self.writer = None;
                false
            }
            Ok(()) => false,
            Err(fault) => {
                self.writer = None;
                self.fault = Some(fault);
                true
            }
        }
    }

    /// What was journaled reaches the disk; true where just now the journal was lost.
    pub fn flush(&mut self) -> bool {
        let Some(Err(fault)) = self.writer.as_mut().map(JournalWriter::flush) else { return false };
        self.writer = None;
        self.fault = Some(fault);
        true
    }

    /// What a process that starts now finds.
    pub fn into_disk(self) -> Vec<u8> {
        std::mem::take(&mut self.disk.lock().bytes)
    }

    /// It is being written, and all of it is there.
    pub fn is_kept(&self) -> bool {
        self.writer.is_some()
    }

    /// Ends the journal; true where all that was journaled is on the disk.
    pub fn end(&mut self) -> bool {
        match self.writer.take().map(JournalWriter::finish) {
            Some(Ok(_)) => true,
            Some(Err(fault)) => {
                self.fault = Some(fault);
                false
            }
            None => false,
        }
    }

    /// Ends the journal and runs it again: what is wrong with it, if anything is. `inputs` is what the
    /// maker consumed.
    pub fn check(&mut self, inputs: u64) -> Option<String> {
        let whole = self.end().then_some(inputs);
        let plate = self.disk.lock();
        let path = Path::new(NAME);
        let reader = JournalReader::over(&plate.bytes[..], path).map_err(|fault| fault.to_string());
        let proved = reader.and_then(|reader| {
            prove_bytes(reader, path, Some(SNAPSHOT_INPUTS)).map_err(|fault| fault.to_string())
        });
        proved.map_or_else(Some, |proof| judge(&proof, whole))
    }
}

/// What is wrong with a journal that was run again, if anything is. `whole`: the inputs that are to be there,
/// where none of it was lost.
pub fn judge(proof: &Proof, whole: Option<u64>) -> Option<String> {
    let replayed = &proof.replay;
    if let Some(difference) = &replayed.difference {
        return Some(format!("input {} gives other intents: {difference:?}", difference.cause));
    }
    if let Some(input) = proof.through.and_then(|through| through.differs_at) {
        return Some(format!("through snapshots it is another maker after {input} inputs"));
    }
    let inputs = whole?;
    let is_complete = replayed.is_identical() && replayed.inputs == inputs;
    let told =
        || format!("{} of {inputs} inputs are there, ended {:?}", replayed.inputs, replayed.end);
    (!is_complete).then(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::config;
    use ballast_engine::units::Nanos;

    fn diary(is_torn: bool) -> Diary {
        let config = config().unwrap().text;
        let binary = "test".to_owned();
        let header = Header { epoch: 1, started: Nanos(0), binary, config, resumption: None };
        Diary::new(&header, is_torn).unwrap()
    }

    fn timer(number: u64) -> Record {
        Record::Timer { number, now: Nanos(number) }
    }

    #[test]
    fn what_was_journaled_replays_and_what_is_missing_is_told() {
        let mut whole = diary(false);
        (0..50).for_each(|number| assert!(!whole.take(&timer(number))));
        assert_eq!(whole.check(50), None);
        let mut short = diary(false);
        (0..49).for_each(|number| assert!(!short.take(&timer(number))));
        assert!(short.check(50).unwrap().contains("49 of 50 inputs"));
        let mut hole = diary(false);
        for number in (0..50).filter(|n| *n != 20) {
            assert!(!hole.take(&timer(number)));
        }
        assert!(hole.check(50).unwrap().contains("input 21 follows where input 20 belongs"));
    }

    #[test]
    fn a_disk_that_fails_is_told_once_and_what_came_before_replays() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
            let mut diary = diary(false);
            assert!(!diary.take(&timer(0)) && !diary.flush());
            diary.break_disk(kind);
            assert!(!diary.take(&timer(1)), "it waits for its batch");
            assert!(diary.flush(), "the journal is lost");
            assert!(!diary.flush() && !diary.take(&timer(2)), "told once");
            assert_eq!(diary.check(3), None, "the good part gives the same intents");
        }
    }

    #[test]
    fn a_byte_that_the_disk_loses_without_a_word_is_found() {
        let mut diary = diary(true);
        for number in 0..50 {
            assert!(!diary.take(&timer(number)));
            assert!(!diary.flush());
        }
        assert!(diary.check(50).is_some());
    }
}
