//! The guest's side of the protocol, without I/O: bytes in, bytes out, one type for each state.
//!
//! ```text
//! Session::new ──challenge request──▶ on_challenge ──▶ Attesting ──report data──▶ attester
//!                                                          │
//!       Outcome ◀── on_answer ◀── Awaiting ◀──release request── with_evidence
//! ```
//!
//! Each step takes the one before by value, so a challenge, a recipient key and an answer are used once. Nothing
//! here believes a broker: its statement is checked against the pinned identity, its answers against the log.

use claims::{
    BrokerId, ConfigDigest, EvidenceKind, KeyId, KeyVersion, Operation, PreflightTranscript, ReportData,
    RequestId, Sha256Digest, Suite, Transcript, VersionSelector,
};
use keys::{
    Answer, KeyError, LogHead, LogTrust, OpenError, Opened, Receipt, ReceiptError, Receipted,
    RecipientSecret, SealedKey,
};
use tlog::witness::WitnessKey;
use tlog::{BadKey, Checkpoint, Hash};
use wire::{
    ChallengeRequest, ChallengeResponse, Prediction, PreflightRequest, ReleaseRequest, ReleaseResponse,
    Request, Unwrap,
};

use crate::preflight::Asking;
use crate::statement::{StatementError, VerifiedStatement};

/// One thing that the guest wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What to do.
    pub operation: Operation,
    /// With which key.
    pub key: KeyId,
    /// With which version.
    pub version: VersionSelector,
    /// For `unwrap`, and only there: the wrapped DEK.
    pub unwrap: Option<Unwrap>,
}

/// What the guest knows before it hears from anyone.
#[derive(Debug)]
pub struct Knowledge {
    /// Pinned identities: the broker's, and at most one successor's.
    pub pins: Vec<BrokerId>,
    /// Digest of the agent's configuration.
    pub config: ConfigDigest,
    /// The suite to seal with.
    pub suite: Suite,
    /// What kind of evidence the attester gives.
    pub evidence: EvidenceKind,
    /// Witnesses whose cosignatures count.
    pub witnesses: Vec<WitnessKey>,
    /// How many of them a checkpoint needs.
    pub quorum: usize,
    /// The statement at hand.
    pub statement: Option<VerifiedStatement>,
    /// The checkpoint at hand.
    pub checkpoint: Option<Checkpoint>,
}

