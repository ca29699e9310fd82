//! Signed notes, checkpoints and cosignatures: vectors of their specifications, and what must be refused.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claims::UnixTime;
use crypto::Ed25519SigningKey;
use tlog::note::{MAX_NOTE, NoteError, SignedNote, Signer, VerifierKey};
use tlog::witness::{Cosignature, WitnessKey};
use tlog::{BadKey, Checkpoint, CheckpointError, Hash, KeyName, VerifiedCheckpoint};

/// C2SP signed-note, "Example".
const SPEC_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const SPEC_NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
/// The public vector of Go's `sumdb/note`: seed, key, note.
const GO_SEED: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const GO_LINE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

fn signer(text: &str, seed: u8) -> Signer {
    Signer::new(name(text), Ed25519SigningKey::from_seed(&[seed; 32]).unwrap()).unwrap()
}

fn verify(note: &str, keys: &[VerifierKey]) -> Result<String, NoteError> {
    Ok(SignedNote::parse(note.as_bytes())?.verify(keys)?.text().to_owned())
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: name("keys.example/journal"), size: 20_852_163, root: Hash([7; 32]) }
}

#[test]
fn the_example_of_the_specification_verifies() {
    let key: VerifierKey = SPEC_KEY.parse().unwrap();
    assert_eq!(key.to_string(), SPEC_KEY);
    assert_eq!(verify(SPEC_NOTE, &[key]).unwrap(), "This is an example message.\n");
}

#[test]
fn signing_gives_the_bytes_of_another_implementation() {
    let seed = STANDARD.decode(GO_SEED).unwrap();
    let key = Ed25519SigningKey::from_seed(seed.get(1..).unwrap()).unwrap();
    let signer = Signer::new(name("PeterNeumann"), key).unwrap();
    assert_eq!(signer.verifier().to_string(), GO_KEY);
    let note = signer.sign(GO_TEXT).unwrap();
    assert_eq!(String::from_utf8(note).unwrap(), format!("{GO_TEXT}\n{GO_LINE}"));
}

#[test]
fn every_altered_bit_of_a_note_is_refused() {
    let keys = [SPEC_KEY.parse().unwrap()];
    for bit in 0..SPEC_NOTE.len() * 8 {
        let mut altered = SPEC_NOTE.as_bytes().to_vec();
        *altered.get_mut(bit / 8).unwrap() ^= 1 << (bit % 8);
        let verified = SignedNote::parse(&altered).and_then(|note| note.verify(&keys));
        assert!(verified.is_err(), "bit {bit}");
    }
}

#[test]
fn only_signatures_of_known_keys_count() {
    let (ours, other) = (signer("ours", 1), signer("other", 2));
    let text = "text\n";
    let note = |lines: &[&Signer]| {
        let line =
            |s: &&Signer| String::from_utf8(s.sign(text).unwrap()).unwrap().split_off("text\n\n".len());
        format!("{text}\n{}", lines.iter().map(line).collect::<String>())
    };
    let key = |s: &Signer| s.verifier().clone();
    assert_eq!(verify(&note(&[&other, &ours]), &[key(&ours)]).unwrap(), text);
    assert_eq!(verify(&note(&[&ours]), &[key(&other), key(&ours)]).unwrap(), text);
    let unknown = NoteError::NoKnownSignature { known: 1 };
    assert_eq!(verify(&note(&[&other]), &[key(&ours)]), Err(unknown));
    assert_eq!(verify(&note(&[&ours]), &[]), Err(NoteError::NoKnownSignature { known: 0 }));
    let (same_name, id) = (signer("ours", 3), ours.verifier().id());
    assert_eq!(verify(&note(&[&same_name, &ours]), &[key(&ours)]).unwrap(), text);
    let twice = NoteError::Repeated { name: "ours".to_owned(), id };
    assert_eq!(verify(&note(&[&ours, &ours]), &[key(&ours)]), Err(twice));
    // A known key's signature of something else spoils the note, even beside a good one.
    let wrong = note(&[&other, &ours]).replacen("text", "best", 1);
    let bad = NoteError::BadSignature { name: name("ours"), id };
    assert_eq!(verify(&wrong, &[key(&ours)]), Err(bad));
}

