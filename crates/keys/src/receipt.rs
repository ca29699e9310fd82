//! [`Receipted`]: proof that every release of an answer is in the broker's public log.
//!
//! The steps, in order; the number stands again at the line that does it:
//!
//! 1. The checkpoint is signed by a journal key of the pinned broker, and is of its log.
//! 2. As many of the configured witnesses have cosigned it as the configuration asks for.
//! 3. It extends the checkpoint that the guest kept, if it kept one.
//! 4. The version is the one asked for, if one was.
//! 5. The leaf, rebuilt from the guest's own values and the sealed bytes that came, is in the tree.
//!
//! A broker that leaves a release out of its log, and anybody who plants a key, fails at 5: the leaf covers the
//! hash of the transcript and of the sealed bytes. Layouts are in `crates/journal/SPEC.md`.

use claims::leaf::{LeafKind, ReleaseRecord, Salt};
use claims::{
    AttestedRequest, KeyId, KeyVersion, Operation, PolicyDigest, Sha256Digest, Transcript, TranscriptHash,
    UnixTime, VersionSelector,
};
use tlog::note::VerifierKey;
use tlog::witness::WitnessKey;
use tlog::{Checkpoint, CheckpointError, Hash, KeyName, ProofError, VerifiedCheckpoint};

use crate::SealedKey;

/// What the broker sends for one permitted request. Nothing in it is believed before [`Receipted::check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Place of the request in the transcript, from 0.
    pub index: u32,
    /// The key's version.
    pub version: KeyVersion,
    /// What was sealed.
    pub sealed: SealedKey,
    /// What the guest cannot know by itself.
    pub receipt: Receipt,
}

/// What a guest needs besides its own values to find its release in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The policy bundle that permitted it.
    pub policy: PolicyDigest,
    /// The key's commitment.
    pub key_commitment: Sha256Digest,
    /// When the broker decided, by its clock.
    pub decided_at: UnixTime,
    /// The record's salt.
    pub salt: Salt,
    /// Place of the leaf in the log, from 0.
    pub leaf: u64,
    /// Inclusion proof in the checkpoint's tree.
    pub proof: Vec<Hash>,
}

/// The state of the log that all receipts of one answer lead to.
#[derive(Clone, Copy, Debug)]
pub struct LogHead<'a> {
    /// The signed checkpoint.
    pub checkpoint: &'a [u8],
    /// Consistency proof from the checkpoint that the guest kept; empty if it kept none.
    pub consistency: &'a [Hash],
}

/// What the guest believes about logs before it hears from one.
#[derive(Clone, Debug)]
pub struct LogTrust {
    /// The log's name.
    pub origin: KeyName,
    /// Keys that may sign for it, from the broker's verified statement.
    pub journal_keys: Vec<VerifierKey>,
    /// Witnesses whose cosignatures count.
    pub witnesses: Vec<WitnessKey>,
    /// How many of them a checkpoint needs.
    pub quorum: usize,
    /// The checkpoint kept from an earlier answer.
    pub kept: Option<Checkpoint>,
}

/// Why an answer is refused. All but a fault of the guest's own store mean: do not use this broker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The checkpoint does not count.
    #[error("the log's checkpoint is refused: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// Too few witnesses have seen the log.
    #[error("too few witnesses have cosigned the checkpoint: expected {expected}, got {got}")]
    Witnesses {
        /// Cosignatures asked for.
        expected: usize,
        /// Cosignatures found.
        got: usize,
    },
    /// The log is not the one of the last time, grown.
    #[error("the log does not extend the one seen before: {0}; a log that forgets may hide releases")]
    Inconsistent(ProofError),
    /// The answer is to a request that was not made.
    #[error("an answer for request {index} of {requests}")]
    NoSuchRequest {
        /// Its place.
        index: u32,
        /// How many requests there were.
        requests: usize,
    },
    /// Another version than the one asked for.
    #[error("wrong version of `{key}`: expected {expected}, got {got}")]
    Version {
        /// The key.
        key: KeyId,
        /// The version asked for.
        expected: KeyVersion,
        /// The version answered.
        got: KeyVersion,
    },
    /// The release is not in the log, or what came is not what was logged.
    #[error("the release of `{key}` is not in the broker's log: {source}; the key is refused")]
    NotLogged {
        /// The key.
        key: KeyId,
        /// What does not fit.
        source: ProofError,
    },
}

