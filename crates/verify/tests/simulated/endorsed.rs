//! Certificates by themselves, and the checks that need none.

use claims::snp::{Product, SigningKey};
use claims::{EvidenceKind, ReportData, TranscriptHash, UnixTime};
use evidence::Evidence;
use simtee::{Chain, CrlSpec, GuestSpec, Signer, field};
use verify::{
    BindError, ChainError, CrlPolicy, EndorsedKey, Endorsements, ListError, NoEnrolledKeys, RevocationError,
    Role, TrustAnchors, VerifyError, answers, endorsed_issuer, endorsed_key, endorsed_root, is_leaf,
    precheck, signed_list,
};

use crate::machine::{CREATED, NOW, VCEK_LIFE, altered_report, host, launch, trust};

fn key(chain: &[&Vec<u8>], anchors: &TrustAnchors) -> Result<EndorsedKey, VerifyError> {
    let endorsements = Endorsements::from_certificates(chain.iter().map(|der| (*der).clone())).unwrap();
    endorsed_key(&endorsements, anchors, NOW)
}

#[test]
fn a_chain_says_whose_key_it_vouches_for() {
    for (product, len) in [(Product::Milan, 64), (Product::Genoa, 64), (Product::Turin, 8)] {
        let host = host(product);
        let Chain { ark, ask, vek: vcek, .. } = launch(&host).chain().clone();
        let expected = EndorsedKey {
            product,
            simulated: true,
            kind: SigningKey::Vcek,
            hwid: host.chip_id().0[..len].to_vec(),
            csp_id: None,
            tcb: GuestSpec::default_tcb(product).to_report_bytes(),
            not_before: CREATED,
            not_after: CREATED.plus(VCEK_LIFE),
        };
        assert_eq!(key(&[&vcek, &ask], &trust(&host)), Ok(expected.clone()));
        assert_eq!(key(&[&ark, &ask, &vcek], &trust(&host)), Ok(expected));
        assert_eq!([is_leaf(&vcek), is_leaf(&ask), is_leaf(&ark)], [Ok(true), Ok(false), Ok(false)]);
    }
}

#[test]
fn certificates_without_a_chain_vouch_for_nothing() {
    let host = host(Product::Genoa);
    let Chain { ark, ask, vek: vcek, .. } = launch(&host).chain().clone();
    let anchors = trust(&host);
    assert_eq!(key(&[&ask, &ark], &anchors), Err(ChainError::NoLeaf { got: 2 }.into()));
    let issuer = "SEV-Genoa".to_owned();
    assert_eq!(
        key(&[&vcek, &ark], &anchors),
        Err(ChainError::NoIntermediate { certificate: Role::Vcek, issuer }.into())
    );
    let foreign = ChainError::Signature { certificate: Role::Ask, issuer: "ARK-Genoa".into() };
    assert_eq!(key(&[&vcek, &ask], &TrustAnchors::amd()), Err(foreign.into()));
    // Verified before, without its issuer now; and expired since.
    assert!(key(&[&vcek, &ask], &anchors).is_ok());
    let issuer = "SEV-Genoa".to_owned();
    assert_eq!(
        key(&[&vcek, &ark], &anchors),
        Err(ChainError::NoIntermediate { certificate: Role::Vcek, issuer }.into())
    );
    let (not_after, now) = (CREATED.plus(VCEK_LIFE), CREATED.plus(VCEK_LIFE + 1));
    let endorsements = Endorsements::from_certificates([vcek, ask]).unwrap();
    let expired = ChainError::Expired { certificate: Role::Vcek, not_after, now };
    assert_eq!(endorsed_key(&endorsements, &anchors, now), Err(expired.into()));
}

#[test]
fn a_report_says_which_key_it_needs() {
    for product in [Product::Milan, Product::Genoa, Product::Turin] {
        let host = host(product);
        let bytes = launch(&host).attest(&ReportData([7; 64])).unwrap();
        let needed =
            precheck(&Evidence::parse(EvidenceKind::SevSnp, &bytes).unwrap(), &NoEnrolledKeys, NOW).unwrap();
        assert_eq!((needed.kind, needed.products), (SigningKey::Vcek, vec![product]));
        assert_eq!(needed.chip_id, host.chip_id());
        assert_eq!(needed.reported_tcb, GuestSpec::default_tcb(product).to_report_bytes());
    }
    let old = altered_report(&host(Product::Milan), |report| {
        report.put(field::VERSION, 2_u32.to_le_bytes()).put(field::CPUID, [0; 3]);
        report.put(field::LAUNCH_MIT_VECTOR, [0; 8]).put(field::CURRENT_MIT_VECTOR, [0; 8]);
    });
    let needed =
        precheck(&Evidence::parse(EvidenceKind::SevSnp, &old).unwrap(), &NoEnrolledKeys, NOW).unwrap();
    assert_eq!(needed.products, [Product::Milan, Product::Genoa]);
}

