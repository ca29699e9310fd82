//! SEV-SNP: the attestation report and the certificate table of an extended report.
//!
//! Bytes on the wire: the report as firmware wrote it (1184 bytes), then, optionally, the table as the host
//! supplied it (GHCB 2.0, SNP Extended Guest Request). Without a table, nothing follows the report.

mod key_info;
mod report;
mod table;

pub use key_info::{KeyInfo, ReportSigner};
pub use report::{Report, ReportError, ReportFields};
pub use table::{CertificateTable, Guid, TableError};

use crate::EvidenceError;

/// A report and what the host sent along with it.
#[derive(Debug)]
pub struct SnpEvidence {
    /// The report.
    pub report: Report,
    /// The certificates; empty where none came.
    pub certificates: CertificateTable,
}

impl SnpEvidence {
    /// Parses a report and the table after it, if anything follows.
    ///
    /// # Errors
    /// [`EvidenceError::Report`] or [`EvidenceError::Table`], whichever part is malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let (report, table) = bytes.split_at_checked(Report::LEN).unwrap_or((bytes, &[]));
        let report = Report::parse(report)?;
        let certificates = match table {
            [] => CertificateTable::default(),
            table => CertificateTable::parse(table)?,
        };
        Ok(Self { report, certificates })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GUIDS: [Guid; 6] =
        [Guid([0; 16]), Guid([1; 16]), Guid([0xff; 16]), Guid::VCEK, Guid::ASK, Guid::ARK];

    proptest! {
        #[test]
        fn whatever_follows_a_report_is_a_table_or_refused(
            heads in proptest::collection::vec((0_usize..6, 0_u32..3000, 0_u32..3000), 0..20),
            noise in proptest::collection::vec(any::<u8>(), 0..4096),
        ) {
            let mut report = vec![0; Report::LEN];
            (report[0], report[0x0a], report[0x34]) = (5, 2, 1);
            for (guid, offset, length) in heads {
                report.extend(GUIDS[guid].0);
                report.extend(offset.to_le_bytes());
                report.extend(length.to_le_bytes());
            }
            report.extend(noise);
            let parsed = SnpEvidence::parse(&report);
            prop_assert!(matches!(parsed, Ok(_) | Err(EvidenceError::Table(_))));
        }
    }
}
