//! A published journal: intact ones pass, and one altered byte anywhere is found and named.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::convert::Infallible;

use claims::leaf::{Entry, LeafKind};
use crypto::Ed25519SigningKey;
use journal::audit::{
    AuditError, AuditedLeaf, DirectoryError, DirectoryReport, verify_directory, verify_leaves,
};
use journal::{CHECKPOINT, LeafFault, Publisher};
use tlog::note::Signer;
use tlog::{Checkpoint, Frontier, Hash, KeyName, leaf_hash};

type Files = BTreeMap<String, Vec<u8>>;
type Verdict = Result<DirectoryReport, DirectoryError<Infallible>>;

fn origin() -> KeyName {
    "keys.example/journal".parse().unwrap()
}

fn signer() -> Signer {
    Signer::new(origin(), Ed25519SigningKey::from_seed(&[1; 32]).unwrap()).unwrap()
}

fn record(n: u64) -> Vec<u8> {
    journal::Event::Refusals(journal::Refusals {
        broker: claims::BrokerId([1; 32]),
        policy: None,
        from: claims::UnixTime(n),
        until: claims::UnixTime(n + 60),
        counts: Vec::new(),
    })
    .encode()
}

fn entries(size: u64) -> Vec<Entry> {
    (0..size).map(|n| tlog::entry(LeafKind::Refusals, &[0; 16], &record(n))).collect()
}

fn checkpoint(entries: &[Entry]) -> Checkpoint {
    let mut tree = Frontier::new();
    entries.iter().for_each(|entry| tree.push(leaf_hash(entry)));
    Checkpoint { origin: origin(), size: tree.size(), root: tree.root() }
}

fn published(entries: &[Entry]) -> Files {
    let mut publisher = Publisher::new();
    let mut files = publisher.append(entries).unwrap();
    files.extend(publisher.head(&checkpoint(entries).sign(&signer()).unwrap()));
    files.into_iter().map(|file| (file.path, file.bytes)).collect()
}

fn verify(files: &Files) -> Verdict {
    verify_directory(|path| Ok(files.get(path).cloned()), &origin(), &[signer().verifier().clone()])
}

#[test]
fn what_is_published_verifies_whatever_its_size() {
    for size in [0, 1, 2, 255, 256, 257, 300, 65_536, 65_537, 70_000] {
        let entries = entries(size);
        let report = verify(&published(&entries)).unwrap();
        assert_eq!(report.checkpoint, checkpoint(&entries));
        assert_eq!(report.entries, [0, 0, 0, 0, 0, size, 0, 0, 0, 0]);
    }
}

#[test]
fn a_journal_that_grows_keeps_verifying_over_the_files_of_before() {
    let entries = entries(600);
    let (mut publisher, mut files) = (Publisher::new(), Files::new());
    for size in [10_usize, 255, 256, 400, 600] {
        let before = usize::try_from(publisher.size()).unwrap();
        let full = publisher.append(entries.get(before..size).unwrap()).unwrap();
        let note = checkpoint(entries.get(..size).unwrap()).sign(&signer()).unwrap();
        files.extend(full.into_iter().chain(publisher.head(&note)).map(|file| (file.path, file.bytes)));
        assert_eq!(verify(&files).unwrap().checkpoint.size, u64::try_from(size).unwrap());
    }
    // A partial tile may be dropped once the full one is there.
    files.retain(|path, _| !path.contains(".p/") || path.ends_with(".p/88") || path.ends_with(".p/2"));
    assert!(verify(&files).is_ok());
}

/// The file that an error names, and the entry if it names one.
fn named(error: &DirectoryError<Infallible>) -> (String, Option<u64>) {
    match error {
        DirectoryError::Checkpoint(_) => (CHECKPOINT.to_owned(), None),
        DirectoryError::Malformed { path, first, .. } => (path.clone(), Some(*first)),
        DirectoryError::Entry { path, index, .. } | DirectoryError::Tile { path, index, .. } => {
            (path.clone(), Some(*index))
        }
        other => panic!("{other}"),
    }
}

#[test]
fn one_altered_byte_is_found_and_named_wherever_it_is() {
    let files = published(&entries(260));
    assert_eq!(
        files.keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "checkpoint",
            "tile/0/000",
            "tile/0/001.p/4",
            "tile/1/000.p/1",
            "tile/entries/000",
            "tile/entries/001.p/4"
        ]
    );
    for (path, bytes) in &files {
        for at in (0..bytes.len()).filter(|at| bytes.len() < 2000 || at % 7 == 0) {
            let mut altered = files.clone();
            *altered.get_mut(path).unwrap().get_mut(at).unwrap() ^= 1 << (at % 8);
            let (found, entry) = named(&verify(&altered).unwrap_err());
            assert_eq!(found, *path, "byte {at}");
            let first = if path.contains("001") { 256 } else { 0 };
            let width = if path.contains("entries") { 36 } else { 32 };
            let expected = (path != CHECKPOINT).then(|| first + u64::try_from(at / width).unwrap());
            assert_eq!(entry, expected, "byte {at} of {path}");
        }
    }
}

