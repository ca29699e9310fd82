//! The transcript: what guest and broker must agree on before a key moves, as bytes.
//!
//! Each side builds it from its own values; the evidence binds its SHA-512, and HPKE takes the bytes as `info`.
//! Its layout is in `crates/wire/SPEC.md`, section 4; any change of it is a new protocol version.

use crate::{
    AttestedRequest, BrokerId, ConfigDigest, EvidenceKind, Fields, Nonce, RecipientKey, Sha256Digest,
    VersionSelector,
};

/// Everything that a guest and the broker agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// Whom the guest means to talk to.
    pub broker: BrokerId,
    /// The challenge that this answers.
    pub nonce: Nonce,
    /// Whom keys are sealed to.
    pub recipient: RecipientKey,
    /// Which kind of evidence binds this.
    pub evidence: EvidenceKind,
    /// Digest of the agent's configuration.
    pub config: ConfigDigest,
    /// What is asked for, in order.
    pub requests: Vec<AttestedRequest>,
}

impl Transcript {
    /// The first field of every transcript.
    pub const LABEL: &str = "keyfast/1 transcript";

    /// The bytes: a sequence of length-prefixed fields ([`Fields`]).
    pub fn encode(&self) -> Vec<u8> {
        self.fields(Self::LABEL).finish()
    }

    fn fields(&self, label: &str) -> Fields {
        let head = Fields::labelled(label)
            .bytes(&self.broker.0)
            .bytes(&self.nonce.0)
            .bytes(&[self.recipient.suite.code()])
            .bytes(&self.recipient.public)
            .bytes(&[self.evidence.code()])
            .bytes(&self.config.0)
            .u32(u32::try_from(self.requests.len()).unwrap_or(u32::MAX));
        self.requests.iter().fold(head, encode_request)
    }
}

/// What a guest that only asks what would be decided and the broker agree on: the same under another label, and what
/// the guest supposes of its next boot.
///
/// No bytes are both this and a [`Transcript`], so evidence for the one is worth nothing for the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreflightTranscript {
    /// What it shares with a release's.
    pub asked: Transcript,
    /// SHA-256 of the prediction as it is sent, or nothing where it is about the guest as it is.
    pub prediction: Option<Sha256Digest>,
}

impl PreflightTranscript {
    /// The first field of every such transcript.
    pub const LABEL: &str = "keyfast/1 preflight";

    /// The bytes: the fields of a transcript under [`Self::LABEL`], then 32 bytes or none.
    pub fn encode(&self) -> Vec<u8> {
        let prediction = self.prediction.as_ref().map_or(&[][..], |digest| &digest.0);
        self.asked.fields(Self::LABEL).bytes(prediction).finish()
    }
}

/// Operation, key, version (0 is "latest"), then for `unwrap` the algorithm and two hashes, else three empty
/// fields.
fn encode_request(fields: Fields, request: &AttestedRequest) -> Fields {
    let version = match request.version {
        VersionSelector::Latest => 0,
        VersionSelector::Exact(version) => version.0,
    };
    let fields =
        fields.bytes(&[request.operation.code()]).bytes(request.key.as_str().as_bytes()).u32(version);
    match &request.unwrap {
        Some(unwrap) => {
            fields.bytes(&[unwrap.algorithm.code()]).bytes(&unwrap.wrapped.0).bytes(&unwrap.context.0)
        }
        None => fields.bytes(&[]).bytes(&[]).bytes(&[]),
    }
}
