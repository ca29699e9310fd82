//! What verified evidence is worth: [`Authenticated`] without a challenge, [`VerifiedClaims`] with one, and
//! [`PreflightClaims`] where the guest only asks what would be decided.
//!
//! All are proofs: private fields, no `Clone`, no other maker than the checks. From `PreflightClaims` there is no way to
//! a [`BoundRequest`], which a grant is made of, and so none to a sealed key: what such a guest learns is words.

use claims::snp::SnpClaims;
use claims::tpm::{ObjectName, TpmClaims};
use claims::{
    AttestedRequest, BrokerId, ClaimsRecord, EvidenceKind, GuestIdentity, MAX_REQUESTS, Nonce, Operation,
    OsBinding, PreflightTranscript, RecipientKey, ReportData, Sha256Digest, Suite, Transcript,
    TranscriptHash, UnixTime,
};

use crate::VerifyError;
use crate::binding::Binding;
use crate::challenge::Challenge;

/// Genuine evidence: a real machine said this, at some time, to somebody.
#[derive(Debug)]
pub struct Authenticated {
    pub(crate) kind: EvidenceKind,
    pub(crate) simulated: bool,
    pub(crate) os_binding: OsBinding,
    pub(crate) guest_identity: GuestIdentity,
    pub(crate) snp: Option<SnpClaims>,
    pub(crate) tpm: Option<TpmClaims>,
    pub(crate) quoted: Option<QuotedTpm>,
    pub(crate) binding: Binding,
    pub(crate) not_after: UnixTime,
}

/// The TPM of a quote: what tells it apart from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotedTpm {
    /// Name of its attestation key. On Azure, whose runtime data give a key without attributes, SHA-256 of the key's
    /// SubjectPublicKeyInfo stands in the Name's digest.
    pub key: ObjectName,
    /// qualifiedSigner of its quote: where the key is in its hierarchy, which does not change as long as the key is the
    /// same.
    pub signer: ObjectName,
}

/// Genuine evidence that answers our challenge, for this recipient and these requests.
#[derive(Debug)]
pub struct VerifiedClaims {
    record: ClaimsRecord,
    quoted: Option<QuotedTpm>,
    recipient: RecipientKey,
    requests: Vec<AttestedRequest>,
    transcript: Vec<u8>,
    transcript_hash: TranscriptHash,
    nonce: Nonce,
    broker: BrokerId,
    valid_until: UnixTime,
}

/// Genuine evidence that answers our challenge with a question: what would be decided about these requests?
///
/// There is deliberately no `request` that gives a [`BoundRequest`]: no policy grants anything on these claims.
#[derive(Debug)]
pub struct PreflightClaims {
    record: ClaimsRecord,
    quoted: Option<QuotedTpm>,
    requests: Vec<AttestedRequest>,
    transcript_hash: TranscriptHash,
    broker: BrokerId,
}

/// One request that verified claims bind: what a policy decides on.
#[derive(Debug)]
pub struct BoundRequest<'a> {
    claims: &'a VerifiedClaims,
    index: u32,
    request: &'a AttestedRequest,
}

/// A transcript that is not well-formed, or not the one that the evidence binds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The challenge is too old.
    #[error("the challenge has expired: expected a time up to {expires}, got {now}; ask for a new challenge")]
    ChallengeExpired {
        /// Its last second.
        expires: UnixTime,
        /// The time of binding.
        now: UnixTime,
    },
    /// A certificate has expired since the evidence was authenticated.
    #[error("the evidence's certificates have expired: expected a time up to {not_after}, got {now}")]
    ChainExpired {
        /// The last second of the first one that expires.
        not_after: UnixTime,
        /// The time of binding.
        now: UnixTime,
    },
    /// The transcript answers another challenge.
    #[error("the transcript is for another challenge: expected nonce {expected}, got {got}")]
    Nonce {
        /// The challenge's.
        expected: Nonce,
        /// The transcript's.
        got: Nonce,
    },
    /// The transcript names another kind of evidence.
    #[error("the transcript names another kind of evidence: expected {expected}, got {got}")]
    EvidenceKind {
        /// The evidence's.
        expected: EvidenceKind,
        /// The transcript's.
        got: EvidenceKind,
    },
    /// No requests, or too many.
    #[error("wrong number of requests: expected 1 to {limit}, got {got}")]
    RequestCount {
        /// Most requests allowed.
        limit: usize,
        /// Requests found.
        got: usize,
    },
    /// An unwrap that names no data key.
    #[error("request {index} is an unwrap and names no data key: expected algorithm, hash and context")]
    UnwrapMissing {
        /// Which request, from 0.
        index: usize,
    },
    /// Another operation that names a data key.
    #[error("request {index} is a {operation} and names a data key: expected none")]
    UnwrapUnexpected {
        /// Which request, from 0.
        index: usize,
        /// Its operation.
        operation: Operation,
    },
    /// A recipient key of another length than its suite's.
    #[error("wrong length of the recipient key: expected {expected} bytes for suite {suite}, got {got}")]
    RecipientLength {
        /// The suite.
        suite: Suite,
        /// Bytes of its public keys.
        expected: usize,
        /// Bytes found.
        got: usize,
    },
    /// The evidence binds something else.
    #[error("the evidence binds another transcript: expected report data {expected}, got {got}")]
    ReportData {
        /// SHA-512 of the transcript.
        expected: Box<TranscriptHash>,
        /// REPORT_DATA of the report.
        got: Box<ReportData>,
    },
    /// A service module's report binds something else.
    #[error("the report binds another transcript or manifest: expected report data {expected}, got {got}")]
    Manifest {
        /// SHA-512 of the transcript's hash and the manifest.
        expected: Box<ReportData>,
        /// REPORT_DATA of the report.
        got: Box<ReportData>,
    },
    /// The quote answers something else, or was made beside another report.
    #[error("the quote binds another transcript or report: expected extra data {expected}, got {}", crate::error::hex(.got))]
    ExtraData {
        /// SHA-256 of the transcript's hash and the report's.
        expected: Sha256Digest,
        /// extraData of the quote.
        got: Vec<u8>,
    },
}

