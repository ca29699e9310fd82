//! [`TileBuilder`]: the files of a growing tree, in the memory of one tile for each level.

use crate::prove::fold;
use crate::{Bundle, Hash, Tile, TileError, TileKind, encode_hashes, leaf_hash};

/// Turns entries, as they come, into tiles: full ones when they are full, partial ones when asked.
#[derive(Clone, Debug, Default)]
pub struct TileBuilder {
    size: u64,
    bundle: Bundle,
    /// By level: the hashes of its last tile, fewer than 256.
    levels: Vec<Vec<Hash>>,
}

impl TileBuilder {
    /// Starts with an empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Entries so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends an entry; gives the tiles that it fills, of the lowest level first.
    ///
    /// # Errors
    /// [`TileError::EntryTooLong`] beyond 65,535 bytes; nothing is appended.
    pub fn push(&mut self, entry: &[u8]) -> Result<Vec<(Tile, Vec<u8>)>, TileError> {
        self.bundle.push(entry)?;
        self.size = self.size.saturating_add(1);
        let mut full = Vec::new();
        let last = self.last(TileKind::Entries);
        if last.is_full() {
            full.push((last, core::mem::take(&mut self.bundle).as_bytes().to_vec()));
        }
        let mut carry = Some(leaf_hash(entry));
        for level in 0.. {
            let Some(hash) = carry else { break };
            carry = self.push_hash(level, hash, &mut full);
        }
        Ok(full)
    }

    /// The partial tiles of the tree as it is now.
    pub fn partial(&self) -> Vec<(Tile, Vec<u8>)> {
        let kinds = TileKind::levels(self.size).chain([TileKind::Entries]);
        let bytes = |kind| match kind {
            TileKind::Entries => self.bundle.as_bytes().to_vec(),
            TileKind::Hashes { level } => {
                self.levels.get(usize::from(level)).map_or_else(Vec::new, |row| encode_hashes(row))
            }
        };
        let tiles = kinds.map(|kind| (self.last(kind), bytes(kind)));
        tiles.filter(|(tile, _)| !tile.is_full() && tile.width > 0).collect()
    }

    /// Appends a hash to a level; gives the hash for the next, if the tile is full now.
    fn push_hash(&mut self, level: u8, hash: Hash, full: &mut Vec<(Tile, Vec<u8>)>) -> Option<Hash> {
        if self.levels.len() <= usize::from(level) {
            self.levels.push(Vec::new());
        }
        let row = self.levels.get_mut(usize::from(level))?;
        row.push(hash);
        if row.len() < 256 {
            return None;
        }
        let row = core::mem::take(row);
        full.push((self.last(TileKind::Hashes { level }), encode_hashes(&row)));
        fold(row)
    }

    /// The tile of this kind that holds the newest.
    fn last(&self, kind: TileKind) -> Tile {
        let index = kind.count(self.size).saturating_sub(1) / crate::TILE_WIDTH;
        Tile::within(kind, index, self.size)
    }
}
