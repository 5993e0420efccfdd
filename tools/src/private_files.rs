//! Files and folders that their owner alone may read: what a run leaves behind says what a desk holds.
//!
//! Fed by whatever writes for people (reports, a certification's evidence) and by the state folder; feeds
//! the file system. Any cold thread.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Makes the folder (0700), and those above it, where they are missing.
///
/// # Errors
/// What the system refuses.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// An empty file (0600), whatever was there.
///
/// # Errors
/// What the system refuses.
pub fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // One that was there before may be open to others.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// A file with this content (0600), under its name only once it is whole. A loss of power may take it.
///
/// # Errors
/// What the system refuses.
pub fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let partial = partial_of(path);
    create(&partial)?.write_all(content)?;
    fs::rename(&partial, path)
}

/// As [`write_whole`], and when it returns a loss of power takes it no more.
///
/// # Errors
/// What the system refuses.
pub fn write_durable(path: &Path, content: &[u8]) -> io::Result<()> {
    let partial = partial_of(path);
    let mut file = create(&partial)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn partial_of(path: &Path) -> PathBuf {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    PathBuf::from(partial)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn nobody_else_reads_what_is_made_here_also_where_others_could_read_what_was_there() {
        let folder = std::env::temp_dir().join(format!("ballast-private-{}", std::process::id()));
        make_folder(&folder.join("in")).unwrap();
        let path = folder.join("in/report.txt");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        fs::write(folder.join("in/report.txt.partial"), "older").unwrap();
        let left = folder.join("in/report.txt.partial");
        fs::set_permissions(&left, Permissions::from_mode(0o644)).unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!([mode(&folder), mode(&folder.join("in")), mode(&path)], [0o700, 0o700, 0o600]);
        assert!(!left.exists());
        write_durable(&path, b"newer").unwrap();
        assert_eq!((fs::read(&path).unwrap().as_slice(), mode(&path)), (&b"newer"[..], 0o600));
        assert!(!left.exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
