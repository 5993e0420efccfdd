//! Snapshots of a run's state beside its journal: a start replays what came after the latest sound one.
//!
//! Fed by a cold thread that replays the journal as it grows; feeds recovery. A snapshot is a file of its
//! own (`snapshot-000012.OFFSET` beside `journal-000012.blj`), written under another name, synced and
//! renamed, so that no journal is ever touched; it names its run, the binary and the config that wrote it
//! and its place in the run's stream. One that is torn, damaged, of another binary, config or run is none:
//! the one before it is taken, and at last the journal's beginning. Absent: what a state is (the tools know).

use super::archive::file_name;
use super::chain;
use super::codec::Field;
use super::hash::Sha;
use super::reader::JournalReader;
use crate::units::Nanos;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What every snapshot starts with.
const MAGIC: [u8; 8] = *b"BALLASTP";
/// The format that this code writes, and the only one that it reads.
const VERSION: u32 = 1;
/// Largest file that is believed: 1 GiB.
const BYTES_MAX: u64 = 1 << 30;
/// How many of a run are kept: the latest, and one should that not be sound.
const KEPT: usize = 2;

/// Where in a run's journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// Bytes of the stream before it, the header included.
    pub offset: u64,
    /// Records before it.
    pub records: u64,
}

/// A state at a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// The binary that wrote it: only the same one can read the state.
    pub binary: String,
    /// The config that the run is on.
    pub config: Sha,
    /// The checksum of the journal's header: which run.
    pub seed: u32,
    /// Where.
    pub place: Place,
    /// Inputs before it.
    pub inputs: u64,
    /// The maker's time there.
    pub at: Nanos,
    /// The state's bytes.
    pub state: Vec<u8>,
}

/// Why a snapshot is not begun at. None of them stops a start: it costs the time of a longer replay.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SnapshotFault {
    /// The system does not give it.
    #[error("cannot be read: {0}")]
    Unreadable(io::ErrorKind),
    /// Its bytes are not what was written.
    #[error("torn or damaged")]
    Damaged,
    /// Written by a Ballast of another format.
    #[error("of format version {0}, this program reads {VERSION}")]
    Version(u32),
    /// Its state has another binary's shape.
    #[error("written by Ballast {0}, which is another binary")]
    Binary(String),
    /// The run's config is another one.
    #[error("of another config")]
    Config,
    /// The run is another one.
    #[error("of another run")]
    Run,
    /// The journal does not reach that far.
    #[error("it stands at byte {0} of the journal, which ends before")]
    Beyond(u64),
    /// The state cannot be taken in.
    #[error("its state is not one of this binary's")]
    State,
    /// From it on the journal's intents are not those of this binary, or its state is not the replay's.
    #[error("it is not what the journal replays to")]
    Differs,
}

impl Snapshot {
    /// Its bytes: magic, version, CRC-32C of all that follows, binary, config, seed, place, inputs, time,
    /// state.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.state.len().saturating_add(256));
        (self.binary.len() as u64).put(&mut body);
        body.extend_from_slice(self.binary.as_bytes());
        body.extend_from_slice(&self.config.0);
        self.seed.put(&mut body);
        self.place.offset.put(&mut body);
        self.place.records.put(&mut body);
        self.inputs.put(&mut body);
        self.at.put(&mut body);
        body.extend_from_slice(&self.state);
        let mut bytes = MAGIC.to_vec();
        VERSION.put(&mut bytes);
        crc32c::crc32c(&body).put(&mut bytes);
        bytes.append(&mut body);
        bytes
    }

    /// Of a file's bytes.
    ///
    /// # Errors
    /// They are not a sound snapshot's.
    pub fn decode(bytes: &[u8]) -> Result<Snapshot, SnapshotFault> {
        let damaged = SnapshotFault::Damaged;
        let (magic, mut rest) = bytes.split_first_chunk::<8>().ok_or(damaged.clone())?;
        let version = u32::take(&mut rest).filter(|_| *magic == MAGIC).ok_or(damaged.clone())?;
        if version != VERSION {
            return Err(SnapshotFault::Version(version));
        }
        let sum = u32::take(&mut rest).ok_or(damaged.clone())?;
        if crc32c::crc32c(rest) != sum {
            return Err(damaged);
        }
        Snapshot::fields(rest).ok_or(damaged)
    }

    fn fields(mut rest: &[u8]) -> Option<Snapshot> {
        let length = usize::try_from(u64::take(&mut rest)?).ok()?;
        let (binary, rest) = rest.split_at_checked(length)?;
        let binary = String::from_utf8(binary.to_vec()).ok()?;
        let (config, mut rest) = rest.split_first_chunk::<32>()?;
        let seed = u32::take(&mut rest)?;
        let (offset, records) = (u64::take(&mut rest)?, u64::take(&mut rest)?);
        let (inputs, at) = (u64::take(&mut rest)?, Nanos::take(&mut rest)?);
        let (place, config) = (Place { offset, records }, Sha(*config));
        Some(Snapshot { binary, config, seed, place, inputs, at, state: rest.to_vec() })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is not a sound snapshot.
    pub fn read(path: &Path) -> Result<Snapshot, SnapshotFault> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes))
            .map_err(|error| SnapshotFault::Unreadable(error.kind()))?;
        Snapshot::decode(&bytes)
    }

    /// Is it of this journal, and can `binary` read its state?
    ///
    /// # Errors
    /// No, and why.
    pub fn fits<R: Read>(
        &self,
        journal: &JournalReader<R>,
        binary: &str,
    ) -> Result<(), SnapshotFault> {
        if self.binary != binary {
            return Err(SnapshotFault::Binary(self.binary.clone()));
        }
        if self.config != journal.header().config_sha() {
            return Err(SnapshotFault::Config);
        }
        if self.seed != journal.seed() {
            return Err(SnapshotFault::Run);
        }
        Ok(())
    }
}

