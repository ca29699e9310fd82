//! [`Publisher`]: the journal as files that public tools read (C2SP tlog-tiles).
//!
//! Full tiles never change; partial ones carry their width in their name. A checkpoint must be written after the
//! tiles that it needs, so [`Publisher::head`] gives it last.

use claims::leaf::Entry;
use tlog::{TileBuilder, TileError};

/// The name of the signed checkpoint.
pub const CHECKPOINT: &str = "checkpoint";

/// A file of the published journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path below the journal's prefix.
    pub path: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Turns entries into files as they come. Starts with the first entry of the journal.
#[derive(Clone, Debug, Default)]
pub struct Publisher(TileBuilder);

impl Publisher {
    /// Starts a journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// Entries so far.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Appends entries; gives the full tiles that they complete.
    ///
    /// # Errors
    /// [`TileError`] never: an entry is 34 bytes.
    pub fn append(&mut self, entries: &[Entry]) -> Result<Vec<File>, TileError> {
        let mut files = Vec::new();
        for entry in entries {
            let full = self.0.push(entry)?;
            files.extend(full.into_iter().map(|(tile, bytes)| File { path: tile.to_string(), bytes }));
        }
        Ok(files)
    }

    /// The partial tiles of the journal as it is now, then the checkpoint, which must be of this size.
    pub fn head(&self, checkpoint: &[u8]) -> Vec<File> {
        let partial =
            self.0.partial().into_iter().map(|(tile, bytes)| File { path: tile.to_string(), bytes });
        let checkpoint = File { path: CHECKPOINT.to_owned(), bytes: checkpoint.to_vec() };
        partial.chain([checkpoint]).collect()
    }
}
