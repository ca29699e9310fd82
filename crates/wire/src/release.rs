//! `POST /v1/release`, what the guest sends: evidence, and what it wants (SPEC.md, 5.2).

use claims::{
    AttestedRequest, BrokerId, ConfigDigest, EvidenceKind, KeyId, MAX_REQUESTS, Nonce, Operation,
    RecipientKey, Sha256Digest, Suite, Transcript, UnwrapAlgorithm, UnwrapBinding, VersionSelector,
};
use minicbor::{Decode, Encode};

use crate::{ChallengeResponse, FieldError, Message, bounds};

/// Evidence, the key that answers are sealed to, and the requests, in the order of the transcript.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ReleaseRequest {
    /// The challenge's token, unchanged.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub token: Vec<u8>,
    /// What kind of evidence follows.
    #[n(1)]
    #[cbor(with = "crate::codec::code")]
    pub kind: EvidenceKind,
    /// The evidence, 1 to [`Self::MAX_EVIDENCE`] bytes.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub evidence: Vec<u8>,
    /// The suite that the guest chose.
    #[n(3)]
    #[cbor(with = "crate::codec::code")]
    pub suite: Suite,
    /// The recipient's public key, [`Suite::public_key_len`] bytes.
    #[n(4)]
    #[cbor(with = "minicbor::bytes")]
    pub recipient: Vec<u8>,
    /// Digest of the agent's configuration.
    #[n(5)]
    #[cbor(with = "crate::codec::fixed")]
    pub config: ConfigDigest,
    /// 1 to [`MAX_REQUESTS`] requests.
    #[n(6)]
    pub requests: Vec<Request>,
    /// Size of the log in the checkpoint that the guest kept, for a consistency proof; 0 if it kept none.
    #[n(7)]
    pub known_checkpoint_size: u64,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Request {
    /// What is wanted.
    #[n(0)]
    #[cbor(with = "crate::codec::code")]
    pub operation: Operation,
    /// Of which key.
    #[n(1)]
    #[cbor(with = "crate::codec::key_id")]
    pub key: KeyId,
    /// Of which version.
    #[n(2)]
    #[cbor(with = "crate::codec::selector")]
    pub version: VersionSelector,
    /// For [`Operation::Unwrap`], and only there: the DEK.
    #[n(3)]
    pub unwrap: Option<Unwrap>,
}

/// A wrapped DEK.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Unwrap {
    /// How it was wrapped.
    #[n(0)]
    #[cbor(with = "crate::codec::code")]
    pub algorithm: UnwrapAlgorithm,
    /// The wrapped bytes, 1 to [`Self::MAX_WRAPPED`].
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub wrapped: Vec<u8>,
    /// The associated data, up to [`Self::MAX_CONTEXT`] bytes; empty where the algorithm takes none.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub context: Vec<u8>,
}

impl ReleaseRequest {
    /// Most bytes of evidence.
    pub const MAX_EVIDENCE: usize = 64 * 1024;

    /// The key that answers are to be sealed to.
    pub fn recipient_key(&self) -> RecipientKey {
        RecipientKey { suite: self.suite, public: self.recipient.clone() }
    }

    /// The transcript that the evidence must bind: from this message, the identity of the broker, the nonce of
    /// the challenge, and SHA-256 (which this crate does not have).
    pub fn transcript(
        &self,
        broker: BrokerId,
        nonce: Nonce,
        sha256: impl Fn(&[u8]) -> Sha256Digest,
    ) -> Transcript {
        Transcript {
            broker,
            nonce,
            recipient: self.recipient_key(),
            evidence: self.kind,
            config: self.config,
            requests: self.requests.iter().map(|request| request.attested(&sha256)).collect(),
        }
    }
}

impl Request {
    /// The request as it stands in the transcript: hashes for the wrapped bytes and their context.
    pub fn attested(&self, sha256: impl Fn(&[u8]) -> Sha256Digest) -> AttestedRequest {
        let binding = |unwrap: &Unwrap| UnwrapBinding {
            algorithm: unwrap.algorithm,
            wrapped: sha256(&unwrap.wrapped),
            context: sha256(&unwrap.context),
        };
        AttestedRequest {
            operation: self.operation,
            key: self.key.clone(),
            version: self.version,
            unwrap: self.unwrap.as_ref().map(binding),
        }
    }

    fn check(&self) -> Result<(), FieldError> {
        match (&self.unwrap, self.operation) {
            (Some(unwrap), Operation::Unwrap) => unwrap.check(),
            (None, Operation::Unwrap) | (Some(_), _) => Err(FieldError::Presence {
                field: "wrapped key",
                expected: "with operation unwrap, and with no other",
            }),
            (None, _) => Ok(()),
        }
    }
}

impl Unwrap {
    /// Most wrapped bytes.
    pub const MAX_WRAPPED: usize = 1024;
    /// Most bytes of context.
    pub const MAX_CONTEXT: usize = 16 * 1024;

    fn check(&self) -> Result<(), FieldError> {
        bounds::length("wrapped key", &self.wrapped, 1..=Self::MAX_WRAPPED)?;
        bounds::length("context", &self.context, 0..=Self::MAX_CONTEXT)?;
        if self.algorithm != UnwrapAlgorithm::Aes256Gcm && !self.context.is_empty() {
            let expected = "empty, except with AES-256-GCM";
            return Err(FieldError::Presence { field: "context", expected });
        }
        Ok(())
    }
}

impl Message for ReleaseRequest {
    const NAME: &'static str = "release request";
    /// Room for the longest evidence and ten of the longest contexts.
    const MAX_LEN: usize = 256 * 1024;

    fn check(&self) -> Result<(), FieldError> {
        bounds::length("token", &self.token, 1..=ChallengeResponse::MAX_TOKEN)?;
        bounds::length("evidence", &self.evidence, 1..=Self::MAX_EVIDENCE)?;
        let key_len = self.suite.public_key_len();
        bounds::length("recipient key", &self.recipient, key_len..=key_len)?;
        bounds::count("requests", &self.requests, 1..=MAX_REQUESTS)?;
        self.requests.iter().try_for_each(Request::check)
    }
}
