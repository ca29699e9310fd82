//! [`AttestationKeyChanged`]: an attestation key is believed from now on, or no longer.

use claims::tpm::{AkBinding, ObjectName};
use claims::{AttestationKey, BrokerId, PolicyDigest, UnixTime};

use crate::RecordError;
use crate::fields::Reader;
use crate::labels::Labels;

/// An attestation key is believed from now on, or no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestationKeyChanged {
    /// The broker that believes it.
    pub broker: BrokerId,
    /// The policy bundle in force; `None` in a record of an earlier broker, which did not say.
    pub policy: Option<PolicyDigest>,
    /// The key, as it is known from now on.
    pub key: AttestationKey,
    /// What was done: `enrol`, `withdraw`, `replace`.
    pub action: String,
    /// Who did it: `activation`, or an operator.
    pub actor: String,
    /// When.
    pub at: UnixTime,
}

impl AttestationKeyChanged {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let key = &self.key;
        LABELS
            .begin(&self.broker, self.policy.as_ref())
            .bytes(&key.name.to_bytes())
            .bytes(key.binding.name().as_bytes())
            .bytes(&key.ek.as_ref().map(ObjectName::to_bytes).unwrap_or_default())
            .bytes(&[u8::from(key.simulated)])
            .u64(key.not_after.0)
            .bytes(&[u8::from(key.believed)])
            .bytes(self.action.as_bytes())
            .bytes(self.actor.as_bytes())
            .u64(self.at.0)
            .finish()
    }

    pub(crate) fn decode(record: &[u8]) -> Result<(Self, Reader<'_>), RecordError> {
        let (broker, policy, mut r) = LABELS.read(record)?;
        let key = AttestationKey {
            name: name(r.bytes("name")?, "name")?,
            binding: r.parsed::<AkBinding>("binding")?,
            ek: match r.bytes("endorsement key")? {
                [] => None,
                bytes => Some(name(bytes, "endorsement key")?),
            },
            simulated: r.flag("simulated")?,
            not_after: r.time("not after")?,
            believed: r.flag("believed")?,
        };
        let (action, actor) = (r.text("action")?.to_owned(), r.text("actor")?.to_owned());
        let at = r.time("at")?;
        Ok((Self { broker, policy, key, action, actor, at }, r))
    }
}

fn name(bytes: &[u8], field: &'static str) -> Result<ObjectName, RecordError> {
    ObjectName::from_bytes(bytes).ok_or(RecordError::Value { field })
}

const LABELS: Labels =
    Labels { with_policy: "keyfast/2 attestation key", without: "keyfast/1 attestation key" };
