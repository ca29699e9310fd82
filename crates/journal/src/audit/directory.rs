//! The published files of a journal, each against the others and all against the signed checkpoint.
//!
//! 1. The checkpoint is signed by a journal key.
//! 2. Every bundle of entries, and every tile of hashes, that a tree of its size has is there and well-formed.
//! 3. Entries and leaf hashes agree. Where they do not, the side that leads to the signed root is right, and the
//!    other is named.
//! 4. Higher tiles hold the hashes of the lower.
//! 5. Every entry is of a known version and kind.

use claims::leaf::{ENTRY_LEN, LeafKind};
use tlog::note::VerifierKey;
use tlog::{
    Bundle, Checkpoint, CheckpointError, Frontier, Hash, KeyName, Tile, TileBuilder, TileError, TileKind,
    VerifiedCheckpoint, decode_hashes, leaf_hash,
};

use crate::leaf::check_entry;
use crate::{CHECKPOINT, LeafFault};

/// What an intact directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryReport {
    /// What was signed.
    pub checkpoint: Checkpoint,
    /// How many entries there are of each kind, in order of [`LeafKind::ALL`].
    pub entries: [u64; LeafKind::ALL.len()],
}

/// The first thing that is wrong with a directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError<E: std::error::Error + 'static> {
    /// A file cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        source: E,
    },
    /// A file is not there.
    #[error("`{path}` is missing")]
    Missing {
        /// Which file.
        path: String,
    },
    /// The checkpoint is refused.
    #[error("`{CHECKPOINT}` is refused: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// A file is cut off, too long, or not in its form.
    #[error("`{path}`, from entry {first} on, is malformed: {source}")]
    Malformed {
        /// Which file.
        path: String,
        /// The first entry that it covers.
        first: u64,
        /// What is wrong with it.
        source: TileError,
    },
    /// An entry is not the one that was signed.
    #[error("entry {index} in `{path}` was altered: expected leaf hash {expected}, got {got}")]
    Entry {
        /// The bundle that holds it.
        path: String,
        /// Its place in the journal.
        index: u64,
        /// The leaf hash that leads to the signed root.
        expected: Hash,
        /// The hash of the entry.
        got: Hash,
    },
    /// A tile holds a hash that the entries do not have.
    #[error("hash {position} of `{path}`, over entry {index}, was altered: expected {expected}, got {got}")]
    Tile {
        /// The tile.
        path: String,
        /// Which of its hashes, from 0.
        position: usize,
        /// The first entry that the hash covers.
        index: u64,
        /// The hash of the entries, which lead to the signed root.
        expected: Hash,
        /// The hash found.
        got: Hash,
    },
    /// Entries and leaf hashes differ, and neither lead to the signed root.
    #[error("`{entries}` and `{tile}` differ in entry {index}, and neither leads to the signed root")]
    Differ {
        /// The bundle.
        entries: String,
        /// The tile.
        tile: String,
        /// The first entry in which they differ.
        index: u64,
    },
    /// All files agree with each other and not with the checkpoint.
    #[error("the entries do not lead to the signed root: expected {expected}, got {got}")]
    Root {
        /// The root signed.
        expected: Hash,
        /// The root of the entries.
        got: Hash,
    },
    /// An entry was signed that this version does not know.
    #[error("entry {index} in `{path}` is unknown: {source}")]
    Unknown {
        /// The bundle that holds it.
        path: String,
        /// Its place in the journal.
        index: u64,
        /// What is wrong with it.
        source: LeafFault,
    },
}

