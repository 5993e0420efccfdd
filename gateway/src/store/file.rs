//! The store on disk: append-only, checksummed segments in a folder of the session's own.
//!
//! The session feeds it on the session's thread; `keeper.rs` makes, syncs and removes segments on
//! another. What a call has taken survives the death of the process at any later instant; what the
//! loss of power can take is what the last [`SyncPolicy`] interval wrote, and the counterparty's
//! ResendRequest and reconciliation heal it. Deliberately absent: compression, and any index on
//! disk: opening reads the segments once.
//!
//! Budget: 0.3 µs a message of 224 bytes, synced or not.

use super::folder::{lock, segment_numbers, segment_path};
use super::index::{Index, Place};
use super::keeper::Keeper;
use super::record::{self, Checkpoint, Kind, Read};
use super::segment::{Segment, io_error};
use super::synced_copy::copy_path;
use super::{Store, StoreError};
use ballast_engine::units::Nanos;
use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// When written records are forced to the device: on the keeper's thread, as a copy, of which the session's
/// thread feels nothing (`synced_copy.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPolicy {
    /// When the system likes (about 30 s on Linux).
    Never,
    /// At least this often.
    Every(Duration),
}

/// Where a store lies and how much it keeps.
#[derive(Debug, Clone)]
pub struct FileStoreConfig {
    /// The session's own folder; made with mode 0700 where it is missing.
    pub folder: PathBuf,
    /// Bytes of a segment; at least 4096.
    pub segment_bytes: usize,
    /// Segments kept; older ones are removed, and their messages cannot be resent. At least 2.
    pub segments_held: usize,
    /// Messages of each direction that can be looked up; older ones cannot be resent.
    pub messages_held: usize,
    /// When records are forced to the device.
    pub sync: SyncPolicy,
}

impl FileStoreConfig {
    /// 16 MiB segments, 16 of them, 262,144 messages a direction, synced every 100 ms.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        FileStoreConfig {
            folder: folder.into(),
            segment_bytes: 16 << 20,
            segments_held: 16,
            messages_held: 1 << 18,
            sync: SyncPolicy::Every(Duration::from_millis(100)),
        }
    }
}

/// What opening found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Whole records.
    pub records: u64,
    /// A crash tore the last record, or the header of the last segment never reached the disk: it was dropped,
    /// and never counted as stored.
    pub has_torn_tail: bool,
}

/// What a segment's file holds.
enum Begun {
    /// Its header, and so its records.
    Used(Segment, Checkpoint),
    /// No record: prepared and never used, or begun as the process was killed.
    Empty,
    /// Records without a header: a power cut kept the later page and not the first.
    Headless,
}

/// A session's store on disk. One process at a time: the folder is locked.
#[derive(Debug)]
pub struct FileStore {
    config: FileStoreConfig,
    keeper: Keeper,
    /// Oldest first; the last is written to. Numbers are consecutive.
    segments: VecDeque<Segment>,
    /// Number of the first of `segments`.
    first_number: u32,
    /// Where the next record goes in the last segment.
    offset: usize,
    next_sender: u64,
    next_target: u64,
    created_at: Nanos,
    outbound: Index,
    inbound: Index,
    recovered: Recovered,
    /// The keeper makes the next segment, or has.
    is_preparing: bool,
    waits: u64,
    _lock: File,
}

impl FileStore {
    /// Opens or makes the store in the config's folder and recovers what it holds.
    ///
    /// # Errors
    /// A locked folder, a full disk, what the system refuses, and a damaged record that is not the
    /// torn tail of a crash.
    pub fn open(config: FileStoreConfig) -> Result<FileStore, StoreError> {
        let mut store = Self::open_to_read(config)?;
        store.ask_for_the_next();
        Ok(store)
    }

