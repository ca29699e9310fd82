//! A broker that dies between submitting and committing leaves nothing half-written.
//!
//! The test runs itself again as the process that dies: there the sequencer, or an answer, aborts.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::{Command, Stdio};

use claims::leaf::{Entry, LeafKind};
use claims::{Nonce, RequestId, UnixTime};
use store::{
    CommitError, GroupCommit, LeafRow, Options, SequenceError, Sequencer, SpentNonce, Store, Transaction,
};

/// Names the directory of the store to the process that dies.
const DIRECTORY: &str = "KEYFAST_CRASH_TEST_DIRECTORY";
/// Leaves of one request.
const LEAVES: usize = 32;

struct Abort {
    at: Option<u64>,
}

impl Sequencer for Abort {
    type Group = ();

    fn sequence(&mut self, first_index: u64, _: &[Entry]) -> Result<(), SequenceError> {
        if self.at.is_some_and(|at| first_index >= at) {
            std::process::abort();
        }
        Ok(())
    }
}

fn transaction(n: u32) -> Transaction {
    let mut nonce = [0; 32];
    nonce.iter_mut().zip(n.to_be_bytes()).for_each(|(to, from)| *to = from);
    let leaf = |i: usize| LeafRow {
        kind: LeafKind::Release,
        entry: [u8::try_from(i).unwrap(); 34],
        salt: [0; 16],
        record: n.to_be_bytes().to_vec(),
        request: Some(RequestId([7; 16])),
        explanation: None,
    };
    Transaction {
        nonce: Some(SpentNonce { nonce: Nonce(nonce), expires: UnixTime(100) }),
        leaves: (0..LEAVES).map(leaf).collect(),
        ..Transaction::new(UnixTime(1))
    }
}

fn open(directory: &Path) -> Store {
    Store::open(&directory.join("store.db"), Options::default()).unwrap()
}

#[test]
fn a_process_that_dies_leaves_whole_requests_only() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        return die(Path::new(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let dying = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_that_dies_leaves_whole_requests_only", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    assert!(!dying.status.success(), "it was to be aborted");
    let acknowledged = String::from_utf8_lossy(&dying.stdout).matches("acknowledged ").count();
    assert!(acknowledged >= 10, "got as far as {acknowledged}");

    let store = open(directory.path());
    let leaves = store.reader().unwrap().leaves(0, usize::MAX >> 1).unwrap();
    assert_eq!(leaves.len() % LEAVES, 0, "no request is there in part");
    assert!(leaves.len() >= acknowledged * LEAVES, "what was acknowledged is there");
    for (index, stored) in leaves.iter().enumerate() {
        assert_eq!(stored.index, u64::try_from(index).unwrap());
        assert_eq!(usize::from(*stored.leaf.entry.first().unwrap()), index % LEAVES);
    }
    // Every request that is there has spent its challenge, and no other has.
    let commit = GroupCommit::spawn(store, Abort { at: None }).unwrap();
    let written = u32::try_from(leaves.len() / LEAVES).unwrap();
    for n in 0..written + 3 {
        let (send, receive) = std::sync::mpsc::channel();
        commit.submit(transaction(n), move |answer| send.send(answer).unwrap());
        let answer = receive.recv().unwrap();
        assert_eq!(matches!(answer, Err(CommitError::ChallengeSpent)), n < written, "request {n}");
    }
}

/// Submits faster than the disk takes, until the sequencer aborts between a commit and its answers, with more
/// requests in the queue and on their way.
fn die(directory: &Path) {
    let at = u64::try_from(LEAVES * 10).unwrap();
    let commit = GroupCommit::spawn(open(directory), Abort { at: Some(at) }).unwrap();
    for n in 0..10 {
        let (send, receive) = std::sync::mpsc::channel();
        commit.submit(transaction(n), move |answer| send.send(answer.is_ok()).unwrap());
        assert!(receive.recv().unwrap());
        println!("acknowledged {n}");
    }
    for n in 10..1000 {
        commit.submit(transaction(n), move |answer| println!("acknowledged {n}: {}", answer.is_ok()));
    }
    commit.shut_down();
}
