//! [`ActDenied`]: an operator was refused an act of management.

use claims::{BrokerId, Fields, PolicyDigest, UnixTime};

use crate::RecordError;
use crate::fields::Reader;

/// An operator was refused an act of management.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActDenied {
    /// The broker that was asked.
    pub broker: BrokerId,
    /// The bundle that it was decided under.
    pub policy: PolicyDigest,
    /// Who asked.
    pub actor: String,
    /// For what, in the words of policies: `create`.
    pub act: String,
    /// On what, as a policy names it: `Key::"db"`.
    pub object: String,
    /// Why, coarsely.
    pub code: String,
    /// When.
    pub at: UnixTime,
}

impl ActDenied {
    pub(crate) fn encode(&self) -> Vec<u8> {
        Fields::labelled(LABEL)
            .bytes(&self.broker.0)
            .bytes(&self.policy.0)
            .bytes(self.actor.as_bytes())
            .bytes(self.act.as_bytes())
            .bytes(self.object.as_bytes())
            .bytes(self.code.as_bytes())
            .u64(self.at.0)
            .finish()
    }

    pub(crate) fn decode(record: &[u8]) -> Result<(Self, Reader<'_>), RecordError> {
        let mut r = Reader::labelled(record, LABEL)?;
        let denied = Self {
            broker: BrokerId(r.array("broker")?),
            policy: PolicyDigest(r.array("policy")?),
            actor: r.text("actor")?.to_owned(),
            act: r.text("act")?.to_owned(),
            object: r.text("object")?.to_owned(),
            code: r.text("code")?.to_owned(),
            at: r.time("at")?,
        };
        Ok((denied, r))
    }
}

const LABEL: &str = "keyfast/1 act denied";
