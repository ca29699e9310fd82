//! What the commit thread writes, refuses and survives.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use claims::leaf::{Entry, LeafKind};
use claims::tpm::AkBinding;
use claims::{
    AttestationKey, KeyAttributes, KeyKind, KeyVersion, Nonce, Operation, Origin, PolicyDigest, RequestId,
    Sha256Digest, Suite, TpmCounters, UnixTime, VersionSelector,
};
use store::{
    Activation, ClaimsRow, CommitError, Committed, Counts, GroupCommit, KeyRow, KeyUnchanged, KeyWrite,
    LeafRow, Options, Reader, Refusal, SeenTpm, SeenVouchedTpm, SequenceError, Sequencer, SpentNonce, Store,
    Transaction,
};

/// Remembers how many entries each group had; refuses the group that begins at `fail_at`.
#[derive(Default)]
struct Counting {
    next: u64,
    fail_at: Option<u64>,
    pause: Duration,
}

impl Sequencer for Counting {
    type Group = (u64, usize);

    fn sequence(&mut self, first_index: u64, entries: &[Entry]) -> Result<(u64, usize), SequenceError> {
        assert_eq!(first_index, self.next, "groups are contiguous");
        self.next += entries.len() as u64;
        std::thread::sleep(self.pause);
        if self.fail_at == Some(first_index) {
            Err("no more".into())
        } else {
            Ok((first_index, entries.len()))
        }
    }
}

type Answer = Result<Committed<(u64, usize)>, CommitError>;

struct Bench {
    commit: GroupCommit<(u64, usize)>,
    reader: Reader,
}

impl Bench {
    fn open(directory: &Path, options: Options, sequencer: Counting) -> Self {
        let store = Store::open(&directory.join("store.db"), options).unwrap();
        let reader = store.reader().unwrap();
        let next = reader.leaf_count().unwrap();
        Self { commit: GroupCommit::spawn(store, Counting { next, ..sequencer }).unwrap(), reader }
    }

    fn start(&self, transaction: Transaction) -> Receiver<Answer> {
        let (send, receive) = channel();
        self.commit.submit(transaction, move |answer| send.send(answer).unwrap());
        receive
    }

    fn submit(&self, transaction: Transaction) -> Answer {
        self.start(transaction).recv().unwrap()
    }
}

fn nonce(n: u8) -> Option<SpentNonce> {
    Some(SpentNonce { nonce: Nonce([n; 32]), expires: UnixTime(1000) })
}

fn leaf(n: u8) -> LeafRow {
    LeafRow {
        kind: LeafKind::Release,
        entry: [n; 34],
        salt: [n; 16],
        record: vec![n; 7],
        request: Some(RequestId([n; 16])),
        explanation: Some(format!("{{\"n\":{n}}}")),
    }
}

fn transaction(n: u8) -> Transaction {
    Transaction { nonce: nonce(n), leaves: vec![leaf(n), leaf(n)], ..Transaction::new(UnixTime(500)) }
}

fn key(version: u32, revision: u64, enabled: bool) -> KeyRow {
    let attributes = KeyAttributes {
        id: "disk".parse().unwrap(),
        version: KeyVersion(version),
        kind: KeyKind::Rsa { bits: 3072 },
        origin: Origin::Imported,
        operations: BTreeSet::from([Operation::Unwrap, Operation::Renew]),
        for_simulation: true,
        suite_floor: Suite::XWing,
        enabled,
        revision,
        created_at: UnixTime(77),
        ring: "payments".parse().unwrap(),
        region: Some("eu-1".parse().unwrap()),
        release_policy: Some(claims::ReleasePolicy { cedar: "permit;".into(), immutable: true }),
        tags: BTreeMap::from([("owner".to_owned(), "ä".to_owned()), (String::new(), String::new())]),
        commitment: Sha256Digest([3; 32]),
    };
    KeyRow { attributes, public: Some(vec![1, 2]), wrapped: vec![9; 60] }
}

fn unchanged(version: u32, revision: u64) -> Vec<KeyUnchanged> {
    vec![KeyUnchanged { key: "disk".parse().unwrap(), version: KeyVersion(version), revision }]
}

