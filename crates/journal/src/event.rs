//! [`Event`]: everything that is recorded besides releases. Layouts are in `SPEC.md`, section 2.

use claims::leaf::{LeafKind, Salt};
use claims::{
    BrokerId, Fields, KeyAttributes, KeyId, KeyKind, KeyVersion, Operation, Origin, PolicyDigest, RequestId,
    Sha256Digest, TranscriptHash, UnixTime, VersionSelector,
};
use store::LeafRow;

use crate::labels::Labels;
use crate::{ActDenied, AttestationKeyChanged, PolicyLoaded, Trial};

/// Something that happened, other than a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Authenticated evidence was refused a key.
    Denied(Denied),
    /// A key came to be.
    KeyCreated(KeyCreated),
    /// A key's state or attributes changed.
    KeyChanged(KeyChanged),
    /// A broker started.
    Started(Started),
    /// Unauthenticated requests were refused.
    Refusals(Refusals),
    /// An attestation key is believed from now on, or no longer.
    AttestationKey(AttestationKeyChanged),
    /// Authenticated evidence asked what would be decided.
    Trial(Trial),
    /// Other policies are in force from now on.
    PolicyLoaded(PolicyLoaded),
    /// An operator was refused an act of management.
    ActDenied(ActDenied),
}

/// Authenticated evidence was refused a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The broker that refused.
    pub broker: BrokerId,
    /// SHA-512 of the transcript.
    pub transcript: TranscriptHash,
    /// Place of the request in the transcript, from 0.
    pub index: u32,
    /// What was asked for.
    pub operation: Operation,
    /// Of which key.
    pub key: KeyId,
    /// Of which version.
    pub version: VersionSelector,
    /// The policy bundle that did not permit it.
    pub policy: PolicyDigest,
    /// The coarse code that the guest was told.
    pub code: String,
    /// SHA-256 of the explanation, the JSON beside the leaf.
    pub reasons: Sha256Digest,
    /// When the broker decided, by its clock.
    pub decided_at: UnixTime,
}

/// A key came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCreated {
    /// The broker that holds it.
    pub broker: BrokerId,
    /// The policy bundle in force; `None` in a record of an earlier broker, which did not say.
    pub policy: Option<PolicyDigest>,
    /// Its name.
    pub key: KeyId,
    /// Its version.
    pub version: KeyVersion,
    /// The revision of its row.
    pub revision: u64,
    /// What kind it is.
    pub kind: KeyKind,
    /// Where it came from.
    pub origin: Origin,
    /// What pins its bytes.
    pub commitment: Sha256Digest,
    /// SHA-256 of all its attributes, as [`KeyAttributes::encode`] lays them out.
    pub attributes: Sha256Digest,
    /// Who asked for it.
    pub actor: String,
    /// When.
    pub at: UnixTime,
}

/// A key's state or attributes changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChanged {
    /// The broker that holds it.
    pub broker: BrokerId,
    /// The policy bundle in force; `None` in a record of an earlier broker, which did not say.
    pub policy: Option<PolicyDigest>,
    /// Its name.
    pub key: KeyId,
    /// Its version.
    pub version: KeyVersion,
    /// The revision of its row from now on.
    pub revision: u64,
    /// Whether it may be used from now on.
    pub enabled: bool,
    /// SHA-256 of all its attributes from now on, as [`KeyAttributes::encode`] lays them out.
    pub attributes: Sha256Digest,
    /// What was done: `disable`, `tag`, ...
    pub action: String,
    /// Who asked for it.
    pub actor: String,
    /// When.
    pub at: UnixTime,
}

/// A broker started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Which broker.
    pub broker: BrokerId,
    /// The program and its version.
    pub software: String,
    /// SHA-256 of its configuration file.
    pub config: Sha256Digest,
    /// The policy bundle that it decides under.
    pub policy: PolicyDigest,
    /// When.
    pub at: UnixTime,
}

/// Requests that were refused before anything about them was authenticated, by code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// The broker that refused.
    pub broker: BrokerId,
    /// The policy bundle in force when they were summed; `None` in a record of an earlier broker, which did not say.
    pub policy: Option<PolicyDigest>,
    /// From when on they were counted.
    pub from: UnixTime,
    /// Until when, this second not included.
    pub until: UnixTime,
    /// How many for each code, in order of the codes.
    pub counts: Vec<(String, u64)>,
}

impl KeyCreated {
    /// The record of a key with these attributes, made under this policy.
    pub fn new(
        (broker, policy): (BrokerId, PolicyDigest),
        attributes: &KeyAttributes,
        actor: impl Into<String>,
        at: UnixTime,
    ) -> Self {
        Self {
            broker,
            policy: Some(policy),
            key: attributes.id.clone(),
            version: attributes.version,
            revision: attributes.revision,
            kind: attributes.kind,
            origin: attributes.origin,
            commitment: attributes.commitment,
            attributes: tlog::digest(&attributes.encode()),
            actor: actor.into(),
            at,
        }
    }
}