/// Why a session ended without its keys. [`Self::blames_broker`] tells whom to look at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The broker's message is malformed.
    #[error("malformed answer of the broker: {0}")]
    Malformed(#[from] wire::DecodeError),
    /// The request cannot be sent.
    #[error(transparent)]
    Request(#[from] wire::EncodeError),
    /// The broker's statement is refused.
    #[error("refusing the broker: {0}")]
    Statement(#[from] StatementError),
    /// The broker answered more or fewer requests than were made.
    #[error("wrong number of answers: expected {expected}, got {got}")]
    Answers {
        /// Requests made.
        expected: usize,
        /// Answers found.
        got: usize,
    },
    /// The broker answered about another version of a key.
    #[error("the broker answered about another version: expected {expected}, got {got}")]
    Version {
        /// The one asked about.
        expected: KeyVersion,
        /// The one answered about.
        got: KeyVersion,
    },
    /// A receipt does not fit.
    #[error("refusing the broker: {0}")]
    Receipt(#[from] ReceiptError),
    /// A sealed key is not what it should be.
    #[error("refusing the broker: {0}")]
    Open(#[from] OpenError),
    /// The log's name cannot be one.
    #[error("cannot name the broker's log: {0}")]
    Origin(#[from] BadKey),
    /// No recipient key could be made.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl SessionError {
    /// Whether the broker, or somebody in its place, misbehaved.
    pub fn blames_broker(&self) -> bool {
        !matches!(self, Self::Request(_) | Self::Key(_))
    }
}

/// A session that has not begun.
#[derive(Debug)]
pub struct Session {
    knowledge: Knowledge,
    wanted: Vec<Wanted>,
}

/// The challenge came and the transcript stands; evidence is next.
pub struct Attesting {
    knowledge: Knowledge,
    statement: VerifiedStatement,
    token: Vec<u8>,
    wanted: Vec<Wanted>,
    secret: RecipientSecret,
    transcript: Transcript,
}

/// The request is out; the answer is next.
pub struct Awaiting {
    knowledge: Knowledge,
    statement: VerifiedStatement,
    secret: RecipientSecret,
    transcript: Transcript,
}

/// What a session brought.
pub struct Outcome {
    /// What to quote to an operator.
    pub request_id: RequestId,
    /// What came, in order of the requests: an opened answer, or the broker's coarse code of denial.
    pub answers: Vec<Result<Opened, String>>,
    /// To be kept for the next session.
    pub checkpoint: Checkpoint,
    /// To be kept for the next session.
    pub statement: VerifiedStatement,
}

impl Session {
    /// A session for these requests, 1 to 32.
    pub fn new(knowledge: Knowledge, wanted: Vec<Wanted>) -> Self {
        Self { knowledge, wanted }
    }

    /// The body of `POST /v1/challenge`.
    ///
    /// # Errors
    /// [`SessionError::Request`] never, for a message of this size.
    pub fn challenge_request(&self) -> Result<Vec<u8>, SessionError> {
        let known_statement = self.knowledge.statement.as_ref().map_or(0, VerifiedStatement::sequence);
        Ok(wire::encode(&ChallengeRequest { known_statement })?)
    }

    /// Takes the challenge; `peer_key` is the SHA-256 of the key that the TLS connection ends at.
    ///
    /// # Errors
    /// [`SessionError`] if the statement is not the pinned broker's or does not name that key. Nothing of worth has
    /// been sent by then.
    pub fn on_challenge(
        mut self,
        response: &[u8],
        peer_key: Sha256Digest,
    ) -> Result<Attesting, SessionError> {
        let challenge: ChallengeResponse = wire::decode(response)?;
        let sent = challenge.statement.as_deref();
        let sent = sent.map(|bytes| VerifiedStatement::open(bytes, &self.knowledge.pins)).transpose()?;
        let statement = VerifiedStatement::newest(self.knowledge.statement.take(), sent)?;
        statement.check_tls_key(peer_key)?;
        let secret = RecipientSecret::generate(self.knowledge.suite)?;
        let transcript = Transcript {
            broker: statement.broker(),
            nonce: challenge.nonce,
            recipient: secret.public().clone(),
            evidence: self.knowledge.evidence,
            config: self.knowledge.config,
            requests: self.wanted.iter().map(|wanted| request(wanted).attested(sha256)).collect(),
        };
        let Self { knowledge, wanted } = self;
        Ok(Attesting { knowledge, statement, token: challenge.token, wanted, secret, transcript })
    }
}

fn sha256(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest(crypto::sha256(&[bytes]))
}

fn request(wanted: &Wanted) -> Request {
    let Wanted { operation, key, version, unwrap } = wanted.clone();
    Request { operation, key, version, unwrap }
}

impl Attesting {
    /// What the evidence must carry: SHA-512 of the transcript.
    pub fn report_data(&self) -> ReportData {
        ReportData(crypto::sha512(&[&self.transcript.encode()]))
    }

    /// Makes a question of the session: what would be decided, about this guest or about what it supposes of its next
    /// boot? The recipient's secret is dropped, since nothing will be sealed to it.
    pub fn into_preflight(self, prediction: Option<Prediction>) -> Asking {
        let asked = ReleaseRequest { known_checkpoint_size: 0, ..self.message(Vec::new()) };
        let message = PreflightRequest { asked, prediction };
        let prediction = message.prediction.as_ref().map(|prediction| prediction.digest(sha256));
        Asking::new(message, PreflightTranscript { asked: self.transcript, prediction })
    }

    /// The body of `POST /v1/release`.
    ///
    /// # Errors
    /// [`SessionError::Request`] if evidence or requests are too large.
    pub fn with_evidence(self, evidence: Vec<u8>) -> Result<(Vec<u8>, Awaiting), SessionError> {
        let bytes = wire::encode(&self.message(evidence))?;
        let Self { knowledge, statement, secret, transcript, .. } = self;
        Ok((bytes, Awaiting { knowledge, statement, secret, transcript }))
    }

    fn message(&self, evidence: Vec<u8>) -> ReleaseRequest {
        let recipient = self.secret.public();
        ReleaseRequest {
            token: self.token.clone(),
            kind: self.knowledge.evidence,
            evidence,
            suite: recipient.suite,
            recipient: recipient.public.clone(),
            config: self.knowledge.config,
            requests: self.wanted.iter().map(request).collect(),
            known_checkpoint_size: self.knowledge.checkpoint.as_ref().map_or(0, |kept| kept.size),
        }
    }
}

impl Awaiting {
    /// Takes the answer: checks every receipt, then opens every key.
    ///
    /// # Errors
    /// [`SessionError`] if anything does not fit; no key is kept then.
    pub fn on_answer(self, response: &[u8]) -> Result<Outcome, SessionError> {
        let response: ReleaseResponse = wire::decode(response)?;
        let (expected, got) = (self.transcript.requests.len(), response.answers.len());
        if expected != got {
            return Err(SessionError::Answers { expected, got });
        }
        let trust = LogTrust {
            origin: self.statement.broker().log_origin().parse()?,
            journal_keys: self.statement.journal_keys()?,
            witnesses: self.knowledge.witnesses,
            quorum: self.knowledge.quorum,
            kept: self.knowledge.checkpoint,
        };
        let consistency: Vec<Hash> = response.consistency.iter().map(|hash| Hash(hash.0)).collect();
        let head = LogHead { checkpoint: &response.checkpoint, consistency: &consistency };
        let (permitted, mut denials) = sort(response.answers);
        let receipted = Receipted::check(&self.transcript, permitted, head, &trust)?;
        let checkpoint = receipted.checkpoint().clone();
        let mut opened = keys::open(self.secret, receipted)?.into_iter().peekable();
        let answers = (0u32..)
            .zip(0..got)
            .filter_map(|(index, _)| match opened.next_if(|opened| opened.index == index) {
                Some(opened) => Some(Ok(opened)),
                None => denials.next().map(Err),
            })
            .collect();
        Ok(Outcome { request_id: response.request_id, answers, checkpoint, statement: self.statement })
    }
}

/// Permits with their places, and the codes of denials, both in order.
fn sort(answers: Vec<wire::Answer>) -> (Vec<Answer>, std::vec::IntoIter<String>) {
    let (mut permitted, mut denials) = (Vec::new(), Vec::new());
    for (index, answer) in (0u32..).zip(answers) {
        match answer {
            wire::Answer::Permit(permit) => permitted.push(into_answer(index, permit)),
            wire::Answer::Denial(denial) => denials.push(denial.code),
        }
    }
    (permitted, denials.into_iter())
}

fn into_answer(index: u32, permit: wire::Permit) -> Answer {
    let sealed = permit.sealed.map_or_else(SealedKey::nothing, |sealed| SealedKey {
        encapsulated: sealed.encapsulated,
        ciphertext: sealed.ciphertext,
    });
    let wire::Receipt { policy, key_commitment, decided_at, salt, index: leaf, proof } = permit.receipt;
    let proof = proof.iter().map(|hash| Hash(hash.0)).collect();
    let receipt = Receipt { policy, key_commitment, decided_at, salt, leaf, proof };
    Answer { index, version: permit.version, sealed, receipt }
}