#[test]
fn what_is_committed_can_be_read_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench::open(directory.path(), Options::default(), Counting::default());
    let first = bench.submit(transaction(1)).unwrap();
    let second = bench.submit(transaction(2)).unwrap();
    assert_eq!((first.first_index(), second.first_index()), (0, 2));
    assert_eq!((second.entries(), **second.group()), (&[[2; 34], [2; 34]][..], (2, 2)));
    let leaves = bench.reader.leaves(1, 10).unwrap();
    assert_eq!(leaves.iter().map(|stored| stored.index).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(leaves.first().map(|stored| &stored.leaf), Some(&leaf(1)));
    assert_eq!(bench.reader.leaves(0, 1).unwrap().len(), 1);
    assert_eq!(bench.reader.entries(2, 9).unwrap(), [[2; 34], [2; 34]]);
    assert_eq!(bench.reader.leaves_of_request(RequestId([2; 16])).unwrap(), leaves.get(1..).unwrap());
    let counts = Counts { leaves: 4, keys: 0, nonces: 2, refusals: 0 };
    assert_eq!((bench.reader.counts().unwrap(), bench.reader.leaf_count().unwrap()), (counts, 4));
}

/// Two leaves of the request `n`, and what they were decided on.
fn decided(n: u8, at: u64) -> Transaction {
    let claims = ClaimsRow { at: UnixTime(at), blind: [n; 32], text: format!("{{\"n\":{n}}}") };
    Transaction { claims: Some(claims), ..transaction(n) }
}

/// Requests and places of pages of two, each after the last of the one before.
fn pages(reader: &Reader, since: u64, until: u64) -> Vec<Vec<(u8, u64)>> {
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = reader.claims_between(UnixTime(since), UnixTime(until), after, 2).unwrap();
        let Some(last) = page.last() else { return pages };
        after = Some((last.claims.at, last.leaf));
        pages.push(page.iter().map(|stored| (stored.request.0[0], stored.leaf)).collect());
    }
}

#[test]
fn claims_lie_beside_the_first_leaf_of_their_request_and_are_paged_by_time() {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench::open(directory.path(), Options::default(), Counting::default());
    bench.submit(transaction(1)).unwrap();
    // A clock may go back.
    for (n, at) in [(2, 100), (3, 102), (4, 101), (5, 102), (6, 102)] {
        bench.submit(decided(n, at)).unwrap();
    }
    let found = bench.reader.claims_beside(4).unwrap().unwrap();
    assert_eq!(
        (found.leaf, found.request, found.claims),
        (4, RequestId([3; 16]), decided(3, 102).claims.unwrap())
    );
    assert_eq!([0, 3, 5].map(|leaf| bench.reader.claims_beside(leaf).unwrap()), [None, None, None]);
    assert_eq!(pages(&bench.reader, 0, 1000), [vec![(2, 2), (4, 6)], vec![(3, 4), (5, 8)], vec![(6, 10)]]);
    assert_eq!(pages(&bench.reader, 101, 102), [[(4, 6)]]);
    assert_eq!(pages(&bench.reader, 103, 1000), Vec::<Vec<_>>::new());
    assert_eq!(bench.reader.answers_before_claims().unwrap(), 2);
}

#[test]
fn claims_without_a_leaf_or_of_a_refused_request_are_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench::open(directory.path(), Options::default(), Counting::default());
    bench.submit(Transaction { leaves: Vec::new(), ..decided(1, 1) }).unwrap();
    let spent = Transaction { nonce: nonce(1), ..decided(2, 1) };
    assert!(matches!(bench.submit(spent), Err(CommitError::ChallengeSpent)));
    assert_eq!(pages(&bench.reader, 0, 1000), Vec::<Vec<_>>::new());
    assert_eq!(bench.reader.answers_before_claims().unwrap(), 0);
}

#[test]
fn claims_are_kept_beside_the_newest_leaves() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { claims_kept: 4, ..Options::default() };
    let bench = Bench::open(directory.path(), options, Counting::default());
    (1..=4).for_each(|n| drop(bench.submit(decided(n, u64::from(n))).unwrap()));
    assert_eq!(pages(&bench.reader, 0, 1000), [[(3, 4), (4, 6)]]);
    assert_eq!(bench.reader.answers_before_claims().unwrap(), 4);
    assert_eq!(bench.reader.leaf_count().unwrap(), 8, "leaves stay");
}

