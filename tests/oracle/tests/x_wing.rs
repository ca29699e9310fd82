//! Suite 2 against AWS-LC: X-Wing put together by hand from its parts, and the key schedule of HPKE likewise.
//!
//! `crypto` has X-Wing from the crate `hpke`, whose `ml-kem` has not been audited. Here ML-KEM-768, X25519, SHA3-256,
//! HMAC and AES-GCM are AWS-LC's; two steps are not, because it does not offer them: SHAKE-256 (crate `sha3`) and
//! the expansion of an ML-KEM seed (crate `ml-kem`).
//!
//! Sources: draft-connolly-cfrg-xwing-kem, 5; draft-ietf-hpke-pq-03; RFC 9180, 4 and 5.1.

#![expect(deprecated, reason = "AWS-LC takes the expanded form of an ML-KEM key and no seed")]

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::digest::{SHA3_256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::kem::{DecapsulationKey, EncapsulationKey, ML_KEM_768};
use claims::{RecipientKey, Suite};
use crypto::{Aes256Gcm, Error, Sealed};
use ml_kem::{ExpandedKeyEncoding, FromSeed, MlKem768};
use secret::SecretBytes;
use sha3::Shake256;
use sha3::digest::{ExtendableOutput, Update, XofReader};

/// Bytes of an ML-KEM-768 public key, and of a ciphertext; X25519's 32 follow either.
const PUBLIC_M: usize = 1184;
const CIPHERTEXT_M: usize = 1088;

fn x25519(private: &PrivateKey, public: &[u8]) -> Vec<u8> {
    agree(private, UnparsedPublicKey::new(&X25519, public), (), |shared| Ok(shared.to_vec())).unwrap()
}

/// What both halves and the X25519 transcript come to.
fn combine(secret_m: &[u8], secret_x: &[u8], ciphertext_x: &[u8], public_x: &[u8]) -> Vec<u8> {
    let label = br"\.//^\";
    let input = [secret_m, secret_x, ciphertext_x, public_x, label].concat();
    digest(&SHA3_256, &input).as_ref().to_vec()
}

/// The shared secret and the bytes that carry it.
fn encapsulate(public: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (public_m, public_x) = public.split_at(PUBLIC_M);
    let (ciphertext_m, secret_m) =
        EncapsulationKey::new(&ML_KEM_768, public_m).unwrap().encapsulate().unwrap();
    let ephemeral = PrivateKey::generate(&X25519).unwrap();
    let ciphertext_x = ephemeral.compute_public_key().unwrap();
    let secret_x = x25519(&ephemeral, public_x);
    let shared = combine(secret_m.as_ref(), &secret_x, ciphertext_x.as_ref(), public_x);
    (shared, [ciphertext_m.as_ref(), ciphertext_x.as_ref()].concat())
}

/// The shared secret of a ciphertext, from the 32-byte private key.
fn decapsulate(private: &[u8], ciphertext: &[u8]) -> Vec<u8> {
    let (mut seed_m, mut private_x) = ([0; 64], [0; 32]);
    let mut expanded = Shake256::default().chain(private).finalize_xof();
    expanded.read(&mut seed_m);
    expanded.read(&mut private_x);
    let (private_m, _) = MlKem768::from_seed(&seed_m.into());
    let private_m = DecapsulationKey::new(&ML_KEM_768, &private_m.to_expanded_bytes()).unwrap();
    let private_x = PrivateKey::from_private_key(&X25519, &private_x).unwrap();
    let public_x = private_x.compute_public_key().unwrap();

    let (ciphertext_m, ciphertext_x) = ciphertext.split_at(CIPHERTEXT_M);
    let secret_m = private_m.decapsulate(ciphertext_m.into()).unwrap();
    let secret_x = x25519(&private_x, ciphertext_x);
    combine(secret_m.as_ref(), &secret_x, ciphertext_x, public_x.as_ref())
}

/// KEM 0x647a, KDF HKDF-SHA384, AEAD AES-256-GCM (RFC 9180, 5.1).
const SUITE_ID: &[u8] = b"HPKE\x64\x7a\x00\x02\x00\x02";

fn hmac_sha384(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA384, key), &parts.concat()).as_ref().to_vec()
}

fn labeled_extract(salt: &[u8], label: &[u8], input: &[u8]) -> Vec<u8> {
    hmac_sha384(salt, &[b"HPKE-v1", SUITE_ID, label, input])
}

/// At most 48 bytes: one block of HKDF.
fn labeled_expand<const N: usize>(secret: &[u8], label: &[u8], info: &[u8]) -> [u8; N] {
    let len = u16::try_from(N).unwrap().to_be_bytes();
    let block = hmac_sha384(secret, &[&len, b"HPKE-v1", SUITE_ID, label, info, &[1]]);
    block[..N].try_into().unwrap()
}

