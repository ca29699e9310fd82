//! Sealing with X-Wing (draft-connolly-cfrg-xwing-kem; HPKE's KEM 0x647a), HKDF-SHA384 and AES-256-GCM: HPKE base
//! mode, single shot (RFC 9180, 5.1.1 and 6.1), put together from AWS-LC's ML-KEM-768, X25519, SHA3-256 and HMAC.
//!
//! A broker seals for every release, and this takes a third of the time of the crate `hpke`. Opening, which a guest
//! does once, stays with that crate, which also is the second opinion on every ciphertext made here.
//!
//! Must never reuse an encapsulation, nor let a shared secret outlive its call.

use aws_lc_rs::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use aws_lc_rs::kem::{EncapsulationKey, ML_KEM_768};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::{digest, hmac};
use zeroize::Zeroizing;

use super::{Aes256Gcm, hash};
use crate::{Error, Sealed};

/// Seals `plaintext` to an X-Wing public key: 1184 bytes of ML-KEM-768, 32 of X25519.
///
/// # Errors
/// [`Error::BadKey`] if `public` is none: wrong length, coefficients out of range, a point of small order.
pub(super) fn seal(public: &[u8], info: &[u8], aad: &[u8], plaintext: &[u8]) -> Result<Sealed, Error> {
    let (shared, encapsulated) = encapsulate(public)?;
    let (key, nonce) = key_schedule(&shared, info);
    let mut ciphertext = plaintext.to_vec();
    let tag = Aes256Gcm::new(key.as_slice())?.seal(nonce, aad, &mut ciphertext)?;
    ciphertext.extend(tag);
    Ok(Sealed { encapsulated, ciphertext })
}

/// A fresh shared secret and what tells it to the holder of the private key: 1088 bytes of ML-KEM-768, 32 of X25519.
fn encapsulate(public: &[u8]) -> Result<(Zeroizing<[u8; 32]>, Vec<u8>), Error> {
    let internal = |_| Error::Internal { what: "hpke seal" };
    let (lattice, point) = public.split_at_checked(ML_KEM_768_KEY_LEN).ok_or(BAD_KEY)?;
    let lattice = EncapsulationKey::new(&ML_KEM_768, lattice).map_err(|_| BAD_KEY)?;
    let ephemeral = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).map_err(internal)?;
    let own_point = ephemeral.compute_public_key().map_err(internal)?;
    let (encapsulated, lattice_secret) = lattice.encapsulate().map_err(|_| BAD_KEY)?;
    let shared = agree_ephemeral(ephemeral, UnparsedPublicKey::new(&X25519, point), BAD_KEY, |agreed| {
        Ok(combine([lattice_secret.as_ref(), agreed, own_point.as_ref(), point]))
    })?;
    Ok((shared, [encapsulated.as_ref(), own_point.as_ref()].concat()))
}

/// Both secrets, the sender's point and the recipient's: SHA3-256 of them and the label (draft, 5.3).
fn combine(parts: [&[u8]; 4]) -> Zeroizing<[u8; 32]> {
    let mut context = digest::Context::new(&digest::SHA3_256);
    parts.into_iter().chain([LABEL.as_slice()]).for_each(|part| context.update(part));
    Zeroizing::new(hash::digest_array(context.finish()))
}

/// Key and nonce of the only message (RFC 9180, 5.1): mode 0, no pre-shared key, sequence number 0.
fn key_schedule(shared: &[u8; 32], info: &[u8]) -> (Zeroizing<[u8; 32]>, [u8; 12]) {
    let (psk_id_hash, info_hash) = (extract(&[], b"psk_id_hash", &[]), extract(&[], b"info_hash", info));
    let context = [[0].as_slice(), psk_id_hash.as_slice(), info_hash.as_slice()].concat();
    let secret = extract(shared, b"secret", &[]);
    (Zeroizing::new(expand(&secret, b"key", &context)), expand(&secret, b"base_nonce", &context))
}

/// `LabeledExtract` (RFC 9180, 4): HMAC-SHA384 of what is labelled, under the salt.
fn extract(salt: &[u8], label: &[u8], input: &[u8]) -> Zeroizing<[u8; 48]> {
    Zeroizing::new(hmac_sha384(salt, &[VERSION, &SUITE_ID, label, input]))
}

/// `LabeledExpand` (RFC 9180, 4) to `N` bytes, at most 48: one block of HKDF-Expand.
fn expand<const N: usize>(secret: &[u8; 48], label: &[u8], context: &[u8]) -> [u8; N] {
    const { assert!(N <= 48, "one block of HMAC-SHA384") };
    let length = [0, N as u8];
    let block = Zeroizing::new(hmac_sha384(secret, &[&length, VERSION, &SUITE_ID, label, context, &[1]]));
    let mut out = [0; N];
    out.iter_mut().zip(block.iter()).for_each(|(out, byte)| *out = *byte);
    out
}

fn hmac_sha384(key: &[u8], parts: &[&[u8]]) -> [u8; 48] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA384, key));
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 48];
    out.copy_from_slice(context.sign().as_ref());
    out
}

/// Bytes of an ML-KEM-768 encapsulation key (FIPS 203, table 3).
const ML_KEM_768_KEY_LEN: usize = 1184;
/// X-Wing's label: a picture of itself.
const LABEL: [u8; 6] = *br"\.//^\";
const VERSION: &[u8] = b"HPKE-v1";
/// KEM 0x647a, KDF 2 (HKDF-SHA384), AEAD 2 (AES-256-GCM).
const SUITE_ID: [u8; 10] = *b"HPKE\x64\x7a\x00\x02\x00\x02";
const BAD_KEY: Error = Error::BadKey { expected: "an X-Wing public key, 1216 bytes" };
