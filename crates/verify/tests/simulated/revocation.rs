//! Check 13: revocation lists, altered and signed again.

use claims::snp::Product;
use claims::{ReportData, UnixTime};
use evidence::Evidence;
use simtee::{
    CrlSpec, Extension, GuestSpec, Name, Revoked, SignatureAlgorithm, Signer, SimHost, authority, crl,
};
use verify::{
    Authenticated, CrlError, CrlPolicy, Endorsements, EndorsementsError, RevocationError, Role, TrustAnchors,
    VerifyError, authenticate,
};

use crate::machine::{CREATED, NOW, host, launch, launch_at_provider, trust};

const WEEK: u64 = 7 * 86_400;
const REQUIRED: CrlPolicy = CrlPolicy::Required { max_age_s: WEEK };

/// Authenticates a guest of the host under these lists.
fn check(
    host: &SimHost,
    lists: &[Vec<u8>],
    anchors: &TrustAnchors,
    now: UnixTime,
) -> Result<Authenticated, VerifyError> {
    check_bytes(&launch(host).attest(&ReportData([7; 64])).unwrap(), lists, anchors, now)
}

fn check_bytes(
    bytes: &[u8],
    lists: &[Vec<u8>],
    anchors: &TrustAnchors,
    now: UnixTime,
) -> Result<Authenticated, VerifyError> {
    let evidence = Evidence::parse(claims::EvidenceKind::SevSnp, bytes).unwrap();
    let endorsements = Endorsements::from_evidence(&evidence).with_crls(lists.iter().cloned()).unwrap();
    authenticate(evidence, &endorsements, anchors, now)
}

fn list(host: &SimHost, alter: impl FnOnce(&mut CrlSpec)) -> Vec<u8> {
    let mut spec = host.crl_spec(CREATED);
    alter(&mut spec);
    host.sign_crl(&spec).unwrap()
}

/// Why a list is refused where one is required.
fn refusal(alter: impl FnOnce(&mut CrlSpec)) -> RevocationError {
    let host = host(Product::Genoa);
    let list = list(&host, alter);
    match check(&host, &[list], &trust(&host).with_crl_policy(REQUIRED), NOW).unwrap_err() {
        VerifyError::Revocation(error) => error,
        other => panic!("not refused for its list: {other:?}"),
    }
}

fn issuer() -> String {
    "ARK-Genoa".to_owned()
}

#[test]
fn the_list_that_was_checked_is_a_claim_and_so_is_its_absence() {
    let host = host(Product::Genoa);
    let anchors = trust(&host);
    assert_eq!(check(&host, &[], &anchors, NOW).unwrap().snp().unwrap().crl_issued, None);
    let old = list(&host, |_| ());
    let new = list(&host, |list| list.this_update = NOW);
    for lists in [[old.clone(), new.clone()], [new, old]] {
        for anchors in [trust(&host), trust(&host).with_crl_policy(REQUIRED)] {
            assert_eq!(check(&host, &lists, &anchors, NOW).unwrap().snp().unwrap().crl_issued, Some(NOW));
        }
    }
}

#[test]
fn where_a_list_is_required_none_is_a_refusal() {
    let ours = host(Product::Genoa);
    let anchors = trust(&ours).with_crl_policy(REQUIRED);
    let missing = || RevocationError::Missing { issuer: issuer() };
    assert_eq!(check(&ours, &[], &anchors, NOW).unwrap_err(), missing().into());
    let of_another_product = list(&host(Product::Milan), |_| ());
    assert_eq!(check(&ours, &[of_another_product], &anchors, NOW).unwrap_err(), missing().into());
}

#[test]
fn a_list_of_another_roots_key_counts_for_nothing() {
    let signature = || RevocationError::Signature { issuer: issuer() };
    for signer in [Signer::Ask, Signer::Asvk] {
        assert_eq!(refusal(|list| list.signer = signer), signature());
    }
    // Not against a certificate either: whoever can bring a list could shut guests out.
    let host = host(Product::Genoa);
    let forged = list(&host, |list| {
        (list.signer, list.revoked) = (Signer::Ask, vec![Revoked::new(0x20001, CREATED)]);
    });
    let authenticated = check(&host, &[forged], &trust(&host), NOW).unwrap();
    assert_eq!(authenticated.snp().unwrap().crl_issued, None);
}

