//! Reports signed by a cloud provider's key: ARK, ASVK, VLEK, and every wrong pairing with ARK, ASK, VCEK.

use claims::snp::{Product, SigningKey, Tcb};
use claims::{GuestIdentity, OsBinding, ReportData};
use evidence::Evidence;
use simtee::{ChainSpec, GuestSpec, Name, SignatureAlgorithm, Signer, amd, authority, field};
use verify::{ChainError, Endorsements, Role, VerifyError};

use crate::machine::{
    CREATED, CSP_ID, NOW, altered_report, altered_vlek_chain, check, host, launch, launch_at_provider,
    refusal, trust,
};

const PRODUCTS: [Product; 3] = [Product::Milan, Product::Genoa, Product::Turin];
const REPORT_DATA: ReportData = ReportData([7; 64]);

/// Issues an altered VLEK chain on a Genoa host and gives the reason for its refusal.
fn chain_refusal(alter: impl FnOnce(&mut ChainSpec)) -> ChainError {
    let host = host(Product::Genoa);
    match refusal(&altered_vlek_chain(&host, alter), &host) {
        VerifyError::Chain(error) => error,
        other => panic!("not refused for its chain: {other:?}"),
    }
}

#[test]
fn an_honest_guest_of_a_provider_is_authenticated_on_each_product() {
    for product in PRODUCTS {
        let host = host(product);
        let bytes = launch_at_provider(&host).attest(&REPORT_DATA).unwrap();
        let authenticated = check(&bytes, &trust(&host), NOW).unwrap();
        let snp = authenticated.snp().unwrap();
        assert_eq!((snp.signing_key, snp.csp_id.as_deref()), (SigningKey::Vlek, Some(CSP_ID)));
        assert_eq!((snp.chip_id, snp.vmpl, snp.product), (None, 1, product));
        assert_eq!(authenticated.os_binding(), OsBinding::None);
        assert_eq!(authenticated.guest_identity(), GuestIdentity::HostData);
        assert_eq!(authenticated.not_after(), CREATED.plus(31_557_600));
    }
}

#[test]
fn a_vcek_where_the_report_names_a_vlek_is_refused_and_the_other_way_round() {
    let host = host(Product::Genoa);
    let mut report = launch(&host).report(&REPORT_DATA);
    report.put(field::KEY_INFO, (1_u32 << 2).to_le_bytes());
    let bytes = launch(&host).evidence(&launch(&host).sign(report).unwrap());
    let (expected, got) = (Role::Vlek, Role::Vcek);
    assert_eq!(refusal(&bytes, &host), VerifyError::Signer { expected, got });

    let provider = launch_at_provider(&host);
    let mut report = provider.report(&REPORT_DATA);
    report.put(field::KEY_INFO, [0; 4]).put(field::CHIP_ID, host.chip_id().0);
    let bytes = provider.evidence(&provider.sign(report).unwrap());
    let (expected, got) = (Role::Vcek, Role::Vlek);
    assert_eq!(refusal(&bytes, &host), VerifyError::Signer { expected, got });
}

#[test]
fn the_certificates_of_one_kind_vouch_for_no_report_of_the_other() {
    let host = host(Product::Genoa);
    let vcek_chain = launch(&host).chain().clone();
    let bytes = launch_at_provider(&host).with_chain(vcek_chain).attest(&REPORT_DATA).unwrap();
    let (expected, got) = (Role::Vlek, Role::Vcek);
    assert_eq!(refusal(&bytes, &host), VerifyError::Signer { expected, got });
    let vlek_chain = launch_at_provider(&host).chain().clone();
    let bytes = launch(&host).with_chain(vlek_chain).attest(&REPORT_DATA).unwrap();
    let (expected, got) = (Role::Vcek, Role::Vlek);
    assert_eq!(refusal(&bytes, &host), VerifyError::Signer { expected, got });
}

#[test]
fn a_vlek_under_the_ask_is_refused() {
    let host = host(Product::Genoa);
    let ask = host.chain_spec(GuestSpec::default_tcb(Product::Genoa)).unwrap().ask;
    let error = chain_refusal(|spec| {
        (spec.vek.issuer, spec.vek.signer) = (Name::amd("SEV-Genoa"), Signer::Ask);
        spec.ask = ask;
    });
    let (expected, got) = ("SEV-VLEK-Genoa".into(), "SEV-Genoa".into());
    assert_eq!(error, ChainError::Name { certificate: Role::Asvk, attribute: "CN", expected, got });
}

#[test]
fn a_vcek_under_the_asvk_is_refused() {
    let host = host(Product::Genoa);
    let tcb = GuestSpec::default_tcb(Product::Genoa);
    let mut spec = host.chain_spec(tcb).unwrap();
    spec.ask = host.vlek_chain_spec(tcb, CSP_ID).unwrap().ask;
    (spec.vek.issuer, spec.vek.signer) = (Name::amd("SEV-VLEK-Genoa"), Signer::Asvk);
    let bytes = launch(&host).with_chain(host.issue(&spec).unwrap()).attest(&REPORT_DATA).unwrap();
    let (expected, got) = ("SEV-Genoa".into(), "SEV-VLEK-Genoa".into());
    let error = ChainError::Name { certificate: Role::Ask, attribute: "CN", expected, got };
    assert_eq!(refusal(&bytes, &host), error.into());
}

