//! Attestation evidence: hostile bytes in, typed fields out.
//!
//! Parsing checks what the format demands (lengths, versions, reserved bytes) and nothing else: an [`Evidence`]
//! has convinced nobody. `verify::authenticate` takes it from here.
//!
//! | kind | bytes | type |
//! |-|-|-|
//! | [`EvidenceKind::SevSnp`] | 1184-byte report, then optionally a certificate table | [`snp::SnpEvidence`] |
//! | others | | [`EvidenceError::Unsupported`] until their verifier exists; each becomes a variant of [`Evidence`] |
//!
//! This crate must never panic on any input, allocate more than a small multiple of [`MAX_EVIDENCE`], check a
//! signature, or change a byte that was signed: what is verified later are the bytes that came in.

#![deny(clippy::arithmetic_side_effects)]

mod error;
pub mod snp;

use claims::EvidenceKind;

pub use error::EvidenceError;

/// The most bytes that any evidence has: 64 KiB.
pub const MAX_EVIDENCE: usize = 64 * 1024;

/// Evidence of one kind, parsed and unverified.
///
/// A closed enum: what can be believed is decided here and in `verify`, never by a plug-in.
#[derive(Debug)]
#[non_exhaustive]
pub enum Evidence {
    /// An SEV-SNP attestation report with the certificates that came along.
    SevSnp(snp::SnpEvidence),
}

impl Evidence {
    /// Parses evidence of a kind; each kind's layout is in the table above.
    ///
    /// # Errors
    /// [`EvidenceError::TooLarge`] above [`MAX_EVIDENCE`] bytes; [`EvidenceError::Unsupported`] for kinds without a
    /// verifier; [`EvidenceError::Report`] and [`EvidenceError::Table`] for malformed SNP evidence.
    pub fn parse(kind: EvidenceKind, bytes: &[u8]) -> Result<Self, EvidenceError> {
        if bytes.len() > MAX_EVIDENCE {
            return Err(EvidenceError::TooLarge { limit: MAX_EVIDENCE, got: bytes.len() });
        }
        match kind {
            EvidenceKind::SevSnp => Ok(Self::SevSnp(snp::SnpEvidence::parse(bytes)?)),
            kind => Err(EvidenceError::Unsupported { kind }),
        }
    }

    /// Which kind it is.
    pub fn kind(&self) -> EvidenceKind {
        match self {
            Self::SevSnp(_) => EvidenceKind::SevSnp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_without_a_verifier_are_refused_by_name() {
        for kind in [EvidenceKind::Tpm, EvidenceKind::AzureVtpm, EvidenceKind::Svsm] {
            let error = Evidence::parse(kind, &[]).unwrap_err();
            assert_eq!(error, EvidenceError::Unsupported { kind });
        }
    }

    #[test]
    fn oversized_evidence_is_refused_before_it_is_read() {
        let error = Evidence::parse(EvidenceKind::SevSnp, &vec![0; MAX_EVIDENCE + 1]).unwrap_err();
        assert_eq!(error, EvidenceError::TooLarge { limit: MAX_EVIDENCE, got: MAX_EVIDENCE + 1 });
    }
}