impl KeyChanged {
    /// The record of a key that has these attributes from now on, by an act under this policy.
    pub fn new(
        (broker, policy): (BrokerId, PolicyDigest),
        attributes: &KeyAttributes,
        action: impl Into<String>,
        actor: impl Into<String>,
        at: UnixTime,
    ) -> Self {
        Self {
            broker,
            policy: Some(policy),
            key: attributes.id.clone(),
            version: attributes.version,
            revision: attributes.revision,
            enabled: attributes.enabled,
            attributes: tlog::digest(&attributes.encode()),
            action: action.into(),
            actor: actor.into(),
            at,
        }
    }
}

impl Event {
    /// What its leaf records.
    pub fn kind(&self) -> LeafKind {
        match self {
            Self::Denied(_) => LeafKind::Denial,
            Self::KeyCreated(_) => LeafKind::KeyCreated,
            Self::KeyChanged(_) => LeafKind::KeyChanged,
            Self::Started(_) => LeafKind::Started,
            Self::Refusals(_) => LeafKind::Refusals,
            Self::AttestationKey(_) => LeafKind::AttestationKey,
            Self::Trial(_) => LeafKind::Trial,
            Self::PolicyLoaded(_) => LeafKind::PolicyLoaded,
            Self::ActDenied(_) => LeafKind::ActDenied,
        }
    }

    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Denied(denied) => encode_denied(denied),
            Self::KeyCreated(created) => encode_created(created),
            Self::KeyChanged(changed) => encode_changed(changed),
            Self::Started(started) => encode_started(started),
            Self::Refusals(refusals) => encode_refusals(refusals),
            Self::AttestationKey(changed) => changed.encode(),
            Self::Trial(trial) => trial.encode(),
            Self::PolicyLoaded(loaded) => loaded.encode(),
            Self::ActDenied(denied) => denied.encode(),
        }
    }

    /// The hash of the explanation that must lie beside the leaf; `None` where none must.
    pub(crate) fn reasons(&self) -> Option<Sha256Digest> {
        match self {
            Self::Denied(denied) => Some(denied.reasons),
            Self::Trial(trial) => Some(trial.reasons),
            _ => None,
        }
    }

    /// Its leaf, for the store. `explanation` is JSON; for a denial and a trial it must be the one that `reasons` is
    /// the hash of.
    pub fn row(&self, salt: Salt, request: Option<RequestId>, explanation: Option<String>) -> LeafRow {
        let (kind, record) = (self.kind(), self.encode());
        let entry = tlog::entry(kind, &salt, &record);
        LeafRow { kind, entry, salt, record, request, explanation }
    }
}

fn encode_denied(d: &Denied) -> Vec<u8> {
    let version = match d.version {
        VersionSelector::Latest => 0,
        VersionSelector::Exact(version) => version.0,
    };
    Fields::labelled(DENIED)
        .bytes(&d.broker.0)
        .bytes(&d.transcript.0)
        .u32(d.index)
        .bytes(&[d.operation.code()])
        .bytes(d.key.as_str().as_bytes())
        .u32(version)
        .bytes(&d.policy.0)
        .bytes(d.code.as_bytes())
        .bytes(&d.reasons.0)
        .u64(d.decided_at.0)
        .finish()
}

fn encode_created(c: &KeyCreated) -> Vec<u8> {
    KEY_CREATED
        .begin(&c.broker, c.policy.as_ref())
        .bytes(c.key.as_str().as_bytes())
        .u32(c.version.0)
        .u64(c.revision)
        .bytes(c.kind.to_string().as_bytes())
        .bytes(&[c.origin.code()])
        .bytes(&c.commitment.0)
        .bytes(&c.attributes.0)
        .bytes(c.actor.as_bytes())
        .u64(c.at.0)
        .finish()
}

fn encode_changed(c: &KeyChanged) -> Vec<u8> {
    KEY_CHANGED
        .begin(&c.broker, c.policy.as_ref())
        .bytes(c.key.as_str().as_bytes())
        .u32(c.version.0)
        .u64(c.revision)
        .bytes(&[u8::from(c.enabled)])
        .bytes(&c.attributes.0)
        .bytes(c.action.as_bytes())
        .bytes(c.actor.as_bytes())
        .u64(c.at.0)
        .finish()
}

fn encode_started(s: &Started) -> Vec<u8> {
    Fields::labelled(STARTED)
        .bytes(&s.broker.0)
        .bytes(s.software.as_bytes())
        .bytes(&s.config.0)
        .bytes(&s.policy.0)
        .u64(s.at.0)
        .finish()
}

fn encode_refusals(r: &Refusals) -> Vec<u8> {
    let head = REFUSALS
        .begin(&r.broker, r.policy.as_ref())
        .u64(r.from.0)
        .u64(r.until.0)
        .u32(u32::try_from(r.counts.len()).unwrap_or(u32::MAX));
    let count = |fields: Fields, (code, n): &(String, u64)| fields.bytes(code.as_bytes()).u64(*n);
    r.counts.iter().fold(head, count).finish()
}

pub(crate) const DENIED: &str = "keyfast/1 denial";
pub(crate) const KEY_CREATED: Labels =
    Labels { with_policy: "keyfast/2 key created", without: "keyfast/1 key created" };
pub(crate) const KEY_CHANGED: Labels =
    Labels { with_policy: "keyfast/2 key changed", without: "keyfast/1 key changed" };
pub(crate) const STARTED: &str = "keyfast/1 started";
pub(crate) const REFUSALS: Labels =
    Labels { with_policy: "keyfast/2 refusals", without: "keyfast/1 refusals" };