#[test]
fn a_challenge_is_spent_once_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench::open(directory.path(), Options::default(), Counting::default());
    bench.submit(transaction(1)).unwrap();
    assert!(matches!(bench.submit(transaction(1)), Err(CommitError::ChallengeSpent)));
    bench.commit.shut_down();
    let bench = Bench::open(directory.path(), Options::default(), Counting::default());
    let later = Transaction { now: UnixTime(5000), ..transaction(1) };
    assert!(matches!(bench.submit(later), Err(CommitError::ChallengeSpent)));
    assert_eq!(bench.submit(transaction(2)).unwrap().first_index(), 2);
    assert_eq!(bench.reader.counts().unwrap().leaves, 4);
}

#[test]
fn a_refused_request_leaves_the_others_of_its_group_alone() {
    let directory = tempfile::tempdir().unwrap();
    let slow = Counting { pause: Duration::from_millis(200), ..Counting::default() };
    let bench = Bench::open(directory.path(), Options::default(), slow);
    // The first keeps the thread busy while the others gather into one group.
    let first = bench.start(transaction(1));
    std::thread::sleep(Duration::from_millis(60));
    let answers = [transaction(2), transaction(1), transaction(3), transaction(2)].map(|t| bench.start(t));
    assert_eq!(first.recv().unwrap().unwrap().first_index(), 0);
    let answers = answers.map(|answer| answer.recv().unwrap().map(|c| (c.first_index(), **c.group())));
    let [Ok(a), Err(CommitError::ChallengeSpent), Ok(b), Err(CommitError::ChallengeSpent)] = answers else {
        panic!("{answers:?}")
    };
    assert_eq!((a, b), ((2, (2, 4)), (4, (2, 4))), "one group, contiguous places");
    assert_eq!(bench.reader.entries(2, 9).unwrap(), [[2; 34], [2; 34], [3; 34], [3; 34]]);
}

#[test]
fn keys_come_and_change_with_their_leaves_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench::open(directory.path(), Options::default(), Counting::default());
    let write = |n, write| Transaction { keys: vec![write], ..transaction(n) };
    bench.submit(write(1, KeyWrite::Create(key(1, 1, true)))).unwrap();
    bench.submit(write(2, KeyWrite::Create(key(2, 1, true)))).unwrap();
    let exists = bench.submit(write(3, KeyWrite::Create(key(1, 1, false))));
    assert!(matches!(exists, Err(CommitError::KeyExists { version: KeyVersion(1), .. })));
    let stale = bench.submit(write(3, KeyWrite::Replace(key(1, 3, false))));
    assert!(matches!(stale, Err(CommitError::KeyChanged { expected: 2, found: Some(1), .. })));
    let gone = bench.submit(write(3, KeyWrite::Replace(key(7, 2, false))));
    assert!(matches!(gone, Err(CommitError::KeyChanged { expected: 1, found: None, .. })));
    assert_eq!(bench.reader.leaf_count().unwrap(), 4, "a refused change leaves no leaf");
    // The refused requests' challenge was not spent.
    bench.submit(write(3, KeyWrite::Replace(key(2, 2, false)))).unwrap();

    let id = "disk".parse().unwrap();
    let reader = &bench.reader;
    assert_eq!(reader.keys().unwrap(), [key(1, 1, true), key(2, 2, false)]);
    assert_eq!(reader.key_versions(&id).unwrap(), reader.keys().unwrap());
    assert_eq!(reader.key(&id, VersionSelector::Latest).unwrap(), Some(key(1, 1, true)), "newest enabled");
    assert_eq!(reader.key(&id, VersionSelector::Exact(KeyVersion(2))).unwrap(), Some(key(2, 2, false)));
    assert_eq!(reader.key(&id, VersionSelector::Exact(KeyVersion(3))).unwrap(), None);

    let decided = |n, keys_unchanged| Transaction { keys_unchanged, ..transaction(n) };
    bench.submit(decided(4, unchanged(2, 2))).unwrap();
    let changed = bench.submit(decided(5, unchanged(2, 1)));
    assert!(matches!(changed, Err(CommitError::KeyChanged { expected: 1, found: Some(2), .. })));
    let gone = bench.submit(decided(5, unchanged(9, 1)));
    assert!(matches!(gone, Err(CommitError::KeyChanged { expected: 1, found: None, .. })));
}

