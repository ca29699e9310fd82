//! What goes into the store and comes out of it: plain data.

use claims::leaf::{Entry, LeafKind, Salt};
use claims::tpm::ObjectName;
use claims::{
    AttestationKey, KeyAttributes, KeyId, KeyVersion, Nonce, PolicyDigest, RequestId, TpmCounters, UnixTime,
};

/// A leaf of the journal, before it has a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafRow {
    /// What it records.
    pub kind: LeafKind,
    /// The public entry, 34 bytes.
    pub entry: Entry,
    /// The record's salt, 16 bytes.
    pub salt: Salt,
    /// The record.
    pub record: Vec<u8>,
    /// The answer that it is part of.
    pub request: Option<RequestId>,
    /// For people, as JSON: why it was decided so.
    pub explanation: Option<String>,
}

/// A leaf and its place in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLeaf {
    /// Its place, from 0.
    pub index: u64,
    /// The leaf.
    pub leaf: LeafRow,
}

/// What a request was decided on, beside its leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimsRow {
    /// When it was decided.
    pub at: UnixTime,
    /// 32 random bytes, from which, with the text, the salts of the leaves are made.
    pub blind: [u8; 32],
    /// The claims and what else was decided on, as JSON.
    pub text: String,
}

/// Claims, and whose they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredClaims {
    /// The place of the request's first leaf.
    pub leaf: u64,
    /// The request.
    pub request: RequestId,
    /// The claims.
    pub claims: ClaimsRow,
}

/// One version of a key at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// What is said about it.
    pub attributes: KeyAttributes,
    /// The public half as SubjectPublicKeyInfo in DER, where there is one.
    pub public: Option<Vec<u8>>,
    /// The wrapped bytes.
    pub wrapped: Vec<u8>,
}

/// A change to a key at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyWrite {
    /// A key or a version that there was not.
    Create(KeyRow),
    /// Another revision in the place of the one before: the row's revision less one.
    Replace(KeyRow),
}

/// A key that a decision was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUnchanged {
    /// Which key.
    pub key: KeyId,
    /// Which version of it.
    pub version: KeyVersion,
    /// The revision that the decision saw.
    pub revision: u64,
}

/// A challenge that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpentNonce {
    /// The challenge.
    pub nonce: Nonce,
    /// From when on its token is refused anyway.
    pub expires: UnixTime,
}

/// A request that was refused before anything about it was authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The answer's name.
    pub request: RequestId,
    /// When.
    pub at: UnixTime,
    /// The coarse code that the guest was told.
    pub code: String,
    /// The whole reason, for the operator.
    pub detail: String,
}

/// A TPM whose quote is about to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenTpm {
    /// What it says of its past.
    pub counters: TpmCounters,
    /// qualifiedSigner of its quote, which does not change as long as the key is the same.
    pub signer: ObjectName,
    /// How much earlier than a quote that was answered its clock may be, in milliseconds: the lifetime of a challenge,
    /// since quotes come in any order.
    pub slack_ms: u64,
}

/// A TPM that a report vouches for, whose quote is about to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenVouchedTpm {
    /// What it says of its past; `ak` is whatever tells its key apart from others.
    pub counters: TpmCounters,
    /// As [`SeenTpm::signer`].
    pub signer: ObjectName,
    /// As [`SeenTpm::slack_ms`].
    pub slack_ms: u64,
    /// Whether it is to be remembered: it gets something.
    pub served: bool,
}

/// A policy that becomes the active one, and how new it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activation {
    /// The bundle's digest.
    pub digest: PolicyDigest,
    /// What its officers count; it never goes down.
    pub bundle_serial: u64,
    /// What the reference values count; it never goes down.
    pub references_serial: u64,
}

/// What one request wants written, all of it or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The time by which spent challenges may be forgotten.
    pub now: UnixTime,
    /// The challenge that this uses up.
    pub nonce: Option<SpentNonce>,
    /// Keys that must be as they were.
    pub keys_unchanged: Vec<KeyUnchanged>,
    /// The TPM that must not have been put back, of an attestation key that must be believed still.
    pub tpm: Option<SeenTpm>,
    /// The TPM that must not have been put back, of a key that a report vouches for.
    pub vouched_tpm: Option<SeenVouchedTpm>,
    /// The policy that must be the active one.
    pub policy: Option<PolicyDigest>,
    /// A policy to make the active one, unless it is older than that.
    pub activate: Option<Activation>,
    /// Changes to keys.
    pub keys: Vec<KeyWrite>,
    /// Attestation keys, as they are known from now on.
    pub attestation_keys: Vec<AttestationKey>,
    /// Leaves, in order.
    pub leaves: Vec<LeafRow>,
    /// What the leaves were decided on; nothing is written where there are no leaves.
    pub claims: Option<ClaimsRow>,
    /// Refusals to remember.
    pub refusals: Vec<Refusal>,
}

impl Transaction {
    /// A transaction that writes nothing yet.
    pub fn new(now: UnixTime) -> Self {
        Self {
            now,
            nonce: None,
            keys_unchanged: Vec::new(),
            tpm: None,
            vouched_tpm: None,
            policy: None,
            activate: None,
            keys: Vec::new(),
            attestation_keys: Vec::new(),
            leaves: Vec::new(),
            claims: None,
            refusals: Vec::new(),
        }
    }
}
