//! The published journal: it verifies, and whatever is altered in it is found and named.

use std::fs;
use std::path::{Path, PathBuf};

use claims::leaf::LeafKind;
use claims::{Operation, PolicyDigest};
use journal::{Event, Record};
use rusqlite::Connection;
use tlog::note::SignedNote;
use tlog::{Checkpoint, TILE_WIDTH, Tile, TileKind};

use crate::exchange::Exchange;
use crate::guest::{Guest, wanted};
use crate::setup::{Run, Setup, shared, wait_until};

/// The newest checkpoint in a directory.
pub fn published(journal: &Path) -> Checkpoint {
    let note = fs::read(journal.join("checkpoint")).unwrap();
    Checkpoint::parse(SignedNote::parse(&note).unwrap().unverified_text()).unwrap()
}

/// Every record that a broker which has ended left, in order.
pub fn records(setup: &Setup) -> Vec<Record> {
    let connection = Connection::open(setup.dev("broker/keyfast.sqlite")).unwrap();
    let mut select = connection.prepare("SELECT kind, record FROM leaf ORDER BY idx").unwrap();
    let record = |row: &rusqlite::Row<'_>| {
        let (kind, record): (u8, Vec<u8>) = (row.get(0)?, row.get(1)?);
        Ok(Record::decode(LeafKind::from_code(kind).unwrap(), &record).unwrap())
    };
    select.query_map([], record).unwrap().map(|record| record.unwrap()).collect()
}

/// A copy of the published journal that no broker writes to: the checkpoint first, since what it covers is there.
fn copied(setup: &Setup, name: &str) -> PathBuf {
    let (from, to) = (setup.journal(), setup.path(name));
    fs::create_dir(&to).unwrap();
    fs::copy(from.join("checkpoint"), to.join("checkpoint")).unwrap();
    let size = published(&to).size;
    for tile in tiles(size) {
        let path = to.join(tile.to_string());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(from.join(tile.to_string()), path).unwrap();
    }
    to
}

/// Every tile of a log of this size.
fn tiles(size: u64) -> Vec<Tile> {
    let levels = [0, 1].map(|level| TileKind::Hashes { level });
    [TileKind::Entries].into_iter().chain(levels).flat_map(|kind| Tile::all(kind, size)).collect()
}

fn verify(setup: &Setup, dir: &Path) -> Run {
    setup.keyfast(&["audit", "verify", dir.to_str().unwrap()])
}

/// Flips a bit of a byte, verifies, and flips it back; gives the reason for the refusal.
#[track_caller]
fn flipped(setup: &Setup, dir: &Path, file: &str, byte: usize) -> String {
    let path = dir.join(file);
    let genuine = fs::read(&path).unwrap();
    let mut altered = genuine.clone();
    altered[byte] ^= 1;
    fs::write(&path, altered).unwrap();
    let run = verify(setup, dir);
    fs::write(&path, genuine).unwrap();
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{file}, byte {byte}: {run}");
    let head = format!("keyfast: the log in `{}` does not verify: ", dir.display());
    run.stderr.trim_end().strip_prefix(&head).unwrap_or_else(|| panic!("{run}")).to_owned()
}

/// Makes the log longer than a tile.
fn grow(setup: &Setup) {
    let guest = Guest::new(setup, "grow");
    while published(&setup.journal()).size <= TILE_WIDTH + 1 {
        let size = published(&setup.journal()).size;
        guest.ask(setup, vec![wanted(Operation::Renew, "aes"); 32]).unwrap();
        wait_until("the log is published", || published(&setup.journal()).size > size);
    }
}

#[test]
fn one_flipped_byte_in_any_kind_of_published_file_is_found_and_named() {
    let setup = shared();
    grow(setup);
    let dir = copied(setup, "journal-flips");
    let stdout = verify(setup, &dir).success().stdout;
    let size = published(&dir).size;
    assert!(stdout.contains(&format!("entries     {size}\n")), "{stdout}");

    // An entry is its length in two bytes, then version, kind, and 32 bytes of commitment.
    for (file, entry, at) in
        [("tile/entries/000", 0, 0), ("tile/entries/000", 255, 255), ("tile/entries/001", 256, 0)]
    {
        let file = match file {
            "tile/entries/001" => last_bundle(size),
            file => file.to_owned(),
        };
        let reason = flipped(setup, &dir, &file, at * 36 + 20);
        let head = format!("entry {entry} in `{file}` was altered: expected leaf hash ");
        assert!(reason.starts_with(&head), "{reason}");
        let reason = flipped(setup, &dir, &file, at * 36 + 1);
        assert!(reason.starts_with(&format!("`{file}`, from entry {entry} on, is malformed: ")), "{reason}");
    }
    for tile in tiles(size) {
        let TileKind::Hashes { level } = tile.kind else { continue };
        let position = usize::from(tile.width) - 1;
        let reason = flipped(setup, &dir, &tile.to_string(), position * 32 + 5);
        let entry = (tile.index * TILE_WIDTH + position as u64) * if level == 0 { 1 } else { TILE_WIDTH };
        let head = format!("hash {position} of `{tile}`, over entry {entry}, was altered: expected ");
        assert!(reason.starts_with(&head), "{reason}");
    }
    let text = fs::read_to_string(dir.join("checkpoint")).unwrap();
    // What is flipped must stay base64, or the line is malformed instead.
    let flips_to_text = |at: &usize| (text.as_bytes()[*at] ^ 1).is_ascii_alphanumeric();
    let signature = text.rfind(' ').unwrap() + 20;
    let signature = (signature..text.len()).find(flips_to_text).unwrap();
    let lines: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    for (what, byte) in [("size", lines[0] + 1), ("root", lines[1] + 10), ("signature", signature)] {
        let reason = flipped(setup, &dir, "checkpoint", byte);
        let origin = setup.identity().log_origin();
        let head = format!("`checkpoint` is refused: the signature of `{origin}+");
        assert!(reason.starts_with(&head) && reason.ends_with("` does not verify"), "{what}: {reason}");
    }
    verify(setup, &dir).success();
}

