//! A broker that is killed, or finds its files altered when it starts. Each test has a set-up of its own.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use claims::leaf::{LeafKind, ReleaseRecord};
use claims::{BrokerId, Operation, TranscriptHash};
use rusqlite::Connection;
use tlog::note::SignedNote;
use tlog::{
    Bundle, Checkpoint, Frontier, Hash, LeafNodes, Tile, TileKind, leaf_hash, prove_consistency,
    verify_consistency,
};
use transport::Method;
use wire::{CHALLENGE_PATH, ChallengeRequest, ChallengeResponse, MEDIA_TYPE, ProblemCode, RELEASE_PATH};

use crate::exchange::{Exchange, request};
use crate::guest::{Guest, attest, sha256};
use crate::journal::published;
use crate::setup::{Setup, wait_until};

/// A release that a guest heard of.
struct Acknowledged {
    body: Vec<u8>,
    index: u64,
    entry: Vec<u8>,
    checkpoint: Checkpoint,
}

/// One release over a connection that may break.
fn one(exchange: &mut Exchange, broker: BrokerId, socket: &Path) -> Result<Acknowledged, String> {
    let ask = wire::encode(&ChallengeRequest { known_statement: 0 }).unwrap();
    let challenge = exchange.try_send(Method::POST, CHALLENGE_PATH, MEDIA_TYPE, &ask)?;
    let challenge: ChallengeResponse = wire::decode(&challenge.ok().unwrap()).unwrap();
    let (_, recipient) = crypto::hpke_generate(claims::Suite::P384).unwrap();
    let mut message = wire::ReleaseRequest {
        token: challenge.token,
        kind: claims::EvidenceKind::SevSnp,
        evidence: Vec::new(),
        suite: recipient.suite,
        recipient: recipient.public,
        config: claims::ConfigDigest([0; 32]),
        requests: vec![request(Operation::Release, "aes")],
        known_checkpoint_size: 0,
    };
    let transcript = message.transcript(broker, challenge.nonce, sha256).encode();
    let hash = crypto::sha512(&[&transcript]);
    message.evidence = attest(socket, &claims::ReportData(hash));
    let body = wire::encode(&message).unwrap();
    let answer = exchange.try_send(Method::POST, RELEASE_PATH, MEDIA_TYPE, &body)?.ok();
    let response: wire::ReleaseResponse =
        wire::decode(&answer.map_err(|p| p.code.as_str().to_owned())?).unwrap();
    let [wire::Answer::Permit(permit)] = response.answers.as_slice() else { panic!("denied") };
    let sealed = permit.sealed.clone().unwrap();
    let record = ReleaseRecord {
        broker,
        transcript: TranscriptHash(hash),
        index: 0,
        operation: Operation::Release,
        key: "aes".parse().unwrap(),
        version: permit.version,
        key_commitment: permit.receipt.key_commitment,
        policy: permit.receipt.policy,
        sealed: sha256(&[sealed.encapsulated, sealed.ciphertext].concat()),
        decided_at: permit.receipt.decided_at,
    };
    let entry = tlog::entry(LeafKind::Release, &permit.receipt.salt, &record.encode()).to_vec();
    let note = SignedNote::parse(&response.checkpoint).unwrap();
    let checkpoint = Checkpoint::parse(note.unverified_text()).unwrap();
    Ok(Acknowledged { body, index: permit.receipt.index, entry, checkpoint })
}

