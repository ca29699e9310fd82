//! What a directory gives, and what it refuses.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use endorsements::{CertificatesError, DirectoryError, MAX_FILE, read_directory, read_file};

/// SEQUENCE { INTEGER n }, which is a certificate as far as this crate looks.
fn der(n: u8) -> Vec<u8> {
    vec![0x30, 3, 2, 1, n]
}

const PEM_2: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQI=\n-----END CERTIFICATE-----\n";

#[test]
fn certificates_come_in_the_order_of_their_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("c.der"), der(3)).unwrap();
    fs::write(folder.path().join("b.pem"), PEM_2).unwrap();
    fs::write(folder.path().join("a.cer"), der(1)).unwrap();
    fs::write(folder.path().join("NOTES.md"), "not a certificate").unwrap();
    fs::write(folder.path().join("pem"), "not a certificate").unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("sub/d.der"), der(4)).unwrap();
    symlink(folder.path().join("sub/d.der"), folder.path().join("d.crt")).unwrap();
    assert_eq!(read_directory(folder.path()).unwrap(), [der(1), der(2), der(3), der(4)]);
}

#[test]
fn an_empty_directory_gives_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert!(read_directory(folder.path()).unwrap().is_empty());
}

#[test]
fn a_bad_file_is_named_and_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.der"), der(1)).unwrap();
    let key = folder.path().join("b.pem");
    fs::write(&key, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
    match read_directory(folder.path()) {
        Err(DirectoryError::Contents { path, source }) => {
            assert_eq!(path, key);
            assert_eq!(
                source,
                CertificatesError::Label { line: 1, expected: "CERTIFICATE", got: "PRIVATE KEY".to_owned() }
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_long_file_is_not_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.pem");
    // A file with a hole: 1 TiB long, and no block of it on the disk.
    fs::File::create(&file).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(read_directory(folder.path()), Err(DirectoryError::TooLong { path }) if path == file));
    fs::File::create(&file).unwrap().set_len(MAX_FILE as u64).unwrap();
    assert!(matches!(
        read_file(&file),
        Err(DirectoryError::Contents { source: CertificatesError::Neither, .. })
    ));
}

#[test]
fn what_is_no_file_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("a.der");
    fs::create_dir(&odd).unwrap();
    assert!(matches!(read_directory(folder.path()), Err(DirectoryError::NoFile { path }) if path == odd));
    let missing = folder.path().join("missing");
    assert!(matches!(read_directory(&missing), Err(DirectoryError::Read { path, .. }) if path == missing));
    symlink(&missing, folder.path().join("0.der")).unwrap();
    assert!(matches!(read_directory(folder.path()), Err(DirectoryError::Read { .. })));
}

#[test]
fn genuine_chains_are_read() {
    let vectors = vectors().join("snp");
    let Ok(entries) = fs::read_dir(&vectors) else {
        eprintln!("passed over: all genuine chains, because the vectors are not there");
        return;
    };
    let mut chains = 0;
    for folder in entries.map(|entry| entry.unwrap().path()) {
        if folder.join("vcek.der").is_file() && folder.join("ask.pem").is_file() {
            let found = read_directory(&folder).unwrap_or_else(|e| panic!("{e}"));
            assert!(found.contains(&fs::read(folder.join("vcek.der")).unwrap()));
            assert!(found.len() >= 2, "{}", folder.display());
            chains += 1;
        }
    }
    assert!(chains >= 5, "{chains}");
}

fn vectors() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors");
    std::env::var_os("KEYFAST_VECTORS").map_or_else(|| Path::new(beside).to_owned(), PathBuf::from)
}