#[test]
fn a_report_answers_the_transcript_whose_hash_it_carries() {
    let bytes = launch(&host(Product::Genoa)).attest(&ReportData([7; 64])).unwrap();
    let evidence = Evidence::parse(EvidenceKind::SevSnp, &bytes).unwrap();
    assert_eq!(answers(&evidence, TranscriptHash([7; 64])), Ok(()));
    let (expected, got) = (Box::new(TranscriptHash([8; 64])), Box::new(ReportData([7; 64])));
    let error = BindError::ReportData { expected, got };
    assert_eq!(answers(&evidence, TranscriptHash([8; 64])), Err(error.into()));
}

#[test]
fn a_report_that_no_certificate_can_save_needs_no_key() {
    let refused = |alter: fn(&mut simtee::ReportBuilder)| {
        let bytes = altered_report(&host(Product::Genoa), alter);
        precheck(&Evidence::parse(EvidenceKind::SevSnp, &bytes).unwrap(), &NoEnrolledKeys, NOW).unwrap_err()
    };
    assert_eq!(refused(|r| _ = r.put(field::VMPL, u32::MAX.to_le_bytes())), VerifyError::HostRequested);
    assert_eq!(refused(|r| _ = r.put(field::VMPL, 4_u32.to_le_bytes())), VerifyError::Vmpl { got: 4 });
    assert_eq!(refused(|r| _ = r.put(field::KEY_INFO, 2_u32.to_le_bytes())), VerifyError::ChipKeyMasked);
    assert_eq!(refused(|r| _ = r.put(field::KEY_INFO, (7_u32 << 2).to_le_bytes())), VerifyError::NotSigned);
    assert_eq!(refused(|r| _ = r.put(field::CHIP_ID, [0; 64])), VerifyError::ChipIdMasked);
    let unknown = VerifyError::UnknownCpu { family: 0x17, model: 1 };
    assert_eq!(refused(|r| _ = r.put(field::CPUID, [0x17, 1, 0])), unknown);
    // Known by its name, so that nobody looks for a certificate or takes it for a mistake.
    let venice = VerifyError::UnsupportedProduct { name: "Venice", family: 0x1a, model: 0x50 };
    assert_eq!(refused(|r| _ = r.put(field::CPUID, [0x1a, 0x50, 0])), venice);
}

#[test]
fn an_intermediate_is_one_of_its_product_and_kind_under_a_trusted_root() {
    let host = host(Product::Genoa);
    let anchors = trust(&host);
    let issuer = |ders: &[&[u8]], kind, product, anchors: &TrustAnchors, now| {
        let all = Endorsements::from_certificates(ders.iter().map(|der| der.to_vec())).unwrap();
        endorsed_issuer(&all, (kind, product), anchors, now)
    };
    let (genoa, vlek) = (Product::Genoa, SigningKey::Vlek);
    let all = [host.ark_der(), host.ask_der(), host.asvk_der()];
    for kind in [SigningKey::Vcek, vlek] {
        let found = issuer(&all, kind, genoa, &anchors, NOW).unwrap();
        assert_eq!((found.product, found.simulated, found.not_before), (genoa, true, CREATED));
    }
    let none = |issuer: &str| {
        VerifyError::from(ChainError::NoIntermediate { certificate: Role::Vlek, issuer: issuer.to_owned() })
    };
    let error = issuer(&all[..2], vlek, genoa, &anchors, NOW).unwrap_err();
    assert_eq!(error, none("SEV-VLEK-Genoa"));
    assert_eq!(issuer(&all, vlek, Product::Milan, &anchors, NOW).unwrap_err(), none("SEV-VLEK-Milan"));
    let foreign = ChainError::Signature { certificate: Role::Asvk, issuer: "ARK-Genoa".into() };
    assert_eq!(issuer(&all, vlek, genoa, &TrustAnchors::amd(), NOW).unwrap_err(), foreign.into());
    let not_before = CREATED;
    let early = ChainError::NotYetValid { certificate: Role::Asvk, not_before, now: UnixTime(CREATED.0 - 1) };
    assert_eq!(issuer(&all, vlek, genoa, &anchors, UnixTime(CREATED.0 - 1)).unwrap_err(), early.into());
}

