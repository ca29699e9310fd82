//! `envelope` and the AWS Encryption SDK for Python read each other's messages, and refuse each other's when altered.
//!
//! (And [`measure`] against the reference tool for launch measurements, and [`uki`] against the tools that images are
//! made with.)
//!
//! Both suites, the raw RSA-OAEP-SHA256 and raw AES keyrings, sizes around a frame, with and without a context.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod measure;
mod python;
mod uki;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use claims::KeyKind;
use envelope::{
    Effort, EncryptionContext, Error, FrameLen, Header, KeyName, Options, Signature, Sink, Source, Wrapping,
    WrappingKey,
};
use keys::Kek;
use serde_json::{Map, Value, json};

/// What one message is like.
struct Case {
    keyring: &'static Keyring,
    signed: bool,
    size: usize,
    context: &'static [(&'static str, &'static str)],
}

/// A KEK, and what the other side calls its public and its private key.
struct Keyring {
    kek: Kek,
    public: &'static str,
    private: &'static str,
}

static KEYRINGS: LazyLock<[Keyring; 2]> = LazyLock::new(|| {
    let rsa = Kek::generate(KeyKind::Rsa { bits: 3072 }).unwrap();
    [
        Keyring { kek: Kek::generate(KeyKind::Aes256).unwrap(), public: "aes", private: "aes" },
        Keyring { kek: rsa, public: "rsa-public", private: "rsa-private" },
    ]
});

/// Every combination.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for keyring in KEYRINGS.iter() {
        for signed in [false, true] {
            for size in SIZES {
                let case = |context| Case { keyring, signed, size, context };
                cases.extend(CONTEXTS.map(case));
            }
        }
    }
    cases
}

impl Case {
    fn plaintext(&self) -> Vec<u8> {
        (0..self.size).map(|i| (i * 31 + i / 251) as u8).collect()
    }

    /// A job for the other side.
    fn job(&self, operation: &str, input: &Path, output: &Path) -> Value {
        let Keyring { kek, public, private } = self.keyring;
        let kind = if operation == "encrypt" { public } else { private };
        let key = if *kind == "rsa-public" { kek.public_spki().unwrap() } else { kek.to_bytes().expose() };
        let context: Map<_, _> = self.context.iter().map(|(n, v)| ((*n).to_owned(), json!(v))).collect();
        json!({
            "do": operation, "kind": kind, "key": hex::encode(key), "namespace": NAMESPACE, "name": NAME,
            "suite": if self.signed { "0x0578" } else { "0x0478" }, "frame_length": FRAME, "context": context,
            "input": input, "output": output,
        })
    }

    fn encrypt(&self) -> Vec<u8> {
        let wrapping = Wrapping { name: name(), key: WrappingKey::Kek(&self.keyring.kek) };
        let pairs = self.context.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let options = Options {
            signature: if self.signed { Signature::OneTime } else { Signature::None },
            context: EncryptionContext::new(pairs).unwrap(),
            frame_len: FrameLen::new(FRAME as u32).unwrap(),
        };
        let (plaintext, mut message) = (self.plaintext(), Vec::new());
        let (source, sink) = (Source::stream(&plaintext[..]), Sink::stream(&mut message));
        envelope::encrypt(source, sink, &options, &[wrapping], &Effort::default()).unwrap();
        message
    }

    fn decrypt(&self, message: &[u8]) -> Result<(Vec<u8>, Header), Error> {
        let mut source = Source::stream(message);
        let header = Header::read(&mut source)?;
        let dek = header.unwrap_dek(&name(), &self.keyring.kek)?;
        let mut plaintext = Vec::new();
        envelope::decrypt(source, Sink::stream(&mut plaintext), &header, &dek, &Effort::default())?;
        Ok((plaintext, header))
    }
}

fn name() -> KeyName {
    KeyName::new(NAMESPACE, NAME).unwrap()
}

/// The message with one bit flipped, for bits all over it, its first and its last among them.
fn altered(message: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let bits = message.len() * 8;
    (0..bits).step_by(bits / 40).chain([bits - 1]).map(|bit| {
        let mut altered = message.to_vec();
        altered[bit / 8] ^= 1 << (bit % 8);
        altered
    })
}

#[test]
fn python_reads_what_we_wrote() {
    let directory = tempfile::tempdir().unwrap();
    let path = |number: usize, what: &str| directory.path().join(format!("{number}.{what}"));
    let cases = cases();
    let job = |(number, case): (usize, &Case)| {
        fs::write(path(number, "message"), case.encrypt()).unwrap();
        case.job("decrypt", &path(number, "message"), &path(number, "plaintext"))
    };
    let jobs: Vec<_> = cases.iter().enumerate().map(job).collect();
    for (number, (case, outcome)) in cases.iter().zip(python::run(SCRIPT, &jobs)).enumerate() {
        let context = outcome["context"].as_object().unwrap_or_else(|| panic!("{outcome}: {}", jobs[number]));
        case.context.iter().for_each(|(name, value)| assert_eq!(context[*name], *value));
        assert_eq!(context.len(), case.context.len() + usize::from(case.signed));
        assert!(fs::read(path(number, "plaintext")).unwrap() == case.plaintext(), "{}", jobs[number]);
    }
}

#[test]
fn we_read_what_python_wrote_and_refuse_it_altered() {
    let directory = tempfile::tempdir().unwrap();
    let path = |number: usize, what: &str| directory.path().join(format!("{number}.{what}"));
    let cases = cases();
    let job = |(number, case): (usize, &Case)| {
        fs::write(path(number, "plaintext"), case.plaintext()).unwrap();
        case.job("encrypt", &path(number, "plaintext"), &path(number, "message"))
    };
    let jobs: Vec<_> = cases.iter().enumerate().map(job).collect();
    for (number, (case, outcome)) in cases.iter().zip(python::run(SCRIPT, &jobs)).enumerate() {
        assert!(outcome["context"].is_object(), "{outcome}: {}", jobs[number]);
        let message = fs::read(path(number, "message")).unwrap();
        let (opened, header) = case.decrypt(&message).unwrap();
        assert!(opened == case.plaintext(), "{}", jobs[number]);
        case.context.iter().for_each(|(name, value)| assert_eq!(header.context().value(name), Some(*value)));
        altered(&message).for_each(|message| drop(case.decrypt(&message).unwrap_err()));
    }
}

#[test]
fn python_refuses_ours_altered() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("plaintext");
    let mut jobs = Vec::new();
    for case in cases().iter().filter(|case| case.size == FRAME + 1 && !case.context.is_empty()) {
        for message in altered(&case.encrypt()) {
            let input = directory.path().join(jobs.len().to_string());
            fs::write(&input, message).unwrap();
            jobs.push(case.job("decrypt", &input, &output));
        }
    }
    for (job, outcome) in jobs.iter().zip(python::run(SCRIPT, &jobs)) {
        assert!(outcome["error"].is_string(), "accepted {job}");
    }
    assert!(!output.exists());
}

const SCRIPT: &str = "esdk.py";
const NAMESPACE: &str = "keyfast";
const NAME: &str = "db/1";
/// The other side takes multiples of 128 only.
const FRAME: usize = 1024;
const SIZES: [usize; 7] = [0, 1, FRAME - 1, FRAME, FRAME + 1, 5 * FRAME, 300_000];
const CONTEXTS: [&[(&str, &str)]; 2] = [&[], &[("volume", "data"), ("tenant", "Müller & Söhne"), ("A", "")]];
