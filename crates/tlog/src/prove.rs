//! Making proofs, out of whatever can say the hash of a whole subtree: memory, tiles, or the leaves themselves.
//!
//! A *node* is a level, from 0 at the leaves, and an index within it; it stands for the `2^level` leaves from
//! `index * 2^level`. Only nodes whose leaves all exist are ever asked for.

use crate::proof::{Shape, is_right, shr};
use crate::{ConsistencyProof, Hash, InclusionProof, TILE_WIDTH, Tile, TileKind, empty_root, node_hash};

/// Says the hashes of whole subtrees.
pub trait NodeSource {
    /// Why it could not.
    type Error;

    /// The hash of the subtree over the `2^level` leaves from `index * 2^level`, all of which exist.
    ///
    /// # Errors
    /// Whatever keeps the source from knowing it.
    fn node(&mut self, level: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The root of the tree of the first `size` leaves.
///
/// # Errors
/// The source's.
pub fn root<S: NodeSource>(source: &mut S, size: u64) -> Result<Hash, S::Error> {
    Ok(range_root(source, 0, size)?.unwrap_or_else(empty_root))
}

/// The proof that leaf `index` is in the tree of the first `size` leaves; `None` if `index >= size`.
///
/// # Errors
/// The source's.
pub fn prove_inclusion<S: NodeSource>(
    source: &mut S,
    index: u64,
    size: u64,
) -> Result<Option<InclusionProof>, S::Error> {
    if index >= size {
        return Ok(None);
    }
    path(source, 0, index, size).map(|path| Some(InclusionProof(path)))
}

/// The proof that the tree of the first `new` leaves extends that of the first `old`; `None` if `old > new`.
///
/// # Errors
/// The source's.
pub fn prove_consistency<S: NodeSource>(
    source: &mut S,
    old: u64,
    new: u64,
) -> Result<Option<ConsistencyProof>, S::Error> {
    if old > new {
        return Ok(None);
    }
    let Some(last) = old.checked_sub(1).filter(|_| old < new) else {
        return Ok(Some(ConsistencyProof::default()));
    };
    let level = old.trailing_zeros();
    let mut proof = Vec::new();
    if !old.is_power_of_two() {
        proof.push(source.node(level, shr(last, level))?);
    }
    proof.append(&mut path(source, level, last, new)?);
    Ok(Some(ConsistencyProof(proof)))
}

/// The siblings from the node at `level` above leaf `index` up to the root, in a tree of `size` leaves.
fn path<S: NodeSource>(source: &mut S, level: u32, index: u64, size: u64) -> Result<Vec<Hash>, S::Error> {
    let last = size.saturating_sub(1);
    let inner = Shape::of(index, last).inner;
    let mut path = Vec::new();
    for level in level..inner {
        let sibling = shr(index, level) ^ 1;
        // Only the topmost right sibling may lack leaves; a source knows whole subtrees only.
        let ragged = level.saturating_add(1) == inner;
        match sibling.checked_shl(level).filter(|_| ragged) {
            Some(begin) => path.extend(range_root(source, begin, size)?),
            None => path.push(source.node(level, sibling)?),
        }
    }
    for level in (inner..u64::BITS).filter(|level| is_right(index, *level)) {
        path.push(source.node(level, shr(index, level).saturating_sub(1))?);
    }
    Ok(path)
}

/// The root of the leaves from `begin` to `end`, where `begin` is a multiple of a power of two that is no smaller
/// than their number; `None` for no leaves.
fn range_root<S: NodeSource>(source: &mut S, begin: u64, end: u64) -> Result<Option<Hash>, S::Error> {
    let (mut begin, mut whole) = (begin, Vec::new());
    while let Some(level) = end.checked_sub(begin).and_then(u64::checked_ilog2) {
        whole.push(source.node(level, shr(begin, level))?);
        begin = begin.saturating_add(1_u64.checked_shl(level).unwrap_or(u64::MAX));
    }
    Ok(whole.into_iter().rev().reduce(|right, left| node_hash(&left, &right)))
}

/// Hashes a row of nodes up to their common ancestor. The row is whole: a power of two long.
pub(crate) fn fold(mut row: Vec<Hash>) -> Option<Hash> {
    while row.len() > 1 {
        row =
            row.chunks(2).filter_map(|pair| pair.iter().copied().reduce(|l, r| node_hash(&l, &r))).collect();
    }
    row.pop()
}

/// A [`NodeSource`] over tiles, each read when it is needed; the last one is kept.
///
/// `read` gives the hashes of a tile, as many as its width says.
pub struct TileNodes<F> {
    size: u64,
    read: F,
    last: Option<(Tile, Vec<Hash>)>,
}

impl<F> TileNodes<F> {
    /// Over the tiles of a tree of `size` leaves.
    pub fn new(size: u64, read: F) -> Self {
        Self { size, read, last: None }
    }
}

impl<E, F: FnMut(&Tile) -> Result<Vec<Hash>, E>> NodeSource for TileNodes<F> {
    type Error = E;

    fn node(&mut self, level: u32, index: u64) -> Result<Hash, E> {
        let (tile_level, height) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        let first = index.checked_shl(height).unwrap_or(u64::MAX);
        let level = u8::try_from(tile_level).unwrap_or(u8::MAX);
        let tile = Tile::within(TileKind::Hashes { level }, first / TILE_WIDTH, self.size);
        let hashes = match self.last.take() {
            Some((last, hashes)) if last == tile => hashes,
            _ => (self.read)(&tile)?,
        };
        let skip = usize::try_from(first % TILE_WIDTH).unwrap_or(usize::MAX);
        let row = hashes.iter().copied().skip(skip).take(1_usize.checked_shl(height).unwrap_or(0)).collect();
        self.last = Some((tile, hashes));
        Ok(fold(row).unwrap_or_else(empty_root))
    }
}

/// A [`NodeSource`] over leaf hashes, which it reads in runs of at most 256 and hashes up each time.
///
/// `read` gives the leaf hashes from an index, as many as asked for. Slow (it reads all leaves for a root) and
/// frugal (it keeps one run and one hash for each level).
pub struct LeafNodes<F>(pub F);

impl<E, F: FnMut(u64, usize) -> Result<Vec<Hash>, E>> NodeSource for LeafNodes<F> {
    type Error = E;

    fn node(&mut self, level: u32, index: u64) -> Result<Hash, E> {
        match level.checked_sub(1).filter(|_| level > TILE_HEIGHT) {
            Some(below) => {
                let left = self.node(below, index.saturating_mul(2))?;
                let right = self.node(below, index.saturating_mul(2).saturating_add(1))?;
                Ok(node_hash(&left, &right))
            }
            None => {
                let first = index.checked_shl(level).unwrap_or(u64::MAX);
                let row = (self.0)(first, 1_usize.checked_shl(level).unwrap_or(0))?;
                Ok(fold(row).unwrap_or_else(empty_root))
            }
        }
    }
}

/// Levels of the tree that one tile spans.
const TILE_HEIGHT: u32 = 8;