    /// The same for who only reads: no segment is made ahead, which is 16 MiB of zeros on the device.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_to_read(config: FileStoreConfig) -> Result<FileStore, StoreError> {
        let lock = lock(&config.folder)?;
        let keeper =
            Keeper::start(config.sync).map_err(|error| io_error(&config.folder, &error))?;
        let mut store = FileStore {
            outbound: Index::new(config.messages_held),
            inbound: Index::new(config.messages_held),
            keeper,
            segments: VecDeque::new(),
            first_number: 1,
            offset: record::SEGMENT_HEADER,
            next_sender: 1,
            next_target: 1,
            created_at: Nanos(0),
            recovered: Recovered::default(),
            is_preparing: false,
            waits: 0,
            _lock: lock,
            config,
        };
        store.recover()?;
        if store.segments.is_empty() {
            let path = segment_path(&store.config.folder, store.first_number);
            let segment = Segment::create(&path, store.config.segment_bytes)?;
            store.begin_segment(segment)?;
        } else if let Some(segment) = store.segments.back() {
            segment.set_written(store.offset);
            store.keeper.watch(segment.in_use()?);
        }
        Ok(store)
    }

    /// What opening found.
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// How often the session's thread waited for a segment that the keeper had not made in time.
    pub fn waits(&self) -> u64 {
        self.waits
    }

    /// Forces all that is written to the device, now and on this thread: for the end of a run.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.segments.back().map_or(Ok(()), Segment::sync)
    }

    fn recover(&mut self) -> Result<(), StoreError> {
        let numbers = segment_numbers(&self.config.folder)?;
        let mut unused: Vec<(PathBuf, bool)> = Vec::new();
        for number in numbers {
            let path = segment_path(&self.config.folder, number);
            take_from_copy(&path)?;
            let (segment, checkpoint) = match Self::begun(&path)? {
                Begun::Used(segment, checkpoint) => (segment, checkpoint),
                begun @ (Begun::Empty | Begun::Headless) => {
                    unused.push((path, matches!(begun, Begun::Headless)));
                    continue;
                }
            };
            // In front of a used one, one without records is a hole.
            if let Some((path, _)) = unused.first() {
                return Err(StoreError::Corrupt { path: path.clone(), offset: 0 });
            }
            if self.recovered.has_torn_tail {
                // A tear is an end: nothing may stand behind it.
                let (path, offset) = self.tail();
                return Err(StoreError::Corrupt { path, offset });
            }
            self.take_segment(number, segment, checkpoint);
        }
        for (path, is_headless) in unused {
            std::fs::remove_file(&path).map_err(|error| io_error(&path, &error))?;
            self.recovered.has_torn_tail |= is_headless;
        }
        // Behind the end, too: a process killed between a payload and its header leaves the payload there,
        // and a page lost with the power leaves whole records behind it.
        let offset = self.offset;
        if let Some(rest) = self.segments.back_mut().and_then(|s| s.bytes_mut().get_mut(offset..)) {
            rest.fill(0);
        }
        Ok(())
    }

    /// What a segment's file holds.
    fn begun(path: &Path) -> Result<Begun, StoreError> {
        if std::fs::metadata(path).is_ok_and(|found| found.len() == 0) {
            return Ok(Begun::Empty);
        }
        let segment = Segment::open(path)?;
        if let Some(checkpoint) = record::read_checkpoint(segment.bytes()) {
            return Ok(Begun::Used(segment, checkpoint));
        }
        if let Some(version) = record::other_version(segment.bytes()) {
            return Err(StoreError::OtherVersion { path: path.to_path_buf(), version });
        }
        let is_zero = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
        match segment.bytes().split_at_checked(record::SEGMENT_HEADER) {
            // Its numbers are the ones that the segment before it ends with.
            Some((_, records)) if is_zero(records) => Ok(Begun::Empty),
            Some((head, _)) if is_zero(head) => Ok(Begun::Headless),
            Some(_) => Err(StoreError::Corrupt { path: path.to_path_buf(), offset: 0 }),
            None => Ok(Begun::Empty),
        }
    }

    fn tail(&self) -> (PathBuf, u64) {
        let path = self.segments.back().map_or_else(PathBuf::new, |s| s.path().to_path_buf());
        (path, u64::try_from(self.offset).unwrap_or(u64::MAX))
    }

    /// Reads one recovered segment into the numbers and the index.
    fn take_segment(&mut self, number: u32, segment: Segment, checkpoint: Checkpoint) {
        let follows = u32::try_from(self.segments.len())
            .ok()
            .and_then(|held| self.first_number.checked_add(held));
        if follows != Some(number) {
            self.segments.clear();
            self.first_number = number;
        }
        self.next_sender = checkpoint.next_sender;
        self.next_target = checkpoint.next_target;
        self.created_at = Nanos(checkpoint.created_at);
        self.offset = record::SEGMENT_HEADER;
        loop {
            match record::read(segment.bytes(), self.offset) {
                Read::Record(found) => {
                    self.apply(number, found);
                    self.offset = found.end;
                    self.recovered.records = self.recovered.records.saturating_add(1);
                }
                Read::End => break,
                Read::Torn => {
                    self.recovered.has_torn_tail = true;
                    break;
                }
            }
        }
        self.segments.push_back(segment);
    }

    fn apply(&mut self, segment: u32, found: record::Record) {
        let place = Place {
            segment,
            payload: u32::try_from(found.payload).unwrap_or(0),
            len: u32::try_from(found.payload_len).unwrap_or(0),
        };
        match found.kind {
            Kind::Outbound => {
                self.outbound.put(found.number, place);
                self.next_sender = found.number.saturating_add(1);
            }
            Kind::OutboundAdmin => self.next_sender = found.number.saturating_add(1),
            Kind::Inbound => {
                self.inbound.put(found.number, place);
                self.next_target = found.number.saturating_add(1);
            }
            Kind::NextTarget => self.next_target = found.number,
            Kind::NextSender => self.next_sender = found.number,
            Kind::Reset => {
                self.outbound.clear();
                self.inbound.clear();
                self.next_sender = 1;
                self.next_target = 1;
                self.created_at = Nanos(found.number);
            }
        }
    }

    fn last_number(&self) -> u32 {
        let behind = u32::try_from(self.segments.len()).unwrap_or(0).saturating_sub(1);
        self.first_number.saturating_add(behind)
    }

    fn begin_segment(&mut self, mut segment: Segment) -> Result<(), StoreError> {
        let in_use = segment.in_use()?;
        let number = if self.segments.is_empty() {
            self.first_number
        } else {
            self.last_number().saturating_add(1)
        };
        let checkpoint = Checkpoint {
            number,
            next_sender: self.next_sender,
            next_target: self.next_target,
            created_at: self.created_at.0,
        };
        record::write_checkpoint(segment.bytes_mut(), checkpoint);
        segment.set_written(record::SEGMENT_HEADER);
        self.keeper.watch(in_use);
        self.segments.push_back(segment);
        self.offset = record::SEGMENT_HEADER;
        while self.segments.len() > self.config.segments_held.max(2) {
            if let Some(oldest) = self.segments.pop_front() {
                self.first_number = self.first_number.saturating_add(1);
                self.keeper.remove(oldest);
            }
        }
        Ok(())
    }

    fn ask_for_the_next(&mut self) {
        let path = segment_path(&self.config.folder, self.last_number().saturating_add(1));
        self.keeper.prepare(path, self.config.segment_bytes);
        self.is_preparing = true;
    }

    fn rotate(&mut self) -> Result<(), StoreError> {
        if !self.is_preparing {
            self.ask_for_the_next();
        }
        let (made, has_waited) = self.keeper.take();
        self.is_preparing = false;
        self.waits = self.waits.saturating_add(u64::from(has_waited));
        let folder = || StoreError::Io {
            path: self.config.folder.clone(),
            kind: std::io::ErrorKind::BrokenPipe,
        };
        let segment = made.ok_or_else(folder)??;
        self.begin_segment(segment)?;
        self.ask_for_the_next();
        Ok(())
    }

    fn append(&mut self, kind: Kind, number: u64, frame: &[u8]) -> Result<(), StoreError> {
        let room = self.config.segment_bytes.saturating_sub(record::SEGMENT_HEADER);
        if record::record_len(frame.len()) > room {
            return Err(StoreError::TooLarge { len: frame.len(), segment: room });
        }
        if !self.write(kind, number, frame) {
            self.rotate()?;
            let is_written = self.write(kind, number, frame);
            debug_assert!(is_written, "a fresh segment holds every record that is let this far");
        }
        Ok(())
    }

    /// Writes into the segment in use; `false` where it is full.
    fn write(&mut self, kind: Kind, number: u64, frame: &[u8]) -> bool {
        let segment = self.last_number();
        let offset = self.offset;
        let Some(last) = self.segments.back_mut() else { return false };
        if !record::write(last.bytes_mut(), offset, kind, number, frame) {
            return false;
        }
        let end = offset.saturating_add(record::record_len(frame.len()));
        last.set_written(end);
        let payload = offset.saturating_add(record::RECORD_HEADER);
        self.apply(
            segment,
            record::Record { kind, number, payload, payload_len: frame.len(), end },
        );
        self.offset = end;
        true
    }

    fn frame_at(&self, place: Place) -> Option<&[u8]> {
        let position = usize::try_from(place.segment.checked_sub(self.first_number)?).ok()?;
        let begin = usize::try_from(place.payload).ok()?;
        let end = begin.checked_add(usize::try_from(place.len).ok()?)?;
        self.segments.get(position)?.bytes().get(begin..end)
    }
}

