//! What evidence says that it answers: compared with the transcript when it is bound, and before anything is
//! authenticated, so that nobody is asked for the certificates of evidence that answers something else.

use claims::{ReportData, Sha256Digest, TranscriptHash};
use evidence::Evidence;
use evidence::svsm::SvsmEvidence;
use evidence::tpm::Quote;

use crate::BindError;

/// Where the evidence carries what it answers (`crates/evidence/SPEC.md`, section 3). `bind` compares it.
#[derive(Debug)]
pub(crate) enum Binding {
    /// REPORT_DATA is the transcript's hash.
    Report(ReportData),
    /// extraData of a quote, with SHA-256 of the report that vouches for its key, or of nothing.
    Quote { extra_data: Vec<u8>, report: Sha256Digest },
    /// extraData of a quote, and REPORT_DATA over the same hash and a service's manifest.
    Service { extra_data: Vec<u8>, report: Sha256Digest, report_data: ReportData, manifest: Vec<u8> },
}

impl Binding {
    /// What this evidence carries; `None` for a kind without.
    pub(crate) fn of(evidence: &Evidence) -> Option<Self> {
        Some(match evidence {
            Evidence::SevSnp(snp) => Self::Report(snp.report.fields().report_data),
            Evidence::Tpm(tpm) => Self::of_quote(&tpm.quote, &[]),
            Evidence::AzureVtpm(azure) => Self::of_quote(&azure.quote, azure.snp.report.as_bytes()),
            Evidence::Svsm(svsm) => Self::of_service(svsm),
            _ => return None,
        })
    }

    /// Of a quote that stands beside this report, or beside nothing.
    pub(crate) fn of_quote(quote: &Quote, report: &[u8]) -> Self {
        let extra_data = quote.attest.fields().extra_data.clone();
        Self::Quote { extra_data, report: Sha256Digest(crypto::sha256(&[report])) }
    }

    /// Of a service module's report and the quote beside it.
    pub(crate) fn of_service(svsm: &SvsmEvidence) -> Self {
        Self::Service {
            extra_data: svsm.quote.attest.fields().extra_data.clone(),
            report: Sha256Digest(crypto::sha256(&[svsm.snp.report.as_bytes()])),
            report_data: svsm.snp.report.fields().report_data,
            manifest: svsm.manifest.as_bytes().to_vec(),
        }
    }

    /// Whether the report itself answers the challenge, once [`Self::check`] has passed.
    pub(crate) fn report_is_fresh(&self) -> bool {
        match self {
            Self::Report(_) | Self::Service { .. } => true,
            Self::Quote { .. } => false,
        }
    }

    /// Compares everything that the evidence carries with the transcript's hash.
    pub(crate) fn check(&self, hash: TranscriptHash) -> Result<(), BindError> {
        match self {
            Self::Report(got) => check_report_data(hash, *got),
            Self::Quote { extra_data, report } => check_extra_data(hash, *report, extra_data),
            Self::Service { extra_data, report, report_data, manifest } => {
                check_manifest(hash, manifest, *report_data)?;
                check_extra_data(hash, *report, extra_data)
            }
        }
    }
}

fn check_report_data(expected: TranscriptHash, got: ReportData) -> Result<(), BindError> {
    if expected.0 == got.0 {
        return Ok(());
    }
    Err(BindError::ReportData { expected: Box::new(expected), got: Box::new(got) })
}

fn check_manifest(hash: TranscriptHash, manifest: &[u8], got: ReportData) -> Result<(), BindError> {
    let expected = ReportData(crypto::sha512(&[&hash.0, manifest]));
    if expected == got {
        return Ok(());
    }
    Err(BindError::Manifest { expected: Box::new(expected), got: Box::new(got) })
}

/// Exactly the digest: nothing shorter, longer or padded.
fn check_extra_data(hash: TranscriptHash, report: Sha256Digest, got: &[u8]) -> Result<(), BindError> {
    let expected = Sha256Digest(crypto::sha256(&[&hash.0, &report.0]));
    if expected.0 == got {
        return Ok(());
    }
    Err(BindError::ExtraData { expected, got: got.to_vec() })
}
