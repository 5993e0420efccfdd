//! Which recording a folder holds, told by its files' names, lengths and times of change.
//!
//! Fed by the system; feeds what must notice that a recording is another one: a sweep that goes on, a
//! decoded tape. Cold. Deliberately absent: the content, which would take as long to hash as to read.

use super::TapeError;
use super::found::collect;
use ballast_engine::journal::hash::Sha;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// A SHA-256 over every file below `folder` (or of the one file): path, length, time of change.
///
/// # Errors
/// Something cannot be read.
pub fn identity(folder: &Path) -> Result<Sha, TapeError> {
    let mut paths = Vec::new();
    collect(folder, 0, &mut paths)?;
    let mut text = String::new();
    for path in paths {
        let unreadable = |source| TapeError::Unreadable { file: path.clone(), source };
        let facts = std::fs::metadata(&path).map_err(unreadable)?;
        let changed = facts.modified().map_err(unreadable)?;
        let changed_ns = changed.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let name = path.strip_prefix(folder).unwrap_or(&path);
        text += &format!("{} {} {changed_ns}\n", name.display(), facts.len());
    }
    Ok(Sha::of(text.as_bytes()))
}
