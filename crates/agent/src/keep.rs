//! What the agent keeps between runs: the last checkpoint and the last statement of its broker.
//!
//! Neither is secret. Losing them costs the comparison with the past, nothing else: a guest without a disk of its
//! own starts from what its image pins.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tlog::Checkpoint;

/// Most bytes of a kept file.
const MAX_KEPT: u64 = 64 * 1024;

/// A directory of kept files, or none.
#[derive(Clone, Debug)]
pub struct Keep(Option<PathBuf>);

impl Keep {
    /// Keeps files in `dir`; without one, keeps nothing.
    pub fn new(dir: Option<PathBuf>) -> Self {
        Self(dir)
    }

    /// The checkpoint of the last session.
    ///
    /// # Errors
    /// Whatever the system says but "not found"; a file that is no checkpoint is an error too, since to forget the
    /// past is what a rewritten log would want.
    pub fn checkpoint(&self) -> io::Result<Option<Checkpoint>> {
        let Some(bytes) = self.read("checkpoint")? else { return Ok(None) };
        let malformed = |e: String| io::Error::new(io::ErrorKind::InvalidData, e);
        let text = String::from_utf8(bytes).map_err(|e| malformed(e.to_string()))?;
        Checkpoint::parse(&text).map(Some).map_err(|e| malformed(e.to_string()))
    }

    /// The signed statement of the last session, not yet verified.
    ///
    /// # Errors
    /// Whatever the system says but "not found".
    pub fn statement(&self) -> io::Result<Option<Vec<u8>>> {
        self.read("broker.statement")
    }

    /// Keeps both for the next session. A checkpoint smaller than the one kept is left alone: another session of
    /// this guest was faster.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn put(&self, checkpoint: &Checkpoint, statement: &[u8]) -> io::Result<()> {
        let Some(dir) = &self.0 else { return Ok(()) };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        if self.checkpoint()?.is_none_or(|kept| kept.size < checkpoint.size) {
            write(&dir.join("checkpoint"), checkpoint.text().as_bytes())?;
        }
        write(&dir.join("broker.statement"), statement)
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(path) = self.0.as_ref().map(|dir| dir.join(name)) else { return Ok(None) };
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(metadata) if metadata.len() > MAX_KEPT => {
                Err(io::Error::new(io::ErrorKind::InvalidData, format!("`{}` is too large", path.display())))
            }
            Ok(_) => fs::read(&path).map(Some),
        }
    }
}

/// Writes a file whole, by way of a temporary one beside it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(name);
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(size: u64) -> Checkpoint {
        Checkpoint { origin: "keyfast/00".parse().unwrap(), size, root: tlog::Hash([3; 32]) }
    }

    #[test]
    fn the_larger_checkpoint_stays() {
        let dir = tempfile::tempdir().unwrap();
        let keep = Keep::new(Some(dir.path().join("state")));
        assert_eq!(keep.checkpoint().unwrap(), None);
        for (put, kept) in [(5, 5), (3, 5), (9, 9)] {
            keep.put(&checkpoint(put), b"s").unwrap();
            assert_eq!(keep.checkpoint().unwrap(), Some(checkpoint(kept)));
        }
        assert_eq!(keep.statement().unwrap().unwrap(), b"s");
    }

    #[test]
    fn a_damaged_checkpoint_is_an_error_and_not_a_fresh_start() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("checkpoint"), "nonsense").unwrap();
        assert!(Keep::new(Some(dir.path().to_owned())).checkpoint().is_err());
    }
}
