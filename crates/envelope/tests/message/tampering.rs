//! Whatever is done to a message, it does not decrypt, the error names what was found, and no file is left.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use super::fixture::{Fixture, both_suites, bytes, file, names, open_to_file, workers};
use envelope::{Error, Header, Inside, MessageError, Options, Sink, Source};
use keys::Dek;

/// Plaintext bytes in a frame of these messages.
const FRAME: usize = 20;
/// Bytes of a frame that is not the last.
const FRAME_BYTES: usize = FRAME + 32;
/// Frames of these messages; the last is shorter.
const FRAMES: usize = 4;

/// A message of four frames, its data key, and where its first frame begins.
fn message(options: &Options<'_>) -> (Vec<u8>, Dek, usize) {
    let keys = Fixture::new();
    let message = keys.seal(&bytes(FRAME * FRAMES - 5), options);
    let mut read = Cursor::new(&message[..]);
    Header::read(&mut Source::stream(&mut read)).unwrap();
    let body = read.position() as usize;
    (message.clone(), keys.dek(&message), body)
}

/// The message's error, once it was seen that nothing is left in the directory.
fn refusal(message: &[u8], dek: &Dek, directory: &Path) -> MessageError {
    let result = open_to_file(message, dek, &directory.join("out"));
    assert!(names(directory).is_empty(), "left behind: {:?}", names(directory));
    match result {
        Err(Error::Message(error)) => error,
        other => panic!("not refused as a message: {other:?}"),
    }
}

fn unsigned() -> Options<'static> {
    let [unsigned, _] = both_suites(20);
    unsigned
}

#[test]
fn every_flipped_bit_is_refused_and_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    for options in both_suites(FRAME as u32) {
        let (message, dek, _) = message(&options);
        for bit in 0..message.len() * 8 {
            let mut altered = message.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            refusal(&altered, &dek, directory.path());
        }
        open_to_file(&message, &dek, &directory.path().join("out")).unwrap();
        fs::remove_file(directory.path().join("out")).unwrap();
    }
}

#[test]
fn each_part_of_the_header_has_its_own_refusal() {
    let directory = tempfile::tempdir().unwrap();
    let (message, dek, body) = message(&unsigned());
    let flip = |at: usize| {
        let mut altered = message.clone();
        altered[at] ^= 1;
        refusal(&altered, &dek, directory.path())
    };
    assert_eq!(flip(0), MessageError::Version { got: 3 });
    assert_eq!(flip(1), MessageError::SignerKey { defect: "missing" });
    assert_eq!(flip(2), MessageError::Suite { got: 0x0479 });
    (3..35).for_each(|at| assert_eq!(flip(at), MessageError::Commitment));
    let find = |text: &[u8]| message.windows(text.len()).position(|window| window == text).unwrap();
    assert_eq!(flip(find(b"volume")), MessageError::HeaderTag);
    assert_eq!(flip(find(b"keyfast")), MessageError::HeaderTag);
    let content_type = body - 16 - 32 - 4 - 1;
    assert_eq!(flip(content_type), MessageError::ContentType { got: 3 });
    assert_eq!(flip(content_type + 4), MessageError::HeaderTag);
    (body - 48..body - 16).for_each(|at| assert_eq!(flip(at), MessageError::Commitment));
    (body - 16..body).for_each(|at| assert_eq!(flip(at), MessageError::HeaderTag));
}

#[test]
fn each_part_of_a_frame_has_its_own_refusal() {
    let directory = tempfile::tempdir().unwrap();
    let (message, dek, body) = message(&unsigned());
    let flip = |at: usize| {
        let mut altered = message.clone();
        altered[at] ^= 1;
        refusal(&altered, &dek, directory.path())
    };
    let second = body + FRAME_BYTES;
    assert_eq!(flip(second + 3), MessageError::Sequence { expected: 2, got: 3 });
    assert_eq!(flip(second + 4), MessageError::FrameNonce { sequence: 2 });
    (16..FRAME_BYTES).for_each(|at| assert_eq!(flip(second + at), MessageError::FrameTag { sequence: 2 }));
    let last = body + 3 * FRAME_BYTES;
    assert_eq!(flip(last), MessageError::Sequence { expected: 4, got: 0xfeff_ffff });
    assert_eq!(flip(last + 20), MessageError::FinalFrameLength { max: 20, got: 0x0100_000f });
    assert_eq!(flip(last + 23), MessageError::FrameTag { sequence: 4 }, "one byte less moves the tag");
}