/// The bundle that holds entry 256.
fn last_bundle(size: u64) -> String {
    Tile::all(TileKind::Entries, size).nth(1).unwrap().to_string()
}

#[test]
fn a_missing_or_truncated_file_is_named() {
    let setup = shared();
    let dir = copied(setup, "journal-missing");
    let size = published(&dir).size;
    for tile in tiles(size) {
        let path = dir.join(tile.to_string());
        let genuine = fs::read(&path).unwrap();
        fs::write(&path, &genuine[..genuine.len() - 1]).unwrap();
        let run = verify(setup, &dir);
        assert!(run.code == Some(1) && run.stderr.contains(&format!("`{tile}`, from entry ")), "{run}");
        fs::remove_file(&path).unwrap();
        let run = verify(setup, &dir);
        assert!(run.stderr.trim_end().ends_with(&format!("does not verify: `{tile}` is missing")), "{run}");
        fs::write(&path, genuine).unwrap();
    }
    verify(setup, &dir).success();
    fs::remove_file(dir.join("checkpoint")).unwrap();
    let run = verify(setup, &dir);
    assert!(run.stderr.trim_end().ends_with("does not verify: `checkpoint` is missing"), "{run}");
}

#[test]
fn a_log_of_another_broker_does_not_verify() {
    let setup = shared();
    let dir = copied(setup, "journal-foreign");
    let origin = setup.identity().log_origin();
    let signer = tlog::note::Signer::new(
        origin.parse().unwrap(),
        crypto::Ed25519SigningKey::from_seed(&[1; 32]).unwrap(),
    );
    let key = signer.unwrap().verifier().to_string();
    let run = setup.keyfast(&["audit", "verify", dir.to_str().unwrap(), "--key", &key]);
    let reason = "`checkpoint` is refused: the note is not signed by any of the 1 known keys";
    run.fails(1, &format!("keyfast: the log in `{}` does not verify: {reason}", dir.display()));
}

/// The policy that a record names.
fn policy_of(record: &Record) -> Option<PolicyDigest> {
    match record {
        Record::Release(release) => Some(release.policy),
        Record::Event(Event::Denied(denied)) => Some(denied.policy),
        Record::Event(Event::KeyCreated(created)) => created.policy,
        Record::Event(Event::KeyChanged(changed)) => changed.policy,
        Record::Event(Event::Started(started)) => Some(started.policy),
        Record::Event(Event::Refusals(refusals)) => refusals.policy,
        Record::Event(Event::AttestationKey(changed)) => changed.policy,
        Record::Event(Event::Trial(trial)) => Some(trial.policy),
        Record::Event(Event::PolicyLoaded(loaded)) => Some(loaded.policy),
        Record::Event(Event::ActDenied(denied)) => Some(denied.policy),
    }
}

#[test]
fn every_record_names_the_policy_that_was_in_force_when_it_was_made() {
    let setup = Setup::up();
    let everything = |name: &str| {
        setup.create_key(name, &["--simulation"]);
        setup.keyfast(&["keys", "disable", name, "--version", "1"]).success();
        setup.keyfast(&["keys", "enable", name, "--version", "1"]).success();
        setup.guest(name, &["--kind", "tpm"], &["renew", name]);
        setup.guest(name, &[], &["renew", name]).success();
    };
    everything("before");
    let path = setup.dev("attestation-policies/simulated-development.cedar");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("// Another text.\n{text}")).unwrap();
    setup.keyfast(&["policy", "load"]).success();
    everything("after");
    let explained = setup.guest("other", &["--debug"], &["renew", "after"]).stderr;
    let explained = setup.explain(&explained);
    let garbage = Exchange::with(&setup.url()).post(wire::RELEASE_PATH, b"no message");
    assert_eq!(garbage.problem(), wire::ProblemCode::MalformedRequest);
    setup.end_broker("-TERM");

    let (mut in_force, mut seen) = (None, Vec::new());
    for (at, record) in records(&setup).iter().enumerate() {
        if let Record::Event(Event::Started(_) | Event::PolicyLoaded(_)) = record {
            assert_ne!(policy_of(record), in_force);
            in_force = policy_of(record);
        }
        assert_eq!(policy_of(record), in_force, "leaf {at}: {record:?}");
        seen.push((record.kind(), in_force));
    }
    let under = |kind: LeafKind| {
        let mut policies: Vec<_> = seen.iter().filter(|(seen, _)| *seen == kind).map(|(_, p)| *p).collect();
        policies.dedup();
        policies.len()
    };
    for kind in [LeafKind::KeyCreated, LeafKind::KeyChanged, LeafKind::AttestationKey, LeafKind::Release] {
        assert_eq!(under(kind), 2, "{kind:?} under either policy");
    }
    assert_eq!((under(LeafKind::Refusals), seen.last().unwrap()), (1, &(LeafKind::Refusals, in_force)));
    assert_eq!(explained.answers[0].policy, in_force.map(|policy| policy.to_string()));
}