/// Checks a published journal. `read` gives the bytes of a path below its prefix, `None` if there is no such file,
/// and bounds what it reads (a bundle has at most 16 MiB, everything else at most 64 KiB).
///
/// # Errors
/// [`DirectoryError`], for the first thing that is wrong, in the order of this module.
pub fn verify_directory<E: std::error::Error + 'static>(
    read: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
    origin: &KeyName,
    keys: &[VerifierKey],
) -> Result<DirectoryReport, DirectoryError<E>> {
    let mut files = Files(read);
    // 1.
    let note = files.read(CHECKPOINT)?.ok_or_else(|| missing(CHECKPOINT))?;
    let checkpoint = VerifiedCheckpoint::open(&note, origin, keys)?.checkpoint().clone();
    // 2.
    let mut walk = Walk::default();
    for bundle in Tile::all(TileKind::Entries, checkpoint.size) {
        walk.bundle(&mut files, &bundle)?;
    }
    for (tile, expected) in walk.builder.partial() {
        walk.tile(&mut files, &tile, &expected)?;
    }
    // 3. to 5.
    walk.judge(&checkpoint)?;
    Ok(DirectoryReport { checkpoint, entries: walk.kinds })
}

struct Files<F>(F);

impl<E: std::error::Error + 'static, F: FnMut(&str) -> Result<Option<Vec<u8>>, E>> Files<F> {
    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, DirectoryError<E>> {
        (self.0)(path).map_err(|source| DirectoryError::Read { path: path.to_owned(), source })
    }

    /// A tile under its own name, or else the full one in its place, which has replaced it.
    fn tile(&mut self, tile: &Tile) -> Result<(Tile, Vec<u8>), DirectoryError<E>> {
        for tile in [*tile, tile.filled()] {
            if let Some(bytes) = self.read(&tile.to_string())? {
                return Ok((tile, bytes));
            }
        }
        Err(missing(&tile.to_string()))
    }

    fn hashes(&mut self, tile: &Tile) -> Result<Vec<Hash>, DirectoryError<E>> {
        let (found, bytes) = self.tile(tile)?;
        let mut hashes = decode_hashes(&bytes, found.width).map_err(|source| malformed(&found, 0, source))?;
        hashes.truncate(usize::from(tile.width));
        Ok(hashes)
    }
}

/// What is known after some of the files.
#[derive(Default)]
struct Walk {
    builder: TileBuilder,
    from_entries: Frontier,
    from_tiles: Frontier,
    kinds: [u64; LeafKind::ALL.len()],
    /// The first leaf hash that is not its entry's.
    leaf: Option<Difference>,
    /// The first hash of a higher tile that is not the lower ones'.
    node: Option<Difference>,
    unknown: Option<(Tile, u64, LeafFault)>,
}

struct Difference {
    tile: Tile,
    position: usize,
    entries: Hash,
    tiles: Hash,
}

impl Walk {
    fn bundle<E, F>(&mut self, files: &mut Files<F>, bundle: &Tile) -> Result<(), DirectoryError<E>>
    where
        E: std::error::Error + 'static,
        F: FnMut(&str) -> Result<Option<Vec<u8>>, E>,
    {
        let (found, bytes) = files.tile(bundle)?;
        let decoded = Bundle::decode(&bytes, found.width);
        let entries = decoded.map_err(|source| malformed(&found, misfit(&bytes, &source), source))?;
        for entry in entries.into_iter().take(usize::from(bundle.width)) {
            self.count(bundle, entry);
            self.from_entries.push(leaf_hash(entry));
            let full = self.builder.push(entry).map_err(|source| malformed(&found, 0, source))?;
            for (tile, expected) in full {
                self.tile(files, &tile, &expected)?;
            }
        }
        Ok(())
    }