/// Every entry of the published log.
fn entries(journal: &Path, size: u64) -> Vec<Vec<u8>> {
    let bundle = |tile: Tile| {
        let bytes = fs::read(journal.join(tile.to_string())).unwrap();
        let entries = Bundle::decode(&bytes, tile.width).unwrap();
        entries.into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    Tile::all(TileKind::Entries, size).flat_map(bundle).collect()
}

/// Asserts that the log of these leaves was, at that size, the one of the checkpoint.
fn assert_grown(leaves: &[Hash], earlier: &Checkpoint, now: &Checkpoint) {
    let mut nodes = LeafNodes(|first: u64, count: usize| {
        let first = usize::try_from(first).unwrap();
        Ok::<_, std::convert::Infallible>(leaves[first..first + count].to_vec())
    });
    let Ok(proof) = prove_consistency(&mut nodes, earlier.size, now.size);
    let proof =
        proof.unwrap_or_else(|| panic!("{} leaves were signed, there are {}", earlier.size, now.size));
    verify_consistency(earlier.size, &earlier.root, now.size, &now.root, &proof.0).unwrap();
}

#[test]
fn a_broker_killed_under_load_forgets_nothing_that_it_acknowledged() {
    const GUESTS: usize = 4;
    let setup = Setup::up();
    setup.create_key("aes", &["--simulation", "--kind", "aes-256", "--operations", "release"]);
    setup.reconfigure(|text| text.replace("state =", "challenge_lifetime_s = 300\nstate ="));
    let (broker, url, journal) = (setup.identity(), setup.url(), setup.journal());
    let acknowledged = Mutex::new(Vec::new());
    for round in 1..=3 {
        let before = acknowledged.lock().unwrap().len();
        let ended = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for guest in 0..GUESTS {
                let socket = Guest::new(&setup, &format!("load{guest}")).socket;
                let (url, acknowledged, ended) = (&url, &acknowledged, &ended);
                scope.spawn(move || {
                    let mut exchange = Exchange::with(url);
                    while let Ok(one) = one(&mut exchange, broker, &socket) {
                        acknowledged.lock().unwrap().push(one);
                    }
                    ended.fetch_add(1, Ordering::Relaxed);
                });
            }
            wait_until("guests have keys", || {
                assert_eq!(ended.load(Ordering::Relaxed), 0, "no guest may fail before the kill");
                acknowledged.lock().unwrap().len() >= before + 20
            });
            setup.end_broker("-KILL");
        });
        setup.keyfast(&["dev", "up"]).success();
        let acknowledged = acknowledged.lock().unwrap();
        let newest = acknowledged.iter().map(|one| one.checkpoint.size).max().unwrap();
        let now = published(&journal);
        assert!(now.size > newest, "round {round}: the start is a leaf too");
        let entries = entries(&journal, now.size);
        for one in acknowledged.iter() {
            assert_eq!(
                entries[usize::try_from(one.index).unwrap()],
                one.entry,
                "round {round}, leaf {}",
                one.index
            );
        }
        let leaves: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let mut frontier = Frontier::new();
        leaves.iter().for_each(|leaf| frontier.push(*leaf));
        assert_eq!(frontier.root(), now.root);
        for one in acknowledged.iter() {
            assert_grown(&leaves, &one.checkpoint, &now);
        }
        let mut exchange = Exchange::with(&url);
        for one in acknowledged.iter().rev().take(5) {
            assert_eq!(exchange.post(RELEASE_PATH, &one.body).problem(), ProblemCode::ChallengeSpent);
        }
    }
    setup.keyfast(&["audit", "verify"]).success();
}

