//! Reading the files that people name, none beyond a bound.
//!
//! Secrets are read elsewhere (`keys`), into buffers that never grow.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// A file or directory cannot be read.
    #[error("cannot read `{}`: {source}", .path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is larger than anything that belongs there.
    #[error("`{}` is too large: expected at most {limit} bytes", .path.display())]
    TooLarge {
        /// Which one.
        path: PathBuf,
        /// Most bytes allowed.
        limit: u64,
    },
}

impl FileError {
    /// For `map_err`: this file or directory cannot be read.
    pub fn read(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Read { path: path.to_owned(), source }
    }

    fn is_absent(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// A whole file of at most `limit` bytes.
///
/// # Errors
/// Each variant of [`FileError`], for what its name says.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let mut file = open(path)?.take(limit.saturating_add(1));
    file.read_to_end(&mut bytes).map_err(FileError::read(path))?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > limit) {
        return Err(FileError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// As [`read`], or `None` if there is no such file.
///
/// # Errors
/// As [`read`].
pub fn read_if_there(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
    match read(path, limit) {
        Err(error) if error.is_absent() => Ok(None),
        read => read.map(Some),
    }
}

/// Opens a file, to be read by whoever knows its bound.
///
/// # Errors
/// [`FileError::Read`].
pub fn open(path: &Path) -> Result<File, FileError> {
    File::open(path).map_err(FileError::read(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_to_its_bound_and_no_further() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, [7; 10]).unwrap();
        assert_eq!(read(&path, 10).unwrap(), [7; 10]);
        let error = read(&path, 9).unwrap_err().to_string();
        assert_eq!(error, format!("`{}` is too large: expected at most 9 bytes", path.display()));
        let absent = directory.path().join("absent");
        assert!(read_if_there(&absent, 9).unwrap().is_none());
        assert_eq!(read_if_there(&path, 10).unwrap(), Some(vec![7; 10]));
        assert!(read(&absent, 9).unwrap_err().to_string().starts_with("cannot read `"));
    }
}
