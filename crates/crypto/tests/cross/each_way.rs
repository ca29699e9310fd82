//! What back end `here` makes, back end `there` takes; what is altered, it refuses.

use claims::{RecipientKey, Suite};
use crypto::{EcdhCurve, Error, Sealed};
use proptest::prelude::*;
use secret::SecretBytes;

use super::{here, there};
use crate::flipped;

const BAD_TAG: Error = Error::Mismatch { what: "aes-256-gcm tag" };
const BAD_WRAP: Error = Error::Mismatch { what: "wrapped key" };
const BAD_HPKE: Error = Error::Mismatch { what: "hpke ciphertext" };
const BAD_ECDSA: Error = Error::Mismatch { what: "ecdsa signature" };
const BAD_ED25519: Error = Error::Mismatch { what: "ed25519 signature" };
const BAD_POINT: Error = Error::BadKey { expected: "a point on P-384, SEC 1, 49 or 97 bytes" };

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=max)
}

fn gcm_open(
    key: &[u8],
    nonce: [u8; 12],
    aad: &[u8],
    ciphertext: &[u8],
    tag: &[u8; 16],
) -> Result<Vec<u8>, Error> {
    let key = there::Aes256Gcm::new(key)?;
    let mut in_place = ciphertext.to_vec();
    let mut apart = vec![0; ciphertext.len()];
    let opened = key.open(nonce, aad, &mut in_place, tag);
    assert_eq!(key.open_to(nonce, aad, ciphertext, tag, &mut apart), opened);
    opened?;
    assert_eq!(in_place, apart);
    Ok(apart)
}

