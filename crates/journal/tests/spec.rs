//! The test vectors of `SPEC.md` are what the code makes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use claims::leaf::{LeafKind, ReleaseRecord};
use claims::tpm::{AkBinding, Digest, HashAlgorithm, ObjectName};
use claims::{
    AttestationKey, BrokerId, KeyKind, KeyVersion, Operation, Origin, PolicyDigest, Sha256Digest,
    TranscriptHash, UnixTime, VersionSelector,
};
use crypto::Ed25519SigningKey;
use journal::{
    ActDenied, AttestationKeyChanged, Denied, Event, KeyChanged, KeyCreated, PolicyLoaded, Record,
    RecordError, Refusals, Salts, Started, Trial,
};
use tlog::note::Signer;
use tlog::{Checkpoint, Frontier, leaf_hash};

const BROKER: BrokerId = BrokerId([7; 32]);
const TRANSCRIPT: TranscriptHash = TranscriptHash([8; 64]);
const POLICY: PolicyDigest = PolicyDigest([10; 32]);
const ATTRIBUTES: Sha256Digest = Sha256Digest([12; 32]);
const COMMITMENT: Sha256Digest = Sha256Digest([9; 32]);
const AT: UnixTime = UnixTime(1_800_000_000);
const VERSION: KeyVersion = KeyVersion(3);

fn release() -> ReleaseRecord {
    ReleaseRecord {
        broker: BROKER,
        transcript: TRANSCRIPT,
        index: 1,
        operation: Operation::Release,
        key: "disk".parse().unwrap(),
        version: VERSION,
        key_commitment: COMMITMENT,
        policy: POLICY,
        sealed: Sha256Digest([11; 32]),
        decided_at: AT,
    }
}

fn denied() -> Denied {
    Denied {
        broker: BROKER,
        transcript: TRANSCRIPT,
        index: 1,
        operation: Operation::Release,
        key: "disk".parse().unwrap(),
        version: VersionSelector::Exact(VERSION),
        policy: POLICY,
        code: "policy-denied".to_owned(),
        reasons: tlog::digest(b"[]"),
        decided_at: AT,
    }
}

fn created() -> KeyCreated {
    KeyCreated {
        broker: BROKER,
        policy: Some(POLICY),
        key: "disk".parse().unwrap(),
        version: VERSION,
        revision: 2,
        kind: KeyKind::Rsa { bits: 3072 },
        origin: Origin::Generated,
        commitment: COMMITMENT,
        attributes: ATTRIBUTES,
        actor: "root".to_owned(),
        at: AT,
    }
}

fn changed() -> KeyChanged {
    KeyChanged {
        broker: BROKER,
        policy: Some(POLICY),
        key: "disk".parse().unwrap(),
        version: VERSION,
        revision: 2,
        enabled: false,
        attributes: ATTRIBUTES,
        action: "disable".to_owned(),
        actor: "root".to_owned(),
        at: AT,
    }
}

fn enrolled() -> AttestationKeyChanged {
    let name = |byte| ObjectName { algorithm: HashAlgorithm::Sha256, digest: Digest(vec![byte; 32]) };
    let key = AttestationKey {
        name: name(15),
        binding: AkBinding::EkCertificate,
        ek: Some(name(16)),
        simulated: false,
        not_after: UnixTime(1_900_000_000),
        believed: true,
    };
    let (action, actor) = ("enrol".to_owned(), "activation".to_owned());
    AttestationKeyChanged { broker: BROKER, policy: Some(POLICY), key, action, actor, at: AT }
}

fn trial() -> Trial {
    let Denied { broker, transcript, index, operation, key, version, policy, code, reasons, decided_at } =
        denied();
    let (outcome, predicted) = (code, true);
    Trial {
        broker,
        transcript,
        index,
        operation,
        key,
        version,
        policy,
        outcome,
        predicted,
        reasons,
        decided_at,
    }
}

fn loaded() -> PolicyLoaded {
    PolicyLoaded {
        broker: BROKER,
        policy: POLICY,
        before: PolicyDigest([17; 32]),
        bundle_serial: 3,
        references_serial: 7,
        signed_by: vec!["alice".to_owned(), "bob".to_owned()],
        actor: "root".to_owned(),
        at: AT,
    }
}

fn act_denied() -> ActDenied {
    ActDenied {
        broker: BROKER,
        policy: POLICY,
        actor: "alice".to_owned(),
        act: "create".to_owned(),
        object: "Key::\"db\"".to_owned(),
        code: "policy-denied".to_owned(),
        at: AT,
    }
}

fn refusals() -> Refusals {
    let counts = vec![("bad-token".to_owned(), 5)];
    Refusals { broker: BROKER, policy: Some(POLICY), from: AT, until: AT.plus(60), counts }
}

