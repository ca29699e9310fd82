//! Why bytes are no evidence. All of it is the sender's doing.

use claims::EvidenceKind;

use crate::snp::{ReportError, TableError};

/// Bytes that are no evidence of the kind they were sent as.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// Nothing here reads this kind yet.
    #[error("evidence of kind {kind} is not supported yet; use sev-snp")]
    Unsupported {
        /// The kind that was named.
        kind: EvidenceKind,
    },
    /// More bytes than any evidence has.
    #[error("evidence too large: expected at most {limit} bytes, got {got}")]
    TooLarge {
        /// Most bytes allowed.
        limit: usize,
        /// Bytes given.
        got: usize,
    },
    /// The SNP report is malformed.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The certificate table after the SNP report is malformed.
    #[error(transparent)]
    Table(#[from] TableError),
}