#[test]
fn a_decision_under_another_policy_is_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench::open(directory.path(), Options::default(), Counting::default());
    let (old, new) = (PolicyDigest([1; 32]), PolicyDigest([2; 32]));
    let under = |n, policy| Transaction { policy: Some(policy), ..transaction(n) };
    let none = bench.submit(under(1, old));
    assert!(matches!(none, Err(CommitError::PolicyChanged { found: None, .. })));
    for (n, policy) in [(1, old), (2, new)] {
        let activate = Activation { digest: policy, bundle_serial: 0, references_serial: 0 };
        bench.submit(Transaction { activate: Some(activate), ..transaction(n) }).unwrap();
        assert_eq!(bench.reader.active_policy().unwrap(), Some(policy));
    }
    let changed = bench.submit(under(3, old));
    assert!(matches!(changed, Err(CommitError::PolicyChanged { found: Some(found), .. }) if found == new));
    bench.submit(under(3, new)).unwrap();
}

#[test]
fn a_policy_that_is_older_does_not_become_the_active_one() {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench::open(directory.path(), Options::default(), Counting::default());
    let submit = |n, digest, bundle_serial, references_serial| {
        let activate =
            Some(Activation { digest: PolicyDigest([digest; 32]), bundle_serial, references_serial });
        bench.submit(Transaction { activate, ..transaction(n) }).map(drop)
    };
    // Nobody counts what nobody signs.
    submit(0, 1, 0, 7).unwrap();
    submit(1, 2, 0, 7).unwrap();
    submit(2, 2, 3, 7).unwrap();
    submit(5, 2, 3, 7).unwrap();
    let same = submit(3, 3, 3, 7).unwrap_err();
    assert!(matches!(same, CommitError::PolicySerial { serial: 3 }), "{same}");
    let older = |what, expected, got| CommitError::PolicyOlder { what, expected, got }.to_string();
    assert_eq!(submit(3, 3, 2, 8).unwrap_err().to_string(), older("policies", 3, 2));
    assert_eq!(submit(3, 3, 4, 6).unwrap_err().to_string(), older("reference values", 7, 6));
    assert_eq!(bench.reader.active_policy().unwrap(), Some(PolicyDigest([2; 32])));
    submit(3, 3, 4, 8).unwrap();
}

#[test]
fn expired_challenges_are_forgotten_but_for_the_newest() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { nonces_kept: 4, ..Options::default() };
    let bench = Bench::open(directory.path(), options, Counting::default());
    for n in 0..20 {
        bench.submit(transaction(n)).unwrap();
    }
    assert_eq!(bench.reader.counts().unwrap().nonces, 20, "none has expired");
    let late = |n| Transaction { now: UnixTime(1001), ..transaction(n) };
    for n in 20..23 {
        bench.submit(late(n)).unwrap();
    }
    assert_eq!(bench.reader.counts().unwrap().nonces, 4);
    for n in 19..23 {
        assert!(matches!(bench.submit(late(n)), Err(CommitError::ChallengeSpent)), "{n}");
    }
}

#[test]
fn refusals_are_kept_without_leaves_and_only_the_newest() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { refusals_kept: 3, ..Options::default() };
    let bench = Bench::open(directory.path(), options, Counting::default());
    let refusal = |n: u8| Refusal {
        request: RequestId([n; 16]),
        at: UnixTime(u64::from(n)),
        code: "bad-token".to_owned(),
        detail: "expired 3 s ago".to_owned(),
    };
    for n in 0..5 {
        let refused = Transaction { refusals: vec![refusal(n)], ..Transaction::new(UnixTime(1)) };
        assert_eq!(bench.submit(refused).unwrap().entries(), &[] as &[Entry]);
    }
    assert_eq!(bench.reader.counts().unwrap(), Counts { leaves: 0, keys: 0, nonces: 0, refusals: 3 });
    assert_eq!(bench.reader.refusal(RequestId([4; 16])).unwrap(), Some(refusal(4)));
    assert_eq!(bench.reader.refusal(RequestId([1; 16])).unwrap(), None);
}