#[test]
fn every_truncation_is_called_one() {
    let directory = tempfile::tempdir().unwrap();
    for options in both_suites(FRAME as u32) {
        let (message, dek, body) = message(&options);
        for len in 0..message.len() {
            let expected = match len.checked_sub(body) {
                None => Inside::Header,
                Some(at) if at < 3 * FRAME_BYTES + 40 + 15 => {
                    Inside::Frame(1 + u32::try_from((at / FRAME_BYTES).min(3)).unwrap())
                }
                Some(_) => Inside::Footer,
            };
            let refused = refusal(&message[..len], &dek, directory.path());
            assert_eq!(refused, MessageError::Truncated { inside: expected }, "at {len}");
        }
    }
}

#[test]
fn bytes_behind_the_message_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    for options in both_suites(FRAME as u32) {
        let (message, dek, _) = message(&options);
        for extra in [1, 2, 200, 1_000_000] {
            let longer = [message.clone(), vec![0; extra]].concat();
            assert_eq!(refusal(&longer, &dek, directory.path()), MessageError::TrailingBytes);
        }
        let twice = [message.clone(), message].concat();
        assert_eq!(refusal(&twice, &dek, directory.path()), MessageError::TrailingBytes);
    }
}

#[test]
fn frames_cannot_be_moved_dropped_repeated_or_renumbered() {
    let directory = tempfile::tempdir().unwrap();
    let (message, dek, body) = message(&unsigned());
    let (head, frames) = message.split_at(body);
    let frame =
        |n: usize| frames[(n - 1) * FRAME_BYTES..].iter().take(FRAME_BYTES).copied().collect::<Vec<_>>();
    let renumber = |mut frame: Vec<u8>, n: u8| {
        frame[3] = n;
        frame[15] = n;
        frame
    };
    let last = frames[3 * FRAME_BYTES..].to_vec();
    let refused = |parts: &[Vec<u8>]| refusal(&[head, &parts.concat()].concat(), &dek, directory.path());
    let out_of_turn = |expected, got| MessageError::Sequence { expected, got };

    assert_eq!(refused(&[frame(2), frame(1), frame(3), last.clone()]), out_of_turn(1, 2));
    assert_eq!(refused(&[frame(1), frame(3), last.clone()]), out_of_turn(2, 3));
    assert_eq!(refused(&[frame(1), frame(2), last.clone()]), out_of_turn(3, 4));
    assert_eq!(refused(&[frame(1), frame(1), frame(2), frame(3), last.clone()]), out_of_turn(2, 1));
    assert_eq!(refused(&[frame(1), frame(2), frame(3), frame(3), last.clone()]), out_of_turn(4, 3));

    let swapped = [renumber(frame(2), 1), renumber(frame(1), 2), frame(3), last.clone()];
    assert_eq!(refused(&swapped), MessageError::FrameTag { sequence: 1 });
    let dropped = [frame(1), renumber(frame(3), 2), last.clone()];
    assert_eq!(refused(&dropped), MessageError::FrameTag { sequence: 2 });
    let mut early = last.clone();
    (early[7], early[19]) = (3, 3);
    assert_eq!(refused(&[frame(1), frame(2), early]), MessageError::FrameTag { sequence: 3 });
    let third = frame(3);
    let cut = [&[0xff; 4][..], &third[..16], &[0, 0, 0, FRAME as u8], &third[16..]].concat();
    assert_eq!(refused(&[frame(1), frame(2), cut]), MessageError::FrameTag { sequence: 3 });
}

