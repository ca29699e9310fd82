//! The running broker: snapshots of policy and keys, the committing thread, the log's nodes.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use claims::{Nonce, PolicyDigest, RequestId, UnixTime};
use endorsements::Sources;
use journal::{Event, SignedGroup};
use policy::Policy;
use store::{CommitError, Committed, GroupCommit, KeyRow, KeyWrite, LeafRow, Reader, Transaction};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use verify::Endorsements;
use wire::{ChallengeRequest, ChallengeResponse, PreflightRequest, ProblemCode, ReleaseRequest};

use crate::config::Config;
use crate::core::{Core, Prepared, Refusal, internal};
use crate::enrol::EnrolRefusal;
use crate::log::Log;
use crate::preflight::Telling;
use crate::refusals::Refusals;
use crate::ring::KeyRing;
use crate::served::Arrival;

/// Everything that handlers share.
pub struct App {
    /// What decisions rest on.
    pub core: Core,
    /// Where certificates come from that evidence lacks.
    pub(crate) sources: Sources,
    /// The signed statement, as it is sent.
    pub signed_statement: Vec<u8>,
    /// What it says.
    pub statement: wire::Statement,
    /// The journal key's verifier form.
    pub journal_key: String,
    /// Signs key descriptors; checkpoints are signed by the committing thread with the same key.
    pub(crate) signer: tlog::note::Signer,
    /// The configuration.
    pub config: Config,
    pub(crate) policy: RwLock<Arc<Policy>>,
    pub(crate) ring: RwLock<Arc<KeyRing>>,
    pub(crate) commits: GroupCommit<SignedGroup>,
    pub(crate) reader: Reader,
    pub(crate) log: Log,
    pub(crate) refusals: Mutex<Refusals>,
    /// A place for each release that may be under way at a time.
    pub(crate) room: Semaphore,
    /// Policies are loaded one after the other, and not while something is recorded under those in force.
    pub(crate) policy_turn: tokio::sync::Mutex<()>,
    /// Attestation keys change one after the other: each change rests on what the one before it left.
    pub(crate) attestation_keys_turn: tokio::sync::Mutex<()>,
}

/// Why a request got a problem instead of an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// Too many releases are under way; nothing was looked at.
    #[error(
        "too many releases are under way: expected at most {limit}; let guests come back, or raise `max_releases`"
    )]
    Busy {
        /// The configured bound.
        limit: usize,
    },
    /// Preflights are switched off.
    #[error("preflights are switched off; set `preflight` in the broker's configuration to answer them")]
    NoPreflight,
    /// Refused before the evidence was believed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// An attestation key was not enrolled.
    #[error(transparent)]
    Enrol(#[from] EnrolRefusal),
    /// Not recorded, hence not answered.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] crate::log::LogError),
}

impl AppError {
    /// What the guest is told.
    pub fn code(&self) -> ProblemCode {
        match self {
            Self::Busy { .. } => ProblemCode::Overloaded,
            Self::NoPreflight => ProblemCode::NotFound,
            Self::Refused(refusal) => refusal.code(),
            Self::Enrol(refusal) => refusal.code(),
            Self::Commit(
                CommitError::TpmPutBack { .. }
                | CommitError::TpmSigner { .. }
                | CommitError::AttestationKeyWithdrawn { .. },
            ) => ProblemCode::EvidenceRefused,
            Self::Commit(CommitError::ChallengeSpent) => ProblemCode::ChallengeSpent,
            Self::Commit(CommitError::KeyChanged { .. }) => ProblemCode::KeyChanged,
            Self::Commit(CommitError::PolicyChanged { .. }) => ProblemCode::PolicyChanged,
            Self::Commit(CommitError::Overloaded) => ProblemCode::Overloaded,
            Self::Commit(_) => ProblemCode::Unavailable,
            Self::Log(_) => ProblemCode::Internal,
        }
    }

    /// For how long asking again is of no use, in seconds, where the services that have certificates said so.
    pub(crate) fn wait_s(&self) -> Option<u64> {
        let Self::Refused(Refusal::NotEndorsed { error, .. }) = self else { return None };
        // A part of a second is a whole one.
        error.retry_after().map(|wait| wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)))
    }

    /// Which step refused, for the operator.
    pub fn step(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "capacity",
            Self::NoPreflight => "preflight",
            Self::Refused(refusal) => refusal.step(),
            Self::Enrol(_) => "enrolment",
            Self::Commit(_) => "record",
            Self::Log(_) => "log",
        }
    }
}

impl App {
    /// Answers `POST /v1/challenge`.
    ///
    /// # Errors
    /// [`Refusal::Message`] for a body that is none.
    pub fn challenge(&self, body: &[u8], now: UnixTime) -> Result<Vec<u8>, AppError> {
        let request: ChallengeRequest = wire::decode(body).map_err(Refusal::from)?;
        let nonce = Nonce(crypto::random_array().map_err(internal)?);
        let token = self.core.challenge.issue(nonce, now, self.config.challenge_lifetime_s);
        let newer = request.known_statement < self.statement.sequence;
        let response = ChallengeResponse {
            token: token.as_bytes().to_vec(),
            nonce,
            expires: token.expires,
            statement: newer.then(|| self.signed_statement.clone()),
        };
        Ok(wire::encode(&response).map_err(internal)?)
    }

