//! Files that hold the broker's secrets and certificates: written whole or not at all, readable by the owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use secret::SecretBytes;

/// Most bytes of any file that is read here.
const MAX_FILE: u64 = 1024 * 1024;

/// Why a file could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than the owner may read a secret.
    #[error("`{}` can be read by others: expected mode 0600, got {mode:04o}; run chmod 600 and change the key", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file is larger than anything that belongs there.
    #[error("`{}` is too large: expected at most 1048576 bytes, got {got}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        got: u64,
    },
    /// The contents are not what belongs there.
    #[error("`{}` holds no {expected}", path.display())]
    Contents {
        /// The file.
        path: PathBuf,
        /// What belongs there.
        expected: &'static str,
    },
}

pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Io { action, path, source }
}

/// Makes a directory that only the owner may enter, and its parents.
///
/// # Errors
/// [`FileError::Io`].
pub fn private_dir(path: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error("create", path))
}

/// Makes a directory that anybody may read, and its parents.
///
/// # Errors
/// [`FileError::Io`].
pub fn public_dir(path: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(io_error("create", path))
}

/// Reads a whole file of at most a megabyte.
///
/// # Errors
/// [`FileError::Io`], [`FileError::TooLarge`].
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    read_open(File::open(path).map_err(io_error("open", path))?, path)
}

/// Reads a secret, which must be a file of mode 0600 or stricter.
///
/// # Errors
/// As [`read`]; [`FileError::Mode`] if others may read it.
pub fn read_secret(path: &Path) -> Result<SecretBytes, FileError> {
    let file = File::open(path).map_err(io_error("open", path))?;
    let mode = file.metadata().map_err(io_error("read", path))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FileError::Mode { path: path.to_owned(), mode });
    }
    read_open(file, path).map(SecretBytes::from_vec)
}

fn read_open(file: File, path: &Path) -> Result<Vec<u8>, FileError> {
    let got = file.metadata().map_err(io_error("read", path))?.len();
    if got > MAX_FILE {
        return Err(FileError::TooLarge { path: path.to_owned(), got });
    }
    // Room for one byte more than the file has, so that reading to the end never moves a secret.
    let mut bytes = Vec::with_capacity(usize::try_from(got).unwrap_or(0).saturating_add(1));
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    Ok(bytes)
}

/// Writes a file whole: to a temporary name beside it, synced, then renamed.
///
/// # Errors
/// [`FileError::Io`]; the temporary file is removed then.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(name);
    let written = write_new(&temporary, bytes, mode)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all()));
    written.map_err(|source| {
        let _already_gone = fs::remove_file(&temporary);
        FileError::Io { action: "write", path: path.to_owned(), source }
    })
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Reads the secret at `path`, or makes one with `make` and writes it there with mode 0600.
///
/// # Errors
/// As [`read_secret`] and [`write`]; whatever `make` returns.
pub fn read_or_make<E: From<FileError>>(
    path: &Path,
    make: impl FnOnce() -> Result<SecretBytes, E>,
) -> Result<SecretBytes, E> {
    match read_secret(path) {
        Err(FileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let secret = make()?;
            write(path, secret.expose(), 0o600)?;
            Ok(secret)
        }
        read => Ok(read?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("root.key");
        write(&path, b"0123", 0o600).unwrap();
        assert_eq!(read_secret(&path).unwrap().expose(), b"0123");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read_secret(&path), Err(FileError::Mode { mode: 0o640, .. })));
    }

    #[test]
    fn a_secret_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        let make = |byte: u8| move || Ok::<_, FileError>(SecretBytes::from_vec(vec![byte; 4]));
        assert_eq!(read_or_make(&path, make(1)).unwrap().expose(), [1; 4]);
        assert_eq!(read_or_make(&path, make(2)).unwrap().expose(), [1; 4]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
    }
}