#[test]
fn frames_of_another_message_under_the_same_kek_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (message_a, dek, body) = message(&unsigned());
    let (message_b, ..) = message(&unsigned());
    let mixed = [&message_a[..body], &message_b[body..]].concat();
    assert_eq!(refusal(&mixed, &dek, directory.path()), MessageError::FrameTag { sequence: 1 });
}

#[test]
fn another_data_key_fails_the_commitment_before_anything_else() {
    let directory = tempfile::tempdir().unwrap();
    for options in both_suites(FRAME as u32) {
        let (mut message, _, body) = message(&options);
        let other = Dek::generate().unwrap();
        assert_eq!(refusal(&message, &other, directory.path()), MessageError::Commitment);
        message[body - 1] ^= 1;
        assert_eq!(refusal(&message, &other, directory.path()), MessageError::Commitment);
    }
}

#[test]
fn the_signature_is_of_this_message_by_the_key_in_its_context() {
    let directory = tempfile::tempdir().unwrap();
    let [_, signed] = both_suites(FRAME as u32);
    let (message_a, dek, body) = message(&signed);
    let footer = body + 3 * FRAME_BYTES + 40 + 15;
    let (message_b, ..) = message(&signed);
    let borrowed = [&message_a[..footer], &message_b[footer..]].concat();
    assert_eq!(refusal(&borrowed, &dek, directory.path()), MessageError::Signature);
    let mut long = message_a.clone();
    long[footer] = 1;
    let got = u16::from_be_bytes([1, long[footer + 1]]);
    assert_eq!(refusal(&long, &dek, directory.path()), MessageError::SignatureLength { got });
    let mut empty = message_a[..footer].to_vec();
    empty.extend([0, 0]);
    assert_eq!(refusal(&empty, &dek, directory.path()), MessageError::SignatureLength { got: 0 });
}

#[test]
fn a_pipe_does_not_see_the_end_of_a_message_whose_signature_fails() {
    let [_, signed] = both_suites(FRAME as u32);
    let (mut message, dek, _) = message(&signed);
    *message.last_mut().unwrap() ^= 1;
    let mut source = Source::stream(&message[..]);
    let header = Header::read(&mut source).unwrap();
    let mut seen = Vec::new();
    let failed = envelope::decrypt(source, Sink::stream(&mut seen), &header, &dek, &workers(2));
    assert!(matches!(failed, Err(Error::Message(MessageError::Signature))));
    assert!(seen.is_empty());
}

#[test]
fn the_earliest_of_many_defects_is_reported_whatever_the_threads_do() {
    let keys = Fixture::new();
    let directory = tempfile::tempdir().unwrap();
    let mut message = keys.seal(&bytes(8 << 20), &Options::default());
    let dek = keys.dek(&message);
    let frame = 64 * 1024 + 32;
    let body = message.len() - (8 << 20) - 128 * 32 - 8;
    for n in [40, 41, 77, 100, 126] {
        message[body + n * frame + 1000] ^= 1;
    }
    for round in 0..20 {
        let mut source = Source::file(file(directory.path(), "in", &message)).unwrap();
        let header = Header::read(&mut source).unwrap();
        let out = Sink::create(&directory.path().join("out")).unwrap();
        let failed = envelope::decrypt(source, out, &header, &dek, &workers(1 + round % 4)).unwrap_err();
        assert!(matches!(failed, Error::Message(MessageError::FrameTag { sequence: 41 })), "{failed}");
        assert_eq!(names(directory.path()), ["in"]);
    }
}

#[test]
fn a_file_that_had_the_name_keeps_its_contents() {
    let directory = tempfile::tempdir().unwrap();
    let (message, dek, _) = message(&unsigned());
    let path = directory.path().join("out");
    fs::write(&path, "precious").unwrap();
    for cut in [message.len() - 1, message.len() / 2, 10] {
        open_to_file(&message[..cut], &dek, &path).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        assert_eq!(names(directory.path()), ["out"]);
    }
}
