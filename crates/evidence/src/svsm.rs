//! A vTPM in a secure VM service module (COCONUT-SVSM): the SNP report of its single-service attestation, the service's
//! manifest, and the vTPM's quote.
//!
//! The report is asked for at VMPL 0 and carries SHA-512(nonce ‖ manifest); the manifest of the vTPM service
//! (c476f1eb-0123-45a5-9641-b4e7dde5bfe3), version 0, is the endorsement key's TPMT_PUBLIC.

use claims::EvidenceKind;

use crate::EvidenceError;
use crate::sections::{Sections, Tag};
use crate::snp::{CertificateTable, Report, SnpEvidence};
use crate::tpm::{Public, Quote};

/// Evidence of a vTPM in a service module.
#[derive(Debug)]
pub struct SvsmEvidence {
    /// The report, with the certificates that came along.
    pub snp: SnpEvidence,
    /// The manifest: the endorsement key.
    pub manifest: Public,
    /// The attestation key.
    pub ak: Public,
    /// The vTPM's quote.
    pub quote: Quote,
}

impl SvsmEvidence {
    /// Parses the sections of a service module's evidence.
    ///
    /// # Errors
    /// [`EvidenceError`], whichever part is missing or malformed.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let sections = Sections::parse(EvidenceKind::Svsm, bytes)?;
        let report = Report::parse(sections.required(Tag::Report)?)?;
        let table = sections.optional(Tag::Certificates);
        let certificates = table.map(CertificateTable::parse).transpose()?.unwrap_or_default();
        Ok(Self {
            snp: SnpEvidence { report, certificates },
            manifest: Public::parse(sections.required(Tag::Manifest)?)?,
            ak: Public::parse_sized(sections.required(Tag::Ak)?)?,
            quote: Quote::parse(&sections)?,
        })
    }
}
