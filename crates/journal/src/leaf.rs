//! Checking one leaf: that its public entry is the one of its record.

use claims::Sha256Digest;
use claims::leaf::{ENTRY_LEN, ENTRY_VERSION, Entry, LeafKind};
use store::LeafRow;

use crate::{Record, RecordError};

/// What is wrong with a leaf.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeafFault {
    /// The entry has another length.
    #[error("wrong length of the entry: expected {ENTRY_LEN} bytes, got {got}")]
    Length {
        /// Bytes found.
        got: usize,
    },
    /// The entry is of another version of the format.
    #[error("wrong version of the entry: expected {ENTRY_VERSION}, got {got}")]
    Version {
        /// Version found.
        got: u8,
    },
    /// The entry is of an unknown kind, or another one than its record.
    #[error("wrong kind of entry: expected {}, got code {got}", expected.map_or("a known one", LeafKind::name))]
    Kind {
        /// The record's kind, where there is a record.
        expected: Option<LeafKind>,
        /// Code found.
        got: u8,
    },
    /// The entry is not the one of this record under this salt.
    #[error("the record is not the one committed to: expected {expected}, got {got}")]
    Commitment {
        /// What the entry commits to.
        expected: Sha256Digest,
        /// What salt and record give.
        got: Sha256Digest,
    },
    /// The record is malformed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The explanation beside a denial or a trial is not the one recorded.
    #[error("the explanation is not the one recorded: expected {expected}, got {got}")]
    Explanation {
        /// What the record says.
        expected: Sha256Digest,
        /// The hash of the explanation; of nothing if there is none.
        got: Sha256Digest,
    },
}

/// Checks an entry by itself: length, version, a known kind.
pub(crate) fn check_entry(entry: &[u8]) -> Result<(LeafKind, Sha256Digest), LeafFault> {
    let entry: &Entry = entry.try_into().map_err(|_| LeafFault::Length { got: entry.len() })?;
    let [version, code, commitment @ ..] = *entry;
    if version != ENTRY_VERSION {
        return Err(LeafFault::Version { got: version });
    }
    let kind = LeafKind::from_code(code).ok_or(LeafFault::Kind { expected: None, got: code })?;
    Ok((kind, Sha256Digest(commitment)))
}

/// Checks a leaf as the store holds it: 1. the entry, 2. its kind, 3. the commitment, 4. the record, 5. of a denial
/// or a trial the explanation.
pub(crate) fn check_leaf(leaf: &LeafRow) -> Result<Record, LeafFault> {
    // 1. and 2.
    let (kind, expected) = check_entry(&leaf.entry)?;
    if kind != leaf.kind {
        return Err(LeafFault::Kind { expected: Some(leaf.kind), got: kind.code() });
    }
    // 3.
    let got = tlog::commitment(kind, &leaf.salt, &leaf.record);
    if got != expected {
        return Err(LeafFault::Commitment { expected, got });
    }
    // 4.
    let record = Record::decode(kind, &leaf.record)?;
    // 5.
    let reasons = match &record {
        Record::Event(event) => event.reasons(),
        Record::Release(_) => None,
    };
    if let Some(expected) = reasons {
        let got = tlog::digest(leaf.explanation.as_deref().unwrap_or_default().as_bytes());
        if got != expected {
            return Err(LeafFault::Explanation { expected, got });
        }
    }
    Ok(record)
}