#[test]
fn of_two_roots_of_one_name_each_has_its_own_list() {
    let ours = host(Product::Genoa);
    let anchors = TrustAnchors::amd()
        .with_simulated(ours.ark_der(), ours.ark_sha256())
        .unwrap()
        .with_crl_policy(REQUIRED);
    assert!(check(&ours, &[list(&ours, |_| ())], &anchors, NOW).is_ok());
    let keys = std::sync::Arc::new(simtee::kept_keys!("of-others").unwrap());
    let other = SimHost::with_keys(keys, Product::Genoa, CREATED).unwrap();
    let error = check(&ours, &[list(&other, |_| ())], &anchors, NOW).unwrap_err();
    assert_eq!(error, RevocationError::Signature { issuer: issuer() }.into());
    let both = [list(&other, |_| ()), list(&ours, |_| ())];
    assert!(check(&ours, &both, &anchors, NOW).is_ok());
}

#[test]
fn a_list_counts_within_its_window_and_while_it_is_young_enough() {
    let issuer = issuer();
    let this_update = NOW.plus(1);
    let error = refusal(|list| list.this_update = this_update);
    assert_eq!(error, RevocationError::NotYetValid { issuer: issuer.clone(), this_update, now: NOW });
    let next_update = UnixTime(NOW.0 - 1);
    let error = refusal(|list| list.next_update = Some(next_update));
    assert_eq!(error, RevocationError::Expired { issuer: issuer.clone(), next_update, now: NOW });
    let host = host(Product::Genoa);
    let at = |now| check(&host, &[list(&host, |_| ())], &trust(&host).with_crl_policy(REQUIRED), now);
    assert!(at(CREATED.plus(WEEK)).is_ok());
    let now = CREATED.plus(WEEK + 1);
    let (this_update, max_age_s) = (CREATED, WEEK);
    assert_eq!(at(now).unwrap_err(), RevocationError::Stale { issuer, this_update, max_age_s, now }.into());
    let optional = check(&host, &[list(&host, |_| ())], &trust(&host), now).unwrap();
    assert_eq!(optional.snp().unwrap().crl_issued, Some(CREATED));
    let expired = list(&host, |list| list.next_update = Some(next_update));
    assert_eq!(check(&host, &[expired], &trust(&host), NOW).unwrap().snp().unwrap().crl_issued, None);
}

#[test]
fn evidence_does_not_outlive_a_list_that_is_required() {
    let host = host(Product::Genoa);
    let lists = [list(&host, |_| ())];
    let end = CREATED.plus(7 * WEEK);
    let required = trust(&host).with_crl_policy(REQUIRED);
    assert_eq!(check(&host, &lists, &required, NOW).unwrap().not_after(), end);
    assert!(check(&host, &lists, &trust(&host), NOW).unwrap().not_after() > end);
}

#[test]
fn of_two_lists_of_one_time_the_one_that_ends_later_counts() {
    let host = host(Product::Genoa);
    let (short, long) = (NOW.plus(WEEK), NOW.plus(2 * WEEK));
    let until = |end| list(&host, |list| list.next_update = Some(end));
    for ends in [[short, long], [long, short]] {
        let anchors = trust(&host).with_crl_policy(REQUIRED);
        let authenticated = check(&host, &ends.map(until), &anchors, NOW).unwrap();
        assert_eq!(authenticated.not_after(), long);
    }
}

#[test]
fn whatever_of_the_chain_is_listed_is_refused() {
    let ours = host(Product::Genoa);
    for (serial, certificate) in [(0x20000, Role::Ark), (0x20001, Role::Ask), (0, Role::Vcek)] {
        let revoked = vec![Revoked::new(0x77, CREATED), Revoked::new(serial, NOW)];
        let error = refusal(|list| list.revoked = revoked.clone());
        let RevocationError::Revoked { certificate: got, serial: bytes, since, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!((got, since), (certificate, NOW));
        assert_eq!(bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)), serial);
        // An expired list, and one that nobody asked for, count against a certificate too.
        let expired = list(&ours, |list| {
            (list.revoked, list.next_update) = (revoked, Some(UnixTime(NOW.0 - 1)));
        });
        let error = check(&ours, &[list(&ours, |_| ()), expired], &trust(&ours), NOW).unwrap_err();
        assert!(matches!(error, VerifyError::Revocation(RevocationError::Revoked { .. })), "{error:?}");
    }
}