#[test]
fn what_is_no_note_is_refused_by_name() {
    let parse = |note: &[u8]| SignedNote::parse(note).err();
    let malformed = |what| Some(NoteError::Malformed { what });
    let line = "\u{2014} a AAAAAAE=\n";
    assert_eq!(parse(format!("t\n\n{line}").as_bytes()), None);
    assert_eq!(parse(b""), malformed("no empty line before signatures"));
    assert_eq!(parse(b"t\n"), malformed("no empty line before signatures"));
    assert_eq!(parse(b"t\n\n"), malformed("no newline at the end"));
    assert_eq!(parse(format!("t\n\n{line}x").as_bytes()), malformed("no newline at the end"));
    assert_eq!(parse(b"\xff\n\n"), malformed("it is not UTF-8"));
    let control = malformed("its text has a control character");
    assert_eq!(parse(format!("t\r\n\n{line}").as_bytes()), control);
    for bad in [
        "x",
        "- a AAAAAAE=",
        "\u{2014} a",
        "\u{2014} a+b AAAAAAE=",
        "\u{2014}  AAAAAAE=",
        "\u{2014} a AAAAAAE",
        "\u{2014} a AAAAAAF=",
        "\u{2014} a AAAAAA==",
        "\u{2014} a AAAA",
        "\u{2014} a  AAAAAAE=",
        "\u{2014} a AAAAAAE= ",
    ] {
        let note = format!("t\n\n{line}{bad}\n");
        assert_eq!(parse(note.as_bytes()), Some(NoteError::SignatureLine { line: 2 }), "{bad}");
    }
    let many: String = (0..33).map(|i| format!("\u{2014} a{i} AAAAAAE=\n")).collect();
    assert_eq!(parse(format!("t\n\n{many}").as_bytes()), Some(NoteError::TooManySignatures));
    let got = MAX_NOTE + 1;
    assert_eq!(parse(&vec![b'a'; got]), Some(NoteError::TooLong { got }));
    assert_eq!(signer("a", 1).sign("t").err(), malformed("its text does not end in a newline"));
    assert_eq!(signer("a", 1).sign("t\t\n").err(), malformed("its text has a control character"));
}

#[test]
fn a_verifier_key_has_one_spelling_and_its_own_hash() {
    let parse = |text: &str| text.parse::<VerifierKey>().err();
    assert_eq!(parse(GO_KEY), None);
    for end in 0..GO_KEY.len() {
        assert!(parse(GO_KEY.get(..end).unwrap()).is_some(), "{end}");
    }
    let hash = BadKey::Hash { expected: 0xc74f_20a3, got: 0xc74f_20a4 };
    assert_eq!(parse(&GO_KEY.replace("20a3", "20a4")), Some(hash));
    assert_eq!(parse(&GO_KEY.replace("c74f", "C74F")), Some(BadKey::Form));
    assert_eq!(parse(&GO_KEY.replace("c74f", "+74f")), Some(BadKey::Form));
    let unknown = BadKey::Type { expected: 1, got: 4 };
    assert_eq!(parse(&GO_KEY.replace("+AR", "+BB")), Some(unknown));
    assert_eq!(parse(&format!("{GO_KEY}AAAA")), Some(BadKey::Form));
    let spaced = GO_KEY.replace("Peter", "Peter ");
    assert_eq!(parse(&spaced), Some(BadKey::Name { got: "Peter Neumann".to_owned() }));
}

#[test]
fn a_checkpoint_comes_back_from_its_note() {
    let signer = signer("keys.example/journal", 1);
    let note = checkpoint().sign(&signer).unwrap();
    let keys = [signer.verifier().clone()];
    let opened = VerifiedCheckpoint::open(&note, &checkpoint().origin, &keys).unwrap();
    assert_eq!(*opened.checkpoint(), checkpoint());
    let expected = name("keys.example/other");
    let origin = CheckpointError::Origin { expected: expected.clone(), got: checkpoint().origin };
    assert_eq!(VerifiedCheckpoint::open(&note, &expected, &keys).err(), Some(origin));
    let text = signer.sign("not a checkpoint\n").unwrap();
    let error = VerifiedCheckpoint::open(&text, &checkpoint().origin, &keys).err();
    assert!(matches!(error, Some(CheckpointError::Malformed { .. })));
}

