//! Checks 5 to 9: the certificates.

use claims::ReportData;
use claims::snp::Product;
use simtee::{
    ChainSpec, Extension, GuestSpec, Name, SignatureAlgorithm, Signer, SimHost, amd, authority, p256_spki,
};
use verify::{CertificateError, ChainError, Endorsements, Role, TrustAnchors, VerifyError};

use crate::machine::{
    CREATED, NOW, VCEK_LIFE, altered_chain, check, host, launch, refusal, trust, with_chain,
};

/// Issues an altered chain on a Genoa host and gives the reason for its refusal.
fn chain_refusal(alter: impl FnOnce(&mut ChainSpec)) -> ChainError {
    let host = host(Product::Genoa);
    match refusal(&altered_chain(&host, alter), &host) {
        VerifyError::Chain(error) => error,
        other => panic!("not refused for its chain: {other:?}"),
    }
}

#[test]
fn a_self_made_chain_with_amds_names_has_no_trusted_root() {
    for product in [Product::Milan, Product::Genoa, Product::Turin] {
        let host = host(product);
        let bytes = launch(&host).attest(&ReportData([7; 64])).unwrap();
        let error = check(&bytes, &TrustAnchors::amd(), NOW).unwrap_err();
        let issuer = format!("ARK-{product}");
        assert_eq!(error, ChainError::Signature { certificate: Role::Ask, issuer }.into());
    }
}

#[test]
fn a_root_that_comes_along_never_becomes_one() {
    let host = host(Product::Milan);
    let chain = launch(&host).chain().clone();
    let bytes = launch(&host).attest(&ReportData([7; 64])).unwrap();
    let evidence = evidence::Evidence::parse(claims::EvidenceKind::SevSnp, &bytes).unwrap();
    let all = Endorsements::from_certificates([chain.ark, chain.ask, chain.vek]).unwrap();
    let error = verify::authenticate(evidence, &all, &TrustAnchors::none(), NOW).unwrap_err();
    assert_eq!(error, ChainError::NoAnchor { certificate: Role::Ask, issuer: "ARK-Milan".into() }.into());
}

#[test]
fn a_leaf_directly_under_the_root_is_refused() {
    let host = host(Product::Genoa);
    let mut spec = host.chain_spec(GuestSpec::default_tcb(Product::Genoa)).unwrap();
    (spec.vek.issuer, spec.vek.signer) = (Name::amd("ARK-Genoa"), Signer::Ark);
    let chain = host.issue(&spec).unwrap();
    let evidence =
        evidence::Evidence::parse(claims::EvidenceKind::SevSnp, &with_chain(&host, chain.clone())).unwrap();
    let all = Endorsements::from_certificates([chain.vek, chain.ark]).unwrap();
    let error = verify::authenticate(evidence, &all, &trust(&host), NOW).unwrap_err();
    let (expected, got) = ("SEV-Genoa".into(), "ARK-Genoa".into());
    assert_eq!(error, ChainError::Name { certificate: Role::Ask, attribute: "CN", expected, got }.into());
}

#[test]
fn signatures_by_another_key_are_refused() {
    let error = chain_refusal(|spec| spec.ask.signer = Signer::Ask);
    assert_eq!(error, ChainError::Signature { certificate: Role::Ask, issuer: "ARK-Genoa".into() });
    let error = chain_refusal(|spec| spec.vek.signer = Signer::Ark);
    assert_eq!(error, ChainError::Signature { certificate: Role::Vcek, issuer: "SEV-Genoa".into() });
}

