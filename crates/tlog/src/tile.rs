//! The tree as files: which tiles a tree has, what they are called, and what is in them (C2SP tlog-tiles).
//!
//! A tile holds up to 256 hashes of one level, or up to 256 entries. Level 0 has the leaf hashes, level 1 the
//! roots of full tiles of level 0, and so on. Only the last tile of a level may be partial, and its name says its
//! width, so that a name never stands for two contents.

use core::fmt;

use crate::Hash;
use crate::proof::shr;

/// Hashes or entries in a full tile.
pub const TILE_WIDTH: u64 = 256;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TileKind {
    /// Entries, each behind its length.
    Entries,
    /// Hashes of this level; a level of tiles spans eight levels of the tree.
    Hashes {
        /// 0 to 63.
        level: u8,
    },
}

/// One tile's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tile {
    /// What it holds.
    pub kind: TileKind,
    /// Which it is of its kind, from 0.
    pub index: u64,
    /// Hashes or entries in it, 1 to 256.
    pub width: u16,
}

/// Why bytes are not the tile that they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TileError {
    /// The tile has another length.
    #[error("wrong length of the tile: expected {expected} bytes, got {got}")]
    Length {
        /// Bytes that its width asks for.
        expected: usize,
        /// Bytes given.
        got: usize,
    },
    /// An entry reaches beyond the end of its bundle.
    #[error("entry {position} of the bundle is cut off: expected {expected} bytes, got {got}")]
    Truncated {
        /// Which entry of the bundle, from 0.
        position: usize,
        /// Bytes that it should have, its length among them.
        expected: usize,
        /// Bytes left.
        got: usize,
    },
    /// Bytes follow the last entry of a bundle.
    #[error("{got} bytes follow the last of the bundle's {position} entries")]
    Trailing {
        /// Entries in the bundle.
        position: usize,
        /// Bytes left.
        got: usize,
    },
    /// An entry is longer than 65,535 bytes.
    #[error("an entry of a bundle has at most 65535 bytes, got {got}")]
    EntryTooLong {
        /// Bytes given.
        got: usize,
    },
}

impl Tile {
    /// The tile of this kind and index in a tree of `size` leaves; its width is 0 if the tree does not reach it.
    pub fn within(kind: TileKind, index: u64, size: u64) -> Self {
        let before = index.saturating_mul(TILE_WIDTH);
        let width = kind.count(size).saturating_sub(before).min(TILE_WIDTH);
        Self { kind, index, width: u16::try_from(width).unwrap_or(0) }
    }

    /// All tiles of one kind in a tree of `size` leaves, in order.
    pub fn all(kind: TileKind, size: u64) -> impl Iterator<Item = Self> {
        let tiles = kind.count(size).div_ceil(TILE_WIDTH);
        (0..tiles).map(move |index| Self::within(kind, index, size))
    }

    /// Whether it has all 256.
    pub fn is_full(&self) -> bool {
        u64::from(self.width) == TILE_WIDTH
    }

    /// The full tile in the same place, which holds this one's contents first.
    #[must_use]
    pub fn filled(self) -> Self {
        Self { width: 256, ..self }
    }

    /// The tile with this path, as [`Self`]'s `Display` writes it; `None` for any other spelling.
    pub fn from_path(path: &str) -> Option<Self> {
        let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes { level: level.parse().ok()? },
        };
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, width.parse().ok()?),
            None => (rest, 256),
        };
        let groups = index.split('/').map(|group| group.trim_start_matches('x').parse::<u64>().ok());
        let join = |index: u64, group: Option<u64>| index.checked_mul(1000)?.checked_add(group?);
        let tile = Self { kind, index: groups.into_iter().try_fold(0, join)?, width };
        // One spelling only: what it would be written as.
        (tile.to_string() == path && (1..=256).contains(&width) && kind.is_level()).then_some(tile)
    }
}

impl TileKind {
    /// The levels of hashes that a tree of `size` leaves has tiles of.
    pub fn levels(size: u64) -> impl Iterator<Item = Self> {
        (0..8).map(|level| Self::Hashes { level }).take_while(move |kind| kind.count(size) > 0)
    }

    /// How many hashes or entries of this kind a tree of `size` leaves has.
    pub fn count(self, size: u64) -> u64 {
        match self {
            Self::Entries => size,
            Self::Hashes { level } => shr(size, u32::from(level).saturating_mul(8)),
        }
    }

    fn is_level(self) -> bool {
        matches!(self, Self::Entries | Self::Hashes { level: 0..=63 })
    }
}

/// The path below the log's prefix: `tile/0/x001/x234/067`, `tile/entries/000.p/12`.
impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Entries => f.write_str("tile/entries")?,
            TileKind::Hashes { level } => write!(f, "tile/{level}")?,
        }
        let groups =
            core::iter::successors(Some(self.index), |rest| Some(rest / 1000).filter(|rest| *rest > 0));
        let groups: Vec<u64> = groups.map(|rest| rest % 1000).collect();
        if let Some((last, above)) = groups.split_first() {
            above.iter().rev().try_for_each(|group| write!(f, "/x{group:03}"))?;
            write!(f, "/{last:03}")?;
        }
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