/// Puts what the copy of a segment holds beyond it into the segment: where the power went, what was synced is in
/// the copy alone. The segment goes to the device, and its copy is not needed any more.
fn take_from_copy(segment: &Path) -> Result<(), StoreError> {
    let path = copy_path(segment);
    let copy = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        read => read.map_err(|error| io_error(&path, &error))?,
    };
    let held = record::whole_records(&copy);
    if held == 0 {
        // Begun as the process died, or of another layout, which is told where the segment is looked at.
        return Ok(());
    }
    let mut taken = Segment::open(segment)?;
    let both = held.min(record::whole_records(taken.bytes()));
    if copy.get(..both) != taken.bytes().get(..both) {
        // Not of this segment: put together from two backups. Neither is the other's beginning.
        return Err(StoreError::Corrupt { path, offset: 0 });
    }
    if held > both
        && let Some((room, synced)) = taken.bytes_mut().get_mut(..held).zip(copy.get(..held))
    {
        room.copy_from_slice(synced);
    }
    taken.sync()?;
    std::fs::remove_file(&path).map_err(|error| io_error(&path, &error))
}

impl Store for FileStore {
    fn next_sender(&self) -> u64 {
        self.next_sender
    }

    fn next_target(&self) -> u64 {
        self.next_target
    }

