//! Quotes of an enrolled key.

use attester::{AttestError, Attester, TpmAttester, TpmError, TpmPlaces};
use claims::tpm::{AkBinding, HashAlgorithm};
use claims::{EvidenceKind, GuestIdentity, OsBinding};
use verify::{TpmVerifyError, TrustAnchors, VerifyError};

use crate::broker::{Table, attest, authenticate, claims, enrol, report_data};
use crate::swtpm::{LIMIT, Swtpm};

#[test]
fn a_quote_of_an_enrolled_key_answers_the_challenge() {
    let tpm = Swtpm::start();
    let mut attester = tpm.attester();
    assert_eq!(attester.kind(), EvidenceKind::Tpm);
    let table = enrol(attester.activation().unwrap().unwrap(), &tpm.issuer());
    tpm.extend([(0, vec![1; 32]), (15, vec![2; 32]), (16, vec![3; 32])]);
    let claims = claims(&mut attester, &table);
    let record = claims.record();
    assert_eq!((record.os_binding, record.guest_identity), (OsBinding::HostVtpm, GuestIdentity::Enrolled));
    let found = record.tpm.as_ref().unwrap();
    assert_eq!((found.ak_binding, found.bank), (AkBinding::EkCertificate, HashAlgorithm::Sha256));
    assert_eq!(found.pcrs.keys().copied().collect::<Vec<_>>(), [0, 15], "16 was not asked for");
    assert_eq!(found.pcrs[&0].0, crypto::sha256(&[&[0; 32], &[1; 32]]));

    let error =
        authenticate(EvidenceKind::Tpm, &attest(&mut attester), &TrustAnchors::none(), &Table::default());
    let name = table.0.unwrap().0;
    assert_eq!(error.unwrap_err(), VerifyError::Tpm(TpmVerifyError::AkUnknown { name }));
}

#[test]
fn the_pcrs_that_are_configured_are_quoted() {
    let tpm = Swtpm::start();
    let table = enrol(&mut tpm.attester(), &tpm.issuer());
    tpm.extend([(1, vec![1; 32]), (7, vec![2; 32]), (11, vec![3; 32])]);
    let places = TpmPlaces { pcrs: vec![7, 11, 23], ..tpm.places() };
    let claims = claims(&mut TpmAttester::tpm(places, LIMIT).unwrap(), &table);
    let found = claims.record().tpm.as_ref().unwrap();
    assert_eq!(found.pcrs.keys().copied().collect::<Vec<_>>(), [7, 11]);
}

#[test]
fn a_tpm_without_sha256_quotes_its_other_bank() {
    let tpm = Swtpm::with_banks("sha384");
    let table = enrol(&mut tpm.attester(), &tpm.issuer());
    tpm.tool(&format!("tpm2_pcrextend 3:sha384={}", "07".repeat(48)));
    let claims = claims(&mut tpm.attester(), &table);
    let found = claims.record().tpm.as_ref().unwrap();
    assert_eq!((found.bank, found.pcrs.keys().copied().collect()), (HashAlgorithm::Sha384, vec![3]));
}

#[test]
fn a_tpm_that_measures_with_sha1_only_is_refused() {
    let tpm = Swtpm::with_banks("sha1");
    match tpm.attester().attest(&report_data(EvidenceKind::Tpm)).unwrap_err() {
        AttestError::Device(error) => {
            assert!(matches!(error.downcast_ref(), Some(TpmError::NoBank)), "{error}")
        }
        other => panic!("{other}"),
    }
}

#[test]
fn quotes_altered_in_any_section_are_refused() {
    let tpm = Swtpm::start();
    let mut attester = tpm.attester();
    let table = enrol(&mut attester, &tpm.issuer());
    let bytes = attest(&mut attester);
    let refused = |bytes: &[u8]| {
        let parsed = evidence::Evidence::parse(EvidenceKind::Tpm, bytes);
        parsed.is_err() || authenticate(EvidenceKind::Tpm, bytes, &TrustAnchors::none(), &table).is_err()
    };
    assert!(!refused(&bytes));
    for at in (0..bytes.len()).step_by(5) {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        assert!(refused(&altered), "byte {at}");
    }
}