#[test]
fn only_the_exact_pss_parameters_are_taken() {
    let pss = "1.2.840.113549.1.1.10 with other parameters";
    for (algorithm, got) in [
        (SignatureAlgorithm::PssSha384Salt(32), pss),
        (SignatureAlgorithm::PssSha384Salt(47), pss),
        (SignatureAlgorithm::PssSha256, pss),
        (SignatureAlgorithm::Pkcs1Sha384, "1.2.840.113549.1.1.12"),
        (SignatureAlgorithm::EcdsaSha384, "1.2.840.10045.4.3.3"),
    ] {
        let wrong = |certificate| ChainError::SignatureAlgorithm { certificate, got: got.into() };
        let both = |spec: &mut simtee::CertificateSpec| {
            (spec.inner_algorithm, spec.outer_algorithm) = (algorithm, algorithm);
        };
        assert_eq!(chain_refusal(|spec| both(&mut spec.ask)), wrong(Role::Ask));
        assert_eq!(chain_refusal(|spec| both(&mut spec.vek)), wrong(Role::Vcek));
    }
}

#[test]
fn the_algorithm_beside_the_signature_is_the_one_within() {
    let got = || "1.2.840.113549.1.1.10 with other parameters".to_owned();
    let error = chain_refusal(|spec| spec.vek.inner_algorithm = SignatureAlgorithm::PssSha256);
    assert_eq!(error, ChainError::SignatureAlgorithm { certificate: Role::Vcek, got: got() });
    let error = chain_refusal(|spec| spec.vek.inner_algorithm = SignatureAlgorithm::PssSha384);
    assert_eq!(error, ChainError::SignatureAlgorithm { certificate: Role::Vcek, got: got() });
}

#[test]
fn every_certificate_must_be_valid_now() {
    let day = 86_400;
    let early = |certificate| ChainError::NotYetValid { certificate, not_before: NOW.plus(1), now: NOW };
    assert_eq!(chain_refusal(|spec| spec.vek.not_before = NOW.plus(1)), early(Role::Vcek));
    assert_eq!(chain_refusal(|spec| spec.ask.not_before = NOW.plus(1)), early(Role::Ask));
    let end = CREATED.plus(day - 1);
    let late = |certificate| ChainError::Expired { certificate, not_after: end, now: NOW };
    assert_eq!(chain_refusal(|spec| spec.vek.not_after = end), late(Role::Vcek));
    assert_eq!(chain_refusal(|spec| spec.ask.not_after = end), late(Role::Ask));
    let early_root = SimHost::with_keys(crate::machine::keys(), Product::Genoa, NOW.plus(1)).unwrap();
    let bytes = altered_chain(&early_root, |spec| {
        (spec.ask.not_before, spec.vek.not_before) = (CREATED, CREATED);
    });
    assert_eq!(refusal(&bytes, &early_root), early(Role::Ark).into());
}

#[test]
fn windows_are_checked_again_when_the_chain_is_known() {
    let host = host(Product::Genoa);
    let anchors = trust(&host);
    let bytes = launch(&host).attest(&ReportData([7; 64])).unwrap();
    let not_after = CREATED.plus(VCEK_LIFE);
    assert!(check(&bytes, &anchors, not_after).is_ok());
    let now = not_after.plus(1);
    let error = check(&bytes, &anchors, now).unwrap_err();
    assert_eq!(error, ChainError::Expired { certificate: Role::Vcek, not_after, now }.into());
    let (not_before, now) = (CREATED, claims::UnixTime(CREATED.0 - 1));
    let error = check(&bytes, &anchors, now).unwrap_err();
    assert_eq!(error, ChainError::NotYetValid { certificate: Role::Ark, not_before, now }.into());
    assert!(check(&bytes, &anchors, CREATED).is_ok());
}

