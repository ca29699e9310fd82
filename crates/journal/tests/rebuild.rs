//! Taking a journal up again: whatever was altered, cut off or put back meanwhile is found and named.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use claims::leaf::{LeafKind, ReleaseRecord};
use claims::tpm::AkBinding;
use claims::{
    AttestationKey, BrokerId, KeyVersion, PolicyDigest, Sha256Digest, TranscriptHash, UnixTime,
    VersionSelector,
};
use journal::{
    ActDenied, AttestationKeyChanged, Denied, Event, JournalledKeys, KeyChanged, KeyCreated, KeyFault,
    LeafFault, LogSequencer, PolicyLoaded, RebuildError, RecordError, Refusals, Started, Trial,
};
use log::{Log, NOW, ORIGIN, attributes, journal_keys, signer};
use store::{LeafRow, Options, Store, Transaction};
use tlog::{Checkpoint, Hash, VerifiedCheckpoint};

mod log;

fn events() -> Vec<(Event, Option<String>)> {
    let (broker, reasons) = (BrokerId([7; 32]), "[{\"rule\":\"x\"}]".to_owned());
    let denied = Denied {
        broker,
        transcript: TranscriptHash([1; 64]),
        index: 0,
        operation: claims::Operation::Unwrap,
        key: "db".parse().unwrap(),
        version: VersionSelector::Exact(KeyVersion(2)),
        policy: PolicyDigest([2; 32]),
        code: "policy-denied".to_owned(),
        reasons: tlog::digest(reasons.as_bytes()),
        decided_at: NOW,
    };
    let (config, policy) = (Sha256Digest([3; 32]), PolicyDigest([2; 32]));
    vec![
        (
            Event::Started(Started {
                broker,
                software: "keyfast-broker 0.1.0".to_owned(),
                config,
                policy,
                at: NOW,
            }),
            None,
        ),
        (Event::KeyCreated(KeyCreated::new((broker, policy), &attributes("db", 1), "root", NOW)), None),
        (Event::KeyCreated(KeyCreated::new((broker, policy), &attributes("disk", 1), "root", NOW)), None),
        (Event::Denied(denied), Some(reasons)),
        (
            Event::KeyChanged(KeyChanged::new((broker, policy), &attributes("db", 2), "tag", "root", NOW)),
            None,
        ),
        (
            Event::Refusals(Refusals {
                broker,
                policy: Some(policy),
                from: NOW,
                until: NOW.plus(60),
                counts: vec![("bad-token".to_owned(), 9)],
            }),
            None,
        ),
    ]
}

fn enrolled(believed: bool) -> AttestationKey {
    let name = |byte: &str| format!("000b{}", byte.repeat(32)).parse().unwrap();
    let (name, ek) = (name("5a"), Some(name("6b")));
    let binding = AkBinding::EkCertificate;
    AttestationKey { name, binding, ek, simulated: false, not_after: NOW, believed }
}

fn trial(reasons: &str) -> Event {
    Event::Trial(Trial {
        broker: BrokerId([7; 32]),
        transcript: TranscriptHash([1; 64]),
        index: 0,
        operation: claims::Operation::Unwrap,
        key: "db".parse().unwrap(),
        version: VersionSelector::Latest,
        policy: PolicyDigest([2; 32]),
        outcome: Trial::PERMITTED.to_owned(),
        predicted: true,
        reasons: tlog::digest(reasons.as_bytes()),
        decided_at: NOW,
    })
}

/// A release's leaf, made by hand: what a store holds is checked whoever put it there.
fn release() -> LeafRow {
    let record = ReleaseRecord {
        broker: BrokerId([7; 32]),
        transcript: TranscriptHash([1; 64]),
        index: 0,
        operation: claims::Operation::Release,
        key: "disk".parse().unwrap(),
        version: KeyVersion(4),
        key_commitment: Sha256Digest([8; 32]),
        policy: PolicyDigest([2; 32]),
        sealed: Sha256Digest([5; 32]),
        decided_at: NOW,
    };
    let (kind, salt, record) = (LeafKind::Release, [9; 16], record.encode());
    let entry = tlog::entry(kind, &salt, &record);
    LeafRow { kind, entry, salt, record, request: None, explanation: None }
}

/// A closed journal of seven leaves, and its last checkpoint.
fn written(directory: &Path) -> Checkpoint {
    let log = Log::open(directory, None).unwrap();
    let rows = (0..).zip(events()).map(|(n, (event, explanation))| event.row([n; 16], None, explanation));
    let leaves = rows.chain([release()]).collect();
    let committed = log.submit(Transaction { leaves, ..Transaction::new(NOW) }).unwrap();
    assert_eq!(log.reader.leaf_count().unwrap(), 7);
    let note = committed.group().checkpoint().to_vec();
    log.commit.shut_down();
    let origin = ORIGIN.parse().unwrap();
    VerifiedCheckpoint::open(&note, &origin, &journal_keys()).unwrap().checkpoint().clone()
}

