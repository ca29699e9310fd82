//! Why a quote was not believed. The wording is for operators; guests learn less.

use claims::tpm::{Digest, HashAlgorithm, ObjectName};
use claims::{EvidenceKind, Sha256Digest, UnixTime};

use super::boot::BootError;
use crate::Check;

/// A quote that is well-formed and proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TpmVerifyError {
    /// The key is bound to no scheme, or to one that is not on the list.
    #[error(
        "scheme of the attestation key not supported: expected rsassa or rsapss with sha256, sha384 or sha512, \
         ecdsa p-256 with sha256, or ecdsa p-384 with sha384, got {got}"
    )]
    AkScheme {
        /// What the key is bound to.
        got: String,
    },
    /// The key is none of its kind.
    #[error("unsuitable attestation key: expected {expected}")]
    AkKey {
        /// What it should be.
        expected: &'static str,
    },
    /// The key is named by a hash that proves nothing.
    #[error(
        "name algorithm of the attestation key not supported: expected sha256, sha384 or sha512, got {got}"
    )]
    AkName {
        /// nameAlg.
        got: HashAlgorithm,
    },
    /// An attribute that a key for quotes must have, or must not.
    #[error("the attestation key is {}`{attribute}`: expected it {}to be", if *.expected { "not " } else { "" }, if *.expected { "" } else { "not " })]
    AkAttribute {
        /// Which attribute.
        attribute: &'static str,
        /// Whether it must be set.
        expected: bool,
    },
    /// Nobody but the guest names the key.
    #[error("nothing vouches for the attestation key {name}: expected an enrolled one; enrol it first")]
    AkUnknown {
        /// The key's Name.
        name: ObjectName,
    },
    /// The key's TPM has shown that it holds it, and nobody knows what TPM that is.
    #[error(
        "nothing vouches for the tpm of the attestation key {name}: expected an endorsement certificate under a root \
         of the operator's, or an snp report that names its endorsement key"
    )]
    AkUnvouched {
        /// The key's Name.
        name: ObjectName,
    },
    /// The key's enrolment has ended.
    #[error("the attestation key {name} is enrolled no longer: expected a time up to {not_after}, got {now}")]
    AkExpired {
        /// The key's Name.
        name: ObjectName,
        /// The last second at which it is believed.
        not_after: UnixTime,
        /// The time asked about.
        now: UnixTime,
    },
    /// The key was activated with another endorsement key than the report binds.
    #[error(
        "the attestation key belongs to another endorsement key: expected {expected} as the report binds, got {got}"
    )]
    EkName {
        /// Name of the report's endorsement key.
        expected: ObjectName,
        /// Name of the one that the key was enrolled with; `none` if it was enrolled without.
        got: String,
    },
    /// The signature names another scheme than the key's.
    #[error("the signature is not of the attestation key's scheme: expected {expected}, got {got}")]
    Scheme {
        /// The key's scheme and hash.
        expected: String,
        /// The signature's.
        got: String,
    },
    /// The signature is none of these bytes by this key.
    #[error(
        "the quote's signature does not verify under the attestation key: it was altered, or another key signed it"
    )]
    Signature,
    /// Another key, or one of another hierarchy, signed.
    #[error("wrong qualified signer of the quote: expected {expected}, got {got}")]
    QualifiedSigner {
        /// The key's qualified Name.
        expected: ObjectName,
        /// The quote's.
        got: ObjectName,
    },
    /// SHA-1 proves nothing.
    #[error("the quote selects the sha1 bank: expected sha256, sha384 or sha512")]
    Sha1Bank,
    /// The values are of other PCRs than the quote's.
    #[error("the pcr values are not those that the quote selects: expected {expected}, got {got}")]
    Selection {
        /// The signed selection.
        expected: String,
        /// What the values name.
        got: String,
    },
    /// The values are others than were quoted.
    #[error("the pcr values are not those that were quoted: expected digest {expected}, got {got}")]
    PcrDigest {
        /// The quote's.
        expected: Digest,
        /// That of the values.
        got: Digest,
    },
    /// Neither SHA-256 nor SHA-384 was quoted.
    #[error("no bank for claims in the quote: expected sha256 or sha384, got {got}")]
    NoBank {
        /// The bank found.
        got: HashAlgorithm,
    },
    /// The report that should bind the key was asked for at a level that does not guard it.
    #[error("the report that binds the key was asked for at vmpl {got}: expected 0")]
    Vmpl {
        /// Azure's, or a service module's.
        kind: EvidenceKind,
        /// The report's.
        got: u32,
    },
    /// The report does not bind the runtime data.
    #[error(
        "the report binds other runtime data: expected sha-256 {expected} and zeros in its report data, got {got}"
    )]
    RuntimeData {
        /// SHA-256 of the runtime data.
        expected: Sha256Digest,
        /// REPORT_DATA.
        got: Box<claims::ReportData>,
    },
    /// The event log says something else than the quote.
    #[error("event log: {0}")]
    Boot(#[from] BootError),
}

impl TpmVerifyError {
    /// Which check of [`super`] failed, or of what a report binds for it.
    pub fn check(&self) -> Check {
        match self {
            Self::AkScheme { .. } | Self::AkKey { .. } | Self::Scheme { .. } | Self::Signature => {
                Check::QuoteSignature
            }
            Self::AkAttribute { .. } => Check::KeyAttributes,
            Self::AkName { .. }
            | Self::AkUnknown { .. }
            | Self::AkUnvouched { .. }
            | Self::AkExpired { .. } => Check::KeyTrust,
            Self::EkName { .. } => Check::EndorsementKey,
            Self::QualifiedSigner { .. } => Check::QualifiedSigner,
            Self::Sha1Bank | Self::Selection { .. } => Check::Selection,
            Self::PcrDigest { .. } => Check::PcrDigest,
            Self::NoBank { .. } => Check::ClaimedPcrs,
            Self::Vmpl { kind: EvidenceKind::AzureVtpm, .. } => Check::ParavisorVmpl,
            Self::Vmpl { .. } => Check::ServiceVmpl,
            Self::RuntimeData { .. } => Check::RuntimeData,
            Self::Boot(_) => Check::EventLog,
        }
    }
}