proptest! {
    #[test]
    fn aes_256_gcm_opens_and_refuses_each_alteration(
        key: [u8; 32], nonce: [u8; 12], aad in bytes(300), plaintext in bytes(5000), bit: usize,
    ) {
        let mut sealed = plaintext.clone();
        let tag = here::Aes256Gcm::new(&key)?.seal(nonce, &aad, &mut sealed)?;
        prop_assert_eq!(gcm_open(&key, nonce, &aad, &sealed, &tag), Ok(plaintext));

        let other_tag = flipped(&tag, bit).try_into().unwrap();
        prop_assert_eq!(gcm_open(&key, nonce, &aad, &sealed, &other_tag), Err(BAD_TAG));
        let other_nonce = flipped(&nonce, bit).try_into().unwrap();
        prop_assert_eq!(gcm_open(&key, other_nonce, &aad, &sealed, &tag), Err(BAD_TAG));
        prop_assert_eq!(gcm_open(&flipped(&key, bit), nonce, &aad, &sealed, &tag), Err(BAD_TAG));
        prop_assert_eq!(gcm_open(&key, nonce, &[&aad[..], b"\0"].concat(), &sealed, &tag), Err(BAD_TAG));
        prop_assert_eq!(gcm_open(&key, nonce, &aad, &[&sealed[..], b"\0"].concat(), &tag), Err(BAD_TAG));
        if !aad.is_empty() {
            prop_assert_eq!(gcm_open(&key, nonce, &flipped(&aad, bit), &sealed, &tag), Err(BAD_TAG));
        }
        if !sealed.is_empty() {
            prop_assert_eq!(gcm_open(&key, nonce, &aad, &flipped(&sealed, bit), &tag), Err(BAD_TAG));
        }
    }

    #[test]
    fn kwp_unwraps_and_refuses_each_alteration(
        kek: [u8; 32], key in prop::collection::vec(any::<u8>(), 1..=600), bit: usize,
    ) {
        let wrapped = here::kwp_wrap(&kek, &key)?;
        prop_assert_eq!(wrapped.len(), key.len().div_ceil(8) * 8 + 8);
        let unwrap = |kek: &[u8], wrapped: &[u8]| there::kwp_unwrap(kek, wrapped).map(|key| key.expose().to_vec());
        prop_assert_eq!(unwrap(&kek, &wrapped), Ok(key));
        prop_assert_eq!(unwrap(&kek, &flipped(&wrapped, bit)), Err(BAD_WRAP));
        prop_assert_eq!(unwrap(&flipped(&kek, bit), &wrapped), Err(BAD_WRAP));
        prop_assert_eq!(unwrap(&kek, &wrapped[1..]), Err(BAD_WRAP));
        prop_assert_eq!(unwrap(&kek, &wrapped[8..]), Err(BAD_WRAP));
        prop_assert_eq!(unwrap(&kek, &[&wrapped[..], &[0; 8]].concat()), Err(BAD_WRAP));
    }

    #[test]
    fn ed25519_verifies_and_refuses_each_alteration(seed: [u8; 32], message in bytes(2000), bit: usize) {
        let key = here::Ed25519SigningKey::from_seed(&seed)?;
        let signature = key.sign(&message);
        let public = there::Ed25519PublicKey::from_bytes(&key.public())?;
        prop_assert_eq!(public.as_bytes(), &key.public());
        prop_assert_eq!(public.verify(&message, &signature), Ok(()));
        prop_assert_eq!(public.verify(&message, &flipped(&signature, bit)), Err(BAD_ED25519));
        prop_assert_eq!(public.verify(&message, &signature[..63]), Err(BAD_ED25519));
        prop_assert_eq!(public.verify(&message, &[]), Err(BAD_ED25519));
        prop_assert_eq!(public.verify(&[&message[..], b"\0"].concat(), &signature), Err(BAD_ED25519));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn ecdsa_verifies_and_refuses_each_alteration(message in bytes(2000), bit: usize) {
        let key = here::P384SigningKey::generate()?;
        let public = there::P384PublicKey::from_sec1(&key.public_sec1())?;
        let digest = here::sha384(&[&message]);

        let fixed = key.sign_fixed(&message)?;
        prop_assert_eq!(public.verify_fixed(&message, &fixed), Ok(()));
        let other = flipped(&fixed, bit).try_into().unwrap();
        prop_assert_eq!(public.verify_fixed(&message, &other), Err(BAD_ECDSA));
        prop_assert_eq!(public.verify_fixed(&[&message[..], b"\0"].concat(), &fixed), Err(BAD_ECDSA));

        let der = key.sign_der_digest(&digest)?;
        prop_assert_eq!(public.verify_der_digest(&digest, &der), Ok(()));
        prop_assert_eq!(public.verify_der_digest(&digest, &flipped(&der, bit)), Err(BAD_ECDSA));
        prop_assert_eq!(public.verify_der_digest(&digest, &[&der[..], b"\0"].concat()), Err(BAD_ECDSA));
        prop_assert_eq!(public.verify_der_digest(&digest, &[]), Err(BAD_ECDSA));
        let other = flipped(&digest, bit).try_into().unwrap();
        prop_assert_eq!(public.verify_der_digest(&other, &der), Err(BAD_ECDSA));
    }

    #[test]
    fn p384_keys_are_exchanged(bit: usize) {
        let key = here::P384SigningKey::generate()?;
        let pkcs8 = key.to_pkcs8()?;
        let same = there::P384SigningKey::from_pkcs8(pkcs8.expose())?;
        prop_assert_eq!(same.public_sec1(), key.public_sec1());
        prop_assert_eq!(same.public_sec1_compressed(), key.public_sec1_compressed());
        prop_assert_eq!(same.public_spki(), key.public_spki());
        let again = same.to_pkcs8()?;
        prop_assert_eq!(again.expose(), pkcs8.expose());

        let message = b"signed by the key that was read";
        let compressed = there::P384PublicKey::from_sec1(&key.public_sec1_compressed()?)?;
        prop_assert_eq!(compressed.verify_fixed(message, &same.sign_fixed(message)?), Ok(()));
        let off_curve = flipped(&key.public_sec1(), 8 + bit % (8 * 96));
        prop_assert_eq!(there::P384PublicKey::from_sec1(&off_curve).unwrap_err(), BAD_POINT);
    }

    #[test]
    fn hpke_opens_and_refuses_each_alteration(
        suite in prop::sample::select(&[Suite::P384, Suite::XWing][..]),
        info in bytes(3000), aad in bytes(100), plaintext in bytes(5000), bit: usize,
    ) {
        let (secret, to) = there::hpke_generate(suite)?;
        prop_assert_eq!((to.suite, to.public.len()), (suite, suite.public_key_len()));
        let sealed = here::hpke_seal(&to, &info, &aad, &plaintext)?;
        let open = |secret: &SecretBytes, info: &[u8], aad: &[u8], sealed: &Sealed| {
            there::hpke_open(suite, secret, info, aad, sealed).map(|opened| opened.expose().to_vec())
        };
        prop_assert_eq!(open(&secret, &info, &aad, &sealed), Ok(plaintext));

        let other = Sealed { encapsulated: flipped(&sealed.encapsulated, bit), ..sealed.clone() };
        prop_assert_eq!(open(&secret, &info, &aad, &other), Err(BAD_HPKE));
        let other = Sealed { ciphertext: flipped(&sealed.ciphertext, bit), ..sealed.clone() };
        prop_assert_eq!(open(&secret, &info, &aad, &other), Err(BAD_HPKE));
        let other = Sealed { encapsulated: sealed.encapsulated[1..].to_vec(), ..sealed.clone() };
        prop_assert_eq!(open(&secret, &info, &aad, &other), Err(BAD_HPKE));
        let other = Sealed { ciphertext: sealed.ciphertext[..15].to_vec(), ..sealed.clone() };
        prop_assert_eq!(open(&secret, &info, &aad, &other), Err(BAD_HPKE));
        prop_assert_eq!(open(&secret, &[&info[..], b"\0"].concat(), &aad, &sealed), Err(BAD_HPKE));
        prop_assert_eq!(open(&secret, &info, &[&aad[..], b"\0"].concat(), &sealed), Err(BAD_HPKE));
        let other = SecretBytes::from_vec(flipped(secret.expose(), bit));
        prop_assert_eq!(open(&other, &info, &aad, &sealed), Err(BAD_HPKE));
        let other = SecretBytes::from_vec(secret.expose()[1..].to_vec());
        prop_assert_eq!(open(&other, &info, &aad, &sealed), Err(BAD_HPKE));
    }
}

#[test]
fn messages_of_megabytes_pass() {
    let large: Vec<u8> = (0..(3 << 20) + 5_u32).map(|i| (i % 251) as u8).collect();
    let mut sealed = large.clone();
    let tag = here::Aes256Gcm::new(&[1; 32]).unwrap().seal([2; 12], b"", &mut sealed).unwrap();
    assert_eq!(gcm_open(&[1; 32], [2; 12], b"", &sealed, &tag).unwrap(), large);

    let wrapped = here::kwp_wrap(&[1; 32], &large[..65_537]).unwrap();
    assert_eq!(there::kwp_unwrap(&[1; 32], &wrapped).unwrap().expose(), &large[..65_537]);

    for suite in [Suite::P384, Suite::XWing] {
        let (secret, to) = there::hpke_generate(suite).unwrap();
        let sealed = here::hpke_seal(&to, &large, &large, &large).unwrap();
        assert_eq!(there::hpke_open(suite, &secret, &large, &large, &sealed).unwrap().expose(), large);
    }
    let key = here::Ed25519SigningKey::from_seed(&[3; 32]).unwrap();
    let public = there::Ed25519PublicKey::from_bytes(&key.public()).unwrap();
    assert_eq!(public.verify(&large, &key.sign(&large)), Ok(()));
}

#[test]
fn a_key_of_another_suite_or_length_is_refused() {
    for suite in [Suite::P384, Suite::XWing] {
        let expected = match suite {
            Suite::P384 => "a P-384 point, 97 bytes",
            Suite::XWing => "an X-Wing public key, 1216 bytes",
        };
        let (_, good) = here::hpke_generate(suite).unwrap();
        let (_, other) =
            here::hpke_generate(if suite == Suite::P384 { Suite::XWing } else { Suite::P384 }).unwrap();
        let longer = [&good.public[..], b"\0"].concat();
        let compressed = here::P384SigningKey::generate().unwrap().public_sec1_compressed().unwrap();
        let wrong =
            [vec![], vec![0], good.public[1..].to_vec(), longer, other.public, vec![4; 97], compressed];
        for public in wrong {
            let to = RecipientKey { suite, public };
            assert_eq!(
                there::hpke_seal(&to, b"", b"", b"").unwrap_err(),
                Error::BadKey { expected },
                "{to:?}"
            );
        }
    }
}

#[test]
fn keys_of_a_wrong_length_are_refused() {
    for len in [0, 16, 24, 31, 33, 64] {
        let key = vec![7; len];
        let bad = Error::BadKey { expected: "32 bytes" };
        assert_eq!(there::Aes256Gcm::new(&key).err(), Some(bad));
        assert_eq!(there::kwp_wrap(&key, b"key").unwrap_err(), bad);
        assert_eq!(there::kwp_unwrap(&key, &[0; 24]).unwrap_err(), bad);
        let seed = there::Ed25519SigningKey::from_seed(&key).err();
        assert_eq!(seed, Some(Error::BadKey { expected: "an Ed25519 seed, 32 bytes" }), "{len}");
    }
}

#[test]
fn nothing_is_wrapped_nor_unwrapped() {
    let empty = Error::Length { what: "key to wrap", expected: 1, got: 0 };
    assert_eq!(there::kwp_wrap(&[0; 32], b"").unwrap_err(), empty);
    // An integrity value for no key at all, which would need no knowledge of the key-encryption key.
    let forged = [0xA6, 0x59, 0x59, 0xA6, 0, 0, 0, 0];
    assert_eq!(there::kwp_unwrap(&[0; 32], &forged).unwrap_err(), BAD_WRAP);
    for len in 0..64 {
        assert_eq!(there::kwp_unwrap(&[0; 32], &vec![0xA6; len]).unwrap_err(), BAD_WRAP, "{len}");
    }
}

#[test]
fn plaintext_and_ciphertext_must_be_of_one_length() {
    let key = there::Aes256Gcm::new(&[0; 32]).unwrap();
    let mut sealed = [0; 40];
    let tag = key.seal([0; 12], b"", &mut sealed).unwrap();
    for len in [0, 39, 41] {
        assert_eq!(key.open_to([0; 12], b"", &sealed, &tag, &mut vec![0; len]), Err(BAD_TAG));
    }
}

#[test]
fn of_the_forms_of_a_point_only_the_three_of_sec1_are_read() {
    let key = here::P384SigningKey::generate().unwrap();
    let (long, short) = (key.public_sec1(), key.public_sec1_compressed().unwrap());
    for tag in 0..=255 {
        let with_tag = |point: &[u8]| [&[tag], &point[1..]].concat();
        let read = there::P384PublicKey::from_sec1(&with_tag(&long)).map(|_| ());
        assert_eq!(read, if tag == 4 { Ok(()) } else { Err(BAD_POINT) }, "{tag}");
        let read = there::P384PublicKey::from_sec1(&with_tag(&short)).map(|_| ());
        assert_eq!(read, if matches!(tag, 2 | 3) { Ok(()) } else { Err(BAD_POINT) }, "{tag}");
    }
    for len in (0..200).filter(|len| !matches!(len, 49 | 97)) {
        let padded: Vec<u8> = long.iter().copied().chain(std::iter::repeat(0)).take(len).collect();
        assert_eq!(there::P384PublicKey::from_sec1(&padded).unwrap_err(), BAD_POINT);
    }
    assert_eq!(there::P384PublicKey::from_sec1(&[0; 97]).unwrap_err(), BAD_POINT);
}

#[test]
fn a_damaged_private_key_is_refused() {
    let bad = Some(Error::BadKey { expected: "a P-384 private key in PKCS #8" });
    let pkcs8 = here::P384SigningKey::generate().unwrap().to_pkcs8().unwrap();
    let pkcs8 = pkcs8.expose();
    for len in 0..pkcs8.len() {
        assert_eq!(there::P384SigningKey::from_pkcs8(&pkcs8[..len]).err(), bad, "{len}");
    }
    let rsa = crypto::aws_lc::RsaPrivateKey::generate(2048).unwrap();
    assert_eq!(there::P384SigningKey::from_pkcs8(rsa.pkcs8().expose()).err(), bad);
    // The public half that stands beside the private one must belong to it.
    let other = here::P384SigningKey::generate().unwrap();
    let (mixed, at) = (pkcs8.to_vec(), pkcs8.len() - 96);
    let mixed = [&mixed[..at], &other.public_sec1()[1..]].concat();
    assert_eq!(there::P384SigningKey::from_pkcs8(&mixed).err(), bad);
}

#[test]
fn both_parties_of_an_agreement_share_a_secret() {
    for (curve, len) in [(EcdhCurve::P256, 32), (EcdhCurve::P384, 48)] {
        let (a, b) = (here::EcdhKey::generate(curve).unwrap(), there::EcdhKey::generate(curve).unwrap());
        let (point, other) = (a.public_sec1().unwrap(), b.public_sec1().unwrap());
        let shared = a.agree(&other).unwrap();
        assert_eq!((shared.expose(), shared.expose().len()), (b.agree(&point).unwrap().expose(), len));

        let bad = Error::BadKey { expected: "an uncompressed point on the curve" };
        for at in 0..point.len() {
            let mut off = point.clone();
            off[at] ^= 1;
            assert_eq!(b.agree(&off).err(), Some(bad), "byte {at}");
        }
        let compressed = [&[2 + (point[2 * len] & 1)], &point[1..=len]].concat();
        let hybrid = [&[6 + (point[2 * len] & 1)], &point[1..]].concat();
        for wrong in [compressed, hybrid, vec![0], vec![4; 1 + 2 * len], point[1..].to_vec(), Vec::new()] {
            assert_eq!(b.agree(&wrong).err(), Some(bad));
        }
        let other_curve = if len == 32 { EcdhCurve::P384 } else { EcdhCurve::P256 };
        let foreign = here::EcdhKey::generate(other_curve).unwrap().public_sec1().unwrap();
        assert_eq!(b.agree(&foreign).err(), Some(bad));

        let bad = Error::BadKey { expected: "a private number of the curve, as long as a coordinate" };
        for wrong in [vec![0; len], vec![0xff; len], vec![1; len - 1], vec![1; len + 1]] {
            assert_eq!(here::EcdhKey::from_private(curve, &wrong).err(), Some(bad));
        }
    }
}

#[test]
fn the_spki_of_a_point_is_that_of_its_key() {
    let key = here::P384SigningKey::generate().unwrap();
    assert_eq!(EcdhCurve::P384.spki(&key.public_sec1()), key.public_spki().unwrap());
}
