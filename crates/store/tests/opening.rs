//! Which files are opened, and which are refused by name.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use claims::UnixTime;
use claims::leaf::{Entry, LeafKind};
use rusqlite::Connection;
use store::{GroupCommit, LeafRow, OpenError, Options, SequenceError, Sequencer, Store, Transaction};

struct Ignore;

impl Sequencer for Ignore {
    type Group = ();

    fn sequence(&mut self, _: u64, _: &[Entry]) -> Result<(), SequenceError> {
        Ok(())
    }
}

fn open(path: &Path) -> Result<Store, OpenError> {
    Store::open(path, Options::default())
}

/// A closed store with some leaves.
fn made(directory: &Path) -> PathBuf {
    let path = directory.join("store.db");
    let commit = GroupCommit::spawn(open(&path).unwrap(), Ignore).unwrap();
    let leaf = |n: u8| LeafRow {
        kind: LeafKind::Denial,
        entry: [n; 34],
        salt: [n; 16],
        record: vec![n; 3000],
        request: None,
        explanation: None,
    };
    let transaction = Transaction { leaves: (0..100).map(leaf).collect(), ..Transaction::new(UnixTime(1)) };
    commit.submit(transaction, |answer| assert!(answer.is_ok()));
    commit.shut_down();
    path
}

#[test]
fn a_new_store_is_readable_by_its_owner_alone_and_by_one_broker() {
    let directory = tempfile::tempdir().unwrap();
    let path = made(directory.path());
    let store = open(&path).unwrap();
    assert_eq!(store.reader().unwrap().leaf_count().unwrap(), 100);
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", file.file_name());
    }
    assert!(matches!(open(&path), Err(OpenError::InUse { .. })));
    drop(store);
    open(&path).unwrap();
}

#[test]
fn a_store_that_others_may_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = made(directory.path());
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    assert!(matches!(open(&path), Err(OpenError::Exposed { mode: 0o640, .. })));
}

#[test]
fn a_path_that_leads_nowhere_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let missing = open(&directory.path().join("no/store.db"));
    assert!(matches!(missing, Err(OpenError::Io { .. })));
}

#[test]
fn another_programs_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = private_file(directory.path(), b"");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a); PRAGMA application_id = 7").unwrap();
    assert!(matches!(open(&path), Err(OpenError::Foreign { found: 7, .. })));
    Connection::open(&path).unwrap().execute_batch("PRAGMA application_id = 0").unwrap();
    assert!(matches!(open(&path), Err(OpenError::Foreign { found: 0, .. })));
}

#[test]
fn a_newer_version_is_refused_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = made(directory.path());
    let alter = |sql: &str| Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    alter("UPDATE version SET version = 8");
    assert!(matches!(open(&path), Err(OpenError::Newer { found: 8, supported: 7, .. })));
    alter("UPDATE version SET version = 0");
    assert!(matches!(open(&path), Err(OpenError::Damaged { .. })));
    alter("DELETE FROM version");
    assert!(matches!(open(&path), Err(OpenError::Damaged { .. })));
}

#[test]
fn an_older_version_becomes_this_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = made(directory.path());
    let alter = |sql: &str| Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    let columns = ["ring", "region", "release_policy", "policy_immutable"];
    let serials = ["bundle_serial", "references_serial"];
    let drop_column = |table, column| format!("ALTER TABLE {table} DROP COLUMN {column};");
    let before_3 = columns.map(|column| drop_column("key", column)).concat()
        + &serials.map(|column| drop_column("policy_epoch", column)).concat();
    let before_6 = drop_column("attestation_key", "signer");
    let before_5 = format!("{before_6} DROP TABLE vouched_tpm;");
    let before_4 = &format!("{before_5} DROP TABLE claims;");
    for (version, older) in [
        (6, String::new()),
        (5, before_6),
        (4, before_5.clone()),
        (3, before_4.to_owned()),
        (2, format!("{before_4} {before_3}")),
        (1, format!("{before_4} {before_3} DROP TABLE attestation_key;")),
    ] {
        alter(&format!("{older} UPDATE version SET version = {version}"));
        let store = open(&path).unwrap();
        let reader = store.reader().unwrap();
        assert_eq!((reader.attestation_keys().unwrap(), reader.keys().unwrap()), (vec![], vec![]));
        // What was decided before has no claims, and is there.
        assert_eq!(reader.claims_between(UnixTime(0), UnixTime::END, None, 10).unwrap(), []);
        assert_eq!(reader.leaf_count().unwrap(), 100);
        drop(reader);
        drop(store);
        let upgraded = Connection::open(&path).unwrap();
        let found: i64 = upgraded.query_row("SELECT version FROM version", [], |row| row.get(0)).unwrap();
        assert_eq!(found, 7);
        open(&path).unwrap();
    }
}

#[test]
fn a_damaged_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = private_file(directory.path(), &[0x5a; 8192]);
    assert!(matches!(open(&path), Err(OpenError::NotADatabase { .. })));
    std::fs::remove_file(&path).unwrap();
    let path = made(directory.path());
    let mut bytes = std::fs::read(&path).unwrap();
    // The header of every page but the first, which holds the file's own.
    bytes.chunks_mut(4096).skip(1).for_each(|page| page.iter_mut().take(8).for_each(|b| *b ^= 0xff));
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(open(&path), Err(OpenError::Damaged { .. })));
    bytes.truncate(4096);
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(open(&path), Err(OpenError::Damaged { .. })));
}

#[test]
fn a_missing_table_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = made(directory.path());
    Connection::open(&path).unwrap().execute_batch("DROP TABLE nonce").unwrap();
    assert!(matches!(open(&path), Err(OpenError::Damaged { what, .. }) if what == "table nonce is missing"));
}

#[test]
fn a_damaged_row_is_named_when_it_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = made(directory.path());
    Connection::open(&path).unwrap().execute_batch("UPDATE leaf SET kind = 99 WHERE idx = 17").unwrap();
    let error = open(&path).unwrap().reader().unwrap().leaves(0, 100).unwrap_err();
    assert_eq!(
        error.to_string(),
        "damaged row in table leaf: kind of leaf 17; restore the database from a backup"
    );
}

fn private_file(directory: &Path, bytes: &[u8]) -> PathBuf {
    let path = directory.join("store.db");
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    path
}