impl Authenticated {
    /// Which kind of evidence it is.
    pub fn evidence(&self) -> EvidenceKind {
        self.kind
    }

    /// What the SNP report says, where there is one.
    pub fn snp(&self) -> Option<&SnpClaims> {
        self.snp.as_ref()
    }

    /// What the TPM's quote says, where there is one.
    pub fn tpm(&self) -> Option<&TpmClaims> {
        self.tpm.as_ref()
    }

    /// Whether the root is a simulated one.
    pub fn simulated(&self) -> bool {
        self.simulated
    }

    /// How far the evidence reaches towards the operating system.
    pub fn os_binding(&self) -> OsBinding {
        self.os_binding
    }

    /// What sets the guest apart from another tenant's with the same measurement.
    pub fn guest_identity(&self) -> GuestIdentity {
        self.guest_identity
    }

    /// Whether the SNP report is as fresh as what answers a challenge: a paravisor's is as old as its boot.
    pub fn snp_fresh(&self) -> bool {
        self.binding.report_is_fresh()
    }

    /// When the first certificate of the chain expires.
    pub fn not_after(&self) -> UnixTime {
        self.not_after
    }

    /// Spends the challenge: checks at `now` that the evidence binds `transcript` and that the transcript answers the
    /// challenge. The broker builds the transcript from its own values where it has them.
    ///
    /// # Errors
    /// [`VerifyError::Bind`], each variant of [`BindError`] for what its name says.
    pub fn bind(
        self,
        challenge: Challenge,
        transcript: &Transcript,
        now: UnixTime,
    ) -> Result<VerifiedClaims, VerifyError> {
        self.check_times(&challenge, now)?;
        check_transcript(transcript, challenge.nonce(), self.evidence())?;
        let bytes = transcript.encode();
        let hash = TranscriptHash(crypto::sha512(&[&bytes]));
        self.binding.check(hash)?;
        Ok(VerifiedClaims {
            recipient: transcript.recipient.clone(),
            requests: transcript.requests.clone(),
            transcript: bytes,
            transcript_hash: hash,
            nonce: transcript.nonce,
            broker: transcript.broker,
            valid_until: now.plus(CLAIMS_LIFETIME_S).min(self.not_after),
            quoted: self.quoted.clone(),
            record: self.into_record(transcript),
        })
    }

    /// Spends the challenge on a question: as [`Self::bind`], with the transcript of a preflight, whose label no release's
    /// transcript has.
    ///
    /// # Errors
    /// As [`Self::bind`].
    pub fn bind_preflight(
        self,
        challenge: Challenge,
        transcript: &PreflightTranscript,
        now: UnixTime,
    ) -> Result<PreflightClaims, VerifyError> {
        self.check_times(&challenge, now)?;
        check_transcript(&transcript.asked, challenge.nonce(), self.evidence())?;
        let hash = TranscriptHash(crypto::sha512(&[&transcript.encode()]));
        self.binding.check(hash)?;
        Ok(PreflightClaims {
            requests: transcript.asked.requests.clone(),
            transcript_hash: hash,
            broker: transcript.asked.broker,
            quoted: self.quoted.clone(),
            record: self.into_record(&transcript.asked),
        })
    }

