//! Operations without a maker and a taker: both back ends give the same.

use crypto::{Error, Suite, aws_lc, rust_crypto};
use proptest::prelude::*;

fn parts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 0..6)
}

fn slices(parts: &[Vec<u8>]) -> Vec<&[u8]> {
    parts.iter().map(Vec::as_slice).collect()
}

proptest! {
    #[test]
    fn digests_are_equal_and_do_not_see_where_parts_end(parts in parts()) {
        let whole = parts.concat();
        let (parts, whole) = (slices(&parts), [whole.as_slice()]);
        prop_assert_eq!(aws_lc::sha256(&parts), rust_crypto::sha256(&whole));
        prop_assert_eq!(aws_lc::sha256(&whole), rust_crypto::sha256(&parts));
        prop_assert_eq!(aws_lc::sha384(&parts), rust_crypto::sha384(&whole));
        prop_assert_eq!(aws_lc::sha384(&whole), rust_crypto::sha384(&parts));
        prop_assert_eq!(aws_lc::sha512(&parts), rust_crypto::sha512(&whole));
        prop_assert_eq!(aws_lc::sha512(&whole), rust_crypto::sha512(&parts));
    }

    #[test]
    fn digests_in_pieces_are_those_of_the_whole(parts in parts()) {
        let slices = slices(&parts);
        let (mut a, mut b) = (aws_lc::Sha256::new(), rust_crypto::Sha256::default());
        slices.iter().for_each(|part| { a.update(part); b.update(part); });
        prop_assert_eq!(a.clone().finish(), aws_lc::sha256(&slices));
        prop_assert_eq!(a.finish(), b.finish());
        let (mut a, mut b) = (aws_lc::Sha384::default(), rust_crypto::Sha384::new());
        slices.iter().for_each(|part| { a.update(part); b.update(part); });
        prop_assert_eq!(a.finish(), aws_lc::sha384(&slices));
        prop_assert_eq!(b.clone().finish(), aws_lc::sha384(&slices));
    }

    #[test]
    fn hmacs_are_equal_for_keys_of_any_length(
        key in prop::collection::vec(any::<u8>(), 0..200), parts in parts(), bit in 0..256_usize,
    ) {
        let parts = slices(&parts);
        let (a, b) = (aws_lc::HmacKey::new(&key), rust_crypto::HmacKey::new(&key));
        let tag = a.tag(&parts);
        prop_assert_eq!(tag, b.tag(&parts));
        prop_assert_eq!((a.verify(&parts, &tag), b.verify(&parts, &tag)), (Ok(()), Ok(())));
        let bad = Err(Error::Mismatch { what: "hmac-sha256 tag" });
        for wrong in [crate::flipped(&tag, bit), tag[..31].to_vec(), [&tag[..], b"\0"].concat(), vec![]] {
            prop_assert_eq!((a.verify(&parts, &wrong), b.verify(&parts, &wrong)), (bad, bad));
        }
    }

    #[test]
    fn feedback_ciphertexts_are_equal_and_open(
        key in any::<[u8; 16]>(), plain in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let (mut a, mut b) = (plain.clone(), plain.clone());
        aws_lc::aes128_cfb_encrypt(&key, &mut a)?;
        rust_crypto::aes128_cfb_encrypt(&key, &mut b)?;
        prop_assert_eq!(&a, &b);
        aws_lc::aes128_cfb_decrypt(&key, &mut a)?;
        rust_crypto::aes128_cfb_decrypt(&key, &mut b)?;
        prop_assert_eq!((&a, &b), (&plain, &plain));
    }

    #[test]
    fn sha384_hmacs_are_equal_for_keys_of_any_length(
        key in prop::collection::vec(any::<u8>(), 0..300), parts in parts(), bit in 0..384_usize,
    ) {
        let parts = slices(&parts);
        let (a, b) = (aws_lc::Hmac384Key::new(&key), rust_crypto::Hmac384Key::new(&key));
        let tag = a.tag(&parts);
        prop_assert_eq!(tag, b.tag(&parts));
        let bad = Err(Error::Mismatch { what: "hmac-sha384 tag" });
        for wrong in [crate::flipped(&tag, bit), tag[..47].to_vec(), vec![]] {
            prop_assert_eq!((a.verify(&parts, &wrong), b.verify(&parts, &wrong)), (bad, bad));
        }
    }

    #[test]
    fn feedback_ciphertexts_of_256_bits_are_equal_and_open(
        key in any::<[u8; 32]>(), plain in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let (mut a, mut b) = (plain.clone(), plain.clone());
        aws_lc::aes256_cfb_encrypt(&key, &mut a)?;
        rust_crypto::aes256_cfb_encrypt(&key, &mut b)?;
        prop_assert_eq!(&a, &b);
        aws_lc::aes256_cfb_decrypt(&key, &mut a)?;
        rust_crypto::aes256_cfb_decrypt(&key, &mut b)?;
        prop_assert_eq!((&a, &b), (&plain, &plain));
    }

    #[test]
    fn derived_keys_are_equal(
        salt in prop::collection::vec(any::<u8>(), 0..200), secret in prop::collection::vec(any::<u8>(), 0..200),
        info in parts(), len in 0..1000_usize,
    ) {
        let info = slices(&info);
        let (mut a, mut b) = (vec![0; len], vec![0; len]);
        aws_lc::hkdf_sha512(&salt, &secret, &info, &mut a)?;
        rust_crypto::hkdf_sha512(&salt, &secret, &info, &mut b)?;
        prop_assert_eq!(a, b);
    }
}

