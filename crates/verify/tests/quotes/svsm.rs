//! A vTPM in a secure VM service module, simulated: no public report of one exists.

use claims::snp::Product;
use claims::tpm::AkBinding;
use claims::{EvidenceKind, GuestIdentity, Measurement, OsBinding, ReportData, Sha256Digest, TranscriptHash};
use evidence::Evidence;
use simtee::vtpm::log::BootSpec;
use simtee::vtpm::{VTpm, evidence as parts};
use simtee::{Guest, GuestSpec};
use verify::{Authenticated, BindError, Enrolment, TpmVerifyError, VerifyError, answers, precheck};

use crate::azure::{anchors, host};
use crate::simulated::{BITS, boot, booted, challenge, extra_data, object_name, table, transcript};
use crate::table::{NOW, Table, activated, check};

pub fn spec() -> GuestSpec {
    GuestSpec { measurement: Measurement([0x53; 48]), ..GuestSpec::new(Product::Genoa, "svsm") }
}

/// Evidence of a service module whose report carries this over the manifest `ek`.
pub struct Service<'a> {
    vtpm: &'a VTpm,
    guest: Guest,
    pub report: Vec<u8>,
    ek: Vec<u8>,
}

impl<'a> Service<'a> {
    pub fn new(vtpm: &'a VTpm, spec: &GuestSpec, ek: Vec<u8>) -> Self {
        let guest = host().launch(spec).unwrap();
        let data = report_data(&ek);
        let report = guest.sign(guest.report(&data)).unwrap().to_vec();
        Self { vtpm, guest, report, ek }
    }

    pub fn evidence(&self) -> Vec<u8> {
        let extra = extra_data(&transcript(EvidenceKind::Svsm), &self.report);
        let quote = self.vtpm.quote(&self.vtpm.quote_spec(&extra, BITS).unwrap(), BITS).unwrap();
        let ak = self.vtpm.ak_public().unwrap();
        parts::svsm(&self.report, &parts::certificates(&self.guest), &self.ek, &ak, &quote)
    }
}

pub fn report_data(manifest: &[u8]) -> ReportData {
    let hash = crypto::sha512(&[&transcript(EvidenceKind::Svsm).encode()]);
    ReportData(crypto::sha512(&[&hash, manifest]))
}

fn verify(bytes: &[u8], table: &Table) -> Result<Authenticated, VerifyError> {
    check(Evidence::parse(EvidenceKind::Svsm, bytes).unwrap(), &anchors(), table, NOW)
}

#[test]
fn a_key_under_the_manifests_endorsement_key_is_in_the_tee() {
    let vtpm = booted();
    let service = Service::new(vtpm, &spec(), vtpm.ek_public().unwrap());
    let authenticated = verify(&service.evidence(), &table(vtpm)).unwrap();
    let claims = authenticated.bind(challenge(), &transcript(EvidenceKind::Svsm), NOW).unwrap();
    let record = claims.record();
    assert_eq!((record.os_binding, record.snp_fresh), (OsBinding::InTeeVtpm, true));
    assert_eq!(record.guest_identity, GuestIdentity::HostData);
    assert!(record.simulated);
    let tpm = record.tpm.as_ref().unwrap();
    assert_eq!(tpm.ak_binding, AkBinding::InTee);
    assert_eq!(tpm.ak_name, Some(object_name(&vtpm.ak_public().unwrap())));
}

#[test]
fn a_key_that_was_not_activated_with_the_manifests_key_is_refused() {
    let (vtpm, other) = (booted(), boot(&BootSpec::new("web")));
    let service = Service::new(vtpm, &spec(), other.ek_public().unwrap());
    let error = verify(&service.evidence(), &table(vtpm)).unwrap_err();
    let expected = object_name(&other.ek_public().unwrap());
    let got = object_name(&vtpm.ek_public().unwrap()).to_string();
    assert_eq!(error, VerifyError::Tpm(TpmVerifyError::EkName { expected, got }));

    let name = object_name(&vtpm.ak_public().unwrap());
    let error = verify(&service.evidence(), &Table::default()).unwrap_err();
    assert_eq!(error, VerifyError::Tpm(TpmVerifyError::AkUnknown { name: name.clone() }));
    let mut by_operator = activated(name.clone(), None);
    by_operator.ek = None;
    let service = Service::new(vtpm, &spec(), vtpm.ek_public().unwrap());
    let error = verify(&service.evidence(), &Table(vec![(name, by_operator)])).unwrap_err();
    let expected = object_name(&vtpm.ek_public().unwrap());
    let got = "none".to_owned();
    assert_eq!(error, VerifyError::Tpm(TpmVerifyError::EkName { expected, got }));
}

