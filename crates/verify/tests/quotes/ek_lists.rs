//! Revocation lists of those who certify endorsement keys: a chain of an intermediate under a root, both on RSA.

use std::sync::{Arc, LazyLock};

use claims::UnixTime;
use crypto::{RsaPrivateKey, RsaScheme};
use simtee::crl::Revoked;
use simtee::{CertificateSpec, CrlSpec, Extension, Name, SignatureAlgorithm, authority};
use verify::tpm::ek::{EkError, EkRoots};
use verify::tpm::{EkLists, EkListsError};
use verify::{CrlError, CrlPolicy, RevocationError};

use crate::azure::host;
use crate::ek::signed_by;
use crate::simulated::booted;
use crate::table::NOW;

const DAY: u64 = 86_400;
const MONTH: CrlPolicy = CrlPolicy::Required { max_age_s: 30 * DAY };
const SCHEME: RsaScheme = RsaScheme::Pkcs1Sha384;
/// Serial numbers of the endorsement key's certificate and of the intermediate's.
const SERIALS: [u64; 2] = [0x1234, 0x55];

struct Authorities {
    root: RsaPrivateKey,
    intermediate: RsaPrivateKey,
    root_der: Vec<u8>,
    /// The endorsement key's certificate, and the intermediate's.
    chain: [Vec<u8>; 2],
}

fn name(common_name: &str) -> Name {
    Name { common_name: common_name.to_owned(), ..host().ek_spec(booted()).unwrap().issuer }
}

/// A certificate that `signer` of this name signs.
fn issued(
    signer: (&str, &RsaPrivateKey),
    subject: Option<(&str, &RsaPrivateKey, Extension)>,
    serial: u64,
) -> Vec<u8> {
    let mut spec = host().ek_spec(booted()).unwrap();
    let algorithm = SignatureAlgorithm::Pkcs1Sha384;
    (spec.inner_algorithm, spec.outer_algorithm, spec.serial) = (algorithm, algorithm, serial);
    spec.issuer = name(signer.0);
    if let Some((subject, key, usage)) = subject {
        (spec.subject, spec.spki) = (name(subject), key.public().spki().to_vec());
        spec.extensions = vec![authority::basic_constraints(true, None), usage];
    }
    signed_by(signer.1, SCHEME, &host().sign(&CertificateSpec { ..spec }).unwrap())
}

fn authorities(crl_sign: bool) -> Authorities {
    let [root, intermediate] = [2048; 2].map(|bits| RsaPrivateKey::generate(bits).unwrap());
    let usage = || authority::key_usage(crl_sign);
    let root_der = issued(("root", &root), Some(("root", &root, usage())), 1);
    let below = Some(("intermediate", &intermediate, usage()));
    let chain = [
        issued(("intermediate", &intermediate), None, SERIALS[0]),
        issued(("root", &root), below, SERIALS[1]),
    ];
    Authorities { root, intermediate, root_der, chain }
}

static USUAL: LazyLock<Authorities> = LazyLock::new(|| authorities(true));

/// A list of `issuer`'s of this time, for 60 days, with these numbers on it.
fn list(issuer: &str, key: &RsaPrivateKey, this_update: UnixTime, serials: &[u64]) -> Vec<u8> {
    let mut spec = host().crl_spec(this_update);
    let algorithm = SignatureAlgorithm::Pkcs1Sha384;
    (spec.inner_algorithm, spec.outer_algorithm) = (algorithm, algorithm);
    (spec.issuer, spec.next_update) = (name(issuer), Some(this_update.plus(60 * DAY)));
    spec.revoked = serials.iter().map(|serial| Revoked::new(*serial, this_update)).collect();
    // So long that lengths take two bytes, as `signed_by` has it.
    spec.extensions.push(Extension {
        oid: &[1, 3, 6, 1, 4, 1, 3704, 1, 99],
        critical: false,
        value: vec![0; 300],
    });
    signed_by(key, SCHEME, &host().sign_crl(&CrlSpec { ..spec }).unwrap())
}

fn verdict(of: &Authorities, lists: &[Vec<u8>], policy: CrlPolicy) -> Result<(), EkError> {
    let lists = Arc::new(EkLists::parse(lists, policy).unwrap());
    let roots = EkRoots::default().with_listed_root(&of.root_der, false, lists).unwrap();
    roots.verify(&of.chain, NOW).map(drop)
}

fn ago(days: u64) -> UnixTime {
    UnixTime(NOW.0 - days * DAY)
}

#[test]
fn what_its_issuer_lists_is_revoked_however_old_the_list() {
    let of = &*USUAL;
    assert_eq!(verdict(of, &[], CrlPolicy::Optional), Ok(()));
    for (listed, policy) in [(ago(1), MONTH), (ago(1), CrlPolicy::Optional), (ago(500), CrlPolicy::Optional)]
    {
        let serials = [[7, SERIALS[0]], [7, SERIALS[1]]];
        let revoked = |index: usize, issuer: &str, serial: &[u8]| {
            let (serial, issuer) = (serial.to_vec(), issuer.to_owned());
            Err(EkError::Revoked { index, serial, since: listed, issuer, listed })
        };
        let (fresh, clean) =
            (list("root", &of.root, ago(1), &[]), list("intermediate", &of.intermediate, ago(1), &[]));
        let leaf = list("intermediate", &of.intermediate, listed, &serials[0]);
        assert_eq!(verdict(of, &[leaf, fresh], policy), revoked(0, "intermediate", &[0x12, 0x34]));
        let above = list("root", &of.root, listed, &serials[1]);
        assert_eq!(verdict(of, &[clean, above], policy), revoked(1, "root", &[0x55]));
    }
    // Each lists its own: these numbers mean other certificates.
    let (root, intermediate) = (
        list("root", &of.root, ago(1), &SERIALS[..1]),
        list("intermediate", &of.intermediate, ago(1), &SERIALS[1..]),
    );
    assert_eq!(verdict(of, &[root, intermediate], MONTH), Ok(()));
}

