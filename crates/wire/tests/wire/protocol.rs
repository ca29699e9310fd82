//! Vectors for what is hashed, signed and sealed around the messages: SPEC.md, sections 4 to 7.

use std::fs;
use std::path::Path;

use claims::leaf::{self, LeafKind, ReleaseRecord};
use claims::{KeyVersion, Operation, RecipientKey, Sha256Digest, Suite, Transcript, TranscriptHash};
use crypto::Sealed;
use secret::SecretBytes;
use wire::SignedStatement;

use crate::format::{Vector, read};
use crate::samples;

/// Sealing draws randomness, so these files are made once and opened ever after.
pub const FIXED: [&str; 2] = ["protocol_sealed_p384", "protocol_sealed_x_wing"];

pub fn vectors() -> Vec<Vector> {
    vec![
        transcript_vector("protocol_transcript_p384", Suite::P384),
        transcript_vector("protocol_transcript_x_wing", Suite::XWing),
        preflight_vector(),
        leaf_vector(),
        statement_vector(),
    ]
}

fn sha256(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest(crypto::sha256(&[bytes]))
}

fn transcript(suite: Suite) -> Transcript {
    samples::release_request(suite).transcript(samples::broker(), samples::nonce(), sha256)
}

fn transcript_vector(name: &str, suite: Suite) -> Vector {
    let bytes = transcript(suite).encode();
    Vector::new(name, &format!("of release_request_{}, section 4", suite.name().replace('-', "_")))
        .bytes("broker", &samples::broker().0)
        .bytes("nonce", &samples::nonce().0)
        .bytes("transcript", &bytes)
        .bytes("report_data", &crypto::sha512(&[&bytes]))
}

fn preflight_vector() -> Vector {
    let request = samples::preflight_request();
    let transcript = request.transcript(samples::broker(), samples::nonce(), sha256);
    let bytes = transcript.encode();
    assert_ne!(bytes, transcript.asked.encode());
    let as_it_is = claims::PreflightTranscript { prediction: None, ..transcript.clone() };
    assert_ne!(bytes, as_it_is.encode());
    Vector::new("protocol_transcript_preflight", "of preflight_request, section 5.6")
        .bytes("broker", &samples::broker().0)
        .bytes("nonce", &samples::nonce().0)
        .bytes("prediction", &transcript.prediction.unwrap().0)
        .bytes("transcript", &bytes)
        .bytes("report_data", &crypto::sha512(&[&bytes]))
}

fn leaf_vector() -> Vector {
    let receipt = samples::receipt(70_000);
    let record = ReleaseRecord {
        broker: samples::broker(),
        transcript: TranscriptHash(crypto::sha512(&[&transcript(Suite::P384).encode()])),
        index: 0,
        operation: Operation::Unwrap,
        key: samples::key("disk.root"),
        version: KeyVersion(2),
        key_commitment: receipt.key_commitment,
        policy: receipt.policy,
        sealed: sha256(&[samples::counting(0x04, 97), samples::counting(0x70, 48)].concat()),
        decided_at: receipt.decided_at,
    };
    let record = record.encode();
    let preimage = leaf::commitment_preimage(LeafKind::Release, &receipt.salt, &record);
    let entry = leaf::entry(LeafKind::Release, &sha256(&preimage));
    Vector::new("protocol_leaf", "of the first answer in release_response to release_request_p384, section 7")
        .bytes("record", &record)
        .bytes("salt", &receipt.salt)
        .bytes("commitment_preimage", &preimage)
        .bytes("entry", &entry)
        .bytes("leaf_hash", &crypto::sha256(&[&[0], &entry]))
}

fn statement_vector() -> Vector {
    let signed = samples::signed_statement();
    let message = SignedStatement::signed_bytes(&signed.statement);
    let key = crypto::Ed25519PublicKey::from_bytes(&signed.identity).unwrap();
    key.verify(&message, &signed.signature).unwrap();
    Vector::new("protocol_statement", "the identity key behind signed_statement, section 6")
        .bytes("identity_seed", &samples::IDENTITY_SEED)
        .bytes("identity", &signed.identity)
        .bytes("broker", &samples::broker().0)
        .bytes("signed_bytes", &message)
        .bytes("signature", &signed.signature)
}

#[test]
fn sealed_vectors_open() {
    for (name, suite) in FIXED.into_iter().zip([Suite::P384, Suite::XWing]) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(format!("{name}.txt"));
        if !file.exists() && std::env::var_os("KEYFAST_WRITE_VECTORS").is_some() {
            fs::write(&file, seal(name, suite).to_string()).unwrap();
        }
        let text = fs::read_to_string(&file).unwrap();
        let secret = SecretBytes::from_vec(read(&text, "private_key"));
        let sealed =
            Sealed { encapsulated: read(&text, "encapsulated"), ciphertext: read(&text, "ciphertext") };
        assert_eq!(read(&text, "info"), transcript_for(&read(&text, "public_key"), suite));
        assert_eq!(read(&text, "aad"), aad());
        let opened = crypto::hpke_open(suite, &secret, &read(&text, "info"), &aad(), &sealed).unwrap();
        assert_eq!(opened.expose(), read(&text, "plaintext"));
    }
}

fn seal(name: &str, suite: Suite) -> Vector {
    let (secret, public) = crypto::hpke_generate(suite).unwrap();
    let (info, plaintext) = (transcript_for(&public.public, suite), samples::counting(0x55, 32));
    let sealed = crypto::hpke_seal(&public, &info, &aad(), &plaintext).unwrap();
    Vector::new(name, "answer 0: unwrap, disk.root, version 2; made once, section 5")
        .bytes("private_key", secret.expose())
        .bytes("public_key", &public.public)
        .bytes("info", &info)
        .bytes("aad", &aad())
        .bytes("encapsulated", &sealed.encapsulated)
        .bytes("ciphertext", &sealed.ciphertext)
        .bytes("plaintext", &plaintext)
}

fn aad() -> Vec<u8> {
    leaf::sealing_aad(0, Operation::Unwrap, &samples::key("disk.root"), KeyVersion(2))
}

fn transcript_for(public: &[u8], suite: Suite) -> Vec<u8> {
    let recipient = RecipientKey { suite, public: public.to_vec() };
    Transcript { recipient, ..transcript(suite) }.encode()
}
