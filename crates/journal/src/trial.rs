//! [`Trial`]: a guest asked what would be decided, was told, and got no key.

use claims::{
    BrokerId, Fields, KeyId, KeyVersion, Operation, PolicyDigest, Sha256Digest, TranscriptHash, UnixTime,
    VersionSelector,
};

use crate::RecordError;
use crate::fields::Reader;

/// Authenticated evidence asked what would be decided. Nothing was released, whatever the outcome says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The broker that was asked.
    pub broker: BrokerId,
    /// SHA-512 of the preflight's transcript.
    pub transcript: TranscriptHash,
    /// Place of the request in the transcript, from 0.
    pub index: u32,
    /// What was asked about.
    pub operation: Operation,
    /// Of which key.
    pub key: KeyId,
    /// Of which version.
    pub version: VersionSelector,
    /// The policy bundle that was asked.
    pub policy: PolicyDigest,
    /// What came out: [`Self::PERMITTED`], or the coarse code of a denial.
    pub outcome: String,
    /// Whether it was about what the guest supposes of its next boot, and not about the guest as it is.
    pub predicted: bool,
    /// SHA-256 of the explanation, the JSON beside the leaf.
    pub reasons: Sha256Digest,
    /// When the broker answered, by its clock.
    pub decided_at: UnixTime,
}

impl Trial {
    /// The outcome of a trial that ends well; no denial has this code.
    pub const PERMITTED: &str = "permitted";

    pub(crate) fn encode(&self) -> Vec<u8> {
        let version = match self.version {
            VersionSelector::Latest => 0,
            VersionSelector::Exact(version) => version.0,
        };
        Fields::labelled(LABEL)
            .bytes(&self.broker.0)
            .bytes(&self.transcript.0)
            .u32(self.index)
            .bytes(&[self.operation.code()])
            .bytes(self.key.as_str().as_bytes())
            .u32(version)
            .bytes(&self.policy.0)
            .bytes(self.outcome.as_bytes())
            .bytes(&[u8::from(self.predicted)])
            .bytes(&self.reasons.0)
            .u64(self.decided_at.0)
            .finish()
    }

    pub(crate) fn decode(record: &[u8]) -> Result<(Self, Reader<'_>), RecordError> {
        let mut r = Reader::labelled(record, LABEL)?;
        let trial = Self {
            broker: BrokerId(r.array("broker")?),
            transcript: TranscriptHash(r.array("transcript")?),
            index: r.u32("index")?,
            operation: r.code("operation", Operation::from_code)?,
            key: r.parsed("key")?,
            version: match r.u32("version")? {
                0 => VersionSelector::Latest,
                version => VersionSelector::Exact(KeyVersion(version)),
            },
            policy: PolicyDigest(r.array("policy")?),
            outcome: r.text("outcome")?.to_owned(),
            predicted: r.flag("predicted")?,
            reasons: Sha256Digest(r.array("reasons")?),
            decided_at: r.time("decided at")?,
        };
        Ok((trial, r))
    }
}

const LABEL: &str = "keyfast/1 trial";
