//! RSA of `crypto` (AWS-LC) against the crate `rsa`: keys, OAEP and PSS, each way.

use std::sync::LazyLock;

use crypto::{Error, RsaPrivateKey, RsaPublicKey};
use rand::rngs::OsRng;
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use rsa::pss::{BlindedSigningKey, Signature, VerifyingKey};
use rsa::sha2::{Sha256, Sha384};
use rsa::signature::{RandomizedSigner, SignatureEncoding, Verifier};
use rsa::{Oaep, traits::PublicKeyParts};

/// One key, as each side holds it.
struct Pair {
    ours: RsaPrivateKey,
    theirs: rsa::RsaPrivateKey,
}

/// Keys made here and read there, and the other way about.
static PAIRS: LazyLock<Vec<Pair>> = LazyLock::new(|| {
    let from_here = [2048, 3072, 4096].map(|bits| {
        let ours = RsaPrivateKey::generate(bits).unwrap();
        let theirs = rsa::RsaPrivateKey::from_pkcs8_der(ours.pkcs8().expose()).unwrap();
        Pair { ours, theirs }
    });
    let from_there = [2048, 3072].map(|bits| {
        let theirs = rsa::RsaPrivateKey::new(&mut OsRng, bits).unwrap();
        let ours = RsaPrivateKey::from_pkcs8(theirs.to_pkcs8_der().unwrap().as_bytes()).unwrap();
        Pair { ours, theirs }
    });
    from_here.into_iter().chain(from_there).collect()
});

fn oaep() -> Oaep {
    Oaep::new::<Sha256>()
}

/// Lengths of a message that fits OAEP with SHA-256 (RFC 8017, 7.1.1), the longest last.
fn fitting(key: &rsa::RsaPrivateKey) -> [usize; 5] {
    [0, 1, 32, 100, key.size() - 66]
}

/// `len` bytes that differ.
fn message(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + len) as u8).collect()
}

#[test]
fn keys_are_the_same_on_both_sides() {
    for Pair { ours, theirs } in PAIRS.iter() {
        let spki = theirs.to_public_key().to_public_key_der().unwrap();
        assert_eq!(ours.public().spki(), spki.as_bytes());
        assert_eq!(ours.public().bits(), theirs.size() * 8);
        assert_eq!(RsaPublicKey::from_spki(spki.as_bytes()).unwrap().spki(), spki.as_bytes());
        let read = rsa::RsaPublicKey::from_public_key_der(ours.public().spki()).unwrap();
        assert_eq!(read, theirs.to_public_key());
        theirs.validate().unwrap();
    }
}

#[test]
fn keys_of_other_sizes_are_refused() {
    let expected = "an RSA private key of 2048, 3072 or 4096 bits in PKCS #8";
    for bits in [1024, 1536, 2056] {
        let theirs = rsa::RsaPrivateKey::new(&mut OsRng, bits).unwrap();
        let read = RsaPrivateKey::from_pkcs8(theirs.to_pkcs8_der().unwrap().as_bytes());
        assert_eq!(read.err(), Some(Error::BadKey { expected }), "{bits}");
        let spki = theirs.to_public_key().to_public_key_der().unwrap();
        assert_eq!(RsaPublicKey::from_spki(spki.as_bytes()).is_ok(), bits >= 2048, "{bits}");
    }
}

#[test]
fn what_is_encrypted_here_is_decrypted_there() {
    for Pair { ours, theirs } in PAIRS.iter() {
        for len in fitting(theirs) {
            let sealed = ours.public().encrypt_oaep_sha256(&message(len)).unwrap();
            assert_eq!(theirs.decrypt(oaep(), &sealed).unwrap(), message(len));
        }
    }
}

#[test]
fn what_is_encrypted_there_is_decrypted_here() {
    for Pair { ours, theirs } in PAIRS.iter() {
        for len in fitting(theirs) {
            let sealed = theirs.to_public_key().encrypt(&mut OsRng, oaep(), &message(len)).unwrap();
            assert_eq!(ours.decrypt_oaep_sha256(&sealed).unwrap().expose(), message(len));
        }
    }
}

#[test]
fn one_byte_more_fits_neither() {
    for Pair { ours, theirs } in PAIRS.iter() {
        let (expected, got) = (theirs.size() - 66, theirs.size() - 65);
        let too_long = Error::Length { what: "oaep plaintext, at most", expected, got };
        assert_eq!(ours.public().encrypt_oaep_sha256(&message(got)).unwrap_err(), too_long);
        assert!(theirs.to_public_key().encrypt(&mut OsRng, oaep(), &message(got)).is_err());
    }
}

#[test]
fn another_hash_or_label_or_padding_is_refused_here() {
    let Pair { ours, theirs } = &PAIRS[0];
    let to = theirs.to_public_key();
    let others = [
        to.encrypt(&mut OsRng, Oaep::new::<Sha384>(), b"key"),
        to.encrypt(&mut OsRng, Oaep::new_with_mgf_hash::<Sha256, Sha384>(), b"key"),
        to.encrypt(&mut OsRng, Oaep::new_with_label::<Sha256, _>("label"), b"key"),
        to.encrypt(&mut OsRng, rsa::Pkcs1v15Encrypt, b"key"),
    ];
    for sealed in others {
        let opened = ours.decrypt_oaep_sha256(&sealed.unwrap());
        assert_eq!(opened.unwrap_err(), Error::Mismatch { what: "rsa-oaep ciphertext" });
    }
}

#[test]
fn what_is_signed_here_is_verified_there() {
    for Pair { ours, theirs } in PAIRS.iter() {
        let key = VerifyingKey::<Sha384>::new_with_salt_len(theirs.to_public_key(), 48);
        for len in [0, 1, 5000] {
            let signature = ours.sign_pss_sha384(&message(len)).unwrap();
            let signature = Signature::try_from(&signature[..]).unwrap();
            key.verify(&message(len), &signature).unwrap();
            assert!(key.verify(&message(len + 1), &signature).is_err());
        }
    }
}

#[test]
fn what_is_signed_there_is_verified_here() {
    for Pair { ours, theirs } in PAIRS.iter() {
        let key = BlindedSigningKey::<Sha384>::new_with_salt_len(theirs.clone(), 48);
        for len in [0, 1, 5000] {
            let signature = key.sign_with_rng(&mut OsRng, &message(len)).to_vec();
            assert_eq!(ours.public().verify_pss_sha384(&message(len), &signature), Ok(()));
            let other = ours.public().verify_pss_sha384(&message(len + 1), &signature);
            assert_eq!(other, Err(Error::Mismatch { what: "rsa-pss signature" }));
        }
    }
}

#[test]
fn another_salt_length_or_hash_is_refused_here() {
    let Pair { ours, theirs } = &PAIRS[0];
    let sign = |salt| BlindedSigningKey::<Sha384>::new_with_salt_len(theirs.clone(), salt);
    let mut others: Vec<Vec<u8>> =
        [0, 32, 47, 49, 64].map(|salt| sign(salt).sign_with_rng(&mut OsRng, b"message").to_vec()).into();
    let sha256 = BlindedSigningKey::<Sha256>::new_with_salt_len(theirs.clone(), 48);
    others.push(sha256.sign_with_rng(&mut OsRng, b"message").to_vec());
    for signature in others {
        let verified = ours.public().verify_pss_sha384(b"message", &signature);
        assert_eq!(verified, Err(Error::Mismatch { what: "rsa-pss signature" }));
    }
}