#[test]
fn beyond_the_queue_requests_are_turned_away_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let slow = Counting { pause: Duration::from_millis(300), ..Counting::default() };
    let bench = Bench::open(directory.path(), Options { queue: 2, ..Options::default() }, slow);
    let first = bench.start(transaction(1));
    std::thread::sleep(Duration::from_millis(100));
    let waiting = [2, 3].map(|n| bench.start(transaction(n)));
    assert!(matches!(bench.submit(transaction(4)), Err(CommitError::Overloaded)));
    assert!(first.recv().unwrap().is_ok());
    assert!(waiting.into_iter().all(|answer| answer.recv().unwrap().is_ok()));
}

#[test]
fn a_sequencer_that_fails_ends_the_writing() {
    let directory = tempfile::tempdir().unwrap();
    let failing = Counting { fail_at: Some(2), ..Counting::default() };
    let bench = Bench::open(directory.path(), Options::default(), failing);
    bench.submit(transaction(1)).unwrap();
    assert!(matches!(bench.submit(transaction(2)), Err(CommitError::Sequencer(why)) if why == "no more"));
    assert!(matches!(bench.submit(transaction(3)), Err(CommitError::Stopped(why)) if why == "no more"));
    assert_eq!(bench.reader.leaf_count().unwrap(), 4, "the second is durable; the third was not written");
}

#[test]
fn what_waits_is_written_before_the_thread_ends() {
    let directory = tempfile::tempdir().unwrap();
    let slow = Counting { pause: Duration::from_millis(20), ..Counting::default() };
    let bench = Bench::open(directory.path(), Options::default(), slow);
    let answers: Vec<_> = (0..50).map(|n| bench.start(transaction(n))).collect();
    bench.commit.shut_down();
    assert!(answers.into_iter().all(|answer| answer.recv().unwrap().is_ok()));
    assert_eq!(bench.reader.leaf_count().unwrap(), 100);
}

#[test]
fn a_failed_commit_is_success_for_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench::open(directory.path(), Options::default(), Counting::default());
    bench.submit(transaction(1)).unwrap();
    // Another writer holds the database for longer than the writer waits: nothing can be written.
    let intruder = rusqlite::Connection::open(directory.path().join("store.db")).unwrap();
    intruder.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(bench.submit(transaction(2)), Err(CommitError::Storage(_))));
    intruder.execute_batch("ROLLBACK").unwrap();
    assert_eq!(bench.reader.leaf_count().unwrap(), 2);
    assert_eq!(bench.submit(transaction(2)).unwrap().first_index(), 2, "a busy database can be tried again");
}

fn attestation_key(believed: bool) -> AttestationKey {
    let name = |byte: &str| format!("000b{}", byte.repeat(32)).parse().unwrap();
    AttestationKey {
        name: name("5a"),
        binding: AkBinding::EkCertificate,
        ek: Some(name("6b")),
        simulated: true,
        not_after: UnixTime(9000),
        believed,
    }
}

fn quoted(n: u8, resets: u32, clock_ms: u64) -> Transaction {
    let AttestationKey { name: ak, ek, .. } = attestation_key(true);
    let counters = TpmCounters { ak, resets, restarts: 0, clock_ms };
    Transaction { tpm: Some(SeenTpm { counters, signer: ek.unwrap(), slack_ms: 100 }), ..transaction(n) }
}

