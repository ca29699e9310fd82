//! Hostile headers, and what callers may not ask for: each a typed error, nothing read or allocated beyond bounds.

use std::io::Read;

use super::fixture::{Fixture, both_suites, bytes, workers};
use envelope::{
    EncryptionContext, Error, FrameLen, Header, Inside, KeyName, MAX_HEADER, MessageError, Options,
    Signature, Sink, Source, UsageError, Wrapping, WrappingKey,
};
use proptest::prelude::*;

/// Hands out bytes and counts how many were asked for at once, at most, and in all.
struct Greedy<'a> {
    bytes: &'a [u8],
    most: usize,
    total: usize,
}

impl Read for Greedy<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.most = self.most.max(out.len());
        let read = self.bytes.read(out)?;
        self.total += read;
        Ok(read)
    }
}

fn refused(message: &[u8]) -> MessageError {
    match Header::read(&mut Source::stream(message)) {
        Err(Error::Message(error)) => error,
        other => panic!("not refused: {other:?}"),
    }
}

/// A header up to its data keys: suite 0x0478, an empty context.
fn start() -> Vec<u8> {
    [&[2, 0x04, 0x78][..], &[7; 32], &[0, 0]].concat()
}

/// The same with one data key, up to the content type.
fn with_data_key() -> Vec<u8> {
    [start(), vec![0, 1, 0, 1, b'p', 0, 1, b'k', 0, 1, b'c']].concat()
}

#[test]
fn other_versions_suites_and_contents_are_refused_by_number() {
    assert_eq!(refused(&[1, 0x80]), MessageError::Version { got: 1 });
    assert_eq!(refused(b"age-encryption.org"), MessageError::Version { got: b'a' });
    for got in [0x0014, 0x0178, 0x0378, 0x0478 ^ 0x8000, 0x0678] {
        let message = [&[2][..], &u16::to_be_bytes(got)].concat();
        assert_eq!(refused(&message), MessageError::Suite { got });
    }
    let content = |bytes: &[u8]| refused(&[&with_data_key()[..], bytes].concat());
    assert_eq!(content(&[1]), MessageError::NotFramed);
    assert_eq!(content(&[0]), MessageError::ContentType { got: 0 });
    assert_eq!(content(&[2, 0, 0, 0, 0]), MessageError::FrameLength { got: 0 });
    assert_eq!(content(&[2, 0, 0x40, 0, 1]), MessageError::FrameLength { got: FrameLen::MAX + 1 });
    assert_eq!(content(&[2, 0xff, 0xff, 0xff, 0xff]), MessageError::FrameLength { got: u32::MAX });
}

#[test]
fn a_header_needs_one_to_sixteen_data_keys_with_readable_providers() {
    let keys = |bytes: &[u8]| refused(&[&start()[..], bytes].concat());
    assert_eq!(keys(&[0, 0]), MessageError::DataKeyCount { got: 0 });
    assert_eq!(keys(&[0, 17]), MessageError::DataKeyCount { got: 17 });
    assert_eq!(keys(&[0xff, 0xff]), MessageError::DataKeyCount { got: u16::MAX });
    assert_eq!(keys(&[0, 1, 0, 1, 0xff]), MessageError::DataKeyProvider { index: 0 });
}

#[test]
fn lengths_that_lie_cost_no_memory_and_no_reading() {
    let lying = [&start()[..], &[0, 16, 0xff, 0xff, 1, 2, 3]].concat();
    assert_eq!(refused(&lying), MessageError::HeaderTooLong);

    // Two fields that fit, then one that would pass the bound: it is neither allocated nor read.
    let field = |len: u16| [&len.to_be_bytes()[..], &vec![b'x'; usize::from(len)]].concat();
    let long = [start(), vec![0, 16], field(30_000), field(30_000), field(30_000)].concat();
    let mut greedy = Greedy { bytes: &long, most: 0, total: 0 };
    let failed = Header::read(&mut Source::stream(&mut greedy)).unwrap_err();
    assert!(matches!(failed, Error::Message(MessageError::HeaderTooLong)), "{failed}");
    assert!(greedy.total < MAX_HEADER && greedy.most <= 30_000);
}

