//! Azure: genuine blobs and quotes; simulated ones, altered and signed again; the attacks of the protocol's models.

use std::sync::{Arc, OnceLock};

use claims::snp::{Product, SigningKey};
use claims::tpm::AkBinding;
use claims::{
    EvidenceKind, GuestIdentity, Measurement, OsBinding, PreflightTranscript, Sha256Digest, TranscriptHash,
    UnixTime,
};
use evidence::azure::HclError;
use evidence::{Evidence, EvidenceError};
use simtee::vtpm::log::BootSpec;
use simtee::vtpm::{Quote, VTpm, evidence as parts};
use simtee::{Guest, GuestSpec, SimHost};
use verify::{
    Authenticated, BindError, Endorsements, Role, TpmVerifyError, TrustAnchors, VerifyError, answers,
    authenticate, certificates_from_file, precheck,
};

use crate::folder::read;
use crate::simulated::{BITS, boot, booted, challenge, extra_data, transcript};
use crate::table::{NOW, Table, check};

pub const CREATED: UnixTime = UnixTime(1_790_000_000);
const VM_ID: &str = "baefd3e1-184b-4c4c-ab88-0bdad260505f";

pub fn host() -> &'static SimHost {
    static HOST: OnceLock<SimHost> = OnceLock::new();
    HOST.get_or_init(|| {
        let keys = Arc::new(simtee::kept_keys!().unwrap());
        SimHost::with_keys(keys, Product::Genoa, CREATED).unwrap()
    })
}

pub fn anchors() -> TrustAnchors {
    TrustAnchors::none().with_simulated(host().ark_der(), host().ark_sha256()).unwrap()
}

pub fn paravisor() -> GuestSpec {
    GuestSpec { measurement: Measurement([0x42; 48]), ..GuestSpec::new(Product::Genoa, "paravisor") }
}

/// An Azure guest: its paravisor's report over runtime data with this vTPM's key.
pub struct AzureGuest<'a> {
    vtpm: &'a VTpm,
    guest: Guest,
    pub report: Vec<u8>,
    runtime: String,
}

impl<'a> AzureGuest<'a> {
    pub fn new(vtpm: &'a VTpm, spec: &GuestSpec) -> Self {
        let runtime = parts::runtime_data(vtpm, VM_ID).unwrap();
        let guest = host().launch(spec).unwrap();
        let report = guest.report(&parts::runtime_report_data(&runtime));
        let report = guest.sign(report).unwrap().to_vec();
        Self { vtpm, guest, report, runtime }
    }

    /// A quote that answers the challenge beside this report.
    pub fn quote(&self, report: &[u8]) -> Quote {
        let extra = extra_data(&transcript(EvidenceKind::AzureVtpm), report);
        self.vtpm.quote(&self.vtpm.quote_spec(&extra, BITS).unwrap(), BITS).unwrap()
    }

    pub fn evidence(&self, quote: &Quote) -> Vec<u8> {
        parts::azure(&parts::hcl(&self.report, &self.runtime), &parts::certificates(&self.guest), quote)
    }
}

fn verify(bytes: &[u8]) -> Result<Authenticated, VerifyError> {
    let evidence = Evidence::parse(EvidenceKind::AzureVtpm, bytes).unwrap();
    check(evidence, &anchors(), &Table::default(), NOW)
}

#[test]
fn a_quote_under_a_bound_key_becomes_claims() {
    let azure = AzureGuest::new(booted(), &paravisor());
    let bytes = azure.evidence(&azure.quote(&azure.report));
    let transcript = transcript(EvidenceKind::AzureVtpm);
    let claims = verify(&bytes).unwrap().bind(challenge(), &transcript, NOW).unwrap();
    // What its counters are kept by: no Name, since nobody tells the key's attributes.
    let vouched = claims.quoted_tpm().unwrap();
    let (modulus, exponent) = booted().ak_numbers().unwrap();
    let spki = crypto::RsaPublicKey::from_components(&modulus, &exponent).unwrap().spki().to_vec();
    assert_eq!(vouched.key.digest.0, crypto::sha256(&[&spki]));
    let (ek, ak) = (booted().ek_public().unwrap(), booted().ak_public().unwrap());
    assert_eq!(vouched.signer.to_bytes(), simtee::vtpm::qualified_name(&ek, &ak));
    let record = claims.record();
    assert_eq!((record.evidence, record.os_binding), (EvidenceKind::AzureVtpm, OsBinding::InTeeVtpm));
    assert_eq!((record.guest_identity, record.snp_fresh), (GuestIdentity::VmId, false));
    assert_eq!(record.snp.as_ref().unwrap().measurement, Measurement([0x42; 48]));
    let tpm = record.tpm.as_ref().unwrap();
    assert_eq!((tpm.ak_binding, tpm.ak_name.as_ref()), (AkBinding::InTee, None));
    assert_eq!(tpm.paravisor.as_ref().unwrap().vm_id, VM_ID);
    assert_eq!(tpm.boot.as_ref().unwrap().secure_boot, Some(true));
}

