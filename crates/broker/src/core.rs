//! What the broker decides with, and the steps of a release without I/O: bytes in, a transaction and sealed keys
//! under embargo out; then, once the transaction is durable, the answer.
//!
//! ```text
//! body ─▶ Core::prepare ─▶ Prepared { transaction, pending } ──commit──▶ Pending::answer ─▶ body
//!              │ Refusal: before the evidence was believed               (RecordedGrant, receipts)
//! ```
//!
//! Cheap checks come first: message, token, then signatures; no key and no policy is looked up before the evidence
//! verifies. Time and randomness of the answer are arguments or drawn through `crypto`.

use std::sync::Arc;

use claims::tpm::{ObjectName, TpmClaims};
use claims::{BrokerId, ClaimsRecord, KeyId, RequestId, Sha256Digest, TpmCounters, UnixTime};
use endorsements::FindError;
use evidence::{Evidence, EvidenceError};
use journal::Salts;
use policy::case::Kept;
use policy::{Circumstances, Policy};
use release::{RootKey, UnwrapInput};
use store::{ClaimsRow, KeyUnchanged, SeenTpm, SeenVouchedTpm, SpentNonce, Transaction};
use verify::challenge::{Challenge, ChallengeKey};
use verify::{
    Authenticated, BindError, BoundRequest, ChallengeError, Endorsements, EndorsementsError, QuotedTpm,
    TpmVerifyError, TrustAnchors, VerifiedClaims, VerifyError, authenticate_enrolled,
};
use wire::{ProblemCode, ReleaseRequest};

use crate::answer::{Decided, Pending, PendingAnswer};
use crate::attestation_keys::AttestationKeys;
use crate::predicted::PredictionError;
use crate::revocation::Lists;
use crate::ring::KeyRing;
use crate::served::{Arrival, Launch, Served};
use crate::tpm_roots::TpmRoots;

/// What decisions rest on. Policy and keys are snapshots; the transaction checks that they still hold.
pub struct Core {
    /// Who we are.
    pub broker: BrokerId,
    /// Opens challenges.
    pub challenge: ChallengeKey,
    /// Whose evidence counts.
    pub anchors: TrustAnchors,
    /// Certificates for guests whose evidence carries none.
    pub endorsements: Endorsements,
    /// The revocation lists in force.
    pub crls: Lists,
    /// Roots of TPMs' endorsement certificates.
    pub ek_roots: TpmRoots,
    /// Attestation keys that are enrolled.
    pub attestation_keys: AttestationKeys,
    /// Opens KEKs for grants.
    pub root: RootKey,
    /// How long challenges live, in seconds.
    pub challenge_lifetime_s: u64,
    /// What was served of late.
    pub served: Served,
}