#[test]
fn an_ask_in_the_asvks_name_is_told_by_its_key() {
    let error = chain_refusal(|spec| spec.vek.signer = Signer::Ask);
    let (certificate, issuer) = (Role::Vlek, "SEV-VLEK-Genoa".into());
    assert_eq!(error, ChainError::Signature { certificate, issuer });
    let error = chain_refusal(|spec| spec.ask.signer = Signer::Asvk);
    let (certificate, issuer) = (Role::Asvk, "ARK-Genoa".into());
    assert_eq!(error, ChainError::Signature { certificate, issuer });
}

#[test]
fn a_vlek_has_a_provider_and_no_chip() {
    let error = chain_refusal(|spec| assert!(spec.vek.remove_extension(amd::CSP_ID)));
    let (certificate, name) = (Role::Vlek, "CSP_ID");
    assert_eq!(error, ChainError::ExtensionMissing { certificate, name });
    let hwid = simtee::Extension { oid: amd::HWID, critical: false, value: vec![1; 64] };
    let error = chain_refusal(|spec| spec.vek.extensions.push(hwid));
    let expected = ChainError::ExtensionUnexpected { certificate, name: "hwID", owner: Role::Vcek };
    assert_eq!(error, expected);
    for got in [&b"\x16\x00"[..], b"\x0c\x02CN", b"\x16\x02C\x07", b"CN=", b""] {
        let error = chain_refusal(|spec| *spec.vek.extension_mut(amd::CSP_ID).unwrap() = got.to_vec());
        assert_eq!(error, ChainError::ExtensionMalformed { certificate, name, got: got.to_vec() });
    }
    let of_len = |len: usize| [&[0x16, 0x81, len as u8], &vec![b'x'; len][..]].concat();
    let error = chain_refusal(|spec| *spec.vek.extension_mut(amd::CSP_ID).unwrap() = of_len(129));
    assert_eq!(error, ChainError::ExtensionMalformed { certificate, name, got: of_len(129) });
}

#[test]
fn a_vcek_has_no_provider() {
    let host = host(Product::Genoa);
    let csp_id = simtee::Extension { oid: amd::CSP_ID, critical: false, value: b"\x16\x02CN".to_vec() };
    let bytes = crate::machine::altered_chain(&host, |spec| spec.vek.extensions.push(csp_id));
    let (certificate, name, owner) = (Role::Vcek, "CSP_ID", Role::Vlek);
    assert_eq!(refusal(&bytes, &host), ChainError::ExtensionUnexpected { certificate, name, owner }.into());
}

#[test]
fn each_check_of_a_chain_is_made_on_a_vleks_too() {
    let (day, certificate) = (86_400, Role::Vlek);
    let error = chain_refusal(|spec| spec.vek.not_after = CREATED.plus(day - 1));
    assert_eq!(error, ChainError::Expired { certificate, not_after: CREATED.plus(day - 1), now: NOW });
    let error = chain_refusal(|spec| spec.ask.not_before = NOW.plus(1));
    let (certificate, not_before) = (Role::Asvk, NOW.plus(1));
    assert_eq!(error, ChainError::NotYetValid { certificate, not_before, now: NOW });
    let pkcs1 = SignatureAlgorithm::Pkcs1Sha384;
    let got = "1.2.840.113549.1.1.12";
    let wrong = |certificate| ChainError::SignatureAlgorithm { certificate, got: got.into() };
    let error = chain_refusal(|spec| (spec.vek.inner_algorithm, spec.vek.outer_algorithm) = (pkcs1, pkcs1));
    assert_eq!(error, wrong(Role::Vlek));
    let error = chain_refusal(|spec| (spec.ask.inner_algorithm, spec.ask.outer_algorithm) = (pkcs1, pkcs1));
    assert_eq!(error, wrong(Role::Asvk));
    let error = chain_refusal(|spec| _ = spec.ask.remove_extension(authority::KEY_USAGE));
    assert_eq!(error, ChainError::NotCa { certificate: Role::Asvk });
    let ca = authority::basic_constraints(true, None);
    let error = chain_refusal(|spec| spec.vek.extensions.push(ca));
    assert_eq!(error, ChainError::LeafIsCa { certificate: Role::Vlek });
    let error = chain_refusal(|spec| spec.vek.spki = simtee::p256_spki());
    let (expected, got) = ("a key on P-384", "1.2.840.10045.3.1.7".into());
    assert_eq!(error, ChainError::Key { certificate: Role::Vlek, expected, got });
    let error = chain_refusal(|spec| spec.ask.issuer = Name::amd("ARK-Turin"));
    assert_eq!(error, ChainError::NoAnchor { certificate: Role::Asvk, issuer: "ARK-Turin".into() });
    let error = chain_refusal(|spec| assert!(spec.vek.set_product_name("Turin")));
    let (expected, got) = (Product::Genoa, Product::Turin);
    assert!(
        matches!(error, ChainError::ExtensionMissing { certificate: Role::Vlek, name: "fmc" }),
        "{error}"
    );
    let error = chain_refusal(|spec| assert!(spec.vek.set_product_name("Milan")));
    let error_expected = ChainError::Product { certificate: Role::Vlek, expected, got: Product::Milan };
    assert_eq!((error, got), (error_expected, Product::Turin));
}

