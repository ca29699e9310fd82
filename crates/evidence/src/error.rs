//! Why bytes are no evidence. All of it is the sender's doing.

use crate::azure::HclError;
use crate::sections::SectionError;
use crate::snp::{ReportError, TableError};
use crate::tpm::{LogError, TpmError};

/// Bytes that are no evidence of the kind they were sent as.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
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
    /// The container is malformed, or a part is missing.
    #[error(transparent)]
    Sections(#[from] SectionError),
    /// A structure of the TPM's is malformed.
    #[error(transparent)]
    Tpm(#[from] TpmError),
    /// The event log is malformed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The HCL blob is malformed.
    #[error(transparent)]
    Hcl(#[from] HclError),
}