#[test]
fn a_chain_that_was_verified_needs_its_leaf_only() {
    let host = host(Product::Genoa);
    let anchors = trust(&host);
    let bytes = launch(&host).attest(&ReportData([7; 64])).unwrap();
    let leaf_only = || Endorsements::from_certificates([launch(&host).chain().vek.clone()]).unwrap();
    let parse = || evidence::Evidence::parse(claims::EvidenceKind::SevSnp, &bytes).unwrap();
    let known = Endorsements::from_evidence(&parse());
    let leaf = Endorsements::from_certificates([known.certificates().next().unwrap().to_vec()]).unwrap();
    let error = verify::authenticate(parse(), &leaf, &anchors, NOW).unwrap_err();
    assert_eq!(
        error,
        ChainError::NoIntermediate { certificate: Role::Vcek, issuer: "SEV-Genoa".into() }.into()
    );
    assert!(verify::authenticate(parse(), &known, &anchors, NOW).is_ok());
    assert!(verify::authenticate(parse(), &leaf, &anchors, NOW).is_ok());
    // The same leaf with another signature is another certificate.
    let error = verify::authenticate(parse(), &leaf_only(), &anchors, NOW).unwrap_err();
    assert_eq!(
        error,
        ChainError::NoIntermediate { certificate: Role::Vcek, issuer: "SEV-Genoa".into() }.into()
    );
}

#[test]
fn names_are_amds() {
    let name = |certificate, attribute, expected: &str, got: &str| ChainError::Name {
        certificate,
        attribute,
        expected: expected.into(),
        got: got.into(),
    };
    for got in ["SEV-VCEK2", "VCEK", "SEV-Genoa", ""] {
        let error = chain_refusal(|spec| spec.vek.subject.common_name = got.into());
        assert_eq!(error, ChainError::LeafName { got: got.into() });
    }
    let error = chain_refusal(|spec| spec.vek.subject.organization = "Advanced Micro Devices, Inc.".into());
    assert_eq!(error, name(Role::Vcek, "O", "Advanced Micro Devices", "Advanced Micro Devices, Inc."));
    let error = chain_refusal(|spec| spec.vek.subject.organizational_unit = String::new());
    assert_eq!(error, name(Role::Vcek, "OU", "Engineering", ""));
    let error = chain_refusal(|spec| {
        (spec.ask.subject, spec.vek.issuer) = (Name::amd("SEV-Milan"), Name::amd("SEV-Milan"));
    });
    assert_eq!(error, name(Role::Ask, "CN", "SEV-Genoa", "SEV-Milan"));
    let error = chain_refusal(|spec| {
        (spec.ask.subject, spec.vek.issuer) = (Name::amd("SEV-VLEK-Genoa"), Name::amd("SEV-VLEK-Genoa"));
    });
    assert_eq!(error, name(Role::Ask, "CN", "SEV-Genoa", "SEV-VLEK-Genoa"));
}

#[test]
fn names_that_do_not_meet_make_no_chain() {
    let error = chain_refusal(|spec| spec.vek.issuer = Name::amd("SEV-Turin"));
    assert_eq!(error, ChainError::NoIntermediate { certificate: Role::Vcek, issuer: "SEV-Turin".into() });
    let error = chain_refusal(|spec| spec.ask.issuer = Name::amd("ARK-Turin"));
    assert_eq!(error, ChainError::NoAnchor { certificate: Role::Ask, issuer: "ARK-Turin".into() });
}

#[test]
fn an_intermediate_must_be_a_ca_and_a_leaf_must_not() {
    let not_ca = ChainError::NotCa { certificate: Role::Ask };
    assert_eq!(chain_refusal(|spec| _ = spec.ask.remove_extension(authority::BASIC_CONSTRAINTS)), not_ca);
    assert_eq!(chain_refusal(|spec| _ = spec.ask.remove_extension(authority::KEY_USAGE)), not_ca);
    let error = chain_refusal(|spec| {
        let is_no_ca = authority::basic_constraints(false, None).value;
        *spec.ask.extension_mut(authority::BASIC_CONSTRAINTS).unwrap() = is_no_ca;
    });
    assert_eq!(error, not_ca);
    let error = chain_refusal(|spec| spec.vek.extensions.push(authority::basic_constraints(true, None)));
    assert_eq!(error, ChainError::LeafIsCa { certificate: Role::Vcek });
}

