//! RSA: aws-lc against itself, and that the other back end says it has none.

use std::sync::LazyLock;

use crypto::aws_lc::{RsaPrivateKey, RsaPublicKey};
use crypto::{Error, RsaScheme, rust_crypto};

use crate::flipped;

static KEY: LazyLock<RsaPrivateKey> = LazyLock::new(|| RsaPrivateKey::generate(2048).unwrap());
const BAD_PUBLIC: Error = Error::BadKey { expected: "an RSA public key of 2048 to 8192 bits" };
const BAD_PRIVATE: Error =
    Error::BadKey { expected: "an RSA private key of 2048, 3072 or 4096 bits in PKCS #8" };
const BAD_OAEP: Error = Error::Mismatch { what: "rsa-oaep ciphertext" };
const BAD_PSS: Error = Error::Mismatch { what: "rsa-pss signature" };

#[test]
fn oaep_takes_what_fits_and_gives_it_back() {
    for len in [0, 1, 32, 189, 190] {
        let sealed = KEY.public().encrypt_oaep_sha256(&vec![5; len]).unwrap();
        assert_eq!(sealed.len(), 256);
        assert_eq!(KEY.decrypt_oaep_sha256(&sealed).unwrap().expose(), vec![5; len]);
    }
    let too_long = Error::Length { what: "oaep plaintext, at most", expected: 190, got: 191 };
    assert_eq!(KEY.public().encrypt_oaep_sha256(&[5; 191]).unwrap_err(), too_long);
}

#[test]
fn every_altered_oaep_ciphertext_is_refused_alike() {
    let sealed = KEY.public().encrypt_oaep_sha256(b"a data-encryption key").unwrap();
    for bit in (0..2048).step_by(37) {
        assert_eq!(KEY.decrypt_oaep_sha256(&flipped(&sealed, bit)).unwrap_err(), BAD_OAEP);
    }
    for wrong in [&[][..], &sealed[1..], &[&sealed[..], b"\0"].concat(), &[0; 256], &[255; 256]] {
        assert_eq!(KEY.decrypt_oaep_sha256(wrong).unwrap_err(), BAD_OAEP);
    }
    let other = RsaPrivateKey::generate(2048).unwrap();
    assert_eq!(other.decrypt_oaep_sha256(&sealed).unwrap_err(), BAD_OAEP);
}

#[test]
fn every_altered_pss_signature_is_refused() {
    let signature = KEY.sign_pss_sha384(b"message").unwrap();
    assert_eq!(KEY.public().verify_pss_sha384(b"message", &signature), Ok(()));
    assert_eq!(KEY.public().verify_pss_sha384(b"messagf", &signature), Err(BAD_PSS));
    for bit in (0..2048).step_by(37) {
        assert_eq!(KEY.public().verify_pss_sha384(b"message", &flipped(&signature, bit)), Err(BAD_PSS));
    }
    for wrong in [&[][..], &signature[1..], &[&signature[..], b"\0"].concat()] {
        assert_eq!(KEY.public().verify_pss_sha384(b"message", wrong), Err(BAD_PSS));
    }
}

#[test]
fn a_signature_is_of_one_scheme_and_one_message() {
    let all = [
        RsaScheme::Pkcs1Sha256,
        RsaScheme::Pkcs1Sha384,
        RsaScheme::Pkcs1Sha512,
        RsaScheme::PssSha256,
        RsaScheme::PssSha384,
        RsaScheme::PssSha512,
    ];
    let bad = Err(Error::Mismatch { what: "rsa signature" });
    for made in all {
        let signature = KEY.sign(made, b"message").unwrap();
        for taken in all {
            let expected = if made == taken { Ok(()) } else { bad };
            assert_eq!(KEY.public().verify(taken, b"message", &signature), expected);
        }
        assert_eq!(KEY.public().verify(made, b"messagf", &signature), bad);
        assert_eq!(KEY.public().verify(made, b"message", &flipped(&signature, 77)), bad);
    }
}

#[test]
fn a_label_is_part_of_what_was_encrypted() {
    let sealed = KEY.public().encrypt_oaep_sha256_labelled(b"seed", b"IDENTITY\0").unwrap();
    assert_eq!(KEY.decrypt_oaep_sha256_labelled(&sealed, b"IDENTITY\0").unwrap().expose(), b"seed");
    for label in [&b"IDENTITY"[..], b"", b"DUPLICATE\0"] {
        assert_eq!(KEY.decrypt_oaep_sha256_labelled(&sealed, label).unwrap_err(), BAD_OAEP);
    }
}

#[test]
fn a_key_is_its_modulus_and_exponent() {
    let (modulus, exponent) = KEY.public().components().unwrap();
    assert_eq!((modulus.len(), &exponent[..]), (256, &[1, 0, 1][..]));
    let again = RsaPublicKey::from_components(&modulus, &exponent).unwrap();
    assert_eq!(again.spki(), KEY.public().spki());
    let padded = [&[0], &modulus[..]].concat();
    for wrong in [&padded[..], &modulus[..128], &[]] {
        assert_eq!(RsaPublicKey::from_components(wrong, &exponent).unwrap_err(), BAD_PUBLIC);
    }
}

#[test]
fn keys_survive_their_encoding_and_others_are_refused() {
    let again = RsaPrivateKey::from_pkcs8(KEY.pkcs8().expose()).unwrap();
    assert_eq!(again.public().spki(), KEY.public().spki());
    let public = RsaPublicKey::from_spki(KEY.public().spki()).unwrap();
    assert_eq!((public.bits(), public.spki()), (2048, KEY.public().spki()));

    let p384 = crypto::aws_lc::P384SigningKey::generate().unwrap();
    assert_eq!(RsaPublicKey::from_spki(&p384.public_spki().unwrap()).unwrap_err(), BAD_PUBLIC);
    assert_eq!(RsaPublicKey::from_spki(b"").unwrap_err(), BAD_PUBLIC);
    assert_eq!(RsaPublicKey::from_spki(&KEY.public().spki()[1..]).unwrap_err(), BAD_PUBLIC);
    assert_eq!(RsaPrivateKey::from_pkcs8(p384.to_pkcs8().unwrap().expose()).err(), Some(BAD_PRIVATE));
    assert_eq!(RsaPrivateKey::from_pkcs8(&KEY.pkcs8().expose()[1..]).err(), Some(BAD_PRIVATE));
    for bits in [0, 1024, 2047, 8192] {
        assert_eq!(RsaPrivateKey::generate(bits).err(), Some(BAD_PRIVATE));
    }
}

#[test]
fn the_other_back_end_says_that_it_has_no_rsa() {
    let unsupported = |operation| Some(Error::Unsupported { operation, back_end: "rust-crypto" });
    let (public, private) = (KEY.public().spki(), KEY.pkcs8().expose());
    assert_eq!(rust_crypto::RsaPublicKey::from_spki(public).err(), unsupported("rsa public key"));
    let components = rust_crypto::RsaPublicKey::from_components(&[1], &[3]);
    assert_eq!(components.err(), unsupported("rsa public key"));
    assert_eq!(rust_crypto::RsaPrivateKey::from_pkcs8(private).err(), unsupported("rsa private key"));
    assert_eq!(rust_crypto::RsaPrivateKey::generate(2048).err(), unsupported("rsa generate"));
}
