//! Checking that a leaf is in a tree, and that a tree extends an older one (RFC 9162, 2.1.3.2 and 2.1.4.2).
//!
//! A leaf's path to the root has two parts. Below the level where it parts from the path of the last leaf, every
//! level has a sibling, on the side that the leaf's index says: the *inner* part. Above, only levels at which the
//! path goes right have one, always to the left: the *border*. The length of a proof follows from index and size,
//! and any other length is refused before anything is hashed.

use crate::{Hash, empty_root, node_hash};

/// Most hashes in a proof, whatever the tree: one for each bit of its size, and the seed of a consistency proof.
pub const MAX_PROOF: usize = 65;

/// The siblings on the way from a leaf to the root, lowest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InclusionProof(pub Vec<Hash>);

/// What an older tree and a newer one have in common, lowest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsistencyProof(pub Vec<Hash>);

/// Why a proof does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The tree has no such leaf.
    #[error("leaf {index} is beyond a tree of {size} leaves")]
    IndexBeyondSize {
        /// The leaf.
        index: u64,
        /// Leaves in the tree.
        size: u64,
    },
    /// A log only grows.
    #[error("a tree of {new} leaves cannot extend one of {old}")]
    Shrunk {
        /// Leaves in the older tree.
        old: u64,
        /// Leaves in the newer tree.
        new: u64,
    },
    /// The proof is for another leaf or another tree.
    #[error("wrong number of hashes in the proof: expected {expected}, got {got}")]
    Length {
        /// Hashes that index and size ask for.
        expected: usize,
        /// Hashes given.
        got: usize,
    },
    /// The bytes of a proof are no whole number of hashes, or too many.
    #[error("not a proof: expected at most {MAX_PROOF} hashes of 32 bytes, got {got} bytes")]
    Bytes {
        /// Bytes given.
        got: usize,
    },
    /// The proof leads to another root.
    #[error("the proof does not lead to the {which} root: expected {expected}, got {got}")]
    Root {
        /// Which root: `tree`'s, `older` or `newer`.
        which: &'static str,
        /// The root that was given.
        expected: Hash,
        /// Where the proof leads.
        got: Hash,
    },
}

impl InclusionProof {
    /// Reads hashes of 32 bytes, one after the other.
    ///
    /// # Errors
    /// [`ProofError::Bytes`] if it is no whole number of hashes or more than [`MAX_PROOF`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofError> {
        hashes(bytes).map(Self)
    }

    /// The hashes, one after the other.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|hash| hash.0).collect()
    }
}

impl ConsistencyProof {
    /// Reads hashes of 32 bytes, one after the other.
    ///
    /// # Errors
    /// [`ProofError::Bytes`] if it is no whole number of hashes or more than [`MAX_PROOF`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofError> {
        hashes(bytes).map(Self)
    }

    /// The hashes, one after the other.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|hash| hash.0).collect()
    }
}

/// Checks that the leaf with this hash is the `index`-th, from 0, of the tree of `size` leaves with this root.
///
/// # Errors
/// [`ProofError::IndexBeyondSize`], [`ProofError::Length`], or [`ProofError::Root`].
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    let last = size.checked_sub(1).filter(|last| index <= *last);
    let last = last.ok_or(ProofError::IndexBeyondSize { index, size })?;
    let shape = Shape::of(index, last);
    let (inner, border) = shape.split(0, proof)?;
    let got = climb_border(climb_inner(*leaf, index, inner), border);
    same_root("tree", root, got)
}

/// Checks that the tree of `new` leaves begins with all leaves of the tree of `old` leaves, in their order.
///
/// Every tree extends the empty one, and itself, by an empty proof.
///
/// # Errors
/// [`ProofError::Shrunk`], [`ProofError::Length`], or [`ProofError::Root`].
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    let (Some(last_old), Some(last_new)) = (old.checked_sub(1), new.checked_sub(1)) else {
        return verify_extends_nothing(old, old_root, new, new_root, proof);
    };
    if old >= new {
        return verify_no_growth(old, old_root, new, new_root, proof);
    }
    // 1. The lowest common subtree is the last whole one of the older tree; it is the older root itself, and not
    //    repeated, where the older tree is whole.
    let level = old.trailing_zeros();
    let (seed, path) = match (old.is_power_of_two(), proof.split_first()) {
        (true, _) => (*old_root, proof),
        (false, Some((seed, path))) => (*seed, path),
        (false, None) => return Err(ProofError::Length { expected: proof_len(old, new), got: 0 }),
    };
    // 2. From there the way up is that of its last leaf.
    let shape = Shape::of(last_old, last_new);
    let (inner, border) = shape
        .split(level, path)
        .map_err(|_| ProofError::Length { expected: proof_len(old, new), got: proof.len() })?;
    let index = shr(last_old, level);
    // 3. Left siblings alone rebuild the older root; all siblings rebuild the newer.
    let got_old = climb_border(climb_left(seed, index, inner), border);
    same_root("older", old_root, got_old)?;
    let got_new = climb_border(climb_inner(seed, index, inner), border);
    same_root("newer", new_root, got_new)
}