/// A question is not a release, but what its TPM's counters are kept by is the same.
#[test]
fn a_question_knows_the_tpm_that_the_report_vouches_for() {
    let azure = AzureGuest::new(booted(), &paravisor());
    let asked = transcript(EvidenceKind::AzureVtpm);
    let question = PreflightTranscript { asked: asked.clone(), prediction: None };
    let hash = crypto::sha512(&[&question.encode()]);
    let extra = crypto::sha256(&[&hash, &crypto::sha256(&[&azure.report])]);
    let quote = azure.vtpm.quote(&azure.vtpm.quote_spec(&extra, BITS).unwrap(), BITS).unwrap();
    let claims =
        verify(&azure.evidence(&quote)).unwrap().bind_preflight(challenge(), &question, NOW).unwrap();
    let released = verify(&azure.evidence(&azure.quote(&azure.report))).unwrap();
    let released = released.bind(challenge(), &asked, NOW).unwrap();
    assert!(claims.quoted_tpm().is_some());
    assert_eq!(claims.quoted_tpm(), released.quoted_tpm());
}

/// Model c1: two genuine reports bind the same key; a quote made beside one must not go with the other.
#[test]
fn a_quote_cannot_be_paired_with_another_report() {
    let vtpm = booted();
    let old = AzureGuest::new(vtpm, &GuestSpec { guest_svn: 1, ..paravisor() });
    let new = AzureGuest::new(vtpm, &GuestSpec { guest_svn: 2, ..paravisor() });
    let swapped = verify(&new.evidence(&old.quote(&old.report))).unwrap();
    let transcript = transcript(EvidenceKind::AzureVtpm);
    let error = swapped.bind(challenge(), &transcript, NOW).unwrap_err();
    let expected = Sha256Digest(extra_data(&transcript, &new.report));
    let got = extra_data(&transcript, &old.report).to_vec();
    assert_eq!(error, VerifyError::Bind(BindError::ExtraData { expected, got }));
}

/// Model c2: a guest without a paravisor has a genuine report over runtime data of its own making. Nothing in the
/// evidence tells it from a paravisor's but the measurement, which is in the claims for policies to require.
#[test]
fn a_key_vouched_for_by_an_ordinary_guest_shows_that_guests_measurement() {
    let evil = VTpm::generate().unwrap();
    let plain = GuestSpec::new(Product::Genoa, "plain firmware");
    let forged = AzureGuest::new(&evil, &plain);
    let mut quote = forged.quote(&forged.report);
    quote.log.clear();
    let authenticated = verify(&forged.evidence(&quote)).unwrap();
    assert_eq!(authenticated.snp().unwrap().measurement, plain.measurement);
    assert_ne!(authenticated.snp().unwrap().measurement, paravisor().measurement);
    // Behind a paravisor a guest is at VMPL 1 to 3, and its reports bind no key.
    for vmpl in 1..=3 {
        let inside = AzureGuest::new(&evil, &GuestSpec { vmpl, ..paravisor() });
        let mut quote = inside.quote(&inside.report);
        quote.log.clear();
        let error = verify(&inside.evidence(&quote)).unwrap_err();
        assert_eq!(
            error,
            VerifyError::Tpm(TpmVerifyError::Vmpl { kind: EvidenceKind::AzureVtpm, got: vmpl })
        );
    }
}