#[test]
fn a_tpm_is_answered_while_its_key_is_believed_and_it_does_not_go_back() {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench::open(directory.path(), Options::default(), Counting::default());
    let withdrawn = |answer: Answer| matches!(answer, Err(CommitError::AttestationKeyWithdrawn { .. }));
    assert!(withdrawn(bench.submit(quoted(1, 1, 0))));
    let put = |believed| {
        let attestation_keys = vec![attestation_key(believed)];
        bench.submit(Transaction { attestation_keys, ..Transaction::new(UnixTime(1)) }).unwrap();
        assert_eq!(bench.reader.attestation_keys().unwrap(), [attestation_key(believed)]);
    };
    put(true);
    bench.submit(quoted(1, 2, 1000)).unwrap();
    // Made before the other and come after it: what was kept stays.
    bench.submit(quoted(2, 2, 900)).unwrap();
    for (resets, clock_ms, lower) in [(2, 899, "clock"), (1, 5000, "resetCount")] {
        let refused = bench.submit(quoted(3, resets, clock_ms)).unwrap_err();
        assert!(matches!(refused, CommitError::TpmPutBack { counter, .. } if counter == lower), "{refused}");
    }
    let mut elsewhere = quoted(3, 2, 1000);
    elsewhere.tpm.as_mut().unwrap().signer = attestation_key(true).name;
    let names = Box::new((attestation_key(true).ek.unwrap(), attestation_key(true).name));
    let moved =
        |answer: Answer| matches!(answer, Err(CommitError::TpmSigner { names: found, .. }) if found == names);
    assert!(moved(bench.submit(elsewhere.clone())));
    // Enrolled again, the key keeps its past; the refused challenge was not spent.
    put(true);
    assert!(matches!(bench.submit(quoted(3, 1, 5000)), Err(CommitError::TpmPutBack { .. })));
    assert!(moved(bench.submit(elsewhere)));
    bench.submit(quoted(3, 3, 0)).unwrap();
    put(false);
    assert!(withdrawn(bench.submit(quoted(4, 3, 1))));
}

/// A quote of the `n`th vTPM that a report vouches for.
fn vouched(n: u8, tpm: u8, resets: u32, clock_ms: u64, served: bool) -> Transaction {
    let name = |byte: u8| format!("000b{}", format!("{byte:02x}").repeat(32)).parse().unwrap();
    let counters = TpmCounters { ak: name(tpm), resets, restarts: 0, clock_ms };
    let seen = SeenVouchedTpm { counters, signer: name(0xee), slack_ms: 100, served };
    Transaction { vouched_tpm: Some(seen), now: UnixTime(n.into()), ..transaction(n) }
}

#[test]
fn a_vtpm_that_was_served_does_not_go_back_and_stays_under_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench::open(directory.path(), Options::default(), Counting::default());
    // What gets nothing is not remembered, so that nobody fills the table with it.
    bench.submit(vouched(1, 7, 9, 9000, false)).unwrap();
    bench.submit(vouched(2, 7, 2, 1000, true)).unwrap();
    bench.submit(vouched(3, 7, 2, 900, true)).unwrap();
    for (resets, clock_ms, lower) in [(2, 899, "clock"), (1, 5000, "resetCount")] {
        for served in [true, false] {
            let refused = bench.submit(vouched(4, 7, resets, clock_ms, served)).unwrap_err();
            assert!(
                matches!(refused, CommitError::TpmPutBack { counter, .. } if counter == lower),
                "{refused}"
            );
        }
    }
    let mut elsewhere = vouched(4, 7, 2, 1000, true);
    elsewhere.vouched_tpm.as_mut().unwrap().signer = attestation_key(true).name;
    let error = bench.submit(elsewhere.clone()).unwrap_err();
    let names = Box::new((vouched(4, 7, 0, 0, true).vouched_tpm.unwrap().signer, attestation_key(true).name));
    assert!(matches!(&error, CommitError::TpmSigner { names: found, .. } if *found == names), "{error}");
    // Refused challenges were not spent; another vTPM has a past of its own; a higher count of resets counts.
    bench.submit(vouched(4, 8, 1, 0, true)).unwrap();
    bench.submit(vouched(5, 7, 3, 0, false)).unwrap();
    bench.submit(vouched(6, 7, 2, 1000, true)).unwrap();
}

#[test]
fn the_vtpms_that_were_served_last_are_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { vouched_tpms_kept: 2, ..Options::default() };
    let bench = Bench::open(directory.path(), options, Counting::default());
    bench.submit(vouched(1, 1, 5, 0, true)).unwrap();
    bench.submit(vouched(2, 2, 5, 0, true)).unwrap();
    bench.submit(vouched(3, 1, 5, 0, true)).unwrap();
    // 2 makes place for 3.
    bench.submit(vouched(4, 3, 5, 0, true)).unwrap();
    for tpm in [1, 3] {
        let refused = bench.submit(vouched(5, tpm, 4, 0, false)).unwrap_err();
        assert!(matches!(refused, CommitError::TpmPutBack { .. }), "{tpm}: {refused}");
    }
    bench.submit(vouched(5, 2, 4, 0, false)).unwrap();
}
