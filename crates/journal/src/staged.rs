//! A grant on its way into the journal: [`Staged`], then [`RecordedGrant`].

use std::sync::Arc;

use claims::leaf::{Entry, LeafKind, ReleaseRecord, Salt};
use claims::{KeyId, KeyVersion, Operation, PolicyDigest, RequestId, Sha256Digest, TranscriptHash, UnixTime};
use policy::Grant;
use store::{Committed, LeafRow};
use tlog::{InclusionProof, ProofError, leaf_hash, verify_inclusion};

use crate::SignedGroup;

/// A release that is about to be recorded. Holds the grant that it spent.
#[derive(Debug)]
pub struct Staged {
    grant: Grant,
    record: ReleaseRecord,
    salt: Salt,
    entry: Entry,
}

/// A grant whose release is durable and proven in a signed tree. Spent by `release`, for the sealed key.
#[derive(Debug)]
pub struct RecordedGrant {
    grant: Grant,
    sealed: Sha256Digest,
    receipt: ReceiptParts,
}

/// What a guest needs, besides its own values, to find its release in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptParts {
    /// The policy bundle that permitted it.
    pub policy: PolicyDigest,
    /// The key's commitment.
    pub key_commitment: Sha256Digest,
    /// When the broker decided, by its clock.
    pub decided_at: UnixTime,
    /// The record's salt.
    pub salt: Salt,
    /// Place of the leaf in the journal, from 0.
    pub leaf: u64,
    /// Leaves in the tree that the checkpoint signs.
    pub tree_size: u64,
    /// That the leaf is in that tree.
    pub proof: InclusionProof,
    /// The signed checkpoint, shared by all that became durable together.
    pub checkpoint: Arc<[u8]>,
}

/// Why a staged release does not count as recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfirmError {
    /// What was committed is not, or not only once, this release.
    #[error("the release of `{key}` is not what was committed: expected 1 entry of it, got {got}")]
    NotCommitted {
        /// Which key.
        key: KeyId,
        /// How many of the entries are this one.
        got: usize,
    },
    /// The signed tree does not reach to the place that was committed.
    #[error("leaf {index} is not in the signed group")]
    NotInGroup {
        /// The place.
        index: u64,
    },
    /// The signed tree does not hold the entry.
    #[error("leaf {index} is not in the signed tree: {source}")]
    NotInTree {
        /// The place.
        index: u64,
        /// What does not fit.
        source: ProofError,
    },
}

/// Spends a grant on a release of these sealed bytes: SHA-256 over encapsulated key and ciphertext, of nothing for
/// `renew`. `salt` is 16 fresh random bytes.
pub fn stage(grant: Grant, sealed: Sha256Digest, salt: Salt) -> Staged {
    let record = ReleaseRecord {
        broker: grant.broker(),
        transcript: grant.transcript_hash(),
        index: grant.index(),
        operation: grant.operation(),
        key: grant.key().clone(),
        version: grant.version(),
        key_commitment: grant.key_commitment(),
        policy: grant.policy(),
        sealed,
        decided_at: grant.decided_at(),
    };
    let entry = tlog::entry(LeafKind::Release, &salt, &record.encode());
    Staged { grant, record, salt, entry }
}

impl Staged {
    /// The key that it is about.
    pub fn key(&self) -> &KeyId {
        &self.record.key
    }

    /// Its leaf, for the store. `explanation` is JSON: why it was permitted.
    pub fn row(&self, request: RequestId, explanation: Option<String>) -> LeafRow {
        LeafRow {
            kind: LeafKind::Release,
            entry: self.entry,
            salt: self.salt,
            record: self.record.encode(),
            request: Some(request),
            explanation,
        }
    }

    /// The grant, for what must not have changed when the release is committed.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }
}

/// Spends a staged release against what was committed: 1. its entry is there, once; 2. its place is in the signed
/// group; 3. the signed tree holds it.
///
/// # Errors
/// [`ConfirmError`], one for each; the grant is lost then.
pub fn confirm(staged: Staged, committed: &Committed<SignedGroup>) -> Result<RecordedGrant, ConfirmError> {
    let Staged { grant, record, salt, entry } = staged;
    let group = committed.group();
    // 1.
    let places = (committed.first_index()..).zip(committed.entries());
    let own: Vec<u64> = places.filter(|(_, other)| **other == entry).map(|(index, _)| index).collect();
    let [index] = *own else {
        return Err(ConfirmError::NotCommitted { key: record.key, got: own.len() });
    };
    // 2.
    let proof = group.proof(index).ok_or(ConfirmError::NotInGroup { index })?;
    // 3.
    verify_inclusion(&leaf_hash(&entry), index, group.size(), &proof.0, group.root())
        .map_err(|source| ConfirmError::NotInTree { index, source })?;
    let receipt = ReceiptParts {
        policy: record.policy,
        key_commitment: record.key_commitment,
        decided_at: record.decided_at,
        salt,
        leaf: index,
        tree_size: group.size(),
        proof: proof.clone(),
        checkpoint: Arc::clone(group.checkpoint()),
    };
    Ok(RecordedGrant { grant, sealed: record.sealed, receipt })
}

impl RecordedGrant {
    /// SHA-256 of the sealed bytes that the record is of.
    pub fn sealed(&self) -> Sha256Digest {
        self.sealed
    }

    /// What was done.
    pub fn operation(&self) -> Operation {
        self.grant.operation()
    }

    /// With which key.
    pub fn key(&self) -> &KeyId {
        self.grant.key()
    }

    /// In which version.
    pub fn version(&self) -> KeyVersion {
        self.grant.version()
    }

    /// The place of the request among those of the transcript, from 0.
    pub fn index(&self) -> u32 {
        self.grant.index()
    }

    /// SHA-512 of the transcript.
    pub fn transcript_hash(&self) -> TranscriptHash {
        self.grant.transcript_hash()
    }

    /// What goes to the guest beside the sealed key.
    pub fn receipt(&self) -> &ReceiptParts {
        &self.receipt
    }
}