#[test]
fn a_missing_or_cut_file_is_named() {
    let files = published(&entries(300));
    for path in files.keys() {
        let mut altered = files.clone();
        let mut bytes = altered.remove(path).unwrap();
        assert!(matches!(verify(&altered), Err(DirectoryError::Missing { path: p }) if p == *path));
        bytes.pop();
        altered.insert(path.clone(), bytes.clone());
        assert_eq!(named(&verify(&altered).unwrap_err()).0, *path, "one byte less");
        bytes.extend([b'\n', b'x']);
        altered.insert(path.clone(), bytes);
        assert_eq!(named(&verify(&altered).unwrap_err()).0, *path, "one byte more");
    }
}

#[test]
fn entries_that_were_replaced_with_their_tiles_do_not_lead_to_the_root() {
    let (signed, mut replaced) = (entries(300), entries(300));
    *replaced.get_mut(17).unwrap() = tlog::entry(LeafKind::Refusals, &[1; 16], &record(17));
    let mut files = published(&replaced);
    files.insert(CHECKPOINT.to_owned(), published(&signed).remove(CHECKPOINT).unwrap());
    let (expected, got) = (checkpoint(&signed).root, checkpoint(&replaced).root);
    let Err(DirectoryError::Root { expected: e, got: g }) = verify(&files) else { panic!("accepted") };
    assert_eq!((e, g), (expected, got));
    // With the signed leaf tile beside them, the entry is named.
    files.insert("tile/0/000".to_owned(), published(&signed).remove("tile/0/000").unwrap());
    let Err(DirectoryError::Entry { index: 17, path, .. }) = verify(&files) else { panic!("not named") };
    assert_eq!(path, "tile/entries/000");
    // With neither, both files are.
    *files.get_mut("tile/0/000").unwrap().first_mut().unwrap() ^= 1;
    assert!(matches!(verify(&files), Err(DirectoryError::Differ { index: 0, .. })));
}

#[test]
fn a_checkpoint_by_another_key_or_of_another_log_is_refused() {
    let entries = entries(3);
    let mut files = published(&entries);
    let other = Signer::new(origin(), Ed25519SigningKey::from_seed(&[2; 32]).unwrap()).unwrap();
    files.insert(CHECKPOINT.to_owned(), checkpoint(&entries).sign(&other).unwrap());
    assert!(matches!(verify(&files), Err(DirectoryError::Checkpoint(_))));
    let foreign = Checkpoint { origin: "keys.example/other".parse().unwrap(), ..checkpoint(&entries) };
    files.insert(CHECKPOINT.to_owned(), foreign.sign(&signer()).unwrap());
    assert!(matches!(verify(&files), Err(DirectoryError::Checkpoint(_))));
    // A size that the files do not reach asks for the first file beyond, and reads no further.
    let huge = Checkpoint { size: u64::MAX, ..checkpoint(&entries) };
    files.insert(CHECKPOINT.to_owned(), huge.sign(&signer()).unwrap());
    assert!(matches!(verify(&files), Err(DirectoryError::Missing { path }) if path == "tile/entries/000"));
}

#[test]
fn an_entry_of_an_unknown_version_is_named_though_it_was_signed() {
    let mut entries = entries(300);
    *entries.get_mut(270).unwrap().first_mut().unwrap() = 2;
    let Err(DirectoryError::Unknown { path, index: 270, source }) = verify(&published(&entries)) else {
        panic!("not named")
    };
    assert_eq!((path.as_str(), source), ("tile/entries/001.p/44", LeafFault::Version { got: 2 }));
}

#[test]
fn leaves_are_checked_against_their_records_and_the_checkpoint() {
    let entries = entries(10);
    let records: Vec<Vec<u8>> = (0..10).map(record).collect();
    let opened = |entry, record| AuditedLeaf { entry, record: Some((&[0; 16], record)) };
    let leaves =
        || entries.iter().zip(&records).map(|(entry, record)| opened(entry.as_slice(), record.as_slice()));
    let signed = checkpoint(&entries);
    assert_eq!(verify_leaves(leaves(), &signed), Ok(()));
    assert_eq!(verify_leaves(leaves().take(9), &signed), Err(AuditError::Size { expected: 10, got: 9 }));
    assert_eq!(
        verify_leaves(leaves().chain(leaves()), &signed),
        Err(AuditError::Size { expected: 10, got: 11 })
    );
    let swapped = leaves().take(4).chain([opened(entries.first().unwrap(), records.last().unwrap())]);
    assert!(matches!(
        verify_leaves(swapped, &signed),
        Err(AuditError::Leaf { index: 4, source: LeafFault::Commitment { .. } })
    ));
    let root = Hash([0; 32]);
    let other = Checkpoint { root, ..signed.clone() };
    let wrong = AuditError::Root { expected: root, got: signed.root };
    assert_eq!(verify_leaves(leaves(), &other), Err(wrong));
    let short = [AuditedLeaf { entry: &[1, 1], record: None }];
    let length = AuditError::Leaf { index: 0, source: LeafFault::Length { got: 2 } };
    assert_eq!(verify_leaves(short, &signed), Err(length));
}