#[test]
fn a_derived_key_has_at_most_255_blocks() {
    let (mut a, mut b) = (vec![0; 255 * 64], vec![0; 255 * 64]);
    aws_lc::hkdf_sha512(b"salt", b"secret", &[b"info"], &mut a).unwrap();
    rust_crypto::hkdf_sha512(b"salt", b"secret", &[b"info"], &mut b).unwrap();
    assert_eq!(a, b);
    let too_long = Err(Error::Length { what: "hkdf output", expected: 16_320, got: 16_321 });
    a.push(0);
    assert_eq!(aws_lc::hkdf_sha512(b"salt", b"secret", &[b"info"], &mut a), too_long);
    assert_eq!(rust_crypto::hkdf_sha512(b"salt", b"secret", &[b"info"], &mut a), too_long);
}

#[test]
fn an_ed25519_seed_stands_for_one_key_and_one_signature() {
    for seed in 0..=255 {
        let a = aws_lc::Ed25519SigningKey::from_seed(&[seed; 32]).unwrap();
        let b = rust_crypto::Ed25519SigningKey::from_seed(&[seed; 32]).unwrap();
        assert_eq!((a.public(), a.sign(b"message")), (b.public(), b.sign(b"message")));
    }
}

#[test]
fn randomness_is_drawn_anew_each_time() {
    let drawn: [[u8; 32]; 4] = [
        aws_lc::random_array().unwrap(),
        aws_lc::random_array().unwrap(),
        rust_crypto::random_array().unwrap(),
        rust_crypto::random_array().unwrap(),
    ];
    for (i, one) in drawn.iter().enumerate() {
        assert_ne!(one, &[0; 32]);
        assert!(!drawn[..i].contains(one));
    }
}

#[test]
fn both_take_the_same_of_the_odd_ed25519_keys_and_signatures() {
    // y of the points of small order and y beyond the field's order, little-endian, with either sign.
    let field = |low: u8| [&[low][..], &[0xFF; 30], &[0x7F]].concat();
    let small = |low: u8| [&[low][..], &[0; 31]].concat();
    let order_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
    let minus_order_8 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
    let mut ys = vec![hex::decode(order_8).unwrap(), hex::decode(minus_order_8).unwrap()];
    ys.extend((0..4).map(small).chain((0xE9..=0xFF).map(field)));
    let points: Vec<[u8; 32]> = [0, 0x80]
        .iter()
        .flat_map(|sign| ys.iter().map(move |y| [&y[..31], &[y[31] | sign]].concat().try_into().unwrap()))
        .collect();
    let mut taken = 0;
    for public in &points {
        let a = aws_lc::Ed25519PublicKey::from_bytes(public).unwrap();
        let b = rust_crypto::Ed25519PublicKey::from_bytes(public).unwrap();
        for r in &points {
            let signature = [&r[..], &[0; 32]].concat();
            for message in [b"a", b"b", b"c", b"d"] {
                let verified = a.verify(message, &signature);
                assert_eq!(verified, b.verify(message, &signature), "{public:02x?} {r:02x?}");
                taken += usize::from(verified.is_ok());
            }
        }
    }
    assert!(taken > 0, "no case reached the last comparison");
}

#[test]
fn under_an_ed25519_key_that_is_no_point_nothing_verifies() {
    let (no_point, bad) =
        ([&[7][..], &[0; 31]].concat().try_into().unwrap(), Error::Mismatch { what: "ed25519 signature" });
    let signature = aws_lc::Ed25519SigningKey::from_seed(&[1; 32]).unwrap().sign(b"message");
    let a = aws_lc::Ed25519PublicKey::from_bytes(&no_point).unwrap();
    let b = rust_crypto::Ed25519PublicKey::from_bytes(&no_point).unwrap();
    for signature in [signature, [0; 64]] {
        assert_eq!(
            (a.verify(b"message", &signature), b.verify(b"message", &signature)),
            (Err(bad), Err(bad))
        );
    }
}

/// The one case in which the back ends differ: X25519 then gives zeros, which AWS-LC takes for an error.
#[test]
fn an_x_wing_key_of_small_order_is_refused_by_aws_lc() {
    let (_, mut to) = aws_lc::hpke_generate(Suite::XWing).unwrap();
    to.public[1184..].fill(0);
    let expected = Error::BadKey { expected: "an X-Wing public key, 1216 bytes" };
    assert_eq!(aws_lc::hpke_seal(&to, b"", b"", b"").unwrap_err(), expected);
    assert!(rust_crypto::hpke_seal(&to, b"", b"", b"").is_ok());
}
