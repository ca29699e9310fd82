//! What `keyfast evidence show` can show: evidence, or one of the files that evidence is made of, told by its bytes.

use claims::EvidenceKind;
use evidence::azure::HclBlob;
use evidence::snp::Report;
use evidence::tpm::{Attest, EventLog, Public, Signature};
use evidence::{Evidence, EvidenceError};

use super::fields::{self, Row};
use super::{log, quote};

/// Evidence, or a part of it.
pub enum Part {
    /// Evidence of any kind.
    Evidence(Box<Evidence>),
    /// An HCL blob without a quote.
    Hcl(Box<HclBlob>),
    /// TPMS_ATTEST of a quote.
    Quote(Attest),
    /// TPMT_SIGNATURE.
    Signature(Signature),
    /// TPMT_PUBLIC, sized or not.
    Key(Public),
    /// An event log.
    Log(EventLog),
}

impl Part {
    /// Parses evidence of a kind, or, if none is given, whatever the bytes are.
    ///
    /// # Errors
    /// [`EvidenceError`] of what the bytes most look like: an SNP report if they look like nothing.
    pub fn parse(kind: Option<EvidenceKind>, bytes: &[u8]) -> Result<Self, EvidenceError> {
        if let Some(kind) = kind {
            return Evidence::parse(kind, bytes).map(|evidence| Self::Evidence(evidence.into()));
        }
        if bytes.starts_with(HclBlob::MAGIC) {
            return HclBlob::parse(bytes).map(|blob| Self::Hcl(blob.into()));
        }
        if bytes.starts_with(TPM_GENERATED) {
            return Ok(Self::Quote(Attest::parse(bytes)?));
        }
        let kind = Evidence::guess_kind(bytes);
        if kind != EvidenceKind::SevSnp || bytes.len() >= Report::LEN && !bytes.starts_with(&[0; 4]) {
            return Evidence::parse(kind, bytes).map(|evidence| Self::Evidence(evidence.into()));
        }
        if let Ok(key) = Public::parse_sized(bytes).or_else(|_| Public::parse(bytes)) {
            return Ok(Self::Key(key));
        }
        if let Ok(signature) = Signature::parse(bytes) {
            return Ok(Self::Signature(signature));
        }
        if bytes.starts_with(&[0; 4]) {
            return Ok(Self::Log(EventLog::parse(bytes)?));
        }
        Evidence::parse(kind, bytes).map(|evidence| Self::Evidence(evidence.into()))
    }

    /// What it is, for people.
    pub fn title(&self) -> String {
        match self {
            Self::Evidence(evidence) => format!("{} evidence", evidence.kind()),
            Self::Hcl(_) => "hcl blob".to_owned(),
            Self::Quote(_) => "quote".to_owned(),
            Self::Signature(_) => "signature".to_owned(),
            Self::Key(_) => "public area".to_owned(),
            Self::Log(_) => "event log".to_owned(),
        }
    }

    /// Its fields; `events` adds those of a log that came with other things.
    pub fn rows(&self, events: bool) -> Vec<Row> {
        match self {
            Self::Evidence(evidence) => {
                let report = evidence.snp().map(fields::rows).unwrap_or_default();
                report.into_iter().chain(quote::rows(evidence, events)).collect()
            }
            Self::Hcl(blob) => fields::report_rows(&blob.report)
                .into_iter()
                .chain(quote::runtime_rows(&blob.runtime))
                .collect(),
            Self::Quote(attest) => quote::attest_rows(attest),
            Self::Signature(signature) => quote::signature_rows(signature),
            Self::Key(key) => quote::key_rows(key).into(),
            Self::Log(log) => log::rows(log, true),
        }
    }
}

/// What TPMS_ATTEST starts with.
const TPM_GENERATED: &[u8] = &0xff54_4347_u32.to_be_bytes();
