//! The largest of everything that is taken, and one more of it.

use claims::ReportData;
use claims::snp::Product;
use simtee::{CertificateSpec, Extension, amd};
use verify::{
    CertificateError, ChainError, CrlError, CrlPolicy, Endorsements, EndorsementsError, VerifyError,
    authenticate, is_leaf,
};

use crate::machine::{NOW, altered_vlek_chain, check, host, launch, refusal, trust};

/// An extension that nobody here knows, with a value of this length.
fn padding(len: usize) -> Extension {
    Extension { oid: &[1, 3, 6, 1, 4, 1, 3704, 1, 99], critical: false, value: vec![0; len] }
}

/// What `signed` makes of the padding that gives it this length.
fn of_len(len: usize, signed: impl Fn(Extension) -> Vec<u8>) -> Vec<u8> {
    let some = 12_000;
    let der = signed(padding(some + len - signed(padding(some)).len()));
    assert_eq!(der.len(), len);
    der
}

#[test]
fn a_certificate_of_16_kib_is_taken_and_no_longer_one() {
    let host = host(Product::Genoa);
    let mut chain = launch(&host).chain().clone();
    let spec = host.chain_spec(simtee::GuestSpec::default_tcb(Product::Genoa)).unwrap().vek;
    let padded = |padding: Extension| {
        let extensions = [&spec.extensions[..], &[padding]].concat();
        host.sign(&CertificateSpec { extensions, ..spec.clone() }).unwrap()
    };
    chain.vek = of_len(16_384, padded);
    let guest = launch(&host).with_chain(chain.clone());
    assert!(check(&guest.attest(&ReportData([7; 64])).unwrap(), &trust(&host), NOW).is_ok());
    let supplied = Endorsements::from_certificates([chain.vek.clone(), chain.ask]).unwrap();
    let report = guest.attest(&ReportData([8; 64])).unwrap()[..simtee::REPORT_LEN].to_vec();
    let evidence = evidence::Evidence::parse(claims::EvidenceKind::SevSnp, &report).unwrap();
    assert!(authenticate(evidence, &supplied, &trust(&host), NOW).is_ok());

    let longer = of_len(16_385, padded);
    let (limit, got) = (16_384, 16_385);
    assert_eq!(is_leaf(&longer), Err(CertificateError::TooLarge { limit, got }));
    let error = Endorsements::from_certificates([chain.vek, longer]).unwrap_err();
    assert_eq!(error, EndorsementsError::TooLarge { index: 1, limit, got });
}

#[test]
fn a_revocation_list_of_64_kib_is_taken_and_no_longer_one() {
    let host = host(Product::Genoa);
    let padded = |padding: Extension| {
        let mut spec = host.crl_spec(NOW);
        spec.extensions.push(padding);
        host.sign_crl(&spec).unwrap()
    };
    let bytes = launch(&host).attest(&ReportData([7; 64])).unwrap();
    let evidence = evidence::Evidence::parse(claims::EvidenceKind::SevSnp, &bytes).unwrap();
    let certificates = Endorsements::from_evidence(&evidence);
    let given = certificates.clone().with_crls([of_len(65_536, padded)]).unwrap();
    let anchors = trust(&host).with_crl_policy(CrlPolicy::Required { max_age_s: 0 });
    assert!(authenticate(evidence, &given, &anchors, NOW).is_ok());
    let error = certificates.with_crls([of_len(65_537, padded)]).unwrap_err();
    let source = CrlError::TooLarge { limit: 65_536, got: 65_537 };
    assert_eq!(error, EndorsementsError::Crl { index: 0, source });
}

#[test]
fn a_provider_has_a_name_of_128_characters_at_most() {
    let host = host(Product::Genoa);
    let named = |len: u8| {
        let der = [&[0x16, 0x81, len][..], &vec![b'x'; len.into()]].concat();
        let bytes = altered_vlek_chain(&host, |spec| {
            *spec.vek.extension_mut(amd::CSP_ID).unwrap() = der.clone();
        });
        (bytes, der)
    };
    let authenticated = check(&named(128).0, &trust(&host), NOW).unwrap();
    assert_eq!(authenticated.snp().unwrap().csp_id, Some("x".repeat(128)));
    let (bytes, got) = named(129);
    let (certificate, name) = (verify::Role::Vlek, "CSP_ID");
    let error = VerifyError::Chain(ChainError::ExtensionMalformed { certificate, name, got });
    assert_eq!(refusal(&bytes, &host), error);
}
