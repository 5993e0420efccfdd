//! Compresses segments that have ended, and deletes runs that are too old, off every hot thread.
//!
//! Fed with paths by whoever was told of a segment's end, and with a folder at a run's start; feeds the
//! folder. A compressed segment is written under another name, synced, **read back and compared**, then
//! renamed, and only then the plain one is removed: a crash in between leaves both, which the reader
//! knows. Absent: the decision what to keep (the config's), a clock (the caller's).

use super::chain::COMPRESSED;
use super::fault::JournalFault;
use super::reader::JournalReader;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// zstd's own default: a tenth of a gigabyte a second, a journal to less than a fifth.
const LEVEL: i32 = 3;

fn named(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Length and CRC-32C of all that is read.
fn digest(mut from: impl Read) -> io::Result<(u64, u32)> {
    let (mut bytes, mut sum) = (0u64, 0u32);
    let mut block = vec![0u8; 1 << 16];
    loop {
        let count = from.read(&mut block)?;
        if count == 0 {
            return Ok((bytes, sum));
        }
        bytes = bytes.saturating_add(count as u64);
        sum = crc32c::crc32c_append(sum, block.get(..count).unwrap_or_default());
    }
}

/// Compresses a segment that nobody writes any more; answers the new file's path.
///
/// # Errors
/// The system refuses, or what was written does not read back: then the plain file stays.
pub fn compress(path: &Path) -> Result<PathBuf, JournalFault> {
    let failed = |action| move |error: io::Error| JournalFault::from_io(path, action, &error);
    let (partial, compressed) = (named(path, ".zst.partial"), named(path, COMPRESSED));
    let mut plain = File::open(path).map_err(failed("open"))?;
    let mut options = OpenOptions::new();
    let out = options.write(true).create(true).truncate(true).mode(0o600).open(&partial);
    let out = out.map_err(failed("compress"))?;
    let write = || -> io::Result<()> {
        let mut encoder = zstd::stream::write::Encoder::new(&out, LEVEL)?;
        encoder.include_checksum(true)?;
        io::copy(&mut plain, &mut encoder)?;
        encoder.finish()?;
        out.sync_all()
    };
    let mut write = write;
    if let Err(error) = write() {
        let _ = fs::remove_file(&partial);
        return Err(failed("compress")(error));
    }
    let check = || -> io::Result<bool> {
        let back = digest(zstd::stream::read::Decoder::new(File::open(&partial)?)?)?;
        Ok(back == digest(File::open(path)?)?)
    };
    if !check().map_err(failed("read back"))? {
        let _ = fs::remove_file(&partial);
        let what = "it does not read back compressed; the plain file stays";
        return Err(JournalFault::Segment { path: path.to_path_buf(), what });
    }
    fs::rename(&partial, &compressed).map_err(failed("rename"))?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync"))?;
    }
    fs::remove_file(path).map_err(failed("remove"))?;
    Ok(compressed)
}

/// The first segment's name of a run.
pub fn file_name(run: u32) -> String {
    format!("journal-{run:06}.blj")
}

/// The run's number in a segment's name: `journal-000012.blj.0003.zst` is of run 12.
fn run_of(name: &str) -> Option<u32> {
    let (number, rest) = name.strip_prefix("journal-")?.split_once('.')?;
    rest.starts_with("blj").then(|| number.parse().ok()).flatten()
}

/// The segments of all runs before `epoch`, run by run, oldest first.
fn earlier(folder: &Path, epoch: u32) -> io::Result<Vec<(u32, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let run = name.to_str().and_then(run_of).filter(|run| *run < epoch);
        found.extend(run.map(|run| (run, entry.path())));
    }
    found.sort();
    Ok(found)
}

/// Compresses what earlier runs left plain, and removes what a crash left of a compression. Answers
/// how many segments were compressed.
///
/// # Errors
/// The first that failed, after all others were dealt with; it is tried again at the next start.
pub fn compress_earlier(folder: &Path, epoch: u32) -> Result<usize, JournalFault> {
    let listed = earlier(folder, epoch).map_err(|e| JournalFault::from_io(folder, "list", &e))?;
    let (mut count, mut first_failed) = (0, None);
    for (_, path) in listed {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("partial") => {
                let _ = fs::remove_file(&path);
            }
            Some("zst") => {}
            Some(_) | None => match compress(&path) {
                Ok(_) => count += 1,
                Err(fault) => first_failed = first_failed.or(Some(fault)),
            },
        }
    }
    first_failed.map_or(Ok(count), Err)
}

/// The newest run before `epoch` that a start recovers from, or cannot tell whether it does: a demo's
/// journal has no resumption, and one that never began holds nothing.
fn newest_needed(folder: &Path, runs: &[(u32, PathBuf)]) -> Option<u32> {
    let mut runs = runs.chunk_by(|one, other| one.0 == other.0).rev().filter_map(<[_]>::first);
    let is_needed = |run: u32| match JournalReader::open(&folder.join(file_name(run))) {
        Ok(reader) => reader.header().resumption.is_some(),
        Err(JournalFault::Unbegun { .. }) => false,
        Err(_) => true,
    };
    runs.find(|(run, _)| is_needed(*run)).map(|(run, _)| *run)
}

/// The run before `epoch` that a start recovers from, if there is one.
///
/// # Errors
/// The folder cannot be read.
pub fn recovered_from(folder: &Path, epoch: u32) -> io::Result<Option<u32>> {
    Ok(newest_needed(folder, &earlier(folder, epoch)?))
}

/// Deletes the runs before `epoch - 1` whose every segment is older than `keep` at `now`; the last
/// run's journal always stays, and so does the newest that the next start recovers from. Answers the
/// deleted files.
///
/// # Errors
/// The first that the system refused, after all others were dealt with.
pub fn delete_old(
    folder: &Path,
    epoch: u32,
    keep: Duration,
    now: SystemTime,
) -> Result<Vec<PathBuf>, JournalFault> {
    let failed = |error: io::Error| JournalFault::from_io(folder, "clear", &error);
    let listed = earlier(folder, epoch).map_err(failed)?;
    let needed = newest_needed(folder, &listed);
    let (mut deleted, mut first_failed) = (Vec::new(), None);
    let may_go = |run: u32| run.saturating_add(1) < epoch && Some(run) != needed;
    for run in listed.chunk_by(|one, other| one.0 == other.0) {
        if !run.first().is_some_and(|(run, _)| may_go(*run)) {
            continue;
        }
        let is_old = |path: &Path| {
            let changed = fs::metadata(path).and_then(|facts| facts.modified());
            changed.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > keep))
        };
        if run.iter().all(|(_, path)| is_old(path)) {
            for (_, path) in run {
                match fs::remove_file(path) {
                    Ok(()) => deleted.push(path.clone()),
                    Err(error) => first_failed = first_failed.or(Some(failed(error))),
                }
            }
        }
    }
    first_failed.map_or(Ok(deleted), Err)
}
