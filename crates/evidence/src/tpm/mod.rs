//! TPM 2.0: quote, signature, public areas, PCR values, event log.
//!
//! Sections of the container (`SPEC.md`): the attestation key's TPM2B_PUBLIC, TPMS_ATTEST, TPMT_SIGNATURE, PCR values,
//! and optionally the event log. Other kinds of evidence hold the same [`Quote`] and have the key from elsewhere.

mod attest;
mod error;
pub mod log;
mod pcrs;
mod public;
mod reader;
mod signature;
mod signature_list;
mod variable;

pub use attest::{Attest, PcrSelection, QuoteFields};
pub use error::TpmError;
pub use log::{Event, EventLog, LogError};
pub use pcrs::{PcrValue, PcrValues};
pub use public::{Attributes, Curve, KeyFields, Public, PublicFields, Symmetric};
pub use signature::{Signature, SignatureScheme, SignatureValue};
pub use signature_list::SignatureEntry;
pub use variable::{UefiVariable, utf16};

use claims::EvidenceKind;

use crate::EvidenceError;
use crate::sections::{Sections, Tag};

/// A quote with the key that it says to be signed by.
#[derive(Debug)]
pub struct TpmEvidence {
    /// The attestation key.
    pub ak: Public,
    /// The quote.
    pub quote: Quote,
}

/// A quote and what belongs to it, wherever its key comes from.
#[derive(Debug)]
pub struct Quote {
    /// What was signed.
    pub attest: Attest,
    /// The signature.
    pub signature: Signature,
    /// The values that the quote's digest is of.
    pub pcrs: PcrValues,
    /// The log that explains them, where one came.
    pub log: Option<EventLog>,
}

impl TpmEvidence {
    /// Parses the sections of a bare TPM's evidence.
    ///
    /// # Errors
    /// [`EvidenceError`], whichever part is missing or malformed.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let sections = Sections::parse(EvidenceKind::Tpm, bytes)?;
        let ak = Public::parse_sized(sections.required(Tag::Ak)?)?;
        Ok(Self { ak, quote: Quote::parse(&sections)? })
    }
}

impl Quote {
    pub(crate) fn parse(sections: &Sections<'_>) -> Result<Self, EvidenceError> {
        let log = sections.optional(Tag::EventLog).map(EventLog::parse).transpose()?;
        Self::parse_with(sections, log)
    }

    /// All but the log, which was read before.
    pub(crate) fn parse_with(sections: &Sections<'_>, log: Option<EventLog>) -> Result<Self, EvidenceError> {
        Ok(Self {
            attest: Attest::parse(sections.required(Tag::Quote)?)?,
            signature: Signature::parse(sections.required(Tag::Signature)?)?,
            pcrs: PcrValues::parse(sections.required(Tag::Pcrs)?)?,
            log,
        })
    }
}