/// The AEAD key and the nonce of the first message, base mode (RFC 9180, 5.1).
fn key_schedule(shared: &[u8], info: &[u8]) -> (Aes256Gcm, [u8; 12]) {
    let psk_id_hash = labeled_extract(b"", b"psk_id_hash", b"");
    let info_hash = labeled_extract(b"", b"info_hash", info);
    let context = [&[0][..], &psk_id_hash, &info_hash].concat();
    let secret = labeled_extract(shared, b"secret", b"");
    let key: [u8; 32] = labeled_expand(&secret, b"key", &context);
    (Aes256Gcm::new(&key).unwrap(), labeled_expand(&secret, b"base_nonce", &context))
}

fn seal(to: &RecipientKey, info: &[u8], aad: &[u8], plaintext: &[u8]) -> Sealed {
    let (shared, encapsulated) = encapsulate(&to.public);
    let (key, nonce) = key_schedule(&shared, info);
    let mut ciphertext = plaintext.to_vec();
    let tag = key.seal(nonce, aad, &mut ciphertext).unwrap();
    ciphertext.extend(tag);
    Sealed { encapsulated, ciphertext }
}

fn open(private: &SecretBytes, info: &[u8], aad: &[u8], sealed: &Sealed) -> Result<Vec<u8>, Error> {
    let (key, nonce) = key_schedule(&decapsulate(private.expose(), &sealed.encapsulated), info);
    let (ciphertext, tag) = sealed.ciphertext.split_last_chunk::<16>().unwrap();
    let mut plaintext = ciphertext.to_vec();
    key.open(nonce, aad, &mut plaintext, tag).map(|()| plaintext)
}

/// Messages of several lengths, with `info` and associated data.
fn messages() -> impl Iterator<Item = (Vec<u8>, Vec<u8>, Vec<u8>)> {
    let bytes = |len: usize, first: u8| (0..len).map(|i| first.wrapping_add(i as u8)).collect();
    [(0, 0, 0), (32, 0, 0), (32, 300, 12), (5000, 3000, 100)]
        .into_iter()
        .map(move |(plaintext, info, aad)| (bytes(plaintext, 1), bytes(info, 2), bytes(aad, 3)))
}

#[test]
fn the_composition_by_hand_is_the_drafts() {
    let mut private = Vec::new();
    let mut ciphertext = Vec::new();
    let mut checked = 0;
    for line in include_str!("../vectors/x-wing.txt").lines().filter_map(|line| line.split_once(": ")) {
        let value = hex::decode(line.1);
        match line.0 {
            "private" => private = value.unwrap(),
            "ciphertext" => ciphertext = value.unwrap(),
            "secret" => {
                assert_eq!(decapsulate(&private, &ciphertext), value.unwrap());
                checked += 1;
            }
            _ => {}
        }
    }
    assert_eq!(checked, 3);
}

#[test]
fn what_is_sealed_by_hand_is_opened_by_crypto() {
    for (plaintext, info, aad) in messages() {
        let (private, to) = crypto::hpke_generate(Suite::XWing).unwrap();
        let sealed = seal(&to, &info, &aad, &plaintext);
        let opened = crypto::hpke_open(Suite::XWing, &private, &info, &aad, &sealed).unwrap();
        assert_eq!(opened.expose(), plaintext);
        assert_eq!(open(&private, &info, &aad, &sealed).unwrap(), plaintext);
    }
}

#[test]
fn what_crypto_seals_is_opened_by_hand() {
    for (plaintext, info, aad) in messages() {
        let (private, to) = crypto::hpke_generate(Suite::XWing).unwrap();
        let sealed = crypto::hpke_seal(&to, &info, &aad, &plaintext).unwrap();
        assert_eq!(open(&private, &info, &aad, &sealed).unwrap(), plaintext);

        // Either half of the encapsulated key, altered, gives another secret.
        for at in [0, CIPHERTEXT_M - 1, CIPHERTEXT_M, CIPHERTEXT_M + 31] {
            let mut other = sealed.clone();
            other.encapsulated[at] ^= 0x80;
            let mismatch = Error::Mismatch { what: "aes-256-gcm tag" };
            assert_eq!(open(&private, &info, &aad, &other).unwrap_err(), mismatch, "{at}");
            let refused = crypto::hpke_open(Suite::XWing, &private, &info, &aad, &other);
            assert_eq!(refused.unwrap_err(), Error::Mismatch { what: "hpke ciphertext" }, "{at}");
        }
    }
}
