//! What was encrypted decrypts: every size around a frame and a chunk, both suites, files and pipes, any number of
//! workers.

use std::fs;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use super::fixture::{Fixture, both_suites, bytes, file, workers};
use claims::{KeyKind, UnwrapAlgorithm};
use crypto::P384SigningKey;
use envelope::file::AtomicFile;
use envelope::{
    AlgorithmSuite, Effort, Error, FrameLen, Header, KeyName, MessageError, Options, Signature, Sink, Source,
    Wrapping, WrappingKey,
};
use keys::Kek;

/// Plaintext bytes in a chunk, which is what a worker takes at once.
const CHUNK: usize = 256 * 1024;

/// Gives odd pieces, as a pipe may.
struct Pieces<'a>(&'a [u8]);

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let len = out.len().min(777);
        self.0.read(&mut out[..len])
    }
}

/// Encrypts and decrypts through files or pipes, and compares.
fn round_trip(options: &Options<'_>, plaintext: &[u8], files: bool, count: usize) {
    let keys = Fixture::new();
    let directory = tempfile::tempdir().unwrap();
    let path = |name| directory.path().join(name);
    let (message, effort, wrapping) = (path("message"), workers(count), [keys.wrapping()]);

    let source = match files {
        true => Source::file(file(directory.path(), "in", plaintext)).unwrap(),
        false => Source::stream(Pieces(plaintext)),
    };
    let mut in_memory = Vec::new();
    let sink = match files {
        true => Sink::file(AtomicFile::create(&message).unwrap()),
        false => Sink::stream(&mut in_memory),
    };
    envelope::encrypt(source, sink, options, &wrapping, &effort).unwrap();

    let mut source = match files {
        true => Source::file(fs::File::open(&message).unwrap()).unwrap(),
        false => Source::stream(Pieces(&in_memory)),
    };
    let header = Header::read(&mut source).unwrap();
    assert_eq!(header.context().value("volume"), Some("a"));
    let dek = header.unwrap_dek(&keys.name, &keys.kek).unwrap();
    let mut opened = Vec::new();
    let sink = match files {
        true => Sink::file(AtomicFile::create(&path("out")).unwrap()),
        false => Sink::stream(&mut opened),
    };
    let summary = envelope::decrypt(source, sink, &header, &dek, &effort).unwrap();
    if files {
        opened = fs::read(path("out")).unwrap();
    }
    assert!(opened == plaintext, "{} bytes, files: {files}, {count} workers", plaintext.len());
    assert_eq!(summary.plaintext, plaintext.len() as u64);
    assert_eq!(summary.signer.is_some(), header.suite().is_signed());
}

#[test]
fn every_size_around_a_frame_round_trips() {
    for options in both_suites(100) {
        for len in [0, 1, 99, 100, 101, 199, 200, 201, 1000, 1234] {
            for files in [false, true] {
                round_trip(&options, &bytes(len), files, 2);
            }
        }
    }
}

#[test]
fn every_size_around_a_chunk_round_trips_with_any_number_of_workers() {
    for options in both_suites(64 * 1024) {
        for len in [CHUNK - 1, CHUNK, CHUNK + 1, 9 * CHUNK, 9 * CHUNK + 70_000] {
            for (files, count) in [(false, 1), (true, 1), (false, 2), (true, 2), (false, 4), (true, 4)] {
                round_trip(&options, &bytes(len), files, count);
            }
        }
    }
}

#[test]
fn frames_of_one_byte_and_of_the_longest_length_round_trip() {
    for options in both_suites(1) {
        round_trip(&options, &bytes(3000), true, 2);
    }
    for options in both_suites(FrameLen::MAX) {
        round_trip(&options, &bytes(9_000_000), true, 4);
        round_trip(&options, &bytes(10), false, 2);
    }
}

#[test]
fn a_message_may_begin_inside_a_file() {
    let keys = Fixture::new();
    let directory = tempfile::tempdir().unwrap();
    let message = keys.seal(b"hello", &Options::default());
    let mut opened = file(directory.path(), "in", &[b"skip".as_slice(), &message].concat());
    opened.read_exact(&mut [0; 4]).unwrap();
    let mut source = Source::file(opened).unwrap();
    assert_eq!(source.remaining(), Some(message.len() as u64));
    let header = Header::read(&mut source).unwrap();
    let mut plaintext = Vec::new();
    let dek = header.unwrap_dek(&keys.name, &keys.kek).unwrap();
    envelope::decrypt(source, Sink::stream(&mut plaintext), &header, &dek, &workers(1)).unwrap();
    assert_eq!(plaintext, b"hello");
}

