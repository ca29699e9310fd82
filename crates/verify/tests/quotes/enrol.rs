//! Enrolment: genuine endorsement certificates of swtpm's own CA, and credentials that a simulated TPM opens.

use std::sync::Arc;

use claims::UnixTime;
use crypto::EcdhCurve;
use evidence::tpm::Public;
use simtee::vtpm::log::BootSpec;
use simtee::vtpm::{KeyPair, KeySpec, VTpm};
use verify::TpmVerifyError;
use verify::certificates_from_file;
use verify::tpm::credential::{EnrolError, Enrolling};
use verify::tpm::ek::{EkError, EkRoots};

use crate::folder::read;
use crate::simulated::boot;

/// A week after the vectors were made.
const LATER: UnixTime = UnixTime(1_796_000_000);

struct Chain {
    certificates: Vec<Vec<u8>>,
    root: Vec<u8>,
    ek: Public,
    ak: Public,
}

fn chain(name: &str) -> Option<Chain> {
    let part = |file: &str| read(&format!("tpm/qemu-ovmf/{file}"));
    let pem = |file: &str| Some(certificates_from_file(&part(file)?).unwrap().remove(0));
    Some(Chain {
        certificates: vec![part(&format!("{name}/ek.crt"))?, pem("ca/issuercert.pem")?],
        root: pem("ca/swtpm-localca-rootca-cert.pem")?,
        ek: Public::parse_sized(&part(&format!("{name}/ek.pub"))?).unwrap(),
        ak: Public::parse_sized(&part(&format!("{name}/ak.tss"))?).unwrap(),
    })
}

fn roots(chain: &Chain) -> EkRoots {
    EkRoots::default().with_root(&chain.root, true).unwrap()
}

#[test]
fn a_genuine_endorsement_certificate_leads_to_the_operators_root() {
    for name in ["tcg-crb", "tcg-tis", "tcg-snakeoil-uki"] {
        let Some(chain) = chain(name) else { continue };
        let (enrolling, ek) =
            Enrolling::check(&chain.ak, &chain.ek, &chain.certificates, &roots(&chain), LATER).unwrap();
        assert!(ek.simulated() && ek.not_after() > LATER);
        assert_eq!(enrolling.ak_name().to_bytes(), read(&format!("tpm/qemu-ovmf/{name}/ak.name")).unwrap());
        let quote = evidence::tpm::Attest::parse(&read(&format!("tpm/qemu-ovmf/{name}/quote.msg")).unwrap());
        assert_eq!(enrolling.qualified_name(), &quote.unwrap().fields().qualified_signer);
    }
}

#[test]
fn certificates_of_others_are_refused() {
    let (Some(first), Some(second)) = (chain("tcg-crb"), chain("tcg-tis")) else { return };
    let verify =
        |certificates: &[Vec<u8>], roots: &EkRoots, now| roots.verify(certificates, now).unwrap_err();
    let all = &first.certificates;
    let error = verify(all, &EkRoots::default(), LATER);
    assert_eq!(error, EkError::Signature { index: 1, by_root: true });
    let error = verify(&all[..1], &roots(&first), LATER);
    assert_eq!(error, EkError::Signature { index: 0, by_root: true });
    assert_eq!(verify(&[], &roots(&first), LATER), EkError::Count { limit: 4, got: 0 });
    let error = verify(all, &roots(&first), UnixTime(1_700_000_000));
    assert!(matches!(error, EkError::Validity { index: 0, .. }));
    let expected = "a CA that may sign certificates";
    let error = verify(&[all[0].clone(), all[0].clone()], &roots(&first), LATER);
    assert_eq!(error, EkError::Certificate { index: 1, expected });
    let error = verify(&all[1..], &roots(&first), LATER);
    assert_eq!(error, EkError::Certificate { index: 0, expected: "no CA" });
    let error = EkRoots::default().with_root(&all[0], false).unwrap_err();
    assert_eq!(error, EkError::Certificate { index: 0, expected });
    for at in (4..all[0].len()).step_by(7) {
        let mut altered = all.clone();
        altered[0][at] ^= 1;
        assert!(roots(&first).verify(&altered, LATER).is_err(), "byte {at}");
    }

    let error = Enrolling::check(&first.ak, &second.ek, all, &roots(&first), LATER).unwrap_err();
    assert_eq!(error, EnrolError::Certificate(EkError::OtherKey));
    let error = Enrolling::check(&first.ak, &first.ak, all, &roots(&first), LATER).unwrap_err();
    assert!(matches!(error, EnrolError::Ek { .. }));
    let error = Enrolling::check(&first.ek, &first.ek, all, &roots(&first), LATER).unwrap_err();
    let attribute = TpmVerifyError::AkAttribute { attribute: "sign", expected: true };
    assert_eq!(error, EnrolError::Ak(attribute));
}