/// The bytes of a tile of hashes.
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The hashes of a tile `width` wide.
///
/// # Errors
/// [`TileError::Length`] unless there are 32 bytes for each.
pub fn decode_hashes(bytes: &[u8], width: u16) -> Result<Vec<Hash>, TileError> {
    let expected = usize::from(width).saturating_mul(Hash::LEN);
    if bytes.len() != expected {
        return Err(TileError::Length { expected, got: bytes.len() });
    }
    let (chunks, _) = bytes.as_chunks::<{ Hash::LEN }>();
    Ok(chunks.iter().map(|chunk| Hash(*chunk)).collect())
}

/// A bundle of entries: each behind its length, a big-endian `u16`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle(Vec<u8>);

impl Bundle {
    /// Appends an entry.
    ///
    /// # Errors
    /// [`TileError::EntryTooLong`] beyond 65,535 bytes.
    pub fn push(&mut self, entry: &[u8]) -> Result<(), TileError> {
        let too_long = TileError::EntryTooLong { got: entry.len() };
        let len = u16::try_from(entry.len()).map_err(|_| too_long)?;
        self.0.extend_from_slice(&len.to_be_bytes());
        self.0.extend_from_slice(entry);
        Ok(())
    }

    /// The bytes so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The entries of a bundle `width` wide.
    ///
    /// # Errors
    /// [`TileError::Truncated`] or [`TileError::Trailing`], if there are fewer or more bytes.
    pub fn decode(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
        let (mut rest, mut entries) = (bytes, Vec::with_capacity(usize::from(width)));
        for position in 0..usize::from(width) {
            let truncated = |expected| TileError::Truncated { position, expected, got: rest.len() };
            let (len, tail) = rest.split_first_chunk::<2>().ok_or_else(|| truncated(2))?;
            let len = usize::from(u16::from_be_bytes(*len));
            let split = tail.split_at_checked(len).ok_or_else(|| truncated(len.saturating_add(2)));
            let (entry, tail) = split?;
            entries.push(entry);
            rest = tail;
        }
        if rest.is_empty() {
            Ok(entries)
        } else {
            Err(TileError::Trailing { position: usize::from(width), got: rest.len() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        let hashes = |level, index, width| Tile { kind: TileKind::Hashes { level }, index, width };
        for (tile, path) in [
            (hashes(0, 1_234_067, 256), "tile/0/x001/x234/067"),
            (hashes(63, 0, 1), "tile/63/000.p/1"),
            (hashes(1, 999, 255), "tile/1/999.p/255"),
            (hashes(1, 1000, 256), "tile/1/x001/000"),
            (hashes(0, u64::MAX, 256), "tile/0/x018/x446/x744/x073/x709/x551/615"),
            (Tile { kind: TileKind::Entries, index: 1000, width: 12 }, "tile/entries/x001/000.p/12"),
        ] {
            assert_eq!(tile.to_string(), path);
            assert_eq!(Tile::from_path(path), Some(tile));
        }
        for path in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/00",
            "tile/0/0000",
            "tile/00/000",
            "tile/64/000",
            "tile/-1/000",
            "tile/+1/000",
            "tile/0/x000/000",
            "tile/0/x001",
            "tile/0/001/000",
            "tile/0/000.p/",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/257",
            "/tile/0/000",
            "tile/0/000/",
            "tile/0/../000",
            "tile/data/000",
            "tile/0/xx01/000",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
        ] {
            assert_eq!(Tile::from_path(path), None, "{path}");
        }
    }

    #[test]
    fn a_tree_of_70000_leaves_has_the_tiles_of_the_specification() {
        let count = |level| {
            let tiles: Vec<Tile> = Tile::all(TileKind::Hashes { level }, 70_000).collect();
            (tiles.len(), tiles.last().map(|tile| tile.width))
        };
        assert_eq!(count(0), (274, Some(112)));
        assert_eq!(count(1), (2, Some(17)));
        assert_eq!(count(2), (1, Some(1)));
        assert_eq!(TileKind::levels(70_000).count(), 3);
        assert_eq!(TileKind::levels(256).count(), 2);
        assert_eq!(TileKind::levels(0).count(), 0);
        assert_eq!(TileKind::levels(u64::MAX).count(), 8);
    }

    #[test]
    fn a_bundle_gives_back_its_entries_and_refuses_any_other_length() {
        let mut bundle = Bundle::default();
        for entry in [b"one".as_slice(), b"", &[7; 65_535]] {
            bundle.push(entry).unwrap();
        }
        let bytes = bundle.as_bytes();
        assert_eq!(Bundle::decode(bytes, 3).unwrap(), [b"one".as_slice(), b"", &[7; 65_535]]);
        let cut = bytes.get(..bytes.len() - 1).unwrap();
        let truncated = TileError::Truncated { position: 2, expected: 65_537, got: 65_536 };
        assert_eq!(Bundle::decode(cut, 3), Err(truncated));
        assert_eq!(Bundle::decode(bytes, 2), Err(TileError::Trailing { position: 2, got: 65_537 }));
        assert_eq!(Bundle::decode(b"\0", 1), Err(TileError::Truncated { position: 0, expected: 2, got: 1 }));
        assert_eq!(bundle.push(&[0; 65_536]), Err(TileError::EntryTooLong { got: 65_536 }));
        assert_eq!(decode_hashes(&[0; 33], 1), Err(TileError::Length { expected: 32, got: 33 }));
    }
}
