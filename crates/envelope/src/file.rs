//! [`AtomicFile`]: a file that has its name once it is whole, and never before.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file under a temporary name in the directory where it will have its final one.
///
/// Readable and writable by its owner alone. Dropped before [`Self::commit`], it is removed, and a file that had
/// the final name is as it was. A process that is killed leaves the temporary name behind (`.keyfast-*.tmp`).
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    directory: PathBuf,
    committed: bool,
}

impl AtomicFile {
    /// Creates the temporary file, mode 0600, next to `path`.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if `path` names no file; else whatever the system says.
    pub fn create(path: &Path) -> io::Result<Self> {
        let no_name = || io::Error::new(io::ErrorKind::InvalidInput, "the path of the output names no file");
        path.file_name().ok_or_else(no_name)?;
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let temporary = directory.join(temporary_name()?);
        let file = File::options().write(true).create_new(true).mode(0o600).open(&temporary)?;
        Ok(Self { file, temporary, path: path.to_owned(), directory, committed: false })
    }

    /// The file under its temporary name, for writing at positions.
    pub fn as_file(&self) -> &File {
        &self.file
    }

    /// Makes the contents durable, gives the file its name in place of whatever had it, and makes that durable.
    ///
    /// # Errors
    /// Whatever the system says; then the final name is untouched, unless only the last step failed.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.temporary, &self.path)?;
        self.committed = true;
        File::open(&self.directory)?.sync_all()
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing is left to do about a failure here, and the caller has an error already.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// A name that no other process can have guessed.
fn temporary_name() -> io::Result<OsString> {
    let random = crypto::random_array::<8>().map_err(io::Error::other)?;
    Ok(format!(".keyfast-{:016x}.tmp", u64::from_be_bytes(random)).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn names(directory: &Path) -> Vec<OsString> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn has_its_name_after_the_commit_and_not_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        fs::write(&path, "old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(directory.path()).len(), 2);
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(directory.path()), ["out"]);
    }

    #[test]
    fn dropped_without_a_commit_it_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = AtomicFile::create(&directory.path().join("out")).unwrap();
        file.write_all(b"new").unwrap();
        drop(file);
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn a_commit_that_fails_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        let file = AtomicFile::create(&path).unwrap();
        fs::create_dir(&path).unwrap();
        file.commit().unwrap_err();
        assert_eq!(names(directory.path()), ["out"]);
    }

    #[test]
    fn a_path_without_a_file_name_is_refused() {
        let refused = AtomicFile::create(Path::new("/tmp/..")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }
}
