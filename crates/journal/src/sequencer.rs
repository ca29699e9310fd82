//! [`LogSequencer`]: extends the tree over what became durable, and signs it once for all who wait.

use std::sync::Arc;

use claims::leaf::Entry;
use store::{Reader, SequenceError, Sequencer, StorageError, StoredLeaf};
use tlog::note::{NoteError, Signer};
use tlog::{Checkpoint, Frontier, Hash, InclusionProof, leaf_hash};

use crate::leaf::check_leaf;
use crate::{JournalledKeys, LeafFault};

/// The tree's right edge and the journal key.
pub struct LogSequencer {
    frontier: Frontier,
    signer: Signer,
}

/// Entries that became durable together, proven in one signed tree. Made by [`LogSequencer`] alone.
#[derive(Debug)]
pub struct SignedGroup {
    first_index: u64,
    size: u64,
    root: Hash,
    proofs: Vec<InclusionProof>,
    checkpoint: Arc<[u8]>,
}

/// Why the tree could not be extended.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SequencerError {
    /// Somebody else wrote to the journal.
    #[error("the journal has leaves that this broker did not write: expected place {expected}, got {got}")]
    Gap {
        /// Leaves in the tree.
        expected: u64,
        /// The place that the store gave.
        got: u64,
    },
    /// The checkpoint could not be signed.
    #[error(transparent)]
    Note(#[from] NoteError),
}

/// Why a journal is not taken up again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// The store cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A leaf is gone.
    #[error("leaf {index} is missing: the next one there is {got}")]
    Missing {
        /// The place without a leaf.
        index: u64,
        /// The place of the next leaf.
        got: u64,
    },
    /// A leaf is not what it was when it was written.
    #[error("leaf {index} is altered: {source}")]
    Leaf {
        /// Its place.
        index: u64,
        /// What is wrong with it.
        source: LeafFault,
    },
    /// The store is older than a checkpoint that was signed.
    #[error("the journal was put back: a checkpoint of {known} leaves was signed, there are {found}")]
    PutBack {
        /// Leaves under the checkpoint.
        known: u64,
        /// Leaves there are.
        found: u64,
    },
    /// The store's leaves are not those under a checkpoint that was signed.
    #[error("the first {size} leaves are not those signed before: expected root {expected}, got {got}")]
    Forked {
        /// Leaves under the checkpoint.
        size: u64,
        /// The root signed.
        expected: Hash,
        /// The root of the leaves there are.
        got: Hash,
    },
}

impl LogSequencer {
    /// Takes up the journal that the store holds, leaf by leaf: each in its place, each as its record says, and
    /// all of them extending `known`, the last checkpoint that this broker is known to have signed.
    ///
    /// The log's origin is the signer's name.
    ///
    /// # Errors
    /// [`RebuildError`] for the first leaf that is not as it was.
    pub fn rebuild(
        reader: &Reader,
        signer: Signer,
        known: Option<&Checkpoint>,
    ) -> Result<(Self, JournalledKeys), RebuildError> {
        let (mut frontier, mut keys) = (Frontier::new(), JournalledKeys::default());
        check_known(&frontier, known)?;
        loop {
            let page = reader.leaves(frontier.size(), PAGE)?;
            for StoredLeaf { index, leaf } in &page {
                let expected = frontier.size();
                if *index != expected {
                    return Err(RebuildError::Missing { index: expected, got: *index });
                }
                let record =
                    check_leaf(leaf).map_err(|source| RebuildError::Leaf { index: *index, source })?;
                keys.observe(&record);
                frontier.push(leaf_hash(&leaf.entry));
                check_known(&frontier, known)?;
            }
            if page.len() < PAGE {
                break;
            }
        }
        match known.filter(|known| known.size > frontier.size()) {
            Some(known) => Err(RebuildError::PutBack { known: known.size, found: frontier.size() }),
            None => Ok((Self { frontier, signer }, keys)),
        }
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The tree as it is now, signed.
    ///
    /// # Errors
    /// [`NoteError`] never, with a valid signer's name.
    pub fn checkpoint(&self) -> Result<Vec<u8>, NoteError> {
        let origin = self.signer.verifier().name().clone();
        Checkpoint { origin, size: self.frontier.size(), root: self.frontier.root() }.sign(&self.signer)
    }
}

impl Sequencer for LogSequencer {
    type Group = SignedGroup;

    fn sequence(&mut self, first_index: u64, entries: &[Entry]) -> Result<SignedGroup, SequenceError> {
        let expected = self.frontier.size();
        if first_index != expected {
            return Err(SequencerError::Gap { expected, got: first_index }.into());
        }
        let leaves: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let proofs = self.frontier.append(&leaves);
        let checkpoint = self.checkpoint().map_err(SequencerError::from)?.into();
        Ok(SignedGroup { first_index, size: self.size(), root: self.frontier.root(), proofs, checkpoint })
    }
}

impl SignedGroup {
    /// The signed checkpoint of the tree with all of the group in it.
    pub fn checkpoint(&self) -> &Arc<[u8]> {
        &self.checkpoint
    }

    /// Leaves in that tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn root(&self) -> &Hash {
        &self.root
    }

    /// The proof that the leaf in this place is in that tree, if it is one of the group.
    pub(crate) fn proof(&self, index: u64) -> Option<&InclusionProof> {
        let at = index.checked_sub(self.first_index)?;
        self.proofs.get(usize::try_from(at).ok()?)
    }
}

fn check_known(frontier: &Frontier, known: Option<&Checkpoint>) -> Result<(), RebuildError> {
    match known.filter(|known| known.size == frontier.size()) {
        Some(Checkpoint { size, root, .. }) if frontier.root() != *root => {
            Err(RebuildError::Forked { size: *size, expected: *root, got: frontier.root() })
        }
        _ => Ok(()),
    }
}

/// Leaves that are read at once.
const PAGE: usize = 1024;