fn alter(directory: &Path, sql: &str) {
    rusqlite::Connection::open(directory.join("store.db")).unwrap().execute_batch(sql).unwrap();
}

fn rebuild(
    directory: &Path,
    known: Option<&Checkpoint>,
) -> Result<(LogSequencer, JournalledKeys), RebuildError> {
    let store = Store::open(&directory.join("store.db"), Options::default()).unwrap();
    LogSequencer::rebuild(&store.reader().unwrap(), signer(), known)
}

#[test]
fn an_untouched_journal_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let known = written(directory.path());
    let (sequencer, _) = rebuild(directory.path(), Some(&known)).unwrap();
    assert_eq!(sequencer.size(), 7);
    let note = sequencer.checkpoint().unwrap();
    let opened = VerifiedCheckpoint::open(&note, &known.origin, &journal_keys()).unwrap();
    assert_eq!(*opened.checkpoint(), known);
}

#[test]
fn every_altered_column_of_a_leaf_is_found_and_named() {
    let fault = |sql: &str| {
        let directory = tempfile::tempdir().unwrap();
        written(directory.path());
        alter(directory.path(), sql);
        match rebuild(directory.path(), None).err() {
            Some(RebuildError::Leaf { index, source }) => (index, source),
            other => panic!("{sql}: {other:?}"),
        }
    };
    let (index, altered) = fault("UPDATE leaf SET record = CAST(record || x'00' AS BLOB) WHERE idx = 2");
    assert!(index == 2 && matches!(altered, LeafFault::Commitment { .. }));
    let (index, altered) = fault("UPDATE leaf SET salt = zeroblob(16) WHERE idx = 6");
    assert!(index == 6 && matches!(altered, LeafFault::Commitment { .. }));
    let (index, altered) = fault("UPDATE leaf SET kind = 5 WHERE idx = 3");
    assert_eq!((index, altered), (3, LeafFault::Kind { expected: Some(LeafKind::Started), got: 2 }));
    let (index, altered) = fault("UPDATE leaf SET entry = zeroblob(34) WHERE idx = 1");
    assert_eq!((index, altered), (1, LeafFault::Version { got: 0 }));
    let (index, altered) = fault("UPDATE leaf SET explanation = '[]' WHERE idx = 3");
    assert!(index == 3 && matches!(altered, LeafFault::Explanation { .. }));
}

#[test]
fn a_missing_leaf_is_named() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path());
    alter(directory.path(), "DELETE FROM leaf WHERE idx = 2");
    let error = rebuild(directory.path(), None).err();
    assert!(matches!(error, Some(RebuildError::Missing { index: 2, got: 3 })));
}

#[test]
fn a_journal_that_was_put_back_or_rewritten_does_not_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let known = written(directory.path());
    let forked = Checkpoint { root: Hash([0; 32]), ..known.clone() };
    let error = rebuild(directory.path(), Some(&forked)).err();
    assert!(matches!(error, Some(RebuildError::Forked { size: 7, .. })));
    alter(directory.path(), "DELETE FROM leaf WHERE idx = 6");
    let error = rebuild(directory.path(), Some(&known)).err();
    assert!(matches!(error, Some(RebuildError::PutBack { known: 7, found: 6 })));
    let empty = Checkpoint { size: 0, ..forked };
    assert!(matches!(
        rebuild(directory.path(), Some(&empty)).err(),
        Some(RebuildError::Forked { size: 0, .. })
    ));
}

#[test]
fn keys_at_rest_are_those_of_the_journal() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path());
    let (_, keys) = rebuild(directory.path(), None).unwrap();
    let (db, disk) = (attributes("db", 2), attributes("disk", 1));
    assert_eq!(keys.check([&db, &disk]), Ok(()));
    let (key, version) = (db.id.clone(), KeyVersion(4));
    let older = KeyFault::Revision { key: key.clone(), version, expected: 2, got: 1 };
    assert_eq!(keys.check([&attributes("db", 1), &disk]), Err(older));
    let altered = claims::KeyAttributes { created_at: UnixTime(0), ..db.clone() };
    assert_eq!(keys.check([&altered, &disk]), Err(KeyFault::Attributes { key: key.clone(), version }));
    assert_eq!(keys.check([&disk]), Err(KeyFault::Missing { key, version }));
    let planted = attributes("planted", 1);
    let unknown = KeyFault::Unknown { key: planted.id.clone(), version };
    assert_eq!(keys.check([&db, &disk, &planted]), Err(unknown));
}

