//! [`PolicyLoaded`]: other policies are in force from now on.

use claims::{BrokerId, Fields, PolicyDigest, UnixTime};

use crate::RecordError;
use crate::fields::Reader;

/// Other policies are in force from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyLoaded {
    /// The broker that decides under them.
    pub broker: BrokerId,
    /// The bundle.
    pub policy: PolicyDigest,
    /// The bundle before.
    pub before: PolicyDigest,
    /// Serial number of what officers signed; 0 where none must.
    pub bundle_serial: u64,
    /// Serial number of the reference values.
    pub references_serial: u64,
    /// Who signed.
    pub signed_by: Vec<String>,
    /// Who had them loaded.
    pub actor: String,
    /// When.
    pub at: UnixTime,
}

impl PolicyLoaded {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let head = Fields::labelled(LABEL)
            .bytes(&self.broker.0)
            .bytes(&self.policy.0)
            .bytes(&self.before.0)
            .u64(self.bundle_serial)
            .u64(self.references_serial)
            .u32(u32::try_from(self.signed_by.len()).unwrap_or(u32::MAX));
        let signed = self.signed_by.iter().fold(head, |fields, name| fields.bytes(name.as_bytes()));
        signed.bytes(self.actor.as_bytes()).u64(self.at.0).finish()
    }

    pub(crate) fn decode(record: &[u8]) -> Result<(Self, Reader<'_>), RecordError> {
        let mut r = Reader::labelled(record, LABEL)?;
        let broker = BrokerId(r.array("broker")?);
        let policy = PolicyDigest(r.array("policy")?);
        let before = PolicyDigest(r.array("before")?);
        let (bundle_serial, references_serial) = (r.u64("bundle serial")?, r.u64("references serial")?);
        let mut signed_by = Vec::new();
        for _ in 0..r.u32("signers")? {
            signed_by.push(r.text("signed by")?.to_owned());
        }
        let (actor, at) = (r.text("actor")?.to_owned(), r.time("at")?);
        Ok((Self { broker, policy, before, bundle_serial, references_serial, signed_by, actor, at }, r))
    }
}

const LABEL: &str = "keyfast/1 policy loaded";