fn prefix(run: u32) -> String {
    format!("snapshot-{run:06}.")
}

/// The run of a snapshot's name, and whether it was finished.
fn run_of(name: &str) -> Option<(u32, bool)> {
    let (run, rest) = name.strip_prefix("snapshot-")?.split_once('.')?;
    Some((run.parse().ok()?, rest.bytes().all(|byte| byte.is_ascii_digit())))
}

/// A run's finished snapshots, the latest first.
fn of_run(folder: &Path, run: u32) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().and_then(run_of) == Some((run, true)) {
            found.push(entry.path());
        }
    }
    found.sort();
    found.reverse();
    Ok(found)
}

/// Writes a snapshot of a run and removes those that are no longer needed. What of the journal lies
/// before it must be on disk already.
///
/// # Errors
/// The system refuses; earlier ones stay, and nothing is left of this one.
pub fn write(folder: &Path, run: u32, snapshot: &Snapshot) -> io::Result<PathBuf> {
    let path = folder.join(format!("{}{:020}", prefix(run), snapshot.place.offset));
    let partial = folder.join(format!("{}partial", prefix(run)));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    let written = file
        .write_all(&snapshot.encode())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&partial, &path));
    if let Err(error) = written {
        // On a full disk the journal needs what it took.
        let _ = fs::remove_file(&partial);
        return Err(error);
    }
    File::open(folder)?.sync_all()?;
    for old in of_run(folder, run)?.into_iter().skip(KEPT) {
        fs::remove_file(old)?;
    }
    Ok(path)
}

/// The finished snapshots beside a journal, the latest first, whatever is wrong with them. `journal` names
/// any of its segments, or a folder, as for its reader; where the folder cannot be read there is none.
pub fn beside(journal: &Path) -> Vec<(PathBuf, Result<Snapshot, SnapshotFault>)> {
    let first = chain::first_segment(journal);
    let Some((folder, run)) = run_of_journal(&first) else { return Vec::new() };
    let paths = of_run(folder, run).unwrap_or_default();
    paths.into_iter().map(|path| (path.clone(), Snapshot::read(&path))).collect()
}

/// Removes the snapshots of runs before `epoch` but those of the run that was recovered from, and what a
/// crash left of one.
///
/// # Errors
/// The system refuses.
pub fn remove_earlier(folder: &Path, epoch: u32, recovered_from: Option<u32>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let run = entry.file_name().to_str().and_then(run_of);
        let is_needed = |(run, is_finished): (u32, bool)| {
            run >= epoch || (is_finished && Some(run) == recovered_from)
        };
        if run.is_some_and(|run| !is_needed(run)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The folder and the number of the run whose first segment this is.
pub fn run_of_journal(first: &Path) -> Option<(&Path, u32)> {
    let name = first.file_name()?.to_str()?;
    let run = name.strip_prefix("journal-")?.strip_suffix(".blj")?.parse().ok()?;
    let folder = first.parent().filter(|folder| !folder.as_os_str().is_empty());
    (file_name(run) == name).then_some((folder.unwrap_or(Path::new(".")), run))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(offset: u64) -> Snapshot {
        let place = Place { offset, records: offset / 10 };
        let (inputs, at, state) = (offset / 20, Nanos(5), vec![1, 2, 3]);
        Snapshot { binary: "b".into(), config: Sha([7; 32]), seed: 7, place, inputs, at, state }
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("ballast-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// The places of what is beside run 3's journal; 0 for one that is not sound.
    fn places(folder: &Path) -> Vec<u64> {
        let found = beside(&folder.join(file_name(3)));
        found.iter().map(|(_, read)| read.as_ref().map_or(0, |s| s.place.offset)).collect()
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_seen() {
        let bytes = snapshot(1_000).encode();
        assert_eq!(Snapshot::decode(&bytes), Ok(snapshot(1_000)));
        for cut in 0..bytes.len() {
            assert_eq!(
                Snapshot::decode(&bytes[..cut]),
                Err(SnapshotFault::Damaged),
                "cut at {cut}"
            );
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Snapshot::decode(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn the_latest_two_are_kept_and_those_that_the_next_start_needs() {
        let folder = folder("snapshots");
        for offset in [900, 1_000, 20_000] {
            write(&folder, 3, &snapshot(offset)).unwrap();
        }
        assert_eq!(places(&folder), [20_000, 1_000]);
        let newest = of_run(&folder, 3).unwrap().remove(0);
        let mut bytes = fs::read(&newest).unwrap();
        bytes.pop();
        fs::write(&newest, bytes).unwrap();
        assert_eq!(places(&folder), [0, 1_000], "a torn one is told as one");
        remove_earlier(&folder, 5, Some(3)).unwrap();
        assert_eq!(places(&folder).len(), 2, "the run after it never began");
        remove_earlier(&folder, 5, Some(4)).unwrap();
        assert!(places(&folder).is_empty());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_full_disk_leaves_what_was_there_and_nothing_half_written() {
        let folder = folder("full-disk");
        write(&folder, 3, &snapshot(1_000)).unwrap();
        // Whatever is written to this device finds no space.
        let partial = folder.join("snapshot-000003.partial");
        std::os::unix::fs::symlink("/dev/full", &partial).unwrap();
        let refused = write(&folder, 3, &snapshot(2_000)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
        assert_eq!(places(&folder), [1_000]);
        assert!(fs::symlink_metadata(&partial).is_err(), "what it took is free again");
        write(&folder, 3, &snapshot(3_000)).unwrap();
        assert_eq!(places(&folder), [3_000, 1_000]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