#[test]
fn a_checkpoint_text_has_one_spelling() {
    let good = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    assert_eq!(Checkpoint::parse(good).unwrap().text(), good);
    let expected = |text: &str| match Checkpoint::parse(text) {
        Err(CheckpointError::Malformed { expected }) => expected,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(expected(good.trim_end()), "a newline at the end");
    assert_eq!(expected(&format!("{good}extension\n")), "no extension lines");
    for (from, to, line) in [
        ("example.com/behind-the-sofa", "", "an origin in its first line"),
        ("example.com", "example com", "an origin in its first line"),
        ("20852163", "020852163", "a size in decimal in its second line"),
        ("20852163", "+20852163", "a size in decimal in its second line"),
        ("20852163", "18446744073709551616", "a size in decimal in its second line"),
        ("20852163\n", "", "a size in decimal in its second line"),
        ("q2I=", "q2J=", "a root in its third line"),
        ("q2I=", "q2I", "a root in its third line"),
        ("CsUY", "", "a root in its third line"),
    ] {
        assert_eq!(expected(&good.replace(from, to)), line, "{to}");
    }
}

#[test]
fn witnesses_are_heard_in_their_own_words_only() {
    let signer = signer("keys.example/journal", 1);
    let note = String::from_utf8(checkpoint().sign(&signer).unwrap()).unwrap();
    let witness = Ed25519SigningKey::from_seed(&[9; 32]).unwrap();
    let key = WitnessKey::new(name("witness.example/w1"), &witness.public()).unwrap();
    assert_eq!(key.to_string().parse::<WitnessKey>().unwrap().id(), key.id());
    let line = |time: u64, message: String| {
        let signature = witness.sign(message.as_bytes());
        let bytes: Vec<u8> = [&key.id().to_be_bytes()[..], &time.to_be_bytes(), &signature].concat();
        format!("\u{2014} witness.example/w1 {}\n", STANDARD.encode(bytes))
    };
    let message = |time: u64| format!("cosignature/v1\ntime {time}\n{}", checkpoint().text());
    let keys = [signer.verifier().clone()];
    let heard = |line: String| {
        let note = format!("{note}{line}");
        let opened = VerifiedCheckpoint::open(note.as_bytes(), &checkpoint().origin, &keys).unwrap();
        opened.cosignatures(std::slice::from_ref(&key))
    };
    let seen = Cosignature { witness: name("witness.example/w1"), time: UnixTime(1_679_315_147) };
    assert_eq!(heard(line(1_679_315_147, message(1_679_315_147))).unwrap(), [seen]);
    assert_eq!(heard(String::new()).unwrap(), []);
    let id = key.id();
    let bad = CheckpointError::Note(NoteError::BadSignature { name: name("witness.example/w1"), id });
    for line in [
        line(1_679_315_148, message(1_679_315_147)),
        line(1, checkpoint().text()),
        line(1 << 63, message(1 << 63)),
        format!(
            "\u{2014} witness.example/w1 {}\n",
            STANDARD.encode([&id.to_be_bytes()[..], &[0; 7]].concat())
        ),
    ] {
        assert_eq!(heard(line).err(), Some(bad.clone()));
    }
    // A witness's signature is none of the log's, whatever it is of.
    let as_log = VerifierKey::new(name("witness.example/w1"), &witness.public()).unwrap();
    let note = format!("{note}{}", line(1, message(1)));
    let error = VerifiedCheckpoint::open(note.as_bytes(), &checkpoint().origin, &[as_log]).err();
    assert_eq!(error, Some(CheckpointError::Note(NoteError::NoKnownSignature { known: 1 })));
}