#[test]
fn a_credential_opens_in_the_tpm_of_both_keys_and_nowhere_else() {
    let mut vtpm = boot(&BootSpec::new("web"));
    let keys = |vtpm: &VTpm| {
        let public = |bytes: Vec<u8>| Public::parse(&bytes).unwrap();
        (public(vtpm.ak_public().unwrap()), public(vtpm.ek_public().unwrap()))
    };
    let (ak, ek) = keys(&vtpm);
    let enrolling = Enrolling::without_certificate(&ak, &ek).unwrap();
    let secret = [7; 32];
    let credential = enrolling.credential(&secret).unwrap();
    assert_eq!(vtpm.activate(&credential.blob, &credential.encrypted_seed), Some(secret.to_vec()));
    assert_ne!(enrolling.credential(&secret).unwrap(), credential, "each has a seed of its own");
    assert_eq!(enrolling.credential(&[0; 33]), Err(EnrolError::Secret { got: 33 }));

    for at in 0..credential.blob.len() {
        let mut altered = credential.clone();
        altered.blob[at] ^= 1;
        assert_eq!(vtpm.activate(&altered.blob, &altered.encrypted_seed), None, "byte {at}");
    }
    let other = boot(&BootSpec::new("web"));
    assert_eq!(other.activate(&credential.blob, &credential.encrypted_seed), None);
    // The same key with other attributes has another Name.
    vtpm.ak_spec = KeySpec { attributes: 0x0004_0072, ..KeySpec::attestation() };
    assert_eq!(vtpm.activate(&credential.blob, &credential.encrypted_seed), None);
    let unrestricted = Enrolling::without_certificate(&keys(&vtpm).0, &ek).unwrap_err();
    let attribute = TpmVerifyError::AkAttribute { attribute: "restricted", expected: true };
    assert_eq!(unrestricted, EnrolError::Ak(attribute));
}

const CURVES: [EcdhCurve; 2] = [EcdhCurve::P256, EcdhCurve::P384];

/// A vTPM with an endorsement key on a curve, and both public areas.
fn on_curve(curve: EcdhCurve) -> (VTpm, Public, Vec<u8>) {
    let vtpm = VTpm::with_keys(Arc::new(KeyPair::generate_on(curve).unwrap()));
    let ak = Public::parse(&vtpm.ak_public().unwrap()).unwrap();
    let ek = vtpm.ek_public().unwrap();
    (vtpm, ak, ek)
}

#[test]
fn a_credential_for_a_key_on_a_curve_opens_in_its_tpm_and_nowhere_else() {
    for curve in CURVES {
        let (vtpm, ak, ek) = on_curve(curve);
        let enrolling = Enrolling::without_certificate(&ak, &Public::parse(&ek).unwrap()).unwrap();
        assert_eq!(enrolling.ek_name().to_bytes(), simtee::vtpm::name(&ek));
        let qualified = simtee::vtpm::qualified_name(&ek, &vtpm.ak_public().unwrap());
        assert_eq!(enrolling.qualified_name().to_bytes(), qualified);
        let secret = [7; 32];
        let made = enrolling.credential(&secret).unwrap();
        assert_eq!(vtpm.activate(&made.blob, &made.encrypted_seed), Some(secret.to_vec()));
        let again = enrolling.credential(&secret).unwrap();
        assert_ne!(again.encrypted_seed, made.encrypted_seed, "each has a point of its own");
        assert_eq!(vtpm.activate(&made.blob, &again.encrypted_seed), None);
        for at in 0..made.blob.len() {
            let mut altered = made.clone();
            altered.blob[at] ^= 1;
            assert_eq!(vtpm.activate(&altered.blob, &altered.encrypted_seed), None, "{curve:?} byte {at}");
        }
        for at in 0..made.encrypted_seed.len() {
            let mut altered = made.clone();
            altered.encrypted_seed[at] ^= 1;
            assert_eq!(vtpm.activate(&altered.blob, &altered.encrypted_seed), None, "{curve:?} seed {at}");
        }
        let (other, ..) = on_curve(curve);
        assert_eq!(other.activate(&made.blob, &made.encrypted_seed), None);
        assert_eq!(enrolling.credential(&[0; 33]), Err(EnrolError::Secret { got: 33 }));
    }
}