/// Why a request was refused as a whole, before its evidence was believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The body is no message.
    #[error(transparent)]
    Message(#[from] wire::DecodeError),
    /// The token is not ours, or too old.
    #[error(transparent)]
    Challenge(#[from] ChallengeError),
    /// The evidence cannot be read.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The certificates cannot be used.
    #[error(transparent)]
    Endorsements(#[from] EndorsementsError),
    /// The evidence is not genuine.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The evidence lacks a certificate, and no source had it.
    #[error("{refused}; {error}")]
    NotEndorsed {
        /// What the evidence was refused with as it came.
        refused: Box<VerifyError>,
        /// Each source that was asked, and what came of it.
        error: Arc<FindError>,
    },
    /// The evidence is genuine and does not answer this challenge with this request.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The evidence is genuine, and what the guest supposes of its next boot does not fit it.
    #[error(transparent)]
    Prediction(#[from] PredictionError),
    /// A sealed answer could not be staged.
    #[error("cannot prepare the answer: {0}")]
    Internal(String),
}

impl Refusal {
    /// What the guest is told.
    pub fn code(&self) -> ProblemCode {
        match self {
            Self::Message(_) => ProblemCode::MalformedRequest,
            Self::Challenge(ChallengeError::Expired { .. }) => ProblemCode::ChallengeExpired,
            Self::Challenge(_) => ProblemCode::ChallengeInvalid,
            Self::Verify(VerifyError::Unsupported { .. }) | Self::Prediction(_) => ProblemCode::Unsupported,
            Self::Verify(VerifyError::Tpm(TpmVerifyError::AkUnknown { .. })) => {
                ProblemCode::EnrolmentRequired
            }
            Self::NotEndorsed { error, .. } if error.retry_after().is_some() => ProblemCode::Unavailable,
            Self::Internal(_) => ProblemCode::Internal,
            _ => ProblemCode::EvidenceRefused,
        }
    }

    /// Which step refused, for the operator.
    pub fn step(&self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::Challenge(_) => "challenge",
            Self::Evidence(_) => "evidence",
            Self::Endorsements(_) | Self::NotEndorsed { .. } => "endorsements",
            Self::Verify(_) => "verification",
            Self::Bind(_) => "binding",
            Self::Prediction(_) => "prediction",
            Self::Internal(_) => "broker",
        }
    }
}

/// A request that is decided and not yet recorded.
pub struct Prepared<P = Pending> {
    /// What must become durable before anything is answered.
    pub transaction: Transaction,
    /// What is answered then.
    pub pending: P,
}

impl Core {
    /// Verifies a request, decides it, and seals what is granted. `fetched` are certificates that were found for
    /// this evidence, where it brings none that will do.
    ///
    /// # Errors
    /// [`Refusal`] if the evidence is not believed. What policy denies is no refusal but an answer.
    pub fn prepare(
        &self,
        message: &ReleaseRequest,
        request_id: RequestId,
        policy: &Arc<Policy>,
        ring: &KeyRing,
        fetched: &Endorsements,
        arrival: Arrival,
    ) -> Result<Prepared, Refusal> {
        let now = arrival.now;
        let challenge = self.challenge.open(&message.token, now)?;
        let nonce = SpentNonce { nonce: challenge.nonce(), expires: challenge.expires() };
        let claims = self.believe(message, challenge, fetched, now)?;
        let guest = Launch::of(claims.record());
        let mut transaction = self.transaction(nonce, claims.record(), claims.quoted_tpm(), policy, now);
        let mut decisions = Vec::with_capacity(message.requests.len());
        let (mut kept, mut counted) = (Kept::new(claims.record(), now), Vec::new());
        for (index, request) in message.requests.iter().enumerate() {
            let bound = claims.request(index).ok_or_else(|| internal("a request vanished"))?;
            let unwrap = request.unwrap.as_ref();
            let unwrap = unwrap.map(|u| UnwrapInput { wrapped: &u.wrapped, context: &u.context });
            let circumstances = self.circumstances(&guest, &bound.request().key, &nonce, arrival);
            let mut decided = self.decide((&guest, &bound), unwrap, policy, ring, circumstances);
            kept.add(&decided.circumstances, bound.request(), decided.key.as_ref());
            counted.extend(decided.counted.take());
            decided.unchanged().iter().for_each(|unchanged| add_unchanged(&mut transaction, unchanged));
            decisions.push((bound, decided));
        }
        let keys: Vec<_> = decisions.iter().filter_map(|(_, decided)| decided.key.as_ref()).collect();
        kept.complete(claims.record(), policy, &keys);
        let (beside_leaves, salts) = beside(&kept, now)?;
        let stage = |(bound, decided): (BoundRequest<'_>, Decided)| {
            let salt = salts.salt(bound.index());
            PendingAnswer::stage(&bound, decided, request_id, policy.digest(), salt, now)
        };
        let answers: Vec<_> = decisions.into_iter().map(stage).collect::<Result<_, _>>()?;
        let served = answers.iter().any(|answer| matches!(answer, PendingAnswer::Permit { .. }));
        transaction.vouched_tpm.iter_mut().for_each(|seen| seen.served = served);
        transaction.leaves = answers.iter().map(PendingAnswer::row).collect();
        transaction.claims = beside_leaves;
        let known_size = message.known_checkpoint_size;
        Ok(Prepared { transaction, pending: Pending { request_id, answers, counted, known_size } })
    }

    /// When and from where a request came, how old its evidence may be, and what was served before it.
    pub(crate) fn circumstances(
        &self,
        guest: &Launch,
        key: &KeyId,
        nonce: &SpentNonce,
        Arrival { now, network }: Arrival,
    ) -> Circumstances {
        let issued = nonce.expires.0.saturating_sub(self.challenge_lifetime_s);
        let evidence_age_s = u32::try_from(now.0.saturating_sub(issued)).unwrap_or(u32::MAX);
        Circumstances { now, evidence_age_s, network, recent: self.served.recent(guest, key, now) }
    }

    /// What is to be durable of any request that was believed, but its leaves: the nonce, and that TPM and policy are
    /// those that it rests on.
    pub(crate) fn transaction(
        &self,
        nonce: SpentNonce,
        record: &ClaimsRecord,
        quoted: Option<&QuotedTpm>,
        policy: &Policy,
        now: UnixTime,
    ) -> Transaction {
        let mut transaction = Transaction::new(now);
        transaction.nonce = Some(nonce);
        if let Some((tpm, quoted)) = record.tpm.as_ref().zip(quoted) {
            transaction.tpm = self.seen(tpm, quoted);
            transaction.vouched_tpm = transaction.tpm.is_none().then(|| seen_vouched(tpm, quoted));
        }
        transaction.policy = Some(policy.digest());
        transaction
    }

    /// Challenge, evidence and transcript, in this order.
    fn believe(
        &self,
        message: &ReleaseRequest,
        challenge: Challenge,
        fetched: &Endorsements,
        now: UnixTime,
    ) -> Result<VerifiedClaims, Refusal> {
        let authenticated = self.authenticate(message, fetched, now)?;
        let sha256 = |bytes: &[u8]| Sha256Digest(crypto::sha256(&[bytes]));
        let transcript = message.transcript(self.broker, challenge.nonce(), sha256);
        Ok(authenticated.bind(challenge, &transcript, now)?)
    }

    /// The evidence of a message, whatever it answers.
    pub(crate) fn authenticate(
        &self,
        message: &ReleaseRequest,
        fetched: &Endorsements,
        now: UnixTime,
    ) -> Result<Authenticated, Refusal> {
        let evidence = Evidence::parse(message.kind, &message.evidence)?;
        let endorsements = Endorsements::from_evidence(&evidence);
        // What was fetched is a whole chain; then the operator's few are not needed.
        let known =
            [fetched, &self.endorsements].into_iter().find(|known| known.certificates().next().is_some());
        let endorsements = match known {
            Some(known) => endorsements.merge(known.clone())?,
            None => endorsements,
        };
        let endorsements = endorsements.merge(Endorsements::clone(&self.crls.in_force()))?;
        let enrolled = &self.attestation_keys;
        Ok(authenticate_enrolled(evidence, &endorsements, &self.anchors, enrolled, now, &mut |_, _| ())?)
    }

    /// What the transaction checks of a TPM whose key is durable.
    fn seen(&self, tpm: &TpmClaims, quoted: &QuotedTpm) -> Option<SeenTpm> {
        let ak = self.attestation_keys.durable(tpm.ak_name.as_ref()?)?.name;
        let signer = quoted.signer.clone();
        Some(SeenTpm { counters: counters(tpm, ak), signer, slack_ms: CHALLENGE_MAX_MS })
    }
}

/// What the transaction checks of a TPM that a report vouches for. It is not served yet.
fn seen_vouched(tpm: &TpmClaims, quoted: &QuotedTpm) -> SeenVouchedTpm {
    let QuotedTpm { key, signer } = quoted.clone();
    SeenVouchedTpm { counters: counters(tpm, key), signer, slack_ms: CHALLENGE_MAX_MS, served: false }
}

fn counters(tpm: &TpmClaims, ak: ObjectName) -> TpmCounters {
    let (resets, restarts) = (tpm.reset_count, tpm.restart_count);
    TpmCounters { ak, resets, restarts, clock_ms: tpm.clock_ms }
}

/// What is kept beside the leaves of a request, and the salts that commit to it. What is too long is not kept, and the
/// salts commit to nothing.
fn beside(kept: &Kept, now: UnixTime) -> Result<(Option<ClaimsRow>, Salts), Refusal> {
    let blind = crypto::random_array().map_err(internal)?;
    let text = kept.to_text();
    let salts = Salts::new(blind, text.as_deref().unwrap_or_default());
    Ok((text.map(|text| ClaimsRow { at: now, blind, text }), salts))
}

pub(crate) fn add_unchanged(transaction: &mut Transaction, unchanged: &KeyUnchanged) {
    if !transaction.keys_unchanged.contains(unchanged) {
        transaction.keys_unchanged.push(unchanged.clone());
    }
}

pub(crate) fn internal(what: impl ToString) -> Refusal {
    Refusal::Internal(what.to_string())
}

/// The longest that a challenge lives, in milliseconds: quotes of one TPM come in any order within it.
const CHALLENGE_MAX_MS: u64 = 300_000;
