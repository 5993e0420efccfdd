//! A secret out of a file of its own, which no log and no dump ever shows.
//!
//! Read at start from the path that the config names; used by the dialects that sign. Deliberately
//! absent: secrets in TOML, in the environment or on a command line.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Permissions that anyone but the owner has.
const OTHERS: u32 = 0o077;

/// Bytes that must not be seen. `Debug` says so instead.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

/// Why a secret cannot be used.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error(
        "secret file {}: {kind}; put the secret there, mode 0600, or name another file",
        path.display()
    )]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        kind: std::io::ErrorKind,
    },
    /// Others may read it.
    #[error("secret file {} is open to others (mode {mode:03o}); chmod 600 it", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// There is nothing in it.
    #[error("secret file {} is empty; write the secret into it", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// It holds no key of the kind that the venue wants.
    #[error("{venue}: the secret is {what}")]
    NotAKey {
        /// Whose key.
        venue: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl Secret {
    /// The file's content without the line's end behind it.
    ///
    /// # Errors
    /// It cannot be read, is empty, or others than its owner may read it.
    pub fn from_file(path: &Path) -> Result<Secret, SecretError> {
        let unreadable = |error: std::io::Error| SecretError::Unreadable {
            path: path.into(),
            kind: error.kind(),
        };
        let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & OTHERS != 0 {
            return Err(SecretError::Open { path: path.into(), mode });
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let end = bytes.iter().rposition(|byte| !byte.is_ascii_whitespace());
        match end.and_then(|end| bytes.get(..=end)) {
            Some(kept) => Ok(Secret(kept.to_vec())),
            None => Err(SecretError::Empty { path: path.into() }),
        }
    }

    /// A secret that is already in memory: a test's.
    pub fn from_bytes(bytes: &[u8]) -> Secret {
        Secret(bytes.to_vec())
    }

    /// The bytes, for whoever signs with them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(masked)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;

    #[test]
    fn a_secret_file_is_its_owners_alone_and_never_printed() {
        let path = std::env::temp_dir().join(format!("ballast-secret-{}", std::process::id()));
        std::fs::write(&path, "hunter2\n").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Secret::from_file(&path), Err(SecretError::Open { mode: 0o644, .. })));
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let secret = Secret::from_file(&path).unwrap();
        assert_eq!(secret.expose(), b"hunter2");
        assert_eq!(format!("{secret:?}"), "Secret(masked)");
        std::fs::write(&path, " \n").unwrap();
        assert!(matches!(Secret::from_file(&path), Err(SecretError::Empty { .. })));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(Secret::from_file(&path), Err(SecretError::Unreadable { .. })));
    }
}