/// Each public area differs in one thing from its template.
#[test]
fn keys_on_curves_are_of_their_templates_in_every_field() {
    let attributes = "the attributes of a restricted decryption key";
    for (curve, template, hash, cipher, point) in [
        (
            EcdhCurve::P256,
            "L-2",
            "sha256 as its name algorithm",
            "aes-128-cfb and no scheme",
            "a point on p-256",
        ),
        (
            EcdhCurve::P384,
            "H-3",
            "sha384 as its name algorithm",
            "aes-256-cfb and no scheme",
            "a point on p-384",
        ),
    ] {
        let (_, ak, ek) = on_curve(curve);
        let refusal = |alter: &dyn Fn(&mut Vec<u8>)| {
            let mut altered = ek.clone();
            alter(&mut altered);
            Enrolling::without_certificate(&ak, &Public::parse(&altered).unwrap()).unwrap_err()
        };
        let wrong = |expected| EnrolError::Ek { template, expected };
        // type 2, nameAlg 2, attributes 4, policy 2 and more, cipher 6, scheme 2, curve 2, kdf 2, x, y.
        let symmetric = 10 + usize::from(ek[9]);
        let x = symmetric + 12;
        let other_hash = if curve == EcdhCurve::P256 { 0x0c } else { 0x0b };
        assert_eq!(refusal(&|ek| ek[3] = other_hash), wrong(hash));
        for bit in [1, 4, 5, 16, 17, 18] {
            assert_eq!(refusal(&|ek| ek[7 - bit / 8] ^= 1 << (bit % 8)), wrong(attributes), "bit {bit}");
        }
        let policy = if curve == EcdhCurve::P256 { "PolicyA" } else { "PolicyB" };
        for at in 10..symmetric {
            assert_eq!(refusal(&|ek| ek[at] ^= 1), wrong(policy));
        }
        let other_bits = if curve == EcdhCurve::P256 { [1, 0] } else { [0, 128] };
        assert_eq!(
            refusal(&|ek| ek[symmetric + 2..symmetric + 4].copy_from_slice(&other_bits)),
            wrong(cipher)
        );
        let no_cipher = |ek: &mut Vec<u8>| drop(ek.splice(symmetric..symmetric + 6, [0, 0x10]));
        assert_eq!(refusal(&no_cipher), wrong(cipher));
        let signs = |ek: &mut Vec<u8>| drop(ek.splice(symmetric + 6..symmetric + 8, [0, 0x18, 0, 0x0b]));
        assert_eq!(refusal(&signs), wrong(cipher));
        // Neither coordinate fits the other any more; then x is longer than the field, and y is missing.
        for at in [x + 2, x + 20, ek.len() - 1] {
            assert_eq!(refusal(&|ek| ek[at] ^= 1), wrong(point), "byte {at}");
        }
        let longer = |ek: &mut Vec<u8>| {
            ek[x + 1] += 1;
            ek.insert(x + 2, 1);
        };
        if curve == EcdhCurve::P256 {
            assert_eq!(refusal(&longer), wrong(point));
        }
        let no_y = |ek: &mut Vec<u8>| {
            let y = x + 2 + curve.field_len();
            ek.truncate(y);
            ek.extend([0, 0]);
        };
        assert_eq!(refusal(&no_y), wrong(point));
        let error = wrong(point).to_string();
        assert!(
            error.starts_with(&format!("the endorsement key is not of the template {template}: ")),
            "{error}"
        );
    }
}

#[test]
fn an_rsa_key_has_the_length_and_exponent_of_its_template() {
    let vtpm = boot(&BootSpec::new("web"));
    let (ak, ek) = (Public::parse(&vtpm.ak_public().unwrap()).unwrap(), vtpm.ek_public().unwrap());
    let enrolled =
        |ek: &[u8]| Enrolling::without_certificate(&ak, &Public::parse(ek).unwrap()).map(|_| "enrolled");
    assert_eq!(enrolled(&ek), Ok("enrolled"));
    // keyBits at 50, exponent at 52, modulus behind its length at 56.
    let of = |bits: u16, exponent: u32, modulus: &[u8]| {
        let len = u16::try_from(modulus.len()).unwrap().to_be_bytes();
        [&ek[..50], &bits.to_be_bytes(), &exponent.to_be_bytes(), &len, modulus].concat()
    };
    assert_eq!(of(2048, 0, &ek[58..]), ek);
    let error = Err(EnrolError::Ek { template: "L-1", expected: "an rsa key of 2048 bits" });
    for wrong in [
        of(2048, 0, &[0xc1; 384]),
        of(3072, 0, &[0xc1; 384]),
        of(3072, 0, &ek[58..]),
        of(2048, 0, &[0xc1; 128]),
        of(2048, 3, &ek[58..]),
    ] {
        assert_eq!(enrolled(&wrong), error);
    }
}

