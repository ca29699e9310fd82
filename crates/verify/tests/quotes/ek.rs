//! Certificates of endorsement keys, altered and signed again.

use claims::UnixTime;
use crypto::{RsaPrivateKey, RsaScheme};
use simtee::vtpm::ek::SUBJECT_ALT_NAME;
use simtee::{CertificateSpec, Extension, SignatureAlgorithm, authority};
use verify::tpm::ek::{EkError, EkRoots, VerifiedEk};

use crate::azure::{CREATED, host};
use crate::simulated::booted;
use crate::table::NOW;

/// Certifies a key in words that were altered by `alter`, and verifies that under the host's root.
fn verified(alter: impl FnOnce(&mut CertificateSpec), now: UnixTime) -> Result<VerifiedEk, EkError> {
    let mut spec = host().ek_spec(booted()).unwrap();
    alter(&mut spec);
    let roots = EkRoots::default().with_root(host().ek_root_der(), true).unwrap();
    roots.verify(&[host().sign(&spec).unwrap()], now)
}

/// What a certificate that was altered by `alter` should have been.
fn refusal(alter: impl FnOnce(&mut CertificateSpec)) -> &'static str {
    match verified(alter, NOW).unwrap_err() {
        EkError::Certificate { index: 0, expected } => expected,
        other => panic!("{other}"),
    }
}

fn unknown(critical: bool, len: usize) -> Extension {
    Extension { oid: &[1, 3, 6, 1, 4, 1, 3704, 1, 99], critical, value: vec![0; len] }
}

#[test]
fn an_endorsement_certificate_is_valid_from_its_first_second_to_its_last() {
    let (not_before, not_after) = (NOW, NOW.plus(9));
    let window = |spec: &mut CertificateSpec| (spec.not_before, spec.not_after) = (not_before, not_after);
    for now in [not_before, NOW.plus(1), not_after] {
        assert_eq!(verified(window, now).unwrap().not_after(), not_after);
    }
    for now in [UnixTime(NOW.0 - 1), not_after.plus(1)] {
        let index = 0;
        assert_eq!(
            verified(window, now).unwrap_err(),
            EkError::Validity { index, not_before, not_after, now }
        );
    }
}

#[test]
fn an_endorsement_certificate_ends_with_its_root() {
    let end = CREATED.plus(25 * 31_557_600);
    let longer = |spec: &mut CertificateSpec| spec.not_after = end.plus(1);
    assert_eq!(verified(longer, end).unwrap().not_after(), end);
    let (not_before, not_after, now) = (CREATED, end, end.plus(1));
    let error = EkError::Validity { index: 1, not_before, not_after, now };
    assert_eq!(verified(longer, now).unwrap_err(), error);
}

#[test]
fn an_endorsement_certificate_of_16_kib_is_taken_and_no_longer_one() {
    let roots = EkRoots::default().with_root(host().ek_root_der(), true).unwrap();
    let spec = host().ek_spec(booted()).unwrap();
    // A signature on P-384 is a byte or two longer or shorter each time.
    let of_len = |len: usize| {
        let padded = |padding: usize| {
            let extensions = [&spec.extensions[..], &[unknown(false, padding)]].concat();
            host().sign(&CertificateSpec { extensions, ..spec.clone() }).unwrap()
        };
        let padding = 12_000 + len - padded(12_000).len();
        (0..1000).map(|_| padded(padding)).find(|der| der.len() == len).unwrap()
    };
    assert!(roots.verify(&[of_len(16_384)], NOW).is_ok());
    let error = roots.verify(&[of_len(16_385)], NOW).unwrap_err();
    assert_eq!(error, EkError::Certificate { index: 0, expected: "at most 16 KiB" });
}

#[test]
fn an_endorsement_certificate_is_of_version_3_and_names_one_algorithm() {
    let expected = "x.509 v3 with one signature algorithm";
    assert_eq!(refusal(|spec| spec.version = 1), expected);
    assert_eq!(refusal(|spec| spec.inner_algorithm = SignatureAlgorithm::Pkcs1Sha384), expected);
    assert_eq!(refusal(|spec| spec.outer_algorithm = SignatureAlgorithm::Pkcs1Sha384), expected);
}

#[test]
fn extensions_stand_once_and_critical_ones_are_known() {
    assert!(verified(|spec| spec.extensions.push(unknown(false, 1)), NOW).is_ok());
    let expected = "each extension once, and none that is critical and unknown";
    assert_eq!(refusal(|spec| spec.extensions.push(unknown(true, 1))), expected);
    assert_eq!(refusal(|spec| spec.extensions.extend([unknown(false, 1), unknown(false, 1)])), expected);
    let again = |spec: &mut CertificateSpec| spec.extensions.push(spec.extensions[1].clone());
    assert_eq!(refusal(again), expected);
}