/// The database's files, in memory.
struct Database(Vec<(&'static str, Option<Vec<u8>>)>);

impl Database {
    const FILES: [&str; 3] = ["keyfast.sqlite", "keyfast.sqlite-wal", "keyfast.sqlite-shm"];

    fn take(setup: &Setup) -> Self {
        Self(Self::FILES.map(|name| (name, fs::read(setup.dev("broker").join(name)).ok())).into())
    }

    fn put(&self, setup: &Setup) {
        for (name, bytes) in &self.0 {
            let path = setup.dev("broker").join(name);
            match bytes {
                // The file stays, and with it its mode.
                Some(bytes) if path.exists() => fs::write(path, bytes).unwrap(),
                Some(bytes) => {
                    fs::write(&path, bytes).unwrap();
                    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
                }
                None => drop(fs::remove_file(path)),
            }
        }
    }
}

/// Runs statements on the database of a broker that has ended.
fn execute(setup: &Setup, sql: &str) {
    let connection = Connection::open(setup.dev("broker/keyfast.sqlite")).unwrap();
    connection.execute_batch(sql).unwrap();
}

/// Flips one bit in the middle of a leaf's record.
fn flip_record(setup: &Setup, leaf: u64) {
    let connection = Connection::open(setup.dev("broker/keyfast.sqlite")).unwrap();
    let sql = format!("SELECT record FROM leaf WHERE idx = {leaf}");
    let mut record: Vec<u8> = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
    let middle = record.len() / 2;
    record[middle] ^= 1;
    let sql = format!("UPDATE leaf SET record = ?1 WHERE idx = {leaf}");
    assert_eq!(connection.execute(&sql, [record]).unwrap(), 1);
}

const RESTORE: &str = "; restore the database from a backup that is not older than the log";

#[test]
fn what_was_altered_behind_the_brokers_back_keeps_it_from_starting() {
    let setup = Setup::up();
    setup.create_key("aes", &["--simulation", "--kind", "aes-256"]);
    setup.guest("web", &[], &["renew", "aes"]).success();
    setup.end_broker("-TERM");
    let older = Database::take(&setup);
    let size = published(&setup.journal()).size;
    setup.keyfast(&["dev", "up"]).success();
    setup.guest("web", &[], &["renew", "aes"]).success();
    setup.keyfast(&["keys", "disable", "aes", "--version", "1"]).success();
    setup.end_broker("-TERM");
    let newest = Database::take(&setup);
    let known = published(&setup.journal()).size;
    assert_eq!(known, size + 3, "a start, a renewal, a change");

    let refused = |message: &str| setup.broker_that_refuses_to_start().message_is(message);
    let journal = |fault: &str| format!("the journal does not verify: {fault}{RESTORE}");
    let put_back =
        format!("the journal was put back: a checkpoint of {known} leaves was signed, there are {size}");

    older.put(&setup);
    refused(&journal(&put_back));

    newest.put(&setup);
    flip_record(&setup, 2);
    let run = setup.broker_that_refuses_to_start();
    run.message_starts("the journal does not verify: leaf 2 is altered: ");

    newest.put(&setup);
    execute(&setup, "UPDATE leaf SET salt = zeroblob(16) WHERE idx = 1");
    setup.broker_that_refuses_to_start().message_starts("the journal does not verify: leaf 1 is altered: ");

    newest.put(&setup);
    execute(&setup, "DELETE FROM leaf WHERE idx = 1");
    refused(&journal("leaf 1 is missing: the next one there is 2"));

    newest.put(&setup);
    execute(&setup, &format!("DELETE FROM leaf WHERE idx = {}", known - 1));
    let one_less = known - 1;
    refused(&journal(&format!(
        "the journal was put back: a checkpoint of {known} leaves was signed, there are {one_less}"
    )));

    let keys = |fault: &str| format!("the keys at rest are not those of the journal: {fault}");
    newest.put(&setup);
    execute(&setup, "UPDATE key SET revision = 1, enabled = 1");
    refused(&keys("key `aes` version 1 is not as journalled: expected revision 2, got 1"));

    newest.put(&setup);
    execute(&setup, "UPDATE key SET for_simulation = 0");
    refused(&keys("the attributes of key `aes` version 1 are not those journalled"));

    newest.put(&setup);
    execute(&setup, "DELETE FROM key");
    refused(&keys("key `aes` version 1 is in the journal and not in the store"));

    newest.put(&setup);
    let root = setup.dev("broker/root.key");
    fs::set_permissions(&root, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let path = root.display();
    refused(&format!(
        "`{path}` can be read by others: expected mode 0600, got 0644; run chmod 600 and change the key"
    ));
    fs::set_permissions(&root, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();

    setup.keyfast(&["dev", "up"]).success();
    let renewed = setup.guest("web", &[], &["renew", "aes"]);
    assert_eq!(setup.explain(&renewed.stderr).answers[0].code, "key-disabled");
    setup.keyfast(&["audit", "verify"]).success();

    turns_connections_away(&setup);
    turns_releases_away(&setup);
}

/// Beyond its bound the broker closes a connection at once, and serves again when there is room.
fn turns_connections_away(setup: &Setup) {
    setup.reconfigure(|text| text.replace("state =", "max_connections = 1\nstate ="));
    let mut held = Exchange::with(&setup.url());
    held.challenge();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let connect = || {
        let url = setup.url().parse().unwrap();
        let patience = std::time::Duration::from_secs(10);
        runtime.block_on(transport::Client::connect(&url, &transport::Pins::unknown(), patience)).map(drop)
    };
    let error = connect().unwrap_err();
    assert!(
        matches!(error, transport::ClientError::Tls(_) | transport::ClientError::Unreachable(_)),
        "{error}"
    );
    drop(held);
    wait_until("there is room", || connect().is_ok());
}

/// Beyond its bound the broker says so before it looks at anything, and a guest gives up in time.
fn turns_releases_away(setup: &Setup) {
    setup.reconfigure(|text| text.replace("max_connections = 1", "max_releases = 0"));
    let answer = Exchange::with(&setup.url()).post(wire::RELEASE_PATH, b"no message");
    assert_eq!(answer.0.status, 503);
    assert_eq!(answer.0.retry_after, Some(std::time::Duration::from_secs(2)));
    assert_eq!(answer.problem(), wire::ProblemCode::Overloaded);
    setup.reconfigure(|text| text.replace("max_releases = 0", "max_releases = 1"));
    let answer = Exchange::with(&setup.url()).post(wire::RELEASE_PATH, b"no message");
    assert_eq!(answer.problem(), wire::ProblemCode::MalformedRequest);
}

/// Revocation lists are the operator's to demand; whoever does not is told what that means.
#[test]
fn a_broker_for_genuine_guests_that_demands_no_revocation_lists_says_so() {
    let setup = Setup::up();
    let warned = |from: &str, to: &str| {
        let log = setup.dev("keyfast-broker.log");
        let before = fs::read_to_string(&log).unwrap().len();
        setup.reconfigure(|text| text.replace(from, to));
        let said = fs::read_to_string(&log).unwrap();
        said.get(before..).unwrap().contains("revocation lists are not demanded")
    };
    assert!(!warned("", ""));
    assert!(warned("amd = false", "amd = true"));
    assert!(!warned("amd = true", "amd = true\ncrl_max_age_days = 30"));
}