fn records() -> [Record; 10] {
    let software = "keyfast-broker 0.1.0".to_owned();
    let started =
        Started { broker: BROKER, software, config: Sha256Digest([13; 32]), policy: POLICY, at: AT };
    [
        Record::Release(release()),
        Record::Event(Event::Denied(denied())),
        Record::Event(Event::KeyCreated(created())),
        Record::Event(Event::KeyChanged(changed())),
        Record::Event(Event::Started(started)),
        Record::Event(Event::Refusals(refusals())),
        Record::Event(Event::AttestationKey(enrolled())),
        Record::Event(Event::Trial(trial())),
        Record::Event(Event::PolicyLoaded(loaded())),
        Record::Event(Event::ActDenied(act_denied())),
    ]
}

/// As brokers wrote them before every record named a policy.
fn earlier_records() -> [Event; 4] {
    let policy = None;
    [
        Event::KeyCreated(KeyCreated { policy, ..created() }),
        Event::KeyChanged(KeyChanged { policy, ..changed() }),
        Event::Refusals(Refusals { policy, ..refusals() }),
        Event::AttestationKey(AttestationKeyChanged { policy, ..enrolled() }),
    ]
}

fn vectors() -> String {
    let (mut text, mut entries) = (String::new(), Vec::new());
    for record in records() {
        let (name, bytes) = (record.kind().name(), record.encode());
        let entry = tlog::entry(record.kind(), &[14; 16], &bytes);
        text += &format!("{name} record = {}\n{name} entry = {}\n", hex::encode(&bytes), hex::encode(entry));
        entries.push(leaf_hash(&entry));
    }
    let mut tree = Frontier::new();
    let proofs = tree.append(&entries);
    text += &format!("root = {}\nproof = {}\n", tree.root(), hex::encode(proofs.first().unwrap().to_bytes()));
    let salt = Salts::new([17; 32], "{}").salt(1);
    text += &format!("salt of an answer with claims = {}\n", hex::encode(salt));
    let origin: tlog::KeyName = "keys.example/journal".parse().unwrap();
    let signer = Signer::new(origin.clone(), Ed25519SigningKey::from_seed(&[1; 32]).unwrap()).unwrap();
    let checkpoint = Checkpoint { origin, size: tree.size(), root: tree.root() }.sign(&signer).unwrap();
    let checkpoint = String::from_utf8(checkpoint).unwrap();
    text + &format!("journal key = {}\n\n{checkpoint}", signer.verifier())
}

/// The text that the specification has in a block below this heading.
fn block(heading: &str) -> &'static str {
    let (_, rest) = include_str!("../SPEC.md").split_once(heading).unwrap();
    let (_, rest) = rest.split_once("```text\n").unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn the_vectors_of_the_specification_are_what_the_code_makes() {
    let (written, made) = (block("\n## 6. Test vectors\n"), vectors());
    assert!(written == made, "if the format was meant to change, these are the new vectors:\n{made}");
}

#[test]
fn every_vector_decodes_to_the_record_it_is_of() {
    for record in records() {
        assert_eq!(Record::decode(record.kind(), &record.encode()), Ok(record.clone()));
        assert!(record.kind() == LeafKind::Release || matches!(record, Record::Event(_)));
    }
}

#[test]
fn records_of_earlier_brokers_decode_to_what_they_say_and_are_the_same_bytes_again() {
    let written: Vec<&str> = block("\n### 6.1 Records without a policy\n").lines().collect();
    let line = |event: &Event| format!("{} record = {}", event.kind().name(), hex::encode(event.encode()));
    assert_eq!(written, earlier_records().iter().map(line).collect::<Vec<_>>());
    for event in earlier_records() {
        assert_eq!(Record::decode(event.kind(), &event.encode()), Ok(Record::Event(event)));
    }
}

#[test]
fn a_label_and_the_fields_of_another_layout_are_no_record() {
    let relabelled = |record: Vec<u8>, from: &str, to: &str| {
        let text = |label: &str| label.as_bytes().to_vec();
        let rest = record.strip_prefix(&[&[0, 0, 0, 21], from.as_bytes()].concat()[..]).unwrap().to_vec();
        [vec![0, 0, 0, 21], text(to), rest].concat()
    };
    let (first, second) = ("keyfast/1 key created", "keyfast/2 key created");
    let earlier = Event::KeyCreated(KeyCreated { policy: None, ..created() }).encode();
    let got = Record::decode(LeafKind::KeyCreated, &relabelled(earlier, first, second));
    assert_eq!(got, Err(RecordError::Length { field: "policy", expected: 32, got: 4 }));
    let newer = Event::KeyCreated(created()).encode();
    let got = Record::decode(LeafKind::KeyCreated, &relabelled(newer, second, first));
    assert_eq!(got, Err(RecordError::Value { field: "key" }));
}

#[test]
fn a_salt_commits_to_the_claims_the_blind_and_the_place() {
    let salt = Salts::new([17; 32], "{}").salt(1);
    assert_eq!(salt, Salts::new([17; 32], "{}").salt(1));
    for other in [
        Salts::new([18; 32], "{}").salt(1),
        Salts::new([17; 32], "{} ").salt(1),
        Salts::new([17; 32], "{}").salt(2),
    ] {
        assert_ne!(salt, other);
    }
}
