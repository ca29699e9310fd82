//! A grant's way into the journal: only what is durable, signed and proven counts as recorded.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use claims::leaf::{LeafKind, ReleaseRecord};
use claims::{KeyVersion, Operation, RequestId, Sha256Digest, TranscriptHash};
use grants::{grants, transcript};
use journal::{ConfirmError, Record, confirm, stage};
use log::{Log, NOW, ORIGIN, journal_keys};
use store::{CommitError, Transaction};
use tlog::{VerifiedCheckpoint, verify_inclusion};

mod grants;
mod log;

const REQUEST: RequestId = RequestId([6; 16]);

#[test]
fn a_guest_finds_its_releases_with_its_own_values_and_the_receipt() {
    let directory = tempfile::tempdir().unwrap();
    let log = Log::open(directory.path(), None).unwrap();
    let staged: Vec<_> =
        (0..).zip(grants(3)).map(|(n, grant)| stage(grant, Sha256Digest([n; 32]), [n; 16])).collect();
    let leaves = staged.iter().map(|staged| staged.row(REQUEST, Some("[]".to_owned()))).collect();
    let committed = log.submit(Transaction { leaves, ..Transaction::new(NOW) }).unwrap();
    for (n, staged) in (0..).zip(staged) {
        let recorded = confirm(staged, &committed).unwrap();
        assert_eq!((recorded.index(), recorded.operation()), (u32::from(n), Operation::Release));
        assert_eq!((recorded.key().as_str(), recorded.version()), (&*format!("disk-{n}"), KeyVersion(4)));
        assert_eq!(recorded.sealed(), Sha256Digest([n; 32]));

        let receipt = recorded.receipt();
        let transcript = transcript(3);
        let record = ReleaseRecord {
            broker: transcript.broker,
            transcript: TranscriptHash(crypto::sha512(&[&transcript.encode()])),
            index: u32::from(n),
            operation: Operation::Release,
            key: format!("disk-{n}").parse().unwrap(),
            version: recorded.version(),
            key_commitment: receipt.key_commitment,
            policy: receipt.policy,
            sealed: Sha256Digest([n; 32]),
            decided_at: receipt.decided_at,
        };
        let entry = tlog::entry(LeafKind::Release, &receipt.salt, &record.encode());
        let origin = ORIGIN.parse().unwrap();
        let opened = VerifiedCheckpoint::open(&receipt.checkpoint, &origin, &journal_keys()).unwrap();
        let head = opened.checkpoint();
        assert_eq!(head.size, receipt.tree_size);
        let leaf = tlog::leaf_hash(&entry);
        verify_inclusion(&leaf, receipt.leaf, head.size, &receipt.proof.0, &head.root).unwrap();
        let stored = log.reader.leaves(receipt.leaf, 1).unwrap().pop().unwrap().leaf;
        assert_eq!(Record::decode(stored.kind, &stored.record), Ok(Record::Release(record)));
    }
    assert_eq!(log.reader.leaves_of_request(REQUEST).unwrap().len(), 3);
}

#[test]
fn a_release_is_not_recorded_by_what_was_committed_of_another() {
    let directory = tempfile::tempdir().unwrap();
    let log = Log::open(directory.path(), None).unwrap();
    let mut grants = grants(5).into_iter();
    let mut staged = |sealed| stage(grants.next().unwrap(), Sha256Digest([sealed; 32]), [1; 16]);
    let submit = |leaves| log.submit(Transaction { leaves, ..Transaction::new(NOW) }).unwrap();

    let (own, other) = (staged(1), staged(2));
    let of_other = submit(vec![other.row(REQUEST, None)]);
    let missing = ConfirmError::NotCommitted { key: "disk-0".parse().unwrap(), got: 0 };
    assert_eq!(confirm(own, &of_other).err(), Some(missing));

    let own = staged(3);
    let nothing = submit(Vec::new());
    let missing = ConfirmError::NotCommitted { key: "disk-2".parse().unwrap(), got: 0 };
    assert_eq!(confirm(own, &nothing).err(), Some(missing));

    let own = staged(4);
    let twice = submit(vec![own.row(REQUEST, None), own.row(REQUEST, None)]);
    let repeated = ConfirmError::NotCommitted { key: "disk-3".parse().unwrap(), got: 2 };
    assert_eq!(confirm(own, &twice).err(), Some(repeated));

    // The same record under another salt is another entry.
    let (sealed, own) = (Sha256Digest([5; 32]), staged(5));
    let row = own.row(REQUEST, None);
    let entry = tlog::entry(row.kind, &[2; 16], &row.record);
    let resalted = submit(vec![store::LeafRow { entry, salt: [2; 16], ..row.clone() }]);
    let missing = ConfirmError::NotCommitted { key: "disk-4".parse().unwrap(), got: 0 };
    assert_eq!(confirm(own, &resalted).err(), Some(missing));
    let Ok(Record::Release(record)) = Record::decode(row.kind, &row.record) else { panic!("not a release") };
    assert_eq!(record.sealed, sealed);
}

#[test]
fn a_journal_that_somebody_else_writes_to_stops() {
    let directory = tempfile::tempdir().unwrap();
    let log = Log::open(directory.path(), None).unwrap();
    let mut grants = grants(2).into_iter();
    let mut row = || stage(grants.next().unwrap(), Sha256Digest([0; 32]), [1; 16]).row(REQUEST, None);
    let intruder = rusqlite::Connection::open(directory.path().join("store.db")).unwrap();
    intruder
        .execute_batch("INSERT INTO leaf VALUES (0, 1, zeroblob(34), zeroblob(16), zeroblob(1), NULL, NULL)")
        .unwrap();
    let mut submit = || log.submit(Transaction { leaves: vec![row()], ..Transaction::new(NOW) });
    assert!(matches!(submit(), Err(CommitError::Sequencer(why)) if why.contains("expected place 0, got 1")));
    assert!(matches!(submit(), Err(CommitError::Stopped(_))));
}
