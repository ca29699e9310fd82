//! What `keyfast evidence show` can show: evidence, or one of the files that evidence is made of, told by its bytes.

use claims::EvidenceKind;
use evidence::azure::HclBlob;
use evidence::tpm::{Attest, EventLog, Public, Signature, TpmError};
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

/// Which of these bytes seem to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Evidence of a kind, whole or damaged.
    Evidence(EvidenceKind),
    /// An HCL blob.
    Hcl,
    /// TPMS_ATTEST of a quote.
    Quote,
    /// TPMT_SIGNATURE.
    Signature,
    /// TPMT_PUBLIC, sized or not.
    Key,
    /// An event log.
    Log,
}

impl Format {
    /// Every format, for people whose file is none of them.
    pub const KNOWN: &str = "evidence (sev-snp, tpm, azure-vtpm, svsm), an hcl blob, a quote (TPMS_ATTEST), a \
        signature (TPMT_SIGNATURE), a key (TPM2B_PUBLIC) and an event log";

    /// What the bytes say that they are, by their magic, their length, or what stands at fixed places; `None` if they say
    /// nothing.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(HclBlob::MAGIC) {
            return Some(Self::Hcl);
        }
        if bytes.starts_with(TPM_GENERATED) {
            return Some(Self::Quote);
        }
        if public(bytes).is_ok() {
            return Some(Self::Key);
        }
        if Signature::parse(bytes).is_ok() {
            return Some(Self::Signature);
        }
        if log::begins(bytes) {
            return Some(Self::Log);
        }
        Evidence::recognise(bytes).map(Self::Evidence)
    }

    /// What it is called, with its article.
    pub fn title(self) -> String {
        match self {
            Self::Evidence(kind) => format!("{kind} evidence"),
            Self::Hcl => "an hcl blob".to_owned(),
            Self::Quote => "a quote".to_owned(),
            Self::Signature => "a signature".to_owned(),
            Self::Key => "a key".to_owned(),
            Self::Log => "an event log".to_owned(),
        }
    }
}

fn public(bytes: &[u8]) -> Result<Public, TpmError> {
    Public::parse_sized(bytes).or_else(|_| Public::parse(bytes))
}

impl Part {
    /// Parses bytes of a format.
    ///
    /// # Errors
    /// [`EvidenceError`] where they are damaged.
    pub fn parse(format: Format, bytes: &[u8]) -> Result<Self, EvidenceError> {
        Ok(match format {
            Format::Evidence(kind) => Self::Evidence(Evidence::parse(kind, bytes)?.into()),
            Format::Hcl => Self::Hcl(HclBlob::parse(bytes)?.into()),
            Format::Quote => Self::Quote(Attest::parse(bytes)?),
            Format::Signature => Self::Signature(Signature::parse(bytes)?),
            Format::Key => Self::Key(public(bytes)?),
            Format::Log => Self::Log(EventLog::parse(bytes)?),
        })
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
