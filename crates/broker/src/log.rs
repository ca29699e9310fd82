//! The journal as others see it: a directory of tiles and a checkpoint (C2SP tlog-tiles), and consistency proofs.
//!
//! The store is the truth; this directory is a copy that may lag behind by a second and that a restart completes.
//! Public tools read it as it is, from disk or through `/v1/log/`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claims::leaf::Entry;
use journal::SignedGroup;
use store::{Reader, StorageError};
use tlog::{
    Hash, LeafNodes, NodeSource, Tile, TileBuilder, TileError, TileNodes, decode_hashes, leaf_hash,
    node_hash, prove_consistency,
};

use crate::files::{self, FileError};

/// Entries that are read from the store at a time.
const BATCH: usize = 4096;

/// Nodes of the tree that are kept in memory, 48 bytes each; beyond it all are forgotten at once.
const MAX_NODES: usize = 1 << 16;

/// Why the log could not be read or published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A file of the published log failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A tile cannot be made or read.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// The store has fewer leaves than the log.
    #[error("the store has no leaf {0}")]
    MissingLeaf(u64),
}

/// The published log.
pub struct Log {
    dir: PathBuf,
    published: Mutex<TileBuilder>,
    newest: Mutex<Option<Arc<SignedGroup>>>,
    /// Nodes over leaves that are all there, by level and index: these never change.
    nodes: Mutex<HashMap<(u32, u64), Hash>>,
}

impl Log {
    /// A log that is published in `dir`, with nothing published yet.
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            published: Mutex::new(TileBuilder::new()),
            newest: Mutex::new(None),
            nodes: Mutex::default(),
        }
    }

    /// Where it is published.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Notes that the log has grown.
    pub fn grown(&self, group: &Arc<SignedGroup>) {
        let mut newest = lock(&self.newest);
        if newest.as_ref().is_none_or(|newest| newest.size() < group.size()) {
            *newest = Some(Arc::clone(group));
        }
    }

    /// Leaves in the newest checkpoint.
    pub fn size(&self) -> u64 {
        lock(&self.newest).as_ref().map_or(0, |group| group.size())
    }

    /// The proof that the log of `new` leaves extends the one of `old`; empty for no older log, or one that is
    /// larger (which no proof can mend).
    ///
    /// # Errors
    /// [`LogError`] if leaves cannot be read.
    pub fn consistency(&self, reader: &Reader, old: u64, new: u64) -> Result<Vec<Hash>, LogError> {
        if old == 0 || old >= new {
            return Ok(Vec::new());
        }
        let published = lock(&self.published).size();
        let mut nodes = Nodes { dir: &self.dir, published, reader, known: &self.nodes };
        Ok(prove_consistency(&mut nodes, old, new)?.map_or_else(Vec::new, |proof| proof.0))
    }

    /// Writes what is new since the last time: full tiles, partial ones, and last the checkpoint.
    ///
    /// # Errors
    /// [`LogError`]; the next call goes on from where this one stopped.
    pub fn publish(&self, reader: &Reader) -> Result<(), LogError> {
        let Some(newest) = lock(&self.newest).clone() else { return Ok(()) };
        let mut builder = lock(&self.published);
        if builder.size() >= newest.size() && self.dir.join("checkpoint").exists() {
            return Ok(());
        }
        while builder.size() < newest.size() {
            let missing = newest.size().saturating_sub(builder.size());
            let wanted = usize::try_from(missing).unwrap_or(BATCH).min(BATCH);
            let entries = reader.entries(builder.size(), wanted)?;
            if entries.is_empty() {
                return Err(LogError::MissingLeaf(builder.size()));
            }
            for entry in &entries {
                self.write_tiles(builder.push(entry)?)?;
            }
        }
        self.write_tiles(builder.partial())?;
        files::write(&self.dir.join("checkpoint"), newest.checkpoint(), 0o644)?;
        Ok(())
    }

    fn write_tiles(&self, tiles: Vec<(Tile, Vec<u8>)>) -> Result<(), LogError> {
        for (tile, bytes) in tiles {
            let path = self.dir.join(tile.to_string());
            if path.is_file() {
                continue;
            }
            if let Some(parent) = path.parent() {
                files::public_dir(parent)?;
            }
            files::write(&path, &bytes, 0o644)?;
        }
        Ok(())
    }

    /// The bytes of a published file: `checkpoint`, or the path of a tile. `None` for any other path, or if it is
    /// not there.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        let known = path == "checkpoint" || Tile::from_path(path).is_some();
        known.then(|| files::read(&self.dir.join(path)).ok())?
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nodes of the tree: from memory, from published tiles where they reach, else from the store's leaves.
struct Nodes<'a> {
    dir: &'a Path,
    published: u64,
    reader: &'a Reader,
    known: &'a Mutex<HashMap<(u32, u64), Hash>>,
}

impl NodeSource for Nodes<'_> {
    type Error = LogError;

    fn node(&mut self, level: u32, index: u64) -> Result<Hash, LogError> {
        if let Some(known) = lock(self.known).get(&(level, index)) {
            return Ok(*known);
        }
        let node = self.read(level, index)?;
        let mut known = lock(self.known);
        if known.len() >= MAX_NODES {
            known.clear();
        }
        known.insert((level, index), node);
        Ok(node)
    }
}

impl Nodes<'_> {
    fn read(&mut self, level: u32, index: u64) -> Result<Hash, LogError> {
        let end = index.saturating_add(1).checked_shl(level).unwrap_or(u64::MAX);
        if end <= self.published {
            return TileNodes::new(self.published, |tile: &Tile| self.tile(tile)).node(level, index);
        }
        // Small ones in one read; large ones from their halves, which the next proof asks for as well.
        match level.checked_sub(1).filter(|_| level > 4) {
            None => LeafNodes(|first, count| self.leaves(first, count)).node(level, index),
            Some(below) => {
                let left = self.node(below, index.saturating_mul(2))?;
                Ok(node_hash(&left, &self.node(below, index.saturating_mul(2).saturating_add(1))?))
            }
        }
    }

    fn tile(&self, tile: &Tile) -> Result<Vec<Hash>, LogError> {
        let bytes = files::read(&self.dir.join(tile.to_string()))?;
        Ok(decode_hashes(&bytes, tile.width)?)
    }

    fn leaves(&self, first: u64, count: usize) -> Result<Vec<Hash>, LogError> {
        let entries = self.reader.entries(first, count)?;
        if entries.len() < count {
            return Err(LogError::MissingLeaf(first.saturating_add(entries.len() as u64)));
        }
        Ok(entries.iter().map(|entry: &Entry| leaf_hash(entry)).collect())
    }
}
