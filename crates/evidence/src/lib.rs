//! Attestation evidence: hostile bytes in, typed fields out.
//!
//! Parsing checks what the format demands (lengths, versions, reserved bytes) and nothing else: an [`Evidence`]
//! has convinced nobody. `verify::authenticate` takes it from here.
//!
//! | kind | bytes | type |
//! |-|-|-|
//! | [`EvidenceKind::SevSnp`] | 1184-byte report, then optionally a certificate table | [`snp::SnpEvidence`] |
//! | [`EvidenceKind::Tpm`] | sections: attestation key, quote, event log | [`tpm::TpmEvidence`] |
//! | [`EvidenceKind::AzureVtpm`] | sections: HCL blob, certificates, quote, event log | [`azure::AzureEvidence`] |
//! | [`EvidenceKind::Svsm`] | sections: report, certificates, manifest, key, quote, log | [`svsm::SvsmEvidence`] |
//!
//! The container and its sections are specified in `SPEC.md` beside this crate.
//!
//! This crate must never panic on any input, allocate more than a small multiple of [`MAX_EVIDENCE`], check a
//! signature, or change a byte that was signed: what is verified later are the bytes that came in.

#![deny(clippy::arithmetic_side_effects)]

pub mod azure;
mod error;
mod sections;
pub mod snp;
pub mod svsm;
pub mod tpm;

use claims::EvidenceKind;

pub use error::EvidenceError;
pub use sections::{SectionError, Tag, encode_sections};

/// The most bytes that any evidence has: 64 KiB.
///
/// The largest genuine event log at hand has 50 430 bytes; report, certificates, key and quote take 8 KiB.
pub const MAX_EVIDENCE: usize = 64 * 1024;

/// Evidence of one kind, parsed and unverified.
///
/// A closed enum: what can be believed is decided here and in `verify`, never by a plug-in.
#[derive(Debug)]
#[non_exhaustive]
pub enum Evidence {
    /// An SEV-SNP attestation report with the certificates that came along.
    SevSnp(snp::SnpEvidence),
    /// A TPM's quote.
    Tpm(tpm::TpmEvidence),
    /// An Azure confidential VM's report, runtime data and quote.
    AzureVtpm(azure::AzureEvidence),
    /// A report that binds the vTPM of a secure VM service module, and that vTPM's quote.
    Svsm(svsm::SvsmEvidence),
}

impl Evidence {
    /// Parses evidence of a kind; each kind's layout is in the table above.
    ///
    /// # Errors
    /// [`EvidenceError::TooLarge`] above [`MAX_EVIDENCE`] bytes; else the error of whichever part is malformed.
    pub fn parse(kind: EvidenceKind, bytes: &[u8]) -> Result<Self, EvidenceError> {
        if bytes.len() > MAX_EVIDENCE {
            return Err(EvidenceError::TooLarge { limit: MAX_EVIDENCE, got: bytes.len() });
        }
        match kind {
            EvidenceKind::SevSnp => Ok(Self::SevSnp(snp::SnpEvidence::parse(bytes)?)),
            EvidenceKind::Tpm => Ok(Self::Tpm(tpm::TpmEvidence::parse(bytes)?)),
            EvidenceKind::AzureVtpm => Ok(Self::AzureVtpm(azure::AzureEvidence::parse(bytes)?)),
            EvidenceKind::Svsm => Ok(Self::Svsm(svsm::SvsmEvidence::parse(bytes)?)),
        }
    }

    /// Which kind bytes seem to be: a container by its sections, else an SNP report. For people who look at files; in
    /// the protocol the kind stands in the transcript.
    pub fn guess_kind(bytes: &[u8]) -> EvidenceKind {
        sections::kind_of(bytes).unwrap_or(EvidenceKind::SevSnp)
    }

    /// Which kind it is.
    pub fn kind(&self) -> EvidenceKind {
        match self {
            Self::SevSnp(_) => EvidenceKind::SevSnp,
            Self::Tpm(_) => EvidenceKind::Tpm,
            Self::AzureVtpm(_) => EvidenceKind::AzureVtpm,
            Self::Svsm(_) => EvidenceKind::Svsm,
        }
    }

    /// The TPM's quote in it, or `None` where the kind has none.
    pub fn quote(&self) -> Option<&tpm::Quote> {
        match self {
            Self::SevSnp(_) => None,
            Self::Tpm(tpm) => Some(&tpm.quote),
            Self::AzureVtpm(azure) => Some(&azure.quote),
            Self::Svsm(svsm) => Some(&svsm.quote),
        }
    }

    /// The SNP report in it with its certificates, or `None` where the kind has none.
    pub fn snp(&self) -> Option<&snp::SnpEvidence> {
        match self {
            Self::SevSnp(snp) => Some(snp),
            Self::Tpm(_) => None,
            Self::AzureVtpm(azure) => Some(&azure.snp),
            Self::Svsm(svsm) => Some(&svsm.snp),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_of_several_parts_says_which_one_is_missing() {
        for (kind, missing) in [
            (EvidenceKind::Tpm, Tag::Ak),
            (EvidenceKind::AzureVtpm, Tag::Hcl),
            (EvidenceKind::Svsm, Tag::Report),
        ] {
            let error = Evidence::parse(kind, &[]).unwrap_err();
            assert_eq!(error, EvidenceError::Sections(SectionError::Missing { kind, missing }));
        }
    }

    #[test]
    fn oversized_evidence_is_refused_before_it_is_read() {
        for kind in EvidenceKind::ALL {
            let error = Evidence::parse(kind, &vec![0; MAX_EVIDENCE + 1]).unwrap_err();
            assert_eq!(error, EvidenceError::TooLarge { limit: 65_536, got: 65_537 });
            let most = Evidence::parse(kind, &vec![0; MAX_EVIDENCE]).unwrap_err();
            assert!(!matches!(most, EvidenceError::TooLarge { .. }), "{most}");
        }
    }
}