#[test]
fn a_journal_of_an_earlier_broker_is_taken_up() {
    let (broker, policy) = (BrokerId([7; 32]), None);
    let under = (broker, PolicyDigest([2; 32]));
    let (action, actor) = ("enrol".to_owned(), "activation".to_owned());
    let events = [
        Event::KeyCreated(KeyCreated { policy, ..KeyCreated::new(under, &attributes("db", 1), "root", NOW) }),
        Event::KeyChanged(KeyChanged {
            policy,
            ..KeyChanged::new(under, &attributes("db", 2), "tag", "root", NOW)
        }),
        Event::Refusals(Refusals { broker, policy, from: NOW, until: NOW.plus(60), counts: Vec::new() }),
        Event::AttestationKey(AttestationKeyChanged {
            broker,
            policy,
            key: enrolled(true),
            action,
            actor,
            at: NOW,
        }),
    ];
    let directory = tempfile::tempdir().unwrap();
    let log = Log::open(directory.path(), None).unwrap();
    let leaves = (0..).zip(&events).map(|(n, event)| event.row([n; 16], None, None)).collect();
    log.submit(Transaction { leaves, ..Transaction::new(NOW) }).unwrap();
    log.commit.shut_down();
    let (sequencer, keys) = rebuild(directory.path(), None).unwrap();
    assert_eq!(sequencer.size(), 4);
    assert_eq!(keys.check([&attributes("db", 2)]), Ok(()));
    assert_eq!(keys.check_attestation_keys([&enrolled(true)]), Ok(()));
}

#[test]
fn attestation_keys_at_rest_are_those_of_the_journal() {
    let mut journalled = JournalledKeys::default();
    let observe = |journalled: &mut JournalledKeys, believed| {
        let (action, actor) = ("enrol".to_owned(), "activation".to_owned());
        let (broker, policy) = (BrokerId([7; 32]), Some(PolicyDigest([2; 32])));
        let changed =
            AttestationKeyChanged { broker, policy, key: enrolled(believed), action, actor, at: NOW };
        journalled.observe(&journal::Record::Event(Event::AttestationKey(changed)));
    };
    let fault = Err(KeyFault::AttestationKey { name: enrolled(true).name });
    assert_eq!(journalled.check_attestation_keys([&enrolled(true)]), fault, "planted");
    observe(&mut journalled, true);
    assert_eq!(journalled.check_attestation_keys([&enrolled(true)]), Ok(()));
    assert_eq!(journalled.check_attestation_keys([]), fault, "taken away");
    let genuine = AttestationKey { simulated: true, ..enrolled(true) };
    assert_eq!(journalled.check_attestation_keys([&genuine]), fault, "altered");
    observe(&mut journalled, false);
    assert_eq!(journalled.check_attestation_keys([&enrolled(true)]), fault, "put back");
    assert_eq!(journalled.check_attestation_keys([&enrolled(false)]), Ok(()));
}

#[test]
fn a_trial_keeps_its_explanation() {
    let directory = tempfile::tempdir().unwrap();
    let log = Log::open(directory.path(), None).unwrap();
    let leaves = vec![trial("[]").row([1; 16], None, Some("[]".to_owned()))];
    log.submit(Transaction { leaves, ..Transaction::new(NOW) }).unwrap();
    log.commit.shut_down();
    assert_eq!(rebuild(directory.path(), None).unwrap().0.size(), 1);
    alter(directory.path(), "UPDATE leaf SET explanation = '[ ]'");
    let fault = rebuild(directory.path(), None).err();
    let expected = tlog::digest(b"[]");
    let source = LeafFault::Explanation { expected, got: tlog::digest(b"[ ]") };
    assert!(matches!(fault, Some(RebuildError::Leaf { index: 0, source: found }) if found == source));
}

#[test]
fn records_come_back_and_cut_off_ones_are_refused() {
    let (action, actor) = ("enrol".to_owned(), "activation".to_owned());
    let (broker, policy) = (BrokerId([7; 32]), Some(PolicyDigest([2; 32])));
    let changed = AttestationKeyChanged { broker, policy, key: enrolled(true), action, actor, at: NOW };
    let events = events().into_iter().map(|(event, _)| event);
    let loaded = PolicyLoaded {
        broker,
        policy: PolicyDigest([1; 32]),
        before: PolicyDigest([2; 32]),
        bundle_serial: 3,
        references_serial: 7,
        signed_by: vec!["alice".to_owned()],
        actor: "uid 0".to_owned(),
        at: NOW,
    };
    let denied = ActDenied {
        broker,
        policy: PolicyDigest([1; 32]),
        actor: "uid 0".to_owned(),
        act: "create".to_owned(),
        object: "Key::\"db\"".to_owned(),
        code: "policy-denied".to_owned(),
        at: NOW,
    };
    let last =
        [Event::AttestationKey(changed), trial("[]"), Event::PolicyLoaded(loaded), Event::ActDenied(denied)];
    for event in events.chain(last) {
        let (kind, bytes) = (event.kind(), event.encode());
        assert_eq!(journal::Record::decode(kind, &bytes), Ok(journal::Record::Event(event)));
        for len in 0..bytes.len() {
            assert!(
                journal::Record::decode(kind, bytes.get(..len).unwrap()).is_err(),
                "{kind:?} cut to {len}"
            );
        }
        let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
        assert_eq!(journal::Record::decode(kind, &longer), Err(RecordError::Trailing { got: 1 }));
        for other in LeafKind::ALL.into_iter().filter(|other| *other != kind) {
            assert_eq!(journal::Record::decode(other, &bytes), Err(RecordError::Value { field: "label" }));
        }
    }
}