#[test]
fn every_issuer_has_a_list_where_lists_are_demanded() {
    let of = &*USUAL;
    let root = |at| list("root", &of.root, at, &[]);
    let below = |at| list("intermediate", &of.intermediate, at, &[]);
    let (of_root, issuer) = ("root".to_owned(), "intermediate".to_owned());
    let refused = |lists: &[Vec<u8>]| match verdict(of, lists, MONTH).unwrap_err() {
        EkError::Lists { index, source } => (index, source),
        other => panic!("{other}"),
    };
    assert_eq!(verdict(of, &[root(ago(30)), below(ago(30))], MONTH), Ok(()));
    assert_eq!(
        verdict(of, &[below(ago(100)), root(ago(30)), below(ago(1))], MONTH),
        Ok(()),
        "one that will do"
    );
    assert_eq!(refused(&[root(ago(1))]), (0, RevocationError::Missing { issuer: issuer.clone() }));
    assert_eq!(refused(&[below(ago(1))]), (1, RevocationError::Missing { issuer: of_root }));
    let (this_update, now) = (ago(31), NOW);
    let stale = RevocationError::Stale { issuer: issuer.clone(), this_update, max_age_s: 30 * DAY, now };
    assert_eq!(refused(&[root(ago(1)), below(this_update)]), (0, stale));
    let next_update = ago(1);
    let expired = RevocationError::Expired { issuer: issuer.clone(), next_update, now };
    assert_eq!(refused(&[root(ago(1)), below(ago(61))]), (0, expired));
    let this_update = NOW.plus(1);
    let early = RevocationError::NotYetValid { issuer: issuer.clone(), this_update, now };
    assert_eq!(refused(&[root(ago(1)), below(this_update)]), (0, early));
    let forged = list("intermediate", &of.root, ago(1), &[]);
    assert_eq!(refused(&[root(ago(1)), forged]), (0, RevocationError::Signature { issuer }));
}

#[test]
fn a_list_counts_that_its_issuer_signed_and_nobody_elses() {
    let of = &*USUAL;
    let forged = list("intermediate", &of.root, ago(1), &SERIALS);
    assert_eq!(verdict(of, &[forged], CrlPolicy::Optional), Ok(()));
    // An issuer whose key is for certificates alone: its word against a certificate counts, and its word for one does not.
    let of = &authorities(false);
    let issuer = "intermediate".to_owned();
    let (root, below) =
        (list("root", &of.root, ago(1), &[]), list("intermediate", &of.intermediate, ago(1), &[]));
    let source = RevocationError::NotCrlSigner { issuer };
    assert_eq!(verdict(of, &[root, below], MONTH), Err(EkError::Lists { index: 0, source }));
    let against = list("intermediate", &of.intermediate, ago(1), &SERIALS[..1]);
    assert!(matches!(verdict(of, &[against], CrlPolicy::Optional), Err(EkError::Revoked { index: 0, .. })));
}

#[test]
fn a_root_on_p384_signs_lists_too() {
    let mut spec = host().crl_spec(ago(1));
    let algorithm = SignatureAlgorithm::EcdsaSha384;
    (spec.inner_algorithm, spec.outer_algorithm) = (algorithm, algorithm);
    let ek = host().ek_spec(booted()).unwrap();
    (spec.issuer, spec.signer) = (ek.issuer.clone(), ek.signer);
    let verdict = |revoked: &[u64]| {
        let revoked = revoked.iter().map(|serial| Revoked::new(*serial, ago(1))).collect();
        let der = host().sign_crl(&CrlSpec { revoked, ..spec.clone() }).unwrap();
        let lists = Arc::new(EkLists::parse(&[der], MONTH).unwrap());
        let roots = EkRoots::default().with_listed_root(host().ek_root_der(), true, lists).unwrap();
        roots.verify(&[host().sign(&ek).unwrap()], NOW).map(drop)
    };
    assert_eq!(verdict(&[ek.serial + 1]), Ok(()));
    assert!(matches!(verdict(&[ek.serial]), Err(EkError::Revoked { index: 0, .. })));
}

#[test]
fn lists_are_read_within_bounds_and_of_known_algorithms() {
    let refused = |lists: &[Vec<u8>]| EkLists::parse(lists, CrlPolicy::Optional).unwrap_err();
    let good = list("root", &USUAL.root, ago(1), &[]);
    assert!(EkLists::parse(&vec![good.clone(); 32], CrlPolicy::Optional).is_ok());
    assert_eq!(refused(&vec![good.clone(); 33]), EkListsError::TooMany { limit: 32, got: 33 });
    let (limit, got) = (128 * 1024, 128 * 1024 + 1);
    let source = CrlError::TooLarge { limit, got };
    assert_eq!(refused(&[good, vec![0x30; got]]), EkListsError::List { index: 1, source });
    let pss = host().sign_crl(&host().crl_spec(ago(1))).unwrap();
    let EkListsError::List { source: CrlError::SignatureAlgorithm { expected, got, .. }, .. } =
        refused(&[pss])
    else {
        panic!("taken, or refused for another reason");
    };
    let known = "rsa pkcs #1 1.5 or ecdsa, with sha-256 or sha-384";
    assert_eq!((expected, got.as_str()), (known, "1.2.840.113549.1.1.10"));
}