#[test]
fn a_revoked_asvk_takes_vleks_along_and_no_vcek() {
    let host = host(Product::Genoa);
    let lists = [list(&host, |list| list.revoked = vec![Revoked::new(0x20101, CREATED)])];
    let bytes = launch_at_provider(&host).attest(&ReportData([7; 64])).unwrap();
    let error = check_bytes(&bytes, &lists, &trust(&host), NOW).unwrap_err();
    let (certificate, serial) = (Role::Asvk, vec![2, 1, 1]);
    let (since, listed) = (CREATED, CREATED);
    let expected = RevocationError::Revoked { certificate, serial, since, issuer: issuer(), listed };
    assert_eq!(error, expected.into());
    assert!(check(&host, &lists, &trust(&host), NOW).is_ok());
}

#[test]
fn a_chain_that_was_verified_before_is_checked_against_new_lists() {
    let host = host(Product::Genoa);
    let anchors = trust(&host);
    let bytes = launch(&host).attest(&ReportData([7; 64])).unwrap();
    assert!(check_bytes(&bytes, &[], &anchors, NOW).is_ok());
    let lists = [list(&host, |list| list.revoked = vec![Revoked::new(0x20001, CREATED)])];
    let error = check_bytes(&bytes, &lists, &anchors, NOW).unwrap_err();
    assert!(matches!(error, VerifyError::Revocation(RevocationError::Revoked { .. })), "{error:?}");
}

#[test]
fn a_root_that_may_not_sign_lists_signs_none() {
    let host = host(Product::Genoa);
    let mut spec = host.chain_spec(GuestSpec::default_tcb(Product::Genoa)).unwrap();
    *spec.ark.extension_mut(authority::KEY_USAGE).unwrap() = authority::key_usage(false).value;
    let chain = host.issue(&spec).unwrap();
    let sha256 = claims::Sha256Digest(crypto::sha256(&[&chain.ark]));
    let anchors = TrustAnchors::none().with_simulated(&chain.ark, sha256).unwrap().with_crl_policy(REQUIRED);
    let bytes = launch(&host).with_chain(chain).attest(&ReportData([7; 64])).unwrap();
    let error = check_bytes(&bytes, &[list(&host, |_| ())], &anchors, NOW).unwrap_err();
    assert_eq!(error, RevocationError::NotCrlSigner { issuer: issuer() }.into());
}

#[test]
fn a_list_in_the_evidence_is_not_looked_at() {
    let host = host(Product::Genoa);
    let guest = launch(&host);
    let mut table = guest.chain().table();
    let crl = evidence::snp::Guid::CRL.0;
    table.entries.push((crl, list(&host, |_| ())));
    let report = guest.sign(guest.report(&ReportData([7; 64]))).unwrap();
    let bytes = [&report[..], &table.encode()].concat();
    let error = check_bytes(&bytes, &[], &trust(&host).with_crl_policy(REQUIRED), NOW).unwrap_err();
    assert_eq!(error, RevocationError::Missing { issuer: issuer() }.into());
}

#[test]
fn lists_of_a_form_that_is_not_understood_are_refused_when_they_are_given() {
    let host = host(Product::Genoa);
    let refused = |alter: fn(&mut CrlSpec)| match Endorsements::default()
        .with_crls([list(&host, alter)])
        .unwrap_err()
    {
        EndorsementsError::Crl { index: 0, source } => source,
        other => panic!("{other:?}"),
    };
    let issuer = issuer;
    assert_eq!(refused(|list| list.next_update = None), CrlError::NoNextUpdate { issuer: issuer() });
    assert_eq!(refused(|list| list.version = 2), CrlError::Version { issuer: issuer() });
    let got = || "1.2.840.113549.1.1.12".to_owned();
    let error = refused(|list| {
        (list.inner_algorithm, list.outer_algorithm) =
            (SignatureAlgorithm::Pkcs1Sha384, SignatureAlgorithm::Pkcs1Sha384);
    });
    assert_eq!(error, CrlError::SignatureAlgorithm { issuer: issuer(), expected: PSS, got: got() });
    let error = refused(|list| list.inner_algorithm = SignatureAlgorithm::PssSha384);
    let got = "1.2.840.113549.1.1.10 with other parameters".to_owned();
    assert_eq!(error, CrlError::SignatureAlgorithm { issuer: issuer(), expected: PSS, got });
    let error = refused(|list| list.extensions.push(crl::number(2)));
    assert_eq!(error, CrlError::RepeatedExtension { issuer: issuer(), oid: "2.5.29.20".into() });
    let error = refused(|list| {
        let (oid, value) = (crl::ISSUING_DISTRIBUTION_POINT, vec![0x30, 0]);
        list.extensions.push(Extension { oid, critical: true, value });
    });
    assert_eq!(error, CrlError::CriticalExtension { issuer: issuer(), oid: "2.5.29.28".into() });
    let error = refused(|list| {
        let (oid, value) = (crl::CERTIFICATE_ISSUER, vec![0x30, 0]);
        let extensions = vec![Extension { oid, critical: true, value }];
        list.revoked = vec![Revoked { extensions, ..Revoked::new(1, CREATED) }];
    });
    assert_eq!(error, CrlError::CriticalExtension { issuer: issuer(), oid: "2.5.29.29".into() });
}