#[test]
fn the_leafs_key_is_on_p384() {
    let error = chain_refusal(|spec| spec.vek.spki = p256_spki());
    let got = "1.2.840.10045.3.1.7".to_owned();
    assert_eq!(error, ChainError::Key { certificate: Role::Vcek, expected: "a key on P-384", got });
    let error = chain_refusal(|spec| spec.vek.spki = spec.ask.spki.clone());
    assert_eq!(error, ChainError::NoLeaf { got: 2 });
}

#[test]
fn every_extension_of_amds_must_be_there() {
    for (oid, name) in [
        (amd::PRODUCT_NAME, "productName"),
        (amd::BOOTLOADER_SPL, "bootloader"),
        (amd::TEE_SPL, "tee"),
        (amd::SNP_SPL, "snp"),
        (amd::SPL_4, "reserved (spl4)"),
        (amd::SPL_5, "reserved (spl5)"),
        (amd::SPL_6, "reserved (spl6)"),
        (amd::SPL_7, "reserved (spl7)"),
        (amd::MICROCODE_SPL, "microcode"),
        (amd::HWID, "hwID"),
    ] {
        let error = chain_refusal(|spec| assert!(spec.vek.remove_extension(oid)));
        assert_eq!(error, ChainError::ExtensionMissing { certificate: Role::Vcek, name });
    }
    let host = host(Product::Turin);
    let bytes = altered_chain(&host, |spec| assert!(spec.vek.remove_extension(amd::FMC_SPL)));
    assert_eq!(
        refusal(&bytes, &host),
        ChainError::ExtensionMissing { certificate: Role::Vcek, name: "fmc" }.into()
    );
}

#[test]
fn malformed_extensions_are_shown() {
    for got in [
        &b"\x02\x01\xff"[..],
        b"\x02\x02\x01\x00",
        b"\x02\x02\x00\x01",
        b"\x04\x01\x03",
        b"\x02\x01\x03\x00",
        b"",
    ] {
        let error = chain_refusal(|spec| *spec.vek.extension_mut(amd::SNP_SPL).unwrap() = got.to_vec());
        assert_eq!(
            error,
            ChainError::ExtensionMalformed { certificate: Role::Vcek, name: "snp", got: got.to_vec() }
        );
    }
    let error = chain_refusal(|spec| _ = spec.vek.extension_mut(amd::HWID).unwrap().pop());
    assert_eq!(error, ChainError::HwidLength { expected: 64, got: 63 });
    let error = chain_refusal(|spec| spec.vek.extension_mut(amd::HWID).unwrap().truncate(8));
    assert_eq!(error, ChainError::HwidLength { expected: 64, got: 8 });
}

#[test]
fn a_hardware_id_may_stand_in_an_octet_string() {
    let host = host(Product::Genoa);
    let bytes = altered_chain(&host, |spec| {
        let hwid = spec.vek.extension_mut(amd::HWID).unwrap();
        *hwid = [&[0x04, 0x40], &hwid[..]].concat();
    });
    assert!(check(&bytes, &trust(&host), NOW).is_ok());
}

#[test]
fn the_leafs_product_is_its_roots() {
    let error = chain_refusal(|spec| assert!(spec.vek.set_product_name("Milan-B0")));
    assert_eq!(
        error,
        ChainError::Product { certificate: Role::Vcek, expected: Product::Genoa, got: Product::Milan }
    );
    let error = chain_refusal(|spec| assert!(spec.vek.set_product_name("Venice")));
    assert_eq!(error, ChainError::UnknownProduct { certificate: Role::Vcek, got: "Venice".into() });
    let error = chain_refusal(|spec| assert!(spec.vek.set_product_name("")));
    assert_eq!(error, ChainError::UnknownProduct { certificate: Role::Vcek, got: String::new() });
}

