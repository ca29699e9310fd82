//! Azure confidential VMs: the blob that the paravisor (HCL) keeps in the vTPM, and a quote of that vTPM.
//!
//! The blob (NV index 0x01400001; openvmm, `openhcl/openhcl_attestation_protocol`), little-endian: 32 bytes of header,
//! the hardware's report in 1184, 20 bytes about the runtime data, the runtime data, zeros. Header and the 20 bytes are
//! signed by nobody: only what is needed to find the rest is read, and the header's version is not looked at.

mod json;
mod runtime;

pub use runtime::{RsaJwk, RuntimeData, RuntimeError};

use claims::EvidenceKind;

use crate::EvidenceError;
use crate::sections::{Sections, Tag};
use crate::snp::{CertificateTable, Report, SnpEvidence};
use crate::tpm::Quote;

/// An Azure guest's evidence. There is no key beside the one in the runtime data.
#[derive(Debug)]
pub struct AzureEvidence {
    /// The report in the blob, with the certificates that the agent fetched.
    pub snp: SnpEvidence,
    /// The runtime data in the blob.
    pub runtime: RuntimeData,
    /// The vTPM's quote.
    pub quote: Quote,
}

/// The blob by itself, without a quote.
#[derive(Debug)]
pub struct HclBlob {
    /// The report.
    pub report: Report,
    /// The runtime data.
    pub runtime: RuntimeData,
}

/// Bytes that are no HCL blob with an SNP report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HclError {
    /// The blob ends too early.
    #[error("the hcl blob ends too early: expected {needed} bytes of {field}, got {got}")]
    Truncated {
        /// Which part.
        field: &'static str,
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that are left.
        got: usize,
    },
    /// Not the signature of a blob.
    #[error("not an hcl blob: expected it to start with `HCLA`")]
    Signature,
    /// A report of another technology.
    #[error("report type of the hcl blob not supported: expected 2 (SEV-SNP), got {got}")]
    ReportType {
        /// The code found.
        got: u32,
    },
    /// Another hash of the runtime data.
    #[error("hash type of the hcl blob not supported: expected 1 (SHA-256), got {got}")]
    HashType {
        /// The code found.
        got: u32,
    },
    /// Something follows the runtime data.
    #[error("the hcl blob goes on behind its runtime data: expected zeros")]
    Trailing,
    /// The runtime data are malformed.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

impl AzureEvidence {
    /// Parses the sections of an Azure guest's evidence.
    ///
    /// # Errors
    /// [`EvidenceError`], whichever part is missing or malformed.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let sections = Sections::parse(EvidenceKind::AzureVtpm, bytes)?;
        let HclBlob { report, runtime } = HclBlob::parse(sections.required(Tag::Hcl)?)?;
        let table = sections.optional(Tag::Certificates);
        let certificates = table.map(CertificateTable::parse).transpose()?.unwrap_or_default();
        let snp = SnpEvidence { report, certificates };
        Ok(Self { snp, runtime, quote: Quote::parse(&sections)? })
    }
}

impl HclBlob {
    /// What every blob starts with.
    pub const MAGIC: &[u8] = b"HCLA";

    /// Parses exactly these bytes.
    ///
    /// # Errors
    /// [`EvidenceError`]: the blob's own, its report's, or its runtime data's.
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let (report, runtime) = split_hcl(bytes)?;
        let report = Report::parse(report)?;
        Ok(Self { report, runtime: RuntimeData::parse(runtime).map_err(HclError::Runtime)? })
    }
}

/// The report's bytes and the runtime data's.
pub(crate) fn split_hcl(blob: &[u8]) -> Result<(&[u8], &[u8]), HclError> {
    let (header, rest) = split(blob, "the header", HEADER_LEN)?;
    if !header.starts_with(HclBlob::MAGIC) {
        return Err(HclError::Signature);
    }
    let (report, rest) = split(rest, "the report", REPORT_LEN)?;
    let (about, rest) = split(rest, "the description of the runtime data", ABOUT_LEN)?;
    let word = |at: usize| about.as_chunks::<4>().0.get(at).map_or(0, |word| u32::from_le_bytes(*word));
    match word(2) {
        REPORT_TYPE_SNP => (),
        got => return Err(HclError::ReportType { got }),
    }
    match word(3) {
        HASH_TYPE_SHA256 => (),
        got => return Err(HclError::HashType { got }),
    }
    let (runtime, rest) = split(rest, "the runtime data", word(4).into())?;
    if rest.iter().any(|byte| *byte != 0) {
        return Err(HclError::Trailing);
    }
    Ok((report, runtime))
}

fn split<'a>(bytes: &'a [u8], field: &'static str, needed: u64) -> Result<(&'a [u8], &'a [u8]), HclError> {
    let short = HclError::Truncated { field, needed, got: bytes.len() };
    usize::try_from(needed).ok().and_then(|len| bytes.split_at_checked(len)).ok_or(short)
}

const HEADER_LEN: u64 = 32;
const REPORT_LEN: u64 = 1184;
const ABOUT_LEN: u64 = 20;
const REPORT_TYPE_SNP: u32 = 2;
const HASH_TYPE_SHA256: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// A blob over these words and runtime data.
    fn blob(words: [u32; 5], runtime: &[u8]) -> Vec<u8> {
        let mut header = [0; 32];
        header[..4].copy_from_slice(b"HCLA");
        header[4] = 77;
        let about: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        [&header[..], &[9; 1184], &about, runtime, &[0; 50]].concat()
    }

    #[test]
    fn the_headers_version_is_not_looked_at_and_the_parts_are_found() {
        let blob = blob([24, 9, 2, 1, 4], b"{..}");
        assert_eq!(split_hcl(&blob), Ok((&[9; 1184][..], &b"{..}"[..])));
    }

    #[test]
    fn other_types_and_lengths_are_refused() {
        let refusal = |words, runtime| split_hcl(&blob(words, runtime)).unwrap_err();
        assert_eq!(refusal([24, 1, 4, 1, 4], b"{..}"), HclError::ReportType { got: 4 });
        for got in [0, 2, 3, u32::MAX] {
            assert_eq!(refusal([24, 1, 2, got, 4], b"{..}"), HclError::HashType { got });
        }
        let (field, needed) = ("the runtime data", u32::MAX.into());
        let error = HclError::Truncated { field, needed, got: 54 };
        assert_eq!(refusal([24, 1, 2, 1, u32::MAX], b"{..}"), error);
        assert_eq!(refusal([24, 1, 2, 1, 3], b"{..}"), HclError::Trailing);
        let whole = blob([24, 1, 2, 1, 4], b"{..}");
        for len in 0..32 + 1184 + 20 + 4 {
            assert!(matches!(split_hcl(&whole[..len]), Err(HclError::Truncated { .. })), "{len}");
        }
        let mut other = whole;
        other[0] = b'X';
        assert_eq!(split_hcl(&other), Err(HclError::Signature));
    }
}