/// Answers whose releases are in the log. Only [`Receipted::check`] makes one, and only [`crate::open`] spends it.
#[derive(Debug)]
pub struct Receipted {
    transcript: Vec<u8>,
    answers: Vec<Accepted>,
    checkpoint: Checkpoint,
}

/// One answer whose leaf is in the log.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) index: u32,
    pub(crate) operation: Operation,
    pub(crate) key: KeyId,
    pub(crate) version: KeyVersion,
    pub(crate) key_commitment: Sha256Digest,
    pub(crate) sealed: SealedKey,
}

impl Receipted {
    /// Checks every receipt of an answer; `transcript` is the guest's own.
    ///
    /// # Errors
    /// [`ReceiptError`] for the first thing that does not fit; no key is opened then.
    pub fn check(
        transcript: &Transcript,
        answers: Vec<Answer>,
        head: LogHead<'_>,
        trust: &LogTrust,
    ) -> Result<Self, ReceiptError> {
        // 1
        let verified = VerifiedCheckpoint::open(head.checkpoint, &trust.origin, &trust.journal_keys)?;
        // 2
        let got = verified.cosignatures(&trust.witnesses)?.len();
        if got < trust.quorum {
            return Err(ReceiptError::Witnesses { expected: trust.quorum, got });
        }
        let checkpoint = verified.checkpoint().clone();
        // 3
        if let Some(kept) = &trust.kept {
            let (old, new) = (kept, &checkpoint);
            tlog::verify_consistency(old.size, &old.root, new.size, &new.root, head.consistency)
                .map_err(ReceiptError::Inconsistent)?;
        }
        let encoded = transcript.encode();
        let hash = TranscriptHash(crypto::sha512(&[&encoded]));
        let accept = |answer| accept(transcript, hash, &checkpoint, answer);
        let answers = answers.into_iter().map(accept).collect::<Result<_, _>>()?;
        Ok(Self { transcript: encoded, answers, checkpoint })
    }

    /// The checkpoint, to be kept for the next time.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    pub(crate) fn into_parts(self) -> (Vec<u8>, Vec<Accepted>) {
        (self.transcript, self.answers)
    }
}

fn accept(
    transcript: &Transcript,
    hash: TranscriptHash,
    checkpoint: &Checkpoint,
    answer: Answer,
) -> Result<Accepted, ReceiptError> {
    let Answer { index, version, sealed, receipt } = answer;
    let request = usize::try_from(index).ok().and_then(|i| transcript.requests.get(i));
    let requests = transcript.requests.len();
    let AttestedRequest { operation, key, version: wanted, .. } =
        request.ok_or(ReceiptError::NoSuchRequest { index, requests })?.clone();
    // 4
    if let VersionSelector::Exact(expected) = wanted
        && expected != version
    {
        return Err(ReceiptError::Version { key, expected, got: version });
    }
    // 5
    let record = ReleaseRecord {
        broker: transcript.broker,
        transcript: hash,
        index,
        operation,
        key: key.clone(),
        version,
        key_commitment: receipt.key_commitment,
        policy: receipt.policy,
        sealed: sealed.digest(),
        decided_at: receipt.decided_at,
    };
    let entry = tlog::entry(LeafKind::Release, &receipt.salt, &record.encode());
    let leaf = tlog::leaf_hash(&entry);
    tlog::verify_inclusion(&leaf, receipt.leaf, checkpoint.size, &receipt.proof, &checkpoint.root)
        .map_err(|source| ReceiptError::NotLogged { key: key.clone(), source })?;
    Ok(Accepted { index, operation, key, version, key_commitment: receipt.key_commitment, sealed })
}