#[test]
fn an_endorsement_certificate_names_manufacturer_model_and_version_of_the_tpm() {
    let expected = "manufacturer, model and version of the tpm in its subjectAltName";
    for attribute in 1..=3 {
        // 2.23.133.2.1 to 3, one of them made into 2.23.133.2.9.
        let oid = [0x06, 5, 0x67, 0x81, 0x05, 2, attribute];
        let error = refusal(|spec| {
            let names = spec.extension_mut(SUBJECT_ALT_NAME).unwrap();
            let at = names.windows(7).position(|window| window == oid).unwrap();
            names[at + 6] = 9;
        });
        assert_eq!(error, expected);
    }
    assert_eq!(refusal(|spec| assert!(spec.remove_extension(SUBJECT_ALT_NAME))), expected);
}

#[test]
fn an_issuer_is_a_ca_and_may_sign_certificates() {
    let root = |extensions: &[Extension]| {
        let spec = host().ek_spec(booted()).unwrap();
        let der = host().sign(&CertificateSpec { extensions: extensions.to_vec(), ..spec }).unwrap();
        EkRoots::default().with_root(&der, true).map(drop)
    };
    let (ca, none) = (authority::basic_constraints(true, None), authority::basic_constraints(false, None));
    let (signs, mut encrypts) = (authority::key_usage(false), authority::key_usage(false));
    encrypts.value = vec![3, 2, 5, 0x20];
    assert_eq!(root(&[ca.clone(), signs.clone()]), Ok(()));
    assert_eq!(root(std::slice::from_ref(&ca)), Ok(()), "a key without keyUsage may do anything");
    let error = Err(EkError::Certificate { index: 0, expected: "a CA that may sign certificates" });
    for wrong in [&[ca, encrypts][..], &[none, signs.clone()], &[signs], &[]] {
        assert_eq!(root(wrong), error);
    }
}

/// The certificate with its signature made anew by a key of 2048 bits.
pub fn signed_by(key: &RsaPrivateKey, scheme: RsaScheme, der: &[u8]) -> Vec<u8> {
    let len = |len: usize| u16::try_from(len).unwrap().to_be_bytes();
    let end = 8 + usize::from(u16::from_be_bytes([der[6], der[7]]));
    let algorithm = &der[end..end + 2 + usize::from(der[end + 1])];
    let signature = key.sign(scheme, &der[4..end]).unwrap();
    let bits = [&[0x03, 0x82][..], &len(signature.len() + 1), &[0], &signature].concat();
    let body = [&der[4..end], algorithm, &bits].concat();
    [&[0x30, 0x82][..], &len(body.len()), &body].concat()
}

#[test]
fn an_rsa_issuer_signs_with_the_hash_that_the_certificate_names() {
    let key = RsaPrivateKey::generate(2048).unwrap();
    let mut leaf = host().ek_spec(booted()).unwrap();
    let pkcs1 = SignatureAlgorithm::Pkcs1Sha384;
    (leaf.inner_algorithm, leaf.outer_algorithm) = (pkcs1, pkcs1);
    let mut root = leaf.clone();
    (root.subject, root.spki) = (leaf.issuer.clone(), key.public().spki().to_vec());
    root.extensions = vec![authority::basic_constraints(true, Some(0)), authority::key_usage(false)];
    let roots = EkRoots::default().with_root(&host().sign(&root).unwrap(), false).unwrap();
    let sha384 = host().sign(&leaf).unwrap();
    // sha256WithRSAEncryption ends in 11 where sha384WithRSAEncryption ends in 12.
    let oid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12];
    let mut sha256 = sha384.clone();
    for at in 0..sha384.len() - 9 {
        if sha384[at..at + 9] == oid {
            sha256[at + 8] = 11;
        }
    }
    let (with_256, with_384) = (RsaScheme::Pkcs1Sha256, RsaScheme::Pkcs1Sha384);
    for (der, right, wrong) in [(&sha256, with_256, with_384), (&sha384, with_384, with_256)] {
        let ek = roots.verify(&[signed_by(&key, right, der)], NOW).unwrap();
        assert_eq!((ek.spki(), ek.simulated()), (booted().ek_spki(), false));
        let error = roots.verify(&[signed_by(&key, wrong, der)], NOW).unwrap_err();
        assert_eq!(error, EkError::Signature { index: 0, by_root: true });
    }
}
