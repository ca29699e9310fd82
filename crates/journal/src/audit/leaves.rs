//! Entries, with or without their records, against a checkpoint.

use claims::leaf::Salt;
use tlog::{Checkpoint, Frontier, Hash, leaf_hash};

use crate::leaf::check_entry;
use crate::{LeafFault, Record};

/// One leaf under audit.
#[derive(Clone, Copy, Debug)]
pub struct AuditedLeaf<'a> {
    /// The public entry.
    pub entry: &'a [u8],
    /// Salt and record, if the auditor has them.
    pub record: Option<(&'a Salt, &'a [u8])>,
}

/// The first thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// A leaf is not well-formed, or not the one of its record.
    #[error("leaf {index} is wrong: {source}")]
    Leaf {
        /// Its place.
        index: u64,
        /// What is wrong with it.
        source: LeafFault,
    },
    /// There are more or fewer leaves than the checkpoint says.
    #[error("wrong number of leaves: expected {expected}, got {got}")]
    Size {
        /// Leaves under the checkpoint.
        expected: u64,
        /// Leaves found; one more than expected stands for any number.
        got: u64,
    },
    /// The leaves are not those that were signed.
    #[error("the leaves do not lead to the signed root: expected {expected}, got {got}")]
    Root {
        /// The root signed.
        expected: Hash,
        /// The root of the leaves.
        got: Hash,
    },
}

/// Checks all leaves of a journal, in order, against a verified checkpoint.
///
/// # Errors
/// [`AuditError`] for the first thing that is wrong. Entries alone do not say which of them was replaced by another
/// well-formed one: their records, or the published tiles, do.
pub fn verify_leaves<'a>(
    leaves: impl IntoIterator<Item = AuditedLeaf<'a>>,
    checkpoint: &Checkpoint,
) -> Result<(), AuditError> {
    let mut frontier = Frontier::new();
    for leaf in leaves {
        let index = frontier.size();
        if index == checkpoint.size {
            return Err(AuditError::Size { expected: index, got: index.saturating_add(1) });
        }
        check(&leaf).map_err(|source| AuditError::Leaf { index, source })?;
        frontier.push(leaf_hash(leaf.entry));
    }
    let (expected, got) = (checkpoint.size, frontier.size());
    if expected != got {
        return Err(AuditError::Size { expected, got });
    }
    let (expected, got) = (checkpoint.root, frontier.root());
    if expected == got { Ok(()) } else { Err(AuditError::Root { expected, got }) }
}

fn check(leaf: &AuditedLeaf<'_>) -> Result<(), LeafFault> {
    let (kind, expected) = check_entry(leaf.entry)?;
    let Some((salt, record)) = leaf.record else { return Ok(()) };
    let got = tlog::commitment(kind, salt, record);
    if got != expected {
        return Err(LeafFault::Commitment { expected, got });
    }
    Record::decode(kind, record)?;
    Ok(())
}
