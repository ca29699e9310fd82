//! Memory does not grow with the message, nor with what it says of itself. A process of its own, so that other
//! tests do not count.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::File;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::Path;

use claims::KeyKind;
use envelope::{Effort, FrameLen, Header, KeyName, Options, Signature, Sink, Source, Wrapping, WrappingKey};
use keys::Kek;

#[test]
fn peak_memory_depends_on_neither_length_nor_frame_length_nor_workers() {
    let directory = tempfile::tempdir().unwrap();
    let message = directory.path().join("message");
    let kek = Kek::generate(KeyKind::Aes256).unwrap();
    encrypt(&kek, 5, FrameLen::MAX, 1, &message);
    decrypt(&kek, 1, &message);
    let short = peak_kib();
    (0..8).for_each(|_| decrypt(&kek, 1, &message));
    assert!(peak_kib() - short < 1024, "a short message of long frames took {} KiB", peak_kib() - short);

    for (frame_len, workers) in [(4096, 2), (64 * 1024, 16), (FrameLen::MAX, 16)] {
        encrypt(&kek, 80 << 20, frame_len, workers, &message);
        decrypt(&kek, workers, &message);
        assert!(peak_kib() < 64 * 1024, "{} KiB for frames of {frame_len}, {workers} workers", peak_kib());
    }
}

fn encrypt(kek: &Kek, len: u64, frame_len: u32, workers: usize, path: &Path) {
    let wrapping = [Wrapping { name: name(), key: WrappingKey::Kek(kek) }];
    let frame_len = FrameLen::new(frame_len).unwrap();
    let options = Options { frame_len, signature: Signature::OneTime, ..Options::default() };
    let source = Source::stream(std::io::repeat(7).take(len));
    envelope::encrypt(source, Sink::create(path).unwrap(), &options, &wrapping, &effort(workers)).unwrap();
}

fn decrypt(kek: &Kek, workers: usize, path: &Path) {
    let mut source = Source::file(File::open(path).unwrap()).unwrap();
    let header = Header::read(&mut source).unwrap();
    let dek = header.unwrap_dek(&name(), kek).unwrap();
    envelope::decrypt(source, Sink::stream(std::io::sink()), &header, &dek, &effort(workers)).unwrap();
}

fn name() -> KeyName {
    KeyName::new("keyfast", "db/1").unwrap()
}

fn effort(workers: usize) -> Effort<'static> {
    Effort { workers: NonZeroUsize::new(workers).unwrap(), progress: None }
}

/// The most memory that this process ever had resident, in KiB (proc(5), VmHWM).
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
