//! What a sweep has done so far, on disk, so that an interrupted one goes on where it was.
//!
//! Fed by the sweep's main thread, a row a run in whatever order they end; feeds the finished file.
//! The rows stand in `OUT.part`, each line behind its run's number and before its checksum; the first
//! line is the sweep's fingerprint. A line that a killed process left half-written fails its checksum
//! and is cut off. At the end the rows are put in order into a new file that takes OUT's name at once.

use crate::private_files;
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why progress cannot be kept.
#[derive(Debug, Error)]
pub enum ProgressFault {
    /// The system says no.
    #[error("{file}: {source}")]
    Io {
        /// Which file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// There is a result of that name.
    #[error("{0} is there already; name another --out, or remove it")]
    Finished(PathBuf),
    /// What is on disk belongs to something else.
    #[error(
        "{0} is of another sweep (another config, tape, option or build); remove it to begin anew, \
         or name another --out"
    )]
    Another(PathBuf),
    /// Another process is at it.
    #[error("{0} is being written by another process")]
    Busy(PathBuf),
}

/// The rows so far.
#[derive(Debug)]
pub struct Progress {
    out: PathBuf,
    part: PathBuf,
    file: File,
    rows: BTreeMap<usize, String>,
}

fn line_of(run: usize, row: &str) -> String {
    let body = format!("{run} {row}");
    format!("{body} {:08x}\n", checksum(body.as_bytes()))
}

/// CRC-32C, as the journal's.
fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// The run and the row of a whole line.
fn row_of(line: &str) -> Option<(usize, &str)> {
    let (body, sum) = line.strip_suffix('\n')?.rsplit_once(' ')?;
    if u32::from_str_radix(sum, 16) != Ok(checksum(body.as_bytes())) {
        return None;
    }
    let (run, row) = body.split_once(' ')?;
    Some((run.parse().ok()?, row))
}

impl Progress {
    /// Begins, or goes on where a sweep of the same fingerprint stopped.
    ///
    /// # Errors
    /// The result is there already, the progress is another sweep's, or a file cannot be used.
    pub fn open(out: &Path, fingerprint: &str) -> Result<Progress, ProgressFault> {
        if out.exists() {
            return Err(ProgressFault::Finished(out.to_path_buf()));
        }
        let mut part = out.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let io = |source| ProgressFault::Io { file: part.clone(), source };
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&part);
        let mut file = file.map_err(io)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(ProgressFault::Busy(part));
        }
        let (mut rows, mut whole_bytes) = (BTreeMap::new(), 0);
        {
            let mut lines = BufReader::new(&file);
            let mut line = Vec::new();
            while lines.by_ref().take(1 << 20).read_until(b'\n', &mut line).map_err(io)? > 0 {
                let text = std::str::from_utf8(&line).ok();
                match (whole_bytes, text.and_then(row_of)) {
                    (0, Some((0, found))) if found != fingerprint => {
                        return Err(ProgressFault::Another(part));
                    }
                    (0, Some((0, _))) => {}
                    (1.., Some((run, row))) => drop(rows.insert(run, row.to_owned())),
                    (_, Some(_) | None) => break,
                }
                whole_bytes += line.len() as u64;
                line.clear();
            }
        }
        file.set_len(whole_bytes).map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        let mut progress = Progress { out: out.to_path_buf(), part, file, rows };
        if whole_bytes == 0 {
            progress.write(&line_of(0, fingerprint))?;
        }
        Ok(progress)
    }

    fn write(&mut self, line: &str) -> Result<(), ProgressFault> {
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|source| ProgressFault::Io { file: self.part.clone(), source })
    }

    /// Is this run done?
    pub fn has(&self, run: usize) -> bool {
        self.rows.contains_key(&run)
    }

    /// How many are done.
    pub fn done(&self) -> usize {
        self.rows.len()
    }

    /// A run ended. It is on disk when this returns.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(&mut self, run: usize, row: String) -> Result<(), ProgressFault> {
        self.write(&line_of(run, &row))?;
        self.rows.insert(run, row);
        Ok(())
    }

    /// Every run is done: the rows in order under their header become the result.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn finish(self, header: &str) -> Result<(), ProgressFault> {
        let Progress { out, part, file: _held, rows } = self;
        let io = |source| ProgressFault::Io { file: out.clone(), source };
        let text = rows.values().fold(format!("{header}\n"), |text, row| text + row + "\n");
        private_files::write_durable(&out, text.as_bytes()).map_err(io)?;
        std::fs::remove_file(&part).map_err(io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("ballast-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder.join("out.csv")
    }

    #[test]
    fn a_file_cut_at_any_byte_goes_on_to_the_same_result() {
        let out = scratch("cut");
        let part = out.with_extension("csv.part");
        let mut progress = Progress::open(&out, "sweep one").unwrap();
        for (run, row) in [(2, "2,b c"), (1, "1,a")] {
            progress.add(run, row.to_owned()).unwrap();
        }
        drop(progress);
        let whole = std::fs::read(&part).unwrap();
        for length in 0..=whole.len() {
            std::fs::write(&part, &whole[..length]).unwrap();
            let mut progress = Progress::open(&out, "sweep one").unwrap();
            for (run, row) in [(1, "1,a"), (2, "2,b c")] {
                if !progress.has(run) {
                    progress.add(run, row.to_owned()).unwrap();
                }
            }
            progress.finish("run,value").unwrap();
            assert_eq!(std::fs::read_to_string(&out).unwrap(), "run,value\n1,a\n2,b c\n");
            assert!(!part.exists());
            std::fs::remove_file(&out).unwrap();
        }
        std::fs::remove_dir_all(out.parent().unwrap()).unwrap();
    }

    #[test]
    fn another_sweep_s_progress_a_running_one_and_a_finished_one_are_refused() {
        let out = scratch("other");
        let held = Progress::open(&out, "sweep one").unwrap();
        assert!(matches!(Progress::open(&out, "sweep one"), Err(ProgressFault::Busy(_))));
        drop(held);
        assert!(matches!(Progress::open(&out, "sweep two"), Err(ProgressFault::Another(_))));
        Progress::open(&out, "sweep one").unwrap().finish("run").unwrap();
        assert!(matches!(Progress::open(&out, "sweep one"), Err(ProgressFault::Finished(_))));
        std::fs::remove_dir_all(out.parent().unwrap()).unwrap();
    }
}
