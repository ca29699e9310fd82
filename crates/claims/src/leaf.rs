//! What the journal's leaves are made of.
//!
//! A *record* holds the facts and stays with the broker and its auditors. An *entry* is public: the version of
//! this format, the kind of the record, and a salted commitment to it, 34 bytes. The tree hashes entries. A guest
//! rebuilds record and entry from its own values and the few that its receipt adds, so a receipt for anything but
//! its own release does not fit.
//!
//! Layouts are in `crates/journal/SPEC.md`.

use crate::{
    BrokerId, Fields, KeyId, KeyVersion, Operation, PolicyDigest, Sha256Digest, TranscriptHash, UnixTime,
};

/// First byte of every entry.
pub const ENTRY_VERSION: u8 = 1;

/// Length of an entry, in bytes.
pub const ENTRY_LEN: usize = 34;

/// A public leaf of the journal.
pub type Entry = [u8; ENTRY_LEN];

/// 16 random bytes, one salt for each record.
pub type Salt = [u8; 16];

/// What a leaf records; its second byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum LeafKind {
    /// A key, an unwrapped DEK, a secret or a renewal left for a guest.
    Release = 1,
    /// Authenticated evidence was refused a key.
    Denial = 2,
    /// A key came to be: generated, imported or restored.
    KeyCreated = 3,
    /// A key's state or attributes changed.
    KeyChanged = 4,
    /// A broker started, with this configuration and policy.
    Started = 5,
    /// How many unauthenticated requests were refused in a minute.
    Refusals = 6,
    /// An attestation key is believed from now on, or no longer.
    AttestationKey = 7,
    /// Authenticated evidence asked what would be decided, and got the answer and no key.
    Trial = 8,
    /// Other policies are in force from now on.
    PolicyLoaded = 9,
    /// An operator was refused an act of management.
    ActDenied = 10,
}

impl LeafKind {
    /// Every kind, in order of its code.
    pub const ALL: [Self; 10] = [
        Self::Release,
        Self::Denial,
        Self::KeyCreated,
        Self::KeyChanged,
        Self::Started,
        Self::Refusals,
        Self::AttestationKey,
        Self::Trial,
        Self::PolicyLoaded,
        Self::ActDenied,
    ];

    /// The code, an entry's second byte.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The kind of a code, or `None`.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The name that reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Denial => "denial",
            Self::KeyCreated => "key-created",
            Self::KeyChanged => "key-changed",
            Self::Started => "started",
            Self::Refusals => "refusals",
            Self::AttestationKey => "attestation-key",
            Self::Trial => "trial",
            Self::PolicyLoaded => "policy-loaded",
            Self::ActDenied => "act-denied",
        }
    }
}

/// What the commitment in an entry is the SHA-256 of: salt, kind, record, each length-prefixed under a label.
pub fn commitment_preimage(kind: LeafKind, salt: &Salt, record: &[u8]) -> Vec<u8> {
    Fields::labelled("keyfast/1 leaf").bytes(salt).bytes(&[kind.code()]).bytes(record).finish()
}

/// An entry, from the SHA-256 of its [`commitment_preimage`].
pub fn entry(kind: LeafKind, commitment: &Sha256Digest) -> Entry {
    let mut entry = [0; ENTRY_LEN];
    let [version, code, rest @ ..] = &mut entry;
    (*version, *code) = (ENTRY_VERSION, kind.code());
    rest.copy_from_slice(&commitment.0);
    entry
}

/// What a [`LeafKind::Release`] records, field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseRecord {
    /// The broker that released.
    pub broker: BrokerId,
    /// SHA-512 of the transcript.
    pub transcript: TranscriptHash,
    /// Place of the request in the transcript, from 0.
    pub index: u32,
    /// What was done.
    pub operation: Operation,
    /// With which key.
    pub key: KeyId,
    /// With which version of it.
    pub version: KeyVersion,
    /// The key's commitment, as in its [`LeafKind::KeyCreated`] record.
    pub key_commitment: Sha256Digest,
    /// The policy bundle that permitted it.
    pub policy: PolicyDigest,
    /// SHA-256 of the sealed bytes (encapsulated key, then ciphertext); of nothing for `renew`.
    pub sealed: Sha256Digest,
    /// When the broker decided, by its clock.
    pub decided_at: UnixTime,
}

impl ReleaseRecord {
    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        Fields::labelled("keyfast/1 release")
            .bytes(&self.broker.0)
            .bytes(&self.transcript.0)
            .u32(self.index)
            .bytes(&[self.operation.code()])
            .bytes(self.key.as_str().as_bytes())
            .u32(self.version.0)
            .bytes(&self.key_commitment.0)
            .bytes(&self.policy.0)
            .bytes(&self.sealed.0)
            .u64(self.decided_at.0)
            .finish()
    }
}

/// What HPKE takes as associated data for one sealed answer: place, operation, key and version.
pub fn sealing_aad(index: u32, operation: Operation, key: &KeyId, version: KeyVersion) -> Vec<u8> {
    Fields::labelled("keyfast/1 sealed")
        .u32(index)
        .bytes(&[operation.code()])
        .bytes(key.as_str().as_bytes())
        .u32(version.0)
        .finish()
}