    fn created_at(&self) -> Nanos {
        self.created_at
    }

    fn sync_failures(&self) -> u64 {
        self.keeper.sync_failures()
    }

    fn put_outbound(&mut self, frame: &[u8]) -> Result<(), StoreError> {
        self.append(Kind::Outbound, self.next_sender, frame)
    }

    fn put_outbound_admin(&mut self) -> Result<(), StoreError> {
        self.append(Kind::OutboundAdmin, self.next_sender, &[])
    }

    fn put_inbound(&mut self, frame: &[u8]) -> Result<(), StoreError> {
        self.append(Kind::Inbound, self.next_target, frame)
    }

    fn set_next_target(&mut self, next: u64) -> Result<(), StoreError> {
        self.append(Kind::NextTarget, next, &[])
    }

    fn set_next_sender(&mut self, next: u64) -> Result<(), StoreError> {
        self.append(Kind::NextSender, next, &[])
    }

    fn reset(&mut self, now: Nanos) -> Result<(), StoreError> {
        let after = self.created_at.0.saturating_add(1);
        self.append(Kind::Reset, now.0.max(after), &[])
    }

    fn outbound(&self, msg_seq_num: u64) -> Option<&[u8]> {
        self.outbound.get(msg_seq_num).and_then(|place| self.frame_at(place))
    }

    fn inbound(&self, msg_seq_num: u64) -> Option<&[u8]> {
        self.inbound.get(msg_seq_num).and_then(|place| self.frame_at(place))
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
