//! What is said about a key besides its bytes: what policies read, and what binds a KEK at rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::{Fields, KeyId, KeyKind, KeyVersion, Operation, Region, RingId, Sha256Digest, Suite, UnixTime};

/// Where a key came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Origin {
    /// Made by the broker.
    Generated = 1,
    /// Brought by its owner.
    Imported = 2,
    /// Out of a backup.
    Restored = 3,
}

impl Origin {
    /// The code: 1 to 3.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The origin of a code, or `None`.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Generated, Self::Imported, Self::Restored].into_iter().find(|o| o.code() == code)
    }

    /// The name that descriptors and policies use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Imported => "imported",
            Self::Restored => "restored",
        }
    }
}

/// A policy that goes with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleasePolicy {
    /// Cedar, in the language of the broker's policies; at most [`ReleasePolicy::MAX_LEN`] bytes.
    pub cedar: Arc<str>,
    /// It can never be changed: neither on this version, nor by a later one.
    pub immutable: bool,
}

impl ReleasePolicy {
    /// The longest text, in bytes.
    pub const MAX_LEN: usize = 32 * 1024;
}

/// One version of a key, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAttributes {
    /// Its name.
    pub id: KeyId,
    /// Its version.
    pub version: KeyVersion,
    /// What kind it is.
    pub kind: KeyKind,
    /// Where it came from.
    pub origin: Origin,
    /// What guests may ask of it. `renew` is always among them.
    pub operations: BTreeSet<Operation>,
    /// Created for simulated guests: such a key never goes to a genuine one, and no other ever goes to a
    /// simulated one. Irrevocable.
    pub for_simulation: bool,
    /// The weakest suite that it may be sealed with.
    pub suite_floor: Suite,
    /// Whether it may be used now.
    pub enabled: bool,
    /// Counts the changes of this record, from 1; an older row is refused.
    pub revision: u64,
    /// When this version came to be.
    pub created_at: UnixTime,
    /// The ring that it is in.
    pub ring: RingId,
    /// Where it may be used; `None` if its owner did not say.
    pub region: Option<Region>,
    /// Its own policy, which must permit as well as the broker's.
    pub release_policy: Option<ReleasePolicy>,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// SHA-256 that pins the key bytes: of the public half's SubjectPublicKeyInfo for RSA; for other kinds of
    /// `keyfast/1 commitment` and the key under HMAC, see `keys::commitment`.
    pub commitment: Sha256Digest,
}

impl KeyAttributes {
    /// The bytes that are associated data of the wrapped key, so that no row can be altered or swapped.
    pub fn encode(&self) -> Vec<u8> {
        let operations: Vec<u8> = self.operations.iter().map(|op| op.code()).collect();
        let head = Fields::labelled("keyfast/1 key at rest")
            .bytes(self.id.as_str().as_bytes())
            .u32(self.version.0)
            .bytes(self.kind.to_string().as_bytes())
            .bytes(&[self.origin.code()])
            .bytes(&operations)
            .bytes(&[u8::from(self.for_simulation), self.suite_floor.code(), u8::from(self.enabled)])
            .u64(self.revision)
            .u64(self.created_at.0)
            .bytes(&self.commitment.0)
            .u32(u32::try_from(self.tags.len()).unwrap_or(u32::MAX));
        let tag = |fields: Fields, (k, v): (&String, &String)| fields.bytes(k.as_bytes()).bytes(v.as_bytes());
        self.placed(self.tags.iter().fold(head, tag)).finish()
    }

    /// Ring, region and policy, where any is set: keys made before there were any keep their bytes.
    fn placed(&self, fields: Fields) -> Fields {
        if self.ring.is_default() && self.region.is_none() && self.release_policy.is_none() {
            return fields;
        }
        let region = self.region.as_ref().map_or("", Region::as_str);
        let fields = fields.bytes(self.ring.as_str().as_bytes()).bytes(region.as_bytes());
        match &self.release_policy {
            None => fields,
            Some(policy) => fields.bytes(policy.cedar.as_bytes()).bytes(&[u8::from(policy.immutable)]),
        }
    }

    /// Whether the key itself may go to a guest.
    pub fn is_exportable(&self) -> bool {
        self.operations.contains(&Operation::Release)
    }
}