    fn check_times(&self, challenge: &Challenge, now: UnixTime) -> Result<(), BindError> {
        let (expires, not_after) = (challenge.expires(), self.not_after);
        if now > expires {
            return Err(BindError::ChallengeExpired { expires, now });
        }
        if now > not_after {
            return Err(BindError::ChainExpired { not_after, now });
        }
        Ok(())
    }

    /// For evidence whose binding was found to be the transcript's.
    fn into_record(self, transcript: &Transcript) -> ClaimsRecord {
        ClaimsRecord {
            evidence: self.evidence(),
            simulated: self.simulated,
            snp_fresh: self.snp_fresh(),
            os_binding: self.os_binding,
            guest_identity: self.guest_identity,
            config: transcript.config,
            suite: transcript.recipient.suite,
            snp: self.snp,
            tpm: self.tpm,
        }
    }
}

fn check_transcript(transcript: &Transcript, nonce: Nonce, kind: EvidenceKind) -> Result<(), BindError> {
    if transcript.nonce != nonce {
        return Err(BindError::Nonce { expected: nonce, got: transcript.nonce });
    }
    if transcript.evidence != kind {
        return Err(BindError::EvidenceKind { expected: kind, got: transcript.evidence });
    }
    let RecipientKey { suite, public } = &transcript.recipient;
    let (expected, got) = (suite.public_key_len(), public.len());
    if expected != got {
        return Err(BindError::RecipientLength { suite: *suite, expected, got });
    }
    check_requests(&transcript.requests)
}

fn check_requests(requests: &[AttestedRequest]) -> Result<(), BindError> {
    if requests.is_empty() || requests.len() > MAX_REQUESTS {
        return Err(BindError::RequestCount { limit: MAX_REQUESTS, got: requests.len() });
    }
    for (index, request) in requests.iter().enumerate() {
        match (request.operation, &request.unwrap) {
            (Operation::Unwrap, None) => return Err(BindError::UnwrapMissing { index }),
            (Operation::Unwrap, Some(_)) | (_, None) => (),
            (operation, Some(_)) => return Err(BindError::UnwrapUnexpected { index, operation }),
        }
    }
    Ok(())
}

impl VerifiedClaims {
    /// What the evidence says.
    pub fn record(&self) -> &ClaimsRecord {
        &self.record
    }

    /// The TPM, if its quote is part of the evidence.
    pub fn quoted_tpm(&self) -> Option<&QuotedTpm> {
        self.quoted.as_ref()
    }

    /// Whom keys are sealed to, as the evidence binds it.
    pub fn recipient(&self) -> &RecipientKey {
        &self.recipient
    }

    /// The transcript, encoded.
    pub fn transcript_bytes(&self) -> &[u8] {
        &self.transcript
    }

    /// SHA-512 of the transcript.
    pub fn transcript_hash(&self) -> TranscriptHash {
        self.transcript_hash
    }

    /// The nonce of the challenge that was spent.
    pub fn nonce(&self) -> Nonce {
        self.nonce
    }

    /// The broker that the guest means to talk to.
    pub fn broker(&self) -> BrokerId {
        self.broker
    }

    /// Until when a decision may rest on these claims: 300 seconds, or until a certificate expires.
    pub fn valid_until(&self) -> UnixTime {
        self.valid_until
    }

    /// How many requests the evidence binds: 1 to 32.
    pub fn request_count(&self) -> usize {
        self.requests.len()
    }

    /// The request at this index, from 0, or `None` if there are fewer.
    pub fn request(&self, index: usize) -> Option<BoundRequest<'_>> {
        let request = self.requests.get(index)?;
        Some(BoundRequest { claims: self, index: u32::try_from(index).ok()?, request })
    }
}

impl PreflightClaims {
    /// What the evidence says, before anything is supposed.
    pub fn record(&self) -> &ClaimsRecord {
        &self.record
    }

    /// As [`VerifiedClaims::quoted_tpm`].
    pub fn quoted_tpm(&self) -> Option<&QuotedTpm> {
        self.quoted.as_ref()
    }

    /// The requests that the evidence binds, in order: 1 to 32.
    pub fn requests(&self) -> &[AttestedRequest] {
        &self.requests
    }

    /// SHA-512 of the transcript.
    pub fn transcript_hash(&self) -> TranscriptHash {
        self.transcript_hash
    }

    /// The broker that the guest means to talk to.
    pub fn broker(&self) -> BrokerId {
        self.broker
    }
}

impl<'a> BoundRequest<'a> {
    /// The claims that bind it.
    pub fn claims(&self) -> &'a VerifiedClaims {
        self.claims
    }

    /// Its place among the requests, from 0.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The request.
    pub fn request(&self) -> &'a AttestedRequest {
        self.request
    }
}

/// For how long a decision may rest on claims, in seconds.
const CLAIMS_LIFETIME_S: u64 = 300;
