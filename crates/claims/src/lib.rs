//! The nouns of keyfast: what every other crate may name.
//!
//! Plain data, without trust and without I/O: anybody may make one of these, so holding one proves nothing.
//! What *has* been checked lives in types with private fields elsewhere ([`verify`'s `VerifiedClaims`],
//! [`policy`'s `Grant`], [`journal`'s `RecordedGrant`]).
//!
//! This crate must never hash, sign, parse hostile bytes, read a clock, or touch a file.
//!
//! [`verify`'s `VerifiedClaims`]: ../verify/struct.VerifiedClaims.html
//! [`policy`'s `Grant`]: ../policy/struct.Grant.html
//! [`journal`'s `RecordedGrant`]: ../journal/struct.RecordedGrant.html

mod attestation_key;
mod attributes;
mod digest;
mod field;
mod key;
pub mod leaf;
mod record;
mod request;
pub mod snp;
mod time;
pub mod tpm;
mod transcript;

pub use attestation_key::{AttestationKey, TpmCounters};
pub use attributes::{KeyAttributes, Origin, ReleasePolicy};
pub use digest::{BrokerId, ChipId, ConfigDigest, Measurement, Nonce, PolicyDigest, ReportData, RequestId};
pub use digest::{ParseHexError, Sha256Digest, TranscriptHash};
pub use field::Fields;
pub use key::{InvalidKeyId, KeyId, KeyKind, KeyVersion, Region, RingId, UnknownKeyKind, VersionSelector};
pub use record::{ClaimsRecord, EvidenceKind, GuestIdentity, OsBinding};
pub use request::{
    AttestedRequest, MAX_REQUESTS, Operation, RecipientKey, Suite, UnwrapAlgorithm, UnwrapBinding,
};
pub use time::UnixTime;
pub use transcript::{PreflightTranscript, Transcript};