#[test]
fn a_certificate_is_of_the_very_key_on_its_curve() {
    let host = crate::azure::host();
    let roots = EkRoots::default().with_root(host.ek_root_der(), true).unwrap();
    for curve in CURVES {
        let ((vtpm, ak, ek), (other, ..)) = (on_curve(curve), on_curve(curve));
        let ek = Public::parse(&ek).unwrap();
        let check = |of: &VTpm| Enrolling::check(&ak, &ek, &[host.certify_ek(of).unwrap()], &roots, LATER);
        assert!(check(&vtpm).unwrap().1.simulated());
        assert_eq!(check(&other).unwrap_err(), EnrolError::Certificate(EkError::OtherKey));
    }
}

/// The policy of the high range, which is told apart by its value.
#[test]
fn a_key_on_p256_of_the_high_range_is_of_template_h2() {
    let (vtpm, ak, mut ek) = on_curve(EcdhCurve::P256);
    ek[10..42].copy_from_slice(&hex_32("ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0"));
    let enrolling = Enrolling::without_certificate(&ak, &Public::parse(&ek).unwrap()).unwrap();
    let made = enrolling.credential(b"secret").unwrap();
    assert_eq!(vtpm.activate(&made.blob, &made.encrypted_seed), Some(b"secret".to_vec()));
    ek[3] = 0x0c;
    let error = Enrolling::without_certificate(&ak, &Public::parse(&ek).unwrap()).unwrap_err();
    assert_eq!(error, EnrolError::Ek { template: "H-2", expected: "sha256 as its name algorithm" });
}

fn hex_32(text: &str) -> [u8; 32] {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    std::array::from_fn(|at| digits(2 * at))
}

/// Certificates of [`p256-chain.pem`](p256-chain.pem), in its order.
fn p256() -> [Vec<u8>; 5] {
    certificates_from_file(include_bytes!("p256-chain.pem")).unwrap().try_into().unwrap()
}

#[test]
fn a_chain_on_p256_with_critical_policies_leads_to_its_root() {
    let [root, intermediate, _, leaf, _] = p256();
    let roots = EkRoots::default().with_root(&root, false).unwrap();
    let chain = [leaf, intermediate];
    assert!(!roots.verify(&chain, LATER).unwrap().simulated());
    for at in (4..chain[0].len()).step_by(3) {
        let mut altered = chain.clone();
        altered[0][at] ^= 1;
        assert!(roots.verify(&altered, LATER).is_err(), "byte {at}");
    }
}

#[test]
fn no_path_is_longer_than_its_issuers_allow() {
    let [root, intermediate, deep, _, leaf] = p256();
    let chain = [leaf, deep.clone(), intermediate.clone()];
    let expected = "at most as many issuers below it as its path length allows";
    // The intermediate allows none below it.
    let roots = EkRoots::default().with_root(&root, false).unwrap();
    assert_eq!(roots.verify(&chain, LATER).unwrap_err(), EkError::Certificate { index: 2, expected });
    // The same where the operator named the intermediate, which is then no part of the chain.
    let roots = EkRoots::default().with_root(&intermediate, false).unwrap();
    assert_eq!(roots.verify(&chain[..2], LATER).unwrap_err(), EkError::Certificate { index: 2, expected });
    let roots = EkRoots::default().with_root(&deep, false).unwrap();
    assert!(roots.verify(&chain[..1], LATER).is_ok());
}

#[test]
fn every_vendors_authority_can_be_a_root() {
    let folder = crate::folder::list("tpm/ek-ca-certs/keylime-store");
    let more = [
        "gcp_ek_ak_ca_intermediate_v3.crt",
        "gcp_ek_ak_ca_root.crt",
        "tpm_ek_intermediate_2.crt",
        "tpm_ek_intermediate_3.crt",
        "tpm_ek_root_1.cer",
    ];
    let files = folder.into_iter().chain(more.map(|name| format!("tpm/ek-ca-certs/{name}")));
    let found: Vec<_> = files.filter_map(|name| Some((read(&name)?, name))).collect();
    for (bytes, name) in &found {
        for der in certificates_from_file(bytes).unwrap() {
            let added = EkRoots::default().with_root(&der, false);
            assert!(added.is_ok(), "{name}: {}", added.unwrap_err());
        }
    }
    assert!(found.is_empty() || found.len() == 56, "{}", found.len());
}
