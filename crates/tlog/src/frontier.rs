//! [`Frontier`]: a tree that only grows, in as many hashes as its size has bits.

use core::convert::Infallible;

use crate::proof::{is_right, shr};
use crate::{Hash, InclusionProof, NodeSource, empty_root, node_hash, prove_inclusion};

/// The roots of the whole subtrees that a tree consists of, the highest being the leftmost.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// By level; INVARIANT: there is a root at a level if and only if that bit of `size` is set.
    peaks: Vec<Option<Hash>>,
}

impl Frontier {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root.
    pub fn root(&self) -> Hash {
        let peaks = self.peaks.iter().flatten().copied();
        peaks.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
    }

    /// Appends one leaf, for rebuilding a tree from its leaf hashes as they come.
    pub fn push(&mut self, leaf: Hash) {
        let mut carry = leaf;
        for peak in &mut self.peaks {
            match peak.take() {
                Some(left) => carry = node_hash(&left, &carry),
                None => {
                    *peak = Some(carry);
                    self.size = self.size.saturating_add(1);
                    return;
                }
            }
        }
        self.peaks.push(Some(carry));
        self.size = self.size.saturating_add(1);
    }

    /// Appends leaves, and gives for each the proof that it is in the tree after all of them.
    ///
    /// Takes memory for the new leaves and their ancestors only.
    pub fn append(&mut self, leaves: &[Hash]) -> Vec<InclusionProof> {
        let first = self.size;
        let mut grown = Grown::from(&*self, leaves);
        leaves.iter().for_each(|leaf| self.push(*leaf));
        let indices = (first..self.size).map(|index| prove_inclusion(&mut grown, index, self.size));
        // A proof is `None` only beyond the size; an empty one does not verify.
        indices.map(|Ok(proof)| proof.unwrap_or_default()).collect()
    }
}

/// The whole subtrees at the right edge of a tree after it has grown: all that contain a new leaf, and the old
/// ones beside them.
struct Grown(Vec<Row>);

/// Nodes of one level: the first one's index, which is even, and the hashes from there on.
struct Row {
    first: u64,
    hashes: Vec<Hash>,
}

impl Grown {
    fn from(old: &Frontier, leaves: &[Hash]) -> Self {
        let mut rows = Vec::new();
        let mut new = leaves.to_vec();
        for level in 0..u64::BITS {
            let peak = old.peaks.get(level as usize).copied().flatten();
            if new.is_empty() && shr(old.size, level) == 0 {
                break;
            }
            let begin = shr(old.size, level);
            let first = begin.saturating_sub(u64::from(is_right(old.size, level)));
            let hashes: Vec<Hash> = peak.into_iter().chain(new).collect();
            let (pairs, _) = hashes.as_chunks::<2>();
            new = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
            rows.push(Row { first, hashes });
        }
        Self(rows)
    }
}

impl NodeSource for Grown {
    type Error = Infallible;

    fn node(&mut self, level: u32, index: u64) -> Result<Hash, Infallible> {
        let find = |row: &Row| {
            let at = usize::try_from(index.checked_sub(row.first)?).ok()?;
            row.hashes.get(at).copied()
        };
        // INVARIANT: siblings of a new leaf's ancestors are in the rows. A hash that leads nowhere stands in for
        // one that is not, so that a mistake here makes a proof that does not verify.
        Ok(self.0.get(level as usize).and_then(find).unwrap_or(Hash([0; Hash::LEN])))
    }
}