#[test]
fn the_report_binds_the_runtime_data_as_they_came() {
    let mut azure = AzureGuest::new(booted(), &paravisor());
    let quote = azure.quote(&azure.report);
    let got = Box::new(parts::runtime_report_data(&azure.runtime));
    for altered in [
        azure.runtime.replace("\"secure-boot\":true", "\"secure-boot\":false"),
        azure.runtime.replace(VM_ID, "00000000-184b-4c4c-ab88-0bdad260505f"),
        format!("{} ", azure.runtime),
        parts::runtime_data(&boot(&BootSpec::new("web")), VM_ID).unwrap(),
    ] {
        azure.runtime = altered;
        let expected = Sha256Digest(crypto::sha256(&[azure.runtime.as_bytes()]));
        let error = verify(&azure.evidence(&quote)).unwrap_err();
        let runtime = TpmVerifyError::RuntimeData { expected, got: got.clone() };
        assert_eq!(error, VerifyError::Tpm(runtime));
    }
    // The upper half of the report data must be zeros.
    let mut azure = AzureGuest::new(booted(), &paravisor());
    let mut data = parts::runtime_report_data(&azure.runtime);
    data.0[63] = 1;
    azure.report = azure.guest.sign(azure.guest.report(&data)).unwrap().to_vec();
    let error = verify(&azure.evidence(&quote)).unwrap_err();
    assert!(matches!(error, VerifyError::Tpm(TpmVerifyError::RuntimeData { .. })));
}

#[test]
fn another_key_than_the_runtime_datas_signs_nothing() {
    let azure = AzureGuest::new(booted(), &paravisor());
    let mut quote = azure.quote(&azure.report);
    quote.signature = boot(&BootSpec::new("web")).sign(&quote.attest).unwrap();
    assert_eq!(verify(&azure.evidence(&quote)).unwrap_err(), VerifyError::Tpm(TpmVerifyError::Signature));
}

#[test]
fn a_report_that_is_not_genuine_binds_nothing() {
    let mut azure = AzureGuest::new(booted(), &paravisor());
    azure.report[0x90] ^= 1;
    let error = verify(&azure.evidence(&azure.quote(&azure.report))).unwrap_err();
    assert_eq!(error, VerifyError::Signature { certificate: Role::Vcek });
}

#[test]
fn what_needs_no_certificate_is_checked_before_one_is_looked_for() {
    let azure = AzureGuest::new(booted(), &paravisor());
    let parsed = |bytes: &[u8]| Evidence::parse(EvidenceKind::AzureVtpm, bytes).unwrap();
    let evidence = parsed(&azure.evidence(&azure.quote(&azure.report)));
    let needed = precheck(&evidence, &Table::default(), NOW).unwrap();
    assert_eq!((needed.kind, needed.chip_id), (SigningKey::Vcek, host().chip_id()));
    let transcript = transcript(EvidenceKind::AzureVtpm);
    let hash = TranscriptHash(crypto::sha512(&[&transcript.encode()]));
    assert_eq!(answers(&evidence, hash), Ok(()));
    let expected = Sha256Digest(crypto::sha256(&[&[0; 64], &crypto::sha256(&[&azure.report])]));
    let got = extra_data(&transcript, &azure.report).to_vec();
    let error = BindError::ExtraData { expected, got };
    assert_eq!(answers(&evidence, TranscriptHash([0; 64])), Err(error.into()));

    let mut quote = azure.quote(&azure.report);
    quote.signature = boot(&BootSpec::new("web")).sign(&quote.attest).unwrap();
    let refused = precheck(&parsed(&azure.evidence(&quote)), &Table::default(), NOW).unwrap_err();
    assert_eq!(refused, VerifyError::Tpm(TpmVerifyError::Signature));
    let inside = AzureGuest::new(booted(), &GuestSpec { vmpl: 2, ..paravisor() });
    let refused = precheck(&parsed(&inside.evidence(&inside.quote(&inside.report))), &Table::default(), NOW)
        .unwrap_err();
    let kind = EvidenceKind::AzureVtpm;
    assert_eq!(refused, VerifyError::Tpm(TpmVerifyError::Vmpl { kind, got: 2 }));
    let tpm = parts::tpm(&booted().ak_public().unwrap(), &quote);
    let bare =
        precheck(&Evidence::parse(EvidenceKind::Tpm, &tpm).unwrap(), &Table::default(), NOW).unwrap_err();
    assert_eq!(bare, VerifyError::Unsupported { kind: EvidenceKind::Tpm });
}