#[test]
fn each_wrapping_key_opens_and_another_is_told_which_would() {
    let keys = Fixture::new();
    let rsa = Kek::generate(KeyKind::Rsa { bits: 2048 }).unwrap();
    let Kek::Rsa(private) = &rsa else { unreachable!() };
    let rsa_name = KeyName::of(&"db".parse().unwrap(), claims::KeyVersion(7));
    let wrapping =
        [keys.wrapping(), Wrapping { name: rsa_name.clone(), key: WrappingKey::Rsa(private.public()) }];
    let mut message = Vec::new();
    let sink = Sink::stream(&mut message);
    let options = &both_suites(100)[1];
    envelope::encrypt(Source::stream(&b"x"[..]), sink, options, &wrapping, &workers(1)).unwrap();

    let header = Header::read(&mut Source::stream(&message[..])).unwrap();
    assert_eq!(header.key_names().collect::<Vec<_>>(), [keys.name.clone(), rsa_name.clone()]);
    assert_eq!(header.suite(), AlgorithmSuite::CommittingSigned);
    let by_aes = header.unwrap_dek(&keys.name, &keys.kek).unwrap();
    let by_rsa = header.unwrap_dek(&rsa_name, &rsa).unwrap();
    assert_eq!(by_aes.expose(), by_rsa.expose());
    assert_eq!(header.wrapped_dek(&rsa_name).unwrap().algorithm, UnwrapAlgorithm::RsaOaep256);

    let other = KeyName::new("keyfast", "db/2").unwrap();
    let found = "`keyfast:db/1`, `keyfast:db/7`".to_owned();
    let expected = MessageError::NoDataKeyFor { wanted: "keyfast:db/2".to_owned(), found };
    assert_eq!(header.wrapped_dek(&other).unwrap_err(), expected);
}

#[test]
fn a_pinned_signer_is_reported() {
    let keys = Fixture::new();
    let signer = P384SigningKey::generate().unwrap();
    let message = keys.seal(b"x", &Options { signature: Signature::By(&signer), ..Options::default() });
    let header = Header::read(&mut Source::stream(&message[..])).unwrap();
    assert_eq!(header.signer().unwrap().as_slice(), signer.public_sec1_compressed().unwrap());
}

#[test]
fn progress_adds_up_to_the_plaintext() {
    let keys = Fixture::new();
    let done = AtomicU64::new(0);
    let count = |bytes| {
        done.fetch_add(bytes, Ordering::Relaxed);
    };
    let effort = Effort { progress: Some(&count), ..workers(3) };
    let plaintext = bytes(5 * CHUNK + 3);
    let (source, sink) = (Source::stream(&plaintext[..]), Sink::stream(std::io::sink()));
    envelope::encrypt(source, sink, &Options::default(), &[keys.wrapping()], &effort).unwrap();
    assert_eq!(done.into_inner(), plaintext.len() as u64);
}

#[test]
fn a_file_that_grows_behind_its_last_chunk_becomes_a_message_of_what_it_was() {
    let keys = Fixture::new();
    for options in both_suites(64 * 1024) {
        let directory = tempfile::tempdir().unwrap();
        let (path, plaintext) = (directory.path().join("in"), bytes(3 * CHUNK + 5));
        let source = Source::file(file(directory.path(), "in", &plaintext)).unwrap();
        // One worker waits with the third chunk until the other is at the last, and then finds more behind it.
        let (chunks, grown) = (AtomicU64::new(0), AtomicBool::new(false));
        let grow = |done| {
            if done == 5 && !grown.load(Ordering::SeqCst) {
                let mut end = fs::File::options().append(true).open(&path).unwrap();
                end.write_all(&plaintext[..2 * CHUNK]).unwrap();
                grown.store(true, Ordering::SeqCst);
                sleep(Duration::from_millis(200));
            } else if chunks.fetch_add(1, Ordering::SeqCst) == 2 {
                while !grown.load(Ordering::SeqCst) {
                    sleep(Duration::from_millis(1));
                }
            }
        };
        let effort = Effort { progress: Some(&grow), ..workers(2) };
        let sink = Sink::create(&directory.path().join("message")).unwrap();
        let summary = envelope::encrypt(source, sink, &options, &[keys.wrapping()], &effort).unwrap();
        assert_eq!(summary.plaintext, plaintext.len() as u64);
        let message = fs::read(directory.path().join("message")).unwrap();
        assert!(keys.open(&message).unwrap() == plaintext);
        assert!(chunks.into_inner() > 3, "no worker went beyond the last chunk");
    }
}

#[test]
fn a_device_is_written_in_place_and_a_file_replaced_as_a_whole() {
    let keys = Fixture::new();
    let directory = tempfile::tempdir().unwrap();
    let encrypt = |path: &std::path::Path| {
        let (source, sink) = (Source::stream(&b"x"[..]), Sink::create(path).unwrap());
        envelope::encrypt(source, sink, &Options::default(), &[keys.wrapping()], &workers(1)).unwrap();
    };
    encrypt("/dev/null".as_ref());
    let (target, link) = (directory.path().join("target"), directory.path().join("link"));
    fs::write(&target, "old").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    encrypt(&link);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(keys.open(&fs::read(&target).unwrap()).unwrap(), b"x");
}

#[test]
fn a_reader_that_goes_away_is_a_write_error() {
    struct Gone;
    impl std::io::Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let keys = Fixture::new();
    let message = keys.seal(&bytes(20 * CHUNK), &Options::default());
    let mut source = Source::stream(&message[..]);
    let header = Header::read(&mut source).unwrap();
    let dek = header.unwrap_dek(&keys.name, &keys.kek).unwrap();
    let failed = envelope::decrypt(source, Sink::stream(Gone), &header, &dek, &workers(4)).unwrap_err();
    assert!(matches!(&failed, Error::Write(e) if e.kind() == std::io::ErrorKind::BrokenPipe), "{failed}");
}