#[test]
fn the_public_key_belongs_to_signed_suites_and_is_a_point() {
    let keys = Fixture::new();
    let message = keys.seal(b"x", &Options { signature: Signature::OneTime, ..Options::default() });
    let alter = |from: &[u8], to: &[u8]| {
        let at = message.windows(from.len()).position(|window| window == from).unwrap();
        let mut altered = message.clone();
        altered[at..at + to.len()].copy_from_slice(to);
        match refused(&altered) {
            MessageError::SignerKey { defect } => defect,
            other => panic!("{other}"),
        }
    };
    let header = Header::read(&mut Source::stream(&message[..])).unwrap();
    let point = header.context().value("aws-crypto-public-key").unwrap().as_bytes();
    assert_eq!(alter(&[2, 0x05, 0x78], &[2, 0x04, 0x78]), "there, but the suite has no signature");
    assert_eq!(alter(b"aws-crypto-public-key", b"aws-crypto-public-kex"), "missing");
    assert_eq!(alter(point, b"!"), "not base64");
    assert_eq!(alter(point, b"BA"), "not a point on P-384");
}

#[test]
fn callers_cannot_make_what_would_not_be_read() {
    let keys = Fixture::new();
    let encrypt = |options: &Options<'_>, wrapping: &[Wrapping<'_>]| {
        let (source, sink) = (Source::stream(&b"x"[..]), Sink::stream(std::io::sink()));
        match envelope::encrypt(source, sink, options, wrapping, &workers(1)) {
            Err(Error::Usage(error)) => error,
            other => panic!("not refused: {other:?}"),
        }
    };
    let plain = Options::default();
    assert_eq!(encrypt(&plain, &[]), UsageError::WrappingKeyCount { got: 0 });
    let twice = [keys.wrapping(), keys.wrapping()];
    assert_eq!(encrypt(&plain, &twice), UsageError::RepeatedKeyName { name: "keyfast:db/1".to_owned() });
    let many: Vec<_> = (0..17)
        .map(|i| Wrapping {
            name: KeyName::new("n", &i.to_string()).unwrap(),
            key: WrappingKey::Kek(&keys.kek),
        })
        .collect();
    assert_eq!(encrypt(&plain, &many), UsageError::WrappingKeyCount { got: 17 });

    let context = |pairs: usize, len: usize| {
        EncryptionContext::new((0..pairs).map(|i| (i.to_string(), "v".repeat(len)))).unwrap()
    };
    let signed = Options { signature: Signature::OneTime, context: context(64, 1), ..Options::default() };
    assert_eq!(encrypt(&signed, &[keys.wrapping()]), UsageError::TooManyPairs { got: 65 });
    let long = Options { context: context(1, 65_536), ..Options::default() };
    assert_eq!(encrypt(&long, &[keys.wrapping()]), UsageError::HeaderTooLong { got: 65_536 });
    let long = Options { context: context(1, 65_500), ..Options::default() };
    assert!(matches!(encrypt(&long, &[keys.wrapping()]), UsageError::HeaderTooLong { got: 65_537.. }));
    assert_eq!(FrameLen::new(0), Err(UsageError::FrameLength { got: 0 }));
}

#[test]
fn an_input_that_fails_is_a_read_error() {
    struct Broken(usize);
    impl Read for Broken {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(std::io::Error::other("broken"))?;
            Ok(out.len().min(100_000))
        }
    }
    let keys = Fixture::new();
    let (source, sink) = (Source::stream(Broken(30)), Sink::stream(std::io::sink()));
    let failed = envelope::encrypt(source, sink, &Options::default(), &[keys.wrapping()], &workers(2));
    assert!(matches!(failed, Err(Error::Read(e)) if e.to_string() == "broken"));
    assert!(matches!(Header::read(&mut Source::stream(Broken(0))), Err(Error::Read(_))));
}

proptest! {
    #[test]
    fn random_bytes_are_no_message(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Header::read(&mut Source::stream(&bytes[..])).is_err());
    }

    #[test]
    fn random_bytes_behind_a_good_start_are_no_message(
        rest in proptest::collection::vec(any::<u8>(), 0..300),
        keep in 0_usize..400,
    ) {
        let keys = Fixture::new();
        for options in both_suites(16) {
            let message = keys.seal(&bytes(40), &options);
            let altered = [&message[..keep.min(message.len())], &rest].concat();
            let opened = keys.open(&altered);
            prop_assert!(altered == message || opened.is_err());
        }
    }

    #[test]
    fn cut_out_and_pasted_in_pieces_are_no_message(from in 0_usize..400, len in 0_usize..60, to in 0_usize..400) {
        let keys = Fixture::new();
        for options in both_suites(16) {
            let message = keys.seal(&bytes(40), &options);
            let mut altered = message.clone();
            let from = from.min(altered.len());
            let piece: Vec<u8> = altered.drain(from..(from + len).min(message.len())).collect();
            let to = to.min(altered.len());
            altered.splice(to..to, piece);
            let opened = keys.open(&altered);
            prop_assert!(altered == message || opened.is_err());
        }
    }
}

#[test]
fn an_empty_input_is_a_truncated_header() {
    assert_eq!(refused(b""), MessageError::Truncated { inside: Inside::Header });
}