    /// Compares a tile of hashes with what the entries so far give.
    fn tile<E, F>(
        &mut self,
        files: &mut Files<F>,
        tile: &Tile,
        expected: &[u8],
    ) -> Result<(), DirectoryError<E>>
    where
        E: std::error::Error + 'static,
        F: FnMut(&str) -> Result<Option<Vec<u8>>, E>,
    {
        let TileKind::Hashes { level } = tile.kind else { return Ok(()) };
        let found = files.hashes(tile)?;
        let expected = decode_hashes(expected, tile.width).map_err(|source| malformed(tile, 0, source))?;
        let differing = expected.iter().zip(&found).position(|(entries, tiles)| entries != tiles);
        let difference = differing.and_then(|position| {
            let (entries, tiles) = (*expected.get(position)?, *found.get(position)?);
            Some(Difference { tile: *tile, position, entries, tiles })
        });
        if level == 0 {
            found.into_iter().for_each(|hash| self.from_tiles.push(hash));
            self.leaf = self.leaf.take().or(difference);
        } else {
            self.node = self.node.take().or(difference);
        }
        Ok(())
    }

    fn count(&mut self, bundle: &Tile, entry: &[u8]) {
        match check_entry(entry) {
            Ok((kind, _)) => {
                let place = LeafKind::ALL.iter().position(|k| *k == kind).and_then(|i| self.kinds.get_mut(i));
                if let Some(count) = place {
                    *count = count.saturating_add(1);
                }
            }
            Err(fault) if self.unknown.is_none() => {
                self.unknown = Some((*bundle, self.from_entries.size(), fault));
            }
            Err(_) => {}
        }
    }

    fn judge<E: std::error::Error + 'static>(
        &mut self,
        signed: &Checkpoint,
    ) -> Result<(), DirectoryError<E>> {
        let (expected, got) = (signed.root, self.from_entries.root());
        // 3. and 4., the entries being right.
        if got == expected {
            if let Some(Difference { tile, position, entries, tiles }) = self.leaf.take().or(self.node.take())
            {
                let index = first_entry(&tile, position);
                let path = tile.to_string();
                return Err(DirectoryError::Tile { path, position, index, expected: entries, got: tiles });
            }
            // 5.
            return match self.unknown.take() {
                Some((bundle, index, source)) => {
                    Err(DirectoryError::Unknown { path: bundle.to_string(), index, source })
                }
                None => Ok(()),
            };
        }
        // 3., the entries being wrong.
        let Some(Difference { tile, position, entries, tiles }) = self.leaf.take() else {
            return Err(DirectoryError::Root { expected, got });
        };
        let path = Tile { kind: TileKind::Entries, ..tile }.to_string();
        let index = first_entry(&tile, position);
        if self.from_tiles.root() == expected {
            Err(DirectoryError::Entry { path, index, expected: tiles, got: entries })
        } else {
            Err(DirectoryError::Differ { entries: path, tile: tile.to_string(), index })
        }
    }
}

/// The first entry under a hash of a tile.
fn first_entry(tile: &Tile, position: usize) -> u64 {
    let level = match tile.kind {
        TileKind::Entries => 0,
        TileKind::Hashes { level } => u32::from(level),
    };
    let place = tile.index.saturating_mul(tlog::TILE_WIDTH).saturating_add(position as u64);
    place.saturating_mul(tlog::TILE_WIDTH.saturating_pow(level))
}

/// The first entry of a malformed bundle whose length is none; else the one that does not fit.
///
/// A wrong length shifts all that follows, and the decoder stumbles later than it went astray.
fn misfit(bytes: &[u8], error: &TileError) -> usize {
    let len = u16::try_from(ENTRY_LEN).unwrap_or(u16::MAX).to_be_bytes();
    let mut strides = bytes.chunks(ENTRY_LEN.saturating_add(len.len()));
    match (strides.position(|entry| !entry.starts_with(&len)), error) {
        (Some(position), _) => position,
        (None, TileError::Truncated { position, .. } | TileError::Trailing { position, .. }) => *position,
        (None, _) => 0,
    }
}

fn malformed<E: std::error::Error + 'static>(tile: &Tile, at: usize, source: TileError) -> DirectoryError<E> {
    DirectoryError::Malformed { path: tile.to_string(), first: first_entry(tile, at), source }
}

fn missing<E: std::error::Error + 'static>(path: &str) -> DirectoryError<E> {
    DirectoryError::Missing { path: path.to_owned() }
}