/// What `az-cvm-vtpm` writes with bincode: signature, message, PCRs, each behind its length in 8 bytes.
pub fn bincode(bytes: &[u8]) -> Quote {
    let take = |bytes: &mut &[u8]| {
        let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let part = bytes[8..8 + len].to_vec();
        *bytes = &bytes[8 + len..];
        part
    };
    let mut rest = bytes;
    let (signature, attest) = (take(&mut rest), take(&mut rest));
    let values: Vec<Vec<u8>> = rest[8..].chunks(32).map(<[u8]>::to_vec).collect();
    raw_quote(signature, attest, &values)
}

/// A quote over all 24 PCRs of the SHA-256 bank, from its raw parts.
fn raw_quote(signature: Vec<u8>, attest: Vec<u8>, values: &[Vec<u8>]) -> Quote {
    let signature = [&[0, 0x14, 0, 0x0b, 1, 0][..], &signature].concat();
    let named = (0_u8..).zip(values).flat_map(|(i, v)| [&[0, 0x0b, i][..], v].concat());
    Quote { signature, attest, pcrs: named.collect(), log: Vec::new() }
}

/// Verifies a genuine blob and quote under AMD's roots, and says that it does not answer our challenge.
fn genuine(name: &str, hcl: &[u8], quote: &Quote, certificates: Vec<Vec<u8>>) {
    let bytes = parts::azure(hcl, &simtee::CertificateTable::default().encode(), quote);
    let evidence = Evidence::parse(EvidenceKind::AzureVtpm, &bytes).unwrap();
    let endorsements = Endorsements::from_certificates(certificates).unwrap();
    let now = UnixTime(1_767_225_600);
    let authenticated = authenticate(evidence, &endorsements, &TrustAnchors::amd(), now);
    let authenticated = authenticated.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(!authenticated.simulated(), "{name}");
    assert_eq!(authenticated.os_binding(), OsBinding::InTeeVtpm, "{name}");
    assert_eq!(authenticated.guest_identity(), GuestIdentity::VmId, "{name}");
    let tpm = authenticated.tpm().unwrap();
    assert_eq!((tpm.ak_binding, tpm.boot.as_ref()), (AkBinding::InTee, None), "{name}");
    assert!(tpm.pcrs.contains_key(&7) && tpm.pcrs.keys().all(|index| *index < 16), "{name}");
    let key = verify::challenge::ChallengeKey::new(&[1; 32]);
    let open = key.open(key.issue(crate::simulated::NONCE, now, 60).as_bytes(), now).unwrap();
    let error = authenticated.bind(open, &transcript(EvidenceKind::AzureVtpm), now).unwrap_err();
    assert!(matches!(error, VerifyError::Bind(BindError::ExtraData { .. })), "{name}");

    for at in [0, 10, quote.attest.len() - 1] {
        let mut altered = quote.clone();
        altered.attest[at] ^= 1;
        let bytes = parts::azure(hcl, &simtee::CertificateTable::default().encode(), &altered);
        let refused = match Evidence::parse(EvidenceKind::AzureVtpm, &bytes) {
            Ok(evidence) => authenticate(evidence, &endorsements, &TrustAnchors::amd(), now).is_err(),
            Err(_) => true,
        };
        assert!(refused, "{name}: byte {at}");
    }
}

#[test]
fn genuine_blobs_and_quotes_verify_and_do_not_answer_us() {
    let trustee = |file: &str| read(&format!("tpm/trustee-az-snp-vtpm/{file}"));
    if let (Some(hcl), Some(quote), Some(certificates)) =
        (trustee("hcl-report.bin"), trustee("quote.bin"), trustee("vcek.pem"))
    {
        genuine("trustee", &hcl, &bincode(&quote), certificates_from_file(&certificates).unwrap());
    }
    if let Some(json) = trustee("evidence-v0.json") {
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let bytes = |value: &serde_json::Value| -> Vec<u8> { serde_json::from_value(value.clone()).unwrap() };
        let values: Vec<_> = json["quote"]["pcrs"].as_array().unwrap().iter().map(bytes).collect();
        let quote = raw_quote(bytes(&json["quote"]["signature"]), bytes(&json["quote"]["message"]), &values);
        let mut certificates = certificates_from_file(json["vcek"].as_str().unwrap().as_bytes()).unwrap();
        let Some(ask) = read("snp/milan-v2-azure-hcl/ask.pem") else { return };
        certificates.extend(certificates_from_file(&ask).unwrap());
        genuine("trustee v0", &bytes(&json["report"]), &quote, certificates);
    }
    let snp = |file: &str| read(&format!("snp/milan-v3-azure-hcl/{file}"));
    if let (Some(json), Some(hcl), Some(vcek), Some(ask)) =
        (trustee("evidence-v2.json"), snp("hcl-report.bin"), snp("vcek.der"), snp("ask.pem"))
    {
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let bytes = |value: &serde_json::Value| hex::decode(value.as_str().unwrap()).unwrap();
        let quote = &json["tpm_quote"];
        let values: Vec<_> = quote["pcrs"].as_array().unwrap().iter().map(bytes).collect();
        let quote = raw_quote(bytes(&quote["signature"]), bytes(&quote["message"]), &values);
        let mut certificates = certificates_from_file(&ask).unwrap();
        certificates.push(vcek);
        genuine("trustee v2", &hcl, &quote, certificates);
    }
}

