//! A journal to record in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc::channel;

use claims::{KeyAttributes, KeyKind, KeyVersion, Operation, Origin, Sha256Digest, Suite, UnixTime};
use crypto::Ed25519SigningKey;
use journal::{LogSequencer, SignedGroup};
use store::{CommitError, Committed, GroupCommit, Options, Reader, Store, Transaction};
use tlog::Checkpoint;
use tlog::note::{Signer, VerifierKey};

pub const NOW: UnixTime = UnixTime(1_800_000_000);
pub const ORIGIN: &str = "keys.example/journal";

pub fn attributes(id: &str, revision: u64) -> KeyAttributes {
    KeyAttributes {
        id: id.parse().unwrap(),
        version: KeyVersion(4),
        kind: KeyKind::Aes256,
        origin: Origin::Generated,
        operations: BTreeSet::from([Operation::Release]),
        for_simulation: true,
        suite_floor: Suite::P384,
        enabled: true,
        revision,
        created_at: UnixTime(1_700_000_000),
        ring: claims::RingId::default(),
        region: None,
        release_policy: None,
        tags: BTreeMap::new(),
        commitment: Sha256Digest([8; 32]),
    }
}

pub fn signer() -> Signer {
    Signer::new(ORIGIN.parse().unwrap(), Ed25519SigningKey::from_seed(&[1; 32]).unwrap()).unwrap()
}

pub fn journal_keys() -> [VerifierKey; 1] {
    [signer().verifier().clone()]
}

/// A journal that is being written.
pub struct Log {
    pub commit: GroupCommit<SignedGroup>,
    pub reader: Reader,
}

impl Log {
    pub fn open(directory: &Path, known: Option<&Checkpoint>) -> Result<Self, journal::RebuildError> {
        let store = Store::open(&directory.join("store.db"), Options::default()).unwrap();
        let reader = store.reader().unwrap();
        let (sequencer, _) = LogSequencer::rebuild(&reader, signer(), known)?;
        Ok(Self { commit: GroupCommit::spawn(store, sequencer).unwrap(), reader })
    }

    pub fn submit(&self, transaction: Transaction) -> Result<Committed<SignedGroup>, CommitError> {
        let (send, receive) = channel();
        self.commit.submit(transaction, move |answer| send.send(answer).unwrap());
        receive.recv().unwrap()
    }
}