/// The report vouches for the endorsement key, so that no certificate or operator has to.
#[test]
fn a_key_that_is_only_activated_counts_where_the_report_names_its_endorsement_key() {
    let vtpm = booted();
    for enrolment in [Enrolment::Activated, Enrolment::EkCertificate, Enrolment::Operator] {
        let mut known = table(vtpm);
        known.0[0].1.enrolment = enrolment;
        let service = Service::new(vtpm, &spec(), vtpm.ek_public().unwrap());
        let authenticated = verify(&service.evidence(), &known).unwrap();
        assert_eq!(authenticated.tpm().unwrap().ak_binding, AkBinding::InTee);
        assert_eq!(authenticated.os_binding(), OsBinding::InTeeVtpm);
    }
}

#[test]
fn only_the_service_module_itself_vouches() {
    let vtpm = booted();
    for vmpl in 1..=3 {
        let service = Service::new(vtpm, &GuestSpec { vmpl, ..spec() }, vtpm.ek_public().unwrap());
        let error = verify(&service.evidence(), &table(vtpm)).unwrap_err();
        assert_eq!(error, VerifyError::Tpm(TpmVerifyError::Vmpl { kind: EvidenceKind::Svsm, got: vmpl }));
    }
}

#[test]
fn report_and_quote_both_answer_the_challenge() {
    let vtpm = booted();
    let ek = vtpm.ek_public().unwrap();
    let transcript = transcript(EvidenceKind::Svsm);
    let bind = |service: &Service<'_>| {
        let done = verify(&service.evidence(), &table(vtpm)).unwrap();
        done.bind(challenge(), &transcript, NOW).unwrap_err()
    };
    // The transcript's hash without the manifest, as a plain report would carry it.
    let mut service = Service::new(vtpm, &spec(), ek.clone());
    let hash = crypto::sha512(&[&transcript.encode()]);
    let got = ReportData(hash);
    service.report = service.guest.sign(service.guest.report(&got)).unwrap().to_vec();
    let expected = Box::new(report_data(&ek));
    let error = VerifyError::Bind(BindError::Manifest { expected, got: Box::new(got) });
    assert_eq!(bind(&service), error);

    // A fresh report beside a quote that was made for another one.
    let service = Service::new(vtpm, &spec(), ek);
    let other = extra_data(&transcript, b"another report");
    let quote = vtpm.quote(&vtpm.quote_spec(&other, BITS).unwrap(), BITS).unwrap();
    let ak = vtpm.ak_public().unwrap();
    let bytes = parts::svsm(&service.report, &parts::certificates(&service.guest), &service.ek, &ak, &quote);
    let error = verify(&bytes, &table(vtpm)).unwrap().bind(challenge(), &transcript, NOW).unwrap_err();
    let expected = Sha256Digest(extra_data(&transcript, &service.report));
    assert_eq!(error, VerifyError::Bind(BindError::ExtraData { expected, got: other.to_vec() }));
}

#[test]
fn evidence_without_certificates_says_which_key_it_needs() {
    let vtpm = booted();
    let service = Service::new(vtpm, &spec(), vtpm.ek_public().unwrap());
    let extra = extra_data(&transcript(EvidenceKind::Svsm), &service.report);
    let mut quote = vtpm.quote(&vtpm.quote_spec(&extra, BITS).unwrap(), BITS).unwrap();
    let ak = vtpm.ak_public().unwrap();
    let evidence = |ek: &[u8], quote: &_| {
        Evidence::parse(EvidenceKind::Svsm, &parts::svsm(&service.report, &[0; 24], ek, &ak, quote)).unwrap()
    };
    let hash = TranscriptHash(crypto::sha512(&[&transcript(EvidenceKind::Svsm).encode()]));
    let honest = evidence(&service.ek, &quote);
    assert_eq!(precheck(&honest, &table(vtpm), NOW).unwrap().chip_id, host().chip_id());
    assert_eq!(answers(&honest, hash), Ok(()));
    let unknown = precheck(&honest, &Table::default(), NOW).unwrap_err();
    assert!(matches!(unknown, VerifyError::Tpm(TpmVerifyError::AkUnknown { .. })), "{unknown}");
    let error = answers(&evidence(&ak, &quote), hash).unwrap_err();
    assert!(matches!(error, VerifyError::Bind(BindError::Manifest { .. })), "another manifest: {error}");
    quote.signature[100] ^= 1;
    let error = precheck(&evidence(&service.ek, &quote), &table(vtpm), NOW).unwrap_err();
    assert_eq!(error, VerifyError::Tpm(TpmVerifyError::Signature));
}