#[test]
fn a_blob_beside_the_certificate_of_another_chip_is_refused() {
    let file = |file: &str| read(&format!("tpm/azure-cvm-tooling/{file}"));
    let (Some(hcl), Some(quote), Some(certificates)) =
        (file("hcl-report-snp.bin"), file("quote.bin"), file("certs.pem"))
    else {
        return;
    };
    let endorsements =
        Endorsements::from_certificates(certificates_from_file(&certificates).unwrap()).unwrap();
    let bytes = parts::azure(&hcl, &simtee::CertificateTable::default().encode(), &bincode(&quote));
    let evidence = Evidence::parse(EvidenceKind::AzureVtpm, &bytes).unwrap();
    let error = authenticate(evidence, &endorsements, &TrustAnchors::amd(), UnixTime(1_767_225_600));
    assert!(matches!(error.unwrap_err(), VerifyError::Chip { .. }));
}

#[test]
fn a_blob_of_another_technology_is_refused() {
    let Some(hcl) = read("tpm/azure-cvm-tooling/hcl-report-tdx.bin") else { return };
    let error = Evidence::parse(EvidenceKind::AzureVtpm, &parts::sections(&[(2, &hcl)])).unwrap_err();
    assert_eq!(error, EvidenceError::Hcl(HclError::ReportType { got: 4 }));
}

/// Which chip's key a report needs can be told of Azure's evidence too, once everything else holds.
#[test]
fn evidence_without_certificates_says_which_key_it_needs() {
    let azure = AzureGuest::new(booted(), &paravisor());
    let quote = azure.quote(&azure.report);
    let parse = |bytes: &[u8]| Evidence::parse(EvidenceKind::AzureVtpm, bytes).unwrap();
    let bare = |report: &[u8], runtime: &str, quote: &Quote| {
        parse(&parts::azure(&parts::hcl(report, runtime), &[0; 24], quote))
    };
    let evidence = bare(&azure.report, &azure.runtime, &quote);
    let needed = precheck(&evidence, &verify::NoEnrolledKeys, NOW).unwrap();
    assert_eq!((needed.products.as_slice(), needed.chip_id), (&[Product::Genoa][..], host().chip_id()));
    let transcript = transcript(EvidenceKind::AzureVtpm);
    let hash = TranscriptHash(crypto::sha512(&[&transcript.encode()]));
    assert_eq!(answers(&evidence, hash), Ok(()));
    let error = answers(&evidence, TranscriptHash([7; 64])).unwrap_err();
    assert!(matches!(error, VerifyError::Bind(BindError::ExtraData { .. })), "{error}");

    let other = azure.runtime.replace("\"tpm-enabled\":true", "\"tpm-enabled\":false");
    let error = precheck(&bare(&azure.report, &other, &quote), &verify::NoEnrolledKeys, NOW).unwrap_err();
    assert!(matches!(error, VerifyError::Tpm(TpmVerifyError::RuntimeData { .. })), "{error}");
    let mut forged = quote.clone();
    forged.signature[100] ^= 1;
    let error =
        precheck(&bare(&azure.report, &azure.runtime, &forged), &verify::NoEnrolledKeys, NOW).unwrap_err();
    assert_eq!(error, VerifyError::Tpm(TpmVerifyError::Signature));
    let inside = AzureGuest::new(booted(), &GuestSpec { vmpl: 2, ..paravisor() });
    let error =
        precheck(&bare(&inside.report, &inside.runtime, &quote), &verify::NoEnrolledKeys, NOW).unwrap_err();
    assert_eq!(error, VerifyError::Tpm(TpmVerifyError::Vmpl { kind: EvidenceKind::AzureVtpm, got: 2 }));
}