/// Either tree is empty: only the newer may have leaves.
fn verify_extends_nothing(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old > 0 {
        return Err(ProofError::Shrunk { old, new });
    }
    expect_empty(proof)?;
    same_root("older", &empty_root(), *old_root)?;
    if new == 0 { same_root("newer", &empty_root(), *new_root) } else { Ok(()) }
}

/// The newer tree has no more leaves than the older: it must be the same.
fn verify_no_growth(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::Shrunk { old, new });
    }
    expect_empty(proof)?;
    same_root("newer", old_root, *new_root)
}

fn expect_empty(proof: &[Hash]) -> Result<(), ProofError> {
    if proof.is_empty() { Ok(()) } else { Err(ProofError::Length { expected: 0, got: proof.len() }) }
}

fn same_root(which: &'static str, expected: &Hash, got: Hash) -> Result<(), ProofError> {
    if *expected == got { Ok(()) } else { Err(ProofError::Root { which, expected: *expected, got }) }
}

/// How many siblings the path of one leaf has, in a tree with this last leaf.
pub(crate) struct Shape {
    /// Levels below the point where both paths meet.
    pub(crate) inner: u32,
    /// Left siblings above it.
    pub(crate) border: u32,
}

impl Shape {
    pub(crate) fn of(index: u64, last: u64) -> Self {
        let inner = u64::BITS.saturating_sub((index ^ last).leading_zeros());
        Self { inner, border: shr(index, inner).count_ones() }
    }

    /// Splits a path that starts at `level` into its inner part and its border.
    fn split<'a>(&self, level: u32, path: &'a [Hash]) -> Result<(&'a [Hash], &'a [Hash]), ProofError> {
        let inner = self.inner.saturating_sub(level) as usize;
        let expected = inner.saturating_add(self.border as usize);
        let wrong = ProofError::Length { expected, got: path.len() };
        if path.len() == expected { path.split_at_checked(inner).ok_or(wrong) } else { Err(wrong) }
    }
}

/// Hashes in the proof that a tree of `new` leaves extends one of `old`, 0 < old < new.
fn proof_len(old: u64, new: u64) -> usize {
    let shape = Shape::of(old.saturating_sub(1), new.saturating_sub(1));
    let path = shape.inner.saturating_sub(old.trailing_zeros()).saturating_add(shape.border);
    path.saturating_add(u32::from(!old.is_power_of_two())) as usize
}

fn climb_inner(start: Hash, index: u64, siblings: &[Hash]) -> Hash {
    let step = |hash: Hash, (level, sibling): (u32, &Hash)| {
        if is_right(index, level) { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) }
    };
    (0..).zip(siblings).fold(start, step)
}

/// As [`climb_inner`], without the siblings to the right, which an older tree did not have.
fn climb_left(start: Hash, index: u64, siblings: &[Hash]) -> Hash {
    let left = (0..).zip(siblings).filter(|(level, _)| is_right(index, *level));
    left.fold(start, |hash, (_, sibling)| node_hash(sibling, &hash))
}

fn climb_border(start: Hash, siblings: &[Hash]) -> Hash {
    siblings.iter().fold(start, |hash, sibling| node_hash(sibling, &hash))
}

/// Whether the node above leaf `index` at this level is a right child.
pub(crate) fn is_right(index: u64, level: u32) -> bool {
    shr(index, level) & 1 == 1
}

/// `value` without its lowest `bits` bits; any number of bits.
pub(crate) fn shr(value: u64, bits: u32) -> u64 {
    value.checked_shr(bits).unwrap_or(0)
}

fn hashes(bytes: &[u8]) -> Result<Vec<Hash>, ProofError> {
    let (chunks, rest) = bytes.as_chunks::<{ Hash::LEN }>();
    if !rest.is_empty() || chunks.len() > MAX_PROOF {
        return Err(ProofError::Bytes { got: bytes.len() });
    }
    Ok(chunks.iter().map(|chunk| Hash(*chunk)).collect())
}