/// Without a report there is no other check of what was revoked; a list that has long expired counts, and none is required.
#[test]
fn certificates_by_themselves_are_held_against_the_lists_beside_them() {
    let host = host(Product::Genoa);
    let Chain { ark, ask, vek: vcek, .. } = launch(&host).chain().clone();
    let anchors = trust(&host).with_crl_policy(CrlPolicy::Required { max_age_s: 1 });
    let since = CREATED.plus(7);
    let list = |serial: u64, signer| {
        let revoked = vec![simtee::Revoked::new(serial, since)];
        let next_update = Some(CREATED.plus(1));
        host.sign_crl(&CrlSpec { revoked, signer, next_update, ..host.crl_spec(CREATED) }).unwrap()
    };
    let all = |lists: &[Vec<u8>]| {
        let certificates = [&vcek, &ask, &host.asvk_der().to_vec()].map(Clone::clone);
        Endorsements::from_certificates(certificates).unwrap().with_crls(lists.iter().cloned()).unwrap()
    };
    let key = |lists: &[Vec<u8>]| endorsed_key(&all(lists), &anchors, NOW).map(|key| key.product);
    let issuer = |kind, lists: &[Vec<u8>]| {
        let found = endorsed_issuer(&all(lists), (kind, Product::Genoa), &anchors, NOW);
        found.map(|issuer| issuer.serial)
    };
    let root = |der: &[u8], lists: &[Vec<u8>]| {
        let found = endorsed_root(der, &all(lists), &anchors, NOW);
        found.map(|root| root.map(|root| root.serial))
    };
    let revoked = |certificate, serial: &[u8]| {
        let (serial, issuer, listed) = (serial.to_vec(), "ARK-Genoa".to_owned(), CREATED);
        VerifyError::from(RevocationError::Revoked { certificate, serial, since, issuer, listed })
    };
    let (chips, providers) = (SigningKey::Vcek, SigningKey::Vlek);
    // Nobody's, or of another certificate: everything verifies.
    for lists in [&[][..], &[list(0x20009, Signer::Ark)], &[list(0x20001, Signer::Ask)]] {
        assert_eq!(key(lists), Ok(Product::Genoa));
        assert_eq!(issuer(chips, lists), Ok(vec![2, 0, 1]));
        assert_eq!(root(&ark, lists), Some(Ok(vec![2, 0, 0])));
    }
    let ask_listed = [list(0x20009, Signer::Ark), list(0x20001, Signer::Ark)];
    assert_eq!(key(&ask_listed), Err(revoked(Role::Ask, &[2, 0, 1])));
    assert_eq!(issuer(chips, &ask_listed), Err(revoked(Role::Ask, &[2, 0, 1])));
    assert_eq!(issuer(providers, &ask_listed), Ok(vec![2, 1, 1]));
    let asvk_listed = [list(0x20101, Signer::Ark)];
    assert_eq!(key(&asvk_listed), Ok(Product::Genoa));
    assert_eq!(issuer(providers, &asvk_listed), Err(revoked(Role::Asvk, &[2, 1, 1])));
    let ark_listed = [list(0x20000, Signer::Ark)];
    let ark_revoked = || revoked(Role::Ark, &[2, 0, 0]);
    assert_eq!(key(&ark_listed), Err(ark_revoked()));
    assert_eq!(issuer(providers, &ark_listed), Err(ark_revoked()));
    assert_eq!(root(&ark, &ark_listed), Some(Err(ark_revoked())));
    assert_eq!(key(&[list(0, Signer::Ark)]), Err(revoked(Role::Vcek, &[0])));
    // Only what issued itself is a root, and only a trusted one verifies.
    assert_eq!([root(&ask, &[]), root(&vcek, &[]), root(b"0", &[])], [None, None, None]);
    let foreign = ChainError::Signature { certificate: Role::Ark, issuer: "ARK-Genoa".into() };
    let found = endorsed_root(&ark, &Endorsements::default(), &TrustAnchors::amd(), NOW).unwrap();
    assert_eq!(found, Err(foreign.into()));
}

#[test]
fn a_list_is_of_the_root_that_signed_it_or_of_nobody() {
    let ours = host(Product::Genoa);
    let mut spec = ours.crl_spec(CREATED);
    spec.revoked = vec![simtee::Revoked::new(7, CREATED)];
    let der = ours.sign_crl(&spec).unwrap();
    let list = signed_list(&der, &trust(&ours)).unwrap();
    assert_eq!((list.product, list.simulated, list.root), (Product::Genoa, true, ours.ark_sha256()));
    assert_eq!((list.this_update, list.next_update, list.revoked), (CREATED, spec.next_update.unwrap(), 1));
    for count in [0, 2, 300] {
        spec.revoked = (0..count).map(|serial| simtee::Revoked::new(serial, CREATED)).collect();
        let list = signed_list(&ours.sign_crl(&spec).unwrap(), &trust(&ours)).unwrap();
        assert_eq!(list.revoked, spec.revoked.len());
    }
    let unsigned = ListError::Signer(RevocationError::Signature { issuer: "ARK-Genoa".into() });
    assert_eq!(signed_list(&der, &TrustAnchors::amd()), Err(unsigned.clone()));
    assert_eq!(signed_list(&der, &trust(&host(Product::Milan))), Err(unsigned));
    assert!(matches!(signed_list(&der[..99], &trust(&ours)), Err(ListError::Crl(_))));
}