#[test]
fn bytes_that_are_no_list_are_refused_when_they_are_given() {
    let given = |der: Vec<u8>| Endorsements::default().with_crls([der]).unwrap_err();
    let (limit, got) = (64 * 1024, 64 * 1024 + 1);
    let source = CrlError::TooLarge { limit, got };
    assert_eq!(given(vec![0x30; got]), EndorsementsError::Crl { index: 0, source });
    let whole = list(&host(Product::Genoa), |list| list.issuer = Name::amd("ARK-Genoa"));
    for cut in 0..whole.len() {
        let error = given(whole[..cut].to_vec());
        let EndorsementsError::Crl { source: CrlError::Malformed { .. }, .. } = error else {
            panic!("{error}")
        };
    }
    assert!(matches!(
        given([&whole[..], &[0]].concat()),
        EndorsementsError::Crl { source: CrlError::Malformed { .. }, .. }
    ));
    let many: Vec<Vec<u8>> =
        (0..17).map(|n| list(&host(Product::Genoa), |list| list.this_update = NOW.plus(n))).collect();
    let error = Endorsements::default().with_crls(many).unwrap_err();
    assert_eq!(error, EndorsementsError::TooManyCrls { limit: 16 });
}

#[test]
fn no_altered_byte_of_a_list_leaves_it_valid() {
    let host = host(Product::Genoa);
    let whole = list(&host, |list| list.revoked = vec![Revoked::new(5, CREATED)]);
    let anchors = trust(&host).with_crl_policy(REQUIRED);
    let evidence = || {
        let bytes = launch(&host).attest(&ReportData([7; 64])).unwrap();
        Evidence::parse(claims::EvidenceKind::SevSnp, &bytes).unwrap()
    };
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        let given = Endorsements::from_evidence(&evidence()).with_crls([altered]);
        let believed = given.is_ok_and(|given| authenticate(evidence(), &given, &anchors, NOW).is_ok());
        assert!(!believed, "byte {at}");
    }
}

/// A genuine list has the serial number of this host's ASK on it, and says nothing about it.
#[test]
fn amds_list_does_not_reach_a_simulated_root_of_the_same_name() {
    let beside = || std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors"));
    let root = std::env::var_os("KEYFAST_VECTORS").map_or_else(beside, Into::into);
    let Ok(genuine) = std::fs::read(root.join("snp/crl/genoa-2024.crl.der")) else {
        return eprintln!("1 vector missing: no {}", root.display());
    };
    let at = |text| UnixTime::parse(text).unwrap();
    let host = SimHost::with_keys(crate::machine::keys(), Product::Genoa, at("2025-01-01")).unwrap();
    let now = at("2025-02-01");
    let anchors = || TrustAnchors::amd().with_simulated(host.ark_der(), host.ark_sha256()).unwrap();
    let genuine = [genuine];
    let authenticated = check(&host, &genuine, &anchors(), now).unwrap();
    assert_eq!(authenticated.snp().unwrap().crl_issued, None);
    let required = anchors().with_crl_policy(CrlPolicy::Required { max_age_s: 366 * 86_400 });
    let error = check(&host, &genuine, &required, now).unwrap_err();
    assert_eq!(error, RevocationError::Signature { issuer: issuer() }.into());
    let since = at("2025-01-10");
    let mut spec = host.crl_spec(at("2025-01-15"));
    spec.revoked = vec![Revoked::new(0x20001, since)];
    let [genuine] = genuine;
    let error = check(&host, &[genuine, host.sign_crl(&spec).unwrap()], &required, now).unwrap_err();
    let (certificate, serial) = (Role::Ask, vec![2, 0, 1]);
    let listed = at("2025-01-15");
    assert_eq!(
        error,
        RevocationError::Revoked { certificate, serial, since, issuer: issuer(), listed }.into()
    );
}

const PSS: &str = "RSASSA-PSS with SHA-384, MGF1-SHA-384 and a 48-byte salt";