    /// Answers `POST /v1/release`: verify, decide, seal; record; answer.
    ///
    /// # Errors
    /// [`AppError`]; nothing is released then.
    pub async fn release(
        &self,
        body: &[u8],
        request: RequestId,
        arrival: Arrival,
    ) -> Result<Vec<u8>, AppError> {
        let policy = self.policy();
        let ring = Arc::clone(&read(&self.ring));
        let prepare = |message: &ReleaseRequest, fetched: &Endorsements, arrival| {
            self.core.prepare(message, request, &policy, &ring, fetched, arrival)
        };
        let (prepared, _place) = self.prepare(body, arrival, prepare).await?;
        let Prepared { transaction, pending } = prepared;
        let committed = self.commit(transaction).await;
        let committed = committed.inspect_err(|_| self.core.served.take_back(&pending.counted))?;
        pending.trace();
        let consistency = self.log.consistency(&self.reader, pending.known_size, committed.group().size())?;
        Ok(pending.answer(&committed, consistency)?)
    }

    /// Answers `POST /v1/preflight`: verify, evaluate; record; answer. No key is opened for it.
    ///
    /// # Errors
    /// [`AppError`], those of a release and [`AppError::NoPreflight`].
    pub async fn preflight(
        &self,
        body: &[u8],
        request: RequestId,
        arrival: Arrival,
    ) -> Result<Vec<u8>, AppError> {
        let telling = self.config.preflight;
        if telling == Telling::Off {
            return Err(AppError::NoPreflight);
        }
        let policy = self.policy();
        let ring = Arc::clone(&read(&self.ring));
        let prepare = |message: &PreflightRequest, fetched: &Endorsements, arrival| {
            self.core.prepare_preflight(message, request, (&policy, &ring), telling, fetched, arrival)
        };
        let (prepared, _place) = self.prepare(body, arrival, prepare).await?;
        let Prepared { transaction, pending } = prepared;
        let committed = self.commit(transaction).await?;
        Ok(pending.answer(&committed)?)
    }

    /// A place for one release.
    pub(crate) fn place(&self) -> Result<SemaphorePermit<'_>, AppError> {
        let busy = |_| AppError::Busy { limit: self.config.max_releases };
        self.room.try_acquire().map_err(busy)
    }

    /// Waits until a transaction is durable.
    ///
    /// # Errors
    /// [`CommitError`]; nothing of it was written then.
    pub async fn commit(&self, transaction: Transaction) -> Result<Committed<SignedGroup>, CommitError> {
        let (answer, answered) = oneshot::channel();
        self.commits.submit(transaction, move |result| {
            // A caller that has gone away needs no answer; what was recorded stays recorded.
            let _ = answer.send(result);
        });
        let gone = |_| CommitError::Stopped("the committing thread has ended".to_owned());
        let committed = answered.await.map_err(gone)??;
        self.log.grown(committed.group());
        Ok(committed)
    }

    /// Writes a key with the leaf that records it, and takes it up; not if other policies are in force by then than
    /// those that permitted it.
    ///
    /// # Errors
    /// [`CommitError`]; the key is as it was then.
    pub async fn write_key(
        &self,
        (policy, now): (PolicyDigest, UnixTime),
        write: KeyWrite,
        leaf: LeafRow,
    ) -> Result<(), CommitError> {
        let row = match &write {
            KeyWrite::Create(row) | KeyWrite::Replace(row) => row.clone(),
        };
        let mut transaction = Transaction::new(now);
        transaction.policy = Some(policy);
        transaction.keys.push(write);
        transaction.leaves.push(leaf);
        self.commit(transaction).await?;
        self.take_up(row);
        Ok(())
    }

    fn take_up(&self, row: KeyRow) {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut ring).put(row);
    }

    /// Counts a refusal and keeps its reason for operators, within bounds.
    pub fn refused(&self, request: RequestId, at: UnixTime, error: &AppError) {
        let detail = format!("{}: {error}", error.step());
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.add(request, at, error.code().as_str(), detail);
    }

    /// Stores kept refusals and publishes the log. Failures are logged: guests are served from the store.
    pub async fn housekeep(&self) {
        let kept = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).take_kept();
        if !kept.is_empty() {
            let mut transaction = Transaction::new(crate::public::now());
            transaction.refusals = kept;
            if let Err(error) = self.commit(transaction).await {
                tracing::warn!(%error, "refusals could not be stored");
            }
        }
        if let Err(error) = self.log.publish(&self.reader) {
            tracing::warn!(%error, "the log could not be published");
        }
    }

    /// Sums the refusals of the last minute in one leaf.
    pub async fn sum_refusals(&self) {
        let counts = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).take_counts();
        if counts.is_empty() {
            return;
        }
        let now = crate::public::now();
        let counts = counts.into_iter().map(|(code, count)| (code.to_owned(), count)).collect();
        let from = UnixTime(now.0.saturating_sub(60));
        let Ok(salt) = crypto::random_array() else { return };
        // What is in force stays so until this is recorded.
        let _policy_stays = self.policy_turn.lock().await;
        let (broker, policy) = (self.core.broker, self.policy().digest());
        let refusals = journal::Refusals { broker, policy: Some(policy), from, until: now, counts };
        let mut transaction = Transaction::new(now);
        transaction.policy = Some(policy);
        transaction.leaves.push(Event::Refusals(refusals).row(salt, None, None));
        if let Err(error) = self.commit(transaction).await {
            tracing::warn!(%error, "refusals could not be journalled");
        }
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&read(&self.policy))
    }

    pub(crate) fn keys(&self) -> Arc<KeyRing> {
        Arc::clone(&read(&self.ring))
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}