#[test]
fn certificates_of_a_form_that_is_not_understood_are_refused() {
    let malformed = |source| ChainError::Certificate { index: 0, source };
    let oid = "1.3.6.1.4.1.3704.1.99";
    let unknown = Extension { oid: &[1, 3, 6, 1, 4, 1, 3704, 1, 99], critical: true, value: vec![5, 0] };
    let error = chain_refusal(|spec| spec.vek.extensions.push(unknown.clone()));
    assert_eq!(error, malformed(CertificateError::CriticalExtension { oid: oid.into() }));
    let known = Extension { critical: false, ..unknown };
    let error = chain_refusal(|spec| spec.vek.extensions.extend([known.clone(), known]));
    assert_eq!(error, malformed(CertificateError::RepeatedExtension { oid: oid.into() }));
    let error = chain_refusal(|spec| spec.vek.version = 1);
    assert_eq!(error, malformed(CertificateError::Version { got: "v2" }));
}

#[test]
fn bytes_that_are_no_certificate_are_named_by_their_place() {
    let host = host(Product::Genoa);
    let mut chain = launch(&host).chain().clone();
    chain.ask = vec![0x30, 0x03, 1, 2, 3];
    let error = refusal(&with_chain(&host, chain), &host);
    let VerifyError::Chain(ChainError::Certificate { index: 1, source: CertificateError::Malformed { .. } }) =
        error
    else {
        panic!("{error:?}")
    };
}

/// Certificates of a guest's chip that do not fit its report: of another TCB, and no longer valid.
fn unfit_leaves(host: &SimHost) -> [Vec<u8>; 2] {
    let tcb = GuestSpec::default_tcb(Product::Milan);
    let older = claims::snp::Tcb { microcode: tcb.microcode - 1, ..tcb };
    let other = host.issue(&host.chain_spec(older).unwrap()).unwrap().vek;
    let mut reissued = host.chain_spec(tcb).unwrap();
    reissued.vek.not_after = claims::UnixTime(NOW.0 - 1);
    [other, host.issue(&reissued).unwrap().vek]
}

#[test]
fn the_leaf_that_fits_is_found_among_others() {
    let host = host(Product::Milan);
    let [other, expired] = unfit_leaves(&host);
    let chain = launch(&host).chain().clone();
    let bytes = with_chain(&host, chain.clone());
    for order in
        [[&chain.vek, &other, &expired], [&expired, &chain.vek, &other], [&other, &expired, &chain.vek]]
    {
        let certificates = order.into_iter().chain([&chain.ask, &chain.ark]).cloned();
        let endorsements = Endorsements::from_certificates(certificates).unwrap();
        let evidence = evidence::Evidence::parse(claims::EvidenceKind::SevSnp, &bytes).unwrap();
        assert!(verify::authenticate(evidence, &endorsements, &trust(&host), NOW).is_ok());
    }
}

#[test]
fn without_certificates_there_is_no_chain() {
    let host = host(Product::Genoa);
    let bytes = launch(&host).attest(&ReportData([7; 64])).unwrap();
    assert_eq!(refusal(&bytes[..simtee::REPORT_LEN], &host), ChainError::NoLeaf { got: 0 }.into());
}

/// Whoever holds several certificates of a chip has the one that fits taken, though all of them are known.
#[test]
fn the_leaf_that_fits_is_found_among_others_that_were_verified_before() {
    let host = host(Product::Milan);
    let [other, expired] = unfit_leaves(&host);
    let chain = launch(&host).chain().clone();
    let bytes = with_chain(&host, chain.clone());
    let anchors = trust(&host);
    for leaf in [&chain.vek, &other, &expired] {
        let known = Endorsements::from_certificates([leaf.clone(), chain.ask.clone()]).unwrap();
        assert_eq!(verify::endorsed_key(&known, &anchors, NOW).is_ok(), leaf != &expired);
    }
    for order in
        [[&chain.vek, &other, &expired], [&expired, &chain.vek, &other], [&other, &expired, &chain.vek]]
    {
        // Without their issuer, so that they are the known ones.
        let leaves = Endorsements::from_certificates(order.map(Vec::clone)).unwrap();
        let evidence = evidence::Evidence::parse(claims::EvidenceKind::SevSnp, &bytes).unwrap();
        assert!(verify::authenticate(evidence, &leaves, &anchors, NOW).is_ok());
    }
}