#[test]
fn the_vlek_of_another_tcb_is_refused() {
    let host = host(Product::Milan);
    let tcb = GuestSpec::default_tcb(Product::Milan);
    let older = Tcb { microcode: tcb.microcode - 1, ..tcb };
    let spec = host.vlek_chain_spec(older, CSP_ID).unwrap();
    let guest = launch_at_provider(&host).with_chain(host.issue(&spec).unwrap());
    let (certificate, component) = (Role::Vlek, "microcode");
    let (expected, got) = (tcb.microcode, older.microcode);
    let error = VerifyError::Tcb { certificate, component, expected, got };
    assert_eq!(refusal(&guest.attest(&REPORT_DATA).unwrap(), &host), error);
}

#[test]
fn of_two_vleks_the_one_of_the_reported_tcb_is_taken() {
    let host = host(Product::Milan);
    let tcb = GuestSpec::default_tcb(Product::Milan);
    let older = host.vlek_chain_spec(Tcb { microcode: tcb.microcode - 1, ..tcb }, CSP_ID).unwrap();
    let older = host.issue(&older).unwrap().vek;
    let provider = launch_at_provider(&host);
    let bytes = provider.attest(&REPORT_DATA).unwrap();
    for leaves in [[&older, &provider.chain().vek], [&provider.chain().vek, &older]] {
        let all = leaves.into_iter().chain([&provider.chain().ask]).cloned();
        let all = Endorsements::from_certificates(all).unwrap();
        let evidence = Evidence::parse(claims::EvidenceKind::SevSnp, &bytes).unwrap();
        assert!(verify::authenticate(evidence, &all, &trust(&host), NOW).is_ok());
    }
}

#[test]
fn a_report_that_another_key_signed_is_refused_under_the_vlek() {
    let host = host(Product::Milan);
    let provider = launch_at_provider(&host);
    let report = launch(&host).sign(provider.report(&REPORT_DATA)).unwrap();
    let error = VerifyError::Signature { certificate: Role::Vlek };
    assert_eq!(refusal(&provider.evidence(&report), &host), error);
}

#[test]
fn a_chip_that_firmware_names_under_a_vlek_is_a_claim() {
    for product in PRODUCTS {
        let host = host(product);
        let spec = GuestSpec { mask_chip_id: false, ..GuestSpec::new(product, "t").at_provider(CSP_ID) };
        let bytes = host.attest(&spec, &REPORT_DATA).unwrap();
        assert_eq!(check(&bytes, &trust(&host), NOW).unwrap().snp().unwrap().chip_id, Some(host.chip_id()));
    }
    let host = host(Product::Turin);
    let provider = launch_at_provider(&host);
    let mut report = provider.report(&REPORT_DATA);
    report.bytes_mut()[0x1df] = 1;
    let bytes = provider.evidence(&provider.sign(report).unwrap());
    assert_eq!(refusal(&bytes, &host), VerifyError::ChipIdTail { product: Product::Turin, len: 8 });
}

#[test]
fn of_both_kinds_of_keys_the_one_that_the_report_names_is_taken() {
    let host = host(Product::Genoa);
    let (chip, provider) = (launch(&host), launch_at_provider(&host));
    let ders = [&chip.chain().vek, &provider.chain().vek, &chip.chain().ask, &provider.chain().ask];
    for order in [[0, 1, 2, 3], [1, 0, 3, 2]] {
        let all = Endorsements::from_certificates(order.map(|at| ders[at].clone())).unwrap();
        for guest in [&chip, &provider] {
            let bytes = guest.attest(&REPORT_DATA).unwrap();
            let evidence = Evidence::parse(claims::EvidenceKind::SevSnp, &bytes).unwrap();
            assert!(verify::authenticate(evidence, &all, &trust(&host), NOW).is_ok());
        }
    }
}

#[test]
fn a_vcek_with_a_masked_chip_id_stays_refused() {
    let host = host(Product::Genoa);
    let bytes = altered_report(&host, |report| _ = report.put(field::CHIP_ID, [0; 64]));
    assert_eq!(refusal(&bytes, &host), VerifyError::ChipIdMasked);
}
